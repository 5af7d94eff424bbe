//! What the suite wants of a database.

use kvick::Result;
use kvick::denokv::{Client, Database};
use std::time::Duration;
use tokio::runtime::Builder;
use tokio::time::timeout;

/// How long a property may take. Only one that does not hold takes so long.
const PATIENCE: Duration = Duration::from_secs(60);

/// A database that was started for one property.
pub(crate) trait Backend: Sized {
    type Database: Database + Send + 'static;

    const DIFFERENCES: Differences;

    async fn open() -> Self;

    fn client(&self) -> &Client<Self::Database>;

    /// Moves the time on that entries expire by, where [`Differences::expires_at_once`].
    fn advance(&self, by: Duration);
}

/// In what databases differ, and may.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a question of its own"
)]
pub(crate) struct Differences {
    /// Whether an entry that has expired is not read any more. Otherwise it is until it is collected, which
    /// can be a minute later.
    pub(crate) expires_at_once: bool,
    /// Whether an operation with arithmetic that does not fit what is stored changes nothing (A07). Otherwise
    /// the mutations before it have taken effect, although it fails.
    pub(crate) refuses_whole: bool,
    /// Whether messages can be enqueued and received.
    pub(crate) has_queues: bool,
    /// Whether operations fail once the client has closed the database.
    pub(crate) closes: bool,
    /// Whether watches end then.
    pub(crate) ends_watches: bool,
}

/// Holds a property against a fresh database.
pub(crate) fn run<B: Backend>(property: impl AsyncFnOnce(&B) -> Result<()>) {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build();
    let held = runtime.expect("a runtime starts").block_on(async {
        let backend = B::open().await;
        timeout(PATIENCE, property(&backend)).await
    });
    held.expect("nothing is waited for in vain")
        .expect("nothing is refused");
}
