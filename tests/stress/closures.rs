//! The caller's code within the engine's: closures that panic, values that call back when they are
//! dropped.

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use bytes::Bytes;
use kvick::{Kv, Update};

use crate::support::{Alone, Tracker, eventually, flush_epoch, scaled, settle, threads};

/// More than a list shows under one pin.
const KEYS: u32 = 600;

/// What the closures panic with.
const WHAT: &str = "a panic of the caller's";

/// A panic that does not print.
fn panic_now<T>() -> T {
    panic::resume_unwind(Box::new(WHAT))
}

fn is_ours(panic: &(dyn Any + Send)) -> bool {
    panic.downcast_ref::<&str>() == Some(&WHAT)
}

/// What is tried: its name, and what panics.
type Panicking = (&'static str, fn(&Kv));

const PANICKING: [Panicking; 10] = [
    ("with_entry", |kv| {
        kv.with_entry(1, |_| panic_now::<()>()).unwrap();
    }),
    ("with_entry of a snapshot", |kv| {
        kv.snapshot().with_entry(1, |_| panic_now::<()>()).unwrap();
    }),
    ("for_each", |kv| {
        kv.list(()).for_each(|_| panic_now()).unwrap();
    }),
    ("for_each in a later batch, with a snapshot open", |kv| {
        let mut seen = 0;
        let each = |_: kvick::EntryRef<'_>| {
            seen += 1;
            if seen == KEYS - 1 {
                panic_now::<()>();
            }
        };
        kv.list(()).for_each(each).unwrap();
    }),
    ("try_for_each in reverse", |kv| {
        let flow = kv.list(()).reverse().try_for_each(|_| panic_now());
        let _: ControlFlow<()> = flow.unwrap();
    }),
    ("beside an iterator that is not read to its end", |kv| {
        let mut entries = kv.list(()).batch_size(10).entries().unwrap();
        assert!(entries.next().is_some());
        panic_now::<()>();
    }),
    ("update", |kv| {
        let _ = kv.update(1, |_| panic_now::<Update>()).unwrap();
    }),
    ("update_many", |kv| {
        let _ = kv
            .update_many([1, 2, 3], |_| panic_now::<Update>())
            .unwrap();
    }),
    ("transact", |kv| {
        let run = |tx: &mut kvick::Transaction<'_>| {
            tx.set(1, "never written");
            tx.get(2)?;
            tx.list(()).count()?;
            panic_now()
        };
        let _ = kv.transact::<()>(run).unwrap();
    }),
    (
        "transact when it has its turn, for which others wait",
        |kv| {
            let mut attempts = 0;
            let run = |tx: &mut kvick::Transaction<'_>| {
                attempts += 1;
                if attempts == 12 {
                    panic_now::<()>();
                }
                tx.get(1)?;
                tx.set(2, "never written");
                // Outside of the transaction, so that it conflicts.
                kv.set(1, "again")?;
                Ok(())
            };
            let _ = kv.transact(run).unwrap();
        },
    ),
];

#[test]
fn a_panic_in_a_closure_leaves_the_engine_usable_and_nothing_behind() {
    let alone = Alone::begin();
    let tracker = Tracker::default();
    for (name, panicking) in PANICKING {
        println!("{name}");
        let kv = Kv::new();
        for key in 0..KEYS {
            kv.set(key, tracker.value(1, 1_100)).unwrap();
        }
        let before = kv.get(2).unwrap();
        for _ in 0..scaled(3) {
            let caught = panic::catch_unwind(AssertUnwindSafe(|| panicking(&kv)));
            assert!(is_ours(&*caught.unwrap_err()));
        }
        assert_eq!(kv.get(2).unwrap(), before);
        assert_eq!(kv.stats().open_snapshot_count, 0);
        is_usable(&kv);
        settle(&kv);
        drop((kv, before));
        tracker.waits_for(0);
    }
    alone.leaves_nothing();
}

/// Does with every key what needs a lock, on a thread that holds none.
fn is_usable(kv: &Kv) {
    thread::scope(|scope| {
        let using = scope.spawn(|| {
            for key in 0..KEYS {
                kv.set(key, "usable").unwrap();
            }
            let moved = kv.transact(|tx| {
                assert_eq!(tx.list(()).count()?, KEYS as usize);
                tx.delete(1);
                Ok(())
            });
            assert!(moved.unwrap().is_committed());
            // Takes every lock.
            assert_eq!(kv.delete_prefix(()).unwrap().count, KEYS as usize - 1);
        });
        using.join().unwrap();
    });
}

/// A value that uses the database when it is dropped.
struct Caller {
    kv: Kv,
    dropped: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Caller {
    fn as_ref(&self) -> &[u8] {
        // Too large to be copied out.
        &[0; 1_100]
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        let count = self.dropped.fetch_add(1, Ordering::Relaxed) as u64;
        self.kv.set("dropped", count).unwrap();
        assert!(self.kv.get("dropped").unwrap().exists());
        if count.is_multiple_of(50) {
            // Takes every lock.
            self.kv.delete_prefix("nothing").unwrap();
        }
    }
}

#[test]
fn a_value_may_use_the_database_as_it_is_dropped() {
    const THREADS: usize = 4;
    const KEYS: u32 = 10;
    let alone = Alone::begin();
    let dropped = Arc::new(AtomicUsize::new(0));
    let kv = Kv::new();
    let each = scaled(200);
    threads(THREADS, |_| {
        let mut snapshot = kv.snapshot();
        for round in 0..each {
            let caller = Caller {
                kv: kv.clone(),
                dropped: Arc::clone(&dropped),
            };
            let key = ("caller", u32::try_from(round).unwrap() % KEYS);
            let value = Bytes::from_owner(caller);
            if round % 2 == 0 {
                kv.set(key, value).unwrap();
            } else {
                let both = kv.atomic().set(key, value).set("both", "ways").commit();
                assert!(both.unwrap().is_committed());
            }
            if round % 20 == 0 {
                snapshot = kv.snapshot();
            }
        }
        drop(snapshot);
    });
    // The values hold the engine that holds them.
    assert_eq!(kv.delete_prefix("caller").unwrap().count, KEYS as usize);
    eventually(
        || {
            kv.sweep();
            flush_epoch();
            dropped.load(Ordering::Relaxed) == THREADS * each
        },
        || format!("{dropped:?} of {} dropped", THREADS * each),
    );
    settle(&kv);
    drop((kv, dropped));
    alone.leaves_nothing();
}
