//! Which snapshots are open, and the horizon up to which nobody needs what was superseded.
//!
//! Two kinds of readers keep old versions alive. A *short* read pins the epoch, loads its snapshot
//! from the counter and is gone in microseconds; it registers nowhere. A *long* one, a snapshot
//! handle or a list that goes on over several batches, registers its stamp here while it is
//! pinned, and unregisters when it is dropped.
//!
//! For short readers there is the **grace** stamp: every short reader that exists, or will exist,
//! reads at or above it. To advance it, a thread loads the counter, say `g`, and defers to the
//! epoch raising the grace to `g`. When that runs, every guard is gone that was pinned before; and
//! whoever pinned later loads its snapshot after `g` was loaded, so it reads at `g` or above.
//!
//! For long readers there are slots. A [`Horizon`] loads the grace first and the slots second:
//! whoever registered before the grace was raised is seen in a slot, and whoever registers later
//! has a snapshot at or above the grace (HORIZON). A horizon stays true for as long as it is kept:
//! snapshots that open later are at or above its grace, and one that has closed only makes it
//! cautious.

use super::stamp::StampCounter;
use crate::sync::epoch::Guard;
use crate::sync::{
    AtomicU64, CachePadded, Mutex, Ordering, Planted, SNAPSHOT_SLOTS, ordering, planted,
};
use crate::version::Stamp;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::sync::Arc;

/// How many commits pass between two attempts to advance the grace. An attempt flushes the
/// thread's deferred work and tries to advance the epoch, some 200 ns; the grace lags behind the
/// counter by about three times this number of commits.
pub(crate) const GRACE_STEP: u64 = 32;

/// A slot that no snapshot has. No stamp is as large.
const FREE: u64 = u64::MAX;

/// The open snapshots and the grace of one engine.
#[derive(Debug)]
pub(crate) struct Registry {
    grace: CachePadded<Grace>,
    /// Registered snapshots, wherever they are.
    open_count: AtomicU64,
    /// Slots below this index have been used.
    used: AtomicU64,
    slots: [AtomicU64; SNAPSHOT_SLOTS],
    /// How many snapshots there are at each stamp, of those that found no slot.
    overflow: Mutex<BTreeMap<u64, usize>>,
    /// Counts the snapshots closed, so that a sweep knows when to look again at what they held.
    closed_count: AtomicU64,
}

#[derive(Debug)]
struct Grace {
    reached: AtomicU64,
    requested: AtomicU64,
}

impl Registry {
    pub(crate) fn new() -> Self {
        Self {
            grace: CachePadded::new(Grace {
                reached: AtomicU64::new(Stamp::ZERO.get()),
                requested: AtomicU64::new(Stamp::ZERO.get()),
            }),
            open_count: AtomicU64::new(0),
            used: AtomicU64::new(0),
            slots: std::array::from_fn(|_| AtomicU64::new(FREE)),
            overflow: Mutex::new(BTreeMap::new()),
            closed_count: AtomicU64::new(0),
        }
    }

    /// Registers a snapshot. `at` was loaded from the counter under `guard`, which is still
    /// pinned. A registration is never a copy of another that is open: a horizon could look at the
    /// place of the copy before it is taken, and at the place of the other after it is left. Share
    /// the one there is.
    pub(crate) fn register(self: &Arc<Self>, at: Stamp, _guard: &Guard) -> Registration {
        // ORDERING: Relaxed. A horizon that must see this snapshot was computed from a grace that
        // was raised after this thread unpins (E-GRACE), which orders it after all of this.
        self.open_count.fetch_add(1, Ordering::Relaxed);
        let slot = self.claim_slot(at);
        if slot.is_none() {
            if !planted(Planted::UnseenOverflow) {
                // ORDERING: Relaxed, as above. Whoever took the last slot may be about to say so,
                // and may be pinned too late for E-GRACE to wait for it; it waits for this.
                // MODEL: registry::overflowing_snapshot_is_seen.
                self.used
                    .fetch_max(SNAPSHOT_SLOTS as u64, Ordering::Relaxed);
            }
            *self.overflow.lock().entry(at.get()).or_default() += 1;
        }
        Registration {
            registry: Arc::clone(self),
            at,
            slot,
        }
    }

