//! Which entries are to go when there is to be room for others.
//!
//! Three parts, as in S3-FIFO (Yang et al., "FIFO Queues are All You Need for Cache Eviction", SOSP
//! 2023): what arrives goes through a *small* queue, in order; what was used there goes on to the
//! *main* queue, a clock, in which each entry has as many turns as it was used; and of what was not,
//! a *ghost* is kept for a while, so that one that comes back is known. Beside that:
//!
//! - While there is room, what the small queue does not hold goes to the main one, used or not.
//! - A ghost that comes back goes to the main queue only if the time since it came first is shorter
//!   than the one for which the entry that it would displace is known to be unused; otherwise it
//!   starts again. (LIRS compares these two: Jiang and Zhang, SIGMETRICS 2002. Here the clock's hand
//!   tells one, and the ghost's age the other.) Without that, a loop over more than fits keeps
//!   nothing.
//!
//! Time is the weight of all that has become a ghost. Everything is by weight: bytes, or entries.
//! Entries are known by the hash of their key and a number, which says whether it is still the same
//! entry. How often they were used stands with them, where a reader can note it; whoever has a
//! `Policy` shows that by [`Entries`]. What was measured stands in docs/cache.md.

use std::collections::VecDeque;

/// An entry is used no more often than this. Two bits.
pub(crate) const USES_MAX: u32 = 3;

/// The share of all that the small queue holds: one in this many.
const SMALL_SHARE: u64 = 32;

/// How long ghosts are known: for as much as this many halves of all.
const GHOST_HALVES: u64 = 3;

/// The units of the stamps of ghosts: one in so many of all.
const GHOST_UNITS: u64 = 512;

/// A ghost displaces what has been unused for longer than itself, by this much.
const ADMIT_SHARE: (u64, u64) = (8, 7);

/// How many entries a hand passes on at most, before it takes what it has come to.
const TURNS_MAX: usize = 16;

/// How many entries of the main queue one look for what is not held goes through.
const HELD_TURNS_MAX: usize = 8;

/// How many entries one look promotes at most.
const PROMOTIONS_MAX: usize = 64;

/// So many slots make a piece of a queue.
const PIECE_SLOTS: usize = 64;

/// The slots of a bucket of ghosts.
const BUCKET: usize = 8;

/// The fewest ghosts that are worth their memory: one in so many of all that there should be.
const GHOSTS_SHARE: usize = 16;

/// An entry in a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slot {
    pub(crate) hash: u64,
    /// Tells the entry from another that the key had before.
    pub(crate) number: u8,
    pub(crate) weight: u32,
    /// When it was last passed on or came.
    stamp: u64,
}

impl Slot {
    pub(crate) fn new(hash: u64, number: u8, weight: u32) -> Self {
        Self {
            hash,
            number,
            weight,
            stamp: 0,
        }
    }
}

/// What an entry looks like now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) uses: u32,
    pub(crate) weight: u32,
}

/// The entries, as they are.
pub(crate) trait Entries {
    /// The entry, if it is still there.
    fn look(&self, slot: &Slot) -> Option<Seen>;

    /// Notes how often it counts as used from here on.
    fn set_uses(&self, slot: &Slot, uses: u32);

    /// Whether the memory of the entry would not come back if it went now.
    fn is_held(&self, slot: &Slot) -> bool;
}

/// Slots in the order in which they came, the oldest first, in pieces: so that those of entries that
/// are gone can be taken out of the middle, a piece at a time.
#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Vec<Slot>>,
    /// How many slots of the first piece are used up.
    begin: usize,
    len: usize,
    weight: u64,
    /// The piece that is tidied next.
    tidied: usize,
}

impl Queue {
    fn push(&mut self, slot: Slot) {
        self.len += 1;
        self.weight += u64::from(slot.weight);
        match self.pieces.back_mut() {
            Some(piece) if piece.len() < PIECE_SLOTS => piece.push(slot),
            _ => {
                let mut piece = Vec::with_capacity(PIECE_SLOTS);
                piece.push(slot);
                self.pieces.push_back(piece);
            }
        }
    }

    fn oldest(&self) -> Option<&Slot> {
        self.pieces.front()?.get(self.begin)
    }

    fn pop(&mut self) -> Option<Slot> {
        let piece = self.pieces.front()?;
        let slot = *piece.get(self.begin)?;
        self.begin += 1;
        if self.begin == piece.len() {
            self.pieces.pop_front();
            self.begin = 0;
            self.tidied = self.tidied.saturating_sub(1);
        }
        self.len -= 1;
        self.weight -= u64::from(slot.weight);
        Some(slot)
    }

