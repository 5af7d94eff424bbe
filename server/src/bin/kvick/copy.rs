//! `kvick copy`.

use crate::args::{Args, Word, text};
use crate::export::{told as exported, waypoint, write_file};
use crate::fault::Fault;
use crate::import::{after, expiry, identified, told};
use crate::load::{Load, Source, Totals, all};
use crate::place::{Place, address};
use crate::progress::Progress;
use crate::range::key;
use crate::resume::{State, remove};
use crate::session::{Session, client};
use crate::store::{Db, Store};
use kvick::{ImportExpiry, ImportOptions, Key, Range};
use std::path::{Path, PathBuf};

pub(crate) const USAGE: &str = "\
kvick copy: copy a database to another, each of them behind a URL or in a file

usage: kvick copy [OPTION]... --from URL|FILE --to URL|FILE

  --prefix KEY              only what is below it
  --if-absent               leave alone what is there already; otherwise it is overwritten
  --resume STATEFILE        remember there how far it has come, and go on from there; the file is removed at
                            the end. What changes meanwhile behind that place is not copied again
  --expiry dated|left|dropped   what becomes of the expiry in a file, as import has it [default: dated]
  --from-token-file FILE    the access token of either side, for two
  --to-token-file FILE      servers; neither is shown that of the other
  --access-token-file FILE, --timeout TIME    see kvick --help

A commit has at most 1,000 entries and 800 KiB, and an entry what Deno's databases take: a key of 2,048 bytes, a
value of 65,536. What is turned away for the moment is tried again within the time for one operation.
When entries expire is known of a file, and not told by a URL.
";

/// A bound behind every key that a database with Deno's limits can have.
const BEHIND_ALL: [u8; 2_049] = [0xff; 2_049];

#[derive(Default)]
struct Asked {
    from: Option<String>,
    to: Option<String>,
    from_token: Option<PathBuf>,
    to_token: Option<PathBuf>,
    prefix: Option<(String, Key)>,
    if_absent: bool,
    resume: Option<PathBuf>,
    expiry: Option<ImportExpiry>,
}

fn parse(args: &mut Args) -> Result<Asked, Fault> {
    let mut asked = Asked::default();
    while let Some(word) = args.next()? {
        let Word::Option(name) = word else {
            return Err(args.refused("it takes options only"));
        };
        match &name[..] {
            "from" => asked.from = Some(text(args.path()?.into())?),
            "to" => asked.to = Some(text(args.path()?.into())?),
            "from-token-file" => asked.from_token = Some(args.path()?),
            "to-token-file" => asked.to_token = Some(args.path()?),
            "prefix" => {
                let text = args.text()?;
                let prefix = key(&text)?;
                asked.prefix = Some((text, prefix));
            }
            "if-absent" => asked.if_absent = true,
            "resume" => asked.resume = Some(args.path()?),
            "expiry" => asked.expiry = Some(expiry(&args.text()?)?),
            _ => return Err(args.unknown(&name)),
        }
    }
    Ok(asked)
}

fn is_url(text: &str) -> bool {
    let is =
        |begin: &str| (text.get(..begin.len())).is_some_and(|it| it.eq_ignore_ascii_case(begin));
    is("http://") || is("https://")
}

/// Refuses to show two servers one token: that of the one is nothing for the other.
fn check_tokens(args: &Args, asked: &Asked, from: &str, to: &str) -> Result<(), Fault> {
    if !is_url(from) || !is_url(to) || (asked.from_token.is_some() && asked.to_token.is_some()) {
        return Ok(());
    }
    if address(from)?.origin() == address(to)?.origin() {
        return Ok(());
    }
    Err(args.refused(
        "two servers are not shown one token: it takes --from-token-file and --to-token-file",
    ))
}

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let asked = parse(&mut args)?;
    let (Some(from), Some(to)) = (&asked.from, &asked.to) else {
        return Err(args.refused("it takes --from and --to"));
    };
    if !is_url(to) && (asked.resume.is_some() || asked.if_absent) {
        return Err(
            args.refused("--resume and --if-absent go with --to URL: a file is written anew")
        );
    }
    if is_url(from) && asked.expiry.is_some() {
        return Err(args.refused("--expiry goes with --from FILE: a URL does not tell it"));
    }
    for side in [from, to] {
        if side.contains("://") && !is_url(side) {
            // It is no file, and may have a password in it, which is not printed.
            address(side)?;
        }
    }
    check_tokens(&args, &asked, from, to)?;
    let open = |url: &str, token: &Option<PathBuf>| {
        let place = args.place();
        let token_file = token.clone().or(place.token_file.clone());
        Place {
            token_file,
            ..place
        }
        .open_at(url)
    };
    let (mut expired, mut total, mut export) = (0, None, String::new());
    let source = if is_url(from) {
        open(from, &asked.from_token)?
    } else {
        let kv = waypoint();
        let options = ImportOptions::default().expiry(asked.expiry.unwrap_or(ImportExpiry::Dated));
        let imported;
        (imported, export) = identified(&kv, Path::new(from), &options)?;
        (expired, total) = (imported.expired, Some(imported.entries));
        Store::Embedded(kv)
    };
    let target = if is_url(to) {
        open(to, &asked.to_token)?
    } else {
        Store::Embedded(waypoint())
    };
    let (source, target) = (client(source), client(target));
    let sides = Sides { from, to, export };
    let totals = copy(&source, &target, &sides, &asked, total).await?;
    if let Some(kv) = target.database().kv() {
        let exported = exported(write_file(kv, Path::new(to))?);
        return session.out.line(&exported);
    }
    session.out.line(&told("copied", totals, expired))
}

/// What is below the prefix and behind a key.
fn range(prefix: Option<&Key>, behind: Option<Vec<u8>>) -> Range {
    let (start, end) = match prefix {
        Some(prefix) => (
            [prefix.as_bytes(), &[0]].concat(),
            [prefix.as_bytes(), &[0xff]].concat(),
        ),
        None => (Vec::new(), BEHIND_ALL.to_vec()),
    };
    match behind {
        Some(mut key) => {
            key.push(0);
            Range::raw(key, end)
        }
        None => Range::raw(start, end),
    }
}

/// What is copied where, as it was asked for.
struct Sides<'a> {
    from: &'a str,
    to: &'a str,
    /// What tells an export from others.
    export: String,
}

async fn copy(
    source: &Db,
    target: &Db,
    sides: &Sides<'_>,
    asked: &Asked,
    total: Option<u64>,
) -> Result<Totals, Fault> {
    let (prefix, below) = match &asked.prefix {
        Some((text, prefix)) => (&text[..], Some(prefix)),
        None => ("", None),
    };
    let mut state = State::new(sides.from, sides.to, &sides.export, prefix);
    if let Some(file) = &asked.resume {
        state = state.or_in(file)?;
    }
    let before = state.entries;
    let progress = Progress::new("copied", total.filter(|_| below.is_none()));
    let mut load = Load::new(target, asked.if_absent);
    let mut source = Source::new(source, range(below, state.after()))?;
    let mut set = 0;
    let each = |taken: u64, last: Option<Key>| {
        progress.set(before + taken);
        if let (Some(file), Some(last)) = (&asked.resume, last) {
            state.advance(last.as_bytes(), before + set);
            state.write(file)?;
        }
        // When an entry has no room, those before it are set.
        set = taken;
        Ok(())
    };
    let done = all(&mut source, &mut load, each).await;
    drop(progress);
    done.map_err(|fault| after(fault, load.totals))?;
    if let Some(file) = &asked.resume {
        remove(file)?;
    }
    Ok(load.totals)
}
