//! Loading: one caller finds out what a key is to hold, and the others wait for it.
//!
//! A [`Load`] is listed in the stripe of its key from when it begins. The first commit that
//! names the key takes it off the list, be it one that sets or deletes, or the load's own (OUTDATED).
//! Two things follow. What was loaded is stored by a commit that finds its load still listed, behind
//! the lock of the stripe: so it has been asked for after everything that was committed to the key,
//! also after deletions of what was not there. And whoever comes after such a commit does not find the
//! load, and begins one of its own: it is never given what is older than what it knows of.
//!
//! While nothing is loaded, this costs a commit no more than to see that nothing is listed.
//!
//! Nothing is locked while the caller's loader runs. What ends the flight of a load drops its
//! [`Lead`], whatever the reason.

use super::commit::has_entry;
use super::park::block_on;
use super::payload::{self, Large};
use super::read::{Found, Hit};
use super::single::Single;
use super::timing::CommitTime;
use super::write::{Op, check_single};
use super::{Engine, Stripe};
use crate::error::{Error, Result};
use crate::flight::{Flight, Landing, Place};
use crate::key::Key;
use crate::moment::{Moment, TimeLeft};
use crate::mvcc::chain::{Draft, RecordRef};
use crate::mvcc::notify::Woken;
use crate::sync::epoch;
use crate::sync::{
    AtomicU64, CachePadded, Mutex, Ordering, OutOfMemory, Planted, ThreadId, planted, reserve,
    thread_id,
};
use crate::value::{NewValue, Value};
use crate::version::Stamp;
use std::any::Any;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::thread;
use std::time::Duration;

/// What a load has come to, for everybody who waits for it.
#[derive(Clone, Debug)]
pub(crate) enum Loaded {
    /// An entry. One that was not stored has no stamp.
    Entry(Value, Option<Stamp>, TimeLeft),
    /// The error of the loader, of whatever type that has.
    Failed(Arc<dyn Any + Send + Sync>),
    /// What was loaded was not stored.
    Refused(Arc<Error>),
}

/// A load under way.
#[derive(Debug)]
pub(crate) struct Load {
    flight: Flight<Loaded>,
    /// The thread that runs the loader now, if one does.
    runner: Mutex<Option<ThreadId>>,
}

/// What is to be done about a key that is to be loaded.
pub(crate) enum Begun<'a> {
    /// Nothing: this is there.
    Found(Found),
    /// Somebody else loads it.
    Waiting(Waiting),
    /// The caller is to load it.
    Leading(Lead<'a>),
}

/// What the loads of an engine share.
#[derive(Debug, Default)]
pub(crate) struct Loads {
    counters: CachePadded<Counters>,
    /// What each thread waits for that does so.
    waits: Mutex<foldhash::HashMap<ThreadId, Arc<Load>>>,
}

#[derive(Debug, Default)]
struct Counters {
    loads: AtomicU64,
    failures: AtomicU64,
    waits: AtomicU64,
}

/// How often something was loaded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LoadCounts {
    /// Loads that have begun.
    pub(crate) loads: u64,
    /// Those of them that came to an error, panicked or were given up.
    pub(crate) failures: u64,
    /// How often a caller waited for the load of another.
    pub(crate) waits: u64,
}

fn count(counter: &AtomicU64) {
    // ORDERING: Relaxed. A count publishes nothing.
    counter.fetch_add(1, Ordering::Relaxed);
}

impl Loads {
    /// Notes that this thread waits for a load, until what this returns is dropped.
    ///
    /// # Errors
    ///
    /// `RecursiveLoad` where that load, by whatever way round, waits for this thread.
    fn wait(&self, load: &Arc<Load>) -> Result<Wait<'_>> {
        let thread = thread_id();
        let mut waits = self.waits.lock();
        let mut next = load;
        // A thread waits for one load at a time, so the way has no more steps than there are.
        for _ in 0..=waits.len() {
            // LOCK ORDER: after the waits, and nothing is asked for behind it.
            let Some(runner) = *next.runner.lock() else {
                break;
            };
            if runner == thread {
                return Err(Error::recursive_load());
            }
            let Some(on) = waits.get(&runner) else { break };
            next = on;
        }
        reserve(&mut *waits, 1)?;
        waits.insert(thread, Arc::clone(load));
        drop(waits);
        let loads = self;
        Ok(Wait { loads, thread })
    }
}

/// A thread that waits for a load.
struct Wait<'e> {
    loads: &'e Loads,
    thread: ThreadId,
}

