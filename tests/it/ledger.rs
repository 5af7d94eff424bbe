//! The ledger example, from its command line to its exit status.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::{env, fs, process};

/// The built example. A test of the workspace builds it only as a test of its own, so it is built
/// here, into the folder and by the profile that this test was built by.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let this = env::current_exe().expect("a running test has a path");
        let mut folders = this.ancestors().skip(2);
        let (Some(built), Some(target)) = (folders.next(), folders.next()) else {
            panic!("{} is not in a target folder", this.display());
        };
        let profile = match built.file_name().and_then(|name| name.to_str()) {
            Some("debug") => "dev",
            Some(name) => name,
            None => panic!("{} is no folder of a profile", built.display()),
        };
        let cargo = env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into());
        let status = Command::new(cargo)
            .args(["build", "--quiet", "--example", "ledger"])
            .args(["--profile", profile])
            .arg("--target-dir")
            .arg(target)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .status();
        assert!(status.is_ok_and(|status| status.success()), "no example");
        let name = format!("ledger{}", env::consts::EXE_SUFFIX);
        built.join("examples").join(name)
    })
}

fn ledger(arguments: &[&str]) -> Command {
    let mut command = Command::new(program());
    command
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .stdin(Stdio::null());
    command
}

/// What a run came to, as text.
struct Run {
    status: Option<i32>,
    out: String,
    err: String,
}

impl Run {
    fn of(output: &Output) -> Self {
        Self {
            status: output.status.code(),
            out: String::from_utf8(output.stdout.clone()).expect("UTF-8 is written"),
            err: String::from_utf8(output.stderr.clone()).expect("UTF-8 is written"),
        }
    }

    fn with(arguments: &[&str]) -> Self {
        Self::of(&ledger(arguments).output().expect("the example runs"))
    }

