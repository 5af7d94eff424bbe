//! The core on one thread, against plain collections. What happens between threads is checked by
//! the models.

use super::chain::{
    Draft, Payload, RecordPtr, RecordRef, Retiring, Ripe, Superseded, Unreachable, VersionRef,
};
use super::point::{Occupancy, Table};
use super::publish::{Install, Refused, Verdict, publish_one};
use super::quota::Share;
use super::registry::Registry;
use super::stamp::{StampCounter, StampWord};
use super::stripes::{Locked, STRIPES_MAX, StripeSet, Stripes, stripe_of};
use crate::sync::epoch::{self, Guard};
use crate::sync::{AtomicU64, Ordering};
use crate::version::Stamp;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Counts how many of its kind are alive.
#[derive(Debug)]
struct Counted(Arc<AtomicU64>);

impl Counted {
    fn new(alive: &Arc<AtomicU64>) -> Self {
        alive.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(alive))
    }
}

impl Payload for Counted {
    fn heap_bytes(&self, _: u8) -> usize {
        1_000
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One record with what a stripe would keep for it.
struct OneKey {
    alive: Arc<AtomicU64>,
    counter: StampCounter,
    registry: Arc<Registry>,
    record: RecordPtr<Counted>,
    /// Owns the record.
    _table: Table<Counted>,
    superseded: Vec<Superseded<Counted>>,
}

impl OneKey {
    fn new() -> Self {
        let table = Table::new();
        let record = RecordPtr::new(7, b"key").expect("there is memory");
        table
            .insert(
                &mut Occupancy::default(),
                &mut Share::unlimited(),
                record,
                &epoch::pin(),
            )
            .expect("there is memory");
        Self {
            alive: Arc::default(),
            counter: StampCounter::new(),
            registry: Arc::new(Registry::new()),
            record,
            _table: table,
            superseded: Vec::new(),
        }
    }

    fn draft(&self, bytes: &[u8]) -> Draft<Counted> {
        Draft::new(1, bytes, Counted::new(&self.alive)).expect("there is memory")
    }

    fn set(&mut self, bytes: &[u8]) -> Stamp {
        let guard = epoch::pin();
        let record = self.record.get(&guard);
        let (stamp, version) = publish_one(record, self.draft(bytes), &self.counter);
        self.superseded
            .extend(Superseded::by(record, version, stamp));
        stamp
    }

    fn at(&self, stamp: Stamp) -> Option<Vec<u8>> {
        let guard = epoch::pin();
        let found = self.record.get(&guard).at(stamp, &self.counter);
        found.map(|(version, _)| version.bytes().to_vec())
    }

    /// Waits for the epoch until the grace is at the latest stamp.
    fn raise_grace(&self) {
        while self.registry.grace() < self.counter.latest() {
            let guard = epoch::pin();
            self.registry.advance_grace(&self.counter, &guard);
            guard.flush();
        }
    }

    /// Frees what can be freed; how many bytes.
    fn sweep(&mut self) -> usize {
        let guard = epoch::pin();
        let horizon = self.registry.horizon();
        let mut unreachable = Unreachable::new();
        let mut bytes = 0;
        for superseded in std::mem::take(&mut self.superseded) {
            if horizon.waits(superseded.until()) {
                self.superseded.push(superseded);
                continue;
            }
            match superseded.reclaim(&horizon, &mut unreachable, &mut Share::unlimited(), &guard) {
                Ok(reclaimed) => bytes += reclaimed.bytes,
                Err(held) => self.superseded.push(held),
            }
        }
        bytes
    }

    fn alive(&self) -> usize {
        usize::try_from(self.alive.load(Ordering::Relaxed)).expect("a few")
    }

    /// Waits until no more than so many versions are alive: what goes through the epoch takes a
    /// few turns.
    fn await_alive(&self, count: usize) {
        while self.alive() > count {
            epoch::pin().flush();
        }
        assert_eq!(self.alive(), count);
    }
}

#[test]
fn a_version_keeps_its_bytes_and_payload() {
    let mut key = OneKey::new();
    for len in [0, 1, 7, 8, 9, 100, 1_024] {
        let bytes: Vec<u8> = (0..=u8::MAX).cycle().take(len).collect();
        let stamp = key.set(&bytes);
        assert_eq!(key.at(stamp), Some(bytes));
    }
    let guard = epoch::pin();
    assert_eq!(key.record.get(&guard).key(), b"key");
}

#[test]
fn what_is_kept_is_accounted_for_with_its_header_and_its_heap() {
    let headers = 24..=64;
    let guard = epoch::pin();
    let mut key = OneKey::new();
    for len in [0, 1, 100, 1_024] {
        key.set(&vec![b'v'; len]);
        let newest = key.record.get(&guard).head();
        let size = newest.map(VersionRef::size).expect("it was set");
        assert!(headers.contains(&(size - 1_000 - len)), "{len}: {size}");
        let record = RecordPtr::<Counted>::new(1, &vec![b'k'; len]).expect("there is memory");
        let size = RecordPtr::<Counted>::size_for(record.get(&guard).key());
        assert!(headers.contains(&(size - len)), "{len}: {size}");
        record.retire(Share::unlimited().freed(), &guard);
    }
}

#[test]
fn a_record_is_retired_once_it_has_left_the_indexes() {
    let guard = epoch::pin();
    let record = RecordPtr::<Counted>::new(1, b"key").expect("there is memory");
    assert!(!record.get(&guard).is_retired());
    record.retire(Share::unlimited().freed(), &guard);
    assert!(record.get(&guard).is_retired());
}

#[test]
fn what_is_behind_a_pointer_shows_its_type_alone() {
    let mut key = OneKey::new();
    key.set(b"one");
    key.set(b"two");
    assert_eq!(format!("{:?}", key.record), "RecordPtr");
    assert_eq!(format!("{:?}", key.record.get(&epoch::pin())), "RecordRef");
    assert_eq!(format!("{:?}", key.draft(b"three")), "Draft");
    assert_eq!(format!("{:?}", key.superseded), "[Superseded(Stamp(2))]");
    assert_eq!(format!("{:?}", Table::<Counted>::new()), "Table");
    assert_eq!(format!("{:?}", Stripes::new(4, || ())), "Stripes(16)");
}

#[test]
fn a_snapshot_sees_the_newest_version_at_or_below_it() {
    let mut key = OneKey::new();
    let first = key.set(b"one");
    key.counter.mint();
    let second = key.set(b"two");
    assert_eq!(key.at(Stamp::ZERO), None);
    assert_eq!(key.at(first), Some(b"one".to_vec()));
    assert_eq!(key.at(Stamp::new(first.get() + 1)), Some(b"one".to_vec()));
    assert_eq!(key.at(second), Some(b"two".to_vec()));
}

#[test]
fn nothing_is_freed_before_the_grace_reaches_it() {
    let mut key = OneKey::new();
    key.set(b"one");
    key.set(b"two");
    assert_eq!(key.sweep(), 0);
    assert_eq!(key.alive(), 2);
    key.raise_grace();
    assert!(key.sweep() > 1_000);
    assert_eq!(key.alive(), 1);
}

#[test]
fn open_snapshots_keep_one_version_each_and_no_more() {
    let mut key = OneKey::new();
    let mut open = Vec::new();
    for number in 0_u8..100 {
        let stamp = key.set(&[number]);
        if number % 30 == 5 {
            let registration = key.registry.register(stamp, &epoch::pin());
            open.push((registration, number));
        }
    }
    key.raise_grace();
    key.sweep();
    key.await_alive(open.len() + 1);
    for (registration, number) in &open {
        assert_eq!(key.at(registration.at()), Some(vec![*number]));
    }
    // The oldest but one goes, and takes its version along; the others keep theirs.
    drop(open.remove(1));
    key.sweep();
    key.await_alive(open.len() + 1);
    for (registration, number) in &open {
        assert_eq!(key.at(registration.at()), Some(vec![*number]));
    }
    open.clear();
    key.sweep();
    key.await_alive(1);
}

#[test]
fn what_the_engine_drops_is_freed() {
    let mut key = OneKey::new();
    for _ in 0..10 {
        key.set(b"x");
    }
    let alive = Arc::clone(&key.alive);
    drop(key);
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}

#[test]
fn snapshots_beyond_the_slots_are_seen_too() {
    let registry = Arc::new(Registry::new());
    let guard = epoch::pin();
    let at = |stamp| registry.register(Stamp::new(stamp), &guard);
    let many: Vec<_> = (100..300).map(at).collect();
    assert_eq!(registry.oldest(), Some(Stamp::new(100)));
    assert_eq!(registry.open_count(), 200);
    let (slots, overflow): (Vec<_>, Vec<_>) = many
        .into_iter()
        .partition(|registration| registration.at() < Stamp::new(200));
    drop(slots);
    assert_eq!(registry.oldest(), Some(Stamp::new(200)));
    assert!(registry.horizon().holds(Stamp::new(250), Stamp::new(251)));
    drop(overflow);
    assert_eq!(registry.oldest(), None);
    assert_eq!(registry.closed_count(), 200);
}

#[test]
fn a_horizon_holds_what_lies_under_a_snapshot() {
    let registry = Arc::new(Registry::new());
    let guard = epoch::pin();
    let _open = [3, 7].map(|at| registry.register(Stamp::new(at), &guard));
    let horizon = registry.horizon();
    assert!(horizon.has_snapshots());
    assert!(!Registry::new().horizon().has_snapshots());
    let holds = |from, until| horizon.holds(Stamp::new(from), Stamp::new(until));
    assert!(holds(3, 4) && holds(1, 8) && holds(7, 9) && holds(4, 8));
    assert!(!holds(1, 3) && !holds(4, 7) && !holds(3, 3) && !holds(8, 20));
}

fn commit<'g>(records: &[RecordRef<'g, Counted>], alive: &Arc<AtomicU64>) -> Install<'g, Counted> {
    let mut install = Install::new();
    for record in records {
        install.link(
            *record,
            Draft::new(1, b"new", Counted::new(alive)).expect("there is memory"),
        );
    }
    install
}

