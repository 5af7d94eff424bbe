//! The scalars of V8's serialisation: numbers and bigints.
//!
//! V8 writes a value as a header, `FF` and the version of the format, and then a tag and what
//! belongs to it. Of all the tags there are, arithmetic needs four:
//!
//! | tag | what follows |
//! | --- | --- |
//! | `I` | a number that is an `i32`, as a zig-zag varint |
//! | `U` | a number that is a `u32`, as a varint |
//! | `N` | a number, as the eight bytes of a double, least significant first |
//! | `Z` | a bigint: a varint whose lowest bit is the sign and whose others count bytes; then so many bytes of magnitude, least significant first |
//!
//! Bytes of padding, `00`, can stand before the tag, and nothing behind the value. A newer version
//! of the format has always read the same for these tags, so one that is not known yet is taken as
//! well (D10, S13).
//!
//! What is written is what V8 itself would write in version 15, which every reader of today reads:
//! a number is always `N`, and the magnitude of a bigint comes in whole words of eight bytes.

use super::integer::{Integer, WORD_BYTES};

const HEADER: u8 = 0xff;
const PADDING: u8 = 0x00;
const INT32: u8 = b'I';
const UINT32: u8 = b'U';
const DOUBLE: u8 = b'N';
const BIGINT: u8 = b'Z';

/// The oldest version of the format whose scalars are read.
const VERSION_MIN: u32 = 13;

/// The version that is written.
const VERSION: u8 = 15;

/// The NaN that V8 writes.
const NAN: f64 = f64::from_bits(0x7ff8_0000_0000_0000);

/// The longest magnitude that V8 reads: 2^30 bits.
const MAGNITUDE_BYTES_MAX: usize = 1 << 27;

/// The most bytes that a bigint can have as V8 reads and writes it.
pub(crate) const BIGINT_BYTES_MAX: usize = 3 + 5 + MAGNITUDE_BYTES_MAX;

/// The bytes of a number as it is written: header, tag and double.
pub(crate) const NUMBER_BYTES: usize = 3 + size_of::<f64>();

/// A V8 value that can be calculated with.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Scalar<'a> {
    Number(f64),
    BigInt(Integer<'a>),
}

impl<'a> Scalar<'a> {
    /// The scalar that was serialised, if it is one.
    pub(crate) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let mut rest = bytes.strip_prefix(&[HEADER])?;
        if take_varint(&mut rest)? < VERSION_MIN {
            return None;
        }
        let padding = rest.iter().take_while(|&&byte| byte == PADDING).count();
        let (&tag, mut rest) = rest[padding..].split_first()?;
        let scalar = match tag {
            INT32 => {
                let zigzag = take_varint(&mut rest)?;
                let number = (zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed();
                Self::Number(number.into())
            }
            UINT32 => Self::Number(take_varint(&mut rest)?.into()),
            DOUBLE => {
                let (bytes, behind) = rest.split_first_chunk()?;
                rest = behind;
                Self::Number(f64::from_le_bytes(*bytes))
            }
            BIGINT => {
                let bitfield = take_varint(&mut rest)?;
                let len = usize::try_from(bitfield >> 1).ok()?;
                if len > MAGNITUDE_BYTES_MAX {
                    return None;
                }
                let (magnitude, behind) = rest.split_at_checked(len)?;
                rest = behind;
                Self::BigInt(Integer::new(bitfield & 1 != 0, magnitude))
            }
            _ => return None,
        };
        rest.is_empty().then_some(scalar)
    }
}

/// A varint is at most five bytes of seven bits, and not more than 32 bits.
fn take_varint(bytes: &mut &[u8]) -> Option<u32> {
    let mut number = 0_u64;
    for shift in [0, 7, 14, 21, 28] {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return number.try_into().ok();
        }
    }
    None
}

/// A number as V8 writes it. There is one NaN in JavaScript, so which it was does not matter.
pub(crate) fn encode_number(number: f64) -> [u8; NUMBER_BYTES] {
    let number = if number.is_nan() { NAN } else { number };
    let mut encoded = [0; NUMBER_BYTES];
    encoded[..3].copy_from_slice(&[HEADER, VERSION, DOUBLE]);
    encoded[3..].copy_from_slice(&number.to_le_bytes());
    encoded
}

/// The bytes of a bigint as it is written.
pub(crate) fn bigint_bytes(integer: Integer<'_>) -> usize {
    let bits = u64::BITS - bitfield(integer).leading_zeros();
    let varint_bytes = bits.div_ceil(7).max(1) as usize;
    3 + varint_bytes + padded_len(integer)
}

/// Writes a bigint as V8 does: [`bigint_bytes`] of them, to the end of `encoded`.
pub(crate) fn encode_bigint(integer: Integer<'_>, encoded: &mut Vec<u8>) {
    encoded.extend_from_slice(&[HEADER, VERSION, BIGINT]);
    let mut bitfield = bitfield(integer);
    while bitfield >= 0x80 {
        encoded.push(0x80 | low_bits(bitfield));
        bitfield >>= 7;
    }
    encoded.push(low_bits(bitfield));
    let end = encoded.len() + padded_len(integer);
    encoded.extend_from_slice(integer.magnitude());
    encoded.resize(end, 0);
}

/// The sign, in the lowest bit, and the length.
fn bitfield(integer: Integer<'_>) -> u64 {
    ((padded_len(integer) as u64) << 1) | u64::from(integer.is_negative())
}

/// The length of a magnitude in whole words.
fn padded_len(integer: Integer<'_>) -> usize {
    integer.magnitude().len().next_multiple_of(WORD_BYTES)
}

/// The seven lowest bits.
fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}

#[cfg(all(test, not(loom)))]
mod tests;
