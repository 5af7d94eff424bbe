//! Transactions over single keys: any reads of them, then any writes, serializable.

use super::client::Client;
use super::wire;
use crate::engine::preview::preview;
use crate::engine::write::Write;
use crate::entry::Entry;
use crate::error::Result;
use crate::key::{Key, KeyMap};
use crate::moment::TimeLeft;
use crate::retry::{AbortReason, Attempt, Transacted};
use crate::staged::{Staged, stages};
use crate::value::Value;
use denokv_proto::{Consistency, Database};
use std::fmt;

/// One attempt at a transaction: what the closure of [`Client::transact`] is given.
///
/// Each read is tracked, what was missing included: if anything of it has changed by the time of the commit,
/// the attempt conflicts and the closure is called again. A key is read once, and is the same whenever it is read
/// again. Writes are kept back until the commit; reads see them.
///
/// There are no lists here, as there are in a [`Transaction`](crate::Transaction) of a `Kv`. The protocol checks keys
/// and not ranges: that an entry has *appeared* could not be told. Where a transaction depends on a range, have
/// whoever changes the range also change one key that stands for it, and read that.
pub struct Transaction<'a, D> {
    client: &'a Client<D>,
    /// As they were read.
    reads: KeyMap<Entry>,
    /// How many moments these are of.
    moments: usize,
    staged: Staged,
    aborted: Option<AbortReason>,
}

impl<D> fmt::Debug for Transaction<'_, D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("reads", &self.reads.len())
            .field("writes", &self.staged.writes.len())
            .field("versionstamped", &self.staged.versionstamped.len())
            .field("enqueues", &self.staged.enqueues.len())
            .finish_non_exhaustive()
    }
}

impl<'a, D: Database> Transaction<'a, D> {
    fn new(client: &'a Client<D>) -> Self {
        Self {
            client,
            reads: KeyMap::new(),
            moments: 0,
            staged: Staged::new(),
            aborted: None,
        }
    }

    /// Reads one key. Several are better read by [`get_many`](Self::get_many), in one call of the database and at one
    /// moment.
    ///
    /// # Errors
    ///
    /// `KeyEmpty`, `KeyTooLarge`: what is read is checked, so the limit is that of a check;
    /// `TypeMismatch`, `SumOutOfRange`, `ValueTooLarge` where a sum of the transaction's does not fit
    /// what it is to be added to; those of the database.
    pub async fn get(&mut self, key: impl Into<Key>) -> Result<Entry> {
        let key = [key.into()];
        self.read(&key).await?;
        let [key] = key;
        self.overlaid(key)
    }

    /// Reads several keys, in the order given: those that were not read before, up to
    /// [`ranges_max`](crate::Limits::ranges_max), at one moment.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub async fn get_many<K: Into<Key>>(
        &mut self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Entry>> {
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        self.read(&keys).await?;
        keys.into_iter().map(|key| self.overlaid(key)).collect()
    }

    stages!();

    /// Reads those of the keys that were not read before.
    async fn read(&mut self, keys: &[Key]) -> Result<()> {
        let limits = self.client.limits();
        for key in keys {
            limits.check_key_write(key.as_bytes().len())?;
        }
        let mut unread: Vec<Key> = Vec::new();
        for key in keys {
            if self.reads.get(key).is_none() && !unread.contains(key) {
                unread.push(key.clone());
            }
        }
        for keys in unread.chunks(self.client.keys_at_once()) {
            let entries = self.client.read_keys(keys, Consistency::Strong).await?;
            self.moments += 1;
            for entry in entries {
                self.reads.insert(entry.key().clone(), entry);
            }
        }
        Ok(())
    }

    /// A key that was read, with what the transaction is about to do to it.
    fn overlaid(&self, key: Key) -> Result<Entry> {
        let Some(read) = self.reads.get(&key) else {
            return Ok(wire::missing(key));
        };
        let ops = self.staged.of(&key);
        if ops.is_empty() {
            return Ok(read.clone());
        }
        let mut value = read.value().cloned();
        for op in ops {
            value = preview(op, value.as_ref().map(Value::as_ref), self.client.limits())?;
        }
        let versionstamp = read.versionstamp();
        Ok(Entry::from_parts(
            key,
            value,
            versionstamp,
            TimeLeft::FOREVER,
        ))
    }

