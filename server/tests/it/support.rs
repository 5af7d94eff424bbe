//! A server on a free port, and a client that says what it is told to.

use bytes::Bytes;
use denokv_proto::datapath as pb;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kvick::Kv;
use kvick_server::{AccessToken, Options, ServeError, Server};
use prost::Message;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const TOKEN: &str = "correct-horse-battery";

/// How long anything may take that is waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Which protocol a client speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Http {
    One,
    /// With prior knowledge.
    Two,
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("it is text")
    }

    pub(crate) fn content_type(&self) -> &str {
        let content_type = self.headers.get("content-type");
        content_type.map_or("", |it| it.to_str().expect("it is text"))
    }

    /// The message of an answer that is none of a refusal.
    #[track_caller]
    pub(crate) fn message<M: Message + Default>(&self) -> M {
        assert_eq!(self.status, StatusCode::OK, "{:?}", self.body);
        assert_eq!(self.content_type(), "application/x-protobuf");
        M::decode(&self.body[..]).expect("it is a message")
    }

    /// That it is a refusal with this status, and a sentence that says this.
    #[track_caller]
    pub(crate) fn assert_refused(&self, status: u16, says: &str) {
        assert_eq!(self.status.as_u16(), status, "{:?}", self.body);
        assert_eq!(self.content_type(), "text/plain; charset=utf-8");
        assert!(
            self.text().contains(says),
            "{:?}, and not {says:?}",
            self.text()
        );
    }
}

/// A server.
pub(crate) struct Served {
    pub(crate) kv: Kv,
    pub(crate) address: SocketAddr,
    pub(crate) id: String,
    client: Client<HttpConnector, Full<Bytes>>,
    shutdown: Option<oneshot::Sender<()>>,
    ended: JoinHandle<Result<(), ServeError>>,
}

pub(crate) fn options() -> Options {
    let mut options = Options::default();
    options.access_token = Some(AccessToken::new(TOKEN).expect("it is long enough"));
    options
}

fn client(http: Http) -> Client<HttpConnector, Full<Bytes>> {
    let mut connector = HttpConnector::new();
    // A request is more than one packet, and the next is not to wait for the first.
    connector.set_nodelay(true);
    Client::builder(TokioExecutor::new())
        .http2_only(http == Http::Two)
        .build(connector)
}

impl Served {
    pub(crate) async fn start() -> Self {
        let kv = Kv::new();
        Self::start_with(Server::new(kv.clone(), options()), kv).await
    }

