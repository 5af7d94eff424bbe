//! Publishing: linking, minting, deciding, and readers that help.
//!
//! Nothing is freed in these models, so nobody pins. That leaves out the fence of pinning, too: the
//! orderings have to do without it.

use super::{Core, check, draft, join, must_fail, must_fail_by, spawn, unpinned};
use crate::mvcc::publish::Install;
use crate::mvcc::stamp::StampWord;
use crate::sync::epoch::Guard;
use crate::sync::{Ordering, Planted};
use crate::version::Stamp;
use loom::sync::atomic::AtomicBool;
use std::sync::Arc;

/// Commits one value to every record.
fn set_all(core: &Core, value: u8, guard: &Guard) -> Stamp {
    let mut install = Install::new();
    for index in 0..core.records.len() {
        install.link(core.record(index, guard), draft(value));
    }
    install.publish(&core.counter)
}

/// ALL-LINKED, VISIBLE, E-READY, E-MINT: a commit of two keys, a reader at a snapshot that looks at
/// the second first, and another that helps.
fn two_readers_meet_a_commit(commit: fn(&Core, u8, &Guard)) {
    let core = Core::new(2);
    let reader = spawn(&core, |core, _| {
        let at = core.counter.latest();
        let [second, first] = [1, 0].map(|index| core.at(index, at, unpinned()));
        assert_eq!(first, second, "VISIBLE: a torn snapshot");
    });
    let helper = spawn(&core, |core, _| {
        core.newest(0, unpinned());
    });
    commit(&core, 1, unpinned());
    join(reader);
    join(helper);
}

#[test]
fn snapshot_is_not_torn() {
    check(|| {
        two_readers_meet_a_commit(|core, value, guard| {
            set_all(core, value, guard);
        });
    });
}

#[test]
fn snapshot_is_not_torn_twin_weak_mint() {
    must_fail(Planted::WeakMint, "VISIBLE: a torn snapshot", || {
        two_readers_meet_a_commit(|core, value, guard| {
            set_all(core, value, guard);
        });
    });
}

#[test]
fn snapshot_is_not_torn_twin_ready_too_early() {
    must_fail_by(
        "ready before everything is linked",
        "VISIBLE: a torn snapshot",
        || {
            two_readers_meet_a_commit(|core, value, guard| {
                let leader = core.record(0, guard).link(draft(value), StampWord::ready());
                let word = StampWord::led_by(leader.address());
                let other = core.record(1, guard).link(draft(value), word);
                let stamp = leader.word().decide(&core.counter);
                other.word().settle(stamp);
            });
        },
    );
}

#[test]
fn snapshot_is_not_torn_twin_minted_too_early() {
    must_fail_by(
        "minted before everything is linked",
        "VISIBLE: a torn snapshot",
        || {
            two_readers_meet_a_commit(|core, value, guard| {
                let minted = core.counter.mint();
                let leader = core
                    .record(0, guard)
                    .link(draft(value), StampWord::installing());
                let word = StampWord::led_by(leader.address());
                let other = core.record(1, guard).link(draft(value), word);
                leader.word().start_validating();
                if leader.word().decide_validated(minted) {
                    other.word().settle(minted);
                }
            });
        },
    );
}

/// E-READY: a reader takes part in a commit that it has found ready, and then reads all of it.
fn a_reader_reads_twice() {
    let core = Core::new(3);
    let reader = spawn(&core, |core, _| {
        // One that is led and linked before the other: its stamp may come from its own word.
        let once = core.newest(1, unpinned());
        let other = core.newest(2, unpinned());
        assert!(once.is_none() || once == other, "E-READY: half a commit");
    });
    set_all(&core, 1, unpinned());
    join(reader);
}

#[test]
fn point_reads_see_whole_commits() {
    check(a_reader_reads_twice);
}

#[test]
fn point_reads_see_whole_commits_twin_weak_ready() {
    must_fail(
        Planted::WeakReady,
        "E-READY: half a commit",
        a_reader_reads_twice,
    );
}

#[test]
fn point_reads_see_whole_commits_twin_weak_settle() {
    must_fail(
        Planted::WeakSettle,
        "E-READY: half a commit",
        a_reader_reads_twice,
    );
}

