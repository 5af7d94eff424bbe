//! Waiting for messages: in a thread, or asynchronously.

use crate::engine::Engine;
use crate::engine::queues::{MessageQueue, Next, Posted, Taken, Ticket, closed};
use crate::error::Result;
use crate::message::Message;
use futures_core::Stream;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::Duration;

/// Takes the messages of a queue, one at a time: [`Queue::listen`](crate::Queue::listen).
///
/// A thread waits with [`recv`](Self::recv) or in a `for` loop, a task asynchronously: a listener is a
/// [`Stream`] that needs no particular runtime. Both end when the database is closed. Of several
/// listeners that wait, the one that has waited longest is woken for a message, and no other.
///
/// While as many messages are being handled as the
/// [concurrency](crate::Builder::queue_concurrency) allows, listeners wait.
///
/// ```
/// use kvick::{Delivery, Kv};
/// use std::thread;
///
/// let kv = Kv::new();
/// let listener = kv.queue("mail").listen()?;
/// let worker = thread::spawn(move || {
///     for message in listener {
///         println!("{:?}, attempt {}", message.payload(), message.attempt());
///         message.finish()?;
///     }
///     Ok::<_, kvick::Error>(())
/// });
/// kv.enqueue("Dear Alice", Delivery::default().queue("mail"))?;
/// # while !kv.queue("mail").is_empty() { thread::yield_now(); }
/// kv.close(); // ends the loop
/// # worker.join().unwrap()?;
/// # Ok::<(), kvick::Error>(())
/// ```
///
/// A listener that was polled and is kept without being polled again may have been woken for a
/// message that it does not come for. After some 50 ms others are woken in its place; drop a
/// listener that is not needed.
pub struct Listener {
    source: Arc<Source>,
    ticket: Ticket,
}

/// Where messages come from and go back to. Each listener has one, so that messages of different
/// listeners do not count their references in one place.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) engine: Arc<Engine>,
    pub(crate) queue: Arc<MessageQueue>,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.source.queue.name();
        f.debug_tuple("Listener").field(&name).finish()
    }
}

impl Listener {
    pub(crate) fn new(engine: Arc<Engine>, queue: Arc<MessageQueue>) -> Self {
        Self {
            source: Arc::new(Source { engine, queue }),
            ticket: Ticket::default(),
        }
    }

    fn message(&self, taken: Taken<Posted>) -> Message {
        Message::new(&self.source, taken)
    }

    /// The next message; or `waker` is called once there may be one.
    fn take_or_wait(&mut self, waker: &Waker) -> Next<Posted> {
        let Source { engine, queue } = &*self.source;
        engine.take_or_wait(queue, &mut self.ticket, waker)
    }

    /// The next message. The thread waits for it.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn recv(&mut self) -> Result<Message> {
        loop {
            // Without a deadline there is one in the end.
            if let Some(message) = self.wait(None)? {
                return Ok(message);
            }
        }
    }

    /// The next message, if there is one that is due.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn try_recv(&mut self) -> Result<Option<Message>> {
        let Source { engine, queue } = &*self.source;
        match engine.take(queue, &mut self.ticket) {
            Next::Message(taken) => Ok(Some(self.message(taken))),
            Next::Nothing(_) => Ok(None),
            Next::Closed => Err(closed()),
        }
    }

    /// The next message. The thread waits for it, but no longer than this, by the engine's clock.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message>> {
        // Beyond all time is never.
        let deadline = self.source.engine.clock().now().checked_add(timeout);
        let received = self.wait(deadline);
        // It waits no more, and must not be woken for what others can take.
        self.source.queue.leave(&mut self.ticket);
        received
    }

    /// Waits for a message until a deadline.
    fn wait(&mut self, deadline: Option<Duration>) -> Result<Option<Message>> {
        if let Some(message) = self.try_recv()? {
            return Ok(Some(message));
        }
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        loop {
            let due = match self.take_or_wait(&waker) {
                Next::Message(taken) => return Ok(Some(self.message(taken))),
                Next::Closed => return Err(closed()),
                Next::Nothing(due) => due,
            };
            let engine = &self.source.engine;
            let mut patience = engine.patience(due);
            if let Some(deadline) = deadline {
                let left = deadline.saturating_sub(engine.clock().now());
                if left.is_zero() {
                    return Ok(None);
                }
                patience = patience.min(left).min(LOOK_AGAIN);
            }
            thread::park_timeout(patience);
        }
    }
}

/// How often a thread that has a deadline looks at the clock, in real time: the engine's may go faster.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Wakes a thread: so threads and tasks wait in the same way.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.0.unpark();
    }
}

impl Stream for Listener {
    type Item = Message;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Message>> {
        let this = self.get_mut();
        match this.take_or_wait(context.waker()) {
            Next::Message(taken) => Poll::Ready(Some(this.message(taken))),
            Next::Nothing(_) => Poll::Pending,
            Next::Closed => Poll::Ready(None),
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.source.queue.leave(&mut self.ticket);
    }
}

/// The messages of a [listener](Listener), for each of which the thread waits. It ends when the
/// database is closed.
#[derive(Debug)]
pub struct Messages {
    listener: Listener,
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.listener.recv().ok()
    }
}

impl IntoIterator for Listener {
    type Item = Message;
    type IntoIter = Messages;

    fn into_iter(self) -> Messages {
        Messages { listener: self }
    }
}
