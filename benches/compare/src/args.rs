//! The command line.

use crate::session::Plan;
use crate::target::SIZES;
use crate::workload::Case;
use crate::{alone, hitratio, memory, peers, readthrough, tail};
use lexopt::{Arg, Parser, ValueExt};
use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

pub(crate) const HELP: &str = "\
Measures kvick beside its peers, and prints and records by how much it is faster or slower.

    cargo run --release -p kvick-compare -- [OPTIONS] [WORKLOAD…]
    cargo run --release -p kvick-compare -- table FILE
    cargo run --release -p kvick-compare -- hitratio [--trace FILE]… [--load NAME]…
    cargo run --release -p kvick-compare -- readthrough [OPTIONS]

WORKLOAD… are some of those that are listed below, with all of their variants, or variants: get_hit,
get_hit/zipf, get_hit/2t/1KiB. Without any, all are measured. Keys are of any length to every
subject, and built before time is taken, but in get_built, which makes them of their tuples.

    --quick         within nine minutes on two cores: no variants, shorter and fewer rounds, memory of
                    one peer; one line a cell: ratio WORKLOAD KEYS PEER MEDIAN MIN MAX
    --keys N        that many keys; can be given several times (1000, 100000 and 1000000)
    --ten-million   10000000 keys, too
    --peer NAME     that peer; can be given several times
    --rounds N      that many rounds
    --out DIR       where records are written (benches/compare/record)
    --no-record     writes none
    table FILE      prints the targets from a record, as the README has them
    hitratio        replays traces to caches that hold a part of what is asked for, and prints and
                    records how often each has it; with --out and --no-record, and
    --trace FILE    a trace, packed by zstd or not; can be given several times, as --load can
    --format NAME   of the traces: arc, twitter, ids (as the file's name says: .lis, .csv, else ids)
    --load NAME     one that is made up: zipf, loop, scan or shift
    --sizes LIST    of the caches, in percent of the number of ids (1,5,10,20,50)
    readthrough     asks caches that are full, by several threads, and loads what they do not have;
                    with --quick, --keys, --peer, --rounds, --out and --no-record, and
    --threads N     that many threads; can be given several times (1, 2, 4 and 8)
";

pub(crate) const KEYS_MIN: u32 = 1_000;

pub(crate) const KEYS_MAX: u32 = 100_000_000;

pub(crate) const ROUNDS_MAX: u32 = 1_000;

const TEN_MILLION: u32 = 10_000_000;

/// What is asked for.
#[derive(Debug)]
pub(crate) enum Request {
    Measure(Wanted),
    Table(PathBuf),
    HitRatio(hitratio::args::Wanted),
    ReadThrough(readthrough::args::Wanted),
    /// By this program itself: to fill a store and say what memory it takes.
    Memory(&'static str, u32),
    Help,
}

#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) plan: Plan,
    pub(crate) cases: Vec<Case>,
    pub(crate) peers: Vec<&'static str>,
    /// Those of which memory is measured.
    pub(crate) memory_peers: Vec<&'static str>,
    pub(crate) keys: Vec<u32>,
    pub(crate) two_threads: bool,
    pub(crate) old_snapshot: bool,
    pub(crate) tail: bool,
    /// The folder of the record, unless none is to be written.
    pub(crate) record: Option<PathBuf>,
}

/// Why the command line cannot be used.
#[derive(Debug)]
pub(crate) struct Misuse(String);

impl Misuse {
    pub(crate) fn new(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<lexopt::Error> for Misuse {
    fn from(error: lexopt::Error) -> Self {
        Self(error.to_string())
    }
}

#[derive(Debug, Default)]
struct Options {
    quick: bool,
    no_record: bool,
    ten_million: bool,
    rounds: Option<u32>,
    out: Option<PathBuf>,
    keys: Vec<u32>,
    peers: Vec<&'static str>,
    workloads: Vec<String>,
}

pub(crate) fn parse(mut parser: Parser) -> Result<Request, Misuse> {
    let mut options = Options::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("help") | Arg::Short('h') => return Ok(Request::Help),
            Arg::Long("quick") => options.quick = true,
            Arg::Long("no-record") => options.no_record = true,
            Arg::Long("ten-million") => options.ten_million = true,
            Arg::Long("rounds") => options.rounds = Some(number(&parser.value()?, 1, ROUNDS_MAX)?),
            Arg::Long("out") => options.out = Some(parser.value()?.into()),
            Arg::Long("keys") => {
                let keys = number(&parser.value()?, KEYS_MIN, KEYS_MAX)?;
                options.keys.push(keys);
            }
            Arg::Long("peer") => options.peers.push(peer(&parser.value()?.string()?)?),
            Arg::Long(memory::OPTION) => {
                let name = parser.value()?.string()?;
                let keys = number(&parser.value()?, KEYS_MIN, KEYS_MAX)?;
                return Ok(Request::Memory(subject(&name)?, keys));
            }
            Arg::Value(value) if value == "table" && options.workloads.is_empty() => {
                let file = parser.value()?.into();
                return match parser.next()? {
                    None => Ok(Request::Table(file)),
                    Some(more) => Err(more.unexpected().into()),
                };
            }
            Arg::Value(value) if value == "hitratio" && options.workloads.is_empty() => {
                return hitratio::args::parse(parser).map(Request::HitRatio);
            }
            Arg::Value(value) if value == "readthrough" && options.workloads.is_empty() => {
                return readthrough::args::parse(parser).map(Request::ReadThrough);
            }
            Arg::Value(value) => options.workloads.push(value.string()?),
            _ => return Err(arg.unexpected().into()),
        }
    }
    wanted(options).map(Request::Measure)
}

fn wanted(options: Options) -> Result<Wanted, Misuse> {
    let Options {
        quick, workloads, ..
    } = options;
    let all = Case::all();
    for name in &workloads {
        let is_case = all.iter().any(|case| is_named(*case, name));
        if !is_case && !OTHERS.contains(&&**name) {
            return Err(unknown("workload", name, &workload_names(&all)));
        }
    }
    let others = |name: &str| workloads.is_empty() || workloads.iter().any(|it| it == name);
    let is_wanted = |case: &Case| {
        let is_plain = *case == Case::plain(case.workload);
        let mut names = workloads.iter();
        (workloads.is_empty() && (is_plain || !quick))
            || names.any(|name| {
                case.to_string() == *name || (is_named(*case, name) && (is_plain || !quick))
            })
    };
    let mut plan = if quick { Plan::QUICK } else { Plan::FULL };
    if let Some(rounds) = options.rounds {
        plan.rounds = rounds;
        plan.tail_rounds = rounds;
    }
    let mut keys = options.keys;
    if keys.is_empty() {
        keys.extend(SIZES);
    }
    if options.ten_million {
        keys.push(TEN_MILLION);
    }
    keys.sort_unstable();
    keys.dedup();
    let is_some_peer = !options.peers.is_empty();
    let peers = if is_some_peer {
        options.peers
    } else {
        peers::NAMES.to_vec()
    };
    let of_memory = if quick && !is_some_peer {
        1
    } else {
        peers.len()
    };
    Ok(Wanted {
        plan,
        cases: all.iter().copied().filter(is_wanted).collect(),
        memory_peers: if others(MEMORY) {
            peers[..of_memory].to_vec()
        } else {
            Vec::new()
        },
        peers,
        keys,
        two_threads: others(alone::TWO_THREADS),
        old_snapshot: others(alone::OLD_SNAPSHOT),
        tail: others(tail::NAME),
        record: (!options.no_record).then(|| options.out.unwrap_or_else(record_folder)),
    })
}

/// Where records are written unless somewhere else is asked for.
pub(crate) fn record_folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("record")
}

