//! Hit ratios: traces replayed to caches that hold a part of what is asked for.
//!
//! Each cache is asked for one id after the other, and given those that it does not have, by one
//! thread. What is counted is the fraction of all requests that it answered; the first request of an
//! id, which nobody can answer, is among them.

pub(crate) mod args;
mod check;
mod contestant;
mod format;
mod load;
mod result;
mod trace;

use crate::machine::Machine;
use args::Wanted;
use contestant::{ALL, Entrant};
use result::Replay;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use trace::{Trace, Unreadable};

/// In percent of the footprint.
pub(crate) const SIZES: [u32; 5] = [1, 5, 10, 20, 50];

/// Why there are no hit ratios.
#[derive(Debug)]
pub(crate) enum Failure {
    Trace(PathBuf, Unreadable),
    Output(io::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Trace(path, error) => write!(f, "cannot use {}: {error}", path.display()),
            Self::Output(error) => error.fmt(f),
        }
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

/// Replays what is asked for, prints the tables and writes the record.
pub(crate) fn measure(wanted: &Wanted) -> Result<(), Failure> {
    let machine = Machine::this();
    check::all();
    let mut replays = Vec::new();
    for path in &wanted.traces {
        let trace = trace::read(path, wanted.format)
            .map_err(|error| Failure::Trace(path.clone(), error))?;
        let sizes = wanted.sizes.as_deref().unwrap_or(&SIZES);
        report(&trace, sizes, &mut replays)?;
    }
    for load in &wanted.loads {
        let usual = load.sizes();
        let sizes = wanted.sizes.as_deref().unwrap_or(&usual);
        for trace in load.traces() {
            report(&trace, sizes, &mut replays)?;
        }
    }
    let ways = result::ways(&ALL);
    write!(io::stdout(), "{ways}")?;
    if let Some(folder) = &wanted.record {
        let path = result::write(folder, &machine, &replays, &ways)?;
        writeln!(io::stdout(), "\nwritten: {}.csv and .md", path.display())?;
    }
    Ok(())
}

fn report(trace: &Trace, sizes: &[u32], replays: &mut Vec<Replay>) -> io::Result<()> {
    let begin = replays.len();
    for percent in sizes {
        replays.extend(ALL.iter().map(|entrant| replay(trace, *percent, entrant)));
    }
    write!(io::stdout(), "{}", result::table(&replays[begin..]))
}

fn replay(trace: &Trace, percent: u32, entrant: &Entrant) -> Replay {
    let footprint = trace.footprint();
    // The nearest number of entries, and one at least.
    let entries = ((footprint * u64::from(percent) + 50) / 100).max(1);
    let mut contestant = (entrant.open)(entries);
    let mut hits = 0;
    for id in &trace.requests {
        hits += u64::from(contestant.get_or_insert(u64::from(*id)));
    }
    Replay {
        trace: trace.name.clone(),
        requests: trace.requests.len() as u64,
        footprint,
        percent,
        entries,
        held: contestant.held(),
        cache: entrant.cache,
        upkeep: entrant.upkeep,
        hits,
    }
}
