use super::{
    Agenda, Backlog, Backlogged, Delay, Finished, Held, Next, Queued, Signals, Taken, Ticket,
    Visits,
};
use crate::moment::Moment;
use crate::sync::{AtomicU64, Ordering};
use crate::version::Stamp;
use std::sync::Arc;
use std::task::{Wake, Waker};
use std::time::Duration;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Number(u64);

impl Queued for Number {
    fn bytes(&self) -> usize {
        10
    }
}

/// A listener, how often it was woken, and its place.
struct Waiting {
    woken: Arc<Woken>,
    ticket: Ticket,
}

#[derive(Default)]
struct Woken(AtomicU64);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Waiting {
    fn new() -> Self {
        Self {
            woken: Arc::default(),
            ticket: Ticket::default(),
        }
    }

    fn poll(&mut self, backlog: &Backlog<Number>, now: u64) -> Option<Taken<Number>> {
        let waker = Waker::from(Arc::clone(&self.woken));
        match backlog.take_or_wait(&mut self.ticket, || ms(now), &waker) {
            Next::Message(taken) => Some(taken),
            Next::Nothing(_) => None,
            Next::Closed => panic!("it was closed"),
        }
    }

    /// How often it was woken since the last time.
    fn was_woken(&self) -> u64 {
        self.woken.0.swap(0, Ordering::Relaxed)
    }
}

fn ms(millis: u64) -> Moment {
    Moment::from_micros(1_000 * millis)
}

/// A delay that is over by then.
fn until(millis: u64) -> Delay {
    let (due, delay) = (ms(millis), Duration::ZERO);
    Delay { due, delay }
}

/// What a commit does that holds the backlog; and whom it has to wake.
fn hold(backlog: &Backlog<Number>, change: impl FnOnce(&mut Held<'_, Number>)) -> Signals {
    let mut signals = Signals::default();
    let mut held = backlog.hold();
    change(&mut held);
    held.release(&mut signals);
    signals
}

/// Adds a message, as a commit of this stamp.
fn push(backlog: &Backlog<Number>, number: u64, due: Option<u64>) {
    let push = |held: &mut Held<'_, Number>| {
        held.push(due.map(until), Stamp::new(number), 0, Number(number));
    };
    hold(backlog, push).send();
}

fn take(backlog: &Backlog<Number>, now: u64) -> Option<Taken<Number>> {
    match backlog.take(&mut Ticket::default(), || ms(now)) {
        Next::Message(taken) => Some(taken),
        Next::Nothing(_) | Next::Closed => None,
    }
}

fn number(taken: Option<Taken<Number>>) -> Option<u64> {
    taken.map(|taken| taken.message.0)
}

fn backlog_of(taken_max: usize) -> Backlog<Number> {
    Backlog::new(Agenda::new(), "backlog".into(), taken_max, false)
}

fn backlog() -> Backlog<Number> {
    backlog_of(100)
}

/// Lets time pass; when the backlog wants to be looked at then.
fn pass_time(backlog: &Backlog<Number>, now: u64) -> Visits {
    backlog.pass_time(ms(now));
    backlog.state.lock().note.visits()
}

const NEVER: Visits = Visits {
    is_always: false,
    due: None,
};

const ALWAYS: Visits = Visits {
    is_always: true,
    due: None,
};

fn at(millis: u64) -> Visits {
    Visits {
        due: Some(ms(millis)),
        ..NEVER
    }
}

fn waiting<const N: usize>(backlog: &Backlog<Number>) -> [Waiting; N] {
    std::array::from_fn(|_| {
        let mut waiting = Waiting::new();
        assert!(waiting.poll(backlog, 0).is_none());
        waiting
    })
}

fn woken<const N: usize>(listeners: &[Waiting; N]) -> [u64; N] {
    std::array::from_fn(|index| listeners[index].was_woken())
}

#[test]
fn messages_come_by_their_millisecond_and_then_by_their_commit() {
    let backlog = backlog();
    push(&backlog, 1, Some(20));
    push(&backlog, 2, None);
    push(&backlog, 3, Some(10));
    push(&backlog, 4, Some(10));
    push(&backlog, 5, None);
    assert_eq!(number(take(&backlog, 9)), Some(2));
    assert_eq!(number(take(&backlog, 9)), Some(5));
    assert_eq!(number(take(&backlog, 9)), None);
    assert_eq!(number(take(&backlog, 30)), Some(3));
    assert_eq!(number(take(&backlog, 30)), Some(4));
    push(&backlog, 6, None);
    assert_eq!(number(take(&backlog, 30)), Some(1));
    // Time has been at 30, and does not go back.
    assert_eq!(number(take(&backlog, 0)), Some(6));
}

