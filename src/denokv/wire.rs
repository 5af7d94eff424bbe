//! Values, entries, keys and instants, as the trait has them and as we do.

use crate::engine::write::Write;
use crate::entry::{Entry, EntryRef};
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::Key;
use crate::moment::TimeLeft;
use crate::value::{Value, ValueRef};
use crate::version::Versionstamp;
use chrono::{DateTime, Utc};
use denokv_proto::{KvEntry, KvValue, ReadRange};
use std::num::NonZeroU32;
use std::time::Duration;

/// A copy of a value.
pub(super) fn kv_value(value: ValueRef<'_>) -> KvValue {
    match value {
        ValueRef::Bytes(bytes) => KvValue::Bytes(bytes.to_vec()),
        ValueRef::U64(number) => KvValue::U64(number),
        ValueRef::V8(bytes) => KvValue::V8(bytes.to_vec()),
    }
}

pub(super) fn value(value: KvValue) -> Value {
    match value {
        KvValue::Bytes(bytes) => Value::Bytes(bytes.into()),
        KvValue::U64(number) => Value::U64(number),
        KvValue::V8(bytes) => Value::V8(bytes.into()),
    }
}

/// A copy of an entry where it lies.
pub(super) fn kv_entry(entry: EntryRef<'_>) -> KvEntry {
    KvEntry {
        key: entry.key_bytes().to_vec(),
        value: kv_value(entry.value()),
        versionstamp: entry.versionstamp().to_bytes(),
    }
}

/// The same of one that is there. Only in a transaction can there be one without a versionstamp.
pub(super) fn kv_entry_of(entry: &Entry) -> Option<KvEntry> {
    Some(KvEntry {
        key: entry.key().as_bytes().to_vec(),
        value: kv_value(entry.value()?.as_ref()),
        versionstamp: entry.versionstamp()?.to_bytes(),
    })
}

/// An entry as a database gave it: how long it still has is not told.
pub(super) fn entry(entry: KvEntry) -> Entry {
    let versionstamp = Versionstamp::from_bytes(entry.versionstamp);
    let value = value(entry.value);
    let key = Key::raw(entry.key);
    Entry::from_parts(key, Some(value), Some(versionstamp), TimeLeft::FOREVER)
}

pub(super) fn missing(key: Key) -> Entry {
    Entry::from_parts(key, None, None, TimeLeft::FOREVER)
}

/// What is said of one key: an entry of it, or none.
pub(super) fn entry_of(key: &Key, found: Option<KvEntry>) -> Result<Entry> {
    match found {
        None => Ok(missing(key.clone())),
        Some(found) if found.key == key.as_bytes() => Ok(entry(found)),
        Some(_) => Err(Error::unexpected("an entry of another key")),
    }
}

/// Checks that an entry is still as it was read.
pub(super) fn check_as_read(write: &mut Write<'_>, entry: &Entry) {
    write.check(entry.key(), entry.versionstamp());
}

/// The range of one key.
pub(super) fn range_of_one(key: &Key) -> ReadRange {
    ReadRange {
        start: key.as_bytes().to_vec(),
        end: [key.as_bytes(), &[0]].concat(),
        limit: NonZeroU32::MIN,
        reverse: false,
    }
}

/// The instant so long after 1970, in the first whole millisecond that is not earlier.
pub(super) fn instant(since_1970: Duration) -> Result<DateTime<Utc>> {
    let too_far = || Error::expiry_too_large(since_1970, Expiry::MAX);
    let ms = since_1970.as_nanos().div_ceil(1_000_000);
    let ms = i64::try_from(ms).map_err(|_| too_far())?;
    DateTime::from_timestamp_millis(ms).ok_or_else(too_far)
}

/// How long it is from `now`, since 1970, to an instant; no time where that has been.
pub(super) fn until(at: DateTime<Utc>, now: Duration) -> Duration {
    let ms = u64::try_from(at.timestamp_millis()).unwrap_or(0);
    Duration::from_millis(ms).saturating_sub(now)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_instant_is_never_earlier_than_what_was_asked_for() -> Result<()> {
        let now = Duration::from_micros(1_500);
        assert_eq!(until(instant(now)?, now), Duration::from_micros(500));
        assert_eq!(until(instant(Duration::ZERO)?, now), Duration::ZERO);
        let today = Duration::from_secs(1_800_000_000);
        assert_eq!(until(instant(today + Expiry::MAX)?, today), Expiry::MAX);
        assert!(instant(Duration::MAX).is_err());
        Ok(())
    }
}
