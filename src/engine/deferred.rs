//! Making the epoch run what it was handed.
//!
//! What a reader may still stand on is freed through the epoch: the records and leaves of deleted
//! keys, arrays that new keys have replaced, and versions from the middle of a chain. The epoch runs
//! such work when a thread flushes, in the order in which it was handed over, and only a few hundred
//! pieces each time. So whoever hands it more has to flush more often, or the work piles up, and the
//! raises of the grace wait behind it; and when an engine goes idle, somebody has to go on until all
//! of it is done.

use crate::sync::epoch::{self, Guard};
use crate::sync::{AtomicBool, AtomicU64, CachePadded, Ordering};
use std::sync::Arc;

/// How much a flush can be relied on to run. It is eight bags of up to 64 pieces, some of which are
/// handed over before they are full.
const PIECES_OF_A_FLUSH: u64 = 256;

/// How often to flush until all is done. Three times do where no other thread is pinned and little
/// waits; a thousand times this many pieces are done in this many turns.
const TURNS_MAX: usize = 64;

/// How much has been handed to the epoch since the last flush. On a line of its own: what lies beside
/// it in the engine is read by every reader.
#[derive(Debug)]
pub(super) struct Deferred {
    pieces: CachePadded<AtomicU64>,
}

impl Deferred {
    pub(super) fn new() -> Self {
        Self {
            pieces: CachePadded::new(AtomicU64::new(0)),
        }
    }

    /// So much was handed to the epoch.
    pub(super) fn add(&self, pieces: u64) {
        // ORDERING: Relaxed. The number only says how often to flush.
        self.pieces.fetch_add(pieces, Ordering::Relaxed);
    }

    /// Whether a flush would have a lot to run.
    pub(super) fn is_due(&self) -> bool {
        // ORDERING: Relaxed, as above.
        self.pieces.load(Ordering::Relaxed) >= PIECES_OF_A_FLUSH
    }

    /// Lets the epoch run about as much as it has been handed since the last time. The caller
    /// holds no lock: what is run includes what the caller's values do when they are dropped.
    pub(super) fn flush(&self, guard: &Guard) {
        // ORDERING: Relaxed, as above. Most often there is nothing to take, and nothing is written.
        let pieces = match self.pieces.load(Ordering::Relaxed) {
            0 => 0,
            // ORDERING: Relaxed, as above.
            _ => self.pieces.swap(0, Ordering::Relaxed),
        };
        for _ in 0..=pieces / PIECES_OF_A_FLUSH {
            guard.flush();
        }
    }
}

/// Lets the epoch run all that this thread has handed to it, and all that waits before that.
/// Whether it has: not where a thread is pinned for long. The caller is not pinned.
pub(super) fn run_all() -> bool {
    let is_done = Arc::new(AtomicBool::new(false));
    let tell = Arc::clone(&is_done);
    // ORDERING: Relaxed. Nothing but memory depends on it, and whoever frees that is ordered after
    // its last use by the epoch.
    epoch::pin().defer(move || tell.store(true, Ordering::Relaxed));
    for _ in 0..TURNS_MAX {
        // The epoch goes on by one with each pin.
        epoch::pin().flush();
        // ORDERING: Relaxed, as above.
        if is_done.load(Ordering::Relaxed) {
            return true;
        }
    }
    false
}
