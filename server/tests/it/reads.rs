//! `snapshot_read`.

use crate::support::{Served, one, range, set};
use denokv_proto::datapath as pb;
use kvick::{Key, NewValue, Value};
use prost::Message;

#[tokio::test(flavor = "multi_thread")]
async fn a_read_answers_its_ranges_in_order() {
    // P05
    let served = Served::start().await;
    for number in 0..5_u8 {
        served
            .kv
            .set(Key::raw([b'k', number]), &[number; 3][..])
            .unwrap();
    }
    let mut reversed = range(b"k", b"l", 2);
    reversed.reverse = true;
    let ranges = vec![
        one(b"k\x03"),
        reversed,
        range(b"k\x01", b"k\x03", 100),
        range(b"l", b"k", 1),
        range(b"", b"\xff", 3),
        one(b"missing"),
    ];
    let output: pb::SnapshotReadOutput = served.read(ranges).await.message();
    assert_eq!(
        (output.status, output.read_is_strongly_consistent),
        (1, true)
    );
    assert!(!output.read_disabled);
    let keys: Vec<Vec<u8>> = output
        .ranges
        .iter()
        .map(|range| range.values.iter().map(|entry| entry.key[1]).collect())
        .collect();
    let expected: [&[u8]; 6] = [&[3], &[4, 3], &[1, 2], &[], &[0, 1, 2], &[]];
    assert_eq!(keys, expected);
    for entry in output.ranges.iter().flat_map(|range| &range.values) {
        assert_eq!(entry.value, [entry.key[1]; 3]);
        let read = served.kv.get(Key::raw(&entry.key)).unwrap();
        assert_eq!(entry.versionstamp, read.versionstamp().unwrap().as_bytes());
        assert_eq!(entry.encoding, 3);
    }
    let none: pb::SnapshotReadOutput = served.read(Vec::new()).await.message();
    assert_eq!((none.ranges.len(), none.status), (0, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_out_of_bounds_is_refused() {
    // P05
    let served = Served::start().await;
    let long = |bytes: usize| vec![b'k'; bytes];
    for (ranges, says) in [
        (vec![range(b"a", b"b", 0)], "not positive: got 0"),
        (vec![range(b"a", b"b", -1)], "not positive: got -1"),
        (vec![one(b"k"); 11], "Too many ranges (max 10): got 11"),
        (
            vec![range(b"a", b"b", 1001)],
            "Too many entries (max 1000): got 1001",
        ),
        (
            vec![range(b"a", b"b", 501); 2],
            "Too many entries (max 1000): got 1002",
        ),
        (vec![range(b"a", b"b", i32::MAX); 10], "Too many entries"),
        (
            vec![range(b"a", &long(2050), 1)],
            "Key too large for read (max 2049 bytes)",
        ),
        (
            vec![range(&long(2050), b"l", 1)],
            "Key too large for read (max 2049 bytes)",
        ),
        (
            vec![one(&long(2049))],
            "Key too large for read (max 2049 bytes)",
        ),
        (
            vec![one(b"k"), range(&long(2050), b"l", 1)],
            "Key too large for read",
        ),
    ] {
        served.read(ranges).await.assert_refused(400, says);
    }
    for ranges in [
        vec![one(b"k"); 10],
        vec![range(b"a", b"b", 1000)],
        vec![range(b"a", b"b", 100); 10],
        vec![one(&long(2048))],
        vec![range(b"", &long(2049), 1)],
    ] {
        let count = ranges.len();
        let output: pb::SnapshotReadOutput = served.read(ranges).await.message();
        assert_eq!(output.ranges.len(), count);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn values_pass_unchanged_both_ways() {
    // P13
    let served = Served::start().await;
    let v8 = b"\xff\x10o\"\x01aI\x02{\x01";
    served.kv.set("v8", NewValue::v8(v8)).unwrap();
    served.kv.set("number", u64::MAX - 1).unwrap();
    served.kv.set("bytes", &[0, 255, 128][..]).unwrap();
    served.kv.set("empty", "").unwrap();
    served.kv.set("large", vec![7; 65_536]).unwrap();
    let number = (u64::MAX - 1).to_le_bytes();
    let large = vec![7; 65_536];
    let expected: [(&str, &[u8], i32); 5] = [
        ("v8", v8, 1),
        ("number", &number, 2),
        ("bytes", &[0, 255, 128], 3),
        ("empty", b"", 3),
        ("large", &large, 3),
    ];
    for (name, bytes, encoding) in expected {
        let key = Key::from(name);
        let ranges = vec![one(key.as_bytes()), range(key.as_bytes(), b"\xff", 1)];
        let output: pb::SnapshotReadOutput = served.read(ranges).await.message();
        for range in &output.ranges {
            let [entry] = &range.values[..] else {
                panic!("{name}: {range:?}");
            };
            assert_eq!(
                (&entry.value[..], entry.encoding),
                (bytes, encoding),
                "{name}"
            );
            assert_eq!(entry.key, key.as_bytes());
        }
        // And back, under another key, which the program that has the database sees at once.
        let mut mutation = set(b"copy", bytes);
        mutation.value = output.ranges[0].values.first().map(|entry| pb::KvValue {
            data: entry.value.clone(),
            encoding: entry.encoding,
        });
        let written: pb::AtomicWriteOutput = served.mutate(mutation).await.message();
        let copy = served.kv.get(Key::raw("copy")).unwrap();
        assert_eq!(copy.value(), served.kv.get(name).unwrap().value());
        assert_eq!(
            copy.versionstamp().unwrap().as_bytes(),
            &written.versionstamp[..]
        );
    }
    let read = served.kv.get("number").unwrap();
    assert_eq!(read.value(), Some(&Value::U64(u64::MAX - 1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_with_too_many_parts_is_refused_before_it_is_decoded() {
    let served = Served::start().await;
    // A million of them, of two bytes each; behind something that is not known, of each type that has one.
    let unknown: [&[u8]; 5] = [
        b"",
        &[0x78, 1],
        &[0x79, 0, 0, 0, 0, 0, 0, 0, 0],
        &[0x7d, 0, 0, 0, 0],
        &[0x7b, 0x08, 1, 0x7c],
    ];
    for before in unknown {
        let body = [before, &[0x0a, 0].repeat(1_000_000)].concat();
        for (path, says) in [
            ("/v2/snapshot_read", "Too many ranges (max 10): got 1000000"),
            ("/v2/atomic_write", "Too many checks (max 100): got 1000000"),
            ("/v2/watch", "Too many keys (max 10): got 1000000"),
        ] {
            let answer = served.post(path, body.clone()).await;
            answer.assert_refused(400, says);
        }
    }
    // What is not known is passed over.
    let mut body = pb::SnapshotRead {
        ranges: vec![one(b"k")],
    }
    .encode_to_vec();
    body.extend([0x7a, 2, 1, 2]);
    let answer = served.post("/v2/snapshot_read", body).await;
    let output: pb::SnapshotReadOutput = answer.message();
    assert_eq!(output.ranges.len(), 1);
}
