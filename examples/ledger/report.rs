//! What is shown: a bar on standard error while it runs, and a table on standard output.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::bank::Bank;
use crate::crew::Results;

/// How far it has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    pub(crate) elapsed: Duration,
    pub(crate) transfers: u64,
    pub(crate) conflicts: u64,
}

/// The bar. Nothing is drawn where standard error is no terminal.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    /// Whether it shows the time that has passed, and not the transfers made.
    of_time: bool,
}

impl Bar {
    pub(crate) fn of_time(length: Duration) -> Self {
        Self::new(whole_ms(length), true)
    }

    pub(crate) fn of_transfers(count: usize) -> Self {
        Self::new(count as u64, false)
    }

    fn new(length: u64, of_time: bool) -> Self {
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr());
        if let Ok(style) = ProgressStyle::with_template("{bar:32.cyan/blue} {percent:>3}%  {msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Self { bar, of_time }
    }

    pub(crate) fn show(&self, progress: Progress) {
        self.bar.set_message(format!(
            "{} transfers  {}/s  conflicts {}",
            Grouped(progress.transfers),
            Grouped(per_second(progress.transfers, progress.elapsed)),
            Grouped(progress.conflicts),
        ));
        self.bar.set_position(if self.of_time {
            whole_ms(progress.elapsed)
        } else {
            progress.transfers
        });
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn whole_ms(length: Duration) -> u64 {
    u64::try_from(length.as_millis()).unwrap_or(u64::MAX)
}

/// The table, and below it the verdict.
pub(crate) fn write(out: &mut impl Write, bank: &Bank, results: &Results) -> io::Result<()> {
    let tally = &results.tally;
    let stats = bank.kv().stats();
    let rate = per_second(tally.made, results.elapsed);
    let mut row = |name: &str, value: &str, note: fmt::Arguments<'_>| row(out, name, value, note);
    let grouped = |number: u64| Grouped(number).to_string();
    let none = format_args!("");

    row("transfers", &grouped(tally.made), none)?;
    row("  per second", &grouped(rate), none)?;
    row(
        "  refused",
        &grouped(tally.refused),
        format_args!("insufficient funds"),
    )?;
    row("conflicts", &grouped(stats.conflict_count), none)?;
    row(
        "attempts per transfer",
        &ratio(tally.attempts, tally.made),
        none,
    )?;
    for (name, quantile) in [
        ("latency p50", 0.5),
        ("        p99", 0.99),
        ("        p99.9", 0.999),
        ("        max", 1.0),
    ] {
        let nanos = tally.latency.value_at_quantile(quantile);
        row(name, &Latency(nanos).to_string(), none)?;
    }
    row("audits", &grouped(results.findings.audits), none)?;
    row(
        "live versions",
        &grouped(stats.version_count as u64),
        format_args!("at most {} seen", Grouped(results.versions_max as u64)),
    )?;
    row(
        "bytes",
        &grouped(stats.bytes as u64),
        format_args!("at most {} seen", Grouped(results.bytes_max as u64)),
    )?;
    writeln!(
        out,
        "{}conserved: accounts {}, total {}, audits {}, violations {}",
        if results.findings.violations == 0 {
            ""
        } else {
            "not "
        },
        bank.len(),
        bank.total(),
        results.findings.audits,
        results.findings.violations,
    )
}

/// One row of a table.
pub(crate) fn row(
    out: &mut impl Write,
    name: &str,
    value: &str,
    note: fmt::Arguments<'_>,
) -> io::Result<()> {
    let line = format!("{name:<22}{value:>14}  {note}");
    writeln!(out, "{}", line.trim_end())
}

fn per_second(count: u64, elapsed: Duration) -> u64 {
    let nanos = elapsed.as_nanos().max(1);
    u64::try_from(u128::from(count) * 1_000_000_000 / nanos).unwrap_or(u64::MAX)
}

/// To two digits.
fn ratio(dividend: u64, divisor: u64) -> String {
    let hundredths = (u128::from(dividend) * 100 + u128::from(divisor) / 2)
        .checked_div(divisor.into())
        .unwrap_or(0);
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

/// A number with its thousands apart.
pub(crate) struct Grouped(pub(crate) u64);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.0.to_string();
        for (index, digit) in digits.char_indices() {
            if index > 0 && (digits.len() - index).is_multiple_of(3) {
                f.write_str(",")?;
            }
            write!(f, "{digit}")?;
        }
        Ok(())
    }
}

/// Nanoseconds, in the unit that leaves one to three digits before the point.
struct Latency(u64);

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (unit, divisor) = match self.0 {
            0..1_000 => return write!(f, "{} ns", self.0),
            1_000..1_000_000 => ("µs", 1_000),
            1_000_000..1_000_000_000 => ("ms", 1_000_000),
            _ => ("s", 1_000_000_000),
        };
        write!(f, "{} {unit}", ratio(self.0, divisor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, expected) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (12_345_678, "12,345,678"),
            (u64::MAX, "18,446,744,073,709,551,615"),
        ] {
            assert_eq!(Grouped(number).to_string(), expected);
        }
    }

    #[test]
    fn a_latency_has_the_unit_that_fits() {
        for (nanos, expected) in [
            (0, "0 ns"),
            (999, "999 ns"),
            (1_000, "1.00 µs"),
            (1_234_567, "1.23 ms"),
            (60_000_000_000, "60.00 s"),
        ] {
            assert_eq!(Latency(nanos).to_string(), expected);
        }
    }

    #[test]
    fn nothing_done_in_no_time_is_no_division_by_zero() {
        assert_eq!(per_second(0, Duration::ZERO), 0);
        assert_eq!(per_second(u64::MAX, Duration::ZERO), u64::MAX);
        assert_eq!(ratio(0, 0), "0.00");
        assert_eq!(ratio(5, 4), "1.25");
    }
}
