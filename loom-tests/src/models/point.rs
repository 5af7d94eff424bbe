//! The point index: lookups against insertion, growth and removal. Hashes are chosen: the low bits
//! say at which slot a probe begins.

use super::{
    Canary, Core, Participant, at_once, check, draft, join, must_fail, must_fail_by, read, spawn,
    unpinned,
};
use crate::memory::FREED;
use crate::mvcc::chain::{RecordPtr, RecordRef};
use crate::mvcc::point::{Occupancy, Table};
use crate::mvcc::quota::Share;
use crate::sync::epoch::Guard;
use crate::sync::{Mutex, Planted};
use crate::version::Stamp;
use loom::thread::JoinHandle;
use std::sync::Arc;

/// A table with its stripe.
struct Index {
    table: Table<Canary>,
    occupancy: Mutex<Occupancy>,
    core: Arc<Core>,
}

/// Keys at this distance begin at the same slot, whatever the size of the table.
const SAME_SLOT: u64 = 64;

impl Index {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            table: Table::new(),
            occupancy: Mutex::new(Occupancy::default()),
            core: Core::new(0),
        })
    }

    /// Creates a key and commits a value.
    fn insert(&self, hash: u64, guard: &Guard) -> Stamp {
        let mut occupancy = self.occupancy.lock();
        let record = RecordPtr::new(hash, &hash.to_be_bytes()).expect("there is memory");
        self.table
            .insert(&mut occupancy, &mut Share::unlimited(), record, guard)
            .expect("there is memory");
        self.core.publish_one(record.get(guard), draft(1))
    }

    fn lookup<'g>(&self, hash: u64, guard: &'g Guard) -> Option<RecordRef<'g, Canary>> {
        self.table.find(hash, &hash.to_be_bytes(), guard)
    }

    /// The newest value of a key.
    fn newest(&self, hash: u64, guard: &Guard) -> Option<(u8, Stamp)> {
        let record = self.lookup(hash, guard)?;
        record.newest(&self.core.counter).map(read)
    }

    /// Takes a key out of the table.
    fn remove<'g>(&self, hash: u64, guard: &'g Guard) -> RecordRef<'g, Canary> {
        let mut occupancy = self.occupancy.lock();
        let record = self.lookup(hash, guard).expect("it was inserted");
        self.table
            .remove(&mut occupancy, &mut Share::unlimited(), record, guard);
        record
    }
}

fn spawn_on<R: 'static>(
    index: &Arc<Index>,
    run: impl FnOnce(&Index, &Participant) -> R + 'static,
) -> JoinHandle<(Participant, R)> {
    let index = Arc::clone(index);
    let core = Arc::clone(&index.core);
    spawn(&core, move |_, me| run(&index, me))
}

/// E-TABLE: whoever finds a record finds its key and the head of its chain.
fn a_lookup_meets_an_insertion() {
    let index = Index::new();
    // The table is there already. Nobody pins: the fence of pinning would hide what this is about.
    index.insert(2, unpinned());
    let reader = spawn_on(&index, |index, _| index.newest(1, unpinned()));
    index.insert(1, unpinned());
    assert!(join(reader).is_none_or(|(value, _)| value == 1));
}

#[test]
fn found_record_is_whole() {
    check(a_lookup_meets_an_insertion);
}

#[test]
fn found_record_is_whole_twin() {
    must_fail(
        Planted::WeakSlot,
        "Causality violation",
        a_lookup_meets_an_insertion,
    );
}

/// VISIBLE, through the table: a snapshot at or above the stamp of a new key finds it, also where
/// the table had to grow for it.
fn a_snapshot_looks_for_a_new_key(others: u64, insert: fn(&Index, u64, &Guard) -> Stamp) {
    let index = Index::new();
    let me = index.core.participant();
    for hash in 0..others {
        index.insert(hash, &me.pin());
    }
    let reader = spawn_on(&index, |index, me| {
        let guard = me.pin();
        let at = index.core.counter.latest();
        let found = index.lookup(7, &guard);
        let found = found.and_then(|record| record.at(at, &index.core.counter));
        (at, found.map(read).is_some())
    });
    let stamp = insert(&index, 7, &me.pin());
    let (at, is_found) = join(reader);
    assert_eq!(is_found, stamp <= at, "VISIBLE: a committed key is missing");
}

/// As many keys as the smallest table takes.
const FULL: u64 = 5;

#[test]
fn committed_key_is_found() {
    check(|| a_snapshot_looks_for_a_new_key(1, Index::insert));
}

#[test]
fn committed_key_is_found_in_a_grown_table() {
    check(|| a_snapshot_looks_for_a_new_key(FULL, Index::insert));
}

#[test]
fn committed_key_is_found_twin() {
    must_fail_by(
        "committed before it is in the table",
        "VISIBLE: a committed key is missing",
        || {
            a_snapshot_looks_for_a_new_key(1, |index, hash, guard| {
                let record = RecordPtr::new(hash, &hash.to_be_bytes()).expect("there is memory");
                let stamp = index.core.publish_one(record.get(guard), draft(1));
                let mut occupancy = index.occupancy.lock();
                index
                    .table
                    .insert(&mut occupancy, &mut Share::unlimited(), record, guard)
                    .expect("there is memory");
                stamp
            });
        },
    );
}

