//! Copies of a database: written out while others write, and brought back at once.

mod beside;
mod damage;
mod layout;
mod limited;

use crate::support::threads::wait_until;
use crate::support::{assert_refused, committed, everything};
use kvick::{
    BigInt, ChangeEvent, ChangesFrom, Clock, Delivery, ErrorKind, ImportExpiry, ImportOptions, Key,
    Kv, Limits, ManualClock, NewValue, Range, Stats, Value, Versionstamp,
};
use layout::{HEADER, Layout, Raw};
use std::sync::Arc;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn renewed() -> ImportOptions {
    ImportOptions::default()
}

fn kept() -> ImportOptions {
    ImportOptions::default().keep_versionstamps()
}

fn unswept() -> Kv {
    Kv::builder()
        .background_sweep(false)
        .writer_threads(1)
        .build()
}

fn timed(seconds: u32) -> (Kv, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::default());
    clock.set(seconds * SECOND);
    let kv = Kv::builder()
        .clock(Arc::<ManualClock>::clone(&clock))
        .background_sweep(false)
        .writer_threads(1);
    (kv.build(), clock)
}

fn exported(kv: &Kv) -> Vec<u8> {
    let mut copy = Vec::new();
    let exported = kv.export(&mut copy).expect("a vector takes it");
    assert_eq!(exported.bytes, copy.len() as u64);
    assert_eq!(exported.entries, kv.stats().entry_count as u64);
    assert_eq!(exported.versionstamp, kv.versionstamp());
    copy
}

/// The counts, without what is in use.
fn without_bytes(kv: &Kv) -> Stats {
    let mut stats = kv.stats();
    (stats.bytes, stats.entry_bytes, stats.index_bytes) = (0, 0, 0);
    stats
}

type Content = (Key, Option<Value>, Option<Duration>);

/// Every entry, without its version.
fn contents(kv: &Kv) -> Vec<Content> {
    let entries = everything(kv).into_iter();
    entries
        .map(|entry| {
            let left = entry.expires_in();
            (entry.key().clone(), entry.value().cloned(), left)
        })
        .collect()
}

fn versions(kv: &Kv) -> Vec<Option<Versionstamp>> {
    let entries = everything(kv);
    entries.iter().map(kvick::Entry::versionstamp).collect()
}

/// Keys of all kinds of parts, empty ones among them, and values of all kinds.
fn fill_with_everything(kv: &Kv) {
    let keys: Vec<Key> = vec![
        "".into(),
        ("", "").into(),
        ("a", b"", 1u64, 1, 1.5, true).into(),
        BigInt::from_be_bytes(true, &[7; 200])
            .expect("it is short")
            .into(),
        [0u8; 0].into(),
        Key::raw([0xff; 40]),
        Key::raw(vec![b'k'; 2_048]),
        ("z", f64::NAN).into(),
    ];
    let large = vec![b'v'; 65_536];
    let values: Vec<NewValue<'_>> = vec![
        "".into(),
        "text".into(),
        large[..1_024].into(),
        large[..1_025].into(),
        large[..].into(),
        0u64.into(),
        u64::MAX.into(),
        1.5.into(),
        BigInt::from(7u64).into(),
        NewValue::v8(b"\xff\x0f0"),
        NewValue::v8(&large[..2_000]),
        NewValue::v8(b""),
    ];
    for (number, value) in values.iter().enumerate() {
        for key in &keys {
            let key = key.join(number as u64);
            // One is beyond the limit of keys then.
            if key.as_bytes().len() <= 2_048 {
                kv.set(key, value.clone()).expect("it is within the limits");
            }
        }
    }
    for (key, value) in keys.iter().zip(values) {
        kv.set(key, value).expect("it is within the limits");
    }
}