    fn claim_slot(&self, at: Stamp) -> Option<usize> {
        let (index, _) = self.slots.iter().enumerate().find(|(_, slot)| {
            // ORDERING: E-RELEASE, passed on: Acquire, so that whoever sees the slot as this
            // snapshot leaves it is also ordered after the reads of those before. The number
            // itself is brought by E-GRACE to the horizons that must see it, hence no Release.
            // MODEL: registry::reused_slot_brings_the_earlier_reads_along.
            let pass_on = ordering(Ordering::Acquire, Planted::WeakClaim);
            slot.compare_exchange(FREE, at.get(), pass_on, Ordering::Relaxed)
                .is_ok()
        })?;
        // ORDERING: Relaxed, as in `register`.
        self.used.fetch_max(index as u64 + 1, Ordering::Relaxed);
        Some(index)
    }

    fn release(&self, registration: &Registration) {
        // MODEL: registry::closed_snapshot_has_done_its_reads.
        let publish = ordering(Ordering::Release, Planted::WeakRelease);
        if let Some(slot) = registration.slot.and_then(|index| self.slots.get(index)) {
            // ORDERING: E-RELEASE: the reads of this snapshot come before its versions are freed.
            slot.store(FREE, publish);
        } else {
            let mut overflow = self.overflow.lock();
            if let Some(count) = overflow.get_mut(&registration.at.get()) {
                *count -= 1;
                if *count == 0 {
                    overflow.remove(&registration.at.get());
                }
            }
        }
        // ORDERING: E-RELEASE, for a horizon that skips the slots because the count is zero.
        self.open_count.fetch_sub(1, publish);
        // ORDERING: E-RELEASE: a sweep that sees the count also sees the slot free.
        self.closed_count.fetch_add(1, Ordering::Release);
    }

    /// How many snapshots have been closed so far.
    pub(crate) fn closed_count(&self) -> u64 {
        // ORDERING: E-RELEASE, reader side.
        self.closed_count.load(Ordering::Acquire)
    }