#[test]
fn point_reads_see_whole_commits_twin_weak_state() {
    must_fail(
        Planted::WeakState,
        "E-READY: half a commit",
        a_reader_reads_twice,
    );
}

/// VISIBLE: the same snapshot is read twice while its stamps are decided.
fn a_snapshot_is_read_twice() {
    let core = Core::new(1);
    let reader = spawn(&core, |core, _| {
        let guard = unpinned();
        let at = core.counter.latest();
        let once = core.at(0, at, guard);
        assert_eq!(once, core.at(0, at, guard), "VISIBLE: a read changed");
    });
    core.set(0, 1, unpinned());
    join(reader);
}

#[test]
fn reads_at_a_snapshot_repeat() {
    check(a_snapshot_is_read_twice);
}

#[test]
fn reads_at_a_snapshot_repeat_twin() {
    must_fail(
        Planted::SkipReady,
        "VISIBLE: a read changed",
        a_snapshot_is_read_twice,
    );
}

/// DECIDED-ONCE: the writer and two helpers agree on the stamp.
fn two_readers_help() {
    let core = Core::new(2);
    let readers = [0, 1].map(|index| {
        spawn(&core, move |core, _| {
            core.newest(index, unpinned()).map(|(_, stamp)| stamp)
        })
    });
    let stamp = set_all(&core, 1, unpinned());
    for reader in readers {
        assert!(
            join(reader).is_none_or(|seen| seen == stamp),
            "DECIDED-ONCE: two stamps"
        );
    }
    for index in [0, 1] {
        assert_eq!(core.newest(index, unpinned()), Some((1, stamp)));
    }
}

#[test]
fn stamp_is_decided_once() {
    check(two_readers_help);
}

#[test]
fn stamp_is_decided_once_twin() {
    must_fail(
        Planted::OwnStamp,
        "DECIDED-ONCE: two stamps",
        two_readers_help,
    );
}

/// A commit that returned before another began has the smaller stamp, whoever decided it: here the
/// writer, or a reader that helps.
fn one_commit_follows_another(commit: fn(&Core, usize, &Guard)) {
    let core = Core::new(2);
    let has_returned = Arc::new(AtomicBool::new(false));
    let signal = Arc::clone(&has_returned);
    let later = spawn(&core, move |core, _| {
        let is_after = has_returned.load(Ordering::Acquire);
        commit(core, 1, unpinned());
        is_after
    });
    let reader = spawn(&core, |core, _| core.newest(0, unpinned()));
    commit(&core, 0, unpinned());
    signal.store(true, Ordering::Release);
    let is_after = join(later);
    join(reader);
    let [second, first] = [1, 0].map(|index| core.newest(index, unpinned()));
    assert!(
        !is_after || first.map(|(_, stamp)| stamp) < second.map(|(_, stamp)| stamp),
        "the stamps contradict real time"
    );
}

#[test]
fn stamps_follow_real_time() {
    check(|| {
        one_commit_follows_another(|core, index, guard| {
            core.set(index, 1, guard);
        });
    });
}

#[test]
fn stamps_follow_real_time_twin() {
    must_fail_by(
        "a commit returns and leaves its stamp to whoever reads it",
        "the stamps contradict real time",
        || {
            one_commit_follows_another(|core, index, guard| {
                core.record(index, guard).link(draft(1), StampWord::ready());
            });
        },
    );
}

/// Who has read a commit reads every commit that the stamps put before it.
fn point_reads_meet_two_commits() {
    let core = Core::new(2);
    let other = spawn(&core, |core, _| core.set(0, 1, unpinned()));
    let reader = spawn(&core, |core, _| {
        let seen = core.newest(1, unpinned()).is_some();
        (seen, core.newest(0, unpinned()).is_some())
    });
    let stamp = core.set(1, 1, unpinned());
    let is_later = join(other) > stamp;
    let (seen, other_seen) = join(reader);
    assert!(
        !seen || other_seen || is_later,
        "a read contradicts the stamps"
    );
}

#[test]
fn point_reads_follow_the_stamps() {
    check(point_reads_meet_two_commits);
}

#[test]
fn point_reads_follow_the_stamps_twin() {
    must_fail(
        Planted::SkipReady,
        "a read contradicts the stamps",
        point_reads_meet_two_commits,
    );
}
