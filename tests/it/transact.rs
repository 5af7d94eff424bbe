//! Transactions: what they see, what they are checked for, what they leave.

use crate::support::{assert_refused, each_key, everything, unread};
use kvick::{Entry, ErrorKind, Key, Kv, Range, Result, Transacted, Transaction, Update};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a transaction in whose first attempt, once it has read, something else is committed. How
/// many attempts it takes.
fn attempts_with<R>(
    kv: &Kv,
    mut read: impl FnMut(&mut Transaction<'_>) -> Result<R>,
    mut meanwhile: impl FnMut(),
) -> u32 {
    let mut is_first = true;
    let done = kv.transact(|tx| {
        read(tx)?;
        if std::mem::take(&mut is_first) {
            meanwhile();
        }
        tx.set("written", 1_u64);
        Ok(())
    });
    done.expect("nothing is refused").attempts()
}

fn numbers(kv: &Kv) {
    for number in 0..10 {
        kv.set(("n", number * 10), 1_u64).expect("it is set");
    }
}

#[test]
fn a_transaction_sees_one_moment_and_its_own_writes() {
    let kv = Kv::new();
    numbers(&kv);
    let before = kv.get(("n", 10)).unwrap();
    let done = kv.transact(|tx| {
        tx.set(("n", 5), "new");
        tx.sum(("n", 10), 4);
        tx.delete(("n", 20));
        tx.max(("n", 95), 7);
        assert_eq!(tx.get(("n", 5))?.as_str(), Some("new"));
        assert_eq!(tx.get(("n", 10))?.as_u64(), Some(5));
        assert_eq!(tx.get(("n", 10))?.versionstamp(), before.versionstamp());
        assert!(tx.get(("n", 20))?.is_missing());
        let listed = tx.list("n").entries()?;
        let keys = each_key([0, 5, 10, 30, 40, 50, 60, 70, 80, 90, 95].map(|n| ("n", n)));
        assert!(listed.iter().map(Entry::key).eq(&keys));
        let last = tx.list("n").reverse().limit(2).entries()?;
        assert!(last.iter().map(Entry::key).eq(keys.iter().rev().take(2)));
        assert_eq!(tx.list(Range::new(("n", 15), ("n", 25))).count()?, 0);
        Ok(listed.len())
    });
    assert_eq!(done.unwrap().committed(), Some(11));
    assert_eq!(kv.list("n").count().unwrap(), 11);
}

#[test]
fn all_reads_of_an_attempt_are_of_its_beginning() {
    let kv = Kv::new();
    kv.set("a", 1_u64).unwrap();
    kv.set("b", 1_u64).unwrap();
    let mut seen = Vec::new();
    let done = kv.transact(|tx| {
        let a = tx.get("a")?.as_u64();
        if seen.is_empty() {
            kv.atomic()
                .set("a", 2_u64)
                .set("b", 2_u64)
                .commit()?
                .versionstamp();
        }
        seen.push((a, tx.get("b")?.as_u64(), tx.list(()).count()?));
        tx.set("c", 1_u64);
        Ok(())
    });
    assert_eq!(done.unwrap().attempts(), 2);
    assert_eq!(seen, [(Some(1), Some(1), 2), (Some(2), Some(2), 2)]);
}

#[test]
fn a_key_that_was_read_is_checked_also_where_it_is_missing() {
    let kv = Kv::new();
    kv.set("present", 1_u64).unwrap();
    let read = |tx: &mut Transaction<'_>| tx.get_many(["present", "missing"]);
    let set = |key: &'static str| {
        let kv = kv.clone();
        move || {
            kv.set(key, 1_u64).expect("it is set");
        }
    };
    assert_eq!(attempts_with(&kv, read, set("present")), 2);
    assert_eq!(attempts_with(&kv, read, set("missing")), 2);
    assert_eq!(attempts_with(&kv, read, set("unrelated")), 1);
    // The transaction's own key, which it does not read.
    assert_eq!(attempts_with(&kv, read, set("written")), 1);
}

