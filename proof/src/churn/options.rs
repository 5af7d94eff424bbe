//! The options of `proof churn`, and what they come to.

use super::load::Mix;
use super::phase::Plan;
use crate::history::seed;
use lexopt::prelude::*;
use std::time::Duration;

pub(super) const USAGE: &str = "\
a database at its memory limit, for long

usage: proof churn [OPTION]...

      --minutes N     of the churn itself [default: 60]
      --threads N     [default: 4]
      --limit-mib N   8 at least [default: 64]
      --seed N        what the threads do follows from it, though not how they meet [default: drawn]
      --short         some seconds in all, and bounds on time that a busy machine keeps
";

/// A period of the table, unless there would be fewer than [`PERIODS_MIN`].
const PERIOD: Duration = Duration::from_secs(60);
const PERIODS_MIN: u32 = 5;

/// Smaller ones would be full of what one commit writes.
const LIMIT_MIB_MIN: usize = 8;

const THREADS_MAX: usize = 256;

#[derive(Clone, Copy, Debug)]
pub(super) struct Options {
    pub(super) threads: usize,
    pub(super) limit: usize,
    pub(super) seed: u64,
    pub(super) schedule: Schedule,
    pub(super) bounds: Bounds,
}

/// How long each phase is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Schedule {
    pub(super) even: Duration,
    pub(super) spinning: Duration,
    pub(super) without_snapshots: Duration,
    pub(super) churn: Duration,
}

impl Schedule {
    const SHORT: Self = Self {
        even: Duration::from_secs(2),
        spinning: Duration::from_millis(500),
        without_snapshots: Duration::from_secs(2),
        churn: Duration::from_secs(4),
    };

    fn of(churn: Duration) -> Self {
        Self {
            even: Duration::from_secs(20),
            spinning: Duration::from_secs(5),
            without_snapshots: PERIOD.min(churn / 4),
            churn,
        }
    }
}

/// What is aimed at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) stall: Duration,
    /// What the process takes of the limit, where values are of 1 KiB.
    pub(super) resident: f64,
    /// Throughput in the last period, of that in the first.
    pub(super) throughput: [f64; 2],
}

impl Bounds {
    const LONG: Self = Self {
        stall: Duration::from_millis(10),
        resident: 1.25,
        throughput: [0.9, 1.1],
    };

    /// That the engine goes on at all: a machine may be busy for long.
    const SHORT: Self = Self {
        stall: Duration::from_secs(2),
        resident: 2.0,
        throughput: [0.1, 10.0],
    };
}

impl Options {
    pub(super) fn plan(&self, mix: Mix, length: Duration) -> Plan {
        Plan {
            mix,
            limit: self.limit,
            threads: self.threads,
            seed: self.seed,
            length,
            period: PERIOD.min(length / PERIODS_MIN),
        }
    }
}

pub(super) fn parse(words: &[&str]) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        threads: 4,
        limit: 64 << 20,
        seed: rand::random(),
        schedule: Schedule::of(Duration::from_secs(3_600)),
        bounds: Bounds::LONG,
    };
    let mut parser = lexopt::Parser::from_args(words);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("minutes") => {
                let minutes: f64 = parser.value()?.parse()?;
                let churn = Duration::try_from_secs_f64(60.0 * minutes);
                let churn = churn.map_err(|error| error.to_string())?;
                options.schedule = Schedule::of(churn);
            }
            Long("threads") => {
                options.threads = parser.value()?.parse_with(|text| match text.parse() {
                    Ok(count @ 1..=THREADS_MAX) => Ok(count),
                    _ => Err(format!("threads are 1 to {THREADS_MAX}, got {text}")),
                })?;
            }
            Long("limit-mib") => {
                options.limit = parser.value()?.parse_with(|text| match text.parse() {
                    Ok(mib @ LIMIT_MIB_MIN..=0xfff_ffff) => Ok(mib << 20),
                    _ => Err(format!(
                        "the limit is {LIMIT_MIB_MIN} MiB at least, got {text}"
                    )),
                })?;
            }
            Long("seed") => options.seed = parser.value()?.parse_with(seed)?,
            Long("short") => {
                options.schedule = Schedule::SHORT;
                options.bounds = Bounds::SHORT;
            }
            Long("help") | Short('h') => return Ok(None),
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(Some(options))
}
