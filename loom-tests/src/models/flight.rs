//! Callers that wait for what another is finding out.

use super::{check, must_fail, must_fail_by};
use crate::flight::{Flight, Landing, Place};
use crate::sync::{Mutex, Planted};
use loom::thread::{self, Thread};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};

/// A thread that is woken as a task is.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits as a thread.
fn wait(flight: &Flight<u8>) -> Landing<u8> {
    let waker = Waker::from(Arc::new(Parked(thread::current())));
    let mut place = Place::default();
    loop {
        if let Poll::Ready(landing) = flight.poll(&mut place, &waker) {
            return landing;
        }
        thread::park();
    }
}

/// LANDED: whoever waits is woken, and told how the flight has ended.
fn wait_for_a_landing(landing: Landing<u8>) {
    let flight = Arc::new(Flight::new());
    let waiting: Vec<_> = (0..2)
        .map(|_| {
            let flight = Arc::clone(&flight);
            thread::spawn(move || wait(&flight))
        })
        .collect();
    flight.end(landing.clone());
    for thread in waiting {
        let told = thread.join().expect("a thread that fails ends the model");
        assert_eq!(told, landing, "LANDED: told how the flight has ended");
    }
}

#[test]
fn whoever_waits_is_woken() {
    check(|| wait_for_a_landing(Landing::With(7)));
}

#[test]
fn whoever_waits_is_woken_twin() {
    for bug in [Planted::UnseenLanding, Planted::LateLanding] {
        must_fail(bug, "deadlock", || wait_for_a_landing(Landing::With(7)));
    }
    must_fail(Planted::SilentAbandon, "deadlock", || {
        wait_for_a_landing(Landing::GivenUp);
    });
}

/// LANDED: one who goes, and one who comes then, leave the wakers of others where they are.
fn wait_beside_one_that_goes() {
    let flight = Arc::new(Flight::new());
    let mut goes = Place::default();
    assert!(flight.poll(&mut goes, Waker::noop()).is_pending());
    let waiting = {
        let flight = Arc::clone(&flight);
        thread::spawn(move || wait(&flight))
    };
    flight.leave(&goes);
    let mut comes = Place::default();
    assert!(flight.poll(&mut comes, Waker::noop()).is_pending());
    flight.end(Landing::With(7));
    let told = waiting.join().expect("a thread that fails ends the model");
    assert_eq!(
        told,
        Landing::With(7),
        "LANDED: told how the flight has ended"
    );
}

#[test]
fn one_who_goes_takes_no_other_along() {
    check(wait_beside_one_that_goes);
}

#[test]
fn one_who_goes_takes_no_other_along_twin() {
    must_fail(Planted::SharedPlace, "deadlock", wait_beside_one_that_goes);
}

/// What a stripe has: the flight under way, and what was found out.
#[derive(Default)]
struct Slot {
    flight: Option<Arc<Flight<u8>>>,
    found: Option<u8>,
}

/// What a caller does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// It stores what it has found apart from taking its flight off the list.
    TornStore,
}

/// What a caller comes to; the first that flies gives up. How many have flown is counted.
fn find_out(slot: &Mutex<Slot>, flown: &Mutex<u8>, wrong: Wrong) -> u8 {
    loop {
        let mut held = slot.lock();
        if let Some(found) = held.found {
            return found;
        }
        if let Some(flight) = held.flight.clone() {
            drop(held);
            match wait(&flight) {
                Landing::With(found) => return found,
                Landing::GivenUp => continue,
            }
        }
        let flight = Arc::new(Flight::new());
        held.flight = Some(Arc::clone(&flight));
        drop(held);
        let mut flown = flown.lock();
        *flown += 1;
        let landing = if *flown == 1 {
            Landing::GivenUp
        } else {
            Landing::With(*flown)
        };
        drop(flown);
        let mut held = slot.lock();
        held.flight = None;
        if wrong == Wrong::TornStore {
            drop(held);
            held = slot.lock();
        }
        if let Landing::With(found) = landing {
            held.found = Some(found);
        }
        drop(held);
        flight.end(landing.clone());
        if let Landing::With(found) = landing {
            return found;
        }
    }
}

/// A flight that is given up is taken over by one, and all are told what that one finds out.
fn take_over(wrong: Wrong) {
    let shared = Arc::new((Mutex::new(Slot::default()), Mutex::new(0)));
    let others: Vec<_> = (0..2)
        .map(|_| {
            let shared = Arc::clone(&shared);
            thread::spawn(move || find_out(&shared.0, &shared.1, wrong))
        })
        .collect();
    for other in others {
        let told = other.join().expect("a thread that fails ends the model");
        assert_eq!(told, 2, "one finds out for all");
    }
    assert_eq!(*shared.1.lock(), 2, "one finds out for all");
}

#[test]
fn a_flight_that_is_given_up_is_taken_over_by_one() {
    check(|| take_over(Wrong::Nothing));
}

#[test]
fn a_flight_that_is_given_up_is_taken_over_by_one_twin() {
    must_fail(Planted::SilentAbandon, "deadlock", || {
        take_over(Wrong::Nothing);
    });
    must_fail_by("it stores apart", "one finds out for all", || {
        take_over(Wrong::TornStore);
    });
}
