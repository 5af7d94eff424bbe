//! Time, injected.
//!
//! Everything that asks what time it is asks a [`Clock`], so that tests drive time by hand. This
//! file is the only one that reads the system's clocks, and but for dating exports the monotonic one: what is due
//! after a minute is due after a minute, however often the wall clock is set in between. Commits are
//! ordered by versionstamps, never by time.

use crate::sync::{AtomicU64, OnceLock, Ordering};
use std::fmt;
use std::time::{Duration, Instant, SystemTime};

/// A source of time.
///
/// What it counts from is its own affair: the engine only adds to a moment and compares two. It
/// should not jump. Where it goes back all the same, the engine takes what has expired as expired
/// (T05). It is called from any thread, also
/// where locks are held: it must neither block nor call the engine, and should not panic.
pub trait Clock: fmt::Debug + Send + Sync + 'static {
    /// The time since a moment that does not change.
    fn now(&self) -> Duration;

    /// The wall clock: the time since the beginning of 1970 in UTC. Nothing is ordered by it, and
    /// nothing expires by it. Exports are dated by it, so that an import elsewhere can tell what would
    /// have expired since. Default: the system's.
    #[expect(clippy::disallowed_methods, reason = "this is the one place that may")]
    fn wall_time(&self) -> Duration {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        now.unwrap_or_default()
    }
}

/// The operating system's monotonic clock, counted from when it was first asked.
///
/// Setting the wall clock does not move it. Whether it goes on while the machine is suspended is
/// the system's affair; on Linux it does not.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        static BEGIN: OnceLock<Instant> = OnceLock::new();
        let now = Instant::now();
        now.saturating_duration_since(*BEGIN.get_or_init(|| now))
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

    /// The same time: it counts from 1970.
    fn wall_time(&self) -> Duration {
        self.now()
    }
}

fn whole_ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
