//! How much memory an engine may take, and how much of that is taken.
//!
//! A [`Quota`] is one word, and everything that is allocated is drawn from it first: so no more is
//! ever taken than the limit says, whatever the threads do (LIMIT). Commits do not meet there each
//! time. The stripes draw larger pieces, and each has, behind its lock, a [`Share`] of what it has
//! drawn and not used; a commit most often pays a comparison and two additions. (The idea is that of
//! escrow: O'Neil, "The Escrow Transactional Method", 1986.) What belongs to no stripe is drawn by a
//! [`Meter`], exactly.
//!
//! What the epoch frees is freed behind no lock, by whichever thread comes by: it is told to the
//! [`Freed`] of a stripe, which takes it over when it needs it.

use crate::sync::{AtomicU64, CachePadded, Ordering, OutOfMemory, Planted, RefusedBy, planted};
use std::mem;
use std::sync::Arc;

/// The share of a limit that is kept for what makes room: one in this many.
const RESERVE_SHARE: u64 = 64;

/// What the stripes have drawn together, and do not use, is at most about one in so many of the limit.
const SLACK_SHARE: u64 = 32;

/// A stripe draws at least so much, unless there is less.
const PIECE_MIN: u64 = 256;

/// As much as it draws where nothing is limited: it never comes back for more.
const PIECE_MAX: u64 = 1 << 40;

/// The most that it draws of a limit.
const LIMITED_PIECE_MAX: u64 = 1 << 16;

/// What memory is drawn for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// To hold more. A part of the limit is kept from it.
    Growth,
    /// To hold as much as before, once what it takes the place of is freed. It may use that part.
    Replacement,
    /// To hold less, in the end: the note that something is gone. It is never refused.
    Removal,
}

/// What is taken of a limit.
#[derive(Debug)]
pub(crate) struct Quota {
    /// What is limited.
    of: RefusedBy,
    taken: CachePadded<AtomicU64>,
    limits: CachePadded<LimitWords>,
}

/// Written when the limit is changed, and read by those who draw.
#[derive(Debug)]
struct LimitWords {
    limit: AtomicU64,
    piece: AtomicU64,
}

impl Quota {
    /// A limit of so many bytes, which so many stripes draw on; `u64::MAX` for none.
    pub(crate) fn new(limit: u64, stripes: usize) -> Self {
        let quota = Self {
            of: RefusedBy::MemoryLimit,
            taken: CachePadded::new(AtomicU64::new(0)),
            limits: CachePadded::new(LimitWords {
                limit: AtomicU64::new(limit),
                piece: AtomicU64::new(0),
            }),
        };
        quota.set_limit(limit, stripes);
        quota
    }

    /// A limit of so many entries.
    pub(crate) fn of_entries(limit: u64, stripes: usize) -> Self {
        let mut quota = Self::new(limit, stripes);
        quota.of = RefusedBy::EntryLimit;
        quota.set_limit(limit, stripes);
        quota
    }

    /// Changes the limit. What is taken already stays so.
    pub(crate) fn set_limit(&self, limit: u64, stripes: usize) {
        let piece = if self.of == RefusedBy::EntryLimit {
            // Exactly, however few there are.
            1
        } else if limit == u64::MAX {
            PIECE_MAX
        } else {
            (limit / SLACK_SHARE / stripes as u64).clamp(PIECE_MIN, LIMITED_PIECE_MAX)
        };
        // ORDERING: Relaxed, both. Whoever draws meanwhile does so by the old limit or the new one.
        self.limits.piece.store(piece, Ordering::Relaxed);
        // ORDERING: Relaxed, as above.
        self.limits.limit.store(limit, Ordering::Relaxed);
    }

    pub(crate) fn limit(&self) -> u64 {
        // ORDERING: Relaxed, as in `set_limit`.
        self.limits.limit.load(Ordering::Relaxed)
    }

    /// What is taken: used, or drawn by the stripes.
    pub(crate) fn taken(&self) -> u64 {
        // ORDERING: Relaxed. The number publishes nothing but itself.
        self.taken.load(Ordering::Relaxed)
    }

