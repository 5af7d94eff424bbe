//! Arithmetic: what a sum adds, between which bounds, and the value that it comes to.

use crate::engine::arithmetic::BoundedSum;
use crate::engine::read::Hit;
use crate::engine::write::Op;
use crate::entry::Entry;
use crate::error::Result;
use crate::key::{BigInt, Key};
use crate::kv::Kv;
use crate::value::NewValue;

/// What [`AtomicOp::sum_with`](crate::AtomicOp::sum_with) adds: a `u64`, a number or a bigint of
/// JavaScript, and the bounds that the result has to keep.
///
/// Numbers are added to numbers, as the doubles that they are, and bigints to bigints, exactly
/// (S05). A bigint without bounds that is a `u64` is also added to a stored `u64` (S06). Any other
/// pair is refused.
///
/// ```
/// use kvick::{ErrorKind, Kv, NewValue, Sum};
///
/// let kv = Kv::new();
/// kv.set("temperature", NewValue::number(20.5))?;
/// let mut warmer = kv.atomic();
/// warmer.sum_with("temperature", Sum::number(0.5).at_most(21.0));
/// assert!(warmer.commit()?.is_committed());
/// assert_eq!(kv.get("temperature")?.as_number(), Some(21.0));
///
/// // Once more would be too warm.
/// assert_eq!(warmer.commit().unwrap_err().kind(), ErrorKind::SumOutOfRange);
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a sum does nothing until it is part of an operation"]
pub struct Sum<'a>(BoundedSum<'a>);

impl<'a> Sum<'a> {
    /// Adds a `u64`, modulo 2^64, to a `u64`: what [`AtomicOp::sum`](crate::AtomicOp::sum) does.
    /// It takes no bounds.
    pub fn u64(operand: u64) -> Self {
        Self::encoded(operand)
    }

    /// Adds a number. NaN and the infinities are added as the others are (S14).
    pub fn number(operand: f64) -> Self {
        Self::encoded(NewValue::number(operand))
    }

    /// Adds a bigint, or subtracts, if it is negative.
    ///
    /// ```
    /// use kvick::{BigInt, Kv, NewValue, Sum};
    ///
    /// let kv = Kv::new();
    /// kv.set("balance", NewValue::bigint(5))?;
    /// let outcome = kv
    ///     .atomic()
    ///     .sum_with("balance", Sum::bigint(-7).at_least(BigInt::from(0)).clamped())
    ///     .commit()?;
    /// assert!(outcome.is_committed());
    /// assert_eq!(kv.get("balance")?.as_bigint(), Some(BigInt::from(0)));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    pub fn bigint(operand: impl Into<BigInt>) -> Self {
        Self::encoded(NewValue::bigint(operand))
    }

    /// Adds what a client has sent, whatever it is. If it is nothing to calculate with, the commit
    /// fails with `TypeMismatch`, and before it looks at anything that is stored (S08).
    pub fn encoded(operand: impl Into<NewValue<'a>>) -> Self {
        Self(BoundedSum {
            operand: operand.into(),
            min: None,
            max: None,
            is_clamped: false,
        })
    }

    /// The least that the result may be, a value of the type of the operand: an `f64`, a
    /// [`BigInt`], or V8's bytes of one of them. A result below it is refused with `SumOutOfRange`
    /// (S09). One of another type is refused, and so is any for a `u64` (S10).
    ///
    /// An operand that takes the place of a missing key is not compared (S11).
    pub fn at_least(mut self, bound: impl Into<NewValue<'a>>) -> Self {
        self.0.min = Some(bound.into());
        self
    }

    /// The most that the result may be, like [`at_least`](Self::at_least).
    pub fn at_most(mut self, bound: impl Into<NewValue<'a>>) -> Self {
        self.0.max = Some(bound.into());
        self
    }

    /// Sets a result beyond a bound to that bound, where it would be refused (S09). Where the bounds
    /// contradict each other, the upper one counts.
    pub fn clamped(mut self) -> Self {
        self.0.is_clamped = true;
        self
    }

    /// Leaves the entry with the expiry that it had, where a sum makes it last otherwise (S12).
    ///
    /// For a counter that begins to run out when it is first added to, or each time that it is, the
    /// operand says so: [`Sum::encoded`] takes a value, and with it what that says by
    /// [`expire_in`](NewValue::expire_in).
    pub fn keep_expiry(mut self) -> Self {
        self.0.operand = self.0.operand.keep_expiry();
        self
    }

    pub(crate) fn into_op(self) -> Op<'a> {
        self.0.into_op()
    }

    /// The same sum, borrowing from nothing.
    pub(crate) fn into_owned(self) -> Sum<'static> {
        let Self(sum) = self;
        Sum(BoundedSum {
            operand: sum.operand.into_owned(),
            min: sum.min.map(NewValue::into_owned),
            max: sum.max.map(NewValue::into_owned),
            is_clamped: sum.is_clamped,
        })
    }
}

