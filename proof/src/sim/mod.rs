//! Simulations: the clients of a history as coroutines of one thread, interleaved by a seed inside
//! of the engine's operations, under delays, refused allocations and panics.
//!
//! What every client was told has to be strictly serializable, and at the end the engine has to
//! hold what the model holds, keep no version too many, and leave nothing when it is dropped.

mod command;
mod faults;
mod scheduler;
#[path = "../../../tests/it/support"]
mod support {
    #![allow(dead_code, reason = "the tests use the rest")]
    pub(crate) mod checker;
    pub(crate) mod client;
    pub(crate) mod deliveries;
    pub(crate) mod evicting;
    pub(crate) mod loading;
    pub(crate) mod model;
    pub(crate) mod queueing;
    pub(crate) mod selector;
    pub(crate) mod summing;
    pub(crate) mod watching;
    pub(crate) mod workload;
}
#[cfg(test)]
mod tests;

pub(crate) use command::{faults, simulate};

use crate::panics::text_of;
use kvick::{Kv, ManualClock, Range};
use rand::rngs::{SmallRng, StdRng};
use rand::{RngExt, SeedableRng};
use scheduler::{Simulation, Weather};
use std::panic::{self, AssertUnwindSafe};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};
use support::checker::{Did, Event, Recorder, assert_strictly_serializable};
use support::client::{Client, MAY_REFUSE};
use support::deliveries::CONCURRENCY;
use support::evicting::make_copies;
use support::model::{Model, assert_entries};
use support::queueing::assert_delivered;
use support::selector::Selector;
use support::workload::Workload;

/// Clients of one simulation, at most.
const CLIENTS_MAX: usize = 6;

/// One seed in so many is simulated twice, to see that it repeats itself.
const REPEATED_EACH: u64 = 100;

/// Sweeps after which an engine at rest has forgotten all that it can.
const SWEEPS_MAX: usize = 64;

/// What to simulate.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    pub(crate) seeds: std::ops::Range<u64>,
    /// Operations of all clients together, in each simulation.
    pub(crate) steps: usize,
    pub(crate) threads: usize,
    /// No new simulation begins after so long.
    pub(crate) time_limit: Option<Duration>,
    /// Each seed is printed before it is simulated: one at which the process dies says nothing else.
    pub(crate) tell: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Report {
    pub(crate) simulated: u64,
    pub(crate) seeds: u64,
    pub(crate) turns: u64,
    /// In one simulation.
    pub(crate) turns_max: u64,
    pub(crate) refused: u64,
    pub(crate) evicted: u64,
    pub(crate) divergence: Option<Divergence>,
}

/// A simulation that did not end well.
#[derive(Clone, Debug)]
pub(crate) struct Divergence {
    pub(crate) seed: u64,
    pub(crate) what: String,
}

/// Runs one simulation for each seed, up to the first that does not end well.
pub(crate) fn run(options: &Options) -> Report {
    make_copies();
    let begin = Instant::now();
    let next = Arc::new(AtomicU64::new(options.seeds.start));
    let (sender, played) = mpsc::channel();
    for _ in 0..options.threads {
        let (options, next, sender) = (options.clone(), Arc::clone(&next), sender.clone());
        // Not waited for: one that does not end well may not end at all.
        thread::spawn(move || {
            loop {
                let seed = next.fetch_add(1, Ordering::Relaxed);
                let is_late = options
                    .time_limit
                    .is_some_and(|limit| begin.elapsed() > limit);
                if seed >= options.seeds.end || is_late {
                    return;
                }
                if options.tell {
                    println!("seed {seed}");
                }
                let run = || {
                    let told = simulation(seed, options.steps);
                    if seed % REPEATED_EACH == 0 {
                        let again = simulation(seed, options.steps);
                        assert_eq!(told, again, "a seed does not say all");
                    }
                    told
                };
                let result = panic::catch_unwind(AssertUnwindSafe(run));
                let result = result.map_err(|panic| text_of(&*panic).to_owned());
                // Nobody listens any more where another has diverged.
                let _ = sender.send((seed, result));
            }
        });
    }
    drop(sender);
    let mut report = Report::default();
    for (seed, result) in played {
        match result {
            Ok(told) => {
                report.seeds += 1;
                report.simulated += options.steps as u64;
                report.turns += told.turns;
                report.turns_max = report.turns_max.max(told.turns);
                report.refused += told.refused_count;
                report.evicted += told.evicted_count;
            }
            Err(what) => {
                report.divergence = Some(Divergence { seed, what });
                break;
            }
        }
    }
    report
}

