//! The numbers to watch, of a server and of its databases, for Prometheus.

use crate::databases::Databases;
use http::StatusCode;
use metrics_exporter_prometheus::PrometheusBuilder;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};

/// What requests are counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Metadata,
    SnapshotRead,
    AtomicWrite,
    Watch,
    /// Whether it is well, and its numbers.
    Look,
    Unknown,
}

/// Their names.
const OPERATIONS: [(Operation, &str); 6] = [
    (Operation::Metadata, "metadata"),
    (Operation::SnapshotRead, "snapshot_read"),
    (Operation::AtomicWrite, "atomic_write"),
    (Operation::Watch, "watch"),
    (Operation::Look, "look"),
    (Operation::Unknown, "unknown"),
];

/// And by the first digit of their status.
const CLASSES: [&str; 3] = ["2xx", "4xx", "5xx"];

/// What a server counts itself.
#[derive(Debug, Default)]
pub(crate) struct Numbers {
    requests: [[AtomicU64; CLASSES.len()]; OPERATIONS.len()],
    connections: AtomicI64,
    accepted: AtomicU64,
}

impl Numbers {
    /// A request was answered.
    pub(crate) fn count(&self, operation: Operation, status: StatusCode) {
        let class = match status.as_u16() {
            ..400 => 0,
            400..500 => 1,
            500.. => 2,
        };
        if let Some(count) = self
            .requests
            .get(operation as usize)
            .and_then(|all| all.get(class))
        {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// There is a connection for as long as what this returns.
    pub(crate) fn connect(&self) -> Connected<'_> {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        self.connections.fetch_add(1, Ordering::Relaxed);
        Connected(self)
    }

    /// All of it, in the text format of Prometheus.
    pub(crate) fn render(&self, databases: &Databases) -> String {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            self.record();
            let mut is_described = false;
            databases.for_each(|name, kv| {
                let numbers = kv.metrics().label("database", name);
                if !std::mem::replace(&mut is_described, true) {
                    numbers.describe();
                }
                numbers.record();
            });
        });
        handle.render()
    }

    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53")]
    fn record(&self) {
        metrics::describe_counter!("kvick_server_requests_total", "requests that were answered");
        metrics::describe_gauge!("kvick_server_connections", "connections that are open");
        metrics::describe_counter!(
            "kvick_server_accepted_connections_total",
            "connections that have come"
        );
        for ((_, operation), counts) in OPERATIONS.iter().zip(&self.requests) {
            for (class, count) in CLASSES.iter().zip(counts) {
                metrics::counter!("kvick_server_requests_total", "operation" => *operation, "status" => *class)
                    .absolute(count.load(Ordering::Relaxed));
            }
        }
        metrics::gauge!("kvick_server_connections")
            .set(self.connections.load(Ordering::Relaxed) as f64);
        metrics::counter!("kvick_server_accepted_connections_total")
            .absolute(self.accepted.load(Ordering::Relaxed));
    }
}

/// A connection, while it is open.
pub(crate) struct Connected<'n>(&'n Numbers);

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}
