//! Stripes that are locked together.

use super::{check, must_fail_by};
use crate::mvcc::stripes::{Locked, StripeSet, Stripes};
use std::sync::Arc;

fn lock<'a>(stripes: &'a Stripes<u32>, set: &StripeSet) -> Locked<'a, u32> {
    let mut locked = Locked::new();
    stripes.lock(set, &mut locked).expect("there is memory");
    locked
}

fn lock_all(stripes: &Stripes<u32>) -> Locked<'_, u32> {
    let mut locked = Locked::new();
    stripes.lock_all(&mut locked).expect("there is memory");
    locked
}

/// ASCENDING: three commits with overlapping sets, each of which adds one to what it holds.
fn overlapping_sets_are_locked(lock_in_turn: bool) {
    let stripes: Arc<Stripes<u32>> = Arc::new(Stripes::new(2, || 0));
    let add = move |stripes: &Stripes<u32>, [first, second]: [usize; 2]| {
        if lock_in_turn {
            let mut one = stripes.lock_one(first);
            *one += 1;
            *stripes.lock_one(second) += 1;
            return;
        }
        let mut set = StripeSet::default();
        set.insert(first);
        set.insert(second);
        let mut locked = lock(stripes, &set);
        *locked.stripe(first) += 1;
        *locked.stripe(second) += 1;
    };
    let threads = [[1, 0], [2, 1]].map(|pair| {
        let stripes = Arc::clone(&stripes);
        loom::thread::spawn(move || add(&stripes, pair))
    });
    add(&stripes, [0, 2]);
    for thread in threads {
        thread.join().expect("a thread that fails ends the model");
    }
    let counts: Vec<u32> = lock_all(&stripes).iter_mut().map(|count| *count).collect();
    assert_eq!(counts, [2, 2, 2, 0]);
}

#[test]
fn overlapping_sets_do_not_deadlock() {
    check(|| overlapping_sets_are_locked(false));
}

#[test]
fn overlapping_sets_do_not_deadlock_twin() {
    must_fail_by("locked in the order of the keys", "deadlock", || {
        overlapping_sets_are_locked(true);
    });
}

/// ASCENDING: one set against all stripes.
#[test]
fn a_set_and_all_do_not_deadlock() {
    check(|| all_are_locked(false));
}

#[test]
fn a_set_and_all_do_not_deadlock_twin() {
    must_fail_by("locked in descending order", "deadlock", || {
        all_are_locked(true);
    });
}

fn all_are_locked(descending: bool) {
    let stripes: Arc<Stripes<u32>> = Arc::new(Stripes::new(1, || 0));
    let other = Arc::clone(&stripes);
    let thread = loom::thread::spawn(move || {
        for count in lock_all(&other).iter_mut() {
            *count += 1;
        }
    });
    if descending {
        let mut one = stripes.lock_one(1);
        *one += 1;
        *stripes.lock_one(0) += 1;
    } else {
        let mut set = StripeSet::default();
        set.insert(1);
        set.insert(0);
        for count in lock(&stripes, &set).iter_mut() {
            *count += 1;
        }
    }
    thread.join().expect("a thread that fails ends the model");
    assert!(lock_all(&stripes).iter_mut().all(|count| *count == 2));
}
