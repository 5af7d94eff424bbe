//! Against num-bigint, and against what addition is.

use super::Integer;
use num_bigint::{BigInt, Sign};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::cmp::Ordering;

const ROUNDS: usize = if cfg!(miri) { 100 } else { 20_000 };

/// A number of up to some words, whose bytes make carries and borrows likely.
fn random(random: &mut StdRng) -> (bool, Vec<u8>) {
    let len = match random.random_range(0..10) {
        0 => random.random_range(0..200),
        1..5 => random.random_range(7..=17),
        _ => random.random_range(0..=9),
    };
    let mut bytes: Vec<u8> = (0..len)
        .map(|_| match random.random_range(0..6) {
            0 | 1 => 0x00,
            2 | 3 => 0xff,
            4 => 0x01,
            _ => random.random(),
        })
        .collect();
    match random.random_range(0..8) {
        0 => bytes.fill(0xff),
        1 => {
            bytes.fill(0x00);
            bytes.push(0x01);
        }
        _ => {}
    }
    (random.random(), bytes)
}

/// A number close to another: the same, one digit away, or with the other sign.
fn relative(random: &mut StdRng, (is_negative, bytes): &(bool, Vec<u8>)) -> (bool, Vec<u8>) {
    let mut bytes = bytes.clone();
    if !bytes.is_empty() && random.random() {
        let at = random.random_range(0..bytes.len());
        bytes[at] = random.random();
    }
    (is_negative ^ random.random::<bool>(), bytes)
}

fn theirs((is_negative, bytes): &(bool, Vec<u8>)) -> BigInt {
    let sign = if *is_negative {
        Sign::Minus
    } else {
        Sign::Plus
    };
    BigInt::from_bytes_le(sign, bytes)
}

fn ours((is_negative, bytes): &(bool, Vec<u8>)) -> Integer<'_> {
    Integer::new(*is_negative, bytes)
}

/// That a number is the one of num-bigint, and held in the one way there is.
#[track_caller]
fn assert_is(integer: Integer<'_>, expected: &BigInt) {
    let (sign, magnitude) = expected.to_bytes_le();
    let magnitude = if sign == Sign::NoSign {
        &[]
    } else {
        &magnitude[..]
    };
    assert_eq!(integer.magnitude(), magnitude, "{expected}");
    assert_eq!(integer.is_negative(), sign == Sign::Minus, "{expected}");
    assert_eq!(integer.to_u64(), expected.try_into().ok(), "{expected}");
}

#[test]
fn sums_and_order_are_those_of_num_bigint() {
    let seed = 0x0073_756d;
    let mut numbers = StdRng::seed_from_u64(seed);
    for round in 0..ROUNDS {
        let one = random(&mut numbers);
        let other = if numbers.random_ratio(1, 3) {
            relative(&mut numbers, &one)
        } else {
            random(&mut numbers)
        };
        let context = format!("seed {seed:#x}, round {round}: {one:02x?}, {other:02x?}");
        let (a, b) = (ours(&one), ours(&other));
        assert_is(a, &theirs(&one));
        let order = theirs(&one).cmp(&theirs(&other));
        assert_eq!(a.cmp(&b), order, "{context}");
        assert_eq!(a == b, order == Ordering::Equal, "{context}");

        // Behind what is there already, and within what was said.
        let mut digits = vec![7; 3];
        let bytes_max = a.sum_bytes_max(b);
        assert_is(a.add(b, &mut digits), &(theirs(&one) + theirs(&other)));
        assert_eq!(digits[..3], [7; 3], "{context}");
        assert!(digits.len() <= 3 + bytes_max, "{context}");

        let mut turned = Vec::new();
        assert_eq!(
            b.add(a, &mut turned),
            Integer::new(a.add(b, &mut Vec::new()).is_negative(), &digits[3..]),
            "{context}"
        );
        let opposite = (!one.0, one.1.clone());
        assert_is(a.add(ours(&opposite), &mut Vec::new()), &BigInt::ZERO);
    }
}

#[test]
fn a_number_is_held_in_one_way() {
    let zero = Integer::new(false, &[]);
    assert_eq!(Integer::new(true, &[0, 0, 0]), zero);
    assert!(!Integer::new(true, &[0]).is_negative());
    assert_eq!(zero.to_u64(), Some(0));
    assert_eq!(Integer::new(false, &[1, 0]), Integer::new(false, &[1]));
    assert_eq!(Integer::new(false, &[0xff; 8]).to_u64(), Some(u64::MAX));
    let beyond = [0, 0, 0, 0, 0, 0, 0, 0, 1];
    assert_eq!(Integer::new(false, &beyond).to_u64(), None);
    assert_eq!(Integer::new(true, &[1]).to_u64(), None);
}
