//! Lists (R04 to R14).

use crate::support::{assert_refused, each_key, keys};
use kvick::{Entry, ErrorKind, Key, Kv, List, Range};
use std::collections::BTreeSet;
use std::ops::ControlFlow;

/// The numbers below `("n",)`.
fn numbers(count: u32) -> Kv {
    let kv = Kv::new();
    for number in 0..count {
        kv.set(("n", number), u64::from(number)).expect("it is set");
    }
    kv
}

fn number_of(entry: &Entry) -> u64 {
    entry.as_u64().expect("every value is a number")
}

fn with_keys<K: Into<Key>>(keys: impl IntoIterator<Item = K>) -> Kv {
    let kv = Kv::new();
    for key in keys {
        kv.set(key, "value").expect("it is set");
    }
    kv
}

fn values(list: List<'_>) -> Vec<u64> {
    let entries = list.entries().expect("it can be listed");
    entries.map(|entry| number_of(&entry)).collect()
}

#[test]
fn the_start_is_in_a_range_and_the_end_is_not_whichever_way_it_is_read() {
    // R04
    let kv = numbers(10);
    let range = || kv.list(Range::new(("n", 3), ("n", 7)));
    assert_eq!(values(range()), [3, 4, 5, 6]);
    assert_eq!(values(range().reverse()), [6, 5, 4, 3]);
    assert_eq!(values(range().reverse().limit(2)), [6, 5]);
    assert_eq!(values(range().limit(2)), [3, 4]);
    // Bounds that are no keys there.
    let between = Range::new(("n", 2.5), ("n", 6.5));
    assert_eq!(values(kv.list(&between).reverse()), [6, 5, 4, 3]);
}

#[test]
fn a_prefix_is_not_among_the_keys_below_it() {
    // R05
    let all = [
        Key::from("a"),
        ("a", 1).into(),
        ("a", 1, 2).into(),
        "b".into(),
    ];
    let kv = with_keys(&all);
    assert_eq!(keys(&kv, "a"), all[1..3]);
    assert_eq!(keys(&kv, ("a", 1)), all[2..3]);
    assert_eq!(keys(&kv, ("a", 1, 2)), []);
    assert_eq!(keys(&kv, ()), all);
}

#[test]
fn a_prefix_is_whole_parts() {
    // R06
    let kv = with_keys([("users", "alice"), ("users", "a"), ("users\0", "a")]);
    assert_eq!(keys(&kv, ("users", "a")), []);
    assert_eq!(keys(&kv, "use"), []);
    assert_eq!(
        keys(&kv, "users"),
        each_key([("users", "a"), ("users", "alice")])
    );
}

#[test]
fn a_prefix_can_be_cut_at_either_side() {
    // R07
    let kv = numbers(6);
    let prefix = || Range::prefix("n");
    assert_eq!(values(kv.list(prefix().start(("n", 4)))), [4, 5]);
    assert_eq!(values(kv.list(prefix().end(("n", 2)))), [0, 1]);
    let outside: [Key; 4] = ["n".into(), "m".into(), ("o", 1).into(), ().into()];
    for bound in &outside {
        let start = kv.list(prefix().start(bound)).entries();
        let text = "Start key is not in the keyspace defined by prefix";
        assert_refused(start, ErrorKind::InvalidSelector, text);
        let end = kv.list(prefix().end(bound)).entries();
        let text = "End key is not in the keyspace defined by prefix";
        assert_refused(end, ErrorKind::InvalidSelector, text);
    }
    let everything = Range::prefix(()).start(());
    assert_refused(
        kv.list(everything).count(),
        ErrorKind::InvalidSelector,
        "Start key",
    );
}

