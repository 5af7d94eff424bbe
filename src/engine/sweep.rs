//! Forgetting what nobody can see any more.
//!
//! Each stripe keeps two queues behind its lock. In the first wait the versions that were
//! superseded, in the order of the stamps at which they were, and the records whose key was
//! deleted, until the grace has passed. A commit takes a few from the queues of its stripes, so an
//! engine under load sweeps itself at the pace at which it makes garbage. The second queue holds
//! what an open snapshot still sees; it is gone through again when a snapshot has closed. What an
//! idle engine leaves behind is swept by [`sweep`](Engine::sweep), which maintenance calls. What the
//! reaper leaves, which can be a great deal at once, waits in a third queue for the background alone:
//! no commit has to pay for what has expired.
//!
//! How much can wait: docs/design.md, "The bound on garbage".

use super::deferred;
use super::garbage::{Waiting, WaitsFor};
use super::maintenance::PERIOD;
use super::payload::Large;
use super::{Engine, Stripe};
use crate::mvcc::chain::{Reclaimed, RecordPtr, RecordRef, Retiring, Superseded, Unreachable};
use crate::mvcc::point::Table;
use crate::mvcc::quota::{Freed, Purpose, Share};
use crate::mvcc::registry::{GRACE_STEP, Horizon, Registry};
use crate::sync::epoch::{self, Guard};
use crate::sync::{OutOfMemory, footprint, reserve};
use crate::version::Stamp;
use smallvec::SmallVec;
use std::collections::VecDeque;
use std::mem;
use std::mem::ManuallyDrop;
use std::time::Duration;

/// How many pieces of garbage a commit looks at in each of its stripes, at least. It adds one or two
/// for each key that it writes there.
const SWEEP_STEP: usize = 4;

/// The share of a long queue that a commit looks at: one in this many.
const SWEEP_SHARE: usize = 4;

/// The most that it looks at for this reason: a small commit is not to pay for a large deletion.
/// One that itself adds a lot looks at twice as much. So a backlog shrinks in any case.
const SWEEP_STEP_MAX: usize = 64;

/// How many a commit looks at of those that a snapshot held, after one has closed. Few, because most
/// snapshots that close have held nothing; the background sweep goes through all of them.
const HELD_STEP: usize = 2;

/// How many a commit leaves in each stripe. By the time one more comes, the grace has long reached
/// the first of these, so that in the steady state each commit frees just what it supersedes, and
/// the memory it frees is what the next one allocates.
const SWEEP_KEEP: usize = 8;

/// How many versions may wait in an engine before writers make way. So many come together only
/// while the grace stands still, because a thread that is pinned has been taken off its processor:
/// yielding gives it back.
const BACKLOG_MAX: u64 = 16_384;

/// How many stamps, most often commits, the grace may be behind in any case, without anybody being in its way.
const LAG_MAX: u64 = 8 * GRACE_STEP;

/// What the reaper looks at for each commit of its own. It leaves two pieces for each key.
const REAPER_BUDGET: Budget = Budget {
    waiting: 4,
    reaped: REAPER_SWEEPS,
    held: 0,
};

/// How much it looks at of what it has left itself.
pub(super) const REAPER_SWEEPS: usize = 8;

/// How many of each queue a full sweep looks at before it lets go of the stripe: so few that whoever comes
/// meanwhile need not be put to sleep to wait for it.
const SWEEP_BATCH: usize = 4;

/// How many records are freed in between.
pub(super) const FREED_MAX: usize = 1_024;

/// A queue that has become empty keeps no more room than this.
const ROOM_MAX: usize = 64;

/// How much a stripe hands to the epoch before it says so. A commit hands over a few pieces at
/// most, and the flush that comes with the grace takes more than that.
const DEFERRED_STEP: u64 = 64;

/// What a version may leave to be forgotten: what it supersedes, and the record where it is a
/// tombstone.
const LEFT_BY_A_VERSION: usize = 2;

