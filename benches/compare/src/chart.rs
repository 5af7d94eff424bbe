//! The chart: a panel a workload, a row a peer, a dot a size; by hand, as SVG is text.
//!
//! A page may be light or dark, and the chart does not know: it has no ground, and its colours are
//! for both where the viewer does not say which.

use crate::cell::Cell;
use crate::peers;
use crate::table::grouped;
use crate::target::SIZES;
use std::fmt::Write;

/// The workloads that are shown, and what they are called.
const PANELS: [(&str, &str); 8] = [
    ("get_hit", "get"),
    ("set_existing", "set existing"),
    ("insert_new", "insert new"),
    ("read_check_set", "read, check, set"),
    ("transfer", "two-key transfer"),
    ("get_many_10", "ten keys in a snapshot"),
    ("list_100", "list of 100"),
    ("ycsb_a", "YCSB A"),
];

const COLUMNS: usize = 2;

/// In pixels.
const WIDTH: f64 = 860.0;
const MARGIN: f64 = 16.0;
const HEAD: f64 = 74.0;
const LABELS: f64 = 96.0;
const ROW: f64 = 20.0;
const PANEL_HEAD: f64 = 24.0;
const PANEL_FOOT: f64 = 38.0;

/// Between the dots of the three sizes in a row.
const DOT_STEP: f64 = 5.0;

