//! Commits that write keys which end in their own stamp.
//!
//! What is written has to be linked before the stamp is minted, and here the stamp is a part of what
//! is written. So it is foreseen: the keys end in a stamp that has not been minted yet, their stripes
//! are locked like all others, the versions are linked, and then this very stamp is minted, or the
//! commit is rolled back and foresees another. It cannot be ready meanwhile, as a reader that helped
//! would give it whatever stamp is next; it validates, which readers do not wait for (`mvcc::publish`).
//!
//! Where others commit at the same time the next stamp is gone sooner than a commit is linked, so it
//! foresees one a little further ahead. The stamps between are never minted.

use super::commit::Outcome;
use super::handover::Handover;
use super::ranged::{Fine, Terms};
use super::write::{RangeReads, Write};
use super::{Engine, Stripe};
use crate::error::Result;
use crate::mvcc::stripes::Locked;
use crate::version::Stamp;

/// How far ahead to look for a stamp, the next time further. Little beside the steps of the grace,
/// which counts stamps too.
const AHEAD: [u64; 3] = [1, 8, 64];

/// Behind every stripe, where nobody mints but who commits messages and nothing else.
const AHEAD_EXCLUSIVE: u64 = 64;

impl Engine {
    /// Commits `write`, whose `versionstamped` is not empty, if the ranges hold what they held.
    pub(super) fn commit_versionstamped(
        &self,
        write: &Write<'_>,
        reads: Option<&RangeReads>,
    ) -> Result<Outcome> {
        if write.enqueues.is_empty() {
            return self.commit_foreseen(write, reads, None);
        }
        self.with_handover(&write.enqueues, |handover| {
            self.commit_foreseen(write, reads, Some(handover))
        })
    }

    fn commit_foreseen<'e>(
        &'e self,
        write: &Write<'_>,
        reads: Option<&RangeReads>,
        mut handover: Option<&mut Handover<'_>>,
    ) -> Result<Outcome> {
        let mut foreseen = write.without_messages()?;
        let mut locked = Locked::new();
        let mut attempt = |ahead, is_exclusive, locked: &mut Locked<'e, Stripe>| {
            let stamp = Stamp::new(self.counter.latest().get() + ahead);
            foreseen.end_keys(&write.versionstamped, stamp);
            let terms = Terms {
                reads,
                stamp: Some(stamp),
                is_exclusive,
            };
            self.commit_fine(&foreseen, terms, handover.as_deref_mut(), locked)
        };
        for ahead in AHEAD {
            if let Fine::Done(outcome) = attempt(ahead, false, &mut locked)? {
                return Ok(outcome);
            }
            locked.unlock();
        }
        // Nothing is in flight now, nobody changes a range, and hardly anybody mints. What is left to
        // fail for is a reader that looks at what is linked between the mint and the decision.
        self.stripes.lock_all(&mut locked)?;
        loop {
            if let Fine::Done(outcome) = attempt(AHEAD_EXCLUSIVE, true, &mut locked)? {
                return Ok(outcome);
            }
        }
    }
}
