//! Watchers that wait, and the commits that wake them.

use super::{check, must_fail, must_fail_by};
use crate::mvcc::notify::{Cell, Place, Signal, Woken};
use crate::mvcc::stamp::StampCounter;
use crate::sync::{Mutex, Planted};
use crate::version::Stamp;
use loom::thread::{self, Thread};
use std::sync::Arc;
use std::task::{Wake, Waker};

/// A thread that is woken as a task is.
struct Parked(Thread);

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn waker() -> Waker {
    Waker::from(Arc::new(Parked(thread::current())))
}

/// A waker that leads nowhere any more.
struct Gone;

impl Wake for Gone {
    fn wake(self: Arc<Self>) {}
}

struct Shared {
    counter: StampCounter,
    cell: Cell,
    /// The stripe of the key, and the changes in it.
    stripe: Mutex<Vec<Stamp>>,
}

impl Shared {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            counter: StampCounter::new(),
            cell: Cell::new(),
            stripe: Mutex::new(Vec::new()),
        })
    }

    /// Commits a change of the key that is watched.
    fn commit(&self) {
        let mut woken = Woken::new();
        let stripe = self.stripe.lock();
        self.cell.note(self.counter.mint(), &mut woken);
        drop(stripe);
    }

    /// Commits a change, for those who look for it themselves.
    fn feed(&self) {
        let mut woken = Woken::new();
        let mut stripe = self.stripe.lock();
        stripe.push(self.counter.mint());
        self.cell.stir(&mut woken);
        drop(stripe);
    }
}

/// What a watcher does wrong.
#[derive(Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    /// It leaves its waker after it has entered the list.
    LateWaker,
    /// It leaves its waker the first time only.
    OldWaker,
    /// It looks whether anything has been minted by a load.
    LookByLoad,
}

/// WOKEN: whoever waits for the second of two commits gets to see it, and never waits for ever.
fn watch_two_commits(wrong: Wrong) {
    let shared = Shared::new();
    let watcher = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (signal, mut place) = (Arc::new(Signal::new()), Place::default());
            loop {
                let seen = shared.counter.latest();
                if seen == Stamp::new(2) {
                    return;
                }
                if wrong != Wrong::LateWaker {
                    signal.arm(&waker());
                }
                let waits = shared.cell.enlist(&signal, &mut place, seen);
                if wrong == Wrong::LateWaker {
                    signal.arm(&waker());
                }
                if waits {
                    thread::park();
                }
            }
        })
    };
    shared.commit();
    shared.commit();
    watcher.join().expect("a thread that fails ends the model");
}

#[test]
fn nobody_waits_for_what_has_come() {
    check(|| watch_two_commits(Wrong::Nothing));
}

#[test]
fn nobody_waits_for_what_has_come_twin() {
    for bug in [Planted::EarlyLook, Planted::LateNote] {
        must_fail(bug, "deadlock", || watch_two_commits(Wrong::Nothing));
    }
    must_fail_by("the waker is left too late", "deadlock", || {
        watch_two_commits(Wrong::LateWaker);
    });
}

/// WOKEN: a task that is polled again with another waker is woken by that one.
fn poll_with_another_waker(wrong: Wrong) {
    let shared = Shared::new();
    let watcher = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (signal, mut place) = (Arc::new(Signal::new()), Place::default());
            let mut polled = 0;
            while shared.counter.latest() == Stamp::ZERO {
                polled += 1;
                if polled == 1 {
                    signal.arm(&Waker::from(Arc::new(Gone)));
                } else if wrong != Wrong::OldWaker {
                    signal.arm(&waker());
                }
                let waits = shared.cell.enlist(&signal, &mut place, Stamp::ZERO);
                if waits && polled > 1 {
                    thread::park();
                }
            }
        })
    };
    shared.commit();
    watcher.join().expect("a thread that fails ends the model");
}

#[test]
fn the_latest_waker_is_woken() {
    check(|| poll_with_another_waker(Wrong::Nothing));
}

#[test]
fn the_latest_waker_is_woken_twin() {
    must_fail_by("the first waker is kept", "deadlock", || {
        poll_with_another_waker(Wrong::OldWaker);
    });
}

/// Whoever waits for the change of anything looks, once it is in the list, whether anything was
/// minted, and goes through the stripes only if so.
fn watch_the_feed(wrong: Wrong) {
    let shared = Shared::new();
    let watcher = {
        let shared = Arc::clone(&shared);
        thread::spawn(move || {
            let (signal, mut place) = (Arc::new(Signal::new()), Place::default());
            loop {
                signal.arm(&waker());
                shared.cell.enlist(&signal, &mut place, Stamp::ZERO);
                let minted = if wrong == Wrong::LookByLoad {
                    shared.counter.latest()
                } else {
                    shared.counter.observe()
                };
                if minted != Stamp::ZERO {
                    assert!(!shared.stripe.lock().is_empty(), "missed");
                    return;
                }
                thread::park();
            }
        })
    };
    shared.feed();
    watcher.join().expect("a thread that fails ends the model");
}

#[test]
fn nobody_waits_for_what_is_in_the_feed() {
    check(|| watch_the_feed(Wrong::Nothing));
}

#[test]
fn nobody_waits_for_what_is_in_the_feed_twin() {
    must_fail_by("looked by a load", "deadlock", || {
        watch_the_feed(Wrong::LookByLoad);
    });
}
