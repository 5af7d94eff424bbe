//! How large and how many: every limit, with its unit in its name.
//!
//! The numbers are those of the Deno runtime (L01-L04), which are the strictest that a program
//! written for Deno meets. An embedded engine needs none of them, so each can be raised (L05), all
//! but one: a key has a hard maximum, because the engine counts key bytes in fewer bits than a
//! machine word has.

use crate::error::{Error, Result};
use std::time::Duration;

/// The limits that an engine holds its callers to.
///
/// Sizes are of encoded bytes, and every maximum is inclusive. What exceeds one is refused before
/// anything is read or written.
///
/// ```
/// use kvick::Limits;
///
/// let mut limits = Limits::default();
/// limits.value_bytes_max = 1 << 20;
/// assert_eq!(limits.checks_max, 100);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of an encoded key that is written or checked: 2,048.
    pub key_write_bytes_max: usize,
    /// Bytes of an encoded bound of a range that is read: 2,049. The read of one key is the range
    /// from that key to the key and a zero byte, so it takes a byte more than the key has.
    pub key_read_bytes_max: usize,
    /// Bytes of one value, also of one that a sum comes to: 65,536. A `u64` counts as 8.
    pub value_bytes_max: usize,
    /// Ranges, or keys, of one read: 10.
    pub ranges_max: usize,
    /// Keys of one watch: 10.
    pub watch_keys_max: usize,
    /// Entries that one read may ask for, over all of its ranges: 1,000.
    pub entries_max: usize,
    /// Checks of one atomic operation: 100.
    pub checks_max: usize,
    /// Mutations and enqueues of one atomic operation: 1,000.
    pub mutations_max: usize,
    /// Bytes of one atomic operation: 819,200. Counted are the keys of checks and mutations, and
    /// once more the keys of mutations that carry a value, with their values; then the payloads of
    /// enqueues, and four bytes for each interval of a backoff schedule that was given.
    pub total_bytes_max: usize,
    /// Bytes of the keys of mutations that carry a value, in one atomic operation: 81,920.
    pub total_key_bytes_max: usize,
    /// Bytes of the payload of one message: 65,536. A `u64` counts as 8.
    pub payload_bytes_max: usize,
    /// Bytes of the name of a queue: 2,048.
    pub queue_name_bytes_max: usize,
    /// The longest delay of a message: 30 days.
    pub delay_max: Duration,
    /// Intervals of one backoff schedule: 5.
    pub backoff_intervals_max: usize,
    /// The longest of these: an hour.
    pub backoff_interval_max: Duration,
    /// Keys that one undelivered message is written to: 10.
    pub undelivered_keys_max: usize,
}

impl Default for Limits {
    /// The limits of the Deno runtime.
    fn default() -> Self {
        Self {
            key_write_bytes_max: 2_048,
            key_read_bytes_max: 2_049,
            value_bytes_max: 65_536,
            ranges_max: 10,
            watch_keys_max: 10,
            entries_max: 1_000,
            checks_max: 100,
            mutations_max: 1_000,
            total_bytes_max: 819_200,
            total_key_bytes_max: 81_920,
            payload_bytes_max: 65_536,
            queue_name_bytes_max: 2_048,
            delay_max: Duration::from_secs(30 * 24 * 60 * 60),
            backoff_intervals_max: 5,
            backoff_interval_max: Duration::from_secs(60 * 60),
            undelivered_keys_max: 10,
        }
    }
}

impl Limits {
    /// The most bytes that an encoded key can have under any limits: 16 MiB. An engine takes a
    /// larger [`key_write_bytes_max`](Self::key_write_bytes_max) as this.
    pub const KEY_BYTES_HARD_MAX: usize = 1 << 24;

    /// No limits, but for [`KEY_BYTES_HARD_MAX`](Self::KEY_BYTES_HARD_MAX).
    ///
    /// ```
    /// use kvick::Limits;
    ///
    /// let limits = Limits::unlimited();
    /// assert_eq!(limits.value_bytes_max, usize::MAX);
    /// assert_eq!(limits.key_write_bytes_max, Limits::KEY_BYTES_HARD_MAX);
    /// ```
    pub fn unlimited() -> Self {
        Self {
            key_write_bytes_max: usize::MAX,
            key_read_bytes_max: usize::MAX,
            value_bytes_max: usize::MAX,
            ranges_max: usize::MAX,
            watch_keys_max: usize::MAX,
            entries_max: usize::MAX,
            checks_max: usize::MAX,
            mutations_max: usize::MAX,
            total_bytes_max: usize::MAX,
            total_key_bytes_max: usize::MAX,
            payload_bytes_max: usize::MAX,
            queue_name_bytes_max: usize::MAX,
            delay_max: Duration::MAX,
            backoff_intervals_max: usize::MAX,
            backoff_interval_max: Duration::MAX,
            undelivered_keys_max: usize::MAX,
        }
        .clamped()
    }

    /// These limits as an engine can keep them: no key beyond the hard maximum, and whatever can be
    /// written can be read.
    #[must_use]
    pub(crate) fn clamped(mut self) -> Self {
        self.key_write_bytes_max = self.key_write_bytes_max.min(Self::KEY_BYTES_HARD_MAX);
        self.key_read_bytes_max = self
            .key_read_bytes_max
            .clamp(self.key_write_bytes_max + 1, Self::KEY_BYTES_HARD_MAX + 1);
        self
    }

