//! Messages that wait for a listener, and listeners that wait for a message.
//!
//! One lock guards both, so that nothing can come between a listener that finds no message and its
//! place in the line. A message is *delayed* until it is due, *ready* until a listener takes it, and
//! *taken* until that listener says what has become of it. Ready messages are taken in the order of
//! their [`Place`].
//!
//! The lock is the last in the order of locks: whoever holds it takes no other but another such lock,
//! and for a moment that of the [`agenda`]. While it is held no clock is read, no waker is cloned, called or dropped, and no message is
//! dropped, because all of these are the caller's code.
//!
//! ```text
//! PLACED   a message that is ready is taken before every one with a later place
//! ROUSED   as many listeners have been woken, and have not come yet, as there are messages that may
//!          be taken, or every one that waits; and for each message that has become one of these, one
//!          has been woken that still waited, whoever else was on the way
//! NOTED    what becomes due is in the agenda, and so is that somebody was woken while others wait
//! LEASED   a message that is taken is in no other hands until it is given back, and no more are
//!          taken than may be
//! ```

#[path = "backlog/agenda.rs"]
mod agenda;
#[path = "backlog/line.rs"]
mod line;

pub(crate) use self::agenda::{Agenda, Visits};
pub(crate) use self::line::{LOOK_AGAIN, Signals, Ticket};

use self::agenda::Note;
use self::line::Line;
use crate::moment::Moment;
use crate::sync::{Mutex, MutexGuard, Planted, planted};
use crate::version::Stamp;
use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::sync::Arc;
use std::task::Waker;
use std::time::Duration;

/// What can wait here.
pub(crate) trait Queued {
    /// The memory that it takes.
    fn bytes(&self) -> usize;
}

/// Where a message stands: those that are due in the same millisecond come in the order in which
/// their commits did, and those of one commit in the order in which it has them (Q03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    /// A whole millisecond.
    due: Moment,
    stamp: Stamp,
    index: u32,
}

impl Place {
    /// The commit that the message came with.
    pub(crate) fn stamp(self) -> Stamp {
        self.stamp
    }

    /// Which of the messages of that commit it is.
    pub(crate) fn index(self) -> u32 {
        self.index
    }
}

/// That a message has to wait, and until when by the clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Delay {
    due: Moment,
    delay: Duration,
}

impl Delay {
    /// A delay that begins when the clock says `time`; none where it is zero.
    pub(crate) fn from(time: Duration, delay: Duration) -> Option<Self> {
        let due = Moment::ceil(time.saturating_add(delay));
        (!delay.is_zero()).then_some(Self { due, delay })
    }
}

/// A message in the hands of whoever has taken it.
#[derive(Debug)]
pub(crate) struct Taken<M> {
    pub(crate) place: Place,
    pub(crate) message: M,
}

/// What there is for a listener.
#[derive(Debug)]
pub(crate) enum Next<M> {
    Message(Taken<M>),
    /// Nothing now, and when the next message is due, if one is delayed.
    Nothing(Option<Moment>),
    /// Nothing any more.
    Closed,
}

/// What became of a message whose handler is done with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Finished {
    /// It is gone.
    Done,
    /// It is gone, and now somebody has to look after the [`Agenda`].
    DoneAndNoted,
    /// The backlog was closed before: it counts as not delivered, and is put back.
    TooLate,
}

/// How many messages there are in each state, and their memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Backlogged {
    pub(crate) ready_count: usize,
    pub(crate) delayed_count: usize,
    pub(crate) taken_count: usize,
    pub(crate) undelivered_count: usize,
    pub(crate) bytes: usize,
}

impl Backlogged {
    /// All that are not done with.
    pub(crate) fn count(&self) -> usize {
        self.ready_count + self.delayed_count + self.taken_count + self.undelivered_count
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.ready_count += other.ready_count;
        self.delayed_count += other.delayed_count;
        self.taken_count += other.taken_count;
        self.undelivered_count += other.undelivered_count;
        self.bytes += other.bytes;
    }
}

/// The messages of one queue, and its listeners.
pub(crate) struct Backlog<M> {
    state: Mutex<State<M>>,
}

impl<M> fmt::Debug for Backlog<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Backlog").finish_non_exhaustive()
    }
}

#[derive(Debug)]
struct State<M> {
    ready: BTreeMap<Place, M>,
    delayed: BTreeMap<Place, M>,
    /// Those whose last attempt has failed, and for whose dead letters there was no memory, by when
    /// that is tried again.
    undelivered: BTreeMap<Place, M>,
    taken: usize,
    taken_max: usize,
    bytes: usize,
    /// The latest moment that anybody has brought along. What is delayed is due later.
    now: Moment,
    line: Line,
    note: Note,
    is_closed: bool,
    /// Closed, and nothing is kept for anybody.
    is_ended: bool,
}