/// Three records, two of which hold a version of stamp 1 and 2.
fn three_records(alive: &Arc<AtomicU64>, counter: &StampCounter) -> [RecordPtr<Counted>; 3] {
    let records = [0, 1, 2].map(|hash| RecordPtr::new(hash, b"k").expect("there is memory"));
    for record in &records[..2] {
        let draft = Draft::new(1, b"old", Counted::new(alive)).expect("there is memory");
        publish_one(record.get(&epoch::pin()), draft, counter);
    }
    records
}

/// Frees the records, with their newest version each; whatever that supersedes is given up first.
fn give_up(records: &[RecordPtr<Counted>], until: Stamp) {
    let guard = epoch::pin();
    for record in records {
        let record = record.get(&guard);
        if let Some(head) = record.head() {
            drop(Superseded::by(record, head, until));
        }
        record.ptr().retire(Share::unlimited().freed(), &guard);
    }
}

fn await_none(alive: &AtomicU64) {
    while alive.load(Ordering::Relaxed) > 0 {
        epoch::pin().flush();
    }
}

#[test]
fn a_commit_gives_one_stamp_to_all_it_links() {
    let (alive, counter) = (Arc::default(), StampCounter::new());
    let records = three_records(&alive, &counter);
    let guard = epoch::pin();
    let linked = records.map(|record| record.get(&guard));
    let install = commit(&linked, &alive);
    let before = counter.latest();
    let read = |at| linked.map(|record| record.at(at, &counter).map(|(_, stamp)| stamp));
    assert_eq!(
        read(before),
        [Some(Stamp::new(1)), Some(Stamp::new(2)), None]
    );
    let stamp = install.publish(&counter);
    assert_eq!(read(stamp), [Some(stamp); 3]);
    assert_eq!(
        read(before),
        [Some(Stamp::new(1)), Some(Stamp::new(2)), None]
    );
    drop(install);
    drop(guard);
    give_up(&records, stamp);
    await_none(&alive);
}

