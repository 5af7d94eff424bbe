//! Taking messages.

use super::client::Client;
use super::payload;
use crate::error::{Error, Result};
use crate::value::Value;
use denokv_proto::{Database, QueueMessageHandle};
use std::fmt;

/// Takes the messages of the queue of a database, one at a time: [`Client::listen`].
#[must_use = "a listener takes no message until it is asked"]
pub struct Listener<'a, D> {
    client: &'a Client<D>,
}

impl<D> fmt::Debug for Listener<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

impl<'a, D: Database> Listener<'a, D> {
    pub(super) fn new(client: &'a Client<D>) -> Self {
        Self { client }
    }

    /// The next message. Waits for it: for ever, where the database has no queues, as with KV Connect.
    ///
    /// No message is lost if this future is dropped, though `denokv_sqlite` may deliver one a minute later for
    /// it.
    ///
    /// # Errors
    ///
    /// `Closed`: there will be none; those of the database.
    pub async fn recv(&mut self) -> Result<Message<D::QMH>> {
        let taken = self.client.database().dequeue_next_message().await;
        let taken = taken.map_err(Error::from_database)?;
        let mut handle = taken.ok_or_else(Error::queue_closed)?;
        let payload = handle.take_payload().await;
        let payload = payload::decode(payload.map_err(Error::from_database)?);
        Ok(Message { payload, handle })
    }
}

/// A message that is being handled: what a [`Listener`] gives.
///
/// When it has been handled, [`finish`](Self::finish) it. What has become of one that is dropped without, as by a
/// panic, is the database's affair: a `Kv` takes the attempt as failed at once, `denokv_sqlite` finds it within a
/// minute or so.
#[must_use = "finish it when it has been handled"]
pub struct Message<H> {
    payload: Value,
    handle: H,
}

impl<H> fmt::Debug for Message<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("payload", &self.payload)
            .finish_non_exhaustive()
    }
}

impl<H: QueueMessageHandle> Message<H> {
    /// What was enqueued: bytes, or what V8 has serialised. A `u64` is a bigint, as
    /// [`enqueue`](Client::enqueue) says.
    pub fn payload(&self) -> &Value {
        &self.payload
    }

    /// It has been handled, and is gone.
    ///
    /// # Errors
    ///
    /// `Closed` if the database was closed meanwhile; those of the database. It may be delivered again then.
    pub async fn finish(self) -> Result<()> {
        self.handle.finish(true).await.map_err(Error::from_database)
    }

    /// This attempt has failed: there is another one by the backoff schedule, or in the end the payload is set
    /// under the keys for undelivered messages.
    ///
    /// # Errors
    ///
    /// Those of the database.
    pub async fn fail(self) -> Result<()> {
        let failed = self.handle.finish(false).await;
        failed.map_err(Error::from_database)
    }
}