impl<M: Queued> Backlog<M> {
    /// An empty one, of which at most so many messages are taken at once. It is in the agenda by its
    /// name.
    pub(crate) fn new(
        agenda: Arc<Agenda>,
        name: Arc<str>,
        taken_max: usize,
        is_closed: bool,
    ) -> Self {
        Self {
            state: Mutex::new(State {
                ready: BTreeMap::new(),
                delayed: BTreeMap::new(),
                undelivered: BTreeMap::new(),
                taken: 0,
                taken_max,
                bytes: 0,
                now: Moment::ZERO,
                line: Line::new(),
                note: Note::new(agenda, name),
                is_closed,
                is_ended: false,
            }),
        }
    }

    /// Locks the backlog for a commit, which adds to it while it holds this.
    pub(crate) fn hold(&self) -> Held<'_, M> {
        let state = self.state.lock();
        Held {
            takeable: state.takeable(),
            state,
        }
    }

    /// Changes the state, and wakes whoever can go on because of it, when the lock is released.
    fn change<R>(&self, change: impl FnOnce(&mut State<M>, &mut Signals) -> R) -> R {
        self.change_and_note(change).0
    }

    /// The same, and whether the backlog is to be looked at earlier than it was to be before.
    fn change_and_note<R>(
        &self,
        change: impl FnOnce(&mut State<M>, &mut Signals) -> R,
    ) -> (R, bool) {
        let mut signals = Signals::default();
        let mut state = self.state.lock();
        let before = state.takeable();
        let result = change(&mut state, &mut signals);
        let is_noted = state.rouse(before, &mut signals);
        drop(state);
        signals.send();
        (result, is_noted)
    }

    /// Takes the next message, if there is one. The clock is read only where something is delayed
    /// and nothing is ready: what is ready comes before all that can have become due meanwhile.
    pub(crate) fn take(&self, ticket: &mut Ticket, clock: impl Fn() -> Moment) -> Next<M> {
        self.take_by(clock, |state, signals| state.take(ticket, signals))
    }

    /// The same for a listener that does not wait for its waker now, though it may have before.
    ///
    /// If it still stands in line, and gets a message, it leaves the line, and is woken: what it was
    /// promised is that it is told of a message, and it may be waiting for that elsewhere. If it was
    /// called, it has come.
    pub(crate) fn try_take(&self, ticket: &mut Ticket, clock: impl Fn() -> Moment) -> Next<M> {
        self.take_by(clock, |state, signals| {
            let next = state.take_next();
            match next {
                Next::Nothing(_) => state.line.answer(ticket),
                Next::Message(_) | Next::Closed => state.line.withdraw(ticket, signals),
            }
            next
        })
    }

    fn take_by(
        &self,
        clock: impl Fn() -> Moment,
        mut take: impl FnMut(&mut State<M>, &mut Signals) -> Next<M>,
    ) -> Next<M> {
        let next = self.change(&mut take);
        if !matches!(next, Next::Nothing(Some(_))) || planted(Planted::UnreadClock) {
            return next;
        }
        let now = clock();
        self.change(|state, signals| {
            state.advance(now);
            take(state, signals)
        })
    }

    /// Takes the next message, or stands in line for it: `waker` is then called once when there may
    /// be one. A listener that comes back and finds none keeps its place.
    pub(crate) fn take_or_wait(
        &self,
        ticket: &mut Ticket,
        clock: impl Fn() -> Moment,
        waker: &Waker,
    ) -> Next<M> {
        let next = self.take(ticket, clock);
        if !matches!(next, Next::Nothing(_)) {
            return next;
        }
        let waker = waker.clone();
        // MODEL: backlog::a_message_is_not_slept_through.
        self.change(|state, signals| {
            let next = state.take(ticket, signals);
            if matches!(next, Next::Nothing(_)) {
                state.line.wait(ticket, waker, signals);
            } else {
                signals.discard(waker);
            }
            next
        })
    }

    /// The listener waits no more. If it was woken, the next one is.
    pub(crate) fn leave(&self, ticket: &mut Ticket) {
        if ticket.is_in_line() {
            // MODEL: backlog::a_listener_that_goes_passes_on_its_call.
            self.change(|state, signals| state.line.leave(ticket, signals));
        }
    }

    /// The listener waits no more for the waker that it has left: that one is woken, as it may be
    /// waited for elsewhere. If it was woken before, the next listener is.
    pub(crate) fn withdraw(&self, ticket: &mut Ticket) {
        if ticket.is_in_line() {
            self.change(|state, signals| state.line.withdraw(ticket, signals));
        }
    }

    /// A message has been dealt with.
    pub(crate) fn finish(&self, taken: Taken<M>) -> Finished {
        // What is forgotten is dropped when the lock is released.
        let ((is_done, _forgotten), is_noted) = self.change_and_note(|state, _| {
            if state.is_closed {
                return (false, state.put_back(taken));
            }
            state.forget(taken.message.bytes());
            (true, Some(taken))
        });
        match is_done {
            false => Finished::TooLate,
            true if is_noted => Finished::DoneAndNoted,
            true => Finished::Done,
        }
    }

    /// Gives a message back, to be taken again when it is due, or at once.
    pub(crate) fn give_back(&self, taken: Taken<M>, now: Moment, delay: Option<Delay>) {
        self.change(|state, _| {
            state.advance(now);
            state.taken -= 1;
            let due = state.due(delay);
            state.insert(Place { due, ..taken.place }, taken.message);
        });
    }

    /// Gives a message back as if it had not been taken.
    pub(crate) fn put_back(&self, taken: Taken<M>) {
        let forgotten = self.change(|state, _| state.put_back(taken));
        drop(forgotten);
    }

    /// Keeps a message that nobody is to be given any more, until [`take_undelivered`].
    ///
    /// [`take_undelivered`]: Self::take_undelivered
    pub(crate) fn postpone(&self, taken: Taken<M>, due: Moment) {
        self.change(|state, _| {
            state.taken -= 1;
            let place = Place { due, ..taken.place };
            state.undelivered.insert(place, taken.message);
        });
    }

    /// Takes a message that was postponed until now.
    pub(crate) fn take_undelivered(&self, now: Moment) -> Option<Taken<M>> {
        self.change(|state, _| {
            let first = state.undelivered.first_entry()?;
            if state.is_closed || first.key().due > now {
                return None;
            }
            let (place, message) = first.remove_entry();
            state.taken += 1;
            Some(Taken { place, message })
        })
    }

    /// Lets time go on: listeners are woken for what has become due. Notes when this has to be called
    /// again, if ever, unless something else happens before.
    ///
    /// Where nobody that was woken has come since the last time, others are woken in their place:
    /// a listener may have been left waiting by a task that does something else.
    pub(crate) fn pass_time(&self, now: Moment) {
        let mut signals = Signals::default();
        let mut state = self.state.lock();
        let before = state.takeable();
        state.advance(now);
        state.line.look(now);
        state.rouse(before, &mut signals);
        // Also where it is later than it was.
        let visits = state.next_visits();
        state.note.set(visits);
        drop(state);
        signals.send();
    }

    /// Nothing is taken any more. Every listener is woken, and finds that out.
    pub(crate) fn close(&self) {
        self.change(State::close);
    }

    /// Closes it, and forgets the messages that are not taken.
    pub(crate) fn end(&self) {
        let left = self.change(|state, signals| {
            state.close(signals);
            state.is_ended = true;
            let all = [&mut state.ready, &mut state.delayed, &mut state.undelivered];
            all.map(mem::take)
        });
        // The lock is released: a message is the caller's to drop.
        drop(left);
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.state.lock().is_closed
    }

    /// The message that is the next to be taken, whether or not it is due.
    pub(crate) fn peek(&self, now: Moment) -> Option<M>
    where
        M: Clone,
    {
        self.change(|state, _| {
            state.advance(now);
            let first = state.ready.first_key_value();
            let first = first.or_else(|| state.delayed.first_key_value());
            first.map(|(_, message)| message.clone())
        })
    }

    pub(crate) fn count(&self, now: Moment) -> Backlogged {
        self.change(|state, _| {
            state.advance(now);
            Backlogged {
                ready_count: state.ready.len(),
                delayed_count: state.delayed.len(),
                taken_count: state.taken,
                undelivered_count: state.undelivered.len(),
                bytes: state.bytes,
            }
        })
    }
}

