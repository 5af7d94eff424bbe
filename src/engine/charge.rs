//! What a commit is charged for the versions that it is going to link.

use super::Stripe;
use super::commit::has_entry;
use super::payload::{self, Large};
use super::weight::added_weight;
use crate::mvcc::chain::{Draft, RecordRef, TOMBSTONE};
use crate::mvcc::quota::Purpose;
use crate::sync::OutOfMemory;

/// What a version that is going to be linked was charged.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Charged {
    pub(super) bytes: usize,
    /// What it weighs more than what it takes the place of, where entries are limited.
    weight: u32,
}

impl Stripe {
    /// Charges a version that is going to be linked, to this record, if there is one already; how
    /// much that is.
    #[inline]
    pub(super) fn charge(
        &mut self,
        draft: &Draft<Large>,
        record: Option<RecordRef<'_, Large>>,
    ) -> Result<Charged, OutOfMemory> {
        let bytes = draft.size();
        self.share.charge_for(bytes, || purpose_of(draft, record))?;
        if self.entries.is_some() && !(payload::weighs_one(draft) && has_entry(record)) {
            return self.charge_limited(draft, record, bytes);
        }
        Ok(Charged { bytes, weight: 0 })
    }

    /// Charges what a version weighs, too, which has been charged its bytes.
    #[inline(never)]
    fn charge_limited(
        &mut self,
        draft: &Draft<Large>,
        record: Option<RecordRef<'_, Large>>,
        bytes: usize,
    ) -> Result<Charged, OutOfMemory> {
        let weight = added_weight((draft, record));
        let charged = self.charge_weight(weight.into());
        charged.inspect_err(|_| self.share.refund(bytes))?;
        Ok(Charged { bytes, weight })
    }

    /// Takes back what was charged.
    pub(super) fn refund(&mut self, charged: Charged) {
        self.share.refund(charged.bytes);
        if charged.weight > 0 {
            self.refund_weight(charged.weight.into());
        }
    }
}

/// What the room is charged for that is needed to note what a commit leaves which links these versions.
#[inline]
pub(super) fn purpose_of_notes<'d>(mut drafts: impl Iterator<Item = &'d Draft<Large>>) -> Purpose {
    if drafts.all(|draft| draft.tag() == TOMBSTONE) {
        Purpose::Removal
    } else {
        Purpose::Replacement
    }
}

/// What a version is charged for.
#[cold]
fn purpose_of(draft: &Draft<Large>, record: Option<RecordRef<'_, Large>>) -> Purpose {
    if draft.tag() == TOMBSTONE {
        return Purpose::Removal;
    }
    let replaced = record.and_then(RecordRef::settled_head);
    if replaced.is_some_and(|(version, _)| draft.size() <= version.size()) {
        Purpose::Replacement
    } else {
        Purpose::Growth
    }
}
