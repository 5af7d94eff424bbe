//! Values of JavaScript that Rust has no type for.
//!
//! They serialise as newtypes, so that other formats see only what is in them.

use serde::de::{Deserialize, Deserializer};
use serde::ser::{Serialize, Serializer};

/// The names by which [`Serializer`](super::ser::Serializer) knows them, which are no identifiers
/// of Rust, so that no derived type has them.
pub(super) const DATE: &str = "kvick js::Date";
pub(super) const SET: &str = "kvick js::Set";

/// A `Date`: milliseconds since 1970 began in UTC.
///
/// Where a type has a number, a `Date` reads as its milliseconds; to write one takes this.
///
/// ```
/// use kvick::js::Date;
/// use std::time::{Duration, UNIX_EPOCH};
///
/// let kv = kvick::Kv::new();
/// kv.set_as("founded", &Date(1_000.0))?;
/// assert_eq!(kv.get_as::<Date>("founded")?, Some(Date(1_000.0)));
/// assert_eq!(kv.get_as::<u64>("founded")?, Some(1_000));
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
pub struct Date(
    /// JavaScript has whole ones of up to 8.64e15 on either side, and NaN for an invalid date.
    pub f64,
);

/// A `Set`, of what the collection in it has.
///
/// Collections are written as arrays unless they are in one of these. Read, a `Set` fits whatever
/// takes a sequence, so only writing takes this.
///
/// ```
/// use kvick::js::Set;
/// use std::collections::BTreeSet;
///
/// let kv = kvick::Kv::new();
/// kv.set_as("tags", &Set(["red", "green"]))?;
/// let tags: Option<BTreeSet<String>> = kv.get_as("tags")?;
/// assert_eq!(tags, Some(["green".to_owned(), "red".to_owned()].into()));
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<C>(
    /// What serialises as a sequence. JavaScript leaves out elements that are equal to an earlier one.
    pub C,
);

impl Serialize for Date {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(DATE, &self.0)
    }
}

impl<'de> Deserialize<'de> for Date {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        f64::deserialize(deserializer).map(Self)
    }
}

impl<C: Serialize> Serialize for Set<C> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_newtype_struct(SET, &self.0)
    }
}

impl<'de, C: Deserialize<'de>> Deserialize<'de> for Set<C> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        C::deserialize(deserializer).map(Self)
    }
}
