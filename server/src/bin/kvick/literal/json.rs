//! Keys and values as JSON, exactly: what JSON has no word for is an object whose one name begins with a `$`.
//!
//! ```text
//! {"$bigint": "42"}           {"$number": "NaN"}, "Infinity", "-Infinity", "-0"
//! {"$bytes": "AP8="}          base64
//! {"$u64": "7"}               {"$undefined": true}
//! {"$date": 1700000000000}    milliseconds; null of an invalid one
//! {"$map": [["a", 1]]}        {"$set": [1, 2]}
//! {"$object": {"$set": 1}}    an object that would itself be taken for one of these
//! {"$v8": "/w9e"}             base64: what V8 stored, of a value that there is no literal for
//! ```
//!
//! A key is the array of its parts; one that is no tuple is `{"$key": base64}`.

use super::write::{escaped, exactly, of_key};
use super::{Literal, LiteralError, read};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kvick::{Key, Value, ValueRef, Versionstamp};
use serde_json::{Map, Value as Json, json};

/// An entry in one line.
pub(crate) fn entry_json(key: &Key, value: ValueRef<'_>, versionstamp: Versionstamp) -> String {
    shown(&json!({
        "key": key_json(key),
        "value": value_json(value),
        "versionstamp": versionstamp.to_string(),
    }))
}

/// A key without a value, in one line.
pub(crate) fn missing_json(key: &Key) -> String {
    shown(&json!({ "key": key_json(key), "value": null, "versionstamp": null }))
}

/// JSON escapes less than a terminal may obey. Outside of its strings it is all of ASCII.
fn shown(json: &Json) -> String {
    escaped(&json.to_string())
}

fn key_json(key: &Key) -> Json {
    match of_key(key) {
        Some(parts) => parts.iter().map(literal_json).collect(),
        None => tagged("$key", base64(key.as_bytes())),
    }
}

fn value_json(value: ValueRef<'_>) -> Json {
    match exactly(value) {
        Some(literal) => literal_json(&literal),
        None => tagged("$v8", base64(value.as_v8().unwrap_or_default())),
    }
}

fn base64(bytes: &[u8]) -> String {
    BASE64_STANDARD.encode(bytes)
}

fn tagged(tag: &str, value: impl Into<Json>) -> Json {
    Json::Object(Map::from_iter([(tag.to_owned(), value.into())]))
}

fn literal_json(literal: &Literal) -> Json {
    match literal {
        Literal::Undefined => tagged("$undefined", true),
        Literal::Null => Json::Null,
        Literal::Bool(is) => Json::Bool(*is),
        Literal::Number(number) => number_json(*number),
        Literal::BigInt(_) => {
            let text = literal.to_string();
            tagged("$bigint", text.trim_end_matches('n'))
        }
        Literal::Text(text) => Json::String(text.clone()),
        Literal::Bytes(bytes) => tagged("$bytes", base64(bytes)),
        Literal::U64(number) => tagged("$u64", number.to_string()),
        Literal::Date(milliseconds) if milliseconds.is_nan() => tagged("$date", Json::Null),
        Literal::Date(milliseconds) => tagged("$date", number_json(*milliseconds)),
        Literal::Array(elements) => elements.iter().map(literal_json).collect(),
        Literal::Object(properties) => {
            let named = properties.iter();
            let object: Map<_, _> = named
                .map(|(name, value)| (name.clone(), literal_json(value)))
                .collect();
            if tag_of(&object).is_some() {
                tagged("$object", object)
            } else {
                Json::Object(object)
            }
        }
        Literal::Map(entries) => {
            let entries = entries.iter();
            let pairs = entries.map(|(key, value)| json!([literal_json(key), literal_json(value)]));
            tagged("$map", pairs.collect::<Json>())
        }
        Literal::Set(members) => tagged("$set", members.iter().map(literal_json).collect::<Json>()),
    }
}

fn number_json(number: f64) -> Json {
    const WHOLE_MAX: f64 = 9_007_199_254_740_992.0;
    let is_negative_zero = number == 0.0 && number.is_sign_negative();
    if number.fract() == 0.0 && number.abs() <= WHOLE_MAX && !is_negative_zero {
        #[expect(
            clippy::cast_possible_truncation,
            reason = "it is whole, and small enough"
        )]
        return Json::from(number as i64);
    }
    match serde_json::Number::from_f64(number) {
        Some(number) if !is_negative_zero => Json::Number(number),
        _ => tagged("$number", Literal::Number(number).to_string()),
    }
}

