//! The memory of an engine: how much may be in use, how much is, and making room.
//!
//! Whatever a commit is going to keep is charged before anything of it is linked: to the stripes of
//! its keys, and to the meters of what belongs to none (`mvcc::quota`). So a commit that is refused
//! leaves nothing behind, whichever of its keys the memory did not suffice for; it unlocks, room is
//! made, and it begins again. What frees memory in the end, a tombstone, is never refused.

use super::eviction::{Eviction, EvictionReason, EvictionScope};
use super::sweep::FREED_MAX;
use super::victims::{AHEAD_MAX, Effort};
use super::weight::Measure;
use super::{Engine, deferred};
use crate::error::{Error, Limited, Result};
use crate::mvcc::quota::{Meter, Quota};
use crate::sync::{AtomicBool, Ordering, epoch, pause};
use crate::version::Stamp;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

/// How long a commit that was refused waits, turn by turn, until garbage that waits for others can go:
/// at first it only lets them go first. What it waits for is a thread that is pinned and off its
/// processor, of which there can be several. Altogether a quarter of a second.
const TURNS: [(u32, Duration); 3] = [
    (16, Duration::ZERO),
    (100, Duration::from_micros(100)),
    (240, Duration::from_millis(1)),
];

/// What snapshots hold is little up to this share of the limit.
const HELD_SHARE: u64 = 64;

/// Who makes room because a commit was refused, makes at least this share of the limit, up to so many
/// bytes, as far as a few entries suffice: the commits that come next are not to be refused as well, but
/// one pays for them.
const AHEAD_SHARE: u64 = 64;
const AHEAD_BYTES_MAX: u64 = 1 << 20;

/// What a commit does that does not wait for what it frees.
const AT_ONCE: Effort = Effort::Once(256);

/// How long each turn of a wait is.
fn turns() -> impl Iterator<Item = Duration> {
    let turns = TURNS.iter();
    turns.flat_map(|(count, pause)| (0..*count).map(move |_| *pause))
}

/// What is in use and belongs to no stripe, by what it is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    /// The ordered index.
    Index,
    Messages,
    /// The changes that are kept for those who follow them.
    Changes,
    /// What is noted of entries to tell which are to be evicted.
    Policy,
}

/// What an engine may have in use, and what has a meter of its own.
#[derive(Debug)]
pub(super) struct Memory {
    quota: Arc<Quota>,
    entries: Option<Arc<Quota>>,
    meters: [Arc<Meter>; 4],
    stripe_count: usize,
    /// Whether somebody makes room. No lock: whoever does runs what values do when they are dropped.
    is_making_room: AtomicBool,
}

impl Memory {
    pub(super) fn new(limit: u64, entry_limit: u64, stripe_bits: u32) -> Self {
        let stripe_count = 1 << stripe_bits;
        let quota = Arc::new(Quota::new(limit, stripe_count));
        let entries = || Arc::new(Quota::of_entries(entry_limit, stripe_count));
        Self {
            meters: std::array::from_fn(|_| Meter::new(&quota)),
            quota,
            entries: (entry_limit < u64::MAX).then(entries),
            stripe_count,
            is_making_room: AtomicBool::new(false),
        }
    }

    /// What evicts for these limits.
    pub(super) fn eviction(&self, scope: EvictionScope, is_weighed: bool) -> Eviction {
        let entry_limit = self.entries().map_or(u64::MAX, |entries| entries.limit());
        let limits = [self.quota.limit(), entry_limit];
        let measure = Measure::new(entry_limit, is_weighed);
        let meter = self.meter(Kind::Policy);
        Eviction::new(scope, limits, measure, self.stripe_count, meter)
    }

    /// How many entries there may be, where that is limited.
    pub(super) fn entries(&self) -> Option<&Arc<Quota>> {
        self.entries.as_ref()
    }

    pub(super) fn quota(&self) -> &Arc<Quota> {
        &self.quota
    }

    pub(super) fn meter(&self, kind: Kind) -> &Arc<Meter> {
        &self.meters[kind as usize]
    }

    pub(super) fn is_limited(&self) -> bool {
        self.quota.limit() < u64::MAX
    }
}

/// Whether there is anything to be evicted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victims {
    /// Or somebody else has it in their hands.
    Some,
    /// There was nothing, but something that others have evicted is to come back.
    InVain,
    None,
}

impl Victims {
    fn there_are(are_there: bool) -> Self {
        if are_there { Self::Some } else { Self::None }
    }
}

