//! `Kv` by the trait.

use chrono::{DateTime, Utc};
use deno_error::{JsErrorBox, JsErrorClass};
use denokv_proto::{
    AtomicWrite, Check, CommitResult, Consistency, Database, Enqueue, KvEntry, KvValue, Mutation,
    MutationKind, QueueMessageHandle, ReadRange, SnapshotReadOptions, WatchKeyOutput,
};
use futures_lite::StreamExt;
use futures_lite::future::{block_on, poll_once};
use kvick::denokv::Client;
use kvick::{Clock, Delivery, Error, ErrorKind, Key, Kv, ManualClock, Value};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

fn range(start: &Key, end: &Key, limit: u32) -> ReadRange {
    ReadRange {
        start: start.as_bytes().to_vec(),
        end: end.as_bytes().to_vec(),
        limit: NonZeroU32::new(limit).expect("it is positive"),
        reverse: false,
    }
}

fn one(key: impl Into<Key>) -> ReadRange {
    let key = key.into();
    range(&key, &Key::raw([key.as_bytes(), &[0]].concat()), 1)
}

fn read(kv: &Kv, requests: Vec<ReadRange>) -> Result<Vec<Vec<KvEntry>>, JsErrorBox> {
    let options = SnapshotReadOptions {
        consistency: Consistency::Strong,
    };
    let outputs = block_on(kv.snapshot_read(requests, options))?;
    Ok(outputs.into_iter().map(|output| output.entries).collect())
}

fn nothing() -> AtomicWrite {
    AtomicWrite {
        checks: Vec::new(),
        mutations: Vec::new(),
        enqueues: Vec::new(),
    }
}

fn mutation(key: impl Into<Key>, kind: MutationKind) -> Mutation {
    Mutation {
        key: key.into().as_bytes().to_vec(),
        kind,
        expire_at: None,
    }
}

fn write(kv: &Kv, mutations: Vec<Mutation>) -> Result<Option<CommitResult>, JsErrorBox> {
    let write = AtomicWrite {
        mutations,
        ..nothing()
    };
    block_on(kv.atomic_write(write))
}

fn instant(ms: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(ms).expect("it can be told")
}

/// The class, and the kind of the error that it is.
fn class_and_kind(error: &JsErrorBox) -> (String, ErrorKind) {
    let inner = error.get_inner_ref().expect("it wraps one");
    let ours = inner.downcast_ref::<Error>().expect("it is one of ours");
    (error.get_class().into_owned(), ours.kind())
}

#[test]
fn every_mutation_does_what_the_operation_of_its_name_does() -> kvick::Result<()> {
    let kv = Kv::new();
    let sum = |value, min_v8: &[u8], max_v8: &[u8], clamp| MutationKind::Sum {
        value,
        min_v8: min_v8.to_vec(),
        max_v8: max_v8.to_vec(),
        clamp,
    };
    let number = |number: f64| match Value::from(kvick::NewValue::number(number)) {
        Value::V8(bytes) => bytes.to_vec(),
        _ => unreachable!("a number is V8's"),
    };
    let committed = write(
        &kv,
        vec![
            mutation("set", MutationKind::Set(KvValue::Bytes(b"x".to_vec()))),
            mutation("gone", MutationKind::Set(KvValue::U64(1))),
            mutation("gone", MutationKind::Delete),
            mutation("n", sum(KvValue::U64(5), b"", b"", false)),
            mutation("n", MutationKind::Max(KvValue::U64(9))),
            mutation("n", MutationKind::Min(KvValue::U64(7))),
            mutation("t", MutationKind::Set(KvValue::V8(number(20.0)))),
            mutation(
                "t",
                sum(KvValue::V8(number(5.0)), &number(0.0), &number(21.0), true),
            ),
            mutation(
                "log",
                MutationKind::SetSuffixVersionstampedKey(KvValue::U64(3)),
            ),
        ],
    );
    let stamp = committed
        .expect("it fits")
        .expect("there is no check")
        .versionstamp;
    let stamp = kvick::Versionstamp::from_bytes(stamp);
    assert_eq!(kv.get("set")?.as_str(), Some("x"));
    assert!(kv.get("gone")?.is_missing());
    assert_eq!(kv.get("n")?.as_u64(), Some(7));
    assert_eq!(kv.get("t")?.as_number(), Some(21.0));
    assert_eq!(kv.get(("log", stamp))?.versionstamp(), Some(stamp));
    Ok(())
}

