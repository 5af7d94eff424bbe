//! A number that is for people to look at.

use super::Ordering;
use std::sync::atomic::AtomicU64;

/// A count of what happens seldom. Nothing is decided by it, so it is the same in a model and in a
/// simulation, which do not explore it.
#[derive(Debug, Default)]
pub(crate) struct Statistic(AtomicU64);

impl Statistic {
    pub(crate) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(crate) fn count(&self) {
        // ORDERING: Relaxed. A count publishes nothing.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        // ORDERING: Relaxed, as above.
        self.0.load(Ordering::Relaxed)
    }
}
