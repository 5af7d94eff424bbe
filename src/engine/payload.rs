//! How a value lies in a version.
//!
//! Up to [`INLINE_BYTES_MAX`] bytes lie behind the version's header and are copied out by a read,
//! so that a hit costs one cache miss and no reader writes to memory that others read. A larger
//! value is kept as [`Bytes`], and a read shares it.
//!
//! A version that expires says so by a bit of its tag, and has its deadline before its inline bytes.
//! One that was weighed ([`weight`](super::weight)) says so by another, and has its weight there, behind
//! the deadline if it has both. All others have none of it.

use crate::moment::Moment;
use crate::mvcc::chain::{Draft, Payload, TOMBSTONE, VersionRef};
use crate::sync::{OutOfMemory, footprint, may_allocate};
use crate::value::{NewValue, Value, ValueRef};
use bytes::Bytes;
use std::time::Duration;

/// What is copied and not shared. At this size, copying costs about what the two updates of a
/// contended reference count do.
pub(crate) const INLINE_BYTES_MAX: usize = 1_024;

const TAG_BYTES: u8 = 1;
const TAG_U64: u8 = 2;
const TAG_V8: u8 = 3;

/// Set in the tag of a version that expires.
const EXPIRES: u8 = 0x80;

/// Set in the tag of a version that was weighed.
const WEIGHED: u8 = 0x40;

/// What lies before the inline bytes: a deadline, a weight, or one behind the other.
type DeadlineBytes = [u8; size_of::<u64>()];
type WeightBytes = [u8; size_of::<u32>()];
type PrefixBytes = [u8; size_of::<DeadlineBytes>() + size_of::<WeightBytes>()];

fn prefix(deadline: Moment, weight: u32) -> PrefixBytes {
    let mut prefix = PrefixBytes::default();
    let (before, behind) = prefix.split_at_mut(size_of::<DeadlineBytes>());
    before.copy_from_slice(&deadline.as_micros().to_le_bytes());
    behind.copy_from_slice(&weight.to_le_bytes());
    prefix
}

/// The bytes of a value that is too large to lie inline. Boxed, so that the header of every other
/// version pays eight bytes for it.
pub(crate) type Large = Option<Box<Bytes>>;

impl Payload for Large {
    #[inline]
    fn heap_bytes(&self, tag: u8) -> usize {
        let large = self.as_ref().map_or(0, |bytes| large_bytes(bytes));
        let timer = if tag & EXPIRES == 0 { 0 } else { TIMER_BYTES };
        large + timer
    }
}

/// What a large value takes of the heap, the version's header apart. One that its owner shares counts
/// as much: it may be the last to have it.
#[cold]
fn large_bytes(bytes: &Bytes) -> usize {
    footprint(size_of::<Bytes>()) + footprint(bytes.len()) + footprint(SHARED_BYTES)
}

/// What counts those who share a large value, about: two words and a number.
const SHARED_BYTES: usize = 3 * size_of::<usize>();

/// What a version that expires takes in the set of deadlines, where nodes are two thirds full.
const TIMER_BYTES: usize = 3 * size_of::<(Moment, usize)>() / 2;

/// A version that holds a value and does not expire.
pub(crate) fn draft(value: &NewValue<'_>) -> Result<Draft<Large>, OutOfMemory> {
    draft_value(value, 0, [])
}

/// A version that holds a value and expires so long after its commit. Where it will have its deadline
/// it has that time, until [`start_expiring`].
#[cold]
pub(crate) fn draft_expiring(
    value: &NewValue<'_>,
    after: Duration,
) -> Result<Draft<Large>, OutOfMemory> {
    let after = Moment::ZERO.after(after);
    draft_value(value, EXPIRES, after.as_micros().to_le_bytes())
}

/// Gives a version that was drafted as one that expires its deadline.
#[cold]
pub(crate) fn start_expiring(draft: &mut Draft<Large>, deadline: impl FnOnce(Duration) -> Moment) {
    let after = u64::from_le_bytes(draft.prefix());
    let deadline = deadline(Duration::from_micros(after));
    draft.set_prefix(deadline.as_micros().to_le_bytes());
}

/// Whether a draft expires.
#[inline]
pub(crate) fn will_expire(draft: &Draft<Large>) -> bool {
    draft.tag() & EXPIRES != 0
}

/// A version that holds a value until a moment.
#[cold]
pub(crate) fn draft_until(
    value: &NewValue<'_>,
    deadline: Moment,
) -> Result<Draft<Large>, OutOfMemory> {
    draft_value(value, EXPIRES, deadline.as_micros().to_le_bytes())
}