#[test]
fn a_check_that_fails_is_no_error() -> kvick::Result<()> {
    let kv = Kv::new();
    let stamp = kv.set("key", "x")?.to_bytes();
    let holds = |versionstamp| {
        let key = Key::from("key").as_bytes().to_vec();
        let checks = vec![Check { key, versionstamp }];
        let write = AtomicWrite {
            checks,
            ..nothing()
        };
        let committed = block_on(kv.atomic_write(write));
        committed.expect("it is no error").is_some()
    };
    assert!(holds(Some(stamp)));
    assert!(!holds(None) && !holds(Some([0; 10])) && !holds(Some([0xff; 10])));
    Ok(())
}

#[test]
fn a_read_is_of_one_moment_and_within_the_limits() -> kvick::Result<()> {
    let kv = Kv::new();
    for n in 0..5 {
        kv.set(("log", n), "x")?;
    }
    let (start, end) = (Key::from(("log", 1)), Key::from(("log", 4)));
    let lengths = |requests| {
        let ranges = read(&kv, requests).expect("it is within the limits");
        ranges.iter().map(Vec::len).collect::<Vec<_>>()
    };
    assert_eq!(lengths(vec![range(&start, &end, 10)]), [3]);
    assert_eq!(lengths(vec![range(&end, &start, 10)]), [0]);
    let reverse = ReadRange {
        reverse: true,
        ..range(&start, &end, 2)
    };
    let of_one = one(("log", 0));
    assert_eq!(
        lengths(vec![reverse, of_one.clone(), one("none")]),
        [2, 1, 0]
    );
    assert_eq!(lengths(vec![of_one.clone(), one("none")]), [1, 0]);
    assert_eq!(lengths(Vec::new()), [0; 0]);
    let refused = [
        (
            vec![of_one; 11],
            ErrorKind::TooManyRanges,
            "Too many ranges (max 10): got 11",
        ),
        (
            vec![range(&start, &end, 1_001)],
            ErrorKind::TooManyEntries,
            "Too many entries (max 1000): got 1001",
        ),
        (
            vec![range(&start, &end, u32::MAX); 2],
            ErrorKind::TooManyEntries,
            "Too many entries (max 1000)",
        ),
        (
            vec![one(Key::raw([1; 2_049]))],
            ErrorKind::KeyTooLarge,
            "Key too large for read (max 2049 bytes)",
        ),
    ];
    for (requests, kind, text) in refused {
        let error = read(&kv, requests).expect_err("it is too much");
        assert_eq!(class_and_kind(&error), ("TypeError".to_owned(), kind));
        assert!(error.get_message().starts_with(text), "{error}");
    }
    Ok(())
}

#[test]
fn what_the_caller_did_wrong_is_a_type_error_and_nothing_else_is() -> kvick::Result<()> {
    let kv = Kv::new();
    kv.set("text", "x")?;
    let set = |key: Key| mutation(key, MutationKind::Set(KvValue::U64(1)));
    let min = mutation("text", MutationKind::Min(KvValue::U64(1)));
    let type_error = |kind| ("TypeError".to_owned(), kind);
    let refused = |kv: &Kv, mutations| {
        let error = write(kv, mutations).expect_err("it is refused");
        class_and_kind(&error)
    };
    assert_eq!(
        refused(&kv, vec![set(Key::default())]),
        type_error(ErrorKind::KeyEmpty)
    );
    assert_eq!(refused(&kv, vec![min]), type_error(ErrorKind::TypeMismatch));
    let many = (0..1_001).map(|n| set(("k", n).into())).collect();
    assert_eq!(refused(&kv, many), type_error(ErrorKind::TooManyMutations));
    assert_eq!(
        refused(&kv.read_only(), vec![set("k".into())]),
        type_error(ErrorKind::ReadOnly)
    );
    let full = Kv::builder().memory_limit(1_024).build();
    let large = mutation("k", MutationKind::Set(KvValue::Bytes(vec![0; 60_000])));
    let (class, kind) = refused(&full, vec![large]);
    assert_eq!((class.as_str(), kind), ("Error", ErrorKind::MemoryLimit));
    Database::close(&kv);
    let (class, kind) = refused(&kv, vec![set("k".into())]);
    assert_eq!((class.as_str(), kind), ("Error", ErrorKind::Closed));
    assert!(read(&kv, Vec::new()).is_err());
    Ok(())
}

#[test]
fn an_instant_counts_from_the_wall_clock() -> kvick::Result<()> {
    let clock = Arc::new(ManualClock::default());
    clock.set(Duration::from_secs(1_000));
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .build();
    let expiring = |key: &str, at| Mutation {
        expire_at: Some(instant(at)),
        ..mutation(key, MutationKind::Set(KvValue::U64(1)))
    };
    let (soon, past, before_1970) = (
        expiring("soon", 1_060_000),
        expiring("past", 5),
        expiring("old", -5),
    );
    write(&kv, vec![soon, past, before_1970]).expect("any instant will do");
    assert_eq!(kv.get("soon")?.expires_in(), Some(Duration::from_secs(60)));
    assert!(kv.get("past")?.is_missing() && kv.get("old")?.is_missing());
    clock.advance(Duration::from_secs(60));
    assert!(kv.get("soon")?.is_missing());
    assert_eq!(clock.wall_time(), Duration::from_secs(1_060));
    Ok(())
}

