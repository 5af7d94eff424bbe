//! The checks that need the nightly toolchain: the address and leak sanitizers, and Miri.

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::command::{nightly, output, run, shown};
use crate::steps::Outcome;

const SANITIZE: &str = "-Zsanitizer=address";

/// Tree borrows, because the epoch library does not pass the stricter stacked borrows; permissive
/// provenance, because it tags pointers by casting them to integers; leaks ignored, because what
/// waits in the epoch when the process ends is never freed. The sanitizer step looks for leaks.
const MIRIFLAGS: &str = "-Zmiri-tree-borrows -Zmiri-permissive-provenance -Zmiri-ignore-leaks";

/// A history of two threads, small enough for Miri, on the whole engine. The directory of the ordered
/// index is a stand-in there (`src/index/stand_in.rs`).
const MIRI_HISTORY: &str = "history::a_short_history_is_strictly_serializable";

/// The test reads its seeds from the environment.
const MIRI_ENGINE_FLAGS: &str = "-Zmiri-env-forward=KVICK_SEEDS";

/// The modules whose unit tests Miri runs: the data types and the core. The rest of the engine is
/// safe code, and slow there.
const MIRI_MODULES: [&str; 7] = [
    "version::",
    "mvcc::",
    "index::",
    "key::",
    "value::",
    "limits::",
    "error::",
];

/// Whether leaks are reported here. Not everywhere: the leak sanitizer stops the process by
/// `ptrace`, and a container or a debugger may not let it.
#[derive(Clone, Copy, PartialEq)]
enum Leaks {
    Reported,
    Unseen,
}

impl Leaks {
    fn options(self) -> &'static str {
        match self {
            Self::Reported => "detect_leaks=1",
            Self::Unseen => "detect_leaks=0",
        }
    }
}

/// The stress test under the address sanitizer, which brings the leak sanitizer along. How long it
/// takes is for the test's own variables to say, which it inherits.
pub(crate) fn asan() -> Result<Outcome, String> {
    let Some(host) = host() else {
        return Ok(no_nightly());
    };
    let leaks = try_sanitizers()?;
    let mut stress = nightly("cargo", ["test", "--profile", "model", "--test", "stress"]);
    stress
        .args(["--target", &host, "--target-dir", "target/asan"])
        .env("RUSTFLAGS", SANITIZE)
        .env("ASAN_OPTIONS", leaks.options());
    run(&mut stress)?;
    Ok(if leaks == Leaks::Reported {
        Outcome::Passed
    } else {
        Outcome::PassedInPart("leaks were not looked for: LeakSanitizer cannot run here".to_owned())
    })
}

/// Lets the sanitizers find faults that are known to be there. Fails if a use after free is not
/// reported.
fn try_sanitizers() -> Result<Leaks, String> {
    let folder = Path::new("target/asan");
    fs::create_dir_all(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let program = folder.join(format!("faults{EXE_SUFFIX}"));
    let mut build = nightly(
        "rustc",
        ["--edition", "2024", SANITIZE, "xtask/faults.rs", "-o"],
    );
    run(build.arg(&program))?;

    let faulty = |fault, leaks: Leaks| {
        let mut command = Command::new(&program);
        command.arg(fault).env("ASAN_OPTIONS", leaks.options());
        command
    };
    expect_report(
        &mut faulty("use-after-free", Leaks::Unseen),
        "AddressSanitizer: heap-use-after-free",
    )?;
    let leak = expect_report(
        &mut faulty("leak", Leaks::Reported),
        "LeakSanitizer: detected memory leaks",
    );
    Ok(match leak {
        Ok(()) => Leaks::Reported,
        Err(reason) => {
            println!("{reason}");
            Leaks::Unseen
        }
    })
}

/// Runs a deliberate fault, and fails unless the report that is expected comes.
fn expect_report(command: &mut Command, expected: &str) -> Result<(), String> {
    println!("$ {}", shown(command));
    let output = command
        .output()
        .map_err(|error| format!("`{}` did not start: {error}", shown(command)))?;
    let report = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && report.contains(expected) {
        println!("reported, as it should be: {expected}");
        return Ok(());
    }
    Err(format!(
        "`{}` was to report {expected}, but ended with {} and said: {}",
        shown(command),
        output.status,
        report.trim()
    ))
}

/// The unit tests of the data types and the core under Miri, and a short history on the engine.
pub(crate) fn miri() -> Result<Outcome, String> {
    if host().is_none() {
        return Ok(no_nightly());
    }
    if !has_component("miri") || !has_component("rust-src") {
        return Ok(Outcome::Skipped(
            "Miri is not installed (cargo xtask miri --install)".to_owned(),
        ));
    }
    let mut test = nightly("cargo", ["miri", "test", "--package", "kvick", "--lib"]);
    test.args(["--target-dir", "target/miri", "--"])
        .args(MIRI_MODULES)
        .env("MIRIFLAGS", MIRIFLAGS);
    run(&mut test)?;
    // The whole engine, in one schedule; in more of them with `-Zmiri-many-seeds` added.
    let mut history = nightly(
        "cargo",
        ["miri", "test", "--package", "kvick", "--test", "it"],
    );
    history
        .args(["--target-dir", "target/miri", "--", MIRI_HISTORY])
        .env("KVICK_SEEDS", "2")
        .env("MIRIFLAGS", format!("{MIRIFLAGS} {MIRI_ENGINE_FLAGS}"));
    run(&mut history).map(|()| Outcome::Passed)
}

/// Asks rustup for Miri, which not every nightly has.
pub(crate) fn install_miri() -> Result<(), String> {
    run(Command::new("rustup").args([
        "component",
        "add",
        "--toolchain",
        "nightly",
        "miri",
        "rust-src",
    ]))
}

/// The target triple that the nightly toolchain compiles for, or `None` where there is none.
pub(crate) fn host() -> Option<String> {
    let about = output(&mut nightly("rustc", ["--version", "--verbose"]))?;
    let host = about.lines().find_map(|line| line.strip_prefix("host: "))?;
    Some(host.to_owned())
}

pub(crate) fn no_nightly() -> Outcome {
    Outcome::Skipped("no nightly toolchain (rustup toolchain install nightly)".to_owned())
}

fn has_component(name: &str) -> bool {
    let list = ["component", "list", "--toolchain", "nightly", "--installed"];
    output(Command::new("rustup").args(list))
        .is_some_and(|installed| installed.lines().any(|line| line.starts_with(name)))
}

#[cfg(test)]
mod tests {
    use super::MIRI_HISTORY;
    use std::fs;
    use std::path::Path;

    #[test]
    fn the_history_for_miri_is_there() {
        let (module, test) = MIRI_HISTORY.split_once("::").unwrap();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/it");
        let source = fs::read_to_string(folder.join(module).with_extension("rs")).unwrap();
        assert!(source.contains(&format!("fn {test}()")));
    }
}
