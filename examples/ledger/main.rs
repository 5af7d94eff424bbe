//! Transfers between accounts by many threads at once: a load that proves itself.
//!
//! ```text
//! cargo run --release --example ledger
//! cargo run --release --example ledger -- --help
//! cargo run --release --example ledger -- --input examples/data/transfers.csv
//! ```
//!
//! [`bank`] has the transfers and the audits, all that there is to see of the database; [`crew`]
//! runs them on threads; [`load`] makes transfers up, and [`input`] reads them from a file.

mod args;
mod bank;
mod crew;
mod csv;
mod input;
mod load;
mod report;

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;
use std::thread;

use args::Request;
use crew::Findings;
use kvick::Kv;

/// Something was not conserved.
const VIOLATED: u8 = 1;

/// The command line or the input could not be used, or the results could not be written.
const UNUSABLE: u8 = 2;

/// Why nothing can be said about conservation.
#[derive(Debug)]
enum Failure {
    Input { name: String, error: io::Error },
    Output(io::Error),
    Threads(io::Error),
    Panicked,
    Kv(kvick::Error),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { name, error } => write!(f, "cannot read {name}: {error}"),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
            Self::Threads(error) => write!(f, "cannot start as many threads: {error}"),
            Self::Panicked => f.write_str("a thread has panicked"),
            Self::Kv(error) => error.fmt(f),
        }
    }
}

impl From<kvick::Error> for Failure {
    fn from(error: kvick::Error) -> Self {
        Self::Kv(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

fn main() -> ExitCode {
    let request = match args::parse(lexopt::Parser::from_env()) {
        Ok(request) => request,
        Err(misuse) => {
            complain(format_args!("{misuse}\ntry --help"));
            return ExitCode::from(UNUSABLE);
        }
    };
    let mut out = BufWriter::new(io::stdout().lock());
    let ended = answer(&request, &mut out);
    // What the writer still holds is of no use where writing has failed.
    drop(out.into_parts());
    match ended {
        Ok(status) => status,
        Err(failure) => {
            complain(format_args!("{failure}"));
            ExitCode::from(UNUSABLE)
        }
    }
}

fn answer(request: &Request, out: &mut impl Write) -> Result<ExitCode, Failure> {
    let (findings, written) = match request {
        Request::Help => {
            let written = out.write_all(args::HELP.as_bytes()).map_err(Failure::from);
            (Findings::default(), written)
        }
        Request::Load(load) => {
            let (bank, results) = load::run(load)?;
            settle(bank.kv());
            let written = report::write(out, &bank, &results).map_err(Failure::from);
            (results.findings, written)
        }
        Request::Input(input) => {
            let applied = input::run(input)?;
            settle(applied.bank.kv());
            // Nobody may be listening.
            let _ = applied.write_refused(&mut BufWriter::new(io::stderr().lock()));
            let written = applied
                .write(out)
                .and_then(|()| Ok(report::write(out, &applied.bank, &applied.results)?));
            (applied.results.findings, written)
        }
    };
    for violation in &findings.described {
        complain(format_args!("violation: {violation}"));
    }
    let written = written.and_then(|()| Ok(out.flush()?));
    match (findings.violations, written) {
        (1.., _) => Ok(ExitCode::from(VIOLATED)),
        // Whoever reads has read enough.
        (0, Err(Failure::Output(error))) if error.kind() == io::ErrorKind::BrokenPipe => {
            Ok(ExitCode::SUCCESS)
        }
        (0, written) => written.map(|()| ExitCode::SUCCESS),
    }
}

/// Sweeps away what has been superseded. A thread that has just ended may hold some of it for a
/// moment longer, so once may not do.
fn settle(kv: &Kv) {
    const SWEEPS_MAX: usize = 100;
    for _ in 0..SWEEPS_MAX {
        kv.sweep();
        let stats = kv.stats();
        if stats.version_count == stats.entry_count {
            return;
        }
        thread::yield_now();
    }
}

fn complain(what: fmt::Arguments<'_>) {
    // Nobody may be listening.
    let _ = writeln!(io::stderr(), "ledger: {what}");
}
