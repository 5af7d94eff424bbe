//! The point index: from a key's hash to its record, read without a lock.
//!
//! Each stripe owns one [`Table`]: open addressing with linear probing over tagged atomic
//! pointers. Writers of a stripe are serialised by its lock and keep an [`Occupancy`] behind it;
//! readers load the table and probe it under nothing but an epoch guard. Four bits of the hash
//! ride in the low bits of each pointer (records are aligned to sixteen), so that fifteen of
//! sixteen wrong candidates are passed over without touching their memory.
//!
//! Beside the record's pointer a slot has that of its newest version, as a hint and no more: a lookup
//! has the version brought near together with the record, and so waits for memory twice where it
//! would three times.
//!
//! A slot is empty, holds a record, or is vacated: a probe ends at an empty slot and goes on past
//! a vacated one, so a removal never hides a key that is stored further on. Growing, shrinking and
//! clearing out vacated slots build a new table, publish it with one store, and free the old one
//! through the epoch; a reader on the old one sees the keys as they were when it loaded it.
//!
//! A table owns the records in it: they are freed when it is dropped.

#![expect(
    unsafe_code,
    reason = "tables are shared between threads by raw pointers"
)]

use super::chain::{RecordPtr, RecordRef, VersionRef, prefetch, prefetch_version};
use super::quota::{Freed, Purpose, Share};
use crate::sync::epoch::Guard;
use crate::sync::{
    AtomicPtr, Ordering, OutOfMemory, PREFETCHES, Planted, alloc, dealloc, footprint, load_own,
    ordering, planted,
};
use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

/// Slots of the smallest table: two cache lines.
const CAPACITY_MIN: usize = 8;

/// The low bits of a pointer to a record.
const TAG_MASK: usize = 0xf;

/// The address of a slot that was vacated: a tag and nothing it could belong to.
const VACATED: usize = 1;

/// The alignment of an array of slots; its low bits carry the logarithm of the capacity.
const SLOTS_ALIGN: usize = 64;

/// What a table knows of a record.
struct Slot {
    /// Its pointer, tagged.
    record: AtomicPtr<()>,
    /// Where its newest version is, or was. A lookup has it brought near beside the record, and so
    /// waits once for the two. Nobody follows it.
    newest: AtomicPtr<()>,
}

impl Slot {
    fn newest(&self) -> *mut () {
        if !PREFETCHES {
            return ptr::null_mut();
        }
        // ORDERING: Relaxed. Nothing is read through the pointer.
        self.newest.load(Ordering::Relaxed)
    }

    fn note_newest(&self, newest: *mut ()) {
        if PREFETCHES {
            // ORDERING: Relaxed, as above.
            self.newest.store(newest, Ordering::Relaxed);
        }
    }
}

/// The tag of a hash: bits that neither the stripe nor the slot is chosen by.
fn tag_of(hash: u64) -> usize {
    low_bits(hash >> 48) & TAG_MASK
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "the low bits are what is wanted"
)]
fn low_bits(hash: u64) -> usize {
    hash as usize
}

/// Whether two keys are equal: they nearly always are where this is asked, since their hashes are,
/// and a call to compare memory costs more than comparing a short key in a few wide steps.
fn is_same(stored: &[u8], key: &[u8]) -> bool {
    if stored.len() != key.len() {
        return false;
    }
    // The last step comes first. It overlaps the one before it, unless that is the last itself.
    if let (Some((_, stored_end)), Some((_, end))) = (
        stored.split_last_chunk::<16>(),
        key.split_last_chunk::<16>(),
    ) {
        let (stored, _) = stored[..stored.len() - 1].as_chunks::<16>();
        let (key, _) = key[..key.len() - 1].as_chunks::<16>();
        return stored_end == end && stored.iter().zip(key).all(|(stored, key)| stored == key);
    }
    match (
        stored.split_first_chunk::<8>(),
        key.split_first_chunk::<8>(),
    ) {
        (Some((stored_first, _)), Some((first, _))) => {
            stored_first == first && stored.last_chunk::<8>() == key.last_chunk::<8>()
        }
        _ => stored.iter().eq(key),
    }
}

