//! Whether messages were delivered as they should be: what a history says of its queues.
//!
//! A message *stays* in its queue from the commit that enqueued it to the first listener that gets it,
//! and from each failed attempt to the next; what is known of a stay is who ended it, and when, by the
//! spans of those operations. Everything is checked that follows from these, whatever happened within
//! them: where the spans of two operations overlap, either may have come first.

use super::checker::{Did, Event, Span, Wrong, fail};
use super::client::may_refuse;
use super::model::Window;
use kvick::{Delivery, Key, Value, Versionstamp};
use std::collections::BTreeMap;
use std::num::NonZero;
use std::time::Duration;

/// How many messages of a queue the engine of a history lets be handled at once.
pub(crate) const CONCURRENCY: NonZero<usize> = NonZero::<usize>::MIN.saturating_add(3);

/// The intervals of a message that was enqueued without (Q06).
const DEFAULT_INTERVALS: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// A message, by the commit that enqueued it and its place among the messages of that.
pub(crate) type MessageId = (Versionstamp, u32);

/// What a commit has enqueued.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) queue: &'static str,
    pub(crate) payload: Value,
    pub(crate) delay: Duration,
    pub(crate) intervals: Option<Vec<Duration>>,
    pub(crate) keys: Vec<Key>,
}

impl Sent {
    /// The same as the user says it.
    pub(crate) fn delivery(&self) -> Delivery {
        let delivery = Delivery::default()
            .queue(self.queue)
            .delay(self.delay)
            .keys_if_undelivered(self.keys.iter().cloned());
        match &self.intervals {
            Some(intervals) => delivery.backoff(intervals.iter().copied()),
            None => delivery,
        }
    }

    /// How long it waits after this attempt has failed, if there is to be another.
    pub(crate) fn interval_after(&self, attempt: u32) -> Option<Duration> {
        let intervals = self.intervals.as_deref().unwrap_or(&DEFAULT_INTERVALS);
        intervals.get(attempt as usize - 1).copied()
    }
}

/// What a listener was given.
#[derive(Clone, Debug)]
pub(crate) struct Received {
    pub(crate) id: MessageId,
    pub(crate) payload: Value,
    pub(crate) attempt: u32,
}

/// What the events say of one message.
struct Message<'e> {
    sent: &'e Sent,
    committed: Span,
    /// In no order.
    attempts: Vec<Attempt<'e>>,
    buried: Vec<&'e Event>,
}

struct Attempt<'e> {
    number: u32,
    received: &'e Event,
    /// And whether it was finished.
    settled: Option<(&'e Event, bool)>,
}

/// A stay of a message in its queue.
struct Stay {
    id: MessageId,
    attempt: u32,
    /// Whether it is due with the commit that enqueued it. Of two such, the one with the smaller
    /// identity comes first, whatever the clock said.
    is_plain: bool,
    /// Of what put it there.
    since: Span,
    due: Window,
    received: Span,
    settled: Span,
    /// Whether it may have gone on being nobody else's after that.
    is_kept: bool,
}

impl Stay {
    /// Whether it comes before another for certain.
    fn is_before(&self, other: &Self) -> bool {
        if self.is_plain && other.is_plain {
            self.id < other.id
        } else {
            (self.due.1, self.id) < (other.due.0, other.id)
        }
    }
}

type Found = Result<(), (Wrong, String)>;

/// Checks the deliveries of a history at whose end all that was left has been received and settled.
pub(super) fn check_deliveries(events: &[Event]) -> Found {
    let messages = messages(events)?;
    let mut stays = BTreeMap::<_, Vec<Stay>>::new();
    for (id, message) in &messages {
        let of_queue = stays.entry(message.sent.queue).or_default();
        check_message(*id, message, of_queue)?;
    }
    for (queue, stays) in &stays {
        check_crowd(stays)?;
        for event in events {
            if let Did::Receive { queue: of, message } = &event.did
                && of == queue
            {
                check_choice(event, message.as_ref().map(|message| message.id), stays)?;
            }
        }
    }
    Ok(())
}

/// Collects what was said of each message. What was received has to have been committed just so.
fn messages(events: &[Event]) -> Result<BTreeMap<MessageId, Message<'_>>, (Wrong, String)> {
    let mut messages = BTreeMap::new();
    for event in events {
        let Did::Commit {
            versionstamp, sent, ..
        } = &event.did
        else {
            continue;
        };
        for (index, sent) in (0..).zip(sent) {
            let message = Message {
                sent,
                committed: event.span,
                attempts: Vec::new(),
                buried: Vec::new(),
            };
            messages.insert((*versionstamp, index), message);
        }
    }
    for event in events {
        let Did::Receive { queue, message } = &event.did else {
            continue;
        };
        let Some(Received {
            id,
            payload,
            attempt,
        }) = message
        else {
            continue;
        };
        let is_so = |message: &&mut Message<'_>| {
            let Sent {
                queue: to,
                payload: of,
                ..
            } = message.sent;
            to == queue && of == payload && message.committed.begin < event.span.end
        };
        let Some(message) = messages.get_mut(id).filter(is_so) else {
            return fail(Wrong::NoMessage, event);
        };
        message.attempts.push(Attempt {
            number: *attempt,
            received: event,
            settled: None,
        });
    }
    for event in events {
        match &event.did {
            Did::Settle {
                id,
                attempt,
                is_finished,
            } => {
                let attempts = messages.get_mut(id).map(|message| &mut message.attempts);
                let mut attempts = attempts.into_iter().flatten();
                let settled = attempts.find(|of| of.number == *attempt && of.settled.is_none());
                match settled {
                    Some(settled) => settled.settled = Some((event, *is_finished)),
                    None => return fail(Wrong::NoMessage, event),
                }
            }
            Did::Bury { id, .. } => match messages.get_mut(id) {
                Some(message) => message.buried.push(event),
                None => return fail(Wrong::NoMessage, event),
            },
            _ => {}
        }
    }
    Ok(messages)
}

