//! Commands that read and write entries.

use crate::support::{Served, run_with};
use kvick::{Key, Kv, NewValue};
use std::time::Duration;

/// A value of each type, as it is shown, and as JSON.
const VALUES: [(&str, &str); 20] = [
    ("undefined", r#"{"$undefined":true}"#),
    ("null", "null"),
    ("true", "true"),
    ("0", "0"),
    ("-0", r#"{"$number":"-0"}"#),
    ("-1.5", "-1.5"),
    ("NaN", r#"{"$number":"NaN"}"#),
    ("-Infinity", r#"{"$number":"-Infinity"}"#),
    (
        "-12345678901234567890n",
        r#"{"$bigint":"-12345678901234567890"}"#,
    ),
    (r#""text äöü 😀""#, r#""text äöü 😀""#),
    (r#""a\n\u{1b}[31m""#, r#""a\n\u001b[31m""#),
    (r#"b"\x00\xff""#, r#"{"$bytes":"AP8="}"#),
    (
        "u64(18446744073709551615)",
        r#"{"$u64":"18446744073709551615"}"#,
    ),
    (
        "[1, [null, undefined]]",
        r#"[1,[null,{"$undefined":true}]]"#,
    ),
    (
        r#"{ b: 1, a: { "c d": "e" } }"#,
        r#"{"b":1,"a":{"c d":"e"}}"#,
    ),
    (
        r#"new Date("2026-01-31T12:00:00.000Z")"#,
        r#"{"$date":1769860800000}"#,
    ),
    ("new Date(NaN)", r#"{"$date":null}"#),
    (
        r#"new Map([["a", 1n]])"#,
        r#"{"$map":[["a",{"$bigint":"1"}]]}"#,
    ),
    ("new Set([1, 2])", r#"{"$set":[1,2]}"#),
    ("{ $set: [1] }", r#"{"$object":{"$set":[1]}}"#),
];

#[test]
fn a_value_of_each_type_is_shown_as_it_was_given() {
    let served = Served::start();
    for (text, json) in VALUES {
        let stamp = served.shows(&["set", "['k']", text]);
        assert_eq!(served.shows(&["get", "['k']"]), format!("{text}\n"));
        let stamp = stamp.trim_end();
        let entry = format!("{{\"key\":[\"k\"],\"value\":{json},\"versionstamp\":\"{stamp}\"}}\n");
        assert_eq!(served.shows(&["get", "--json", "['k']"]), entry);
        let before = served.kv.get("k").expect("it is open").into_value();
        served.shows(&["set", "--json", "['k']", json]);
        let after = served.kv.get("k").expect("it is open").into_value();
        assert_eq!(after, before, "{text}");
    }
}

#[test]
fn what_has_no_literal_survives_as_json() {
    let served = Served::start();
    let regexp = b"\xff\x0fR\"\x01a\x01";
    served
        .kv
        .set("k", NewValue::v8(regexp))
        .expect("it is small");
    let json = r#"{"$v8":"/w9SIgFhAQ=="}"#;
    assert!(served.shows(&["get", "--json", "'k'"]).contains(json));
    served.shows(&["set", "--json", "'copy'", json]);
    let copied = served.kv.get("copy").expect("it is open");
    assert_eq!(copied.as_v8(), Some(&regexp[..]));
}

#[test]
fn keys_are_of_all_types() {
    let served = Served::start();
    let key = r#"[b"\x00", "a", -42n, 1.5, -0, false, true]"#;
    served.shows(&["set", key, "1"]);
    assert_eq!(served.shows(&["list"]), format!("{key}\t1\n"));
    let json = r#"[{"$bytes":"AA=="},"a",{"$bigint":"-42"},1.5,{"$number":"-0"},false,true]"#;
    assert!(served.shows(&["list", "--json"]).contains(json));
    served.run(&["set", "['b']", "1"]).assert_ok();
    served.shows(&["delete", key]);
    assert_eq!(served.shows(&["list", "--keys"]), "[\"b\"]\n");
}

#[test]
fn a_missing_key_is_exit_code_4() {
    let served = Served::start();
    served
        .run(&["get", "['nobody']"])
        .assert_failed(4, r#"["nobody"] is missing"#);
}

#[test]
fn a_set_can_have_a_condition_and_says_by_3_that_it_does_not_hold() {
    let served = Served::start();
    let stamp = served.shows(&["set", "'k'", "1", "--if-absent"]);
    served
        .run(&["set", "'k'", "2", "--if-absent"])
        .assert_failed(3, r#"["k"] is there already; nothing was written"#);
    let second = served.shows(&["set", "'k'", "3", "--if-version", stamp.trim_end()]);
    served
        .run(&["set", "'k'", "4", "--if-version", stamp.trim_end()])
        .assert_failed(3, "another versionstamp");
    assert!(stamp < second);
    assert_eq!(served.shows(&["get", "'k'"]), "3\n");
}

#[test]
fn a_set_can_expire_and_read_its_value() {
    let served = Served::start();
    let mut command = served.command(&["set", "--expire-in", "1h 30m", "'k'", "-"]);
    assert_eq!(run_with(&mut command, " { a: 1 } \n").code, 0);
    let left = served.kv.get("k").expect("it is open").expires_in();
    let (left, whole) = (left.expect("it expires"), Duration::from_secs(90 * 60));
    assert!(
        left <= whole && left > Duration::from_secs(89 * 60),
        "{left:?}"
    );
    assert_eq!(served.shows(&["get", "'k'"]), "{ a: 1 }\n");
    served.shows(&["set", "'k'", "-5"]);
    assert_eq!(served.kv.get("k").expect("it is open").expires_in(), None);
    assert_eq!(served.shows(&["get", "'k'"]), "-5\n");
}

#[test]
fn a_list_is_what_its_options_select() {
    let served = Served::start();
    for (name, number) in [("a", 1_u64), ("a", 2), ("a", 3), ("b", 1)] {
        served.kv.set((name, number), 7_u64).expect("it is small");
    }
    for (words, expected) in [
        (
            &["list", "--keys"][..],
            "[\"a\", 1n] [\"a\", 2n] [\"a\", 3n] [\"b\", 1n]",
        ),
        (
            &["list", "--keys", "--prefix", "['a']"],
            "[\"a\", 1n] [\"a\", 2n] [\"a\", 3n]",
        ),
        (
            &["list", "--keys", "--reverse", "--limit", "2"],
            "[\"b\", 1n] [\"a\", 3n]",
        ),
        (
            &["list", "--keys", "--start", "['a', 3n]"],
            "[\"a\", 3n] [\"b\", 1n]",
        ),
        (&["list", "--keys", "--end", "['a', 2n]"], "[\"a\", 1n]"),
        (
            &[
                "list",
                "--keys",
                "--prefix",
                "['a']",
                "--start",
                "['a', 2n]",
                "--end",
                "['a', 3n]",
            ],
            "[\"a\", 2n]",
        ),
        (&["list", "--prefix", "['b']"], "[\"b\", 1n]\tu64(7)"),
        (&["list", "--prefix", "['c']"], ""),
        (&["count"], "4"),
        (&["count", "--prefix", "['a']"], "3"),
    ] {
        let shown = served.shows(words);
        assert_eq!(
            shown.lines().collect::<Vec<_>>().join(" "),
            expected,
            "{words:?}"
        );
    }
    served
        .run(&["list", "--prefix", "['a']", "--start", "['b']"])
        .assert_failed(1, "keyspace defined by prefix");
}

#[test]
fn a_prefix_is_deleted_in_batches() {
    let served = Served::start();
    for number in 0..1_234 {
        served.kv.set(("a", number), 7_u64).expect("it is small");
    }
    served.kv.set("b", 1_u64).expect("it is small");
    assert_eq!(served.shows(&["delete", "--prefix", "['a']"]), "1234\n");
    assert_eq!(served.shows(&["list"]), "[\"b\"]\tu64(1)\n");
    let stamp = served.shows(&["delete", "'b'", "'c'"]);
    assert_eq!(stamp.len(), 21);
    assert_eq!(served.shows(&["count"]), "0\n");
}

/// Five hundred such keys are more than a commit may have.
#[test]
fn a_prefix_of_long_keys_is_deleted_in_batches() {
    let served = Served::start();
    for number in 0..600 {
        let key = ("a", "x".repeat(1_990), number);
        served.kv.set(key, 7_u64).expect("it is small");
    }
    assert_eq!(served.shows(&["delete", "--prefix", "['a']"]), "600\n");
    assert_eq!(served.shows(&["count"]), "0\n");
}

#[test]
fn steps_are_taken_at_once_or_not_at_all() {
    let served = Served::start();
    let steps = [
        "atomic", "check", "'a'", "absent", "set", "'a'", "1", "sum", "'n'", "5", "max", "'m'", "7",
    ];
    let stamp = served.shows(&steps);
    assert_eq!(
        served.shows(&["list"]),
        "[\"a\"]\t1\n[\"m\"]\tu64(7)\n[\"n\"]\tu64(5)\n"
    );
    served
        .run(&steps)
        .assert_failed(3, "a check failed; nothing was written");
    served.shows(&[
        "atomic",
        "check",
        "'a'",
        stamp.trim_end(),
        "delete",
        "'a'",
        "min",
        "'m'",
        "3",
    ]);
    assert_eq!(
        served.shows(&["list"]),
        "[\"m\"]\tu64(3)\n[\"n\"]\tu64(5)\n"
    );
    served
        .run(&["atomic", "set", "'n'", "'text'", "sum", "'n'", "1"])
        .assert_failed(1, "non-U64");
    let key = Key::from("n");
    assert_eq!(served.kv.get(key).expect("it is open").as_u64(), Some(5));
}

#[test]
fn a_database_has_its_path() {
    let others = Served::with(Kv::new(), "http", |server| {
        server.databases(2, None, |_| Kv::new())
    });
    let url = format!("{}/other", others.url);
    others.shows(&["set", "'k'", "1", "--url", &url]);
    assert_eq!(others.shows(&["count"]), "0\n");
    assert_eq!(others.shows(&["list", "--url", &url]), "[\"k\"]\t1\n");
    let nowhere = format!("{}/a/b", others.url);
    others
        .run(&["list", "--url", &nowhere])
        .assert_failed(1, "404 Not Found");
}
