//! `kvick export`.

use crate::args::{Args, Word};
use crate::fault::Fault;
use crate::load::{Load, Source, all};
use crate::out::say;
use crate::progress::Progress;
use crate::resume::replace;
use crate::session::{Session, client};
use crate::store::{Db, Store};
use kvick::{Exported, Kv, Limits, Range};
use std::fs::OpenOptions;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};

pub(crate) const USAGE: &str = "\
kvick export: write a database to a file, which import and copy read

usage: kvick export [OPTION]... FILE

  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

`-` is the standard output. A database behind a URL is read a thousand entries at a time: it is as of one
moment if it has no more, and otherwise each thousand is. When they expire is not told by the protocol, so they do
not. All of it is held in memory before it is written.
";

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let file = file(&mut args)?;
    let db = session.db(&args)?;
    let copied;
    let kv = match db.database() {
        Store::Embedded(kv) => kv,
        Store::Hosted(_) => {
            copied = read(&db, Range::all()).await?;
            &copied
        }
    };
    let Some(file) = file else {
        let exported = write_out(kv, session)?;
        say(&told(exported));
        return Ok(());
    };
    let exported = write_file(kv, &file)?;
    session.out.line(&told(exported))
}

/// The one file that is given; none for `-`.
fn file(args: &mut Args) -> Result<Option<PathBuf>, Fault> {
    let mut files = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Value(word) => files.push(word),
            Word::Option(name) => return Err(args.unknown(&name)),
        }
    }
    let file = files.pop();
    match (file, files.is_empty()) {
        (Some(file), true) if file == "-" => Ok(None),
        (Some(file), true) => Ok(Some(args.file(file))),
        _ => Err(args.refused("it takes one file")),
    }
}

pub(crate) fn told(exported: Exported) -> String {
    let (entries, bytes) = (exported.entries, exported.bytes);
    format!("exported {entries} entries, {bytes} bytes")
}

/// A database of the process for what is only on its way. What others have may be larger than Deno's limits.
pub(crate) fn waypoint() -> Kv {
    Kv::builder().limits(Limits::unlimited()).build()
}

/// What is in a database behind a URL.
async fn read(db: &Db, range: Range) -> Result<Kv, Fault> {
    let kv = waypoint();
    let target = client(Store::Embedded(kv.clone()));
    let progress = Progress::new("read", None);
    let mut load = Load::new(&target, false);
    all(&mut Source::new(db, range)?, &mut load, |taken, _| {
        progress.set(taken);
        Ok(())
    })
    .await?;
    Ok(kv)
}

fn write_out(kv: &Kv, session: &mut Session) -> Result<Exported, Fault> {
    if io::stdout().is_terminal() {
        return Err(Fault::usage(
            "an export is no text: it is not written to a terminal",
        ));
    }
    session.out.flush()?;
    let mut out = Output { is_unread: false };
    kv.export(&mut out).map_err(|error| {
        if out.is_unread {
            Fault::Unread
        } else {
            error.into()
        }
    })
}

/// The standard output, for large pieces.
struct Output {
    /// Nobody reads it any more.
    is_unread: bool,
}

impl Output {
    fn noted<T>(&mut self, done: io::Result<T>) -> io::Result<T> {
        done.inspect_err(|error| self.is_unread |= error.kind() == io::ErrorKind::BrokenPipe)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = io::stdout().write(bytes);
        self.noted(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = io::stdout().flush();
        self.noted(flushed)
    }
}

pub(crate) fn write_file(kv: &Kv, file: &Path) -> Result<Exported, Fault> {
    // What is no plain file, such as a pipe or /dev/null, is not replaced.
    if file.exists() && !file.is_file() {
        let opened = OpenOptions::new().write(true).open(file);
        let opened = opened.map_err(|error| Fault::failed(error).of(file.display()))?;
        let exported = kv.export(opened);
        return exported.map_err(|error| Fault::from(error).of(file.display()));
    }
    replace(file, |new| Ok(kv.export(new)?)).map_err(|fault| match fault {
        Fault::Failed(what) if !what.contains(&*file.to_string_lossy()) => {
            Fault::Failed(what).of(file.display())
        }
        other => other,
    })
}
