//! What was superseded: waiting, taken out, freed.

#![expect(unsafe_code, reason = "versions are freed by raw pointers")]

use super::{
    Payload, RecordPtr, RecordRef, Version, VersionRef, defer_free, free_version, prefetch,
};
use crate::mvcc::quota::Share;
use crate::mvcc::registry::Horizon;
use crate::sync::epoch::Guard;
use crate::sync::{Ordering, load_own};
use crate::version::Stamp;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr::{self, NonNull};

/// Versions that nobody can reach any more, waiting to be freed where no lock is held: what a
/// payload's `drop` does is not ours to know. Dropping the list frees them.
pub(crate) struct Unreachable<T> {
    first: *mut Version<T>,
    owned: PhantomData<Version<T>>,
}

impl<T> Unreachable<T> {
    pub(crate) fn new() -> Self {
        Self {
            first: ptr::null_mut(),
            owned: PhantomData,
        }
    }

    /// Takes over a version.
    ///
    /// # Safety
    ///
    /// No reader can reach the version, and nobody else owns it.
    unsafe fn take(&mut self, version: NonNull<Version<T>>) {
        // SAFETY: the caller's: it is live.
        let header = unsafe { version.as_ref() };
        // ORDERING: Relaxed. Nobody else can reach it.
        header.older.store(self.first, Ordering::Relaxed);
        self.first = version.as_ptr();
    }

    /// Frees them.
    #[inline]
    pub(crate) fn free(&mut self) {
        while let Some(version) = NonNull::new(self.first) {
            // SAFETY: the list owns what it links to.
            // ORDERING: Relaxed. Nobody else can reach it.
            self.first = load_own(&unsafe { version.as_ref() }.older);
            // SAFETY: it has left the list, and each version is in it once.
            unsafe { free_version(version) };
        }
    }
}

impl<T> Drop for Unreachable<T> {
    #[inline]
    fn drop(&mut self) {
        self.free();
    }
}

/// A version that another has superseded: it is out of its chain's hands and waits to be freed.
///
/// Dropping it frees it at once, which is for the engine's end alone, when nobody reads any more.
#[must_use = "dropping it frees a version that readers may still see"]
pub(crate) struct Superseded<T> {
    /// The stamp of what superseded it.
    until: Stamp,
    record: RecordPtr<T>,
    version: NonNull<Version<T>>,
    /// What superseded it, and still links to it; null once that may have changed.
    newer: *mut Version<T>,
}

// SAFETY: it owns its version, and looks at the rest of the chain under the stripe's lock only.
unsafe impl<T: Send + Sync> Send for Superseded<T> {}

impl<T> fmt::Debug for Superseded<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Superseded({:?})", self.until)
    }
}

impl<T> Superseded<T> {
    /// What `newer`, published by the caller as `until`, has superseded, if anything. The caller
    /// holds the stripe of the key.
    pub(crate) fn by(
        record: RecordRef<'_, T>,
        newer: VersionRef<'_, T>,
        until: Stamp,
    ) -> Option<Self> {
        newer.older().map(|version| Self {
            until,
            record: record.ptr(),
            version: version.version,
            newer: newer.version.as_ptr(),
        })
    }

    pub(crate) fn until(&self) -> Stamp {
        self.until
    }

    /// Whether it says that the key was deleted.
    pub(crate) fn is_tombstone(&self) -> bool {
        self.as_ref().is_tombstone()
    }

    /// Allows what superseded it to be reclaimed first.
    pub(crate) fn detach(&mut self) {
        self.newer = ptr::null_mut();
    }

    /// Has the version brought near, without waiting for it.
    pub(crate) fn prefetch(&self) {
        prefetch(self.version.as_ptr().cast());
    }

    fn as_ref<'g>(&self) -> VersionRef<'g, T> {
        VersionRef {
            version: self.version,
            guard: PhantomData,
        }
    }
}

/// A version that nobody needs any more.
#[derive(Debug)]
pub(crate) struct Reclaimed {
    pub(crate) bytes: usize,
    /// Whether it is freed through the epoch.
    pub(crate) is_deferred: bool,
}

impl<T: Payload> Superseded<T> {
    /// What the version takes of the heap.
    pub(crate) fn size(&self) -> usize {
        self.as_ref().size()
    }

    /// Frees the version if nobody needs it, as `horizon` tells: at once, or through the epoch, of
    /// which the share is told. Gives it back where an open snapshot sees it.
    ///
    /// The grace has reached [`until`](Self::until). The caller holds the stripe of the key, asks
    /// for the superseded versions of a stripe in the order of their stamps, for those that it was
    /// given back in any, and for those that it has [detached](Self::detach) once those before them
    /// in the stripe that it has not were asked for.
    pub(crate) fn reclaim(
        mut self,
        horizon: &Horizon,
        unreachable: &mut Unreachable<T>,
        share: &mut Share,
        guard: &Guard,
    ) -> Result<Reclaimed, Self> {
        debug_assert!(!horizon.waits(self.until));
        let version = self.as_ref();
        let bytes = version.size();
        if horizon.is_past(self.until) {
            let version = ManuallyDrop::new(self).version;
            // SAFETY: HORIZON: every snapshot that is open, or will be, is at or past `until`, so
            // whoever reads this chain stops above this version (REACH), and every reader that
            // was pinned before that has gone. It was ours.
            unsafe { unreachable.take(version) };
            let is_deferred = false;
            return Ok(Reclaimed { bytes, is_deferred });
        }
        let stamp = version.word().settled();
        let stamp = stamp.expect("SORTED: what was superseded is decided");
        debug_assert!(
            stamp < self.until,
            "SORTED: {stamp:?} is below {:?}",
            self.until
        );
        // MODEL: chain::sweeping_keeps_one_for_each_snapshot.
        if horizon.holds(stamp, self.until) {
            self.detach();
            return Err(self);
        }
        // A snapshot is open from before this version (KEEP-ONE keeps another one for it). So
        // nothing above has been freed, and the record is there (QUEUED).
        let newer = VersionRef::wrap(self.newer).unwrap_or_else(|| self.find_newer(guard));
        // ORDERING: Relaxed. Only the holder of the stripe changes the link.
        let older = load_own(&version.header().older);
        // ORDERING: E-LINK, writer side: republishes a version published before. A reader that
        // stands on the one taken out goes on by its own link.
        // MODEL: chain::freed_version_outlives_its_readers.
        newer.header().older.store(older, Ordering::Release);
        defer_free(ManuallyDrop::new(self).version, share.freed(), guard);
        let is_deferred = true;
        Ok(Reclaimed { bytes, is_deferred })
    }

    /// The version that links to this one.
    fn find_newer<'g>(&self, guard: &'g Guard) -> VersionRef<'g, T> {
        let mut newer = self.record.get(guard).head();
        while let Some(version) = newer {
            let older = version.older();
            if older.is_some_and(|older| older.version == self.version) {
                return version;
            }
            newer = older;
        }
        unreachable!("REACH: a superseded version is linked until it is freed")
    }
}

impl<T> Drop for Superseded<T> {
    fn drop(&mut self) {
        // SAFETY: the engine is being dropped, so nobody reads any more, and this owns it.
        unsafe { free_version(self.version) };
    }
}
