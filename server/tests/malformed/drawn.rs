//! Requests that are wrong in some way, drawn at random.

use crate::TOKEN;
use denokv_proto::datapath as pb;
use prost::Message;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt};
use std::fmt;

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A message with bytes that are others.
    Damaged,
    /// A message that ends too soon.
    Truncated,
    /// A body that is no message.
    Junk,
    /// A body that is shorter than was said, and then nothing more.
    Broken,
    /// A body beyond the limit, which is said at once, or not.
    Oversized,
    /// Headers that are missing or wrong.
    Headers,
    /// A head that is none of HTTP.
    Head,
    /// Something else than the metadata request.
    Metadata,
    /// The preface of HTTP/2, and then frames that are none.
    Frames,
    /// What is half sent, and then nothing: for as long as the server waits.
    Slow,
}

impl Kind {
    pub(crate) const ALL: [Self; 10] = [
        Self::Damaged,
        Self::Truncated,
        Self::Junk,
        Self::Broken,
        Self::Oversized,
        Self::Headers,
        Self::Head,
        Self::Metadata,
        Self::Frames,
        Self::Slow,
    ];
}

/// What is sent.
pub(crate) struct Request {
    pub(crate) kind: Kind,
    pub(crate) bytes: Vec<u8>,
    /// Whether it can be a good one by chance.
    pub(crate) may_do: bool,
    /// Whether the connection may be closed without an answer.
    pub(crate) may_close: bool,
    /// Whether the client closes its half after it.
    pub(crate) ends: bool,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.bytes[..self.bytes.len().min(600)];
        write!(f, "{:?} {}", self.kind, shown.escape_ascii())
    }
}

impl Request {
    /// One that is right.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self {
            kind: Kind::Damaged,
            bytes,
            may_do: true,
            may_close: false,
            ends: false,
        }
    }
}

const OPERATIONS: [&str; 3] = ["snapshot_read", "atomic_write", "watch"];

/// A data request with this body.
pub(crate) fn right(operation: &str, id: &str, body: &[u8]) -> Request {
    Request::of(post(operation, id, body.len(), body))
}

fn post(operation: &str, id: &str, length: usize, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "POST /v2/{operation} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\n\
         x-denokv-version: 3\r\nx-denokv-database-id: {id}\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

fn junk(random: &mut StdRng, most: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.random_range(1..=most)];
    random.fill_bytes(&mut bytes);
    bytes
}

/// Some message, of the operation of this index.
fn message(random: &mut StdRng, operation: usize) -> Vec<u8> {
    let key = junk(random, 20);
    match operation {
        0 => {
            let range = pb::ReadRange {
                end: [&key[..], &[0]].concat(),
                start: key,
                limit: random.random_range(-1..3),
                reverse: random.random(),
            };
            let ranges = vec![range; random.random_range(1..12)];
            pb::SnapshotRead { ranges }.encode_to_vec()
        }
        1 => {
            let mutation = pb::Mutation {
                key,
                value: Some(pb::KvValue {
                    data: junk(random, 64),
                    encoding: random.random_range(0..5),
                }),
                mutation_type: random.random_range(0..11),
                expire_at_ms: random.random_range(-3..3) * i64::from(random.random::<i32>()),
                ..pb::Mutation::default()
            };
            let mutations = vec![mutation; random.random_range(1..4)];
            let write = pb::AtomicWrite {
                mutations,
                ..pb::AtomicWrite::default()
            };
            write.encode_to_vec()
        }
        _ => {
            let keys = vec![pb::WatchKey { key }; random.random_range(1..13)];
            pb::Watch { keys }.encode_to_vec()
        }
    }
}

