//! Values: what a key names.
//!
//! Three types for three moments: a [`Value`] is owned and cheap to clone, a [`ValueRef`] borrows
//! one that the engine holds, and a [`NewValue`] is on its way in and may be either. The engine
//! copies a small new value once, into its own memory, and shares a large one that it is given
//! whole; so nothing here copies bytes unless its name says so.
//!
//! A value is of one of three kinds, which Deno tells apart. The bytes of a V8 value are carried
//! as they are (V01); only who asks for what is in them, or adds to it, has them looked into.

pub(crate) mod integer;
pub(crate) mod v8;

use crate::expiry::Expiry;
use crate::key::BigInt;
use bytes::Bytes;
use integer::Integer;
use std::fmt;
use std::time::Duration;
use v8::{NUMBER_BYTES, Scalar};

/// The kinds of value, which Deno KV tells apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValueKind {
    /// Bytes; a `Uint8Array` in JavaScript. Text is stored as its UTF-8 bytes.
    Bytes,
    /// An unsigned 64-bit integer, which `sum`, `min` and `max` work on; a `Deno.KvU64`.
    U64,
    /// A JavaScript value as V8 serialised it. One that is a number or a bigint can be made and
    /// read here as well, and added to.
    V8,
}

/// A value. Cloning it shares its bytes.
///
/// ```
/// use kvick::{Value, ValueKind};
///
/// let value = Value::from("hello");
/// assert_eq!(value.kind(), ValueKind::Bytes);
/// assert_eq!(value.as_str(), Some("hello"));
/// assert_eq!(value.as_u64(), None);
/// assert_eq!(format!("{value:?}"), "Bytes(5 bytes)");
/// ```
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Value {
    /// Of the kind [`ValueKind::Bytes`].
    Bytes(Bytes),
    /// Of the kind [`ValueKind::U64`].
    U64(u64),
    /// Of the kind [`ValueKind::V8`].
    V8(Bytes),
}

/// A value that is borrowed, in most cases from the engine itself.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub enum ValueRef<'a> {
    /// Of the kind [`ValueKind::Bytes`].
    Bytes(&'a [u8]),
    /// Of the kind [`ValueKind::U64`].
    U64(u64),
    /// Of the kind [`ValueKind::V8`].
    V8(&'a [u8]),
}

/// A value to write: borrowed, or owned and then shared where it is large.
///
/// Nobody needs to name it. What takes a value takes whatever converts into this: text and bytes,
/// borrowed or owned, which become [`Bytes`](ValueKind::Bytes); a `u64`, which becomes
/// [`U64`](ValueKind::U64); an `f64` or a [`BigInt`], which become the number or the bigint of
/// JavaScript, both [`V8`](ValueKind::V8); a [`Value`] or [`ValueRef`] as it is. Other integers do
/// not convert, because which kind is meant would be a guess.
///
/// It also says how long it is to stay: until it is changed, unless
/// [`expire_in`](Self::expire_in) or [`keep_expiry`](Self::keep_expiry) say otherwise.
///
/// ```
/// use kvick::{NewValue, ValueKind};
///
/// assert_eq!(NewValue::from("text").kind(), ValueKind::Bytes);
/// assert_eq!(NewValue::from(100u64).kind(), ValueKind::U64);
/// assert_eq!(NewValue::v8(b"\xff\x0f0").kind(), ValueKind::V8);
/// assert_eq!(NewValue::from(100u64).encoded_len(), 8);
/// ```
#[derive(Clone)]
pub struct NewValue<'a> {
    /// Of the bytes; a number says so itself.
    is_v8: bool,
    expiry: Expiry,
    data: Data<'a>,
}

#[derive(Clone)]
enum Data<'a> {
    Small(Small),
    Borrowed(&'a [u8]),
    Owned(Bytes),
}

/// Apart, because three kinds are told apart by comparisons, and four by a jump.
#[derive(Clone)]
enum Small {
    Number(u64),
    /// A number of JavaScript, serialised.
    Double([u8; NUMBER_BYTES]),
}

/// What a value of each kind counts to the limits as: the bytes of its encoding.
const U64_BYTES: usize = size_of::<u64>();

impl<'a> ValueRef<'a> {
    /// The kind.
    pub fn kind(self) -> ValueKind {
        match self {
            Self::Bytes(_) => ValueKind::Bytes,
            Self::U64(_) => ValueKind::U64,
            Self::V8(_) => ValueKind::V8,
        }
    }

