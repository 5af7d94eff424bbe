//! Operations whose memory the allocator refuses, each large allocation of theirs in turn. Small
//! ones are refused in the simulations.

use crate::support::allocations::{live_bytes, refuse_one, was_refused};
use crate::support::alone::alone;
use crate::support::threads::wait_until;
use crate::support::{assert_refused, everything, unread};
use kvick::{
    ChangeEvent, ChangesFrom, ErrorKind, ImportExpiry, ImportOptions, Key, Kv, Limits, NewValue,
    Range, Stats, Sum, Update, Value,
};
use std::time::Duration;

/// What counts as large. What the skiplist and the epoch allocate is smaller, and may not be
/// refused: theirs is an interface without errors.
const LARGE: usize = 4_096;

/// As many as an operation may have.
const MUTATIONS: u64 = 1_000;

/// Enough for large tables and queues.
const KEYS: u64 = 20_000;

/// As many allocations as no operation makes.
const PLACES_MAX: usize = 100;

fn unswept() -> Kv {
    Kv::builder()
        .background_sweep(false)
        .writer_threads(1)
        .build()
}

fn filled(entries: u64) -> Kv {
    let kv = unswept();
    for number in 0..entries {
        kv.set(("old", number), number).expect("a key can be set");
    }
    kv
}

/// That what was wanted was refused, and is named.
#[track_caller]
fn assert_out_of_memory(done: kvick::Result<()>) {
    let error = done.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::OutOfMemory);
    let text = error.to_string();
    let bytes = text.split(' ').find_map(|word| word.parse::<usize>().ok());
    // What a queue or a table grows to may be twice what it has to hold.
    let is_large = bytes.is_some_and(|bytes| bytes >= LARGE / 4);
    assert!(is_large, "{text}");
}

/// The numbers, but for what room there is for more: a refusal may come after some was made.
fn without_room(mut stats: Stats) -> Stats {
    (stats.bytes, stats.entry_bytes, stats.index_bytes) = (0, 0, 0);
    unread(stats)
}

/// That everything can be deleted, and nothing is left of it.
fn assert_empties(kv: &Kv) {
    kv.delete_range(Range::all()).expect("it deletes");
    wait_until(|| {
        kv.sweep();
        kv.stats().version_count == 0
    });
    wait_until(|| {
        kv.sweep();
        kv.stats().bytes == 0
    });
}

/// Runs an operation with each of its large allocations refused, one after the other, on databases
/// that are alike, and each time once more with none refused. How many large allocations it makes.
#[track_caller]
fn refuse_each(make: impl Fn() -> Kv, operate: impl Fn(&Kv, usize) -> kvick::Result<()>) -> usize {
    let mut after = None;
    for granted in 0..PLACES_MAX {
        let kv = make();
        let before = (everything(&kv), without_room(kv.stats()));
        let done = operate(&kv, granted);
        let is_refused = was_refused();
        if is_refused {
            assert_out_of_memory(done);
            assert_eq!((everything(&kv), without_room(kv.stats())), before);
            operate(&kv, PLACES_MAX).expect("there is memory again");
            assert!(!was_refused());
        } else {
            done.expect("nothing was refused");
        }
        let stats = kv.stats();
        let now = (everything(&kv), stats.version_count, stats.garbage_bytes);
        assert_ne!(now.0, before.0);
        assert_eq!(*after.get_or_insert_with(|| now.clone()), now);
        assert_empties(&kv);
        if !is_refused {
            return granted;
        }
    }
    panic!("it allocates without end")
}

#[test]
fn an_operation_that_is_refused_memory_changes_nothing() {
    let sets = |kv: &Kv, granted| {
        let mut operation = kv.atomic();
        for number in 0..MUTATIONS {
            operation.set(("old", number * 3), number);
        }
        refuse_one(LARGE, granted);
        operation.commit().map(drop)
    };
    assert!(refuse_each(|| filled(MUTATIONS), sets) >= 5);
    let sums = |kv: &Kv, granted| {
        let mut operation = kv.atomic();
        for number in 0..MUTATIONS {
            operation.sum(("old", number), 1);
        }
        refuse_one(LARGE, granted);
        operation.commit().map(drop)
    };
    assert!(refuse_each(|| filled(MUTATIONS), sums) >= 5);
    let delete_range = |kv: &Kv, granted| {
        refuse_one(LARGE, granted);
        kv.delete_range(Range::all()).map(drop)
    };
    assert!(refuse_each(|| filled(2 * MUTATIONS), delete_range) >= 5);
}

#[test]
fn a_conflict_that_cannot_be_told_for_want_of_memory_is_an_error() {
    let kv = filled(MUTATIONS);
    let mut operation = kv.atomic();
    for number in 0..100_u64 {
        operation.check_absent(("old", number));
    }
    operation.set("new", 1_u64);
    // A hundred checks that fail.
    refuse_one(512, 0);
    let refused = operation.commit().map(drop);
    assert!(was_refused());
    assert_refused(refused, ErrorKind::OutOfMemory, "out of memory: ");
    assert!(kv.get("new").unwrap().is_missing());
}

