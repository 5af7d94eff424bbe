//! Sums of the numbers and bigints of JavaScript: pure.
//!
//! `u64`s are added by `mutation` alone. What comes here has an operand that is a V8 value, or
//! bounds, or should have: it is what a program or a client asked for, and may be nothing to
//! calculate with. That is found out before anything is read ([`BoundedSum::check`]).

use super::write::Op;
use crate::error::{Error, Result};
use crate::limits::Limits;
use crate::sync::reserve;
use crate::value::integer::Integer;
use crate::value::v8::{self, BIGINT_BYTES_MAX, Scalar};
use crate::value::{NewValue, ValueRef};

/// What is to be added, and between which bounds the result has to be. These are values as they
/// were given, because a key that is absent takes the operand so; to read one copies nothing.
#[derive(Clone, Debug)]
pub(crate) struct BoundedSum<'a> {
    pub(crate) operand: NewValue<'a>,
    pub(crate) min: Option<NewValue<'a>>,
    pub(crate) max: Option<NewValue<'a>>,
    /// Whether a result beyond a bound is brought back to it, and no error.
    pub(crate) is_clamped: bool,
}

/// What arithmetic has made of a stored value.
pub(super) enum Summed {
    U64(u64),
    /// A scalar, serialised.
    V8(Box<[u8]>),
}

/// A number of each kind that Deno KV knows.
enum Term<'a> {
    U64(u64),
    Number(f64),
    BigInt(Integer<'a>),
}

/// An operand and its bounds, all of one type.
struct Terms<T> {
    operand: T,
    min: Option<T>,
    max: Option<T>,
}

/// The same, of whichever type.
enum Parsed<'a> {
    Number(Terms<f64>),
    BigInt(Terms<Integer<'a>>),
}

impl<'a> Term<'a> {
    fn parse(value: ValueRef<'a>) -> Option<Self> {
        match value {
            ValueRef::U64(number) => Some(Self::U64(number)),
            ValueRef::V8(bytes) => Some(match Scalar::parse(bytes)? {
                Scalar::Number(number) => Self::Number(number),
                Scalar::BigInt(integer) => Self::BigInt(integer),
            }),
            ValueRef::Bytes(_) => None,
        }
    }

    /// As Deno names it.
    fn kind(&self) -> &'static str {
        match self {
            Self::U64(_) => "KvU64",
            Self::Number(_) => "Number",
            Self::BigInt(_) => "BigInt",
        }
    }

    fn number(self) -> Result<f64, &'static str> {
        match self {
            Self::Number(number) => Ok(number),
            other => Err(other.kind()),
        }
    }

    fn bigint(self) -> Result<Integer<'a>, &'static str> {
        match self {
            Self::BigInt(integer) => Ok(integer),
            other => Err(other.kind()),
        }
    }
}

