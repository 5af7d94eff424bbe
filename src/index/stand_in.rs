//! The ordered index for Miri: a map behind a lock, in the place of the skiplist.
//!
//! Release 0.1.3 of the skiplist frees its nodes through pointers that Miri does not allow for that
//! (crossbeam#878), so under Miri the engine would end at the first key that leaves. With this,
//! everything above and below the index runs there.

use crate::mvcc::chain::{RecordPtr, RecordRef};
use crate::sync::Mutex;
use crate::sync::epoch::Guard;
use std::collections::BTreeMap;
use std::fmt;
use std::iter;
use std::ops::Bound;
use std::vec;

/// As for the skiplist, so that accounts agree.
pub(crate) const NODE_BYTES: usize = 72;

/// The records of an engine in the order of their keys.
pub(crate) struct OrderedIndex<T> {
    records: Mutex<BTreeMap<Vec<u8>, RecordPtr<T>>>,
}

impl<T> fmt::Debug for OrderedIndex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderedIndex")
    }
}

impl<T: Send + Sync + 'static> OrderedIndex<T> {
    pub(crate) fn new() -> Self {
        Self {
            records: Mutex::new(BTreeMap::new()),
        }
    }

    pub(crate) fn insert(&self, record: RecordPtr<T>, _guard: &Guard) {
        let key = record.key().to_vec();
        let present = self.records.lock().insert(key, record);
        assert!(
            present.is_none(),
            "INDEXED: a key is inserted while it is absent"
        );
    }

    pub(crate) fn remove(&self, record: RecordRef<'_, T>, _guard: &Guard) {
        let removed = self.records.lock().remove(record.key());
        assert!(
            removed.is_some(),
            "INDEXED: a record that is removed is in the index"
        );
    }

    pub(crate) fn ascend<'g, 'b>(
        &'g self,
        start: &[u8],
        end: Option<&'b [u8]>,
        guard: &'g Guard,
    ) -> impl Iterator<Item = Met<'g, T>> + use<'g, 'b, T> {
        self.between(start, end, guard)
    }

    pub(crate) fn descend<'g, 'b>(
        &'g self,
        start: &'b [u8],
        end: Option<&[u8]>,
        guard: &'g Guard,
    ) -> impl Iterator<Item = Met<'g, T>> + use<'g, 'b, T> {
        self.between(start, end, guard).rev()
    }

    /// What there is now; what is removed meanwhile is still there for this guard.
    fn between<'g>(
        &self,
        start: &[u8],
        end: Option<&[u8]>,
        guard: &'g Guard,
    ) -> iter::Map<vec::IntoIter<RecordPtr<T>>, impl FnMut(RecordPtr<T>) -> Met<'g, T> + use<'g, T>>
    {
        let found: Vec<_> = if end.is_some_and(|end| end <= start) {
            Vec::new()
        } else {
            let end = end.map_or(Bound::Unbounded, Bound::Excluded);
            let records = self.records.lock();
            let range = records.range::<[u8], _>((Bound::Included(start), end));
            range.map(|(_, record)| *record).collect()
        };
        found.into_iter().map(move |record| {
            let record = record.get(guard);
            (record.key(), record)
        })
    }
}

/// A record that a walk meets, and its key.
pub(crate) type Met<'g, T> = (&'g [u8], RecordRef<'g, T>);
