//! kvick's server beside the reference, denokv: what each does in a second, how long it takes, and what it
//! costs the server.
//!
//! `README.md` says what is measured and how.

mod args;
mod call;
mod connection;
mod deno;
mod figures;
mod flight;
mod head;
#[path = "../../compare/src/host.rs"]
mod host;
mod load;
mod messages;
mod quiet;
mod record;
mod session;
mod subject;
mod table;
mod target;
mod workload;

use args::Wanted;
use deno::Deno;
use std::io::{self, Write};
use std::process::ExitCode;
use subject::Subject;

fn main() -> ExitCode {
    let done = match args::parse(lexopt::Parser::from_env()) {
        Ok(Some(wanted)) => measure(&wanted),
        Ok(None) => say(args::HELP),
        Err(error) => {
            let _ = writeln!(io::stderr(), "kvick-serve-bench: {error}\ntry --help");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "kvick-serve-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn say(text: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{}", text.trim_end()).map_err(|error| error.to_string())
}

fn measure(wanted: &Wanted) -> Result<(), String> {
    let kvick = wanted.kvick.clone().map_or_else(subject::build_kvick, Ok)?;
    let reference = wanted
        .reference
        .clone()
        .map_or_else(subject::reference, Ok)?;
    let mut denos = Vec::new();
    if wanted.asks_deno {
        let program = wanted.deno.clone().map_or_else(deno::program, Ok)?;
        for _ in 0..2 {
            denos.push(Deno::start(&program)?);
        }
    }
    let subjects = Subject::start_both(&kvick, &reference)?;
    let cells = session::measure(&wanted.plan, &subjects, &mut denos, wanted.asks_frames)?;
    drop(subjects);
    say(&format!("\n{}", table::page(&cells)))?;
    if let Some(folder) = &wanted.record {
        let path = record::write(folder, &cells).map_err(|error| error.to_string())?;
        say(&format!("\nwritten: {}.csv and .md", path.display()))?;
    }
    Ok(())
}
