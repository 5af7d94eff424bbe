//! Whether anything is under way on a connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::time::sleep;

/// What has been done on a connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// How many requests there were.
    begun: AtomicU64,
    /// How many there are, with watches that go on.
    under_way: AtomicU64,
}

/// Something that is under way, until this is dropped.
#[derive(Debug)]
pub(crate) struct UnderWay(Arc<Activity>);

impl Activity {
    pub(crate) fn begin(self: &Arc<Self>) -> UnderWay {
        // ORDERING: Relaxed, here and below. They are looked at by who closes a connection on which nothing
        // has been done for long, and a request that comes just then may be lost with it in any case.
        self.begun.fetch_add(1, Ordering::Relaxed);
        self.under_way.fetch_add(1, Ordering::Relaxed);
        UnderWay(Arc::clone(self))
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
