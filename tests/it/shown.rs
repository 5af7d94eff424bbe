//! What a developer sees of the things of this crate: `{:?}` in an assertion that fails, or in a log.

use kvick::{
    BigInt, Entry, ErrorKind, Key, KeyPart, Kv, Limits, NewValue, Outcome, Range, Sum, Transacted,
    Update, Value, ValueKind,
};
use std::collections::HashSet;
use std::fmt::Debug;

#[track_caller]
fn assert_shows(thing: &dyn Debug, parts: &[&str]) {
    let shown = format!("{thing:?}");
    for part in parts {
        assert!(shown.contains(part), "{part:?} is not in {shown}");
    }
}

#[test]
fn an_entry_shows_its_key_its_value_and_its_version() {
    let kv = Kv::new();
    let versionstamp = kv.set(("user", 7), 42_u64).unwrap().to_string();
    let entry = kv.get(("user", 7)).unwrap();
    assert_shows(&entry, &["Entry", "\"user\"", "7", "42", &versionstamp]);
    let shown = kv.with_entry(("user", 7), |entry| format!("{:?}", entry.unwrap()));
    assert_eq!(
        shown.unwrap(),
        format!("{entry:?}").replace("Entry", "EntryRef")
    );
    let missing = format!("{:?}", kv.get("missing").unwrap());
    assert_eq!(missing, "Entry { key: [\"missing\"] }");
}

#[test]
fn what_reads_and_writes_shows_what_it_is_about() {
    let kv = Kv::new();
    kv.set(("user", 7), 42_u64).unwrap();
    assert_shows(&kv, &["Kv"]);
    assert_shows(&kv.snapshot(), &["Snapshot"]);
    let list = || kv.list(("user",)).reverse();
    assert_shows(&list(), &["List", "\"user\""]);
    assert_shows(&list().entries().unwrap(), &["Entries", "\"user\""]);
    assert_shows(&list().keys().unwrap(), &["Keys", "\"user\""]);
    let mut operation = kv.atomic();
    operation.check_exists(("user", 7)).sum(("user", 7), 1);
    assert_shows(&operation, &["AtomicOp", "\"user\""]);
    let done = kv.transact(|tx| {
        tx.get(("user", 7))?;
        tx.list(("user",)).entries()?;
        tx.sum(("user", 8), 1);
        assert_shows(tx, &["Transaction", "reads: 1", "ranges: 1", "writes: 1"]);
        assert_shows(&tx.list(("user",)), &["TrackedList", "\"user\""]);
        Ok(())
    });
    assert_shows(&done.unwrap(), &["Committed", "attempts: 1"]);
    assert_shows(&Update::set(1_u64), &["Set", "1"]);
    assert_shows(
        &Sum::number(1.0).clamped(),
        &["Sum", "V8(11 bytes)", "true"],
    );
    let error = kv.set((), 1_u64).unwrap_err();
    assert_shows(&error, &["Error", "KeyEmpty", "cannot be empty"]);
    assert!(error.downcast_ref::<std::fmt::Error>().is_none());
}

#[test]
fn a_transaction_that_has_not_committed_has_no_value() {
    let kv = Kv::new();
    let done = kv.transact(|tx| {
        tx.set("key", 1_u64);
        Ok("value")
    });
    let done = done.unwrap();
    assert_eq!(done.attempts(), 1);
    assert_eq!(done.committed(), Some("value"));
    let done: Transacted<()> = kv.transact(|tx| tx.abort("no")).unwrap();
    assert_eq!(done.attempts(), 1);
    assert_eq!(done.committed(), None);
    let failed: Outcome = kv.atomic().check_absent("key").commit().unwrap();
    assert_eq!(failed.versionstamp(), None);
}

