//! Random operations beside a model: the sum of the weights is exact, whatever comes in whichever way.

use super::{LIMIT, weigh, weighing};
use crate::support::assert_empties;
use crate::support::seeds::for_seeds;
use kvick::{
    AtomicOp, ErrorKind, ImportOptions, Key, Kv, Loading, ManualClock, NewValue, OnLimit, Range,
    Result, Update, Value, ValueRef,
};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The first of the keys have numbers, the others bytes.
const NUMBERS: u64 = 6;
const KEYS: u64 = 20;

#[derive(Clone, Debug)]
enum Change {
    Set(Value, Option<Duration>),
    /// Keeps the expiry.
    SetKept(Value),
    Touch(Option<Duration>),
    Delete,
    Sum(u64),
    Min(u64),
    Max(u64),
}

#[derive(Clone, Debug)]
struct Stored {
    value: Value,
    weight: u64,
    deadline: Option<Duration>,
}

/// What is there, expired or not, and how often something was weighed.
#[derive(Default)]
struct Model {
    entries: BTreeMap<u64, Stored>,
    now: Duration,
    weighed: u64,
}

fn weight_of(key: u64, value: ValueRef<'_>) -> u64 {
    u64::from(weigh(&Key::from(key), value)).max(1)
}

impl Model {
    fn live(&self, key: u64) -> Option<&Stored> {
        let stored = self.entries.get(&key);
        stored.filter(|stored| stored.deadline.is_none_or(|deadline| deadline > self.now))
    }

    fn total(&self) -> u64 {
        self.entries.values().map(|stored| stored.weight).sum()
    }

    fn changed(&self, key: u64, before: Option<Stored>, change: &Change) -> Option<Stored> {
        let set = |value: &Value, deadline| {
            Some(Stored {
                value: value.clone(),
                weight: weight_of(key, value.as_ref()),
                deadline,
            })
        };
        let until = |after: &Option<Duration>| after.map(|after| self.now + after);
        let combined = |operand: u64, combine: fn(u64, u64) -> u64| {
            let stored = before.as_ref().and_then(|stored| stored.value.as_u64());
            let value = stored.map_or(operand, |stored| combine(stored, operand));
            Some(Stored {
                value: Value::U64(value),
                weight: weight_of(key, ValueRef::U64(operand)),
                deadline: None,
            })
        };
        match change {
            Change::Set(value, after) => set(value, until(after)),
            Change::SetKept(value) => set(value, before.and_then(|before| before.deadline)),
            Change::Touch(after) => before.map(|before| Stored {
                deadline: until(after),
                ..before
            }),
            Change::Delete => None,
            Change::Sum(operand) => combined(*operand, u64::wrapping_add),
            Change::Min(operand) => combined(*operand, u64::min),
            Change::Max(operand) => combined(*operand, u64::max),
        }
    }

    /// Changes all of it, or nothing where that would weigh too much.
    fn commit(&mut self, changes: &[(u64, Change)]) -> bool {
        let mut pending = BTreeMap::new();
        for (key, change) in changes {
            let valued = !matches!(change, Change::Touch(_) | Change::Delete);
            self.weighed += u64::from(valued);
            let stored = || self.live(*key).cloned();
            let before = pending.remove(key).unwrap_or_else(stored);
            pending.insert(*key, self.changed(*key, before, change));
        }
        let weight = |stored: Option<&Stored>| stored.map_or(0, |stored| stored.weight);
        let added = pending.iter().map(|(key, stored)| {
            weight(stored.as_ref()).saturating_sub(weight(self.entries.get(key)))
        });
        if self.total() + added.sum::<u64>() > LIMIT {
            return false;
        }
        for (key, stored) in pending {
            match stored {
                Some(stored) => drop(self.entries.insert(key, stored)),
                None => drop(self.entries.remove(&key)),
            }
        }
        true
    }
}

fn some_value(random: &mut StdRng) -> Value {
    match random.random_range(0..5) {
        0 => NewValue::number(f64::from(random.random_range(0..9))).into(),
        // Beyond what lies inline.
        1 => Value::from(vec![1; random.random_range(1_000..3_000)]),
        _ => Value::from(vec![2; random.random_range(0..300)]),
    }
}

fn some_change(random: &mut StdRng) -> (u64, Change) {
    let key = random.random_range(0..KEYS);
    let number = random.random_range(0..20);
    let value = if key < NUMBERS {
        Value::U64(number)
    } else {
        some_value(random)
    };
    let after = (number % 3 == 0).then(|| Duration::from_millis(random.random_range(0..50)));
    let change = match random.random_range(0..9) {
        0 => Change::Delete,
        1 => Change::Touch(after),
        2 => Change::SetKept(value),
        3 if key < NUMBERS => Change::Sum(number),
        4 if key < NUMBERS => Change::Min(number),
        5 if key < NUMBERS => Change::Max(number),
        _ => Change::Set(value, after),
    };
    (key, change)
}

