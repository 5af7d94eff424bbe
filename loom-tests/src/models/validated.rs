//! Commits that read ranges. A range is the fixed array of records.
//!
//! Nothing is freed while the threads run, so readers do not pin; see `publish`.

use super::unpinned;
use super::{Canary, Core, Participant, check, draft, join, must_fail, must_fail_by, spawn};
use crate::mvcc::publish::{Install, Refused, Verdict};
use crate::mvcc::quota::Share;
use crate::sync::Planted;
use crate::version::Stamp;

/// A commit that writes one record if none has changed since the beginning.
type Commit = fn(&Core, &Participant, usize) -> Option<Stamp>;

/// What the ranges of a commit that has read all records at the beginning hold now.
fn scan(core: &Core, install: &Install<'_, Canary>) -> Verdict {
    (0..core.records.len())
        .map(|index| install.examine(core.record(index, unpinned()), Stamp::ZERO))
        .find(|verdict| *verdict != Verdict::Unchanged)
        .unwrap_or(Verdict::Unchanged)
}

fn commit(core: &Core, me: &Participant, index: usize) -> Option<Stamp> {
    let mut install = Install::new();
    install.link(core.record(index, unpinned()), draft(1));
    let outcome = install.publish_validated(&core.counter, |install| scan(core, install));
    if outcome.is_err() {
        install.roll_back(Share::unlimited().freed(), &me.pin());
    }
    outcome.ok()
}

/// Scans first and mints afterwards.
fn commit_scanning_first(core: &Core, me: &Participant, index: usize) -> Option<Stamp> {
    let mut install = Install::new();
    let record = core.record(index, unpinned());
    install.link(record, draft(1));
    let head = record.head().expect("it was linked");
    head.word().start_validating();
    if scan(core, &install) == Verdict::Unchanged {
        let minted = core.counter.mint();
        if head.word().decide_validated(minted) {
            return Some(minted);
        }
    }
    install.roll_back(Share::unlimited().freed(), &me.pin());
    None
}

/// Write skew: each writes what the other has read.
fn two_commits_cross(commit: Commit) {
    let core = Core::new(2);
    let me = core.participant();
    let other = spawn(&core, move |core, me| commit(core, me, 1));
    let stamp = commit(&core, &me, 0);
    let other_stamp = join(other);
    assert!(stamp.is_none() || other_stamp.is_none(), "write skew");
    for (index, stamp) in [(0, stamp), (1, other_stamp)] {
        let found = core.newest(index, unpinned());
        assert_eq!(found.map(|(_, stamp)| stamp), stamp);
    }
}

#[test]
fn one_of_two_that_cross_is_refused() {
    check(|| two_commits_cross(commit));
}

#[test]
fn one_of_two_that_cross_is_refused_twin() {
    must_fail_by("scanned before the mint", "write skew", || {
        two_commits_cross(commit_scanning_first);
    });
}

#[test]
fn one_of_two_that_cross_is_refused_twin_weak_mint() {
    must_fail(Planted::WeakMint, "write skew", || {
        two_commits_cross(commit)
    });
}

/// The read-only anomaly: a commit that has not seen another goes before it, so whoever sees the
/// other sees it as well.
fn a_reader_meets_a_commit_and_what_it_has_not_read(commit: Commit) {
    let core = Core::new(2);
    let me = core.participant();
    let blind = spawn(&core, |core, _| core.set(1, 1, unpinned()));
    let reader = spawn(&core, |core, _| {
        let at = core.counter.latest();
        [0, 1].map(|index| core.at(index, at, unpinned()))
    });
    let stamp = commit(&core, &me, 0);
    let other_stamp = join(blind);
    let [first, second] = join(reader);
    assert!(
        stamp.is_none_or(|stamp| stamp < other_stamp),
        "the range had changed"
    );
    assert!(
        stamp.is_none() || first.is_some() || second.is_none(),
        "the read-only anomaly"
    );
}

#[test]
fn reader_sees_what_came_first() {
    check(|| a_reader_meets_a_commit_and_what_it_has_not_read(commit));
}

#[test]
fn reader_sees_what_came_first_twin() {
    must_fail_by("scanned before the mint", "the range had changed", || {
        a_reader_meets_a_commit_and_what_it_has_not_read(commit_scanning_first);
    });
}

