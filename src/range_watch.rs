//! Watching ranges, as the user sees it.

use crate::blocking::{self, Blocking, receives};
use crate::engine::follow::RangeWatcher;
use crate::error::Result;
use crate::key::{Key, Range};
use crate::kv::Kv;
use crate::version::Versionstamp;
use futures_core::Stream;
use futures_core::stream::FusedStream;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// A range, watched: [`Kv::watch_range`].
///
/// A [`Stream`] of [`RangeChange`]s; a thread waits for them by [`recv`](Self::recv), or in a `for`
/// loop, by [`Blocking`]. Changes are coalesced, as those of a [`Watch`](crate::Watch) are. It holds a versionstamp and the
/// bounds of the range, and ends when the database is closed, or its last handle is gone.
///
/// ```
/// use kvick::{Changed, Key, Kv};
///
/// let kv = Kv::new();
/// let mut users = kv.watch_range("users")?;
/// assert_eq!(users.recv()?.changed, Changed::Everything);
///
/// kv.set(("users", "bob"), 1u64)?;
/// kv.set(("users", "alice"), 2u64)?;
/// let keys = vec![Key::from(("users", "alice")), Key::from(("users", "bob"))];
/// assert_eq!(users.recv()?.changed, Changed::Keys(keys));
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a watch shows nothing until it is asked"]
pub struct RangeWatch {
    watcher: RangeWatcher,
}

/// What has happened in a range since the change before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RangeChange {
    /// Up to here: of a commit with a larger one, a later change tells. What is read from now on is
    /// of this version or a later one.
    pub versionstamp: Versionstamp,
    /// Which keys have been set or deleted.
    pub changed: Changed,
}

/// Which keys of a range have changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// Any of them, perhaps: the watch has just begun, or came too late for the
    /// [history](crate::Builder::change_history).
    Everything,
    /// These, each once, in their order.
    Keys(Vec<Key>),
}

impl Stream for RangeWatch {
    type Item = RangeChange;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<RangeChange>> {
        let look = self.watcher.poll(context.waker());
        look.map(|look| {
            look.map(|look| RangeChange {
                versionstamp: look.at.into(),
                changed: look.keys.map_or(Changed::Everything, Changed::Keys),
            })
        })
    }
}

impl FusedStream for RangeWatch {
    fn is_terminated(&self) -> bool {
        self.watcher.is_ended()
    }
}

receives!(RangeWatch, RangeChange, "The next change.");

impl Kv {
    /// Watches a range: shows at once that it is there, and then which of its keys have been set or
    /// deleted, whenever any have. A key stands for the prefix: what lies below it.
    ///
    /// It shows keys and no values: read those that matter, or [list](Self::list) the range where
    /// [everything](Changed::Everything) may have changed. The costs are those of
    /// [`changes`](Self::changes); a commit anywhere wakes whoever waits for a range.
    ///
    /// # Errors
    ///
    /// Those of the range; `Closed`.
    pub fn watch_range(&self, range: impl Into<Range>) -> Result<RangeWatch> {
        let engine = self.reader()?;
        let bounds = range.into().bounds(engine.limits())?;
        let watcher = RangeWatcher::new(engine, bounds);
        Ok(RangeWatch { watcher })
    }
}
