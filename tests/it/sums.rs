//! Sums of the numbers and bigints of JavaScript, with bounds and without (S03, S05 to S14).

use crate::support::{assert_refused, committed, everything};
use kvick::{BigInt, ErrorKind, Kv, Limits, NewValue, Range, Sum, Value};

/// A text, an object, `Object(1)` and `Object(1n)`, as V8 serialises them; and what it does not.
const NO_SCALARS: [&[u8]; 8] = [
    b"\xff\x0f\"\x011",
    b"\xff\x0fo{\0",
    b"\xff\x0fn\0\0\0\0\0\0\xf0\x3f",
    b"\xff\x0fz\x10\x01\0\0\0\0\0\0\0",
    b"\xff\x0fI",
    b"\xff\x0cI\x02",
    b"\xff\x0fI\x02\0",
    b"",
];

fn bigint(number: i128) -> NewValue<'static> {
    NewValue::bigint(number)
}

/// 2 to this power.
fn power(exponent: usize) -> BigInt {
    let mut magnitude = vec![0; exponent / 8 + 1];
    magnitude[0] = 1 << (exponent % 8);
    BigInt::from_be_bytes(false, &magnitude).expect("it is not too long")
}

fn value(kv: &Kv) -> Option<Value> {
    kv.get("key").expect("a key can be read").into_value()
}

