//! The slots of a leaf, and how they are searched.

#![expect(
    unsafe_code,
    reason = "arrays are shared between threads by raw pointers"
)]

use super::{LeafRef, alloc_charged};
use crate::mvcc::chain::{RecordPtr, RecordRef};
use crate::mvcc::quota::Meter;
use crate::sync::epoch::Guard;
use crate::sync::{
    AtomicPtr, AtomicU32, LEAF_ROOM, LEAF_SLOTS_MAX, Ordering, OutOfMemory, Planted, dealloc,
    footprint, load_own, ordering,
};
use smallvec::SmallVec;
use std::alloc::Layout;
use std::cmp;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// How much of a key a digest holds.
pub(super) const DIGEST_BYTES: usize = size_of::<u64>();

/// What a slot takes of an array.
pub(super) const SLOT_BYTES: usize = DIGEST_BYTES + size_of::<Slot>();

/// A record's pointer, or null where it was vacated.
type Slot = AtomicPtr<()>;

/// The first bytes of what follows the prefix, padded with zeros: where two of them differ, they
/// are ordered as their keys are.
pub(super) fn digest_of(rest: &[u8]) -> u64 {
    u64::from_be_bytes(beginning_of(rest))
}

/// The first bytes of a key, padded with zeros.
pub(crate) fn beginning_of<const LEN: usize>(key: &[u8]) -> [u8; LEN] {
    key.first_chunk().copied().unwrap_or_else(|| {
        let mut padded = [0; LEN];
        padded[..key.len()].copy_from_slice(key);
        padded
    })
}

/// The digest of a key after the first `kept` bytes of a prefix, by its digest after the whole.
pub(super) fn shorten(digest: u64, prefix: &[u8], kept: usize) -> u64 {
    let moved = &prefix[kept..];
    match 8 * moved.len() {
        bits @ 0..64 => digest_of(moved) | digest >> bits,
        _ => digest_of(moved),
    }
}

pub(super) fn common_len(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(a, b)| a == b).count()
}

/// The slots of a leaf: a header, the prefix, the digests, and the records' pointers, in one
/// allocation. The first slots are sorted by key, and fixed when the array is published, but for
/// those that are vacated; behind them is room for a few more, which are used in the order in which
/// they come.
#[derive(Clone, Copy)]
pub(super) struct Array {
    header: NonNull<Header>,
}

#[repr(C, align(8))]
pub(super) struct Header {
    /// The leaf that follows, or null.
    next: AtomicPtr<()>,
    /// Keys with the prefix whose digest is below this belong to this leaf and not to the next.
    fence: u64,
    used_len: AtomicU32,
    sorted_len: u16,
    capacity: u16,
    prefix_len: u32,
}

/// Where the digests begin, behind so long a prefix.
fn digests_offset(prefix_len: usize) -> usize {
    size_of::<Header>() + prefix_len.next_multiple_of(align_of::<Header>())
}

/// Digests and records' pointers, sorted by key: those of a leaf, and one more.
pub(super) type Sorted = SmallVec<[(u64, *mut ()); LEAF_SLOTS_MAX + 1]>;

/// The same of the latest few.
pub(super) type Latest = SmallVec<[(u64, *mut ()); LEAF_ROOM]>;

impl Array {
    fn layout(capacity: usize, prefix_len: usize) -> Layout {
        let size = digests_offset(prefix_len) + capacity * SLOT_BYTES;
        Layout::from_size_align(size, align_of::<Header>())
            .expect("a few slots and the prefix of a key fit the address space")
    }