    /// A server, of this database at `/`.
    pub(crate) async fn start_with(server: Server, kv: Kv) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0")
            .await
            .expect("there is a port");
        let address = listener.local_addr().expect("it has one");
        let (shutdown, stopped) = oneshot::channel();
        let ended = tokio::spawn(server.serve(listener, async {
            let _ = stopped.await;
        }));
        let mut started = Self {
            kv,
            address,
            id: String::new(),
            client: client(Http::Two),
            shutdown: Some(shutdown),
            ended,
        };
        let metadata = started.metadata("/").await;
        metadata["databaseId"]
            .as_str()
            .expect("a text")
            .clone_into(&mut started.id);
        started
    }

    /// Goes on with this protocol.
    pub(crate) fn speak(&mut self, http: Http) {
        self.client = client(http);
    }

    /// Ends the server, and waits for that.
    pub(crate) async fn stop(&mut self) {
        drop(self.shutdown.take());
        let ended = tokio::time::timeout(PATIENCE, &mut self.ended).await;
        ended
            .expect("it ends")
            .expect("it does not panic")
            .expect("nothing fails");
    }

    /// Drops what serves.
    pub(crate) async fn give_up(&mut self) {
        self.ended.abort();
        let ended = tokio::time::timeout(PATIENCE, &mut self.ended).await;
        assert!(ended.expect("it ends").is_err(), "it is given up");
    }

    /// Has it ended from now on, without waiting.
    pub(crate) fn end(&mut self) {
        drop(self.shutdown.take());
    }

    pub(crate) async fn request(&self, request: Request<Full<Bytes>>) -> http::Response<Incoming> {
        let answered = tokio::time::timeout(PATIENCE, self.client.request(request)).await;
        answered
            .expect("there is an answer")
            .expect("the connection lasts")
    }

    pub(crate) async fn ask(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answer {
        let uri = format!("http://{}{path}", self.address);
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request
            .body(Full::new(body.into()))
            .expect("it is a request");
        let (head, body) = self.request(request).await.into_parts();
        let body = body
            .collect()
            .await
            .expect("the connection lasts")
            .to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body,
        }
    }

    /// The metadata of the database at this path.
    pub(crate) async fn metadata(&self, path: &str) -> Value {
        let versions = json!({ "supportedVersions": [1, 2, 3] }).to_string();
        let authorization = format!("Bearer {TOKEN}");
        let headers = [("authorization", &authorization[..])];
        let answer = self.ask(Method::POST, path, &headers, versions).await;
        assert_eq!(answer.status, StatusCode::OK, "{:?}", answer.body);
        serde_json::from_slice(&answer.body).expect("it is JSON")
    }

    /// A data request as it should be.
    pub(crate) async fn post(&self, path: &str, body: impl Into<Bytes>) -> Answer {
        let authorization = format!("Bearer {TOKEN}");
        let headers = [
            ("authorization", &authorization[..]),
            ("x-denokv-version", "3"),
            ("x-denokv-database-id", &self.id),
        ];
        self.ask(Method::POST, path, &headers, body).await
    }

    pub(crate) async fn read(&self, ranges: Vec<pb::ReadRange>) -> Answer {
        let body = pb::SnapshotRead { ranges }.encode_to_vec();
        self.post("/v2/snapshot_read", body).await
    }

    pub(crate) async fn write(&self, write: &pb::AtomicWrite) -> Answer {
        self.post("/v2/atomic_write", write.encode_to_vec()).await
    }

    /// One mutation.
    pub(crate) async fn mutate(&self, mutation: pb::Mutation) -> Answer {
        self.write(&pb::AtomicWrite {
            mutations: vec![mutation],
            ..pb::AtomicWrite::default()
        })
        .await
    }

    /// A watch, which goes on.
    pub(crate) async fn watch(&self, keys: &[&[u8]]) -> Frames {
        self.watch_at("", keys).await
    }

    /// A watch of the database at this path.
    pub(crate) async fn watch_at(&self, path: &str, keys: &[&[u8]]) -> Frames {
        let keys = keys.iter().map(|key| pb::WatchKey { key: key.to_vec() });
        let body = pb::Watch {
            keys: keys.collect(),
        }
        .encode_to_vec();
        let request = Request::post(format!("http://{}{path}/v2/watch", self.address))
            .header("authorization", format!("Bearer {TOKEN}"))
            .header("x-denokv-version", "3")
            .header("x-denokv-database-id", &self.id)
            .body(Full::new(body.into()))
            .expect("it is a request");
        let response = self.request(request).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()["content-type"],
            "application/octet-stream"
        );
        Frames {
            body: response.into_body(),
            bytes: Vec::new(),
        }
    }
}

/// The frames of a watch.
pub(crate) struct Frames {
    body: Incoming,
    bytes: Vec<u8>,
}

impl Frames {
    /// The next frame, empty ones too; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some((length, rest)) = self.bytes.split_first_chunk::<4>() {
                let length = u32::from_le_bytes(*length) as usize;
                if rest.len() >= length {
                    let frame = rest[..length].to_vec();
                    self.bytes.drain(..4 + length);
                    return Some(frame);
                }
            }
            let more = tokio::time::timeout(PATIENCE, self.body.frame()).await;
            let more = more
                .expect("something comes")?
                .expect("the connection lasts");
            self.bytes.extend(more.into_data().expect("it is data"));
        }
    }

    /// The next frame that says something.
    pub(crate) async fn change(&mut self) -> pb::WatchOutput {
        loop {
            let frame = self.next().await.expect("it goes on");
            if !frame.is_empty() {
                return pb::WatchOutput::decode(&frame[..]).expect("it is a message");
            }
        }
    }
}

/// The range of one key, as clients ask for it.
pub(crate) fn one(key: &[u8]) -> pb::ReadRange {
    range(key, &[key, &[0]].concat(), 1)
}

pub(crate) fn range(start: &[u8], end: &[u8], limit: i32) -> pb::ReadRange {
    pb::ReadRange {
        start: start.to_vec(),
        end: end.to_vec(),
        limit,
        reverse: false,
    }
}

pub(crate) fn value(data: &[u8], encoding: i32) -> pb::KvValue {
    pb::KvValue {
        data: data.to_vec(),
        encoding,
    }
}

pub(crate) fn set(key: &[u8], data: &[u8]) -> pb::Mutation {
    pb::Mutation {
        key: key.to_vec(),
        value: Some(value(data, 3)),
        mutation_type: 1,
        ..pb::Mutation::default()
    }
}