    /// Takes the slots out of one piece whose entries are gone; how many.
    fn tidy(&mut self, entries: &impl Entries) -> usize {
        if self.tidied >= self.pieces.len() {
            self.tidied = 0;
        }
        let at = self.tidied;
        let Some(piece) = self.pieces.get_mut(at) else {
            return 0;
        };
        if at == 0 {
            piece.drain(..self.begin);
            self.begin = 0;
        }
        let (mut count, mut weight) = (0, 0);
        piece.retain(|slot| {
            let stays = entries.look(slot).is_some();
            if !stays {
                count += 1;
                weight += u64::from(slot.weight);
            }
            stays
        });
        let left = piece.len();
        self.len -= count;
        self.weight -= weight;
        // Two that fit into one become one. The last one is added to.
        let fits = |next: &Vec<Slot>| left + next.len() <= PIECE_SLOTS;
        if left == 0 {
            self.pieces.remove(at);
        } else if at + 2 < self.pieces.len() && self.pieces.get(at + 1).is_some_and(fits) {
            let next = self.pieces.remove(at + 1).unwrap_or_default();
            if let Some(piece) = self.pieces.get_mut(at) {
                piece.extend(next);
            }
        } else {
            self.tidied += 1;
        }
        count
    }

    fn heap_bytes(&self) -> usize {
        self.pieces.capacity() * size_of::<Vec<Slot>>()
            + self.pieces.len() * PIECE_SLOTS * size_of::<Slot>()
    }
}

/// A fingerprint of what was let go, and when that was.
#[derive(Clone, Copy, Debug, Default)]
struct Ghost {
    print: u16,
    stamp: u16,
}

/// What was let go of late, by fingerprint, in buckets: two slots for each entry that is there.
#[derive(Debug, Default)]
struct Ghosts {
    buckets: Vec<[Option<Ghost>; BUCKET]>,
}

impl Ghosts {
    /// How many buckets there are to be for those of so many entries, if there are fewer than it takes. More
    /// than that, so that it does not happen with every few entries.
    fn wanted(&self, entries: usize) -> Option<usize> {
        let wanted = (2 * entries).div_ceil(BUCKET).max(1);
        (self.buckets.len() < wanted).then(|| (wanted * 3 / 2).max(1))
    }

    fn bucket(&mut self, hash: u64) -> Option<(&mut [Option<Ghost>; BUCKET], u16)> {
        // The bits in the middle: the highest are those by which the policies are chosen.
        let high = (hash >> 16) & 0xffff_ffff;
        let index = (high * self.buckets.len() as u64) >> 32;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "the low bits are what is wanted"
        )]
        let print = hash as u16;
        let bucket = self.buckets.get_mut(usize::try_from(index).ok()?)?;
        Some((bucket, print))
    }

    fn insert(&mut self, hash: u64, now: u16) {
        let Some((bucket, print)) = self.bucket(hash) else {
            return;
        };
        let age = |ghost: &Option<Ghost>| {
            ghost.map_or(u32::MAX, |ghost| now.wrapping_sub(ghost.stamp).into())
        };
        if let Some(oldest) = bucket.iter_mut().max_by_key(|ghost| age(ghost)) {
            *oldest = Some(Ghost { print, stamp: now });
        }
    }

    /// How long ago this was let go of, if that is known; it is no more.
    fn take(&mut self, hash: u64, now: u16) -> Option<u16> {
        let (bucket, print) = self.bucket(hash)?;
        let is_it = |ghost: &&mut Option<Ghost>| ghost.is_some_and(|ghost| ghost.print == print);
        let found = bucket.iter_mut().find(is_it)?;
        found.take().map(|ghost| now.wrapping_sub(ghost.stamp))
    }

    fn heap_bytes(&self) -> usize {
        self.buckets.capacity() * size_of::<[Option<Ghost>; BUCKET]>()
    }
}

/// Which entries are to go.
#[derive(Debug)]
pub(crate) struct Policy {
    small: Queue,
    main: Queue,
    ghosts: Ghosts,
    /// The weight of all that has become a ghost.
    clock: u64,
    /// How much there was when room was last wanted.
    full: u64,
    /// Whether there has been room since.
    is_filling: bool,
    /// How many of the slots are of entries that are gone, as far as is known: fewer than none, where a
    /// slot was dropped before it was told that its entry is gone.
    gone_count: i64,
}

impl Policy {
    pub(crate) fn new() -> Self {
        Self {
            small: Queue::default(),
            main: Queue::default(),
            ghosts: Ghosts::default(),
            clock: 0,
            full: 0,
            is_filling: true,
            gone_count: 0,
        }
    }

