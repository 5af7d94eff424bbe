//! What V8 itself writes. `vectors/write.cjs` made the files, and says how.

use super::{Job, written};
use crate::support::assert_refused;
use crate::support::js_value::JsValue;
use kvick::js::{Date, Set};
use kvick::{ErrorKind, ValueRef};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Debug;

/// Written by Node, version 15 of the format, and by Deno, version 16.
const FILES: [&str; 2] = [
    include_str!("vectors/node-20.txt"),
    include_str!("vectors/deno-2.9.txt"),
];

/// All values, with their names.
pub(super) fn all() -> Vec<(&'static str, Vec<u8>)> {
    let lines = FILES.iter().flat_map(|file| file.lines());
    let vectors = lines.map(|line| {
        let (name, digits) = line.split_once(' ').expect("a name and digits");
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        assert_eq!(rest, b"");
        let byte = |pair: &[u8; 2]| {
            let digits = str::from_utf8(pair).expect("digits are ASCII");
            u8::from_str_radix(digits, 16).expect("they are digits")
        };
        (name, pairs.iter().map(byte).collect())
    });
    vectors.collect()
}

/// Each form of one of them.
#[track_caller]
fn forms(name: &str) -> Vec<Vec<u8>> {
    let forms = all().into_iter().filter(|(found, _)| *found == name);
    let forms: Vec<_> = forms.map(|(_, bytes)| bytes).collect();
    assert!(!forms.is_empty(), "there is no {name}");
    forms
}

/// That each form reads as a value.
#[track_caller]
fn assert_reads<'de, T: Deserialize<'de> + PartialEq + Debug>(name: &str, expected: &T) {
    for bytes in forms(name) {
        // So that what is borrowed lives long enough.
        let bytes: &'static [u8] = bytes.leak();
        let read: T = ValueRef::V8(bytes).to().expect(name);
        assert_eq!(&read, expected, "{name} {bytes:02x?}");
    }
}

/// That each form reads as a value, and that the value is written as Node writes it.
#[expect(clippy::needless_pass_by_value, reason = "each is made for the call")]
#[track_caller]
fn assert_is<T: Serialize + for<'de> Deserialize<'de> + PartialEq + Debug>(name: &str, value: T) {
    assert_reads(name, &value);
    assert_eq!(written(&value).as_v8(), Some(&forms(name)[0][..]), "{name}");
}

#[track_caller]
fn assert_refuses<T: for<'de> Deserialize<'de> + Debug>(name: &str, kind: ErrorKind, text: &str) {
    for bytes in forms(name) {
        assert_refused(ValueRef::V8(&bytes).to::<T>(), kind, text);
    }
}

#[test]
fn primitives_are_read_and_written_as_v8_does() {
    assert_is("null", ());
    assert_is("null", None::<u8>);
    assert_reads("undefined", &());
    assert_reads("undefined", &None::<u8>);
    assert_is("true", true);
    assert_is("false", false);
    assert_is("zero", 0);
    assert_is("minus_one", -1_i8);
    assert_is("int_max", (1_u32 << 30) - 1);
    assert_is("int_min", -(1_i64 << 30));
    assert_is("uint_max", u32::MAX);
    assert_is("safe_max", (1_u64 << 53) - 1);
    assert_is("minus_safe_max", 1 - (1_i64 << 53));
    assert_is("half", 1.5);
    assert_is("half", 1.5_f32);
    assert_is("infinity", f64::INFINITY);
    for bytes in forms("minus_zero") {
        let zero = ValueRef::V8(&bytes).to::<f64>().unwrap();
        assert_eq!(zero.to_bits(), (-0.0_f64).to_bits());
    }
    assert_eq!(written(&f64::NAN).as_v8().unwrap(), forms("nan")[0]);
    assert_is("bigint_zero", 0_i128);
    assert_is("bigint", -12_345_678_901_234_567_890_i128);
    assert_is("bigint_u64", u64::MAX);
    assert_is("bigint_u64", u128::from(u64::MAX));
    assert_is("bigint_i64", i64::MIN);
    assert_is("bigint_u128", u128::MAX);
    assert_is("bigint_i128", i128::MIN);
    let text = "expected u128, found a bigint of 24 bytes";
    assert_refuses::<u128>("bigint_192", ErrorKind::TypeMismatch, text);
    let text = "expected i32, found the number 1.5";
    assert_refuses::<i32>("half", ErrorKind::TypeMismatch, text);
}

