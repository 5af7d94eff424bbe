//! The one place that chooses between the real primitives, loom's, and those of a simulation.
//!
//! Every other file of the crate takes its atomics, locks and epochs from here, so that the model
//! checker and the simulations run the very source files of the engine. The shim never changes an
//! ordering and never replaces a lock-free cell by a lock: what a model proves is what ships.

#[cfg(not(any(loom, simulated)))]
mod real {
    pub(crate) use std::alloc::{alloc, dealloc};
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};

    pub(crate) use crossbeam_epoch as epoch;
    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::OnceLock;
    pub(crate) use std::thread::ThreadId;

    use super::{Ordering, OutOfMemory, Planted};
    use std::cell::Cell;
    use std::hash::{BuildHasher, RandomState};
    use std::thread;

    /// How often a reader looks again at a commit that is about to be decided before it decides
    /// the stamp itself. A mint and a compare-and-swap take some ten nanoseconds.
    pub(crate) const SPIN_TURNS: u32 = 16;

    pub(crate) fn spin_loop() {
        std::hint::spin_loop();
    }

    /// Lets others go first for about this long: a pause, never a wait for something to happen.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    pub(crate) fn pause(length: std::time::Duration) {
        /// Waking up a sleeping thread takes about as long.
        const SLEEP_MIN: std::time::Duration = std::time::Duration::from_micros(50);
        if length < SLEEP_MIN {
            thread::yield_now();
        } else {
            thread::sleep(length);
        }
    }

    /// What tells the calling thread from every other.
    pub(crate) fn thread_id() -> ThreadId {
        thread::current().id()
    }

    /// A number that no other thread is likely to draw at the same time.
    pub(crate) fn draw() -> u64 {
        std::thread_local! {
            static STATE: Cell<u64> = Cell::new(RandomState::new().hash_one(thread_id()));
        }
        // A splitmix64 step.
        STATE.with(|state| {
            let drawn = state.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
            state.set(drawn);
            let mixed = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ (mixed >> 27)
        })
    }

    /// Whether the allocator may be asked for so much: a simulation can say no.
    #[expect(clippy::unnecessary_wraps, reason = "a simulation's has them")]
    pub(crate) const fn may_allocate(_: usize) -> Result<(), OutOfMemory> {
        Ok(())
    }

    /// Whether what will be read soon is brought near.
    pub(crate) const PREFETCHES: bool = true;

    /// Snapshots that register without a lock. Beyond these, a mutex and an ordered map serve.
    pub(crate) const SNAPSHOT_SLOTS: usize = 64;

    /// The records of a leaf of the ordered index, at most. More make insertions slower, fewer make
    /// walks slower, and more leaves. (Few of them under Miri, so that leaves are split there too.)
    pub(crate) const LEAF_SLOTS_MAX: usize = if cfg!(miri) { 4 } else { 60 };

    /// How many records are added to a leaf before it is sorted again, at most. More make it cheaper
    /// to add one, and walks slower.
    pub(crate) const LEAF_ROOM: usize = if cfg!(miri) { 2 } else { 12 };

    /// How many leaves of the ordered index have to come before its shortcut is built anew, at least.
    pub(crate) const fn shortcut_fresh_min() -> usize {
        if cfg!(miri) { 2 } else { 16 }
    }

    /// A relaxed load of what nobody but the caller may change now. The models check that claim.
    pub(crate) fn load_own<T>(cell: &AtomicPtr<T>) -> *mut T {
        // ORDERING: Relaxed, which is for the callers to argue.
        cell.load(Ordering::Relaxed)
    }

    /// Whether a model runs with this bug: never outside of one, so the branch is not compiled.
    pub(crate) const fn planted(_: Planted) -> bool {
        false
    }

    /// The ordering, or `Relaxed` where a model runs with this bug: never outside of one.
    pub(crate) const fn ordering(ordering: Ordering, _: Planted) -> Ordering {
        ordering
    }
}