    /// An array with these slots, whose keys begin with `prefix`, room for a few more, and the
    /// leaf that follows.
    pub(super) fn new<T>(
        sorted: &[(u64, *mut ())],
        prefix: &[u8],
        next: Option<LeafRef<'_, T>>,
        meter: &Meter,
    ) -> Result<Self, OutOfMemory> {
        let capacity = (sorted.len() + LEAF_ROOM).min(LEAF_SLOTS_MAX);
        let raw = alloc_charged(Self::layout(capacity, prefix.len()), meter)?;
        let header = raw.cast::<Header>();
        let array = Self { header };
        let fits = "a leaf has few slots, and keys are bounded by the limits";
        let fence = next.map(|next| next.low().strip_prefix(prefix).map(digest_of));
        let written = Header {
            next: AtomicPtr::new(next.map_or(ptr::null_mut(), |next| next.ptr().as_raw())),
            // A key with another prefix that is above some with this one is above them all.
            fence: fence.flatten().unwrap_or(u64::MAX),
            used_len: AtomicU32::new(u32::try_from(sorted.len()).expect(fits)),
            sorted_len: u16::try_from(sorted.len()).expect(fits),
            capacity: u16::try_from(capacity).expect(fits),
            prefix_len: u32::try_from(prefix.len()).expect(fits),
        };
        // SAFETY: freshly allocated for this, aligned, and ours alone.
        unsafe { header.write(written) };
        // Once: what is written through them could as well be what they are made of.
        let (digests, slots) = (array.digest_at(0), array.slot_at(0));
        for (index, (digest, record)) in sorted.iter().enumerate() {
            // SAFETY: within the allocation, aligned, and ours alone.
            unsafe { digests.wrapping_add(index).write(*digest) };
            // SAFETY: as above.
            unsafe { slots.wrapping_add(index).write(Slot::new(*record)) };
        }
        for index in sorted.len()..capacity {
            // SAFETY: as above.
            unsafe { digests.wrapping_add(index).write(0) };
            // SAFETY: as above.
            unsafe { slots.wrapping_add(index).write(Slot::new(ptr::null_mut())) };
        }
        let to = array.prefix_at();
        // SAFETY: the layout has room for the prefix before the digests, and overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(prefix.as_ptr(), to, prefix.len()) };
        Ok(array)
    }

    /// Frees the array.
    ///
    /// # Safety
    ///
    /// Nobody else can reach it any more, and it is freed once.
    pub(super) unsafe fn free(self, meter: &Meter) {
        let layout = Self::layout(self.capacity(), self.prefix().len());
        // SAFETY: `new` allocated it with this layout, and its fields need no drop.
        unsafe { dealloc(self.header.as_ptr().cast(), layout) };
        meter.refund(footprint(layout.size()));
    }

    /// Frees the array once nobody reads it. It has been replaced.
    pub(super) fn retire(self, meter: &Arc<Meter>, guard: &Guard) {
        let meter = Arc::clone(meter);
        let free = move || {
            // SAFETY: it was replaced when this was deferred, so after every guard pinned then
            // nobody holds it.
            unsafe { self.free(&meter) };
        };
        // SAFETY: an array of atomics and plain bytes may be freed on any thread.
        unsafe { guard.defer_unchecked(free) };
    }

    pub(super) fn unpack(raw: *mut ()) -> Option<Self> {
        NonNull::new(raw.cast()).map(|header| Self { header })
    }

    pub(super) fn pack(array: Option<Self>) -> *mut () {
        array.map_or(ptr::null_mut(), |array| array.header.as_ptr().cast())
    }

    fn header(&self) -> &Header {
        // SAFETY: PINNED: whoever has an array has built it, holds the leaf's lock, or has loaded
        // it under a guard that is older than whatever frees it.
        unsafe { self.header.as_ref() }
    }

    pub(super) fn capacity(self) -> usize {
        self.header().capacity.into()
    }

    pub(super) fn sorted_len(self) -> usize {
        self.header().sorted_len.into()
    }

    /// How many slots are used, vacated ones included.
    pub(super) fn used_len(self) -> usize {
        // ORDERING: E-LEAF, reader side: whoever sees the slot counted sees what is in it.
        self.header().used_len.load(Ordering::Acquire) as usize
    }

    /// Uses one more slot. The caller holds the leaf's lock, and there is one.
    pub(super) fn push(self, digest: u64, record: *mut ()) {
        let used_len = self.used_len();
        debug_assert!(used_len < self.capacity());
        // SAFETY: within the allocation; nobody reads it before it is counted, and only the holder
        // of the lock writes.
        unsafe { self.digest_at(used_len).write(digest) };
        // ORDERING: Relaxed. The count releases it.
        self.slots()[used_len].store(record, Ordering::Relaxed);
        // ORDERING: E-LEAF, writer side: publishes the slot, and the record's header and key.
        // MODEL: leaf::met_record_is_whole.
        let publish = ordering(Ordering::Release, Planted::WeakLeaf);
        let used_len = u32::try_from(used_len + 1).expect("a leaf has few slots");
        self.header().used_len.store(used_len, publish);
    }

    /// Where the digest of a slot is. The digests follow the prefix.
    fn digest_at(self, index: usize) -> *mut u64 {
        let offset = digests_offset(self.header().prefix_len as usize);
        let digests = self.header.as_ptr().wrapping_byte_add(offset);
        digests.cast::<u64>().wrapping_add(index)
    }

