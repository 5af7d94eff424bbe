//! A record, the home of one key, and the chain of its versions.
//!
//! A record holds an atomic pointer to the newest version of its key; each version links to the
//! one that it superseded. Records and versions are one allocation each: a header, and behind it
//! the key's or the value's bytes, so that a hit costs one cache miss for the record and one for
//! the version.
//!
//! Writers hold the stripe of the key, so a chain has one writer at a time; readers walk it with
//! nothing but an epoch guard. A new version is linked at the head by one store, and the one that
//! it supersedes passes from the chain to the writer as [`Superseded`]: the chain owns its head,
//! and the sweep queues own the rest. A superseded version is freed in one of two ways. Once the
//! horizon has passed it, no reader goes that far down, and it is freed at once; the link that
//! leads to it is not even cleared (REACH). While an older snapshot is open that goes past it, it
//! is unlinked, and freed through the epoch, because a reader may be standing on it.
//!
//! This file and its child, `point.rs` and `leaf.rs` are the only ones with `unsafe`. What they hand out is tied to
//! a guard (PINNED), and what an index holds is a [`RecordPtr`], valid by INDEXED.

#![expect(
    unsafe_code,
    reason = "records and versions are shared between threads by raw pointers"
)]

mod draft;
mod retired;
mod superseded;

pub(crate) use self::draft::Draft;
pub(crate) use self::retired::{Retiring, Ripe};
pub(crate) use self::superseded::{Reclaimed, Superseded, Unreachable};

use super::quota::Freed;
use super::stamp::{StampCounter, StampWord, State};
use crate::sync::epoch::Guard;
use crate::sync::{
    AtomicPtr, AtomicU32, Ordering, OutOfMemory, PREFETCHES, Planted, alloc, dealloc, footprint,
    load_own, ordering, planted,
};
use crate::version::Stamp;
use std::alloc::Layout;
use std::cmp;
use std::fmt;
use std::marker::PhantomData;
use std::mem::{ManuallyDrop, offset_of};
use std::ptr::{self, NonNull};

/// The tag of a version that says "deleted". Every other tag belongs to the payload.
pub(crate) const TOMBSTONE: u8 = 0;

/// What a version carries beside its inline bytes.
pub(crate) trait Payload: Send + Sync + 'static {
    /// What a version with this tag keeps alive besides itself, in bytes, for the accounts.
    fn heap_bytes(&self, tag: u8) -> usize;
}

/// One immutable value of a key, or a tombstone: the header, followed in memory by `len` bytes.
#[repr(C)]
struct Version<T> {
    word: StampWord,
    older: AtomicPtr<Version<T>>,
    extra: T,
    len: u32,
    tag: u8,
    bytes: [u8; 0],
}

impl<T: Payload> Version<T> {
    /// What the version takes of the heap, header and payload included.
    #[inline]
    fn size(&self) -> usize {
        let size = (offset_of!(Self, bytes) + self.len as usize).max(size_of::<Self>());
        footprint(size) + self.extra.heap_bytes(self.tag)
    }
}

impl<T> Version<T> {
    fn layout(len: u32) -> Layout {
        let size = (offset_of!(Self, bytes) + len as usize).max(size_of::<Self>());
        Layout::from_size_align(size, align_of::<Self>())
            .expect("a header and at most 4 GiB fit the address space")
    }
}

/// Frees one version.
///
/// # Safety
///
/// `version` came from [`Draft::new`], is freed once, and nobody can reach it any more.
unsafe fn free_version<T>(version: NonNull<Version<T>>) {
    // SAFETY: the caller's: it is a live version, and ours alone.
    let len = unsafe { version.as_ref() }.len;
    // SAFETY: as above; the header is not used after this.
    unsafe { version.drop_in_place() };
    // SAFETY: `Draft::new` allocated it with this layout.
    unsafe { dealloc(version.cast().as_ptr(), Version::<T>::layout(len)) };
}

/// A version that a reader may look at for as long as its guard lives.
pub(crate) struct VersionRef<'g, T> {
    version: NonNull<Version<T>>,
    guard: PhantomData<&'g Version<T>>,
}

impl<T> Clone for VersionRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for VersionRef<'_, T> {}

