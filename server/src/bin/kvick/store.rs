//! The database of a command: somebody's server, or one of the process itself.

use crate::fault::Fault;
use crate::transport::{Anywhere, NOT_KNOWN, Transport, Trouble};
use async_trait::async_trait;
use deno_error::JsErrorBox;
use denokv_proto::{
    AtomicWrite, CommitResult, Database, ReadRange, ReadRangeOutput, SnapshotReadOptions,
    WatchStream,
};
use denokv_remote::{DummyQueueMessageHandle, MetadataEndpoint, Remote};
use kvick::Kv;
use kvick::denokv::Client;
use std::sync::Arc;
use std::time::Duration;
use tokio::time;
use url::Url;

/// A client of it.
pub(crate) type Db = Client<Store>;

#[derive(Clone)]
pub(crate) enum Store {
    Embedded(Kv),
    Hosted(Arc<Hosted>),
}

/// A database behind a URL.
pub(crate) struct Hosted {
    remote: Remote<Anywhere, Transport>,
    url: String,
    /// For one operation.
    timeout: Duration,
    trouble: Trouble,
}

impl Store {
    /// Within a runtime: a task of it asks for the metadata, and asks anew.
    pub(crate) fn hosted(url: Url, access_token: String, timeout: Duration) -> Result<Self, Fault> {
        let transport = Transport::new(&url).map_err(|error| Fault::failed(error).of(&url))?;
        let trouble = transport.trouble();
        let shown = url.to_string();
        let endpoint = MetadataEndpoint { url, access_token };
        Ok(Self::Hosted(Arc::new(Hosted {
            remote: Remote::new(transport, Anywhere, endpoint),
            url: shown,
            timeout,
            trouble,
        })))
    }

    pub(crate) fn kv(&self) -> Option<&Kv> {
        match self {
            Self::Embedded(kv) => Some(kv),
            Self::Hosted(_) => None,
        }
    }

    /// How long one operation may take.
    pub(crate) fn timeout(&self) -> Duration {
        match self {
            Self::Embedded(_) => Duration::MAX,
            Self::Hosted(hosted) => hosted.timeout,
        }
    }

    /// What it is called.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Embedded(_) => "the database in this process",
            Self::Hosted(hosted) => &hosted.url,
        }
    }

    /// What becomes of this within the time that one operation may take.
    pub(crate) async fn in_time<T>(&self, operation: impl Future<Output = T>) -> Result<T, Fault> {
        match self {
            Self::Embedded(_) => Ok(operation.await),
            Self::Hosted(hosted) => hosted.in_time("", operation).await.map_err(Fault::failed),
        }
    }
}

impl Hosted {
    /// `denokv_remote` would ask again and again.
    async fn in_time<T>(
        &self,
        then: &str,
        operation: impl Future<Output = T>,
    ) -> Result<T, JsErrorBox> {
        let done = time::timeout(self.timeout, operation).await;
        done.map_err(|_| {
            let timeout = humantime::format_duration(self.timeout);
            let why = self.trouble.last().unwrap_or("nothing came".to_owned());
            let url = &self.url;
            JsErrorBox::generic(format!(
                "no answer from {url} within {timeout}: {why}{then}"
            ))
        })
    }

    /// An error with what the answer was, where the text says nothing of it.
    fn explained(&self, error: JsErrorBox) -> JsErrorBox {
        let text = error.to_string();
        match self.trouble.last() {
            // There was an answer, and it was a redirection or a refusal.
            Some(why) if text.starts_with("Failed to fetch metadata") => {
                JsErrorBox::generic(format!(
                    "{}: {why} ({})",
                    self.url,
                    text.trim_end_matches([' ', ':'])
                ))
            }
            _ => error,
        }
    }
}

#[async_trait(?Send)]
impl Database for Store {
    type QMH = DummyQueueMessageHandle;

    async fn snapshot_read(
        &self,
        requests: Vec<ReadRange>,
        options: SnapshotReadOptions,
    ) -> Result<Vec<ReadRangeOutput>, JsErrorBox> {
        match self {
            Self::Embedded(kv) => kv.snapshot_read(requests, options).await,
            Self::Hosted(hosted) => {
                let read = hosted.remote.snapshot_read(requests, options);
                let read = hosted.in_time("", read).await?;
                read.map_err(|error| hosted.explained(error))
            }
        }
    }

    async fn atomic_write(&self, write: AtomicWrite) -> Result<Option<CommitResult>, JsErrorBox> {
        match self {
            Self::Embedded(kv) => kv.atomic_write(write).await,
            Self::Hosted(hosted) => {
                let written = hosted.remote.atomic_write(write);
                let then = format!(" ({NOT_KNOWN})");
                let written = hosted.in_time(&then, written).await?;
                written.map_err(|error| hosted.explained(error))
            }
        }
    }

    /// There are none: no command receives messages.
    async fn dequeue_next_message(&self) -> Result<Option<Self::QMH>, JsErrorBox> {
        Ok(None)
    }

    fn watch(&self, keys: Vec<Vec<u8>>) -> WatchStream {
        match self {
            Self::Embedded(kv) => Database::watch(kv, keys),
            Self::Hosted(hosted) => hosted.remote.watch(keys),
        }
    }

    fn close(&self) {
        match self {
            Self::Embedded(kv) => kv.close(),
            Self::Hosted(hosted) => hosted.remote.close(),
        }
    }
}