/// A request that is wrong, but for those that are right by chance.
pub(crate) fn drawn(random: &mut StdRng, id: &str) -> Request {
    // A slow one holds its client for a while.
    let kind = match random.random_range(0..1_000) {
        0 => Kind::Slow,
        other => Kind::ALL[other % (Kind::ALL.len() - 1)],
    };
    let operation = random.random_range(0..OPERATIONS.len());
    let name = OPERATIONS[operation];
    let mut request = right(name, id, &message(random, operation));
    let head = request
        .bytes
        .windows(4)
        .position(|it| it == b"\r\n\r\n")
        .unwrap_or(0)
        + 4;
    let body = request.bytes.split_off(head);
    match kind {
        Kind::Damaged => {
            let mut body = body;
            for _ in 0..random.random_range(1..5) {
                let at = random.random_range(0..body.len());
                body[at] = random.random();
            }
            request = right(name, id, &body);
        }
        Kind::Truncated => request = right(name, id, &body[..random.random_range(0..body.len())]),
        Kind::Junk => request = right(name, id, &junk(random, 3_000)),
        Kind::Broken => {
            let missing = random.random_range(1..5_000);
            request.bytes = post(name, id, body.len() + missing, &body);
            (request.may_do, request.may_close, request.ends) = (false, true, true);
        }
        Kind::Oversized => {
            request.bytes = oversized(random, name, id);
            // The server need not read what it has refused.
            (request.may_do, request.may_close, request.ends) = (false, true, true);
        }
        Kind::Headers => {
            request.bytes = headers(random, name, id, &body);
            request.may_do = false;
        }
        Kind::Head => {
            let mut bytes = junk(random, 200);
            if random.random() {
                bytes.splice(0..0, b"POST /".iter().copied());
            }
            bytes.extend(b"\r\n\r\n");
            request.bytes = bytes;
            (request.may_do, request.may_close, request.ends) = (false, true, true);
        }
        Kind::Metadata => {
            request.bytes = metadata(random);
            request.may_do = false;
        }
        Kind::Frames => {
            request.bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
            request.bytes.extend(junk(random, 500));
            (request.may_do, request.may_close, request.ends) = (false, true, true);
        }
        Kind::Slow => {
            request.bytes.extend(&body);
            let half = random.random_range(1..request.bytes.len());
            request.bytes.truncate(half);
            (request.may_do, request.may_close) = (false, true);
        }
    }
    request.kind = kind;
    request
}

/// A body of more than there may be, with its length or in chunks.
fn oversized(random: &mut StdRng, name: &str, id: &str) -> Vec<u8> {
    let length = random.random_range((256 << 10) + 1..1 << 20);
    if random.random() {
        return post(name, id, length, &[0; 1_000]);
    }
    let head = String::from_utf8_lossy(&post(name, id, 0, b""))
        .replace("content-length: 0", "transfer-encoding: chunked");
    let mut bytes = head.into_bytes();
    // All of it, because nobody knows before.
    if random.random_range(0..20) == 0 {
        for _ in 0..=length / 65_536 {
            bytes.extend(b"10000\r\n");
            bytes.resize(bytes.len() + 65_536, 0);
            bytes.extend(b"\r\n");
        }
    }
    // And then a chunk that is none.
    bytes.extend(b"-5\r\n");
    bytes.extend(junk(random, 100));
    bytes
}

fn headers(random: &mut StdRng, name: &str, id: &str, body: &[u8]) -> Vec<u8> {
    let right = String::from_utf8_lossy(&post(name, id, body.len(), b"")).into_owned();
    let mut lines: Vec<&str> = right.trim_end().split("\r\n").collect();
    let wrong = [
        "x-denokv-version: 4",
        "authorization: Bearer",
        "x-denokv-database-id: {}",
    ];
    // One of those that have to be there.
    let at = random.random_range(2..5);
    lines.remove(at);
    if random.random() {
        lines.insert(at, wrong.choose(random).copied().unwrap_or_default());
    }
    // The wrong one can be beside the right one, and comes first or second.
    let text = lines.join("\r\n") + "\r\n\r\n";
    [text.as_bytes(), body].concat()
}

fn metadata(random: &mut StdRng) -> Vec<u8> {
    let body = *[
        "",
        "{",
        "[]",
        "null",
        "{\"supportedVersions\":3}",
        "{\"supportedVersions\":[1]}",
        "{\"supportedVersions\":[]}",
        "{\"supportedVersions\":[4,-3,2.5,\"3\"]}",
        "{}",
        "\u{0}",
    ]
    .choose(random)
    .unwrap_or(&"");
    format!(
        "POST / HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {TOKEN}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}
