//! The checker accepts good histories and objects to bad ones.

mod queues;

use crate::support::checker::{Did, Event, Seen, Span, Wrong, check};
use crate::support::model::{Check, Expect, Mutation, Op, Stored};
use crate::support::selector::Selector;
use kvick::{Key, Value, Versionstamp};

fn stamp(number: u64) -> Versionstamp {
    let mut bytes = [0; 10];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    Versionstamp::from_bytes(bytes)
}

fn stored(value: u64, versionstamp: u64) -> Stored {
    Stored {
        value: Value::U64(value),
        versionstamp: stamp(versionstamp),
    }
}

fn one(key: &str, stored: impl Into<Option<Stored>>) -> Seen {
    Seen::One(key.into(), stored.into())
}

/// A list of everything.
fn all(entries: &[(&str, u64, u64)]) -> Seen {
    let entries = entries
        .iter()
        .map(|(key, value, versionstamp)| (Key::from(*key), stored(*value, *versionstamp)));
    Seen::Many {
        selector: Selector::All,
        reverse: false,
        limit: None,
        entries: entries.collect(),
    }
}

fn set(key: &str, value: u64) -> Mutation {
    mutation(key, Op::Set(Value::U64(value)))
}

fn mutation(key: &str, op: Op) -> Mutation {
    Mutation {
        key: key.into(),
        op,
    }
}

fn at(key: &str, versionstamp: u64) -> Check {
    Check {
        key: key.into(),
        expect: Expect::At(stamp(versionstamp)),
    }
}

fn absent(key: &str) -> Check {
    Check {
        key: key.into(),
        expect: Expect::Absent,
    }
}

fn event(begin: u64, end: u64, did: Did) -> Event {
    Event {
        span: Span {
            begin,
            end,
            ..Span::default()
        },
        did,
    }
}

fn write(versionstamp: u64, mutations: &[Mutation]) -> Did {
    checked(versionstamp, &[], mutations)
}

fn checked(versionstamp: u64, checks: &[Check], mutations: &[Mutation]) -> Did {
    Did::Commit {
        versionstamp: stamp(versionstamp),
        checks: checks.to_vec(),
        reads: Vec::new(),
        mutations: mutations.to_vec(),
        sent: Vec::new(),
    }
}

fn transacted(versionstamp: u64, reads: &[Seen], mutations: &[Mutation]) -> Did {
    Did::Commit {
        versionstamp: stamp(versionstamp),
        checks: Vec::new(),
        reads: reads.to_vec(),
        mutations: mutations.to_vec(),
        sent: Vec::new(),
    }
}

fn cleared(versionstamp: u64, count: usize) -> Did {
    Did::Clear {
        versionstamp: stamp(versionstamp),
        selector: Selector::All,
        count,
    }
}

fn evicted(versionstamp: u64, key: &str) -> Did {
    Did::Evict {
        versionstamp: stamp(versionstamp),
        key: key.into(),
    }
}

fn read(seen: &[Seen]) -> Did {
    Did::Read {
        at: None,
        seen: seen.to_vec(),
    }
}

fn read_at(versionstamp: u64, seen: &[Seen]) -> Did {
    Did::Read {
        at: Some(stamp(versionstamp)),
        seen: seen.to_vec(),
    }
}

fn conflict(checks: &[Check], failed: &[usize]) -> Did {
    Did::Conflict {
        checks: checks.to_vec(),
        failed: failed.to_vec(),
    }
}

/// Two keys that are there from the beginning.
fn begun(rest: impl IntoIterator<Item = Event>) -> Vec<Event> {
    let begin = event(1, 2, write(10, &[set("x", 1), set("y", 1)]));
    std::iter::once(begin).chain(rest).collect()
}

#[track_caller]
fn accepts(events: impl IntoIterator<Item = Event>) {
    if let Err((wrong, event)) = check(&begun(events)) {
        panic!("a good history is called {wrong:?}: {event}");
    }
}

#[track_caller]
fn rejects(events: impl IntoIterator<Item = Event>, expected: Wrong) {
    match check(&begun(events)) {
        Ok(model) => panic!("not noticed: {expected:?}, {model:?}"),
        Err((wrong, event)) => assert_eq!(wrong, expected, "{event}"),
    }
}

