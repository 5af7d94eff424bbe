//! Histories of little engines, drawn at random: those of one that keeps its promises are always
//! accepted, those of engines that break one are found out, and by both checkers where the lists
//! and the versions both show it.

use crate::history::anomaly::{Cycle, Kind, RealTime};
use crate::history::record::{Act, History, Log, Outcome, Via};
use crate::history::{black_box, white_box};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// What an engine does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// What was read is not looked at again: updates are lost.
    ReadsUnchecked,
    /// Of what was read only that is looked at again which is written: snapshot isolation.
    WriteSkew,
    /// What was missing when it was read is not looked at again.
    Phantoms,
    /// Reads are of the moment in which each is made.
    NoSnapshot,
    /// Snapshots are of some moment before.
    StaleSnapshots,
    /// A commit that conflicts has written nevertheless.
    DirtyAborts,
    /// A writer is told the version of the commit before.
    ReusedStamps,
}

const KEYS: u32 = 6;
const CLIENTS: usize = 4;
const TRANSACTIONS: usize = 400;

/// The elements of a key with the commit that appended each.
type Store = Vec<Vec<(u32, u32)>>;

struct Attempt {
    begin: u32,
    /// The stamp at which it reads.
    at: u32,
    steps_left: u32,
    reads: Vec<(u32, usize)>,
    appends: Vec<(u32, u32)>,
}

struct Engine {
    wrong: Wrong,
    store: Store,
    stamp: u32,
    ticks: u32,
    random: SmallRng,
}

impl Engine {
    fn tick(&mut self) -> u32 {
        self.ticks += 1;
        self.ticks - 1
    }

    fn begin(&mut self) -> Attempt {
        let begin = self.tick();
        let back = match self.wrong {
            Wrong::StaleSnapshots => self.random.random_range(0..3),
            _ => 0,
        };
        Attempt {
            begin,
            at: self.stamp.saturating_sub(back),
            steps_left: self.random.random_range(1..6),
            reads: Vec::new(),
            appends: Vec::new(),
        }
    }

    fn read(&mut self, attempt: &mut Attempt, key: u32, log: &mut Log) {
        let list = &self.store[key as usize];
        let is_seen =
            |(_, stamp): &&(u32, u32)| self.wrong == Wrong::NoSnapshot || *stamp <= attempt.at;
        let seen: Vec<_> = list.iter().take_while(is_seen).collect();
        let own = attempt
            .appends
            .iter()
            .filter(|(appended, _)| *appended == key);
        let own: Vec<_> = own.map(|(_, element)| *element).collect();
        let bytes: Vec<_> = seen
            .iter()
            .map(|(element, _)| *element)
            .chain(own.clone())
            .collect();
        let bytes = super::bytes(&bytes);
        let stamp = seen.last().map_or(0, |(_, stamp)| *stamp);
        if own.is_empty() {
            log.read(key, &bytes, stamp);
            attempt.reads.push((key, seen.len()));
        } else {
            log.read_own(key, &bytes, stamp);
        }
    }

    fn step(&mut self, attempt: &mut Attempt, log: &mut Log) {
        let key = self.random.random_range(0..KEYS);
        self.read(attempt, key, log);
        if self.random.random_range(0..3) == 0 {
            let element = log.fresh_element();
            log.append(key, element);
            attempt.appends.push((key, element));
        }
        attempt.steps_left -= 1;
    }

    fn end(&mut self, attempt: &Attempt, log: &mut Log) {
        let is_written = |key| attempt.appends.iter().any(|(written, _)| *written == key);
        let conflicts = attempt.reads.iter().any(|(key, len)| {
            let is_checked = match self.wrong {
                Wrong::ReadsUnchecked => false,
                Wrong::WriteSkew => is_written(*key),
                Wrong::Phantoms => *len > 0 || is_written(*key),
                _ => true,
            };
            is_checked && self.store[*key as usize].len() > *len
        });
        let span = |tick| attempt.begin..tick;
        if attempt.appends.is_empty() {
            let span = span(self.tick());
            return log.end_txn(Via::Transact, Outcome::ReadOnly, span, 0);
        }
        let writes = !conflicts || self.wrong == Wrong::DirtyAborts;
        if writes {
            self.stamp += 1;
            for (key, element) in &attempt.appends {
                self.store[*key as usize].push((*element, self.stamp));
            }
        }
        let span = span(self.tick());
        if conflicts {
            log.end_txn(Via::Transact, Outcome::Aborted, span, 0);
        } else {
            let is_told_wrong = self.wrong == Wrong::ReusedStamps
                && self.stamp > 1
                && self.random.random_range(0..20) == 0;
            let told = self.stamp - u32::from(is_told_wrong);
            log.end_txn(Via::Transact, Outcome::Committed, span, told);
        }
    }
}

