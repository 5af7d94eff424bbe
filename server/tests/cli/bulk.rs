//! `kvick export`, `import`, `copy` and `bench`.

use crate::support::{Done, Folder, Served, TOKEN, command, run, run_with};
use kvick::{BigInt, ImportOptions, Key, Kv, Limits, NewValue, Range};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fs::{self, File};
use std::time::Duration;

const HOUR: Duration = Duration::from_secs(3_600);

/// Entries of all types, some of which expire.
fn fill(kv: &Kv, seed: u64, count: i64) {
    let mut random = StdRng::seed_from_u64(seed);
    for number in 0..count {
        let key = match random.random_range(0..3) {
            0 => Key::from(("log", number)),
            1 => Key::from((f64::from_bits(random.random()), number)),
            _ => Key::from((&random.random::<[u8; 9]>()[..], true, number)),
        };
        let value = match random.random_range(0..4) {
            0 => NewValue::from(random.random::<u64>()),
            1 => NewValue::from(vec![7; random.random_range(0..500)]),
            2 => NewValue::bigint(BigInt::from(random.random::<i128>())),
            _ => NewValue::serialize(&[("name", number)]).expect("it serialises"),
        };
        let value = match number % 5 {
            0 => value.expire_in(HOUR),
            _ => value,
        };
        kv.set(key, value).expect("it is small");
    }
}

/// Keys and values, and whether they expire within the hour.
fn entries(kv: &Kv) -> Vec<(Key, Option<kvick::Value>, bool)> {
    let entries = kv.list(Range::all()).entries().expect("it is open");
    let of = |entry: kvick::Entry| {
        let left = entry.expires_in();
        let expires = left.is_some_and(|left| left <= HOUR && left > Duration::from_secs(3_300));
        assert_eq!(left.is_some(), expires, "{left:?}");
        (entry.key().clone(), entry.into_value(), expires)
    };
    entries.map(of).collect()
}

fn without_expiry(kv: &Kv) -> Vec<(Key, Option<kvick::Value>)> {
    let entries = entries(kv).into_iter();
    entries.map(|(key, value, _)| (key, value)).collect()
}

fn export(kv: &Kv, file: &str) {
    kv.export(File::create(file).expect("it can be made"))
        .expect("it can be written");
}

#[test]
fn a_file_goes_to_a_server_with_its_expiry() {
    let (source, folder) = (Kv::new(), Folder::new());
    fill(&source, 1, 3_000);
    let file = folder.file("a.kvick");
    export(&source, &file);
    let imported = Served::start();
    let told = imported.shows(&["import", &file]);
    assert!(
        told.starts_with("imported 3000 entries in 3 commits"),
        "{told}"
    );
    assert_eq!(entries(&imported.kv), entries(&source));
    let copied = Served::start();
    let told = run(&mut copied.command(&["copy", "--from", &file, "--to", &copied.url]));
    told.assert_ok();
    assert_eq!(told.out, "copied 3000 entries in 3 commits\n");
    assert_eq!(entries(&copied.kv), entries(&source));
    let dropped = Served::start();
    dropped.shows(&["import", &file, "--expiry", "dropped"]);
    assert!(entries(&dropped.kv).iter().all(|(_, _, expires)| !expires));
    assert_eq!(without_expiry(&dropped.kv), without_expiry(&source));
    let by_input = Served::start();
    let bytes = fs::read(&file).expect("it is there");
    run_with(&mut by_input.command(&["import", "-"]), bytes).assert_ok();
    assert_eq!(entries(&by_input.kv), entries(&source));
}

