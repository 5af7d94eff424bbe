//! Linking, reading, pruning and rolling back on the real epoch.

use super::{
    Canary, Core, Participant, at_once, check, draft, join, must_fail, must_fail_by, spawn,
    unpinned,
};
use crate::memory::FREED;
use crate::mvcc::publish::Install;
use crate::mvcc::quota::Share;
use crate::mvcc::registry::Registry;
use crate::sync::Planted;
use crate::sync::epoch::Guard;
use crate::version::Stamp;
use std::sync::Arc;

/// E-LINK: whoever sees a version sees all of it.
fn a_reader_meets_a_new_version() {
    let core = Core::new(1);
    let writer = spawn(&core, |core, me| {
        let guard = me.pin();
        // As a check would. To loom, whatever is made right after a fence was made before it.
        assert!(core.newest(0, &guard).is_none());
        core.set(0, 1, &guard)
    });
    let reader = spawn(&core, |core, me| core.newest(0, &me.pin()));
    let stamp = join(writer);
    if let Some(found) = join(reader) {
        assert_eq!(found, (1, stamp));
    }
}

#[test]
fn linked_version_is_whole() {
    check(a_reader_meets_a_new_version);
}

#[test]
fn linked_version_is_whole_twin() {
    must_fail(
        Planted::WeakLink,
        "Causality violation",
        a_reader_meets_a_new_version,
    );
}

/// Values 1, 2 and 3 at stamps of the same number, a snapshot open at 1, the grace at 3: the
/// version in the middle is seen by nobody.
fn three_versions(core: &Arc<Core>, me: &Participant) -> crate::mvcc::registry::Registration {
    core.set(0, 1, &me.pin());
    let snapshot = {
        let guard = me.pin();
        core.registry.register(core.counter.latest(), &guard)
    };
    core.set(0, 2, &me.pin());
    core.set(0, 3, &me.pin());
    core.raise_grace(me);
    snapshot
}

/// PINNED: a reader on its way to an old version stands on the one that is freed.
///
/// The reader's way is the same whether it is registered or not, so the registration stays here.
fn a_reader_passes_a_freed_version(guard_of: fn(&Guard) -> &Guard) {
    let core = Core::new(1);
    let me = core.participant();
    let snapshot = three_versions(&core, &me);
    let reader = spawn(&core, |core, me| core.at(0, Stamp::new(1), &me.pin()));
    let guard = me.pin();
    core.sweep(&core.registry.horizon(), guard_of(&guard));
    drop(guard);
    me.turn_epoch();
    assert_eq!(join(reader), Some(1));
    assert_eq!(core.at(0, Stamp::new(1), &me.pin()), Some(1));
    drop(snapshot);
}

#[test]
fn freed_version_outlives_its_readers() {
    check(|| a_reader_passes_a_freed_version(|guard| guard));
}

#[test]
fn freed_version_outlives_its_readers_twin() {
    must_fail_by("a version in the middle is freed at once", FREED, || {
        a_reader_passes_a_freed_version(at_once);
    });
}

/// KEEP-ONE: sweeping leaves every open snapshot its version.
fn a_snapshot_meets_a_sweep(asked: fn(&Core) -> Arc<Registry>) {
    let core = Core::new(1);
    let me = core.participant();
    let snapshot = three_versions(&core, &me);
    let reader = spawn(&core, |core, me| core.at(0, Stamp::new(1), &me.pin()));
    core.sweep(&asked(&core).horizon(), &me.pin());
    assert_eq!(join(reader), Some(1), "KEEP-ONE");
    drop(snapshot);
}

#[test]
fn sweeping_keeps_one_for_each_snapshot() {
    check(|| a_snapshot_meets_a_sweep(|core| Arc::clone(&core.registry)));
}

#[test]
fn sweeping_keeps_one_for_each_snapshot_twin() {
    must_fail_by("sweeping ignores the snapshots", FREED, || {
        a_snapshot_meets_a_sweep(|core| {
            let unaware = Arc::new(Registry::new());
            let me = core.participant();
            unaware.advance_grace(&core.counter, &me.pin());
            me.turn_epoch();
            unaware
        });
    });
}

