//! The fuzz targets: their corpora replayed on the toolchain in use, and libFuzzer with the address
//! sanitizer on nightly.
//!
//! libFuzzer is called as cargo-fuzz would, without needing cargo-fuzz: what it takes is a few flags
//! for the compiler. What it finds new goes to a corpus of its own under `target`; `--merge` takes
//! over from there what reaches further than the corpus of the sources does.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{cargo, nightly, output, run, shown};
use crate::nightly::{host, no_nightly};
use crate::steps::Outcome;

const MANIFEST: &str = "fuzz/Cargo.toml";
const FOLDER: &str = "target/fuzz";

pub(crate) const TARGETS: [&str; 9] = [
    "key_codec",
    "selectors",
    "atomic_writes",
    "arithmetic",
    "snapshots",
    "typed_values",
    "copies",
    "requests",
    "framing",
];

/// How long each target runs where nobody says.
const SECONDS: u32 = 60;

/// How long each runs as one step of many.
const SMOKE_SECONDS: u32 = 4;

/// Those of cargo-fuzz.
const RUSTFLAGS: &str = "-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters \
    -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares \
    -Cllvm-args=-simplifycfg-branch-fold-threshold=0 \
    -Zsanitizer=address --cfg fuzzing -Cdebug-assertions -Ccodegen-units=1";

/// Leaks are for the sanitizer step: what waits in the epoch between two inputs is none. A small
/// quarantine keeps the memory in the caches.
const ASAN_OPTIONS: &str = "detect_leaks=0:quarantine_size_mb=16:malloc_context_size=8";

/// Scripts are long from the start. Which branches are taken counts, and not how often: a script in
/// which more happens would always be new, and the corpora would not end.
const LIBFUZZER: [&str; 5] = [
    "-max_len=600",
    "-len_control=0",
    "-detect_leaks=0",
    "-use_counters=0",
    "-timeout=20",
];

/// What the command line asks for.
#[derive(Debug, PartialEq)]
pub(crate) struct Fuzzing {
    seconds: u32,
    targets: Vec<&'static str>,
    merge: bool,
}

/// What became of a target.
struct Fuzzed {
    executions: u64,
    per_second: u64,
    corpus: u64,
    crash: Option<PathBuf>,
}

impl Fuzzing {
    /// What comes after `fuzz` on the command line.
    pub(crate) fn parse(words: &[&str]) -> Result<Self, String> {
        let mut fuzzing = Self {
            seconds: SECONDS,
            targets: Vec::new(),
            merge: false,
        };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--merge" => fuzzing.merge = true,
                "--seconds" => {
                    let seconds = words.next().and_then(|seconds| seconds.parse().ok());
                    // To libFuzzer, zero would be "for ever".
                    let seconds = seconds.filter(|seconds| *seconds > 0);
                    fuzzing.seconds = seconds.ok_or("--seconds needs a number above zero")?;
                }
                name => {
                    let target = TARGETS.iter().find(|target| **target == name);
                    let unknown = || {
                        let targets = TARGETS.join(" ");
                        format!("no target is called {name}; there are {targets}")
                    };
                    fuzzing.targets.push(target.ok_or_else(unknown)?);
                }
            }
        }
        if fuzzing.targets.is_empty() {
            fuzzing.targets = TARGETS.to_vec();
        }
        Ok(fuzzing)
    }

    /// Builds the targets and runs them, one after the other.
    pub(crate) fn run(&self) -> Result<Outcome, String> {
        if let Some(reason) = not_fetched()?.or_else(no_compiler) {
            return Ok(Outcome::Skipped(reason));
        }
        let Some(host) = host() else {
            return Ok(no_nightly());
        };
        let programs = build(&host)?;
        if self.merge {
            for target in &self.targets {
                merge(&programs.join(target), target)?;
            }
            return Ok(Outcome::Passed);
        }
        let mut fuzzed = Vec::new();
        for target in &self.targets {
            fuzzed.push(fuzz(&programs, target, self.seconds)?);
        }
        let executions: u64 = fuzzed.iter().map(|fuzzed| fuzzed.executions).sum();
        let crashes = fuzzed.iter().filter(|fuzzed| fuzzed.crash.is_some());
        let crashes = crashes.count();
        println!(
            "{:14} {executions:>9} executions, {crashes} crashes",
            "total"
        );
        if crashes > 0 {
            return Err(format!(
                "{crashes} of the targets found an input that fails"
            ));
        }
        Ok(Outcome::Passed)
    }
}

