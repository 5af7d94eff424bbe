//! The leaves of the ordered index: a list of arrays of records, in the order of their keys.
//!
//! A leaf has the records from its *low* key on, up to that of the next leaf. Its array has a slot
//! for each of them: the record's pointer and a *digest*, the eight bytes of its key that follow the
//! prefix which the keys of the array have in common; so a search looks at one or two lines of
//! digests, and at a record only where digests are equal. Most of the slots are sorted. Behind them
//! is room for a few more, in the order in which they come; when that is used up, all are sorted
//! into a new array.
//!
//! Readers load an array and search it under nothing but an epoch guard. Writers hold the lock of
//! the leaf, and publish what they did with one store: of the count of the slots that are used, or
//! of a new array, whose predecessor is freed through the epoch. A removal vacates the slot where it
//! is, so it needs no memory; the next array leaves it out.
//!
//! The array also has the pointer to the next leaf. A leaf that is full is split by one store, of an
//! array with the lower half of its records and a pointer to a new leaf that has the upper half. So
//! whoever loads an array sees before it either all the records, or half of them and where the
//! others are; and nothing twice. (The idea is that of a B-link tree: Lehman and Yao, "Efficient
//! Locking for Concurrent Operations on B-Trees", 1981.)
//!
//! A leaf that is empty is *dead* when it has been taken out of the list, for which the lock of the
//! one before it is held as well. A reader that stands on it goes on by its pointer; a writer that
//! locks it only then looks for the one that its keys belong to now. Leaves are not merged: to move
//! records down the list is to move them past a reader.

#![expect(
    unsafe_code,
    reason = "arrays are shared between threads by raw pointers"
)]

mod array;
mod records;
mod shortcut;

use super::chain::{RecordPtr, RecordRef, prefetch};
use super::quota::{Meter, Purpose};
use crate::sync::epoch::Guard;
use crate::sync::{
    AtomicPtr, LEAF_ROOM, LEAF_SLOTS_MAX, Mutex, MutexGuard, Ordering, OutOfMemory, PREFETCHES,
    Planted, alloc, dealloc, footprint, load_own, ordering, planted,
};
use array::{
    Array, Header, Latest, Limit, Sorted, build, common_len, digest_of, key_of, place, record_of,
    shorten,
};
use records::GROUP;
use std::alloc::Layout;
use std::fmt;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr::{self, NonNull};
use std::sync::Arc;

use array::SLOT_BYTES;
pub(crate) use array::beginning_of;
pub(crate) use records::Records;
pub(crate) use shortcut::Shortcut;

/// What an array takes at most, its prefix apart.
const ARRAY_BYTES: usize = size_of::<Header>() + LEAF_SLOTS_MAX * SLOT_BYTES;

/// What is brought near by one hint.
const LINE_BYTES: usize = 64;

/// What the writers of a leaf know of it. Lives behind its lock.
#[derive(Debug, Default)]
struct State {
    /// It has been taken out of the list.
    is_dead: bool,
    vacant_count: u8,
    /// It was left full when keys in ascending order went on to the next leaf.
    is_filled: bool,
}

/// Some records that are neighbours in the order of their keys: the header, followed in memory by
/// the low key.
#[repr(C)]
struct Leaf {
    /// Null, or a packed [`Array`].
    array: AtomicPtr<()>,
    state: Mutex<State>,
    low_len: u32,
    low: [u8; 0],
}

impl Leaf {
    fn new(array: Option<Array>, low_len: u32) -> Self {
        Self {
            array: AtomicPtr::new(Array::pack(array)),
            state: Mutex::new(State::default()),
            low_len,
            low: [],
        }
    }

    fn layout(low_len: u32) -> Layout {
        let size = (offset_of!(Self, low) + low_len as usize).max(size_of::<Self>());
        Layout::from_size_align(size, align_of::<Self>())
            .expect("a header and at most 4 GiB fit the address space")
    }

