//! What is done in the background.
//!
//! There are two chores, each with one thread for all engines of the process. *Sweeping* is for an
//! engine that is idle: under load the commits sweep, and what the last of them leave behind, or a
//! snapshot lets go of when nothing is written any more, is swept here. *Keeping time* is for an
//! engine that holds what is due at some time: it deletes what has expired, and wakes the listeners of
//! messages. It has a thread of its own, because a sweep can take as long as there is garbage.
//!
//! A thread exists from when it is first needed, sleeps while no engine has anything for it, and
//! holds an engine only while it works for it.

use super::Engine;
use crate::mvcc::awake::Awake;
use crate::sync::{AtomicBool, Condvar, Mutex, OnceLock, Ordering, pause};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Weak;
use std::thread;
use std::time::Duration;

/// How long after an engine enlists it is looked at, and how often one is where there is always
/// something to do.
pub(super) const PERIOD: Duration = Duration::from_millis(50);

/// How soon it is looked at again, where something is due soon.
const PERIOD_MIN: Duration = Duration::from_millis(1);

/// An engine's lines to the threads.
#[derive(Debug)]
pub(super) struct Maintenance {
    sweeping: Chore,
    timekeeping: Chore,
}

impl Maintenance {
    pub(super) fn new(engine: &Weak<Engine>, is_enabled: bool) -> Self {
        let chore = |worker| Chore {
            engine: Weak::clone(engine),
            worker,
            is_enabled,
            awake: Awake::new(),
        };
        Self {
            sweeping: chore(Worker::sweeper),
            timekeeping: chore(Worker::timekeeper),
        }
    }

    /// Tells that there is something to sweep.
    pub(super) fn wake(&self) {
        self.sweeping.wake();
    }

    /// Tells that something will be due.
    pub(super) fn wake_for_time(&self) {
        self.timekeeping.wake();
    }
}

/// An engine's line to a thread.
#[derive(Debug)]
struct Chore {
    engine: Weak<Engine>,
    worker: fn() -> &'static Worker,
    is_enabled: bool,
    /// Whether the thread knows that there is something to do. What there is to do is behind the
    /// engine's locks, or, where something is due, in a word that is made for it (E-DUE).
    awake: Awake,
}

impl Chore {
    fn wake(&self) {
        if self.is_enabled && self.awake.wake() {
            self.enlist();
        }
    }

    #[cold]
    fn enlist(&self) {
        let worker = (self.worker)();
        // ORDERING: Relaxed. Where it is missed, a few engines are enlisted for nobody.
        if worker.is_running.load(Ordering::Relaxed) {
            worker.engines.lock().push(Weak::clone(&self.engine));
            worker.enlisted.notify_one();
        }
    }
}

/// What the engines share with a thread.
#[derive(Debug)]
struct Worker {
    name: &'static str,
    chore: fn(&Engine) -> &Chore,
    /// Does what there is to do; how soon it has to be looked at again, if it has to.
    work: fn(&Engine) -> Option<Duration>,
    engines: Mutex<Vec<Weak<Engine>>>,
    enlisted: Condvar,
    /// Whether there is such a thread: the system may refuse one.
    is_running: AtomicBool,
}

/// What came of working for an engine.
#[derive(Debug, Default)]
struct Served {
    /// How soon it has to be worked for again, if it has to.
    wait: Option<Duration>,
    /// Whether it stays in the list for that.
    stays: bool,
}

