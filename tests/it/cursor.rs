//! Cursors (C01 to C06).

use crate::support::{assert_refused, each_key};
use kvick::{Cursor, ErrorKind, Key, Kv, List, Range};

fn letters() -> Kv {
    let kv = Kv::new();
    for letter in ["a", "b", "c", "d", "e"] {
        kv.set(("a", letter), letter).expect("it is set");
    }
    kv
}

/// The cursor of a list that has given one item of so many.
fn after_first(list: List<'_>) -> String {
    let mut entries = list.entries().expect("it can be listed");
    entries.next().expect("it is not empty");
    let cursor = entries.cursor();
    cursor.expect("it has begun").to_string()
}

fn cursor(text: &str) -> Cursor {
    text.parse().expect("it is a cursor")
}

fn rest(list: List<'_>, after: &str) -> Vec<Key> {
    let keys = list.after(cursor(after)).keys();
    keys.expect("the cursor is within the range").collect()
}

#[test]
fn a_cursor_is_denos_text() {
    // C01
    let kv = letters();
    let from = |letter: &str| Range::prefix("a").start(("a", letter));
    assert_eq!(after_first(kv.list(from("b"))), "AmIA");
    assert_eq!(after_first(kv.list(from("d"))), "AmQA");
    let between = Range::new(("a", "b"), ("a", "z"));
    assert_eq!(after_first(kv.list(between)), "YgA=");
    let mut keys = kv.list(from("b")).keys().unwrap();
    keys.next().unwrap();
    assert_eq!(keys.cursor(), Some(cursor("AmIA")));
}

#[test]
fn a_list_goes_on_strictly_behind_its_cursor() {
    // C02
    let kv = letters();
    let at_c = "AmMA";
    assert_eq!(rest(kv.list("a"), at_c), each_key([("a", "d"), ("a", "e")]));
    assert_eq!(
        rest(kv.list("a").reverse(), at_c),
        each_key([("a", "b"), ("a", "a")])
    );
    // Whatever has become of the key.
    kv.delete(("a", "c")).unwrap();
    assert_eq!(rest(kv.list("a"), at_c), each_key([("a", "d"), ("a", "e")]));
    assert_eq!(
        rest(kv.list("a").reverse(), at_c),
        each_key([("a", "b"), ("a", "a")])
    );
    kv.set(("a", "c", 1), "below it").unwrap();
    assert_eq!(rest(kv.list("a").limit(1), at_c), each_key([("a", "c", 1)]));
    // A snapshot is gone on with in the same way.
    let snapshot = kv.snapshot();
    kv.delete_range("a").unwrap();
    assert_eq!(rest(snapshot.list("a").reverse(), at_c).len(), 2);
}

#[test]
fn pages_make_up_the_list() {
    // C03: also where the first key is all that the keys have in common.
    let kv = letters();
    kv.set("a", "the prefix itself").unwrap();
    let ranges = [
        Range::all(),
        Range::prefix("a"),
        Range::prefix("a").start(("a", "b")),
        Range::prefix("a").end(("a", "d")),
        Range::new("a", ("a", "e")),
        Range::raw(&b"\x02a"[..], &b"\x02b"[..]),
    ];
    for range in &ranges {
        for reverse in [false, true] {
            let list = || {
                let list = kv.list(range);
                if reverse { list.reverse() } else { list }
            };
            let whole: Vec<_> = list().keys().unwrap().collect();
            for size in 1..=whole.len() + 1 {
                let mut paged = Vec::new();
                let mut place = Cursor::default();
                for _ in 0..=whole.len() {
                    let mut page = list().limit(size).after(place).keys().unwrap();
                    paged.extend(page.by_ref());
                    place = page.cursor().unwrap();
                    if place.is_empty() {
                        break;
                    }
                }
                assert_eq!(paged, whole, "{range:?} by {size}");
            }
        }
    }
}

#[test]
fn a_list_has_a_place_once_it_has_begun() {
    // C04
    let kv = letters();
    let mut entries = kv.list("a").entries().unwrap();
    assert_eq!(entries.cursor(), None);
    entries.by_ref().for_each(drop);
    assert_eq!(entries.cursor(), Some(Cursor::default()));
    assert!(entries.cursor().unwrap().is_empty());

    let given = kv.list("a").after(cursor("AmIA")).entries().unwrap();
    assert_eq!(given.cursor(), Some(cursor("AmIA")));

    // Where the limit has ended it, it is the last key, also when nothing follows.
    for limit in [2, 5] {
        let mut limited = kv.list("a").limit(limit).entries().unwrap();
        let last = limited.by_ref().last().unwrap();
        let expected = if limit == 2 { "AmIA" } else { "AmUA" };
        assert_eq!(limited.cursor().unwrap().as_ref(), expected, "{last:?}");
    }

    let mut nothing = kv.list("b").entries().unwrap();
    assert!(nothing.next().is_none());
    assert_eq!(nothing.cursor(), Some(Cursor::default()));
}

#[test]
fn what_is_no_cursor_is_refused() {
    // C05
    for text in [".", "A", "+/+/", "Ag"] {
        let refused = text.parse::<Cursor>();
        assert_refused(refused, ErrorKind::InvalidCursor, "invalid cursor");
    }
    let kv = letters();
    assert_eq!(rest(kv.list("a"), "Ag==").len(), 5);
    assert_eq!(rest(kv.list("a"), "").len(), 5);
}

#[test]
fn a_cursor_beyond_a_named_bound_is_refused() {
    // C06
    let kv = letters();
    let text = "cursor out of bounds";
    let between = || kv.list(Range::new(("a", "b"), ("a", "d")));
    let started = || kv.list(Range::prefix("a").start(("a", "b")));
    let ended = || kv.list(Range::prefix("a").end(("a", "d")));
    // Below the start, and above the end. The two bounds share all bytes up to the letter.
    let (a, e) = (cursor("YQA="), cursor("ZQA="));
    let (below_a, below_e) = (cursor("AmEA"), cursor("AmUA"));
    let refused = [
        between().after(a.clone()),
        between().reverse().after(e.clone()),
        started().after(below_a.clone()),
        ended().reverse().after(below_e.clone()),
    ];
    for list in refused {
        assert_refused(list.clone().entries(), ErrorKind::CursorOutOfBounds, text);
        assert_refused(list.count(), ErrorKind::CursorOutOfBounds, text);
    }
    // On the other side there is nothing left, and that is no error.
    let empty = [
        between().after(e),
        between().reverse().after(a),
        started().after(below_e.clone()).limit(1),
        ended().reverse().after(below_a.clone()),
        kv.list("a").after(cursor("_w==")),
        kv.list("a").reverse().after(cursor("AA==")),
    ];
    for list in empty {
        assert_eq!(list.keys().unwrap().count(), 0);
    }
    // A prefix alone has no bounds to be beyond.
    assert_eq!(kv.list("a").after(below_e).count().unwrap(), 0);
    assert_eq!(kv.list("a").reverse().after(below_a).count().unwrap(), 0);
}

#[test]
fn a_cursor_too_long_to_read_from_is_refused() {
    let kv = letters();
    // 2,052 bytes after the prefix.
    let long = cursor(&"AAAA".repeat(684));
    let refused = kv.list("a").after(long).entries();
    assert_refused(
        refused,
        ErrorKind::KeyTooLarge,
        "Key too large for read (max 2049 bytes)",
    );
}
