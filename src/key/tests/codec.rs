//! The bytes of keys: the vectors that Deno wrote, and Deno's codec as a second opinion.

use super::{BigInt, Key, KeyPart, Keys, rounds};
use crate::error::ErrorKind;
use denokv_proto as deno;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text
        .chars()
        .filter(|digit| !digit.is_whitespace())
        .collect();
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>());
    pairs
        .map(|pair| u8::from_str_radix(&pair, 16).expect("hexadecimal digits"))
        .collect()
}

#[test]
fn parts_encode_to_the_bytes_that_deno_writes() {
    // K01
    let two_64 = || BigInt::from(1u128 << 64);
    let vectors: [(KeyPart<'_>, &str); 32] = [
        ("".into(), "0200"),
        ("hello".into(), "0268656c6c6f00"),
        ("f\0o".into(), "026600ff6f00"),
        ("é".into(), "02c3a900"),
        (b"".into(), "0100"),
        (b"\x01\x02\x00\x07\x08".into(), "01010200ff070800"),
        (b"\xff".into(), "01ff00"),
        (0u64.into(), "14"),
        (1u64.into(), "1501"),
        ((-1i64).into(), "13fe"),
        (255u64.into(), "15ff"),
        (256u64.into(), "160100"),
        ((-255i64).into(), "1300"),
        ((-256i64).into(), "12feff"),
        ((-5_551_212i64).into(), "11ab4b93"),
        (u64::MAX.into(), "1cffffffffffffffff"),
        (two_64().into(), "1d09010000000000000000"),
        ((-i128::from(u64::MAX)).into(), "0c0000000000000000"),
        ((-(1i128 << 64)).into(), "0bf6feffffffffffffffff"),
        (0.0.into(), "218000000000000000"),
        ((-0.0).into(), "217fffffffffffffff"),
        (1.0.into(), "21bff0000000000000"),
        ((-1.0).into(), "21400fffffffffffff"),
        (123.456.into(), "21c05edd2f1a9fbe77"),
        (f64::INFINITY.into(), "21fff0000000000000"),
        (f64::NEG_INFINITY.into(), "21000fffffffffffff"),
        (f64::NAN.copysign(1.0).into(), "21fff8000000000000"),
        (f64::NAN.copysign(-1.0).into(), "210007ffffffffffff"),
        (false.into(), "26"),
        (true.into(), "27"),
        ("a\0".into(), "026100ff00"),
        (
            "00000000000000990000".into(),
            "02 3030303030303030303030303030393930303030 00",
        ),
    ];
    for (part, encoding) in vectors {
        let key = Key::from(&part);
        assert_eq!(key.as_bytes(), hex(encoding), "{part}");
        assert_eq!(key.parts().unwrap(), [part]);
    }
    let key = Key::from(("a", true, 1u64));
    assert_eq!(key.as_bytes(), hex("026100 27 1501"));
    assert!(Key::from(()).as_bytes().is_empty());
}

#[test]
fn all_nans_of_one_sign_are_one_key_and_the_zeros_are_two() {
    // K04
    let nan = |bits: u64| Key::from(f64::from_bits(bits));
    assert_eq!(nan(0x7ff8_0000_0000_0001), nan(0x7ff0_0000_0000_0001));
    assert_eq!(nan(0xfff8_0000_0000_0001), nan(0xffff_ffff_ffff_ffff));
    assert_ne!(nan(0x7ff8_0000_0000_0000), nan(0xfff8_0000_0000_0000));
    assert_ne!(Key::from(0.0), Key::from(-0.0));
}

#[test]
fn what_is_no_tuple_is_not_decoded() {
    // K10, K11
    let refused = [
        "00",
        "05",
        "0a",
        "1e",
        "20",
        "22",
        "25",
        "28",
        "30",
        "33",
        "ff", // tags
        "01",
        "02",
        "0161",
        "0261",
        "0100ff",
        "026100ff", // no terminator
        "21",
        "21bff00000000000",
        "15",
        "13",
        "1600",
        "1c00",
        "1d",
        "1d09",
        "1d0901",
        "0b",
        "0bf6fe",
        "02ff00",
        "02c300",
        "02c300ff00",
        "02eda08000", // no UTF-8; the last is a surrogate
        "14000014",   // good, then bad
    ];
    for encoded in refused {
        let error = Key::raw(hex(encoded)).parts().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::KeyUndecodable, "{encoded}");
        assert!(deno::decode_key(&hex(encoded)).is_err(), "{encoded}");
    }
    let text = Key::raw(hex("1430")).parts().unwrap_err().to_string();
    assert_eq!(
        text,
        "key cannot be decoded: a tag of no key part at byte 1"
    );
}

#[test]
fn bigints_that_are_not_minimal_are_read() {
    for encoded in ["160001", "1d020001", "1d0a00000000000000000001"] {
        assert_eq!(
            Key::raw(hex(encoded)).parts().unwrap(),
            [KeyPart::from(1u64)]
        );
    }
    for encoded in ["12fffe", "0bfdfffe"] {
        assert_eq!(
            Key::raw(hex(encoded)).parts().unwrap(),
            [KeyPart::from(-1i64)]
        );
    }
    for encoded in ["1500", "13ff", "1d00", "0bff"] {
        assert_eq!(
            Key::raw(hex(encoded)).parts().unwrap(),
            [KeyPart::from(0u64)]
        );
    }
}

