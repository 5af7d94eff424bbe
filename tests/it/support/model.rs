//! What the database should hold: a `BTreeMap`, and the rules of atomic operations in their
//! plainest form.

use super::selector::Selector;
use kvick::{AtomicOp, Entry, Key, Value, Versionstamp};
use std::collections::BTreeMap;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stored {
    pub(crate) value: Value,
    pub(crate) versionstamp: Versionstamp,
}

/// What is wanted of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    Absent,
    Exists,
    At(Versionstamp),
}

#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
}

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Set(Value),
    Delete,
    Sum(u64),
    Min(u64),
    Max(u64),
}

#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    pub(crate) key: Key,
    pub(crate) op: Op,
}

/// Arithmetic has met a value that is not a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TypeMismatch;

/// What is to become of each key.
pub(crate) type Changes = BTreeMap<Key, Option<Value>>;

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) entries: BTreeMap<Key, Stored>,
}

/// Adds a check as the user would.
pub(crate) fn add_check(operation: &mut AtomicOp<'_>, check: &Check) {
    match check.expect {
        Expect::Absent => operation.check_absent(&check.key),
        Expect::Exists => operation.check_exists(&check.key),
        Expect::At(versionstamp) => operation.check_versionstamp(&check.key, versionstamp),
    };
}

/// Adds a mutation as the user would.
pub(crate) fn add_mutation(operation: &mut AtomicOp<'_>, mutation: &Mutation) {
    let key = &mutation.key;
    match &mutation.op {
        Op::Set(value) => operation.set(key, value),
        Op::Delete => operation.delete(key),
        Op::Sum(operand) => operation.sum(key, *operand),
        Op::Min(operand) => operation.min(key, *operand),
        Op::Max(operand) => operation.max(key, *operand),
    };
}

/// What a mutation makes of a value (A06, S01, S02, S04).
pub(crate) fn apply(stored: Option<&Value>, op: &Op) -> Result<Option<Value>, TypeMismatch> {
    let combine = |operand: u64, combine: fn(u64, u64) -> u64| match stored {
        None => Ok(Some(Value::U64(operand))),
        Some(Value::U64(number)) => Ok(Some(Value::U64(combine(*number, operand)))),
        Some(_) => Err(TypeMismatch),
    };
    match op {
        Op::Set(value) => Ok(Some(value.clone())),
        Op::Delete => Ok(None),
        Op::Sum(operand) => combine(*operand, u64::wrapping_add),
        Op::Min(operand) => combine(*operand, u64::min),
        Op::Max(operand) => combine(*operand, u64::max),
    }
}

impl Model {
    pub(crate) fn get(&self, key: &Key) -> Option<&Stored> {
        self.entries.get(key)
    }

    pub(crate) fn value(&self, key: &Key) -> Option<Value> {
        Some(self.get(key)?.value.clone())
    }

    pub(crate) fn versionstamp(&self, key: &Key) -> Option<Versionstamp> {
        Some(self.get(key)?.versionstamp)
    }

    /// That an entry is what a read of its key should give.
    #[track_caller]
    pub(crate) fn assert_read(&self, entry: &Entry) {
        let stored = self.get(entry.key());
        assert_eq!(
            (entry.value(), entry.versionstamp()),
            (
                stored.map(|stored| &stored.value),
                stored.map(|stored| stored.versionstamp)
            ),
            "{:?}",
            entry.key()
        );
    }

    /// The checks that do not hold, by index (A01, A03).
    pub(crate) fn failed(&self, checks: &[Check]) -> Vec<usize> {
        let failed = checks.iter().enumerate().filter(|(_, check)| {
            let current = self.versionstamp(&check.key);
            match check.expect {
                Expect::Absent => current.is_some(),
                Expect::Exists => current.is_none(),
                Expect::At(versionstamp) => current != Some(versionstamp),
            }
        });
        failed.map(|(index, _)| index).collect()
    }

    /// What mutations come to, in order.
    pub(crate) fn changes(&self, mutations: &[Mutation]) -> Result<Changes, TypeMismatch> {
        let mut changes = Changes::new();
        for Mutation { key, op } in mutations {
            let current = match changes.get(key) {
                Some(value) => value.clone(),
                None => self.value(key),
            };
            changes.insert(key.clone(), apply(current.as_ref(), op)?);
        }
        Ok(changes)
    }

    /// Enters what a commit has done.
    pub(crate) fn install(&mut self, changes: Changes, versionstamp: Versionstamp) {
        for (key, value) in changes {
            match value {
                Some(value) => {
                    let stored = Stored {
                        value,
                        versionstamp,
                    };
                    self.entries.insert(key, stored);
                }
                None => {
                    self.entries.remove(&key);
                }
            }
        }
    }

    pub(crate) fn delete_selected(&mut self, selector: &Selector) -> usize {
        let before = self.entries.len();
        self.entries
            .retain(|key, _| !selector.selects(key.as_bytes()));
        before - self.entries.len()
    }

    /// The entries of a range, in the order of a list.
    pub(crate) fn selected(&self, selector: &Selector, reverse: bool) -> Vec<(&Key, &Stored)> {
        let entries = self.entries.iter();
        let mut selected: Vec<_> = entries
            .filter(|(key, _)| selector.selects(key.as_bytes()))
            .collect();
        if reverse {
            selected.reverse();
        }
        selected
    }
}

/// That entries are those of a model.
#[track_caller]
pub(crate) fn assert_entries(entries: &[Entry], expected: &[(&Key, &Stored)]) {
    let plain = |entry: &Entry| {
        (
            entry.key().clone(),
            entry.value().cloned(),
            entry.versionstamp(),
        )
    };
    let got: Vec<_> = entries.iter().map(plain).collect();
    let expected: Vec<_> = expected
        .iter()
        .map(|(key, stored)| {
            let value = Some(stored.value.clone());
            ((*key).clone(), value, Some(stored.versionstamp))
        })
        .collect();
    assert_eq!(got, expected);
}
