//! Entries that expire (T01 to T09, S12, X04).

use crate::support::client::{assert_is_ours, give_up};
use crate::support::threads::unstuck;
use crate::support::{assert_refused, committed, conflict, everything, keys};
use kvick::{
    ChangeEvent, ChangeKind, ChangesFrom, Clock, Entry, ErrorKind, Key, Kv, ManualClock, NewValue,
    Range, Sum, Transacted, Update, Value,
};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const MS: Duration = Duration::from_millis(1);
const MINUTE: Duration = Duration::from_secs(60);
/// Far more than the reaper takes on a loaded machine, and far less than a minute.
const LATE: Duration = Duration::from_secs(10);
/// A minute less a millisecond.
const NEARLY: Duration = Duration::from_millis(59_999);

/// A database whose time stands still, and where nothing is done in the background.
fn timed() -> (Kv, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    clock.set(1_000 * MS);
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .background_sweep(false);
    (kv.build(), clock)
}

/// That nothing is left, once the threads of other tests have let go of what is freed.
#[track_caller]
fn assert_empties(kv: &Kv) {
    let begin = Instant::now();
    while kv.stats().bytes > 0 {
        assert!(begin.elapsed() < MINUTE, "{:?}", kv.stats());
        kv.sweep();
        thread::yield_now();
    }
    assert_eq!(kv.stats().version_count, 0);
}

fn for_a_minute<'v>(value: impl Into<NewValue<'v>>) -> NewValue<'v> {
    value.into().expire_in(MINUTE)
}

#[test]
fn an_entry_is_there_up_to_its_last_moment() {
    // T01
    let (kv, clock) = timed();
    let versionstamp = kv.set(("a", 1), for_a_minute(7_u64)).unwrap();
    clock.advance(NEARLY);
    let entry = kv.get(("a", 1)).unwrap();
    assert_eq!(entry.as_u64(), Some(7));
    assert_eq!(entry.expires_in(), Some(MS));
    kv.sweep();
    assert_eq!(kv.get(("a", 1)).unwrap(), entry);
    assert_eq!(everything(&kv), std::slice::from_ref(&entry));
    let op = kv.atomic().check(&entry).check_exists(("a", 1)).commit();
    assert!(committed(op) > versionstamp);
}

#[test]
fn an_entry_is_gone_from_its_deadline_on() {
    // T02, D2: for everybody, before anything has deleted it.
    let (kv, clock) = timed();
    let versionstamp = kv.set(("a", 1), for_a_minute(7_u64)).unwrap();
    clock.advance(MINUTE);

    assert!(kv.get(("a", 1)).unwrap().is_missing());
    let shown = kv.with_entry(("a", 1), |entry| entry.is_some());
    assert!(!shown.unwrap());
    let entries = kv.get_many([("a", 1), ("a", 2)]).unwrap();
    assert!(entries.iter().all(Entry::is_missing));
    assert!(everything(&kv).is_empty());
    assert!(keys(&kv, Range::all()).is_empty());
    assert_eq!(kv.list("a").count().unwrap(), 0);
    let reversed = kv.list("a").reverse().entries().unwrap();
    assert_eq!(reversed.count(), 0);
    let snapshot = kv.snapshot();
    assert!(snapshot.get(("a", 1)).unwrap().is_missing());
    let in_transaction = kv.transact(|tx| {
        let listed = tx.list("a").count()?;
        Ok((tx.get(("a", 1))?.is_missing(), listed))
    });
    assert_eq!(in_transaction.unwrap().committed(), Some((true, 0)));
    let updated = kv.update(("a", 1), |entry| {
        assert!(entry.is_missing());
        Update::keep()
    });
    assert!(updated.unwrap().is_committed());

    let mut op = kv.atomic();
    op.check_versionstamp(("a", 1), versionstamp);
    op.check_exists(("a", 1)).check_absent(("a", 1));
    assert_eq!(conflict(op.commit()), [0, 1]);
    assert_eq!(kv.stats().entry_count, 1, "nothing has deleted it");
}

