//! A place in a range, as text that can leave the program and come back.
//!
//! The text is Deno's: the last key that was returned, without the bytes that every key of the
//! range begins with, in the URL-safe alphabet of base64 with padding. It is meaningful only
//! together with the range it was made for, which it does not name; nor does it name a direction.
//!
//! One place has no text in Deno: where a range has bounds such as `["a"]` and `["a", "x"]`, what
//! its keys share is all of `["a"]`, so a list that stopped there has the cursor of no place, and
//! going on from it begins anew, for ever. That place is written [`AT_COMMON_PREFIX`] here.
//!
//! Resuming cuts the bounds of the range and so can never reach beyond them, whatever the text.

use super::range::{Bounds, Range};
use crate::error::{Error, Result};
use crate::limits::Limits;
use std::fmt;
use std::str::FromStr;

/// Where a list left off, to go on from there later.
///
/// It is a text: [`Display`](fmt::Display) gives it out and [`FromStr`] takes it back, here or in a
/// Deno program over the same range. The empty text is the cursor of no place: the list begins at
/// its beginning.
///
/// ```
/// use kvick::{Cursor, ErrorKind};
///
/// let cursor: Cursor = "AmIA".parse()?;
/// assert_eq!(cursor.to_string(), "AmIA");
/// let error = "no cursor".parse::<Cursor>().unwrap_err();
/// assert_eq!(error.kind(), ErrorKind::InvalidCursor);
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Cursor(String);

/// The place of the key that consists of nothing but what all keys of its range begin with: no
/// digits, padded to a group. It is distinct from the empty text, and to Deno it is no cursor.
const AT_COMMON_PREFIX: &str = "====";

impl Cursor {
    /// Whether this is the cursor of no place.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The place of `last_key`, an encoded key that `range` covers.
    pub(crate) fn after(range: &Range, last_key: &[u8]) -> Self {
        // PANICS: never for a key in the range. Every such key begins so.
        let rest = last_key
            .strip_prefix(range.common_prefix())
            .expect("a key in a range begins with what all keys in it begin with");
        if rest.is_empty() {
            return Self(AT_COMMON_PREFIX.to_owned());
        }
        Self(base64_encode(rest))
    }

    fn decode(&self) -> Result<Vec<u8>> {
        if self.0 == AT_COMMON_PREFIX {
            return Ok(Vec::new());
        }
        base64_decode(self.0.as_bytes()).ok_or_else(Error::invalid_cursor)
    }
}

impl Bounds {
    /// What is left of these, the bounds of `range`, beyond the place of `cursor`: the keys after
    /// it, or with `reverse` those before it (C02).
    ///
    /// # Errors
    ///
    /// `CursorOutOfBounds` where that place is on the far side of a start or end that the range
    /// names (C06); `KeyTooLarge` where it makes too long a bound.
    pub(crate) fn resume(
        self,
        range: &Range,
        cursor: &Cursor,
        reverse: bool,
        limits: &Limits,
    ) -> Result<Self> {
        if cursor.is_empty() {
            return Ok(self);
        }
        let mut place = [range.common_prefix(), &cursor.decode()?].concat();
        if !reverse {
            // The least key after the place.
            place.push(0x00);
        }
        let outside = if reverse {
            range
                .explicit_end()
                .is_some_and(|end| place.as_slice() > end)
        } else {
            range
                .explicit_start()
                .is_some_and(|start| place.as_slice() < start)
        };
        if outside {
            return Err(Error::cursor_out_of_bounds());
        }
        limits.check_bound(place.len())?;
        Ok(if reverse {
            self.and_before(&place)
        } else {
            self.and_from(&place)
        })
    }
}

impl FromStr for Cursor {
    type Err = Error;

    /// # Errors
    ///
    /// [`InvalidCursor`](crate::ErrorKind::InvalidCursor) unless it is URL-safe base64 with padding
    /// (C05). Whether it fits a range is found out when it is used with one.
    fn from_str(text: &str) -> Result<Self> {
        let cursor = Self(text.to_owned());
        cursor.decode()?;
        Ok(cursor)
    }
}

impl AsRef<str> for Cursor {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

pub(super) fn base64_encode(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let mut padded = [0; 4];
        padded[1..=group.len()].copy_from_slice(group);
        let bits = u32::from_be_bytes(padded);
        for digit in 0..4 {
            text.push(if digit <= group.len() {
                let index = bits >> (18 - 6 * digit) & 0x3f;
                char::from(ALPHABET[index as usize])
            } else {
                '='
            });
        }
    }
    text
}

/// `None` for what [`base64_encode`] cannot have written: other characters, padding that is missing
/// or misplaced, and bits beyond the last byte.
fn base64_decode(text: &[u8]) -> Option<Vec<u8>> {
    let (groups, []) = text.as_chunks::<4>() else {
        return None;
    };
    let mut bytes = Vec::with_capacity(groups.len() * 3);
    for (index, group) in groups.iter().enumerate() {
        let digits = match group {
            [_, _, b'=', b'='] => 2,
            [_, _, _, b'='] => 3,
            _ => 4,
        };
        if digits < 4 && index + 1 < groups.len() {
            return None;
        }
        let mut bits = 0;
        for &digit in &group[..digits] {
            bits = bits << 6 | value_of(digit)?;
        }
        bits <<= 6 * (4 - digits);
        let [_, whole @ ..] = bits.to_be_bytes();
        let (kept, rest) = whole.split_at(digits - 1);
        if rest.iter().any(|&byte| byte != 0) {
            return None;
        }
        bytes.extend_from_slice(kept);
    }
    Some(bytes)
}

fn value_of(digit: u8) -> Option<u32> {
    Some(u32::from(match digit {
        b'A'..=b'Z' => digit - b'A',
        b'a'..=b'z' => digit - b'a' + 26,
        b'0'..=b'9' => digit - b'0' + 52,
        b'-' => 62,
        b'_' => 63,
        _ => return None,
    }))
}