/// The sources of the targets are in order, their corpora pass, and so does what libFuzzer makes of
/// them in a few seconds.
pub(crate) fn smoke() -> Result<Outcome, String> {
    let here = ["--manifest-path", MANIFEST];
    run(cargo(["fmt"])
        .args(here)
        .args(["--", "--check", "--color=never"]))?;
    if let Some(reason) = not_fetched()? {
        return Ok(Outcome::Skipped(reason));
    }
    let locked = ["--locked", "--target-dir", FOLDER];
    run(cargo(["clippy"])
        .args(here)
        .args(locked)
        .args(["--all-targets", "--", "-D", "warnings"]))?;
    run(cargo(["test"]).args(here).args(locked))?;
    let fuzzing = Fuzzing {
        seconds: SMOKE_SECONDS,
        targets: TARGETS.to_vec(),
        merge: false,
    };
    Ok(match fuzzing.run()? {
        Outcome::Skipped(reason) => {
            Outcome::PassedInPart(format!("libFuzzer was not run: {reason}"))
        }
        outcome => outcome,
    })
}

/// Why the dependencies of the targets are not there, if they are not.
fn not_fetched() -> Result<Option<String>, String> {
    let fetch = ["fetch", "--quiet", "--locked", "--manifest-path", MANIFEST];
    let failed = |error| format!("`cargo fetch` did not start: {error}");
    let fetched = cargo(fetch).output().map_err(failed)?;
    if fetched.status.success() {
        return Ok(None);
    }
    let reason = String::from_utf8_lossy(&fetched.stderr);
    if reason.contains("--locked") {
        // That is no matter of the network.
        return Err(format!(
            "fuzz/Cargo.lock is not up to date (cargo update --workspace --manifest-path {MANIFEST})\n{reason}"
        ));
    }
    Ok(Some(format!(
        "the dependencies of fuzz/ cannot be fetched: {}",
        reason.trim()
    )))
}

/// Why libFuzzer cannot be built, if it cannot.
fn no_compiler() -> Option<String> {
    let compiler = env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let about = output(Command::new(&compiler).arg("--version"));
    about
        .is_none()
        .then(|| format!("no C++ compiler to build libFuzzer with ({compiler})"))
}

/// The folder with the programs of the targets.
fn build(host: &str) -> Result<PathBuf, String> {
    let mut build = nightly("cargo", ["build", "--release", "--bins", "--locked"]);
    build
        .args(["--manifest-path", MANIFEST, "--target-dir", FOLDER])
        .args(["--target", host])
        .env("RUSTFLAGS", RUSTFLAGS);
    run(&mut build)?;
    Ok(Path::new(FOLDER).join(host).join("release"))
}

