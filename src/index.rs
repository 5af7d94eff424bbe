//! The ordered index: every record by its encoded key, for lists and tracked ranges.
//!
//! The records stand in a list of *leaves*, some forty to each (`mvcc::leaf`), and a *directory*, a
//! skiplist of the low keys of the leaves, leads to them. A walk goes from leaf to leaf, and to a
//! node of the skiplist only for the first one, and only where the *shortcut* does not lead there
//! (`mvcc::leaf::shortcut`).
//!
//! The list is what counts. The directory may lack a leaf that was split off a moment ago: whoever
//! finds that a key is not below the low key of the next leaf goes on to that. But it has no leaf
//! that is dead, nor one that is not in the list: a leaf is added to it by the holder of the lock of
//! the leaf that it was split from, and taken out while both locks are held that it takes to unlink
//! it; and so for the shortcut. Locks are taken from left to right, two at most, after the stripe of
//! the key, and before those of the shortcut, which is built while no leaf is locked.
//!
//! What was in the index when a walk began, and stays, is met once. A record leaves its leaf for
//! another only when that is split, by the store that makes the other one its neighbour. And the
//! keys of a leaf that has died are inserted into the one before it, by somebody who has found it
//! gone; so a walk that has to meet such a key began when the dead leaf was already gone.

#[cfg(not(any(loom, miri)))]
#[path = "index/directory.rs"]
mod directory;
#[cfg(any(loom, miri))]
#[path = "index/stand_in.rs"]
mod directory;

use crate::mvcc::chain::{RecordPtr, RecordRef};
use crate::mvcc::leaf::{Inserted, LeafRef, Leaves, LockedLeaf, Records, Shortcut};
use crate::mvcc::quota::{Meter, Purpose};
use crate::sync::epoch::Guard;
use crate::sync::{OutOfMemory, Planted, footprint, planted};
use directory::Directory;
use std::fmt;
use std::sync::Arc;

/// What a leaf is charged for what leads to it.
const LED_TO_BYTES: usize = footprint(directory::NODE_BYTES);

/// The records of an engine in the order of their keys.
pub(crate) struct OrderedIndex<T> {
    leaves: Leaves<T>,
    directory: Directory<T>,
    shortcut: Shortcut<T>,
    meter: Arc<Meter>,
}

impl<T> fmt::Debug for OrderedIndex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OrderedIndex")
    }
}