    /// Frees the array. Nobody reads any more.
    fn free_array(&mut self, meter: &Meter) {
        // ORDERING: Relaxed. Nobody else can reach the leaf.
        if let Some(array) = Array::unpack(load_own(&self.array)) {
            // SAFETY: nobody reads any more, and each array belongs to one leaf, which is ours
            // alone and does not use it again.
            unsafe { array.free(meter) };
        }
    }
}

/// Memory of the ordered index, charged for.
fn alloc_charged(layout: Layout, meter: &Meter) -> Result<NonNull<u8>, OutOfMemory> {
    let size = footprint(layout.size());
    meter.charge(size, Purpose::Growth)?;
    debug_assert!(layout.size() > 0);
    // SAFETY: everything in the index has a header, so the size is not zero.
    let raw = unsafe { alloc(layout) };
    NonNull::new(raw).ok_or_else(|| {
        meter.refund(size);
        OutOfMemory::of(layout)
    })
}

/// A leaf as a directory, a shortcut or an array holds it: a pointer that is followed only under a guard under
/// which it was found.
pub(crate) struct LeafPtr<T> {
    leaf: NonNull<Leaf>,
    records: PhantomData<RecordPtr<T>>,
}

impl<T> Clone for LeafPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LeafPtr<T> {}

// SAFETY: a leaf is made to be shared: its array is atomic, its low key never changes, and the rest
// is behind a lock.
unsafe impl<T: Send + Sync> Send for LeafPtr<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for LeafPtr<T> {}

impl<T> PartialEq for LeafPtr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.leaf == other.leaf
    }
}

impl<T> fmt::Debug for LeafPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LeafPtr")
    }
}

impl<T> LeafPtr<T> {
    /// A leaf with this array, which it takes over, or which is freed where there is no memory.
    fn new(low: &[u8], array: Array, meter: &Meter) -> Result<Self, OutOfMemory> {
        let low_len = u32::try_from(low.len()).expect("keys are bounded by the limits");
        let raw = alloc_charged(Leaf::layout(low_len), meter).inspect_err(|_| {
            // SAFETY: nobody has seen it, and the caller has given it up.
            unsafe { array.free(meter) };
        })?;
        let leaf = raw.cast::<Leaf>();
        // SAFETY: freshly allocated for this type, aligned, and ours alone.
        unsafe { leaf.write(Leaf::new(Some(array), low_len)) };
        // SAFETY: the layout reaches `low_len` bytes past this offset.
        let to = unsafe { raw.as_ptr().add(offset_of!(Leaf, low)) };
        // SAFETY: both are valid for the length, and a fresh allocation overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(low.as_ptr(), to, low.len()) };
        Ok(Self {
            leaf,
            records: PhantomData,
        })
    }

    /// The leaf, for as long as the guard lives. The caller got the pointer from the directory or the
    /// shortcut under this guard, or keeps leaves from being unlinked (LEAVES).
    pub(crate) fn get(self, _: &Guard) -> LeafRef<'_, T> {
        LeafRef::new(self.leaf)
    }

    /// The lowest key that belongs to it, for a directory that compares those of its leaves.
    pub(crate) fn low(&self) -> &[u8] {
        // The directory looks only at leaves that have not been retired, or had not been when the
        // guard of the search was pinned (LEAVES, PINNED).
        LeafRef::<T>::new(self.leaf).low()
    }

    fn as_raw(self) -> *mut () {
        self.leaf.as_ptr().cast()
    }

    /// Frees the leaf and its array at once.
    ///
    /// # Safety
    ///
    /// Nobody else can reach it any more. It is not used again.
    unsafe fn free(mut self, meter: &Meter) {
        // SAFETY: the caller's: it is ours alone.
        let leaf = unsafe { self.leaf.as_mut() };
        leaf.free_array(meter);
        let layout = Leaf::layout(leaf.low_len);
        // SAFETY: it is ours alone, and not used after this.
        unsafe { self.leaf.drop_in_place() };
        // SAFETY: `new` allocated it with this layout.
        unsafe { dealloc(self.leaf.cast().as_ptr(), layout) };
        meter.refund(footprint(layout.size()));
    }
}

