//! Snapshots that are held: what they cost, and what they keep.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use kvick::{Kv, Snapshot};
use rand::RngExt;
use rand::seq::SliceRandom;

use crate::allocator;
use crate::support::{
    Alone, ROOM_BYTES, TOLERANCE_BYTES, Tracker, eventually, few_stripes, flush_epoch, garbage,
    median, random, scaled, settle, threads,
};

const KEYS: u32 = 1_000;

#[test]
fn a_held_snapshot_costs_what_it_sees() {
    const VALUE_BYTES: usize = 1 << 10;
    /// How often every key is overwritten: short enough not to be preempted, most of the time.
    const ROUNDS: usize = 300;
    const GROWTH_MAX_BYTES: usize = 32 << 20;
    /// How much slower overwriting may be, in percent. What is aimed at is 150; machines that do
    /// other things are not as exact.
    const SLOWDOWN_MAX_PERCENT: u128 = 200;

    let alone = Alone::begin();
    let (with, without) = (few_stripes(), few_stripes());
    for kv in [&with, &without] {
        for key in 0..KEYS {
            kv.set(key, &[1; VALUE_BYTES]).unwrap();
        }
    }
    let before_bytes = alone.grown_bytes();
    allocator::reset_peak();
    let reset_bytes = allocator::peak_bytes();
    let snapshot = with.snapshot();
    let overwrite = |kv: &Kv| {
        let begin = Instant::now();
        for key in 0..KEYS {
            kv.set(key, &[2; VALUE_BYTES]).unwrap();
        }
        begin.elapsed()
    };
    let lengths = (0..ROUNDS).map(|_| (overwrite(&with), overwrite(&without)));
    let (mut lengths_with, mut lengths_without): (Vec<_>, Vec<_>) = lengths.unzip();
    let lengths = (median(&mut lengths_with), median(&mut lengths_without));
    let slowdown = lengths.0.as_nanos() * 100 / lengths.1.as_nanos();
    let growth_bytes = allocator::peak_bytes() - reset_bytes;
    println!(
        "a round takes {:?}, without the snapshot {:?}, {slowdown} %; {growth_bytes} bytes more at most",
        lengths.0, lengths.1
    );
    assert!(growth_bytes <= GROWTH_MAX_BYTES);
    assert!(slowdown <= SLOWDOWN_MAX_PERCENT);

    for key in 0..KEYS {
        let entry = snapshot.get(key).unwrap();
        assert_eq!(entry.as_bytes(), Some(&[1; VALUE_BYTES][..]), "{key}");
    }
    settle(&without);
    eventually(
        || {
            with.sweep();
            garbage(&with) == KEYS as usize
        },
        || format!("{:?}", with.stats()),
    );
    drop(snapshot);
    settle(&with);
    eventually(
        || {
            flush_epoch();
            alone.grown_bytes() <= before_bytes + 2 * ROOM_BYTES + TOLERANCE_BYTES
        },
        || format!("{} bytes, {before_bytes} before", alone.grown_bytes()),
    );
    drop((with, without));
    alone.leaves_nothing();
}

