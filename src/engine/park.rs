//! A thread that waits for what would wake a task.
//!
//! Whoever waits is woken through a [`Waker`]. That of a thread is made here, so blocking and
//! asynchronous callers go one way.

use crate::clock::{Clock, SystemClock};
use crate::sync::{Condvar, Mutex};
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::time::Duration;

/// Where a thread is parked.
#[derive(Debug)]
struct Parked {
    is_woken: Mutex<bool>,
    woken: Condvar,
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        *self.is_woken.lock() = true;
        self.woken.notify_one();
    }
}

impl Parked {
    /// Waits until it is woken; at the deadline, if there is one, `false`.
    fn wait(&self, deadline: Option<Duration>) -> bool {
        let mut is_woken = self.is_woken.lock();
        while !*is_woken {
            let Some(deadline) = deadline else {
                self.woken.wait(&mut is_woken);
                continue;
            };
            let left = deadline.saturating_sub(SystemClock.now());
            if left.is_zero() {
                return false;
            }
            self.woken.wait_for(&mut is_woken, left);
        }
        *is_woken = false;
        true
    }
}

/// What a look comes to.
pub(crate) enum Look<T> {
    Found(T),
    /// Nothing yet. Whoever looks is woken when it is to look again, or does so after this, by the
    /// system's clock.
    Nothing(Option<Duration>),
}

/// Polls until there is a result, and waits in between; `None` where there is none within `patience`,
/// by the system's clock.
pub(crate) fn block_on<T>(
    patience: Option<Duration>,
    mut poll: impl FnMut(&Waker) -> Poll<T>,
) -> Option<T> {
    look_on(patience, |waker| match poll(waker) {
        Poll::Ready(result) => Look::Found(result),
        Poll::Pending => Look::Nothing(None),
    })
}

/// Looks until something is found, and waits in between; `None` where nothing is found within
/// `patience`, by the system's clock.
pub(crate) fn look_on<T>(
    patience: Option<Duration>,
    mut look: impl FnMut(&Waker) -> Look<T>,
) -> Option<T> {
    // So long that there is no such moment is for ever.
    let deadline = patience.and_then(|patience| SystemClock.now().checked_add(patience));
    let parked = Arc::new(Parked {
        is_woken: Mutex::new(false),
        woken: Condvar::new(),
    });
    let waker = Waker::from(Arc::clone(&parked));
    loop {
        let again = match look(&waker) {
            Look::Found(result) => return Some(result),
            Look::Nothing(again) => again,
        };
        let again = again.and_then(|again| SystemClock.now().checked_add(again));
        let until = deadline.into_iter().chain(again).min();
        let is_over = !parked.wait(until) && until == deadline;
        if is_over {
            return None;
        }
    }
}