/// What waits to be forgotten.
#[derive(Debug)]
enum Garbage {
    Superseded(Superseded<Large>),
    /// The record of a key that was deleted. A record is in the queues at most once as such.
    Deleted {
        until: Stamp,
        record: RecordPtr<Large>,
        /// What the record takes, with its tombstone.
        bytes: u32,
    },
}

impl Garbage {
    /// The stamp that the grace has to reach.
    fn until(&self) -> Stamp {
        match self {
            Self::Superseded(superseded) => superseded.until(),
            Self::Deleted { until, .. } => *until,
        }
    }

    /// What comes back with it, about.
    fn bytes(&self) -> usize {
        match self {
            Self::Superseded(superseded) => superseded.size(),
            Self::Deleted { bytes, .. } => *bytes as usize,
        }
    }
}

/// What a sweep leaves to be done when no stripe is locked any more: [`Engine::clear_up`].
pub(super) struct Aftermath<'g> {
    unreachable: Unreachable<Large>,
    /// The low keys of leaves that are empty. Dropped by hand: most often that is one comparison.
    emptied: ManuallyDrop<SmallVec<[&'g [u8]; 1]>>,
}

impl Aftermath<'_> {
    pub(super) fn new() -> Self {
        Self {
            unreachable: Unreachable::new(),
            emptied: ManuallyDrop::new(SmallVec::new()),
        }
    }

    #[cold]
    fn give_back_room(&mut self) {
        *self.emptied = SmallVec::new();
    }
}

impl Drop for Aftermath<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.emptied.spilled() {
            self.give_back_room();
        }
    }
}

/// Has a record freed that was in an index and is in none any more. Its stripe is locked; to its
/// `freed` is told how much it was. How many pieces were handed to the epoch.
pub(super) fn retire(record: RecordRef<'_, Large>, freed: &Freed, guard: &Guard) -> u64 {
    // INDEXED: only now that no index leads to it.
    record.ptr().retire(freed, guard);
    1
}

/// Makes room in a queue for so much more, and charges it.
#[inline]
fn reserve_charged(
    queue: &mut VecDeque<Garbage>,
    more: usize,
    purpose: Purpose,
    share: &mut Share,
) -> Result<(), OutOfMemory> {
    if queue.capacity() - queue.len() >= more {
        return Ok(());
    }
    grow_charged(queue, more, purpose, share)
}

#[cold]
fn grow_charged(
    queue: &mut VecDeque<Garbage>,
    more: usize,
    purpose: Purpose,
    share: &mut Share,
) -> Result<(), OutOfMemory> {
    let (room, before) = (queue.capacity(), room_bytes(queue));
    reserve(queue, more)?;
    let charged = share.charge(room_bytes(queue) - before, purpose);
    charged.inspect_err(|_| queue.shrink_to(room))
}

/// Makes room in a queue for one more thing that is looked at, at the least: what frees memory is not
/// to wait for it.
#[inline]
fn reserve_one(queue: &mut VecDeque<Garbage>, share: &mut Share) -> Result<(), OutOfMemory> {
    reserve_charged(queue, 1, Purpose::Replacement, share).or_else(|_| {
        let before = room_bytes(queue);
        let grown = queue.try_reserve_exact(1);
        grown.map_err(|_| OutOfMemory::of_bytes(size_of::<Garbage>()))?;
        share.charge(room_bytes(queue) - before, Purpose::Removal)
    })
}

/// What the room of a queue takes of the heap.
fn room_bytes(queue: &VecDeque<Garbage>) -> usize {
    match queue.capacity() {
        0 => 0,
        room => footprint(room * size_of::<Garbage>()),
    }
}

/// How many pieces of garbage to look at, of each queue.
#[derive(Clone, Copy)]
struct Budget {
    waiting: usize,
    reaped: usize,
    held: usize,
}