#[test]
fn no_deadline_is_early_and_what_is_not_delayed_is_due_at_once() {
    let backlog = backlog();
    let pushes = hold(&backlog, |held| {
        held.advance(Moment::from_micros(1_500));
        let delay = Delay::from(Duration::from_nanos(1_500_001), Duration::from_micros(500));
        held.push(delay, Stamp::new(1), 0, Number(1));
        held.push(None, Stamp::new(2), 0, Number(2));
    });
    pushes.send();
    assert_eq!(number(take(&backlog, 0)), Some(2));
    let next = backlog.take(&mut Ticket::default(), || Moment::from_micros(2_999));
    assert!(matches!(next, Next::Nothing(Some(due)) if due == ms(3)));
    assert_eq!(number(take(&backlog, 3)), Some(1));
}

#[test]
fn a_message_wakes_one_listener_and_no_more_than_there_are() {
    let backlog = backlog();
    let mut listeners: [Waiting; 3] = waiting(&backlog);
    push(&backlog, 1, None);
    assert_eq!(woken(&listeners), [1, 0, 0]);
    push(&backlog, 2, None);
    assert_eq!(woken(&listeners), [0, 1, 0]);
    assert_eq!(number(listeners[1].poll(&backlog, 0)), Some(1));
    assert_eq!(number(listeners[0].poll(&backlog, 0)), Some(2));
    assert!(listeners[0].poll(&backlog, 0).is_none());
    // The third has waited longest.
    push(&backlog, 3, None);
    assert_eq!(woken(&listeners), [0, 0, 1]);
    // Another was faster: it keeps its place.
    assert_eq!(number(take(&backlog, 0)), Some(3));
    assert!(listeners[2].poll(&backlog, 0).is_none());
    push(&backlog, 4, None);
    assert_eq!(woken(&listeners), [0, 0, 1]);
}

#[test]
fn who_goes_after_being_woken_passes_it_on() {
    let backlog = backlog();
    let mut listeners: [Waiting; 3] = waiting(&backlog);
    push(&backlog, 1, None);
    assert_eq!(woken(&listeners), [1, 0, 0]);
    backlog.leave(&mut listeners[0].ticket);
    assert_eq!(woken(&listeners), [0, 1, 0]);
    // Who was not woken just goes.
    backlog.leave(&mut listeners[2].ticket);
    backlog.leave(&mut listeners[2].ticket);
    assert_eq!(woken(&listeners), [0, 0, 0]);
    assert_eq!(number(listeners[1].poll(&backlog, 0)), Some(1));
}

#[test]
fn who_does_not_come_is_done_without() {
    let backlog = backlog();
    let mut listeners: [Waiting; 2] = waiting(&backlog);
    push(&backlog, 1, None);
    assert_eq!(woken(&listeners), [1, 0]);
    // Not at the first look, which may be right after that.
    assert_eq!(pass_time(&backlog, 50), ALWAYS);
    assert_eq!(woken(&listeners), [0, 0]);
    // Then nobody is left to be woken.
    assert_eq!(pass_time(&backlog, 100), NEVER);
    assert_eq!(woken(&listeners), [0, 1]);
    assert_eq!(pass_time(&backlog, 150), NEVER);
    assert_eq!(woken(&listeners), [0, 0]);
    assert_eq!(number(listeners[1].poll(&backlog, 100)), Some(1));
    assert!(listeners[0].poll(&backlog, 100).is_none());
    assert!(listeners[1].poll(&backlog, 100).is_none());
    push(&backlog, 2, None);
    assert_eq!(woken(&listeners), [1, 0]);
}

#[test]
fn who_was_called_has_his_time_however_often_somebody_looks() {
    let backlog = backlog();
    let mut listeners: [Waiting; 3] = waiting(&backlog);
    push(&backlog, 1, None);
    assert_eq!(woken(&listeners), [1, 0, 0]);
    // Because something else becomes due again and again.
    for now in 50..100 {
        assert_eq!(pass_time(&backlog, now), ALWAYS);
        assert_eq!(woken(&listeners), [0, 0, 0]);
    }
    pass_time(&backlog, 100);
    assert_eq!(woken(&listeners), [0, 1, 0]);
    assert_eq!(number(listeners[1].poll(&backlog, 100)), Some(1));
}

#[test]
fn no_more_are_taken_than_may_be() {
    let backlog = backlog_of(2);
    for number in 1..=4 {
        push(&backlog, number, None);
    }
    let one = take(&backlog, 0).expect("there are four");
    let other = take(&backlog, 0).expect("there are three");
    let mut listeners: [Waiting; 2] = waiting(&backlog);
    assert_eq!(woken(&listeners), [0, 0]);
    // Whoever has made room has somebody look whether the one comes who was called, and not the other.
    assert_eq!(backlog.finish(one), Finished::DoneAndNoted);
    assert_eq!(woken(&listeners), [1, 0]);
    backlog.give_back(other, ms(0), Some(until(7)));
    assert_eq!(woken(&listeners), [0, 1]);
    assert_eq!(number(listeners[0].poll(&backlog, 0)), Some(3));
    assert_eq!(number(listeners[1].poll(&backlog, 0)), Some(4));
    assert_eq!(number(take(&backlog, 7)), None);
    let counted = Backlogged {
        ready_count: 1,
        taken_count: 2,
        bytes: 30,
        ..Backlogged::default()
    };
    assert_eq!(backlog.count(ms(7)), counted);
}

