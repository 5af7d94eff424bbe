//! The memory limit: what counts, what is refused, and what comes back.

use crate::support::allocations::live_bytes;
use crate::support::alone::alone;
use crate::support::threads::race;
use crate::support::{assert_empties, everything};
use kvick::{ChangesFrom, Delivery, ErrorKind, Key, Kv, NewValue, Outcome, Range};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::fmt::Debug;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const LIMIT: usize = 1 << 20;

fn limited(bytes: usize) -> Kv {
    Kv::builder()
        .memory_limit(bytes)
        .background_sweep(false)
        .writer_threads(1)
        .build()
}

/// Sets keys until one is refused; how many were set.
#[track_caller]
fn fill(kv: &Kv, name: &str, value: &[u8]) -> u64 {
    for number in 0..1_000_000 {
        if let Err(refused) = kv.set((name, number), value) {
            assert_eq!(refused.kind(), ErrorKind::MemoryLimit);
            return number;
        }
    }
    panic!("nothing was refused");
}

#[track_caller]
fn assert_refused<T: Debug>(result: kvick::Result<T>) {
    crate::support::assert_refused(result, ErrorKind::MemoryLimit, "memory limit reached (max ");
}

#[test]
fn what_is_beyond_the_limit_is_refused_and_changes_nothing() {
    let kv = limited(LIMIT);
    let count = fill(&kv, "page", &[7; 1_000]);
    let stats = kv.stats();
    assert_eq!(stats.memory_limit, Some(LIMIT));
    assert!(stats.bytes <= LIMIT, "{stats:?}");
    // All but the part that is kept for deletions is used, and most of it for values.
    assert!(stats.bytes > LIMIT / 64 * 62, "{stats:?}");
    assert!(count > 800, "{count}");

    let before = (everything(&kv), kv.versionstamp());
    let refused = kv.set(("page", count), vec![7; 2_000]).unwrap_err();
    let text = refused.to_string();
    assert!(
        text.starts_with("memory limit reached (max 1048576 bytes): "),
        "{text}"
    );
    let mut operation = kv.atomic();
    for number in 0..10 {
        operation
            .set(("new", number), vec![7; 3_000])
            .sum("count", 1);
    }
    assert_refused(operation.commit());
    let refused = kv.transact(|tx| {
        tx.list("page").count()?;
        tx.set("new", vec![7; 20_000]);
        Ok(())
    });
    assert_refused(refused);
    let update = kv.set_versionstamped("new", vec![7; 20_000]);
    assert_refused(update);
    assert_eq!((everything(&kv), kv.versionstamp()), before);

    // Reads work, and so does what only deletes.
    assert_eq!(kv.list("page").count().unwrap() as u64, count);
    for number in 0..4_u64 {
        kv.delete(("page", number)).unwrap();
    }
    kv.set(("page", 0_u64), vec![8; 1_000]).unwrap();
    assert_eq!(kv.delete_prefix("page").unwrap().count as u64, count - 3);
    assert!(fill(&kv, "page", &[7; 1_000]).abs_diff(count) < 10);
    assert_empties(&kv);
}

#[test]
fn what_is_overwritten_at_the_limit_makes_room_for_what_overwrites_it() {
    let kv = limited(LIMIT);
    let count = fill(&kv, "page", &[7; 1_000]);
    for round in 0..20 {
        for number in 0..count {
            kv.set(("page", number), vec![round; 1_000]).unwrap();
            assert!(round > 0 || kv.stats().bytes <= LIMIT);
        }
    }
    assert_eq!(kv.stats().entry_count as u64, count);
    assert_empties(&kv);
}

#[test]
fn what_a_snapshot_keeps_counts_until_it_is_closed() {
    let kv = limited(LIMIT);
    for number in 0..500 {
        kv.set(number, vec![1; 1_000]).unwrap();
    }
    let snapshot = kv.snapshot();
    let overwrite = |to| (0..500).position(|number| kv.set(number, vec![to; 1_000]).is_err());
    let refused = overwrite(2).expect("there is no room for both");
    assert!((300..500).contains(&refused), "{refused}");
    let stats = kv.stats();
    assert!(
        stats.bytes <= LIMIT && stats.garbage_bytes > 300_000,
        "{stats:?}"
    );
    assert_eq!(snapshot.list(()).count().unwrap(), 500);
    drop(snapshot);
    assert_eq!(overwrite(3), None);
    assert_empties(&kv);
}

