//! Bytes that V8 does not write: they end in a value or an error, at once and in little memory.

use super::vectors;
use crate::support::allocations::{refuse_one, was_refused};
use crate::support::assert_refused;
use crate::support::js_value::JsValue;
use crate::support::seeds::for_seeds;
use kvick::{ErrorKind, NewValue, Value, ValueRef};
use rand::RngExt;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// A type with something of everything.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is never read")]
struct Everything {
    number: Option<u8>,
    list: Option<Vec<Option<Box<Everything>>>>,
    map: Option<BTreeMap<i32, Everything>>,
    variant: Option<super::Job>,
    pair: Option<(String, char)>,
    #[serde(flatten)]
    rest: BTreeMap<String, JsValue>,
}

fn read<T: DeserializeOwned>(bytes: &[u8]) -> bool {
    match ValueRef::V8(bytes).to::<T>() {
        Ok(_) => true,
        Err(error) => {
            let kinds = [ErrorKind::ValueUndecodable, ErrorKind::TypeMismatch];
            assert!(kinds.contains(&error.kind()), "{error}");
            assert!(error.to_string().len() < 1_000, "{error}");
            false
        }
    }
}

/// Reads bytes as one type after the other. What reads as anything can be written again.
fn read_as_all(bytes: &[u8]) -> bool {
    read::<IgnoredAny>(bytes);
    read::<Everything>(bytes);
    read::<super::Job>(bytes);
    read::<Vec<Option<u64>>>(bytes);
    read::<BTreeMap<Option<u8>, (f32, String)>>(bytes);
    read::<serde_bytes::ByteBuf>(bytes);
    let Ok(value) = ValueRef::V8(bytes).to::<JsValue>() else {
        return false;
    };
    let again = Value::from(NewValue::serialize(&value).expect("its own levels"));
    assert_eq!(again.to::<JsValue>().expect("it was written here"), value);
    true
}

#[test]
fn a_value_that_is_cut_off_is_an_error() {
    for (name, bytes) in vectors::all() {
        for end in 0..bytes.len() {
            // Except for one, of which the rest is only the view of a buffer, or its references.
            let is_whole = read_as_all(&bytes[..end]);
            let is_view = bytes[end] == b'V';
            assert!(!is_whole || is_view, "{name} up to {end}");
        }
    }
}

#[test]
fn bytes_that_were_changed_are_a_value_or_an_error() {
    let test = "typed::hostile::bytes_that_were_changed_are_a_value_or_an_error";
    let vectors = vectors::all();
    for_seeds(test, 8, 4_000, |mut random, steps| {
        let mut whole = 0;
        for _ in 0..steps {
            let (_, bytes) = &vectors[random.random_range(0..vectors.len())];
            let mut bytes = bytes.clone();
            for _ in 0..random.random_range(1..4) {
                let place = random.random_range(2..=bytes.len());
                let (_, other) = &vectors[random.random_range(0..vectors.len())];
                match random.random_range(0..5) {
                    0 if place < bytes.len() => bytes[place] = random.random(),
                    1 if place < bytes.len() => bytes[place] ^= 1 << random.random_range(0..8),
                    2 => bytes.insert(place, b"^o{A$a@;:',BV\\rR-\0?"[random.random_range(0..19)]),
                    3 => drop(bytes.splice(place..place, other[2..].iter().copied())),
                    _ => bytes.truncate(place.max(3)),
                }
            }
            whole += usize::from(read_as_all(&bytes));
        }
        // Otherwise nothing but the first few bytes would be tried.
        assert!(whole > steps / 50, "only {whole} were whole");
    });
}

/// A value of `middle` between repetitions.
fn nested(before: &[u8], middle: &[u8], after: &[u8], levels: usize) -> Vec<u8> {
    let (before, after) = (before.repeat(levels), after.repeat(levels));
    [b"\xff\x0f", &before[..], middle, &after].concat()
}

