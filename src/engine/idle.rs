//! Letting go of what is not used any more.
//!
//! An entry that has been idle for a given time is evicted: it goes at one versionstamp for everybody. (A
//! reader that went by the clock itself could not tell what another is about to use: an entry would be
//! gone for the one, and be there again for the next.)
//!
//! Time is counted in ticks of the background, [`TICKS`] to that time, so that a reader reads no clock:
//! it notes in the record the tick that it finds. An entry goes that was last used so many whole
//! ticks ago, and one in which the last use was.

use super::Engine;
use super::eviction::{Eviction, EvictionReason, View};
use super::payload::Large;
use super::reports::Telling;
use super::victims::Evicted;
use crate::moment::Moment;
use crate::mvcc::chain::{RecordRef, Retiring, TICK_MAX};
use crate::mvcc::notify::Woken;
use crate::policy::Slot;
use crate::sync::{AtomicU32, Mutex, Ordering, epoch, is_failing};
use std::sync::Arc;
use std::time::Duration;

/// How many ticks the time is that an entry may be idle.
const TICKS: u32 = 8;

/// The shortest time of a tick: about as often as the background looks.
const TICK_LEAST: Duration = Duration::from_millis(10);

/// The tick that it is. Shared with the stripes.
#[derive(Clone, Debug, Default)]
pub(super) struct Tick(Arc<AtomicU32>);

impl Tick {
    #[inline]
    pub(super) fn now(&self) -> u32 {
        // ORDERING: Relaxed. It publishes nothing.
        self.0.load(Ordering::Relaxed)
    }

    fn advance(&self) -> u32 {
        let next = (self.now() + 1) & TICK_MAX;
        // ORDERING: Relaxed, as above. Whoever advances it has the turn.
        self.0.store(next, Ordering::Relaxed);
        next
    }
}

/// How long entries may be idle.
#[derive(Debug)]
pub(super) struct Idleness {
    length: Duration,
    /// When the next tick begins.
    next: Mutex<Moment>,
}

impl Idleness {
    pub(super) fn new(time_to_idle: Duration) -> Self {
        Self {
            length: (time_to_idle / TICKS).max(TICK_LEAST),
            next: Mutex::new(Moment::ZERO),
        }
    }

    /// Begins the next tick if it is time to; which one that is.
    fn turn(&self, tick: &Tick, now: Moment) -> Option<u32> {
        let mut next = self.next.lock();
        if now < *next {
            return None;
        }
        // Not from when it was due: one that comes late takes as long as any other.
        *next = now.after(self.length);
        let begun = tick.advance();
        drop(next);
        Some(begun)
    }
}

/// Whether the entry of a record has been idle for long enough, in this tick.
fn is_idle(record: RecordRef<'_, Large>, tick: u32) -> bool {
    tick.wrapping_sub(record.last_used()) & TICK_MAX > TICKS
}

/// What was evicted of a policy, which is told in the end, also where what a value does when it is dropped
/// panics.
struct Departed<'e, 'v> {
    eviction: &'e Eviction,
    index: usize,
    view: &'v View<'e, 'v>,
    count: usize,
}

impl Drop for Departed<'_, '_> {
    fn drop(&mut self) {
        if self.count > 0 && !is_failing() {
            (self.eviction).note_departed(self.index, self.count, self.view);
        }
    }
}

impl Engine {
    /// Evicts what has been idle for too long, if it is time to look. How soon it is the next time,
    /// where there is anything to look at.
    pub(super) fn evict_idle(&self) -> Option<Duration> {
        let eviction = self.eviction.as_deref()?;
        let idleness = eviction.idleness.as_ref()?;
        let Some(tick) = idleness.turn(&eviction.tick, self.now()) else {
            return self.has_entries().then_some(idleness.length);
        };
        self.tell_policies(eviction);
        let mut retiring = self.retiring();
        for index in 0..eviction.policy_count() {
            // From the back: where the first go meanwhile, the others move to where this has been.
            for piece in (0..eviction.pieces(index)).rev() {
                self.evict_idle_of(eviction, (index, piece), tick, &mut retiring);
            }
        }
        retiring.finish(&epoch::pin());
        self.has_entries().then_some(idleness.length)
    }

    pub(super) fn is_idle(&self, record: RecordRef<'_, Large>) -> bool {
        let eviction = self.eviction.as_deref();
        eviction.is_some_and(|eviction| is_idle(record, eviction.tick.now()))
    }

    fn has_entries(&self) -> bool {
        (0..self.stripes.count()).any(|index| self.stripes.lock_one(index).counts.entry_count > 0)
    }

    /// The same of a piece of a policy.
    fn evict_idle_of(
        &self,
        eviction: &Eviction,
        (index, piece): (usize, usize),
        tick: u32,
        retiring: &mut Retiring<'_, Large>,
    ) {
        let mut woken = Woken::new();
        let mut telling = Telling::new(&self.reports);
        let guard = epoch::pin();
        let view = self.view(eviction, &guard);
        let idle: Vec<Slot> = eviction.look_at_piece(index, piece, |slot| {
            view.record(slot)
                .is_some_and(|record| is_idle(record, tick))
        });
        let mut departed = Departed {
            eviction,
            index,
            view: &view,
            count: 0,
        };
        for slot in &idle {
            departed.count += 1;
            let tell = (&mut woken, &mut telling);
            let evicted = self.evict_one(slot, EvictionReason::Idle, tell, retiring, &guard);
            if !matches!(evicted, Evicted::Room(_)) {
                departed.count -= 1;
            }
        }
        drop(departed);
        drop(guard);
        self.ripe.free();
    }
}
