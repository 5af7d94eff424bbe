//! What each thread of the churn counts, and what it has come to.

use super::run_queue::{Times, Took};
use super::stops::Longs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Faults that are told with what they are.
const TOLD_MAX: usize = 8;

/// What must not happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// A value that is of another key, or torn, or half a commit, or a snapshot that changes.
    Value,
    /// A commit that was refused although no snapshot was open.
    Refused,
    /// An error of any other kind, or of a commit that only deletes.
    Error,
}

/// Faults of each kind, and what the first of them were.
#[derive(Clone, Debug, Default)]
pub(super) struct Faults {
    pub(super) counts: [u64; 3],
    pub(super) told: Vec<String>,
}

impl Faults {
    pub(super) fn note(&mut self, fault: Fault, what: String) {
        self.counts[fault as usize] += 1;
        if self.told.len() < TOLD_MAX {
            self.told.push(what);
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.told.extend(other.told);
        self.told.truncate(TOLD_MAX);
    }
}

/// What a thread counts while it works. It alone writes to it, but for whoever takes the worst.
#[repr(align(128))]
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Reads, and commits that took effect.
    pub(super) done: AtomicU64,
    pub(super) conflicts: AtomicU64,
    /// Commits that were refused while much was garbage, which snapshots keep.
    pub(super) held: AtomicU64,
    /// And those that were although it was not.
    pub(super) refused: AtomicU64,
    /// Nanoseconds in the run queue.
    pub(super) queued: AtomicU64,
    /// The longest commits since somebody has asked, in nanoseconds.
    pub(super) worst_wall: AtomicU64,
    pub(super) worst_own: AtomicU64,
    pub(super) worst_ran: AtomicU64,
    /// The most that this thread has seen in use, in bytes.
    pub(super) peak: AtomicU64,
}

impl Counts {
    pub(super) fn count(counter: &AtomicU64) {
        // One thread writes, so this loses nothing.
        counter.store(counter.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// As `fetch_max`, which is only for the few that are among the longest.
    pub(super) fn note_longest(&self, took: Took) {
        for (worst, took) in [
            (&self.worst_wall, took.wall),
            (&self.worst_own, took.own),
            (&self.worst_ran, took.ran),
        ] {
            if worst.load(Ordering::Relaxed) < nanos(took) {
                worst.fetch_max(nanos(took), Ordering::Relaxed);
            }
        }
    }
}

/// What a thread has come to.
#[derive(Clone, Debug)]
pub(super) struct Tally {
    /// Commits that took effect, or conflicted.
    pub(super) committed: Times,
    pub(super) refused: Times,
    pub(super) read: Times,
    /// The commits that took long.
    pub(super) longs: Longs,
    pub(super) snapshots: u64,
    pub(super) faults: Faults,
    pub(super) is_queue_told: bool,
}

impl Tally {
    pub(super) fn new() -> Self {
        Self {
            committed: Times::new(),
            refused: Times::new(),
            read: Times::new(),
            longs: Longs::default(),
            snapshots: 0,
            faults: Faults::default(),
            is_queue_told: true,
        }
    }

    pub(super) fn add(&mut self, other: Self) {
        self.committed.add(&other.committed);
        self.refused.add(&other.refused);
        self.read.add(&other.read);
        self.longs.0.extend(other.longs.0);
        self.snapshots += other.snapshots;
        self.faults.add(other.faults);
        self.is_queue_told &= other.is_queue_told;
    }

    /// The worst of all commits, also of those that were refused.
    pub(super) fn worst(&self) -> Took {
        self.committed.worst.max(self.refused.worst)
    }
}

pub(super) fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
