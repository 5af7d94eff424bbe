//! How long operations take, where that is asked for.
//!
//! Durations are counted in buckets, sixteen to each doubling, so that whatever is told of them is off by
//! a sixteenth at most. Threads count as in a tally (`mvcc::tally`): each in buckets of its own, or in
//! those that are shared. Where nothing is asked for, no clock is read, and all that an operation does is
//! to look whether.

use super::Engine;
use super::commit::Outcome;
use super::write::{RangeReads, Write};
use crate::error::{Error, Result};
use crate::mvcc::tally::Tally;
use crate::sync::{AtomicU64, Ordering, number_thread, thread_number};
use std::time::Duration;

/// The logarithm of the buckets for each doubling.
const STEP_BITS: u32 = 4;

/// From here on all durations are counted as one: 2^36 nanoseconds, 68 seconds.
const DOUBLINGS_MAX: u32 = 36;

/// Those below sixteen nanoseconds have a bucket each, and so have the steps of each doubling.
pub(crate) const BUCKETS: usize = ((DOUBLINGS_MAX - STEP_BITS + 1) << STEP_BITS) as usize;

/// Behind the buckets: the sum of all durations in nanoseconds.
const SUM: usize = BUCKETS;

const CELLS: usize = BUCKETS + 1;

/// The bucket that so many nanoseconds are counted in.
fn bucket_of(nanos: u64) -> usize {
    let nanos = nanos.min((1 << DOUBLINGS_MAX) - 1);
    let doubling = (u64::BITS - nanos.leading_zeros()).saturating_sub(STEP_BITS + 1);
    // At most 36 bits, and these many buckets.
    (doubling as usize * (1 << STEP_BITS)) + (nanos >> doubling) as usize
}

/// The most nanoseconds that are counted in a bucket; there is no such number for the last.
pub(crate) const fn largest_in(bucket: usize) -> u64 {
    let step = 1 << STEP_BITS;
    if bucket < 2 * step {
        return bucket as u64;
    }
    let doubling = bucket / step - 1;
    ((((bucket % step) + step + 1) as u64) << doubling) - 1
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Timed {
    Read,
    Commit,
}

/// How often an operation took how long.
#[derive(Debug)]
struct Timings {
    tally: Tally<CELLS>,
    /// The longest, in nanoseconds.
    longest: AtomicU64,
}

impl Timings {
    fn new(threads: usize) -> Self {
        Self {
            tally: Tally::new(threads),
            longest: AtomicU64::new(0),
        }
    }

    fn add(&self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        for (kind, count) in [(bucket_of(nanos), 1), (SUM, nanos)] {
            if !self.tally.count_own(thread_number(), kind, count) {
                number_thread();
                self.tally.count_shared(kind, count);
            }
        }
        // ORDERING: Relaxed. A statistic. Most often there has been a longer one.
        if self.longest.load(Ordering::Relaxed) < nanos {
            // ORDERING: Relaxed, as above.
            self.longest.fetch_max(nanos, Ordering::Relaxed);
        }
    }

    fn read(&self) -> Durations {
        let counts = self.tally.counts();
        Durations {
            counts: counts[..BUCKETS].into(),
            sum: Duration::from_nanos(counts[SUM]),
            // ORDERING: Relaxed. A statistic.
            longest: Duration::from_nanos(self.longest.load(Ordering::Relaxed)),
        }
    }
}

/// How often an operation has taken how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Durations {
    /// By bucket.
    pub(crate) counts: Box<[u64]>,
    pub(crate) sum: Duration,
    pub(crate) longest: Duration,
}

/// What is to be done with how long operations take.
#[derive(Debug, Default)]
pub(super) struct Latency {
    /// Whether commits are timed, for whatever reason.
    times_commits: bool,
    timings: Option<Box<[Timings; 2]>>,
    #[cfg(feature = "tracing")]
    slow: Option<Duration>,
}

impl Latency {
    /// Counts in histograms, for so many threads by themselves.
    pub(super) fn new(has_histograms: bool, slow: Option<Duration>, threads: usize) -> Self {
        let timings = || Box::new([Timings::new(threads), Timings::new(threads)]);
        Self {
            times_commits: has_histograms || slow.is_some(),
            timings: has_histograms.then(timings),
            #[cfg(feature = "tracing")]
            slow,
        }
    }
}

/// What a commit was, for whoever wants to know why it was slow.
#[cfg_attr(
    not(feature = "tracing"),
    expect(dead_code, reason = "only events tell it")
)]
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    /// Keys that it names in mutations, each as often as it does, and messages.
    pub(crate) writes: usize,
    /// Keys that it checks; of a transaction those that it has read.
    pub(crate) checks: usize,
    /// Which attempt it was, from 1 on.
    pub(crate) attempt: u32,
    pub(crate) end: End,
}

impl Facts {
    pub(crate) fn of(write: &Write<'_>, end: End) -> Self {
        let enqueues = write.enqueues().len();
        Self {
            writes: write.mutations.len() + write.versionstamped().len() + enqueues,
            checks: write.checks.len(),
            attempt: 1,
            end,
        }
    }
}

