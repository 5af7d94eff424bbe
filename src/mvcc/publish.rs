//! Publishing a commit: link every head, then decide one stamp.
//!
//! The caller holds the stripes of all keys that it writes, has validated its checks, and has the
//! new versions ready; nothing in here can fail but the validation of ranges.
//!
//! A commit of one key links its version in state ready: linking it links everything. A commit of
//! several links the first as leader, in state installing, and the others pointing at it, then
//! makes the leader ready, mints, decides, and settles the others. A reader that meets any of its
//! versions in the meantime skips or decides them by the leader's word, so it sees all of the
//! commit or nothing.
//!
//! A commit that depends on ranges validates them between its mint and its decision: whoever links
//! a version after the validation has passed it will mint a later stamp, and whoever linked one
//! before is seen by the validation. Minting first is the point; validating first and minting
//! afterwards lets two such commits miss each other.

use super::chain::{Draft, Payload, RecordRef, VersionRef};
use super::quota::Freed;
use super::stamp::{StampCounter, StampWord, State};
use crate::sync::epoch::Guard;
use crate::sync::{OutOfMemory, Planted, planted, reserve};
use crate::version::Stamp;
use smallvec::SmallVec;

/// How often readers may kick a validation before the commit gives up on the fine way.
const KICKS_MAX: u32 = 4;

/// Publishes one version of one key; its stamp, and the version.
pub(crate) fn publish_one<'g, T>(
    record: RecordRef<'g, T>,
    draft: Draft<T>,
    counter: &StampCounter,
) -> (Stamp, VersionRef<'g, T>) {
    let version = record.link(draft, StampWord::ready());
    (version.word().decide(counter), version)
}

/// Publishes the tombstone of an entry that is evicted: a commit like others, so that snapshots of
/// before go on seeing the entry.
pub(crate) fn publish_evicted<'g, T>(
    record: RecordRef<'g, T>,
    tombstone: Draft<T>,
    counter: &StampCounter,
) -> (Stamp, VersionRef<'g, T>) {
    if planted(Planted::UnmintedEviction) {
        let version = record.link(tombstone, StampWord::installing());
        let stamp = counter.latest();
        version.word().settle(stamp);
        return (stamp, version);
    }
    // MODEL: evict::snapshot_goes_on_seeing_what_is_evicted.
    publish_one(record, tombstone, counter)
}

/// Makes versions visible that keep their stamps, all at once: by raising the counter to a stamp that
/// none of them is above. Every stripe is held, and nothing has ever been minted.
pub(crate) fn publish_kept<'g, T: 'g>(
    versions: impl Iterator<Item = VersionRef<'g, T>>,
    stamp: Stamp,
    counter: &StampCounter,
) {
    assert!(counter.raise(stamp), "KEPT: a stamp was minted");
    for version in versions {
        version.word().settle_kept();
    }
}

/// A version linked by a commit in flight.
struct Linked<'g, T> {
    record: RecordRef<'g, T>,
    version: VersionRef<'g, T>,
}

/// A commit in flight: the versions that it has linked so far, the leader first.
pub(crate) struct Install<'g, T> {
    linked: SmallVec<[Linked<'g, T>; 4]>,
}

/// What the validation of a commit's ranges found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing in the ranges has changed since they were read.
    Unchanged,
    /// Something has: the commit conflicts.
    Changed,
    /// Another commit is in flight in a range, and its outcome cannot be known without waiting.
    Busy,
}

/// Why a commit that is validated was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A range has changed.
    Changed,
    /// It does not get through: other commits or readers are in the way.
    Busy,
    /// The stamp that it was to have is gone.
    Gone,
}

impl<'g, T> Install<'g, T> {
    pub(crate) fn new() -> Self {
        Self {
            linked: SmallVec::new(),
        }
    }

    /// Sees to it that so many can be linked.
    pub(crate) fn reserve(&mut self, count: usize) -> Result<(), OutOfMemory> {
        reserve(&mut self.linked, count)
    }

