//! The time that entries expire by.
//!
//! What is due after a while is due by the engine's clock. Two things have to be known of that
//! beside the clock itself, and both are in one word: whether anything expires at all, so that
//! nobody reads a clock for nothing; and the latest moment that anything was found to have expired
//! by, so that a clock which goes back brings nothing back (T05). A third, when something is due
//! next, is for whoever looks after that, and who otherwise would have to lock every stripe to know.

use crate::moment::Moment;
use crate::mvcc::stamp::StampCounter;
use crate::sync::{AtomicU64, Ordering, Planted, planted};
use crate::version::Stamp;

/// Whether anything expires, and since when it is known to have.
#[derive(Debug)]
pub(crate) struct Time {
    /// Nothing has ever been to expire: 0. Otherwise the latest moment that something was found to
    /// have expired by, in microseconds, and one more.
    passed: AtomicU64,
    /// Nothing is due before this, in microseconds; but for what a reaper is about to come to.
    next_due: AtomicU64,
}

impl Time {
    pub(crate) fn new() -> Self {
        Self {
            passed: AtomicU64::new(0),
            next_due: AtomicU64::new(u64::MAX),
        }
    }

    /// Notes that something is due at a moment. The caller holds the stripe in which that will be
    /// found.
    #[inline]
    pub(crate) fn note_due(&self, deadline: Moment) {
        let deadline = deadline.as_micros();
        // ORDERING: Relaxed. E-DUE: whether this comes before or after the reaper's `forget_due` is
        // decided by the stripe's lock: the reaper finds what is due in the stripe, or this is the
        // later one. MODEL: time::what_is_due_is_known.
        if self.next_due.load(Ordering::Relaxed) > deadline {
            // ORDERING: Relaxed, as above.
            self.next_due.fetch_min(deadline, Ordering::Relaxed);
        }
    }

    /// From here on what is noted is new, or was found by the caller, who looks through every
    /// stripe now and notes what it finds.
    pub(crate) fn forget_due(&self) {
        // ORDERING: Relaxed, as in `note_due`.
        self.next_due.store(u64::MAX, Ordering::Relaxed);
    }

    /// When something is due next, as far as is known: not later than it is.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        // ORDERING: Relaxed, as in `note_due`. What is missed is seen the next time.
        let next = self.next_due.load(Ordering::Relaxed);
        (next < u64::MAX).then(|| Moment::from_micros(next))
    }

    /// Says that something will be to expire: before the first such version is published.
    #[inline]
    pub(crate) fn begin(&self) {
        if !self.is_running() {
            // ORDERING: TIMED: the mint of the commit publishes it (E-MINT).
            self.passed.fetch_max(1, Ordering::Relaxed);
        }
    }

    /// Whether anything has ever been to expire, as far as the caller's snapshot can tell.
    #[inline]
    pub(crate) fn is_running(&self) -> bool {
        // ORDERING: Relaxed. TIMED: whoever has loaded a stamp from the counter has what was written
        // before its mint (E-MINT).
        self.passed.load(Ordering::Relaxed) != 0
    }

    /// The moment to judge by, given what the clock says.
    #[inline]
    pub(crate) fn judged_by(&self, clock: Moment) -> Moment {
        // ORDERING: Relaxed. It publishes nothing but itself: who has learnt in any order that
        // something has expired finds at least the moment it was judged by.
        let passed = self.passed.load(Ordering::Relaxed);
        clock.max(Moment::from_micros(passed.saturating_sub(1)))
    }

    /// Notes that something that was due at `deadline` has been judged to have expired, by `now`.
    #[inline]
    pub(crate) fn pass(&self, deadline: Moment, now: Moment) {
        // ORDERING: Relaxed, as in `judged_by`.
        if self.passed.load(Ordering::Relaxed) <= deadline.as_micros() {
            let now = now.as_micros().saturating_add(1);
            // ORDERING: Relaxed, as in `judged_by`.
            self.passed.fetch_max(now, Ordering::Relaxed);
        }
    }

    /// A stamp to read at, and the moment to judge by what is found there: that of the clock, where
    /// anything at or below the stamp expires.
    pub(crate) fn read_point(
        &self,
        counter: &StampCounter,
        clock: impl Fn() -> Moment,
    ) -> (Stamp, Moment) {
        if !self.is_running() {
            let at = counter.latest();
            // MODEL: time::what_expires_is_judged_by_the_clock.
            if planted(Planted::UnseenTime) || !self.is_running() {
                return (at, Moment::ZERO);
            }
        }
        // The clock before the counter. The other way round, an entry that is prolonged in between
        // would be read as it was before, and judged by when it is after: as expired, which it never
        // was. MODEL: time::a_prolonged_entry_is_never_absent.
        let late = planted(Planted::LateTime).then(|| counter.latest());
        let now = self.judged_by(clock());
        (late.unwrap_or_else(|| counter.latest()), now)
    }
}