/// Whoever makes room, turn by turn.
struct Room<'e> {
    engine: &'e Engine,
    /// What has been superseded or deleted up to here is to be freed.
    latest: Stamp,
    /// Whether the last sweep has freed all of it.
    is_swept: bool,
    /// What there was the last time to be evicted.
    victims: Victims,
    /// How much room there was to be the last time for the commit, how much for those after it as well,
    /// and how much there was.
    needed: u64,
    target: u64,
    made: u64,
    /// Whether as much has been evicted for those after it as is.
    is_ahead: bool,
}

/// Whoever does alone what others wait for.
struct Alone<'m>(&'m AtomicBool);

impl<'m> Alone<'m> {
    fn at(is_taken: &'m AtomicBool) -> Option<Self> {
        // ORDERING: Relaxed. It publishes nothing, and who does not wait does the same beside it.
        (!is_taken.swap(true, Ordering::Relaxed)).then(|| Self(is_taken))
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        // ORDERING: Relaxed, as above.
        self.0.store(false, Ordering::Relaxed);
    }
}

impl<'e> Room<'e> {
    fn new(engine: &'e Engine) -> Self {
        Self {
            engine,
            latest: engine.latest(),
            is_swept: false,
            victims: Victims::None,
            needed: 0,
            target: 0,
            made: 0,
            is_ahead: false,
        }
    }

    /// Whether there is no more to be had: what is left is in use, or held by a snapshot.
    fn is_all(&self) -> bool {
        self.is_swept && self.victims == Victims::None
    }

    /// Makes room for a commit that wants so much, and for some that come after it, unless somebody else
    /// is at it: then that one is waited for, for as long as `is_patient`.
    fn make(&mut self, wanted: u64, is_patient: bool) {
        let alone = Alone::at(&self.engine.memory.is_making_room);
        if alone.is_none() && is_patient {
            // It may be more by then.
            self.is_swept = false;
            return;
        }
        let quota = &self.engine.memory.quota;
        // What was refused is the part of a commit that did not fit, and there may be more to it: where
        // there was as much room as it needed, and that did not suffice, there is to be twice as much.
        let more = if self.made < self.needed {
            0
        } else {
            self.needed.saturating_mul(2)
        };
        let limit = quota.limit();
        self.needed = self.needed.max(2 * wanted).max(more).min(limit);
        let ahead = (limit / AHEAD_SHARE).min(AHEAD_BYTES_MAX);
        self.target = self.needed.max(ahead);
        // Where all of the limit was to be free, everything.
        let enough = Some(self.target).filter(|target| *target < limit);
        self.sweep(enough.unwrap_or(u64::MAX));
        let room = if self.is_swept {
            quota.left()
        } else {
            self.engine.room()
        };
        let beyond = quota.beyond();
        let [lacking, in_all] =
            [self.needed, self.target].map(|bytes| (bytes + beyond).saturating_sub(room));
        self.evict(lacking, in_all);
        self.made = quota.left();
    }

    /// Sweeps until there is so much room, or everything.
    fn sweep(&mut self, enough: u64) {
        // Before the sweep, which goes by it.
        let is_reached = self.engine.registry.grace() >= self.latest;
        self.is_swept = self.engine.sweep_and_recall(enough) && is_reached;
    }

    /// Evicts so much, if there is as much that can go; and once so much in all, as far as that takes few.
    fn evict(&mut self, lacking: u64, in_all: u64) {
        let is_ahead = in_all > lacking && !self.is_ahead;
        if !self.engine.makes_room() {
            self.victims = Victims::None;
        } else if lacking == 0 && !is_ahead {
            // Where all of the limit was to be free, there is no more to be had.
            let is_everything = self.target >= self.engine.memory.quota.limit();
            self.victims = Victims::there_are(!is_everything);
        } else {
            let evict = |bytes, effort| self.engine.evict(EvictionReason::Memory, bytes, effort);
            // Where nothing comes back, there is nothing to wait for.
            let effort = if self.is_swept {
                Effort::Beyond
            } else {
                Effort::All
            };
            let mut made = evict(lacking, effort);
            if is_ahead && made >= lacking {
                self.is_ahead = true;
                made += evict(in_all.saturating_sub(made), Effort::Once(AHEAD_MAX));
            }
            self.note(made);
        }
    }

