//! What a mutation makes of a value that is known outside of the engine.

use super::arithmetic::Summed;
use super::write::Op;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::value::{Value, ValueRef};

/// What is under a key that holds `current` once `op` is applied; `None` where there is no entry.
///
/// # Errors
///
/// Those of the commit: `TypeMismatch`, `SumOutOfRange`, `ValueTooLarge`, `OutOfMemory`.
pub(crate) fn preview(
    op: &Op<'_>,
    current: Option<ValueRef<'_>>,
    limits: &Limits,
) -> Result<Option<Value>> {
    match op {
        Op::Set(value) => Ok(Some(value.clone().into())),
        Op::Delete => Ok(None),
        Op::Touch(_) => Ok(current.map(ValueRef::to_owned)),
        Op::Qualified(qualified) => preview(&qualified.op, current, limits),
        Op::Sum(operand) => combine("sum", current, *operand, u64::wrapping_add),
        Op::Min(operand) => combine("min", current, *operand, u64::min),
        Op::Max(operand) => combine("max", current, *operand, u64::max),
        Op::NotU64(operation) => Err(Error::operand_not_u64(operation)),
        Op::BoundedSum(sum) => {
            let Some(stored) = current else {
                sum.check()?;
                return Ok(Some(sum.operand.clone().into()));
            };
            Ok(Some(match sum.add_to(stored, limits)? {
                Summed::U64(number) => Value::U64(number),
                Summed::V8(bytes) => ValueRef::V8(&bytes).to_owned(),
            }))
        }
    }
}

fn combine(
    operation: &'static str,
    current: Option<ValueRef<'_>>,
    operand: u64,
    combine: impl FnOnce(u64, u64) -> u64,
) -> Result<Option<Value>> {
    match current {
        None => Ok(Some(Value::U64(operand))),
        Some(ValueRef::U64(stored)) => Ok(Some(Value::U64(combine(stored, operand)))),
        Some(_) => Err(Error::stored_not_u64(operation)),
    }
}
