//! The commands that both the command line and the prompt have.

use crate::args::Args;
use crate::fault::Fault;
use crate::session::Session;
use crate::{atomic, bench, copy, count, delete, export, get, import, list, set, watch};
use std::ffi::OsString;
use std::pin::Pin;

type Running<'a> = Pin<Box<dyn Future<Output = Result<(), Fault>> + 'a>>;

/// One of them.
pub(crate) struct Command {
    pub(crate) name: &'static str,
    pub(crate) usage: &'static str,
    run: for<'a> fn(Args, &'a mut Session) -> Running<'a>,
}

macro_rules! commands {
    ($($name:ident),* $(,)?) => {
        &[$(Command {
            name: stringify!($name),
            usage: $name::USAGE,
            run: |args, session| Box::pin($name::command(args, session)),
        }),*]
    };
}

pub(crate) const COMMANDS: &[Command] = commands![
    get, set, delete, list, count, watch, atomic, export, import, copy, bench,
];

pub(crate) fn find(name: &str) -> Option<&'static Command> {
    COMMANDS.iter().find(|command| command.name == name)
}

impl Command {
    /// Whether it takes an interruption itself, to end well.
    pub(crate) fn ends_itself(&self) -> bool {
        matches!(self.name, "watch" | "bench")
    }

    /// For whatever database the words say.
    pub(crate) async fn run_alone(&self, words: Vec<OsString>) -> Result<(), Fault> {
        let args = Args::new(words, self.usage);
        self.run(args, &mut Session::new(None)).await
    }

    /// For the one that a prompt has.
    pub(crate) async fn run_within(
        &self,
        words: Vec<OsString>,
        session: &mut Session,
    ) -> Result<(), Fault> {
        let args = Args::within(words, self.usage);
        self.run(args, session).await
    }

    async fn run(&self, args: Args, session: &mut Session) -> Result<(), Fault> {
        let done = (self.run)(args, session).await;
        let flushed = session.out.flush();
        done.and(flushed)
    }
}

#[cfg(test)]
mod tests {
    use super::COMMANDS;
    use crate::line::words;
    use crate::out::Out;
    use crate::session::Session;
    use crate::store::Store;
    use kvick::Kv;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::ffi::OsString;
    use std::io;
    use tokio::runtime::Builder;

    /// Those that write no file, and end soon.
    const DRAWN: [&str; 6] = ["get", "set", "delete", "list", "count", "atomic"];

    const WORDS: [&str; 30] = [
        "'a'",
        "['a', 1n]",
        "[]",
        "[",
        "-1",
        "--",
        "--json",
        "--prefix",
        "--start",
        "--end",
        "--limit",
        "0",
        "7",
        "--keys",
        "--reverse",
        "--if-absent",
        "--if-version",
        "00000000000000010000",
        "--expire-in",
        "1s",
        "check",
        "absent",
        "set",
        "sum",
        "delete",
        "u64(3)",
        "{ a: [] }",
        "new Set([b\"x\"])",
        "--\u{1b}",
        "=",
    ];

    #[test]
    fn no_words_make_a_command_panic() {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("it starts");
        let mut session = Session::new(Some(Store::Embedded(Kv::new())));
        session.out = Out::to(io::sink());
        let mut random = StdRng::seed_from_u64(6);
        let mut done = 0;
        for _ in 0..5_000 {
            let name = DRAWN[random.random_range(0..DRAWN.len())];
            let count = random.random_range(0..6);
            let drawn = (0..count).map(|_| WORDS[random.random_range(0..WORDS.len())]);
            let line = drawn.collect::<Vec<_>>().join(" ");
            let Ok(words) = words(&line) else {
                continue;
            };
            let words = words.into_iter().map(OsString::from).collect();
            let command = COMMANDS.iter().find(|command| command.name == name);
            let command = command.expect("it is one");
            let fault = runtime
                .block_on(command.run_within(words, &mut session))
                .err();
            // Whatever it is, it can be said.
            done += usize::from(fault.is_none_or(|fault| fault.to_string().is_empty()));
        }
        assert!(done > 100, "{done} were fine");
    }
}
