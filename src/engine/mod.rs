//! The engine: the parts, put together.
//!
//! [`commit`] and [`ranged`] change it, [`read`] and [`scan`] look at it, [`timing`] tells a commit
//! what time it is, [`import`] commits what was exported, [`reaper`] deletes what has expired, [`sweep`] forgets what nobody can see any
//! more, [`maintenance`] does both in the background, [`contention`] sees to it that a transaction
//! gets its turn, and [`queues`] has the messages that commits enqueue. Whoever watches is among the
//! [`observers`] of a stripe; [`watch`] is what it does, and [`park`] how a thread waits for it.

mod ages;
pub(crate) mod arithmetic;
mod calls;
mod charge;
pub(crate) mod commit;
pub(crate) mod contention;
mod deferred;
pub(crate) mod eviction;
mod feed;
pub(crate) mod follow;
mod garbage;
mod handover;
pub(crate) mod history;
mod idle;
pub(crate) mod import;
pub(crate) mod latency;
pub(crate) mod load;
mod maintenance;
mod memory;
pub(crate) mod mutation;
mod notes;
mod observers;
pub(crate) mod park;
mod payload;
#[cfg(feature = "denokv")]
pub(crate) mod preview;
pub(crate) mod queues;
mod ranged;
pub(crate) mod read;
mod reaper;
pub(crate) mod reports;
mod returning;
pub(crate) mod scan;
mod single;
mod stats;
mod sweep;
pub(crate) mod timing;
mod versionstamped;
mod victims;
pub(crate) mod watch;
pub(crate) mod weight;
pub(crate) mod write;

pub(crate) use self::stats::{Counts, ReadCounts};
pub(crate) use crate::sync::reserve;

use self::ages::Ages;
use self::contention::Turn;
use self::deferred::Deferred;
use self::eviction::{Eviction, EvictionScope};
use self::garbage::WaitingBytes;
use self::history::{History, HistoryBounds};
use self::latency::Latency;
use self::load::Loads;
use self::maintenance::Maintenance;
use self::memory::{Kind, Memory};
use self::notes::Notes;
use self::observers::{Listed, Observers};
use self::payload::Large;
use self::queues::Queues;
use self::reaper::{Pace, Timers};
use self::reports::Reports;
use self::sweep::SweepQueue;
use self::weight::Weigher;
use crate::clock::Clock;
use crate::error::Error;
use crate::index::OrderedIndex;
use crate::key::Key;
use crate::limits::{Limits, SingleLimits};
use crate::moment::Moment;
use crate::mvcc::chain::{RecordRef, Ripe};
use crate::mvcc::point::{Occupancy, Table};
use crate::mvcc::quota::Share;
use crate::mvcc::registry::Registry;
use crate::mvcc::stamp::StampCounter;
use crate::mvcc::stripes::{STRIPES_MAX, Stripes, stripe_of};
use crate::mvcc::tally::Tally;
use crate::mvcc::time::Time;
use crate::sync::epoch::Guard;
use crate::sync::{AtomicBool, NUMBERS, OnceLock, Ordering, OutOfMemory, RefusedBy};
use crate::version::Stamp;
use std::num::NonZero;
use std::sync::{Arc, Weak};
use std::time::Duration;

/// How an engine is set up. Nothing in it changes afterwards.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    /// The logarithm of the number of stripes.
    pub(crate) stripe_bits: u32,
    pub(crate) maintenance: bool,
    pub(crate) history: HistoryBounds,
    /// How many bytes may be in use; `u64::MAX` where nothing is limited.
    pub(crate) memory_limit: u64,
    /// How many entries there may be; `u64::MAX` where that is not limited.
    pub(crate) entry_limit: u64,
    /// What they count, other than 1 each; none where they are not limited.
    pub(crate) weigher: Option<Weigher>,
    /// Which entries may be evicted for a limit, if any.
    pub(crate) eviction: Option<EvictionScope>,
    /// How many messages of a queue are handled at once.
    pub(crate) queue_concurrency: usize,
    /// Whether it is counted how long operations take.
    pub(crate) latency_histograms: bool,
    /// Commits that take as long as this are told of.
    pub(crate) slow_commits: Option<Duration>,
}

