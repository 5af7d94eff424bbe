//! One element of a key: its type, its order, what converts into it.
//!
//! A part borrows or owns, as a [`Cow`] does. Building a key from borrowed text copies that text
//! once, into the encoding, and decoding one copies only what the encoding had to escape.
//!
//! The order is written out here, apart from the encoding that must agree with it (K02), and the
//! tests hold one against the other.

use super::bigint::BigInt;
use crate::version::Versionstamp;
use bytes::Bytes;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// One element of a key.
///
/// Parts of different types are different parts, also where JavaScript would call them equal, and
/// they sort by type first: bytes, strings, bigints, numbers, `false`, `true` (K03).
///
/// # Integers
///
/// JavaScript has two kinds of whole number, and they make two different keys (K05). An integer
/// type becomes the one that always holds it:
///
/// - `u8`, `u16`, `u32`, `i8`, `i16`, `i32` become **numbers**. A double holds them exactly, and
///   the literal `1` is a number in JavaScript: `("users", 1)` here is `["users", 1]` there.
/// - `u64`, `u128`, `usize`, `i64`, `i128`, `isize` become **bigints**. A double would round the
///   large ones: `("users", 1u64)` here is `["users", 1n]` there.
///
/// `f32` and `f64` become numbers.
///
/// ```
/// use kvick::{BigInt, KeyPart};
///
/// assert_eq!(KeyPart::from(1), KeyPart::Number(1.0));
/// assert_eq!(KeyPart::from(1u64), KeyPart::BigInt(BigInt::from(1)));
/// assert_eq!(KeyPart::from("a"), KeyPart::String("a".into()));
/// assert!(KeyPart::from(i64::MAX) < KeyPart::from(0));
/// ```
#[derive(Clone, Debug)]
pub enum KeyPart<'a> {
    /// Bytes, in the order of bytes, a prefix first. A `Uint8Array` in JavaScript.
    Bytes(Cow<'a, [u8]>),
    /// Text, in the order of its UTF-8 bytes, which is that of its code points.
    String(Cow<'a, str>),
    /// An integer of any size, in the order of the integers.
    BigInt(BigInt),
    /// A double, in IEEE 754's total order: -NaN, -infinity, ..., -0, 0, ..., infinity, NaN. The
    /// two zeros are two parts, and all NaNs of one sign are one (K04).
    Number(f64),
    /// `false`, then `true`.
    Bool(bool),
}

impl KeyPart<'_> {
    /// The same part, borrowing from nothing.
    pub fn into_owned(self) -> KeyPart<'static> {
        match self {
            Self::Bytes(bytes) => KeyPart::Bytes(Cow::Owned(bytes.into_owned())),
            Self::String(string) => KeyPart::String(Cow::Owned(string.into_owned())),
            Self::BigInt(integer) => KeyPart::BigInt(integer),
            Self::Number(number) => KeyPart::Number(number),
            Self::Bool(bool) => KeyPart::Bool(bool),
        }
    }

    /// The place of the part's type among the types.
    fn rank(&self) -> u8 {
        match self {
            Self::Bytes(_) => 0,
            Self::String(_) => 1,
            Self::BigInt(_) => 2,
            Self::Number(_) => 3,
            Self::Bool(_) => 4,
        }
    }
}

/// The one NaN of each sign that has an encoding; every other number as it is.
pub(super) fn canonical(number: f64) -> f64 {
    if number.is_nan() {
        f64::from_bits(0x7ff8_0000_0000_0000).copysign(number)
    } else {
        number
    }
}

impl Ord for KeyPart<'_> {
    /// The order of the encodings.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Bytes(a), Self::Bytes(b)) => a.cmp(b),
            (Self::String(a), Self::String(b)) => a.cmp(b),
            (Self::BigInt(a), Self::BigInt(b)) => a.cmp(b),
            (Self::Number(a), Self::Number(b)) => canonical(*a).total_cmp(&canonical(*b)),
            (Self::Bool(a), Self::Bool(b)) => a.cmp(b),
            _ => self.rank().cmp(&other.rank()),
        }
    }
}

impl PartialOrd for KeyPart<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for KeyPart<'_> {
    /// Whether the encodings are equal.
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for KeyPart<'_> {}

impl Hash for KeyPart<'_> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rank().hash(state);
        match self {
            Self::Bytes(bytes) => bytes.hash(state),
            Self::String(string) => string.hash(state),
            Self::BigInt(integer) => integer.hash(state),
            Self::Number(number) => canonical(*number).to_bits().hash(state),
            Self::Bool(bool) => bool.hash(state),
        }
    }
}

