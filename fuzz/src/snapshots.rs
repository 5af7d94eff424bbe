//! Open snapshots, half-read lists and unfinished transactions beside writes and sweeps: each goes
//! on showing what it saw first, and in the end nothing is left of them.

use crate::input::Input;
use crate::model::{Model, add_mutation, assert_entries};
use crate::selector::Selector;
use crate::{assert_holds, assert_leaves_nothing, settle};
use kvick::{Entries, Entry, Key, Keys, Kv, Range, Snapshot, Transaction, Value, Versionstamp};
use std::mem;
use std::rc::Rc;

/// How many snapshots and lists a script can hold at once. Those beyond 64 are registered in another
/// way, and one step opens that many.
const HELD_MAX: usize = 90;

/// How many of the first of them are read to their end at the end.
const CHECKED_MAX: usize = 16;

/// How deep transactions can stand in each other.
const DEPTH_MAX: usize = 3;

/// Runs one script.
///
/// # Panics
///
/// Where anything that is open shows another state than it did before, or something is left when
/// nothing is open any more.
pub fn snapshots(input: &[u8]) {
    let mut run = Run::new(Input::new(input));
    while !run.input.is_empty() {
        run.step();
    }
    run.finish();
}

struct Run<'a> {
    input: Input<'a>,
    kv: Kv,
    model: Model,
    keys: Vec<Key>,
    held: Vec<Held>,
    depth: usize,
}

/// Something open, and what it should show.
enum Held {
    Snapshot(Snapshot, Rc<Model>),
    Entries(Reading<Entries>),
    Keys(Reading<Keys>),
}

/// A list that is being read. What it shows is known once it has begun (R13).
struct Reading<I> {
    list: I,
    selector: Selector,
    reverse: bool,
    /// Of the snapshot that it is a list of, or of the moment of its first entry.
    state: Option<Rc<Model>>,
    /// How many have been.
    read: usize,
}

impl<'a> Run<'a> {
    fn new(mut input: Input<'a>) -> Self {
        let builder = Kv::builder().writer_threads(1).background_sweep(false);
        let mut keys: Vec<Key> = (0..4_u64).map(Key::from).collect();
        for _ in 0..input.below(8) {
            let key = input.key(&keys);
            if !key.is_empty() {
                keys.push(key);
            }
        }
        Self {
            input,
            kv: builder.build(),
            model: Model::default(),
            keys,
            held: Vec::new(),
            depth: 0,
        }
    }

    fn step(&mut self) {
        match self.input.below(16) {
            0..3 => self.write(),
            3 => self.delete(),
            4 => self.delete_range(),
            5 => self.recreate(),
            6 => self.kv.sweep(),
            7 => self.open(),
            8 => self.open_list(),
            9..12 => self.look(),
            12 | 13 => self.drop_one(),
            14 => self.transact(),
            _ if self.input.one_in(8) => self.open_many(),
            _ => self.churn(),
        }
    }

    fn set(&mut self, key: &Key, value: &Value) {
        let versionstamp = self.kv.set(key, value).expect("a value can be set");
        let change = (key.clone(), Some(value.clone()));
        self.model.install([change].into(), versionstamp);
    }

    /// One commit of several keys.
    fn write(&mut self) {
        let count = 1 + self.input.below(4);
        let mut operation = self.kv.atomic();
        let mut mutations = Vec::new();
        for _ in 0..count {
            let mutation = self.input.mutation(&self.keys);
            add_mutation(&mut operation, &mutation);
            mutations.push(mutation);
        }
        // What is refused has no effect: which of them are is for another target to say.
        if let Ok(outcome) = operation.commit() {
            let changes = self.model.changes(&mutations);
            let versionstamp = outcome.versionstamp().expect("nothing is checked");
            self.model
                .install(changes.expect("every mutation fits"), versionstamp);
        }
    }

    fn delete(&mut self) {
        let key = self.input.pick(&self.keys);
        let versionstamp = self.kv.delete(&key).expect("a key can be deleted");
        self.model.install([(key, None)].into(), versionstamp);
    }

