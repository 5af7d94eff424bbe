//! What a commit is asked to do: plain data.

use super::arithmetic::BoundedSum;
use crate::delivery::Delivery;
use crate::error::{Error, Result};
use crate::expiry::Expiry;
use crate::key::{Bounds, Key};
use crate::limits::{Limits, SingleLimits};
use crate::moment::Moment;
use crate::sync::reserve;
use crate::value::{NewValue, ValueRef};
use crate::version::{Stamp, Versionstamp};
use smallvec::SmallVec;
use std::iter;
use std::mem::ManuallyDrop;

/// What a check wants of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// No entry.
    Absent,
    /// An entry, of whatever version.
    Exists,
    /// An entry of this version.
    At(Stamp),
    /// No entry, or one of this version or an older one.
    NotNewer(Stamp),
    /// A version that no commit of an engine can have: the check fails.
    Impossible,
}

impl Expect {
    /// Whether an entry of this version, or the lack of one, is what is wanted (A01).
    pub(crate) fn holds(self, current: Option<Stamp>) -> bool {
        match self {
            Self::Absent => current.is_none(),
            Self::Exists => current.is_some(),
            Self::At(stamp) => current == Some(stamp),
            Self::NotNewer(stamp) => current.is_none_or(|current| current <= stamp),
            Self::Impossible => false,
        }
    }
}

/// A precondition on the version of one key.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
}

/// What a mutation does to its key.
#[derive(Clone, Debug)]
pub(crate) enum Op<'a> {
    Set(NewValue<'a>),
    Delete,
    /// Changes when the entry expires, if there is one, and nothing else.
    Touch(Expiry),
    /// A change with what it does not say itself. Boxed, as all that is rare.
    Qualified(Box<Qualified<'a>>),
    Sum(u64),
    Min(u64),
    Max(u64),
    /// A sum of anything but `u64`s, or with bounds. Boxed, because it is rare and large.
    BoundedSum(Box<BoundedSum<'a>>),
    /// A `min` or `max`, by its name, with an operand that is no `u64`. It is refused (S03).
    NotU64(&'static str),
}

/// A change, what is to become of the expiry, and what the entry weighs then.
#[derive(Clone, Debug)]
pub(crate) struct Qualified<'a> {
    /// None of these.
    pub(crate) op: Op<'a>,
    pub(crate) expiry: Expiry,
    /// Zero where nothing is weighed.
    pub(crate) weight: u32,
}

impl Op<'_> {
    /// The value that it sets, if that does not expire.
    #[inline]
    pub(super) fn lasting(&self) -> Option<&NewValue<'_>> {
        match self {
            Self::Set(value) if value.expiry() == Expiry::NEVER => Some(value),
            _ => None,
        }
    }

    /// What it does about the expiry of its entry.
    #[inline]
    pub(crate) fn expiry(&self) -> Expiry {
        match self {
            Self::Set(value) => value.expiry(),
            Self::Touch(expiry) => *expiry,
            Self::Qualified(qualified) => qualified.expiry,
            // Arithmetic makes an entry last (S12).
            _ => Expiry::NEVER,
        }
    }

    /// The same arithmetic, with this to become of the expiry.
    pub(super) fn timed(self, expiry: Expiry) -> Self {
        if expiry == Expiry::NEVER {
            return self;
        }
        let op = self;
        Self::Qualified(Box::new(Qualified {
            op,
            expiry,
            weight: 0,
        }))
    }

    /// What is weighed of it: the value that it sets, or its operand; none, where it comes with none.
    pub(super) fn weighed_value(&self) -> Option<ValueRef<'_>> {
        match self {
            Self::Set(value) => Some(value.as_ref()),
            Self::Sum(operand) | Self::Min(operand) | Self::Max(operand) => {
                Some(ValueRef::U64(*operand))
            }
            Self::BoundedSum(sum) => Some(sum.operand.as_ref()),
            Self::Qualified(qualified) => qualified.op.weighed_value(),
            Self::Delete | Self::Touch(_) | Self::NotU64(_) => None,
        }
    }

    /// The same change, of an entry that has this weight then.
    pub(super) fn with_weight(&self, weight: u32) -> Self {
        let op = match self {
            Self::Qualified(qualified) => &qualified.op,
            op => op,
        };
        Self::Qualified(Box::new(Qualified {
            op: op.clone(),
            expiry: self.expiry(),
            weight,
        }))
    }

    /// A `min`, where the operand is a `u64`. What it says about the expiry holds for the entry.
    pub(crate) fn min(operand: &NewValue<'_>) -> Self {
        let number = operand.as_ref().as_u64();
        let op = number.map_or(Self::NotU64("min"), Self::Min);
        op.timed(operand.expiry())
    }

    /// A `max`, where the operand is a `u64`. What it says about the expiry holds for the entry.
    pub(crate) fn max(operand: &NewValue<'_>) -> Self {
        let number = operand.as_ref().as_u64();
        let op = number.map_or(Self::NotU64("max"), Self::Max);
        op.timed(operand.expiry())
    }

    /// The bytes of the value that it carries, as the limits count them, where it takes no time to tell
    /// that this is a good one.
    #[inline]
    fn plain_bytes(&self) -> Option<usize> {
        match self {
            Self::Set(_) => self.lasting().map(NewValue::encoded_len),
            Self::Sum(_) | Self::Min(_) | Self::Max(_) => Some(size_of::<u64>()),
            Self::Delete => Some(0),
            _ => None,
        }
    }

    /// The bytes of the value that it carries, as the limits count them.
    ///
    /// # Errors
    ///
    /// `TypeMismatch` where that value is no operand of this operation, whatever is stored;
    /// `InvalidExpiry`.
    fn value_bytes(&self) -> Result<Option<usize>> {
        if let Some(time) = self.expiry().time()
            && time > Expiry::MAX
        {
            return Err(Error::expiry_too_large(time, Expiry::MAX));
        }
        match self {
            Self::BoundedSum(sum) => {
                sum.check()?;
                Ok(Some(sum.operand.encoded_len()))
            }
            Self::NotU64(operation) => Err(Error::operand_not_u64(operation)),
            Self::Qualified(qualified) => qualified.op.value_bytes(),
            Self::Set(value) => Ok(Some(value.encoded_len())),
            Self::Sum(_) | Self::Min(_) | Self::Max(_) => Ok(Some(size_of::<u64>())),
            Self::Delete | Self::Touch(_) => Ok(None),
        }
    }
}

