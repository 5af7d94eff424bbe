//! What a message carries.
//!
//! The trait has one kind of payload, what V8 has serialised. Bytes are a `Uint8Array` to it, and a `u64` is
//! a bigint. Back from it, a whole `Uint8Array` is bytes; all else stays what it is.
//!
//! An array is written as its buffer and a view of all of it:
//!
//! ```text
//! ff 0f  B length bytes  V B 0 length 0
//! ```

use crate::value::{NewValue, Value, ValueRef};
use bytes::Bytes;

const HEADER: u8 = 0xff;
/// The version that is written, and those that are read: of an older one, a view has no flags.
const VERSION: u8 = 15;
const VERSIONS_READ: [u8; 3] = [14, VERSION, 16];
const BUFFER: u8 = b'B';
const VIEW_OF_BYTES: [u8; 3] = [b'V', b'B', 0];

/// The payload as V8 serialises it.
pub(super) fn encode(payload: ValueRef<'_>) -> Vec<u8> {
    match payload {
        ValueRef::V8(bytes) => bytes.to_vec(),
        ValueRef::U64(number) => match Value::from(NewValue::bigint(number)) {
            Value::V8(bytes) | Value::Bytes(bytes) => bytes.into(),
            Value::U64(_) => Vec::new(),
        },
        ValueRef::Bytes(bytes) => {
            let mut encoded = Vec::with_capacity(bytes.len() + 20);
            encoded.extend_from_slice(&[HEADER, VERSION, BUFFER]);
            put_varint(&mut encoded, bytes.len());
            encoded.extend_from_slice(bytes);
            encoded.extend_from_slice(&VIEW_OF_BYTES);
            put_varint(&mut encoded, bytes.len());
            encoded.push(0);
            encoded
        }
    }
}

/// What was enqueued.
pub(super) fn decode(payload: Vec<u8>) -> Value {
    let payload = Bytes::from(payload);
    match array(&payload).map(|bytes| payload.slice_ref(bytes)) {
        Some(bytes) => Value::Bytes(bytes),
        None => Value::V8(payload),
    }
}

/// The bytes of a `Uint8Array` that is all of its buffer.
fn array(payload: &[u8]) -> Option<&[u8]> {
    let [HEADER, version, BUFFER, rest @ ..] = payload else {
        return None;
    };
    let (length, rest) = take_varint(rest)?;
    let (bytes, rest) = rest.split_at_checked(length)?;
    let rest = rest.strip_prefix(&VIEW_OF_BYTES)?;
    let (viewed, flags) = take_varint(rest)?;
    let is_whole = VERSIONS_READ.contains(version) && viewed == length && flags == [0];
    is_whole.then_some(bytes)
}

fn put_varint(encoded: &mut Vec<u8>, mut number: usize) {
    let low_bits = |number: usize| number.to_le_bytes()[0] & 0x7f;
    while number >= 0x80 {
        encoded.push(0x80 | low_bits(number));
        number >>= 7;
    }
    encoded.push(low_bits(number));
}

fn take_varint(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut number = 0_u32;
    let mut rest = bytes;
    for shift in [0, 7, 14, 21] {
        let (byte, behind) = rest.split_first()?;
        rest = behind;
        number |= u32::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some((usize::try_from(number).ok()?, rest));
        }
    }
    // Longer than any payload may be.
    None
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_as_bytes_and_all_else_as_it_is() {
        for length in [0, 1, 127, 128, 20_000] {
            let bytes = vec![0xa5; length];
            assert_eq!(
                decode(encode(ValueRef::Bytes(&bytes))),
                Value::Bytes(bytes.into())
            );
        }
        let text = &b"\xff\x0f\"\x02hi"[..];
        assert_eq!(
            decode(encode(ValueRef::V8(text))),
            Value::V8(Bytes::from_static(text))
        );
        assert_eq!(
            decode(encode(ValueRef::U64(7))),
            NewValue::bigint(7_u64).into()
        );
    }

    #[test]
    fn what_is_no_whole_array_is_left_alone() {
        let whole = encode(ValueRef::Bytes(b"abc"));
        assert_eq!(whole, b"\xff\x0fB\x03abcVB\0\x03\0");
        for end in 0..whole.len() {
            let cut = whole[..end].to_vec();
            assert_eq!(decode(cut.clone()), Value::V8(cut.into()));
        }
        let of_a_part = b"\xff\x0fB\x03abcVB\x01\x02\0".to_vec();
        assert!(matches!(decode(of_a_part), Value::V8(_)));
        let endless = [&[0xff, 0x0f, b'B'][..], &[0xff; 20]].concat();
        assert!(matches!(decode(endless), Value::V8(_)));
    }
}
