//! The command line.

use crate::session::WORKLOADS;
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;
use std::time::Duration;

pub(crate) const HELP: &str = "\
Measures kvick's server beside denokv, the reference, and prints and records what each does in a second.

    cargo run --release -p kvick-serve-bench -- [OPTIONS] [WORKLOAD…]

WORKLOAD… are some of get, set, transfer. Without any, all are measured.

    --quick             within a minute: fewer and shorter rounds
    --rounds N          that many rounds (9)
    --slice MILLIS      so long for each server in a round (2000)
    --patience SECONDS  for how long each row of the table may wait for others to do less, and do rounds
                        again that they have disturbed (60)
    --connections N     that many of the cheap client (2)
    --in-flight N       that many requests at once over each of these, and all together of Deno's (16)
    --kvick FILE        that server; otherwise it is built
    --reference FILE    that reference; otherwise the one in target/reference, which is built if it is not
                        there
    --deno FILE         that Deno; otherwise npm fetches one
    --no-deno           the cheap client alone
    --only-deno         Deno alone
    --out DIR           where records are written (benches/serve/record)
    --no-record         writes none
";

/// How long and how often, and what.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) rounds: u32,
    pub(crate) warm_up: Duration,
    pub(crate) slice: Duration,
    pub(crate) patience: Duration,
    pub(crate) connections: u32,
    pub(crate) in_flight_each: usize,
    wanted: Vec<String>,
}

impl Plan {
    /// In the order in which they are listed.
    pub(crate) fn workloads(&self) -> impl Iterator<Item = &'static str> {
        let is_wanted =
            |name: &&str| self.wanted.is_empty() || self.wanted.iter().any(|it| it == name);
        WORKLOADS.into_iter().filter(is_wanted)
    }

    /// Over all connections.
    pub(crate) fn in_flight(&self) -> usize {
        self.in_flight_each * self.connections as usize
    }
}

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) plan: Plan,
    pub(crate) kvick: Option<PathBuf>,
    pub(crate) reference: Option<PathBuf>,
    pub(crate) deno: Option<PathBuf>,
    pub(crate) asks_deno: bool,
    pub(crate) asks_frames: bool,
    /// Where the record goes, if one is written.
    pub(crate) record: Option<PathBuf>,
}

/// Nothing for a call for help.
pub(crate) fn parse(mut parser: Parser) -> Result<Option<Wanted>, lexopt::Error> {
    let mut wanted = Wanted {
        plan: Plan {
            rounds: 9,
            warm_up: Duration::from_millis(300),
            slice: Duration::from_secs(2),
            patience: Duration::from_secs(60),
            connections: 2,
            in_flight_each: 16,
            wanted: Vec::new(),
        },
        kvick: None,
        reference: None,
        deno: None,
        asks_deno: true,
        asks_frames: true,
        record: Some(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("record")),
    };
    let plan = &mut wanted.plan;
    while let Some(argument) = parser.next()? {
        match argument {
            Arg::Long("quick") => {
                plan.rounds = 3;
                plan.patience = Duration::ZERO;
                plan.slice = Duration::from_millis(700);
            }
            Arg::Long("rounds") => plan.rounds = at_least_one(&mut parser)?,
            Arg::Long("slice") => {
                plan.slice = Duration::from_millis(at_least_one(&mut parser)?.into());
            }
            Arg::Long("patience") => {
                plan.patience = Duration::from_secs(parser.value()?.parse()?);
            }
            Arg::Long("connections") => plan.connections = at_least_one(&mut parser)?,
            Arg::Long("in-flight") => plan.in_flight_each = at_least_one(&mut parser)? as usize,
            Arg::Long("kvick") => wanted.kvick = Some(parser.value()?.into()),
            Arg::Long("reference") => wanted.reference = Some(parser.value()?.into()),
            Arg::Long("deno") => wanted.deno = Some(parser.value()?.into()),
            Arg::Long("no-deno") => wanted.asks_deno = false,
            Arg::Long("only-deno") => wanted.asks_frames = false,
            Arg::Long("out") => wanted.record = Some(parser.value()?.into()),
            Arg::Long("no-record") => wanted.record = None,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            Arg::Value(name) if WORKLOADS.iter().any(|known| name == *known) => {
                plan.wanted.push(name.string()?);
            }
            other => return Err(other.unexpected()),
        }
    }
    Ok(Some(wanted))
}

fn at_least_one(parser: &mut Parser) -> Result<u32, lexopt::Error> {
    parser.value()?.parse_with(|text| match text.parse() {
        Ok(0) | Err(_) => Err("that is no number from 1 on"),
        Ok(number) => Ok(number),
    })
}
