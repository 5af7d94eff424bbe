//! The list of leaves by itself: what a reader sees of an insertion. No directory is there, whose
//! lock would order more than the leaves do.

use super::{Canary, Participant, at_once, check, free_all, must_fail, must_fail_by, unpinned};
use crate::memory::FREED;
use crate::mvcc::chain::RecordPtr;
use crate::mvcc::leaf::{Inserted, Leaves, Records};
use crate::mvcc::quota::Meter;
use crate::sync::Planted;
use crate::sync::epoch::{Collector, Guard};
use std::sync::{Arc, Mutex};

/// The first one makes the array, the second one is added to it, the third one splits the leaf, and
/// is in the lower half.
const KEYS: [u8; 3] = [2, 6, 4];

struct List {
    leaves: Leaves<Canary>,
    records: Mutex<Vec<RecordPtr<Canary>>>,
    collector: Collector,
}

impl List {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            leaves: Leaves::new(&Meter::unlimited()),
            records: Mutex::default(),
            collector: Collector::new(),
        })
    }

    fn participant(&self) -> Participant {
        Participant::of(&self.collector)
    }

    fn insert(&self, key: u8, guard: &Guard) {
        let record = RecordPtr::new(0, &[key]).expect("there is memory");
        self.records.lock().expect("no thread panics").push(record);
        let inserted = self
            .leaves
            .first(guard)
            .lock()
            .insert(record, &Meter::unlimited(), guard);
        let is_split = matches!(inserted, Ok(Inserted::Split(_)));
        assert_eq!(is_split, key == KEYS[2]);
    }

    /// Takes the second leaf out of the list, which has one record, to be split off before: of `[2]`,
    /// `[4, 6]` it makes `[2]`, `[5, 6]`.
    fn split_and_unlink_the_second(&self, guard: &Guard) {
        let mut first = self.leaves.first(guard).lock();
        let second = first.next(guard).expect("there is one");
        let record = RecordPtr::new(0, &[5]).expect("there is memory");
        let mut records = self.records.lock().expect("no thread panics");
        records.push(record);
        let four = records.iter().find(|record| record.get(guard).key() == [4]);
        let four = four.expect("it was inserted").get(guard);
        drop(records);
        let mut second = second.lock();
        assert!(matches!(
            second.insert(record, &Meter::unlimited(), guard),
            Ok(Inserted::Split(_))
        ));
        second.remove(four, &Meter::unlimited(), guard);
        assert!(second.is_empty());
        first.unlink(second, &Meter::unlimited(), guard);
    }

    /// The keys that a walk meets. Of each record it looks at the head of the chain.
    fn keys(&self, guard: &Guard) -> Vec<u8> {
        let mut keys = Vec::new();
        let mut leaf = Some(self.leaves.first(guard));
        while let Some(reached) = leaf {
            let mut records = Records::new();
            leaf = reached.read(None, None, guard, &mut records);
            while records.next_group() {
                while let Some(record) = records.take() {
                    assert!(record.head().is_none());
                    keys.extend(record.key());
                }
            }
        }
        keys
    }
}

impl Drop for List {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        free_all(self.records.lock().expect("no thread panics").iter());
    }
}

/// E-LEAF: whoever finds a record finds its key and the head of its chain. What was there before is
/// met once, in order.
fn a_walk_meets_an_insertion(inserted_before: usize, guard_of: fn(&Guard) -> &Guard) {
    let list = List::new();
    for key in &KEYS[..inserted_before] {
        list.insert(*key, unpinned());
    }
    let me = list.participant();
    let guard = me.pin();
    let walker = loom::thread::spawn({
        let list = Arc::clone(&list);
        // Not pinned, and the writer is from the beginning: that fence would hide what this is about.
        // What is replaced stays until the writer's participant is dropped.
        move || list.keys(unpinned())
    });
    list.insert(KEYS[inserted_before], guard_of(&guard));
    let keys = walker.join().expect("a thread that fails ends the model");
    let [mut before, mut after] =
        [inserted_before, inserted_before + 1].map(|len| KEYS[..len].to_vec());
    before.sort_unstable();
    after.sort_unstable();
    assert!(keys == before || keys == after, "met {keys:?} of {after:?}");
    assert_eq!(list.keys(&guard), after);
}

fn as_it_is(guard: &Guard) -> &Guard {
    guard
}

#[test]
fn met_record_is_whole() {
    for inserted_before in 0..KEYS.len() {
        check(move || a_walk_meets_an_insertion(inserted_before, as_it_is));
    }
}

#[test]
fn met_record_is_whole_twin() {
    for inserted_before in 0..KEYS.len() {
        must_fail(Planted::WeakLeaf, "Causality violation", move || {
            a_walk_meets_an_insertion(inserted_before, as_it_is);
        });
    }
}

/// E-LEAF: a walk has read the leaf before it, as it was, when a leaf is split and unlinked.
fn a_walk_meets_an_unlinked_leaf() {
    let list = List::new();
    for key in KEYS {
        list.insert(key, unpinned());
    }
    let me = list.participant();
    let guard = me.pin();
    let walker = loom::thread::spawn({
        let list = Arc::clone(&list);
        move || list.keys(unpinned())
    });
    list.split_and_unlink_the_second(&guard);
    let keys = walker.join().expect("a thread that fails ends the model");
    assert!(keys.is_sorted(), "met {keys:?}");
    assert!(keys.contains(&2) && keys.contains(&6), "met {keys:?}");
    assert_eq!(list.keys(&guard), [2, 5, 6]);
}

#[test]
fn leaf_behind_an_unlinked_one_is_whole() {
    check(a_walk_meets_an_unlinked_leaf);
}

#[test]
fn leaf_behind_an_unlinked_one_is_whole_twin() {
    must_fail(
        Planted::WeakNext,
        "Causality violation",
        a_walk_meets_an_unlinked_leaf,
    );
}

#[test]
fn met_record_is_whole_twin_freed_at_once() {
    must_fail_by("the old array is freed at once", FREED, || {
        a_walk_meets_an_insertion(2, |guard| at_once(guard));
    });
}
