//! What converts into a [`Key`]: single parts, tuples, arrays, slices of parts.
//!
//! Each part is borrowed as a [`KeyPart`] for as long as it takes to encode it, so none of these
//! copies text or bytes on the way.

use super::Key;
use super::bigint::BigInt;
use super::encoder::Encoder;
use super::part::KeyPart;
use crate::version::Versionstamp;
use bytes::Bytes;

macro_rules! from_part {
    ($($part:ty),* $(,)?) => {$(
        impl From<$part> for Key {
            /// The key of this one part.
            fn from(part: $part) -> Self {
                Self::from_parts([part])
            }
        }
    )*};
}
from_part!(&str, String, &String, bool, f32, f64);
from_part!(
    u8, u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize
);
from_part!(
    &[u8],
    Vec<u8>,
    &Vec<u8>,
    Bytes,
    &Bytes,
    BigInt,
    Versionstamp,
    KeyPart<'_>,
    &KeyPart<'_>
);

impl<const N: usize> From<&[u8; N]> for Key {
    /// The key of this one part.
    fn from(bytes: &[u8; N]) -> Self {
        Self::from_parts([bytes])
    }
}

impl<const N: usize> From<[u8; N]> for Key {
    /// The key of one part of bytes, which is what a byte string is; not a tuple of numbers.
    fn from(bytes: [u8; N]) -> Self {
        Self::from(&bytes)
    }
}

macro_rules! from_array {
    ($($part:ty),* $(,)?) => {$(
        impl<const N: usize> From<[$part; N]> for Key {
            /// The key of these parts.
            fn from(parts: [$part; N]) -> Self {
                Self::from_parts(parts)
            }
        }
    )*};
}
// All but u8, which is above.
from_array!(&str, String, &String, bool, f32, f64);
from_array!(u16, u32, u64, u128, usize, i8, i16, i32, i64, i128, isize);
from_array!(
    &[u8],
    Vec<u8>,
    &Vec<u8>,
    Bytes,
    &Bytes,
    BigInt,
    Versionstamp,
    KeyPart<'_>,
    &KeyPart<'_>
);

impl From<Vec<KeyPart<'_>>> for Key {
    /// The key of these parts.
    fn from(parts: Vec<KeyPart<'_>>) -> Self {
        Self::from_parts(&parts)
    }
}

impl From<&[KeyPart<'_>]> for Key {
    /// The key of these parts.
    fn from(parts: &[KeyPart<'_>]) -> Self {
        Self::from_parts(parts)
    }
}

impl From<&Self> for Key {
    fn from(key: &Self) -> Self {
        key.clone()
    }
}

impl From<()> for Key {
    /// The empty key.
    fn from((): ()) -> Self {
        Self::default()
    }
}

macro_rules! from_tuple {
    ($($lifetime:lifetime $part:ident $index:tt),+) => {
        impl<$($lifetime,)+ $($part: Into<KeyPart<$lifetime>>),+> From<($($part,)+)> for Key {
            /// The key of these parts.
            #[inline]
            fn from(parts: ($($part,)+)) -> Self {
                let mut encoder = Encoder::new();
                $(encoder.part(&parts.$index.into());)+
                encoder.finish()
            }
        }
    };
}
from_tuple!('a A 0);
from_tuple!('a A 0, 'b B 1);
from_tuple!('a A 0, 'b B 1, 'c C 2);
from_tuple!('a A 0, 'b B 1, 'c C 2, 'd D 3);
from_tuple!('a A 0, 'b B 1, 'c C 2, 'd D 3, 'e E 4);
from_tuple!('a A 0, 'b B 1, 'c C 2, 'd D 3, 'e E 4, 'f F 5);
from_tuple!('a A 0, 'b B 1, 'c C 2, 'd D 3, 'e E 4, 'f F 5, 'g G 6);
from_tuple!('a A 0, 'b B 1, 'c C 2, 'd D 3, 'e E 4, 'f F 5, 'g G 6, 'h H 7);
