//! Sweeping an engine that is idle.
//!
//! Under load the commits sweep. What the last of them leave behind, and what a snapshot lets go
//! of when nothing is written any more, is swept by one thread for all engines of the process. It
//! exists from the first commit on, or the first snapshot that closes, sleeps while there are no
//! more of them, and holds an engine only while it sweeps it.

use super::Engine;
use crate::sync::{AtomicBool, Condvar, Mutex, OnceLock, Ordering, pause};
use std::panic::{self, AssertUnwindSafe};
use std::sync::Weak;
use std::thread;
use std::time::Duration;

/// How long after a commit an idle engine is swept, and how often a busy one.
const PERIOD: Duration = Duration::from_millis(50);

/// An engine's line to the thread.
#[derive(Debug)]
pub(super) struct Maintenance {
    engine: Weak<Engine>,
    is_enabled: bool,
    /// Whether the thread knows that there is something to sweep.
    is_awake: AtomicBool,
}

impl Maintenance {
    pub(super) fn new(engine: Weak<Engine>, is_enabled: bool) -> Self {
        Self {
            engine,
            is_enabled,
            is_awake: AtomicBool::new(false),
        }
    }

    /// Tells that there is something to sweep.
    pub(super) fn wake(&self) {
        // ORDERING: Relaxed. The engine's locks order what is swept; a wake-up that is missed
        // because the flag is just being cleared comes again with the next commit.
        if self.is_enabled && !self.is_awake.load(Ordering::Relaxed) {
            self.enlist();
        }
    }

    #[cold]
    fn enlist(&self) {
        // ORDERING: Relaxed, as in `wake`.
        if !self.is_awake.swap(true, Ordering::Relaxed) {
            let thread = Sweeper::get();
            // ORDERING: Relaxed. Where it is missed, a few engines are enlisted for nobody.
            if thread.is_running.load(Ordering::Relaxed) {
                thread.engines.lock().push(Weak::clone(&self.engine));
                thread.enlisted.notify_one();
            }
        }
    }
}

/// What the engines share with the thread.
#[derive(Debug)]
struct Sweeper {
    engines: Mutex<Vec<Weak<Engine>>>,
    enlisted: Condvar,
    /// Whether there is such a thread: the system may refuse one.
    is_running: AtomicBool,
}

impl Sweeper {
    /// The one of the process, started when it is first needed.
    fn get() -> &'static Self {
        static SWEEPER: OnceLock<Sweeper> = OnceLock::new();
        let mut is_new = false;
        let sweeper = SWEEPER.get_or_init(|| {
            is_new = true;
            Self {
                engines: Mutex::new(Vec::new()),
                enlisted: Condvar::new(),
                is_running: AtomicBool::new(true),
            }
        });
        if is_new {
            let thread = thread::Builder::new().name("kvick-sweep".into());
            if thread.spawn(|| sweeper.run()).is_err() {
                // Engines are swept by their commits alone, then.
                // ORDERING: Relaxed, as in `enlist`.
                sweeper.is_running.store(false, Ordering::Relaxed);
                sweeper.engines.lock().clear();
            }
        }
        sweeper
    }

    fn run(&self) {
        loop {
            let mut engines = self.engines.lock();
            while engines.is_empty() {
                self.enlisted.wait(&mut engines);
            }
            let due = std::mem::take(&mut *engines);
            // Not to be woken by every engine that enlists meanwhile: a pause, and not a wait.
            drop(engines);
            pause(PERIOD);
            let again: Vec<_> = due.into_iter().filter(Self::sweep).collect();
            self.engines.lock().extend(again);
        }
    }

    /// Sweeps an engine; whether it is to be swept again.
    fn sweep(engine: &Weak<Engine>) -> bool {
        let Some(engine) = engine.upgrade() else {
            return false;
        };
        // ORDERING: Relaxed, as in `wake`. Cleared before the sweep: a commit that comes later
        // enlists the engine anew.
        engine.maintenance.is_awake.store(false, Ordering::Relaxed);
        // What a value of the caller's does when it is dropped may panic. That is reported by then,
        // and no reason not to sweep the other engines.
        let is_left = panic::catch_unwind(AssertUnwindSafe(|| engine.sweep())).unwrap_or(true);
        // ORDERING: Relaxed, as in `wake`.
        is_left && !engine.maintenance.is_awake.swap(true, Ordering::Relaxed)
    }
}