    /// The bytes, of a value of the kind [`ValueKind::Bytes`].
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        if let Self::Bytes(bytes) = self {
            Some(bytes)
        } else {
            None
        }
    }

    /// The text, of a value of the kind [`ValueKind::Bytes`] that is UTF-8.
    pub fn as_str(self) -> Option<&'a str> {
        str::from_utf8(self.as_bytes()?).ok()
    }

    /// The number, of a value of the kind [`ValueKind::U64`].
    pub fn as_u64(self) -> Option<u64> {
        if let Self::U64(number) = self {
            Some(number)
        } else {
            None
        }
    }

    /// The serialised bytes, of a value of the kind [`ValueKind::V8`].
    pub fn as_v8(self) -> Option<&'a [u8]> {
        if let Self::V8(bytes) = self {
            Some(bytes)
        } else {
            None
        }
    }

    /// The number of JavaScript, of a value of the kind [`ValueKind::V8`] that is one.
    ///
    /// ```
    /// use kvick::ValueRef;
    ///
    /// // As V8 writes 21: a small integer, and a double.
    /// assert_eq!(ValueRef::V8(b"\xff\x0fI\x2a").as_number(), Some(21.0));
    /// assert_eq!(ValueRef::V8(b"\xff\x0fN\0\0\0\0\0\0\x35\x40").as_number(), Some(21.0));
    /// assert_eq!(ValueRef::U64(21).as_number(), None);
    /// ```
    pub fn as_number(self) -> Option<f64> {
        match Scalar::parse(self.as_v8()?)? {
            Scalar::Number(number) => Some(number),
            Scalar::BigInt(_) => None,
        }
    }

    /// The bigint of JavaScript, of a value of the kind [`ValueKind::V8`] that is one and has at
    /// most [`BigInt::MAGNITUDE_BYTES_MAX`] bytes of magnitude. A longer one can be stored and
    /// added to, but not be read here.
    pub fn as_bigint(self) -> Option<BigInt> {
        match Scalar::parse(self.as_v8()?)? {
            Scalar::Number(_) => None,
            Scalar::BigInt(integer) => {
                let magnitude = integer.magnitude();
                let mut bytes = [0; BigInt::MAGNITUDE_BYTES_MAX];
                let bytes = bytes.get_mut(..magnitude.len())?;
                bytes.copy_from_slice(magnitude);
                bytes.reverse();
                BigInt::from_be_bytes(integer.is_negative(), bytes).ok()
            }
        }
    }

    /// The length in bytes; 8 for a `u64`.
    pub fn len(self) -> usize {
        match self {
            Self::Bytes(bytes) | Self::V8(bytes) => bytes.len(),
            Self::U64(_) => U64_BYTES,
        }
    }

    /// Whether the length is 0.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// A copy that owns its bytes.
    pub fn to_owned(self) -> Value {
        match self {
            Self::Bytes(bytes) => Value::Bytes(Bytes::copy_from_slice(bytes)),
            Self::U64(number) => Value::U64(number),
            Self::V8(bytes) => Value::V8(Bytes::copy_from_slice(bytes)),
        }
    }
}

impl Value {
    /// This value, borrowed.
    pub fn as_ref(&self) -> ValueRef<'_> {
        match self {
            Self::Bytes(bytes) => ValueRef::Bytes(bytes),
            Self::U64(number) => ValueRef::U64(*number),
            Self::V8(bytes) => ValueRef::V8(bytes),
        }
    }

    /// The kind.
    pub fn kind(&self) -> ValueKind {
        self.as_ref().kind()
    }

    /// The bytes, of a value of the kind [`ValueKind::Bytes`].
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.as_ref().as_bytes()
    }

    /// The text, of a value of the kind [`ValueKind::Bytes`] that is UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.as_ref().as_str()
    }

    /// The number, of a value of the kind [`ValueKind::U64`].
    pub fn as_u64(&self) -> Option<u64> {
        self.as_ref().as_u64()
    }

    /// The serialised bytes, of a value of the kind [`ValueKind::V8`].
    pub fn as_v8(&self) -> Option<&[u8]> {
        self.as_ref().as_v8()
    }

    /// The number of JavaScript, of a value of the kind [`ValueKind::V8`] that is one.
    pub fn as_number(&self) -> Option<f64> {
        self.as_ref().as_number()
    }

    /// The bigint of JavaScript, as [`ValueRef::as_bigint`] reads it.
    pub fn as_bigint(&self) -> Option<BigInt> {
        self.as_ref().as_bigint()
    }

    /// The length in bytes; 8 for a `u64`.
    pub fn len(&self) -> usize {
        self.as_ref().len()
    }

    /// Whether the length is 0.
    pub fn is_empty(&self) -> bool {
        self.as_ref().is_empty()
    }
}

impl<'a> NewValue<'a> {
    /// A JavaScript value as V8 serialised it, borrowed. It is stored as it is. If you own the
    /// bytes, give a [`Value::V8`] instead.
    pub fn v8(bytes: &'a [u8]) -> Self {
        ValueRef::V8(bytes).into()
    }

