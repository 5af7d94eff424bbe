//! Messages and those that wait for them.
//!
//! A listener that is never woken is a thread that is parked for ever, which loom reports.

use super::{check, must_fail, must_fail_by};
use crate::backlog::{Agenda, Backlog, Finished, Next, Queued, Signals, Taken, Ticket};
use crate::moment::Moment;
use crate::sync::Planted;
use crate::version::Stamp;
use loom::thread::{self, Thread};
use std::cell::Cell;
use std::sync::Arc;
use std::task::{Wake, Waker};

/// What loom says where nobody can go on.
const DEADLOCK: &str = "deadlock";

#[derive(Debug)]
struct Number(u32);

impl Queued for Number {
    fn bytes(&self) -> usize {
        1
    }
}

/// Wakes a thread of the model.
struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn waker() -> Waker {
    Waker::from(Arc::new(Unpark(thread::current())))
}

fn backlog(taken_max: usize) -> Arc<Backlog<Number>> {
    let agenda = Agenda::new();
    Arc::new(Backlog::new(agenda, "backlog".into(), taken_max, false))
}

fn now() -> Moment {
    Moment::ZERO
}

/// One try to take a message, after which the listener waits for one.
fn poll(backlog: &Backlog<Number>, ticket: &mut Ticket) -> Option<Taken<Number>> {
    match backlog.take_or_wait(ticket, now, &waker()) {
        Next::Message(taken) => Some(taken),
        Next::Nothing(_) => None,
        Next::Closed => panic!("it is never closed"),
    }
}

/// Waits for a message.
fn receive(backlog: &Backlog<Number>) -> Taken<Number> {
    let mut ticket = Ticket::default();
    loop {
        if let Some(taken) = poll(backlog, &mut ticket) {
            return taken;
        }
        thread::park();
    }
}

fn push(backlog: &Backlog<Number>, number: u32) {
    let mut signals = Signals::default();
    let mut held = backlog.hold();
    held.push(None, Stamp::new(u64::from(number)), 0, Number(number));
    held.release(&mut signals);
    signals.send();
}

/// ROUSED: a listener that waits is woken for a message that comes, whenever it comes.
fn waiting() {
    let backlog = backlog(1);
    let listener = {
        let backlog = Arc::clone(&backlog);
        thread::spawn(move || receive(&backlog).message.0)
    };
    push(&backlog, 1);
    assert_eq!(listener.join().expect("it receives"), 1);
}

#[test]
fn a_message_is_not_slept_through() {
    check(waiting);
}

#[test]
fn a_message_is_not_slept_through_twin() {
    must_fail(Planted::UnannouncedMessage, DEADLOCK, waiting);
}

/// ROUSED: of two that wait, the first goes, before or after it has been woken; the other gets the
/// message.
fn going() {
    let backlog = backlog(1);
    let mut first = Ticket::default();
    assert!(poll(&backlog, &mut first).is_none());
    let listener = {
        let backlog = Arc::clone(&backlog);
        thread::spawn(move || receive(&backlog).message.0)
    };
    let producer = {
        let backlog = Arc::clone(&backlog);
        thread::spawn(move || push(&backlog, 1))
    };
    backlog.leave(&mut first);
    assert_eq!(listener.join().expect("it receives"), 1);
    producer.join().expect("it pushes");
}

#[test]
fn a_listener_that_goes_passes_on_its_call() {
    check(going);
}

#[test]
fn a_listener_that_goes_passes_on_its_call_twin() {
    must_fail(Planted::KeptCall, DEADLOCK, going);
}

/// ROUSED: one that waits was called for a message that somebody else has taken, and does not come. Another
/// is woken for the next one.
fn taken_by_another() {
    let backlog = backlog(1);
    let mut first = Ticket::default();
    assert!(poll(&backlog, &mut first).is_none());
    let listener = {
        let backlog = Arc::clone(&backlog);
        thread::spawn(move || {
            let taken = receive(&backlog);
            assert_ne!(backlog.finish(taken), Finished::TooLate);
        })
    };
    push(&backlog, 1);
    if let Next::Message(taken) = backlog.try_take(&mut Ticket::default(), now) {
        assert_ne!(backlog.finish(taken), Finished::TooLate);
    }
    push(&backlog, 2);
    listener.join().expect("it receives");
}

#[test]
fn a_call_for_what_others_have_taken_is_not_missed() {
    check(taken_by_another);
}

#[test]
fn a_call_for_what_others_have_taken_is_not_missed_twin() {
    must_fail(Planted::CountedCall, DEADLOCK, taken_by_another);
}

std::thread_local! {
    /// How many messages are being handled. All threads of a model are coroutines of one.
    static HANDLED: Cell<u32> = const { Cell::new(0) };
}

/// LEASED, ROUSED: one at a time, whoever is done lets the next one go on, and each message is
/// handled once.
fn one_at_a_time(taken_max: usize, is_finished: bool) {
    HANDLED.set(0);
    let backlog = backlog(taken_max);
    let handle = move |backlog: &Backlog<Number>| {
        let taken = receive(backlog);
        let number = taken.message.0;
        HANDLED.set(HANDLED.get() + 1);
        assert_eq!(HANDLED.get(), 1, "LEASED");
        thread::yield_now();
        HANDLED.set(HANDLED.get() - 1);
        if is_finished {
            assert_ne!(backlog.finish(taken), Finished::TooLate);
        }
        number
    };
    let listener = {
        let backlog = Arc::clone(&backlog);
        thread::spawn(move || handle(&backlog))
    };
    push(&backlog, 1);
    push(&backlog, 2);
    let mine = handle(&backlog);
    let theirs = listener.join().expect("it receives");
    assert_eq!(mine + theirs, 3, "LEASED: each once");
}

#[test]
fn messages_are_handled_one_at_a_time() {
    check(|| one_at_a_time(1, true));
}

#[test]
fn messages_are_handled_one_at_a_time_twin() {
    must_fail_by("a message is kept for ever", DEADLOCK, || {
        one_at_a_time(1, false);
    });
    must_fail_by("two may be taken", "LEASED", || one_at_a_time(2, true));
}
