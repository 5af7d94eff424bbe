//! The proof of the whole engine: histories of real threads, simulations, faults, the bugs that all of
//! them have to find, and a short churn at the memory limit.

use std::io::{self, BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::command::{cargo, run, shown};
use crate::steps::Outcome;

/// Runs all of it, and says in one line what it came to.
pub(crate) fn proof() -> Result<Outcome, String> {
    // As it ships.
    let production = ["run", "--release", "--package", "kvick-proof", "--"];
    let transactions = last_line(cargo(production).arg("histories"))?;
    // With the steps of a simulation.
    let simulated = last_line(&mut cargo(["simulated", "simulate"]))?;
    let faults = last_line(&mut cargo(["simulated", "faults"]))?;
    let controls = last_line(&mut cargo(["simulated", "controls"]))?;
    let churned = last_line(cargo(production).args(["churn", "--short"]))?;
    println!("{transactions}, {simulated}, {faults}, {controls}, {churned}");
    Ok(Outcome::Passed)
}

/// Runs the soak.
pub(crate) fn soak(options: &[&str]) -> Result<(), String> {
    let production = ["run", "--release", "--package", "kvick-proof", "--", "soak"];
    // Short-lived threads leave memory behind in the arenas of glibc, one for each of many threads:
    // what that library keeps is not what the engine keeps.
    run(cargo(production).args(options).env("MALLOC_ARENA_MAX", "2"))
}

/// Runs the churn. On the allocator as it is: what the process takes is among its figures.
pub(crate) fn churn(options: &[&str]) -> Result<(), String> {
    let production = [
        "run",
        "--release",
        "--package",
        "kvick-proof",
        "--",
        "churn",
    ];
    run(cargo(production).args(options))
}

/// Runs the command, shows what it prints, and gives the last line of it.
fn last_line(command: &mut Command) -> Result<String, String> {
    let shown = shown(command);
    println!("$ {shown}");
    let failed = |error: io::Error| format!("`{shown}` did not run: {error}");
    let mut child = command.stdout(Stdio::piped()).spawn().map_err(failed)?;
    let mut last = String::new();
    if let Some(output) = child.stdout.take() {
        for line in BufReader::new(output).lines() {
            last = line.map_err(failed)?;
            println!("{last}");
        }
    }
    let status = child.wait().map_err(failed)?;
    if status.success() {
        Ok(last)
    } else {
        Err(format!("`{shown}` ended with {status}"))
    }
}
