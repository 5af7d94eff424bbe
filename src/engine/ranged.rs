//! Commits that are validated after their mint, or behind every stripe: transactions that read
//! ranges, the deletion of a range.
//!
//! Checks lock the stripes of their keys, so they are exact. A range depends also on keys that do
//! not exist yet, which no stripe covers. There are two ways to see to those:
//!
//! - the *fine* way locks the stripes of the keys that are written and checked, links, mints, and
//!   then looks at the ranges again (`mvcc::publish`). It conflicts where something has changed,
//!   and gives up where another commit is in flight in a range, whose outcome it cannot know;
//! - the *exclusive* way locks every stripe. Nothing is in flight then, and one look decides.
//!
//! The fine way is tried first. The exclusive one ends the quarrel of two commits that each stand
//! in a range of the other.

use super::commit::{Effects, FailedChecks, Installed, Outcome, Plan, count_conflict, unreserve};
use super::handover::{Handover, publish, try_publish};
use super::payload::{self, Large};
use super::timing::CommitTime;
use super::write::{RangeReads, Write};
use super::{Engine, Stripe};
use crate::error::Result;
use crate::key::Bounds;
use crate::mvcc::chain::{Draft, RecordRef, VersionRef};
use crate::mvcc::notify::Woken;
use crate::mvcc::publish::{Install, Refused, Verdict};
use crate::mvcc::quota::Purpose;
use crate::mvcc::stripes::{Locked, StripeSet};
use crate::sync::epoch::{self, Guard};
use crate::sync::reserve;
use crate::version::Stamp;

/// What a range deletion is to link.
type Tombstones<'g> = Vec<(RecordRef<'g, Large>, Draft<Large>)>;

/// What came of the fine way.
pub(super) enum Fine {
    Done(Outcome),
    /// Others are in the way. Nothing has changed.
    Busy,
    /// The stamp that it was to have is gone. Nothing has changed.
    Gone,
}

/// What a commit depends on, besides its checks.
#[derive(Clone, Copy)]
pub(super) struct Terms<'r> {
    pub(super) reads: Option<&'r RangeReads>,
    /// The one stamp that it can have, if what it writes depends on it.
    pub(super) stamp: Option<Stamp>,
    /// Whether every stripe is locked.
    pub(super) is_exclusive: bool,
}

/// The verdict on a version that was read, unless that was an entry then and is no more: that is a
/// change too.
fn expired_since(
    version: Option<VersionRef<'_, Large>>,
    reads: &RangeReads,
    time: &CommitTime<'_>,
    verdict: Verdict,
) -> Verdict {
    match version {
        Some(version) if verdict == Verdict::Unchanged => {
            let has_expired = time.has_expired_since(version, reads.now);
            if has_expired {
                Verdict::Changed
            } else {
                verdict
            }
        }
        _ => verdict,
    }
}

impl Engine {
    /// Commits `write` if, besides its checks, the ranges hold what they held when they were read.
    pub(super) fn commit_ranged(
        &self,
        write: &Write<'_>,
        reads: &RangeReads,
        mut handover: Option<&mut Handover<'_>>,
        woken: &mut Woken,
    ) -> Result<Outcome> {
        let terms = Terms {
            reads: Some(reads),
            stamp: None,
            is_exclusive: false,
        };
        let mut locked = Locked::new();
        let fine = self.commit_fine(write, terms, handover.as_deref_mut(), &mut locked, woken)?;
        drop(locked);
        self.tick_refused();
        match fine {
            Fine::Done(outcome) => Ok(outcome),
            Fine::Busy | Fine::Gone => self.commit_exclusive(write, reads, handover, woken),
        }
    }

