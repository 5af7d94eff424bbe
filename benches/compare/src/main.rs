//! kvick beside its peers: one trait ([`store`]), one file a peer ([`peers`]), every pair interleaved
//! in one run ([`pair`]).
//!
//! `README.md` says what is measured and how, and what is fair about it.

mod alone;
mod args;
mod cell;
mod chart;
mod check;
mod draw;
mod heap;
mod hitratio;
mod host;
mod keys;
mod machine;
mod memory;
mod pair;
mod peers;
mod readthrough;
mod record;
mod session;
mod slice;
mod store;
mod subject;
mod table;
mod tail;
mod target;
mod workload;

use args::{Request, Wanted};
use cell::Cell;
use draw::Zipf;
use machine::Machine;
use pair::Pair;
use session::Session;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use tail::Tail;
use workload::Case;

/// The command line, or a record, could not be used.
const UNUSABLE: u8 = 2;

fn main() -> ExitCode {
    let request = match args::parse(lexopt::Parser::from_env()) {
        Ok(request) => request,
        Err(misuse) => return complain(&format_args!("{misuse}\ntry --help")),
    };
    let answered = match request {
        Request::Measure(wanted) => measure(&wanted),
        Request::Memory(name, keys) => say(&memory::report(name, keys)),
        Request::HitRatio(wanted) => match hitratio::measure(&wanted) {
            Ok(()) => Ok(()),
            Err(hitratio::Failure::Output(error)) => Err(error),
            Err(failure) => return complain(&failure),
        },
        Request::ReadThrough(wanted) => readthrough::measure(&wanted),
        Request::Help => say(&args::help()),
        Request::Table(path) => match record::read(&path) {
            Ok(cells) => say(&table::targets(&cells)),
            Err(error) => return complain(&format_args!("cannot use {}: {error}", path.display())),
        },
    };
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "kvick-compare: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{}", text.trim_end())
}

fn complain(error: &impl fmt::Display) -> ExitCode {
    // There is nobody else to tell.
    let _ = writeln!(io::stderr(), "kvick-compare: {error}");
    ExitCode::from(UNUSABLE)
}

fn measure(wanted: &Wanted) -> io::Result<()> {
    let machine = Machine::this();
    check::all(&wanted.peers);
    let cells = cells(wanted)?;
    say(&format!("\n{}", table::all(&cells)))?;
    say(&format!("\n{}", table::targets(&cells)))?;
    if let Some(folder) = &wanted.record {
        let chart = chart::svg(&cells, &machine.title());
        let path = record::write(folder, &machine, &cells, &chart)?;
        say(&format!("\nwritten: {}.csv, .md and .svg", path.display()))?;
    }
    Ok(())
}

fn cells(wanted: &Wanted) -> io::Result<Vec<Cell>> {
    let mut session = Session::new(wanted.plan, planned(wanted));
    for keys in &wanted.keys {
        let zipf = Arc::new(Zipf::new(*keys));
        for cases in wanted.cases.chunk_by(|a, b| a.value_bytes == b.value_bytes) {
            pairs(&mut session, wanted, cases, *keys, &zipf)?;
        }
        if wanted.two_threads {
            alone::two_threads(&mut session, *keys)?;
        }
        memory::measure(&mut session, &wanted.memory_peers, *keys)?;
    }
    if wanted.old_snapshot {
        alone::old_snapshot(&mut session)?;
    }
    if wanted.tail {
        for peer in &wanted.peers {
            peers::with(peer, Tail(&mut session))?;
        }
    }
    Ok(session.finish())
}

fn pairs(
    session: &mut Session,
    wanted: &Wanted,
    cases: &[Case],
    keys: u32,
    zipf: &Arc<Zipf>,
) -> io::Result<()> {
    for peer in &wanted.peers {
        let pair = Pair {
            session,
            cases,
            value_bytes: cases[0].value_bytes,
            keys,
            zipf,
        };
        peers::with(peer, pair)?;
    }
    Ok(())
}

/// How many times something will be done.
fn planned(wanted: &Wanted) -> usize {
    let of_size = wanted.cases.len() * wanted.peers.len()
        + 2 * usize::from(wanted.two_threads)
        + wanted.memory_peers.len();
    wanted.keys.len() * of_size
        + usize::from(wanted.old_snapshot)
        + usize::from(wanted.tail) * wanted.peers.len()
}