    /// A number of JavaScript, as V8 serialises a double.
    ///
    /// ```
    /// use kvick::{Kv, NewValue};
    ///
    /// let kv = Kv::new();
    /// kv.set("temperature", NewValue::number(21.5))?;
    /// assert_eq!(kv.get("temperature")?.as_number(), Some(21.5));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    pub fn number(number: f64) -> Self {
        Self {
            is_v8: true,
            expiry: Expiry::default(),
            data: Data::Small(Small::Double(v8::encode_number(number))),
        }
    }

    /// A bigint of JavaScript, as V8 serialises it.
    ///
    /// ```
    /// use kvick::{BigInt, Kv, NewValue};
    ///
    /// let kv = Kv::new();
    /// kv.set("debt", NewValue::bigint(-1i128 << 100))?;
    /// assert_eq!(kv.get("debt")?.as_bigint(), Some(BigInt::from(-1i128 << 100)));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    pub fn bigint(bigint: impl Into<BigInt>) -> Self {
        let bigint = bigint.into();
        let mut magnitude = [0; BigInt::MAGNITUDE_BYTES_MAX];
        let magnitude = &mut magnitude[..bigint.magnitude().len()];
        magnitude.copy_from_slice(bigint.magnitude());
        magnitude.reverse();
        let integer = Integer::new(bigint.is_negative(), magnitude);
        let mut encoded = Vec::with_capacity(v8::bigint_bytes(integer));
        v8::encode_bigint(integer, &mut encoded);
        Value::V8(encoded.into()).into()
    }

    /// This value, borrowed.
    #[inline]
    pub fn as_ref(&self) -> ValueRef<'_> {
        let bytes = match &self.data {
            Data::Small(Small::Number(number)) => return ValueRef::U64(*number),
            Data::Small(Small::Double(bytes)) => &bytes[..],
            Data::Borrowed(bytes) => bytes,
            Data::Owned(bytes) => &bytes[..],
        };
        if self.is_v8 {
            ValueRef::V8(bytes)
        } else {
            ValueRef::Bytes(bytes)
        }
    }

    /// The kind.
    pub fn kind(&self) -> ValueKind {
        self.as_ref().kind()
    }

    /// The bytes that this counts to the limits as; 8 for a `u64`.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        match &self.data {
            Data::Small(Small::Number(_)) => U64_BYTES,
            Data::Small(Small::Double(bytes)) => bytes.len(),
            Data::Borrowed(bytes) => bytes.len(),
            Data::Owned(bytes) => bytes.len(),
        }
    }

    /// The same value, borrowing from nothing. Copies the bytes only if they are borrowed.
    pub fn into_owned(self) -> NewValue<'static> {
        let expiry = self.expiry;
        NewValue {
            expiry,
            ..Value::from(self).into()
        }
    }

    /// To be gone from the first moment that is so much later than the commit, by the engine's clock
    /// (T01, T02). It is never gone earlier, and from that moment on nobody sees it: no read, list,
    /// check, sum or watch. In the background, within some 100 milliseconds unless a great deal expires at
    /// once, it is deleted: then watchers are told, and its memory is freed, if no snapshot sees it.
    ///
    /// A later write to the key replaces this, also by none (T03); reading does not prolong it.
    /// [`Kv::touch`](crate::Kv::touch) changes it without the value. After no time at all, the commit
    /// takes effect, and whoever reads later finds nothing (T04).
    ///
    /// What sets the value fails with `InvalidExpiry` where the time is longer than
    /// 8,200,000,000,000,000 milliseconds, some 260,000 years.
    ///
    /// ```
    /// use kvick::{Kv, ManualClock, NewValue};
    /// use std::sync::Arc;
    /// use std::time::Duration;
    ///
    /// let clock = Arc::new(ManualClock::default());
    /// let kv = Kv::builder().clock(clock.clone()).build();
    /// let minute = Duration::from_secs(60);
    /// kv.set(("session", "alice"), NewValue::from("token").expire_in(minute))?;
    /// assert_eq!(kv.get(("session", "alice"))?.expires_in(), Some(minute));
    /// clock.advance(minute);
    /// assert!(kv.get(("session", "alice"))?.is_missing());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    #[must_use]
    pub fn expire_in(mut self, after: Duration) -> Self {
        self.expiry = Expiry::after(Some(after));
        self
    }

    /// To expire when the entry that it replaces would have; never, where that never would, or where
    /// there is none (X04).
    #[must_use]
    pub fn keep_expiry(mut self) -> Self {
        self.expiry = Expiry::KEEP;
        self
    }

    /// The same value, to stay for so long.
    pub(crate) fn with_expiry(self, expiry: Expiry) -> Self {
        Self { expiry, ..self }
    }

    /// How long it is to stay.
    #[inline]
    pub(crate) fn expiry(&self) -> Expiry {
        self.expiry
    }

    /// The bytes, if they are owned, to be shared instead of copied.
    pub(crate) fn shared_bytes(&self) -> Option<&Bytes> {
        match &self.data {
            Data::Owned(bytes) => Some(bytes),
            Data::Small(_) | Data::Borrowed(_) => None,
        }
    }
}

