//! The memory of an engine: how much may be in use, how much is, and making room.
//!
//! Whatever a commit is going to keep is charged before anything of it is linked: to the stripes of
//! its keys, and to the meters of what belongs to none (`mvcc::quota`). So a commit that is refused
//! leaves nothing behind, whichever of its keys the memory did not suffice for; it unlocks, room is
//! made, and it begins again. What frees memory in the end, a tombstone, is never refused.

use super::{Engine, deferred};
use crate::error::{Error, Result};
use crate::mvcc::quota::{Meter, Quota};
use crate::sync::{epoch, pause};
use std::sync::Arc;
use std::time::Duration;

/// How long a commit that was refused waits, turn by turn, until garbage that waits for others can go:
/// at first it only lets them go first. What it waits for is a thread that is pinned and off its
/// processor, of which there can be several. Altogether a quarter of a second.
const TURNS: [(u32, Duration); 3] = [
    (16, Duration::ZERO),
    (100, Duration::from_micros(100)),
    (240, Duration::from_millis(1)),
];

/// What is in use and belongs to no stripe, by what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The ordered index.
    Index,
    Messages,
    /// The changes that are kept for those who follow them.
    Changes,
}

/// What an engine may have in use, and what has a meter of its own.
#[derive(Debug)]
pub(super) struct Memory {
    quota: Arc<Quota>,
    meters: [Arc<Meter>; 3],
    stripe_count: usize,
}

impl Memory {
    pub(super) fn new(limit: u64, stripe_bits: u32) -> Self {
        let stripe_count = 1 << stripe_bits;
        let quota = Arc::new(Quota::new(limit, stripe_count));
        Self {
            meters: std::array::from_fn(|_| Meter::new(&quota)),
            quota,
            stripe_count,
        }
    }

    pub(super) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    pub(super) fn meter(&self, kind: Kind) -> &Arc<Meter> {
        &self.meters[kind as usize]
    }

    pub(super) fn is_limited(&self) -> bool {
        self.quota.limit() < u64::MAX
    }
}

impl Engine {
    /// How many bytes may be in use, if that is limited.
    pub(crate) fn memory_limit(&self) -> Option<usize> {
        (self.memory.is_limited())
            .then(|| usize::try_from(self.memory.quota.limit()).unwrap_or(usize::MAX))
    }

    /// Changes how many bytes may be in use, and takes back what the stripes have drawn.
    pub(crate) fn set_memory_limit(&self, limit: Option<usize>) {
        let limit = limit.map_or(u64::MAX, |limit| limit as u64);
        self.memory.quota.set_limit(limit, self.memory.stripe_count);
        self.sweep_and_recall();
    }

    /// Makes an attempt at a commit. Where the memory limit refuses it, room is made, and another
    /// attempt.
    ///
    /// An attempt that is refused has changed nothing. The caller holds no lock and is not pinned.
    #[inline]
    pub(super) fn with_room<R>(&self, mut attempt: impl FnMut() -> Result<R>) -> Result<R> {
        match attempt() {
            Err(refused) => self.try_again(refused, attempt),
            done => done,
        }
    }

    /// Makes another attempt where one was refused by the memory limit, after room was made.
    #[cold]
    pub(super) fn try_again<R>(
        &self,
        refused: Error,
        mut attempt: impl FnMut() -> Result<R>,
    ) -> Result<R> {
        let mut refused = refused;
        let latest = self.latest();
        // Where the caller is pinned, the grace waits for the caller.
        let is_waiting = !epoch::is_pinned();
        let turns = TURNS
            .iter()
            .flat_map(|(count, pause)| (0..*count).map(move |_| *pause));
        for length in turns {
            if refused.memory_wanted().is_none() {
                return Err(refused);
            }
            // Before the sweep, which goes by it.
            let is_reached = self.registry.grace() >= latest;
            let is_swept = self.sweep_and_recall() && is_reached;
            match attempt() {
                Err(again) => refused = again,
                done => return done,
            }
            if is_swept || !is_waiting {
                // What is left is in use, or held by a snapshot.
                break;
            }
            pause(length);
        }
        let Some(wanted) = refused.memory_wanted() else {
            return Err(refused);
        };
        let (used, limit) = (self.memory_use().total(), self.memory.quota.limit());
        Err(Error::memory_limit_reached(wanted, used, limit))
    }

    /// Forgets what can be forgotten, and takes back what the stripes have drawn and do not use.
    /// Whether the epoch has run all that it was handed.
    fn sweep_and_recall(&self) -> bool {
        self.sweep();
        let is_run = deferred::run_all();
        self.ripe.free();
        self.registry.advance_grace(&self.counter, &epoch::pin());
        for stripe in 0..self.stripes.count() {
            self.stripes.lock_one(stripe).share.give_back();
        }
        is_run
    }
}
