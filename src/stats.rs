//! The numbers to watch, as the user sees them.

use crate::engine::Engine;
use crate::version::Versionstamp;

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
    /// The heap memory of keys, values and versions, and of the ordered index on average. The
    /// slots of the point index, some 24 to 48 bytes a key, are not in it.
    pub bytes: usize,
    /// Messages that are enqueued and not done with, in all queues: those that wait and those that
    /// are being handled.
    pub message_count: usize,
    /// Their memory, payloads included, and what is owned by others beside. It is not in `bytes`.
    pub message_bytes: usize,
    /// Commits that took effect, since the beginning.
    pub commit_count: u64,
    /// Commits that did not because a check failed, or a range that was read had changed, since the
    /// beginning.
    pub conflict_count: u64,
    /// Entries that were deleted because they had expired, since the beginning.
    pub expired_count: u64,
    /// Snapshots that are open, those of lists and transactions included.
    pub open_snapshot_count: usize,
    /// The version that the oldest of them sees.
    pub oldest_snapshot: Option<Versionstamp>,
    /// The latest version that was minted: that of the latest commit, or one that a commit which
    /// conflicted over a range, or a reader that helped, left unused. All zeros before the first.
    pub latest: Versionstamp,
}

impl Stats {
    pub(crate) fn of(engine: &Engine) -> Self {
        let counts = engine.counts();
        let backlogged = engine.all_backlogged();
        let (open_snapshot_count, oldest) = engine.open_snapshots();
        Self {
            entry_count: counts.entry_count,
            version_count: counts.version_count,
            bytes: counts.bytes,
            message_count: backlogged.count(),
            message_bytes: backlogged.bytes,
            commit_count: counts.commit_count,
            conflict_count: counts.conflict_count,
            expired_count: counts.expired_count,
            open_snapshot_count,
            oldest_snapshot: oldest.map(Versionstamp::from),
            latest: engine.latest().into(),
        }
    }
}
