//! The same of what a history says of its queues.

use super::{accepts, event, mutation, rejects, stamp, stored};
use crate::support::checker::{Did, Event, Seen, Wrong};
use crate::support::deliveries::{CONCURRENCY, Received, Sent};
use crate::support::model::Op;
use kvick::Value;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

/// A message of one attempt, to be told from others by its number.
fn letter(number: u64) -> Sent {
    Sent {
        queue: "",
        payload: Value::U64(number),
        delay: Duration::ZERO,
        intervals: Some(Vec::new()),
        keys: Vec::new(),
    }
}

fn delayed(number: u64) -> Sent {
    let delay = SECOND;
    let sent = letter(number);
    Sent { delay, ..sent }
}

/// Two attempts, a second apart.
fn patient(number: u64) -> Sent {
    let intervals = Some(vec![SECOND]);
    let sent = letter(number);
    Sent { intervals, ..sent }
}

fn kept(number: u64) -> Sent {
    let keys = vec!["~".into()];
    let sent = letter(number);
    Sent { keys, ..sent }
}

fn send(versionstamp: u64, sent: &[Sent]) -> Did {
    Did::Commit {
        versionstamp: stamp(versionstamp),
        checks: Vec::new(),
        reads: Vec::new(),
        mutations: Vec::new(),
        sent: sent.to_vec(),
    }
}

/// The first message of a commit.
fn receive(versionstamp: u64, number: u64, attempt: u32) -> Did {
    receive_from("", versionstamp, number, attempt)
}

fn receive_from(queue: &'static str, versionstamp: u64, number: u64, attempt: u32) -> Did {
    let message = Some(Received {
        id: (stamp(versionstamp), 0),
        payload: Value::U64(number),
        attempt,
    });
    Did::Receive { queue, message }
}

fn nothing() -> Did {
    let (queue, message) = ("", None);
    Did::Receive { queue, message }
}

fn settle(versionstamp: u64, attempt: u32, is_finished: bool) -> Did {
    let id = (stamp(versionstamp), 0);
    Did::Settle {
        id,
        attempt,
        is_finished,
    }
}

fn finish(versionstamp: u64) -> Did {
    settle(versionstamp, 1, true)
}

fn bury(versionstamp: u64, of: u64, number: u64) -> Did {
    Did::Bury {
        versionstamp: stamp(versionstamp),
        id: (stamp(of), 0),
        mutations: vec![mutation("~", Op::Set(Value::U64(number)))],
    }
}

/// Something that happened at this second of the clock.
fn at(second: u32, mut event: Event) -> Event {
    event.span.clock = (SECOND * second, SECOND * second);
    event
}

#[test]
fn what_was_enqueued_is_finished_or_buried() {
    accepts([
        event(3, 4, send(20, &[letter(1)])),
        event(5, 6, receive(20, 1, 1)),
        event(7, 8, finish(20)),
        event(9, 10, nothing()),
        // Received and finished before its commit has returned.
        event(11, 20, send(30, &[kept(2)])),
        event(12, 13, receive(30, 2, 1)),
        event(14, 15, settle(30, 1, false)),
        event(14, 17, bury(40, 30, 2)),
        event(
            16,
            17,
            Did::Read {
                at: None,
                seen: vec![Seen::One("~".into(), Some(stored(2, 40)))],
            },
        ),
    ]);
}

#[test]
fn what_nobody_has_enqueued_is_noticed() {
    let sent = event(3, 4, send(20, &[letter(1)]));
    let rest = [event(5, 6, receive(20, 1, 1)), event(7, 8, finish(20))];
    for wrong in [
        receive(21, 1, 1),
        receive(20, 2, 1),
        receive_from("mail", 20, 1, 1),
    ] {
        let events = [sent.clone(), event(5, 6, wrong), event(7, 8, finish(20))];
        rejects(events, Wrong::NoMessage);
    }
    // The commit that has returned was not the one that enqueued it.
    rejects(rest.clone(), Wrong::NoMessage);
    // It came before anybody had enqueued it.
    let late = event(9, 10, send(20, &[letter(1)]));
    rejects([rest[0].clone(), rest[1].clone(), late], Wrong::RealTime);
}

