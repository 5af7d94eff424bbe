//! The results of `cargo bench` as a table, for `benches/record`.
//!
//! Criterion leaves a file for each benchmark, in JSON of which one number is wanted here. Where the
//! machine has other things to do, there are several runs (`cargo bench -- --save-baseline NAME`),
//! and each row is of the run in which the machine was least disturbed: the one whose load from
//! memory, measured beside it, was the fastest.

use std::fs;
use std::path::{Path, PathBuf};

const RESULTS: &str = "target/criterion";

const SIZES: [&str; 3] = ["1000", "100000", "1000000"];

/// An operation of the engine, in the order of the table.
struct Row {
    group: &'static str,
    about: &'static str,
    /// What the early prototype took, in nanoseconds, where that is known.
    prototype: Option<[u32; 3]>,
}

const fn row(group: &'static str, about: &'static str, prototype: Option<[u32; 3]>) -> Row {
    Row {
        group,
        about,
        prototype,
    }
}

const ROWS: [Row; 17] = [
    row("get", "get, zero-copy", Some([18, 105, 306])),
    row("get_built", "get, key built for it", None),
    row("get_owned", "get, owned", None),
    row("get_miss", "get, missing", None),
    row("snapshot", "snapshot: open, get, drop", None),
    row("set", "set an existing key", Some([53, 290, 794])),
    row("read_check_set", "read, check, set", Some([69, 400, 1_170])),
    row("transfer", "two-key transfer", Some([123, 704, 1_687])),
    row("sum", "sum on one hot key", None),
    row("update", "update one key", None),
    row("transact", "transact: 2 reads, 2 writes", None),
    row("commit_of_10", "commit of 10 keys", None),
    row("insert", "insert a new key", Some([330, 890, 2_930])),
    row("delete_and_set", "delete, set again", None),
    row(
        "for_each_of_100",
        "scan 100, zero-copy",
        Some([590, 5_300, 22_600]),
    ),
    row("entries_of_100", "scan 100, owned", None),
    row("for_each_of_10000", "scan 10,000, zero-copy", None),
];

/// Prints the table of these runs; without any, of the latest.
pub(crate) fn print(runs: &[&str]) -> Result<(), String> {
    let runs = if runs.is_empty() { &["new"] } else { runs };
    if !Path::new(RESULTS).is_dir() {
        return Err(format!("{RESULTS} is not there: run cargo bench"));
    }
    println!(
        "| operation | keys | kvick | btreemap | pin | fetch_add | load | kvick / pin \
         | kvick / load | btreemap / kvick | prototype | kvick / prototype |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for row in &ROWS {
        for (index, size) in SIZES.into_iter().enumerate() {
            let load_of = |run: &str| median_ns(row.group, "load", size, run);
            let measured = runs.iter().filter_map(|run| Some((load_of(run)?, *run)));
            let Some((_, run)) = measured.min_by(|one, other| one.0.total_cmp(&other.0)) else {
                continue;
            };
            let median = |subject| median_ns(row.group, subject, size, run);
            let Some(ours) = median("kvick") else {
                continue;
            };
            let (pin, load, map) = (median("pin"), median("load"), median("btreemap"));
            let prototype = row.prototype.map(|figures| f64::from(figures[index]));
            println!(
                "| {} | {size} | {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
                row.about,
                ns(Some(ours)),
                ns(map),
                ns(pin),
                ns(median("fetch_add")),
                ns(load),
                ratio(pin.map(|pin| ours / pin)),
                ratio(load.map(|load| ours / load)),
                ratio(map.map(|map| map / ours)),
                ns(prototype),
                ratio(prototype.map(|prototype| ours / prototype)),
            );
        }
    }
    Ok(())
}

fn ns(time: Option<f64>) -> String {
    match time {
        None => "–".to_owned(),
        Some(time) if time < 100.0 => format!("{time:.1}"),
        Some(time) => format!("{time:.0}"),
    }
}

fn ratio(ratio: Option<f64>) -> String {
    ratio.map_or_else(|| "–".to_owned(), |ratio| format!("{ratio:.1}"))
}

/// The median time of one operation, if the benchmark has been run. One iteration of `insert` is as
/// many operations as there are keys.
fn median_ns(group: &str, subject: &str, size: &str, run: &str) -> Option<f64> {
    let folder: PathBuf = [RESULTS, group, subject, size, run].iter().collect();
    let estimates = fs::read_to_string(folder.join("estimates.json")).ok()?;
    let (_, median) = estimates.split_once(r#""median":"#)?;
    let (_, estimate) = median.split_once(r#""point_estimate":"#)?;
    let end = estimate.find([',', '}'])?;
    let time: f64 = estimate[..end].parse().ok()?;
    let is_yardstick = matches!(subject, "pin" | "fetch_add" | "load");
    let operations: f64 = match group {
        "insert" if !is_yardstick => size.parse().ok()?,
        _ => 1.0,
    };
    Some(time / operations)
}