#[test]
fn arithmetic_starts_anew_after_the_deadline() {
    // T02, S04: on what has expired as on what is not there.
    let (kv, clock) = timed();
    for key in ["sum", "min", "max"] {
        kv.set(key, for_a_minute(100_u64)).unwrap();
    }
    kv.set("text", for_a_minute("no number")).unwrap();
    clock.advance(MINUTE);
    let mut op = kv.atomic();
    op.sum("sum", 1)
        .min("min", 500)
        .max("max", 5)
        .sum("text", 2);
    committed(op.commit());
    let numbers: Vec<_> = everything(&kv).iter().map(Entry::as_u64).collect();
    assert_eq!(numbers, [Some(5), Some(500), Some(1), Some(2)]);
}

#[test]
fn a_range_deletion_does_not_count_what_has_expired() {
    // T02
    let (kv, clock) = timed();
    kv.set(("a", 1), for_a_minute("gone")).unwrap();
    kv.set(("a", 2), "stays").unwrap();
    clock.advance(MINUTE);
    assert_eq!(kv.delete_prefix("a").unwrap().count, 1);
    assert_empties(&kv);
    assert_eq!(kv.stats().expired_count, 0);
}

#[test]
fn a_later_write_decides_how_long_an_entry_stays() {
    // T03
    let (kv, clock) = timed();
    for key in ["set", "prolonged", "shortened", "read", "deleted"] {
        kv.set(key, for_a_minute("old")).unwrap();
    }
    kv.set("set", "new").unwrap();
    kv.set("prolonged", NewValue::from("new").expire_in(2 * MINUTE))
        .unwrap();
    kv.set("shortened", NewValue::from("new").expire_in(MS))
        .unwrap();
    kv.delete("deleted").unwrap();
    kv.set("deleted", "new").unwrap();
    let there = || keys(&kv, Range::all());
    clock.advance(MS);
    assert_eq!(
        there(),
        ["deleted", "prolonged", "read", "set"].map(Into::into)
    );
    clock.advance(Duration::from_millis(59_998));
    assert!(kv.get("read").unwrap().exists());
    clock.advance(MS);
    assert_eq!(there(), ["deleted", "prolonged", "set"].map(Into::into));
    kv.sweep();
    assert_eq!(there(), ["deleted", "prolonged", "set"].map(Into::into));
    clock.advance(MINUTE);
    assert_eq!(there(), ["deleted", "set"].map(Into::into));
    kv.sweep();
    assert_eq!(kv.stats().expired_count, 3);
    assert_eq!(kv.stats().entry_count, 2);
}

#[test]
fn a_touch_changes_the_expiry_and_nothing_else() {
    // T03
    let (kv, clock) = timed();
    let large = Value::from(vec![7_u8; 5_000]);
    kv.set("small", for_a_minute(7_u64)).unwrap();
    let old = kv.set("large", for_a_minute(&large)).unwrap();
    clock.advance(NEARLY);
    let touched = kv.touch("small", MINUTE).unwrap();
    let mut op = kv.atomic();
    op.check_versionstamp("large", old).touch("large", None);
    let stamp = committed(op.commit());
    assert!(touched > Some(old) && Some(stamp) > touched);
    clock.advance(NEARLY);
    let entries = kv.get_many(["small", "large"]).unwrap();
    assert_eq!(entries[0].as_u64(), Some(7));
    assert_eq!(entries[0].expires_in(), Some(MS));
    assert_eq!(entries[0].versionstamp(), touched);
    assert_eq!(entries[1].value(), Some(&large));
    assert_eq!(entries[1].expires_in(), None);
    assert_eq!(entries[1].versionstamp(), Some(stamp));

    let updated = kv.update("large", |_| Update::touch(MINUTE)).unwrap();
    assert!(updated.is_committed());
    let moved = kv.transact(|tx| {
        tx.touch("small", 3 * MINUTE);
        Ok(tx.get("small")?.expires_in())
    });
    assert_eq!(moved.unwrap().committed(), Some(Some(3 * MINUTE)));
    clock.advance(MINUTE);
    assert_eq!(keys(&kv, Range::all()), ["small".into()]);
}

