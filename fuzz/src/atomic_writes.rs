//! Scripts of atomic operations against a model, the limits of each included.

mod retried;

use crate::input::Input;
use crate::model::{Changes, Check, Model, Mutation, Op, add_check, add_mutation, committed_at};
use crate::{assert_holds, assert_leaves_nothing};
use kvick::{ErrorKind, Key, Kv, Limits, Outcome, Value, Versionstamp};

/// Runs one script.
///
/// # Panics
///
/// Where an operation comes to something else than the model says, or one that is refused leaves
/// anything behind.
pub fn atomic_writes(input: &[u8]) {
    let mut run = Run::new(Input::new(input));
    while !run.input.is_empty() {
        run.step();
    }
    assert_holds(&run.kv, &run.model);
    assert_leaves_nothing(&run.kv);
}

/// A database, and what it should hold.
struct Run<'a> {
    input: Input<'a>,
    kv: Kv,
    model: Model,
    /// Those that the script is about; some of them too long, or empty.
    keys: Vec<Key>,
    latest: Versionstamp,
    /// Versionstamps that have been seen, most of them superseded.
    stale: Vec<Versionstamp>,
}

/// Limits that a short script can meet.
fn tight() -> Limits {
    let mut limits = Limits::default();
    limits.key_write_bytes_max = 34;
    limits.value_bytes_max = 48;
    limits.checks_max = 3;
    limits.mutations_max = 5;
    limits.total_bytes_max = 300;
    limits.total_key_bytes_max = 80;
    limits
}

/// Why mutations, and checks where they count, are refused whatever is stored (L01 to L04).
fn refusal(limits: &Limits, checks: &[Check], mutations: &[Mutation]) -> Option<ErrorKind> {
    if checks.len() > limits.checks_max {
        return Some(ErrorKind::TooManyChecks);
    }
    if mutations.len() > limits.mutations_max {
        return Some(ErrorKind::TooManyMutations);
    }
    let mut total_bytes = 0;
    let mut total_key_bytes = 0;
    for Check { key, .. } in checks {
        if let Some(refusal) = refusal_of_key(limits, key) {
            return Some(refusal);
        }
        total_bytes += key.as_bytes().len();
    }
    for Mutation { key, op } in mutations {
        if let Some(refusal) = refusal_of_key(limits, key) {
            return Some(refusal);
        }
        let key_bytes = key.as_bytes().len();
        total_bytes += key_bytes;
        let value_bytes = match op {
            Op::Delete | Op::Touch(_) => continue,
            Op::Set(value) | Op::SetFor(value, _) | Op::SetVersionstamped(value) => value.len(),
            Op::Sum(_) | Op::Min(_) | Op::Max(_) => 8,
            Op::SumWith(sum) => sum.operand.len(),
        };
        if value_bytes > limits.value_bytes_max {
            return Some(ErrorKind::ValueTooLarge);
        }
        total_bytes += key_bytes + value_bytes;
        total_key_bytes += key_bytes;
    }
    if total_bytes > limits.total_bytes_max {
        return Some(ErrorKind::TotalTooLarge);
    }
    (total_key_bytes > limits.total_key_bytes_max).then_some(ErrorKind::TotalKeysTooLarge)
}

fn refusal_of_key(limits: &Limits, key: &Key) -> Option<ErrorKind> {
    if key.is_empty() {
        return Some(ErrorKind::KeyEmpty);
    }
    let is_too_large = key.as_bytes().len() > limits.key_write_bytes_max;
    is_too_large.then_some(ErrorKind::KeyTooLarge)
}

impl<'a> Run<'a> {
    fn new(mut input: Input<'a>) -> Self {
        let limits = if input.one_in(2) {
            tight()
        } else {
            Limits::default()
        };
        let builder = Kv::builder().writer_threads(1).background_sweep(false);
        let kv = builder.limits(limits).build();
        let mut keys: Vec<Key> = vec!["a".into()];
        for _ in 0..input.below(8) {
            keys.push(input.key(&keys));
        }
        let latest = kv.stats().latest;
        Self {
            input,
            kv,
            model: Model::default(),
            keys,
            latest,
            stale: vec![latest],
        }
    }

    fn step(&mut self) {
        match self.input.below(12) {
            0 => self.single(),
            1..4 => self.atomic(),
            4 => self.delete_range(),
            5 => self.read(),
            6 => self.kv.sweep(),
            7 | 8 => self.update(),
            _ => self.transact(),
        }
    }

    /// Notes that a commit has happened: its versionstamp is larger than all before (V03).
    fn minted(&mut self, versionstamp: Versionstamp) {
        assert!(versionstamp > self.latest, "{versionstamp}");
        assert_eq!(self.kv.stats().latest, versionstamp);
        self.latest = versionstamp;
        self.stale.push(versionstamp);
    }