const MEMORY: &str = "memory";

/// What can be asked for beside the workloads of pairs.
const OTHERS: [&str; 4] = [MEMORY, tail::NAME, alone::TWO_THREADS, alone::OLD_SNAPSHOT];

fn is_named(case: Case, name: &str) -> bool {
    case.workload.name() == name || case.to_string() == name
}

fn workload_names(all: &[Case]) -> Vec<&'static str> {
    let mut names: Vec<&str> = all.iter().map(|case| case.workload.name()).collect();
    names.dedup();
    names.truncate(crate::workload::ALL.len());
    names.extend(OTHERS);
    names
}

/// The help, with the names that can be given.
pub(crate) fn help() -> String {
    let workloads = workload_names(&Case::all()).join(", ");
    format!(
        "{HELP}\nworkloads: {workloads}\npeers: {}\n",
        peers::NAMES.join(", ")
    )
}

fn peer(name: &str) -> Result<&'static str, Misuse> {
    let known = peers::NAMES.into_iter().find(|known| *known == name);
    known.ok_or_else(|| unknown("peer", name, &peers::NAMES))
}

fn subject(name: &str) -> Result<&'static str, Misuse> {
    if name == peers::KVICK {
        return Ok(peers::KVICK);
    }
    peer(name)
}

pub(crate) fn unknown(what: &str, name: &str, known: &[&str]) -> Misuse {
    Misuse(format!(
        "there is no {what} \"{name}\"; there are {}",
        known.join(", ")
    ))
}

pub(crate) fn number(value: &OsString, min: u32, max: u32) -> Result<u32, Misuse> {
    let text = value.to_string_lossy();
    let number = text.parse().ok().filter(|it| (min..=max).contains(it));
    number.ok_or_else(|| Misuse(format!("\"{text}\" is no number from {min} to {max}")))
}
