//! Engines and their handles: made, shared, closed, gone.

use crate::support::allocations::live_bytes;
use crate::support::alone::alone;
use crate::support::threads::race;
use crate::support::{assert_refused, committed, everything};
use bytes::Bytes;
use kvick::{
    AtomicOp, Blocking, ChangeEvent, ChangeStream, Cursor, Delivery, Emission, Entries, Entry,
    Error, ErrorKind, ImportOptions, Key, Keys, Kv, List, ManualClock, Outcome, Range, RangeChange,
    RangeWatch, RetryPolicy, Snapshot, Stats, Sum, Transacted, Update, Value, Versionstamp, Watch,
};
use std::fmt::Debug;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

#[track_caller]
fn assert_closed<T: Debug>(result: kvick::Result<T>) {
    assert_refused(result, ErrorKind::Closed, "closed");
}

#[track_caller]
fn assert_read_only<T: Debug>(result: kvick::Result<T>) {
    assert_refused(result, ErrorKind::ReadOnly, "read-only");
}

fn unswept() -> Kv {
    Kv::builder().background_sweep(false).build()
}

#[test]
fn everything_can_be_sent_and_shared() {
    fn is_shared<T: Send + Sync>() {}
    fn outlives_everything<T: 'static>() {}
    is_shared::<Kv>();
    is_shared::<Snapshot>();
    is_shared::<AtomicOp<'_>>();
    is_shared::<List<'_>>();
    is_shared::<Entries>();
    is_shared::<Keys>();
    is_shared::<Entry>();
    is_shared::<Key>();
    is_shared::<Value>();
    is_shared::<Range>();
    is_shared::<Cursor>();
    is_shared::<Versionstamp>();
    is_shared::<Outcome>();
    is_shared::<Stats>();
    is_shared::<Error>();
    is_shared::<Transacted<()>>();
    is_shared::<(Watch, RangeWatch, ChangeStream, Blocking<Watch>)>();
    is_shared::<(Emission, RangeChange, ChangeEvent)>();
    outlives_everything::<(Kv, Snapshot, Entries, Keys)>();
    outlives_everything::<(Watch, RangeWatch, ChangeStream)>();
}

#[test]
fn clones_are_one_database_and_engines_are_not() {
    let (one, other) = (Kv::new(), Kv::default());
    let clone = one.clone();
    clone.set("key", 1_u64).unwrap();
    assert!(one.get("key").unwrap().exists());
    assert!(one.read_only().get("key").unwrap().exists());
    assert!(other.get("key").unwrap().is_missing());
    drop(one);
    assert_eq!(clone.get("key").unwrap().as_u64(), Some(1));
    // Each has its own versions, and one of the other is nothing special.
    let versionstamp = other.set("key", 2_u64).unwrap();
    assert_eq!(clone.get("key").unwrap().versionstamp(), Some(versionstamp));
    // A transaction of one engine may use another.
    let done = clone.transact(|tx| {
        let theirs = other.transact(|theirs| theirs.get("key"))?.committed();
        tx.set(
            "theirs",
            theirs.and_then(|entry| entry.as_u64()).unwrap_or(0),
        );
        Ok(())
    });
    assert!(done.unwrap().is_committed());
    assert_eq!(clone.get("theirs").unwrap().as_u64(), Some(2));
}

#[test]
fn an_engine_serves_any_number_of_writer_threads() {
    for threads in [0, 1, 3, 1_000, usize::MAX] {
        let kv = Kv::builder().writer_threads(threads).build();
        for number in 0..100 {
            kv.set(("n", number), 1_u64).unwrap();
        }
        let mut operation = kv.atomic();
        for number in 0..100 {
            operation.check_exists(("n", number)).sum(("n", number), 1);
        }
        committed(operation.commit());
        assert_eq!(kv.delete_range(()).unwrap().count, 100);
    }
}

#[test]
fn a_snapshot_and_a_list_outlive_the_handles() {
    let kv = unswept();
    for number in 0..300 {
        kv.set(("n", number), 1_u64).unwrap();
    }
    let snapshot = kv.snapshot();
    let mut entries = kv.list(()).entries().unwrap();
    entries.next().unwrap();
    let mut kept = snapshot.list(()).batch_size(7).keys().unwrap();
    kept.next().unwrap();
    drop(kv);
    let reader = thread::spawn(move || {
        let count = snapshot.list(()).count().unwrap();
        drop(snapshot);
        (count, entries.count(), kept.count())
    });
    assert_eq!(reader.join().unwrap(), (300, 299, 299));
}

