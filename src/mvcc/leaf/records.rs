//! What a walk has read of a leaf: records, given out in groups of neighbours.
//!
//! Each record and each version lies on a page of its own, and a processor that is given a hint to
//! bring one near waits for that page to be looked up before it goes on for long. Several hints in a
//! row wait together; so they are given a group at a time, two groups ahead for the records and one
//! for their newest versions, to which the records lead.

use super::array::{Array, record_of};
use crate::mvcc::chain::RecordRef;
use crate::sync::epoch::Guard;
use crate::sync::{LEAF_SLOTS_MAX, Ordering};
use std::ops::Range;

/// So many records are a group.
pub(super) const GROUP: usize = 8;

/// Some records of a leaf, in the order of their keys or the reverse.
pub(crate) struct Records<'g, T> {
    read: [Option<RecordRef<'g, T>>; LEAF_SLOTS_MAX],
    len: usize,
    group: Range<usize>,
}

impl<'g, T> Records<'g, T> {
    pub(crate) fn new() -> Self {
        Self {
            read: [None; LEAF_SLOTS_MAX],
            len: 0,
            group: 0..0,
        }
    }

    /// Goes on to the next group; `false` where there is none.
    #[inline]
    pub(crate) fn next_group(&mut self) -> bool {
        let start = self.group.end;
        if start == self.len {
            return false;
        }
        let end = (start + GROUP).min(self.len);
        if start == 0 {
            self.prefetch(0..2 * GROUP);
            self.prefetch_heads(0..end);
        }
        self.prefetch(end + GROUP..end + 2 * GROUP);
        self.prefetch_heads(end..end + GROUP);
        self.group = start..end;
        true
    }

    /// The group that it is at.
    #[inline]
    pub(crate) fn group(&self) -> &[Option<RecordRef<'g, T>>] {
        &self.read[self.group.clone()]
    }

    /// Takes the next record of the group.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<RecordRef<'g, T>> {
        self.group.next().and_then(|index| self.read[index])
    }

    /// Whether no other group follows, or one more.
    pub(crate) fn is_near_end(&self) -> bool {
        self.len - self.group.end <= GROUP
    }

    /// From here on in the reverse order. The first group has not been asked for.
    pub(crate) fn reverse(&mut self) {
        self.read[..self.len].reverse();
    }

    fn some(&self, range: Range<usize>) -> impl Iterator<Item = RecordRef<'g, T>> {
        let end = range.end.min(self.len);
        let some = &self.read[range.start.min(end)..end];
        some.iter().flatten().copied()
    }

    /// Has some of them brought near, without waiting for them.
    #[inline]
    fn prefetch(&self, range: Range<usize>) {
        self.some(range).for_each(RecordRef::prefetch);
    }

    /// Has the newest versions of some of them brought near, without waiting for them.
    #[inline]
    fn prefetch_heads(&self, range: Range<usize>) {
        self.some(range).for_each(RecordRef::prefetch_head);
    }

    pub(super) fn clear(&mut self) {
        self.len = 0;
        self.group = 0..0;
    }

    /// Adds a record, if it is one.
    pub(super) fn push(&mut self, record: Option<RecordRef<'g, T>>) {
        self.read[self.len] = record;
        self.len += usize::from(record.is_some());
    }

    /// Adds those in some of the slots of an array.
    pub(super) fn extend(&mut self, array: Array, slots: Range<usize>, guard: &'g Guard) {
        let mut len = self.len;
        for slot in &array.slots()[slots] {
            // ORDERING: Acquire, with the store that vacates it, as `Array::load`.
            let record = record_of(slot.load(Ordering::Acquire), guard);
            // An array has no more slots than there is room here.
            let Some(place) = self.read.get_mut(len) else {
                break;
            };
            *place = record;
            len += usize::from(record.is_some());
        }
        self.len = len;
    }
}
