//! Keys by themselves: encode, decode, clone, compare.

#[path = "support/yardstick.rs"]
mod yardstick;

use criterion::Criterion;
use kvick::Key;
use std::hint::black_box;
use yardstick::{Running, criterion, group};

fn main() {
    let mut c = criterion();
    encode(&mut c);
    decode(&mut c);
    clone(&mut c);
    compare(&mut c);
    c.final_summary();
}

const LONG: &str = "a text that makes the key too long to be held inline";

fn encode(c: &mut Criterion<Running>) {
    let mut group = group(c, "encode", 1);
    group.bench_function("string", |b| b.iter(|| Key::from(black_box("counter"))));
    group.bench_function("string_string", |b| {
        b.iter(|| Key::from((black_box("users"), black_box("alice"))));
    });
    group.bench_function("string_number", |b| {
        b.iter(|| Key::from((black_box("users"), black_box(1_234_567))));
    });
    group.bench_function("string_bigint", |b| {
        b.iter(|| Key::from((black_box("users"), black_box(1_234_567_u64))));
    });
    group.bench_function("four_parts", |b| {
        b.iter(|| Key::from((black_box("log"), black_box(7), true, black_box("error"))));
    });
    group.bench_function("long", |b| {
        b.iter(|| Key::from((black_box("users"), black_box(LONG))));
    });
}

fn decode(c: &mut Criterion<Running>) {
    let mut group = group(c, "decode", 1);
    let keys = [
        ("string_string", Key::from(("users", "alice"))),
        ("string_number", Key::from(("users", 1_234_567))),
        ("four_parts", Key::from(("log", 7, true, "error"))),
        ("long", Key::from(("users", LONG))),
    ];
    for (name, key) in keys {
        group.bench_function(name, |b| b.iter(|| black_box(&key).parts()));
    }
}

fn clone(c: &mut Criterion<Running>) {
    let mut group = group(c, "clone", 1);
    for (name, key) in [
        ("inline", Key::from(("users", "alice"))),
        ("shared", Key::from(("users", LONG))),
    ] {
        group.bench_function(name, |b| b.iter(|| black_box(&key).clone()));
        let bytes = key.as_bytes().to_vec();
        group.bench_function(format!("vec_{name}"), |b| {
            b.iter(|| black_box(&bytes).clone());
        });
    }
}

/// Two keys that differ in their last part, as those of one table do.
fn compare(c: &mut Criterion<Running>) {
    let mut group = group(c, "compare", 1);
    let (alice, bob) = (Key::from(("users", "alice")), Key::from(("users", "bob")));
    let again = alice.clone();
    group.bench_function("order", |b| {
        b.iter(|| black_box(&alice).cmp(black_box(&bob)));
    });
    group.bench_function("equal", |b| {
        b.iter(|| black_box(&alice) == black_box(&again));
    });
}
