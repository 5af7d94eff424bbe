//! Faults: each operation, and each thing that can go wrong in it, at every place in turn.
//!
//! A victim takes a step of one kind. In it one allocation is refused, or one call of its closures
//! panics, or at one of its accesses to what is shared it is left alone until everybody who only
//! reads is done. Which one, the seed says: the places of a step are counted first, and the seeds
//! go through them. Beside the victim one client writes and two read. What all were told has to be
//! strictly serializable, the victim has to be able to go on, and the engine has to end as
//! [`assert_rests`] wants it, with nothing of the core allocated.

use super::scheduler::{Exposer, Fault, FaultKind, Simulation, Weather};
use super::support::checker::{Event, Recorder, assert_strictly_serializable};
use super::support::client::{Client, MAY_REFUSE, ON_CALL, assert_is_ours, give_up};
use super::support::deliveries::CONCURRENCY;
use super::support::evicting::make_copies;
use super::support::workload::{Step, Workload, bounded, churning, wide};
use super::{assert_rests, assert_slots};
use crate::panics::text_of;
use kvick::Kv;
use rand::rngs::{SmallRng, StdRng};
use rand::{RngExt, SeedableRng};
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::thread;

/// What a client does that only reads.
const READS: [Step; 4] = [Step::Get, Step::GetMany, Step::List, Step::Snapshot];

/// How many steps the others take.
const STEPS: usize = 12;

const STEPS_OF_THE_VICTIM: [Step; 21] = [
    Step::Set,
    Step::Delete,
    Step::Atomic,
    Step::Clear,
    Step::Transact,
    Step::TransactRange,
    Step::Abort,
    Step::Update,
    Step::UpdateMany,
    Step::Get,
    Step::GetMany,
    Step::List,
    Step::Snapshot,
    Step::Touch,
    Step::Watch,
    Step::Sweep,
    Step::Enqueue,
    Step::Receive,
    Step::Settle,
    Step::Load,
    Step::Import,
];

const KINDS: [FaultKind; 3] = [FaultKind::Refuse, FaultKind::Delay, FaultKind::Panic];

std::thread_local! {
    static EXPOSER: RefCell<Option<Exposer>> = const { RefCell::new(None) };
}

/// A kind of step with a kind of fault, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Failpoint {
    step: Step,
    kind: FaultKind,
    /// At how many places it can strike, in the simulation where there were most.
    places: u64,
    strikes: u64,
}

/// Tries every failpoint so often; prints what came of each.
pub(crate) fn run(seeds: u64) -> Result<(), String> {
    make_copies();
    let pairs = STEPS_OF_THE_VICTIM
        .iter()
        .flat_map(|step| KINDS.map(|kind| (*step, kind)));
    let pairs: Vec<_> = pairs.collect();
    let halves = pairs.chunks(pairs.len().div_ceil(2));
    let tried: Vec<_> = thread::scope(|scope| {
        let running: Vec<_> = halves
            .map(|half| scope.spawn(move || try_each(half, seeds)))
            .collect();
        let joined = running.into_iter().map(|half| half.join());
        joined
            .map(|half| half.unwrap_or_else(|panic| Err(text_of(&*panic).to_owned())))
            .collect()
    });
    let mut failpoints = Vec::new();
    for half in tried {
        failpoints.extend(half?);
    }
    let strikes: u64 = failpoints.iter().map(|failpoint| failpoint.strikes).sum();
    for Failpoint {
        step,
        kind,
        places,
        strikes,
    } in &failpoints
    {
        println!("{step:?} x {kind:?}: {places} places, struck {strikes} times");
    }
    println!("{} failpoints, {seeds} seeds each", failpoints.len());
    println!("faults struck {strikes}, failures 0");
    Ok(())
}

fn try_each(pairs: &[(Step, FaultKind)], seeds: u64) -> Result<Vec<Failpoint>, String> {
    let mut failpoints = Vec::new();
    for &(step, kind) in pairs {
        let failpoint = try_one(step, kind, seeds)?;
        // There are steps that allocate nothing, and steps without a closure.
        if failpoint.places > 0 {
            failpoints.push(failpoint);
        }
    }
    Ok(failpoints)
}

