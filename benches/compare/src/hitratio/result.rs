//! What is reported: how often a cache had what it was asked for.

use super::contestant::Entrant;
use crate::machine::Machine;
use crate::table::{aligned, first_seen, grouped};
use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// A trace, replayed to one cache of one size.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    pub(crate) trace: String,
    pub(crate) requests: u64,
    pub(crate) footprint: u64,
    pub(crate) percent: u32,
    /// How many the cache was told to hold, and how many it held in the end.
    pub(crate) entries: u64,
    pub(crate) held: u64,
    pub(crate) cache: &'static str,
    pub(crate) upkeep: &'static str,
    pub(crate) hits: u64,
}

impl Replay {
    /// In percent of all requests.
    fn ratio(&self) -> f64 {
        #[expect(
            clippy::cast_precision_loss,
            reason = "there are far fewer than 2^52 requests"
        )]
        let (hits, requests) = (self.hits as f64, self.requests as f64);
        100.0 * hits / requests
    }
}

/// A table for each trace: a row a size, a column a cache, the hits in percent of the requests. Of the
/// ways to look after a cache, that with the most hits counts.
pub(crate) fn table(replays: &[Replay]) -> String {
    let mut text = String::new();
    for trace in first_seen(replays, |it| it.trace.as_str()) {
        let of_trace: Vec<Replay> = with(replays, |it| it.trace == trace);
        let Some(Replay {
            requests,
            footprint,
            ..
        }) = of_trace.first()
        else {
            continue;
        };
        let (requests, footprint) = (grouped(*requests), grouped(*footprint));
        let _ = writeln!(text, "{trace}: {requests} requests of {footprint} ids\n");
        text.push_str(&aligned(&rows(&of_trace)));
        text.push('\n');
    }
    text
}

fn rows(of_trace: &[Replay]) -> Vec<Vec<String>> {
    let caches = first_seen(of_trace, |it| it.cache);
    let mut rows = vec![vec!["size".to_owned(), "entries".to_owned()]];
    rows[0].extend(caches.iter().map(ToString::to_string));
    for percent in first_seen(of_trace, |it| it.percent) {
        let of_size = with(of_trace, |it| it.percent == percent);
        let entries = of_size.first().map_or(0, |it| it.entries);
        let mut row = vec![format!("{percent} %"), grouped(entries)];
        row.extend(caches.iter().map(|cache| {
            let ratios = of_size.iter().filter(|it| it.cache == *cache);
            let best = ratios.map(Replay::ratio).fold(0.0, f64::max);
            format!("{best:.2} %")
        }));
        rows.push(row);
    }
    rows
}

fn with(replays: &[Replay], is_wanted: impl Fn(&Replay) -> bool) -> Vec<Replay> {
    replays.iter().filter(|it| is_wanted(it)).cloned().collect()
}

/// In which ways caches were looked after of which there is more than one.
pub(crate) fn ways(entrants: &[Entrant]) -> String {
    let mut text = String::new();
    for ways in entrants.chunk_by(|a, b| a.cache == b.cache) {
        if let [first, _, ..] = ways {
            let ways: Vec<&str> = ways.iter().map(|it| it.upkeep).collect();
            let _ = writeln!(text, "{}: the best of: {}", first.cache, ways.join(", "));
        }
    }
    text
}

const HEAD: &str = "trace,requests,footprint,percent,entries,held,cache,upkeep,hits,hit_percent";

/// Writes a run's files into a folder, which is made if it is not there. The result is the path
/// without its ending: `.csv` and `.md` go there.
pub(crate) fn write(
    folder: &Path,
    machine: &Machine,
    replays: &[Replay],
    ways: &str,
) -> io::Result<PathBuf> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!("{}-{}-hitratio", machine.date, machine.slug()));
    fs::write(path.with_extension("csv"), csv(replays))?;
    let tables = table(replays);
    let page = format!(
        "{}\n```text\n{}\n\n{ways}```\n",
        machine.page(),
        tables.trim_end()
    );
    fs::write(path.with_extension("md"), page)?;
    Ok(path)
}

fn csv(replays: &[Replay]) -> String {
    let mut text = format!("{HEAD}\n");
    for replay in replays {
        let _ = writeln!(
            text,
            "{},{},{},{},{},{},{},{},{},{:.4}",
            replay.trace,
            replay.requests,
            replay.footprint,
            replay.percent,
            replay.entries,
            replay.held,
            replay.cache,
            replay.upkeep,
            replay.hits,
            replay.ratio(),
        );
    }
    text
}
