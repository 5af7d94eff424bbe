//! The command `kvick`.

mod args;
mod atomic;
mod batch;
mod bench;
mod commands;
mod complete;
mod copy;
mod count;
mod delete;
mod export;
mod fault;
mod get;
mod import;
mod line;
mod list;
mod literal;
mod load;
mod out;
mod place;
mod progress;
mod range;
mod repl;
mod resume;
mod serve;
mod session;
mod set;
mod store;
mod transport;
mod watch;

use fault::Fault;
use out::{Out, say};
use std::env;
use std::ffi::OsString;
use std::process::ExitCode;
use tokio::runtime::{Builder, Runtime};

const USAGE: &str = "\
kvick: a database of JavaScript's keys and values, in memory

usage: kvick COMMAND [WORD]...

  serve     serve a database over the KV Connect protocol
  get       show the value of a key
  set       set a key
  delete    delete keys
  list      show entries in the order of their keys
  count     say how many there are
  watch     show keys whenever they change
  atomic    check and write several keys at once
  export    write a database to a file
  import    bring a file back
  copy      copy a database
  bench     measure a database
  repl      all of that, at a prompt

But for serve, the database is anybody's that speaks KV Connect, Deno's among them:

  --url URL                  or KVICK_URL; without one, repl and bench have a fresh database of their own
  --access-token-file FILE   or KVICK_ACCESS_TOKEN, or DENO_KV_ACCESS_TOKEN
  --timeout TIME             for one operation, then it is given up [default: 10s]

Keys and values are written as in JavaScript: [\"users\", 42n, true], { name: \"Ann\", tags: [1.5, null] },
b\"\\x00\\xff\" for bytes, u64(7) for a Deno.KvU64, new Date(\"2026-01-31T12:00:00Z\"), new Map([[1, 2]]),
new Set([1]).

exit codes: 0 done; 1 failed; 2 wrong usage; 3 a check failed and nothing was written; 4 the key is missing

`kvick COMMAND --help` says more.
";

fn main() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    match run(words) {
        Ok(()) | Err(Fault::Unread) => ExitCode::SUCCESS,
        Err(Fault::Help(usage)) => {
            let mut out = Out::new();
            // Whoever does not read it does not want it.
            let _ = out.bytes(usage.as_bytes()).and_then(|()| out.flush());
            ExitCode::SUCCESS
        }
        Err(fault) => {
            say(&fault.to_string());
            fault.exit_code()
        }
    }
}

fn run(words: Vec<OsString>) -> Result<(), Fault> {
    let mut words = words.into_iter();
    let name = words.next().unwrap_or_default();
    let rest = words.collect();
    match name.to_str().unwrap_or_default() {
        "serve" => serve::command(rest),
        "repl" => repl::command(rest, &runtime()?),
        "help" | "-h" | "--help" => Err(Fault::Help(USAGE)),
        "-V" | "--version" => Err(Fault::Help(concat!(
            "kvick ",
            env!("CARGO_PKG_VERSION"),
            "\n"
        ))),
        "" => Err(Fault::usage(format!("which command?\n\n{USAGE}"))),
        other => match commands::find(other) {
            Some(command) => runtime()?.block_on(command.run_alone(rest)),
            None => Err(Fault::usage(format!(
                "there is no command {other:?}\n\n{USAGE}"
            ))),
        },
    }
}

fn runtime() -> Result<Runtime, Fault> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.map_err(Fault::failed)
}
