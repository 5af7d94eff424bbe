//! Deno KV as an in-memory concurrent engine.
//!
//! A [`Kv`] maps [keys](Key), which are tuples, to [values](Value). Every entry carries a
//! [`Versionstamp`]. Several keys change together by an [atomic operation](Kv::atomic): checks on
//! versionstamps, then mutations, all or nothing. Readers are lock-free and never wait.
//!
//! ```
//! use kvick::{Kv, Outcome};
//!
//! let kv = Kv::new();
//! kv.set(("account", "alice"), 100u64)?;
//!
//! let alice = kv.get(("account", "alice"))?;
//! let bob = kv.get(("account", "bob"))?; // missing, and that can be checked too
//! let outcome = kv
//!     .atomic()
//!     .check(&alice)
//!     .check(&bob)
//!     .set(("account", "alice"), alice.as_u64().unwrap_or(0) - 10)
//!     .set(("account", "bob"), bob.as_u64().unwrap_or(0) + 10)
//!     .commit()?;
//! assert!(matches!(outcome, Outcome::Committed { .. }));
//!
//! let view = kv.snapshot();
//! kv.delete_prefix("account")?;
//! assert_eq!(view.list("account").count()?, 2);
//! assert_eq!(kv.list("account").count()?, 0);
//! # Ok::<(), kvick::Error>(())
//! ```
//!
//! # Features
//!
//! `serde`, off by default: whatever serialises is a value, which Deno and Node can read
//! (`Kv::set_as`, `Kv::get_as`, `NewValue::serialize`, `Entry::to`).
//!
//! `metrics`, off by default: the numbers of [`Kv::stats`], handed over to the recorder of the `metrics` facade
//! (`Kv::metrics`).
//!
//! `tracing`, off by default: an event for each commit that takes longer than is asked for
//! (`Builder::slow_commits`).
//!
//! `denokv`, off by default: a `Kv` is a database for whatever takes one of Deno's, and a client runs the
//! same operations on any of them (`denokv::Client`): embedded, or over the network.
//!
//! # Guarantees
//!
//! - Single operations are linearizable.
//! - Atomic operations and [transactions](Kv::transact) are strictly serializable, in the order of
//!   their versionstamps: a commit that had returned before another began has the smaller one. A
//!   transaction that read a range conflicts with whatever changes, appears or disappears in it.
//! - All or nothing: an operation whose check fails, or that ends in an error, has changed nothing.
//! - [`Kv::get_many`], a [list](Kv::list) and a [`Snapshot`] see one version of everything.
//! - Reading takes no lock and waits for nobody. (Opening and closing a snapshot does not either,
//!   while fewer than 64 are open; beyond, it takes a lock for some ten nanoseconds.) Writers wait
//!   for writers of the same stripe, one of 16 to 256, and never for readers.
//! - Nothing in the interface can deadlock: no guard or lock is ever handed out, and whatever a
//!   closure of yours does, nobody waits for it without a bound.
//!
//! # Watching
//!
//! [`Kv::watch`] shows some keys whenever one of them changes, [`Kv::watch_range`] tells which keys of a
//! range have, and [`Kv::changes`] tells of every commit in order. Each is a
//! [`Stream`](futures_core::Stream) for whatever runtime polls it, and in a `for` loop a blocking
//! iterator.
//!
//! # Loading
//!
//! [`Kv::get_or_load`] reads a key, and where it is missing has one of those who ask find out what it is to
//! hold, thread or task, while the others wait for it. What was loaded before somebody changed or deleted
//! the key is never stored after that. [`Loading`] says how long it stays, and whether it may be stale.
//!
//! # Consistency
//!
//! The counts of [`Kv::stats`] are added up while commits go on. A list with
//! [`fresh_batches`](List::fresh_batches) reads each batch at its own moment. Everything else is as
//! above.
//!
//! # Queues
//!
//! A [message](Kv::enqueue) is a part of the commit that enqueues it, and is delivered at least once, to
//! one [`Listener`] of its [`Queue`]: a thread or a task. It is nobody else's while the [`Message`] is
//! kept. What fails is tried again by the schedule of its [`Delivery`], and written to keys of its own in
//! the end. Messages that are due in the same millisecond come in the order of their commits.
//!
//! # Copies
//!
//! [`Kv::export`] writes one snapshot while others write, in a documented format with checksums, and
//! [`Kv::import`] brings it back: verified as a whole, and in one commit. Entries can keep their
//! versionstamps. Messages are not copied.
//!
//! # Limits
//!
//! Those of Deno KV ([`Limits`]), each of them to be changed by [`Kv::builder`]. What is refused is
//! refused by an [`Error`] that names the limit and the value.
//!
//! # What it is not
//!
//! Durable, or distributed.

#[cfg(loom)]
compile_error!("the models live in loom-tests: run `cargo models`");

mod atomic_op;
mod backlog;
mod blocking;
mod builder;
mod changes;
mod clock;
mod copy;
mod delivery;
#[cfg(feature = "denokv")]
pub mod denokv;
mod engine;
mod entry;
mod error;
mod evictions;
mod expiry;
mod flight;
mod histogram;
mod index;
mod key;
mod kv;
mod limits;
mod list;
mod listener;
mod load;
mod message;
#[cfg(feature = "metrics")]
mod metrics;
mod moment;
mod mvcc;
mod policy;
mod queue;
mod range_watch;
mod retry;
mod snapshot;
mod staged;
mod stats;
mod sum;
mod sync;
mod transaction;
#[cfg(feature = "serde")]
mod typed;
mod update;
mod value;
mod version;
mod watch;

pub use atomic_op::{AtomicOp, Outcome};
pub use blocking::Blocking;
pub use builder::{Builder, OnLimit};
pub use changes::{ChangeEvent, ChangeKind, ChangeStream, ChangesFrom, CommitChanges};
pub use clock::{Clock, ManualClock, SystemClock};
pub use copy::{Exported, ImportExpiry, ImportOptions, Imported};
pub use delivery::Delivery;
pub use engine::eviction::EvictionReason;
pub use entry::{Entry, EntryRef};
pub use error::{Error, ErrorKind, Result};
pub use evictions::{Eviction, EvictionEvent, Evictions};
pub use histogram::{Histogram, Latencies};
pub use key::{BigInt, Cursor, Key, KeyPart, Range};
pub use kv::{Deleted, Kv};
pub use limits::Limits;
pub use list::{Entries, Keys, List};
pub use listener::{Listener, Messages};
pub use load::{LoadError, Loading};
pub use message::Message;
#[cfg(feature = "metrics")]
pub use metrics::Metrics;
pub use queue::{Queue, QueueStats};
pub use range_watch::{Changed, RangeChange, RangeWatch};
pub use retry::{AbortReason, RetryPolicy, Transacted};
pub use snapshot::Snapshot;
pub use stats::Stats;
pub use sum::Sum;
pub use transaction::{TrackedList, Transaction};
#[cfg(feature = "serde")]
pub use typed::js;
pub use update::{Update, Updates};
pub use value::{NewValue, Value, ValueKind, ValueRef};
pub use version::{ParseVersionstampError, Versionstamp};
pub use watch::{Emission, Watch};

#[cfg(simulated)]
#[doc(hidden)]
pub use sync::{Planted, stepped as simulation};
