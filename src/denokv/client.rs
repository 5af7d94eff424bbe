//! The client, and what it does with one key or one commit.

use super::list::List;
use super::listener::Listener;
use super::{wire, write};
use crate::atomic_op::AtomicOp;
use crate::clock::{Clock, SystemClock};
use crate::delivery::Delivery;
use crate::engine::write::{Enqueue, Mutation, Op, Write};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::key::{Key, Range};
use crate::kv::check_read;
use crate::limits::{Limits, SingleLimits};
use crate::retry::RetryPolicy;
use crate::sum::Sum;
use crate::value::NewValue;
use crate::version::Versionstamp;
use denokv_proto::{Consistency, Database, ReadRange, ReadRangeOutput, SnapshotReadOptions};
use std::fmt;
use std::sync::Arc;

/// Runs operations on any database of Deno KV's, by the names and with the types of a [`Kv`](crate::Kv).
///
/// It has the database, and is as cheap to clone as that. Clones differ in what is said of them alone: their
/// [limits](Self::with_limits), [retries](Self::with_retry), [clock](Self::with_clock) and
/// [consistency](Self::eventual).
///
/// What goes beyond the [limits](Limits) is refused here, before anything is sent. Where nothing else is
/// said, an operation is one call of the database: over a network, one round trip.
///
/// ```
/// use kvick::denokv::Client;
/// use kvick::{Kv, Outcome};
///
/// let client = Client::new(Kv::new());
/// # futures_lite::future::block_on(async {
/// client.set(("account", "alice"), 100u64).await?;
///
/// let alice = client.get(("account", "alice")).await?;
/// let mut transfer = client.atomic();
/// transfer
///     .check(&alice)
///     .sum(("account", "alice"), 10u64.wrapping_neg())
///     .sum(("account", "bob"), 10);
/// assert!(matches!(transfer.commit().await?, Outcome::Committed { .. }));
/// assert!(matches!(transfer.commit().await?, Outcome::Conflict { .. }), "alice has changed");
/// # Ok::<(), kvick::Error>(())
/// # })?;
/// # Ok::<(), kvick::Error>(())
/// ```
///
/// # Errors
///
/// Those of the same operation of a `Kv`, of the same [kinds](crate::ErrorKind), whatever the database is: an error
/// of the database's is known by the text that Deno gives it. One that is not known is
/// [`Backend`](crate::ErrorKind::Backend). A write that has failed so may have been committed all the same, where the
/// answer was lost. [`Unsupported`](crate::ErrorKind::Unsupported) is what the protocol cannot say.
#[derive(Clone)]
pub struct Client<D> {
    database: D,
    limits: Limits,
    retry: RetryPolicy,
    clock: Arc<dyn Clock>,
    consistency: Consistency,
}

impl<D> fmt::Debug for Client<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("limits", &self.limits)
            .field("retry", &self.retry)
            .field("consistency", &self.consistency)
            .finish_non_exhaustive()
    }
}

impl<D: Database> Client<D> {
    /// A client of a database: with the limits of Deno, retries for as long as it takes, the clock of the
    /// system, and reads that are strongly consistent.
    pub fn new(database: D) -> Self {
        Self {
            database,
            limits: Limits::default(),
            retry: RetryPolicy::default(),
            clock: Arc::new(SystemClock),
            consistency: Consistency::Strong,
        }
    }

    /// A client of the same database with other limits: lower ones, where the database has such, or
    /// higher ones, where it takes more than Deno does.
    #[must_use]
    pub fn with_limits(&self, limits: Limits) -> Self {
        let limits = limits.clamped();
        Self {
            limits,
            ..self.clone()
        }
    }

    /// A client of the same database that retries [transactions](Self::transact) and
    /// [updates](Self::update) by another policy.
    #[must_use]
    pub fn with_retry(&self, retry: RetryPolicy) -> Self {
        Self {
            retry,
            ..self.clone()
        }
    }

