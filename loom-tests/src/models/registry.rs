//! Registered snapshots, the grace, and what the horizon lets go.

use super::{Core, Participant, at_once, check, join, must_fail, must_fail_by, spawn};
use crate::memory::FREED;
use crate::mvcc::registry::{Horizon, Registration};
use crate::sync::epoch::Guard;
use crate::sync::{Mutex, Planted};
use std::sync::Arc;

/// Opens a snapshot of now.
fn open(core: &Core, me: &Participant) -> Registration {
    let guard = me.pin();
    core.registry.register(core.counter.latest(), &guard)
}

/// KEEP-ONE, HORIZON, E-GRACE: a snapshot is opened and read while its version is superseded, the
/// grace raised and the chain pruned.
fn a_snapshot_meets_a_raised_grace(
    open: fn(&Core, &Participant) -> Registration,
    guard_of: fn(&Guard) -> &Guard,
) {
    let core = Core::new(1);
    let me = core.participant();
    core.set(0, 1, &me.pin());
    let reader = spawn(&core, move |core, me| {
        let snapshot = open(core, me);
        core.at(0, snapshot.at(), &me.pin())
    });
    core.set(0, 2, &me.pin());
    core.registry
        .advance_grace(&core.counter, guard_of(&me.pin()));
    me.turn_epoch();
    core.sweep(&core.registry.horizon(), &me.pin());
    assert!(
        join(reader).is_some(),
        "KEEP-ONE: a snapshot has lost its version"
    );
}

#[test]
fn snapshot_keeps_its_version() {
    check(|| a_snapshot_meets_a_raised_grace(open, |guard| guard));
}

#[test]
fn snapshot_keeps_its_version_twin_grace_at_once() {
    must_fail_by("the grace is raised at once", FREED, || {
        a_snapshot_meets_a_raised_grace(open, at_once);
    });
}

#[test]
fn snapshot_keeps_its_version_twin_late() {
    must_fail_by("registered after unpinning", FREED, || {
        a_snapshot_meets_a_raised_grace(
            |core, me| {
                let at = {
                    let _guard = me.pin();
                    core.counter.latest()
                };
                core.registry.register(at, &me.pin())
            },
            |guard| guard,
        );
    });
}

/// HORIZON: a snapshot is registered, and then the grace raised, while a horizon is computed.
fn a_horizon_meets_a_raised_grace() {
    let core = Core::new(1);
    let (me, other) = (core.participant(), core.participant());
    core.set(0, 1, &me.pin());
    let guard = me.pin();
    let at = core.counter.latest();
    start_grace_beyond(&core, &other);
    let pruner = spawn(&core, |core, _| core.registry.horizon());
    let snapshot = core.registry.register(at, &guard);
    drop(guard);
    other.pin().flush();
    assert_eq!(core.registry.grace(), core.counter.latest());
    assert_not_past(&core, &join(pruner));
    drop(snapshot);
}

/// Supersedes everything, and sends a grace beyond that on its way: it needs the epoch to go on
/// once more, and waits for whoever is pinned now.
fn start_grace_beyond(core: &Core, me: &Participant) {
    core.set(0, 2, &me.pin());
    core.registry.advance_grace(&core.counter, &me.pin());
    me.pin().flush();
}

fn assert_not_past(core: &Core, horizon: &Horizon) {
    let latest = core.counter.latest();
    assert!(!horizon.is_past(latest), "HORIZON: past an open snapshot");
}

#[test]
fn horizon_sees_whoever_came_before_the_grace() {
    check(a_horizon_meets_a_raised_grace);
}

#[test]
fn horizon_sees_whoever_came_before_the_grace_twin() {
    must_fail(
        Planted::SlotsFirst,
        "HORIZON: past an open snapshot",
        a_horizon_meets_a_raised_grace,
    );
}

