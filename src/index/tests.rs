//! The ordered index on one thread, against a plain map. What happens between threads is checked by
//! the models.

use super::OrderedIndex;
use crate::mvcc::chain::{Payload, RecordPtr, RecordRef};
use crate::mvcc::quota::{Meter, Share};
use crate::sync::LEAF_SLOTS_MAX;
use crate::sync::epoch;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;
use std::ops::Bound;

#[derive(Debug)]
struct Nothing;

impl Payload for Nothing {
    fn heap_bytes(&self, _: u8) -> usize {
        0
    }
}

/// An index, and what should be in it.
struct Both {
    index: OrderedIndex<Nothing>,
    expected: BTreeMap<Vec<u8>, RecordPtr<Nothing>>,
}

impl Both {
    fn new() -> Self {
        Self {
            index: OrderedIndex::new(Meter::unlimited()),
            expected: BTreeMap::new(),
        }
    }

    /// Inserts a key that is not there, or removes one that is.
    fn toggle(&mut self, key: &[u8]) {
        let guard = epoch::pin();
        if let Some(record) = self.expected.remove(key) {
            self.index.remove(record.get(&guard), &guard);
            record.retire(Share::unlimited().freed(), &guard);
        } else {
            let record = RecordPtr::new(0, key).expect("there is memory");
            self.index.insert(record, &guard).expect("there is memory");
            self.expected.insert(key.to_vec(), record);
        }
    }

    /// That walks in both directions meet what they should.
    fn assert_walks(&self, start: &[u8], end: Option<&[u8]>) {
        let guard = epoch::pin();
        let bounds = (
            Bound::Included(start),
            end.map_or(Bound::Unbounded, Bound::Excluded),
        );
        let is_empty = end.is_some_and(|end| end <= start);
        let expected: Vec<_> = if is_empty {
            Vec::new()
        } else {
            let range = self.expected.range::<[u8], _>(bounds);
            range.map(|(key, _)| &**key).collect()
        };
        let key = |record: RecordRef<'_, Nothing>| record.key().to_vec();
        let met: Vec<_> = self.index.ascend(start, end, &guard).map(key).collect();
        assert_eq!(met, expected, "from {start:?} to {end:?}");
        let met = self.index.descend(start, end, &guard).map(key);
        let mut met: Vec<_> = met.collect();
        met.reverse();
        assert_eq!(met, expected, "back from {end:?} to {start:?}");
    }
}

impl Drop for Both {
    fn drop(&mut self) {
        let guard = epoch::pin();
        for record in self.expected.values() {
            record.retire(Share::unlimited().freed(), &guard);
        }
    }
}

/// Keys that are hard on digests: of all lengths, with long common beginnings, with zeros, and some
/// that begin with others.
fn hard_key(random: &mut StdRng) -> Vec<u8> {
    const BEGINNINGS: [&[u8]; 6] = [
        b"",
        b"\0",
        b"\x02users\0\x21",
        b"a rather long beginning that many keys have in common",
        b"a rather long beginning that many keys have",
        &[0xff; 9],
    ];
    let mut key = BEGINNINGS
        .choose(random)
        .map_or(Vec::new(), |beginning| beginning.to_vec());
    let len = random.random_range(0..12);
    key.extend((0..len).map(|_| *[0, 1, b'm', 0xff].choose(random).unwrap_or(&0)));
    key
}

/// Enough for leaves to be split and to die many times.
const STEPS: u32 = if cfg!(miri) { 150 } else { 20_000 };

#[test]
fn walks_meet_what_is_there_whatever_the_keys_are() {
    let mut random = StdRng::seed_from_u64(1);
    let mut both = Both::new();
    for step in 0..STEPS {
        both.toggle(&hard_key(&mut random));
        if step % 16 == 0 {
            let (start, end) = (hard_key(&mut random), hard_key(&mut random));
            both.assert_walks(&start, random.random::<bool>().then_some(&*end));
        }
    }
    both.assert_walks(&[], None);
    for key in both.expected.keys().cloned().collect::<Vec<_>>() {
        both.toggle(&key);
    }
    both.assert_walks(&[], None);
}

/// The low keys of all leaves.
fn low_keys(both: &Both) -> Vec<Vec<u8>> {
    let guard = epoch::pin();
    let mut leaf = Some(both.index.leaves.first(&guard));
    let mut low_keys = Vec::new();
    while let Some(reached) = leaf {
        low_keys.push(reached.low().to_vec());
        leaf = reached.lock().next(&guard);
    }
    low_keys
}

