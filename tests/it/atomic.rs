//! Atomic operations (A01 to A12), and arithmetic (S01, S02, S04).

use crate::support::model::{Model, Mutation, Op, add_mutation};
use crate::support::threads::race;
use crate::support::{assert_refused, committed, conflict, everything};
use kvick::{AtomicOp, Entry, ErrorKind, Kv, NewValue, Outcome, Value, Versionstamp};
use std::collections::HashSet;

#[test]
fn a_check_passes_only_on_what_it_names() {
    // A01
    let kv = Kv::new();
    let missing = kv.get("key").unwrap();
    committed(kv.atomic().check_absent("key").check(&missing).commit());
    assert_eq!(conflict(kv.atomic().check_exists("key").commit()), [0]);

    let old = kv.set("key", "value").unwrap();
    let new = kv.set("key", "value").unwrap();
    let entry = kv.get("key").unwrap();
    committed(
        kv.atomic()
            .check_versionstamp("key", new)
            .check_exists("key")
            .check(&entry)
            .commit(),
    );
    assert_eq!(
        conflict(kv.atomic().check_versionstamp("key", old).commit()),
        [0]
    );
    assert_eq!(conflict(kv.atomic().check(&missing).commit()), [0]);
    // What other reads give can be passed whole as well.
    let listed = kv.list(()).entries().unwrap().next().unwrap();
    let snapshot = kv.snapshot().get("key").unwrap();
    let many = kv.get_many(["key"]).unwrap().remove(0);
    committed(
        kv.atomic()
            .check(&listed)
            .check(&snapshot)
            .check(&many)
            .commit(),
    );

    kv.delete("key").unwrap();
    assert_eq!(
        conflict(kv.atomic().check_versionstamp("key", new).commit()),
        [0]
    );
    assert_eq!(conflict(kv.atomic().check_exists("key").commit()), [0]);
    committed(kv.atomic().check_absent("key").commit());
}

#[test]
fn a_failed_check_is_an_outcome_and_leaves_no_trace() {
    // A02
    let kv = Kv::builder().background_sweep(false).build();
    kv.set("present", 1_u64).unwrap();
    let before = (everything(&kv), kv.stats());
    for key in ["present", "other"] {
        let outcome = kv
            .atomic()
            .check_absent("present")
            .set(key, 2_u64)
            .delete("present")
            .sum("new", 1)
            .commit();
        assert_eq!(conflict(outcome), [0]);
    }
    // One check of one key that is also the only one written takes a way of its own.
    let outcome = kv
        .atomic()
        .check_absent("present")
        .set("present", 2_u64)
        .commit();
    assert_eq!(conflict(outcome), [0]);
    let mut after = kv.stats();
    assert_eq!(after.conflict_count, 3);
    after.conflict_count = 0;
    assert_eq!((everything(&kv), after), before);
}

#[test]
fn every_failed_check_is_listed() {
    // A03
    let kv = Kv::new();
    kv.set("present", 1_u64).unwrap();
    let outcome = kv
        .atomic()
        .check_absent("present")
        .check_exists("present")
        .check_exists("missing")
        .set("present", 2_u64)
        .commit();
    assert_eq!(conflict(outcome), [0, 2]);
    let mut operation = kv.atomic();
    for _ in 0..100 {
        operation.check_absent("present");
    }
    let outcome = operation.commit().unwrap();
    let failed_checks = (0..100).collect();
    assert_eq!(outcome, Outcome::Conflict { failed_checks });
}

#[test]
fn checks_are_on_the_state_before_wherever_they_stand() {
    // A04
    let kv = Kv::new();
    committed(kv.atomic().set("key", 1_u64).check_absent("key").commit());
    committed(kv.atomic().delete("key").check_exists("key").commit());
    assert!(kv.get("key").unwrap().is_missing());
    for _ in 0..2 {
        let both = kv
            .atomic()
            .check_absent("key")
            .check_exists("key")
            .set("other", 1_u64)
            .commit();
        assert_eq!(conflict(both).len(), 1);
        kv.set("key", 1_u64).unwrap();
    }
    assert!(kv.get("other").unwrap().is_missing());
}