/// An array of slots: where it is, and the mask of its indexes.
#[derive(Clone, Copy)]
struct Slots {
    first: NonNull<Slot>,
    mask: usize,
}

impl Slots {
    fn layout(capacity: usize) -> Layout {
        Layout::array::<Slot>(capacity)
            .and_then(|layout| layout.align_to(SLOTS_ALIGN))
            .expect("as many slots as there are records fit the address space")
    }

    /// An array of empty slots.
    fn new(capacity: usize) -> Result<Self, OutOfMemory> {
        debug_assert!(capacity.is_power_of_two());
        let layout = Self::layout(capacity);
        // SAFETY: the capacity is not zero.
        let raw = unsafe { alloc(layout) };
        #[expect(clippy::cast_ptr_alignment, reason = "the layout has this alignment")]
        let first = NonNull::new(raw.cast::<Slot>());
        let Some(first) = first else {
            return Err(OutOfMemory::of(layout));
        };
        for index in 0..capacity {
            // SAFETY: within the allocation.
            let slot = unsafe { first.add(index) };
            // SAFETY: aligned, within the allocation, and ours alone.
            unsafe {
                slot.write(Slot {
                    record: AtomicPtr::new(ptr::null_mut()),
                    newest: AtomicPtr::new(ptr::null_mut()),
                });
            }
        }
        Ok(Self {
            first,
            mask: capacity - 1,
        })
    }

    /// The same, charged to a stripe.
    fn charged(capacity: usize, share: &mut Share) -> Result<Self, OutOfMemory> {
        let size = Self::size_for(capacity);
        share.charge(size, Purpose::Growth)?;
        Self::new(capacity).inspect_err(|_| share.refund(size))
    }

    /// The array behind a table's pointer: the address above, the logarithm of the capacity below.
    fn unpack(packed: *mut ()) -> Option<Self> {
        let bits = packed.addr() & (SLOTS_ALIGN - 1);
        let first = packed.map_addr(|address| address & !(SLOTS_ALIGN - 1));
        NonNull::new(first.cast()).map(|first| Self {
            first,
            mask: (1 << bits) - 1,
        })
    }

    fn pack(self) -> *mut () {
        let bits = self.capacity().trailing_zeros() as usize;
        debug_assert!(bits < SLOTS_ALIGN);
        self.first
            .as_ptr()
            .cast::<()>()
            .map_addr(|address| address | bits)
    }

    fn capacity(self) -> usize {
        self.mask + 1
    }

    /// What the array takes of the heap.
    fn size(self) -> usize {
        Self::size_for(self.capacity())
    }

    fn size_for(capacity: usize) -> usize {
        // An allocator that has to align it to more than it does anyway sets aside as much.
        footprint(Self::layout(capacity).size() + SLOTS_ALIGN)
    }

    /// What the slot at an index, taken modulo the capacity, says of the record.
    fn at<'g>(self, index: usize) -> &'g AtomicPtr<()> {
        &self.slot(index).record
    }

    fn slot<'g>(self, index: usize) -> &'g Slot {
        // SAFETY: the mask keeps the index within the allocation.
        let slot = unsafe { self.first.add(index & self.mask) };
        // SAFETY: PINNED: a table's slots are freed through the epoch, and the callers are tied to
        // a guard or own the table.
        unsafe { slot.as_ref() }
    }

    /// Frees the array, not what its slots point to.
    ///
    /// # Safety
    ///
    /// Nobody uses the array any more.
    unsafe fn free(self) {
        for index in 0..self.capacity() {
            // SAFETY: within the allocation.
            let slot = unsafe { self.first.add(index) };
            // SAFETY: initialised by `new`, dropped once.
            unsafe { slot.drop_in_place() };
        }
        let layout = Self::layout(self.capacity());
        // SAFETY: `new` allocated it with this layout.
        unsafe { dealloc(self.first.as_ptr().cast(), layout) };
    }

    /// Frees the array once nobody reads it, and tells how much that was. It has been replaced.
    fn retire(self, freed: &Freed, guard: &Guard) {
        let freed = freed.clone();
        let free = move || {
            // SAFETY: nobody could find the slots any more when this was deferred, so after every
            // guard pinned then nobody holds them.
            unsafe { self.free() };
            freed.add(self.size());
        };
        // SAFETY: an array of atomics may be freed on any thread.
        unsafe { guard.defer_unchecked(free) };
    }
}

