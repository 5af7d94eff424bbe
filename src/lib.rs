//! kvick
#[cfg(loom)]
compile_error!("the models live in loom-tests: run `cargo models`");

mod atomic_op;
mod builder;
mod clock;
mod engine;
mod entry;
mod error;
mod index;
mod key;
mod kv;
mod limits;
mod list;
mod mvcc;
mod retry;
mod snapshot;
mod stats;
mod sync;
mod transaction;
mod update;
mod value;
mod version;

pub use atomic_op::{AtomicOp, Outcome};
pub use builder::Builder;
pub use clock::{Clock, ManualClock, SystemClock};
pub use entry::{Entry, EntryRef};
pub use error::{Error, ErrorKind, Result};
pub use key::{BigInt, Cursor, Key, KeyPart, Range};
pub use kv::{Deleted, Kv};
pub use limits::Limits;
pub use list::{Entries, Keys, List};
pub use retry::{AbortReason, RetryPolicy, Transacted};
pub use snapshot::Snapshot;
pub use stats::Stats;
pub use transaction::{TrackedList, Transaction};
pub use update::{Change, Changes};
pub use value::{NewValue, Value, ValueKind, ValueRef};
pub use version::{ParseVersionstampError, Versionstamp};