    /// What can be drawn to hold more.
    pub(crate) fn left(&self) -> u64 {
        self.limit_for(Purpose::Growth).saturating_sub(self.taken())
    }

    /// The most that can be drawn at once to hold more.
    pub(crate) fn most(&self) -> u64 {
        self.limit_for(Purpose::Growth)
    }

    /// How much more is taken than can be drawn to hold more.
    pub(crate) fn beyond(&self) -> u64 {
        self.taken().saturating_sub(self.limit_for(Purpose::Growth))
    }

    fn limit_for(&self, purpose: Purpose) -> u64 {
        let limit = self.limit();
        match purpose {
            Purpose::Growth if limit == u64::MAX || self.of == RefusedBy::EntryLimit => limit,
            Purpose::Growth => limit - limit / RESERVE_SHARE,
            Purpose::Replacement => limit,
            Purpose::Removal => u64::MAX,
        }
    }

    /// Takes so much, or more, up to `wanted`, where there is as much to hold more; how much that is.
    fn take(&self, bytes: u64, wanted: u64, purpose: Purpose) -> Result<u64, OutOfMemory> {
        let [limit, limit_for_growth] = [purpose, Purpose::Growth].map(|of| self.limit_for(of));
        let mut taken = self.taken();
        loop {
            if limit.saturating_sub(taken) < bytes {
                return Err(OutOfMemory::of_limit(bytes, self.of));
            }
            let left = limit_for_growth.saturating_sub(taken);
            let drawn = wanted.min(left).max(bytes);
            if planted(Planted::LooseQuota) {
                // ORDERING: any: between the look and this, others draw as well.
                self.taken.fetch_add(drawn, Ordering::Relaxed);
                return Ok(drawn);
            }
            // LIMIT: the look and the change are one. MODEL: quota::no_more_is_drawn_than_there_is.
            // ORDERING: Relaxed. The number publishes nothing but itself.
            match self.taken.compare_exchange(
                taken,
                taken.saturating_add(drawn),
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => return Ok(drawn),
                Err(now) => taken = now,
            }
        }
    }

    fn put_back(&self, bytes: u64) {
        if bytes > 0 {
            // ORDERING: Relaxed, as above.
            self.taken.fetch_sub(bytes, Ordering::Relaxed);
        }
    }

    /// How much a stripe draws at once.
    pub(crate) fn piece(&self) -> u64 {
        // ORDERING: Relaxed, as in `set_limit`.
        self.limits.piece.load(Ordering::Relaxed)
    }
}

/// Where is told what the epoch has freed of what a stripe was charged for.
#[derive(Clone, Debug)]
pub(crate) struct Freed(Arc<CachePadded<AtomicU64>>);

impl Freed {
    fn new() -> Self {
        Self(Arc::new(CachePadded::new(AtomicU64::new(0))))
    }