#[cfg(loom)]
mod model {
    /// A heap that tells a version read after it was freed, one freed twice, and one never freed;
    /// and a load that tells where somebody else changes what it loads.
    pub(crate) use crate::memory::{alloc, dealloc, load_own};

    use super::OutOfMemory;

    pub(crate) const fn may_allocate(_: usize) -> Result<(), OutOfMemory> {
        Ok(())
    }

    pub(crate) use crossbeam_epoch as epoch;
    pub(crate) use loom::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};

    use super::{Ordering, Planted};
    use std::cell::Cell;

    /// loom explores every schedule, the one without a spin included.
    pub(crate) const SPIN_TURNS: u32 = 0;

    pub(crate) fn spin_loop() {
        loom::thread::yield_now();
    }

    /// The loads that it takes lead nowhere, and are some more to explore.
    pub(crate) const PREFETCHES: bool = false;

    /// Two: one beside another, and the next in the overflow. Each slot is one more atomic.
    pub(crate) const SNAPSHOT_SLOTS: usize = 2;

    /// So that the third key of a leaf splits it.
    pub(crate) const LEAF_SLOTS_MAX: usize = 2;

    /// So that the second key is added, and the third sorts.
    pub(crate) const LEAF_ROOM: usize = 1;

    std::thread_local! {
        /// All threads of a model are coroutines of one.
        static PLANTED: Cell<Option<Planted>> = const { Cell::new(None) };
        static HAS_SHORTCUTS: Cell<bool> = const { Cell::new(true) };
    }

    /// From here on the models of this thread have shortcuts, or only directories.
    pub(crate) fn set_has_shortcuts(has_shortcuts: bool) {
        HAS_SHORTCUTS.set(has_shortcuts);
    }

    /// So that each leaf that is split off has it built anew, if it is built at all.
    pub(crate) fn shortcut_fresh_min() -> usize {
        if HAS_SHORTCUTS.get() { 1 } else { usize::MAX }
    }

    /// From here on the models of this thread run with this bug, or with none.
    pub(crate) fn plant(bug: Option<Planted>) {
        PLANTED.set(bug);
    }

    pub(crate) fn planted(bug: Planted) -> bool {
        PLANTED.get() == Some(bug)
    }

    pub(crate) fn ordering(ordering: Ordering, bug: Planted) -> Ordering {
        if planted(bug) {
            // ORDERING: Relaxed, which does not suffice: that is the bug.
            Ordering::Relaxed
        } else {
            ordering
        }
    }
}

