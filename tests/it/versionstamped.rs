//! Keys that end in the versionstamp of their commit (A13 to A16, W07).

use crate::support::threads::{race, unstuck};
use crate::support::{assert_refused, committed, conflict, everything};
use kvick::{
    Changed, Delivery, Entry, ErrorKind, Key, KeyPart, Kv, Limits, ManualClock, NewValue, Range,
    Stats, Transacted, Versionstamp,
};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// What a key ends in.
fn versionstamp_of(key: &Key) -> Versionstamp {
    let parts = key.parts().expect("it is a tuple");
    let Some(KeyPart::String(digits)) = parts.last() else {
        panic!("{key:?} does not end in text");
    };
    digits.parse().expect("the text is a versionstamp")
}

/// Ends the others, which go on until it is set, if this thread fails.
struct OnPanic<'a>(&'a AtomicBool);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.store(true, Ordering::Relaxed);
        }
    }
}

/// Every entry under a prefix, each of which ends in its own versionstamp.
#[track_caller]
fn log(kv: &Kv, prefix: impl Into<Key>) -> Vec<Entry> {
    let entries = kv.list(Range::prefix(prefix)).entries().expect("a prefix");
    let entries: Vec<_> = entries.collect();
    for entry in &entries {
        assert_eq!(entry.versionstamp(), Some(versionstamp_of(entry.key())));
    }
    entries
}

#[test]
fn a_key_ends_in_the_versionstamp_of_its_commit() {
    // A13: as one more part, the text of the twenty digits.
    let clock = Arc::new(ManualClock::default());
    let kv = Kv::builder().clock(clock).build();
    kv.set("other", "value").unwrap();
    let alone = kv.set_versionstamped(("log", 7), "alone").unwrap();
    let mut key = Key::from(("log", 7)).as_bytes().to_vec();
    key.extend_from_slice(format!("\x02{alone}\0").as_bytes());
    let key = Key::raw(key);
    assert_eq!(key, Key::from(("log", 7, alone)));
    let entry = kv.get(&key).unwrap();
    assert_eq!(
        (entry.as_str(), entry.versionstamp()),
        (Some("alone"), Some(alone))
    );

    // With whatever else there is, all of one version; and the value is one like others.
    let minute = Duration::from_secs(60);
    let all = committed(
        kv.atomic()
            .check_versionstamp(&key, alone)
            .sum("count", 1)
            .set_versionstamped("bytes", "text")
            .set_versionstamped("number", 7_u64)
            .set_versionstamped("short", NewValue::v8(b"\xff\x0f0").expire_in(minute))
            .enqueue("message", Delivery::default())
            .commit(),
    );
    assert_eq!(kv.get(("bytes", all)).unwrap().as_str(), Some("text"));
    assert_eq!(kv.get(("number", all)).unwrap().as_u64(), Some(7));
    let short = kv.get(("short", all)).unwrap();
    assert_eq!(short.expires_in(), Some(minute));
    assert_eq!(kv.get("count").unwrap().versionstamp(), Some(all));
    let message = kv.queue("").listen().unwrap().try_recv().unwrap().unwrap();
    assert_eq!(message.versionstamp(), all);
    message.finish().unwrap();

    // By a transaction, which reads a range; it is not there before.
    let mut seen = None;
    let transacted = kv.transact(|tx| {
        tx.set_versionstamped(("log", 8), "by a transaction");
        seen = Some(tx.list(("log",)).entries()?.len());
        Ok(())
    });
    let Transacted::Committed {
        versionstamp: Some(by),
        ..
    } = transacted.unwrap()
    else {
        panic!("nobody is in the way");
    };
    assert_eq!(seen, Some(1));
    assert_eq!(kv.get(("log", 8, by)).unwrap().versionstamp(), Some(by));
    log(&kv, "log");
}

#[test]
fn one_commit_has_one_entry_of_a_prefix_and_two_have_two() {
    // A14: with the later value; in the order of the commits.
    let kv = Kv::new();
    let mut op = kv.atomic();
    op.set_versionstamped("log", "earlier")
        .set_versionstamped("other", "other")
        .set_versionstamped("log", "later");
    let first = committed(op.commit());
    let entries = log(&kv, "log");
    let [entry] = &entries[..] else {
        panic!("{entries:?}");
    };
    assert_eq!(
        (entry.as_str(), entry.versionstamp()),
        (Some("later"), Some(first))
    );

    let second = committed(op.commit());
    let third = kv.set_versionstamped("log", "last").unwrap();
    let stamps: Vec<_> = log(&kv, "log")
        .iter()
        .map(|entry| versionstamp_of(entry.key()))
        .collect();
    assert_eq!(stamps, [first, second, third]);
    assert_eq!(log(&kv, "other").len(), 2);
}

