//! Entries that are not used for long.

use crate::support::assert_empties;
use kvick::{Builder, EvictionEvent, EvictionReason, Key, Kv, ManualClock, OnLimit};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

const TIME: Duration = Duration::from_millis(800);
/// As often as the background looks, here.
const STEP: Duration = Duration::from_millis(10);

fn engine(clock: &Arc<ManualClock>) -> Builder {
    Kv::builder()
        .clock(Arc::<ManualClock>::clone(clock))
        .background_sweep(false)
        .writer_threads(1)
        .time_to_idle(TIME)
}

fn advance(kv: &Kv, clock: &ManualClock, time: Duration) {
    for _ in 0..time.as_micros() / STEP.as_micros() {
        clock.advance(STEP);
        kv.sweep();
    }
}

/// What is there, which a list does not use.
fn keys(kv: &Kv) -> BTreeSet<Key> {
    let entries = kv.list(()).entries().expect("it is open");
    entries.map(|entry| entry.key().clone()).collect()
}

#[test]
fn what_is_used_stays_and_what_is_not_goes_in_time() {
    let clock = Arc::new(ManualClock::default());
    let kv = engine(&clock).build();
    let mut random = StdRng::seed_from_u64(8);
    // When each key was last used. A list is no use, so it can tell what is there.
    let mut used = BTreeMap::new();
    let mut now = Duration::ZERO;
    let mut gone = 0;
    for _ in 0..4_000 {
        let key = random.random_range(0..60_u64).pow(2) / 60;
        match random.random_range(0..4) {
            0 => kv.set(key, now.as_millis().to_string()).map(drop).unwrap(),
            1 => kv.delete(key).map(drop).unwrap(),
            _ => drop(kv.get(key).unwrap()),
        }
        let there = keys(&kv);
        if there.contains(&Key::from(key)) {
            used.insert(key, now);
        } else {
            used.remove(&key);
        }
        advance(&kv, &clock, STEP);
        now += STEP;
        let there = keys(&kv);
        let is_there = |key: &u64| there.contains(&Key::from(*key));
        let before = used.len();
        used.retain(|key, last| {
            let idle = now.saturating_sub(*last);
            assert!(is_there(key) || idle >= TIME, "{key} went after {idle:?}");
            assert!(
                !is_there(key) || idle <= TIME + TIME / 8 + STEP,
                "{key} is there after {idle:?}"
            );
            is_there(key)
        });
        gone += before - used.len();
        assert_eq!(there.len(), used.len());
    }
    assert!(gone > 100, "{gone}");
    assert_eq!(kv.stats().evicted_idle_count, gone as u64);
    advance(&kv, &clock, 2 * TIME);
    assert_eq!(kv.stats().entry_count, 0);
    assert_empties(&kv);
}

#[test]
fn what_goes_because_it_is_idle_goes_by_a_commit() {
    let clock = Arc::new(ManualClock::default());
    let kv = engine(&clock).pin("pinned").build();
    kv.set("idle", "value").unwrap();
    kv.set(("pinned", 1), "value").unwrap();
    kv.set("read", "value").unwrap();
    kv.set("written", "value").unwrap();
    kv.set("summed", 1_u64).unwrap();
    let mut evictions = kv.evictions(10).unwrap();
    let mut watch = kv.watch(["idle"]).unwrap();
    assert!(watch.try_recv().unwrap().is_some());
    let read = kv.get("idle").unwrap();
    let snapshot = kv.snapshot();
    for round in 0..10 {
        advance(&kv, &clock, TIME / 2);
        assert!(kv.get("read").unwrap().exists(), "{round}");
        kv.set("written", round).unwrap();
        kv.sum("summed", 1_u64).unwrap();
    }
    assert!(kv.get("idle").unwrap().is_missing());
    assert!(kv.get(("pinned", 1)).unwrap().exists());
    assert!(kv.get("summed").unwrap().exists());
    assert!(snapshot.get("idle").unwrap().exists());
    let conflict = kv.atomic().check(&read).set("other", 1_u64).commit();
    assert!(!conflict.unwrap().is_committed());
    assert!(watch.try_recv().unwrap().is_some());
    let Some(EvictionEvent::Evicted(evicted)) = evictions.try_recv().unwrap() else {
        panic!("nothing was told");
    };
    assert_eq!(evicted.key, Key::from("idle"));
    assert_eq!(evicted.reason, EvictionReason::Idle);
    assert!(evictions.try_recv().unwrap().is_none());
    assert_eq!(kv.stats().evicted_idle_count, 1);
    drop(snapshot);
    assert_empties(&kv);
}

#[test]
fn idle_entries_make_no_room_unless_they_are_to() {
    let clock = Arc::new(ManualClock::default());
    let refusing = engine(&clock).entry_limit(10).build();
    let evicting = engine(&clock)
        .entry_limit(10)
        .on_limit(OnLimit::Evict)
        .build();
    for number in 0..10_u64 {
        refusing.set(number, number).unwrap();
    }
    assert!(refusing.set(10, 10).is_err());
    for number in 0..100_u64 {
        evicting.set(number, number).unwrap();
    }
    assert_eq!(refusing.stats().entry_count, 10);
    assert_eq!(refusing.stats().evicted_for_entries_count, 0);
    advance(&refusing, &clock, 2 * TIME);
    refusing.set(10, 10).unwrap();
    evicting.sweep();
    assert!(evicting.stats().entry_count <= 10);
}
