//! Requests of a connection in turns with the connection itself, in its own task.
//!
//! Most requests are answered as soon as they are looked at, and in less time than it takes to give them to
//! another thread. Whoever did so would also wake the connection for each answer, which would then be
//! sent alone. So what has come together is answered one after the other, and the answers go out together.

use crate::patient::Owed;
use hyper::rt::Executor;
use std::fmt;
use std::future::Future;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

/// For how long requests are answered before the connection goes on. What is left then is for other threads.
const TURN_MAX: Duration = Duration::from_micros(200);

type Request = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The requests that have come and were not looked at.
#[derive(Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<Vec<Request>>>);

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

impl<F> Executor<F> for Turns
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, request: F) {
        let mut come = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        come.push(Box::pin(request));
    }
}

impl Turns {
    /// Polls a connection that gives its requests to this, and answers them. What its client is owed then is
    /// settled.
    pub(crate) fn poll<C: Future>(
        &self,
        mut connection: Pin<&mut C>,
        owed: &Owed,
        context: &mut Context<'_>,
    ) -> Poll<C::Output> {
        loop {
            let done = connection.as_mut().poll(context);
            // Also where the client has gone: what it asked for may be a write.
            let has_answered = self.answer(context);
            if done.is_ready() || !(has_answered || owed.is_due()) {
                return done;
            }
        }
    }

    /// Looks at all that have come, once. Whether there were any.
    fn answer(&self, context: &mut Context<'_>) -> bool {
        let mut held = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let come = mem::take(&mut *held);
        drop(held);
        if come.is_empty() {
            return false;
        }
        let begun = Instant::now();
        let mut is_over = false;
        for mut request in come {
            is_over = is_over || begun.elapsed() > TURN_MAX;
            if is_over || is_pending(&mut request, context) {
                tokio::spawn(request);
            }
        }
        true
    }
}

/// Whether a request has to wait for something. One that panics takes nobody with it, as in a task of its own.
fn is_pending(request: &mut Request, context: &mut Context<'_>) -> bool {
    let polled = catch_unwind(AssertUnwindSafe(|| request.as_mut().poll(context)));
    matches!(polled, Ok(Poll::Pending))
}

#[cfg(test)]
mod tests {
    use super::Turns;
    use crate::patient::Owed;
    use hyper::rt::Executor;
    use std::future::{pending, poll_fn};
    use std::pin::pin;
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::sync::{Notify, mpsc};

    #[tokio::test]
    async fn those_that_wait_or_panic_hold_up_no_others() {
        let (turns, go, ended) = (
            Turns::default(),
            Arc::new(Notify::new()),
            mpsc::unbounded_channel(),
        );
        let (end, mut ended) = ended;
        let (waits, ends) = (Arc::clone(&go), end.clone());
        turns.execute(async move {
            waits.notified().await;
            let _ = ends.send("waiting");
        });
        turns.execute(async { panic!("as one of a client would") });
        turns.execute(async move {
            let _ = end.send("other");
        });
        let mut connection = pin!(pending::<()>());
        let owed = Owed::default();
        let polled = poll_fn(|context| turns.poll(connection.as_mut(), &owed, context));
        let within = tokio::time::timeout(Duration::from_millis(1), polled).await;
        assert!(within.is_err(), "the connection goes on");
        assert_eq!(ended.try_recv(), Ok("other"));
        go.notify_one();
        assert_eq!(ended.recv().await, Some("waiting"));
    }
}