// SAFETY: the array is an allocation of atomics.
unsafe impl Send for Slots {}

/// What the writers of a stripe know of its table. Lives behind the stripe's lock.
#[derive(Debug, Default)]
pub(crate) struct Occupancy {
    live_count: usize,
    vacated_count: usize,
}

/// The records of one stripe, by hash.
pub(crate) struct Table<T> {
    /// Null, or packed [`Slots`].
    slots: AtomicPtr<()>,
    owned: PhantomData<RecordPtr<T>>,
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Table")
    }
}

impl<T> Table<T> {
    /// A table without memory of its own.
    pub(crate) fn new() -> Self {
        Self {
            slots: AtomicPtr::new(ptr::null_mut()),
            owned: PhantomData,
        }
    }

    /// Has the slot of a hash brought near, without waiting for it. It needs no guard: nothing is
    /// read, wherever the slots are by then.
    pub(crate) fn prefetch(&self, hash: u64) {
        if !PREFETCHES {
            return;
        }
        // ORDERING: Relaxed. Nothing is read through the pointer.
        if let Some(slots) = Slots::unpack(self.slots.load(Ordering::Relaxed)) {
            prefetch(
                slots
                    .first
                    .as_ptr()
                    .wrapping_add(low_bits(hash) & slots.mask)
                    .cast(),
            );
        }
    }

    /// The record of a key. Expected constant time; takes no lock and writes nothing.
    pub(crate) fn find<'g>(
        &self,
        hash: u64,
        key: &[u8],
        guard: &'g Guard,
    ) -> Option<RecordRef<'g, T>> {
        // ORDERING: E-TABLE, reader side: whoever sees the table sees the slots it was built with.
        // A key whose commit precedes this read was inserted into this table or a later one.
        let slots = Slots::unpack(self.slots.load(Ordering::Acquire))?;
        let tag = tag_of(hash);
        let mut index = low_bits(hash);
        loop {
            // ORDERING: E-TABLE, reader side: whoever sees the record sees its key.
            let found = slots.at(index).load(Ordering::Acquire);
            let address = found.addr();
            if address == 0 {
                return None;
            }
            if address & TAG_MASK == tag && address > TAG_MASK {
                prefetch_version::<T>(slots.slot(index).newest().cast());
                let record = Self::record(found)?.get(guard);
                if record.hash() == hash && is_same(record.key(), key) {
                    return Some(record);
                }
            }
            index = index.wrapping_add(1);
        }
    }

    /// A record whose key has this hash. Expected constant time; takes no lock and writes nothing.
    pub(crate) fn find_hash<'g>(&self, hash: u64, guard: &'g Guard) -> Option<RecordRef<'g, T>> {
        // ORDERING: E-TABLE, reader side, as in `find`.
        let slots = Slots::unpack(self.slots.load(Ordering::Acquire))?;
        let tag = tag_of(hash);
        let mut index = low_bits(hash);
        loop {
            // ORDERING: E-TABLE, reader side, as in `find`.
            let found = slots.at(index).load(Ordering::Acquire);
            let address = found.addr();
            if address == 0 {
                return None;
            }
            if address & TAG_MASK == tag && address > TAG_MASK {
                let record = Self::record(found)?.get(guard);
                if record.hash() == hash {
                    return Some(record);
                }
            }
            index = index.wrapping_add(1);
        }
    }

    /// Notes where the newest version of a record is. The caller holds the stripe.
    pub(crate) fn note_newest(&self, record: RecordRef<'_, T>, newest: VersionRef<'_, T>) {
        if !PREFETCHES {
            return;
        }
        // ORDERING: Relaxed. Only the holder of the stripe changes the table.
        let Some(slots) = Slots::unpack(load_own(&self.slots)) else {
            return;
        };
        let address = record.ptr().as_raw().addr();
        let mut index = low_bits(record.hash());
        for _ in 0..slots.capacity() {
            let slot = slots.slot(index);
            // ORDERING: Relaxed. Only the holder of the stripe changes slots.
            if load_own(&slot.record).addr() & !TAG_MASK == address {
                slot.note_newest(newest.as_raw());
                return;
            }
            index = index.wrapping_add(1);
        }
    }

    /// The record behind a slot's content that is neither empty nor vacated.
    fn record(found: *mut ()) -> Option<RecordPtr<T>> {
        // SAFETY: INDEXED: slots hold what `insert` put there, and the record is retired after it
        // has left its slot, so it lives for as long as the guard of whoever loaded the slot.
        unsafe { RecordPtr::from_raw(found.map_addr(|address| address & !TAG_MASK)) }
    }
}

