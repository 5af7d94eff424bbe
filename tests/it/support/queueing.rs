//! What a client of a history does with queues.
//!
//! Nobody is told of a commit that writes a message to its keys after the last attempt. So the first
//! of these keys is the message's alone, for as long as it is not done with: whoever lets the message
//! drop for the last time finds the versionstamp there, and deletes it.

use super::checker::{Did, Event, Seen, Span};
use super::client::{Client, granted, may_refuse};
use super::deliveries::{MessageId, Received, Sent};
use super::model::{Mutation, Op};
use super::selector::Selector;
use super::workload::LETTERS_MAX;
use kvick::{Key, Kv, Message, Value};
use rand::RngExt;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Deno's queue, and one that is made when it is used and forgotten when it is not.
const QUEUES: [&str; 2] = ["", "mail"];

/// How many of them may have keys.
const KEYS_MAX: u32 = 6;

/// How many messages a client handles at once.
const HELD_MAX: usize = 2;

/// The longest delay and interval, in milliseconds, and 1.
const DELAY_MAX_MS: u64 = 60;

/// Longer than any delay or interval.
const LONG: Duration = Duration::from_secs(61);

/// Rounds in which all that is left is received, each after all has become due: more than a message
/// has attempts.
const ROUNDS: usize = 8;

/// What comes from a queue in one round, at most.
const ROUND_MAX: usize = 4 * LETTERS_MAX;

/// Where the keys of undelivered messages are.
const UNDELIVERED: &str = "~";

/// Everything but what is somebody's to find.
pub(super) fn all_but_letters() -> Selector {
    Selector::Between("".into(), UNDELIVERED.into())
}

/// The messages of a history that are not done with, as far as its clients know.
#[derive(Debug)]
pub(super) struct Letters(Mutex<Known>);

#[derive(Debug)]
struct Known {
    /// By the number in the payload.
    sent: BTreeMap<u64, Sent>,
    /// Keys that are no message's.
    keys: Vec<Key>,
    /// Those that could not be buried for want of memory, and since when.
    undelivered: Vec<(MessageId, Sent, Span)>,
}

impl Default for Letters {
    fn default() -> Self {
        Self(Mutex::new(Known {
            sent: BTreeMap::new(),
            keys: (0..KEYS_MAX)
                .map(|number| (UNDELIVERED, number).into())
                .collect(),
            undelivered: Vec::new(),
        }))
    }
}

/// The number that makes a payload unlike every other.
fn number_of(payload: &Value) -> Option<u64> {
    let text = || payload.as_str()?.rsplit(' ').next()?.parse().ok();
    payload.as_u64().or_else(text)
}

impl Letters {
    /// Never held while the database is called.
    fn known(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// These have not been enqueued.
    pub(super) fn take_back(&self, sent: &[Sent]) {
        for sent in sent {
            self.forget(sent);
        }
    }

    /// A message that is done with, and so are its keys.
    fn forget(&self, sent: &Sent) {
        let mut known = self.known();
        let number = number_of(&sent.payload);
        let is_known = number.is_some_and(|number| known.sent.remove(&number).is_some());
        if is_known {
            known.keys.extend(sent.keys.first().cloned());
        }
    }

    fn find(&self, payload: &Value) -> Option<Sent> {
        self.known().sent.get(&number_of(payload)?).cloned()
    }
}

/// That no queue has anything left.
pub(crate) fn assert_delivered(kv: &Kv) {
    for queue in QUEUES {
        let queue = kv.queue(queue);
        assert_eq!((queue.len(), queue.stats().bytes), (0, 0), "{queue:?}");
    }
}

/// Whether nobody has a message in hands.
pub(crate) fn is_nothing_in_hands(kv: &Kv) -> bool {
    let is_nothing = |queue| kv.queue(queue).stats().running_count == 0;
    QUEUES.into_iter().all(is_nothing)
}

impl Client<'_> {
    /// Messages to go with a commit: mostly none.
    pub(super) fn letters(&mut self) -> Vec<Sent> {
        if self.random.random_bool(0.93) {
            return Vec::new();
        }
        let count = self.random.random_range(1..=3);
        (0..count).filter_map(|_| self.letter()).collect()
    }

    /// A message, unless there are enough.
    fn letter(&mut self) -> Option<Sent> {
        let payload = self.value();
        let number = number_of(&payload)?;
        let delay = match self.random.random_range(0..8) {
            0..5 => Duration::ZERO,
            _ => self.delay(),
        };
        // Seldom, as it is minutes before the last of Deno's attempts.
        let has_intervals = self.random.random_range(0..30) > 0;
        let intervals = has_intervals.then(|| {
            let count = self.random.random_range(0..3);
            (0..count).map(|_| self.delay()).collect()
        });
        let has_keys = self.random.random_bool(0.7);
        let other = self.random.random_bool(0.5).then(|| self.key());
        let queue = self.queue();
        let mut known = self.recorder.letters.known();
        if known.sent.len() >= self.workload.letters_max {
            return None;
        }
        let own = has_keys.then(|| known.keys.pop()).flatten();
        let sent = Sent {
            queue,
            payload,
            delay,
            intervals,
            keys: own.map_or_else(Vec::new, |own| [own].into_iter().chain(other).collect()),
        };
        known.sent.insert(number, sent.clone());
        drop(known);
        Some(sent)
    }

    fn delay(&mut self) -> Duration {
        Duration::from_millis(self.random.random_range(0..DELAY_MAX_MS))
    }

