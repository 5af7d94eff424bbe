//! What ranges come to.

use super::Key;
use crate::error::{Error, ErrorKind};
use crate::key::{Bounds, Range};
use crate::limits::Limits;

fn bounds(range: impl Into<Range>) -> Result<Bounds, Error> {
    range.into().bounds(&Limits::default())
}

/// Whether `range` covers `key`.
fn covers(range: &Range, key: impl Into<Key>) -> bool {
    let bounds = bounds(range).expect("a good range");
    let key = key.into();
    let key = key.as_bytes();
    &bounds.start[..] <= key && bounds.end.is_none_or(|end| key < &end[..])
}

fn refused(range: Range) -> String {
    let error = bounds(range).expect_err("a wrong range");
    assert_eq!(error.kind(), ErrorKind::InvalidSelector);
    error.to_string()
}

#[test]
fn a_prefix_covers_what_continues_it_by_whole_parts() {
    // R05, R06
    let range = Range::prefix(("users", "a"));
    assert!(covers(&range, ("users", "a", 1)));
    assert!(covers(&range, ("users", "a", b"")));
    assert!(covers(&range, ("users", "a", true, true)));
    assert!(!covers(&range, ("users", "a")));
    assert!(!covers(&range, ("users", "alice")));
    assert!(!covers(&range, ("users", "a\0")));
    assert!(!covers(&range, ("users", "a\0", 1)));
    assert!(!covers(&range, ("users",)));
}

#[test]
fn the_empty_prefix_covers_every_tuple_and_all_covers_every_key() {
    // R05
    for key in [Key::from(b""), Key::from("a"), Key::from((true, true))] {
        assert!(covers(&Range::prefix(()), &key));
        assert!(covers(&Range::all(), &key));
    }
    assert!(!covers(&Range::prefix(()), ()));
    assert!(!covers(&Range::prefix(()), Key::raw([0xff, 0xff])));
    assert!(covers(&Range::all(), Key::raw([0xff, 0xff])));
    assert!(!bounds(Range::all()).unwrap().is_empty());
}

#[test]
fn a_start_is_included_and_an_end_is_not() {
    // R07
    let range = Range::prefix("a").start(("a", "c"));
    assert!(!covers(&range, ("a", "b")));
    assert!(covers(&range, ("a", "c")));
    assert!(covers(&range, ("a", "d")));
    assert!(!covers(&range, "b"));
    let range = Range::prefix("a").end(("a", "c"));
    assert!(!covers(&range, "a"));
    assert!(covers(&range, ("a", "b")));
    assert!(!covers(&range, ("a", "c")));
    let range = Range::new("a", "c");
    assert!(covers(&range, "a"));
    assert!(covers(&range, ("b", 1)));
    assert!(!covers(&range, "c"));
}

#[test]
fn a_start_or_end_that_is_not_below_its_prefix_is_refused() {
    // R07
    for outside in [
        Key::from("a"),
        Key::from("b"),
        Key::from(()),
        Key::from(("b", "c")),
    ] {
        let prefix = Range::prefix("a");
        assert_eq!(
            refused(prefix.clone().start(&outside)),
            "Start key is not in the keyspace defined by prefix"
        );
        assert_eq!(
            refused(prefix.end(&outside)),
            "End key is not in the keyspace defined by prefix"
        );
    }
    refused(Range::prefix(()).start(()));
}

#[test]
fn a_start_after_the_end_is_refused_in_keys_and_empty_in_bytes() {
    // R08
    assert_eq!(
        refused(Range::new("b", "a")),
        "Start key is greater than end key"
    );
    assert!(bounds(Range::new("a", "a")).unwrap().is_empty());
    assert!(bounds(Range::new((), "a")).is_ok_and(|bounds| !bounds.is_empty()));
    assert!(bounds(Range::raw("b", "a")).unwrap().is_empty());
    assert!(bounds(Range::raw("a", "a")).unwrap().is_empty());
    assert!(!bounds(Range::raw("", "a")).unwrap().is_empty());
}

#[test]
fn a_prefix_with_both_and_bounds_without_a_prefix_are_refused() {
    // R09
    let (a, b) = (("p", "a"), ("p", "b"));
    refused(Range::prefix("p").start(a).end(b));
    refused(Range::prefix("p").end(b).start(a));
    refused(Range::prefix("p").start(a).start(a));
    refused(Range::new(a, b).start(a));
    refused(Range::all().end(b));
    refused(Range::raw("a", "b").start(a));
    let text = refused(Range::all().start(a).end(b));
    assert_eq!(
        text,
        "a start goes with a prefix that has no start or end yet"
    );
}

#[test]
fn a_prefix_range_never_leaves_its_prefix() {
    // R10: the bytes of ["a\0b"] begin with those of ["a"].
    let range = Range::prefix("a").end("a\0b");
    assert!(covers(&range, ("a", "x")));
    assert!(!covers(&range, "a\0"));
    assert!(!covers(&range, "a\0a"));
    assert_eq!(bounds(&range).unwrap(), bounds(Range::prefix("a")).unwrap());
    let range = Range::prefix("a").start("a\0b");
    assert!(bounds(range).unwrap().is_empty());
}

#[test]
fn a_bound_may_be_a_byte_longer_than_a_key() {
    // L01
    let longest = "x".repeat(2046);
    assert!(bounds(Range::prefix(&longest)).is_ok());
    let longer = longest + "x";
    let error = bounds(Range::prefix(&longer)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyTooLarge);
    assert_eq!(
        error.to_string(),
        "Key too large for read (max 2049 bytes): got 2050 bytes"
    );
    assert!(bounds(Range::new((), &longer)).is_ok());
    let longer = longer + "x";
    for range in [
        Range::new((), &longer),
        Range::new(&longer, &longer),
        Range::raw("x".repeat(2050), "a"),
        // Too long as said, although the cut would shorten it.
        Range::prefix("a").end(format!("a\0{longer}")),
    ] {
        assert_eq!(bounds(&range).unwrap_err().kind(), ErrorKind::KeyTooLarge);
        assert!(range.bounds(&Limits::unlimited()).is_ok());
    }
}

#[test]
fn whatever_makes_a_key_makes_a_range() {
    fn list(range: impl Into<Range>) -> Range {
        range.into()
    }
    let range = Range::prefix(("a", 1));
    assert_eq!(list(("a", 1)), range);
    let key = Key::from(("a", 1));
    assert_eq!(list(&key), range);
    assert_eq!(list(key), range);
    assert_eq!(list(&range), range);
    assert_eq!(list(range.clone()), range);
    assert_eq!(list(["a", "b"]), Range::prefix(("a", "b")));
}
