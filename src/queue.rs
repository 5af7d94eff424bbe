//! Queues, as their users see them.

use crate::delivery::Delivery;
use crate::engine::Engine;
use crate::engine::queues::{MessageQueue, closed};
use crate::engine::write::Enqueue;
use crate::error::{Error, Result};
use crate::kv::Kv;
use crate::listener::Listener;
use crate::value::{NewValue, Value};
use crate::version::Versionstamp;
use std::fmt;
use std::sync::Arc;

/// One of the queues of a database, by its name: [`Kv::queue`].
///
/// All handles to a database share its queues (Q09). A queue needs not be made: it is there for as long as it
/// has a message, a listener, or a handle. This is a handle to the database, too, and keeps it; a listener
/// does not.
#[derive(Clone)]
pub struct Queue {
    engine: Arc<Engine>,
    messages: Arc<MessageQueue>,
    is_read_only: bool,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Queue").field(&self.name()).finish()
    }
}

/// What a queue holds: [`Queue::stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueStats {
    /// Messages that a listener could take now, if not so many are being handled.
    pub ready_count: usize,
    /// Messages that wait for their delay, or for the next attempt.
    pub delayed_count: usize,
    /// Messages that are being handled.
    pub running_count: usize,
    /// Messages whose last attempt has failed, and for whose keys there was no memory. They are
    /// written when there is.
    pub undelivered_count: usize,
    /// The memory of all of them, payloads included.
    pub bytes: usize,
}

impl Queue {
    /// The name; empty for the unnamed queue.
    pub fn name(&self) -> &str {
        self.messages.name()
    }

    /// How many messages there are that are not done with: those that wait, those that are delayed,
    /// and those that are being handled.
    pub fn len(&self) -> usize {
        self.engine.backlogged(&self.messages).count()
    }

    /// Whether there is no message that is not done with.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers to watch.
    pub fn stats(&self) -> QueueStats {
        let backlogged = self.engine.backlogged(&self.messages);
        QueueStats {
            ready_count: backlogged.ready_count,
            delayed_count: backlogged.delayed_count,
            running_count: backlogged.taken_count,
            undelivered_count: backlogged.undelivered_count,
            bytes: backlogged.bytes,
        }
    }

    /// The payload of the message that is the next to be delivered, whether or not it is due. The
    /// message stays where it is.
    pub fn peek(&self) -> Option<Value> {
        self.engine.peek(&self.messages)
    }

    /// Listens for messages. Several listeners share the work: each message goes to one of them
    /// (Q09).
    ///
    /// # Errors
    ///
    /// `Closed`; `ReadOnly`, since whoever takes a message changes the queue.
    pub fn listen(&self) -> Result<Listener> {
        if self.engine.is_closed() {
            return Err(closed());
        }
        if self.is_read_only {
            return Err(Error::read_only());
        }
        Ok(Listener::new(&self.engine, Arc::clone(&self.messages)))
    }
}

impl Kv {
    /// Enqueues a message: it is delivered, at least once, to a [listener](Queue::listen) of its
    /// queue. The version of the commit.
    ///
    /// [`AtomicOp::enqueue`](crate::AtomicOp::enqueue) and
    /// [`Transaction::enqueue`](crate::Transaction::enqueue) do so together with other changes, all or
    /// nothing.
    ///
    /// Messages of a queue that are due in the same millisecond are delivered in the order of their
    /// commits (Q03). Those without a delay are due with their commit. A payload that is to
    /// [expire](NewValue::expire_in) does not: messages and what becomes of them stay.
    ///
    /// ```
    /// use kvick::{Delivery, Kv};
    ///
    /// let kv = Kv::new();
    /// kv.enqueue("Dear Alice", Delivery::default())?;
    /// let mut listener = kv.queue("").listen()?;
    /// let message = listener.recv()?;
    /// assert_eq!(message.payload().as_str(), Some("Dear Alice"));
    /// message.finish()?;
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidEnqueue`: the payload is larger, or the delay or the schedule longer, than the
    /// [limits](crate::Limits) allow; `KeyEmpty`, `KeyTooLarge` of the keys if undelivered (K09);
    /// `TotalTooLarge`; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has changed then.
    pub fn enqueue<'v>(
        &self,
        payload: impl Into<NewValue<'v>>,
        delivery: Delivery,
    ) -> Result<Versionstamp> {
        let payload = payload.into();
        let enqueue = Enqueue::new(payload, delivery);
        let engine = self.writer()?;
        let effects = engine.timed(|| engine.enqueue(&enqueue))?;
        Ok(effects.stamp.into())
    }

    /// The queue of this name. The empty name is that of the unnamed queue, which is Deno's.
    pub fn queue(&self, name: impl AsRef<str>) -> Queue {
        let engine = self.engine();
        Queue {
            engine: Arc::clone(engine),
            messages: engine.queue(name.as_ref()),
            is_read_only: self.is_read_only(),
        }
    }
}
