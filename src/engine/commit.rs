//! Atomic operations: check, apply, publish.
//!
//! What can be refused is refused before a lock is taken; what can be allocated is allocated
//! before. Then the stripes of all keys are locked in ascending order, the checks are validated
//! against the newest versions, the mutations are applied in order to private copies, and only
//! when nothing can go wrong any more is anything linked (D1, A07): a failed check or an error
//! leaves no trace. `docs/design.md` has the argument, `mvcc::publish` the last step.
//!
//! The most frequent operation, one mutation with at most one check of the same key, has a path of
//! its own that locks one stripe and keeps no lists.

use super::mutation::Pending;
use super::payload::{self, Large};
use super::read::Hit;
use super::write::{Check, Mutation, Op, RangeReads, Write};
use super::{Engine, Stripe};
use crate::error::Result;
use crate::index::NODE_BYTES;
use crate::key::Key;
use crate::mvcc::chain::{Draft, RecordPtr, RecordRef, Unreachable, VersionRef};
use crate::mvcc::publish::{Install, publish_one};
use crate::mvcc::stripes::{Locked, StripeSet};
use crate::sync::epoch::{self, Guard};
use crate::value::Value;
use crate::version::Stamp;
use smallvec::SmallVec;
use std::collections::HashMap;

/// What a commit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Committed(Effects),
    /// These checks failed, by their index, ascending (A03); none where it was a range that
    /// changed. Nothing was minted or written (A02).
    Conflict(FailedChecks),
}

pub(crate) type FailedChecks = SmallVec<[usize; 4]>;

/// What a commit did, for those who have to be told once it holds no lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Effects {
    /// The stamp of everything that it wrote.
    pub(crate) stamp: Stamp,
}

/// From this many mutations on, those of one key are found with a map.
const MAPPED_FROM: usize = 16;

/// A key that a commit writes, each once, in the order of its first mutation.
struct Target<'w> {
    key: &'w Key,
    hash: u64,
    /// The new version, where it can be known beforehand: the last mutation is a set.
    prepared: Option<Draft<Large>>,
}

/// An atomic operation, as far as it can be worked out before anything is locked.
pub(super) struct Plan<'w> {
    checks: &'w [Check],
    mutations: &'w [Mutation<'w>],
    check_hashes: SmallVec<[u64; 4]>,
    targets: SmallVec<[Target<'w>; 4]>,
    /// Which target each mutation changes.
    target_of: SmallVec<[usize; 8]>,
    pub(super) stripes: StripeSet,
}

/// What is to become of a target.
pub(super) struct Change<'w, 'g> {
    record: Option<RecordRef<'g, Large>>,
    was_live: bool,
    pending: Pending<'w, 'g>,
}

pub(super) type Changes<'w, 'g> = SmallVec<[Change<'w, 'g>; 4]>;

/// A version that was linked, for the books.
pub(super) struct Installed<'g> {
    pub(super) record: RecordRef<'g, Large>,
    pub(super) version: VersionRef<'g, Large>,
    pub(super) was_live: bool,
    pub(super) is_new: bool,
}

/// What a commit of several keys holds on to until it is done.
pub(super) struct Links<'g> {
    pub(super) install: Install<'g, Large>,
    pub(super) installed: SmallVec<[Installed<'g>; 4]>,
}

impl Links<'_> {
    pub(super) fn new() -> Self {
        Self {
            install: Install::new(),
            installed: SmallVec::new(),
        }
    }
}

impl Engine {
    /// Commits an atomic operation, or tells which checks failed.
    ///
    /// # Errors
    ///
    /// Whatever the limits refuse, and `TypeMismatch`; nothing has changed then.
    pub(crate) fn commit(&self, write: &Write<'_>) -> Result<Outcome> {
        write.check_limits(self.limits())?;
        self.turn.give_way();
        self.commit_checked(write)
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
        self.turn.give_way();
        match reads {
            Some(reads) if !reads.ranges.is_empty() => self.commit_ranged(write, reads),
            _ => self.commit_checked(write),
        }
    }

    fn commit_checked(&self, write: &Write<'_>) -> Result<Outcome> {
        match (&write.checks[..], &write.mutations[..]) {
            ([], [mutation]) => self.commit_one(None, mutation),
            ([check], [mutation]) if check.key == mutation.key => {
                self.commit_one(Some(check), mutation)
            }
            _ => self.commit_many(write),
        }
    }

