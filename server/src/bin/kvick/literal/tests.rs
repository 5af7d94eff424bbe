//! What is read, and that what is written reads back.

use super::write::{exactly, key_text, value_text};
use super::{Literal, entry_json, read, v8, value_of_json};
use kvick::{BigInt, Key, KeyPart, Value, ValueKind, ValueRef};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

fn number(number: f64) -> Literal {
    Literal::Number(number)
}

fn text(text: &str) -> Literal {
    Literal::Text(text.to_owned())
}

#[test]
fn literals_are_those_of_javascript() {
    let bigint = |number: i128| Literal::BigInt(number.into());
    for (written, expected) in [
        ("undefined", Literal::Undefined),
        (" null ", Literal::Null),
        ("true", Literal::Bool(true)),
        ("42", number(42.0)),
        ("-1.5e3", number(-1_500.0)),
        (".5", number(0.5)),
        ("1_000", number(1_000.0)),
        ("0xff", number(255.0)),
        ("-Infinity", number(f64::NEG_INFINITY)),
        ("42n", bigint(42)),
        ("-0x10n", bigint(-16)),
        ("18_446_744_073_709_551_616n", bigint(1 << 64)),
        ("'it\\'s'", text("it's")),
        (
            "\"\\u00e4\\u{1f600}\\ud83d\\ude00\\x41\\n\"",
            text("ä😀😀A\n"),
        ),
        (
            "b\"a\\x00\\xff\\\"\"",
            Literal::Bytes(b"a\0\xff\"".to_vec()),
        ),
        ("u64(7)", Literal::U64(7)),
        ("u64( 18446744073709551615n )", Literal::U64(u64::MAX)),
        ("[]", Literal::Array(Vec::new())),
        (
            "new Date(\"2023-11-14T22:13:20Z\")",
            Literal::Date(1_700_000_000_000.0),
        ),
        ("new Date( -1 )", Literal::Date(-1.0)),
        ("new Map()", Literal::Map(Vec::new())),
        ("new Set([1])", Literal::Set(vec![number(1.0)])),
        (
            "[1, [true,],]",
            Literal::Array(vec![number(1.0), Literal::Array(vec![Literal::Bool(true)])]),
        ),
        (
            "{ a: 1, 'b c': null, \"d\": {}, $_1: 2 }",
            Literal::Object(vec![
                ("a".to_owned(), number(1.0)),
                ("b c".to_owned(), Literal::Null),
                ("d".to_owned(), Literal::Object(Vec::new())),
                ("$_1".to_owned(), number(2.0)),
            ]),
        ),
    ] {
        assert_eq!(read(written), Ok(expected), "{written}");
    }
    assert!(matches!(read("NaN"), Ok(Literal::Number(nan)) if nan.is_nan()));
    // Two keys.
    for (text, is_negative) in [("NaN", false), ("-NaN", true)] {
        let Ok(Literal::Number(nan)) = read(text) else {
            panic!("{text} is no number");
        };
        assert_eq!((nan.is_nan(), nan.is_sign_negative()), (true, is_negative));
        assert_eq!(Literal::Number(nan).to_string(), text);
    }
    assert!(matches!(read("-0"), Ok(Literal::Number(zero)) if zero.is_sign_negative()));
}

#[test]
fn what_is_no_literal_is_refused_with_its_place() {
    for (written, says) in [
        ("", "expected a literal, and the text ends, at byte 0"),
        ("users", "\"users\" is no literal, at byte 0"),
        ("[1 2]", "expected `,` or `]`, and found '2', at byte 3"),
        ("{a 1}", "expected `:`, and found '1', at byte 3"),
        ("{a: 1, a: 2}", "\"a\" is there twice, at byte 7"),
        ("1 2", "expected the end, and found '2', at byte 2"),
        ("'open", "a string without an end, at byte 0"),
        ("b\"ä\"", "is no byte"),
        ("1.2.3", "\"1.2.3\" is no number, at byte 0"),
        ("1.5n", "is no number"),
        ("--1", "is no number"),
        ("0xzz", "is no number"),
        ("u64(18446744073709551616)", "64 bits"),
        ("u64(-1)", "64 bits"),
        ("\"\\ud800\"", "no such character"),
        ("\"\\q\"", "an unknown escape"),
        ("new Thing()", "no `new Thing`"),
        ("new Date", "expected `(`"),
        ("new Date(\"soon\")", "takes milliseconds"),
        ("new Map([1])", "pairs"),
    ] {
        let error = read(written).expect_err(written).to_string();
        assert!(
            error.contains(says),
            "{written}: {error:?}, and not {says:?}"
        );
    }
    assert!(read(&"new Date(".repeat(100_000)).is_err());
    let deep = format!("{}{}", "[".repeat(129), "]".repeat(129));
    let error = read(&deep).expect_err("too deep").to_string();
    assert!(error.contains("max 128"), "{error}");
}

