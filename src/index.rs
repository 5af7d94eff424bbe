//! The ordered index: every record by its encoded key, for lists and tracked ranges.
//!
//! One node a key, whatever the number of its versions, in `crossbeam_skiplist`'s `base` list under
//! the caller's epoch guard. (`SkipMap` counts references, so each of its reads writes to shared
//! memory.) This is the only file that names that crate. Release 0.1.3 has known defects, and the
//! index is built so as not to meet them:
//!
//! - inserting over a present key hides the key for a while (crossbeam#1023): a key is inserted
//!   only while it is absent, because inserting and removing it takes the lock of its stripe;
//! - `range` on counted entries leaks one count a step (crossbeam#1178): walks use guarded entries;
//! - two removers of one key may both win (crossbeam#1143): the same lock leaves only one.
//!
//! A node holds the first bytes of its key, so that a search touches no record unless the key is
//! long. A record that has left the list may still be linked at an upper level for a moment; a
//! search never compares such a node's key without having seen it unmarked under its own guard,
//! and the record is retired after that mark (INDEXED).

use crate::mvcc::chain::{RecordPtr, RecordRef};
use crate::sync::epoch::{self, Guard};
use crossbeam_skiplist::base::{Entry, SkipList};
use std::borrow::Borrow;
use std::cmp;
use std::fmt;
use std::iter;
use std::ops::Bound;

/// A longer key is read from its record. With this, a node's key takes 40 bytes.
const INLINE_BYTES: usize = 31;

/// In the place of a length: the key is in the record alone.
const LONG: u8 = u8::MAX;

/// A record in the list, ordered by its key.
struct Node<T> {
    record: RecordPtr<T>,
    len: u8,
    inline: [u8; INLINE_BYTES],
}

impl<T> Node<T> {
    fn new(record: RecordPtr<T>) -> Self {
        let mut inline = [0; INLINE_BYTES];
        let key = record.key();
        let len = match inline.get_mut(..key.len()) {
            Some(prefix) => {
                prefix.copy_from_slice(key);
                u8::try_from(key.len()).unwrap_or(LONG)
            }
            None => LONG,
        };
        Self {
            record,
            len,
            inline,
        }
    }

    fn key(&self) -> &[u8] {
        // No inline key is as long as `LONG`, so that one is out of the array's bounds.
        self.inline
            .get(..usize::from(self.len))
            .unwrap_or_else(|| self.record.key())
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
        self.key().cmp(other.key())
    }
}

/// What a node takes of the heap on average, its key and tower included, for accounting: a value
/// of no size, the key, a word of counts, and two levels.
pub(crate) const NODE_BYTES: usize = size_of::<Node<()>>() + 3 * size_of::<usize>();

/// The records of an engine in the order of their keys.
pub(crate) struct OrderedIndex<T> {
    list: SkipList<Node<T>, ()>,
}

impl<T> fmt::Debug for OrderedIndex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderedIndex")
    }
}

impl<T: Send + Sync + 'static> OrderedIndex<T> {
    pub(crate) fn new() -> Self {
        Self {
            list: SkipList::new(epoch::default_collector().clone()),
        }
    }

    /// Adds a record whose key is not there. The caller holds the stripe of the key. Expected
    /// logarithmic time.
    pub(crate) fn insert(&self, record: RecordPtr<T>, guard: &Guard) {
        self.list
            .get_or_insert(Node::new(record), (), guard)
            .release(guard);
    }

    /// Takes a record out; it still has to be retired. The caller holds the stripe of the key.
    /// Expected logarithmic time.
    pub(crate) fn remove(&self, record: RecordRef<'_, T>, guard: &Guard) {
        let removed = self
            .list
            .get(record.key(), guard)
            .is_some_and(|entry| entry.remove());
        debug_assert!(removed, "INDEXED: a record that is removed is in the index");
    }

    /// The records from `start` on, in ascending order, with their keys.
    ///
    /// One that is inserted or removed meanwhile may or may not be met; every other is met once.
    /// Constant time a record, after logarithmic time for the first.
    pub(crate) fn ascend<'g>(
        &'g self,
        start: &[u8],
        guard: &'g Guard,
    ) -> impl Iterator<Item = Met<'g, T>> + use<'g, T> {
        let first = self.list.lower_bound(Bound::Included(start), guard);
        walk(first, Entry::next, guard)
    }

    /// The records before `end` (all of them where there is none), in descending order, with their
    /// keys. As [`ascend`](Self::ascend), but logarithmic time a record.
    pub(crate) fn descend<'g>(
        &'g self,
        end: Option<&[u8]>,
        guard: &'g Guard,
    ) -> impl Iterator<Item = Met<'g, T>> + use<'g, T> {
        let below = end.map_or(Bound::Unbounded, Bound::Excluded);
        walk(self.list.upper_bound(below, guard), Entry::prev, guard)
    }
}

/// A record that a walk meets, and its key.
pub(crate) type Met<'g, T> = (&'g [u8], RecordRef<'g, T>);

type NodeEntry<'g, T> = Entry<'g, 'g, Node<T>, ()>;

fn walk<'g, T: 'g>(
    first: Option<NodeEntry<'g, T>>,
    step: impl Fn(&NodeEntry<'g, T>) -> Option<NodeEntry<'g, T>>,
    guard: &'g Guard,
) -> impl Iterator<Item = Met<'g, T>> {
    iter::successors(first, step).map(|entry| {
        let node = entry.key();
        (node.key(), node.record.get(guard))
    })
}
