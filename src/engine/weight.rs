//! What entries weigh.
//!
//! The limit of entries is one of the sum of their weights: 1 for each, or what the caller's [`Weigher`]
//! says. It is asked before a commit takes a lock or is pinned, once for each value. What it says goes
//! with the mutation ([`Op::Qualified`]) to the version, which keeps it: so as much is given back when
//! the entry goes, or another takes its place, as was charged when it came.
//!
//! In an engine with a weigher nothing is plain (`SingleLimits::NONE`): each commit looks closely at its
//! limits, and weighs there. So where there is none, what is frequent does not ask for one.

use super::payload::{self, Large};
use super::write::{Enqueue, Op, Write, check_single};
use super::{Engine, Stripe};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::mvcc::chain::{Draft, RecordRef, VersionRef};
use crate::mvcc::quota::Purpose;
use crate::sync::{OutOfMemory, reserve};
use crate::value::ValueRef;
use std::fmt;
use std::sync::Arc;

type Weigh = dyn Fn(&Key, ValueRef<'_>) -> u32 + Send + Sync;

/// The caller's code, which tells what an entry weighs.
#[derive(Clone)]
pub(crate) struct Weigher(Arc<Weigh>);

impl Weigher {
    pub(crate) fn new(weigh: impl Fn(&Key, ValueRef<'_>) -> u32 + Send + Sync + 'static) -> Self {
        Self(Arc::new(weigh))
    }
}

impl fmt::Debug for Weigher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Weigher")
    }
}

/// By what a policy goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Bytes,
    Entries,
    Weights,
}

impl Measure {
    /// By the limit of entries, where there is one, or else that of bytes.
    pub(super) fn new(entry_limit: u64, is_weighed: bool) -> Self {
        match (entry_limit, is_weighed) {
            (u64::MAX, _) => Self::Bytes,
            (_, false) => Self::Entries,
            (_, true) => Self::Weights,
        }
    }

    /// How much there is of an entry, by its record.
    pub(super) fn of_record(self, record: RecordRef<'_, Large>) -> u32 {
        match self {
            Self::Bytes => u32::try_from(record.size_with_head()).unwrap_or(u32::MAX),
            Self::Entries => 1,
            Self::Weights => record.head().map_or(1, payload::weight).max(1),
        }
    }
}

