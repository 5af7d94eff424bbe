//! From a request to its answer.
//!
//! What is wrong with a request is looked for in the order of the reference server (spec 8.3), so that clients
//! are told the same first: the path, the version, the authorization, the database, the method, the size,
//! the message, and what it asks for.

use crate::access::Access;
use crate::body::{self, Body, JSON, PROTOBUF, TEXT};
use crate::databases::{Database, DatabaseName, Databases};
use crate::ending::Ending;
use crate::metadata;
use crate::numbers::{Numbers, Operation};
use crate::options::Options;
use crate::read::snapshot_read;
use crate::refusal::Refusal;
use crate::watch::WatchBody;
use crate::write::atomic_write;
use bytes::Bytes;
use http::header::{ALLOW, CONNECTION, CONTENT_LENGTH};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, Version};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use std::error::Error as StdError;
use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const VERSION: &str = "x-denokv-version";
const DATABASE_ID: &str = "x-denokv-database-id";

/// What is answered before all of the request was read.
const LEAVES_THE_REST: [StatusCode; 2] =
    [StatusCode::REQUEST_TIMEOUT, StatusCode::PAYLOAD_TOO_LARGE];

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Path {
    Health,
    Numbers,
    Metadata(DatabaseName),
    Data(DatabaseName, Data),
}

/// What is asked of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Data {
    Read,
    Write,
    Watch,
}

impl Path {
    fn of(path: &str) -> Option<Self> {
        let mut segments = path.strip_prefix('/')?.split('/');
        let first = segments.next().unwrap_or_default();
        // No path has more than three.
        match (first, [segments.next(), segments.next(), segments.next()]) {
            ("healthz", [None, ..]) => Some(Self::Health),
            ("metrics", [None, ..]) => Some(Self::Numbers),
            ("", [None, ..]) => Some(Self::Metadata(DatabaseName::default())),
            ("v2", [Some(operation), None, _]) => {
                Some(Self::Data(DatabaseName::default(), Data::of(operation)?))
            }
            (name, [None, ..] | [Some(""), None, _]) => DatabaseName::of(name).map(Self::Metadata),
            (name, [Some("v2"), Some(operation), None]) => {
                Some(Self::Data(DatabaseName::of(name)?, Data::of(operation)?))
            }
            _ => None,
        }
    }

    fn operation(&self) -> Operation {
        match self {
            Self::Health | Self::Numbers => Operation::Look,
            Self::Metadata(_) => Operation::Metadata,
            Self::Data(_, Data::Read) => Operation::SnapshotRead,
            Self::Data(_, Data::Write) => Operation::AtomicWrite,
            Self::Data(_, Data::Watch) => Operation::Watch,
        }
    }
}

impl Data {
    fn of(segment: &str) -> Option<Self> {
        match segment {
            "snapshot_read" => Some(Self::Read),
            "atomic_write" => Some(Self::Write),
            "watch" => Some(Self::Watch),
            _ => None,
        }
    }
}

/// What all connections of a server share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) databases: Databases,
    pub(crate) access: Access,
    pub(crate) options: Options,
    pub(crate) numbers: Numbers,
    /// Is cancelled when the server is to end.
    pub(crate) ending: CancellationToken,
    /// Is cancelled when nobody is to be served any more.
    pub(crate) cut: CancellationToken,
}

impl Service {
    /// Answers a request. Never fails: what goes wrong is an answer, too.
    pub(crate) async fn respond<B>(self: Arc<Self>, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let path = Path::of(request.uri().path());
        let operation = path.as_ref().map_or(Operation::Unknown, Path::operation);
        let (head, body) = request.into_parts();
        let mut body = Some(body);
        let response = match path {
            Some(path) => self.answer(path, &head, &mut body).await,
            None => Err(Refusal::new(
                StatusCode::NOT_FOUND,
                "there is nothing at this path",
            )),
        };
        let mut response = response.unwrap_or_else(Response::from);
        let is_read = match body {
            Some(body) => self.pass_by(&head.headers, body).await,
            None => !LEAVES_THE_REST.contains(&response.status()),
        };
        if !is_read && head.version < Version::HTTP_2 {
            // What is left of it would be taken for the next request, so there can be none.
            let headers = response.headers_mut();
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if head.method == Method::HEAD {
            body::leave_out(&mut response);
        }
        self.numbers.count(operation, response.status());
        response
    }

    /// Takes the body, if it comes to that.
    async fn answer<B>(
        &self,
        path: Path,
        head: &Parts,
        body: &mut Option<B>,
    ) -> Result<Response<Body>, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        match path {
            Path::Health => {
                if !is_look(&head.method) {
                    return Ok(not_allowed("GET, HEAD"));
                }
                if self.ending.is_cancelled() {
                    return Err(Refusal::shutting_down());
                }
                Ok(body::answer(StatusCode::OK, TEXT, "ok\n"))
            }
            Path::Numbers => {
                self.access.check(&head.headers)?;
                if !is_look(&head.method) {
                    return Ok(not_allowed("GET, HEAD"));
                }
                let text = self.numbers.render(&self.databases);
                Ok(body::answer(
                    StatusCode::OK,
                    "text/plain; version=0.0.4",
                    text,
                ))
            }
            Path::Metadata(name) => {
                if head.method != Method::POST {
                    return Ok(not_allowed("POST"));
                }
                let max = metadata::REQUEST_BYTES_MAX.min(self.options.body_bytes_max);
                let body = self.read_body(&head.headers, body, max).await?;
                let version = metadata::version_of(&body, &head.headers, &self.access)?;
                let database = self.databases.find_or_make(&name)?;
                let answer = metadata::answer(version, &name, &database, &self.access)?;
                Ok(body::answer(StatusCode::OK, JSON, answer))
            }
            Path::Data(name, data) => {
                let database = self.database(&name, &head.headers)?;
                if head.method != Method::POST {
                    return Ok(not_allowed("POST"));
                }
                let max = self.options.body_bytes_max;
                let body = self.read_body(&head.headers, body, max).await?;
                self.data(&database, data, body)
            }
        }
    }

