//! The queues: messages that listeners take, and what becomes of them.
//!
//! A message comes by a [`Handover`] of the commit that enqueues it. Whoever takes it says in the end
//! whether it was handled; if not, it waits for its next attempt, and after the last one it is
//! *buried*: one commit sets its keys to its payload and takes it out of its queue. What cannot be
//! buried, because there is no memory, stays and is tried again.
//!
//! There is a queue for each name that is in use. Those that nobody uses any more are forgotten.

use super::Engine;
use super::calls::Calls;
use super::commit::{Effects, Outcome};
use super::handover::Handover;
use super::write::{Enqueue, Mutation, Op, Write};
use crate::backlog::{Agenda, Backlog, Backlogged, Delay, LOOK_AGAIN, Queued, Signals, Visits};
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::key::Key;
use crate::moment::Moment;
use crate::mvcc::quota::{Charge, Meter, Purpose};
use crate::sync::{
    AtomicU64, CachePadded, Mutex, Ordering, OutOfMemory, Planted, footprint, is_failing,
    may_allocate, planted, reserve,
};
use crate::value::{NewValue, Value, ValueRef};
use bytes::Bytes;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::iter;
use std::ops::Bound;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

pub(crate) use crate::backlog::{Finished, Next, Place, Taken, Ticket};

/// How long a thread may wait where messages that are due are announced by another: in case there is
/// none.
pub(crate) const ANNOUNCED: Duration = Duration::from_secs(1);

/// So many queues, whether or not anything is due in them, are looked at to see whether they are in
/// use, by each look for what is due.
const TIDY_STEP: usize = 16;

/// How long a message that could not be buried is left alone.
const BURY_AGAIN_AFTER: Duration = Duration::from_secs(1);

/// So many names are kept in any case, whether or not their queues are in use.
const UNUSED_MAX: usize = 16;

/// A message that cannot be buried before there is room. It is postponed where what a value does panics
/// that is dropped for it.
struct Unburied<'e> {
    engine: &'e Engine,
    queue: &'e MessageQueue,
    taken: Option<Taken<Posted>>,
}

impl Drop for Unburied<'_> {
    fn drop(&mut self) {
        if let Some(taken) = self.taken.take()
            && !is_failing()
        {
            self.engine.postpone_burial(self.queue, taken);
        }
    }
}

/// What was enqueued.
#[derive(Debug)]
pub(crate) struct Letter {
    payload: Value,
    intervals: Option<Vec<Duration>>,
    dead_letters: Vec<DeadLetter>,
    bytes: usize,
    /// Its memory, for as long as anybody has it.
    _charge: Charge,
}

/// Where a message is buried, and what that entry weighs then; zero, where nothing is weighed.
#[derive(Clone, Debug)]
struct DeadLetter {
    key: Key,
    weight: u32,
}

/// A letter on its way: cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Posted {
    letter: Arc<Letter>,
    failed_attempts: u32,
}

impl Letter {
    /// A letter with all that it will ever need, charged to this meter.
    fn new(enqueue: &Enqueue<'_>, meter: &Arc<Meter>) -> Result<Self, OutOfMemory> {
        let delivery = &enqueue.delivery;
        let payload = owned(&enqueue.payload)?;
        let intervals = delivery.intervals().map(copied).transpose()?;
        let dead_letters = dead_letters(enqueue)?;
        let key_bytes: usize = dead_letters
            .iter()
            .map(|letter| size_of::<DeadLetter>() + footprint(letter.key.as_bytes().len()))
            .sum();
        let interval_bytes = intervals.as_deref().map_or(0, size_of_val);
        let heap_bytes = match &payload {
            Value::U64(_) => 0,
            bytes => footprint(bytes.len()),
        };
        let bytes = LETTER_BYTES + heap_bytes + key_bytes + interval_bytes;
        Ok(Self {
            bytes,
            _charge: Charge::new(meter, bytes, Purpose::Growth)?,
            payload,
            intervals,
            dead_letters,
        })
    }
}