fn new_value(value: &Value, after: Option<Duration>) -> NewValue<'_> {
    let value = NewValue::from(value);
    match after {
        Some(after) => value.expire_in(after),
        None => value,
    }
}

fn add(operation: &mut AtomicOp<'_>, key: u64, change: &Change) {
    match change {
        Change::Set(value, after) => {
            operation.set(key, new_value(value, *after).into_owned());
        }
        Change::SetKept(value) => {
            operation.set(key, NewValue::from(value).keep_expiry().into_owned());
        }
        Change::Touch(after) => drop(operation.touch(key, *after)),
        Change::Delete => drop(operation.delete(key)),
        Change::Sum(operand) => drop(operation.sum(key, *operand)),
        Change::Min(operand) => drop(operation.min(key, *operand)),
        Change::Max(operand) => drop(operation.max(key, *operand)),
    }
}

fn commit_alone(kv: &Kv, key: u64, change: &Change) -> Result<()> {
    match change {
        Change::Set(value, after) => kv.set(key, new_value(value, *after)).map(drop),
        Change::SetKept(value) => kv.set(key, NewValue::from(value).keep_expiry()).map(drop),
        Change::Touch(after) => kv.touch(key, *after).map(drop),
        Change::Delete => kv.delete(key).map(drop),
        Change::Sum(operand) => kv.sum(key, *operand).map(drop),
        Change::Min(operand) => kv.min(key, *operand).map(drop),
        Change::Max(operand) => kv.max(key, *operand).map(drop),
    }
}

fn commit_atomic(kv: &Kv, changes: &[(u64, Change)], returns: bool) -> Result<()> {
    let mut operation = kv.atomic();
    for (key, change) in changes {
        add(&mut operation, *key, change);
    }
    let outcome = if returns {
        operation.commit_returning()?.0
    } else {
        operation.commit()?
    };
    assert!(outcome.is_committed());
    Ok(())
}

fn transact(kv: &Kv, changes: &[(u64, Change)]) -> Result<()> {
    let transacted = kv.transact(|tx| {
        // So that it is committed as one that has read ranges.
        tx.list(Range::prefix("none")).count()?;
        for (key, change) in changes {
            match change {
                Change::Set(value, after) => tx.set(*key, new_value(value, *after)),
                Change::SetKept(value) => tx.set(*key, NewValue::from(value).keep_expiry()),
                Change::Touch(after) => tx.touch(*key, *after),
                Change::Delete => tx.delete(*key),
                Change::Sum(operand) => tx.sum(*key, *operand),
                Change::Min(operand) => tx.min(*key, *operand),
                Change::Max(operand) => tx.max(*key, *operand),
            }
        }
        Ok(())
    })?;
    assert!(transacted.is_committed());
    Ok(())
}

/// A copy of some entries, from a database that weighs nothing.
fn copy_of(changes: &[(u64, Change)]) -> Vec<u8> {
    let (kv, mut copy) = (Kv::new(), Vec::new());
    for (key, change) in changes {
        if let Change::Set(value, _) = change {
            kv.set(*key, value).expect("it is small");
        }
    }
    kv.export(&mut copy).expect("a vector takes it");
    copy
}

/// Each key once, with its last change.
fn distinct(changes: Vec<(u64, Change)>) -> Vec<(u64, Change)> {
    let changes: BTreeMap<_, _> = changes.into_iter().collect();
    changes.into_iter().collect()
}

fn step(kv: &Kv, model: &mut Model, random: &mut StdRng) {
    let mut changes: Vec<_> = (0..random.random_range(1..6))
        .map(|_| some_change(random))
        .collect();
    let result = match random.random_range(0..9) {
        0 => {
            changes = distinct(changes);
            transact(kv, &changes)
        }
        1 => {
            changes.truncate(1);
            changes.retain(|(_, change)| matches!(change, Change::Set(..)));
            let Some((key, Change::Set(value, after))) = changes.first() else {
                return;
            };
            let set = || Update::set(new_value(value, *after));
            kv.update(*key, |_| set()).map(drop)
        }
        2 => {
            changes = distinct(changes);
            changes.retain(|(_, change)| matches!(change, Change::Set(_, None)));
            let overwrite = ImportOptions::default().overwrite();
            let imported = kv.import(&copy_of(&changes)[..], &overwrite);
            imported.map(drop)
        }
        3..6 => commit_atomic(kv, &changes, random.random()),
        _ => {
            changes.truncate(1);
            let (key, change) = &changes[0];
            let is_missing = model.live(*key).is_none();
            match change {
                Change::Set(value, None) if is_missing => {
                    let load = || Ok::<_, Infallible>(NewValue::from(value));
                    let loaded = kv.get_or_load(*key, Loading::default(), load);
                    loaded.map(drop).map_err(|error| match error {
                        kvick::LoadError::Refused(error) => error,
                        kvick::LoadError::Failed(_) => unreachable!("it does not"),
                    })
                }
                // It is left as it is, whether or not it waits to be deleted.
                Change::Touch(_) if is_missing => return,
                change => commit_alone(kv, *key, change),
            }
        }
    };
    if model.commit(&changes) {
        result.expect("there is room");
    } else {
        let error = result.expect_err("there is no room");
        assert_eq!(error.kind(), ErrorKind::EntryLimit, "{error}");
    }
}

