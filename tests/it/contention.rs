//! Who is in each other's way, and gets through (X05, X06).

use crate::support::committed;
use crate::support::threads::{race, unstuck, wait_until};
use kvick::{Clock, Entry, Kv, ManualClock, RetryPolicy, Transacted, Update};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::{self, TryRecvError};
use std::thread;
use std::time::{Duration, Instant};

fn number(entry: &Entry) -> u64 {
    entry.as_u64().unwrap_or(0)
}

fn at_most(attempts: u32) -> RetryPolicy {
    RetryPolicy::default().attempts_max(NonZeroU32::new(attempts).expect("it is not zero"))
}

/// How often an attempt conflicts before whoever tries is given the turn, and more.
const MANY: u32 = 12;

/// Waits until somebody else has written what was read, or for as long as others that are not held
/// up would hardly leave it alone.
fn dawdle(kv: &Kv, read: &Entry) {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(2)
        && kv
            .get(read.key())
            .expect("a key can be read")
            .versionstamp()
            == read.versionstamp()
    {
        thread::yield_now();
    }
}

#[test]
fn a_transaction_that_is_always_spoilt_is_given_its_turn() {
    // X05: each attempt asks another thread to write what was read, and goes on only once that is
    // done; or after so long that the other one must have been held up, and not just have been kept
    // from a processor.
    const LONG: Duration = Duration::from_millis(300);
    unstuck(|| {
        let kv = Kv::new();
        let (ask, asked) = mpsc::channel::<u32>();
        let (tell, told) = mpsc::channel();
        let spoiler = kv.clone();
        let writer = thread::spawn(move || {
            for attempt in asked {
                spoiler.set("hot", u64::from(attempt)).unwrap();
                tell.send(attempt).unwrap();
            }
        });
        let mut attempts = 0;
        let done = kv.with_retry(at_most(40)).transact(|tx| {
            attempts += 1;
            tx.get("hot")?;
            ask.send(attempts).unwrap();
            let end = Instant::now() + LONG;
            let left = || end.saturating_duration_since(Instant::now());
            while told
                .recv_timeout(left())
                .is_ok_and(|attempt| attempt < attempts)
            {}
            tx.set("done", 1_u64);
            Ok(())
        });
        assert!(done.unwrap().is_committed());
        assert!(attempts > 8, "nobody has spoilt it");
        drop(ask);
        wait_until(|| {
            told.try_recv()
                .is_err_and(|left| left == TryRecvError::Disconnected)
        });
        writer.join().unwrap();
    });
}

#[test]
fn everybody_gets_through_beside_writers_that_never_stop() {
    // X05: each attempt goes on until it has been spoilt, if anybody is there to spoil it.
    const EACH: u64 = 3;
    const TRIERS: usize = 3;
    unstuck(|| {
        let kv = Kv::new();
        kv.set(("hot", 0), 0_u64).unwrap();
        let left = AtomicUsize::new(TRIERS);
        race(TRIERS + 2, |index| {
            if index >= TRIERS {
                while left.load(Ordering::SeqCst) > 0 {
                    committed(kv.atomic().sum(("hot", 0), 1).commit());
                }
                return;
            }
            for _ in 0..EACH {
                let done = kv.transact(|tx| {
                    let hot = if index == 0 {
                        tx.list("hot").entries()?.remove(0)
                    } else {
                        tx.get(("hot", 0))?
                    };
                    dawdle(&kv, &hot);
                    tx.set(("hot", 0), number(&hot) + 1);
                    tx.sum(("done", index as u64), 1);
                    Ok(())
                });
                assert!(done.unwrap().is_committed());
            }
            left.fetch_sub(1, Ordering::SeqCst);
        });
        for index in 0..TRIERS {
            let done = kv.get(("done", index as u64)).unwrap();
            assert_eq!(number(&done), EACH);
        }
    });
}

#[test]
fn updates_get_through_as_well() {
    // X05
    unstuck(|| {
        let kv = Kv::new();
        let left = AtomicUsize::new(2);
        race(4, |index| {
            if index >= 2 {
                while left.load(Ordering::SeqCst) > 0 {
                    kv.set("hot", 1_u64).unwrap();
                }
                return;
            }
            for _ in 0..3 {
                let done = kv.update_many(["hot", "cold"], |entries| {
                    dawdle(&kv, &entries[0]);
                    [Update::set(2_u64), Update::set(number(&entries[1]) + 1)]
                });
                assert!(done.unwrap().is_committed());
            }
            left.fetch_sub(1, Ordering::SeqCst);
        });
        assert_eq!(number(&kv.get("cold").unwrap()), 6);
    });
}