/// What became of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Committed,
    Conflict,
    Refused,
}

impl End {
    fn of<T>(result: &Result<T>) -> Self {
        match result {
            Ok(_) => Self::Committed,
            Err(_) => Self::Refused,
        }
    }

    pub(crate) fn of_outcome(result: Result<&Outcome, &Error>) -> Self {
        match result {
            Ok(Outcome::Committed(_)) => Self::Committed,
            Ok(Outcome::Conflict(_)) => Self::Conflict,
            Err(_) => Self::Refused,
        }
    }
}

impl Engine {
    /// Whether point reads are timed.
    #[inline]
    pub(crate) fn times_reads(&self) -> bool {
        self.latency.timings.is_some()
    }

    /// Whether commits are timed.
    #[inline]
    pub(crate) fn times_commits(&self) -> bool {
        self.latency.times_commits
    }

    /// Makes a point read, timed where that is asked for.
    #[inline]
    pub(crate) fn timed_read<R>(&self, read: impl FnOnce() -> R) -> R {
        if !self.times_reads() {
            return read();
        }
        self.time(Timed::Read, read).0
    }

    /// Makes a commit of one mutation or message, timed where that is asked for.
    #[inline]
    pub(crate) fn timed<R>(&self, commit: impl FnOnce() -> Result<R>) -> Result<R> {
        if !self.times_commits() {
            return commit();
        }
        let (result, took) = self.time(Timed::Commit, commit);
        self.tell_slow(took, || Facts {
            writes: 1,
            checks: 0,
            attempt: 1,
            end: End::of(&result),
        });
        result
    }

    /// Makes a commit, timed where that is asked for.
    #[inline]
    pub(crate) fn timed_write(
        &self,
        write: &Write<'_>,
        commit: impl FnOnce() -> Result<Outcome>,
    ) -> Result<Outcome> {
        if !self.times_commits() {
            return commit();
        }
        let (result, took) = self.time(Timed::Commit, commit);
        self.tell_slow(took, || Facts::of(write, End::of_outcome(result.as_ref())));
        result
    }

    /// [`commit_tracked`](Self::commit_tracked), timed where that is asked for.
    #[inline]
    pub(crate) fn commit_tracked_timed(
        &self,
        write: &Write<'_>,
        reads: Option<&RangeReads>,
        attempt: u32,
    ) -> Result<Outcome> {
        let commit = || self.commit_tracked(write, reads);
        if !self.times_commits() {
            return commit();
        }
        let (result, took) = self.time(Timed::Commit, commit);
        self.tell_slow(took, || {
            let facts = Facts::of(write, End::of_outcome(result.as_ref()));
            Facts {
                checks: facts.checks + reads.map_or(0, |reads| reads.ranges.len()),
                attempt,
                ..facts
            }
        });
        result
    }

    /// Does something, and counts how long that takes.
    #[cold]
    #[inline(never)]
    fn time<R>(&self, timed: Timed, work: impl FnOnce() -> R) -> (R, Duration) {
        let began = self.clock().now();
        let result = work();
        let took = self.clock().now().saturating_sub(began);
        if let Some(timings) = &self.latency.timings {
            timings[timed as usize].add(took);
        }
        (result, took)
    }

    #[cfg(not(feature = "tracing"))]
    #[expect(clippy::unused_self, reason = "with the feature it does")]
    fn tell_slow(&self, _took: Duration, _facts: impl FnOnce() -> Facts) {}

    #[cfg(feature = "tracing")]
    #[cold]
    fn tell_slow(&self, took: Duration, facts: impl FnOnce() -> Facts) {
        if self.latency.slow.is_none_or(|slow| took < slow) {
            return;
        }
        let facts = facts();
        let outcome = match facts.end {
            End::Committed => "committed",
            End::Conflict => "conflict",
            End::Refused => "refused",
        };
        tracing::warn!(
            target: "kvick",
            duration_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX),
            writes = facts.writes as u64,
            checks = facts.checks as u64,
            attempt = facts.attempt,
            outcome,
            "slow commit"
        );
    }

    /// How often an operation has taken how long, if that is counted.
    pub(crate) fn durations(&self, timed: Timed) -> Option<Durations> {
        let timings = self.latency.timings.as_ref()?;
        Some(timings[timed as usize].read())
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, DOUBLINGS_MAX, bucket_of, largest_in};

    #[test]
    fn each_duration_is_in_one_bucket_and_off_by_a_sixteenth_at_most() {
        let mut smallest = 0;
        for bucket in 0..BUCKETS {
            let largest = largest_in(bucket);
            for nanos in [smallest, u64::midpoint(smallest, largest), largest] {
                assert_eq!(bucket_of(nanos), bucket, "{nanos}");
            }
            assert!(
                largest - smallest <= smallest / 16,
                "{smallest} to {largest}"
            );
            smallest = largest + 1;
        }
        assert_eq!(smallest, 1 << DOUBLINGS_MAX);
        assert_eq!(bucket_of(u64::MAX), BUCKETS - 1);
    }
}
