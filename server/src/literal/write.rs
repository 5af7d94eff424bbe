//! To text: what reads back as the same.

use super::Literal;
use kvick::{BigInt, Key, KeyPart, ValueRef};
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// What is shown of bytes that are no literal, at most.
const SHOWN_MAX: usize = 32;

/// A key as text: its parts, or, where it has none, its bytes.
pub(crate) fn key_text(key: &Key) -> String {
    match key.parts() {
        Ok(parts) => Literal::Array(parts.into_iter().map(of_part).collect()).to_string(),
        Err(_) => Literal::Bytes(key.as_bytes().to_vec()).to_string(),
    }
}

fn of_part(part: KeyPart<'_>) -> Literal {
    match part {
        KeyPart::Bytes(bytes) => Literal::Bytes(bytes.into_owned()),
        KeyPart::String(text) => Literal::Text(text.into_owned()),
        KeyPart::BigInt(bigint) => Literal::BigInt(bigint),
        KeyPart::Number(number) => Literal::Number(number),
        KeyPart::Bool(is) => Literal::Bool(is),
    }
}

/// The literal of a value, if there is one: not of what contains itself, for example.
pub(crate) fn of_value(value: ValueRef<'_>) -> Result<Literal, kvick::Error> {
    match value {
        ValueRef::Bytes(bytes) => Ok(Literal::Bytes(bytes.to_vec())),
        ValueRef::U64(number) => Ok(Literal::U64(number)),
        ValueRef::V8(_) => match value.as_bigint() {
            Some(bigint) => Ok(Literal::BigInt(bigint)),
            None => value.to(),
        },
    }
}

/// A value as text.
pub(crate) fn value_text(value: ValueRef<'_>) -> String {
    match of_value(value) {
        Ok(literal) => literal.to_string(),
        Err(error) => {
            let bytes = value.as_v8().unwrap_or_default();
            let shown = bytes.get(..SHOWN_MAX).unwrap_or(bytes);
            let more = if shown.len() < bytes.len() { ".." } else { "" };
            let shown = Literal::Bytes(shown.to_vec());
            format!("<{} bytes of V8, {error}: {shown}{more}>", bytes.len())
        }
    }
}

impl fmt::Display for Literal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Undefined => f.write_str("undefined"),
            Self::Null => f.write_str("null"),
            Self::Bool(is) => write!(f, "{is}"),
            Self::Number(number) => write_number(f, *number),
            Self::BigInt(bigint) => write_bigint(f, bigint),
            Self::Text(text) => write_string(f, text),
            Self::Bytes(bytes) => write_bytes(f, bytes),
            Self::U64(number) => write!(f, "u64({number})"),
            Self::Array(elements) => {
                f.write_str("[")?;
                for (index, element) in elements.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}{element}")?;
                }
                f.write_str("]")
            }
            Self::Object(properties) if properties.is_empty() => f.write_str("{}"),
            Self::Object(properties) => {
                f.write_str("{ ")?;
                for (index, (name, value)) in properties.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { ", " })?;
                    if is_identifier(name) {
                        f.write_str(name)?;
                    } else {
                        write_string(f, name)?;
                    }
                    write!(f, ": {value}")?;
                }
                f.write_str(" }")
            }
        }
    }
}

fn is_identifier(name: &str) -> bool {
    let is_of_word = |one: char| one.is_alphanumeric() || one == '_' || one == '$';
    !name.is_empty()
        && name.chars().all(is_of_word)
        && !name.starts_with(|one: char| one.is_numeric())
}

fn write_number(f: &mut fmt::Formatter<'_>, number: f64) -> fmt::Result {
    if number.is_nan() {
        f.write_str("NaN")
    } else if number.is_infinite() {
        f.write_str(if number > 0.0 { "Infinity" } else { "-Infinity" })
    } else if number != 0.0 && !(1e-6..1e21).contains(&number.abs()) {
        write!(f, "{number:e}")
    } else {
        write!(f, "{number}")
    }
}

/// In decimal, however long it is.
fn write_bigint(f: &mut fmt::Formatter<'_>, bigint: &BigInt) -> fmt::Result {
    const GROUP: u64 = 1_000_000_000;
    let mut magnitude = bigint.magnitude().to_vec();
    let mut groups = Vec::new();
    while magnitude.iter().any(|byte| *byte != 0) {
        let mut rest = 0_u64;
        for byte in &mut magnitude {
            let part = rest << 8 | u64::from(*byte);
            *byte = u8::try_from(part / GROUP).unwrap_or(0);
            rest = part % GROUP;
        }
        groups.push(rest);
    }
    if bigint.is_negative() {
        f.write_str("-")?;
    }
    let mut groups = groups.iter().rev();
    write!(f, "{}", groups.next().copied().unwrap_or(0))?;
    for group in groups {
        write!(f, "{group:09}")?;
    }
    f.write_str("n")
}

fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for one in text.chars() {
        match one {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            // So that what is stored cannot do anything to a terminal.
            one if one.is_control() => write!(f, "\\u{{{:x}}}", u32::from(one))?,
            one => write!(f, "{one}")?,
        }
    }
    f.write_str("\"")
}

fn write_bytes(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    f.write_str("b\"")?;
    for byte in bytes {
        match byte {
            b'"' => f.write_str("\\\"")?,
            b'\\' => f.write_str("\\\\")?,
            b' '..=b'~' => write!(f, "{}", char::from(*byte))?,
            byte => write!(f, "\\x{byte:02x}")?,
        }
    }
    f.write_str("\"")
}

impl<'de> Deserialize<'de> for Literal {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Literals)
    }
}

/// Takes whatever there is.
struct Literals;

impl<'de> Visitor<'de> for Literals {
    type Value = Literal;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value of JavaScript")
    }

    fn visit_bool<E>(self, is: bool) -> Result<Literal, E> {
        Ok(Literal::Bool(is))
    }

    #[expect(clippy::cast_precision_loss, reason = "V8 had it as a number")]
    fn visit_i64<E>(self, number: i64) -> Result<Literal, E> {
        Ok(Literal::Number(number as f64))
    }

    #[expect(clippy::cast_precision_loss, reason = "V8 had it as a number")]
    fn visit_u64<E>(self, number: u64) -> Result<Literal, E> {
        Ok(Literal::Number(number as f64))
    }

    fn visit_i128<E>(self, number: i128) -> Result<Literal, E> {
        Ok(Literal::BigInt(number.into()))
    }

    fn visit_u128<E>(self, number: u128) -> Result<Literal, E> {
        Ok(Literal::BigInt(number.into()))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Literal, E> {
        Ok(Literal::Number(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Literal, E> {
        Ok(Literal::Text(text.to_owned()))
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Literal, E> {
        Ok(Literal::Bytes(bytes.to_vec()))
    }

    fn visit_unit<E>(self) -> Result<Literal, E> {
        Ok(Literal::Null)
    }

    fn visit_none<E>(self) -> Result<Literal, E> {
        Ok(Literal::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Literal, D::Error> {
        Literal::deserialize(deserializer)
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Literal, D::Error> {
        Literal::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Literal, A::Error> {
        let mut all = Vec::new();
        while let Some(element) = elements.next_element()? {
            all.push(element);
        }
        Ok(Literal::Array(all))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut properties: A) -> Result<Literal, A::Error> {
        let mut all = Vec::new();
        while let Some((name, value)) = properties.next_entry::<Literal, Literal>()? {
            let name = match name {
                Literal::Text(text) => text,
                // Of a `Map`, or an index.
                other => other.to_string(),
            };
            all.push((name, value));
        }
        Ok(Literal::Object(all))
    }
}
