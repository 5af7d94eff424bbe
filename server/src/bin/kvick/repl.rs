//! `kvick repl`.

use crate::args::{Args, Word};
use crate::commands::{self, COMMANDS};
use crate::complete::Prompt;
use crate::fault::Fault;
use crate::import::read;
use crate::line::{LineError, words};
use crate::out::say;
use crate::session::{Session, client};
use crate::store::Store;
use kvick::{ImportExpiry, ImportOptions};
use rustyline::error::ReadlineError;
use rustyline::history::FileHistory;
use rustyline::{CompletionType, Config, Editor};
use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{env, fs, process};
use tokio::runtime::Runtime;

const USAGE: &str = "\
kvick repl: a prompt for a database, behind a URL or fresh and of its own

usage: kvick repl [OPTION]...

  --import FILE     begin with what is in it
  --history FILE    where lines are remembered [default: kvick/history, where data of users are kept]
  --no-history      remember none; nor one that begins with a space
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

Where the standard input is no terminal, its lines are a script: the first that fails ends it, with its
exit code. Empty lines, and those that begin with # or //, are passed over.
";

#[derive(Default)]
struct Asked {
    import: Option<PathBuf>,
    history: Option<PathBuf>,
    no_history: bool,
}

fn parse(args: &mut Args) -> Result<Asked, Fault> {
    let mut asked = Asked::default();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) => match &name[..] {
                "import" => asked.import = Some(args.path()?),
                "history" => asked.history = Some(args.path()?),
                "no-history" => asked.no_history = true,
                _ => return Err(args.unknown(&name)),
            },
            Word::Value(_) => return Err(args.refused("it takes options only")),
        }
    }
    Ok(asked)
}

pub(crate) fn command(words: Vec<OsString>, runtime: &Runtime) -> Result<(), Fault> {
    let mut args = Args::new(words, USAGE);
    let asked = parse(&mut args)?;
    let place = args.place();
    let _entered = runtime.enter();
    let store = place.open_or_fresh()?;
    let is_script = !io::stdin().is_terminal();
    if let Some(file) = &asked.import {
        let Store::Embedded(kv) = &store else {
            return Err(args
                .refused("--import is for a fresh database: `import` brings a file into another"));
        };
        if is_script && file == Path::new("-") {
            return Err(args.refused("the standard input has the lines"));
        }
        let as_it_was = ImportOptions::default().keep_versionstamps();
        read(kv, file, &as_it_was.expiry(ImportExpiry::Dated))?;
    }
    let mut session = Session::new(Some(store.clone()));
    if is_script {
        let ends_itself = Arc::clone(&session.ends_itself);
        runtime.spawn(end_when_interrupted(ends_itself));
        script(&mut session, runtime)
    } else {
        prompt(&mut session, runtime, &store, &asked)
    }
}

/// Whether it goes on.
enum Then {
    On,
    End,
}

/// Does what a line says.
fn run(line: &[String], session: &mut Session, runtime: &Runtime) -> Result<Then, Fault> {
    let Some((name, rest)) = line.split_first() else {
        return Ok(Then::On);
    };
    match &name[..] {
        "exit" | "quit" => return Ok(Then::End),
        "help" => {
            help(rest, session)?;
            return Ok(Then::On);
        }
        _ => {}
    }
    let Some(command) = commands::find(name) else {
        return Err(Fault::usage(format!(
            "there is no command {name:?}; `help` shows them"
        )));
    };
    let words = rest.iter().map(OsString::from).collect();
    session
        .ends_itself
        .store(command.ends_itself(), Ordering::Relaxed);
    let done = runtime.block_on(async {
        tokio::select! {
            // First, so that it is listened for before a command that gives nobody a turn.
            biased;
            () = interrupted(), if !command.ends_itself() => Err(Fault::failed("interrupted")),
            done = command.run_within(words, session) => done,
        }
    });
    session.ends_itself.store(false, Ordering::Relaxed);
    match done {
        Ok(()) => Ok(Then::On),
        Err(Fault::Help(usage)) => {
            session.out.bytes(usage.as_bytes())?;
            session.out.flush()?;
            Ok(Then::On)
        }
        Err(fault) => {
            // What was shown before it failed.
            session.out.flush()?;
            Err(fault)
        }
    }
}

/// Is ready when the user has enough of a command. A script ends as any program does.
async fn interrupted() {
    if io::stdin().is_terminal() && tokio::signal::ctrl_c().await.is_ok() {
        return;
    }
    std::future::pending::<()>().await;
}