#[test]
fn what_is_not_there_cannot_be_touched() {
    let (kv, clock) = timed();
    kv.set("gone", for_a_minute("value")).unwrap();
    clock.advance(MINUTE);
    let latest = kv.stats().latest;
    assert_eq!(kv.touch("gone", MINUTE).unwrap(), None);
    assert_eq!(kv.touch("never", None).unwrap(), None);
    assert_eq!(kv.stats().latest, latest);
    assert_eq!(kv.stats().conflict_count, 0);
    committed(kv.atomic().touch("gone", MINUTE).commit());
    assert!(everything(&kv).is_empty());
    // A check of the same key is one like any other.
    let latest = kv.versionstamp();
    let mut checked = kv.atomic();
    checked
        .check_versionstamp("gone", latest)
        .touch("gone", MINUTE);
    assert_eq!(conflict(checked.commit()), [0]);
    assert_eq!(kv.stats().conflict_count, 1);
    assert_empties(&kv);
}

#[test]
fn an_entry_that_expires_at_once_is_never_seen() {
    // T04
    let (kv, _clock) = timed();
    let at_once = NewValue::from("value").expire_in(Duration::ZERO);
    let mut op = kv.atomic();
    op.set("key", at_once).sum("other", 1);
    let versionstamp = committed(op.commit());
    assert!(kv.get("key").unwrap().is_missing());
    let other = kv.get("other").unwrap();
    assert_eq!(other.versionstamp(), Some(versionstamp));
    kv.sweep();
    assert_eq!(kv.stats().expired_count, 1);
}

#[test]
fn what_is_to_expire_too_late_is_refused() {
    // T04
    let (kv, _clock) = timed();
    let text = "expireIn is too large (max 8200000000000000 ms): got 9007199254740991 ms";
    let never = Duration::from_millis((1 << 53) - 1);
    let value = || NewValue::from("value").expire_in(never);
    let kind = ErrorKind::InvalidExpiry;
    assert_refused(kv.set("key", value()), kind, text);
    assert_refused(kv.atomic().set("key", value()).commit(), kind, text);
    assert_refused(kv.touch("key", never), kind, text);
    assert_refused(kv.update("key", |_| Update::set(value())), kind, text);
    let in_transaction = kv.transact(|tx| {
        tx.set("key", value());
        Ok(())
    });
    assert_refused(in_transaction, kind, text);
    assert_eq!(kv.stats().commit_count, 0);
    let latest = Duration::from_secs(8_200_000_000_000);
    kv.set("key", NewValue::from("value").expire_in(latest))
        .unwrap();
    assert_eq!(kv.get("key").unwrap().expires_in(), Some(latest));
}

#[test]
fn a_clock_that_goes_back_brings_nothing_back() {
    // T05
    let (kv, clock) = timed();
    kv.set("read", for_a_minute("value")).unwrap();
    kv.set("other", NewValue::from("value").expire_in(2 * MINUTE))
        .unwrap();
    clock.advance(MINUTE);
    assert!(kv.get("read").unwrap().is_missing());
    clock.set(Duration::ZERO);
    assert!(kv.get("read").unwrap().is_missing());
    assert_eq!(keys(&kv, Range::all()), ["other".into()]);
    assert!(
        committed(kv.atomic().check_absent("read").commit())
            > kv.get("other").unwrap().versionstamp().unwrap()
    );
    // What is written then lives for as long as it was to.
    kv.set("new", for_a_minute("value")).unwrap();
    kv.sweep();
    assert_eq!(keys(&kv, Range::all()), ["new", "other"].map(Into::into));
    assert_eq!(kv.get("new").unwrap().expires_in(), Some(MINUTE));
}

