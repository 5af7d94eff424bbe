//! What the benchmarks of the engine share: the keys, the values, and the stores they are in.
//!
//! The keys of each operation are built beforehand, a few hundred at a time and outside of what is
//! measured: an array of a million keys would take the caches away from the stores. What building a
//! key costs is measured by the benchmark `codec`, and together with a read by `get_built`. Keys
//! are drawn at random, and the stores were filled in another random order, so that neighbours in
//! the order of the keys are none in memory.

pub(crate) mod yardstick;

use criterion::measurement::Measurement;
use criterion::{BatchSize, Bencher, BenchmarkId, Criterion, Throughput};
use kvick::{Key, Kv, Versionstamp};
use parking_lot::RwLock;
use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use yardstick::{Running, group, shuffled};

/// How many keys there are.
pub(crate) const SIZES: [u32; 3] = [1_000, 100_000, 1_000_000];

/// What they are set to.
pub(crate) static VALUE: [u8; 100] = [b'v'; 100];

/// The baseline: what one would write without an engine. It has a number for each write where the
/// engine has a versionstamp.
pub(crate) type Map = RwLock<Entries>;

pub(crate) type Entries = BTreeMap<Key, (u64, Box<[u8]>)>;

/// `("users", 0)`, `("users", 1)` and so on, encoded: sixteen bytes, two words.
pub(crate) fn key(number: u32) -> Key {
    let ordered = f64::from(number).to_bits() | 1 << 63;
    let mut encoded = *b"\x02users\0\x21\0\0\0\0\0\0\0\0";
    encoded[8..].copy_from_slice(&ordered.to_be_bytes());
    Key::raw(encoded)
}

/// A cheap source of numbers.
pub(crate) struct Random(u64);

impl Random {
    /// Each is of another sequence than those before it: criterion begins anew for every sample,
    /// and the same keys again would be those that the caches still hold.
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn below(&mut self, bound: u32) -> u32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        let high = self.0 >> 32;
        // A number below 2^32 times the bound, divided by 2^32: it is below the bound.
        u32::try_from((high * u64::from(bound)) >> 32).unwrap_or_default()
    }

    /// One of the keys of a store of this size.
    pub(crate) fn key(&mut self, size: u32) -> Key {
        key(self.below(size))
    }
}

/// Measures an operation of so many elements on what `draw` draws: of the engine, and of the
/// baseline beside it.
pub(crate) fn compare<I, A, B>(
    c: &mut Criterion<Running>,
    stores: &Stores,
    (operation, elements): (&str, u32),
    draw: impl Fn(&mut Random) -> I,
    kvick: impl Fn(&Kv, &I) -> A,
    btreemap: impl Fn(&Map, &I) -> B,
) {
    let mut group = group(c, operation, stores.size);
    group.throughput(Throughput::Elements(elements.into()));
    group.bench_function(stores.id("kvick"), |b| {
        let kv = &*stores.kv;
        measure(b, &draw, |drawn| kvick(kv, drawn));
    });
    group.bench_function(stores.id("btreemap"), |b| {
        let map = &*stores.map;
        measure(b, &draw, |drawn| btreemap(map, drawn));
    });
}

/// Measures an operation on what `draw` draws: keys, most of the time. So many are drawn at once
/// that reading the clock does not count, and so few that they stay in the first level of the cache.
pub(crate) fn measure<M: Measurement, I, O>(
    b: &mut Bencher<'_, M>,
    mut draw: impl FnMut(&mut Random) -> I,
    mut operation: impl FnMut(&I) -> O,
) {
    let mut random = Random::new();
    b.iter_batched_ref(
        || draw(&mut random),
        |drawn| operation(drawn),
        BatchSize::NumIterations(256),
    );
}

/// The stores of one size. Each is filled when it is first used.
pub(crate) struct Stores {
    pub(crate) size: u32,
    pub(crate) kv: LazyCell<Kv, Box<dyn FnOnce() -> Kv>>,
    pub(crate) map: LazyCell<Map, Box<dyn FnOnce() -> Map>>,
}

impl Stores {
    pub(crate) fn new(size: u32) -> Self {
        Self {
            size,
            kv: LazyCell::new(Box::new(move || filled_kv(size))),
            map: LazyCell::new(Box::new(move || filled_map(size))),
        }
    }

    pub(crate) fn id(&self, subject: &str) -> BenchmarkId {
        BenchmarkId::new(subject, self.size)
    }
}

pub(crate) fn filled_kv(size: u32) -> Kv {
    let kv = Kv::new();
    for number in shuffled(size) {
        set(&kv, &key(number));
    }
    kv
}

pub(crate) fn filled_map(size: u32) -> Map {
    let map = Map::default();
    for number in shuffled(size) {
        put(&map, &key(number));
    }
    map
}

/// Sets a key of the engine.
pub(crate) fn set(kv: &Kv, key: &Key) -> Versionstamp {
    kv.set(key, &VALUE).expect("the engine is open")
}

/// Sets a key of the baseline.
pub(crate) fn put(map: &Map, key: &Key) {
    let value = value();
    put_locked(&mut map.write(), key, value);
}

/// Sets a key of the baseline, whose lock is held. Allocated before that, as the engine does.
pub(crate) fn put_locked(entries: &mut Entries, key: &Key, value: Box<[u8]>) {
    if let Some((version, stored)) = entries.get_mut(key) {
        *version += 1;
        *stored = value;
    } else {
        entries.insert(key.clone(), (1, value));
    }
}

/// A value of the baseline.
pub(crate) fn value() -> Box<[u8]> {
    Box::from(&VALUE[..])
}