    /// One mutation, and perhaps a check of its key.
    fn commit_one(&self, check: Option<&Check>, mutation: &Mutation<'_>) -> Result<Outcome> {
        let key = mutation.key.as_bytes();
        let hash = self.hash(key);
        let prepared = prepare(&mutation.op);
        let guard = epoch::pin();
        let mut unreachable = Unreachable::new();
        let mut stripe = self.stripes.lock_one(self.stripe_of(hash));

        let record = self.find(hash, key, &guard);
        let head = record.and_then(RecordRef::settled_head);
        let live = head.filter(|(version, _)| !version.is_tombstone());
        if check.is_some_and(|check| !check.expect.holds(live.map(|(_, stamp)| stamp))) {
            stripe.counts.conflict_count += 1;
            return Ok(Outcome::Conflict(SmallVec::from_slice(&[0])));
        }
        let draft = match prepared {
            Some(draft) => Some(draft),
            None => {
                let mut pending =
                    Pending::Stored(live.and_then(|(version, _)| payload::view(version)));
                pending.apply(&mutation.op)?;
                finish(pending, live.is_some())
            }
        };
        let stamp = match draft {
            Some(draft) => {
                let is_new = record.is_none();
                let record = record.unwrap_or_else(|| self.create(&mut stripe, hash, key, &guard));
                let (stamp, version) = publish_one(record, draft, &self.counter);
                stripe.settle(
                    &Installed {
                        record,
                        version,
                        was_live: live.is_some(),
                        is_new,
                    },
                    stamp,
                );
                stamp
            }
            // Deleting a key that is not there (A09).
            None => self.counter.mint(),
        };
        stripe.counts.commit_count += 1;
        self.sweep_some(&mut stripe, &mut unreachable, &guard);
        drop(stripe);
        drop(unreachable);
        self.tick(stamp, &guard);
        Ok(Outcome::Committed(Effects { stamp }))
    }

    /// Any number of checks and mutations.
    fn commit_many(&self, write: &Write<'_>) -> Result<Outcome> {
        let mut plan = self.plan(write);
        let guard = epoch::pin();
        let mut unreachable = Unreachable::new();
        let mut locked = self.stripes.lock(&plan.stripes);

        let failed = self.failed_checks(&plan, &guard);
        if !failed.is_empty() {
            count_conflict(&mut locked);
            return Ok(Outcome::Conflict(failed));
        }
        let changes = self.apply(&plan, &guard)?;
        let mut links = Links::new();
        self.link(&mut plan, changes, &mut links, &mut locked, &guard);
        let stamp = links.install.publish(&self.counter);
        self.finish_commit(&links, stamp, &mut locked, &mut unreachable, &guard);
        drop(locked);
        drop(unreachable);
        self.tick(stamp, &guard);
        Ok(Outcome::Committed(Effects { stamp }))
    }

    /// Works out all that needs no lock.
    pub(super) fn plan<'w>(&self, write: &'w Write<'_>) -> Plan<'w> {
        let mut plan = Plan {
            checks: &write.checks,
            mutations: &write.mutations,
            check_hashes: SmallVec::new(),
            targets: SmallVec::new(),
            target_of: SmallVec::new(),
            stripes: StripeSet::default(),
        };
        for check in plan.checks {
            let hash = self.hash(check.key.as_bytes());
            plan.stripes.insert(self.stripe_of(hash));
            plan.check_hashes.push(hash);
        }
        let mut known = HashMap::with_hasher(self.hasher.clone());
        for mutation in plan.mutations {
            let next = plan.targets.len();
            let index = if plan.mutations.len() < MAPPED_FROM {
                let same = |target: &Target<'_>| *target.key == mutation.key;
                plan.targets.iter().position(same).unwrap_or(next)
            } else {
                *known.entry(mutation.key.as_bytes()).or_insert(next)
            };
            if index == next {
                let hash = self.hash(mutation.key.as_bytes());
                plan.stripes.insert(self.stripe_of(hash));
                plan.targets.push(Target {
                    key: &mutation.key,
                    hash,
                    prepared: None,
                });
            }
            plan.targets[index].prepared = prepare(&mutation.op);
            plan.target_of.push(index);
        }
        plan
    }

    /// The checks that do not hold. Their stripes are locked.
    pub(super) fn failed_checks(&self, plan: &Plan<'_>, guard: &Guard) -> FailedChecks {
        let checks = plan.checks.iter().zip(&plan.check_hashes);
        let failed = checks.enumerate().filter(|(_, (check, hash))| {
            let current = self
                .find(**hash, check.key.as_bytes(), guard)
                .and_then(RecordRef::settled_head)
                .filter(|(version, _)| !version.is_tombstone());
            !check.expect.holds(current.map(|(_, stamp)| stamp))
        });
        failed.map(|(index, _)| index).collect()
    }

    /// Applies the mutations, in order, to private copies. The stripes of their keys are locked.
    pub(super) fn apply<'w, 'g>(
        &self,
        plan: &Plan<'w>,
        guard: &'g Guard,
    ) -> Result<Changes<'w, 'g>> {
        let stored = plan.targets.iter().map(|target| {
            let record = self.find(target.hash, target.key.as_bytes(), guard);
            let head = record.and_then(RecordRef::settled_head);
            let stored = head.and_then(|(version, _)| payload::view(version));
            Change {
                record,
                was_live: stored.is_some(),
                pending: Pending::Stored(stored),
            }
        });
        let mut changes: Changes<'w, 'g> = stored.collect();
        for (mutation, target) in plan.mutations.iter().zip(&plan.target_of) {
            changes[*target].pending.apply(&mutation.op)?;
        }
        Ok(changes)
    }

