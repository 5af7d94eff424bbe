//! `kvick set`.

use crate::args::{Args, Word, text};
use crate::fault::Fault;
use crate::literal::{self, key_text};
use crate::range::key;
use crate::session::Session;
use kvick::{NewValue, Outcome, Value, Versionstamp};
use std::io::{self, Read};
use std::time::Duration;

pub(crate) const USAGE: &str = "\
kvick set: set a key, and show the versionstamp that it has now

usage: kvick set [OPTION]... KEY VALUE

  --expire-in TIME       it is to be gone after that, such as 10s or 1h 30m
  --if-absent            only if the key is missing
  --if-version STAMP     only if the key has this versionstamp
  --json                 VALUE is JSON, as get --json shows the value
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

VALUE is read from the standard input where it is `-`.
exit code 3 if the key is not as it was to be; nothing is written then
";

/// The longest text of a value that is read: some times what Deno has for a value.
const TEXT_BYTES_MAX: u64 = 64 << 20;

#[derive(Default)]
struct Asked {
    words: Vec<String>,
    expire_in: Option<Duration>,
    if_absent: bool,
    if_version: Option<Versionstamp>,
    is_json: bool,
}

fn parse(args: &mut Args) -> Result<Asked, Fault> {
    let mut asked = Asked::default();
    while let Some(word) = args.next()? {
        match word {
            Word::Value(word) => asked.words.push(text(word)?),
            Word::Option(name) => match &name[..] {
                "expire-in" => asked.expire_in = Some(args.time()?),
                "if-absent" => asked.if_absent = true,
                "if-version" => asked.if_version = Some(versionstamp(&args.text()?)?),
                "json" => asked.is_json = true,
                _ => return Err(args.unknown(&name)),
            },
        }
    }
    if asked.if_absent && asked.if_version.is_some() {
        return Err(args.refused("--if-absent does not go with --if-version"));
    }
    Ok(asked)
}

pub(crate) fn versionstamp(text: &str) -> Result<Versionstamp, Fault> {
    text.parse()
        .map_err(|error| Fault::usage(format!("{text:?}: {error}")))
}

/// A value that was given as a literal.
pub(crate) fn value(text: &str) -> Result<Value, Fault> {
    let value = literal::read(text).and_then(|literal| literal.to_value());
    value.map_err(|error| Fault::usage(format!("the value: {error}")))
}

fn value_of_json(text: &str) -> Result<Value, Fault> {
    let value = literal::value_of_json(text);
    value.map_err(|error| Fault::usage(format!("the value: {error}")))
}

fn read() -> Result<String, Fault> {
    let mut text = String::new();
    let mut stdin = io::stdin().take(TEXT_BYTES_MAX + 1);
    let read = stdin.read_to_string(&mut text);
    read.map_err(|error| Fault::failed(format!("the standard input: {error}")))?;
    match stdin.limit() {
        0 => Err(Fault::failed("the standard input has more than 64 MiB")),
        _ => Ok(text),
    }
}

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let asked = parse(&mut args)?;
    let [key_given, value_given] = &asked.words[..] else {
        return Err(args.refused("it takes a key and a value"));
    };
    let key = key(key_given)?;
    let text = match &value_given[..] {
        "-" => read()?,
        text => text.to_owned(),
    };
    let value = if asked.is_json {
        value_of_json(&text)?
    } else {
        value(&text)?
    };
    let mut value = NewValue::from(value);
    if let Some(after) = asked.expire_in {
        value = value.expire_in(after);
    }
    let db = session.db(&args)?;
    let mut operation = db.atomic();
    if asked.if_absent {
        operation.check_absent(key.clone());
    }
    if let Some(versionstamp) = asked.if_version {
        operation.check_versionstamp(key.clone(), versionstamp);
    }
    operation.set(key.clone(), value);
    match operation.commit().await? {
        Outcome::Committed { versionstamp } => session.out.line(&versionstamp.to_string()),
        Outcome::Conflict { .. } => Err(Fault::Conflict(format!(
            "{} {}; nothing was written",
            key_text(&key),
            if asked.if_absent {
                "is there already"
            } else {
                "has another versionstamp"
            },
        ))),
    }
}
