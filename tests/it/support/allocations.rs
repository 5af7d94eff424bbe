//! Counts what is allocated, and refuses some of it.

#![expect(unsafe_code, reason = "an allocator is unsafe to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::ptr;
use std::sync::atomic::{AtomicIsize, Ordering};

/// The system's allocator, with a count of what it has given out and not got back.
struct Counting;

static LIVE_BYTES: AtomicIsize = AtomicIsize::new(0);

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Which allocation of this thread is refused.
#[derive(Clone, Copy)]
struct Refusal {
    /// Smaller ones do not count.
    bytes: usize,
    /// How many more are granted before.
    granted: usize,
}

thread_local! {
    static REFUSAL: Cell<Option<Refusal>> = const { Cell::new(None) };
}

fn count(bytes: usize, sign: isize) {
    let bytes = isize::try_from(bytes).expect("a layout is at most isize::MAX bytes");
    LIVE_BYTES.fetch_add(sign * bytes, Ordering::Relaxed);
}

fn is_refused(bytes: usize) -> bool {
    let Some(refusal) = REFUSAL.get().filter(|refusal| bytes >= refusal.bytes) else {
        return false;
    };
    let granted = refusal.granted.checked_sub(1);
    REFUSAL.set(granted.map(|granted| Refusal { granted, ..refusal }));
    granted.is_none()
}

// SAFETY: every call is passed on to the system's allocator as it came, or refused.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if is_refused(layout.size()) {
            return ptr::null_mut();
        }
        count(layout.size(), 1);
        // SAFETY: the caller's.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        count(layout.size(), -1);
        // SAFETY: the caller's.
        unsafe { System.dealloc(block, layout) }
    }
}

/// The bytes that are allocated now, in the whole process: meaningful in a test that runs
/// [alone](super::alone).
pub(crate) fn live_bytes() -> isize {
    LIVE_BYTES.load(Ordering::Relaxed)
}

/// From here on one allocation of this thread of so many bytes or more is refused, after so many
/// that are granted.
pub(crate) fn refuse_one(bytes: usize, granted: usize) {
    REFUSAL.set(Some(Refusal { bytes, granted }));
}

/// No allocation is refused any more; whether one was.
pub(crate) fn was_refused() -> bool {
    REFUSAL.take().is_none()
}