impl Worker {
    fn sweeper() -> &'static Self {
        static SWEEPER: OnceLock<Worker> = OnceLock::new();
        Self::started(&SWEEPER, || Self {
            name: "kvick-sweep",
            chore: |engine| &engine.maintenance.sweeping,
            work: Engine::tidy_up,
            engines: Mutex::new(Vec::new()),
            enlisted: Condvar::new(),
            is_running: AtomicBool::new(true),
        })
    }

    fn timekeeper() -> &'static Self {
        static TIMEKEEPER: OnceLock<Worker> = OnceLock::new();
        Self::started(&TIMEKEEPER, || Self {
            name: "kvick-time",
            chore: |engine| &engine.maintenance.timekeeping,
            work: |engine| engine.keep_time().map(|next| next.since(engine.now())),
            engines: Mutex::new(Vec::new()),
            enlisted: Condvar::new(),
            is_running: AtomicBool::new(true),
        })
    }

    /// The one of the process, started when it is first needed.
    fn started(cell: &'static OnceLock<Self>, make: impl FnOnce() -> Self) -> &'static Self {
        let mut is_new = false;
        let worker = cell.get_or_init(|| {
            is_new = true;
            make()
        });
        if is_new {
            let thread = thread::Builder::new().name(worker.name.into());
            if thread.spawn(|| worker.run()).is_err() {
                // Engines are swept by their commits alone, then, and what has expired is deleted
                // by whoever calls `Kv::sweep`.
                // ORDERING: Relaxed, as in `enlist`.
                worker.is_running.store(false, Ordering::Relaxed);
                worker.engines.lock().clear();
            }
        }
        worker
    }

    fn run(&self) {
        let mut soon = PERIOD;
        loop {
            let mut engines = self.engines.lock();
            while engines.is_empty() {
                self.enlisted.wait(&mut engines);
            }
            // Not to be woken by every engine that enlists meanwhile: a pause, and not a wait.
            drop(engines);
            pause(soon);
            let due = mem::take(&mut *self.engines.lock());
            soon = PERIOD;
            let again: Vec<_> = due
                .into_iter()
                .filter(|engine| {
                    let served = self.serve(engine);
                    if let Some(wait) = served.wait {
                        soon = soon.min(wait.max(PERIOD_MIN));
                    }
                    served.stays
                })
                .collect();
            self.engines.lock().extend(again);
        }
    }

    /// Works for an engine.
    fn serve(&self, engine: &Weak<Engine>) -> Served {
        let Some(engine) = engine.upgrade() else {
            return Served::default();
        };
        let awake = &(self.chore)(&engine).awake;
        // Before the work: a commit that comes later enlists the engine anew.
        awake.rest();
        // What a value of the caller's does when it is dropped may panic, and so may the caller's
        // clock. That is reported by then, and no reason not to work for the other engines.
        let work = AssertUnwindSafe(|| (self.work)(&engine));
        let wait = panic::catch_unwind(work).unwrap_or(Some(PERIOD));
        // Where it was enlisted meanwhile, it is already there, and to be looked at no later.
        let stays = wait.is_some() && awake.stay();
        // It may be the last one to have the engine, and then drops all of its values.
        let _ = panic::catch_unwind(AssertUnwindSafe(|| drop(engine)));
        Served { wait, stays }
    }
}

#[cfg(test)]
mod tests {
    use super::{Served, Worker};
    use crate::clock::SystemClock;
    use crate::engine::history::HistoryBounds;
    use crate::engine::{Config, Engine};
    use crate::limits::Limits;
    use crate::sync::{AtomicBool, Condvar, Mutex};
    use std::sync::Arc;
    use std::time::Duration;

    #[test]
    fn what_is_due_soon_is_not_late_because_somebody_commits_meanwhile() {
        const SOON: Duration = Duration::from_millis(2);
        let engine = Engine::new(Config {
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            stripe_bits: 1,
            maintenance: false,
            history: HistoryBounds::default(),
            memory_limit: u64::MAX,
            entry_limit: u64::MAX,
            weigher: None,
            eviction: None,
            queue_concurrency: 1,
            latency_histograms: false,
            slow_commits: None,
        });
        let worker = |work| Worker {
            name: "test",
            chore: |engine| &engine.maintenance.timekeeping,
            work,
            engines: Mutex::new(Vec::new()),
            enlisted: Condvar::new(),
            is_running: AtomicBool::new(true),
        };
        let serve = |work: fn(&Engine) -> Option<Duration>| {
            let Served { wait, stays } = worker(work).serve(&Arc::downgrade(&engine));
            (wait, stays)
        };
        assert_eq!(serve(|_| Some(SOON)), (Some(SOON), true));
        assert_eq!(serve(|_| None), (None, false));
        // Whoever commits while it works has the engine in the list already.
        let commits = |engine: &Engine| {
            engine.maintenance.timekeeping.awake.wake();
            Some(SOON)
        };
        assert_eq!(serve(commits), (Some(SOON), false));
    }
}