fn try_one(step: Step, kind: FaultKind, seeds: u64) -> Result<Failpoint, String> {
    let (mut places, mut strikes) = (0, 0);
    for seed in 0..seeds {
        let strike = |nth| {
            let simulate = || simulate(seed, step, Fault { kind, nth });
            let result = panic::catch_unwind(AssertUnwindSafe(simulate));
            result.map_err(|panic| {
                let what = text_of(&*panic);
                let until = seed + 1;
                format!(
                    "{step:?} x {kind:?}, seed {seed}: {what}\n\nto repeat it:\n    \
                     cargo simulated faults --seeds {until}"
                )
            })
        };
        // First as if it could not strike, to count where it can.
        let (chances, _) = strike(u64::MAX)?;
        if chances > 0 {
            // All of them in turn; where they are more than the seeds, evenly spread ones.
            let place = if chances > seeds {
                seed * chances / seeds
            } else {
                seed % chances
            };
            let (_, struck) = strike(place)?;
            strikes += struck;
            places = places.max(chances);
        }
    }
    Ok(Failpoint {
        step,
        kind,
        places,
        strikes,
    })
}

/// One simulation; how many chances the fault had, and how often it struck.
fn simulate(seed: u64, step: Step, fault: Fault) -> (u64, u64) {
    let mut random = SmallRng::seed_from_u64(seed);
    let mut workload = if random.random() {
        wide(4)
    } else {
        churning(4)
    };
    if random.random_ratio(1, 3) {
        workload = bounded(workload, &mut random);
    }
    let reading = reading(&workload);
    let (workload, reading) = (Arc::new(workload), Arc::new(reading));
    let weather = Weather::fair(&mut random);
    let simulation = Simulation::new(workload.clients, weather, SmallRng::from_rng(&mut random));
    simulation.set_fault(fault);
    EXPOSER.set(Some(simulation.exposer()));
    ON_CALL.set(panic_if_struck);
    MAY_REFUSE.set(fault.kind == FaultKind::Refuse);
    let kv = Kv::builder()
        .clock(simulation.clock())
        .background_sweep(false)
        .writer_threads(1)
        .queue_concurrency(CONCURRENCY);
    let kv = workload.limit(kv).build();
    let recorder = Arc::new(Recorder::new(simulation.clock()));
    recorder.listen(&kv);
    let bodies = (0..workload.clients).map(|number| {
        let (kv, recorder) = (kv.clone(), Arc::clone(&recorder));
        let random = StdRng::from_rng(&mut random);
        let workload = Arc::clone(if number < 2 { &workload } else { &reading });
        move || {
            let client = Client::new(number, &kv, &recorder, &workload, random);
            if number == 0 {
                suffer(client, step)
            } else {
                client.run(STEPS)
            }
        }
    });
    let bodies: Vec<_> = bodies.collect();
    let random_of_drain = StdRng::from_rng(&mut random);
    let played = simulation.play(STEPS * workload.clients, bodies);
    ON_CALL.set(|| ());
    let exposer = EXPOSER.take();
    assert_slots(&kv, &workload);
    let mut events: Vec<_> = played.results.into_iter().flatten().collect();
    let last = Client::new(workload.clients, &kv, &recorder, &workload, random_of_drain);
    events.extend(last.drain(|_| ()));
    let model = assert_strictly_serializable(&events);
    workload.assert_bounded(&events);
    simulation.dismiss();
    assert_rests(&kv, model, &simulation.clock());
    drop(kv);
    let chances_and_strikes = exposer.map(|exposer| exposer.chances_and_strikes());
    assert_eq!(simulation.end(), 0, "allocations of the core are left");
    chances_and_strikes.unwrap_or_default()
}

/// The victim: some steps as ever, one exposed to the fault, and some more.
fn suffer(mut client: Client<'_>, step: Step) -> Vec<Event> {
    for _ in 0..STEPS / 2 {
        client.step();
    }
    if step == Step::Settle {
        // So that there is something to be settled.
        for _ in 0..STEPS / 2 {
            client.take(Step::Enqueue);
            client.take(Step::Receive);
        }
    }
    expose(true);
    if let Err(panic) = panic::catch_unwind(AssertUnwindSafe(|| client.take(step))) {
        assert_is_ours(panic);
    }
    expose(false);
    for _ in 0..STEPS / 2 {
        client.step();
    }
    client.into_events()
}

fn expose(is_exposed: bool) {
    EXPOSER.with_borrow(|exposer| {
        if let Some(exposer) = exposer {
            exposer.expose(is_exposed);
        }
    });
}

fn panic_if_struck() {
    let is_struck = EXPOSER.with_borrow(|exposer| {
        let exposer = exposer.as_ref();
        exposer.is_some_and(Exposer::strikes_closure)
    });
    if is_struck {
        give_up()
    }
}

/// The same, but for those that only read.
fn reading(workload: &Workload) -> Workload {
    let mut reading = workload.clone();
    for (step, weight) in &mut reading.weights {
        *weight = u32::from(READS.contains(step));
    }
    reading
}
