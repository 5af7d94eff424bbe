//! Whether anybody is at something, of which more may come (BUSY).
//!
//! Who finds nothing where others take from asks whether somebody is at it still. If not, whatever came of
//! it before is there to be found.

use crate::sync::{AtomicU64, Ordering, Planted, ordering};

/// How many are at it.
#[derive(Debug)]
pub(crate) struct Busy(AtomicU64);

/// Somebody is at it, until this is dropped.
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub(crate) struct AtWork<'b>(&'b Busy);

impl Busy {
    pub(crate) fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// To be called before anything is taken.
    pub(crate) fn begin(&self) -> AtWork<'_> {
        // ORDERING: Relaxed. Whoever finds that something has been taken was told so by who took it, after
        // this, by the lock under which that was.
        self.0.fetch_add(1, Ordering::Relaxed);
        AtWork(self)
    }

    /// Whether anybody is; asked after nothing was found.
    pub(crate) fn is_at_work(&self) -> bool {
        // ORDERING: BUSY: Acquire, with the Release of who is done: what came of it is there. Every change
        // of the number is a read-modify-write, so that of the last one brings those before it along.
        // MODEL: busy::nothing_is_left_where_nobody_is_at_work.
        self.0.load(Ordering::Acquire) > 0
    }
}

impl Drop for AtWork<'_> {
    fn drop(&mut self) {
        // ORDERING: BUSY: Release, as in `is_at_work`.
        let publish = ordering(Ordering::Release, Planted::WeakBusy);
        self.0.0.fetch_sub(1, publish);
    }
}
