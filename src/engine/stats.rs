//! The numbers to watch.

use super::Engine;
use super::memory::Kind;
use crate::sync::{number_thread, thread_number};
use crate::version::Stamp;

/// What is in use, in bytes, by what it is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MemoryUse {
    /// Records and versions, and what is kept for each stripe: the point index, what waits to be
    /// forgotten, deadlines.
    pub(crate) entries: u64,
    /// The ordered index.
    pub(crate) index: u64,
    pub(crate) messages: u64,
    /// Changes for those who follow them.
    pub(crate) changes: u64,
    /// What is noted to tell which entries are to be evicted.
    pub(crate) policy: u64,
}

impl MemoryUse {
    pub(crate) fn total(&self) -> u64 {
        self.entries + self.index + self.messages + self.changes + self.policy
    }
}

/// What one stripe counts, or all of them together. Kept under the stripes' locks, so counting
/// costs a commit nothing but a few additions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Keys that have a value.
    pub(crate) entry_count: usize,
    /// Versions that have not been freed, tombstones included.
    pub(crate) version_count: usize,
    /// Those among them that are not the newest of their key, and tombstones, in bytes.
    pub(crate) garbage_bytes: usize,
    /// Commits that took effect.
    pub(crate) commit_count: u64,
    /// Commits that did not, because a check failed.
    pub(crate) conflict_count: u64,
    /// Entries that were deleted because they had expired.
    pub(crate) expired_count: u64,
    /// Entries that were evicted, by the reason.
    pub(crate) evicted: [u64; 3],
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.entry_count += other.entry_count;
        self.version_count += other.version_count;
        self.garbage_bytes += other.garbage_bytes;
        self.commit_count += other.commit_count;
        self.conflict_count += other.conflict_count;
        self.expired_count += other.expired_count;
        for (count, other) in self.evicted.iter_mut().zip(other.evicted) {
            *count += other;
        }
    }
}

/// What point reads have come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct ReadCounts {
    pub(crate) hits: u64,
    pub(crate) misses: u64,
}

impl ReadCounts {
    pub(crate) fn add(&mut self, is_hit: bool) {
        self.hits += u64::from(is_hit);
        self.misses += u64::from(!is_hit);
    }
}

/// What is counted of point reads. All of them rather than the hits: that takes an instruction or two less.
const ALL: usize = 0;
const MISSES: usize = 1;

impl Engine {
    /// Counts a point read.
    #[inline]
    pub(crate) fn count_read(&self, is_hit: bool) {
        if !self.reads.count_own(thread_number(), ALL, 1) {
            self.count_shared_read(ALL, 1);
        }
        if !is_hit {
            self.count_miss(1);
        }
    }

    /// Counts point reads.
    pub(crate) fn count_reads(&self, counts: ReadCounts) {
        let count = counts.hits + counts.misses;
        if !self.reads.count_own(thread_number(), ALL, count) {
            self.count_shared_read(ALL, count);
        }
        self.count_miss(counts.misses);
    }

    #[inline(never)]
    fn count_miss(&self, count: u64) {
        if !self.reads.count_own(thread_number(), MISSES, count) {
            self.count_shared_read(MISSES, count);
        }
    }

    #[cold]
    fn count_shared_read(&self, kind: usize, count: u64) {
        number_thread();
        self.reads.count_shared(kind, count);
    }

    /// What point reads have come to so far.
    pub(crate) fn read_counts(&self) -> ReadCounts {
        let counts = self.reads.counts();
        ReadCounts {
            // A miss may be counted between the looks at the two.
            hits: counts[ALL].saturating_sub(counts[MISSES]),
            misses: counts[MISSES],
        }
    }

    /// The counts of all stripes. Locks them one after the other: commits go on meanwhile, so the
    /// sums are of about now.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for stripe in 0..self.stripes.count() {
            counts.add(&self.stripes.lock_one(stripe).counts);
        }
        counts.commit_count += self.queues.commit_count();
        counts
    }

    /// How many keys are watched, and how many watches there are of them, in sum.
    pub(crate) fn watched(&self) -> (usize, usize) {
        (0..self.stripes.count())
            .map(|stripe| self.stripes.lock_one(stripe).watched())
            .fold((0, 0), |(keys, watches), (more_keys, more_watches)| {
                (keys + more_keys, watches + more_watches)
            })
    }

    /// How many bytes are in use of each kind.
    pub(crate) fn memory_use(&self) -> MemoryUse {
        let mut used = 0_u64;
        for stripe in 0..self.stripes.count() {
            let share = &mut self.stripes.lock_one(stripe).share;
            share.collect();
            used = used.wrapping_add(share.used());
        }
        let of = |kind| self.memory.meter(kind).used();
        let mut memory = MemoryUse {
            // While others commit, what one stripe was charged for may be given back to another that
            // was looked at before, and be charged to a third.
            entries: i64::try_from(used).map_or(0, |_| used),
            index: of(Kind::Index),
            messages: of(Kind::Messages),
            changes: of(Kind::Changes),
            policy: of(Kind::Policy),
        };
        let beyond = memory.total().saturating_sub(self.memory.quota().taken());
        memory.entries = memory.entries.saturating_sub(beyond);
        memory
    }

    /// How many commits were decided by somebody who met them, and not by their writers.
    pub(crate) fn helped_count(&self) -> u64 {
        self.counter.helped_count()
    }

    /// How many snapshots are open, lists over several batches and transactions included, and the
    /// oldest of their stamps.
    pub(crate) fn open_snapshots(&self) -> (usize, Option<Stamp>) {
        (self.registry.open_count(), self.registry.oldest())
    }
}
