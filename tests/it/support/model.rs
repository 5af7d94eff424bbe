//! What the database should hold: a `BTreeMap`, and the rules of atomic operations in their
//! plainest form.

use super::selector::Selector;
use kvick::{AtomicOp, Entry, ErrorKind, Key, NewValue, Sum, Value, Versionstamp};
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
    /// Of this version, an older one, or missing.
    NotNewer(Versionstamp),
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
    SumWith(BoundedSum),
    /// Sets the key that begins like this one, and ends in the versionstamp of the commit.
    SetVersionstamped(Value),
}

/// A sum of numbers or bigints of JavaScript, none of them too large for an `i128`.
#[derive(Clone, Debug)]
pub(crate) struct BoundedSum {
    pub(crate) operand: Value,
    pub(crate) min: Option<Value>,
    pub(crate) max: Option<Value>,
    pub(crate) is_clamped: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    pub(crate) key: Key,
    pub(crate) op: Op,
}

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
        Expect::NotNewer(versionstamp) => operation.check_not_newer(&check.key, versionstamp),
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
        Op::SumWith(sum) => operation.sum_with(key, sum.as_sum()),
        Op::SetVersionstamped(value) => operation.set_versionstamped(key, value),
    };
}

/// The mutations of a commit with this versionstamp, by the keys that they have written.
pub(crate) fn committed_at(
    versionstamp: Versionstamp,
    mutations: impl IntoIterator<Item = Mutation>,
) -> Vec<Mutation> {
    let named = mutations.into_iter().map(|mutation| match mutation.op {
        // The empty key is refused as it is (A15).
        Op::SetVersionstamped(value) if !mutation.key.is_empty() => Mutation {
            key: mutation.key.join(versionstamp),
            op: Op::Set(value),
        },
        _ => mutation,
    });
    named.collect()
}

/// What a mutation makes of a value, or as what it is refused (A06, S01, S02, S04 to S14).
pub(crate) fn apply(stored: Option<&Value>, op: &Op) -> Result<Option<Value>, ErrorKind> {
    let combine = |operand: u64, combine: fn(u64, u64) -> u64| match stored {
        None => Ok(Some(Value::U64(operand))),
        Some(Value::U64(number)) => Ok(Some(Value::U64(combine(*number, operand)))),
        Some(_) => Err(ErrorKind::TypeMismatch),
    };
    match op {
        Op::Set(value) | Op::SetFor(value, _) | Op::SetVersionstamped(value) => {
            Ok(Some(value.clone()))
        }
        Op::Touch(_) => Ok(stored.cloned()),
        Op::Delete => Ok(None),
        Op::Sum(operand) => combine(*operand, u64::wrapping_add),
        Op::Min(operand) => combine(*operand, u64::min),
        Op::Max(operand) => combine(*operand, u64::max),
        Op::SumWith(sum) => sum.apply(stored).map(Some),
    }
}

/// A value as something to calculate with.
enum Term {
    U64(u64),
    Number(f64),
    BigInt(i128),
}

impl Term {
    fn of(value: &Value) -> Result<Self, ErrorKind> {
        if let Some(number) = value.as_u64() {
            return Ok(Self::U64(number));
        }
        if let Some(number) = value.as_number() {
            return Ok(Self::Number(number));
        }
        let bigint = value.as_bigint().ok_or(ErrorKind::TypeMismatch)?;
        Ok(Self::BigInt(
            bigint.to_i128().expect("bigints are not large here"),
        ))
    }

    fn number(&self) -> Option<f64> {
        if let Self::Number(number) = self {
            Some(*number)
        } else {
            None
        }
    }

    fn bigint(&self) -> Option<i128> {
        if let Self::BigInt(bigint) = self {
            Some(*bigint)
        } else {
            None
        }
    }
}

impl BoundedSum {
    pub(crate) fn as_sum(&self) -> Sum<'static> {
        let mut sum = Sum::encoded(&self.operand);
        if let Some(min) = &self.min {
            sum = sum.at_least(min);
        }
        if let Some(max) = &self.max {
            sum = sum.at_most(max);
        }
        if self.is_clamped { sum.clamped() } else { sum }
    }

    fn is_unbounded(&self) -> bool {
        self.min.is_none() && self.max.is_none() && !self.is_clamped
    }

    /// As what it is refused whatever is stored (S08, S10).
    fn check(&self) -> Result<(), ErrorKind> {
        let operand = Term::of(&self.operand)?;
        let bounds = self.min.iter().chain(&self.max);
        let bounds = bounds.map(Term::of).collect::<Result<Vec<_>, _>>()?;
        let fits = match operand {
            Term::U64(_) => self.is_unbounded(),
            Term::Number(_) => bounds.iter().all(|bound| bound.number().is_some()),
            Term::BigInt(_) => bounds.iter().all(|bound| bound.bigint().is_some()),
        };
        if fits {
            Ok(())
        } else {
            Err(ErrorKind::TypeMismatch)
        }
    }

    fn apply(&self, stored: Option<&Value>) -> Result<Value, ErrorKind> {
        self.check()?;
        let Some(stored) = stored else {
            return Ok(self.operand.clone());
        };
        let sum = match (Term::of(stored)?, Term::of(&self.operand)?) {
            (Term::U64(stored), Term::U64(operand)) => stored.wrapping_add(operand).into(),
            (Term::Number(stored), Term::Number(operand)) => {
                NewValue::number(self.bounded(stored + operand, Term::number)?)
            }
            (Term::BigInt(stored), Term::BigInt(operand)) => {
                let sum = stored.checked_add(operand).expect("there are not many");
                NewValue::bigint(self.bounded(sum, Term::bigint)?)
            }
            (Term::U64(stored), Term::BigInt(operand)) if self.is_unbounded() => {
                let operand = u64::try_from(operand).map_err(|_| ErrorKind::TypeMismatch)?;
                stored.wrapping_add(operand).into()
            }
            _ => return Err(ErrorKind::TypeMismatch),
        };
        Ok(sum.into())
    }

    fn bounded<T: PartialOrd>(
        &self,
        mut sum: T,
        of: fn(&Term) -> Option<T>,
    ) -> Result<T, ErrorKind> {
        let bound = |value: &Option<Value>| of(&Term::of(value.as_ref()?).ok()?);
        for (bound, is_lower) in [(bound(&self.min), true), (bound(&self.max), false)] {
            let Some(bound) = bound else { continue };
            let is_beyond = if is_lower { sum < bound } else { sum > bound };
            if is_beyond && !self.is_clamped {
                return Err(ErrorKind::SumOutOfRange);
            }
            if is_beyond {
                sum = bound;
            }
        }
        Ok(sum)
    }
}

/// As what mutations are refused before anything is looked at.
pub(crate) fn check_operands(mutations: &[Mutation]) -> Result<(), ErrorKind> {
    mutations
        .iter()
        .try_for_each(|mutation| match &mutation.op {
            Op::SumWith(sum) => sum.check(),
            _ => Ok(()),
        })
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
                Expect::NotNewer(versionstamp) => current > Some(versionstamp),
            }
        });
        failed.map(|(index, _)| index).collect()
    }

    /// What mutations come to, in order, or as what they are refused.
    pub(crate) fn changes(&self, mutations: &[Mutation]) -> Result<Changes, ErrorKind> {
        check_operands(mutations)?;
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