/// The list of leaves. It owns them, but not their records. The first one has the lowest key, the
/// empty one, and is always there.
pub(crate) struct Leaves<T> {
    first: Leaf,
    meter: Arc<Meter>,
    records: PhantomData<RecordPtr<T>>,
}

impl<T> Leaves<T> {
    /// A list without memory of its own, and the meter of what it will have.
    pub(crate) fn new(meter: &Arc<Meter>) -> Self {
        Self {
            first: Leaf::new(None, 0),
            meter: Arc::clone(meter),
            records: PhantomData,
        }
    }

    pub(crate) fn first<'g>(&'g self, _: &'g Guard) -> LeafRef<'g, T> {
        LeafRef::new(NonNull::from(&self.first))
    }
}

impl<T> Drop for Leaves<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed, as below. Nobody else can reach the leaves.
        let next = |leaf: &Leaf| {
            let array = Array::unpack(load_own(&leaf.array));
            array.and_then(|array| NonNull::new(array.next_own().cast::<Leaf>()))
        };
        let mut rest = next(&self.first);
        self.first.free_array(&self.meter);
        while let Some(leaf) = rest {
            // SAFETY: the list owns the leaves that are linked, and this one is.
            rest = next(unsafe { leaf.as_ref() });
            let leaf = LeafPtr {
                leaf,
                records: self.records,
            };
            // SAFETY: nobody reads any more, and each leaf is linked once.
            unsafe { leaf.free(&self.meter) };
        }
    }
}

/// A leaf that may be looked at for as long as the guard lives.
pub(crate) struct LeafRef<'g, T> {
    leaf: NonNull<Leaf>,
    guard: PhantomData<(&'g Leaf, RecordPtr<T>)>,
}

impl<T> Clone for LeafRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for LeafRef<'_, T> {}

impl<'g, T> LeafRef<'g, T> {
    fn new(leaf: NonNull<Leaf>) -> Self {
        Self {
            leaf,
            guard: PhantomData,
        }
    }

