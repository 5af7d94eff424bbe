//! The command `kvick`.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "what a command prints is what it is for"
)]

mod fault;
mod serve;

use fault::Fault;
use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

const USAGE: &str = "\
kvick: a database of JavaScript's keys and values, in memory

usage: kvick serve [OPTION]...    serve one over the KV Connect protocol

`kvick COMMAND --help` says more.
";

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let (command, rest) = match words.split_first() {
        Some((command, rest)) => (command.to_str().unwrap_or_default(), rest.to_vec()),
        None => ("", Vec::new()),
    };
    let done = match command {
        "serve" => serve::command(rest),
        "help" | "-h" | "--help" => {
            print!("{USAGE}");
            Ok(())
        }
        "-V" | "--version" => {
            println!("kvick {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        "" => Err(Fault::usage(USAGE)),
        other => Err(Fault::usage(format!(
            "there is no command {other:?}\n\n{USAGE}"
        ))),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(fault) => {
            eprintln!("kvick: {fault}");
            fault.exit_code()
        }
    }
}