#[test]
fn a_limit_can_be_changed_while_it_is_used() {
    let kv = limited(LIMIT);
    let count = fill(&kv, "page", &[7; 1_000]);
    kv.set_memory_limit(2 * LIMIT);
    assert!(fill(&kv, "more", &[7; 1_000]) > count / 2);
    assert!(kv.stats().bytes <= 2 * LIMIT);
    // What is beyond the new limit stays.
    kv.set_memory_limit(LIMIT);
    assert_eq!(kv.stats().memory_limit, Some(LIMIT));
    assert_refused(kv.set("key", vec![7; 10_000]));
    assert_eq!(kv.list("page").count().unwrap() as u64, count);
    kv.delete_prefix("more").unwrap();
    kv.delete_range(Range::new(("page", 0_u64), ("page", 100_u64)))
        .unwrap();
    kv.set("key", 1_u64).unwrap();
    kv.set_memory_limit(None);
    assert_eq!(kv.stats().memory_limit, None);
    for number in 0..3_000 {
        kv.set(("all", number), vec![7; 1_000]).unwrap();
    }
    assert!(kv.stats().bytes > 3 * LIMIT);
    kv.set_memory_limit(LIMIT);
    assert_refused(kv.set("key", vec![7; 1_000]));
    assert_empties(&kv);
    kv.set("key", vec![7; 1_000]).unwrap();
}

#[test]
fn messages_count_until_they_are_done_with() {
    let kv = limited(LIMIT);
    let payload = [7; 1_000];
    let sent = (0..2_000).take_while(|_| kv.enqueue(&payload[..], Delivery::default()).is_ok());
    let sent = sent.count();
    assert!((800..1_000).contains(&sent), "{sent}");
    let stats = kv.stats();
    assert_eq!((stats.message_count, stats.entry_bytes), (sent, 0));
    assert!(
        (LIMIT / 64 * 60..=LIMIT).contains(&stats.message_bytes),
        "{stats:?}"
    );
    assert_refused(kv.set("key", vec![7; 30_000]));
    let refused = kv
        .atomic()
        .set("key", 1_u64)
        .enqueue(&payload[..], Delivery::default())
        .commit();
    assert_refused(refused);
    assert!(kv.get("key").unwrap().is_missing());

    let mut listener = kv.queue("").listen().unwrap();
    for _ in 0..sent {
        listener
            .try_recv()
            .unwrap()
            .expect("it was sent")
            .finish()
            .unwrap();
    }
    kv.set("key", vec![7; 30_000]).unwrap();
    assert_eq!(kv.stats().message_bytes, 0);
    assert_empties(&kv);
}

#[test]
fn changes_that_are_kept_count_and_are_given_up_first() {
    let kv = limited(LIMIT);
    let mut changes = kv.changes(ChangesFrom::Now).unwrap();
    kv.set("key", 1_u64).unwrap();
    assert!(changes.try_recv().unwrap().is_some());
    assert!(kv.stats().change_bytes > 0);
    let count = fill(&kv, "page", &[7; 1_000]);
    // No commit is refused for what others want to know of it.
    for number in 0..count {
        kv.set(("page", number), vec![8; 1_000]).unwrap();
    }
    assert!(kv.stats().bytes <= LIMIT);
    drop(changes);
    assert_eq!(kv.stats().change_bytes, 0);
    assert_empties(&kv);
}

