//! The face of the shim for simulations: many clients on one thread, in an order that a seed
//! decides.
//!
//! Every access of a shared cell, every lock, every pin and every allocation of the core is a
//! *step*, at which the [`Scheduler`] of the thread may let another client go on; so a simulation
//! interleaves clients inside of the engine's operations and not only between them. Each client
//! has an epoch participant of its own, what is freed is poisoned and kept, and an allocation can
//! be refused. A thread without a scheduler uses the real primitives.
//!
//! Compiled with `--cfg simulated` only, and then a part of the public face (`kvick::simulation`),
//! for the workspace member `proof`.

#![expect(unsafe_code, reason = "an allocator")]
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "public for one workspace member, under its cfg"
)]

use super::{Ordering, OutOfMemory, Planted};
use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::atomic;
use std::time::Duration;

pub(crate) use std::sync::OnceLock;

/// What freed memory is filled with. As a stamp word it is none, as a pointer it leads nowhere.
const POISON: u8 = 0xef;
const POISON_WORD: u64 = u64::from_ne_bytes([POISON; 8]);

/// What a client cannot go on without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// A lock that another client holds; whether it has waited for that lock before.
    Lock { again: bool },
    /// A word that another client is about to change.
    Spin,
    /// That this much time passes.
    Pause(Duration),
}

/// Decides which client of this thread goes on.
pub trait Scheduler {
    /// A step is done. Another client may go on before this returns: how many more steps there are
    /// until it is called again.
    fn step(&self) -> u32;
    /// This client cannot go on before others have.
    fn wait(&self, wait: Wait);
    /// Whether the allocator refuses so many bytes.
    fn is_refused(&self, bytes: usize) -> bool;
    /// The client that is going on.
    fn client(&self) -> u64;
    /// A random number.
    fn draw(&self) -> u64;
    /// Pins the epoch for this client.
    fn pin(&self) -> crossbeam_epoch::Guard;
    /// Whether this client has pinned the epoch.
    fn is_pinned(&self) -> bool;
    /// The epoch of the simulation.
    fn collector(&self) -> crossbeam_epoch::Collector;
    /// Memory that was handed out; freed when the simulation ends, or later.
    fn keep(&self, memory: *mut u8, layout: Layout);
}

std::thread_local! {
    static SCHEDULER: RefCell<Option<Rc<dyn Scheduler>>> = const { RefCell::new(None) };
    static STEPS_LEFT: Cell<u32> = const { Cell::new(u32::MAX) };
    static LIVE: Cell<i64> = const { Cell::new(0) };
    /// How many locks each client holds, if any.
    static HELD: RefCell<BTreeMap<u64, u32>> = const { RefCell::new(BTreeMap::new()) };
}

/// From here on the clients of this thread are scheduled by this one, or run as they are.
pub fn set_scheduler(scheduler: Option<Rc<dyn Scheduler>>) {
    // What the last one kept is freed when it is dropped, and asks for a scheduler.
    drop(SCHEDULER.replace(scheduler));
    STEPS_LEFT.set(1);
    LIVE.set(0);
    // Those of a simulation that did not end well are left behind locked.
    HELD.with_borrow_mut(BTreeMap::clear);
}

/// Asks the scheduler again after so many steps.
pub fn set_steps(steps: u32) {
    STEPS_LEFT.set(steps);
}

/// How many allocations of the core this thread has made and not freed, since it has a scheduler.
pub fn live_count() -> i64 {
    LIVE.get()
}

fn scheduler() -> Option<Rc<dyn Scheduler>> {
    // Not to be had while the thread ends, nor needed.
    SCHEDULER
        .try_with(|scheduler| scheduler.borrow().clone())
        .ok()
        .flatten()
}

#[inline]
fn step() {
    let left = STEPS_LEFT.get();
    if left <= 1 {
        ask();
    } else {
        STEPS_LEFT.set(left - 1);
    }
}

#[cold]
fn ask() {
    let steps = scheduler().map_or(u32::MAX, |scheduler| scheduler.step());
    STEPS_LEFT.set(steps);
}

fn wait(wait: Wait) -> bool {
    scheduler().map(|scheduler| scheduler.wait(wait)).is_some()
}