#[test]
fn entries_of_one_commit_expire_in_the_order_of_their_deadlines() {
    // T06
    let (kv, clock) = timed();
    let mut op = kv.atomic();
    for number in 0..100 {
        let stays = if number % 2 == 0 { MINUTE } else { 2 * MINUTE };
        op.set(number, NewValue::from("value").expire_in(stays));
    }
    committed(op.commit());
    let count = || kv.list(()).count().unwrap();
    clock.advance(NEARLY);
    assert_eq!(count(), 100);
    clock.advance(MS);
    assert_eq!(count(), 50);
    kv.sweep();
    assert_eq!(count(), 50);
    clock.advance(MINUTE);
    assert_eq!(count(), 0);
}

#[test]
fn the_reaper_leaves_what_was_written_since() {
    // T08: set again, prolonged, and made to last, each when it had expired or just before.
    let (kv, clock) = timed();
    for key in ["anew", "late", "prolonged", "touched"] {
        kv.set(key, for_a_minute("old")).unwrap();
    }
    clock.advance(NEARLY);
    kv.set("prolonged", for_a_minute("new")).unwrap();
    kv.touch("touched", None).unwrap();
    clock.advance(MS);
    kv.set("anew", "new").unwrap();
    committed(kv.atomic().check_absent("late").sum("late", 1).commit());
    let before = everything(&kv);
    assert_eq!(before.len(), 4);
    kv.sweep();
    assert_eq!(everything(&kv), before);
    assert_eq!(kv.stats().expired_count, 0);
}

#[test]
fn what_has_expired_is_deleted_by_commits_with_versionstamps() {
    // T09, V03: many, so that it takes more than one.
    let (kv, clock) = timed();
    for number in 0..1_000 {
        kv.set(number, for_a_minute("value")).unwrap();
    }
    kv.set("stays", "value").unwrap();
    clock.advance(MINUTE);
    let before = kv.stats();
    kv.sweep();
    let after = kv.stats();
    assert_eq!((after.entry_count, after.expired_count), (1, 1_000));
    assert!(after.latest > before.latest);
    assert_eq!(after.commit_count, before.commit_count);
    kv.sweep();
    assert_eq!(
        kv.stats().latest,
        after.latest,
        "there is nothing to delete"
    );
    kv.delete("stays").unwrap();
    assert_empties(&kv);
}

#[test]
fn what_has_expired_is_deleted_in_the_background() {
    // T09: nobody reads, and nobody writes any more.
    let kv = Kv::new();
    for number in 0..1_000 {
        kv.set(number, NewValue::from("value").expire_in(10 * MS))
            .unwrap();
    }
    let begin = Instant::now();
    while kv.stats().version_count > 0 {
        assert!(begin.elapsed() < LATE, "{:?}", kv.stats());
        thread::yield_now();
    }
    assert_eq!(kv.stats().expired_count, 1_000);
    // The last arrays of the indexes wait with this thread, until it hands them over.
    assert_empties(&kv);
}

#[test]
fn arithmetic_makes_an_entry_last() {
    // S12
    let (kv, clock) = timed();
    for key in ["max", "min", "sum"] {
        kv.set(key, for_a_minute(1_u64)).unwrap();
    }
    let bigint = NewValue::bigint(1).expire_in(MINUTE);
    kv.set("bigint", bigint).unwrap();
    kv.set("number", NewValue::from(1.0).expire_in(MINUTE))
        .unwrap();
    let mut op = kv.atomic();
    op.sum("sum", 1).min("min", 5).max("max", 5);
    op.sum_with("bigint", Sum::bigint(1));
    op.sum_with("number", Sum::number(1.0));
    committed(op.commit());
    clock.advance(MINUTE);
    assert_eq!(
        keys(&kv, Range::all()),
        ["bigint", "max", "min", "number", "sum"].map(Into::into)
    );
    assert!(
        everything(&kv)
            .iter()
            .all(|entry| entry.expires_in().is_none())
    );
}

