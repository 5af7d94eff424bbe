//! Any value that serde can carry, as data: what is written, and what that reads as.

use kvick::js;
use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum JsValue {
    Nothing,
    Bool(bool),
    /// Written as the smallest type that holds it.
    Integer(i128),
    /// Above all of the above.
    Large(u128),
    Number(f64),
    Text(String),
    Bytes(Vec<u8>),
    Array(Vec<JsValue>),
    /// An array whose length is told only by its end.
    Unsized(Vec<JsValue>),
    Map(Vec<(JsValue, JsValue)>),
    /// Only written: it reads as an array.
    Set(Vec<JsValue>),
    /// Only written: it reads as a number.
    Date(f64),
    /// Only written: it reads as what is in it.
    Some(Box<JsValue>),
}

impl JsValue {
    /// What it reads as once it has been written.
    pub(crate) fn as_read(&self) -> Self {
        let all = |values: &[Self]| Self::Array(values.iter().map(Self::as_read).collect());
        match self {
            Self::Number(number) | Self::Date(number) => as_whole(*number),
            Self::Array(values) | Self::Unsized(values) | Self::Set(values) => all(values),
            Self::Map(entries) => {
                let entries = entries.iter();
                Self::Map(entries.map(|(k, v)| (k.as_read(), v.as_read())).collect())
            }
            Self::Some(value) => value.as_read(),
            other => other.clone(),
        }
    }
}

/// A number, or the integer that it is if that is exact.
#[expect(clippy::cast_possible_truncation, reason = "it is below 2^53")]
fn as_whole(number: f64) -> JsValue {
    let is_whole = number.fract() == 0.0 && number.abs() <= 9_007_199_254_740_992.0;
    if is_whole && number.to_bits() != (-0.0_f64).to_bits() {
        return JsValue::Integer(number as i128);
    }
    JsValue::Number(number)
}

/// Numbers are equal bit by bit, so that a NaN equals itself and zeros differ.
impl PartialEq for JsValue {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Nothing, Self::Nothing) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Integer(one), Self::Integer(other)) => one == other,
            (Self::Large(one), Self::Large(other)) => one == other,
            (Self::Number(one), Self::Number(other)) => one.to_bits() == other.to_bits(),
            (Self::Text(one), Self::Text(other)) => one == other,
            (Self::Bytes(one), Self::Bytes(other)) => one == other,
            (Self::Array(one), Self::Array(other)) => one == other,
            (Self::Map(one), Self::Map(other)) => one == other,
            _ => false,
        }
    }
}

impl Serialize for JsValue {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Nothing => to.serialize_none(),
            Self::Bool(it) => to.serialize_bool(*it),
            Self::Integer(number) => {
                if let Ok(number) = u64::try_from(*number) {
                    to.serialize_u64(number)
                } else if let Ok(number) = i64::try_from(*number) {
                    to.serialize_i64(number)
                } else {
                    to.serialize_i128(*number)
                }
            }
            Self::Large(number) => to.serialize_u128(*number),
            Self::Number(number) => to.serialize_f64(*number),
            Self::Text(text) => to.serialize_str(text),
            Self::Bytes(bytes) => to.serialize_bytes(bytes),
            Self::Array(values) => to.collect_seq(values),
            Self::Unsized(values) => {
                let mut seq = to.serialize_seq(None)?;
                for value in values {
                    seq.serialize_element(value)?;
                }
                seq.end()
            }
            Self::Map(entries) => {
                let mut map = to.serialize_map(None)?;
                for (key, value) in entries {
                    map.serialize_entry(key, value)?;
                }
                map.end()
            }
            Self::Set(values) => js::Set(values).serialize(to),
            Self::Date(ms) => js::Date(*ms).serialize(to),
            Self::Some(value) => to.serialize_some(value),
        }
    }
}

impl<'de> Deserialize<'de> for JsValue {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Anything)
    }
}

struct Anything;

impl<'de> Visitor<'de> for Anything {
    type Value = JsValue;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("anything")
    }

    fn visit_unit<E: de::Error>(self) -> Result<JsValue, E> {
        Ok(JsValue::Nothing)
    }

    fn visit_bool<E: de::Error>(self, it: bool) -> Result<JsValue, E> {
        Ok(JsValue::Bool(it))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<JsValue, E> {
        Ok(JsValue::Integer(number.into()))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<JsValue, E> {
        Ok(JsValue::Integer(number.into()))
    }

    fn visit_i128<E: de::Error>(self, number: i128) -> Result<JsValue, E> {
        Ok(JsValue::Integer(number))
    }

    fn visit_u128<E: de::Error>(self, number: u128) -> Result<JsValue, E> {
        Ok(i128::try_from(number).map_or(JsValue::Large(number), JsValue::Integer))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<JsValue, E> {
        Ok(JsValue::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<JsValue, E> {
        Ok(JsValue::Text(text.to_owned()))
    }

    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<JsValue, E> {
        Ok(JsValue::Bytes(bytes.to_vec()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<JsValue, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = seq.next_element()? {
            values.push(value);
        }
        Ok(JsValue::Array(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<JsValue, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(JsValue::Map(entries))
    }
}