/// The bugs that a simulation finds soon. The others are a matter of orderings, or strike too seldom,
/// and are for the models.
pub const PLANTABLE: [Planted; 45] = [
    Planted::UnlockedCheck,
    Planted::StaleRecord,
    Planted::UntrackedReads,
    Planted::TornBatch,
    Planted::EarlyReady,
    Planted::ValidateFirst,
    Planted::StampReuse,
    Planted::ForeseenStamp,
    Planted::LatePin,
    Planted::DescendingLocks,
    Planted::EarlyGrace,
    Planted::LateRegistration,
    Planted::HeldTooLittle,
    Planted::Undead,
    Planted::UndeadCheck,
    Planted::EarlyReap,
    Planted::KeptTimer,
    Planted::OutdatedLoad,
    Planted::KeptRecord,
    Planted::NoHelp,
    Planted::OwnStamp,
    Planted::SkipReady,
    Planted::NoKick,
    Planted::Uncopied,
    Planted::ClearAlways,
    Planted::TornSplit,
    Planted::DeadLeaf,
    Planted::PassedLeaf,
    Planted::KeptShortcut,
    Planted::TornFeed,
    Planted::EarlyHandover,
    Planted::LateHandover,
    Planted::ShortLease,
    Planted::LostRetry,
    Planted::EarlyRetry,
    Planted::LostLetter,
    Planted::UnreadClock,
    Planted::CrowdedQueue,
    Planted::Unnumbered,
    Planted::PinnedVictim,
    Planted::EarlyVictim,
    Planted::UnmintedEviction,
    Planted::UnwokenEviction,
    Planted::UntoldEviction,
    Planted::EarlyAbsence,
];

static PLANTED: atomic::AtomicU32 = atomic::AtomicU32::new(u32::MAX);

/// From here on the engines of this process have this bug, or none.
pub fn plant(bug: Option<Planted>) {
    // ORDERING: Release. It is set before the threads begin.
    PLANTED.store(bug.map_or(u32::MAX, |bug| bug as u32), Ordering::Release);
}

pub(crate) fn planted(bug: Planted) -> bool {
    // ORDERING: Relaxed. It is set before the threads begin.
    PLANTED.load(Ordering::Relaxed) == bug as u32
}

/// All threads of a simulation are one: no order of theirs can be too weak.
pub(crate) const fn ordering(ordering: Ordering, _: Planted) -> Ordering {
    ordering
}

pub(crate) const SNAPSHOT_SLOTS: usize = 4;
pub(crate) const LEAF_SLOTS_MAX: usize = 4;
pub(crate) const LEAF_ROOM: usize = 2;

/// The loads that it takes lead nowhere, and are a third more steps.
pub(crate) const PREFETCHES: bool = false;
pub(crate) const SPIN_TURNS: u32 = 2;

pub(crate) const fn shortcut_fresh_min() -> usize {
    2
}

pub(crate) fn spin_loop() {
    if !wait(Wait::Spin) {
        std::hint::spin_loop();
    }
}

pub(crate) fn pause(length: Duration) {
    if !wait(Wait::Pause(length)) {
        std::thread::yield_now();
    }
}

/// What tells threads, or clients, apart.
pub(crate) type ThreadId = (Option<u64>, std::thread::ThreadId);

pub(crate) fn thread_id() -> ThreadId {
    let client = scheduler().map(|scheduler| scheduler.client());
    (client, std::thread::current().id())
}

pub(crate) fn draw() -> u64 {
    scheduler().map_or(0, |scheduler| scheduler.draw())
}

/// Whether the allocator may be asked for so much.
pub(crate) fn may_allocate(bytes: usize) -> Result<(), OutOfMemory> {
    let is_refused = scheduler().is_some_and(|scheduler| scheduler.is_refused(bytes));
    if is_refused {
        return Err(OutOfMemory::of_bytes(bytes));
    }
    Ok(())
}

/// Like `std::alloc::alloc`, unless the scheduler refuses.
///
/// # Safety
///
/// The size of the layout is not zero.
pub(crate) unsafe fn alloc(layout: Layout) -> *mut u8 {
    step();
    if scheduler().is_some_and(|scheduler| scheduler.is_refused(layout.size())) {
        return std::ptr::null_mut();
    }
    LIVE.set(LIVE.get() + 1);
    // SAFETY: the caller's.
    unsafe { std::alloc::alloc(layout) }
}

