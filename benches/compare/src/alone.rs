//! kvick beside itself: two threads beside one, and old snapshots beside fresh ones.

use crate::cell::{Cell, Round};
use crate::draw::{Distribution, Random};
use crate::keys;
use crate::peers::Kvick;
use crate::session::Session;
use crate::slice::{self, Task};
use crate::store::Store;
use crate::subject::{Subject, value};
use crate::workload::{SMALL, Workload};
use kvick::{EntryRef, Key, Snapshot};
use std::hint::black_box;
use std::io;
use std::time::{Duration, Instant};

pub(crate) const TWO_THREADS: &str = "two_threads";
pub(crate) const OLD_SNAPSHOT: &str = "old_snapshot";

/// The size of the store in which some keys are hot.
pub(crate) const SNAPSHOT_KEYS: u32 = 100_000;

const HOT_KEYS: u32 = 100;
/// How old a snapshot is, in updates, and how many are open: it is the oldest of so many, opened at
/// equal distances.
const AGES: [(u32, u32); 3] = [(100_000, 1), (1_000_000, 1), (1_000_000, 10)];

/// Keys read in a batch.
const BATCH: u32 = 256;

/// The throughput of two threads over that of one.
pub(crate) fn two_threads(session: &mut Session, keys: u32) -> io::Result<()> {
    let subject = Subject::<Kvick>::filled(keys, value(SMALL));
    for (name, workload) in [
        ("two_threads_get", Workload::GetHit),
        ("two_threads_transfer", Workload::Transfer),
    ] {
        session.doing(&format!("{name} of {keys}"));
        let one = Task {
            workload,
            distribution: Distribution::Uniform(keys),
            threads: 1,
            time: session.plan.slice * 2,
            insert_max: 0,
        };
        let two = Task {
            threads: 2,
            ..one.clone()
        };
        slice::run(&subject, &one);
        let rounds = (0..session.plan.rounds).map(|_| {
            let of_two = slice::run(&subject, &two);
            (of_two, slice::run(&subject, &one))
        });
        let rounds: Vec<Round> = rounds.collect();
        session.report(Cell {
            threads: 2,
            ..Cell::new(name, keys, "one_thread", &rounds)
        })?;
        session.done();
    }
    Ok(())
}

/// Reads of hot keys in snapshots that were opened many updates ago, over those in a fresh one.
pub(crate) fn old_snapshot(session: &mut Session) -> io::Result<()> {
    session.doing(OLD_SNAPSHOT);
    let subject = Subject::<Kvick>::filled(SNAPSHOT_KEYS, value(SMALL));
    let Kvick(kv) = &subject.store;
    let mut random = Random::new(0);
    for (age, open) in AGES {
        let mut snapshots: Vec<Snapshot> = Vec::new();
        for update in 0..age {
            if update % (age / open) == 0 {
                snapshots.push(kv.snapshot());
            }
            let key = hot(&mut random);
            subject.store.set(&key, subject.value);
        }
        let (old, fresh) = (&snapshots[0], kv.snapshot());
        let time = session.plan.slice;
        let rounds = (0..session.plan.rounds).map(|_| {
            let old = reads(old, &mut random, time);
            (old, reads(&fresh, &mut random, time))
        });
        let rounds: Vec<Round> = rounds.collect();
        let name = match open {
            1 => format!("{OLD_SNAPSHOT}_{age}"),
            _ => format!("{OLD_SNAPSHOT}_{age}_of_{open}"),
        };
        session.report(Cell::new(&name, SNAPSHOT_KEYS, "fresh_snapshot", &rounds))?;
    }
    session.done();
    Ok(())
}

/// Each of them is somewhere else among the entries.
fn hot(random: &mut Random) -> Key {
    let index = random.below(HOT_KEYS) * (SNAPSHOT_KEYS / HOT_KEYS);
    Kvick::key(&keys::entry(index))
}

/// Nanoseconds for a read.
fn reads(snapshot: &Snapshot, random: &mut Random, time: Duration) -> f64 {
    let (mut sum, mut count) = (Duration::ZERO, 0);
    while sum < time {
        let keys: Vec<Key> = (0..BATCH).map(|_| hot(random)).collect();
        let begin = Instant::now();
        for key in &keys {
            let first = |entry: Option<EntryRef<'_>>| entry?.as_bytes()?.first().copied();
            black_box(snapshot.with_entry(key, first).expect("the engine is open"));
        }
        sum += begin.elapsed();
        count += BATCH;
    }
    sum.as_secs_f64() * 1e9 / f64::from(count)
}
