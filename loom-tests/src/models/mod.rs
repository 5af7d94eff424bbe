//! The models, a file per topic, and what they share.

mod backlog;
mod busy;
mod chain;
mod commit;
mod evict;
mod flight;
mod index;
mod kept;
mod leaf;
mod life;
mod notify;
mod point;
mod publish;
mod quota;
mod registry;
mod shortcut;
mod stripes;
mod tally;
mod time;
mod validated;

use crate::memory;
use crate::mvcc::chain::{
    Draft, Payload, RecordPtr, RecordRef, Superseded, Unreachable, VersionRef,
};
use crate::mvcc::publish::publish_one;
use crate::mvcc::quota::Share;
use crate::mvcc::registry::{Horizon, Registry};
use crate::mvcc::stamp::StampCounter;
use crate::sync::epoch::{self, Collector, Guard, LocalHandle};
use crate::sync::{Mutex, Planted, plant};
use crate::version::Stamp;
use loom::thread::JoinHandle;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Preemptions in one execution, unless `LOOM_MAX_PREEMPTIONS` says otherwise.
const PREEMPTION_BOUND: usize = 3;

/// Steps in one execution, unless `LOOM_MAX_BRANCHES` says otherwise.
const BRANCHES_MAX: usize = 10_000;

/// Explores every schedule of the model up to the preemption bound.
fn check(model: impl Fn() + Send + Sync + 'static) {
    let began = Instant::now();
    let count = Arc::new(AtomicU64::new(0));
    plant(None);
    explore(&count, model);
    let count = count.load(Ordering::Relaxed);
    eprintln!("holds in {count} executions, {:.1?}", began.elapsed());
}

/// Explores the model with a bug planted in the core, which has to make it fail in this way.
fn must_fail(bug: Planted, expected: &str, model: impl Fn() + Send + Sync + 'static) {
    plant(Some(bug));
    must_fail_by(&format!("{bug:?}"), expected, model);
}

/// Explores a model that itself does something wrong, which has to make it fail in this way.
fn must_fail_by(bug: &str, expected: &str, model: impl Fn() + Send + Sync + 'static) {
    let began = Instant::now();
    let count = Arc::new(AtomicU64::new(0));
    let outcome = catch_unwind(AssertUnwindSafe(|| explore(&count, model)));
    plant(None);
    let count = count.load(Ordering::Relaxed);
    let Err(panic) = outcome else {
        panic!("not caught in {count} executions: {bug}");
    };
    let message = match panic.downcast_ref::<String>() {
        Some(message) => message,
        None => panic
            .downcast_ref::<&str>()
            .copied()
            .unwrap_or("no message"),
    };
    assert!(
        message.contains(expected),
        "{bug} was to fail with {expected:?}, but failed with {message:?}"
    );
    eprintln!(
        "caught in execution {count}, {:.1?}: {bug}",
        began.elapsed()
    );
}

fn explore(count: &Arc<AtomicU64>, model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound.get_or_insert(PREEMPTION_BOUND);
    if std::env::var_os("LOOM_MAX_BRANCHES").is_none() {
        builder.max_branches = BRANCHES_MAX;
    }
    let count = Arc::clone(count);
    builder.check(move || {
        count.fetch_add(1, Ordering::Relaxed);
        memory::begin();
        ALIVE.with_borrow_mut(Vec::clear);
        model();
        memory::end();
    });
}

std::thread_local! {
    /// Which canaries live. All threads of a model are coroutines of one.
    static ALIVE: RefCell<Vec<bool>> = const { RefCell::new(Vec::new()) };
}

/// The payload of the versions: notices when it is read after it was dropped, or when the reading
/// and the dropping are not ordered.
#[derive(Debug)]
struct Canary {
    id: usize,
    cell: loom::cell::UnsafeCell<()>,
}

// SAFETY: loom watches the cell, which is what it is for.
#[expect(unsafe_code, reason = "as above")]
unsafe impl Sync for Canary {}

impl Canary {
    fn new() -> Self {
        let id = ALIVE.with_borrow_mut(|alive| {
            alive.push(true);
            alive.len() - 1
        });
        Self {
            id,
            cell: loom::cell::UnsafeCell::new(()),
        }
    }

    fn is_alive(id: usize) -> bool {
        ALIVE.with_borrow(|alive| alive.get(id).copied().unwrap_or(false))
    }

    fn listen(&self) {
        assert!(Self::is_alive(self.id), "PINNED: read after it was freed");
        self.cell.with(|_| ());
    }
}

impl Payload for Canary {
    fn heap_bytes(&self, _: u8) -> usize {
        0
    }
}

impl Drop for Canary {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        self.cell.with_mut(|_| ());
        ALIVE.with_borrow_mut(|alive| alive[self.id] = false);
    }
}

/// A participant of the epoch, registered before the threads start and dropped after they are
/// joined: coming and going is crossbeam's business, and to model it multiplies the states.
struct Participant(LocalHandle);

// SAFETY: a handle is not `Send` because of the guards that share its cells; those of a model do
// not outlive the thread's closure.
#[expect(unsafe_code, reason = "as above")]
unsafe impl Send for Participant {}

