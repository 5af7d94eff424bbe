//! Read, decide, write, and again if somebody was faster.

use crate::engine::commit::Outcome;
use crate::engine::reserve;
use crate::engine::write::{Check, Expect, Mutation, Op, Write};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::Key;
use crate::kv::Kv;
use crate::retry::{AbortReason, Attempt, Transacted, retry};
use crate::value::NewValue;
use crate::version::Versionstamp;
use smallvec::{SmallVec, smallvec};
use std::time::Duration;

/// What is to become of an entry: what the closure of [`Kv::update`] returns.
#[derive(Debug)]
pub struct Update(pub(crate) Kind);

#[derive(Debug)]
pub(crate) enum Kind {
    Keep,
    Set(NewValue<'static>),
    Touch(Expiry),
    Delete,
    Abort(AbortReason),
    Fail(Error),
}

impl Update {
    /// Leave it as it is. It keeps its version.
    pub fn keep() -> Self {
        Self(Kind::Keep)
    }

    /// Set it to this value. To keep when it expires, give it a value with
    /// [`keep_expiry`](NewValue::keep_expiry) (X04).
    pub fn set<'v>(value: impl Into<NewValue<'v>>) -> Self {
        Self(Kind::Set(value.into().into_owned()))
    }

    /// Change when it expires, and nothing else: so long after the commit, or never (`None`).
    pub fn touch(expire_in: impl Into<Option<Duration>>) -> Self {
        let expiry = Expiry::after(expire_in.into());
        Self(Kind::Touch(expiry))
    }

    /// Delete it.
    pub fn delete() -> Self {
        Self(Kind::Delete)
    }

    /// Change nothing at all, and tell the caller why: [`Transacted::Aborted`].
    pub fn abort(reason: impl Into<AbortReason>) -> Self {
        Self(Kind::Abort(reason.into()))
    }
}

impl From<Result<Self>> for Update {
    /// An error ends the update, and is returned from it unchanged.
    fn from(result: Result<Self>) -> Self {
        result.unwrap_or_else(|error| Self(Kind::Fail(error)))
    }
}

/// What is to become of several entries: what the closure of [`Kv::update_many`] returns. One
/// [`Update`] for each, in the order of the keys.
#[derive(Debug)]
pub struct Updates(pub(crate) SmallVec<[Update; 1]>);

impl From<Vec<Update>> for Updates {
    fn from(updates: Vec<Update>) -> Self {
        Self(updates.into())
    }
}

impl<const N: usize> From<[Update; N]> for Updates {
    fn from(updates: [Update; N]) -> Self {
        Self(updates.into_iter().collect())
    }
}

impl From<Update> for Updates {
    /// The only one; or an abort, whatever the number of entries.
    fn from(update: Update) -> Self {
        Self(smallvec![update])
    }
}

impl<C: Into<Self>> From<Result<C>> for Updates {
    /// An error ends the update, and is returned from it unchanged.
    fn from(result: Result<C>) -> Self {
        match result {
            Ok(updates) => updates.into(),
            Err(error) => Update(Kind::Fail(error)).into(),
        }
    }
}

impl Kv {
    /// Reads a key, lets `decide` say what is to become of it, and commits that if the key is still
    /// as it was read; otherwise reads again, and so on, by the [`RetryPolicy`](crate::RetryPolicy).
    ///
    /// `decide` is shown the entry, which may be [missing](Entry::is_missing), and can be called
    /// several times: it should have no effect but its result.
    /// Writes only what changed: [`Update::keep`] commits nothing.
    ///
    /// ```
    /// use kvick::{Update, Kv};
    ///
    /// let kv = Kv::new();
    /// let add_one = |entry: &kvick::Entry| Update::set(entry.as_u64().unwrap_or(0) + 1);
    /// assert!(kv.update(("users", "Shona"), add_one)?.is_committed());
    /// assert_eq!(kv.get(("users", "Shona"))?.as_u64(), Some(1));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error that `decide` returns, unchanged; `KeyEmpty`, `KeyTooLarge`, `ValueTooLarge`,
    /// `TotalTooLarge`, `TotalKeysTooLarge`; `InvalidExpiry`; `OutOfMemory`; `ReadOnly`; `Closed`.
    /// Nothing has changed then.
    pub fn update<C: Into<Update>>(
        &self,
        key: impl Into<Key>,
        mut decide: impl FnMut(&Entry) -> C,
    ) -> Result<Transacted<()>> {
        let key = [key.into()];
        self.update_keys(&key, |entries| match entries {
            [entry] => decide(entry).into().into(),
            _ => Updates(SmallVec::new()),
        })
    }

