//! Whole commits in small: two keys under their stripes, read and written.
//!
//! Nothing is freed while the threads run, so nobody pins; see `publish`.

use super::{Core, check, draft, join, must_fail_by, read, spawn, unpinned};
use crate::mvcc::publish::Install;
use crate::mvcc::stripes::{Locked, StripeSet, Stripes};
use crate::version::Stamp;
use std::sync::Arc;

type Key = usize;

/// Adds one to what two keys hold, in one commit.
type AddOne = fn(&Core, &Stripes<()>) -> Stamp;

const KEYS: [Key; 2] = [0, 1];

fn lock_both(stripes: &Stripes<()>) -> Locked<'_, ()> {
    let mut set = StripeSet::default();
    for key in KEYS {
        set.insert(key);
    }
    let mut locked = Locked::new();
    stripes.lock(&set, &mut locked).expect("there is memory");
    locked
}

/// What both keys hold, as a check sees it under their stripes.
fn settled(core: &Core) -> [u8; 2] {
    KEYS.map(|key| {
        let head = core.record(key, unpinned()).settled_head();
        head.map_or(0, |head| read(head).0)
    })
}

fn publish(core: &Core, values: [u8; 2]) -> Stamp {
    let mut install = Install::new();
    let linked = KEYS.map(|key| {
        let record = core.record(key, unpinned());
        (record, install.link(record, draft(values[key])))
    });
    let stamp = install.publish(&core.counter);
    for (record, version) in linked {
        core.supersede(record, version, stamp);
    }
    stamp
}

fn add_one(core: &Core, stripes: &Stripes<()>) -> Stamp {
    let _locked = lock_both(stripes);
    publish(core, settled(core).map(|value| value + 1))
}

/// Looks before it locks.
fn add_one_to_what_was(core: &Core, stripes: &Stripes<()>) -> Stamp {
    let values = KEYS.map(|key| {
        let newest = core.newest(key, unpinned());
        newest.map_or(0, |(value, _)| value)
    });
    let _locked = lock_both(stripes);
    publish(core, values.map(|value| value + 1))
}

/// Two commits that both add to both keys, and a snapshot: it holds all of the commits up to its
/// stamp and nothing of the others, and none is lost.
fn two_commits_and_a_snapshot(add_one: AddOne) {
    let core = Core::new(2);
    let stripes: Arc<Stripes<()>> = Arc::new(Stripes::new(1, || ()));
    let shared = Arc::clone(&stripes);
    let other = spawn(&core, move |core, _| add_one(core, &shared));
    let reader = spawn(&core, |core, _| {
        let at = core.counter.latest();
        (at, KEYS.map(|key| core.at(key, at, unpinned())))
    });
    let stamp = add_one(&core, &stripes);
    let stamps = [stamp, join(other)];
    let (at, [first, second]) = join(reader);
    assert_eq!(first, second, "VISIBLE: a torn snapshot");
    let before = stamps.iter().filter(|stamp| **stamp <= at).count();
    assert_eq!(
        usize::from(first.unwrap_or(0)),
        before,
        "the snapshot is not the commits up to it"
    );
    for key in KEYS {
        let newest = core.newest(key, unpinned());
        assert_eq!(newest, Some((2, stamps[0].max(stamps[1]))), "a lost update");
    }
}

#[test]
fn snapshot_is_the_commits_up_to_it() {
    check(|| two_commits_and_a_snapshot(add_one));
}

#[test]
fn snapshot_is_the_commits_up_to_it_twin() {
    must_fail_by(
        "looked at before the stripes are locked",
        "a lost update",
        || {
            two_commits_and_a_snapshot(add_one_to_what_was);
        },
    );
}