/// What there is to tell of a simulation that ended well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Told {
    turns: u64,
    refused_count: u64,
    evicted_count: u64,
    /// Of whose turn it was, each time.
    digest: u64,
}

/// Panics where something is wrong.
fn simulation(seed: u64, steps: usize) -> Told {
    let mut random = SmallRng::seed_from_u64(seed);
    let clients = random.random_range(2..=CLIENTS_MAX);
    let workload = Arc::new(Workload::drawn(clients, &mut random));
    let weather = Weather::draw(&mut random);
    MAY_REFUSE.set(weather.refuses());
    let writer_threads = [1, 2, 16][random.random_range(0..3)];
    let stage = Simulation::new(clients, weather, SmallRng::from_rng(&mut random));
    let kv = Kv::builder()
        .clock(stage.clock())
        .background_sweep(false)
        .writer_threads(writer_threads)
        .queue_concurrency(CONCURRENCY);
    let kv = workload.limit(kv).build();
    let recorder = Arc::new(Recorder::new(stage.clock()));
    recorder.listen(&kv);
    let bodies = (0..clients).map(|number| {
        let (kv, recorder) = (kv.clone(), Arc::clone(&recorder));
        let workload = Arc::clone(&workload);
        let random = StdRng::from_rng(&mut random);
        let steps = steps / clients + usize::from(number < steps % clients);
        move || Client::new(number, &kv, &recorder, &workload, random).run(steps)
    });
    let played = stage.play(steps, bodies);
    assert_slots(&kv, &workload);
    let mut events: Vec<_> = played.results.into_iter().flatten().collect();
    events.extend(
        Client::new(
            clients,
            &kv,
            &recorder,
            &workload,
            StdRng::from_rng(&mut random),
        )
        .drain(|_| ()),
    );
    let model = assert_strictly_serializable(&events);
    workload.assert_bounded(&events);
    let evicted = |event: &&Event| matches!(event.did, Did::Evict { .. });
    let evicted_count = events.iter().filter(evicted).count() as u64;
    stage.dismiss();
    workload.use_everything(&kv);
    assert_rests(&kv, model, &stage.clock());
    drop(kv);
    assert_eq!(stage.end(), 0, "allocations of the core are left");
    Told {
        turns: played.turns,
        refused_count: played.refused_count,
        evicted_count,
        digest: played.digest,
    }
}

/// That there is one slot for each entry that may be evicted (NUMBERED), where anything may.
fn assert_slots(kv: &Kv, workload: &Workload) {
    /// So many may seem to be of entries that have come after theirs: each 256th of a stripe has the
    /// same number.
    const ALIKE_MAX: usize = 2;
    let Some(bounds) = &workload.bounds else {
        return;
    };
    kv.sweep();
    let entries = kv.list(Range::all()).entries();
    let entries = entries.expect("everything can be listed").into_iter();
    let may_go = entries.filter(|entry| bounds.may_go(entry.key())).count();
    let slots = kv.policy_slots();
    let is_so = (may_go..=may_go + ALIKE_MAX).contains(&slots);
    assert!(is_so, "{slots} slots of {may_go} entries");
}

/// That an engine which nobody uses any more holds what it should, and no more, once all has expired
/// that ever will.
fn assert_rests(kv: &Kv, mut model: Model, clock: &ManualClock) {
    clock.advance(Duration::from_secs(60));
    model.expire();
    let everything = kv.list(Range::all()).entries();
    let everything: Vec<_> = everything.expect("everything can be listed").collect();
    assert_entries(&everything, &model.selected(&Selector::All, false));
    kv.sweep();
    let stats = kv.stats();
    assert_eq!(stats.entry_count, model.entries.len());
    assert_eq!(stats.open_snapshot_count, 0);
    assert_delivered(kv);
    assert_swept(kv, model.entries.len());
    let deleted = kv.delete_range(Range::all());
    let count = deleted.expect("everything can be deleted").count;
    assert_eq!(count, model.entries.len());
    assert_swept(kv, 0);
    let is_given_back = (0..SWEEPS_MAX).any(|_| {
        kv.sweep();
        kv.stats().bytes == 0
    });
    assert!(is_given_back, "memory is in use: {:?}", kv.stats());
}

/// That no version is left but those of so many entries.
fn assert_swept(kv: &Kv, entries: usize) {
    let is_swept = (0..SWEEPS_MAX).any(|_| {
        kv.sweep();
        kv.stats().version_count == entries
    });
    assert!(is_swept, "garbage is left: {:?}", kv.stats());
}
