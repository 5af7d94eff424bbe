//! What an item is that has no items in it: texts, bigints, and the elements of binary data.

use super::fault::{Fault, Result};
use serde::de::Visitor;
use std::borrow::Cow;

/// A string as it is stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Text<'de> {
    Latin1(&'de [u8]),
    /// Little-endian, of an even length.
    Utf16(&'de [u8]),
    Utf8(&'de [u8]),
}

impl<'de> Text<'de> {
    /// The text; where it lies, if that is possible.
    pub(super) fn decode(self) -> Result<Cow<'de, str>> {
        match self {
            Self::Latin1(bytes) if bytes.is_ascii() => Self::Utf8(bytes).decode(),
            Self::Latin1(bytes) => Ok(bytes.iter().map(|&byte| char::from(byte)).collect()),
            Self::Utf16(bytes) => {
                let units = bytes.chunks_exact(2).map(u16_of);
                let text: std::result::Result<_, _> = char::decode_utf16(units).collect();
                text.map(Cow::Owned)
                    .map_err(|_| Fault::undecodable("string with half of a surrogate pair"))
            }
            Self::Utf8(bytes) => str::from_utf8(bytes)
                .map(Cow::Borrowed)
                .map_err(|_| Fault::undecodable("string that is no UTF-8")),
        }
    }
}

/// A bigint as it is stored: sign, and magnitude in little-endian order.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoredBigInt<'de> {
    pub(super) is_negative: bool,
    pub(super) magnitude: &'de [u8],
}

impl StoredBigInt<'_> {
    /// The magnitude, if 128 bits hold it.
    fn magnitude(self) -> Option<u128> {
        let bytes = self.magnitude;
        let used = bytes.iter().rposition(|&byte| byte != 0);
        let used = &bytes[..used.map_or(0, |last| last + 1)];
        let mut whole = [0; size_of::<u128>()];
        whole.get_mut(..used.len())?.copy_from_slice(used);
        Some(u128::from_le_bytes(whole))
    }

    /// Shows it as the smallest integer that holds it.
    pub(super) fn visit<'de, V: Visitor<'de>>(self, visitor: V) -> Result<V::Value> {
        let Some(magnitude) = self.magnitude() else {
            let found = format!("a bigint of {} bytes", self.magnitude.len());
            return Err(Fault::mismatch(&visitor, &found));
        };
        if !self.is_negative {
            return match u64::try_from(magnitude) {
                Ok(number) => visitor.visit_u64(number),
                Err(_) => visitor.visit_u128(magnitude),
            };
        }
        let Some(number) = 0_i128.checked_sub_unsigned(magnitude) else {
            return Err(Fault::mismatch(&visitor, "a bigint below -2^127"));
        };
        match i64::try_from(number) {
            Ok(number) => visitor.visit_i64(number),
            Err(_) => visitor.visit_i128(number),
        }
    }
}

/// What the bytes of a buffer or a view are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Numbers {
    U8,
    I8,
    I16,
    U16,
    I32,
    U32,
    F16,
    F32,
    F64,
    I64,
    U64,
}

/// An element of binary data.
#[derive(Clone, Copy, Debug)]
pub(super) enum Element {
    Signed(i64),
    Unsigned(u64),
    Float(f64),
}

/// Binary data: an `ArrayBuffer`, a `DataView`, or a typed array.
#[derive(Clone, Copy, Debug)]
pub(super) struct Binary<'de> {
    pub(super) bytes: &'de [u8],
    pub(super) numbers: Numbers,
}

impl Numbers {
    /// By the tag of a view.
    pub(super) fn of_view(tag: u8) -> Option<Self> {
        Some(match tag {
            b'B' | b'C' | b'?' => Self::U8,
            b'b' => Self::I8,
            b'w' => Self::I16,
            b'W' => Self::U16,
            b'd' => Self::I32,
            b'D' => Self::U32,
            b'h' => Self::F16,
            b'f' => Self::F32,
            b'F' => Self::F64,
            b'q' => Self::I64,
            b'Q' => Self::U64,
            _ => return None,
        })
    }

    /// By the number that Node gives to a view in its host objects.
    pub(super) fn of_node(kind: u32) -> Option<Self> {
        const KINDS: &[u8; 13] = b"bBCwWdDfF?BqQ";
        Self::of_view(*KINDS.get(usize::try_from(kind).ok()?)?)
    }

    /// The bytes of one.
    pub(super) fn width(self) -> usize {
        match self {
            Self::U8 | Self::I8 => 1,
            Self::I16 | Self::U16 | Self::F16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::F64 | Self::I64 | Self::U64 => 8,
        }
    }
}

impl Binary<'_> {
    /// How many elements there are.
    pub(super) fn len(self) -> usize {
        self.bytes.len() / self.numbers.width()
    }

    /// The element at an index below the length.
    pub(super) fn element(self, index: usize) -> Option<Element> {
        let width = self.numbers.width();
        let bytes = self.bytes.chunks_exact(width).nth(index)?;
        let mut whole = [0; 8];
        whole[..width].copy_from_slice(bytes);
        let bits = u64::from_le_bytes(whole);
        let unused = 64 - 8 * u32::try_from(width).ok()?;
        Some(match self.numbers {
            Numbers::U8 | Numbers::U16 | Numbers::U32 | Numbers::U64 => Element::Unsigned(bits),
            Numbers::I8 | Numbers::I16 | Numbers::I32 | Numbers::I64 => {
                Element::Signed((bits << unused).cast_signed() >> unused)
            }
            Numbers::F16 => Element::Float(half(u16_of(bytes))),
            Numbers::F32 => {
                let [a, b, c, d, ..] = whole;
                Element::Float(f64::from(f32::from_le_bytes([a, b, c, d])))
            }
            Numbers::F64 => Element::Float(f64::from_bits(bits)),
        })
    }
}

fn u16_of(bytes: &[u8]) -> u16 {
    bytes
        .iter()
        .rev()
        .fold(0, |unit, &byte| unit << 8 | u16::from(byte))
}

/// A number of 16 bits: a sign, five bits of exponent, ten of fraction.
fn half(bits: u16) -> f64 {
    let fraction = f64::from(bits & 0x3ff) / 1024.0;
    let magnitude = match (bits >> 10) & 0x1f {
        0 => fraction * 2f64.powi(-14),
        0x1f if fraction == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1.0 + fraction) * 2f64.powi(i32::from(exponent) - 15),
    };
    if bits & 0x8000 == 0 {
        magnitude
    } else {
        -magnitude
    }
}

/// The integer that a number is, where every integer around it is a number too.
#[expect(
    clippy::cast_possible_truncation,
    reason = "it is compared with what came of it"
)]
#[expect(clippy::float_cmp, reason = "exactly equal is what is meant")]
pub(super) fn whole(number: f64) -> Option<i64> {
    const SAFE_MAX: f64 = 9_007_199_254_740_992.0;
    let integer = number as i64;
    let is_whole = number.abs() <= SAFE_MAX && number.trunc() == number;
    (is_whole && (integer != 0 || number.is_sign_positive())).then_some(integer)
}
