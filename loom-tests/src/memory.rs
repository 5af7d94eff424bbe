//! The heap of the models, and a load of what is the caller's own.
//!
//! What the core frees is filled with a pattern and kept until the execution is over. So an access
//! to it is not undefined but fails, always in the same way: a loom atomic is the number of an
//! object, and no object has the number of the pattern; a drop flag with that number is not alive.
//! Whatever is still allocated when an execution ends has leaked.
//!
//! No address is given out twice in one execution: that a new version may lie where an old one
//! lay is the one thing that the models do not see.

#![expect(unsafe_code, reason = "an allocator, and what loom calls unsafe")]

use loom::sync::atomic::AtomicPtr;
use std::alloc::Layout;
use std::cell::RefCell;
use std::collections::HashMap;

/// What freed memory is filled with.
const POISON: u8 = 0xdd;

/// How loom fails on an atomic in freed memory: out of bounds, with the pattern for an index.
pub(crate) const FREED: &str = "the index is 15987178197214944733";

#[derive(Default)]
struct Heap {
    live: HashMap<*mut u8, Layout>,
    freed: Vec<(*mut u8, Layout)>,
}

std::thread_local! {
    /// All threads of a model are coroutines of one.
    static HEAP: RefCell<Heap> = RefCell::default();
}

/// Like `std::alloc::alloc`.
///
/// # Safety
///
/// The size of the layout is not zero.
pub(crate) unsafe fn alloc(layout: Layout) -> *mut u8 {
    // SAFETY: the caller's.
    let memory = unsafe { std::alloc::alloc(layout) };
    HEAP.with_borrow_mut(|heap| heap.live.insert(memory, layout));
    memory
}

/// Like `std::alloc::dealloc`, but the memory stays until [`end`].
///
/// # Safety
///
/// `memory` came from [`alloc`] with this layout and is not used again.
pub(crate) unsafe fn dealloc(memory: *mut u8, layout: Layout) {
    let allocated = HEAP.with_borrow_mut(|heap| heap.live.remove(&memory));
    assert_eq!(
        allocated,
        Some(layout),
        "freed twice, or with another layout"
    );
    // SAFETY: the caller's: the memory is as large as the layout, and nobody's any more.
    unsafe { memory.write_bytes(POISON, layout.size()) };
    HEAP.with_borrow_mut(|heap| heap.freed.push((memory, layout)));
}

/// Begins an execution. What one that failed has left behind is forgotten.
pub(crate) fn begin() {
    HEAP.with_borrow_mut(|heap| heap.live.clear());
    release();
}

/// Ends an execution: everything that it allocated has been freed.
pub(crate) fn end() {
    release();
    let leaked = HEAP.with_borrow(|heap| heap.live.len());
    assert_eq!(leaked, 0, "allocations have leaked");
}

fn release() {
    let freed = HEAP.with_borrow_mut(|heap| std::mem::take(&mut heap.freed));
    for (memory, layout) in freed {
        // SAFETY: from `alloc`, with this layout, and given back once: `dealloc` saw to it.
        unsafe { std::alloc::dealloc(memory, layout) };
    }
}

/// A load of what nobody but the caller may change now: fails where somebody does.
///
/// And loom does not count it as an access. Where it counts one, it takes the store after it for
/// independent of what other threads loaded before it, and does not explore these the other way
/// round (tokio-rs/loom#166).
pub(crate) fn load_own<T>(cell: &AtomicPtr<T>) -> *mut T {
    // SAFETY: unsafe for what a load without synchronisation is outside of a model.
    unsafe { cell.unsync_load() }
}
