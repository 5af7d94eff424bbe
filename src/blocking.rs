//! Waiting in a thread for what a stream brings.

use crate::engine::park::block_on;
use futures_core::stream::FusedStream;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A stream as an iterator whose thread waits for the next item: what a
/// [`Watch`](crate::Watch) turns into in a `for` loop.
///
/// It is a type of its own, so that in asynchronous code `next` is that of the stream alone.
///
/// ```
/// # let kv = kvick::Kv::new();
/// let mut alice = kv.watch([("account", "alice")])?.into_iter();
/// assert!(alice.next().is_some_and(|emission| emission.entries[0].is_missing()));
/// assert!(alice.try_next().is_none());
///
/// kv.set(("account", "alice"), 100u64)?;
/// assert_eq!(alice.next().and_then(|emission| emission.entries[0].as_u64()), Some(100));
/// kv.close();
/// assert!(alice.next().is_none() && alice.is_ended());
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an iterator does nothing until it is asked for items"]
pub struct Blocking<S>(S);

impl<S: FusedStream + Unpin> Blocking<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The next item if there is one now; `None` where there is none yet, or
    /// [none any more](Self::is_ended).
    pub fn try_next(&mut self) -> Option<S::Item> {
        match self.poll(Waker::noop()) {
            Poll::Ready(item) => item,
            Poll::Pending => None,
        }
    }

    /// The next item, waited for at most so long, by the system's clock and not by the database's;
    /// `None` where there was none in this time, or there is [none any more](Self::is_ended).
    pub fn next_timeout(&mut self, patience: Duration) -> Option<S::Item> {
        block_on(Some(patience), |waker| self.poll(waker)).flatten()
    }

    /// Whether no item will come any more.
    pub fn is_ended(&self) -> bool {
        self.0.is_terminated()
    }

    /// The stream.
    pub fn into_inner(self) -> S {
        self.0
    }

    fn poll(&mut self, waker: &Waker) -> Poll<Option<S::Item>> {
        Pin::new(&mut self.0).poll_next(&mut Context::from_waker(waker))
    }
}

impl<S: FusedStream + Unpin> Iterator for Blocking<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        block_on(None, |waker| self.poll(waker)).flatten()
    }
}

impl<S: FusedStream + Unpin> FusedIterator for Blocking<S> {}