/// A letter, with its counts, and its place in a backlog, where nodes are two thirds full.
const LETTER_BYTES: usize =
    footprint(size_of::<Letter>() + 2 * size_of::<usize>()) + 3 * size_of::<(Place, Posted)>() / 2;

impl Posted {
    pub(super) fn new(enqueue: &Enqueue<'_>, meter: &Arc<Meter>) -> Result<Self, OutOfMemory> {
        Ok(Self {
            letter: Arc::new(Letter::new(enqueue, meter)?),
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

    /// How long it waits when that attempt has failed, if there is to be another.
    fn next_interval(&self) -> Option<Duration> {
        Delivery::interval_after(self.letter.intervals.as_deref(), self.attempt())
    }

    pub(crate) fn is_last_attempt(&self) -> bool {
        self.next_interval().is_none()
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

/// Where it is buried if it is undelivered.
fn dead_letters(enqueue: &Enqueue<'_>) -> Result<Vec<DeadLetter>, OutOfMemory> {
    let keys = enqueue.delivery.dead_letter_keys();
    let mut letters = Vec::new();
    reserve(&mut letters, keys.len())?;
    let weights = enqueue.weights.iter().copied().chain(iter::repeat(0));
    letters.extend(keys.iter().zip(weights).map(|(key, weight)| DeadLetter {
        key: key.clone(),
        weight,
    }));
    Ok(letters)
}

fn copied<T: Clone>(list: &[T]) -> Result<Vec<T>, OutOfMemory> {
    let bytes = size_of_val(list);
    may_allocate(bytes)?;
    let mut copy = Vec::new();
    let reserved = copy.try_reserve_exact(list.len());
    reserved.map_err(|_| OutOfMemory::of_bytes(bytes))?;
    copy.extend_from_slice(list);
    Ok(copy)
}

/// One queue of an engine.
#[derive(Debug)]
pub(crate) struct MessageQueue {
    name: Arc<str>,
    pub(super) backlog: Backlog<Posted>,
}

impl MessageQueue {
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The next message, if there is one, for a listener that does not wait for it.
    pub(crate) fn try_take(&self, ticket: &mut Ticket, clock: impl Fn() -> Moment) -> Next<Posted> {
        let next = self.backlog.try_take(ticket, &clock);
        if planted(Planted::ShortLease)
            && let Next::Message(Taken { place, message }) = &next
        {
            let mut again = message.clone();
            again.failed_attempts += 1;
            let now = Duration::from_micros(clock().as_micros());
            let lease = Delay::from(now, Duration::from_millis(5));
            let mut held = self.backlog.hold();
            held.push(lease, place.stamp(), place.index(), again);
        }
        next
    }

    /// The next message; or `waker` is called once there may be one.
    pub(crate) fn take_or_wait(
        &self,
        ticket: &mut Ticket,
        clock: impl Fn() -> Moment,
        waker: &Waker,
    ) -> Next<Posted> {
        self.backlog.take_or_wait(ticket, clock, waker)
    }

    /// A message has been handled.
    pub(crate) fn finish(&self, taken: Taken<Posted>) -> Finished {
        self.backlog.finish(taken)
    }

    /// A listener waits no more.
    pub(crate) fn leave(&self, ticket: &mut Ticket) {
        self.backlog.leave(ticket);
    }

    /// A listener waits no more with the waker that it has left: that one is woken.
    pub(crate) fn withdraw(&self, ticket: &mut Ticket) {
        self.backlog.withdraw(ticket);
    }

    /// Whether nothing comes any more: the engine is closed, or gone.
    pub(crate) fn is_ended(&self) -> bool {
        self.backlog.is_closed()
    }
}

/// The queues of an engine.
#[derive(Debug)]
pub(super) struct Queues {
    /// Deno's, which has no name.
    unnamed: Arc<MessageQueue>,
    named: Mutex<Named>,
    /// Those in which something will be due.
    agenda: Arc<Agenda>,
    /// How many messages of each queue are handled at once.
    concurrency: usize,
    /// Commits of nothing but messages, which no stripe counts. On a line of its own, beside which
    /// others read.
    commit_count: CachePadded<AtomicU64>,
}

#[derive(Debug)]
struct Named {
    queues: BTreeMap<Arc<str>, Arc<MessageQueue>>,
    /// With so many, those that are not in use are looked for.
    tidy_at: usize,
    /// Up to here they have been looked for in the background.
    tidied: Option<Arc<str>>,
    is_closed: bool,
}

impl Named {
    /// Forgets the queues that nobody uses.
    fn tidy(&mut self) {
        self.queues.retain(|_, queue| is_used(queue));
        self.tidy_at = UNUSED_MAX.max(2 * self.queues.len());
    }

    /// Looks at a few, from where it was the last time.
    fn tidy_some(&mut self) {
        let from = self.tidied.take().map_or(Bound::Unbounded, Bound::Excluded);
        let some = self.queues.range::<Arc<str>, _>((from, Bound::Unbounded));
        let some: SmallVec<[_; TIDY_STEP]> = some
            .take(TIDY_STEP)
            .map(|(name, queue)| (Arc::clone(name), is_used(queue)))
            .collect();
        for (name, _) in some.iter().filter(|(_, is_used)| !is_used) {
            self.queues.remove(name);
        }
        // None at the end: then again from the beginning.
        self.tidied = some.into_iter().nth(TIDY_STEP - 1).map(|(name, _)| name);
    }
}

/// Whether a queue has a message, a listener or a handle, which hold it. Nobody can get hold of it
/// meanwhile: all of them are locked.
fn is_used(queue: &Arc<MessageQueue>) -> bool {
    Arc::strong_count(queue) > 1 || queue.backlog.count(Moment::ZERO).count() > 0
}

impl Queues {
    pub(super) fn new(concurrency: usize) -> Self {
        let agenda = Agenda::new();
        Self {
            unnamed: Self::create(&agenda, "", concurrency, false),
            named: Mutex::new(Named {
                queues: BTreeMap::new(),
                tidy_at: UNUSED_MAX,
                tidied: None,
                is_closed: false,
            }),
            agenda,
            concurrency,
            commit_count: CachePadded::new(AtomicU64::new(0)),
        }
    }

    fn create(
        agenda: &Arc<Agenda>,
        name: &str,
        concurrency: usize,
        is_closed: bool,
    ) -> Arc<MessageQueue> {
        let (agenda, name) = (Arc::clone(agenda), Arc::<str>::from(name));
        Arc::new(MessageQueue {
            backlog: Backlog::new(agenda, Arc::clone(&name), concurrency, is_closed),
            name,
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
        let queue = Self::create(&self.agenda, name, self.concurrency, named.is_closed);
        named
            .queues
            .insert(Arc::clone(&queue.name), Arc::clone(&queue));
        queue
    }

    /// The queue of this name, if there is one.
    fn find(&self, name: &str) -> Option<Arc<MessageQueue>> {
        if name.is_empty() {
            return Some(Arc::clone(&self.unnamed));
        }
        self.named.lock().queues.get(name).map(Arc::clone)
    }

    /// Forgets those that nobody uses.
    pub(super) fn tidy(&self) {
        self.named.lock().tidy();
    }

    /// Every queue that there is.
    fn all(&self) -> Vec<Arc<MessageQueue>> {
        let named = self.named.lock();
        let mut all = vec![Arc::clone(&self.unnamed)];
        all.extend(named.queues.values().map(Arc::clone));
        all
    }

    /// The engine is gone: listeners end, and no message is kept for them.
    pub(super) fn end(&self) {
        self.named.lock().is_closed = true;
        for queue in self.all() {
            queue.backlog.end();
        }
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
        let weighed = self.weighed_enqueue(enqueue)?;
        let enqueue = weighed.as_ref().unwrap_or(enqueue);
        let mut signals = Signals::default();
        self.with_room(|| self.commit_messages(std::slice::from_ref(enqueue), &mut signals))
    }

    /// Something is noted in the agenda of the queues.
    pub(crate) fn look_after_queues(&self) {
        self.maintenance.wake_for_time();
    }

    /// How long a thread may wait, in real time, for a message of which nobody would tell it: until
    /// the clock is to be looked at again.
    pub(crate) fn patience(&self, due: Option<Moment>) -> Duration {
        /// The clock of a test may go faster.
        const WHILE_DELAYED: Duration = Duration::from_millis(50);
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
        let interval = taken.message.next_interval();
        taken.message.failed_attempts = taken.message.attempt();
        let Some(interval) = interval else {
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
    /// It holds up no transaction that has its turn, and waits for no memory: a listener that drops a message
    /// is not to wait.
    fn bury_message(&self, queue: &Arc<MessageQueue>, taken: Taken<Posted>) {
        if is_failing() {
            return;
        }
        let mut buried = self.try_bury(queue, &taken);
        let mut unburied = Unburied {
            engine: self,
            queue,
            taken: Some(taken),
        };
        if let Err(refused) = &buried
            && self.make_room_at_once(refused)
            && let Some(taken) = unburied.taken.take()
        {
            buried = self.try_bury(queue, &taken);
            unburied.taken = Some(taken);
        }
        let taken = unburied.taken.take();
        if let (Err(_), Some(taken)) = (buried, taken) {
            if planted(Planted::LostLetter) {
                queue.backlog.finish(taken);
            } else {
                self.postpone_burial(queue, taken);
            }
        }
        // It is tried again, or has made room for another one, and somebody was called for that.
        self.maintenance.wake_for_time();
    }

    /// Leaves what could not be buried alone for a while.
    fn postpone_burial(&self, queue: &MessageQueue, taken: Taken<Posted>) {
        let again = self.clock().now().saturating_add(BURY_AGAIN_AFTER);
        queue.backlog.postpone(taken, Moment::ceil(again));
    }

    fn try_bury(&self, queue: &Arc<MessageQueue>, taken: &Taken<Posted>) -> Result<Outcome> {
        let letter = &*taken.message.letter;
        let mut write = Write::new();
        write.reserve(0, letter.dead_letters.len())?;
        for DeadLetter { key, weight } in &letter.dead_letters {
            let op = Op::Set(NewValue::from(&letter.payload));
            write.mutations.push(Mutation {
                key: key.clone(),
                op: if *weight == 0 {
                    op
                } else {
                    op.with_weight(*weight)
                },
            });
        }
        let mut calls = Calls::new();
        let (woken, signals) = calls.both();
        let mut handover = Handover::of_removal(std::slice::from_ref(queue), taken, signals)?;
        self.commit_many(&write, Some(&mut handover), woken)
    }

    /// Wakes the listeners of messages that are due by now, and buries what could not be buried
    /// before. When this has to be called again, if ever, unless something else happens before.
    ///
    /// Looks at the queues in which something is due, and at a few others.
    pub(crate) fn wake_queues(&self, now: Moment) -> Option<Moment> {
        let agenda = &self.queues.agenda;
        for name in agenda.due(now) {
            // One that is forgotten meanwhile has nothing due.
            let Some(queue) = self.queues.find(&name) else {
                continue;
            };
            // Each once: what is put off again may be due at once, where time has come to its end.
            for _ in 0..queue.backlog.count(now).undelivered_count {
                match queue.backlog.take_undelivered(now) {
                    Some(taken) => self.bury_message(&queue, taken),
                    None => break,
                }
            }
            queue.backlog.pass_time(now);
        }
        self.queues.named.lock().tidy_some();
        let Visits { is_always, due } = agenda.next();
        let again = is_always.then(|| now.after(LOOK_AGAIN));
        again.into_iter().chain(due).min()
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

#[cfg(test)]
#[path = "queues/tests.rs"]
mod tests;