    /// Evicts so much, though more may be in use than may be. Where as much comes back anyway, that is to be
    /// waited for.
    fn evict_beyond(&mut self, bytes: u64) {
        if bytes == 0 {
            (self.latest, self.is_swept) = (self.engine.latest(), false);
            return;
        }
        let made = (self.engine).evict(EvictionReason::Memory, bytes, Effort::Beyond);
        self.note(made);
    }

    /// Evicts for entries that weigh so much more.
    fn evict_entries(&mut self, wanted: u64) {
        self.is_swept = true;
        self.victims = Victims::None;
        let engine = self.engine;
        if let Some(entries) = engine.memory.entries() {
            let lacking = wanted.saturating_sub(entries.left()).max(1);
            let made = engine.evict(EvictionReason::Entries, lacking, Effort::All);
            // Others may have in their hands what there is.
            self.victims = Victims::there_are(made > 0 || engine.is_evicting());
        }
    }

    fn note(&mut self, made: u64) {
        let is_again = self.victims == Victims::InVain;
        self.victims = if made > 0 || self.engine.is_evicting() {
            Victims::Some
        } else if is_again || !self.is_swept || self.engine.coming_back() == 0 {
            Victims::None
        } else {
            Victims::InVain
        };
        if self.victims != Victims::None {
            // What was evicted, by whomever, is to come back first.
            self.latest = self.engine.latest();
            self.is_swept = false;
        }
    }
}

impl Engine {
    /// Whether snapshots hold more garbage than there is room: then nothing is evicted that they see.
    /// That would make no room before they are closed, and what there is now would be used up.
    pub(super) fn is_held(&self) -> bool {
        let held = self.waiting.for_snapshots();
        held > self.memory.quota.limit() / HELD_SHARE
            && held > self.room()
            && self.registry.open_count() > 0
    }

    /// How much memory there is to hold more, or will be as soon as the grace has passed.
    pub(super) fn room(&self) -> u64 {
        self.memory.quota.left().saturating_add(self.coming_back())
    }

    /// How much comes back by itself.
    fn coming_back(&self) -> u64 {
        self.waiting.for_grace() + self.ripe.bytes()
    }

    /// Whether anybody evicts.
    fn is_evicting(&self) -> bool {
        let eviction = self.eviction.as_deref();
        eviction.is_some_and(|eviction| eviction.busy.is_at_work())
    }

    /// Whether as much is taken as may be, and some of that comes back by itself.
    pub(super) fn is_overdrawn(&self) -> bool {
        let quota = &self.memory.quota;
        quota.taken() >= quota.limit() && self.coming_back() > 0
    }

    /// How many bytes may be in use, if that is limited.
    pub(crate) fn memory_limit(&self) -> Option<usize> {
        (self.memory.is_limited())
            .then(|| usize::try_from(self.memory.quota.limit()).unwrap_or(usize::MAX))
    }

    /// How many entries there may be, if that is limited.
    pub(crate) fn entry_limit(&self) -> Option<usize> {
        let limit = self.memory.entries()?.limit();
        Some(usize::try_from(limit).unwrap_or(usize::MAX))
    }

    /// Changes how many bytes may be in use, takes back what the stripes have drawn, and evicts what
    /// is beyond, where it may.
    pub(crate) fn set_memory_limit(&self, limit: Option<usize>) {
        let limit = limit.map_or(u64::MAX, |limit| limit as u64);
        let quota = &self.memory.quota;
        quota.set_limit(limit, self.memory.stripe_count);
        let (mut room, mut is_first) = (Room::new(self), true);
        for length in turns() {
            room.sweep(u64::MAX);
            // Somebody may have changed it since.
            let beyond = quota.taken().saturating_sub(quota.limit());
            if beyond == 0 || epoch::is_pinned() {
                return;
            }
            // With each entry comes more than itself, of the indexes and what is noted. So half of it, and
            // another look when that has come back.
            if room.is_swept || mem::take(&mut is_first) {
                let lacking = beyond.saturating_sub(self.coming_back());
                room.evict_beyond(lacking.div_ceil(2));
            }
            if room.is_all() {
                return;
            }
            pause(length);
        }
    }

    /// Makes an attempt at a commit. Where a limit refuses it, room is made, and another attempt.
    ///
    /// An attempt that is refused has changed nothing. The caller holds no lock and is not pinned.
    #[inline]
    pub(super) fn with_room<R>(&self, mut attempt: impl FnMut() -> Result<R>) -> Result<R> {
        match attempt() {
            Err(refused) => self.try_again(refused, attempt),
            done => {
                self.evict_ahead();
                done
            }
        }
    }

