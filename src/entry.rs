//! What a read gives back.

use crate::engine::read::{Found, Hit};
use crate::key::{BigInt, Key};
use crate::moment::TimeLeft;
use crate::value::{Value, ValueRef};
use crate::version::Versionstamp;
use std::fmt;
use std::time::Duration;

/// A key as a read found it: with a value and its version, or missing.
///
/// That a key is missing is something a read can find, and keep: an entry always has its key, so
/// [`check`](crate::AtomicOp::check) protects what was read whether it was there or not.
/// A value says nothing about that: absence is told by the lack of a versionstamp alone (V02), or,
/// in a transaction, which sees what it is about to write, by [`exists`](Self::exists).
///
/// ```
/// let kv = kvick::Kv::new();
/// kv.set(("account", "alice"), 100u64)?;
///
/// let alice = kv.get(("account", "alice"))?;
/// assert_eq!(alice.as_u64(), Some(100));
/// let bob = kv.get(("account", "bob"))?;
/// assert!(bob.is_missing());
/// // The commit takes effect only if both are still as they were read.
/// let outcome = kv.atomic().check(&alice).check(&bob).set(("account", "bob"), 1u64).commit()?;
/// assert!(outcome.is_committed());
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone)]
pub struct Entry {
    key: Key,
    value: Option<Value>,
    versionstamp: Option<Versionstamp>,
    expires_in: TimeLeft,
}

impl Entry {
    pub(crate) fn new(key: Key, hit: Option<Hit<'_>>) -> Self {
        Self::found(key, hit.map(Hit::to_owned))
    }

    pub(crate) fn found(key: Key, found: Option<Found>) -> Self {
        match found {
            Some((value, stamp, left)) => {
                Self::from_parts(key, Some(value), Some(stamp.into()), left)
            }
            None => Self::from_parts(key, None, None, TimeLeft::FOREVER),
        }
    }

    pub(crate) fn from_parts(
        key: Key,
        value: Option<Value>,
        versionstamp: Option<Versionstamp>,
        expires_in: TimeLeft,
    ) -> Self {
        Self {
            key,
            value,
            versionstamp,
            expires_in,
        }
    }

    /// The key that was asked for.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The value, unless the key is missing.
    pub fn value(&self) -> Option<&Value> {
        self.value.as_ref()
    }

    /// The version of the entry, unless the key is missing.
    ///
    /// In a transaction, an entry that the transaction itself has written has the version that was
    /// there before, if any, because its own is not minted yet. One that was loaded and is not stored,
    /// because the key was deleted [meanwhile](crate::Kv::get_or_load), has none.
    pub fn versionstamp(&self) -> Option<Versionstamp> {
        self.versionstamp
    }

    /// How long the entry still had when it was read, if it expires: what
    /// [`NewValue::expire_in`](crate::NewValue::expire_in) gave it, less what has passed since. In a
    /// snapshot, when that was opened. A client (feature `denokv`) is not told, and says `None`.
    pub fn expires_in(&self) -> Option<Duration> {
        self.expires_in.get()
    }

    /// Whether the key was there.
    pub fn exists(&self) -> bool {
        self.value.is_some()
    }

    /// Whether the key was not there.
    pub fn is_missing(&self) -> bool {
        self.value.is_none()
    }

    /// The number, of an entry whose value is a `u64`.
    pub fn as_u64(&self) -> Option<u64> {
        self.value()?.as_u64()
    }

    /// The serialised bytes, of an entry whose value is of the kind V8.
    pub fn as_v8(&self) -> Option<&[u8]> {
        self.value()?.as_v8()
    }

    /// The number of JavaScript, of an entry whose value is one.
    pub fn as_number(&self) -> Option<f64> {
        self.value()?.as_number()
    }

    /// The bigint of JavaScript, of an entry whose value is one, as [`ValueRef::as_bigint`] reads
    /// it.
    pub fn as_bigint(&self) -> Option<BigInt> {
        self.value()?.as_bigint()
    }

    /// The bytes, of an entry whose value is bytes.
    pub fn as_bytes(&self) -> Option<&[u8]> {
        self.value()?.as_bytes()
    }

    /// The text, of an entry whose value is bytes that are UTF-8.
    pub fn as_str(&self) -> Option<&str> {
        self.value()?.as_str()
    }

    /// The value by itself, unless the key is missing.
    pub fn into_value(self) -> Option<Value> {
        self.value
    }
}

impl PartialEq for Entry {
    /// Whether both are the same version of the same key, with the same value; how long that still
    /// had when it was read makes no difference.
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
            && self.value == other.value
            && self.versionstamp == other.versionstamp
    }
}

impl Eq for Entry {}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut entry = f.debug_struct("Entry");
        entry.field("key", &self.key);
        if let Some(value) = &self.value {
            entry.field("value", value);
        }
        if let Some(versionstamp) = &self.versionstamp {
            entry.field("versionstamp", versionstamp);
        }
        if let Some(left) = self.expires_in() {
            entry.field("expires_in", &left);
        }
        entry.finish()
    }
}

/// An entry where it lies in the engine, shown to a closure without a copy.
#[derive(Clone, Copy)]
pub struct EntryRef<'a> {
    key: &'a [u8],
    hit: Hit<'a>,
}

impl<'a> EntryRef<'a> {
    pub(crate) fn new(key: &'a [u8], hit: Hit<'a>) -> Self {
        Self { key, hit }
    }

    /// The encoded key.
    #[inline]
    pub fn key_bytes(self) -> &'a [u8] {
        self.key
    }

    /// The key, copied.
    pub fn key(self) -> Key {
        Key::raw(self.key)
    }

    /// The value.
    #[inline]
    pub fn value(self) -> ValueRef<'a> {
        self.hit.view()
    }

    /// The version.
    #[inline]
    pub fn versionstamp(self) -> Versionstamp {
        self.hit.stamp().into()
    }

    /// How long the entry still has, if it expires.
    pub fn expires_in(self) -> Option<Duration> {
        self.hit.time_left().get()
    }

    /// The number, of an entry whose value is a `u64`.
    #[inline]
    pub fn as_u64(self) -> Option<u64> {
        self.value().as_u64()
    }

    /// The serialised bytes, of an entry whose value is of the kind V8.
    pub fn as_v8(self) -> Option<&'a [u8]> {
        self.value().as_v8()
    }

    /// The number of JavaScript, of an entry whose value is one.
    pub fn as_number(self) -> Option<f64> {
        self.value().as_number()
    }

    /// The bigint of JavaScript, of an entry whose value is one, as [`ValueRef::as_bigint`] reads
    /// it.
    pub fn as_bigint(self) -> Option<BigInt> {
        self.value().as_bigint()
    }

    /// The bytes, of an entry whose value is bytes.
    #[inline]
    pub fn as_bytes(self) -> Option<&'a [u8]> {
        self.hit.as_bytes()
    }

    /// The text, of an entry whose value is bytes that are UTF-8.
    #[inline]
    pub fn as_str(self) -> Option<&'a str> {
        str::from_utf8(self.as_bytes()?).ok()
    }

    /// The entry, to keep.
    pub fn to_entry(self) -> Entry {
        Entry::new(self.key(), Some(self.hit))
    }
}

impl fmt::Debug for EntryRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EntryRef")
            .field("key", &self.key())
            .field("value", &self.value())
            .field("versionstamp", &self.versionstamp())
            .finish()
    }
}
