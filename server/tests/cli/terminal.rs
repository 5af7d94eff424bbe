//! What may reach a terminal, and what becomes of a closed pipe.

use crate::support::{Served, command, run, spawn};
use kvick::{Key, NewValue};
use std::io::{BufRead, BufReader, Read};

#[test]
fn nothing_that_is_stored_can_be_obeyed() {
    let served = Served::start();
    let evil = "\u{1b}[2J\u{9b}31m\u{7}\u{202e}\r\n";
    let value = NewValue::serialize(&[(evil, evil)]).expect("it is text");
    let value = value.into_owned();
    served.kv.set((evil, evil), value).expect("it is small");
    served.kv.set(evil, evil).expect("it is small");
    // Which is no value, and whose error has names in it.
    let broken = [b"\xff\x0fo\"\x03\x1b[Jo\"\x03\x1b[J", &b"?"[..]].concat();
    served
        .kv
        .set("broken", NewValue::v8(&broken))
        .expect("it is small");
    served
        .kv
        .set(Key::raw(b"\x05\x1b[J"), 1_u64)
        .expect("it is small");
    for words in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--keys"],
        &["watch", "--count", "1", "'broken'"],
        &["watch", "--count", "1", "--json", "'broken'"],
    ] {
        let shown = served.shows(words);
        let obeyed = |one: &char| one.is_control() && !"\n\t".contains(*one) || *one == '\u{202e}';
        assert_eq!(shown.chars().find(obeyed), None, "{shown:?}");
    }
    let done = served.run(&["get", &format!("['{}']", "\u{9b}31m")]);
    done.assert_failed(4, "\\u{9b}31m");
    assert!(!done.err.contains('\u{9b}'));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let served = Served::start();
    for number in 0..20_000 {
        served
            .kv
            .set(("log", number), "some text to fill the pipe")
            .expect("it is small");
    }
    for words in [&["list"][..], &["list", "--json"], &["export", "-"]] {
        let mut child = spawn(&mut served.command(words));
        let mut out = BufReader::new(child.stdout.take().expect("it is piped"));
        out.read_until(b'\n', &mut Vec::new())
            .expect("it has a line");
        drop(out);
        let mut err = String::new();
        let stderr = child.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut err).expect("it is text");
        assert_eq!(
            (child.wait().expect("it ends").code(), &err[..]),
            (Some(0), ""),
            "{words:?}"
        );
    }
    let mut child = spawn(&mut command(&["--help"]));
    drop(child.stdout.take());
    assert_eq!(child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn each_command_says_what_it_does() {
    let about = run(&mut command(&["--help"]));
    about.assert_ok();
    assert!(about.out.contains("exit codes: 0 done; 1 failed"));
    for name in [
        "serve", "get", "set", "delete", "list", "count", "watch", "atomic", "export", "import",
        "copy", "bench", "repl",
    ] {
        assert!(about.out.contains(&format!("\n  {name} ")), "{name}");
        let help = run(&mut command(&[name, "--help"]));
        help.assert_ok();
        assert!(
            help.out.starts_with(&format!("kvick {name}: ")),
            "{}",
            help.out
        );
        assert!(
            help.out.lines().all(|line| line.chars().count() <= 120),
            "{}",
            help.out
        );
    }
    let version = run(&mut command(&["--version"]));
    assert_eq!(
        version.out,
        format!("kvick {}\n", env!("CARGO_PKG_VERSION"))
    );
}
