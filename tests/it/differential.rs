//! Random operations against a `BTreeMap`.
//!
//! One thread, so that everything is known: what each operation returns, which checks fail, which
//! attempt of a transaction conflicts and which does not. The keys are few and chosen to be close
//! to each other: beginnings of one another, empty parts, zero bytes, bytes that are no tuple,
//! lengths around every boundary of the implementation.

mod retried;

use crate::support::listing::{Options, assert_list};
use crate::support::model::{
    BoundedSum, Check, Expect, Model, Mutation, Op, Stored, add_check, add_mutation, assert_entries,
};
use crate::support::seeds::for_seeds;
use crate::support::selector::Selector;
use crate::support::{assert_refused, everything};
use kvick::{
    BigInt, Cursor, Entry, EntryRef, Key, Kv, List, NewValue, Outcome, Range, Snapshot, Value,
    Versionstamp,
};
use rand::RngExt;
use rand::rngs::StdRng;

/// Keys from which a run chooses a few.
fn universe() -> Vec<Key> {
    let long = "l".repeat(300);
    let mut keys: Vec<Key> = vec![
        "".into(),
        ("", "").into(),
        b"".into(),
        b"\0".into(),
        b"\0\xff".into(),
        "a".into(),
        ("a", "").into(),
        ("a", "x").into(),
        ("a", "x", "").into(),
        ("a", 0).into(),
        ("a", -0.0).into(),
        ("a", f64::NAN).into(),
        ("a", 0_u64).into(),
        ("a", u64::MAX).into(),
        ("a", true).into(),
        ("a", b"\0").into(),
        "a\0".into(),
        ("a\0", "y").into(),
        "a\u{1}".into(),
        "ab".into(),
        (BigInt::from(-1_i64), -1).into(),
        true.into(),
        (true, false).into(),
        Key::raw([0x00]),
        Key::raw([0x01]),
        Key::raw([0x02, b'a']),
        Key::raw([0x02, b'a', 0x00, 0x05]),
        Key::raw([0xff]),
        Key::raw([0xff, 0xff]),
        (&*long,).into(),
        (&*long, 1).into(),
        (&*long, 2).into(),
    ];
    // With a tag and an end, these are 29 to 42 bytes long.
    keys.extend((27..=40).map(|len| Key::from("m".repeat(len))));
    keys
}

/// A database, and what it should hold.
struct Run {
    kv: Kv,
    model: Model,
    random: StdRng,
    keys: Vec<Key>,
    snapshots: Vec<(Snapshot, Model)>,
    /// Versionstamps that have been seen, most of them superseded.
    stale: Vec<Versionstamp>,
    latest: Versionstamp,
}

