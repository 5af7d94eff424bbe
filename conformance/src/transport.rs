//! HTTP for `denokv_remote`, which leaves it to its user.

use bytes::Bytes;
use deno_error::JsErrorBox;
use denokv_remote::{RemotePermissions, RemoteResponse, RemoteTransport};
use futures::Stream;
use futures::stream::{StreamExt, poll_fn};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use std::error::Error;
use tokio::sync::mpsc;
use url::Url;

/// Lets it call any address.
#[derive(Clone)]
pub(crate) struct Anywhere;

impl RemotePermissions for Anywhere {
    fn check_net_url(&self, _url: &Url) -> Result<(), JsErrorBox> {
        Ok(())
    }
}

/// A client of HTTP that keeps its connections.
#[derive(Clone)]
pub(crate) struct Transport {
    http: Client<HttpConnector, Full<Bytes>>,
}

impl Transport {
    pub(crate) fn new() -> Self {
        Self {
            http: Client::builder(TokioExecutor::new()).build_http(),
        }
    }
}

fn failed(error: impl Into<Box<dyn Error + Send + Sync>>) -> JsErrorBox {
    JsErrorBox::generic(error.into().to_string())
}

/// The body of an answer, as it comes.
pub(crate) struct Body {
    chunks: mpsc::Receiver<Result<Bytes, JsErrorBox>>,
}

impl RemoteTransport for Transport {
    type Response = Body;

    async fn post(
        &self,
        url: Url,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<(Url, StatusCode, Body), JsErrorBox> {
        let mut request = Request::post(url.as_str())
            .body(Full::new(body))
            .map_err(failed)?;
        *request.headers_mut() = headers;
        let http = self.http.clone();
        // In tasks of their own, because the trait wants what is waited for here to be `Sync`.
        let answer = tokio::spawn(async move { http.request(request).await });
        let answer = answer.await.map_err(failed)?.map_err(failed)?;
        let status = answer.status();
        let (send, chunks) = mpsc::channel(1);
        tokio::spawn(async move {
            let mut body = answer.into_body();
            while let Some(frame) = body.frame().await {
                let chunk = match frame {
                    Ok(frame) => frame.into_data().map_err(|_| failed("a trailer")),
                    Err(error) => Err(failed(error)),
                };
                if send.send(chunk).await.is_err() {
                    return;
                }
            }
        });
        Ok((url, status, Body { chunks }))
    }
}

impl RemoteResponse for Body {
    async fn bytes(mut self) -> Result<Bytes, JsErrorBox> {
        let mut bytes = Vec::new();
        while let Some(chunk) = self.chunks.recv().await {
            bytes.extend_from_slice(&chunk?);
        }
        Ok(bytes.into())
    }

    async fn text(self) -> Result<String, JsErrorBox> {
        let bytes = self.bytes().await?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    fn stream(mut self) -> impl Stream<Item = Result<Bytes, JsErrorBox>> + Send + Sync {
        poll_fn(move |context| self.chunks.poll_recv(context)).fuse()
    }
}