    /// Commits `write` on these terms, unless others are in the way. Locks its stripes, unless all of
    /// them are, and unlocks them when it has committed.
    pub(super) fn commit_fine<'e>(
        &'e self,
        write: &Write<'_>,
        terms: Terms<'_>,
        handover: Option<&mut Handover<'_>>,
        locked: &mut Locked<'e, Stripe>,
        woken: &mut Woken,
    ) -> Result<Fine> {
        let guard = epoch::pin();
        let mut plan = Plan::new();
        let mut stripes = StripeSet::default();
        self.plan(write, &mut plan, &mut stripes, &guard)?;
        let time = CommitTime::new(self);
        if !terms.is_exclusive {
            self.stripes.lock(&stripes, locked)?;
        }

        self.look_up(&mut plan, &guard);
        let mut failed = FailedChecks::new();
        self.failed_checks(write, &plan, &time, &mut failed, &guard)?;
        if !failed.is_empty() {
            count_conflict(locked);
            return Ok(Fine::Done(Outcome::Conflict(failed)));
        }
        // Behind every stripe nothing is in flight, and one look decides; otherwise the ranges are looked
        // at when everything is linked.
        let mut reads = terms.reads;
        if terms.is_exclusive
            && let Some(reads) = reads.take()
            && self.examine_settled(reads, &time, &guard) != Verdict::Unchanged
        {
            count_conflict(locked);
            return Ok(Fine::Done(Outcome::Conflict(failed)));
        }
        if let Err(refused) = plan.apply(write, &time) {
            // An error only if the ranges hold; otherwise a conflict. The exclusive way looks at
            // them first.
            return reads.map_or(Err(refused), |_| Ok(Fine::Busy));
        }
        // The ranges may want it, and then it is too late: the clock is the caller's code, and may panic;
        // what is provided or linked has to be published or taken back.
        time.read_ahead();
        self.provide(&mut plan, locked, &guard)?;
        self.link(&mut plan);
        let published = try_publish(handover, || match terms.stamp {
            Some(stamp) => plan.install.publish_at(stamp, &self.counter, |install| {
                self.validate(reads, install, &time, &guard)
            }),
            None => plan.install.publish_validated(&self.counter, |install| {
                self.validate(reads, install, &time, &guard)
            }),
        });
        let outcome = match published {
            Ok(stamp) => {
                let makes_way = self.finish_commit(&plan, stamp, locked, woken, &guard);
                drop(plan);
                // Behind every stripe its caller is still pinned, and would make others wait.
                self.tick(stamp, guard, makes_way && !terms.is_exclusive);
                return Ok(Fine::Done(Outcome::Committed(Effects { stamp })));
            }
            Err(Refused::Busy) => Fine::Busy,
            Err(Refused::Gone) => Fine::Gone,
            Err(Refused::Changed) => {
                count_conflict(locked);
                Fine::Done(Outcome::Conflict(FailedChecks::new()))
            }
        };
        self.roll_back(plan, locked, &guard);
        Ok(outcome)
    }

    fn commit_exclusive(
        &self,
        write: &Write<'_>,
        reads: &RangeReads,
        handover: Option<&mut Handover<'_>>,
        woken: &mut Woken,
    ) -> Result<Outcome> {
        let guard = epoch::pin();
        let mut plan = Plan::new();
        self.plan(write, &mut plan, &mut StripeSet::default(), &guard)?;
        let time = CommitTime::new(self);
        let mut locked = Locked::new();
        self.stripes.lock_all(&mut locked)?;

        self.look_up(&mut plan, &guard);
        let mut failed = FailedChecks::new();
        self.failed_checks(write, &plan, &time, &mut failed, &guard)?;
        let verdict = self.examine_settled(reads, &time, &guard);
        if !failed.is_empty() || verdict != Verdict::Unchanged {
            count_conflict(&mut locked);
            return Ok(Outcome::Conflict(failed));
        }
        plan.apply(write, &time)?;
        self.provide(&mut plan, &mut locked, &guard)?;
        self.link(&mut plan);
        let stamp = publish(handover, || plan.install.publish(&self.counter));
        let makes_way = self.finish_commit(&plan, stamp, &mut locked, woken, &guard);
        drop(plan);
        self.tick(stamp, guard, makes_way);
        Ok(Outcome::Committed(Effects { stamp }))
    }

    /// The verdict on the ranges, of a commit that has linked what it writes.
    fn validate<'g>(
        &'g self,
        reads: Option<&RangeReads>,
        install: &Install<'g, Large>,
        time: &CommitTime<'_>,
        guard: &'g Guard,
    ) -> Verdict {
        reads.map_or(Verdict::Unchanged, |reads| {
            self.examine(reads, guard, |record| {
                let verdict = install.examine(record, reads.at);
                expired_since(install.newest_other(record), reads, time, verdict)
            })
        })
    }

    /// The verdict on the ranges. Every stripe is locked, so nothing is in flight.
    fn examine_settled(&self, reads: &RangeReads, time: &CommitTime<'_>, guard: &Guard) -> Verdict {
        self.examine(reads, guard, |record| match record.settled_head() {
            Some((_, stamp)) if stamp > reads.at => Verdict::Changed,
            Some((newest, _)) => expired_since(Some(newest), reads, time, Verdict::Unchanged),
            None => Verdict::Unchanged,
        })
    }

    /// The first verdict on a record in the ranges that is not "unchanged".
    fn examine<'g>(
        &'g self,
        reads: &RangeReads,
        guard: &'g Guard,
        mut examine: impl FnMut(RecordRef<'g, Large>) -> Verdict,
    ) -> Verdict {
        let mut records = reads
            .ranges
            .iter()
            .flat_map(|bounds| self.records_in(bounds, guard));
        records
            .find_map(|record| match examine(record) {
                Verdict::Unchanged => None,
                verdict => Some(verdict),
            })
            .unwrap_or(Verdict::Unchanged)
    }

    /// Every record in an interval, whatever its versions.
    fn records_in<'g, 'b>(
        &'g self,
        bounds: &'b Bounds,
        guard: &'g Guard,
    ) -> impl Iterator<Item = RecordRef<'g, Large>> + use<'g, 'b> {
        self.index
            .ascend(&bounds.start, bounds.end.as_deref(), guard)
    }

    /// Deletes every entry in an interval, in one commit; how many there were, and its stamp.
    ///
    /// Takes every stripe: for as long as it takes to walk the interval, no other commit is under
    /// way, so its stamp says exactly which insertions into the interval came before it and which
    /// after. Readers go on.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`; nothing has changed then.
    pub(crate) fn delete_range(&self, bounds: &Bounds) -> Result<(usize, Effects)> {
        self.turn.give_way();
        let mut woken = Woken::new();
        let guard = epoch::pin();
        let mut locked = Locked::new();
        self.stripes.lock_all(&mut locked)?;

        let time = CommitTime::new(self);
        let (tombstones, expired_count) = self.tombstones(bounds, &time, &mut locked, &guard)?;
        let count = tombstones.len();
        let mut plan = Plan::new();
        if let Err(refused) = plan.reserve_installed(count) {
            unreserve(&mut locked);
            return Err(refused);
        }
        for (record, draft) in tombstones {
            let place = locked.place(self.stripe_of(record.hash()));
            // A tombstone, which is never refused.
            let _ = locked.at(place).charge(&draft, None);
            debug_assert!(plan.installed.len() < plan.installed.capacity());
            plan.installed.push(Installed {
                record,
                version: plan.install.link(record, draft),
                place,
            });
        }
        let stamp = plan.install.publish(&self.counter);
        // Also of keys that are not there.
        locked
            .iter_mut()
            .for_each(|stripe| stripe.loads.outdate_in(bounds));
        let makes_way = self.finish_commit(&plan, stamp, &mut locked, &mut woken, &guard);
        drop(plan);
        self.tick(stamp, guard, makes_way);
        Ok((count - expired_count, Effects { stamp }))
    }

    /// A tombstone for every entry in an interval, and room to note what each supersedes; and how
    /// many of them had expired. Every stripe is locked.
    fn tombstones<'g>(
        &'g self,
        bounds: &Bounds,
        time: &CommitTime<'_>,
        locked: &mut Locked<'_, Stripe>,
        guard: &'g Guard,
    ) -> Result<(Tombstones<'g>, usize)> {
        let mut tombstones = Vec::new();
        let mut expired_count = 0;
        for record in self.records_in(bounds, guard) {
            if !record.has_entry() {
                continue;
            }
            expired_count += usize::from(time.live(record).is_none());
            let stripe = locked.stripe(self.stripe_of(record.hash()));
            let ready = reserve(&mut tombstones, 1)
                .and_then(|()| {
                    stripe
                        .sweep
                        .reserve_another(Purpose::Removal, &mut stripe.share)
                })
                .and_then(|()| payload::draft_tombstone());
            match ready {
                Ok(draft) => tombstones.push((record, draft)),
                Err(refused) => {
                    unreserve(locked);
                    return Err(refused.into());
                }
            }
        }
        Ok((tombstones, expired_count))
    }
}
