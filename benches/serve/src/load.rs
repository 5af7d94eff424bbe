//! Loads: so many requests in flight, or so many a second.

use crate::call::Caller;
use crate::flight::Flights;
use crate::workload::{Next, Workload};
use hdrhistogram::Histogram;
use std::thread;
use std::time::{Duration, Instant};

/// The longest latency that is told apart.
const LONGEST: Duration = Duration::from_secs(60);

/// How many requests a connection may have under way where they come at a rate. Servers take 200.
const UNDER_WAY_MAX: usize = 128;

/// What is counted: what is answered from then on, until then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub(crate) from: Instant,
    pub(crate) until: Instant,
}

/// What has come of a load.
#[derive(Clone, Debug)]
pub(crate) struct Tally {
    pub(crate) done: u64,
    pub(crate) conflicts: u64,
    /// In nanoseconds.
    pub(crate) latencies: Histogram<u64>,
}

impl Tally {
    pub(crate) fn new() -> Self {
        let longest = u64::try_from(LONGEST.as_nanos()).unwrap_or(u64::MAX);
        Self {
            done: 0,
            conflicts: 0,
            latencies: Histogram::new_with_bounds(1, longest, 3)
                .expect("three digits of a minute are few enough"),
        }
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.done += other.done;
        self.conflicts += other.conflicts;
        // PANICS: never. Both have the same bounds.
        self.latencies
            .add(&other.latencies)
            .expect("they are alike");
    }

    fn count<A>(&mut self, next: &Next<A>, begun: Instant, now: Instant, window: Window) {
        if now < window.from || now >= window.until {
            return;
        }
        match next {
            Next::Done => {
                self.done += 1;
                let took = now.saturating_duration_since(begun).as_nanos();
                self.latencies
                    .saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
            }
            Next::Conflict => self.conflicts += 1,
            Next::Ask(_) => {}
        }
    }
}

/// The closed loop: the next request goes out when an answer has come.
pub(crate) fn closed<W: Workload>(
    caller: &mut Caller,
    workload: &mut W,
    in_flight: usize,
    window: Window,
) -> Result<Tally, String> {
    let Caller { requests, receiver } = caller;
    let mut tally = Tally::new();
    let mut flights = Flights::default();
    for _ in 0..in_flight {
        let asked = workload.draw();
        flights.begin(workload.ask(&asked, requests), Instant::now(), asked);
    }
    while flights.len() > 0 {
        requests.flush(&mut receiver.replies)?;
        receiver.read().map_err(|error| error.to_string())?;
        let now = Instant::now();
        while let Some(part) = receiver.next().map_err(|error| error.to_string())? {
            let Some(landed) = flights.take(&part)? else {
                continue;
            };
            let next = workload.answered(landed.what, &landed.body)?;
            flights.spare(landed.body);
            tally.count(&next, landed.begun, now, window);
            let (begun, asked) = match next {
                Next::Ask(asked) => (landed.begun, asked),
                _ if now < window.until => (now, workload.draw()),
                _ => continue,
            };
            flights.begin(workload.ask(&asked, requests), begun, asked);
        }
    }
    Ok(tally)
}

/// The open loop: requests go out at their time, whether or not others were answered. How long one takes
/// is counted from that time, so that none is left out that had to wait to be sent: it goes out with the next
/// answer at the latest, for until then this waits.
pub(crate) fn open<W: Workload>(
    caller: &mut Caller,
    workload: &mut W,
    every: Duration,
    window: Window,
) -> Result<Tally, String> {
    let Caller { requests, receiver } = caller;
    let mut tally = Tally::new();
    let mut flights = Flights::default();
    let mut due = Instant::now();
    loop {
        let now = Instant::now();
        while due <= now && due < window.until && flights.len() < UNDER_WAY_MAX {
            let asked = workload.draw();
            flights.begin(workload.ask(&asked, requests), due, asked);
            due += every;
        }
        requests.flush(&mut receiver.replies)?;
        if flights.len() == 0 {
            if due >= window.until {
                return Ok(tally);
            }
            #[expect(clippy::disallowed_methods, reason = "it is time itself that passes")]
            thread::sleep(due.saturating_duration_since(now));
            continue;
        }
        receiver.read().map_err(|error| error.to_string())?;
        let now = Instant::now();
        while let Some(part) = receiver.next().map_err(|error| error.to_string())? {
            let Some(landed) = flights.take(&part)? else {
                continue;
            };
            let next = workload.answered(landed.what, &landed.body)?;
            flights.spare(landed.body);
            tally.count(&next, landed.begun, now, window);
            if let Next::Ask(asked) = next {
                flights.begin(workload.ask(&asked, requests), landed.begun, asked);
            }
        }
    }
}
