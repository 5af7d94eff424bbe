//! An atomic operation, on its way to a database.

use super::{payload, wire};
use crate::engine::arithmetic::BoundedSum;
use crate::engine::write::{Enqueue, Expect, Mutation, Op, Write};
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::value::{NewValue, ValueRef};
use crate::version::Versionstamp;
use chrono::{DateTime, Utc};
use denokv_proto::{AtomicWrite, KvValue, MutationKind};
use std::time::Duration;

/// What stands for a version that is in use nowhere, where the one that was asked for is all zeros: some
/// servers take zeros for a key that is missing.
const NEVER: [u8; 10] = [0xff; 10];
const ZERO: Versionstamp = Versionstamp::from_bytes([0; 10]);

/// The operation as the trait has it, where it is `now` since 1970.
///
/// # Errors
///
/// `Unsupported` for what it cannot say; `InvalidExpiry`, `InvalidEnqueue`.
pub(super) fn atomic_write(write: &Write<'_>, now: Duration) -> Result<AtomicWrite> {
    let mut versionstamped = write.versionstamped().iter().peekable();
    let mutations = (0..).zip(&write.mutations).map(|(index, mutation)| {
        let ending = versionstamped.next_if(|(ending, _)| *ending == index);
        match (ending, &mutation.op) {
            (Some((_, prefix)), Op::Set(value)) => Ok(denokv_proto::Mutation {
                key: prefix.as_bytes().to_vec(),
                kind: MutationKind::SetSuffixVersionstampedKey(wire::kv_value(value.as_ref())),
                expire_at: expire_at(value.expiry(), now)?,
            }),
            _ => as_mutation(mutation, now),
        }
    });
    let mutations = mutations.collect::<Result<_>>()?;
    Ok(AtomicWrite {
        checks: as_checks(write)?,
        mutations,
        enqueues: (write.enqueues().iter())
            .map(|enqueue| as_enqueue(enqueue, now))
            .collect::<Result<_>>()?,
    })
}

fn as_checks(write: &Write<'_>) -> Result<Vec<denokv_proto::Check>> {
    let mut foreign = write.foreign().iter().peekable();
    let checks = (0..).zip(&write.checks).map(|(index, check)| {
        let asked = foreign.next_if(|(foreign, _)| *foreign == index);
        Ok(denokv_proto::Check {
            key: check.key.as_bytes().to_vec(),
            versionstamp: match (check.expect, asked) {
                (Expect::Absent, _) => None,
                (Expect::At(stamp), _) => Some(Versionstamp::from(stamp).to_bytes()),
                (Expect::Impossible, Some((_, versionstamp))) if *versionstamp != ZERO => {
                    Some(versionstamp.to_bytes())
                }
                (Expect::Impossible, _) => Some(NEVER),
                (Expect::Exists | Expect::NotNewer(_), _) => {
                    let what = "the protocol checks versionstamps only";
                    return Err(Error::unsupported(what));
                }
            },
        })
    });
    checks.collect()
}

fn as_mutation(mutation: &Mutation<'_>, now: Duration) -> Result<denokv_proto::Mutation> {
    let mut expires = None;
    let kind = match &mutation.op {
        Op::Set(value) => {
            expires = expire_at(value.expiry(), now)?;
            MutationKind::Set(wire::kv_value(value.as_ref()))
        }
        Op::Delete => MutationKind::Delete,
        Op::Sum(operand) => MutationKind::Sum {
            value: KvValue::U64(*operand),
            min_v8: Vec::new(),
            max_v8: Vec::new(),
            clamp: false,
        },
        Op::Min(operand) => MutationKind::Min(KvValue::U64(*operand)),
        Op::Max(operand) => MutationKind::Max(KvValue::U64(*operand)),
        Op::BoundedSum(sum) => as_sum(sum)?,
        Op::NotU64(operation) => return Err(Error::operand_not_u64(operation)),
        Op::Touch(_) => return Err(Error::unsupported("the protocol cannot touch an entry")),
        Op::Qualified(_) => {
            let what = "the protocol has no expiry of what arithmetic comes to";
            return Err(Error::unsupported(what));
        }
    };
    Ok(denokv_proto::Mutation {
        key: mutation.key.as_bytes().to_vec(),
        kind,
        expire_at: expires,
    })
}

fn as_sum(sum: &BoundedSum<'_>) -> Result<MutationKind> {
    let bound = |bound: &Option<NewValue<'_>>| match bound.as_ref().map(NewValue::as_ref) {
        None => Ok(Vec::new()),
        Some(ValueRef::V8(bytes)) => Ok(bytes.to_vec()),
        Some(_) => Err(Error::bounded_u64()),
    };
    Ok(MutationKind::Sum {
        value: wire::kv_value(sum.operand.as_ref()),
        min_v8: bound(&sum.min)?,
        max_v8: bound(&sum.max)?,
        clamp: sum.is_clamped,
    })
}

fn expire_at(expiry: Expiry, now: Duration) -> Result<Option<DateTime<Utc>>> {
    match expiry.time() {
        Some(after) => wire::instant(now.saturating_add(after)).map(Some),
        None if expiry == Expiry::NEVER => Ok(None),
        None => Err(Error::unsupported("the protocol cannot keep an expiry")),
    }
}

fn as_enqueue(enqueue: &Enqueue<'_>, now: Duration) -> Result<denokv_proto::Enqueue> {
    let delivery = &enqueue.delivery;
    if !delivery.queue_name().is_empty() {
        let what = "the protocol has one queue, which has no name";
        return Err(Error::unsupported(what));
    }
    // Of which Deno knows whole milliseconds.
    let whole_ms = |interval: &Duration| u32::try_from(interval.as_millis()).unwrap_or(u32::MAX);
    let keys = delivery.dead_letter_keys().iter();
    Ok(denokv_proto::Enqueue {
        payload: payload::encode(enqueue.payload.as_ref()),
        deadline: wire::instant(now.saturating_add(delivery.delay_time()))?,
        keys_if_undelivered: keys.map(|key| key.as_bytes().to_vec()).collect(),
        backoff_schedule: delivery
            .intervals()
            .map(|intervals| intervals.iter().map(whole_ms).collect()),
    })
}