impl Run {
    fn new(mut random: StdRng) -> Self {
        let mut keys = universe();
        let count = random.random_range(4..16);
        while keys.len() > count {
            keys.swap_remove(random.random_range(0..keys.len()));
        }
        let kv = Kv::builder().background_sweep(random.random()).build();
        let latest = kv.snapshot().versionstamp();
        Self {
            kv,
            model: Model::default(),
            random,
            keys,
            snapshots: Vec::new(),
            stale: vec![latest],
            latest,
        }
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.random.random_range(0..from.len())].clone()
    }

    fn key(&mut self) -> Key {
        let index = self.random.random_range(0..self.keys.len());
        self.keys[index].clone()
    }

    fn keys(&mut self, count: std::ops::Range<usize>) -> Vec<Key> {
        let count = self.random.random_range(count);
        (0..count).map(|_| self.key()).collect()
    }

    fn value(&mut self) -> Value {
        let number: u64 = self.random.random();
        let bytes = |len: usize| vec![b'v'; len];
        match self.random.random_range(0..10) {
            0 => Value::from(""),
            1 => Value::from(bytes(1_024)),
            2 => Value::from(bytes(1_025)),
            3 => Value::V8(bytes(self.random.random_range(0..8)).into()),
            4 => Value::V8(bytes(3_000).into()),
            5 => Value::from(u64::MAX),
            6 => self.scalar(),
            _ => Value::from(number),
        }
    }

    /// A number or bigint of JavaScript.
    fn scalar(&mut self) -> Value {
        let number: i32 = self.random.random_range(-3..4);
        let factor = self.pick(&[1, 1 << 40, 1 << 64, 1 << 90]);
        if self.random.random() {
            NewValue::number(f64::from(number) / 2.0).into()
        } else {
            NewValue::bigint(i128::from(number) * factor).into()
        }
    }

    fn bounded_sum(&mut self) -> BoundedSum {
        let operand = self.scalar();
        // Bounds of another type would be refused before the checks.
        let mut bound = || {
            let bound = self.scalar();
            let is_alike = bound.as_number().is_some() == operand.as_number().is_some();
            is_alike.then_some(bound)
        };
        let (min, max) = (bound(), bound());
        BoundedSum {
            operand,
            min,
            max,
            is_clamped: self.random.random(),
        }
    }

    fn mutation(&mut self) -> Mutation {
        let operand = self.pick(&[0, 1, 1_000, 1 << 63, u64::MAX]);
        let op = match self.random.random_range(0..10) {
            8.. => Op::SumWith(self.bounded_sum()),
            0..3 => Op::Set(self.value()),
            3..5 => Op::Delete,
            5 => Op::Sum(operand),
            6 => Op::Min(operand),
            _ => Op::Max(operand),
        };
        let key = self.key();
        Mutation { key, op }
    }

    fn check(&mut self) -> Check {
        let key = self.key();
        let current = self.model.versionstamp(&key);
        let expect = match self.random.random_range(0..12) {
            0 => Expect::Absent,
            1 => Expect::Exists,
            2 => Expect::At(self.pick(&self.stale.clone())),
            _ => current.map_or(Expect::Absent, Expect::At),
        };
        Check { key, expect }
    }

    fn selector(&mut self) -> Selector {
        let (one, other) = (self.key(), self.key());
        let prefix = self.prefix(&one);
        let kind = self.random.random_range(0..8);
        match kind {
            0 => Selector::All,
            1 => Selector::Prefix(Key::default()),
            2 => Selector::Prefix(prefix),
            3 => Selector::PrefixStart(prefix, if self.random.random() { one } else { other }),
            4 => Selector::PrefixEnd(prefix, if self.random.random() { one } else { other }),
            5 => Selector::Raw(one, other),
            _ if one > other && self.random.random_bool(0.9) => Selector::Between(other, one),
            _ => Selector::Between(one, other),
        }
    }

    /// The first few parts of a key, or its first few bytes.
    fn prefix(&mut self, key: &Key) -> Key {
        if let Ok(parts) = key.parts() {
            let count = self.random.random_range(0..=parts.len());
            return Key::from(&parts[..count]);
        }
        Key::raw(&key.as_bytes()[..self.random.random_range(0..=key.as_bytes().len())])
    }

    /// Notes that a commit has happened: its versionstamp is larger than all before (V03).
    fn minted(&mut self, versionstamp: Versionstamp) {
        assert!(versionstamp > self.latest, "{versionstamp}");
        assert_eq!(self.kv.stats().latest, versionstamp);
        self.latest = versionstamp;
        self.stale.push(versionstamp);
    }

    fn step(&mut self) {
        match self.random.random_range(0..100) {
            0..12 => self.set(),
            12..20 => self.delete(),
            20..38 => self.atomic(),
            38..40 => self.delete_range(),
            40..46 => self.get(),
            46..52 => self.get_many(),
            52..64 => self.list(),
            64..68 => self.pages(),
            68..71 => self
                .snapshots
                .push((self.kv.snapshot(), self.model.clone())),
            71..73 => self.drop_snapshot(),
            73..78 => self.read_snapshot(),
            78..81 => self.kv.sweep(),
            81..86 => self.update(),
            86..88 => self.update_many(),
            _ => self.transact(),
        }
    }

    fn set(&mut self) {
        let (key, value) = (self.key(), self.value());
        // Borrowed and owned values take different ways.
        let versionstamp = if self.random.random() {
            self.kv.set(&key, value.as_ref())
        } else {
            self.kv.set(&key, value.clone())
        };
        let versionstamp = versionstamp.expect("a value can be set");
        self.minted(versionstamp);
        let stored = Stored {
            value,
            versionstamp,
        };
        self.model.entries.insert(key, stored);
    }

    fn delete(&mut self) {
        let key = self.key();
        let versionstamp = self.kv.delete(&key).expect("a key can be deleted");
        self.minted(versionstamp);
        self.model.entries.remove(&key);
    }

    fn atomic(&mut self) {
        let checks = self.random.random_range(0..4);
        let checks: Vec<_> = (0..checks).map(|_| self.check()).collect();
        // Many mutations go another way than few.
        let mutations = if self.random.random_bool(0.1) { 20 } else { 4 };
        let mutations = self.random.random_range(0..=mutations);
        let mutations: Vec<_> = (0..mutations).map(|_| self.mutation()).collect();
        let outcome = commit(&self.kv, &checks, &mutations);
        let failed_checks = self.model.failed(&checks);
        if !failed_checks.is_empty() {
            let outcome = outcome.expect("checks come first");
            assert_eq!(outcome, Outcome::Conflict { failed_checks });
            assert_eq!(self.kv.stats().latest, self.latest, "A02");
            return;
        }
        match self.model.changes(&mutations) {
            Ok(changes) => {
                let outcome = outcome.expect("every mutation fits");
                let versionstamp = outcome.versionstamp().expect("every check holds");
                self.minted(versionstamp);
                self.model.install(changes, versionstamp);
            }
            Err(kind) => {
                assert_refused(outcome, kind, "");
                assert_eq!(self.kv.stats().latest, self.latest, "A07");
            }
        }
    }

    fn delete_range(&mut self) {
        let selector = self.selector();
        let deleted = self.kv.delete_range(selector.range());
        if let Some(refusal) = selector.refusal() {
            return assert_refused(deleted, refusal, "");
        }
        let deleted = deleted.expect("a range can be deleted");
        self.minted(deleted.versionstamp);
        assert_eq!(deleted.count, self.model.delete_selected(&selector));
    }

    fn get(&mut self) {
        let key = self.key();
        let entry = self.kv.get(&key).expect("a key can be read");
        assert_eq!(*entry.key(), key);
        self.model.assert_read(&entry);
        let shown = self
            .kv
            .with_entry(&key, |entry| entry.map(EntryRef::to_entry));
        assert_eq!(
            shown.expect("and looked at"),
            entry.exists().then_some(entry)
        );
    }

    fn get_many(&mut self) {
        let keys = self.keys(0..11);
        let entries = self.kv.get_many(&keys).expect("keys can be read");
        assert!(entries.iter().map(Entry::key).eq(&keys), "R02");
        for entry in &entries {
            self.model.assert_read(entry);
        }
    }

    /// One list, read in every way there is.
    fn list(&mut self) {
        let selector = self.selector();
        let options = options(&mut self.random);
        let (kv, model) = (self.kv.clone(), self.model.clone());
        check_list(kv.list(selector.range()), &selector, &options, &model);
    }

    /// A list in pages, each from the cursor of the one before (C03).
    fn pages(&mut self) {
        let selector = self.selector();
        if selector.refusal().is_some() {
            return;
        }
        let reverse = self.random.random();
        let mut entries = Vec::new();
        let mut cursor = Cursor::default();
        loop {
            let limit = self.random.random_range(1..5);
            let list = self.kv.list(selector.range()).limit(limit);
            let list = if reverse { list.reverse() } else { list };
            // As text, as it would travel.
            let place = cursor
                .to_string()
                .parse()
                .expect("a cursor's text is a cursor");
            let mut page = list.after(place).entries().expect("a page can be read");
            let before = entries.len();
            entries.extend(page.by_ref());
            cursor = page.cursor().expect("a list that has begun has a place");
            if entries.len() - before < limit {
                break;
            }
        }
        assert_entries(&entries, &self.model.selected(&selector, reverse));
    }

    fn drop_snapshot(&mut self) {
        if !self.snapshots.is_empty() {
            let index = self.random.random_range(0..self.snapshots.len());
            self.snapshots.swap_remove(index);
        }
        let open = self.kv.stats().open_snapshot_count;
        assert_eq!(open, self.snapshots.len());
    }

    fn read_snapshot(&mut self) {
        let Some((snapshot, model)) = self.snapshots.last().cloned() else {
            return;
        };
        let keys = self.keys(1..11);
        for entry in snapshot.get_many(&keys).expect("keys can be read") {
            model.assert_read(&entry);
            let entry = snapshot.get(entry.key()).expect("and one by one");
            model.assert_read(&entry);
        }
        let selector = self.selector();
        let options = options(&mut self.random);
        check_list(snapshot.list(selector.range()), &selector, &options, &model);
    }

    fn check_everything(&self) {
        let expected = self.model.selected(&Selector::All, false);
        assert_entries(&everything(&self.kv), &expected);
        let stats = self.kv.stats();
        assert_eq!(stats.entry_count, expected.len());
        assert!(stats.version_count >= expected.len());
        for (snapshot, model) in &self.snapshots {
            let entries = snapshot.list(Range::all()).entries();
            let entries: Vec<_> = entries.expect("a snapshot can be listed").collect();
            assert_entries(&entries, &model.selected(&Selector::All, false));
        }
    }
}

