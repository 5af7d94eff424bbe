//! Atomic operations: check, apply, publish.
//!
//! What can be refused is refused before a lock is taken; what can be allocated is allocated
//! before. Then the stripes of all keys are locked in ascending order, the checks are validated
//! against the newest versions, the mutations are applied in order to private copies, and only
//! when nothing can go wrong any more is anything linked (D1, A07): a failed check or an error
//! leaves no trace. `docs/design.md` has the argument, `mvcc::publish` the last step.
//!
//! The most frequent operation has a path of its own, in `single`.

use super::calls::Calls;
use super::charge::{Charged, purpose_of_notes};
use super::handover::{Handover, publish};
use super::mutation::Pending;
use super::payload::{self, Large};
use super::single::{expire, prepare};
use super::sweep::{Aftermath, retire};
use super::timing::CommitTime;
use super::weight::{added_weight, weight_below};
use super::write::{Mutation, RangeReads, Write};
use super::{Engine, Stripe};
use crate::error::{Error, Result};
use crate::key::Key;
use crate::mvcc::chain::{Draft, RecordPtr, RecordRef, Superseded, VersionRef};
use crate::mvcc::notify::Woken;
use crate::mvcc::publish::{Install, publish_one};
use crate::mvcc::quota::Purpose;
use crate::mvcc::stripes::{Locked, StripeSet};
use crate::sync::epoch::{self, Guard};
use crate::sync::{Planted, pause, planted, reserve};
use crate::version::Stamp;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::time::Duration;

/// What a commit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed(Effects),
    /// These checks failed, by their index, ascending (A03); none where it was a range that
    /// changed. Nothing was minted or written (A02).
    Conflict(FailedChecks),
}

pub(crate) type FailedChecks = SmallVec<[usize; 4]>;

/// What a commit did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effects {
    /// The stamp of everything that it wrote.
    pub(crate) stamp: Stamp,
}

/// So many keys a commit keeps note of without allocating for it.
const FEW: usize = 4;

/// From this many mutations on, those of one key are found with a map.
const MAPPED_FROM: usize = 16;

/// A key that a commit writes, each once, in the order of its first mutation.
struct Target<'w, 'g> {
    key: &'w Key,
    /// The new version, where it can be known beforehand: the last mutation is a set.
    prepared: Option<Draft<Large>>,
    /// Its record, if there is one; before the stripes are locked, as it seems.
    record: Option<RecordRef<'g, Large>>,
    /// Whether this commit has created it.
    is_new: bool,
    /// What the new version was charged, and the place of its stripe among those that are held.
    charged: Charged,
    place: usize,
}

/// What a commit writes, as it comes to be: which keys, what becomes of them, and the versions
/// that were linked.
pub(super) struct Plan<'w, 'g> {
    targets: SmallVec<[Target<'w, 'g>; FEW]>,
    /// Which target each mutation changes.
    target_of: SmallVec<[u32; 8]>,
    /// Whether every mutation sets a value that does not expire: nothing depends on what is stored,
    /// then, nor on the time.
    is_lasting: bool,
    pub(super) install: Install<'g, Large>,
    pub(super) installed: SmallVec<[Installed<'g>; FEW]>,
}

/// A version that was linked, for the books.
pub(super) struct Installed<'g> {
    pub(super) record: RecordRef<'g, Large>,
    pub(super) version: VersionRef<'g, Large>,
    /// The place of its stripe among those that are held.
    pub(super) place: usize,
}