/// Like `std::alloc::dealloc`, but with a scheduler, the memory is poisoned and kept for a while.
///
/// # Safety
///
/// `memory` came from [`alloc`] with this layout and is not used again.
pub(crate) unsafe fn dealloc(memory: *mut u8, layout: Layout) {
    LIVE.set(LIVE.get() - 1);
    if let Some(scheduler) = scheduler() {
        // SAFETY: the caller's: it is as large as the layout, and nobody's any more.
        unsafe { memory.write_bytes(POISON, layout.size()) };
        scheduler.keep(memory, layout);
    } else {
        // SAFETY: the caller's.
        unsafe { std::alloc::dealloc(memory, layout) };
    }
}

/// Whether memory that was kept is still as it was when it was freed, then freed in earnest.
///
/// # Safety
///
/// The scheduler was told to keep it, with this layout, and has not called this before.
pub unsafe fn release(memory: *mut u8, layout: Layout) -> bool {
    // SAFETY: the caller's: it has been filled when it was kept.
    let bytes = unsafe { std::slice::from_raw_parts(memory, layout.size()) };
    let is_untouched = bytes.iter().all(|byte| *byte == POISON);
    // SAFETY: the caller's: it came from `alloc` with this layout.
    unsafe { std::alloc::dealloc(memory, layout) };
    is_untouched
}

#[track_caller]
fn alive(is_poison: bool) {
    assert!(!is_poison, "what was freed is used");
}

macro_rules! cell {
    ($name:ident, $value:ty, $poison:expr) => {
        #[derive(Debug, Default)]
        pub(crate) struct $name(atomic::$name);

        #[allow(dead_code, reason = "the cells have what one of them needs")]
        impl $name {
            pub(crate) const fn new(value: $value) -> Self {
                Self(atomic::$name::new(value))
            }

            pub(crate) fn load(&self, order: Ordering) -> $value {
                step();
                let value = self.0.load(order);
                alive($poison == Some(value));
                value
            }

            pub(crate) fn store(&self, value: $value, order: Ordering) {
                step();
                self.0.store(value, order);
            }

            pub(crate) fn swap(&self, value: $value, order: Ordering) -> $value {
                step();
                self.0.swap(value, order)
            }

            pub(crate) fn compare_exchange(
                &self,
                current: $value,
                new: $value,
                success: Ordering,
                failure: Ordering,
            ) -> Result<$value, $value> {
                step();
                let result = self.0.compare_exchange(current, new, success, failure);
                if let Err(found) = result {
                    alive($poison == Some(found));
                }
                result
            }
        }
    };
}

// A flag cannot hold the pattern, and there are none in memory that comes from `alloc`.
cell!(AtomicBool, bool, None::<bool>);
cell!(AtomicU32, u32, Some(u32::from_ne_bytes([POISON; 4])));
cell!(AtomicU64, u64, Some(POISON_WORD));

impl AtomicU32 {
    pub(crate) fn fetch_add(&self, value: u32, order: Ordering) -> u32 {
        step();
        self.0.fetch_add(value, order)
    }
}

impl AtomicU64 {
    pub(crate) fn fetch_add(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_add(value, order)
    }

    pub(crate) fn fetch_sub(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_sub(value, order)
    }

    pub(crate) fn fetch_or(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_or(value, order)
    }

    pub(crate) fn fetch_max(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_max(value, order)
    }

    pub(crate) fn fetch_min(&self, value: u64, order: Ordering) -> u64 {
        step();
        self.0.fetch_min(value, order)
    }
}

#[derive(Debug)]
pub(crate) struct AtomicPtr<T>(atomic::AtomicPtr<T>);

impl<T> AtomicPtr<T> {
    pub(crate) const fn new(pointer: *mut T) -> Self {
        Self(atomic::AtomicPtr::new(pointer))
    }

    pub(crate) fn load(&self, order: Ordering) -> *mut T {
        step();
        let pointer = self.0.load(order);
        alive(pointer.addr() as u64 == POISON_WORD);
        pointer
    }

    pub(crate) fn store(&self, pointer: *mut T, order: Ordering) {
        step();
        self.0.store(pointer, order);
    }

    pub(crate) fn swap(&self, pointer: *mut T, order: Ordering) -> *mut T {
        step();
        self.0.swap(pointer, order)
    }

    pub(crate) fn compare_exchange(
        &self,
        current: *mut T,
        new: *mut T,
        success: Ordering,
        failure: Ordering,
    ) -> Result<*mut T, *mut T> {
        step();
        self.0.compare_exchange(current, new, success, failure)
    }
}

