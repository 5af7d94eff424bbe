//! `kvick get`.

use crate::args::{Args, Word, text};
use crate::fault::Fault;
use crate::literal::{entry_json, key_text, value_text};
use crate::range::key;
use crate::session::Session;

pub(crate) const USAGE: &str = "\
kvick get: show the value of a key

usage: kvick get [OPTION]... KEY

  --json    as {\"key\": .., \"value\": .., \"versionstamp\": ..}, exactly
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

exit code 4 if the key is missing
";

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let (mut keys, mut is_json) = (Vec::new(), false);
    while let Some(word) = args.next()? {
        match word {
            Word::Option(name) if name == "json" => is_json = true,
            Word::Option(name) => return Err(args.unknown(&name)),
            Word::Value(word) => keys.push(key(&text(word)?)?),
        }
    }
    let [key] = &keys[..] else {
        return Err(args.refused("it takes one key"));
    };
    let entry = session.db(&args)?.get(key.clone()).await?;
    let (Some(value), Some(versionstamp)) = (entry.value(), entry.versionstamp()) else {
        return Err(Fault::Missing(format!("{} is missing", key_text(key))));
    };
    session.out.line(&if is_json {
        entry_json(key, value.as_ref(), versionstamp)
    } else {
        value_text(value.as_ref())
    })
}