/// A key that stays is found while another comes or goes.
fn a_lookup_meets(prepare: fn(&Index, &Guard), stays: u64, change: fn(&Index, &Participant)) {
    let index = Index::new();
    let me = index.core.participant();
    prepare(&index, &me.pin());
    let reader = spawn_on(&index, move |index, me| index.newest(stays, &me.pin()));
    change(&index, &me);
    me.turn_epoch();
    assert!(join(reader).is_some(), "a key is missing");
    assert!(index.newest(stays, &me.pin()).is_some(), "a key is missing");
}

fn fill(index: &Index, guard: &Guard) {
    for hash in 0..FULL {
        index.insert(hash, guard);
    }
}

fn a_lookup_meets_growth() {
    a_lookup_meets(fill, 3, |index, me| {
        index.insert(FULL, &me.pin());
    });
}

#[test]
fn growth_hides_no_key() {
    check(a_lookup_meets_growth);
}

#[test]
fn growth_hides_no_key_twin_uncopied() {
    must_fail(Planted::Uncopied, "a key is missing", a_lookup_meets_growth);
}

#[test]
fn growth_hides_no_key_twin_freed_at_once() {
    must_fail_by("old slots are freed at once", FREED, || {
        a_lookup_meets(fill, 3, |index, me| {
            index.insert(FULL, at_once(&me.pin()));
        });
    });
}

fn remove(index: &Index, hash: u64, guard: &Guard) {
    index
        .remove(hash, guard)
        .ptr()
        .retire(Share::unlimited().freed(), guard);
}

/// Two keys that are left in a table which has grown, and is one removal from shrinking.
fn nearly_empty(index: &Index, guard: &Guard) {
    fill(index, guard);
    index.insert(FULL, guard);
    for hash in 2..=FULL {
        remove(index, hash, guard);
    }
}

#[test]
fn shrinking_hides_no_key() {
    check(|| a_lookup_meets(nearly_empty, 0, |index, me| remove(index, 1, &me.pin())));
}

#[test]
fn shrinking_hides_no_key_twin() {
    must_fail_by("old slots are freed at once", FREED, || {
        a_lookup_meets(nearly_empty, 0, |index, me| {
            remove(index, 1, at_once(&me.pin()));
        });
    });
}

/// A probe goes past a slot that is vacated, and then taken by another key.
fn a_lookup_meets_a_removal_before_it() {
    a_lookup_meets(
        |index, guard| {
            index.insert(0, guard);
            index.insert(SAME_SLOT, guard);
        },
        SAME_SLOT,
        |index, me| {
            remove(index, 0, &me.pin());
            index.insert(2 * SAME_SLOT, &me.pin());
        },
    );
}

#[test]
fn removal_hides_no_other_key() {
    check(a_lookup_meets_a_removal_before_it);
}

#[test]
fn removal_hides_no_other_key_twin() {
    must_fail(
        Planted::ClearAlways,
        "a key is missing",
        a_lookup_meets_a_removal_before_it,
    );
}

/// INDEXED, PINNED: a record is removed and retired under whoever has found it.
fn a_lookup_meets_a_retirement(retire: fn(&Index, RecordRef<'_, Canary>, &Guard)) {
    let index = Index::new();
    let me = index.core.participant();
    index.insert(1, &me.pin());
    let reader = spawn_on(&index, |index, me| {
        let guard = me.pin();
        let record = index.lookup(1, &guard)?;
        assert_eq!(record.key(), 1_u64.to_be_bytes(), "PINNED: another key");
        record.newest(&index.core.counter).map(read)
    });
    let guard = me.pin();
    retire(
        &index,
        index.lookup(1, &guard).expect("it was inserted"),
        &guard,
    );
    drop(guard);
    me.turn_epoch();
    assert!(join(reader).is_none_or(|(value, _)| value == 1));
}

#[test]
fn removed_record_is_not_followed() {
    check(|| {
        a_lookup_meets_a_retirement(|index, _, guard| remove(index, 1, guard));
    });
}

#[test]
fn removed_record_is_not_followed_twin_at_once() {
    must_fail_by("a record is freed at once", "Causality violation", || {
        a_lookup_meets_a_retirement(|index, _, guard| {
            index
                .remove(1, guard)
                .ptr()
                .retire(Share::unlimited().freed(), at_once(guard));
        });
    });
}

#[test]
fn removed_record_is_not_followed_twin_too_early() {
    must_fail_by(
        "retired before it is removed",
        "Causality violation",
        || {
            a_lookup_meets_a_retirement(|index, record, guard| {
                record.ptr().retire(Share::unlimited().freed(), guard);
                // Sends it off.
                guard.flush();
                index.remove(1, guard);
            });
        },
    );
}
