//! How long a thread was held up, and how much of that was for want of a processor.
//!
//! Where there are more threads than processors, every operation of any kind takes milliseconds now and
//! then: its thread is in the run queue. Linux counts for each thread for how long it was.

use crate::history::Latency;
use cpu_time::ThreadTime;
use std::fs::File;
use std::io::{Read, Seek};
use std::time::{Duration, Instant};

/// What is faster than this is not looked into; and how old the last look at the count may be when an
/// operation begins. So the wait that is taken off it may be too long by as much, and so may be for how
/// long it ran.
const LOOK_AFTER: Duration = Duration::from_millis(1);

/// How long something took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Took {
    pub(super) wall: Duration,
    /// Without what its thread waited for a processor, if that is told.
    pub(super) own: Duration,
    /// What of that its thread ran. The rest it waited for a lock, or for its turn.
    pub(super) ran: Duration,
}

impl Took {
    /// The longest of each time, which need not be of one operation.
    pub(super) fn max(self, other: Self) -> Self {
        Self {
            wall: self.wall.max(other.wall),
            own: self.own.max(other.own),
            ran: self.ran.max(other.ran),
        }
    }
}

/// What this thread waits for a processor.
#[derive(Debug)]
pub(super) struct RunQueue {
    count: Option<File>,
    waited: Duration,
    /// When the count was looked at last, by the clock and by what this thread has run.
    looked: Instant,
    ran: ThreadTime,
}

impl RunQueue {
    /// That of the thread that calls this and is the only one to use it.
    pub(super) fn of_this_thread() -> Self {
        let mut queue = Self {
            count: File::open("/proc/thread-self/schedstat").ok(),
            waited: Duration::ZERO,
            looked: Instant::now(),
            ran: ThreadTime::now(),
        };
        queue.look(queue.looked);
        queue
    }

    /// Whether the system tells.
    pub(super) fn is_told(&self) -> bool {
        self.count.is_some()
    }

    /// How long this thread has waited, since it began and up to the last look.
    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    /// A moment that is no more than a millisecond ago, while something begins all the time.
    pub(super) fn now(&self) -> Instant {
        self.looked
    }

    /// Something is about to begin.
    pub(super) fn begin(&mut self) -> Instant {
        let now = Instant::now();
        if now - self.looked < LOOK_AFTER {
            return now;
        }
        self.look(now);
        Instant::now()
    }

    /// What began then has ended.
    pub(super) fn end(&mut self, begun: Instant) -> Took {
        let wall = begun.elapsed();
        if wall < LOOK_AFTER {
            return Took {
                wall,
                own: wall,
                ran: wall,
            };
        }
        let (waited, ran) = (self.waited, self.ran);
        self.look(begun + wall);
        let own = wall.saturating_sub(self.waited.saturating_sub(waited));
        let ran = self.ran.duration_since(ran).min(own);
        Took { wall, own, ran }
    }

    fn look(&mut self, now: Instant) {
        self.looked = now;
        self.ran = ThreadTime::now();
        self.waited = self.count().unwrap_or(self.waited);
    }

    /// The second of three numbers, in nanoseconds.
    fn count(&mut self) -> Option<Duration> {
        let file = self.count.as_mut()?;
        let mut text = [0; 80];
        let length = file.rewind().and_then(|()| file.read(&mut text)).ok()?;
        let text = str::from_utf8(&text[..length]).ok()?;
        let nanos = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(nanos))
    }
}

/// How long operations of one kind took, and the longest of each time.
#[derive(Clone, Debug)]
pub(super) struct Times {
    wall: Latency,
    own: Latency,
    pub(super) worst: Took,
}

impl Times {
    pub(super) fn new() -> Self {
        Self {
            wall: Latency::new(),
            own: Latency::new(),
            worst: Took::default(),
        }
    }

    pub(super) fn record(&mut self, took: Took) {
        self.wall.record(took.wall);
        self.own.record(took.own);
        self.worst = self.worst.max(took);
    }

    /// How many took longer, less the run queue.
    pub(super) fn longer_than(&self, time: Duration) -> u64 {
        self.own.count_above(time)
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.wall.merge(&other.wall);
        self.own.merge(&other.own);
        self.worst = self.worst.max(other.worst);
    }

    /// A line of a table under [`times_head`], in microseconds.
    pub(super) fn line(&self, name: &str) -> String {
        let quantiles = [50.0, 99.0, 99.9, 99.99].map(|percentile| {
            let of = |times: &Latency| times.percentile_us(percentile);
            [of(&self.own), of(&self.wall)]
        });
        let Took { wall, own, ran } = self.worst;
        let [wall, own, ran] = [wall, own, ran].map(|time| time.as_secs_f64() * 1e6);
        let mut columns = vec![format!("{name:<22}{:>12}", self.wall.count())];
        for [own, wall] in quantiles.into_iter().chain([[own, wall]]) {
            columns.push(format!("{own:>9.1} ({wall:>9.1})"));
        }
        columns.push(format!("{ran:>13.1}"));
        columns.join("  ")
    }
}

/// The head of a table of [`Times`].
pub(super) fn times_head() -> String {
    let mut columns = vec![format!("{:<22}{:>12}", "us, less run queue", "count")];
    let quantiles = ["p50", "p99", "p99.9", "p99.99", "worst"];
    columns.extend(quantiles.map(|column| format!("{column:>9} ({:>9})", "wall")));
    columns.push("worst running".to_owned());
    columns.join("  ")
}

#[cfg(test)]
mod tests {
    use super::{LOOK_AFTER, RunQueue, Times, Took};
    use std::time::{Duration, Instant};

    #[test]
    fn no_more_is_taken_off_than_something_took() {
        let mut queue = RunQueue::of_this_thread();
        let mut longest = Duration::ZERO;
        let deadline = Instant::now() + Duration::from_millis(50);
        while Instant::now() < deadline {
            let begun = queue.begin();
            while begun.elapsed() < LOOK_AFTER {
                std::hint::spin_loop();
            }
            let took = queue.end(begun);
            assert!(took.ran <= took.own && took.own <= took.wall, "{took:?}");
            assert!(took.wall >= LOOK_AFTER, "{took:?}");
            longest = longest.max(took.ran);
        }
        // Whatever it shared its processor with, it has run.
        assert!(longest > Duration::ZERO);
    }

    #[test]
    fn the_worst_is_kept_to_the_nanosecond() {
        let mut times = Times::new();
        for nanos in [12_345_678, 1_000] {
            let wall = Duration::from_nanos(nanos);
            times.record(Took {
                wall,
                own: wall / 2,
                ran: wall / 3,
            });
        }
        let mut all = Times::new();
        all.add(&times);
        assert_eq!(all.worst.wall, Duration::from_nanos(12_345_678));
        assert_eq!(all.worst.own, Duration::from_nanos(6_172_839));
        assert_eq!(all.worst.ran, Duration::from_nanos(4_115_226));
    }
}
