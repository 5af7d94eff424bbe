//! `kvick delete`.

use crate::args::{Args, Word, text};
use crate::fault::Fault;
use crate::range::{Selection, key};
use crate::session::Session;

pub(crate) const USAGE: &str = "\
kvick delete: delete keys

usage: kvick delete [OPTION]... KEY...
       kvick delete [OPTION]... --prefix KEY

  --prefix KEY    everything below it, in batches, without asking; shows how many there were
  --start KEY     of that, from here on, included
  --end KEY       and up to here, excluded
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

Keys are deleted by one commit, whether they are there or not, and its versionstamp is shown. `--prefix '[]'`
is everything.
";

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let (mut keys, mut selection, mut selects) = (Vec::new(), Selection::default(), false);
    while let Some(word) = args.next()? {
        match word {
            Word::Value(word) => keys.push(key(&text(word)?)?),
            Word::Option(name) if selection.take(&name, &mut args)? => selects = true,
            Word::Option(name) => return Err(args.unknown(&name)),
        }
    }
    if keys.is_empty() != selects {
        return Err(args.refused("it takes keys, or --prefix"));
    }
    if selects && !selection.has_prefix() {
        return Err(args.refused("--start and --end go with --prefix"));
    }
    let db = session.db(&args)?;
    if selects {
        let range = selection.range();
        let count = match db.database().kv() {
            Some(kv) => kv.delete_range(range)?.count,
            None => db.delete_range(range).await?,
        };
        return session.out.line(&count.to_string());
    }
    let mut operation = db.atomic();
    for key in keys {
        operation.delete(key);
    }
    match operation.commit().await?.versionstamp() {
        Some(versionstamp) => session.out.line(&versionstamp.to_string()),
        None => Err(Fault::failed(
            "the server says that a check failed, and there was none",
        )),
    }
}
