//! The directory of the leaves for Miri and for the models: a map behind a lock, in the place of the
//! skiplist.
//!
//! Release 0.1.3 of the skiplist frees its nodes through pointers that Miri does not allow for that
//! (crossbeam#878), and it does not run under loom. With this, everything above and below the
//! directory runs there. Its lock orders more than the skiplist does, so the models of the index
//! prove the protocol; what it hides of orderings is modelled on the leaves alone.

use crate::mvcc::leaf::{LeafPtr, LeafRef};
use crate::sync::Mutex;
use crate::sync::epoch::Guard;
use std::collections::BTreeMap;
use std::ops::Bound;

/// As for the skiplist, so that accounts agree.
pub(super) const NODE_BYTES: usize = 32 + 4 * size_of::<usize>();

/// The leaves in the order of their keys.
pub(super) struct Directory<T> {
    leaves: Mutex<BTreeMap<Vec<u8>, LeafPtr<T>>>,
}

impl<T: Send + Sync + 'static> Directory<T> {
    pub(super) fn new() -> Self {
        Self {
            leaves: Mutex::new(BTreeMap::new()),
        }
    }

    pub(super) fn insert(&self, leaf: LeafRef<'_, T>, _: &Guard) {
        let present = self.leaves.lock().insert(leaf.low().to_vec(), leaf.ptr());
        assert!(present.is_none(), "a leaf is inserted where there is none");
    }

    pub(super) fn remove(&self, low: &[u8], _: &Guard) -> bool {
        self.leaves.lock().remove(low).is_some()
    }

    pub(super) fn floor<'g>(&self, key: &[u8], guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        self.last(Bound::Included(key), guard)
    }

    pub(super) fn below<'g>(&self, key: Option<&[u8]>, guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        self.last(key.map_or(Bound::Unbounded, Bound::Excluded), guard)
    }

    fn last<'g>(&self, bound: Bound<&[u8]>, guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        let leaves = self.leaves.lock();
        let mut range = leaves.range::<[u8], _>((Bound::Unbounded, bound));
        range.next_back().map(|(_, leaf)| leaf.get(guard))
    }
}
