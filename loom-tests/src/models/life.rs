//! The life of a key: created, deleted, pruned to nothing, removed from both indexes, retired, and
//! created again, under readers that come by either index.
//!
//! The ordered index is a locked map with the operations of the real one. It synchronises more than
//! that does, so what is proven is the order of the steps, not the orderings of the index.

use super::{
    Canary, Core, Participant, at_once, check, draft, join, must_fail, must_fail_by, read, spawn,
    unpinned,
};
use crate::mvcc::chain::{Draft, RecordPtr, RecordRef, Retiring, Ripe, TOMBSTONE};
use crate::mvcc::point::{Occupancy, Table};
use crate::mvcc::quota::Share;
use crate::sync::epoch::Guard;
use crate::sync::{Mutex, Planted};
use crate::version::Stamp;
use std::collections::BTreeMap;
use std::sync::Arc;

const HASH: u64 = 1;
const KEY: &[u8] = b"key";

/// One stripe of an engine.
struct Engine {
    core: Arc<Core>,
    table: Table<Canary>,
    occupancy: Mutex<Occupancy>,
    ordered: Mutex<BTreeMap<Vec<u8>, RecordPtr<Canary>>>,
}

impl Engine {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            core: Core::new(0),
            table: Table::new(),
            occupancy: Mutex::new(Occupancy::default()),
            ordered: Mutex::new(BTreeMap::new()),
        })
    }

    fn by_hash<'g>(&self, guard: &'g Guard) -> Option<RecordRef<'g, Canary>> {
        self.table.find(HASH, KEY, guard)
    }

    fn by_order<'g>(&self, guard: &'g Guard) -> Option<RecordRef<'g, Canary>> {
        let record = self.ordered.lock().get(KEY).copied();
        record.map(|record| record.get(guard))
    }

    /// Commits one version of the key. LOCK ORDER: the stripe, then the ordered index.
    fn commit(&self, version: Draft<Canary>, guard: &Guard) -> Stamp {
        self.commit_to(Self::by_hash, version, guard)
    }

    /// Commits to the record that `find` finds behind the lock.
    fn commit_to<'g>(
        &self,
        find: impl FnOnce(&Self, &'g Guard) -> Option<RecordRef<'g, Canary>>,
        version: Draft<Canary>,
        guard: &'g Guard,
    ) -> Stamp {
        let mut occupancy = self.occupancy.lock();
        let record = find(self, guard).unwrap_or_else(|| self.create(&mut occupancy, guard));
        self.core.publish_one(record, version)
    }

    /// A record for the key, which has none. The caller holds the stripe.
    fn create<'g>(&self, occupancy: &mut Occupancy, guard: &'g Guard) -> RecordRef<'g, Canary> {
        let record = RecordPtr::new(HASH, KEY).expect("there is memory");
        self.table
            .insert(occupancy, &mut Share::unlimited(), record, guard)
            .expect("there is memory");
        self.ordered.lock().insert(KEY.to_vec(), record);
        record.get(guard)
    }

    /// Frees what was superseded, and buries the key where nothing is left but a tombstone.
    fn sweep(&self, bury: Bury, guard: &Guard) {
        let mut occupancy = self.occupancy.lock();
        let horizon = self.core.registry.horizon();
        self.core.sweep(&horizon, guard);
        let record = self.by_hash(guard).expect("it was not buried before");
        let (head, until) = record.settled_head().expect("it was committed");
        if head.is_tombstone() && horizon.is_past(until) {
            bury(self, &mut occupancy, record, guard);
        }
    }
}

type Bury = fn(&Engine, &mut Occupancy, RecordRef<'_, Canary>, &Guard);

fn bury(engine: &Engine, occupancy: &mut Occupancy, record: RecordRef<'_, Canary>, guard: &Guard) {
    engine
        .table
        .remove(occupancy, &mut Share::unlimited(), record, guard);
    engine.ordered.lock().remove(KEY);
    record.ptr().retire(Share::unlimited().freed(), guard);
}

type Find = for<'g> fn(&Engine, &'g Guard) -> Option<RecordRef<'g, Canary>>;

/// The engine with a key that was deleted, and a grace beyond that.
fn with_a_deleted_key() -> (Arc<Engine>, Participant) {
    let engine = Engine::new();
    let me = engine.core.participant();
    engine.commit(draft(1), &me.pin());
    engine.commit(
        Draft::new(TOMBSTONE, &[], Canary::new()).expect("there is memory"),
        &me.pin(),
    );
    engine.core.raise_grace(&me);
    (engine, me)
}

