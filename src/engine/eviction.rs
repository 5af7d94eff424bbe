//! Making room by letting entries go: when, and how much. Which, and how: `victims`.
//!
//! To evict an entry is to delete it, by a commit with a versionstamp of its own: a check on what was
//! read before fails, watchers are told, an open snapshot goes on seeing it. Which entry it is says
//! the [`Policy`], by hashes; a reader only notes in the record that it was used.
//!
//! The keys are divided among a few policies by the highest bits of their hashes, as they are among the
//! stripes, so that each stripe has one. Its commits note there, a few at a time, what has come and
//! what has gone. The lock of a policy is taken after that of a stripe, and none is taken after it:
//! whoever evicts asks the policy first, lets go of it, and looks again, behind the stripe's lock,
//! whether the entry is still the one that was meant (NUMBERED).
//!
//! ```text
//! NUMBERED  an entry has one slot in its policy, or is about to be noted there; the slot has the
//!           number that the record has had since the entry came
//! ```
//!
//! Room is made ahead: whoever draws on what little is left of a limit lets go of as much when its
//! commit is done. What is evicted can be used again once nobody can see it any more, and the margin is
//! for what waits for that.

use super::idle::{Idleness, Tick};
use super::notes::Notes;
use super::payload::Large;
use super::reports::Report;
use super::victims::{Effort, VICTIMS};
use super::weight::Measure;
use super::{Engine, Stripe};
use crate::error::Result;
use crate::key::Key;
use crate::mvcc::busy::Busy;
use crate::mvcc::chain::RecordRef;
use crate::mvcc::quota::{Meter, Purpose};
use crate::policy::{Entries, Policy, Seen, Slot, USES_MAX};
use crate::sync::epoch::{self, Guard};
use crate::sync::{AtomicU64, CachePadded, Mutex, Ordering, Planted, planted};
use crate::version::Stamp;
use smallvec::SmallVec;
use std::sync::Arc;
use std::time::Duration;

/// A policy for at least so many entries: fewer would not tell what is used from what is not.
const ENTRIES_MIN: u64 = 4_096;

/// What an entry takes, where the memory is limited, to tell how many there will be.
const ENTRY_BYTES: u64 = 1_024;

/// The policies of an engine, at most. A power of two, and no more than the fewest stripes.
const POLICIES_MAX: u64 = 16;

/// The share of a limit below which room is made ahead: one in this many; and as much as that becomes
/// while it does not suffice, because what is evicted waits long to be freed.
const MARGIN_SHARE: u64 = 32;
const MARGIN_SHARE_MAX: u64 = 8;

/// The same where snapshots hold much: what has come since the last was opened is all that makes room
/// then, and each one that is opened holds that as well.
const MARGIN_SHARE_HELD: u64 = 4;

/// By how much the margin becomes less each time that it sufficed, unless a snapshot is open: one part
/// in this many.
const MARGIN_DECAY: u64 = 256;

/// How many entries there is to be room for, where their number is limited: a share of the limit, up to so
/// many, or, where they are weighed, the share. It is filled up when half of it is left, since a few
/// evictions at once cost less for each.
const ENTRIES_MARGIN_SHARE: u64 = 256;
const ENTRIES_MARGIN_MAX: u64 = 64;

/// The share of a limit after which what was evicted is to be freed: one in this many.
const GRACE_SHARE: u64 = 512;

/// How many pieces of the queues of a policy are tidied before its lock is given up.
const PIECES: usize = 4;

/// Why an entry was evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum EvictionReason {
    /// The memory limit was near, or reached.
    Memory,
    /// The limit of entries was near, or reached.
    Entries,
    /// It was not used for [the time that it may be idle](crate::Builder::time_to_idle).
    Idle,
}

/// Which entries may be evicted.
#[derive(Clone, Debug, Default)]
pub(crate) struct EvictionScope {
    /// What lies below one of these; everything, where there are none.
    pub(crate) only: Vec<Key>,
    /// But nothing that lies below, or is, one of these.
    pub(crate) pinned: Vec<Key>,
    /// Whether they are, to make room.
    pub(crate) makes_room: bool,
    /// And where they have not been used for so long.
    pub(crate) time_to_idle: Option<Duration>,
}

impl EvictionScope {
    pub(super) fn covers(&self, key: &[u8]) -> bool {
        let begins = |prefix: &Key| key.starts_with(prefix.as_bytes());
        let is_pinned = self.pinned.iter().any(begins) && !planted(Planted::PinnedVictim);
        (self.only.is_empty() || self.only.iter().any(begins)) && !is_pinned
    }
}

