//! Many clients on one thread, in an order that a seed decides.
//!
//! Each client is a coroutine. The engine, compiled for simulations, calls the scheduler at every
//! access of a shared cell, every lock, pin and allocation, or as seldom as the scheduler wants; so
//! a client can be left in the middle of a commit for as long as the seed says while others go on.
//! Time passes with the turns. A lock that is never given back is noticed: when every client waits
//! for one, none of them ever goes on.

#![expect(
    unsafe_code,
    reason = "a client is left through a pointer to its coroutine"
)]

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult, Yielder};
use crossbeam_epoch::{Collector, Guard, LocalHandle};
use kvick::ManualClock;
use kvick::simulation::{self, Scheduler, Wait};
use rand::rngs::SmallRng;
use rand::{Rng, RngExt};
use std::alloc::Layout;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::mem::ManuallyDrop;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

/// Enough for the deepest call of a client, a snapshot within a snapshot.
const STACK_BYTES: usize = 512 << 10;

/// How much freed memory is kept, poisoned, before it is given back.
const KEPT_MAX: usize = 2_048;

/// Clients take some 25 turns for an operation, and up to 1,100 where they are asked at every step
/// and there are many stripes to sweep; where there is no memory either, up to 13,000. With more than this
/// they turn in circles.
const TURNS_PER_OPERATION_MAX: u64 = 20_000;

/// After so many turns the epoch has run all that a simulation can have deferred.
const FLUSHES: usize = 256;

/// How the next client is chosen.
#[derive(Clone, Copy, Debug)]
enum Policy {
    /// Any of them.
    Uniform,
    /// The one with the highest priority that can go on; priorities change now and then. Finds
    /// what needs one client to be overtaken by all others at a certain place.
    Priority,
}

/// What a simulation is like. All of it is drawn from the seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    policy: Policy,
    /// A client takes up to twice as many steps before another is asked.
    steps_mean: u32,
    /// How often, out of 1,000 turns, a client is left alone for long.
    stalls: u32,
    /// For how many turns, at most.
    stall_turns_max: u64,
    /// How often, out of 1,000,000 allocations, one is refused.
    refusals: u32,
    /// How often, out of 1,000 turns, time moves on by up to a second.
    jumps: u32,
}

impl Weather {
    /// Whether allocations are refused.
    pub(crate) fn refuses(&self) -> bool {
        self.refusals > 0
    }

    /// Nothing but clients that take turns.
    pub(crate) fn fair(random: &mut SmallRng) -> Self {
        Self {
            stalls: 0,
            refusals: 0,
            policy: Policy::Uniform,
            ..Self::draw(random)
        }
    }

    pub(crate) fn draw(random: &mut SmallRng) -> Self {
        let mut one_of = |choices: &[u32]| choices[random.random_range(0..choices.len())];
        Self {
            policy: if one_of(&[0, 0, 1]) == 0 {
                Policy::Uniform
            } else {
                Policy::Priority
            },
            steps_mean: one_of(&[1, 2, 4, 8, 16, 32, 64, 200]),
            stalls: one_of(&[0, 0, 1, 10, 50]),
            stall_turns_max: u64::from(one_of(&[10, 100, 1_000])),
            refusals: one_of(&[0, 0, 0, 200, 5_000, 50_000]),
            jumps: one_of(&[0, 1, 20]),
        }
    }
}

std::thread_local! {
    /// Those of clients that are done.
    static STACKS: RefCell<Vec<DefaultStack>> = const { RefCell::new(Vec::new()) };
}

/// Something that goes wrong for one client, the *victim*, while it is exposed to it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    /// Which of its chances is taken, counted from 0.
    pub(crate) nth: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultKind {
    /// An allocation is refused.
    Refuse,
    /// The victim is left alone at a step, until the others that do not write are done.
    Delay,
    /// A closure panics.
    Panic,
}

/// The victim's number, and that of a client that writes beside it; the others only read.
const VICTIM: usize = 0;
const WRITER: usize = 1;

/// How far a fault has come.
#[derive(Debug, Default)]
struct Exposure {
    fault: Cell<Option<Fault>>,
    is_exposed: Cell<bool>,
    chances: Cell<u64>,
    strikes: Cell<u64>,
}

/// Why a client lets others go on.
type Left = Option<Wait>;
type Body<R> = Coroutine<(), Left, R, DefaultStack>;

