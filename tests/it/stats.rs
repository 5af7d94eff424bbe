//! The numbers to watch: that each of them counts what it says, and nothing else.

use crate::support::committed;
use crate::support::threads::race;
use kvick::{ChangesFrom, Entry, Kv, Loading, ManualClock, NewValue, Range, RetryPolicy, Update};
use std::cell::RefCell;
use std::convert::Infallible;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn unswept() -> Kv {
    Kv::builder().background_sweep(false).build()
}

/// How many reads have been hits and misses since this was last asked.
fn counter(kv: &Kv) -> impl FnMut() -> (u64, u64) {
    let kv = kv.clone();
    let mut before = (0, 0);
    move || {
        let stats = kv.stats();
        let now = (stats.hit_count, stats.miss_count);
        let new = (now.0 - before.0, now.1 - before.1);
        before = now;
        new
    }
}

#[test]
fn each_point_read_is_a_hit_or_a_miss() {
    let kv = unswept();
    let mut new = counter(&kv);
    kv.set("there", 1_u64).unwrap();
    assert_eq!(new(), (0, 0));
    kv.get("there").unwrap();
    assert_eq!(new(), (1, 0));
    kv.get("missing").unwrap();
    assert_eq!(new(), (0, 1));
    for (key, is_there) in [("there", true), ("missing", false)] {
        let seen = kv.with_entry(key, |entry| entry.is_some()).unwrap();
        assert_eq!(seen, is_there);
    }
    assert_eq!(new(), (1, 1));
    let keys = ["there", "missing", "there", "gone", "there"];
    kv.get_many(keys).unwrap();
    assert_eq!(new(), (3, 2));
    kv.delete("there").unwrap();
    kv.get("there").unwrap();
    assert_eq!(new(), (0, 1), "what is deleted is missing");
}

#[test]
fn snapshots_and_transactions_count_what_they_read_by_key() {
    let kv = unswept();
    let mut new = counter(&kv);
    kv.set("there", 1_u64).unwrap();
    let snapshot = kv.snapshot();
    snapshot.get("there").unwrap();
    snapshot.get_many(["there", "missing"]).unwrap();
    snapshot.with_entry("missing", |_| ()).unwrap();
    assert_eq!(new(), (2, 2));
    let aborted = kv.transact(|tx| {
        tx.get("there")?;
        tx.get_many(["missing", "there", "missing"])?;
        // What it has written itself was not found.
        tx.set("own", 1_u64);
        tx.get("own")?;
        tx.abort::<()>("that is all")
    });
    assert!(!aborted.unwrap().is_committed());
    assert_eq!(new(), (2, 3));
}

#[test]
fn what_is_refused_and_what_is_no_point_read_is_not_counted() {
    let kv = unswept();
    let mut new = counter(&kv);
    kv.set("there", 1_u64).unwrap();
    kv.get(vec![1_u8; 4_096]).unwrap_err();
    kv.get_many([1; 11]).unwrap_err();
    assert_eq!(kv.list(Range::all()).count().unwrap(), 1);
    let sees = |entry: &Entry| Update::set(entry.as_u64().unwrap_or(0) + 1);
    assert!(kv.update("there", sees).unwrap().is_committed());
    let read = kv
        .atomic()
        .check_absent("missing")
        .set("new", 1_u64)
        .commit();
    committed(read);
    kv.touch("missing", SECOND).unwrap();
    let mut watch = kv.watch(["there"]).unwrap();
    assert!(watch.try_recv().unwrap().is_some());
    assert_eq!(new(), (0, 0));
    kv.close();
    kv.get("there").unwrap_err();
    assert_eq!(new(), (0, 0));
}

#[test]
fn what_has_expired_is_missing() {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .build();
    let mut new = counter(&kv);
    kv.set("key", NewValue::from(1_u64).expire_in(SECOND))
        .unwrap();
    kv.get("key").unwrap();
    assert_eq!(new(), (1, 0));
    clock.advance(SECOND);
    kv.get("key").unwrap();
    kv.get_many(["key"]).unwrap();
    assert_eq!(new(), (0, 2));
}

#[test]
fn a_call_that_loads_is_one_miss_and_one_that_finds_is_one_hit() {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .background_sweep(false)
        .build();
    let mut new = counter(&kv);
    let loading = Loading::default().expire_in(SECOND).stale_for(SECOND);
    let load = || Ok::<_, Infallible>(1_u64);
    kv.get_or_load("key", loading, load).unwrap();
    assert_eq!(new(), (0, 1), "loaded");
    kv.get_or_load("key", loading, load).unwrap();
    assert_eq!(new(), (1, 0), "found");
    clock.advance(SECOND);
    // It is stale: who loads it anew has missed it, who comes meanwhile has not.
    kv.get_or_load("key", loading, || {
        kv.get_or_load("key", loading, load).unwrap();
        load()
    })
    .unwrap();
    assert_eq!(new(), (1, 1), "stale");
    let failed = kv.get_or_load("other", None, || "x".parse::<u64>());
    failed.unwrap_err();
    assert_eq!(new(), (0, 1), "failed");
    kv.get_or_load(vec![1_u8; 4_096], None, load).unwrap_err();
    assert_eq!(new(), (0, 0), "refused");
}

#[test]
fn no_read_of_many_threads_is_lost() {
    // More threads at once than there are cells, whatever the machine; and then some more, that have
    // the numbers of those that are gone.
    const THREADS: usize = 150;
    const READS: u64 = 700;
    let kv = unswept();
    kv.set("there", 1_u64).unwrap();
    let read = |thread: usize| {
        for number in 0..READS {
            let key = if (number + thread as u64) % 7 < 4 {
                "there"
            } else {
                "missing"
            };
            kv.get(key).unwrap();
        }
    };
    for round in 1..=3 {
        race(THREADS, read);
        let reads = round * THREADS as u64 * READS;
        let stats = kv.stats();
        assert_eq!(stats.hit_count, reads / 7 * 4);
        assert_eq!(stats.miss_count, reads / 7 * 3);
    }
}

