//! `kvick list`.

use crate::args::{Args, Word};
use crate::fault::Fault;
use crate::literal::{entry_json, key_text, missing_json, value_text};
use crate::range::Selection;
use crate::session::Session;
use kvick::Entry;
use std::num::NonZero;

pub(crate) const USAGE: &str = "\
kvick list: show entries in the order of their keys, each in a line: KEY, a tab, VALUE

usage: kvick list [OPTION]...

  --prefix KEY    only what is below it
  --start KEY     from here on, included
  --end KEY       up to here, excluded
  --reverse       from the last one on
  --limit N       so many at most
  --keys          without values
  --json          each as {\"key\": .., \"value\": .., \"versionstamp\": ..}, exactly
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

It reads a hundred entries at a time, each as of its own moment.
";

/// Entries that are read at a time.
const BATCH: usize = 100;

#[derive(Default)]
struct Asked {
    selection: Selection,
    is_reverse: bool,
    limit: Option<NonZero<usize>>,
    shown: Shown,
}

/// How an entry is shown.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Shown {
    pub(crate) keys_only: bool,
    pub(crate) is_json: bool,
}

impl Shown {
    /// The line of an entry, of a key that is there or not.
    pub(crate) fn line(self, entry: &Entry) -> String {
        let key = entry.key();
        match (entry.value(), entry.versionstamp()) {
            (Some(value), Some(versionstamp)) if self.is_json && !self.keys_only => {
                entry_json(key, value.as_ref(), versionstamp)
            }
            (None, _) | (_, None) if self.is_json => missing_json(key),
            (Some(_), Some(_)) if self.keys_only => key_text(key),
            (Some(value), Some(_)) => format!("{}\t{}", key_text(key), value_text(value.as_ref())),
            (None, _) | (_, None) => format!("{}\tmissing", key_text(key)),
        }
    }
}

fn parse(args: &mut Args) -> Result<Asked, Fault> {
    let mut asked = Asked::default();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) if asked.selection.take(&name, args)? => {}
            Word::Option(name) => match &name[..] {
                "reverse" => asked.is_reverse = true,
                "limit" => asked.limit = Some(args.number()?),
                "keys" => asked.shown.keys_only = true,
                "json" => asked.shown.is_json = true,
                _ => return Err(args.unknown(&name)),
            },
            Word::Value(_) => return Err(args.refused("it takes options only")),
        }
    }
    if asked.shown.keys_only && asked.shown.is_json {
        return Err(args.refused("--keys does not go with --json"));
    }
    Ok(asked)
}

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let asked = parse(&mut args)?;
    let db = session.db(&args)?;
    let mut list = db.list(asked.selection.range()).batch_size(BATCH);
    if asked.is_reverse {
        list = list.reverse();
    }
    if let Some(limit) = asked.limit {
        list = list.limit(limit.get());
    }
    let mut entries = list.stream()?;
    let mut shown = 0;
    while let Some(entry) = entries.next().await {
        session.out.line(&asked.shown.line(&entry?))?;
        shown += 1;
        if shown % BATCH == 0 {
            // Whoever reads it is to see it while the next are read, or to say that it is enough.
            session.out.flush()?;
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}
