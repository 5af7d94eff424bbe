//! How much garbage waits, and what it waits for.
//!
//! Some comes back by itself, as soon as the grace has passed: what was evicted, or has expired. Some does
//! not before a snapshot is closed. Whoever makes room goes by both: what comes back anyway need not
//! be made room for again, and to delete what a snapshot sees makes none. Each stripe counts its own
//! behind its lock, and tells the engine where that has changed.

use crate::sync::{AtomicU64, CachePadded, Ordering};
use std::mem;

/// What garbage waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WaitsFor {
    /// A commit, which takes it along. Nobody asks how much that is.
    Commit,
    /// The grace, and then whoever evicts, or the background.
    Grace,
    /// A snapshot to be closed.
    Snapshot,
}

/// What has changed in a stripe of what waits there, in bytes, modulo 2^64. Lives behind the stripe's
/// lock.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    changes: [u64; 2],
}

impl Waiting {
    fn of(&mut self, what: WaitsFor) -> Option<&mut u64> {
        match what {
            WaitsFor::Commit => None,
            WaitsFor::Grace => Some(&mut self.changes[0]),
            WaitsFor::Snapshot => Some(&mut self.changes[1]),
        }
    }

    #[inline]
    pub(super) fn add(&mut self, what: WaitsFor, bytes: usize) {
        if let Some(change) = self.of(what) {
            *change = change.wrapping_add(bytes as u64);
        }
    }

    #[inline]
    pub(super) fn remove(&mut self, what: WaitsFor, bytes: usize) {
        if let Some(change) = self.of(what) {
            *change = change.wrapping_sub(bytes as u64);
        }
    }
}

/// How much waits in an engine, in bytes: what its stripes have told.
#[derive(Debug, Default)]
pub(super) struct WaitingBytes {
    bytes: [CachePadded<AtomicU64>; 2],
}

impl WaitingBytes {
    /// Takes over what has changed in a stripe, which is locked.
    #[inline]
    pub(super) fn tell(&self, waiting: &mut Waiting) {
        if waiting.changes != [0; 2] {
            self.tell_changes(waiting);
        }
    }

    fn tell_changes(&self, waiting: &mut Waiting) {
        for (all, change) in self.bytes.iter().zip(mem::take(&mut waiting.changes)) {
            if change != 0 {
                // ORDERING: statistic.
                all.fetch_add(change, Ordering::Relaxed);
            }
        }
    }

    /// How much comes back by itself.
    pub(super) fn for_grace(&self) -> u64 {
        // ORDERING: statistic.
        self.bytes[0].load(Ordering::Relaxed)
    }

    /// How much is held by snapshots.
    pub(super) fn for_snapshots(&self) -> u64 {
        // ORDERING: statistic.
        self.bytes[1].load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::{Waiting, WaitingBytes, WaitsFor};

    #[test]
    fn an_engine_knows_what_waits_in_all_of_its_stripes() {
        let all = WaitingBytes::default();
        let mut stripes = [Waiting::default(), Waiting::default()];
        stripes[0].add(WaitsFor::Grace, 100);
        stripes[1].add(WaitsFor::Grace, 20);
        stripes[1].add(WaitsFor::Snapshot, 3);
        stripes[1].add(WaitsFor::Commit, 1_000);
        let tell = |stripes: &mut [Waiting; 2]| {
            for waiting in stripes {
                all.tell(waiting);
            }
            (all.for_grace(), all.for_snapshots())
        };
        assert_eq!(tell(&mut stripes), (120, 3));
        assert_eq!(tell(&mut stripes), (120, 3));
        stripes[0].remove(WaitsFor::Grace, 100);
        stripes[0].add(WaitsFor::Snapshot, 100);
        stripes[1].remove(WaitsFor::Commit, 1_000);
        assert_eq!(tell(&mut stripes), (20, 103));
    }
}
