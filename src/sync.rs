//! The one place that chooses between the real primitives and loom's.
//!
//! Every other file of the crate takes its atomics, locks and epochs from here, so that the model
//! checker runs the very source files of the core. The shim never changes an ordering and never
//! replaces a lock-free cell by a lock: what a model proves is what ships.

#[cfg(not(loom))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};

    pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
    pub(crate) use std::sync::OnceLock;

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
            std::thread::yield_now();
        } else {
            std::thread::sleep(length);
        }
    }
}

#[cfg(loom)]
mod model {
    pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

    /// loom explores every schedule, the one without a spin included.
    pub(crate) const SPIN_TURNS: u32 = 0;

    pub(crate) fn spin_loop() {
        loom::thread::yield_now();
    }
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

pub(crate) use crossbeam_epoch as epoch;
pub(crate) use crossbeam_utils::CachePadded;
pub(crate) use std::sync::atomic::Ordering;

#[cfg(loom)]
pub(crate) use model::*;
#[cfg(not(loom))]
pub(crate) use real::*;
#[cfg(loom)]
pub(crate) use unpoisoned::{Mutex, MutexGuard};