impl<T: Send + Sync + 'static> Table<T> {
    /// Takes over a record whose key is not in the table, and frees it where there is no memory for
    /// a larger table. The caller holds the stripe, whose occupancy and share these are; nobody else
    /// has seen the record.
    pub(crate) fn insert(
        &self,
        occupancy: &mut Occupancy,
        share: &mut Share,
        record: RecordPtr<T>,
        guard: &Guard,
    ) -> Result<(), OutOfMemory> {
        let hash = record.get(guard).hash();
        let slots = match self.with_room(occupancy, share, guard) {
            Ok(slots) => slots,
            Err(refused) => {
                // SAFETY: it was never indexed, and the caller has given it up.
                unsafe { record.free() };
                return Err(refused);
            }
        };
        let mut index = low_bits(hash);
        loop {
            let slot = slots.at(index);
            // ORDERING: Relaxed. Only the holder of the stripe changes slots.
            let found = load_own(slot);
            if found.addr() <= TAG_MASK {
                if found.addr() == VACATED {
                    occupancy.vacated_count -= 1;
                }
                occupancy.live_count += 1;
                let tagged = record.as_raw().map_addr(|address| address | tag_of(hash));
                // ORDERING: E-TABLE, writer side: publishes the record's header and key.
                // MODEL: point::found_record_is_whole.
                slot.store(tagged, ordering(Ordering::Release, Planted::WeakSlot));
                return Ok(());
            }
            index = index.wrapping_add(1);
        }
    }

    /// Takes a record out; it still has to be retired. The caller holds the stripe, whose
    /// occupancy and share these are, and the record is in the table.
    pub(crate) fn remove(
        &self,
        occupancy: &mut Occupancy,
        share: &mut Share,
        record: RecordRef<'_, T>,
        guard: &Guard,
    ) {
        // ORDERING: Relaxed. Only the holder of the stripe changes the table.
        let Some(slots) = Slots::unpack(load_own(&self.slots)) else {
            return;
        };
        let raw = record.ptr().as_raw();
        let mut index = low_bits(record.hash());
        loop {
            let slot = slots.at(index);
            // ORDERING: Relaxed. Only the holder of the stripe changes slots.
            let address = load_own(slot).addr();
            if address == 0 {
                debug_assert!(false, "INDEXED: a record that is removed is in the table");
                return;
            }
            if address & !TAG_MASK == raw.addr() {
                break;
            }
            index = index.wrapping_add(1);
        }
        Self::vacate(slots, index, occupancy);
        if slots.capacity() > CAPACITY_MIN && occupancy.live_count * 8 < slots.capacity() {
            // Where there is no memory for a smaller table, the large one does.
            let _ = self.rebuild(occupancy, share, slots, guard);
        }
    }

    /// Frees the slots of a table in which there is no record. The caller holds the stripe, whose
    /// occupancy and share these are.
    pub(crate) fn give_back_room(
        &self,
        occupancy: &mut Occupancy,
        share: &mut Share,
        guard: &Guard,
    ) {
        // ORDERING: Relaxed. Only the holder of the stripe changes the table.
        let slots = Slots::unpack(load_own(&self.slots));
        if let Some(slots) = slots.filter(|_| occupancy.live_count == 0) {
            occupancy.vacated_count = 0;
            // ORDERING: E-TABLE, writer side: that there is none is as good as an empty one.
            self.slots.store(ptr::null_mut(), Ordering::Release);
            slots.retire(share.freed(), guard);
        }
    }

    /// Gives up the slot at an index. Where the next one is empty, no probe goes past this one, so
    /// it becomes empty too, and so do the vacated ones right before it.
    fn vacate(slots: Slots, index: usize, occupancy: &mut Occupancy) {
        occupancy.live_count -= 1;
        occupancy.vacated_count += 1;
        // ORDERING: Relaxed. Only the holder of the stripe changes slots.
        let ends_here = load_own(slots.at(index.wrapping_add(1))).is_null()
            // MODEL: point::removal_hides_no_other_key.
            || planted(Planted::ClearAlways);
        let mut index = index;
        loop {
            let content = if ends_here { 0 } else { VACATED };
            // ORDERING: Release, so that a reader that misses the record here is ordered after the
            // commit that allowed its removal, the deletion of the key.
            slots
                .at(index)
                .store(ptr::without_provenance_mut(content), Ordering::Release);
            if !ends_here {
                return;
            }
            occupancy.vacated_count -= 1;
            index = index.wrapping_sub(1);
            // ORDERING: Relaxed. Only the holder of the stripe changes slots.
            if load_own(slots.at(index)).addr() != VACATED {
                return;
            }
        }
    }

    /// The slots, with room for one more record.
    fn with_room(
        &self,
        occupancy: &mut Occupancy,
        share: &mut Share,
        guard: &Guard,
    ) -> Result<Slots, OutOfMemory> {
        // ORDERING: Relaxed. Only the holder of the stripe changes the table.
        match Slots::unpack(load_own(&self.slots)) {
            Some(slots) => {
                let used = occupancy.live_count + occupancy.vacated_count + 1;
                // At most two thirds in use: a probe always meets an empty slot, after two steps
                // for a key that is there and five for one that is not, on average at the fullest.
                if used * 3 <= slots.capacity() * 2 {
                    Ok(slots)
                } else {
                    self.rebuild(occupancy, share, slots, guard)
                }
            }
            None => Ok(self.publish(Slots::charged(CAPACITY_MIN, share)?)),
        }
    }

    fn publish(&self, slots: Slots) -> Slots {
        // ORDERING: E-TABLE, writer side: publishes the slots and what was copied into them.
        // MODEL: point::growth_hides_no_key, point::shrinking_hides_no_key.
        self.slots.store(slots.pack(), Ordering::Release);
        slots
    }

    /// Replaces the slots by as many as the live records want, without the vacated ones.
    fn rebuild(
        &self,
        occupancy: &mut Occupancy,
        share: &mut Share,
        old: Slots,
        guard: &Guard,
    ) -> Result<Slots, OutOfMemory> {
        // Half full after the next insertion; the third that is free until it is rebuilt again
        // pays for the copying.
        let capacity = ((occupancy.live_count + 1) * 2)
            .next_power_of_two()
            .max(CAPACITY_MIN);
        let new = Slots::charged(capacity, share)?;
        for place in 0..old.capacity() {
            // ORDERING: Relaxed. Only the holder of the stripe changes slots.
            let found = load_own(old.at(place));
            if found.addr() > TAG_MASK
                && !planted(Planted::Uncopied)
                && let Some(record) = Self::record(found)
            {
                let mut index = low_bits(record.get(guard).hash());
                // ORDERING: Relaxed. Nobody else sees the new slots yet.
                while !load_own(new.at(index)).is_null() {
                    index = index.wrapping_add(1);
                }
                let slot = new.slot(index);
                // ORDERING: Relaxed. `publish` releases it.
                slot.record.store(found, Ordering::Relaxed);
                slot.note_newest(old.slot(place).newest());
            }
        }
        occupancy.vacated_count = 0;
        self.publish(new);
        old.retire(share.freed(), guard);
        Ok(new)
    }
}

impl<T> Drop for Table<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed. The table is ours alone.
        let Some(slots) = Slots::unpack(load_own(&self.slots)) else {
            return;
        };
        for index in 0..slots.capacity() {
            // ORDERING: Relaxed. The table is ours alone.
            let found = load_own(slots.at(index));
            if found.addr() > TAG_MASK
                && let Some(record) = Self::record(found)
            {
                // SAFETY: the table owns the record, and nobody reads any more.
                unsafe { record.free() };
            }
        }
        // SAFETY: nobody reads any more.
        unsafe { slots.free() };
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