/// The garbage of a stripe.
#[derive(Debug, Default)]
pub(super) struct SweepQueue {
    /// In the order of the stamps that have to be reached, but for a few that were put back.
    waiting: VecDeque<Garbage>,
    held: VecDeque<Garbage>,
    /// What the reaper has left, in the order of the stamps that have to be reached.
    reaped: VecDeque<Garbage>,
    /// How much waits in the queues.
    bytes: Waiting,
    /// Whether what comes is left by the reaper.
    is_reaping: bool,
    /// How many of those held have not been looked at since a snapshot closed.
    held_unseen: usize,
    closed_seen: u64,
    /// How many have come since a commit last looked.
    added: usize,
    /// How much was handed to the epoch and has not been told to [`deferred`].
    deferred: u64,
    /// How much room was reserved for the commit under way.
    reserved: usize,
}

impl SweepQueue {
    /// Sees to it that a commit of so many keys can note what it leaves, wherever they are.
    #[inline]
    pub(super) fn reserve(
        &mut self,
        keys: usize,
        purpose: Purpose,
        share: &mut Share,
    ) -> Result<(), OutOfMemory> {
        reserve_charged(&mut self.waiting, keys * LEFT_BY_A_VERSION, purpose, share)
    }

    /// Sees to it that a commit can note what one more key leaves.
    pub(super) fn reserve_another(
        &mut self,
        purpose: Purpose,
        share: &mut Share,
    ) -> Result<(), OutOfMemory> {
        self.reserved += 1;
        self.reserve(self.reserved, purpose, share)
    }

    /// Whether what is settled now is left to the reaper.
    pub(super) fn is_reaping(&self) -> bool {
        self.is_reaping
    }

    /// The commit under way needs no more room.
    pub(super) fn unreserve(&mut self) {
        self.reserved = 0;
    }

    /// Sees to it that the reaper can note what so many keys leave.
    pub(super) fn reserve_reaped(
        &mut self,
        keys: usize,
        share: &mut Share,
    ) -> Result<(), OutOfMemory> {
        reserve_charged(
            &mut self.reaped,
            keys * LEFT_BY_A_VERSION,
            Purpose::Removal,
            share,
        )
    }

    /// Takes over what a version has superseded.
    pub(super) fn push_superseded(&mut self, mut superseded: Superseded<Large>) {
        if self.is_reaping {
            // A commit may come to what has superseded the tombstone before anybody comes to this.
            superseded.detach();
        }
        self.push(Garbage::Superseded(superseded));
    }

    /// The key of this record was deleted, at `until`.
    pub(super) fn push_deleted(&mut self, record: RecordRef<'_, Large>, until: Stamp) {
        if record.start_dying() {
            self.push(Garbage::Deleted {
                until,
                record: record.ptr(),
                bytes: u32::try_from(record.size_with_head()).unwrap_or(u32::MAX),
            });
        }
    }

    /// Notes one thing. Room for it was reserved before anything was linked.
    fn push(&mut self, garbage: Garbage) {
        let queue = if self.is_reaping {
            self.bytes.add(WaitsFor::Grace, garbage.bytes());
            &mut self.reaped
        } else {
            self.added += 1;
            &mut self.waiting
        };
        debug_assert!(queue.len() < queue.capacity());
        queue.push_back(garbage);
    }

    /// Notes what an open snapshot sees. There is room for it ([`next`](Self::next)).
    fn push_held(&mut self, garbage: Garbage) {
        self.bytes.add(WaitsFor::Snapshot, garbage.bytes());
        self.held.push_back(garbage);
    }

    /// How much a commit that has added so much should look at in this stripe.
    fn step(&self, added: usize) -> Budget {
        let waiting = self.waiting.len();
        Budget {
            waiting: (waiting / SWEEP_SHARE)
                .clamp(SWEEP_STEP, SWEEP_STEP_MAX)
                .max(2 * added)
                .min(waiting.saturating_sub(SWEEP_KEEP)),
            reaped: 0,
            held: self.held_unseen.min(HELD_STEP),
        }
    }

    /// Whether a commit should look at something, as far as can be told without a horizon.
    fn is_due(&self, registry: &Registry) -> bool {
        let is_due = |front: &Garbage| front.until() <= registry.grace();
        (self.waiting.len() > SWEEP_KEEP && self.waiting.front().is_some_and(is_due))
            || self.held_unseen > 0
            || (!self.held.is_empty() && self.closed_seen != registry.closed_count())
    }

