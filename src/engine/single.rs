//! The most frequent operation: one mutation, with at most one check of the same key. It locks one
//! stripe and keeps no lists.
//!
//! Most of them set a value that does not expire, of a size that is within the limits as two
//! comparisons can tell. So that path is compiled for itself.

use super::charge::purpose_of_notes;
use super::commit::{Effects, FailedChecks, Installed, Outcome, has_entry};
use super::mutation::Pending;
use super::payload::{self, Large};
use super::sweep::Aftermath;
use super::timing::CommitTime;
use super::write::{Expect, Op, Qualified, check_single, check_single_closely, is_plain_single};
use super::{Engine, Stripe};
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::Key;
use crate::moment::Moment;
use crate::mvcc::chain::{Draft, RecordRef};
use crate::mvcc::notify::Woken;
use crate::mvcc::publish::publish_one;
use crate::sync::epoch::{self, Guard};
use crate::sync::{OutOfMemory, Planted, planted};
use crate::value::NewValue;
use crate::version::Stamp;

/// One mutation.
pub(super) trait Single {
    /// Whether it is still to be made, now that the stripe of its key is locked.
    #[inline]
    fn is_wanted(&self, _key: &Key, _stripe: &Stripe) -> bool {
        true
    }

    /// The version that it leads to whatever is stored, if there is such a one: [`prepare`].
    fn prepare(&self) -> Result<Option<Draft<Large>>, OutOfMemory>;

    /// Gives a version that was prepared its deadline, if it expires.
    fn expire(&self, draft: &mut Draft<Large>, time: &CommitTime<'_>);

    /// The version that it leads to where that depends on what is stored.
    fn apply(
        &self,
        record: Option<RecordRef<'_, Large>>,
        time: &CommitTime<'_>,
    ) -> Result<Option<Draft<Large>>>;
}

/// What the key of a mutation has to hold.
#[derive(Clone, Copy)]
pub(super) struct Condition {
    expect: Expect,
    /// Whether that it does not is a conflict with somebody.
    is_conflict: bool,
}

/// Sets a value that does not expire.
struct Lasting<'v>(&'v NewValue<'v>);

impl Single for Lasting<'_> {
    #[inline]
    fn prepare(&self) -> Result<Option<Draft<Large>>, OutOfMemory> {
        payload::draft(self.0).map(Some)
    }

    #[inline]
    fn expire(&self, _draft: &mut Draft<Large>, _time: &CommitTime<'_>) {}

    #[inline]
    fn apply(
        &self,
        _record: Option<RecordRef<'_, Large>>,
        _time: &CommitTime<'_>,
    ) -> Result<Option<Draft<Large>>> {
        unreachable!("it does not depend on what is stored")
    }
}

/// The same, of one that was weighed.
struct Weighed<'v> {
    value: &'v NewValue<'v>,
    weight: u32,
}

impl Single for Weighed<'_> {
    fn prepare(&self) -> Result<Option<Draft<Large>>, OutOfMemory> {
        payload::draft_weighed(self.value, None, self.weight).map(Some)
    }

    fn expire(&self, _draft: &mut Draft<Large>, _time: &CommitTime<'_>) {}

    fn apply(
        &self,
        _record: Option<RecordRef<'_, Large>>,
        _time: &CommitTime<'_>,
    ) -> Result<Option<Draft<Large>>> {
        unreachable!("it does not depend on what is stored")
    }
}

impl Single for Op<'_> {
    fn prepare(&self) -> Result<Option<Draft<Large>>, OutOfMemory> {
        prepare(self)
    }

    fn expire(&self, draft: &mut Draft<Large>, time: &CommitTime<'_>) {
        expire(draft, time);
    }

    fn apply(
        &self,
        record: Option<RecordRef<'_, Large>>,
        time: &CommitTime<'_>,
    ) -> Result<Option<Draft<Large>>> {
        let stored = time.stored(record);
        if let Some(number) = self.combined(stored) {
            return Ok(Some(payload::draft_u64(number)?));
        }
        let mut pending = Pending::stored(stored);
        pending.apply(self, time)?;
        pending.draft(has_entry(record))
    }
}

impl Engine {
    /// Sets a key.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    #[inline]
    pub(crate) fn set(&self, key: &Key, value: NewValue<'_>) -> Result<Stamp> {
        let is_plain = value.expiry() == Expiry::NEVER
            && (self.single).allows(key.as_bytes().len(), value.encoded_len());
        if !is_plain {
            return self.set_checked(key, value);
        }
        self.turn.give_way();
        let mut woken = Woken::new();
        match self.commit_one(None, key, &Lasting(&value), &mut woken) {
            Ok(stamp) => {
                self.evict_ahead();
                Ok(committed(stamp))
            }
            Err(refused) => self.set_again(refused, key, value, &mut woken),
        }
    }

