//! Transactions: any reads, then any writes, serializable.

use crate::engine::Engine;
use crate::engine::commit::Outcome;
use crate::engine::mutation::Pending;
use crate::engine::read::{Hit, ReadPoint};
use crate::engine::scan::Walk;
use crate::engine::timing::CommitTime;
use crate::engine::write::{Check, Expect, Op, RangeReads, Write};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::{BoundBytes, Bounds, Key, KeyMap, Range, followed_by};
use crate::kv::{Kv, open};
use crate::moment::TimeLeft;
use crate::retry::{AbortReason, Attempt, Transacted, retry};
use crate::staged::{Ops, Staged, stages};
use crate::version::Stamp;
use std::fmt;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

/// How many entries a list reads before the epoch is pinned anew.
const BATCH: usize = 256;

/// One attempt at a transaction: what the closure of [`Kv::transact`] is given.
///
/// All reads are of one moment. Each is tracked, what was missing included: if anything of it has
/// changed by the time of the commit, the attempt conflicts and the closure is called again.
/// Writes are kept back until the commit; reads see them.
pub struct Transaction<'a> {
    engine: &'a Arc<Engine>,
    point: Arc<ReadPoint>,
    /// The version of each key that was read.
    reads: KeyMap<Option<Stamp>>,
    ranges: Vec<Bounds>,
    staged: Staged,
    aborted: Option<AbortReason>,
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("reads", &self.reads.len())
            .field("ranges", &self.ranges.len())
            .field("writes", &self.staged.writes.len())
            .field("versionstamped", &self.staged.versionstamped.len())
            .field("enqueues", &self.staged.enqueues.len())
            .finish_non_exhaustive()
    }
}

impl<'a> Transaction<'a> {
    fn new(engine: &'a Arc<Engine>) -> Self {
        Self {
            engine,
            point: Arc::new(engine.open_read_point()),
            reads: KeyMap::new(),
            ranges: Vec::new(),
            staged: Staged::new(),
            aborted: None,
        }
    }

    /// Reads one key.
    ///
    /// # Errors
    ///
    /// `KeyEmpty`, `KeyTooLarge`: what is read is checked, so the limit is that of a check;
    /// `TypeMismatch`, `SumOutOfRange`, `ValueTooLarge` where a sum of the transaction's does not fit
    /// what it is to be added to; `OutOfMemory`; `Closed`.
    pub fn get(&mut self, key: impl Into<Key>) -> Result<Entry> {
        let key = key.into();
        let engine = open(self.engine)?;
        engine.limits().check_key_write(key.as_bytes().len())?;
        let ops = self.staged.of(&key);
        let mut read = None;
        let entry = engine.at(&key, &self.point, |hit| {
            read = hit.map(Hit::stamp);
            overlay(engine, &self.point, key.clone(), hit, ops)
        });
        engine.count_read(read.is_some());
        self.reads.insert(key, read);
        entry
    }

    /// Reads several keys, in the order given. There is no limit to their number.
    ///
    /// # Errors
    ///
    /// Those of [`get`](Self::get).
    pub fn get_many<K: Into<Key>>(
        &mut self,
        keys: impl IntoIterator<Item = K>,
    ) -> Result<Vec<Entry>> {
        keys.into_iter().map(|key| self.get(key)).collect()
    }

    /// Selects entries by range. What is read of it is tracked as a range: an entry that appears
    /// in there, and was not there, is a conflict too.
    pub fn list(&mut self, range: impl Into<Range>) -> TrackedList<'_, 'a> {
        TrackedList {
            transaction: self,
            range: range.into(),
            reverse: false,
            limit: usize::MAX,
        }
    }

    stages!();

    /// Changes when a key expires, and nothing else, as [`AtomicOp::touch`](crate::AtomicOp::touch)
    /// does. The key is not read.
    pub fn touch(&mut self, key: impl Into<Key>, expire_in: impl Into<Option<Duration>>) {
        let expiry = Expiry::after(expire_in.into());
        let touch = Op::Touch(expiry);
        self.staged.writes.entry(key.into()).push(touch);
    }

    /// Everything that was read by its key, as it was read, in the order in which it was.
    fn entries_read(&self) -> Vec<Entry> {
        let entries = self.reads.iter().map(|(key, _)| {
            self.engine
                .at(key, &self.point, |hit| Entry::new(key.clone(), hit))
        });
        entries.collect()
    }

    fn commit(self, attempt: u32) -> Result<Outcome> {
        let mut write = Write::new();
        self.staged.write_to(&mut write, self.reads.len())?;
        for (key, read) in self.reads {
            let expect = read.map_or(Expect::Absent, Expect::At);
            write.checks.push(Check { key, expect });
        }
        let reads = RangeReads {
            at: self.point.at(),
            now: self.point.now(),
            ranges: self.ranges,
        };
        // The snapshot stays registered until the commit is done: what has changed in a range
        // since it was read can still be seen there.
        self.engine
            .commit_tracked_timed(&write, Some(&reads), attempt)
    }
}

