//! Setting an engine up.

use crate::clock::{Clock, SystemClock};
use crate::engine::history::HistoryBounds;
use crate::engine::{Config, Engine};
use crate::kv::Kv;
use crate::limits::Limits;
use std::num::NonZero;
use std::sync::Arc;

/// Sets up an engine: [`Kv::builder`].
///
/// ```
/// use kvick::{Kv, Limits};
///
/// let kv = Kv::builder().limits(Limits::unlimited()).build();
/// assert_eq!(kv.limits().checks_max, usize::MAX);
/// ```
#[derive(Debug)]
#[must_use = "a builder does nothing until `build`"]
pub struct Builder {
    limits: Limits,
    clock: Arc<dyn Clock>,
    threads: Option<usize>,
    maintenance: bool,
    history: HistoryBounds,
    queue_concurrency: usize,
    memory_limit: Option<usize>,
}

/// How many handlers Deno runs at once, as it documents.
const QUEUE_CONCURRENCY: usize = 100;

impl Builder {
    pub(crate) fn new() -> Self {
        Self {
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            threads: None,
            maintenance: true,
            history: HistoryBounds::default(),
            queue_concurrency: QUEUE_CONCURRENCY,
            memory_limit: None,
        }
    }

    /// The limits to refuse beyond. Default: those of the Deno runtime.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// The clock to go by. Default: the system's monotonic one.
    ///
    /// Nothing is ordered by it. What expires, and deadlines, are measured by it.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many threads are expected to write at the same time: the engine has sixteen locks for
    /// each, rounded up to a power of two, and at most 256 in all. Default: as many threads as the
    /// machine runs at once, but at most 8.
    ///
    /// More locks make it rarer that two commits of different keys meet. (Those that create or forget
    /// neighbouring keys also meet, for a fraction of a microsecond, in the ordered index.) An empty
    /// engine takes about 270 bytes for each.
    pub fn writer_threads(mut self, threads: usize) -> Self {
        self.threads = Some(threads);
        self
    }

    /// Whether an idle engine is swept in the background, and what has expired is deleted there.
    /// Default: yes.
    ///
    /// Two threads serve all engines of the process. The one starts with the first commit to any of
    /// them, the other with the first entry that expires or the first message. The first sleeps while
    /// there is nothing to do, the other while nothing is to expire or to be delivered later; while
    /// something is, it looks at the clock twenty times a second. Without them, what the last commits superseded waits for the next ones,
    /// or for [`Kv::sweep`]; so does, for the latter, what has expired, which nobody sees in any
    /// case, and which watchers are told of only then.
    /// Listeners that wait asynchronously for messages that are delayed wait for it too; those that
    /// wait in a thread look at the clock themselves.
    pub fn background_sweep(mut self, enabled: bool) -> Self {
        self.maintenance = enabled;
        self
    }

    /// How much of the latest changes is there for those who follow them, by
    /// [`changes`](Kv::changes) or [`watch_range`](Kv::watch_range): so many changes of one key, and
    /// so many bytes, keys included. Default: 65,536 and 8 MiB.
    ///
    /// It bounds the memory that following takes, however late somebody comes: to some four times
    /// these bytes, with what is not sorted into the history yet, or is being sorted. Whoever comes
    /// later than that is told so.
    pub fn change_history(mut self, changes: usize, bytes: usize) -> Self {
        self.history.changes_max = changes;
        self.history.bytes_max = bytes;
        self
    }

    /// Whether the change history is kept from the beginning, and goes on while nobody follows it, so
    /// that one who comes back can go on where it was. Default: no, and commits have nothing to do
    /// for it then.
    pub fn keep_change_history(mut self, enabled: bool) -> Self {
        self.history.is_kept = enabled;
        self
    }

    /// How many messages of each queue are handled at once, by all listeners of all handles
    /// together: a listener waits while so many [messages](crate::Message) are alive (Q10). Default:
    /// 100.
    pub fn queue_concurrency(mut self, messages: NonZero<usize>) -> Self {
        self.queue_concurrency = messages.get();
        self
    }

    /// How many bytes may be in use: of keys, values, versions, indexes, garbage that waits to be
    /// freed, queued messages and changes that are kept for those who follow them. Default: as many
    /// as there are.
    ///
    /// What a commit is going to keep is counted before it takes effect, so [`Stats::bytes`] is never
    /// beyond this. Where it would be, memory that is no longer needed is freed first; and where that
    /// does not suffice, the commit fails with [`MemoryLimit`](crate::ErrorKind::MemoryLimit), and
    /// has changed nothing. Reads always work, and so does what only deletes: a sixty-fourth of the
    /// limit is kept for that, and beyond it deletions are not refused but go above the limit, by some
    /// 64 bytes for each key that one commit deletes.
    ///
    /// An [open snapshot](Kv::snapshot) keeps what was superseded since, which counts. The lists and
    /// plans of operations under way do not, nor what reads return, nor handles, watches and
    /// listeners themselves. docs/cache.md tells how the resident memory of the process compares.
    ///
    /// It can be changed later: [`Kv::set_memory_limit`].
    ///
    /// ```
    /// use kvick::{ErrorKind, Kv};
    ///
    /// let kv = Kv::builder().memory_limit(100_000).build();
    /// let page = [0; 10_000];
    /// let refused = (0..10).find_map(|number| kv.set(("page", number), &page).err());
    /// assert_eq!(refused.map(|error| error.kind()), Some(ErrorKind::MemoryLimit));
    /// assert!(kv.stats().bytes <= 100_000);
    /// kv.delete(("page", 0))?;
    /// kv.set(("page", 10), &page)?;
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// [`Stats::bytes`]: crate::Stats::bytes
    pub fn memory_limit(mut self, bytes: usize) -> Self {
        self.memory_limit = Some(bytes);
        self
    }

    /// Builds the engine. It is empty.
    pub fn build(self) -> Kv {
        let stripe_bits = self
            .threads
            .map_or_else(Config::default_stripe_bits, Config::stripe_bits_for);
        Kv::over(Engine::new(Config {
            limits: self.limits.clamped(),
            clock: self.clock,
            stripe_bits,
            maintenance: self.maintenance,
            history: self.history,
            queue_concurrency: self.queue_concurrency,
            memory_limit: self.memory_limit.map_or(u64::MAX, |limit| limit as u64),
        }))
    }
}
