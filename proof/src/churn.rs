//! The churn: a database that is full, for long, under a load that leaves it no rest.
//!
//! Threads set, delete, read, exchange and let expire entries of 16 bytes to 64 KiB, five times as many
//! bytes as there is room for, with snapshots open half of the time. What is in use may never be beyond
//! the limit, every value has to be whole, no commit may be held up for long, and an hour may not make it
//! slower. Before that, the same without snapshots, where no commit may be refused, and values of one size,
//! for what the process takes. How long a commit is held up is told beside how long a thread is that does
//! nothing.

mod held;
mod load;
mod looks;
mod options;
mod phase;
mod run_queue;
mod stops;
mod tally;
mod value;
mod verdict;

use crate::soak::{MIB, resident_mib};
use kvick::{Kv, OnLimit};
use load::{Mix, WRITE_SET_BYTES};
use looks::Period;
use options::{Bounds, Options, USAGE};
use phase::Phase;
use run_queue::{Times, times_head};
use std::thread;
use std::time::Duration;
use tally::{Fault, Faults};
use value::Noise;
use verdict::{Kind, Verdict};

/// What it takes until all that was deleted is freed, at most.
const SWEEPS_MAX: u32 = 1_000;

/// Runs the command with these options.
pub(crate) fn command(words: &[&str]) -> Result<(), String> {
    let Some(options) = options::parse(words).map_err(|error| format!("{error}\n\n{USAGE}"))?
    else {
        print!("{USAGE}");
        return Ok(());
    };
    println!("seed {:#x}", options.seed);
    let mut verdict = Verdict::default();
    let mut faults = Faults::default();
    let schedule = options.schedule;

    let resident = resident_mib().unwrap_or(0.0);
    println!("\nvalues of 1 KiB; RSS without them {resident:.1} MiB");
    let kv = database(&options);
    let even = phase::run(&kv, options.plan(Mix::Even, schedule.even))?;
    let even_left = clear(&kv, &mut faults);
    drop(kv);

    let before = phase::spin(options.threads, schedule.spinning)?;
    println!("\nvalues of 16 bytes to 64 KiB");
    let kv = database(&options);
    let length = schedule.without_snapshots;
    let plain = phase::run(&kv, options.plan(Mix::Everything, length))?;
    println!("\nthe same, and snapshots");
    let churn = phase::run(&kv, options.plan(Mix::WithSnapshots, schedule.churn))?;
    let after = phase::spin(options.threads, schedule.spinning)?;
    audit(&kv, &mut faults);
    let left = clear(&kv, &mut faults);

    for phase in [&even, &plain, &churn] {
        faults.add(phase.tally.faults.clone());
    }
    for told in &faults.told {
        println!("fault: {told}");
    }
    print_times([&even, &plain, &churn], [&before, &after]);
    judge_memory(
        &mut verdict,
        &options,
        [&even, &plain, &churn],
        even_left.max(left),
    );
    judge_faults(&mut verdict, &faults);
    judge_time(
        &mut verdict,
        options.bounds,
        [&even, &plain, &churn],
        [&before, &after],
    );
    println!("\n{verdict}");
    conclude(&verdict, [&even, &plain, &churn], churn.tally.is_queue_told)
}

fn database(options: &Options) -> Kv {
    Kv::builder()
        .memory_limit(options.limit)
        .on_limit(OnLimit::Evict)
        .writer_threads(options.threads)
        .build()
}

/// Reads everything that is left.
fn audit(kv: &Kv, faults: &mut Faults) {
    let noise = Noise::new();
    let read = kv.list(()).for_each(|entry| {
        let value = entry.as_bytes().unwrap_or_default();
        if let Err(what) = noise.read_at(entry.key_bytes(), value) {
            faults.note(Fault::Value, what);
        }
    });
    if let Err(error) = read {
        faults.note(Fault::Error, format!("list: {error}"));
    }
}

/// Deletes everything. How many bytes are in use then.
fn clear(kv: &Kv, faults: &mut Faults) -> usize {
    if let Err(error) = kv.delete_range(()) {
        faults.note(Fault::Error, format!("delete_range: {error}"));
    }
    let swept = (0..SWEEPS_MAX).map(|_| {
        kv.sweep();
        thread::yield_now();
        kv.stats().bytes
    });
    let mut left = usize::MAX;
    for bytes in swept {
        left = bytes;
        if left == 0 {
            break;
        }
    }
    left
}

