//! `Kv` as a database of Deno KV.

use super::message::MessageHandle;
use super::wire;
use crate::atomic_op::{AtomicOp, Outcome};
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::key::{Key, Range};
use crate::kv::Kv;
use crate::list::List;
use crate::sum::Sum;
use crate::value::{NewValue, Value};
use crate::version::Versionstamp;
use crate::watch::{Emission, Watch};
use async_trait::async_trait;
use deno_error::JsErrorBox;
use denokv_proto::{
    AtomicWrite, CommitResult, Database, Enqueue, KvEntry, Mutation, MutationKind, ReadRange,
    ReadRangeOutput, SnapshotReadOptions, WatchKeyOutput, WatchStream,
};
use futures_core::Stream;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// For whatever takes a database of Deno KV's: its runtime, or a [`Client`](crate::denokv::Client).
///
/// Nothing is ever waited for but messages and changes: reads and writes are done when they are first
/// polled. All ranges of one read are of one moment, whatever the consistency. An entry or message that is to
/// expire or be delivered at an instant is so by the engine's clock, once as much time has passed as it was to that
/// instant by the [wall clock](crate::Clock::wall_time) when it was committed.
///
/// What the caller has done wrong is a `TypeError`, in Deno's words; all else is an `Error`. Each
/// [is](JsErrorBox::get_inner_ref) the error that a `Kv` returns.
#[async_trait(?Send)]
impl Database for Kv {
    type QMH = MessageHandle;

    async fn snapshot_read(
        &self,
        requests: Vec<ReadRange>,
        _options: SnapshotReadOptions,
    ) -> Result<Vec<ReadRangeOutput>, JsErrorBox> {
        read(self, &requests).map_err(JsErrorBox::from_err)
    }

    async fn atomic_write(&self, write: AtomicWrite) -> Result<Option<CommitResult>, JsErrorBox> {
        let committed = commit(self, write).map_err(JsErrorBox::from_err)?;
        Ok(committed.map(|versionstamp| CommitResult {
            versionstamp: versionstamp.to_bytes(),
        }))
    }

    async fn dequeue_next_message(&self) -> Result<Option<MessageHandle>, JsErrorBox> {
        let listener = self.queue("").listen();
        let mut listener = listener.map_err(JsErrorBox::from_err)?;
        let message = poll_fn(|context| Pin::new(&mut listener).poll_next(context)).await;
        Ok(message.map(MessageHandle::new))
    }

    fn watch(&self, keys: Vec<Vec<u8>>) -> WatchStream {
        Box::pin(Outputs(
            match Self::watch(self, keys.iter().map(Key::raw)) {
                Ok(watch) => Source::Watch(watch),
                Err(error) => Source::Refused(Some(error)),
            },
        ))
    }

    fn close(&self) {
        Self::close(self);
    }
}

fn read(kv: &Kv, requests: &[ReadRange]) -> Result<Vec<ReadRangeOutput>> {
    let limits = kv.reader()?.limits();
    limits.check_ranges(requests.len())?;
    let entries = requests.iter().fold(0_usize, |sum, request| {
        sum.saturating_add(limit_of(request))
    });
    limits.check_entries(entries)?;
    if let [request] = requests {
        // One range that is read in one go is of one moment by itself.
        return Ok(vec![read_range(kv.list(range(request)), request)?]);
    }
    if requests.iter().all(is_of_one_key) {
        let entries = kv.get_many(requests.iter().map(|request| Key::raw(&request.start)))?;
        let outputs = entries.iter().map(|entry| ReadRangeOutput {
            entries: wire::kv_entry_of(entry).into_iter().collect(),
        });
        return Ok(outputs.collect());
    }
    let snapshot = kv.snapshot();
    requests
        .iter()
        .map(|request| read_range(snapshot.list(range(request)), request))
        .collect()
}

fn range(request: &ReadRange) -> Range {
    Range::raw(request.start.clone(), request.end.clone())
}

fn limit_of(request: &ReadRange) -> usize {
    usize::try_from(request.limit.get()).unwrap_or(usize::MAX)
}

/// Whether a range is that of one key: what is asked for to get one.
fn is_of_one_key(request: &ReadRange) -> bool {
    request.end.strip_suffix(&[0]) == Some(&request.start[..])
}