fn fuzz(programs: &Path, target: &str, seconds: u32) -> Result<Fuzzed, String> {
    let found = folder(&[FOLDER, "corpus", target])?;
    let artifacts = folder(&["fuzz", "artifacts", target])?;
    let log = Path::new(FOLDER).join(target).with_extension("log");
    let messages = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let mut command = libfuzzer(&programs.join(target));
    command
        .args([&found, &Path::new("fuzz/corpus").join(target)])
        .arg(format!("-max_total_time={seconds}"))
        .arg(format!("-artifact_prefix={}/", artifacts.display()))
        .arg("-print_final_stats=1");
    println!("$ {}", shown(&command));
    let status = command.stderr(messages).status();
    let status = status.map_err(|error| format!("{target} did not start: {error}"))?;
    let text = fs::read(&log).map_err(|error| format!("{}: {error}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    let mut fuzzed = report(&text);
    println!(
        "{target:14} {:>9} executions, {:>7}/s, {:>5} inputs in the corpus, {} crashes",
        fuzzed.executions,
        fuzzed.per_second,
        fuzzed.corpus,
        usize::from(!status.success()),
    );
    if status.success() {
        let has_run = fuzzed.executions > 0;
        return has_run.then_some(fuzzed).ok_or_else(|| {
            let log = log.display();
            format!("{target} has executed nothing, or does not say so: {log}")
        });
    }
    let path = fuzzed.crash.get_or_insert_with(PathBuf::new).display();
    let fault = text.lines().skip_while(|line| !begins_a_fault(line));
    println!("\n{}", fault.take(40).collect::<Vec<_>>().join("\n"));
    println!(
        "\nit ended with {status}; all it said: {}\nthe input: {path}\nto replay it:\n    \
         cargo run --manifest-path {MANIFEST} --bin {target} -- {path}\n    \
         {} {path}\n",
        log.display(),
        programs.join(target).display(),
    );
    Ok(fuzzed)
}

fn begins_a_fault(line: &str) -> bool {
    line.contains("panicked at") || line.starts_with("==")
}

/// What libFuzzer says at its end.
fn report(text: &str) -> Fuzzed {
    let number = |name: &str| {
        let mut values = text.lines().filter_map(|line| line.strip_prefix(name));
        values.next_back()?.trim().parse().ok()
    };
    // As in "#705	DONE   cov: 1580 ft: 6072 corp: 598/9361b exec/s: 0".
    let mut corpus = text.lines().filter_map(|line| {
        let (_, corpus) = line.split_once(" corp: ")?;
        corpus.split_once('/')?.0.parse().ok()
    });
    let crash = text
        .lines()
        .find_map(|line| line.split_once("Test unit written to "));
    Fuzzed {
        executions: number("stat::number_of_executed_units:").unwrap_or(0),
        per_second: number("stat::average_exec_per_sec:").unwrap_or(0),
        corpus: corpus.next_back().unwrap_or(0),
        crash: crash.map(|(_, path)| PathBuf::from(path)),
    }
}

/// Makes the corpus of a target anew: the fewest inputs that reach all that it and the inputs found
/// since then do.
fn merge(program: &Path, target: &str) -> Result<(), String> {
    let merged = Path::new(FOLDER).join("merged").join(target);
    // Left over from before, perhaps.
    _ = fs::remove_dir_all(&merged);
    folder(&[FOLDER, "merged", target])?;
    let found = folder(&[FOLDER, "corpus", target])?;
    let corpus = folder(&["fuzz", "corpus", target])?;
    let mut command = libfuzzer(program);
    run(command
        .args(["-set_cover_merge=1", "-verbosity=0"])
        .args([&merged, &corpus, &found]))?;
    let move_over = || {
        fs::remove_dir_all(&corpus)?;
        fs::rename(&merged, &corpus)
    };
    move_over().map_err(|error| format!("{}: {error}", corpus.display()))
}

fn libfuzzer(program: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(LIBFUZZER).env("ASAN_OPTIONS", ASAN_OPTIONS);
    command
}

/// A folder that is there from now on.
fn folder(names: &[&str]) -> Result<PathBuf, String> {
    let path: PathBuf = names.iter().collect();
    fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::{Fuzzing, SECONDS, TARGETS, report};
    use std::fs;
    use std::path::Path;

    #[test]
    fn seconds_and_targets_are_understood() {
        let all = Fuzzing::parse(&[]).unwrap();
        assert_eq!((all.seconds, &all.targets[..]), (SECONDS, &TARGETS[..]));
        let some = Fuzzing::parse(&["--seconds", "5", "snapshots"]).unwrap();
        assert_eq!((some.seconds, &some.targets[..]), (5, &["snapshots"][..]));
        for words in [
            &["--seconds"][..],
            &["--seconds", "x"],
            &["--seconds", "0"],
            &["no_such_target"],
            &["--onyl"],
        ] {
            assert!(Fuzzing::parse(words).is_err(), "{words:?}");
        }
    }

    #[test]
    fn the_targets_are_those_that_are_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/fuzz_targets");
        let entries = fs::read_dir(folder).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort_unstable();
        let mut expected = TARGETS.map(|target| format!("{target}.rs"));
        expected.sort_unstable();
        assert_eq!(names, expected);
    }

    #[test]
    fn what_libfuzzer_says_is_understood() {
        let fuzzed = report(
            "#4\tINITED cov: 9 ft: 9 corp: 3/7b exec/s: 0 rss: 57Mb\n\
             #70\tDONE   cov: 15 ft: 60 corp: 59/936b lim: 113 exec/s: 10 rss: 57Mb\n\
             artifact_prefix='fuzz/'; Test unit written to fuzz/crash-1\n\
             stat::number_of_executed_units: 70\n\
             stat::average_exec_per_sec:     10\n",
        );
        assert_eq!(
            (fuzzed.executions, fuzzed.per_second, fuzzed.corpus),
            (70, 10, 59)
        );
        assert_eq!(fuzzed.crash.as_deref(), Some(Path::new("fuzz/crash-1")));
        assert!(report("").crash.is_none());
    }
}