#[test]
fn a_versionstamp_is_twenty_digits_and_zeros_never_match() {
    // A05
    let kv = Kv::new();
    let versionstamp = kv.set("key", 1_u64).unwrap();
    let text = versionstamp.to_string();
    for text in [text.to_uppercase(), text.clone()] {
        let parsed: Versionstamp = text.parse().unwrap();
        committed(kv.atomic().check_versionstamp("key", parsed).commit());
    }
    let refused = [
        "",
        &text[2..],
        &text[1..],
        &format!("{text}00"),
        &format!("{text}0"),
        &text.replace("00000", "0000g"),
        &format!("+{}", &text[1..]),
    ];
    for text in refused {
        assert!(text.parse::<Versionstamp>().is_err(), "{text:?}");
        let error = text.parse::<Versionstamp>().map_err(kvick::Error::from);
        assert_refused(
            error,
            ErrorKind::InvalidVersionstamp,
            "20 hexadecimal digits",
        );
    }
    let zeros = Versionstamp::from_bytes([0; 10]);
    let mut later = versionstamp.to_bytes();
    later[9] = 1;
    let impossible = [
        zeros,
        Versionstamp::from_bytes(later),
        Versionstamp::from_bytes([0xff; 10]),
    ];
    for versionstamp in impossible {
        for key in ["key", "missing"] {
            let outcome = kv
                .atomic()
                .check_versionstamp(key, versionstamp)
                .set(key, 2_u64)
                .commit();
            assert_eq!(conflict(outcome), [0], "{versionstamp}");
        }
    }
}

#[test]
fn mutations_of_one_key_apply_in_order() {
    // A06
    type Build = for<'op, 'kv> fn(&'op mut AtomicOp<'kv>) -> &'op mut AtomicOp<'kv>;
    let kv = Kv::new();
    let after = |before: Option<u64>, build: Build| {
        kv.delete("k").unwrap();
        if let Some(before) = before {
            kv.set("k", before).unwrap();
        }
        committed(build(&mut kv.atomic()).commit());
        kv.get("k").unwrap().into_value()
    };
    let number = |number| Some(Value::from(number));
    let text = |text| Some(Value::from(text));
    assert_eq!(after(None, |op| op.set("k", "a").set("k", "b")), text("b"));
    assert_eq!(after(None, |op| op.set("k", "a").delete("k")), None);
    assert_eq!(after(Some(9), |op| op.delete("k").set("k", "x")), text("x"));
    assert_eq!(
        after(Some(9), |op| op.delete("k").sum("k", 1).sum("k", 2)),
        number(3)
    );
    let max = after(Some(9), |op| {
        op.delete("k")
            .sum("k", 5)
            .max("k", 100)
            .max("k", 50)
            .max("k", 150)
            .max("k", 75)
    });
    assert_eq!(max, number(150));
    let min = after(Some(150), |op| {
        op.min("k", 100).min("k", 50).min("k", 150).min("k", 75)
    });
    assert_eq!(min, number(50));
    assert_eq!(
        after(Some(9), |op| op.set("k", 1_u64).sum("k", 2).set("k", 5_u64)),
        number(5)
    );
    assert_eq!(after(Some(9), |op| op.sum("k", 2).delete("k")), None);

    let text_then_sum = kv.atomic().set("k", "text").sum("k", 1).commit();
    assert_refused(text_then_sum, ErrorKind::TypeMismatch, "'sum'");
}

#[test]
fn many_mutations_of_few_keys_apply_in_order() {
    // A06: many go another way than few.
    let kv = Kv::new();
    let mut operation = kv.atomic();
    let mut model = Model::default();
    let mutations = (0..1_000).map(|index: u64| Mutation {
        key: ("key", index * 7 % 13).into(),
        op: match index % 5 {
            0 => Op::Sum(index),
            1 => Op::Max(index),
            2 => Op::Min(index * 2),
            3 if index.is_multiple_of(3) => Op::Delete,
            _ => Op::Set(index.into()),
        },
    });
    let mutations: Vec<_> = mutations.collect();
    for mutation in &mutations {
        add_mutation(&mut operation, mutation);
    }
    let versionstamp = committed(operation.commit());
    let changes = model.changes(&mutations).unwrap();
    model.install(changes, versionstamp);
    for key in 0..13_u64 {
        model.assert_read(&kv.get(("key", key)).unwrap());
    }
    assert_eq!(everything(&kv).len(), model.entries.len());
}

