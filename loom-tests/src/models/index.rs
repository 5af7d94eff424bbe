//! The ordered index, with a map in the place of the skiplist: insertions and removals that split
//! and unlink leaves, against each other and against walks.

use super::{Canary, Participant, at_once, check, free_all, join, must_fail, must_fail_by};
use crate::index::OrderedIndex;
use crate::memory::FREED;
use crate::mvcc::chain::{RecordPtr, RecordRef};
use crate::mvcc::quota::{Meter, Share};
use crate::sync::epoch::{Collector, Guard};
use crate::sync::{Planted, set_has_shortcuts};
use loom::thread::JoinHandle;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

/// An index, and the records in it.
struct Model {
    index: OrderedIndex<Canary>,
    records: Mutex<BTreeMap<u8, RecordPtr<Canary>>>,
    collector: Collector,
}

impl Model {
    /// An index with these keys, inserted in this order.
    fn new(keys: &[u8]) -> Arc<Self> {
        let model = Self {
            index: OrderedIndex::new(Meter::unlimited()),
            records: Mutex::default(),
            collector: Collector::new(),
        };
        let me = model.participant();
        for key in keys {
            model.insert(*key, &me.pin());
        }
        me.turn_epoch();
        drop(me);
        Arc::new(model)
    }

    fn participant(&self) -> Participant {
        Participant::of(&self.collector)
    }

    fn insert(&self, key: u8, guard: &Guard) {
        let record = RecordPtr::new(key.into(), &[key]).expect("there is memory");
        let mut records = self.records.lock().expect("no thread panics");
        records.insert(key, record);
        drop(records);
        self.index.insert(record, guard).expect("there is memory");
    }

    fn take(&self, key: u8) -> RecordPtr<Canary> {
        let mut records = self.records.lock().expect("no thread panics");
        records.remove(&key).expect("it was inserted")
    }

    fn remove(&self, key: u8, guard: &Guard) {
        let record = self.take(key);
        self.index.remove(record.get(guard), guard);
        record.retire(Share::unlimited().freed(), guard);
    }

    /// The keys that a walk meets, in the order in which it does. Of each record it looks at the
    /// head of the chain.
    fn ascending(&self, guard: &Guard) -> Vec<u8> {
        keys(self.index.ascend(&[], None, guard))
    }

    fn descending(&self, guard: &Guard) -> Vec<u8> {
        let mut keys = keys(self.index.descend(&[], None, guard));
        keys.reverse();
        keys
    }

    /// That exactly these are there.
    fn assert_has(&self, expected: &[u8], guard: &Guard) {
        assert_eq!(self.ascending(guard), expected, "INDEXED: a key is lost");
        assert_eq!(self.descending(guard), expected, "INDEXED: a key is lost");
    }
}

fn keys<'g>(walk: impl Iterator<Item = RecordRef<'g, Canary>>) -> Vec<u8> {
    walk.map(|record| {
        assert!(record.head().is_none());
        record.key()[0]
    })
    .collect()
}

impl Drop for Model {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        free_all(self.records.lock().expect("no thread panics").values());
    }
}

fn spawn<R: 'static>(
    model: &Arc<Model>,
    run: impl FnOnce(&Model, &Participant) -> R + 'static,
) -> JoinHandle<(Participant, R)> {
    let model = Arc::clone(model);
    let participant = model.participant();
    loom::thread::spawn(move || {
        let result = run(&model, &participant);
        (participant, result)
    })
}

/// INDEXED: two writers, and what both did is there.
fn two_writers(
    keys: &'static [u8],
    one: fn(&Model, &Guard),
    other: fn(&Model, &Guard),
    after: &'static [u8],
) {
    let model = Model::new(keys);
    let writer = spawn(&model, move |model, me| other(model, &me.pin()));
    let me = model.participant();
    one(&model, &me.pin());
    join(writer);
    me.turn_epoch();
    model.assert_has(after, &me.pin());
}

/// A leaf is split under the one that waits for it with a higher key.
fn two_insertions_into_a_full_leaf() {
    two_writers(
        &[2, 6],
        |model, guard| model.insert(4, guard),
        |model, guard| model.insert(8, guard),
        &[2, 4, 6, 8],
    );
}

/// The last record of a leaf goes, and a key comes that would have belonged to it.
fn an_insertion_into_a_leaf_that_dies() {
    two_writers(
        &[2, 4, 6],
        |model, guard| model.remove(6, guard),
        |model, guard| model.insert(7, guard),
        &[2, 4, 7],
    );
}

/// Two leaves die that follow each other: of `[2, 3]`, `[4, 5]`, `[6]`, the latter two.
fn two_neighbours_die() {
    two_writers(
        &[2, 3, 4, 5, 6],
        |model, guard| {
            model.remove(4, guard);
            model.remove(5, guard);
        },
        |model, guard| model.remove(6, guard),
        &[2, 3],
    );
}

/// Explores the model twice: leaves are found by the shortcut, or by the directory alone.
fn check_both(model: impl Fn() + Copy + Send + Sync + 'static) {
    for has_shortcuts in [true, false] {
        set_has_shortcuts(has_shortcuts);
        check(model);
    }
    set_has_shortcuts(true);
}

