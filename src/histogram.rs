//! How long operations have taken, as the user sees it.

use crate::engine::latency::{BUCKETS, Durations, Timed, largest_in};
use crate::kv::Kv;
use std::time::Duration;

/// How long operations have taken, since the beginning: [`Kv::latencies`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Latencies {
    /// Calls that read by key: `get`, `get_many` and `with_entry` of the database; of the last, with what
    /// the closure does.
    pub reads: Histogram,
    /// Calls that commit, also where they came to a conflict or an error, each attempt of a transaction
    /// or an update by itself, and without what its closure does. From before they wait for the turn
    /// of another or for a lock, until whatever they do has been done.
    pub commits: Histogram,
}

/// How often something took how long.
///
/// A duration counts in one of sixteen buckets for each doubling of a nanosecond: what is told of it is
/// too much by a sixteenth at most. What takes longer than 2^36 nanoseconds, 68 seconds, is counted, but
/// not told apart.
///
/// ```
/// use kvick::Kv;
/// use std::time::Duration;
///
/// let kv = Kv::builder().latency_histograms(true).build();
/// for number in 0..100 {
///     kv.set(("n", number), number)?;
/// }
/// let commits = kv.latencies().ok_or("it was asked for")?.commits;
/// assert_eq!(commits.count(), 100);
/// assert!(commits.quantile(0.5) <= commits.quantile(0.99));
/// assert!(commits.quantile(1.0) <= commits.max());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram(Durations);

impl Histogram {
    /// How many durations there are.
    pub fn count(&self) -> u64 {
        self.0.counts.iter().sum()
    }

    /// All durations together, exactly.
    pub fn sum(&self) -> Duration {
        self.0.sum
    }

    /// The longest, exactly, or, of a [difference](Self::since), as its bucket has it; `None` where there
    /// is none.
    pub fn max(&self) -> Option<Duration> {
        (self.count() > 0).then_some(self.0.longest)
    }

    /// The average; `None` where there is none.
    pub fn mean(&self) -> Option<Duration> {
        let nanos = self.0.sum.as_nanos().checked_div(self.count().into())?;
        Some(Duration::from_nanos(
            u64::try_from(nanos).unwrap_or(u64::MAX),
        ))
    }

    /// The duration that this part of all durations does not exceed: 0.5 is the median, 0.99 what one of
    /// a hundred exceeds, and whatever is not above 0 the shortest. `None` where there is none.
    pub fn quantile(&self, part: f64) -> Option<Duration> {
        let count = self.count();
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            clippy::cast_sign_loss,
            reason = "it saturates, and what is lost is far less than a bucket"
        )]
        let rank = ((part * count as f64).ceil() as u64).clamp(1, count.max(1));
        let mut passed = 0;
        let bucket = self.0.counts.iter().position(|count| {
            passed += count;
            passed >= rank
        })?;
        let largest = Duration::from_nanos(largest_in(bucket));
        // The last bucket has no largest.
        let is_last = bucket == BUCKETS - 1;
        Some(if is_last {
            self.0.longest
        } else {
            largest.min(self.0.longest)
        })
    }

    /// The buckets that hold any, ascending: the longest duration that is counted there, and how many
    /// are. That of the last bucket of all is the longest that there was.
    pub fn buckets(&self) -> impl Iterator<Item = (Duration, u64)> {
        let counts = self.0.counts.iter().copied().enumerate();
        counts
            .filter(|(_, count)| *count > 0)
            .map(|(bucket, count)| {
                let is_last = bucket == BUCKETS - 1;
                let largest = Duration::from_nanos(largest_in(bucket));
                (if is_last { self.0.longest } else { largest }, count)
            })
    }

    /// What has been added since an earlier state of the same histogram: a minute's quantiles, say.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.0.counts.iter().zip(&earlier.0.counts);
        let counts: Box<[u64]> = pairs.map(|(now, then)| now.saturating_sub(*then)).collect();
        let last = counts.iter().rposition(|count| *count > 0);
        let longest = last.map_or(0, largest_in);
        let is_last = last == Some(BUCKETS - 1);
        let longest = if is_last {
            self.0.longest
        } else {
            Duration::from_nanos(longest)
        };
        Self(Durations {
            counts,
            sum: self.0.sum.saturating_sub(earlier.0.sum),
            longest: longest.min(self.0.longest),
        })
    }
}

impl Kv {
    /// How long operations have taken, if the database was built to [tell](crate::Builder::latency_histograms).
    pub fn latencies(&self) -> Option<Latencies> {
        let engine = self.engine();
        Some(Latencies {
            reads: Histogram(engine.durations(Timed::Read)?),
            commits: Histogram(engine.durations(Timed::Commit)?),
        })
    }
}
