//! The latest commits, in their order.
//!
//! Whoever follows the changes collects them here, for everybody: it loads the latest stamp W, and
//! locks each stripe once, to take what its feed has at or below W. A commit with such a stamp had it
//! minted while it held its stripes, and enters its changes before it lets go of them; so once each
//! lock has been had, nothing at or below W is missing (FED). What was taken is sorted into commits,
//! and what is beyond the bounds of the history is forgotten, oldest first.
//!
//! Those who follow hold a stamp each, and nothing waits for them. One whose stamp the history does
//! not reach any more is told so. Commits never come here, but for one whose stripe's feed is filling
//! up: it collects when it is done and holds no lock, unless somebody is about it.

use super::Engine;
use super::feed::{Feed, Log, Tail};
use super::memory::Kind;
use crate::key::Key;
use crate::mvcc::quota::{Charge, Meter, Purpose};
use crate::sync::{Mutex, Planted, footprint, planted, reserve};
use crate::version::Stamp;
use std::collections::VecDeque;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

/// How much history there is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HistoryBounds {
    pub(crate) changes_max: usize,
    pub(crate) bytes_max: usize,
    /// Whether it is kept from the beginning, and while nobody follows it.
    pub(crate) is_kept: bool,
}

impl Default for HistoryBounds {
    fn default() -> Self {
        Self {
            changes_max: 65_536,
            bytes_max: 8 << 20,
            is_kept: false,
        }
    }
}

/// What a commit has changed.
#[derive(Debug)]
pub(crate) struct Committed {
    pub(crate) stamp: Stamp,
    /// In the order of the keys: each of them, and whether it was set and not deleted.
    pub(crate) changes: Vec<(Key, bool)>,
    /// Its memory, for as long as anybody has it.
    _charge: Charge,
}

impl PartialEq for Committed {
    fn eq(&self, other: &Self) -> bool {
        (self.stamp, &self.changes) == (other.stamp, &other.changes)
    }
}

impl Eq for Committed {}

impl Committed {
    /// What it takes of the history.
    fn bytes(&self) -> usize {
        let keys = self.changes.iter().map(|(key, _)| key.as_bytes().len());
        size_of::<Self>() - size_of::<Charge>()
            + self.changes.len() * size_of::<(Key, bool)>()
            + keys.sum::<usize>()
    }
}

/// What the changes of these keys take of the heap, in one commit.
fn heap_bytes<'k>(keys: impl Iterator<Item = &'k Key>) -> usize {
    let changes = keys.map(|key| size_of::<(Key, bool)>() + footprint(key.as_bytes().len()));
    footprint(size_of::<Committed>()) + changes.sum::<usize>()
}

/// What follows a stamp.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Commit(Arc<Committed>),
    /// Some of it is forgotten. What comes after this stamp is not.
    Lagged(Stamp),
    /// Nothing, up to this stamp.
    Nothing(Stamp),
}

/// The history of an engine.
#[derive(Debug)]
pub(super) struct History {
    bounds: HistoryBounds,
    tail: Arc<Tail>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    follower_count: usize,
    is_recording: bool,
    commits: VecDeque<Arc<Committed>>,
    change_count: usize,
    bytes: usize,
    /// All commits above `floor` and up to `to` are here.
    floor: Stamp,
    to: Stamp,
    /// Its room goes from stripe to stripe.
    log: Log,
}

/// Collects in the thread of whoever has filled a feed, once it holds no lock.
struct Collector(Weak<Engine>);

impl Wake for Collector {
    fn wake(self: Arc<Self>) {
        if let Some(engine) = self.0.upgrade() {
            engine.collect_some();
        }
    }
}

impl History {
    pub(super) fn new(
        engine: Weak<Engine>,
        stripes: usize,
        bounds: HistoryBounds,
        meter: &Arc<Meter>,
    ) -> Self {
        let collector = Waker::from(Arc::new(Collector(engine)));
        let (changes_max, bytes_max) = (bounds.changes_max, bounds.bytes_max);
        let tail = Tail::new(stripes, changes_max, bytes_max, collector, meter);
        Self {
            bounds,
            tail: Arc::new(tail),
            state: Mutex::new(State {
                follower_count: 0,
                is_recording: false,
                commits: VecDeque::new(),
                change_count: 0,
                bytes: 0,
                floor: Stamp::ZERO,
                to: Stamp::ZERO,
                log: Log::new(meter),
            }),
        }
    }

    pub(super) fn tail(&self) -> &Tail {
        &self.tail
    }
}

