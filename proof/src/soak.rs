//! The soak: checked histories for long, beside a load of everything else, on one engine.
//!
//! The load creates, overwrites and deletes entries of all sizes, moves money between accounts, and
//! holds snapshots for up to seconds, in each of which the accounts have to add up. What is kept
//! should stay what it is: memory is sampled, and a line is laid through the samples. It may rise
//! no more than their scatter explains.

mod load;
mod memory;

use crate::history::{self, Report, number};
use kvick::Kv;
use lexopt::prelude::*;
use load::{Load, Loaded};
use memory::Memory;
pub(crate) use memory::{MIB, resident_mib};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How often a line is printed, and memory sampled.
const EVERY: Duration = Duration::from_secs(10);

/// Threads of the load.
const LOADS: usize = 2;

/// How long the last operation of the load may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// The part of the time after which memory is sampled: until then the load is still growing.
const WARM_UP: u32 = 5;

/// What memory may rise by at most, whatever its scatter.
const SLOPE_MAX_MIB_PER_HOUR: f64 = 0.5;

pub(crate) fn command(words: &[&str]) -> Result<(), String> {
    let minutes = minutes(words).map_err(|error| error.to_string())?;
    let length = Duration::from_secs_f64(60.0 * minutes);
    let kv = Kv::new();
    let is_over = Arc::new(AtomicBool::new(false));
    let mut memory = Memory::default();
    load::open_accounts(&kv);
    let loads = start_loads(&kv, &is_over);
    let report = run_histories(&kv, length, &mut memory);
    is_over.store(true, Ordering::Relaxed);
    for anomaly in &report.anomalies {
        println!("anomaly: {anomaly}");
    }
    let mut loaded = Loaded::default();
    for _ in 0..LOADS {
        loaded.add(loads.recv_timeout(PATIENCE).map_err(|error| match error {
            RecvTimeoutError::Timeout => "an operation of the load does not end",
            RecvTimeoutError::Disconnected => "the load has panicked",
        })?);
    }
    println!(
        "soaked {:.1} min: transactions {}, anomalies {}; beside them {} operations, {} audits of \
         snapshots, violations {}",
        report.elapsed.as_secs_f64() / 60.0,
        report.transactions,
        report.anomaly_count,
        loaded.operations,
        loaded.audits,
        loaded.violations,
    );
    if report.anomaly_count > 0 || loaded.violations > 0 {
        return Err("the engine has broken a promise".to_owned());
    }
    assert_settles(&kv)?;
    judge(&memory)
}

/// The threads of the load; each tells at the end what it has done. They are not waited for: one
/// whose operation does not end would never come.
fn start_loads(kv: &Kv, is_over: &Arc<AtomicBool>) -> Receiver<Loaded> {
    let (send, loads) = mpsc::channel();
    for _ in 0..LOADS {
        let (kv, is_over, send) = (kv.clone(), Arc::clone(is_over), send.clone());
        thread::spawn(move || {
            let loaded = Load::new(&kv).run(&is_over);
            // Nobody listens any more where another has failed.
            let _ = send.send(loaded);
        });
    }
    loads
}

fn minutes(words: &[&str]) -> Result<f64, lexopt::Error> {
    let mut minutes = 1.0;
    let mut parser = lexopt::Parser::from_args(words.iter());
    while let Some(argument) = parser.next()? {
        match argument {
            Long("minutes") => minutes = parser.value()?.parse()?,
            _ => return Err(argument.unexpected()),
        }
    }
    Ok(minutes)
}

/// Histories until time is up; looks at memory and the engine's numbers in between.
fn run_histories(kv: &Kv, length: Duration, memory: &mut Memory) -> Report {
    let options = history::Options {
        transactions: u64::MAX,
        threads: vec![2, 4, 8, 16],
        seed: rand::random(),
        time_limit: Some(length),
        stop_at_first: true,
    };
    println!("seed {:#x}", options.seed);
    println!(
        "    time  transactions     tx/s  RSS MiB  entries  versions  MiB kept  snapshots  oldest is behind by"
    );
    let (mut last, mut last_count) = (Instant::now(), 0);
    history::run(kv, &options, &mut |report| {
        let since = last.elapsed();
        if since < EVERY {
            return;
        }
        let rss = resident_mib();
        if report.elapsed >= length / WARM_UP {
            memory.note(report.elapsed, rss);
        }
        print_line(kv, report, report.transactions - last_count, since, rss);
        (last, last_count) = (Instant::now(), report.transactions);
    })
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts far below 2^53, printed with few digits"
)]
fn print_line(kv: &Kv, report: &Report, count: u64, since: Duration, rss: Option<f64>) {
    let stats = kv.stats();
    let behind = stats
        .oldest_snapshot
        .map_or(0, |oldest| number(stats.latest) - number(oldest));
    println!(
        "{:>6.0} s  {:>12}  {:>7.0}  {:>7.1}  {:>7}  {:>8}  {:>8.1}  {:>9}  {behind:>12} commits",
        report.elapsed.as_secs_f64(),
        report.transactions,
        count as f64 / since.as_secs_f64(),
        rss.unwrap_or_default(),
        stats.entry_count,
        stats.version_count,
        stats.bytes as f64 / MIB,
        stats.open_snapshot_count,
    );
}

/// That nothing is left but the entries, and nothing at all once they are deleted.
fn assert_settles(kv: &Kv) -> Result<(), String> {
    let settles = |entries| {
        (0..1_000).any(|_| {
            kv.sweep();
            let stats = kv.stats();
            stats.version_count == entries && (entries > 0 || stats.bytes == 0)
        })
    };
    if !settles(kv.stats().entry_count) {
        return Err(format!("garbage is left: {:?}", kv.stats()));
    }
    kv.delete_range(()).map_err(|error| error.to_string())?;
    if !settles(0) {
        return Err(format!("something is left: {:?}", kv.stats()));
    }
    Ok(())
}

fn judge(memory: &Memory) -> Result<(), String> {
    let Some(slope) = memory.slope() else {
        println!("memory: too few samples, or none to be had here");
        return Ok(());
    };
    println!(
        "memory: {:+.2} MiB an hour, +/- {:.2} (two standard errors), {} samples around {:.1} MiB",
        slope.per_hour, slope.error, slope.samples, slope.mean
    );
    if slope.per_hour - slope.error > SLOPE_MAX_MIB_PER_HOUR {
        return Err("memory grows".to_owned());
    }
    Ok(())
}
