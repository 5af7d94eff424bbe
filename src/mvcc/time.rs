//! The time that entries expire by.
//!
//! What is due after a while is due by the engine's clock. Two things have to be known of that
//! beside the clock itself, and both are in one word: whether anything expires at all, so that
//! nobody reads a clock for nothing; and the latest moment that anything was found to have expired
//! by, so that a clock which goes back brings nothing back (T05). A third, when something is due
//! next, is for whoever looks after that, and who otherwise would have to lock every stripe to know.

use crate::moment::Moment;
use crate::mvcc::stamp::StampCounter;
use crate::sync::{AtomicU64, CachePadded, Ordering, Planted, planted};
use crate::version::Stamp;

/// Whether anything expires, and since when it is known to have.
#[derive(Debug)]
pub(crate) struct Time {
    /// Nothing has ever been to expire: 0. Otherwise the latest moment that something was found to
    /// have expired by, in microseconds, and one more.
    ///
    /// Every commit and every snapshot reads it, and hardly anybody writes it: so its line is its own.
    passed: CachePadded<AtomicU64>,
    /// Nothing is due before this, in microseconds; but for what a reaper is about to come to. Written
    /// by whoever has something expire earlier than everything else, and by the reaper.
    next_due: CachePadded<AtomicU64>,
}

impl Time {
    pub(crate) fn new() -> Self {
        Self {
            passed: CachePadded::new(AtomicU64::new(0)),
            next_due: CachePadded::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// Notes that something is due at a moment. The caller holds the stripe in which that will be
    /// found.
    #[inline]
    pub(crate) fn note_due(&self, deadline: Moment) {
        let deadline = deadline.as_micros();
        // ORDERING: E-DUE. Whether this comes before or after the reaper's `forget_due` is decided by
        // the stripe's lock: the reaper finds what is due in the stripe, or this is the later one.
        // MODEL: time::what_is_due_is_known. Acquire, for whoever finds noted what it came to note: it
        // knows of the looks that came before that. Free where nothing expires: nobody gets here.
        if self.next_due.load(Ordering::Acquire) > deadline {
            // ORDERING: AcqRel. E-DUE, with the look in `next_due`: either that finds this, or this
            // comes after it, and whoever notes this sees that the reaper rests.
            self.next_due.fetch_min(deadline, Ordering::AcqRel);
        }
    }

    /// From here on what is noted is new, or was found by the caller, who looks through every
    /// stripe now and notes what it finds.
    pub(crate) fn forget_due(&self) {
        // ORDERING: AcqRel, as in `note_due`, and a swap, to pass on what the looks before it released.
        self.next_due.swap(u64::MAX, Ordering::AcqRel);
    }

    /// When something is due next: not later than it is. Whoever finds nothing may rest, if it has
    /// [said so](super::awake::Awake::rest) before.
    pub(crate) fn next_due(&self) -> Option<Moment> {
        if planted(Planted::UnseenDue) {
            // ORDERING: too weak: that is the bug.
            let next = self.next_due.load(Ordering::Acquire);
            return (next < u64::MAX).then(|| Moment::from_micros(next));
        }
        // ORDERING: AcqRel. E-DUE, with `note_due`: a load could miss what is just being noted by
        // somebody who does not see yet that the caller rests. It changes nothing.
        // MODEL: time::what_is_due_is_not_slept_through.
        let next = self.next_due.fetch_min(u64::MAX, Ordering::AcqRel);
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
