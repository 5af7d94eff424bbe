//! The whole numbers of any size that a key part can be.
//!
//! Only what a key needs: a sign and a magnitude, an order, ways in and out. Arithmetic is for
//! values (`value::integer`). A magnitude of at most eight bytes, which is nearly every one, is held inline, so
//! that a key like `("log", 1u64)` is built without allocating.
//!
//! Invariant, MINIMAL: equal numbers are held alike. Zero is not negative, eight bytes or less are
//! in a `Word`, and more have no leading zero byte. Equality and encoding rest on it.

use crate::error::{Error, Result};
use std::cmp::Ordering;
use std::fmt;

/// An integer of any size up to 255 bytes: the `bigint` of JavaScript, as a key part, or as a value
/// ([`NewValue::bigint`](crate::NewValue::bigint)).
///
/// ```
/// use kvick::{BigInt, Key};
///
/// let id = BigInt::from_be_bytes(false, b"\x01\0\0\0\0\0\0\0\0")?;
/// assert_eq!(id, BigInt::from(1u128 << 64));
/// assert_eq!(id.to_string(), "18446744073709551616");
/// assert_eq!(Key::from(("id", -5i64)), Key::from(("id", BigInt::from(-5))));
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigInt {
    negative: bool,
    magnitude: Magnitude,
}

/// Big-endian. The shorter form sorts first, so the derived order is that of the numbers, but for
/// two `Long`s of different lengths.
#[derive(Clone, PartialEq, Eq, Hash)]
enum Magnitude {
    Word([u8; 8]),
    Long(Box<[u8]>),
}

impl BigInt {
    /// The longest magnitude that has an encoding, in bytes.
    pub const MAGNITUDE_BYTES_MAX: usize = 255;

    /// The integer with this sign and this magnitude, most significant byte first. Leading zero
    /// bytes are ignored, and zero has no sign.
    ///
    /// # Errors
    ///
    /// [`KeyUnencodable`](crate::ErrorKind::KeyUnencodable) if the magnitude takes more than
    /// [`MAGNITUDE_BYTES_MAX`](Self::MAGNITUDE_BYTES_MAX) bytes (K07).
    pub fn from_be_bytes(negative: bool, magnitude: &[u8]) -> Result<Self> {
        let magnitude = without_leading_zeros(magnitude);
        if magnitude.len() > Self::MAGNITUDE_BYTES_MAX {
            return Err(Error::key_unencodable(
                magnitude.len(),
                Self::MAGNITUDE_BYTES_MAX,
            ));
        }
        let negative = negative && !magnitude.is_empty();
        let mut word = [0; 8];
        let magnitude = if let Some(zeros) = word.len().checked_sub(magnitude.len()) {
            word[zeros..].copy_from_slice(magnitude);
            Magnitude::Word(word)
        } else {
            Magnitude::Long(magnitude.into())
        };
        Ok(Self {
            negative,
            magnitude,
        })
    }

    fn from_u128(negative: bool, magnitude: u128) -> Self {
        let bytes = magnitude.to_be_bytes();
        let magnitude = match u64::try_from(magnitude) {
            Ok(word) => Magnitude::Word(word.to_be_bytes()),
            Err(_) => Magnitude::Long(without_leading_zeros(&bytes).into()),
        };
        Self {
            negative,
            magnitude,
        }
    }

    /// Whether this is less than zero.
    pub fn is_negative(&self) -> bool {
        self.negative
    }

    /// The absolute value, most significant byte first, without leading zero bytes; empty for zero.
    pub fn magnitude(&self) -> &[u8] {
        match &self.magnitude {
            Magnitude::Word(word) => without_leading_zeros(word),
            Magnitude::Long(bytes) => bytes,
        }
    }

    /// This integer as a `u128`, if it fits.
    pub fn to_u128(&self) -> Option<u128> {
        if self.negative {
            None
        } else {
            self.magnitude_u128()
        }
    }

    /// This integer as an `i128`, if it fits.
    pub fn to_i128(&self) -> Option<i128> {
        let magnitude = self.magnitude_u128()?;
        if self.negative {
            0i128.checked_sub_unsigned(magnitude)
        } else {
            magnitude.try_into().ok()
        }
    }

    /// This integer as a `u64`, if it fits.
    pub fn to_u64(&self) -> Option<u64> {
        self.to_u128()?.try_into().ok()
    }

    /// This integer as an `i64`, if it fits.
    pub fn to_i64(&self) -> Option<i64> {
        self.to_i128()?.try_into().ok()
    }

    fn magnitude_u128(&self) -> Option<u128> {
        let magnitude = self.magnitude();
        let mut bytes = [0; 16];
        let zeros = bytes.len().checked_sub(magnitude.len())?;
        bytes[zeros..].copy_from_slice(magnitude);
        Some(u128::from_be_bytes(bytes))
    }
}

fn without_leading_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[zeros..]
}

impl PartialOrd for Magnitude {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Magnitude {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Word(a), Self::Word(b)) => a.cmp(b),
            (Self::Word(_), Self::Long(_)) => Ordering::Less,
            (Self::Long(_), Self::Word(_)) => Ordering::Greater,
            (Self::Long(a), Self::Long(b)) => a.len().cmp(&b.len()).then_with(|| a.cmp(b)),
        }
    }
}

impl PartialOrd for BigInt {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for BigInt {
    /// The order of the numbers.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.magnitude.cmp(&other.magnitude),
            (true, true) => other.magnitude.cmp(&self.magnitude),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

impl fmt::Display for BigInt {
    /// Decimal up to 128 bits, and beyond them hexadecimal after `0x`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.negative {
            f.write_str("-")?;
        }
        if let Some(magnitude) = self.magnitude_u128() {
            write!(f, "{magnitude}")
        } else {
            f.write_str("0x")?;
            let mut bytes = self.magnitude().iter();
            bytes.try_for_each(|byte| write!(f, "{byte:02x}"))
        }
    }
}

impl fmt::Debug for BigInt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}n")
    }
}

macro_rules! from_unsigned {
    ($($integer:ty),*) => {$(
        impl From<$integer> for BigInt {
            fn from(number: $integer) -> Self {
                Self::from_u128(false, number.into())
            }
        }
    )*};
}
from_unsigned!(u8, u16, u32, u64, u128);

macro_rules! from_signed {
    ($($integer:ty),*) => {$(
        impl From<$integer> for BigInt {
            fn from(number: $integer) -> Self {
                Self::from_u128(number < 0, number.unsigned_abs().into())
            }
        }
    )*};
}
from_signed!(i8, i16, i32, i64, i128);

impl From<usize> for BigInt {
    fn from(number: usize) -> Self {
        // No platform has a wider usize.
        Self::from_u128(false, number as u128)
    }
}

impl From<isize> for BigInt {
    fn from(number: isize) -> Self {
        Self::from_u128(number < 0, number.unsigned_abs() as u128)
    }
}