    /// So much has been freed.
    pub(crate) fn add(&self, bytes: usize) {
        // ORDERING: Relaxed. The number publishes nothing but itself.
        self.0.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// How much has been freed since the last time.
    fn take(&self) -> u64 {
        // ORDERING: Relaxed, as above.
        let freed = self.0.load(Ordering::Relaxed);
        if freed == 0 {
            return 0;
        }
        if planted(Planted::LostRefund) {
            // ORDERING: any: what was freed since the look is forgotten.
            self.0.store(0, Ordering::Relaxed);
            return freed;
        }
        // MODEL: quota::what_is_freed_comes_back_once.
        // ORDERING: Relaxed, as above.
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// What a stripe has drawn of the quota. Lives behind the stripe's lock.
#[derive(Debug)]
pub(crate) struct Share {
    quota: Arc<Quota>,
    /// Drawn and not used.
    left: u64,
    /// What was charged here and has not been given back here, modulo 2^64: what one stripe was
    /// charged for, another may be given back. The sum of all stripes is what is in use.
    used: u64,
    /// What was drawn since somebody has asked.
    drawn: u64,
    /// Once the epoch has been handed anything.
    freed: Option<Freed>,
}

impl Share {
    pub(crate) fn new(quota: &Arc<Quota>) -> Self {
        Self {
            quota: Arc::clone(quota),
            left: 0,
            used: 0,
            drawn: 0,
            freed: None,
        }
    }

    /// Takes so many bytes into use.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` where the limit is reached; nothing has been taken then.
    #[inline]
    pub(crate) fn charge(&mut self, bytes: usize, purpose: Purpose) -> Result<(), OutOfMemory> {
        self.charge_for(bytes, || purpose)
    }

    /// The same, where it takes a look to tell what for.
    #[inline]
    pub(crate) fn charge_for(
        &mut self,
        bytes: usize,
        purpose: impl FnOnce() -> Purpose,
    ) -> Result<(), OutOfMemory> {
        let bytes = bytes as u64;
        if self.left < bytes {
            self.draw(bytes, purpose())?;
        }
        self.left -= bytes;
        self.used = self.used.wrapping_add(bytes);
        Ok(())
    }

    #[cold]
    fn draw(&mut self, bytes: u64, purpose: Purpose) -> Result<(), OutOfMemory> {
        self.collect();
        let quota = &*self.quota;
        if let Some(lacking) = bytes.checked_sub(self.left).filter(|lacking| *lacking > 0) {
            let drawn = quota.take(lacking, quota.piece().max(lacking), purpose)?;
            self.left += drawn;
            self.drawn += drawn;
        }
        Ok(())
    }

    /// What was drawn since this was last asked.
    #[inline]
    pub(crate) fn take_drawn(&mut self) -> u64 {
        mem::take(&mut self.drawn)
    }

    /// So many bytes are in use no more.
    #[inline]
    pub(crate) fn refund(&mut self, bytes: usize) {
        self.left += bytes as u64;
        self.used = self.used.wrapping_sub(bytes as u64);
    }

    /// Takes over what the epoch has freed.
    pub(crate) fn collect(&mut self) {
        let freed = self.freed.as_ref().map_or(0, Freed::take);
        self.left += freed;
        self.used = self.used.wrapping_sub(freed);
    }

    /// Gives back what is not in use, unless there is no limit.
    pub(crate) fn tidy(&mut self) {
        if self.quota.limit() == u64::MAX {
            self.collect();
        } else {
            self.give_back();
        }
    }

    /// Gives back what is not in use.
    pub(crate) fn give_back(&mut self) {
        self.collect();
        self.quota.put_back(mem::take(&mut self.left));
    }

    /// What is in use, modulo 2^64: to be added up over all stripes.
    pub(crate) fn used(&self) -> u64 {
        self.used
    }

    /// To be told what the epoch frees.
    pub(crate) fn freed(&mut self) -> &Freed {
        self.freed.get_or_insert_with(Freed::new)
    }
}

/// What is in use of one kind, of what belongs to no stripe.
#[derive(Debug)]
pub(crate) struct Meter {
    quota: Arc<Quota>,
    used: CachePadded<AtomicU64>,
}

impl Meter {
    pub(crate) fn new(quota: &Arc<Quota>) -> Arc<Self> {
        Arc::new(Self {
            quota: Arc::clone(quota),
            used: CachePadded::new(AtomicU64::new(0)),
        })
    }

    /// Takes so many bytes into use.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` where the limit is reached.
    pub(crate) fn charge(&self, bytes: usize, purpose: Purpose) -> Result<(), OutOfMemory> {
        let bytes = bytes as u64;
        self.quota.take(bytes, bytes, purpose)?;
        // ORDERING: statistic.
        self.used.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// So many bytes are in use no more.
    pub(crate) fn refund(&self, bytes: usize) {
        self.quota.put_back(bytes as u64);
        // ORDERING: statistic.
        self.used.fetch_sub(bytes as u64, Ordering::Relaxed);
    }

    /// What is in use.
    pub(crate) fn used(&self) -> u64 {
        // ORDERING: statistic.
        self.used.load(Ordering::Relaxed)
    }
}

/// Bytes that are in use for as long as this lives.
#[derive(Debug)]
pub(crate) struct Charge {
    meter: Arc<Meter>,
    bytes: usize,
}

impl Charge {
    /// Takes so many bytes into use.
    ///
    /// # Errors
    ///
    /// `OutOfMemory` where the limit is reached.
    pub(crate) fn new(
        meter: &Arc<Meter>,
        bytes: usize,
        purpose: Purpose,
    ) -> Result<Self, OutOfMemory> {
        meter.charge(bytes, purpose)?;
        Ok(Self {
            meter: Arc::clone(meter),
            bytes,
        })
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.meter.refund(self.bytes);
    }
}

/// For tests of others, and models.
#[cfg(any(test, loom))]
impl Share {
    pub(crate) fn unlimited() -> Self {
        Self::new(&Arc::new(Quota::new(u64::MAX, 1)))
    }
}

#[cfg(any(test, loom))]
impl Meter {
    pub(crate) fn unlimited() -> Arc<Self> {
        Self::new(&Arc::new(Quota::new(u64::MAX, 1)))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{Charge, Meter, Purpose, Quota, Share};
    use crate::sync::RefusedBy;
    use std::sync::Arc;

    #[test]
    fn shares_draw_pieces_and_never_more_than_the_limit() {
        let quota = Arc::new(Quota::new(64_000, 1));
        let mut share = Share::new(&quota);
        share.charge(1, Purpose::Growth).unwrap();
        assert_eq!((share.used(), quota.taken()), (1, 2_000));
        let (mut refused, mut charged) = (None, 1);
        while refused.is_none() {
            refused = share.charge(500, Purpose::Growth).err();
            charged += 500 * u64::from(refused.is_none());
        }
        assert_eq!(
            refused.map(|refused| refused.by),
            Some(RefusedBy::MemoryLimit)
        );
        assert_eq!(share.used(), charged);
        assert!(charged > 62_000, "{charged}");
        assert!(quota.taken() <= 63_000);
        // Removals are never refused.
        share.charge(9_000, Purpose::Removal).unwrap();
        assert!(quota.taken() > 64_000);
        share.refund(usize::try_from(share.used()).unwrap());
        share.give_back();
        assert_eq!((share.used(), quota.taken()), (0, 0));
    }

    #[test]
    fn what_the_epoch_frees_is_used_before_more_is_drawn() {
        let quota = Arc::new(Quota::new(10_000, 1));
        let mut share = Share::new(&quota);
        share.charge(9_000, Purpose::Growth).unwrap();
        let taken = quota.taken();
        share.freed().add(5_000);
        share.charge(4_500, Purpose::Growth).unwrap();
        assert_eq!((share.used(), quota.taken()), (8_500, taken));
    }

    #[test]
    fn a_charge_is_given_back_when_it_is_dropped() {
        let quota = Arc::new(Quota::new(1_000, 4));
        let meter = Meter::new(&quota);
        let charge = Charge::new(&meter, 900, Purpose::Growth).unwrap();
        let refused = Charge::new(&meter, 900, Purpose::Growth).unwrap_err();
        assert_eq!((refused.bytes, refused.by), (900, RefusedBy::MemoryLimit));
        assert_eq!((meter.used(), quota.taken()), (900, 900));
        drop(charge);
        assert_eq!((meter.used(), quota.taken()), (0, 0));
    }

    #[test]
    fn without_a_limit_a_stripe_draws_once() {
        let quota = Arc::new(Quota::new(u64::MAX, 256));
        let mut share = Share::new(&quota);
        share.charge(1, Purpose::Growth).unwrap();
        let taken = quota.taken();
        share.charge(1 << 39, Purpose::Growth).unwrap();
        assert_eq!(quota.taken(), taken);
        // Where one is set later, what is drawn and not used comes back.
        quota.set_limit(1 << 40, 256);
        assert_eq!(quota.left(), 0);
        share.give_back();
        assert_eq!(quota.taken(), share.used());
    }
}