#[test]
fn the_expiry_is_kept_where_that_is_asked_for() {
    // X04
    let (kv, clock) = timed();
    kv.set("key", for_a_minute(1_u64)).unwrap();
    kv.set("lasting", 1_u64).unwrap();
    clock.advance(10 * MS);
    let add_one = |entry: &Entry| {
        let number = entry.as_u64().unwrap_or(0) + 1;
        Update::set(NewValue::from(number).keep_expiry())
    };
    for key in ["key", "lasting", "missing"] {
        assert!(kv.update(key, add_one).unwrap().is_committed());
    }
    let left = |key: &str| kv.get(key).unwrap().expires_in();
    assert_eq!(left("key"), Some(Duration::from_millis(59_990)));
    assert_eq!((left("lasting"), left("missing")), (None, None));
    kv.set("key", NewValue::from("text").keep_expiry()).unwrap();
    let mut op = kv.atomic();
    op.set("key", NewValue::from("a").expire_in(MS));
    op.set("key", NewValue::from("b").keep_expiry());
    committed(op.commit());
    assert_eq!(left("key"), Some(MS));
    let mut op = kv.atomic();
    op.delete("key")
        .set("key", NewValue::from("c").keep_expiry());
    committed(op.commit());
    assert_eq!(left("key"), None);
}

#[test]
fn arithmetic_keeps_or_sets_an_expiry_where_that_is_asked_for() {
    let (kv, clock) = timed();
    for key in ["kept", "least", "most", "number"] {
        let value = if key == "number" {
            1.5.into()
        } else {
            NewValue::from(1_u64)
        };
        kv.set(key, value.expire_in(MINUTE)).unwrap();
    }
    clock.advance(MS);
    let mut op = kv.atomic();
    op.sum_with("kept", Sum::u64(1).keep_expiry());
    op.min_with("least", NewValue::from(0_u64).keep_expiry());
    op.max_with("most", NewValue::from(9_u64).expire_in(2 * MINUTE));
    op.sum_with(
        "number",
        Sum::number(1.0).at_most(2.0).clamped().keep_expiry(),
    );
    op.sum_with("new", Sum::encoded(NewValue::from(1_u64).expire_in(MS)));
    op.sum_with("never", Sum::u64(1).keep_expiry());
    committed(op.commit());
    let left = |key: &str| kv.get(key).unwrap().expires_in();
    assert_eq!((left("kept"), left("least")), (Some(NEARLY), Some(NEARLY)));
    assert_eq!(
        (left("most"), left("number")),
        (Some(2 * MINUTE), Some(NEARLY))
    );
    assert_eq!((left("new"), left("never")), (Some(MS), None));
    assert_eq!(kv.get("kept").unwrap().as_u64(), Some(2));
    assert_eq!(kv.get("least").unwrap().as_u64(), Some(0));
    assert_eq!(kv.get("number").unwrap().as_number(), Some(2.0));
    let seen = kv.transact(|tx| {
        tx.sum_with("kept", Sum::u64(1).keep_expiry());
        let kept = tx.get("kept")?;
        Ok((kept.as_u64(), kept.expires_in()))
    });
    assert_eq!(seen.unwrap().committed(), Some((Some(3), Some(NEARLY))));
}

#[test]
fn a_snapshot_is_judged_by_the_moment_it_was_opened_at() {
    let (kv, clock) = timed();
    kv.set(("a", 1), for_a_minute("value")).unwrap();
    kv.set(("a", 2), NewValue::from("value").expire_in(MS))
        .unwrap();
    clock.advance(MS);
    let snapshot = kv.snapshot();
    clock.advance(MINUTE);
    kv.sweep();
    kv.sweep();
    assert!(everything(&kv).is_empty());
    let seen = snapshot.get(("a", 1)).unwrap();
    assert_eq!(seen.expires_in(), Some(NEARLY));
    assert!(snapshot.get(("a", 2)).unwrap().is_missing());
    assert_eq!(snapshot.list("a").count().unwrap(), 1);
    drop(snapshot);
    assert_empties(&kv);
}

