//! Handing messages over to their queues, as a part of a commit.
//!
//! All that can be refused is done before: the letters are written, and room is made. At the commit
//! point the backlogs of the queues are locked, behind the stripes; then the commit is published, and
//! the messages are added at once. So
//!
//! - no message is seen before its commit is decided, or without it (Q01);
//! - it is there when the commit returns;
//! - the messages of a queue come in the order of their stamps, whoever decides these, because
//!   between the mint and the handover nobody else can mint for that queue.
//!
//! Handing over after the stripes are unlocked would not do: whoever has read what a commit wrote, and
//! then enqueues, could be faster than that commit itself, and its message come first.
//!
//! Listeners are woken when nothing is locked or pinned any more (`calls`).

use super::Engine;
use super::calls::Calls;
use super::commit::{Effects, Outcome};
use super::memory::Kind;
use super::queues::{MessageQueue, Posted};
use super::write::{Enqueue, RangeReads, Write};
use crate::backlog::{Delay, Held, Queued, Signals, Taken};
use crate::error::Result;
use crate::moment::Moment;
use crate::mvcc::notify::Woken;
use crate::sync::{OutOfMemory, Planted, planted, reserve};
use crate::version::Stamp;
use smallvec::SmallVec;
use std::convert::Infallible;
use std::sync::Arc;

/// Queues in the order in which they are locked, each once.
type Addressed = SmallVec<[Arc<MessageQueue>; 1]>;

/// A message that is to be handed over.
struct Outgoing {
    /// Which of the queues it goes to.
    queue: usize,
    delay: Option<Delay>,
    posted: Posted,
}

type Outgoings = SmallVec<[Outgoing; 1]>;

/// What a commit hands over.
pub(super) struct Handover<'q> {
    queues: &'q [Arc<MessageQueue>],
    held: SmallVec<[Held<'q, Posted>; 1]>,
    now: Moment,
    outgoing: Outgoings,
    /// The memory of a message that goes with this commit.
    removed_bytes: Option<usize>,
    /// Whom it wakes.
    signals: &'q mut Signals,
}

/// Publishes a commit, and hands over what it has to.
#[inline]
pub(super) fn publish(
    handover: Option<&mut Handover<'_>>,
    publish: impl FnOnce() -> Stamp,
) -> Stamp {
    let published = try_publish(handover, || Ok::<_, Infallible>(publish()));
    match published {
        Ok(stamp) => stamp,
    }
}

/// Publishes a commit, and hands over what it has to if that succeeds.
#[inline]
pub(super) fn try_publish<E>(
    handover: Option<&mut Handover<'_>>,
    publish: impl FnOnce() -> Result<Stamp, E>,
) -> Result<Stamp, E> {
    match handover {
        None => publish(),
        Some(handover) => handover.publish(publish),
    }
}

impl<'q> Handover<'q> {
    fn new(
        queues: &'q [Arc<MessageQueue>],
        now: Moment,
        outgoing: Outgoings,
        signals: &'q mut Signals,
    ) -> Result<Self, OutOfMemory> {
        let mut held = SmallVec::new();
        reserve(&mut held, queues.len())?;
        Ok(Self {
            queues,
            held,
            now,
            outgoing,
            removed_bytes: None,
            signals,
        })
    }

    /// The removal of a message that was taken.
    pub(super) fn of_removal(
        queue: &'q [Arc<MessageQueue>],
        taken: &Taken<Posted>,
        signals: &'q mut Signals,
    ) -> Result<Self, OutOfMemory> {
        let mut handover = Self::new(queue, Moment::ZERO, SmallVec::new(), signals)?;
        handover.removed_bytes = Some(taken.message.bytes());
        Ok(handover)
    }

    fn publish<E>(&mut self, publish: impl FnOnce() -> Result<Stamp, E>) -> Result<Stamp, E> {
        debug_assert!(self.held.capacity() >= self.queues.len());
        // LOCK ORDER: after the stripes; among themselves by their names, each of which has one queue.
        let mut queues = self.queues.iter().map(|queue| queue.backlog.hold());
        if !planted(Planted::LateHandover) {
            self.held.extend(&mut queues);
        }
        let published = publish();
        self.held.extend(queues);
        if let Ok(stamp) = published {
            self.hand_over(stamp);
        }
        // Also where it did not succeed: it may be tried again in another way.
        for held in self.held.drain(..) {
            held.release(self.signals);
        }
        published
    }

