//! Forgetting what nobody can see any more.
//!
//! Each stripe keeps two queues of records behind its lock. In the first wait those with something
//! superseded, or deleted, until the grace has passed; a record is in it at most once, however
//! often it is overwritten. A commit takes a few from the queues of its stripes, so an engine under
//! load sweeps itself at the pace at which it makes garbage. The second holds records whose old
//! versions an open snapshot still sees; it is gone through again when a snapshot has closed. What
//! an idle engine leaves behind is swept by [`sweep`](Engine::sweep), which maintenance calls.
//!
//! How much can wait: docs/design.md, "The bound on garbage".

use super::payload::Large;
use super::{EPOCH_TURNS, Engine, Stripe};
use crate::index::NODE_BYTES;
use crate::mvcc::chain::{Mark, RecordPtr, RecordRef, Rest, Unreachable};
use crate::mvcc::registry::Horizon;
use crate::sync::epoch::{self, Guard};
use crate::version::Stamp;
use std::collections::VecDeque;

/// How many records a commit looks at in each of its stripes. It adds one for each key it writes
/// there, so anything above one lets a backlog shrink.
const SWEEP_STEP: usize = 4;

/// How many records a full sweep looks at before it lets go of the stripe for a moment.
const SWEEP_BATCH: usize = 256;

/// The records of a stripe that have something to forget.
#[derive(Debug, Default)]
pub(super) struct SweepQueue {
    /// In about the order of the stamps that have to be reached.
    waiting: VecDeque<(Stamp, RecordPtr<Large>)>,
    held: VecDeque<RecordPtr<Large>>,
    /// How many of those held have not been looked at since a snapshot closed.
    held_unseen: usize,
    closed_seen: u64,
}

impl SweepQueue {
    /// Something of this record was superseded, or deleted, at `stamp`.
    pub(super) fn enqueue(&mut self, record: RecordRef<'_, Large>, stamp: Stamp) {
        if record.set_mark(Mark::Queued) {
            self.waiting.push_back((stamp, record.ptr()));
        }
    }

    fn hold(&mut self, record: RecordRef<'_, Large>) {
        if record.set_mark(Mark::Held) {
            self.held.push_back(record.ptr());
        }
    }

    /// A record that may have something to forget now.
    fn next<'g>(&mut self, horizon: &Horizon, guard: &'g Guard) -> Option<RecordRef<'g, Large>> {
        if let Some((stamp, record)) = self.waiting.front()
            && !horizon.waits(*stamp)
        {
            // QUEUED: it was marked when it was put here.
            let record = record.get(guard);
            record.clear_mark(Mark::Queued);
            self.waiting.pop_front();
            return Some(record);
        }
        self.held_unseen = self.held_unseen.checked_sub(1)?;
        // QUEUED: as above.
        let record = self.held.pop_front()?.get(guard);
        record.clear_mark(Mark::Held);
        Some(record)
    }

    /// Notices that snapshots have closed since the held records were last gone through.
    fn notice_closed(&mut self, closed_count: u64) {
        if self.closed_seen != closed_count {
            self.closed_seen = closed_count;
            self.held_unseen = self.held.len();
        }
    }

    fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.held.is_empty()
    }
}

impl Engine {
    /// A commit's share of the sweeping, in a stripe that it holds.
    pub(super) fn sweep_some(
        &self,
        stripe: &mut Stripe,
        unreachable: &mut Unreachable<Large>,
        guard: &Guard,
    ) {
        let Some((stamp, _)) = stripe.sweep.waiting.front() else {
            if stripe.sweep.held.is_empty() {
                return;
            }
            self.sweep_stripe(stripe, SWEEP_STEP, unreachable, guard);
            return;
        };
        if *stamp <= self.registry.grace() || !stripe.sweep.held.is_empty() {
            self.sweep_stripe(stripe, SWEEP_STEP, unreachable, guard);
        }
    }

    /// Looks at up to `budget` records of a stripe that is locked; how many there were to look at.
    fn sweep_stripe(
        &self,
        stripe: &mut Stripe,
        budget: usize,
        unreachable: &mut Unreachable<Large>,
        guard: &Guard,
    ) -> usize {
        // Loaded before the horizon, so that a snapshot that closes meanwhile is noticed later.
        stripe.sweep.notice_closed(self.registry.closed_count());
        let horizon = self.registry.horizon();
        for done in 0..budget {
            let Some(record) = stripe.sweep.next(&horizon, guard) else {
                return done;
            };
            let (rest, freed) = record.prune(&horizon, unreachable, guard);
            stripe.counts.version_count -= freed.version_count;
            stripe.counts.bytes -= freed.bytes;
            match rest {
                Rest::Clean => {}
                Rest::Waiting(stamp) => stripe.sweep.enqueue(record, stamp),
                Rest::Held => stripe.sweep.hold(record),
                Rest::Dead | Rest::Empty => self.bury(stripe, record, rest, guard),
            }
        }
        budget
    }

    /// Removes a record of which nothing is left but a tombstone. One that waits in the other
    /// queue is left to it (QUEUED).
    fn bury(&self, stripe: &mut Stripe, record: RecordRef<'_, Large>, rest: Rest, guard: &Guard) {
        if record.is_marked(Mark::Queued) || record.is_marked(Mark::Held) {
            return;
        }
        if rest == Rest::Dead
            && let Some((tombstone, _)) = record.settled_head()
        {
            stripe.counts.version_count -= 1;
            stripe.counts.bytes -= tombstone.size();
        }
        self.remove_record(stripe, record, guard);
    }

    /// Takes a record out of both indexes and retires it. Its stripe is locked.
    pub(super) fn remove_record(
        &self,
        stripe: &mut Stripe,
        record: RecordRef<'_, Large>,
        guard: &Guard,
    ) {
        stripe.counts.bytes -= record.size() + NODE_BYTES;
        self.table(record.hash())
            .remove(&mut stripe.occupancy, record, guard);
        self.index.remove(record, guard);
        // INDEXED: only now that no index leads to it.
        record.ptr().retire(guard);
    }

    /// Forgets all that can be forgotten now. Whether something is left: held by an open snapshot,
    /// or waiting for a thread that has been pinned for long.
    ///
    /// Takes the stripes one after the other, for a few microseconds each.
    pub(crate) fn sweep(&self) -> bool {
        let target = self.counter.latest();
        for _ in 0..EPOCH_TURNS {
            if self.registry.grace() >= target {
                break;
            }
            let guard = epoch::pin();
            self.registry.advance_grace(&self.counter, &guard);
            guard.flush();
        }
        let mut is_left = false;
        for stripe in 0..self.stripes.count() {
            is_left |= self.sweep_all_of(stripe);
        }
        // What was unlinked goes through the epoch.
        for _ in 0..EPOCH_TURNS {
            epoch::pin().flush();
        }
        is_left
    }

    /// Sweeps one stripe; whether something is left.
    fn sweep_all_of(&self, stripe: usize) -> bool {
        loop {
            let guard = epoch::pin();
            let mut unreachable = Unreachable::new();
            let mut stripe = self.stripes.lock_one(stripe);
            let done = self.sweep_stripe(&mut stripe, SWEEP_BATCH, &mut unreachable, &guard);
            let is_left = !stripe.sweep.is_empty();
            drop(stripe);
            drop(unreachable);
            if done < SWEEP_BATCH {
                return is_left;
            }
        }
    }
}
