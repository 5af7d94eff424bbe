//! `kvick repl` with a script on its standard input.

use crate::support::{Folder, Served, command, run_with};
use kvick::Kv;
use std::fs::File;

fn repl(script: &str) -> crate::support::Done {
    run_with(&mut command(&["repl"]), script)
}

#[test]
fn a_script_works_on_a_database_of_its_own() {
    let done = repl(
        "# a comment, and an empty line\n\n\
         atomic set [\"a\", 1n] {x: 1} set [\"a\", 2n] new Date(0)\n\
         get [\"a\", 1n]\n\
         // over several lines\n\
         set ['b'] [\n  1,\n  2\n]\n\
         list --prefix ['a'] --reverse\n\
         count\n\
         delete --prefix ['a']\n\
         count\n\
         exit\n\
         no command\n",
    );
    assert_eq!((done.code, &done.err[..]), (0, ""));
    let lines: Vec<_> = done.out.lines().filter(|line| line.len() != 20).collect();
    let expected = [
        "{ x: 1 }",
        "[\"a\", 2n]\tnew Date(\"1970-01-01T00:00:00.000Z\")",
        "[\"a\", 1n]\t{ x: 1 }",
        "3",
        "2",
        "1",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn the_first_line_that_fails_ends_it_with_its_exit_code() {
    for (script, code, says) in [
        ("count\nget ['a']\ncount\n", 4, "line 2: [\"a\"] is missing"),
        ("count\nfetch\n", 2, "line 2: there is no command \"fetch\""),
        (
            "count\nset ['a']\n",
            2,
            "line 2: it takes a key and a value",
        ),
        ("count\n\nset 'a' [\n", 2, "line 3: `[` is not closed"),
        ("count\nset 'a' ]\n", 2, "line 2: `]` was not opened"),
        (
            "count\nlist --url http://localhost\n",
            2,
            "there is no option --url",
        ),
        (
            "count\nset 'a' 1 --if-version 00000000000000010000\n",
            3,
            "line 2: [\"a\"] has another versionstamp",
        ),
    ] {
        let done = repl(script);
        assert_eq!(
            (done.code, &done.out[..]),
            (code, "0\n"),
            "{script}: {}",
            done.err
        );
        assert!(
            done.err.starts_with("kvick: ") && done.err.contains(says),
            "{:?}",
            done.err
        );
    }
}

#[test]
fn help_is_no_failure() {
    let done = repl("help\nhelp get\nset --help\ncount");
    assert_eq!((done.code, &done.err[..]), (0, ""));
    for says in [
        "get: show the value of a key\n",
        "usage: kvick get",
        "usage: kvick set",
        "\n0\n",
    ] {
        assert!(done.out.contains(says), "{says}: {}", done.out);
    }
}

#[test]
fn it_can_begin_with_a_file_and_write_one() {
    let (kv, folder) = (Kv::new(), Folder::new());
    let stamp = kv.set("a", 1_u64).expect("it is small");
    let (file, other) = (folder.file("a.kvick"), folder.file("b c.kvick"));
    kv.export(File::create(&file).expect("it can be made"))
        .expect("it can be written");
    let script = format!(
        "get 'a' --json\nset 'b' 2\nexport \"{other}\"\ndelete --prefix []\nimport '{other}'\nlist --keys\n"
    );
    let done = run_with(&mut command(&["repl", "--import", &file]), script);
    assert_eq!((done.code, &done.err[..]), (0, ""));
    assert!(
        done.out.contains(&stamp.to_string()),
        "versionstamps are kept: {}",
        done.out
    );
    assert!(
        done.out
            .ends_with("imported 2 entries in 1 commit\n[\"a\"]\n[\"b\"]\n"),
        "{}",
        done.out
    );
}

#[test]
fn it_is_for_a_server_too() {
    let served = Served::start();
    let done = run_with(&mut served.command(&["repl"]), "set 'a' 1\nget 'a'\n");
    assert_eq!((done.code, done.out.lines().nth(1)), (0, Some("1")));
    assert!(served.kv.get("a").expect("it is open").exists());
}

#[test]
fn a_command_can_read_what_is_left_of_the_input() {
    let done = repl("set 'a' -\n{ a: 1 }");
    assert_eq!((done.code, &done.err[..]), (0, ""));
}

#[test]
fn no_input_makes_it_panic() {
    for script in [
        "\u{0}",
        "[",
        "\"",
        "new",
        "get new",
        "get --",
        "--",
        "help help",
        "set -",
        "- -",
        "export",
        "'",
    ] {
        let done = repl(script);
        assert!((0..=3).contains(&done.code), "{script:?}: {done:?}");
        assert!(!done.err.contains("panicked"), "{script:?}: {}", done.err);
    }
    let done = run_with(&mut command(&["repl"]), b"get '\xff'\n");
    done.assert_failed(1, "the standard input");
}

/// Also while it waits for a line, and after a command that listens for it itself.
#[cfg(unix)]
#[test]
fn a_script_that_is_interrupted_ends() {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};
    let mut repl = command(&["repl"]);
    repl.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut repl = repl.spawn().expect("it is there");
    let mut input = repl.stdin.take().expect("it is piped");
    let script = b"bench --seconds 0.1 --json\nhelp\n";
    input.write_all(script).expect("it reads");
    let output = BufReader::new(repl.stdout.take().expect("it is piped"));
    let is_help = |line: &String| line.starts_with("exit:");
    let helped = output.lines().map_while(Result::ok).find(is_help);
    assert!(helped.is_some(), "it has come to the last line");
    let id = repl.id().to_string();
    let sent = Command::new("kill").args(["-INT", &id]).status();
    assert!(sent.expect("there is such a command").success());
    let ended = repl.wait().expect("it ends");
    assert_eq!(ended.code(), Some(130));
    drop(input);
}
