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
enum Refusal {
    /// None.
    Off,
    /// One of so many bytes or more, after so many that are granted.
    Armed { bytes: usize, granted: usize },
    /// One was.
    Done,
}

thread_local! {
    static REFUSAL: Cell<Refusal> = const { Cell::new(Refusal::Off) };
}

fn count(bytes: usize, sign: isize) {
    let bytes = isize::try_from(bytes).expect("a layout is at most isize::MAX bytes");
    LIVE_BYTES.fetch_add(sign * bytes, Ordering::Relaxed);
}

fn is_refused(bytes: usize) -> bool {
    match REFUSAL.get() {
        Refusal::Armed {
            bytes: least,
            granted,
        } if bytes >= least => {
            let granted = granted.checked_sub(1);
            let armed = |granted| Refusal::Armed {
                bytes: least,
                granted,
            };
            REFUSAL.set(granted.map_or(Refusal::Done, armed));
            granted.is_none()
        }
        _ => false,
    }
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
    REFUSAL.set(Refusal::Armed { bytes, granted });
}

/// No allocation is refused any more; whether one was.
pub(crate) fn was_refused() -> bool {
    match REFUSAL.replace(Refusal::Off) {
        Refusal::Off => panic!("none was to be refused"),
        Refusal::Armed { .. } => false,
        Refusal::Done => true,
    }
}
