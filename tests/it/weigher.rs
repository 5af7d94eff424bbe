//! Limits of what entries weigh.

mod random;

use crate::support::threads::race;
use crate::support::{assert_empties, assert_refused, committed, everything};
use kvick::{
    Builder, Delivery, Error, ErrorKind, ImportOptions, Key, Kv, LoadError, ManualClock, NewValue,
    OnLimit, Update, ValueRef,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::convert::Infallible;
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

const LIMIT: u64 = 1_000;

/// What entries weigh here: also nothing.
fn weigh(key: &Key, value: ValueRef<'_>) -> u32 {
    let of_value = match value {
        ValueRef::U64(number) => number % 7,
        bytes => bytes.len() as u64 / 16,
    };
    let of_key = key.as_bytes().last().map_or(0, |last| last % 2);
    u32::try_from(of_value).expect("it is small") + u32::from(of_key)
}

/// A database that counts how often it weighs.
fn weighing(calls: &Arc<AtomicU64>) -> Builder {
    let calls = Arc::clone(calls);
    limited(move |key, value| {
        calls.fetch_add(1, Ordering::Relaxed);
        weigh(key, value)
    })
}

fn limited(weigh: impl Fn(&Key, ValueRef<'_>) -> u32 + Send + Sync + 'static) -> Builder {
    Kv::builder()
        .entry_limit(usize::try_from(LIMIT).expect("it is small"))
        .weigher(weigh)
        .background_sweep(false)
}

/// Where bytes weigh as much as they are.
fn by_len() -> Builder {
    limited(|_, value| u32::try_from(value.len()).expect("it is small"))
}

fn bytes(len: usize) -> Vec<u8> {
    vec![7; len]
}

#[test]
fn what_is_heavier_than_the_limit_is_refused_by_name() {
    for kv in [by_len().build(), by_len().on_limit(OnLimit::Evict).build()] {
        kv.set("there", bytes(900)).unwrap();
        let too_heavy = "Entry too heavy (max 1000): got 1001";
        assert_refused(kv.set("a", bytes(1_001)), ErrorKind::EntryLimit, too_heavy);
        let mut two = kv.atomic();
        two.set("a", 1_u64).set("b", bytes(1_001));
        assert_refused(two.commit(), ErrorKind::EntryLimit, too_heavy);
        // Each would fit, both never do: nothing is evicted for it.
        let mut two = kv.atomic();
        two.set("a", bytes(600)).set("b", bytes(600));
        let never = "entry limit reached (max weight 1000): 1200 more was wanted";
        assert_refused(two.commit(), ErrorKind::EntryLimit, never);
        let loaded = kv.get_or_load("c", None, || Ok::<_, Infallible>(bytes(1_001)));
        let Err(LoadError::Refused(refused)) = loaded else {
            panic!("{loaded:?}");
        };
        assert_refused(Err::<(), _>(refused), ErrorKind::EntryLimit, too_heavy);
        // A message that could never be buried.
        let buried = Delivery::default().keys_if_undelivered(["d"]);
        let refused = kv.enqueue(bytes(1_001), buried);
        assert_refused(refused, ErrorKind::EntryLimit, too_heavy);
        let buried = Delivery::default().keys_if_undelivered(["d", "e"]);
        let refused = kv.enqueue(bytes(600), buried);
        assert_refused(refused, ErrorKind::EntryLimit, never);
        let stats = kv.stats();
        assert_eq!((stats.entry_count, stats.entry_weight), (1, 900));
        assert_eq!(
            (stats.evicted_for_entries_count, stats.message_count),
            (0, 0)
        );
        assert_eq!(everything(&kv).len(), 1);
    }
}

#[test]
fn a_commit_that_does_not_fit_is_refused_or_has_others_evicted() {
    let kv = by_len().build();
    kv.set("a", bytes(600)).unwrap();
    kv.set("b", bytes(300)).unwrap();
    let reached = "entry limit reached (max weight 1000): 101 more was wanted";
    assert_refused(kv.set("b", bytes(401)), ErrorKind::EntryLimit, reached);
    kv.set("b", bytes(400)).unwrap();
    assert_refused(kv.set("c", ""), ErrorKind::EntryLimit, "1 more");
    // Lighter is always allowed, and so is as heavy.
    kv.set("a", bytes(600)).unwrap();
    kv.set("a", bytes(599)).unwrap();
    kv.set("c", "").unwrap();
    assert_eq!(kv.stats().entry_weight, 1_000);
    kv.delete("a").unwrap();
    assert_eq!(kv.stats().entry_weight, 401);
    assert_empties(&kv);
    assert_eq!(kv.stats().entry_weight, 0);

    let kv = by_len().on_limit(OnLimit::Evict).pin("kept").build();
    kv.set("kept", bytes(300)).unwrap();
    for number in 0..50_u64 {
        kv.set(number, bytes(40)).unwrap();
    }
    // At once as much as all of them, but for the one that stays.
    kv.set("large", bytes(700)).unwrap();
    let stats = kv.stats();
    assert_eq!((stats.entry_count, stats.entry_weight), (2, 1_000));
    assert_refused(
        kv.set("kept", bytes(301)).and(kv.set("kept", bytes(1_001))),
        ErrorKind::EntryLimit,
        "",
    );
    let mut many = kv.atomic();
    for number in 0..400_u64 {
        many.set(("many", number), "x");
    }
    committed(many.commit());
    assert!(kv.stats().entry_weight <= 1_000);
    assert_empties(&kv);
    assert_eq!(kv.stats().entry_weight, 0);
}

#[test]
fn without_a_weigher_each_weighs_one_and_without_a_limit_none_is_asked() {
    for builder in [Kv::builder().entry_limit(10), Kv::builder()] {
        let kv = builder.build();
        kv.set("a", bytes(100)).unwrap();
        kv.set("b", bytes(2_000)).unwrap();
        assert_eq!(kv.stats().entry_weight, 2);
    }
    let kv = Kv::builder()
        .weigher(|_, _| panic!("it is not asked"))
        .build();
    kv.set("a", 1_u64).unwrap();
    let stats = kv.stats();
    assert_eq!((stats.entry_weight, stats.entry_limit), (1, None));
}

#[test]
fn a_weigher_is_shown_each_value_once_with_its_key() {
    let shown = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let kv = {
        let shown = Arc::clone(&shown);
        limited(move |key, value| {
            shown.lock().push((key.clone(), value.to_owned()));
            if *key == Key::from("e") { 7 } else { 1 }
        })
        .build()
    };
    let text = |key: &str| (Key::from(key), "text".into());
    let assert_shown = |expected: &[(Key, kvick::Value)]| {
        assert_eq!(std::mem::take(&mut *shown.lock()), expected);
    };
    kv.set("a", "text").unwrap();
    assert_shown(&[text("a")]);
    kv.set(
        "a",
        NewValue::from("text").expire_in(Duration::from_secs(9)),
    )
    .unwrap();
    assert_shown(&[text("a")]);
    kv.touch("a", None).unwrap();
    kv.delete("a").unwrap();
    assert_shown(&[]);
    kv.sum("n", 5).unwrap();
    kv.sum("n", 6).unwrap();
    assert_shown(&[5_u64, 6].map(|operand| (Key::from("n"), operand.into())));
    assert_eq!(kv.get("n").unwrap().as_u64(), Some(11));
    // Also what comes to nothing.
    let mut fails = kv.atomic();
    fails.check_exists("none").set("a", "text");
    assert!(!fails.commit().unwrap().is_committed());
    assert_shown(&[text("a")]);
    // But not what is no value for a sum, or is refused for its size.
    let sum = kv.atomic().max_with("n", "text").commit();
    assert_refused(sum, ErrorKind::TypeMismatch, "");
    assert_refused(kv.set("a", bytes(70_000)), ErrorKind::ValueTooLarge, "");
    assert_shown(&[]);
    let at = kv.set_versionstamped("log", "text").unwrap();
    let zeros = Key::from("log").join("0".repeat(20));
    assert_shown(&[(zeros, "text".into())]);
    assert!(kv.get(("log", at)).unwrap().exists());
    let many = kv.update_many(["b", "c"], |_| [Update::set("text"), Update::keep()]);
    assert!(many.unwrap().is_committed());
    assert_shown(&[text("b")]);
    // A message, when it is enqueued, for each key; and not again when it is buried.
    let buried = Delivery::default()
        .backoff([])
        .keys_if_undelivered(["d", "e"]);
    committed(kv.atomic().enqueue("text", buried).commit());
    assert_shown(&[text("d"), text("e")]);
    let mut listener = kv.queue("").listen().unwrap();
    drop(listener.try_recv().unwrap().expect("it is there"));
    assert!(kv.get("e").unwrap().exists());
    assert_shown(&[]);
    let stats = kv.stats();
    assert_eq!(stats.entry_weight, stats.entry_count + 6);
}

/// Whether this panics as the weigher of the next test does.
fn panics<R>(commit: impl FnOnce() -> R) -> bool {
    let Err(panic) = panic::catch_unwind(AssertUnwindSafe(commit)) else {
        return false;
    };
    crate::support::panics::text_of(&*panic) == "too heavy for me"
}

#[test]
fn a_panic_of_the_weigher_changes_nothing_and_leaves_nothing_locked() {
    let kv = limited(|key, _| {
        assert!(*key != Key::from("boom"), "too heavy for me");
        10
    })
    .build();
    let other = Kv::new();
    other.set("boom", 1_u64).unwrap();
    let mut copy = Vec::new();
    other.export(&mut copy).unwrap();
    kv.set("a", 1_u64).unwrap();
    let at = kv.versionstamp();
    let value = || NewValue::from("text").expire_in(Duration::from_secs(1));
    let buried = || Delivery::default().keys_if_undelivered(["boom"]);
    assert!(panics(|| kv.set("boom", 1_u64)));
    assert!(panics(|| kv.set("boom", value())));
    assert!(panics(|| kv.sum("boom", 1)));
    assert!(panics(|| kv
        .atomic()
        .set("a", 2_u64)
        .set("boom", 1_u64)
        .commit()));
    assert!(panics(|| kv
        .atomic()
        .delete("a")
        .sum("boom", 1)
        .commit_returning()));
    assert!(panics(|| kv.update("boom", |_| Update::set(1_u64))));
    assert!(panics(|| kv.transact(|tx| {
        tx.delete("a");
        tx.set("boom", 1_u64);
        Ok(())
    })));
    assert!(panics(|| kv.enqueue("text", buried())));
    assert!(panics(|| kv
        .atomic()
        .delete("a")
        .enqueue("text", buried())
        .commit()));
    assert!(panics(|| kv.import(&copy[..], &ImportOptions::default())));
    let load = || Ok::<_, Infallible>(1_u64);
    assert!(panics(|| kv.get_or_load("boom", None, load)));
    assert!(panics(|| kv.get_or_load("boom", None, load)));
    let stats = kv.stats();
    assert_eq!(stats.load_failure_count, 2);
    assert_eq!((stats.entry_count, stats.entry_weight), (1, 10));
    assert_eq!((stats.message_count, kv.versionstamp()), (0, at));
    assert_eq!(kv.get("a").unwrap().as_u64(), Some(1));
    // Every stripe can be locked.
    kv.delete_range(kvick::Range::all()).unwrap();
    assert_empties(&kv);
}

#[test]
fn a_weigher_may_use_the_database() {
    let own = Arc::new(OnceLock::<Kv>::new());
    let kv = {
        let own = Arc::clone(&own);
        limited(move |key, value| {
            let Some(kv) = own.get().filter(|_| value.as_u64() != Some(0)) else {
                return 1;
            };
            kv.set(key, 0_u64).unwrap();
            kv.sweep();
            let count = kv.list(()).count().unwrap();
            let loads =
                || -> Result<u64, Error> { kv.get(key).map(|entry| entry.as_u64().unwrap_or(0)) };
            let loaded = kv.get_or_load(("loaded", 1), None, loads);
            u32::try_from(count).unwrap() + u32::from(loaded.is_ok())
        })
        .build()
    };
    own.set(kv.clone()).unwrap();
    kv.set("a", 5_u64).unwrap();
    assert_eq!(kv.get("a").unwrap().as_u64(), Some(5));
    let mut two = kv.atomic();
    two.set("a", 6_u64).set("b", 7_u64);
    assert!(two.commit_returning().unwrap().0.is_committed());
    let moved = kv.transact(|tx| {
        tx.get("c")?;
        tx.set("d", 8_u64);
        Ok(())
    });
    assert!(moved.unwrap().is_committed());
    // It would wait for itself.
    let load = || Ok::<_, Infallible>(9_u64);
    assert!(kv.get_or_load("e", None, load).unwrap().exists());
    assert_eq!(kv.get("d").unwrap().as_u64(), Some(8));
}

#[test]
fn the_sum_is_exact_and_within_the_limit_whatever_the_threads_do() {
    const THREADS: usize = 4;
    for on_limit in [OnLimit::Refuse, OnLimit::Evict] {
        let clock = Arc::new(ManualClock::default());
        let kv = by_len()
            .on_limit(on_limit)
            .writer_threads(THREADS)
            .clock(Arc::<ManualClock>::clone(&clock))
            .build();
        race(THREADS, |thread| {
            let mut random = StdRng::seed_from_u64(thread as u64);
            for step in 0..3_000 {
                let key = random.random_range(0..40);
                let result = match random.random_range(0..8) {
                    0 => kv.delete(key).map(drop),
                    1 => kv.touch(key, Duration::from_millis(step % 3)).map(drop),
                    2 => {
                        let mut two = kv.atomic();
                        two.set(key, bytes(random.random_range(0..90)));
                        two.set(key + 1, bytes(random.random_range(0..90)));
                        two.commit().map(drop)
                    }
                    _ => kv.set(key, bytes(random.random_range(0..90))).map(drop),
                };
                if let Err(error) = result {
                    assert_eq!(error.kind(), ErrorKind::EntryLimit, "{error}");
                }
                if step % 16 == 0 {
                    assert!(kv.stats().entry_weight as u64 <= LIMIT);
                    clock.advance(Duration::from_millis(1));
                    kv.sweep();
                }
            }
        });
        // What has expired counts until it is deleted.
        kv.sweep();
        kv.delete_range(kvick::Range::new(0, 5)).unwrap();
        let entries = everything(&kv).into_iter();
        let left: usize = entries
            .map(|entry| entry.as_bytes().map_or(0, <[u8]>::len).max(1))
            .sum();
        assert_eq!(kv.stats().entry_weight, left);
        assert_empties(&kv);
        assert_eq!(kv.stats().entry_weight, 0);
    }
}
