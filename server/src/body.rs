//! What a request is answered with.

use crate::activity::Activity;
use crate::watch::WatchBody;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::refusal::Refusal;

/// What is handed over to the connection at once. More of an answer waits here until that is taken: a connection
/// holds no more of it, and is seen to go on.
const PIECE_BYTES: usize = 64 << 10;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    Full(Full),
    Watch(Box<WatchBody>),
}

/// What is there from the beginning.
#[derive(Debug, Default)]
pub(crate) struct Full {
    rest: Bytes,
    /// Of its connection, where there is more than one piece.
    activity: Option<Arc<Activity>>,
}

impl Full {
    fn new(bytes: Bytes) -> Self {
        Self {
            rest: bytes,
            activity: None,
        }
    }

    /// Says of its connection when something of it is taken.
    pub(crate) fn goes_over(&mut self, activity: &Arc<Activity>) {
        if self.rest.len() > PIECE_BYTES {
            self.activity = Some(Arc::clone(activity));
        }
    }

    fn next(&mut self) -> Option<Frame<Bytes>> {
        if self.rest.is_empty() {
            return None;
        }
        if let Some(activity) = &self.activity {
            activity.go_on();
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE_BYTES));
        Some(Frame::data(piece))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Full(body) => Poll::Ready(body.next().map(Ok)),
            Self::Watch(body) => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(body) => body.rest.is_empty(),
            Self::Watch(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(body) => SizeHint::with_exact(body.rest.len() as u64),
            Self::Watch(_) => SizeHint::default(),
        }
    }
}

pub(crate) const PROTOBUF: &str = "application/x-protobuf";
/// Exactly this: `@deno/kv` refuses it with a charset (spec 8.2).
pub(crate) const JSON: &str = "application/json";
pub(crate) const TEXT: &str = "text/plain; charset=utf-8";
const OCTETS: &str = "application/octet-stream";

/// Leaves out the body, of which only the head was asked for. (Over HTTP/1.1 hyper does so, too.)
pub(crate) fn leave_out(response: &mut Response<Body>) {
    let length = http_body::Body::size_hint(response.body()).exact();
    *response.body_mut() = Body::Full(Full::default());
    if let Some(length) = length {
        let headers = response.headers_mut();
        headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    }
}

/// An answer of this type.
pub(crate) fn answer(
    status: StatusCode,
    content_type: &'static str,
    body: impl Into<Bytes>,
) -> Response<Body> {
    with_type(status, content_type, Body::Full(Full::new(body.into())))
}

/// A watch, which goes on.
pub(crate) fn watching(body: WatchBody) -> Response<Body> {
    let mut response = with_type(StatusCode::OK, OCTETS, Body::Watch(Box::new(body)));
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn with_type(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

impl From<Refusal> for Response<Body> {
    fn from(refusal: Refusal) -> Self {
        answer(refusal.status, TEXT, refusal.text.into_owned())
    }
}