    /// Makes room, without waiting, for a commit that can come later as well and was refused. Whether it may
    /// be tried once more. The caller holds no lock.
    pub(super) fn make_room_at_once(&self, refused: &Error) -> bool {
        let made = match refused.refused_by_limit() {
            None => return false,
            Some(limited) if !self.may_fit(limited) => return false,
            Some(Limited::Entries { wanted }) => {
                let left = self.memory.entries().map_or(0, |entries| entries.left());
                let lacking = (wanted as u64).saturating_sub(left);
                self.evict(EvictionReason::Entries, lacking, AT_ONCE)
            }
            Some(Limited::Memory { wanted }) => {
                let lacking = (2 * wanted as u64).saturating_sub(self.coming_back());
                self.evict(EvictionReason::Memory, lacking, AT_ONCE)
            }
        };
        if made > 0 || self.coming_back() > 0 {
            self.sweep_and_recall(u64::MAX);
        } else {
            self.recall();
        }
        true
    }

    /// Whether there can be room for what a limit has refused.
    fn may_fit(&self, limited: Limited) -> bool {
        match limited {
            Limited::Entries { wanted } => {
                let limit = self.memory.entries().map(|entries| entries.limit());
                limit.is_none_or(|limit| wanted as u64 <= limit)
            }
            Limited::Memory { wanted } => wanted as u64 <= self.memory.quota.most(),
        }
    }

    /// Makes another attempt where one was refused by a limit, after room was made.
    #[cold]
    pub(super) fn try_again<R>(
        &self,
        refused: Error,
        mut attempt: impl FnMut() -> Result<R>,
    ) -> Result<R> {
        let mut refused = refused;
        let Some(limited) = refused.refused_by_limit() else {
            return Err(refused);
        };
        let mut room = Room::new(self);
        if let (Some(eviction), Limited::Memory { .. }) = (&self.eviction, limited)
            && self.may_fit(limited)
        {
            eviction.widen_margin(self.memory.quota.limit(), self.is_held());
        }
        // Where the caller is pinned, the grace waits for the caller.
        let is_waiting = !epoch::is_pinned();
        for length in turns() {
            match refused.refused_by_limit() {
                None => return Err(refused),
                Some(limited) if !self.may_fit(limited) => break,
                Some(Limited::Entries { wanted }) => room.evict_entries(wanted as u64),
                Some(Limited::Memory { wanted }) => {
                    room.make(wanted as u64, is_waiting && length.is_zero());
                }
            }
            match attempt() {
                Err(again) => refused = again,
                done => return done,
            }
            if room.is_all() || !is_waiting {
                // What is left is in use, or held by a snapshot.
                break;
            }
            pause(length);
        }
        Err(match refused.refused_by_limit() {
            None => refused,
            Some(Limited::Entries { wanted }) => {
                let max = self.entry_limit().unwrap_or(usize::MAX);
                Error::entry_limit_reached(wanted, max, self.weighs())
            }
            Some(Limited::Memory { wanted }) => {
                let (used, limit) = (self.memory_use().total(), self.memory.quota.limit());
                Error::memory_limit_reached(wanted, used, limit)
            }
        })
    }

    /// Takes back what the stripes have drawn and do not use, and forgets what can be forgotten, until
    /// there is so much room. Whether it was everything: also what the epoch was handed.
    ///
    /// One commit pays for that, and there can be a great deal.
    fn sweep_and_recall(&self, enough: u64) -> bool {
        let is_enough = || self.memory.quota.left() >= enough;
        self.recall();
        self.sweep_until(is_enough);
        let is_run = deferred::run_all();
        self.registry.advance_grace(&self.counter, &epoch::pin());
        self.recall();
        while !is_enough() && self.ripe.free_some(FREED_MAX) {
            self.recall();
        }
        // Others may be about to free what they have taken out. What they have freed is recalled.
        let is_freed = self.ripe.bytes() == 0;
        if is_run && is_freed {
            self.recall();
        }
        is_run && is_freed && !is_enough()
    }