/// A key with what the transaction is about to do to it.
fn overlay(
    engine: &Engine,
    point: &ReadPoint,
    key: Key,
    hit: Option<Hit<'_>>,
    ops: &[Op<'static>],
) -> Result<Entry> {
    if ops.is_empty() {
        return Ok(Entry::new(key, hit));
    }
    let time = CommitTime::at(engine, point.now());
    let mut pending = Pending::stored(hit.map(Hit::version));
    for op in ops {
        pending.apply(op, &time)?;
    }
    let versionstamp = hit.map(|hit| hit.stamp().into());
    let deadline = pending.deadline();
    let left = deadline.map_or(TimeLeft::FOREVER, |deadline| {
        TimeLeft::until(deadline, time.now())
    });
    Ok(Entry::from_parts(
        key,
        pending.to_value(),
        versionstamp,
        left,
    ))
}

/// A selection of entries within a transaction: [`Transaction::list`].
#[derive(Debug)]
#[must_use = "a list reads nothing until it is asked for entries or a count"]
pub struct TrackedList<'t, 'a> {
    transaction: &'t mut Transaction<'a>,
    range: Range,
    reverse: bool,
    limit: usize,
}

impl TrackedList<'_, '_> {
    /// From the highest key to the lowest.
    pub fn reverse(mut self) -> Self {
        self.reverse = true;
        self
    }

    /// At most this many entries; 0 is refused. What lies beyond the last is not tracked.
    pub fn limit(mut self, entries: usize) -> Self {
        self.limit = entries;
        self
    }

    /// How many entries there are.
    ///
    /// # Errors
    ///
    /// Those of [`entries`](Self::entries).
    pub fn count(self) -> Result<usize> {
        self.entries().map(|entries| entries.len())
    }

    /// The entries, with what the transaction itself has written.
    ///
    /// # Errors
    ///
    /// `InvalidLimit`; those of the range: `InvalidSelector`, `KeyTooLarge`; `TypeMismatch`,
    /// `SumOutOfRange`, `ValueTooLarge` where a sum of the transaction's does not fit what it is to
    /// be added to; `OutOfMemory`; `Closed`.
    pub fn entries(self) -> Result<Vec<Entry>> {
        if self.limit == 0 {
            return Err(Error::limit_is_zero());
        }
        let engine = open(self.transaction.engine)?;
        let bounds = self.range.bounds(engine.limits())?;
        if bounds.is_empty() {
            return Ok(Vec::new());
        }
        let mut merge = Merge {
            engine,
            point: &self.transaction.point,
            own: own_writes(&self.transaction.staged.writes, &bounds, self.reverse),
            reverse: self.reverse,
            limit: self.limit,
            entries: Vec::new(),
        };
        let mut walk = Walk::new(bounds.clone(), self.reverse);
        let mut flow = ControlFlow::Continue(());
        while flow.is_continue() && !walk.is_done() {
            flow = engine.scan(
                &mut walk,
                BATCH,
                Some(&self.transaction.point),
                |key, hit| merge.stored(key, hit),
            );
        }
        if flow.is_continue() {
            flow = merge.own_before(None);
        }
        if let ControlFlow::Break(Err(error)) = flow {
            // That it failed tells something about the range too.
            self.transaction.ranges.push(bounds);
            return Err(error);
        }
        let entries = merge.entries;
        let seen = match (flow, entries.last()) {
            (ControlFlow::Break(_), Some(last)) => up_to(bounds, last.key(), self.reverse),
            _ => bounds,
        };
        self.transaction.ranges.push(seen);
        Ok(entries)
    }
}

/// The part of `bounds` that has been read when `last` is the last entry of it.
fn up_to(bounds: Bounds, last: &Key, reverse: bool) -> Bounds {
    let last = last.as_bytes();
    if reverse {
        Bounds {
            start: BoundBytes::from_slice(last),
            ..bounds
        }
    } else {
        Bounds {
            end: Some(followed_by(last, 0)),
            ..bounds
        }
    }
}

/// A write of the transaction's own.
type Own<'t> = &'t (Key, Ops);

/// What the transaction has written within bounds, in the order of a list.
fn own_writes<'t>(
    writes: &'t KeyMap<Ops>,
    bounds: &Bounds,
    reverse: bool,
) -> Peekable<vec::IntoIter<Own<'t>>> {
    let is_within = |(key, _): &Own<'_>| bounds.contains(key.as_bytes());
    let mut own: Vec<Own<'_>> = writes.iter().filter(is_within).collect();
    own.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
    if reverse {
        own.reverse();
    }
    own.into_iter().peekable()
}