#[test]
fn a_commit_taken_back_leaves_what_was_there() {
    let (alive, counter) = (Arc::default(), StampCounter::new());
    let records = three_records(&alive, &counter);
    let guard = epoch::pin();
    let linked = records.map(|record| record.get(&guard));
    let install = commit(&linked, &alive);
    let refused = install.publish_validated(&counter, |_| Verdict::Changed);
    assert_eq!(refused, Err(Refused::Changed));
    install.roll_back(Share::unlimited().freed(), &guard);
    let newest = linked.map(|record| record.newest(&counter).map(|(version, _)| version.bytes()));
    assert_eq!(newest, [Some(&b"old"[..]), Some(&b"old"[..]), None]);
    drop(guard);
    give_up(&records, counter.latest());
    await_none(&alive);
}

#[test]
fn a_validation_that_is_always_kicked_gives_up() {
    let (alive, counter) = (Arc::default(), StampCounter::new());
    let records = three_records(&alive, &counter);
    let guard = epoch::pin();
    let linked = records.map(|record| record.get(&guard));
    let install = commit(&linked, &alive);
    let busy = install.publish_validated(&counter, |_| {
        // A reader comes by, and must not see what may not be committed.
        let seen = linked[0]
            .newest(&counter)
            .map(|(version, _)| version.bytes());
        assert_eq!(seen, Some(&b"old"[..]));
        Verdict::Unchanged
    });
    assert_eq!(busy, Err(Refused::Busy));
    install.roll_back(Share::unlimited().freed(), &guard);
    drop(guard);
    give_up(&records, counter.latest());
    await_none(&alive);
}

