//! Loads: so many requests in flight, or so many a second.

use crate::call::{Caller, Requests};
use crate::connection::Receiver;
use crate::flight::Flights;
use crate::workload::{Next, Workload};
use hdrhistogram::Histogram;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

/// The longest latency that is told apart.
const LONGEST: Duration = Duration::from_secs(60);

/// How many requests a connection may have under way where they come at a rate. Servers take 200.
const UNDER_WAY_MAX: usize = 128;

/// How often is sent what is due, where requests come at a rate. To wake up for each would take more of the
/// processors than to answer it.
const SEND_EVERY: Duration = Duration::from_micros(150);

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

/// What the two threads of a connection share.
struct Shared<'w, W: Workload> {
    workload: &'w mut W,
    flights: Flights<W::Asked>,
    tally: Tally,
    replies: Vec<u8>,
    /// Nothing more is sent.
    is_over: bool,
}

/// The open loop: requests go out at their time, whether or not others were answered. How long one takes
/// is counted from that time, so that none is left out that had to wait to be sent.
pub(crate) fn open<W>(
    caller: &mut Caller,
    workload: &mut W,
    every: Duration,
    window: Window,
) -> Result<Tally, String>
where
    W: Workload + Send,
    W::Asked: Send,
{
    let Caller { requests, receiver } = caller;
    let shared = Mutex::new(Shared {
        workload,
        flights: Flights::default(),
        tally: Tally::new(),
        replies: Vec::new(),
        is_over: false,
    });
    let (sent, received) = thread::scope(|scope| {
        let sending = scope.spawn(|| send(&shared, requests, every, window));
        let received = receive(&shared, receiver, window);
        (sending.join(), received)
    });
    received?;
    sent.map_err(|_| "what sends has panicked".to_owned())??;
    Ok(shared
        .into_inner()
        .unwrap_or_else(PoisonError::into_inner)
        .tally)
}

fn lock<'s, 'w, W: Workload>(shared: &'s Mutex<Shared<'w, W>>) -> MutexGuard<'s, Shared<'w, W>> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn send<W: Workload>(
    shared: &Mutex<Shared<'_, W>>,
    requests: &mut Requests,
    every: Duration,
    window: Window,
) -> Result<(), String> {
    let mut due = Instant::now();
    loop {
        let now = Instant::now();
        let is_over = now >= window.until;
        let mut held = lock(shared);
        let this = &mut *held;
        // The last one comes after it is said that it is over: so its answer is waited for, at least.
        this.is_over = is_over;
        while (due <= now || is_over) && this.flights.len() < UNDER_WAY_MAX {
            let asked = this.workload.draw();
            let id = this.workload.ask(&asked, requests);
            this.flights.begin(id, due, asked);
            due += every;
            if is_over {
                break;
            }
        }
        let mut replies = std::mem::take(&mut this.replies);
        drop(held);
        requests.flush(&mut replies)?;
        if is_over {
            return Ok(());
        }
        let wait = due
            .saturating_duration_since(Instant::now())
            .max(SEND_EVERY);
        #[expect(clippy::disallowed_methods, reason = "it is time itself that passes")]
        thread::sleep(wait);
    }
}

fn receive<W: Workload>(
    shared: &Mutex<Shared<'_, W>>,
    receiver: &mut Receiver,
    window: Window,
) -> Result<(), String> {
    loop {
        receiver.read().map_err(|error| error.to_string())?;
        let now = Instant::now();
        let mut held = lock(shared);
        let this = &mut *held;
        while let Some(part) = receiver.next().map_err(|error| error.to_string())? {
            let Some(landed) = this.flights.take(&part)? else {
                continue;
            };
            let next = this.workload.answered(landed.what, &landed.body)?;
            this.flights.spare(landed.body);
            this.tally.count(&next, landed.begun, now, window);
            if let Next::Ask(_) = next {
                return Err("what takes two requests has no rate".to_owned());
            }
        }
        this.replies.append(&mut receiver.replies);
        let is_over = this.is_over && this.flights.len() == 0;
        drop(held);
        if is_over {
            return Ok(());
        }
    }
}
