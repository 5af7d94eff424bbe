//! Keys against their written rules and against Deno's own codec.

mod codec;
mod cursor;
mod order;
mod range;

use super::{BigInt, Key, KeyPart};
use crate::error::ErrorKind;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};

/// Random keys from a seed, chosen to be close to each other: few parts, few letters, the bytes that
/// the encoding treats specially, and lengths around every boundary.
struct Keys(StdRng);

impl Keys {
    fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    fn parts(&mut self) -> Vec<KeyPart<'static>> {
        let count = self.0.random_range(0..=4);
        (0..count).map(|_| self.part()).collect()
    }

    /// The parts with a few of them changed, so that two keys share a beginning.
    fn relative(&mut self, parts: &[KeyPart<'static>]) -> Vec<KeyPart<'static>> {
        let mut relative = parts.to_vec();
        relative.truncate(self.0.random_range(0..=parts.len()));
        relative.extend(self.parts());
        relative
    }

    fn part(&mut self) -> KeyPart<'static> {
        match self.0.random_range(0..5) {
            0 => self.bytes().into(),
            1 => self.string().into(),
            2 => self.bigint().into(),
            3 => self.number().into(),
            _ => self.0.random::<bool>().into(),
        }
    }

    fn bytes(&mut self) -> Vec<u8> {
        let count = self.len();
        (0..count)
            .map(|_| self.pick(&[0x00, 0x00, 0x01, b'a', 0xfe, 0xff]))
            .collect()
    }

    fn string(&mut self) -> String {
        let count = self.len();
        (0..count)
            .map(|_| self.pick(&['\0', '\x01', 'a', 'é', '\u{ffff}', '\u{10ffff}']))
            .collect()
    }

    fn len(&mut self) -> usize {
        if self.0.random_ratio(1, 20) {
            self.0.random_range(0..100)
        } else {
            self.0.random_range(0..4)
        }
    }

    fn bigint(&mut self) -> BigInt {
        let len = match self.0.random_range(0..10) {
            0 => self.0.random_range(0..=255),
            1..4 => self.0.random_range(7..=10),
            _ => self.0.random_range(0..=3),
        };
        let magnitude: Vec<u8> = (0..len)
            .map(|_| self.pick(&[0x00, 0x01, 0x80, 0xff]))
            .collect();
        BigInt::from_be_bytes(self.0.random(), &magnitude).expect("at most 255 bytes")
    }

    fn number(&mut self) -> f64 {
        if self.0.random() {
            return f64::from_bits(self.0.random());
        }
        let number = self.pick(&[0.0, 1.0, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN]);
        let payload = self.0.random_range(0..2);
        let number = if number.is_nan() {
            f64::from_bits(number.to_bits() | payload)
        } else {
            number
        };
        if self.0.random() { -number } else { number }
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.0.random_range(0..from.len())]
    }
}

