//! The queues: messages that listeners take, and what becomes of them.
//!
//! A message comes by a [`Handover`] of the commit that enqueues it. Whoever takes it says in the end
//! whether it was handled; if not, it waits for its next attempt, and after the last one it is
//! *buried*: one commit sets its keys to its payload and takes it out of its queue. What cannot be
//! buried, because there is no memory, stays and is tried again.
//!
//! There is a queue for each name that is in use. Those that nobody uses any more are forgotten.

use super::Engine;
use super::commit::{Effects, Outcome};
use super::handover::Handover;
use super::write::{Enqueue, Mutation, Op, Write};
use crate::backlog::{Backlog, Backlogged, Delay, Queued};
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::moment::Moment;
use crate::sync::{AtomicU64, Mutex, Ordering, OutOfMemory, Planted, may_allocate, planted};
use crate::value::{NewValue, Value, ValueRef};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

pub(crate) use crate::backlog::{Next, Place, Taken, Ticket};

/// How long a message that could not be buried is left alone.
const BURY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// So many names are kept in any case, whether or not their queues are in use.
const UNUSED_MAX: usize = 16;

/// What was enqueued.
#[derive(Debug)]
pub(crate) struct Letter {
    payload: Value,
    intervals: Option<Vec<Duration>>,
    dead_letter_keys: Vec<Key>,
    bytes: usize,
}

/// A letter on its way: cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    letter: Arc<Letter>,
    failed_attempts: u32,
}

impl Letter {
    /// A letter with all that it will ever need.
    fn new(enqueue: &Enqueue<'_>) -> Result<Self, OutOfMemory> {
        let delivery = &enqueue.delivery;
        let payload = owned(&enqueue.payload)?;
        let intervals = delivery.intervals().map(copied).transpose()?;
        let dead_letter_keys = copied(delivery.dead_letter_keys())?;
        let key_bytes: usize = dead_letter_keys
            .iter()
            .map(|key| size_of::<Key>() + key.as_bytes().len())
            .sum();
        let interval_bytes = intervals.as_deref().map_or(0, size_of_val);
        let heap_bytes = match &payload {
            Value::U64(_) => 0,
            bytes => bytes.len(),
        };
        Ok(Self {
            bytes: LETTER_BYTES + heap_bytes + key_bytes + interval_bytes,
            payload,
            intervals,
            dead_letter_keys,
        })
    }
}

/// A letter, with its counts, and its place in a backlog.
const LETTER_BYTES: usize =
    size_of::<Letter>() + 2 * size_of::<usize>() + size_of::<(Place, Posted)>();

impl Posted {
    pub(super) fn new(enqueue: &Enqueue<'_>) -> Result<Self, OutOfMemory> {
        Ok(Self {
            letter: Arc::new(Letter::new(enqueue)?),
            failed_attempts: 0,
        })
    }

    pub(crate) fn payload(&self) -> &Value {
        &self.letter.payload
    }

    /// The number of the attempt that is or will be made, from 1.
    pub(crate) fn attempt(&self) -> u32 {
        self.failed_attempts.saturating_add(1)
    }
}

impl Queued for Posted {
    fn bytes(&self) -> usize {
        self.letter.bytes
    }
}

/// The value to keep: what is borrowed is copied, what is owned is shared.
fn owned(value: &NewValue<'_>) -> Result<Value, OutOfMemory> {
    let bytes = match (value.as_ref(), value.shared_bytes()) {
        (ValueRef::U64(number), _) => return Ok(Value::U64(number)),
        (_, Some(shared)) => Bytes::clone(shared),
        (ValueRef::Bytes(bytes) | ValueRef::V8(bytes), None) => copied(bytes)?.into(),
    };
    Ok(match value.as_ref() {
        ValueRef::V8(_) => Value::V8(bytes),
        _ => Value::Bytes(bytes),
    })
}

fn copied<T: Clone>(list: &[T]) -> Result<Vec<T>, OutOfMemory> {
    let bytes = size_of_val(list);
    may_allocate(bytes)?;
    let mut copy = Vec::new();
    let reserved = copy.try_reserve_exact(list.len());
    reserved.map_err(|_| OutOfMemory { bytes })?;
    copy.extend_from_slice(list);
    Ok(copy)
}

/// One queue of an engine.
#[derive(Debug)]
pub(crate) struct MessageQueue {
    name: Box<str>,
    pub(super) backlog: Backlog<Posted>,
}

impl MessageQueue {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A message has been handled. `false` if the engine was closed before: it then counts as not
    /// delivered.
    pub(crate) fn finish(&self, taken: Taken<Posted>) -> bool {
        self.backlog.finish(taken)
    }

