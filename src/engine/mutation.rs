//! What a mutation makes of a key's value: pure.

use super::payload::{self, Large};
use super::timing::CommitTime;
use super::write::Op;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::moment::Moment;
use crate::mvcc::chain::{Draft, VersionRef};
use crate::value::{NewValue, Value, ValueRef};

/// The entry of a key while a commit applies its mutations in order (spec 3.7).
#[derive(Clone, Copy)]
pub(crate) struct Pending<'w, 'g> {
    value: Content<'w, 'g>,
    /// When it expires, if it does.
    deadline: Option<Moment>,
    is_changed: bool,
}

/// What a key holds.
#[derive(Clone, Copy)]
enum Content<'w, 'g> {
    Nothing,
    /// What is stored.
    Stored(VersionRef<'g, Large>),
    /// The value of a mutation.
    Set(&'w NewValue<'w>),
    /// The result of arithmetic.
    Number(u64),
}

impl<'w, 'g> Pending<'w, 'g> {
    /// What is stored, if it is an entry.
    pub(crate) fn stored(version: Option<VersionRef<'g, Large>>) -> Self {
        Self {
            value: version.map_or(Content::Nothing, Content::Stored),
            deadline: version.and_then(payload::deadline),
            is_changed: false,
        }
    }

    fn current(&self) -> Option<ValueRef<'_>> {
        match self.value {
            Content::Nothing => None,
            Content::Stored(version) => payload::view(version),
            Content::Set(value) => Some(value.as_ref()),
            Content::Number(number) => Some(ValueRef::U64(number)),
        }
    }

    /// Applies one mutation.
    ///
    /// # Errors
    ///
    /// `TypeMismatch` where arithmetic meets a value that is not a `u64` (S02).
    pub(crate) fn apply(&mut self, op: &'w Op<'w>, time: &CommitTime<'_>) -> Result<()> {
        let value = match op {
            Op::Set(value) => Content::Set(value),
            Op::Delete => Content::Nothing,
            Op::Touch(_) if matches!(self.value, Content::Nothing) => return Ok(()),
            Op::Touch(_) => self.value,
            // A sum wraps: subtracting is adding the two's complement (S01).
            Op::Sum(operand) => self.combine("sum", *operand, u64::wrapping_add)?,
            Op::Min(operand) => self.combine("min", *operand, u64::min)?,
            Op::Max(operand) => self.combine("max", *operand, u64::max)?,
        };
        let expiry = op.expiry();
        *self = Self {
            value,
            deadline: if expiry == Expiry::Never {
                None
            } else {
                time.deadline_of(expiry, self.deadline)
            },
            is_changed: true,
        };
        Ok(())
    }

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

    /// The version to link; none where nothing was changed, and where a key that is not there was
    /// deleted.
    pub(super) fn draft(&self, was_there: bool) -> Result<Option<Draft<Large>>> {
        let is_new = self.is_changed;
        let draft = match (self.value, self.deadline) {
            (Content::Nothing, _) if is_new && was_there => payload::draft_tombstone()?,
            (Content::Set(value), None) => payload::draft(value)?,
            (Content::Set(value), Some(deadline)) => payload::draft_until(value, deadline)?,
            (Content::Number(number), None) => payload::draft_u64(number)?,
            (Content::Number(number), Some(deadline)) => {
                payload::draft_until(&number.into(), deadline)?
            }
            (Content::Stored(version), deadline) if is_new => {
                payload::draft_again(version, deadline)?
            }
            (Content::Nothing | Content::Stored(_), _) => return Ok(None),
        };
        Ok(Some(draft))
    }

    /// When the entry expires, if it does.
    pub(crate) fn deadline(&self) -> Option<Moment> {
        self.deadline
    }

    /// The value, to keep; none where there is no entry.
    pub(crate) fn to_value(self) -> Option<Value> {
        match self.value {
            Content::Nothing => None,
            Content::Stored(version) => payload::value(version),
            Content::Set(value) => Some(value.clone().into()),
            Content::Number(number) => Some(Value::U64(number)),
        }
    }
}
