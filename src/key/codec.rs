//! The tuple encoding, byte for byte that of Deno KV, and the way back from it. `encoder` writes it.
//!
//! An encoded key is the plain concatenation of its encoded parts, and byte order of the encodings
//! is part-by-part order of the keys (K02). Each part begins with a tag that names its type:
//!
//! ```text
//! bytes      01  data, each 00 as 00 ff  00
//! string     02  UTF-8, each 00 as 00 ff  00
//! bigint     14 + n  magnitude           n is the bytes of the magnitude, 0 to 8; big-endian
//!            14 - n  !magnitude          negative; ! is the one's complement
//!            1d  n  magnitude            n is 9 to 255
//!            0b  !n  !magnitude          negative
//! number     21  eight bytes, big-endian: all bits flipped if negative, else the sign alone
//! false      26
//! true       27
//! ```
//!
//! The terminator sorts below every byte of data and below every tag, and `00 ff` above every tag,
//! which is why a prefix sorts first and why the keys under a prefix are one interval.
//!
//! Encoding writes the one canonical form. Decoding also reads bigints with leading zero bytes,
//! which foreign writers make; every other departure is an error (K11).

use super::bigint::BigInt;
use super::part::KeyPart;
use crate::error::{Error, Result};
use std::borrow::Cow;

pub(super) const BYTES: u8 = 0x01;
pub(super) const STRING: u8 = 0x02;
pub(super) const BIGINT_LONG_NEGATIVE: u8 = 0x0b;
const BIGINT_SHORT_MIN: u8 = 0x0c;
pub(super) const BIGINT_ZERO: u8 = 0x14;
pub(super) const BIGINT_SHORT_MAX: u8 = 0x1c;
pub(super) const BIGINT_LONG_POSITIVE: u8 = 0x1d;
pub(super) const NUMBER: u8 = 0x21;
pub(super) const FALSE: u8 = 0x26;
pub(super) const TRUE: u8 = 0x27;

/// Ends bytes and strings, unless [`ESCAPE`] follows: then it stands for itself.
pub(super) const END: u8 = 0x00;
pub(super) const ESCAPE: u8 = 0xff;

const SIGN: u64 = 1 << 63;

/// The bits of a double as an integer that sorts as IEEE 754's total order does.
pub(super) fn ordered(bits: u64) -> u64 {
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The way back from [`ordered`].
fn unordered(bits: u64) -> u64 {
    if bits & SIGN == 0 {
        !bits
    } else {
        bits & !SIGN
    }
}

/// Decodes an encoded key, borrowing from it what was not escaped.
///
/// # Errors
///
/// `KeyUndecodable` where it is not the encoding of a tuple (K10, K11).
pub(super) fn decode(encoded: &[u8]) -> Result<Vec<KeyPart<'_>>> {
    let mut decoder = Decoder { encoded, offset: 0 };
    let mut parts = Vec::new();
    while decoder.offset < encoded.len() {
        parts.push(decoder.part()?);
    }
    Ok(parts)
}

struct Decoder<'a> {
    encoded: &'a [u8],
    offset: usize,
}

impl<'a> Decoder<'a> {
    fn part(&mut self) -> Result<KeyPart<'a>> {
        let start = self.offset;
        Ok(match self.byte()? {
            BYTES => KeyPart::Bytes(self.unescaped()?),
            STRING => {
                let text = match self.unescaped()? {
                    Cow::Borrowed(bytes) => str::from_utf8(bytes).ok().map(Cow::Borrowed),
                    Cow::Owned(bytes) => String::from_utf8(bytes).ok().map(Cow::Owned),
                };
                let invalid = || Error::key_undecodable("a string that is not UTF-8", start);
                KeyPart::String(text.ok_or_else(invalid)?)
            }
            BIGINT_LONG_NEGATIVE => {
                let len = !self.byte()?;
                self.bigint(true, len)?
            }
            tag @ BIGINT_SHORT_MIN..BIGINT_ZERO => self.bigint(true, BIGINT_ZERO - tag)?,
            tag @ BIGINT_ZERO..=BIGINT_SHORT_MAX => self.bigint(false, tag - BIGINT_ZERO)?,
            BIGINT_LONG_POSITIVE => {
                let len = self.byte()?;
                self.bigint(false, len)?
            }
            NUMBER => {
                let bits = u64::from_be_bytes(self.array()?);
                KeyPart::Number(f64::from_bits(unordered(bits)))
            }
            FALSE => KeyPart::Bool(false),
            TRUE => KeyPart::Bool(true),
            _ => return Err(Error::key_undecodable("a tag of no key part", start)),
        })
    }

    fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let bytes = self.encoded[self.offset..].first_chunk();
        let bytes = *bytes.ok_or_else(|| self.truncated())?;
        self.offset += N;
        Ok(bytes)
    }

    fn take(&mut self, len: usize) -> Result<&'a [u8]> {
        let bytes = self.encoded[self.offset..].get(..len);
        let bytes = bytes.ok_or_else(|| self.truncated())?;
        self.offset += len;
        Ok(bytes)
    }

    fn truncated(&self) -> Error {
        Error::key_undecodable("a part that is cut off", self.encoded.len())
    }

    fn bigint(&mut self, negative: bool, len: u8) -> Result<KeyPart<'a>> {
        let bytes = self.take(len.into())?;
        let integer = if negative {
            let magnitude: Vec<u8> = bytes.iter().map(|byte| !byte).collect();
            BigInt::from_be_bytes(true, &magnitude)
        } else {
            BigInt::from_be_bytes(false, bytes)
        };
        integer.map(KeyPart::BigInt)
    }

    /// Data up to its terminator.
    fn unescaped(&mut self) -> Result<Cow<'a, [u8]>> {
        let mut data = Cow::Borrowed(&[][..]);
        loop {
            let rest = &self.encoded[self.offset..];
            let end = rest.iter().position(|&byte| byte == END);
            let end = end.ok_or_else(|| self.truncated())?;
            let escaped = rest.get(end + 1) == Some(&ESCAPE);
            let run = &rest[..end + usize::from(escaped)];
            if data.is_empty() && !escaped {
                data = Cow::Borrowed(run);
            } else {
                data.to_mut().extend_from_slice(run);
            }
            self.offset += end + 1 + usize::from(escaped);
            if !escaped {
                return Ok(data);
            }
        }
    }
}