#[test]
fn a_key_is_six_words() {
    assert!(size_of::<Key>() <= 48);
    assert!(size_of::<Option<Key>>() <= 48);
    assert!(size_of::<KeyPart<'_>>() <= 32);
}

#[test]
fn a_key_is_the_same_inline_and_shared() {
    for len in 0..100 {
        let bytes = vec![b'x'; len];
        let key = Key::from_encoded(&bytes);
        assert_eq!(key.as_bytes(), bytes);
        assert_eq!(key.clone(), key);
        assert_eq!(key.is_empty(), len == 0);
        let hash = |value: &dyn Fn(&mut DefaultHasher)| {
            let mut hasher = DefaultHasher::new();
            value(&mut hasher);
            hasher.finish()
        };
        assert_eq!(
            hash(&|state| key.hash(state)),
            hash(&|state| bytes[..].hash(state))
        );
        let part = "x".repeat(len);
        assert_eq!(
            Key::from(&part).as_bytes(),
            [b"\x02", part.as_bytes(), b"\0"].concat()
        );
    }
}

#[test]
fn a_short_key_is_inline_and_a_long_one_is_shared() {
    let longest = "x".repeat(super::INLINE_BYTES_MAX - 2);
    assert!(matches!(Key::from(&longest).repr, super::Repr::Inline(_)));
    let longer = Key::from(longest + "x");
    let (super::Repr::Shared(bytes), super::Repr::Shared(again)) =
        (&longer.repr, &longer.clone().repr)
    else {
        panic!("a long key must be shared");
    };
    assert!(std::sync::Arc::ptr_eq(bytes, again));
}

#[test]
fn every_way_to_say_a_key_says_the_same_key() {
    let key = Key::from(("a", "b"));
    let parts = [KeyPart::from("a"), KeyPart::from("b")];
    let own = String::from("b");
    assert_eq!(key, Key::from(["a", "b"]));
    assert_eq!(key, Key::from(("a", &own)));
    assert_eq!(key, Key::from(("a".to_owned(), own)));
    assert_eq!(key, Key::from("a").join("b"));
    assert_eq!(key, Key::from(&key));
    assert_eq!(key, Key::from(&parts[..]));
    assert_eq!(key, Key::from(parts.to_vec()));
    assert_eq!(key, Key::from_parts(parts));
    assert_eq!(Key::from(()), Key::from_parts::<KeyPart<'_>>([]));
    assert_eq!(
        Key::from((1, 2, 3, 4, 5, 6, 7, 8)),
        Key::from([1, 2, 3, 4, 5, 6, 7, 8])
    );
    let bytes = Key::from(b"xyz");
    assert_eq!(bytes, Key::from(*b"xyz"));
    assert_eq!(bytes, Key::from(&b"xyz"[..]));
    assert_eq!(bytes, Key::from(b"xyz".to_vec()));
    assert_eq!(bytes, Key::from(bytes::Bytes::from_static(b"xyz")));
    assert_eq!(bytes, Key::from((&bytes::Bytes::from_static(b"xyz"),)));
}

#[test]
fn an_integer_is_a_number_or_a_bigint_by_its_type() {
    for number in [
        Key::from(7u8),
        7u16.into(),
        7u32.into(),
        7i8.into(),
        7i16.into(),
        7.into(),
    ] {
        assert_eq!(number, Key::from(7.0));
    }
    let bigint = Key::from(BigInt::from(7));
    for key in [
        Key::from(7u64),
        7usize.into(),
        7u128.into(),
        7i64.into(),
        7isize.into(),
    ] {
        assert_eq!(key, bigint);
    }
    // K05
    assert_ne!(Key::from(7), bigint);
    assert_eq!(Key::from(0.5f32), Key::from(0.5f64));
}

#[test]
fn nothing_of_every_type_is_distinct() {
    // K05
    let nothings = [
        Key::from(()),
        Key::from(b""),
        Key::from(""),
        Key::from(0u64),
        Key::from(0),
    ];
    assert!(nothings.is_sorted_by(|a, b| a < b));
}

#[test]
fn a_key_prints_as_javascript_would_write_it() {
    let shown = |key: Key| format!("{key:?}");
    let key = Key::from(("a\"b", 1, 2u64, -3i64, true, b"\x00\xff"));
    assert_eq!(shown(key), r#"["a\"b", 1, 2n, -3n, true, 0x00ff]"#);
    let key = Key::from([-0.0, 0.5, 1e300, 1e-7, f64::NAN, f64::NEG_INFINITY]);
    assert_eq!(shown(key), "[-0, 0.5, 1e300, 1e-7, NaN, -Infinity]");
    assert_eq!(shown(Key::from(())), "[]");
    assert_eq!(shown(Key::raw([0x01])), "raw 0x01");
    assert_eq!(
        shown(Key::from(1u128 << 127)),
        format!("[{}n]", 1u128 << 127)
    );
    let huge = BigInt::from_be_bytes(true, &[0x10; 17]).unwrap();
    assert_eq!(shown(Key::from(huge)), format!("[-0x{}n]", "10".repeat(17)));
}

#[test]
fn a_bigint_of_255_bytes_works_and_of_256_is_refused() {
    // K07
    for negative in [false, true] {
        let largest = BigInt::from_be_bytes(negative, &[0xff; 255]).unwrap();
        let key = Key::from(&KeyPart::from(largest.clone()));
        assert_eq!(key.parts().unwrap(), [KeyPart::BigInt(largest.clone())]);
        let padded = [&[0; 9][..], &[0xff; 255]].concat();
        assert_eq!(BigInt::from_be_bytes(negative, &padded).unwrap(), largest);
        let error = BigInt::from_be_bytes(negative, &[1; 256]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyUnencodable);
        assert_eq!(
            error.to_string(),
            "bigint magnitude is 256 bytes, limit is 255"
        );
    }
}

#[test]
fn a_bigint_gives_back_the_integer_it_was_made_from() {
    let edges = [
        0,
        1,
        255,
        256,
        u64::MAX.into(),
        1 << 64,
        i128::MAX.unsigned_abs(),
        u128::MAX,
    ];
    for edge in edges {
        let bigint = BigInt::from(edge);
        assert_eq!(bigint.to_u128(), Some(edge));
        assert_eq!(bigint.to_i128(), edge.try_into().ok());
        assert_eq!(bigint.to_u64(), edge.try_into().ok());
        assert_eq!(bigint.to_i64(), edge.try_into().ok());
        assert_eq!(
            BigInt::from_be_bytes(false, bigint.magnitude()).unwrap(),
            bigint
        );
    }
    for edge in [i128::MIN, i128::MIN + 1, i64::MIN.into(), -1] {
        let bigint = BigInt::from(edge);
        assert!(bigint.is_negative());
        assert_eq!(bigint.to_u128(), None);
        assert_eq!(bigint.to_i128(), Some(edge));
        assert_eq!(bigint.to_i64(), edge.try_into().ok());
        assert_eq!(bigint.to_string(), edge.to_string());
    }
    assert_eq!(
        BigInt::from_be_bytes(true, &[0, 0]).unwrap(),
        BigInt::from(0)
    );
}

/// As many as asked for, or fewer where each takes a thousand times as long.
fn rounds(count: usize) -> usize {
    if cfg!(miri) { count / 1_000 } else { count }
}