    /// Up to which sizes a mutation by itself is within every limit.
    pub(crate) fn single(&self) -> SingleLimits {
        let total = self.total_bytes_max;
        let keys = (self.key_write_bytes_max)
            .min(self.total_key_bytes_max)
            .min(total / 4);
        SingleLimits {
            key_bytes: if self.mutations_max == 0 { 0 } else { keys },
            value_bytes: self.value_bytes_max.min(total - 2 * keys),
        }
    }

    /// A key of `bytes` that is to be written or checked (K08, L01).
    #[inline]
    pub(crate) fn check_key_write(&self, bytes: usize) -> Result<()> {
        if bytes == 0 {
            return Err(Error::key_empty());
        }
        within(
            bytes,
            self.key_write_bytes_max,
            Error::key_too_large_for_write,
        )
    }

    /// A key of `bytes` that is to be read or watched by itself (L01). The empty key is merely
    /// missing (K08).
    #[inline]
    pub(crate) fn check_key_read(&self, bytes: usize) -> Result<()> {
        self.check_bound(bytes.saturating_add(1))
    }

    /// A bound of `bytes` of a range that is to be read.
    #[inline]
    pub(crate) fn check_bound(&self, bytes: usize) -> Result<()> {
        within(
            bytes,
            self.key_read_bytes_max,
            Error::key_too_large_for_read,
        )
    }

    /// A value of `bytes` (L02).
    #[inline]
    pub(crate) fn check_value(&self, bytes: usize) -> Result<()> {
        within(bytes, self.value_bytes_max, Error::value_too_large)
    }

    /// The number of ranges of one read (R02).
    #[inline]
    pub(crate) fn check_ranges(&self, count: usize) -> Result<()> {
        within(count, self.ranges_max, Error::too_many_ranges)
    }

    /// The number of keys of one watch (W06).
    pub(crate) fn check_watch_keys(&self, count: usize) -> Result<()> {
        within(count, self.watch_keys_max, Error::too_many_keys)
    }

    /// The number of entries that one read asks for (R11).
    #[inline]
    pub(crate) fn check_entries(&self, count: usize) -> Result<()> {
        within(count, self.entries_max, Error::too_many_entries)
    }

    /// The number of checks of one atomic operation (L03).
    #[inline]
    pub(crate) fn check_checks(&self, count: usize) -> Result<()> {
        within(count, self.checks_max, Error::too_many_checks)
    }

    /// The number of mutations and enqueues of one atomic operation (L03).
    #[inline]
    pub(crate) fn check_mutations(&self, count: usize) -> Result<()> {
        within(count, self.mutations_max, Error::too_many_mutations)
    }

    /// The bytes of one atomic operation (L04).
    #[inline]
    pub(crate) fn check_total(&self, bytes: usize) -> Result<()> {
        within(bytes, self.total_bytes_max, Error::total_too_large)
    }

    /// The bytes of the keys of one atomic operation (L04).
    #[inline]
    pub(crate) fn check_total_keys(&self, bytes: usize) -> Result<()> {
        within(bytes, self.total_key_bytes_max, Error::total_keys_too_large)
    }

    /// A payload of `bytes` (Q14).
    pub(crate) fn check_payload(&self, bytes: usize) -> Result<()> {
        within(bytes, self.payload_bytes_max, Error::payload_too_large)
    }

    /// The name of a queue, of `bytes`.
    pub(crate) fn check_queue_name(&self, bytes: usize) -> Result<()> {
        within(bytes, self.queue_name_bytes_max, Error::queue_name_too_long)
    }

    /// The delay of a message (Q04).
    pub(crate) fn check_delay(&self, delay: Duration) -> Result<()> {
        if delay <= self.delay_max {
            return Ok(());
        }
        Err(Error::delay_too_long(delay, self.delay_max))
    }

    /// A backoff schedule (Q05).
    pub(crate) fn check_backoff(&self, intervals: &[Duration]) -> Result<()> {
        let count = intervals.len();
        within(
            count,
            self.backoff_intervals_max,
            Error::too_many_backoff_intervals,
        )?;
        let max = self.backoff_interval_max;
        match intervals.iter().position(|interval| *interval > max) {
            Some(index) => Err(Error::backoff_interval_too_long(
                index,
                intervals[index],
                max,
            )),
            None => Ok(()),
        }
    }

    /// The number of keys that an undelivered message is written to.
    pub(crate) fn check_undelivered_keys(&self, count: usize) -> Result<()> {
        within(
            count,
            self.undelivered_keys_max,
            Error::too_many_undelivered_keys,
        )
    }
}

/// Sizes up to which a mutation by itself is within every limit: [`Limits::single`]. One beyond them
/// may be, too.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SingleLimits {
    key_bytes: usize,
    value_bytes: usize,
}

impl SingleLimits {
    /// Everything is to be looked at closely.
    pub(crate) const NONE: Self = Self {
        key_bytes: 0,
        value_bytes: 0,
    };

    /// Whether a key, which must not be empty, and a value of so many bytes are within every limit.
    #[inline]
    pub(crate) fn allows(self, key_bytes: usize, value_bytes: usize) -> bool {
        key_bytes.wrapping_sub(1) < self.key_bytes && value_bytes <= self.value_bytes
    }
}

#[inline]
fn within(got: usize, max: usize, error: fn(usize, usize) -> Error) -> Result<()> {
    /// Apart, so that what goes on at every operation is a comparison.
    #[cold]
    fn refuse(got: usize, max: usize, error: fn(usize, usize) -> Error) -> Result<()> {
        Err(error(got, max))
    }
    if got <= max {
        Ok(())
    } else {
        refuse(got, max, error)
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
