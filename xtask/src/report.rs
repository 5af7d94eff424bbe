//! Runs steps in order and says what became of each, in plain text that a log keeps readable.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use crate::steps::{ALL, Outcome, Step};

/// Runs the steps up to the first that fails, then prints one line for each.
pub(crate) fn run(steps: &[&Step]) -> ExitCode {
    let begin = Instant::now();
    let mut rows = Vec::new();
    let mut failed = None;
    for (number, step) in (1..).zip(steps) {
        if failed.is_some() {
            rows.push(row(step, None, "not run"));
            continue;
        }
        println!("\n=== {} ({number} of {})", step.name, steps.len());
        let begin = Instant::now();
        let ended = (step.run)();
        let took = begin.elapsed();
        let result = match ended {
            Ok(outcome) => said(&outcome),
            Err(reason) => {
                println!("{reason}");
                failed = Some(step);
                "FAILED".to_owned()
            }
        };
        println!("=== {}: {result} [{}]", step.name, seconds(took).trim());
        rows.push(row(step, Some(took), &result));
    }
    println!("\n{}", rows.join("\n"));
    println!("{:8} {}", "total", seconds(begin.elapsed()));
    if let Some(step) = failed {
        println!("\nto repeat it: cargo xtask test --only {}", step.name);
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// Says what became of a command that is no row of steps.
pub(crate) fn one(name: &str, ended: Result<Outcome, String>) -> ExitCode {
    match ended {
        Ok(outcome) => {
            println!("{name}: {}", said(&outcome));
            ExitCode::SUCCESS
        }
        Err(reason) => {
            println!("{name}: FAILED: {reason}");
            ExitCode::FAILURE
        }
    }
}

fn said(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Passed => "ok".to_owned(),
        Outcome::PassedInPart(note) => format!("ok IN PART: {note}"),
        Outcome::Skipped(note) => format!("SKIPPED: {note}"),
    }
}

/// Names every step, and what it does.
pub(crate) fn list() {
    for step in &ALL {
        let when = if step.required {
            ""
        } else {
            " (only when asked for)"
        };
        println!("{:8} {}{when}", step.name, step.about);
    }
}

fn row(step: &Step, took: Option<Duration>, result: &str) -> String {
    let took = took.map_or_else(|| " ".repeat(9), seconds);
    format!("{:8} {took}  {result}", step.name)
}

fn seconds(time: Duration) -> String {
    format!("{:7.1} s", time.as_secs_f64())
}