    /// Where the pointer of a slot is. The pointers follow the digests.
    fn slot_at(self, index: usize) -> *mut Slot {
        let slots = self.digest_at(self.capacity()).cast::<Slot>();
        slots.wrapping_add(index)
    }

    /// Where the prefix is. It follows the header, which is looked at with it.
    fn prefix_at(self) -> *mut u8 {
        self.header.as_ptr().wrapping_add(1).cast()
    }

    /// The leaf that follows, for as long as the guard lives under which the array was loaded.
    pub(super) fn next<T>(self, _: &Guard) -> Option<LeafRef<'_, T>> {
        // ORDERING: E-LEAF, reader side: whoever sees the leaf sees its low key and its array.
        let next = self.header().next.load(Ordering::Acquire);
        NonNull::new(next.cast()).map(LeafRef::new)
    }

    /// The leaf that follows, if a key belongs to it or one behind it.
    pub(super) fn next_at<'g, T>(self, key: &[u8], guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        let rest = key.strip_prefix(self.prefix());
        if rest.is_some_and(|rest| digest_of(rest) < self.header().fence) {
            return None;
        }
        self.next(guard).filter(|next| next.low() <= key)
    }

    /// The leaf that follows. Nobody changes that meanwhile.
    pub(super) fn next_own(self) -> *mut () {
        // ORDERING: Relaxed. The caller holds the lock, or the list is its alone.
        load_own(&self.header().next)
    }

    /// Has another leaf follow. The caller holds the lock.
    pub(super) fn set_next(self, next: *mut ()) {
        // ORDERING: E-LEAF, writer side: republishes a leaf to those who have not come by the one
        // that was between. The fence may be too low from now on, which costs a look at the low key
        // of that leaf. MODEL: leaf::leaf_behind_an_unlinked_one_is_whole.
        let publish = ordering(Ordering::Release, Planted::WeakNext);
        self.header().next.store(next, publish);
    }

    /// The digests of so many slots, which are used.
    pub(super) fn digests(&self, len: usize) -> &[u64] {
        // SAFETY: initialised, not changed once they are counted as used, and there as `header`
        // says.
        unsafe { std::slice::from_raw_parts(self.digest_at(0), len) }
    }

    pub(super) fn slots(&self) -> &[Slot] {
        // SAFETY: initialised by `new`, and atomic since.
        unsafe { std::slice::from_raw_parts(self.slot_at(0), self.capacity()) }
    }

    pub(super) fn prefix(&self) -> &[u8] {
        let len = self.header().prefix_len as usize;
        // SAFETY: initialised by `new`, never changed since.
        unsafe { std::slice::from_raw_parts(self.prefix_at(), len) }
    }

    /// The first of some of the sorted slots that is not below a record, or where they end.
    pub(super) fn place_of<T>(
        self,
        slots: Range<usize>,
        (digest, record): (u64, *mut ()),
        guard: &Guard,
    ) -> usize {
        let digests = &self.digests(slots.end)[slots.start..];
        let below = digests.partition_point(|stored| *stored < digest);
        if digests.get(below) != Some(&digest) {
            return slots.start + below;
        }
        let limit = Limit {
            key: key_of::<T>(record, guard),
            digest: Ok(digest),
        };
        limit.position_in::<T>(self, slots, guard)
    }

    /// The record's pointer in a slot, or null where it is vacated.
    pub(super) fn load(self, index: usize) -> *mut () {
        // ORDERING: Acquire, with the store that vacates it: whoever misses the record here is
        // ordered after the commit that allowed its removal.
        self.slots()[index].load(Ordering::Acquire)
    }
}

/// A key that those of an array are compared with.
pub(super) struct Limit<'k> {
    key: &'k [u8],
    /// The digest of the key; or how the keys of the array compare with it, where they all compare
    /// alike because it has not their prefix.
    digest: Result<u64, cmp::Ordering>,
}

impl<'k> Limit<'k> {
    pub(super) fn new(key: &'k [u8], array: Array) -> Self {
        let prefix = array.prefix();
        let digest = match key.strip_prefix(prefix) {
            Some(rest) => Ok(digest_of(rest)),
            None => Err(prefix.cmp(key)),
        };
        Self { key, digest }
    }