impl<'a> From<ValueRef<'a>> for NewValue<'a> {
    fn from(value: ValueRef<'a>) -> Self {
        let (is_v8, data) = match value {
            ValueRef::Bytes(bytes) => (false, Data::Borrowed(bytes)),
            ValueRef::U64(number) => (false, Data::Small(Small::Number(number))),
            ValueRef::V8(bytes) => (true, Data::Borrowed(bytes)),
        };
        let expiry = Expiry::default();
        Self {
            is_v8,
            expiry,
            data,
        }
    }
}

impl From<Value> for NewValue<'_> {
    fn from(value: Value) -> Self {
        let (is_v8, data) = match value {
            Value::Bytes(bytes) => (false, Data::Owned(bytes)),
            Value::U64(number) => (false, Data::Small(Small::Number(number))),
            Value::V8(bytes) => (true, Data::Owned(bytes)),
        };
        let expiry = Expiry::default();
        Self {
            is_v8,
            expiry,
            data,
        }
    }
}

impl From<&Value> for NewValue<'_> {
    /// Shares the bytes.
    fn from(value: &Value) -> Self {
        value.clone().into()
    }
}

macro_rules! from_borrowed {
    ($($borrowed:ty => $bytes:ident.$as_bytes:ident()),* $(,)?) => {$(
        impl<'a> From<&'a $borrowed> for NewValue<'a> {
            fn from($bytes: &'a $borrowed) -> Self {
                ValueRef::Bytes($bytes.$as_bytes()).into()
            }
        }
    )*};
}
from_borrowed!(str => text.as_bytes(), String => text.as_bytes());
from_borrowed!([u8] => bytes.as_ref(), Vec<u8> => bytes.as_ref());

impl<'a, const N: usize> From<&'a [u8; N]> for NewValue<'a> {
    fn from(bytes: &'a [u8; N]) -> Self {
        ValueRef::Bytes(bytes).into()
    }
}

impl From<&Bytes> for NewValue<'_> {
    /// Shares the bytes.
    fn from(bytes: &Bytes) -> Self {
        bytes.clone().into()
    }
}

macro_rules! from_owned {
    ($($owned:ty),*) => {$(
        impl From<$owned> for Value {
            fn from(bytes: $owned) -> Self {
                Self::Bytes(bytes.into())
            }
        }

        impl From<$owned> for NewValue<'_> {
            fn from(bytes: $owned) -> Self {
                Value::from(bytes).into()
            }
        }
    )*};
}
from_owned!(String, Vec<u8>, Bytes);

impl From<u64> for NewValue<'_> {
    fn from(number: u64) -> Self {
        ValueRef::U64(number).into()
    }
}

impl From<f64> for NewValue<'_> {
    /// [`NewValue::number`].
    fn from(number: f64) -> Self {
        Self::number(number)
    }
}

impl From<BigInt> for NewValue<'_> {
    /// [`NewValue::bigint`].
    fn from(bigint: BigInt) -> Self {
        Self::bigint(bigint)
    }
}

impl From<u64> for Value {
    fn from(number: u64) -> Self {
        Self::U64(number)
    }
}

impl From<&str> for Value {
    /// Copies the text.
    fn from(text: &str) -> Self {
        ValueRef::Bytes(text.as_bytes()).to_owned()
    }
}

impl From<&[u8]> for Value {
    /// Copies the bytes.
    fn from(bytes: &[u8]) -> Self {
        ValueRef::Bytes(bytes).to_owned()
    }
}

impl From<NewValue<'_>> for Value {
    /// Copies the bytes only if they are borrowed.
    fn from(value: NewValue<'_>) -> Self {
        match value.data {
            Data::Owned(bytes) if value.is_v8 => Self::V8(bytes),
            Data::Owned(bytes) => Self::Bytes(bytes),
            Data::Small(_) | Data::Borrowed(_) => value.as_ref().to_owned(),
        }
    }
}

impl PartialEq for NewValue<'_> {
    /// Whether the values are equal, borrowed or owned, and are to stay as long.
    fn eq(&self, other: &Self) -> bool {
        self.as_ref() == other.as_ref() && self.expiry == other.expiry
    }
}

impl Eq for NewValue<'_> {}

// Values may be secret and may be huge: only their kind and size are shown.
impl fmt::Debug for ValueRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::U64(number) => write!(f, "U64({number})"),
            Self::V8(bytes) => write!(f, "V8({} bytes)", bytes.len()),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

impl fmt::Debug for NewValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_ref().fmt(f)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
