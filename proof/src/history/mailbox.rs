//! A queue as a thread of a round listens to it.

use super::messages::{QUEUES, Received};
use super::note::number;
use super::record::{ELEMENT_BYTES, Log};
use super::workload::Round;
use kvick::{Kv, Listener, Message};

pub(super) struct Mailbox {
    queue: usize,
    listener: Listener,
}

/// A message that is being handled.
pub(super) struct Held {
    message: Message,
    received: Received,
}

impl Mailbox {
    pub(super) fn new(kv: &Kv, queue: usize) -> Self {
        let listener = kv.queue(QUEUES[queue]).listen();
        let listener = listener.expect("the engine is open");
        Self { queue, listener }
    }

    /// Asks for a message.
    pub(super) fn receive(&mut self, round: &Round, log: &mut Log) -> Option<Held> {
        let begin = round.tick();
        let message = self.listener.try_recv().expect("the engine is open");
        let span = begin..round.tick();
        let Some(message) = message else {
            log.messages.receive_nothing(self.queue, span);
            return None;
        };
        let bytes = message.payload().as_bytes();
        let bytes = bytes.and_then(|bytes| <[u8; ELEMENT_BYTES]>::try_from(bytes).ok());
        let received = Received {
            queue: self.queue,
            element: bytes.map(u32::from_le_bytes),
            stamp: log.stamp(number(message.versionstamp())),
            index: message.index(),
            attempt: message.attempt(),
            span,
            settled: 0..0,
            is_finished: false,
        };
        Some(Held { message, received })
    }
}

impl Held {
    /// Finishes the message, or gives up this attempt.
    pub(super) fn settle(self, is_finished: bool, round: &Round, log: &mut Log) {
        let Self {
            message,
            mut received,
        } = self;
        let begin = round.tick();
        if is_finished {
            message.finish().expect("the engine is open");
        } else {
            message.fail();
        }
        received.settled = begin..round.tick();
        received.is_finished = is_finished;
        log.messages.receive(received);
    }
}