impl<M: Queued> State<M> {
    /// Takes note of the time: what has become due is ready.
    fn advance(&mut self, now: Moment) {
        self.now = self.now.max(now);
        while let Some(first) = self.delayed.first_entry()
            && first.key().due <= self.now
        {
            let (place, message) = first.remove_entry();
            self.ready.insert(place, message);
        }
    }

    /// The millisecond in which something is due. Without a delay it is that of now, which never goes
    /// back, so that what is not delayed comes in the order of its commits. With one, nothing is
    /// early, also where the clock has gone back.
    fn due(&self, delay: Option<Delay>) -> Moment {
        match delay {
            None => self.now.floor_to_millis(),
            Some(Delay { due, delay }) => due.max(self.now.after(delay)).ceil_to_millis(),
        }
    }

    fn insert(&mut self, place: Place, message: M) {
        let waits = place.due > self.now;
        let into = if waits {
            &mut self.delayed
        } else {
            &mut self.ready
        };
        let replaced = into.insert(place, message);
        debug_assert!(replaced.is_none(), "PLACED: each has a place of its own");
    }

    /// Takes the next message, and with it the listener out of the line.
    fn take(&mut self, ticket: &mut Ticket, signals: &mut Signals) -> Next<M> {
        let next = self.take_next();
        if !matches!(next, Next::Nothing(_)) {
            self.line.leave(ticket, signals);
        }
        next
    }