impl Drop for Wait<'_> {
    fn drop(&mut self) {
        let load = self.loads.waits.lock().remove(&self.thread);
        // Under no lock: it may be the last to have the error of the caller's.
        drop(load);
    }
}

/// Somebody who waits for the load of another.
#[derive(Debug)]
pub(crate) struct Waiting {
    load: Arc<Load>,
    place: Place,
}

impl Waiting {
    /// What the load has come to; nothing, where it was given up. The waker is woken when this is to be
    /// asked again.
    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Option<Loaded>> {
        let polled = self.load.flight.poll(&mut self.place, waker);
        polled.map(|landing| match landing {
            Landing::With(loaded) => Some(loaded),
            Landing::GivenUp => None,
        })
    }

    /// What the load comes to; nothing, where it is given up. The thread waits for it.
    ///
    /// # Errors
    ///
    /// `RecursiveLoad`; `OutOfMemory`.
    pub(crate) fn wait(mut self, engine: &Engine) -> Result<Option<Loaded>> {
        let _wait = engine.loads.wait(&self.load)?;
        loop {
            // Without a deadline there is one in the end.
            if let Some(loaded) = block_on(None, |waker| self.poll(waker)) {
                return Ok(loaded);
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.load.flight.leave(&self.place);
    }
}

/// The caller who loads. When it is dropped, whoever waits is told, and takes over if there is nothing
/// to tell.
#[derive(Debug)]
pub(crate) struct Lead<'a> {
    engine: &'a Engine,
    key: &'a Key,
    load: Arc<Load>,
    landing: Landing<Loaded>,
    /// Whether the load has to be taken off the list.
    is_listed: bool,
}

impl Lead<'_> {
    /// Runs the loader, or a part of it, on this thread. Its panic is the caller's to resume, once this
    /// is dropped: so that others are woken, and locks waited for, while nothing unwinds.
    pub(crate) fn run<R>(&self, load: impl FnOnce() -> R) -> thread::Result<R> {
        *self.load.runner.lock() = Some(thread_id());
        let loaded = panic::catch_unwind(AssertUnwindSafe(load));
        *self.load.runner.lock() = None;
        loaded
    }

    /// Stores what was loaded, unless a commit has named the key meanwhile: then what that has left is
    /// the result, and where it has left nothing, what was loaded, without a stamp.
    pub(crate) fn store(mut self, value: NewValue<'_>) -> Loaded {
        let engine = self.engine;
        let op = Op::Set(value);
        // What weighs it is the caller's code, too.
        let weighed = (engine.weighs()).then(|| self.run(|| engine.weighed_single(self.key, &op)));
        let weighed = match weighed.transpose() {
            Ok(weighed) => weighed.transpose(),
            Err(panic) => {
                drop(self);
                panic::resume_unwind(panic)
            }
        };
        let stored = weighed.and_then(|weighed| {
            engine
                .timed(|| engine.commit_load(self.key, &self.load, weighed.flatten().as_ref(), op))
        });
        self.is_listed = stored.is_err();
        let loaded = stored.unwrap_or_else(|error| Loaded::Refused(Arc::new(error)));
        // Those who wait have it from the list. Once it is off, there are no more of them to come.
        let is_alone = !self.is_listed && Arc::strong_count(&self.load) == 1;
        if !is_alone {
            self.landing = Landing::With(loaded.clone());
        }
        loaded
    }

    /// The loader has failed.
    pub(crate) fn fail(mut self, error: Arc<dyn Any + Send + Sync>) {
        self.landing = Landing::With(Loaded::Failed(error));
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if self.is_listed {
            count(&self.engine.loads.counters.failures);
            // Before the flight ends: whoever comes after that begins another.
            self.engine.unlist(self.key, &self.load);
        }
        let landing = mem::replace(&mut self.landing, Landing::GivenUp);
        self.load.flight.end(landing);
    }
}

/// The commit of what was loaded.
struct Storing<'a> {
    op: &'a Op<'a>,
    load: &'a Arc<Load>,
}

impl Single for Storing<'_> {
    /// OUTDATED: whether no commit has named the key since the load began.
    fn is_wanted(&self, key: &Key, stripe: &Stripe) -> bool {
        stripe.is_listed(key, self.load) || planted(Planted::OutdatedLoad)
    }

    fn prepare(&self) -> Result<Option<Draft<Large>>, OutOfMemory> {
        self.op.prepare()
    }

    fn expire(&self, draft: &mut Draft<Large>, time: &CommitTime<'_>) {
        self.op.expire(draft, time);
    }

    fn apply(
        &self,
        record: Option<RecordRef<'_, Large>>,
        time: &CommitTime<'_>,
    ) -> Result<Option<Draft<Large>>> {
        self.op.apply(record, time)
    }
}