/// What the clients and the scheduler share.
struct Shared {
    weather: Weather,
    random: RefCell<SmallRng>,
    clock: Arc<ManualClock>,
    collector: Collector,
    /// Of each client, and of whoever sets up the simulation.
    participants: RefCell<Vec<LocalHandle>>,
    /// Who goes on, if it is a client.
    current: Cell<Option<usize>>,
    yielders: RefCell<Vec<*const Yielder<(), Left>>>,
    kept: RefCell<VecDeque<(*mut u8, Layout)>>,
    refused_count: Cell<u64>,
    exposure: Exposure,
}

impl Shared {
    /// Whether a fault of this kind strikes whoever goes on now.
    fn strikes(&self, kind: FaultKind) -> bool {
        let Exposure {
            fault,
            is_exposed,
            chances,
            strikes,
        } = &self.exposure;
        let fault = fault.get().filter(|fault| fault.kind == kind);
        let Some(fault) = fault.filter(|_| is_exposed.get()) else {
            return false;
        };
        if self.current.get() != Some(VICTIM) {
            return false;
        }
        let chance = chances.replace(chances.get() + 1);
        let is_hit = chance == fault.nth;
        strikes.set(strikes.get() + u64::from(is_hit));
        is_hit
    }

    /// Lets others go on.
    fn leave(&self, left: Left) {
        let Some(client) = self.current.get() else {
            // A pause ends by itself.
            let ends = matches!(left, None | Some(Wait::Pause(_)));
            assert!(ends, "nobody else could go on");
            return;
        };
        // What unwinds shares its state with the whole thread.
        if std::thread::panicking() {
            return;
        }
        let yielder = self.yielders.borrow()[client];
        // SAFETY: it was noted by the body of the coroutine that runs now, which has not returned.
        unsafe { &*yielder }.suspend(left);
    }

    fn steps(&self) -> u32 {
        if self.current.get().is_none() {
            return u32::MAX;
        }
        if self.exposure.is_exposed.get() && self.current.get() == Some(VICTIM) {
            // Each of its steps is a chance.
            return 1;
        }
        let most = 2 * self.weather.steps_mean;
        self.random.borrow_mut().random_range(1..=most)
    }

    fn chance(&self, of: u32, out_of: u32) -> bool {
        of > 0 && self.random.borrow_mut().random_ratio(of, out_of)
    }

    /// Gives back memory that was kept, down to so many pieces.
    fn release(&self, down_to: usize) {
        while self.kept.borrow().len() > down_to
            && let Some((memory, layout)) = self.kept.borrow_mut().pop_front()
        {
            // SAFETY: the engine gave it to be kept, once, and it is not kept any more.
            let is_untouched = unsafe { simulation::release(memory, layout) };
            assert!(is_untouched, "what was freed was written to");
        }
    }
}

impl Scheduler for Shared {
    fn step(&self) -> u32 {
        let is_delayed = self.strikes(FaultKind::Delay);
        self.leave(is_delayed.then_some(Wait::Pause(Duration::MAX)));
        self.steps()
    }

    fn wait(&self, wait: Wait) {
        self.leave(Some(wait));
        simulation::set_steps(self.steps());
    }

    fn is_refused(&self, _bytes: usize) -> bool {
        let is_client = self.current.get().is_some();
        let is_refused = (is_client && self.chance(self.weather.refusals, 1_000_000))
            || self.strikes(FaultKind::Refuse);
        self.refused_count
            .set(self.refused_count.get() + u64::from(is_refused));
        is_refused
    }

    fn client(&self) -> u64 {
        self.current.get().map_or(u64::MAX, |client| client as u64)
    }

    fn draw(&self) -> u64 {
        self.random.borrow_mut().next_u64()
    }

    fn pin(&self) -> Guard {
        let participants = self.participants.borrow();
        let own = self.current.get().unwrap_or(participants.len() - 1);
        participants[own].pin()
    }

    fn is_pinned(&self) -> bool {
        let participants = self.participants.borrow();
        let own = self.current.get().unwrap_or(participants.len() - 1);
        participants[own].is_pinned()
    }

    fn collector(&self) -> Collector {
        self.collector.clone()
    }

    fn keep(&self, memory: *mut u8, layout: Layout) {
        self.kept.borrow_mut().push_back((memory, layout));
        self.release(KEPT_MAX);
    }
}