#[test]
fn strings_are_read_and_written_as_v8_does() {
    assert_is("empty", String::new());
    assert_is("ascii", "hello".to_owned());
    assert_reads("ascii", &"hello");
    assert_is("latin1", "café".to_owned());
    assert_is("utf16", "日本語".to_owned());
    assert_is("utf16_padded", "é".repeat(100) + "☃");
    assert_is("emoji", "🦕".to_owned());
    assert_is("emoji", '🦕');
    let text = "half of a surrogate pair";
    assert_refuses::<String>("surrogate", ErrorKind::ValueUndecodable, text);
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Person {
    name: String,
    age: u8,
    mail: Option<String>,
    tags: Vec<char>,
}

fn map<K: Ord + Clone, V: Clone>(entries: &[(K, V)]) -> BTreeMap<K, V> {
    entries.iter().cloned().collect()
}

fn named<V: Clone>(entries: &[(&str, V)]) -> BTreeMap<String, V> {
    let entries = entries.iter().cloned();
    entries
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
}

#[test]
fn objects_and_maps_are_read_and_written_as_v8_does() {
    let ann = Person {
        name: "Ann".to_owned(),
        age: 30,
        mail: None,
        tags: vec!['a', 'b'],
    };
    assert_is("object", ann);
    let names = [
        ("1", "one"),
        ("20", "twenty"),
        ("4294967294", "big"),
        ("x", "x"),
    ];
    assert_reads("object_of_indices", &named(&names));
    assert_is("object_empty", named::<u8>(&[]));
    let options = [("a", None), ("b", Some(1))];
    assert_reads("object_with_undefined", &named(&options));
    let indices = map(&[(1, "one"), (2, "two")]);
    let by_name = written(&named(&[("1", "one"), ("2", "two")]));
    assert_eq!(by_name.to::<BTreeMap<u8, &str>>().unwrap(), indices);
    let by_number = map(&[(1_i64, true)]);
    assert_eq!(
        written(&by_number).to::<BTreeMap<i64, bool>>().unwrap(),
        by_number
    );

    assert_reads("map_of_strings", &named(&[("a", 1)]));
    assert_reads("map_empty", &map::<String, u8>(&[]));
    let mixed = [
        (JsValue::Integer(1), JsValue::Text("one".to_owned())),
        (JsValue::Text("two".to_owned()), JsValue::Integer(2)),
    ];
    assert_is("map", JsValue::Map(mixed.into()));
}

#[test]
fn arrays_and_sets_are_read_and_written_as_v8_does() {
    assert_is("array", vec![1, 2, 3]);
    assert_is("array", (1_u8, 2_i64, 3_i8));
    assert_is("array", [1, 2, 3]);
    assert_is("array_empty", Vec::<u8>::new());
    let mixed = (1, "two".to_owned(), (), [3.5]);
    assert_is("array_mixed", mixed);
    assert_reads("array_named", &[1, 2]);
    assert_reads("array_holes", &[Some(1), None, Some(3)]);
    let elements = [("0", 1), ("2", 3)].map(|(index, it)| (index, JsValue::Integer(it)));
    let name = [("name", JsValue::Text("n".to_owned()))];
    let properties = [&elements[..], &name].concat();
    assert_reads("array_holes", &named(&properties));
    assert_reads("array_made", &[5, 5, 5]);
    assert_reads("array_made", &(5, 5, 5));
    let mut far = vec![None; 1001];
    far[1000] = Some(7);
    assert_reads("array_far", &far);
    assert_reads("array_far", &map(&[(1000, 7)]));
    assert_is("set", Set(["red".to_owned(), "green".to_owned()]));
    assert_reads("set", &["red", "green"]);
}

#[derive(Debug, PartialEq, Deserialize)]
struct Thrown<'a> {
    name: &'a str,
    message: Option<&'a str>,
    stack: &'a str,
    cause: Option<BTreeMap<&'a str, u8>>,
}