#[test]
fn a_serial_history_is_accepted() {
    accepts([
        event(
            3,
            4,
            checked(20, &[at("x", 10), absent("z")], &[set("z", 3)]),
        ),
        event(
            5,
            6,
            conflict(&[absent("x"), at("y", 10), at("z", 19)], &[0, 2]),
        ),
        event(
            7,
            8,
            transacted(
                30,
                &[
                    one("z", stored(3, 20)),
                    all(&[("x", 1, 10), ("y", 1, 10), ("z", 3, 20)]),
                ],
                &[mutation("x", Op::Sum(4))],
            ),
        ),
        event(9, 10, read(&[one("x", stored(5, 30)), one("w", None)])),
        event(
            11,
            12,
            read_at(35, &[all(&[("x", 5, 30), ("y", 1, 10), ("z", 3, 20)])]),
        ),
        event(13, 14, cleared(40, 3)),
        event(15, 16, read(&[all(&[])])),
    ]);
}

#[test]
fn what_overlaps_may_take_effect_in_any_order() {
    accepts([
        event(3, 20, write(30, &[set("x", 3)])),
        event(4, 19, write(20, &[set("x", 2)])),
        event(5, 6, read(&[one("x", stored(1, 10))])),
        event(7, 8, read(&[one("x", stored(2, 20))])),
        event(9, 10, read(&[one("x", stored(3, 30))])),
    ]);
}

#[test]
fn a_versionstamp_used_twice_is_noticed() {
    rejects(
        [event(3, 4, write(10, &[set("z", 1)]))],
        Wrong::Versionstamp,
    );
    rejects([event(3, 4, write(0, &[set("z", 1)]))], Wrong::Versionstamp);
}

#[test]
fn a_versionstamp_against_real_time_is_noticed() {
    rejects([event(3, 4, write(5, &[set("z", 1)]))], Wrong::RealTime);
}

#[test]
fn a_lost_update_is_noticed() {
    let reads = [one("x", stored(1, 10))];
    rejects(
        [
            event(3, 6, transacted(20, &reads, &[set("x", 2)])),
            event(4, 7, transacted(30, &reads, &[set("x", 2)])),
        ],
        Wrong::StaleCommit,
    );
    rejects(
        [
            event(3, 6, checked(20, &[at("x", 10)], &[set("x", 2)])),
            event(4, 7, checked(30, &[at("x", 10)], &[set("x", 2)])),
        ],
        Wrong::Check,
    );
}

#[test]
fn write_skew_is_noticed() {
    let reads = [one("x", stored(1, 10)), one("y", stored(1, 10))];
    rejects(
        [
            event(3, 6, transacted(20, &reads, &[set("x", 0)])),
            event(4, 7, transacted(30, &reads, &[set("y", 0)])),
        ],
        Wrong::StaleCommit,
    );
}

#[test]
fn a_phantom_is_noticed() {
    let reads = [all(&[("x", 1, 10), ("y", 1, 10)])];
    rejects(
        [
            event(3, 6, transacted(20, &reads, &[set("z", 1)])),
            event(4, 7, transacted(30, &reads, &[set("w", 1)])),
        ],
        Wrong::StaleCommit,
    );
}

#[test]
fn a_fractured_read_is_noticed() {
    let writer = event(3, 6, write(20, &[set("x", 2), set("y", 2)]));
    let seen = [one("x", stored(2, 20)), one("y", stored(1, 10))];
    rejects([writer.clone(), event(4, 5, read(&seen))], Wrong::Read);
    let listed = [all(&[("x", 2, 20), ("y", 1, 10)])];
    rejects([writer, event(4, 5, read(&listed))], Wrong::Read);
}

#[test]
fn a_read_of_what_was_never_written_is_noticed() {
    rejects([event(3, 4, read(&[one("x", stored(7, 15))]))], Wrong::Read);
    rejects([event(3, 4, read(&[one("x", None)]))], Wrong::Read);
    // The right version with the wrong value.
    rejects([event(3, 4, read(&[one("x", stored(7, 10))]))], Wrong::Read);
}

#[test]
fn a_stale_read_is_noticed() {
    rejects(
        [
            event(3, 4, write(20, &[set("x", 2)])),
            event(5, 6, read(&[one("x", stored(1, 10))])),
        ],
        Wrong::Read,
    );
}

#[test]
fn reads_that_go_back_in_time_are_noticed() {
    rejects(
        [
            event(3, 20, write(20, &[set("x", 2)])),
            event(4, 5, read(&[one("x", stored(2, 20))])),
            event(6, 7, read(&[one("x", stored(1, 10))])),
        ],
        Wrong::Read,
    );
}

#[test]
fn a_long_fork_is_noticed() {
    rejects(
        [
            event(3, 20, write(20, &[set("x", 2)])),
            event(4, 21, write(30, &[set("y", 2)])),
            event(
                5,
                6,
                read(&[one("x", stored(1, 10)), one("y", stored(2, 30))]),
            ),
        ],
        Wrong::Read,
    );
}

#[test]
fn a_read_from_the_future_is_noticed() {
    rejects(
        [
            event(3, 4, read(&[one("x", stored(2, 20))])),
            event(5, 6, write(20, &[set("x", 2)])),
        ],
        Wrong::RealTime,
    );
}