impl fmt::Display for KeyPart<'_> {
    /// As JavaScript would write it, near enough: `"text"`, `1n`, `1`, `true`, and bytes as `0x00ff`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => {
                f.write_str("0x")?;
                bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
            Self::String(string) => write!(f, "{string:?}"),
            Self::BigInt(integer) => write!(f, "{integer}n"),
            Self::Number(number) => write_number(f, *number),
            Self::Bool(bool) => write!(f, "{bool}"),
        }
    }
}

/// With an exponent where JavaScript has one, so that no number takes 300 digits.
fn write_number(f: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
    let sign = if number.is_sign_negative() { "-" } else { "" };
    match number.abs() {
        size if size.is_nan() => write!(f, "{sign}NaN"),
        size if size.is_infinite() => write!(f, "{sign}Infinity"),
        size if size == 0.0 || (1e-6..1e21).contains(&size) => write!(f, "{number}"),
        _ => write!(f, "{number:e}"),
    }
}

impl<'a> From<&'a str> for KeyPart<'a> {
    fn from(string: &'a str) -> Self {
        Self::String(Cow::Borrowed(string))
    }
}

impl<'a> From<&'a String> for KeyPart<'a> {
    fn from(string: &'a String) -> Self {
        Self::String(Cow::Borrowed(string))
    }
}

impl From<String> for KeyPart<'_> {
    fn from(string: String) -> Self {
        Self::String(Cow::Owned(string))
    }
}

impl From<Versionstamp> for KeyPart<'_> {
    /// Its twenty digits: the last part of a [versionstamped key](crate::AtomicOp::set_versionstamped).
    fn from(versionstamp: Versionstamp) -> Self {
        Self::String(Cow::Owned(versionstamp.to_string()))
    }
}

impl<'a> From<Cow<'a, str>> for KeyPart<'a> {
    fn from(string: Cow<'a, str>) -> Self {
        Self::String(string)
    }
}

impl<'a> From<&'a [u8]> for KeyPart<'a> {
    fn from(bytes: &'a [u8]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for KeyPart<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<const N: usize> From<[u8; N]> for KeyPart<'_> {
    fn from(bytes: [u8; N]) -> Self {
        Self::Bytes(Cow::Owned(bytes.into()))
    }
}

impl From<Vec<u8>> for KeyPart<'_> {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(Cow::Owned(bytes))
    }
}

impl<'a> From<&'a Vec<u8>> for KeyPart<'a> {
    fn from(bytes: &'a Vec<u8>) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl From<Bytes> for KeyPart<'_> {
    fn from(bytes: Bytes) -> Self {
        Self::Bytes(Cow::Owned(bytes.into()))
    }
}

impl<'a> From<&'a Bytes> for KeyPart<'a> {
    fn from(bytes: &'a Bytes) -> Self {
        Self::Bytes(Cow::Borrowed(bytes))
    }
}

impl<'a> From<Cow<'a, [u8]>> for KeyPart<'a> {
    fn from(bytes: Cow<'a, [u8]>) -> Self {
        Self::Bytes(bytes)
    }
}

impl From<BigInt> for KeyPart<'_> {
    fn from(integer: BigInt) -> Self {
        Self::BigInt(integer)
    }
}

impl From<bool> for KeyPart<'_> {
    fn from(bool: bool) -> Self {
        Self::Bool(bool)
    }
}

impl<'a> From<&'a KeyPart<'_>> for KeyPart<'a> {
    /// Borrows from the part where it can.
    fn from(part: &'a KeyPart<'_>) -> Self {
        match part {
            KeyPart::Bytes(bytes) => Self::Bytes(Cow::Borrowed(bytes)),
            KeyPart::String(string) => Self::String(Cow::Borrowed(string)),
            KeyPart::BigInt(integer) => Self::BigInt(integer.clone()),
            KeyPart::Number(number) => Self::Number(*number),
            KeyPart::Bool(bool) => Self::Bool(*bool),
        }
    }
}

macro_rules! from_number {
    ($($number:ty),*) => {$(
        impl From<$number> for KeyPart<'_> {
            /// A number: a double holds every value of the type exactly.
            fn from(number: $number) -> Self {
                Self::Number(number.into())
            }
        }
    )*};
}
from_number!(u8, u16, u32, i8, i16, i32, f32, f64);

macro_rules! from_bigint {
    ($($integer:ty),*) => {$(
        impl From<$integer> for KeyPart<'_> {
            /// A bigint: a double would round large values of the type.
            fn from(integer: $integer) -> Self {
                Self::BigInt(integer.into())
            }
        }
    )*};
}
from_bigint!(u64, u128, usize, i64, i128, isize);
