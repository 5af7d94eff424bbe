//! The operations that are tried again: whether an attempt conflicts is known as well.
//!
//! While an attempt is under way, something else may be committed. It then has to conflict if, and
//! only if, that changed something that the attempt had read or was going to read.

use super::Run;
use crate::support::model::{self, Model, Mutation, Op, TypeMismatch};
use crate::support::selector::Selector;
use kvick::{
    Change, Entry, Error, ErrorKind, Key, Kv, Result, Transacted, Transaction, Value, Versionstamp,
};
use rand::RngExt;
use std::collections::{BTreeMap, BTreeSet};

/// What somebody else does in the middle of an attempt.
#[derive(Clone, Debug)]
struct Interference {
    key: Key,
    value: Option<Value>,
}

impl Interference {
    fn happen(&self, kv: &Kv) -> Versionstamp {
        let done = match &self.value {
            Some(value) => kv.set(&self.key, value),
            None => kv.delete(&self.key),
        };
        done.expect("a key can be changed meanwhile")
    }

    /// Whether it changes anything: deleting what is not there does not.
    fn changes(&self, model: &Model) -> bool {
        self.value.is_some() || model.get(&self.key).is_some()
    }

    fn enter(&self, model: &mut Model, versionstamp: Versionstamp) {
        let changes = [(self.key.clone(), self.value.clone())];
        model.install(changes.into(), versionstamp);
    }
}

/// What an update makes of an entry.
#[derive(Clone, Debug)]
enum Decision {
    Keep,
    Set(Value),
    Delete,
    Abort,
    Fail,
}

impl Decision {
    fn change(&self) -> Result<Change> {
        Ok(match self {
            Self::Keep => Change::keep(),
            Self::Set(value) => Change::set(value),
            Self::Delete => Change::delete(),
            Self::Abort => Change::abort("no"),
            Self::Fail => return Err(Error::other("broken")),
        })
    }

    fn op(&self) -> Option<Op> {
        match self {
            Self::Set(value) => Some(Op::Set(value.clone())),
            Self::Delete => Some(Op::Delete),
            Self::Keep | Self::Abort | Self::Fail => None,
        }
    }
}