#[test]
fn a_range_that_was_read_conflicts_with_every_change_in_it() {
    let kv = Kv::new();
    numbers(&kv);
    let middle = || Range::new(("n", 20), ("n", 60));
    let read = |tx: &mut Transaction<'_>| tx.list(middle()).entries();
    let set = |number: i32| {
        let kv = kv.clone();
        move || {
            kv.set(("n", number), 1_u64).expect("it is set");
        }
    };
    let delete = |number: i32| {
        let kv = kv.clone();
        move || {
            kv.delete(("n", number)).expect("it is deleted");
        }
    };
    assert_eq!(attempts_with(&kv, read, set(25)), 2, "a key appears");
    assert_eq!(attempts_with(&kv, read, delete(25)), 2, "a key disappears");
    assert_eq!(
        attempts_with(&kv, read, set(20)),
        2,
        "an equal value is set"
    );
    assert_eq!(
        attempts_with(&kv, read, delete(26)),
        1,
        "nothing is deleted"
    );
    assert_eq!(attempts_with(&kv, read, set(60)), 1, "the end is outside");
    assert_eq!(attempts_with(&kv, read, set(19)), 1, "before the start");
    let clear = || {
        kv.delete_range(Range::new(("n", 50), ("n", 70))).unwrap();
    };
    assert_eq!(attempts_with(&kv, read, clear), 2, "a part is deleted");
    assert_eq!(
        attempts_with(&kv, read, clear),
        1,
        "and nothing the second time"
    );
}

#[test]
fn beyond_its_limit_a_list_is_not_tracked() {
    let kv = Kv::new();
    numbers(&kv);
    let set = |number: i32| {
        let kv = kv.clone();
        move || {
            kv.set(("n", number), 1_u64).expect("it is set");
        }
    };
    let first = |tx: &mut Transaction<'_>| tx.list("n").limit(3).entries();
    assert_eq!(attempts_with(&kv, first, set(15)), 2);
    assert_eq!(attempts_with(&kv, first, set(15)), 2, "it is the third now");
    assert_eq!(attempts_with(&kv, first, set(20)), 1);
    let last = |tx: &mut Transaction<'_>| tx.list("n").reverse().limit(2).entries();
    assert_eq!(attempts_with(&kv, last, set(80)), 2);
    assert_eq!(attempts_with(&kv, last, set(79)), 1);
    assert_eq!(attempts_with(&kv, last, set(95)), 2);
    // A limit that is not reached leaves nothing out.
    let all = |tx: &mut Transaction<'_>| tx.list("n").limit(100).entries();
    assert_eq!(attempts_with(&kv, all, set(99)), 2);
}

#[test]
fn blind_arithmetic_does_not_conflict() {
    let kv = Kv::new();
    kv.set("sum", 1_u64).unwrap();
    let mut is_first = true;
    let done = kv.transact(|tx| {
        tx.sum("sum", 10);
        if std::mem::take(&mut is_first) {
            kv.set("sum", 5_u64)?;
        }
        Ok(())
    });
    assert_eq!(done.unwrap().attempts(), 1);
    assert_eq!(kv.get("sum").unwrap().as_u64(), Some(15));
}

#[test]
fn a_transaction_that_writes_nothing_commits_nothing() {
    let kv = Kv::new();
    let first = kv.set("a", 1_u64).unwrap();
    let done = kv.transact(|tx| tx.list(()).count());
    let Ok(Transacted::Committed {
        value,
        versionstamp,
        attempts,
        ..
    }) = done
    else {
        panic!("it has taken effect: {done:?}");
    };
    assert_eq!((value, versionstamp, attempts), (1, None, 1));
    assert_eq!(kv.stats().latest, first);
    // Not even where what it read has changed: it was all of one moment.
    let done = kv.transact(|tx| {
        let entry = tx.get("a")?;
        kv.set("a", 2_u64)?;
        Ok(entry.as_u64())
    });
    assert_eq!(done.as_ref().unwrap().attempts(), 1);
    assert_eq!(done.unwrap().committed(), Some(Some(1)));
}

#[test]
fn an_abort_takes_everything_back_whatever_is_returned() {
    // X02
    let kv = Kv::new();
    kv.set("a", 1_u64).unwrap();
    let before = everything(&kv);
    let returns: [fn(_) -> _; 3] = [
        |aborted| aborted,
        |_| Ok(()),
        |_| Err(kvick::Error::other("something else")),
    ];
    for returned in returns {
        let done = kv.transact(|tx| {
            let _ = (tx.get("a")?, tx.get("missing")?, tx.get("a")?);
            tx.set("a", 2_u64);
            let aborted = tx.abort("no");
            assert_refused(tx.abort::<()>("no, really"), ErrorKind::Aborted, "aborted");
            returned(aborted)
        });
        let Ok(Transacted::Aborted { reason, read, .. }) = done else {
            panic!("it was aborted: {done:?}");
        };
        assert_eq!(reason.to_string(), "no, really");
        assert_eq!(read, kv.get_many(["a", "missing"]).unwrap());
    }
    assert_eq!(everything(&kv), before);
}

