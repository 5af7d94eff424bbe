//! Setting an engine up.

use crate::clock::{Clock, SystemClock};
use crate::engine::eviction::EvictionScope;
use crate::engine::history::HistoryBounds;
use crate::engine::weight::Weigher;
use crate::engine::{Config, Engine};
use crate::key::Key;
use crate::kv::Kv;
use crate::limits::Limits;
use crate::value::ValueRef;
use crate::version::{Stamp, Versionstamp};
use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

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
    latency_histograms: bool,
    slow_commits: Option<Duration>,
    entry_limit: Option<usize>,
    weigher: Option<Weigher>,
    on_limit: OnLimit,
    eviction: EvictionScope,
    after: Option<Stamp>,
}

/// What is done where a commit is going to hold more than a limit allows: [`Builder::on_limit`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnLimit {
    /// The commit fails, and has changed nothing.
    #[default]
    Refuse,
    /// Other entries are evicted first.
    Evict,
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
            entry_limit: None,
            weigher: None,
            on_limit: OnLimit::default(),
            eviction: EvictionScope::default(),
            after: None,
            latency_histograms: false,
            slow_commits: None,
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
    /// engine takes about 400 bytes for each, and 750 where entries may be evicted.
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

    /// How many entries there may be; or, with a [weigher](Self::weigher), how much they may weigh together.
    /// Default: as many as the memory holds. One that has expired counts until it is deleted.
    ///
    /// Where a commit would make it more, entries are evicted first, if they may be
    /// ([`on_limit`](Self::on_limit)); otherwise it fails with
    /// [`EntryLimit`](crate::ErrorKind::EntryLimit), and has changed nothing.
    pub fn entry_limit(mut self, entries: usize) -> Self {
        self.entry_limit = Some(entries);
        self
    }

    /// Has the [limit of entries](Self::entry_limit) be one of the sum of what they weigh, as this says;
    /// without, each weighs 1. It does not change what an entry takes of the [memory](Self::memory_limit).
    ///
    /// ```
    /// use kvick::{ErrorKind, Key, Kv, OnLimit, ValueRef};
    ///
    /// let bytes = |key: &Key, value: ValueRef<'_>| {
    ///     u32::try_from(key.as_bytes().len() + value.len()).unwrap_or(u32::MAX)
    /// };
    /// let kv = Kv::builder().entry_limit(10_000).weigher(bytes).on_limit(OnLimit::Evict).build();
    /// for number in 0..100 {
    ///     kv.set(("page", number), &[0; 500])?;
    ///     assert!(kv.stats().entry_weight <= 10_000);
    /// }
    /// assert!(kv.stats().entry_count < 20);
    /// let refused = kv.set("huge", &[0; 20_000]).map_err(|error| error.kind());
    /// assert_eq!(refused, Err(ErrorKind::EntryLimit));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// The sum is exact, and never above the limit. What an entry weighs stays with it until it is
    /// overwritten, deleted or evicted, and takes four bytes. 0 counts as 1: what counts nothing would
    /// never have to go.
    /// An entry that is heavier than the whole limit is refused with
    /// [`EntryLimit`](crate::ErrorKind::EntryLimit), and nothing is evicted for it. What a commit makes
    /// lighter or deletes makes room for the next one, not for its own other keys.
    ///
    /// It is called once for each value that is to be set, at each attempt of a transaction, by whoever
    /// sets it and before anything is locked: also of transactions, loads and imports, and whether or not
    /// the commit then takes place. It may use the database. It should be quick, and give the same for the
    /// same; nothing relies on that. If it panics, that reaches the caller, and nothing has changed.
    ///
    /// - What [`sum`](crate::AtomicOp::sum), `min`, `max` and their like leave weighs what their operand
    ///   does, taken as the value.
    /// - A key that ends in the versionstamp of its commit is shown with zeros in its place.
    /// - An entry that is [touched](Kv::touch) keeps its weight, and it is not called.
    /// - What a message sets if it is undelivered is weighed when it is enqueued.
    /// - Without a limit of entries it is never called.
    pub fn weigher(
        mut self,
        weigh: impl Fn(&Key, ValueRef<'_>) -> u32 + Send + Sync + 'static,
    ) -> Self {
        self.weigher = Some(Weigher::new(weigh));
        self
    }

    /// What is done where a commit is going to hold more than the limits allow. Default:
    /// [`Refuse`](OnLimit::Refuse).
    ///
    /// With [`Evict`](OnLimit::Evict) the database is a cache: entries that have not been used of late
    /// are deleted, a little ahead of when the limit would be reached. An eviction is a commit like any
    /// other, with a versionstamp of its own, so whoever has read the entry and checks it conflicts,
    /// watchers are told, and an open snapshot goes on seeing it. (What a snapshot sees takes memory until
    /// it is closed; where that is most of the limit, commits are refused all the same.) Each entry is
    /// evicted by itself: of what one commit has set, some may be gone and some not.
    ///
    /// ```
    /// use kvick::{Kv, OnLimit};
    ///
    /// let kv = Kv::builder()
    ///     .memory_limit(1 << 20)
    ///     .on_limit(OnLimit::Evict)
    ///     .pin("config")
    ///     .build();
    /// kv.set(("config", "colour"), "blue")?;
    /// for number in 0..10_000 {
    ///     kv.set(("page", number), &[0; 1_000])?;
    /// }
    /// assert!(kv.stats().bytes <= 1 << 20);
    /// assert!(kv.get(("page", 9_999))?.exists());
    /// assert!(kv.get(("config", "colour"))?.exists());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    pub fn on_limit(mut self, on_limit: OnLimit) -> Self {
        self.on_limit = on_limit;
        self
    }

    /// Only what lies below this prefix may be evicted, or below another that this is called with.
    /// Default: everything.
    pub fn evict_only(mut self, prefix: impl Into<Key>) -> Self {
        self.eviction.only.push(prefix.into());
        self
    }

    /// What lies below this prefix is never evicted, nor is the entry of that key. May be called more than
    /// once.
    pub fn pin(mut self, prefix: impl Into<Key>) -> Self {
        self.eviction.pinned.push(prefix.into());
        self
    }

    /// How long an entry may be idle: one that has neither been read nor written for this time is evicted,
    /// whether there is room or not. Default: for ever. Shorter than 80 milliseconds counts as that.
    ///
    /// An entry is evicted that long after its last use, or up to an eighth of it later and as long as the
    /// background takes, by a commit as those of [`on_limit`](Self::on_limit); until then it is there, for
    /// everybody. What is [pinned](Self::pin), or is not [in the prefixes](Self::evict_only) that may be
    /// evicted, stays. Lists are no use. A read does not read the clock for it. The background looks at all entries eight times in this time, which takes some
    /// 100 nanoseconds for each; where [it is turned off](Self::background_sweep), [`Kv::sweep`]
    /// does.
    ///
    /// ```
    /// use kvick::Kv;
    /// use std::time::Duration;
    ///
    /// let sessions = Kv::builder()
    ///     .time_to_idle(Duration::from_secs(30 * 60))
    ///     .build();
    /// sessions.set(("session", "a"), "alice")?;
    /// assert!(sessions.get(("session", "a"))?.exists());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    pub fn time_to_idle(mut self, time: Duration) -> Self {
        self.eviction.time_to_idle = Some(time);
        self
    }

    /// Whether it is counted how long reads and commits take: [`Kv::latencies`]. Default: no, and then no
    /// clock is read for it.
    ///
    /// Where it is, each of them reads the [clock](Self::clock) twice, which takes some 50 nanoseconds with
    /// that of the system, and the histograms take 9 KiB for each of up to 65 threads, twice as many as the
    /// machine runs at once.
    pub fn latency_histograms(mut self, enabled: bool) -> Self {
        self.latency_histograms = enabled;
        self
    }

    /// Tells of commits that take as long as this, or longer, by an event of `tracing`: at the level `WARN`,
    /// with the target `kvick` and the message `slow commit`. Default: of none, and then no clock is read
    /// for it.
    ///
    /// The event has the fields `duration_us`, from before the commit waits for anybody, in microseconds
    /// by the [clock](Self::clock); `writes`, the mutations and messages; `checks`, of a transaction
    /// the keys and ranges that it has read; `attempt`, from 1 on, of a transaction or update that is tried
    /// again; and `outcome`: `committed`, `conflict` or `refused`. It is told when the commit is done,
    /// by the thread that has called, behind no lock.
    #[cfg(feature = "tracing")]
    pub fn slow_commits(mut self, from: impl Into<Option<Duration>>) -> Self {
        self.slow_commits = from.into();
        self
    }

    /// Every commit gets a versionstamp above this one. For a database that takes the place of another whose
    /// versionstamps somebody still knows, as where a program has been started again: a check on what was
    /// read from the old one must not hold for what the new one has. Half of all versionstamps can be asked
    /// for; what is larger counts as that. Default: the first versionstamp is one above zero.
    ///
    /// A database that was built so refuses to import what is to keep its versionstamps
    /// ([`NotEmpty`](crate::ErrorKind::NotEmpty)).
    ///
    /// ```
    /// use kvick::Kv;
    ///
    /// let old = Kv::new();
    /// old.set("counter", 1u64)?;
    /// let read = old.get("counter")?;
    /// let new = Kv::builder().versionstamps_after(old.versionstamp()).build();
    /// new.set("counter", 7u64)?;
    /// assert!(!new.atomic().check(&read).set("counter", 2u64).commit()?.is_committed());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    pub fn versionstamps_after(mut self, versionstamp: Versionstamp) -> Self {
        self.after = Some(versionstamp.ceiling().min(Stamp::new(Stamp::MAX.get() / 2)));
        self
    }

    /// Builds the engine. It is empty.
    pub fn build(mut self) -> Kv {
        self.eviction.makes_room = self.on_limit == OnLimit::Evict;
        let is_evicting = self.eviction.makes_room || self.eviction.time_to_idle.is_some();
        let stripe_bits = self
            .threads
            .map_or_else(Config::default_stripe_bits, Config::stripe_bits_for);
        let engine = Engine::new(Config {
            limits: self.limits.clamped(),
            clock: self.clock,
            stripe_bits,
            maintenance: self.maintenance,
            history: self.history,
            queue_concurrency: self.queue_concurrency,
            latency_histograms: self.latency_histograms,
            slow_commits: self.slow_commits,
            memory_limit: self.memory_limit.map_or(u64::MAX, |limit| limit as u64),
            entry_limit: self.entry_limit.map_or(u64::MAX, |limit| limit as u64),
            weigher: self.weigher.filter(|_| self.entry_limit.is_some()),
            eviction: is_evicting.then_some(self.eviction),
        });
        if let Some(after) = self.after.filter(|after| *after > Stamp::ZERO) {
            engine.pass_by(after);
        }
        Kv::over(engine)
    }
}
