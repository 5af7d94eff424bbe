//! `denokv_remote` over loopback, against a server of ours with a `Kv` in this process.

use crate::backend::{Backend, Differences};
use crate::transport::{Anywhere, Transport};
use denokv_remote::{MetadataEndpoint, Remote};
use kvick::denokv::Client;
use kvick::{Kv, ManualClock};
use kvick_server::{AccessToken, Options, Server};
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use url::Url;

const TOKEN: &str = "correct-horse-battery";

pub(crate) struct OverNetwork {
    client: Client<Remote<Anywhere, Transport>>,
    clock: Arc<ManualClock>,
}

impl Backend for OverNetwork {
    type Database = Remote<Anywhere, Transport>;

    const DIFFERENCES: Differences = Differences {
        expires_at_once: true,
        refuses_whole: true,
        has_queues: false,
        closes: false,
        ends_watches: false,
    };

    async fn open() -> Self {
        let clock = Arc::new(ManualClock::default());
        let kv = Kv::builder()
            .clock(Arc::<ManualClock>::clone(&clock))
            .build();
        let mut options = Options::default();
        options.access_token = Some(AccessToken::new(TOKEN).expect("it is long enough"));
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("it has an address");
        tokio::spawn(Server::new(kv, options).serve(listener, pending()));
        let endpoint = MetadataEndpoint {
            url: Url::parse(&format!("http://{address}/")).expect("it is an address"),
            access_token: TOKEN.to_owned(),
        };
        let remote = Remote::new(Transport::new(), Anywhere, endpoint);
        let client = Client::new(remote);
        Self { client, clock }
    }

    fn client(&self) -> &Client<Self::Database> {
        &self.client
    }

    fn advance(&self, by: Duration) {
        self.clock.advance(by);
    }
}