/// An engine for more threads than these has to be asked for: its empty stripes take more than the
/// 64 KiB that an empty engine may.
const DEFAULT_THREADS_MAX: usize = 8;

/// So many threads that read count by themselves on the smallest machine.
const READERS_MIN: usize = 8;

impl Config {
    /// The stripes for as many threads as the machine runs at once.
    pub(crate) fn default_stripe_bits() -> u32 {
        // Asking the system takes longer than building an engine.
        static BITS: OnceLock<u32> = OnceLock::new();
        *BITS.get_or_init(|| {
            let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
            Self::stripe_bits_for(threads.min(DEFAULT_THREADS_MAX))
        })
    }

    /// How many threads count what they read in cells of their own: twice as many as the machine runs
    /// at once.
    fn reader_count() -> usize {
        static COUNT: OnceLock<usize> = OnceLock::new();
        *COUNT.get_or_init(|| {
            let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
            threads.saturating_mul(2).clamp(READERS_MIN, NUMBERS)
        })
    }

    /// The stripes that this many threads want: sixteen each, so that two of them seldom meet, and
    /// a commit of several keys seldom waits for one.
    pub(crate) fn stripe_bits_for(threads: usize) -> u32 {
        threads
            .saturating_mul(16)
            .clamp(16, STRIPES_MAX)
            .next_power_of_two()
            .trailing_zeros()
    }
}

/// One in-memory database.
#[derive(Debug)]
pub(crate) struct Engine {
    config: Config,
    single: SingleLimits,
    /// The point index, a table for each stripe. Apart from the stripes' locks, so that a lookup
    /// does not share a cache line with a writer.
    tables: Box<[Table<Large>]>,
    index: OrderedIndex<Large>,
    counter: StampCounter,
    time: Time,
    pace: Pace,
    registry: Arc<Registry>,
    /// Records that can be freed.
    ripe: Arc<Ripe<Large>>,
    stripes: Stripes<Stripe>,
    waiting: WaitingBytes,
    memory: Memory,
    eviction: Option<Box<Eviction>>,
    reports: Reports,
    deferred: Deferred,
    turn: Turn,
    history: Box<History>,
    maintenance: Maintenance,
    queues: Queues,
    loads: Loads,
    /// How many point reads there were, and how many of them found nothing.
    reads: Tally<2>,
    ages: Ages,
    latency: Latency,
    is_closed: AtomicBool,
}

/// What the writers of a stripe share, behind its lock.
#[derive(Debug)]
struct Stripe {
    occupancy: Occupancy,
    share: Share,
    /// The same of entries, where their number is limited.
    entries: Option<Share>,
    /// For the policy, where entries are evicted.
    notes: Option<Box<Notes>>,
    sweep: SweepQueue,
    timers: Timers,
    counts: Counts,
    /// Nothing, as long as nobody watches.
    observers: Option<Box<Observers>>,
    loads: Listed,
}

impl Stripe {
    fn new(memory: &Memory, eviction: Option<&Eviction>) -> Self {
        Self {
            occupancy: Occupancy::default(),
            share: Share::new(memory.quota()),
            entries: memory.entries().map(Share::new),
            notes: eviction.map(|eviction| Box::new(eviction.notes())),
            sweep: SweepQueue::default(),
            timers: Timers::default(),
            counts: Counts::default(),
            observers: None,
            loads: Listed::default(),
        }
    }
}