#[test]
fn an_update_that_is_refused_memory_changes_nothing() {
    let keys: Vec<_> = (0..MUTATIONS)
        .map(|number| Key::from(("old", number)))
        .collect();
    let update = |kv: &Kv, granted| {
        let updated = kv.update_many(&keys, |entries| {
            let changes: Vec<_> = entries.iter().map(|_| Update::set(7_u64)).collect();
            refuse_one(LARGE, granted);
            changes
        });
        updated.map(|updated| assert!(updated.is_committed()))
    };
    assert!(refuse_each(|| filled(MUTATIONS), update) >= 5);
}

#[test]
fn a_value_for_which_there_is_no_memory_is_refused() {
    let value = vec![b'v'; 60_000];
    let set = |kv: &Kv, granted| {
        refuse_one(LARGE, granted);
        kv.set("key", &value[..]).map(drop)
    };
    assert_eq!(refuse_each(unswept, set), 1);
}

#[test]
fn a_sum_of_bigints_for_which_there_is_no_memory_is_refused() {
    let bigint = [&b"\xff\x0fZ\x80\xc0\x07"[..], &vec![1; 61_440]].concat();
    let make = || {
        let kv = unswept();
        kv.set("key", NewValue::v8(&bigint)).expect("a value");
        kv
    };
    let sum = |kv: &Kv, granted| {
        let mut operation = kv.atomic();
        operation.sum_with("key", Sum::bigint(1));
        refuse_one(LARGE, granted);
        operation.commit().map(drop)
    };
    // The digits of the sum, the value that they become, and the version that holds it.
    assert_eq!(refuse_each(make, sum), 3);
}

#[test]
fn a_transaction_that_is_refused_memory_changes_nothing() {
    let transact = |kv: &Kv, granted| {
        let done = kv.transact(|tx| {
            for number in 0..10 {
                tx.get(("old", number))?;
            }
            tx.list(("new",)).entries()?;
            for number in 0..MUTATIONS {
                tx.set(("new", number), number);
            }
            refuse_one(LARGE, granted);
            Ok(())
        });
        done.map(|done| assert!(done.is_committed()))
    };
    assert!(refuse_each(|| filled(10), transact) >= 5);
}

#[test]
fn an_insertion_that_is_refused_memory_for_a_leaf_changes_nothing() {
    // What the keys of a leaf have in common is kept with it, and what tells it from the one before.
    let key = |number: u64| {
        let mut key = vec![b'k'; 2 * LARGE];
        key.extend(number.to_be_bytes());
        Key::raw(key)
    };
    let full = || {
        let kv = Kv::builder()
            .background_sweep(false)
            .writer_threads(1)
            .limits(Limits::unlimited())
            .build();
        // The leaf has no room for another.
        for number in 0..60 {
            kv.set(key(2 * number), number).expect("a key can be set");
        }
        kv
    };
    let mut between = 0;
    for number in [10, 110] {
        let key = key(number + 1);
        let set = |kv: &Kv, granted| {
            refuse_one(LARGE, granted);
            kv.set(&key, number).map(drop)
        };
        between += refuse_each(full, set);
    }
    // The key, and each time two arrays and a leaf.
    assert_eq!(between, 2 * 4);
}

/// Sets many keys, and what is refused once more; how many were.
fn set_each(kv: &Kv, value: u64) -> usize {
    let mut refused = 0;
    for number in 0..KEYS {
        let now = || {
            (
                without_room(kv.stats()),
                kv.get(number).expect("a key can be read"),
            )
        };
        let before = now();
        refuse_one(LARGE, 0);
        let mut set = kv.set(number, value);
        // A shortcut through the index that is refused memory is not built, and that is all.
        if was_refused() && set.is_err() {
            assert_out_of_memory(set.map(drop));
            assert_eq!(now(), before);
            set = kv.set(number, value);
            refused += 1;
        }
        set.expect("there is memory");
        let entry = kv.get(number).expect("a key can be read");
        assert_eq!(entry.value(), Some(&Value::U64(value)));
    }
    assert_eq!(kv.stats().entry_count as u64, KEYS);
    for list in [kv.list(Range::all()), kv.list(Range::all()).reverse()] {
        assert_eq!(list.count().expect("keys can be listed") as u64, KEYS);
    }
    refused
}

#[test]
fn an_engine_that_is_refused_memory_to_grow_goes_on_when_there_is_some() {
    let kv = unswept();
    // The tables of all sixteen stripes grow.
    assert!(set_each(&kv, 1) >= 16);
    // As long as somebody looks, nothing that is superseded can be freed, and the queues grow.
    let refused = kv.with_entry(0_u64, |entry| {
        let refused = set_each(&kv, 2);
        assert_eq!(entry.expect("it was set").as_u64(), Some(1));
        refused
    });
    assert!(refused.unwrap() >= 16);
    assert_empties(&kv);
}

