//! What is taken of a limit.

use super::{check, must_fail};
use crate::mvcc::quota::{Meter, Purpose, Quota, Share};
use crate::sync::Planted;
use std::sync::Arc;

const LIMIT: u64 = 640;

/// LIMIT: a stripe and what belongs to none draw on what does not suffice for both.
fn two_draw() {
    let quota = Arc::new(Quota::new(LIMIT, 1));
    let drawn = {
        let quota = Arc::clone(&quota);
        loom::thread::spawn(move || {
            let mut share = Share::new(&quota);
            share.charge(400, Purpose::Growth).is_ok()
        })
    };
    let meter = Meter::new(&quota);
    let is_charged = meter.charge(400, Purpose::Growth).is_ok();
    let is_drawn = drawn.join().expect("a thread that fails ends the model");
    assert!(quota.taken() <= LIMIT, "beyond the limit");
    assert!(is_charged || is_drawn, "there was room for one");
}

#[test]
fn no_more_is_drawn_than_there_is() {
    check(two_draw);
}

#[test]
fn no_more_is_drawn_than_there_is_twin() {
    must_fail(Planted::LooseQuota, "beyond the limit", two_draw);
}

/// What two threads free, while it is taken over.
fn much_is_freed() {
    let quota = Arc::new(Quota::new(LIMIT, 1));
    let mut share = Share::new(&quota);
    share.charge(300, Purpose::Growth).expect("there is room");
    let mut free = |bytes| {
        let freed = share.freed().clone();
        loom::thread::spawn(move || freed.add(bytes))
    };
    let threads = [free(100), free(200)];
    share.collect();
    for thread in threads {
        thread.join().expect("a thread that fails ends the model");
    }
    share.collect();
    assert_eq!(share.used(), 0, "something is in use for ever");
    share.give_back();
    assert_eq!(quota.taken(), 0);
}

#[test]
fn what_is_freed_comes_back_once() {
    check(much_is_freed);
}

#[test]
fn what_is_freed_comes_back_once_twin() {
    must_fail(Planted::LostRefund, "in use for ever", much_is_freed);
}