/// A change of one key.
#[derive(Clone, Debug)]
pub(crate) struct Mutation<'a> {
    pub(crate) key: Key,
    pub(crate) op: Op<'a>,
}

/// A message, and how it is to be delivered.
#[derive(Clone, Debug)]
pub(crate) struct Enqueue<'a> {
    pub(crate) payload: NewValue<'a>,
    pub(crate) delivery: Delivery,
    /// What its entries weigh if it is undelivered, in the order of their keys; none, where nothing is
    /// weighed.
    pub(super) weights: Vec<u32>,
}

impl<'a> Enqueue<'a> {
    pub(crate) fn new(payload: NewValue<'a>, delivery: Delivery) -> Self {
        Self {
            payload,
            delivery,
            weights: Vec::new(),
        }
    }

    /// Refuses a message that goes beyond the limits as an operation by itself.
    pub(crate) fn check_single(&self, limits: &Limits) -> Result<()> {
        limits.check_mutations(1)?;
        self.delivery.check(limits)?;
        limits.check_total(self.check_payload(limits)?)
    }

    /// Refuses too large a payload; otherwise what it counts to the total of all bytes (L04).
    fn check_payload(&self, limits: &Limits) -> Result<usize> {
        let bytes = self.payload.encoded_len();
        limits.check_payload(bytes)?;
        Ok(bytes.saturating_add(self.delivery.limited_bytes()))
    }
}

/// Ranges that were read and must not have changed by the time of the commit.
#[derive(Clone, Debug)]
pub(crate) struct RangeReads {
    /// The snapshot that they were read at. It stays registered until the commit is done.
    pub(crate) at: Stamp,
    /// What the entries were judged by.
    pub(crate) now: Moment,
    pub(crate) ranges: Vec<Bounds>,
}