/// E-GRACE: a short reader registers nowhere.
fn a_short_reader_meets_a_raised_grace(guard_of: fn(&Guard) -> &Guard) {
    let core = Core::new(1);
    let me = core.participant();
    core.set(0, 1, &me.pin());
    let reader = spawn(&core, |core, me| {
        let guard = me.pin();
        core.at(0, core.counter.latest(), &guard)
    });
    core.set(0, 2, &me.pin());
    core.registry
        .advance_grace(&core.counter, guard_of(&me.pin()));
    me.turn_epoch();
    core.sweep(&core.registry.horizon(), &me.pin());
    assert!(
        join(reader).is_some(),
        "HORIZON: a short reader has lost its version"
    );
}

#[test]
fn grace_waits_for_short_readers() {
    check(|| a_short_reader_meets_a_raised_grace(|guard| guard));
}

#[test]
fn grace_waits_for_short_readers_twin() {
    must_fail_by("the grace is raised at once", "Causality violation", || {
        a_short_reader_meets_a_raised_grace(at_once);
    });
}

/// E-GRACE: a commit reads what it has written, which another has overwritten since.
fn a_commit_reads_what_it_left(pin_anew: fn(&Participant, Guard) -> Guard) {
    let core = Core::new(1);
    let me = core.participant();
    let stripe = Arc::new(Mutex::new(()));
    let committer = {
        let stripe = Arc::clone(&stripe);
        spawn(&core, move |core, me| {
            let guard = me.pin();
            let held = stripe.lock();
            let stamp = core.set(0, 1, &guard);
            drop(held);
            let guard = pin_anew(me, guard);
            (core.at(0, stamp, &guard), stamp)
        })
    };
    let held = stripe.lock();
    let other = core.set(0, 2, &me.pin());
    drop(held);
    core.registry.advance_grace(&core.counter, &me.pin());
    me.turn_epoch();
    core.sweep(&core.registry.horizon(), &me.pin());
    let (left, stamp) = join(committer);
    assert!(
        left == Some(1),
        "HORIZON: {stamp:?} has lost what it left to {other:?}"
    );
}

#[test]
fn what_a_commit_left_is_there_for_itself() {
    check(|| a_commit_reads_what_it_left(|_, guard| guard));
}

#[test]
fn what_a_commit_left_is_there_for_itself_twin() {
    must_fail_by("pinned after the commit", FREED, || {
        a_commit_reads_what_it_left(|me, guard| {
            drop(guard);
            me.pin()
        });
    });
}

/// E-GRACE: one thread reads, another raises the grace, a third frees what was read.
fn a_grace_goes_from_thread_to_thread() {
    let core = Core::new(1);
    let (me, other) = (core.participant(), core.participant());
    core.set(0, 1, &me.pin());
    let guard = me.pin();
    let at = core.counter.latest();
    start_grace_beyond(&core, &other);
    let raiser = spawn(&core, |_, me| me.pin().flush());
    let sweeper = spawn(&core, |core, me| {
        let guard = me.pin();
        core.sweep(&core.registry.horizon(), &guard);
    });
    assert_eq!(core.at(0, at, &guard), Some(1));
    drop(guard);
    join(raiser);
    join(sweeper);
}

#[test]
fn grace_brings_the_reads_along() {
    check(a_grace_goes_from_thread_to_thread);
}

#[test]
fn grace_brings_the_reads_along_twin() {
    must_fail(
        Planted::WeakGrace,
        "Causality violation",
        a_grace_goes_from_thread_to_thread,
    );
}

/// E-RELEASE: what a snapshot has read may be freed once it is closed, and not before.
fn a_snapshot_is_closed() {
    let core = Core::new(1);
    let me = core.participant();
    core.set(0, 1, &me.pin());
    let snapshot = open(&core, &me);
    core.set(0, 2, &me.pin());
    core.raise_grace(&me);
    let reader = spawn(&core, |core, me| {
        assert_eq!(core.at(0, snapshot.at(), &me.pin()), Some(1));
        drop(snapshot);
    });
    core.sweep(&core.registry.horizon(), &me.pin());
    join(reader);
    assert_eq!(core.registry.open_count(), 0);
}