const STYLE: &str = "
  text { font: 12px system-ui, sans-serif; fill: #6e7781; }
  .title { font-size: 16px; font-weight: 600; }
  .panel { font-size: 13px; font-weight: 600; }
  .peer { text-anchor: end; }
  .tick { font-size: 10px; text-anchor: middle; }
  .grid { stroke: #8c959f; stroke-opacity: .25; }
  .one { stroke: #8c959f; stroke-width: 1.5; }
  .s0 { fill: #54aeff; stroke: #54aeff; }
  .s1 { fill: #bf8700; stroke: #bf8700; }
  .s2 { fill: #e85aad; stroke: #e85aad; }
  .legend { stroke: none; }
  @media (prefers-color-scheme: dark) { text { fill: #c9d1d9; } }
  @media (prefers-color-scheme: light) { text { fill: #24292f; } }
";

/// A logarithmic axis, in whole powers of ten.
#[derive(Clone, Copy, Debug)]
struct Axis {
    low: i32,
    high: i32,
    left: f64,
    width: f64,
}

impl Axis {
    fn x(&self, ratio: f64) -> f64 {
        let (low, high) = (f64::from(self.low), f64::from(self.high));
        let place = (ratio.log10().clamp(low, high) - low) / (high - low);
        self.left + place * self.width
    }
}

/// The chart of a run. Its cells are those at the sizes of the targets.
pub(crate) fn svg(cells: &[Cell], source: &str) -> String {
    let panels: Vec<(&str, Vec<Vec<&Cell>>)> = PANELS
        .iter()
        .map(|(workload, title)| (*title, rows(cells, workload)))
        .filter(|(_, rows)| !rows.is_empty())
        .collect();
    let shown = panels.iter().flat_map(|(_, rows)| rows.iter().flatten());
    let (low, high) = bounds(shown.copied());
    let column_width = (WIDTH - MARGIN) / as_f64(COLUMNS) - MARGIN;
    let mut body = String::new();
    let mut top = HEAD;
    for line in panels.chunks(COLUMNS) {
        let rows_max = line.iter().map(|(_, rows)| rows.len()).max().unwrap_or(0);
        for (column, (title, rows)) in line.iter().enumerate() {
            let left = MARGIN + as_f64(column) * (column_width + MARGIN);
            let axis = Axis {
                low,
                high,
                left: left + LABELS,
                width: column_width - LABELS - 8.0,
            };
            panel(&mut body, (left, top), title, rows, axis);
        }
        top += PANEL_HEAD + as_f64(rows_max) * ROW + PANEL_FOOT;
    }
    let height = top + 4.0;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         width=\"{WIDTH}\" height=\"{height}\" role=\"img\" \
         aria-label=\"How many times as fast as its peers kvick is\">\n<style>{STYLE}</style>\n\
         <text class=\"title\" x=\"{MARGIN}\" y=\"26\">How many times as fast as its peers kvick \
         is: right of 1, kvick is faster</text>\n"
    );
    legend(&mut text, source);
    text + &body + "</svg>\n"
}

/// For each peer that there is anything of, its cells by size.
fn rows<'a>(cells: &'a [Cell], workload: &str) -> Vec<Vec<&'a Cell>> {
    let of = |peer: &&str| {
        let cells = cells.iter().filter(|cell| {
            cell.workload == workload && cell.peer == **peer && SIZES.contains(&cell.keys)
        });
        cells.collect::<Vec<_>>()
    };
    let rows = peers::NAMES.iter().map(of);
    rows.filter(|row| !row.is_empty()).collect()
}

fn bounds<'a>(cells: impl Iterator<Item = &'a Cell>) -> (i32, i32) {
    let (mut low, mut high) = (0.5_f64, 2.0_f64);
    for cell in cells {
        low = low.min(cell.ratio_min);
        high = high.max(cell.ratio_max);
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the logarithm of a ratio is a small number"
    )]
    let whole = |power: f64| power as i32;
    (
        whole(low.log10().floor()).max(-2),
        whole(high.log10().ceil()).min(5),
    )
}

fn legend(text: &mut String, source: &str) {
    let mut x = MARGIN;
    for (number, keys) in SIZES.into_iter().enumerate() {
        let _ = writeln!(
            text,
            "<circle class=\"s{number} legend\" cx=\"{:.1}\" cy=\"44\" r=\"4\"/>\
             <text x=\"{:.1}\" y=\"48\">{} keys</text>",
            x + 4.0,
            x + 13.0,
            grouped(keys)
        );
        x += 118.0;
    }
    let _ = writeln!(
        text,
        "<text x=\"{x:.1}\" y=\"48\">median of the rounds, with minimum and maximum</text>\n\
         <text x=\"{MARGIN}\" y=\"66\">{}</text>",
        escaped(source)
    );
}

fn panel(text: &mut String, (left, top): (f64, f64), title: &str, rows: &[Vec<&Cell>], axis: Axis) {
    let _ = writeln!(
        text,
        "<text class=\"panel\" x=\"{left:.1}\" y=\"{:.1}\">{title}</text>",
        top + 14.0
    );
    let bottom = top + PANEL_HEAD + as_f64(rows.len()) * ROW;
    for power in axis.low..=axis.high {
        let ratio = 10_f64.powi(power);
        let class = if power == 0 { "one" } else { "grid" };
        let x = axis.x(ratio);
        let _ = writeln!(
            text,
            "<line class=\"{class}\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{bottom:.1}\"/>\
             <text class=\"tick\" x=\"{x:.1}\" y=\"{:.1}\">{ratio}×</text>",
            top + PANEL_HEAD - 4.0,
            bottom + 13.0
        );
    }
    for (number, row) in rows.iter().enumerate() {
        let middle = top + PANEL_HEAD + (as_f64(number) + 0.5) * ROW;
        let peer = row.first().map_or("", |cell| &cell.peer);
        let _ = writeln!(
            text,
            "<text class=\"peer\" x=\"{:.1}\" y=\"{:.1}\">{peer}</text>",
            axis.left - 8.0,
            middle + 4.0
        );
        for cell in row {
            dot(text, cell, middle, axis);
        }
    }
}

fn dot(text: &mut String, cell: &Cell, middle: f64, axis: Axis) {
    let Some(size) = SIZES.iter().position(|keys| *keys == cell.keys) else {
        return;
    };
    let y = middle + (as_f64(size) - 1.0) * DOT_STEP;
    let _ = writeln!(
        text,
        "<g class=\"s{size}\"><title>{} over {}, {} keys: {:.2} ({:.2} to {:.2})</title>\
         <line x1=\"{:.1}\" y1=\"{y:.1}\" x2=\"{:.1}\" y2=\"{y:.1}\"/>\
         <circle cx=\"{:.1}\" cy=\"{y:.1}\" r=\"2.5\"/></g>",
        cell.workload,
        cell.peer,
        grouped(cell.keys),
        cell.ratio,
        cell.ratio_min,
        cell.ratio_max,
        axis.x(cell.ratio_min),
        axis.x(cell.ratio_max),
        axis.x(cell.ratio),
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "of rows, columns and sizes there are few"
)]
fn as_f64(number: usize) -> f64 {
    number as f64
}
