//! What a transaction does that keeps losing: it backs off, and then it is given its turn.
//!
//! Optimistic transactions alone promise only that somebody gets through. A transaction that has
//! lost several times asks for the *turn*; while one has it, every other commit waits before it
//! begins, so that the next attempt meets nobody but those that had begun before. The wait is
//! bounded, by the patience of the holder, which doubles with each attempt that is lost in spite of
//! the turn. So a transaction of up to a minute gets through, and whatever the user's closure does
//! meanwhile, commit, or wait for a thread that commits, nothing can wait for ever: the turn is
//! a courtesy and no lock. (Spec 9.3, X05, X06.)

use crate::sync::{
    AtomicBool, Condvar, Mutex, MutexGuard, Ordering, Statistic, ThreadId, draw, pause, spin_loop,
    thread_id,
};
use std::time::Duration;

/// Lost attempts after which a transaction asks for the turn.
pub(crate) const TURN_AFTER: u32 = 8;

/// How long others wait for the first holder's attempt, and how long an asker waits for the turn.
const PATIENCE_MIN: Duration = Duration::from_millis(1);

/// How often that doubles: up to a minute. A closure that takes longer can be starved.
const DOUBLINGS_MAX: u32 = 16;

/// Whose turn it is, if anybody's.
#[derive(Debug)]
pub(crate) struct Turn {
    /// Whether anybody holds it: all that a commit looks at.
    is_held: AtomicBool,
    /// Those that ask for the turn stand in line here; whoever holds this has it.
    line: Mutex<()>,
    holder: Mutex<Option<Holder>>,
    given_back: Condvar,
    retries: Statistic,
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
            line: Mutex::new(()),
            holder: Mutex::new(None),
            given_back: Condvar::new(),
            retries: Statistic::new(),
        }
    }

    /// Counts an attempt that follows one that has lost.
    pub(crate) fn count_retry(&self) {
        self.retries.count();
    }

    /// How many there have been.
    pub(crate) fn retry_count(&self) -> u64 {
        self.retries.get()
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
        if let Some(Holder { thread, patience }) = *holder
            && thread != thread_id()
        {
            self.given_back.wait_for(&mut holder, patience);
        }
    }

    /// Asks for the turn before an attempt, of which `lost` have failed. `None` where the line is
    /// longer than this caller's patience; the attempt is then made without.
    pub(crate) fn take(&self, lost: u32) -> Option<TurnGuard<'_>> {
        let doublings = lost.saturating_sub(TURN_AFTER).min(DOUBLINGS_MAX);
        let patience = PATIENCE_MIN.saturating_mul(1 << doublings);
        let thread = thread_id();
        if self
            .holder
            .lock()
            .is_some_and(|holder| holder.thread == thread)
        {
            // A transaction inside the one that has the turn.
            return None;
        }
        let place = self.line.try_lock_for(patience)?;
        *self.holder.lock() = Some(Holder { thread, patience });
        // ORDERING: Relaxed, as in `give_way`.
        self.is_held.store(true, Ordering::Relaxed);
        Some(TurnGuard {
            turn: self,
            place: Some(place),
        })
    }
}

/// The turn, for one attempt.
pub(crate) struct TurnGuard<'a> {
    turn: &'a Turn,
    place: Option<MutexGuard<'a, ()>>,
}

impl Drop for TurnGuard<'_> {
    fn drop(&mut self) {
        *self.turn.holder.lock() = None;
        // ORDERING: Relaxed, as in `give_way`.
        self.turn.is_held.store(false, Ordering::Relaxed);
        self.turn.given_back.notify_all();
        if let Some(place) = self.place.take() {
            // To whoever has waited longest.
            MutexGuard::unlock_fair(place);
        }
    }
}

/// Waits before the attempt that follows `lost` failed ones: longer each time, by up to twice as much
/// as the last time, at random, so that two that collide part. Between some tens of nanoseconds and,
/// before [`TURN_AFTER`], a few microseconds, which is what attempts of few keys take; longer pauses
/// got no more through, and had a longer tail where there are more threads than processors.
pub(crate) fn back_off(lost: u32) {
    /// Half as many spins as the first pause has at most.
    const FIRST: u64 = 2;
    /// From here on whoever is in the way may have been taken off its processor.
    const YIELD_FROM: u32 = 3;
    let ceiling = FIRST << lost.min(TURN_AFTER);
    for _ in 0..ceiling / 2 + draw() % (ceiling / 2 + 1) {
        spin_loop();
    }
    if lost >= YIELD_FROM {
        pause(Duration::ZERO);
    }
}