#[test]
fn attempts_are_counted_and_bounded() {
    // X05
    let kv = Kv::new();
    for max in [1, 2, 7, MANY] {
        let limited = kv.with_retry(at_most(max));
        let mut calls = 0;
        let done = limited.update("hot", |entry| {
            calls += 1;
            kv.set("hot", number(entry) + 1).unwrap();
            Update::set("never")
        });
        assert!(matches!(done, Ok(Transacted::Exhausted { attempts, .. }) if attempts == max));
        assert_eq!(calls, max);

        calls = 0;
        let done = limited.transact(|tx| {
            calls += 1;
            let count = tx.list("hot").count()?;
            kv.set(("hot", u64::from(max), count as u64), 1_u64)?;
            tx.set("never", 1_u64);
            Ok(())
        });
        assert_eq!(done.unwrap().attempts(), max);
        assert_eq!(calls, max);

        // The last one may be the one that does it.
        calls = 0;
        let done = limited.update("hot", |entry| {
            calls += 1;
            if calls < max {
                kv.set("hot", number(entry) + 1).unwrap();
            }
            Update::set(0_u64)
        });
        assert!(matches!(done, Ok(Transacted::Committed { attempts, .. }) if attempts == max));
    }
    assert!(kv.get("never").unwrap().is_missing());
}

#[test]
fn no_attempt_is_made_after_the_deadline() {
    // X05
    let clock = Arc::new(ManualClock::default());
    clock.set(Duration::from_secs(1_000));
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .build();
    let limited = kv.with_retry(RetryPolicy::default().deadline(Duration::from_millis(100)));
    for step in [10, 25, 99, 100, 1_000] {
        let mut calls = 0;
        let done = limited.update("hot", |entry| {
            calls += 1;
            clock.advance(Duration::from_millis(step));
            kv.set("hot", number(entry) + 1).unwrap();
            Update::set("never")
        });
        assert!(matches!(done, Ok(Transacted::Exhausted { attempts, .. }) if attempts == calls));
        assert_eq!(u64::from(calls), 100_u64.div_ceil(step));
    }
    // The first is made also where there is no time at all.
    let at_once = kv.with_retry(RetryPolicy::default().deadline(Duration::ZERO));
    assert!(
        at_once
            .update("hot", |_| Update::set(1_u64))
            .unwrap()
            .is_committed()
    );
}

/// A clock that jumps ahead once, right after somebody has looked at it.
#[derive(Debug, Default)]
struct Jumping {
    clock: ManualClock,
    jumps: AtomicBool,
}

impl Clock for Jumping {
    fn now(&self) -> Duration {
        let now = self.clock.now();
        if self.jumps.swap(false, Ordering::SeqCst) {
            self.clock.advance(Duration::from_secs(1));
        }
        now
    }
}

#[test]
fn the_time_between_two_attempts_counts_towards_the_deadline() {
    // X05: a transaction waits before it tries again, the longer the more often it has lost.
    let clock = Arc::new(Jumping::default());
    let kv = Kv::builder().clock(Arc::<Jumping>::clone(&clock)).build();
    let limited = kv.with_retry(RetryPolicy::default().deadline(Duration::from_millis(100)));
    for lost in [1, MANY] {
        let mut calls = 0;
        let done = limited.update("hot", |entry| {
            calls += 1;
            if calls == lost {
                clock.jumps.store(true, Ordering::SeqCst);
            }
            kv.set("hot", number(entry) + 1).unwrap();
            Update::set("never")
        });
        assert!(matches!(done, Ok(Transacted::Exhausted { attempts, .. }) if attempts == lost));
    }
}

#[test]
fn a_deadline_that_never_comes_is_none() {
    let kv = Kv::new().with_retry(RetryPolicy::default().deadline(Duration::MAX));
    let mut calls = 0;
    let done = kv.update("hot", |_| {
        calls += 1;
        if calls < 3 {
            kv.set("hot", calls).unwrap();
        }
        Update::set(calls)
    });
    assert_eq!(done.unwrap().attempts(), 3);
}

#[test]
fn a_closure_may_write_what_it_reads_and_then_only_runs_out_of_attempts() {
    // X06
    unstuck(|| {
        let kv = Kv::new();
        let limited = kv.with_retry(at_most(MANY));
        let done = limited.transact(|tx| {
            let hot = tx.get("hot")?;
            kv.set("hot", number(&hot) + 1)?;
            tx.set("never", 1_u64);
            Ok(())
        });
        assert!(matches!(done, Ok(Transacted::Exhausted { .. })));
        assert_eq!(number(&kv.get("hot").unwrap()), u64::from(MANY));
    });
}

/// Runs a transaction that loses `MANY` times, so that it has had the turn for a while, and in each
/// of its attempts does `inside`.
fn losing(kv: &Kv, inside: impl Fn()) {
    let mut attempts = 0;
    let done = kv.transact(|tx| {
        attempts += 1;
        let hot = tx.get("hot")?;
        inside();
        if attempts <= MANY {
            kv.set("hot", number(&hot) + 1)?;
        }
        tx.set("outer", 1_u64);
        Ok(())
    });
    assert_eq!(done.expect("nothing is refused").attempts(), MANY + 1);
}