/// One simulation.
pub(crate) struct Simulation {
    shared: Rc<Shared>,
}

/// Exposes the first client to a fault.
pub(crate) struct Exposer(Rc<Shared>);

impl Exposer {
    /// From here on the fault can strike, or no more.
    pub(crate) fn expose(&self, is_exposed: bool) {
        self.0.exposure.is_exposed.set(is_exposed);
        simulation::set_steps(self.0.steps());
    }

    /// Whether a closure is to panic now.
    pub(crate) fn strikes_closure(&self) -> bool {
        self.0.strikes(FaultKind::Panic)
    }

    /// How many chances to strike the fault has had, and how often it has struck.
    pub(crate) fn chances_and_strikes(&self) -> (u64, u64) {
        let Exposure {
            chances, strikes, ..
        } = &self.0.exposure;
        (chances.get(), strikes.get())
    }
}

/// What became of a simulation's clients.
pub(crate) struct Played<R> {
    /// What each came to, in order.
    pub(crate) results: Vec<R>,
    pub(crate) turns: u64,
    pub(crate) refused_count: u64,
    /// Of every turn: the same for the same seed.
    pub(crate) digest: u64,
}

impl Simulation {
    /// Prepares this thread for so many clients.
    pub(crate) fn new(clients: usize, weather: Weather, random: SmallRng) -> Self {
        let collector = Collector::new();
        let participants = (0..=clients).map(|_| collector.register()).collect();
        let shared = Rc::new(Shared {
            weather,
            random: RefCell::new(random),
            clock: Arc::new(ManualClock::default()),
            collector,
            participants: RefCell::new(participants),
            current: Cell::new(None),
            yielders: RefCell::new(vec![ptr::null(); clients]),
            kept: RefCell::default(),
            refused_count: Cell::new(0),
            exposure: Exposure::default(),
        });
        let scheduler: Rc<dyn Scheduler> = Rc::<Shared>::clone(&shared);
        simulation::set_scheduler(Some(scheduler));
        Self { shared }
    }

    /// Has a fault in store for the first client.
    pub(crate) fn set_fault(&self, fault: Fault) {
        self.shared.exposure.fault.set(Some(fault));
    }

    /// What exposes a client to the fault, and what tells whether a closure is to panic.
    pub(crate) fn exposer(&self) -> Exposer {
        Exposer(Rc::clone(&self.shared))
    }

    /// The clock of the simulation.
    pub(crate) fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.shared.clock)
    }

    /// Runs the clients until all are done.
    ///
    /// Panics as a client does, where they wait for each other for ever, and where one turns in
    /// circles. The clients are not dropped then: what they hold is theirs for ever.
    pub(crate) fn play<R: 'static, B: FnOnce() -> R + 'static>(
        &self,
        operations: usize,
        bodies: impl IntoIterator<Item = B>,
    ) -> Played<R> {
        let bodies = bodies.into_iter().enumerate();
        let mut clients: Vec<_> = bodies
            .map(|(number, body)| ManuallyDrop::new(self.client(number, body)))
            .collect();
        let mut turns = Turns::new(clients.len(), &self.shared);
        let mut results: Vec<Option<R>> = clients.iter().map(|_| None).collect();
        let turns_max = TURNS_PER_OPERATION_MAX * operations as u64;
        while let Some(next) = turns.next(&self.shared) {
            assert!(turns.taken < turns_max, "the clients turn in circles");
            self.shared.current.set(Some(next));
            let result = clients[next].resume(());
            self.shared.current.set(None);
            match result {
                CoroutineResult::Yield(left) => turns.left(next, left, &self.shared),
                CoroutineResult::Return(result) => {
                    results[next] = Some(result);
                    turns.ended(next);
                }
            }
        }
        for client in clients {
            let stack = ManuallyDrop::into_inner(client).into_stack();
            STACKS.with_borrow_mut(|stacks| stacks.push(stack));
        }
        Played {
            results: results.into_iter().flatten().collect(),
            turns: turns.taken,
            refused_count: self.shared.refused_count.get(),
            digest: turns.digest,
        }
    }

    fn client<R: 'static>(&self, number: usize, body: impl FnOnce() -> R + 'static) -> Body<R> {
        let shared = Rc::clone(&self.shared);
        let stack = STACKS.with_borrow_mut(Vec::pop).unwrap_or_else(|| {
            DefaultStack::new(STACK_BYTES).expect("there is memory for a stack")
        });
        Coroutine::with_stack(stack, move |yielder: &Yielder<(), Left>, ()| {
            shared.yielders.borrow_mut()[number] = ptr::from_ref(yielder);
            simulation::set_steps(shared.steps());
            body()
        })
    }

    /// The clients are gone: what each has deferred goes to all.
    pub(crate) fn dismiss(&self) {
        let mut participants = self.shared.participants.borrow_mut();
        let clients = participants.len() - 1;
        participants.drain(..clients);
    }

    /// Ends the simulation, after the engine has been dropped: runs everything that was deferred,
    /// and tells how many allocations of the core are left.
    pub(crate) fn end(self) -> i64 {
        self.dismiss();
        for _ in 0..FLUSHES {
            self.shared.pin().flush();
        }
        self.shared.release(0);
        let left = simulation::live_count();
        simulation::set_scheduler(None);
        left
    }
}

