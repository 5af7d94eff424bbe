//! Counting without a lock, and without writing what others write.
//!
//! A thread that has a number (`sync::numbers`) has a cell of its own in every tally, and counts there
//! by a load and a store. All who have none, or a larger one than there are cells, count by
//! read-modify-writes in one cell that they share. So no count is lost, and whoever adds them up after
//! it has heard of what was counted finds it.

use crate::sync::{AtomicU64, CachePadded, Ordering, Planted, planted};

/// Counts of `N` kinds.
#[derive(Debug)]
pub(crate) struct Tally<const N: usize> {
    /// Each on lines of its own: that of the thread with this number.
    own: Box<[CachePadded<Cell<N>>]>,
    shared: Box<CachePadded<Cell<N>>>,
}

#[derive(Debug)]
struct Cell<const N: usize>([AtomicU64; N]);

impl<const N: usize> Cell<N> {
    fn new() -> CachePadded<Self> {
        CachePadded::new(Self(std::array::from_fn(|_| AtomicU64::new(0))))
    }

    fn add(&self, kind: usize, count: u64) {
        // ORDERING: Relaxed. A count publishes nothing.
        self.0[kind].fetch_add(count, Ordering::Relaxed);
    }

    /// The same for the only one who counts in this cell.
    #[inline]
    fn add_own(&self, kind: usize, count: u64) {
        let cell = &self.0[kind];
        // ORDERING: Relaxed. Nobody else changes it now, and what whoever had the number before has
        // counted is brought by NUMBERED. MODEL: tally::number_is_handed_on_with_its_count.
        let counted = cell.load(Ordering::Relaxed).wrapping_add(count);
        // ORDERING: Relaxed, as above.
        cell.store(counted, Ordering::Relaxed);
    }
}

impl<const N: usize> Tally<N> {
    /// With cells for threads whose numbers are below this.
    pub(crate) fn new(own: usize) -> Self {
        Self {
            own: (0..own).map(|_| Cell::new()).collect(),
            shared: Box::new(Cell::new()),
        }
    }

    /// Counts for the thread that has this number now; `false` where that has no cell.
    #[inline]
    pub(crate) fn count_own(&self, number: usize, kind: usize, count: u64) -> bool {
        if let Some(cell) = self.own.get(number) {
            cell.add_own(kind, count);
            return true;
        }
        false
    }

    /// Counts for a thread that has no cell.
    pub(crate) fn count_shared(&self, kind: usize, count: u64) {
        if planted(Planted::UnsharedCount) {
            self.shared.add_own(kind, count);
            return;
        }
        // MODEL: tally::those_without_a_number_lose_no_count.
        self.shared.add(kind, count);
    }

    /// What has been counted of each kind.
    pub(crate) fn counts(&self) -> [u64; N] {
        let mut counts = [0_u64; N];
        for cell in self.own.iter().chain([&*self.shared]) {
            for (sum, count) in counts.iter_mut().zip(&cell.0) {
                // ORDERING: Relaxed. A count publishes nothing.
                *sum = sum.wrapping_add(count.load(Ordering::Relaxed));
            }
        }
        counts
    }
}
