//! Entries in the order of their keys, from a random one on.
//!
//! `kvick` is the engine, `btreemap` a `RwLock<BTreeMap>` that is locked throughout; `pin`,
//! `fetch_add` and `load` are yardsticks.

mod support;

use criterion::{Criterion, Throughput};
use kvick::{Key, Kv, List, Range};
use std::hint::black_box;
use support::yardstick::{Running, criterion, group};
use support::{Random, SIZES, Stores, measure};

fn main() {
    let mut c = criterion();
    for size in SIZES {
        let stores = Stores::new(size);
        visit(&mut c, &stores, 100);
        collect(&mut c, &stores, 100);
        if size > 10_000 {
            visit(&mut c, &stores, 10_000);
        }
    }
    c.final_summary();
}

/// So many entries from a random key on.
fn list<'kv>(kv: &'kv Kv, start: &Key, len: u32) -> List<'kv> {
    kv.list(Range::prefix("users").start(start))
        .limit(len as usize)
}

/// Looks at each entry where it lies.
fn visit(c: &mut Criterion<Running>, stores: &Stores, len: u32) {
    let mut group = group(c, &format!("for_each_of_{len}"), stores.size);
    group.throughput(Throughput::Elements(len.into()));
    let draw = |random: &mut Random| random.key(stores.size - len);
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |start| {
            let list = list(kv, start, len);
            list.for_each(|entry| {
                black_box(entry.as_bytes().and_then(<[u8]>::first));
            })
            .expect("the range is valid");
        });
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, draw, |start| {
            for (_, (_, value)) in map.read().range::<Key, _>(start..).take(len as usize) {
                black_box(value.first());
            }
        });
    });
}

/// Copies the entries out.
fn collect(c: &mut Criterion<Running>, stores: &Stores, len: u32) {
    let mut group = group(c, &format!("entries_of_{len}"), stores.size);
    group.throughput(Throughput::Elements(len.into()));
    let draw = |random: &mut Random| random.key(stores.size - len);
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, draw, |start| {
            let list = list(kv, start, len);
            for entry in list.entries().expect("the range is valid") {
                black_box(entry);
            }
        });
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, draw, |start| {
            for (key, (version, value)) in map.read().range::<Key, _>(start..).take(len as usize) {
                black_box((key.clone(), *version, value.clone()));
            }
        });
    });
}