#[test]
fn a_closure_may_use_the_database_in_every_way() {
    // X06
    unstuck(|| {
        let kv = Kv::new();
        losing(&kv, || {
            kv.set(("n", 1), 1_u64).unwrap();
            committed(kv.atomic().check_exists(("n", 1)).sum("sum", 1).commit());
            assert_eq!(kv.list("n").count().unwrap(), 1);
            assert!(kv.snapshot().get(("n", 1)).unwrap().exists());
            kv.delete_range("n").unwrap();
            kv.sweep();
            kv.stats();
        });
        assert_eq!(number(&kv.get("sum").unwrap()), u64::from(MANY + 1));
    });
}

#[test]
fn a_transaction_may_run_in_a_transaction() {
    // X06: also where both lose until they have the turn.
    unstuck(|| {
        let kv = Kv::new();
        losing(&kv, || {
            let mut attempts = 0;
            let inner = kv.transact(|tx| {
                attempts += 1;
                tx.get("inner")?;
                if attempts <= MANY {
                    kv.set("inner", 1_u64)?;
                }
                tx.set("inner", 2_u64);
                Ok(())
            });
            assert_eq!(inner.unwrap().attempts(), MANY + 1);
            assert!(
                kv.update("inner", |_| Update::delete())
                    .unwrap()
                    .is_committed()
            );
        });
    });
}

#[test]
fn a_closure_may_wait_for_a_thread_that_writes() {
    // X06: also once it has the turn, which that thread has not.
    unstuck(|| {
        let kv = Kv::new();
        losing(&kv, || {
            let other = kv.clone();
            let writer = thread::spawn(move || {
                other.set("theirs", 1_u64).unwrap();
                committed(other.atomic().sum("sum", 1).commit());
                other.delete_range("theirs").unwrap();
                let done = other.transact(|tx| {
                    let sum = number(&tx.get("sum")?);
                    tx.set("sum", sum + 1);
                    Ok(())
                });
                assert!(done.unwrap().is_committed());
            });
            writer.join().unwrap();
        });
        assert_eq!(number(&kv.get("sum").unwrap()), u64::from(MANY + 1) * 2);
    });
}

#[test]
fn transactions_that_wait_for_each_other_get_through() {
    // X06: two that have both lost many times, each holding on until the other has begun again.
    unstuck(|| {
        let kv = Kv::new();
        let begun = [AtomicU64::new(0), AtomicU64::new(0)];
        let is_done = AtomicBool::new(false);
        race(2, |index| {
            let mut attempts = 0;
            let done = kv.transact(|tx| {
                attempts += 1;
                tx.get(("own", index as u64))?;
                let other = begun[1 - index].load(Ordering::SeqCst);
                begun[index].fetch_add(1, Ordering::SeqCst);
                if attempts <= MANY {
                    wait_until(|| {
                        begun[1 - index].load(Ordering::SeqCst) > other
                            || begun[1 - index].load(Ordering::SeqCst) > u64::from(MANY)
                            || is_done.load(Ordering::SeqCst)
                            || attempts > 8
                    });
                    kv.set(("own", index as u64), u64::from(attempts))?;
                }
                tx.set(("done", index as u64), 1_u64);
                Ok(())
            });
            is_done.store(true, Ordering::SeqCst);
            assert!(done.unwrap().is_committed());
        });
        assert_eq!(kv.list("done").count().unwrap(), 2);
    });
}

#[test]
fn the_turn_is_given_back_by_a_closure_that_panics() {
    // X06
    unstuck(|| {
        let kv = Kv::new();
        let mut attempts = 0;
        let panicking = std::panic::AssertUnwindSafe(|| {
            kv.transact(|tx| {
                attempts += 1;
                tx.get("hot")?;
                assert!(attempts <= MANY, "that is enough");
                kv.set("hot", 1_u64)?;
                tx.set("never", 1_u64);
                Ok(())
            })
        });
        assert!(std::panic::catch_unwind(panicking).is_err());
        race(2, |_| losing_alone(&kv));
    });
}

/// A transaction that loses often enough to need the turn, on a key of its own.
fn losing_alone(kv: &Kv) {
    let own = format!("{:?}", thread::current().id());
    let mut attempts = 0;
    let done = kv.transact(|tx| {
        attempts += 1;
        tx.get(&own)?;
        if attempts <= MANY {
            kv.set(&own, 1_u64)?;
        }
        tx.set(&own, 2_u64);
        Ok(())
    });
    assert_eq!(done.expect("nothing is refused").attempts(), MANY + 1);
}