    /// The database that a data request is for, once it has shown all that it has to.
    fn database(&self, name: &DatabaseName, headers: &HeaderMap) -> Result<Arc<Database>, Refusal> {
        let version = headers
            .get(VERSION)
            .and_then(|version| version.to_str().ok());
        if !matches!(version, Some("2" | "3")) {
            return Err(Refusal::bad("the header x-denokv-version is not 2 or 3"));
        }
        self.access.check(headers)?;
        let id = headers
            .get(DATABASE_ID)
            .and_then(|id| Uuid::parse_str(id.to_str().ok()?).ok());
        let id = id.ok_or_else(|| {
            Refusal::bad("the header x-denokv-database-id is missing, or is no UUID")
        })?;
        let found = self.databases.find(name);
        let known = found.as_ref().map_or_else(|| name.id(), |one| one.id());
        if id != known {
            // With this word the Deno runtime asks for the metadata again, at once (spec 8.6).
            return Err(Refusal::bad("this authorization is for another database"));
        }
        // It is not there any more where the server was started again since, or it was closed.
        found.map_or_else(|| self.databases.find_or_make(name), Ok)
    }

    fn data(
        &self,
        database: &Arc<Database>,
        data: Data,
        body: Bytes,
    ) -> Result<Response<Body>, Refusal> {
        let kv = database.kv();
        let answer = match data {
            Data::Read => snapshot_read(kv, body)?,
            Data::Write => atomic_write(kv, &self.options, body)?,
            Data::Watch => {
                let ending = Ending::of(&self.ending);
                let keep_alive = self.options.watch_keep_alive;
                let body = WatchBody::begin(database, body, keep_alive, ending)?;
                return Ok(body::watching(body));
            }
        };
        Ok(body::answer(StatusCode::OK, PROTOBUF, answer))
    }

    /// Reads the rest of a request that is answered without it, if it is not too large and does not take too
    /// long; whether it was that. A connection that is closed on what was not read takes the answer with it.
    async fn pass_by<B>(&self, headers: &HeaderMap, body: B) -> bool
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let max = self.options.body_bytes_max;
        if body.is_end_stream() {
            return true;
        }
        if told_length(headers).is_some_and(|told| told > max as u64) {
            return false;
        }
        let mut body = pin!(Limited::new(body, max));
        let all = async {
            loop {
                match body.frame().await {
                    None => return true,
                    Some(Err(_)) => return false,
                    Some(Ok(_)) => {}
                }
            }
        };
        // What comes later is not read.
        timeout(self.options.body_timeout, all)
            .await
            .unwrap_or(false)
    }

    /// The body of a request, if it is not too large and does not take too long.
    async fn read_body<B>(
        &self,
        headers: &HeaderMap,
        body: &mut Option<B>,
        max: usize,
    ) -> Result<Bytes, Refusal>
    where
        B: http_body::Body<Data = Bytes>,
        B::Error: Into<Box<dyn StdError + Send + Sync>>,
    {
        let too_large = || {
            let text = format!("the body of the request is too large (max {max} bytes)");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, text)
        };
        if told_length(headers).is_some_and(|told| told > max as u64) {
            // The rest of it is not read either.
            *body = None;
            return Err(too_large());
        }
        let Some(body) = body.take() else {
            return Ok(Bytes::new());
        };
        let mut collecting = pin!(Limited::new(body, max).collect());
        // Most often all of it has come with the head, and there is no time to be taken.
        let collected =
            match poll_fn(|context| Poll::Ready(collecting.as_mut().poll(context))).await {
                Poll::Ready(collected) => Ok(collected),
                Poll::Pending => timeout(self.options.body_timeout, collecting).await,
            };
        match collected {
            Ok(Ok(body)) => Ok(body.to_bytes()),
            Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
            Ok(Err(error)) => Err(Refusal::bad(format!("the body cannot be read: {error}"))),
            Err(_) => {
                let took = self.options.body_timeout;
                let text = format!("the body of the request takes too long (max {took:?})");
                Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, text))
            }
        }
    }
}

/// How long a body is, as its head says.
fn told_length(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn is_look(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD)
}

fn not_allowed(allowed: &'static str) -> Response<Body> {
    let mut response = body::answer(StatusCode::METHOD_NOT_ALLOWED, TEXT, "");
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

#[cfg(test)]
mod tests {
    use super::{Data, Path};
    use crate::databases::DatabaseName;

    #[test]
    fn a_path_is_that_of_a_database_or_of_what_is_done_with_it() {
        let name = |name| DatabaseName::of(name).expect("it is a name");
        let none = DatabaseName::default();
        for (path, expected) in [
            ("/", Some(Path::Metadata(none.clone()))),
            ("/orders", Some(Path::Metadata(name("orders")))),
            ("/orders/", Some(Path::Metadata(name("orders")))),
            ("/v2/watch", Some(Path::Data(none, Data::Watch))),
            (
                "/orders/v2/atomic_write",
                Some(Path::Data(name("orders"), Data::Write)),
            ),
            ("/healthz", Some(Path::Health)),
            ("/metrics", Some(Path::Numbers)),
            ("/v2", None),
            ("/v2/", None),
            ("/v2/other", None),
            ("/v2/watch/", None),
            ("/orders/other", None),
            ("/or%64ers", None),
            ("//", None),
            ("", None),
            ("*", None),
        ] {
            assert_eq!(Path::of(path), expected, "{path}");
        }
    }
}
