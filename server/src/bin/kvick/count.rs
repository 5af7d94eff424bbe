//! `kvick count`.

use crate::args::{Args, Word};
use crate::fault::Fault;
use crate::progress::Progress;
use crate::range::Selection;
use crate::session::Session;

pub(crate) const USAGE: &str = "\
kvick count: say how many entries there are

usage: kvick count [OPTION]...

  --prefix KEY    only what is below it
  --start KEY     from here on, included
  --end KEY       up to here, excluded
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

All of them are read for it, a thousand at a time, each thousand as of its own moment.
";

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let mut selection = Selection::default();
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) if selection.take(&name, &mut args)? => {}
            Word::Option(name) => return Err(args.unknown(&name)),
            Word::Value(_) => return Err(args.refused("it takes options only")),
        }
    }
    let db = session.db(&args)?;
    let range = selection.range();
    if let Some(kv) = db.database().kv() {
        let count = kv.list(range).count()?;
        return session.out.line(&count.to_string());
    }
    let progress = Progress::new("counted", None);
    let mut entries = db.list(range).batch_size(1_000).stream()?;
    let mut count = 0_u64;
    while let Some(entry) = entries.next().await {
        entry?;
        count += 1;
        progress.set(count);
    }
    drop(progress);
    session.out.line(&count.to_string())
}