    /// The weight of all entries that are there, about.
    fn total(&self) -> u64 {
        let all = self.small.weight + self.main.weight;
        // What one weighed that is gone is not known any more: it may have been another than it came with.
        let gone = u64::try_from(self.gone_count).unwrap_or(0);
        all.saturating_sub(all / (self.len() as u64).max(1) * gone)
    }

    /// How many slots there are.
    pub(crate) fn len(&self) -> usize {
        self.small.len + self.main.len
    }

    /// What it takes of the heap.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.small.heap_bytes() + self.main.heap_bytes() + self.ghosts.heap_bytes()
    }

    fn full(&self) -> u64 {
        self.full.max(1)
    }

    fn now(&self) -> u16 {
        let units = self.clock / (self.full() / GHOST_UNITS).max(1);
        #[expect(
            clippy::cast_possible_truncation,
            reason = "they wrap, after 128 times all"
        )]
        let now = units as u16;
        now
    }

    fn small_max(&self) -> u64 {
        self.full().max(self.total()) / SMALL_SHARE
    }

    /// An entry has come.
    pub(crate) fn arrive(&mut self, mut slot: Slot, entries: &impl Entries) {
        slot.stamp = self.clock;
        if self.returns(&slot, entries) {
            self.main.push(slot);
        } else {
            self.small.push(slot);
        }
        if self.total() < self.full() / 8 * 7 {
            self.is_filling = true;
        }
        while self.is_filling && self.small.weight > self.small_max() && self.small.len > 1 {
            self.promote(entries);
        }
    }

    /// An entry has gone, by another way than by [`evict`](Self::evict).
    pub(crate) fn depart(&mut self, entries: &impl Entries) {
        self.gone_count += 1;
        let (gone, len) = (usize::try_from(self.gone_count).unwrap_or(0), self.len());
        // Each looks at a share of a piece; together they are through before all slots are such.
        if gone.is_multiple_of(PIECE_SLOTS / 4) && gone * 4 > len {
            self.tidy(entries);
        }
    }

    /// How many pieces the longer queue has.
    pub(crate) fn pieces(&self) -> usize {
        self.small.pieces.len().max(self.main.pieces.len())
    }

    /// The slots of a piece of each queue, of entries that may be gone.
    pub(crate) fn slots_of(&self, piece: usize) -> impl Iterator<Item = &Slot> {
        let queues = [&self.small, &self.main].into_iter();
        queues.flat_map(move |queue| {
            let begin = if piece == 0 { queue.begin } else { 0 };
            let slots = queue.pieces.get(piece).and_then(|piece| piece.get(begin..));
            slots.unwrap_or_default()
        })
    }

    /// How many steps of [`tidy`](Self::tidy) look at everything; none where nothing would come of it.
    pub(crate) fn untidy_pieces(&self) -> usize {
        if self.gone_count <= 0 && self.len() > 0 {
            return 0;
        }
        self.pieces().max(1)
    }

    /// Takes the slots of entries that are gone out of a piece of each queue.
    pub(crate) fn tidy(&mut self, entries: &impl Entries) {
        for queue in [&mut self.small, &mut self.main] {
            let count = queue.tidy(entries);
            self.gone_count -= i64::try_from(count).unwrap_or(0);
        }
        if self.len() == 0 {
            let gone_count = self.gone_count;
            *self = Self {
                gone_count,
                ..Self::new()
            };
        }
    }

    /// A slot was dropped whose entry was gone, also one that [`evict`](Self::evict) has let go of.
    pub(crate) fn forget(&mut self) {
        self.gone_count -= 1;
    }

    /// Whether a ghost comes back that may displace what the main queue would let go of next.
    fn returns(&mut self, slot: &Slot, entries: &impl Entries) -> bool {
        let now = self.now();
        let Some(age) = self.ghosts.take(slot.hash, now) else {
            return false;
        };
        let age = u64::from(age) * (self.full() / GHOST_UNITS).max(1);
        if age > self.full() / 2 * GHOST_HALVES {
            return false;
        }
        // The time as a ghost, and about that in the small queue before.
        let distance = age + self.small.weight;
        for _ in 0..TURNS_MAX {
            let Some(oldest) = self.main.oldest().copied() else {
                return false;
            };
            match entries.look(&oldest) {
                None => self.drop_oldest(),
                Some(seen) if seen.uses > 0 => self.turn(seen, entries),
                Some(_) => {
                    let unused = self.clock - oldest.stamp;
                    let (by, of) = ADMIT_SHARE;
                    return distance.saturating_mul(by) < unused.saturating_mul(of);
                }
            }
        }
        false
    }

    /// Drops the oldest slot of the main queue, whose entry is gone.
    fn drop_oldest(&mut self) {
        if self.main.pop().is_some() {
            self.forget();
        }
    }

    /// Passes the oldest of the main queue on.
    fn turn(&mut self, seen: Seen, entries: &impl Entries) {
        let Some(mut slot) = self.main.pop() else {
            return;
        };
        // One that takes the place of many has a turn and no more.
        let mean = self.main.weight / (self.main.len as u64).max(1);
        let is_heavy = u64::from(seen.weight) > 2 * mean && seen.weight > 1;
        entries.set_uses(&slot, if is_heavy { 0 } else { seen.uses - 1 });
        slot.weight = seen.weight;
        slot.stamp = self.clock;
        self.main.push(slot);
    }

    /// Takes the oldest of the small queue to the main one.
    fn promote(&mut self, entries: &impl Entries) {
        let Some(mut slot) = self.small.pop() else {
            return;
        };
        if let Some(seen) = entries.look(&slot) {
            entries.set_uses(&slot, 0);
            slot.weight = seen.weight;
            slot.stamp = self.clock;
            self.main.push(slot);
        } else {
            self.forget();
        }
    }

    /// Lets go of the oldest of the small queue, which becomes a ghost.
    fn let_go(&mut self, seen: Seen) -> Option<Slot> {
        let slot = self.small.pop()?;
        self.clock += u64::from(seen.weight);
        let now = self.now();
        self.ghosts.insert(slot.hash, now);
        Some(slot)
    }

    /// Makes room for the ghosts of as many entries as there are, if there is so much memory by `charge`: it
    /// is asked for bytes, and says whether there are. Where there is less, as far as that goes, if it makes
    /// twice as many ghosts as there are; for those that are known are forgotten.
    pub(crate) fn fit_ghosts(&mut self, mut charge: impl FnMut(usize) -> bool) {
        let Some(wanted) = self.ghosts.wanted(self.len()) else {
            return;
        };
        let there = self.ghosts.buckets.len();
        let mut buckets = wanted;
        loop {
            let more = buckets * size_of::<[Option<Ghost>; BUCKET]>();
            if charge(more.saturating_sub(self.ghosts.heap_bytes())) {
                self.ghosts.buckets = vec![[None; BUCKET]; buckets];
                return;
            }
            buckets /= 2;
            if buckets < (wanted / GHOSTS_SHARE).max(2 * there).max(1) {
                return;
            }
        }
    }

    /// What is to go next, which is let go of here; `None` where nothing is known.
    pub(crate) fn evict(&mut self, entries: &impl Entries) -> Option<Slot> {
        self.is_filling = false;
        self.full = self.total();
        let mut promotions = 0;
        while self.small.len > 0
            && (self.main.len == 0
                || (self.small.weight > self.small_max() && promotions < PROMOTIONS_MAX))
        {
            let oldest = self.small.oldest().copied()?;
            match entries.look(&oldest) {
                Some(seen) if seen.uses > 0 && promotions < PROMOTIONS_MAX => {
                    promotions += 1;
                    self.promote(entries);
                }
                Some(seen) => return self.let_go(seen),
                None => {
                    self.small.pop();
                    self.forget();
                }
            }
        }
        let mut turns = 0;
        loop {
            let oldest = self.main.oldest().copied()?;
            match entries.look(&oldest) {
                None => self.drop_oldest(),
                Some(seen) if seen.uses > 0 && turns < TURNS_MAX => {
                    turns += 1;
                    self.turn(seen, entries);
                }
                // No ghost: the age of what was used is no measure of anything.
                Some(_) => return self.main.pop(),
            }
        }
    }

    /// The same, of what is not held: of what came of late, which most often is not, and then of the
    /// rest, a part of which is looked at each time. That is not the one that should go, but it is the
    /// one that makes room. What is held goes on to the main queue.
    pub(crate) fn evict_young(&mut self, entries: &impl Entries) -> Option<Slot> {
        for _ in 0..self.small.len {
            let oldest = self.small.oldest().copied()?;
            match entries.look(&oldest) {
                None => {
                    self.small.pop();
                    self.forget();
                }
                Some(_) if entries.is_held(&oldest) => self.promote(entries),
                Some(seen) => return self.let_go(seen),
            }
        }
        for _ in 0..self.main.len.min(HELD_TURNS_MAX) {
            let oldest = self.main.pop()?;
            match entries.look(&oldest) {
                None => self.forget(),
                Some(_) if entries.is_held(&oldest) => self.main.push(oldest),
                Some(_) => return Some(oldest),
            }
        }
        None
    }

    /// Takes back what was to go and could not.
    pub(crate) fn keep(&mut self, mut slot: Slot) {
        slot.stamp = self.clock;
        self.main.push(slot);
    }
}

#[cfg(all(test, not(loom)))]
#[path = "policy/tests.rs"]
mod tests;
