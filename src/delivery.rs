//! How a message is to be delivered.

use crate::error::Result;
use crate::key::Key;
use crate::limits::Limits;
use std::time::Duration;

/// Where a message goes, when, how often it is tried, and what becomes of it if nobody can handle
/// it: for [`Kv::enqueue`](crate::Kv::enqueue).
///
/// The default is Deno's: the unnamed queue, at once, up to six attempts, and then it is forgotten.
///
/// ```
/// use kvick::{Delivery, Kv};
/// use std::time::Duration;
///
/// let kv = Kv::new();
/// let tomorrow = Delivery::default()
///     .queue("mail")
///     .delay(Duration::from_secs(24 * 60 * 60))
///     .backoff([Duration::from_secs(60), Duration::from_secs(600)])
///     .keys_if_undelivered([("undelivered", "mail")]);
/// kv.enqueue("Dear Alice", tomorrow)?;
/// assert_eq!(kv.queue("mail").len(), 1);
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it says how a message is delivered, and enqueues none"]
pub struct Delivery {
    queue: String,
    delay: Duration,
    backoff: Option<Vec<Duration>>,
    keys_if_undelivered: Vec<Key>,
}

/// The waits between attempts where none were given: six attempts in all.
const DEFAULT_BACKOFF: [Duration; 5] = [
    Duration::from_millis(100),
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(30),
    Duration::from_secs(60),
];

/// The bytes that the limits count for an interval.
const INTERVAL_BYTES: usize = size_of::<u32>();

impl Delivery {
    /// To the queue of this name. The empty name is that of the unnamed queue, which is Deno's.
    pub fn queue(mut self, name: impl Into<String>) -> Self {
        self.queue = name.into();
        self
    }

    /// Not before this much time has passed since the commit (Q02). It is delivered in the first
    /// whole millisecond after that.
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// How long to wait after each failed attempt before the next: so many intervals, and one more
    /// attempt; none is one attempt (Q06). Default: 100 ms, 1 s, 5 s, 30 s, 60 s.
    pub fn backoff(mut self, intervals: impl IntoIterator<Item = Duration>) -> Self {
        self.backoff = Some(intervals.into_iter().collect());
        self
    }

    /// The keys that are set to the payload when the last attempt has failed (Q07). Default: none.
    pub fn keys_if_undelivered<K: Into<Key>>(mut self, keys: impl IntoIterator<Item = K>) -> Self {
        self.keys_if_undelivered = keys.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn queue_name(&self) -> &str {
        &self.queue
    }

    pub(crate) fn delay_time(&self) -> Duration {
        self.delay
    }

    /// The intervals that were given.
    pub(crate) fn intervals(&self) -> Option<&[Duration]> {
        self.backoff.as_deref()
    }

    pub(crate) fn dead_letter_keys(&self) -> &[Key] {
        &self.keys_if_undelivered
    }

    /// How long to wait after so many failed attempts; `None` where there is none to follow.
    pub(crate) fn interval_after(intervals: Option<&[Duration]>, failed: u32) -> Option<Duration> {
        let intervals = intervals.unwrap_or(&DEFAULT_BACKOFF);
        let index = usize::try_from(failed).ok()?.checked_sub(1)?;
        intervals.get(index).copied()
    }

    /// What it counts to the bytes of an operation (L04).
    pub(crate) fn limited_bytes(&self) -> usize {
        self.intervals().map_or(0, <[Duration]>::len) * INTERVAL_BYTES
    }

    /// Refuses what goes beyond the limits (Q04, Q05, K09).
    pub(crate) fn check(&self, limits: &Limits) -> Result<()> {
        limits.check_queue_name(self.queue.len())?;
        limits.check_delay(self.delay)?;
        if let Some(intervals) = self.intervals() {
            limits.check_backoff(intervals)?;
        }
        limits.check_undelivered_keys(self.keys_if_undelivered.len())?;
        let mut keys = self.keys_if_undelivered.iter();
        keys.try_for_each(|key| limits.check_key_write(key.as_bytes().len()))
    }
}