#[test]
fn a_transaction_conflicts_with_what_expires_in_it() {
    // T02: what it has read by its key, and what it has read in a range.
    for by_range in [false, true] {
        let (kv, clock) = timed();
        kv.set(("a", 1), for_a_minute(7_u64)).unwrap();
        kv.set(("a", 2), NewValue::from(8_u64).expire_in(2 * MINUTE))
            .unwrap();
        clock.advance(NEARLY);
        let mut seen = Vec::new();
        let done = kv.transact(|tx| {
            let there = if by_range {
                tx.list("a").count()?
            } else {
                usize::from(tx.get(("a", 1))?.exists())
            };
            seen.push(there);
            clock.advance(MS);
            tx.set("seen", there as u64);
            Ok(())
        });
        assert!(matches!(
            done,
            Ok(Transacted::Committed { attempts: 2, .. })
        ));
        assert_eq!(seen, if by_range { [2, 1] } else { [1, 0] });
    }
}

#[test]
fn a_transaction_does_not_conflict_with_what_it_lets_expire_itself() {
    // T04: it would conflict again and again.
    let (kv, _clock) = timed();
    let done = kv.transact(|tx| {
        tx.list("a").count()?;
        tx.set(("a", 1), NewValue::from("value").expire_in(Duration::ZERO));
        Ok(())
    });
    assert!(matches!(
        done,
        Ok(Transacted::Committed { attempts: 1, .. })
    ));
    assert!(everything(&kv).is_empty());
}

#[test]
fn what_has_expired_before_a_transaction_does_not_conflict_with_it() {
    let (kv, clock) = timed();
    kv.set(("a", 1), for_a_minute(7_u64)).unwrap();
    clock.advance(MINUTE);
    let done = kv.transact(|tx| {
        assert_eq!(tx.list("a").count()?, 0);
        tx.set(("a", 1), "anew");
        Ok(())
    });
    assert!(matches!(
        done,
        Ok(Transacted::Committed { attempts: 1, .. })
    ));
    assert_eq!(kv.get(("a", 1)).unwrap().as_str(), Some("anew"));
}

/// A clock that is not for whole microseconds.
#[derive(Debug)]
struct Nanos(AtomicU64);

impl Clock for Nanos {
    fn now(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::SeqCst))
    }
}

#[test]
fn nothing_expires_a_nanosecond_early() {
    // T01
    let clock = Arc::new(Nanos(1_999.into()));
    let kv = Kv::builder()
        .clock(Arc::<Nanos>::clone(&clock))
        .background_sweep(false)
        .build();
    let micro = Duration::from_micros(1);
    kv.set("key", NewValue::from("value").expire_in(micro))
        .unwrap();
    clock.0.store(2_998, Ordering::SeqCst);
    assert!(kv.get("key").unwrap().exists());
    clock.0.store(3_000, Ordering::SeqCst);
    assert!(kv.get("key").unwrap().is_missing());
}

#[test]
fn large_values_and_text_expire_as_they_came() {
    // V01, T01: the deadline lies before the bytes, and is not among them.
    let (kv, _clock) = timed();
    for len in [0, 1, 1_023, 1_024, 1_025, 60_000] {
        for value in [
            Value::Bytes(vec![1_u8; len].into()),
            Value::V8(vec![2_u8; len].into()),
        ] {
            kv.set("key", for_a_minute(&value)).unwrap();
            let entry = kv.get("key").unwrap();
            assert_eq!(entry.value(), Some(&value));
            kv.touch("key", 2 * MINUTE).unwrap();
            let entry = kv.get("key").unwrap();
            assert_eq!(entry.value(), Some(&value));
            assert_eq!(entry.expires_in(), Some(2 * MINUTE));
        }
    }
}

