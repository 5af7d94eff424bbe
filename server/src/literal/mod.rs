//! Keys and values as text: the literals of JavaScript.
//!
//! ```text
//! ["users", 42n, true]            a key: strings, numbers, bigints, booleans, bytes
//! { name: "Alice", tags: ["a"] }  a value: those, null, undefined, arrays, objects
//! b"\x00\xff"                     bytes: a `Uint8Array`
//! u64(7)                          a `Deno.KvU64`
//! ```
//!
//! A string may be in either quotes; the names of an object need none where they are identifiers. What is
//! written nowhere else is an error, with the place of it.

mod read;
#[cfg(test)]
mod tests;
mod write;

use kvick::{BigInt, Key, KeyPart, NewValue, Value};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use std::fmt;

pub(crate) use read::read;

/// What a text stands for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Literal {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    BigInt(BigInt),
    Text(String),
    Bytes(Vec<u8>),
    /// A `Deno.KvU64`.
    U64(u64),
    Array(Vec<Literal>),
    Object(Vec<(String, Literal)>),
}

/// Why a text is no literal, or not one that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LiteralError {
    what: String,
    /// Where, in bytes from the beginning of the text, if it is at a place.
    at: Option<usize>,
}

impl LiteralError {
    fn at(place: usize, what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            at: Some(place),
        }
    }

    fn of(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            at: None,
        }
    }
}

impl fmt::Display for LiteralError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        match self.at {
            Some(at) => write!(f, ", at byte {at}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for LiteralError {}

impl Literal {
    fn name(&self) -> &'static str {
        match self {
            Self::Undefined => "undefined",
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::BigInt(_) => "a bigint",
            Self::Text(_) => "a string",
            Self::Bytes(_) => "bytes",
            Self::U64(_) => "a u64",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }

    /// The key with these parts: an array, or one part by itself.
    pub(crate) fn to_key(&self) -> Result<Key, LiteralError> {
        let parts = match self {
            Self::Array(parts) => &parts[..],
            part => std::slice::from_ref(part),
        };
        let parts = parts.iter().map(Self::to_part);
        Ok(Key::from_parts(parts.collect::<Result<Vec<_>, _>>()?))
    }

    fn to_part(&self) -> Result<KeyPart<'_>, LiteralError> {
        Ok(match self {
            Self::Bool(is) => KeyPart::from(*is),
            Self::Number(number) => KeyPart::from(*number),
            Self::BigInt(bigint) => KeyPart::from(bigint.clone()),
            Self::Text(text) => KeyPart::from(&text[..]),
            Self::Bytes(bytes) => KeyPart::from(&bytes[..]),
            other => {
                let what = format!(
                    "{} is no part of a key: those are strings, numbers, bigints, booleans and bytes",
                    other.name()
                );
                return Err(LiteralError::of(what));
            }
        })
    }

    /// The value: bytes and a u64 as they are, and whatever else as V8 stores it.
    pub(crate) fn to_value(&self) -> Result<Value, LiteralError> {
        let value = match self {
            Self::Bytes(bytes) => NewValue::from(&bytes[..]).into(),
            Self::U64(number) => Value::U64(*number),
            Self::BigInt(bigint) => NewValue::bigint(bigint.clone()).into(),
            other => {
                let value = NewValue::serialize(other);
                value.map_err(|error| LiteralError::of(error.to_string()))?.into()
            }
        };
        Ok(value)
    }
}

impl Serialize for Literal {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let refuse = |what| Err(serde::ser::Error::custom(what));
        match self {
            Self::Undefined | Self::Null => serializer.serialize_unit(),
            Self::Bool(is) => serializer.serialize_bool(*is),
            Self::Number(number) => serializer.serialize_f64(*number),
            Self::BigInt(bigint) => match bigint.to_i128() {
                Some(number) => serializer.serialize_i128(number),
                None => refuse("a bigint of more than 128 bits, inside of another value"),
            },
            Self::Text(text) => serializer.serialize_str(text),
            Self::Bytes(bytes) => serializer.serialize_bytes(bytes),
            Self::U64(_) => refuse("a u64 stands by itself, and not inside of another value"),
            Self::Array(elements) => {
                let mut sequence = serializer.serialize_seq(Some(elements.len()))?;
                for element in elements {
                    sequence.serialize_element(element)?;
                }
                sequence.end()
            }
            Self::Object(properties) => {
                let mut map = serializer.serialize_map(Some(properties.len()))?;
                for (name, value) in properties {
                    map.serialize_entry(name, value)?;
                }
                map.end()
            }
        }
    }
}
