//! The server, over a pipe: whatever the body of a request, and whatever the bytes of a connection.

use crate::everything;
use crate::input::Input;
use denokv_proto::datapath as pb;
use kvick::{Entry, Key, Kv, NewValue, Versionstamp};
use kvick_server::{Options, Server};
use prost::Message;
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::runtime::Builder;

/// As much goes through without anybody reading it.
const PIPE_BYTES: usize = 1 << 22;

const PATHS: [&str; 4] = ["/v2/snapshot_read", "/v2/atomic_write", "/v2/watch", "/"];

/// What the identifier of the database without a name is.
const DATABASE_ID: &str = "c3a05d8e-a375-5499-a5a3-f1fae06a9ca4";

fn database() -> Kv {
    let kv = Kv::builder().background_sweep(false).build();
    let entries = [
        ("a", NewValue::from(7_u64)),
        ("b", NewValue::from("bytes")),
        ("c", NewValue::number(1.5)),
        ("d", NewValue::bigint(-3)),
    ];
    for (key, value) in entries {
        kv.set(Key::raw(key), value).expect("there is memory");
    }
    kv
}

/// Whatever is sent to a server of `kv`, and what comes back until it has no more to say, or says that it
/// goes on. Time passes when nothing else is to be done.
fn sent(kv: &Kv, bytes: &[u8]) -> Vec<u8> {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build();
    let server = Server::new(kv.clone(), Options::default());
    notice_panics();
    PANICS.store(0, Ordering::Relaxed);
    let answer = runtime.expect("there is memory").block_on(async {
        let (near, far) = duplex(PIPE_BYTES);
        let serving = tokio::spawn(server.serve_pipe(far));
        let answer = talk(near, bytes).await;
        // The pipe is closed: so it ends, and by no panic.
        serving.await.expect("it serves whatever comes");
        answer
    });
    assert_eq!(
        PANICS.load(Ordering::Relaxed),
        0,
        "caught by whoever serves"
    );
    answer
}

/// How many panics there were, whoever has caught them.
static PANICS: AtomicUsize = AtomicUsize::new(0);

fn notice_panics() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            before(info);
        }));
    });
}

async fn talk(mut pipe: DuplexStream, bytes: &[u8]) -> Vec<u8> {
    // It may be closed meanwhile.
    let _ = pipe.write_all(bytes).await;
    let mut answer = Vec::new();
    loop {
        match pipe.read_buf(&mut answer).await {
            Ok(count) if count > 0 && !is_whole(&answer) => {}
            _ => return answer,
        }
    }
}

/// Whether an answer of HTTP/1.1 has all of its body, or the beginning of one without an end.
fn is_whole(answer: &[u8]) -> bool {
    split(answer).is_some_and(|(head, body)| match length(&head) {
        Some(length) => body.len() >= length,
        None => !body.is_empty(),
    })
}

fn split(answer: &[u8]) -> Option<(String, &[u8])> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let (head, body) = answer.split_at(end);
    Some((String::from_utf8_lossy(head).to_ascii_lowercase(), body))
}

fn length(head: &str) -> Option<usize> {
    let (_, rest) = head.split_once("content-length: ")?;
    rest.split("\r\n").next()?.parse().ok()
}

fn status(head: &str) -> u16 {
    let status = head
        .strip_prefix("http/1.1 ")
        .and_then(|rest| rest.get(..3));
    status.map_or(0, |status| status.parse().expect("a status is a number"))
}

/// Sends what follows the first byte as the body of a request.
///
/// # Panics
///
/// Where the server does, answers as if it were to blame, or has changed something and refused it.
pub fn requests(input: &[u8]) {
    let mut input = Input::new(input);
    let path = input.below(PATHS.len());
    let body = input.rest();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: h\r\nx-denokv-version: 3\r\nx-denokv-database-id: {DATABASE_ID}\r\n\
         content-length: {}\r\n\r\n",
        PATHS[path],
        body.len()
    );
    let kv = database();
    let (before, first) = (everything(&kv), kv.versionstamp());
    let answer = sent(&kv, &[head.as_bytes(), body].concat());
    let (head, answer) = split(&answer).expect("there is an answer");
    match status(&head) {
        400 | 413 => {
            assert_eq!(
                everything(&kv),
                before,
                "refused, and something has changed"
            );
            assert_eq!(kv.versionstamp(), first);
            let text = str::from_utf8(answer).expect("a refusal is a text");
            assert!(!text.is_empty());
        }
        200 => match path {
            0 => check_read(&before, body, answer),
            1 => check_write(&kv, &before, answer),
            _ => assert_eq!(kv.versionstamp(), first),
        },
        other => panic!("{other}: {}", answer.escape_ascii()),
    }
}

/// The ranges are answered in order, each with what is in it.
fn check_read(all: &[Entry], body: &[u8], answer: &[u8]) {
    let read = pb::SnapshotRead::decode(body).expect("it was taken for a message");
    let output = pb::SnapshotReadOutput::decode(answer).expect("it is a message");
    assert_eq!(output.ranges.len(), read.ranges.len());
    for (range, output) in read.ranges.iter().zip(&output.ranges) {
        let is_in = |entry: &&Entry| {
            let key = entry.key().as_bytes();
            key >= &range.start[..] && key < &range.end[..]
        };
        let mut expected: Vec<&Entry> = all.iter().filter(is_in).collect();
        if range.reverse {
            expected.reverse();
        }
        expected.truncate(usize::try_from(range.limit).expect("it is positive"));
        let keys =
            |keys: &mut dyn Iterator<Item = &[u8]>| keys.map(<[u8]>::to_vec).collect::<Vec<_>>();
        assert_eq!(
            keys(&mut output.values.iter().map(|entry| &entry.key[..])),
            keys(&mut expected.iter().map(|entry| entry.key().as_bytes()))
        );
    }
}

/// What was done has a versionstamp of its own, and what was not has changed nothing.
fn check_write(kv: &Kv, before: &[Entry], answer: &[u8]) {
    let output = pb::AtomicWriteOutput::decode(answer).expect("it is a message");
    match output.status {
        1 => {
            let bytes = output.versionstamp[..]
                .try_into()
                .expect("it has ten bytes");
            assert_eq!(Versionstamp::from_bytes(bytes), kv.versionstamp());
        }
        2 => {
            assert!(!output.failed_checks.is_empty());
            assert_eq!(everything(kv), before);
        }
        other => panic!("status {other}"),
    }
}

/// Sends all of it as it is, over HTTP/1.1 or HTTP/2, by what it begins with.
///
/// # Panics
///
/// Where the server does, or answers as if it were to blame.
pub fn framing(input: &[u8]) {
    let answer = sent(&database(), input);
    if let Some((head, _)) = split(&answer) {
        let status = status(&head);
        assert!(status < 500, "{status}");
    }
}
