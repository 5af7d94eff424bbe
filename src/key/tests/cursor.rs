//! Cursors: their text, and going on from them.

use super::{Key, Keys, rounds};
use crate::error::{Error, ErrorKind};
use crate::key::{Bounds, Cursor, Range};
use crate::limits::Limits;
use rand::RngExt;
use std::collections::BTreeSet;

fn resumed(range: &Range, cursor: &str, reverse: bool) -> Result<Bounds, Error> {
    let limits = Limits::default();
    let bounds = range.bounds(&limits)?;
    bounds.resume(range, &cursor.parse()?, reverse, &limits)
}

fn after(range: &Range, last: impl Into<Key>) -> String {
    Cursor::after(range, last.into().as_bytes()).to_string()
}

#[test]
fn a_cursor_is_denos_text() {
    // C01
    let prefix = Range::prefix("a");
    assert_eq!(after(&prefix, ("a", "b")), "AmIA");
    assert_eq!(after(&prefix, ("a", "d")), "AmQA");
    let between = Range::new(("a", "b"), ("a", "z"));
    assert_eq!(after(&between, ("a", "b")), "YgA=");
    assert_eq!(after(&prefix.start(("a", "b")), ("a", "b")), "AmIA");
    // The alphabet is the URL-safe one.
    assert_eq!(after(&Range::all(), Key::raw([0xfb, 0xff])), "-_8=");
    assert_eq!(after(&Range::all(), Key::raw([0xff; 3])), "____");
}

#[test]
fn what_is_no_cursor_is_refused() {
    // C05
    let refused = [
        ".", "A", "+/+/", "Ag", "Ag=", "Ag===", "=", "A===", "=Ag=", "A=g=", "Ag==Ag==", "AmIA ",
        "AmI\n", "Ah==", "AmJ=", "é==",
    ];
    for text in refused {
        let error = text.parse::<Cursor>().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidCursor, "{text:?}");
        assert_eq!(error.to_string(), "invalid cursor");
    }
    for text in ["", "Ag==", "AgM=", "AgME", "-_8="] {
        assert_eq!(text.parse::<Cursor>().unwrap().as_ref(), text);
    }
}

#[test]
fn the_key_that_is_the_common_prefix_has_a_cursor() {
    // C03: were its text empty, the next page would be the first one.
    let range = Range::new("a", ("a", "x"));
    assert_eq!(after(&range, "a"), "====");
    let forward = resumed(&range, "====", false).unwrap();
    assert_eq!(
        forward.start[..],
        [Key::from("a").as_bytes(), &[0]].concat()[..]
    );
    assert!(resumed(&range, "====", true).unwrap().is_empty());
}

#[test]
fn no_cursor_is_the_whole_range() {
    // C05
    let range = Range::prefix("a");
    let whole = range.bounds(&Limits::default()).unwrap();
    for reverse in [false, true] {
        assert_eq!(resumed(&range, "", reverse).unwrap(), whole);
    }
    assert!(Cursor::default().is_empty());
}

#[test]
fn resuming_leaves_out_the_place_itself() {
    // C02
    let range = Range::prefix("a");
    let place = Key::from(("a", "b"));
    let forward = resumed(&range, "AmIA", false).unwrap();
    assert_eq!(&forward.start[..], [place.as_bytes(), &[0]].concat());
    let reverse = resumed(&range, "AmIA", true).unwrap();
    assert_eq!(reverse.end.as_deref(), Some(place.as_bytes()));
}

#[test]
fn a_place_beyond_a_named_bound_is_an_error_and_beyond_the_other_is_nothing() {
    // C06
    let (low, high) = (("p", "b"), ("p", "m"));
    let ranges = [
        (Range::prefix("p").start(low), true, false),
        (Range::prefix("p").end(high), false, true),
        (Range::new(low, high), true, true),
        (Range::prefix("p"), false, false),
    ];
    for (range, has_start, has_end) in ranges {
        let of = |key: (&str, &str)| {
            let prefix = range.common_prefix();
            let key = Key::from(key);
            let rest = key.as_bytes().strip_prefix(prefix).unwrap();
            super::super::cursor::base64_encode(rest)
        };
        let (below, above) = (of(("p", "a")), of(("p", "z")));
        let kind = |cursor: &str, reverse| resumed(&range, cursor, reverse).map_err(|e| e.kind());
        let outside = Err(ErrorKind::CursorOutOfBounds);
        assert_eq!(kind(&below, false) == outside, has_start, "{range:?}");
        assert_eq!(kind(&above, true) == outside, has_end, "{range:?}");
        if has_end {
            assert!(kind(&above, false).unwrap().is_empty(), "{range:?}");
        }
        if has_start {
            assert!(kind(&below, true).unwrap().is_empty(), "{range:?}");
        }
    }
    let error = resumed(&Range::new("b", "c"), "AA==", false).unwrap_err();
    assert_eq!(error.to_string(), "cursor out of bounds");
}

