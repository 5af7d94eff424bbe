//! A shortcut to the leaves: where they are, and the beginnings of their low keys, in one array.
//!
//! A search of the directory looks at some thirty nodes, each in memory of its own; one of the
//! shortcut looks at a few lines of digests. It may lag behind: leaves that were split off since the
//! array was built are not in it, and a search goes on from the leaf before them along the list, a
//! few leaves at most, or comes to nothing, and the directory is asked. So it is built anew only now
//! and then, and the array is copied for a share of what has come.
//!
//! What it must not have is a leaf that has died (LEAVES). Such a leaf is taken out before it is
//! unlinked, under the lock under which arrays are built.

#![expect(
    unsafe_code,
    reason = "arrays are shared between threads by raw pointers"
)]

use super::array::{beginning_of, common_len};
use super::{Leaf, LeafPtr, LeafRef, alloc_charged};
use crate::mvcc::quota::Meter;
use crate::sync::epoch::Guard;
use crate::sync::{
    AtomicPtr, Mutex, Ordering, OutOfMemory, Planted, dealloc, footprint, load_own, ordering,
    planted, reserve, shortcut_fresh_min,
};
use std::alloc::Layout;
use std::mem;
use std::ops::Range;
use std::ptr::{self, NonNull};
use std::sync::Arc;

/// A new array is built when so many leaves have come or gone of those in the last one: one in this
/// many.
const FRESH_SHARE: usize = 16;

/// How many places in a row a search looks at for a leaf that has not died.
const PLACES_MAX: usize = 4;

/// How many leaves a search goes on along the list.
const HOPS_MAX: usize = 4;

/// How much of a low key a digest holds.
const DIGEST_BYTES: usize = size_of::<u128>();

/// What a leaf takes of the array.
const PLACE_BYTES: usize = DIGEST_BYTES + size_of::<Place>();

/// The first bytes of what follows the prefix of a table, padded with zeros: where two of them
/// differ, they are ordered as their keys are.
fn digest_of(rest: &[u8]) -> u128 {
    u128::from_be_bytes(beginning_of(rest))
}

/// A leaf's pointer, or null where it has died.
type Place = AtomicPtr<()>;

/// Leaves in the order of their low keys: a header, the digests, the leaves' pointers, and the
/// prefix that all the low keys have in common, in one allocation.
#[derive(Clone, Copy)]
struct Table {
    header: NonNull<Header>,
}

#[repr(C, align(16))]
struct Header {
    len: usize,
    prefix_len: usize,
}

impl Table {
    fn layout(len: usize, prefix_len: usize) -> Layout {
        let size = size_of::<Header>() + len * PLACE_BYTES + prefix_len;
        Layout::from_size_align(size, align_of::<Header>())
            .expect("as many places as there are leaves fit the address space")
    }

    /// A table of these leaves, which are in the order of their low keys, all of which begin with
    /// `prefix`.
    fn new<T>(
        leaves: &[(u128, LeafPtr<T>)],
        prefix: &[u8],
        meter: &Meter,
    ) -> Result<Self, OutOfMemory> {
        let raw = alloc_charged(Self::layout(leaves.len(), prefix.len()), meter)?;
        let header = raw.cast::<Header>();
        let table = Self { header };
        let written = Header {
            len: leaves.len(),
            prefix_len: prefix.len(),
        };
        // SAFETY: freshly allocated for this, aligned, and ours alone.
        unsafe { header.write(written) };
        for (index, (digest, leaf)) in leaves.iter().enumerate() {
            // SAFETY: within the allocation, aligned, and ours alone.
            unsafe { table.digest_at(index).write(*digest) };
            // SAFETY: as above.
            unsafe { table.place_at(index).write(Place::new(leaf.as_raw())) };
        }
        let to = table.prefix_at();
        // SAFETY: the layout has room for the prefix behind the places, and overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(prefix.as_ptr(), to, prefix.len()) };
        Ok(table)
    }

    /// Frees the table.
    ///
    /// # Safety
    ///
    /// Nobody else can reach it any more, and it is freed once.
    unsafe fn free(self, meter: &Meter) {
        let layout = Self::layout(self.len(), self.prefix().len());
        // SAFETY: `new` allocated it with this layout, and its fields need no drop.
        unsafe { dealloc(self.header.as_ptr().cast(), layout) };
        meter.refund(footprint(layout.size()));
    }

    fn unpack(raw: *mut ()) -> Option<Self> {
        NonNull::new(raw.cast()).map(|header| Self { header })
    }

