//! What a stripe notes for its policy: what has come, and what has gone.

use super::eviction::EvictionScope;
use super::idle::Tick;
use super::payload::Large;
use super::weight::Measure;
use crate::mvcc::chain::RecordRef;
use crate::policy::{Slot, USES_MAX};
use smallvec::SmallVec;
use std::mem;
use std::sync::Arc;

/// How much a stripe notes before it tells its policy.
const NOTES_MAX: usize = 8;

/// What a stripe notes for its policy. Lives behind the stripe's lock.
#[derive(Debug)]
pub(super) struct Notes {
    scope: Arc<EvictionScope>,
    tick: Tick,
    measure: Measure,
    next_number: u8,
    come: SmallVec<[Slot; NOTES_MAX]>,
    come_weight: u64,
    /// How many have gone otherwise than by eviction, and the hash of one.
    gone: usize,
    gone_hash: u64,
    pub(super) is_evicting: bool,
}

impl Notes {
    pub(super) fn new(scope: &Arc<EvictionScope>, tick: &Tick, measure: Measure) -> Self {
        Self {
            scope: Arc::clone(scope),
            tick: tick.clone(),
            measure,
            next_number: 0,
            come: SmallVec::new(),
            come_weight: 0,
            gone: 0,
            gone_hash: 0,
            is_evicting: false,
        }
    }

    /// Notes that an entry has come to a record, or gone from it.
    #[cold]
    pub(super) fn note(&mut self, record: RecordRef<'_, Large>, is_entry: bool) {
        if !self.scope.covers(record.key()) {
            return;
        }
        if is_entry {
            self.next_number = self.next_number.wrapping_add(1);
            record.set_number(self.next_number);
            record.begin_uses(self.tick.now());
            let weight = self.measure.of_record(record);
            self.come_weight += u64::from(weight);
            self.come
                .push(Slot::new(record.hash(), self.next_number, weight));
        } else if !self.is_evicting {
            self.gone += 1;
            self.gone_hash = record.hash();
        }
    }

    /// Notes that an entry was written.
    #[inline]
    pub(super) fn visit(&self, record: RecordRef<'_, Large>) {
        record.visit(USES_MAX, self.tick.now());
    }

    /// What has come last.
    pub(super) fn latest(&self) -> Option<&Slot> {
        self.come.last()
    }

    /// Whether what the stripe is about to enter into its books is an eviction.
    pub(super) fn is_evicting(&self) -> bool {
        self.is_evicting
    }

    pub(super) fn is_due(&self, weight_max: u64) -> bool {
        self.come_weight >= weight_max || self.come.len() + self.gone >= NOTES_MAX
    }

    /// The hash of something that is noted, if anything is. All keys of a stripe have one policy.
    pub(super) fn some_hash(&self) -> Option<u64> {
        let gone = (self.gone > 0).then_some(self.gone_hash);
        self.come.first().map(|slot| slot.hash).or(gone)
    }

    /// Takes over what is noted: what has come, and how many have gone.
    pub(super) fn take(&mut self) -> (SmallVec<[Slot; NOTES_MAX]>, usize) {
        self.come_weight = 0;
        (mem::take(&mut self.come), mem::take(&mut self.gone))
    }
}
