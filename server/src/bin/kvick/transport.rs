//! How requests reach a server: HTTP/2 with prior knowledge, and over TLS what the server chooses.
//!
//! `denokv_remote` asks again, without an end, where there is no answer or one of 5xx, and tells nobody why. What
//! went wrong last is remembered here, for whoever gives up. A write whose answer was lost is not sent again: it
//! would be done twice, or fail its own checks, and be taken for one that did not happen. It is answered from
//! here, as refused.

use bytes::Bytes;
use deno_error::JsErrorBox;
use denokv_remote::{RemotePermissions, RemoteResponse, RemoteTransport};
use futures_core::Stream;
use http::{HeaderMap, HeaderValue, Request, StatusCode};
use http_body_util::{BodyExt, Collected, Either, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use std::error::Error;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;
use url::Url;

/// Of one answer: a thousand entries of 64 KiB, and as much again.
const ANSWER_BYTES_MAX: usize = 1 << 27;

/// After which a connection whose other end says nothing is given up: a watch may be silent for long.
const SILENCE_MAX: Duration = Duration::from_secs(20);

/// What went wrong last, if nothing has gone right since.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trouble(Arc<Mutex<Option<String>>>);

impl Trouble {
    fn set(&self, what: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = what;
    }

    pub(crate) fn last(&self) -> Option<String> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[derive(Clone)]
enum Http {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

/// The way to one server.
#[derive(Clone)]
pub(crate) struct Transport {
    http: Http,
    trouble: Trouble,
}

impl Transport {
    pub(crate) fn new(url: &Url) -> io::Result<Self> {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.enforce_http(false);
        let mut builder = Client::builder(TokioExecutor::new());
        builder.timer(TokioTimer::new());
        builder.pool_timer(TokioTimer::new());
        builder.http2_keep_alive_interval(SILENCE_MAX / 2);
        builder.http2_keep_alive_timeout(SILENCE_MAX / 2);
        let http = if url.scheme() == "https" {
            let connector = HttpsConnectorBuilder::new()
                .with_provider_and_native_roots(rustls::crypto::ring::default_provider())?
                .https_only()
                .enable_all_versions()
                .wrap_connector(connector);
            Http::Tls(builder.build(connector))
        } else {
            Http::Plain(builder.http2_only(true).build(connector))
        };
        Ok(Self {
            http,
            trouble: Trouble::default(),
        })
    }

    pub(crate) fn trouble(&self) -> Trouble {
        self.trouble.clone()
    }

    async fn send(
        &self,
        url: &Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<http::Response<Incoming>, Unsent> {
        let request = Request::post(url.as_str()).body(Full::new(body));
        let mut request = request.map_err(|error| Unsent::never(error.to_string()))?;
        *request.headers_mut() = headers;
        let sent = match (&self.http, url.scheme()) {
            (Http::Plain(client), "http") => client.request(request).await,
            (Http::Tls(client), "https") => client.request(request).await,
            // A token that was meant for TLS is not sent without.
            _ => {
                let what = format!("{url} has another scheme than the database");
                return Err(Unsent::never(what));
            }
        };
        sent.map_err(|error| Unsent {
            is_known: error.is_connect(),
            what: causes(&error),
        })
    }

    async fn answered(
        self,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(Url, StatusCode, Answer), JsErrorBox> {
        let response = match self.send(&url, headers, body).await {
            Ok(response) => response,
            Err(unsent) => {
                self.trouble.set(Some(unsent.what.clone()));
                if is_write(&url) && !unsent.is_known {
                    return Ok(self.doubtful(url, &unsent.what));
                }
                return Err(JsErrorBox::generic(unsent.what));
            }
        };
        let status = response.status();
        let (head, body) = response.into_parts();
        let mut body = Either::Left(body);
        if is_write(&url) && status.is_server_error() {
            let why = format!("it answers {status}");
            self.trouble.set(Some(why.clone()));
            let told = match status {
                StatusCode::SERVICE_UNAVAILABLE => sentence(body).await,
                _ => Bytes::new(),
            };
            if !is_not_done(&told) {
                return Ok(self.doubtful(url, &why));
            }
            body = Either::Right(Full::new(told));
        }
        self.trouble.set(if status.is_success() {
            None
        } else if status.is_redirection() {
            let to = head.headers.get("location");
            let to = to.map_or("elsewhere".into(), |to| {
                String::from_utf8_lossy(to.as_bytes())
            });
            // It may be somebody else's, and is not to be shown the token.
            Some(format!(
                "it redirects to {to}, which has to be said to be gone to"
            ))
        } else {
            Some(format!("it answers {status}"))
        });
        let answer = Answer {
            body,
            is_write: is_write(&url),
            trouble: self.trouble,
        };
        Ok((url, status, answer))
    }

    /// The answer to a write of which nobody knows whether it was done: one after which it is not sent again.
    fn doubtful(self, url: Url, why: &str) -> (Url, StatusCode, Answer) {
        let text = format!("{why} ({NOT_KNOWN})");
        let answer = Answer {
            body: Either::Right(Full::new(text.into())),
            is_write: true,
            trouble: self.trouble,
        };
        (url, StatusCode::BAD_REQUEST, answer)
    }
}

/// Whether it is what kvick says of a write that it has not done: because it ends, or for want of memory. A proxy
/// answers by the same status where it does not know.
fn is_not_done(told: &[u8]) -> bool {
    let begins = [&b"the server is shutting down"[..], b"out of memory: "];
    begins.iter().any(|begin| told.starts_with(begin))
}

/// An answer that is a sentence, if it comes at once.
async fn sentence(body: Either<Incoming, Full<Bytes>>) -> Bytes {
    let all = Limited::new(body, 4 << 10).collect();
    match timeout(Duration::from_secs(1), all).await {
        Ok(Ok(all)) => all.to_bytes(),
        _ => Bytes::new(),
    }
}

/// What is said of a write of which that is so.
pub(crate) const NOT_KNOWN: &str = "whether it was written is not known";

/// Why nothing came of a request.
struct Unsent {
    what: String,
    /// Whether it is known that the server has not had it.
    is_known: bool,
}

impl Unsent {
    fn never(what: String) -> Self {
        let is_known = true;
        Self { what, is_known }
    }
}

fn is_write(url: &Url) -> bool {
    url.path().ends_with("/atomic_write")
}

/// An error and what it comes from.
fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

impl RemoteTransport for Transport {
    type Response = Answer;

    // The future has to be `Sync`, which those of hyper are not: a task is between.
    fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> impl Future<Output = Result<(Url, StatusCode, Answer), JsErrorBox>> + Send + Sync {
        let answered = self.clone().answered(url, headers, body);
        let task = AbortOnDropHandle::new(tokio::spawn(answered));
        async move {
            task.await
                .map_err(|error| JsErrorBox::generic(error.to_string()))?
        }
    }
}

/// The body of an answer.
pub(crate) struct Answer {
    body: Either<Incoming, Full<Bytes>>,
    /// Whether it is that to a write.
    is_write: bool,
    trouble: Trouble,
}

async fn collected(answer: Answer) -> Result<Bytes, JsErrorBox> {
    let body = Limited::new(answer.body, ANSWER_BYTES_MAX).collect().await;
    body.map(Collected::to_bytes).map_err(|error| {
        let mut error = error.to_string();
        if answer.is_write {
            error = format!("{error} ({NOT_KNOWN})");
        }
        answer.trouble.set(Some(error.clone()));
        JsErrorBox::generic(error)
    })
}

impl RemoteResponse for Answer {
    fn bytes(self) -> impl Future<Output = Result<Bytes, JsErrorBox>> + Send + Sync {
        let task = AbortOnDropHandle::new(tokio::spawn(collected(self)));
        async move {
            task.await
                .map_err(|error| JsErrorBox::generic(error.to_string()))?
        }
    }

    fn text(self) -> impl Future<Output = Result<String, JsErrorBox>> + Send + Sync {
        let bytes = self.bytes();
        async move {
            let text = String::from_utf8_lossy(&bytes.await?).into_owned();
            // denokv_remote would panic over a token that fits into no header.
            let metadata: Option<Token> = serde_json::from_str(&text).ok();
            match metadata {
                Some(Token { token }) if HeaderValue::try_from(&token).is_err() => {
                    Err(JsErrorBox::generic("the token of the metadata is none"))
                }
                _ => Ok(text),
            }
        }
    }

    fn stream(self) -> impl Stream<Item = Result<Bytes, JsErrorBox>> + Send + Sync {
        let (sender, pieces) = mpsc::channel(4);
        let task = tokio::spawn(async move {
            let mut body = self.body;
            while let Some(frame) = body.frame().await {
                let piece = match frame {
                    Ok(frame) => frame.into_data().ok().map(Ok),
                    Err(error) => Some(Err(JsErrorBox::generic(causes(&*error)))),
                };
                if let Some(piece) = piece
                    && sender.send(piece).await.is_err()
                {
                    break;
                }
            }
        });
        Pieces {
            pieces,
            _task: AbortOnDropHandle::new(task),
        }
    }
}

/// Of metadata, what is looked at here.
#[derive(serde::Deserialize)]
struct Token {
    token: String,
}

struct Pieces {
    pieces: mpsc::Receiver<Result<Bytes, JsErrorBox>>,
    _task: AbortOnDropHandle<()>,
}

impl Stream for Pieces {
    type Item = Result<Bytes, JsErrorBox>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.pieces.poll_recv(context)
    }
}

/// Whatever the user says may be reached.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Anywhere;

impl RemotePermissions for Anywhere {
    fn check_net_url(&self, _url: &Url) -> Result<(), JsErrorBox> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::is_not_done;

    #[test]
    fn only_what_kvick_says_of_a_write_is_believed() {
        assert!(is_not_done(b"the server is shutting down"));
        for other in [
            &b""[..],
            b"upstream connect error or disconnect/reset",
            b"busy",
        ] {
            assert!(!is_not_done(other), "{}", other.escape_ascii());
        }
    }
}
