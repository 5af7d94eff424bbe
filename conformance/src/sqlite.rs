//! `denokv_sqlite` in memory, as Deno opens it: with one worker.

use crate::backend::{Backend, Differences};
use denokv_sqlite::{Connection, Sqlite, SqliteConfig, SqliteNotifier};
use kvick::denokv::Client;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::time::Duration;

pub(crate) struct InSqlite {
    client: Client<Sqlite>,
}

impl Backend for InSqlite {
    type Database = Sqlite;

    const DIFFERENCES: Differences = Differences {
        expires_at_once: false,
        refuses_whole: false,
        has_queues: true,
        closes: true,
        ends_watches: false,
    };

    async fn open() -> Self {
        let sqlite = Sqlite::new(
            || {
                let connection = Connection::open_in_memory().expect("SQLite opens");
                Ok((connection, Box::new(StdRng::seed_from_u64(7))))
            },
            SqliteNotifier::default(),
            SqliteConfig {
                num_workers: 1,
                batch_timeout: None,
            },
        );
        let client = Client::new(sqlite.expect("SQLite opens"));
        Self { client }
    }

    fn client(&self) -> &Client<Sqlite> {
        &self.client
    }

    fn advance(&self, _by: Duration) {
        unreachable!("it does not expire at once");
    }
}