#[test]
fn every_kind_of_key_and_value_comes_back() {
    let kv = unswept();
    fill_with_everything(&kv);
    let copy = exported(&kv);
    for options in [renewed(), kept()] {
        let other = unswept();
        let imported = other.import(&copy[..], &options).unwrap();
        assert_eq!(imported.entries, kv.stats().entry_count as u64);
        assert_eq!((imported.bytes, imported.expired), (copy.len() as u64, 0));
        assert_eq!(imported.versionstamp, other.versionstamp());
        assert_eq!(contents(&other), contents(&kv));
        let (stats, before) = (other.stats(), kv.stats());
        assert_eq!(stats.entry_count, before.entry_count);
        assert_eq!(stats.version_count, stats.entry_count);
        assert_eq!(stats.commit_count, 1);
        other.delete_range(Range::all()).unwrap();
        while other.stats().bytes > 0 {
            other.sweep();
        }
    }
}

#[test]
fn an_export_is_laid_out_as_documented() {
    let (kv, _clock) = timed(1_000);
    kv.set("b", 7u64).unwrap();
    kv.set("a", NewValue::from("text").expire_in(MINUTE))
        .unwrap();
    kv.set("c", NewValue::v8(b"\xff\x0f0")).unwrap();
    let key = |name: &str| Key::from(name).as_bytes().to_vec();
    let expected = [
        Raw {
            left: Some(60_000_000),
            ..Raw::bytes(&key("a"), b"text", 2)
        },
        Raw {
            kind: 2,
            ..Raw::bytes(&key("b"), &7u64.to_le_bytes(), 1)
        },
        Raw {
            kind: 3,
            ..Raw::bytes(&key("c"), b"\xff\x0f0", 3)
        },
    ];
    let layout = Layout::read(&exported(&kv));
    assert_eq!((layout.stamp, layout.taken_at), (3, 1_000_000_000));
    assert_eq!(layout.frames, [expected]);
}

/// The example of docs/export-format.md is what is written.
#[test]
fn the_documented_example_is_an_export() {
    #[derive(Debug)]
    struct Early;

    impl Clock for Early {
        fn now(&self) -> Duration {
            Duration::ZERO
        }

        fn wall_time(&self) -> Duration {
            Duration::from_micros(1)
        }
    }

    let kv = Kv::builder().clock(Arc::new(Early)).build();
    kv.set("a", "hi").unwrap();
    let document = include_str!("../../docs/export-format.md");
    let (_, example) = document.split_once("## An example").unwrap();
    let (_, example) = example.split_once("```text\n").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let bytes = example.lines().flat_map(|line| {
        let words = line.split_whitespace();
        let is_byte = |word: &&str| word.len() == 2 && u8::from_str_radix(word, 16).is_ok();
        let bytes = words.take_while(is_byte);
        bytes.map(|word| u8::from_str_radix(word, 16).unwrap())
    });
    assert_eq!(exported(&kv), bytes.collect::<Vec<u8>>());
}

/// Frames have 64 KiB at most, unless they are one entry; and as much as fits.
#[test]
fn frames_are_as_large_as_they_may_be() {
    let kv = Kv::builder().limits(Limits::unlimited()).build();
    let mut expected = Vec::new();
    for (number, len) in [
        (1u64, 100),
        (2, 60_000),
        (3, 6_000),
        (4, 200_000),
        (5, 3),
        (6, 65_536),
    ] {
        let value = vec![7; len];
        kv.set(number, &value).unwrap();
        expected.push(Raw::bytes(Key::from(number).as_bytes(), &value, number));
    }
    let mut layout = Layout::read(&exported(&kv));
    let shape: Vec<_> = layout.frames.iter().map(Vec::len).collect();
    assert_eq!(shape, [2, 1, 1, 1, 1]);
    assert_eq!(layout.frames.concat(), expected);
    let other = Kv::builder().limits(Limits::unlimited()).build();
    other.import(&layout.write()[..], &kept()).unwrap();
    assert_eq!(contents(&other), contents(&kv));

    // Whoever writes smaller ones is understood as well.
    layout.frames = expected.into_iter().map(|entry| vec![entry]).collect();
    let other = Kv::builder().limits(Limits::unlimited()).build();
    other.import(&layout.write()[..], &kept()).unwrap();
    assert_eq!(versions(&other), versions(&kv));
}

