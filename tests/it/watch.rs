//! Watching keys (W01 to W09).

use crate::support::allocations::live_bytes;
use crate::support::alone::alone;
use crate::support::threads::{race, unstuck, wait_until};
use crate::support::wakes::{Wakes, poll};
use crate::support::{assert_refused, committed, each_key};
use futures_core::stream::FusedStream;
use kvick::{Blocking, Emission, Entry, ErrorKind, Kv, Limits, Range, Update, Watch};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

/// The numbers of an emission.
fn numbers(emission: &Emission) -> Vec<Option<u64>> {
    emission.entries.iter().map(Entry::as_u64).collect()
}

/// A watch that has shown its first emission.
fn begun<const N: usize>(kv: &Kv, keys: [&str; N]) -> Blocking<Watch> {
    let mut watch = kv.watch(keys).expect("ten keys at most").into_iter();
    let first = watch
        .try_recv()
        .ok()
        .flatten()
        .expect("the first emission comes at once");
    assert!(first.changed.iter().copied().eq(0..N));
    watch
}

#[test]
fn the_first_emission_is_the_state_at_once() {
    // W01
    let kv = Kv::new();
    let keys = each_key(["b", "missing", "a", "b"]);
    let nothing = kv.watch(&keys).unwrap().into_iter().next().unwrap();
    assert!(nothing.entries.iter().all(Entry::is_missing));
    assert!(nothing.entries.iter().map(Entry::key).eq(&keys));
    assert_eq!(nothing.changed, [0, 1, 2, 3]);

    kv.set("a", 1_u64).unwrap();
    let newest = kv.set("b", 2_u64).unwrap();
    let some = kv.watch(&keys).unwrap().into_iter().next().unwrap();
    assert_eq!(numbers(&some), [Some(2), None, Some(1), Some(2)]);
    assert_eq!(some.changed, [0, 1, 2, 3]);
    assert_eq!(some.entries[0].versionstamp(), Some(newest));
    assert_eq!(some.versionstamp, newest);
    // The empty key is missing, here as well.
    let empty = kv.watch([()]).unwrap().into_iter().next().unwrap();
    assert!(empty.entries[0].is_missing());
}

#[test]
fn a_commit_of_several_keys_is_one_emission() {
    // W02, W03: and says which keys have changed.
    let kv = Kv::new();
    kv.set("b", 7_u64).unwrap();
    let mut watch = begun(&kv, ["a", "b", "c", "a"]);
    let versionstamp = committed(kv.atomic().set("c", 3_u64).set("a", 1_u64).commit());
    let emission = watch.try_recv().unwrap().unwrap();
    assert_eq!(numbers(&emission), [Some(1), Some(7), Some(3), Some(1)]);
    assert_eq!(emission.changed, [0, 2, 3]);
    assert_eq!(emission.versionstamp, versionstamp);
    assert_eq!(watch.try_recv().unwrap(), None);
}

#[test]
fn the_versionstamp_decides_and_not_the_value() {
    // W03
    let kv = Kv::new();
    kv.set("a", 1_u64).unwrap();
    let mut watch = begun(&kv, ["a", "missing"]);
    kv.set("a", 1_u64).unwrap();
    assert_eq!(
        numbers(&watch.try_recv().unwrap().unwrap()),
        [Some(1), None]
    );

    kv.delete("missing").unwrap();
    kv.set("other", 1_u64).unwrap();
    kv.get("a").unwrap();
    let refused = kv.atomic().check_absent("a").set("a", 2_u64).commit();
    assert!(!refused.unwrap().is_committed());
    assert!(kv.atomic().set("a", 2_u64).sum("text", 1).commit().is_ok());
    assert_eq!(watch.try_recv().unwrap().unwrap().changed, [0]);
    kv.set("text", "text").unwrap();
    let refused = kv.atomic().set("a", 3_u64).sum("text", 1).commit();
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::TypeMismatch);
    assert_eq!(watch.try_recv().unwrap(), None);

    kv.delete("a").unwrap();
    assert_eq!(watch.try_recv().unwrap().unwrap().changed, [0]);
    kv.delete("a").unwrap();
    // There and gone again: as if nothing had been.
    kv.set("missing", 1_u64).unwrap();
    kv.delete("missing").unwrap();
    assert_eq!(watch.try_recv().unwrap(), None);
}

