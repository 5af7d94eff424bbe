//! The shortcut to the leaves by itself: what a search finds by a table that is just being built.

use super::{Canary, Participant, check, free_all, must_fail, unpinned};
use crate::mvcc::chain::RecordPtr;
use crate::mvcc::leaf::{Inserted, Leaves, Records, Shortcut};
use crate::mvcc::quota::Meter;
use crate::sync::Planted;
use crate::sync::epoch::{Collector, Guard};
use std::sync::{Arc, Mutex};

/// The third one splits the leaf into `[2]` and `[4, 6]`, the fourth one the upper leaf into `[4]`
/// and `[5, 6]`.
const KEYS: [u8; 4] = [2, 6, 4, 5];

struct Model {
    leaves: Leaves<Canary>,
    shortcut: Shortcut<Canary>,
    records: Mutex<Vec<RecordPtr<Canary>>>,
    collector: Collector,
}

impl Model {
    /// With so many of the keys.
    fn new(count: usize) -> Arc<Self> {
        let model = Self {
            leaves: Leaves::new(&Meter::unlimited()),
            shortcut: Shortcut::new(&Meter::unlimited()),
            records: Mutex::default(),
            collector: Collector::new(),
        };
        for key in &KEYS[..count] {
            model.insert(*key, unpinned());
        }
        Arc::new(model)
    }

    fn participant(&self) -> Participant {
        Participant::of(&self.collector)
    }

    fn insert(&self, key: u8, guard: &Guard) {
        let record = RecordPtr::new(0, &[key]).expect("there is memory");
        self.records.lock().expect("no thread panics").push(record);
        let mut leaf = self.leaves.first(guard).lock();
        while let Some(next) = leaf.next_at(&[key], guard) {
            drop(leaf);
            leaf = next.lock();
        }
        let Ok(Inserted::Split(upper)) = leaf.insert(record, &Meter::unlimited(), guard) else {
            return;
        };
        let is_due = self.shortcut.insert(upper);
        drop(leaf);
        assert!(is_due);
        self.shortcut.build(guard);
    }

    /// The low key and the keys of the leaf that the shortcut leads to. Of each record it looks at
    /// the head of the chain.
    fn found(&self, key: u8, guard: &Guard) -> Option<(Vec<u8>, Vec<u8>)> {
        let leaf = self.shortcut.floor(&[key], guard)?;
        let mut records = Records::new();
        leaf.read(None, None, guard, &mut records);
        let mut keys = Vec::new();
        while records.next_group() {
            while let Some(record) = records.take() {
                assert!(record.head().is_none());
                keys.extend(record.key());
            }
        }
        Some((leaf.low().to_vec(), keys))
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        free_all(self.records.lock().expect("no thread panics").iter());
    }
}

/// E-LEAF: a search beside a split of which the shortcut learns.
fn a_search_meets_a_split(inserted_before: usize) {
    let model = Model::new(inserted_before);
    let me = model.participant();
    let guard = me.pin();
    let searcher = loom::thread::spawn({
        let model = Arc::clone(&model);
        // Not pinned, and the writer is from the beginning: that fence would hide what this is about.
        move || model.found(6, unpinned())
    });
    model.insert(KEYS[inserted_before], &guard);
    let found = searcher.join().expect("a thread that fails ends the model");
    let (four, five) = ((vec![4], vec![4, 6]), (vec![5], vec![5, 6]));
    let all = match inserted_before {
        2 => [None, Some(four)],
        // The leaf is found, and split before it is read.
        _ if found == Some((vec![4], vec![4])) => [found.clone(), None],
        _ => [Some(four), Some(five)],
    };
    assert!(all.contains(&found), "found {found:?}");
}

#[test]
fn leaf_that_it_leads_to_is_whole() {
    for inserted_before in 2..KEYS.len() {
        check(move || a_search_meets_a_split(inserted_before));
    }
}

#[test]
fn leaf_that_it_leads_to_is_whole_twin() {
    must_fail(Planted::WeakShortcut, "Causality violation", || {
        a_search_meets_a_split(2);
    });
}