#[test]
fn what_is_too_deep_is_refused_whatever_reads_it() {
    let forms: [(&[u8], &[u8]); 6] = [
        (b"A\x01", b"$\0\x01"),
        (b"o\"\x01a", b"{\x01"),
        (b"a\x01I\0", b"@\x01\x01"),
        (b";", b"0:\x02"),
        (b"'", b",\x01"),
        (b"rc", b"."),
    ];
    for (before, after) in forms {
        let deepest = nested(before, b"0", after, 128);
        assert!(read::<IgnoredAny>(&deepest) && read_as_all(&deepest));
        for levels in [129, 10_000, 1_000_000] {
            let deep = nested(before, b"0", after, levels);
            let anything = ValueRef::V8(&deep).to::<JsValue>();
            assert_refused(
                anything,
                ErrorKind::ValueUndecodable,
                "more than 128 levels",
            );
            let nothing = ValueRef::V8(&deep).to::<IgnoredAny>();
            assert_refused(nothing, ErrorKind::ValueUndecodable, "more than 128 levels");
        }
    }
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct List {
    next: Option<Box<List>>,
}

/// Which can be opened without end, around nothing.
#[derive(Debug, Serialize, Deserialize)]
struct Endless(Option<Box<Endless>>);

#[test]
fn types_that_nest_without_end_are_refused() {
    let list = |levels| {
        (1..levels).fold(List::default(), |list, _| List {
            next: Some(Box::new(list)),
        })
    };
    let deepest = Value::from(NewValue::serialize(&list(128)).unwrap());
    deepest.to::<List>().unwrap();
    let text = "the value has more than 128 levels";
    let deep = NewValue::serialize(&list(129));
    assert_refused(deep, ErrorKind::ValueUnencodable, text);

    let endless = ValueRef::V8(b"\xff\x0fI\x02").to::<Endless>();
    assert_refused(endless, ErrorKind::ValueUndecodable, "options and newtypes");
    let endless = (0..1_000).fold(Endless(None), |it, _| Endless(Some(Box::new(it))));
    let refused = NewValue::serialize(&endless);
    assert_refused(refused, ErrorKind::ValueUnencodable, "options and newtypes");
}

/// Reads something small that claims to be large, without large allocations.
#[track_caller]
fn assert_bomb<T: DeserializeOwned + Debug>(bytes: &[u8], text: &str) {
    refuse_one(8 << 20, 0);
    let read = ValueRef::V8(bytes).to::<T>();
    assert!(!was_refused());
    assert_refused(read, ErrorKind::ValueUndecodable, text);
}

#[test]
fn claims_are_not_believed() {
    const MOST: &[u8] = b"\xff\xff\xff\xff\x0f";
    let claims = |tag: &[u8]| [b"\xff\x0f", tag, MOST, b"I\0"].concat();
    for tag in [b"A", b"\"", b"c", b"S", b"B"] {
        assert_bomb::<Vec<[u64; 16]>>(&claims(tag), "length of 4294967295 with 2 bytes left");
        assert_bomb::<IgnoredAny>(&claims(tag), "length of 4294967295 with 2 bytes left");
    }
    assert_bomb::<u128>(&claims(b"Z"), "bigint of 2147483647 bytes with 2 left");
    assert_bomb::<JsValue>(&claims(b"\\\x01"), "length of 4294967295 with 2 bytes left");
    assert_bomb::<JsValue>(
        b"\xff\x10B\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "length of",
    );
    assert_bomb::<JsValue>(
        b"\xff\x10B\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        "varint",
    );
    let holes = [b"\xff\x0fa", MOST, b"@\0", MOST].concat();
    assert_bomb::<Vec<()>>(&holes, "references and holes stand for too much");
    assert_bomb::<Vec<JsValue>>(&holes, "references and holes stand for too much");
    assert!(read::<BTreeMap<u32, u8>>(&holes) && read::<IgnoredAny>(&holes));
}

#[test]
fn references_cannot_make_much_of_little() {
    // Each array has the one before it twice: 2^60 elements in some hundred bytes.
    let mut bytes = b"\xff\x0fA\x3dA\x02I\0I\0$\0\x02".to_vec();
    for level in 1..61 {
        bytes.extend_from_slice(&[b'A', 2, b'^', level, b'^', level, b'$', 0, 2]);
    }
    bytes.extend_from_slice(b"$\0\x3d");
    assert_bomb::<JsValue>(&bytes, "references and holes stand for too much");
    assert!(read::<IgnoredAny>(&bytes) && read::<Vec<IgnoredAny>>(&bytes));
    // And a long text many times.
    let text = [&b"s\"\x80\x7d"[..], &[b'x'; 16_000]].concat();
    let mut bytes = [b"\xff\x0fA\xe9\x07", &text[..]].concat();
    bytes.extend(b"^\x01".repeat(1_000));
    bytes.extend_from_slice(b"$\0\xe9\x07");
    assert_bomb::<Vec<String>>(&bytes, "references and holes stand for too much");
    assert!(read::<IgnoredAny>(&bytes));
}

#[test]
fn what_is_no_value_is_refused_with_its_place() {
    let cases: [(&[u8], &str); 20] = [
        (b"", "the value ends too early at byte 0"),
        (b"\xff", "the value ends too early at byte 1"),
        (b"{\"a\":1}", "no header of V8 at byte 0"),
        (b"\xff\x0f", "the value ends too early at byte 2"),
        (b"\xff\x0fI\x02I\x02", "2 bytes after the value at byte 4"),
        (b"\xff\x0f!", "unknown tag 0x21 at byte 2"),
        (b"\xff\x0f{", "unknown tag 0x7b at byte 2"),
        (
            b"\xff\x0fu\0",
            "memory that is shared between threads (tag 0x75) cannot be stored",
        ),
        (
            b"\xff\x0ft\0",
            "something that was transferred (tag 0x74) cannot be stored",
        ),
        (b"\xff\x0f\\\x0f", "unknown host object 15 at byte 2"),
        (
            b"\xff\x0f^\0",
            "reference to object 0, which has not begun at byte 2",
        ),
        (
            b"\xff\x0fA\x01^\x01$\0\x01",
            "reference to object 1, which has not begun",
        ),
        (b"\xff\x0fA\x01I\0$\0\x02", "count of 2 after 1 at byte 8"),
        (b"\xff\x0fo\"\x01aI\0{\x02", "count of 2 after 1"),
        (b"\xff\x0foTI\0{\x01", "property with no name at byte 3"),
        (
            b"\xff\x0fc\x01a",
            "string of UTF-16 with half a unit at byte 2",
        ),
        (b"\xff\x0fS\x01\xff", "string that is no UTF-8 at byte"),
        (
            b"\xff\x0fB\x02\0\0VB\x01\x02\0",
            "view beyond its buffer at byte 6",
        ),
        (
            b"\xff\x0fB\x02\0\0Vx\x01\x02\0",
            "unknown view 0x78 at byte 6",
        ),
        (b"\xff\x0frX", "unknown part of an error 0x58 at byte 3"),
    ];
    for (bytes, text) in cases {
        let read = ValueRef::V8(bytes).to::<JsValue>();
        assert_refused(read, ErrorKind::ValueUndecodable, text);
    }
}