/// A policy, and what its memory was charged.
#[derive(Debug)]
struct Charged {
    policy: Policy,
    bytes: usize,
}

impl Charged {
    /// Changes the policy, and charges what it takes now. That may go a little beyond the limit.
    fn change<R>(&mut self, meter: &Meter, change: impl FnOnce(&mut Policy) -> R) -> R {
        let result = change(&mut self.policy);
        let bytes = self.policy.heap_bytes();
        if bytes > self.bytes {
            // What makes room is never refused.
            let _ = meter.charge(bytes - self.bytes, Purpose::Removal);
        } else if bytes < self.bytes {
            meter.refund(self.bytes - bytes);
        }
        self.bytes = bytes;
        result
    }

    /// Makes room for the ghosts of what there is, as far as there is memory for them.
    fn fit_ghosts(&mut self, meter: &Meter) {
        let mut charged = 0;
        self.policy.fit_ghosts(|bytes| {
            let is_charged = meter.charge(bytes, Purpose::Growth).is_ok();
            charged += if is_charged { bytes } else { 0 };
            is_charged
        });
        self.bytes += charged;
    }
}

/// How an engine evicts.
#[derive(Debug)]
pub(super) struct Eviction {
    scope: Arc<EvictionScope>,
    policies: Box<[CachePadded<Mutex<Charged>>]>,
    pub(super) tick: Tick,
    pub(super) idleness: Option<Idleness>,
    meter: Arc<Meter>,
    measure: Measure,
    /// How many entries a stripe notes at most before it tells its policy, where these are counted; or
    /// how much they weigh.
    notes_max: u64,
    /// How many bytes were evicted since the grace was last to be raised for it.
    evicted: CachePadded<AtomicU64>,
    /// How much memory there is to be left.
    margin: CachePadded<AtomicU64>,
    /// How much there should be less of: bytes, and entries.
    wanted: CachePadded<[AtomicU64; 2]>,
    /// Which policy is asked next.
    next: CachePadded<AtomicU64>,
    /// Whether anybody evicts.
    pub(super) busy: CachePadded<Busy>,
}

impl Eviction {
    /// For these limits; `u64::MAX` for none.
    pub(super) fn new(
        scope: EvictionScope,
        [memory_limit, entry_limit]: [u64; 2],
        measure: Measure,
        stripes: usize,
        meter: &Arc<Meter>,
    ) -> Self {
        // Nobody knows what weights mean. Bytes, as like as not, and otherwise there are fewer policies.
        let is_weighed = measure == Measure::Weights;
        let entries = entry_limit / if is_weighed { ENTRY_BYTES } else { 1 };
        let entries = entries.min(memory_limit / ENTRY_BYTES);
        let policies = (entries / ENTRIES_MIN).clamp(1, POLICIES_MAX.min(stripes as u64));
        let policies = 1 << policies.ilog2();
        Self {
            tick: Tick::default(),
            idleness: scope.time_to_idle.map(Idleness::new),
            scope: Arc::new(scope),
            policies: (0..policies)
                .map(|_| {
                    let (policy, bytes) = (Policy::new(), 0);
                    CachePadded::new(Mutex::new(Charged { policy, bytes }))
                })
                .collect(),
            meter: Arc::clone(meter),
            measure,
            notes_max: (entry_limit / (32 * stripes as u64)).max(1),
            evicted: CachePadded::new(AtomicU64::new(0)),
            margin: CachePadded::new(AtomicU64::new(0)),
            wanted: CachePadded::new([AtomicU64::new(0), AtomicU64::new(0)]),
            next: CachePadded::new(AtomicU64::new(0)),
            busy: CachePadded::new(Busy::new()),
        }
    }

    /// What a stripe needs to take its notes.
    pub(super) fn notes(&self) -> Notes {
        Notes::new(&self.scope, &self.tick, self.measure)
    }

    /// Which tick it is: always the first, where no entry is evicted because it is idle.
    #[inline]
    fn tick_now(&self) -> u32 {
        // Lies beside what led here; the tick itself does not.
        match self.idleness {
            Some(_) => self.tick.now(),
            None => 0,
        }
    }

    /// Whether entries are evicted to make room.
    pub(super) fn makes_room(&self) -> bool {
        self.scope.makes_room
    }

    /// How much there is to be left of this limit of entries.
    fn entry_margin(&self, limit: u64) -> u64 {
        let share = (limit / ENTRIES_MARGIN_SHARE).max(1);
        match self.measure {
            Measure::Weights => share,
            _ => share.min(ENTRIES_MARGIN_MAX),
        }
    }

