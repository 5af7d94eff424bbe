//! The tuple encoding, both ways: byte for byte that of Deno KV.
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
use super::part::{KeyPart, canonical};
use super::{INLINE_BYTES_MAX, InlineBytes, Key};
use crate::error::{Error, Result};
use std::borrow::Cow;

const BYTES: u8 = 0x01;
const STRING: u8 = 0x02;
const BIGINT_LONG_NEGATIVE: u8 = 0x0b;
const BIGINT_SHORT_MIN: u8 = 0x0c;
const BIGINT_ZERO: u8 = 0x14;
const BIGINT_SHORT_MAX: u8 = 0x1c;
const BIGINT_LONG_POSITIVE: u8 = 0x1d;
const NUMBER: u8 = 0x21;
const FALSE: u8 = 0x26;
const TRUE: u8 = 0x27;

/// Ends bytes and strings, unless [`ESCAPE`] follows: then it stands for itself.
const END: u8 = 0x00;
const ESCAPE: u8 = 0xff;

/// A key in the making. It stays in its inline bytes for as long as the key will fit there, so that
/// encoding a short key allocates nothing.
pub(super) struct Encoder {
    inline: InlineBytes,
    /// The bytes in use of `inline`; meaningless once anything is in `long`.
    len: usize,
    /// All of the key, once it is longer than `inline`; empty until then.
    long: Vec<u8>,
}

impl Encoder {
    pub(super) fn new() -> Self {
        Self {
            inline: InlineBytes::default(),
            len: 0,
            long: Vec::new(),
        }
    }

    pub(super) fn finish(self) -> Key {
        if self.long.is_empty() {
            Key::inline(self.inline, self.len)
        } else {
            Key::from_encoded(&self.long)
        }
    }

    /// Appends bytes that are encoded already.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if let Some(room) = self.room(bytes.len()) {
            room.copy_from_slice(bytes);
            return;
        }
        if self.long.is_empty() {
            self.long.reserve(2 * INLINE_BYTES_MAX + bytes.len());
            self.long.extend_from_slice(&self.inline[..self.len]);
        }
        self.long.extend_from_slice(bytes);
    }

    /// The next `len` inline bytes, to be written, or `None` where the key does not fit inline.
    fn room(&mut self, len: usize) -> Option<&mut [u8]> {
        if !self.long.is_empty() {
            return None;
        }
        let start = self.len;
        let (inline, _) = self.inline.split_at_mut(INLINE_BYTES_MAX);
        let room = inline.get_mut(start..start.checked_add(len)?)?;
        self.len += len;
        Some(room)
    }

    /// Appends one part.
    pub(super) fn part(&mut self, part: &KeyPart<'_>) {
        match part {
            KeyPart::Bytes(bytes) => self.escaped(BYTES, bytes),
            KeyPart::String(string) => self.escaped(STRING, string.as_bytes()),
            KeyPart::BigInt(integer) => self.bigint(integer),
            KeyPart::Number(number) => self.number(*number),
            KeyPart::Bool(false) => self.extend(&[FALSE]),
            KeyPart::Bool(true) => self.extend(&[TRUE]),
        }
    }

    fn escaped(&mut self, tag: u8, data: &[u8]) {
        // The common case in one step: short, and nothing to escape.
        if !data.contains(&END)
            && let Some([first, middle @ .., last]) = self.room(data.len() + 2)
        {
            *first = tag;
            middle.copy_from_slice(data);
            *last = END;
            return;
        }
        self.extend(&[tag]);
        for run in data.split_inclusive(|&byte| byte == END) {
            self.extend(run);
            if run.ends_with(&[END]) {
                self.extend(&[ESCAPE]);
            }
        }
        self.extend(&[END]);
    }

    fn bigint(&mut self, integer: &BigInt) {
        let magnitude = integer.magnitude();
        // PANICS: never. No BigInt is longer than this.
        let len = u8::try_from(magnitude.len()).expect("a bigint has at most 255 bytes");
        match (integer.is_negative(), len <= BIGINT_SHORT_MAX - BIGINT_ZERO) {
            (false, true) => self.extend(&[BIGINT_ZERO + len]),
            (true, true) => self.extend(&[BIGINT_ZERO - len]),
            (false, false) => self.extend(&[BIGINT_LONG_POSITIVE, len]),
            (true, false) => self.extend(&[BIGINT_LONG_NEGATIVE, !len]),
        }
        if integer.is_negative() {
            for byte in magnitude {
                self.extend(&[!byte]);
            }
        } else {
            self.extend(magnitude);
        }
    }

    fn number(&mut self, number: f64) {
        let mut encoding = [NUMBER; 9];
        encoding[1..].copy_from_slice(&ordered(canonical(number).to_bits()).to_be_bytes());
        self.extend(&encoding);
    }
}

const SIGN: u64 = 1 << 63;

/// The bits of a double as an integer that sorts as IEEE 754's total order does.
fn ordered(bits: u64) -> u64 {
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
