//! Point reads.

use super::Engine;
use super::payload::{self, Large};
use crate::key::Key;
use crate::moment::{Moment, TimeLeft};
use crate::mvcc::chain::VersionRef;
use crate::mvcc::registry::Registration;
use crate::mvcc::time::Time;
use crate::sync::epoch::{self, Guard};
use crate::sync::{Planted, planted};
use crate::value::{Value, ValueRef};
use crate::version::Stamp;
use std::borrow::Borrow;
use std::sync::Arc;

/// What is kept of an entry: its value, its stamp, and how long it still had, if it expires.
pub(crate) type Found = (Value, Stamp, TimeLeft);

/// An entry that a read has come to, seen under the guard of 'g.
#[derive(Clone, Copy)]
pub(crate) struct Hit<'g> {
    version: VersionRef<'g, Large>,
    stamp: Stamp,
    /// What it was judged by, where it expires.
    now: Moment,
}

impl<'g> Hit<'g> {
    /// What a version is to a reader at a moment: an entry, unless it is a tombstone or has expired.
    #[inline]
    pub(super) fn new(
        (version, stamp): (VersionRef<'g, Large>, Stamp),
        now: Moment,
        time: &Time,
    ) -> Option<Self> {
        let hit = Self {
            version,
            stamp,
            now,
        };
        if payload::is_lasting(version) {
            return Some(hit);
        }
        hit.judged(time)
    }

    /// An entry, as it was written, whether or not it has expired by now.
    #[inline]
    pub(super) fn written((version, stamp): (VersionRef<'g, Large>, Stamp), now: Moment) -> Self {
        Self {
            version,
            stamp,
            now,
        }
    }

    /// An entry that does not expire.
    #[inline]
    fn lasting(version: VersionRef<'g, Large>, stamp: Stamp) -> Self {
        Self::written((version, stamp), Moment::ZERO)
    }

    /// This, if it is an entry and has not expired.
    #[cold]
    fn judged(self, time: &Time) -> Option<Self> {
        let deadline = payload::deadline(self.version)?;
        if deadline <= self.now && !planted(Planted::Undead) {
            time.pass(deadline, self.now);
            return None;
        }
        Some(self)
    }

    /// The value, its stamp, and how long it still has, to keep.
    pub(crate) fn to_owned(self) -> Found {
        (self.value(), self.stamp, self.time_left())
    }

    pub(crate) fn version(self) -> VersionRef<'g, Large> {
        self.version
    }

    /// How long it still has, if it expires.
    #[inline]
    pub(crate) fn time_left(self) -> TimeLeft {
        if payload::expires(self.version) {
            self.time_until_deadline()
        } else {
            TimeLeft::FOREVER
        }
    }

    #[cold]
    fn time_until_deadline(self) -> TimeLeft {
        let deadline = payload::deadline(self.version);
        deadline.map_or(TimeLeft::FOREVER, |deadline| {
            TimeLeft::until(deadline, self.now)
        })
    }

    pub(crate) fn stamp(self) -> Stamp {
        self.stamp
    }

    /// The value, where it lies.
    pub(crate) fn view(self) -> ValueRef<'g> {
        // PANICS: never. `new` refuses tombstones.
        payload::view(self.version).expect("a hit has a value")
    }

    /// The bytes, of a value that is bytes.
    #[inline]
    pub(crate) fn as_bytes(self) -> Option<&'g [u8]> {
        payload::bytes(self.version)
    }

    /// The value, to keep: a small one is copied, a large one shared.
    pub(crate) fn value(self) -> Value {
        // PANICS: never. `new` refuses tombstones.
        payload::value(self.version).expect("a hit has a value")
    }
}

/// A stamp to read at, and what keeps its versions: a registration, for as long as this lives.
#[derive(Debug)]
pub(crate) struct ReadPoint {
    engine: Arc<Engine>,
    registration: Registration,
    now: Moment,
}

impl ReadPoint {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn at(&self) -> Stamp {
        self.registration.at()
    }

