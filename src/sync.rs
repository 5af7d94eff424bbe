//! The one place that chooses between the real primitives and loom's.
//!
//! Every other file of the crate takes its atomics, locks and epochs from here, so that the model
//! checker runs the very source files of the core. The shim never changes an ordering and never
//! replaces a lock-free cell by a lock: what a model proves is what ships.

#[cfg(not(loom))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64};

    #[cfg(not(miri))]
    pub(crate) use parking_lot::{Mutex, MutexGuard};

    /// How often a reader looks again at a commit that is about to be decided before it decides
    /// the stamp itself. A mint and a compare-and-swap take some ten nanoseconds.
    pub(crate) const SPIN_TURNS: u32 = 16;

    pub(crate) fn spin_loop() {
        std::hint::spin_loop();
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

/// A mutex with `parking_lot`'s interface over a lock that can be poisoned: loom's, or std's where
/// Miri runs (`parking_lot` casts integers to pointers, which costs Miri its provenance checks).
#[cfg(any(loom, miri))]
mod unpoisoned {
    #[cfg(loom)]
    use loom::sync as imp;
    #[cfg(not(loom))]
    use std::sync as imp;

    pub(crate) type MutexGuard<'a, T> = imp::MutexGuard<'a, T>;

    #[derive(Debug)]
    pub(crate) struct Mutex<T>(imp::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(imp::Mutex::new(value))
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
#[cfg(any(loom, miri))]
pub(crate) use unpoisoned::{Mutex, MutexGuard};
