//! Malformed, truncated, oversized and slow requests over loopback: no panic, no hang, only refusals, and no
//! memory that stays.
//!
//! A binary of its own: it looks at the memory of the process. `KVICK_MALFORMED` says how many requests.

mod connection;
mod drawn;

use connection::{Connection, Ended};
use denokv_proto::datapath as pb;
use drawn::{Kind, drawn};
use kvick::{Key, Kv};
use kvick_server::{AccessToken, Options, Server};
use prost::Message;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::env;
use std::fs;
use std::net::SocketAddr;
use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

const TOKEN: &str = "correct-horse-battery";

/// As many of them at once.
const CLIENTS: usize = 16;

/// How long a request may take that is not slow, on a machine with other work.
const PATIENCE: Duration = Duration::from_secs(30);

/// What is held beside what the requests made: arenas of the allocator, and what waits to be freed.
const GROWTH_MAX: u64 = 48 << 20;

/// How many panics there were, whoever has caught them.
static PANICS: AtomicU64 = AtomicU64::new(0);

fn request_count() -> u64 {
    let asked = env::var("KVICK_MALFORMED").ok();
    asked.map_or(40_000, |asked| asked.parse().expect("a number of requests"))
}

fn options() -> Options {
    let mut options = Options::default();
    options.access_token = Some(AccessToken::new(TOKEN).expect("it is long enough"));
    options.body_bytes_max = 256 << 10;
    options.head_timeout = Duration::from_millis(400);
    options.body_timeout = Duration::from_millis(200);
    options
}

/// What came of all requests of a kind.
#[derive(Debug, Default)]
struct Tally {
    statuses: BTreeMap<u16, u64>,
    closed: u64,
}

/// What all clients share.
struct Load {
    address: SocketAddr,
    id: String,
    left: AtomicU64,
}

/// Sends requests until there are no more; what came of them.
async fn client(load: Arc<Load>, seed: u64) -> BTreeMap<Kind, Tally> {
    let mut random = StdRng::seed_from_u64(seed);
    let mut tallies: BTreeMap<Kind, Tally> = BTreeMap::new();
    let mut connection = None;
    let take = |left| u64::checked_sub(left, 1);
    while (load.left)
        .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take)
        .is_ok()
    {
        let request = drawn(&mut random, &load.id);
        let mut open = match connection.take() {
            Some(open) => open,
            None => Connection::open(load.address).await,
        };
        let ended = timeout(PATIENCE, open.ask(&request)).await;
        let ended = ended.unwrap_or_else(|_| panic!("nothing comes of {request:?}"));
        let tally = tallies.entry(request.kind).or_default();
        match ended {
            Ended::Answered { status, goes_on } => {
                let is_fine = (400..500).contains(&status) || (status == 200 && request.may_do);
                assert!(is_fine, "{status} for {request:?}");
                *tally.statuses.entry(status).or_default() += 1;
                connection = Some(open).filter(|_| goes_on && !request.ends);
            }
            Ended::Closed => {
                assert!(request.may_close, "no answer to {request:?}");
                tally.closed += 1;
            }
        }
    }
    tallies
}

/// The resident memory of this process, where that is told.
fn resident_bytes() -> Option<u64> {
    let statm = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split(' ').nth(1)?.parse().ok()?;
    Some(pages * 4_096)
}

/// Sends so many.
async fn storm(load: &Arc<Load>, count: u64, seed: u64) -> BTreeMap<Kind, Tally> {
    load.left.store(count, Ordering::Relaxed);
    let clients: Vec<_> = (0..CLIENTS as u64)
        .map(|number| tokio::spawn(client(Arc::clone(load), seed + number)))
        .collect();
    let mut all: BTreeMap<Kind, Tally> = BTreeMap::new();
    for client in clients {
        for (kind, tally) in client.await.expect("a client that fails ends the test") {
            let sum = all.entry(kind).or_default();
            sum.closed += tally.closed;
            for (status, count) in tally.statuses {
                *sum.statuses.entry(status).or_default() += count;
            }
        }
    }
    all
}

/// That the server does what it is there for.
async fn assert_serves(load: &Load, kv: &Kv, random: &mut StdRng) {
    let number: u64 = random.random();
    kv.set(Key::raw("well"), number).expect("there is memory");
    let ranges = vec![pb::ReadRange {
        start: b"well".to_vec(),
        end: b"well\0".to_vec(),
        limit: 1,
        reverse: false,
    }];
    let request = drawn::right(
        "snapshot_read",
        &load.id,
        &pb::SnapshotRead { ranges }.encode_to_vec(),
    );
    let mut connection = Connection::open(load.address).await;
    let ended = timeout(PATIENCE, connection.ask(&request)).await;
    let status = match ended.expect("it answers") {
        Ended::Answered { status, .. } => status,
        Ended::Closed => 0,
    };
    assert_eq!(status, 200);
    let output = pb::SnapshotReadOutput::decode(connection.body()).expect("it is a message");
    assert_eq!(output.ranges[0].values[0].value, number.to_le_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_is_sent_breaks_the_server() {
    // P07
    let kv = Kv::builder().memory_limit(8 << 20).build();
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("there is a port");
    let address = listener.local_addr().expect("it has one");
    let (shutdown, ended) = oneshot::channel::<()>();
    let server = Server::new(kv.clone(), options());
    let serving = tokio::spawn(server.serve(listener, async {
        let _ = ended.await;
    }));
    let load = Arc::new(Load {
        address,
        id: connection::database_id(address, TOKEN).await,
        left: AtomicU64::new(0),
    });
    // Whoever serves catches them, or closes the connection.
    let before = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        PANICS.fetch_add(1, Ordering::Relaxed);
        before(info);
    }));
    let mut random = StdRng::seed_from_u64(1);
    assert_serves(&load, &kv, &mut random).await;
    let count = request_count();
    // By then everything has the size that it has.
    storm(&load, count / 4, 100).await;
    let before = resident_bytes();
    let all = storm(&load, count - count / 4, 200).await;
    assert_serves(&load, &kv, &mut random).await;
    let mut sum = 0;
    for (kind, tally) in &all {
        println!("{kind:?}: {tally:?}");
        sum += tally.closed + tally.statuses.values().sum::<u64>();
    }
    assert_eq!(sum, count - count / 4);
    assert_eq!(all.len(), Kind::ALL.len(), "one kind was not sent");
    if let (Some(before), Some(after)) = (before, resident_bytes()) {
        println!("resident: {before} bytes, and {after} after {sum} requests");
        assert!(after < before + GROWTH_MAX, "{before} bytes, then {after}");
    }
    assert_eq!(PANICS.load(Ordering::Relaxed), 0);
    shutdown.send(()).expect("it serves");
    let ended = timeout(PATIENCE, serving).await.expect("it ends");
    ended.expect("it has not panicked").expect("it served");
}
