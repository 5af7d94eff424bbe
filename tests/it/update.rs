//! Read, decide, write, and again (X01 to X04).

use crate::support::threads::race;
use crate::support::{assert_refused, everything};
use kvick::{Entry, Error, ErrorKind, Kv, Transacted, Update, Updates, Versionstamp};
use std::num::ParseIntError;

#[track_caller]
fn version_of<T: std::fmt::Debug>(done: kvick::Result<Transacted<T>>) -> Option<Versionstamp> {
    match done {
        Ok(Transacted::Committed { versionstamp, .. }) => versionstamp,
        other => panic!("it has not taken effect: {other:?}"),
    }
}

#[test]
fn increments_of_many_threads_lose_nothing() {
    // X01
    const EACH: u64 = 1_000;
    let kv = Kv::new();
    let attempts = race(4, |_| {
        let add_one = |entry: &Entry| Update::set(entry.as_u64().unwrap_or(0) + 1);
        (0..EACH)
            .map(|_| kv.update("count", add_one).unwrap().attempts())
            .collect::<Vec<_>>()
    });
    assert_eq!(kv.get("count").unwrap().as_u64(), Some(4 * EACH));
    assert!(attempts.concat().iter().all(|attempts| *attempts >= 1));
}

#[test]
fn a_conflict_runs_the_closure_again_with_what_is_there_now() {
    // X01
    let kv = Kv::new();
    kv.set("key", 1_u64).unwrap();
    let mut shown = Vec::new();
    let done = kv.update("key", |entry| {
        shown.push(entry.as_u64());
        match shown.len() {
            1 => drop(kv.set("key", 10_u64).unwrap()),
            2 => drop(kv.delete("key").unwrap()),
            _ => {}
        }
        Update::set("done")
    });
    assert_eq!(done.as_ref().unwrap().attempts(), 3);
    assert_eq!(shown, [Some(1), Some(10), None]);
    assert_eq!(kv.get("key").unwrap().versionstamp(), version_of(done));
}

#[test]
fn an_abort_changes_nothing_and_says_why_and_on_what() {
    // X02
    let kv = Kv::new();
    let first = kv.set("a", 1_u64).unwrap();
    let done = kv.update_many(["a", "b"], |_| {
        [Update::set(2_u64), Update::abort("enough")]
    });
    let Ok(Transacted::Aborted {
        reason,
        read,
        attempts,
        ..
    }) = done
    else {
        panic!("it was aborted: {done:?}");
    };
    assert_eq!((&*reason.to_string(), attempts), ("enough", 1));
    assert_eq!(read, kv.get_many(["a", "b"]).unwrap());
    assert_eq!(kv.stats().latest, first);

    let done = kv.update_many(["a", "b"], |_| Update::abort("all of it"));
    assert!(matches!(done, Ok(Transacted::Aborted { .. })), "{done:?}");
    assert_eq!(kv.stats().latest, first);
}

#[test]
fn an_error_of_the_closure_is_returned_unchanged() {
    // X02
    let kv = Kv::new();
    let parse = |text: &str| text.parse::<u64>().map_err(Error::other);
    let done = kv.update("key", |_| parse("12a").map(Update::set));
    let error = done.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other);
    assert!(error.downcast_ref::<ParseIntError>().is_some());
    let done = kv.update_many(["a", "b"], |_| {
        parse("12a")?;
        Ok(vec![Update::delete(), Update::keep()])
    });
    assert!(done.unwrap_err().downcast::<ParseIntError>().is_ok());
    assert_eq!(kv.stats().commit_count, 0);
}

#[test]
fn an_update_of_no_keys_can_abort_and_fail_as_any_other() {
    // X02
    let kv = Kv::new();
    let none: [&str; 0] = [];
    let aborted = kv.update_many(none, |read| {
        assert_eq!(read, []);
        Update::abort("no")
    });
    assert!(
        matches!(aborted, Ok(Transacted::Aborted { .. })),
        "{aborted:?}"
    );
    let failed = kv.update_many(none, |_| Err::<Updates, _>(Error::other("broken")));
    assert_refused(failed, ErrorKind::Other, "broken");
    let kept = kv.update_many(none, |_| Vec::new());
    assert_eq!(version_of(kept), None);
    assert_eq!(kv.stats().commit_count, 0);
}

