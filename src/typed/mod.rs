//! Typed values: whatever serialises, stored as V8 stores the same value of JavaScript.
//!
//! A codec over the bytes, in both directions, with nothing in between: `ser` and `nested` write,
//! `de`, `access`, `property` and `error_item` read, each by way of serde. Below them `input` reads
//! the bytes item by item, `walk` goes over what nobody wants, and `tag` is the format. The same
//! bytes are what Deno reads and writes, and Node; docs/semantics.md has the table of types.
//!
//! Whatever the bytes are, reading them ends in a value or an error: depth is bounded, no length is
//! believed, and what references and holes stand for beyond the bytes is bounded too.

mod access;
mod de;
mod error_item;
mod fault;
mod head;
mod holes;
mod input;
pub mod js;
mod nested;
mod output;
mod property;
mod scalar;
mod ser;
mod tag;
mod walk;

use crate::entry::{Entry, EntryRef};
use crate::error::Result;
use crate::key::Key;
use crate::kv::Kv;
use crate::value::{NewValue, Value, ValueRef};
use crate::version::Versionstamp;
use serde::de::{Deserialize, DeserializeOwned};
use serde::ser::Serialize;

impl NewValue<'_> {
    /// Any value that serialises, as V8 stores the same value of JavaScript: of the kind
    /// [`V8`](crate::ValueKind::V8), whatever the type. With the feature `serde`.
    ///
    /// ```
    /// use kvick::NewValue;
    ///
    /// let kv = kvick::Kv::new();
    /// let mut order = kv.atomic();
    /// order
    ///     .check_absent(("order", 7))
    ///     .set(("order", 7), NewValue::serialize(&["tea", "milk"])?)
    ///     .sum("orders", 1);
    /// assert!(order.commit()?.is_committed());
    /// assert_eq!(kv.get_as(("order", 7))?, Some(("tea".to_owned(), "milk".to_owned())));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `ValueUnencodable` if the type refuses, or nests deeper than 128 levels. Whether the value is
    /// too large is found when it is written.
    pub fn serialize<T: Serialize + ?Sized>(value: &T) -> Result<NewValue<'static>> {
        let bytes = ser::write(value)?;
        Ok(Value::V8(bytes.into()).into())
    }
}

impl<'a> ValueRef<'a> {
    /// The value as a type, which may borrow text and bytes from it. With the feature `serde`.
    ///
    /// A number of the kind [`U64`](crate::ValueKind::U64) reads as what takes numbers, a value of
    /// the kind [`Bytes`](crate::ValueKind::Bytes) as what takes bytes, sequences of `u8`, or, if it
    /// is UTF-8, strings.
    ///
    /// # Errors
    ///
    /// `TypeMismatch` if the value is something else than the type takes, with the place of that;
    /// `ValueUndecodable` if the bytes are not what V8 writes, or stand for more than may be read:
    /// more than 128 levels, or many more elements than bytes.
    pub fn to<T: Deserialize<'a>>(self) -> Result<T> {
        Ok(de::read(self)?)
    }
}

impl Value {
    /// The value as a type: see [`ValueRef::to`]. With the feature `serde`.
    ///
    /// ```
    /// use kvick::{NewValue, Value};
    ///
    /// let value = Value::from(NewValue::serialize(&("tea", 2.5))?);
    /// assert_eq!(value.to::<(&str, f64)>()?, ("tea", 2.5));
    /// assert_eq!(Value::from(7u64).to::<u8>()?, 7);
    /// assert_eq!(Value::from("tea").to::<String>()?, "tea");
    ///
    /// let error = value.to::<(String, u32)>().unwrap_err();
    /// let text = "value does not fit the type: expected u32, found the number 2.5 at [1] (byte 9)";
    /// assert_eq!(error.to_string(), text);
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`ValueRef::to`].
    pub fn to<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        self.as_ref().to()
    }
}

impl Entry {
    /// The value as a type, unless the key is missing: see [`ValueRef::to`]. With the feature
    /// `serde`.
    ///
    /// A value that reads as nothing is there all the same (V02): as an `Option`, `null` is
    /// `Some(None)`.
    ///
    /// ```
    /// let kv = kvick::Kv::new();
    /// kv.set_as("nothing", &())?;
    /// assert_eq!(kv.get("nothing")?.to::<Option<String>>()?, Some(None));
    /// assert_eq!(kv.get("missing")?.to::<Option<String>>()?, None);
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`ValueRef::to`].
    pub fn to<'a, T: Deserialize<'a>>(&'a self) -> Result<Option<T>> {
        self.value().map(Value::to).transpose()
    }
}

impl<'a> EntryRef<'a> {
    /// The value as a type: see [`ValueRef::to`]. With the feature `serde`.
    ///
    /// # Errors
    ///
    /// Those of [`ValueRef::to`].
    pub fn to<T: Deserialize<'a>>(self) -> Result<T> {
        self.value().to()
    }
}

impl Kv {
    /// Reads one key as a type, where the value lies: nothing is copied but what the type owns. With
    /// the feature `serde`.
    ///
    /// `None` means that the key is missing. To have the version as well, or to check it, read the
    /// entry and ask it: [`Entry::to`]; so too where to read the type takes long, for the reason that
    /// [`with_entry`](Self::with_entry) gives.
    ///
    /// ```
    /// let kv = kvick::Kv::new();
    /// kv.set_as(("user", 7), &[("name", "Ann"), ("city", "Oslo")])?;
    /// let user: Option<Vec<(String, String)>> = kv.get_as(("user", 7))?;
    /// assert_eq!(user.unwrap()[1].1, "Oslo");
    /// assert_eq!(kv.get_as::<String>("nobody")?, None);
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `KeyTooLarge`; `Closed`; those of [`ValueRef::to`].
    pub fn get_as<T: DeserializeOwned>(&self, key: impl Into<Key>) -> Result<Option<T>> {
        self.with_entry(key, |entry| entry.map(EntryRef::to).transpose())?
    }

    /// Sets a key to any value that serialises: see [`NewValue::serialize`]. The version that the
    /// entry has now. With the feature `serde`.
    ///
    /// # Errors
    ///
    /// `ValueUnencodable`; those of [`set`](Self::set). Nothing has changed then.
    pub fn set_as<T: Serialize + ?Sized>(
        &self,
        key: impl Into<Key>,
        value: &T,
    ) -> Result<Versionstamp> {
        self.set(key, NewValue::serialize(value)?)
    }
}