#[test]
fn a_place_on_a_named_bound_is_inside() {
    // C06
    let range = Range::raw("b\0", "z");
    let whole = range.bounds(&Limits::default()).unwrap();
    let cursor_at = |place: &[u8]| super::super::cursor::base64_encode(place);
    assert_eq!(resumed(&range, &cursor_at(b"b"), false).unwrap(), whole);
    assert_eq!(resumed(&range, &cursor_at(b"z"), true).unwrap(), whole);
}

#[test]
fn no_cursor_leads_out_of_the_range() {
    let seed = 0x6375_7273;
    let mut keys = Keys::new(seed);
    for round in 0..rounds(20_000) {
        let range = random_range(&mut keys);
        let limits = Limits::default();
        let Ok(whole) = range.bounds(&limits) else {
            continue;
        };
        let cursor = super::super::cursor::base64_encode(&keys.bytes());
        for reverse in [false, true] {
            let Ok(rest) = resumed(&range, &cursor, reverse) else {
                continue;
            };
            let context = format!("seed {seed:#x}, round {round}: {range:?} from {cursor}");
            assert!(rest.start >= whole.start, "{context}");
            let within = whole
                .end
                .as_ref()
                .is_none_or(|end| rest.end.as_ref() <= Some(end));
            assert!(
                within && (whole.end.is_none() || rest.end.is_some()),
                "{context}"
            );
        }
    }
}

#[test]
fn a_place_that_makes_too_long_a_bound_is_refused() {
    let place = super::super::cursor::base64_encode(&[b'x'; 2047]);
    let range = Range::prefix("a");
    let error = resumed(&range, &place, false).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::KeyTooLarge);
    let place = super::super::cursor::base64_encode(&[b'x'; 2045]);
    assert!(resumed(&range, &place, false).is_ok());
}

fn random_range(keys: &mut Keys) -> Range {
    let prefix = keys.parts();
    let (start, end) = (keys.relative(&prefix), keys.relative(&prefix));
    let prefix = Range::prefix(prefix);
    match keys.0.random_range(0..6) {
        0 => prefix,
        1 => prefix.start(start),
        2 => prefix.end(end),
        3 => Range::new(start, end),
        4 => Range::all(),
        _ => Range::raw(keys.bytes(), keys.bytes()),
    }
}

#[test]
fn pages_joined_are_the_list() {
    // C03
    let seed = 0x7061_6765;
    let mut keys = Keys::new(seed);
    let limits = Limits::unlimited();
    let mut listed = 0;
    for round in 0..rounds(3_000) {
        let range = random_range(&mut keys);
        let Ok(bounds) = range.bounds(&limits) else {
            continue;
        };
        let base = range.common_prefix().to_vec();
        let stored: BTreeSet<Key> = (0..30)
            .map(|_| {
                let tail = Key::from(keys.parts());
                Key::raw([&base[..], tail.as_bytes()].concat())
            })
            .collect();
        let reverse = keys.0.random();
        let size = keys.0.random_range(1..5);
        let all = page(&stored, &bounds, reverse, usize::MAX);
        let mut joined = Vec::new();
        let mut cursor = Cursor::default();
        loop {
            let rest = bounds
                .clone()
                .resume(&range, &cursor, reverse, &limits)
                .unwrap();
            let page = page(&stored, &rest, reverse, size);
            let Some(last) = page.last() else { break };
            cursor = Cursor::after(&range, last.as_bytes())
                .to_string()
                .parse()
                .unwrap();
            joined.extend(page);
        }
        assert_eq!(
            joined, all,
            "seed {seed:#x}, round {round}: {range:?}, reverse {reverse}"
        );
        listed += all.len();
    }
    assert!(listed > rounds(10_000), "only {listed} keys were listed");
}

/// The first `size` of the stored keys within the bounds.
fn page(stored: &BTreeSet<Key>, bounds: &Bounds, reverse: bool, size: usize) -> Vec<Key> {
    let inside = stored.iter().filter(|key| {
        let end = bounds.end.as_deref();
        &bounds.start[..] <= key.as_bytes() && end.is_none_or(|end| key.as_bytes() < end)
    });
    let mut inside: Vec<Key> = inside.cloned().collect();
    if reverse {
        inside.reverse();
    }
    inside.truncate(size);
    inside
}