    /// What everything that expires is judged by, for as long as this is open.
    pub(crate) fn now(&self) -> Moment {
        self.now
    }
}

impl Drop for ReadPoint {
    fn drop(&mut self) {
        // What only this held can go, even where nobody commits any more.
        self.engine.maintenance.wake();
    }
}

impl Engine {
    /// Gives the newest entry of a key to `read`, under the guard that protects it.
    ///
    /// Takes no lock, writes no shared memory, allocates nothing. Expected constant time.
    pub(crate) fn newest<R>(&self, key: &Key, read: impl FnOnce(Option<Hit<'_>>) -> R) -> R {
        self.prefetch(key);
        let guard = epoch::pin();
        let record = self.find(key, &guard);
        let newest = record.and_then(|record| record.newest(&self.counter));
        read(match newest {
            Some((version, stamp)) if payload::is_lasting(version) => {
                record.inspect(|record| self.note_use(*record));
                Some(Hit::lasting(version, stamp))
            }
            Some((version, _)) if !version.is_tombstone() => self.newest_judged(key, &guard),
            _ => None,
        })
    }

    /// The newest entry of a key whose newest version was one that expires.
    #[cold]
    fn newest_judged<'g>(&self, key: &Key, guard: &'g Guard) -> Option<Hit<'g>> {
        let now = self.now();
        // Looked for once more, now that it is known what time it is: it may have been prolonged
        // since (`Time::read_point`).
        let record = self.find(key, guard)?;
        let newest = record.newest(&self.counter)?;
        Hit::new(newest, now, &self.time).inspect(|_| self.note_use(record))
    }

    /// Like [`newest`](Self::newest), of the entry at an open snapshot.
    pub(crate) fn at<R>(
        &self,
        key: &Key,
        point: &ReadPoint,
        read: impl FnOnce(Option<Hit<'_>>) -> R,
    ) -> R {
        let guard = epoch::pin();
        read(self.hit_at(key, (point.at(), point.now()), &guard))
    }

    /// The newest entries of several keys, all at one stamp; that stamp.
    pub(crate) fn newest_many<K: Borrow<Key>>(
        &self,
        keys: impl Iterator<Item = K>,
        mut each: impl FnMut(K, Option<Hit<'_>>),
    ) -> Stamp {
        let guard = epoch::pin();
        // Loaded under the guard, so nothing that this snapshot sees is freed before the guard
        // goes (HORIZON).
        let at = self.latest_point();
        for key in keys {
            let hit = self.hit_at(key.borrow(), at, &guard);
            each(key, hit);
        }
        at.0
    }

    /// Opens a snapshot of now.
    pub(crate) fn open_read_point(self: &Arc<Self>) -> ReadPoint {
        let guard = epoch::pin();
        let at = self.latest_point();
        if planted(Planted::LateRegistration) {
            drop(guard);
            return self.read_point_at(at, &epoch::pin());
        }
        self.read_point_at(at, &guard)
    }

    /// Opens a snapshot at a stamp that was loaded from the counter under `guard`.
    pub(super) fn read_point_at(
        self: &Arc<Self>,
        (at, now): (Stamp, Moment),
        guard: &Guard,
    ) -> ReadPoint {
        ReadPoint {
            engine: Arc::clone(self),
            registration: self.registry.register(at, guard),
            now,
        }
    }

    /// The stamp of now, and the moment, where anything expires. Nobody else reads the clock.
    pub(super) fn latest_point(&self) -> (Stamp, Moment) {
        self.time.read_point(&self.counter, || self.now())
    }

    fn hit_at<'g>(
        &self,
        key: &Key,
        (at, now): (Stamp, Moment),
        guard: &'g Guard,
    ) -> Option<Hit<'g>> {
        let record = self.find(key, guard)?;
        let found = record.at(at, &self.counter)?;
        Hit::new(found, now, &self.time).inspect(|_| self.note_use(record))
    }
}
