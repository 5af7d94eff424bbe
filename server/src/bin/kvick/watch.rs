//! `kvick watch`.

use crate::args::{Args, Word, text};
use crate::fault::Fault;
use crate::list::Shown;
use crate::range::key;
use crate::session::Session;
use crate::store::Db;
use kvick::denokv::Watch;

pub(crate) const USAGE: &str = "\
kvick watch: show keys, and again whenever one of them changes: KEY, a tab, VALUE or missing

usage: kvick watch [OPTION]... KEY...

  --count N    so many lines, then it ends; otherwise it is interrupted
  --json       each as {\"key\": .., \"value\": .., \"versionstamp\": ..}, exactly; nulls if it is missing
  --url URL, --access-token-file FILE, --timeout TIME    see kvick --help

Ten keys at most. States that come fast are left out in favour of the latest. A connection that is lost
is made again.
";

#[derive(Default)]
struct Asked {
    keys: Vec<kvick::Key>,
    count: Option<u64>,
    shown: Shown,
}

fn parse(args: &mut Args) -> Result<Asked, Fault> {
    let mut asked = Asked::default();
    while let Some(word) = args.next()? {
        match word {
            Word::Value(word) => asked.keys.push(key(&text(word)?)?),
            Word::Option(name) => match &name[..] {
                "count" => asked.count = Some(args.number()?),
                "json" => asked.shown.is_json = true,
                _ => return Err(args.unknown(&name)),
            },
        }
    }
    if asked.keys.is_empty() {
        return Err(args.refused("it takes keys"));
    }
    Ok(asked)
}

pub(crate) async fn command(mut args: Args, session: &mut Session) -> Result<(), Fault> {
    let asked = parse(&mut args)?;
    let db = session.db(&args)?;
    let mut watch = db.watch(asked.keys.clone())?;
    let shows = shows(&asked, &mut watch, &db, session);
    tokio::select! {
        done = shows => done,
        // Which is how it ends.
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

async fn shows(
    asked: &Asked,
    watch: &mut Watch,
    db: &Db,
    session: &mut Session,
) -> Result<(), Fault> {
    let mut left = asked.count.unwrap_or(u64::MAX);
    let mut emission = db.database().in_time(watch.recv()).await??;
    while left > 0 {
        let changed = emission.changed.iter();
        for entry in changed.filter_map(|index| emission.entries.get(*index)) {
            if left > 0 {
                session.out.line(&asked.shown.line(entry))?;
                left -= 1;
            }
        }
        session.out.flush()?;
        if left > 0 {
            emission = watch.recv().await?;
        }
    }
    Ok(())
}