/// Enqueues a message with one retry, at once.
fn enqueue(kv: &Kv, payload: &[u8]) {
    let write = AtomicWrite {
        enqueues: vec![Enqueue {
            payload: payload.to_vec(),
            deadline: instant(0),
            keys_if_undelivered: vec![Key::from("undelivered").as_bytes().to_vec()],
            backoff_schedule: Some(vec![0]),
        }],
        ..nothing()
    };
    let committed = block_on(kv.atomic_write(write));
    assert!(committed.expect("it is taken").is_some());
}

#[test]
fn a_message_is_finished_or_delivered_again() -> kvick::Result<()> {
    let kv = Kv::new();
    let next = || block_on(kv.dequeue_next_message()).expect("it is open");
    enqueue(&kv, b"one");
    let mut handle = next().expect("there is one");
    assert_eq!(
        block_on(handle.take_payload()).expect("it is there"),
        b"one"
    );
    assert!(block_on(handle.take_payload()).is_err(), "it was taken");
    assert!(block_on(handle.finish(true)).is_ok());
    assert!(block_on(handle.finish(false)).is_ok(), "it is done with");
    assert!(kv.queue("").is_empty());

    enqueue(&kv, b"two");
    drop(next().expect("there is one"));
    let handle = next().expect("it is delivered again");
    assert!(block_on(handle.finish(false)).is_ok());
    assert_eq!(kv.get("undelivered")?.as_v8(), Some(&b"two"[..]));
    assert!(kv.queue("").is_empty());
    Ok(())
}

#[test]
fn a_payload_of_any_kind_is_what_v8_writes() -> kvick::Result<()> {
    let kv = Kv::new();
    kv.enqueue("abc", Delivery::default())?;
    kv.enqueue(7u64, Delivery::default())?;
    let payload = || {
        let handle = block_on(kv.dequeue_next_message()).expect("it is open");
        let mut handle = handle.expect("there is one");
        let payload = block_on(handle.take_payload()).expect("it is there");
        assert!(block_on(handle.finish(true)).is_ok());
        payload
    };
    assert_eq!(payload(), b"\xff\x0fB\x03abcVB\0\x03\0");
    assert_eq!(payload(), b"\xff\x0fZ\x10\x07\0\0\0\0\0\0\0");
    Ok(())
}

#[test]
fn whoever_stops_waiting_for_a_message_takes_none() {
    let kv = Kv::new();
    let mut waiting = kv.dequeue_next_message();
    assert!(block_on(poll_once(&mut waiting)).is_none());
    drop(waiting);
    enqueue(&kv, b"one");
    assert!(matches!(block_on(kv.dequeue_next_message()), Ok(Some(_))));
    let other = Kv::new();
    let mut waiting = other.dequeue_next_message();
    assert!(block_on(poll_once(&mut waiting)).is_none());
    other.close();
    assert!(matches!(block_on(waiting), Ok(None)));
    let closed = block_on(other.dequeue_next_message()).expect_err("it is closed");
    assert_eq!(closed.get_message(), "Queue already closed");
}

#[test]
fn a_watch_tells_what_has_changed() -> kvick::Result<()> {
    let kv = Kv::new();
    let key = |key: &str| Key::from(key).as_bytes().to_vec();
    let mut watch = Database::watch(&kv, vec![key("a"), key("b")]);
    let mut next = || block_on(watch.next()).map(|outputs| outputs.expect("it is watched"));
    let first = next().expect("there is one at once");
    assert!(
        first
            .iter()
            .all(|output| matches!(output, WatchKeyOutput::Changed { entry: None }))
    );
    kv.set("b", 7u64)?;
    let second = next().expect("b has changed");
    assert!(matches!(second[0], WatchKeyOutput::Unchanged));
    let WatchKeyOutput::Changed { entry: Some(entry) } = &second[1] else {
        panic!("it was set: {second:?}")
    };
    assert!(matches!(entry.value, KvValue::U64(7)));
    kv.close();
    assert!(next().is_none());

    let mut refused = Database::watch(&Kv::new(), vec![key("a"); 11]);
    let error = block_on(refused.next())
        .expect("it says so")
        .expect_err("there are too many");
    assert_eq!(
        class_and_kind(&error),
        ("TypeError".to_owned(), ErrorKind::TooManyKeys)
    );
    assert!(block_on(refused.next()).is_none());
    Ok(())
}

#[test]
fn a_client_can_be_sent_and_shared_where_its_database_can() {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Client<Kv>>();
}
