//! Read, decide, write, and again if somebody was faster.

use super::client::Client;
use super::wire;
use crate::engine::write::{Mutation, Op, Write};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::Key;
use crate::retry::{AbortReason, Attempt, RetryPolicy, Transacted};
use crate::update::{Kind, Update, Updates};
use crate::value::NewValue;
use crate::version::Versionstamp;
use denokv_proto::{Consistency, Database};
use smallvec::SmallVec;
use std::time::Duration;

/// What the updates come to.
enum Decided {
    Write(Vec<Mutation<'static>>),
    Abort(AbortReason),
}

impl<D: Database> Client<D> {
    /// Reads a key, lets `decide` say what is to become of it, and commits that if the key is still
    /// as it was read; otherwise reads again, and so on, by the [`RetryPolicy`].
    ///
    /// `decide` is shown the entry, which may be [missing](Entry::is_missing), and can be called
    /// several times: it should have no effect but its result.
    /// Writes only what changed: [`Update::keep`] commits nothing. [`Update::touch`] sets the entry again,
    /// as it was read.
    ///
    /// An attempt is two calls of the database. It is made again at once; nobody is given a turn, as
    /// [`Kv::update`](crate::Kv::update) does, so where many change one key at once over a network, say in the policy
    /// when to stop.
    ///
    /// ```
    /// use kvick::{Kv, Update, denokv::Client};
    ///
    /// let client = Client::new(Kv::new());
    /// # futures_lite::future::block_on(async {
    /// let add_one = |entry: &kvick::Entry| Update::set(entry.as_u64().unwrap_or(0) + 1);
    /// assert!(client.update(("users", "Shona"), add_one).await?.is_committed());
    /// assert_eq!(client.get(("users", "Shona")).await?.as_u64(), Some(1));
    /// # Ok::<(), kvick::Error>(())
    /// # })?;
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error that `decide` returns, unchanged; those of [`AtomicOp::commit`](crate::AtomicOp#method.commit-1).
    pub async fn update<C: Into<Update>>(
        &self,
        key: impl Into<Key>,
        mut decide: impl FnMut(&Entry) -> C,
    ) -> Result<Transacted<()>> {
        let key = [key.into()];
        self.update_keys(&key, |entries| match entries {
            [entry] => decide(entry).into().into(),
            _ => Updates(SmallVec::new()),
        })
        .await
    }

    /// Like [`update`](Self::update), of several keys, committed together. Every key that was read is checked,
    /// also those that are kept or missing.
    ///
    /// Up to [`ranges_max`](crate::Limits::ranges_max) keys are read at one moment. Of more, `decide` may be shown
    /// some as they were before a commit and others as they are after it; nothing comes of what it says then,
    /// but that it is asked again.
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update); `TooManyChecks` of more keys than an operation may check;
    /// `TooManyMutations`; `InvalidUpdate` where there is not one update for each key.
    pub async fn update_many<K: Into<Key>, C: Into<Updates>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        mut decide: impl FnMut(&[Entry]) -> C,
    ) -> Result<Transacted<()>> {
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        self.update_keys(&keys, |entries| decide(entries).into())
            .await
    }

    /// Changes when a key expires, and nothing else: so long after this commit, or never (`None`). The
    /// version that the entry has now; `None` where the key is missing, and then nothing has
    /// changed.
    ///
    /// The protocol has no such thing, so the entry is read, and set again, if it is still the same: an
    /// [`update`](Self::update) that is tried for as long as it takes.
    ///
    /// # Errors
    ///
    /// `KeyEmpty`, `KeyTooLarge`, `InvalidExpiry`; those of the database.
    pub async fn touch(
        &self,
        key: impl Into<Key>,
        expire_in: impl Into<Option<Duration>>,
    ) -> Result<Option<Versionstamp>> {
        let expire_in = expire_in.into();
        let patient = self.with_retry(RetryPolicy::default());
        match patient.update(key, |_| Update::touch(expire_in)).await? {
            Transacted::Committed { versionstamp, .. } => Ok(versionstamp),
            Transacted::Aborted { .. } | Transacted::Exhausted { .. } => {
                unreachable!("it is tried for as long as it takes, and never given up")
            }
        }
    }

    async fn update_keys(
        &self,
        keys: &[Key],
        mut decide: impl FnMut(&[Entry]) -> Updates,
    ) -> Result<Transacted<()>> {
        let limits = self.limits();
        limits.check_checks(keys.len())?;
        for key in keys {
            limits.check_key_write(key.as_bytes().len())?;
        }
        self.retry(async || {
            let mut entries = Vec::with_capacity(keys.len());
            for keys in keys.chunks(self.keys_at_once()) {
                entries.extend(self.read_keys(keys, Consistency::Strong).await?);
            }
            let is_of_one_moment = keys.len() <= self.keys_at_once();
            match decided(decide(&entries), &entries)? {
                Decided::Write(mutations) if mutations.is_empty() => {
                    if is_of_one_moment || self.is_unchanged(&entries).await? {
                        Ok(Attempt::Committed((), None))
                    } else {
                        Ok(Attempt::Conflict)
                    }
                }
                Decided::Write(mutations) => {
                    let mut write = Write::new();
                    write.mutations.extend(mutations);
                    for entry in &entries {
                        wire::check_as_read(&mut write, entry);
                    }
                    Ok(match self.commit(&write).await? {
                        Some(versionstamp) => Attempt::Committed((), Some(versionstamp)),
                        None => Attempt::Conflict,
                    })
                }
                Decided::Abort(reason) => {
                    if is_of_one_moment || self.is_unchanged(&entries).await? {
                        Ok(Attempt::Aborted(reason, entries))
                    } else {
                        Ok(Attempt::Conflict)
                    }
                }
            }
        })
        .await
    }

    /// How many keys one read may have.
    pub(super) fn keys_at_once(&self) -> usize {
        let limits = self.limits();
        limits.ranges_max.min(limits.entries_max).max(1)
    }

    /// Whether all of these are as they were read: then that is how they were at one moment. It takes a commit
    /// of checks alone, which mints a version.
    pub(super) async fn is_unchanged(&self, entries: &[Entry]) -> Result<bool> {
        let mut write = Write::new();
        for entry in entries {
            wire::check_as_read(&mut write, entry);
        }
        Ok(self.commit(&write).await?.is_some())
    }
}

fn decided(Updates(updates): Updates, entries: &[Entry]) -> Result<Decided> {
    let mut mutations = Vec::new();
    let update_count = updates.len();
    // Every update is looked at, also one that has no key: it may be an abort.
    for (index, update) in updates.into_iter().enumerate() {
        let entry = entries.get(index);
        let op = match update.0 {
            Kind::Keep => None,
            Kind::Set(value) => Some(Op::Set(value)),
            Kind::Touch(expiry) => entry.and_then(|entry| as_touched(entry, expiry)),
            Kind::Delete => Some(Op::Delete),
            Kind::Abort(reason) => return Ok(Decided::Abort(reason)),
            Kind::Fail(error) => return Err(error),
        };
        if let (Some(entry), Some(op)) = (entry, op) {
            let key = entry.key().clone();
            mutations.push(Mutation { key, op });
        }
    }
    if update_count == entries.len() {
        Ok(Decided::Write(mutations))
    } else {
        Err(Error::invalid_update(update_count, entries.len()))
    }
}

/// Sets an entry to what it is, with another expiry; one that is missing stays so.
fn as_touched(entry: &Entry, expiry: Expiry) -> Option<Op<'static>> {
    let value = NewValue::from(entry.value()?);
    Some(Op::Set(value.with_expiry(expiry)))
}
