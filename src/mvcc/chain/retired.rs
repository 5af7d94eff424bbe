//! Records that were taken out of the indexes by the thousand, and are freed by who took them out.
//!
//! What the epoch is handed it runs on whatever thread comes by, a few hundred pieces at a time, and
//! that thread waits for it: a commit would pay for what it has nothing to do with. So who takes out
//! many records hands it batches of them, of which it only says that no reader can be at them any
//! more ([`Ripe`]), and frees them itself.

#![expect(unsafe_code, reason = "records are freed by raw pointers")]

use super::{Payload, RETIRED, RecordPtr, RecordRef};
use crate::mvcc::quota::Freed;
use crate::sync::epoch::{self, Guard};
use crate::sync::{AtomicPtr, AtomicU64, Ordering, Planted, load_own, ordering, reserve};
use std::fmt;
use std::ptr;
use std::sync::Arc;

/// How many records go through the epoch as one piece.
const BATCH: usize = 256;

/// Records that can be found no more.
struct Batch<T: Payload> {
    records: Vec<RecordPtr<T>>,
    /// What they take, about, until they are counted.
    bytes: u64,
    /// Is told how much they were.
    freed: Freed,
    next: AtomicPtr<Self>,
}

impl<T: Payload> Batch<T> {
    /// Takes so many off what they take of all, about.
    fn take_bytes(&mut self, count: usize) -> u64 {
        let bytes = self.bytes / (self.records.len() as u64).max(1) * count as u64;
        self.bytes -= bytes;
        bytes
    }

    /// Frees so many, of which there are as many.
    ///
    /// # Safety
    ///
    /// The batch has been through the epoch.
    unsafe fn free(&mut self, count: usize) {
        for _ in 0..count {
            if let Some(record) = self.records.pop() {
                // MODEL: life::record_of_a_batch_outlives_its_readers.
                // SAFETY: `Retiring` was given it by the one that removed it, and the batch has been
                // through the epoch since: every guard is gone under which it could be found.
                self.freed.add(unsafe { record.free_counted() });
            }
        }
    }
}

/// Takes so much off a count when it is dropped.
struct Less<'b> {
    bytes: &'b AtomicU64,
    less: u64,
}

impl Drop for Less<'_> {
    fn drop(&mut self) {
        // ORDERING: statistic.
        self.bytes.fetch_sub(self.less, Ordering::Relaxed);
    }
}

/// Batches that have been taken out, to be freed. Dropping it puts back what is left: also where what a
/// value does when it is dropped panics.
struct Taken<'r, T: Payload> {
    ripe: &'r Ripe<T>,
    first: *mut Batch<T>,
}

impl<T: Payload> Taken<'_, T> {
    /// Frees so many records at most.
    fn free(&mut self, most: usize) {
        let mut left = most;
        while left > 0 && !self.first.is_null() {
            // SAFETY: `push` made it of a box, and the swap has taken it out of the list, with those behind
            // it.
            let batch = unsafe { &mut *self.first };
            let count = left.min(batch.records.len());
            left -= count;
            // Once it is freed, which may panic.
            let freed = Less {
                bytes: &self.ripe.bytes,
                less: batch.take_bytes(count),
            };
            // SAFETY: what is in the list has been through the epoch.
            unsafe { batch.free(count) };
            drop(freed);
            if batch.records.is_empty() {
                // ORDERING: statistic.
                (self.ripe.bytes).fetch_sub(batch.bytes, Ordering::Relaxed);
                // SAFETY: it is a box, as above, and nobody is at it.
                let batch = unsafe { Box::from_raw(self.first) };
                // ORDERING: Relaxed. Nobody else can reach it.
                self.first = load_own(&batch.next);
            }
        }
    }
}

impl<T: Payload> Drop for Taken<'_, T> {
    fn drop(&mut self) {
        if self.first.is_null() || self.ripe.put_back(self.first) {
            return;
        }
        // Others have come.
        let mut last = self.first;
        while !last.is_null() {
            // SAFETY: as in `free`.
            // ORDERING: Relaxed. Nobody else can reach it.
            let next = load_own(&unsafe { &*last }.next);
            if next.is_null() {
                // SAFETY: they are linked to each other, and nobody else has them.
                return unsafe { self.ripe.link(self.first, last) };
            }
            last = next;
        }
    }
}

/// Batches that nobody can be at any more. Dropping it frees them.
pub(crate) struct Ripe<T: Payload> {
    first: AtomicPtr<Batch<T>>,
    /// What has been handed over, and is not freed yet.
    bytes: AtomicU64,
}

impl<T: Payload> fmt::Debug for Ripe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ripe")
    }
}

impl<T: Payload> Ripe<T> {
    pub(crate) fn new() -> Self {
        Self {
            first: AtomicPtr::new(ptr::null_mut()),
            bytes: AtomicU64::new(0),
        }
    }