/// Bugs that the models and the simulations plant in the engine, each on the line whose argument it
/// tests: a check that does not fail with its bug proves nothing. What can be done wrong from
/// outside, such as freeing at once by an unprotected guard, is planted by the models themselves.
#[cfg_attr(
    not(simulated),
    expect(unreachable_pub, reason = "public for the simulations")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// A version is linked without publishing what it holds.
    WeakLink,
    /// A head is put back without publishing what it holds.
    WeakUnlink,
    /// Who is done does not publish what came of it.
    WeakBusy,
    /// Batches of records are put back without what was taken of them.
    WeakRipe,
    /// The mint does not publish the heads that were linked before it.
    WeakMint,
    /// A commit is made ready without publishing the heads that it linked.
    WeakReady,
    /// A stamp is learnt without what comes with it.
    WeakState,
    /// A version is given its stamp without what comes with it.
    WeakSettle,
    /// Who loses the decision goes by the stamp that it minted itself.
    OwnStamp,
    /// A reader takes a ready commit for one that is not there.
    SkipReady,
    /// A reader passes by a validating commit without kicking it.
    NoKick,
    /// The horizon looks at the snapshots before it looks at the grace.
    SlotsFirst,
    /// The grace is raised without what the readers that are gone have read.
    WeakGrace,
    /// A snapshot is closed without ordering its reads before that.
    WeakRelease,
    /// A slot of the registry is taken without what its last snapshot left.
    WeakClaim,
    /// Nobody is told that the slots of the registry did not suffice.
    UnseenOverflow,
    /// A slot is published without the record behind it.
    WeakSlot,
    /// A table is rebuilt without its records.
    Uncopied,
    /// A slot becomes empty although a probe goes past it.
    ClearAlways,
    /// The slots of a leaf are published without the records behind them.
    WeakLeaf,
    /// A leaf is republished, behind one that is unlinked, without what it holds.
    WeakNext,
    /// A leaf is cut to its lower half before it leads to the upper one.
    TornSplit,
    /// A key is inserted into a leaf that is not in the list any more.
    DeadLeaf,
    /// A key is inserted into a leaf that was split below it.
    PassedLeaf,
    /// A walk looks at where it starts in the first leaf only.
    UnseenStart,
    /// A walk in reverse goes on to a leaf that was split before it got there.
    UnseenSplit,
    /// A shortcut is published without what it was built of.
    WeakShortcut,
    /// A leaf dies and stays in the shortcut.
    KeptShortcut,
    /// Checks are validated before the stripes are locked.
    UnlockedCheck,
    /// A commit goes on with a record that has left the indexes.
    StaleRecord,
    /// A transaction does not check what it read and did not write: snapshot isolation.
    UntrackedReads,
    /// Each version of a commit is published by itself.
    TornBatch,
    /// The leader of a commit is ready before the others are linked.
    EarlyReady,
    /// Ranges are validated before the stamp is minted.
    ValidateFirst,
    /// What keeps its stamps is decided before all of it is there.
    EarlyKept,
    /// Two commits may mint one stamp.
    StampReuse,
    /// A commit whose keys end in its stamp has whatever stamp is next.
    ForeseenStamp,
    /// A commit pins the epoch behind every stripe.
    LatePin,
    /// Some commits lock their stripes in descending order.
    DescendingLocks,
    /// The grace is raised without waiting for anybody.
    EarlyGrace,
    /// A snapshot is registered after the guard is gone under which its stamp was loaded.
    LateRegistration,
    /// A snapshot of the very stamp of a version does not hold it.
    HeldTooLittle,
    /// A snapshot does not look again whether anything expires, once it has its stamp.
    UnseenTime,
    /// A snapshot has its stamp before it reads the clock.
    LateTime,
    /// Whoever keeps time looks by a load whether anything is due.
    UnseenDue,
    /// What has expired is seen until it is deleted.
    Undead,
    /// What has expired passes checks, and is added to, until it is deleted.
    UndeadCheck,
    /// The reaper deletes what is about to expire.
    EarlyReap,
    /// An entry that is written again is deleted when the one before it would have expired.
    KeptTimer,
    /// A commit that is refused leaves the records that it has created.
    KeptRecord,
    /// A reader waits for a commit that is ready until its writer has decided it.
    NoHelp,
    /// A watcher looks for what has come before it is in the list of those who wait.
    EarlyLook,
    /// A commit takes those who wait before it says that it has come.
    LateNote,
    /// Changes are collected also above the stamp up to which none is missing.
    TornFeed,
    /// A message comes, and no listener is called.
    UnannouncedMessage,
    /// A message comes while a listener is on the way to another, which is gone, and no other is called.
    CountedCall,
    /// A listener that was called goes, and nobody is called in its place.
    KeptCall,
    /// Messages are handed over before their commit is validated.
    EarlyHandover,
    /// Messages are handed over some time after their commit is published.
    LateHandover,
    /// A message comes again while somebody has it.
    ShortLease,
    /// A message whose attempt has failed is forgotten.
    LostRetry,
    /// A message whose attempt has failed does not wait for the next.
    EarlyRetry,
    /// A message for whose dead letter there is no memory is forgotten.
    LostLetter,
    /// A listener does not look whether anything has become due.
    UnreadClock,
    /// More messages are handled at once than may be.
    CrowdedQueue,
    /// Whether there is memory left is looked at before it is taken.
    LooseQuota,
    /// What is freed while its account is looked at is not given back.
    LostRefund,
    /// What was loaded is stored although a commit has named the key meanwhile.
    OutdatedLoad,
    /// Whoever waits for a flight does not look whether it has ended meanwhile.
    UnseenLanding,
    /// A flight takes those who wait before it says that it has ended.
    LateLanding,
    /// Who waits for a flight has the place of another who waits.
    SharedPlace,
    /// A flight that is given up wakes nobody.
    SilentAbandon,
    /// A number is handed on without what was written by it.
    WeakNumber,
    /// The number of an entry is not looked at: another that the key has had since is taken for it.
    Unnumbered,
    /// What is pinned is evicted.
    PinnedVictim,
    /// Whoever evicts looks whether it is still that entry before the stripe is locked.
    EarlyVictim,
    /// An eviction mints no stamp, and has that of the latest commit.
    UnmintedEviction,
    /// Watches are not told of evictions.
    UnwokenEviction,
    /// Those who listen for evictions are not told of them.
    UntoldEviction,
    /// That the keys of an import are missing is not looked at again behind its locks.
    EarlyAbsence,
    /// A use is added after the look whether it is one too many.
    AddedUse,
    /// A thread ends, and its number is nobody's for ever.
    KeptNumber,
    /// Those who share a cell count in it as if it were their own.
    UnsharedCount,
}

