//! What a request is answered with that is not done: a status and a sentence.

use http::StatusCode;
use kvick::ErrorKind;
use std::borrow::Cow;

/// A request that is refused. Clients repeat what is answered by a status of 500 or more, the Deno runtime
/// forever (spec 8.6): so that is only for what may pass by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) text: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, text: impl Into<Cow<'static, str>>) -> Self {
        let text = text.into();
        Self { status, text }
    }

    /// The client has asked for what there is not.
    pub(crate) fn bad(text: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(crate) fn unauthorized(text: &'static str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, text)
    }

    /// The server is about to end.
    pub(crate) fn shutting_down() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "the server is shutting down",
        )
    }

    /// More than there may be, of something that is limited by the server.
    pub(crate) fn too_many(what: &str, max: usize, got: usize) -> Self {
        Self::bad(format!("{what} (max {max}): got {got}"))
    }
}

impl From<kvick::Error> for Refusal {
    fn from(error: kvick::Error) -> Self {
        let status = match error.kind() {
            ErrorKind::Closed => return Self::shutting_down(),
            // What would be refused again, until something is deleted. A status of 507 would be repeated
            // forever.
            ErrorKind::MemoryLimit | ErrorKind::EntryLimit => StatusCode::TOO_MANY_REQUESTS,
            ErrorKind::OutOfMemory => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<prost::DecodeError> for Refusal {
    fn from(error: prost::DecodeError) -> Self {
        Self::bad(format!("the body is not the message of this path: {error}"))
    }
}