    /// A client of the same database by another clock. By its [wall clock](Clock::wall_time), entries
    /// expire and messages are due at an instant that is so far ahead; by the other, retries have their
    /// deadline.
    #[must_use]
    pub fn with_clock(&self, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            ..self.clone()
        }
    }

    /// A client of the same database whose reads may be behind, where the database has replicas that are.
    /// Updates and transactions read what is newest all the same.
    #[must_use]
    pub fn eventual(&self) -> Self {
        Self {
            consistency: Consistency::Eventual,
            ..self.clone()
        }
    }

    /// The database.
    pub fn database(&self) -> &D {
        &self.database
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(super) fn retry_policy(&self) -> &RetryPolicy {
        &self.retry
    }

    pub(super) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }

    /// Closes the database for all of its clients. What it does then, and whether it can be closed again, is
    /// the database's affair: a `Kv` ends as [`Kv::close`](crate::Kv::close) says, `denokv_sqlite` panics where
    /// it is closed twice, and `denokv_remote` does nothing.
    pub fn close(&self) {
        self.database.close();
    }

    /// Reads one key.
    ///
    /// How long the entry still has is not told: [`Entry::expires_in`] is `None`.
    ///
    /// # Errors
    ///
    /// `KeyTooLarge`; those of the database.
    pub async fn get(&self, key: impl Into<Key>) -> Result<Entry> {
        let key = key.into();
        let entries = self.read_keys(&[key], self.consistency).await?;
        let entry = entries.into_iter().next();
        entry.ok_or_else(|| Error::unexpected("no range"))
    }

    /// Reads several keys, all at one moment: no commit is seen in part (R03).
    ///
    /// The entries come in the order of the keys, one for each, duplicates included (R02).
    ///
    /// # Errors
    ///
    /// `TooManyRanges` beyond [`ranges_max`](Limits::ranges_max) keys; `KeyTooLarge`; those of the database.
    pub async fn get_many<K: Into<Key>>(
        &self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Entry>> {
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        self.read_keys(&keys, self.consistency).await
    }

    /// Selects entries by range, in the order of their keys. A key stands for the prefix: what
    /// lies below it.
    ///
    /// Nothing is read until one of the methods of [`List`] asks for it.
    pub fn list(&self, range: impl Into<Range>) -> List<'_, D> {
        List::new(self, range.into())
    }

    /// Sets a key, whatever it held. The version that the entry has now.
    ///
    /// One that is to [expire](NewValue::expire_in) does so at an instant, by the clocks of this client and of the
    /// database: as far apart as these are, it is early or late. Databases differ in how long they show an
    /// entry that has expired.
    ///
    /// # Errors
    ///
    /// `KeyEmpty`, `KeyTooLarge`, `ValueTooLarge`, `TotalTooLarge`, `TotalKeysTooLarge`; `InvalidExpiry`;
    /// `Unsupported` of a value that is to [keep](NewValue::keep_expiry) an expiry; those of the database.
    pub async fn set<'v>(
        &self,
        key: impl Into<Key>,
        value: impl Into<NewValue<'v>>,
    ) -> Result<Versionstamp> {
        self.mutate(key.into(), Op::Set(value.into())).await
    }

    /// Sets a key that ends in the version of this very commit, which is returned:
    /// [`AtomicOp::set_versionstamped`].
    ///
    /// # Errors
    ///
    /// Those of [`set`](Self::set), for the whole key.
    pub async fn set_versionstamped<'v>(
        &self,
        prefix: impl Into<Key>,
        value: impl Into<NewValue<'v>>,
    ) -> Result<Versionstamp> {
        let mut write = Write::new();
        write.push_versionstamped(&prefix.into(), Op::Set(value.into()));
        self.commit_unchecked(&write).await
    }

    /// Deletes a key. That it was not there is no error, and mints a version all the same (A09).
    ///
    /// # Errors
    ///
    /// `KeyEmpty`, `KeyTooLarge`; those of the database.
    pub async fn delete(&self, key: impl Into<Key>) -> Result<Versionstamp> {
        self.mutate(key.into(), Op::Delete).await
    }

    /// Adds to a `u64`, modulo 2^64, as [`AtomicOp::sum`] does. The version of the sum.
    ///
    /// A `Kv` gives the sum itself, and the protocol cannot: it takes a read, or an
    /// [`update`](Self::update), which knows what it has set.
    ///
    /// # Errors
    ///
    /// `TypeMismatch` if the key holds anything else; `KeyEmpty`, `KeyTooLarge`, `TotalTooLarge`,
    /// `TotalKeysTooLarge`; those of the database.
    pub async fn sum(&self, key: impl Into<Key>, operand: u64) -> Result<Versionstamp> {
        self.mutate(key.into(), Op::Sum(operand)).await
    }

    /// Adds a number or bigint of JavaScript, within bounds if there are any, as
    /// [`AtomicOp::sum_with`] does.
    ///
    /// # Errors
    ///
    /// Those of [`sum`](Self::sum); `SumOutOfRange`, `ValueTooLarge`; `Unsupported` where the sum is to
    /// expire, or to keep an expiry.
    pub async fn sum_with<'v>(
        &self,
        key: impl Into<Key>,
        sum: impl Into<Sum<'v>>,
    ) -> Result<Versionstamp> {
        self.mutate(key.into(), sum.into().into_op()).await
    }

    /// Lowers a `u64` to the operand if that is smaller, as [`AtomicOp::min`] does.
    ///
    /// # Errors
    ///
    /// Those of [`sum`](Self::sum).
    pub async fn min(&self, key: impl Into<Key>, operand: u64) -> Result<Versionstamp> {
        self.mutate(key.into(), Op::Min(operand)).await
    }

    /// Raises a `u64` to the operand if that is larger, as [`AtomicOp::max`] does.
    ///
    /// # Errors
    ///
    /// Those of [`sum`](Self::sum).
    pub async fn max(&self, key: impl Into<Key>, operand: u64) -> Result<Versionstamp> {
        self.mutate(key.into(), Op::Max(operand)).await
    }

    /// Enqueues a message: it is delivered, at least once, to a [listener](Self::listen), where the database
    /// has queues. The version of the commit.
    ///
    /// The protocol carries what V8 serialises. Bytes become a `Uint8Array`, and are bytes again to a
    /// listener of a client; a `u64` becomes a bigint. There is one queue, which has no name.
    ///
    /// # Errors
    ///
    /// `InvalidEnqueue`; `KeyEmpty`, `KeyTooLarge` of the keys if undelivered (K09); `TotalTooLarge`;
    /// `Unsupported` of a queue with a name, and where the database takes no messages, as KV Connect does
    /// not; those of the database.
    pub async fn enqueue<'v>(
        &self,
        payload: impl Into<NewValue<'v>>,
        delivery: Delivery,
    ) -> Result<Versionstamp> {
        let mut write = Write::new();
        write.enqueue([Enqueue::new(payload.into(), delivery)]);
        self.commit_unchecked(&write).await
    }

    /// Begins an atomic operation: checks, then mutations, all or nothing.
    ///
    /// It is built by the methods that every [`AtomicOp`] has, and committed by
    /// [`commit`](AtomicOp#method.commit-1).
    pub fn atomic(&self) -> AtomicOp<'_, Self> {
        AtomicOp::new(self)
    }

    /// Listens for the messages of the queue.
    pub fn listen(&self) -> Listener<'_, D> {
        Listener::new(self)
    }

    async fn mutate(&self, key: Key, op: Op<'_>) -> Result<Versionstamp> {
        let mut write = Write::new();
        write.mutations.push(Mutation { key, op });
        self.commit_unchecked(&write).await
    }

    /// Commits what has no checks that could fail.
    async fn commit_unchecked(&self, write: &Write<'_>) -> Result<Versionstamp> {
        let committed = self.commit(write).await?;
        committed.ok_or_else(|| Error::unexpected("a check has failed, and there was none"))
    }

    /// Commits; `None` where a check has failed.
    pub(super) async fn commit(&self, write: &Write<'_>) -> Result<Option<Versionstamp>> {
        write.check_limits(&self.limits, SingleLimits::NONE)?;
        let write = write::atomic_write(write, self.clock.wall_time())?;
        let committed = self.database.atomic_write(write).await;
        let committed = committed.map_err(Error::from_database)?;
        Ok(committed.map(|commit| Versionstamp::from_bytes(commit.versionstamp)))
    }

    pub(super) fn read_options(&self) -> SnapshotReadOptions {
        let consistency = self.consistency;
        SnapshotReadOptions { consistency }
    }

    /// Reads keys at one moment, no more than one read may have.
    pub(super) async fn read_keys(
        &self,
        keys: &[Key],
        consistency: Consistency,
    ) -> Result<Vec<Entry>> {
        check_read(keys, &self.limits)?;
        self.limits.check_entries(keys.len())?;
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let ranges: Vec<ReadRange> = keys.iter().map(wire::range_of_one).collect();
        let options = SnapshotReadOptions { consistency };
        let outputs = self.database.snapshot_read(ranges, options);
        let outputs = outputs.await.map_err(Error::from_database)?;
        if outputs.len() != keys.len() {
            return Err(Error::unexpected("not as many ranges as were asked for"));
        }
        let entries = keys.iter().zip(outputs);
        let entry = |(key, output): (&Key, ReadRangeOutput)| {
            wire::entry_of(key, output.entries.into_iter().next())
        };
        entries.map(entry).collect()
    }
}
