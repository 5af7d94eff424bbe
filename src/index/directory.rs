//! The directory of the leaves: each of them by its low key, but for the first one.
//!
//! A lock-free skiplist, in `crossbeam_skiplist`'s `base` form under the caller's epoch guard.
//! (`SkipMap` counts references, so each of its reads writes to shared memory.) This is the only
//! file that names that crate. Release 0.1.3 has known defects, and the directory is used so as not
//! to meet them:
//!
//! - inserting over a present key hides the key for a while (crossbeam#1023): a leaf is inserted by
//!   the holder of the lock of the leaf before it, at a key at which there is none;
//! - `range` on counted entries leaks one count a step (crossbeam#1178): it is not used;
//! - two removers of one key may both win (crossbeam#1143): a leaf is removed by the holder of its
//!   lock, once.

use crate::mvcc::leaf::{LeafPtr, LeafRef};
use crate::sync::epoch::{self, Guard};
use crossbeam_skiplist::base::SkipList;
use std::borrow::Borrow;
use std::cmp;
use std::ops::Bound;

/// A longer key is on the heap. With this, a node's key takes 48 bytes.
const INLINE_BYTES: usize = 31;

/// How much of a key is compared as one number.
const HEAD_BYTES: usize = 16;

/// In the place of a length: the key is on the heap.
const LONG: u8 = u8::MAX;

/// The lowest key of a leaf.
struct Low {
    long: Option<Box<[u8]>>,
    len: u8,
    inline: [u8; INLINE_BYTES],
}

impl Low {
    fn new(key: &[u8]) -> Self {
        let mut inline = [0; INLINE_BYTES];
        let inline_len = key.len().min(INLINE_BYTES);
        inline[..inline_len].copy_from_slice(&key[..inline_len]);
        let len = u8::try_from(key.len()).ok();
        let len = len.filter(|len| usize::from(*len) <= INLINE_BYTES);
        Self {
            long: len.is_none().then(|| Box::from(key)),
            len: len.unwrap_or(LONG),
            inline,
        }
    }

    /// As [`head_of`] the key.
    fn head(&self) -> u128 {
        head_of(&self.inline)
    }

    fn key(&self) -> &[u8] {
        // No inline key is as long as `LONG`, so that one is out of the array's bounds.
        let inline = self.inline.get(..usize::from(self.len));
        inline.unwrap_or_else(|| self.long.as_deref().unwrap_or_default())
    }
}

/// The first bytes of a key as a number, padded with zeros. Where two of them differ, they are
/// ordered as their keys are; a search compares many keys, and this saves the call.
fn head_of(key: &[u8]) -> u128 {
    let head = key.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; HEAD_BYTES];
        padded[..key.len()].copy_from_slice(key);
        padded
    });
    u128::from_be_bytes(head)
}

impl Borrow<[u8]> for Low {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl PartialEq for Low {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Low {}

impl PartialOrd for Low {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Low {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.head()
            .cmp(&other.head())
            .then_with(|| self.key().cmp(other.key()))
    }
}

/// What a node takes of the heap on average, a long key apart: a key, a pointer, a word of counts,
/// and a tower of two levels.
pub(super) const NODE_BYTES: usize = size_of::<Low>() + 4 * size_of::<usize>();

/// The leaves in the order of their keys.
pub(super) struct Directory<T> {
    list: SkipList<Low, LeafPtr<T>>,
}

impl<T: Send + Sync + 'static> Directory<T> {
    pub(super) fn new() -> Self {
        Self {
            list: SkipList::new(epoch::default_collector().clone()),
        }
    }

    /// Adds a leaf. Expected logarithmic time.
    pub(super) fn insert(&self, leaf: LeafRef<'_, T>, guard: &Guard) {
        self.list
            .get_or_insert(Low::new(leaf.low()), leaf.ptr(), guard)
            .release(guard);
    }

    /// Takes a leaf out, by its low key. Expected logarithmic time.
    pub(super) fn remove(&self, low: &[u8], guard: &Guard) {
        let removed = self
            .list
            .get(low, guard)
            .is_some_and(|entry| entry.remove());
        debug_assert!(removed, "a leaf is removed once");
    }

    /// The last leaf whose low key is not above a key, unless that is the first leaf. Expected
    /// logarithmic time.
    pub(super) fn floor<'g>(&self, key: &[u8], guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        let found = if key.len() <= INLINE_BYTES {
            // Compared as numbers.
            let key = Low::new(key);
            self.list.upper_bound(Bound::Included(&key), guard)
        } else {
            self.list.upper_bound(Bound::Included(key), guard)
        };
        found.map(|entry| entry.value().get(guard))
    }

    /// The last leaf whose low key is below a key, or the last of all, unless that is the first
    /// leaf. Expected logarithmic time.
    pub(super) fn below<'g>(&self, key: Option<&[u8]>, guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        let bound = key.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.list.upper_bound(bound, guard);
        found.map(|entry| entry.value().get(guard))
    }
}