    fn delete_range(&mut self) {
        let selector = self.input.selector(&self.keys);
        let Ok(deleted) = self.kv.delete_range(selector.range()) else {
            return assert!(selector.refusal().is_some(), "{selector:?}");
        };
        assert_eq!(deleted.count, self.model.delete_selected(&selector));
    }

    /// Deleted and created again, with or without a sweep between: the record goes, or is kept for
    /// those that still see it (V05).
    fn recreate(&mut self) {
        let key = self.input.pick(&self.keys);
        let versionstamp = self.kv.delete(&key).expect("a key can be deleted");
        if self.input.one_in(2) {
            self.kv.sweep();
        }
        self.set(&key, &Value::from("again"));
        assert!(self.model.versionstamp(&key) > Some(versionstamp));
    }

    /// Many versions of one key, so that what waits is swept by the commits themselves.
    fn churn(&mut self) {
        let key = self.input.pick(&self.keys);
        for number in 0..8 + self.input.below(32) as u64 {
            self.set(&key, &Value::from(number));
        }
    }

    fn open(&mut self) {
        if self.held.len() < HELD_MAX {
            let snapshot = match self.held.last() {
                // A clone is the same one.
                Some(Held::Snapshot(snapshot, model)) if self.input.one_in(4) => {
                    Held::Snapshot(snapshot.clone(), Rc::clone(model))
                }
                _ => {
                    let snapshot = self.kv.snapshot();
                    assert_eq!(snapshot.versionstamp(), self.kv.stats().latest);
                    Held::Snapshot(snapshot, Rc::new(self.model.clone()))
                }
            };
            self.held.push(snapshot);
        }
    }

    fn open_many(&mut self) {
        let model = Rc::new(self.model.clone());
        while self.held.len() < HELD_MAX {
            let snapshot = self.kv.snapshot();
            self.held.push(Held::Snapshot(snapshot, Rc::clone(&model)));
        }
        let open = self.kv.stats().open_snapshot_count;
        assert!(open > 0, "{open}");
    }

    /// A list of what is there or of a snapshot, that the script goes on reading later.
    fn open_list(&mut self) {
        let selector = self.input.selector(&self.keys);
        if self.held.len() >= HELD_MAX || selector.refusal().is_some() {
            return;
        }
        let snapshots = self.held.iter().filter_map(|held| match held {
            Held::Snapshot(snapshot, model) => Some((snapshot.clone(), Rc::clone(model))),
            _ => None,
        });
        let of = self.input.one_in(2).then(|| snapshots.last()).flatten();
        let (mut list, state) = match &of {
            Some((snapshot, model)) => (snapshot.list(selector.range()), Some(Rc::clone(model))),
            None => (self.kv.list(selector.range()), None),
        };
        let reverse = self.input.one_in(2);
        if reverse {
            list = list.reverse();
        }
        list = list.batch_size(1 + self.input.below(3));
        let held = if self.input.one_in(3) {
            let list = list.keys().expect("a range can be listed");
            Held::Keys(Reading::begin(list, selector, reverse, state))
        } else {
            let list = list.entries().expect("a range can be listed");
            Held::Entries(Reading::begin(list, selector, reverse, state))
        };
        self.held.push(held);
    }

    /// At something that is open.
    fn look(&mut self) {
        if self.held.is_empty() {
            return assert_holds(&self.kv, &self.model);
        }
        let index = self.input.below(self.held.len());
        let count = 1 + self.input.below(4);
        match &mut self.held[index] {
            Held::Snapshot(snapshot, model) => {
                look(&mut self.input, snapshot, model, &self.keys);
            }
            Held::Entries(reading) => reading.go_on(count, &self.model),
            Held::Keys(reading) => reading.go_on(count, &self.model),
        }
    }

    /// From anywhere, so that the oldest is not always the first to go.
    fn drop_one(&mut self) {
        if !self.held.is_empty() {
            let index = self.input.below(self.held.len());
            let held = self.held.swap_remove(index);
            self.check(held);
        }
    }

