//! The encoding of keys: against its own laws, and against Deno's codec.

use crate::input::Input;
use denokv_proto as deno;
use kvick::{BigInt, ErrorKind, Key, KeyPart};
use num_bigint::Sign;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// Runs one input: bytes that may be an encoded key, or two tuples.
///
/// # Panics
///
/// Where a promise of the encoding is broken.
pub fn key_codec(input: &[u8]) {
    let mut input = Input::new(input);
    match input.below(4) {
        0 | 1 => check_bytes(input.rest()),
        2 => check_magnitude(&mut input),
        _ => {
            let one = input.parts();
            let other = relative(&mut input, &one);
            check_pair(&one, &other);
        }
    }
}

/// Compares so many random pairs of tuples with the order of their encodings, and both with Deno's.
///
/// # Panics
///
/// Where they differ.
pub fn tuple_order(pairs: u64, seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let mut bytes = [0; 256];
    for _ in 0..pairs {
        // Now and then all of it, so that long parts have bytes to be made of.
        let count = if random.random_ratio(1, 8) { 256 } else { 40 };
        let bytes = &mut bytes[..count];
        random.fill(bytes);
        let mut input = Input::new(bytes);
        let one = input.parts();
        let other = relative(&mut input, &one);
        check_pair(&one, &other);
    }
}

/// A tuple that shares a beginning with another.
fn relative(input: &mut Input<'_>, parts: &[KeyPart<'static>]) -> Vec<KeyPart<'static>> {
    let mut relative = parts[..input.below(parts.len() + 1)].to_vec();
    relative.extend(input.parts());
    relative
}

/// Bytes decode where Deno's codec decodes them, to the same parts, and encode to the same bytes
/// again unless a part has several encodings (K10, K11).
fn check_bytes(bytes: &[u8]) {
    let key = Key::raw(bytes);
    assert_eq!(key.as_bytes(), bytes);
    let shown = format!("{key:?}");
    let theirs = deno::decode_key(bytes);
    let parts = match key.parts() {
        Ok(parts) => parts,
        Err(error) => {
            assert_eq!(error.kind(), ErrorKind::KeyUndecodable);
            assert!(error.to_string().contains("at byte"), "{error}");
            assert!(theirs.is_err(), "{bytes:02x?}: {error}, but {theirs:?}");
            assert!(shown.starts_with("raw 0x"), "{shown}");
            return;
        }
    };
    assert!(shown.starts_with('[') && shown.ends_with(']'), "{shown}");
    let theirs = theirs.expect("Deno decodes what is decoded here");
    assert_eq!(as_denos(&parts), theirs, "{bytes:02x?}");
    let again = Key::from(&parts[..]);
    let encoded = deno::encode_key(&theirs).expect("what was decoded can be encoded");
    assert_eq!(again.as_bytes(), encoded, "{bytes:02x?}");
    if again != key {
        let has_several = |part: &KeyPart<'_>| match part {
            KeyPart::BigInt(_) => true,
            KeyPart::Number(number) => number.is_nan(),
            KeyPart::Bytes(_) | KeyPart::String(_) | KeyPart::Bool(_) => false,
        };
        assert!(parts.iter().any(has_several), "{bytes:02x?}");
        assert!(again.as_bytes().len() <= bytes.len(), "{bytes:02x?}");
    }
    assert_eq!(again.parts().expect("its own encoding"), parts);
}

/// A magnitude is a bigint of a key where Deno's codec can encode it (K07).
fn check_magnitude(input: &mut Input<'_>) {
    let (negative, magnitude) = input.magnitude();
    let sign = if negative { Sign::Minus } else { Sign::Plus };
    let theirs = num_bigint::BigInt::from_bytes_be(sign, &magnitude);
    let theirs = deno::Key(vec![deno::KeyPart::Int(theirs)]);
    match (
        BigInt::from_be_bytes(negative, &magnitude),
        deno::encode_key(&theirs),
    ) {
        (Ok(integer), Ok(encoded)) => {
            assert_eq!(Key::from(&KeyPart::from(integer)).as_bytes(), encoded);
        }
        (Err(error), Err(_)) => assert_eq!(error.kind(), ErrorKind::KeyUnencodable),
        (ours, theirs) => panic!("{magnitude:02x?}: {ours:?}, but {theirs:02x?}"),
    }
}

/// Tuples come back from their encodings, which are Deno's, and sort as these do (K01, K02).
fn check_pair(one: &[KeyPart<'static>], other: &[KeyPart<'static>]) {
    let keys = [one, other].map(|parts| {
        let key = Key::from(parts);
        let theirs = as_denos(parts);
        let encoded = deno::encode_key(&theirs).expect("Deno encodes what is encoded here");
        assert_eq!(key.as_bytes(), encoded, "{parts:?}");
        let decoded = deno::decode_key(key.as_bytes());
        assert_eq!(decoded.expect("Deno decodes what was encoded here"), theirs);
        assert_eq!(key.parts().expect("a tuple was encoded"), parts);
        assert_eq!(Key::raw(key.as_bytes()), key);
        let joined = parts
            .iter()
            .fold(Key::default(), |key, part| key.join(part));
        assert_eq!(joined, key);
        (key, theirs)
    });
    let [(one_key, one_theirs), (other_key, other_theirs)] = &keys;
    let by_parts = one.cmp(other);
    assert_eq!(by_parts, one_key.cmp(other_key), "{one:?} to {other:?}");
    assert_eq!(
        by_parts,
        one_key.as_bytes().cmp(other_key.as_bytes()),
        "{one:?} to {other:?}"
    );
    assert_eq!(
        by_parts,
        one_theirs.cmp(other_theirs),
        "{one:?} to {other:?}"
    );
    assert_eq!(by_parts.is_eq(), one_key == other_key);
}

/// The tuple as Deno's codec has it.
fn as_denos(parts: &[KeyPart<'_>]) -> deno::Key {
    let parts = parts.iter().map(|part| match part {
        KeyPart::Bytes(bytes) => deno::KeyPart::Bytes(bytes.to_vec()),
        KeyPart::String(string) => deno::KeyPart::String(string.to_string()),
        KeyPart::BigInt(integer) => {
            let sign = if integer.is_negative() {
                Sign::Minus
            } else {
                Sign::Plus
            };
            let integer = num_bigint::BigInt::from_bytes_be(sign, integer.magnitude());
            deno::KeyPart::Int(integer)
        }
        KeyPart::Number(number) => deno::KeyPart::Float(*number),
        KeyPart::Bool(false) => deno::KeyPart::False,
        KeyPart::Bool(true) => deno::KeyPart::True,
    });
    deno::Key(parts.collect())
}