#[test]
fn updates_under_a_held_snapshot_leave_a_few_versions_of_each_key() {
    /// The newest one, the one that is held, and what waits to be freed, for all keys together: see
    /// the bound on garbage. A single thread is never pinned for long.
    const VERSIONS_MAX: usize = 2 * KEYS as usize + 1_000;
    /// How much longer a read at the snapshot may take than one of the newest version, which is
    /// found first. It passes the versions that wait.
    const SLOWER_MAX: u128 = 20;

    let alone = Alone::begin();
    let kv = Kv::builder().background_sweep(false).build();
    for key in 0..KEYS {
        kv.set(key, u64::from(key)).unwrap();
    }
    let snapshot = kv.snapshot();
    let mut random = random(0);
    let mut versions_max = 0;
    for number in 0..scaled(200_000) {
        let key = random.random_range(0..KEYS);
        assert!(kv.atomic().sum(key, 1).commit().unwrap().is_committed());
        if number % 100 == 0 {
            versions_max = versions_max.max(kv.stats().version_count);
        }
    }
    println!("{versions_max} versions of {KEYS} keys at most");
    assert!(versions_max <= VERSIONS_MAX);

    let mut newest = Vec::new();
    let mut held = Vec::new();
    for _ in 0..20 {
        newest.push(read_all(|key| kv.get(key)).1);
        let (numbers, length) = read_all(|key| snapshot.get(key));
        let unchanged = numbers.into_iter().eq(0..u64::from(KEYS));
        assert!(unchanged, "what the snapshot sees has changed");
        held.push(length);
    }
    let (newest, held) = (median(&mut newest), median(&mut held));
    println!("{newest:?} for the newest values, {held:?} for those of the snapshot");
    assert!(held.as_nanos() <= newest.as_nanos() * SLOWER_MAX);
    drop(snapshot);
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn readers_of_a_held_snapshot_pass_by_what_is_freed_meanwhile() {
    const READERS: usize = 2;
    const KEYS: u32 = 2;
    let alone = Alone::begin();
    let kv = Kv::new();
    for key in 0..KEYS {
        kv.set(key, u64::MAX).unwrap();
    }
    let snapshot = kv.snapshot();
    let is_over = AtomicBool::new(false);
    let reads = threads(READERS + 1, |thread| {
        let mut count = 0;
        if thread == READERS {
            // Each of these is superseded at once and seen by nobody, and lies between the newest
            // and what the readers are after.
            for number in 0..scaled(100_000) as u64 {
                kv.set(0, number).unwrap();
                kv.set(1, number).unwrap();
            }
            is_over.store(true, Ordering::Relaxed);
        } else {
            while !is_over.load(Ordering::Relaxed) {
                for key in 0..KEYS {
                    let entry = snapshot.get(key).unwrap();
                    assert_eq!(entry.as_u64(), Some(u64::MAX));
                    count += 1;
                }
            }
        }
        count
    });
    println!("{reads:?} reads");
    drop(snapshot);
    settle(&kv);
    drop(kv);
    alone.leaves_nothing();
}

/// The numbers behind all keys, and how long it took to read them.
fn read_all(read: impl Fn(u32) -> kvick::Result<kvick::Entry>) -> (Vec<u64>, Duration) {
    let begin = Instant::now();
    let numbers = (0..KEYS).map(|key| read(key).unwrap().as_u64().unwrap());
    let numbers = numbers.collect();
    (numbers, begin.elapsed())
}

#[test]
fn each_snapshot_keeps_exactly_its_versions() {
    const KEYS: u32 = 100;
    const SNAPSHOTS: usize = 100;
    const THREADS: usize = 4;

    let alone = Alone::begin();
    let tracker = Tracker::default();
    let kv = Kv::new();
    let overwrite = |byte| {
        for key in 0..KEYS {
            kv.set(key, tracker.value(byte, 1_100)).unwrap();
        }
    };
    let mut snapshots = Vec::new();
    for byte in 1..=u8::try_from(SNAPSHOTS).unwrap() {
        overwrite(byte);
        snapshots.push((byte, kv.snapshot()));
        // None of these is seen by any snapshot.
        threads(THREADS, |_| {
            for _ in 0..scaled(5) {
                overwrite(0);
            }
        });
    }
    let keeps = |snapshots: &[(u8, Snapshot)]| {
        let expected = KEYS as usize * (snapshots.len() + 1);
        eventually(
            || {
                kv.sweep();
                kv.stats().version_count == expected && tracker.live_count() == expected
            },
            || {
                format!(
                    "{expected} versions wanted: {} values, {:?}",
                    tracker.live_count(),
                    kv.stats()
                )
            },
        );
        for (byte, snapshot) in snapshots {
            let mut seen = 0;
            snapshot
                .list(())
                .for_each(|entry| {
                    seen += 1;
                    let bytes = entry.value().as_bytes().unwrap();
                    assert!(bytes.len() == 1_100 && bytes.iter().all(|found| found == byte));
                })
                .unwrap();
            assert_eq!(seen, KEYS);
        }
    };
    keeps(&snapshots);
    // In no order: each time some versions in the middle of a chain are let go.
    snapshots.shuffle(&mut random(0));
    while !snapshots.is_empty() {
        snapshots.truncate(snapshots.len() - 10);
        keeps(&snapshots);
    }
    drop(kv);
    alone.leaves_nothing();
}