/// VISIBLE, E-KICK: a snapshot is read while a commit of two keys validates.
fn a_snapshot_meets_a_validation() {
    let core = Core::new(2);
    let reader = spawn(&core, |core, _| {
        let at = core.counter.latest();
        let [once, other, twice] = [1, 0, 1].map(|index| core.at(index, at, unpinned()));
        assert!(once == other && once == twice, "VISIBLE: a torn snapshot");
    });
    let mut install = Install::new();
    for index in [0, 1] {
        install.link(core.record(index, unpinned()), draft(1));
    }
    let outcome = install.publish_validated(&core.counter, |_| Verdict::Unchanged);
    assert!(outcome.is_ok(), "one reader kicks once for each snapshot");
    join(reader);
}

#[test]
fn kicked_commit_is_later_than_the_snapshot() {
    check(a_snapshot_meets_a_validation);
}

#[test]
fn kicked_commit_is_later_than_the_snapshot_twin() {
    must_fail(
        Planted::NoKick,
        "VISIBLE: a torn snapshot",
        a_snapshot_meets_a_validation,
    );
}

/// A refused commit of two keys, under a reader.
fn a_reader_meets_a_refused_commit(refuse: fn(&Core, &Install<'_, Canary>)) {
    let core = Core::new(2);
    let me = core.participant();
    let reader = spawn(&core, |core, _| {
        let at = core.counter.latest();
        for index in [1, 0] {
            assert_eq!(core.at(index, at, unpinned()), None, "seen, but refused");
            assert_eq!(core.newest(index, unpinned()), None, "seen, but refused");
        }
    });
    let mut install = Install::new();
    for index in [0, 1] {
        install.link(core.record(index, unpinned()), draft(1));
    }
    refuse(&core, &install);
    install.roll_back(Share::unlimited().freed(), &me.pin());
    join(reader);
    for index in [0, 1] {
        assert!(core.record(index, unpinned()).head().is_none());
    }
}

#[test]
fn refused_commit_leaves_nothing() {
    check(|| {
        a_reader_meets_a_refused_commit(|core, install| {
            let outcome = install.publish_validated(&core.counter, |_| Verdict::Changed);
            assert_eq!(outcome, Err(Refused::Changed));
        });
    });
}

#[test]
fn refused_commit_leaves_nothing_twin() {
    must_fail_by(
        "made ready before it is validated",
        "seen, but refused",
        || {
            a_reader_meets_a_refused_commit(|core, install| {
                install.publish(&core.counter);
            });
        },
    );
}

/// A commit of one record that has to be the one with the number of its stamp.
fn commit_foreseen(core: &Core, me: &Participant) -> Result<Stamp, Stamp> {
    let foreseen = Stamp::new(core.counter.latest().get() + 1);
    let index = usize::try_from(foreseen.get()).expect("there are few commits");
    let mut install = Install::new();
    install.link(core.record(index, unpinned()), draft(1));
    let outcome = install.publish_at(foreseen, &core.counter, |_| Verdict::Unchanged);
    if outcome.is_err() {
        install.roll_back(Share::unlimited().freed(), &me.pin());
    }
    outcome.map_err(|_| foreseen)
}

/// Such a commit meets another, perhaps, and a reader.
fn a_foreseen_stamp_meets_others(is_alone: bool) {
    let core = Core::new(4);
    let me = core.participant();
    let other = (!is_alone).then(|| spawn(&core, |core, _| core.set(0, 1, unpinned())));
    let reader = spawn(&core, |core, _| {
        let at = core.counter.latest();
        let seen = || [1, 2].map(|index| core.at(index, at, unpinned()).is_some());
        let (once, twice) = (seen(), seen());
        assert!(once == twice, "VISIBLE: not the same twice");
        (at, once)
    });
    let committed = commit_foreseen(&core, &me);
    let other = other.map(join);
    let (at, seen) = join(reader);
    assert!(
        committed.is_err() || committed.ok() != other,
        "a stamp was minted twice"
    );
    for (index, seen) in [1, 2].into_iter().zip(seen) {
        let own = Stamp::new(index as u64);
        let expected = (committed == Ok(own)).then_some(own);
        let found = core.newest(index, unpinned()).map(|(_, stamp)| stamp);
        assert!(found == expected, "the key and its stamp differ");
        let is_past = expected.is_some_and(|stamp| stamp <= at);
        assert!(seen == is_past, "VISIBLE: not what was committed by then");
    }
}

#[test]
fn key_is_the_stamp_of_its_commit() {
    check(|| a_foreseen_stamp_meets_others(false));
}

#[test]
fn key_is_the_stamp_of_its_commit_twin() {
    must_fail(
        Planted::ForeseenStamp,
        "the key and its stamp differ",
        || a_foreseen_stamp_meets_others(false),
    );
}

#[test]
fn key_is_the_stamp_of_its_commit_twin_no_kick() {
    must_fail(Planted::NoKick, "VISIBLE: not", || {
        a_foreseen_stamp_meets_others(true)
    });
}
