//! How long reads take at worst, while sixteen threads write.
//!
//! There are more writers than cores, so some are off their processor in the midst of a write, and
//! whoever waits for them waits for the scheduler. One thread reads: some keys, as a request does,
//! then it sleeps until the next request. A reader without pauses would use up its time, and be
//! taken off its processor in the midst of a read as often as any writer, which is no property of
//! what it reads from. A latency is what passes from the begin of a read to its end.

use crate::cell::Cell;
use crate::draw::{Distribution, Random};
use crate::keys;
use crate::peers::{Kvick, Visit};
use crate::session::Session;
use crate::store::Store;
use crate::subject::{Subject, value};
use crate::workload::SMALL;
use hdrhistogram::Histogram;
use std::hint::black_box;
use std::io;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

pub(crate) const NAME: &str = "tail";

const WRITERS: u8 = 16;

/// How many entries there are.
pub(crate) const KEYS: u32 = 100_000;

/// What takes longer counts as this long.
const LONGEST_NANOSECONDS: u64 = 60_000_000_000;

/// How many keys are read in a row, and how long the reader sleeps then.
const BURST: u32 = 32;
const PAUSE: Duration = Duration::from_micros(100);

/// The name of a percentile, the percentile, and how many reads of kvick there must be to know it:
/// with fewer it would be the longest. Of a peer that is too slow for as many reads, the longest does
/// stand for it, and is less.
const PERCENTILES: [(&str, f64, u64); 4] = [
    ("tail_p50", 50.0, 2),
    ("tail_p99", 99.0, 100),
    ("tail_p99.9", 99.9, 1_000),
    ("tail_p99.99", 99.99, READS_MIN),
];

/// How many reads there should be, and how much longer they may take than planned.
const READS_MIN: u64 = 10_000;
const WALL_FACTOR: u32 = 2;

/// With fewer, nothing is said of a peer.
const PEER_READS_MIN: u64 = 100;

/// Kvick and a peer, in rounds.
pub(crate) struct Tail<'a>(pub(crate) &'a mut Session);

impl Visit<io::Result<()>> for Tail<'_> {
    fn visit<S: Store>(self) -> io::Result<()> {
        let session = self.0;
        session.doing(&format!("{NAME} of {KEYS} in {}", S::NAME));
        let kvick = Subject::<Kvick>::filled(KEYS, value(SMALL));
        let peer = Subject::<S>::filled(KEYS, value(SMALL));
        let plan = session.plan;
        let rounds = (0..plan.tail_rounds)
            .map(|_| (latencies(&kvick, plan.tail), latencies(&peer, plan.tail)));
        let rounds: Vec<_> = rounds.collect();
        for (name, percentile, reads_min) in PERCENTILES {
            let figures = rounds.iter().filter_map(|(kvick, theirs)| {
                let figure = |latencies: &Histogram<u64>| {
                    let nanoseconds = latencies.value_at_percentile(percentile);
                    Duration::from_nanos(nanoseconds).as_secs_f64() * 1e9
                };
                let is_known = kvick.len() >= reads_min && theirs.len() >= PEER_READS_MIN;
                is_known.then(|| (figure(kvick), figure(theirs)))
            });
            let figures: Vec<_> = figures.collect();
            if !figures.is_empty() {
                session.report(Cell {
                    threads: 1 + u32::from(WRITERS),
                    ..Cell::new(name, KEYS, S::NAME, &figures)
                })?;
            }
        }
        session.done();
        Ok(())
    }
}

/// Of reads, for so long.
fn latencies<S: Store>(subject: &Subject<S>, time: Duration) -> Histogram<u64> {
    let stop = AtomicBool::new(false);
    let barrier = Barrier::new(1 + usize::from(WRITERS));
    let write = |seed: u8| {
        let mut random = Random::new(u64::from(seed));
        barrier.wait();
        while !stop.load(Ordering::Relaxed) {
            let key = draw::<S>(&mut random);
            subject.store.set(&key, subject.value);
        }
    };
    thread::scope(|scope| {
        for seed in 1..=WRITERS {
            let write = &write;
            scope.spawn(move || write(seed));
        }
        barrier.wait();
        let latencies = read(subject, time);
        stop.store(true, Ordering::Relaxed);
        latencies
    })
}

fn read<S: Store>(subject: &Subject<S>, time: Duration) -> Histogram<u64> {
    let mut latencies = Histogram::new_with_bounds(1, LONGEST_NANOSECONDS, 3)
        .expect("three digits of a minute are few enough");
    let mut random = Random::new(0);
    let begin = Instant::now();
    let is_enough = |latencies: &Histogram<u64>| {
        let (passed, reads) = (begin.elapsed(), latencies.len());
        passed >= time && (reads >= READS_MIN || passed >= time * WALL_FACTOR)
    };
    while !is_enough(&latencies) {
        let keys: Vec<S::Key> = (0..BURST).map(|_| draw::<S>(&mut random)).collect();
        #[expect(clippy::disallowed_methods, reason = "it is time itself that passes")]
        thread::sleep(PAUSE);
        for key in &keys {
            let begin = Instant::now();
            black_box(subject.store.look(key, |value| value[0]));
            let nanoseconds = begin.elapsed().as_nanos();
            latencies.saturating_record(u64::try_from(nanoseconds).unwrap_or(u64::MAX).max(1));
        }
    }
    latencies
}

fn draw<S: Store>(random: &mut Random) -> S::Key {
    let index = random.index(&Distribution::Uniform(KEYS));
    S::key(&keys::entry(index))
}
