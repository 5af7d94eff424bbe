//! What is done before the locks are taken, so that it is not done behind them.

use super::{Pending, Plan, prepare};
use crate::clock::SystemClock;
use crate::engine::history::HistoryBounds;
use crate::engine::write::{Check, Expect, Mutation, Op, Write};
use crate::engine::{Config, Engine};
use crate::key::Key;
use crate::limits::Limits;
use crate::mvcc::stripes::Locked;
use crate::sync::epoch;
use crate::value::NewValue;
use smallvec::smallvec;
use std::collections::BTreeSet;
use std::sync::Arc;

fn engine(stripe_bits: u32) -> Arc<Engine> {
    Engine::new(Config {
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
        stripe_bits,
        maintenance: false,
        history: HistoryBounds::default(),
        queue_concurrency: 1,
    })
}

fn mutation(key: &str, op: Op<'static>) -> Mutation<'static> {
    let key = Key::from(key);
    Mutation { key, op }
}

#[test]
fn a_mutation_is_no_larger_than_the_value_it_sets() {
    assert_eq!(size_of::<Op<'_>>(), size_of::<NewValue<'_>>());
    assert!(size_of::<NewValue<'_>>() <= 56);
    assert!(size_of::<Pending<'_, '_>>() <= 48);
}

#[test]
fn what_can_be_known_is_known_before_the_locks() {
    let engine = engine(4);
    let set = engine.commit_mutation(&Key::from("old"), &Op::Set(1_u64.into()));
    set.expect("a key can be set");
    let write = Write {
        mutations: smallvec![
            mutation("old", Op::Set(2_u64.into())),
            mutation("new", Op::Set(3_u64.into())),
            mutation("sum", Op::Sum(4)),
        ],
        ..Write::default()
    };
    let (guard, mut plan) = (epoch::pin(), Plan::new());
    engine
        .plan(&write, &mut plan, &guard)
        .expect("there is memory");
    let found = plan.targets.iter().map(|target| target.record.is_some());
    assert!(found.eq([true, false, false]));
    let copied = plan.targets.iter().map(|target| target.prepared.is_some());
    assert!(copied.eq([true, true, false]));
    assert!(prepare(&Op::Delete).is_ok_and(|(draft, _)| draft.is_none()));
}

#[test]
fn the_stripes_of_the_keys_are_locked_and_no_others() {
    let engine = engine(8);
    for count in 0..40 {
        let keys: Vec<_> = (0..count)
            .map(|number| Key::from((count, number)))
            .collect();
        let (checked, written) = keys.split_at(count / 2);
        let write = Write {
            checks: checked
                .iter()
                .map(|key| Check {
                    key: key.clone(),
                    expect: Expect::Absent,
                })
                .collect(),
            mutations: written
                .iter()
                .map(|key| Mutation {
                    key: key.clone(),
                    op: Op::Delete,
                })
                .collect(),
            ..Write::default()
        };
        let (guard, mut plan, mut locked) = (epoch::pin(), Plan::new(), Locked::new());
        let set = engine.plan(&write, &mut plan, &guard);
        let set = set.expect("there is memory");
        engine
            .stripes
            .lock(&set, &mut locked)
            .expect("there is memory");
        let stripes = keys.iter().map(|key| engine.stripe_of(key.hash_code()));
        let stripes: BTreeSet<_> = stripes.collect();
        // An operation without a key takes one as well.
        assert_eq!(locked.count(), stripes.len().max(1), "{count} keys");
        for stripe in stripes {
            locked.stripe(stripe);
        }
    }
}