    /// Has what the next sweep looks at first brought near, without waiting for it.
    #[inline]
    pub(super) fn prefetch(&self) {
        if let Some(Garbage::Superseded(superseded)) = self.waiting.front() {
            superseded.prefetch();
        }
    }

    /// The records of the keys that the reaper looks at next. Has the versions among it brought near.
    pub(super) fn coming(&self) -> impl Iterator<Item = RecordPtr<Large>> {
        let coming = self.reaped.iter().take(REAPER_SWEEPS);
        coming.filter_map(|garbage| match garbage {
            Garbage::Deleted { record, .. } => Some(*record),
            Garbage::Superseded(superseded) => {
                superseded.prefetch();
                None
            }
        })
    }

    /// Something that may be forgotten now: what has waited long enough, then what was held and
    /// perhaps is no more.
    #[inline]
    fn next(
        &mut self,
        horizon: &Horizon,
        budget: &mut Budget,
        share: &mut Share,
    ) -> Option<Garbage> {
        let (garbage, waited_for) = self.pop(horizon, budget, share)?;
        if waited_for != WaitsFor::Commit {
            self.bytes.remove(waited_for, garbage.bytes());
        }
        Some(garbage)
    }

    #[inline]
    fn pop(
        &mut self,
        horizon: &Horizon,
        budget: &mut Budget,
        share: &mut Share,
    ) -> Option<(Garbage, WaitsFor)> {
        let is_due = |front: &Garbage| !horizon.waits(front.until());
        if budget.reaped > 0
            && let Some(reaped) = self.reaped.front().filter(|front| is_due(front))
        {
            // What comes before it, and may be of the same key, goes first (`Superseded::reclaim`).
            let is_first = |front: &Garbage| reaped.until() < front.until();
            if self.waiting.front().is_none_or(is_first) {
                if horizon.has_snapshots() {
                    reserve_one(&mut self.held, share).ok()?;
                }
                reserve_one(&mut self.waiting, share).ok()?;
                budget.reaped -= 1;
                return Some((self.reaped.pop_front()?, WaitsFor::Grace));
            }
        }
        // What is not forgotten after all goes to the other queue. Where there is no memory for that,
        // it stays where it is.
        if budget.waiting > 0 && self.waiting.front().is_some_and(is_due) {
            if horizon.has_snapshots() {
                reserve_one(&mut self.held, share).ok()?;
            }
            budget.waiting -= 1;
            return Some((self.waiting.pop_front()?, WaitsFor::Commit));
        }
        budget.held = budget.held.checked_sub(1)?;
        let held_unseen = self.held_unseen.checked_sub(1)?;
        reserve_one(&mut self.waiting, share).ok()?;
        self.held_unseen = held_unseen;
        Some((self.held.pop_front()?, WaitsFor::Snapshot))
    }

    /// So many pieces were handed to the epoch.
    pub(super) fn count_deferred(&mut self, pieces: u64) {
        self.deferred += pieces;
    }

    /// How many pieces were handed to the epoch, and not counted elsewhere yet.
    pub(super) fn take_deferred(&mut self) -> u64 {
        mem::take(&mut self.deferred)
    }

    /// Notices that snapshots have closed since the held garbage was last gone through.
    fn notice_closed(&mut self, closed_count: u64) {
        if self.closed_seen != closed_count {
            self.closed_seen = closed_count;
            self.held_unseen = self.held.len();
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.held.is_empty() && self.reaped.is_empty()
    }

    /// Frees room for much that is not there.
    pub(super) fn give_back_much(&mut self, share: &mut Share) {
        self.give_back_room(ROOM_MAX, share);
    }

    /// Frees the room of queues that are empty and have more than so much.
    fn give_back_room(&mut self, room_max: usize, share: &mut Share) {
        for queue in [&mut self.waiting, &mut self.held, &mut self.reaped] {
            if queue.is_empty() && queue.capacity() > room_max {
                share.refund(room_bytes(queue));
                *queue = VecDeque::new();
            }
        }
    }
}

impl Stripe {
    /// Gives back the room that is not needed, of this stripe's queues and of its `table`, and notes what
    /// the epoch has freed.
    fn tidy(&mut self, table: &Table<Large>, guard: &Guard) {
        self.sweep.give_back_room(0, &mut self.share);
        table.give_back_room(&mut self.occupancy, &mut self.share, guard);
        self.share.tidy();
    }