    /// Everything that was read, in the order in which it first was.
    fn entries_read(&self) -> Vec<Entry> {
        self.reads.iter().map(|(_, entry)| entry.clone()).collect()
    }

    /// Whether what was read was so at one moment.
    async fn is_of_one_moment(&self) -> Result<bool> {
        if self.moments <= 1 {
            return Ok(true);
        }
        self.client.is_unchanged(&self.entries_read()).await
    }

    /// Ends the attempt, of which the closure has returned this.
    async fn end<T>(mut self, result: Result<T>) -> Result<Attempt<T>> {
        if let Some(reason) = self.aborted.take() {
            if self.is_of_one_moment().await? {
                return Ok(Attempt::Aborted(reason, self.entries_read()));
            }
            return Ok(Attempt::Conflict);
        }
        let value = result?;
        if self.staged.is_empty() {
            if self.is_of_one_moment().await? {
                return Ok(Attempt::Committed(value, None));
            }
            return Ok(Attempt::Conflict);
        }
        let mut write = Write::new();
        self.staged.write_to(&mut write, self.reads.len())?;
        for (_, entry) in self.reads.iter() {
            wire::check_as_read(&mut write, entry);
        }
        Ok(match self.client.commit(&write).await? {
            Some(versionstamp) => Attempt::Committed(value, Some(versionstamp)),
            None => Attempt::Conflict,
        })
    }
}

impl<D: Database> Client<D> {
    /// Runs a transaction: calls `run` until what it read is still so when it commits.
    ///
    /// `run` can read keys, decide, and write; all of that takes effect at one moment,
    /// as if nothing else had happened meanwhile, or not at all. It can be called several times, by
    /// the [`RetryPolicy`](crate::RetryPolicy), so it should have no effect but what it writes
    /// through the transaction.
    ///
    /// While it runs, what it reads by several calls of the database need not be of one moment. Nothing comes of what
    /// it does then, but that it is called again: also where it aborts, or has nothing to write, what it has read by
    /// several calls is checked, by a commit of its own. Only an error that it returns is returned at once.
    ///
    /// It takes a call for each [`get`](Transaction::get) of a new key, or for each
    /// [`get_many`](Transaction::get_many) of up to ten, and one to commit. At most
    /// [`checks_max`](crate::Limits::checks_max) keys can be read. It is retried as an [`update`](Self::update) is.
    ///
    /// ```
    /// use kvick::{Kv, Transacted, denokv::Client};
    ///
    /// let client = Client::new(Kv::new());
    /// # futures_lite::future::block_on(async {
    /// client.set(("account", "alice"), 5u64).await?;
    /// let moved = client.transact(async |tx| {
    ///     let alice = tx.get(("account", "alice")).await?.as_u64().unwrap_or(0);
    ///     if alice < 10 {
    ///         return tx.abort("insufficient funds");
    ///     }
    ///     tx.set(("account", "alice"), alice - 10);
    ///     tx.sum(("account", "bob"), 10);
    ///     Ok(())
    /// });
    /// match moved.await? {
    ///     Transacted::Aborted { reason, .. } => assert_eq!(reason.to_string(), "insufficient funds"),
    ///     _ => unreachable!("alice has 5"),
    /// }
    /// # Ok::<(), kvick::Error>(())
    /// # })?;
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error that `run` returns, unchanged; those of [`AtomicOp::commit`](crate::AtomicOp#method.commit-1), `TooManyChecks` of
    /// more keys than can be checked among them.
    pub async fn transact<T>(
        &self,
        mut run: impl AsyncFnMut(&mut Transaction<'_, D>) -> Result<T>,
    ) -> Result<Transacted<T>> {
        self.retry(async || {
            let mut transaction = Transaction::new(self);
            let result = run(&mut transaction).await;
            transaction.end(result).await
        })
        .await
    }
}
