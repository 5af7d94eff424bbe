//! The anomalies of weaker isolation, by the names that the literature gives them. Each test runs
//! what would show one, on transactions and on atomic operations, and counts that it does not.

use crate::support::threads::race;
use kvick::{Entry, Error, Kv, Range, Result, Transacted, Transaction};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Runs a transaction that nothing refuses.
fn transact<T>(kv: &Kv, run: impl FnMut(&mut Transaction<'_>) -> Result<T>) -> T {
    let done = kv.transact(run).expect("nothing is refused");
    done.committed().expect("it is tried until it commits")
}

fn number(entry: &Entry) -> u64 {
    entry.as_u64().unwrap_or(0)
}

fn read(kv: &Kv, key: &str) -> u64 {
    number(&kv.get(key).expect("a key can be read"))
}

#[test]
fn lost_update() {
    // A12
    let kv = Kv::new();
    race(4, |index| {
        for _ in 0..500 {
            if index % 2 == 0 {
                transact(&kv, |tx| {
                    let next = number(&tx.get("count")?) + 1;
                    tx.set("count", next);
                    Ok(())
                });
                continue;
            }
            loop {
                let entry = kv.get("count").unwrap();
                let outcome = kv
                    .atomic()
                    .check(&entry)
                    .set("count", number(&entry) + 1)
                    .commit();
                if outcome.unwrap().is_committed() {
                    break;
                }
            }
        }
    });
    assert_eq!(read(&kv, "count"), 2_000);
}

#[test]
fn dirty_write() {
    // Of two commits to the same keys, one wins for all of them.
    let kv = Kv::new();
    let keys = ["a", "b", "c", "d"];
    for round in 0..500 {
        race(2, |index| {
            let writer = round * 2 + index as u64;
            let ordered: Vec<_> = if index == 0 {
                keys.to_vec()
            } else {
                keys.iter().rev().copied().collect()
            };
            let mut operation = kv.atomic();
            for key in &ordered {
                operation.set(*key, writer);
            }
            if writer.is_multiple_of(3) {
                transact(&kv, |tx| {
                    for key in &ordered {
                        tx.set(*key, writer);
                    }
                    Ok(())
                });
            } else {
                assert!(operation.commit().unwrap().is_committed());
            }
        });
        let entries = kv.get_many(keys).unwrap();
        assert!(
            entries
                .iter()
                .all(|entry| entry.value() == entries[0].value()),
            "{entries:?}"
        );
        assert!(
            entries
                .iter()
                .all(|entry| entry.versionstamp() == entries[0].versionstamp())
        );
    }
}

#[test]
fn aborted_read() {
    // What was never committed is never seen: not of an abort, an error, a failed check, a mismatch.
    let kv = Kv::new();
    kv.set("text", "text").unwrap();
    kv.set(("ok", 0), 1_u64).unwrap();
    race(3, |index| {
        for round in 0..1_000 {
            if index > 0 {
                assert_eq!(read(&kv, "never"), 0);
                let listed: Vec<_> = kv.list("ok").keys().unwrap().collect();
                assert_eq!(listed, [("ok", 0).into()]);
                continue;
            }
            let aborted = kv.transact(|tx| {
                tx.set("never", 1_u64);
                match round % 3 {
                    0 => tx.abort("no"),
                    1 => Err(Error::other("broken")),
                    _ => {
                        tx.list("ok").entries()?;
                        tx.set(("ok", 1), 1_u64);
                        tx.sum("text", 1);
                        Ok(())
                    }
                }
            });
            assert!(!matches!(aborted, Ok(Transacted::Committed { .. })));
            let conflict = kv
                .atomic()
                .check_absent("text")
                .set("never", 1_u64)
                .commit();
            assert!(!conflict.unwrap().is_committed());
            kv.atomic()
                .set("never", 1_u64)
                .sum("text", 1)
                .commit()
                .unwrap_err();
        }
    });
}

#[test]
fn intermediate_read() {
    // Of several mutations of one key only the last is ever seen.
    let kv = Kv::new();
    race(3, |index| {
        for _ in 0..1_000 {
            if index == 0 {
                let mut operation = kv.atomic();
                operation
                    .delete("key")
                    .set("key", 1_u64)
                    .sum("key", 1)
                    .set("key", 3_u64)
                    .sum("key", 1);
                assert!(operation.commit().unwrap().is_committed());
            } else {
                assert!([0, 4].contains(&read(&kv, "key")));
                let snapshot = kv.snapshot().get("key").unwrap();
                assert!([0, 4].contains(&number(&snapshot)));
            }
        }
    });
}

#[test]
fn read_skew() {
    // Also called a fractured read: money on its way is on neither account, or on both.
    let kv = Kv::new();
    kv.atomic()
        .set("a", 500_u64)
        .set("b", 500_u64)
        .commit()
        .unwrap()
        .versionstamp()
        .unwrap();
    race(4, |index| {
        for round in 0..1_000_u64 {
            if index == 0 {
                let (from, to) = if round % 2 == 0 {
                    ("a", "b")
                } else {
                    ("b", "a")
                };
                transact(&kv, |tx| {
                    let amount = number(&tx.get(from)?).min(round % 7);
                    tx.sum(from, amount.wrapping_neg());
                    tx.sum(to, amount);
                    Ok(())
                });
                continue;
            }
            let total = |entries: &[Entry]| entries.iter().map(number).sum::<u64>();
            assert_eq!(total(&kv.get_many(["a", "b"]).unwrap()), 1_000);
            assert_eq!(
                total(&kv.list(()).entries().unwrap().collect::<Vec<_>>()),
                1_000
            );
            assert_eq!(total(&transact(&kv, |tx| tx.get_many(["b", "a"]))), 1_000);
            let view = kv.snapshot();
            let (b, a) = (view.get("b").unwrap(), view.get("a").unwrap());
            assert_eq!(total(&[a, b]), 1_000);
        }
    });
}

#[test]
fn write_skew() {
    // Two doctors: each goes off duty only while the other is on.
    let kv = Kv::new();
    for round in 0..1_000 {
        kv.atomic()
            .set("alice", 1_u64)
            .set("bob", 1_u64)
            .commit()
            .unwrap()
            .versionstamp()
            .unwrap();
        race(2, |index| {
            let (own, other) = if index == 0 {
                ("alice", "bob")
            } else {
                ("bob", "alice")
            };
            if round % 2 == 0 {
                transact(&kv, |tx| {
                    if number(&tx.get(other)?) == 1 {
                        tx.set(own, 0_u64);
                    }
                    Ok(())
                });
            } else {
                let entry = kv.get(other).unwrap();
                if number(&entry) == 1 {
                    // Whether it conflicts is not the question.
                    let _ = kv.atomic().check(&entry).set(own, 0_u64).commit().unwrap();
                }
            }
        });
        assert!(read(&kv, "alice") + read(&kv, "bob") >= 1, "round {round}");
    }
}

#[test]
fn write_skew_through_ranges() {
    // Also called a phantom: each inserts only while the range is empty.
    let kv = Kv::new();
    for round in 0..1_000 {
        kv.delete_range("claim").unwrap();
        let claimed = race(3, |index| {
            transact(&kv, |tx| {
                let is_free = match (round + index) % 3 {
                    0 => tx.list("claim").count()? == 0,
                    1 => tx.list("claim").limit(1).entries()?.is_empty(),
                    _ => tx.list("claim").reverse().limit(2).count()? == 0,
                };
                if is_free {
                    tx.set(("claim", index as u64), 1_u64);
                }
                Ok(is_free)
            })
        });
        assert_eq!(
            claimed.iter().filter(|claimed| **claimed).count(),
            1,
            "round {round}"
        );
        assert_eq!(kv.list("claim").count().unwrap(), 1);
    }
}

#[test]
fn write_skew_through_a_long_range() {
    // What is counted takes long to look at, so others have time to change what has been looked at
    // already. The count is that of all commits before the one that writes it down.
    const ITEMS: i64 = 400;
    let kv = Kv::new();
    for number in 0..ITEMS {
        kv.set(("item", 1, number), 1_u64).unwrap();
    }
    let is_done = AtomicBool::new(false);
    // Versionstamps with the count that a transaction wrote down, or what a write added to it.
    let logs = race(2, |index| {
        let mut log = Vec::new();
        let mut random = StdRng::seed_from_u64(1);
        while index == 1 && !is_done.load(Ordering::SeqCst) {
            // At the low end, which is looked at first; and not at every moment.
            let key = ("item", 0, random.random_range(0..3));
            let is_there = kv.get(key).unwrap().exists();
            let versionstamp = if is_there {
                kv.delete(key).unwrap()
            } else {
                kv.set(key, 1_u64).unwrap()
            };
            log.push((versionstamp, if is_there { -1 } else { 1 }));
            let begin = Instant::now();
            let pause = Duration::from_micros(random.random_range(0..3_000));
            while begin.elapsed() < pause {
                thread::yield_now();
            }
        }
        for round in 0..(1 - index) * 400 {
            let done = kv.transact(|tx| {
                let count = tx.list("item").entries()?.len();
                tx.set(("count", round % 3), count as u64);
                Ok(i64::try_from(count).expect("there are few"))
            });
            let Transacted::Committed {
                value,
                versionstamp,
                ..
            } = done.unwrap()
            else {
                panic!("it is tried until it commits");
            };
            log.push((versionstamp.unwrap(), value));
        }
        is_done.store(true, Ordering::SeqCst);
        log
    });
    for (versionstamp, count) in &logs[0] {
        let before = logs[1].iter().filter(|(other, _)| other < versionstamp);
        let added: i64 = before.map(|(_, added)| added).sum();
        assert_eq!(*count, ITEMS + added, "at {versionstamp}");
    }
    assert!(!logs[1].is_empty(), "the other was there");
}

#[test]
fn a_range_and_its_deletion() {
    // Whoever counts what is there writes down the count. It never is one that a deletion of the
    // whole range has made impossible.
    let kv = Kv::new();
    race(3, |index| {
        for round in 0..400_u64 {
            match index {
                0 => {
                    transact(&kv, |tx| {
                        let count = tx.list("item").count()? as u64;
                        tx.set(("item", round), 1_u64);
                        tx.set("count", count + 1);
                        Ok(())
                    });
                }
                1 => {
                    transact(&kv, |tx| {
                        tx.list("item")
                            .entries()?
                            .iter()
                            .for_each(|entry| tx.delete(entry.key()));
                        tx.set("count", 0_u64);
                        Ok(())
                    });
                }
                _ => {
                    let view = kv.snapshot();
                    let count = number(&view.get("count").unwrap());
                    assert_eq!(view.list("item").count().unwrap() as u64, count);
                }
            }
        }
    });
}

#[test]
fn read_only_anomaly() {
    // Fekete, O'Neil, O'Neil: a withdrawal that would overdraw costs a fee, unless a deposit came
    // first. Whoever sees the deposit and not the withdrawal knows that there will be no fee.
    let kv = Kv::new();
    for round in 0..1_000 {
        kv.atomic()
            .set("checking", 100_u64)
            .set("savings", 100_u64)
            .commit()
            .unwrap()
            .versionstamp()
            .unwrap();
        let seen = race(3, |index| match index {
            0 => transact(&kv, |tx| {
                let savings = number(&tx.get("savings")?);
                tx.set("savings", savings + 20);
                Ok(None)
            }),
            1 => transact(&kv, |tx| {
                let (checking, savings) =
                    (number(&tx.get("checking")?), number(&tx.get("savings")?));
                let fee = u64::from(checking + savings < 210);
                tx.set("checking", checking - 10 - fee);
                Ok(None)
            }),
            _ if round % 2 == 0 => {
                let entries = kv.get_many(["checking", "savings"]).unwrap();
                Some((number(&entries[0]), number(&entries[1])))
            }
            _ => transact(&kv, |tx| {
                Ok(Some((
                    number(&tx.get("checking")?),
                    number(&tx.get("savings")?),
                )))
            }),
        });
        if seen[2] == Some((100, 120)) {
            assert_eq!(read(&kv, "checking"), 90, "round {round}: a fee after all");
        }
    }
}

#[test]
fn long_fork() {
    // Two readers never see two independent writes in opposite orders.
    let kv = Kv::new();
    for round in 1..1_000_u64 {
        let seen = race(4, |index| {
            if index < 2 {
                kv.set(["x", "y"][index], round).unwrap();
                return (round, round);
            }
            let order = if index == 2 { ["x", "y"] } else { ["y", "x"] };
            let entries = kv.get_many(order).unwrap();
            let (first, second) = (number(&entries[0]), number(&entries[1]));
            if index == 2 {
                (first, second)
            } else {
                (second, first)
            }
        });
        let fork = seen[2] != seen[3] && seen[2].0 != seen[2].1 && seen[3].0 != seen[3].1;
        assert!(!fork, "round {round}: {seen:?}");
    }
}

#[test]
fn real_time_violation() {
    // A message is followed by whoever was told of it: each hands a number on, by a channel of its
    // own, and whoever has got it reads at least that number.
    let kv = Kv::new();
    let told = AtomicU64::new(0);
    let both = Range::new("copy", "d");
    race(4, |index| {
        for _ in 0..2_000 {
            if index == 0 {
                let count = transact(&kv, |tx| {
                    let next = number(&tx.get("count")?) + 1;
                    tx.set("count", next);
                    tx.set("copy", next);
                    Ok(next)
                });
                told.store(count, Ordering::SeqCst);
                continue;
            }
            let least = told.load(Ordering::SeqCst);
            let seen = match index {
                1 => read(&kv, "count"),
                2 => number(&kv.get_many(["copy", "count"]).unwrap()[1]),
                _ => number(&transact(&kv, |tx| tx.get("count"))),
            };
            assert!(seen >= least, "{seen} is older than {least}");
            let listed: Vec<_> = kv.list(both.clone()).entries().unwrap().collect();
            assert!(
                listed.iter().all(|entry| number(entry) >= seen),
                "{listed:?}"
            );
            let versionstamp = kv.set(("after", index as u64), 1_u64).unwrap();
            assert!(
                listed
                    .iter()
                    .all(|entry| entry.versionstamp() < Some(versionstamp))
            );
        }
    });
}