#[test]
fn an_empty_database_comes_back_as_one() {
    let copy = exported(&Kv::new());
    assert_eq!(Layout::read(&copy).frames, [[]; 0]);
    let other = Kv::new();
    let imported = other.import(&copy[..], &kept()).unwrap();
    assert_eq!(imported.versionstamp, Kv::new().versionstamp());
    // A commit that writes nothing mints a version all the same.
    let imported = other.import(&copy[..], &renewed()).unwrap();
    assert!(imported.versionstamp > Kv::new().versionstamp());
    assert!(everything(&other).is_empty());
    assert_refused(
        other.import(&copy[..], &kept()),
        ErrorKind::NotEmpty,
        "ever committed",
    );

    let deleted = Kv::new();
    deleted.set("a", 1u64).unwrap();
    let last = deleted.delete("a").unwrap();
    let other = Kv::new();
    let imported = other.import(&exported(&deleted)[..], &kept()).unwrap();
    assert_eq!((imported.versionstamp, imported.entries), (last, 0));
    assert!(other.set("a", 1u64).unwrap() > last);
}

#[test]
fn kept_versionstamps_are_those_of_then() {
    let kv = Kv::new();
    let first = kv.set("a", 1u64).unwrap();
    let both = committed(kv.atomic().set("b", 2u64).set("c", 3u64).commit());
    let last = kv.delete("missing").unwrap();
    let read = kv.get("c").unwrap();
    let copy = exported(&kv);

    let other = Kv::new();
    let imported = other.import(&copy[..], &kept()).unwrap();
    assert_eq!(imported.versionstamp, last);
    assert_eq!(other.versionstamp(), last);
    assert_eq!(versions(&other), [Some(first), Some(both), Some(both)]);
    // What was read there is checked here.
    let next = committed(other.atomic().check(&read).set("c", 4u64).commit());
    assert!(next > last);
    let late = other.atomic().check(&read).set("c", 5u64).commit();
    assert!(!late.unwrap().is_committed());
    let stale = other
        .atomic()
        .check_versionstamp("a", both)
        .set("a", 9u64)
        .commit();
    assert!(!stale.unwrap().is_committed());
    // A copy of the copy is the same, but for what has changed.
    assert_eq!(versions(&other), [Some(first), Some(both), Some(next)]);
}

#[test]
fn a_copy_of_a_copy_is_the_same_to_the_byte() {
    let (kv, clock) = timed(1_000);
    fill_with_everything(&kv);
    kv.set("expiring", NewValue::from("text").expire_in(MINUTE))
        .unwrap();
    let copy = exported(&kv);
    assert_eq!(copy, exported(&kv));
    let (other, _) = timed(1_000);
    other.import(&copy[..], &kept()).unwrap();
    assert_eq!(exported(&other), copy);

    // At another time only the header is another.
    clock.advance(SECOND);
    kv.delete("expiring").unwrap();
    let (other, other_clock) = timed(1_000);
    other.import(&exported(&kv)[..], &kept()).unwrap();
    other_clock.advance(7 * SECOND);
    let (one, another) = (exported(&kv), exported(&other));
    assert_ne!(one[..HEADER], another[..HEADER]);
    assert_eq!(one[HEADER..], another[HEADER..]);
}

#[test]
fn versionstamps_are_kept_only_where_there_are_none() {
    let kv = Kv::new();
    kv.set("a", 1u64).unwrap();
    let copy = exported(&kv);
    let acts: [fn(&Kv) -> kvick::Result<()>; 4] = [
        |kv| kv.set("b", 1u64).map(drop),
        |kv| kv.delete("b").map(drop),
        |kv| kv.enqueue("message", Delivery::default()).map(drop),
        |kv| kv.atomic().commit().map(drop),
    ];
    for act in acts {
        let other = Kv::new();
        act(&other).unwrap();
        let before = (everything(&other), other.stats());
        assert_refused(
            other.import(&copy[..], &kept()),
            ErrorKind::NotEmpty,
            "versionstamps can be kept only where nothing was ever committed",
        );
        assert_eq!((everything(&other), other.stats()), before);
        other.import(&copy[..], &renewed()).unwrap();
    }
}

