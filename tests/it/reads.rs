//! Reads of keys (R01 to R03), and the views they give.

use crate::support::threads::race;
use crate::support::{assert_refused, each_key};
use kvick::{Entry, ErrorKind, Key, Kv, ValueKind};
use std::sync::atomic::{AtomicBool, Ordering};

#[test]
fn a_missing_key_is_returned_without_value_or_versionstamp() {
    // R01
    let kv = Kv::new();
    kv.set(("users", "alice"), "Alice").unwrap();
    let reads = [
        kv.get(("users", "bob")).unwrap(),
        kv.snapshot().get(("users", "bob")).unwrap(),
        kv.get_many([("users", "bob")]).unwrap().remove(0),
    ];
    for entry in reads {
        assert_eq!(*entry.key(), Key::from(("users", "bob")));
        assert!(entry.is_missing());
        assert_eq!((entry.value(), entry.versionstamp()), (None, None));
        assert_eq!(entry.into_value(), None);
    }
}

#[test]
fn many_keys_are_read_in_order_each_as_often_as_asked() {
    // R02
    let kv = Kv::new();
    kv.set("a", 1_u64).unwrap();
    kv.set("b", 2_u64).unwrap();
    let keys = each_key(["b", "missing", "a", "b", "a", "a", "missing", "b", "b", "a"]);
    for entries in [kv.get_many(&keys), kv.snapshot().get_many(&keys)] {
        let entries = entries.unwrap();
        assert!(entries.iter().map(Entry::key).eq(&keys));
        let values: Vec<_> = entries
            .iter()
            .map(|entry| entry.as_u64().unwrap_or(0))
            .collect();
        assert_eq!(values, [2, 0, 1, 2, 1, 1, 0, 2, 2, 1]);
    }
    assert_eq!(kv.get_many::<Key>([]).unwrap(), []);
    let text = "Too many ranges (max 10)";
    assert_refused(kv.get_many([1; 11]), ErrorKind::TooManyRanges, text);
    assert_refused(
        kv.snapshot().get_many([1; 11]),
        ErrorKind::TooManyRanges,
        text,
    );
}

#[test]
fn a_pair_that_is_set_together_is_never_seen_half_done() {
    // R03: one that comes and goes, as well.
    let kv = Kv::new();
    let keys = each_key([("pair", 1), ("pair", 2)]);
    let same = |entries: &[Entry]| {
        let [one, two] = entries else {
            panic!("half a pair: {entries:?}");
        };
        assert_eq!(one.value(), two.value());
        assert_eq!(one.versionstamp(), two.versionstamp());
    };
    race(3, |index| match index {
        0 => {
            for round in 0..4_000_u64 {
                let mut operation = kv.atomic();
                for key in &keys {
                    match round % 5 {
                        4 => operation.delete(key),
                        _ => operation.set(key, round),
                    };
                }
                assert!(operation.commit().unwrap().is_committed());
            }
            kv.set("done", "").unwrap();
        }
        _ => {
            while kv.get("done").unwrap().is_missing() {
                same(&kv.get_many(&keys).unwrap());
                let listed: Vec<_> = kv.list("pair").batch_size(1).entries().unwrap().collect();
                assert!(listed.is_empty() || listed.len() == 2, "{listed:?}");
                if !listed.is_empty() {
                    same(&listed);
                }
                assert_eq!(kv.list("pair").count().unwrap() % 2, 0);
                same(&kv.snapshot().get_many(&keys).unwrap());
            }
        }
    });
}

#[test]
fn a_snapshot_stays_what_it_was() {
    let kv = Kv::new();
    let empty = kv.snapshot();
    assert_eq!(empty.versionstamp().to_bytes(), [0; 10]);
    let first = kv.set("kept", 1_u64).unwrap();
    kv.set("deleted", 1_u64).unwrap();
    let snapshot = kv.snapshot();
    kv.set("kept", 2_u64).unwrap();
    kv.delete("deleted").unwrap();
    kv.set("new", 1_u64).unwrap();
    kv.sweep();
    let clone = snapshot.clone();
    drop(snapshot);
    kv.sweep();
    assert_eq!(clone.get("kept").unwrap().as_u64(), Some(1));
    assert_eq!(clone.get("kept").unwrap().versionstamp(), Some(first));
    assert_eq!(
        clone
            .with_entry("deleted", |entry| entry.unwrap().value().kind())
            .unwrap(),
        ValueKind::U64
    );
    assert!(clone.get("new").unwrap().is_missing());
    assert_eq!(clone.list(()).count().unwrap(), 2);
    assert_eq!(empty.list(()).count().unwrap(), 0);
    assert!(empty.get("kept").unwrap().is_missing());
}

#[test]
fn a_snapshot_taken_after_a_commit_sees_it() {
    let kv = Kv::new();
    let is_done = AtomicBool::new(false);
    race(3, |index| {
        if index > 0 {
            for _ in 0..3_000_u32 {
                let key = ("own", index as u64);
                let versionstamp = kv.atomic().sum(key, 1).commit().unwrap().versionstamp();
                let snapshot = kv.snapshot();
                assert_eq!(snapshot.get(key).unwrap().versionstamp(), versionstamp);
                assert!(Some(snapshot.versionstamp()) >= versionstamp);
                assert_eq!(kv.get(key).unwrap().versionstamp(), versionstamp);
            }
            is_done.store(true, Ordering::Relaxed);
        } else {
            while !is_done.load(Ordering::Relaxed) {
                kv.sweep();
            }
        }
    });
}

#[test]
fn what_is_shown_may_call_the_database() {
    let kv = Kv::new();
    kv.set("key", "before").unwrap();
    let shown = kv.with_entry("key", |entry| {
        kv.set("key", "after").unwrap();
        kv.delete("key").unwrap();
        kv.sweep();
        entry.unwrap().as_str().map(str::to_owned)
    });
    assert_eq!(shown.unwrap().as_deref(), Some("before"));
    assert!(kv.get("key").unwrap().is_missing());
}
