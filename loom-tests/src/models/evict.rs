//! Evicting an entry: chosen behind the lock of a policy, looked at again and deleted behind that of
//! its stripe, while others write and read it.
//!
//! An eviction ends as every commit of one key does, so what happens from there on is in other models:
//! `registry` and `life` free what it has left, `notify` wakes those who watch the key. Nothing is freed
//! while the threads run, so nobody pins; see `publish`.

use super::{Canary, Core, check, draft, must_fail, must_fail_by, read, unpinned};
use crate::mvcc::chain::{Draft, RecordRef, TOMBSTONE};
use crate::mvcc::publish::publish_evicted;
use crate::policy::{Entries, Policy, Seen, Slot, USES_MAX};
use crate::sync::{Mutex, Planted};
use crate::version::Stamp;
use loom::thread::{self, JoinHandle};
use std::sync::Arc;

const HASH: u64 = 0;

/// One stripe of an engine with one key, and its policy.
struct Engine {
    core: Arc<Core>,
    /// The number that the latest entry got.
    stripe: Mutex<u8>,
    policy: Mutex<Policy>,
}

/// What whoever evicts does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// It looks whether it is still that entry before it locks the stripe.
    EarlyLook,
    /// It does not lock the stripe.
    NoStripe,
    /// It has the policy's lock still when it locks the stripe.
    KeptPolicy,
}

/// The entries, as a policy sees them.
struct View<'e>(&'e Core);

impl View<'_> {
    fn find(&self, slot: &Slot) -> Option<RecordRef<'static, Canary>> {
        let record = self.0.record(0, unpinned());
        record.is_numbered(slot.number).then_some(record)
    }
}

impl Entries for View<'_> {
    fn look(&self, slot: &Slot) -> Option<Seen> {
        let uses = self.find(slot)?.uses();
        Some(Seen { uses, weight: 1 })
    }

    fn set_uses(&self, slot: &Slot, uses: u32) {
        if let Some(record) = self.find(slot) {
            record.set_uses(uses);
        }
    }

    fn is_held(&self, _: &Slot) -> bool {
        false
    }
}

impl Engine {
    /// With an entry.
    fn new() -> Arc<Self> {
        let engine = Self {
            core: Core::new(1),
            stripe: Mutex::new(0),
            policy: Mutex::new(Policy::new()),
        };
        engine.set(1);
        Arc::new(engine)
    }

    fn set(&self, value: u8) -> Stamp {
        let mut number = self.stripe.lock();
        self.set_behind(&mut number, value)
    }

    /// The caller holds the stripe.
    fn set_behind(&self, number: &mut u8, value: u8) -> Stamp {
        let stamp = self.core.set(0, value, unpinned());
        let record = self.core.record(0, unpinned());
        if !record.has_entry() {
            record.set_has_entry(true);
            *number += 1;
            record.set_number(*number);
            record.set_uses(0);
            // LOCK ORDER: a stripe, then its policy.
            let mut policy = self.policy.lock();
            policy.arrive(Slot::new(HASH, *number, 1), &View(&self.core));
        }
        stamp
    }

    fn delete(&self) {
        let _stripe = self.stripe.lock();
        let record = self.core.record(0, unpinned());
        self.core.publish_one(record, tombstone());
        record.set_has_entry(false);
    }

    /// What has gone, if anything has; and when.
    fn evict(&self, wrong: Wrong) -> Option<(Slot, Stamp)> {
        let view = View(&self.core);
        let mut policy = self.policy.lock();
        let slot = policy.evict(&view)?;
        let kept = (wrong == Wrong::KeptPolicy).then_some(policy);
        let early = (wrong == Wrong::EarlyLook).then(|| view.find(&slot));
        let stripe = (wrong != Wrong::NoStripe).then(|| self.stripe.lock());
        let record = early.unwrap_or_else(|| view.find(&slot))?;
        let (stamp, version) = publish_evicted(record, tombstone(), &self.core.counter);
        self.core.supersede(record, version, stamp);
        record.set_has_entry(false);
        drop((stripe, kept));
        Some((slot, stamp))
    }

    /// What is there, with its versionstamp.
    fn entry(&self) -> Option<(u8, Stamp)> {
        let head = self.core.record(0, unpinned()).settled_head();
        let head = head.filter(|(version, _)| !version.is_tombstone());
        head.map(read)
    }
}

fn join<R>(thread: JoinHandle<R>) -> R {
    thread.join().expect("a thread that fails ends the model")
}

fn tombstone() -> Draft<Canary> {
    Draft::new(TOMBSTONE, &[], Canary::new()).expect("there is memory")
}