/// Who has refused memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RefusedBy {
    Allocator,
    MemoryLimit,
    /// The limit of entries; then it is so many of these.
    EntryLimit,
}

/// So many bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    pub(crate) bytes: usize,
    pub(crate) by: RefusedBy,
}

impl OutOfMemory {
    #[cold]
    pub(crate) fn of(layout: Layout) -> Self {
        Self::of_bytes(layout.size())
    }

    /// The allocator has refused them.
    pub(crate) const fn of_bytes(bytes: usize) -> Self {
        let by = RefusedBy::Allocator;
        Self { bytes, by }
    }

    /// A limit does not leave them.
    pub(crate) fn of_limit(bytes: u64, by: RefusedBy) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        Self { bytes, by }
    }
}

/// What an allocation of so many bytes takes of the heap, about: allocators have a word of their own
/// for each, and hand out multiples of sixteen.
pub(crate) const fn footprint(bytes: usize) -> usize {
    (bytes + size_of::<usize>() + 15) & !15
}

/// A mutex with `parking_lot`'s interface, which knows no poisoning, over loom's.
#[cfg(loom)]
mod unpoisoned {
    pub(crate) type MutexGuard<'a, T> = loom::sync::MutexGuard<'a, T>;

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            match self.0.lock() {
                Ok(guard) => guard,
                Err(poisoned) => poisoned.into_inner(),
            }
        }
    }
}

#[cfg(simulated)]
#[path = "sync/stepped.rs"]
pub mod stepped;

use std::alloc::Layout;

/// Whether a simulation has failed: what unwinds then is not to touch what was found to be broken.
pub(crate) fn is_failing() -> bool {
    cfg!(simulated) && std::thread::panicking()
}

pub(crate) use crossbeam_utils::CachePadded;
pub(crate) use std::sync::atomic::Ordering;

#[path = "sync/room.rs"]
mod room;

#[path = "sync/numbers.rs"]
mod numbers;

#[path = "sync/statistic.rs"]
mod statistic;

#[cfg(loom)]
pub(crate) use numbers::Numbers;
pub(crate) use numbers::{NUMBERS, number_thread, thread_number};
pub(crate) use room::reserve;
pub(crate) use statistic::Statistic;

#[cfg(loom)]
pub(crate) use model::*;
#[cfg(not(any(loom, simulated)))]
pub(crate) use real::*;
#[cfg(simulated)]
pub(crate) use stepped::*;
#[cfg(loom)]
pub(crate) use unpoisoned::{Mutex, MutexGuard};