    /// How many snapshots are open now.
    pub(crate) fn open_count(&self) -> usize {
        // ORDERING: statistic.
        usize::try_from(self.open_count.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    /// The oldest stamp at which a snapshot is open now.
    pub(crate) fn oldest(&self) -> Option<Stamp> {
        self.horizon().snapshots.first().copied()
    }

    /// The stamp that every short reader, present and future, reads at or above.
    pub(crate) fn grace(&self) -> Stamp {
        // ORDERING: E-GRACE. Acquire: what the deferred raise is ordered after, the reads and the
        // registrations of every guard that is gone, comes before what the caller does next.
        Stamp::new(self.grace.reached.load(Ordering::Acquire))
    }

    /// The horizon now.
    pub(crate) fn horizon(&self) -> Horizon {
        // Made where it stays: a list that is returned is copied whole, also where it is empty, and
        // what happens to lie there may have been written in smaller pieces just now.
        let mut horizon = Horizon {
            grace: self.grace(),
            snapshots: SmallVec::new(),
        };
        // HORIZON: the grace first. MODEL: registry::horizon_sees_whoever_came_before_the_grace.
        self.add_snapshots(&mut horizon.snapshots);
        if planted(Planted::SlotsFirst) {
            horizon.grace = self.grace();
        }
        horizon
    }

    /// The stamps at which snapshots are open, ascending, each once.
    #[inline]
    fn add_snapshots(&self, snapshots: &mut SmallVec<[Stamp; 4]>) {
        // ORDERING: E-RELEASE where it is zero: the last snapshots have done their reads.
        if self.open_count.load(Ordering::Acquire) > 0 {
            self.collect(snapshots);
        }
    }

    #[cold]
    fn collect(&self, snapshots: &mut SmallVec<[Stamp; 4]>) {
        // ORDERING: Relaxed, as in `register`: E-GRACE has brought every number that matters.
        let used = usize::try_from(self.used.load(Ordering::Relaxed)).unwrap_or(SNAPSHOT_SLOTS);
        for slot in self.slots.iter().take(used) {
            // ORDERING: E-RELEASE, reader side: where the slot is free, its snapshot's reads have
            // been done.
            let at = slot.load(Ordering::Acquire);
            if at != FREE {
                snapshots.push(Stamp::new(at));
            }
        }
        if used == SNAPSHOT_SLOTS {
            let overflow = self.overflow.lock();
            snapshots.extend(overflow.keys().copied().map(Stamp::new));
        }
        snapshots.sort_unstable();
        snapshots.dedup();
    }

    /// Whether it is time to advance the grace, seen from a commit with this stamp; at most one
    /// caller is told so for each [`GRACE_STEP`] commits.
    pub(crate) fn is_grace_due(&self, stamp: Stamp) -> bool {
        // ORDERING: Relaxed. The number only spaces the attempts out.
        let requested = self.grace.requested.load(Ordering::Relaxed);
        stamp.get() >= requested.saturating_add(GRACE_STEP)
            // ORDERING: Relaxed, as above.
            && self.grace.requested.compare_exchange(
                requested,
                stamp.get(),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ).is_ok()
    }

    /// Sets out to raise the grace to the latest stamp: it gets there once every guard pinned now
    /// is gone and the epoch has noticed.
    pub(crate) fn advance_grace(self: &Arc<Self>, counter: &StampCounter, guard: &Guard) {
        let target = counter.latest().get();
        if planted(Planted::EarlyGrace) {
            // ORDERING: too early in any order: that is the bug.
            self.grace.reached.fetch_max(target, Ordering::AcqRel);
        }
        let registry = Arc::clone(self);
        guard.defer(move || {
            // ORDERING: E-GRACE. Release: the epoch runs this after every guard is gone that was
            // pinned before the load above; whoever sees the new grace is ordered after them.
            // MODEL: registry::snapshot_keeps_its_version, registry::grace_waits_for_short_readers,
            // registry::grace_brings_the_reads_along.
            let publish = ordering(Ordering::AcqRel, Planted::WeakGrace);
            registry.grace.reached.fetch_max(target, publish);
        });
    }
}

/// An open snapshot. Dropping it closes it.
#[derive(Debug)]
pub(crate) struct Registration {
    registry: Arc<Registry>,
    at: Stamp,
    slot: Option<usize>,
}

impl Registration {
    pub(crate) fn at(&self) -> Stamp {
        self.at
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.registry.release(self);
    }
}

/// What may be forgotten: the grace, and the snapshots that were open after it was loaded.
#[derive(Debug)]
pub(crate) struct Horizon {
    grace: Stamp,
    /// Ascending, each once.
    snapshots: SmallVec<[Stamp; 4]>,
}

impl Horizon {
    /// The stamps at which snapshots are open, ascending, each once.
    pub(crate) fn snapshots(&self) -> &[Stamp] {
        &self.snapshots
    }

    /// Whether a snapshot is open that may see what was superseded.
    pub(crate) fn has_snapshots(&self) -> bool {
        !self.snapshots.is_empty()
    }

    /// The newest stamp at which a snapshot is open.
    pub(crate) fn newest_snapshot(&self) -> Option<Stamp> {
        self.snapshots.last().copied()
    }

    /// Whether what was superseded at `until` can be reached by nobody.
    pub(crate) fn is_past(&self, until: Stamp) -> bool {
        !self.waits(until) && self.snapshots.first().is_none_or(|oldest| until <= *oldest)
    }

    /// Whether a short reader may still need what was superseded at `until`.
    pub(crate) fn waits(&self, until: Stamp) -> bool {
        until > self.grace
    }

    /// Whether an open snapshot sees the version that was current from `from` until `until`.
    pub(crate) fn holds(&self, from: Stamp, until: Stamp) -> bool {
        let first = self
            .snapshots
            .partition_point(|at| *at < from || (planted(Planted::HeldTooLittle) && *at == from));
        self.snapshots.get(first).is_some_and(|at| *at < until)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
