//! The order of keys, which is the order of everything that is listed.

use super::{BigInt, Key, KeyPart, Keys, rounds};

/// Whether these come strictly one after the other, by key and by part.
fn ascend<const N: usize>(parts: [KeyPart<'_>; N]) {
    assert!(parts.is_sorted_by(|a, b| a < b), "{parts:?}");
    let keys = parts.map(Key::from);
    assert!(keys.is_sorted_by(|a, b| a < b), "{keys:?}");
}

#[test]
fn byte_order_is_part_order() {
    // K02
    let seed = 0x6f72_6465;
    let mut keys = Keys::new(seed);
    for round in 0..rounds(100_000) {
        let a = keys.parts();
        let b = keys.relative(&a);
        let by_bytes = Key::from(&a[..]).cmp(&Key::from(&b[..]));
        assert_eq!(
            a.cmp(&b),
            by_bytes,
            "seed {seed:#x}, round {round}: {a:?} to {b:?}"
        );
    }
}

#[test]
fn types_sort_before_values() {
    // K03
    ascend([
        b"\xff".into(),
        "".into(),
        i64::MIN.into(),
        f64::NEG_INFINITY.into(),
        false.into(),
        true.into(),
    ]);
    assert!(Key::from(BigInt::from(u128::MAX)) < Key::from(-1e300));
}

#[test]
fn numbers_sort_from_negative_nan_to_nan() {
    // K04
    ascend(
        [
            f64::NAN.copysign(-1.0),
            f64::NEG_INFINITY,
            -1.0,
            -f64::MIN_POSITIVE,
            -0.0,
            0.0,
            f64::MIN_POSITIVE,
            1.0,
            f64::INFINITY,
            f64::NAN.copysign(1.0),
        ]
        .map(KeyPart::from),
    );
}

#[test]
fn bigints_sort_mathematically() {
    let big = |negative, bytes| BigInt::from_be_bytes(negative, &vec![1; bytes]).unwrap();
    ascend(
        [
            big(true, 255),
            big(true, 10),
            big(true, 9),
            BigInt::from(-i128::from(u64::MAX)),
            BigInt::from(-256),
            BigInt::from(-255),
            BigInt::from(-1),
            BigInt::from(0),
            BigInt::from(1),
            BigInt::from(255),
            BigInt::from(256),
            BigInt::from(u64::MAX),
            big(false, 9),
            big(false, 10),
            big(false, 255),
        ]
        .map(KeyPart::from),
    );
}

#[test]
fn strings_sort_by_code_point() {
    ascend(
        [
            "",
            "\0",
            "a",
            "a\0",
            "a\x01",
            "ab",
            "é",
            "\u{ffff}",
            "\u{10000}",
        ]
        .map(KeyPart::from),
    );
}

#[test]
fn a_key_sorts_before_the_keys_it_begins() {
    // K06
    let keys = [
        Key::from("a"),
        Key::from(("a", "x")),
        Key::from("a\0"),
        Key::from(("a\0", "y")),
        Key::from("ab"),
    ];
    assert!(keys.is_sorted_by(|a, b| a < b));
}

#[test]
fn equal_parts_hash_alike() {
    use std::collections::HashSet;
    let nans = [0x7ff8_0000_0000_0001, 0x7ff0_0000_0000_0001].map(f64::from_bits);
    let parts: HashSet<_> = nans.map(KeyPart::from).into();
    assert_eq!(parts.len(), 1);
    let owned = KeyPart::from("a".to_owned());
    let parts: HashSet<_> = [KeyPart::from("a"), owned.clone(), owned.into_owned()].into();
    assert_eq!(parts.len(), 1);
}