#[test]
fn listeners_are_woken_for_what_becomes_due() {
    let backlog = backlog();
    let mut listeners: [Waiting; 2] = waiting(&backlog);
    push(&backlog, 1, Some(10));
    push(&backlog, 2, Some(20));
    assert_eq!(pass_time(&backlog, 9), at(10));
    assert_eq!(woken(&listeners), [0, 0]);
    // To see whether whoever is woken comes.
    let both = Visits {
        is_always: true,
        ..at(20)
    };
    assert_eq!(pass_time(&backlog, 10), both);
    assert_eq!(woken(&listeners), [1, 0]);
    assert_eq!(number(listeners[0].poll(&backlog, 10)), Some(1));
    assert_eq!(pass_time(&backlog, 11), at(20));
    assert_eq!(pass_time(&backlog, 20), NEVER);
    assert_eq!(woken(&listeners), [0, 1]);
    assert_eq!(number(listeners[1].poll(&backlog, 20)), Some(2));
    assert_eq!(pass_time(&backlog, 70), NEVER);
}

#[test]
fn what_could_not_be_buried_is_nobodys_until_it_is_due() {
    let backlog = backlog();
    push(&backlog, 1, None);
    let taken = take(&backlog, 0).expect("there is one");
    backlog.postpone(taken, ms(5));
    assert_eq!(number(take(&backlog, 9)), None);
    assert!(backlog.take_undelivered(ms(4)).is_none());
    assert_eq!(pass_time(&backlog, 4), at(5));
    let taken = backlog.take_undelivered(ms(5)).expect("it is due");
    hold(&backlog, |held| held.forget(taken.message.bytes())).send();
    assert_eq!(backlog.count(ms(9)), Backlogged::default());
}

#[test]
fn closing_wakes_everybody_and_loses_nothing() {
    let backlog = backlog();
    push(&backlog, 1, None);
    push(&backlog, 2, None);
    let (one, other) = (take(&backlog, 0), take(&backlog, 0));
    let mut listeners: [Waiting; 2] = waiting(&backlog);
    backlog.close();
    assert_eq!(woken(&listeners), [1, 1]);
    let finished = backlog.finish(one.expect("there were two"));
    assert_eq!(finished, Finished::TooLate);
    backlog.put_back(other.expect("there were two"));
    assert_eq!(woken(&listeners), [0, 0]);
    let waker = Waker::noop();
    let next = backlog.take_or_wait(&mut listeners[0].ticket, || ms(0), waker);
    assert!(matches!(next, Next::Closed));
    assert_eq!(backlog.count(ms(0)).ready_count, 2);
    assert_eq!(backlog.peek(ms(0)), Some(Number(1)));
    assert_eq!(pass_time(&backlog, 0), NEVER);
    // When the engine is gone, they are too.
    backlog.end();
    assert_eq!(backlog.count(ms(0)).ready_count, 0);
}

#[test]
fn every_message_that_can_be_taken_calls_one_that_waits() {
    // Whoever was called before does not come, or comes for something else.
    let backlog = backlog();
    let mut listeners: [Waiting; 4] = waiting(&backlog);
    push(&backlog, 1, None);
    assert_eq!(woken(&listeners), [1, 0, 0, 0]);
    // Somebody else is faster: the next one is not left to the first listener.
    assert_eq!(number(take(&backlog, 0)), Some(1));
    push(&backlog, 2, None);
    assert_eq!(woken(&listeners), [0, 1, 0, 0]);
    // The same for what becomes due, and for what is given back.
    let taken = take(&backlog, 0).expect("there is one");
    push(&backlog, 3, Some(5));
    pass_time(&backlog, 5);
    assert_eq!(woken(&listeners), [0, 0, 1, 0]);
    assert_eq!(number(take(&backlog, 5)), Some(3));
    backlog.give_back(taken, ms(5), None);
    assert_eq!(woken(&listeners), [0, 0, 0, 1]);
    assert_eq!(number(listeners[3].poll(&backlog, 5)), Some(2));
}