    #[cold]
    fn set_again(
        &self,
        refused: Error,
        key: &Key,
        value: NewValue<'_>,
        woken: &mut Woken,
    ) -> Result<Stamp> {
        let op = Op::Set(value);
        let effects = self.try_again(refused, || self.commit_mutation_checked(key, &op, woken))?;
        Ok(effects.stamp)
    }

    #[cold]
    fn set_checked(&self, key: &Key, value: NewValue<'_>) -> Result<Stamp> {
        let effects = self.commit_mutation(key, &Op::Set(value))?;
        Ok(effects.stamp)
    }

    /// Commits one mutation.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    pub(crate) fn commit_mutation(&self, key: &Key, op: &Op<'_>) -> Result<Effects> {
        if !is_plain_single(key, op, self.single) {
            return self.commit_mutation_closely(key, op);
        }
        self.commit_mutation_allowed(key, op)
    }

    #[cold]
    fn commit_mutation_closely(&self, key: &Key, op: &Op<'_>) -> Result<Effects> {
        if !self.weighs() {
            check_single_closely(key, op, self.limits())?;
            return self.commit_mutation_allowed(key, op);
        }
        check_single(key, op, self.limits(), self.limits().single())?;
        let Some(value) = op.lasting() else {
            let weighed = self.weighed(key, op)?;
            return self.commit_mutation_allowed(key, weighed.as_ref().unwrap_or(op));
        };
        let weight = self.weigh(key, value.as_ref())?;
        self.turn.give_way();
        let (set, mut woken) = (Weighed { value, weight }, Woken::new());
        let stamp = self.with_room(|| self.commit_one(None, key, &set, &mut woken))?;
        let stamp = committed(stamp);
        Ok(Effects { stamp })
    }

    /// Commits one mutation that is within the limits, and weighed where that counts.
    fn commit_mutation_allowed(&self, key: &Key, op: &Op<'_>) -> Result<Effects> {
        self.turn.give_way();
        let mut woken = Woken::new();
        self.with_room(|| self.commit_mutation_checked(key, op, &mut woken))
    }

    #[inline]
    pub(super) fn commit_mutation_checked(
        &self,
        key: &Key,
        op: &Op<'_>,
        woken: &mut Woken,
    ) -> Result<Effects> {
        let stamp = committed(self.commit_one(None, key, op, woken)?);
        Ok(Effects { stamp })
    }

    /// Changes when an entry expires, if there is one.
    ///
    /// # Errors
    ///
    /// As [`commit`](Self::commit).
    pub(crate) fn touch(&self, key: &Key, expiry: Expiry) -> Result<Option<Effects>> {
        let op = Op::Touch(expiry);
        check_single(key, &op, self.limits(), self.single)?;
        self.turn.give_way();
        let condition = Condition {
            expect: Expect::Exists,
            // That there is nothing to touch is a conflict with nobody.
            is_conflict: false,
        };
        let mut woken = Woken::new();
        let stamp = self.with_room(|| self.commit_one(Some(condition), key, &op, &mut woken))?;
        Ok(stamp.map(|stamp| Effects { stamp }))
    }

    /// Commits one mutation, and perhaps a check of its key, within the limits.
    #[inline]
    pub(super) fn commit_single(
        &self,
        expect: Option<Expect>,
        key: &Key,
        op: &Op<'_>,
        woken: &mut Woken,
    ) -> Result<Outcome> {
        let condition = expect.map(|expect| Condition {
            expect,
            is_conflict: true,
        });
        let stamp = match op.lasting() {
            Some(value) => self.commit_one(condition, key, &Lasting(value), woken)?,
            None => self.commit_one(condition, key, op, woken)?,
        };
        Ok(match stamp {
            Some(stamp) => Outcome::Committed(Effects { stamp }),
            None => Outcome::Conflict(FailedChecks::from_slice(&[0])),
        })
    }

    /// Allocates and charges all that a version needs; its record. Where something is refused,
    /// nothing is left of it.
    #[inline]
    fn provide_single<'g>(
        &self,
        stripe: &mut Stripe,
        draft: &Draft<Large>,
        record: Option<RecordRef<'g, Large>>,
        key: &Key,
        guard: &'g Guard,
    ) -> Result<RecordRef<'g, Large>> {
        let purpose = purpose_of_notes(std::iter::once(draft));
        (stripe.sweep).reserve(1, purpose, &mut stripe.share)?;
        let charged = stripe.charge(draft, record)?;
        if let Some(record) = record {
            return Ok(record);
        }
        let created = self.create(stripe, key, guard);
        created.inspect_err(|_| stripe.refund(charged))
    }

    /// One mutation, and perhaps a check of its key; the stamp, or `None` where the check failed.
    pub(super) fn commit_one(
        &self,
        condition: Option<Condition>,
        key: &Key,
        mutation: &impl Single,
        woken: &mut Woken,
    ) -> Result<Option<Stamp>> {
        self.prefetch(key);
        let guard = epoch::pin();
        let found = self.find(key, &guard);
        let prepared = mutation.prepare()?;
        let time = CommitTime::new(self);
        let holds = |record: Option<RecordRef<'_, Large>>| {
            let current = || record.and_then(|record| time.current(record));
            condition.is_none_or(|condition| condition.expect.holds(current()))
        };
        let held = planted(Planted::UnlockedCheck).then(|| {
            let _stripe = self.stripes.lock_one(self.stripe_of(key.hash_code()));
            holds(self.find(key, &guard))
        });
        let (stamp, makes_way) = {
            let mut aftermath = Aftermath::new();
            let mut stripe = self.stripes.lock_one(self.stripe_of(key.hash_code()));
            stripe.sweep.prefetch();

            let record = self.find_again(found, key, &guard);
            if !held.unwrap_or_else(|| holds(record)) || !mutation.is_wanted(key, &stripe) {
                let is_conflict = condition.is_some_and(|condition| condition.is_conflict);
                stripe.counts.conflict_count += u64::from(is_conflict);
                return Ok(None);
            }
            let draft = if let Some(mut draft) = prepared {
                mutation.expire(&mut draft, &time);
                Some(draft)
            } else {
                mutation.apply(record, &time)?
            };
            let stamp = if let Some(draft) = draft {
                let record = self.provide_single(&mut stripe, &draft, record, key, &guard)?;
                let (stamp, version) = publish_one(record, draft, &self.counter);
                let installed = Installed {
                    record,
                    version,
                    place: 0,
                };
                stripe.settle(&installed, stamp, woken);
                self.table(record.hash()).note_newest(record, version);
                stamp
            } else {
                // Deleting a key that is not there (A09).
                let stamp = self.counter.mint();
                stripe.tell(key.as_bytes(), stamp, woken);
                stamp
            };
            stripe.counts.commit_count += 1;
            self.sweep_some(&mut stripe, &mut aftermath, &guard);
            let makes_way = self.makes_way(stamp, 1);
            drop(stripe);
            self.clear_up(&mut aftermath, &guard);
            (stamp, makes_way)
        };
        self.tick(stamp, guard, makes_way);
        Ok(Some(stamp))
    }
}