/// A load of what nobody but the caller may change now: no step.
pub(crate) fn load_own<T>(cell: &AtomicPtr<T>) -> *mut T {
    // ORDERING: Relaxed, which is for the callers to argue.
    let pointer = cell.0.load(Ordering::Relaxed);
    alive(pointer.addr() as u64 == POISON_WORD);
    pointer
}

/// A lock that is held by somebody.
#[derive(Debug)]
struct Held(u64);

impl Held {
    fn new() -> Self {
        let client = scheduler().map_or(u64::MAX, |scheduler| scheduler.client());
        HELD.with_borrow_mut(|held| *held.entry(client).or_default() += 1);
        Self(client)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Not to be had while the thread ends, nor needed.
        let _ = HELD.try_with(|held| {
            if let Entry::Occupied(mut count) = held.borrow_mut().entry(self.0) {
                *count.get_mut() -= 1;
                if *count.get() == 0 {
                    count.remove();
                }
            }
        });
    }
}

#[derive(Debug)]
pub(crate) struct MutexGuard<'a, T> {
    guard: parking_lot::MutexGuard<'a, T>,
    _held: Option<Held>,
}

impl<'a, T> MutexGuard<'a, T> {
    fn new(guard: parking_lot::MutexGuard<'a, T>) -> Self {
        let _held = Some(Held::new());
        Self { guard, _held }
    }

    /// Of a lock that nobody waits for without bound: the caller's code may run behind it.
    fn of_patient(guard: parking_lot::MutexGuard<'a, T>) -> Self {
        let _held = None;
        Self { guard, _held }
    }

    pub(crate) fn unlock_fair(this: Self) {
        parking_lot::MutexGuard::unlock_fair(this.guard);
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.guard
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.guard
    }
}

#[derive(Debug, Default)]
pub(crate) struct Mutex<T>(parking_lot::Mutex<T>);

impl<T> Mutex<T> {
    pub(crate) const fn new(value: T) -> Self {
        Self(parking_lot::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        step();
        let mut again = false;
        loop {
            if let Some(guard) = self.0.try_lock() {
                return MutexGuard::new(guard);
            }
            if !wait(Wait::Lock { again }) {
                return MutexGuard::new(self.0.lock());
            }
            again = true;
        }
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        step();
        self.0.try_lock().map(MutexGuard::new)
    }

    pub(crate) fn try_lock_for(&self, patience: Duration) -> Option<MutexGuard<'_, T>> {
        const TRIES: u32 = 8;
        for _ in 0..TRIES {
            if let Some(guard) = self.0.try_lock() {
                return Some(MutexGuard::of_patient(guard));
            }
            if !wait(Wait::Pause(patience / TRIES)) {
                return self.0.try_lock_for(patience).map(MutexGuard::of_patient);
            }
        }
        None
    }
}

#[derive(Debug, Default)]
pub(crate) struct Condvar(parking_lot::Condvar);

impl Condvar {
    pub(crate) const fn new() -> Self {
        Self(parking_lot::Condvar::new())
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        self.0.wait(&mut guard.guard);
    }

    /// With a scheduler it wakes up early, as a condition variable may.
    pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, patience: Duration) {
        if scheduler().is_none() {
            self.0.wait_for(&mut guard.guard, patience);
            return;
        }
        parking_lot::MutexGuard::unlocked(&mut guard.guard, || wait(Wait::Pause(patience)));
    }
}

/// The epoch, with a participant for each client.
pub(crate) mod epoch {
    pub(crate) use crossbeam_epoch::{Collector, Guard};

    pub(crate) fn pin() -> Guard {
        super::step();
        let Some(scheduler) = super::scheduler() else {
            return crossbeam_epoch::pin();
        };
        // Whoever pins for the first time may run what the epoch was handed, and so what the caller's
        // values do when they are dropped: they may ask for the very lock.
        let is_held = super::HELD.with_borrow(|held| held.contains_key(&scheduler.client()));
        assert!(!is_held || scheduler.is_pinned(), "pinned behind a lock");
        scheduler.pin()
    }

    pub(crate) fn is_pinned() -> bool {
        super::scheduler().map_or_else(crossbeam_epoch::is_pinned, |scheduler| {
            scheduler.is_pinned()
        })
    }

    pub(crate) fn default_collector() -> Collector {
        super::scheduler().map_or_else(
            || crossbeam_epoch::default_collector().clone(),
            |scheduler| scheduler.collector(),
        )
    }
}