/// PINNED: a commit that is rolled back, under a reader that stands on what it linked.
fn a_reader_meets_a_roll_back(guard_of: fn(&Guard) -> &Guard) {
    let core = Core::new(2);
    let me = core.participant();
    core.set(0, 1, &me.pin());
    core.set(1, 1, &me.pin());
    let reader = spawn(&core, |core, me| {
        let guard = me.pin();
        [1, 0].map(|index| core.newest(index, &guard).map(|(value, _)| value))
    });
    let guard = me.pin();
    let mut install = Install::new();
    install.link(core.record(0, &guard), draft(2));
    install.link(core.record(1, &guard), draft(2));
    install.roll_back(Share::unlimited().freed(), guard_of(&guard));
    drop(guard);
    me.turn_epoch();
    assert_eq!(join(reader), [Some(1), Some(1)]);
}

#[test]
fn rolled_back_version_outlives_its_readers() {
    check(|| a_reader_meets_a_roll_back(|guard| guard));
}

#[test]
fn rolled_back_version_outlives_its_readers_twin() {
    must_fail_by("what was rolled back is freed at once", FREED, || {
        a_reader_meets_a_roll_back(at_once);
    });
}

/// E-LINK: a head that is put back is seen by some for the first time.
fn a_reader_meets_a_head_that_is_put_back() {
    let core = Core::new(1);
    let me = core.participant();
    // The fence of pinning would hide what this is about; and nothing is freed before the end.
    let reader = spawn(&core, |core, _| core.newest(0, unpinned()));
    let guard = me.pin();
    assert!(core.newest(0, &guard).is_none());
    let stamp = core.set(0, 1, &guard);
    let mut install = Install::new();
    install.link(core.record(0, &guard), draft(2));
    install.roll_back(Share::unlimited().freed(), &guard);
    drop(guard);
    assert!(join(reader).is_none_or(|found| found == (1, stamp)));
}

#[test]
fn head_that_is_put_back_is_whole() {
    check(a_reader_meets_a_head_that_is_put_back);
}

#[test]
fn head_that_is_put_back_is_whole_twin() {
    must_fail(
        Planted::WeakUnlink,
        "Causality violation",
        a_reader_meets_a_head_that_is_put_back,
    );
}

/// PINNED: the leader of a commit that is rolled back lives for as long as somebody may have come
/// to it from a version that it leads, also where the epoch goes on in the middle of that.
fn a_reader_meets_a_led_version(roll_back: fn(Install<'_, Canary>, &Core, &Guard)) {
    let core = Core::new(3);
    let me = core.participant();
    let reader = spawn(&core, |core, me| {
        // The epoch goes on by one under the writer's guard.
        me.pin().flush();
        // Meets the last version that is linked, and follows it to the leader.
        assert_eq!(core.newest(2, &me.pin()), None);
    });
    let guard = me.pin();
    // A bag of the epoch holds four: the commit's first fills it, its second sends it off.
    for _ in 0..3 {
        guard.defer(|| ());
    }
    let mut install = Install::new();
    for index in 0..3 {
        install.link(core.record(index, &guard), draft(1));
    }
    roll_back(install, &core, &guard);
    drop(guard);
    me.pin().flush();
    join(reader);
}

#[test]
fn leader_outlives_those_it_leads() {
    check(|| {
        a_reader_meets_a_led_version(|install, _, guard| {
            install.roll_back(Share::unlimited().freed(), guard);
        });
    });
}

#[test]
fn leader_outlives_those_it_leads_twin() {
    must_fail_by("the leader is taken back first", FREED, || {
        a_reader_meets_a_led_version(|_, core, guard| {
            for index in 0..3 {
                let record = core.record(index, guard);
                record.unlink(
                    record.head().expect("it was linked"),
                    Share::unlimited().freed(),
                    guard,
                );
            }
        });
    });
}
