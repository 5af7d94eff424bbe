//! `watch`.

use crate::support::{Served, one, options, set};
use denokv_proto::datapath as pb;
use kvick::{Key, Kv};
use kvick_server::Server;
use prost::Message;
use std::time::Duration;

/// Also those that have not changed: the Deno runtime would take them for missing.
#[tokio::test(flavor = "multi_thread")]
async fn each_frame_of_a_watch_has_every_key_as_changed() {
    // P09
    let served = Served::start().await;
    served.kv.set(Key::raw("a"), 1_u64).unwrap();
    let mut frames = served.watch(&[b"a", b"b", b"a"]).await;
    let shown = |output: &pb::WatchOutput| -> Vec<_> {
        let keys = output.keys.iter();
        keys.map(|key| (key.changed, key.entry_if_changed.is_some()))
            .collect()
    };
    let first = frames.change().await;
    assert_eq!(first.status, 1);
    assert_eq!(shown(&first), [(true, true), (true, false), (true, true)]);
    let entry = first.keys[0].entry_if_changed.as_ref().unwrap();
    assert_eq!((&entry.key[..], entry.encoding), (&b"a"[..], 2));
    // By a client, and by the program that has the database.
    let written: pb::AtomicWriteOutput = served.mutate(set(b"b", b"text")).await.message();
    let second = frames.change().await;
    assert_eq!(shown(&second), [(true, true); 3]);
    assert_eq!(second.keys[0], first.keys[0]);
    let entry = second.keys[1].entry_if_changed.as_ref().unwrap();
    assert_eq!(entry.versionstamp, written.versionstamp);
    served.kv.delete(Key::raw("a")).unwrap();
    let third = frames.change().await;
    assert_eq!(shown(&third), [(true, false), (true, true), (true, false)]);
    assert_eq!(third.keys[1], second.keys[1]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_says_that_it_is_still_there_and_ends_with_the_server() {
    // P09
    let kv = Kv::new();
    let mut options = options();
    assert!(options.watch_keep_alive <= Duration::from_secs(5));
    options.watch_keep_alive = Duration::from_millis(20);
    let mut served = Served::start_with(Server::new(kv.clone(), options), kv).await;
    let mut frames = served.watch(&[b"a"]).await;
    let mut nothing = served.watch(&[]).await;
    frames.change().await;
    assert!(nothing.change().await.keys.is_empty());
    for _ in 0..3 {
        assert_eq!(frames.next().await, Some(Vec::new()));
        assert_eq!(nothing.next().await, Some(Vec::new()));
    }
    served.end();
    while frames.next().await.is_some() {}
    while nothing.next().await.is_some() {}
    served.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_watch_ends_with_its_database() {
    let served = Served::start().await;
    let mut frames = served.watch(&[b"a"]).await;
    frames.change().await;
    served.kv.close();
    while frames.next().await.is_some() {}
    served
        .read(vec![one(b"a")])
        .await
        .assert_refused(503, "shutting down");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_keys_than_ten_are_refused() {
    // P09
    let served = Served::start().await;
    let post = async |count: usize, bytes: usize| {
        let key = pb::WatchKey {
            key: vec![1; bytes],
        };
        let body = pb::Watch {
            keys: vec![key; count],
        }
        .encode_to_vec();
        served.post("/v2/watch", body).await
    };
    post(11, 1)
        .await
        .assert_refused(400, "Too many keys (max 10): got 11");
    post(1, 2_049)
        .await
        .assert_refused(400, "Key too large for read (max 2049 bytes)");
    let keys: Vec<Vec<u8>> = (0..10).map(|number| vec![number; 2_048]).collect();
    let keys: Vec<&[u8]> = keys.iter().map(|key| &key[..]).collect();
    assert_eq!(served.watch(&keys).await.change().await.keys.len(), 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_late_is_shown_the_newest_state() {
    let served = Served::start().await;
    let mut frames = served.watch(&[b"a"]).await;
    frames.change().await;
    // Far more than fits into windows and sockets.
    let count_max = 1_000_u64;
    for number in 1..=count_max {
        let mut value = vec![0; 60_000];
        value[..8].copy_from_slice(&number.to_le_bytes());
        served.kv.set(Key::raw("a"), value).unwrap();
    }
    let (mut shown, mut count) = (0, 0);
    while shown < count_max {
        let change = frames.change().await;
        let entry = change.keys[0].entry_if_changed.as_ref();
        let value = &entry.expect("it is there").value[..8];
        let number = u64::from_le_bytes(value.try_into().unwrap());
        assert!(number > shown, "{number} after {shown}");
        shown = number;
        count += 1;
    }
    assert!(count < count_max / 2, "{count} of {count_max} were shown");
}
