//! Entries in the order of their keys, from a random one on.
//!
//! `kvick` is the engine, `btreemap` a `RwLock<BTreeMap>` that is locked throughout; `pin`,
//! `fetch_add` and `load` are yardsticks.

mod support;

use criterion::Criterion;
use kvick::{Key, Kv, List, Range};
use std::hint::black_box;
use support::yardstick::{Running, criterion};
use support::{Random, SIZES, Stores, compare};

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
    compare(
        c,
        stores,
        (&format!("for_each_of_{len}"), len),
        |random: &mut Random| random.key(stores.size - len),
        |kv, start| {
            let list = list(kv, start, len);
            list.for_each(|entry| {
                black_box(entry.as_bytes().and_then(<[u8]>::first));
            })
            .expect("the range is valid");
        },
        |map, start| {
            for (_, (_, value)) in map.read().range::<Key, _>(start..).take(len as usize) {
                black_box(value.first());
            }
        },
    );
}

/// Copies the entries out.
fn collect(c: &mut Criterion<Running>, stores: &Stores, len: u32) {
    compare(
        c,
        stores,
        (&format!("entries_of_{len}"), len),
        |random: &mut Random| random.key(stores.size - len),
        |kv, start| {
            let list = list(kv, start, len);
            for entry in list.entries().expect("the range is valid") {
                black_box(entry);
            }
        },
        |map, start| {
            for (key, (version, value)) in map.read().range::<Key, _>(start..).take(len as usize) {
                black_box((key.clone(), *version, value.clone()));
            }
        },
    );
}