#[test]
fn an_operation_that_is_refused_has_no_effect() {
    // A07 (D1): neither what comes before the mistake nor what comes after it.
    let kv = Kv::builder().background_sweep(false).build();
    kv.set("text", "text").unwrap();
    kv.set("kept", 1_u64).unwrap();
    let before = (everything(&kv), kv.stats(), kv.snapshot().versionstamp());
    let refused = [
        kv.atomic().set("new", 1_u64).sum("text", 1).commit(),
        kv.atomic().sum("text", 1).set("new", 1_u64).commit(),
        kv.atomic().delete("kept").max("text", 1).commit(),
        kv.atomic().set("new", "text").min("new", 1).commit(),
        kv.atomic().sum("text", 1).commit(),
        kv.atomic().check_exists("text").sum("text", 1).commit(),
        kv.atomic()
            .set("text", "other")
            .delete("kept")
            .sum("text", 1)
            .commit(),
        // What would mend it comes too late.
        kv.atomic().sum("text", 1).set("text", 1_u64).commit(),
    ];
    for refused in refused {
        assert_refused(
            refused,
            ErrorKind::TypeMismatch,
            "non-U64 value in the database",
        );
    }
    assert_eq!(
        (everything(&kv), kv.stats(), kv.snapshot().versionstamp()),
        before
    );
}

#[test]
fn a_failed_check_comes_before_a_type_mismatch() {
    let kv = Kv::new();
    kv.set("text", "text").unwrap();
    let outcome = kv.atomic().check_absent("text").sum("text", 1).commit();
    assert_eq!(conflict(outcome), [0]);
    let outcome = kv
        .atomic()
        .check_exists("missing")
        .set("a", 1_u64)
        .sum("text", 1)
        .commit();
    assert_eq!(conflict(outcome), [0]);
}

#[test]
fn commits_that_change_nothing_mint_versions() {
    // A08, A09, A10
    let kv = Kv::new();
    let mut stamps = vec![kv.set("key", "value").unwrap()];
    stamps.push(committed(kv.atomic().commit()));
    stamps.push(committed(kv.atomic().commit()));
    stamps.push(committed(kv.atomic().check_exists("key").commit()));
    stamps.push(kv.delete("missing").unwrap());
    stamps.push(committed(
        kv.atomic().delete("missing").delete("missing too").commit(),
    ));
    stamps.push(kv.delete_range("missing").unwrap().versionstamp);
    stamps.push(committed(
        kv.atomic().set("gone", 1_u64).delete("gone").commit(),
    ));
    assert!(stamps.is_sorted_by(|a, b| a < b), "{stamps:?}");
    assert_eq!(kv.get("key").unwrap().versionstamp(), Some(stamps[0]));

    let again = kv.set("key", "value").unwrap();
    assert!(again > stamps[0]);
    assert_eq!(kv.get("key").unwrap().versionstamp(), Some(again));
    assert_eq!(kv.stats().latest, again);
    assert_eq!(everything(&kv).len(), 1);
}

#[test]
fn every_commit_is_counted() {
    let kv = Kv::new();
    kv.set("key", 1_u64).unwrap();
    kv.delete("missing").unwrap();
    committed(kv.atomic().set("a", 1_u64).set("b", 1_u64).commit());
    kv.delete_range("nothing").unwrap();
    committed(kv.atomic().check_exists("key").commit());
    assert_eq!(kv.stats().commit_count, 5);
    committed(kv.atomic().commit());
    assert_eq!(kv.stats().commit_count, 6);
    let _ = kv.atomic().check_absent("key").commit().unwrap();
    kv.atomic()
        .sum(("a", "text"), 1)
        .set("a", "text")
        .sum("a", 1)
        .commit()
        .unwrap_err();
    assert_eq!((kv.stats().commit_count, kv.stats().conflict_count), (6, 1));
}

#[test]
fn an_operation_can_be_committed_again_and_is_then_checked_again() {
    let kv = Kv::new();
    let operation = kv.atomic().check_absent("key").set("key", 1_u64).clone();
    committed(operation.commit());
    assert_eq!(conflict(operation.commit()), [0]);
    let sum = kv.atomic().sum("sum", 2).clone();
    for total in [2, 4, 6] {
        committed(sum.commit());
        assert_eq!(kv.get("sum").unwrap().as_u64(), Some(total));
    }
}

#[test]
fn sums_of_many_threads_lose_nothing() {
    // A11
    const EACH: u64 = 5_000;
    let kv = Kv::new();
    let stamps = race(4, |index| {
        let sum = |_| {
            committed(
                kv.atomic()
                    .sum("total", 1)
                    .max(("own", index as u64), 1)
                    .commit(),
            )
        };
        (0..EACH).map(sum).collect::<Vec<_>>()
    });
    assert_eq!(kv.get("total").unwrap().as_u64(), Some(4 * EACH));
    let stamps: HashSet<_> = stamps.concat().into_iter().collect();
    assert_eq!(stamps.len() as u64, 4 * EACH);
}