impl<'a> BoundedSum<'a> {
    /// A sum of `u64`s without bounds is the plain one.
    pub(crate) fn into_op(self) -> Op<'a> {
        let expiry = self.operand.expiry();
        let op = match self.operand.as_ref() {
            ValueRef::U64(operand) if self.is_unbounded() => Op::Sum(operand),
            _ => Op::BoundedSum(Box::new(self)),
        };
        op.timed(expiry)
    }

    fn is_unbounded(&self) -> bool {
        self.min.is_none() && self.max.is_none() && !self.is_clamped
    }

    /// Refuses an operand that is nothing to calculate with, and bounds that do not go with it.
    ///
    /// # Errors
    ///
    /// `TypeMismatch` (S08, S10).
    #[cold]
    pub(super) fn check(&self) -> Result<()> {
        self.parse().map(drop)
    }

    fn parse(&self) -> Result<Parsed<'_>> {
        match parse(&self.operand, "operand")? {
            Term::U64(_) => Err(Error::bounded_u64()),
            Term::Number(operand) => self
                .terms(operand, "Number", Term::number)
                .map(Parsed::Number),
            Term::BigInt(operand) => self
                .terms(operand, "BigInt", Term::bigint)
                .map(Parsed::BigInt),
        }
    }

    fn terms<'s, T>(
        &'s self,
        operand: T,
        kind: &'static str,
        of_kind: fn(Term<'s>) -> Result<T, &'static str>,
    ) -> Result<Terms<T>> {
        let bound = |value: &'s Option<NewValue<'_>>, what| {
            let term = value.as_ref().map(|value| parse(value, what)).transpose()?;
            let bound = term.map(of_kind).transpose();
            bound.map_err(|got| Error::bound_of_another_type(got, kind))
        };
        Ok(Terms {
            operand,
            min: bound(&self.min, "lower bound")?,
            max: bound(&self.max, "upper bound")?,
        })
    }

    /// Adds to a stored value.
    ///
    /// # Errors
    ///
    /// `TypeMismatch` (S06 to S08), also where [`check`](Self::check) finds one; `SumOutOfRange`
    /// (S09); `ValueTooLarge` where the result is; `OutOfMemory`.
    pub(super) fn add_to(&self, stored: ValueRef<'_>, limits: &Limits) -> Result<Summed> {
        let parsed = self.parse()?;
        let stored = Term::parse(stored).ok_or_else(Error::stored_not_scalar)?;
        match (stored, parsed) {
            (Term::Number(stored), Parsed::Number(terms)) => {
                let sum = terms.within(stored + terms.operand, self.is_clamped)?;
                let encoded = v8::encode_number(sum);
                limits.check_value(encoded.len())?;
                Ok(Summed::V8(encoded.into()))
            }
            (Term::BigInt(stored), Parsed::BigInt(terms)) => {
                let mut digits = Vec::new();
                reserve(&mut digits, stored.sum_bytes_max(terms.operand))?;
                let sum = stored.add(terms.operand, &mut digits);
                encode(terms.within(sum, self.is_clamped)?, limits)
            }
            (Term::U64(stored), Parsed::BigInt(terms)) => match terms.operand.to_u64() {
                // As it was before there were sums of anything but `u64`s.
                Some(operand) if self.is_unbounded() => {
                    Ok(Summed::U64(stored.wrapping_add(operand)))
                }
                _ => Err(Error::cannot_sum("KvU64", "BigInt")),
            },
            (stored, Parsed::BigInt(_)) => Err(Error::cannot_sum(stored.kind(), "BigInt")),
            (stored, Parsed::Number(_)) => Err(Error::cannot_sum(stored.kind(), "Number")),
        }
    }
}

/// What a sum was given, as something to calculate with.
fn parse<'v>(value: &'v NewValue<'_>, what: &'static str) -> Result<Term<'v>> {
    Term::parse(value.as_ref()).ok_or_else(|| Error::not_v8_scalar(what))
}

/// A number as an error tells of it.
trait Told {
    fn told(&self) -> String;
}

impl Told for f64 {
    fn told(&self) -> String {
        format!("{self:?}")
    }
}

impl Told for Integer<'_> {
    fn told(&self) -> String {
        let magnitude = self.magnitude();
        let mut bytes = [0; size_of::<u128>()];
        let Some(digits) = bytes.get_mut(..magnitude.len()) else {
            return format!("a bigint of {} bytes", magnitude.len());
        };
        digits.copy_from_slice(magnitude);
        let sign = if self.is_negative() { "-" } else { "" };
        format!("{sign}{}", u128::from_le_bytes(bytes))
    }
}

impl<T: PartialOrd + Copy + Told> Terms<T> {
    /// The sum, if it is within the bounds, or else the bound. The lower one comes first, so where
    /// they contradict each other the upper one has the last word.
    fn within(&self, mut sum: T, is_clamped: bool) -> Result<T> {
        let clamp = |sum: T, side, bound: T| {
            let what = || format!("{} is {side} {}", sum.told(), bound.told());
            is_clamped
                .then_some(bound)
                .ok_or_else(|| Error::sum_out_of_range(what()))
        };
        // What is compared with NaN is not beyond it, and NaN is not beyond anything.
        if let Some(min) = self.min
            && sum < min
        {
            sum = clamp(sum, "below", min)?;
        }
        if let Some(max) = self.max
            && sum > max
        {
            sum = clamp(sum, "above", max)?;
        }
        Ok(sum)
    }
}

fn encode(sum: Integer<'_>, limits: &Limits) -> Result<Summed> {
    let bytes = v8::bigint_bytes(sum);
    limits.check_value(bytes)?;
    // Without such a limit, what V8 can read is one.
    if bytes > BIGINT_BYTES_MAX {
        return Err(Error::value_too_large(bytes, BIGINT_BYTES_MAX));
    }
    let mut encoded = Vec::new();
    reserve(&mut encoded, bytes)?;
    v8::encode_bigint(sum, &mut encoded);
    Ok(Summed::V8(encoded.into_boxed_slice()))
}