impl<'w> Plan<'w, '_> {
    pub(super) fn new() -> Self {
        Self {
            targets: SmallVec::new(),
            target_of: SmallVec::new(),
            is_lasting: true,
            install: Install::new(),
            installed: SmallVec::new(),
        }
    }

    /// Sees to it that so many mutations find room.
    #[inline]
    fn reserve(&mut self, count: usize) -> Result<()> {
        if count <= FEW {
            // As many find room in any case.
            return Ok(());
        }
        self.grow(count)
    }

    #[cold]
    fn grow(&mut self, count: usize) -> Result<()> {
        reserve(&mut self.targets, count)?;
        reserve(&mut self.target_of, count)?;
        self.reserve_installed(count)
    }

    /// Sees to it that so many versions can be linked.
    pub(super) fn reserve_installed(&mut self, count: usize) -> Result<()> {
        reserve(&mut self.installed, count)?;
        Ok(self.install.reserve(count)?)
    }

    /// Works out the versions that depend on what was looked up, or on what time it is.
    #[expect(
        clippy::inline_always,
        reason = "most often it is one comparison, in what is frequent"
    )]
    #[inline(always)]
    pub(super) fn apply(&mut self, write: &'w Write<'_>, time: &CommitTime<'_>) -> Result<()> {
        if self.is_lasting {
            return Ok(());
        }
        self.apply_in_order(write, time)
    }

    /// Applies the mutations, in order, to private copies of what was looked up.
    fn apply_in_order(&mut self, write: &'w Write<'_>, time: &CommitTime<'_>) -> Result<()> {
        let prepared = self.targets.iter_mut().map(|target| &mut target.prepared);
        for draft in prepared.flatten() {
            expire(draft, time);
        }
        let mut pending = SmallVec::<[_; FEW]>::new();
        reserve(&mut pending, self.targets.len())?;
        let stored = self.targets.iter().map(|target| time.stored(target.record));
        pending.extend(stored.map(Pending::stored));
        for (mutation, target) in write.mutations.iter().zip(&self.target_of) {
            pending[*target as usize].apply(&mutation.op, time)?;
        }
        for (target, pending) in self.targets.iter_mut().zip(&pending) {
            if target.prepared.is_none() {
                target.prepared = pending.draft(has_entry(target.record))?;
            }
        }
        Ok(())
    }
}

/// Whether a key has an entry, expired or not, by its record. The stripe of the key is locked.
pub(super) fn has_entry(record: Option<RecordRef<'_, Large>>) -> bool {
    record.is_some_and(RecordRef::has_entry)
}

impl Engine {
    /// Commits an atomic operation, or tells which checks failed.
    ///
    /// # Errors
    ///
    /// Whatever the limits refuse, and `TypeMismatch`; nothing has changed then.
    pub(crate) fn commit(&self, write: &Write<'_>) -> Result<Outcome> {
        if !write.is_plain(self.limits(), self.single) {
            return self.commit_closely(write);
        }
        self.turn.give_way();
        let mut calls = Calls::new();
        match self.commit_checked(write, &mut calls) {
            Err(refused) => self.commit_again(refused, write, &mut calls),
            done => {
                self.evict_ahead();
                done
            }
        }
    }