#[test]
fn what_counts_is_what_is_allocated() {
    alone("memory::what_counts_is_what_is_allocated", || {
        let kv = Kv::builder().background_sweep(false).build();
        let empty = live_bytes();
        let mut random = StdRng::seed_from_u64(11);
        for number in 0..20_000_u64 {
            let key = if number % 2 == 0 {
                Key::from(("even", number))
            } else {
                Key::from(("odd", vec![b'k'; random.random_range(0..200)], number))
            };
            let value = vec![b'v'; random.random_range(0..3_000)];
            let value = NewValue::from(&value[..]);
            if number % 10 == 0 {
                kv.set(key, value.expire_in(Duration::from_secs(3_600)))
                    .unwrap();
            } else {
                kv.set(key, value).unwrap();
            }
        }
        let snapshot = kv.snapshot();
        for number in (0..10_000_u64).map(|number| 2 * number) {
            kv.set(("even", number), "new").unwrap();
        }
        kv.sweep();
        let [counted, allocated] = [
            kv.stats().bytes,
            usize::try_from(live_bytes() - empty).unwrap(),
        ];
        // An allocator needs more than it is asked for.
        let percent = counted * 100 / allocated;
        assert!((100..106).contains(&percent), "{counted} of {allocated}");
        drop(snapshot);
        assert_empties(&kv);
    });
}

#[test]
fn a_commit_is_refused_whole_or_not_at_all() {
    let kv = limited(LIMIT);
    let mut random = StdRng::seed_from_u64(12);
    let (mut refused, mut done) = (0, 0);
    for round in 0_u64..4_000 {
        let count = random.random_range(1..6);
        let keys: Vec<_> = (0..count)
            .map(|_| random.random_range(0..400_u64))
            .collect();
        let mut operation = kv.atomic();
        for key in &keys {
            let value = [
                &round.to_le_bytes()[..],
                &vec![0; random.random_range(0..6_000)],
            ]
            .concat();
            operation.set(("key", *key), value);
        }
        let before: Vec<_> = keys
            .iter()
            .map(|key| kv.get(("key", *key)).unwrap())
            .collect();
        match operation.commit() {
            Ok(outcome) => {
                let Outcome::Committed { versionstamp, .. } = outcome else {
                    panic!("it has no checks")
                };
                for key in &keys {
                    let entry = kv.get(("key", *key)).unwrap();
                    assert_eq!(entry.versionstamp(), Some(versionstamp));
                }
                done += 1;
            }
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::MemoryLimit);
                for (key, before) in keys.iter().zip(before) {
                    assert_eq!(kv.get(("key", *key)).unwrap(), before);
                }
                refused += 1;
                kv.delete(("key", random.random_range(0..400_u64))).unwrap();
            }
        }
        assert!(kv.stats().bytes <= LIMIT);
    }
    assert!(refused > 100 && done > 1_000, "{refused} {done}");
    assert_empties(&kv);
}

#[test]
fn the_limit_holds_whatever_the_threads_do() {
    const THREADS: usize = 4;
    let kv = Kv::builder().memory_limit(2 * LIMIT).build();
    let (refused, running) = (AtomicUsize::new(0), AtomicUsize::new(THREADS));
    race(THREADS + 1, |thread| {
        if thread == THREADS {
            while running.load(Ordering::SeqCst) > 0 {
                let stats = kv.stats();
                assert!(stats.bytes <= 2 * LIMIT, "{stats:?}");
            }
            return;
        }
        let mut random = StdRng::seed_from_u64(thread as u64);
        for _ in 0..3_000 {
            let key = random.random_range(0..3_000);
            let len = 16 << random.random_range(0..9);
            match random.random_range(0..10) {
                0 => drop(kv.delete(key).unwrap()),
                1 => drop(kv.snapshot().list(()).limit(10).count().unwrap()),
                _ => {
                    if let Err(error) = kv.set(key, vec![7; len]) {
                        assert_eq!(error.kind(), ErrorKind::MemoryLimit);
                        refused.fetch_add(1, Ordering::SeqCst);
                        for _ in 0..10 {
                            kv.delete(random.random_range(0..3_000)).unwrap();
                        }
                    }
                }
            }
        }
        running.fetch_sub(1, Ordering::SeqCst);
    });
    assert!(refused.load(Ordering::SeqCst) > 0);
    assert_empties(&kv);
}
