//! The atomic operation.

use crate::delivery::Delivery;
use crate::engine::commit::Outcome as Committed;
use crate::engine::write::{Check, Enqueue, Expect, Mutation, Op, Write};
use crate::entry::Entry;
use crate::error::Result;
use crate::expiry::Expiry;
use crate::key::Key;
use crate::kv::Kv;
use crate::sum::Sum;
use crate::value::NewValue;
use crate::version::Versionstamp;
use std::iter;
use std::time::Duration;

/// Checks, mutations and messages that take effect together or not at all: [`Kv::atomic`].
///
/// The checks are on the state before the operation, wherever they stand (A04). The mutations
/// apply in order, each seeing those before it. The operation can be committed again; it is then
/// checked again.
///
/// ```
/// use kvick::{Kv, Outcome};
///
/// let kv = Kv::new();
/// kv.set(("account", "alice"), 100u64)?;
/// let alice = kv.get(("account", "alice"))?;
///
/// let outcome = kv
///     .atomic()
///     .check(&alice)
///     .check_absent(("lock", "alice"))
///     .sum(("account", "alice"), 5)
///     .set(("log", 1), "deposit")
///     .commit()?;
/// match outcome {
///     Outcome::Committed { versionstamp } => println!("committed as {versionstamp}"),
///     Outcome::Conflict { failed_checks } => println!("checks {failed_checks:?} failed"),
/// }
/// # Ok::<(), kvick::Error>(())
/// ```
///
/// What it says is plain data, the same for whatever runs it: a [`Kv`], or, with the feature `denokv`, a
/// client of any database of Deno KV's. Each has a `commit` of its own.
#[derive(Clone, Debug)]
#[must_use = "an atomic operation does nothing until `commit`"]
pub struct AtomicOp<'a, T = Kv> {
    pub(crate) target: &'a T,
    pub(crate) write: Write<'a>,
}

/// What an atomic operation came to.
///
/// A failed check is an outcome and not an error: somebody else was faster, and nothing has
/// changed (A02).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a commit whose checks failed has changed nothing"]
pub enum Outcome {
    /// Every check held, and every mutation has taken effect.
    Committed {
        /// The version of everything that the operation wrote. It is larger than that of every
        /// commit that had completed before.
        versionstamp: Versionstamp,
    },
    /// Not every check held.
    Conflict {
        /// The indexes of all checks that failed, in the order they were added (A03). None of an operation
        /// of a client (feature `denokv`), which is not told.
        failed_checks: Vec<usize>,
    },
}

impl Outcome {
    #[expect(
        clippy::inline_always,
        reason = "most of it goes where what it is made of was made"
    )]
    #[inline(always)]
    fn of(outcome: Committed) -> Self {
        match outcome {
            Committed::Committed(effects) => Self::Committed {
                versionstamp: effects.stamp.into(),
            },
            Committed::Conflict(failed) => Self::Conflict {
                failed_checks: failed.into_vec(),
            },
        }
    }

    /// Whether the operation took effect.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed { .. })
    }

    /// The version of what was written, if the operation took effect.
    pub fn versionstamp(&self) -> Option<Versionstamp> {
        match self {
            Self::Committed { versionstamp } => Some(*versionstamp),
            Self::Conflict { .. } => None,
        }
    }
}

impl<'a, T> AtomicOp<'a, T> {
    #[inline]
    pub(crate) fn new(target: &'a T) -> Self {
        Self {
            target,
            write: Write::new(),
        }
    }

    /// The key must be as it was read: of the same version, or still missing (A01). The value is
    /// not compared.
    pub fn check(&mut self, entry: &Entry) -> &mut Self {
        self.write.check(entry.key(), entry.versionstamp());
        self
    }

    /// The key must be of this version.
    pub fn check_versionstamp(
        &mut self,
        key: impl Into<Key>,
        versionstamp: Versionstamp,
    ) -> &mut Self {
        let expect = self.write.expect_at(versionstamp);
        self.expect(key, expect)
    }

    /// The key must be missing.
    pub fn check_absent(&mut self, key: impl Into<Key>) -> &mut Self {
        self.expect(key, Expect::Absent)
    }

    fn expect(&mut self, key: impl Into<Key>, expect: Expect) -> &mut Self {
        let check = || Check {
            key: key.into(),
            expect,
        };
        self.write.checks.extend(iter::once_with(check));
        self
    }

