//! Rounds: threads make a history, and two checkers look at it.

use super::anomaly::{Anomaly, Findings, Kind};
use super::keys::Groups;
use super::latency::Latency;
use super::mailbox::Mailbox;
use super::messages;
use super::note::{Sequence, number, stamp_in};
use super::record::{GROUP_KEYS, History, Log, Outcome, Via};
use super::workload::{Client, Counts, Round};
use super::{black_box, white_box};
use crate::panics::text_of;
use kvick::{Kv, Range};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

/// What is to be run.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// In all rounds together, of all threads.
    pub(crate) transactions: u64,
    /// How many threads the rounds have, by turns.
    pub(crate) threads: Vec<u32>,
    /// What the threads do follows from it, though not how they meet.
    pub(crate) seed: u64,
    /// No transaction begins after this.
    pub(crate) time_limit: Option<Duration>,
    /// Whether the first round with an anomaly is the last.
    pub(crate) stop_at_first: bool,
}

/// Transactions of a round. More take the checkers more memory than the processor keeps at hand.
const ROUND_TRANSACTIONS: u32 = 60_000;

/// Groups of keys that are in use at a time: a round draws one of these.
const GROUPS: [u32; 4] = [4, 8, 16, 32];

/// A round in which no tick passes for so long has come to a stop.
const STALLED_AFTER: Duration = Duration::from_secs(20);

/// How often it is looked whether a round goes on, and whether time is up.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// What the rounds with one number of threads have come to.
#[derive(Debug)]
pub(crate) struct Totals {
    pub(crate) threads: u32,
    pub(crate) counts: Counts,
    pub(crate) latency: Latency,
    /// Of the transactions, without the checks.
    pub(crate) working: Duration,
}

/// What a run has come to, so far.
#[derive(Debug)]
pub(crate) struct Report {
    pub(crate) transactions: u64,
    pub(crate) rounds: u32,
    pub(crate) totals: Vec<Totals>,
    /// The first ones.
    pub(crate) anomalies: Vec<Anomaly>,
    /// All of them.
    pub(crate) anomaly_count: u64,
    /// Of everything, the checks included.
    pub(crate) elapsed: Duration,
}

/// Anomalies that a report keeps.
const REPORTED_MAX: usize = 100;

/// Runs rounds on an engine that nobody else writes to, and checks each. `watch` sees the report
/// after every round.
pub(crate) fn run(kv: &Kv, options: &Options, watch: &mut dyn FnMut(&Report)) -> Report {
    let begun = Instant::now();
    let totals = options.threads.iter().map(|threads| Totals {
        threads: *threads,
        counts: Counts::default(),
        latency: Latency::new(),
        working: Duration::ZERO,
    });
    let mut report = Report {
        transactions: 0,
        rounds: 0,
        totals: totals.collect(),
        anomalies: Vec::new(),
        anomaly_count: 0,
        elapsed: Duration::ZERO,
    };
    let mut rounds = Rounds {
        kv,
        seed: options.seed,
        random: SmallRng::seed_from_u64(options.seed),
        deadline: options.time_limit.map(|limit| begun + limit),
        logs: Vec::new(),
        floor: number(kv.snapshot().versionstamp()),
    };
    let mut turns = (0..report.totals.len()).cycle();
    while report.transactions < options.transactions && !rounds.is_late() {
        let Some(turn) = turns.next() else {
            break;
        };
        let left = options.transactions - report.transactions;
        let totals = &mut report.totals[turn];
        let played = rounds.play(report.rounds, totals, left);
        report.rounds += 1;
        report.transactions = report.totals.iter().map(|t| t.counts.transactions).sum();
        report.anomaly_count += played.findings.count;
        report.anomalies.extend(played.findings.told);
        report.anomalies.truncate(REPORTED_MAX);
        report.elapsed = begun.elapsed();
        watch(&report);
        if played.is_stalled || options.stop_at_first && report.anomaly_count > 0 {
            break;
        }
    }
    report
}

