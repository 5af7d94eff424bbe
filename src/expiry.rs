//! How long a value stays.

use std::time::Duration;

/// What a mutation does about the expiry of its entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Expiry {
    /// The entry stays until it is changed (T03).
    #[default]
    Never,
    /// The entry is gone from the first moment that is as much later than the commit.
    In(Duration),
    /// As it was before; for an entry that was not there, never.
    Keep,
}

impl Expiry {
    /// The longest time after which an entry can be made to expire: some 260,000 years, as much as
    /// Deno can tell the date of (T04).
    pub(crate) const MAX: Duration = Duration::from_secs(8_200_000_000_000);

    /// How long the entry is to stay from the commit on, where that is said.
    pub(crate) fn after(self) -> Option<Duration> {
        match self {
            Self::In(after) => Some(after),
            Self::Never | Self::Keep => None,
        }
    }
}
