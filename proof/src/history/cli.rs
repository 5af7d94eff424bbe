//! `proof histories`.

use super::record::LOGS_MAX;
use super::run::{Options, Report, run};
use cpu_time::ProcessTime;
use kvick::Kv;
use lexopt::{Arg, Parser, ValueExt};
use std::time::Duration;

const USAGE: &str = "\
transactions of many threads, checked for anomalies

usage: proof histories [OPTION]...

      --transactions N   in all [default: 3000000]
      --threads N,...    threads of a round, by turns [default: 2,4,8,16]
      --seed N           what the threads do follows from it [default: drawn]
      --seconds N        stop after so long, however many transactions there were
      --keep-going       do not stop at the first round with an anomaly
";

/// Anomalies that are printed.
const PRINTED_MAX: usize = 12;

/// More conflicts than that, of all attempts, are an abort storm.
const CONFLICT_RATIO_MAX: f64 = 0.6;

/// How often progress is reported.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Runs the command with these options.
pub(crate) fn command(words: &[&str]) -> Result<(), String> {
    let Some(options) = parse(words).map_err(|error| format!("{error}\n\n{USAGE}"))? else {
        print!("{USAGE}");
        return Ok(());
    };
    println!("seed {:#x}", options.seed);
    let processor = ProcessTime::now();
    let mut reported = Duration::ZERO;
    let report = run(&Kv::new(), &options, &mut |report| {
        if report.elapsed >= reported + REPORT_EVERY {
            reported = report.elapsed;
            print_progress(report);
        }
    });
    print_totals(&report, processor.elapsed());
    judge(&report)
}

fn parse(words: &[&str]) -> Result<Option<Options>, lexopt::Error> {
    let mut options = Options {
        transactions: 3_000_000,
        threads: vec![2, 4, 8, 16],
        seed: rand::random(),
        time_limit: None,
        stop_at_first: true,
    };
    let mut parser = Parser::from_args(words);
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("transactions") => options.transactions = parser.value()?.parse()?,
            Arg::Long("threads") => options.threads = parser.value()?.parse_with(threads)?,
            Arg::Long("seed") => options.seed = parser.value()?.parse_with(seed)?,
            Arg::Long("seconds") => {
                options.time_limit = Some(Duration::from_secs(parser.value()?.parse()?));
                // Unless it is said how many, time alone decides.
                if !words.contains(&"--transactions") {
                    options.transactions = u64::MAX;
                }
            }
            #[cfg(simulated)]
            Arg::Long("plant") => crate::plant::plant(&parser.value()?.string()?)?,
            Arg::Long("keep-going") => options.stop_at_first = false,
            Arg::Long("help") | Arg::Short('h') => return Ok(None),
            _ => return Err(arg.unexpected()),
        }
    }
    Ok(Some(options))
}

fn threads(text: &str) -> Result<Vec<u32>, String> {
    let counts = text.split(',').map(|count| match count.parse() {
        // One more log is for the final state.
        Ok(count) if count > 0 && count < LOGS_MAX => Ok(count),
        _ => Err(format!(
            "threads are 1 to {}, separated by commas, got {text}",
            LOGS_MAX - 1
        )),
    });
    counts.collect()
}

/// A number, in hexadecimal or not.
pub(crate) fn seed(text: &str) -> Result<u64, std::num::ParseIntError> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16),
        None => text.parse(),
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^53, and printed with few digits"
)]
fn ratio(part: u64, all: u64) -> f64 {
    part as f64 / (all as f64).max(1.0)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of a run are far below 2^53, and printed with few digits"
)]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(f64::MIN_POSITIVE)
}

fn print_progress(report: &Report) {
    println!(
        "{:>6.1} s  {:>9} transactions  {:>7.0} /s  {} anomalies",
        report.elapsed.as_secs_f64(),
        report.transactions,
        per_second(report.transactions, report.elapsed),
        report.anomaly_count,
    );
}

fn print_totals(report: &Report, processor: Duration) {
    println!(
        "threads  transactions  committed  gave up  conflicts  of attempts      tx/s  p50 us  p99 us  p99.9 us"
    );
    for totals in &report.totals {
        let counts = &totals.counts;
        println!(
            "{:>7}  {:>12}  {:>9}  {:>7}  {:>9}  {:>9.1} %  {:>8.0}  {:>6.1}  {:>6.1}  {:>8.1}",
            totals.threads,
            counts.transactions,
            counts.committed,
            counts.aborted,
            counts.conflicts,
            ratio(counts.conflicts, counts.attempts) * 100.0,
            per_second(counts.transactions, totals.working),
            totals.latency.percentile_us(50.0),
            totals.latency.percentile_us(99.0),
            totals.latency.percentile_us(99.9),
        );
    }
    println!(
        "{:.1} s with the checks, {:.0} tx/s; {:.1} s of processors, {:.2} us a transaction",
        report.elapsed.as_secs_f64(),
        per_second(report.transactions, report.elapsed),
        processor.as_secs_f64(),
        1e6 / per_second(report.transactions, processor),
    );
}

fn judge(report: &Report) -> Result<(), String> {
    let summary = format!(
        "transactions {}, anomalies {}",
        report.transactions, report.anomaly_count
    );
    // One of each kind, so that what the checkers agree on stands together.
    let mut kinds = Vec::new();
    for anomaly in &report.anomalies {
        if !kinds.contains(&anomaly.kind) && kinds.len() < PRINTED_MAX {
            kinds.push(anomaly.kind);
            println!("\nanomaly: {anomaly}");
        }
    }
    if report.anomaly_count > 0 {
        return Err(summary);
    }
    let storm = report
        .totals
        .iter()
        .find(|totals| ratio(totals.counts.conflicts, totals.counts.attempts) > CONFLICT_RATIO_MAX);
    if let Some(totals) = storm {
        return Err(format!(
            "abort storm at {} threads\n{summary}",
            totals.threads
        ));
    }
    println!("{summary}");
    Ok(())
}
