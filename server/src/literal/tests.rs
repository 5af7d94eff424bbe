//! What is read, and that what is written reads back.

use super::write::{key_text, of_value, value_text};
use super::{Literal, read};
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
        ("\"\\u00e4\\u{1f600}\\ud83d\\ude00\\x41\\n\"", text("ä😀😀A\n")),
        ("b\"a\\x00\\xff\\\"\"", Literal::Bytes(b"a\0\xff\"".to_vec())),
        ("u64(7)", Literal::U64(7)),
        ("u64( 18446744073709551615n )", Literal::U64(u64::MAX)),
        ("[]", Literal::Array(Vec::new())),
        ("[1, [true,],]", Literal::Array(vec![number(1.0), Literal::Array(vec![Literal::Bool(true)])])),
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
    ] {
        let error = read(written).expect_err(written).to_string();
        assert!(error.contains(says), "{written}: {error:?}, and not {says:?}");
    }
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
    assert_eq!(key_text(&Key::raw([1, 2])), r#"b"\x01\x02""#, "which is no tuple");
}

#[test]
fn a_value_is_of_the_kind_that_clients_expect() {
    let value = |written: &str| read(written).expect(written).to_value().expect(written);
    assert_eq!(value("u64(7)"), Value::U64(7));
    assert_eq!(value("b\"x\""), Value::from("x"));
    for written in ["null", "true", "1.5", "42n", "'text'", "[1, { a: [2n] }]", "-(2)"] {
        if let Ok(literal) = read(written) {
            let value = literal.to_value().expect(written);
            assert_eq!(value.kind(), ValueKind::V8, "{written}");
            assert_eq!(of_value(value.as_ref()).expect(written), literal);
        }
    }
    let long = format!("{}n", "9".repeat(100));
    assert_eq!(value_text(value(&long).as_ref()), long, "longer than 128 bits");
    let error = read("[u64(1)]").unwrap().to_value().expect_err("not by itself");
    assert!(error.to_string().contains("stands by itself"), "{error}");
    let text = value_text(ValueRef::V8(b"\xff\x0f?"));
    assert!(text.starts_with("<3 bytes of V8"), "{text}");
}

/// Something that can be stored.
fn drawn(random: &mut StdRng, depth: u32) -> Literal {
    let kinds = if depth == 0 { 6 } else { 8 };
    let text = |random: &mut StdRng| -> String {
        let some = ['a', 'ä', '"', '\\', '\n', '\u{1b}', '\0', '😀', ' ', '1'];
        let length = random.random_range(0..5);
        (0..length).map(|_| some[random.random_range(0..some.len())]).collect()
    };
    match random.random_range(0..kinds) {
        0 => Literal::Null,
        1 => Literal::Bool(random.random()),
        2 => {
            let number = f64::from_bits(random.random());
            Literal::Number(if number.is_nan() { 0.5 } else { number })
        }
        3 => Literal::BigInt(random.random::<i128>().into()),
        4 => Literal::Text(text(random)),
        5 => Literal::Bytes((0..random.random_range(0..5)).map(|_| random.random()).collect()),
        6 => Literal::Array((0..random.random_range(0..4)).map(|_| drawn(random, depth - 1)).collect()),
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
    }
}

#[test]
fn no_text_makes_it_panic() {
    let mut random = StdRng::seed_from_u64(4);
    let some: Vec<char> = "[]{}\"'\\xu0nb:,.-+eE_1 \u{e4}d8Iinfty(64)".chars().collect();
    for _ in 0..50_000 {
        let length = random.random_range(0..12);
        let text: String = (0..length).map(|_| some[random.random_range(0..some.len())]).collect();
        if let Ok(literal) = read(&text) {
            let _ = literal.to_key();
            let _ = literal.to_value();
        }
    }
}
