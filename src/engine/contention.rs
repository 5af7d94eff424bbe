//! What a transaction does that keeps losing: it backs off, and then it is given its turn.
//!
//! Optimistic transactions alone promise only that somebody gets through. A transaction that has
//! lost several times asks for the *turn*; while one has it, every other commit waits before it
//! begins, so that the next attempt meets nobody but those that had begun before. The wait is
//! bounded, by the patience of the holder, which doubles with each attempt that is lost in spite of
//! the turn. So a transaction of finite length gets through, and whatever the user's closure does
//! meanwhile, commit, or wait for a thread that commits, nothing can wait for ever: the turn is
//! a courtesy and no lock. (Spec 9.3, X05, X06.)

use crate::sync::{AtomicBool, Condvar, Mutex, Ordering, backoff};
use std::thread::{self, ThreadId};
use std::time::Duration;

/// Lost attempts after which a transaction asks for the turn.
pub(crate) const TURN_AFTER: u32 = 8;

/// How long others wait for the first holder's attempt, and how long an asker waits for the turn.
const PATIENCE_MIN: Duration = Duration::from_millis(1);
const PATIENCE_MAX: Duration = Duration::from_millis(512);

/// Whose turn it is, if anybody's.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Whether anybody holds it: all that a commit looks at.
    is_held: AtomicBool,
    holder: Mutex<Option<Holder>>,
    given_back: Condvar,
}

#[derive(Clone, Copy, Debug)]
struct Holder {
    thread: ThreadId,
    patience: Duration,
}

impl Turn {
    pub(crate) fn new() -> Self {
        Self {
            is_held: AtomicBool::new(false),
            holder: Mutex::new(None),
            given_back: Condvar::new(),
        }
    }

    /// Called before a commit takes its first lock: waits a bounded while for the one whose turn
    /// it is.
    pub(crate) fn give_way(&self) {
        // ORDERING: Relaxed. A courtesy: whoever does not see it in time commits all the same.
        if self.is_held.load(Ordering::Relaxed) {
            self.wait();
        }
    }

    #[cold]
    fn wait(&self) {
        let mut holder = self.holder.lock();
        let Some(Holder { thread, patience }) = *holder else {
            return;
        };
        if thread != thread::current().id() {
            self.given_back.wait_for(&mut holder, patience);
        }
    }

    /// Asks for the turn before an attempt, of which `lost` have failed. `None` where another holds
    /// it for longer than this caller is patient; the attempt is then made without.
    pub(crate) fn take(&self, lost: u32) -> Option<TurnGuard<'_>> {
        let doublings = lost.saturating_sub(TURN_AFTER).min(16);
        let patience = PATIENCE_MIN.saturating_mul(1 << doublings).min(PATIENCE_MAX);
        let mut holder = self.holder.lock();
        if holder.is_some() {
            self.given_back.wait_for(&mut holder, patience);
        }
        if holder.is_some() {
            return None;
        }
        *holder = Some(Holder {
            thread: thread::current().id(),
            patience,
        });
        // ORDERING: Relaxed, as in `give_way`.
        self.is_held.store(true, Ordering::Relaxed);
        Some(TurnGuard { turn: self })
    }
}

/// The turn, for one attempt.
#[derive(Debug)]
pub(crate) struct TurnGuard<'a> {
    turn: &'a Turn,
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        *self.turn.holder.lock() = None;
        // ORDERING: Relaxed, as in `give_way`.
        self.turn.is_held.store(false, Ordering::Relaxed);
        self.turn.given_back.notify_all();
    }
}

/// Waits before the attempt that follows `lost` failed ones: not at all at first, then longer each
/// time, by up to twice as much as the last time, at random, so that two that collide part.
pub(crate) fn back_off(lost: u32, seed: u64) {
    /// The first pause is a few cache misses long.
    const FIRST: Duration = Duration::from_nanos(500);
    const LAST: Duration = Duration::from_millis(1);
    let ceiling = FIRST.saturating_mul(1 << lost.min(16)).min(LAST);
    // A splitmix64 step: any two seeds give pauses that have nothing to do with each other.
    let mut random = seed.wrapping_add(u64::from(lost)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    random ^= random >> 27;
    let nanos = u64::try_from(ceiling.as_nanos()).unwrap_or(u64::MAX);
    backoff(Duration::from_nanos(nanos / 2 + random % (nanos / 2 + 1)));
}
