//! Point reads.

use super::Engine;
use super::payload::{self, Large};
use crate::key::Key;
use crate::mvcc::chain::VersionRef;
use crate::mvcc::registry::Registration;
use crate::sync::epoch::{self, Guard};
use crate::sync::{Planted, planted};
use crate::value::{Value, ValueRef};
use crate::version::{Stamp, Versionstamp};
use std::borrow::Borrow;
use std::sync::Arc;

/// An entry that a read has come to, seen under the guard of 'g.
#[derive(Clone, Copy)]
pub(crate) struct Hit<'g> {
    version: VersionRef<'g, Large>,
    stamp: Stamp,
}

impl<'g> Hit<'g> {
    /// What a version is to a reader: an entry, unless it is a tombstone.
    pub(super) fn new((version, stamp): (VersionRef<'g, Large>, Stamp)) -> Option<Self> {
        (!version.is_tombstone()).then_some(Self { version, stamp })
    }

    pub(crate) fn stamp(self) -> Stamp {
        self.stamp
    }

    /// The value, where it lies.
    pub(crate) fn view(self) -> ValueRef<'g> {
        // PANICS: never. `new` refuses tombstones.
        payload::view(self.version).expect("a hit has a value")
    }

    /// The value and the version, to keep.
    pub(crate) fn to_owned(self) -> (Value, Versionstamp) {
        (self.value(), self.stamp.into())
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
}

impl ReadPoint {
    pub(crate) fn engine(&self) -> &Arc<Engine> {
        &self.engine
    }

    pub(crate) fn at(&self) -> Stamp {
        self.registration.at()
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
        read(newest.and_then(Hit::new))
    }

    /// Like [`newest`](Self::newest), of the entry at an open snapshot.
    pub(crate) fn at<R>(
        &self,
        key: &Key,
        point: &ReadPoint,
        read: impl FnOnce(Option<Hit<'_>>) -> R,
    ) -> R {
        let guard = epoch::pin();
        read(self.hit_at(key, point.at(), &guard))
    }

    /// The newest entries of several keys, all at one stamp.
    pub(crate) fn newest_many<K: Borrow<Key>>(
        &self,
        keys: impl Iterator<Item = K>,
        mut each: impl FnMut(K, Option<Hit<'_>>),
    ) {
        let guard = epoch::pin();
        // Loaded under the guard, so nothing that this snapshot sees is freed before the guard
        // goes (HORIZON).
        let at = self.counter.latest();
        for key in keys {
            let hit = self.hit_at(key.borrow(), at, &guard);
            each(key, hit);
        }
    }

    /// Opens a snapshot of now.
    pub(crate) fn open_read_point(self: &Arc<Self>) -> ReadPoint {
        let guard = epoch::pin();
        let at = self.counter.latest();
        if planted(Planted::LateRegistration) {
            drop(guard);
            return self.read_point_at(at, &epoch::pin());
        }
        self.read_point_at(at, &guard)
    }

    /// Opens a snapshot at a stamp that was loaded from the counter under `guard`.
    pub(super) fn read_point_at(self: &Arc<Self>, at: Stamp, guard: &Guard) -> ReadPoint {
        ReadPoint {
            engine: Arc::clone(self),
            registration: self.registry.register(at, guard),
        }
    }

    fn hit_at<'g>(&self, key: &Key, at: Stamp, guard: &'g Guard) -> Option<Hit<'g>> {
        let record = self.find(key, guard)?;
        record.at(at, &self.counter).and_then(Hit::new)
    }
}
