//! One key at a time: reads and writes without a check.
//!
//! `kvick` is the engine, `btreemap` a `RwLock<BTreeMap>`; `pin`, `fetch_add` and `load` are
//! yardsticks.

mod support;

use cpu_time::ThreadTime;
use criterion::{Criterion, Throughput};
use kvick::{Key, Kv};
use std::hint::black_box;
use std::time::Duration;
use support::yardstick::{Running, criterion, group};
use support::{Map, Random, SIZES, Stores, compare, filled_kv, filled_map, key, measure, put, set};

fn main() {
    let mut c = criterion();
    for size in SIZES {
        let stores = Stores::new(size);
        get(&mut c, &stores);
        get_built(&mut c, &stores);
        get_owned(&mut c, &stores);
        get_miss(&mut c, &stores);
        snapshot(&mut c, &stores);
        set_existing(&mut c, &stores);
        delete_and_set(&mut c, &stores);
        drop(stores);
        insert(&mut c, size);
    }
    c.final_summary();
}

/// Looks at a value where it lies.
fn get(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("get", 1),
        |random: &mut Random| random.key(stores.size),
        |kv, key| first_byte(kv, key),
        first_byte_in,
    );
}

fn first_byte(kv: &Kv, key: impl Into<Key>) -> Option<u8> {
    let read = kv.with_entry(key, |entry| entry?.as_bytes()?.first().copied());
    read.expect("the engine is open")
}

fn first_byte_in(map: &Map, key: &Key) -> Option<u8> {
    map.read().get(key)?.1.first().copied()
}

/// The same under a key that is built for the read.
fn get_built(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("get_built", 1),
        |random: &mut Random| random.below(stores.size),
        |kv, number| first_byte(kv, ("users", *number)),
        |map, number| first_byte_in(map, &Key::from(("users", *number))),
    );
}

/// Copies a value out.
fn get_owned(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("get_owned", 1),
        |random: &mut Random| random.key(stores.size),
        |kv, key| kv.get(key).expect("the engine is open"),
        |map, key| map.read().get(key).cloned(),
    );
}

/// Looks for a key that is not there.
fn get_miss(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("get_miss", 1),
        |random: &mut Random| key(stores.size + random.below(stores.size)),
        |kv, key| first_byte(kv, key),
        first_byte_in,
    );
}

/// Opens a snapshot, looks at a value, and closes it. The baseline has none.
fn snapshot(c: &mut Criterion<Running>, stores: &Stores) {
    let mut group = group(c, "snapshot", stores.size);
    group.throughput(Throughput::Elements(1));
    let draw = |random: &mut Random| random.key(stores.size);
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |key| {
            let snapshot = kv.snapshot();
            snapshot
                .with_entry(key, |entry| entry?.as_bytes()?.first().copied())
                .expect("the engine is open")
        });
    });
}

fn set_existing(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("set", 1),
        |random: &mut Random| random.key(stores.size),
        set,
        put,
    );
}

/// Deletes a key and sets it again: two commits.
fn delete_and_set(c: &mut Criterion<Running>, stores: &Stores) {
    compare(
        c,
        stores,
        ("delete_and_set", 1),
        |random: &mut Random| random.key(stores.size),
        |kv, key| {
            kv.delete(key).expect("the engine is open");
            set(kv, key)
        },
        |map, key| {
            map.write().remove(key);
            put(map, key);
        },
    );
}

/// Fills an empty store in random order. One iteration is all of that, and an element one key, so
/// the time of an element is the mean over the whole growth. Emptying the store is not counted.
fn insert(c: &mut Criterion<Running>, size: u32) {
    let mut group = group(c, "insert", size);
    group.throughput(Throughput::Elements(size.into()));
    group.sample_size(10);
    let id = |subject| criterion::BenchmarkId::new(subject, size);
    group.bench_function(id("kvick"), |b| {
        b.iter_custom(|iterations| timed(iterations, || filled_kv(size)));
    });
    group.bench_function(id("btreemap"), |b| {
        b.iter_custom(|iterations| timed(iterations, || filled_map(size)));
    });
}

/// How long it takes to build something so many times, without dropping it.
fn timed<T>(iterations: u64, build: impl Fn() -> T) -> Duration {
    let one = |_| {
        let begin = ThreadTime::now();
        let store = black_box(build());
        let took = begin.elapsed();
        drop(store);
        took
    };
    (0..iterations).map(one).sum()
}
