//! Values and versionstamps (V01 to V05).

use crate::support::{committed, everything};
use kvick::{Kv, NewValue, Outcome, Value, ValueKind, Versionstamp};

#[test]
fn values_come_back_bit_by_bit_with_their_kind() {
    // V01: whatever their length, and however they were given.
    let kv = Kv::new();
    for len in [0, 1, 8, 1_023, 1_024, 1_025, 65_536] {
        let bytes: Vec<u8> = (0..len).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let values = [Value::from(bytes.clone()), Value::V8(bytes.clone().into())];
        for value in values {
            kv.set("borrowed", value.as_ref()).unwrap();
            kv.set("owned", value.clone()).unwrap();
            kv.atomic()
                .set("in a commit", &value)
                .set("of two", &value)
                .commit()
                .unwrap()
                .versionstamp()
                .unwrap();
            for entry in everything(&kv) {
                assert_eq!(entry.value(), Some(&value), "{entry:?}");
                assert_eq!(entry.value().unwrap().kind(), value.kind());
                let len = kv.with_entry(entry.key(), |entry| {
                    entry.map_or(0, |entry| entry.value().len())
                });
                assert_eq!(len.unwrap(), bytes.len());
            }
        }
    }
    for number in [0, 1, u64::MAX] {
        kv.set("number", number).unwrap();
        let entry = kv.get("number").unwrap();
        assert_eq!(
            (entry.as_u64(), entry.value().unwrap().kind()),
            (Some(number), ValueKind::U64)
        );
    }
}

#[test]
fn v8_bytes_are_never_looked_into() {
    // V01
    let kv = Kv::new();
    for bytes in [&b""[..], b"\xff", b"\xff\x10Z", b"not V8 at all"] {
        kv.set("v8", NewValue::v8(bytes)).unwrap();
        let entry = kv.get("v8").unwrap();
        assert_eq!(entry.value().unwrap().as_v8(), Some(bytes));
        assert_eq!(entry.as_bytes(), None);
    }
}

#[test]
fn a_value_that_reads_as_nothing_is_there() {
    // V02: V8's undefined and null, and no bytes at all.
    let kv = Kv::new();
    let nothings = [
        NewValue::v8(b"\xff\x0f_"),
        NewValue::v8(b"\xff\x0f0"),
        "".into(),
    ];
    for nothing in nothings {
        kv.set("nothing", nothing).unwrap();
        let entry = kv.get("nothing").unwrap();
        assert!(entry.exists() && entry.versionstamp().is_some());
        let outcome = kv.atomic().check_absent("nothing").commit().unwrap();
        assert!(!outcome.is_committed());
        assert_eq!(everything(&kv).len(), 1);
    }
}

#[test]
fn versionstamps_are_ten_bytes_that_grow() {
    // V03
    let kv = Kv::new();
    let mut stamps: Vec<Versionstamp> = (0..300)
        .map(|i| kv.set(("k", i % 3), 1_u64).unwrap())
        .collect();
    stamps.push(kv.delete("k").unwrap());
    stamps.push(committed(kv.atomic().commit()));
    stamps.push(kv.delete_range(()).unwrap().versionstamp);
    let texts: Vec<_> = stamps.iter().map(ToString::to_string).collect();
    assert!(stamps.is_sorted_by(|a, b| a < b));
    assert!(texts.is_sorted_by(|a, b| a < b));
    for (stamp, text) in stamps.iter().zip(&texts) {
        assert_eq!(stamp.to_bytes()[8..], [0, 0]);
        assert_ne!(stamp.to_bytes(), [0; 10]);
        assert_eq!(text.len(), 20);
        assert!(
            text.bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        );
        assert_eq!(text.parse(), Ok(*stamp));
        assert_eq!(text.to_uppercase().parse(), Ok(*stamp));
    }
}

#[test]
fn all_of_a_commit_carries_its_versionstamp() {
    // V04
    let kv = Kv::new();
    kv.set("deleted", 1_u64).unwrap();
    kv.set("number", 1_u64).unwrap();
    let versionstamp = committed(
        kv.atomic()
            .set("set", "value")
            .delete("deleted")
            .sum("number", 1)
            .min("least", 1)
            .max("most", 1)
            .commit(),
    );
    let entries = everything(&kv);
    assert_eq!(entries.len(), 4);
    for entry in entries {
        assert_eq!(entry.versionstamp(), Some(versionstamp), "{entry:?}");
    }
    let moved = kv.transact(|tx| {
        tx.set("set", "again");
        tx.sum("number", 1);
        Ok(())
    });
    let kvick::Transacted::Committed { versionstamp, .. } = moved.unwrap() else {
        panic!("nothing conflicts");
    };
    for key in ["set", "number"] {
        assert_eq!(kv.get(key).unwrap().versionstamp(), versionstamp);
    }
}

#[test]
fn what_is_created_again_has_a_larger_versionstamp() {
    // V05
    let kv = Kv::new();
    kv.set("key", "value").unwrap();
    let first = kv.get("key").unwrap();
    let deleted = kv.delete("key").unwrap();
    // Also where nothing of the key is left.
    kv.sweep();
    let second = kv.set("key", "value").unwrap();
    assert!(first.versionstamp() < Some(deleted));
    assert!(deleted < second);
    let outcome = kv.atomic().check(&first).delete("key").commit().unwrap();
    assert_eq!(
        outcome,
        Outcome::Conflict {
            failed_checks: vec![0]
        }
    );
    assert!(kv.get("key").unwrap().exists());
}