#[test]
fn an_operation_that_fails_leaves_no_key_that_ends_in_a_versionstamp() {
    // A02, A07: in the books neither.
    let kv = Kv::builder().background_sweep(false).build();
    kv.set("text", "text").unwrap();
    let before = (everything(&kv), kv.stats());
    let mut checked = kv.atomic();
    checked
        .check_absent("text")
        .set_versionstamped("log", "value");
    assert_eq!(conflict(checked.commit()), [0]);
    let mut mistaken = kv.atomic();
    mistaken.set_versionstamped("log", "value").sum("text", 1);
    assert_refused(mistaken.commit(), ErrorKind::TypeMismatch, "");
    let transacted = kv.transact(|tx| {
        tx.list(()).entries()?;
        tx.set_versionstamped("log", "value");
        tx.sum("text", 1);
        Ok(())
    });
    assert_refused(transacted, ErrorKind::TypeMismatch, "");
    assert_eq!(everything(&kv), before.0);
    let after = kv.stats();
    let of = |stats: &Stats| (stats.entry_count, stats.version_count, stats.garbage_bytes);
    assert_eq!(of(&after), of(&before.1));
}

#[test]
fn a_versionstamp_follows_at_least_one_part() {
    // A15: elsewhere than at the end of a key that is set there is no way to write it.
    let kv = Kv::new();
    let before = kv.set("key", "value").unwrap();
    let refused = [
        kv.set_versionstamped((), "value").map(drop),
        kv.atomic()
            .set("key", "new")
            .set_versionstamped((), "value")
            .commit()
            .map(drop),
        kv.transact(|tx| {
            tx.set("key", "new");
            tx.set_versionstamped((), "value");
            Ok(())
        })
        .map(drop),
    ];
    for refused in refused {
        assert_refused(refused, ErrorKind::KeyEmpty, "key cannot be empty");
    }
    assert_eq!(everything(&kv).len(), 1);
    assert_eq!(kv.get("key").unwrap().versionstamp(), Some(before));
    // FoundationDB's encoding of a versionstamp that is still to come is that of no part.
    for tag in [0x32, 0x33] {
        let marker = Key::raw([&[tag][..], &[0xff; 12]].concat());
        assert_eq!(
            marker.parts().unwrap_err().kind(),
            ErrorKind::KeyUndecodable
        );
    }
}

#[test]
fn a_versionstamp_counts_where_the_length_of_a_key_is_limited() {
    // A16
    let limits = Limits::default();
    let longest = limits.key_write_bytes_max - 22;
    let mut raised = Limits::default();
    raised.key_write_bytes_max = 3_000;
    for (limits, longest) in [(limits, longest), (raised, 3_000 - 22)] {
        let max = limits.key_write_bytes_max;
        let text = format!("(max {max} bytes): got {} bytes", max + 1);
        let kv = Kv::builder().limits(limits).build();
        // Two bytes belong to the encoding of the text.
        let fits = Key::from("a".repeat(longest - 2));
        let versionstamp = kv.set_versionstamped(&fits, "value").unwrap();
        assert_eq!(
            kv.get(fits.join(versionstamp)).unwrap().as_str(),
            Some("value")
        );
        let longer = Key::from("a".repeat(longest - 1));
        let before = kv.versionstamp();
        assert_refused(
            kv.set_versionstamped(&longer, "value"),
            ErrorKind::KeyTooLarge,
            "",
        );
        let refused = kv.atomic().set_versionstamped(&longer, "value").commit();
        assert_refused(refused, ErrorKind::KeyTooLarge, &text);
        assert_eq!(kv.versionstamp(), before);
    }
}

