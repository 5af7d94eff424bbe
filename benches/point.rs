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
use support::{Map, Random, SIZES, Stores, filled_kv, filled_map, key, measure, put, set};

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
    let mut group = group(c, "get", stores.size);
    group.throughput(Throughput::Elements(1));
    let draw = |random: &mut Random| random.key(stores.size);
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |key| first_byte(kv, key));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, draw, |key| first_byte_in(map, key));
    });
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
    let mut group = group(c, "get_built", stores.size);
    group.throughput(Throughput::Elements(1));
    let draw = |random: &mut Random| random.below(stores.size);
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |number| first_byte(kv, ("users", *number)));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, draw, |number| {
            first_byte_in(map, &Key::from(("users", *number)))
        });
    });
}

/// Copies a value out.
fn get_owned(c: &mut Criterion<Running>, stores: &Stores) {
    let mut group = group(c, "get_owned", stores.size);
    group.throughput(Throughput::Elements(1));
    let draw = |random: &mut Random| random.key(stores.size);
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |key| kv.get(key).expect("the engine is open"));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, draw, |key| map.read().get(key).cloned());
    });
}

/// Looks for a key that is not there.
fn get_miss(c: &mut Criterion<Running>, stores: &Stores) {
    let mut group = group(c, "get_miss", stores.size);
    group.throughput(Throughput::Elements(1));
    let draw = |random: &mut Random| key(stores.size + random.below(stores.size));
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |key| first_byte(kv, key));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, draw, |key| first_byte_in(map, key));
    });
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
    let mut group = group(c, "set", stores.size);
    group.throughput(Throughput::Elements(1));
    let draw = |random: &mut Random| random.key(stores.size);
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |key| set(kv, key));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, draw, |key| put(map, key));
    });
}

/// Deletes a key and sets it again: two commits.
fn delete_and_set(c: &mut Criterion<Running>, stores: &Stores) {
    let mut group = group(c, "delete_and_set", stores.size);
    group.throughput(Throughput::Elements(1));
    let draw = |random: &mut Random| random.key(stores.size);
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |key| {
            kv.delete(key).expect("the engine is open");
            set(kv, key)
        });
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, draw, |key| {
            map.write().remove(key);
            put(map, key);
        });
    });
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
