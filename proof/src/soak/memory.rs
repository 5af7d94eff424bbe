//! How much memory the process has, and whether it becomes more.

use std::fs;
use std::time::Duration;

/// The bytes of one MiB.
pub(crate) const MIB: f64 = 1_048_576.0;

/// The size of a page, as Linux counts them here.
const PAGE_BYTES: f64 = 4_096.0;

/// Fewer samples say nothing.
const SAMPLES_MIN: usize = 5;

/// The memory of this process that is in use, where the system tells.
pub(crate) fn resident_mib() -> Option<f64> {
    let pages = fs::read_to_string("/proc/self/statm").ok()?;
    let pages: f64 = pages.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * PAGE_BYTES / MIB)
}

/// Samples of memory over time.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// In hours, and in MiB.
    samples: Vec<(f64, f64)>,
}

/// A line through samples.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Slope {
    /// By how many MiB it rises.
    pub(crate) per_hour: f64,
    /// Two standard errors of that.
    pub(crate) error: f64,
    pub(crate) mean: f64,
    pub(crate) samples: usize,
}

impl Memory {
    pub(crate) fn note(&mut self, at: Duration, mib: Option<f64>) {
        let hours = at.as_secs_f64() / 3_600.0;
        self.samples.extend(mib.map(|mib| (hours, mib)));
    }

    /// The line of least squares through the samples.
    #[expect(clippy::cast_precision_loss, reason = "there are few samples")]
    pub(crate) fn slope(&self) -> Option<Slope> {
        let count = self.samples.len();
        if count < SAMPLES_MIN {
            return None;
        }
        let mean =
            |of: fn(&(f64, f64)) -> f64| self.samples.iter().map(of).sum::<f64>() / count as f64;
        let (x_mean, y_mean) = (mean(|sample| sample.0), mean(|sample| sample.1));
        let spread = self.samples.iter().map(|(x, _)| (x - x_mean).powi(2));
        let spread: f64 = spread.sum();
        let common = self
            .samples
            .iter()
            .map(|(x, y)| (x - x_mean) * (y - y_mean));
        let per_hour = common.sum::<f64>() / spread;
        let residual = |(x, y): &(f64, f64)| y - y_mean - per_hour * (x - x_mean);
        let squares: f64 = self
            .samples
            .iter()
            .map(|sample| residual(sample).powi(2))
            .sum();
        Some(Slope {
            per_hour,
            error: 2.0 * (squares / (count - 2) as f64 / spread).sqrt(),
            mean: y_mean,
            samples: count,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Memory;
    use std::time::Duration;

    fn memory(of: impl Fn(u32) -> f64) -> Memory {
        let mut memory = Memory::default();
        for minute in 0..60 {
            memory.note(Duration::from_secs(60) * minute, Some(of(minute)));
        }
        memory
    }

    #[test]
    fn what_grows_is_told_from_what_only_scatters() {
        let scatter = |minute: u32| f64::from(minute * 7 % 5) - 2.0;
        let steady = memory(|minute| 100.0 + scatter(minute))
            .slope()
            .expect("60 samples");
        assert!(steady.per_hour.abs() < steady.error, "{steady:?}");
        let growing = memory(|minute| 100.0 + scatter(minute) + f64::from(minute) / 12.0);
        let growing = growing.slope().expect("60 samples");
        assert!(
            (growing.per_hour - 5.0).abs() < growing.error,
            "{growing:?}"
        );
        assert!(growing.per_hour - growing.error > 3.0, "{growing:?}");
    }

    #[test]
    fn a_few_samples_say_nothing() {
        let mut memory = Memory::default();
        memory.note(Duration::ZERO, Some(1.0));
        memory.note(Duration::ZERO, None);
        assert_eq!(memory.slope(), None);
    }
}
