//! The messages of the KV Connect data path, protocol buffers of the package `com.deno.kv.datapath`
//! (spec 8.4).
//!
//! What clients send is decoded by `prost`; byte strings share the body that they came in. How many
//! parts a message has is looked at first, where that is bounded: a part of two bytes becomes a
//! hundred when it is decoded.

use bytes::Bytes;
use prost::Message;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};

/// Field numbers that [`count_parts`] tells apart.
const FIELDS: usize = 4;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct SnapshotRead {
    #[prost(message, repeated, tag = "1")]
    pub(crate) ranges: Vec<ReadRange>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ReadRange {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) start: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) end: Bytes,
    #[prost(int32, tag = "3")]
    pub(crate) limit: i32,
    #[prost(bool, tag = "4")]
    pub(crate) reverse: bool,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AtomicWrite {
    #[prost(message, repeated, tag = "1")]
    pub(crate) checks: Vec<Check>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) mutations: Vec<Mutation>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) enqueues: Vec<Enqueue>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Check {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    /// Empty for a key that is to be missing.
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) versionstamp: Bytes,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Mutation {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<KvValue>,
    #[prost(int32, tag = "3")]
    pub(crate) kind: i32,
    #[prost(int64, tag = "4")]
    pub(crate) expire_at_ms: i64,
    #[prost(bytes = "bytes", tag = "5")]
    pub(crate) sum_min: Bytes,
    #[prost(bytes = "bytes", tag = "6")]
    pub(crate) sum_max: Bytes,
    #[prost(bool, tag = "7")]
    pub(crate) sum_clamp: bool,
}

/// What a mutation does, by its number. Not in the order that one expects.
pub(crate) mod mutation {
    pub(crate) const SET: i32 = 1;
    pub(crate) const DELETE: i32 = 2;
    pub(crate) const SUM: i32 = 3;
    pub(crate) const MAX: i32 = 4;
    pub(crate) const MIN: i32 = 5;
    pub(crate) const SET_SUFFIX_VERSIONSTAMPED_KEY: i32 = 9;
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct KvValue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) data: Bytes,
    #[prost(int32, tag = "2")]
    pub(crate) encoding: i32,
}

/// How a value is encoded, by its number.
pub(crate) mod encoding {
    pub(crate) const V8: i32 = 1;
    pub(crate) const LE64: i32 = 2;
    pub(crate) const BYTES: i32 = 3;
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Enqueue {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) payload: Bytes,
    #[prost(int64, tag = "2")]
    pub(crate) deadline_ms: i64,
    #[prost(bytes = "bytes", repeated, tag = "3")]
    pub(crate) keys_if_undelivered: Vec<Bytes>,
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) backoff_schedule: Vec<u32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AtomicWriteOutput {
    #[prost(int32, tag = "1")]
    pub(crate) status: i32,
    #[prost(bytes = "bytes", tag = "2")]
    pub(crate) versionstamp: Bytes,
    #[prost(uint32, repeated, tag = "4")]
    pub(crate) failed_checks: Vec<u32>,
}

/// What became of an atomic write, by its number.
pub(crate) mod write_status {
    pub(crate) const SUCCESS: i32 = 1;
    pub(crate) const CHECK_FAILURE: i32 = 2;
    pub(crate) const WRITE_DISABLED: i32 = 5;
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Watch {
    #[prost(message, repeated, tag = "1")]
    pub(crate) keys: Vec<WatchKey>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct WatchKey {
    #[prost(bytes = "bytes", tag = "1")]
    pub(crate) key: Bytes,
}

/// How many parts a message has at its top, by their field numbers, 1 first. What is not a message is
/// refused, as far as one has to look; the rest is left to be decoded.
pub(crate) fn count_parts(body: &Bytes) -> Result<[usize; FIELDS], prost::DecodeError> {
    let mut counts = [0; FIELDS];
    for_each_part(body, |number, _| {
        if let Some(count) = number.checked_sub(1).and_then(|at| counts.get_mut(at)) {
            *count += 1;
        }
        Ok(())
    })?;
    Ok(counts)
}

/// The most keys that one message of an atomic write has for where it is undelivered.
pub(crate) fn most_undelivered_keys(body: &Bytes) -> Result<usize, prost::DecodeError> {
    let mut most = 0;
    for_each_part(body, |number, part| {
        if number == 3 {
            let [_, _, keys, _] = count_parts(&part)?;
            most = most.max(keys);
        }
        Ok(())
    })?;
    Ok(most)
}

/// Shows each part at the top of a message, with its field number, as far as there are whole ones.
fn for_each_part(
    body: &Bytes,
    mut each: impl FnMut(usize, Bytes) -> Result<(), prost::DecodeError>,
) -> Result<(), prost::DecodeError> {
    let mut rest = body.clone();
    while !rest.is_empty() {
        let (number, wire_type) = decode_key(&mut rest)?;
        if wire_type != WireType::LengthDelimited {
            // None of those that are counted; whatever it is, more can come behind it.
            skip_field(wire_type, number, &mut rest, DecodeContext::default())?;
            continue;
        }
        let length = decode_varint(&mut rest)?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > rest.len() {
            return Ok(());
        }
        each(number as usize, rest.split_to(length))?;
    }
    Ok(())
}