#[test]
fn a_server_goes_to_a_file_and_to_another_server() {
    let (served, folder) = (Served::start(), Folder::new());
    fill(&served.kv, 2, 2_500);
    let (file, second) = (folder.file("a.kvick"), folder.file("b.kvick"));
    let told = served.shows(&["export", &file]);
    assert!(told.starts_with("exported 2500 entries, "), "{told}");
    let read = |bytes: &[u8]| {
        let kv = Kv::new();
        kv.import(bytes, &ImportOptions::default())
            .expect("it is an export");
        without_expiry(&kv)
    };
    assert_eq!(
        read(&fs::read(&file).expect("it is there")),
        without_expiry(&served.kv)
    );
    let out = served.command(&["export", "-"]).output().expect("it runs");
    assert!(out.status.success() && out.stderr.starts_with(b"kvick: exported 2500 entries"));
    assert_eq!(read(&out.stdout), without_expiry(&served.kv));
    served.shows(&["copy", "--from", &served.url, "--to", &second]);
    assert_eq!(
        read(&fs::read(&second).expect("it is there")),
        without_expiry(&served.kv)
    );
    assert_eq!(
        folder.names(),
        ["a.kvick", "b.kvick"],
        "nothing is left beside them"
    );

    let target = Served::start();
    target.kv.set("own", 1_u64).expect("it is small");
    let copy = ["copy", "--from", &served.url, "--to", &target.url];
    // That of the environment is not shown to both.
    let refused = served.run(&copy);
    refused.assert_failed(2, "two servers are not shown one token");
    let token = folder.file("token");
    fs::write(&token, TOKEN).expect("it can be written");
    let one = [&copy[..], &["--from-token-file", &token]].concat();
    served.run(&one).assert_failed(2, "--to-token-file");
    served.shows(&[&one[..], &["--to-token-file", &token]].concat());
    target.kv.delete("own").expect("it is open");
    assert_eq!(without_expiry(&target.kv), without_expiry(&served.kv));
}

#[test]
fn a_copy_of_a_prefix_is_that_alone() {
    let (served, target) = (Served::start(), Served::start());
    for name in ["a", "b"] {
        for number in 0..3_u64 {
            served.kv.set((name, number), 1_u64).expect("it is small");
        }
    }
    let folder = Folder::new();
    let token = folder.file("token");
    fs::write(&token, TOKEN).expect("it can be written");
    served.shows(&[
        "copy",
        "--prefix",
        "['b']",
        "--from",
        &served.url,
        "--to",
        &target.url,
        "--from-token-file",
        &token,
        "--to-token-file",
        &token,
    ]);
    assert_eq!(
        target.shows(&["list", "--keys"]),
        "[\"b\", 0n]\n[\"b\", 1n]\n[\"b\", 2n]\n"
    );
}

#[test]
fn what_is_there_can_be_left_alone() {
    let (source, folder, served) = (Kv::new(), Folder::new(), Served::start());
    for number in 0..250 {
        source.set(("k", number), 1_u64).expect("it is small");
    }
    let file = folder.file("a.kvick");
    export(&source, &file);
    for number in [3, 99, 100, 249] {
        served.kv.set(("k", number), 2_u64).expect("it is small");
    }
    let told = served.shows(&["import", "--if-absent", &file]);
    assert_eq!(told, "imported 246 entries in 3 commits, 4 already there\n");
    let count = |number: u64| {
        let entries = served.kv.list(Range::all()).entries().expect("it is open");
        entries
            .filter(|entry| entry.as_u64() == Some(number))
            .count()
    };
    assert_eq!((count(1), count(2)), (246, 4));
    let told = served.shows(&["copy", "--if-absent", "--from", &file, "--to", &served.url]);
    assert_eq!(told, "copied 0 entries in 0 commits, 250 already there\n");
    served.shows(&["import", &file]);
    assert_eq!(count(1), 250);
}

#[test]
fn a_server_with_few_checks_takes_it_in_smaller_commits() {
    let (source, folder) = (Kv::new(), Folder::new());
    for number in 0..125 {
        source.set(("k", number), 1_u64).expect("it is small");
    }
    let file = folder.file("a.kvick");
    export(&source, &file);
    let mut limits = Limits::default();
    limits.checks_max = 10;
    let served = Served::of(Kv::builder().limits(limits).build());
    served.kv.set(("k", 7), 2_u64).expect("it is small");
    let told = served.shows(&["import", "--if-absent", &file]);
    assert_eq!(
        told,
        "imported 124 entries in 13 commits, 1 already there\n"
    );
}

