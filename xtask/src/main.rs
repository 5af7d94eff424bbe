//! The project's own commands: `cargo xtask test` runs everything that is checked before a change
//! is merged.
//!
//! The steps are listed in [`steps::ALL`]. This program needs nothing but cargo: no shell, no
//! other tool, no dependency, so that its first line is printed a second after it is called.
#![expect(clippy::print_stdout, reason = "telling what it does is its job")]

mod clients;
mod command;
mod fuzz;
mod nightly;
mod proof;
mod record;
mod report;
mod spec;
mod steps;

use std::env;
use std::path::Path;
use std::process::ExitCode;

use command::cargo;
use fuzz::Fuzzing;
use spec::Spec;
use steps::Step;

const USAGE: &str = "\
the project's commands

usage: cargo xtask test [--only STEP]...  run every step, or those named, in order
       cargo xtask test --list            name the steps
       cargo xtask spec [--list]          what became of each statement of docs/semantics.md;
                                          with --list, run no test
       cargo xtask oracle [--seeds N] [--steps N]
                                          a million operations on kvick and on Deno's engine
       cargo xtask proof                  the same as test --only proof
       cargo xtask soak [--minutes N]     checked histories beside a mixed load; memory must not grow
       cargo xtask churn [--minutes N] [--threads N] [--limit-mib N] [--seed N] [--short]
                                          a database at its memory limit for an hour: it is not
                                          exceeded, and nothing stalls or becomes slower
       cargo xtask clients                the same as test --only clients
       cargo xtask asan                   the same as test --only asan
       cargo xtask miri [--install]       the same as test --only miri; with --install, ask rustup
                                          for what Miri needs first
       cargo xtask fuzz [--seconds N] [TARGET]...
                                          run the fuzz targets, or those named, N seconds each (60)
       cargo xtask fuzz --merge [TARGET]...
                                          take over into their corpora what was found
       cargo xtask record [RUN]...        the result of cargo bench as a table; of several runs,
                                          each row of the one least disturbed
";

/// What the command line asks for.
#[derive(Debug)]
enum Request<'a> {
    Run(Vec<&'static Step>),
    InstallMiriThenRun(Vec<&'static Step>),
    Fuzz(Fuzzing),
    List,
    Record(&'a [&'a str]),
    Oracle(&'a [&'a str]),
    Soak(&'a [&'a str]),
    Churn(&'a [&'a str]),
    Spec(Spec),
    Help,
}