    /// Like [`update`](Self::update), of several keys, all read at one moment and committed
    /// together. Every key that was read is checked, also those that are kept or missing.
    ///
    /// There is no limit to the number of keys that are read.
    ///
    /// ```
    /// use kvick::{Update, Kv};
    ///
    /// let kv = Kv::new();
    /// kv.set("alice", 100u64)?;
    /// let moved = kv.update_many(["alice", "bob"], |read| {
    ///     let (Some(alice), bob) = (read[0].as_u64(), read[1].as_u64().unwrap_or(0)) else {
    ///         return vec![Update::abort("alice has no account")];
    ///     };
    ///     vec![Update::set(alice - 10), Update::set(bob + 10)]
    /// })?;
    /// assert!(moved.is_committed());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`update`](Self::update); `TooManyMutations`; `InvalidUpdate` where there is not
    /// one update for each key.
    pub fn update_many<K: Into<Key>, C: Into<Updates>>(
        &self,
        keys: impl IntoIterator<Item = K>,
        mut decide: impl FnMut(&[Entry]) -> C,
    ) -> Result<Transacted<()>> {
        let keys: Vec<Key> = keys.into_iter().map(Into::into).collect();
        self.update_keys(&keys, |entries| decide(entries).into())
    }

    fn update_keys(
        &self,
        keys: &[Key],
        mut decide: impl FnMut(&[Entry]) -> Updates,
    ) -> Result<Transacted<()>> {
        let engine = self.writer()?;
        for key in keys {
            engine.limits().check_key_write(key.as_bytes().len())?;
        }
        retry(engine, self.retry_policy(), |attempt| {
            let mut entries = SmallVec::<[Entry; 1]>::new();
            reserve(&mut entries, keys.len())?;
            engine.newest_many(keys.iter(), |key, hit| {
                entries.push(Entry::new(key.clone(), hit));
            });
            let Updates(updates) = decide(&entries);
            let mut write = Write::new();
            let update_count = updates.len();
            // Every update is looked at, also one that has no key: it may be an abort.
            for (index, update) in updates.into_iter().enumerate() {
                let op = match update.0 {
                    Kind::Keep => continue,
                    Kind::Set(value) => Op::Set(value),
                    Kind::Touch(expiry) => Op::Touch(expiry),
                    Kind::Delete => Op::Delete,
                    Kind::Abort(reason) => {
                        return Ok(Attempt::Aborted(reason, entries.into_vec()));
                    }
                    Kind::Fail(error) => return Err(error),
                };
                if let Some(key) = keys.get(index).cloned() {
                    // Not before: what gives up, or changes nothing, needs no room.
                    write.reserve(0, keys.len() - index)?;
                    write.mutations.push(Mutation { key, op });
                }
            }
            if update_count != keys.len() {
                return Err(Error::invalid_update(update_count, keys.len()));
            }
            if write.mutations.is_empty() {
                return Ok(Attempt::Committed((), None));
            }
            write.reserve(entries.len(), 0)?;
            write.checks.extend(entries.iter().map(as_read));
            Ok(
                match self.writer()?.commit_tracked_timed(&write, None, attempt)? {
                    Outcome::Committed(effects) => {
                        Attempt::Committed((), Some(effects.stamp.into()))
                    }
                    Outcome::Conflict(_) => Attempt::Conflict,
                },
            )
        })
    }
}

/// The check that an entry is still as it was read.
fn as_read(entry: &Entry) -> Check {
    let stamp = entry.versionstamp().and_then(Versionstamp::stamp);
    Check {
        key: entry.key().clone(),
        expect: stamp.map_or(Expect::Absent, Expect::At),
    }
}