/// A copy that fails on the way, because there is no room, and the file that says how far it has come.
fn failed_copy(words: &[&str], target: &Served) -> Done {
    let words = [&["copy", "--timeout", "1s"], words].concat();
    run(&mut target.command(&words))
}

#[test]
fn a_copy_that_has_failed_goes_on_from_where_it_was() {
    let (source, folder) = (Kv::new(), Folder::new());
    for number in 0..6_000 {
        source.set(("k", number), &[7; 100]).expect("it is small");
    }
    let (file, state) = (folder.file("a.kvick"), folder.file("state"));
    export(&source, &file);
    let target = Served::of(Kv::builder().memory_limit(1 << 20).build());
    let words = ["--from", &file, "--to", &target.url, "--resume", &state];
    let failed = failed_copy(&words, &target);
    failed.assert_failed(1, "memory limit reached");
    let count = target.kv.list(Range::all()).count().expect("it is open");
    assert!((1_000..6_000).contains(&count), "{count}");
    assert!(
        failed
            .err
            .contains(&format!("; {count} entries were written before that")),
        "{}",
        failed.err
    );
    assert_eq!(folder.names(), ["a.kvick", "state"]);
    let text = fs::read_to_string(&state).expect("it is there");
    assert!(text.contains(&format!("\"entries\":{count}")), "{text}");

    // What was copied is not copied again.
    target.kv.delete(("k", 0)).expect("it is open");
    target.kv.set_memory_limit(None);
    let words = [&["copy"][..], &words].concat();
    let told = target.shows(&words);
    let rest = 6_000 - count;
    assert!(
        told.starts_with(&format!("copied {rest} entries in ")),
        "{told}"
    );
    source.delete(("k", 0)).expect("it is open");
    assert_eq!(without_expiry(&target.kv), without_expiry(&source));
    assert_eq!(folder.names(), ["a.kvick"], "the state is done with");
}

#[test]
fn a_copy_does_not_go_on_with_another_export() {
    let (source, folder) = (Kv::new(), Folder::new());
    for number in 0..6_000 {
        source.set(("k", number), &[7; 100]).expect("it is small");
    }
    let (file, state) = (folder.file("a.kvick"), folder.file("state"));
    export(&source, &file);
    let target = Served::of(Kv::builder().memory_limit(1 << 20).build());
    let words = ["--from", &file, "--to", &target.url, "--resume", &state];
    failed_copy(&words, &target).assert_failed(1, "memory limit reached");
    source.set(("k", 0), 1).expect("it is small");
    export(&source, &file);
    let before = target.kv.versionstamp();
    failed_copy(&words, &target).assert_failed(1, "not known to be of a copy of the export");
    assert_eq!(target.kv.versionstamp(), before, "nothing was written");
    assert_eq!(folder.names(), ["a.kvick", "state"]);
}

/// A file that is replaced is so as it was: who may read it, and where it is.
#[cfg(unix)]
#[test]
fn a_file_that_is_replaced_keeps_its_permissions_and_its_link() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    let (served, folder) = (Served::start(), Folder::new());
    served.kv.set("k", 1).expect("it is small");
    let (file, link) = (folder.file("there"), folder.file("link"));
    fs::write(&file, "secret").expect("it can be written");
    let mode = fs::Permissions::from_mode(0o600);
    fs::set_permissions(&file, mode).expect("it is ours");
    symlink(&file, &link).expect("it can be made");
    served.shows(&["export", &link]);
    let of = fs::symlink_metadata(&link).expect("it is there");
    assert!(of.file_type().is_symlink());
    let of = fs::metadata(&file).expect("it is there");
    assert_eq!(of.permissions().mode() & 0o777, 0o600);
    assert!(of.len() > 36, "it was written");
    assert_eq!(folder.names(), ["link", "there"]);
}