    /// Sets a key, whatever it holds.
    pub fn set(&mut self, key: impl Into<Key>, value: impl Into<NewValue<'a>>) -> &mut Self {
        self.mutate(key, || Op::Set(value.into()))
    }

    /// Sets the key that is `prefix` and, as one more part at its end, the versionstamp of the commit:
    /// the text of its twenty digits (A13).
    ///
    /// So each commit has a key of its own, those of one prefix are listed in the order of the commits,
    /// and no two commits conflict over them. What is set twice in one commit under one prefix is one
    /// entry, with the later value (A14).
    ///
    /// ```
    /// use kvick::{Kv, Outcome};
    ///
    /// let kv = Kv::new();
    /// let mut log = kv.atomic();
    /// log.set_versionstamped(("log",), "opened").sum("opened", 1);
    /// let Outcome::Committed { versionstamp } = log.commit()? else { unreachable!("no checks") };
    ///
    /// assert_eq!(kv.get(("log", versionstamp))?.as_str(), Some("opened"));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// [`commit`](Self::commit) fails with `KeyEmpty` if the prefix has no part (A15), and with
    /// `KeyTooLarge` if the whole key, 22 bytes longer than the prefix, is too long (A16).
    pub fn set_versionstamped(
        &mut self,
        prefix: impl Into<Key>,
        value: impl Into<NewValue<'a>>,
    ) -> &mut Self {
        let op = Op::Set(value.into());
        self.write.push_versionstamped(&prefix.into(), op);
        self
    }

    /// Deletes a key, if it is there.
    pub fn delete(&mut self, key: impl Into<Key>) -> &mut Self {
        self.mutate(key, || Op::Delete)
    }

    /// Adds to a `u64`, modulo 2^64: to subtract `n`, add `n.wrapping_neg()`. A key that is missing
    /// is set to the operand (S01).
    ///
    /// [`commit`](Self::commit) fails with `TypeMismatch` if the key holds anything else. For numbers
    /// and bigints there is [`sum_with`](Self::sum_with).
    pub fn sum(&mut self, key: impl Into<Key>, operand: u64) -> &mut Self {
        self.mutate(key, || Op::Sum(operand))
    }

    /// Adds a number or bigint of JavaScript, within bounds if there are any: see [`Sum`]. A key
    /// that is missing is set to the operand, whatever the bounds (S11).
    ///
    /// [`commit`](Self::commit) fails with `TypeMismatch` if the operand is nothing to calculate
    /// with, or if the key holds something of another type, and with `SumOutOfRange` if the result
    /// is beyond the bounds.
    pub fn sum_with(&mut self, key: impl Into<Key>, sum: impl Into<Sum<'a>>) -> &mut Self {
        self.mutate(key, || sum.into().into_op())
    }

    /// Lowers a `u64` to the operand if that is smaller. A key that is missing is set to the
    /// operand (S04).
    ///
    /// [`commit`](Self::commit) fails with `TypeMismatch` if the key holds anything else.
    pub fn min(&mut self, key: impl Into<Key>, operand: u64) -> &mut Self {
        self.mutate(key, || Op::Min(operand))
    }

    /// [`min`](Self::min) with an operand as a client sent it.
    ///
    /// [`commit`](Self::commit) fails with `TypeMismatch` if the operand is anything but a `u64`,
    /// whatever is stored (S03).
    pub fn min_with<'v>(
        &mut self,
        key: impl Into<Key>,
        operand: impl Into<NewValue<'v>>,
    ) -> &mut Self {
        self.mutate(key, || Op::min(&operand.into()))
    }

    /// Raises a `u64` to the operand if that is larger. A key that is missing is set to the operand
    /// (S04).
    ///
    /// [`commit`](Self::commit) fails with `TypeMismatch` if the key holds anything else.
    pub fn max(&mut self, key: impl Into<Key>, operand: u64) -> &mut Self {
        self.mutate(key, || Op::Max(operand))
    }

    /// [`max`](Self::max) with an operand as a client sent it.
    ///
    /// [`commit`](Self::commit) fails with `TypeMismatch` if the operand is anything but a `u64`,
    /// whatever is stored (S03).
    pub fn max_with<'v>(
        &mut self,
        key: impl Into<Key>,
        operand: impl Into<NewValue<'v>>,
    ) -> &mut Self {
        self.mutate(key, || Op::max(&operand.into()))
    }

    /// Enqueues a message, if the operation commits (Q01): [`Kv::enqueue`].
    pub fn enqueue(&mut self, payload: impl Into<NewValue<'a>>, delivery: Delivery) -> &mut Self {
        let payload = payload.into();
        self.write.enqueue([Enqueue::new(payload, delivery)]);
        self
    }

    /// Adds a mutation, made where it will lie: one that is copied there is read back in other pieces
    /// than it was written in, and processors are slow at that.
    #[inline]
    fn mutate(&mut self, key: impl Into<Key>, op: impl FnOnce() -> Op<'a>) -> &mut Self {
        let mutation = || Mutation {
            key: key.into(),
            op: op(),
        };
        self.write.mutations.extend(iter::once_with(mutation));
        self
    }
}

