//! The command line of reading through.

use super::PEERS;
use crate::args::{KEYS_MAX, KEYS_MIN, Misuse, ROUNDS_MAX, number, record_folder, unknown};
use crate::session::Plan;
use crate::target::SIZES;
use crate::workload::{LARGE, SMALL};
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;

/// More than this many are not a matter of processors any more.
const THREADS_MAX: u32 = 256;

const THREADS: [u32; 4] = [1, 2, 4, 8];

/// What is asked for.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) plan: Plan,
    pub(crate) peers: Vec<&'static str>,
    /// How many entries the caches hold.
    pub(crate) keys: Vec<u32>,
    pub(crate) threads: Vec<u32>,
    pub(crate) value_bytes: Vec<u32>,
    /// Whether the frequent keys are drawn uniformly as well as by Zipf's law.
    pub(crate) is_varied: bool,
    /// The folder of the record, unless none is to be written.
    pub(crate) record: Option<PathBuf>,
}

/// Reads what comes behind the command's name.
pub(crate) fn parse(mut parser: Parser) -> Result<Wanted, Misuse> {
    let mut wanted = Wanted {
        plan: Plan::FULL,
        peers: Vec::new(),
        keys: Vec::new(),
        threads: Vec::new(),
        value_bytes: vec![SMALL, LARGE],
        is_varied: true,
        record: Some(record_folder()),
    };
    let mut rounds = None;
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("quick") => {
                wanted.plan = Plan::QUICK;
                wanted.value_bytes = vec![SMALL];
                wanted.is_varied = false;
            }
            Arg::Long("keys") => {
                let keys = number(&parser.value()?, KEYS_MIN, KEYS_MAX)?;
                wanted.keys.push(keys);
            }
            Arg::Long("threads") => {
                let threads = number(&parser.value()?, 1, THREADS_MAX)?;
                wanted.threads.push(threads);
            }
            Arg::Long("peer") => {
                let name = parser.value()?.string()?;
                let known = PEERS.into_iter().find(|known| *known == name);
                let peer = known.ok_or_else(|| unknown("cache", &name, &PEERS))?;
                wanted.peers.push(peer);
            }
            Arg::Long("rounds") => rounds = Some(number(&parser.value()?, 1, ROUNDS_MAX)?),
            Arg::Long("out") => wanted.record = Some(parser.value()?.into()),
            Arg::Long("no-record") => wanted.record = None,
            _ => return Err(arg.unexpected().into()),
        }
    }
    wanted.plan.rounds = rounds.unwrap_or(wanted.plan.rounds);
    if wanted.peers.is_empty() {
        wanted.peers.extend(PEERS);
    }
    for (list, usual) in [
        (&mut wanted.keys, &SIZES[..]),
        (&mut wanted.threads, &THREADS[..]),
    ] {
        if list.is_empty() {
            list.extend(usual);
        }
        list.sort_unstable();
        list.dedup();
    }
    Ok(wanted)
}
