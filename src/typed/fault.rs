//! What goes wrong between a type and a value, and where.
//!
//! A fault knows its place twice: the byte in the stored value, and the path of properties and
//! indices that leads there, which is put together on the way out and so costs nothing where all
//! goes well. It tells of numbers what they are, of texts and bytes only that they are there: values
//! may be secret, and may be huge.

use crate::error::{Error, ErrorKind};
use serde::de::{Expected, Unexpected};
use serde::{de, ser};
use std::error::Error as StdError;
use std::fmt::{self, Display};

pub(super) type Result<T> = std::result::Result<T, Fault>;

/// How much of a name that the value brings along is shown.
const SHOWN_MAX: usize = 40;

/// Behind a pointer, because it travels in every result and almost never exists.
#[derive(Debug)]
pub(super) struct Fault(Box<Place>);

#[derive(Debug)]
struct Place {
    kind: ErrorKind,
    what: String,
    /// As in `.users[3].name`.
    path: String,
    offset: Option<usize>,
}

impl Fault {
    /// The bytes are not what V8 writes, or stand for more than may be read.
    #[cold]
    pub(super) fn malformed(what: impl Into<String>, offset: usize) -> Self {
        Self::undecodable(what).at(offset)
    }

    /// As [`malformed`](Self::malformed), where whoever read the item knows its place.
    #[cold]
    pub(super) fn undecodable(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::ValueUndecodable, what.into())
    }

    /// The bytes are in order, and are of something else than is asked for.
    #[cold]
    pub(super) fn mismatch(expected: &dyn Expected, found: &str) -> Self {
        let what = format!("expected {expected}, found {found}");
        Self::new(ErrorKind::TypeMismatch, what)
    }

    /// What is to be written has no form in the bytes.
    #[cold]
    pub(super) fn unencodable(what: impl Into<String>) -> Self {
        Self::new(ErrorKind::ValueUnencodable, what.into())
    }

    #[cold]
    fn new(kind: ErrorKind, what: String) -> Self {
        Self(Box::new(Place {
            kind,
            what,
            path: String::new(),
            offset: None,
        }))
    }

    /// At this byte, unless it is known more exactly.
    #[cold]
    pub(super) fn at(mut self, offset: usize) -> Self {
        self.0.offset.get_or_insert(offset);
        self
    }

    /// Inside of a property.
    #[cold]
    pub(super) fn in_property(mut self, name: &str) -> Self {
        self.0.path = format!(".{}{}", shortened(name), self.0.path);
        self
    }

    /// Inside of an element.
    #[cold]
    pub(super) fn in_element(mut self, index: usize) -> Self {
        self.0.path = format!("[{index}]{}", self.0.path);
        self
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Self {
        let Place {
            kind,
            what,
            path,
            offset,
        } = *fault.0;
        let path = path.strip_prefix('.').unwrap_or(&path);
        let place = match (path, offset) {
            ("", None) => String::new(),
            ("", Some(offset)) => format!(" at byte {offset}"),
            (path, None) => format!(" at {path}"),
            (path, Some(offset)) => format!(" at {path} (byte {offset})"),
        };
        Self::value_refused(kind, what + &place)
    }
}

/// The first letters of a name.
fn shortened(name: &str) -> String {
    let mut letters = name.chars();
    let mut shown: String = letters.by_ref().take(SHOWN_MAX).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// What is there in JavaScript's words.
fn found(thing: Unexpected<'_>) -> String {
    let word = match thing {
        Unexpected::Bool(it) => return it.to_string(),
        Unexpected::Unsigned(number) => return format!("the number {number}"),
        Unexpected::Signed(number) => return format!("the number {number}"),
        Unexpected::Float(number) => return format!("the number {number:?}"),
        Unexpected::Other(what) => return shortened(what),
        Unexpected::Char(_) | Unexpected::Str(_) => "a string",
        Unexpected::Bytes(_) => "bytes",
        Unexpected::Unit | Unexpected::Option => "null or undefined",
        Unexpected::Seq => "an array or a set",
        Unexpected::Map => "an object or a map",
        Unexpected::NewtypeStruct => "a newtype",
        Unexpected::Enum | Unexpected::UnitVariant => "a variant",
        Unexpected::NewtypeVariant | Unexpected::TupleVariant | Unexpected::StructVariant => {
            "a variant with content"
        }
    };
    word.to_owned()
}

impl de::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(ErrorKind::TypeMismatch, message.to_string())
    }

    fn invalid_type(thing: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(expected, &found(thing))
    }

    fn invalid_value(thing: Unexpected<'_>, expected: &dyn Expected) -> Self {
        Self::mismatch(expected, &found(thing))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let variant = shortened(variant);
        de::Error::custom(format_args!(
            "no variant is called {variant:?}, expected one of {expected:?}"
        ))
    }

    fn unknown_field(field: &str, expected: &'static [&'static str]) -> Self {
        let field = shortened(field);
        de::Error::custom(format_args!(
            "no field is called {field:?}, expected one of {expected:?}"
        ))
    }
}

impl ser::Error for Fault {
    fn custom<T: Display>(message: T) -> Self {
        Self::new(ErrorKind::ValueUnencodable, message.to_string())
    }
}

impl Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.what)
    }
}

impl StdError for Fault {}