/// What an engine can do, and the protocol of Deno KV cannot ask for; and to commit.
impl AtomicOp<'_> {
    /// The key must be there, in whatever version.
    pub fn check_exists(&mut self, key: impl Into<Key>) -> &mut Self {
        self.expect(key, Expect::Exists)
    }

    /// The key must not be of a newer version than this one: of this one, an older one, or missing,
    /// however long it has been.
    ///
    /// With [`Kv::versionstamp`], or that of a snapshot, it says that the key has not been set since,
    /// whatever was there, without reading it. What was deleted or has expired since leaves no version
    /// and passes: with [`check_exists`](Self::check_exists) as well, it does not.
    ///
    /// ```
    /// # let kv = kvick::Kv::new();
    /// kv.set("config", "old")?;
    /// let now = kv.versionstamp();
    /// let mut derived = kv.atomic();
    /// derived.check_not_newer("config", now).set("derived", "of the old");
    /// assert!(derived.commit()?.is_committed());
    /// kv.set("config", "new")?;
    /// assert!(!derived.commit()?.is_committed());
    /// kv.delete("config")?;
    /// assert!(derived.commit()?.is_committed());
    /// assert!(!derived.check_exists("config").commit()?.is_committed());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    pub fn check_not_newer(
        &mut self,
        key: impl Into<Key>,
        versionstamp: Versionstamp,
    ) -> &mut Self {
        self.expect(key, Expect::NotNewer(versionstamp.floor()))
    }

    /// Changes when a key expires, and nothing else: so long after the commit, or never (`None`). A
    /// key that is missing stays so.
    ///
    /// The entry has a new version, so a check of the old one fails: who has read it has read
    /// another time to expire at.
    pub fn touch(
        &mut self,
        key: impl Into<Key>,
        expire_in: impl Into<Option<Duration>>,
    ) -> &mut Self {
        let expiry = Expiry::after(expire_in.into());
        self.mutate(key, || Op::Touch(expiry))
    }

    /// Commits: all of it takes effect, its messages included, or nothing.
    ///
    /// An operation without mutations, or without anything, commits too, and mints a version (A08).
    ///
    /// # Errors
    ///
    /// `TooManyChecks`, `TooManyMutations`, `KeyEmpty`, `KeyTooLarge`, `ValueTooLarge`,
    /// `TotalTooLarge`, `TotalKeysTooLarge`; `InvalidExpiry`, `InvalidEnqueue`; `TypeMismatch`,
    /// `SumOutOfRange`; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has changed then (A07).
    pub fn commit(&self) -> Result<Outcome> {
        let engine = self.target.writer()?;
        let outcome = engine.timed_write(&self.write, || engine.commit(&self.write))?;
        Ok(Outcome::of(outcome))
    }

    /// Commits, and gives what the operation has left under its keys: the sums, for example, and the
    /// keys that end in its versionstamp.
    ///
    /// There is an entry for each mutation, in their order, and none where a check failed. Several
    /// mutations of one key have the same one, which is what all of them came to. One that was deleted,
    /// or was not there to be touched, is missing.
    ///
    /// ```
    /// let kv = kvick::Kv::new();
    /// let mut op = kv.atomic();
    /// op.sum(("visits", "/"), 1).sum("visits", 1);
    /// let (outcome, entries) = op.commit_returning()?;
    /// assert!(outcome.is_committed());
    /// assert_eq!(entries[1].as_u64(), Some(1));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`commit`](Self::commit).
    pub fn commit_returning(&self) -> Result<(Outcome, Vec<Entry>)> {
        let engine = self.target.writer()?;
        let mut entries = Vec::new();
        let outcome = engine.timed_write(&self.write, || {
            let (outcome, left) = engine.commit_returning(&self.write, Entry::new)?;
            entries = left;
            Ok(outcome)
        })?;
        Ok((Outcome::of(outcome), entries))
    }
}
