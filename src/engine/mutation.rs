//! What a mutation makes of a key's value: pure.

use super::arithmetic::{BoundedSum, Summed};
use super::payload::{self, Large};
use super::timing::CommitTime;
use super::write::Op;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::moment::Moment;
use crate::mvcc::chain::{Draft, VersionRef};
use crate::sync::OutOfMemory;
use crate::value::{NewValue, Value, ValueRef};
use std::mem;

/// The entry of a key while a commit applies its mutations in order (spec 3.7).
pub(crate) struct Pending<'w, 'g> {
    content: Content<'w, 'g>,
    /// When it expires, if it does.
    deadline: Option<Moment>,
    is_changed: bool,
    /// What the mutation weighs that the value comes from; zero where nothing is weighed.
    weight: u32,
}

/// What a key holds.
enum Content<'w, 'g> {
    Nothing,
    /// What is stored.
    Stored(VersionRef<'g, Large>),
    /// The value of a mutation.
    Set(&'w NewValue<'w>),
    /// The result of arithmetic on `u64`s.
    Number(u64),
    /// The result of a sum of numbers or bigints, serialised.
    V8(Box<[u8]>),
}

impl Op<'_> {
    /// What arithmetic makes of a key that holds a `u64` that does not expire, or nothing. What
    /// [`Pending`] makes of it, in fewer steps; `None` where it takes those.
    #[inline]
    pub(super) fn combined(&self, stored: Option<VersionRef<'_, Large>>) -> Option<u64> {
        let (operand, combine): (_, fn(u64, u64) -> u64) = match self {
            Self::Sum(operand) => (*operand, u64::wrapping_add),
            Self::Min(operand) => (*operand, u64::min),
            Self::Max(operand) => (*operand, u64::max),
            _ => return None,
        };
        match stored {
            None => Some(operand),
            Some(version) => Some(combine(payload::lasting_u64(version)?, operand)),
        }
    }
}

impl<'w, 'g> Pending<'w, 'g> {
    /// What is stored, if it is an entry.
    pub(crate) fn stored(version: Option<VersionRef<'g, Large>>) -> Self {
        Self {
            content: version.map_or(Content::Nothing, Content::Stored),
            deadline: version.and_then(payload::deadline),
            is_changed: false,
            weight: 0,
        }
    }

    fn current(&self) -> Option<ValueRef<'_>> {
        match &self.content {
            Content::Nothing => None,
            Content::Stored(version) => payload::view(*version),
            Content::Set(value) => Some(value.as_ref()),
            Content::Number(number) => Some(ValueRef::U64(*number)),
            Content::V8(bytes) => Some(ValueRef::V8(bytes)),
        }
    }

    /// Applies one mutation.
    ///
    /// # Errors
    ///
    /// `TypeMismatch` where arithmetic meets a value that it does not fit (S02, S06 to S08), or has
    /// an operand that fits nothing; those of [`BoundedSum::add_to`].
    #[inline]
    pub(crate) fn apply(&mut self, op: &'w Op<'w>, time: &CommitTime<'_>) -> Result<()> {
        let (op, expiry) = match op {
            Op::Qualified(qualified) => {
                self.weight = qualified.weight;
                (&qualified.op, qualified.expiry)
            }
            op => (op, op.expiry()),
        };
        self.content = self.changed(op, time)?;
        self.deadline = if expiry == Expiry::NEVER || matches!(self.content, Content::Nothing) {
            None
        } else {
            time.deadline_of(expiry, self.deadline)
        };
        self.is_changed = true;
        Ok(())
    }

    #[inline]
    fn changed(&mut self, op: &'w Op<'w>, time: &CommitTime<'_>) -> Result<Content<'w, 'g>> {
        match op {
            Op::Set(value) => Ok(Content::Set(value)),
            Op::Delete => Ok(Content::Nothing),
            Op::Touch(_) => Ok(mem::replace(&mut self.content, Content::Nothing)),
            // A sum wraps: subtracting is adding the two's complement (S01).
            Op::Sum(operand) => self.combine("sum", *operand, u64::wrapping_add),
            Op::Min(operand) => self.combine("min", *operand, u64::min),
            Op::Max(operand) => self.combine("max", *operand, u64::max),
            Op::BoundedSum(sum) => self.sum(sum, time),
            Op::NotU64(operation) => Err(Error::operand_not_u64(operation)),
            Op::Qualified(_) => unreachable!("nothing is qualified twice"),
        }
    }

    #[inline]
    /// Combines the stored number with the operand; a key that is absent takes the operand (S04).
    fn combine(
        &self,
        operation: &'static str,
        operand: u64,
        combine: impl FnOnce(u64, u64) -> u64,
    ) -> Result<Content<'w, 'g>> {
        match self.current() {
            None => Ok(Content::Number(operand)),
            Some(ValueRef::U64(stored)) => Ok(Content::Number(combine(stored, operand))),
            Some(_) => Err(Error::stored_not_u64(operation)),
        }
    }

    /// Adds to the stored number or bigint; a key that is absent takes the operand, as it is and
    /// whatever the bounds (S11).
    #[cold]
    fn sum(&self, sum: &'w BoundedSum<'w>, time: &CommitTime<'_>) -> Result<Content<'w, 'g>> {
        let Some(stored) = self.current() else {
            sum.check()?;
            return Ok(Content::Set(&sum.operand));
        };
        Ok(match sum.add_to(stored, time.limits())? {
            Summed::U64(number) => Content::Number(number),
            Summed::V8(bytes) => Content::V8(bytes),
        })
    }

    /// The version to link; none where nothing was changed, and where a key that is not there was
    /// deleted.
    pub(super) fn draft(&self, was_there: bool) -> Result<Option<Draft<Large>>> {
        let draft = match (&self.content, self.deadline) {
            _ if !self.is_changed => return Ok(None),
            (Content::Nothing, _) if !was_there => return Ok(None),
            (Content::Nothing, _) => payload::draft_tombstone()?,
            (Content::Stored(version), deadline) => payload::draft_again(*version, deadline)?,
            _ if self.weight > 0 => self.draft_weighed()?,
            (Content::Set(value), None) => payload::draft(value)?,
            (Content::Set(value), Some(deadline)) => payload::draft_until(value, deadline)?,
            (Content::Number(number), None) => payload::draft_u64(*number)?,
            (Content::Number(number), Some(deadline)) => {
                payload::draft_until(&(*number).into(), deadline)?
            }
            (Content::V8(bytes), None) => payload::draft(&NewValue::v8(bytes))?,
            (Content::V8(bytes), Some(deadline)) => {
                payload::draft_until(&NewValue::v8(bytes), deadline)?
            }
        };
        Ok(Some(draft))
    }

    #[cold]
    fn draft_weighed(&self) -> Result<Draft<Large>, OutOfMemory> {
        let value = match &self.content {
            Content::Set(value) => value,
            Content::Number(number) => &NewValue::from(*number),
            Content::V8(bytes) => &NewValue::v8(bytes),
            Content::Nothing | Content::Stored(_) => unreachable!("it comes from no mutation"),
        };
        payload::draft_weighed(value, self.deadline, self.weight)
    }

    /// When the entry expires, if it does.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// The value, to keep; none where there is no entry.
    pub(crate) fn to_value(&self) -> Option<Value> {
        match &self.content {
            Content::Nothing => None,
            Content::Stored(version) => payload::value(*version),
            Content::Set(value) => Some((*value).clone().into()),
            Content::Number(number) => Some(Value::U64(*number)),
            Content::V8(bytes) => Some(ValueRef::V8(bytes).to_owned()),
        }
    }
}