impl<'g, T> VersionRef<'g, T> {
    fn header(self) -> &'g Version<T> {
        // SAFETY: PINNED: it was loaded under the guard of 'g, and no version is freed before
        // every guard is gone under which it could be loaded.
        unsafe { self.version.as_ref() }
    }

    pub(crate) fn tag(self) -> u8 {
        self.header().tag
    }

    pub(crate) fn is_tombstone(self) -> bool {
        self.tag() == TOMBSTONE
    }

    /// The bytes behind the header.
    pub(crate) fn bytes(self) -> &'g [u8] {
        let len = self.header().len as usize;
        let base = self.version.as_ptr().cast::<u8>();
        // SAFETY: the allocation reaches `len` bytes past this offset.
        let bytes = unsafe { base.add(offset_of!(Version<T>, bytes)) };
        // SAFETY: initialised by `Draft::new`, never changed since, and live for 'g (PINNED).
        unsafe { std::slice::from_raw_parts(bytes, len) }
    }

    pub(crate) fn extra(self) -> &'g T {
        &self.header().extra
    }

    fn older(self) -> Option<Self> {
        // ORDERING: E-LINK, reader side. The link is written before the version is published, and
        // rewritten only to go past one that is unlinked, with a pointer published before. REACH:
        // whoever follows it has a snapshot below this version, so what it leads to is there.
        Self::wrap(self.header().older.load(Ordering::Acquire))
    }

    fn wrap(version: *mut Version<T>) -> Option<Self> {
        NonNull::new(version).map(|version| Self {
            version,
            guard: PhantomData,
        })
    }

    /// Where the version is, for prefetching.
    pub(crate) fn as_raw(self) -> *mut () {
        self.version.as_ptr().cast()
    }

    /// The address by which other versions of the commit name this one as their leader.
    pub(crate) fn address(self) -> usize {
        self.version.as_ptr().expose_provenance()
    }

    pub(crate) fn word(self) -> &'g StampWord {
        &self.header().word
    }

    /// The stamp of the version, deciding it where its commit is ready; `None` where that commit
    /// will be stamped after every snapshot taken so far.
    pub(crate) fn resolve(self, counter: &StampCounter) -> Option<Stamp> {
        match self.word().state() {
            State::Decided(stamp) => Some(stamp),
            State::Led(address) => Self::leader(address).word().resolve(counter),
            _ => self.word().resolve(counter),
        }
    }

    /// What the version's commit has come to, without deciding anything.
    pub(crate) fn state(self) -> State {
        match self.word().state() {
            State::Led(address) => Self::leader(address).word().state(),
            state => state,
        }
    }

    /// Whether this is the version at `address`, or one of those that it leads.
    pub(crate) fn is_led_by(self, address: usize) -> bool {
        self.version.as_ptr().addr() == address || self.word().state() == State::Led(address)
    }

    /// The version at an address that a word of this chain's payload type named as leader.
    fn leader(address: usize) -> Self {
        // The address was exposed in `address`. The leader is live: a commit settles every word
        // before it gives up the leader's stripe, and one that is rolled back unlinks the leader
        // last (LED). So a word that still points there was read under a guard older than whatever
        // frees the leader (PINNED).
        Self {
            version: NonNull::new(ptr::with_exposed_provenance_mut(address))
                .expect("LED: a leader's address is not null"),
            guard: PhantomData,
        }
    }
}

impl<T: Payload> VersionRef<'_, T> {
    /// What the version takes of the heap, header and payload included.
    pub(crate) fn size(self) -> usize {
        self.header().size()
    }
}

/// The home of one key: the head of its chain, and behind the header the key's bytes.
///
/// Aligned to sixteen, so that the point index has four bits of a pointer to itself.
#[repr(C, align(16))]
struct Record<T> {
    head: AtomicPtr<Version<T>>,
    hash: u64,
    key_len: u32,
    /// Of the constants below. Written under the stripe's lock only.
    marks: AtomicU32,
    /// How often its entry was used of late, as far as that counts, and the tick of the last time.
    /// Written by readers too.
    uses: AtomicU32,
    key: [u8; 0],
}

