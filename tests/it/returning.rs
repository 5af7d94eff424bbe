//! What an operation gives back of what it has written.

use crate::support::threads::race;
use crate::support::wakes::poll;
use crate::support::{assert_refused, everything};
use kvick::{AtomicOp, Delivery, Entry, ErrorKind, Key, Kv, ManualClock, NewValue, Outcome, Sum};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Wake, Waker};
use std::time::Duration;

/// The entries of an operation that commits, with its versionstamp.
#[track_caller]
fn returned((outcome, entries): (Outcome, Vec<Entry>)) -> (kvick::Versionstamp, Vec<Entry>) {
    (outcome.versionstamp().expect("every check holds"), entries)
}

#[test]
fn arithmetic_gives_back_what_it_came_to() {
    // S01, S03 to S06, S09
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder().clock(clock).build();
    for sum in [7, 14] {
        let entry = kv.sum("count", 7).unwrap();
        assert_eq!(entry.as_u64(), Some(sum));
        assert_eq!(entry, kv.get("count").unwrap());
        assert_eq!(entry.versionstamp(), Some(kv.versionstamp()));
    }
    assert_eq!(kv.sum("count", u64::MAX).unwrap().as_u64(), Some(13));
    assert_eq!(kv.min("count", 9).unwrap().as_u64(), Some(9));
    assert_eq!(kv.min("count", 10).unwrap().as_u64(), Some(9));
    assert_eq!(kv.max("count", 10).unwrap().as_u64(), Some(10));
    assert_eq!(kv.max("new", 1).unwrap().as_u64(), Some(1));
    let minute = Duration::from_secs(60);
    let lowest = NewValue::from(5_u64).expire_in(minute);
    let entry = kv.min_with("count", lowest).unwrap();
    assert_eq!(
        (entry.as_u64(), entry.expires_in()),
        (Some(5), Some(minute))
    );
    let highest = NewValue::from(6_u64).keep_expiry();
    assert_eq!(kv.max_with("count", highest).unwrap().as_u64(), Some(6));
    assert_refused(kv.min_with("count", "6"), ErrorKind::TypeMismatch, "");
    assert_eq!(kv.max("count", 7).unwrap().expires_in(), None);
    let big = kv.sum_with("big", Sum::bigint(1_u128 << 80)).unwrap();
    assert_eq!(big, kv.get("big").unwrap());
    let clamped = Sum::number(2.0).at_most(3.0).clamped();
    assert_eq!(
        kv.sum_with("number", clamped.clone()).unwrap().as_number(),
        Some(2.0)
    );
    assert_eq!(
        kv.sum_with("number", clamped).unwrap().as_number(),
        Some(3.0)
    );

    let before = everything(&kv);
    let strict = Sum::number(1.0).at_most(3.0);
    assert_refused(kv.sum_with("number", strict), ErrorKind::SumOutOfRange, "");
    assert_refused(kv.sum("number", 1), ErrorKind::TypeMismatch, "");
    assert_refused(kv.max((), 1), ErrorKind::KeyEmpty, "");
    assert_refused(kv.read_only().sum("count", 1), ErrorKind::ReadOnly, "");
    assert_eq!(everything(&kv), before);
    kv.close();
    assert_refused(kv.sum("count", 1), ErrorKind::Closed, "");
}

#[test]
fn an_operation_gives_back_an_entry_for_each_mutation() {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder().clock(clock).build();
    let minute = Duration::from_secs(60);
    kv.set("deleted", 1_u64).unwrap();
    kv.set("touched", 1_u64).unwrap();
    let long = "a long value, which is shared".repeat(100);
    let mut op = kv.atomic();
    op.check_exists("touched")
        .sum("count", 2)
        .set_versionstamped("log", &*long)
        .set("set", NewValue::from(3_u64).expire_in(minute))
        .delete("deleted")
        .delete("missing")
        .touch("touched", minute)
        .touch("missing too", minute)
        .sum("count", 3)
        .set_versionstamped(("log", 2), "short");
    let (versionstamp, entries) = returned(op.commit_returning().unwrap());
    let keys = [
        Key::from("count"),
        Key::from(("log", versionstamp)),
        Key::from("set"),
        Key::from("deleted"),
        Key::from("missing"),
        Key::from("touched"),
        Key::from("missing too"),
        Key::from("count"),
        Key::from(("log", 2, versionstamp)),
    ];
    assert!(entries.iter().map(Entry::key).eq(&keys));
    // What a read finds, whether it is there or not.
    assert_eq!(entries, kv.get_many(&keys).unwrap());
    assert_eq!(entries[0].as_u64(), Some(5));
    assert_eq!(entries[1].as_str(), Some(&*long));
    assert_eq!(entries[2].expires_in(), Some(minute));
    assert_eq!(entries[5].expires_in(), Some(minute));
    let is_there = entries.iter().map(|entry| entry.versionstamp().is_some());
    assert!(is_there.eq([true, true, true, false, false, true, false, true, true]));
    assert!(
        entries
            .iter()
            .all(|entry| entry.versionstamp().is_none_or(|of| of == versionstamp))
    );
}

