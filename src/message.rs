//! A message in the hands of whoever handles it.

use crate::engine::queues::{Finished, Place, Posted, Taken, closed};
use crate::error::Result;
use crate::listener::Source;
use crate::value::Value;
use crate::version::Versionstamp;
use std::fmt;
use std::sync::Arc;

/// A message that is being handled: what a [`Listener`](crate::Listener) gives.
///
/// It is nobody else's for as long as this is kept, however long that is (Q11). When it has been
/// handled, [`finish`](Self::finish) it. If this is dropped without, as by a panic or by `?`, the
/// attempt has failed (Q13): the message is delivered again when the next interval of its backoff
/// schedule has passed; after the last attempt its payload is set, in one commit and as the kind of
/// value that it is, under each of its [keys if undelivered], and it is gone.
///
/// It does not keep the database: where its last handle is gone, there is nobody to tell.
///
/// A message can be delivered more than once in this way, and one that is handled in part before an
/// attempt fails is handled again from the beginning. [`versionstamp`](Self::versionstamp) with
/// [`index`](Self::index) tells messages apart.
///
/// [keys if undelivered]: crate::Delivery::keys_if_undelivered
#[must_use = "a message that is dropped has failed: finish it when it has been handled"]
pub struct Message {
    source: Arc<Source>,
    place: Place,
    posted: Posted,
    is_done: bool,
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("queue", &self.queue())
            .field("payload", self.payload())
            .field("versionstamp", &self.versionstamp())
            .field("attempt", &self.attempt())
            .finish_non_exhaustive()
    }
}

impl Message {
    pub(crate) fn new(source: &Arc<Source>, taken: Taken<Posted>) -> Self {
        Self {
            source: Arc::clone(source),
            place: taken.place,
            posted: taken.message,
            is_done: false,
        }
    }

    /// What was enqueued.
    pub fn payload(&self) -> &Value {
        self.posted.payload()
    }

    /// The version of the commit that enqueued it.
    pub fn versionstamp(&self) -> Versionstamp {
        self.place.stamp().into()
    }

    /// Which of the messages of that commit it is, from 0.
    pub fn index(&self) -> u32 {
        self.place.index()
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        self.posted.attempt()
    }

    /// Whether there will be no other attempt: if this one fails, the payload is written to the keys
    /// for undelivered messages (Q07), or forgotten where there are none.
    pub fn is_last_attempt(&self) -> bool {
        self.posted.is_last_attempt()
    }

    /// The name of the queue; empty for the unnamed one.
    pub fn queue(&self) -> &str {
        self.source.queue.name()
    }

    /// It has been handled, and is gone.
    ///
    /// # Errors
    ///
    /// `Closed` if the database was closed meanwhile, or its last handle is gone. The message then
    /// counts as not delivered.
    pub fn finish(mut self) -> Result<()> {
        self.is_done = true;
        match self.source.queue.finish(self.taken()) {
            Finished::Done => Ok(()),
            Finished::DoneAndNoted => {
                if let Some(engine) = self.source.engine.upgrade() {
                    engine.look_after_queues();
                }
                Ok(())
            }
            Finished::TooLate => Err(closed()),
        }
    }

    /// This attempt has failed. The same as dropping it, but said.
    pub fn fail(self) {
        drop(self);
    }

    fn taken(&self) -> Taken<Posted> {
        Taken {
            place: self.place,
            message: self.posted.clone(),
        }
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        if !self.is_done {
            let Source { engine, queue } = &*self.source;
            // Where it is gone, there is nothing to deliver the message again, or to write it to.
            if let Some(engine) = engine.upgrade() {
                engine.fail(queue, self.taken());
            }
        }
    }
}