#[test]
fn a_key_is_an_array_of_parts_or_one() {
    let key = |written| read(written).expect(written).to_key();
    let bytes = [0_u8, 255];
    let expected = Key::from_parts([
        KeyPart::from("users"),
        KeyPart::from(BigInt::from(42_i128)),
        KeyPart::from(1.5),
        KeyPart::from(true),
        KeyPart::from(&bytes[..]),
    ]);
    let written = r#"["users", 42n, 1.5, true, b"\x00\xff"]"#;
    assert_eq!(key(written), Ok(expected.clone()));
    assert_eq!(key_text(&expected), written);
    assert_eq!(key("'users'"), Ok(Key::from("users")));
    for wrong in ["[null]", "[[1]]", "[{}]", "[u64(1)]", "undefined"] {
        let error = key(wrong).expect_err(wrong).to_string();
        assert!(error.contains("no part of a key"), "{error}");
    }
    assert_eq!(
        key_text(&Key::raw([1, 2])),
        r#"b"\x01\x02""#,
        "which is no tuple"
    );
}

#[test]
fn a_value_is_of_the_kind_that_clients_expect() {
    let value = |written: &str| read(written).expect(written).to_value().expect(written);
    assert_eq!(value("u64(7)"), Value::U64(7));
    assert_eq!(value("b\"x\""), Value::from("x"));
    for written in [
        "null",
        "true",
        "1.5",
        "42n",
        "'text'",
        "[1, { a: [2n] }]",
        "-(2)",
    ] {
        if let Ok(literal) = read(written) {
            let value = literal.to_value().expect(written);
            assert_eq!(value.kind(), ValueKind::V8, "{written}");
            assert_eq!(exactly(value.as_ref()), Some(literal));
        }
    }
    let long = format!("{}n", "9".repeat(100));
    assert_eq!(
        value_text(value(&long).as_ref()),
        long,
        "longer than 128 bits"
    );
    let error = read("[u64(1)]")
        .unwrap()
        .to_value()
        .expect_err("not by itself");
    assert!(error.to_string().contains("stands by itself"), "{error}");
    let text = value_text(ValueRef::V8(b"\xff\x0f?"));
    assert!(text.starts_with("<3 bytes of V8"), "{text}");
    // A regular expression has no literal: it is shown as the nearest, and as JSON it is exact.
    let regexp = Value::V8(b"\xff\x0fR\"\x01a\x01".to_vec().into());
    assert_eq!(
        value_text(regexp.as_ref()),
        r#"{ source: "a", flags: "g" }"#
    );
    assert_eq!(through_json(&regexp), regexp);
}

/// Made by V8 itself, of Node 20.
#[test]
fn what_v8_has_written_is_its_literal() {
    for (written, hexadecimal) in [
        (
            "[undefined, null, { a: -5 }]",
            "ff0f41035f306f22016149097b01240003",
        ),
        (
            "[2147483648, 4294967295, -0]",
            "ff0f41034e000000000000e0414e0000e0ffffffef414e0000000000000080240003",
        ),
        (
            "-1267650600228229401496703205376n",
            "ff0f5a2100000000000000000000000010000000",
        ),
        ("\"ä😀\"", "ff0f6306e4003dd800de"),
        (
            "new Date(\"2023-11-14T22:13:20.000Z\")",
            "ff0f4400008056febc7842",
        ),
        (
            "new Map([[\"a\", 1n], [{ x: 1 }, new Set([2])]])",
            "ff0f3b2201615a1001000000000000006f22017849027b012749042c013a04",
        ),
        (
            "{ \"1\": \"x\", b: [] }",
            "ff0f6f490222017822016241002400007b02",
        ),
    ] {
        let (digits, _) = hexadecimal.as_bytes().as_chunks::<2>();
        let byte = |digits: &[u8; 2]| {
            let digits = str::from_utf8(digits).expect("it is ASCII");
            u8::from_str_radix(digits, 16).expect("it is a number")
        };
        let bytes: Vec<u8> = digits.iter().map(byte).collect();
        let literal = v8::read(&bytes).expect(written);
        assert_eq!(literal.to_string(), written);
        // An index is written as a text, which means the same.
        if !written.contains("\"1\"") {
            assert_eq!(v8::write(&literal), Some(bytes), "{written}");
        }
    }
}