    /// What comes of `work` is left to the reaper to sweep.
    pub(super) fn leave_to_reaper(&mut self, work: impl FnOnce(&mut Self)) {
        self.sweep.is_reaping = true;
        work(self);
        self.sweep.is_reaping = false;
    }
}

impl Engine {
    /// What collects the records that a thread removes that does so for a living.
    pub(super) fn retiring(&self) -> Retiring<'_, Large> {
        Retiring::new(&self.ripe)
    }

    /// A commit's share of the sweeping, in a stripe that it holds.
    pub(super) fn sweep_some<'g>(
        &'g self,
        stripe: &mut Stripe,
        aftermath: &mut Aftermath<'g>,
        guard: &'g Guard,
    ) {
        // Its own, also where nothing is due: the next commit may be a small one.
        let added = mem::take(&mut stripe.sweep.added);
        stripe.sweep.unreserve();
        self.keep_policy(stripe, guard);
        if stripe.sweep.is_due(&self.registry) {
            if !stripe.sweep.held.is_empty() {
                stripe.sweep.notice_closed(self.registry.closed_count());
            }
            let step = stripe.sweep.step(added);
            self.sweep_stripe(stripe, step, aftermath, None, guard);
        }
        // Also of a commit that only inserts, for which nothing is ever due.
        if stripe.sweep.deferred >= DEFERRED_STEP {
            self.deferred.add(mem::take(&mut stripe.sweep.deferred));
        }
    }

    /// Whether a commit that has written so many keys should let others go first, now that it is
    /// done: since the grace stands, commits like it have left more than may wait.
    ///
    /// Asked of the grace and not of the queues. With few hot keys all that waits is in few
    /// stripes, and after a large deletion much waits though nobody is in the way.
    pub(super) fn makes_way(&self, stamp: Stamp, key_count: usize) -> bool {
        let behind = stamp.get().saturating_sub(self.registry.grace().get());
        behind > LAG_MAX && behind.saturating_mul(key_count as u64) > BACKLOG_MAX
    }

    /// Looks at some of the garbage of a stripe that is locked; how many pieces there were to look
    /// at. Snapshots that have closed are noticed by the caller, before.
    fn sweep_stripe<'g>(
        &'g self,
        stripe: &mut Stripe,
        mut budget: Budget,
        aftermath: &mut Aftermath<'g>,
        mut retiring: Option<&mut Retiring<'_, Large>>,
        guard: &'g Guard,
    ) -> usize {
        let horizon = self.registry.horizon();
        let mut done = 0;
        while let Some(garbage) = (stripe.sweep).next(&horizon, &mut budget, &mut stripe.share) {
            done += 1;
            let superseded = match garbage {
                Garbage::Superseded(superseded) => superseded,
                Garbage::Deleted { record, bytes, .. } => {
                    self.bury(
                        stripe,
                        (record, bytes),
                        &horizon,
                        aftermath,
                        retiring.as_deref_mut(),
                        guard,
                    );
                    continue;
                }
            };
            let unreachable = &mut aftermath.unreachable;
            match superseded.reclaim(&horizon, unreachable, &mut stripe.share, guard) {
                Ok(Reclaimed { bytes, is_deferred }) => {
                    stripe.counts.version_count -= 1;
                    stripe.counts.garbage_bytes -= bytes;
                    if is_deferred {
                        stripe.sweep.deferred += 1;
                    } else {
                        stripe.share.refund(bytes);
                    }
                }
                Err(held) => stripe.sweep.push_held(Garbage::Superseded(held)),
            }
        }
        self.waiting.tell(&mut stripe.sweep.bytes);
        done
    }

    /// Removes the record of a deleted key, if nobody needs the tombstone; unless the key has been
    /// set again. By a call: it takes kilobytes of the stack, which most sweeps do without.
    #[inline(never)]
    fn bury<'g>(
        &'g self,
        stripe: &mut Stripe,
        (record, bytes): (RecordPtr<Large>, u32),
        horizon: &Horizon,
        aftermath: &mut Aftermath<'g>,
        retiring: Option<&mut Retiring<'_, Large>>,
        guard: &'g Guard,
    ) {
        // QUEUED: a record that has ever held a version is retired only here, and is in the queues
        // once.
        let dying = record.get(guard);
        let Some((head, until)) = dying.settled_head() else {
            return;
        };
        if !head.is_tombstone() {
            dying.stop_dying();
        } else if horizon.is_past(until) {
            stripe.counts.version_count -= 1;
            stripe.counts.garbage_bytes -= head.size();
            self.unindex(stripe, dying, guard);
            let removed = self.index.remove_only(dying, guard);
            let mut deferred = removed.deferred;
            if let Some(low) = removed.emptied {
                deferred += self.unlink_later(low, aftermath, guard);
            }
            deferred += match retiring {
                Some(retiring) => retiring.retire(dying, stripe.share.freed(), guard).into(),
                None => retire(dying, stripe.share.freed(), guard),
            };
            stripe.sweep.count_deferred(deferred);
        } else {
            let deleted = Garbage::Deleted {
                until,
                record,
                bytes,
            };
            if horizon.waits(until) {
                // Deleted again since.
                stripe.sweep.waiting.push_back(deleted);
            } else {
                stripe.sweep.push_held(deleted);
            }
        }
    }

    /// Takes a record out of both indexes and retires it. Its stripe is locked.
    pub(super) fn remove_record(
        &self,
        stripe: &mut Stripe,
        record: RecordRef<'_, Large>,
        guard: &Guard,
    ) {
        self.unindex(stripe, record, guard);
        let unindexed = self.index.remove(record, guard);
        let deferred = unindexed + retire(record, stripe.share.freed(), guard);
        stripe.sweep.count_deferred(deferred);
    }

    /// Takes a record out of the point index. Its stripe is locked.
    fn unindex(&self, stripe: &mut Stripe, record: RecordRef<'_, Large>, guard: &Guard) {
        let Stripe {
            occupancy, share, ..
        } = stripe;
        self.table(record.hash())
            .remove(occupancy, share, record, guard);
    }

    /// Has an empty leaf unlinked when no stripe is locked any more; at once where there is no memory to
    /// remember it. How many pieces were handed to the epoch.
    #[cold]
    fn unlink_later<'g>(&self, low: &'g [u8], aftermath: &mut Aftermath<'g>, guard: &Guard) -> u64 {
        if reserve(&mut *aftermath.emptied, 1).is_err() {
            return self.index.unlink(low, guard);
        }
        aftermath.emptied.push(low);
        0
    }

    /// Does what is left to be done by a commit, or a sweep, that holds no lock any more.
    #[inline]
    pub(super) fn clear_up(&self, aftermath: &mut Aftermath<'_>, guard: &Guard) {
        aftermath.unreachable.free();
        if !aftermath.emptied.is_empty() {
            self.unlink_leaves(&aftermath.emptied, guard);
        }
    }

    #[cold]
    fn unlink_leaves(&self, emptied: &[&[u8]], guard: &Guard) {
        let deferred = emptied.iter().map(|low| self.index.unlink(low, guard));
        self.deferred.add(deferred.sum());
    }

    /// Sweeps about as much in a stripe as a commit of the reaper leaves there. It is not locked.
    pub(super) fn sweep_for_reaper(
        &self,
        stripe: usize,
        retiring: &mut Retiring<'_, Large>,
        guard: &Guard,
    ) {
        let mut aftermath = Aftermath::new();
        let mut stripe = self.stripes.lock_one(stripe);
        self.sweep_reaped(&mut stripe, &mut aftermath, retiring, guard);
        drop(stripe);
        self.clear_up(&mut aftermath, guard);
    }

    /// The same, of a stripe that is locked; then there is to be [cleared up](Self::clear_up).
    pub(super) fn sweep_reaped<'g>(
        &'g self,
        stripe: &mut Stripe,
        aftermath: &mut Aftermath<'g>,
        retiring: &mut Retiring<'_, Large>,
        guard: &'g Guard,
    ) {
        self.sweep_stripe(stripe, REAPER_BUDGET, aftermath, Some(retiring), guard);
        self.deferred.add(mem::take(&mut stripe.sweep.deferred));
    }

    /// Forgets all that can be forgotten now, and frees it. Whether something is left: held by an
    /// open snapshot, or waiting for a thread that has been pinned for long.
    ///
    /// Takes the stripes one after the other, again and again, for about a microsecond each.
    pub(crate) fn sweep(&self) -> bool {
        self.tidy_policies();
        self.sweep_stripes()
    }

    /// The same, and evicts what has been idle for too long; how soon to do it again, if there will be
    /// anything to do.
    pub(crate) fn tidy_up(&self) -> Option<Duration> {
        let idle = self.evict_idle();
        let is_left = self.sweep();
        [is_left.then_some(PERIOD), idle]
            .into_iter()
            .flatten()
            .min()
    }

    /// The same, but for what is only noted.
    fn sweep_stripes(&self) -> bool {
        let is_left = self.sweep_until(|| false);
        self.ripe.free();
        self.date_snapshots();
        is_left
    }

    /// The same, until this is enough; and some of what has come out may be left to be freed.
    pub(super) fn sweep_until(&self, is_enough: impl Fn() -> bool) -> bool {
        self.registry.advance_grace(&self.counter, &epoch::pin());
        deferred::run_all();
        let mut retiring = self.retiring();
        let mut is_left = false;
        let mut is_first = true;
        let mut stripes: Vec<_> = (0..self.stripes.count()).collect();
        while !stripes.is_empty() {
            if is_enough() {
                is_left = true;
                break;
            }
            stripes.retain(
                |stripe| match self.sweep_batch(*stripe, is_first, &mut retiring) {
                    Swept::Some => true,
                    Swept::All { is_left: some } => {
                        is_left |= some;
                        false
                    }
                },
            );
            is_first = false;
            self.ripe.free_some(FREED_MAX);
        }
        retiring.finish(&epoch::pin());
        // What was unlinked goes through the epoch.
        is_left |= !deferred::run_all();
        is_left
    }

    /// Sweeps some of a stripe.
    fn sweep_batch(
        &self,
        stripe: usize,
        is_first: bool,
        retiring: &mut Retiring<'_, Large>,
    ) -> Swept {
        let budget = Budget {
            waiting: SWEEP_BATCH,
            reaped: SWEEP_BATCH,
            held: SWEEP_BATCH,
        };
        let guard = epoch::pin();
        let mut aftermath = Aftermath::new();
        let table = &self.tables[stripe];
        let mut stripe = self.stripes.lock_one(stripe);
        if is_first {
            // Not for each batch: where snapshots go on closing, what is held would be gone through
            // again and again.
            stripe.sweep.notice_closed(self.registry.closed_count());
        }
        let done = self.sweep_stripe(&mut stripe, budget, &mut aftermath, Some(retiring), &guard);
        stripe.tidy(table, &guard);
        let is_left = !stripe.sweep.is_empty();
        self.deferred.add(mem::take(&mut stripe.sweep.deferred));
        drop(stripe);
        self.clear_up(&mut aftermath, &guard);
        if self.deferred.is_due() {
            self.deferred.flush(&guard);
        }
        if done < SWEEP_BATCH {
            Swept::All { is_left }
        } else {
            Swept::Some
        }
    }
}

/// What came of looking at some of the garbage of a stripe.
enum Swept {
    /// There may be more that can be forgotten.
    Some,
    /// There is nothing more, but for what is held or waits.
    All { is_left: bool },
}