#[test]
fn after_close_every_operation_is_refused() {
    // A17
    let kv = Kv::new();
    kv.set("key", 1_u64).unwrap();
    let clone = kv.clone();
    let snapshot = kv.snapshot();
    let mut entries = kv.list(()).batch_size(1).entries().unwrap();
    kv.set("later", 1_u64).unwrap();
    clone.close();
    kv.close();

    assert_closed(kv.get("key"));
    assert_closed(kv.get_many(["key"]));
    assert_closed(kv.with_entry("key", |_| ()));
    assert!(kv.is_closed() && kv.read_only().is_closed());
    assert_closed(kv.set("key", 2_u64));
    assert_closed(kv.set_versionstamped("key", 2_u64));
    assert_closed(kv.touch("key", None));
    assert_closed(kv.sum("key", 1));
    assert_closed(kv.sum_with("key", Sum::u64(1)));
    assert_closed(kv.min("key", 1));
    assert_closed(kv.max_with("key", 1_u64));
    assert_closed(kv.enqueue("message", Delivery::default()));
    assert_closed(kv.delete("key"));
    assert_closed(kv.delete_range(()));
    assert_closed(kv.delete_prefix("key"));
    assert_closed(kv.atomic().commit());
    assert_closed(kv.atomic().commit_returning());
    assert_closed(kv.atomic().check_exists("key").sum("key", 1).commit());
    assert_closed(kv.list(()).entries());
    assert_closed(kv.list(()).keys());
    assert_closed(kv.list(()).count());
    assert_closed(kv.list(()).for_each(|_| ()));
    assert_closed(kv.update("key", |_| Update::keep()));
    assert_closed(kv.update_many(["key"], |_| [Update::keep()]));
    assert_closed(kv.transact(|_| Ok(())));
    assert_closed(kv.read_only().get("key"));
    assert_closed(snapshot.get("key"));
    assert_closed(snapshot.get_many(["key"]));
    assert_closed(snapshot.with_entry("key", |_| ()));
    assert_closed(snapshot.list(()).entries());
    assert_closed(kv.snapshot().get("key"));
    // An iterator goes on to its end, and it began just now.
    assert_eq!(entries.by_ref().count(), 2);
    assert_eq!(kv.stats().entry_count, 2);
    kv.sweep();
}

#[test]
fn what_is_under_way_when_the_engine_is_closed_has_no_effect_later() {
    // A17
    let kv = Kv::new();
    let done = kv.transact(|tx| {
        tx.set("key", 1_u64);
        kv.close();
        Ok(())
    });
    assert_refused(done, ErrorKind::Closed, "closed");
    assert_eq!(kv.stats().commit_count, 0);
    let kv = Kv::new();
    let done = kv.update("key", |_| {
        kv.close();
        Update::set(1_u64)
    });
    assert_refused(done, ErrorKind::Closed, "closed");
    assert_eq!(kv.stats().commit_count, 0);
}

