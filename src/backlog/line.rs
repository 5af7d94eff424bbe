//! Those that wait for a message, in the order in which they came.
//!
//! As many are called as there are messages, and each only once: not every listener runs for each
//! message. So a call must not get lost. A listener that was called, and goes without having come
//! back, passes its call on; one that does not come at all is done without after a while.

use crate::sync::{Planted, planted};
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::task::Waker;

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
    next_ticket: u64,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self {
            waiting: BTreeMap::new(),
            called: 0,
            unanswered: 0,
            missed: 0,
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
            None => self.answer(),
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
            None => self.answer(),
        }
    }

    /// One that was called has come, or gone.
    fn answer(&mut self) {
        debug_assert!(self.called > 0, "ROUSED: who does not wait was called");
        self.called -= 1;
        self.missed = self.missed.min(self.called);
        self.unanswered = 0;
    }

    /// Calls as many as are wanted and not called yet.
    pub(crate) fn call(&mut self, wanted: usize, signals: &mut Signals) {
        while self.called - self.missed < wanted
            && let Some((_, waker)) = self.waiting.pop_first()
        {
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
    /// called by then are not expected any more.
    pub(crate) fn look(&mut self) {
        let unanswered = mem::replace(&mut self.unanswered, self.called);
        self.missed = self.missed.max(unanswered);
    }
}
