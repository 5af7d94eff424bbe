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

/// How much of a key is compared as one number.
const HEAD_BYTES: usize = 16;

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
        let key = record.key();
        let mut inline = [0; INLINE_BYTES];
        let inline_len = key.len().min(INLINE_BYTES);
        inline[..inline_len].copy_from_slice(&key[..inline_len]);
        let len = u8::try_from(key.len()).ok();
        let len = len.filter(|len| usize::from(*len) <= INLINE_BYTES);
        let len = len.unwrap_or(LONG);
        Self {
            record,
            len,
            inline,
        }
    }

    /// As [`head_of`] the key.
    fn head(&self) -> u128 {
        head_of(&self.inline)
    }

    fn key(&self) -> &[u8] {
        // No inline key is as long as `LONG`, so that one is out of the array's bounds.
        self.inline
            .get(..usize::from(self.len))
            .unwrap_or_else(|| self.record.key())
    }
}

/// The first bytes of a key as a number, padded with zeros. Where two of them differ, they are
/// ordered as their keys are; a walk compares each key with its bound, and this saves the call.
fn head_of(key: &[u8]) -> u128 {
    let head = key.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; HEAD_BYTES];
        padded[..key.len()].copy_from_slice(key);
        padded
    });
    u128::from_be_bytes(head)
}

/// A key that a walk compares others with.
struct Limit<'a> {
    head: u128,
    key: &'a [u8],
}

impl<'a> Limit<'a> {
    fn new(key: &'a [u8]) -> Self {
        Self {
            head: head_of(key),
            key,
        }
    }

    /// Whether the key of a node is below it.
    fn is_above<T>(&self, node: &Node<T>) -> bool {
        match node.head().cmp(&self.head) {
            cmp::Ordering::Less => true,
            cmp::Ordering::Equal => node.key() < self.key,
            cmp::Ordering::Greater => false,
        }
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

    /// The records from `start` on and before `end`, if there is one, in ascending order, with
    /// their keys.
    ///
    /// One that is inserted or removed meanwhile may or may not be met; every other is met once.
    /// Constant time a record, after logarithmic time for the first.
    pub(crate) fn ascend<'g, 'b>(
        &'g self,
        start: &[u8],
        end: Option<&'b [u8]>,
        guard: &'g Guard,
    ) -> impl Iterator<Item = Met<'g, T>> + use<'g, 'b, T> {
        let end = end.map(Limit::new);
        let first = self.list.lower_bound(Bound::Included(start), guard);
        iter::successors(first, Entry::next)
            .map(|entry| entry.key())
            .take_while(move |node| end.as_ref().is_none_or(|end| end.is_above(node)))
            .map(|node| (node.key(), node.record.get(guard)))
    }

    /// The records from `start` on and before `end`, if there is one, in descending order, with
    /// their keys. As [`ascend`](Self::ascend), but logarithmic time a record.
    pub(crate) fn descend<'g, 'b>(
        &'g self,
        start: &'b [u8],
        end: Option<&[u8]>,
        guard: &'g Guard,
    ) -> impl Iterator<Item = Met<'g, T>> + use<'g, 'b, T> {
        let start = Limit::new(start);
        let end = end.map_or(Bound::Unbounded, Bound::Excluded);
        iter::successors(self.list.upper_bound(end, guard), Entry::prev)
            .map(|entry| entry.key())
            .take_while(move |node| !start.is_above(node))
            .map(|node| (node.key(), node.record.get(guard)))
    }
}

/// A record that a walk meets, and its key.
pub(crate) type Met<'g, T> = (&'g [u8], RecordRef<'g, T>);
