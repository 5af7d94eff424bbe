//! Before anything is replayed: whether lines mean what they should, damaged ones are refused, and
//! every contestant keeps what it has room for and no more.

use super::contestant::ALL;
use super::format::{Format, Requested};
use super::trace::{Unreadable, lines};
use std::path::Path;

const ENTRIES: u64 = 1_000;

/// Panics where something is not as it should be.
pub(crate) fn all() {
    names();
    meanings();
    damages();
    contestants();
}

fn names() {
    for (name, format) in [
        ("OLTP.lis", Format::Arc),
        ("OLTP.lis.zst", Format::Arc),
        ("cluster1.csv.zst", Format::Twitter),
        ("io.txt.zst", Format::Ids),
        ("io", Format::Ids),
    ] {
        assert_eq!(Format::of(Path::new(name)), format, "{name}");
    }
}

fn meanings() {
    let requested = |format: Format, line| format.requested(line).expect("the line is sound");
    let pages = |first, count| Some(Requested { first, count });
    assert_eq!(requested(Format::Arc, "7 3 0 12"), pages(7, 3));
    assert_eq!(requested(Format::Ids, "42"), pages(42, 1));
    let twitter = |line| requested(Format::Twitter, line);
    let got = twitter("0,a,1,20,3,get,0");
    assert!(got.is_some() && got == twitter("5,a,1,20,9,gets,0"));
    assert_ne!(got, twitter("0,a,b,3,20,3,get,0"));
    assert_eq!(twitter("0,a,1,20,3,set,60"), None);
}

fn damages() {
    let long = "1".repeat(5_000);
    for (format, text, line) in [
        (Format::Arc, "1 1 0 0\n1 1 0\n", 2),
        (Format::Arc, "1 1 0 0\n\n1 x 0 0\n", 3),
        (Format::Arc, "18446744073709551615 1 0 0\n", 1),
        (Format::Arc, "1 9999999 0 0\n", 1),
        (Format::Ids, "1\n2\n-3\n", 3),
        (Format::Ids, long.as_str(), 1),
        (Format::Twitter, "0,a,1,20,3,get\n", 1),
        (Format::Twitter, "0,a,1,20,3,got,0\n", 1),
        (Format::Twitter, "0,a,1,20,3,get,0\n0,a,1,,3,get,0\n", 2),
    ] {
        let refused = lines(text.as_bytes(), String::new(), format);
        assert!(
            matches!(refused, Err(Unreadable::Line(at, _)) if at == line),
            "{format:?}: {text:?} is {refused:?}"
        );
    }
    let empty = lines(&b"\n"[..], String::new(), Format::Ids);
    assert!(matches!(empty, Err(Unreadable::Empty)));
}

fn contestants() {
    for entrant in &ALL {
        let name = entrant.cache;
        // Of their shards, some get more ids than others: there is room for twice as many.
        let mut roomy = (entrant.open)(2 * ENTRIES);
        assert_eq!(
            (0..ENTRIES).filter(|id| roomy.get_or_insert(*id)).count(),
            0
        );
        let kept = (0..ENTRIES).filter(|id| roomy.get_or_insert(*id)).count() as u64;
        assert_eq!((kept, roomy.held()), (ENTRIES, ENTRIES), "{name} forgets");
        let mut full = (entrant.open)(ENTRIES);
        (0..100 * ENTRIES).for_each(|id| {
            full.get_or_insert(id);
        });
        // moka holds what waits in its queue beside what it may.
        assert!(full.held() < 2 * ENTRIES, "{name} holds {}", full.held());
    }
}
