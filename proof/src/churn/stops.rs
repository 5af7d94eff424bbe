//! When the machine stood still, and what held something up besides.
//!
//! A virtual machine is stopped now and then, for milliseconds. Linux takes that for time for which the
//! threads ran that it had on its processors. A thread that only sleeps sees it by waking up late.

use super::run_queue::Took;
use std::cmp::Reverse;
use std::time::{Duration, Instant};

/// What is shorter is not looked into.
const LOOK_AFTER: Duration = Duration::from_millis(2);

/// How many are kept of each kind, at most: the longest.
const KEPT_MAX: usize = 100_000;

/// Keeps so many of the longest, about: half of them are let go of where there are more.
fn keep_longest<T>(all: &mut Vec<T>, length: impl Fn(&T) -> Duration) {
    if all.len() > KEPT_MAX {
        all.sort_unstable_by_key(|one| Reverse(length(one)));
        all.truncate(KEPT_MAX / 2);
    }
}

/// Something that took long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Long {
    pub(super) begun: Instant,
    pub(super) took: Took,
}

/// The machine stood still for so long, some time between these two.
#[derive(Clone, Copy, Debug)]
struct Stop {
    from: Instant,
    to: Instant,
    length: Duration,
}

/// When the machine stood still, as somebody saw who slept.
#[derive(Clone, Debug, Default)]
pub(super) struct Stops(Vec<Stop>);

impl Stops {
    /// Somebody was to wake up then, and did so later, by so much less the run queue.
    pub(super) fn note(&mut self, due: Instant, late: Took) {
        if late.own >= LOOK_AFTER {
            self.0.push(Stop {
                from: due,
                to: due + late.wall,
                length: late.own,
            });
            keep_longest(&mut self.0, |stop| stop.length);
        }
    }

    /// For how long something was held up, less the run queue, and less as much as the machine can have
    /// stood still meanwhile.
    fn rest_of(&self, long: &Long) -> Duration {
        let end = long.begun + long.took.wall;
        let stood_still = self.0.iter().map(|stop| {
            let common = end
                .min(stop.to)
                .saturating_duration_since(long.begun.max(stop.from));
            common.min(stop.length)
        });
        // What it waited for a processor is taken off already, and may be of the same time.
        let in_run_queue = long.took.wall.saturating_sub(long.took.own);
        let stood_still: Duration = stood_still.sum();
        let besides = stood_still.saturating_sub(in_run_queue);
        long.took.own.saturating_sub(besides)
    }

    /// The longest of these, less all of that.
    pub(super) fn longest_rest(&self, all: &[Long]) -> Duration {
        let rests = all.iter().map(|long| self.rest_of(long));
        rests.max().unwrap_or_default()
    }
}

/// What took long enough to be looked into.
#[derive(Clone, Debug, Default)]
pub(super) struct Longs(pub(super) Vec<Long>);

impl Longs {
    pub(super) fn note(&mut self, begun: Instant, took: Took) {
        if took.own >= LOOK_AFTER {
            self.0.push(Long { begun, took });
            keep_longest(&mut self.0, |long| long.took.own);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{KEPT_MAX, Long, Longs, Stops, Took};
    use std::time::{Duration, Instant};

    fn took(wall: u64, own: u64) -> Took {
        let [wall, own] = [wall, own].map(Duration::from_millis);
        Took {
            wall,
            own,
            ran: Duration::ZERO,
        }
    }

    #[test]
    fn only_what_the_machine_stood_still_meanwhile_is_taken_off() {
        let zero = Instant::now();
        let at = |millis| zero + Duration::from_millis(millis);
        let mut stops = Stops::default();
        stops.note(at(10), took(20, 17));
        stops.note(at(100), took(1, 1));
        stops.note(at(200), took(30, 30));
        let rest = |begun, wall, own| {
            let mut longs = Longs::default();
            longs.note(at(begun), took(wall, own));
            stops.longest_rest(&longs.0).as_millis()
        };
        assert_eq!(rest(5, 30, 30), 13, "all of the first");
        assert_eq!(rest(25, 30, 30), 25, "the end of it");
        assert_eq!(rest(50, 100, 100), 100, "what is short is none");
        assert_eq!(rest(0, 300, 300), 253, "both");
        assert_eq!(rest(205, 12, 12), 0, "no more than it took");
        assert_eq!(
            rest(5, 30, 20),
            13,
            "what is taken off already is not again"
        );
        let longs = [5, 25].map(|begun| Long {
            begun: at(begun),
            took: took(30, 30),
        });
        assert_eq!(stops.longest_rest(&longs).as_millis(), 25);
    }

    #[test]
    fn the_longest_are_kept_whenever_they_come() {
        let zero = Instant::now();
        let mut longs = Longs::default();
        for _ in 0..=KEPT_MAX {
            longs.note(zero, took(3, 3));
        }
        longs.note(zero, took(9, 9));
        for _ in 0..KEPT_MAX {
            longs.note(zero, took(4, 4));
        }
        assert_eq!(Stops::default().longest_rest(&longs.0).as_millis(), 9);
    }
}