#[test]
fn a_raw_watch_shows_what_changes_nothing() {
    // W04
    let kv = Kv::new();
    let mut watch = kv.watch(["a", "b"]).unwrap().raw().into_iter();
    assert_eq!(watch.try_recv().unwrap().unwrap().changed, [0, 1]);
    assert_eq!(watch.try_recv().unwrap(), None);
    // In an operation of one key, in one of several, and beside what does change something.
    let deleted = kv.delete("a").unwrap();
    let emission = watch.try_recv().unwrap().unwrap();
    assert_eq!((emission.changed, emission.versionstamp), (vec![], deleted));
    committed(kv.atomic().delete("b").delete("other").commit());
    assert_eq!(watch.try_recv().unwrap().unwrap().changed, [0; 0]);
    committed(kv.atomic().set("other", 1_u64).delete("b").commit());
    assert_eq!(watch.try_recv().unwrap().unwrap().changed, [0; 0]);
    committed(kv.atomic().set("a", 1_u64).delete("b").commit());
    assert_eq!(watch.try_recv().unwrap().unwrap().changed, [0]);

    kv.delete("other").unwrap();
    assert!(
        !kv.atomic()
            .check_absent("a")
            .delete("a")
            .commit()
            .unwrap()
            .is_committed()
    );
    assert_eq!(watch.try_recv().unwrap(), None);
}

#[test]
fn every_way_to_commit_is_shown() {
    // W03: whatever is committed is told (D5).
    let kv = Kv::new();
    let mut watch = begun(&kv, ["a"]);
    let mut shows = |value: Option<u64>| {
        assert_eq!(
            numbers(&watch.try_recv().ok().flatten().expect("a change")),
            [value]
        );
        assert_eq!(watch.try_recv().unwrap(), None);
    };
    kv.set("a", 5_u64).unwrap();
    shows(Some(5));
    committed(kv.atomic().sum("a", 2).commit());
    shows(Some(7));
    committed(kv.atomic().min("a", 3).commit());
    shows(Some(3));
    committed(kv.atomic().max("a", 3).set("b", 0_u64).commit());
    shows(Some(3));
    assert!(
        kv.update("a", |_| Update::set(8_u64))
            .unwrap()
            .is_committed()
    );
    shows(Some(8));
    let done = kv.transact(|tx| {
        let count = tx.list(Range::all()).entries()?.len() as u64;
        tx.set("a", count);
        Ok(())
    });
    assert!(done.unwrap().is_committed());
    shows(Some(2));
    assert_eq!(kv.delete_range(Range::all()).unwrap().count, 2);
    shows(None);
    // Somebody else is in flight in the range: the other way is taken.
    let done = kv.transact(|tx| {
        tx.list(Range::all()).entries()?;
        tx.set("a", 1_u64);
        if tx.get("b")?.is_missing() {
            kv.set("b", 1_u64)?;
        }
        Ok(())
    });
    assert_eq!(done.unwrap().attempts(), 2);
    shows(Some(1));
}

#[test]
fn a_storm_is_one_emission_of_the_last_state() {
    // W05
    let kv = Kv::new();
    let mut watch = begun(&kv, ["a", "b"]);
    for number in 0..1_000_u64 {
        kv.set("a", number).unwrap();
        kv.delete("b").unwrap();
        kv.set("b", number).unwrap();
    }
    let emission = watch.try_recv().unwrap().unwrap();
    assert_eq!(numbers(&emission), [Some(999), Some(999)]);
    assert_eq!(watch.try_recv().unwrap(), None);
}

#[test]
fn a_watch_that_is_not_asked_takes_no_memory() {
    // W05: however much is written meanwhile.
    alone("watch::a_watch_that_is_not_asked_takes_no_memory", || {
        let kv = Kv::builder().background_sweep(false).build();
        let mut watch = begun(&kv, ["a", "b"]);
        let storm = |rounds: u64| {
            for number in 0..rounds {
                let mut op = kv.atomic();
                op.set("a", number).delete("b").set("c", number);
                committed(op.commit());
            }
        };
        storm(1_000);
        let before = live_bytes();
        storm(20_000);
        let more = live_bytes() - before;
        assert!(more < 65_536, "{more} bytes more");
        let emission = watch.try_recv().unwrap().unwrap();
        assert_eq!(numbers(&emission), [Some(19_999), None]);
    });
}

