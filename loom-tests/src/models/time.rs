//! The time that entries expire by, and whether anybody looks after what is due.
//!
//! The clock is a number that both threads see in one order, as they see the monotonic clock of one
//! machine.

use super::{check, must_fail, must_fail_by};
use crate::moment::Moment;
use crate::mvcc::awake::Awake;
use crate::mvcc::stamp::StampCounter;
use crate::mvcc::time::Time;
use crate::sync::{AtomicU64, Mutex, Ordering, Planted};
use crate::version::Stamp;
use std::sync::Arc;

struct Shared {
    time: Time,
    counter: StampCounter,
    clock: AtomicU64,
}

impl Shared {
    fn new(clock: u64) -> Arc<Self> {
        Arc::new(Self {
            time: Time::new(),
            counter: StampCounter::new(),
            clock: AtomicU64::new(clock),
        })
    }

    fn read_point(&self) -> (Stamp, Moment) {
        // ORDERING: Acquire: the clock of one machine.
        let clock = || Moment::from_micros(self.clock.load(Ordering::Acquire));
        self.time.read_point(&self.counter, clock)
    }
}

/// TIMED: a snapshot that sees the first version that expires has read the clock.
fn first_that_expires(announce_late: bool) {
    let shared = Shared::new(7);
    let writer = {
        let shared = Arc::clone(&shared);
        loom::thread::spawn(move || {
            if !announce_late {
                shared.time.begin();
            }
            shared.counter.mint();
            shared.time.begin();
        })
    };
    let (at, now) = shared.read_point();
    assert!(
        at == Stamp::ZERO || now == Moment::from_micros(7),
        "unjudged"
    );
    writer.join().expect("a thread that fails ends the model");
}

#[test]
fn what_expires_is_judged_by_the_clock() {
    check(|| first_that_expires(false));
}

#[test]
fn what_expires_is_judged_by_the_clock_twin() {
    must_fail(Planted::UnseenTime, "unjudged", || {
        first_that_expires(false);
    });
    must_fail_by("announced after the mint", "unjudged", || {
        first_that_expires(true);
    });
}

/// An entry that is due at 5, and is prolonged at 4, is there at any moment.
fn prolonged() {
    let shared = Shared::new(4);
    shared.time.begin();
    let first = shared.counter.mint();
    let writer = {
        let shared = Arc::clone(&shared);
        loom::thread::spawn(move || {
            shared.counter.mint();
            // ORDERING: Release, as above: the prolongation came before.
            shared.clock.store(6, Ordering::Release);
        })
    };
    let (at, now) = shared.read_point();
    let is_first = at == first;
    assert!(!is_first || now < Moment::from_micros(5), "absent");
    writer.join().expect("a thread that fails ends the model");
}

#[test]
fn a_prolonged_entry_is_never_absent() {
    check(prolonged);
}

#[test]
fn a_prolonged_entry_is_never_absent_twin() {
    must_fail(Planted::LateTime, "absent", prolonged);
}

/// T05: what one thread has found to have expired has expired for those that it tells, also where
/// the clock has gone back.
fn clock_that_goes_back(is_noted: bool) {
    let shared = Shared::new(6);
    shared.time.begin();
    let told = Arc::new(AtomicU64::new(0));
    let reader = {
        let (shared, told) = (Arc::clone(&shared), Arc::clone(&told));
        loom::thread::spawn(move || {
            let (_, now) = shared.read_point();
            let deadline = Moment::from_micros(5);
            if deadline <= now {
                if is_noted {
                    shared.time.pass(deadline, now);
                }
                // ORDERING: Release: it tells what it has found.
                told.store(1, Ordering::Release);
            }
        })
    };
    // ORDERING: Release, as above.
    shared.clock.store(2, Ordering::Release);
    // ORDERING: Acquire: whoever is told.
    if told.load(Ordering::Acquire) == 1 {
        let (_, now) = shared.read_point();
        assert!(now >= Moment::from_micros(5), "resurrected");
    }
    reader.join().expect("a thread that fails ends the model");
}

#[test]
fn a_clock_that_goes_back_brings_nothing_back() {
    check(|| clock_that_goes_back(true));
}

#[test]
fn a_clock_that_goes_back_brings_nothing_back_twin() {
    must_fail_by("what has expired is not noted", "resurrected", || {
        clock_that_goes_back(false);
    });
}

/// E-DUE: one commit makes something due in one of two stripes, while the reaper looks through both.
fn looked_through(forget_late: bool) {
    let shared = Shared::new(0);
    let stripes: Arc<[Mutex<Option<Moment>>; 2]> = Arc::new([Mutex::new(None), Mutex::new(None)]);
    let due = Moment::from_micros(5);
    let writer = {
        let (shared, stripes) = (Arc::clone(&shared), Arc::clone(&stripes));
        loom::thread::spawn(move || {
            let mut stripe = stripes[1].lock();
            shared.time.note_due(due);
            *stripe = Some(due);
        })
    };
    if !forget_late {
        shared.time.forget_due();
    }
    for stripe in &*stripes {
        let found = *stripe.lock();
        if forget_late {
            shared.time.forget_due();
        }
        if let Some(found) = found {
            shared.time.note_due(found);
        }
    }
    writer.join().expect("a thread that fails ends the model");
    assert_eq!(shared.time.next_due(), Some(due), "unknown");
}

#[test]
fn what_is_due_is_known() {
    check(|| looked_through(false));
}

#[test]
fn what_is_due_is_known_twin() {
    must_fail_by("forgotten after the look", "unknown", || {
        looked_through(true);
    });
}

/// E-DUE: two commits make something due, the later one first, while whoever keeps time goes to rest; or
/// another looks through the stripes as well, and forgets. One that finds it awake relies on it.
fn gone_to_rest(is_reaped_twice: bool, look_first: bool) {
    let shared = Shared::new(0);
    let awake = Arc::new(Awake::new());
    assert!(awake.stay());
    let writer = {
        let (shared, awake) = (Arc::clone(&shared), Arc::clone(&awake));
        loom::thread::spawn(move || {
            shared.time.note_due(Moment::from_micros(5));
            awake.wake()
        })
    };
    let other = {
        let (shared, awake) = (Arc::clone(&shared), Arc::clone(&awake));
        loom::thread::spawn(move || {
            if is_reaped_twice {
                shared.time.forget_due();
                return shared.time.next_due().is_some() && awake.wake();
            }
            shared.time.note_due(Moment::from_micros(7));
            awake.wake()
        })
    };
    let seen = look_first.then(|| shared.time.next_due());
    awake.rest();
    let seen = seen.unwrap_or_else(|| shared.time.next_due());
    let stays = seen.is_some() && awake.stay();
    let woken = [writer, other].map(|thread| thread.join().expect("it does not fail"));
    // Nobody is enlisted twice, and somebody is unless nothing is left.
    let enlisted = woken.into_iter().chain([stays]).filter(|is| *is).count();
    assert!(enlisted <= 1, "twice");
    let is_left = shared.time.next_due().is_some();
    assert!(enlisted == 1 || !is_left, "slept through");
}

#[test]
fn what_is_due_is_not_slept_through() {
    check(|| gone_to_rest(false, false));
    check(|| gone_to_rest(true, false));
}

#[test]
fn what_is_due_is_not_slept_through_twin() {
    must_fail(Planted::UnseenDue, "slept through", || {
        gone_to_rest(false, false);
    });
    must_fail_by("looked before the rest", "slept through", || {
        gone_to_rest(false, true);
    });
}