    /// A listener waits no more.
    pub(crate) fn leave(&self, ticket: &mut Ticket) {
        self.backlog.leave(ticket);
    }
}

/// The queues of an engine.
#[derive(Debug)]
pub(super) struct Queues {
    /// Deno's, which has no name.
    unnamed: Arc<MessageQueue>,
    named: Mutex<Named>,
    /// How many messages of each queue are handled at once.
    concurrency: usize,
    /// Commits of nothing but messages, which no stripe counts.
    commit_count: AtomicU64,
}

#[derive(Debug)]
struct Named {
    queues: BTreeMap<Box<str>, Arc<MessageQueue>>,
    /// With so many, those that are not in use are looked for.
    tidy_at: usize,
    is_closed: bool,
}

impl Named {
    /// Forgets the queues that nobody uses: those without a message, a listener or a handle, all of
    /// which hold them.
    fn tidy(&mut self) {
        self.queues.retain(|_, queue| {
            // Nobody can get hold of it meanwhile but from here.
            Arc::strong_count(queue) > 1 || queue.backlog.count(Moment::ZERO).count() > 0
        });
        self.tidy_at = UNUSED_MAX.max(2 * self.queues.len());
    }
}

impl Queues {
    pub(super) fn new(concurrency: usize) -> Self {
        Self {
            unnamed: Self::create("", concurrency, false),
            named: Mutex::new(Named {
                queues: BTreeMap::new(),
                tidy_at: UNUSED_MAX,
                is_closed: false,
            }),
            concurrency,
            commit_count: AtomicU64::new(0),
        }
    }

    fn create(name: &str, concurrency: usize, is_closed: bool) -> Arc<MessageQueue> {
        Arc::new(MessageQueue {
            name: name.into(),
            backlog: Backlog::new(concurrency, is_closed),
        })
    }

    /// The queue of this name.
    pub(super) fn get(&self, name: &str) -> Arc<MessageQueue> {
        if name.is_empty() {
            return Arc::clone(&self.unnamed);
        }
        let mut named = self.named.lock();
        if let Some(queue) = named.queues.get(name) {
            return Arc::clone(queue);
        }
        if named.queues.len() >= named.tidy_at {
            named.tidy();
        }
        let queue = Self::create(name, self.concurrency, named.is_closed);
        named.queues.insert(name.into(), Arc::clone(&queue));
        queue
    }

    /// Every queue that there is.
    fn all(&self) -> Vec<Arc<MessageQueue>> {
        let mut named = self.named.lock();
        named.tidy();
        let mut all = vec![Arc::clone(&self.unnamed)];
        all.extend(named.queues.values().map(Arc::clone));
        all
    }

    pub(super) fn close(&self) {
        self.named.lock().is_closed = true;
        for queue in self.all() {
            queue.backlog.close();
        }
    }

    /// What waits in all of them.
    pub(super) fn count(&self, now: Moment) -> Backlogged {
        let mut sum = Backlogged::default();
        for queue in self.all() {
            sum.add(&queue.backlog.count(now));
        }
        sum
    }

    pub(super) fn count_commit(&self) {
        // ORDERING: Relaxed. It counts, and publishes nothing.
        self.commit_count.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn commit_count(&self) -> u64 {
        // ORDERING: Relaxed. It counts, and publishes nothing.
        self.commit_count.load(Ordering::Relaxed)
    }
}

impl Engine {
    /// The queue of this name.
    pub(crate) fn queue(&self, name: &str) -> Arc<MessageQueue> {
        self.queues.get(name)
    }

    /// Commits one message.
    ///
    /// # Errors
    ///
    /// Whatever the limits refuse; nothing has changed then.
    pub(crate) fn enqueue(&self, enqueue: &Enqueue<'_>) -> Result<Effects> {
        enqueue.check_single(self.limits())?;
        self.commit_messages(std::slice::from_ref(enqueue))
    }

    /// The next message of a queue, if there is one.
    pub(crate) fn take(&self, queue: &MessageQueue, ticket: &mut Ticket) -> Next<Posted> {
        let next = queue.backlog.take(ticket, || self.now());
        if planted(Planted::ShortLease)
            && let Next::Message(Taken { place, message }) = &next
        {
            let mut again = message.clone();
            again.failed_attempts += 1;
            let lease = Delay::from(self.clock().now(), Duration::from_millis(5));
            let mut held = queue.backlog.hold();
            held.push(lease, place.stamp(), place.index(), again);
        }
        next
    }