    fn header(self) -> &'g Leaf {
        // SAFETY: PINNED: leaves are retired through the epoch, and the first one lives as long as
        // the list.
        unsafe { self.leaf.as_ref() }
    }

    pub(crate) fn ptr(self) -> LeafPtr<T> {
        LeafPtr {
            leaf: self.leaf,
            records: PhantomData,
        }
    }

    /// The lowest key that belongs to the leaf.
    pub(crate) fn low(self) -> &'g [u8] {
        let len = self.header().low_len as usize;
        let base = self.leaf.as_ptr().cast::<u8>();
        // SAFETY: the allocation reaches `low_len` bytes past this offset; that of the first leaf
        // none.
        let low = unsafe { base.add(offset_of!(Leaf, low)) };
        // SAFETY: initialised by `LeafPtr::new`, never changed since, live for 'g (PINNED).
        unsafe { std::slice::from_raw_parts(low, len) }
    }

    /// The records from `start` on and before `end`, where there are such, in the order of their
    /// keys; and the leaf that follows, if its low key is before the end.
    pub(crate) fn read(
        self,
        start: Option<&[u8]>,
        end: Option<&[u8]>,
        guard: &'g Guard,
        records: &mut Records<'g, T>,
    ) -> Option<Self> {
        records.clear();
        // ORDERING: E-LEAF, reader side: whoever sees the array sees what it was built of.
        let array = Array::unpack(self.header().array.load(Ordering::Acquire))?;
        // In this order: what is added to the array later can be behind that leaf, if it has died.
        let used_len = array.used_len();
        let next = array.next::<T>(guard);
        let next = next.filter(|next| end.is_none_or(|end| next.low() < end));
        let start = start.map(|start| Limit::new(start, array));
        // Every key is below the low key of the next leaf.
        let end = end.filter(|_| next.is_none());
        let end = end.map(|end| Limit::new(end, array));
        let mut low = start
            .as_ref()
            .map_or(0, |start| start.position::<T>(array, guard));
        let high = end.as_ref().map_or(array.sorted_len(), |end| {
            end.position::<T>(array, guard).max(low)
        });
        if used_len > array.sorted_len() {
            // The latest few, sorted, each go before the first of the others that is not below it.
            let mut latest = Latest::new();
            let digests = array.digests(used_len);
            for (index, digest) in digests.iter().enumerate().skip(array.sorted_len()) {
                let record = array.load(index);
                let is_above = |limit: &Limit<'_>| limit.is_above::<T>(*digest, record, guard);
                let is_wanted =
                    !start.as_ref().is_some_and(is_above) && end.as_ref().is_none_or(is_above);
                if !record.is_null() && is_wanted {
                    place::<T, _>(&mut latest, *digest, record, guard);
                }
            }
            for (digest, record) in latest {
                let at = array.place_of::<T>(low..high, (digest, record), guard);
                records.extend(array, low..at, guard);
                records.push(record_of(record, guard));
                low = at;
            }
        }
        records.extend(array, low..high, guard);
        next
    }

    /// The leaf that follows, if a key belongs to it or one behind it.
    fn next_at(self, key: &[u8], guard: &'g Guard) -> Option<Self> {
        // ORDERING: E-LEAF, reader side: whoever sees the array sees the leaf that it leads to.
        Array::unpack(self.header().array.load(Ordering::Acquire))?.next_at(key, guard)
    }

    /// Has the leaf brought near, without waiting for it.
    pub(crate) fn prefetch(self) {
        prefetch(self.leaf.as_ptr().cast());
    }

    /// Has its array brought near, without waiting for it. The leaf has to be there.
    pub(crate) fn prefetch_array(self) {
        if !PREFETCHES {
            return;
        }
        // ORDERING: Relaxed. Nothing is read through the pointer.
        let array = self.header().array.load(Ordering::Relaxed).cast::<u8>();
        for line in (0..ARRAY_BYTES).step_by(LINE_BYTES) {
            prefetch(array.wrapping_add(line));
        }
    }

    /// Has the first of its records brought near, and the leaf that follows, without waiting for
    /// them. The array has to be there.
    pub(crate) fn prefetch_records(self, guard: &'g Guard) {
        if !PREFETCHES {
            return;
        }
        // ORDERING: E-LEAF, reader side: whoever sees the array sees what it was built of.
        let Some(array) = Array::unpack(self.header().array.load(Ordering::Acquire)) else {
            return;
        };
        for slot in array.slots().iter().take(2 * GROUP) {
            // ORDERING: Relaxed. Nothing is read through the pointer.
            prefetch(slot.load(Ordering::Relaxed).cast());
        }
        if let Some(next) = array.next::<T>(guard) {
            next.prefetch();
        }
    }

    /// Waits for the lock of the leaf.
    pub(crate) fn lock(self) -> LockedLeaf<'g, T> {
        LockedLeaf {
            leaf: self,
            state: self.header().state.lock(),
        }
    }
}

/// A leaf whose lock is held.
pub(crate) struct LockedLeaf<'g, T> {
    leaf: LeafRef<'g, T>,
    state: MutexGuard<'g, State>,
}

impl<T> fmt::Debug for LockedLeaf<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LockedLeaf")
    }
}