    /// A run with this input, by one thread.
    fn on(input: impl AsRef<[u8]>) -> Self {
        let mut child = ledger(&["--input", "-", "--threads", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the example runs");
        let mut stdin = child.stdin.take().expect("it was piped");
        stdin
            .write_all(input.as_ref())
            .expect("it is read to the end");
        drop(stdin);
        Self::of(&child.wait_with_output().expect("it ends"))
    }

    fn last_line(&self) -> &str {
        self.out.lines().last().unwrap_or_default()
    }

    /// The final balances, as they were printed.
    fn balances(&self) -> Vec<&str> {
        let rows = self
            .out
            .lines()
            .skip_while(|line| *line != "account,balance");
        rows.skip(1).take_while(|line| !line.is_empty()).collect()
    }

    /// The number in the row of the table with this name.
    fn row(&self, name: &str) -> u64 {
        let value = self.out.lines().find_map(|line| {
            line.trim_start()
                .strip_prefix(name)?
                .split_whitespace()
                .next()
        });
        let digits = value.unwrap_or_else(|| panic!("no {name} in {}", self.out));
        digits.replace(',', "").parse().expect("it is a number")
    }
}

#[test]
fn a_load_conserves_the_total_and_says_so_last() {
    for (mode, total) in [
        (&[][..], 20_000_000),
        (&["--hot", "2"], 20_000_000),
        (&["--by-sum"], 20_000_000_000_000_u64),
    ] {
        let size = ["--accounts", "20", "--threads", "3", "--seconds", "0.1"];
        let run = Run::with(&[&size, mode].concat());
        assert_eq!(run.status, Some(0), "{mode:?}: {}", run.err);
        assert_eq!(run.err, "", "no bar where nobody looks");
        let audits = run.row("audits");
        let expected =
            format!("conserved: accounts 20, total {total}, audits {audits}, violations 0");
        assert_eq!(run.last_line(), expected);
        assert!(audits > 0 && run.row("transfers") > 0);
        assert_eq!(run.row("live versions"), 20, "{}", run.out);
    }
}

#[test]
fn help_goes_to_standard_output() {
    let run = Run::with(&["--help"]);
    assert_eq!((run.status, &*run.err), (Some(0), ""));
    for option in [
        "--accounts",
        "--threads",
        "--seconds",
        "--hot",
        "--by-sum",
        "--input",
    ] {
        assert!(run.out.contains(option), "{option}");
    }
}

#[test]
fn bad_options_and_unreadable_files_are_told_on_standard_error() {
    for (arguments, expected) in [
        (&["--accounts", "none"][..], "--accounts"),
        (&["--hot", "5", "--accounts", "4"], "--hot 5"),
        (&["--whatever"], "--whatever"),
        (&["--input"], "--input"),
        (&["--input", "no/such/file.csv"], "no/such/file.csv"),
        (&["--input", "src"], "cannot read src"),
    ] {
        let run = Run::with(arguments);
        assert_eq!(run.status, Some(2), "{arguments:?}");
        assert_eq!(run.out, "", "{arguments:?}");
        assert!(run.err.contains(expected), "{arguments:?}: {}", run.err);
    }
}

#[test]
fn the_shipped_file_comes_to_the_same_balances_whatever_the_threads() {
    let input = ["--input", "examples/data/transfers.csv", "--threads"];
    let runs = ["1", "8"].map(|threads| Run::with(&[&input[..], &[threads]].concat()));
    for run in &runs {
        assert_eq!((run.status, &*run.err), (Some(0), ""));
        assert_eq!(run.row("lines applied"), 9_800);
        assert_eq!(run.row("lines refused"), 0);
        assert!(
            run.last_line()
                .starts_with("conserved: accounts 199, total ")
        );
    }
    assert_eq!(runs[0].balances(), runs[1].balances());
    assert_eq!(runs[0].balances().len(), 199);
}

#[test]
fn a_line_that_cannot_be_applied_is_reported_and_changes_nothing() {
    let text = "\u{feff}from,to,amount\r\n\
        @opening,ann,100\r\n\
        @opening,\"Baker, Finch & Co.\",5\r\n\
        \r\n\
        ann,\"Baker, Finch & Co.\",60\r\n\
        ann,\"Baker, Finch & Co.\",60\r\n\
        ann,carl,1\r\n\
        ann,\"Baker, Finch & Co.\",12.50\r\n\
        ann,ann,1\r\n\
        ann,\"Baker, Finch & Co.\",0\r\n\
        ann,\"Baker, Finch & Co.\",99999999999999999999\r\n\
        nonsense\r\n\
        @opening,ann,7\r\n\
        \"Baker, Finch & Co.\",ann,1";
    let run = Run::on(text);
    assert_eq!(run.status, Some(0));
    assert_eq!(run.balances(), ["ann,41", "\"Baker, Finch & Co.\",64"]);
    assert!(
        run.last_line()
            .starts_with("conserved: accounts 2, total 105, ")
    );
    assert_eq!((run.row("lines applied"), run.row("lines refused")), (2, 8));
    let refused: Vec<_> = run.err.lines().collect();
    for (refused, expected) in refused.iter().zip([
        "refused: line 6: insufficient funds: \"ann\" has 40",
        "refused: line 7: unknown account \"carl\"",
        "refused: line 8: \"12.50\" is not a whole number of cents",
        "refused: line 9: from \"ann\" to itself",
        "refused: line 10: nothing to move",
        "refused: line 11: 99999999999999999999 is more than",
        "refused: line 12: 3 fields are wanted, not 1",
        "refused: line 13: \"ann\" was opened on line 2",
    ]) {
        assert!(refused.starts_with(expected), "{refused}");
    }
    assert_eq!(refused.len(), 8);
}

#[test]
fn no_input_makes_it_panic() {
    for input in [
        &b""[..],
        b"\xef\xbb\xbf",
        b"\n\n\r\n",
        b"\"",
        b"\"\"\"",
        b",,,,,,",
        b"\0\0,\0,1",
        b"a\rb\rc",
        b"\xff\xfe\x00",
        b"@opening,a,18446744073709551615\n@opening,b,18446744073709551615\na,b,18446744073709551615",
        b"@opening,@opening,1\n@opening,\"@opening\",1",
    ] {
        let run = Run::on(input);
        assert_eq!(run.status, Some(0), "{input:?}: {}", run.err);
        assert!(run.last_line().ends_with("violations 0"), "{input:?}");
    }
}

#[test]
fn a_reader_that_has_read_enough_is_no_error() {
    let mut child = ledger(&["--input", "examples/data/transfers.csv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the example runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    let run = Run::of(&output);
    assert_eq!((run.status, &*run.err), (Some(0), ""));
}

#[test]
fn a_file_is_read_where_it_lies() {
    let path = env::temp_dir().join(format!("kvick-ledger-{}.csv", process::id()));
    fs::write(&path, "@opening,ann,2\n@opening,bob,0\nann,bob,2\n").expect("a file can be written");
    let run = Run::with(&["--input", path.to_str().expect("it is UTF-8")]);
    // Gone before anything is asserted.
    let removed = fs::remove_file(&path);
    assert_eq!(run.balances(), ["ann,0", "bob,2"]);
    assert!(removed.is_ok());
}