    /// How many policies there are.
    pub(super) fn policy_count(&self) -> usize {
        self.policies.len()
    }

    /// How many pieces the queues of a policy have.
    pub(super) fn pieces(&self, index: usize) -> usize {
        self.policies[index].lock().policy.pieces()
    }

    /// Those slots of a piece of a policy that are meant.
    pub(super) fn look_at_piece(
        &self,
        index: usize,
        piece: usize,
        is_meant: impl Fn(&Slot) -> bool,
    ) -> Vec<Slot> {
        let policy = self.policies[index].lock();
        let slots = policy.policy.slots_of(piece);
        let meant = slots.filter(|slot| is_meant(slot)).copied().collect();
        drop(policy);
        meant
    }

    /// These entries of a policy are gone, and it was not asked for them.
    pub(super) fn note_departed(&self, index: usize, count: usize, view: &View<'_, '_>) {
        let mut policy = self.policies[index].lock();
        policy.change(&self.meter, |policy| {
            for _ in 0..count {
                policy.depart(view);
            }
        });
    }

    /// Which policy has this key.
    fn index_of(&self, hash: u64) -> usize {
        let bits = self.policies.len().trailing_zeros();
        let index = (hash >> 1) >> (u64::BITS - 1 - bits);
        usize::try_from(index).unwrap_or(0)
    }

    fn policy_of(&self, hash: u64) -> &Mutex<Charged> {
        &self.policies[self.index_of(hash)]
    }

    /// The policy that is asked next, and, where `goes_on`, another after it.
    pub(super) fn next(&self, goes_on: bool) -> usize {
        let next = if goes_on {
            // ORDERING: Relaxed. It only goes round.
            self.next.fetch_add(1, Ordering::Relaxed)
        } else {
            // ORDERING: Relaxed, as above.
            self.next.load(Ordering::Relaxed)
        };
        usize::try_from(next).unwrap_or(0) & (self.policies.len() - 1)
    }

    /// Whether so much has been evicted that it is to be freed soon, however few entries that were.
    pub(super) fn is_grace_due(&self, bytes: u64, limit: u64) -> bool {
        // ORDERING: Relaxed. It only spaces the attempts out.
        let freed = self.evicted.fetch_add(bytes, Ordering::Relaxed) + bytes;
        let is_due = freed >= limit / GRACE_SHARE;
        if is_due {
            // ORDERING: Relaxed, as above.
            self.evicted.store(0, Ordering::Relaxed);
        }
        is_due
    }

    /// How much of a limit there is to be left.
    pub(super) fn margin(&self, limit: u64) -> u64 {
        // ORDERING: Relaxed. It is a measure and no more.
        let margin = self.margin.load(Ordering::Relaxed);
        margin.clamp(limit / MARGIN_SHARE, limit / MARGIN_SHARE_HELD)
    }

    /// The margin did not suffice: from now on there is to be more.
    pub(super) fn widen_margin(&self, limit: u64, is_held: bool) {
        let share = if is_held {
            MARGIN_SHARE_HELD
        } else {
            MARGIN_SHARE_MAX
        };
        let margin = self.margin(limit);
        let wider = (margin * 2).min(limit / share).max(margin);
        // ORDERING: Relaxed, as above.
        self.margin.store(wider, Ordering::Relaxed);
    }

    fn narrow_margin(&self, limit: u64) {
        let margin = self.margin(limit);
        // ORDERING: Relaxed, as above.
        self.margin
            .store(margin - margin / MARGIN_DECAY, Ordering::Relaxed);
    }

    /// Asks a policy for what is to go, the first one last: for so much, and as many as there is room for.
    pub(super) fn choose(
        &self,
        index: usize,
        view: &View<'_, '_>,
        wanted: u64,
        victims: &mut SmallVec<[Slot; VICTIMS]>,
    ) {
        let mut weight = 0;
        let mut policy = self.policies[index].lock();
        policy.fit_ghosts(&self.meter);
        policy.change(&self.meter, |policy| {
            while victims.len() < VICTIMS && weight < wanted {
                let slot = if view.is_of_young() {
                    policy.evict_young(view)
                } else {
                    policy.evict(view)
                };
                let Some(slot) = slot else {
                    break;
                };
                weight += u64::from(slot.weight);
                victims.push(slot);
            }
        });
        drop(policy);
        victims.reverse();
    }

    /// What a policy has let go of was gone already.
    pub(super) fn forget(&self, index: usize) {
        self.policies[index].lock().policy.forget();
    }

