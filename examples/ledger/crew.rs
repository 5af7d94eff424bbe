//! The threads: some transfer, some audit, and this one watches the time.

use std::io;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::Failure;
use crate::args::Crew;
use crate::bank::{Bank, Books, Fate};
use crate::report::{Bar, Progress};

/// Latencies are counted up to here, to three digits.
const LATENCY_MAX: Duration = Duration::from_secs(60);

/// How often the bar moves and the counts are looked at.
const TICK: Duration = Duration::from_millis(100);

/// Violations that are described; the others are only counted.
const DESCRIBED_MAX: usize = 10;

/// What came of it all.
#[derive(Debug)]
pub(crate) struct Results {
    pub(crate) elapsed: Duration,
    pub(crate) tally: Tally,
    pub(crate) findings: Findings,
    /// The most versions and bytes that were seen at once.
    pub(crate) versions_max: usize,
    pub(crate) bytes_max: usize,
}

/// What the threads that transfer have done.
#[derive(Debug)]
pub(crate) struct Tally {
    pub(crate) made: u64,
    pub(crate) attempts: u64,
    pub(crate) refused: u64,
    /// Of the transfers that were made, in nanoseconds.
    pub(crate) latency: Histogram<u64>,
    books: Books,
}

/// What the auditors have found.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) audits: u64,
    pub(crate) violations: u64,
    pub(crate) described: Vec<String>,
}

impl Findings {
    fn add(&mut self, other: Self) {
        self.audits += other.audits;
        self.violations += other.violations;
        self.described.extend(other.described);
        self.described.truncate(DESCRIBED_MAX);
    }

    fn violations(&mut self, violations: impl IntoIterator<Item = String>) {
        for violation in violations {
            self.violations += 1;
            if self.described.len() < DESCRIBED_MAX {
                self.described.push(violation);
            }
        }
    }

    fn audit(&mut self, bank: &Bank) -> kvick::Result<()> {
        let audit = bank.audit()?;
        self.audits += 1;
        self.violations(bank.violation(&audit));
        Ok(())
    }
}

impl Tally {
    fn new(accounts: usize) -> Self {
        let latency = Histogram::new_with_bounds(1, nanos(LATENCY_MAX), 3)
            .expect("the bounds are apart, and three digits are few");
        Self {
            made: 0,
            attempts: 0,
            refused: 0,
            latency,
            books: Books::new(accounts),
        }
    }

    /// Makes a transfer and enters it.
    pub(crate) fn transfer(
        &mut self,
        bank: &Bank,
        from: usize,
        to: usize,
        amount: u64,
    ) -> kvick::Result<Fate> {
        let begin = Instant::now();
        let fate = bank.transfer(from, to, amount)?;
        match fate {
            Fate::Made { attempts } => {
                self.latency.saturating_record(nanos(begin.elapsed()));
                self.made += 1;
                self.attempts += attempts;
                self.books.enter(from, to, amount);
            }
            Fate::InsufficientFunds { .. } => self.refused += 1,
        }
        Ok(fate)
    }

    fn add(&mut self, other: &Self) {
        self.made += other.made;
        self.attempts += other.attempts;
        self.refused += other.refused;
        self.latency
            .add(&other.latency)
            .expect("all latencies are counted within the same bounds");
        self.books.add(&other.books);
    }
}

fn nanos(length: Duration) -> u64 {
    u64::try_from(length.as_nanos()).unwrap_or(u64::MAX)
}

/// What the threads are told.
#[derive(Debug, Default)]
struct Signals {
    /// Set once: whether to begin at all.
    begin: OnceLock<bool>,
    /// The transfers shall end.
    stop: AtomicBool,
    /// They have ended: one audit more would find nothing new.
    is_over: AtomicBool,
}

/// When a thread that transfers has to end, as it sees it.
pub(crate) struct Stop<'a>(&'a AtomicBool);

