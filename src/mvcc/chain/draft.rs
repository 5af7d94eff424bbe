//! Versions that are about to be linked.

#![expect(unsafe_code, reason = "versions are allocated by raw pointers")]

use super::{Payload, Version, free_version};
use crate::mvcc::stamp::StampWord;
use crate::sync::{AtomicPtr, OutOfMemory, alloc};
use std::fmt;
use std::marker::PhantomData;
use std::mem::offset_of;
use std::ptr::{self, NonNull};

/// A version that nobody else has seen yet. Dropping it frees it.
pub(crate) struct Draft<T> {
    pub(super) version: NonNull<Version<T>>,
    owned: PhantomData<Version<T>>,
}

// SAFETY: a draft is the only reference to its version, whose fields are `Send` where `T` is.
unsafe impl<T: Send> Send for Draft<T> {}

impl<T> Draft<T> {
    /// A version with this payload: `bytes` are copied in behind the header, `extra` is kept.
    ///
    /// The caller has refused more bytes than a `u32` counts.
    pub(crate) fn new(tag: u8, bytes: &[u8], extra: T) -> Result<Self, OutOfMemory> {
        Self::with_prefix(tag, [], bytes, extra)
    }

    /// The same with some bytes before the others, which [`set_prefix`](Self::set_prefix) can
    /// still change.
    pub(crate) fn with_prefix<const N: usize>(
        tag: u8,
        prefix: [u8; N],
        bytes: &[u8],
        extra: T,
    ) -> Result<Self, OutOfMemory> {
        let len = u32::try_from(N + bytes.len()).expect("inline bytes are bounded by the payload");
        let layout = Version::<T>::layout(len);
        // SAFETY: the layout has at least the header's size, which is not zero.
        let raw = unsafe { alloc(layout) };
        let Some(version) = NonNull::new(raw.cast::<Version<T>>()) else {
            return Err(OutOfMemory::of(layout));
        };
        let header = Version {
            word: StampWord::installing(),
            older: AtomicPtr::new(ptr::null_mut()),
            extra,
            len,
            tag,
            bytes: [],
        };
        // SAFETY: freshly allocated for this type, aligned, and ours alone.
        unsafe { version.write(header) };
        // SAFETY: the layout reaches `len` bytes past this offset, and the prefix is among them.
        let to = unsafe { raw.add(offset_of!(Version<T>, bytes) + N) };
        // SAFETY: both are valid for the length, and a fresh allocation overlaps nothing.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
        let mut draft = Self {
            version,
            owned: PhantomData,
        };
        draft.set_prefix(prefix);
        Ok(draft)
    }

    pub(crate) fn tag(&self) -> u8 {
        // SAFETY: a draft is the only reference to its version.
        unsafe { self.version.as_ref() }.tag
    }

    /// The first bytes behind the header, of a version that has as many.
    pub(crate) fn prefix<const N: usize>(&self) -> [u8; N] {
        // SAFETY: so many bytes are there, written by `with_prefix`.
        unsafe { self.prefix_at::<N>().read_unaligned() }
    }

    /// Writes the first bytes behind the header, of a version that has as many.
    pub(crate) fn set_prefix<const N: usize>(&mut self, prefix: [u8; N]) {
        // SAFETY: so many bytes are there, and nobody else has seen the version.
        unsafe { self.prefix_at::<N>().write_unaligned(prefix) };
    }

    /// Where the first bytes lie behind the header, of which there are so many.
    fn prefix_at<const N: usize>(&self) -> *mut [u8; N] {
        // SAFETY: a draft is the only reference to its version.
        let len = unsafe { self.version.as_ref() }.len as usize;
        assert!(N <= len, "a prefix beyond its version");
        let base = self.version.as_ptr().cast::<u8>();
        // SAFETY: the allocation reaches `len` bytes past this offset.
        unsafe { base.add(offset_of!(Version<T>, bytes)) }.cast()
    }

    pub(super) fn header_mut(&mut self) -> &mut Version<T> {
        // SAFETY: a draft is the only reference to its version.
        unsafe { self.version.as_mut() }
    }
}

impl<T: Payload> Draft<T> {
    /// What the version takes of the heap, header and payload included.
    pub(crate) fn size(&self) -> usize {
        // SAFETY: a draft is the only reference to its version.
        unsafe { self.version.as_ref() }.size()
    }
}

impl<T> Drop for Draft<T> {
    fn drop(&mut self) {
        // SAFETY: a draft was never linked: `link` forgets it.
        unsafe { free_version(self.version) };
    }
}

impl<T> fmt::Debug for Draft<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Draft")
    }
}