#[test]
fn a_watch_is_shown_what_has_expired() {
    // T07: once, by the reaper, or before that by what else changes; and the stream of changes is
    // told of the commit that has deleted it.
    let (kv, clock) = timed();
    kv.set("a", for_a_minute(1_u64)).unwrap();
    kv.set("b", for_a_minute(2_u64)).unwrap();
    let mut watch = kv.watch(["a", "b"]).unwrap().into_iter();
    let mut other = kv.watch(["a", "c"]).unwrap().into_iter();
    let mut changes = kv.changes(ChangesFrom::Now).unwrap().into_iter();
    assert!(watch.try_recv().unwrap().is_some() && other.try_recv().unwrap().is_some());
    clock.advance(MINUTE);
    assert_eq!(watch.try_recv().unwrap(), None, "nothing has told it yet");

    let versionstamp = kv.set("c", "value").unwrap();
    let emission = other.try_recv().unwrap().unwrap();
    assert_eq!(emission.changed, [0, 1]);
    assert!(emission.entries[0].is_missing());
    kv.sweep();
    assert_eq!(other.try_recv().unwrap(), None, "it has been shown");
    let emission = watch.try_recv().unwrap().unwrap();
    assert_eq!(emission.changed, [0, 1]);
    assert!(emission.entries.iter().all(Entry::is_missing));
    assert!(emission.versionstamp > versionstamp);
    assert_eq!(watch.try_recv().unwrap(), None);

    let mut deleted = Vec::new();
    while let Some(ChangeEvent::Commit(commit)) = changes.try_recv().unwrap() {
        let keys = commit.changes();
        let keys = keys.filter(|(_, kind)| *kind == ChangeKind::Delete);
        deleted.extend(keys.map(|(key, _)| key.clone()));
    }
    deleted.sort();
    assert_eq!(deleted, ["a", "b"].map(Key::from));
}

#[test]
fn a_watch_is_shown_what_has_expired_though_nothing_else_happens() {
    // T07: by the clock of the system, and the thread that keeps time.
    let last = unstuck(|| {
        let kv = Kv::new();
        let begin = Instant::now();
        kv.set("a", NewValue::from("value").expire_in(20 * MS))
            .unwrap();
        let mut watch = kv.watch(["a"]).unwrap().into_iter();
        let last = watch.find(|emission| emission.entries[0].is_missing());
        last.map(|_| begin.elapsed())
    });
    let late = last.expect("the watch does not end");
    assert!(late < LATE, "{late:?}");
}

/// A clock that panics once, when it is asked for the so-manieth time.
#[derive(Debug, Default)]
struct Panicking {
    asked: AtomicU64,
    panics_at: AtomicU64,
}

impl Clock for Panicking {
    fn now(&self) -> Duration {
        let asked = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        if asked == self.panics_at.load(Ordering::SeqCst) {
            give_up::<()>();
        }
        MINUTE
    }
}

#[test]
fn a_clock_that_panics_leaves_nothing_half_done() {
    // D1: wherever in a transaction over a range the clock is asked.
    for panics_after in 1..10 {
        let clock = Arc::new(Panicking::default());
        let kv = Kv::builder().clock(Arc::<Panicking>::clone(&clock));
        let kv = kv.background_sweep(false).build();
        kv.set(("range", 1), for_a_minute("value")).unwrap();
        let asked = clock.asked.load(Ordering::SeqCst);
        clock
            .panics_at
            .store(asked + panics_after, Ordering::SeqCst);
        let transfer = || {
            kv.transact(|tx| {
                tx.list("range").count()?;
                tx.sum("a", 1);
                tx.sum("b", 1);
                Ok(())
            })
        };
        let first = panic::catch_unwind(AssertUnwindSafe(transfer));
        let done = u64::from(first.is_ok());
        if let Err(panic) = first {
            assert_is_ours(panic);
        }
        for key in ["a", "b"] {
            let number = kv.get(key).unwrap().as_u64().unwrap_or(0);
            assert_eq!(number, done, "asked {panics_after} times");
        }
        clock.panics_at.store(0, Ordering::SeqCst);
        assert!(transfer().unwrap().is_committed());
        assert_eq!(kv.get("a").unwrap().as_u64(), Some(done + 1));
        assert_eq!(kv.get("b").unwrap().as_u64(), Some(done + 1));
    }
}