#[test]
fn renewed_versionstamps_are_that_of_the_import() {
    let kv = Kv::new();
    for number in 0..2_000u64 {
        kv.set(number, number).unwrap();
    }
    let copy = exported(&kv);
    let other = Kv::new();
    let before = other.set("there", 1u64).unwrap();
    let imported = other.import(&copy[..], &renewed()).unwrap();
    assert!(imported.versionstamp > before);
    let mut versions = versions(&other);
    assert_eq!(versions.len(), 2_001);
    versions.retain(|version| *version != Some(imported.versionstamp));
    assert_eq!(versions, [Some(before)]);
}

#[test]
fn keys_that_are_there_are_refused_or_overwritten() {
    let kv = Kv::new();
    for number in 0..1_000u64 {
        kv.set(("k", number), number).unwrap();
    }
    let copy = exported(&kv);
    let other = unswept();
    other.set(("k", 700u64), "mine").unwrap();
    other.set(("k", 1_700u64), "mine").unwrap();
    let bytes = other.stats().bytes;
    let before = (everything(&other), without_bytes(&other));
    assert_refused(
        other.import(&copy[..], &renewed()),
        ErrorKind::KeyExists,
        r#"the key exists already: ["k", 700n]"#,
    );
    // The records that were created for it are gone; tables and leaves may have kept some room.
    wait_until(|| {
        other.sweep();
        other.stats().bytes < bytes + 2_048
    });
    assert_eq!((everything(&other), without_bytes(&other)), before);

    let view = other.snapshot();
    let imported = other.import(&copy[..], &renewed().overwrite()).unwrap();
    assert_eq!(imported.entries, 1_000);
    assert_eq!(other.get(("k", 700u64)).unwrap().as_u64(), Some(700));
    assert_eq!(other.get(("k", 1_700u64)).unwrap().as_str(), Some("mine"));
    assert_eq!(other.stats().entry_count, 1_001);
    assert_eq!(view.get(("k", 700u64)).unwrap().as_str(), Some("mine"));
    assert_eq!(view.list("k").count().unwrap(), 2);
    drop(view);
    other.delete_range(Range::all()).unwrap();
    wait_until(|| {
        other.sweep();
        other.stats().bytes == 0
    });
}

#[test]
fn what_was_deleted_or_has_expired_is_not_there() {
    let kv = Kv::new();
    kv.set("a", 1u64).unwrap();
    kv.set("b", 1u64).unwrap();
    let copy = exported(&kv);
    let (other, clock) = timed(1_000);
    other
        .set("a", NewValue::from("old").expire_in(SECOND))
        .unwrap();
    other.set("b", "old").unwrap();
    let view = other.snapshot();
    other.delete("b").unwrap();
    assert_refused(
        other.import(&copy[..], &renewed()),
        ErrorKind::KeyExists,
        r#"["a"]"#,
    );
    clock.advance(SECOND);
    other.import(&copy[..], &renewed()).unwrap();
    assert_eq!(contents(&other), contents(&kv));
    assert_eq!(other.stats().entry_count, 2);
    assert_eq!(view.get("a").unwrap().as_str(), Some("old"));
    // What replaced it does not expire.
    clock.advance(MINUTE);
    other.sweep();
    assert_eq!(other.stats().expired_count, 0);
}

/// Two entries with a minute and an hour left, and one that stays.
fn expiring() -> (Vec<u8>, Vec<Content>) {
    let (kv, clock) = timed(1_000);
    for (key, left) in [("hour", 60 * MINUTE), ("minute", MINUTE)] {
        let value = NewValue::from(key).expire_in(left + SECOND);
        kv.set(key, value).expect("a key can be set");
    }
    kv.set("stays", "stays").expect("a key can be set");
    clock.advance(SECOND);
    (exported(&kv), contents(&kv))
}

fn left(kv: &Kv) -> Vec<Option<Duration>> {
    let contents = contents(kv).into_iter();
    contents.map(|(_, _, left)| left).collect()
}