#[test]
fn dates_boxes_and_errors_read_as_what_is_in_them() {
    assert_is("date", Date(1_700_000_000_123.0));
    assert_reads("date", &1_700_000_000_123_u64);
    for bytes in forms("date_invalid") {
        assert!(ValueRef::V8(&bytes).to::<f64>().unwrap().is_nan());
    }
    assert_reads("boxed", &(1, true, false, "s", 5_u64));
    assert_reads(
        "regexp",
        &named(&[("source", "a+\\/".to_owned()), ("flags", "giu".to_owned())]),
    );
    let thrown = Thrown {
        name: "RangeError",
        message: Some("boom"),
        stack: "RangeError: boom",
        cause: Some(map(&[("code", 7)])),
    };
    assert_reads("error", &thrown);
    let thrown = Thrown {
        name: "Error",
        message: None,
        stack: "Error",
        cause: None,
    };
    assert_reads("error_plain", &thrown);
    let parts = [
        ("type", "DOMException"),
        ("message", "gone"),
        ("name", "Error"),
    ];
    let parts = map(&[&parts[..], &[("stack", "Error: gone")]].concat());
    assert_reads("host_object", &parts);
}

/// The part of both cycles that is none.
#[derive(Debug, Deserialize)]
#[expect(dead_code, reason = "it is never read")]
struct Partly {
    me: Option<IgnoredAny>,
    a: Option<Vec<IgnoredAny>>,
}

#[test]
fn references_are_followed_and_what_contains_itself_is_refused() {
    let shared = named(&[("x", 1)]);
    let again = named(&[("again", shared.clone())]);
    assert_reads("shared", &(shared.clone(), shared, again));
    assert_reads("shared_date", &[5, 5]);
    let shared = JsValue::Map(vec![(JsValue::Text("x".to_owned()), JsValue::Integer(1))]);
    for name in ["shared_behind_all", "shared_behind_host"] {
        for bytes in forms(name) {
            let mut read: Vec<JsValue> = ValueRef::V8(&bytes).to().unwrap();
            assert_eq!(read.pop().as_ref(), Some(&shared), "{name}");
            assert_eq!(read.pop().as_ref(), Some(&shared), "{name}");
        }
    }
    assert_reads("view_shared", &[[1, 2], [1, 2]]);
    assert_reads("views", &([1, 0, 2, 0], [2], Bytes(&[1, 0, 2, 0])));
    for name in ["cycle", "cycle_deep"] {
        let text = "the value contains itself at";
        assert_refuses::<JsValue>(name, ErrorKind::TypeMismatch, text);
        // Only where that is asked for.
        for bytes in forms(name) {
            ValueRef::V8(&bytes).to::<IgnoredAny>().unwrap();
            ValueRef::V8(&bytes).to::<Partly>().unwrap();
        }
    }
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bytes<'a>(#[serde(with = "serde_bytes")] &'a [u8]);

