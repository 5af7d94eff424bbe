//! A `Kv`, in this process.

use crate::backend::{Backend, Differences};
use kvick::denokv::Client;
use kvick::{Kv, ManualClock};
use std::sync::Arc;
use std::time::Duration;

pub(crate) struct Embedded {
    client: Client<Kv>,
    clock: Arc<ManualClock>,
}

impl Backend for Embedded {
    type Database = Kv;

    const DIFFERENCES: Differences = Differences {
        expires_at_once: true,
        refuses_whole: true,
        has_queues: true,
        closes: true,
        ends_watches: true,
    };

    async fn open() -> Self {
        let clock = Arc::new(ManualClock::default());
        let kv = Kv::builder()
            .clock(Arc::<ManualClock>::clone(&clock))
            .build();
        let client = Client::new(kv).with_clock(Arc::<ManualClock>::clone(&clock));
        Self { client, clock }
    }

    fn client(&self) -> &Client<Kv> {
        &self.client
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}