/// How much more the entries weigh when this version is linked, to this record if there is one. Its
/// stripe is locked.
pub(super) fn added_weight((draft, record): (&Draft<Large>, Option<RecordRef<'_, Large>>)) -> u32 {
    let before = record.map_or(0, entry_weight);
    payload::weight_of_draft(draft).saturating_sub(before)
}

/// What the entry of a record weighs, expired or not; nothing, where it has none. Its stripe is locked.
pub(super) fn entry_weight(record: RecordRef<'_, Large>) -> u32 {
    let entry = record.has_entry().then(|| record.settled_head()).flatten();
    entry.map_or(0, |(version, _)| payload::weight(version))
}

/// What the entry weighed of which this version has taken the place, if there was one.
pub(super) fn weight_below(version: VersionRef<'_, Large>) -> u64 {
    let before = RecordRef::below(version);
    before.map_or(0, |before| payload::weight(before).into())
}

impl Stripe {
    /// Charges what entries are going to weigh, where they are limited.
    pub(super) fn charge_weight(&mut self, weight: u64) -> Result<(), OutOfMemory> {
        let Some(entries) = &mut self.entries else {
            return Ok(());
        };
        let weight = usize::try_from(weight).unwrap_or(usize::MAX);
        entries.charge(weight, Purpose::Growth)
    }

    /// Gives back what entries weigh no more, for whichever stripe.
    pub(super) fn refund_weight(&mut self, weight: u64) {
        if let Some(entries) = &mut self.entries {
            // Not more than was charged.
            entries.refund(usize::try_from(weight).unwrap_or(usize::MAX));
            entries.give_back();
        }
    }

    /// Enters an entry that was weighed.
    pub(super) fn settle_weight(
        &mut self,
        record: RecordRef<'_, Large>,
        version: VersionRef<'_, Large>,
    ) {
        record.set_special();
        let less = weight_below(version).saturating_sub(payload::weight(version).into());
        if less > 0 {
            self.refund_weight(less);
        }
    }
}

impl Engine {
    /// Whether entries are weighed.
    #[inline]
    pub(super) fn weighs(&self) -> bool {
        self.config.weigher.is_some()
    }

    /// What an entry weighs; zero, where nothing is weighed. The caller holds no lock and is not pinned.
    ///
    /// # Errors
    ///
    /// `EntryLimit` where it is heavier than all entries may be together.
    pub(super) fn weigh(&self, key: &Key, value: ValueRef<'_>) -> Result<u32> {
        let Some(Weigher(weigh)) = &self.config.weigher else {
            return Ok(0);
        };
        // Nothing comes for nothing: there would be no end of such entries.
        let weight = weigh(key, value).max(1);
        if u64::from(weight) > self.config.entry_limit {
            let max = usize::try_from(self.config.entry_limit).unwrap_or(usize::MAX);
            return Err(Error::entry_too_heavy(weight as usize, max));
        }
        Ok(weight)
    }

    fn weigh_op<'a>(&self, key: &Key, op: &Op<'a>) -> Result<Op<'a>> {
        match op.weighed_value() {
            None => Ok(op.clone()),
            Some(value) => Ok(op.with_weight(self.weigh(key, value)?)),
        }
    }

    fn weigh_enqueue<'a>(&self, enqueue: &Enqueue<'a>) -> Result<Enqueue<'a>> {
        let keys = enqueue.delivery.dead_letter_keys();
        let mut weighed = enqueue.clone();
        reserve(&mut weighed.weights, keys.len())?;
        let mut sum = 0_u64;
        for key in keys {
            let weight = self.weigh(key, enqueue.payload.as_ref())?;
            weighed.weights.push(weight);
            sum += u64::from(weight);
        }
        if sum > self.config.entry_limit {
            // They come together, in one commit, which would never be done.
            let [wanted, max] = [sum, self.config.entry_limit]
                .map(|weight| usize::try_from(weight).unwrap_or(usize::MAX));
            return Err(Error::entry_limit_reached(wanted, max, true));
        }
        Ok(weighed)
    }

    /// A mutation with what its entry weighs then, where that counts.
    ///
    /// # Errors
    ///
    /// As [`weigh`](Self::weigh).
    #[inline]
    pub(super) fn weighed<'a>(&self, key: &Key, op: &Op<'a>) -> Result<Option<Op<'a>>> {
        let weighed = self.weighs().then(|| self.weigh_op(key, op));
        weighed.transpose()
    }

    /// The same, once it is known to be within the limits.
    ///
    /// # Errors
    ///
    /// As [`weigh`](Self::weigh); those of the limits.
    pub(super) fn weighed_single<'a>(&self, key: &Key, op: &Op<'a>) -> Result<Option<Op<'a>>> {
        check_single(key, op, self.limits(), self.limits().single())?;
        self.weighed(key, op)
    }

    /// A message with what its entries weigh if it is undelivered, where that counts.
    ///
    /// # Errors
    ///
    /// As [`weigh`](Self::weigh); `OutOfMemory`.
    pub(super) fn weighed_enqueue<'a>(&self, enqueue: &Enqueue<'a>) -> Result<Option<Enqueue<'a>>> {
        let weighed = self.weighs().then(|| self.weigh_enqueue(enqueue));
        weighed.transpose()
    }

    /// Has `commit` commit an operation with what all of its entries weigh then.
    ///
    /// # Errors
    ///
    /// As [`weigh`](Self::weigh); `OutOfMemory`; those of `commit`.
    #[cold]
    pub(super) fn with_weights<R>(
        &self,
        write: &Write<'_>,
        commit: impl FnOnce(&Write<'_>) -> Result<R>,
    ) -> Result<R> {
        let mut weighed = Write::new();
        self.weigh_write(write, &mut weighed)?;
        commit(&weighed)
    }

    fn weigh_write<'a>(&self, write: &Write<'a>, weighed: &mut Write<'a>) -> Result<()> {
        write.map_to(
            weighed,
            |mutation| self.weigh_op(&mutation.key, &mutation.op),
            |enqueue| self.weigh_enqueue(enqueue),
        )
    }

    /// What all entries weigh together; with those, where they are limited, that commits under way are
    /// going to add. Where they are not, each counts 1.
    pub(crate) fn total_weight(&self, entry_count: usize) -> usize {
        let taken = self.memory.entries().map(|entries| entries.taken());
        taken.map_or(entry_count, |taken| {
            usize::try_from(taken).unwrap_or(usize::MAX)
        })
    }
}