/// A version that holds a value, and was weighed; until a moment, if it expires, or, before
/// [`start_expiring`], for so long.
#[cold]
pub(crate) fn draft_weighed(
    value: &NewValue<'_>,
    deadline: Option<Moment>,
    weight: u32,
) -> Result<Draft<Large>, OutOfMemory> {
    match deadline {
        None => draft_value(value, WEIGHED, weight.to_le_bytes()),
        Some(deadline) => draft_value(value, EXPIRES | WEIGHED, prefix(deadline, weight)),
    }
}

#[inline]
fn draft_value<const N: usize>(
    value: &NewValue<'_>,
    mark: u8,
    prefix: [u8; N],
) -> Result<Draft<Large>, OutOfMemory> {
    let (tag, bytes) = match value.as_ref() {
        ValueRef::U64(number) => {
            return Draft::with_prefix(TAG_U64 | mark, prefix, &number.to_le_bytes(), None);
        }
        ValueRef::Bytes(bytes) => (TAG_BYTES | mark, bytes),
        ValueRef::V8(bytes) => (TAG_V8 | mark, bytes),
    };
    if bytes.len() <= INLINE_BYTES_MAX {
        Draft::with_prefix(tag, prefix, bytes, None)
    } else {
        let bytes = share(bytes, value.shared_bytes())?;
        Draft::with_prefix(tag, prefix, &[], Some(Box::new(bytes)))
    }
}

/// The bytes of a large value, to be kept: shared, or copied where they are borrowed.
#[cold]
fn share(bytes: &[u8], shared: Option<&Bytes>) -> Result<Bytes, OutOfMemory> {
    if let Some(shared) = shared {
        return Ok(Bytes::clone(shared));
    }
    may_allocate(bytes.len())?;
    let mut copy = Vec::new();
    let reserved = copy.try_reserve_exact(bytes.len());
    reserved.map_err(|_| OutOfMemory::of_bytes(bytes.len()))?;
    copy.extend_from_slice(bytes);
    Ok(copy.into())
}

/// A version with the value of another, which it shares where that is large, and its weight, and perhaps
/// with a deadline of its own.
#[cold]
pub(crate) fn draft_again(
    version: VersionRef<'_, Large>,
    deadline: Option<Moment>,
) -> Result<Draft<Large>, OutOfMemory> {
    let (tag, bytes) = parts(version);
    let large = version.extra().clone();
    let weight = is_weighed(version).then(|| weight(version));
    match (deadline, weight) {
        (None, None) => Draft::new(tag, bytes, large),
        (None, Some(weight)) => {
            Draft::with_prefix(tag | WEIGHED, weight.to_le_bytes(), bytes, large)
        }
        (Some(deadline), None) => {
            let deadline = deadline.as_micros().to_le_bytes();
            Draft::with_prefix(tag | EXPIRES, deadline, bytes, large)
        }
        (Some(deadline), Some(weight)) => {
            let prefix = prefix(deadline, weight);
            Draft::with_prefix(tag | EXPIRES | WEIGHED, prefix, bytes, large)
        }
    }
}

/// A version that holds a number and does not expire.
pub(crate) fn draft_u64(number: u64) -> Result<Draft<Large>, OutOfMemory> {
    Draft::new(TAG_U64, &number.to_le_bytes(), None)
}

/// A version that says that the key was deleted.
pub(crate) fn draft_tombstone() -> Result<Draft<Large>, OutOfMemory> {
    Draft::new(TOMBSTONE, &[], None)
}

/// One comparison: a tombstone's tag is 0, and one that expires has the highest bit.
const fn is_lasting_tag(tag: u8) -> bool {
    tag.wrapping_sub(TOMBSTONE + 1) < EXPIRES - 1
}

/// Whether a version is neither a tombstone nor one that expires: an entry, whatever time it is.
#[inline]
pub(crate) fn is_lasting(version: VersionRef<'_, Large>) -> bool {
    is_lasting_tag(version.tag())
}

/// Whether a version expires, or was weighed.
#[inline]
pub(crate) fn is_prefixed(version: VersionRef<'_, Large>) -> bool {
    version.tag() & (EXPIRES | WEIGHED) != 0
}

/// Whether a version was weighed.
#[inline]
pub(crate) fn is_weighed(version: VersionRef<'_, Large>) -> bool {
    version.tag() & WEIGHED != 0
}

/// What an entry counts to a limit of entries that has this version; nothing, where it says that the key
/// was deleted.
pub(crate) fn weight(version: VersionRef<'_, Large>) -> u32 {
    weight_of(version.tag(), version.bytes())
}

/// Whether an entry that has this version counts 1, or there is none.
#[inline]
pub(crate) fn weighs_one(draft: &Draft<Large>) -> bool {
    draft.tag() & WEIGHED == 0
}