    fn take_next(&mut self) -> Next<M> {
        if self.is_closed {
            return Next::Closed;
        }
        let has_room = self.taken < self.taken_max || planted(Planted::CrowdedQueue);
        if has_room && let Some((place, message)) = self.ready.pop_first() {
            self.taken += 1;
            return Next::Message(Taken { place, message });
        }
        Next::Nothing(self.delayed.first_key_value().map(|(place, _)| place.due))
    }

    fn close(&mut self, signals: &mut Signals) {
        self.is_closed = true;
        self.line.call_all(signals);
        self.note.set(Visits::default());
    }

    /// One that was taken has been done with.
    fn forget(&mut self, bytes: usize) {
        self.taken -= 1;
        self.bytes -= bytes;
    }

    /// One that was taken is again where it was; unless nothing is kept any more: then here it is.
    fn put_back(&mut self, taken: Taken<M>) -> Option<Taken<M>> {
        self.taken -= 1;
        if self.is_ended {
            return Some(taken);
        }
        self.insert(taken.place, taken.message);
        None
    }

    /// How many messages may be taken now.
    fn takeable(&self) -> usize {
        let room = self.taken_max.saturating_sub(self.taken);
        self.ready.len().min(room)
    }

    /// ROUSED: wakes the listeners that have waited longest, given how many messages could be taken
    /// before. NOTED: whether the backlog is to be looked at earlier than it was to be.
    ///
    /// MODEL: `backlog::a_call_for_what_others_have_taken_is_not_missed`.
    fn rouse(&mut self, before: usize, signals: &mut Signals) -> bool {
        if self.is_closed {
            return false;
        }
        let takeable = self.takeable();
        let new = takeable.saturating_sub(before);
        self.line.call(takeable, new, signals);
        self.note.advance(self.next_visits())
    }

    /// When somebody has to look at this, if ever, unless something else happens before.
    fn next_visits(&self) -> Visits {
        if self.is_closed {
            return Visits::default();
        }
        let firsts = [&self.delayed, &self.undelivered].map(|later| later.first_key_value());
        let dues = firsts.into_iter().flatten().map(|(place, _)| place.due);
        Visits {
            // Whoever was called may not come.
            is_always: self.takeable() > 0 && self.line.is_anybody_waiting(),
            due: dues.min(),
        }
    }
}

/// A backlog that a commit adds to, locked.
pub(crate) struct Held<'b, M> {
    state: MutexGuard<'b, State<M>>,
    /// How many messages could be taken when it was locked.
    takeable: usize,
}

impl<M> fmt::Debug for Held<'_, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").finish_non_exhaustive()
    }
}

impl<M: Queued> Held<'_, M> {
    /// Lets time go on.
    pub(crate) fn advance(&mut self, now: Moment) {
        self.state.advance(now);
    }

    /// Adds a message, to be taken when it is due, or at once.
    pub(crate) fn push(&mut self, delay: Option<Delay>, stamp: Stamp, index: u32, message: M) {
        let due = self.state.due(delay);
        self.state.bytes += message.bytes();
        let place = Place { due, stamp, index };
        self.state.insert(place, message);
    }

    /// Forgets a message that was taken, given its memory.
    pub(crate) fn forget(&mut self, bytes: usize) {
        self.state.forget(bytes);
    }

    /// Unlocks. The listeners that are called by `signals` are to be woken once nothing is locked.
    pub(crate) fn release(mut self, signals: &mut Signals) {
        if !planted(Planted::UnannouncedMessage) {
            self.state.rouse(self.takeable, signals);
        }
    }
}

#[cfg(all(test, not(loom)))]
#[path = "backlog/tests.rs"]
mod tests;
