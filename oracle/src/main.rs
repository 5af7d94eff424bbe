//! kvick beside Deno's own engine, `denokv_sqlite`: the same random operations on both, and every
//! difference between their answers.
//!
//! A difference is either one that docs/semantics.md decides on, and then exactly that one, or the
//! end of the run. docs/testing.md says more.
#![expect(clippy::print_stdout, reason = "telling what it finds is its job")]

mod compare;
mod deno;
mod draw;
mod kvick;
mod op;
mod plant;
mod ranks;
#[cfg(test)]
mod tests;

use compare::Tally;
use lexopt::prelude::*;
use plant::Planted;
use std::env;
use std::ops::Range;
use std::process::ExitCode;
use std::time::Instant;

/// A million operations, a hundred times on empty databases, unless `KVICK_SEEDS` and `KVICK_STEPS`
/// say otherwise.
const SEEDS: Range<u64> = 0..100;
const STEPS: usize = 10_000;

struct Options {
    seeds: Range<u64>,
    steps: usize,
    planted: Option<Planted>,
}

fn main() -> ExitCode {
    match options()
        .map_err(|error| error.to_string())
        .and_then(|options| run(&options))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            println!("{reason}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<(), String> {
    let begin = Instant::now();
    let tally = run_seeds(options)?;
    let seconds = begin.elapsed().as_secs_f64();
    let Tally {
        operations,
        committed,
        conflicts,
        refused,
        ranges,
        entries,
        versionstamped,
        d1,
        d9,
    } = tally;
    #[expect(clippy::cast_precision_loss, reason = "a rate that is rounded anyway")]
    let rate = operations as f64 / seconds;
    println!(
        "{operations} operations in {seconds:.1} s, {rate:.0} a second: {committed} commits, {conflicts} conflicts, \
         {refused} refusals, {ranges} ranges of {entries} entries, {versionstamped} commits with versionstamped keys"
    );
    println!("operations {operations}, undocumented differences 0, D1 {d1}, D9 {d9}");
    Ok(())
}

/// Compares the engines once for each seed. The error says how to repeat the run that it is from.
fn run_seeds(options: &Options) -> Result<Tally, String> {
    let steps = options.steps;
    let mut total = Tally::default();
    for seed in options.seeds.clone() {
        let tally = compare::run(seed, steps, options.planted).map_err(|difference| {
            let next = seed + 1;
            format!(
                "seed {seed}, {difference}\n\nto repeat it:\n    cargo run --package kvick-oracle -- \
                 --seeds {seed}..{next} --steps {steps}"
            )
        })?;
        total = total + tally;
    }
    if total.operations == 0 {
        return Err("nothing was compared".to_owned());
    }
    Ok(total)
}

fn options() -> Result<Options, lexopt::Error> {
    let mut options = from_environment(Options {
        seeds: SEEDS,
        steps: STEPS,
        planted: None,
    })?;
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("seeds") => options.seeds = seeds(&parser.value()?.string()?)?,
            Long("steps") => options.steps = parser.value()?.parse()?,
            Long("plant") => options.planted = Some(Planted::named(&parser.value()?.string()?)?),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(options)
}

/// These, but for what `KVICK_SEEDS` and `KVICK_STEPS` say.
fn from_environment(mut options: Options) -> Result<Options, lexopt::Error> {
    if let Ok(text) = env::var("KVICK_SEEDS") {
        options.seeds = seeds(&text)?;
    }
    if let Ok(text) = env::var("KVICK_STEPS") {
        options.steps = text.parse().map_err(|_| "KVICK_STEPS is not a number")?;
    }
    Ok(options)
}

/// A number of seeds, or a range such as `17..18`.
fn seeds(text: &str) -> Result<Range<u64>, lexopt::Error> {
    let (first, end) = text.split_once("..").unwrap_or(("0", text));
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    Ok(number(first)?..number(end)?)
}
