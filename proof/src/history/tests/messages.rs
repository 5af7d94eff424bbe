//! Messages that are received as they should not be.

use super::{Sketch, kinds};
use crate::history::anomaly::Kind;
use crate::history::messages::{self, Received};
use crate::history::record::{Outcome, Via};
use std::ops::Range;

/// Element 7, of the commit 5, received at once and finished.
fn received(span: Range<u32>) -> Received {
    Received {
        queue: 0,
        element: Some(7),
        stamp: 5,
        index: 0,
        attempt: 1,
        settled: span.end + 1..span.end + 2,
        span,
        is_finished: true,
    }
}

impl Sketch {
    fn send(&mut self, span: Range<u32>, stamp: u32, elements: &[u32]) {
        self.log.begin_txn();
        for element in elements {
            self.log.messages.send(0, *element);
        }
        self.log
            .end_txn(Via::Enqueue, Outcome::Committed, span, stamp);
    }

    fn receive(&mut self, received: Received) {
        self.log.messages.receive(received);
    }
}

/// What is found in a round in which a commit enqueues the element 7.
fn found(rest: impl FnOnce(&mut Sketch)) -> Vec<Kind> {
    let mut sketch = Sketch::new();
    sketch.send(0..1, 5, &[7]);
    rest(&mut sketch);
    kinds(&messages::check(&sketch.history()))
}

#[test]
fn what_is_received_and_finished_is_accepted() {
    let found = found(|sketch| {
        // Given up twice, and received while the commit of another is on its way.
        for (attempt, at) in [(1, 10), (2, 20), (3, 30)] {
            sketch.receive(Received {
                attempt,
                is_finished: attempt == 3,
                ..received(at..at + 1)
            });
        }
        sketch.send(40..60, 6, &[8, 9]);
        for (index, element) in [(0, 8), (1, 9)] {
            let at = 50 + 4 * index;
            sketch.receive(Received {
                stamp: 6,
                element: Some(element),
                index,
                ..received(at..at + 1)
            });
        }
        sketch.log.messages.receive_nothing(0, 11..12);
        sketch.log.messages.receive_nothing(0, 55..56);
        sketch.log.messages.receive_nothing(1, 2..3);
    });
    assert_eq!(found, []);
}

#[test]
fn what_no_commit_has_enqueued_is_found() {
    let right = received(10..11);
    let strange = [
        Received {
            stamp: 6,
            ..right.clone()
        },
        Received {
            index: 1,
            ..right.clone()
        },
        Received {
            queue: 1,
            ..right.clone()
        },
        Received {
            element: Some(8),
            ..right.clone()
        },
        Received {
            element: None,
            ..right.clone()
        },
    ];
    for strange in strange {
        let found = found(|sketch| {
            sketch.receive(right.clone());
            sketch.receive(strange);
        });
        assert_eq!(found, [Kind::WrongMessage]);
    }
}

#[test]
fn a_message_of_what_has_not_committed_is_found() {
    let found = found(|sketch| {
        sketch.receive(received(10..11));
        sketch.log.begin_txn();
        sketch.log.messages.send(0, 8);
        sketch
            .log
            .end_txn(Via::Transact, Outcome::Aborted, 12..13, 0);
        sketch.receive(Received {
            stamp: 6,
            element: Some(8),
            ..received(14..15)
        });
    });
    assert_eq!(found, [Kind::WrongMessage]);
}

#[test]
fn a_message_before_its_commit_has_begun_is_found() {
    let mut sketch = Sketch::new();
    sketch.send(10..11, 5, &[7]);
    sketch.receive(received(2..3));
    let kinds = kinds(&messages::check(&sketch.history()));
    assert_eq!(kinds, [Kind::LostMessage, Kind::WrongMessage]);
}

#[test]
fn a_message_that_two_have_is_found() {
    let again = |attempt, is_finished, at| {
        found(|sketch| {
            sketch.receive(Received {
                is_finished,
                settled: 20..21,
                ..received(10..11)
            });
            sketch.receive(Received {
                attempt,
                ..received(at..at + 1)
            });
        })
    };
    assert_eq!(again(2, false, 30), []);
    // It has not been given up yet, is tried as often as before, or was finished.
    assert_eq!(again(2, false, 12), [Kind::SharedMessage]);
    assert_eq!(again(1, false, 30), [Kind::SharedMessage]);
    assert_eq!(again(3, false, 30), [Kind::SharedMessage]);
    assert_eq!(again(2, true, 30), [Kind::SharedMessage]);
}

#[test]
fn a_message_that_is_lost_is_found() {
    assert_eq!(found(|_| ()), [Kind::LostMessage]);
    let given_up = Received {
        is_finished: false,
        ..received(10..11)
    };
    let found = found(|sketch| sketch.receive(given_up));
    assert_eq!(found, [Kind::LostMessage]);
}

#[test]
fn a_message_that_is_overtaken_is_found() {
    let overtaken = |at: u32| {
        found(|sketch| {
            // The versionstamps say which was the first, though the commits overlap.
            sketch.send(0..30, 4, &[8]);
            sketch.receive(received(10..12));
            sketch.receive(Received {
                stamp: 4,
                element: Some(8),
                ..received(at..at + 1)
            });
        })
    };
    assert_eq!(overtaken(11), []);
    assert_eq!(overtaken(14), [Kind::OvertakenMessage]);
}

#[test]
fn a_message_that_is_missed_is_found() {
    let missed = |span: Range<u32>| {
        found(|sketch| {
            sketch.receive(received(10..12));
            sketch.log.messages.receive_nothing(0, span);
        })
    };
    assert_eq!(missed(2..3), [Kind::MissedMessage]);
    // It had just come, or was just received.
    assert_eq!(missed(0..3), []);
    assert_eq!(missed(9..11), []);
}
