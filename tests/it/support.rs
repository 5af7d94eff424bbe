//! What the tests share.

pub(crate) mod allocations;
pub(crate) mod alone;
pub(crate) mod attempt;
pub(crate) mod checker;
pub(crate) mod client;
pub(crate) mod decision;
pub(crate) mod deliveries;
pub(crate) mod evicting;
#[cfg(feature = "serde")]
pub(crate) mod js_value;
pub(crate) mod listing;
pub(crate) mod loading;
pub(crate) mod model;
pub(crate) mod panics;
pub(crate) mod queueing;
pub(crate) mod seeds;
pub(crate) mod selector;
pub(crate) mod summing;
pub(crate) mod threads;
pub(crate) mod wakes;
pub(crate) mod watching;
pub(crate) mod workload;

use kvick::{Entry, ErrorKind, Key, Kv, Outcome, Range, Result, Stats, Versionstamp};
use std::fmt::Debug;

/// The keys of a list.
pub(crate) fn keys(kv: &Kv, range: impl Into<Range>) -> Vec<Key> {
    kv.list(range)
        .keys()
        .expect("the range is a good one")
        .collect()
}

/// That everything can be deleted, and no memory is in use then.
#[track_caller]
pub(crate) fn assert_empties(kv: &Kv) {
    kv.delete_range(Range::all()).expect("it deletes");
    threads::wait_until(|| {
        kv.sweep();
        kv.stats().bytes == 0
    });
}

/// Every entry there is.
pub(crate) fn everything(kv: &Kv) -> Vec<Entry> {
    let all = kv.list(Range::all()).entries();
    all.expect("everything can be listed").collect()
}

/// What there is and has been done, but for reads.
pub(crate) fn unread(mut stats: Stats) -> Stats {
    (stats.hit_count, stats.miss_count) = (0, 0);
    stats
}

/// Several keys, of parts of one type each.
pub(crate) fn each_key<K: Into<Key>>(keys: impl IntoIterator<Item = K>) -> Vec<Key> {
    keys.into_iter().map(Into::into).collect()
}

/// That something was refused, as this kind, with a text that contains `text`, and without effect.
#[track_caller]
pub(crate) fn assert_refused<T: Debug>(result: Result<T>, kind: ErrorKind, text: &str) {
    let error = result.expect_err("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(error.to_string().contains(text), "{error}");
}

/// The versionstamp of an operation that has committed.
#[track_caller]
pub(crate) fn committed(outcome: Result<Outcome>) -> Versionstamp {
    let outcome = outcome.expect("nothing is refused");
    outcome.versionstamp().expect("every check holds")
}

/// The failed checks of an operation that has not.
#[track_caller]
pub(crate) fn conflict(outcome: Result<Outcome>) -> Vec<usize> {
    match outcome.expect("nothing is refused") {
        Outcome::Conflict { failed_checks } => failed_checks,
        committed @ Outcome::Committed { .. } => panic!("a check fails, and yet {committed:?}"),
    }
}
