//! Engines that come and go.

use kvick::Kv;

use crate::support::{Alone, Tracker, scaled, threads};

const THREADS: usize = 4;

#[test]
fn engines_that_come_and_go_leave_nothing() {
    let alone = Alone::begin();
    let tracker = Tracker::default();
    threads(THREADS, |thread| {
        for round in 0..scaled(1_000) / THREADS {
            let kv = Kv::new();
            for number in 0..round % 10 {
                kv.set((thread, number), tracker.value(1, 2_000)).unwrap();
                kv.set((thread, number), tracker.value(2, 10)).unwrap();
            }
            let _ = kv.delete_prefix(thread).unwrap();
            kv.set("the last", tracker.value(3, 2_000)).unwrap();
            if round % 3 == 0 {
                kv.close();
            }
        }
    });
    tracker.waits_for(0);
    alone.leaves_nothing();
}

#[test]
fn thousands_of_engines_at_once_leave_nothing() {
    let alone = Alone::begin();
    let engines: Vec<_> = threads(THREADS, |thread| {
        let engines = (0..scaled(2_000) / THREADS).map(|number| {
            let kv = Kv::new();
            kv.set(number, thread as u64).unwrap();
            kv.set(number, 0u64).unwrap();
            kv
        });
        engines.collect::<Vec<_>>()
    });
    let engines: Vec<_> = engines.into_iter().flatten().collect();
    let (count, bytes) = (engines.len(), alone.grown_bytes());
    println!(
        "{count} engines of two versions: {} bytes each",
        bytes / count
    );
    threads(THREADS, |thread| {
        for kv in engines.iter().skip(thread).step_by(THREADS) {
            assert_eq!(kv.list(()).count().unwrap(), 1);
        }
    });
    drop(engines);
    alone.leaves_nothing();
}

#[test]
fn what_still_reads_keeps_its_engine_and_then_frees_it() {
    let alone = Alone::begin();
    let tracker = Tracker::default();
    let read = threads(THREADS, |thread| {
        let kv = Kv::new();
        for number in 0..500 {
            kv.set((thread, number), tracker.value(1, 2_000)).unwrap();
        }
        let snapshot = kv.snapshot();
        let _ = kv.delete_prefix(thread).unwrap();
        kv.set((thread, 0), tracker.value(2, 2_000)).unwrap();
        let entries = snapshot.list(thread).batch_size(10).entries().unwrap();
        (snapshot, entries)
    });
    for (snapshot, entries) in read {
        assert_eq!(snapshot.list(()).count().unwrap(), 500);
        drop(snapshot);
        let mut entries = entries;
        assert_eq!(entries.by_ref().take(20).count(), 20);
        assert_eq!(entries.count(), 480);
    }
    tracker.waits_for(0);
    alone.leaves_nothing();
}