/// INDEXED, PINNED: a key is buried under a reader that has found it.
fn a_reader_meets_a_burial(find: Find, bury: Bury) {
    let (engine, me) = with_a_deleted_key();
    let shared = Arc::clone(&engine);
    let reader = spawn(&engine.core, move |core, me| {
        let guard = me.pin();
        if let Some(record) = find(&shared, &guard) {
            assert_eq!(record.key(), KEY, "PINNED: a key that was freed");
            if let Some((version, _)) = record.newest(&core.counter) {
                version.extra().listen();
                assert!(version.is_tombstone());
            }
        }
    });
    engine.sweep(bury, &me.pin());
    me.turn_epoch();
    join(reader);
}

#[test]
fn buried_record_outlives_its_readers() {
    check(|| a_reader_meets_a_burial(Engine::by_hash, bury));
}

#[test]
fn buried_record_outlives_its_readers_twin() {
    must_fail_by(
        "retired before it left the table",
        "Causality violation",
        || {
            a_reader_meets_a_burial(Engine::by_hash, |engine, occupancy, record, guard| {
                engine.ordered.lock().remove(KEY);
                record.ptr().retire(Share::unlimited().freed(), guard);
                // Sends it off.
                guard.flush();
                engine
                    .table
                    .remove(occupancy, &mut Share::unlimited(), record, guard);
            });
        },
    );
}

#[test]
fn buried_record_outlives_its_scanners() {
    check(|| a_reader_meets_a_burial(Engine::by_order, bury));
}

#[test]
fn buried_record_outlives_its_scanners_twin() {
    must_fail_by(
        "retired before it left the ordered index",
        "Causality violation",
        || {
            a_reader_meets_a_burial(Engine::by_order, |engine, occupancy, record, guard| {
                engine
                    .table
                    .remove(occupancy, &mut Share::unlimited(), record, guard);
                record.ptr().retire(Share::unlimited().freed(), guard);
                // Sends it off.
                guard.flush();
                engine.ordered.lock().remove(KEY);
            });
        },
    );
}

/// PINNED: the same, where the record goes with a batch.
fn a_reader_meets_a_batch(guard_of: fn(&Guard) -> &Guard) {
    let (engine, me) = with_a_deleted_key();
    let shared = Arc::clone(&engine);
    let reader = spawn(&engine.core, move |core, me| {
        let guard = me.pin();
        if let Some(record) = shared.by_hash(&guard) {
            assert_eq!(record.key(), KEY, "PINNED: a key that was freed");
            if let Some((version, _)) = record.newest(&core.counter) {
                version.extra().listen();
            }
        }
    });
    let ripe = Arc::new(Ripe::new());
    {
        let guard = me.pin();
        let mut occupancy = engine.occupancy.lock();
        let record = engine.by_hash(&guard).expect("it was not buried before");
        engine
            .table
            .remove(&mut occupancy, &mut Share::unlimited(), record, &guard);
        engine.ordered.lock().remove(KEY);
        let mut retiring = Retiring::new(&ripe);
        retiring.retire(record, Share::unlimited().freed(), &guard);
        drop(occupancy);
        retiring.finish(guard_of(&guard));
    }
    me.turn_epoch();
    ripe.free();
    join(reader);
}

#[test]
fn record_of_a_batch_outlives_its_readers() {
    check(|| a_reader_meets_a_batch(|guard| guard));
}

#[test]
fn record_of_a_batch_outlives_its_readers_twin() {
    must_fail_by("ripe at once", "Causality violation", || {
        a_reader_meets_a_batch(at_once);
    });
}

/// RIPE: two free what is ripe, a part at a time, while more becomes so: each record once.
fn two_free_what_is_ripe() {
    let core = Core::new(0);
    let ripe = Arc::new(Ripe::new());
    let retire = |ripe: &Arc<Ripe<Canary>>, keys: &[&[u8]]| {
        let mut retiring = Retiring::new(ripe);
        for key in keys {
            let record = RecordPtr::new(HASH, key).expect("there is memory");
            // Nobody has come to it.
            let guard = unpinned();
            retiring.retire(record.get(guard), Share::unlimited().freed(), guard);
        }
        retiring.finish(unpinned());
    };
    retire(&ripe, &[b"a", b"b"]);
    let shared = Arc::clone(&ripe);
    let other = spawn(&core, move |_, _| shared.free_some(1));
    retire(&ripe, &[b"c"]);
    ripe.free_some(1);
    join(other);
    ripe.free();
    assert_eq!(ripe.bytes(), 0);
}

#[test]
fn batches_are_freed_once_by_two() {
    check(two_free_what_is_ripe);
}

#[test]
fn batches_are_freed_once_by_two_twin() {
    must_fail(
        Planted::WeakRipe,
        "Causality violation",
        two_free_what_is_ripe,
    );
}