impl<T: Send + Sync + 'static> OrderedIndex<T> {
    /// An empty index, whose memory is charged to this meter: exactly, but for the directory's, which
    /// is that of a node of average height for each leaf, for as long as it is linked.
    pub(crate) fn new(meter: Arc<Meter>) -> Self {
        Self {
            leaves: Leaves::new(&meter),
            directory: Directory::new(),
            shortcut: Shortcut::new(&meter),
            meter,
        }
    }

    /// Adds a record whose key is not there. The caller holds the stripe of the key. Expected
    /// logarithmic time. How many pieces were handed to the epoch for it.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`; the record is not in the index then.
    pub(crate) fn insert(&self, record: RecordPtr<T>, guard: &Guard) -> Result<u64, OutOfMemory> {
        let mut leaf = self.lock(record.get(guard).key(), guard);
        match leaf.insert(record, &self.meter, guard)? {
            Inserted::Added => return Ok(0),
            Inserted::Replaced => {}
            Inserted::Split(upper) => {
                // It is there, and has to be found: this may go a little beyond the limit.
                let _ = self.meter.charge(LED_TO_BYTES, Purpose::Removal);
                self.directory.insert(upper, guard);
                let is_due = self.shortcut.insert(upper);
                // Not before: the new leaf could be unlinked before they have it.
                drop(leaf);
                if is_due {
                    return Ok(1 + self.shortcut.build(guard));
                }
            }
        }
        Ok(1)
    }

    /// Takes a record out; it still has to be retired. The caller holds the stripe of the key.
    /// Expected logarithmic time. Needs no memory. How many pieces were handed to the epoch for it.
    pub(crate) fn remove(&self, record: RecordRef<'_, T>, guard: &Guard) -> u64 {
        let removed = self.remove_only(record, guard);
        let unlinked = removed.emptied.map_or(0, |low| self.unlink(low, guard));
        removed.deferred + unlinked
    }

    /// As [`remove`](Self::remove), but for what does not need the stripe, which can take ten times as
    /// long: a leaf that is empty now is still to be [unlinked](Self::unlink).
    pub(crate) fn remove_only<'g>(
        &'g self,
        record: RecordRef<'_, T>,
        guard: &'g Guard,
    ) -> Removed<'g> {
        let mut leaf = self.lock(record.key(), guard);
        let is_retired = leaf.remove(record, &self.meter, guard);
        let low = leaf.low();
        Removed {
            deferred: is_retired.into(),
            emptied: (leaf.is_empty() && !low.is_empty()).then_some(low),
        }
    }

    /// Has the leaf that a key belongs to brought near, most likely.
    pub(crate) fn prefetch(&self, key: &[u8], guard: &Guard) {
        let leaf = self.floor(key, guard);
        leaf.prefetch();
        leaf.prefetch_array();
    }

    /// Locks the leaf that a key belongs to.
    fn lock<'g>(&'g self, key: &[u8], guard: &'g Guard) -> LockedLeaf<'g, T> {
        let mut found = self.floor(key, guard);
        loop {
            let mut leaf = found.lock();
            // MODEL: index::inserted_record_is_met.
            while !leaf.is_dead() || planted(Planted::DeadLeaf) {
                match leaf.next_at(key, guard) {
                    Some(next) if !planted(Planted::PassedLeaf) => {
                        drop(leaf);
                        leaf = next.lock();
                    }
                    _ => return leaf,
                }
            }
            // The leaf before may still lead to the dead one, for as long as it is locked: then it is
            // that lock that has to be waited for, and so the directory that has to be asked.
            found = self.listed_floor(key, guard);
        }
    }

    /// A leaf from which a key can be reached, and no dead one that was gone before.
    fn floor<'g>(&'g self, key: &[u8], guard: &'g Guard) -> LeafRef<'g, T> {
        let leaf = self.shortcut.floor(key, guard);
        leaf.unwrap_or_else(|| self.listed_floor(key, guard))
    }

    /// As [`floor`](Self::floor), by the directory.
    fn listed_floor<'g>(&'g self, key: &[u8], guard: &'g Guard) -> LeafRef<'g, T> {
        let leaf = self.directory.floor(key, guard);
        leaf.unwrap_or_else(|| self.leaves.first(guard))
    }

    /// As [`floor`](Self::floor), for the keys right below one.
    fn below<'g>(&'g self, key: Option<&[u8]>, guard: &'g Guard) -> LeafRef<'g, T> {
        let leaf = key.and_then(|key| self.shortcut.below(key, guard));
        leaf.unwrap_or_else(|| self.listed_below(key, guard))
    }

    /// As [`below`](Self::below), by the directory.
    fn listed_below<'g>(&'g self, key: Option<&[u8]>, guard: &'g Guard) -> LeafRef<'g, T> {
        let leaf = self.directory.below(key, guard);
        leaf.unwrap_or_else(|| self.leaves.first(guard))
    }

    /// Takes the leaf with this low key out of the list, if it is there and empty. How many pieces
    /// were handed to the epoch. No stripe has to be held.
    #[cold]
    #[expect(
        clippy::significant_drop_tightening,
        reason = "both locks are held until it is out of the directory and the list"
    )]
    pub(crate) fn unlink(&self, low: &[u8], guard: &Guard) -> u64 {
        let mut found = self.below(Some(low), guard);
        loop {
            let mut before = found.lock();
            while !before.is_dead() {
                let Some(next) = before.next(guard) else {
                    return 0;
                };
                if next.low() < low {
                    drop(before);
                    before = next.lock();
                    continue;
                }
                if next.low() == low {
                    let leaf = next.lock();
                    if leaf.is_empty() {
                        let is_found = self.directory.remove(low, guard);
                        debug_assert!(is_found, "LEAVES: the directory lacks a leaf");
                        if is_found {
                            let is_due = self.shortcut.remove(leaf.leaf(), guard);
                            before.unlink(leaf, &self.meter, guard);
                            self.meter.refund(LED_TO_BYTES);
                            drop(before);
                            let built = if is_due {
                                self.shortcut.build(guard)
                            } else {
                                0
                            };
                            // The leaf, and its node in the directory.
                            return 2 + built;
                        }
                    }
                }
                return 0;
            }
            // As in `lock`.
            found = self.listed_below(Some(low), guard);
        }
    }

    /// The records from `start` on and before `end`, if there is one, in ascending order.
    ///
    /// One that is inserted or removed meanwhile may or may not be met; every other is met once.
    /// Constant time a record, after logarithmic time for the first.
    pub(crate) fn ascend<'g, 'b>(
        &'g self,
        start: &'b [u8],
        end: Option<&'b [u8]>,
        guard: &'g Guard,
    ) -> Ascend<'g, 'b, T> {
        let mut walk = Ascend {
            records: Records::new(),
            next: Some(self.floor(start, guard)),
            is_ahead: false,
            start,
            end,
            guard,
        };
        walk.enter();
        if planted(Planted::UnseenStart) {
            walk.start = &[];
        }
        walk
    }

    /// The records from `start` on and before `end`, if there is one, in descending order. As
    /// [`ascend`](Self::ascend), but logarithmic time for each leaf.
    pub(crate) fn descend<'g, 'b>(
        &'g self,
        start: &'b [u8],
        end: Option<&'b [u8]>,
        guard: &'g Guard,
    ) -> Descend<'g, 'b, T> {
        Descend {
            index: self,
            records: Records::new(),
            low: None,
            start,
            end,
            guard,
        }
    }
}

