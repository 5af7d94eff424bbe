//! Readers never wait for a writer.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use kvick::{Entry, Kv};
use rand::RngExt;

use crate::allocator::{is_standing, move_on, stand_still_at};
use crate::support::{Alone, eventually, random, scaled, settle, threads};

/// The keys that are written together.
const TOGETHER: [u32; 4] = [0, 1, 2, 3];

/// What is written, in one commit, to a database in which all of [`TOGETHER`] hold 1.
type Commit = (&'static str, fn(&Kv));

const COMMITS: [Commit; 6] = [
    ("sums", |kv| {
        let mut atomic = kv.atomic();
        for key in TOGETHER {
            atomic.sum(key, 1);
        }
        assert!(atomic.commit().unwrap().is_committed());
    }),
    ("sets, and a key that is new", |kv| {
        let mut atomic = kv.atomic();
        for key in TOGETHER {
            atomic.set(key, 2u64);
        }
        atomic.set("new", 2u64);
        assert!(atomic.commit().unwrap().is_committed());
    }),
    ("deletions", |kv| {
        let mut atomic = kv.atomic();
        for key in TOGETHER {
            atomic.delete(key);
        }
        assert!(atomic.commit().unwrap().is_committed());
    }),
    ("a deletion of a range", |kv| {
        kv.delete_prefix(()).unwrap();
    }),
    ("a transaction", |kv| {
        let doubled = kv.transact(|tx| {
            for entry in tx.get_many(TOGETHER)? {
                tx.set(entry.key(), entry.as_u64().unwrap_or(0) * 2);
            }
            Ok(())
        });
        assert!(doubled.unwrap().is_committed());
    }),
    ("a transaction that depends on a range", |kv| {
        let counted = kv.transact(|tx| {
            let count = tx.list(()).count()?;
            for key in TOGETHER {
                tx.sum(key, count as u64);
            }
            Ok(())
        });
        assert!(counted.unwrap().is_committed());
    }),
];

#[test]
fn readers_complete_and_see_no_half_wherever_a_writer_stands_still() {
    let alone = Alone::begin();
    for (name, commit) in COMMITS {
        let mut stops = 0;
        while stands_still_at(stops + 1, commit) {
            stops += 1;
        }
        println!("{name}: stood still at each of {stops} allocations");
        assert!(stops > 0, "{name}");
    }
    alone.leaves_nothing();
}

/// Lets a writer stand still at one of the allocations of its commit and reads meanwhile; `false`
/// where it makes fewer.
fn stands_still_at(allocation: usize, commit: fn(&Kv)) -> bool {
    let kv = Kv::builder().background_sweep(false).build();
    for _ in 0..20 {
        for key in TOGETHER {
            kv.set(key, 1u64).unwrap();
        }
    }
    let before = kv.snapshot();
    let has_read = AtomicBool::new(false);
    let stood = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            stand_still_at(allocation);
            commit(&kv);
            stand_still_at(0);
        });
        eventually(
            || is_standing() || writer.is_finished(),
            || "the writer neither stands nor ends",
        );
        let stood = is_standing();
        if stood {
            // On a thread of its own, so that a reader that waits is noticed, and can go on.
            let reader = scope.spawn(|| {
                read_all(&kv);
                assert!(values(&before.get_many(TOGETHER).unwrap()).eq([Some(1); 4]));
                has_read.store(true, Ordering::Relaxed);
            });
            let begin = Instant::now();
            while !reader.is_finished() && begin.elapsed() < Duration::from_secs(20) {
                thread::yield_now();
            }
            let has_read = has_read.load(Ordering::Relaxed);
            move_on();
            assert!(has_read, "at allocation {allocation} of the writer");
        }
        stood
    });
    let after = kv.get_many(TOGETHER).unwrap();
    assert!(values(&after).all(|value| value != Some(1)));
    stood
}

fn values(entries: &[Entry]) -> impl Iterator<Item = Option<u64>> {
    entries.iter().map(Entry::as_u64)
}

/// Reads in every way, and sees each time all of a commit or nothing.
fn read_all(kv: &Kv) {
    let entries = kv.get_many(TOGETHER).unwrap();
    let first = entries[0].as_u64();
    assert!(values(&entries).all(|value| value == first), "{entries:?}");

    let listed: Vec<_> = kv.list(()).entries().unwrap().collect();
    let mut listed = values(&listed);
    let first = listed.next().flatten();
    assert!(listed.all(|value| value == first));

    let snapshot = kv.snapshot();
    let first = snapshot.get(TOGETHER[0]).unwrap();
    for key in TOGETHER {
        assert_eq!(snapshot.get(key).unwrap().as_u64(), first.as_u64());
        kv.with_entry(key, |_| ()).unwrap();
    }
    assert!(matches!(snapshot.list(()).count().unwrap(), 0 | 4 | 5));
}

/// Nanoseconds, up to a minute, to three digits.
fn latencies() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).unwrap()
}

#[test]
fn readers_go_on_beside_more_writers_than_the_machine_runs_at_once() {
    const WRITERS: usize = 12;
    const READERS: usize = 4;
    /// So many reads are between two in which the reader itself is preempted that this is of those
    /// in which it is not.
    const P99_MAX: Duration = Duration::from_millis(1);

    let alone = Alone::begin();
    let kv = Kv::new();
    for key in TOGETHER {
        kv.set(key, 0u64).unwrap();
    }
    let writing = AtomicUsize::new(WRITERS);
    let measured = threads(WRITERS + READERS, |thread| {
        if thread < WRITERS {
            let mut random = random(thread);
            for _ in 0..scaled(60_000) / WRITERS {
                let amount = random.random_range(1..100);
                let mut atomic = kv.atomic();
                for key in TOGETHER {
                    atomic.sum(key, amount);
                }
                assert!(atomic.commit().unwrap().is_committed());
            }
            writing.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let mut latency = latencies();
        let mut gap = Duration::ZERO;
        let mut last = Instant::now();
        while writing.load(Ordering::Relaxed) > 0 {
            let begin = Instant::now();
            let entries = kv.get_many(TOGETHER).unwrap();
            let end = Instant::now();
            let first = entries[0].as_u64();
            assert!(values(&entries).all(|value| value == first), "{entries:?}");
            let nanos = u64::try_from((end - begin).as_nanos()).unwrap();
            latency.saturating_record(nanos);
            gap = gap.max(end - last);
            last = end;
        }
        Some((latency, gap))
    });
    let mut all = latencies();
    for (latency, gap) in measured.into_iter().flatten() {
        println!(
            "{} reads, {gap:?} between two of them at most",
            latency.len()
        );
        assert!(latency.len() >= scaled(600) as u64, "a reader starves");
        all.add(latency).unwrap();
    }
    let quantile = |quantile| Duration::from_nanos(all.value_at_quantile(quantile));
    println!(
        "{} reads: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}",
        all.len(),
        quantile(0.5),
        quantile(0.99),
        quantile(0.999),
        quantile(1.0)
    );
    assert!(quantile(0.99) <= P99_MAX);
    drop(all);
    settle(&kv);
    drop(kv);
    alone.leaves_nothing();
}
