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
    /// Waits until it is woken; at the deadline, `false`.
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

/// Polls until there is a result, and waits in between; `None` where there is none within `patience`,
/// of the time of the system.
pub(crate) fn block_on<T>(
    patience: Option<Duration>,
    mut poll: impl FnMut(&Waker) -> Poll<T>,
) -> Option<T> {
    // So long that there is no such moment is for ever.
    let deadline = patience.and_then(|patience| SystemClock.now().checked_add(patience));
    let parked = Arc::new(Parked {
        is_woken: Mutex::new(false),
        woken: Condvar::new(),
    });
    let waker = Waker::from(Arc::clone(&parked));
    loop {
        if let Poll::Ready(result) = poll(&waker) {
            return Some(result);
        }
        if !parked.wait(deadline) {
            return None;
        }
    }
}
