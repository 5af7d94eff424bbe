//! How long things take.

use hdrhistogram::Histogram;
use std::time::Duration;

/// A histogram of durations, to three digits, up to a minute.
#[derive(Clone, Debug)]
pub(crate) struct Latency(Histogram<u64>);

impl Latency {
    pub(crate) fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, 60_000_000_000, 2);
        Self(histogram.expect("the bounds are in order"))
    }

    pub(crate) fn record(&mut self, took: Duration) {
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.0.saturating_record(nanos);
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.0.add(&other.0).expect("the bounds are the same");
    }

    /// How many there were.
    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// How many were slower, to the precision of the histogram.
    pub(crate) fn count_above(&self, time: Duration) -> u64 {
        let nanos = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.0.count_between(nanos, u64::MAX)
    }

    /// What so many in a hundred were not slower than, in microseconds.
    pub(crate) fn percentile_us(&self, percentile: f64) -> f64 {
        Duration::from_nanos(self.0.value_at_percentile(percentile)).as_secs_f64() * 1e6
    }
}
