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
use crate::mvcc::notify::Woken;
use crate::mvcc::time::Time;
use crate::sync::epoch::{self, Guard};
use crate::sync::{Planted, planted};
use crate::version::Stamp;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::mem::ManuallyDrop;

/// How many entries one commit of the reaper deletes, at most: as many as a commit keeps note of
/// without allocating for it. Others wait for the stripe meanwhile, and should not have to be put to
/// sleep for it.
const REAP_BATCH: usize = 4;

/// The entries of a stripe that expire.
#[derive(Debug, Default)]
pub(super) struct Timers(BTreeSet<(Moment, RecordPtr<Large>)>);

impl Timers {
    /// Notes that `version` is now the newest of its record, and settled, where that or the one
    /// before expires.
    #[cold]
    pub(super) fn settle(&mut self, record: RecordRef<'_, Large>, version: VersionRef<'_, Large>) {
        if record.is_timed() && !planted(Planted::KeptTimer) {
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

/// A look through all stripes. One that does not come to its end, because a value's `drop` panics, is
/// to be made again.
struct Pass<'e> {
    time: &'e Time,
}

impl Pass<'_> {
    fn complete(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.time.note_due(Moment::ZERO);
    }
}

impl Engine {
    /// Deletes all entries that have expired; when the next one does.
    ///
    /// Costs nothing where nothing is due. Otherwise takes the stripes one after the other, again
    /// and again, for about a microsecond each. Where there is no memory for a tombstone, what has
    /// expired stays until the next time.
    pub(crate) fn reap(&self) -> Option<Moment> {
        let next = self.time.next_due()?;
        let now = self.reap_time();
        if next > now {
            return Some(next);
        }
        // T05: whoever looks from now on finds the rest gone as well.
        self.time.pass(next, now);
        self.time.forget_due();
        let pass = Pass { time: &self.time };
        let mut stripes: Vec<_> = (0..self.stripes.count()).collect();
        while !stripes.is_empty() {
            // Where memory is refused, as soon as there is some.
            stripes.retain(|stripe| {
                self.reap_some(*stripe, now).unwrap_or_else(|_| {
                    self.time.note_due(Moment::ZERO);
                    false
                })
            });
        }
        pass.complete();
        self.time.next_due()
    }

    /// What is judged by as having expired.
    fn reap_time(&self) -> Moment {
        if planted(Planted::EarlyReap) {
            return Moment::from_micros(self.now().as_micros() + 20_000);
        }
        self.now()
    }

    /// Deletes some of the entries of a stripe that have expired, in one commit; whether there were
    /// any. Notes when the next one expires, where there were none.
    fn reap_some(&self, stripe: usize, now: Moment) -> Result<bool> {
        let mut woken = Woken::new();
        let guard = epoch::pin();
        let mut unreachable = Unreachable::new();
        let mut stripe = self.stripes.lock_one(stripe);
        let mut due = SmallVec::<[_; REAP_BATCH]>::new();
        due.extend(stripe.timers.due(now).take(REAP_BATCH));
        if due.is_empty() {
            if let Some(next) = stripe.timers.next() {
                self.time.note_due(next);
            }
            return Ok(false);
        }
        let reap = |stripe: &mut Stripe| self.reap_due(stripe, &due, &mut woken, &guard);
        let stamp = self.reap_into(&mut stripe, &mut unreachable, &guard, reap)?;
        drop(stripe);
        drop(unreachable);
        self.tick(stamp, guard, false);
        Ok(true)
    }

    fn reap_due(
        &self,
        stripe: &mut Stripe,
        due: &[RecordPtr<Large>],
        woken: &mut Woken,
        guard: &Guard,
    ) -> Result<Stamp> {
        let mut plan = Plan::new();
        stripe.sweep.reserve_reaped(due.len())?;
        let mut tombstones = SmallVec::<[_; REAP_BATCH]>::new();
        for record in due {
            // QUEUED: it is in a set of its stripe, so it has not been removed.
            tombstones.push((record.get(guard), payload::draft_tombstone()?));
        }
        for (record, draft) in tombstones {
            let version = plan.install.link(record, draft);
            plan.installed.push(Installed { record, version });
        }
        let stamp = plan.install.publish(&self.counter);
        for installed in &plan.installed {
            stripe.settle(installed, stamp, woken);
            let record = installed.record;
            let table = self.table(record.hash());
            table.note_newest(record, installed.version);
        }
        stripe.counts.expired_count += due.len() as u64;
        Ok(stamp)
    }
}