#[test]
fn a_read_only_handle_reads_and_does_not_write() {
    // A17
    let kv = Kv::new();
    kv.set("key", 1_u64).unwrap();
    let reader = kv.read_only();
    let before = everything(&kv);

    assert_read_only(reader.set("key", 2_u64));
    assert_read_only(reader.set_versionstamped("key", 2_u64));
    assert_read_only(reader.touch("key", None));
    assert_read_only(reader.sum("key", 1));
    assert_read_only(reader.sum_with("key", Sum::u64(1)));
    assert_read_only(reader.min_with("key", 1_u64));
    assert_read_only(reader.max("key", 1));
    assert_read_only(reader.enqueue("message", Delivery::default()));
    assert_read_only(reader.delete("key"));
    assert_read_only(reader.delete_range(()));
    assert_read_only(reader.delete_prefix(()));
    assert_read_only(reader.atomic().commit());
    assert_read_only(reader.atomic().commit_returning());
    assert_read_only(
        reader
            .atomic()
            .check_absent("key")
            .set("new", 1_u64)
            .commit(),
    );
    assert_read_only(reader.update("key", |_| Update::set(2_u64)));
    assert_read_only(reader.update_many(["key"], |_| [Update::keep()]));
    assert_read_only(reader.transact(|tx| {
        tx.set("key", 2_u64);
        Ok(())
    }));
    assert_read_only(reader.read_only().set("key", 2_u64));
    assert_read_only(reader.with_retry(RetryPolicy::default()).set("key", 2_u64));

    assert_eq!(reader.get("key").unwrap().as_u64(), Some(1));
    assert_eq!(everything(&reader), before);
    let read = reader.transact(|tx| Ok(tx.get("key")?.as_u64()));
    assert_eq!(read.unwrap().committed(), Some(Some(1)));
    // The other handle still writes, and what it writes is seen.
    kv.set("key", 2_u64).unwrap();
    assert_eq!(reader.get("key").unwrap().as_u64(), Some(2));
}

#[test]
fn an_empty_engine_is_small_and_quickly_made() {
    alone(
        "lifecycle::an_empty_engine_is_small_and_quickly_made",
        || {
            // The first one sets up what all share.
            drop(Kv::new());
            let before = live_bytes();
            let kv = Kv::new();
            let bytes = live_bytes() - before;
            assert!((1..=64 << 10).contains(&bytes), "{bytes} bytes");
            drop(kv);
            // What the default comes to on the largest machine.
            let before = live_bytes();
            let kv = Kv::builder().writer_threads(8).build();
            let bytes = live_bytes() - before;
            assert!((1..=64 << 10).contains(&bytes), "{bytes} bytes");
            drop(kv);

            let mut times: Vec<_> = (0..201)
                .map(|_| {
                    let begin = Instant::now();
                    let kv = Kv::new();
                    let time = begin.elapsed();
                    drop(kv);
                    time
                })
                .collect();
            times.sort_unstable();
            // Generous: it is some 50 µs without optimisation, on a machine that has nothing else to do.
            assert!(times[100] < Duration::from_millis(1), "{:?}", times[100]);
        },
    );
}

/// Panics when it is dropped, having said so.
struct Panics(Arc<AtomicBool>);

impl AsRef<[u8]> for Panics {
    fn as_ref(&self) -> &[u8] {
        &[0; 2_000]
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
        panic!("the test wants this");
    }
}

#[test]
fn a_value_that_panics_when_it_is_dropped_does_not_end_the_background_sweep() {
    fn eventually(condition: impl Fn() -> bool) {
        let begin = Instant::now();
        while !condition() {
            assert!(begin.elapsed() < Duration::from_secs(60), "too late");
            thread::yield_now();
        }
    }
    let kv = Kv::new();
    let has_panicked = Arc::new(AtomicBool::new(false));
    let value = Bytes::from_owner(Panics(Arc::clone(&has_panicked)));
    kv.set("key", value).unwrap();
    kv.set("key", "another value").unwrap();
    eventually(|| has_panicked.load(Ordering::SeqCst));
    for kv in [Kv::new(), kv] {
        for number in 0..100_u64 {
            kv.set("another key", number).unwrap();
        }
        eventually(|| {
            let stats = kv.stats();
            stats.version_count == stats.entry_count
        });
    }
}

#[test]
fn dropping_the_last_handle_frees_everything() {
    alone(
        "lifecycle::dropping_the_last_handle_frees_everything",
        || {
            fill_and_drop();
            let before = live_bytes();
            for _ in 0..5 {
                fill_and_drop();
            }
            let left = live_bytes() - before;
            // What the epoch keeps for itself does not grow with what went through it.
            assert!(left.abs() < 64 << 10, "{left} bytes are left");
        },
    );
}