#[test]
fn a_start_after_the_end_is_refused_and_in_bytes_it_is_empty() {
    // R08
    let kv = numbers(6);
    let backwards = Range::new(("n", 3), ("n", 2));
    let text = "Start key is greater than end key";
    assert_refused(
        kv.list(&backwards).entries(),
        ErrorKind::InvalidSelector,
        text,
    );
    assert_refused(kv.list(&backwards).keys(), ErrorKind::InvalidSelector, text);
    assert_refused(
        kv.delete_range(&backwards),
        ErrorKind::InvalidSelector,
        text,
    );
    assert_eq!(kv.list(Range::new(("n", 3), ("n", 3))).count().unwrap(), 0);
    for (start, end) in [(&b"\x03"[..], &b"\x02"[..]), (b"\x02", b"\x02")] {
        let raw = Range::raw(start, end);
        for list in [kv.list(&raw), kv.list(&raw).reverse()] {
            assert!(values(list.clone()).is_empty());
            assert_eq!(list.count().unwrap(), 0);
        }
    }
    assert_eq!(
        values(kv.list(Range::raw(&b"\x02"[..], &b"\x03"[..]))).len(),
        6
    );
}

#[test]
fn a_range_with_contradictory_bounds_is_refused_when_it_is_used() {
    // R09
    let kv = numbers(6);
    let (start, end) = (Key::from(("n", 1)), Key::from(("n", 3)));
    let refused = [
        Range::prefix("n").start(&start).end(&end),
        Range::prefix("n").end(&end).start(&start),
        Range::all().start(&start),
        Range::all().end(&end),
        Range::new(&start, &end).start(&start),
    ];
    for range in refused {
        assert_refused(kv.list(&range).entries(), ErrorKind::InvalidSelector, "a");
        assert_refused(kv.list(&range).count(), ErrorKind::InvalidSelector, "a");
        assert_refused(
            kv.list(&range).for_each(|_| ()),
            ErrorKind::InvalidSelector,
            "a",
        );
        assert_refused(kv.delete_range(&range), ErrorKind::InvalidSelector, "a");
        let listed = kv.transact(|tx| tx.list(&range).count());
        assert_refused(listed, ErrorKind::InvalidSelector, "a");
    }
    assert_eq!(kv.list(()).count().unwrap(), 6);
}

#[test]
fn an_end_that_continues_the_last_part_of_a_prefix_lets_nothing_else_in() {
    // R10 (D9)
    let below = each_key([("a", ""), ("a", "x")]);
    let kv = with_keys(&below);
    for other in [
        Key::from("a\0"),
        "a\0a".into(),
        ("a\0", "a").into(),
        "a\0b".into(),
    ] {
        kv.set(&other, "outside").unwrap();
    }
    assert_eq!(keys(&kv, Range::prefix("a").end("a\0b")), below);
    assert_eq!(keys(&kv, Range::prefix("a").start("a\0b")), []);
    assert_eq!(
        kv.delete_range(Range::prefix("a").end("a\0b"))
            .unwrap()
            .count,
        2
    );
    assert_eq!(kv.list(()).count().unwrap(), 4);
}

#[test]
fn limits_and_batches_are_positive() {
    // R11
    let kv = numbers(10);
    let text = "must be a positive integer";
    for list in [kv.list(()).limit(0), kv.list(()).batch_size(0)] {
        assert_refused(list.clone().entries(), ErrorKind::InvalidLimit, text);
        assert_refused(list.clone().keys(), ErrorKind::InvalidLimit, text);
        assert_refused(list.clone().for_each(|_| ()), ErrorKind::InvalidLimit, text);
        assert_refused(list.count(), ErrorKind::InvalidLimit, text);
    }
    let tracked = kv.transact(|tx| tx.list(()).limit(0).entries());
    assert_refused(tracked, ErrorKind::InvalidLimit, text);

    assert_eq!(values(kv.list(()).limit(3).batch_size(2)), [0, 1, 2]);
    assert_eq!(
        values(kv.list(()).limit(3).batch_size(2).reverse()),
        [9, 8, 7]
    );
    assert_eq!(values(kv.list(()).limit(usize::MAX)).len(), 10);
    assert_eq!(values(kv.list(()).batch_size(1_000)).len(), 10);
    let text = "Too many entries (max 1000)";
    assert_refused(
        kv.list(()).batch_size(1_001).entries(),
        ErrorKind::TooManyEntries,
        text,
    );
    // Above the default batch, a limit is no batch.
    assert_eq!(values(kv.list(()).limit(100_000)).len(), 10);
}

