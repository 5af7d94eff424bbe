//! What clients may not do for ever.

use crate::support::{PATIENCE, Served, TOKEN, options, range, set};
use denokv_proto::datapath as pb;
use kvick::{Key, Kv};
use kvick_server::{Options, Server};
use prost::Message;
use std::io::ErrorKind;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SHORT: Duration = Duration::from_millis(200);

async fn start(change: impl FnOnce(&mut Options)) -> Served {
    let kv = Kv::new();
    let mut options = options();
    change(&mut options);
    Served::start_with(Server::new(kv.clone(), options), kv).await
}

/// Sends this and nothing more; what comes back until the connection is closed.
async fn send(served: &Served, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(served.address)
        .await
        .expect("it listens");
    // It may have been given up before all of it was sent.
    let _ = stream.write_all(bytes).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    match read.expect("it is given up") {
        Ok(_) => {}
        Err(error) => assert_eq!(error.kind(), ErrorKind::ConnectionReset, "{error}"),
    }
    answer
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_says_nothing_or_half_of_it_is_given_up() {
    let served = start(|options| {
        options.head_timeout = SHORT;
        options.body_timeout = SHORT;
    })
    .await;
    let id = &served.id;
    let token = TOKEN;
    let head = format!(
        "POST /v2/atomic_write HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         x-denokv-version: 3\r\nx-denokv-database-id: {id}\r\ncontent-length: 100\r\n\r\n"
    );
    for bytes in [
        &b""[..],
        b"P",
        b"PRI * HTTP/2.0\r\n",
        b"POST / HTTP/1.1\r\nhost: x\r\n",
        b"\x16\x03\x01\x02\x00",
        b"\0\0\0\0",
    ] {
        let begun = Instant::now();
        send(&served, bytes).await;
        assert!(begun.elapsed() < PATIENCE / 2, "{bytes:?}");
    }
    let answer = send(&served, head.as_bytes()).await;
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 408 "), "{text}");
    assert_eq!(served.read(Vec::new()).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn more_connections_than_there_may_be_wait() {
    let served = start(|options| options.connections_max = 2).await;
    // The client has one.
    let second = TcpStream::connect(served.address).await.unwrap();
    let mut third = TcpStream::connect(served.address).await.unwrap();
    let head = b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
    third.write_all(head).await.unwrap();
    let mut answer = [0; 12];
    let waited = tokio::time::timeout(SHORT, third.read_exact(&mut answer)).await;
    assert!(waited.is_err(), "{waited:?}");
    drop(second);
    let read = tokio::time::timeout(PATIENCE, third.read_exact(&mut answer)).await;
    read.expect("it has its turn").unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_under_way_are_answered_when_the_server_ends() {
    let mut served = start(|_| {}).await;
    let (address, id) = (served.address, served.id.clone());
    let token = TOKEN;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mutations = vec![set(b"k", b"written")];
    let body = pb::AtomicWrite {
        mutations,
        ..pb::AtomicWrite::default()
    };
    let body = body.encode_to_vec();
    let head = format!(
        "POST /v2/atomic_write HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
         x-denokv-version: 3\r\nx-denokv-database-id: {id}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    // The head is there, and the body has not come.
    let well = served.read(Vec::new()).await;
    assert_eq!(well.status, 200);
    served.end();
    stream.write_all(&body).await.unwrap();
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    read.expect("it is answered").unwrap();
    let text = String::from_utf8_lossy(&answer);
    assert!(text.starts_with("HTTP/1.1 200 "), "{text}");
    let written = served.kv.get(Key::raw("k")).unwrap();
    assert_eq!(written.as_str(), Some("written"));
    served.stop().await;
    assert!(
        TcpStream::connect(address).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_on_which_nothing_is_done_is_closed() {
    let served = start(|options| {
        options.idle_timeout = SHORT;
        options.shutdown_timeout = SHORT;
        options.watch_keep_alive = SHORT / 4;
    })
    .await;
    // A watch is something.
    let mut frames = served.watch(&[b"k"]).await;
    frames.change().await;
    let begun = Instant::now();
    // The preface, and settings without any; then nothing.
    let answer = send(
        &served,
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
    )
    .await;
    assert!(!answer.is_empty(), "it was answered by settings");
    assert!(begun.elapsed() >= SHORT, "{:?}", begun.elapsed());
    for _ in 0..20 {
        assert_eq!(frames.next().await, Some(Vec::new()), "it is still there");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_that_cannot_be_kept_are_the_nearest_that_can() {
    let nothing = start(|options| {
        options.connections_max = 0;
        options.streams_max = 0;
        options.watch_keep_alive = Duration::ZERO;
        options.shutdown_timeout = Duration::ZERO;
    })
    .await;
    let far = Duration::MAX;
    let everything = start(|options| {
        options.connections_max = usize::MAX;
        options.streams_max = u32::MAX;
        options.body_bytes_max = usize::MAX;
        for time in [
            &mut options.head_timeout,
            &mut options.idle_timeout,
            &mut options.body_timeout,
            &mut options.write_timeout,
            &mut options.watch_keep_alive,
            &mut options.shutdown_timeout,
        ] {
            *time = far;
        }
    })
    .await;
    for served in [nothing, everything] {
        assert_eq!(served.mutate(set(b"k", b"v")).await.status, 200);
        let mut frames = served.watch(&[b"k"]).await;
        assert_eq!(frames.change().await.keys.len(), 1);
    }
}

/// A place is for who may use it.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_over_which_nobody_shows_the_token_is_closed() {
    let time = Duration::from_secs(3);
    let served = start(|options| options.head_timeout = time).await;
    let address = served.address;
    // How long a connection lasts on which request follows request.
    let lasts = async |authorization: &str, at_most: Duration| {
        let begun = Instant::now();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET /healthz HTTP/1.1\r\nhost: x\r\n{authorization}\r\n");
        while begun.elapsed() < at_most && stream.write_all(head.as_bytes()).await.is_ok() {
            let mut answer = Vec::new();
            while !answer.ends_with(b"ok\n") {
                match stream.read_u8().await {
                    Ok(byte) => answer.push(byte),
                    Err(_) => return begun.elapsed(),
                }
            }
        }
        begun.elapsed()
    };
    let shown = format!("authorization: Bearer {TOKEN}\r\n");
    let (none, another, own) = tokio::join!(
        lasts("", PATIENCE),
        lasts("authorization: Bearer of-somebody-else\r\n", PATIENCE),
        lasts(&shown, 3 * time),
    );
    for stranger in [none, another] {
        assert!((time..PATIENCE).contains(&stranger), "{stranger:?}");
    }
    assert!(own >= 3 * time, "{own:?}");
}

/// An embedding program goes on without its server, and so without those who were connected.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_served_any_more_when_serving_has_ended() {
    let mut served = start(|options| options.shutdown_timeout = SHORT).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    // Half of a head: it is not waited for longer than that.
    stream
        .write_all(b"GET /healthz HTTP/1.1\r\n")
        .await
        .unwrap();
    served.read(Vec::new()).await;
    served.end();
    served.stop().await;
    let _ = stream.write_all(b"host: x\r\n\r\n").await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("it is closed");
    assert!(answer.is_empty(), "{}", answer.escape_ascii());
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_served_any_more_when_serving_is_given_up() {
    let mut served = start(|_| {}).await;
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    let head = b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n";
    stream.write_all(head).await.unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    served.give_up().await;
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    let _ = read.expect("it is closed");
    let refused = TcpStream::connect(served.address).await;
    assert!(refused.is_err(), "nobody listens any more");
}

/// What takes long because much is taken is not idle.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_answer_that_is_taken_goes_on() {
    let second = Duration::from_secs(1);
    let served = start(|options| {
        options.idle_timeout = second;
        options.shutdown_timeout = second;
    })
    .await;
    for number in 0..1_000 {
        let set = served
            .kv
            .set(Key::raw(format!("k{number:04}")), &vec![7; 60_000][..]);
        set.expect("it is small");
    }
    let id = &served.id;
    let body = pb::SnapshotRead {
        ranges: vec![range(b"k", b"l", 1_000)],
    }
    .encode_to_vec();
    let head = format!(
        "POST /v2/snapshot_read HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {TOKEN}\r\n\
         x-denokv-version: 3\r\nx-denokv-database-id: {id}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = TcpStream::connect(served.address).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    stream.write_all(&body).await.unwrap();
    let begun = Instant::now();
    let (mut taken, mut piece) = (0, vec![0; 1 << 20]);
    while taken < 1_000 * 60_000 {
        let read = tokio::time::timeout(PATIENCE, stream.read(&mut piece)).await;
        let read = read.expect("it goes on").expect("it is not given up");
        assert!(read > 0, "closed after {taken} bytes");
        taken += read;
        // As slowly as a network brings it.
        let due = 5 * second * u32::try_from(taken >> 10).unwrap() / 60_000;
        tokio::time::sleep_until((begun + due).into()).await;
    }
    assert!(begun.elapsed() > 4 * second, "{:?}", begun.elapsed());
}