    /// The same for one of those that have to be looked at closely.
    #[cold]
    fn commit_closely(&self, write: &Write<'_>) -> Result<Outcome> {
        let commit = |write: &Write<'_>| {
            self.turn.give_way();
            let mut calls = Calls::new();
            self.with_room(|| self.commit_checked(write, &mut calls))
        };
        if self.weighs() {
            write.check_limits(self.limits(), self.limits().single())?;
            self.with_weights(write, commit)
        } else {
            write.check_all_limits(self.limits())?;
            commit(write)
        }
    }

    #[cold]
    fn commit_again(
        &self,
        refused: Error,
        write: &Write<'_>,
        calls: &mut Calls,
    ) -> Result<Outcome> {
        self.try_again(refused, || self.commit_checked(write, calls))
    }

    /// Commits what a transaction read and wrote. What it read is not bounded by the limits of
    /// atomic operations, what it writes is.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    pub(crate) fn commit_tracked(
        &self,
        write: &Write<'_>,
        reads: Option<&RangeReads>,
    ) -> Result<Outcome> {
        write.check_mutation_limits(self.limits())?;
        if self.weighs() {
            return self.with_weights(write, |weighed| self.commit_weighed(weighed, reads));
        }
        self.commit_weighed(write, reads)
    }

    /// The same, of what is within the limits, and weighed where that counts.
    fn commit_weighed(&self, write: &Write<'_>, reads: Option<&RangeReads>) -> Result<Outcome> {
        self.turn.give_way();
        let mut calls = Calls::new();
        if planted(Planted::UntrackedReads) {
            return self.commit_checked(&write.without_reads(), &mut calls);
        }
        self.with_room(|| self.commit_tracked_checked(write, reads, &mut calls))
    }

    fn commit_tracked_checked(
        &self,
        write: &Write<'_>,
        reads: Option<&RangeReads>,
        calls: &mut Calls,
    ) -> Result<Outcome> {
        match reads.filter(|reads| !reads.ranges.is_empty()) {
            reads if !write.versionstamped().is_empty() => {
                self.commit_versionstamped(write, reads, calls)
            }
            reads @ Some(_) if !write.enqueues().is_empty() => {
                self.commit_with_messages(write, reads, calls)
            }
            Some(reads) => self.commit_ranged(write, reads, None, &mut calls.woken),
            None => self.commit_checked(write, calls),
        }
    }

    /// Commits what is within the limits. Whoever is to be woken by it is added to `calls`, as in all
    /// of its kind: the caller may be pinned.
    pub(super) fn commit_checked(&self, write: &Write<'_>, calls: &mut Calls) -> Result<Outcome> {
        if !write.versionstamped().is_empty() {
            return self.commit_versionstamped(write, None, calls);
        }
        if !write.enqueues().is_empty() {
            return self.commit_with_messages(write, None, calls);
        }
        let woken = &mut calls.woken;
        match (&write.checks[..], &write.mutations[..]) {
            ([], [Mutation { key, op }]) => self.commit_single(None, key, op, woken),
            ([check], [Mutation { key, op }]) if check.key == *key => {
                self.commit_single(Some(check.expect), key, op, woken)
            }
            _ => self.commit_many(write, None, woken),
        }
    }

    /// Any number of checks and mutations, and what is handed over with them.
    pub(super) fn commit_many(
        &self,
        write: &Write<'_>,
        handover: Option<&mut Handover<'_>>,
        woken: &mut Woken,
    ) -> Result<Outcome> {
        for mutation in &write.mutations {
            self.prefetch(&mutation.key);
        }
        let guard = epoch::pin();
        // A block, because to drop a plan by a call is to copy it.
        let (stamp, makes_way) = {
            let mut plan = Plan::new();
            let mut stripes = StripeSet::default();
            self.plan(write, &mut plan, &mut stripes, &guard)?;
            let time = CommitTime::new(self);
            let mut failed = FailedChecks::new();
            let early = planted(Planted::UnlockedCheck).then(|| {
                let mut locked = Locked::new();
                self.stripes.lock(&stripes, &mut locked)?;
                self.failed_checks(write, &plan, &time, &mut failed, &guard)
            });
            let mut locked = Locked::new();
            self.stripes.lock(&stripes, &mut locked)?;

            self.look_up(&mut plan, &guard);
            early
                .unwrap_or_else(|| self.failed_checks(write, &plan, &time, &mut failed, &guard))?;
            if !failed.is_empty() {
                count_conflict(&mut locked);
                return Ok(Outcome::Conflict(failed));
            }
            plan.apply(write, &time)?;
            self.provide(&mut plan, &mut locked, &guard)?;
            self.link(&mut plan);
            let stamp = publish(handover, || plan.install.publish(&self.counter));
            let makes_way = self.finish_commit(&plan, stamp, &mut locked, woken, &guard);
            (stamp, makes_way)
        };
        self.tick(stamp, guard, makes_way);
        Ok(Outcome::Committed(Effects { stamp }))
    }

    /// The record of a key whose stripe is locked, given what was found before it was: most likely
    /// the same. The lookup, which also has the newest version brought near, is most of what a commit
    /// waits for, and before the locks, those of several keys wait together.
    pub(super) fn find_again<'g>(
        &self,
        found: Option<RecordRef<'g, Large>>,
        key: &Key,
        guard: &'g Guard,
    ) -> Option<RecordRef<'g, Large>> {
        // INDEXED: a record that has not been retired is the one of its key.
        // MODEL: life::commit_is_not_buried_with_what_it_found,
        // life::commit_is_not_taken_back_with_what_it_found.
        found
            .filter(|record| planted(Planted::StaleRecord) || !record.is_retired())
            .or_else(|| self.find(key, guard))
    }

    /// Works out all that needs no lock: the keys and their records, as it seems, the versions that
    /// can be known, the stripes.
    #[expect(
        clippy::inline_always,
        reason = "a part of `commit_many`; such calls are a fortieth of a transfer"
    )]
    #[inline(always)]
    pub(super) fn plan<'w, 'g>(
        &self,
        write: &'w Write<'_>,
        plan: &mut Plan<'w, 'g>,
        stripes: &mut StripeSet,
        guard: &'g Guard,
    ) -> Result<()> {
        plan.reserve(write.mutations.len())?;
        if write.checks.is_empty() && write.mutations.is_empty() {
            // An operation without keys mints a version and is counted like any other (A08), behind
            // a lock that it takes.
            stripes.insert(0);
        }
        for check in &write.checks {
            stripes.insert(self.stripe_of(check.key.hash_code()));
        }
        let mut known = (write.mutations.len() >= MAPPED_FROM).then(HashMap::new);
        if let Some(known) = &mut known {
            reserve(known, write.mutations.len())?;
        }
        for mutation in &write.mutations {
            let next = plan.targets.len();
            let index = if let Some(known) = &mut known {
                *known.entry(&mutation.key).or_insert(next)
            } else {
                let same = |target: &Target<'_, '_>| *target.key == mutation.key;
                plan.targets.iter().position(same).unwrap_or(next)
            };
            let prepared = if let Some(value) = mutation.op.lasting() {
                Some(payload::draft(value)?)
            } else {
                plan.is_lasting = false;
                prepare(&mutation.op)?
            };
            debug_assert!(plan.target_of.len() < plan.target_of.capacity());
            if index == next {
                debug_assert!(next < plan.targets.capacity());
                stripes.insert(self.stripe_of(mutation.key.hash_code()));
                plan.targets.push(Target {
                    key: &mutation.key,
                    prepared,
                    record: self.find(&mutation.key, guard),
                    is_new: false,
                    charged: Charged::default(),
                    place: 0,
                });
            } else {
                plan.targets[index].prepared = prepared;
            }
            // PANICS: never. Each of so many targets would take 40 bytes and more.
            let index = u32::try_from(index).expect("fewer than 2^32 keys");
            plan.target_of.push(index);
        }
        Ok(())
    }

    /// Finds what is stored under the keys to be written. Their stripes are locked.
    pub(super) fn look_up<'g>(&self, plan: &mut Plan<'_, 'g>, guard: &'g Guard) {
        for target in &mut plan.targets {
            target.record = self.find_again(target.record, target.key, guard);
        }
    }

    /// Lists the checks that do not hold. Their stripes are locked.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`, where they are many.
    #[expect(
        clippy::inline_always,
        reason = "a part of `commit_many`; such calls are a fortieth of a transfer"
    )]
    #[inline(always)]
    pub(super) fn failed_checks(
        &self,
        write: &Write<'_>,
        plan: &Plan<'_, '_>,
        time: &CommitTime<'_>,
        failed: &mut FailedChecks,
        guard: &Guard,
    ) -> Result<()> {
        for (index, check) in write.checks.iter().enumerate() {
            // What is checked is written, most of the time, and at the same place.
            let record = match plan.targets.get(index) {
                Some(target) if *target.key == check.key => target.record,
                _ => self.find(&check.key, guard),
            };
            let current = record.and_then(|record| time.current(record));
            if !check.expect.holds(current) {
                reserve(failed, 1)?;
                failed.push(index);
            }
        }
        Ok(())
    }

    /// Allocates all that is not allocated yet: records for the keys that have none, and room to note
    /// what is superseded. The stripes are locked. From here on nothing can be refused; where something
    /// is, nothing is left of it.
    #[expect(
        clippy::inline_always,
        reason = "a part of `commit_many`; such calls are a fortieth of a transfer"
    )]
    #[inline(always)]
    pub(super) fn provide<'g>(
        &self,
        plan: &mut Plan<'_, 'g>,
        locked: &mut Locked<'_, Stripe>,
        guard: &'g Guard,
    ) -> Result<()> {
        let count = plan.targets.len();
        let purpose = purpose_of_notes(plan.targets.iter().filter_map(|one| one.prepared.as_ref()));
        // Where there are few of both, room for all of them in each stripe is made soonest.
        let is_reserved = count <= FEW && locked.count() <= 2 * FEW;
        if is_reserved {
            for stripe in locked.iter_mut() {
                (stripe.sweep).reserve(count, purpose, &mut stripe.share)?;
            }
        }
        for index in 0..count {
            let target = &mut plan.targets[index];
            if let Err(refused) = self.provide_one(target, is_reserved, purpose, locked, guard) {
                let drafts = plan.targets.iter();
                let drafts = drafts.filter_map(|one| Some((one.prepared.as_ref()?, one.record)));
                let refused =
                    refused.wanting_entries(|| drafts.map(added_weight).map(u64::from).sum());
                self.uncreate(&plan.targets, locked, guard);
                return Err(refused);
            }
        }
        Ok(())
    }

    #[expect(
        clippy::inline_always,
        reason = "a part of `commit_many`; such calls are a fortieth of a transfer"
    )]
    #[inline(always)]
    fn provide_one<'g>(
        &self,
        target: &mut Target<'_, 'g>,
        is_reserved: bool,
        purpose: Purpose,
        locked: &mut Locked<'_, Stripe>,
        guard: &'g Guard,
    ) -> Result<()> {
        let Some(draft) = &target.prepared else {
            return Ok(());
        };
        target.place = locked.place(self.stripe_of(target.key.hash_code()));
        let stripe = locked.at(target.place);
        if !is_reserved {
            (stripe.sweep).reserve_another(purpose, &mut stripe.share)?;
        }
        target.charged = stripe.charge(draft, target.record)?;
        if target.record.is_none() {
            target.record = Some(self.create(stripe, target.key, guard)?);
            target.is_new = true;
        }
        Ok(())
    }

    /// Takes back records that were created for a commit that comes to nothing, the room that was
    /// reserved for it, and what it was charged for its versions, unless the epoch frees them.
    fn uncreate(&self, targets: &[Target<'_, '_>], locked: &mut Locked<'_, Stripe>, guard: &Guard) {
        for target in targets {
            let mut charged = target.charged;
            if target.prepared.is_none() {
                // It was linked, and the epoch frees it.
                charged.bytes = 0;
            }
            locked.at(target.place).refund(charged);
        }
        let is_kept = planted(Planted::KeptRecord);
        let created = targets.iter().filter(|target| target.is_new && !is_kept);
        for record in created.filter_map(|target| target.record) {
            self.remove_record(locked.stripe(self.stripe_of(record.hash())), record, guard);
        }
        unreserve(locked);
    }

    /// Links the new versions.
    pub(super) fn link(&self, plan: &mut Plan<'_, '_>) {
        for target in &mut plan.targets {
            let (Some(draft), Some(record)) = (target.prepared.take(), target.record) else {
                continue;
            };
            let is_torn = planted(Planted::TornBatch) && !plan.installed.is_empty();
            let version = if is_torn {
                publish_one(record, draft, &self.counter).1
            } else {
                plan.install.link(record, draft)
            };
            debug_assert!(plan.installed.len() < plan.installed.capacity());
            plan.installed.push(Installed {
                record,
                version,
                place: target.place,
            });
        }
    }

    /// Takes back everything that was linked, and the records that were created for it.
    pub(super) fn roll_back(
        &self,
        plan: Plan<'_, '_>,
        locked: &mut Locked<'_, Stripe>,
        guard: &Guard,
    ) {
        let mut deferred = plan.installed.len() as u64;
        if let Some(stripe) = locked.iter_mut().next() {
            plan.install.roll_back(stripe.share.freed(), guard);
        }
        self.uncreate(&plan.targets, locked, guard);
        for stripe in locked.iter_mut() {
            deferred += stripe.sweep.take_deferred();
        }
        self.deferred.add(deferred);
    }

    /// Enters a published commit into the books of the stripes, sweeps a little, unlocks, and clears
    /// up what was swept. Whether the commit should make way in its [`tick`](Self::tick), which is
    /// all that is left to do.
    pub(super) fn finish_commit(
        &self,
        plan: &Plan<'_, '_>,
        stamp: Stamp,
        locked: &mut Locked<'_, Stripe>,
        woken: &mut Woken,
        guard: &Guard,
    ) -> bool {
        for installed in &plan.installed {
            let Installed {
                record, version, ..
            } = *installed;
            locked.at(installed.place).settle(installed, stamp, woken);
            self.table(record.hash()).note_newest(record, version);
        }
        if plan.installed.len() < plan.targets.len() {
            // Keys that were not there were deleted. The others are told of once more, of no more.
            for target in &plan.targets {
                let stripe = self.stripe_of(target.key.hash_code());
                let stripe = locked.stripe(stripe);
                stripe.tell(target.key.as_bytes(), stamp, woken);
            }
        }
        if let Some(stripe) = locked.iter_mut().next() {
            stripe.counts.commit_count += 1;
        }
        let mut aftermath = Aftermath::new();
        for stripe in locked.iter_mut() {
            self.sweep_some(stripe, &mut aftermath, guard);
        }
        let makes_way = self.makes_way(stamp, plan.installed.len());
        locked.unlock();
        self.clear_up(&mut aftermath, guard);
        makes_way
    }

    /// A record for a key that has none. The stripe is that of the key, and locked.
    pub(super) fn create<'g>(
        &self,
        stripe: &mut Stripe,
        key: &Key,
        guard: &'g Guard,
    ) -> Result<RecordRef<'g, Large>> {
        let hash = key.hash_code();
        let size = RecordPtr::<Large>::size_for(key.as_bytes());
        let Stripe {
            occupancy, share, ..
        } = stripe;
        share.charge(size, Purpose::Growth)?;
        let record = RecordPtr::new(hash, key.as_bytes())
            .and_then(|record| {
                let inserted = self.table(hash).insert(occupancy, share, record, guard);
                inserted.map(|()| record)
            })
            .inspect_err(|_| share.refund(size))?;
        let record = record.get(guard);
        match self.index.insert(record.ptr(), guard) {
            Ok(deferred) => stripe.sweep.count_deferred(deferred),
            Err(refused) => {
                self.table(hash).remove(occupancy, share, record, guard);
                let deferred = retire(record, share.freed(), guard);
                stripe.sweep.count_deferred(deferred);
                return Err(refused.into());
            }
        }
        Ok(record)
    }

    /// What a commit does when it holds no lock any more and may have come to nothing: what it took
    /// back was handed to the epoch as well.
    pub(super) fn tick_refused(&self) {
        if self.deferred.is_due() {
            self.deferred.flush(&epoch::pin());
        }
    }

    /// The same as [`tick`](Self::tick) for whoever stays pinned and sees to the rest.
    pub(super) fn tick_pinned(&self, stamp: Stamp, guard: &Guard) {
        let is_grace_due = self.registry.is_grace_due(stamp);
        if is_grace_due || self.deferred.is_due() {
            self.turn_epoch(is_grace_due, guard);
        }
        self.maintenance.wake();
    }

    #[cold]
    pub(super) fn turn_epoch(&self, is_grace_due: bool, guard: &Guard) {
        if is_grace_due {
            self.registry.advance_grace(&self.counter, guard);
        }
        self.deferred.flush(guard);
    }

    /// What a commit does when it holds no lock any more: now and then it moves the grace on, and
    /// where that does not help, it lets others go first.
    #[inline]
    pub(super) fn tick(&self, stamp: Stamp, guard: Guard, makes_way: bool) {
        let is_grace_due = self.registry.is_grace_due(stamp);
        if is_grace_due || self.deferred.is_due() {
            self.turn_epoch(is_grace_due, &guard);
        }
        drop(guard);
        self.maintenance.wake();
        if self.time.is_running() {
            self.maintenance.wake_for_time();
        }
        if makes_way {
            pause(Duration::ZERO);
        }
    }
}

