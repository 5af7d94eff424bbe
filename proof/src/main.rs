//! Whether the whole engine keeps its promises: on real threads, under faults, and for long.
//!
//! `proof help` lists what it can do; docs/testing.md says what each of it shows.
#![expect(clippy::print_stdout, reason = "telling what it finds is its job")]

mod churn;
#[cfg(simulated)]
mod controls;
mod history;
#[path = "../../tests/it/support/panics.rs"]
mod panics;
#[cfg(simulated)]
mod plant;
#[cfg(simulated)]
mod sim;
mod soak;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
whether the engine keeps its promises

usage: proof histories [OPTION]...   transactions of many threads, checked for anomalies
       proof soak [--minutes N]      the same for long, beside a mixed load; memory must not grow
       proof churn [OPTION]...       a database at its memory limit for long; it is not exceeded
       proof simulate [OPTION]...    clients interleaved by a seed, against a model
       proof faults                  what can go wrong in an operation, at every place in turn
       proof controls                bugs planted in the engine, to be found by the two
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match &words[..] {
        ["histories", options @ ..] => history::command(options),
        ["churn", options @ ..] => churn::command(options),
        ["soak", options @ ..] => soak::command(options),
        #[cfg(simulated)]
        ["simulate", options @ ..] => sim::simulate(options),
        #[cfg(simulated)]
        ["faults", options @ ..] => sim::faults(options),
        #[cfg(simulated)]
        ["controls"] => controls::run().map(|count| println!("controls caught {count}/{count}")),
        ["help" | "--help" | "-h"] => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        _ => Err(format!("not a command: {}\n\n{USAGE}", words.join(" "))),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("{reason}");
            ExitCode::FAILURE
        }
    }
}
