//! `atomic_write`.

use crate::support::{PATIENCE, Served, TOKEN, one, options, set, value};
use denokv_proto::datapath as pb;
use http::Method;
use kvick::{Clock, Key, Kv, Limits, SystemClock};
use kvick_server::Server;
use prost::Message;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use std::time::Duration;

fn mutation(key: &[u8], mutation_type: i32, value: impl Into<Option<pb::KvValue>>) -> pb::Mutation {
    pb::Mutation {
        key: key.to_vec(),
        value: value.into(),
        mutation_type,
        ..pb::Mutation::default()
    }
}

fn number(number: u64) -> pb::KvValue {
    value(&number.to_le_bytes(), 2)
}

fn now_ms() -> i64 {
    let now = SystemClock.wall_time().as_millis();
    i64::try_from(now).expect("it is not that late")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_comes_to_what_an_atomic_operation_comes_to() {
    // P06
    let served = Served::start().await;
    let key = |name: &str| Key::raw(name);
    let read = |name: &str| served.kv.get(key(name)).unwrap();
    let output: pb::AtomicWriteOutput = served
        .write(&pb::AtomicWrite {
            mutations: vec![
                mutation(b"sum", 3, number(5)),
                mutation(b"min", 1, number(5)),
                mutation(b"max", 1, number(5)),
                mutation(b"min", 5, number(3)),
                mutation(b"max", 4, number(7)),
                mutation(b"gone", 2, None),
                mutation(b"gone", 2, value(b"useless", 3)),
                mutation(b"log", 9, value(b"line", 3)),
            ],
            ..pb::AtomicWrite::default()
        })
        .await
        .message();
    assert_eq!((output.status, output.failed_checks.len()), (1, 0));
    assert_eq!(
        read("sum").versionstamp().unwrap().as_bytes(),
        &output.versionstamp[..]
    );
    let numbers = ["sum", "min", "max"].map(|name| read(name).as_u64());
    assert_eq!(numbers, [Some(5), Some(3), Some(7)]);
    let log = served
        .kv
        .list(kvick::Range::raw(&b"log"[..], &b"log\xff"[..]))
        .entries()
        .unwrap();
    assert_eq!(log.count(), 1);
    // An empty one is a commit as well.
    let empty: pb::AtomicWriteOutput = served.write(&pb::AtomicWrite::default()).await.message();
    assert!(empty.status == 1 && empty.versionstamp > output.versionstamp);
}

#[tokio::test(flavor = "multi_thread")]
async fn checks_that_fail_are_listed_and_nothing_has_changed() {
    // P06
    let served = Served::start().await;
    let stamp = served.kv.set(Key::raw("there"), 1_u64).unwrap();
    let check = |key: &[u8], versionstamp: &[u8]| pb::Check {
        key: key.to_vec(),
        versionstamp: versionstamp.to_vec(),
    };
    let write = |checks| pb::AtomicWrite {
        checks,
        mutations: vec![set(b"other", b"1")],
        ..pb::AtomicWrite::default()
    };
    let (there, missing) = (&b"there"[..], &b"missing"[..]);
    let failing = vec![
        check(there, stamp.as_bytes()),
        check(there, b""),
        check(missing, b""),
        check(missing, stamp.as_bytes()),
        check(there, b"\0\0\0\0\0\0\0\xff\0\0"),
    ];
    let output: pb::AtomicWriteOutput = served.write(&write(failing)).await.message();
    assert_eq!((output.status, output.failed_checks), (2, vec![1, 3, 4]));
    assert!(output.versionstamp.is_empty());
    assert!(served.kv.get(Key::raw("other")).unwrap().is_missing());
    // Zero is that of no entry: old clients mean a missing one by it.
    let holding = vec![
        check(there, stamp.as_bytes()),
        check(missing, b""),
        check(missing, &[0; 10]),
    ];
    let output: pb::AtomicWriteOutput = served.write(&write(holding)).await.message();
    assert_eq!(output.status, 1);
    for bytes in [1, 9, 11, 20] {
        let answer = served
            .write(&write(vec![check(there, &vec![1; bytes])]))
            .await;
        answer.assert_refused(400, &format!("not {bytes}"));
    }
    // P12: as many as in Deno.
    let output: pb::AtomicWriteOutput = served
        .write(&write(vec![check(missing, b""); 100]))
        .await
        .message();
    assert_eq!(output.status, 1);
    let answer = served.write(&write(vec![check(missing, b""); 101])).await;
    answer.assert_refused(400, "Too many checks (max 100): got 101");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_written_is_refused_whole() {
    // P06
    let served = Served::start().await;
    served.kv.set(Key::raw("text"), "text").unwrap();
    let before = served.kv.versionstamp();
    for (wrong, says) in [
        (mutation(b"text", 3, number(1)), "sum"),
        (mutation(b"text", 4, number(1)), "max"),
        (mutation(b"n", 3, value(b"bytes", 3)), "neither a number"),
        (mutation(b"n", 0, number(1)), "unknown mutation type: 0"),
        (mutation(b"n", 6, number(1)), "unknown mutation type: 6"),
        (mutation(b"n", 99, number(1)), "unknown mutation type: 99"),
        (mutation(b"n", 1, None), "has none"),
        (mutation(b"n", 3, None), "has none"),
        (
            mutation(b"n", 1, value(b"12345678", 0)),
            "unknown value encoding: 0",
        ),
        (
            mutation(b"n", 1, value(b"12345678", 4)),
            "unknown value encoding: 4",
        ),
        (mutation(b"n", 1, value(b"1234567", 2)), "and not 7"),
        (mutation(b"n", 1, value(b"", 2)), "and not 0"),
        (mutation(b"", 1, number(1)), "key cannot be empty"),
        (mutation(b"", 2, None), "key cannot be empty"),
        (
            mutation(&[1; 2_049], 1, number(1)),
            "Key too large for write (max 2048 bytes)",
        ),
        (
            set(b"n", &vec![0; 65_537]),
            "Value too large (max 65536 bytes)",
        ),
    ] {
        let write = pb::AtomicWrite {
            mutations: vec![set(b"first", b"1"), wrong.clone(), set(b"last", b"1")],
            ..pb::AtomicWrite::default()
        };
        let answer = served.write(&write).await;
        assert_eq!(answer.status, 400, "{wrong:?}: {:?}", answer.body);
        assert!(
            answer.text().contains(says),
            "{:?}, and not {says:?}",
            answer.text()
        );
    }
    let many = |count: usize| pb::AtomicWrite {
        mutations: vec![mutation(b"k", 2, None); count],
        ..pb::AtomicWrite::default()
    };
    served
        .write(&many(1_001))
        .await
        .assert_refused(400, "Too many mutations (max 1000): got 1001");
    assert_eq!(served.kv.versionstamp(), before, "nothing was committed");
    assert_eq!(served.write(&many(1_000)).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_expires_at_its_instant() {
    // P08
    let served = Served::start().await;
    let expiring = |at: i64| pb::Mutation {
        expire_at_ms: at,
        ..set(b"k", b"1")
    };
    let read = || served.kv.get(Key::raw("k")).unwrap();
    for lasting in [0, -1] {
        assert_eq!(served.mutate(expiring(lasting)).await.status, 200);
        assert!(read().exists() && read().expires_in().is_none());
    }
    let minute = Duration::from_secs(60);
    assert_eq!(served.mutate(expiring(now_ms() + 60_000)).await.status, 200);
    let left = read().expires_in().expect("it expires");
    assert!(left <= minute && left > minute / 2, "{left:?}");
    for past in [1, now_ms() - 1] {
        assert_eq!(served.mutate(expiring(past)).await.status, 200);
        assert!(read().is_missing());
    }
    for impossible in [-2, i64::MIN] {
        served
            .mutate(expiring(impossible))
            .await
            .assert_refused(400, "expire_at_ms");
    }
    served
        .mutate(expiring(i64::MAX))
        .await
        .assert_refused(400, "too large");
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_are_for_the_program_that_has_the_database() {
    // P10
    let served = Served::start().await;
    let enqueue = |deadline_ms: i64| pb::Enqueue {
        payload: b"\xff\x0fI\x02".to_vec(),
        deadline_ms,
        ..pb::Enqueue::default()
    };
    let send = async |enqueue: pb::Enqueue| {
        let write = pb::AtomicWrite {
            enqueues: vec![enqueue],
            ..pb::AtomicWrite::default()
        };
        served.write(&write).await
    };
    for due in [0, 1, -5, now_ms()] {
        assert_eq!(send(enqueue(due)).await.status, 200);
    }
    assert_eq!(send(enqueue(now_ms() + 60_000)).await.status, 200);
    let mut listener = served.kv.queue("").listen().unwrap();
    for _ in 0..4 {
        let message = listener.recv_timeout(PATIENCE).unwrap().expect("it is due");
        assert_eq!(message.payload().as_number(), Some(1.0));
        message.finish().unwrap();
    }
    assert!(listener.try_recv().unwrap().is_none());
    let day = 24 * 60 * 60 * 1_000;
    let too_far = send(enqueue(now_ms() + 31 * day)).await;
    assert_eq!(too_far.status, 400, "{:?}", too_far.body);
    let mut many_keys = enqueue(0);
    // Two bytes of each become many times that, so they are counted before.
    for (key, count) in [(&b"k"[..], 11), (b"", 1_000_000)] {
        many_keys.keys_if_undelivered = vec![key.to_vec(); count];
        let says = format!("(max 10): got {count}");
        send(many_keys.clone()).await.assert_refused(400, &says);
    }
    let mut empty_key = enqueue(0);
    empty_key.keys_if_undelivered = vec![Vec::new()];
    assert_eq!(send(empty_key).await.status, 400);
    for schedule in [vec![1; 11], vec![3_600_001]] {
        let mut enqueue = enqueue(0);
        enqueue.backoff_schedule = schedule;
        assert_eq!(send(enqueue).await.status, 400);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nobody_can_receive_messages_none_is_taken() {
    let kv = Kv::new();
    let mut options = options();
    options.takes_messages = false;
    let served = Served::start_with(Server::new(kv.clone(), options), kv).await;
    let write = pb::AtomicWrite {
        enqueues: vec![pb::Enqueue::default()],
        ..pb::AtomicWrite::default()
    };
    served
        .write(&write)
        .await
        .assert_refused(400, "enqueue is not supported");
    assert_eq!(served.kv.stats().message_count, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_only_reads_says_so() {
    let kv = Kv::new();
    kv.set(Key::raw("k"), 1_u64).unwrap();
    let mut options = options();
    options.read_only = true;
    let served = Served::start_with(Server::new(kv.clone(), options), kv).await;
    let output: pb::AtomicWriteOutput = served.mutate(set(b"k", b"2")).await.message();
    assert_eq!((output.status, output.versionstamp.len()), (5, 0));
    let output: pb::SnapshotReadOutput = served.read(vec![one(b"k")]).await.message();
    assert_eq!(output.ranges[0].values[0].value, 1_u64.to_le_bytes());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_fit_is_the_clients_affair() {
    let kv = Kv::builder().memory_limit(1 << 16).build();
    let served = Served::start_with(Server::new(kv.clone(), options()), kv).await;
    served
        .mutate(set(b"k", &vec![0; 65_000]))
        .await
        .assert_refused(429, "memory limit");
    assert_eq!(served.mutate(set(b"k", b"small")).await.status, 200);
    // Limits can be raised.
    let kv = Kv::builder().limits(Limits::unlimited()).build();
    let served = Served::start_with(Server::new(kv.clone(), options()), kv).await;
    assert_eq!(
        served.mutate(set(b"k", &vec![0; 1 << 20])).await.status,
        200
    );
}

/// Something that is nearly a write.
fn drawn(random: &mut StdRng) -> pb::AtomicWrite {
    let bytes = |random: &mut StdRng, max: usize| {
        let length = random.random_range(0..=max);
        let mut bytes = vec![0; length];
        random.fill_bytes(&mut bytes);
        bytes
    };
    let checks = (0..random.random_range(0..3)).map(|_| pb::Check {
        key: bytes(random, 4),
        versionstamp: bytes(random, 16),
    });
    let checks = checks.collect();
    let mutations = (0..random.random_range(0..4)).map(|_| pb::Mutation {
        key: bytes(random, 3),
        value: random.random::<bool>().then(|| pb::KvValue {
            data: bytes(random, 16),
            encoding: random.random_range(-1..6),
        }),
        mutation_type: random.random_range(-1..12),
        expire_at_ms: match random.random_range(0..3) {
            0 => 0,
            1 => random.random(),
            _ => random.random_range(-3..3),
        },
        sum_min: bytes(random, 6),
        sum_max: bytes(random, 6),
        sum_clamp: random.random(),
    });
    let mutations = mutations.collect();
    let enqueues = (0..random.random_range(0..2)).map(|_| pb::Enqueue {
        payload: bytes(random, 8),
        deadline_ms: random.random(),
        keys_if_undelivered: vec![bytes(random, 3)],
        backoff_schedule: vec![random.random(); random.random_range(0..8)],
    });
    pb::AtomicWrite {
        checks,
        mutations,
        enqueues: enqueues.collect(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_input_is_answered_as_if_it_were_the_servers_fault() {
    // P07
    let served = Served::start().await;
    let mut random = StdRng::seed_from_u64(7);
    let (mut done, mut refused) = (0, 0);
    for round in 0..3_000 {
        let mut body = drawn(&mut random).encode_to_vec();
        if round % 3 == 0 && !body.is_empty() {
            // Damaged.
            for _ in 0..random.random_range(1..4) {
                let at = random.random_range(0..body.len());
                body[at] = random.random();
            }
            body.truncate(random.random_range(0..=body.len()));
        }
        let path = ["/v2/atomic_write", "/v2/snapshot_read"][usize::from(round % 7 == 0)];
        let answer = served.post(path, body.clone()).await;
        match answer.status.as_u16() {
            200 => done += 1,
            400 => refused += 1,
            other => panic!("{other}, {:?}: {body:?}", answer.body),
        }
    }
    assert!(done > 100 && refused > 100, "{done} and {refused}");
    for length in 0..=16 {
        let status = served
            .mutate(mutation(b"k", 1, value(&vec![1; length], 2)))
            .await
            .status;
        assert_eq!(status.as_u16(), if length == 8 { 200 } else { 400 });
    }
    let headers = [("authorization", &format!("Bearer {TOKEN}")[..])];
    assert_eq!(
        served
            .ask(Method::GET, "/healthz", &headers, "")
            .await
            .status,
        200
    );
}