    fn header(&self) -> &Header {
        // SAFETY: PINNED: whoever has a table has built it, holds the lock under which it is
        // replaced, or has loaded it under a guard that is older than whatever frees it.
        unsafe { self.header.as_ref() }
    }

    fn len(self) -> usize {
        self.header().len
    }

    fn digest_at(self, index: usize) -> *mut u128 {
        let digests = self.header.as_ptr().wrapping_add(1).cast::<u128>();
        digests.wrapping_add(index)
    }

    fn place_at(self, index: usize) -> *mut Place {
        let places = self.digest_at(self.len()).cast::<Place>();
        places.wrapping_add(index)
    }

    fn prefix_at(self) -> *mut u8 {
        self.place_at(self.len()).cast()
    }

    fn digests(&self) -> &[u128] {
        // SAFETY: initialised by `new`, never changed since, and there as `header` says.
        unsafe { std::slice::from_raw_parts(self.digest_at(0), self.len()) }
    }

    fn places(&self) -> &[Place] {
        // SAFETY: initialised by `new`, and atomic since.
        unsafe { std::slice::from_raw_parts(self.place_at(0), self.len()) }
    }

    fn prefix(&self) -> &[u8] {
        // SAFETY: initialised by `new`, never changed since.
        unsafe { std::slice::from_raw_parts(self.prefix_at(), self.header().prefix_len) }
    }

    /// The places whose digest is this one.
    fn equal(self, digest: u128) -> Range<usize> {
        let digests = self.digests();
        let start = digests.partition_point(|other| *other < digest);
        let len = match digests.get(start) {
            Some(first) if *first == digest => {
                digests[start..].partition_point(|other| *other == digest)
            }
            _ => 0,
        };
        start..start + len
    }

    /// The last leaf at some of the places whose low key is before another, if there is one.
    fn last_before<T>(
        self,
        mut places: Range<usize>,
        guard: &Guard,
        is_before: impl Fn(&[u8]) -> bool,
    ) -> Result<Option<LeafRef<'_, T>>, ManyDead> {
        let mut last = None;
        while !places.is_empty() {
            let middle = usize::midpoint(places.start, places.end);
            let mut rest = (middle..places.end).take(PLACES_MAX);
            let found = rest.find_map(|index| Some((index, self.leaf::<T>(index, guard)?)));
            match found {
                Some((index, leaf)) if is_before(leaf.low()) => {
                    last = Some(leaf);
                    places.start = index + 1;
                }
                None if places.end - middle > PLACES_MAX => return Err(ManyDead),
                _ => places.end = middle,
            }
        }
        Ok(last)
    }

    /// The place of a leaf whose low key has this digest.
    fn place_of<T>(self, digest: u128, leaf: LeafRef<'_, T>, guard: &Guard) -> Option<usize> {
        let mut places = self.equal(digest);
        while !places.is_empty() {
            let middle = usize::midpoint(places.start, places.end);
            let mut rest = middle..places.end;
            // As many have died at most as have a table built anew.
            let found = rest.find_map(|index| Some((index, self.leaf::<T>(index, guard)?)));
            match found {
                Some((index, other)) if other.ptr() == leaf.ptr() => return Some(index),
                Some((index, other)) if other.low() < leaf.low() => places.start = index + 1,
                _ => places.end = middle,
            }
        }
        None
    }

    /// The leaf at a place, unless it has died.
    fn leaf<T>(self, index: usize, _: &Guard) -> Option<LeafRef<'_, T>> {
        // ORDERING: Relaxed. Where the leaf is was published with the table. And whoever has to know
        // that it has died comes after whoever unlinked it, who had cleared the place before.
        let found = self.places()[index].load(Ordering::Relaxed);
        NonNull::new(found.cast::<Leaf>()).map(LeafRef::new)
    }
}

/// Too many leaves in a row have died for a search to go on.
struct ManyDead;

/// The shortcut of one list of leaves.
pub(crate) struct Shortcut<T> {
    /// Null, or a [`Table`].
    table: AtomicPtr<()>,
    /// Held to replace the table and to take a leaf out of it. No lock of a leaf is waited for
    /// meanwhile.
    changes: Mutex<()>,
    fresh: Mutex<Fresh<T>>,
    meter: Arc<Meter>,
}

/// What has changed since the table was built.
struct Fresh<T> {
    /// The leaves that it lacks.
    leaves: Vec<LeafPtr<T>>,
    /// How many have died of those that it has.
    dead_count: usize,
    /// How many it has.
    known_count: usize,
    /// The number of both from which on it is to be built anew.
    due_at: usize,
}