    /// How much is on its way here, or is here: it comes back by itself.
    pub(crate) fn bytes(&self) -> u64 {
        // ORDERING: statistic.
        self.bytes.load(Ordering::Relaxed)
    }

    /// Takes over a batch. It has been through the epoch.
    fn push(&self, batch: Box<Batch<T>>) {
        let batch = Box::into_raw(batch);
        // SAFETY: it is of a box, and nobody else has it.
        unsafe { self.link(batch, batch) };
    }

    /// Puts in what hangs together from this batch on, if nothing is there.
    fn put_back(&self, from: *mut Batch<T>) -> bool {
        // ORDERING: Release, as in `link`.
        let publish = ordering(Ordering::Release, Planted::WeakRipe);
        (self.first)
            .compare_exchange(ptr::null_mut(), from, publish, Ordering::Relaxed)
            .is_ok()
    }

    /// Puts in what hangs together from one batch to another.
    ///
    /// # Safety
    ///
    /// Each leads to the next, they are of boxes, have been through the epoch, and nobody else has them.
    unsafe fn link(&self, from: *mut Batch<T>, to: *mut Batch<T>) {
        // ORDERING: Relaxed. It is only compared, and published by who put it there.
        let mut first = self.first.load(Ordering::Relaxed);
        loop {
            // SAFETY: it is the caller's until it is linked.
            // ORDERING: Relaxed. The link is published below.
            unsafe { &*to }.next.store(first, Ordering::Relaxed);
            // ORDERING: Release, for `free_some`: the batches, what was taken of them, and that the epoch has
            // come so far. What was there before is published by its own exchange, and by this one in its
            // release sequence. MODEL: life::batches_are_freed_once_by_two.
            let publish = ordering(Ordering::Release, Planted::WeakRipe);
            match (self.first).compare_exchange(first, from, publish, Ordering::Relaxed) {
                Ok(_) => return,
                Err(other) => first = other,
            }
        }
    }

    /// Frees what there is. The caller holds no lock: it runs what the values do when they are
    /// dropped.
    pub(crate) fn free(&self) {
        self.free_some(usize::MAX);
    }

    /// The same, of so many records at most; whether there were any.
    pub(crate) fn free_some(&self, most: usize) -> bool {
        // ORDERING: Relaxed. Mostly there is nothing, and what is missed is freed the next time.
        if self.first.load(Ordering::Relaxed).is_null() {
            return false;
        }
        let mut taken = Taken {
            ripe: self,
            // ORDERING: Acquire, for `link`, of every batch that is taken.
            first: self.first.swap(ptr::null_mut(), Ordering::Acquire),
        };
        taken.free(most);
        true
    }
}

impl<T: Payload> Drop for Ripe<T> {
    fn drop(&mut self) {
        self.free();
    }
}

/// Collects the records that a thread takes out.
pub(crate) struct Retiring<'r, T: Payload> {
    ripe: &'r Arc<Ripe<T>>,
    batch: Option<Box<Batch<T>>>,
}

impl<'r, T: Payload> Retiring<'r, T> {
    pub(crate) fn new(ripe: &'r Arc<Ripe<T>>) -> Self {
        Self { ripe, batch: None }
    }

    /// Takes over a record, under the conditions of [`RecordPtr::retire`]; whether the epoch was handed
    /// something. How much it was is told to this `freed`, or to that of an earlier one.
    pub(crate) fn retire(
        &mut self,
        record: RecordRef<'_, T>,
        freed: &Freed,
        guard: &Guard,
    ) -> bool {
        let batch = self.batch.get_or_insert_with(|| {
            Box::new(Batch {
                records: Vec::new(),
                bytes: 0,
                freed: freed.clone(),
                next: AtomicPtr::new(ptr::null_mut()),
            })
        });
        // As it grows: most who evict take out one.
        if reserve(&mut batch.records, 1).is_err() {
            record.ptr().retire(freed, guard);
            return true;
        }
        record.mark(RETIRED, true);
        batch.bytes += record.size_with_head() as u64;
        batch.records.push(record.ptr());
        let is_full = batch.records.len() == BATCH;
        if is_full {
            self.hand_over(guard);
        }
        is_full
    }

    /// Hands over the rest.
    pub(crate) fn finish(mut self, guard: &Guard) {
        self.hand_over(guard);
    }

    /// Hands over what it has.
    fn hand_over(&mut self, guard: &Guard) {
        if let Some(batch) = self.batch.take() {
            let ripe = Arc::clone(self.ripe);
            // ORDERING: statistic.
            ripe.bytes.fetch_add(batch.bytes, Ordering::Relaxed);
            guard.defer(move || ripe.push(batch));
        }
    }
}

impl<T: Payload> Drop for Retiring<'_, T> {
    fn drop(&mut self) {
        // Only where somebody panics: everybody else has finished.
        if self.batch.is_some() {
            self.hand_over(&epoch::pin());
        }
    }
}
