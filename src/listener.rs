//! Waiting for messages: in a thread, or asynchronously.

use crate::engine::Engine;
use crate::engine::park::{Look, look_on};
use crate::engine::queues::{self, MessageQueue, Next, Posted, Taken, Ticket, closed};
use crate::error::Result;
use crate::message::Message;
use crate::moment::Moment;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use std::fmt;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Takes the messages of a queue, one at a time: [`Queue::listen`](crate::Queue::listen).
///
/// A thread waits with [`recv`](Self::recv) or in a `for` loop, a task asynchronously: a listener is a
/// [`Stream`] that needs no particular runtime. It does not keep the database: it ends when that is
/// closed, or its last handle is gone ([`Kv`](crate::Kv) or [`Queue`](crate::Queue)). Of several
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
/// drop(kv); // ends the loop
/// # worker.join().unwrap()?;
/// # Ok::<(), kvick::Error>(())
/// ```
///
/// A listener that was polled and is kept without being polled again may have been woken for a
/// message that it does not come for. For the next message another one is woken in any case, and
/// for this one after some 50 ms, or, without the [background](crate::Builder::background_sweep), by
/// the second [`Kv::sweep`](crate::Kv::sweep). Drop a listener that is not needed.
pub struct Listener {
    source: Arc<Source>,
    ticket: Ticket,
}

/// Where messages come from and go back to. Each listener has one, so that messages of different
/// listeners do not count their references in one place.
#[derive(Debug)]
pub(crate) struct Source {
    /// Asked for only where it is needed: to take and to finish a message it is not.
    pub(crate) engine: Weak<Engine>,
    pub(crate) queue: Arc<MessageQueue>,
}

impl Source {
    /// What time it is. Without an engine there is none, and nothing that is due by it.
    fn now(&self) -> Moment {
        let engine = self.engine.upgrade();
        engine.map_or(Moment::ZERO, |engine| engine.now())
    }

    /// How long a thread may wait without looking again.
    fn patience(&self, due: Option<Moment>) -> Duration {
        let engine = self.engine.upgrade();
        engine.map_or(queues::ANNOUNCED, |engine| engine.patience(due))
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.source.queue.name();
        f.debug_tuple("Listener").field(&name).finish()
    }
}

impl Listener {
    pub(crate) fn new(engine: &Arc<Engine>, queue: Arc<MessageQueue>) -> Self {
        let engine = Arc::downgrade(engine);
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
        let source = &*self.source;
        let queue = &source.queue;
        queue.take_or_wait(&mut self.ticket, || source.now(), waker)
    }

    /// The next message. The thread waits for it.
    ///
    /// # Errors
    ///
    /// `Closed`: there will be none.
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
    /// `Closed`: there will be none.
    pub fn try_recv(&mut self) -> Result<Option<Message>> {
        let source = &*self.source;
        match source.queue.try_take(&mut self.ticket, || source.now()) {
            Next::Message(taken) => Ok(Some(self.message(taken))),
            Next::Nothing(_) => Ok(None),
            Next::Closed => Err(closed()),
        }
    }

    /// The next message. The thread waits for it, but no longer than this: by the system's clock, which
    /// may be another than the one that messages are due by.
    ///
    /// # Errors
    ///
    /// `Closed`: there will be none.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<Message>> {
        self.wait(Some(timeout))
    }

    fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Message>> {
        // A task that waits for this listener is not to wait for what this thread takes.
        self.source.queue.withdraw(&mut self.ticket);
        if let Some(message) = self.try_recv()? {
            return Ok(Some(message));
        }
        let next = look_on(timeout, |waker| match self.take_or_wait(waker) {
            Next::Nothing(due) => Look::Nothing(Some(self.source.patience(due))),
            next => Look::Found(next),
        });
        // It waits no more, and must not be woken for what others can take.
        self.source.queue.leave(&mut self.ticket);
        match next {
            Some(Next::Message(taken)) => Ok(Some(self.message(taken))),
            Some(Next::Closed) => Err(closed()),
            Some(Next::Nothing(_)) | None => Ok(None),
        }
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

impl FusedStream for Listener {
    fn is_terminated(&self) -> bool {
        self.source.queue.is_ended()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.source.queue.leave(&mut self.ticket);
    }
}

/// The messages of a [listener](Listener), for each of which the thread waits. It ends when the
/// listener does.
#[derive(Debug)]
#[must_use = "an iterator does nothing until it is asked for items"]
pub struct Messages {
    listener: Listener,
}

impl Iterator for Messages {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        self.listener.recv().ok()
    }
}

impl FusedIterator for Messages {}

impl IntoIterator for Listener {
    type Item = Message;
    type IntoIter = Messages;

    fn into_iter(self) -> Messages {
        Messages { listener: self }
    }
}
