//! Wall time, injected.
//!
//! Everything that asks what time it is asks a [`Clock`], so that tests drive time by hand. This
//! file is the only one that reads the system's clock. Commits are ordered by versionstamps, never
//! by time.

use crate::sync::{AtomicU64, Ordering};
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A source of wall time.
///
/// It may jump, forward or back; the engine orders nothing by it. It is called from any thread and
/// must neither block nor call the engine.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time since the Unix epoch, counted in whole milliseconds by those who use it.
    fn now(&self) -> Duration;
}

/// The operating system's wall clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn now(&self) -> Duration {
        // A clock set before 1970 reads as 1970.
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default()
    }
}

/// A clock that stands still until it is told to move, for tests.
///
/// ```
/// use kvick::{Clock, ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::default();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now(), Duration::from_secs(60));
/// ```
#[derive(Debug, Default)]
pub struct ManualClock {
    now_ms: AtomicU64,
}

impl ManualClock {
    /// Sets the time, forward or back. Fractions of a millisecond are cut off.
    pub fn set(&self, now: Duration) {
        // ORDERING: Relaxed. The time publishes nothing but itself.
        self.now_ms.store(whole_ms(now), Ordering::Relaxed);
    }

    /// Moves the time forward.
    pub fn advance(&self, by: Duration) {
        // ORDERING: Relaxed. The time publishes nothing but itself.
        self.now_ms.fetch_add(whole_ms(by), Ordering::Relaxed);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Duration {
        // ORDERING: Relaxed. The time publishes nothing but itself.
        Duration::from_millis(self.now_ms.load(Ordering::Relaxed))
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
