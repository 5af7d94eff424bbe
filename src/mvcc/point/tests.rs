//! What a lookup cannot see: how full a table is, when it is rebuilt, what is compared.

use super::{CAPACITY_MIN, Occupancy, Slots, Table, VACATED, is_same, load_own, low_bits, tag_of};
use crate::mvcc::chain::{Payload, RecordPtr};
use crate::mvcc::quota::Share;
use crate::sync::epoch;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::BTreeMap;

struct Nothing;

impl Payload for Nothing {
    fn heap_bytes(&self, _: u8) -> usize {
        0
    }
}

/// Long enough for every way in which two keys are compared.
const KEY_BYTES_MAX: usize = 50;

#[test]
fn keys_are_the_same_where_every_byte_is() {
    let bytes: Vec<u8> = (1..).take(KEY_BYTES_MAX + 1).collect();
    for len in 0..=KEY_BYTES_MAX {
        let key = &bytes[..len];
        let longer = &bytes[..=len];
        assert!(is_same(key, &Vec::from(key)));
        assert!(!is_same(key, longer) && !is_same(longer, key));
        for changed in 0..len {
            let mut other = key.to_vec();
            other[changed] ^= 0x80;
            assert!(!is_same(key, &other), "{len} bytes, changed at {changed}");
        }
    }
}

#[test]
fn the_tag_and_the_slot_are_chosen_by_different_bits() {
    for tag in 0..16 {
        let hash = (tag as u64) << 48;
        assert_eq!(tag_of(hash | 0xfff0_ffff_ffff_ffff), tag);
        assert_eq!(low_bits(hash) & 0xffff_ffff, 0);
    }
    assert_eq!(low_bits(0xdead_beef), 0xdead_beef);
}

fn slots(table: &Table<Nothing>) -> Option<Slots> {
    Slots::unpack(load_own(&table.slots))
}

/// How many slots hold a record, and how many are vacated: none of them right before an empty one,
/// where no probe would go past it.
fn counted(slots: Slots) -> (usize, usize) {
    // Once round, and the first again.
    let addresses = (0..=slots.capacity()).map(|index| load_own(slots.at(index)).addr());
    let addresses: Vec<_> = addresses.collect();
    let needless = addresses.windows(2).filter(|pair| *pair == [VACATED, 0]);
    assert_eq!(needless.count(), 0);
    let addresses = &addresses[1..];
    let vacated = addresses.iter().filter(|address| **address == VACATED);
    let live = addresses.iter().filter(|address| **address > VACATED);
    (live.count(), vacated.count())
}

/// A table that is looked at before and after each change.
struct Audited {
    table: Table<Nothing>,
    share: Share,
    occupancy: Occupancy,
    /// How often it was rebuilt.
    rebuilt: usize,
}

impl Audited {
    fn new() -> Self {
        Self {
            table: Table::new(),
            share: Share::unlimited(),
            occupancy: Occupancy::default(),
            rebuilt: 0,
        }
    }

    /// That its slots are where they were, or elsewhere because they had to be: then half full at
    /// most after the next insertion, and more than a quarter.
    fn assert(&mut self, before: Option<Slots>, live: usize, is_due: bool) {
        let now = slots(&self.table).expect("it has held a record");
        let is_rebuilt = before.is_none_or(|before| before.first != now.first);
        assert_eq!(is_rebuilt, is_due, "{live} live");
        if is_rebuilt {
            self.rebuilt += 1;
            let wanted = 2 * (live + 1);
            assert!(now.capacity() >= wanted, "{live} live");
            assert!(now.capacity() < 2 * wanted || now.capacity() == CAPACITY_MIN);
            assert_eq!(self.occupancy.vacated_count, 0);
        }
        let (live, vacated) = (self.occupancy.live_count, self.occupancy.vacated_count);
        assert_eq!(counted(now), (live, vacated));
    }

    fn insert(&mut self, hash: u64, key: u16) -> RecordPtr<Nothing> {
        // Nothing is freed meanwhile, so that two arrays do not have one address.
        let guard = epoch::pin();
        let record = RecordPtr::new(hash, &key.to_be_bytes()).expect("there is memory");
        let before = slots(&self.table);
        let (live, vacated) = before.map_or((0, 0), counted);
        let inserted = self
            .table
            .insert(&mut self.occupancy, &mut self.share, record, &guard);
        inserted.expect("there is memory");
        let capacity = before.map_or(0, Slots::capacity);
        self.assert(before, live, 3 * (live + vacated + 1) > 2 * capacity);
        record
    }

    fn remove(&mut self, record: RecordPtr<Nothing>) {
        let guard = epoch::pin();
        let before = slots(&self.table);
        self.table.remove(
            &mut self.occupancy,
            &mut self.share,
            record.get(&guard),
            &guard,
        );
        record.retire(self.share.freed(), &guard);
        let capacity = before.map_or(0, Slots::capacity);
        let live = self.occupancy.live_count;
        self.assert(before, live, capacity > CAPACITY_MIN && 8 * live < capacity);
    }
}

/// Rebuilding costs as much as the table holds, so it waits until it is needed.
#[test]
fn a_table_is_rebuilt_when_it_is_two_thirds_full_or_an_eighth_live_and_only_then() {
    let mut random = StdRng::seed_from_u64(11);
    let mut audited = Audited::new();
    let mut model = BTreeMap::new();
    let steps = if cfg!(miri) { 60 } else { 20_000 };
    for step in 0..steps {
        let key: u16 = random.random_range(0..300);
        let hash = u64::from(key) << 48 | u64::from(key.wrapping_mul(40_503) % 512);
        let is_growing = step / (steps / 6) % 2 == 0;
        let inserts = random.random_bool(if is_growing { 0.98 } else { 0.02 });
        match model.remove(&key) {
            Some(record) if !inserts => audited.remove(record),
            Some(record) => _ = model.insert(key, record),
            None if inserts => _ = model.insert(key, audited.insert(hash, key)),
            None => {}
        }
        assert_eq!(audited.occupancy.live_count, model.len());
    }
    assert!(audited.rebuilt > 10 || cfg!(miri), "{}", audited.rebuilt);
    // To the last one.
    for record in model.into_values() {
        audited.remove(record);
    }
    assert_eq!(audited.occupancy.live_count, 0);
}
