//! Telling those who wait that something has changed.
//!
//! A [`Cell`] stands for what can be waited for: one key, or the change of anything. It is one word,
//! the stamp of the newest commit that touched it and a bit that says whether anybody waits, and
//! behind a lock the list of those who do. A commit swaps the word, after its stamp is decided and
//! while it holds the stripe; where the bit was set, it takes the whole list along, and wakes it once
//! it holds no lock ([`Woken`]). So a watcher that does not wait costs a commit one swap, and one that
//! does is woken once, however many commits follow before it comes back.
//!
//! A watcher reads at a snapshot S, and then waits for anything above S: it leaves its waker in its
//! [`Signal`], puts the signal in the list, and sets the bit, which tells it the stamp (WOKEN). The
//! word goes from one to the next by read-modify-writes alone, so either the watcher finds the newer
//! stamp and does not wait, or the commit finds the bit, and in the list whoever had set it.
//!
//! A waker is code of the user's. It runs under no lock, and where it panics, the others are woken
//! all the same.

use crate::sync::{AtomicU64, Mutex, Ordering, Planted, planted};
use crate::version::Stamp;
use std::mem::ManuallyDrop;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::task::Waker;

/// The bit that says that somebody waits. The stamp is in the other 63.
const AWAITED: u64 = 1;

const fn word_of(stamp: Stamp) -> u64 {
    stamp.get() << 1
}

const fn stamp_of(word: u64) -> Stamp {
    Stamp::new(word >> 1)
}

/// Where a watcher leaves its waker, whatever number of cells it waits for.
#[derive(Debug)]
pub(crate) struct Signal {
    waker: Mutex<Option<Waker>>,
}

impl Signal {
    pub(crate) fn new() -> Self {
        Self {
            waker: Mutex::new(None),
        }
    }

    /// From here on whoever wakes the signal wakes this. Before the cells are asked: the other way
    /// round a commit could find the signal and no waker in it.
    pub(crate) fn arm(&self, waker: &Waker) {
        // Cloned, and the last one dropped, under no lock: both are code of the user's.
        let waker = waker.clone();
        let last = self.waker.lock().replace(waker);
        drop(last);
    }

    /// Wakes the watcher, if it has left a waker since the last time.
    fn wake(&self) {
        let waker = self.waker.lock().take();
        if let Some(waker) = waker {
            wake(waker);
        }
    }
}

/// Wakes, whatever that does.
pub(crate) fn wake(waker: Waker) {
    // A panic has been reported by then, and is no reason for a commit that has taken effect to fail,
    // nor for the others not to be woken.
    let _ = panic::catch_unwind(AssertUnwindSafe(|| waker.wake()));
}

/// Those who were taken out of the lists of one or more cells, to be woken by dropping this: after
/// every lock, the caller sees to that.
#[derive(Debug, Default)]
#[must_use = "those in it are woken when it is dropped"]
pub(crate) struct Woken {
    // Both are empty when they would be dropped. So what is compiled into every commit is two
    // comparisons.
    first: ManuallyDrop<Option<Box<Batch>>>,
    called: ManuallyDrop<Option<Waker>>,
}

/// The list of one cell. It passes to the commit as it is: a commit allocates nothing for it.
#[derive(Debug)]
struct Batch {
    signals: Vec<Arc<Signal>>,
    next: Option<Box<Self>>,
}

impl Drop for Woken {
    #[inline]
    fn drop(&mut self) {
        if self.first.is_some() || self.called.is_some() {
            self.wake();
        }
    }
}

impl Woken {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// One more, who is always there to be called.
    #[cold]
    pub(crate) fn call(&mut self, waker: &Waker) {
        *self.called = Some(waker.clone());
    }

    #[cold]
    fn wake(&mut self) {
        if let Some(waker) = self.called.take() {
            wake(waker);
        }
        let mut next = self.first.take();
        while let Some(mut batch) = next {
            batch.signals.iter().for_each(|signal| signal.wake());
            next = batch.next.take();
        }
    }
}

/// Where a watcher stands with a cell: in which round of its list it is.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place(u64);

#[derive(Debug)]
struct Waiters {
    /// How often the list was taken, from 1.
    round: u64,
    batch: Option<Box<Batch>>,
}

/// What can be waited for.
#[derive(Debug)]
pub(crate) struct Cell {
    word: AtomicU64,
    waiters: Mutex<Waiters>,
}

