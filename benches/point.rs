//! One key at a time: reads and writes without a check.
//!
//! `kvick` is the engine, `btreemap` a `RwLock<BTreeMap>`, `pin` and `fetch_add` are yardsticks.

mod support;

use cpu_time::ThreadTime;
use criterion::{Criterion, Throughput};
use kvick::{Key, Kv};
use std::hint::black_box;
use std::time::Duration;
use support::yardstick::{Running, criterion, group};
use support::{Map, Random, SIZES, Stores, filled_kv, filled_map, key, put, set};

fn main() {
    let mut c = criterion();
    for size in SIZES {
        let stores = Stores::new(size);
        get(&mut c, &stores);
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
    // What making the key costs, which is part of every figure.
    group.bench_function(stores.id("key"), |b| {
        let mut random = Random::new();
        b.iter(|| random.key(stores.size));
    });
    group.bench_function(stores.id("kvick"), |b| {
        let (kv, mut random) = (&*stores.kv, Random::new());
        b.iter(|| first_byte(kv, random.key(stores.size)));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let (map, mut random) = (&*stores.map, Random::new());
        b.iter(|| first_byte_in(map, &random.key(stores.size)));
    });
}

fn first_byte(kv: &Kv, key: Key) -> Option<u8> {
    let read = kv.with_entry(key, |entry| entry?.as_bytes()?.first().copied());
    read.expect("the engine is open")
}

fn first_byte_in(map: &Map, key: &Key) -> Option<u8> {
    map.read().get(key)?.1.first().copied()
}

/// Copies a value out.
fn get_owned(c: &mut Criterion<Running>, stores: &Stores) {
    let mut group = group(c, "get_owned", stores.size);
    group.throughput(Throughput::Elements(1));
    group.bench_function(stores.id("kvick"), |b| {
        let (kv, mut random) = (&*stores.kv, Random::new());
        b.iter(|| {
            let entry = kv.get(random.key(stores.size));
            entry.expect("the engine is open")
        });
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let (map, mut random) = (&*stores.map, Random::new());
        b.iter(|| map.read().get(&random.key(stores.size)).cloned());
    });
}

/// Looks for a key that is not there.
fn get_miss(c: &mut Criterion<Running>, stores: &Stores) {
    let missing = |random: &mut Random| key(stores.size + random.below(stores.size));
    let mut group = group(c, "get_miss", stores.size);
    group.throughput(Throughput::Elements(1));
    group.bench_function(stores.id("kvick"), |b| {
        let (kv, mut random) = (&*stores.kv, Random::new());
        b.iter(|| first_byte(kv, missing(&mut random)));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let (map, mut random) = (&*stores.map, Random::new());
        b.iter(|| first_byte_in(map, &missing(&mut random)));
    });
}

/// Opens a snapshot, looks at a value, and closes it. The baseline has none.
fn snapshot(c: &mut Criterion<Running>, stores: &Stores) {
    let mut group = group(c, "snapshot", stores.size);
    group.throughput(Throughput::Elements(1));
    group.bench_function(stores.id("kvick"), |b| {
        let (kv, mut random) = (&*stores.kv, Random::new());
        b.iter(|| {
            let key = random.key(stores.size);
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
    group.bench_function(stores.id("kvick"), |b| {
        let (kv, mut random) = (&*stores.kv, Random::new());
        b.iter(|| set(kv, &random.key(stores.size)));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let (map, mut random) = (&*stores.map, Random::new());
        b.iter(|| put(map, random.key(stores.size)));
    });
}

/// Deletes a key and sets it again: two commits.
fn delete_and_set(c: &mut Criterion<Running>, stores: &Stores) {
    let mut group = group(c, "delete_and_set", stores.size);
    group.throughput(Throughput::Elements(1));
    group.bench_function(stores.id("kvick"), |b| {
        let (kv, mut random) = (&*stores.kv, Random::new());
        b.iter(|| {
            let key = random.key(stores.size);
            kv.delete(&key).expect("the engine is open");
            set(kv, &key)
        });
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let (map, mut random) = (&*stores.map, Random::new());
        b.iter(|| {
            let key = random.key(stores.size);
            map.write().remove(&key);
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