impl<'g, T: Send + Sync + 'static> LockedLeaf<'g, T> {
    /// Whether it has been taken out of the list. The keys that belonged to it belong to another.
    pub(crate) fn is_dead(&self) -> bool {
        self.state.is_dead
    }

    /// The leaf itself.
    pub(crate) fn leaf(&self) -> LeafRef<'g, T> {
        self.leaf
    }

    /// The lowest key that belongs to it.
    pub(crate) fn low(&self) -> &'g [u8] {
        self.leaf.low()
    }

    fn array(&self) -> Option<Array> {
        // ORDERING: Relaxed. Only the holder of the lock changes the array.
        Array::unpack(load_own(&self.leaf.header().array))
    }

    /// The leaf that follows.
    pub(crate) fn next(&self, guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        self.array()?.next(guard)
    }

    /// The leaf that follows, if a key belongs to it or one behind it.
    pub(crate) fn next_at(&self, key: &[u8], guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        self.array()?.next_at(key, guard)
    }

    /// Whether there is no record in it.
    pub(crate) fn is_empty(&self) -> bool {
        self.live_count() == 0
    }

    fn live_count(&self) -> usize {
        let used_len = self.array().map_or(0, Array::used_len);
        used_len - usize::from(self.state.vacant_count)
    }

    /// Replaces the array, and frees the old one once nobody reads it.
    fn publish(&mut self, new: Option<Array>, meter: &Arc<Meter>, guard: &Guard) {
        let old = self.array();
        // ORDERING: E-LEAF, writer side: publishes what the array was built of, and the leaf that
        // it leads to. MODEL: leaf::met_record_is_whole.
        let publish = ordering(Ordering::Release, Planted::WeakLeaf);
        self.leaf.header().array.store(Array::pack(new), publish);
        self.state.vacant_count = 0;
        if let Some(old) = old {
            old.retire(meter, guard);
        }
    }

    /// Adds a record whose key is not there and belongs to this leaf. Where it has no room, it is
    /// split, and the new leaf is for the directory.
    pub(crate) fn insert(
        &mut self,
        record: RecordPtr<T>,
        meter: &Arc<Meter>,
        guard: &'g Guard,
    ) -> Result<Inserted<'g, T>, OutOfMemory> {
        let (key, raw) = (record.get(guard).key(), record.as_raw());
        let Some(array) = self.array() else {
            let array = build::<T>(&[(0, raw)], &[], None, meter, guard)?;
            self.publish(Some(array), meter, guard);
            return Ok(Inserted::Added);
        };
        let prefix = array.prefix();
        let kept = if key.starts_with(prefix) {
            prefix.len()
        } else {
            common_len(prefix, key)
        };
        let digest = digest_of(&key[kept..]);
        if kept == prefix.len() && array.used_len() < array.capacity() {
            array.push(digest, raw);
            return Ok(Inserted::Added);
        }
        let mut sorted = Self::sorted(array, guard);
        if kept < prefix.len() {
            for (digest, _) in &mut sorted {
                *digest = shorten(*digest, prefix, kept);
            }
        }
        let prefix = &prefix[..kept];
        let next = array.next::<T>(guard);
        let at = place::<T, _>(&mut sorted, digest, raw, guard);
        if sorted.len() <= LEAF_SLOTS_MAX {
            let array = build(&sorted, prefix, next, meter, guard)?;
            self.publish(Some(array), meter, guard);
            return Ok(Inserted::Replaced);
        }
        // Keys that come in ascending order fill each leaf before they go on to the next. Where
        // another key comes to a leaf after that, they do not.
        let is_ascending = at == sorted.len() - 1 && !self.state.is_filled;
        let half = if is_ascending { at } else { sorted.len() / 2 };
        let (lower, upper) = sorted.split_at(half);
        let [below, above] = [lower.last(), upper.first()]
            .map(|slot| slot.map_or(&[][..], |slot| key_of::<T>(slot.1, guard)));
        // The shortest key that is above the lower half, and not above the upper one.
        let low = &above[..(common_len(below, above) + 1).min(above.len())];
        let upper = LeafPtr::new(low, build(upper, prefix, next, meter, guard)?, meter)?;
        let split = upper.get(guard);
        // MODEL: index::record_that_stays_is_met.
        let is_torn = planted(Planted::TornSplit);
        match build(lower, prefix, Some(split), meter, guard) {
            Ok(lower) if is_torn => {
                lower.set_next(array.next_own());
                self.publish(Some(lower), meter, guard);
                lower.set_next(upper.as_raw());
            }
            Ok(lower) => self.publish(Some(lower), meter, guard),
            Err(refused) => {
                // SAFETY: nobody has seen it.
                unsafe { upper.free(meter) };
                return Err(refused);
            }
        }
        self.state.is_filled = is_ascending;
        Ok(Inserted::Split(split))
    }

    /// The slots that are not vacated.
    fn sorted(array: Array, guard: &Guard) -> Sorted {
        let (digests, sorted_len) = (array.digests(array.used_len()), array.sorted_len());
        let mut sorted = Sorted::new();
        for (index, (digest, slot)) in digests.iter().zip(array.slots()).enumerate() {
            // ORDERING: Relaxed. Only the holder of the lock changes slots.
            let record = load_own(slot);
            if record.is_null() {
                continue;
            }
            if index < sorted_len {
                sorted.push((*digest, record));
            } else {
                place::<T, _>(&mut sorted, *digest, record, guard);
            }
        }
        sorted
    }

    /// Takes a record out; it still has to be retired. Needs no memory. Whether an array was retired
    /// for it.
    pub(crate) fn remove(
        &mut self,
        record: RecordRef<'_, T>,
        meter: &Arc<Meter>,
        guard: &'g Guard,
    ) -> bool {
        let raw = record.ptr().as_raw();
        let Some(array) = self.array() else {
            return false;
        };
        // ORDERING: Relaxed. Only the holder of the lock changes slots.
        let slot = array.slots().iter().find(|slot| load_own(slot) == raw);
        let Some(slot) = slot else {
            debug_assert!(false, "INDEXED: a record that is removed is in its leaf");
            return false;
        };
        // ORDERING: Release, so that a reader that misses the record here is ordered after the
        // commit that allowed its removal, the deletion of the key.
        slot.store(ptr::null_mut(), Ordering::Release);
        self.state.vacant_count += 1;
        let live_count = self.live_count();
        let next = array.next::<T>(guard);
        if live_count == 0 && next.is_none() {
            self.publish(None, meter, guard);
            return true;
        }
        // An empty leaf is given up, unless it is the first.
        let stays = live_count > 0 || self.low().is_empty();
        if stays && 2 * (live_count + LEAF_ROOM) <= array.capacity() {
            // Where there is no memory for a smaller array, this one does.
            let sorted = Self::sorted(array, guard);
            if let Ok(new) = Array::new(&sorted, array.prefix(), next, meter) {
                self.publish(Some(new), meter, guard);
                return true;
            }
        }
        false
    }

    /// Takes the leaf that follows out of the list, and has it freed. It is empty, and out of the
    /// directory and the shortcut; both locks are held.
    pub(crate) fn unlink(
        &mut self,
        mut next: LockedLeaf<'g, T>,
        meter: &Arc<Meter>,
        guard: &'g Guard,
    ) {
        next.state.is_dead = true;
        let dead = next.leaf.ptr();
        let behind = next.array().map_or(ptr::null_mut(), Array::next_own);
        drop(next);
        if let Some(array) = self.array() {
            array.set_next(behind);
        }
        if behind.is_null() && self.is_empty() {
            // Nothing is left, and nothing follows.
            self.publish(None, meter, guard);
        }
        let meter = Arc::clone(meter);
        let free = move || {
            // SAFETY: it is neither in the list nor in the directory, nor in the newest shortcut nor
            // in the next, so after every guard pinned when this was deferred nobody holds it; and
            // it is unlinked once.
            unsafe { dead.free(&meter) };
        };
        // SAFETY: what is captured may be dropped on another thread.
        unsafe { guard.defer_unchecked(free) };
    }
}

/// What an insertion did to a leaf.
pub(crate) enum Inserted<'g, T> {
    /// There was room, or no array.
    Added,
    /// The array was replaced.
    Replaced,
    /// It was replaced by its lower half; this leaf has the upper one.
    Split(LeafRef<'g, T>),
}