#[test]
fn decoding_borrows_what_was_not_escaped() {
    use std::borrow::Cow;
    let key = Key::from(("text", "te\0xt", b"bytes"));
    let parts = key.parts().unwrap();
    let [
        KeyPart::String(plain),
        KeyPart::String(escaped),
        KeyPart::Bytes(bytes),
    ] = &parts[..]
    else {
        panic!("two strings and bytes went in");
    };
    assert!(matches!(plain, Cow::Borrowed("text")));
    assert!(matches!(escaped, Cow::Owned(_)));
    assert!(matches!(bytes, Cow::Borrowed(b"bytes")));
}

/// The part as Deno's codec has it.
fn denos(part: &KeyPart<'_>) -> deno::KeyPart {
    match part {
        KeyPart::Bytes(bytes) => deno::KeyPart::Bytes(bytes.to_vec()),
        KeyPart::String(string) => deno::KeyPart::String(string.to_string()),
        KeyPart::BigInt(integer) => {
            // The type of Deno's bigints is not ours to name, but its zero can be had.
            let deno::KeyPart::Int(mut number) = deno::KeyPart::Int(0.into()) else {
                unreachable!("an int is an int");
            };
            for byte in integer.magnitude() {
                number = number * 256 + *byte;
            }
            deno::KeyPart::Int(if integer.is_negative() {
                -number
            } else {
                number
            })
        }
        KeyPart::Number(number) => deno::KeyPart::Float(*number),
        KeyPart::Bool(false) => deno::KeyPart::False,
        KeyPart::Bool(true) => deno::KeyPart::True,
    }
}

/// Bytes as the module says that they are encoded.
fn escaped(data: &[u8]) -> Vec<u8> {
    let data = data.iter().flat_map(|byte| match byte {
        0 => vec![0, 0xff],
        byte => vec![*byte],
    });
    [1].into_iter().chain(data).chain([0]).collect()
}

#[test]
fn keys_of_every_length_are_encoded_with_a_zero_anywhere() {
    // Words are filled, and keys become too long to be held inline, at every place of either part.
    const LEN_MAX: usize = if cfg!(miri) { 10 } else { 35 };
    for [first_len, last_len] in (0..LEN_MAX * LEN_MAX).map(|both| [both / LEN_MAX, both % LEN_MAX])
    {
        for zero_at in 0..=first_len + last_len {
            let mut data: Vec<u8> = (1..=40).cycle().take(first_len + last_len).collect();
            if let Some(byte) = data.get_mut(zero_at) {
                *byte = 0;
            }
            let (first, last) = data.split_at(first_len);
            let expected = [escaped(first), escaped(last)].concat();
            let key = Key::from((first, last));
            assert_eq!(key.as_bytes(), expected, "{first:?}, {last:?}");
            let raw = Key::raw(&expected);
            assert_eq!(key, raw);
            assert_eq!(key.hash_code(), raw.hash_code());
        }
    }
}

#[test]
fn bytes_and_order_are_those_of_denos_codec() {
    let seed = 0x6b65_7973;
    let mut keys = Keys::new(seed);
    let mut last = (Vec::new(), Key::default(), deno::Key(Vec::new()));
    for round in 0..rounds(100_000) {
        let parts = keys.relative(&last.0);
        let key = Key::from(&parts[..]);
        let theirs = deno::Key(parts.iter().map(denos).collect());
        let context = format!("seed {seed:#x}, round {round}: {key:?}");
        assert_eq!(
            key.as_bytes(),
            deno::encode_key(&theirs).unwrap(),
            "{context}"
        );
        assert_eq!(
            deno::decode_key(key.as_bytes()).unwrap(),
            theirs,
            "{context}"
        );
        assert_eq!(key.parts().unwrap(), parts, "{context}");
        assert_eq!(
            key.cmp(&last.1),
            theirs.cmp(&last.2),
            "{context} to {:?}",
            last.1
        );
        last = (parts, key, theirs);
    }
}

#[test]
fn damaged_keys_decode_exactly_where_denos_codec_decodes_them() {
    use rand::RngExt;
    let seed = 0x6461_6d61;
    let mut keys = Keys::new(seed);
    for round in 0..rounds(50_000) {
        let mut bytes = Key::from(keys.parts()).as_bytes().to_vec();
        for _ in 0..keys.0.random_range(1..3) {
            let at = keys.0.random_range(0..=bytes.len());
            let to = if keys.0.random() {
                at
            } else {
                bytes.len().min(at + 1)
            };
            let byte = keys.0.random_range(0..=255);
            let byte = keys.pick(&[0x00, 0x01, 0x02, 0x0b, 0x14, 0x1d, 0x21, 0xff, byte]);
            bytes.splice(at..to, [byte]);
        }
        let ours = Key::raw(&bytes);
        let context = format!("seed {seed:#x}, round {round}: {bytes:02x?}");
        match (ours.parts(), deno::decode_key(&bytes)) {
            (Ok(parts), Ok(theirs)) => {
                assert_eq!(
                    deno::Key(parts.iter().map(denos).collect()),
                    theirs,
                    "{context}"
                );
            }
            (Err(_), Err(_)) => {}
            (ours, theirs) => panic!("{context}: {ours:?} and {theirs:?}"),
        }
    }
}
