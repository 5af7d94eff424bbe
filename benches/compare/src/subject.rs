//! A store with entries in it, and what is known of them.

use crate::keys::{self, Permutation};
use crate::store::Store;
use parking_lot::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

/// What every value is made of. The balances in them are large.
static VALUE: [u8; 1_024] = [b'v'; 1_024];

pub(crate) fn value(bytes: u32) -> &'static [u8] {
    &VALUE[..bytes as usize]
}

pub(crate) struct Subject<S: Store> {
    pub(crate) store: S,
    pub(crate) size: u32,
    pub(crate) value: &'static [u8],
    permutation: Permutation,
    next_inserted: AtomicU32,
    next_deleted: AtomicU32,
    /// What was inserted and is still there.
    inserted: Mutex<Vec<u32>>,
}

impl<S: Store> Subject<S> {
    /// Filled in random order, so that neighbours in the order of the keys are none in memory.
    pub(crate) fn filled(size: u32, value: &'static [u8]) -> Self {
        Self::fill(S::open(size), size, value)
    }

    /// The same, in a store that holds no more than these entries.
    pub(crate) fn limited(size: u32, value: &'static [u8]) -> Self {
        Self::fill(S::open_limited(size), size, value)
    }

    fn fill(store: S, size: u32, value: &'static [u8]) -> Self {
        let permutation = Permutation::new(size);
        let keys = permutation.iter().map(|index| S::key(&keys::entry(index)));
        store.fill(keys, value);
        store.settle();
        Self {
            store,
            size,
            value,
            permutation,
            next_inserted: AtomicU32::new(0),
            next_deleted: AtomicU32::new(0),
            inserted: Mutex::default(),
        }
    }

    /// So many keys that were never there.
    pub(crate) fn draw_inserted(&self, count: u32, mut draw: impl FnMut(u32, S::Key)) {
        let first = self.next_inserted.fetch_add(count, Ordering::Relaxed);
        for number in first..first + count {
            draw(number, S::key(&keys::inserted(number, self.size)));
        }
    }

    pub(crate) fn keep_inserted(&self, numbers: &mut Vec<u32>) {
        self.inserted.lock().append(numbers);
    }

    /// Deletes what was inserted, which brings the store back to its size.
    pub(crate) fn forget_inserted(&self) {
        let numbers = std::mem::take(&mut *self.inserted.lock());
        self.forget(&numbers);
        self.store.settle();
    }

    pub(crate) fn forget(&self, numbers: &[u32]) {
        for number in numbers {
            let key = S::key(&keys::inserted(*number, self.size));
            self.store.delete(&key);
        }
    }

    /// The keys of so many entries that nobody else is given meanwhile.
    pub(crate) fn draw_deleted(&self, count: u32, keys: &mut Vec<S::Key>) {
        let first = self.next_deleted.fetch_add(count, Ordering::Relaxed);
        let numbers = (first..).take(count as usize);
        let indexes = numbers.map(|number| self.permutation.of(number % self.size));
        keys.extend(indexes.map(|index| S::key(&keys::entry(index))));
    }
}