/// The record waits to be removed.
const DYING: u32 = 1;
/// The record has left the indexes.
const RETIRED: u32 = 2;
/// The newest version that was settled is an entry, and no tombstone.
const ENTRY: u32 = 4;
/// The newest version that was settled will expire.
const TIMED: u32 = 8;
/// Of the versions that were settled some were out of the ordinary otherwise.
const SPECIAL: u32 = 16;
/// Where the number of the entry is, among the marks: it tells one that the key has from others that it
/// had before.
const NUMBER_SHIFT: u32 = 8;
const NUMBER_MASK: u32 = 0xff << NUMBER_SHIFT;
/// Where the tick of the last use is, behind how many there were.
const TICK_SHIFT: u32 = 8;
const USES_MASK: u32 = (1 << TICK_SHIFT) - 1;
/// The greatest tick.
pub(crate) const TICK_MAX: u32 = u32::MAX >> TICK_SHIFT;

impl<T> Record<T> {
    fn layout(key_len: u32) -> Layout {
        let size = (offset_of!(Self, key) + key_len as usize).max(size_of::<Self>());
        Layout::from_size_align(size, align_of::<Self>())
            .expect("a header and at most 4 GiB fit the address space")
    }

    /// What the record takes of the heap, its versions apart.
    fn size(&self) -> usize {
        footprint(Self::layout(self.key_len).size())
    }
}

/// A record as an index or a queue holds it: a pointer that is followed only while INDEXED (or
/// QUEUED) says that the record is there.
pub(crate) struct RecordPtr<T> {
    record: NonNull<Record<T>>,
}

impl<T> Clone for RecordPtr<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RecordPtr<T> {}

impl<T> PartialEq for RecordPtr<T> {
    fn eq(&self, other: &Self) -> bool {
        self.record == other.record
    }
}

impl<T> Eq for RecordPtr<T> {}

impl<T> PartialOrd for RecordPtr<T> {
    fn partial_cmp(&self, other: &Self) -> Option<cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for RecordPtr<T> {
    /// By address: an order that means nothing, to keep them in a sorted set. Simulations, which are to
    /// go the same way each time, have them by hash first.
    fn cmp(&self, other: &Self) -> cmp::Ordering {
        if cfg!(simulated) {
            // SAFETY: both are in a set, or looked for in one, which has records that are there alone.
            let hash = |of: &Self| unsafe { of.record.as_ref() }.hash;
            return (hash(self), self.record).cmp(&(hash(other), other.record));
        }
        self.record.cmp(&other.record)
    }
}

// SAFETY: a record is made to be shared: its head is atomic, its key never changes, and its
// versions carry a `T` that is dropped on whichever thread frees them.
unsafe impl<T: Send + Sync> Send for RecordPtr<T> {}
// SAFETY: as above.
unsafe impl<T: Send + Sync> Sync for RecordPtr<T> {}

impl<T> fmt::Debug for RecordPtr<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordPtr")
    }
}

impl<T> RecordPtr<T> {
    /// A record without a version. It belongs to the caller until an index takes it.
    pub(crate) fn new(hash: u64, key: &[u8]) -> Result<Self, OutOfMemory> {
        let key_len = u32::try_from(key.len()).expect("keys are bounded by the limits");
        let layout = Record::<T>::layout(key_len);
        // SAFETY: the layout has at least the header's size, which is not zero.
        let raw = unsafe { alloc(layout) };
        #[expect(clippy::cast_ptr_alignment, reason = "the layout has this alignment")]
        let record = NonNull::new(raw.cast::<Record<T>>());
        let Some(record) = record else {
            return Err(OutOfMemory::of(layout));
        };
        let header = Record {
            head: AtomicPtr::new(ptr::null_mut()),
            hash,
            key_len,
            marks: AtomicU32::new(0),
            uses: AtomicU32::new(0),
            key: [],
        };
        // SAFETY: freshly allocated for this type, aligned, and ours alone.
        unsafe { record.write(header) };
        // SAFETY: the layout reaches `key_len` bytes past this offset.
        let to = unsafe { raw.add(offset_of!(Record<T>, key)) };
        // SAFETY: both are valid for the length, and a fresh allocation overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(key.as_ptr(), to, key.len()) };
        Ok(Self { record })
    }