/// A way to add to a key: what is there afterwards, or as what it is refused.
type Way = fn(&Kv, &Sum<'_>) -> kvick::Result<Option<Value>>;

/// By itself, with a check.
fn alone(kv: &Kv, sum: &Sum<'_>) -> kvick::Result<Option<Value>> {
    let read = kv.get("key")?;
    let mut operation = kv.atomic();
    let outcome = operation
        .check(&read)
        .sum_with("key", sum.clone())
        .commit()?;
    let entry = kv.get("key")?;
    assert_eq!(entry.versionstamp(), outcome.versionstamp());
    Ok(entry.into_value())
}

/// Beside another mutation.
fn beside(kv: &Kv, sum: &Sum<'_>) -> kvick::Result<Option<Value>> {
    let mut operation = kv.atomic();
    operation
        .set("other", 1_u64)
        .sum_with("key", sum.clone())
        .commit()
        .map(|_| value(kv))
}

/// In a transaction that does not commit, but looks.
fn looked_at(kv: &Kv, sum: &Sum<'_>) -> kvick::Result<Option<Value>> {
    let mut seen = Ok(None);
    let done = kv.transact(|tx| {
        tx.sum_with("key", sum.clone());
        seen = tx.get("key").map(kvick::Entry::into_value);
        tx.abort::<()>("only looked")
    });
    assert!(!done.expect("to abort is no error").is_committed());
    seen
}

/// In a transaction that has read a range.
fn ranged(kv: &Kv, sum: &Sum<'_>) -> kvick::Result<Option<Value>> {
    let done = kv.transact(|tx| {
        tx.list(Range::all()).entries()?;
        tx.sum_with("key", sum.clone());
        Ok(())
    });
    done.map(|_| value(kv))
}

/// What a sum makes of a value, or the kind and the text of what it is refused with, whatever the
/// way.
#[track_caller]
fn sum(stored: Option<NewValue<'_>>, sum: &Sum<'_>) -> Result<Value, (ErrorKind, String)> {
    let stored = stored.map(Value::from);
    let ways: [Way; 4] = [alone, beside, looked_at, ranged];
    let results = ways.map(|way| {
        let kv = Kv::new();
        if let Some(stored) = &stored {
            kv.set("key", stored).expect("a value can be set");
        }
        let before = (everything(&kv), kv.stats().latest);
        let result = way(&kv, sum);
        if result.is_err() {
            assert_eq!((everything(&kv), kv.stats().latest), before);
        }
        result.map_err(|error| (error.kind(), error.to_string()))
    });
    let [result, others @ ..] = results;
    for other in others {
        assert_eq!(other, result);
    }
    result.map(|value| value.expect("a sum leaves a value"))
}

#[track_caller]
fn assert_sum(stored: Option<NewValue<'_>>, operand: &Sum<'_>, expected: NewValue<'_>) {
    assert_eq!(sum(stored, operand), Ok(Value::from(expected)));
}

#[track_caller]
fn assert_mismatch(stored: Option<NewValue<'_>>, operand: &Sum<'_>, text: &str) {
    let (kind, got) = sum(stored, operand).expect_err("it is refused");
    assert_eq!(kind, ErrorKind::TypeMismatch);
    assert!(got.contains(text), "{got}");
}

#[test]
fn min_and_max_want_a_number_of_64_bits_whatever_is_stored() {
    // S03
    let kv = Kv::new();
    kv.set("number", 7_u64).unwrap();
    kv.set("text", "text").unwrap();
    let before = everything(&kv);
    for key in ["number", "text", "missing"] {
        for operand in [
            bigint(1),
            NewValue::number(1.0),
            "1".into(),
            NewValue::v8(b"1"),
        ] {
            let mut least = kv.atomic();
            least.min_with(key, operand.clone());
            let mut most = kv.atomic();
            most.max_with(key, operand.clone());
            for (operation, mut refused) in [("min", least), ("max", most)] {
                let text = format!("Failed to perform '{operation}' mutation on a non-U64 operand");
                assert_refused(refused.commit(), ErrorKind::TypeMismatch, &text);
                // It would be no different if the check failed: nothing is looked at.
                let checked = refused.check_absent("number").commit();
                assert_refused(checked, ErrorKind::TypeMismatch, &text);
            }
            let least = kv.transact(|tx| {
                tx.min_with(key, operand.clone());
                Ok(())
            });
            assert_refused(
                least,
                ErrorKind::TypeMismatch,
                "'min' mutation on a non-U64 operand",
            );
            let most = kv.transact(|tx| {
                tx.max_with(key, operand.clone());
                assert_refused(tx.get(key), ErrorKind::TypeMismatch, "'max'");
                Ok(())
            });
            assert_refused(
                most,
                ErrorKind::TypeMismatch,
                "'max' mutation on a non-U64 operand",
            );
        }
    }
    assert_eq!(everything(&kv), before);
    let mut bounded = kv.atomic();
    committed(
        bounded
            .min_with("number", 5_u64)
            .max_with("missing", 9_u64)
            .commit(),
    );
    assert_eq!(kv.get("number").unwrap().as_u64(), Some(5));
    assert_eq!(kv.get("missing").unwrap().as_u64(), Some(9));
}

#[test]
fn numbers_are_added_as_doubles_and_bigints_exactly() {
    // S05
    let one = NewValue::v8(b"\xff\x10I\x02");
    let three = NewValue::v8(b"\xff\x0fN\0\0\0\0\0\0\x08\x40");
    assert_sum(Some(one), &Sum::number(2.0), three);
    assert_sum(Some(0.1.into()), &Sum::number(0.2), (0.1 + 0.2).into());
    assert_sum(Some(bigint(1)), &Sum::bigint(-2), bigint(-1));
    assert_sum(Some(bigint(1)), &Sum::bigint(-1), bigint(0));
    let max = i128::from(u64::MAX);
    assert_sum(Some(bigint(max)), &Sum::bigint(1), bigint(max + 1));
    assert_sum(Some(bigint(-max)), &Sum::bigint(-max), bigint(-2 * max));
    // A carry, and a borrow, through many words.
    let ones = BigInt::from_be_bytes(false, &[0xff; 100]).unwrap();
    assert_sum(
        Some(ones.clone().into()),
        &Sum::bigint(1),
        power(800).into(),
    );
    assert_sum(Some(power(800).into()), &Sum::bigint(-1), ones.into());
    // 2 + 3 in every way that it can be written.
    for two in [&b"I\x04"[..], b"U\x02", b"\0N\0\0\0\0\0\0\0\x40"] {
        let two = [b"\xff\x0f", two].concat();
        assert_sum(
            Some(3.0.into()),
            &Sum::encoded(NewValue::v8(&two)),
            5.0.into(),
        );
        assert_sum(Some(NewValue::v8(&two)), &Sum::number(3.0), 5.0.into());
    }
}

#[test]
fn sums_of_one_operation_and_of_many_add_up() {
    // S05, A06
    let kv = Kv::new();
    let mut operation = kv.atomic();
    for number in 1..=100 {
        operation.sum_with("number", Sum::number(number.into()));
        operation.sum_with("bigint", Sum::bigint(number));
    }
    committed(operation.commit());
    assert_eq!(kv.get("number").unwrap().as_number(), Some(5_050.0));
    assert_eq!(kv.get("bigint").unwrap().as_bigint(), Some(5_050.into()));
    for _ in 0..9 {
        committed(operation.commit());
    }
    assert_eq!(kv.get("number").unwrap().as_number(), Some(50_500.0));
    assert_eq!(kv.get("bigint").unwrap().as_bigint(), Some(50_500.into()));
    // One is set, and one deleted, on the way.
    let mut operation = kv.atomic();
    operation
        .sum_with("number", Sum::bigint(1).at_most(0.0))
        .set("number", 1.0);
    assert_refused(operation.commit(), ErrorKind::TypeMismatch, "Min/max");
    let mut operation = kv.atomic();
    operation
        .set("number", 1.0)
        .sum_with("number", Sum::number(2.0))
        .delete("bigint")
        .sum_with("bigint", Sum::bigint(7));
    committed(operation.commit());
    assert_eq!(kv.get("number").unwrap().as_number(), Some(3.0));
    assert_eq!(kv.get("bigint").unwrap().as_bigint(), Some(7.into()));
}

#[test]
fn a_transaction_sees_what_it_has_added() {
    // S05, S09
    let kv = Kv::new();
    kv.set(("n", 1), bigint(40)).unwrap();
    let done = kv.transact(|tx| {
        tx.sum_with(("n", 1), Sum::bigint(1));
        tx.sum_with(("n", 1), Sum::bigint(1));
        tx.sum_with(("n", 2), Sum::number(1.5));
        assert_eq!(tx.get(("n", 1))?.as_bigint(), Some(42.into()));
        let values = tx.list("n").entries()?;
        assert_eq!(values[0].as_bigint(), Some(42.into()));
        assert_eq!(values[1].as_number(), Some(1.5));
        Ok(())
    });
    assert!(done.unwrap().is_committed());
    assert_eq!(kv.get(("n", 1)).unwrap().as_bigint(), Some(42.into()));
    assert_eq!(kv.get(("n", 2)).unwrap().as_number(), Some(1.5));
    let refused = kv.transact(|tx| {
        let bound = [b'\xff', 15, b'Z', 2, 42];
        tx.sum_with(("n", 1), Sum::bigint(1).at_most(NewValue::v8(&bound)));
        assert_refused(tx.get(("n", 1)), ErrorKind::SumOutOfRange, "range limit");
        let listed = tx.list("n").entries();
        assert_refused(listed, ErrorKind::SumOutOfRange, "range limit");
        Ok(())
    });
    assert_refused(refused, ErrorKind::SumOutOfRange, "range limit");
    assert_eq!(kv.get(("n", 1)).unwrap().as_bigint(), Some(42.into()));
}

#[test]
fn a_u64_takes_a_bigint_that_is_one() {
    // S06
    let u64 = |number: u64| Some(NewValue::from(number));
    assert_sum(u64(42), &Sum::bigint(1), 43_u64.into());
    assert_sum(u64(42), &Sum::bigint(0), 42_u64.into());
    assert_sum(u64(2), &Sum::bigint(u64::MAX), 1_u64.into());
    let with_bigint = "Cannot sum KvU64 with BigInt";
    assert_mismatch(u64(42), &Sum::bigint(-1), with_bigint);
    assert_mismatch(u64(42), &Sum::bigint(1_i128 << 64), with_bigint);
    assert_mismatch(
        u64(42),
        &Sum::bigint(1).at_least(BigInt::from(0)),
        with_bigint,
    );
    assert_mismatch(
        u64(42),
        &Sum::bigint(1).at_most(BigInt::from(99)),
        with_bigint,
    );
    assert_mismatch(u64(42), &Sum::bigint(1).clamped(), with_bigint);
    assert_mismatch(u64(42), &Sum::number(1.0), "Cannot sum KvU64 with Number");
}

#[test]
fn types_do_not_mix() {
    // S07
    let number = || Some(NewValue::number(1.0));
    assert_mismatch(
        Some(bigint(1)),
        &Sum::number(1.0),
        "Cannot sum BigInt with Number",
    );
    assert_mismatch(number(), &Sum::bigint(1), "Cannot sum Number with BigInt");
    let text = "Failed to perform 'sum' mutation on a non-U64 value in the database";
    for stored in [bigint(1), NewValue::number(1.0), "text".into()] {
        for operand in [Sum::u64(1), Sum::from(1), Sum::encoded(1_u64)] {
            assert_mismatch(Some(stored.clone()), &operand, text);
        }
    }
    assert_sum(Some(1_u64.into()), &Sum::u64(u64::MAX), 0_u64.into());
}

#[test]
fn what_is_no_number_and_no_bigint_is_not_added() {
    // S08: it is refused whatever is stored, and whatever the checks.
    let mut operands = NO_SCALARS.map(NewValue::v8).to_vec();
    operands.push("1".into());
    operands.push(NewValue::from(b"\xff\x0fI\x02"));
    for operand in operands {
        for stored in [
            None,
            Some(1.0.into()),
            Some(1_u64.into()),
            Some("text".into()),
        ] {
            let sum = Sum::encoded(operand.clone());
            assert_mismatch(stored.clone(), &sum, "not valid V8 values: the operand");
            let sum = Sum::number(1.0).at_least(operand.clone());
            assert_mismatch(stored.clone(), &sum, "not valid V8 values: the lower bound");
            let sum = Sum::number(1.0).at_most(operand.clone());
            assert_mismatch(stored.clone(), &sum, "not valid V8 values: the upper bound");
        }
        let kv = Kv::new();
        let mut refused = kv.atomic();
        refused
            .check_exists("missing")
            .sum_with("key", Sum::encoded(operand));
        assert_refused(
            refused.commit(),
            ErrorKind::TypeMismatch,
            "not valid V8 values",
        );
    }
}

#[test]
fn to_what_is_no_number_and_no_bigint_nothing_is_added() {
    // S08
    let mut values = NO_SCALARS.map(NewValue::v8).to_vec();
    values.push("1".into());
    for stored in values {
        for operand in [Sum::number(1.0), Sum::bigint(1)] {
            assert_mismatch(Some(stored.clone()), &operand, "unsupported value type");
        }
    }
}

#[test]
fn a_sum_beyond_its_bounds_is_refused_or_clamped() {
    // S09
    let at_most = |operand: i32, max: i32| Sum::bigint(operand).at_most(BigInt::from(max));
    let at_least = |operand: i32, min: i32| Sum::bigint(operand).at_least(BigInt::from(min));
    let out_of_range = |what: &str| {
        let text = "The result of a Sum operation would exceed its range limit: ";
        Err((ErrorKind::SumOutOfRange, format!("{text}{what}")))
    };
    let stored = || Some(bigint(43));
    assert_eq!(
        sum(stored(), &at_most(2, 44)),
        out_of_range("45 is above 44")
    );
    assert_sum(stored(), &at_most(1, 44), bigint(44));
    assert_sum(stored(), &at_most(10, 50).clamped(), bigint(50));
    assert_sum(stored(), &at_most(6, 50).clamped(), bigint(49));
    assert_eq!(
        sum(stored(), &at_least(-44, 0)),
        out_of_range("-1 is below 0")
    );
    assert_sum(stored(), &at_least(-43, 0), bigint(0));
    assert_sum(stored(), &at_least(-100, -10).clamped(), bigint(-10));
    // The upper bound has the last word.
    let contradiction = at_least(0, 60).at_most(BigInt::from(50)).clamped();
    assert_sum(stored(), &contradiction, bigint(50));
    assert_eq!(
        sum(stored(), &at_least(0, 40).at_most(BigInt::from(42))),
        out_of_range("43 is above 42")
    );

    let stored = || Some(NewValue::number(1.5));
    assert_eq!(
        sum(stored(), &Sum::number(1.0).at_most(2.0)),
        out_of_range("2.5 is above 2.0")
    );
    assert_sum(stored(), &Sum::number(0.5).at_most(2.0), 2.0.into());
    assert_sum(
        stored(),
        &Sum::number(1.0).at_most(2.0).clamped(),
        2.0.into(),
    );
    assert_eq!(
        sum(stored(), &Sum::number(-2.0).at_least(0.0)),
        out_of_range("-0.5 is below 0.0")
    );
    assert_sum(stored(), &Sum::number(-1.5).at_least(0.0), 0.0.into());
    assert_sum(
        stored(),
        &Sum::number(-2.0).at_least(0.0).clamped(),
        0.0.into(),
    );
    // A bound is written anew, as a double.
    let bound = NewValue::v8(b"\xff\x10I\x04");
    assert_sum(
        stored(),
        &Sum::number(9.0).at_most(bound).clamped(),
        2.0.into(),
    );
}

#[test]
fn bounds_are_of_the_type_of_the_operand() {
    // S10: whatever is stored, and also where there is nothing.
    let text = "Min/max parameters have different types than the operand";
    let sums = [
        Sum::bigint(1).at_least(0.0),
        Sum::bigint(1).at_most(0.0),
        Sum::bigint(1).at_least(0_u64),
        Sum::bigint(1).at_most(0_u64).clamped(),
        Sum::number(1.0).at_least(BigInt::from(0)),
        Sum::number(1.0).at_most(BigInt::from(9)),
        Sum::number(1.0).at_most(9_u64),
        Sum::number(1.0).at_least(0.0).at_most(BigInt::from(9)),
    ];
    let stored = || [None, Some(bigint(1)), Some(1.0.into()), Some(1_u64.into())];
    for sum in sums {
        for stored in stored() {
            assert_mismatch(stored, &sum, text);
        }
    }
    let text = "Cannot use min/max parameters with KvU64 operands";
    for sum in [
        Sum::u64(1).at_least(0_u64),
        Sum::u64(1).at_most(9_u64),
        Sum::u64(1).at_most(9.0),
        Sum::u64(1).at_most(BigInt::from(9)).clamped(),
        Sum::u64(1).clamped(),
    ] {
        for stored in stored() {
            assert_mismatch(stored, &sum, text);
        }
    }
}

#[test]
fn nothing_and_an_operand_is_the_operand_whatever_the_bounds() {
    // S11
    let beyond = Sum::bigint(100)
        .at_least(BigInt::from(1))
        .at_most(BigInt::from(10));
    assert_sum(None, &beyond, bigint(100));
    assert_sum(None, &beyond.clamped(), bigint(100));
    assert_sum(
        None,
        &Sum::number(-1.0).at_least(0.0),
        NewValue::number(-1.0),
    );
    assert_sum(None, &Sum::u64(5), 5_u64.into());
    // Bit by bit, and where it was deleted as well.
    let one = NewValue::v8(b"\xff\x10\0I\x02");
    assert_sum(None, &Sum::encoded(one.clone()), one.clone());
    let kv = Kv::new();
    kv.set("key", "text").unwrap();
    let mut operation = kv.atomic();
    operation
        .delete("key")
        .sum_with("key", Sum::encoded(one.clone()));
    committed(operation.commit());
    assert_eq!(kv.get("key").unwrap().into_value(), Some(one.into()));
}

#[test]
fn every_version_of_v8s_format_is_added() {
    // S13 (D10): those that are not known yet as well.
    for version in [13, 14, 15, 16, 17, 100] {
        let number = [0xff, version, b'I', 4];
        let operand = Sum::encoded(NewValue::v8(&number));
        assert_sum(Some(NewValue::v8(&number)), &operand, 4.0.into());
        let one = [0xff, version, b'Z', 2, 1];
        let operand = Sum::encoded(NewValue::v8(&one));
        assert_sum(Some(NewValue::v8(&one)), &operand, bigint(2));
        assert_sum(Some(1_u64.into()), &operand, 2_u64.into());
    }
    let old = [0xff, 12, b'I', 4];
    let operand = Sum::encoded(NewValue::v8(&old));
    assert_mismatch(Some(1.0.into()), &operand, "not valid V8 values");
    let stored = Some(NewValue::v8(&old));
    assert_mismatch(stored, &Sum::number(1.0), "unsupported value type");
}

#[test]
fn nan_and_the_infinities_are_added_as_by_ieee() {
    // S14
    const INF: f64 = f64::INFINITY;
    let add = |stored: f64, operand: Sum<'_>| {
        let value = sum(Some(stored.into()), &operand).unwrap();
        value.as_number().unwrap()
    };
    assert!(add(INF, Sum::number(-INF)).is_nan());
    assert!(add(f64::NAN, Sum::number(1.0)).is_nan());
    assert_eq!(add(INF, Sum::number(1.0)).to_bits(), INF.to_bits());
    assert_eq!(
        add(f64::MAX, Sum::number(f64::MAX)).to_bits(),
        INF.to_bits()
    );
    assert_eq!(add(-0.0, Sum::number(-0.0)).to_bits(), (-0.0_f64).to_bits());
    // NaN is within all bounds, and bounds that are NaN hold nothing back.
    let bounded = Sum::number(f64::NAN).at_least(0.0).at_most(1.0);
    assert!(add(0.0, bounded.clone()).is_nan());
    assert!(add(0.0, bounded.clamped()).is_nan());
    let bounded = Sum::number(5.0).at_least(f64::NAN).at_most(f64::NAN);
    assert_eq!(add(0.0, bounded).to_bits(), 5.0_f64.to_bits());
    assert_eq!(
        add(0.0, Sum::number(INF).at_most(1.0).clamped()).to_bits(),
        1.0_f64.to_bits()
    );
}