/// The stamp of a commit without checks.
#[inline]
fn committed(stamp: Option<Stamp>) -> Stamp {
    stamp.unwrap_or_else(|| unreachable!("a commit without checks has none that can fail"))
}

/// The version that a mutation leads to whatever is stored, if there is such a one. If it expires, it
/// is given its deadline by [`expire`].
#[inline]
pub(super) fn prepare(op: &Op<'_>) -> Result<Option<Draft<Large>>, OutOfMemory> {
    let value = match op {
        Op::Set(value) => value,
        Op::Qualified(qualified) => return prepare_weighed(qualified),
        _ => return Ok(None),
    };
    let draft = match (value.expiry(), value.expiry().time()) {
        (Expiry::NEVER, _) => payload::draft(value)?,
        (_, Some(after)) => payload::draft_expiring(value, after)?,
        // What is stored says when.
        (_, None) => return Ok(None),
    };
    Ok(Some(draft))
}

#[cold]
fn prepare_weighed(qualified: &Qualified<'_>) -> Result<Option<Draft<Large>>, OutOfMemory> {
    let (Op::Set(value), weight) = (&qualified.op, qualified.weight) else {
        return Ok(None);
    };
    let after = qualified.expiry.time();
    if after.is_none() && qualified.expiry != Expiry::NEVER {
        return Ok(None);
    }
    let after = after.map(|after| Moment::ZERO.after(after));
    payload::draft_weighed(value, after, weight).map(Some)
}

/// Gives a prepared version its deadline, if it expires.
#[inline]
pub(super) fn expire(draft: &mut Draft<Large>, time: &CommitTime<'_>) {
    if payload::will_expire(draft) {
        payload::start_expiring(draft, |after| time.deadline(after));
    }
}
