//! The codec against bytes that V8 wrote, and against bytes that it never would.

use super::{BIGINT_BYTES_MAX, Scalar, bigint_bytes, encode_bigint, encode_number};
use crate::value::integer::Integer;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

const ROUNDS: usize = if cfg!(miri) { 200 } else { 50_000 };

fn bigint(is_negative: bool, magnitude: &[u8]) -> Scalar<'_> {
    Scalar::BigInt(Integer::new(is_negative, magnitude))
}

fn encoded(scalar: Scalar<'_>) -> Vec<u8> {
    match scalar {
        Scalar::Number(number) => encode_number(number).to_vec(),
        Scalar::BigInt(integer) => {
            let mut bytes = vec![7];
            encode_bigint(integer, &mut bytes);
            assert_eq!(bytes.remove(0), 7, "what was there stays");
            assert_eq!(bytes.len(), bigint_bytes(integer));
            bytes
        }
    }
}

#[test]
fn bytes_that_v8_wrote_are_read() {
    // What `v8.serialize` gives, but for `U`, which it has not used for long.
    for (bytes, number) in [
        (&b"\xff\x0fI\x00"[..], 0.0),
        (b"\xff\x0fI\x02", 1.0),
        (b"\xff\x0fI\x01", -1.0),
        (b"\xff\x0fI\xfe\xff\xff\xff\x07", 1_073_741_823.0),
        (b"\xff\x0fI\xff\xff\xff\xff\x07", -1_073_741_824.0),
        (b"\xff\x0fI\xff\xff\xff\xff\x0f", -2_147_483_648.0),
        (b"\xff\x0fU\xff\xff\xff\xff\x0f", 4_294_967_295.0),
        (b"\xff\x0fN\0\0\0\0\0\0\xe0\x41", 2_147_483_648.0),
        (b"\xff\x0fN\0\0\0\0\0\0\xe0\x3f", 0.5),
    ] {
        assert_eq!(
            Scalar::parse(bytes),
            Some(Scalar::Number(number)),
            "{bytes:02x?}"
        );
    }
    let Some(Scalar::Number(zero)) = Scalar::parse(b"\xff\x0fN\0\0\0\0\0\0\0\x80") else {
        panic!("a number");
    };
    assert!(zero == 0.0 && zero.is_sign_negative());
    let nan = b"\xff\x0fN\0\0\0\0\0\0\xf8\x7f";
    for bits in [
        0x7ff8_0000_0000_0000,
        0xfff8_0000_0000_0000,
        0x7ff0_0000_0000_0001,
    ] {
        assert_eq!(encoded(Scalar::Number(f64::from_bits(bits))), nan);
    }
    // Of 0n, 1n, -1n and 2^64.
    let word = b"\x01\0\0\0\0\0\0\0";
    let two_words = b"\0\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0";
    for (head, digits, is_negative) in [
        (&b"\xff\x0fZ\x00"[..], &b""[..], false),
        (b"\xff\x0fZ\x10", word, false),
        (b"\xff\x0fZ\x11", word, true),
        (b"\xff\x0fZ\x20", two_words, false),
    ] {
        let bytes = [head, digits].concat();
        let expected = bigint(is_negative, digits);
        assert_eq!(Scalar::parse(&bytes), Some(expected), "{bytes:02x?}");
        assert_eq!(encoded(expected), bytes);
    }
}

#[test]
fn versions_from_13_on_are_read_and_15_is_written() {
    // S13
    for version in [13, 14, 15, 16, 17, 0x7f] {
        for value in [&b"I\x02"[..], b"U\x01", b"N\0\0\0\0\0\0\xf0\x3f"] {
            let bytes = [&[0xff, version], value].concat();
            assert_eq!(Scalar::parse(&bytes), Some(Scalar::Number(1.0)));
        }
        let bytes = [0xff, version, b'Z', 2, 1];
        assert_eq!(Scalar::parse(&bytes), Some(bigint(false, &[1])));
    }
    assert!(Scalar::parse(b"\xff\x80\x01I\x02").is_some());
    for version in 0..13 {
        assert_eq!(Scalar::parse(&[0xff, version, b'I', 2]), None);
    }
    assert_eq!(
        encoded(Scalar::Number(1.0)),
        b"\xff\x0fN\0\0\0\0\0\0\xf0\x3f"
    );
    assert_eq!(encoded(bigint(true, &[0])), b"\xff\x0fZ\0", "-0n is 0n");
}

#[test]
fn padding_may_stand_before_the_tag_and_nothing_behind_the_value() {
    assert_eq!(
        Scalar::parse(b"\xff\x0f\0\0\0I\x02"),
        Some(Scalar::Number(1.0))
    );
    let padded = b"\xff\x0f\0Z\x06\x01\0\0";
    assert_eq!(Scalar::parse(padded), Some(bigint(false, &[1])));
    for bytes in [
        &b"\xff\x0fI\x02\0"[..],
        b"\xff\x0fU\x02\x01",
        b"\xff\x0fN\0\0\0\0\0\0\xf0\x3f\0",
        b"\xff\x0fZ\x02\x01\0",
        b"\xff\x0fZ\0\0",
    ] {
        assert_eq!(Scalar::parse(bytes), None, "{bytes:02x?}");
    }
}

