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

use crate::mvcc::leaf::{LeafPtr, LeafRef, beginning_of};
use crate::sync::epoch::{self, Guard};
use crossbeam_skiplist::base::SkipList;
use std::borrow::Borrow;
use std::cmp;
use std::ops::Bound;

/// A longer key is read from its leaf. With this, a node takes 40 bytes of its own.
const INLINE_BYTES: usize = 31;

/// In the place of a length: the key is in the leaf alone.
const LONG: u8 = u8::MAX;

/// A leaf in the list, ordered by its low key; or a short key that is looked for, without a leaf.
///
/// A leaf that has left the list may still be linked at an upper level for a moment. A search never
/// compares such a node's key without having seen it unmarked under its own guard, and the leaf is
/// retired after that mark.
struct Node<T> {
    leaf: Option<LeafPtr<T>>,
    len: u8,
    inline: [u8; INLINE_BYTES],
}

impl<T> Node<T> {
    fn new(key: &[u8], leaf: Option<LeafPtr<T>>) -> Self {
        let len = u8::try_from(key.len()).ok();
        let len = len.filter(|len| usize::from(*len) <= INLINE_BYTES);
        Self {
            leaf,
            len: len.unwrap_or(LONG),
            inline: beginning_of(key),
        }
    }

    /// The first bytes of the key as a number, padded with zeros. Where two of them differ, they are
    /// ordered as their keys are; a search compares many keys, and this saves the call.
    fn head(&self) -> u128 {
        u128::from_be_bytes(beginning_of(&self.inline))
    }

    fn key(&self) -> &[u8] {
        // No inline key is as long as `LONG`, so that one is out of the array's bounds.
        let inline = self.inline.get(..usize::from(self.len));
        inline.unwrap_or_else(|| self.leaf.as_ref().map_or(&[], LeafPtr::low))
    }
}

impl<T> Borrow<[u8]> for Node<T> {
    fn borrow(&self) -> &[u8] {
        self.key()
    }
}

impl<T> PartialEq for Node<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Node<T> {}

impl<T> PartialOrd for Node<T> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Node<T> {
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        self.head()
            .cmp(&other.head())
            .then_with(|| self.key().cmp(other.key()))
    }
}

/// What a leaf takes of the directory on average: a node, a word of counts, and a tower of two
/// levels.
pub(super) const NODE_BYTES: usize = size_of::<Node<()>>() + 3 * size_of::<usize>();

/// The leaves in the order of their keys.
pub(super) struct Directory<T> {
    list: SkipList<Node<T>, ()>,
}

impl<T: Send + Sync + 'static> Directory<T> {
    pub(super) fn new() -> Self {
        Self {
            list: SkipList::new(epoch::default_collector().clone()),
        }
    }

    /// Adds a leaf at a key at which there is none. Expected logarithmic time.
    pub(super) fn insert(&self, leaf: LeafRef<'_, T>, guard: &Guard) {
        let node = Node::new(leaf.low(), Some(leaf.ptr()));
        let entry = self.list.get_or_insert(node, (), guard);
        debug_assert_eq!(
            entry.key().leaf,
            Some(leaf.ptr()),
            "LEAVES: another leaf was there"
        );
        entry.release(guard);
    }

    /// Takes a leaf out, by its low key; whether it was there. Expected logarithmic time.
    pub(super) fn remove(&self, low: &[u8], guard: &Guard) -> bool {
        let found = self.list.get(low, guard);
        found.is_some_and(|entry| entry.remove())
    }

    /// The last leaf whose low key is not above a key, unless that is the first leaf. Expected
    /// logarithmic time.
    pub(super) fn floor<'g>(&self, key: &[u8], guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        let found = if key.len() <= INLINE_BYTES {
            // Compared as numbers.
            let key = Node::new(key, None);
            self.list.upper_bound(Bound::Included(&key), guard)
        } else {
            self.list.upper_bound(Bound::Included(key), guard)
        };
        found.and_then(|entry| leaf_of(entry.key(), guard))
    }

    /// The last leaf whose low key is below a key, or the last of all, unless that is the first
    /// leaf. Expected logarithmic time.
    pub(super) fn below<'g>(&self, key: Option<&[u8]>, guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        let bound = key.map_or(Bound::Unbounded, Bound::Excluded);
        let found = self.list.upper_bound(bound, guard);
        found.and_then(|entry| leaf_of(entry.key(), guard))
    }
}

fn leaf_of<'g, T>(node: &Node<T>, guard: &'g Guard) -> Option<LeafRef<'g, T>> {
    node.leaf.map(|leaf| leaf.get(guard))
}