#[test]
fn a_state_is_of_one_copy() {
    let (served, folder) = (Served::start(), Folder::new());
    let (file, state) = (folder.file("a.kvick"), folder.file("state"));
    export(&Kv::new(), &file);
    for (text, says) in [
        ("{", "EOF"),
        (
            r#"{"from":"x","to":"y","prefix":"","after":"AA==","entries":1}"#,
            "of another copy, from x to y",
        ),
        (
            &format!(
                r#"{{"from":"{file}","to":"{}","prefix":"","after":"?","entries":1}}"#,
                served.url
            ),
            "not base64",
        ),
    ] {
        fs::write(&state, text).expect("it can be written");
        let words = [
            "copy",
            "--from",
            &file,
            "--to",
            &served.url,
            "--resume",
            &state,
        ];
        served.run(&words).assert_failed(1, says);
    }
}

#[test]
fn an_entry_that_no_hosted_database_takes_is_named() {
    let (source, folder, served) = (
        Kv::builder().limits(Limits::unlimited()).build(),
        Folder::new(),
        Served::start(),
    );
    source.set("a", 1_u64).expect("there are no limits");
    source
        .set("big", vec![0; 70_000])
        .expect("there are no limits");
    let file = folder.file("a.kvick");
    export(&source, &file);
    let says =
        r#"["big"] cannot be copied: its value has 70000 bytes, and Deno's databases take 65536"#;
    served
        .run(&["copy", "--from", &file, "--to", &served.url])
        .assert_failed(1, says);
    served.run(&["import", &file]).assert_failed(1, says);
    source.delete("big").expect("it is open");
    source
        .set("x".repeat(2_047), 1_u64)
        .expect("there are no limits");
    export(&source, &file);
    served
        .run(&["import", &file])
        .assert_failed(1, "its key has 2049 bytes");
}

#[test]
fn what_is_no_export_is_refused_as_a_whole() {
    let (source, folder, served) = (Kv::new(), Folder::new(), Served::start());
    source.set("a", 1_u64).expect("it is small");
    let file = folder.file("a.kvick");
    export(&source, &file);
    let mut bytes = fs::read(&file).expect("it is there");
    bytes.truncate(bytes.len() - 5);
    fs::write(&file, bytes).expect("it can be written");
    served.run(&["import", &file]).assert_failed(1, &file);
    served
        .run(&["import", &folder.file("none")])
        .assert_failed(1, "No such file");
    run_with(&mut served.command(&["import", "-"]), "text").assert_failed(1, "the standard input");
    assert_eq!(served.shows(&["count"]), "0\n");
    let nowhere = folder.file("none/a.kvick");
    served
        .run(&["export", &nowhere])
        .assert_failed(1, "No such file");
}

#[test]
fn a_database_is_measured_and_left_as_it_was() {
    let served = Served::start();
    served.kv.set("own", 1_u64).expect("it is small");
    let words = [
        "bench",
        "--seconds",
        "0.05",
        "--in-flight",
        "4",
        "--keys",
        "50",
        "--json",
    ];
    for done in [served.run(&words), run(&mut command(&words))] {
        done.assert_ok();
        let of = |line| -> serde_json::Value { serde_json::from_str(line).expect("it is JSON") };
        let lines: Vec<_> = done.out.lines().map(of).collect();
        let names: Vec<_> = lines.iter().map(|line| line["operation"].clone()).collect();
        assert_eq!(names, ["get", "set", "transfer"]);
        for line in lines {
            assert!(line["p50"].as_f64() <= line["p99"].as_f64(), "{line}");
            assert!(line["per_second"].as_f64() > Some(0.0), "{line}");
        }
    }
    let text = served.shows(&["bench", "--seconds", "0.05"]);
    assert!(text.starts_with("get "), "{text}");
    assert_eq!(served.shows(&["list", "--keys"]), "[\"own\"]\n");
}
