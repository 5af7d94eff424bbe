//! `kvick import`.

use crate::args::{Args, Word};
use crate::export::waypoint;
use crate::fault::Fault;
use crate::load::{Load, Source, Totals, all};
use crate::progress::Progress;
use crate::session::{Session, client};
use crate::store::{Db, Store};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use kvick::{ImportExpiry, ImportOptions, Imported, Kv, Range};
use std::fmt::Write;
use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Of an export.
const HEADER_BYTES: u64 = 36;

pub(crate) const USAGE: &str = "\
kvick import: bring a file back that export has written

usage: kvick import [OPTION]... FILE

  --if-absent        leave alone what is there already; otherwise it is overwritten
  --expiry dated     entries expire when they would have, and those that would have by now do not come [default]
  --expiry left      they have as long as they had when the file was written
  --expiry dropped   they do not expire
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

`-` is the standard input. The file is read and verified as a whole first. To a database behind a URL it goes in
several commits; if one of them fails, those before it stay, and to import the file again does no harm.
";

#[derive(Default)]
struct Asked {
    file: Option<PathBuf>,
    if_absent: bool,
    expiry: Option<ImportExpiry>,
}

/// What becomes of expiry, as the option says it.
pub(crate) fn expiry(text: &str) -> Result<ImportExpiry, Fault> {
    match text {
        "dated" => Ok(ImportExpiry::Dated),
        "left" => Ok(ImportExpiry::TimeLeft),
        "dropped" => Ok(ImportExpiry::Dropped),
        _ => Err(Fault::usage(format!(
            "--expiry is dated, left or dropped, and not {text:?}"
        ))),
    }
}

fn parse(args: &mut Args) -> Result<Asked, Fault> {
    let mut asked = Asked::default();
    while let Some(word) = args.next()? {
        match word {
            Word::Value(word) if asked.file.is_none() => asked.file = Some(args.file(word)),
            Word::Value(_) => return Err(args.refused("it takes one file")),
            Word::Option(name) => match &name[..] {
                "if-absent" => asked.if_absent = true,
                "expiry" => asked.expiry = Some(expiry(&args.text()?)?),
                _ => return Err(args.unknown(&name)),
            },
        }
    }
    Ok(asked)
}

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let asked = parse(&mut args)?;
    let Some(file) = asked.file else {
        return Err(args.refused("it takes a file"));
    };
    let db = session.db(&args)?;
    let options = ImportOptions::default().expiry(asked.expiry.unwrap_or(ImportExpiry::Dated));
    let (totals, expired) = match db.database() {
        Store::Embedded(kv) if !asked.if_absent => {
            let imported = read(kv, &file, &options.overwrite())?;
            let copied = imported.entries;
            (
                Totals {
                    copied,
                    commits: 1,
                    ..Totals::default()
                },
                imported.expired,
            )
        }
        _ => {
            let kv = waypoint();
            let imported = read(&kv, &file, &options)?;
            (
                write(kv, imported.entries, &db, asked.if_absent).await?,
                imported.expired,
            )
        }
    };
    session.out.line(&told("imported", totals, expired))
}

/// Sets what is in a database of the process in another one.
async fn write(kv: Kv, total: u64, db: &Db, if_absent: bool) -> Result<Totals, Fault> {
    let from = client(Store::Embedded(kv));
    let progress = Progress::new("imported", Some(total));
    let mut load = Load::new(db, if_absent);
    let mut source = Source::new(&from, Range::all())?;
    let done = all(&mut source, &mut load, |taken, _| {
        progress.set(taken);
        Ok(())
    });
    let done = done.await;
    drop(progress);
    done.map_err(|fault| after(fault, load.totals))?;
    Ok(load.totals)
}

/// A fault with what was done before it.
pub(crate) fn after(fault: Fault, totals: Totals) -> Fault {
    match (fault, totals.copied) {
        (Fault::Failed(what), copied @ 1..) => {
            Fault::Failed(format!("{what}; {copied} entries were written before that"))
        }
        (other, _) => other,
    }
}

/// Reads an export into a database of the process.
pub(crate) fn read(kv: &Kv, file: &Path, options: &ImportOptions) -> Result<Imported, Fault> {
    let (imported, _) = identified(kv, file, options)?;
    Ok(imported)
}

/// Likewise, and says what tells it from others: its header, which has its time and its versionstamp.
pub(crate) fn identified(
    kv: &Kv,
    file: &Path,
    options: &ImportOptions,
) -> Result<(Imported, String), Fault> {
    if file == Path::new("-") {
        let imported = import(kv, io::stdin().lock(), options);
        return imported.map_err(|fault| fault.of("the standard input"));
    }
    let opened = File::open(file).map_err(|error| Fault::failed(error).of(file.display()))?;
    let imported = import(kv, BufReader::new(opened), options);
    imported.map_err(|fault| fault.of(file.display()))
}

fn import(
    kv: &Kv,
    mut export: impl Read,
    options: &ImportOptions,
) -> Result<(Imported, String), Fault> {
    let mut header = Vec::new();
    let read = (&mut export).take(HEADER_BYTES).read_to_end(&mut header);
    read.map_err(Fault::failed)?;
    let imported = kv.import(header.chain(export), options)?;
    Ok((imported, BASE64_STANDARD.encode(&header)))
}

/// What was done, in a sentence.
pub(crate) fn told(verb: &str, totals: Totals, expired: u64) -> String {
    let plural = |count: u64, one: &str, more: &str| match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {more}"),
    };
    let entries = plural(totals.copied, "entry", "entries");
    let mut told = format!(
        "{verb} {entries} in {}",
        plural(totals.commits, "commit", "commits")
    );
    if totals.present > 0 {
        let _ = write!(told, ", {} already there", totals.present);
    }
    let expired = expired + totals.expired;
    if expired > 0 {
        let _ = write!(told, ", {expired} have expired");
    }
    told
}