#[test]
fn closed_snapshot_has_done_its_reads() {
    check(a_snapshot_is_closed);
}

#[test]
fn closed_snapshot_has_done_its_reads_twin() {
    must_fail(
        Planted::WeakRelease,
        "Causality violation",
        a_snapshot_is_closed,
    );
}

/// E-RELEASE through a slot that goes from one snapshot to the next: a horizon that sees what the
/// second left there is ordered after the reads of the first.
fn a_slot_is_used_twice() {
    let core = Core::new(1);
    let me = core.participant();
    core.set(0, 1, &me.pin());
    let first = open(&core, &me);
    core.set(0, 2, &me.pin());
    core.raise_grace(&me);
    let second = spawn(&core, |core, me| {
        // One guard for all of it: pinning is a fence, which would hide what this is about.
        let guard = me.pin();
        drop(core.registry.register(core.counter.latest(), &guard));
        core.sweep(&core.registry.horizon(), &guard);
    });
    assert_eq!(core.at(0, first.at(), &me.pin()), Some(1));
    drop(first);
    join(second);
}

#[test]
fn reused_slot_brings_the_earlier_reads_along() {
    check(a_slot_is_used_twice);
}

#[test]
fn reused_slot_brings_the_earlier_reads_along_twin() {
    must_fail(
        Planted::WeakClaim,
        "Causality violation",
        a_slot_is_used_twice,
    );
}

/// HORIZON: a snapshot that finds every slot taken is seen in the overflow, also by a horizon that
/// has not heard of whoever took the last slot.
fn a_snapshot_finds_no_slot() {
    let core = Core::new(1);
    let (me, other) = (core.participant(), core.participant());
    core.set(0, 1, &me.pin());
    let guard = me.pin();
    let at = core.counter.latest();
    start_grace_beyond(&core, &other);
    let in_the_first_slot = open(&core, &other);
    let in_the_last_slot = spawn(&core, open);
    let pruner = spawn(&core, |core, me| {
        me.pin().flush();
        core.registry.horizon()
    });
    let overflowing = core.registry.register(at, &guard);
    drop(guard);
    assert_not_past(&core, &join(pruner));
    drop((overflowing, in_the_first_slot, join(in_the_last_slot)));
}

#[test]
fn overflowing_snapshot_is_seen() {
    check(a_snapshot_finds_no_slot);
}

#[test]
fn overflowing_snapshot_is_seen_twin() {
    must_fail(
        Planted::UnseenOverflow,
        "HORIZON: past an open snapshot",
        a_snapshot_finds_no_slot,
    );
}

/// HORIZON: an open snapshot is handed on while a horizon is computed.
fn a_snapshot_is_handed_on(hand_on: fn(Registration, &Core, &Participant) -> Registration) {
    let core = Core::new(1);
    let me = core.participant();
    core.set(0, 1, &me.pin());
    let snapshot = open(&core, &me);
    core.set(0, 2, &me.pin());
    core.raise_grace(&me);
    let holder = spawn(&core, move |core, me| hand_on(snapshot, core, me));
    assert_not_past(&core, &core.registry.horizon());
    drop(join(holder));
}

#[test]
fn shared_registration_is_seen() {
    check(|| {
        a_snapshot_is_handed_on(|snapshot, core, me| {
            drop(open(core, me));
            snapshot
        });
    });
}

#[test]
fn shared_registration_is_seen_twin() {
    must_fail_by(
        "it is registered again",
        "HORIZON: past an open snapshot",
        || {
            a_snapshot_is_handed_on(|snapshot, core, me| {
                core.registry.register(snapshot.at(), &me.pin())
            });
        },
    );
}