#[test]
fn a_clock_that_panics_leaves_no_key_behind() {
    // D1: the transaction needs the clock for nothing but its range.
    for panics_after in 1..10 {
        let clock = Arc::new(Panicking::default());
        let kv = Kv::builder().clock(Arc::<Panicking>::clone(&clock));
        let kv = kv.background_sweep(false).build();
        kv.set(("range", 1), for_a_minute("value")).unwrap();
        let before = (everything(&kv), kv.stats().bytes);
        let asked = clock.asked.load(Ordering::SeqCst);
        clock
            .panics_at
            .store(asked + panics_after, Ordering::SeqCst);
        let write = || {
            kv.transact(|tx| {
                tx.list("range").count()?;
                tx.set("key", "value");
                Ok(())
            })
        };
        let written = panic::catch_unwind(AssertUnwindSafe(write));
        clock.panics_at.store(0, Ordering::SeqCst);
        if let Err(panic) = written {
            assert_is_ours(panic);
            assert_eq!((everything(&kv), kv.stats().bytes), before);
        }
    }
}

#[test]
fn the_time_does_not_go_back_behind_the_reaper() {
    // T05: what it goes by is what everybody is judged by from then on.
    let (kv, clock) = timed();
    kv.set("early", for_a_minute("value")).unwrap();
    kv.set("late", NewValue::from("value").expire_in(2 * MINUTE))
        .unwrap();
    clock.advance(MINUTE);
    kv.sweep();
    assert_eq!(kv.stats().expired_count, 1);
    clock.set(Duration::ZERO);
    assert_eq!(kv.get("late").unwrap().expires_in(), Some(MINUTE));
}

#[test]
fn the_time_does_not_go_back_behind_the_reaper_where_a_reader_was_first() {
    // T05: the reaper goes by its own moment also where the first of what it deletes is known to have
    // expired.
    let (kv, clock) = timed();
    for (key, minutes) in [("first", 1), ("second", 2), ("late", 4)] {
        let value = NewValue::from("value").expire_in(minutes * MINUTE);
        kv.set(key, value).unwrap();
    }
    clock.advance(MINUTE);
    assert!(kv.get("first").unwrap().is_missing());
    clock.advance(2 * MINUTE);
    kv.sweep();
    assert_eq!(kv.stats().expired_count, 2);
    clock.set(MINUTE);
    assert_eq!(kv.get("late").unwrap().expires_in(), Some(MINUTE));
}

#[test]
fn a_preview_does_not_start_the_time() {
    // A transaction that is shown its own write, and gives up: nobody has to read the clock for it
    // from then on.
    let clock = Arc::new(Panicking::default());
    let kv = Kv::builder().clock(Arc::<Panicking>::clone(&clock));
    let kv = kv.background_sweep(false).build();
    let asked = |kv: &Kv| {
        let before = clock.asked.load(Ordering::SeqCst);
        kv.get_many(["key", "other"]).unwrap();
        clock.asked.load(Ordering::SeqCst) - before
    };
    let done = kv.transact(|tx| {
        tx.set("key", for_a_minute("value"));
        assert_eq!(tx.get("key")?.expires_in(), Some(MINUTE));
        tx.abort::<()>("enough")
    });
    assert!(!done.unwrap().is_committed());
    assert_eq!(asked(&kv), 0);
    kv.set("key", for_a_minute("value")).unwrap();
    assert_eq!(asked(&kv), 1);
}