    /// Whether it is above a slot.
    pub(super) fn is_above<T>(&self, digest: u64, record: *mut (), guard: &Guard) -> bool {
        let compared = match self.digest {
            Ok(sought) => digest.cmp(&sought),
            Err(all) => return all == cmp::Ordering::Less,
        };
        let compared = compared.then_with(|| key_of::<T>(record, guard).cmp(self.key));
        compared == cmp::Ordering::Less
    }

    /// The first of the sorted slots that it is not above. A vacated one may count as whichever.
    pub(super) fn position<T>(&self, array: Array, guard: &Guard) -> usize {
        self.position_in::<T>(array, 0..array.sorted_len(), guard)
    }

    /// The first of some of the sorted slots that it is not above, or where they end.
    fn position_in<T>(&self, array: Array, slots: Range<usize>, guard: &Guard) -> usize {
        let digests = &array.digests(slots.end)[slots.start..];
        let sought = match self.digest {
            Ok(sought) => sought,
            Err(cmp::Ordering::Less) => return slots.end,
            Err(_) => return slots.start,
        };
        let below = digests.partition_point(|digest| *digest < sought);
        let equal = digests[below..].partition_point(|digest| *digest == sought);
        let mut index = slots.start + below;
        let mut end = index + equal;
        while index < end {
            let middle = usize::midpoint(index, end);
            // Vacated slots are passed over: there is no key to look at.
            let mut rest = (middle..end).map(|index| (index, array.load(index)));
            match rest.find(|(_, record)| !record.is_null()) {
                Some((found, record)) if self.is_above::<T>(sought, record, guard) => {
                    index = found + 1;
                }
                _ => end = middle,
            }
        }
        index
    }
}

/// Puts a slot to its place among sorted ones, none of them vacated, nor it.
pub(super) fn place<T, A: smallvec::Array<Item = (u64, *mut ())>>(
    sorted: &mut SmallVec<A>,
    digest: u64,
    record: *mut (),
    guard: &Guard,
) -> usize {
    let at = sorted.partition_point(|(stored, other)| {
        let compared = stored.cmp(&digest).then_with(|| {
            let [other, record] = [*other, record].map(|record| key_of::<T>(record, guard));
            other.cmp(record)
        });
        compared == cmp::Ordering::Less
    });
    sorted.insert(at, (digest, record));
    at
}

/// The record behind a slot's content, unless that was vacated.
pub(super) fn record_of<'g, T: 'g>(found: *mut (), guard: &'g Guard) -> Option<RecordRef<'g, T>> {
    // SAFETY: INDEXED: slots hold what `insert` put there, and a record is retired after it has
    // left the newest array, so it lives for as long as the guard of whoever loaded an array that
    // had it; or whoever looks holds the leaf's lock, and it has not been removed.
    let record = unsafe { RecordPtr::from_raw(found) };
    record.map(|record| record.get(guard))
}

/// The key of a record that is in a slot.
pub(super) fn key_of<'g, T: 'g>(found: *mut (), guard: &'g Guard) -> &'g [u8] {
    record_of::<T>(found, guard).map_or(&[], RecordRef::key)
}

/// An array with these slots, whose keys begin with `prefix`. Where digests do not tell them apart,
/// or there is but one, the prefix is made longer.
pub(super) fn build<T>(
    sorted: &[(u64, *mut ())],
    prefix: &[u8],
    next: Option<LeafRef<'_, T>>,
    meter: &Meter,
    guard: &Guard,
) -> Result<Array, OutOfMemory> {
    let key = |slot: &(u64, *mut ())| key_of::<T>(slot.1, guard);
    let [Some(first), Some(last)] = [sorted.first(), sorted.last()].map(|slot| slot.map(key))
    else {
        return Array::new(sorted, prefix, next, meter);
    };
    let prefix_len = if sorted.len() == 1 {
        // As long as can be: it is shortened by the keys that come.
        first.len().saturating_sub(DIGEST_BYTES)
    } else if sorted.windows(2).any(|pair| pair[0].0 == pair[1].0) {
        common_len(first, last)
    } else {
        prefix.len()
    };
    if prefix_len == prefix.len() && sorted.len() > 1 {
        return Array::new(sorted, prefix, next, meter);
    }
    let slots = sorted
        .iter()
        .map(|slot| (digest_of(&key(slot)[prefix_len..]), slot.1));
    let slots = slots.collect::<Sorted>();
    Array::new(&slots, &first[..prefix_len], next, meter)
}