fn main() -> ExitCode {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("xtask is a folder of the workspace");
    if let Err(error) = env::set_current_dir(root) {
        println!("cannot enter {}: {error}", root.display());
        return ExitCode::FAILURE;
    }
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match parse(&words) {
        Ok(Request::Run(steps)) => report::run(&steps),
        Ok(Request::InstallMiriThenRun(steps)) => {
            if let Err(reason) = nightly::install_miri() {
                println!("Miri could not be installed: {reason}");
            }
            report::run(&steps)
        }
        Ok(Request::Fuzz(fuzzing)) => report::one("fuzz", fuzzing.run()),
        Ok(Request::List) => {
            report::list();
            ExitCode::SUCCESS
        }
        Ok(Request::Record(runs)) => told(record::print(runs)),
        Ok(Request::Oracle(options)) => told(oracle(options)),
        Ok(Request::Soak(options)) => told(proof::soak(options)),
        Ok(Request::Churn(options)) => told(proof::churn(options)),
        Ok(Request::Spec(spec)) => told(spec.print()),
        Ok(Request::Help) => {
            print!("{USAGE}");
            ExitCode::SUCCESS
        }
        Err(reason) => {
            print!("{reason}\n\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// Says what went wrong, if anything did.
fn told(result: Result<(), String>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("{reason}");
            ExitCode::FAILURE
        }
    }
}

/// At full size and speed; the step of this name is a short run, and the mistakes that it has to find.
fn oracle(options: &[&str]) -> Result<(), String> {
    command::run(cargo(["run", "--release", "--package", "kvick-oracle", "--"]).args(options))
}

fn parse<'a>(words: &'a [&'a str]) -> Result<Request<'a>, String> {
    match words {
        ["help" | "--help" | "-h"] => Ok(Request::Help),
        ["test"] => Ok(Request::Run(steps::required().collect())),
        ["test", "--list"] => Ok(Request::List),
        ["test", only @ ..] => chosen(only).map(Request::Run),
        ["record", runs @ ..] => Ok(Request::Record(runs)),
        ["oracle", options @ ..] => Ok(Request::Oracle(options)),
        ["soak", options @ ..] => Ok(Request::Soak(options)),
        ["churn", options @ ..] => Ok(Request::Churn(options)),
        ["spec", options @ ..] => Spec::parse(options).map(Request::Spec),
        ["proof"] => step("proof").map(|proof| Request::Run(vec![proof])),
        ["clients"] => step("clients").map(|clients| Request::Run(vec![clients])),
        ["asan"] => step("asan").map(|asan| Request::Run(vec![asan])),
        ["miri"] => step("miri").map(|miri| Request::Run(vec![miri])),
        ["miri", "--install"] => step("miri").map(|miri| Request::InstallMiriThenRun(vec![miri])),
        ["fuzz", words @ ..] => Fuzzing::parse(words).map(Request::Fuzz),
        [] => Err("which command?".to_owned()),
        _ => Err(format!("not a command: {}", words.join(" "))),
    }
}

/// The steps that a row of `--only STEP` names, in the order in which they always run.
fn chosen(words: &[&str]) -> Result<Vec<&'static Step>, String> {
    let named = words
        .chunks(2)
        .map(|pair| match pair {
            ["--only", name] => step(name),
            ["--only"] => Err("--only needs the name of a step".to_owned()),
            _ => Err(format!("not an option of test: {}", pair[0])),
        })
        .collect::<Result<Vec<_>, _>>()?;
    let is_named = |step: &&Step| named.iter().any(|named| named.name == step.name);
    Ok(steps::ALL.iter().filter(is_named).collect())
}

fn step(name: &str) -> Result<&'static Step, String> {
    let mut steps = steps::ALL.iter();
    steps.find(|step| step.name == name).ok_or_else(|| {
        let names: Vec<_> = steps::ALL.iter().map(|step| step.name).collect();
        format!(
            "no step is called {name}; the steps are {}",
            names.join(" ")
        )
    })
}

#[cfg(test)]
mod tests {
    use super::{Request, parse};

    fn names(words: &[&str]) -> Vec<&'static str> {
        match parse(words) {
            Ok(Request::Run(steps)) => steps.iter().map(|step| step.name).collect(),
            other => panic!("{words:?} is {other:?}"),
        }
    }

    #[test]
    fn test_runs_every_required_step_in_order() {
        let steps = names(&["test"]);
        assert_eq!(
            steps,
            [
                "fmt",
                "clippy",
                "spec",
                "tests",
                "oracle",
                "conformance",
                "docs",
                "models",
                "proof",
                "clients",
                "asan",
                "fuzz",
                "benches"
            ]
        );
    }

    #[test]
    fn only_chooses_steps_and_keeps_their_order() {
        let steps = names(&["test", "--only", "tests", "--only", "fmt"]);
        assert_eq!(steps, ["fmt", "tests"]);
    }

    #[test]
    fn asan_and_miri_are_steps_with_a_name_of_their_own() {
        assert_eq!(names(&["asan"]), ["asan"]);
        assert_eq!(names(&["miri"]), ["miri"]);
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for words in [
            &[][..],
            &["tests"],
            &["test", "--onyl", "fmt"],
            &["test", "--only"],
            &["test", "--only", "format"],
            &["miri", "--only"],
            &["fuzz", "--only"],
        ] {
            assert!(parse(words).is_err(), "{words:?}");
        }
    }
}
