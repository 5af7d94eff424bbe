//! How long a value stays.

use std::fmt;
use std::time::Duration;

/// What a mutation does about the expiry of its entry, in one word, because every mutation has one.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Expiry(u64);

/// How many values are taken by what is no time. Behind them are microseconds.
const SPECIAL: u64 = 2;

impl Expiry {
    /// The entry stays until it is changed (T03).
    pub(crate) const NEVER: Self = Self(0);

    /// As it was before; for an entry that was not there, never.
    pub(crate) const KEEP: Self = Self(1);

    /// The longest time after which an entry can be made to expire: some 260,000 years, as much as
    /// Deno can tell the date of (T04).
    pub(crate) const MAX: Duration = Duration::from_secs(8_200_000_000_000);

    /// The entry is gone from the first moment that is so much later than the commit, or never. A
    /// longer time than 500,000 years is taken for that; it is refused anyway.
    pub(crate) fn after(time: Option<Duration>) -> Self {
        let Some(time) = time else {
            return Self::NEVER;
        };
        let micros = time.as_nanos().div_ceil(1_000);
        let micros = u64::try_from(micros).unwrap_or(u64::MAX);
        Self(micros.saturating_add(SPECIAL))
    }

    /// How long the entry is to stay from the commit on, where that is said.
    pub(crate) fn time(self) -> Option<Duration> {
        self.0.checked_sub(SPECIAL).map(Duration::from_micros)
    }
}

impl fmt::Debug for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (*self, self.time()) {
            (_, Some(time)) => write!(f, "{time:?}"),
            (Self::KEEP, None) => f.write_str("kept"),
            (_, None) => f.write_str("never"),
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn times_are_kept_to_the_microsecond_and_never_shortened() {
        assert_eq!(size_of::<Expiry>(), 8);
        assert_eq!(Expiry::after(None), Expiry::NEVER);
        assert_eq!(Expiry::NEVER.time(), None);
        assert_eq!(Expiry::KEEP.time(), None);
        let zero = Expiry::after(Some(Duration::ZERO));
        assert_eq!(zero.time(), Some(Duration::ZERO));
        let nanos = Expiry::after(Some(Duration::from_nanos(1_001)));
        assert_eq!(nanos.time(), Some(Duration::from_micros(2)));
        assert_eq!(Expiry::after(Some(Expiry::MAX)).time(), Some(Expiry::MAX));
        assert!(Expiry::after(Some(Duration::MAX)).time() > Some(Expiry::MAX));
    }
}