#[test]
fn keys_end_in_their_versionstamps_whatever_else_is_committed_and_read() {
    // A13, A14: others mint stamps all the time, with stripes and without; readers look at what is
    // in flight.
    const WRITERS: usize = 3;
    const EACH: usize = 300;
    let kv = Kv::new();
    let is_done = AtomicBool::new(false);
    let listed = race(WRITERS + 3, |thread| match thread {
        0 => {
            while !is_done.load(Ordering::Relaxed) {
                kv.set("other", 1_u64).unwrap();
                kv.enqueue("message", Delivery::default().queue("other"))
                    .unwrap();
            }
            0
        }
        1 | 2 => {
            let mut listed = 0;
            while !is_done.load(Ordering::Relaxed) {
                let snapshot = kv.snapshot();
                let read = || -> Vec<_> {
                    let list = snapshot.list(("log",)).reverse().limit(4);
                    list.entries().unwrap().collect()
                };
                let entries = read();
                assert_eq!(entries, read());
                for entry in entries {
                    let versionstamp = versionstamp_of(entry.key());
                    assert_eq!(entry.versionstamp(), Some(versionstamp));
                    assert!(versionstamp <= snapshot.versionstamp());
                    listed += 1;
                }
            }
            listed
        }
        writer => {
            let _on_panic = OnPanic(&is_done);
            for number in 0..EACH {
                if number % 3 == 0 {
                    // Two of these stand in the range of one another.
                    let transacted = kv.transact(|tx| {
                        let count = tx.list(("log",)).entries()?.len();
                        tx.set_versionstamped(("log",), count.to_string());
                        tx.set(("count", writer as u64), count as u64);
                        Ok(())
                    });
                    assert!(transacted.unwrap().is_committed());
                } else {
                    let mut op = kv.atomic();
                    op.set_versionstamped(("log",), number as u64)
                        .set_versionstamped(("by", writer as u64), number as u64);
                    committed(op.commit());
                }
            }
            let is_last = log(&kv, ("log",)).len() == WRITERS * EACH;
            is_done.fetch_or(is_last, Ordering::Relaxed);
            0
        }
    });
    assert_eq!(log(&kv, ("log",)).len(), WRITERS * EACH);
    assert!(listed[1] + listed[2] > 0);
    for writer in 3..WRITERS + 3 {
        let numbers = log(&kv, ("by", writer as u64));
        let numbers = numbers.iter().map(|entry| entry.as_u64().unwrap());
        let expected = (0..EACH as u64).filter(|number| number % 3 != 0);
        assert!(numbers.eq(expected), "in the order of the commits");
    }
    // Each transaction has counted what was committed before it.
    let all = log(&kv, ("log",));
    let counts = all.iter().map(Entry::as_str).enumerate();
    let counts = counts.filter_map(|(index, text)| Some((index, text?)));
    assert_eq!(counts.clone().count(), WRITERS * EACH / 3);
    for (index, count) in counts {
        assert_eq!(count.parse(), Ok(index));
    }
}

#[test]
fn a_long_operation_gets_its_versionstamp_while_messages_are_enqueued() {
    // A13: a message alone takes no lock of a key, and so many are minted while the keys are linked.
    const KEYS: u64 = 1_000;
    let times = unstuck(|| {
        let kv = Kv::new();
        let is_done = AtomicBool::new(false);
        race(3, |thread| {
            if thread > 0 {
                while !is_done.load(Ordering::Relaxed) {
                    let alone = Delivery::default().queue(["one", "other"][thread - 1]);
                    kv.enqueue("message", alone).unwrap();
                    let mut listener = kv.queue(["one", "other"][thread - 1]).listen().unwrap();
                    listener.try_recv().unwrap().unwrap().finish().unwrap();
                }
                return 0;
            }
            let _on_panic = OnPanic(&is_done);
            let times = 20;
            for _ in 0..times {
                let mut op = kv.atomic();
                for number in 0..KEYS {
                    op.set_versionstamped(("log", number), number);
                }
                committed(op.commit());
            }
            is_done.store(true, Ordering::Relaxed);
            assert_eq!(log(&kv, "log").len() as u64, times * KEYS);
            times
        })
    });
    assert_eq!(times[0], 20);
}

#[test]
fn a_key_that_ends_in_a_versionstamp_is_watched_by_its_own_name() {
    // W07: and not by the one that it begins with.
    let kv = Kv::new();
    kv.set("log", "the prefix").unwrap();
    let latest = kv.set("other", "value").unwrap().to_string();
    let next = u128::from_str_radix(&latest, 16).unwrap() + (1 << 16);
    let next: Versionstamp = format!("{next:020x}").parse().unwrap();
    let key = Key::from(("log", next));
    let mut of_key = kv.watch([&key]).unwrap().into_iter();
    let mut of_prefix = kv.watch(["log"]).unwrap().raw().into_iter();
    let mut of_range = kv.watch_range("log").unwrap().into_iter();
    assert!(of_key.try_recv().unwrap().is_some() && of_prefix.try_recv().unwrap().is_some());
    assert!(of_range.try_recv().unwrap().is_some());

    let written = kv.set_versionstamped("log", "value").unwrap();
    assert_eq!(written, next, "nobody else has committed");
    let emission = of_key.try_recv().unwrap().unwrap();
    assert_eq!(emission.entries[0].as_str(), Some("value"));
    assert_eq!(emission.entries[0].versionstamp(), Some(written));
    let changed = of_range.try_recv().unwrap().unwrap().changed;
    assert_eq!(changed, Changed::Keys(vec![key]));
    assert_eq!(of_prefix.try_recv().unwrap(), None);
}
