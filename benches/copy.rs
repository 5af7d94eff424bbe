//! A copy of a million entries, out and in, and what those who write notice of it.
//!
//! `cargo bench --bench copy`, or `-- 100000` for another number of entries. What others notice is how
//! much longer they take on their processor beside an export, and beside a thread that only computes:
//! medians of rounds that take turns, so that what else the machine does falls on all.

#![expect(clippy::print_stdout, reason = "the table is what it is for")]

#[expect(dead_code, reason = "what measures operations is for the others")]
mod support;

use cpu_time::ThreadTime;
use kvick::{ImportExpiry, ImportOptions, Key, Kv};
use std::hint::black_box;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use support::{Random, VALUE, key};

/// How many rounds there are of each kind.
const ROUNDS: usize = 11;

fn main() {
    let mut numbers = std::env::args().skip(1);
    let count = numbers.find_map(|text| text.parse().ok());
    let count: u32 = count.unwrap_or(1_000_000);
    let kv = Kv::new();
    for number in support::yardstick::shuffled(count) {
        kv.set(key(number), &VALUE).expect("a key can be set");
    }
    println!(
        "{count} entries: keys of two parts, {} bytes each",
        VALUE.len()
    );
    let (copy, length) = out(&kv);
    into(&copy);
    beside("sets of one key", &kv, length, |kv, random| {
        kv.set(key(random.below(count)), &VALUE)
            .expect("a key can be set");
    });
    beside("transfers between two", &kv, length, |kv, random| {
        let keys = [0, 1].map(|_| key(random.below(count)));
        transfer(kv, &keys);
    });
}

/// What a second has of so many bytes in this time.
#[expect(
    clippy::cast_precision_loss,
    reason = "it is rounded when it is printed"
)]
fn megabytes_a_second(bytes: usize, time: Duration) -> f64 {
    bytes as f64 / 1e6 / time.as_secs_f64()
}

fn out(kv: &Kv) -> (Vec<u8>, Duration) {
    let (mut copy, mut shortest) = (Vec::new(), Duration::MAX);
    for _ in 0..3 {
        copy.clear();
        let began = Instant::now();
        let exported = kv.export(&mut copy).expect("a vector takes it");
        let took = began.elapsed();
        println!(
            "export to memory: {took:.2?}, {} bytes, {:.0} MB/s",
            exported.bytes,
            megabytes_a_second(copy.len(), took),
        );
        shortest = shortest.min(took);
    }
    (copy, shortest)
}

fn into(copy: &[u8]) {
    let renewed = ImportOptions::default();
    let kept = renewed
        .clone()
        .keep_versionstamps()
        .expiry(ImportExpiry::Dated);
    for (name, options) in [
        ("renewed", &renewed),
        ("kept", &kept),
        ("renewed", &renewed),
    ] {
        let kv = Kv::new();
        let began = Instant::now();
        let imported = kv.import(copy, options).expect("it is whole");
        let took = began.elapsed();
        println!(
            "import, versionstamps {name}: {took:.2?}, {} entries, {:.0} MB/s",
            imported.entries,
            megabytes_a_second(copy.len(), took),
        );
    }
    // How long one who writes waits for it, at most.
    let kv = Kv::new();
    let is_done = AtomicBool::new(false);
    let longest = thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let mut longest = Duration::ZERO;
            while !is_done.load(Ordering::Relaxed) {
                let began = Instant::now();
                kv.set("mine", 1u64).expect("a key can be set");
                longest = longest.max(began.elapsed());
            }
            longest
        });
        kv.import(copy, &renewed).expect("it is whole");
        is_done.store(true, Ordering::Relaxed);
        writer.join().expect("a writer does not panic")
    });
    println!("the longest that a set waited for an import: {longest:.2?}");
}

fn transfer(kv: &Kv, keys: &[Key; 2]) {
    let read = kv.get_many(keys).expect("they can be read");
    let mut operation = kv.atomic();
    for entry in &read {
        operation.check(entry).set(entry.key(), &VALUE);
    }
    let outcome = operation.commit().expect("nothing is refused");
    assert!(outcome.is_committed() || keys[0] == keys[1]);
}

/// How often a thread does something in a second of its processor: while `meanwhile` runs, and in as
/// long behind it.
fn rates(
    kv: &Kv,
    mut act: impl FnMut(&Kv, &mut Random),
    meanwhile: impl FnOnce() + Send,
) -> [f64; 2] {
    // Nothing that was left before is to be forgotten now.
    kv.sweep();
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            meanwhile();
            is_done.store(true, Ordering::Relaxed);
        });
        let mut random = Random::new();
        let mut rate = |goes_on: &dyn Fn(Duration) -> bool| {
            let began = ThreadTime::now();
            let mut count = 0u32;
            while goes_on(began.elapsed()) {
                for _ in 0..64 {
                    act(kv, &mut random);
                }
                count += 64;
            }
            let took = began.elapsed();
            (f64::from(count) / took.as_secs_f64(), took)
        };
        let (beside, length) = rate(&|_| !is_done.load(Ordering::Relaxed));
        let (behind, _) = rate(&|took| took < length);
        [beside, behind]
    })
}

/// What another thread costs by itself, as on two hardware threads of one core: it computes for so
/// long, and what it needs stays in its caches.
fn compute(length: Duration) {
    let words: Vec<u64> = (0..8_192).collect();
    let (began, mut sum) = (ThreadTime::now(), 0u64);
    while began.elapsed() < length {
        for word in &words {
            sum = (sum ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        black_box(sum);
    }
}

fn beside(name: &str, kv: &Kv, length: Duration, act: impl Fn(&Kv, &mut Random) + Copy) {
    let mut rounds = Vec::new();
    for _ in 0..ROUNDS {
        let [alone, _] = rates(kv, act, || thread::park_timeout(length));
        let [computed, _] = rates(kv, act, || compute(length));
        let [beside, behind] = rates(kv, act, || {
            kv.export(std::io::sink()).expect("it takes everything");
        });
        rounds.push([alone, alone / computed, alone / beside, alone / behind]);
    }
    let median = |column: usize| {
        let mut all: Vec<_> = rounds.iter().map(|round| round[column]).collect();
        all.sort_unstable_by(f64::total_cmp);
        all[ROUNDS / 2]
    };
    println!(
        "{name}: {:.0} a second; as long beside a thread that computes {:.2}, beside an export {:.2}, \
         in as long behind it {:.2}",
        median(0),
        median(1),
        median(2),
        median(3),
    );
}
