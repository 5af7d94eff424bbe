//! `snapshot_read`: ranges, all as they were at one moment.
//!
//! The answer is written straight from where the entries lie (spec 8.5): a value is copied once, into the
//! answer.

use crate::refusal::Refusal;
use crate::wire::{ReadRange, SnapshotRead, count_parts, encoding};
use bytes::{BufMut, Bytes, BytesMut};
use kvick::{EntryRef, Key, Kv, List, Range, Snapshot, ValueRef};
use prost::Message;
use prost::encoding::{encode_varint, encoded_len_varint};

/// The bytes before the content of a field that is of any length, of the numbers 1 to 4.
const ENTRY_KEY: u8 = 0x0a;
const ENTRY_VALUE: u8 = 0x12;
const ENTRY_ENCODING: u8 = 0x18;
const ENTRY_VERSIONSTAMP: u8 = 0x22;
const PART: u8 = 0x0a;

/// Field 4, `read_is_strongly_consistent`, and field 8, `status`: true, and success.
const SUCCESS: [u8; 4] = [0x20, 1, 0x40, 1];

/// Answers a read.
pub(crate) fn snapshot_read(kv: &Kv, body: Bytes) -> Result<Bytes, Refusal> {
    let limits = kv.limits();
    let [ranges, ..] = count_parts(&body)?;
    if ranges > limits.ranges_max {
        return Err(Refusal::too_many(
            "Too many ranges",
            limits.ranges_max,
            ranges,
        ));
    }
    let read = SnapshotRead::decode(body)?;
    check_limits(&read.ranges, limits.entries_max)?;
    let mut answer = BytesMut::new();
    if let [range] = &read.ranges[..] {
        // One range is of one moment by itself, if it is read in one batch.
        put_range(&mut answer, range, &Source::Newest(kv))?;
    } else {
        let snapshot = kv.snapshot();
        for range in &read.ranges {
            put_range(&mut answer, range, &Source::Snapshot(&snapshot))?;
        }
    }
    answer.put_slice(&SUCCESS);
    Ok(answer.freeze())
}

fn check_limits(ranges: &[ReadRange], max: usize) -> Result<(), Refusal> {
    let mut sum = 0_usize;
    for range in ranges {
        let limit = usize::try_from(range.limit).ok().filter(|limit| *limit > 0);
        let limit = limit.ok_or_else(|| {
            Refusal::bad(format!(
                "the limit of a range is not positive: got {}",
                range.limit
            ))
        })?;
        sum = sum.saturating_add(limit);
    }
    if sum > max {
        return Err(Refusal::too_many("Too many entries", max, sum));
    }
    Ok(())
}

/// Where is read.
enum Source<'k> {
    Newest(&'k Kv),
    Snapshot(&'k Snapshot),
}

impl Source<'_> {
    fn with_entry<R>(
        &self,
        key: Key,
        read: impl FnOnce(Option<EntryRef<'_>>) -> R,
    ) -> kvick::Result<R> {
        match self {
            Self::Newest(kv) => kv.with_entry(key, read),
            Self::Snapshot(snapshot) => snapshot.with_entry(key, read),
        }
    }

    fn list(&self, range: Range) -> List<'_> {
        match self {
            Self::Newest(kv) => kv.list(range),
            Self::Snapshot(snapshot) => snapshot.list(range),
        }
    }
}

/// Adds the entries of a range.
fn put_range(answer: &mut BytesMut, range: &ReadRange, source: &Source<'_>) -> Result<(), Refusal> {
    if is_of_one_key(range) {
        let key = Key::raw(&range.start);
        source.with_entry(key, |entry| {
            let Some(entry) = entry else {
                answer.put_slice(&[PART, 0]);
                return;
            };
            let length = entry_len(entry);
            let part = 1 + encoded_len_varint(length as u64) + length;
            // Exactly as much as it takes, where it is all of the answer: which is then handed on as it is.
            answer.reserve(1 + encoded_len_varint(part as u64) + part + SUCCESS.len());
            put_length(answer, PART, part);
            put_length(answer, PART, length);
            put_fields(answer, entry);
        })?;
        return Ok(());
    }
    // PANICS: never. It was checked that it is positive.
    let limit = usize::try_from(range.limit).unwrap_or(1);
    let entries = range_of(range, source, limit)?;
    put_length(answer, PART, entries.len());
    answer.put_slice(&entries);
    Ok(())
}

fn range_of(range: &ReadRange, source: &Source<'_>, limit: usize) -> Result<BytesMut, Refusal> {
    let mut entries = BytesMut::new();
    let mut list = source.list(Range::raw(range.start.clone(), range.end.clone()));
    if range.reverse {
        list = list.reverse();
    }
    list.limit(limit)
        .for_each(|entry| put_entry(&mut entries, entry))?;
    Ok(entries)
}

/// Whether a range is that of one key: what clients ask for to get one.
fn is_of_one_key(range: &ReadRange) -> bool {
    range
        .end
        .strip_suffix(&[0])
        .is_some_and(|key| key == &range.start[..])
}

/// An entry, as a part of a range.
fn put_entry(out: &mut BytesMut, entry: EntryRef<'_>) {
    let length = entry_len(entry);
    out.reserve(length + 11);
    put_length(out, PART, length);
    put_fields(out, entry);
}

/// An entry by itself, which has a length.
pub(crate) fn put_fields(out: &mut BytesMut, entry: EntryRef<'_>) {
    let (key, value) = (entry.key_bytes(), entry.value());
    put_bytes(out, ENTRY_KEY, key);
    let encoding = match value {
        ValueRef::Bytes(bytes) => {
            put_bytes(out, ENTRY_VALUE, bytes);
            encoding::BYTES
        }
        ValueRef::U64(number) => {
            put_bytes(out, ENTRY_VALUE, &number.to_le_bytes());
            encoding::LE64
        }
        ValueRef::V8(bytes) => {
            put_bytes(out, ENTRY_VALUE, bytes);
            encoding::V8
        }
    };
    // They are below 128.
    out.put_slice(&[ENTRY_ENCODING, u8::try_from(encoding).unwrap_or(0)]);
    put_bytes(out, ENTRY_VERSIONSTAMP, entry.versionstamp().as_bytes());
}

/// How long the fields of an entry are.
pub(crate) fn entry_len(entry: EntryRef<'_>) -> usize {
    let value = match entry.value() {
        ValueRef::Bytes(bytes) | ValueRef::V8(bytes) => bytes.len(),
        ValueRef::U64(number) => size_of_val(&number),
    };
    let of_bytes = |length: usize| match length {
        0 => 0,
        _ => 1 + encoded_len_varint(length as u64) + length,
    };
    of_bytes(entry.key_bytes().len()) + of_bytes(value) + 2 + of_bytes(10)
}

fn put_bytes(out: &mut BytesMut, field: u8, bytes: &[u8]) {
    if !bytes.is_empty() {
        put_length(out, field, bytes.len());
        out.put_slice(bytes);
    }
}

fn put_length(out: &mut BytesMut, field: u8, length: usize) {
    out.put_u8(field);
    encode_varint(length as u64, out);
}