    /// A transaction during which the script goes on. It only reads, and so always commits.
    fn transact(&mut self) {
        if self.depth == DEPTH_MAX {
            return;
        }
        self.depth += 1;
        let (kv, state) = (self.kv.clone(), self.model.clone());
        let done = kv.transact(|tx| {
            for _ in 0..self.input.below(6) {
                self.step();
                self.look_through(tx, &state);
            }
            Ok(())
        });
        assert!(done.expect("nothing is refused").is_committed());
        self.depth -= 1;
    }

    fn look_through(&mut self, tx: &mut Transaction<'_>, state: &Model) {
        let key = self.input.pick(&self.keys);
        state.assert_read(&tx.get(&key).expect("a key can be read"));
        let selector = self.input.selector(&self.keys);
        if let Ok(entries) = tx.list(selector.range()).entries() {
            assert_entries(&entries, &state.selected(&selector, false));
        }
    }

    /// Reads something to its end, and drops it.
    fn check(&self, held: Held) {
        match held {
            Held::Snapshot(snapshot, model) => {
                let entries = snapshot.list(Range::all()).entries();
                let entries: Vec<_> = entries.expect("a snapshot can be listed").collect();
                assert_entries(&entries, &model.selected(&Selector::All, false));
            }
            Held::Entries(mut reading) => reading.go_on(usize::MAX, &self.model),
            Held::Keys(mut reading) => reading.go_on(usize::MAX, &self.model),
        }
    }

    /// Everything is closed, and then everything deleted: nothing is left of either.
    fn finish(mut self) {
        assert_holds(&self.kv, &self.model);
        let held = mem::take(&mut self.held);
        for (index, held) in held.into_iter().enumerate() {
            // The others are dropped where they are.
            if index % 2 == 0 && index < CHECKED_MAX {
                self.check(held);
            }
        }
        settle(&self.kv);
        assert_holds(&self.kv, &self.model);
        let stats = self.kv.stats();
        assert_eq!(
            (stats.open_snapshot_count, stats.oldest_snapshot),
            (0, None)
        );
        assert_leaves_nothing(&self.kv);
    }
}

fn look(input: &mut Input<'_>, snapshot: &Snapshot, model: &Model, keys: &[Key]) {
    for _ in 0..=input.below(3) {
        let key = input.pick(keys);
        let entry = snapshot.get(&key).expect("a key can be read");
        model.assert_read(&entry);
        let versionstamp: Option<Versionstamp> = snapshot
            .with_entry(&key, |entry| Some(entry?.versionstamp()))
            .expect("and looked at");
        assert_eq!(versionstamp, model.versionstamp(&key));
    }
    let selector = input.selector(keys);
    let mut list = snapshot.list(selector.range());
    let reverse = input.one_in(2);
    if reverse {
        list = list.reverse();
    }
    if selector.refusal().is_none() {
        let entries = list.batch_size(1 + input.below(4)).entries();
        let entries: Vec<_> = entries.expect("a range can be listed").collect();
        assert_entries(&entries, &model.selected(&selector, reverse));
    }
}

/// What a list gives: an entry, or only its key.
trait Item {
    fn key(&self) -> &Key;
    fn assert_is(&self, model: &Model);
}

impl Item for Entry {
    fn key(&self) -> &Key {
        self.key()
    }

    fn assert_is(&self, model: &Model) {
        model.assert_read(self);
    }
}

impl Item for Key {
    fn key(&self) -> &Key {
        self
    }

    fn assert_is(&self, model: &Model) {
        assert!(model.get(self).is_some(), "{self:?}");
    }
}

impl<I: Iterator<Item: Item>> Reading<I> {
    fn begin(list: I, selector: Selector, reverse: bool, state: Option<Rc<Model>>) -> Self {
        Self {
            list,
            selector,
            reverse,
            state,
            read: 0,
        }
    }

    /// So many more, or to the end.
    fn go_on(&mut self, count: usize, now: &Model) {
        let state = self.state.get_or_insert_with(|| Rc::new(now.clone()));
        let expected = state.selected(&self.selector, self.reverse);
        for _ in 0..count {
            let item = self.list.next();
            let Some((key, _)) = expected.get(self.read) else {
                return assert!(item.is_none(), "the list is longer than it should be");
            };
            let item = item.expect("the list goes on");
            assert_eq!(item.key(), *key);
            item.assert_is(state);
            self.read += 1;
        }
    }
}