/// What came of taking a record out.
pub(crate) struct Removed<'g> {
    /// How many pieces were handed to the epoch.
    pub(crate) deferred: u64,
    /// The low key of the leaf, if that was the last record in it.
    pub(crate) emptied: Option<&'g [u8]>,
}

/// A walk, which goes on by groups of records. As an iterator it gives them out one by one.
pub(crate) trait Walk<'g, T: 'g>: Iterator<Item = RecordRef<'g, T>> {
    /// Goes on to the next group; `false` where there is none.
    fn next_group(&mut self) -> bool;

    /// The group that it is at.
    fn group(&self) -> &[Option<RecordRef<'g, T>>];
}

/// A walk upwards.
pub(crate) struct Ascend<'g, 'b, T> {
    /// What was read of a leaf.
    records: Records<'g, T>,
    /// The leaf behind it, unless that is behind the end.
    next: Option<LeafRef<'g, T>>,
    /// Whether the first records of that one are being brought near.
    is_ahead: bool,
    start: &'b [u8],
    end: Option<&'b [u8]>,
    guard: &'g Guard,
}

impl<T: Send + Sync + 'static> Ascend<'_, '_, T> {
    /// Reads the next leaf; `false` where there is none.
    #[inline(never)]
    fn enter(&mut self) -> bool {
        let Some(leaf) = self.next.take() else {
            return false;
        };
        // Not in the first leaf alone: that may be further to the left than it had to be.
        // MODEL: index::walk_keeps_its_bounds.
        let start = (leaf.low() <= self.start).then_some(self.start);
        self.next = leaf.read(start, self.end, self.guard, &mut self.records);
        if let Some(next) = self.next {
            next.prefetch_array();
        }
        self.is_ahead = false;
        true
    }
}

impl<'g, T: Send + Sync + 'static> Walk<'g, T> for Ascend<'g, '_, T> {
    #[inline]
    fn next_group(&mut self) -> bool {
        while !self.records.next_group() {
            if !self.enter() {
                return false;
            }
        }
        if !self.is_ahead && self.records.is_near_end() {
            self.is_ahead = true;
            if let Some(next) = self.next {
                next.prefetch_records(self.guard);
            }
        }
        true
    }

    #[inline]
    fn group(&self) -> &[Option<RecordRef<'g, T>>] {
        self.records.group()
    }
}

impl<'g, T: Send + Sync + 'static> Iterator for Ascend<'g, '_, T> {
    type Item = RecordRef<'g, T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.records.take() {
                return Some(record);
            }
            if !self.next_group() {
                return None;
            }
        }
    }
}

/// A walk downwards.
pub(crate) struct Descend<'g, 'b, T> {
    index: &'g OrderedIndex<T>,
    /// What was read of a leaf, and its low key.
    records: Records<'g, T>,
    low: Option<&'g [u8]>,
    start: &'b [u8],
    end: Option<&'b [u8]>,
    guard: &'g Guard,
}

impl<T: Send + Sync + 'static> Descend<'_, '_, T> {
    /// Reads the leaf before, or the first one.
    fn enter(&mut self) {
        let limit = self.low.or(self.end);
        let mut leaf = self.index.below(limit, self.guard);
        // There may be leaves between that the directory did not have yet, or that were split off
        // since: the pointer that was read with the records tells.
        // MODEL: index::record_that_stays_is_met.
        let start = Some(self.start);
        while let Some(next) = leaf.read(start, limit, self.guard, &mut self.records)
            && !planted(Planted::UnseenSplit)
        {
            leaf = next;
        }
        self.records.reverse();
        self.low = Some(leaf.low());
    }
}

impl<'g, T: Send + Sync + 'static> Walk<'g, T> for Descend<'g, '_, T> {
    #[inline]
    fn next_group(&mut self) -> bool {
        while !self.records.next_group() {
            if self.low.is_some_and(|low| low <= self.start) {
                return false;
            }
            self.enter();
        }
        true
    }

    #[inline]
    fn group(&self) -> &[Option<RecordRef<'g, T>>] {
        self.records.group()
    }
}

impl<'g, T: Send + Sync + 'static> Iterator for Descend<'g, '_, T> {
    type Item = RecordRef<'g, T>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.records.take() {
                return Some(record);
            }
            if !self.next_group() {
                return None;
            }
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "index/tests.rs"]
mod tests;
