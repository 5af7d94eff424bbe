//! What time it is for a commit.
//!
//! A commit judges everything by one moment: what has expired, and from when on its own entries
//! will have. It reads the clock only where one of the two comes up, and after it has locked its
//! stripes: had it done so before, it could find an entry there that others had already found to
//! have expired, though none of them was its writer.

use super::Engine;
use super::payload::{self, Large};
use crate::expiry::Expiry;
use crate::limits::Limits;
use crate::moment::Moment;
use crate::mvcc::chain::{RecordRef, VersionRef};
use crate::sync::{Planted, planted};
use crate::version::Stamp;
use std::cell::Cell;
use std::time::Duration;

/// The moment of a commit, read when it is first asked for.
pub(crate) struct CommitTime<'e> {
    engine: &'e Engine,
    read: Cell<Option<Duration>>,
    /// Whether nothing will be committed.
    is_preview: bool,
}

impl<'e> CommitTime<'e> {
    pub(super) fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            read: Cell::new(None),
            is_preview: false,
        }
    }

    /// A moment that is known, of mutations that are not committed yet.
    pub(crate) fn at(engine: &'e Engine, now: Moment) -> Self {
        let read = Duration::from_micros(now.as_micros());
        Self {
            engine,
            read: Cell::new(Some(read)),
            is_preview: true,
        }
    }

    /// Reads the clock now, if anything may depend on it later.
    pub(super) fn read_ahead(&self) {
        if self.engine.time.is_running() {
            self.read();
        }
    }

    pub(super) fn limits(&self) -> &Limits {
        self.engine.limits()
    }

    #[cold]
    fn read(&self) -> Duration {
        if let Some(read) = self.read.get() {
            return read;
        }
        let engine = self.engine;
        let clock = engine.clock().now();
        let now = engine.time.judged_by(Moment::floor(clock));
        let read = clock.max(Duration::from_micros(now.as_micros()));
        self.read.set(Some(read));
        read
    }

    #[cold]
    pub(crate) fn now(&self) -> Moment {
        Moment::floor(self.read())
    }

    /// When an entry expires that stays for so long from now on.
    #[cold]
    pub(super) fn deadline(&self, after: Duration) -> Moment {
        let deadline = Moment::ceil(self.read().saturating_add(after));
        if !self.is_preview {
            // TIMED: before anything is linked.
            self.engine.time.begin();
            self.engine.time.note_due(deadline);
        }
        deadline
    }

    /// When an entry expires that is written to with this expiry, given when the one before did.
    pub(super) fn deadline_of(&self, expiry: Expiry, before: Option<Moment>) -> Option<Moment> {
        match expiry.time() {
            Some(time) => Some(self.deadline(time)),
            None => before.filter(|_| expiry == Expiry::KEEP),
        }
    }

    /// Whether a version that expires has done so.
    #[cold]
    fn has_expired(&self, version: VersionRef<'_, Large>) -> bool {
        let Some(deadline) = payload::deadline(version) else {
            return false;
        };
        let now = self.now();
        let has_expired = deadline <= now && !planted(Planted::UndeadCheck);
        if has_expired {
            self.engine.time.pass(deadline, now);
        }
        has_expired
    }

    /// The newest version of a record, if it is an entry. The stripe of the key is locked.
    #[inline]
    pub(super) fn live<'g>(
        &self,
        record: RecordRef<'g, Large>,
    ) -> Option<(VersionRef<'g, Large>, Stamp)> {
        let (version, stamp) = record.settled_head()?;
        let is_live =
            payload::is_lasting(version) || (!version.is_tombstone() && !self.has_expired(version));
        is_live.then_some((version, stamp))
    }

    /// The stamp of the entry that a record holds. The stripe of the key is locked.
    #[inline]
    pub(super) fn current(&self, record: RecordRef<'_, Large>) -> Option<Stamp> {
        let (_, stamp) = record.has_entry().then(|| self.live(record))??;
        Some(stamp)
    }

    /// The version of the entry that a record holds. The stripe of the key is locked.
    #[inline]
    pub(super) fn stored<'g>(
        &self,
        record: Option<RecordRef<'g, Large>>,
    ) -> Option<VersionRef<'g, Large>> {
        let (version, _) = self.live(record?)?;
        Some(version)
    }

    /// Whether a version that had not expired at a moment before has since.
    pub(super) fn has_expired_since(&self, version: VersionRef<'_, Large>, before: Moment) -> bool {
        payload::deadline(version)
            .is_some_and(|deadline| deadline > before && deadline <= self.now())
    }
}