#[test]
fn a_storm_wakes_a_task_once() {
    // W05
    let kv = Kv::new();
    let mut watch = kv.watch(["a", "b", "a"]).unwrap();
    let wakes = Wakes::new();
    assert!(poll(&mut watch, &wakes.waker()).is_ready());
    kv.set("a", 0_u64).unwrap();
    assert_eq!(wakes.count(), 0, "nobody waits yet");
    assert!(poll(&mut watch, &wakes.waker()).is_ready());
    for round in 1..4 {
        assert!(poll(&mut watch, &wakes.waker()).is_pending());
        assert!(poll(&mut watch, &wakes.waker()).is_pending());
        for number in 0..100_u64 {
            committed(kv.atomic().set("a", number).set("b", number).commit());
            kv.set("other", number).unwrap();
        }
        assert_eq!(wakes.count(), round);
        let Poll::Ready(Some(emission)) = poll(&mut watch, &wakes.waker()) else {
            panic!("it was woken for nothing");
        };
        assert_eq!(numbers(&emission), [Some(99); 3]);
    }
}

#[test]
fn the_latest_waker_is_the_one_that_is_woken() {
    // W09
    let kv = Kv::new();
    let mut watch = kv.watch(["a"]).unwrap();
    let (one, other) = (Wakes::new(), Wakes::new());
    assert!(poll(&mut watch, &one.waker()).is_ready());
    assert!(poll(&mut watch, &one.waker()).is_pending());
    assert!(poll(&mut watch, &other.waker()).is_pending());
    kv.set("a", 1_u64).unwrap();
    assert_eq!((one.count(), other.count()), (0, 1));
}

#[test]
fn a_watch_has_ten_keys_at_most_and_one_without_keys_ends() {
    // W06
    let kv = Kv::new();
    let refused = kv.watch([1; 11]);
    assert_refused(
        refused,
        ErrorKind::TooManyKeys,
        "Too many keys (max 10): got 11",
    );
    assert!(kv.watch([1; 10]).unwrap().into_iter().next().is_some());
    let mut none = kv.watch::<&str>([]).unwrap().into_iter();
    assert_eq!(none.next(), None);
    assert_refused(none.try_recv(), ErrorKind::Closed, "ended");
    assert!(none.into_inner().is_terminated());

    let mut limits = Limits::default();
    limits.watch_keys_max = 100;
    let kv = Kv::builder().limits(limits).build();
    let mut watch = kv.watch(0..100).unwrap().into_iter();
    assert_eq!(watch.next().unwrap().entries.len(), 100);
    kv.set(77, 1_u64).unwrap();
    assert_eq!(watch.next().unwrap().changed, [77]);
    assert_refused(
        kv.watch(0..101),
        ErrorKind::TooManyKeys,
        "(max 100): got 101",
    );
    // A key that can be read can be watched.
    assert!(kv.watch([vec![1; 2_040]]).is_ok());
    let too_large = kv.watch([vec![1; 2_100]]);
    assert_refused(too_large, ErrorKind::KeyTooLarge, "Key too large for read");
}

#[test]
fn closing_ends_a_watch_without_an_error() {
    // W08
    let kv = Kv::new();
    let mut fresh = kv.watch(["a"]).unwrap().into_iter();
    let mut asked = begun(&kv, ["a"]);
    let mut task = kv.watch(["a"]).unwrap();
    let wakes = Wakes::new();
    assert!(poll(&mut task, &wakes.waker()).is_ready());
    assert!(poll(&mut task, &wakes.waker()).is_pending());
    kv.set("a", 1_u64).unwrap();
    assert!(poll(&mut task, &wakes.waker()).is_ready());
    assert!(poll(&mut task, &wakes.waker()).is_pending());
    assert_eq!(asked.recv().unwrap().changed, [0]);
    assert_eq!(asked.try_recv().unwrap(), None);
    assert!(!task.is_terminated());

    kv.read_only().close();
    assert_eq!(wakes.count(), 2);
    assert_eq!(poll(&mut task, &wakes.waker()), Poll::Ready(None));
    assert_eq!(poll(&mut task, &wakes.waker()), Poll::Ready(None));
    assert_eq!((asked.next(), fresh.next()), (None, None));
    let ended = asked.recv_timeout(Duration::MAX);
    assert_refused(ended, ErrorKind::Closed, "the stream has ended");
    assert_refused(asked.recv(), ErrorKind::Closed, "the stream has ended");
    assert_refused(task.try_recv(), ErrorKind::Closed, "the stream has ended");
    assert!(task.is_terminated() && fresh.into_inner().is_terminated());
    assert_refused(kv.watch(["a"]), ErrorKind::Closed, "closed");
}