/// What an entry will count that has this version; nothing, where it says that the key was deleted.
pub(crate) fn weight_of_draft(draft: &Draft<Large>) -> u32 {
    match draft.tag() {
        tag if tag & WEIGHED == 0 => weight_of(tag, &[]),
        tag if tag & EXPIRES == 0 => u32::from_le_bytes(draft.prefix()),
        tag => weight_of(tag, &draft.prefix::<{ size_of::<PrefixBytes>() }>()),
    }
}

/// The weight of a version with this tag, by the first of its bytes.
fn weight_of(tag: u8, bytes: &[u8]) -> u32 {
    if tag & WEIGHED == 0 {
        return u32::from(tag != TOMBSTONE);
    }
    let from = prefix_len(tag) - size_of::<WeightBytes>();
    let weight = bytes.get(from..).and_then(<[u8]>::first_chunk);
    weight.map_or(1, |weight| u32::from_le_bytes(*weight))
}

/// How much lies before the inline bytes of a version with this tag.
fn prefix_len(tag: u8) -> usize {
    let of = |bit, len| if tag & bit == 0 { 0 } else { len };
    of(EXPIRES, size_of::<DeadlineBytes>()) + of(WEIGHED, size_of::<WeightBytes>())
}

/// Whether a version expires.
#[inline]
pub(crate) fn expires(version: VersionRef<'_, Large>) -> bool {
    version.tag() & EXPIRES != 0
}

/// When a version expires, if it does.
#[inline]
pub(crate) fn deadline(version: VersionRef<'_, Large>) -> Option<Moment> {
    if version.tag() & EXPIRES == 0 {
        return None;
    }
    let deadline = version.bytes().first_chunk::<{ size_of::<u64>() }>()?;
    Some(Moment::from_micros(u64::from_le_bytes(*deadline)))
}

/// The kind of a version, and its inline bytes.
#[inline]
fn parts(version: VersionRef<'_, Large>) -> (u8, &[u8]) {
    let (tag, bytes) = (version.tag(), version.bytes());
    if tag & (EXPIRES | WEIGHED) == 0 {
        return (tag, bytes);
    }
    let bytes = bytes.split_at_checked(prefix_len(tag));
    (
        tag & !(EXPIRES | WEIGHED),
        bytes.map_or(&[], |(_, bytes)| bytes),
    )
}

/// The value in a version; `None` in a tombstone.
#[inline]
pub(crate) fn view(version: VersionRef<'_, Large>) -> Option<ValueRef<'_>> {
    view_of(version.tag(), version.bytes(), version)
}

/// The bytes in a version that holds bytes.
#[inline]
pub(crate) fn bytes(version: VersionRef<'_, Large>) -> Option<&[u8]> {
    if version.tag() == TAG_BYTES {
        let inline = version.bytes();
        return Some(version.extra().as_ref().map_or(inline, |large| large));
    }
    bytes_prefixed(version)
}

/// The number in a version that holds a `u64`, does not expire, and was not weighed.
#[inline]
pub(crate) fn lasting_u64(version: VersionRef<'_, Large>) -> Option<u64> {
    if version.tag() != TAG_U64 {
        return None;
    }
    version.bytes().try_into().ok().map(u64::from_le_bytes)
}

/// The bytes in a version that holds bytes and expires, or was weighed.
#[cold]
fn bytes_prefixed(version: VersionRef<'_, Large>) -> Option<&[u8]> {
    view(version)?.as_bytes()
}

#[inline]
fn view_of<'g>(tag: u8, inline: &'g [u8], version: VersionRef<'g, Large>) -> Option<ValueRef<'g>> {
    let bytes = || version.extra().as_ref().map_or(inline, |large| large);
    match tag {
        TAG_BYTES => Some(ValueRef::Bytes(bytes())),
        TAG_U64 => {
            let number = inline.try_into().map(u64::from_le_bytes);
            Some(ValueRef::U64(number.unwrap_or_default()))
        }
        TAG_V8 => Some(ValueRef::V8(bytes())),
        _ => view_prefixed(version),
    }
}

/// The value in a version that expires, or was weighed.
#[cold]
fn view_prefixed(version: VersionRef<'_, Large>) -> Option<ValueRef<'_>> {
    if !is_prefixed(version) {
        return None;
    }
    let (tag, bytes) = parts(version);
    view_of(tag, bytes, version)
}

/// The value in a version, to keep: a small one is copied, a large one shared.
pub(crate) fn value(version: VersionRef<'_, Large>) -> Option<Value> {
    match (view(version)?, version.extra()) {
        (ValueRef::Bytes(_), Some(large)) => Some(Value::Bytes(Bytes::clone(large))),
        (ValueRef::V8(_), Some(large)) => Some(Value::V8(Bytes::clone(large))),
        (small, _) => Some(small.to_owned()),
    }
}