/// One thing that a transaction does.
#[derive(Clone, Debug)]
enum Act {
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
struct Reads {
    /// In the order in which they were first read.
    keys: Vec<Key>,
    /// With the last key that a full list gave: nothing beyond it was read.
    ranges: Vec<(Selector, bool, Option<Key>)>,
}

impl Reads {
    fn cover(&self, key: &Key) -> bool {
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
struct Overlay(BTreeMap<Key, Vec<Op>>);

impl Overlay {
    /// A set or a deletion makes forgotten what was to be done before.
    fn write(&mut self, Mutation { key, op }: &Mutation) {
        let ops = self.0.entry(key.clone()).or_default();
        if matches!(op, Op::Set(_) | Op::Delete) {
            ops.clear();
        }
        ops.push(op.clone());
    }

    fn value(&self, base: &Model, key: &Key) -> Result<Option<Value>, TypeMismatch> {
        let mut ops = self.0.get(key).into_iter().flatten();
        ops.try_fold(base.value(key), |value, op| {
            model::apply(value.as_ref(), op)
        })
    }

    fn mutations(&self) -> Vec<Mutation> {
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
    ) -> Result<Vec<(Key, Value, Option<Versionstamp>)>, TypeMismatch> {
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
struct Attempt<'a> {
    base: &'a Model,
    overlay: Overlay,
    reads: Reads,
}

impl Attempt<'_> {
    fn act(&mut self, tx: &mut Transaction<'_>, act: &Act) {
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
            (Err(error), Err(TypeMismatch)) => assert_eq!(error.kind(), ErrorKind::TypeMismatch),
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
            (Err(error), Err(TypeMismatch)) => assert_eq!(error.kind(), ErrorKind::TypeMismatch),
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
        Op::Delete => tx.delete(key),
        Op::Sum(operand) => tx.sum(key, *operand),
        Op::Min(operand) => tx.min(key, *operand),
        Op::Max(operand) => tx.max(key, *operand),
    }
}

impl Run {
    fn interference(&mut self) -> Option<Interference> {
        let value = self.random.random_bool(0.7).then(|| self.value());
        let key = self.key();
        let happens = self.random.random_bool(0.5);
        happens.then_some(Interference { key, value })
    }

    fn act(&mut self) -> Act {
        match self.random.random_range(0..5) {
            0 | 1 => Act::Get(self.key()),
            2 => Act::List {
                selector: self.selector(),
                reverse: self.random.random(),
                limit: (self.random.random_bool(0.4)).then(|| self.random.random_range(1..4)),
            },
            _ => Act::Write(self.mutation()),
        }
    }

    pub(super) fn transact(&mut self) {
        let mut other = self.interference();
        let count = self.random.random_range(0..8);
        let mut acts: Vec<_> = (0..count).map(|_| self.act()).collect();
        acts.insert(self.random.random_range(0..=count), Act::Interfere);
        let gives_up = self.random.random_bool(0.05);

        let (kv, mut current) = (self.kv.clone(), self.model.clone());
        let mut minted = None;
        let mut attempts = Vec::new();
        let mut last = None;
        let done = kv.transact(|tx| {
            let base = current.clone();
            let mut attempt = Attempt {
                base: &base,
                overlay: Overlay::default(),
                reads: Reads::default(),
            };
            let mut conflicts = None;
            for act in &acts {
                attempt.act(tx, act);
                if let (Act::Interfere, Some(other)) = (act, other.take()) {
                    let versionstamp = other.happen(&kv);
                    conflicts = other.changes(&current).then_some(other.key.clone());
                    other.enter(&mut current, versionstamp);
                    minted = Some(versionstamp);
                }
            }
            let conflicts = conflicts.is_some_and(|key| attempt.reads.cover(&key));
            attempts.push(conflicts && !attempt.overlay.0.is_empty());
            last = Some((attempt.overlay, attempt.reads));
            if gives_up { tx.abort("no") } else { Ok(()) }
        });
        self.model = current;
        if let Some(versionstamp) = minted {
            assert!(versionstamp > self.latest);
            self.latest = versionstamp;
        }
        let (overlay, reads) = last.expect("it is called at least once");
        if gives_up {
            return self.aborted(done, &reads);
        }
        let expected: &[bool] = if attempts[0] {
            &[true, false]
        } else {
            &[false]
        };
        assert_eq!(attempts, expected, "which attempts conflict: {done:?}");
        self.finished(done, attempts.len(), &overlay);
    }

    fn aborted(&self, done: Result<Transacted<()>>, reads: &Reads) {
        match done.expect("to abort is no error") {
            Transacted::Aborted { reason, read, .. } => {
                assert_eq!(reason.to_string(), "no");
                assert!(read.iter().map(Entry::key).eq(&reads.keys), "X02");
            }
            other => panic!("it was aborted: {other:?}"),
        }
        assert_eq!(self.kv.stats().latest, self.latest);
    }

    fn finished(&mut self, done: Result<Transacted<()>>, attempts: usize, overlay: &Overlay) {
        match self.model.changes(&overlay.mutations()) {
            Err(TypeMismatch) => {
                let error = done.expect_err("a mutation does not fit");
                assert_eq!(error.kind(), ErrorKind::TypeMismatch);
            }
            Ok(changes) => match done.expect("every mutation fits") {
                Transacted::Committed {
                    versionstamp,
                    attempts: counted,
                    ..
                } => {
                    assert_eq!(counted as usize, attempts);
                    assert_eq!(versionstamp.is_some(), !overlay.0.is_empty());
                    if let Some(versionstamp) = versionstamp {
                        assert!(versionstamp > self.latest);
                        self.latest = versionstamp;
                        self.stale.push(versionstamp);
                        self.model.install(changes, versionstamp);
                    }
                }
                other => panic!("it neither aborts nor gives up: {other:?}"),
            },
        }
        // A conflict over a range may have minted a stamp for nothing.
        let latest = self.kv.stats().latest;
        assert!(latest >= self.latest);
        self.latest = latest;
    }
}

/// The updates.
impl Run {
    fn decision(&mut self) -> Decision {
        match self.random.random_range(0..20) {
            0 => Decision::Abort,
            1 => Decision::Fail,
            2..6 => Decision::Keep,
            6..9 => Decision::Delete,
            _ => Decision::Set(self.value()),
        }
    }

    pub(super) fn update(&mut self) {
        let (key, decision) = (self.key(), self.decision());
        self.update_keys(&[key], &[decision], |kv, keys, decide| {
            kv.update(&keys[0], |entry| {
                let mut changes = decide(std::slice::from_ref(entry))?;
                Ok::<_, Error>(changes.remove(0))
            })
        });
    }

    pub(super) fn update_many(&mut self) {
        let keys = self.keys(0..6);
        let decisions: Vec<_> = keys.iter().map(|_| self.decision()).collect();
        self.update_keys(&keys, &decisions, |kv, keys, decide| {
            kv.update_many(keys, |entries| decide(entries))
        });
    }

    fn update_keys(
        &mut self,
        keys: &[Key],
        decisions: &[Decision],
        update: impl FnOnce(
            &Kv,
            &[Key],
            &mut dyn FnMut(&[Entry]) -> Result<Vec<Change>>,
        ) -> Result<Transacted<()>>,
    ) {
        let interference = self.interference();
        let (kv, mut current) = (self.kv.clone(), self.model.clone());
        let mut other = interference.clone();
        let mut calls = 0;
        let done = update(&self.kv, keys, &mut |entries| {
            calls += 1;
            assert!(entries.iter().map(Entry::key).eq(keys));
            for entry in entries {
                current.assert_read(entry);
            }
            if let Some(other) = other.take() {
                other.enter(&mut current, other.happen(&kv));
            }
            decisions.iter().map(Decision::change).collect()
        });
        let meets = |other: &Interference| other.changes(&self.model) && keys.contains(&other.key);
        let conflicts = interference.as_ref().is_some_and(meets);
        self.model = current;
        self.latest = self.latest.max(self.newest());
        self.updated(done, keys, decisions, (calls, conflicts));
    }

    /// The largest versionstamp of the model.
    fn newest(&self) -> Versionstamp {
        let stored = self.model.entries.values();
        let versionstamps = stored.map(|stored| stored.versionstamp);
        versionstamps.max().unwrap_or(self.latest)
    }

    fn updated(
        &mut self,
        done: Result<Transacted<()>>,
        keys: &[Key],
        decisions: &[Decision],
        (calls, conflicts): (u32, bool),
    ) {
        // The first that ends the matter, in the order of the keys, does; an error before all.
        if decisions.iter().any(|one| matches!(one, Decision::Fail)) {
            assert_eq!(done.expect_err("it fails").kind(), ErrorKind::Other);
        } else if decisions.iter().any(|one| matches!(one, Decision::Abort)) {
            let done = done.expect("to abort is no error");
            assert!(matches!(done, Transacted::Aborted { .. }), "{done:?}");
        } else {
            let mutations = keys.iter().zip(decisions).filter_map(|(key, decision)| {
                let (key, op) = (key.clone(), decision.op()?);
                Some(Mutation { key, op })
            });
            let mutations: Vec<_> = mutations.collect();
            let Transacted::Committed { versionstamp, .. } = done.expect("nothing is refused")
            else {
                panic!("it neither aborts nor gives up")
            };
            assert_eq!(versionstamp.is_some(), !mutations.is_empty(), "X04");
            assert_eq!(calls, 1 + u32::from(conflicts && versionstamp.is_some()));
            if let Some(versionstamp) = versionstamp {
                let changes = self.model.changes(&mutations);
                let changes = changes.expect("no arithmetic is done");
                self.model.install(changes, versionstamp);
                assert!(versionstamp > self.latest);
            }
        }
        self.latest = self.kv.stats().latest;
    }
}
