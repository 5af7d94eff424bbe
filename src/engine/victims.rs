//! The entries that are to go, and letting go of them.

use super::commit::Installed;
use super::eviction::{Eviction, EvictionReason};
use super::payload::{self, Large};
use super::reports::{Gone, Telling};
use super::sweep::Aftermath;
use super::weight::entry_weight;
use super::{Engine, Stripe};
use crate::key::Key;
use crate::mvcc::chain::{RecordRef, Retiring, VersionRef};
use crate::mvcc::notify::Woken;
use crate::mvcc::publish::publish_evicted;
use crate::policy::Slot;
use crate::sync::epoch::{self, Guard};
use crate::sync::{Planted, is_failing, planted};
use crate::version::Stamp;
use smallvec::SmallVec;
use std::mem;

/// How many a policy is asked for at once.
pub(super) const VICTIMS: usize = 8;

/// How many that were evicted before are freed then: more than go, so that it becomes less.
const FREED_MAX: usize = 8 * VICTIMS;

/// How many entries one commit evicts for those that come next, at most. More wait for the next.
pub(super) const AHEAD_MAX: usize = 128;

/// How much is done to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Effort {
    /// For those who come next: a few are evicted.
    Ahead,
    /// For a commit that does not wait: so many at most.
    Once(usize),
    /// For a commit that waits: as many as it takes.
    All,
    /// The same, where more is in use than may be. Others let what was evicted come back before they
    /// evict more than that: to delete something takes memory, too.
    Beyond,
}

impl Effort {
    fn count_max(self) -> usize {
        match self {
            Self::Ahead => AHEAD_MAX,
            Self::Once(count) => count,
            Self::All | Self::Beyond => usize::MAX,
        }
    }
}

/// What a policy has let go of, to be evicted, the first one last. It gets back what is left in the end:
/// where there is no memory, or where what a value does when it is dropped panics.
struct Chosen<'e> {
    eviction: &'e Eviction,
    index: usize,
    victims: SmallVec<[Slot; VICTIMS]>,
}

impl Drop for Chosen<'_> {
    fn drop(&mut self) {
        if is_failing() {
            return;
        }
        while let Some(victim) = self.victims.pop() {
            self.eviction.keep(self.index, victim);
        }
    }
}

/// What came of a victim.
pub(super) enum Evicted {
    /// It has made so much room: bytes or weight, by the reason.
    Room(u64),
    /// It had gone before, or is another entry by now.
    Gone,
    /// There is no memory to delete it.
    Refused,
}

impl Engine {
    /// Lets entries go until there is so much less: bytes or weight, by the reason. How much it was. The
    /// caller holds no lock.
    ///
    /// To ask a policy in vain counts as one that has gone.
    pub(super) fn evict(&self, reason: EvictionReason, wanted: u64, effort: Effort) -> u64 {
        let Some(eviction) = self.eviction.as_deref().filter(|one| one.makes_room()) else {
            return 0;
        };
        let _at_work = eviction.busy.begin();
        let is_of_memory = reason == EvictionReason::Memory;
        let (mut made, mut count, mut empty) = (0, 0, 0);
        // Of what snapshots see nothing would come back, and so much of that is there that only what
        // they do not see should go.
        let is_held = is_of_memory && self.is_held();
        let mut retiring = self.retiring();
        let (mut is_told, mut is_refused) = (false, false);
        while made < wanted && count < effort.count_max() && !is_refused {
            if is_of_memory && effort != Effort::Beyond && self.is_overdrawn() {
                break;
            }
            if empty == eviction.policy_count() {
                if mem::replace(&mut is_told, true) {
                    break;
                }
                // They may not have been told of what has come last.
                self.tell_policies(eviction);
                empty = 0;
            }
            let mut woken = Woken::new();
            // Dropped when nothing is pinned any more.
            let mut telling = Telling::new(&self.reports);
            // Ahead, the one that has got something has to give; otherwise all in turn.
            let is_given = is_of_memory && effort == Effort::Ahead && empty == 0;
            let index = eviction.next(!is_given);
            let guard = epoch::pin();
            let mut chosen = self.choose(eviction, index, is_held, wanted - made, &guard);
            empty = if chosen.victims.is_empty() {
                count += 1;
                empty + 1
            } else {
                0
            };
            while let Some(victim) = chosen.victims.pop() {
                count += 1;
                let tell = (&mut woken, &mut telling);
                match self.evict_one(&victim, reason, tell, &mut retiring, &guard) {
                    Evicted::Room(room) => made += room,
                    Evicted::Gone => eviction.forget(index),
                    Evicted::Refused => {
                        chosen.victims.push(victim);
                        is_refused = true;
                        break;
                    }
                }
            }
            drop(chosen);
            drop(guard);
            self.ripe.free_some(FREED_MAX);
        }
        retiring.finish(&epoch::pin());
        made
    }