#[test]
fn a_thread_that_waits_is_woken_by_a_change_and_by_the_end() {
    // W08, W09: by closing, and by the last handle.
    for closes in [true, false] {
        let kv = Kv::new();
        let mut watch = begun(&kv, ["a"]);
        let is_seen = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&is_seen);
        let waiting = thread::spawn(move || {
            let emission = watch.next().expect("there is a change");
            seen.store(true, Ordering::Release);
            (numbers(&emission), watch.next())
        });
        kv.set("a", 1_u64).unwrap();
        wait_until(|| is_seen.load(Ordering::Acquire));
        if closes {
            kv.close();
        } else {
            drop(kv);
        }
        let (first, second) = unstuck(move || waiting.join().expect("it does not panic"));
        assert_eq!((first, second), (vec![Some(1)], None));
    }
}

#[test]
fn a_watch_waits_no_longer_than_it_is_told() {
    // W08: and is there afterwards.
    let kv = Kv::new().read_only();
    let mut watch = begun(&kv, ["a"]);
    assert_eq!(watch.recv_timeout(Duration::ZERO).unwrap(), None);
    let patience = Duration::from_millis(2);
    assert_eq!(watch.recv_timeout(patience).unwrap(), None);
    let mut watch = watch.into_inner();
    assert_eq!(watch.recv_timeout(patience).unwrap(), None);
    assert!(poll(&mut watch, &Wakes::new().waker()).is_pending());
}

#[test]
fn watches_that_come_and_go_leave_nothing() {
    // W08
    alone("watch::watches_that_come_and_go_leave_nothing", || {
        let kv = Kv::builder().background_sweep(false).build();
        let wakes = Wakes::new();
        let turn = |number: usize| {
            let keys = [number % 7, number, number];
            let mut watch = kv.watch(keys).unwrap();
            assert!(poll(&mut watch, &wakes.waker()).is_ready());
            if number.is_multiple_of(2) {
                assert!(poll(&mut watch, &wakes.waker()).is_pending());
            }
        };
        // One that stays: its key is among theirs, and its list is what they leave.
        let mut stays = kv.watch([3]).unwrap();
        assert!(poll(&mut stays, &wakes.waker()).is_ready());
        assert!(poll(&mut stays, &wakes.waker()).is_pending());
        (0..1_000).for_each(turn);
        let before = live_bytes();
        (0..100_000).for_each(turn);
        let more = live_bytes() - before;
        assert!(more < 1_024, "{more} bytes more");
        assert_eq!(wakes.count(), 0);
        kv.set(3, 1_u64).unwrap();
        assert_eq!(wakes.count(), 1);
    });
}

#[test]
fn no_change_is_lost_between_subscribing_and_reading() {
    // W09
    let kv = Kv::new();
    for round in 0..500_u64 {
        race(2, |thread| {
            if thread == 0 {
                kv.set("a", round).unwrap();
                return;
            }
            let watch = kv.watch(["a"]).unwrap();
            let mut values = watch.into_iter().map(|emission| numbers(&emission)[0]);
            assert!(values.any(|value| value == Some(round)));
        });
    }
}

/// A waker that does what it should not.
struct Bad(Kv, AtomicUsize);

impl Wake for Bad {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::Relaxed);
        // It writes, to a key of the same stripe: the very same key.
        self.0.set("a", "from a waker").expect("it may write");
        panic!("a waker may panic");
    }
}

#[test]
fn a_waker_may_write_and_panic() {
    // W05: under no lock, and at nobody's cost.
    let kv = Kv::new();
    let bad = Arc::new(Bad(kv.clone(), AtomicUsize::new(0)));
    let wakes = Wakes::new();
    let mut watches: Vec<_> = (0..3).map(|_| kv.watch(["a", "b"]).unwrap()).collect();
    let tasks = [wakes.waker(), Waker::from(Arc::clone(&bad)), wakes.waker()];
    for (watch, waker) in watches.iter_mut().zip(&tasks) {
        assert!(poll(watch, waker).is_ready());
        assert!(poll(watch, waker).is_pending());
    }
    kv.set("a", 1_u64)
        .expect("it has taken effect, and that is told");
    assert_eq!((bad.1.load(Ordering::Relaxed), wakes.count()), (1, 2));
    assert_eq!(kv.get("a").unwrap().as_str(), Some("from a waker"));
    for (watch, waker) in watches.iter_mut().zip(&tasks) {
        assert!(poll(watch, waker).is_ready());
    }
}

#[test]
fn a_watch_shows_what_it_is_about() {
    let kv = Kv::new();
    let watch = kv.watch([("a", 1), ("b", 2)]).unwrap();
    assert_eq!(format!("{watch:?}"), r#"Watch [["a", 1], ["b", 2]]"#);
}
