//! What a request is answered with.

use crate::watch::WatchBody;
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Response, StatusCode};
use http_body::{Frame, SizeHint};
use http_body_util::Full;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::refusal::Refusal;

/// The body of an answer.
#[derive(Debug)]
pub(crate) enum Body {
    Full(Full<Bytes>),
    Watch(Box<WatchBody>),
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            Self::Full(body) => Pin::new(body).poll_frame(context),
            Self::Watch(body) => body.poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Full(body) => body.is_end_stream(),
            Self::Watch(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Full(body) => body.size_hint(),
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