impl Stop<'_> {
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Lets `transfer` run on each thread, given its number, until all have returned; after `length`,
/// if there is one, they are told to stop. Audits meanwhile, and once more in the end, when the
/// threads' books are gone through as well.
pub(crate) fn run(
    bank: &Bank,
    crew: Crew,
    length: Option<Duration>,
    bar: &Bar,
    transfer: impl Fn(u64, &Stop<'_>, &mut Tally) -> kvick::Result<()> + Sync,
) -> Result<Results, Failure> {
    let signals = Signals::default();
    let (report, reports) = mpsc::channel();
    let work = |number| {
        let mut tally = Tally::new(bank.len());
        if *signals.begin.wait() {
            transfer(number, &Stop(&signals.stop), &mut tally)?;
        }
        Ok(tally)
    };
    let audit = || {
        let mut findings = Findings::default();
        if *signals.begin.wait() {
            while !signals.is_over.load(Ordering::Relaxed) {
                findings.audit(bank)?;
            }
        }
        Ok(findings)
    };
    thread::scope(|scope| {
        let spawn = || -> io::Result<Vec<_>> {
            for number in 0..crew.threads {
                let (report, work) = (report.clone(), &work);
                thread::Builder::new().spawn_scoped(scope, move || {
                    // The receiver is gone only if another thread has failed.
                    let _ = report.send(work(number as u64));
                })?;
            }
            let auditor = |_| thread::Builder::new().spawn_scoped(scope, audit);
            (0..crew.auditors).map(auditor).collect()
        };
        let auditors = spawn();
        // From here on only the threads hold a sender: when the last is gone, they are.
        drop(report);
        let watch = Watch::new(bank, length, &signals, bar);
        signals.begin.get_or_init(|| auditors.is_ok());
        let auditors = auditors.map_err(Failure::Threads)?;

        let watched = watch.until_all_have_reported(crew.threads, &reports);
        signals.stop.store(true, Ordering::Relaxed);
        signals.is_over.store(true, Ordering::Relaxed);
        let mut results = watched?;
        for auditor in auditors {
            let findings: kvick::Result<Findings> = auditor.join().or(Err(Failure::Panicked))?;
            results.findings.add(findings?);
        }
        results.findings.audit(bank)?;
        let discrepancies = bank.discrepancies(&results.tally.books)?;
        results.findings.violations(discrepancies);
        Ok(results)
    })
}

/// What the main thread does while the others work.
struct Watch<'a> {
    bank: &'a Bank,
    length: Option<Duration>,
    signals: &'a Signals,
    bar: &'a Bar,
    begin: Instant,
    /// Commits that were there before.
    commits_before: u64,
}

impl<'a> Watch<'a> {
    fn new(bank: &'a Bank, length: Option<Duration>, signals: &'a Signals, bar: &'a Bar) -> Self {
        Self {
            bank,
            length,
            signals,
            bar,
            begin: Instant::now(),
            commits_before: bank.kv().stats().commit_count,
        }
    }

    fn until_all_have_reported(
        &self,
        threads: usize,
        reports: &mpsc::Receiver<kvick::Result<Tally>>,
    ) -> Result<Results, Failure> {
        let mut results = Results {
            elapsed: Duration::ZERO,
            tally: Tally::new(self.bank.len()),
            findings: Findings::default(),
            versions_max: 0,
            bytes_max: 0,
        };
        let mut reported = 0;
        while reported < threads {
            match reports.recv_timeout(self.until_next_tick()) {
                Ok(tally) => {
                    results.tally.add(&tally?);
                    reported += 1;
                }
                Err(RecvTimeoutError::Timeout) => self.tick(&mut results),
                Err(RecvTimeoutError::Disconnected) => return Err(Failure::Panicked),
            }
            results.elapsed = self.begin.elapsed();
        }
        self.tick(&mut results);
        self.bar.finish();
        Ok(results)
    }

    fn until_next_tick(&self) -> Duration {
        let left = self
            .length
            .map_or(TICK, |length| length.saturating_sub(self.begin.elapsed()));
        // Past the end, nothing is left to wait for but the threads.
        if left.is_zero() { TICK } else { left.min(TICK) }
    }

    fn tick(&self, results: &mut Results) {
        let elapsed = self.begin.elapsed();
        if self.length.is_some_and(|length| elapsed >= length) {
            self.signals.stop.store(true, Ordering::Relaxed);
        }
        let stats = self.bank.kv().stats();
        results.versions_max = results.versions_max.max(stats.version_count);
        results.bytes_max = results.bytes_max.max(stats.bytes);
        self.bar.show(Progress {
            elapsed,
            transfers: stats.commit_count - self.commits_before,
            conflicts: stats.conflict_count,
        });
    }
}
