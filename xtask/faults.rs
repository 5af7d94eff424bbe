//! A program with the two faults that the sanitizers are there to find.
//!
//! `cargo xtask asan` builds and runs it before the stress test, with the same flags: a sanitizer
//! that does not report these would not report the engine's either.

use std::hint::black_box;
use std::thread;

fn main() {
    match std::env::args().nth(1).as_deref() {
        Some("use-after-free") => use_after_free(),
        // On a thread of its own, so that no stale register or stack slot still points there.
        Some("leak") => thread::spawn(leak).join().expect("leaking does not panic"),
        _ => {}
    }
}

fn use_after_free() {
    let number = Box::new(7_u64);
    let pointer = black_box(&raw const *number);
    drop(number);
    // SAFETY: none, that is the point.
    black_box(unsafe { pointer.read() });
}

fn leak() {
    for _ in 0..16 {
        black_box(Box::leak(Box::new([7_u8; 64])));
    }
}
