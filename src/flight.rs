//! Waiting for what somebody else is about to find out.
//!
//! One caller has the flight, the others wait for its end: it lands with a result, which all of them
//! are given, or it is given up, and then each of them looks for itself what is to be done. A flight
//! ends once. Whoever waits has left its waker under the lock under which the end comes, after it has
//! seen there that the end has not come (LANDED).
//!
//! A waker is code of the user's: it is cloned, woken and dropped under no lock.

use crate::mvcc::notify::wake;
use crate::sync::{Mutex, Planted, planted};
use std::collections::BTreeMap;
use std::mem;
use std::task::{Poll, Waker};

/// How a flight has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Landing<T> {
    /// With this.
    With(T),
    /// Whoever had it is gone.
    GivenUp,
}

/// What somebody is finding out.
#[derive(Debug)]
pub(crate) struct Flight<T> {
    state: Mutex<State<T>>,
}

#[derive(Debug)]
struct State<T> {
    end: Option<Landing<T>>,
    /// Those who wait, in the order in which they came.
    waiting: BTreeMap<u64, Waker>,
    next_place: u64,
}

/// Where somebody stands among those who wait.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<u64>);

impl<T> State<T> {
    /// A place that nobody else has.
    fn take_place(&mut self) -> u64 {
        // MODEL: flight::one_who_goes_takes_no_other_along.
        if planted(Planted::SharedPlace) {
            return self.waiting.len() as u64;
        }
        let place = self.next_place;
        self.next_place += 1;
        place
    }
}

impl<T: Clone> Flight<T> {
    pub(crate) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                end: None,
                waiting: BTreeMap::new(),
                next_place: 0,
            }),
        }
    }

    fn landing(&self) -> Option<Landing<T>> {
        self.state.lock().end.clone()
    }

    /// How the flight has ended; before it has, the waker is woken when it does, in the place of one
    /// that was left here before.
    pub(crate) fn poll(&self, place: &mut Place, waker: &Waker) -> Poll<Landing<T>> {
        if let Some(landing) = self.landing() {
            return Poll::Ready(landing);
        }
        let waker = waker.clone();
        let mut state = self.state.lock();
        // LANDED: looked under the lock under which the waker is left. MODEL:
        // flight::whoever_waits_is_woken.
        if let Some(landing) = state.end.clone()
            && !planted(Planted::UnseenLanding)
        {
            drop(state);
            return Poll::Ready(landing);
        }
        let place = *place.0.get_or_insert_with(|| state.take_place());
        let last = state.waiting.insert(place, waker);
        drop(state);
        drop(last);
        Poll::Pending
    }

    /// Whoever stands there does not wait any more.
    pub(crate) fn leave(&self, place: &Place) {
        let Some(place) = place.0 else { return };
        let last = self.state.lock().waiting.remove(&place);
        drop(last);
    }

    /// Ends the flight, and wakes those who wait. The caller has it, holds no lock, and ends it once.
    pub(crate) fn end(&self, landing: Landing<T>) {
        // MODEL: flight::a_flight_that_is_given_up_is_taken_over_by_one.
        let is_silent = planted(Planted::SilentAbandon) && matches!(landing, Landing::GivenUp);
        let mut waiting = BTreeMap::new();
        if planted(Planted::LateLanding) {
            waiting = mem::take(&mut self.state.lock().waiting);
        }
        let mut state = self.state.lock();
        state.end = Some(landing);
        if !planted(Planted::LateLanding) {
            waiting = mem::take(&mut state.waiting);
        }
        drop(state);
        if is_silent {
            waiting.clear();
        }
        waiting.into_values().for_each(wake);
    }
}
