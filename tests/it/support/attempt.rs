//! One attempt of a transaction beside the model of it, and what somebody else does meanwhile: so
//! that it is known what each read gives, and whether the attempt conflicts.

use super::model::{Model, Mutation, Op, apply};
use super::selector::Selector;
use kvick::{Entry, ErrorKind, Key, Kv, NewValue, Transaction, Value, Versionstamp};
use std::collections::{BTreeMap, BTreeSet};

/// What somebody else does in the middle of an attempt.
#[derive(Clone, Debug)]
pub(crate) struct Interference {
    pub(crate) key: Key,
    pub(crate) value: Option<Value>,
}

impl Interference {
    pub(crate) fn happen(&self, kv: &Kv) -> Versionstamp {
        let done = match &self.value {
            Some(value) => kv.set(&self.key, value),
            None => kv.delete(&self.key),
        };
        done.expect("a key can be changed meanwhile")
    }

    /// Whether it changes anything: deleting what is not there does not.
    pub(crate) fn changes(&self, model: &Model) -> bool {
        self.value.is_some() || model.get(&self.key).is_some()
    }

    pub(crate) fn enter(&self, model: &mut Model, versionstamp: Versionstamp) {
        let changes = [(self.key.clone(), self.value.clone())];
        model.install(changes.into(), versionstamp);
    }
}

/// One thing that a transaction does.
#[derive(Clone, Debug)]
pub(crate) enum Act {
    Get(Key),
    List {
        selector: Selector,
        reverse: bool,
        limit: Option<usize>,
    },
    Write(Mutation),
    /// Somebody else's, in the first attempt only.
    Interfere,
}

/// What an attempt has read, for the question whether it conflicts.
#[derive(Default)]
pub(crate) struct Reads {
    /// In the order in which they were first read.
    pub(crate) keys: Vec<Key>,
    /// With the last key that a full list gave: nothing beyond it was read.
    ranges: Vec<(Selector, bool, Option<Key>)>,
}

impl Reads {
    pub(crate) fn cover(&self, key: &Key) -> bool {
        let in_range = |(selector, reverse, last): &(Selector, bool, Option<Key>)| {
            let within = last
                .as_ref()
                .is_none_or(|last| if *reverse { key >= last } else { key <= last });
            within && selector.selects(key.as_bytes())
        };
        self.keys.contains(key) || self.ranges.iter().any(in_range)
    }
}

/// What a transaction has written, over what was there when it began.
#[derive(Default)]
pub(crate) struct Overlay(pub(crate) BTreeMap<Key, Vec<Op>>);

impl Overlay {
    /// A set or a deletion makes forgotten what was to be done before.
    pub(crate) fn write(&mut self, Mutation { key, op }: &Mutation) {
        let ops = self.0.entry(key.clone()).or_default();
        if matches!(op, Op::Set(_) | Op::Delete) {
            ops.clear();
        }
        ops.push(op.clone());
    }

    fn value(&self, base: &Model, key: &Key) -> Result<Option<Value>, ErrorKind> {
        let mut ops = self.0.get(key).into_iter().flatten();
        ops.try_fold(base.value(key), |value, op| apply(value.as_ref(), op))
    }

    pub(crate) fn mutations(&self) -> Vec<Mutation> {
        let ops = self.0.iter();
        let ops = ops.flat_map(|(key, ops)| ops.iter().map(move |op| (key.clone(), op.clone())));
        ops.map(|(key, op)| Mutation { key, op }).collect()
    }