    /// That something has been refused, as this, and has left nothing behind (A07).
    #[track_caller]
    fn refused<T: std::fmt::Debug>(&self, done: kvick::Result<T>, kind: ErrorKind) {
        let error = done.expect_err("it is refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert_eq!(self.kv.stats().latest, self.latest);
        assert_holds(&self.kv, &self.model);
    }

    fn install(&mut self, changes: Changes, versionstamp: Versionstamp) {
        self.minted(versionstamp);
        self.model.install(changes, versionstamp);
    }

    /// The operations of one key that need no atomic one.
    fn single(&mut self) {
        let key = self.input.pick(&self.keys);
        let value = self.input.one_in(3).then(|| self.input.value());
        let (done, op) = match &value {
            // Borrowed and owned values take different ways.
            Some(value) if self.input.one_in(2) => {
                (self.kv.set(&key, value.as_ref()), Op::Set(value.clone()))
            }
            Some(value) => (self.kv.set(&key, value), Op::Set(value.clone())),
            None => (self.kv.delete(&key), Op::Delete),
        };
        let mutation = [Mutation { key, op }];
        if let Some(kind) = refusal(self.kv.limits(), &[], &mutation) {
            return self.refused(done, kind);
        }
        let changes = self.model.changes(&mutation).expect("it is no arithmetic");
        self.install(changes, done.expect("nothing is in its way"));
    }

    fn mutations(&mut self) -> Vec<Mutation> {
        // Many mutations go another way than few.
        let count = if self.input.one_in(12) { 24 } else { 5 };
        let count = self.input.below(count);
        (0..count)
            .map(|_| self.input.mutation(&self.keys))
            .collect()
    }

    fn checks(&mut self) -> Vec<Check> {
        let count = if self.input.one_in(32) {
            // Around the limit of 100.
            99 + self.input.below(3)
        } else {
            self.input.below(5)
        };
        let (model, stale) = (&self.model, &self.stale);
        (0..count)
            .map(|_| {
                self.input
                    .check(&self.keys, stale, |key| model.versionstamp(key))
            })
            .collect()
    }

    fn atomic(&mut self) {
        let (checks, mut mutations) = (self.checks(), self.mutations());
        if self.input.one_in(8) {
            for mutation in &mut mutations {
                if let Op::Set(value) = &mutation.op {
                    mutation.op = Op::SetVersionstamped(value.clone());
                }
            }
        }
        let mut operation = self.kv.atomic();
        let mut next = mutations.iter();
        // Where the checks stand makes no difference (A04).
        for check in &checks {
            if self.input.one_in(4)
                && let Some(mutation) = next.next()
            {
                add_mutation(&mut operation, mutation);
            }
            add_check(&mut operation, check);
        }
        next.for_each(|mutation| add_mutation(&mut operation, mutation));
        let outcome = operation.commit();
        drop(operation);
        // As long as they would be, and as much else than every other.
        let never = Versionstamp::from_bytes([0; 10]);
        let named = committed_at(never, mutations.iter().cloned());
        if let Some(kind) = refusal(self.kv.limits(), &checks, &named) {
            return self.refused(outcome, kind);
        }
        let failed_checks = self.model.failed(&checks);
        if !failed_checks.is_empty() {
            let outcome = outcome.expect("checks come before arithmetic");
            assert_eq!(outcome, Outcome::Conflict { failed_checks }, "A03");
            assert_eq!(self.kv.stats().latest, self.latest, "A02");
            return assert_holds(&self.kv, &self.model);
        }
        match self.model.changes(&named) {
            Ok(_) => {
                let outcome = outcome.expect("every mutation fits");
                let versionstamp = outcome.versionstamp().expect("every check holds");
                let named = committed_at(versionstamp, mutations);
                let changes = self.model.changes(&named).expect("they fit by other names");
                self.install(changes, versionstamp);
            }
            Err(kind) => self.refused(outcome, kind),
        }
    }

    fn delete_range(&mut self) {
        let selector = self.input.selector(&self.keys);
        let deleted = self.kv.delete_range(selector.range());
        if let Some(kind) = selector.refusal() {
            return self.refused(deleted, kind);
        }
        let deleted = deleted.expect("a range can be deleted");
        self.minted(deleted.versionstamp);
        assert_eq!(deleted.count, self.model.delete_selected(&selector));
    }

    fn read(&mut self) {
        let count = self.input.below(12);
        let keys: Vec<_> = (0..count).map(|_| self.input.pick(&self.keys)).collect();
        let entries = self.kv.get_many(&keys);
        if count > self.kv.limits().ranges_max {
            return self.refused(entries, ErrorKind::TooManyRanges);
        }
        for entry in entries.expect("keys can be read") {
            self.model.assert_read(&entry);
            let shown: Option<Value> = self
                .kv
                .with_entry(entry.key(), |shown| Some(shown?.value().to_owned()))
                .expect("and looked at");
            assert_eq!(shown, entry.into_value());
        }
    }
}