impl State {
    /// Forgets everything up to this stamp.
    fn forget(&mut self, floor: Stamp) {
        self.floor = self.floor.max(floor);
        self.to = self.to.max(floor);
        while self
            .commits
            .front()
            .is_some_and(|commit| commit.stamp <= floor)
        {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some(commit) = self.commits.pop_front() {
            self.change_count -= commit.changes.len();
            self.bytes -= commit.bytes();
            self.floor = self.floor.max(commit.stamp);
        }
    }

    fn push(&mut self, commit: Committed, bounds: &HistoryBounds) {
        if reserve(&mut self.commits, 1).is_err() {
            self.forget(commit.stamp);
            return;
        }
        self.change_count += commit.changes.len();
        self.bytes += commit.bytes();
        self.commits.push_back(Arc::new(commit));
        while self.change_count > bounds.changes_max || self.bytes > bounds.bytes_max {
            self.pop();
        }
    }

    fn next(&self, after: Stamp) -> Next {
        if after < self.floor {
            return Next::Lagged(self.floor);
        }
        let index = self.commits.partition_point(|commit| commit.stamp <= after);
        let commit = self.commits.get(index);
        commit.map_or(Next::Nothing(self.to), |commit| {
            Next::Commit(Arc::clone(commit))
        })
    }
}

impl Engine {
    /// One more follows the changes: whatever is committed from here on is recorded. The stamp after
    /// which that is.
    pub(super) fn follow(&self) -> Stamp {
        let mut state = self.history.state.lock();
        state.follower_count += 1;
        if state.is_recording {
            return self.counter.latest();
        }
        self.record(&mut state);
        state.floor
    }

    /// How many follow the changes.
    pub(crate) fn follower_count(&self) -> usize {
        self.history.state.lock().follower_count
    }

    /// One follows them less.
    pub(super) fn unfollow(&self) {
        let mut state = self.history.state.lock();
        state.follower_count -= 1;
        if state.follower_count > 0 || self.history.bounds.is_kept {
            return;
        }
        state.is_recording = false;
        for stripe in 0..self.stripes.count() {
            // LOCK ORDER: the history, then one stripe. Nobody who holds a stripe asks for the history.
            self.stripes.lock_one(stripe).set_feed(None);
        }
        let to = state.to;
        state.forget(to);
        state.commits = VecDeque::new();
        state.log = Log::new(self.memory.meter(Kind::Changes));
    }

    /// Keeps the history from now on, if it is to be kept while nobody follows it.
    pub(super) fn keep_history(&self) {
        if self.history.bounds.is_kept {
            self.record(&mut self.history.state.lock());
        }
    }

    fn record(&self, state: &mut State) {
        state.is_recording = true;
        for stripe in 0..self.stripes.count() {
            let feed = Feed::new(Arc::clone(&self.history.tail));
            // LOCK ORDER: the history, then one stripe.
            self.stripes.lock_one(stripe).set_feed(Some(feed));
        }
        // Loaded last: what is minted later enters feeds that are there.
        state.forget(self.counter.latest());
    }

    /// What follows a stamp. Collects only where there is nothing otherwise.
    pub(super) fn changes_after(&self, after: Stamp) -> Next {
        let mut state = self.history.state.lock();
        match state.next(after) {
            Next::Nothing(_) => {
                self.collect(&mut state);
                state.next(after)
            }
            next => next,
        }
    }

    /// Collects, unless somebody is about it.
    #[cold]
    fn collect_some(&self) {
        if let Some(mut state) = self.history.state.try_lock()
            && state.is_recording
        {
            self.collect(&mut state);
        }
    }

    fn collect(&self, state: &mut State) {
        // Whoever waits for more has said so before; a commit with a later stamp finds it.
        let to = self.counter.observe();
        if to <= state.to {
            return;
        }
        let taken_to = if planted(Planted::TornFeed) {
            Stamp::MAX
        } else {
            to
        };
        let mut gathered: Vec<(Stamp, Key, bool)> = Vec::new();
        let mut lost = Stamp::ZERO;
        for stripe in 0..self.stripes.count() {
            // LOCK ORDER: the history, then one stripe.
            let taken = self
                .stripes
                .lock_one(stripe)
                .take_feed(taken_to, &mut state.log);
            lost = lost.max(taken);
            if reserve(&mut gathered, state.log.len()).is_err() {
                lost = lost.max(to);
                continue;
            }
            let changes = state.log.iter();
            gathered.extend(changes.map(|(stamp, key, is_set)| (stamp, Key::raw(key), is_set)));
        }
        // FED: up to here nothing is missing, but for what was lost.
        state.to = to;
        state.forget(lost);
        gathered.sort_unstable();
        for changes in gathered.chunk_by(|one, other| one.0 == other.0) {
            let [(stamp, ..), ..] = *changes else {
                continue;
            };
            if stamp <= state.floor {
                continue;
            }
            let mut kept = Vec::new();
            let bytes = heap_bytes(changes.iter().map(|(_, key, _)| key));
            let meter = self.memory.meter(Kind::Changes);
            let charge = reserve(&mut kept, changes.len())
                .and_then(|()| Charge::new(meter, bytes, Purpose::Growth));
            let Ok(charge) = charge else {
                state.forget(stamp);
                continue;
            };
            let changes = changes
                .iter()
                .map(|(_, key, is_set)| (key.clone(), *is_set));
            kept.extend(changes);
            let commit = Committed {
                stamp,
                changes: kept,
                _charge: charge,
            };
            state.push(commit, &self.history.bounds);
        }
    }
}