/// A value, as JSON and back.
fn through_json(value: &Value) -> Value {
    let stamp = kvick::Versionstamp::from_bytes([1; 10]);
    let line = entry_json(&Key::from("k"), value.as_ref(), stamp);
    assert!(!line.contains(char::is_control), "{line:?}");
    let entry: serde_json::Value = serde_json::from_str(&line).expect("it is JSON");
    value_of_json(&entry["value"].to_string()).expect(&line)
}

#[test]
fn json_says_what_it_has_no_word_for() {
    for (written, json) in [
        ("1", "1"),
        ("1.5", "1.5"),
        ("-0", r#"{"$number":"-0"}"#),
        ("NaN", r#"{"$number":"NaN"}"#),
        ("-NaN", r#"{"$number":"-NaN"}"#),
        ("-Infinity", r#"{"$number":"-Infinity"}"#),
        ("1e300", "1e+300"),
        ("-42n", r#"{"$bigint":"-42"}"#),
        ("b\"\\x00\\xff\"", r#"{"$bytes":"AP8="}"#),
        ("u64(7)", r#"{"$u64":"7"}"#),
        ("undefined", r#"{"$undefined":true}"#),
        ("[undefined, null]", r#"[{"$undefined":true},null]"#),
        ("new Date(1.5)", r#"{"$date":1.5}"#),
        ("new Date(NaN)", r#"{"$date":null}"#),
        (
            "new Map([[1n, \"a\"]])",
            r#"{"$map":[[{"$bigint":"1"},"a"]]}"#,
        ),
        ("new Set([1])", r#"{"$set":[1]}"#),
        ("{ z: 1, a: 2 }", r#"{"z":1,"a":2}"#),
        ("{ $set: [1] }", r#"{"$object":{"$set":[1]}}"#),
        ("{ $a: 1, $b: 2 }", r#"{"$a":1,"$b":2}"#),
        ("\"\\u{9b}\"", "\"\\u009b\""),
    ] {
        let literal = read(written).expect(written);
        let value = literal.to_value().expect(written);
        let line = entry_json(
            &Key::from("k"),
            value.as_ref(),
            kvick::Versionstamp::from_bytes([1; 10]),
        );
        let expected =
            format!(r#"{{"key":["k"],"value":{json},"versionstamp":"01010101010101010101"}}"#);
        assert_eq!(line, expected, "{written}");
        assert_eq!(value_of_json(json).as_ref(), Ok(&value), "{written}");
    }
    let raw = entry_json(
        &Key::raw([1, 2]),
        ValueRef::U64(1),
        kvick::Versionstamp::from_bytes([1; 10]),
    );
    assert!(raw.starts_with(r#"{"key":{"$key":"AQI="}"#), "{raw}");
}

#[test]
fn json_that_is_no_value_is_refused() {
    for (json, says) in [
        ("{", "EOF"),
        (r#"{"$bigint":1}"#, "digits of an integer as a text"),
        (r#"{"$bigint":"1.5"}"#, "digits"),
        (r#"{"$u64":"-1"}"#, "64 bits"),
        (r#"{"$u64":"18446744073709551616"}"#, "64 bits"),
        (r#"[{"$u64":"1"}]"#, "stands by itself"),
        (r#"{"$bytes":"?"}"#, "base64"),
        (r#"{"$undefined":false}"#, "takes true"),
        (r#"{"$number":"1"}"#, "NaN"),
        (r#"{"$map":[[1]]}"#, "pairs"),
        (r#"{"$set":1}"#, "an array"),
        (r#"{"$date":"now"}"#, "milliseconds"),
        (r#"{"$v8":"?"}"#, "base64"),
        (r#"[{"$v8":"/w8w"}]"#, "by itself"),
        (r#"{"$other":1}"#, "write it in an `$object`"),
    ] {
        let error = value_of_json(json).expect_err(json).to_string();
        assert!(error.contains(says), "{json}: {error:?}, and not {says:?}");
    }
    assert!(value_of_json(&"[".repeat(100_000)).is_err());
}

/// Something that can be stored.
fn drawn(random: &mut StdRng, depth: u32) -> Literal {
    let kinds = if depth == 0 { 8 } else { 12 };
    let text = |random: &mut StdRng| -> String {
        let some = [
            'a', 'ä', '"', '\\', '\n', '\u{1b}', '\0', '😀', ' ', '1', '$', '\u{9b}', '\u{202e}',
        ];
        let length = random.random_range(0..5);
        (0..length)
            .map(|_| some[random.random_range(0..some.len())])
            .collect()
    };
    let number = |random: &mut StdRng| match random.random_range(0..4) {
        0 => f64::from(random.random::<i32>()),
        1 => -0.0,
        _ => {
            let number = f64::from_bits(random.random());
            if number.is_nan() { 0.5 } else { number }
        }
    };
    let some = |random: &mut StdRng| -> Vec<Literal> {
        (0..random.random_range(0..4))
            .map(|_| drawn(random, depth - 1))
            .collect()
    };
    match random.random_range(0..kinds) {
        0 => Literal::Null,
        1 => Literal::Bool(random.random()),
        2 => Literal::Number(number(random)),
        3 => Literal::BigInt(random.random::<i128>().into()),
        4 => Literal::Text(text(random)),
        5 => Literal::Bytes(
            (0..random.random_range(0..5))
                .map(|_| random.random())
                .collect(),
        ),
        6 => Literal::Undefined,
        7 => match random.random_range(0..2) {
            0 => Literal::Date(f64::from(random.random_range(0..4_000_000_000_u32)) * 1e3),
            _ => Literal::Date(number(random)),
        },
        8 => Literal::Array(some(random)),
        9 => Literal::Set(some(random)),
        10 => Literal::Map(
            some(random)
                .into_iter()
                .map(|key| (key, drawn(random, depth - 1)))
                .collect(),
        ),
        _ => {
            let mut properties: Vec<(String, Literal)> = Vec::new();
            for _ in 0..random.random_range(0..4) {
                let name = text(random);
                if properties.iter().all(|(other, _)| *other != name) {
                    properties.push((name, drawn(random, depth - 1)));
                }
            }
            Literal::Object(properties)
        }
    }
}

#[test]
fn what_is_written_reads_back_and_what_is_stored_too() {
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..5_000 {
        let literal = drawn(&mut random, 3);
        let written = literal.to_string();
        assert!(!written.contains(char::is_control), "{written:?}");
        assert_eq!(read(&written).as_ref(), Ok(&literal), "{written}");
        let value = literal.to_value().expect("it can be stored");
        assert_eq!(
            exactly(value.as_ref()).as_ref(),
            Some(&literal),
            "{written}"
        );
        assert_eq!(through_json(&value), value, "{written}");
        if let Value::V8(bytes) = &value {
            // kvick's own reader takes what is written here.
            assert!(value.to::<Literal>().is_ok(), "{written}: {bytes:?}");
        }
    }
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = StdRng::seed_from_u64(5);
    for _ in 0..20_000 {
        let literal = drawn(&mut random, 2);
        let Ok(Value::V8(bytes)) = literal.to_value() else {
            continue;
        };
        let mut bytes = bytes.to_vec();
        for _ in 0..random.random_range(1..4) {
            let at = random.random_range(0..bytes.len());
            bytes[at] = random.random();
        }
        bytes.truncate(random.random_range(0..=bytes.len()));
        let _ = v8::read(&bytes);
        let shown = value_text(ValueRef::V8(&bytes));
        assert!(!shown.contains(char::is_control), "{shown:?}");
    }
    let deep = [&b"\xff\x0f"[..], &b"A\x01".repeat(100_000)].concat();
    assert!(v8::read(&deep).is_none());
    assert!(value_text(ValueRef::V8(&deep)).starts_with('<'));
}

#[test]
fn no_text_makes_it_panic() {
    let mut random = StdRng::seed_from_u64(4);
    let some: Vec<char> = "[]{}\"'\\xu0nb:,.-+eE_1 \u{e4}d8Iinfty(64)"
        .chars()
        .collect();
    for _ in 0..50_000 {
        let length = random.random_range(0..12);
        let text: String = (0..length)
            .map(|_| some[random.random_range(0..some.len())])
            .collect();
        if let Ok(literal) = read(&text) {
            let _ = literal.to_key();
            let _ = literal.to_value();
        }
    }
}
