//! How a value lies in a version.
//!
//! Up to [`INLINE_BYTES_MAX`] bytes lie behind the version's header and are copied out by a read,
//! so that a hit costs one cache miss and no reader writes to memory that others read. A larger
//! value is kept as [`Bytes`], and a read shares it.

use crate::mvcc::chain::{Draft, Payload, TOMBSTONE, VersionRef};
use crate::sync::{OutOfMemory, may_allocate};
use crate::value::{NewValue, Value, ValueRef};
use bytes::Bytes;

/// What is copied and not shared. At this size, copying costs about what the two updates of a
/// contended reference count do.
pub(crate) const INLINE_BYTES_MAX: usize = 1_024;

const TAG_BYTES: u8 = 1;
const TAG_U64: u8 = 2;
const TAG_V8: u8 = 3;

/// The bytes of a value that is too large to lie inline. Boxed, so that the header of every other
/// version pays eight bytes for it.
pub(crate) type Large = Option<Box<Bytes>>;

impl Payload for Large {
    fn heap_bytes(&self) -> usize {
        self.as_ref()
            .map_or(0, |bytes| size_of::<Bytes>() + bytes.len())
    }
}

/// A version that holds a value.
pub(crate) fn draft(value: &NewValue<'_>) -> Result<Draft<Large>, OutOfMemory> {
    let (tag, bytes) = match value.as_ref() {
        ValueRef::U64(number) => return draft_u64(number),
        ValueRef::Bytes(bytes) => (TAG_BYTES, bytes),
        ValueRef::V8(bytes) => (TAG_V8, bytes),
    };
    if bytes.len() <= INLINE_BYTES_MAX {
        Draft::new(tag, bytes, None)
    } else {
        draft_large(tag, bytes, value.shared_bytes())
    }
}

#[cold]
fn draft_large(tag: u8, bytes: &[u8], shared: Option<&Bytes>) -> Result<Draft<Large>, OutOfMemory> {
    let bytes = if let Some(shared) = shared {
        Bytes::clone(shared)
    } else {
        may_allocate(bytes.len())?;
        let mut copy = Vec::new();
        let reserved = copy.try_reserve_exact(bytes.len());
        reserved.map_err(|_| OutOfMemory { bytes: bytes.len() })?;
        copy.extend_from_slice(bytes);
        copy.into()
    };
    Draft::new(tag, &[], Some(Box::new(bytes)))
}

/// A version that holds a number.
pub(crate) fn draft_u64(number: u64) -> Result<Draft<Large>, OutOfMemory> {
    Draft::new(TAG_U64, &number.to_le_bytes(), None)
}

/// A version that says that the key was deleted.
pub(crate) fn draft_tombstone() -> Result<Draft<Large>, OutOfMemory> {
    Draft::new(TOMBSTONE, &[], None)
}

fn bytes(version: VersionRef<'_, Large>) -> &[u8] {
    match version.extra() {
        Some(large) => large,
        None => version.bytes(),
    }
}

/// The value in a version; `None` in a tombstone.
pub(crate) fn view(version: VersionRef<'_, Large>) -> Option<ValueRef<'_>> {
    match version.tag() {
        TOMBSTONE => None,
        TAG_U64 => {
            let number = version.bytes().try_into().map(u64::from_le_bytes);
            Some(ValueRef::U64(number.unwrap_or_default()))
        }
        TAG_V8 => Some(ValueRef::V8(bytes(version))),
        _ => Some(ValueRef::Bytes(bytes(version))),
    }
}

/// The value in a version, to keep: a small one is copied, a large one shared.
pub(crate) fn value(version: VersionRef<'_, Large>) -> Option<Value> {
    match (view(version)?, version.extra()) {
        (ValueRef::Bytes(_), Some(large)) => Some(Value::Bytes(Bytes::clone(large))),
        (ValueRef::V8(_), Some(large)) => Some(Value::V8(Bytes::clone(large))),
        (small, _) => Some(small.to_owned()),
    }
}
