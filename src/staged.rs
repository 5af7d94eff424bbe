//! What a transaction is about to do, kept back until it commits.

use crate::engine::write::{Enqueue, Mutation, Op, Write};
use crate::error::Result;
use crate::key::{Key, KeyMap};
use smallvec::SmallVec;

/// What is to be done to one key, in order: nearly always one thing.
pub(crate) type Ops = SmallVec<[Op<'static>; 1]>;

/// The writes of a transaction, in the order in which their keys first came.
pub(crate) struct Staged {
    pub(crate) writes: KeyMap<Ops>,
    /// What is set under keys that end in the stamp of the commit: what these begin with, and the value.
    pub(crate) versionstamped: Vec<(Key, Op<'static>)>,
    pub(crate) enqueues: Vec<Enqueue<'static>>,
}

impl Staged {
    pub(crate) fn new() -> Self {
        Self {
            writes: KeyMap::new(),
            versionstamped: Vec::new(),
            enqueues: Vec::new(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.writes.is_empty() && self.versionstamped.is_empty() && self.enqueues.is_empty()
    }

    /// What is to be done to a key.
    pub(crate) fn of(&self, key: &Key) -> &[Op<'static>] {
        self.writes.get(key).map_or(&[][..], SmallVec::as_slice)
    }

    /// What was to be done to the key before does not matter any more.
    pub(crate) fn replace(&mut self, key: Key, op: Op<'static>) {
        let ops = self.writes.entry(key);
        ops.clear();
        ops.push(op);
    }

    /// Adds all of it to an operation that has these `checks` to come as well.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub(crate) fn write_to(self, write: &mut Write<'static>, checks: usize) -> Result<()> {
        let plain: usize = self.writes.iter().map(|(_, ops)| ops.len()).sum();
        write.enqueue(self.enqueues);
        write.reserve(checks, plain + self.versionstamped.len())?;
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
        Ok(())
    }
}

/// The methods of a transaction that write, and the one that gives up: the same whatever it runs on. It
/// has its writes in `staged`, and why it was aborted in `aborted`.
macro_rules! stages {
    () => {
        /// Sets a key, whatever it holds.
        pub fn set<'v>(
            &mut self,
            key: impl Into<crate::key::Key>,
            value: impl Into<crate::value::NewValue<'v>>,
        ) {
            let op = crate::engine::write::Op::Set(value.into().into_owned());
            self.staged.replace(key.into(), op);
        }

        /// Sets a key that ends in the version of the commit, as
        /// [`AtomicOp::set_versionstamped`](crate::AtomicOp::set_versionstamped) does. The transaction does
        /// not see it: there is no such key before the commit.
        pub fn set_versionstamped<'v>(
            &mut self,
            prefix: impl Into<crate::key::Key>,
            value: impl Into<crate::value::NewValue<'v>>,
        ) {
            let op = crate::engine::write::Op::Set(value.into().into_owned());
            self.staged.versionstamped.push((prefix.into(), op));
        }

        /// Deletes a key, if it is there.
        pub fn delete(&mut self, key: impl Into<crate::key::Key>) {
            self.staged
                .replace(key.into(), crate::engine::write::Op::Delete);
        }

        /// Adds to a `u64`, as [`AtomicOp::sum`](crate::AtomicOp::sum) does. The key is not read, so
        /// two transactions that add to the same key do not conflict.
        pub fn sum(&mut self, key: impl Into<crate::key::Key>, operand: u64) {
            self.staged
                .writes
                .entry(key.into())
                .push(crate::engine::write::Op::Sum(operand));
        }

        /// Adds a number or bigint, or within bounds, as
        /// [`AtomicOp::sum_with`](crate::AtomicOp::sum_with) does, without reading the key.
        pub fn sum_with<'v>(
            &mut self,
            key: impl Into<crate::key::Key>,
            sum: impl Into<crate::sum::Sum<'v>>,
        ) {
            let op = sum.into().into_owned().into_op();
            self.staged.writes.entry(key.into()).push(op);
        }

        /// Lowers a `u64`, as [`AtomicOp::min`](crate::AtomicOp::min) does, without reading it.
        pub fn min(&mut self, key: impl Into<crate::key::Key>, operand: u64) {
            self.staged
                .writes
                .entry(key.into())
                .push(crate::engine::write::Op::Min(operand));
        }

        /// [`min`](Self::min) with an operand as a client sent it, as
        /// [`AtomicOp::min_with`](crate::AtomicOp::min_with) has it.
        pub fn min_with<'v>(
            &mut self,
            key: impl Into<crate::key::Key>,
            operand: impl Into<crate::value::NewValue<'v>>,
        ) {
            let op = crate::engine::write::Op::min(&operand.into());
            self.staged.writes.entry(key.into()).push(op);
        }

        /// Raises a `u64`, as [`AtomicOp::max`](crate::AtomicOp::max) does, without reading it.
        pub fn max(&mut self, key: impl Into<crate::key::Key>, operand: u64) {
            self.staged
                .writes
                .entry(key.into())
                .push(crate::engine::write::Op::Max(operand));
        }

        /// [`max`](Self::max) with an operand as a client sent it, as
        /// [`AtomicOp::max_with`](crate::AtomicOp::max_with) has it.
        pub fn max_with<'v>(
            &mut self,
            key: impl Into<crate::key::Key>,
            operand: impl Into<crate::value::NewValue<'v>>,
        ) {
            let op = crate::engine::write::Op::max(&operand.into());
            self.staged.writes.entry(key.into()).push(op);
        }

        /// Enqueues a message, if the transaction commits: [`Kv::enqueue`](crate::Kv::enqueue).
        pub fn enqueue<'v>(
            &mut self,
            payload: impl Into<crate::value::NewValue<'v>>,
            delivery: crate::delivery::Delivery,
        ) {
            let payload = payload.into().into_owned();
            self.staged
                .enqueues
                .push(crate::engine::write::Enqueue::new(payload, delivery));
        }

        /// Gives up: nothing is written, the closure is not called again, and whoever asked
        /// for the transaction is told why ([`Transacted::Aborted`](crate::Transacted::Aborted)).
        ///
        /// # Errors
        ///
        /// Always, so that the closure can end with it: `return tx.abort("insufficient funds")`.
        /// Whatever the closure returns instead, the transaction is aborted.
        pub fn abort<T>(
            &mut self,
            reason: impl Into<crate::retry::AbortReason>,
        ) -> crate::error::Result<T> {
            self.aborted = Some(reason.into());
            Err(crate::error::Error::aborted())
        }
    };
}

pub(crate) use stages;