fn commit(kv: &Kv, checks: &[Check], mutations: &[Mutation]) -> kvick::Result<Outcome> {
    let mut operation = kv.atomic();
    for check in checks {
        add_check(&mut operation, check);
    }
    for mutation in mutations {
        add_mutation(&mut operation, mutation);
    }
    operation.commit()
}

/// Any way to read a list.
fn options(random: &mut StdRng) -> Options {
    let mut some = |max| random.random_bool(0.4).then(|| random.random_range(1..max));
    let (limit, batch) = (some(6), some(4));
    Options {
        reverse: random.random(),
        limit,
        batch,
        fresh_batches: random.random(),
    }
}

/// That a list gives what the model selects, whichever way it is read.
#[track_caller]
fn check_list(list: List<'_>, selector: &Selector, options: &Options, model: &Model) {
    let mut selected = model.selected(selector, options.reverse);
    selected.truncate(options.limit.unwrap_or(usize::MAX));
    let expected = selector.refusal().map_or(Ok(selected), Err);
    assert_list(&options.on(list), &expected, options.limit);
}

#[test]
fn random_operations_agree_with_a_btreemap() {
    // K03 to K06, K10, V01, V04, V05, R01, R02, R04 to R11, R14, C02, C03, A01 to A10, S01, S02,
    // S04 to S07, S09, S11
    let test = "differential::random_operations_agree_with_a_btreemap";
    for_seeds(test, 60, 400, |random, steps| {
        let mut run = Run::new(random);
        for step in 0..steps {
            run.step();
            if step % 16 == 0 {
                run.check_everything();
            }
        }
        run.check_everything();
    });
}