#[test]
fn a_missing_key_is_shown_as_missing_and_protected() {
    // X03
    let kv = Kv::new();
    let mut calls = 0;
    let done = kv.update_many(["a", "b"], |entries| {
        calls += 1;
        if calls == 1 {
            assert!(entries.iter().all(Entry::is_missing));
            kv.set("b", "appeared").unwrap();
        }
        // Kept, and checked all the same.
        [Update::set(calls), Update::keep()]
    });
    assert_eq!(done.unwrap().attempts(), 2);
    assert_eq!(kv.get("a").unwrap().as_u64(), Some(2));

    let mut calls = 0;
    kv.update("c", |entry| {
        calls += 1;
        if calls == 1 {
            kv.set("c", "appeared").unwrap();
        }
        Update::set(if entry.exists() {
            "replaced"
        } else {
            "created"
        })
    })
    .unwrap()
    .committed()
    .unwrap();
    assert_eq!(kv.get("c").unwrap().as_str(), Some("replaced"));
}

#[test]
fn what_is_kept_keeps_its_version() {
    // X04
    let kv = Kv::new();
    let a = kv.set("a", 1_u64).unwrap();
    let b = kv.set("b", 1_u64).unwrap();
    assert_eq!(version_of(kv.update("a", |_| Update::keep())), None);
    assert_eq!(
        version_of(kv.update_many(["a", "b"], |_| [Update::keep(), Update::keep()])),
        None
    );
    assert_eq!(kv.stats().latest, b);

    let changed = version_of(kv.update_many(["a", "b", "c"], |_| {
        [Update::keep(), Update::set(2_u64), Update::delete()]
    }));
    assert_eq!(kv.get("a").unwrap().versionstamp(), Some(a));
    assert_eq!(kv.get("b").unwrap().versionstamp(), changed);
    // To delete what is not there is a change, and commits (A09).
    assert!(version_of(kv.update("c", |_| Update::delete())) > changed);
}

#[test]
fn there_is_one_update_for_each_key() {
    let kv = Kv::new();
    let text = "one update is wanted for each of 2 keys";
    let few = kv.update_many(["a", "b"], |_| [Update::set(1_u64)]);
    assert_refused(few, ErrorKind::InvalidUpdate, text);
    let many = kv.update_many(["a", "b"], |_| {
        (0..3).map(|_| Update::set(1_u64)).collect::<Vec<_>>()
    });
    assert_refused(many, ErrorKind::InvalidUpdate, text);
    assert_eq!(everything(&kv), []);
}

#[test]
fn many_keys_are_read_at_one_moment_and_without_a_limit() {
    // X01: money is neither made nor lost.
    let kv = Kv::new();
    let accounts: Vec<_> = (0..30_u64).map(|account| ("account", account)).collect();
    for account in &accounts {
        kv.set(*account, 100_u64).unwrap();
    }
    race(4, |index| {
        for round in 0..200 {
            let done = kv.update_many(accounts.clone(), |entries| {
                let mut balances: Vec<_> = entries
                    .iter()
                    .map(|entry| entry.as_u64().unwrap())
                    .collect();
                assert_eq!(balances.iter().sum::<u64>(), 3_000);
                let (from, to) = ((index * 7 + round) % 30, (index + round * 3) % 30);
                let amount = balances[from].min(5);
                balances[from] -= amount;
                balances[to] += amount;
                let changes = balances.iter().zip(entries).map(|(balance, entry)| {
                    if entry.as_u64() == Some(*balance) {
                        Update::keep()
                    } else {
                        Update::set(*balance)
                    }
                });
                changes.collect::<Vec<_>>()
            });
            assert!(done.unwrap().is_committed());
        }
    });
    let total: u64 = everything(&kv).iter().filter_map(Entry::as_u64).sum();
    assert_eq!(total, 3_000);
}