#[test]
fn entries_answer_as_their_kind() {
    let kv = Kv::new();
    kv.set("text", "täxt").unwrap();
    let answers = |entry: &Entry| {
        assert_eq!(entry.as_str(), Some("täxt"));
        assert_eq!(entry.as_bytes(), Some("täxt".as_bytes()));
        assert_eq!(entry.as_u64(), None);
    };
    answers(&kv.get("text").unwrap());
    let looked = kv.with_entry("text", |entry| {
        let entry = entry.unwrap();
        assert_eq!(entry.as_str(), Some("täxt"));
        assert_eq!(entry.as_bytes(), Some("täxt".as_bytes()));
        assert_eq!(entry.as_u64(), None);
        assert_eq!(entry.key(), Key::from("text"));
        assert_eq!(entry.key_bytes(), Key::from("text").as_bytes());
        entry.to_entry()
    });
    let entry = looked.unwrap();
    answers(&entry);
    assert_eq!((entry.as_number(), entry.as_bigint()), (None, None));
    assert_eq!(entry.into_value(), Some(Value::from("täxt")));
    kv.set("number", 1.5).unwrap();
    let entry = kv.get("number").unwrap();
    assert_eq!((entry.as_number(), entry.as_bigint()), (Some(1.5), None));
    kv.set("bigint", BigInt::from(-7)).unwrap();
    let entry = kv.get("bigint").unwrap();
    let expected = Some(BigInt::from(-7));
    assert_eq!((entry.as_number(), entry.as_bigint()), (None, expected));
    for (key, number) in [("number", Some(1.5)), ("bigint", None)] {
        let looked = kv.with_entry(key, |entry| {
            let entry = entry.unwrap();
            (entry.as_number(), entry.as_bigint().is_some())
        });
        assert_eq!(looked.unwrap(), (number, number.is_none()));
    }
    assert_eq!(NewValue::from("täxt").kind(), ValueKind::Bytes);
    assert_eq!(NewValue::from("täxt"), NewValue::from(String::from("täxt")));
    assert_ne!(NewValue::from("täxt"), NewValue::from(1_u64));
    assert_eq!(*kv.limits(), Limits::default());
}

#[test]
fn parts_are_equal_and_hashed_alike_whoever_owns_them() {
    let parts: [KeyPart<'_>; 5] = [
        KeyPart::from(&b"\0\xff"[..]),
        KeyPart::from("text"),
        KeyPart::from(BigInt::from(-7_i64)),
        KeyPart::from(-0.0),
        KeyPart::from(true),
    ];
    let owned: HashSet<KeyPart<'static>> =
        parts.iter().map(|part| part.clone().into_owned()).collect();
    assert_eq!(owned.len(), parts.len());
    for part in &parts {
        let owned = owned.get(part).expect("a part is found by another like it");
        assert_eq!(owned, part);
        assert_eq!(owned.to_string(), part.to_string());
    }
    // As many as there are keys.
    let bytes = |number: f64| Key::from((number,)).as_bytes().to_vec();
    let hashed: HashSet<_> = [0.0, -0.0, f64::NAN, -f64::NAN].map(KeyPart::from).into();
    let encoded: HashSet<_> = [0.0, -0.0, f64::NAN, -f64::NAN].map(bytes).into();
    assert_eq!(hashed.len(), encoded.len());
}

#[test]
fn integers_of_any_length_compare_as_numbers_do() {
    let long = |first: u8| BigInt::from_be_bytes(false, &[&[first][..], &[0; 20]].concat());
    let integers: Vec<BigInt> = vec![
        BigInt::from(-1_i64),
        BigInt::from(0_i64),
        BigInt::from(u64::MAX),
        long(1).unwrap(),
        long(2).unwrap(),
    ];
    for (i, a) in integers.iter().enumerate() {
        for (j, b) in integers.iter().enumerate() {
            assert_eq!(a.partial_cmp(b), Some(i.cmp(&j)), "{a} {b}");
        }
        assert_eq!(format!("{a:?}"), format!("{a}n"));
    }
}

#[test]
fn a_range_that_cannot_be_stays_one_that_cannot_be() {
    let kv = Kv::new();
    let wrong = Range::all().start("a").start("b").end("c");
    let refused = kv.list(&wrong).count().map_err(|error| error.kind());
    assert_eq!(refused, Err(ErrorKind::InvalidSelector));
}