fn print_times(phases: [&Phase; 3], spins: [&Times; 2]) {
    let ([even, plain, churn], [before, after]) = (phases, spins);
    println!("\n{}", times_head());
    for (name, times) in [
        ("commits of 1 KiB", &even.tally.committed),
        ("reads of 1 KiB", &even.tally.read),
        ("waking up, 1 KiB", &even.late),
        ("nothing, before", before),
        ("commits", &plain.tally.committed),
        ("reads", &plain.tally.read),
        ("waking up", &plain.late),
        ("commits, snapshots", &churn.tally.committed),
        ("  that were refused", &churn.tally.refused),
        ("reads, snapshots", &churn.tally.read),
        ("waking up, snapshots", &churn.late),
        ("nothing, after", after),
    ] {
        println!("{}", times.line(name));
    }
}

#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn judge_memory(verdict: &mut Verdict, options: &Options, phases: [&Phase; 3], left: usize) {
    let peaks = phases.map(|phase| phase.seen.totals.peak);
    let [limit, write_set] = [options.limit, WRITE_SET_BYTES].map(|bytes| bytes as f64 / MIB);
    verdict.promise(
        "in use at most, MiB; the limit, and what one commit writes",
        peaks.into_iter().max().unwrap_or(0) as f64 / MIB,
        limit + write_set,
    );
    verdict.promise("bytes in use once all is deleted", left as f64, 0.0);
    let resident = phases[0].seen.totals.resident_peak_mib;
    verdict.target(
        "RSS at most, of the limit, with values of 1 KiB",
        resident / limit,
        [0.0, options.bounds.resident],
        resident > 0.0,
    );
}

#[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
fn judge_faults(verdict: &mut Verdict, faults: &Faults) {
    for (fault, what) in [
        (Fault::Value, "wrong or torn values, snapshots that changed"),
        (
            Fault::Refused,
            "commits refused although no snapshot was open",
        ),
        (Fault::Error, "other errors"),
    ] {
        verdict.promise(what, faults.counts[fault as usize] as f64, 0.0);
    }
}

fn judge_time(verdict: &mut Verdict, bounds: Bounds, phases: [&Phase; 3], spins: [&Times; 2]) {
    let [even, plain, churn] = phases;
    let spin = spins[0].worst.max(spins[1].worst);
    let millis = |time: Duration| time.as_secs_f64() * 1e3;
    let stall = [0.0, millis(bounds.stall)];
    let is_told = spin.own <= bounds.stall;
    println!();
    let worst = plain.tally.worst().max(churn.tally.worst());
    for (what, worst, rest) in [
        (
            "longest commit, ms, less the run queue and stops",
            worst,
            plain.longest_rest().max(churn.longest_rest()),
        ),
        (
            "longest commit with values of 1 KiB, ms, less the same",
            even.tally.worst(),
            even.longest_rest(),
        ),
    ] {
        verdict.target(what, millis(rest), stall, is_told);
        let of_it = if rest.is_zero() {
            "nothing that is looked into".to_owned()
        } else {
            format!("{:.2}", millis(rest))
        };
        println!(
            "{what}: {of_it}; {:.2} with the stops, {:.2} by the clock, {:.2} running",
            millis(worst.own),
            millis(worst.wall),
            millis(worst.ran)
        );
    }
    let late = even.late.worst.max(plain.late.worst).max(churn.late.worst);
    let longer = |of: fn(&Phase) -> &Times| -> u64 {
        let phases = phases.into_iter().map(of);
        phases.map(|times| times.longer_than(bounds.stall)).sum()
    };
    println!(
        "longer than {:.0} ms: {} commits, and a thread beside them was late by more {} times, by {:.2} at worst; \
         one that does nothing took {:.2}, {:.2} by the clock",
        millis(bounds.stall),
        longer(|phase| &phase.tally.committed) + longer(|phase| &phase.tally.refused),
        longer(|phase| &phase.late),
        millis(late.own),
        millis(spin.own),
        millis(spin.wall)
    );
    let periods = &churn.seen.periods;
    let ratio = |of: fn(&Period) -> f64| {
        let (first, last) = (periods.first().map(of), periods.last().map(of));
        last.unwrap_or(0.0) / first.unwrap_or(0.0).max(f64::MIN_POSITIVE)
    };
    verdict.target(
        "operations in the last period, of the first, less the run queue",
        ratio(Period::running_rate),
        bounds.throughput,
        periods.len() > 1,
    );
    println!(
        "operations in the last period, of the first: {:.3} by the clock",
        ratio(Period::rate)
    );
}

fn conclude(verdict: &Verdict, phases: [&Phase; 3], is_queue_told: bool) -> Result<(), String> {
    if !is_queue_told {
        println!(
            "this system does not tell for how long a thread is in the run queue: nothing is left out"
        );
    }
    let [broken, missed] = [Kind::Promise, Kind::Target].map(|kind| verdict.count_broken(kind));
    let done: u64 = phases.iter().map(|phase| phase.seen.totals.done).sum();
    let summary = format!("churned {done}, promises broken {broken}, targets missed {missed}");
    if broken + missed > 0 {
        return Err(summary);
    }
    println!("{summary}");
    Ok(())
}