    /// The record, for as long as the guard lives.
    ///
    /// The caller got the pointer from an index under this guard, or from its stripe's queue under
    /// the stripe's lock.
    pub(crate) fn get(self, _guard: &Guard) -> RecordRef<'_, T> {
        RecordRef {
            record: self.record,
            guard: PhantomData,
        }
    }

    pub(crate) fn as_raw(self) -> *mut () {
        self.record.as_ptr().cast()
    }

    /// The pointer that [`as_raw`](Self::as_raw) gave away.
    ///
    /// # Safety
    ///
    /// `raw` came from there, with the same `T`, and the record has not been freed.
    pub(crate) unsafe fn from_raw(raw: *mut ()) -> Option<Self> {
        NonNull::new(raw.cast()).map(|record| Self { record })
    }

    /// Frees the record and its newest version at once.
    ///
    /// # Safety
    ///
    /// Nobody else can reach the record: it was never indexed, or its engine is being dropped, or
    /// every guard is gone under which it could be found. It is not used again.
    pub(crate) unsafe fn free(self) {
        // SAFETY: the caller's: the record is live.
        let record = unsafe { self.record.as_ref() };
        let layout = Record::<T>::layout(record.key_len);
        // ORDERING: Relaxed. Nobody else can reach it, and the caller learnt that in an order.
        if let Some(head) = NonNull::new(load_own(&record.head)) {
            // SAFETY: the chain owns its head, and it is reachable through this record alone.
            unsafe { free_version(head) };
        }
        // SAFETY: `new` allocated it with this layout, and its fields need no drop.
        unsafe { dealloc(self.record.cast().as_ptr(), layout) };
    }
}

impl<T: Payload> RecordPtr<T> {
    /// What the record with this key takes of the heap, its versions apart.
    pub(crate) fn size_for(key: &[u8]) -> usize {
        // Where there are more, `new` refuses the key.
        footprint(Record::<T>::layout(u32::try_from(key.len()).unwrap_or(u32::MAX)).size())
    }

    /// As [`free`](Self::free); what they took of the heap.
    ///
    /// # Safety
    ///
    /// That of `free`.
    unsafe fn free_counted(self) -> usize {
        // SAFETY: the caller's: the record is live.
        let record = unsafe { self.record.as_ref() };
        // ORDERING: Relaxed. Nobody else can reach it, and the caller learnt that in an order.
        let head = NonNull::new(load_own(&record.head));
        // SAFETY: the chain owns its head.
        let head_size = head.map_or(0, |head| unsafe { head.as_ref() }.size());
        let size = record.size() + head_size;
        // SAFETY: the caller's.
        unsafe { self.free() };
        size
    }

    /// Frees the record and its newest version once every guard pinned now is gone, and tells how
    /// much that was.
    ///
    /// The caller holds the stripe of the key and has removed the record from every index
    /// (INDEXED); nothing that waits will look at it any more (QUEUED).
    pub(crate) fn retire(self, freed: &Freed, guard: &Guard) {
        self.get(guard).mark(RETIRED, true);
        let freed = freed.clone();
        let free = move || {
            // MODEL: life::buried_record_outlives_its_readers.
            // SAFETY: the record can be found no more, so after every guard pinned at `retire`
            // nobody holds it; and `retire` is called once, by the one that removed it.
            freed.add(unsafe { self.free_counted() });
        };
        // SAFETY: what is captured may be dropped on another thread: `T` is `Send` and 'static.
        unsafe { guard.defer_unchecked(free) };
    }
}

/// A record that may be looked at for as long as the guard lives.
pub(crate) struct RecordRef<'g, T> {
    record: NonNull<Record<T>>,
    guard: PhantomData<&'g Record<T>>,
}

impl<T> Clone for RecordRef<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for RecordRef<'_, T> {}

impl<T> fmt::Debug for RecordRef<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RecordRef")
    }
}

