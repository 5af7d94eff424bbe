//! Hearing of what was evicted.

use crate::blocking::{self, Blocking, receives};
use crate::engine::eviction::EvictionReason;
use crate::engine::reports::{Report, Told};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::kv::Kv;
use crate::version::Versionstamp;
use futures_core::stream::{FusedStream, Stream};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// What was evicted, for as long as this is kept: [`Kv::evictions`].
///
/// A [`Stream`] for tasks, on any runtime or none; [`recv`](Self::recv) and its like for threads. It
/// ends when the database is closed, or its last handle is gone.
#[derive(Debug)]
pub struct Evictions(Arc<Report>);

/// An entry that was evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Eviction {
    /// Its key.
    pub key: Key,
    /// Which limit it had to go for.
    pub reason: EvictionReason,
    /// That of the commit that has deleted it.
    pub versionstamp: Versionstamp,
}

/// What [`Evictions`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EvictionEvent {
    /// An entry was evicted.
    Evicted(Eviction),
    /// So many were evicted of which nothing is kept, because nobody has asked for long. What follows
    /// comes after them.
    Lagged(u64),
}

impl Stream for Evictions {
    type Item = EvictionEvent;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<EvictionEvent>> {
        self.0.poll(context.waker()).map(|told| {
            told.map(|told| match told {
                Told::Lost(count) => EvictionEvent::Lagged(count),
                Told::Gone(gone) => EvictionEvent::Evicted(Eviction {
                    key: gone.key,
                    reason: gone.reason,
                    versionstamp: gone.stamp.into(),
                }),
            })
        })
    }
}

impl FusedStream for Evictions {
    fn is_terminated(&self) -> bool {
        self.0.is_ended()
    }
}

receives!(Evictions, EvictionEvent, "The next event.");

impl Kv {
    /// Tells of every entry that is evicted from now on, with the reason: the latest `events`, until
    /// they are asked for. Of what was evicted before these, only how many there were. (That an entry
    /// goes is also a change of its key, which [watches](Self::watch) are told of.)
    ///
    /// Its memory is that of so many keys, and does not count towards the limit.
    ///
    /// ```
    /// use kvick::{EvictionEvent, Kv, OnLimit};
    ///
    /// let kv = Kv::builder().entry_limit(2).on_limit(OnLimit::Evict).build();
    /// let mut evictions = kv.evictions(100)?;
    /// for number in 0..10 {
    ///     kv.set(number, "value")?;
    /// }
    /// let Some(EvictionEvent::Evicted(first)) = evictions.try_recv()? else {
    ///     panic!("there is no room for all");
    /// };
    /// assert!(kv.get(first.key)?.is_missing());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `InvalidLimit` where it is to be no event; `OutOfMemory`; `Closed`.
    pub fn evictions(&self, events: usize) -> Result<Evictions> {
        if events == 0 {
            return Err(Error::limit_is_zero());
        }
        Ok(Evictions(self.reader()?.open_report(events)?))
    }
}

#[cfg(simulated)]
impl Kv {
    /// How many slots the policies have: one for each entry that may be evicted (NUMBERED).
    #[doc(hidden)]
    pub fn policy_slots(&self) -> usize {
        self.engine().policy_slots()
    }
}
