//! A message of ours, as the trait hands it out.

use super::payload;
use crate::message::Message;
use async_trait::async_trait;
use deno_error::JsErrorBox;
use denokv_proto::QueueMessageHandle;
use std::cell::Cell;
use std::fmt;

/// A message of a [`Kv`](crate::Kv), in the hands of whoever took it by the trait.
///
/// It is nobody else's for as long as this is kept. To finish it with success is to be done with it. To
/// finish it without, or to drop it, is a failed attempt: it is delivered again by its backoff schedule, and
/// in the end set under its keys for undelivered messages. To finish it again does nothing.
///
/// The payload is what V8 serialises, which is what the trait has. Bytes that were enqueued by
/// [`Kv::enqueue`](crate::Kv::enqueue) are a `Uint8Array`, a `u64` is a bigint.
pub struct MessageHandle {
    /// Until it is finished.
    message: Cell<Option<Message>>,
    /// Until it is taken.
    payload: Option<Vec<u8>>,
}

impl MessageHandle {
    pub(super) fn new(message: Message) -> Self {
        let payload = payload::encode(message.payload().as_ref());
        Self {
            message: Cell::new(Some(message)),
            payload: Some(payload),
        }
    }
}

impl fmt::Debug for MessageHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageHandle")
            .field("payload_bytes", &self.payload.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

#[async_trait(?Send)]
impl QueueMessageHandle for MessageHandle {
    async fn take_payload(&mut self) -> Result<Vec<u8>, JsErrorBox> {
        let taken = || JsErrorBox::type_error("the payload has been taken");
        self.payload.take().ok_or_else(taken)
    }

    async fn finish(&self, success: bool) -> Result<(), JsErrorBox> {
        match self.message.take() {
            Some(message) if success => message.finish().map_err(JsErrorBox::from_err),
            Some(message) => {
                message.fail();
                Ok(())
            }
            None => Ok(()),
        }
    }
}
