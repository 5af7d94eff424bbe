//! `atomic_write`: checks, mutations and messages, all or nothing.

use crate::options::Options;
use crate::refusal::Refusal;
use crate::wire::{
    AtomicWrite, AtomicWriteOutput, Check, Enqueue, KvValue, Mutation, count_parts, encoding,
    most_undelivered_keys, mutation, write_status,
};
use bytes::Bytes;
use kvick::{
    AtomicOp, Clock, Delivery, Key, Kv, NewValue, Outcome, Sum, SystemClock, Versionstamp,
};
use prost::Message;
use std::time::Duration;

/// Answers a write.
pub(crate) fn atomic_write(kv: &Kv, options: &Options, body: Bytes) -> Result<Bytes, Refusal> {
    let limits = kv.limits();
    let [checks, mutations, enqueues, _] = count_parts(&body)?;
    if checks > limits.checks_max {
        return Err(Refusal::too_many(
            "Too many checks",
            limits.checks_max,
            checks,
        ));
    }
    if mutations + enqueues > limits.mutations_max {
        let (max, got) = (limits.mutations_max, mutations + enqueues);
        return Err(Refusal::too_many("Too many mutations", max, got));
    }
    if enqueues > 0 {
        if !options.takes_messages {
            return Err(Refusal::bad(
                "nobody can receive messages here: enqueue is not supported",
            ));
        }
        let (max, got) = (limits.undelivered_keys_max, most_undelivered_keys(&body)?);
        if got > max {
            return Err(Refusal::too_many("Too many keys if undelivered", max, got));
        }
    }
    let write = AtomicWrite::decode(body)?;
    let now = SystemClock.wall_time();
    let mut operation = kv.atomic();
    for check in &write.checks {
        add_check(&mut operation, check, options)?;
    }
    for mutation in &write.mutations {
        add_mutation(&mut operation, mutation, now)?;
    }
    for enqueue in &write.enqueues {
        add_enqueue(&mut operation, enqueue, now);
    }
    if options.read_only {
        return Ok(answer(write_status::WRITE_DISABLED, None, Vec::new()));
    }
    Ok(match operation.commit()? {
        Outcome::Committed { versionstamp } => {
            answer(write_status::SUCCESS, Some(versionstamp), Vec::new())
        }
        Outcome::Conflict { failed_checks } => {
            let failed = failed_checks
                .into_iter()
                .filter_map(|index| u32::try_from(index).ok());
            answer(write_status::CHECK_FAILURE, None, failed.collect())
        }
    })
}

fn answer(status: i32, versionstamp: Option<Versionstamp>, failed_checks: Vec<u32>) -> Bytes {
    let versionstamp = versionstamp.map(|stamp| Bytes::copy_from_slice(stamp.as_bytes()));
    let output = AtomicWriteOutput {
        status,
        versionstamp: versionstamp.unwrap_or_default(),
        failed_checks,
    };
    output.encode_to_vec().into()
}

fn add_check(
    operation: &mut AtomicOp<'_>,
    check: &Check,
    options: &Options,
) -> Result<(), Refusal> {
    let key = Key::raw(&check.key);
    if check.versionstamp.is_empty() {
        operation.check_absent(key);
        return Ok(());
    }
    let bytes = <[u8; 10]>::try_from(&check.versionstamp[..]).map_err(|_| {
        let got = check.versionstamp.len();
        Refusal::bad(format!(
            "invalid versionstamp: 0 or 10 bytes are one, and not {got}"
        ))
    })?;
    if bytes == [0; 10] && options.zero_versionstamp_is_absent {
        // As old clients say it (denokv#85). No entry ever has it.
        operation.check_absent(key);
    } else {
        operation.check_versionstamp(key, Versionstamp::from_bytes(bytes));
    }
    Ok(())
}