type Create = fn(&Engine, Draft<Canary>, &Guard) -> Stamp;

/// VISIBLE: a key is buried and created again, under a snapshot that comes by either index.
fn a_snapshot_meets_a_second_life(find: Find, create: Create) {
    let (engine, me) = with_a_deleted_key();
    let shared = Arc::clone(&engine);
    let reader = spawn(&engine.core, move |core, me| {
        let guard = me.pin();
        let at = core.counter.latest();
        let found = find(&shared, &guard).and_then(|record| record.at(at, &core.counter));
        let found = found.filter(|(version, _)| !version.is_tombstone());
        (at, found.map(read))
    });
    engine.sweep(bury, &me.pin());
    let stamp = create(&engine, draft(2), &me.pin());
    let (at, found) = join(reader);
    assert_eq!(found, (stamp <= at).then_some((2, stamp)), "VISIBLE");
}

#[test]
fn second_life_is_visible_by_hash() {
    check(|| a_snapshot_meets_a_second_life(Engine::by_hash, Engine::commit));
}

#[test]
fn second_life_is_visible_in_order() {
    check(|| a_snapshot_meets_a_second_life(Engine::by_order, Engine::commit));
}

#[test]
fn second_life_is_visible_in_order_twin() {
    must_fail_by(
        "committed before it is in the ordered index",
        "VISIBLE",
        || {
            a_snapshot_meets_a_second_life(Engine::by_order, |engine, version, guard| {
                let mut occupancy = engine.occupancy.lock();
                let record = RecordPtr::new(HASH, KEY).expect("there is memory");
                engine
                    .table
                    .insert(&mut occupancy, &mut Share::unlimited(), record, guard)
                    .expect("there is memory");
                let stamp = engine.core.publish_one(record.get(guard), version);
                engine.ordered.lock().insert(KEY.to_vec(), record);
                stamp
            });
        },
    );
}

/// Whether a record that was found before the stripe was locked is taken for the one of its key.
type StillThere = fn(RecordRef<'_, Canary>) -> bool;

/// INDEXED: a key leaves the indexes between the lookup and the lock of a commit.
fn a_commit_meets(
    leave: fn(&Engine, &Guard),
    (engine, me): (Arc<Engine>, Participant),
    still_there: StillThere,
) {
    let shared = Arc::clone(&engine);
    let committer = spawn(&engine.core, move |_, me| {
        let guard = me.pin();
        let found = shared.by_hash(&guard);
        let find_again = |engine: &Engine, guard| {
            found
                .filter(|record| still_there(*record))
                .or_else(|| engine.by_hash(guard))
        };
        shared.commit_to(find_again, draft(2), &guard)
    });
    let shared = Arc::clone(&engine);
    let other = spawn(&engine.core, move |_, me| leave(&shared, &me.pin()));
    let stamp = join(committer);
    join(other);
    let guard = me.pin();
    for find in [Engine::by_hash, Engine::by_order] {
        let found = find(&engine, &guard).and_then(|record| record.newest(&engine.core.counter));
        assert_eq!(found.map(read), Some((2, stamp)), "a commit that is lost");
    }
}

/// The key was deleted, and is swept.
fn a_commit_meets_a_burial(still_there: StillThere) {
    let sweep = |engine: &Engine, guard: &Guard| engine.sweep(bury, guard);
    a_commit_meets(sweep, with_a_deleted_key(), still_there);
}

/// The key is created, by a commit that is then taken back.
fn a_commit_meets_a_roll_back(still_there: StillThere) {
    let roll_back = |engine: &Engine, guard: &Guard| {
        let mut occupancy = engine.occupancy.lock();
        if engine.by_hash(guard).is_none() {
            let record = engine.create(&mut occupancy, guard);
            bury(engine, &mut occupancy, record, guard);
        }
    };
    let engine = Engine::new();
    let me = engine.core.participant();
    a_commit_meets(roll_back, (engine, me), still_there);
}

#[test]
fn commit_is_not_buried_with_what_it_found() {
    check(|| a_commit_meets_a_burial(|record| !record.is_retired()));
}

#[test]
fn commit_is_not_buried_with_what_it_found_twin() {
    must_fail_by(
        "what was found before the lock is taken for what is there",
        "a commit that is lost",
        || a_commit_meets_a_burial(|_| true),
    );
}

#[test]
fn commit_is_not_taken_back_with_what_it_found() {
    check(|| a_commit_meets_a_roll_back(|record| !record.is_retired()));
}

#[test]
fn commit_is_not_taken_back_with_what_it_found_twin() {
    must_fail_by(
        "what was found before the lock is taken for what is there",
        "a commit that is lost",
        || a_commit_meets_a_roll_back(|_| true),
    );
}