impl<T> Fresh<T> {
    fn is_due(&self) -> bool {
        self.leaves.len() + self.dead_count >= self.due_at || self.is_empty()
    }

    /// Whether all leaves that it has have died, and none have come.
    fn is_empty(&self) -> bool {
        self.known_count > 0 && self.dead_count == self.known_count && self.leaves.is_empty()
    }
}

impl<T: Send + Sync + 'static> Shortcut<T> {
    /// A shortcut without memory of its own, and the meter of what it will have.
    pub(crate) fn new(meter: &Arc<Meter>) -> Self {
        Self {
            table: AtomicPtr::new(ptr::null_mut()),
            changes: Mutex::new(()),
            fresh: Mutex::new(Fresh {
                leaves: Vec::new(),
                dead_count: 0,
                known_count: 0,
                due_at: shortcut_fresh_min(),
            }),
            meter: Arc::clone(meter),
        }
    }

    /// Takes note of a leaf that was split off; whether a table should be [built](Self::build). The
    /// caller holds the lock of the leaf before it.
    pub(crate) fn insert(&self, leaf: LeafRef<'_, T>) -> bool {
        let mut fresh = self.fresh.lock();
        // Where there is no memory for it, it is found by the directory.
        if reserve(&mut fresh.leaves, 1).is_ok() {
            fresh.leaves.push(leaf.ptr());
        }
        fresh.is_due()
    }

    /// Forgets a leaf that is about to be unlinked; whether a table should be [built](Self::build).
    /// The caller holds its lock.
    pub(crate) fn remove(&self, leaf: LeafRef<'_, T>, guard: &Guard) -> bool {
        let _changes = self.changes.lock();
        // MODEL: index::record_that_stays_is_met.
        if planted(Planted::KeptShortcut) {
            return false;
        }
        let is_dead = self.clear(leaf, guard);
        let mut fresh = self.fresh.lock();
        if is_dead {
            fresh.dead_count += 1;
        } else if let Some(index) = fresh.leaves.iter().position(|other| *other == leaf.ptr()) {
            fresh.leaves.swap_remove(index);
        }
        fresh.is_due()
    }

    /// Clears the place of a leaf; whether it had one. The caller holds the lock of the changes.
    fn clear(&self, leaf: LeafRef<'_, T>, guard: &Guard) -> bool {
        let Some(table) = Table::unpack(load_own(&self.table)) else {
            return false;
        };
        let Some(rest) = leaf.low().strip_prefix(table.prefix()) else {
            return false;
        };
        let found = table.place_of(digest_of(rest), leaf, guard);
        if let Some(index) = found {
            // ORDERING: Relaxed. See `Table::leaf`.
            table.places()[index].store(ptr::null_mut(), Ordering::Relaxed);
        }
        found.is_some()
    }

    /// Builds a table, if one is due; how many pieces were handed to the epoch for it. The caller
    /// holds no lock of a leaf. Takes time in proportion to the number of leaves.
    #[cold]
    pub(crate) fn build(&self, guard: &Guard) -> u64 {
        let _changes = self.changes.lock();
        let mut fresh = self.fresh.lock();
        if !fresh.is_due() {
            return 0;
        }
        let is_empty = fresh.is_empty();
        let mut leaves = mem::take(&mut fresh.leaves);
        drop(fresh);
        // None of them dies meanwhile.
        leaves.sort_unstable_by_key(|leaf| leaf.get(guard).low());
        let old = Table::unpack(load_own(&self.table));
        let new = if is_empty {
            Ok(None)
        } else {
            merged(old, &leaves, &self.meter, guard).map(Some)
        };
        let mut fresh = self.fresh.lock();
        let Ok(new) = new else {
            // Those that have come meanwhile are found by the directory.
            fresh.leaves = leaves;
            fresh.due_at = fresh.leaves.len() + fresh.dead_count + shortcut_fresh_min();
            return 0;
        };
        fresh.dead_count = 0;
        fresh.known_count = new.map_or(0, Table::len);
        fresh.due_at = (fresh.known_count / FRESH_SHARE).max(shortcut_fresh_min());
        drop(fresh);
        // ORDERING: E-LEAF, writer side: publishes what the table was built of, and the leaves that
        // it leads to. MODEL: shortcut::leaf_that_it_leads_to_is_whole.
        let publish = ordering(Ordering::Release, Planted::WeakShortcut);
        let packed = new.map_or(ptr::null_mut(), |new| new.header.as_ptr().cast());
        self.table.store(packed, publish);
        let Some(old) = old else {
            return 0;
        };
        let meter = Arc::clone(&self.meter);
        let free = move || {
            // SAFETY: it was replaced when this was deferred, so after every guard pinned then
            // nobody holds it.
            unsafe { old.free(&meter) };
        };
        // SAFETY: an array of atomics and plain bytes may be freed on any thread.
        unsafe { guard.defer_unchecked(free) };
        1
    }

    /// The last leaf whose low key is not above a key, if this is a short way to it.
    pub(crate) fn floor<'g>(&self, key: &[u8], guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        self.find(key, guard, |low| low <= key)
    }

    /// The last leaf whose low key is below a key, if this is a short way to it.
    pub(crate) fn below<'g>(&self, key: &[u8], guard: &'g Guard) -> Option<LeafRef<'g, T>> {
        self.find(key, guard, |low| low < key)
    }

    fn find<'g>(
        &self,
        key: &[u8],
        guard: &'g Guard,
        is_before: impl Fn(&[u8]) -> bool,
    ) -> Option<LeafRef<'g, T>> {
        // ORDERING: E-LEAF, reader side: whoever sees the table sees what it was built of.
        let table = Table::unpack(self.table.load(Ordering::Acquire))?;
        let digest = digest_of(key.strip_prefix(table.prefix())?);
        let equal = table.equal(digest);
        let below = equal.start.saturating_sub(PLACES_MAX)..equal.start;
        let leaf = table.last_before(equal, guard, &is_before).ok()?;
        let mut leaf = leaf.or_else(|| below.rev().find_map(|index| table.leaf(index, guard)))?;
        for _ in 0..=HOPS_MAX {
            let next = leaf
                .next_at(key, guard)
                .filter(|next| is_before(next.low()));
            let Some(next) = next else {
                return Some(leaf);
            };
            leaf = next;
        }
        None
    }
}