/// What a text of JSON stands for.
pub(crate) fn value_of_json(text: &str) -> Result<Value, LiteralError> {
    let json: Json =
        serde_json::from_str(text).map_err(|error| LiteralError::of(error.to_string()))?;
    if let Json::Object(object) = &json
        && let Some(("$v8", bytes)) = tag_of(object)
    {
        let bytes = bytes
            .as_str()
            .and_then(|text| BASE64_STANDARD.decode(text).ok());
        let bytes = bytes.ok_or_else(|| LiteralError::of("`$v8` takes base64"))?;
        return Ok(Value::V8(bytes.into()));
    }
    of_json(json)?.to_value()
}

/// The name that says what an object is, if it has one, and what it says of it.
fn tag_of(object: &Map<String, Json>) -> Option<(&str, &Json)> {
    let mut members = object.iter();
    match (members.next(), members.next()) {
        (Some((name, value)), None) if name.starts_with('$') => Some((name, value)),
        _ => None,
    }
}

fn of_json(json: Json) -> Result<Literal, LiteralError> {
    Ok(match json {
        Json::Null => Literal::Null,
        Json::Bool(is) => Literal::Bool(is),
        Json::Number(number) => Literal::Number(number.as_f64().unwrap_or(f64::NAN)),
        Json::String(text) => Literal::Text(text),
        Json::Array(elements) => Literal::Array(all_of_json(elements)?),
        Json::Object(object) => match tag_of(&object) {
            None => plain_object(object)?,
            Some((tag, value)) => {
                let literal = of_tagged(tag, value.clone())?;
                literal.ok_or_else(|| LiteralError::of(refusal(tag)))?
            }
        },
    })
}

fn all_of_json(elements: Vec<Json>) -> Result<Vec<Literal>, LiteralError> {
    elements.into_iter().map(of_json).collect()
}

fn plain_object(object: Map<String, Json>) -> Result<Literal, LiteralError> {
    let properties = object
        .into_iter()
        .map(|(name, value)| Ok((name, of_json(value)?)));
    Ok(Literal::Object(properties.collect::<Result<_, _>>()?))
}

fn refusal(tag: &str) -> String {
    let takes = match tag {
        "$bigint" => "the digits of an integer as a text",
        "$bytes" => "base64",
        "$u64" => "the digits of an integer of 64 bits as a text",
        "$undefined" => "true",
        "$number" => "\"NaN\", \"-NaN\", \"Infinity\", \"-Infinity\" or \"-0\"",
        "$date" => "milliseconds, or null",
        "$map" => "an array of pairs",
        "$set" => "an array",
        "$object" => "an object",
        "$v8" => return "`$v8` stands by itself, and not inside of another value".to_owned(),
        _ => return format!("{tag:?} is nothing that a value can be: write it in an `$object`"),
    };
    format!("`{tag}` takes {takes}")
}

fn of_tagged(tag: &str, value: Json) -> Result<Option<Literal>, LiteralError> {
    let digits = |value: &Json| {
        let text = value.as_str()?;
        let digits = text.strip_prefix('-').unwrap_or(text);
        let is_integer = !digits.is_empty() && digits.bytes().all(|one| one.is_ascii_digit());
        is_integer.then(|| text.to_owned())
    };
    Ok(match (tag, value) {
        ("$undefined", Json::Bool(true)) => Some(Literal::Undefined),
        ("$bigint", value) => match digits(&value) {
            Some(text) => Some(read(&format!("{text}n"))?),
            None => None,
        },
        ("$u64", value) => {
            let number = digits(&value).and_then(|text| text.parse().ok());
            number.map(Literal::U64)
        }
        ("$number", Json::String(text)) => match &text[..] {
            "NaN" | "-NaN" | "Infinity" | "-Infinity" | "-0" => Some(read(&text)?),
            _ => None,
        },
        ("$bytes", Json::String(text)) => BASE64_STANDARD.decode(text).ok().map(Literal::Bytes),
        ("$date", Json::Null) => Some(Literal::Date(f64::NAN)),
        ("$date", value) => match of_json(value)? {
            Literal::Number(number) => Some(Literal::Date(number)),
            _ => None,
        },
        ("$set", Json::Array(members)) => Some(Literal::Set(all_of_json(members)?)),
        ("$map", Json::Array(entries)) => {
            let mut pairs = Vec::with_capacity(entries.len());
            for entry in all_of_json(entries)? {
                match entry {
                    Literal::Array(pair) => match <[Literal; 2]>::try_from(pair) {
                        Ok([key, value]) => pairs.push((key, value)),
                        Err(_) => return Ok(None),
                    },
                    _ => return Ok(None),
                }
            }
            Some(Literal::Map(pairs))
        }
        ("$object", Json::Object(object)) => Some(plain_object(object)?),
        _ => None,
    })
}