#[test]
fn threads_that_come_and_go_one_after_the_other_lose_no_read() {
    let kv = unswept();
    for round in 1..=300 {
        let reader = kv.clone();
        thread::spawn(move || reader.get("missing").unwrap())
            .join()
            .unwrap();
        assert_eq!(kv.stats().miss_count, round);
    }
}

/// Reads once more when its thread ends.
struct LastRead(Kv);

impl Drop for LastRead {
    fn drop(&mut self) {
        // The epoch may be gone by now, and the number.
        let _ = self.0.get("missing");
    }
}

#[test]
fn a_read_while_its_thread_ends_is_counted() {
    std::thread_local! {
        static LAST: RefCell<Option<LastRead>> = const { RefCell::new(None) };
    }
    let kv = unswept();
    let mut threads = Vec::new();
    for _ in 0..20 {
        let kv = kv.clone();
        threads.push(thread::spawn(move || {
            // Dropped after whatever the library keeps, which comes later.
            LAST.set(Some(LastRead(kv.clone())));
            kv.get("missing").unwrap();
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    assert_eq!(kv.stats().miss_count, 40);
}

#[test]
fn engines_count_apart() {
    let (one, other) = (Kv::new(), Kv::new());
    one.get("missing").unwrap();
    assert_eq!((one.stats().miss_count, other.stats().miss_count), (1, 0));
    let clone = one.clone();
    clone.read_only().get("missing").unwrap();
    assert_eq!((one.stats().miss_count, other.stats().miss_count), (2, 0));
}

#[test]
fn every_attempt_but_the_first_is_a_retry() {
    let kv = unswept();
    let mut interfered = 0;
    let done = kv.transact(|tx| {
        tx.get("key")?;
        if interfered < 3 {
            interfered += 1;
            kv.set("key", interfered)?;
        }
        tx.set("other", 1_u64);
        Ok(())
    });
    assert_eq!(done.unwrap().attempts(), 4);
    assert_eq!((kv.stats().retry_count, kv.stats().conflict_count), (3, 3));
    let mut interfered = false;
    let done = kv.update("key", |entry| {
        if !std::mem::replace(&mut interfered, true) {
            kv.set("key", 9_u64).unwrap();
        }
        Update::set(entry.as_u64().unwrap_or(0))
    });
    assert_eq!(done.unwrap().attempts(), 2);
    assert_eq!((kv.stats().retry_count, kv.stats().conflict_count), (4, 4));
    // One that gives up has not been tried again.
    let once = kv.with_retry(RetryPolicy::default().attempts_max(NonZeroU32::MIN));
    let done = once.transact(|tx| {
        tx.get("key")?;
        kv.set("key", 10_u64)?;
        tx.set("other", 1_u64);
        Ok(())
    });
    assert!(!done.unwrap().is_committed());
    assert_eq!((kv.stats().retry_count, kv.stats().conflict_count), (4, 5));
}

#[test]
fn a_snapshot_ages_from_the_first_commit_after_it_on() {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .background_sweep(false)
        .build();
    let age = || kv.stats().oldest_snapshot_age;
    kv.set("key", 1_u64).unwrap();
    assert_eq!(age(), None);
    let first = kv.snapshot();
    clock.advance(60 * SECOND);
    assert_eq!(age(), None, "it sees the newest version");
    kv.set("key", 2_u64).unwrap();
    assert_eq!(age(), Some(Duration::ZERO));
    clock.advance(2 * SECOND);
    assert_eq!(age(), Some(2 * SECOND));
    let second = kv.snapshot();
    kv.set("key", 3_u64).unwrap();
    // A sweep notes it, too.
    kv.sweep();
    clock.advance(3 * SECOND);
    assert_eq!(age(), Some(5 * SECOND), "the older one");
    let clone = first.clone();
    drop(first);
    assert_eq!(age(), Some(5 * SECOND), "it is still open");
    drop(clone);
    assert_eq!(age(), Some(3 * SECOND));
    drop(second);
    assert_eq!(age(), None);
    // The clock goes back.
    let third = kv.snapshot();
    kv.set("key", 4_u64).unwrap();
    assert_eq!(age(), Some(Duration::ZERO));
    clock.set(SECOND);
    assert_eq!(age(), Some(Duration::ZERO));
    drop(third);
}

#[test]
fn watches_and_followers_are_counted_while_they_are_there() {
    let kv = Kv::new();
    let counts = || {
        let stats = kv.stats();
        let counts = (stats.watched_key_count, stats.key_watch_count);
        (counts, stats.follower_count)
    };
    assert_eq!(counts(), ((0, 0), 0));
    let one = kv.watch(["a", "b"]).unwrap();
    assert_eq!(counts(), ((2, 2), 0));
    let two = kv.watch(["b", "c", "b"]).unwrap();
    assert_eq!(counts(), ((3, 5), 0));
    let ranges = [kv.watch_range("a").unwrap(), kv.watch_range("b").unwrap()];
    let changes = kv.changes(ChangesFrom::Now).unwrap();
    assert_eq!(counts(), ((3, 5), 3));
    drop(one);
    assert_eq!(counts(), ((2, 3), 3));
    drop((two, ranges));
    assert_eq!(counts(), ((0, 0), 1));
    drop(changes);
    assert_eq!(counts(), ((0, 0), 0));
}
