//! An allocator that counts, and that can make a thread stand still.

#![expect(unsafe_code, reason = "an allocator is an unsafe trait")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static LIVE_BYTES: AtomicUsize = AtomicUsize::new(0);
static PEAK_BYTES: AtomicUsize = AtomicUsize::new(0);

/// The bytes that are allocated now, in the whole process.
pub(crate) fn live_bytes() -> usize {
    LIVE_BYTES.load(Ordering::Relaxed)
}

/// The most bytes that have been allocated at once since the last call of [`reset_peak`].
pub(crate) fn peak_bytes() -> usize {
    PEAK_BYTES.load(Ordering::Relaxed)
}

/// Begins to look for the peak anew.
pub(crate) fn reset_peak() {
    PEAK_BYTES.store(live_bytes(), Ordering::Relaxed);
}

thread_local! {
    /// How many allocations are left until this thread stands still; never, where it is zero.
    static ALLOCATIONS_LEFT: Cell<usize> = const { Cell::new(0) };
}

static IS_STANDING: AtomicBool = AtomicBool::new(false);

/// Makes this thread stand still at its so many-th allocation from now on, counted from 1, until
/// another lets it [`move_on`]; 0 takes that back. To the others it is as if it were preempted
/// there, with all the locks that it holds, for as long as they want.
pub(crate) fn stand_still_at(allocation: usize) {
    ALLOCATIONS_LEFT.set(allocation);
}

/// Whether a thread stands still.
pub(crate) fn is_standing() -> bool {
    IS_STANDING.load(Ordering::Acquire)
}

/// Lets the thread that stands still go on.
pub(crate) fn move_on() {
    IS_STANDING.store(false, Ordering::Release);
}

fn stand_still_if_told() {
    match ALLOCATIONS_LEFT.get() {
        0 => {}
        1 => {
            ALLOCATIONS_LEFT.set(0);
            IS_STANDING.store(true, Ordering::Release);
            while is_standing() {
                thread::yield_now();
            }
        }
        left => ALLOCATIONS_LEFT.set(left - 1),
    }
}

/// The system's allocator, with its books open.
struct Counting;

fn grow(bytes: usize) {
    let live = LIVE_BYTES.fetch_add(bytes, Ordering::Relaxed) + bytes;
    // Most of the time the peak is higher, and a load is cheaper than a write.
    if live > PEAK_BYTES.load(Ordering::Relaxed) {
        PEAK_BYTES.fetch_max(live, Ordering::Relaxed);
    }
}

fn shrink(bytes: usize) {
    LIVE_BYTES.fetch_sub(bytes, Ordering::Relaxed);
}

// SAFETY: everything is done by the system's allocator; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        stand_still_if_told();
        // SAFETY: the caller's.
        let allocated = unsafe { System.alloc(layout) };
        if !allocated.is_null() {
            grow(layout.size());
        }
        allocated
    }

    unsafe fn dealloc(&self, allocated: *mut u8, layout: Layout) {
        // SAFETY: the caller's: it came from `System`, with this layout.
        unsafe { System.dealloc(allocated, layout) };
        shrink(layout.size());
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's.
        let allocated = unsafe { System.alloc_zeroed(layout) };
        if !allocated.is_null() {
            grow(layout.size());
        }
        allocated
    }

    unsafe fn realloc(&self, allocated: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the caller's: it came from `System`, with this layout.
        let moved = unsafe { System.realloc(allocated, layout, size) };
        if !moved.is_null() {
            grow(size);
            shrink(layout.size());
        }
        moved
    }
}
