//! Deno's trait of databases: kvick is one, and a client runs on any (feature `denokv`).
//!
//! `denokv_proto` has a trait, [`Database`], for whatever can be under Deno KV.
//! [`Kv`](crate::Kv) implements it, so it goes wherever such a database is asked for.
//!
//! The other way round, a [`Client`] runs operations on any such database: an embedded `Kv`,
//! `denokv_sqlite`, or `denokv_remote`, which speaks KV Connect to the hosted service or to a server of
//! one's own. Keys, values, ranges and atomic operations are the same plain data on all of them, and the
//! methods have the names that they have in `Kv`. A program that outgrows one machine changes its
//! constructor.
//!
//! ```
//! use kvick::denokv::{Client, Database};
//! use kvick::{Kv, Result};
//!
//! /// Runs on any database.
//! async fn deposit<D: Database>(client: &Client<D>, account: &str, amount: u64) -> Result<()> {
//!     let mut deposit = client.atomic();
//!     deposit.sum(("account", account), amount).set_versionstamped("log", account.as_bytes());
//!     deposit.commit().await?;
//!     Ok(())
//! }
//!
//! let kv = Kv::new();
//! let client = Client::new(kv.clone());
//! # futures_lite::future::block_on(async {
//! deposit(&client, "alice", 10).await?;
//! assert_eq!(client.get(("account", "alice")).await?.as_u64(), Some(10));
//! # Ok::<(), kvick::Error>(())
//! # })?;
//! assert_eq!(kv.get(("account", "alice"))?.as_u64(), Some(10));
//! # Ok::<(), kvick::Error>(())
//! ```
//!
//! # What a client does not have
//!
//! The protocol cannot say some of what `Kv` can, and a client does not have it: snapshots that stay, lists
//! of one moment beyond one batch, transactions that conflict over ranges, range deletions that are one
//! commit, checks that a key exists or is not newer, the entry that a sum led to, how long an entry still
//! has, named queues, loading, changes in order, copies. What it can say in another way is said so: to
//! [touch](Client::touch) an entry is to read it, and set it again if it is still the same.
//!
//! # Threads and runtimes
//!
//! Nothing here needs a runtime or a timer; what the database itself needs is another matter
//! (`denokv_remote` and `denokv_sqlite` need Tokio). The trait promises no `Send` for its futures, so those of a
//! client are not `Send` either: they run on the thread that they are made on, by `block_on`, in a
//! single-threaded runtime or in a `LocalSet`. The client itself can be sent and shared where the database
//! can.

mod atomic_op;
mod client;
mod database;
mod delete;
mod entries;
mod error;
mod list;
mod listener;
mod message;
mod payload;
mod retry;
mod transaction;
#[cfg(feature = "serde")]
mod typed;
mod update;
mod watch;
mod wire;
mod write;

pub use self::client::Client;
pub use self::entries::Entries;
pub use self::list::List;
pub use self::listener::{Listener, Message};
pub use self::message::MessageHandle;
pub use self::transaction::Transaction;
pub use self::watch::Watch;
pub use denokv_proto::{Database, QueueMessageHandle};