#[test]
fn a_snapshot_of_another_moment_than_it_says_is_noticed() {
    let writer = event(3, 6, write(20, &[set("x", 2)]));
    let old = one("x", stored(1, 10));
    let new = one("x", stored(2, 20));
    let both = [old.clone(), new.clone()];
    rejects(
        [writer.clone(), event(4, 5, read_at(25, &[old]))],
        Wrong::Read,
    );
    rejects(
        [writer.clone(), event(4, 5, read_at(15, &[new]))],
        Wrong::Read,
    );
    // It does not stay what it was.
    rejects([writer, event(4, 5, read_at(20, &both))], Wrong::Read);
    // It was taken after a commit that it does not see.
    let late = event(7, 8, read_at(9, &[one("x", None)]));
    rejects([late], Wrong::Read);
}

#[test]
fn a_wrong_list_is_noticed() {
    let listed = |entries: &[(&str, u64, u64)]| [event(3, 4, read(&[all(entries)]))];
    accepts(listed(&[("x", 1, 10), ("y", 1, 10)]));
    rejects(listed(&[("x", 1, 10)]), Wrong::Read);
    rejects(listed(&[("y", 1, 10), ("x", 1, 10)]), Wrong::Read);
    rejects(
        listed(&[("x", 1, 10), ("x", 1, 10), ("y", 1, 10)]),
        Wrong::Read,
    );
}

#[test]
fn failed_checks_that_did_not_fail_are_noticed() {
    rejects([event(3, 4, conflict(&[at("x", 10)], &[0]))], Wrong::Read);
    rejects(
        [event(3, 4, conflict(&[at("x", 9), at("y", 9)], &[0]))],
        Wrong::Read,
    );
    // Each has failed at some moment, but not both at one.
    rejects(
        [
            event(3, 20, write(20, &[set("x", 2)])),
            event(4, 21, write(30, &[set("x", 3)])),
            event(5, 22, conflict(&[at("x", 20), at("x", 10)], &[])),
        ],
        Wrong::Read,
    );
}

#[test]
fn a_wrong_count_of_deleted_entries_is_noticed() {
    rejects([event(3, 4, cleared(20, 1))], Wrong::Count);
}

#[test]
fn a_wrong_sum_is_noticed() {
    rejects(
        [
            event(3, 4, write(20, &[mutation("x", Op::Sum(2))])),
            event(5, 6, read(&[one("x", stored(2, 20))])),
        ],
        Wrong::Read,
    );
}

#[test]
fn arithmetic_that_does_not_fit_is_noticed_either_way() {
    let text = mutation("z", Op::Set(Value::from("text")));
    let refusal = Did::Refusal {
        checks: Vec::new(),
        mutations: vec![mutation("z", Op::Sum(1))],
    };
    let writer = event(3, 4, write(20, &[text]));
    accepts([writer.clone(), event(5, 6, refusal.clone())]);
    rejects([event(5, 6, refusal)], Wrong::Read);
    let sum = event(5, 6, write(30, &[mutation("z", Op::Sum(1))]));
    rejects([writer, sum], Wrong::Mutation);
}

#[test]
fn what_goes_without_being_told_of_is_noticed() {
    let gone = event(5, 6, read(&[one("x", None)]));
    accepts([event(0, 4, evicted(20, "x")), gone.clone()]);
    rejects([gone.clone()], Wrong::Read);
    rejects([event(0, 4, evicted(20, "y")), gone], Wrong::Read);
    // What was told to have gone before it was asked for is not there any more, but in a snapshot.
    let there = [one("x", stored(1, 10))];
    let told = event(0, 4, evicted(20, "x"));
    accepts([told.clone(), event(5, 6, read_at(20, &[one("x", None)]))]);
    accepts([told.clone(), event(3, 6, read_at(19, &there))]);
    rejects(
        [told.clone(), event(3, 6, read_at(20, &there))],
        Wrong::Read,
    );
    rejects([told, event(5, 6, read(&there))], Wrong::Read);
}

#[test]
fn an_eviction_is_a_commit_like_others() {
    rejects([event(0, 4, evicted(20, "z"))], Wrong::Eviction);
    rejects([event(0, 4, evicted(10, "x"))], Wrong::Versionstamp);
    let twice = [20, 30].map(|versionstamp| event(0, 4, evicted(versionstamp, "x")));
    rejects(twice, Wrong::Eviction);
    let told = event(0, 4, evicted(20, "x"));
    let checked_then = checked(30, &[at("x", 10)], &[set("x", 2)]);
    rejects([told, event(3, 6, checked_then)], Wrong::Check);
}
