//! Keys and values as text: the literals of JavaScript.
//!
//! ```text
//! ["users", 42n, true]            a key: strings, numbers, bigints, booleans, bytes
//! { name: "Alice", tags: ["a"] }  a value: those, null, undefined, arrays, objects
//! b"\x00\xff"                     bytes: a `Uint8Array`
//! u64(7)                          a `Deno.KvU64`
//! new Date("2026-01-31T00:00:00Z"), new Map([["a", 1]]), new Set([1, 2])
//! ```
//!
//! A string may be in either quotes; the names of an object need none where they are identifiers. What is
//! written nowhere else is an error, with the place of it.

mod foreign;
mod json;
mod read;
#[cfg(test)]
mod tests;
mod v8;
mod write;

use kvick::{BigInt, Key, KeyPart, NewValue, Value};
use std::fmt;

pub(crate) use json::{entry_json, missing_json, value_of_json};
pub(crate) use read::{key, read};
pub(crate) use write::{escaped, key_parts_text, key_text, value_text};

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
    /// Milliseconds since 1970 began in UTC; NaN of an invalid one.
    Date(f64),
    Array(Vec<Literal>),
    Object(Vec<(String, Literal)>),
    Map(Vec<(Literal, Literal)>),
    Set(Vec<Literal>),
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
            Self::Date(_) => "a date",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
            Self::Map(_) => "a map",
            Self::Set(_) => "a set",
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
        match self {
            Self::Bytes(bytes) => Ok(NewValue::from(&bytes[..]).into()),
            Self::U64(number) => Ok(Value::U64(*number)),
            other => match v8::write(other) {
                Some(bytes) => Ok(Value::V8(bytes.into())),
                None if other.has_u64() => Err(LiteralError::of(
                    "a u64 stands by itself, and not inside of another value",
                )),
                None => Err(LiteralError::of("that is too long to be stored")),
            },
        }
    }

    fn has_u64(&self) -> bool {
        match self {
            Self::U64(_) => true,
            Self::Array(elements) | Self::Set(elements) => elements.iter().any(Self::has_u64),
            Self::Object(properties) => properties.iter().any(|(_, value)| value.has_u64()),
            Self::Map(entries) => entries
                .iter()
                .any(|(key, value)| key.has_u64() || value.has_u64()),
            _ => false,
        }
    }
}
