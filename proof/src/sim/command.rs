//! `proof simulate` and `proof faults`.

use super::{Divergence, Options, run};
use crate::plant::plant;
use lexopt::Arg;
use lexopt::prelude::*;
use std::env;
use std::ops::Range;
use std::thread;
use std::time::{Duration, Instant};

/// Simulations of each failpoint.
const FAULT_SEEDS: u64 = 200;

/// Seeds and operations of each, unless `KVICK_SEEDS` and `KVICK_STEPS` say otherwise.
const SEEDS: Range<u64> = 0..2_000;
const STEPS: usize = 2_500;

pub(crate) fn simulate(words: &[&str]) -> Result<(), String> {
    let options = simulate_options(words).map_err(|error| error.to_string())?;
    let begin = Instant::now();
    let report = run(&options);
    let seconds = begin.elapsed().as_secs_f64();
    if let Some(Divergence { seed, what }) = report.divergence {
        let next = seed + 1;
        return Err(format!(
            "seed {seed}: {what}\n\nto repeat it:\n    cargo simulated simulate --seeds \
             {seed}..{next} --steps {}",
            options.steps
        ));
    }
    if report.seeds == 0 {
        return Err("nothing was simulated".to_owned());
    }
    println!(
        "{} seeds in {seconds:.1} s; {} turns, at most {} in one simulation; {} allocations refused, {} \
         entries evicted",
        report.seeds, report.turns, report.turns_max, report.refused, report.evicted
    );
    println!("simulated {}, divergences 0", report.simulated);
    Ok(())
}

pub(crate) fn faults(words: &[&str]) -> Result<(), String> {
    let mut seeds = FAULT_SEEDS;
    parse(words, |argument, parser| {
        match argument {
            Long("seeds") => seeds = parser.value()?.parse()?,
            _ => return Ok(false),
        }
        Ok(true)
    })
    .map_err(|error| error.to_string())?;
    super::faults::run(seeds)
}

fn simulate_options(words: &[&str]) -> Result<Options, lexopt::Error> {
    let mut options = Options {
        seeds: SEEDS,
        steps: STEPS,
        threads: thread::available_parallelism().map_or(1, usize::from),
        time_limit: None,
        tell: false,
    };
    if let Ok(text) = env::var("KVICK_SEEDS") {
        options.seeds = seeds(&text)?;
    }
    if let Ok(text) = env::var("KVICK_STEPS") {
        options.steps = text.parse().map_err(|_| "KVICK_STEPS is not a number")?;
    }
    parse(words, |argument, parser| {
        match argument {
            Long("seeds") => options.seeds = seeds(&parser.value()?.string()?)?,
            Long("steps") => options.steps = parser.value()?.parse()?,
            Long("tell") => options.tell = true,
            Long("threads") => options.threads = parser.value()?.parse()?,
            Long("seconds") => {
                options.time_limit = Some(Duration::from_secs(parser.value()?.parse()?));
            }
            _ => return Ok(false),
        }
        Ok(true)
    })?;
    Ok(options)
}

/// Takes every option with `take`, but for `--plant BUG`.
fn parse(
    words: &[&str],
    mut take: impl FnMut(&Arg<'_>, &mut lexopt::Parser) -> Result<bool, lexopt::Error>,
) -> Result<(), lexopt::Error> {
    let mut parser = lexopt::Parser::from_args(words.iter());
    while let Some(argument) = parser.next()? {
        let argument = match argument {
            Long(name) => name.to_owned(),
            other => return Err(other.unexpected()),
        };
        if argument == "plant" {
            plant(&parser.value()?.string()?)?;
        } else if !take(&Long(&argument), &mut parser)? {
            return Err(Long(&argument).unexpected());
        }
    }
    Ok(())
}

fn seeds(text: &str) -> Result<Range<u64>, lexopt::Error> {
    let (first, end) = text.split_once("..").unwrap_or(("0", text));
    let number = |text: &str| text.parse::<u64>().map_err(|error| error.to_string());
    Ok(number(first)?..number(end)?)
}