impl Stripe {
    fn is_listed(&self, key: &Key, load: &Arc<Load>) -> bool {
        let listed = self.loads.get(key.as_bytes());
        listed.is_some_and(|listed| Arc::ptr_eq(listed, load))
    }
}

impl Engine {
    /// Begins to load a key, unless it has an entry that has more than `stale_for` left, or any that
    /// somebody else already loads anew.
    ///
    /// # Errors
    ///
    /// `RecursiveLoad`; `OutOfMemory`.
    pub(crate) fn begin_load<'a>(&'a self, key: &'a Key, stale_for: Duration) -> Result<Begun<'a>> {
        let guard = epoch::pin();
        let mut stripe = self.stripes.lock_one(self.stripe_of(key.hash_code()));
        let time = CommitTime::new(self);
        let record = self.find(key, &guard);
        let live = record.filter(|record| has_entry(Some(*record)));
        let hit = live.and_then(|record| time.live(record)).map(|found| {
            let expires = payload::expires(found.0);
            let now = if expires { time.now() } else { Moment::ZERO };
            Hit::written(found, now)
        });
        let is_fresh = |hit: Hit<'_>| hit.time_left().get().is_none_or(|left| left > stale_for);
        if let Some(hit) = hit.filter(|hit| is_fresh(*hit)) {
            drop(stripe);
            return Ok(Begun::Found(hit.to_owned()));
        }
        if let Some(load) = stripe.loads.get(key.as_bytes()) {
            let load = Arc::clone(load);
            drop(stripe);
            return match hit {
                Some(stale) => Ok(Begun::Found(stale.to_owned())),
                None => self.join_load(load),
            };
        }
        let load = Arc::new(Load {
            flight: Flight::new(),
            runner: Mutex::new(None),
        });
        stripe.loads.insert(key, &load)?;
        drop(stripe);
        count(&self.loads.counters.loads);
        Ok(Begun::Leading(Lead {
            engine: self,
            key,
            load,
            landing: Landing::GivenUp,
            is_listed: true,
        }))
    }

    /// Waits for the load of another.
    fn join_load(&self, load: Arc<Load>) -> Result<Begun<'_>> {
        // While it runs on this thread, this is called by it.
        if *load.runner.lock() == Some(thread_id()) {
            return Err(Error::recursive_load());
        }
        count(&self.loads.counters.waits);
        let place = Place::default();
        Ok(Begun::Waiting(Waiting { load, place }))
    }

    /// Takes a load off the list, if it is there.
    fn unlist(&self, key: &Key, load: &Arc<Load>) {
        let mut stripe = self.stripes.lock_one(self.stripe_of(key.hash_code()));
        if stripe.is_listed(key, load) {
            // The caller has one more, so nothing of the user's is dropped under the lock.
            stripe.loads.outdate(key.as_bytes());
        }
    }

    /// Commits what was loaded, if the load is still listed; what there is then.
    fn commit_load(
        &self,
        key: &Key,
        load: &Arc<Load>,
        weighed: Option<&Op<'_>>,
        op: Op<'_>,
    ) -> Result<Loaded> {
        let left = op.expiry().time().map_or(TimeLeft::FOREVER, |time| {
            TimeLeft::until(Moment::ceil(time), Moment::ZERO)
        });
        check_single(key, &op, self.limits(), self.single)?;
        self.turn.give_way();
        let storing = Storing {
            op: weighed.unwrap_or(&op),
            load,
        };
        let mut woken = Woken::new();
        let stamp = self.with_room(|| self.commit_one(None, key, &storing, &mut woken))?;
        if stamp.is_none() {
            let newest = self.newest(key, |hit| hit.map(Hit::to_owned));
            if let Some((value, stamp, left)) = newest {
                return Ok(Loaded::Entry(value, Some(stamp), left));
            }
        }
        let Op::Set(value) = op else {
            unreachable!("what is loaded is set");
        };
        Ok(Loaded::Entry(value.into(), stamp, left))
    }

    /// How often something was loaded.
    pub(crate) fn load_counts(&self) -> LoadCounts {
        // ORDERING: Relaxed. Each count is by itself.
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.loads.counters;
        LoadCounts {
            loads: read(&counters.loads),
            failures: read(&counters.failures),
            waits: read(&counters.waits),
        }
    }
}
