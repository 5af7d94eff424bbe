//! What the database of a client says.

use super::{Cause, Error, ErrorKind, Source};

impl Error {
    /// An error of another database's, or one of ours that has come through it.
    #[cold]
    pub(crate) fn of_backend(kind: ErrorKind, source: impl Into<Source>) -> Self {
        let source = source.into();
        Cause::Backend { kind, source }.into()
    }

    /// An answer that is none to what was asked.
    #[cold]
    pub(crate) fn unexpected(what: &'static str) -> Self {
        Self::of_backend(ErrorKind::Backend, format!("unexpected answer: {what}"))
    }

    pub(crate) fn unsupported(what: &'static str) -> Self {
        Cause::Text(ErrorKind::Unsupported, what).into()
    }
}