/// A history of some clients, whose steps are interleaved at random.
fn simulate(wrong: Wrong, seed: u64) -> History {
    let mut engine = Engine {
        wrong,
        store: vec![Vec::new(); KEYS as usize],
        stamp: 0,
        ticks: 0,
        random: SmallRng::seed_from_u64(seed),
    };
    let mut logs: Vec<_> = (0..=u32::try_from(CLIENTS).unwrap())
        .map(Log::new)
        .collect();
    for log in &mut logs {
        log.begin_round(0);
    }
    let mut attempts: Vec<Option<Attempt>> = Vec::new();
    attempts.resize_with(CLIENTS, || None);
    for _ in 0..TRANSACTIONS * 5 {
        let client = engine.random.random_range(0..CLIENTS);
        let log = &mut logs[client];
        match attempts[client].take() {
            None => {
                log.begin_txn();
                attempts[client] = Some(engine.begin());
            }
            Some(attempt) if attempt.steps_left == 0 => engine.end(&attempt, log),
            Some(mut attempt) => {
                engine.step(&mut attempt, log);
                attempts[client] = Some(attempt);
            }
        }
    }
    for (attempt, log) in attempts.into_iter().zip(&mut logs) {
        if let Some(attempt) = attempt {
            engine.end(&attempt, log);
        }
    }
    read_all(&mut engine, &mut logs[CLIENTS]);
    History::new(logs)
}

fn read_all(engine: &mut Engine, log: &mut Log) {
    log.begin_txn();
    let begin = engine.tick();
    for (key, list) in (0..).zip(&engine.store) {
        let elements: Vec<_> = list.iter().map(|(element, _)| *element).collect();
        let stamp = list.last().map_or(0, |(_, stamp)| *stamp);
        log.read(key, &super::bytes(&elements), stamp);
    }
    let end = engine.tick();
    log.end_txn(Via::Final, Outcome::Snapshot, begin..end, engine.stamp);
}

#[test]
fn an_engine_that_keeps_its_promises_is_never_accused() {
    for seed in 0..100 {
        let history = simulate(Wrong::Nothing, seed);
        let (lists, versions) = (black_box::check(&history), white_box::check(&history));
        assert!(lists.told.is_empty(), "seed {seed}: {lists:#?}");
        assert!(versions.told.is_empty(), "seed {seed}: {versions:#?}");
    }
}

#[test]
fn histories_have_conflicts_and_reads_of_missing_keys() {
    let history = simulate(Wrong::Nothing, 1);
    let count = |outcome| {
        let txns = history.txns.iter();
        txns.filter(|txn| txn.outcome == outcome).count()
    };
    assert!(count(Outcome::Committed) > 100);
    assert!(count(Outcome::Aborted) > 20);
    assert!(count(Outcome::ReadOnly) > 20);
    let own = history.txns.iter().flat_map(|txn| history.ops(txn));
    assert!(own.filter(|op| op.act == Act::ReadOwn).count() > 20);
}

/// Whether each of the checkers objects to one of the histories of an engine.
fn objections(wrong: Wrong, expected: &[Kind]) -> (bool, bool) {
    let mut found = Vec::new();
    let (mut by_lists, mut by_versions) = (false, false);
    for seed in 0..20 {
        let history = simulate(wrong, seed);
        let lists = black_box::check(&history);
        let versions = white_box::check(&history);
        by_lists |= !lists.told.is_empty();
        by_versions |= !versions.told.is_empty();
        found.extend(
            lists
                .told
                .iter()
                .chain(&versions.told)
                .map(|told| told.kind),
        );
    }
    for kind in expected {
        assert!(found.contains(kind), "{wrong:?} shows no {kind}");
    }
    (by_lists, by_versions)
}

fn cycle(cycle: Cycle) -> Kind {
    Kind::Cycle(cycle, RealTime::Without)
}

#[test]
fn lost_updates_are_found() {
    let expected = [cycle(Cycle::GSingle), Kind::StaleCommit];
    assert_eq!(objections(Wrong::ReadsUnchecked, &expected), (true, true));
}

#[test]
fn snapshot_isolation_is_not_enough() {
    let expected = [cycle(Cycle::G2Item), Kind::StaleCommit];
    assert_eq!(objections(Wrong::WriteSkew, &expected), (true, true));
}

#[test]
fn phantoms_are_found() {
    let expected = [cycle(Cycle::G2Item), Kind::StaleCommit];
    assert_eq!(objections(Wrong::Phantoms, &expected), (true, true));
}

#[test]
fn reads_of_several_moments_are_found() {
    let expected = [cycle(Cycle::GSingle), Kind::StaleRead];
    assert_eq!(objections(Wrong::NoSnapshot, &expected), (true, true));
}

#[test]
fn snapshots_of_the_past_are_found() {
    let expected = [Kind::Cycle(Cycle::GSingle, RealTime::With), Kind::StaleRead];
    assert_eq!(objections(Wrong::StaleSnapshots, &expected), (true, true));
}

#[test]
fn aborts_that_write_are_found() {
    let expected = [Kind::AbortedRead, Kind::WrongList];
    assert_eq!(objections(Wrong::DirtyAborts, &expected), (true, true));
}

/// The lists are as they should be, so only one of the checkers can see it.
#[test]
fn versions_that_are_given_out_twice_are_found() {
    let expected = [Kind::ReusedStamp];
    assert_eq!(objections(Wrong::ReusedStamps, &expected), (false, true));
}
