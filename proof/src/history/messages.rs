//! Messages: what the threads of a round enqueue and receive, and whether that is as it should be.
//!
//! None of them is delayed, and one that fails is due again at once. So whoever asks a queue while a
//! message waits there gets one, and first attempts are made in the order of the versionstamps.

use super::anomaly::{Findings, Kind};
use super::record::{History, ODD_STAMP};
use kvick::{Delivery, Kv};
use std::collections::BTreeMap;
use std::ops::Range;
use std::time::Duration;

/// The queues of all rounds.
pub(super) const QUEUES: [&str; 2] = ["histories", "histories, too"];

/// How often a message is tried.
const ATTEMPTS_MAX: u32 = 3;

/// How a message is delivered to one of the queues.
pub(super) fn delivery(queue: usize) -> Delivery {
    let intervals = (1..ATTEMPTS_MAX).map(|_| Duration::ZERO);
    Delivery::default().queue(QUEUES[queue]).backoff(intervals)
}

/// Takes from the queues whatever there is left; how much.
pub(super) fn discard(kv: &Kv) -> usize {
    let mut count = 0;
    for queue in QUEUES {
        let mut listener = kv.queue(queue).listen().expect("the engine is open");
        while let Some(message) = listener.try_recv().expect("the engine is open") {
            message.finish().expect("the engine is open");
            count += 1;
        }
    }
    count
}

/// A message that goes with a transaction, or would have.
#[derive(Clone, Debug)]
struct Sent {
    queue: usize,
    element: u32,
    /// Its place among the messages of its transaction.
    index: u32,
    /// Of the commit; 0 where there was none.
    stamp: u32,
    span: Range<u32>,
}

/// A message that was received: an attempt at it.
#[derive(Clone, Debug)]
pub(super) struct Received {
    pub(super) queue: usize,
    /// Nothing for a payload that is no element.
    pub(super) element: Option<u32>,
    pub(super) stamp: u32,
    pub(super) index: u32,
    pub(super) attempt: u32,
    pub(super) span: Range<u32>,
    /// From when to when it was finished, or given up; and which.
    pub(super) settled: Range<u32>,
    pub(super) is_finished: bool,
}

/// What one thread records of messages.
#[derive(Debug, Default)]
pub(super) struct MessageLog {
    sent: Vec<Sent>,
    /// Where those of the transaction under way begin.
    begin: usize,
    received: Vec<Received>,
    /// When a queue was asked that had nothing.
    nothing: Vec<(usize, Range<u32>)>,
}

impl MessageLog {
    pub(super) fn clear(&mut self) {
        self.sent.clear();
        self.begin = 0;
        self.received.clear();
        self.nothing.clear();
    }

    /// The transaction under way enqueues an element.
    pub(super) fn send(&mut self, queue: usize, element: u32) {
        let index = self.sent.len() - self.begin;
        self.sent.push(Sent {
            queue,
            element,
            index: u32::try_from(index).expect("a transaction has few messages"),
            stamp: 0,
            span: 0..0,
        });
    }

    /// The transaction under way has committed with this stamp, or not at all.
    pub(super) fn end_txn(&mut self, stamp: u32, span: &Range<u32>) {
        for sent in &mut self.sent[self.begin..] {
            sent.stamp = stamp;
            sent.span = span.clone();
        }
        self.begin = self.sent.len();
    }

    pub(super) fn receive(&mut self, received: Received) {
        self.received.push(received);
    }

    pub(super) fn receive_nothing(&mut self, queue: usize, span: Range<u32>) {
        self.nothing.push((queue, span));
    }
}

/// The attempts at a message.
type Attempts<'h> = BTreeMap<(u32, u32), (&'h Sent, Vec<&'h Received>)>;

/// Checks a round at whose end all that was left has been received.
pub(super) fn check(history: &History) -> Findings {
    let mut findings = Findings::default();
    let mut messages = Attempts::new();
    for sent in history.messages().flat_map(|log| &log.sent) {
        if sent.stamp != 0 && sent.stamp != ODD_STAMP {
            messages.insert((sent.stamp, sent.index), (sent, Vec::new()));
        }
    }
    for received in history.messages().flat_map(|log| &log.received) {
        let message = messages.get_mut(&(received.stamp, received.index));
        let message = message.filter(|(sent, _)| {
            received.queue == sent.queue
                && received.element == Some(sent.element)
                && sent.span.start < received.span.end
        });
        match message {
            Some((_, attempts)) => attempts.push(received),
            None => findings.add(Kind::WrongMessage, || format!("{received:?}")),
        }
    }
    for queue in 0..QUEUES.len() {
        check_queue(queue, &mut messages, history, &mut findings);
    }
    findings
}

fn check_queue(
    queue: usize,
    messages: &mut Attempts<'_>,
    history: &History,
    findings: &mut Findings,
) {
    // Of each stay in the queue: before when it had begun, and after when it ended.
    let mut stays = Vec::new();
    // When it was begun to receive any of the messages so far.
    let mut latest = 0;
    for (sent, attempts) in messages
        .values_mut()
        .filter(|(sent, _)| sent.queue == queue)
    {
        attempts.sort_by_key(|attempt| attempt.attempt);
        let first = attempts.first().map_or(u32::MAX, |first| first.span.start);
        if let Some(first) = attempts.first()
            && latest > first.span.end
        {
            findings.add(Kind::OvertakenMessage, || format!("one before {first:?}"));
        }
        latest = latest.max(first);
        let mut waits = Some((&sent.span, 1));
        for received in &*attempts {
            match waits {
                Some((since, number))
                    if received.attempt == number && since.start < received.span.end =>
                {
                    stays.push((since.end, received.span.start));
                }
                _ => findings.add(Kind::SharedMessage, || format!("{attempts:?}")),
            }
            let is_over = received.is_finished || received.attempt == ATTEMPTS_MAX;
            waits = (!is_over).then_some((&received.settled, received.attempt + 1));
        }
        if let Some((since, _)) = waits {
            stays.push((since.end, u32::MAX));
            findings.add(Kind::LostMessage, || format!("{sent:?}: {attempts:?}"));
        }
    }
    stays.sort_unstable();
    let mut longest = 0;
    for (_, end) in &mut stays {
        longest = longest.max(*end);
        *end = longest;
    }
    let nothing = history.messages().flat_map(|log| &log.nothing);
    for (_, span) in nothing.filter(|(of, _)| *of == queue) {
        let begun = stays.partition_point(|(begin, _)| *begin < span.start);
        if stays[..begun]
            .last()
            .is_some_and(|(_, end)| *end > span.end)
        {
            findings.add(Kind::MissedMessage, || {
                format!("queue {queue} had nothing at {span:?}")
            });
        }
    }
}
