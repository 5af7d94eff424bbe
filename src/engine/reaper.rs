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
use super::sweep::REAPER_SWEEPS;
use super::{Engine, Stripe};
use crate::error::Result;
use crate::moment::Moment;
use crate::mvcc::chain::{Draft, RecordPtr, RecordRef, Retiring, VersionRef};
use crate::mvcc::notify::Woken;
use crate::sync::epoch::{self, Guard};
use crate::sync::{AtomicU64, Ordering, OutOfMemory, Planted, planted};
use crate::version::Stamp;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::mem::ManuallyDrop;
use std::time::Duration;

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

/// How soon after something was deleted the background deletes again. What expires in between goes
/// together: a look through all stripes for each few entries would cost the commits beside it more than
/// the deletions do.
const REAP_PERIOD: Duration = Duration::from_millis(50);

/// From when on the background deletes again, in microseconds.
#[derive(Debug, Default)]
pub(super) struct Pace(AtomicU64);

/// A look through all stripes. One that does not come to its end, because a value's `drop` panics, is
/// to be made again, by whoever keeps time.
struct Pass<'e> {
    engine: &'e Engine,
}

impl Pass<'_> {
    fn complete(self) {
        let _ = ManuallyDrop::new(self);
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.engine.time.note_due(Moment::ZERO);
        self.engine.maintenance.wake_for_time();
    }
}

impl Engine {
    /// [`reap`](Self::reap), unless that was done a moment ago; when there is something to do again.
    pub(super) fn reap_at_pace(&self) -> Option<Moment> {
        let now = self.now();
        // ORDERING: Relaxed. It is for the one thread that keeps time.
        let from = Moment::from_micros(self.pace.0.load(Ordering::Relaxed));
        // Where the clock has gone back, it is not waited for.
        if now < from && from <= now.after(REAP_PERIOD) {
            return self.time.next_due().map(|due| due.max(from));
        }
        let is_due = self.time.next_due().is_some_and(|due| due <= now);
        let next = self.reap();
        if !is_due {
            return next;
        }
        let from = now.after(REAP_PERIOD);
        // ORDERING: Relaxed, as above.
        self.pace.0.store(from.as_micros(), Ordering::Relaxed);
        next.map(|due| due.max(from))
    }

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
        self.time.pass(now, now);
        self.time.forget_due();
        let pass = Pass { engine: self };
        let mut retiring = self.retiring();
        let mut stripes: Vec<_> = (0..self.stripes.count()).collect();
        while !stripes.is_empty() {
            // Where memory is refused, as soon as there is some.
            stripes.retain(|stripe| {
                self.reap_some(*stripe, now, &mut retiring)
                    .unwrap_or_else(|_| {
                        self.time.note_due(Moment::ZERO);
                        false
                    })
            });
            self.ripe.free();
        }
        pass.complete();
        let guard = epoch::pin();
        retiring.finish(&guard);
        // Sends it off, for whoever sweeps next.
        guard.flush();
        drop(guard);
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
    ///
    /// Holds the stripe three times: to see what there is, to delete it, and to sweep. Between the
    /// first and the second, all that will be touched is brought near, which takes longer than the
    /// rest: who waits for the stripe would wait for that.
    fn reap_some(
        &self,
        stripe: usize,
        now: Moment,
        retiring: &mut Retiring<'_, Large>,
    ) -> Result<bool> {
        let mut woken = Woken::new();
        let guard = epoch::pin();
        let mut coming = SmallVec::<[_; REAP_BATCH + REAPER_SWEEPS]>::new();
        let held = self.stripes.lock_one(stripe);
        coming.extend(held.timers.due(now).take(REAP_BATCH));
        let due_count = coming.len();
        if due_count == 0 {
            if let Some(next) = held.timers.next() {
                self.time.note_due(next);
            }
            return Ok(false);
        }
        coming.extend(held.sweep.coming());
        drop(held);
        // QUEUED: each was in a set or a queue of its stripe just now, under this guard.
        self.bring_near(&coming, &guard);
        let mut tombstones = SmallVec::<[_; REAP_BATCH]>::new();
        for _ in 0..due_count {
            tombstones.push(payload::draft_tombstone()?);
        }

        let mut held = self.stripes.lock_one(stripe);
        let reaped = self.reap_due(&mut held, now, tombstones, &mut woken, &guard);
        drop(held);
        self.sweep_for_reaper(stripe, retiring, &guard);
        if let Some(stamp) = reaped? {
            self.tick(stamp, guard, false);
        }
        Ok(true)
    }

    /// Has what will be looked for and changed brought near: the records, their newest versions, and
    /// where the indexes lead to them.
    fn bring_near(&self, records: &[RecordPtr<Large>], guard: &Guard) {
        let records = || records.iter().map(|record| record.get(guard));
        // Each as soon as what leads to it may have come.
        records().for_each(RecordRef::prefetch);
        for record in records() {
            record.prefetch_head();
            self.table(record.hash()).prefetch(record.hash());
        }
        for record in records() {
            self.index.prefetch(record.key(), guard);
        }
    }

    /// Deletes the first of the entries of a stripe that have expired by now, as many as there are
    /// tombstones; the stamp, if there still were any.
    fn reap_due(
        &self,
        stripe: &mut Stripe,
        now: Moment,
        tombstones: SmallVec<[Draft<Large>; REAP_BATCH]>,
        woken: &mut Woken,
        guard: &Guard,
    ) -> Result<Option<Stamp>> {
        let mut due = SmallVec::<[_; REAP_BATCH]>::new();
        due.extend(stripe.timers.due(now).take(tombstones.len()));
        if due.is_empty() {
            return Ok(None);
        }
        let mut plan = Plan::new();
        stripe.sweep.reserve_reaped(due.len(), &mut stripe.share)?;
        // Tombstones, which are never refused.
        tombstones.iter().take(due.len()).try_for_each(|draft| {
            stripe.charge(draft, None)?;
            Ok::<_, OutOfMemory>(())
        })?;
        for (record, draft) in due.iter().zip(tombstones) {
            // QUEUED: it is in a set of its stripe, so it has not been removed.
            let record = record.get(guard);
            let version = plan.install.link(record, draft);
            plan.installed.push(Installed {
                record,
                version,
                place: 0,
            });
        }
        let stamp = plan.install.publish(&self.counter);
        for installed in &plan.installed {
            stripe.leave_to_reaper(|stripe| stripe.settle(installed, stamp, woken));
            let record = installed.record;
            let table = self.table(record.hash());
            table.note_newest(record, installed.version);
        }
        stripe.counts.expired_count += due.len() as u64;
        Ok(Some(stamp))
    }
}

#[cfg(test)]
#[path = "reaper/tests.rs"]
mod tests;
