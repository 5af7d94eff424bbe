//! Having threads work for a while, or do nothing.

use super::load::{Load, Mix, Worker};
use super::looks::{Looks, Seen};
use super::run_queue::{RunQueue, Times, Took};
use super::stops::Stops;
use super::tally::{Counts, Tally};
use super::value::Noise;
use crate::panics::text_of;
use kvick::Kv;
use std::hint;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// How often is looked at what is in use.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// How long the last operation of a thread may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a thread does that does nothing: some ten microseconds, as a commit takes.
const SPINS: u32 = 300;

/// What is done, by how many threads, and for how long.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) mix: Mix,
    pub(super) limit: usize,
    pub(super) threads: usize,
    pub(super) seed: u64,
    pub(super) length: Duration,
    /// Of a line of the table.
    pub(super) period: Duration,
}

/// What a phase has come to.
#[derive(Debug)]
pub(super) struct Phase {
    pub(super) seen: Seen,
    pub(super) tally: Tally,
    /// By how much a thread beside it woke up late.
    pub(super) late: Times,
    stops: Stops,
}

impl Phase {
    /// The longest commit, less the run queue and what the machine stood still.
    pub(super) fn longest_rest(&self) -> Duration {
        self.stops.longest_rest(&self.tally.longs.0)
    }
}

/// Has the threads work, and prints a line for each period.
///
/// # Errors
///
/// A thread that panics, or an operation that does not end.
pub(super) fn run(kv: &Kv, plan: Plan) -> Result<Phase, String> {
    let load = Arc::new(Load {
        kv: kv.clone(),
        limit: plan.limit,
        mix: plan.mix,
        noise: Noise::new(),
        is_over: AtomicBool::new(false),
        counts: (0..plan.threads).map(|_| Counts::default()).collect(),
    });
    let done = start(&load, plan);
    let witness = {
        let load = Arc::clone(&load);
        thread::spawn(move || sleep_beside(&load))
    };
    let mut looks = Looks::new(&load, plan);
    while looks.begun.elapsed() < plan.length {
        match done.recv_timeout(LOOK_EVERY) {
            Err(RecvTimeoutError::Timeout) => looks.look(),
            Ok(Err(panic)) => return Err(panic),
            Ok(Ok(_)) | Err(RecvTimeoutError::Disconnected) => {
                return Err("a thread has ended before its time".to_owned());
            }
        }
    }
    looks.end_period();
    load.is_over.store(true, Ordering::Relaxed);
    let mut tally = Tally::new();
    for _ in 0..plan.threads {
        let ended = done.recv_timeout(PATIENCE);
        tally.add(ended.map_err(|_| "an operation does not end")??);
    }
    let (late, stops) = witness
        .join()
        .map_err(|panic| text_of(&*panic).to_owned())?;
    Ok(Phase {
        seen: looks.seen,
        tally,
        late,
        stops,
    })
}

/// Sleeps for a millisecond again and again, and tells by how much it was more. What it was less the run
/// queue, the machine stood still: so it did for the commits of that moment.
#[expect(
    clippy::disallowed_methods,
    reason = "it waits for nothing: how late it wakes up is what is measured"
)]
fn sleep_beside(load: &Load) -> (Times, Stops) {
    let mut queue = RunQueue::of_this_thread();
    let (mut times, mut stops) = (Times::new(), Stops::default());
    while !load.is_over.load(Ordering::Relaxed) {
        let begun = queue.begin();
        thread::sleep(LOOK_EVERY);
        let Took { wall, own, ran } = queue.end(begun);
        let late = Took {
            wall: wall.saturating_sub(LOOK_EVERY),
            own: own.saturating_sub(LOOK_EVERY),
            ran,
        };
        times.record(late);
        stops.note(begun + LOOK_EVERY, late);
    }
    (times, stops)
}

/// The threads. They are not waited for: one whose operation does not end would never come.
fn start(load: &Arc<Load>, plan: Plan) -> Receiver<Result<Tally, String>> {
    let (send, done) = channel();
    for number in 0..plan.threads {
        let (send, load) = (send.clone(), Arc::clone(load));
        thread::spawn(move || {
            let worker = AssertUnwindSafe(|| Worker::new(&load, number, plan.seed).run());
            let ended = catch_unwind(worker)
                .map_err(|panic| format!("thread {number} has panicked: {}", text_of(&*panic)));
            // Nobody listens any more where another has failed.
            let _ = send.send(ended);
        });
    }
    done
}

/// How long it takes so many threads at once to do nothing: what the machine alone makes of it.
///
/// # Errors
///
/// A thread that panics.
pub(super) fn spin(threads: usize, length: Duration) -> Result<Times, String> {
    let spin = || {
        let mut queue = RunQueue::of_this_thread();
        let mut times = Times::new();
        let deadline = queue.now() + length;
        while queue.now() < deadline {
            let begun = queue.begin();
            for _ in 0..SPINS {
                hint::spin_loop();
            }
            times.record(queue.end(begun));
        }
        times
    };
    thread::scope(|scope| {
        let spinning: Vec<_> = (0..threads).map(|_| scope.spawn(spin)).collect();
        let mut all = Times::new();
        for thread in spinning {
            let times = thread.join();
            all.add(&times.map_err(|panic| text_of(&*panic).to_owned())?);
        }
        Ok(all)
    })
}
