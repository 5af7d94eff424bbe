//! Striped write locks.
//!
//! A fixed power of two of mutexes; a key belongs to the stripe that the top bits of its hash
//! name. A commit locks the stripes of all its keys in ascending order, each once (ASCENDING), so
//! that no two commits can wait for each other. Behind each mutex is the state that only the
//! writers of that stripe touch. Readers never come here.

use crate::sync::{CachePadded, Mutex, MutexGuard, OutOfMemory, Planted, planted, reserve};
use smallvec::SmallVec;
use std::fmt;

/// At most this many stripes: a set of them is four words.
pub(crate) const STRIPES_MAX: usize = 256;

const WORD_BITS: usize = 64;

/// The stripes of one engine, each guarding a `W`.
pub(crate) struct Stripes<W> {
    stripes: Box<[CachePadded<Mutex<W>>]>,
}

impl<W> fmt::Debug for Stripes<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Stripes({})", self.stripes.len())
    }
}

/// The stripe of a key, where there are `1 << bits` stripes.
pub(crate) fn stripe_of(hash: u64, bits: u32) -> usize {
    // Two shifts, because one by all 64 bits, for a single stripe, would be none.
    let stripe = (hash >> 1) >> (u64::BITS - 1 - bits);
    stripe as usize
}

impl<W> Stripes<W> {
    /// `1 << bits` stripes, at most [`STRIPES_MAX`].
    pub(crate) fn new(bits: u32, make: impl Fn() -> W) -> Self {
        let count = (1 << bits).min(STRIPES_MAX);
        Self {
            stripes: (0..count)
                .map(|_| CachePadded::new(Mutex::new(make())))
                .collect(),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.stripes.len()
    }

    /// Locks one stripe. The caller holds no other.
    pub(crate) fn lock_one(&self, stripe: usize) -> MutexGuard<'_, W> {
        self.stripes[stripe].lock()
    }

    /// Locks all stripes of a set, in ascending order. The caller holds none.
    #[expect(
        clippy::inline_always,
        reason = "a part of `commit_many`, like those of `engine::commit`"
    )]
    #[inline(always)]
    pub(crate) fn lock<'a>(
        &'a self,
        set: &StripeSet,
        locked: &mut Locked<'a, W>,
    ) -> Result<(), OutOfMemory> {
        if planted(Planted::DescendingLocks) && set.words[0].is_multiple_of(2) {
            let all = (0..self.count()).rev();
            let chosen = all.filter(|stripe| set.contains(*stripe));
            let guards = chosen.map(|stripe| (stripe, self.stripes[stripe].lock()));
            locked.guards.extend(guards);
            locked.guards.reverse();
            return Ok(());
        }
        if set.inserted > INLINE {
            reserve(&mut locked.guards, set.count())?;
        }
        for (first, word) in (0..).step_by(WORD_BITS).zip(set.words) {
            let mut rest = word;
            while rest != 0 {
                let stripe = first + rest.trailing_zeros() as usize;
                // LOCK ORDER: ASCENDING: the words in order, and of each the lowest bit first.
                // MODEL: stripes::overlapping_sets_do_not_deadlock.
                locked.guards.push((stripe, self.stripes[stripe].lock()));
                rest &= rest - 1;
            }
        }
        Ok(())
    }

    /// Locks every stripe, in ascending order. The caller holds none. Nothing is in flight while
    /// they are held.
    pub(crate) fn lock_all<'a>(&'a self, locked: &mut Locked<'a, W>) -> Result<(), OutOfMemory> {
        let guards = &mut locked.guards;
        reserve(guards, self.count())?;
        // LOCK ORDER: ASCENDING. MODEL: stripes::a_set_and_all_do_not_deadlock.
        guards.extend(self.stripes.iter().map(|stripe| stripe.lock()).enumerate());
        Ok(())
    }
}

/// So many stripes are held without allocating.
const INLINE: usize = 4;

/// A set of stripes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct StripeSet {
    words: [u64; STRIPES_MAX / WORD_BITS],
    /// How often one was inserted: at least as often as there are stripes, which are counted only
    /// where they may be many.
    inserted: usize,
}

impl StripeSet {
    pub(crate) fn insert(&mut self, stripe: usize) {
        self.words[stripe / WORD_BITS] |= 1 << (stripe % WORD_BITS);
        self.inserted += 1;
    }

    fn count(&self) -> usize {
        let counts = self.words.iter().map(|word| word.count_ones() as usize);
        counts.sum()
    }

    fn contains(&self, stripe: usize) -> bool {
        self.words[stripe / WORD_BITS] >> (stripe % WORD_BITS) & 1 == 1
    }
}

/// Stripes that are held.
pub(crate) struct Locked<'a, W> {
    guards: SmallVec<[(usize, MutexGuard<'a, W>); INLINE]>,
}

impl<W> Locked<'_, W> {
    /// None yet. What locks them fills it in: it is large to hand over.
    pub(crate) fn new() -> Self {
        Self {
            guards: SmallVec::new(),
        }
    }

    /// Unlocks them all.
    pub(crate) fn unlock(&mut self) {
        self.guards.clear();
    }

    /// The state behind a stripe that is held.
    pub(crate) fn stripe(&mut self, stripe: usize) -> &mut W {
        let place = self.place(stripe);
        self.at(place)
    }

    /// The place of a stripe among those that are held.
    pub(crate) fn place(&self, stripe: usize) -> usize {
        self.guards
            .binary_search_by_key(&stripe, |(held, _)| *held)
            .expect("ASCENDING: the stripes of all keys are held")
    }

    /// The state behind the stripe at such a place.
    pub(crate) fn at(&mut self, place: usize) -> &mut W {
        &mut self.guards[place].1
    }

    /// How many stripes are held.
    pub(crate) fn count(&self) -> usize {
        self.guards.len()
    }

    /// The state behind every stripe that is held.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut W> {
        self.guards.iter_mut().map(|(_, guard)| &mut **guard)
    }
}