#[test]
fn the_time_left_counts_from_the_import_on() {
    let (copy, contents_then) = expiring();
    let (other, clock) = timed(500_000);
    let imported = other.import(&copy[..], &kept()).unwrap();
    assert_eq!((imported.entries, imported.expired), (3, 0));
    assert_eq!(contents(&other), contents_then);
    clock.advance(MINUTE);
    assert!(other.get("minute").unwrap().is_missing());
    other.sweep();
    assert_eq!(other.stats().expired_count, 1);
    assert_eq!(left(&other), [Some(59 * MINUTE), None]);
    // As if it had been set here: it can be prolonged, and made to stay.
    other.touch("hour", None).unwrap();
    clock.advance(60 * MINUTE);
    other.sweep();
    assert_eq!(left(&other), [None, None]);
}

#[test]
fn by_the_wall_clock_what_would_have_expired_does_not_come() {
    let (copy, _) = expiring();
    let dated = renewed().expiry(ImportExpiry::Dated);
    for (seconds, expected) in [
        (1_001, [Some(60 * MINUTE), Some(MINUTE), None].to_vec()),
        // The wall clock there is behind.
        (900, [Some(60 * MINUTE), Some(MINUTE), None].to_vec()),
        (
            1_060,
            [Some(59 * MINUTE + SECOND), Some(SECOND), None].to_vec(),
        ),
        (1_061, [Some(59 * MINUTE), None].to_vec()),
        (100_000, [None].to_vec()),
    ] {
        let (other, _clock) = timed(seconds);
        let imported = other.import(&copy[..], &dated).unwrap();
        assert_eq!(left(&other), expected, "at {seconds} s");
        let expired = 3 - expected.len() as u64;
        assert_eq!((imported.entries, imported.expired), (3 - expired, expired));
    }
}

#[test]
fn a_snapshot_that_has_been_open_for_long_is_dated_by_when_it_was_taken() {
    let (kv, clock) = timed(1_000);
    kv.set("a", NewValue::from(1u64).expire_in(MINUTE)).unwrap();
    let view = kv.snapshot();
    clock.advance(10 * MINUTE);
    let mut copy = Vec::new();
    view.export(&mut copy).unwrap();
    let layout = Layout::read(&copy);
    assert_eq!(layout.taken_at, 1_000_000_000);
    assert_eq!(layout.frames[0][0].left, Some(60_000_000));
}

#[test]
fn expiry_can_be_dropped() {
    let (copy, _) = expiring();
    let (other, clock) = timed(1_000);
    let dropped = renewed().expiry(ImportExpiry::Dropped);
    assert_eq!(other.import(&copy[..], &dropped).unwrap().entries, 3);
    clock.advance(100 * 60 * MINUTE);
    other.sweep();
    assert_eq!(left(&other), [None, None, None]);
}

#[test]
fn the_system_has_a_wall_clock() {
    // Beyond the beginning of 2025.
    assert!(kvick::SystemClock.wall_time() > Duration::from_secs(1_735_689_600));
    let kv = Kv::new();
    let layout = Layout::read(&exported(&kv));
    assert!(layout.taken_at > 1_735_689_600_000_000);
}

#[test]
fn a_snapshot_is_exported_as_it_is() {
    let kv = Kv::new();
    kv.set("a", 1u64).unwrap();
    kv.set("b", 1u64).unwrap();
    let view = kv.snapshot();
    kv.set("a", 2u64).unwrap();
    kv.delete("b").unwrap();
    kv.set("c", 1u64).unwrap();
    let (mut one, mut another) = (Vec::new(), Vec::new());
    let exported = view.export(&mut one).unwrap();
    assert_eq!(exported.entries, 2);
    assert_eq!(exported.versionstamp, view.versionstamp());
    kv.sweep();
    view.export(&mut another).unwrap();
    assert_eq!(one[HEADER..], another[HEADER..]);
    let other = Kv::new();
    other.import(&one[..], &kept()).unwrap();
    assert_eq!(other.versionstamp(), view.versionstamp());
    let values: Vec<_> = everything(&other)
        .iter()
        .map(kvick::Entry::as_u64)
        .collect();
    assert_eq!(values, [Some(1), Some(1)]);
}

