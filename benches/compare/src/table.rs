//! Tables: every cell, for a terminal, and the targets, in Markdown.

use crate::cell::Cell;
use crate::target::{self, SIZES};
use std::fmt::Write;

/// A ratio with two digits, or as many as it has before the point.
fn digits(ratio: f64) -> String {
    let decimals = match ratio {
        ..1.0 => 2,
        1.0..10.0 => 1,
        _ => 0,
    };
    format!("{ratio:.decimals$}")
}

pub(crate) fn first_seen<'a, C, T: PartialEq>(cells: &'a [C], of: impl Fn(&'a C) -> T) -> Vec<T> {
    let mut seen = Vec::new();
    for one in cells.iter().map(of) {
        if !seen.contains(&one) {
            seen.push(one);
        }
    }
    seen
}

/// A table for each size: a row a workload, a column a peer, median ratio with minimum and maximum.
pub(crate) fn all(cells: &[Cell]) -> String {
    let mut text = String::new();
    for keys in first_seen(cells, |cell| cell.keys) {
        let of_size: Vec<Cell> = cells.iter().filter(|it| it.keys == keys).cloned().collect();
        let peers = first_seen(&of_size, |cell| cell.peer.as_str());
        let mut rows = vec![vec![format!("{} keys", grouped(keys))]];
        rows[0].extend(peers.iter().map(ToString::to_string));
        for workload in first_seen(&of_size, |cell| cell.workload.as_str()) {
            let mut row = vec![workload.to_owned()];
            row.extend(peers.iter().map(|peer| {
                let mut cells = of_size.iter();
                let cell = cells.find(|it| it.workload == workload && it.peer == *peer);
                cell.map_or_else(String::new, spread)
            }));
            rows.push(row);
        }
        text.push_str(&aligned(&rows));
        text.push('\n');
    }
    text
}

/// `3.1 (2.9–3.3)`
fn spread(cell: &Cell) -> String {
    let [ratio, min, max] = [cell.ratio, cell.ratio_min, cell.ratio_max].map(digits);
    format!("{ratio} ({min}–{max})")
}

pub(crate) fn aligned(rows: &[Vec<String>]) -> String {
    let widths: Vec<usize> = (0..rows[0].len())
        .map(|column| {
            let lengths = rows.iter().map(|row| row[column].chars().count());
            lengths.max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line = cells.fold(String::new(), |line, (cell, width)| {
            line + &format!("{cell:width$}  ")
        });
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// `1,000,000`
pub(crate) fn grouped(number: impl Into<u64>) -> String {
    let digits = number.into().to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// The targets, as the README has them. What was not measured, or has no target, is a dash.
pub(crate) fn targets(cells: &[Cell]) -> String {
    let mut text = String::from("| ratio, median (min–max), and the target |");
    for keys in SIZES {
        let _ = write!(text, " {} keys |", grouped(keys));
    }
    text.push_str("\n| --- | --- | --- | --- |\n");
    for target in target::of(cells) {
        let _ = write!(text, "| {} |", target.title);
        for result in target.results(cells) {
            let shown = result.map_or_else(
                || "–".to_owned(),
                |result| {
                    let mark = if result.is_reached() {
                        "reached"
                    } else {
                        "**missed**"
                    };
                    let several = if target.has_several_peers() {
                        format!(" {}", result.cell.peer)
                    } else {
                        String::new()
                    };
                    format!(
                        "{}{several}, {}: {mark}",
                        spread(result.cell),
                        digits(result.least)
                    )
                },
            );
            let _ = write!(text, " {shown} |");
        }
        text.push('\n');
    }
    text
}