#[test]
fn binary_data_reads_as_bytes_and_as_numbers() {
    let bytes = serde_bytes::ByteBuf::from(vec![1, 2]);
    assert_is("uint8", bytes);
    assert_reads("uint8", &Bytes(&[1, 2]));
    assert_reads("uint8", &[1, 2]);
    assert_reads("uint8", &vec![Some(1), Some(2)]);
    assert_reads("uint8_part", &Bytes(&[0, 2]));
    assert_reads("buffer", &Bytes(&[1, 0, 2, 0]));
    assert_reads("data_view", &Bytes(&[0, 2, 0]));
    assert_reads("resizable", &Bytes(&[1, 2, 3, 4]));
    assert_reads("resizable_view", &Bytes(&[1, 2, 3, 4]));
    assert_reads("resizable_part", &Bytes(&[2, 3]));
    assert_reads("int8", &[-1, 1]);
    assert_reads("int8", &Bytes(&[255, 1]));
    assert_reads("int16", &[-2]);
    assert_reads("int32", &[-3]);
    assert_reads("uint32", &[u32::MAX]);
    assert_reads("float16", &[1.5, -0.25, 65_504.0, 2_f64.powi(-24)]);
    assert_reads("float32", &[0.5]);
    assert_reads("float64", &[1.5, -2.0]);
    assert_reads("bigint64", &[-1]);
    assert_reads("biguint64", &[u64::MAX]);
    assert_reads("clamped", &Bytes(&[255]));
    let numbers = |numbers: &[JsValue]| JsValue::Array(numbers.to_vec());
    let integer = |number| numbers(&[JsValue::Integer(number)]);
    let bytes = |bytes: &[u8]| JsValue::Bytes(bytes.to_vec());
    let views = [
        integer(-1),
        bytes(&[1, 2]),
        bytes(&[3]),
        integer(-4),
        integer(5),
        integer(-6),
        integer(7),
        numbers(&[JsValue::Number(0.5)]),
        numbers(&[JsValue::Number(1.5)]),
        bytes(&[1, 0, 2, 0]),
        bytes(b"hi"),
        integer(-8),
        integer(9),
    ];
    assert_reads("node_views", &views.to_vec());
}

#[test]
fn variants_are_read_and_written_as_strings_and_objects() {
    assert_is("variant_unit", Job::Idle);
    assert_is("variant_newtype", Job::Moved(7));
    assert_is("variant_tuple", Job::Sized(3, 4));
    let name = "n".to_owned();
    assert_is("variant_struct", Job::Named { name });
}

#[test]
fn versions_13_to_16_are_read() {
    // D10: what differs between them is the flags of a view, which begin with version 14.
    for version in 0..=255 {
        let scalar = [0xff, version, b'I', 2];
        let bytes = [0xff, version, b'B', 1, 7, b'V', b'B', 0, 1, 0];
        let bytes = &bytes[..bytes.len() - usize::from(version < 14)];
        if (13..=16).contains(&version) {
            assert_eq!(ValueRef::V8(&scalar).to::<u8>().unwrap(), 1);
            assert_eq!(ValueRef::V8(bytes).to::<Bytes<'_>>().unwrap(), Bytes(&[7]));
        } else {
            let read = ValueRef::V8(&scalar).to::<u8>();
            let text = if version < 128 {
                "of the format, 13 to 16 are read"
            } else {
                "at byte"
            };
            assert_refused(read, ErrorKind::ValueUndecodable, text);
        }
    }
}

#[test]
fn what_old_writers_left_is_read() {
    let reads = |bytes: &[u8], expected: &str| {
        assert_eq!(ValueRef::V8(bytes).to::<String>().unwrap(), expected);
    };
    reads(b"\xff\x0fS\x03\xe2\x98\x83", "☃");
    reads(b"\xff\x0f\0\0\"\x01a", "a");
    reads(b"\xff\x0f?\x05\"\x01a", "a");
    reads(b"\xff\x0f\"\x01a\0", "a");
    let hole = ValueRef::V8(b"\xff\x0fA\x02-I\x02$\0\x02").to::<[Option<u8>; 2]>();
    assert_eq!(hole.unwrap(), [None, Some(1)]);
    let unsigned = ValueRef::V8(b"\xff\x0fU\xff\xff\xff\xff\x0f").to::<u32>();
    assert_eq!(unsigned.unwrap(), u32::MAX);
}
