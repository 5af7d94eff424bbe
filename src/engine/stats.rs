//! The numbers to watch.

use super::Engine;
use crate::version::Stamp;

/// What one stripe counts, or all of them together. Kept under the stripes' locks, so counting
/// costs a commit nothing but a few additions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Keys that have a value.
    pub(crate) entry_count: usize,
    /// Versions that have not been freed, tombstones included.
    pub(crate) version_count: usize,
    /// Records and versions on the heap, with the slots of the ordered index.
    pub(crate) bytes: usize,
    /// Commits that took effect.
    pub(crate) commit_count: u64,
    /// Commits that did not, because a check failed.
    pub(crate) conflict_count: u64,
    /// Entries that were deleted because they had expired.
    pub(crate) expired_count: u64,
}

impl Counts {
    fn add(&mut self, other: &Self) {
        self.entry_count += other.entry_count;
        self.version_count += other.version_count;
        self.bytes += other.bytes;
        self.commit_count += other.commit_count;
        self.conflict_count += other.conflict_count;
        self.expired_count += other.expired_count;
    }
}

impl Engine {
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

    /// How many snapshots are open, lists over several batches and transactions included, and the
    /// oldest of their stamps.
    pub(crate) fn open_snapshots(&self) -> (usize, Option<Stamp>) {
        (self.registry.open_count(), self.registry.oldest())
    }
}