/// Makes, uses and drops an engine, with snapshots and lists that are open to the end.
fn fill_and_drop() {
    let kv = unswept();
    for round in 0..3_u64 {
        for number in 0..2_000_u64 {
            kv.set(("n", number), vec![b'v'; 100]).expect("it is set");
        }
        kv.set("large", vec![b'v'; 60_000]).expect("it is set");
        kv.delete(("n", round)).expect("it is deleted");
        kv.delete_range(Range::new(("n", 100_u64), ("n", 300_u64)))
            .expect("they are deleted");
        let done = kv.transact(|tx| {
            let count = tx.list("n").count()?;
            tx.set(("count", round), count as u64);
            Ok(())
        });
        assert!(done.expect("nothing is refused").is_committed());
    }
    let snapshot = kv.snapshot();
    let mut entries = kv.list(()).entries().expect("it can be listed");
    entries.next().expect("it is not empty");
    kv.delete_range(()).expect("they are deleted");
    kv.sweep();
    drop(kv);
    assert!(snapshot.list(()).count().expect("it can be counted") > 1_000);
}

#[test]
fn keys_that_come_and_go_leave_nothing_behind() {
    alone(
        "lifecycle::keys_that_come_and_go_leave_nothing_behind",
        || {
            let kv = unswept();
            let churn = |rounds: u64| {
                for round in 0..rounds {
                    let key = ("key", round % 1_000);
                    kv.set(key, vec![b'v'; 100]).unwrap();
                    kv.set(key, vec![b'w'; 2_000]).unwrap();
                    kv.delete(key).unwrap();
                }
                kv.sweep();
            };
            churn(2_000);
            let before = live_bytes();
            churn(20_000);
            let stats = kv.stats();
            assert_eq!(
                (stats.entry_count, stats.version_count, stats.bytes),
                (0, 0, 0)
            );
            let grown = live_bytes() - before;
            assert!(grown.abs() < 128 << 10, "{grown} bytes more");
        },
    );
}

#[test]
fn commits_that_are_taken_back_leave_nothing_behind() {
    alone(
        "lifecycle::commits_that_are_taken_back_leave_nothing_behind",
        || {
            let kv = unswept();
            let once = kv.with_retry(RetryPolicy::default().attempts_max(NonZeroU32::MIN));
            for round in 0..200_u64 {
                // By the time that the range is found changed, the new keys have been linked.
                let done = once.transact(|tx| {
                    tx.list("range").count()?;
                    kv.set(("range", round), 1_u64)?;
                    tx.set(("new", round, 1), vec![b'v'; 100]);
                    tx.set(("new", round, 2), vec![b'v'; 2_000]);
                    Ok(())
                });
                assert!(!done.unwrap().is_committed());
            }
            assert_eq!(kv.stats().entry_count, 200);
            assert_eq!(kv.delete_prefix("range").unwrap().count, 200);
            kv.sweep();
            let stats = kv.stats();
            assert_eq!(
                (stats.entry_count, stats.version_count, stats.bytes),
                (0, 0, 0)
            );
        },
    );
}

#[test]
fn one_old_snapshot_keeps_what_it_sees_and_no_more() {
    // R13
    alone(
        "lifecycle::one_old_snapshot_keeps_what_it_sees_and_no_more",
        || {
            let kv = unswept();
            for number in 0..100_u64 {
                kv.set(("n", number), number).unwrap();
            }
            let snapshot = kv.snapshot();
            let mut most = 0;
            for round in 0..300_u64 {
                for number in 0..100_u64 {
                    kv.set(("n", number), round).unwrap();
                }
                most = most.max(kv.stats().version_count);
            }
            // Two of each key that are seen, and what waits for a moment.
            assert!(most < 2_000, "{most} versions at once");
            kv.sweep();
            assert_eq!(kv.stats().version_count, 200);
            assert_eq!(kv.stats().oldest_snapshot, Some(snapshot.versionstamp()));
            for entry in snapshot.list("n").entries().unwrap() {
                assert_eq!(
                    Some(entry.key()),
                    entry.as_u64().map(|n| ("n", n).into()).as_ref()
                );
            }
            drop(snapshot);
            kv.sweep();
            assert_eq!(kv.stats().version_count, 100);
            assert_eq!(
                (kv.stats().open_snapshot_count, kv.stats().oldest_snapshot),
                (0, None)
            );
        },
    );
}

