//! Watching keys.
//!
//! A [`Watcher`] subscribes to its keys first and reads them second, so that nothing falls in
//! between: what was committed before it subscribed is in what it reads, and what is committed after
//! is noted in the cells of the keys (WOKEN). It reads all keys at one stamp, and shows them if any
//! has another version than when it was last shown. It remembers versions and no values, and holds
//! the engine only while it looks.

use super::Engine;
use super::read::Hit;
use crate::error::Result;
use crate::key::Key;
use crate::mvcc::notify::{Cell, Place, Signal};
use crate::sync::reserve;
use crate::version::Stamp;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

/// How often a watcher looks in vain, because somebody deletes what is not there, before it lets
/// others go on.
const TURNS_MAX: u32 = 16;

/// Some keys, watched.
#[derive(Debug)]
pub(crate) struct Watcher {
    engine: Weak<Engine>,
    signal: Arc<Signal>,
    keys: Vec<WatchedKey>,
    /// Whether every commit that names a key is shown, also one that changes nothing.
    is_raw: bool,
    /// Where the keys were last read.
    seen: Option<Stamp>,
}

#[derive(Debug)]
struct WatchedKey {
    key: Key,
    cell: Arc<Cell>,
    place: Place,
    /// The version that was last shown.
    shown: Option<Stamp>,
}

/// All keys as they were at one stamp.
#[derive(Debug)]
pub(crate) struct Look<T> {
    pub(crate) at: Stamp,
    pub(crate) entries: Vec<T>,
    /// Which of them have another version than in the last look that was shown.
    pub(crate) changed: Vec<usize>,
}

impl Watcher {
    /// Subscribes to these keys.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub(crate) fn new(engine: &Arc<Engine>, keys: Vec<Key>) -> Result<Self> {
        let mut watcher = Self {
            engine: Arc::downgrade(engine),
            signal: Arc::new(Signal::new()),
            keys: Vec::new(),
            is_raw: false,
            seen: None,
        };
        reserve(&mut watcher.keys, keys.len())?;
        for key in keys {
            // Those before it are unsubscribed where this is refused.
            let cell = engine.subscribe(&key)?;
            watcher.keys.push(WatchedKey {
                key,
                cell,
                place: Place::default(),
                shown: None,
            });
        }
        Ok(watcher)
    }

    /// From here on every commit that names a key is shown.
    pub(crate) fn set_raw(&mut self) {
        self.is_raw = true;
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.keys.iter().map(|watched| &watched.key)
    }

    /// The engine, unless the watch has ended: there are no keys, the engine is closed, or nobody
    /// has it any more.
    fn engine(&self) -> Option<Arc<Engine>> {
        let is_watching = !self.keys.is_empty();
        let engine = is_watching.then(|| self.engine.upgrade())??;
        (!engine.is_closed()).then_some(engine)
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.engine().is_none()
    }

    /// What there is to be shown, made by `read` of each entry; nothing any more, if the watch has
    /// ended. Otherwise the waker is woken when this is to be asked again.
    pub(crate) fn poll<T>(
        &mut self,
        waker: &Waker,
        mut read: impl FnMut(&Key, Option<Hit<'_>>) -> T,
    ) -> Poll<Option<Look<T>>> {
        let mut is_armed = false;
        for _ in 0..TURNS_MAX {
            let Some(engine) = self.engine() else {
                return Poll::Ready(None);
            };
            if self.is_due()
                && let Some(look) = self.look(&engine, &mut read)
            {
                return Poll::Ready(Some(look));
            }
            drop(engine);
            if !is_armed {
                // One that does nothing need not be woken.
                if waker.will_wake(Waker::noop()) {
                    return Poll::Pending;
                }
                self.signal.arm(waker);
                is_armed = true;
            }
            // Asked once more: who closes the engine notes it in the cells after it has said so.
            if self.enlist() && !self.is_ended() {
                return Poll::Pending;
            }
        }
        waker.wake_by_ref();
        Poll::Pending
    }

    /// Whether anything has touched a key since the keys were read.
    fn is_due(&self) -> bool {
        self.seen.is_none_or(|seen| {
            let mut keys = self.keys.iter();
            keys.any(|watched| watched.cell.newest() > seen)
        })
    }

    /// Waits with every key; `false` where one has been touched since the keys were read.
    fn enlist(&mut self) -> bool {
        let Some(seen) = self.seen else { return false };
        let signal = &self.signal;
        let mut keys = self.keys.iter_mut();
        keys.all(|watched| watched.cell.enlist(signal, &mut watched.place, seen))
    }

    /// Reads the keys, if there is anything to show.
    fn look<T>(
        &mut self,
        engine: &Engine,
        mut read: impl FnMut(&Key, Option<Hit<'_>>) -> T,
    ) -> Option<Look<T>> {
        let is_first = self.seen.is_none();
        let mut stamps = Vec::with_capacity(self.keys.len());
        let mut entries = Vec::with_capacity(self.keys.len());
        let at = engine.newest_many(self.keys.iter().map(|watched| &watched.key), |key, hit| {
            stamps.push(hit.map(Hit::stamp));
            entries.push(read(key, hit));
        });
        self.seen = Some(at);
        let mut changed = Vec::new();
        for (index, (watched, stamp)) in self.keys.iter_mut().zip(stamps).enumerate() {
            if is_first || watched.shown != stamp {
                changed.push(index);
                watched.shown = stamp;
            }
        }
        let is_shown = is_first || self.is_raw || !changed.is_empty();
        is_shown.then_some(Look {
            at,
            entries,
            changed,
        })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let Some(engine) = self.engine.upgrade() else {
            return;
        };
        for watched in &self.keys {
            watched.cell.dismiss(&self.signal, watched.place);
            engine.unsubscribe(&watched.key);
        }
    }
}