#[test]
fn a_message_before_its_commit_can_be_seen_is_noticed() {
    // Whoever has the message does not find what came with it.
    let with_entry = Did::Commit {
        versionstamp: stamp(20),
        checks: Vec::new(),
        reads: Vec::new(),
        mutations: vec![mutation("x", Op::Set(Value::U64(2)))],
        sent: vec![letter(1)],
    };
    rejects(
        [
            event(3, 20, with_entry),
            event(4, 5, receive(20, 1, 1)),
            event(
                6,
                7,
                Did::Read {
                    at: None,
                    seen: vec![Seen::One("x".into(), Some(stored(1, 10)))],
                },
            ),
            event(8, 9, finish(20)),
        ],
        Wrong::Read,
    );
}

#[test]
fn a_message_that_two_have_is_noticed() {
    let sent = event(3, 4, send(20, &[letter(1)]));
    rejects(
        [
            sent,
            event(5, 6, receive(20, 1, 1)),
            event(7, 8, receive(20, 1, 1)),
            event(9, 10, finish(20)),
            event(11, 12, finish(20)),
        ],
        Wrong::SharedMessage,
    );
    // Although the first has not let it drop yet.
    let sent = event(3, 4, send(20, &[patient(1)]));
    rejects(
        [
            sent,
            event(5, 6, receive(20, 1, 1)),
            at(2, event(7, 8, receive(20, 1, 2))),
            at(0, event(9, 10, settle(20, 1, false))),
            at(2, event(11, 12, settle(20, 2, true))),
        ],
        Wrong::SharedMessage,
    );
}

#[test]
fn a_message_that_comes_after_its_end_is_noticed() {
    for is_finished in [true, false] {
        rejects(
            [
                event(3, 4, send(20, &[letter(1)])),
                event(5, 6, receive(20, 1, 1)),
                event(7, 8, settle(20, 1, is_finished)),
                event(9, 10, receive(20, 1, 2)),
                event(11, 12, settle(20, 2, true)),
            ],
            Wrong::SharedMessage,
        );
    }
}

#[test]
fn attempts_that_do_not_count_up_are_noticed() {
    let history = |attempt| {
        [
            event(3, 4, send(20, &[patient(1)])),
            event(5, 6, receive(20, 1, 1)),
            event(7, 8, settle(20, 1, false)),
            at(1, event(9, 10, receive(20, 1, attempt))),
            at(1, event(11, 12, settle(20, attempt, true))),
        ]
    };
    accepts(history(2));
    rejects(history(1), Wrong::SharedMessage);
    rejects(history(3), Wrong::SharedMessage);
}

#[test]
fn a_message_that_comes_early_is_noticed() {
    let first = |second| {
        [
            event(3, 4, send(20, &[delayed(1)])),
            at(second, event(5, 6, receive(20, 1, 1))),
            at(second, event(7, 8, finish(20))),
        ]
    };
    accepts(first(1));
    rejects(first(0), Wrong::EarlyMessage);
    let again = |second| {
        [
            event(3, 4, send(20, &[patient(1)])),
            at(1, event(5, 6, receive(20, 1, 1))),
            at(1, event(7, 8, settle(20, 1, false))),
            at(second, event(9, 10, receive(20, 1, 2))),
            at(second, event(11, 12, settle(20, 2, true))),
        ]
    };
    accepts(again(2));
    rejects(again(1), Wrong::EarlyMessage);
}

#[test]
fn a_message_that_is_lost_is_noticed() {
    let sent = event(3, 4, send(20, &[patient(1)]));
    rejects([sent.clone()], Wrong::LostMessage);
    let dropped = [
        sent,
        event(5, 6, receive(20, 1, 1)),
        event(7, 8, settle(20, 1, false)),
    ];
    rejects(dropped, Wrong::LostMessage);
    // No dead letter, and one too many.
    let undelivered = |is_finished| {
        [
            event(3, 4, send(20, &[kept(1)])),
            event(5, 6, receive(20, 1, 1)),
            event(7, 8, settle(20, 1, is_finished)),
        ]
    };
    rejects(undelivered(false), Wrong::LostMessage);
    accepts(undelivered(true));
    let buried = event(7, 10, bury(30, 20, 1));
    accepts(undelivered(false).into_iter().chain([buried.clone()]));
    rejects(
        undelivered(true).into_iter().chain([buried]),
        Wrong::LostMessage,
    );
}