    fn hand_over(&mut self, stamp: Stamp) {
        for held in &mut self.held {
            held.advance(self.now);
        }
        for (index, outgoing) in (0..).zip(self.outgoing.drain(..)) {
            let Outgoing {
                queue,
                delay,
                posted,
            } = outgoing;
            self.held[queue].push(delay, stamp, index, posted);
        }
        if let (Some(bytes), [held]) = (self.removed_bytes, &mut self.held[..]) {
            held.forget(bytes);
        }
    }
}

impl Engine {
    /// Writes the letters: where they go, and what goes there. The time is that of all of them.
    fn write_letters(&self, enqueues: &[Enqueue<'_>]) -> Result<(Addressed, Moment, Outgoings)> {
        let (mut queues, mut outgoing) = (Addressed::new(), Outgoings::new());
        reserve(&mut queues, enqueues.len())?;
        reserve(&mut outgoing, enqueues.len())?;
        let time = self.clock().now();
        let now = self.judged_by(time);
        for (index, enqueue) in enqueues.iter().enumerate() {
            let delivery = &enqueue.delivery;
            queues.push(self.queue(delivery.queue_name()));
            outgoing.push(Outgoing {
                queue: index,
                delay: Delay::from(time, delivery.delay_time()),
                posted: Posted::new(enqueue, self.memory.meter(Kind::Messages))?,
            });
        }
        if queues.len() > 1 {
            queues.sort_unstable_by(|one, other| one.name().cmp(other.name()));
            queues.dedup_by(|one, other| one.name() == other.name());
            for (outgoing, enqueue) in outgoing.iter_mut().zip(enqueues) {
                let name = enqueue.delivery.queue_name();
                let place = queues.binary_search_by(|queue| queue.name().cmp(name));
                // PANICS: never. Sorting and removing duplicates loses none.
                outgoing.queue = place.expect("each queue is in the list of all");
            }
        }
        Ok((queues, now, outgoing))
    }

    /// Commits what has messages; all of it, or nothing.
    pub(super) fn commit_with_messages(
        &self,
        write: &Write<'_>,
        reads: Option<&RangeReads>,
        calls: &mut Calls,
    ) -> Result<Outcome> {
        let has_keys = !write.checks.is_empty() || !write.mutations.is_empty();
        if !has_keys && reads.is_none() {
            return self
                .commit_messages(write.enqueues(), calls.both().1)
                .map(Outcome::Committed);
        }
        self.with_handover(write.enqueues(), calls, |handover, woken| match reads {
            Some(reads) => self.commit_ranged(write, reads, Some(handover), woken),
            None => self.commit_many(write, Some(handover), woken),
        })
    }

    /// Writes the letters, and has `commit` commit them with whatever else there is.
    pub(super) fn with_handover(
        &self,
        enqueues: &[Enqueue<'_>],
        calls: &mut Calls,
        commit: impl FnOnce(&mut Handover<'_>, &mut Woken) -> Result<Outcome>,
    ) -> Result<Outcome> {
        let (queues, now, outgoing) = self.write_letters(enqueues)?;
        let (woken, signals) = calls.both();
        let mut handover = Handover::new(&queues, now, outgoing, signals)?;
        if planted(Planted::EarlyHandover) {
            publish(Some(&mut handover), || self.counter.mint());
        }
        let outcome = commit(&mut handover, woken);
        drop(handover);
        self.maintenance.wake_for_time();
        outcome
    }

    /// Commits messages and nothing else: that takes no stripe, but where nothing was ever committed.
    pub(super) fn commit_messages(
        &self,
        enqueues: &[Enqueue<'_>],
        signals: &mut Signals,
    ) -> Result<Effects> {
        let (queues, now, outgoing) = self.write_letters(enqueues)?;
        let mut handover = Handover::new(&queues, now, outgoing, signals)?;
        // KEPT: whoever imports what keeps its stamps holds all stripes, and nothing is minted meanwhile.
        // Once anything was, nobody does that any more. LOCK ORDER: before the backlogs.
        // MODEL: kept::messages_wait_for_what_keeps_its_stamps.
        let first = (self.latest() == Stamp::ZERO).then(|| self.stripes.lock_one(0));
        let stamp = publish(Some(&mut handover), || self.counter.mint());
        drop(first);
        drop(handover);
        self.queues.count_commit();
        self.maintenance.wake_for_time();
        Ok(Effects { stamp })
    }
}
