//! Keys that come and go.

use std::ops::ControlFlow;

use kvick::{Kv, Range, Update};
use rand::RngExt;
use rand::rngs::SmallRng;

use crate::support::{
    Alone, ROOM_BYTES, TOLERANCE_BYTES, Tracker, eventually, few_stripes, flush_epoch, random,
    scaled, settle, threads,
};

const THREADS: usize = 4;

#[test]
fn keys_that_were_created_and_deleted_leave_nothing() {
    /// How many keys of each thread exist at once.
    const LIVE: usize = 100;
    let alone = Alone::begin();
    let kv = few_stripes();
    let empty_bytes = alone.grown_bytes();
    let each = scaled(20_000) / THREADS;
    threads(THREADS, |thread| {
        for number in 0..each + LIVE {
            if number < each {
                kv.set((thread, number), "of no importance").unwrap();
            }
            if let Some(number) = number.checked_sub(LIVE) {
                kv.delete((thread, number)).unwrap();
            }
        }
    });
    settle(&kv);
    let stats = kv.stats();
    assert_eq!(
        (stats.entry_count, stats.version_count, stats.bytes),
        (0, 0, 0)
    );
    assert_eq!(kv.list(()).count().unwrap(), 0);
    eventually(
        || {
            flush_epoch();
            alone.grown_bytes() <= empty_bytes + ROOM_BYTES + TOLERANCE_BYTES
        },
        || format!("{} bytes, {empty_bytes} when empty", alone.grown_bytes()),
    );
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn a_deleted_range_gives_its_memory_back_though_nothing_else_is_done() {
    let alone = Alone::begin();
    let kv = few_stripes();
    let empty_bytes = alone.grown_bytes();
    let count = scaled(20_000);
    for number in 0..count {
        kv.set(("log", number), "of no importance").unwrap();
    }
    let full_bytes = alone.grown_bytes();
    assert_eq!(kv.delete_prefix("log").unwrap().count, count);
    // The engine is swept in the background, and nobody but the sweeper lets the epoch advance.
    eventually(
        || alone.grown_bytes() <= empty_bytes + ROOM_BYTES + TOLERANCE_BYTES,
        || format!("{} bytes of {full_bytes}", alone.grown_bytes()),
    );
    drop(kv);
    alone.leaves_nothing();
}

#[test]
fn live_versions_are_live_keys_after_mixed_load() {
    let alone = Alone::begin();
    let tracker = Tracker::default();
    let kv = Kv::new();
    threads(THREADS, |thread| {
        let mut random = random(thread);
        let mut held = Vec::new();
        for _ in 0..scaled(10_000) {
            do_something(&kv, &tracker, &mut random);
            // Some snapshots are held over many operations.
            match random.random_range(0..100) {
                0..2 => held.push(kv.snapshot()),
                2..5 if !held.is_empty() => {
                    let snapshot = held.swap_remove(random.random_range(0..held.len()));
                    let listed = snapshot.list(()).count().unwrap();
                    assert_eq!(snapshot.list(()).reverse().count().unwrap(), listed);
                }
                _ => {}
            }
        }
    });
    settle(&kv);
    let stats = kv.stats();
    assert_eq!(stats.version_count, stats.entry_count);
    assert_eq!(stats.open_snapshot_count, 0);
    let mut tracked_count = 0;
    let mut count = 0;
    kv.list(())
        .for_each(|entry| {
            count += 1;
            tracked_count += usize::from(entry.value().len() == BIG_BYTES);
        })
        .unwrap();
    assert_eq!(stats.entry_count, count);
    tracker.waits_for(tracked_count);
    drop(kv);
    tracker.waits_for(0);
    alone.leaves_nothing();
}

/// The length that only tracked values have.
const BIG_BYTES: usize = 2_000;

fn do_something(kv: &Kv, tracker: &Tracker, random: &mut SmallRng) {
    let group = random.random_range(0..8u32);
    let key = (group, random.random_range(0..64u32));
    let other = (random.random_range(0..8u32), random.random_range(0..64u32));
    match random.random_range(0..100) {
        0..25 => {
            kv.set(key, "small").unwrap();
        }
        25..40 => {
            kv.set(key, tracker.value(1, BIG_BYTES)).unwrap();
        }
        40..55 => {
            kv.delete(key).unwrap();
        }
        55..65 => {
            let read = kv.get_many([key, other]).unwrap();
            let mut atomic = kv.atomic();
            atomic
                .check(&read[0])
                .set(other, tracker.value(2, BIG_BYTES));
            let _ = atomic.delete(key).commit().unwrap();
        }
        65..75 => {
            let keep_or_delete = |entry: &kvick::Entry| match entry.value() {
                Some(value) if value.len() == BIG_BYTES => Update::delete(),
                Some(_) => Update::keep(),
                None => Update::set("new"),
            };
            let _ = kv.update(key, keep_or_delete).unwrap();
        }
        75..85 => {
            let counted = kv.transact(|tx| {
                let count = tx.list(Range::prefix(group)).limit(20).count()?;
                tx.get(other)?;
                tx.set(key, format!("one of {count}"));
                Ok(())
            });
            assert!(counted.unwrap().is_committed());
        }
        85..87 => {
            kv.delete_prefix(group).unwrap();
        }
        87..95 => {
            // An iterator that is not read to its end.
            let entries = kv.list(()).batch_size(10).entries().unwrap();
            assert!(entries.take(15).count() <= 15);
        }
        _ => {
            let seen = kv.list(group).try_for_each(|entry| {
                if entry.value().is_empty() {
                    ControlFlow::Break("nothing that is stored is empty")
                } else {
                    ControlFlow::Continue(())
                }
            });
            assert_eq!(seen.unwrap(), ControlFlow::Continue(()));
        }
    }
}