#[test]
fn a_sum_is_held_to_the_limits_of_values() {
    // L02: the operand, and what comes of it.
    let mut limits = Limits::default();
    limits.value_bytes_max = 20;
    let kv = Kv::builder().limits(limits).build();
    let word = u128::from(u64::MAX);
    // A word has 12 bytes, two have 20.
    kv.set("key", NewValue::bigint(word << 64)).unwrap();
    let before = kv.get("key").unwrap();
    let add = |sum| kv.atomic().sum_with("key", sum).commit();
    assert_refused(
        add(Sum::bigint(power(128))),
        ErrorKind::ValueTooLarge,
        "Value too large (max 20 bytes): got 28 bytes",
    );
    let refused = add(Sum::bigint(u128::MAX));
    let text = "Value too large (max 20 bytes): got 28 bytes";
    assert_refused(refused, ErrorKind::ValueTooLarge, text);
    assert_refused(
        kv.transact(|tx| {
            tx.sum_with("key", Sum::bigint(u128::MAX));
            tx.get("key").map(drop)
        }),
        ErrorKind::ValueTooLarge,
        text,
    );
    assert_eq!(kv.get("key").unwrap(), before);
    committed(add(Sum::bigint(word)));
    assert_eq!(kv.get("key").unwrap().as_bigint(), Some(u128::MAX.into()));
    let bounded = Sum::bigint(u128::MAX).at_most(BigInt::from(7)).clamped();
    committed(add(bounded));
    assert_eq!(kv.get("key").unwrap().as_bigint(), Some(7.into()));

    let mut limits = Limits::default();
    limits.value_bytes_max = 10;
    let kv = Kv::builder().limits(limits).build();
    kv.set("key", NewValue::v8(b"\xff\x0fI\x02")).unwrap();
    let refused = kv
        .atomic()
        .sum_with("key", Sum::encoded(NewValue::v8(b"\xff\x0fI\x02")))
        .commit();
    assert_refused(refused, ErrorKind::ValueTooLarge, "got 11 bytes");
}

