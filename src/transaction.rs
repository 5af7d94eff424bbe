//! Transactions: any reads, then any writes, serializable.

use crate::delivery::Delivery;
use crate::engine::Engine;
use crate::engine::commit::Outcome;
use crate::engine::mutation::Pending;
use crate::engine::read::{Hit, ReadPoint};
use crate::engine::scan::Walk;
use crate::engine::timing::CommitTime;
use crate::engine::write::{Check, Enqueue, Expect, Mutation, Op, RangeReads, Write};
use crate::entry::Entry;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::{BoundBytes, Bounds, Key, KeyMap, Range, followed_by};
use crate::kv::{Kv, open};
use crate::moment::TimeLeft;
use crate::retry::{AbortReason, Attempt, Transacted, retry};
use crate::sum::Sum;
use crate::value::NewValue;
use crate::version::Stamp;
use smallvec::SmallVec;
use std::fmt;
use std::iter::Peekable;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;
use std::vec;

/// How many entries a list reads before the epoch is pinned anew.
const BATCH: usize = 256;

/// What is to be done to one key, in order: nearly always one thing.
type Ops = SmallVec<[Op<'static>; 1]>;

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
    writes: KeyMap<Ops>,
    /// What is set under keys that end in the stamp of the commit: what these begin with, and the value.
    versionstamped: Vec<(Key, Op<'static>)>,
    enqueues: Vec<Enqueue<'static>>,
    aborted: Option<AbortReason>,
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction")
            .field("reads", &self.reads.len())
            .field("ranges", &self.ranges.len())
            .field("writes", &self.writes.len())
            .field("versionstamped", &self.versionstamped.len())
            .field("enqueues", &self.enqueues.len())
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
            writes: KeyMap::new(),
            versionstamped: Vec::new(),
            enqueues: Vec::new(),
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
        let ops = self.writes.get(&key).map_or(&[][..], SmallVec::as_slice);
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

    /// Sets a key, whatever it holds.
    pub fn set<'v>(&mut self, key: impl Into<Key>, value: impl Into<NewValue<'v>>) {
        let op = Op::Set(value.into().into_owned());
        self.replace(key.into(), op);
    }

    /// Sets a key that ends in the version of the commit, as
    /// [`AtomicOp::set_versionstamped`](crate::AtomicOp::set_versionstamped) does. The transaction does
    /// not see it: there is no such key before the commit.
    pub fn set_versionstamped<'v>(
        &mut self,
        prefix: impl Into<Key>,
        value: impl Into<NewValue<'v>>,
    ) {
        let op = Op::Set(value.into().into_owned());
        self.versionstamped.push((prefix.into(), op));
    }

    /// Deletes a key, if it is there.
    pub fn delete(&mut self, key: impl Into<Key>) {
        self.replace(key.into(), Op::Delete);
    }

    /// Changes when a key expires, and nothing else, as [`AtomicOp::touch`](crate::AtomicOp::touch)
    /// does. The key is not read.
    pub fn touch(&mut self, key: impl Into<Key>, expire_in: impl Into<Option<Duration>>) {
        let expiry = Expiry::after(expire_in.into());
        self.writes.entry(key.into()).push(Op::Touch(expiry));
    }

    /// Adds to a `u64`, as [`AtomicOp::sum`](crate::AtomicOp::sum) does. The key is not read, so
    /// two transactions that add to the same key do not conflict.
    pub fn sum(&mut self, key: impl Into<Key>, operand: u64) {
        self.writes.entry(key.into()).push(Op::Sum(operand));
    }

    /// Adds a number or bigint, or within bounds, as
    /// [`AtomicOp::sum_with`](crate::AtomicOp::sum_with) does, without reading the key.
    pub fn sum_with<'v>(&mut self, key: impl Into<Key>, sum: impl Into<Sum<'v>>) {
        let op = sum.into().into_owned().into_op();
        self.writes.entry(key.into()).push(op);
    }

    /// Lowers a `u64`, as [`AtomicOp::min`](crate::AtomicOp::min) does, without reading it.
    pub fn min(&mut self, key: impl Into<Key>, operand: u64) {
        self.writes.entry(key.into()).push(Op::Min(operand));
    }

    /// [`min`](Self::min) with an operand as a client sent it, as
    /// [`AtomicOp::min_with`](crate::AtomicOp::min_with) has it.
    pub fn min_with<'v>(&mut self, key: impl Into<Key>, operand: impl Into<NewValue<'v>>) {
        let op = Op::min(&operand.into());
        self.writes.entry(key.into()).push(op);
    }

    /// Raises a `u64`, as [`AtomicOp::max`](crate::AtomicOp::max) does, without reading it.
    pub fn max(&mut self, key: impl Into<Key>, operand: u64) {
        self.writes.entry(key.into()).push(Op::Max(operand));
    }

    /// [`max`](Self::max) with an operand as a client sent it, as
    /// [`AtomicOp::max_with`](crate::AtomicOp::max_with) has it.
    pub fn max_with<'v>(&mut self, key: impl Into<Key>, operand: impl Into<NewValue<'v>>) {
        let op = Op::max(&operand.into());
        self.writes.entry(key.into()).push(op);
    }

    /// Enqueues a message, if the transaction commits: [`Kv::enqueue`].
    pub fn enqueue<'v>(&mut self, payload: impl Into<NewValue<'v>>, delivery: Delivery) {
        let payload = payload.into().into_owned();
        self.enqueues.push(Enqueue::new(payload, delivery));
    }

    /// What was to be done to the key before does not matter any more.
    fn replace(&mut self, key: Key, op: Op<'static>) {
        let ops = self.writes.entry(key);
        ops.clear();
        ops.push(op);
    }

    /// Gives up: nothing is written, the closure is not called again, and the caller of
    /// [`Kv::transact`] is told why ([`Transacted::Aborted`]).
    ///
    /// # Errors
    ///
    /// Always, so that the closure can end with it: `return tx.abort("insufficient funds")`.
    /// Whatever the closure returns instead, the transaction is aborted.
    pub fn abort<T>(&mut self, reason: impl Into<AbortReason>) -> Result<T> {
        self.aborted = Some(reason.into());
        Err(Error::aborted())
    }

    /// Everything that was read by its key, as it was read, in the order in which it was.
    fn entries_read(&self) -> Vec<Entry> {
        let entries = self.reads.iter().map(|(key, _)| {
            self.engine
                .at(key, &self.point, |hit| Entry::new(key.clone(), hit))
        });
        entries.collect()
    }

    fn writes_nothing(&self) -> bool {
        self.writes.is_empty() && self.versionstamped.is_empty() && self.enqueues.is_empty()
    }

    fn commit(self, attempt: u32) -> Result<Outcome> {
        let plain: usize = self.writes.iter().map(|(_, ops)| ops.len()).sum();
        let mutations = plain + self.versionstamped.len();
        let mut write = Write::new();
        write.enqueue(self.enqueues);
        write.reserve(self.reads.len(), mutations)?;
        for (key, read) in self.reads {
            let expect = read.map_or(Expect::Absent, Expect::At);
            write.checks.push(Check { key, expect });
        }
        for (key, mut ops) in self.writes {
            let last = ops.pop();
            for op in ops {
                let key = key.clone();
                write.mutations.push(Mutation { key, op });
            }
            write.mutations.extend(last.map(|op| Mutation { key, op }));
        }
        for (prefix, op) in self.versionstamped {
            write.push_versionstamped(&prefix, op);
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
            own: own_writes(&self.transaction.writes, &bounds, self.reverse),
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
            if transaction.writes_nothing() {
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
