//! `kvick watch`.

use crate::support::{Served, spawn};
use std::io::{BufRead, BufReader, Read};

#[test]
fn each_change_is_a_line_as_it_comes() {
    let served = Served::start();
    served.kv.set("a", 1_u64).expect("it is small");
    let mut command = served.command(&["watch", "'a'", "'b'", "--count", "5"]);
    let mut child = spawn(&mut command);
    let mut lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let mut next = || lines.next().expect("there is one").expect("it is text");
    assert_eq!(next(), "[\"a\"]\tu64(1)");
    assert_eq!(next(), "[\"b\"]\tmissing");
    served.kv.set("b", "x").expect("it is small");
    assert_eq!(next(), "[\"b\"]\tb\"x\"");
    served.kv.delete("a").expect("it is open");
    assert_eq!(next(), "[\"a\"]\tmissing");
    served.kv.set("other", 1_u64).expect("it is small");
    served.kv.set("a", 2_u64).expect("it is small");
    assert_eq!(next(), "[\"a\"]\tu64(2)");
    assert!(lines.next().is_none());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn as_json_what_is_missing_is_null() {
    let served = Served::start();
    let shown = served.shows(&["watch", "--json", "--count", "1", "'a'"]);
    assert_eq!(
        shown,
        "{\"key\":[\"a\"],\"value\":null,\"versionstamp\":null}\n"
    );
}

#[cfg(unix)]
#[test]
fn to_interrupt_it_is_how_it_ends() {
    let served = Served::start();
    let mut child = spawn(&mut served.command(&["watch", "'a'"]));
    let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
    let mut line = String::new();
    out.read_line(&mut line).expect("it is text");
    assert_eq!(line, "[\"a\"]\tmissing\n");
    let id = child.id().to_string();
    let killed = std::process::Command::new("kill")
        .args(["-INT", &id])
        .status();
    assert!(killed.expect("it runs").success());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("it is text");
    assert_eq!(rest, "");
}