impl Engine {
    pub(crate) fn new(config: Config) -> Arc<Self> {
        let memory = Memory::new(config.memory_limit, config.entry_limit, config.stripe_bits);
        let is_weighed = config.weigher.is_some();
        let eviction = config.eviction.clone();
        let eviction = eviction.map(|scope| Box::new(memory.eviction(scope, is_weighed)));
        let stripes = Stripes::new(config.stripe_bits, || {
            Stripe::new(&memory, eviction.as_deref())
        });
        let engine = Arc::new_cyclic(|engine| Self {
            tables: (0..stripes.count()).map(|_| Table::new()).collect(),
            index: OrderedIndex::new(Arc::clone(memory.meter(Kind::Index))),
            counter: StampCounter::new(),
            time: Time::new(),
            pace: Pace::default(),
            registry: Arc::new(Registry::new()),
            ripe: Arc::new(Ripe::new()),
            deferred: Deferred::new(),
            turn: Turn::new(),
            history: Box::new(History::new(
                Weak::clone(engine),
                stripes.count(),
                config.history,
                memory.meter(Kind::Changes),
            )),
            maintenance: Maintenance::new(engine, config.maintenance),
            queues: Queues::new(config.queue_concurrency),
            loads: Loads::default(),
            reads: Tally::new(Config::reader_count()),
            ages: Ages::default(),
            latency: Latency::new(
                config.latency_histograms,
                config.slow_commits,
                Config::reader_count(),
            ),
            is_closed: AtomicBool::new(false),
            stripes,
            memory,
            waiting: WaitingBytes::default(),
            eviction,
            reports: Reports::new(),
            single: if is_weighed {
                SingleLimits::NONE
            } else {
                config.limits.single()
            },
            config,
        });
        engine.keep_history();
        engine
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.config.limits
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.config.clock
    }

    /// The moment to judge by.
    pub(crate) fn now(&self) -> Moment {
        self.judged_by(self.config.clock.now())
    }

    /// The moment to judge by, given what the clock says.
    fn judged_by(&self, time: Duration) -> Moment {
        self.time.judged_by(Moment::floor(time))
    }

    /// Does what is due by now; when something is again.
    pub(crate) fn keep_time(&self) -> Option<Moment> {
        // First what takes no time.
        let message = self.wake_queues(self.now());
        let expiry = self.reap_at_pace();
        expiry.into_iter().chain(message).min()
    }

    /// The same for somebody who asks for it, beside whom the background must not be led to believe
    /// that nothing is left.
    pub(crate) fn keep_time_now(&self) {
        self.queues.tidy();
        let message = self.wake_queues(self.now());
        if self.reap().or(message).is_some() {
            self.maintenance.wake_for_time();
        }
    }

    pub(crate) fn turn(&self) -> &Turn {
        &self.turn
    }

    /// Refuses every later operation, and ends the listeners. What is under way completes.
    pub(crate) fn close(&self) {
        // ORDERING: Relaxed. The flag publishes nothing but itself; to watchers it comes with what
        // wakes them.
        self.is_closed.store(true, Ordering::Relaxed);
        self.end_watches();
        self.reports.end();
        self.queues.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Relaxed. The flag publishes nothing but itself.
        self.is_closed.load(Ordering::Relaxed)
    }

    /// The stamp of the latest commit.
    pub(crate) fn latest(&self) -> Stamp {
        self.counter.latest()
    }

    /// Mints a stamp for nothing, and passes by those before it. Nobody else has the engine yet.
    pub(crate) fn pass_by(&self, stamp: Stamp) {
        let is_minted = self.counter.mint_at(stamp);
        debug_assert!(is_minted, "nothing was minted before");
    }

    fn stripe_of(&self, hash: u64) -> usize {
        stripe_of(hash, self.config.stripe_bits)
    }

    fn table(&self, hash: u64) -> &Table<Large> {
        &self.tables[self.stripe_of(hash)]
    }

    /// Has the slot of a key brought near. Asked for before the epoch is pinned: that is a fence,
    /// which holds up all loads behind it, but not this.
    #[inline]
    fn prefetch(&self, key: &Key) {
        let hash = key.hash_code();
        self.table(hash).prefetch(hash);
    }

    fn find<'g>(&self, key: &Key, guard: &'g Guard) -> Option<RecordRef<'g, Large>> {
        let hash = key.hash_code();
        self.table(hash).find(hash, key.as_bytes(), guard)
    }
}

impl From<OutOfMemory> for Error {
    #[cold]
    fn from(refused: OutOfMemory) -> Self {
        match refused.by {
            RefusedBy::Allocator => Self::out_of_memory(refused.bytes),
            RefusedBy::MemoryLimit => Self::memory_limit(refused.bytes),
            RefusedBy::EntryLimit => Self::entry_limit(refused.bytes),
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Nobody can change anything any more.
        self.end_watches();
        self.reports.end();
        self.queues.end();
        // The parts free what they own. What was handed to the epoch before is freed once every
        // thread has gone on; where no other thread is pinned, that is now.
        deferred::run_all();
    }
}