#[test]
fn a_commit_has_the_stamp_that_it_foresaw_or_none() {
    // A13
    let (alive, counter) = (Arc::default(), StampCounter::new());
    let records = three_records(&alive, &counter);
    let guard = epoch::pin();
    let linked = records.map(|record| record.get(&guard));
    let read = || linked[0].newest(&counter).map(|(_, stamp)| stamp);
    let before = read();
    let publish = |foreseen: Stamp, is_kicked: bool| {
        let install = commit(&linked, &alive);
        let outcome = install.publish_at(foreseen, &counter, |_| {
            if is_kicked {
                assert_eq!(read(), before);
            }
            Verdict::Unchanged
        });
        match outcome {
            Ok(_) => drop(install),
            Err(_) => install.roll_back(Share::unlimited().freed(), &guard),
        }
        outcome
    };
    let latest = counter.latest();
    let next = |by| Stamp::new(latest.get() + by);
    // It has been minted.
    assert_eq!(publish(latest, false), Err(Refused::Gone));
    assert_eq!(read(), before);
    assert_eq!(counter.latest(), latest);
    // A reader comes by: the stamp is minted, and nobody's.
    assert_eq!(publish(next(1), true), Err(Refused::Busy));
    assert_eq!(read(), before);
    assert_eq!(counter.latest(), next(1));
    assert_eq!(publish(next(1), false), Err(Refused::Gone));
    // A few are left out.
    assert_eq!(publish(next(5), false), Ok(next(5)));
    assert_eq!(read(), Some(next(5)));
    assert_eq!(counter.mint(), next(6));
    drop(guard);
    give_up(&records, counter.latest());
    await_none(&alive);
}

#[test]
fn a_commit_examines_what_lies_below_its_own_versions() {
    let (alive, counter) = (Arc::default(), StampCounter::new());
    let records = three_records(&alive, &counter);
    let guard = epoch::pin();
    let linked = records.map(|record| record.get(&guard));
    let install = commit(&linked[..1], &alive);
    let other = commit(&linked[2..], &alive);
    let examine = |record, at| install.examine(record, Stamp::new(at));
    assert_eq!(examine(linked[0], 2), Verdict::Unchanged);
    assert_eq!(examine(linked[0], 0), Verdict::Changed);
    assert_eq!(examine(linked[1], 2), Verdict::Unchanged);
    assert_eq!(examine(linked[1], 1), Verdict::Changed);
    assert_eq!(examine(linked[2], 2), Verdict::Busy);
    other.roll_back(Share::unlimited().freed(), &guard);
    assert_eq!(examine(linked[2], 2), Verdict::Unchanged);
    let stamp = install.publish(&counter);
    drop(install);
    drop(guard);
    give_up(&records, stamp);
    await_none(&alive);
}

fn found(table: &Table<Counted>, hash: u64, key: &[u8], guard: &Guard) -> bool {
    table.find(hash, key, guard).is_some()
}