#[test]
fn deletions_that_are_refused_do_not_add_up() {
    // Each had room made for what it was going to leave, and gives it back.
    let test = "refusals::deletions_that_are_refused_do_not_add_up";
    alone(test, || {
        let kv = filled(2 * MUTATIONS);
        let refused = || {
            // Not that room, but the list of what is deleted.
            refuse_one(4 * LARGE, 0);
            let deleted = kv.delete_range(Range::all());
            assert!(was_refused() && deleted.is_err());
        };
        let before = live_bytes();
        (0..20).for_each(|_| refused());
        let more = live_bytes() - before;
        assert!(more < 64 * 1_024, "{more} bytes more");
    });
}

#[test]
fn a_change_for_which_there_is_no_memory_is_not_lost_in_silence() {
    // W05
    let mut lagged = 0;
    for granted in 0..100 {
        let kv = Kv::builder()
            .background_sweep(false)
            .limits(Limits::unlimited())
            .build();
        let mut changes = kv.changes(ChangesFrom::Now).unwrap().into_iter();
        let key = Key::raw([b'k'; 4 * LARGE]);
        refuse_one(LARGE, granted);
        let set = kv.set(&key, 1_u64);
        let is_refused = was_refused();
        match set {
            Ok(versionstamp) => match changes.try_recv().ok().flatten().expect("it is told") {
                ChangeEvent::Lagged(at) => {
                    assert_eq!(at, versionstamp);
                    lagged += 1;
                }
                ChangeEvent::Commit(commit) => {
                    assert_eq!(commit.versionstamp(), versionstamp);
                    assert_eq!(commit.changes().next().map(|(key, _)| key), Some(&key));
                }
            },
            Err(refused) => assert_out_of_memory(Err(refused)),
        }
        assert_eq!(changes.try_recv().unwrap(), None);
        let next = kv.set("next", 1_u64).unwrap();
        let told = changes.try_recv().unwrap();
        assert!(matches!(told, Some(ChangeEvent::Commit(commit)) if commit.versionstamp() == next));
        if !is_refused {
            assert_eq!(lagged, 1);
            return;
        }
    }
    panic!("it allocates without end");
}

#[test]
fn a_watch_for_which_there_is_no_memory_leaves_nothing() {
    let test = "refusals::a_watch_for_which_there_is_no_memory_leaves_nothing";
    alone(test, || {
        let kv = Kv::builder()
            .background_sweep(false)
            .limits(Limits::unlimited())
            .writer_threads(1)
            .build();
        let keys: Vec<_> = (0..10_000).map(Key::from).collect();
        let mut refused = 0;
        let mut watch = |granted| {
            let given = keys.clone();
            refuse_one(LARGE, granted);
            let watch = kv.watch(given);
            let is_refused = was_refused();
            assert_eq!(is_refused, watch.is_err());
            refused += usize::from(is_refused);
            is_refused
        };
        let before = live_bytes();
        assert!((0..PLACES_MAX).any(|granted| !watch(granted)));
        let more = live_bytes() - before;
        // The list of what is watched, and the tables of the stripes.
        assert!(refused >= 17, "{refused}");
        assert!(more < 1_024, "{more} bytes more");
    });
}

#[test]
fn an_import_that_is_refused_memory_changes_nothing() {
    let mut copy = Vec::new();
    let source = unswept();
    for number in 0..3 * MUTATIONS {
        let minute = Duration::from_secs(60 * 60);
        let value = NewValue::from(number).expire_in(minute);
        source
            .set(("new", number), value)
            .expect("a key can be set");
    }
    let large = vec![b'v'; 60_000];
    source.set(("old", 7_u64), large).expect("a key can be set");
    source.export(&mut copy).expect("a vector takes it");
    // The time left would differ from one to the next.
    let import = |kv: &Kv, granted, options: &ImportOptions| {
        refuse_one(LARGE, granted);
        kv.import(&copy[..], options).map(drop)
    };
    let dropped = ImportOptions::default().expiry(ImportExpiry::Dropped);
    let overwrite = dropped.clone().overwrite();
    let overwrites = |kv: &Kv, granted| import(kv, granted, &overwrite);
    assert!(refuse_each(|| filled(MUTATIONS), overwrites) >= 10);
    let kept = dropped.keep_versionstamps();
    let keeps = |kv: &Kv, granted| import(kv, granted, &kept);
    assert!(refuse_each(unswept, keeps) >= 10);
}

#[test]
fn an_export_that_is_refused_memory_is_an_error() {
    let kv = filled(MUTATIONS);
    refuse_one(LARGE, 0);
    let refused = kv.export(std::io::sink());
    assert!(was_refused());
    assert_refused(refused, ErrorKind::OutOfMemory, "out of memory: ");
    assert_eq!(kv.stats().open_snapshot_count, 0);
}