    pub(super) fn enqueue(&mut self) {
        let Some(sent) = self.letter() else {
            // Those that were delayed, or failed, have to come round first.
            return self.wait();
        };
        let enqueue = || self.kv.enqueue(&sent.payload, sent.delivery());
        let (versionstamp, span) = self.recorder.time(enqueue);
        let Some(versionstamp) = granted(versionstamp) else {
            return self.recorder.letters.forget(&sent);
        };
        let did = Did::Commit {
            versionstamp,
            checks: Vec::new(),
            reads: Vec::new(),
            mutations: Vec::new(),
            sent: vec![sent],
        };
        self.events.push(Event { span, did });
    }

    /// Asks for a message, in one of the ways that do not wait for it.
    pub(super) fn receive(&mut self) {
        if self.held.len() == HELD_MAX {
            return self.settle();
        }
        let queue = self.queue();
        self.receive_from(queue);
    }

    fn queue(&mut self) -> &'static str {
        self.pick(&QUEUES[..self.workload.queue_count])
    }

    fn receive_from(&mut self, queue: &'static str) {
        let listener = self.kv.queue(queue).listen();
        let mut listener = listener.expect("the engine is not closed");
        let stands_in_line = self.random.random_bool(0.3);
        let (message, span) = self.recorder.time(|| {
            if stands_in_line {
                listener.recv_timeout(Duration::ZERO)
            } else {
                listener.try_recv()
            }
        });
        let message = message.expect("the engine is not closed");
        let received = message.as_ref().map(|message| Received {
            id: id_of(message),
            payload: message.payload().clone(),
            attempt: message.attempt(),
        });
        let did = Did::Receive {
            queue,
            message: received,
        };
        self.events.push(Event { span, did });
        self.held.extend(message);
    }

    /// Finishes a message, or lets it drop.
    pub(super) fn settle(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let index = self.random.random_range(0..self.held.len());
        let message = self.held.swap_remove(index);
        let (id, attempt) = (id_of(&message), message.attempt());
        let sent = self.recorder.letters.find(message.payload());
        let is_finished = self.random.random_bool(0.4);
        let ((), span) = self.recorder.time(|| {
            if is_finished {
                message.finish().expect("the engine is not closed");
            } else {
                drop(message);
            }
        });
        let did = Did::Settle {
            id,
            attempt,
            is_finished,
        };
        self.events.push(Event { span, did });
        // What nobody knows of is the checker's to object to.
        let Some(sent) = sent else { return };
        if !is_finished && sent.interval_after(attempt).is_some() {
            return;
        }
        if is_finished || sent.keys.is_empty() {
            self.recorder.letters.forget(&sent);
        } else if !self.find_buried(id, &sent, span) && may_refuse() {
            let mut known = self.recorder.letters.known();
            known.undelivered.push((id, sent, span));
        }
    }

    /// Looks for what was written to the keys of a message, and deletes what nobody else does;
    /// whether it is there.
    fn find_buried(&mut self, id: MessageId, sent: &Sent, since: Span) -> bool {
        let Some(own) = sent.keys.first() else {
            return false;
        };
        let (entry, span) = self.recorder.time(|| self.kv.get(own));
        let entry = entry.expect("a key can be read");
        let Some(versionstamp) = entry.versionstamp() else {
            return false;
        };
        self.saw(span, None, vec![Seen::one(&entry)]);
        let mutations = sent.keys.iter().map(|key| Mutation {
            key: key.clone(),
            op: Op::Set(sent.payload.clone()),
        });
        let did = Did::Bury {
            versionstamp,
            id,
            mutations: mutations.collect(),
        };
        // As far as anybody knew before it was found.
        let span = Span {
            begin: since.begin,
            clock: (since.clock.0, span.clock.1),
            ..span
        };
        self.events.push(Event { span, did });
        let (deleted, span) = self.recorder.time(|| self.kv.delete(own));
        if let Some(versionstamp) = granted(deleted) {
            let (key, op) = (own.clone(), Op::Delete);
            self.committed(span, versionstamp, vec![Mutation { key, op }]);
            self.recorder.letters.forget(sent);
        }
        true
    }

    /// Sees to it that there is room for what is buried.
    fn make_room(&mut self) {
        if self.workload.bounds.is_some() {
            self.clear_all(all_but_letters());
        }
    }

    /// Receives and settles all that is left, when the others are done; what came of it.
    ///
    /// A background thread may be burying what could not be buried before: `await_burials` waits for it.
    pub(crate) fn drain(mut self, await_burials: impl Fn(&Kv)) -> Vec<Event> {
        if self.workload.bounds.is_some() {
            // What is freed in the end may wait for other threads.
            self.kv.set_memory_limit(None);
        }
        for _ in 0..ROUNDS {
            if QUEUES.iter().all(|queue| self.kv.queue(queue).is_empty()) {
                break;
            }
            self.recorder.clock().advance(LONG);
            self.make_room();
            // Buries what could not be buried, but for what others are at.
            self.kv.sweep();
            await_burials(self.kv);
            for queue in QUEUES {
                for _ in 0..ROUND_MAX {
                    self.make_room();
                    self.receive_from(queue);
                    if self.held.is_empty() {
                        break;
                    }
                    self.settle();
                }
            }
        }
        await_burials(self.kv);
        let undelivered = std::mem::take(&mut self.recorder.letters.known().undelivered);
        for (id, sent, since) in undelivered {
            self.find_buried(id, &sent, since);
        }
        self.ask_evictions();
        self.into_events()
    }
}

fn id_of(message: &Message) -> MessageId {
    (message.versionstamp(), message.index())
}