/// A bigint of so many bytes, whole words of them: the first, and then `FF`.
fn long(first: u8, len: usize) -> Vec<u8> {
    let mut bytes = b"\xff\x0fZ".to_vec();
    let mut bitfield = len << 1;
    while bitfield >= 0x80 {
        bytes.push(bitfield.to_le_bytes()[0] | 0x80);
        bitfield >>= 7;
    }
    bytes.push(bitfield.to_le_bytes()[0]);
    bytes.push(first);
    bytes.resize(bytes.len() + len - 1, 0xff);
    bytes
}

#[test]
fn bigints_of_any_length_are_added() {
    // S05: up to the largest value, whose magnitude no `BigInt` holds.
    let kv = Kv::new();
    for len in [256, 1_008, 1_016, 1_024, 65_528] {
        kv.set("key", NewValue::v8(&long(0x0f, len))).unwrap();
        committed(kv.atomic().sum_with("key", Sum::bigint(0x10)).commit());
        let entry = kv.get("key").unwrap();
        let value = entry.value().unwrap();
        assert!(value.as_v8() == Some(&long(0x1f, len)), "{len}");
        assert_eq!(value.as_bigint(), None);
    }
    // All ones, and one more, is a word longer than the largest value.
    kv.set("key", NewValue::v8(&long(0xff, 65_528))).unwrap();
    let before = kv.get("key").unwrap();
    let refused = kv.atomic().sum_with("key", Sum::bigint(1)).commit();
    let text = "Value too large (max 65536 bytes): got 65542 bytes";
    assert_refused(refused, ErrorKind::ValueTooLarge, text);
    assert_eq!(kv.get("key").unwrap(), before);
}