    fn recall(&self) {
        for stripe in 0..self.stripes.count() {
            self.stripes.lock_one(stripe).share.give_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Room;
    use crate::clock::SystemClock;
    use crate::engine::eviction::EvictionScope;
    use crate::engine::history::HistoryBounds;
    use crate::engine::victims::AHEAD_MAX;
    use crate::engine::write::Op;
    use crate::engine::{Config, Engine};
    use crate::error::{Error, ErrorKind, Result};
    use crate::key::Key;
    use crate::limits::Limits;
    use crate::value::NewValue;
    use std::sync::Arc;

    const LIMIT: u64 = 1 << 20;

    fn cache() -> Arc<Engine> {
        engine(u64::MAX, true)
    }

    fn engine(entry_limit: u64, makes_room: bool) -> Arc<Engine> {
        Engine::new(Config {
            limits: Limits::default(),
            clock: Arc::new(SystemClock),
            stripe_bits: 4,
            maintenance: false,
            history: HistoryBounds::default(),
            memory_limit: LIMIT,
            entry_limit,
            weigher: None,
            eviction: makes_room.then(|| EvictionScope {
                makes_room,
                ..EvictionScope::default()
            }),
            latency_histograms: false,
            slow_commits: None,
            queue_concurrency: 1,
        })
    }

    #[test]
    fn what_is_lacking_is_evicted_and_only_a_few_more_for_those_who_come_next() {
        let engine = cache();
        for number in 0..2_000_u64 {
            let set = engine.set(&Key::from(number), NewValue::from(number));
            set.expect("there is room");
        }
        let evict = |lacking, in_all| {
            let before = engine.counts().entry_count;
            Room::new(&engine).evict(lacking, in_all);
            before - engine.counts().entry_count
        };
        let ahead = evict(0, LIMIT);
        assert!((AHEAD_MAX..AHEAD_MAX + 16).contains(&ahead), "{ahead}");
        let lacking = evict(LIMIT / 8, LIMIT);
        assert!(lacking > 4 * AHEAD_MAX, "{lacking}");
    }

    #[test]
    fn whoever_evicts_is_waited_for_and_only_where_there_is_anybody() {
        for refused in [|| Error::memory_limit(1_000), || Error::entry_limit(1)] {
            let engine = engine(10, true);
            let eviction = engine.eviction.as_ref().expect("it evicts");
            let mut at_work = Some(eviction.busy.begin());
            let mut attempts = 0;
            let done = engine.try_again(refused(), || {
                attempts += 1;
                // What somebody else had in their hands has come back.
                match attempts {
                    3 => at_work.take().map_or(Err(refused()), |_| Ok(())),
                    _ => Err(refused()),
                }
            });
            assert_eq!((done.map_err(|error| error.kind()), attempts), (Ok(()), 3));
        }
        for makes_room in [true, false] {
            let mut attempts = 0;
            let done: Result<()> = engine(10, makes_room).try_again(Error::entry_limit(1), || {
                attempts += 1;
                Err(Error::entry_limit(1))
            });
            assert_eq!((done.is_err(), attempts), (true, 1));
        }
    }

    #[test]
    fn what_can_never_fit_evicts_nothing() {
        let engine = cache();
        for number in 0..2_000_u64 {
            let set = engine.set(&Key::from(number), NewValue::from(number));
            set.expect("there is room");
        }
        let margin = || engine.eviction.as_ref().map(|it| it.margin(LIMIT));
        let before = (engine.counts().entry_count, margin());
        let most = usize::try_from(engine.memory.quota.most()).expect("it is small");
        for wanted in [most + 1, most + 1_000, usize::MAX] {
            let refused = || Error::memory_limit(wanted);
            let done: Result<()> = engine.try_again(refused(), || Err(refused()));
            let kind = done.map_err(|error| error.kind());
            assert_eq!(kind, Err(ErrorKind::MemoryLimit), "{wanted}");
            assert!(!engine.make_room_at_once(&refused()), "{wanted}");
        }
        assert_eq!((engine.counts().entry_count, margin()), before);
    }

    #[test]
    fn the_margin_is_widened_for_want_of_memory_and_for_nothing_else() {
        let engine = cache();
        let margin = || {
            engine
                .eviction
                .as_ref()
                .map(|eviction| eviction.margin(LIMIT))
        };
        let key = Key::from("text");
        engine
            .set(&key, NewValue::from("text"))
            .expect("there is room");
        let least = margin();
        let mistaken = engine.commit_mutation(&key, &Op::Max(1));
        let kind = mistaken.map(drop).map_err(|error| error.kind());
        assert_eq!((kind, margin()), (Err(ErrorKind::TypeMismatch), least));
        let large = vec![0; 60_000];
        let set = |number: u64| {
            let set = engine.set(&Key::from(number), NewValue::from(&large[..]));
            set.expect("room is made");
        };
        (0..100).for_each(set);
        assert!(margin() > least, "{:?}", margin());
    }
}