/// An atomic operation: checks, then mutations and messages, all or nothing.
#[derive(Clone, Debug)]
pub(crate) struct Write<'a> {
    pub(crate) checks: SmallVec<[Check; 4]>,
    pub(crate) mutations: SmallVec<[Mutation<'a>; 4]>,
    /// What most operations do not have, and so do not pay for.
    rest: Seldom<Rest<'a>>,
}

/// What is there so seldom that to drop it has to be one comparison, and no call.
#[derive(Clone, Debug)]
struct Seldom<T>(ManuallyDrop<Option<Box<T>>>);

impl<T> Seldom<T> {
    const NONE: Self = Self(ManuallyDrop::new(None));

    #[cold]
    fn clear(&mut self) {
        *self.0 = None;
    }
}

impl<T> Drop for Seldom<T> {
    #[inline]
    fn drop(&mut self) {
        if self.0.is_some() {
            self.clear();
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Rest<'a> {
    versionstamped: Vec<(usize, Key)>,
    /// The versionstamps of checks that no engine's version can meet, by index: those of another
    /// database, for which the operation may be.
    foreign: Vec<(usize, Versionstamp)>,
    enqueues: Vec<Enqueue<'a>>,
}

impl<'a> Write<'a> {
    /// Nothing yet. By a call, which makes it where it stays; inlined, it would be copied there whole.
    #[inline(never)]
    pub(crate) fn new() -> Self {
        Self {
            checks: SmallVec::new(),
            mutations: SmallVec::new(),
            rest: Seldom::NONE,
        }
    }

    /// Sees to it that so many more find room.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    #[inline]
    pub(crate) fn reserve(&mut self, checks: usize, mutations: usize) -> Result<()> {
        reserve(&mut self.checks, checks)?;
        Ok(reserve(&mut self.mutations, mutations)?)
    }

    /// The mutations whose keys end in the stamp of the commit, by index, and what these keys begin
    /// with. Until the stamp is known they end in zeros.
    #[inline]
    pub(crate) fn versionstamped(&self) -> &[(usize, Key)] {
        self.rest
            .0
            .as_ref()
            .map_or(&[], |rest| &rest.versionstamped)
    }

    #[inline]
    pub(crate) fn enqueues(&self) -> &[Enqueue<'a>] {
        self.rest.0.as_ref().map_or(&[], |rest| &rest.enqueues)
    }

    /// Adds messages.
    pub(crate) fn enqueue(&mut self, enqueues: impl IntoIterator<Item = Enqueue<'a>>) {
        let mut enqueues = enqueues.into_iter().peekable();
        if enqueues.peek().is_some() {
            let rest = self.rest.0.get_or_insert_default();
            rest.enqueues.extend(enqueues);
        }
    }

    /// Keeps the versionstamp that the next check asks for.
    #[cold]
    fn keep_foreign(&mut self, versionstamp: Versionstamp) {
        let index = self.checks.len();
        let rest = self.rest.0.get_or_insert_default();
        rest.foreign.push((index, versionstamp));
    }

    /// The versionstamps of checks that no engine's version can meet, by index.
    #[cfg(feature = "denokv")]
    pub(crate) fn foreign(&self) -> &[(usize, Versionstamp)] {
        self.rest.0.as_ref().map_or(&[], |rest| &rest.foreign)
    }

    /// Adds a check that a key is of this version, or missing.
    pub(crate) fn check(&mut self, key: &Key, versionstamp: Option<Versionstamp>) {
        let expect = match versionstamp {
            None => Expect::Absent,
            Some(versionstamp) => self.expect_at(versionstamp),
        };
        let check = || Check {
            key: key.clone(),
            expect,
        };
        self.checks.extend(iter::once_with(check));
    }

    /// What the next check asks for, which is this version.
    #[inline]
    pub(crate) fn expect_at(&mut self, versionstamp: Versionstamp) -> Expect {
        let expect = versionstamp.stamp().map_or(Expect::Impossible, Expect::At);
        if expect == Expect::Impossible {
            self.keep_foreign(versionstamp);
        }
        expect
    }

    /// Adds a mutation of the key that begins so, and ends in the stamp of the commit. Without a
    /// beginning it is that of the empty key, and refused as such.
    pub(crate) fn push_versionstamped(&mut self, prefix: &Key, op: Op<'a>) {
        let key = if prefix.is_empty() {
            prefix.clone()
        } else {
            let index = self.mutations.len();
            let rest = self.rest.0.get_or_insert_default();
            rest.versionstamped.push((index, prefix.clone()));
            prefix.join(Versionstamp::from(Stamp::ZERO))
        };
        self.mutations.push(Mutation { key, op });
    }

    /// The checks and mutations. Values are shared, not copied.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`.
    pub(super) fn without_messages(&self) -> Result<Self> {
        let mut write = Self::new();
        write.reserve(self.checks.len(), self.mutations.len())?;
        write.checks.extend(self.checks.iter().cloned());
        write.mutations.extend(self.mutations.iter().cloned());
        Ok(write)
    }

    /// Makes `write`, which is new, the same with other mutations and messages, as these make of them.
    ///
    /// # Errors
    ///
    /// `OutOfMemory`; theirs.
    pub(super) fn map_to(
        &self,
        write: &mut Self,
        mut op: impl FnMut(&Mutation<'a>) -> Result<Op<'a>>,
        enqueue: impl FnMut(&Enqueue<'a>) -> Result<Enqueue<'a>>,
    ) -> Result<()> {
        write.reserve(self.checks.len(), self.mutations.len())?;
        write.checks.extend(self.checks.iter().cloned());
        for mutation in &self.mutations {
            let key = mutation.key.clone();
            let op = op(mutation)?;
            write.mutations.push(Mutation { key, op });
        }
        if let Some(rest) = &*self.rest.0 {
            let mut mapped = Rest::default();
            reserve(&mut mapped.versionstamped, rest.versionstamped.len())?;
            mapped
                .versionstamped
                .extend_from_slice(&rest.versionstamped);
            reserve(&mut mapped.enqueues, rest.enqueues.len())?;
            for enqueued in rest.enqueues.iter().map(enqueue) {
                mapped.enqueues.push(enqueued?);
            }
            *write.rest.0 = Some(Box::new(mapped));
        }
        Ok(())
    }

    /// The keys of the mutations, in their order, of a commit with this stamp.
    pub(super) fn keys_at(&self, stamp: Stamp) -> impl Iterator<Item = Key> {
        let mut versionstamped = self.versionstamped().iter().peekable();
        (0..).zip(&self.mutations).map(move |(index, mutation)| {
            let ending = versionstamped.next_if(|(ending, _)| *ending == index);
            match ending {
                Some((_, prefix)) => prefix.join(Versionstamp::from(stamp)),
                None => mutation.key.clone(),
            }
        })
    }

    /// Has the keys that these begin, of the mutations with these indexes, end in a stamp.
    pub(super) fn end_keys(&mut self, versionstamped: &[(usize, Key)], stamp: Stamp) {
        for (index, prefix) in versionstamped {
            self.mutations[*index].key = prefix.join(Versionstamp::from(stamp));
        }
    }

    /// The same without the checks of keys that it does not write.
    pub(super) fn without_reads(&self) -> Self {
        let mut write = self.clone();
        let mutations = &self.mutations;
        let is_written = |check: &Check| mutations.iter().any(|written| written.key == check.key);
        write.checks.retain(|check| is_written(check));
        write
    }

    /// Refuses what goes beyond the limits, in the order of spec 7, and operands that fit nothing.
    #[inline]
    pub(crate) fn check_limits(&self, limits: &Limits, single: SingleLimits) -> Result<()> {
        if self.is_plain(limits, single) {
            return Ok(());
        }
        self.check_all_limits(limits)
    }

    /// Whether this is one of those of which that can be told without looking closely. Nearly all are.
    #[expect(
        clippy::inline_always,
        reason = "some loops of a few steps; a call is a hundredth of the commit"
    )]
    #[inline(always)]
    pub(super) fn is_plain(&self, limits: &Limits, single: SingleLimits) -> bool {
        let mut total_bytes = 0;
        let mut key_bytes = 0;
        for check in &self.checks {
            let len = check.key.as_bytes().len();
            total_bytes += len;
            if !single.allows(len, 0) {
                return false;
            }
        }
        for Mutation { key, op } in &self.mutations {
            let len = key.as_bytes().len();
            let Some(value_bytes) = op.plain_bytes() else {
                return false;
            };
            key_bytes += len;
            total_bytes += 2 * len + value_bytes;
            if !single.allows(len, value_bytes) {
                return false;
            }
        }
        self.enqueues().is_empty()
            && self.checks.len() <= limits.checks_max
            && self.mutations.len() <= limits.mutations_max
            && total_bytes <= limits.total_bytes_max
            && key_bytes <= limits.total_key_bytes_max
    }

    #[cold]
    pub(super) fn check_all_limits(&self, limits: &Limits) -> Result<()> {
        limits.check_checks(self.checks.len())?;
        self.check_counts(limits)?;
        for check in &self.checks {
            limits.check_key_write(check.key.as_bytes().len())?;
        }
        let check_bytes = self.checks.iter().map(|check| check.key.as_bytes().len());
        self.check_mutations(limits, check_bytes.sum())
    }

    /// Refuses mutations that go beyond the limits, whatever the number of checks, and operands
    /// that fit nothing.
    pub(crate) fn check_mutation_limits(&self, limits: &Limits) -> Result<()> {
        self.check_counts(limits)?;
        self.check_mutations(limits, 0)
    }

    /// Mutations and messages are counted together (L03).
    fn check_counts(&self, limits: &Limits) -> Result<()> {
        limits.check_mutations(self.mutations.len() + self.enqueues().len())?;
        let mut enqueues = self.enqueues().iter();
        enqueues.try_for_each(|enqueue| enqueue.delivery.check(limits))
    }

    /// A key counts once for its mutation, and again, with the value, where there is one (L03).
    fn check_mutations(&self, limits: &Limits, check_bytes: usize) -> Result<()> {
        let mut total_bytes = check_bytes;
        let mut key_bytes = 0;
        for mutation in &self.mutations {
            let (total, keys) = check_sizes(&mutation.key, &mutation.op, limits)?;
            total_bytes += total;
            key_bytes += keys;
        }
        for enqueue in self.enqueues() {
            total_bytes = total_bytes.saturating_add(enqueue.check_payload(limits)?);
        }
        limits.check_total(total_bytes)?;
        limits.check_total_keys(key_bytes)
    }
}

/// Refuses a mutation that goes beyond the limits as an operation by itself, or that has an operand
/// that fits nothing.
#[inline]
pub(crate) fn check_single(
    key: &Key,
    op: &Op<'_>,
    limits: &Limits,
    single: SingleLimits,
) -> Result<()> {
    if is_plain_single(key, op, single) {
        Ok(())
    } else {
        check_single_closely(key, op, limits)
    }
}

/// Whether a mutation by itself is one of those of which it can be told without looking closely that they
/// are within the limits.
#[inline]
pub(super) fn is_plain_single(key: &Key, op: &Op<'_>, single: SingleLimits) -> bool {
    let bytes = op.plain_bytes();
    bytes.is_some_and(|bytes| single.allows(key.as_bytes().len(), bytes))
}

#[cold]
pub(super) fn check_single_closely(key: &Key, op: &Op<'_>, limits: &Limits) -> Result<()> {
    limits.check_mutations(1)?;
    let (total_bytes, key_bytes) = check_sizes(key, op, limits)?;
    limits.check_total(total_bytes)?;
    limits.check_total_keys(key_bytes)
}

/// Refuses too large a key or value, and an operand that fits nothing; otherwise what they count to
/// the totals of all bytes and of keys.
fn check_sizes(key: &Key, op: &Op<'_>, limits: &Limits) -> Result<(usize, usize)> {
    let len = key.as_bytes().len();
    limits.check_key_write(len)?;
    let Some(value_bytes) = op.value_bytes()? else {
        return Ok((len, 0));
    };
    limits.check_value(value_bytes)?;
    Ok((2 * len + value_bytes, len))
}