#[test]
fn an_error_takes_everything_back() {
    // X02
    let kv = Kv::new();
    let done = kv.transact(|tx| {
        tx.set("a", 1_u64);
        Err::<(), _>(kvick::Error::other("broken"))
    });
    assert_refused(done, ErrorKind::Other, "broken");
    kv.set("text", "text").unwrap();
    let done = kv.transact(|tx| {
        tx.set("a", 1_u64);
        tx.sum("text", 1);
        Ok(())
    });
    assert_refused(done, ErrorKind::TypeMismatch, "'sum'");
    assert!(kv.get("a").unwrap().is_missing());
}

#[test]
fn a_type_mismatch_is_an_error_only_where_what_was_read_still_holds() {
    // Whoever looks at the tag first never adds to a text. That the tag was read as part of a range
    // makes no difference.
    let tag_of = |tx: &mut Transaction<'_>, listed: bool| {
        if listed {
            return tx
                .list("tag")
                .entries()
                .map(|mut entries| entries.remove(0));
        }
        tx.get(("tag", 1))
    };
    for listed in [false, true] {
        let kv = Kv::new();
        kv.atomic()
            .set(("tag", 1), "number")
            .set("value", 1_u64)
            .commit()
            .unwrap()
            .versionstamp();
        let mut is_first = true;
        let done = kv.transact(|tx| {
            let tag = tag_of(tx, listed)?;
            if std::mem::take(&mut is_first) {
                kv.atomic()
                    .set(("tag", 1), "text")
                    .set("value", "text")
                    .commit()?
                    .versionstamp();
            }
            if tag.as_str() == Some("number") {
                tx.sum("value", 1);
            }
            tx.set("done", 1_u64);
            Ok(())
        });
        assert_eq!(done.unwrap().attempts(), 2);
        assert_eq!(kv.get("value").unwrap().as_str(), Some("text"));
    }
}

#[test]
fn a_list_that_failed_is_tracked_like_one_that_did_not() {
    // The failure says that a value is a text. By the time of the commit it is not.
    let kv = Kv::new();
    kv.set(("n", 1), "text").unwrap();
    let mut is_first = true;
    let done = kv.transact(|tx| {
        tx.sum(("n", 1), 1);
        let is_text = tx.list("n").entries().is_err();
        if std::mem::take(&mut is_first) {
            kv.set(("n", 1), 5_u64)?;
        }
        tx.set("was a text", if is_text { "yes" } else { "no" });
        Ok(())
    });
    assert_eq!(done.unwrap().attempts(), 2);
    assert_eq!(kv.get(("n", 1)).unwrap().as_u64(), Some(6));
    assert_eq!(kv.get("was a text").unwrap().as_str(), Some("no"));
}

#[test]
fn a_transaction_reads_more_keys_than_an_atomic_operation_checks() {
    let kv = Kv::new();
    let keys: Vec<Key> = (0..500).map(|number| ("n", number).into()).collect();
    let done = kv.transact(|tx| {
        let read = tx.get_many(&keys)?;
        assert!(read.iter().map(Entry::key).eq(&keys));
        tx.set("count", read.len() as u64);
        Ok(())
    });
    assert!(done.unwrap().is_committed());
    let many = kv.transact(|tx| {
        (0..1_001).for_each(|number| tx.set(("n", number), 1_u64));
        Ok(())
    });
    assert_refused(
        many,
        ErrorKind::TooManyMutations,
        "Too many mutations (max 1000)",
    );
    assert_eq!(everything(&kv).len(), 1);
}

#[test]
fn a_closure_that_panics_leaves_nothing_behind() {
    // A sweep in the background gives memory back at any time.
    let kv = Kv::builder().background_sweep(false).build();
    kv.set("a", 1_u64).unwrap();
    let before = (everything(&kv), unread(kv.stats()));
    let panic = || panic!("of the closure");
    let transact = || {
        let done = kv.transact(|tx| {
            tx.set("a", 2_u64);
            tx.list(()).entries()?;
            panic();
            Ok(())
        });
        drop(done);
    };
    let update = || {
        let done = kv.update("a", |_| {
            panic();
            Update::keep()
        });
        drop(done);
    };
    let look = || kv.with_entry("a", |_| panic()).unwrap();
    let look_at_each = || kv.list(()).for_each(|_| panic()).unwrap();
    let closures: [&dyn Fn(); 4] = [&transact, &update, &look, &look_at_each];
    for closure in closures {
        assert!(catch_unwind(AssertUnwindSafe(closure)).is_err());
        assert_eq!((everything(&kv), unread(kv.stats())), before);
    }
    kv.set("a", 3_u64).unwrap();
    assert_eq!(kv.list(()).count().unwrap(), 1);
}
