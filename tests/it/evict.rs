//! Evicting entries to make room.

use crate::support::alone::alone;
use crate::support::threads::{race, wait_until};
use crate::support::{assert_empties, assert_refused, committed};
use bytes::Bytes;
use kvick::{
    Builder, Delivery, ErrorKind, EvictionEvent, EvictionReason, KeyPart, Kv, ManualClock,
    NewValue, OnLimit,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LIMIT: usize = 1 << 20;

fn cache() -> Builder {
    Kv::builder()
        .memory_limit(LIMIT)
        .on_limit(OnLimit::Evict)
        .background_sweep(false)
        .writer_threads(1)
}

fn set_pages(kv: &Kv, numbers: std::ops::Range<u64>) {
    for number in numbers {
        kv.set(("page", number), vec![7; 1_000])
            .expect("room is made");
        assert!(kv.stats().bytes <= LIMIT, "{:?}", kv.stats());
    }
}

#[test]
fn room_is_made_for_whatever_comes() {
    let kv = cache().build();
    set_pages(&kv, 0..5_000);
    let stats = kv.stats();
    assert!((300..950).contains(&stats.entry_count), "{stats:?}");
    assert_eq!(
        stats.evicted_for_memory_count + stats.entry_count as u64,
        5_000
    );
    assert!(stats.bytes > LIMIT / 10 * 7, "{stats:?}");
    // The latest have not been evicted before they could be used.
    for number in 4_998..5_000_u64 {
        assert!(kv.get(("page", number)).unwrap().exists());
    }
    let entries = kv.list("page").entries().unwrap();
    assert!(
        entries
            .into_iter()
            .all(|entry| entry.as_bytes() == Some(&[7; 1_000][..]))
    );
    assert_empties(&kv);
    set_pages(&kv, 0..2_000);
    assert_empties(&kv);
}

#[test]
fn an_eviction_is_a_commit() {
    let kv = cache().build();
    kv.set("first", vec![1; 1_000]).unwrap();
    let read = kv.get("first").unwrap();
    let snapshot = kv.snapshot();
    let mut watch = kv.watch(["first"]).unwrap();
    assert!(watch.try_recv().unwrap().is_some());
    assert!(watch.try_recv().unwrap().is_none());
    set_pages(&kv, 0..3_000);
    assert!(kv.get("first").unwrap().is_missing());
    // A check on what was read before fails, and one on what is missing holds.
    assert!(
        !kv.atomic()
            .check(&read)
            .set("other", 1_u64)
            .commit()
            .unwrap()
            .is_committed()
    );
    committed(
        kv.atomic()
            .check_absent("first")
            .set("other", 1_u64)
            .commit(),
    );
    let seen = watch.try_recv().unwrap().expect("it was told");
    assert!(seen.entries[0].is_missing());
    // The snapshot goes on seeing it.
    assert_eq!(snapshot.get("first").unwrap(), read);
    drop(snapshot);
    assert_empties(&kv);
}

#[test]
fn what_is_pinned_stays_and_what_is_not_asked_for() {
    let kv = cache()
        .evict_only("page")
        .evict_only("image")
        .pin(("page", 0_u64))
        .build();
    kv.set(("page", 0_u64), vec![7; 1_000]).unwrap();
    kv.set(("page", 0_u64, "note"), "of page 0").unwrap();
    for number in 0..100_u64 {
        kv.set(("user", number), vec![7; 1_000]).unwrap();
    }
    for number in 1..3_000_u64 {
        let kind = if number % 3 == 0 { "image" } else { "page" };
        kv.set((kind, number), vec![7; 1_000]).unwrap();
    }
    assert_eq!(kv.list("user").count().unwrap(), 100);
    assert!(kv.get(("page", 0_u64)).unwrap().exists());
    assert!(kv.get(("page", 0_u64, "note")).unwrap().exists());
    assert!(kv.stats().evicted_for_memory_count > 2_000);
    // Where nothing that may go is left, it is as with a limit that refuses.
    let refused = (0..2_000_u64).find_map(|number| kv.set(("user", number), vec![7; 1_000]).err());
    assert_eq!(
        refused.map(|error| error.kind()),
        Some(ErrorKind::MemoryLimit)
    );
    assert!(kv.list("image").count().unwrap() == 0 && kv.list("page").count().unwrap() <= 2);
    assert_empties(&kv);
}

#[test]
fn what_is_used_stays_while_others_pass_by() {
    let kv = cache().build();
    let mut random = StdRng::seed_from_u64(5);
    for number in 0..300_u64 {
        kv.set(("hot", number), vec![7; 1_000]).unwrap();
    }
    let mut misses = 0;
    for number in 0..20_000_u64 {
        let hot = ("hot", random.random_range(0..300_u64));
        if kv.get(hot).unwrap().is_missing() {
            misses += 1;
            kv.set(hot, vec![7; 1_000]).unwrap();
        }
        kv.set(("once", number), vec![7; 1_000]).unwrap();
    }
    assert!(misses < 1_000, "{misses}");
    assert_empties(&kv);
}

#[test]
fn no_more_entries_than_the_limit_are_there() {
    let kv = Kv::builder()
        .entry_limit(100)
        .on_limit(OnLimit::Evict)
        .background_sweep(false)
        .build();
    for number in 0..1_000_u64 {
        kv.set(number, number).unwrap();
        assert!(kv.stats().entry_count <= 100);
    }
    let stats = kv.stats();
    assert_eq!((stats.entry_limit, stats.memory_limit), (Some(100), None));
    assert!(stats.entry_count >= 98, "{stats:?}");
    assert_eq!(
        stats.evicted_for_entries_count,
        1_000 - stats.entry_count as u64
    );
    let mut many = kv.atomic();
    for number in 0..50_u64 {
        many.set(("many", number), number);
    }
    committed(many.commit());
    assert!(kv.stats().entry_count <= 100);
    assert_empties(&kv);

    let kv = Kv::builder()
        .entry_limit(100)
        .background_sweep(false)
        .build();
    for number in 0..100_u64 {
        kv.set(number, number).unwrap();
    }
    assert_refused(
        kv.set(100_u64, 1_u64),
        ErrorKind::EntryLimit,
        "(max 100 entries)",
    );
    kv.set(99_u64, 1_u64).unwrap();
    kv.delete(0_u64).unwrap();
    kv.set(100_u64, 1_u64).unwrap();
    let mut two = kv.atomic();
    two.delete(1_u64).set("new", 1_u64).set("newer", 1_u64);
    assert_refused(two.commit(), ErrorKind::EntryLimit, "(max 100 entries)");
    assert_eq!(kv.stats().entry_count, 100);
    assert_empties(&kv);
}

#[test]
fn room_is_made_for_all_of_a_commit() {
    let set_many = |kv: &Kv, count: u64, len: usize| {
        let mut many = kv.atomic();
        for number in 0..count {
            many.set(("many", number), vec![7; len]);
        }
        committed(many.commit());
    };
    // The keys are there, so all that they want more is the values.
    let kv = cache().pin("many").build();
    set_many(&kv, 20, 10);
    set_pages(&kv, 0..2_000);
    set_many(&kv, 20, 30_000);
    assert!(kv.stats().bytes <= LIMIT);
    assert_empties(&kv);

    let kv = Kv::builder()
        .entry_limit(1_000)
        .on_limit(OnLimit::Evict)
        .background_sweep(false)
        .build();
    for number in 0..2_000_u64 {
        kv.set(("page", number), number).unwrap();
    }
    set_many(&kv, 500, 10);
    assert!(kv.stats().entry_count <= 1_000);
    assert_empties(&kv);
}

#[test]
fn no_more_is_evicted_than_there_is_to_be_room_for() {
    for keys in [1, 4, 16_u64] {
        let kv = Kv::builder()
            .entry_limit(1_000)
            .on_limit(OnLimit::Evict)
            .background_sweep(false)
            .build();
        for round in 0..500_u64 {
            let mut many = kv.atomic();
            for number in 0..keys {
                many.set((round, number), number);
            }
            committed(many.commit());
        }
        // One that wants nothing does not have made what others wanted.
        kv.set((499_u64, 0_u64), 1_u64).unwrap();
        let count = kv.stats().entry_count as u64;
        let expected = 1_000.min(500 * keys);
        assert!(count >= expected - keys - 8, "{count} of {expected}");
        assert_empties(&kv);
    }
}

#[test]
fn what_can_never_fit_is_refused_at_once() {
    let kv = cache().build();
    kv.set("entry", "value").unwrap();
    for limit in [0, 1] {
        kv.set_memory_limit(limit);
        assert!(kv.get("entry").unwrap().is_missing());
        let begin = Instant::now();
        for number in 0..10_u64 {
            let refused = kv.set(number, number).map_err(|error| error.kind());
            assert_eq!(refused, Err(ErrorKind::MemoryLimit));
        }
        // Each that waited took a quarter of a second.
        assert!(begin.elapsed() < Duration::from_secs(2));
    }
    kv.set_memory_limit(LIMIT);
    kv.set("entry", "value").unwrap();
    assert_empties(&kv);
}

/// Panics when it is dropped, if it is to.
struct Panics(bool);

impl AsRef<[u8]> for Panics {
    fn as_ref(&self) -> &[u8] {
        &[7; 2_000]
    }
}

impl Drop for Panics {
    fn drop(&mut self) {
        assert!(!self.0 || std::thread::panicking(), "as it should");
    }
}

#[test]
fn values_that_panic_when_they_are_dropped_keep_nothing_from_being_evicted() {
    // They are dropped by whoever goes on with the epoch, which all tests of a process share.
    alone(
        "evict::values_that_panic_when_they_are_dropped_keep_nothing_from_being_evicted",
        evict_what_panics,
    );
}

fn evict_what_panics() {
    let is_done = |work: &mut dyn FnMut()| panic::catch_unwind(AssertUnwindSafe(work)).is_ok();
    let kv = Kv::builder()
        .entry_limit(64)
        .on_limit(OnLimit::Evict)
        .background_sweep(false)
        .build();
    let mut evictions = kv.evictions(1 << 16).expect("there is memory");
    let mut panics = 0;
    for round in 0..500_u64 {
        panics += usize::from(!is_done(&mut || {
            let mut many = kv.atomic();
            for number in 0..8_u64 {
                many.set((round, number), Bytes::from_owner(Panics(number == 0)));
            }
            drop(many.commit());
        }));
    }
    assert!(panics > 50, "{panics}");
    let mut many = kv.atomic();
    for number in 0..50_u64 {
        many.set(("last", number), number);
    }
    // All that was there before can go. It panics as often as there is something that does.
    for _ in 0..500 {
        let mut outcome = None;
        if is_done(&mut || outcome = Some(many.commit())) {
            committed(outcome.expect("it is done"));
        }
    }
    // Whatever is done can have something freed.
    let mut count = 0;
    let mut look = || count = kv.list("last").count().expect("it can be listed");
    assert!((0..1_000).any(|_| is_done(&mut look)));
    assert!(count >= 48, "{count}");
    drop(many);
    // Each was told of, whatever panicked.
    let mut told = 0;
    while let Some(event) = evictions.try_recv().expect("the database is open") {
        assert!(matches!(event, EvictionEvent::Evicted(_)), "{event:?}");
        told += 1;
    }
    assert_eq!(told, kv.stats().evicted_for_entries_count);
    // What is left of them panics as well.
    let mut kv = Some(kv);
    is_done(&mut || drop(kv.take()));
}

#[test]
fn room_is_made_for_what_is_undelivered() {
    let clock = Arc::new(ManualClock::default());
    let kv = cache()
        .clock(Arc::<ManualClock>::clone(&clock))
        .pin("dead")
        .build();
    let delivery = Delivery::default().backoff([]).keys_if_undelivered([
        ("dead", 1),
        ("dead", 2),
        ("dead", 3),
    ]);
    kv.enqueue(vec![7; 60_000], delivery).unwrap();
    set_pages(&kv, 0..2_000);
    let mut listener = kv.queue("").listen().unwrap();
    drop(listener.try_recv().unwrap().expect("it is due"));
    // What makes room is not waited for: it is tried again, until those go on that are pinned elsewhere.
    wait_until(|| {
        clock.advance(Duration::from_secs(60));
        kv.sweep();
        kv.stats().message_count == 0
    });
    for number in 1..=3 {
        let dead = kv.get(("dead", number)).unwrap();
        let payload = dead.as_bytes().unwrap();
        assert!(payload.len() == 60_000 && payload.iter().all(|byte| *byte == 7));
    }
    assert!(kv.stats().bytes <= LIMIT);
}

#[test]
fn a_lower_limit_keeps_what_fits() {
    // Most of what these take is not their own.
    let kv = cache().build();
    for number in 0..10_000_u64 {
        kv.set(number, "x").unwrap();
    }
    let before = kv.stats();
    kv.set_memory_limit(LIMIT / 2);
    let stats = kv.stats();
    assert!(stats.bytes <= LIMIT / 2, "{stats:?}");
    let bytes = (before.bytes, stats.bytes);
    assert!(
        stats.bytes > LIMIT / 4 && stats.entry_count > 500,
        "{bytes:?}"
    );
}

#[test]
fn a_lower_limit_evicts_what_is_beyond() {
    let kv = cache().build();
    set_pages(&kv, 0..2_000);
    kv.set_memory_limit(LIMIT / 4);
    let stats = kv.stats();
    assert!(
        stats.bytes <= LIMIT / 4 && stats.entry_count > 100,
        "{stats:?}"
    );
    kv.set_memory_limit(LIMIT);
    set_pages(&kv, 2_000..4_000);
    assert!(kv.stats().entry_count > 300);
    assert_empties(&kv);
}

#[test]
fn what_a_snapshot_holds_does_not_have_the_rest_evicted_for_nothing() {
    let kv = cache().build();
    set_pages(&kv, 0..2_000);
    let snapshot = kv.snapshot();
    let count = snapshot.list("page").count().unwrap();
    let mut refused = 0;
    for number in 2_000..6_000_u64 {
        refused += usize::from(kv.set(("page", number), vec![7; 1_000]).is_err());
        assert!(kv.stats().bytes <= LIMIT);
    }
    assert!(refused > 100, "{refused}");
    assert_eq!(snapshot.list("page").count().unwrap(), count);
    assert!(kv.stats().entry_count > count / 4, "{:?}", kv.stats());
    drop(snapshot);
    set_pages(&kv, 6_000..9_000);
    assert_empties(&kv);
}

#[test]
fn what_expires_or_is_deleted_makes_room_too() {
    let kv = cache().build();
    let mut random = StdRng::seed_from_u64(6);
    for round in 0..20_000_u64 {
        let key = ("page", random.random_range(0..3_000_u64));
        let value = vec![7; 16 << random.random_range(0..8)];
        match random.random_range(0..4) {
            0 => drop(kv.delete(key).unwrap()),
            1 => {
                let value = NewValue::from(value).expire_in(Duration::from_millis(round % 50));
                kv.set(key, value).unwrap();
            }
            _ => drop(kv.set(key, value).unwrap()),
        }
    }
    assert!(kv.stats().bytes <= LIMIT);
    assert_empties(&kv);
}

#[test]
fn every_commit_finds_room_whatever_the_threads_do() {
    const THREADS: usize = 4;
    let kv = Kv::builder()
        .memory_limit(4 * LIMIT)
        .on_limit(OnLimit::Evict)
        .build();
    race(THREADS, |thread| {
        let mut random = StdRng::seed_from_u64(thread as u64);
        for step in 0..5_000 {
            let key = random.random_range(0..20_000);
            let len = 16 << random.random_range(0..9);
            match random.random_range(0..20) {
                0 => drop(kv.delete(key).unwrap()),
                1 => drop(kv.snapshot().list(()).limit(10).count().unwrap()),
                2 => drop(kv.get(key).unwrap()),
                _ => drop(kv.set(key, vec![7; len]).unwrap()),
            }
            if step % 64 == 0 {
                let stats = kv.stats();
                assert!(stats.bytes <= 4 * LIMIT, "{stats:?}");
            }
        }
    });
    assert!(kv.stats().evicted_for_memory_count > 1_000);
    assert_empties(&kv);
}

#[test]
fn every_eviction_is_told_with_its_reason_as_long_as_there_is_room() {
    let kv = cache().build();
    assert_refused(kv.evictions(0), ErrorKind::InvalidLimit, "");
    let (mut all, mut few) = (kv.evictions(10_000).unwrap(), kv.evictions(10).unwrap());
    set_pages(&kv, 0..3_000);
    let evicted = kv.stats().evicted_for_memory_count;
    let mut last = None;
    for _ in 0..evicted {
        let Some(EvictionEvent::Evicted(eviction)) = all.try_recv().unwrap() else {
            panic!("there is room for all");
        };
        assert!(kv.get(&eviction.key).unwrap().is_missing());
        assert_eq!(eviction.reason, EvictionReason::Memory);
        assert!(last < Some(eviction.versionstamp));
        last = Some(eviction.versionstamp);
    }
    assert_eq!(all.try_recv().unwrap(), None);
    let lagged = EvictionEvent::Lagged(evicted - 10);
    assert_eq!(few.try_recv().unwrap(), Some(lagged));
    let told = (0..10).filter_map(|_| few.try_recv().unwrap());
    assert!(told.last().is_some_and(|event| {
        matches!(event, EvictionEvent::Evicted(eviction) if Some(eviction.versionstamp) == last)
    }));
    // Whoever waits is woken.
    std::thread::scope(|scope| {
        scope.spawn(|| set_pages(&kv, 10_000..10_500));
        assert!(few.recv().is_ok());
    });
}

#[test]
fn closing_ends_the_evictions() {
    let kv = cache().build();
    let mut evictions = kv.evictions(10).unwrap();
    set_pages(&kv, 0..1_500);
    kv.close();
    assert!((0..11).all(|_| evictions.try_recv().unwrap().is_some()));
    assert_refused(evictions.recv(), ErrorKind::Closed, "");
    let kv = cache().build();
    let mut evictions = kv.evictions(10).unwrap();
    drop(kv);
    assert_refused(evictions.recv(), ErrorKind::Closed, "");
}

/// So many entries have sixteen policies.
const MANY: usize = 1 << 16;

/// Some that are used all the time, of all policies.
const HOT: usize = 1_000;

/// More than there are new entries in the small queues, but for chance.
const NEW: usize = MANY / 16;

#[test]
fn all_policies_evict_and_nothing_else_goes() {
    let kv = Kv::builder()
        .entry_limit(MANY)
        .on_limit(OnLimit::Evict)
        .background_sweep(false)
        .build();
    let come = MANY + MANY / 4;
    let mut evictions = kv.evictions(come).unwrap();
    let mut misses = 0;
    for number in 0..come {
        kv.set(number as u64, "").unwrap();
        let hot = (number % HOT) as u64;
        if kv.with_entry(hot, |entry| entry.is_none()).unwrap() {
            misses += 1;
            kv.set(hot, "").unwrap();
        }
    }
    // A hand that has passed sixteen on takes the next, used or not, and that is all that goes of them.
    assert!(misses < HOT / 8, "{misses}");
    let stats = kv.stats();
    assert!(stats.entry_count <= MANY, "{stats:?}");
    let mut is_gone = vec![false; come];
    let mut count = 0;
    while let Some(EvictionEvent::Evicted(eviction)) = evictions.try_recv().unwrap() {
        let parts = eviction.key.parts().unwrap();
        let [KeyPart::BigInt(number)] = &parts[..] else {
            panic!("{parts:?}");
        };
        let number = number
            .to_u64()
            .and_then(|number| usize::try_from(number).ok());
        is_gone[number.unwrap()] = true;
        count += 1;
    }
    // Nothing has gone that was not evicted.
    assert_eq!(count, stats.evicted_for_entries_count);
    assert_eq!(count + stats.entry_count as u64, (come + misses) as u64);
    for (number, is_gone) in (0_u64..).zip(&is_gone).skip(HOT) {
        let is_missing = kv.get(number).unwrap().is_missing();
        assert_eq!(is_missing, *is_gone, "{number}");
    }
    // Had one policy let nothing go, one in sixteen of these would be there.
    let late = &is_gone[MANY..come - NEW];
    let kept = late.iter().filter(|is_gone| !**is_gone).count();
    assert!(kept < late.len() / 32, "{kept} of {}", late.len());
    assert_empties(&kv);
}
