//! Commits that depend on what was read, and commits of several keys.
//!
//! `kvick` is the engine, `btreemap` a `RwLock<BTreeMap>` that is locked anew for each read and each
//! commit, `pin`, `fetch_add` and `load` are yardsticks.

mod support;

use criterion::{Criterion, Throughput};
use kvick::{AtomicOp, Key, Kv, Update, Versionstamp};
use support::yardstick::{Running, criterion, group};
use support::{Entries, Map, Random, SIZES, Stores, VALUE, compare, put, put_locked, value};

fn main() {
    let mut c = criterion();
    for size in SIZES {
        let stores = Stores::new(size);
        read_check_set(&mut c, &stores);
        transfer(&mut c, &stores);
        sum(&mut c, &stores);
        ten_keys(&mut c, &stores);
        update(&mut c, &stores);
        transact(&mut c, &stores);
    }
    c.final_summary();
}

/// Commits, and fails where the operation is refused or conflicts.
fn commit(atomic: &AtomicOp<'_>) -> Versionstamp {
    let outcome = atomic.commit().expect("the engine takes the operation");
    outcome.versionstamp().expect("nobody else commits")
}

/// The version of a key, read without a copy.
fn version(kv: &Kv, key: &Key) -> Versionstamp {
    kv.with_entry(key, |entry| entry.map(kvick::EntryRef::versionstamp))
        .expect("the engine is open")
        .expect("every key is set")
}

fn version_in(map: &Map, key: &Key) -> u64 {
    map.read().get(key).map_or(0, |(version, _)| *version)
}

/// Sets keys of the baseline if they are of these versions.
fn put_checked<const N: usize>(map: &Map, expected: [(&Key, u64); N]) -> bool {
    let values = [(); N].map(|()| value());
    put_checked_locked(&mut map.write(), expected, values)
}

fn put_checked_locked<const N: usize>(
    entries: &mut Entries,
    expected: [(&Key, u64); N],
    values: [Box<[u8]>; N],
) -> bool {
    let holds = |(key, version): &(&Key, u64)| entries.get(*key).is_some_and(|it| it.0 == *version);
    if !expected.iter().all(holds) {
        return false;
    }
    for ((key, _), value) in expected.into_iter().zip(values) {
        put_locked(entries, key, value);
    }
    true
}

/// Reads the version of a key and sets the key if it is still of that version.
fn read_check_set(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("read_check_set", 1),
        |random: &mut Random| random.key(stores.size),
        |kv, key| {
            let read = version(kv, key);
            commit(kv.atomic().check_versionstamp(key, read).set(key, &VALUE))
        },
        |map, key| {
            let read = version_in(map, key);
            put_checked(map, [(key, read)])
        },
    );
}

/// Reads the versions of two keys and sets both if both are still of those versions.
fn transfer(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("transfer", 1),
        |random: &mut Random| [(); 2].map(|()| random.key(stores.size)),
        |kv, [from, to]| {
            let (from_read, to_read) = (version(kv, from), version(kv, to));
            commit(
                kv.atomic()
                    .check_versionstamp(from, from_read)
                    .check_versionstamp(to, to_read)
                    .set(from, &VALUE)
                    .set(to, &VALUE),
            )
        },
        |map, [from, to]| {
            let (from_read, to_read) = (version_in(map, from), version_in(map, to));
            put_checked(map, [(from, from_read), (to, to_read)])
        },
    );
}

/// Adds to the same key again and again.
fn sum(c: &mut Criterion<Running>, stores: &Stores) {
    let mut group = group(c, "sum", stores.size);
    group.throughput(Throughput::Elements(1));
    group.bench_function(stores.id("kvick"), |b| {
        let (kv, key) = (&*stores.kv, Key::from("counter"));
        b.iter(|| commit(kv.atomic().sum(&key, 1)));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let (map, key) = (&*stores.map, Key::from("counter"));
        put(map, &key);
        b.iter(|| map.write().get_mut(&key).map(|(number, _)| *number += 1));
    });
}

fn put_all<const N: usize>(map: &Map, keys: &[Key; N]) {
    let values = [(); N].map(|()| value());
    let mut entries = map.write();
    for (key, value) in keys.iter().zip(values) {
        put_locked(&mut entries, key, value);
    }
}

/// Sets ten keys at once.
fn ten_keys(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("commit_of_10", 10),
        |random: &mut Random| [(); 10].map(|()| random.key(stores.size)),
        |kv, keys| {
            let mut atomic = kv.atomic();
            for key in keys {
                atomic.set(key, &VALUE);
            }
            commit(&atomic)
        },
        put_all,
    );
}

/// Reads a key and sets it by a closure that is called again where the key has changed.
fn update(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("update", 1),
        |random: &mut Random| random.key(stores.size),
        |kv, key| {
            let updated = kv.update(key, |_| Update::set(&VALUE));
            assert!(updated.is_ok_and(|updated| updated.is_committed()));
        },
        put,
    );
}

/// Reads two keys and sets both in a transaction. The baseline holds its lock throughout.
fn transact(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("transact", 1),
        |random: &mut Random| [(); 2].map(|()| random.key(stores.size)),
        |kv, [from, to]| {
            let transacted = kv.transact(|transaction| {
                transaction.get(from)?;
                transaction.get(to)?;
                transaction.set(from, &VALUE);
                transaction.set(to, &VALUE);
                Ok(())
            });
            assert!(transacted.is_ok_and(|transacted| transacted.is_committed()));
        },
        |map, keys| read_and_put(&mut map.write(), keys),
    );
}

fn read_and_put(entries: &mut Entries, keys: &[Key; 2]) -> [Option<(u64, Box<[u8]>)>; 2] {
    let read = keys.each_ref().map(|key| entries.get(key).cloned());
    for key in keys {
        put_locked(entries, key, value());
    }
    read
}
