//! Limits (L01 to L05).

use crate::support::{assert_refused, committed, everything};
use kvick::{AtomicOp, ErrorKind, Key, Kv, Limits, Range};

/// A key of this many bytes: a tag, text, and an end.
fn key_of(bytes: usize) -> Key {
    let key = Key::from("k".repeat(bytes - 2));
    assert_eq!(key.as_bytes().len(), bytes);
    key
}

/// A key of this many bytes, one of several.
fn numbered(bytes: usize, number: u64) -> Key {
    let key = Key::from(format!("{number:0width$}", width = bytes - 2));
    assert_eq!(key.as_bytes().len(), bytes);
    key
}

fn repeated(kv: &Kv, times: u64, mut add: impl FnMut(&mut AtomicOp<'_>, u64)) -> AtomicOp<'_> {
    let mut operation = kv.atomic();
    (0..times).for_each(|number| add(&mut operation, number));
    operation
}

#[test]
fn keys_have_a_longest_for_writing_and_one_for_reading() {
    // L01
    let kv = Kv::new();
    let (longest, longer, too_long) = (key_of(2_048), key_of(2_049), key_of(2_050));
    kv.set(&longest, 1_u64).unwrap();
    assert_eq!(kv.get(&longest).unwrap().as_u64(), Some(1));
    committed(kv.atomic().check_exists(&longest).sum(&longest, 1).commit());
    kv.delete(&longest).unwrap();

    let text = "Key too large for write (max 2048 bytes)";
    assert_refused(kv.set(&longer, 1_u64), ErrorKind::KeyTooLarge, text);
    assert_refused(kv.delete(&longer), ErrorKind::KeyTooLarge, text);
    let refused = [
        kv.atomic().set(&longer, 1_u64).commit(),
        kv.atomic().sum(&longer, 1).commit(),
        kv.atomic().check_absent(&longer).commit(),
        kv.atomic().set("a", 1_u64).delete(&longer).commit(),
    ];
    for refused in refused {
        assert_refused(refused, ErrorKind::KeyTooLarge, text);
    }
    let updated = kv.update(&longer, |_| kvick::Update::keep());
    assert_refused(updated, ErrorKind::KeyTooLarge, text);
    let transacted = kv.transact(|tx| tx.get(&longer).map(drop));
    assert_refused(transacted, ErrorKind::KeyTooLarge, text);

    let text = "Key too large for read (max 2049 bytes)";
    assert_refused(kv.get(&longer), ErrorKind::KeyTooLarge, text);
    assert_refused(
        kv.get_many([&longest, &longer]),
        ErrorKind::KeyTooLarge,
        text,
    );
    assert_refused(kv.with_entry(&longer, |_| ()), ErrorKind::KeyTooLarge, text);
    assert_refused(kv.snapshot().get(&longer), ErrorKind::KeyTooLarge, text);
    assert_refused(kv.list(&longer).entries(), ErrorKind::KeyTooLarge, text);
    assert_refused(
        kv.list(Range::new("a", &too_long)).count(),
        ErrorKind::KeyTooLarge,
        text,
    );
    assert_eq!(kv.list(&longest).count().unwrap(), 0);
    assert_eq!(everything(&kv), []);
}

#[test]
fn zero_bytes_in_a_key_count_twice() {
    // L01
    let kv = Kv::new();
    kv.set(vec![0; 1_023], 1_u64).unwrap();
    assert!(kv.get(vec![0; 1_023]).unwrap().exists());
    assert_refused(
        kv.set(vec![0; 1_024], 1_u64),
        ErrorKind::KeyTooLarge,
        "max 2048",
    );
    kv.set(vec![1; 2_046], 1_u64).unwrap();
    assert_refused(
        kv.set(vec![1; 2_047], 1_u64),
        ErrorKind::KeyTooLarge,
        "max 2048",
    );
}

#[test]
fn values_have_a_largest() {
    // L02
    let kv = Kv::new();
    let longest = vec![b'v'; 65_536];
    let too_long = vec![b'v'; 65_537];
    kv.set("bytes", &longest).unwrap();
    kv.set("v8", kvick::NewValue::v8(&longest)).unwrap();
    let before = everything(&kv);
    let text = "Value too large (max 65536 bytes)";
    assert_refused(kv.set("bytes", &too_long), ErrorKind::ValueTooLarge, text);
    assert_refused(
        kv.set("new", too_long.clone()),
        ErrorKind::ValueTooLarge,
        text,
    );
    let v8 = kvick::NewValue::v8(&too_long);
    assert_refused(
        kv.atomic().delete("v8").set("v8", v8).commit(),
        ErrorKind::ValueTooLarge,
        text,
    );
    let updated = kv.update("bytes", |_| kvick::Update::set(&too_long));
    assert_refused(updated, ErrorKind::ValueTooLarge, text);
    let transacted = kv.transact(|tx| {
        tx.set("bytes", &too_long);
        Ok(())
    });
    assert_refused(transacted, ErrorKind::ValueTooLarge, text);
    assert_eq!(everything(&kv), before);
}

#[test]
fn operations_have_a_most_of_checks_and_of_mutations() {
    // L03
    let kv = Kv::new();
    let checks = |times| {
        repeated(&kv, times, |op, number| {
            op.check_absent(("k", number));
        })
    };
    committed(checks(100).commit());
    assert_refused(
        checks(101).commit(),
        ErrorKind::TooManyChecks,
        "Too many checks (max 100)",
    );
    let mutations = |times| {
        repeated(&kv, times, |op, number| {
            op.delete(("k", number));
        })
    };
    committed(mutations(1_000).commit());
    let text = "Too many mutations (max 1000)";
    assert_refused(mutations(1_001).commit(), ErrorKind::TooManyMutations, text);
    let mixed = kv.atomic().check_absent("a").set("a", 1_u64).clone();
    let mut too_many = repeated(&kv, 1_000, |op, _| {
        op.sum("b", 1);
    });
    too_many.set("a", 1_u64);
    assert_refused(too_many.commit(), ErrorKind::TooManyMutations, text);
    committed(mixed.commit());
}

#[test]
fn operations_have_a_largest_total() {
    // L04: keys of mutations that carry a value count twice.
    let kv = Kv::new();
    let value = vec![b'v'; 65_000];
    let operation = |last: usize| {
        let mut operation = repeated(&kv, 12, |op, number| {
            op.set(numbered(100, number), value.clone());
        });
        // 12 · 65,200 = 782,400 so far; and here 2 · 100 + 100 + 100 + 36,400 = 36,800.
        operation.set(numbered(100, 12), vec![b'v'; last]);
        operation
            .delete(numbered(100, 13))
            .check_absent(numbered(100, 14));
        operation
    };
    assert_refused(
        operation(36_401).commit(),
        ErrorKind::TotalTooLarge,
        "Total mutation size too large (max 819200 bytes)",
    );
    assert_eq!(everything(&kv), []);
    committed(operation(36_400).commit());
    assert_eq!(everything(&kv).len(), 13);
}

#[test]
fn the_keys_of_an_operation_have_a_largest_total() {
    // L04: keys that are deleted or checked do not count to it.
    let kv = Kv::new();
    let operation = |last: usize| {
        let mut operation = repeated(&kv, 39, |op, number| {
            op.sum(numbered(2_048, number), 1);
        });
        operation.set(numbered(last, 39), 1_u64);
        for number in 40..50 {
            operation
                .delete(numbered(2_048, number))
                .check_absent(numbered(2_048, number));
        }
        operation
    };
    committed(operation(2_048).commit());
    let mut too_large = operation(2_048);
    too_large.min("a", 1);
    let text = "Total key size too large (max 81920 bytes)";
    assert_refused(too_large.commit(), ErrorKind::TotalKeysTooLarge, text);
    assert!(kv.get("a").unwrap().is_missing());
    assert_eq!(kv.get(numbered(2_048, 39)).unwrap().as_u64(), Some(1));
}

#[test]
fn a_refused_write_has_no_effect() {
    // L05
    let kv = Kv::builder().background_sweep(false).build();
    kv.set("kept", 1_u64).unwrap();
    let before = (everything(&kv), kv.stats());
    let refused = kv
        .atomic()
        .delete("kept")
        .set("new", 1_u64)
        .set(key_of(3_000), 1_u64)
        .commit();
    assert_refused(refused, ErrorKind::KeyTooLarge, "");
    // A limit is looked at before the checks are.
    let refused = kv
        .atomic()
        .check_absent("kept")
        .set("a", vec![0; 70_000])
        .commit();
    assert_refused(refused, ErrorKind::ValueTooLarge, "");
    assert_eq!((everything(&kv), kv.stats()), before);
}

#[test]
fn every_limit_can_be_raised() {
    // L05
    let kv = Kv::builder().limits(Limits::unlimited()).build();
    let key = key_of(100_000);
    kv.set(&key, vec![b'v'; 1 << 20]).unwrap();
    assert_eq!(kv.get(&key).unwrap().value().unwrap().len(), 1 << 20);
    assert_eq!(kv.get_many([&key; 50]).unwrap().len(), 50);
    assert_eq!(kv.list(()).batch_size(5_000).entries().unwrap().count(), 1);
    assert_eq!(kv.list(&key).count().unwrap(), 0);
    let mut operation = kv.atomic();
    for number in 0..2_000_u64 {
        operation
            .check_absent(("k", number))
            .set(("k", number), vec![b'v'; 1_000]);
    }
    committed(operation.commit());
    assert_eq!(kv.list("k").count().unwrap(), 2_000);
}

#[test]
fn a_limit_can_be_lowered_as_far_as_it_goes() {
    // L05
    let mut limits = Limits::unlimited();
    limits.checks_max = 0;
    limits.ranges_max = 1;
    limits.entries_max = 0;
    limits.value_bytes_max = 7;
    limits.key_write_bytes_max = 3;
    let kv = Kv::builder().limits(limits).build();
    kv.set("a", "seven b").unwrap();
    assert_refused(kv.set("ab", ""), ErrorKind::KeyTooLarge, "max 3 bytes");
    assert_refused(kv.set("a", 1_u64), ErrorKind::ValueTooLarge, "max 7 bytes");
    assert_refused(
        kv.atomic().check_exists("a").commit(),
        ErrorKind::TooManyChecks,
        "max 0",
    );
    assert_refused(kv.get_many(["a", "b"]), ErrorKind::TooManyRanges, "max 1");
    // What may be asked for in one batch is none, and a list has to be read by some.
    assert_refused(
        kv.list(()).batch_size(1).entries(),
        ErrorKind::TooManyEntries,
        "max 0",
    );
    assert_eq!(everything(&kv).len(), 1);
    assert_eq!(kv.list(()).count().unwrap(), 1);
}
