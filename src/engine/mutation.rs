//! What a mutation makes of a key's value: pure.

use super::write::Op;
use crate::error::{Error, Result};
use crate::value::{NewValue, ValueRef};

/// The value of a key while a commit applies its mutations in order (spec 3.7).
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pending<'w, 'g> {
    /// Untouched so far: what is stored, if anything.
    Stored(Option<ValueRef<'g>>),
    /// Set to the value of a mutation.
    Set(&'w NewValue<'w>),
    /// The result of arithmetic.
    Number(u64),
    /// Deleted.
    Deleted,
}

impl<'w> Pending<'w, '_> {
    fn current(&self) -> Option<ValueRef<'_>> {
        match self {
            Self::Stored(stored) => *stored,
            Self::Set(value) => Some(value.as_ref()),
            Self::Number(number) => Some(ValueRef::U64(*number)),
            Self::Deleted => None,
        }
    }

    /// Applies one mutation.
    ///
    /// # Errors
    ///
    /// `TypeMismatch` where arithmetic meets a value that is not a `u64` (S02).
    pub(crate) fn apply(&mut self, op: &'w Op<'w>) -> Result<()> {
        *self = match op {
            Op::Set(value) => Self::Set(value),
            Op::Delete => Self::Deleted,
            // A sum wraps: subtracting is adding the two's complement (S01).
            Op::Sum(operand) => self.combine("sum", *operand, u64::wrapping_add)?,
            Op::Min(operand) => self.combine("min", *operand, u64::min)?,
            Op::Max(operand) => self.combine("max", *operand, u64::max)?,
        };
        Ok(())
    }

    /// Combines the stored number with the operand; a key that is absent takes the operand (S04).
    fn combine(
        &self,
        operation: &'static str,
        operand: u64,
        combine: impl FnOnce(u64, u64) -> u64,
    ) -> Result<Self> {
        match self.current() {
            None => Ok(Self::Number(operand)),
            Some(ValueRef::U64(stored)) => Ok(Self::Number(combine(stored, operand))),
            Some(_) => Err(Error::stored_not_u64(operation)),
        }
    }
}