    /// Links a version and gives it back; the first one linked leads. Each record at most once.
    pub(crate) fn link(&mut self, record: RecordRef<'g, T>, draft: Draft<T>) -> VersionRef<'g, T> {
        let word = match self.linked.first() {
            None if planted(Planted::EarlyReady) => StampWord::ready(),
            None => StampWord::installing(),
            Some(leader) => StampWord::led_by(leader.version.address()),
        };
        // Nothing is allocated any more, so nothing can be refused.
        debug_assert!(self.linked.len() < self.linked.capacity());
        let version = record.link(draft, word);
        self.linked.push(Linked { record, version });
        version
    }

    /// Makes the commit visible; its stamp. Without a linked version it only mints.
    pub(crate) fn publish(&self, counter: &StampCounter) -> Stamp {
        let Some((leader, others)) = self.linked.split_first() else {
            return counter.mint();
        };
        // ALL-LINKED: every version of the commit has been through `link`.
        // MODEL: publish::snapshot_is_not_torn, commit::snapshot_is_the_commits_up_to_it.
        if !planted(Planted::EarlyReady) {
            leader.version.word().make_ready();
        }
        let stamp = leader.version.word().decide(counter);
        settle(others, stamp);
        stamp
    }

    /// Makes the commit visible if `validate`, called after the mint, finds its ranges unchanged.
    /// Otherwise the caller has to [`roll_back`](Self::roll_back).
    pub(crate) fn publish_validated(
        &self,
        counter: &StampCounter,
        mut validate: impl FnMut(&Self) -> Verdict,
    ) -> Result<Stamp, Refused> {
        let Some((leader, others)) = self.linked.split_first() else {
            let minted = counter.mint();
            return match validate(self) {
                Verdict::Unchanged => Ok(minted),
                Verdict::Changed => Err(Refused::Changed),
                Verdict::Busy => Err(Refused::Busy),
            };
        };
        for _ in 0..KICKS_MAX {
            // The mint before the scan. MODEL: validated::one_of_two_that_cross_is_refused,
            // validated::reader_sees_what_came_first, validated::refused_commit_leaves_nothing.
            leader.version.word().start_validating();
            let early = planted(Planted::ValidateFirst).then(|| validate(self));
            let minted = counter.mint();
            match early.unwrap_or_else(|| validate(self)) {
                Verdict::Unchanged => {}
                Verdict::Changed => return Err(Refused::Changed),
                Verdict::Busy => return Err(Refused::Busy),
            }
            if leader.version.word().decide_validated(minted) {
                settle(others, minted);
                return Ok(minted);
            }
        }
        Err(Refused::Busy)
    }

    /// Makes the commit visible with this very stamp, on which what was linked depends, if nobody has
    /// minted it or a later one; and if `validate`, called after the mint, finds its ranges
    /// unchanged. Otherwise the caller has to [`roll_back`](Self::roll_back).
    pub(crate) fn publish_at(
        &self,
        stamp: Stamp,
        counter: &StampCounter,
        validate: impl FnOnce(&Self) -> Verdict,
    ) -> Result<Stamp, Refused> {
        // Ready would not do: a reader that decides it takes the next stamp, whatever that is.
        // MODEL: validated::key_is_the_stamp_of_its_commit.
        let leader = self.linked.first().map(|leader| leader.version.word());
        if let Some(leader) = leader {
            leader.start_validating();
        }
        let minted = if planted(Planted::ForeseenStamp) {
            counter.mint()
        } else if counter.mint_at(stamp) {
            stamp
        } else {
            return Err(Refused::Gone);
        };
        match validate(self) {
            Verdict::Unchanged => {}
            Verdict::Changed => return Err(Refused::Changed),
            Verdict::Busy => return Err(Refused::Busy),
        }
        // A reader that has kicked it may have passed it by, at a snapshot of this stamp.
        if leader.is_some_and(|leader| !leader.decide_validated(minted)) {
            return Err(Refused::Busy);
        }
        settle(self.linked.get(1..).unwrap_or_default(), minted);
        Ok(minted)
    }

    /// Takes every linked version back. Readers have seen none of them. Records created for the
    /// commit are left without a version. How much was freed is told to `freed`, in time.
    pub(crate) fn roll_back(self, freed: &Freed, guard: &Guard)
    where
        T: Payload,
    {
        // The leader last: a reader may come to it from any version that is still linked, and the
        // epoch waits only for those pinned when it is deferred (PINNED).
        // MODEL: chain::leader_outlives_those_it_leads.
        for one in self.linked.into_iter().rev() {
            one.record.unlink(one.version, freed, guard);
        }
    }

    /// The newest version of a record that is not this commit's own.
    ///
    /// Its own new version is looked past: what lies below is what it supersedes, and the stripe
    /// that it holds keeps others away.
    pub(crate) fn newest_other(&self, record: RecordRef<'g, T>) -> Option<VersionRef<'g, T>> {
        let head = record.head()?;
        let leader = self.linked.first().map(|leader| leader.version.address());
        if leader.is_some_and(|leader| head.is_led_by(leader)) {
            RecordRef::below(head)
        } else {
            Some(head)
        }
    }

    /// What a record holds for a range read at `read_at` and validated now, by this commit.
    pub(crate) fn examine(&self, record: RecordRef<'g, T>, read_at: Stamp) -> Verdict {
        let Some(head) = self.newest_other(record) else {
            return Verdict::Unchanged;
        };
        match head.state() {
            State::Decided(stamp) if stamp <= read_at => Verdict::Unchanged,
            State::Decided(_) => Verdict::Changed,
            _ => Verdict::Busy,
        }
    }
}

fn settle<T>(others: &[Linked<'_, T>], stamp: Stamp) {
    for one in others {
        one.version.word().settle(stamp);
    }
}