/// How a program ends that control-C ends.
const INTERRUPTED: i32 = 130;

/// Ends the process when it is interrupted, unless a command runs that ends itself then. (That these listen for it
/// would leave it without effect from then on.)
async fn end_when_interrupted(ends_itself: Arc<AtomicBool>) {
    while tokio::signal::ctrl_c().await.is_ok() {
        if !ends_itself.load(Ordering::Relaxed) {
            process::exit(INTERRUPTED);
        }
    }
}

fn help(about: &[String], session: &mut Session) -> Result<(), Fault> {
    for command in COMMANDS {
        if about.is_empty() {
            // The first line says what it does.
            let line = command.usage.lines().next().unwrap_or_default();
            session.out.line(line.trim_start_matches("kvick "))?;
        } else if about.iter().any(|name| name == command.name) {
            session.out.line(command.usage)?;
        }
    }
    if about.is_empty() {
        session.out.line("help COMMAND: say more\nexit: end it")?;
    }
    session.out.flush()
}

/// What is to be passed over.
fn is_comment(line: &str) -> bool {
    let line = line.trim_start();
    line.is_empty() || line.starts_with('#') || line.starts_with("//")
}

fn script(session: &mut Session, runtime: &Runtime) -> Result<(), Fault> {
    let (mut line, mut number, mut begin) = (String::new(), 0_u64, 0_u64);
    loop {
        if line.is_empty() {
            begin = number + 1;
        }
        let of_input = |error: io::Error| Fault::failed(format!("the standard input: {error}"));
        // Not locked for longer: a command may read it too.
        let read = io::stdin().read_line(&mut line).map_err(of_input)?;
        number += 1;
        if is_comment(&line) {
            line.clear();
            if read == 0 {
                return Ok(());
            }
            continue;
        }
        let words = match words(&line) {
            Err(LineError::Open(_)) if read > 0 => continue,
            words => words.map_err(|error| Fault::usage(format!("line {begin}: {error}")))?,
        };
        match run(&words, session, runtime).map_err(|fault| fault.of(format!("line {begin}")))? {
            Then::On => line.clear(),
            Then::End => return Ok(()),
        }
    }
}

fn prompt(
    session: &mut Session,
    runtime: &Runtime,
    store: &Store,
    asked: &Asked,
) -> Result<(), Fault> {
    let config = Config::builder()
        .history_ignore_space(true)
        .completion_type(CompletionType::List)
        .build();
    let mut editor: Editor<Prompt, FileHistory> =
        Editor::with_config(config).map_err(Fault::failed)?;
    editor.set_helper(Some(Prompt::new(
        client(store.clone()),
        runtime.handle().clone(),
    )));
    let history = if asked.no_history {
        None
    } else {
        history(asked)
    };
    if let Some(file) = &history
        && file.exists()
        && let Err(error) = editor.load_history(file)
    {
        say(&format!("{}: {error}", file.display()));
    }
    say(&format!("{}; `help` says what there is", store.name()));
    loop {
        let line = match editor.readline("> ") {
            Ok(line) => line,
            Err(ReadlineError::Interrupted) => continue,
            Err(ReadlineError::Eof) => return Ok(()),
            Err(error) => return Err(Fault::failed(error)),
        };
        if is_comment(&line) {
            continue;
        }
        let is_new = editor.add_history_entry(&line[..]).unwrap_or(false);
        if let Some(file) = history.as_ref().filter(|_| is_new) {
            // To have no history is no reason to stop.
            let _ = editor.append_history(file);
        }
        let done = match words(&line) {
            Ok(words) => run(&words, session, runtime),
            Err(error) => Err(Fault::usage(error.to_string())),
        };
        match done {
            Ok(Then::On) => {}
            Ok(Then::End) | Err(Fault::Unread) => return Ok(()),
            Err(fault) => say(&fault.to_string()),
        }
    }
}

/// Where lines are remembered; nowhere, where no user has a place for it.
fn history(asked: &Asked) -> Option<PathBuf> {
    if asked.history.is_some() {
        return asked.history.clone();
    }
    let absolute = |name| {
        let path = env::var_os(name).map(PathBuf::from);
        path.filter(|path| path.is_absolute())
    };
    let data = absolute("XDG_DATA_HOME");
    let data = data.or_else(|| Some(absolute("HOME")?.join(".local").join("share")))?;
    let folder = data.join("kvick");
    fs::create_dir_all(&folder).ok()?;
    Some(folder.join("history"))
}
