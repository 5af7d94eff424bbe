//! The numbers to watch, as the user sees them.

use crate::engine::Engine;
use crate::engine::eviction::EvictionReason;
use crate::version::Versionstamp;
use std::time::Duration;

/// What a database holds and has done: [`Kv::stats`](crate::Kv::stats).
///
/// The counts are added up while commits go on, so they are of about the same moment; when nothing
/// is written they are exact.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Keys that have a value. One that has expired counts until it is deleted: for some 100
    /// milliseconds, unless a great deal expires at once.
    pub entry_count: usize,
    /// Versions that are kept: one for each entry, and what was superseded or deleted and is still
    /// seen by an open snapshot or waits to be freed.
    pub version_count: usize,
    /// The memory that is in use, of the kinds below: what the [limit](crate::Builder::memory_limit)
    /// goes by. Each allocation counts as what an allocator takes for it: with a word more, in
    /// multiples of sixteen bytes. A large value that its owner shares counts as if it were the
    /// database's alone. Zero when everything is deleted and [swept](crate::Kv::sweep).
    pub bytes: usize,
    /// Keys and versions with their values, those that an [import](crate::Kv::import) under way has
    /// read included, the point index, and what is noted of deadlines and of what waits to be freed.
    pub entry_bytes: usize,
    /// What of these is superseded or deleted: kept for open snapshots, or waiting to be freed.
    pub garbage_bytes: usize,
    /// The ordered index: exactly, but for the upper levels of its directory, which are counted by
    /// their average.
    pub index_bytes: usize,
    /// Messages that are enqueued and not done with, payloads included.
    pub message_bytes: usize,
    /// What is kept for those who follow [changes](crate::Kv::changes) or watch ranges.
    pub change_bytes: usize,
    /// What is noted of entries to tell which are to be evicted, where they may be.
    pub policy_bytes: usize,
    /// The limit, where there is one.
    pub memory_limit: Option<usize>,
    /// Messages that are enqueued and not done with, in all queues: those that wait and those that
    /// are being handled.
    pub message_count: usize,
    /// Keys that are watched by [`Kv::watch`](crate::Kv::watch).
    pub watched_key_count: usize,
    /// How many watches there are of each of these keys, in sum.
    pub key_watch_count: usize,
    /// Those who follow [changes](crate::Kv::changes) or watch ranges.
    pub follower_count: usize,
    /// Point reads that found an entry, since the beginning: keys of `get`, `get_many` and `with_entry`,
    /// also of snapshots and transactions, and calls of
    /// [`get_or_load`](crate::Kv::get_or_load) that were given at once what was there, stale or not. What
    /// lists, updates, checks and watches look at is not counted. Exact once whoever read has returned.
    pub hit_count: u64,
    /// Those that found none, likewise: also calls of `get_or_load` that loaded or waited.
    pub miss_count: u64,
    /// Commits that took effect, since the beginning.
    pub commit_count: u64,
    /// Commits that did not because a check failed, or a range that was read had changed, since the
    /// beginning.
    pub conflict_count: u64,
    /// How often a [transaction](crate::Kv::transact) or an [update](crate::Kv::update) was tried again
    /// because it conflicted, since the beginning.
    pub retry_count: u64,
    /// Commits that were given their version by a reader or another writer that met them, because their
    /// own writer was off its processor, since the beginning.
    pub help_count: u64,
    /// Entries that were deleted because they had expired, since the beginning.
    pub expired_count: u64,
    /// Loads that have begun, since the beginning: how often a loader of
    /// [`Kv::get_or_load`](crate::Kv::get_or_load) was run.
    pub load_count: u64,
    /// Those of them that came to nothing: an error, a panic, a future that was dropped, or a value
    /// that could not be stored.
    pub load_failure_count: u64,
    /// How often a caller waited for the load of another, since the beginning.
    pub load_wait_count: u64,
    /// Entries that were evicted because the [memory limit](crate::Builder::memory_limit) was near or
    /// reached, since the beginning.
    pub evicted_for_memory_count: u64,
    /// Entries that were evicted because the [limit of entries](crate::Builder::entry_limit) was,
    /// since the beginning.
    pub evicted_for_entries_count: u64,
    /// Entries that were evicted because they were not used for
    /// [as long as they may be idle](crate::Builder::time_to_idle).
    pub evicted_idle_count: u64,
    /// The limit of entries, where there is one.
    pub entry_limit: Option<usize>,
    /// What the limit of entries goes by: what all of them [weigh](crate::Builder::weigher), and what
    /// commits under way are going to add. Where they are not weighed, or not limited, each counts 1.
    pub entry_weight: usize,
    /// Snapshots that are open, those of lists and transactions included.
    pub open_snapshot_count: usize,
    /// The version that the oldest of them sees.
    pub oldest_snapshot: Option<Versionstamp>,
    /// For how long the oldest of them that is out of date has been so, by the database's
    /// [clock](crate::Builder::clock): since the first commit after it, from which on it keeps what has
    /// been superseded. `None` where all see the newest version. It is noted by every
    /// [sweep](crate::Kv::sweep), and so within some 100 milliseconds where there are background sweeps,
    /// and whenever these numbers are asked for: so it may be less than it really is, by as much, and is
    /// never more.
    pub oldest_snapshot_age: Option<Duration>,
    /// The latest version that was minted: that of the latest commit, or one that a commit which
    /// conflicted over a range, or a reader that helped, left unused. All zeros before the first.
    pub latest: Versionstamp,
}

impl Stats {
    pub(crate) fn of(engine: &Engine) -> Self {
        let counts = engine.counts();
        let (watched_key_count, key_watch_count) = engine.watched();
        let memory = engine.memory_use();
        let bytes = |bytes| usize::try_from(bytes).unwrap_or(usize::MAX);
        let backlogged = engine.all_backlogged();
        let loads = engine.load_counts();
        let (open_snapshot_count, oldest) = engine.open_snapshots();
        let reads = engine.read_counts();
        Self {
            entry_count: counts.entry_count,
            version_count: counts.version_count,
            bytes: bytes(memory.total()),
            entry_bytes: bytes(memory.entries),
            garbage_bytes: counts.garbage_bytes,
            index_bytes: bytes(memory.index),
            message_bytes: bytes(memory.messages),
            change_bytes: bytes(memory.changes),
            policy_bytes: bytes(memory.policy),
            memory_limit: engine.memory_limit(),
            message_count: backlogged.count(),
            watched_key_count,
            key_watch_count,
            follower_count: engine.follower_count(),
            hit_count: reads.hits,
            miss_count: reads.misses,
            commit_count: counts.commit_count,
            conflict_count: counts.conflict_count,
            retry_count: engine.turn().retry_count(),
            help_count: engine.helped_count(),
            expired_count: counts.expired_count,
            load_count: loads.loads,
            load_failure_count: loads.failures,
            load_wait_count: loads.waits,
            evicted_for_memory_count: counts.evicted[EvictionReason::Memory as usize],
            evicted_for_entries_count: counts.evicted[EvictionReason::Entries as usize],
            evicted_idle_count: counts.evicted[EvictionReason::Idle as usize],
            entry_limit: engine.entry_limit(),
            entry_weight: engine.total_weight(counts.entry_count),
            open_snapshot_count,
            oldest_snapshot: oldest.map(Versionstamp::from),
            oldest_snapshot_age: engine.date_snapshots(),
            latest: engine.latest().into(),
        }
    }
}