#[test]
fn what_is_no_scalar_is_not_read() {
    for bytes in [
        &b""[..],
        b"\xff",
        b"\xff\x0f",
        b"\xff\x0f\0\0",
        b"\x0fI\x02",
        b"I\x02",
        b"\0\xff\x0fI\x02",
        // undefined, null, true, a text, an object, Object(1), Object(1n).
        b"\xff\x0f_",
        b"\xff\x0f0",
        b"\xff\x0fT",
        b"\xff\x0f\"\x011",
        b"\xff\x0fo{\0",
        b"\xff\x0fn\0\0\0\0\0\0\xf0\x3f",
        b"\xff\x0fz\x10\x01\0\0\0\0\0\0\0",
        // Cut off.
        b"\xff\x0fI",
        b"\xff\x0fI\x80",
        b"\xff\x0fN\0\0\0\0\0\0\xf0",
        b"\xff\x0fZ",
        b"\xff\x0fZ\x10\x01",
        b"\xff\x80",
        // Varints of more than 32 bits, and of more than five bytes.
        b"\xff\x0fU\xff\xff\xff\xff\x1f",
        b"\xff\x0fU\x80\x80\x80\x80\x80\0",
        // A bigint that is longer than V8 reads.
        b"\xff\x0fZ\xff\xff\xff\xff\x0f",
    ] {
        assert_eq!(Scalar::parse(bytes), None, "{bytes:02x?}");
    }
}

#[test]
fn bigints_of_every_length_come_back() {
    for len in (0..70).chain([127, 128, 8_191, 8_192, 8_193, 65_536]) {
        for is_negative in [false, true] {
            let magnitude = vec![0xa5; len];
            let scalar = bigint(is_negative, &magnitude);
            let bytes = encoded(scalar);
            assert_eq!(Scalar::parse(&bytes), Some(scalar), "{len}");
            assert!(bytes.len() <= BIGINT_BYTES_MAX);
        }
    }
}

// Under Miri, to fill so many bytes takes for ever.
#[cfg(not(miri))]
#[test]
fn the_longest_bigint_is_read_and_no_longer_one() {
    const LEN: usize = 1 << 27;
    let mut bytes = vec![0; BIGINT_BYTES_MAX];
    bytes[..8].copy_from_slice(b"\xff\x0fZ\x80\x80\x80\x80\x01");
    bytes[BIGINT_BYTES_MAX - 1] = 1;
    let Some(Scalar::BigInt(integer)) = Scalar::parse(&bytes) else {
        panic!("V8 reads it");
    };
    assert_eq!(integer.magnitude().len(), LEN);
    assert_eq!(bigint_bytes(integer), BIGINT_BYTES_MAX);
    // A byte more.
    bytes[3] |= 2;
    bytes.push(1);
    assert_eq!(Scalar::parse(&bytes), None);
}

#[test]
fn no_bytes_are_a_panic_and_what_is_read_can_be_written() {
    let seed = 0x0076_3831;
    let mut random = StdRng::seed_from_u64(seed);
    let (mut read, mut refused) = (0, 0);
    for round in 0..ROUNDS {
        let mut bytes = match random.random_range(0..4) {
            0 => encode_number(f64::from_bits(random.random())).to_vec(),
            1 => b"\xff\x10I\xac\x02".to_vec(),
            2 => {
                let len = random.random_range(0..40);
                let magnitude: Vec<u8> = (0..len).map(|_| random.random()).collect();
                encoded(bigint(random.random(), &magnitude))
            }
            _ => (0..random.random_range(0..20))
                .map(|_| random.random())
                .collect(),
        };
        for _ in 0..random.random_range(0..4) {
            let at = random.random_range(0..=bytes.len());
            let to = bytes.len().min(at + random.random_range(0..2));
            let byte = random.random_range(0..=255);
            let bytes_before = [0xff, 0x0f, 0x00, 0x80, b'I', b'U', b'N', b'Z', byte];
            let byte = bytes_before[random.random_range(0..bytes_before.len())];
            bytes.splice(at..to, [byte]);
        }
        let context = format!("seed {seed:#x}, round {round}: {bytes:02x?}");
        let Some(scalar) = Scalar::parse(&bytes) else {
            refused += 1;
            continue;
        };
        read += 1;
        let again = encoded(scalar);
        match (scalar, Scalar::parse(&again)) {
            (Scalar::Number(one), Some(Scalar::Number(other))) => {
                let same = one.is_nan() && other.is_nan() || one.to_bits() == other.to_bits();
                assert!(same, "{context}");
            }
            (Scalar::BigInt(one), Some(Scalar::BigInt(other))) => {
                assert_eq!(one, other, "{context}");
            }
            (_, other) => panic!("{context}: {other:?}"),
        }
        assert_eq!(encoded(Scalar::parse(&again).unwrap()), again, "{context}");
    }
    assert!(
        read > ROUNDS / 10 && refused > ROUNDS / 10,
        "{read}, {refused}"
    );
}
