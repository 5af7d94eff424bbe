//! The integration tests, in one binary so that they link once.

mod anomalies;
mod atomic;
mod changes;
mod contention;
mod copy;
mod cursor;
#[cfg(feature = "denokv")]
mod denokv;
mod differential;
mod docs;
mod evict;
mod expiry;
mod history;
mod idle;
mod keys;
mod latencies;
mod ledger;
mod lifecycle;
mod limits;
mod list;
mod load;
mod memory;
#[cfg(feature = "metrics")]
mod metrics;
mod queue;
mod reads;
mod refusals;
mod returning;
mod shown;
#[cfg(feature = "tracing")]
mod slow_commits;
mod stats;
mod sums;
mod support;
mod tidy;
mod transact;
#[cfg(feature = "serde")]
mod typed;
mod update;
mod values;
mod versionstamped;
mod watch;
mod weigher;