impl From<u64> for Sum<'_> {
    /// [`Sum::u64`].
    fn from(operand: u64) -> Self {
        Self::u64(operand)
    }
}

impl Kv {
    /// Adds to a `u64`, modulo 2^64, as [`AtomicOp::sum`](crate::AtomicOp::sum) does. The entry that this
    /// commit has left: the sum, and its version.
    ///
    /// Of several that add at once, each is given another sum.
    ///
    /// ```
    /// let kv = kvick::Kv::new();
    /// assert_eq!(kv.sum("next id", 1)?.as_u64(), Some(1));
    /// assert_eq!(kv.sum("next id", 1)?.as_u64(), Some(2));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// `TypeMismatch` if the key holds anything else; `KeyEmpty`, `KeyTooLarge`, `TotalTooLarge`,
    /// `TotalKeysTooLarge`; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has changed then.
    pub fn sum(&self, key: impl Into<Key>, operand: u64) -> Result<Entry> {
        self.calculate(key.into(), &Op::Sum(operand))
    }

    /// Adds a number or bigint of JavaScript, within bounds if there are any, as
    /// [`AtomicOp::sum_with`](crate::AtomicOp::sum_with) does. The entry that this commit has left.
    ///
    /// ```
    /// use kvick::{Kv, Sum};
    ///
    /// let kv = Kv::new();
    /// let sum = Sum::number(0.5).at_most(0.8).clamped();
    /// assert_eq!(kv.sum_with("share", sum.clone())?.as_number(), Some(0.5));
    /// assert_eq!(kv.sum_with("share", sum)?.as_number(), Some(0.8));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`sum`](Self::sum); `SumOutOfRange`, `ValueTooLarge`, `InvalidExpiry`.
    pub fn sum_with<'v>(&self, key: impl Into<Key>, sum: impl Into<Sum<'v>>) -> Result<Entry> {
        self.calculate(key.into(), &sum.into().into_op())
    }

    /// Lowers a `u64` to the operand if that is smaller, as [`AtomicOp::min`](crate::AtomicOp::min)
    /// does. The entry that this commit has left.
    ///
    /// # Errors
    ///
    /// Those of [`sum`](Self::sum).
    pub fn min(&self, key: impl Into<Key>, operand: u64) -> Result<Entry> {
        self.calculate(key.into(), &Op::Min(operand))
    }

    /// Raises a `u64` to the operand if that is larger, as [`AtomicOp::max`](crate::AtomicOp::max)
    /// does. The entry that this commit has left.
    ///
    /// # Errors
    ///
    /// Those of [`sum`](Self::sum).
    pub fn max(&self, key: impl Into<Key>, operand: u64) -> Result<Entry> {
        self.calculate(key.into(), &Op::Max(operand))
    }

    /// [`min`](Self::min) with an operand as a client sent it, and perhaps an expiry: by itself, what
    /// is written does not expire.
    ///
    /// ```
    /// use kvick::{Kv, NewValue};
    /// use std::time::Duration;
    ///
    /// let kv = Kv::new();
    /// kv.set("best", NewValue::from(12_u64).expire_in(Duration::from_secs(60)))?;
    /// let best = kv.min_with("best", NewValue::from(9_u64).keep_expiry())?;
    /// assert_eq!(best.as_u64(), Some(9));
    /// assert!(best.expires_in().is_some());
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`sum`](Self::sum), and `InvalidExpiry`; `TypeMismatch` also where the operand is
    /// anything but a `u64` (S03).
    pub fn min_with<'v>(
        &self,
        key: impl Into<Key>,
        operand: impl Into<NewValue<'v>>,
    ) -> Result<Entry> {
        self.calculate(key.into(), &Op::min(&operand.into()))
    }

    /// [`max`](Self::max) with an operand as a client sent it: see [`min_with`](Self::min_with).
    ///
    /// # Errors
    ///
    /// Those of [`min_with`](Self::min_with).
    pub fn max_with<'v>(
        &self,
        key: impl Into<Key>,
        operand: impl Into<NewValue<'v>>,
    ) -> Result<Entry> {
        self.calculate(key.into(), &Op::max(&operand.into()))
    }

    fn calculate(&self, key: Key, op: &Op<'_>) -> Result<Entry> {
        let engine = self.writer()?;
        let left = engine
            .timed(|| engine.commit_mutation_returning(&key, op, |left| left.map(Hit::to_owned)))?;
        Ok(Entry::found(key, left))
    }
}