impl Stripe {
    /// Enters one linked version, now decided, into the books.
    pub(super) fn settle(&mut self, installed: &Installed<'_>, stamp: Stamp, woken: &mut Woken) {
        let Installed {
            record, version, ..
        } = *installed;
        self.counts.version_count += 1;
        // Nearly always one entry has taken the place of another.
        if !(payload::is_lasting(version) && record.has_lasting_entry()) {
            self.settle_change(record, version, stamp);
        } else if let Some(notes) = &self.notes {
            notes.visit(record);
        }
        if let Some(superseded) = Superseded::by(record, version, stamp) {
            if !superseded.is_tombstone() {
                self.counts.garbage_bytes += superseded.size();
            }
            self.sweep.push_superseded(superseded);
        }
        self.tell_change(installed, stamp, woken);
    }

    /// Enters what has come, gone, or will expire.
    #[inline(never)]
    fn settle_change(
        &mut self,
        record: RecordRef<'_, Large>,
        version: VersionRef<'_, Large>,
        stamp: Stamp,
    ) {
        let is_entry = !version.is_tombstone();
        if is_entry != record.has_entry() {
            record.set_has_entry(is_entry);
            if is_entry {
                self.counts.entry_count += 1;
            } else {
                self.counts.entry_count -= 1;
                if self.entries.is_some() {
                    self.refund_weight(weight_below(version));
                }
            }
            if let Some(notes) = &mut self.notes {
                notes.note(record, is_entry);
            }
        } else if let Some(notes) = self.notes.as_ref().filter(|_| is_entry) {
            notes.visit(record);
        }
        if !is_entry {
            self.counts.garbage_bytes += version.size();
            self.sweep.push_deleted(record, stamp);
        }
        if record.is_timed() || payload::is_prefixed(version) {
            self.settle_prefixed(record, version);
        }
    }

    #[cold]
    fn settle_prefixed(&mut self, record: RecordRef<'_, Large>, version: VersionRef<'_, Large>) {
        if record.is_timed() || payload::expires(version) {
            self.timers.settle(record, version);
        }
        if payload::is_weighed(version) {
            self.settle_weight(record, version);
        }
    }
}

pub(super) fn count_conflict(locked: &mut Locked<'_, Stripe>) {
    if let Some(stripe) = locked.iter_mut().next() {
        stripe.counts.conflict_count += 1;
    }
}

/// Gives back the room that was reserved for a commit that comes to nothing.
pub(super) fn unreserve(locked: &mut Locked<'_, Stripe>) {
    for stripe in locked.iter_mut() {
        stripe.sweep.unreserve();
        stripe.sweep.give_back_much(&mut stripe.share);
    }
}

#[cfg(test)]
mod tests;