impl Participant {
    /// One that has been pinned before: every 128th pinning collects, the first too.
    fn of(collector: &Collector) -> Self {
        let participant = Self(collector.register());
        drop(participant.pin());
        participant
    }

    fn pin(&self) -> Guard {
        self.0.pin()
    }

    /// Lets the epoch go on as far as the other participants allow, and runs what it deferred.
    fn turn_epoch(&self) {
        for _ in 0..3 {
            self.pin().flush();
        }
    }
}

/// What an engine is made of, as far as a model needs it: records in a fixed array.
struct Core {
    counter: StampCounter,
    registry: Arc<Registry>,
    records: Vec<RecordPtr<Canary>>,
    /// What waits to be freed, in the order of the stamps, as behind the lock of a stripe.
    superseded: Mutex<VecDeque<Superseded<Canary>>>,
    collector: Collector,
}

impl Core {
    fn new(record_count: u8) -> Arc<Self> {
        Arc::new(Self {
            counter: StampCounter::new(),
            registry: Arc::new(Registry::new()),
            records: (0..record_count)
                .map(|index| RecordPtr::new(u64::from(index), &[index]).expect("there is memory"))
                .collect(),
            superseded: Mutex::new(VecDeque::new()),
            collector: Collector::new(),
        })
    }

    fn participant(&self) -> Participant {
        Participant::of(&self.collector)
    }

    fn record<'g>(&self, index: usize, guard: &'g Guard) -> RecordRef<'g, Canary> {
        self.records[index].get(guard)
    }

    /// Commits one value. Where more than one thread writes, the caller holds the stripe.
    fn set(&self, index: usize, value: u8, guard: &Guard) -> Stamp {
        self.publish_one(self.record(index, guard), draft(value))
    }

    fn publish_one(&self, record: RecordRef<'_, Canary>, version: Draft<Canary>) -> Stamp {
        let (stamp, version) = publish_one(record, version, &self.counter);
        self.supersede(record, version, stamp);
        stamp
    }

    /// Queues what a version has superseded.
    fn supersede(
        &self,
        record: RecordRef<'_, Canary>,
        version: VersionRef<'_, Canary>,
        stamp: Stamp,
    ) {
        // Most models supersede nothing, and do without one more lock to explore.
        if let Some(superseded) = Superseded::by(record, version, stamp) {
            self.superseded.lock().push_back(superseded);
        }
    }

    fn newest(&self, index: usize, guard: &Guard) -> Option<(u8, Stamp)> {
        self.record(index, guard).newest(&self.counter).map(read)
    }

    fn at(&self, index: usize, at: Stamp, guard: &Guard) -> Option<u8> {
        let found = self.record(index, guard).at(at, &self.counter);
        found.map(|found| read(found).0)
    }

    /// Frees what the horizon allows, of what was superseded.
    fn sweep(&self, horizon: &Horizon, guard: &Guard) {
        let mut unreachable = Unreachable::new();
        let mut queue = self.superseded.lock();
        for superseded in std::mem::take(&mut *queue) {
            if horizon.waits(superseded.until()) {
                queue.push_back(superseded);
            } else if let Err(held) =
                superseded.reclaim(horizon, &mut unreachable, &mut Share::unlimited(), guard)
            {
                queue.push_back(held);
            }
        }
    }

    /// Raises the grace to the latest stamp. Nobody else is pinned.
    fn raise_grace(&self, participant: &Participant) {
        self.registry
            .advance_grace(&self.counter, &participant.pin());
        participant.turn_epoch();
        assert_eq!(self.registry.grace(), self.counter.latest());
    }
}

impl Drop for Core {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        free_all(&self.records);
    }
}

/// Frees records at the end of a model.
fn free_all<'r>(records: impl IntoIterator<Item = &'r RecordPtr<Canary>>) {
    for record in records {
        // SAFETY: the threads of the model are joined, and no guard is left.
        #[expect(unsafe_code, reason = "as above")]
        unsafe {
            record.free();
        }
    }
}

fn draft(value: u8) -> Draft<Canary> {
    Draft::new(1, &[value], Canary::new()).expect("there is memory")
}

/// The value of a version, which has to be alive and whole.
fn read((version, stamp): (VersionRef<'_, Canary>, Stamp)) -> (u8, Stamp) {
    version.extra().listen();
    (version.bytes()[0], stamp)
}

/// A thread with a participant of its own, which it gives back.
fn spawn<R: 'static>(
    core: &Arc<Core>,
    run: impl FnOnce(&Core, &Participant) -> R + 'static,
) -> JoinHandle<(Participant, R)> {
    let core = Arc::clone(core);
    let participant = core.participant();
    loom::thread::spawn(move || {
        let result = run(&core, &participant);
        (participant, result)
    })
}

fn join<R>(thread: JoinHandle<(Participant, R)>) -> R {
    thread.join().expect("a thread that fails ends the model").1
}

/// A guard under which what is deferred is done at once.
fn at_once(_: &Guard) -> &'static Guard {
    unpinned()
}

/// No guard at all: for a model in which nothing is freed, or which has to fail because of it.
fn unpinned() -> &'static Guard {
    // SAFETY: what may happen without a guard happens on the models' heap, which tells.
    #[expect(unsafe_code, reason = "as above")]
    unsafe {
        epoch::unprotected()
    }
}
