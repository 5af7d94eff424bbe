//! Following the changes: all of them, or those of a range.
//!
//! Whoever follows holds the stamp up to which it knows the commits, and asks the history for what
//! comes after. To wait it enters a list, and asks once more: what had not been minted by then finds
//! it in the list (WOKEN).

use super::Engine;
use super::history::{Committed, Next};
use crate::key::{Bounds, Key};
use crate::mvcc::notify::{Place, Signal};
use crate::version::Stamp;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

/// What a look at the history finds.
enum Found<T> {
    This(T),
    /// Nothing, up to the latest commit.
    Nothing,
    /// Nothing yet, and others commit so much that they are to be let go on first.
    Later,
}

impl<T> Found<T> {
    fn into_poll(self, waker: &Waker) -> Poll<Option<T>> {
        match self {
            Self::This(found) => Poll::Ready(Some(found)),
            Self::Nothing => Poll::Pending,
            Self::Later => {
                waker.wake_by_ref();
                Poll::Pending
            }
        }
    }
}

/// A line to the history of an engine.
#[derive(Debug)]
struct Line {
    engine: Weak<Engine>,
    signal: Arc<Signal>,
    place: Place,
}

impl Line {
    /// A line, and the stamp after which it misses nothing.
    fn new(engine: &Arc<Engine>) -> (Self, Stamp) {
        let now = engine.follow();
        let line = Self {
            engine: Arc::downgrade(engine),
            signal: Arc::new(Signal::new()),
            place: Place::default(),
        };
        (line, now)
    }

    /// The engine, unless it is closed, or nobody has it any more.
    fn engine(&self) -> Option<Arc<Engine>> {
        self.engine.upgrade().filter(|engine| !engine.is_closed())
    }

    /// What `look` finds; or the waker is woken when it is to look again.
    fn poll<T>(
        &mut self,
        waker: &Waker,
        mut look: impl FnMut(&Engine) -> Found<T>,
    ) -> Poll<Option<T>> {
        let Some(engine) = self.engine() else {
            return Poll::Ready(None);
        };
        let found = look(&engine);
        if !matches!(found, Found::Nothing) {
            return found.into_poll(waker);
        }
        // One that does nothing need not be woken.
        if waker.will_wake(Waker::noop()) {
            return Poll::Pending;
        }
        self.signal.arm(waker);
        let readers = &engine.history.tail().readers;
        readers.enlist(&self.signal, &mut self.place, Stamp::ZERO);
        drop(engine);
        // From the beginning: whoever closes the engine wakes the list after it has said so.
        let Some(engine) = self.engine() else {
            return Poll::Ready(None);
        };
        look(&engine).into_poll(waker)
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        if let Some(engine) = self.engine.upgrade() {
            let readers = &engine.history.tail().readers;
            readers.dismiss(&self.signal, self.place);
            engine.unfollow();
        }
    }
}

/// What is known of the commits.
#[derive(Clone, Copy, Debug)]
enum Known {
    UpTo(Stamp),
    /// It was to go on where this engine has never been.
    Nothing,
}

/// Follows all changes.
#[derive(Debug)]
pub(crate) struct Follower {
    line: Line,
    known: Known,
}

/// What a follower is told.
#[derive(Debug)]
pub(crate) enum Told {
    Commit(Arc<Committed>),
    /// It has missed something, and knows everything after this stamp.
    Lagged(Stamp),
}

impl Follower {
    /// Of what comes after a stamp, or from now on.
    pub(crate) fn new(engine: &Arc<Engine>, after: Option<Stamp>) -> Self {
        let (line, now) = Line::new(engine);
        // A larger one is of another engine.
        let is_ours = after.is_none_or(|after| after <= engine.latest());
        Self {
            line,
            known: if is_ours {
                Known::UpTo(after.unwrap_or(now))
            } else {
                Known::Nothing
            },
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.line.engine().is_none()
    }

    /// The stamp up to which everything was told.
    pub(crate) fn known(&self) -> Option<Stamp> {
        match self.known {
            Known::UpTo(stamp) => Some(stamp),
            Known::Nothing => None,
        }
    }

    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Option<Told>> {
        let known = &mut self.known;
        self.line.poll(waker, |engine| {
            let Known::UpTo(after) = *known else {
                let latest = engine.latest();
                *known = Known::UpTo(latest);
                return Found::This(Told::Lagged(latest));
            };
            let (stamp, told) = match engine.changes_after(after) {
                Next::Commit(commit) => (commit.stamp, Told::Commit(commit)),
                Next::Lagged(floor) => (floor, Told::Lagged(floor)),
                Next::Nothing(to) => {
                    *known = Known::UpTo(after.max(to));
                    return Found::Nothing;
                }
            };
            *known = Known::UpTo(stamp);
            Found::This(told)
        })
    }
}

/// Watches a range: which of its keys have changed, and until when.
#[derive(Debug)]
pub(crate) struct RangeWatcher {
    line: Line,
    bounds: Bounds,
    known: Option<Stamp>,
}

/// The keys that have changed up to a stamp, each once and in order; without them, any may have.
#[derive(Debug)]
pub(crate) struct RangeLook {
    pub(crate) at: Stamp,
    pub(crate) keys: Option<Vec<Key>>,
}

impl RangeWatcher {
    pub(crate) fn new(engine: &Arc<Engine>, bounds: Bounds) -> Self {
        let (line, _) = Line::new(engine);
        Self {
            line,
            bounds,
            known: None,
        }
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.line.engine().is_none()
    }

    pub(crate) fn poll(&mut self, waker: &Waker) -> Poll<Option<RangeLook>> {
        let (known, bounds) = (&mut self.known, &self.bounds);
        self.line.poll(waker, |engine| {
            let Some(changed) = known.and_then(|after| changed_after(engine, after, bounds)) else {
                // The first time, and where it is too late, everything.
                let (at, keys) = (engine.latest(), None);
                *known = Some(at);
                return Found::This(RangeLook { at, keys });
            };
            let at = changed.up_to;
            *known = Some(at);
            if !changed.keys.is_empty() {
                let keys = Some(changed.keys);
                return Found::This(RangeLook { at, keys });
            }
            if changed.is_latest {
                Found::Nothing
            } else {
                Found::Later
            }
        })
    }
}

/// What has changed in a range.
struct ChangedKeys {
    keys: Vec<Key>,
    up_to: Stamp,
    /// Whether that is up to the latest commit.
    is_latest: bool,
}

/// The keys in these bounds that have changed after a stamp; `None` where the history does not reach
/// back to it.
fn changed_after(engine: &Engine, after: Stamp, bounds: &Bounds) -> Option<ChangedKeys> {
    // Not to go on for as long as others commit.
    let until = engine.latest();
    let (mut keys, mut up_to) = (Vec::new(), after);
    let is_latest = loop {
        match engine.changes_after(up_to) {
            Next::Lagged(_) => return None,
            Next::Nothing(to) => {
                up_to = up_to.max(to);
                break true;
            }
            Next::Commit(commit) => {
                let in_range = |(key, _): &&(Key, bool)| bounds.contains(key.as_bytes());
                let changed = commit.changes.iter().filter(in_range);
                keys.extend(changed.map(|(key, _)| key.clone()));
                up_to = commit.stamp;
                if up_to >= until {
                    break false;
                }
            }
        }
    };
    keys.sort_unstable();
    keys.dedup();
    Some(ChangedKeys {
        keys,
        up_to,
        is_latest,
    })
}
