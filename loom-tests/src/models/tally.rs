//! Counts, and the numbers of those who count.

use super::{check, must_fail};
use crate::mvcc::tally::Tally;
use crate::sync::{Numbers, Planted};
use std::sync::Arc;

/// Counts once, as a thread does that begins and ends: by a number, if it gets one.
fn count_once(numbers: &Numbers, tally: &Tally<1>) {
    let number = numbers.take();
    if !number.is_some_and(|number| tally.count_own(number, 0, 1)) {
        tally.count_shared(0, 1);
    }
    if let Some(number) = number {
        numbers.give_back(number);
    }
}

/// NUMBERED: three threads, one number, which each may have after another, or do without.
fn number_goes_round() {
    let (numbers, tally) = (Arc::new(Numbers::new()), Arc::new(Tally::new(1)));
    let others = [(); 2].map(|()| {
        let (numbers, tally) = (Arc::clone(&numbers), Arc::clone(&tally));
        loom::thread::spawn(move || count_once(&numbers, &tally))
    });
    count_once(&numbers, &tally);
    for other in others {
        other.join().expect("a thread that fails ends the model");
    }
    assert_eq!(tally.counts(), [3], "a count is lost");
    assert!(numbers.take().is_some(), "a number is nobody's");
}

#[test]
fn number_is_handed_on_with_its_count() {
    check(number_goes_round);
}

#[test]
fn number_is_handed_on_with_its_count_twin() {
    must_fail(Planted::WeakNumber, "a count is lost", number_goes_round);
}

#[test]
fn number_is_given_back_twin() {
    must_fail(
        Planted::KeptNumber,
        "a number is nobody's",
        number_goes_round,
    );
}

/// Two who have no number.
fn two_share() {
    let tally = Arc::new(Tally::<1>::new(0));
    let other = {
        let tally = Arc::clone(&tally);
        loom::thread::spawn(move || tally.count_shared(0, 1))
    };
    tally.count_shared(0, 1);
    other.join().expect("a thread that fails ends the model");
    assert_eq!(tally.counts(), [2], "a count is lost");
}

#[test]
fn those_without_a_number_lose_no_count() {
    check(two_share);
}

#[test]
fn those_without_a_number_lose_no_count_twin() {
    must_fail(Planted::UnsharedCount, "a count is lost", two_share);
}