    /// The entries of a list with what was written, and the versions that were there before: of the
    /// keys in the order of the list up to the limit, or the first that does not fit.
    fn list(
        &self,
        base: &Model,
        (selector, reverse, limit): (&Selector, bool, Option<usize>),
    ) -> Result<Vec<(Key, Value, Option<Versionstamp>)>, ErrorKind> {
        let keys: BTreeSet<_> = base.entries.keys().chain(self.0.keys()).collect();
        let mut keys: Vec<_> = keys
            .into_iter()
            .filter(|key| selector.selects(key.as_bytes()))
            .collect();
        if reverse {
            keys.reverse();
        }
        let mut entries = Vec::new();
        for key in keys {
            if Some(entries.len()) == limit {
                break;
            }
            if let Some(value) = self.value(base, key)? {
                entries.push((key.clone(), value, base.versionstamp(key)));
            }
        }
        Ok(entries)
    }
}

/// One attempt of a transaction, beside the model of it.
pub(crate) struct Attempt<'a> {
    pub(crate) base: &'a Model,
    pub(crate) overlay: Overlay,
    pub(crate) reads: Reads,
}

impl Attempt<'_> {
    pub(crate) fn act(&mut self, tx: &mut Transaction<'_>, act: &Act) {
        match act {
            Act::Get(key) => self.get(tx, key),
            Act::List {
                selector,
                reverse,
                limit,
            } => self.list(tx, selector, *reverse, *limit),
            Act::Write(mutation) => {
                write(tx, mutation);
                self.overlay.write(mutation);
            }
            Act::Interfere => {}
        }
    }

    fn get(&mut self, tx: &mut Transaction<'_>, key: &Key) {
        if !self.reads.keys.contains(key) {
            self.reads.keys.push(key.clone());
        }
        match (tx.get(key), self.overlay.value(self.base, key)) {
            (Ok(entry), Ok(expected)) => {
                assert_eq!(entry.value(), expected.as_ref(), "{key:?}");
                assert_eq!(entry.versionstamp(), self.base.versionstamp(key));
            }
            (Err(error), Err(kind)) => assert_eq!(error.kind(), kind),
            (got, expected) => panic!("{key:?}: {got:?} where {expected:?} is expected"),
        }
    }

    fn list(
        &mut self,
        tx: &mut Transaction<'_>,
        selector: &Selector,
        reverse: bool,
        limit: Option<usize>,
    ) {
        let mut list = tx.list(selector.range());
        if reverse {
            list = list.reverse();
        }
        if let Some(limit) = limit {
            list = list.limit(limit);
        }
        let got = list.entries();
        if let Some(refusal) = selector.refusal() {
            return assert_eq!(got.map_err(|error| error.kind()), Err(refusal));
        }
        let expected = self.overlay.list(self.base, (selector, reverse, limit));
        let mut end = None;
        match (got, expected) {
            (Ok(got), Ok(expected)) => {
                let got: Vec<_> = got.iter().map(plain).collect();
                assert_eq!(got, expected, "{selector:?} {reverse} {limit:?}");
                if Some(got.len()) == limit {
                    end = got.last().map(|(key, ..)| key.clone());
                }
            }
            (Err(error), Err(kind)) => assert_eq!(error.kind(), kind),
            (got, expected) => panic!("{selector:?}: {got:?} where {expected:?} is expected"),
        }
        self.reads.ranges.push((selector.clone(), reverse, end));
    }
}

fn plain(entry: &Entry) -> (Key, Value, Option<Versionstamp>) {
    let value = entry.value().expect("a list gives no missing entries");
    (entry.key().clone(), value.clone(), entry.versionstamp())
}

fn write(tx: &mut Transaction<'_>, Mutation { key, op }: &Mutation) {
    match op {
        Op::Set(value) => tx.set(key, value),
        Op::SetFor(value, stays) => tx.set(key, NewValue::from(value).expire_in(*stays)),
        Op::Touch(stays) => tx.touch(key, *stays),
        Op::SetVersionstamped(value) => tx.set_versionstamped(key, value),
        Op::Delete => tx.delete(key),
        Op::Sum(operand) => tx.sum(key, *operand),
        Op::Min(operand) => tx.min(key, *operand),
        Op::Max(operand) => tx.max(key, *operand),
        Op::SumWith(sum) => tx.sum_with(key, sum.as_sum()),
    }
}