    /// The next message of a queue; or `waker` is called once there may be one.
    pub(crate) fn take_or_wait(
        &self,
        queue: &MessageQueue,
        ticket: &mut Ticket,
        waker: &Waker,
    ) -> Next<Posted> {
        queue.backlog.take_or_wait(ticket, || self.now(), waker)
    }

    /// How long a thread may wait, in real time, for a message of which nobody would tell it: until
    /// the clock is to be looked at again.
    pub(crate) fn patience(&self, due: Option<Moment>) -> Duration {
        /// The clock of a test may go faster.
        const WHILE_DELAYED: Duration = Duration::from_millis(50);
        /// Where messages that are due are announced by a thread: in case there is none.
        const ANNOUNCED: Duration = Duration::from_secs(1);
        match due {
            Some(due) => due.since(self.now()).min(WHILE_DELAYED),
            None if self.config.maintenance => ANNOUNCED,
            None => WHILE_DELAYED,
        }
    }

    /// An attempt at a message has failed: the next one comes when its interval has passed, if there
    /// is to be one.
    pub(crate) fn fail(&self, queue: &Arc<MessageQueue>, mut taken: Taken<Posted>) {
        if self.is_closed() {
            queue.backlog.put_back(taken);
            return;
        }
        let failed = taken.message.attempt();
        taken.message.failed_attempts = failed;
        let intervals = taken.message.letter.intervals.as_deref();
        let Some(interval) = Delivery::interval_after(intervals, failed) else {
            self.bury_message(queue, taken);
            return;
        };
        let time = self.clock().now();
        let delay = Delay::from(time, interval).filter(|_| !planted(Planted::EarlyRetry));
        if planted(Planted::LostRetry) || planted(Planted::ShortLease) {
            queue.backlog.finish(taken);
            return;
        }
        queue.backlog.give_back(taken, self.judged_by(time), delay);
        self.maintenance.wake_for_time();
    }

    /// Sets the keys of a message to its payload and takes it out of its queue, in one step.
    ///
    /// It holds up no transaction that has its turn: a listener that drops a message is not to wait.
    fn bury_message(&self, queue: &Arc<MessageQueue>, taken: Taken<Posted>) {
        let buried = self.try_bury(queue, &taken);
        if buried.is_err() && planted(Planted::LostLetter) {
            queue.backlog.finish(taken);
        } else if buried.is_err() {
            let again = self.clock().now().saturating_add(BURY_AGAIN_AFTER);
            queue.backlog.postpone(taken, Moment::ceil(again));
            self.maintenance.wake_for_time();
        }
    }

    fn try_bury(&self, queue: &Arc<MessageQueue>, taken: &Taken<Posted>) -> Result<Outcome> {
        let letter = &*taken.message.letter;
        let mut write = Write::default();
        write.reserve(0, letter.dead_letter_keys.len())?;
        for key in &letter.dead_letter_keys {
            write.mutations.push(Mutation {
                key: key.clone(),
                op: Op::Set(NewValue::from(&letter.payload)),
            });
        }
        let mut handover = Handover::of_removal(std::slice::from_ref(queue), taken)?;
        let buried = self.commit_many(&write, Some(&mut handover));
        handover.tell();
        buried
    }

    /// Wakes the listeners of messages that are due by now, and buries what could not be buried
    /// before. When this has to be called again, if ever, unless something else happens before.
    pub(crate) fn wake_queues(&self, now: Moment) -> Option<Moment> {
        let mut next = None;
        for queue in self.queues.all() {
            // Each once: what is put off again may be due at once, where time has come to its end.
            for _ in 0..queue.backlog.count(now).undelivered_count {
                match queue.backlog.take_undelivered(now) {
                    Some(taken) => self.bury_message(&queue, taken),
                    None => break,
                }
            }
            let due = queue.backlog.pass_time(now);
            next = next.into_iter().chain(due).min();
        }
        next
    }

    /// Shows the payload of the message of a queue that is delivered next.
    pub(crate) fn peek(&self, queue: &MessageQueue) -> Option<Value> {
        let first = queue.backlog.peek(self.now());
        first.map(|posted| posted.payload().clone())
    }

    /// What waits in a queue.
    pub(crate) fn backlogged(&self, queue: &MessageQueue) -> Backlogged {
        queue.backlog.count(self.now())
    }

    /// What waits in all queues.
    pub(crate) fn all_backlogged(&self) -> Backlogged {
        self.queues.count(self.now())
    }
}

/// What a listener is told that asks for more after the engine was closed.
pub(crate) fn closed() -> Error {
    Error::queue_closed()
}