fn add_mutation<'m>(
    operation: &mut AtomicOp<'m>,
    mutation: &'m Mutation,
    now: Duration,
) -> Result<(), Refusal> {
    let key = Key::raw(&mutation.key);
    let expire_in = expire_in(mutation.expire_at_ms, now)?;
    let lasting = |value: NewValue<'m>| match expire_in {
        Some(after) => value.expire_in(after),
        None => value,
    };
    match mutation.kind {
        mutation::SET => {
            operation.set(key, lasting(value_of(mutation)?));
        }
        mutation::SET_SUFFIX_VERSIONSTAMPED_KEY => {
            operation.set_versionstamped(key, lasting(value_of(mutation)?));
        }
        mutation::DELETE => {
            operation.delete(key);
        }
        mutation::SUM => {
            operation.sum_with(key, sum_of(mutation)?);
        }
        mutation::MIN => {
            operation.min_with(key, value_of(mutation)?);
        }
        mutation::MAX => {
            operation.max_with(key, value_of(mutation)?);
        }
        other => return Err(Refusal::bad(format!("unknown mutation type: {other}"))),
    }
    Ok(())
}

fn sum_of(mutation: &Mutation) -> Result<Sum<'_>, Refusal> {
    let mut sum = Sum::encoded(value_of(mutation)?);
    if !mutation.sum_min.is_empty() {
        sum = sum.at_least(NewValue::v8(&mutation.sum_min));
    }
    if !mutation.sum_max.is_empty() {
        sum = sum.at_most(NewValue::v8(&mutation.sum_max));
    }
    Ok(if mutation.sum_clamp {
        sum.clamped()
    } else {
        sum
    })
}

fn value_of(mutation: &Mutation) -> Result<NewValue<'_>, Refusal> {
    let missing = || Refusal::bad("a mutation that takes a value has none");
    new_value(mutation.value.as_ref().ok_or_else(missing)?)
}

/// A value that is borrowed: the engine copies it, and keeps nothing of the body that it came in.
fn new_value(value: &KvValue) -> Result<NewValue<'_>, Refusal> {
    let data = &value.data[..];
    match value.encoding {
        encoding::V8 => Ok(NewValue::v8(data)),
        encoding::BYTES => Ok(NewValue::from(data)),
        encoding::LE64 => {
            let bytes = <[u8; 8]>::try_from(data).map_err(|_| {
                let got = data.len();
                Refusal::bad(format!("invalid value: an LE64 has 8 bytes, and not {got}"))
            })?;
            Ok(NewValue::from(u64::from_le_bytes(bytes)))
        }
        other => Err(Refusal::bad(format!("unknown value encoding: {other}"))),
    }
}

/// How long an entry is to stay that is to expire at an instant: for ever at 0 and -1 (spec 4.2), and not
/// at all where that has been.
fn expire_in(at_ms: i64, now: Duration) -> Result<Option<Duration>, Refusal> {
    match at_ms {
        0 | -1 => Ok(None),
        _ => {
            let at = u64::try_from(at_ms).map_err(|_| {
                Refusal::bad(format!("invalid expire_at_ms: {at_ms} is before 1970"))
            })?;
            Ok(Some(Duration::from_millis(at).saturating_sub(now)))
        }
    }
}

fn add_enqueue<'m>(operation: &mut AtomicOp<'m>, enqueue: &'m Enqueue, now: Duration) {
    let keys = enqueue.keys_if_undelivered.iter().map(Key::raw);
    let mut delivery = Delivery::default().keys_if_undelivered(keys);
    // One that has been is now; the engine refuses what is too far ahead.
    if let Ok(at) = u64::try_from(enqueue.deadline_ms) {
        delivery = delivery.delay(Duration::from_millis(at).saturating_sub(now));
    }
    if !enqueue.backoff_schedule.is_empty() {
        let intervals = enqueue.backoff_schedule.iter();
        delivery = delivery.backoff(intervals.map(|ms| Duration::from_millis((*ms).into())));
    }
    operation.enqueue(NewValue::v8(&enqueue.payload), delivery);
}

#[cfg(test)]
mod tests {
    use super::expire_in;
    use std::time::Duration;

    #[test]
    fn an_instant_is_so_long_from_now() {
        let now = Duration::from_secs(1);
        let of = |at_ms| expire_in(at_ms, now).map_err(|refusal| refusal.status.as_u16());
        assert_eq!((of(0), of(-1)), (Ok(None), Ok(None)));
        assert_eq!(of(1_500), Ok(Some(Duration::from_millis(500))));
        assert_eq!(of(1), Ok(Some(Duration::ZERO)), "it has been");
        assert_eq!((of(-2), of(i64::MIN)), (Err(400), Err(400)));
        assert!(of(i64::MAX).is_ok(), "the engine says how long it may be");
    }
}
