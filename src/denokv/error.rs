//! Errors on their way through the trait, in both directions.

use crate::error::{Error, ErrorKind};
use deno_error::{AdditionalProperties, JsErrorBox, JsErrorClass};
use std::borrow::Cow;
use std::error::Error as StdError;
use std::iter;

impl JsErrorClass for Error {
    /// `TypeError` where the caller did wrong, as Deno has it, and otherwise `Error`.
    fn get_class(&self) -> Cow<'static, str> {
        Cow::Borrowed(if is_of_the_caller(self.kind()) {
            "TypeError"
        } else {
            "Error"
        })
    }

    fn get_message(&self) -> Cow<'static, str> {
        self.to_string().into()
    }

    fn get_additional_properties(&self) -> AdditionalProperties {
        Box::new(iter::empty())
    }

    fn get_ref(&self) -> &(dyn StdError + Send + Sync + 'static) {
        self
    }
}

fn is_of_the_caller(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::KeyEmpty
        | ErrorKind::KeyTooLarge
        | ErrorKind::KeyUnencodable
        | ErrorKind::KeyUndecodable
        | ErrorKind::ValueTooLarge
        | ErrorKind::ValueUnencodable
        | ErrorKind::ValueUndecodable
        | ErrorKind::TooManyRanges
        | ErrorKind::TooManyKeys
        | ErrorKind::TooManyEntries
        | ErrorKind::TooManyChecks
        | ErrorKind::TooManyMutations
        | ErrorKind::TotalTooLarge
        | ErrorKind::TotalKeysTooLarge
        | ErrorKind::InvalidSelector
        | ErrorKind::InvalidCursor
        | ErrorKind::CursorOutOfBounds
        | ErrorKind::InvalidVersionstamp
        | ErrorKind::InvalidExpiry
        | ErrorKind::TypeMismatch
        | ErrorKind::SumOutOfRange
        | ErrorKind::InvalidUpdate
        | ErrorKind::InvalidEnqueue
        | ErrorKind::ReadOnly
        | ErrorKind::Unsupported => true,
        // Of a limit or batch size that is zero, Deno makes a plain Error.
        _ => false,
    }
}

/// What Deno's databases say, and ours in the same words, and which kind it is. A server's text comes with
/// more around it.
const TEXTS: [(&str, ErrorKind); 19] = [
    ("Failed to perform '", ErrorKind::TypeMismatch),
    ("Cannot sum ", ErrorKind::TypeMismatch),
    ("unsupported value type", ErrorKind::TypeMismatch),
    ("Invalid sum operand", ErrorKind::TypeMismatch),
    ("exceed its range limit", ErrorKind::SumOutOfRange),
    ("Key too large", ErrorKind::KeyTooLarge),
    ("Value too large", ErrorKind::ValueTooLarge),
    ("Too many ranges", ErrorKind::TooManyRanges),
    ("Too many entries", ErrorKind::TooManyEntries),
    ("Too many keys", ErrorKind::TooManyKeys),
    ("Too many checks", ErrorKind::TooManyChecks),
    ("Too many mutations", ErrorKind::TooManyMutations),
    ("Total mutation size too large", ErrorKind::TotalTooLarge),
    ("atabase is closed", ErrorKind::Closed),
    ("engine is closed", ErrorKind::Closed),
    ("a read-only database", ErrorKind::ReadOnly),
    ("Writes are disabled", ErrorKind::ReadOnly),
    ("memory limit reached", ErrorKind::MemoryLimit),
    ("not supported in KV Connect", ErrorKind::Unsupported),
];

impl Error {
    /// What a database says, with the kind that it has there, or that its text has.
    #[cold]
    pub(super) fn from_database(error: JsErrorBox) -> Self {
        let ours = error
            .get_inner_ref()
            .and_then(|inner| inner.downcast_ref::<Self>());
        let kind = ours.map_or_else(|| kind_of(&error.to_string()), Self::kind);
        Self::of_backend(kind, error)
    }
}

fn kind_of(text: &str) -> ErrorKind {
    let known = TEXTS.iter().find(|(known, _)| text.contains(known));
    known.map_or(ErrorKind::Backend, |(_, kind)| *kind)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn an_error_of_ours_keeps_its_kind_and_its_text() {
        let error = Error::key_empty();
        let text = error.to_string();
        let boxed = JsErrorBox::from_err(error);
        assert_eq!(
            (boxed.get_class(), boxed.get_message()),
            ("TypeError".into(), text.clone().into())
        );
        let back = Error::from_database(boxed);
        assert_eq!((back.kind(), back.to_string()), (ErrorKind::KeyEmpty, text));
        assert!(back.downcast_ref::<JsErrorBox>().is_some());
    }

    #[test]
    fn an_error_of_others_has_the_kind_that_its_text_says() {
        let of = |text| Error::from_database(JsErrorBox::generic(text)).kind();
        let remote = "KV Connect failed to call 'http://kv/atomic_write' (status=400): Failed to perform 'sum' mutation on a non-U64 value in the database";
        assert_eq!(of(remote), ErrorKind::TypeMismatch);
        assert_eq!(of("Database is closed"), ErrorKind::Closed);
        assert_eq!(of("connection reset"), ErrorKind::Backend);
        assert_eq!(Error::closed().get_class(), "Error");
    }
}
