//! Following the commits, as the user sees it.

use crate::blocking::{self, Blocking, receives};
use crate::engine::follow::{Follower, Told};
use crate::engine::history::Committed;
use crate::error::Result;
use crate::key::Key;
use crate::kv::Kv;
use crate::version::{Stamp, Versionstamp};
use futures_core::Stream;
use futures_core::stream::FusedStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

/// Where a [`ChangeStream`] begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChangesFrom {
    /// With the first commit after the stream was made.
    Now,
    /// With the first commit after this version; all zeros for the very first.
    ///
    /// The history has to reach back to it, which it does only while somebody follows it, or if it is
    /// [kept](crate::Builder::keep_change_history). Otherwise the first event is
    /// [`Lagged`](ChangeEvent::Lagged).
    After(Versionstamp),
}

/// Every commit, in the order of the versionstamps: [`Kv::changes`].
///
/// A [`Stream`] of [`ChangeEvent`]s; a thread waits for them by [`recv`](Self::recv), or in a `for`
/// loop, by [`Blocking`]. It
/// holds a versionstamp, and no changes: they are in a history that all streams share, and that is
/// bounded. One that comes too late is told so, and goes on. It ends when the database is closed, or
/// its last handle is gone.
///
/// ```
/// use kvick::{ChangeEvent, ChangeKind, ChangesFrom, Kv};
///
/// let kv = Kv::new();
/// let mut changes = kv.changes(ChangesFrom::Now)?;
/// let versionstamp = kv.set("alice", 1u64)?;
/// let ChangeEvent::Commit(commit) = changes.recv()? else { panic!() };
/// assert_eq!(commit.versionstamp(), versionstamp);
/// assert!(commit.changes().eq([(&"alice".into(), ChangeKind::Set)]));
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Debug)]
#[must_use = "a stream tells nothing until it is asked"]
pub struct ChangeStream {
    follower: Follower,
}

/// What a [`ChangeStream`] tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeEvent {
    /// The next commit that changed anything.
    Commit(CommitChanges),
    /// The history does not reach back to where the stream was: some commits are missing, and it goes
    /// on with the first one after this version.
    ///
    /// Whoever keeps a copy of the database reads it anew, at a [snapshot](Kv::snapshot), and passes
    /// over the commits up to that snapshot's versionstamp.
    Lagged(Versionstamp),
}

/// What became of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum ChangeKind {
    /// It was set, or got a value in another way.
    Set,
    /// It was deleted.
    Delete,
}

/// What one commit changed. Cloning it is cheap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommitChanges(Arc<Committed>);

impl CommitChanges {
    /// The version of the commit.
    pub fn versionstamp(&self) -> Versionstamp {
        self.0.stamp.into()
    }

    /// The keys that it changed, each once, in their order.
    pub fn changes(&self) -> impl ExactSizeIterator<Item = (&Key, ChangeKind)> {
        self.0.changes.iter().map(|(key, is_set)| {
            let kind = if *is_set {
                ChangeKind::Set
            } else {
                ChangeKind::Delete
            };
            (key, kind)
        })
    }
}

impl ChangeStream {
    /// The version up to which every commit has been told, to go on from in another stream
    /// ([`ChangesFrom::After`]); none, if the stream was to begin after one that this database has
    /// never had, and has not told so yet.
    pub fn told(&self) -> Option<Versionstamp> {
        self.follower.known().map(Versionstamp::from)
    }
}

impl Stream for ChangeStream {
    type Item = ChangeEvent;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<ChangeEvent>> {
        let told = self.follower.poll(context.waker());
        told.map(|told| {
            told.map(|told| match told {
                Told::Commit(commit) => ChangeEvent::Commit(CommitChanges(commit)),
                Told::Lagged(floor) => ChangeEvent::Lagged(floor.into()),
            })
        })
    }
}

impl FusedStream for ChangeStream {
    fn is_terminated(&self) -> bool {
        self.follower.is_ended()
    }
}

receives!(ChangeStream, ChangeEvent, "The next event.");

impl Kv {
    /// Follows the commits in their order: of each, which keys it set and deleted.
    ///
    /// While anybody follows them, every commit notes its keys, behind the lock that it holds anyway;
    /// nobody who follows slowly holds one up. The first to follow, and the last one to go, take the
    /// lock of each stripe once.
    ///
    /// # Errors
    ///
    /// `Closed`.
    pub fn changes(&self, from: ChangesFrom) -> Result<ChangeStream> {
        let engine = self.reader()?;
        let after = match from {
            ChangesFrom::Now => None,
            // One that no commit can have is none of this database either.
            ChangesFrom::After(versionstamp) if versionstamp == Stamp::ZERO.into() => {
                Some(Stamp::ZERO)
            }
            ChangesFrom::After(versionstamp) => Some(versionstamp.stamp().unwrap_or(Stamp::MAX)),
        };
        let follower = Follower::new(engine, after);
        Ok(ChangeStream { follower })
    }
}