#[test]
fn room_that_is_made_calls_one_that_waits() {
    let backlog = backlog_of(1);
    push(&backlog, 1, None);
    push(&backlog, 2, None);
    push(&backlog, 3, None);
    let one = take(&backlog, 0).expect("there are three");
    let listeners: [Waiting; 3] = waiting(&backlog);
    assert_eq!(backlog.finish(one), Finished::DoneAndNoted);
    assert_eq!(woken(&listeners), [1, 0, 0]);
    let two = take(&backlog, 0).expect("there are two");
    assert_eq!(backlog.finish(two), Finished::Done, "it was noted before");
    assert_eq!(woken(&listeners), [0, 1, 0]);
    let three = take(&backlog, 0).expect("there is one");
    hold(&backlog, |held| held.forget(three.message.bytes())).send();
    assert_eq!(
        woken(&listeners),
        [0, 0, 0],
        "there is room, and nothing to take"
    );
}

#[test]
fn who_takes_without_waiting_is_woken_to_wait_again() {
    let backlog = backlog();
    let mut listeners: [Waiting; 2] = waiting(&backlog);
    let try_take =
        |waiting: &mut Waiting, now: u64| match backlog.try_take(&mut waiting.ticket, || ms(now)) {
            Next::Message(taken) => Some(taken.message.0),
            Next::Nothing(_) | Next::Closed => None,
        };
    // It finds nothing, and goes on waiting.
    assert_eq!(try_take(&mut listeners[1], 0), None);
    push(&backlog, 1, None);
    push(&backlog, 2, None);
    assert_eq!(woken(&listeners), [1, 1]);
    assert_eq!(try_take(&mut listeners[1], 0), Some(1));
    assert_eq!(woken(&listeners), [0, 0], "it was woken before");
    // It finds what nobody was called for yet.
    let mut late: [Waiting; 1] = [Waiting::new()];
    assert_eq!(number(listeners[0].poll(&backlog, 0)), Some(2));
    push(&backlog, 3, Some(7));
    assert!(late[0].poll(&backlog, 0).is_none());
    assert_eq!(try_take(&mut late[0], 7), Some(3));
    assert_eq!(woken(&late), [1]);
    assert!(!late[0].ticket.is_in_line());
    push(&backlog, 4, None);
    assert_eq!(woken(&late), [0]);
    assert_eq!(number(take(&backlog, 7)), Some(4));
}

#[test]
fn who_was_called_and_looks_without_waiting_has_come() {
    let backlog = backlog();
    let mut listeners: [Waiting; 2] = waiting(&backlog);
    push(&backlog, 1, None);
    assert_eq!(woken(&listeners), [1, 0]);
    assert_eq!(number(take(&backlog, 0)), Some(1));
    let next = backlog.try_take(&mut listeners[0].ticket, || ms(0));
    assert!(matches!(next, Next::Nothing(None)));
    assert!(!listeners[0].ticket.is_in_line());
    assert!(listeners[1].ticket.is_in_line());
    assert!(listeners[1].poll(&backlog, 0).is_none());
    // Who waits with another waker instead tells the one that was left.
    backlog.withdraw(&mut listeners[1].ticket);
    assert_eq!(woken(&listeners), [0, 1]);
    assert_eq!(pass_time(&backlog, 100), NEVER);
}

#[test]
fn the_agenda_has_each_backlog_once_and_as_early_as_it_wants() {
    let agenda = Agenda::new();
    let backlogs = ["one", "two"]
        .map(|name| Backlog::<Number>::new(Arc::clone(&agenda), name.into(), 100, false));
    let due = |now| -> Vec<String> {
        let due = agenda.due(ms(now));
        due.iter().map(ToString::to_string).collect()
    };
    assert_eq!(agenda.next(), NEVER);
    push(&backlogs[0], 1, Some(20));
    push(&backlogs[1], 2, Some(30));
    push(&backlogs[1], 3, Some(10));
    push(&backlogs[1], 4, Some(40));
    assert_eq!((agenda.next(), due(9)), (at(10), vec![]));
    assert_eq!(due(10), ["two"]);
    // It stays there until it is looked at.
    assert_eq!(due(20), ["two", "one"]);
    assert_eq!(pass_time(&backlogs[1], 10), at(30));
    assert_eq!(due(20), ["one"]);
    assert_eq!(number(take(&backlogs[0], 20)), Some(1));
    assert_eq!(pass_time(&backlogs[0], 20), NEVER);
    assert_eq!(agenda.next(), at(30));
    // Who is to be looked at always hides nobody who is to be at a certain time, not himself either.
    let listeners: [Waiting; 2] = waiting(&backlogs[0]);
    push(&backlogs[0], 5, None);
    push(&backlogs[0], 6, Some(25));
    assert_eq!(woken(&listeners), [1, 0]);
    let both = |millis| Visits {
        is_always: true,
        ..at(millis)
    };
    assert_eq!((agenda.next(), due(24)), (both(25), vec!["one".into()]));
    assert_eq!(due(30), ["one", "two"]);
    drop(backlogs);
    assert_eq!(agenda.next(), NEVER);
}
