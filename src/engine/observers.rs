//! Who is to be told what changes in a stripe.
//!
//! Behind the lock of a stripe, and only while somebody watches something there: the keys that are
//! watched, each with the cell that stands for it, and the feed of what changes, for those who follow
//! ranges or everything. A commit tells them of its keys when their new versions are entered into the
//! books, so whatever is committed is told, whoever commits it (D5).

use super::commit::Installed;
use super::feed::{Feed, Log};
use super::load::Load;
use super::{Engine, Stripe};
use crate::error::Result;
use crate::key::{Bounds, Key};
use crate::mvcc::notify::{Cell, Woken};
use crate::sync::{Planted, planted, reserve};
use crate::version::Stamp;
use std::sync::Arc;

/// The observers of one stripe.
#[derive(Debug, Default)]
pub(super) struct Observers {
    cells: foldhash::HashMap<Key, Watched>,
    /// How many watches there are of each of them, in sum.
    watch_count: usize,
    /// The changes, while anybody follows them.
    feed: Option<Feed>,
}

/// Who is about to find out what a key is to hold, as long as no commit has named it. Its memory is
/// kept, within bounds: a load that allocates and frees it takes longer by what it takes to read a key.
#[derive(Debug, Default)]
pub(super) struct Listed(Option<Box<foldhash::HashMap<Key, Arc<Load>>>>);

/// Room for so many is kept while there are none.
const LISTED_KEPT: usize = 7;

impl Listed {
    pub(super) fn get(&self, key: &[u8]) -> Option<&Arc<Load>> {
        self.0.as_ref()?.get(key)
    }

    /// Lists a load of a key of which there is none.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub(super) fn insert(&mut self, key: &Key, load: &Arc<Load>) -> Result<()> {
        let loads = self.0.get_or_insert_default();
        reserve(&mut **loads, 1)?;
        loads.insert(key.clone(), Arc::clone(load));
        Ok(())
    }

    /// What is being loaded for a key is older than a commit that has named it (OUTDATED).
    #[inline]
    pub(super) fn outdate(&mut self, key: &[u8]) {
        if self.0.is_some() {
            self.remove(key);
        }
    }

    #[cold]
    fn remove(&mut self, key: &[u8]) {
        let loads = self.0.as_mut().filter(|loads| !loads.is_empty());
        // Whoever loads has one more, so nothing of the user's is dropped under the lock.
        if loads.and_then(|loads| loads.remove(key)).is_some() {
            self.tidy();
        }
    }

    /// The same of all keys in an interval.
    pub(super) fn outdate_in(&mut self, bounds: &Bounds) {
        if let Some(loads) = &mut self.0 {
            loads.retain(|key, _| !bounds.contains(key.as_bytes()));
            self.tidy();
        }
    }

    fn tidy(&mut self) {
        if let Some(loads) = &self.0
            && loads.is_empty()
            && loads.capacity() > LISTED_KEPT
        {
            self.0 = None;
        }
    }
}

/// A key that is watched.
#[derive(Debug)]
struct Watched {
    cell: Arc<Cell>,
    watch_count: usize,
}

impl Observers {
    fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.feed.is_none()
    }

    #[cold]
    fn tell(&self, key: &[u8], stamp: Stamp, woken: &mut Woken) {
        if let Some(watched) = self.cells.get(key) {
            watched.cell.note(stamp, woken);
        }
    }

    #[cold]
    fn tell_change(&mut self, key: &[u8], is_set: bool, stamp: Stamp, woken: &mut Woken) {
        self.tell(key, stamp, woken);
        if let Some(feed) = &mut self.feed {
            feed.push(key, is_set, stamp, woken);
        }
    }
}

impl Stripe {
    /// How many keys are watched, and how often, each by itself.
    pub(super) fn watched(&self) -> (usize, usize) {
        let observers = self.observers.as_ref();
        observers.map_or((0, 0), |observers| {
            (observers.cells.len(), observers.watch_count)
        })
    }

    /// A commit of this stamp has named this key, and perhaps changed it.
    #[inline]
    pub(super) fn tell(&mut self, key: &[u8], stamp: Stamp, woken: &mut Woken) {
        if let Some(observers) = &self.observers {
            observers.tell(key, stamp, woken);
        }
        self.loads.outdate(key);
    }

    /// A commit of this stamp has set a key, or deleted it.
    #[inline]
    pub(super) fn tell_change(
        &mut self,
        Installed {
            record, version, ..
        }: &Installed<'_>,
        stamp: Stamp,
        woken: &mut Woken,
    ) {
        let is_evicting = || self.notes.as_ref().is_some_and(|notes| notes.is_evicting());
        if planted(Planted::UnwokenEviction) && is_evicting() {
            return;
        }
        if let Some(observers) = &mut self.observers {
            observers.tell_change(record.key(), !version.is_tombstone(), stamp, woken);
        }
        // That an entry has expired says nothing about what is being loaded in its place.
        if !self.sweep.is_reaping() {
            self.loads.outdate(record.key());
        }
    }

    /// Has what changes recorded, or not any more.
    pub(super) fn set_feed(&mut self, feed: Option<Feed>) {
        self.observers.get_or_insert_default().feed = feed;
        self.drop_idle();
    }

    /// [`Feed::take`], where there is a feed.
    pub(super) fn take_feed(&mut self, to: Stamp, log: &mut Log) -> Stamp {
        let observers = self.observers.as_mut();
        if let Some(feed) = observers.and_then(|observers| observers.feed.as_mut()) {
            return feed.take(to, log);
        }
        log.clear();
        Stamp::ZERO
    }

    fn drop_idle(&mut self) {
        if self
            .observers
            .as_ref()
            .is_some_and(|observers| observers.is_empty())
        {
            self.observers = None;
        }
    }
}

impl Engine {
    /// The cell of a key, for one more watch. What commits from here on and touches the key notes it
    /// there; what had before is seen by a snapshot that is taken next.
    pub(super) fn subscribe(&self, key: &Key) -> Result<Arc<Cell>> {
        let mut stripe = self.stripes.lock_one(self.stripe_of(key.hash_code()));
        let observers = stripe.observers.get_or_insert_default();
        let cells = &mut observers.cells;
        reserve(cells, 1)?;
        observers.watch_count += 1;
        let watched = cells.entry(key.clone()).or_insert_with(|| Watched {
            cell: Arc::new(Cell::new()),
            watch_count: 0,
        });
        watched.watch_count += 1;
        let cell = Arc::clone(&watched.cell);
        drop(stripe);
        Ok(cell)
    }

    /// One watch less. The last one takes the cell along.
    pub(super) fn unsubscribe(&self, key: &Key) {
        let mut stripe = self.stripes.lock_one(self.stripe_of(key.hash_code()));
        let Some(observers) = &mut stripe.observers else {
            return;
        };
        if let Some(watched) = observers.cells.get_mut(key) {
            watched.watch_count -= 1;
            observers.watch_count -= 1;
            if watched.watch_count == 0 {
                observers.cells.remove(key);
            }
        }
        stripe.drop_idle();
    }

    /// Wakes everybody who watches, after the engine was closed or while it goes.
    pub(super) fn end_watches(&self) {
        let mut woken = Woken::new();
        self.history.tail().readers.note(Stamp::MAX, &mut woken);
        drop(woken);
        for stripe in 0..self.stripes.count() {
            let mut woken = Woken::new();
            let stripe = self.stripes.lock_one(stripe);
            if let Some(observers) = &stripe.observers {
                for watched in observers.cells.values() {
                    watched.cell.note(Stamp::MAX, &mut woken);
                }
            }
        }
    }
}