#[test]
fn a_dead_letter_before_its_message_is_noticed() {
    rejects(
        [
            event(3, 30, send(20, &[kept(1)])),
            event(4, 5, receive(20, 1, 1)),
            event(6, 7, settle(20, 1, false)),
            event(3, 8, bury(15, 20, 1)),
        ],
        Wrong::Versionstamp,
    );
}

#[test]
fn a_message_that_is_overtaken_is_noticed() {
    let two = |first: Sent, second: Sent, by: u32| {
        [
            event(3, 4, send(20, &[first])),
            event(5, 6, send(30, &[second])),
            at(by, event(7, 8, receive(30, 2, 1))),
            at(by, event(9, 10, finish(30))),
            at(by, event(11, 12, receive(20, 1, 1))),
            at(by, event(13, 14, finish(20))),
        ]
    };
    rejects(two(letter(1), letter(2), 0), Wrong::Overtaken);
    rejects(two(delayed(1), delayed(2), 1), Wrong::Overtaken);
    // What is delayed is overtaken.
    accepts(two(delayed(1), letter(2), 1));
    // Where commits overlap, the versionstamps say which came first.
    let overlapping = |one, other| {
        [
            event(3, 20, send(one, &[letter(1)])),
            event(4, 21, send(other, &[letter(2)])),
            event(5, 6, receive(other, 2, 1)),
            event(7, 8, receive(one, 1, 1)),
            event(9, 10, finish(one)),
            event(11, 12, finish(other)),
        ]
    };
    accepts(overlapping(30, 20));
    rejects(overlapping(20, 30), Wrong::Overtaken);
}

#[test]
fn a_message_that_is_missed_is_noticed() {
    let history = |sent: Sent, second: u32| {
        [
            event(3, 4, send(20, &[sent])),
            at(second, event(5, 6, nothing())),
            at(5, event(7, 8, receive(20, 1, 1))),
            at(5, event(9, 10, finish(20))),
        ]
    };
    rejects(history(letter(1), 0), Wrong::MissedMessage);
    rejects(history(delayed(1), 1), Wrong::MissedMessage);
    accepts(history(delayed(1), 0));
    // It may have come, or gone, just then.
    accepts([
        event(3, 6, send(20, &[letter(1)])),
        event(4, 8, nothing()),
        event(7, 10, receive(20, 1, 1)),
        event(9, 12, nothing()),
        event(13, 14, finish(20)),
    ]);
}

#[test]
fn a_crowd_is_noticed_and_excuses_whoever_finds_nothing() {
    let most = CONCURRENCY.get() as u64;
    let history = |held: u64, asks: Did| {
        let sent = (0..=most).map(|n| event(3 + 2 * n, 4 + 2 * n, send(20 + n, &[letter(n)])));
        let received = (0..held).map(|n| event(100 + 2 * n, 101 + 2 * n, receive(20 + n, n, 1)));
        let asked = event(200, 201, asks);
        let finished = (0..held).map(|n| event(300 + 2 * n, 301 + 2 * n, finish(20 + n)));
        let events = sent.chain(received).chain([asked]).chain(finished);
        events.collect::<Vec<_>>()
    };
    let last = [
        event(400, 401, receive(20 + most, most, 1)),
        event(402, 403, finish(20 + most)),
    ];
    accepts(history(most, nothing()).into_iter().chain(last.clone()));
    let one_more = history(most, receive(20 + most, most, 1));
    let its_end = last[1].clone();
    rejects(one_more.into_iter().chain([its_end]), Wrong::Crowd);
    let before_last = [
        event(398, 399, receive(19 + most, most - 1, 1)),
        event(404, 405, finish(19 + most)),
    ];
    let rest = history(most - 1, nothing()).into_iter().chain(before_last);
    rejects(rest.chain(last), Wrong::MissedMessage);
}