impl<'g, T> RecordRef<'g, T> {
    fn header(self) -> &'g Record<T> {
        // SAFETY: PINNED: records are retired through the epoch.
        unsafe { self.record.as_ref() }
    }

    pub(crate) fn ptr(self) -> RecordPtr<T> {
        RecordPtr {
            record: self.record,
        }
    }

    pub(crate) fn hash(self) -> u64 {
        self.header().hash
    }

    pub(crate) fn key(self) -> &'g [u8] {
        let len = self.header().key_len as usize;
        let base = self.record.as_ptr().cast::<u8>();
        // SAFETY: the allocation reaches `len` bytes past this offset.
        let key = unsafe { base.add(offset_of!(Record<T>, key)) };
        // SAFETY: initialised by `RecordPtr::new`, never changed since, live for 'g (PINNED).
        unsafe { std::slice::from_raw_parts(key, len) }
    }

    /// The newest version, whatever its commit has come to.
    pub(crate) fn head(self) -> Option<VersionRef<'g, T>> {
        // ORDERING: E-LINK, reader side: whoever sees the pointer sees the version it points to.
        VersionRef::wrap(self.header().head.load(Ordering::Acquire))
    }

    /// The newest decided version, tombstones included, with its stamp.
    ///
    /// Resolves a ready commit before it looks past it: skipping that would let a read miss a
    /// commit whose stamp is below that of one already observed.
    pub(crate) fn newest(self, counter: &StampCounter) -> Option<(VersionRef<'g, T>, Stamp)> {
        self.first(counter, |_| true)
    }

    /// The version visible at a snapshot, tombstones included, with its stamp (VISIBLE).
    ///
    /// `at` was loaded from the counter under the guard of 'g, or is registered.
    pub(crate) fn at(
        self,
        at: Stamp,
        counter: &StampCounter,
    ) -> Option<(VersionRef<'g, T>, Stamp)> {
        self.first(counter, |stamp| stamp <= at)
    }

    fn first(
        self,
        counter: &StampCounter,
        visible: impl Fn(Stamp) -> bool,
    ) -> Option<(VersionRef<'g, T>, Stamp)> {
        let mut next = self.head();
        while let Some(version) = next {
            match version.resolve(counter) {
                Some(stamp) if visible(stamp) => return Some((version, stamp)),
                _ => next = version.older(),
            }
        }
        None
    }

    /// The newest version and its stamp. The caller holds the stripe of the key, and its own
    /// commit has not linked here: so every version is decided.
    pub(crate) fn settled_head(self) -> Option<(VersionRef<'g, T>, Stamp)> {
        let head = self.head()?;
        let stamp = head.word().settled();
        debug_assert!(stamp.is_some(), "an undecided head under its stripe's lock");
        stamp.map(|stamp| (head, stamp))
    }

    /// What lies below a version that the caller has linked: what it supersedes.
    pub(crate) fn below(version: VersionRef<'g, T>) -> Option<VersionRef<'g, T>> {
        version.older()
    }

    /// Links a version at the head. The caller holds the stripe of the key.
    pub(crate) fn link(self, draft: Draft<T>, word: StampWord) -> VersionRef<'g, T> {
        let mut draft = ManuallyDrop::new(draft);
        // ORDERING: Relaxed. Only the holder of the stripe changes the head.
        let head = load_own(&self.header().head);
        let header = draft.header_mut();
        header.word = word;
        header.older = AtomicPtr::new(head);
        let version = draft.version;
        // ORDERING: E-LINK, writer side: publishes the header and the bytes.
        // MODEL: chain::linked_version_is_whole.
        let publish = ordering(Ordering::Release, Planted::WeakLink);
        self.header().head.store(version.as_ptr(), publish);
        VersionRef {
            version,
            guard: PhantomData,
        }
    }

    /// Links a version that keeps its stamp, to a record that has none. The caller holds the stripe of
    /// the key, and nothing is minted meanwhile (KEPT).
    pub(crate) fn link_kept(self, draft: Draft<T>, stamp: Stamp) -> VersionRef<'g, T> {
        debug_assert!(self.head().is_none(), "KEPT: a version came before");
        self.link(draft, StampWord::kept(stamp))
    }

    /// Whether the record bears a mark. The caller holds the stripe of the key.
    fn is_marked(self, mark: u32) -> bool {
        // ORDERING: Relaxed. Read and written under the stripe's lock only.
        self.header().marks.load(Ordering::Relaxed) & mark != 0
    }

    /// Sets or clears a mark. The caller holds the stripe of the key.
    fn mark(self, mark: u32, is_set: bool) {
        // ORDERING: Relaxed. Read and written under the stripe's lock only.
        let marks = self.header().marks.load(Ordering::Relaxed);
        let marks = if is_set { marks | mark } else { marks & !mark };
        // ORDERING: Relaxed, as above.
        self.header().marks.store(marks, Ordering::Relaxed);
    }

    /// Says that the record waits to be removed; `false` where it was said before. The caller
    /// holds the stripe of the key.
    pub(crate) fn start_dying(self) -> bool {
        let is_fresh = !self.is_marked(DYING);
        self.mark(DYING, true);
        is_fresh
    }

    /// Takes that back. The caller holds the stripe of the key.
    pub(crate) fn stop_dying(self) {
        self.mark(DYING, false);
    }

    /// Whether the record has left the indexes since it was found. The caller holds the stripe of
    /// the key; while it does, that does not change.
    pub(crate) fn is_retired(self) -> bool {
        self.is_marked(RETIRED)
    }

    /// Whether the key has an entry, without a look at the version. The caller holds the stripe of
    /// the key, and its own commit has not settled.
    pub(crate) fn has_entry(self) -> bool {
        self.is_marked(ENTRY)
    }

    /// Says whether it has one, once a commit has settled. The caller holds the stripe of the key.
    pub(crate) fn set_has_entry(self, has_entry: bool) {
        self.mark(ENTRY, has_entry);
    }

    /// Whether its newest settled version will expire. The caller holds the stripe of the key.
    pub(crate) fn is_timed(self) -> bool {
        self.is_marked(TIMED)
    }

    /// Whether it has an entry, one that will not expire, and never had a special one. The caller holds
    /// the stripe of the key, and its own commit has not settled.
    pub(crate) fn has_lasting_entry(self) -> bool {
        // ORDERING: Relaxed. Read and written under the stripe's lock only.
        let marks = self.header().marks.load(Ordering::Relaxed);
        marks & (ENTRY | TIMED | SPECIAL) == ENTRY
    }

    /// Says whether it will, once a commit has settled. The caller holds the stripe of the key.
    pub(crate) fn set_timed(self, is_timed: bool) {
        self.mark(TIMED, is_timed);
    }

    /// Says that it has a special entry, once a commit has settled. The caller holds the stripe of the key.
    pub(crate) fn set_special(self) {
        self.mark(SPECIAL, true);
    }

    /// The number of its entry, if it seems to have one; under the stripe's lock, it has.
    fn numbered_entry(self) -> Option<u8> {
        // ORDERING: Relaxed. Whoever does not hold the stripe only takes a hint from it.
        let marks = self.header().marks.load(Ordering::Relaxed);
        let number = (marks & NUMBER_MASK) >> NUMBER_SHIFT;
        (marks & ENTRY != 0).then(|| u8::try_from(number).unwrap_or_default())
    }

    /// Whether its entry, if it seems to have one, has this number; under the stripe's lock, it is so.
    pub(crate) fn is_numbered(self, number: u8) -> bool {
        let numbered = self.numbered_entry();
        if planted(Planted::Unnumbered) {
            return numbered.is_some();
        }
        // MODEL: evict::entry_that_came_again_is_not_the_one_that_was_chosen.
        numbered == Some(number)
    }

    /// Gives its entry a number. The caller holds the stripe of the key.
    pub(crate) fn set_number(self, number: u8) {
        // ORDERING: Relaxed. Written under the stripe's lock only.
        let marks = self.header().marks.load(Ordering::Relaxed);
        let marks = (marks & !NUMBER_MASK) | (u32::from(number) << NUMBER_SHIFT);
        // ORDERING: Relaxed, as above.
        self.header().marks.store(marks, Ordering::Relaxed);
    }

    /// Notes that its entry was used in this tick, up to so often. Most often it is enough to look.
    #[inline]
    pub(crate) fn visit(self, uses_max: u32, tick: u32) {
        // ORDERING: Relaxed, both. It publishes nothing; where two note it at once, one is lost.
        let before = self.header().uses.load(Ordering::Relaxed);
        let uses = ((before & USES_MASK) + 1).min(uses_max);
        let after = (tick << TICK_SHIFT) | uses;
        if after != before && planted(Planted::AddedUse) {
            // ORDERING: Relaxed, as above.
            self.header()
                .uses
                .fetch_add(after.wrapping_sub(before), Ordering::Relaxed);
        } else if after != before {
            // MODEL: evict::uses_are_never_too_many.
            // ORDERING: Relaxed, as above.
            self.header().uses.store(after, Ordering::Relaxed);
        }
    }

    /// How often its entry was used of late.
    pub(crate) fn uses(self) -> u32 {
        // ORDERING: Relaxed, as in `visit`.
        self.header().uses.load(Ordering::Relaxed) & USES_MASK
    }

    /// The tick in which its entry was last used.
    pub(crate) fn last_used(self) -> u32 {
        // ORDERING: Relaxed, as in `visit`.
        self.header().uses.load(Ordering::Relaxed) >> TICK_SHIFT
    }

    /// Its entry has come in this tick.
    pub(crate) fn begin_uses(self, tick: u32) {
        // ORDERING: Relaxed, as in `visit`.
        self.header()
            .uses
            .store(tick << TICK_SHIFT, Ordering::Relaxed);
    }

    /// How often it counts as used from here on; unless it is used just now.
    pub(crate) fn set_uses(self, uses: u32) {
        // ORDERING: Relaxed, as in `visit`. An exchange, so that the tick never goes back by it.
        let before = self.header().uses.load(Ordering::Relaxed);
        let after = (before & !USES_MASK) | uses;
        // ORDERING: Relaxed, as above.
        let _ = (self.header().uses).compare_exchange(
            before,
            after,
            Ordering::Relaxed,
            Ordering::Relaxed,
        );
    }

    /// Has the record brought near, without waiting for it.
    pub(crate) fn prefetch(self) {
        prefetch(self.record.as_ptr().cast());
    }

    /// Has the newest version brought near, without waiting for it.
    pub(crate) fn prefetch_head(self) {
        if !PREFETCHES {
            return;
        }
        // ORDERING: Relaxed. Nothing is read through the pointer.
        prefetch_version::<T>(self.header().head.load(Ordering::Relaxed).cast());
    }
}