/// NUMBERED: an entry is chosen, and is deleted and comes again meanwhile.
fn an_entry_comes_again(wrong: Wrong) {
    let engine = Engine::new();
    let shared = Arc::clone(&engine);
    let evictor = thread::spawn(move || shared.evict(wrong));
    engine.delete();
    let stamp = engine.set(2);
    let evicted = join(evictor);
    let is_chosen = evicted.is_some_and(|(slot, _)| slot.number == 2);
    let there = (!is_chosen).then_some((2, stamp));
    assert_eq!(
        engine.entry(),
        there,
        "NUMBERED: not the one that was chosen"
    );
    let mut policy = engine.policy.lock();
    policy.tidy(&View(&engine.core));
    let entries = usize::from(engine.entry().is_some());
    assert_eq!(policy.len(), entries, "NUMBERED: one slot for each");
}

#[test]
fn entry_that_came_again_is_not_the_one_that_was_chosen() {
    check(|| an_entry_comes_again(Wrong::Nothing));
}

#[test]
fn entry_that_came_again_is_not_the_one_that_was_chosen_twin_unnumbered() {
    must_fail(Planted::Unnumbered, "NUMBERED", || {
        an_entry_comes_again(Wrong::Nothing);
    });
}

#[test]
fn entry_that_came_again_is_not_the_one_that_was_chosen_twin_early() {
    must_fail_by("looked at before the stripe is locked", "NUMBERED", || {
        an_entry_comes_again(Wrong::EarlyLook);
    });
}

#[test]
fn entry_that_came_again_is_not_the_one_that_was_chosen_twin_order() {
    must_fail_by("the stripe is locked after its policy", "deadlock", || {
        an_entry_comes_again(Wrong::KeptPolicy);
    });
}

/// An entry is read, and set if it is still the one that was read, while it is evicted.
fn a_check_meets_an_eviction(wrong: Wrong) {
    let engine = Engine::new();
    let shared = Arc::clone(&engine);
    let evictor = thread::spawn(move || shared.evict(wrong));
    let newest = engine
        .core
        .record(0, unpinned())
        .newest(&engine.core.counter);
    let newest = newest.filter(|(version, _)| !version.is_tombstone());
    let seen = newest.map(read);
    let mut number = engine.stripe.lock();
    let is_so = seen.is_some() && engine.entry() == seen;
    let committed = is_so.then(|| engine.set_behind(&mut number, 2));
    drop(number);
    let evicted = join(evictor).map(|(_, stamp)| stamp);
    let evicted = evicted.expect("nobody else deletes it");
    if let Some(committed) = committed {
        assert!(committed < evicted, "a check held on what was evicted");
    }
    assert_eq!(engine.entry(), None, "SORTED: the latest is not the newest");
}

#[test]
fn check_on_what_is_evicted_fails() {
    check(|| a_check_meets_an_eviction(Wrong::Nothing));
}

#[test]
fn check_on_what_is_evicted_fails_twin() {
    // Both link a head, and each takes it for its own.
    must_fail_by("evicted without the stripe", "Causality violation", || {
        a_check_meets_an_eviction(Wrong::NoStripe);
    });
}

/// VISIBLE: a snapshot is read, and read again, while the entry is evicted.
fn a_snapshot_meets_an_eviction() {
    let engine = Engine::new();
    let shared = Arc::clone(&engine);
    let reader = thread::spawn(move || {
        let core = &shared.core;
        let at = core.counter.latest();
        let shown = |_| {
            let found = core.record(0, unpinned()).at(at, &core.counter);
            found.is_some_and(|(version, _)| !version.is_tombstone())
        };
        (at, [0, 1].map(shown))
    });
    let (_, stamp) = engine.evict(Wrong::Nothing).expect("it is there");
    let (at, shown) = join(reader);
    let is_before = at < stamp;
    assert_eq!(
        shown, [is_before; 2],
        "VISIBLE: a snapshot has lost what it saw"
    );
}

#[test]
fn snapshot_goes_on_seeing_what_is_evicted() {
    check(a_snapshot_meets_an_eviction);
}

#[test]
fn snapshot_goes_on_seeing_what_is_evicted_twin() {
    must_fail(
        Planted::UnmintedEviction,
        "VISIBLE: a snapshot has lost",
        a_snapshot_meets_an_eviction,
    );
}

/// Two readers note a use, where one is left that counts.
fn two_readers_use_an_entry() {
    let engine = Engine::new();
    engine.core.record(0, unpinned()).set_uses(USES_MAX - 1);
    let shared = Arc::clone(&engine);
    let other = thread::spawn(move || shared.core.record(0, unpinned()).visit(USES_MAX, 0));
    engine.core.record(0, unpinned()).visit(USES_MAX, 0);
    join(other);
    let uses = engine.core.record(0, unpinned()).uses();
    assert_eq!(uses, USES_MAX, "used more often than is counted, or less");
}

#[test]
fn uses_are_never_too_many() {
    check(two_readers_use_an_entry);
}

#[test]
fn uses_are_never_too_many_twin() {
    must_fail(
        Planted::AddedUse,
        "used more often than is counted",
        two_readers_use_an_entry,
    );
}
