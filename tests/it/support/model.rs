//! What the database should hold: a `BTreeMap`, and the rules of atomic operations in their
//! plainest form.

use super::selector::Selector;
use kvick::{AtomicOp, Entry, Key, NewValue, Value, Versionstamp};
use std::collections::BTreeMap;
use std::time::Duration;

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
    /// For so long.
    SetFor(Value, Duration),
    /// For so long from now on.
    Touch(Duration),
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

/// Since when something may be so, and since when it is.
pub(crate) type Window = (Duration, Duration);

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Model {
    pub(crate) entries: BTreeMap<Key, Stored>,
    /// When those entries expire that do. They stay among the others.
    pub(crate) deadlines: BTreeMap<Key, Window>,
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
        Op::SetFor(value, stays) => operation.set(key, NewValue::from(value).expire_in(*stays)),
        Op::Touch(stays) => operation.touch(key, *stays),
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
        Op::Set(value) | Op::SetFor(value, _) => Ok(Some(value.clone())),
        Op::Touch(_) => Ok(stored.cloned()),
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

    /// Enters when what has been written expires, given when that was.
    pub(crate) fn retime(&mut self, mutations: &[Mutation], (earliest, latest): Window) {
        for Mutation { key, op } in mutations {
            match op {
                Op::SetFor(_, stays) | Op::Touch(stays) => {
                    let deadline = (earliest + *stays, latest + *stays);
                    self.deadlines.insert(key.clone(), deadline);
                }
                _ => {
                    self.deadlines.remove(key);
                }
            }
        }
    }

    /// The states that this may be for somebody who looks within a window of time.
    pub(crate) fn possible(&self, (earliest, latest): Window) -> Vec<Self> {
        let mut states = vec![self.clone()];
        for (key, (from, to)) in &self.deadlines {
            let is_gone = *to <= earliest;
            let may_be_gone = *from <= latest;
            if is_gone || may_be_gone {
                let mut without = states.clone();
                for state in &mut without {
                    state.entries.remove(key);
                }
                if is_gone {
                    states = without;
                } else {
                    states.append(&mut without);
                }
            }
        }
        states
    }

    /// Forgets all that will ever expire.
    pub(crate) fn expire(&mut self) {
        for key in std::mem::take(&mut self.deadlines).into_keys() {
            self.entries.remove(&key);
        }
    }

    pub(crate) fn delete_selected(&mut self, selector: &Selector) -> usize {
        let before = self.entries.len();
        let is_kept = |key: &Key| !selector.selects(key.as_bytes());
        self.entries.retain(|key, _| is_kept(key));
        self.deadlines.retain(|key, _| is_kept(key));
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
