//! What is done before the locks are taken, so that it is not done behind them.

use super::{Pending, Plan, prepare};
use crate::clock::SystemClock;
use crate::engine::history::HistoryBounds;
use crate::engine::timing::CommitTime;
use crate::engine::write::{
    Check, Expect, Mutation, Op, Write, check_single, check_single_closely,
};
use crate::engine::{Config, Engine};
use crate::expiry::Expiry;
use crate::key::Key;
use crate::limits::Limits;
use crate::mvcc::chain::RecordRef;
use crate::mvcc::stripes::{Locked, StripeSet};
use crate::sync::epoch;
use crate::value::{NewValue, Value};
use smallvec::smallvec;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

fn engine(stripe_bits: u32) -> Arc<Engine> {
    Engine::new(Config {
        limits: Limits::default(),
        clock: Arc::new(SystemClock),
        stripe_bits,
        maintenance: false,
        history: HistoryBounds::default(),
        memory_limit: u64::MAX,
        entry_limit: u64::MAX,
        weigher: None,
        eviction: None,
        latency_histograms: false,
        slow_commits: None,
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
    let mut write = Write::new();
    write.mutations = smallvec![
        mutation("old", Op::Set(2_u64.into())),
        mutation("new", Op::Set(3_u64.into())),
        mutation("sum", Op::Sum(4)),
    ];
    let (guard, mut plan) = (epoch::pin(), Plan::new());
    engine
        .plan(&write, &mut plan, &mut StripeSet::default(), &guard)
        .expect("there is memory");
    let found = plan.targets.iter().map(|target| target.record.is_some());
    assert!(found.eq([true, false, false]));
    let copied = plan.targets.iter().map(|target| target.prepared.is_some());
    assert!(copied.eq([true, true, false]));
    assert!(prepare(&Op::Delete).is_ok_and(|draft| draft.is_none()));
}

#[test]
fn the_stripes_of_the_keys_are_locked_and_no_others() {
    let engine = engine(8);
    for count in 0..40 {
        let keys: Vec<_> = (0..count)
            .map(|number| Key::from((count, number)))
            .collect();
        let (checked, written) = keys.split_at(count / 2);
        let mut write = Write::new();
        write.checks = checked
            .iter()
            .map(|key| Check {
                key: key.clone(),
                expect: Expect::Absent,
            })
            .collect();
        write.mutations = written
            .iter()
            .map(|key| Mutation {
                key: key.clone(),
                op: Op::Delete,
            })
            .collect();
        let (guard, mut plan, mut locked) = (epoch::pin(), Plan::new(), Locked::new());
        let mut set = StripeSet::default();
        let planned = engine.plan(&write, &mut plan, &mut set, &guard);
        planned.expect("there is memory");
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

/// Limits of a few bytes, so that every one of them is met; and two that are as good as none.
fn some_limits() -> impl Iterator<Item = Limits> {
    (0..4_usize.pow(5)).map(|number| {
        let [keys, values, total, total_keys, count] =
            [0, 1, 2, 3, 4].map(|place| [1, 3, 8, usize::MAX][number / 4_usize.pow(place) % 4]);
        let mut limits = Limits::unlimited();
        limits.key_write_bytes_max = keys.min(limits.key_write_bytes_max);
        limits.value_bytes_max = values;
        limits.total_bytes_max = total;
        limits.total_key_bytes_max = total_keys;
        limits.mutations_max = count - 1;
        limits.checks_max = count;
        limits
    })
}

#[test]
fn what_is_plainly_within_the_limits_is_within_them() {
    let (mut plain_count, mut allowed_count) = (0, 0);
    for limits in some_limits() {
        let single = limits.single();
        for (key_bytes, value_bytes) in (0..5).flat_map(|key| (0..5).map(move |value| (key, value)))
        {
            let key = Key::raw(&b"key.."[..key_bytes]);
            let value = NewValue::from(&b"value"[..value_bytes]);
            for op in [Op::Set(value), Op::Delete, Op::Sum(1)] {
                let mut write = Write::new();
                write.mutations.push(Mutation {
                    key: key.clone(),
                    op,
                });
                for _ in 0..2 {
                    let is_plain = write.is_plain(&limits, single);
                    let is_allowed = write.check_all_limits(&limits).is_ok();
                    assert!(is_allowed || !is_plain, "{limits:?} {write:?}");
                    plain_count += u32::from(is_plain);
                    allowed_count += u32::from(is_allowed);
                    let check = Check {
                        key: key.clone(),
                        expect: Expect::Exists,
                    };
                    write.checks.push(check);
                }
                let [Mutation { key, op }] = &write.mutations[..] else {
                    unreachable!("it has one");
                };
                let is_allowed = check_single_closely(key, op, &limits).is_ok();
                assert_eq!(check_single(key, op, &limits, single).is_ok(), is_allowed);
            }
        }
    }
    assert!(plain_count > 0 && plain_count < allowed_count);
}

#[test]
fn arithmetic_in_fewer_steps_comes_to_the_same() {
    let engine = engine(4);
    let guard = epoch::pin();
    let hour = Duration::from_secs(3_600);
    let stored: [Option<NewValue<'_>>; 6] = [
        None,
        Some(7_u64.into()),
        Some(u64::MAX.into()),
        Some("7".into()),
        Some(NewValue::v8(b"\xff\x0f0")),
        Some(NewValue::from(7_u64).expire_in(hour)),
    ];
    let ops = [0, 1, 7, 8, u64::MAX]
        .map(|operand| [Op::Sum(operand), Op::Min(operand), Op::Max(operand)]);
    let others = [
        Op::Delete,
        Op::Touch(Expiry::NEVER),
        Op::Set(1_u64.into()),
        Op::min(&1_u64.into()).timed(Expiry::KEEP),
    ];
    for (number, stored) in stored.into_iter().enumerate() {
        let key = Key::from(number);
        if let Some(value) = stored {
            engine.set(&key, value).expect("a key can be set");
        }
        let stored = engine.find(&key, &guard).and_then(RecordRef::head);
        for op in ops.as_flattened().iter().chain(&others) {
            let time = CommitTime::new(&engine);
            let mut pending = Pending::stored(stored);
            let applied = pending.apply(op, &time);
            let Some(combined) = op.combined(stored) else {
                let is_easy = number < 3 && matches!(op, Op::Sum(_) | Op::Min(_) | Op::Max(_));
                assert!(!is_easy, "{op:?}");
                continue;
            };
            assert!(applied.is_ok());
            assert_eq!(pending.to_value(), Some(Value::U64(combined)));
            assert_eq!(pending.deadline(), None);
        }
    }
}