#[test]
fn more_snapshots_than_there_are_slots_for_each_keep_their_view() {
    let kv = unswept();
    let snapshots: Vec<_> = (0..200_u64)
        .map(|round| {
            kv.set("round", round).unwrap();
            kv.snapshot()
        })
        .collect();
    assert_eq!(kv.stats().open_snapshot_count, 200);
    let (even, odd): (Vec<_>, Vec<_>) = snapshots
        .into_iter()
        .enumerate()
        .partition(|(round, _)| round % 2 == 0);
    drop(even);
    kv.sweep();
    kv.set("round", 1_000_u64).unwrap();
    kv.sweep();
    for (round, snapshot) in odd {
        assert_eq!(snapshot.get("round").unwrap().as_u64(), Some(round as u64));
    }
    assert_eq!(kv.stats().open_snapshot_count, 0);
}

#[test]
fn snapshots_come_and_go_on_many_threads_beside_writers_and_sweeps() {
    let kv = unswept();
    kv.set("a", 0_u64).unwrap();
    kv.set("b", 0_u64).unwrap();
    race(4, |index| {
        for round in 0..2_000_u64 {
            if index == 0 {
                committed(kv.atomic().sum("a", 1).sum("b", 1).commit());
                if round % 64 == 0 {
                    kv.sweep();
                }
                continue;
            }
            let snapshot = kv.snapshot();
            let clone = snapshot.clone();
            let a = snapshot.get("a").unwrap();
            drop(snapshot);
            thread::yield_now();
            assert_eq!(a.as_u64(), clone.get("b").unwrap().as_u64());
            assert_eq!(clone.get("a").unwrap(), a);
        }
    });
    assert_eq!(kv.stats().open_snapshot_count, 0);
}

#[test]
fn an_engine_goes_by_the_clock_it_is_given() {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .build();
    // Nothing is ordered by it.
    clock.set(Duration::from_secs(100));
    let first = kv.set("key", 1_u64).unwrap();
    clock.set(Duration::ZERO);
    assert!(kv.set("key", 2_u64).unwrap() > first);
}

#[test]
fn versionstamps_begin_after_what_was_asked_for() {
    let after = |versionstamp| Kv::builder().versionstamps_after(versionstamp).build();
    let number = |versionstamp: Versionstamp| {
        let (number, rest) = versionstamp.as_bytes().split_at(8);
        assert_eq!(rest, [0, 0]);
        u64::from_be_bytes(number.try_into().unwrap())
    };
    let stamp = |number: u64, rest: [u8; 2]| {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        bytes[8..].copy_from_slice(&rest);
        Versionstamp::from_bytes(bytes)
    };
    let half = (1 << 61) - 1;
    for (asked, first) in [
        (stamp(0, [0, 0]), 1),
        (stamp(1, [0, 0]), 2),
        (stamp(1, [0, 1]), 3),
        (stamp(1 << 54, [0, 0]), (1 << 54) + 1),
        (stamp(u64::MAX, [255, 255]), half + 1),
    ] {
        let kv = after(asked);
        assert_eq!(
            kv.versionstamp(),
            if first == 1 {
                asked
            } else {
                stamp(first - 1, [0, 0])
            }
        );
        let set = kv.set("a", 1_u64).unwrap();
        assert_eq!(number(set), first, "{asked}");
        assert_eq!(set > asked, first <= half, "{asked}");
        // All else is as in any other.
        let view = kv.snapshot();
        kv.set("a", 2_u64).unwrap();
        kv.enqueue("message", Delivery::default()).unwrap();
        assert_eq!(view.get("a").unwrap().as_u64(), Some(1));
        drop(view);
        kv.delete("a").unwrap();
        assert_eq!(kv.list(Range::all()).count().unwrap(), 0);
    }
    // What was read from the one before does not hold for this one.
    let old = Kv::new();
    for number in 0..3_u64 {
        old.set("a", number).unwrap();
    }
    let read = old.get("a").unwrap();
    let new = after(old.versionstamp());
    for number in 0..3_u64 {
        new.set("a", number).unwrap();
    }
    assert!(
        !new.atomic()
            .check(&read)
            .delete("a")
            .commit()
            .unwrap()
            .is_committed()
    );
    let mut file = Vec::new();
    old.export(&mut file).unwrap();
    let kept = ImportOptions::default().keep_versionstamps();
    let refused = after(old.versionstamp()).import(&file[..], &kept);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::NotEmpty);
}