fn read_range(list: List<'_>, request: &ReadRange) -> Result<ReadRangeOutput> {
    let list = if request.reverse {
        list.reverse()
    } else {
        list
    };
    let mut entries: Vec<KvEntry> = Vec::new();
    list.limit(limit_of(request))
        .for_each(|entry| entries.push(wire::kv_entry(entry)))?;
    Ok(ReadRangeOutput { entries })
}

/// The version of the commit; `None` where a check failed.
fn commit(kv: &Kv, write: AtomicWrite) -> Result<Option<Versionstamp>> {
    let now = kv.writer()?.clock().wall_time();
    let limits = kv.limits();
    // Before anything is made of them.
    limits.check_checks(write.checks.len())?;
    limits.check_mutations(write.mutations.len() + write.enqueues.len())?;
    let mut operation = kv.atomic();
    for check in write.checks {
        let key = Key::raw(check.key);
        match check.versionstamp {
            Some(bytes) => operation.check_versionstamp(key, Versionstamp::from_bytes(bytes)),
            None => operation.check_absent(key),
        };
    }
    for mutation in write.mutations {
        add_mutation(&mut operation, mutation, now);
    }
    for enqueue in write.enqueues {
        add_enqueue(&mut operation, enqueue, now);
    }
    Ok(match operation.commit()? {
        Outcome::Committed { versionstamp } => Some(versionstamp),
        Outcome::Conflict { .. } => None,
    })
}

fn add_mutation(operation: &mut AtomicOp<'_>, mutation: Mutation, now: Duration) {
    let key = Key::raw(mutation.key);
    let expire_in = mutation.expire_at.map(|at| wire::until(at, now));
    let lasting = |value| match expire_in {
        Some(after) => NewValue::from(wire::value(value)).expire_in(after),
        None => wire::value(value).into(),
    };
    // As with Deno, what is deleted or calculated has no expiry of its own.
    match mutation.kind {
        MutationKind::Set(value) => operation.set(key, lasting(value)),
        MutationKind::SetSuffixVersionstampedKey(value) => {
            operation.set_versionstamped(key, lasting(value))
        }
        MutationKind::Delete => operation.delete(key),
        MutationKind::Min(operand) => operation.min_with(key, wire::value(operand)),
        MutationKind::Max(operand) => operation.max_with(key, wire::value(operand)),
        MutationKind::Sum {
            value,
            min_v8,
            max_v8,
            clamp,
        } => {
            let mut sum = Sum::encoded(wire::value(value));
            if !min_v8.is_empty() {
                sum = sum.at_least(Value::V8(min_v8.into()));
            }
            if !max_v8.is_empty() {
                sum = sum.at_most(Value::V8(max_v8.into()));
            }
            operation.sum_with(key, if clamp { sum.clamped() } else { sum })
        }
    };
}

fn add_enqueue(operation: &mut AtomicOp<'_>, enqueue: Enqueue, now: Duration) {
    let keys = enqueue.keys_if_undelivered.iter().map(Key::raw);
    let mut delivery = Delivery::default()
        .delay(wire::until(enqueue.deadline, now))
        .keys_if_undelivered(keys);
    if let Some(intervals) = enqueue.backoff_schedule {
        let intervals = intervals.into_iter();
        delivery = delivery.backoff(intervals.map(|ms| Duration::from_millis(ms.into())));
    }
    operation.enqueue(Value::V8(enqueue.payload.into()), delivery);
}

/// The stream of a watch. It keeps no database.
struct Outputs(Source);

enum Source {
    Watch(Watch),
    /// Until that is said.
    Refused(Option<Error>),
}

impl Stream for Outputs {
    type Item = Result<Vec<WatchKeyOutput>, JsErrorBox>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        match &mut self.0 {
            Source::Watch(watch) => {
                let emission = Pin::new(watch).poll_next(context);
                emission.map(|emission| emission.map(|emission| Ok(outputs(&emission))))
            }
            Source::Refused(error) => {
                Poll::Ready(error.take().map(|error| Err(JsErrorBox::from_err(error))))
            }
        }
    }
}

fn outputs(emission: &Emission) -> Vec<WatchKeyOutput> {
    let mut changed = emission.changed.iter().peekable();
    let outputs = (0..).zip(&emission.entries).map(|(index, entry)| {
        match changed.next_if(|changed| **changed == index) {
            Some(_) => WatchKeyOutput::Changed {
                entry: wire::kv_entry_of(entry),
            },
            None => WatchKeyOutput::Unchanged,
        }
    });
    outputs.collect()
}