#[test]
fn checked_increments_count_exactly_those_that_committed() {
    // A12
    let kv = Kv::new();
    let won = race(4, |_| {
        let mut won = Vec::new();
        for _ in 0..3_000 {
            let entry = kv.get("count").unwrap();
            let next = entry.as_u64().unwrap_or(0) + 1;
            let outcome = kv
                .atomic()
                .check(&entry)
                .set("count", next)
                .commit()
                .unwrap();
            if outcome.is_committed() {
                won.push(entry.versionstamp());
            }
        }
        won
    });
    let won = won.concat();
    assert_eq!(kv.get("count").unwrap().as_u64(), Some(won.len() as u64));
    let distinct: HashSet<_> = won.iter().collect();
    assert_eq!(distinct.len(), won.len(), "one version was replaced twice");
}

#[test]
fn a_sum_wraps_and_takes_the_place_of_nothing() {
    // S01
    let kv = Kv::new();
    let sum = |operand| {
        committed(kv.atomic().sum("sum", operand).commit());
        kv.get("sum").unwrap().as_u64().unwrap()
    };
    assert_eq!(sum(u64::MAX), u64::MAX);
    assert_eq!(sum(10), 9);
    assert_eq!(sum(u64::MAX), 8);
    assert_eq!(sum(8_u64.wrapping_neg()), 0);
}

#[test]
fn arithmetic_on_what_is_no_number_is_refused() {
    // S02
    let kv = Kv::new();
    let eight_bytes = 7_u64.to_le_bytes();
    for value in [
        NewValue::from("text"),
        NewValue::v8(b"\xff\x0fI\x02"),
        (&eight_bytes).into(),
    ] {
        kv.set("value", value.clone()).unwrap();
        let before = kv.get("value").unwrap();
        let refused = [
            ("sum", kv.atomic().sum("value", 1).commit()),
            ("min", kv.atomic().min("value", 1).commit()),
            ("max", kv.atomic().max("value", 1).commit()),
        ];
        for (operation, refused) in refused {
            let text = format!(
                "Failed to perform '{operation}' mutation on a non-U64 value in the database"
            );
            assert_refused(refused, ErrorKind::TypeMismatch, &text);
        }
        assert_eq!(kv.get("value").unwrap(), before);
    }
}

#[test]
fn min_and_max_keep_the_extreme_and_always_mint() {
    // S04
    let kv = Kv::new();
    let apply = |operation: &mut AtomicOp<'_>| -> Entry {
        let versionstamp = committed(operation.commit());
        let entry = kv.get("key").unwrap();
        assert_eq!(entry.versionstamp(), Some(versionstamp));
        entry
    };
    assert_eq!(apply(kv.atomic().min("key", 5)).as_u64(), Some(5));
    assert_eq!(apply(kv.atomic().min("key", 7)).as_u64(), Some(5));
    assert_eq!(apply(kv.atomic().min("key", 3)).as_u64(), Some(3));
    kv.delete("key").unwrap();
    assert_eq!(apply(kv.atomic().max("key", 5)).as_u64(), Some(5));
    assert_eq!(apply(kv.atomic().max("key", 5)).as_u64(), Some(5));
    assert_eq!(
        apply(kv.atomic().max("key", u64::MAX)).as_u64(),
        Some(u64::MAX)
    );
}

#[test]
fn a_key_is_not_newer_than_a_version() {
    // A01: beside equality, an order. What is missing is not newer than anything.
    let kv = Kv::new();
    let nothing = kv.versionstamp();
    assert_eq!(nothing.to_bytes(), [0; 10]);
    let first = kv.set("key", 1_u64).unwrap();
    let second = kv.set("other", 1_u64).unwrap();
    assert_eq!(kv.versionstamp(), second);
    let holds = |key: &str, versionstamp: Versionstamp| {
        let outcome = kv.atomic().check_not_newer(key, versionstamp).commit();
        outcome.unwrap().is_committed()
    };
    assert!(holds("key", first) && holds("key", second));
    assert!(!holds("key", nothing) && !holds("other", first));
    assert!(holds("missing", nothing));

    // Between two commits there are versionstamps that no commit has.
    let mut between = first.to_bytes();
    between[9] = 1;
    assert!(holds("key", Versionstamp::from_bytes(between)));
    assert!(!holds("other", Versionstamp::from_bytes(between)));
    assert!(holds("other", Versionstamp::from_bytes([0xff; 10])));

    let snapshot = kv.snapshot().versionstamp();
    assert!(holds("other", snapshot));
    kv.delete("key").unwrap();
    assert!(holds("key", nothing), "a deletion leaves no version");
    kv.set("key", 2_u64).unwrap();
    assert!(!holds("key", snapshot));
}
