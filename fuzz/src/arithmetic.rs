//! Sums, least and most: of every kind of value, in one operation and across several.

use crate::assert_holds;
use crate::attempt::{Act, Attempt, Overlay, Reads};
use crate::input::Input;
use crate::model::{Changes, Model, Mutation, Op, TypeMismatch, add_mutation};
use kvick::{ErrorKind, Key, Kv, Result, Transacted, Value, Versionstamp};

/// Runs one script: a few keys are given values, and then arithmetic is done on them three times
/// over: one mutation after the other, all in one atomic operation, all in one transaction.
///
/// # Panics
///
/// Where one of them comes to something else than the rules of arithmetic say.
pub fn arithmetic(input: &[u8]) {
    let mut input = Input::new(input);
    let keys = [
        Key::from("n"),
        Key::from(("n", 1)),
        Key::from("m".repeat(40)),
    ];
    let keys = &keys[..=input.below(keys.len())];
    let mut runs = [Run::new(), Run::new(), Run::new()];
    for key in keys {
        if input.one_in(2) {
            let value = input.value();
            // One that is too large is for other targets.
            if value.len() <= 65_536 {
                for run in &mut runs {
                    run.set(key, &value);
                }
            }
        }
    }
    while !input.is_empty() {
        let count = 1 + input.below(12);
        let mut mutations = vec![mutation(&mut input, keys)];
        while mutations.len() < count && !input.is_empty() {
            mutations.push(mutation(&mut input, keys));
        }
        let [apart, together, transacted] = &mut runs;
        for mutation in mutations.chunks(1) {
            apart.in_one_operation(mutation);
        }
        together.in_one_operation(&mutations);
        transacted.in_one_transaction(&mutations);
    }
    for run in &runs {
        assert_holds(&run.kv, &run.model);
    }
}

fn mutation(input: &mut Input<'_>, keys: &[Key]) -> Mutation {
    let key = input.pick(keys);
    let op = match input.below(10) {
        0..4 => Op::Sum(input.number()),
        4..6 => Op::Min(input.number()),
        6..8 => Op::Max(input.number()),
        8 => Op::Delete,
        _ if input.one_in(4) => Op::Set(Value::from("no number")),
        _ => Op::Set(Value::from(input.number())),
    };
    Mutation { key, op }
}

/// What a mutation comes to, in arithmetic that does not wrap by itself.
fn combined(stored: Option<&Value>, op: &Op) -> Result<Option<Value>, TypeMismatch> {
    let operand = match op {
        Op::Set(value) => return Ok(Some(value.clone())),
        Op::Delete => return Ok(None),
        Op::Sum(operand) | Op::Min(operand) | Op::Max(operand) => u128::from(*operand),
    };
    let stored = match stored {
        None => None,
        Some(Value::U64(number)) => Some(u128::from(*number)),
        Some(_) => return Err(TypeMismatch),
    };
    let result = match (op, stored) {
        (Op::Sum(_), Some(stored)) => (stored + operand) % (1 << 64),
        (Op::Min(_), Some(stored)) if stored <= operand => stored,
        (Op::Max(_), Some(stored)) if stored >= operand => stored,
        _ => operand,
    };
    let number = u64::try_from(result).expect("a sum is taken modulo 2^64");
    Ok(Some(Value::U64(number)))
}

/// A database, and what it should hold.
struct Run {
    kv: Kv,
    model: Model,
}

impl Run {
    fn new() -> Self {
        let builder = Kv::builder().writer_threads(1).background_sweep(false);
        Self {
            kv: builder.build(),
            model: Model::default(),
        }
    }

    fn set(&mut self, key: &Key, value: &Value) {
        let versionstamp = self.kv.set(key, value).expect("a value can be set");
        let change = (key.clone(), Some(value.clone()));
        self.model.install([change].into(), versionstamp);
    }

    /// What mutations come to, in order; the model agrees.
    fn changes(&self, mutations: &[Mutation]) -> Result<Changes, TypeMismatch> {
        let mut changes = Changes::new();
        for Mutation { key, op } in mutations {
            let stored = match changes.get(key) {
                Some(value) => value.clone(),
                None => self.model.value(key),
            };
            changes.insert(key.clone(), combined(stored.as_ref(), op)?);
        }
        assert_eq!(self.model.changes(mutations), Ok(changes.clone()));
        Ok(changes)
    }

    fn in_one_operation(&mut self, mutations: &[Mutation]) {
        let mut operation = self.kv.atomic();
        for mutation in mutations {
            add_mutation(&mut operation, mutation);
        }
        let done = operation.commit().map(|outcome| outcome.versionstamp());
        drop(operation);
        self.finish(mutations, done);
    }

    /// With a read after each mutation, so that those that are not committed yet are seen as well.
    fn in_one_transaction(&mut self, mutations: &[Mutation]) {
        let mut kept = Vec::new();
        let done = self.kv.transact(|tx| {
            let mut attempt = Attempt {
                base: &self.model,
                overlay: Overlay::default(),
                reads: Reads::default(),
            };
            for mutation in mutations {
                attempt.act(tx, &Act::Write(mutation.clone()));
                attempt.act(tx, &Act::Get(mutation.key.clone()));
            }
            kept = attempt.overlay.mutations();
            Ok(())
        });
        let done = done.map(|done| match done {
            Transacted::Committed { versionstamp, .. } => versionstamp,
            other => panic!("nobody is in its way: {other:?}"),
        });
        self.finish(&kept, done);
    }

    /// All of the mutations have taken effect, or, where one does not fit, none (A07, S02).
    fn finish(&mut self, mutations: &[Mutation], done: Result<Option<Versionstamp>>) {
        match (self.changes(mutations), done) {
            (Ok(changes), Ok(Some(versionstamp))) => self.model.install(changes, versionstamp),
            (Err(TypeMismatch), Err(error)) => {
                assert_eq!(error.kind(), ErrorKind::TypeMismatch);
                assert!(error.to_string().contains("non-U64"), "{error}");
            }
            (expected, done) => panic!("{done:?}, where {expected:?} is expected"),
        }
        for Mutation { key, .. } in mutations {
            self.model
                .assert_read(&self.kv.get(key).expect("a key can be read"));
        }
    }
}
