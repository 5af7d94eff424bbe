//! Those that wait for a message, in the order in which they came.
//!
//! For each message that comes one is called, and each only once: not every listener runs for each
//! message. So a call must not get lost. A listener that was called, and goes without having come
//! back, passes its call on; one whose message others have taken meanwhile is not counted on for the
//! next; one that does not come at all is done without after a while.

use crate::moment::Moment;
use crate::sync::{Planted, planted};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::task::Waker;
use std::time::Duration;

/// A listener's place in the line, if it has one.
#[derive(Debug, Default)]
pub(crate) struct Ticket {
    number: Option<u64>,
}

impl Ticket {
    pub(crate) fn is_in_line(&self) -> bool {
        self.number.is_some()
    }
}

/// What is to be done to wakers once no lock is held: they are the caller's code.
#[derive(Debug, Default)]
#[must_use = "whoever is not woken waits for ever"]
pub(crate) struct Signals {
    called: SmallVec<[Waker; 1]>,
    discarded: SmallVec<[Waker; 1]>,
}

impl Signals {
    /// This one is not needed.
    pub(crate) fn discard(&mut self, waker: Waker) {
        self.discarded.push(waker);
    }

    /// Wakes those that were called. Nothing is locked.
    pub(crate) fn send(self) {
        drop(self);
    }
}

impl Drop for Signals {
    /// Whatever ends the operation: who was called and is not woken waits for ever. A panic of one
    /// has been reported by then, and is no reason not to wake the others.
    #[inline]
    fn drop(&mut self) {
        for waker in self.called.drain(..) {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
        }
        for waker in self.discarded.drain(..) {
            let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(waker)));
        }
    }
}

/// How long a listener that was called may take to come, at least.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// The line.
#[derive(Debug)]
pub(crate) struct Line {
    /// Who waits, by ticket.
    waiting: BTreeMap<u64, Waker>,
    /// How many have been called, and not come back or gone.
    called: usize,
    /// How many had been called at the last look, if none of them has come, or gone, since then.
    unanswered: usize,
    /// How many of those that were called are not expected any more.
    missed: usize,
    /// When it was looked at last, and that counted.
    looked: Option<Moment>,
    next_ticket: u64,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            called: 0,
            unanswered: 0,
            missed: 0,
            looked: None,
            next_ticket: 0,
        }
    }

    pub(crate) fn is_anybody_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// A listener waits, or waits again: then where it stood.
    pub(crate) fn wait(&mut self, ticket: &mut Ticket, waker: Waker, signals: &mut Signals) {
        let number = ticket.number.unwrap_or_else(|| {
            self.next_ticket += 1;
            self.next_ticket
        });
        let is_new = ticket.number.replace(number).is_none();
        match self.waiting.insert(number, waker) {
            Some(replaced) => signals.discard(replaced),
            None if is_new => {}
            None => self.count_answer(),
        }
    }

    /// A listener waits no more.
    pub(crate) fn leave(&mut self, ticket: &mut Ticket, signals: &mut Signals) {
        let Some(number) = ticket.number.take() else {
            return;
        };
        match self.waiting.remove(&number) {
            Some(waker) => signals.discard(waker),
            None if planted(Planted::KeptCall) => {}
            None => self.count_answer(),
        }
    }

    /// A listener waits no more, or not here: whoever it has left its waker with is woken.
    pub(crate) fn withdraw(&mut self, ticket: &mut Ticket, signals: &mut Signals) {
        let Some(number) = ticket.number.take() else {
            return;
        };
        match self.waiting.remove(&number) {
            Some(waker) => signals.called.push(waker),
            None => self.count_answer(),
        }
    }

    /// A listener that may have been called has come, and goes on without waiting. One that was not
    /// called stays where it stands.
    pub(crate) fn answer(&mut self, ticket: &mut Ticket) {
        let is_called = ticket
            .number
            .is_some_and(|number| !self.waiting.contains_key(&number));
        if is_called {
            ticket.number = None;
            self.count_answer();
        }
    }

    /// One that was called has come, or gone.
    fn count_answer(&mut self) {
        debug_assert!(self.called > 0, "ROUSED: who does not wait was called");
        self.called -= 1;
        self.missed = self.missed.min(self.called);
        self.unanswered = 0;
    }

    /// Calls as many as are wanted and not called yet, and at least `new` of those that wait: whoever
    /// was called before was called for something else, and may be late for that already.
    pub(crate) fn call(&mut self, wanted: usize, new: usize, signals: &mut Signals) {
        let new = if planted(Planted::CountedCall) {
            0
        } else {
            new
        };
        let count = new.max(wanted.saturating_sub(self.called - self.missed));
        for _ in 0..count {
            let Some((_, waker)) = self.waiting.pop_first() else {
                return;
            };
            self.called += 1;
            signals.called.push(waker);
        }
    }

    pub(crate) fn call_all(&mut self, signals: &mut Signals) {
        let waiting = mem::take(&mut self.waiting);
        self.called += waiting.len();
        signals.called.extend(waiting.into_values());
    }

    /// Looked at from time to time: if nobody has come since the last time, those that had been
    /// called by then are not expected any more. Sooner than [`LOOK_AGAIN`] after the last time it
    /// does nothing: that is how long a listener may take to come, at least.
    pub(crate) fn look(&mut self, now: Moment) {
        // A clock may go back.
        let is_soon = |looked: Moment| looked <= now && now < looked.after(LOOK_AGAIN);
        if self.looked.is_some_and(is_soon) {
            return;
        }
        self.looked = Some(now);
        let unanswered = mem::replace(&mut self.unanswered, self.called);
        self.missed = self.missed.max(unanswered);
    }
}