struct Rounds<'a> {
    kv: &'a Kv,
    seed: u64,
    random: SmallRng,
    deadline: Option<Instant>,
    /// Those of earlier rounds, whose space is used again.
    logs: Vec<Log>,
    /// The stamp of the last commit before the round.
    floor: u64,
}

struct Played {
    findings: Findings,
    /// Whether threads of it may still hold on to the engine.
    is_stalled: bool,
}

/// What a thread hands back; or why it panicked.
type Done = (u32, Result<(Log, Counts, Latency), String>);

impl Rounds<'_> {
    fn is_late(&self) -> bool {
        self.deadline
            .is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Plays a round of at most so many transactions, checks it and clears up.
    fn play(&mut self, number: u32, totals: &mut Totals, transactions_max: u64) -> Played {
        let threads = totals.threads;
        let transactions = u32::try_from(transactions_max).unwrap_or(u32::MAX);
        let transactions = transactions.min(ROUND_TRANSACTIONS);
        let round = Arc::new(Round {
            kv: self.kv.clone(),
            number,
            groups: GROUPS[self.random.random_range(0..GROUPS.len())],
            transactions: transactions.div_ceil(threads),
            seed: self.seed,
            now: AtomicU32::new(0),
            stop: AtomicBool::new(false),
        });
        let begun = Instant::now();
        let mut logs = Vec::new();
        let mut findings = Findings::default();
        let done = self.start(&round, threads);
        let is_stalled = !self.wait(&round, &done, threads, |(_, result)| match result {
            Ok((log, counts, latency)) => {
                totals.counts.add(counts);
                totals.latency.merge(&latency);
                logs.push(log);
            }
            Err(reason) => findings.add(Kind::Panic, || reason),
        });
        totals.working += begun.elapsed();
        if is_stalled {
            findings.add(Kind::Stall, || {
                format!("round {number} of {threads} threads: no tick for {STALLED_AFTER:?}")
            });
        } else if findings.count == 0 {
            logs.sort_by_key(Log::number);
            self.finish(&round, logs, &mut findings);
        } else {
            // What a thread had done before it panicked is not known: there is no whole history.
            self.logs.clear();
            self.clear(&round, None, &mut findings);
        }
        let place = format!(
            "[round {number} of {threads} threads, seed {:#x}] ",
            self.seed
        );
        for told in &mut findings.told {
            told.detail.insert_str(0, &place);
        }
        Played {
            findings,
            is_stalled,
        }
    }

    fn start(&mut self, round: &Arc<Round>, threads: u32) -> Receiver<Done> {
        let (send, done) = channel();
        // The elements of two rounds differ because a log goes on counting.
        let known = u32::try_from(self.logs.len()).unwrap_or(u32::MAX);
        self.logs.extend((known..=threads).map(Log::new));
        let rest = self.logs.split_off(threads as usize);
        for (number, mut log) in (0..).zip(std::mem::replace(&mut self.logs, rest)) {
            log.begin_round(self.floor);
            let (send, round) = (send.clone(), Arc::clone(round));
            thread::spawn(move || {
                let run = AssertUnwindSafe(|| {
                    let mut client = Client::new(Arc::clone(&round), log, number);
                    client.run();
                    client.finish()
                });
                let result = catch_unwind(run).map_err(|panic| {
                    round.stop.store(true, Ordering::Relaxed);
                    format!("thread {number}: {}", text_of(&*panic))
                });
                // Nobody waits any more where the round has stalled.
                let _ = send.send((number, result));
            });
        }
        done
    }

    /// Waits until all threads are done. Returns whether they were.
    fn wait(
        &self,
        round: &Round,
        done: &Receiver<Done>,
        threads: u32,
        mut collect: impl FnMut(Done),
    ) -> bool {
        let (mut left, mut last, mut since) = (threads, 0, Instant::now());
        while left > 0 {
            match done.recv_timeout(LOOK_EVERY) {
                Ok(result) => {
                    left -= 1;
                    collect(result);
                }
                Err(RecvTimeoutError::Disconnected) => return false,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.is_late() {
                round.stop.store(true, Ordering::Relaxed);
            }
            let now = round.now.load(Ordering::Relaxed);
            if now != last {
                (last, since) = (now, Instant::now());
            } else if since.elapsed() > STALLED_AFTER {
                return false;
            }
        }
        true
    }

    /// Reads the final state, checks the history, and clears up.
    fn finish(&mut self, round: &Round, mut logs: Vec<Log>, findings: &mut Findings) {
        let mut last = self.logs.remove(0);
        last.begin_round(self.floor);
        let read = catch_unwind(AssertUnwindSafe(|| read_all(round, &mut last)));
        let entries = match read {
            Ok(entries) => entries,
            Err(panic) => {
                findings.add(Kind::Panic, || format!("final read: {}", text_of(&*panic)));
                self.logs.clear();
                self.clear(round, None, findings);
                return;
            }
        };
        logs.push(last);
        let history = History::new(logs);
        thread::scope(|scope| {
            let black_box = scope.spawn(|| black_box::check(&history));
            let white_box = catch_unwind(|| white_box::check(&history));
            let queues = catch_unwind(|| messages::check(&history));
            for result in [black_box.join(), white_box, queues] {
                match result {
                    Ok(found) => findings.merge(found),
                    Err(panic) => {
                        findings.add(Kind::Panic, || format!("checker: {}", text_of(&*panic)));
                    }
                }
            }
        });
        self.logs.splice(0..0, history.into_logs());
        self.clear(round, Some(entries), findings);
    }

    /// Deletes the keys of a round, which are so many if that is known.
    fn clear(&mut self, round: &Round, entries: Option<usize>, findings: &mut Findings) {
        let cleared = catch_unwind(AssertUnwindSafe(|| {
            let deleted = self.kv.delete_range(Range::prefix((round.number,)));
            let deleted = deleted.expect("a range can be deleted");
            let left = self.kv.list((round.number,)).count();
            let left = left.expect("a range can be read") + messages::discard(self.kv);
            (deleted, left)
        }));
        match cleared {
            Ok((deleted, left)) => {
                self.floor = number(deleted.versionstamp);
                if left > 0 || entries.is_some_and(|entries| entries != deleted.count) {
                    findings.add(Kind::Leftover, || {
                        let count = deleted.count;
                        format!(
                            "{count} entries of {entries:?} were deleted, {left} or messages were left"
                        )
                    });
                }
            }
            Err(panic) => findings.add(Kind::Panic, || format!("clearing: {}", text_of(&*panic))),
        }
    }
}

/// Records the final state of a round, and returns how many entries there are.
fn read_all(round: &Round, log: &mut Log) -> usize {
    let mut groups = Groups::new(round.number);
    let begin = round.tick();
    let snapshot = round.kv.snapshot();
    let end = round.tick();
    log.begin_txn();
    let mut sequence = Sequence::new(0);
    let mut entries = 0;
    let listed = snapshot.list((round.number,));
    listed
        .for_each(|entry| {
            sequence.note(log, &mut groups, entry);
            entries += 1;
        })
        .expect("a range can be read");
    sequence.finish(log, round.groups_begun(end) * GROUP_KEYS);
    let stamp = stamp_in(log, Some(snapshot.versionstamp()));
    log.end_txn(Via::Final, Outcome::Snapshot, begin..end, stamp);
    for queue in 0..messages::QUEUES.len() {
        receive_all(round, log, queue);
    }
    entries
}

/// Receives what is left in a queue, and finishes it.
fn receive_all(round: &Round, log: &mut Log, queue: usize) {
    let mut listener = Mailbox::new(&round.kv, queue);
    while let Some(held) = listener.receive(round, log) {
        held.settle(true, round, log);
    }
}
