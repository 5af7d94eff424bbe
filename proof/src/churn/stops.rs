//! When the machine stood still, and what held something up besides.
//!
//! A virtual machine is stopped now and then, for milliseconds. Linux takes that for time for which the
//! threads ran that it had on its processors. A thread that only sleeps sees it by waking up late.

use super::run_queue::Took;
use std::time::{Duration, Instant};

/// What is shorter is not looked into.
const LOOK_AFTER: Duration = Duration::from_millis(2);

/// How many are kept of each kind, at most. Nobody would look at more.
const KEPT_MAX: usize = 100_000;

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
        if late.own >= LOOK_AFTER && self.0.len() < KEPT_MAX {
            self.0.push(Stop {
                from: due,
                to: due + late.wall,
                length: late.own,
            });
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
        long.took.own.saturating_sub(stood_still.sum())
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
        if took.own >= LOOK_AFTER && self.0.len() < KEPT_MAX {
            self.0.push(Long { begun, took });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Long, Longs, Stops, Took};
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
        assert_eq!(rest(5, 30, 20), 3, "all of the first");
        assert_eq!(rest(25, 30, 20), 15, "the end of it");
        assert_eq!(rest(50, 100, 90), 90, "what is short is none");
        assert_eq!(rest(0, 300, 60), 13, "both");
        assert_eq!(rest(200, 30, 12), 0, "no more than it took");
        let longs = [5, 25].map(|begun| Long {
            begun: at(begun),
            took: took(30, 20),
        });
        assert_eq!(stops.longest_rest(&longs).as_millis(), 15);
    }
}