#[test]
fn inserted_record_is_met() {
    check_both(two_insertions_into_a_full_leaf);
    check_both(an_insertion_into_a_leaf_that_dies);
    check_both(two_neighbours_die);
}

#[test]
fn inserted_record_is_met_twin_passed_leaf() {
    must_fail(
        Planted::PassedLeaf,
        "a key is lost",
        two_insertions_into_a_full_leaf,
    );
}

#[test]
fn inserted_record_is_met_twin_dead_leaf() {
    must_fail(
        Planted::DeadLeaf,
        "a key is lost",
        an_insertion_into_a_leaf_that_dies,
    );
}

/// What stays is met once, in order, whatever is split or unlinked meanwhile.
fn a_walk_meets(
    walk: fn(&Model, &Guard) -> Vec<u8>,
    (keys, stay): (&'static [u8], &'static [u8]),
    change: fn(&Model, &Guard),
) {
    let model = Model::new(keys);
    let walker = spawn(&model, move |model, me| walk(model, &me.pin()));
    let me = model.participant();
    change(&model, &me.pin());
    me.turn_epoch();
    let met = join(walker);
    assert!(met.is_sorted_by(|one, next| one < next), "met {met:?}");
    let is_met = |key| met.contains(key);
    assert!(stay.iter().all(is_met), "VISIBLE: met only {met:?}");
}

const SPLIT: (&[u8], &[u8]) = (&[2, 6], &[2, 6]);

fn split(model: &Model, guard: &Guard) {
    model.insert(4, guard);
}

/// The leaf in the middle goes: of `[2]`, `[4]`, `[5, 6]`.
const UNLINKED: (&[u8], &[u8]) = (&[2, 6, 4, 5], &[2, 5, 6]);

fn unlink(model: &Model, guard: &Guard) {
    model.remove(4, guard);
}

#[test]
fn record_that_stays_is_met() {
    for walk in [Model::ascending, Model::descending] {
        check_both(move || a_walk_meets(walk, SPLIT, split));
        check_both(move || a_walk_meets(walk, UNLINKED, unlink));
    }
}

#[test]
fn record_that_stays_is_met_twin_torn_split() {
    must_fail(Planted::TornSplit, "VISIBLE", || {
        a_walk_meets(Model::ascending, SPLIT, split);
    });
}

#[test]
fn record_that_stays_is_met_twin_unseen_split() {
    must_fail(Planted::UnseenSplit, "VISIBLE", || {
        a_walk_meets(Model::descending, SPLIT, split);
    });
}

#[test]
fn record_that_stays_is_met_twin_kept_shortcut() {
    must_fail(Planted::KeptShortcut, FREED, || {
        a_walk_meets(Model::descending, UNLINKED, unlink);
    });
}

#[test]
fn record_that_stays_is_met_twin_freed_at_once() {
    must_fail_by("an unlinked leaf is freed at once", FREED, || {
        a_walk_meets(Model::ascending, UNLINKED, |model, guard| {
            let record = model.take(4);
            model.index.remove(record.get(guard), at_once(guard));
            record.retire(Share::unlimited().freed(), guard);
        });
    });
}

/// A walk between two keys of the upper half of a leaf, which is split meanwhile.
fn a_bounded_walk_meets_a_split() {
    let model = Model::new(&[2, 6]);
    let walker = spawn(&model, |model, me| {
        let guard = me.pin();
        let ascending = keys(model.index.ascend(&[5], Some(&[6]), &guard));
        let descending = keys(model.index.descend(&[5], Some(&[6]), &guard));
        (ascending, descending)
    });
    let me = model.participant();
    split(&model, &me.pin());
    let (ascending, descending) = join(walker);
    assert!(ascending.is_empty(), "met {ascending:?}");
    assert!(descending.is_empty(), "met {descending:?}");
}

#[test]
fn walk_keeps_its_bounds() {
    check_both(a_bounded_walk_meets_a_split);
}

#[test]
fn walk_keeps_its_bounds_twin() {
    must_fail(
        Planted::UnseenStart,
        "met [4]",
        a_bounded_walk_meets_a_split,
    );
}

/// INDEXED, PINNED: a record is removed, and freed, under a walk that may have found it.
fn a_walk_meets_a_removal(retire: fn(&Model, &Guard)) {
    let model = Model::new(&[2, 6]);
    let walker = spawn(&model, |model, me| model.ascending(&me.pin()));
    let me = model.participant();
    retire(&model, &me.pin());
    me.turn_epoch();
    let met = join(walker);
    assert!(met == [2] || met == [2, 6], "met {met:?}");
}

#[test]
fn removed_record_is_gone() {
    check_both(|| a_walk_meets_a_removal(|model, guard| model.remove(6, guard)));
}

#[test]
fn removed_record_is_gone_twin() {
    must_fail_by("retired before it is removed", FREED, || {
        a_walk_meets_a_removal(|model, guard| {
            let record = model.take(6);
            record.retire(Share::unlimited().freed(), guard);
            // Sends it off.
            guard.flush();
            model.index.remove(record.get(guard), guard);
        });
    });
}