#[test]
fn messages_are_not_exported() {
    let kv = Kv::new();
    kv.set("a", 1u64).unwrap();
    kv.enqueue("message", Delivery::default()).unwrap();
    let other = Kv::new();
    other.import(&exported(&kv)[..], &kept()).unwrap();
    assert_eq!(other.stats().message_count, 0);
    assert_eq!(other.versionstamp(), kv.versionstamp());
}

#[test]
fn what_is_open_before_an_import_goes_on_seeing_what_it_saw() {
    let kv = Kv::new();
    for number in 0..100u64 {
        kv.set(number, number).unwrap();
        kv.set(number, number).unwrap();
    }
    let copy = exported(&kv);
    for options in [kept(), renewed()] {
        let other = unswept();
        let view = other.snapshot();
        let mut import = Some(options);
        let aborted = other.transact(|tx| {
            let count = tx.list(Range::all()).entries()?.len();
            if let Some(options) = import.take() {
                assert_eq!(count, 0);
                other.import(&copy[..], &options)?;
            } else {
                assert_eq!(count, 100);
            }
            tx.set("count", count as u64);
            Ok(())
        });
        assert!(aborted.unwrap().is_committed());
        assert_eq!(other.get("count").unwrap().as_u64(), Some(100));
        for number in 0..100u64 {
            other.set(number, "changed").unwrap();
            assert!(view.get(number).unwrap().is_missing());
        }
        other.sweep();
        assert_eq!(view.list(Range::all()).count().unwrap(), 0);
        // None of what was superseded is held for a snapshot that never saw it.
        while other.stats().version_count > 101 {
            other.sweep();
        }
        assert_eq!(view.list(Range::all()).count().unwrap(), 0);
    }
}

#[test]
fn an_import_is_one_commit_to_those_who_follow() {
    let kv = Kv::new();
    kv.set("a", 1u64).unwrap();
    kv.set("b", 1u64).unwrap();
    let copy = exported(&kv);
    for options in [kept(), renewed()] {
        let other = Kv::new();
        let mut watch = other.watch(["a", "b"]).unwrap().into_iter();
        let mut changes = other.changes(ChangesFrom::Now).unwrap().into_iter();
        assert!(watch.next().is_some());
        let imported = other.import(&copy[..], &options).unwrap();
        let shown = watch.next().expect("it is told");
        assert!(shown.entries.iter().all(|entry| entry.as_u64() == Some(1)));
        let Some(ChangeEvent::Commit(commit)) = changes.try_recv().unwrap() else {
            panic!("no commit");
        };
        assert_eq!(commit.versionstamp(), imported.versionstamp);
        let keys: Vec<_> = commit.changes().map(|(key, _)| key.clone()).collect();
        assert_eq!(keys, ["a", "b"].map(Key::from));
        assert_eq!(changes.try_recv().unwrap(), None);
    }
}

#[test]
fn what_cannot_write_or_is_closed_is_refused() {
    let kv = Kv::new();
    kv.set("a", 1u64).unwrap();
    let copy = exported(&kv);
    let reader = kv.read_only();
    assert_eq!(exported(&reader)[HEADER..], copy[HEADER..]);
    assert_refused(
        reader.import(&copy[..], &renewed()),
        ErrorKind::ReadOnly,
        "read-only",
    );
    let view = kv.snapshot();
    kv.close();
    assert_refused(
        kv.import(&copy[..], &renewed()),
        ErrorKind::Closed,
        "closed",
    );
    assert_refused(kv.export(Vec::new()), ErrorKind::Closed, "closed");
    assert_refused(view.export(Vec::new()), ErrorKind::Closed, "closed");
}

#[test]
fn what_is_behind_an_export_is_left_to_be_read() {
    let kv = Kv::new();
    kv.set("a", 1u64).unwrap();
    let mut copies = exported(&kv);
    kv.set("b", 2u64).unwrap();
    copies.extend(exported(&kv));
    let mut rest = &copies[..];
    for count in [1, 2] {
        let other = Kv::new();
        other.import(&mut rest, &kept()).unwrap();
        assert_eq!(everything(&other).len(), count);
    }
    assert!(rest.is_empty());
}