/// How many leaves there are.
fn leaf_count(both: &Both) -> usize {
    low_keys(both).len()
}

#[test]
fn ascending_keys_fill_their_leaves() {
    let mut both = Both::new();
    let keys = 10 * LEAF_SLOTS_MAX;
    for number in 0..keys {
        both.toggle(&number.to_be_bytes());
    }
    assert_eq!(leaf_count(&both), 10);
}

#[test]
fn a_leaf_without_records_goes() {
    let mut both = Both::new();
    let keys = 10 * LEAF_SLOTS_MAX;
    for round in 0..3 {
        for number in 0..keys {
            both.toggle(&(round * keys + number).to_be_bytes());
        }
        for number in 0..keys {
            both.toggle(&(round * keys + number).to_be_bytes());
        }
        assert_eq!(leaf_count(&both), 1);
    }
}

#[test]
fn random_keys_fill_two_thirds_of_their_leaves() {
    let mut random = StdRng::seed_from_u64(2);
    let mut both = Both::new();
    let leaves_of_keys = if cfg!(miri) { 10 } else { 50 };
    while both.expected.len() < leaves_of_keys * LEAF_SLOTS_MAX {
        both.toggle(&random.random::<u64>().to_be_bytes());
    }
    let leaves = leaf_count(&both);
    assert!(leaves <= leaves_of_keys * 8 / 5, "{leaves} leaves");
}

/// How many of the searches for some keys, and below them, the shortcut answers. Each answer has to
/// be right.
fn short_searches<'k>(both: &Both, keys: impl Iterator<Item = &'k [u8]>) -> [usize; 2] {
    let guard = epoch::pin();
    let low_keys = low_keys(both);
    let mut counts = [0; 2];
    for key in keys {
        let at = low_keys.partition_point(|low| &**low <= key);
        let below = low_keys.partition_point(|low| &**low < key);
        let shortcut = &both.index.shortcut;
        if let Some(found) = shortcut.floor(key, &guard) {
            assert_eq!(found.low(), low_keys[at - 1], "at {key:?}");
            counts[0] += 1;
        }
        if let Some(found) = shortcut.below(key, &guard) {
            assert_eq!(found.low(), low_keys[below - 1], "below {key:?}");
            counts[1] += 1;
        }
    }
    counts
}

#[test]
fn the_shortcut_leads_to_the_right_leaf_or_nowhere() {
    let mut random = StdRng::seed_from_u64(3);
    let mut both = Both::new();
    let mut counts = [0; 2];
    for step in 0..STEPS {
        both.toggle(&hard_key(&mut random));
        if step % (STEPS / 50) == 0 {
            let keys: Vec<_> = (0..20).map(|_| hard_key(&mut random)).collect();
            let [at, below] = short_searches(&both, keys.iter().map(|key| &**key));
            counts = [counts[0] + at, counts[1] + below];
        }
    }
    assert!(
        counts.iter().all(|count| *count > 0),
        "{counts:?} are short"
    );
}

/// That four of five searches are short.
fn assert_most_are_short(both: &Both) {
    let counts = short_searches(both, both.expected.keys().map(|key| &**key));
    let all = both.expected.len();
    let are_most = counts.iter().all(|count| 5 * count >= 4 * all);
    assert!(are_most, "{counts:?} searches of {all} are short");
}

#[test]
fn most_searches_are_short() {
    let mut random = StdRng::seed_from_u64(4);
    let count = if cfg!(miri) {
        60
    } else {
        100 * LEAF_SLOTS_MAX as u64
    };
    let at_random: Vec<u64> = (0..count).map(|_| random.random()).collect();
    let ascending: Vec<u64> = (0..count).collect();
    for numbers in [at_random, ascending] {
        let mut both = Both::new();
        // The digests of the first table are all the same, and those of the second one are not.
        for (place, number) in numbers.iter().enumerate() {
            let table = ["a table with a long name ", "another one "][place % 2];
            both.toggle(&[table.as_bytes(), &number.to_be_bytes()].concat());
        }
        assert_most_are_short(&both);
        // Most leaves die, in the order of their keys.
        let gone = both.expected.len() * 3 / 4;
        for key in both.expected.keys().take(gone).cloned().collect::<Vec<_>>() {
            both.toggle(&key);
        }
        assert_most_are_short(&both);
    }
}