#[test]
fn an_operation_that_conflicts_gives_nothing_back() {
    // A02
    let kv = Kv::new();
    let mut op = kv.atomic();
    op.check_exists("key").sum("key", 1);
    let (outcome, entries) = op.commit_returning().unwrap();
    assert_eq!(
        outcome,
        Outcome::Conflict {
            failed_checks: vec![0]
        }
    );
    assert_eq!(entries, []);
    let nothing = kv.atomic().commit_returning().unwrap();
    assert_eq!(returned(nothing), (kv.versionstamp(), vec![]));
}

#[test]
fn what_has_expired_is_given_back_by_the_operation_that_wrote_it() {
    // It was so when it committed, though nobody may ever have seen it there.
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder().clock(clock).background_sweep(false).build();
    let mut op = kv.atomic();
    op.set("key", NewValue::from(1_u64).expire_in(Duration::ZERO));
    let (versionstamp, entries) = returned(op.commit_returning().unwrap());
    assert_eq!(entries[0].versionstamp(), Some(versionstamp));
    assert_eq!(entries[0].expires_in(), Some(Duration::ZERO));
    assert!(kv.get("key").unwrap().is_missing());
    // And what had expired before is missing, if nothing else was written.
    let (_, entries) = returned(kv.atomic().touch("key", None).commit_returning().unwrap());
    assert!(entries[0].is_missing());
}

#[test]
fn sums_of_many_threads_are_given_back_once_each() {
    // A11: whatever others write meanwhile, and however much of it is swept.
    const THREADS: u64 = 4;
    let each = if cfg!(miri) { 20 } else { 5_000 };
    let kv = Kv::new();
    let sums = race(usize::try_from(THREADS).unwrap(), |thread| {
        let mut op = kv.atomic();
        op.sum("left", 1).sum("right", 1);
        let mut sums = Vec::new();
        for number in 0..each {
            let (alone, both) = (kv.sum("alone", 1).unwrap(), op.commit_returning().unwrap());
            let (versionstamp, both) = returned(both);
            let [left, right] = &both[..] else {
                panic!("{both:?}")
            };
            assert_eq!(left.as_u64(), right.as_u64(), "all of it or nothing");
            assert_eq!(left.versionstamp(), Some(versionstamp));
            sums.push([alone, left.clone()].map(|entry| entry.as_u64().unwrap()));
            if thread == 0 && number % 256 == 0 {
                kv.sweep();
            }
        }
        sums
    });
    let all: Vec<_> = sums.into_iter().flatten().collect();
    for which in [0, 1] {
        let distinct: BTreeSet<_> = all.iter().map(|sums| sums[which]).collect();
        assert!(distinct.into_iter().eq(1..=THREADS * each));
    }
}

/// A waker that may take its time: nothing is freed while a thread is pinned.
#[derive(Default)]
struct Slow(AtomicUsize);

impl Wake for Slow {
    fn wake(self: Arc<Self>) {
        assert!(!crossbeam_epoch::is_pinned());
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn others_are_woken_when_nothing_is_pinned_any_more() {
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder().clock(clock).background_sweep(false).build();
    let slow = Arc::new(Slow::default());
    let waker = Waker::from(Arc::clone(&slow));
    let mut watch = kv.watch(["key"]).unwrap();
    let mut listener = kv.queue("").listen().unwrap();
    let mut woken = |write: &dyn Fn(&mut AtomicOp<'_>)| {
        while poll(&mut watch, &waker).is_ready() {}
        while poll(&mut listener, &waker).is_ready() {}
        let mut op = kv.atomic();
        write(&mut op);
        assert!(op.commit_returning().unwrap().0.is_committed());
        slow.0.swap(0, Ordering::Relaxed)
    };
    let sum = |_: &mut AtomicOp<'_>| {
        kv.sum("key", 1).unwrap();
    };
    let bounded = |_: &mut AtomicOp<'_>| {
        kv.sum_with("key", Sum::u64(1)).unwrap();
    };
    let extremes = |_: &mut AtomicOp<'_>| {
        kv.min("key", 0).unwrap();
        kv.max("key", 9).unwrap();
    };
    let one = |op: &mut AtomicOp<'_>| {
        op.set("key", 1_u64);
    };
    let two = |op: &mut AtomicOp<'_>| {
        op.set("key", 1_u64).set("other", 1_u64);
    };
    let stamped = |op: &mut AtomicOp<'_>| {
        op.set("key", 1_u64).set_versionstamped("log", 1_u64);
    };
    let message = |op: &mut AtomicOp<'_>| {
        op.enqueue("message", Delivery::default());
    };
    for write in [&sum as &dyn Fn(&mut AtomicOp<'_>), &bounded, &extremes] {
        assert_eq!(woken(write), 1);
    }
    for write in [&one as &dyn Fn(&mut AtomicOp<'_>), &two, &stamped] {
        assert_eq!(woken(write), 1);
        let with_message = |op: &mut AtomicOp<'_>| {
            write(op);
            message(op);
        };
        assert_eq!(woken(&with_message), 2);
    }
    assert_eq!(woken(&message), 1);
}
