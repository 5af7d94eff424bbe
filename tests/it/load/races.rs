//! Loads beside invalidations, on many threads.

use super::{Failure, MINUTE};
use crate::support::client::{assert_is_ours, give_up};
use crate::support::seeds::for_seeds;
use crate::support::threads::{race, unstuck};
use kvick::{Entry, Kv, LoadError};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;

const KEYS: usize = 3;

/// What the cache is in front of: a number for each key, which only grows.
#[derive(Default)]
struct Truth {
    numbers: [AtomicU64; KEYS],
    /// The numbers of which everybody has been told, by an invalidation that has returned.
    told: [AtomicU64; KEYS],
    loads: AtomicUsize,
    unstored: AtomicUsize,
}

impl Truth {
    /// Changes a number, and tells the cache, in one of many ways.
    fn change(&self, kv: &Kv, key: usize, how: u32) {
        let number = self.numbers[key].fetch_add(1, Ordering::SeqCst) + 1;
        let name = key as u64;
        let changed = match how {
            0 => kv.delete(name).map(drop),
            1 => kv.delete_prefix(()).map(drop),
            2 => kv.atomic().delete(name).delete("other").commit().map(drop),
            _ => kv
                .set(name, "it changes")
                .and_then(|_| kv.delete(name))
                .map(drop),
        };
        changed.expect("nothing is refused");
        self.told[key].fetch_max(number, Ordering::SeqCst);
    }

    /// Reads a number through the cache, which must not be older than what had been told before.
    fn read(&self, kv: &Kv, key: usize, rng: &mut StdRng) {
        let told = self.told[key].load(Ordering::SeqCst);
        let (pauses, end) = (rng.random_range(0..4), rng.random_range(0..10));
        let load = || {
            self.loads.fetch_add(1, Ordering::Relaxed);
            let number = self.numbers[key].load(Ordering::SeqCst);
            (0..pauses).for_each(|_| thread::yield_now());
            match end {
                0 => Err(Failure(1)),
                1 => give_up(),
                _ => Ok(number),
            }
        };
        let read = || kv.get_or_load(key as u64, MINUTE, load);
        match panic::catch_unwind(AssertUnwindSafe(read)) {
            Err(panic) => assert_is_ours(panic),
            Ok(Err(LoadError::Failed(error))) => assert_eq!(*error, Failure(1)),
            Ok(Err(LoadError::Refused(error))) => panic!("{error}"),
            Ok(Ok(entry)) => self.judge(&entry, told, key),
        }
    }

    fn judge(&self, entry: &Entry, told: u64, key: usize) {
        let Some(number) = entry.as_u64() else {
            assert_eq!(entry.as_str(), Some("it changes"));
            return;
        };
        assert!(number >= told, "{number}, and {told} had been told");
        assert!(number <= self.numbers[key].load(Ordering::SeqCst));
        let is_stored = entry.versionstamp().is_some();
        self.unstored
            .fetch_add(usize::from(!is_stored), Ordering::Relaxed);
    }
}

#[test]
fn nothing_that_was_loaded_before_an_invalidation_is_read_after_it() {
    let test = "load::races::nothing_that_was_loaded_before_an_invalidation_is_read_after_it";
    for_seeds(test, 4, 4_000, |mut rng, steps| {
        let seeds: [u64; 6] = rng.random();
        let (truth, kv) = unstuck(move || {
            let (truth, kv) = (Arc::new(Truth::default()), Kv::new());
            race(seeds.len(), |thread| {
                let mut rng = StdRng::seed_from_u64(seeds[thread]);
                for _ in 0..steps {
                    let key = rng.random_range(0..KEYS);
                    if thread < 2 && rng.random_range(0..3) == 0 {
                        truth.change(&kv, key, rng.random_range(0..4));
                    } else {
                        truth.read(&kv, key, &mut rng);
                    }
                }
            });
            (truth, kv)
        });
        for key in 0..KEYS {
            let kept = kv.get(key as u64).unwrap().as_u64();
            let number = truth.numbers[key].load(Ordering::SeqCst);
            assert!(kept.is_none_or(|kept| kept == number), "{kept:?}, {number}");
        }
        let stats = kv.stats();
        assert_eq!(stats.load_count, truth.loads.load(Ordering::Relaxed) as u64);
        assert!(stats.load_failure_count > 0 && stats.load_failure_count < stats.load_count);
    });
}
