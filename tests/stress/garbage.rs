//! The bound on garbage: how many versions there can be that nobody needs.
//!
//! docs/design.md, "The bound on garbage", has the argument. Background sweeps are turned off here,
//! so that what bounds it is what the commits do by themselves.

use kvick::{Kv, Outcome};
use rand::RngExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crate::support::{Alone, garbage, number, random, scaled, settle, threads};

/// `GRACE_STEP` of src/mvcc/registry.rs.
const GRACE_STEP: u64 = 32;

/// `SWEEP_KEEP` and `SWEEP_STEP` of src/engine/sweep.rs.
const SWEEP_KEEP: u64 = 8;
const SWEEP_STEP: u64 = 4;

/// The `SWEEP_STEP_MAX` there.
const SWEEP_STEP_MAX: usize = 64;

/// What one writer thread gets.
const STRIPES: u64 = 16;

fn engine() -> Kv {
    Kv::builder()
        .writer_threads(1)
        .background_sweep(false)
        .build()
}

/// The bound, in versions, where commits write one key each and no thread is pinned for longer
/// than it takes the others to commit `pin_max` times.
fn bound(pin_max: u64) -> usize {
    let lag = 3 * GRACE_STEP + 2 * pin_max;
    usize::try_from(lag + STRIPES * (SWEEP_KEEP + SWEEP_STEP)).unwrap()
}

#[test]
fn garbage_of_one_writer_is_bounded_by_constants() {
    let alone = Alone::begin();
    for keys in [1, 10, 1_000, 30_000] {
        let kv = engine();
        let mut random = random(0);
        let mut garbage_max = 0;
        for number in 0..scaled(60_000) as u64 {
            kv.set(random.random_range(0..keys), number).unwrap();
            garbage_max = garbage_max.max(garbage(&kv));
        }
        println!("{keys} keys: {garbage_max} at most, bound {}", bound(1));
        assert!(garbage_max <= bound(1), "{garbage_max} with {keys} keys");
    }
    alone.leaves_nothing();
}

