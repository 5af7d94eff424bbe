//! From text.

use super::v8::DEPTH_MAX;
use super::{Literal, LiteralError};
use kvick::{BigInt, Key};
use std::collections::HashSet;
use std::time::UNIX_EPOCH;

/// The key that a text is.
pub(crate) fn key(text: &str) -> Result<Key, LiteralError> {
    read(text)?.to_key()
}

/// The literal that a text is, with nothing behind it.
pub(crate) fn read(text: &str) -> Result<Literal, LiteralError> {
    let mut reader = Reader {
        text,
        at: 0,
        depth: 0,
    };
    let literal = reader.literal()?;
    reader.skip_space();
    if reader.at < text.len() {
        return Err(reader.unexpected("the end"));
    }
    Ok(literal)
}

struct Reader<'t> {
    text: &'t str,
    /// Always between two characters.
    at: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    /// Takes this, if it is what comes next.
    fn take(&mut self, what: &str) -> bool {
        let is_next = self.rest().starts_with(what);
        if is_next {
            self.at += what.len();
        }
        is_next
    }

    fn unexpected(&self, expected: &str) -> LiteralError {
        let found = match self.peek() {
            Some(found) => format!("found {found:?}"),
            None => "the text ends".to_owned(),
        };
        LiteralError::at(self.at, format!("expected {expected}, and {found}"))
    }

    /// As many characters as are of this kind.
    fn take_while(&mut self, is_one: impl Fn(char) -> bool) -> &'t str {
        let rest = self.rest();
        let end = rest.find(|other| !is_one(other)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn literal(&mut self) -> Result<Literal, LiteralError> {
        self.skip_space();
        match self.peek() {
            Some('[') => self.nested(Self::array),
            Some('{') => self.nested(Self::object),
            Some(quote @ ('"' | '\'')) => Ok(Literal::Text(self.string(quote)?)),
            Some('b') if self.rest().starts_with("b\"") => self.bytes(),
            Some('-' | '+' | '.' | '0'..='9') => self.number(),
            Some(first) if is_of_word(first) => self.word(),
            _ => Err(self.unexpected("a literal")),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Literal, LiteralError>,
    ) -> Result<Literal, LiteralError> {
        if self.depth == DEPTH_MAX {
            let what = format!("too many arrays and objects in each other (max {DEPTH_MAX})");
            return Err(LiteralError::at(self.at, what));
        }
        self.depth += 1;
        let literal = read(self);
        self.depth -= 1;
        literal
    }

    fn array(&mut self) -> Result<Literal, LiteralError> {
        self.next();
        let mut elements = Vec::new();
        loop {
            self.skip_space();
            if self.take("]") {
                return Ok(Literal::Array(elements));
            }
            elements.push(self.literal()?);
            self.skip_space();
            if !self.take(",") && self.peek() != Some(']') {
                return Err(self.unexpected("`,` or `]`"));
            }
        }
    }

    fn object(&mut self) -> Result<Literal, LiteralError> {
        self.next();
        let (mut properties, mut names) = (Vec::new(), HashSet::new());
        loop {
            self.skip_space();
            if self.take("}") {
                return Ok(Literal::Object(properties));
            }
            let at = self.at;
            let name = match self.peek() {
                Some(quote @ ('"' | '\'')) => self.string(quote)?,
                Some(first) if is_of_word(first) => self.take_while(is_of_word).to_owned(),
                _ => return Err(self.unexpected("a name or `}`")),
            };
            if !names.insert(name.clone()) {
                return Err(LiteralError::at(at, format!("{name:?} is there twice")));
            }
            self.skip_space();
            if !self.take(":") {
                return Err(self.unexpected("`:`"));
            }
            properties.push((name, self.literal()?));
            self.skip_space();
            if !self.take(",") && self.peek() != Some('}') {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn string(&mut self, quote: char) -> Result<String, LiteralError> {
        let begin = self.at;
        self.next();
        let mut text = String::new();
        loop {
            match self.next() {
                None => return Err(LiteralError::at(begin, "a string without an end")),
                Some(next) if next == quote => return Ok(text),
                Some('\\') => text.push(self.escaped()?),
                Some(next) => text.push(next),
            }
        }
    }

    /// What stands behind a backslash.
    fn escaped(&mut self) -> Result<char, LiteralError> {
        let begin = self.at;
        Ok(match self.next() {
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('v') => '\u{b}',
            Some('0') => '\0',
            Some(same @ ('"' | '\'' | '\\' | '/')) => same,
            Some('x') => {
                let one = self.hexadecimal(2).and_then(char::from_u32);
                one.ok_or_else(|| LiteralError::at(begin, "`\\x` takes two digits"))?
            }
            Some('u') if self.take("{") => {
                let digits = self.take_while(|one| one.is_ascii_hexdigit());
                let number = u32::from_str_radix(digits, 16).ok();
                let one = number.and_then(char::from_u32).filter(|_| self.take("}"));
                one.ok_or_else(|| LiteralError::at(begin, "no such character"))?
            }
            Some('u') => {
                let number = self.hexadecimal(4).and_then(|first| self.joined(first));
                let one = number.and_then(char::from_u32);
                one.ok_or_else(|| LiteralError::at(begin, "no such character"))?
            }
            _ => return Err(LiteralError::at(begin, "an unknown escape")),
        })
    }

    /// A number of so many digits.
    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let text = self.rest().get(..digits)?;
        let number = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = number
            .then(|| u32::from_str_radix(text, 16).ok())
            .flatten()?;
        self.at += digits;
        Some(number)
    }

    /// One of two halves with the other, which follows; or what is none.
    fn joined(&mut self, first: u32) -> Option<u32> {
        if !(0xd800..0xdc00).contains(&first) {
            return Some(first);
        }
        let second = self.take("\\u").then(|| self.hexadecimal(4)).flatten()?;
        (0xdc00..0xe000)
            .contains(&second)
            .then(|| 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00))
    }

    /// `b"..."`: ASCII, and what else there is as `\xNN`.
    fn bytes(&mut self) -> Result<Literal, LiteralError> {
        let begin = self.at;
        self.take("b\"");
        let mut bytes = Vec::new();
        loop {
            let at = self.at;
            match self.next() {
                None => return Err(LiteralError::at(begin, "bytes without an end")),
                Some('"') => return Ok(Literal::Bytes(bytes)),
                Some('\\') if self.take("x") => {
                    let byte = self.hexadecimal(2).and_then(|byte| u8::try_from(byte).ok());
                    bytes.push(byte.ok_or_else(|| LiteralError::at(at, "`\\x` takes two digits"))?);
                }
                Some('\\') => {
                    let byte = u8::try_from(self.escaped()?).ok();
                    bytes.push(byte.ok_or_else(|| LiteralError::at(at, "no byte"))?);
                }
                Some(next) if next.is_ascii() => bytes.extend(u8::try_from(next)),
                Some(next) => {
                    let what = format!("{next:?} is no byte: write it as `\\xNN`");
                    return Err(LiteralError::at(at, what));
                }
            }
        }
    }

    fn number(&mut self) -> Result<Literal, LiteralError> {
        let begin = self.at;
        let is_negative = self.take("-");
        if !is_negative {
            self.take("+");
        }
        if self.take("NaN") {
            let nan = if is_negative { -f64::NAN } else { f64::NAN };
            return Ok(Literal::Number(nan));
        }
        if self.take("Infinity") {
            let infinity = if is_negative {
                f64::NEG_INFINITY
            } else {
                f64::INFINITY
            };
            return Ok(Literal::Number(infinity));
        }
        let is_of_number = |one: char| one.is_ascii_alphanumeric() || ".+-_".contains(one);
        let text = self.take_while(is_of_number).replace('_', "");
        let refuse = || LiteralError::at(begin, format!("{text:?} is no number"));
        if let Some(digits) = text.strip_suffix('n') {
            let magnitude = magnitude(digits).ok_or_else(refuse)?;
            let bigint = BigInt::from_be_bytes(is_negative, &magnitude);
            return Ok(Literal::BigInt(
                bigint.map_err(|error| LiteralError::at(begin, error.to_string()))?,
            ));
        }
        let number = if let Some(digits) = text.strip_prefix("0x") {
            let number = u64::from_str_radix(digits, 16).ok();
            number.filter(|number| *number <= 1 << 53).map(as_number)
        } else {
            let is_number = text.starts_with(|one: char| one.is_ascii_digit() || one == '.')
                && text.contains(|one: char| one.is_ascii_digit());
            is_number.then(|| text.parse().ok()).flatten()
        };
        let number: f64 = number.ok_or_else(refuse)?;
        Ok(Literal::Number(if is_negative { -number } else { number }))
    }

    fn word(&mut self) -> Result<Literal, LiteralError> {
        let begin = self.at;
        Ok(match self.take_while(is_of_word) {
            "undefined" => Literal::Undefined,
            "null" => Literal::Null,
            "true" => Literal::Bool(true),
            "false" => Literal::Bool(false),
            "new" => return self.nested(|reader| reader.constructed(begin)),
            "NaN" => Literal::Number(f64::NAN),
            "Infinity" => Literal::Number(f64::INFINITY),
            "u64" if self.take("(") => {
                self.skip_space();
                let digits = self.take_while(|one| one.is_ascii_digit() || one == '_');
                let number = digits.replace('_', "").parse();
                // As JavaScript would have it.
                self.take("n");
                self.skip_space();
                match number {
                    Ok(number) if self.take(")") => Literal::U64(number),
                    _ => {
                        return Err(LiteralError::at(
                            begin,
                            "`u64(..)` takes an integer of 64 bits",
                        ));
                    }
                }
            }
            word => return Err(LiteralError::at(begin, format!("{word:?} is no literal"))),
        })
    }

    /// What stands behind `new`.
    fn constructed(&mut self, begin: usize) -> Result<Literal, LiteralError> {
        self.skip_space();
        let name = self.take_while(is_of_word);
        if !matches!(name, "Date" | "Map" | "Set") {
            let what = format!("there is no `new {name}` but of Date, Map and Set");
            return Err(LiteralError::at(begin, what));
        }
        self.skip_space();
        if !self.take("(") {
            return Err(self.unexpected("`(`"));
        }
        self.skip_space();
        let inner = match self.peek() {
            Some(')') if name != "Date" => Literal::Array(Vec::new()),
            _ => self.literal()?,
        };
        self.skip_space();
        if !self.take(")") {
            return Err(self.unexpected("`)`"));
        }
        let made = match (name, inner) {
            ("Date", Literal::Number(number)) => Some(Literal::Date(number)),
            ("Date", Literal::Text(text)) => milliseconds(&text).map(Literal::Date),
            ("Set", Literal::Array(members)) => Some(Literal::Set(members)),
            ("Map", Literal::Array(entries)) => {
                let entries = entries.into_iter().map(pair);
                entries.collect::<Option<_>>().map(Literal::Map)
            }
            _ => None,
        };
        made.ok_or_else(|| {
            let takes = match name {
                "Date" => "milliseconds, or a text such as \"2026-01-31T12:00:00Z\"",
                "Map" => "an array of pairs",
                _ => "an array",
            };
            LiteralError::at(begin, format!("`new {name}(..)` takes {takes}"))
        })
    }
}

fn pair(literal: Literal) -> Option<(Literal, Literal)> {
    match literal {
        Literal::Array(elements) => {
            let [key, value] = <[Literal; 2]>::try_from(elements).ok()?;
            Some((key, value))
        }
        _ => None,
    }
}

/// The milliseconds of a moment that is written as RFC 3339 has it.
fn milliseconds(text: &str) -> Option<f64> {
    let since = humantime::parse_rfc3339(text).ok()?;
    let since = since.duration_since(UNIX_EPOCH).ok()?;
    let milliseconds = u64::try_from(since.as_millis()).ok()?;
    (milliseconds <= 1 << 53).then(|| as_number(milliseconds))
}

#[expect(clippy::cast_precision_loss, reason = "it is no more than 2^53")]
fn as_number(number: u64) -> f64 {
    number as f64
}

fn is_of_word(one: char) -> bool {
    one.is_alphanumeric() || one == '_' || one == '$'
}

/// The bytes of a whole number, the highest first.
fn magnitude(digits: &str) -> Option<Vec<u8>> {
    let (digits, radix) = match digits.strip_prefix("0x") {
        Some(digits) => (digits, 16),
        None => (digits, 10),
    };
    if digits.is_empty() {
        return None;
    }
    // The lowest byte first. As long as a key could be, this takes no time to speak of.
    let mut bytes: Vec<u8> = Vec::new();
    for digit in digits.chars() {
        let mut carry = digit.to_digit(radix)?;
        for byte in &mut bytes {
            let product = u32::from(*byte) * radix + carry;
            *byte = u8::try_from(product & 0xff).unwrap_or(0);
            carry = product >> 8;
        }
        if carry > 0 {
            bytes.push(u8::try_from(carry).unwrap_or(0));
        }
        if bytes.len() > BYTES_MAX {
            return None;
        }
    }
    bytes.reverse();
    Some(bytes)
}

/// More than any bigint of a key may have.
const BYTES_MAX: usize = 1_024;