impl Cell {
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(word_of(Stamp::ZERO)),
            waiters: Mutex::new(Waiters {
                round: 1,
                batch: None,
            }),
        }
    }

    /// The stamp of the newest commit that touched this.
    pub(crate) fn newest(&self) -> Stamp {
        // ORDERING: E-WAKE, watcher side. A snapshot that is taken next is at or above this stamp.
        stamp_of(self.word.load(Ordering::Acquire))
    }

    /// Has the signal woken by the next commit that touches this. `false` where one with a stamp
    /// above `seen` has touched it already: the signal may be woken in vain then, or not at all.
    ///
    /// The signal is [armed](Signal::arm).
    pub(crate) fn enlist(&self, signal: &Arc<Signal>, place: &mut Place, seen: Stamp) -> bool {
        let early = planted(Planted::EarlyLook).then(|| self.newest());
        let mut waiters = self.waiters.lock();
        if place.0 != waiters.round {
            let batch = waiters.batch.get_or_insert_with(|| {
                let (signals, next) = (Vec::new(), None);
                Box::new(Batch { signals, next })
            });
            batch.signals.push(Arc::clone(signal));
            place.0 = waiters.round;
        }
        // ORDERING: WOKEN, by E-WAKE. Of a commit whose swap came before, this finds the stamp, and
        // Acquire brings its mint along: a snapshot that is taken next is at or above it. One whose
        // swap comes later finds the bit; list and waker come to it by their locks.
        // MODEL: notify::nobody_waits_for_what_has_come, notify::the_latest_waker_is_woken.
        let word = self.word.fetch_or(AWAITED, Ordering::Acquire);
        drop(waiters);
        early.unwrap_or(stamp_of(word)) <= seen
    }

    /// A commit of this stamp has touched it. The stamp is decided, and the stripe is held.
    pub(crate) fn note(&self, stamp: Stamp, woken: &mut Woken) {
        // ORDERING: WOKEN, by E-WAKE, commit side: the other half of `enlist`. The caller has minted
        // the stamp, or learnt it from who did, and Release passes that on.
        let word = if planted(Planted::LateNote) {
            // ORDERING: as below: not the order of the accesses is the bug, but that there are two.
            self.word.fetch_or(0, Ordering::Release)
        } else {
            self.word.swap(word_of(stamp), Ordering::Release)
        };
        if word & AWAITED != 0 {
            self.take(woken);
        }
        if planted(Planted::LateNote) {
            // ORDERING: as above.
            self.word.swap(word_of(stamp), Ordering::Release);
        }
    }

    /// Something has come that whoever waits finds by itself: after it had set the bit, it has looked
    /// under a lock that the caller holds, or by a read-modify-write of a word that the caller has
    /// changed by one. Costs a load where nobody waits.
    pub(crate) fn stir(&self, woken: &mut Woken) {
        // ORDERING: Relaxed. Where the look came before the change, that lock or word has ordered the
        // bit before this. MODEL: notify::nobody_waits_for_what_is_in_the_feed.
        if self.word.load(Ordering::Relaxed) & AWAITED == 0 {
            return;
        }
        // ORDERING: Relaxed. Whoever sets the bit next looks after that; the list has its lock.
        self.word.swap(word_of(Stamp::ZERO), Ordering::Relaxed);
        self.take(woken);
    }

    /// Takes the list along.
    fn take(&self, woken: &mut Woken) {
        // LOCK ORDER: after the stripe; a watcher that holds this asks for no other.
        let mut waiters = self.waiters.lock();
        let Some(mut batch) = waiters.batch.take() else {
            return;
        };
        waiters.round += 1;
        drop(waiters);
        batch.next = woken.first.take();
        *woken.first = Some(batch);
    }

    /// The watcher does not wait any more.
    pub(crate) fn dismiss(&self, signal: &Arc<Signal>, place: Place) {
        let mut waiters = self.waiters.lock();
        if place.0 != waiters.round {
            return;
        }
        if let Some(batch) = &mut waiters.batch {
            let mut signals = batch.signals.iter();
            if let Some(index) = signals.position(|known| Arc::ptr_eq(known, signal)) {
                // The caller has one more, so no waker is dropped under the lock.
                batch.signals.swap_remove(index);
            }
        }
    }
}
