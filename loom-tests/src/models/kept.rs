//! An import that keeps its stamps: versions that come with them, and the one change of the counter
//! that makes all of them visible.

use super::{Core, check, draft, join, must_fail, must_fail_by, spawn, unpinned};
use crate::mvcc::publish::publish_kept;
use crate::sync::epoch::Guard;
use crate::sync::{Mutex, Planted};
use crate::version::Stamp;
use std::sync::Arc;

/// Imports what was committed in two commits, unless anything was minted here. The caller holds every
/// stripe.
fn import(core: &Core, guard: &Guard) {
    if core.counter.observe() > Stamp::ZERO {
        return;
    }
    let stamps = [2, 1].map(Stamp::new);
    let linked = [0, 1].map(|index| {
        let record = core.record(index, guard);
        record.link_kept(draft(1), stamps[index])
    });
    publish_kept(linked.into_iter(), Stamp::new(3), &core.counter);
}

/// KEPT: who has seen an entry of an import sees all of them, and each with its stamp.
fn a_reader_reads_twice() {
    let core = Core::new(2);
    let reader = spawn(&core, |core, _| {
        let [first, second] = [0, 1].map(|index| core.newest(index, unpinned()));
        assert!(first.is_none() || second.is_some(), "KEPT: half an import");
        assert!(first.is_none_or(|first| first == (1, Stamp::new(2))));
        assert!(second.is_none_or(|second| second == (1, Stamp::new(1))));
    });
    import(&core, unpinned());
    join(reader);
    assert!(core.counter.mint() > Stamp::new(2));
}

#[test]
fn import_is_seen_whole() {
    check(a_reader_reads_twice);
}

#[test]
fn import_is_seen_whole_twin_early_kept() {
    must_fail(
        Planted::EarlyKept,
        "KEPT: half an import",
        a_reader_reads_twice,
    );
}

#[test]
fn import_is_seen_whole_twin_weak_mint() {
    must_fail(
        Planted::WeakMint,
        "KEPT: half an import",
        a_reader_reads_twice,
    );
}

#[test]
fn import_is_seen_whole_twin_weak_settle() {
    must_fail(
        Planted::WeakSettle,
        "KEPT: half an import",
        a_reader_reads_twice,
    );
}

/// VISIBLE: a snapshot that was taken before has nothing of it, and goes on to; one that was taken
/// after has all.
fn a_snapshot_meets_an_import(import: fn(&Core, &Guard)) {
    let core = Core::new(2);
    let reader = spawn(&core, |core, _| {
        let at = core.counter.latest();
        let once = [0, 1].map(|index| core.at(index, at, unpinned()));
        assert_eq!(once[0], once[1], "VISIBLE: a torn snapshot");
        let again = [0, 1].map(|index| core.at(index, at, unpinned()));
        assert_eq!(once, again, "VISIBLE: a read changed");
    });
    import(&core, unpinned());
    join(reader);
}

#[test]
fn snapshot_has_all_or_nothing_of_an_import() {
    check(|| a_snapshot_meets_an_import(import));
}

#[test]
fn snapshot_has_all_or_nothing_of_an_import_twin_weak_mint() {
    must_fail(Planted::WeakMint, "VISIBLE: a ", || {
        a_snapshot_meets_an_import(import);
    });
}

#[test]
fn snapshot_has_all_or_nothing_of_an_import_twin_raised_too_early() {
    must_fail_by(
        "the counter is raised before everything is linked",
        "VISIBLE: a ",
        || {
            a_snapshot_meets_an_import(|core, guard| {
                core.counter.raise(Stamp::new(3));
                for index in [0, 1] {
                    let record = core.record(index, guard);
                    record.link_kept(draft(1), Stamp::new(1));
                }
            });
        },
    );
}

/// KEPT: messages, which take no stripe otherwise, mint before an import or after it.
fn a_message_meets_an_import(is_locked: fn(&Core) -> bool) {
    let core = Core::new(2);
    let stripe = Arc::new(Mutex::new(()));
    let lock = Arc::clone(&stripe);
    let sender = spawn(&core, move |core, _| {
        let held = is_locked(core).then(|| lock.lock());
        let stamp = core.counter.mint();
        drop(held);
        stamp
    });
    let reader = spawn(&core, |core, _| {
        let [first, second] = [1, 0].map(|index| core.newest(index, unpinned()));
        assert!(first.is_none() || second.is_some(), "KEPT: half an import");
    });
    let held = stripe.lock();
    import(&core, unpinned());
    drop(held);
    let message = join(sender);
    join(reader);
    let entry = core.newest(0, unpinned());
    assert!(
        entry.is_none() || message > Stamp::new(3),
        "KEPT: a stamp is used twice"
    );
}

#[test]
fn messages_wait_for_what_keeps_its_stamps() {
    check(|| a_message_meets_an_import(|core| core.counter.latest() == Stamp::ZERO));
}

#[test]
fn messages_wait_for_what_keeps_its_stamps_twin() {
    must_fail_by("a message takes no stripe", "KEPT: ", || {
        a_message_meets_an_import(|_| false);
    });
}