    /// Links the new versions: from here on nothing can be refused.
    pub(super) fn link<'g>(
        &self,
        plan: &mut Plan<'_>,
        changes: Changes<'_, 'g>,
        links: &mut Links<'g>,
        locked: &mut Locked<'_, Stripe>,
        guard: &'g Guard,
    ) {
        for (target, change) in plan.targets.iter_mut().zip(changes) {
            let prepared = target.prepared.take();
            let Some(draft) = prepared.or_else(|| finish(change.pending, change.was_live)) else {
                continue;
            };
            let stripe = locked.stripe(self.stripe_of(target.hash));
            let is_new = change.record.is_none();
            let record = change
                .record
                .unwrap_or_else(|| self.create(stripe, target.hash, target.key.as_bytes(), guard));
            links.installed.push(Installed {
                record,
                version: links.install.link(record, draft),
                was_live: change.was_live,
                is_new,
            });
        }
    }

    /// Enters a published commit into the books of the stripes, and sweeps a little.
    pub(super) fn finish_commit(
        &self,
        links: &Links<'_>,
        stamp: Stamp,
        locked: &mut Locked<'_, Stripe>,
        unreachable: &mut Unreachable<Large>,
        guard: &Guard,
    ) {
        for installed in &links.installed {
            let stripe = self.stripe_of(installed.record.hash());
            locked.stripe(stripe).settle(installed, stamp);
        }
        if let Some(stripe) = locked.iter_mut().next() {
            stripe.counts.commit_count += 1;
        }
        for stripe in locked.iter_mut() {
            self.sweep_some(stripe, unreachable, guard);
        }
    }

    /// A record for a key that has none. The stripe is that of the key, and locked.
    fn create<'g>(
        &self,
        stripe: &mut Stripe,
        hash: u64,
        key: &[u8],
        guard: &'g Guard,
    ) -> RecordRef<'g, Large> {
        let record = RecordPtr::new(hash, key);
        self.table(hash)
            .insert(&mut stripe.occupancy, record, guard);
        self.index.insert(record, guard);
        let record = record.get(guard);
        stripe.counts.bytes += record.size() + NODE_BYTES;
        record
    }

    /// What a commit does when it holds no lock any more: now and then it moves the grace on.
    pub(super) fn tick(&self, stamp: Stamp, guard: &Guard) {
        if self.registry.is_grace_due(stamp) {
            self.registry.advance_grace(&self.counter, guard);
            guard.flush();
        }
        self.maintenance.wake();
    }
}

impl Stripe {
    /// Enters one linked version, now decided, into the books.
    fn settle(&mut self, installed: &Installed<'_>, stamp: Stamp) {
        let Installed {
            record, version, ..
        } = *installed;
        self.counts.version_count += 1;
        self.counts.bytes += version.size();
        let is_live = !version.is_tombstone();
        match (installed.was_live, is_live) {
            (false, true) => self.counts.entry_count += 1,
            (true, false) => self.counts.entry_count -= 1,
            _ => {}
        }
        if !installed.is_new {
            self.sweep.enqueue(record, stamp);
        }
    }
}

pub(super) fn count_conflict(locked: &mut Locked<'_, Stripe>) {
    if let Some(stripe) = locked.iter_mut().next() {
        stripe.counts.conflict_count += 1;
    }
}

/// The version that a mutation leads to whatever is stored, if there is such a one.
fn prepare(op: &Op<'_>) -> Option<Draft<Large>> {
    match op {
        Op::Set(value) => Some(payload::draft(value)),
        Op::Delete | Op::Sum(_) | Op::Min(_) | Op::Max(_) => None,
    }
}

/// What mutations that are not committed yet make of an entry.
pub(crate) enum Folded {
    /// Nothing: it is as it is stored.
    Stored,
    /// This value, or none.
    Value(Option<Value>),
}

/// Applies mutations to a copy of an entry.
pub(crate) fn fold(stored: Option<Hit<'_>>, ops: &[Op<'_>]) -> Result<Folded> {
    let mut pending = Pending::Stored(stored.map(Hit::view));
    for op in ops {
        pending.apply(op)?;
    }
    Ok(match pending {
        Pending::Stored(_) => Folded::Stored,
        Pending::Set(value) => Folded::Value(Some(value.clone().into())),
        Pending::Number(number) => Folded::Value(Some(Value::U64(number))),
        Pending::Deleted => Folded::Value(None),
    })
}

/// The version to link for the outcome of the mutations; none where a key that is not there was
/// deleted.
fn finish(pending: Pending<'_, '_>, was_live: bool) -> Option<Draft<Large>> {
    match pending {
        Pending::Set(value) => Some(payload::draft(value)),
        Pending::Number(number) => Some(payload::draft_u64(number)),
        Pending::Deleted => was_live.then(payload::draft_tombstone),
        Pending::Stored(_) => None,
    }
}