/// Follows one message from its commit to its end, and notes its stays.
fn check_message(id: MessageId, message: &Message<'_>, stays: &mut Vec<Stay>) -> Found {
    let Message { sent, .. } = message;
    let mut attempts: Vec<_> = message.attempts.iter().collect();
    attempts.sort_by_key(|attempt| attempt.number);
    // Since when it waits for the next attempt, and for how long, if there is to be one.
    let mut waits = Some((message.committed, sent.delay));
    let (mut expected, mut is_finished) = (1, false);
    for Attempt {
        number,
        received,
        settled,
    } in attempts
    {
        // Q06, Q11: one after the other, and none after it is finished or its attempts are over.
        let Some((since, delay)) = waits.filter(|_| *number == expected) else {
            return fail(Wrong::SharedMessage, (id, received));
        };
        if received.span.end < since.begin {
            return fail(Wrong::SharedMessage, (id, received));
        }
        let due = (since.clock.0 + delay, since.clock.1 + delay);
        if received.span.clock.1 < due.0 {
            return fail(Wrong::EarlyMessage, (id, received, due));
        }
        let Some((settled, finished)) = settled else {
            return fail(Wrong::LostMessage, (id, received));
        };
        is_finished = *finished;
        let interval = sent.interval_after(*number).filter(|_| !is_finished);
        stays.push(Stay {
            id,
            attempt: *number,
            is_plain: *number == 1 && delay.is_zero(),
            since,
            due,
            received: received.span,
            settled: settled.span,
            // Where there was no room to bury it, that is tried again at any time.
            is_kept: interval.is_none() && !is_finished && may_refuse(),
        });
        waits = interval.map(|interval| (settled.span, interval));
        expected += 1;
    }
    let has_letter = !is_finished && !sent.keys.is_empty();
    if waits.is_some() || message.buried.len() != usize::from(has_letter) {
        return fail(Wrong::LostMessage, (id, sent));
    }
    let is_late =
        |event: &&Event| matches!(event.did, Did::Bury { versionstamp, .. } if versionstamp > id.0);
    if !message.buried.iter().all(is_late) {
        return fail(Wrong::Versionstamp, (id, sent));
    }
    Ok(())
}

/// Q10: that no more are in hands for certain than may be.
fn check_crowd(stays: &[Stay]) -> Found {
    let mut changes = Vec::new();
    for stay in stays {
        // From when it had been received to when it was begun to be settled.
        let (from, to) = (stay.received.end, stay.settled.begin);
        changes.extend([(from, 1), (to, -1)]);
    }
    changes.sort_unstable();
    let mut crowd = 0_isize;
    for (tick, change) in changes {
        crowd += change;
        if crowd > CONCURRENCY.get().cast_signed() {
            return fail(Wrong::Crowd, (tick, crowd));
        }
    }
    Ok(())
}

/// Q02, Q03: that whoever asked got the first message that was due; or none only where none was, or
/// no more could be handled.
fn check_choice(event: &Event, got: Option<MessageId>, stays: &[Stay]) -> Found {
    let span = event.span;
    let got = stays
        .iter()
        .find(|stay| Some(stay.id) == got && stay.received.begin == span.begin);
    // Of those that waited all the time that it took.
    let waiting = stays.iter().filter(|stay| {
        // Messages come in the order of their versionstamps, also within what overlaps.
        let has_come = stay.since.end < span.begin
            || got.is_some_and(|got| stay.attempt == 1 && stay.id < got.id);
        has_come && stay.received.begin > span.end
    });
    let wrong = if let Some(got) = got {
        let mut before = waiting.filter(|stay| stay.is_before(got));
        before.next().map(|stay| (Wrong::Overtaken, stay))
    } else {
        let mut due = waiting.filter(|stay| stay.due.1 <= span.clock.0 && !is_full(stays, span));
        due.next().map(|stay| (Wrong::MissedMessage, stay))
    };
    match wrong {
        Some((wrong, stay)) => fail(wrong, (stay.id, event)),
        None => Ok(()),
    }
}

/// Whether as many messages as may be were in hands, for all that is known, while something was asked
/// for.
fn is_full(stays: &[Stay], span: Span) -> bool {
    let in_hands = stays.iter().filter(|stay| {
        stay.received.begin < span.end && (stay.is_kept || stay.settled.end > span.begin)
    });
    in_hands.count() >= CONCURRENCY.get()
}
