//! What is seen of a phase from outside: what is in use, looked at all the time, and what the threads
//! have counted, printed as a line for each period.

use super::load::Load;
use super::phase::Plan;
use super::run_queue::Took;
use super::tally::Counts;
use crate::soak::{MIB, resident_mib};
use kvick::Stats;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// After how many looks at the engine also the process is looked at.
const RESIDENT_EVERY: u32 = 50;

/// What was done in a period.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Period {
    pub(super) length: Duration,
    /// Reads, and commits that took effect.
    pub(super) done: u64,
    /// The time of all threads, without what they were in the run queue.
    pub(super) running: Duration,
}

impl Period {
    /// Operations a second, of all threads together, by the clock.
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    pub(super) fn rate(&self) -> f64 {
        self.done as f64 / self.length.as_secs_f64().max(f64::MIN_POSITIVE)
    }

    /// Operations a second of one thread that was not in the run queue.
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    pub(super) fn running_rate(&self) -> f64 {
        self.done as f64 / self.running.as_secs_f64().max(f64::MIN_POSITIVE)
    }
}

/// What was seen of a phase so far.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    pub(super) periods: Vec<Period>,
    /// Of all periods.
    pub(super) totals: Totals,
}

/// What was counted, and the most that was seen.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Totals {
    pub(super) done: u64,
    pub(super) conflicts: u64,
    /// Commits that were refused while much was garbage.
    pub(super) held: u64,
    /// Those that were although it was not.
    pub(super) refused: u64,
    pub(super) evicted: u64,
    pub(super) expired: u64,
    /// What was in use at most, in bytes.
    pub(super) peak: u64,
    /// What of that was garbage.
    pub(super) garbage_peak: u64,
    /// What the process took at most; zero where the system does not tell.
    pub(super) resident_peak_mib: f64,
    /// Nanoseconds that the threads were in the run queue.
    queued: u64,
}

impl Totals {
    /// What was counted since then, and the most that was seen.
    fn since(self, before: Self) -> Self {
        Self {
            done: self.done - before.done,
            conflicts: self.conflicts - before.conflicts,
            held: self.held - before.held,
            refused: self.refused - before.refused,
            evicted: self.evicted - before.evicted,
            expired: self.expired - before.expired,
            queued: self.queued - before.queued,
            ..self
        }
    }

    fn note_peaks(&mut self, of: Self) {
        self.peak = self.peak.max(of.peak);
        self.garbage_peak = self.garbage_peak.max(of.garbage_peak);
        self.resident_peak_mib = self.resident_peak_mib.max(of.resident_peak_mib);
    }
}

/// Whoever looks.
pub(super) struct Looks<'a> {
    load: &'a Load,
    plan: Plan,
    pub(super) begun: Instant,
    count: u32,
    /// What has been counted when the phase began, and when the period did.
    first: Totals,
    before: Totals,
    since: Instant,
    /// The most that was seen in this period.
    peaks: Totals,
    pub(super) seen: Seen,
}

impl<'a> Looks<'a> {
    /// Prints the head of the table.
    pub(super) fn new(load: &'a Load, plan: Plan) -> Self {
        println!(
            "    time    ops/s  MiB used, peak  RSS MiB  entries  MiB garbage, peak  evicted  expired  \
             conflicts  refused: held  otherwise  longest ms: less run queue (wall, running)"
        );
        let begun = Instant::now();
        let mut looks = Self {
            load,
            plan,
            begun,
            count: 0,
            first: Totals::default(),
            before: Totals::default(),
            since: begun,
            peaks: Totals::default(),
            seen: Seen::default(),
        };
        looks.first = looks.totals(&load.kv.stats());
        looks.before = looks.first;
        looks
    }

    pub(super) fn look(&mut self) {
        let stats = self.load.kv.stats();
        let mut peaks = Totals {
            peak: stats.bytes as u64,
            garbage_peak: stats.garbage_bytes as u64,
            ..Totals::default()
        };
        if self.count.is_multiple_of(RESIDENT_EVERY) {
            peaks.resident_peak_mib = resident_mib().unwrap_or(0.0);
        }
        self.count += 1;
        self.peaks.note_peaks(peaks);
        if self.since.elapsed() >= self.plan.period {
            self.end_period();
        }
    }

    /// Ends a period, unless half of it is still to come.
    pub(super) fn end_period(&mut self) {
        let length = self.since.elapsed();
        if length < self.plan.period / 2 {
            return;
        }
        for counts in &self.load.counts {
            let peak = counts.peak.swap(0, Ordering::Relaxed);
            self.peaks.peak = self.peaks.peak.max(peak);
        }
        let resident = resident_mib().unwrap_or(0.0);
        self.peaks.resident_peak_mib = self.peaks.resident_peak_mib.max(resident);
        let (worst, stats) = (self.take_worst(), self.load.kv.stats());
        let now = self.totals(&stats);
        let counted = now.since(self.before);
        let threads = u32::try_from(self.plan.threads).unwrap_or(u32::MAX);
        let queued = Duration::from_nanos(counted.queued);
        let period = Period {
            length,
            done: counted.done,
            running: (length * threads).saturating_sub(queued),
        };
        self.print(period, &counted, &stats, worst);
        self.seen.periods.push(period);
        let mut totals = now.since(self.first);
        totals.note_peaks(self.seen.totals);
        self.seen.totals = totals;
        self.peaks = Totals::default();
        (self.before, self.since) = (now, Instant::now());
    }

    /// What has been counted up to now, and the most that was seen in this period.
    fn totals(&self, stats: &Stats) -> Totals {
        let sum = |of: fn(&Counts) -> &AtomicU64| {
            let counts = self.load.counts.iter();
            let counts = counts.map(|counts| of(counts).load(Ordering::Relaxed));
            counts.sum()
        };
        Totals {
            done: sum(|counts| &counts.done),
            conflicts: sum(|counts| &counts.conflicts),
            held: sum(|counts| &counts.held),
            refused: sum(|counts| &counts.refused),
            evicted: stats.evicted_for_memory_count,
            expired: stats.expired_count,
            queued: sum(|counts| &counts.queued),
            ..self.peaks
        }
    }

    fn take_worst(&self) -> Took {
        let take = |of: fn(&Counts) -> &AtomicU64| {
            let counts = self.load.counts.iter();
            let worst = counts.map(|counts| of(counts).swap(0, Ordering::Relaxed));
            Duration::from_nanos(worst.max().unwrap_or(0))
        };
        Took {
            wall: take(|counts| &counts.worst_wall),
            own: take(|counts| &counts.worst_own),
            ran: take(|counts| &counts.worst_ran),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "printed with few digits")]
    fn print(&self, period: Period, counted: &Totals, stats: &Stats, worst: Took) {
        println!(
            "{:>6.1} s  {:>7.0}  {:>14.3}  {:>7.1}  {:>7}  {:>17.1}  {:>7}  {:>7}  {:>9}  {:>13}  {:>9}  \
             {:>26.2} ({:.2}, {:.2})",
            self.begun.elapsed().as_secs_f64(),
            period.rate(),
            counted.peak as f64 / MIB,
            counted.resident_peak_mib,
            stats.entry_count,
            counted.garbage_peak as f64 / MIB,
            counted.evicted,
            counted.expired,
            counted.conflicts,
            counted.held,
            counted.refused,
            worst.own.as_secs_f64() * 1e3,
            worst.wall.as_secs_f64() * 1e3,
            worst.ran.as_secs_f64() * 1e3,
        );
    }
}