#[test]
fn garbage_under_load_is_bounded_by_the_longest_pin() {
    const THREADS: usize = 4;
    const KEYS: u32 = 1_000;
    let alone = Alone::begin();
    let kv = engine();
    let measured = threads(THREADS, |thread| {
        let mut random = random(thread);
        let (mut before, mut pin_max, mut garbage_max) = (None, 0, 0);
        for round in 0..scaled(100_000) / THREADS {
            let key = random.random_range(0..KEYS);
            let now = number(kv.set(key, "of no importance").unwrap());
            if round % 16 == 0 {
                garbage_max = garbage_max.max(garbage(&kv));
            }
            // Whatever this thread did since its last commit, it was not pinned for longer.
            pin_max = pin_max.max(before.map_or(0, |before| now - before));
            before = Some(now);
        }
        (pin_max, garbage_max)
    });
    let (pins, garbages): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
    let pin_max = pins.into_iter().max().unwrap();
    let garbage_max = garbages.into_iter().max().unwrap();
    println!(
        "{garbage_max} at most, no thread away for more than {pin_max} commits, bound {}",
        bound(pin_max)
    );
    assert!(garbage_max <= bound(pin_max));
    settle(&kv);
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn what_a_pinned_thread_holds_back_goes_when_it_moves() {
    const PINNED_COMMITS: u64 = 10_000;
    let alone = Alone::begin();
    let kv = engine();
    let mut random = random(0);
    let mut overwrite = |count: u64| {
        let mut garbage_max = 0;
        for number in 0..count {
            kv.set(random.random_range(0..100), number).unwrap();
            garbage_max = garbage_max.max(garbage(&kv));
        }
        garbage_max
    };
    let mut garbage_max = 0;
    for _ in 0..5 {
        // The closure of a read runs pinned, as a thread does that is preempted in a read.
        let pinned = kv.with_entry(0, |_| overwrite(PINNED_COMMITS)).unwrap();
        garbage_max = garbage_max.max(pinned);
    }
    println!("{garbage_max} at most, bound {}", bound(PINNED_COMMITS));
    assert!(garbage_max as u64 >= PINNED_COMMITS, "was it not pinned?");
    assert!(garbage_max <= bound(PINNED_COMMITS));
    // Each commit frees several, so that this many free all of it.
    overwrite(PINNED_COMMITS);
    let garbage_max = overwrite(1_000);
    assert!(garbage_max <= bound(1), "{garbage_max} are left");
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn commits_of_many_keys_sweep_as_much_as_they_leave() {
    const KEYS: u32 = 2_000;
    const KEYS_OF_A_COMMIT: u32 = 500;
    let alone = Alone::begin();
    let kv = engine();
    let mut garbage_max = 0;
    let mut keys = (0..KEYS).cycle();
    for _ in 0..scaled(500) {
        let mut atomic = kv.atomic();
        for key in keys.by_ref().take(KEYS_OF_A_COMMIT as usize) {
            atomic.set(key, "of no importance");
        }
        assert!(matches!(
            atomic.commit().unwrap(),
            Outcome::Committed { .. }
        ));
        garbage_max = garbage_max.max(garbage(&kv));
    }
    let bound = bound(1) * KEYS_OF_A_COMMIT as usize;
    println!("{garbage_max} at most, bound {bound}");
    assert!(garbage_max <= bound);
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn a_small_commit_sweeps_little_however_much_waits() {
    let alone = Alone::begin();
    let kv = engine();
    let count = scaled(50_000);
    for number in 0..count {
        kv.set(("log", number), "of no importance").unwrap();
    }
    assert_eq!(kv.delete_prefix("log").unwrap().count, count);
    let mut swept_max = 0;
    let mut before = garbage(&kv);
    for number in 0..1_000 {
        kv.set(number, "of no importance").unwrap();
        let after = garbage(&kv);
        swept_max = swept_max.max(before.saturating_sub(after));
        before = after;
    }
    println!("{swept_max} at most by one commit, {before} are left");
    assert!(swept_max <= SWEEP_STEP_MAX);
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn keys_that_come_and_go_together_hold_no_more_memory_as_they_go_on() {
    const KEYS_OF_A_COMMIT: u64 = 100;
    /// Of 100 keys a commit, with their records, nodes and tombstones.
    const BYTES_MAX: usize = 8 << 20;
    let alone = Alone::begin();
    let kv = engine();
    let mut bytes_max = 0;
    for round in 0..scaled(1_000) as u64 {
        let keys = (0..KEYS_OF_A_COMMIT).map(|number| (round, number));
        let (mut set, mut delete) = (kv.atomic(), kv.atomic());
        for key in keys {
            set.set(key, "of no importance");
            delete.delete(key);
        }
        assert!(set.commit().unwrap().is_committed());
        assert!(delete.commit().unwrap().is_committed());
        bytes_max = bytes_max.max(alone.grown_bytes());
    }
    println!("{bytes_max} bytes at most");
    assert!(bytes_max <= BYTES_MAX);
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn commits_free_what_a_closed_snapshot_held() {
    const KEYS: u32 = 1_000;
    let alone = Alone::begin();
    for writer_threads in [1, 2, 16] {
        let builder = Kv::builder().background_sweep(false);
        let kv = builder.writer_threads(writer_threads).build();
        let overwrite = |kv: &Kv| {
            for key in 0..KEYS {
                kv.set(key, "of no importance").unwrap();
            }
        };
        overwrite(&kv);
        let snapshot = kv.snapshot();
        overwrite(&kv);
        assert!(garbage(&kv) >= KEYS as usize, "does it hold nothing?");
        drop(snapshot);
        // A commit goes through two of those that its stripe held, so half as many commits do.
        for _ in 0..4 {
            overwrite(&kv);
        }
        let stripes = STRIPES * writer_threads as u64;
        let bound = 3 * GRACE_STEP + 2 + stripes * (SWEEP_KEEP + SWEEP_STEP);
        let left = garbage(&kv);
        println!("{stripes} stripes: {left} left, bound {bound}");
        assert!(left as u64 <= bound, "{left} are left of {stripes} stripes");
    }
    alone.leaves_nothing();
}

#[test]
fn a_full_sweep_ends_while_snapshots_close() {
    const KEYS: u32 = 1_000;
    let alone = Alone::begin();
    let kv = engine();
    // More than a batch for each stripe, all of it held for good.
    let mut snapshots = Vec::new();
    for round in 0..scaled(20_000) / KEYS as usize {
        for key in 0..KEYS {
            kv.set(key, round as u64).unwrap();
        }
        snapshots.push(kv.snapshot());
    }
    let is_swept = AtomicBool::new(false);
    let turns = threads(2, |thread| {
        let begin = Instant::now();
        let mut turns = 0;
        if thread == 0 {
            for _ in 0..10 {
                kv.sweep();
                turns += 1;
            }
            is_swept.store(true, Ordering::SeqCst);
        } else {
            while !is_swept.load(Ordering::SeqCst) {
                drop(kv.snapshot());
                turns += 1;
                // So that a sweep that does not end is a failure and no standstill.
                assert!(begin.elapsed() < Duration::from_secs(60), "it does not end");
            }
        }
        turns
    });
    println!("{} snapshots closed meanwhile", turns[1]);
    drop((snapshots, kv));
    alone.leaves_nothing();
}

#[test]
fn what_insertions_replace_is_freed_as_they_go() {
    const KEYS_OF_A_COMMIT: usize = 1_000;
    let alone = Alone::begin();
    let kv = engine();
    let mut random = random(0);
    for _ in 0..scaled(100_000) / KEYS_OF_A_COMMIT {
        let mut atomic = kv.atomic();
        for _ in 0..KEYS_OF_A_COMMIT {
            atomic.set(random.random::<u64>(), 1_u64);
        }
        assert!(atomic.commit().unwrap().is_committed());
    }
    let before = alone.grown_bytes();
    settle(&kv);
    let waiting = before - alone.grown_bytes();
    println!("{waiting} of {before} bytes waited to be freed");
    assert!(waiting < 1 << 20, "{waiting} bytes");
    drop(kv);
    alone.leaves_nothing();
}