    /// Asks a policy for what is to go.
    fn choose<'e>(
        &self,
        eviction: &'e Eviction,
        index: usize,
        is_held: bool,
        wanted: u64,
        guard: &Guard,
    ) -> Chosen<'e> {
        let newest = is_held.then(|| self.registry.horizon().newest_snapshot());
        let view = self.view(eviction, guard);
        let view = view.of_young(newest.flatten().unwrap_or(Stamp::ZERO));
        let mut chosen = Chosen {
            eviction,
            index,
            victims: SmallVec::new(),
        };
        eviction.choose(index, &view, wanted, &mut chosen.victims);
        chosen
    }

    /// The record of the entry that is meant, if the key seems to have that still.
    pub(super) fn victim<'g>(&self, slot: &Slot, guard: &'g Guard) -> Option<RecordRef<'g, Large>> {
        let record = self.table(slot.hash).find_hash(slot.hash, guard)?;
        record.is_numbered(slot.number).then_some(record)
    }

    /// Deletes an entry, if it is still the one that is meant.
    pub(super) fn evict_one(
        &self,
        slot: &Slot,
        reason: EvictionReason,
        (woken, telling): (&mut Woken, &mut Telling<'_>),
        retiring: &mut Retiring<'_, Large>,
        guard: &Guard,
    ) -> Evicted {
        let Ok(draft) = payload::draft_tombstone() else {
            return Evicted::Refused;
        };
        let index = self.stripe_of(slot.hash);
        let early = planted(Planted::EarlyVictim).then(|| self.victim(slot, guard));
        let mut stripe = self.stripes.lock_one(index);
        // NUMBERED: now nobody changes it. MODEL: evict::entry_that_came_again_is_not_the_one_that_was_chosen.
        let Some(record) = early.unwrap_or_else(|| self.victim(slot, guard)) else {
            return Evicted::Gone;
        };
        if reason == EvictionReason::Idle && !self.is_idle(record) {
            // It was used meanwhile.
            return Evicted::Gone;
        }
        let Stripe { sweep, share, .. } = &mut *stripe;
        if sweep.reserve_reaped(1, share).is_err() || stripe.charge(&draft, None).is_err() {
            return Evicted::Refused;
        }
        let bytes = record.size_with_head() as u64;
        let room = match reason {
            EvictionReason::Memory | EvictionReason::Idle => bytes,
            EvictionReason::Entries => entry_weight(record).into(),
        };
        let (stamp, version) = publish_evicted(record, draft, &self.counter);
        self.settle_evicted(&mut stripe, record, version, stamp, woken);
        stripe.counts.evicted[reason as usize] += 1;
        let mut aftermath = Aftermath::new();
        self.sweep_reaped(&mut stripe, &mut aftermath, retiring, guard);
        drop(stripe);
        // Before anything is dropped, which may panic.
        if self.reports.is_wanted() && !planted(Planted::UntoldEviction) {
            let key = Key::raw(record.key());
            telling.push(Gone { key, reason, stamp });
        }
        self.clear_up(&mut aftermath, guard);
        self.tick_pinned(stamp, guard);
        if let Some(eviction) = &self.eviction
            && eviction.is_grace_due(bytes, self.memory.quota().limit())
        {
            self.turn_epoch(true, guard);
        }
        Evicted::Room(room)
    }

    fn settle_evicted(
        &self,
        stripe: &mut Stripe,
        record: RecordRef<'_, Large>,
        version: VersionRef<'_, Large>,
        stamp: Stamp,
        woken: &mut Woken,
    ) {
        let installed = Installed {
            record,
            version,
            place: 0,
        };
        if let Some(notes) = &mut stripe.notes {
            notes.is_evicting = true;
        }
        stripe.leave_to_reaper(|stripe| stripe.settle(&installed, stamp, woken));
        if let Some(notes) = &mut stripe.notes {
            notes.is_evicting = false;
        }
        self.table(record.hash()).note_newest(record, version);
    }
}