    /// Gives back to a policy what was to go and could not.
    pub(super) fn keep(&self, index: usize, victim: Slot) {
        let mut policy = self.policies[index].lock();
        policy.change(&self.meter, |policy| policy.keep(victim));
    }

    fn is_wanted(&self) -> bool {
        // ORDERING: Relaxed. Whoever has noted it comes here itself.
        self.wanted
            .iter()
            .any(|wanted| wanted.load(Ordering::Relaxed) > 0)
    }

    /// Notes that so much is wanted, first of this policy: it has just got something.
    fn want(&self, reason: EvictionReason, much: u64, of: Option<usize>) {
        if let Some(policy) = of {
            // ORDERING: Relaxed, as in `next`.
            self.next.store(policy as u64, Ordering::Relaxed);
        }
        // ORDERING: Relaxed, as above.
        self.wanted[reason as usize].fetch_add(much, Ordering::Relaxed);
    }

    fn take_wanted(&self, reason: EvictionReason) -> u64 {
        // ORDERING: Relaxed, as above.
        self.wanted[reason as usize].swap(0, Ordering::Relaxed)
    }
}

/// The entries, as a policy sees them.
pub(super) struct View<'e, 'g> {
    engine: &'e Engine,
    guard: &'g Guard,
    measure: Measure,
    /// What is not newer is held by a snapshot.
    held_to: Stamp,
}

impl View<'_, '_> {
    /// Only what no snapshot up to here sees is to go.
    pub(super) fn of_young(mut self, held_to: Stamp) -> Self {
        self.held_to = held_to;
        self
    }

    fn is_of_young(&self) -> bool {
        self.held_to > Stamp::ZERO
    }

    pub(super) fn record(&self, slot: &Slot) -> Option<RecordRef<'_, Large>> {
        self.engine.victim(slot, self.guard)
    }
}

impl Entries for View<'_, '_> {
    fn look(&self, slot: &Slot) -> Option<Seen> {
        let record = self.record(slot)?;
        let weight = self.measure.of_record(record);
        let uses = record.uses();
        Some(Seen { uses, weight })
    }

    fn set_uses(&self, slot: &Slot, uses: u32) {
        if let Some(record) = self.record(slot) {
            record.set_uses(uses);
        }
    }

    fn is_held(&self, slot: &Slot) -> bool {
        let head = self.record(slot).and_then(RecordRef::head);
        let stamp = head.and_then(|head| head.word().settled());
        stamp.is_some_and(|stamp| stamp <= self.held_to)
    }
}

impl Engine {
    /// Notes that an entry was used, where that counts.
    #[inline]
    pub(super) fn note_use(&self, record: RecordRef<'_, Large>) {
        if let Some(eviction) = &self.eviction {
            record.visit(USES_MAX, eviction.tick_now());
        }
    }

    /// Tells the policy of a stripe what has come and gone there; and notes how much room is wanted.
    /// The stripe is locked.
    #[inline]
    pub(super) fn keep_policy(&self, stripe: &mut Stripe, guard: &Guard) {
        if let Some(eviction) = &self.eviction {
            self.tell_policy(eviction, stripe, guard);
        }
    }

    fn tell_policy(&self, eviction: &Eviction, stripe: &mut Stripe, guard: &Guard) {
        let come = stripe.notes.as_deref().and_then(Notes::latest);
        let latest = come.map(|slot| eviction.index_of(slot.hash));
        if eviction.makes_room() && stripe.share.take_drawn() > 0 {
            let quota = self.memory.quota();
            let margin = eviction.margin(quota.limit());
            if let Some(lacking) = margin.checked_sub(self.room()) {
                let wanted = lacking / 4 + quota.piece();
                eviction.want(EvictionReason::Memory, wanted, latest);
            }
        }
        if let Some(entries) = &mut stripe.entries
            && entries.take_drawn() > 0
            && let Some(quota) = self.memory.entries()
        {
            let margin = eviction.entry_margin(quota.limit());
            let left = quota.left();
            if eviction.makes_room() && left < margin.div_ceil(2) {
                // Of all in turn: it is for more of them than the one that has come last.
                eviction.want(EvictionReason::Entries, margin - left, None);
            }
        }
        let Some(notes) = &mut stripe.notes else {
            return;
        };
        let weight_max = match eviction.measure {
            Measure::Bytes => self.memory.quota().piece(),
            Measure::Entries | Measure::Weights => eviction.notes_max,
        };
        if !notes.is_due(weight_max) {
            return;
        }
        self.pass_on(eviction, notes, guard);
    }