/// Few hashes and many keys: every probe meets strangers, and vacated slots.
#[test]
fn a_table_finds_what_a_map_finds() {
    let seed = 0x6b76_6963;
    let mut random = StdRng::seed_from_u64(seed);
    let table = Table::<Counted>::new();
    let mut occupancy = Occupancy::default();
    let mut share = Share::unlimited();
    let mut model = BTreeMap::new();
    let steps = if cfg!(miri) { 300 } else { 30_000 };
    for step in 0..steps {
        let guard = epoch::pin();
        let key = random.random_range(0_u16..400).to_be_bytes();
        let hash = u64::from(key[1] % 13) << 48 | u64::from(key[1] % 31);
        // Long stretches of growing and of shrinking.
        let is_growing = (step / 2_000) % 2 == 0;
        match model.get(&key) {
            None if random.random_bool(if is_growing { 0.8 } else { 0.2 }) => {
                let record = RecordPtr::new(hash, &key).expect("there is memory");
                table
                    .insert(&mut occupancy, &mut share, record, &guard)
                    .expect("there is memory");
                model.insert(key, record);
            }
            Some(record) if random.random_bool(if is_growing { 0.2 } else { 0.8 }) => {
                let record: RecordPtr<Counted> = *record;
                table.remove(&mut occupancy, &mut share, record.get(&guard), &guard);
                record.retire(Share::unlimited().freed(), &guard);
                model.remove(&key);
            }
            _ => {}
        }
        let probe = random.random_range(0_u16..400).to_be_bytes();
        let hash = u64::from(probe[1] % 13) << 48 | u64::from(probe[1] % 31);
        let is_there = model.contains_key(&probe);
        assert_eq!(
            found(&table, hash, &probe, &guard),
            is_there,
            "seed {seed:#x}, step {step}"
        );
    }
}

fn lock<'a, W>(stripes: &'a Stripes<W>, set: &StripeSet) -> Locked<'a, W> {
    let mut locked = Locked::new();
    stripes.lock(set, &mut locked).expect("there is memory");
    locked
}

fn lock_all<W>(stripes: &Stripes<W>) -> Locked<'_, W> {
    let mut locked = Locked::new();
    stripes.lock_all(&mut locked).expect("there is memory");
    locked
}

#[test]
fn a_set_locks_its_stripes_and_no_others() {
    let mut random = StdRng::seed_from_u64(5);
    let stripes = Stripes::new(8, || false);
    assert_eq!(stripes.count(), STRIPES_MAX);
    for _ in 0..if cfg!(miri) { 4 } else { 100 } {
        let chosen: BTreeSet<usize> = (0..random.random_range(0..40))
            .map(|_| random.random_range(0..STRIPES_MAX))
            .collect();
        let mut set = StripeSet::default();
        for stripe in &chosen {
            set.insert(*stripe);
        }
        let mut locked = lock(&stripes, &set);
        for state in locked.iter_mut() {
            *state = true;
        }
        for stripe in &chosen {
            assert!(*locked.stripe(*stripe));
        }
        drop(locked);
        for (stripe, state) in lock_all(&stripes).iter_mut().enumerate() {
            assert_eq!(std::mem::take(state), chosen.contains(&stripe));
        }
    }
}

#[test]
fn a_stripe_is_named_by_the_top_bits() {
    assert_eq!(stripe_of(u64::MAX, 8), 255);
    assert_eq!(stripe_of(u64::MAX, 4), 15);
    assert_eq!(stripe_of(1 << 63, 1), 1);
    assert_eq!(stripe_of(u64::MAX, 0), 0);
    let stripes = Stripes::new(4, || 0_u32);
    assert_eq!(stripes.count(), 16);
    let mut set = StripeSet::default();
    set.insert(3);
    set.insert(15);
    let mut locked = lock(&stripes, &set);
    *locked.stripe(15) += 1;
    drop(locked);
    assert_eq!(*stripes.lock_one(15), 1);
    assert_eq!(
        lock_all(&stripes)
            .iter_mut()
            .map(|state| *state)
            .sum::<u32>(),
        1
    );
}

