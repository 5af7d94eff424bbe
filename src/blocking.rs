//! Waiting in a thread for what a stream brings.

use crate::engine::park::block_on;
use crate::error::{Error, Result};
use futures_core::stream::FusedStream;
use std::iter::FusedIterator;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// A stream as an iterator whose thread waits for the next item: what a
/// [`Watch`](crate::Watch) turns into in a `for` loop.
///
/// It is a type of its own, so that in asynchronous code `next` is that of the stream alone. What the
/// stream can do beside that, to [`recv`](Self::recv) with an error and with a patience, it can too.
///
/// ```
/// # let kv = kvick::Kv::new();
/// let mut alice = kv.watch([("account", "alice")])?.into_iter();
/// assert!(alice.next().is_some_and(|emission| emission.entries[0].is_missing()));
/// assert!(alice.try_recv()?.is_none());
///
/// kv.set(("account", "alice"), 100u64)?;
/// assert_eq!(alice.recv()?.entries[0].as_u64(), Some(100));
/// kv.close();
/// assert!(alice.next().is_none() && alice.try_recv().is_err());
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "an iterator does nothing until it is asked for items"]
pub struct Blocking<S>(S);

impl<S: FusedStream + Unpin> Blocking<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self(stream)
    }

    /// The next item. The thread waits for it.
    ///
    /// # Errors
    ///
    /// `Closed`: there will be none.
    pub fn recv(&mut self) -> Result<S::Item> {
        recv(&mut self.0)
    }

    /// The next item, if there is one now.
    ///
    /// # Errors
    ///
    /// `Closed`: there will be none.
    pub fn try_recv(&mut self) -> Result<Option<S::Item>> {
        try_recv(&mut self.0)
    }

    /// The next item. The thread waits for it, but no longer than this: by the system's clock, and not
    /// by the database's.
    ///
    /// # Errors
    ///
    /// `Closed`: there will be none.
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<S::Item>> {
        recv_timeout(&mut self.0, timeout)
    }

    /// The stream.
    pub fn into_inner(self) -> S {
        self.0
    }
}

impl<S: FusedStream + Unpin> Iterator for Blocking<S> {
    type Item = S::Item;

    fn next(&mut self) -> Option<S::Item> {
        self.recv().ok()
    }
}

impl<S: FusedStream + Unpin> FusedIterator for Blocking<S> {}

fn poll<S: FusedStream + Unpin>(stream: &mut S, waker: &Waker) -> Poll<Result<S::Item>> {
    let polled = Pin::new(stream).poll_next(&mut Context::from_waker(waker));
    polled.map(|item| item.ok_or_else(Error::ended))
}

/// The next item of a stream, for which the thread waits.
pub(crate) fn recv<S: FusedStream + Unpin>(stream: &mut S) -> Result<S::Item> {
    loop {
        // Without a deadline there is one in the end.
        if let Some(item) = block_on(None, |waker| poll(stream, waker)) {
            return item;
        }
    }
}

/// The next item of a stream, if there is one now.
pub(crate) fn try_recv<S: FusedStream + Unpin>(stream: &mut S) -> Result<Option<S::Item>> {
    match poll(stream, Waker::noop()) {
        Poll::Ready(item) => item.map(Some),
        Poll::Pending => Ok(None),
    }
}

/// The next item of a stream, if it comes in this time.
pub(crate) fn recv_timeout<S: FusedStream + Unpin>(
    stream: &mut S,
    timeout: Duration,
) -> Result<Option<S::Item>> {
    block_on(Some(timeout), |waker| poll(stream, waker)).transpose()
}

/// Has a thread wait for a stream in the words of the standard library's channels, which those of
/// streams do not collide with.
macro_rules! receives {
    ($stream:ident, $item:ident, $next:literal) => {
        impl $stream {
            #[doc = concat!($next, " The thread waits for it.")]
            ///
            /// # Errors
            ///
            /// `Closed`: there will be none.
            pub fn recv(&mut self) -> Result<$item> {
                blocking::recv(self)
            }

            #[doc = concat!($next, " Now, or `None` where there is none yet.")]
            ///
            /// # Errors
            ///
            /// `Closed`: there will be none.
            pub fn try_recv(&mut self) -> Result<Option<$item>> {
                blocking::try_recv(self)
            }

            #[doc = concat!($next, " The thread waits for it, but no longer than this:")]
            /// by the system's clock, and not by the database's.
            ///
            /// # Errors
            ///
            /// `Closed`: there will be none.
            pub fn recv_timeout(&mut self, timeout: Duration) -> Result<Option<$item>> {
                blocking::recv_timeout(self, timeout)
            }
        }

        impl IntoIterator for $stream {
            type Item = $item;
            type IntoIter = Blocking<Self>;

            fn into_iter(self) -> Blocking<Self> {
                Blocking::new(self)
            }
        }
    };
}

pub(crate) use receives;
