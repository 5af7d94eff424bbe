//! Copies beside threads that read and write.

use super::{contents, exported, kept, renewed};
use crate::support::everything;
use crate::support::threads::race;
use kvick::{Delivery, ImportOptions, Kv, Range};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, Ordering};

const ACCOUNTS: u64 = 500;
const BALANCE: u64 = 100;

fn bank() -> Kv {
    let kv = Kv::new();
    for account in 0..ACCOUNTS {
        kv.set(("account", account), BALANCE)
            .expect("a key can be set");
    }
    kv
}

fn sum(kv: &Kv) -> u64 {
    let entries = everything(kv);
    entries.iter().filter_map(kvick::Entry::as_u64).sum()
}

/// One of some money to another.
fn transfer(kv: &Kv, random: &mut StdRng) {
    let [from, to] = [0, 1].map(|_| ("account", random.random_range(0..ACCOUNTS)));
    let paid = kv.transact(|tx| {
        let balance = tx.get(from)?.as_u64().unwrap_or(0);
        if balance > 0 && from != to {
            tx.set(from, balance - 1);
            tx.sum(to, 1);
        }
        Ok(())
    });
    assert!(paid.expect("nothing is refused").is_committed());
}

#[test]
fn a_copy_is_of_one_moment_while_others_write() {
    let kv = bank();
    let is_done = AtomicBool::new(false);
    race(3, |thread| {
        let mut random = StdRng::seed_from_u64(thread as u64);
        if thread > 0 {
            let mut count = 0u64;
            while !is_done.load(Ordering::Relaxed) {
                transfer(&kv, &mut random);
                // Neighbours that come and go.
                let key = ("account", random.random_range(0..ACCOUNTS), "note");
                count += 1;
                if count.is_multiple_of(2) {
                    kv.set(key, "note").expect("a key can be set");
                } else {
                    kv.delete(key).expect("a key can be deleted");
                }
            }
            return;
        }
        for round in 0..40 {
            let mut copy = Vec::new();
            let exported = kv.export(&mut copy).expect("a vector takes it");
            let other = Kv::new();
            let options = if round % 2 == 0 { kept() } else { renewed() };
            let imported = other.import(&copy[..], &options).expect("it is whole");
            assert_eq!(imported.entries, exported.entries);
            assert_eq!(sum(&other), ACCOUNTS * BALANCE);
            if round % 2 == 0 {
                let is_before =
                    |entry: &kvick::Entry| entry.versionstamp() <= Some(exported.versionstamp);
                assert!(everything(&other).iter().all(is_before));
            }
        }
        is_done.store(true, Ordering::Relaxed);
    });
}

/// Who has seen one entry of it sees all, and with the version that it stays with.
fn import_beside_readers(options: &ImportOptions) {
    let copy = exported(&bank());
    for _ in 0..60 {
        let other = Kv::new();
        let done = race(3, |thread| {
            if thread == 0 {
                other.import(&copy[..], options).expect("it is whole");
                return Vec::new();
            }
            let mut random = StdRng::seed_from_u64(thread as u64);
            loop {
                let [one, another] = [0, 1].map(|_| ("account", random.random_range(0..ACCOUNTS)));
                let first = other.get(one).expect("it is open");
                let view = other.snapshot();
                let count = view.list(Range::all()).count().expect("it is open");
                let second = other.get(another).expect("it is open");
                assert!(count == 0 || count as u64 == ACCOUNTS, "{count}");
                if !first.is_missing() {
                    assert!(!second.is_missing() && count > 0, "half an import");
                    return vec![first, second];
                }
                assert!(count == 0 || !second.is_missing(), "half an import");
            }
        });
        for seen in done.into_iter().flatten() {
            assert_eq!(other.get(seen.key()).expect("it is open"), seen);
        }
    }
}

#[test]
fn an_import_is_never_seen_in_part() {
    import_beside_readers(&renewed());
}

#[test]
fn an_import_that_keeps_its_versionstamps_is_never_seen_in_part() {
    import_beside_readers(&kept());
}

/// Either it comes first, and what others commit is above, or it is refused, and nothing of it is
/// there.
#[test]
fn versionstamps_are_kept_before_every_other_commit_or_not_at_all() {
    let source = bank();
    let copy = exported(&source);
    let (mut kept_count, mut refused_count) = (0, 0);
    for round in 0..300 {
        let other = Kv::new();
        let stamps = race(2, |thread| {
            if thread == 0 {
                let imported = other.import(&copy[..], &kept()).ok()?;
                return Some(imported.versionstamp);
            }
            // So that they meet.
            for _ in 0..round * 20 {
                std::hint::spin_loop();
            }
            let committed = if round % 2 == 0 {
                other.enqueue("message", Delivery::default())
            } else {
                other.set(("account", 7u64), BALANCE)
            };
            Some(committed.expect("it is open"))
        });
        if let Some(imported) = stamps[0] {
            kept_count += 1;
            assert_eq!(imported, source.versionstamp());
            assert!(stamps[1] > Some(imported));
            assert_eq!(contents(&other), contents(&source));
        } else {
            refused_count += 1;
            let left = other.stats();
            assert_eq!(left.entry_count, round % 2);
            assert_eq!(everything(&other).len(), round % 2);
        }
    }
    // Most rounds are decided by who comes first; how many, by the machine.
    assert_eq!(kept_count + refused_count, 300);
}

/// Two imports of the same keys, and somebody who sets and deletes some of them: whoever is refused
/// leaves nothing, and nobody's record is taken away.
#[test]
fn imports_that_meet_leave_nothing_behind() {
    let copy = exported(&bank());
    for seed in 0..40 {
        let other = Kv::builder().background_sweep(false).build();
        let done = race(3, |thread| {
            if thread < 2 {
                return other.import(&copy[..], &renewed()).is_ok();
            }
            let mut random = StdRng::seed_from_u64(seed);
            for _ in 0..50 {
                let key = ("account", random.random_range(0..ACCOUNTS));
                other.set(key, 1u64).expect("a key can be set");
                other.delete(key).expect("a key can be deleted");
            }
            true
        });
        assert!(!(done[0] && done[1]), "the keys were there");
        if done[0] || done[1] {
            // What was deleted since is missing.
            assert!(everything(&other).len() as u64 >= ACCOUNTS - 50);
        } else {
            assert!(everything(&other).is_empty());
        }
        other.delete_range(Range::all()).expect("it is open");
        while other.stats().bytes > 0 {
            other.sweep();
        }
    }
}
