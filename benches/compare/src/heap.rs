//! The allocator, the same for every subject: the system's, which counts where memory is measured.

#![expect(
    unsafe_code,
    reason = "an allocator is unsafe to implement; this one passes everything on"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

#[global_allocator]
static HEAP: Heap = Heap {
    is_counting: AtomicBool::new(false),
    live: AtomicUsize::new(0),
};

struct Heap {
    is_counting: AtomicBool,
    live: AtomicUsize,
}

/// Counts from now on.
pub(crate) fn count() {
    HEAP.is_counting.store(true, Ordering::Relaxed);
}

/// The bytes that have been allocated since, and not been freed.
pub(crate) fn live() -> usize {
    HEAP.live.load(Ordering::Relaxed)
}

impl Heap {
    /// A load and a branch that is always the same, where nothing is counted.
    #[inline]
    fn grow(&self, bytes: usize) {
        if self.is_counting.load(Ordering::Relaxed) {
            self.live.fetch_add(bytes, Ordering::Relaxed);
        }
    }

    #[inline]
    fn shrink(&self, bytes: usize) {
        if self.is_counting.load(Ordering::Relaxed) {
            self.live.fetch_sub(bytes, Ordering::Relaxed);
        }
    }
}

// SAFETY: every call is passed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.grow(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        self.grow(layout.size());
        // SAFETY: the caller keeps the contract, which is the same.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        self.shrink(layout.size());
        // SAFETY: the memory is the system's, since all of it comes from there.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        self.grow(size);
        self.shrink(layout.size());
        // SAFETY: the memory is the system's, since all of it comes from there.
        unsafe { System.realloc(memory, layout, size) }
    }
}
