//! Whether anything is under way on a connection.

use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// What has been done on a connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// How many requests there were, and pieces of long answers.
    begun: AtomicU64,
    /// How many there are, with watches that go on.
    under_way: AtomicU64,
    /// Whether a request has shown the token, or had none to show.
    is_let_in: AtomicBool,
}

/// Something that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Activity {
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        // ORDERING: Relaxed, here and elsewhere. They are looked at by who closes a connection on which nothing
        // has been done for long, and a request that comes just then may be lost with it in any case.
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
    }

    /// Something goes on that has begun before.
    pub(crate) fn go_on(&self) {
        self.begun.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn is_let_in(&self) -> bool {
        self.is_let_in.load(Ordering::Relaxed)
    }

    pub(crate) fn let_in(&self) {
        self.is_let_in.store(true, Ordering::Relaxed);
    }

    /// Is ready when nobody has been let in within so long, whatever was done.
    pub(crate) async fn strange_for(&self, time: Duration) {
        sleep(time).await;
        if self.is_let_in() {
            pending::<()>().await;
        }
    }

    /// Is ready when nothing has been done for so long, or for up to twice that.
    pub(crate) async fn idle_for(&self, time: Duration) {
        loop {
            let before = self.begun.load(Ordering::Relaxed);
            sleep(time).await;
            if self.under_way.load(Ordering::Relaxed) == 0
                && self.begun.load(Ordering::Relaxed) == before
            {
                return;
            }
        }
    }
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, Ordering::Relaxed);
    }
}