/// At which index a list first sees what was rewritten after its first item. `options` says what
/// kind of list.
fn rewrite_seen_at(count: u32, options: impl FnOnce(List<'_>) -> List<'_>) -> Option<usize> {
    let kv = numbers(count);
    let mut entries = options(kv.list("n")).entries().expect("it can be listed");
    entries.next()?;
    for number in 0..count {
        kv.set(("n", number), u64::MAX).expect("it is set");
    }
    let rewritten = |entry: &Entry| entry.as_u64() == Some(u64::MAX);
    Some(1 + entries.position(|entry| rewritten(&entry))?)
}

#[test]
fn fresh_batches_see_what_was_written_from_the_next_batch_on() {
    // R12
    for reverse in [false, true] {
        let seen_at = |count, limit, batch| {
            rewrite_seen_at(count, |list| {
                let mut list = list.fresh_batches();
                if reverse {
                    list = list.reverse();
                }
                if let Some(limit) = limit {
                    list = list.limit(limit);
                }
                if let Some(batch) = batch {
                    list = list.batch_size(batch);
                }
                list
            })
        };
        assert_eq!(seen_at(250, None, None), Some(100));
        assert_eq!(seen_at(701, Some(700), None), Some(500));
        assert_eq!(seen_at(50, None, Some(7)), Some(7));
        assert_eq!(seen_at(50, Some(20), None), None);
    }
}

#[test]
fn fresh_batches_go_on_behind_the_last_key_whatever_has_become_of_it() {
    // R12
    for reverse in [false, true] {
        let kv = numbers(40);
        let list = kv.list("n").fresh_batches().batch_size(10);
        let list = if reverse { list.reverse() } else { list };
        let mut entries = list.entries().unwrap();
        let first: Vec<_> = entries.by_ref().take(10).collect();
        kv.delete(first[9].key()).unwrap();
        kv.delete(if reverse { ("n", 15) } else { ("n", 25) })
            .unwrap();
        kv.set(("n", 7.5), 75_u64).unwrap();
        kv.set(("n", 32.5), 325_u64).unwrap();
        kv.sweep();
        let rest: Vec<_> = entries.map(|entry| entry.as_u64().unwrap()).collect();
        let expected: Vec<u64> = if reverse {
            (8..30)
                .rev()
                .filter(|n| *n != 15)
                .chain([75])
                .chain((0..8).rev())
                .collect()
        } else {
            (10..33)
                .filter(|n| *n != 25)
                .chain([325])
                .chain(33..40)
                .collect()
        };
        assert_eq!(rest, expected);
    }
}

#[test]
fn a_list_is_of_the_moment_of_its_first_entry() {
    // R13
    assert_eq!(rewrite_seen_at(250, |list| list), None);
    assert_eq!(rewrite_seen_at(250, |list| list.batch_size(1)), None);
    // R14: it is lazy, so that moment is not the one at which it was made.
    let kv = numbers(3);
    let list = kv.list("n").entries().unwrap();
    kv.delete(("n", 1)).unwrap();
    assert_eq!(list.count(), 2);
}

#[test]
fn a_list_of_a_snapshot_is_of_the_snapshot_in_batches_as_well() {
    // R12
    let kv = numbers(30);
    let snapshot = kv.snapshot();
    for number in 0..30 {
        kv.delete(("n", number)).unwrap();
    }
    kv.set(("n", 7.5), 1_u64).unwrap();
    kv.sweep();
    let list = snapshot.list("n").fresh_batches().batch_size(4);
    assert!(values(list).into_iter().eq(0..30));
    assert_eq!(snapshot.list("n").count().unwrap(), 30);
}

#[test]
fn a_list_has_a_snapshot_open_only_between_its_batches() {
    // R13, R14
    let kv = numbers(250);
    let open = || kv.stats().open_snapshot_count;
    let mut entries = kv.list("n").entries().unwrap();
    assert_eq!(open(), 0);
    entries.next().unwrap();
    assert_eq!(open(), 1);
    entries.nth(98).unwrap();
    assert_eq!(open(), 1);
    // The 201st is in the last batch.
    entries.nth(100).unwrap();
    assert_eq!(open(), 0);
    assert_eq!(entries.count(), 49);

    let mut dropped = kv.list("n").entries().unwrap();
    dropped.next().unwrap();
    assert_eq!(open(), 1);
    drop(dropped);
    assert_eq!(open(), 0);

    // One batch is all of it.
    let mut limited = kv.list("n").limit(3).entries().unwrap();
    limited.next().unwrap();
    assert_eq!(open(), 0);
    let mut keys = kv.list("n").limit(150).keys().unwrap();
    keys.nth(149).unwrap();
    assert_eq!(open(), 0);
}

#[test]
fn an_iterator_that_has_ended_stays_ended() {
    // R14
    let kv = numbers(5);
    for limit in [5, 6, 3] {
        let mut entries = kv.list("n").limit(limit).entries().unwrap();
        let count = entries.by_ref().count();
        assert_eq!(count, limit.min(5));
        kv.set(("n", 99), 99_u64).unwrap();
        assert!(entries.next().is_none() && entries.next().is_none());
        kv.delete(("n", 99)).unwrap();
    }
}

#[test]
fn a_long_stretch_of_what_is_deleted_is_passed_over() {
    // Far more than one batch has entries, seen by a snapshot and by nobody.
    for is_seen in [false, true] {
        let kv = Kv::builder().background_sweep(false).build();
        for number in 0..3_000 {
            kv.set(("n", number), 1_u64).unwrap();
        }
        let snapshot = is_seen.then(|| kv.snapshot());
        for number in 1..2_999 {
            kv.delete(("n", number)).unwrap();
        }
        let ends = each_key([("n", 0), ("n", 2_999)]);
        assert_eq!(keys(&kv, "n"), ends);
        let fresh = kv.list("n").fresh_batches().reverse().batch_size(1);
        assert!(fresh.keys().unwrap().eq(ends.into_iter().rev()));
        assert_eq!(kv.list("n").count().unwrap(), 2);
        if let Some(snapshot) = snapshot {
            assert_eq!(snapshot.list("n").count().unwrap(), 3_000);
        }
    }
}

#[test]
fn each_entry_is_shown_once_until_it_is_enough() {
    let kv = numbers(600);
    let mut shown = Vec::new();
    kv.list("n")
        .for_each(|entry| shown.push(entry.value().as_u64().unwrap()))
        .unwrap();
    assert!(shown.into_iter().eq(0..600));
    let mut last = None;
    let flow = kv.list("n").reverse().try_for_each(|entry| {
        last = Some(entry.key());
        if entry.value().as_u64() == Some(100) {
            return ControlFlow::Break("found");
        }
        ControlFlow::Continue(())
    });
    assert_eq!(flow.unwrap(), ControlFlow::Break("found"));
    assert_eq!(last, Some(("n", 100).into()));
    assert_eq!(kv.stats().open_snapshot_count, 0);
}

#[test]
fn what_is_shown_may_be_changed_meanwhile() {
    let kv = numbers(600);
    let mut shown = 0;
    let delete = |entry: kvick::EntryRef<'_>| {
        shown += 1;
        kv.delete(entry.key()).unwrap();
        kv.set(("n", shown + 1_000), 1_u64).unwrap();
        if shown % 100 == 0 {
            kv.sweep();
        }
    };
    kv.list("n").for_each(delete).unwrap();
    assert_eq!(shown, 600);
    assert_eq!(kv.list("n").count().unwrap(), 600);
}

#[test]
fn keys_of_any_length_are_listed_in_the_order_of_their_bytes() {
    // Around the lengths up to which keys are compared as numbers and held inline, with zeros,
    // which a padded key must not be taken for.
    let mut bytes = BTreeSet::new();
    for len in [1, 2, 7, 8, 9, 15, 16, 17, 30, 31, 32, 33, 40] {
        for fill in [0, 1, 255] {
            for last in [0, 1, 255] {
                let mut key = vec![fill; len];
                key[len - 1] = last;
                bytes.insert(key);
            }
        }
    }
    let kv = with_keys(bytes.iter().map(Key::raw));
    for start in &bytes {
        for end in bytes.range(start.clone()..) {
            let range = Range::raw(start.clone(), end.clone());
            let expected = || bytes.range(start.clone()..end.clone()).map(Key::raw);
            let ascending = kv.list(&range).keys().unwrap();
            assert!(ascending.eq(expected()), "from {start:?} to {end:?}");
            let descending = kv.list(&range).reverse().keys().unwrap();
            assert!(descending.eq(expected().rev()), "{end:?} to {start:?}");
        }
    }
}