/// Whose turn it is.
struct Turns {
    taken: u64,
    digest: u64,
    /// Those that have not ended.
    live: Vec<usize>,
    ready: Vec<usize>,
    /// Until which turn each is left alone.
    stalled_until: Vec<u64>,
    priorities: Vec<i64>,
    lowest: i64,
    /// Which of them have found their lock taken since anybody else has got on.
    blocked: Vec<bool>,
}

impl Turns {
    fn new(clients: usize, shared: &Shared) -> Self {
        let mut random = shared.random.borrow_mut();
        Self {
            taken: 0,
            digest: 0,
            live: (0..clients).collect(),
            ready: Vec::new(),
            stalled_until: vec![0; clients],
            priorities: (0..clients)
                .map(|_| random.random_range(1..1_000))
                .collect(),
            lowest: 0,
            blocked: vec![false; clients],
        }
    }

    fn next(&mut self, shared: &Shared) -> Option<usize> {
        self.taken += 1;
        let turn = self.taken;
        self.ready.clear();
        let is_ready = |client: &&usize| self.stalled_until[**client] <= turn;
        self.ready.extend(self.live.iter().filter(is_ready));
        if self.ready.is_empty() {
            // Where all are left alone, none is.
            self.ready.extend(&self.live);
        }
        let next = match shared.weather.policy {
            Policy::Uniform if !self.ready.is_empty() => {
                let index = shared.random.borrow_mut().random_range(0..self.ready.len());
                self.ready[index]
            }
            _ => *self
                .ready
                .iter()
                .max_by_key(|client| self.priorities[**client])?,
        };
        self.digest = (self.digest ^ next as u64)
            .wrapping_mul(0x0100_0000_01b3)
            .rotate_left(5);
        Some(next)
    }

    fn left(&mut self, client: usize, left: Left, shared: &Shared) {
        let weather = &shared.weather;
        let again = left == Some(Wait::Lock { again: true });
        if !again {
            // It has got on, and may have given a lock back.
            self.blocked.fill(false);
        }
        if let Some(Wait::Lock { .. }) = left {
            self.blocked[client] = true;
            let stuck = self.live.iter().all(|live| self.blocked[*live]);
            assert!(!stuck, "deadlock: each client waits for a lock");
        }
        match left {
            Some(Wait::Pause(Duration::MAX)) if !self.readers_are_done() => {
                self.stalled_until[client] = u64::MAX;
            }
            Some(Wait::Pause(Duration::MAX)) => {}
            Some(Wait::Pause(length)) => shared.clock.advance(length),
            _ => {}
        }
        if shared.chance(weather.jumps, 1_000) {
            let ms = shared.random.borrow_mut().random_range(0..1_000);
            shared.clock.advance(Duration::from_millis(ms));
        }
        if shared.chance(weather.stalls, 1_000) {
            let turns = shared
                .random
                .borrow_mut()
                .random_range(0..weather.stall_turns_max);
            self.stalled_until[client] = self.taken + turns;
        }
        if left.is_some() || shared.chance(1, 200) {
            self.lowest -= 1;
            self.priorities[client] = self.lowest;
        }
    }

    fn ended(&mut self, client: usize) {
        self.live.retain(|live| *live != client);
        self.blocked.fill(false);
        if self.readers_are_done() {
            // Whoever was left alone for them goes on.
            self.stalled_until.fill(0);
        }
    }

    fn readers_are_done(&self) -> bool {
        self.live.iter().all(|live| *live <= WRITER)
    }
}