#[test]
fn the_sum_of_the_weights_is_that_of_a_model() {
    for_seeds(
        "weigher::random::the_sum_of_the_weights_is_that_of_a_model",
        6,
        4_000,
        |mut random, steps| {
            let clock = Arc::new(ManualClock::default());
            let calls = Arc::new(AtomicU64::new(0));
            let kv = weighing(&calls)
                .clock(Arc::<ManualClock>::clone(&clock))
                .build();
            let mut model = Model::default();
            let mut refused = 0;
            for _ in 0..steps {
                let before = model.total();
                match random.random_range(0..40) {
                    0 => {
                        let step = Duration::from_millis(random.random_range(0..40));
                        model.now += step;
                        clock.advance(step);
                    }
                    1 => {
                        kv.sweep();
                        let now = model.now;
                        let is_due = |stored: &Stored| stored.deadline.is_some_and(|at| at <= now);
                        model.entries.retain(|_, stored| !is_due(stored));
                    }
                    2 => {
                        let first = random.random_range(0..KEYS);
                        kv.delete_range(Range::new(first, first + 3)).unwrap();
                        model
                            .entries
                            .retain(|key, _| !(first..first + 3).contains(key));
                    }
                    _ => step(&kv, &mut model, &mut random),
                }
                refused += u64::from(before == model.total());
                let stats = kv.stats();
                assert_eq!(stats.entry_weight as u64, model.total());
                assert!(stats.entry_weight as u64 <= LIMIT);
                assert_eq!(calls.load(Ordering::Relaxed), model.weighed);
                let key = random.random_range(0..KEYS);
                let entry = kv.get(key).unwrap();
                assert_eq!(entry.value(), model.live(key).map(|stored| &stored.value));
            }
            assert!(refused > 0 && model.weighed > steps as u64);
            assert_empties(&kv);
            assert_eq!(kv.stats().entry_weight, 0);
        },
    );
}

#[test]
fn the_sum_of_the_weights_is_that_of_what_evictions_leave() {
    for_seeds(
        "weigher::random::the_sum_of_the_weights_is_that_of_what_evictions_leave",
        4,
        4_000,
        |mut random, steps| {
            let calls = Arc::new(AtomicU64::new(0));
            let kv = weighing(&calls).on_limit(OnLimit::Evict).build();
            let mut evictions = kv.evictions(16 * steps).unwrap();
            let (mut weights, mut weighed, mut sum) = (BTreeMap::new(), 0, 0);
            for _ in 0..steps {
                let mut operation = kv.atomic();
                for _ in 0..random.random_range(1..4) {
                    // More keys than fit, each set once more in a while.
                    let key = random.random_range(0..200);
                    if random.random_range(0..8) == 0 {
                        operation.delete(key);
                        weights.remove(&key);
                        continue;
                    }
                    let value = some_value(&mut random);
                    weights.insert(key, weight_of(key, value.as_ref()));
                    operation.set(key, value);
                    weighed += 1;
                }
                assert!(operation.commit().unwrap().is_committed());
                assert_eq!(calls.load(Ordering::Relaxed), weighed);
                let is_there = |key: &u64| kv.get(*key).unwrap().exists();
                let left: u64 = (weights.iter().filter(|(key, _)| is_there(key)))
                    .map(|(_, weight)| weight)
                    .sum();
                assert_eq!(kv.stats().entry_weight as u64, left);
                assert!(left <= LIMIT);
                sum += left;
            }
            // The heaviest take a fifth of it, and as much has to go for them.
            let mean = sum / steps as u64;
            assert!(mean > LIMIT * 3 / 4, "{mean}");
            let stats = kv.stats();
            assert!(stats.evicted_for_entries_count > 100, "{stats:?}");
            assert!(evictions.try_recv().unwrap().is_some());
            assert_empties(&kv);
            assert_eq!(kv.stats().entry_weight, 0);
        },
    );
}
