//! How long open snapshots have been out of date.
//!
//! To open a snapshot takes less than a hundred nanoseconds, and to read a clock a quarter of that. So
//! nobody dates a snapshot when it opens. What matters of its age is for how long it has kept what
//! others have superseded, and that begins with the first commit after it: whoever looks at the open
//! snapshots anyway, and finds one whose stamp is not the latest any more, notes when that was. That is
//! every sweep, of which there is one within some 50 milliseconds of a commit, and whoever asks.
//!
//! A stamp stands for a snapshot, because none is opened at a stamp that is not the latest.

use super::Engine;
use crate::sync::{Mutex, reserve};
use crate::version::Stamp;
use std::time::Duration;

/// The open snapshots that are known to be out of date, with when they were first found so, by the
/// clock; in the order of their stamps.
#[derive(Debug, Default)]
pub(super) struct Ages(Mutex<Vec<(Stamp, Duration)>>);

impl Ages {
    /// Notes which snapshots are open, ascending, and that those below `latest` are out of date; since
    /// when the oldest is known to have been.
    fn note(
        &self,
        open: &[Stamp],
        latest: Stamp,
        now: impl FnOnce() -> Duration,
    ) -> Option<Duration> {
        let mut dated = self.0.lock();
        dated.retain(|(stamp, _)| open.binary_search(stamp).is_ok());
        let outdated = &open[..open.partition_point(|stamp| *stamp < latest)];
        // All that are dated are among these, and were before those that are not.
        let known = dated.len();
        let new = outdated.len().saturating_sub(known);
        // Where there is no memory for it, it is noted next time.
        if new > 0 && reserve(&mut *dated, new).is_ok() {
            let now = now();
            let is_known = |stamp: &Stamp, dated: &[(Stamp, Duration)]| {
                dated
                    .binary_search_by_key(stamp, |(stamp, _)| *stamp)
                    .is_ok()
            };
            for stamp in outdated {
                if !is_known(stamp, &dated[..known]) {
                    dated.push((*stamp, now));
                }
            }
            dated.sort_unstable();
        }
        dated.first().map(|(_, since)| *since)
    }
}

impl Engine {
    /// Notes which of the open snapshots are out of date; for how long the oldest has been.
    pub(crate) fn date_snapshots(&self) -> Option<Duration> {
        let horizon = self.registry.horizon();
        // After the snapshots: whatever is below it is out of date.
        let latest = self.latest();
        let now = || self.clock().now();
        let since = self.ages.note(horizon.snapshots(), latest, now)?;
        Some(now().saturating_sub(since))
    }
}

#[cfg(test)]
mod tests {
    use super::Ages;
    use crate::version::Stamp;
    use std::time::Duration;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn note(ages: &Ages, open: &[u64], latest: u64, now: u64) -> Option<Duration> {
        let open: Vec<_> = open.iter().copied().map(Stamp::new).collect();
        ages.note(&open, Stamp::new(latest), || seconds(now))
    }

    #[test]
    fn a_snapshot_is_dated_once_when_it_is_found_out_of_date() {
        let ages = Ages::default();
        assert_eq!(note(&ages, &[], 7, 1), None);
        // It sees the newest.
        assert_eq!(note(&ages, &[7], 7, 2), None);
        assert_eq!(note(&ages, &[7], 8, 3), Some(seconds(3)));
        assert_eq!(note(&ages, &[7, 8], 9, 4), Some(seconds(3)));
        // The next oldest has its own date.
        assert_eq!(note(&ages, &[8, 9], 9, 5), Some(seconds(4)));
        assert_eq!(note(&ages, &[9], 9, 6), None);
        assert_eq!(note(&ages, &[9], 10, 7), Some(seconds(7)));
        assert_eq!(note(&ages, &[], 10, 8), None);
        assert!(ages.0.lock().is_empty());
    }

    #[test]
    fn no_clock_is_read_where_nothing_is_new() {
        let ages = Ages::default();
        let open = [Stamp::new(1), Stamp::new(2)];
        let unread = || unreachable!("nothing is out of date that was not");
        assert_eq!(ages.note(&open[1..], Stamp::new(2), unread), None);
        let first = ages.note(&open, Stamp::new(3), || seconds(1));
        assert_eq!(first, Some(seconds(1)));
        assert_eq!(ages.note(&open, Stamp::new(4), unread), Some(seconds(1)));
    }
}
