//! Telling everything that a server is to end.

use std::pin::Pin;
use std::task::{Context, Poll};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// Becomes ready when the server is to end.
#[derive(Debug)]
pub(crate) struct Ending(Pin<Box<WaitForCancellationFutureOwned>>);

impl Ending {
    pub(crate) fn of(token: &CancellationToken) -> Self {
        Self(Box::pin(token.clone().cancelled_owned()))
    }

    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}