/// A record with a value, in no index.
fn unindexed(number: u64, alive: &Arc<AtomicU64>, counter: &StampCounter) -> RecordPtr<Counted> {
    let record = RecordPtr::new(number, &number.to_be_bytes()).expect("there is memory");
    let draft = Draft::new(1, b"value", Counted::new(alive)).expect("there is memory");
    publish_one(record.get(&epoch::pin()), draft, counter);
    record
}

#[test]
fn records_that_are_retired_in_batches_are_freed_by_who_asks_for_it() {
    // More than fill one batch; the rest when it is finished, or dropped.
    for is_finished in [true, false] {
        let (alive, counter) = (Arc::default(), StampCounter::new());
        let ripe = Arc::new(Ripe::new());
        let mut retiring = Retiring::new(&ripe);
        let mut handed_over = 0;
        for number in 0..600_u64 {
            let guard = epoch::pin();
            let record = unindexed(number, &alive, &counter);
            handed_over +=
                u32::from(retiring.retire(record.get(&guard), Share::unlimited().freed(), &guard));
            assert!(record.get(&guard).is_retired());
        }
        assert_eq!(handed_over, 2);
        if is_finished {
            retiring.finish(&epoch::pin());
        } else {
            drop(retiring);
        }
        assert_eq!(alive.load(Ordering::Relaxed), 600);
        while alive.load(Ordering::Relaxed) > 0 {
            epoch::pin().flush();
            ripe.free();
        }
    }
}

#[test]
fn batches_are_freed_in_parts_as_well() {
    let (alive, counter) = (Arc::default(), StampCounter::new());
    let ripe = Arc::new(Ripe::new());
    let mut share = Share::unlimited();
    let retire = |numbers: std::ops::Range<u64>, share: &mut Share| {
        let mut retiring = Retiring::new(&ripe);
        for number in numbers {
            let guard = epoch::pin();
            let record = unindexed(number, &alive, &counter);
            retiring.retire(record.get(&guard), share.freed(), &guard);
        }
        retiring.finish(&epoch::pin());
    };
    for begin in [0, 100, 103] {
        retire(begin..begin + 100, &mut share);
    }
    let all = ripe.bytes();
    let alive = || alive.load(Ordering::Relaxed);
    assert!(all > 300_000 && alive() == 300);
    while !ripe.free_some(1) {
        epoch::pin().flush();
    }
    assert_eq!(alive(), 299);
    let mut left = 299;
    while left > 0 {
        epoch::pin().flush();
        let is_freed = ripe.free_some(7);
        let freed = left - alive();
        assert!(freed <= 7 && (is_freed || freed == 0));
        left -= freed;
        // What is left takes as much as so many of all do, about.
        let (bytes, expected) = (ripe.bytes(), all / 300 * left);
        assert!(
            bytes.abs_diff(expected) <= all / 300,
            "{bytes} of {expected}"
        );
    }
    assert_eq!(ripe.bytes(), 0);
}

#[test]
fn a_batch_that_nobody_asks_for_is_freed_in_the_end() {
    let (alive, counter) = (Arc::default(), StampCounter::new());
    let ripe = Arc::new(Ripe::new());
    let mut retiring = Retiring::new(&ripe);
    let guard = epoch::pin();
    let record = unindexed(1, &alive, &counter);
    retiring.retire(record.get(&guard), Share::unlimited().freed(), &guard);
    retiring.finish(&guard);
    drop(guard);
    drop(ripe);
    await_none(&alive);
}

#[test]
fn a_commit_that_another_has_decided_counts_as_helped_once() {
    let counter = StampCounter::new();
    let own = StampWord::ready();
    let decided = own.decide(&counter);
    assert_eq!(own.resolve(&counter), Some(decided));
    assert_eq!(counter.helped_count(), 0, "its writer has decided it");
    let word = StampWord::installing();
    assert_eq!(word.resolve(&counter), None);
    assert_eq!(counter.helped_count(), 0, "it is passed by");
    word.make_ready();
    let helped = word.resolve(&counter);
    assert_eq!(counter.helped_count(), 1);
    assert_eq!(word.resolve(&counter), helped);
    // Its writer comes too late, and has not helped.
    assert_eq!(Some(word.decide(&counter)), helped);
    assert_eq!(counter.helped_count(), 1);
}