/// Has the version at an address brought near, without waiting for it: its header, and the beginning
/// of what lies behind that, which may be on the next line.
pub(crate) fn prefetch_version<T>(version: *const u8) {
    prefetch(version);
    prefetch(version.wrapping_add(offset_of!(Version<T>, bytes)));
}

/// Has the memory at an address brought near, without waiting for it.
#[cfg(all(target_arch = "x86_64", not(any(loom, miri))))]
pub(crate) fn prefetch(address: *const u8) {
    use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
    // SAFETY: it is a hint, which may be given for any address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) };
}

#[cfg(not(all(target_arch = "x86_64", not(any(loom, miri)))))]
pub(crate) fn prefetch(_: *const u8) {}

impl<'g, T: Payload> RecordRef<'g, T> {
    /// What the record takes of the heap, with its newest version.
    pub(crate) fn size_with_head(self) -> usize {
        self.header().size() + self.head().map_or(0, VersionRef::size)
    }

    /// Takes back a version that was linked by a commit that will never be decided; it is told when
    /// that is freed. The caller holds the stripe of the key, and `version` is the head.
    pub(crate) fn unlink(self, version: VersionRef<'g, T>, freed: &Freed, guard: &Guard) {
        // ORDERING: Relaxed. Only the holder of the stripe changes either pointer.
        let older = load_own(&version.header().older);
        debug_assert_eq!(self.head().map(|head| head.version), Some(version.version));
        // ORDERING: E-LINK, writer side: `older` was published before, and again here, to those who
        // see the head only now. MODEL: chain::head_that_is_put_back_is_whole.
        let publish = ordering(Ordering::Release, Planted::WeakUnlink);
        self.header().head.store(older, publish);
        defer_free(version.version, freed, guard);
    }
}

/// Frees a version that has left its chain, once every guard pinned now is gone, and tells how much
/// that was.
fn defer_free<T: Payload>(version: NonNull<Version<T>>, freed: &Freed, guard: &Guard) {
    let freed = freed.clone();
    let free = move || {
        // SAFETY: it was unlinked under the stripe's lock, once, so whoever still stood on it was
        // pinned before this was deferred.
        let size = unsafe { version.as_ref() }.size();
        // SAFETY: as above.
        unsafe { free_version(version) };
        freed.add(size);
    };
    // SAFETY: what is captured may be dropped on another thread: `T` is `Send` and 'static.
    unsafe { guard.defer_unchecked(free) };
}