/// A table of the leaves of another and of these, which are in the order of their low keys.
fn merged<T>(
    old: Option<Table>,
    fresh: &[LeafPtr<T>],
    meter: &Meter,
    guard: &Guard,
) -> Result<Table, OutOfMemory> {
    let low = |leaf: &LeafPtr<T>| leaf.get(guard).low();
    let known = old.as_ref().map_or(&[][..], Table::digests).iter();
    let known = known.enumerate().filter_map(|(index, digest)| {
        let leaf = old?.leaf::<T>(index, guard)?;
        Some((*digest, leaf.ptr()))
    });
    let mut leaves = Vec::new();
    reserve(&mut leaves, old.map_or(0, Table::len) + fresh.len())?;
    leaves.extend(known);
    let old_prefix = old.as_ref().map_or(&[][..], Table::prefix);
    let is_first = leaves.is_empty();
    let [Some(first), Some(last)] = [fresh.first(), fresh.last()].map(|leaf| leaf.map(low)) else {
        return Table::new(&leaves, old_prefix, meter);
    };
    let prefix = if is_first && fresh.len() == 1 {
        // As long as can be: it is shortened by the leaves that come.
        &first[..first.len().saturating_sub(DIGEST_BYTES)]
    } else if is_first {
        &first[..common_len(first, last)]
    } else {
        &old_prefix[..common_len(old_prefix, first).min(common_len(old_prefix, last))]
    };
    if prefix.len() < old_prefix.len() {
        for (digest, leaf) in &mut leaves {
            *digest = digest_of(&low(leaf)[prefix.len()..]);
        }
    }
    let mut rest = &leaves[..];
    let mut all = Vec::new();
    reserve(&mut all, leaves.len() + fresh.len())?;
    for leaf in fresh {
        let low_key = low(leaf);
        let digest = digest_of(&low_key[prefix.len()..]);
        let before = rest.partition_point(|(other, known)| {
            other
                .cmp(&digest)
                .then_with(|| low(known).cmp(low_key))
                .is_lt()
        });
        all.extend_from_slice(&rest[..before]);
        rest = &rest[before..];
        all.push((digest, *leaf));
    }
    all.extend_from_slice(rest);
    Table::new(&all, prefix, meter)
}

impl<T> Drop for Shortcut<T> {
    fn drop(&mut self) {
        // ORDERING: Relaxed. Nobody else can reach the table.
        if let Some(table) = Table::unpack(load_own(&self.table)) {
            // SAFETY: nobody reads any more.
            unsafe { table.free(&self.meter) };
        }
    }
}
