//! Deleting what has expired.
//!
//! An entry that has expired is absent to everybody from its deadline on, by its deadline alone.
//! What is left is to give its memory back and to tell those who watch: the reaper deletes it by a
//! commit, with a versionstamp of its own.
//!
//! Each stripe knows its entries that expire, in the order of their deadlines, behind its lock: a
//! record is in that set exactly as long as its newest version expires, with the deadline of that
//! version. So what the reaper takes from there has expired, and cannot have been prolonged (T08).

use super::commit::{Installed, Plan};
use super::payload::{self, Large};
use super::{Engine, Stripe};
use crate::error::Result;
use crate::moment::Moment;
use crate::mvcc::chain::{RecordPtr, RecordRef, Unreachable, VersionRef};
use crate::sync::epoch;
use crate::version::Stamp;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// How many entries one commit of the reaper deletes, at most: so long, some ten microseconds,
/// others wait for the stripe.
const REAP_BATCH: usize = 32;

/// The entries of a stripe that expire.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Moment, RecordPtr<Large>)>);

impl Timers {
    /// Notes that `version` is now the newest of its record, and settled, where that or the one
    /// before expires.
    #[cold]
    pub(super) fn settle(&mut self, record: RecordRef<'_, Large>, version: VersionRef<'_, Large>) {
        if record.is_timed() {
            let before = RecordRef::below(version).and_then(payload::deadline);
            let is_known = before.is_some_and(|before| self.0.remove(&(before, record.ptr())));
            debug_assert!(is_known, "a record that is timed has a timer");
        }
        let deadline = payload::deadline(version);
        record.set_timed(deadline.is_some());
        if let Some(deadline) = deadline {
            self.0.insert((deadline, record.ptr()));
        }
    }

    /// When the next entry expires.
    fn next(&self) -> Option<Moment> {
        self.0.first().map(|(deadline, _)| *deadline)
    }

    /// Those that have expired, the first ones first.
    fn due(&self, now: Moment) -> impl Iterator<Item = RecordPtr<Large>> {
        let is_due = move |(deadline, _): &&(Moment, _)| *deadline <= now;
        self.0.iter().take_while(is_due).map(|(_, record)| *record)
    }
}

impl Engine {
    /// Deletes all entries that have expired; when the next one does.
    ///
    /// Takes the stripes one after the other, for some microseconds each. Where there is no memory
    /// for a tombstone, what has expired stays until the next time.
    pub(crate) fn reap(&self) -> Option<Moment> {
        if !self.time.is_running() {
            return None;
        }
        let stripes = 0..self.stripes.count();
        stripes.filter_map(|stripe| self.reap_stripe(stripe)).min()
    }

    fn reap_stripe(&self, stripe: usize) -> Option<Moment> {
        loop {
            match self.reap_some(stripe) {
                Ok(ControlFlow::Continue(())) => {}
                Ok(ControlFlow::Break(next)) => return next,
                // As soon as there is memory.
                Err(_) => return Some(self.now()),
            }
        }
    }

    /// Deletes some of the entries of a stripe that have expired, in one commit; when the next one
    /// expires, where there are none.
    fn reap_some(&self, stripe: usize) -> Result<ControlFlow<Option<Moment>>> {
        let guard = epoch::pin();
        let mut unreachable = Unreachable::new();
        let mut locked = self.stripes.lock_one(stripe);
        let stripe = &mut *locked;
        let now = self.now();
        let mut plan = Plan::new();
        let due = stripe.timers.due(now).take(REAP_BATCH).count();
        if due == 0 {
            return Ok(ControlFlow::Break(stripe.timers.next()));
        }
        plan.reserve_installed(due)?;
        stripe.sweep.reserve(due)?;
        let mut tombstones = SmallVec::<[_; REAP_BATCH]>::new();
        for record in stripe.timers.due(now).take(due) {
            // QUEUED: it is in a set of its stripe, so it has not been removed.
            tombstones.push((record.get(&guard), payload::draft_tombstone()?));
        }
        for (record, draft) in tombstones {
            let version = plan.install.link(record, draft);
            plan.installed.push(Installed { record, version });
        }
        let stamp = plan.install.publish(&self.counter);
        self.settle_reaped(stripe, &plan.installed, stamp);
        self.sweep_some(stripe, &mut unreachable, &guard);
        drop(plan);
        drop(locked);
        drop(unreachable);
        self.tick(stamp, guard, false);
        Ok(ControlFlow::Continue(()))
    }

    fn settle_reaped(&self, stripe: &mut Stripe, reaped: &[Installed<'_>], stamp: Stamp) {
        for installed in reaped {
            stripe.settle(installed, stamp);
            let record = installed.record;
            self.table(record.hash())
                .note_newest(record, installed.version);
        }
        stripe.counts.expired_count += reaped.len() as u64;
    }
}