/// Stored entries and own writes becoming one list.
struct Merge<'t> {
    engine: &'t Engine,
    point: &'t ReadPoint,
    own: Peekable<vec::IntoIter<Own<'t>>>,
    reverse: bool,
    limit: usize,
    entries: Vec<Entry>,
}

/// Breaks off where the list is full, or with an error.
type Flow = ControlFlow<Result<()>>;

impl Merge<'_> {
    fn stored(&mut self, key: &[u8], hit: Hit<'_>) -> Flow {
        self.own_before(Some(key))?;
        let ops = self.own.next_if(|(own, _)| own.as_bytes() == key);
        let ops = ops.map_or(&[][..], |(_, ops)| ops.as_slice());
        let entry = overlay(self.engine, self.point, Key::raw(key), Some(hit), ops);
        self.push(entry)
    }

    /// Adds the own writes to keys that come before the stored one and are not stored.
    fn own_before(&mut self, key: Option<&[u8]>) -> Flow {
        let reverse = self.reverse;
        let is_before = |own: &Key| {
            key.is_none_or(|key| {
                if reverse {
                    own.as_bytes() > key
                } else {
                    own.as_bytes() < key
                }
            })
        };
        while let Some((own, ops)) = self.own.next_if(|(own, _)| is_before(own)) {
            let entry = overlay(self.engine, self.point, own.clone(), None, ops);
            self.push(entry)?;
        }
        ControlFlow::Continue(())
    }

    fn push(&mut self, entry: Result<Entry>) -> Flow {
        match entry {
            Ok(entry) if entry.is_missing() => return ControlFlow::Continue(()),
            Ok(entry) => self.entries.push(entry),
            Err(error) => return ControlFlow::Break(Err(error)),
        }
        if self.entries.len() == self.limit {
            ControlFlow::Break(Ok(()))
        } else {
            ControlFlow::Continue(())
        }
    }
}

impl Kv {
    /// Runs a transaction: calls `run` until what it read is still so when it commits.
    ///
    /// `run` can read keys and ranges, decide, and write; all of that takes effect at one moment,
    /// as if nothing else had happened meanwhile, or not at all. It can be called several times, by
    /// the [`RetryPolicy`](crate::RetryPolicy), so it should have no effect but what it writes
    /// through the transaction. It may call the database by other handles, though what it does
    /// there is not part of the transaction.
    ///
    /// A closure that writes, by another handle, what it also reads through the transaction
    /// conflicts with itself, for ever unless the policy ends it.
    ///
    /// A transaction that writes nothing commits nothing: its reads were of one moment anyway.
    ///
    /// ```
    /// use kvick::{Kv, Transacted};
    ///
    /// let kv = Kv::new();
    /// kv.set(("account", "alice"), 5u64)?;
    /// let moved = kv.transact(|tx| {
    ///     let alice = tx.get(("account", "alice"))?.as_u64().unwrap_or(0);
    ///     if alice < 10 {
    ///         return tx.abort("insufficient funds");
    ///     }
    ///     tx.set(("account", "alice"), alice - 10);
    ///     tx.sum(("account", "bob"), 10);
    ///     Ok(())
    /// })?;
    /// match moved {
    ///     Transacted::Aborted { reason, .. } => assert_eq!(reason.to_string(), "insufficient funds"),
    ///     _ => unreachable!("alice has 5"),
    /// }
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// An error that `run` returns, unchanged; `TooManyMutations`, `KeyEmpty`, `KeyTooLarge`,
    /// `ValueTooLarge`, `TotalTooLarge`, `TotalKeysTooLarge`, `InvalidExpiry`, `InvalidEnqueue`;
    /// `TypeMismatch`, `SumOutOfRange`; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has changed then.
    pub fn transact<T>(
        &self,
        mut run: impl FnMut(&mut Transaction<'_>) -> Result<T>,
    ) -> Result<Transacted<T>> {
        let engine = self.reader()?;
        retry(engine, self.retry_policy(), |attempt| {
            let mut transaction = Transaction::new(engine);
            let result = run(&mut transaction);
            if let Some(reason) = transaction.aborted.take() {
                return Ok(Attempt::Aborted(reason, transaction.entries_read()));
            }
            let value = result?;
            if transaction.staged.is_empty() {
                return Ok(Attempt::Committed(value, None));
            }
            self.writer()?;
            Ok(match transaction.commit(attempt)? {
                Outcome::Committed(effects) => {
                    Attempt::Committed(value, Some(effects.stamp.into()))
                }
                Outcome::Conflict(_) => Attempt::Conflict,
            })
        })
    }
}
