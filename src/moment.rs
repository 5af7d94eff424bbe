//! A point in an engine's time.

use std::num::NonZero;
use std::time::Duration;

/// A moment, in microseconds since that from which the engine's clock counts.
///
/// Moments that are judged by are rounded down, and deadlines are rounded up: whatever expires has
/// lived for at least as long as was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Moment(u64);

const MICROS_PER_MILLI: u64 = 1_000;

impl Moment {
    /// Before everything: nothing that expires has expired then, but what was to expire at once.
    pub(crate) const ZERO: Self = Self(0);

    pub(crate) const fn from_micros(micros: u64) -> Self {
        Self(micros)
    }

    pub(crate) const fn as_micros(self) -> u64 {
        self.0
    }

    /// What a clock says, rounded down.
    pub(crate) fn floor(time: Duration) -> Self {
        Self(whole_micros(time))
    }

    /// What a clock will say, rounded up.
    pub(crate) fn ceil(time: Duration) -> Self {
        let is_whole = time.subsec_nanos().is_multiple_of(1_000);
        Self(whole_micros(time).saturating_add(u64::from(!is_whole)))
    }

    /// The millisecond that this lies in.
    pub(crate) const fn floor_to_millis(self) -> Self {
        Self(self.0 - self.0 % MICROS_PER_MILLI)
    }

    /// The first whole millisecond that is not earlier, if it can be told.
    pub(crate) const fn ceil_to_millis(self) -> Self {
        Self(self.0.saturating_add(MICROS_PER_MILLI - 1)).floor_to_millis()
    }

    /// This much later.
    pub(crate) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(whole_micros(time)))
    }

    /// How long it is from `earlier` to this; zero where it is not later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.0.saturating_sub(earlier.0))
    }
}

/// How long something has until its deadline, where it has one: a word, because every entry that is
/// read has one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeLeft(Option<NonZero<u64>>);

impl TimeLeft {
    /// It has no deadline.
    pub(crate) const FOREVER: Self = Self(None);

    /// From `now` to a deadline; nothing where that has passed.
    pub(crate) fn until(deadline: Moment, now: Moment) -> Self {
        let micros = deadline.0.saturating_sub(now.0);
        Self(Some(NonZero::<u64>::MIN.saturating_add(micros)))
    }

    pub(crate) fn get(self) -> Option<Duration> {
        let micros = self.0?.get() - 1;
        Some(Duration::from_micros(micros))
    }
}

fn whole_micros(time: Duration) -> u64 {
    let micros = u64::from(time.subsec_micros());
    time.as_secs()
        .saturating_mul(1_000_000)
        .saturating_add(micros)
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn deadlines_are_rounded_up_and_readings_down() {
        let time = Duration::from_nanos(1_001);
        assert_eq!(Moment::floor(time), Moment::from_micros(1));
        assert_eq!(Moment::ceil(time), Moment::from_micros(2));
        let whole = Duration::from_micros(1);
        assert_eq!(Moment::floor(whole), Moment::ceil(whole));
        assert_eq!(Moment::ceil(Duration::MAX), Moment::from_micros(u64::MAX));
    }

    #[test]
    fn milliseconds_hold_the_moments_from_their_first_to_the_next() {
        let moments = [0, 1, 999, 1_000, 1_001].map(Moment::from_micros);
        let floors = moments.map(|moment| moment.floor_to_millis().as_micros());
        assert_eq!(floors, [0, 0, 0, 1_000, 1_000]);
        let ceils = moments.map(|moment| moment.ceil_to_millis().as_micros());
        assert_eq!(ceils, [0, 1_000, 1_000, 1_000, 2_000]);
        let last = Moment::from_micros(u64::MAX);
        assert_eq!(last.ceil_to_millis(), last.floor_to_millis());
    }

    #[test]
    fn the_time_left_takes_one_word() {
        assert_eq!(size_of::<TimeLeft>(), 8);
        let moment = Moment::from_micros;
        let left = |deadline, now| TimeLeft::until(moment(deadline), moment(now)).get();
        assert_eq!(left(7, 3), Some(Duration::from_micros(4)));
        assert_eq!(left(3, 7), Some(Duration::ZERO));
        assert_eq!(left(u64::MAX, 0), Some(Duration::from_micros(u64::MAX - 1)));
        assert_eq!(TimeLeft::FOREVER.get(), None);
    }

    #[test]
    fn the_time_between_two_moments_is_never_negative() {
        let (early, late) = (Moment::from_micros(1), Moment::from_micros(4));
        assert_eq!(late.since(early), Duration::from_micros(3));
        assert_eq!(early.since(late), Duration::ZERO);
        assert_eq!(early.after(Duration::from_micros(3)), late);
    }
}
