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

use super::calls::Calls;
use super::commit::Outcome;
use super::handover::Handover;
use super::ranged::{Fine, Terms};
use super::write::{RangeReads, Write};
use super::{Engine, Stripe};
use crate::error::Result;
use crate::mvcc::notify::Woken;
use crate::mvcc::stripes::Locked;
use crate::sync::{Planted, epoch, planted};
use crate::version::Stamp;

/// How far ahead to look for a stamp, the next time further. The grace counts stamps too: until it has
/// caught up with a long jump, commits make way as if as much had been written.
const AHEAD: [u64; 3] = [1, 8, 64];

/// How much further each time that the stamp was gone, behind every stripe, where nobody mints but who
/// commits messages and nothing else: they cannot be faster for ever.
const FURTHER: u64 = 8;

/// As far as that goes. Of 2^62 stamps a few jumps like this are nothing.
const AHEAD_MAX: u64 = 1 << 32;

impl Engine {
    /// Commits `write`, whose `versionstamped` is not empty, if the ranges hold what they held.
    pub(super) fn commit_versionstamped(
        &self,
        write: &Write<'_>,
        reads: Option<&RangeReads>,
        calls: &mut Calls,
    ) -> Result<Outcome> {
        if write.enqueues().is_empty() {
            return self.commit_foreseen(write, reads, None, &mut calls.woken);
        }
        self.with_handover(write.enqueues(), calls, |handover, woken| {
            self.commit_foreseen(write, reads, Some(handover), woken)
        })
    }

    fn commit_foreseen<'e>(
        &'e self,
        write: &Write<'_>,
        reads: Option<&RangeReads>,
        mut handover: Option<&mut Handover<'_>>,
        woken: &mut Woken,
    ) -> Result<Outcome> {
        let mut foreseen = write.without_messages()?;
        let mut locked = Locked::new();
        let mut attempt = |ahead, is_exclusive, locked: &mut Locked<'e, Stripe>| {
            let stamp = Stamp::new(self.counter.latest().get() + ahead);
            foreseen.end_keys(write.versionstamped(), stamp);
            let terms = Terms {
                reads,
                stamp: Some(stamp),
                is_exclusive,
            };
            self.commit_fine(&foreseen, terms, handover.as_deref_mut(), locked, woken)
        };
        for ahead in AHEAD {
            let fine = attempt(ahead, false, &mut locked)?;
            locked.unlock();
            self.tick_refused();
            if let Fine::Done(outcome) = fine {
                return Ok(outcome);
            }
        }
        // Nothing is in flight now, nobody changes a range, and hardly anybody mints. What is left to
        // fail for is a reader that looks at what is linked between the mint and the decision.
        // PINNED: before they are locked. Whoever pins for the first time may run what the epoch was
        // handed, and so what the caller's values do when they are dropped.
        let _guard = (!planted(Planted::LatePin)).then(epoch::pin);
        self.stripes.lock_all(&mut locked)?;
        let mut ahead = AHEAD[AHEAD.len() - 1];
        loop {
            match attempt(ahead, true, &mut locked)? {
                Fine::Done(outcome) => {
                    drop(locked);
                    self.tick_refused();
                    return Ok(outcome);
                }
                Fine::Gone => ahead = ahead.saturating_mul(FURTHER).min(AHEAD_MAX),
                Fine::Busy => {}
            }
        }
    }
}
