//! Whether anybody is at work, of which more may come.

use super::{check, must_fail, must_fail_by};
use crate::mvcc::busy::Busy;
use crate::sync::{AtomicU64, Ordering, Planted};
use loom::sync::Mutex;
use std::sync::Arc;

/// What there is to be taken, and what came of it.
struct Shared {
    busy: Busy,
    there: Mutex<u64>,
    come: AtomicU64,
}

impl Shared {
    /// Takes one, if there is one, and has something come of it.
    fn take(&self, is_late: bool) -> bool {
        let early = (!is_late).then(|| self.busy.begin());
        let mut there = self.there.lock().expect("nobody fails behind it");
        let is_there = *there > 0;
        *there -= u64::from(is_there);
        drop(there);
        let late = is_late.then(|| self.busy.begin());
        if is_there {
            self.come.fetch_add(1, Ordering::Relaxed);
        }
        drop((early, late));
        is_there
    }
}

/// BUSY: two take what there is, and one more looks for it.
fn two_take(is_late: bool) {
    let shared = Arc::new(Shared {
        busy: Busy::new(),
        there: Mutex::new(2),
        come: AtomicU64::new(0),
    });
    let others = [(); 2].map(|()| {
        let shared = Arc::clone(&shared);
        loom::thread::spawn(move || shared.take(is_late))
    });
    if !shared.take(is_late) && !shared.busy.is_at_work() {
        let come = shared.come.load(Ordering::Relaxed);
        assert_eq!(come, 2, "something is to come, and nobody is at it");
    }
    for other in others {
        other.join().expect("a thread that fails ends the model");
    }
}

#[test]
fn nothing_is_left_where_nobody_is_at_work() {
    check(|| two_take(false));
}

#[test]
fn nothing_is_left_where_nobody_is_at_work_twin() {
    let says = "something is to come";
    must_fail(Planted::WeakBusy, says, || two_take(false));
}

#[test]
fn who_begins_when_it_is_taken_is_missed_twin() {
    let says = "something is to come";
    must_fail_by("begun when it is taken", says, || two_take(true));
}
