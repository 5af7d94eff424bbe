//! To text: what reads back as the same.

use super::{Literal, v8};
use kvick::{BigInt, Key, KeyPart, ValueRef};
use std::fmt::{self, Write};
use std::time::{Duration, UNIX_EPOCH};

/// What is shown of bytes that are no literal, at most.
const SHOWN_MAX: usize = 32;

/// A key as text: its parts, or, where it has none, its bytes.
pub(crate) fn key_text(key: &Key) -> String {
    match of_key(key) {
        Some(parts) => Literal::Array(parts).to_string(),
        None => Literal::Bytes(key.as_bytes().to_vec()).to_string(),
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

/// The first parts of a key as text, without brackets, and whether these are all; if it is a tuple.
pub(crate) fn key_parts_text(key: &Key, count: usize) -> Option<(String, bool)> {
    let parts = of_key(key)?;
    let shown = parts.iter().take(count).map(Literal::to_string);
    let shown: Vec<_> = shown.collect();
    Some((shown.join(", "), parts.len() <= count))
}

/// The parts of a key, if it is a tuple.
pub(super) fn of_key(key: &Key) -> Option<Vec<Literal>> {
    let parts = key.parts().ok()?;
    Some(parts.into_iter().map(of_part).collect())
}

/// The literal that stands for exactly this value, if there is one.
pub(super) fn exactly(value: ValueRef<'_>) -> Option<Literal> {
    match value {
        ValueRef::Bytes(bytes) => Some(Literal::Bytes(bytes.to_vec())),
        ValueRef::U64(number) => Some(Literal::U64(number)),
        // By itself, bytes are a value of another kind.
        ValueRef::V8(bytes) => v8::read(bytes).filter(|it| !matches!(it, Literal::Bytes(_))),
    }
}

/// A value as text: its literal, or, where it has none, the nearest, or what its bytes are.
pub(crate) fn value_text(value: ValueRef<'_>) -> String {
    let nearest = || value.to::<Literal>();
    match exactly(value).map_or_else(nearest, Ok) {
        Ok(literal) => literal.to_string(),
        Err(error) => {
            let error = escaped(&error.to_string()).replace('\n', " ");
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
            Self::Date(milliseconds) => write_date(f, *milliseconds),
            Self::Array(elements) => write_elements(f, elements),
            Self::Set(members) if members.is_empty() => f.write_str("new Set()"),
            Self::Set(members) => {
                f.write_str("new Set(")?;
                write_elements(f, members)?;
                f.write_str(")")
            }
            Self::Map(entries) if entries.is_empty() => f.write_str("new Map()"),
            Self::Map(entries) => {
                f.write_str("new Map([")?;
                for (index, (key, value)) in entries.iter().enumerate() {
                    let comma = if index == 0 { "" } else { ", " };
                    write!(f, "{comma}[{key}, {value}]")?;
                }
                f.write_str("])")
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

fn write_elements(f: &mut fmt::Formatter<'_>, elements: &[Literal]) -> fmt::Result {
    f.write_str("[")?;
    for (index, element) in elements.iter().enumerate() {
        let comma = if index == 0 { "" } else { ", " };
        write!(f, "{comma}{element}")?;
    }
    f.write_str("]")
}

/// As RFC 3339 has it, from 1970 to the year 9999; otherwise as milliseconds.
fn write_date(f: &mut fmt::Formatter<'_>, milliseconds: f64) -> fmt::Result {
    const LAST: f64 = 253_402_300_799_999.0;
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "what does not fit is told apart"
    )]
    let whole = milliseconds as u64;
    #[expect(clippy::cast_precision_loss, reason = "likewise")]
    let is_whole = (whole as f64).to_bits() == milliseconds.to_bits() && milliseconds <= LAST;
    if is_whole {
        let at = UNIX_EPOCH + Duration::from_millis(whole);
        write!(f, "new Date(\"{}\")", humantime::format_rfc3339_millis(at))
    } else {
        f.write_str("new Date(")?;
        write_number(f, milliseconds)?;
        f.write_str(")")
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
        // As keys tell them apart.
        f.write_str(if number.is_sign_negative() {
            "-NaN"
        } else {
            "NaN"
        })
    } else if number.is_infinite() {
        f.write_str(if number > 0.0 {
            "Infinity"
        } else {
            "-Infinity"
        })
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

/// Whether a terminal could obey it, or show what is behind it in another order or not at all.
fn is_unfit(one: char) -> bool {
    one.is_control()
        || matches!(
            one,
            '\u{ad}' | '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

/// A text of somebody else's, as it may be shown.
pub(crate) fn escaped(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for one in text.chars() {
        if is_unfit(one) && one != '\n' {
            let mut units = [0; 2];
            for unit in one.encode_utf16(&mut units) {
                // Which JSON has too.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        } else {
            shown.push(one);
        }
    }
    shown
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
            one if is_unfit(one) => write!(f, "\\u{{{:x}}}", u32::from(one))?,
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
