//! What is to be reached: one table.

use crate::figures::{Cell, Client};
use crate::table::digits;

/// A bound on what a cell shows.
#[derive(Clone, Copy, Debug)]
enum Bound {
    /// So many times as many as the reference, at least.
    Ratio(f64),
    /// The same, and a p99 below that of the reference.
    RatioAndTail(f64),
    /// A p99 below so many microseconds.
    Tail(f64),
}

struct Target {
    client: Client,
    workload: &'static str,
    bound: Bound,
}

const fn target(client: Client, workload: &'static str, bound: Bound) -> Target {
    Target {
        client,
        workload,
        bound,
    }
}

static ALL: [Target; 10] = [
    target(Client::Deno, "get", Bound::Ratio(1.8)),
    target(Client::Deno, "set", Bound::Ratio(1.8)),
    target(Client::Deno, "transfer", Bound::Ratio(2.5)),
    target(Client::TwoDenos, "get", Bound::Ratio(1.8)),
    target(Client::TwoDenos, "set", Bound::Ratio(1.8)),
    target(Client::TwoDenos, "transfer", Bound::Ratio(2.5)),
    target(Client::Frames, "get", Bound::RatioAndTail(5.0)),
    target(Client::Frames, "set", Bound::RatioAndTail(5.0)),
    target(Client::Frames, "transfer", Bound::RatioAndTail(5.0)),
    target(Client::HalfRate, "get", Bound::Tail(1_000.0)),
];

/// Each that was measured, as a row of a table.
pub(crate) fn rows(cells: &[Cell]) -> Vec<[String; 4]> {
    let rows = ALL.iter().filter_map(|target| {
        let mut cells = cells.iter();
        let cell = cells.find(|it| it.client == target.client && it.workload == target.workload)?;
        let (asked, found, is_reached) = judge(target.bound, cell);
        let mark = if is_reached { "reached" } else { "**missed**" };
        let what = format!("{} {}", target.client.name(), target.workload);
        Some([what, asked, found, mark.to_owned()])
    });
    rows.collect()
}

fn judge(bound: Bound, cell: &Cell) -> (String, String, bool) {
    let ratio = cell.ratio();
    let [kvick, denokv] = [0, 1].map(|subject| cell.median(subject, |of| of.p99_us));
    let spread = || {
        let [median, min, max] = [ratio.median, ratio.min, ratio.max].map(digits);
        format!("{median} ({min}–{max})")
    };
    match bound {
        Bound::Ratio(least) => (
            format!("{} × denokv", digits(least)),
            spread(),
            ratio.median >= least,
        ),
        Bound::RatioAndTail(least) => (
            format!("{} × denokv, with a lower p99", digits(least)),
            format!("{}, {kvick:.0} µs over {denokv:.0} µs", spread()),
            ratio.median >= least && kvick < denokv,
        ),
        Bound::Tail(most) => (
            format!("p99 below {most:.0} µs"),
            format!("{kvick:.0} µs"),
            kvick < most,
        ),
    }
}
