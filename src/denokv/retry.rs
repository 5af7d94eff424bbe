//! Trying again, asynchronously and without a timer.

use super::client::Client;
use crate::error::Result;
use crate::retry::{Attempt, Transacted};
use denokv_proto::Database;
use std::future::poll_fn;
use std::task::Poll;

impl<D: Database> Client<D> {
    /// Tries until an attempt does not conflict, or the policy says that it is enough.
    ///
    /// Between attempts it lets other tasks of the thread run, once. It does not wait: over a network the
    /// attempts are a round trip or two apart, and embedded, whoever conflicts does so because somebody else has
    /// committed.
    pub(super) async fn retry<T>(
        &self,
        mut attempt: impl AsyncFnMut() -> Result<Attempt<T>>,
    ) -> Result<Transacted<T>> {
        let policy = self.retry_policy();
        let deadline = policy.deadline_from(|| self.clock().now());
        let mut attempts = 0;
        loop {
            attempts += 1;
            if let Some(ended) = attempt().await?.ended(attempts) {
                return Ok(ended);
            }
            let is_late = || deadline.is_some_and(|deadline| self.clock().now() >= deadline);
            if policy.is_last(attempts) || is_late() {
                return Ok(Transacted::Exhausted { attempts });
            }
            let_others_run().await;
        }
    }
}

/// Is ready when it is polled again, for which it asks at once.
async fn let_others_run() {
    let mut has_let = false;
    poll_fn(|context| {
        if has_let {
            return Poll::Ready(());
        }
        has_let = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}
