//! Tables, in Markdown, and the same figures as CSV.

use crate::figures::{Cell, Figures};
use crate::subject::NAMES;
use crate::target;
use std::fmt::Write;

/// A number with two digits, or as many as it has before the point.
pub(crate) fn digits(number: f64) -> String {
    let decimals = match number {
        ..1.0 => 2,
        1.0..10.0 => 1,
        _ => 0,
    };
    format!("{number:.decimals$}")
}

/// A figure by its name in the head of the CSV.
type Column = (&'static str, fn(&Figures) -> f64);

const COLUMNS: [Column; 6] = [
    ("per_second", |of| of.rate),
    ("p50_us", |of| of.p50_us),
    ("p99_us", |of| of.p99_us),
    ("p999_us", |of| of.p999_us),
    ("cpu_us", |of| of.cpu_us),
    ("conflicts", |of| of.conflicts),
];

/// The targets, and a row for each server of each cell.
pub(crate) fn page(cells: &[Cell]) -> String {
    let mut text = String::from("| target | | median (min–max) | |\n| --- | --- | --- | --- |\n");
    for row in target::rows(cells) {
        let _ = writeln!(text, "| {} |", row.join(" | "));
    }
    text.push_str(
        "\n| client | workload | server | per second | ratio | p50 µs | p99 µs | p99.9 µs | server's CPU µs | conflicts | others |\n\
         | --- | --- | --- | --: | --: | --: | --: | --: | --: | --: | --: |\n",
    );
    for cell in cells {
        for (subject, name) in NAMES.iter().enumerate() {
            let [rate, p50, p99, p999, cpu, conflicts] =
                COLUMNS.map(|(_, figure)| cell.median(subject, figure));
            let ratio = if subject == 0 {
                digits(cell.ratio().median)
            } else {
                String::new()
            };
            let _ = writeln!(
                text,
                "| {} | {} | {name} | {} | {ratio} | {p50:.0} | {p99:.0} | {p999:.0} | {cpu:.1} | {:.1} % | {:.1} % |",
                cell.client.name(),
                cell.workload,
                grouped(rate),
                conflicts * 100.0,
                cell.others() * 100.0,
            );
        }
    }
    text
}

/// `16,100`
fn grouped(number: f64) -> String {
    let digits = format!("{number:.0}");
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A line for each server in each round.
pub(crate) fn csv(cells: &[Cell]) -> String {
    let names = COLUMNS.map(|(name, _)| name).join(",");
    let mut text = format!("client,workload,round,server,{names},others\n");
    for cell in cells {
        for (number, round) in cell.rounds.iter().enumerate() {
            for (name, figures) in NAMES.iter().zip(round.figures) {
                let values = COLUMNS.map(|(_, figure)| format!("{:.3}", figure(&figures)));
                let values = values.join(",");
                let (client, workload) = (cell.client.name(), cell.workload);
                let _ = writeln!(
                    text,
                    "{client},{workload},{number},{name},{values},{:.4}",
                    round.others
                );
            }
        }
    }
    text
}