    /// Passes on to its policy what a stripe has noted. The stripe is locked.
    fn pass_on(&self, eviction: &Eviction, notes: &mut Notes, guard: &Guard) {
        let view = self.view(eviction, guard);
        let Some(hash) = notes.some_hash() else {
            return;
        };
        // LOCK ORDER: a stripe, then its policy.
        let mut policy = eviction.policy_of(hash).lock();
        let (come, gone) = notes.take();
        policy.change(&eviction.meter, |policy| {
            for slot in come {
                policy.arrive(slot, &view);
            }
            for _ in 0..gone {
                policy.depart(&view);
            }
        });
    }

    pub(super) fn view<'e, 'g>(&'e self, eviction: &Eviction, guard: &'g Guard) -> View<'e, 'g> {
        View {
            engine: self,
            guard,
            measure: eviction.measure,
            held_to: Stamp::ZERO,
        }
    }

    /// Makes the room that is wanted ahead. The caller holds no lock.
    #[inline]
    pub(super) fn evict_ahead(&self) {
        if let Some(eviction) = &self.eviction
            && eviction.is_wanted()
        {
            self.evict_wanted(eviction);
        }
    }

    /// Whether entries are evicted to make room.
    pub(super) fn makes_room(&self) -> bool {
        (self.eviction.as_deref()).is_some_and(Eviction::makes_room)
    }

    /// Makes room for entries of this weight that are going to come, where these are limited, and if they
    /// can ever fit.
    pub(super) fn evict_for(&self, weight: u64) {
        if let Some(quota) = self.memory.entries()
            && weight <= quota.limit()
        {
            let lacking = weight.saturating_sub(quota.left());
            self.evict(EvictionReason::Entries, lacking, Effort::All);
        }
    }

    #[cold]
    fn evict_wanted(&self, eviction: &Eviction) {
        for reason in [EvictionReason::Memory, EvictionReason::Entries] {
            // It was noted by all who saw that something is lacking, and may have been made since.
            let wanted = eviction.take_wanted(reason);
            let wanted = wanted.min(self.lacking(eviction, reason));
            if wanted == 0 {
                continue;
            }
            if reason == EvictionReason::Memory && self.registry.open_count() == 0 {
                eviction.narrow_margin(self.memory.quota().limit());
            }
            let made = self.evict(reason, wanted, Effort::Ahead);
            if (1..wanted).contains(&made) {
                eviction.want(reason, wanted - made, None);
            }
        }
    }

    /// How much less room there is than there should be, of what is evicted for this reason: bytes or weight.
    fn lacking(&self, eviction: &Eviction, reason: EvictionReason) -> u64 {
        let entries = self.memory.entries();
        match (reason, entries) {
            (EvictionReason::Memory, _) => {
                let quota = self.memory.quota();
                let margin = eviction.margin(quota.limit()) + quota.piece();
                margin.saturating_sub(self.room())
            }
            (EvictionReason::Entries, Some(quota)) => {
                (eviction.entry_margin(quota.limit())).saturating_sub(quota.left())
            }
            _ => 0,
        }
    }

    /// Opens a report of what is evicted from now on, with room for so many.
    pub(crate) fn open_report(&self, room: usize) -> Result<Arc<Report>> {
        self.reports.open(room, || self.is_closed())
    }

    /// Has all stripes tell their policies, where these know of nothing that can go.
    pub(super) fn tell_policies(&self, eviction: &Eviction) {
        for index in 0..self.stripes.count() {
            let guard = epoch::pin();
            let mut stripe = self.stripes.lock_one(index);
            if let Some(notes) = &mut stripe.notes {
                self.pass_on(eviction, notes, &guard);
            }
        }
    }

    /// Has the policies forget the slots of entries that are gone: without, they would stay until
    /// room is wanted.
    pub(super) fn tidy_policies(&self) {
        let Some(eviction) = &self.eviction else {
            return;
        };
        self.tell_policies(eviction);
        for policy in &eviction.policies {
            let pieces = policy.lock().policy.untidy_pieces();
            for _ in 0..pieces.div_ceil(PIECES) {
                let guard = epoch::pin();
                let view = self.view(eviction, &guard);
                let mut policy = policy.lock();
                policy.change(&eviction.meter, |policy| {
                    (0..PIECES).for_each(|_| policy.tidy(&view));
                });
            }
        }
    }

    /// How many slots the policies have, of entries that seem to be there.
    #[cfg(simulated)]
    pub(crate) fn policy_slots(&self) -> usize {
        self.tidy_policies();
        let policies = self.eviction.iter().flat_map(|eviction| &eviction.policies);
        policies.map(|policy| policy.lock().policy.len()).sum()
    }
}
