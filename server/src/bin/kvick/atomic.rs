//! `kvick atomic`.

use crate::args::{Args, Word, text};
use crate::fault::Fault;
use crate::range::key;
use crate::session::Session;
use crate::set::{value, versionstamp};
use crate::store::Store;
use kvick::denokv::Client;
use kvick::{AtomicOp, Outcome};

pub(crate) const USAGE: &str = "\
kvick atomic: check and write several keys at once, and show the versionstamp that they have now

usage: kvick atomic [OPTION]... STEP...

  check KEY STAMP     only if the key has this versionstamp
  check KEY absent    only if it is missing
  set KEY VALUE
  delete KEY
  sum KEY N           add to a u64; likewise min and max
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

exit code 3 if a check fails; nothing is written then
";

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let mut words = Vec::new();
    while let Some(word) = args.next()? {
        match word {
            Word::Value(word) => words.push(text(word)?),
            Word::Option(name) => return Err(args.unknown(&name)),
        }
    }
    if words.is_empty() {
        return Err(args.refused("it takes steps"));
    }
    let db = session.db(&args)?;
    let mut operation = db.atomic();
    let mut rest = &words[..];
    while let Some((step, behind)) = rest.split_first() {
        rest = add(&mut operation, step, behind)?;
    }
    match operation.commit().await? {
        Outcome::Committed { versionstamp } => session.out.line(&versionstamp.to_string()),
        Outcome::Conflict { .. } => Err(Fault::Conflict(
            "a check failed; nothing was written".to_owned(),
        )),
    }
}

/// Adds a step; what is behind it.
fn add<'w>(
    operation: &mut AtomicOp<'_, Client<Store>>,
    step: &str,
    words: &'w [String],
) -> Result<&'w [String], Fault> {
    match (step, words) {
        ("delete", [at, rest @ ..]) => {
            operation.delete(key(at)?);
            Ok(rest)
        }
        ("check", [at, stamp, rest @ ..]) => {
            let at = key(at)?;
            match &stamp[..] {
                "absent" => operation.check_absent(at),
                stamp => operation.check_versionstamp(at, versionstamp(stamp)?),
            };
            Ok(rest)
        }
        ("set", [at, to, rest @ ..]) => {
            operation.set(key(at)?, value(to)?);
            Ok(rest)
        }
        ("sum" | "min" | "max", [at, number, rest @ ..]) => {
            let at = key(at)?;
            let refuse = |_| Fault::usage(format!("{number:?} is no integer of 64 bits"));
            let number = number.parse().map_err(refuse)?;
            match step {
                "sum" => operation.sum(at, number),
                "min" => operation.min(at, number),
                _ => operation.max(at, number),
            };
            Ok(rest)
        }
        ("check" | "set" | "sum" | "min" | "max" | "delete", _) => {
            Err(Fault::usage(format!("{step} lacks what it takes")))
        }
        _ => Err(Fault::usage(format!("{step:?} is no step"))),
    }
}
