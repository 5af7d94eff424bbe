//! Imports into databases with a memory limit: what is staged counts, and what is refused leaves nothing.

use super::{contents, exported, kept, renewed};
use crate::support::alone::alone;
use crate::support::threads::{race, wait_until};
use crate::support::{assert_empties, assert_refused, everything};
use kvick::{ErrorKind, ImportOptions, Key, Kv, NewValue, OnLimit, Range};
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LIMIT: usize = 1 << 20;

fn limited(bytes: usize) -> Kv {
    Kv::builder()
        .memory_limit(bytes)
        .background_sweep(false)
        .writer_threads(1)
        .build()
}

/// So many entries, large and small, some of which expire.
fn source(count: u64) -> Kv {
    let kv = Kv::builder().background_sweep(false).build();
    for number in 0..count {
        let bytes = vec![b'v'; if number % 50 == 0 { 5_000 } else { 500 }];
        let value = NewValue::from(&bytes[..]);
        let hour = Duration::from_secs(60 * 60);
        let value = match number % 10 {
            0 => value.expire_in(hour),
            _ => value,
        };
        kv.set(("page", number), value).expect("a key can be set");
    }
    kv
}

/// Reads a copy, and looks at each read how much is in use.
struct Watching<'k> {
    kv: &'k Kv,
    limit: usize,
    copy: &'k [u8],
    most: usize,
}

impl<'k> Watching<'k> {
    fn new(kv: &'k Kv, copy: &'k [u8]) -> Self {
        Self {
            limit: kv.stats().memory_limit.expect("it has one"),
            kv,
            copy,
            most: 0,
        }
    }
}

impl Read for Watching<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.kv.stats().bytes;
        assert!(bytes <= self.limit, "{bytes} of {}", self.limit);
        self.most = self.most.max(bytes);
        let room = buffer.len().min(4_096);
        self.copy.read(&mut buffer[..room])
    }
}

/// That it is refused for its size, and is told so by numbers.
#[track_caller]
fn refuse(kv: &Kv, reader: impl Read, options: &ImportOptions) {
    let limit = kv.stats().memory_limit.expect("it has one");
    let text = format!("memory limit reached (max {limit} bytes): ");
    let refused = kv.import(reader, options);
    assert_refused(refused, ErrorKind::MemoryLimit, &text);
}

#[test]
fn what_is_staged_counts_and_what_fits_is_imported() {
    let source = source(1_200);
    let copy = exported(&source);
    for options in [renewed(), kept()] {
        let kv = limited(LIMIT);
        let mut reader = Watching::new(&kv, &copy);
        let imported = kv.import(&mut reader, &options).unwrap();
        // The versions were there before the last byte was.
        assert!(reader.most > LIMIT / 2, "{}", reader.most);
        assert_eq!(imported.entries, 1_200);
        let bytes = kv.stats().bytes;
        assert!(reader.most < bytes && bytes <= LIMIT, "{bytes}");
        let [values, expected] = [&kv, &source].map(|kv| {
            let entries = contents(kv).into_iter();
            entries.map(|(key, value, _)| (key, value))
        });
        assert!(values.eq(expected));
        assert_empties(&kv);
    }
}

/// Whatever the limit: it is kept, what is refused leaves nothing, and there is one from which on all
/// fits, not far above what is used in the end.
#[test]
fn at_every_limit_it_fits_or_leaves_nothing() {
    let copy = exported(&source(300));
    let unlimited = Kv::builder()
        .background_sweep(false)
        .writer_threads(1)
        .build();
    unlimited.import(&copy[..], &renewed()).unwrap();
    // What the indexes have replaced while they grew is not used in the end.
    let mut used = unlimited.stats().bytes;
    for _ in 0..64 {
        unlimited.sweep();
        used = used.min(unlimited.stats().bytes);
    }
    let mut fitting = None;
    for percent in (10..150).step_by(5) {
        let limit = used * percent / 100;
        for options in [renewed(), kept()] {
            let kv = limited(limit);
            let mut reader = Watching::new(&kv, &copy);
            match kv.import(&mut reader, &options) {
                Ok(_) => {
                    fitting.get_or_insert(percent);
                    assert!(kv.stats().bytes <= limit);
                    assert_eq!(everything(&kv).len(), 300);
                }
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
                    assert_eq!(fitting, None, "it fitted into less than {percent} %");
                    assert!(everything(&kv).is_empty());
                    assert_eq!(kv.stats().version_count, 0);
                    // Where the rest was the records, these and their indexes go through the epoch.
                    wait_until(|| {
                        kv.sweep();
                        kv.stats().bytes == 0
                    });
                    kv.set("key", 1_u64).unwrap();
                }
            }
            assert_empties(&kv);
        }
    }
    assert!(
        fitting.is_some_and(|percent| (100..125).contains(&percent)),
        "{fitting:?}"
    );
}

#[test]
fn what_does_not_fit_is_refused_while_it_is_read() {
    alone(
        "copy::limited::what_does_not_fit_is_refused_while_it_is_read",
        || {
            let copy = exported(&source(4_000));
            let kv = limited(LIMIT);
            for number in 0..300_u64 {
                kv.set(("mine", number), vec![7; 1_000]).unwrap();
            }
            kv.sweep();
            let before = (kv.stats(), everything(&kv));
            for options in [renewed(), renewed().overwrite()] {
                let mut reader = Watching::new(&kv, &copy);
                refuse(&kv, &mut reader, &options);
                // What there is was used for it, but for one frame, and half of it was not read.
                assert!(reader.most > LIMIT - LIMIT / 64 - 80_000, "{}", reader.most);
                assert!(reader.copy.len() > copy.len() / 2);
                kv.sweep();
                assert_eq!((kv.stats(), everything(&kv)), before);
            }
            // A damaged one, and one that is cut off, give back what they had.
            let copy = exported(&source(500));
            for end in [copy.len() / 2, copy.len() - 1] {
                kv.import(&copy[..end], &renewed()).unwrap_err();
                assert_eq!(kv.stats().bytes, before.0.bytes);
            }
            kv.import(&copy[..], &renewed()).unwrap();
            assert_empties(&kv);
        },
    );
}

/// The versions fit, and the records do not.
#[test]
fn records_that_do_not_fit_are_taken_back() {
    let source = Kv::builder().background_sweep(false).build();
    for number in 0..2_000_u64 {
        let key = Key::from((vec![b'k'; 1_000], number));
        source.set(key, number).unwrap();
    }
    let copy = exported(&source);
    for options in [renewed(), kept()] {
        let kv = limited(LIMIT);
        let mut reader = Watching::new(&kv, &copy);
        refuse(&kv, &mut reader, &options);
        assert!(reader.copy.is_empty());
        assert!(everything(&kv).is_empty());
        wait_until(|| {
            kv.sweep();
            kv.stats().bytes == 0
        });
        kv.import(&exported(&limited(LIMIT))[..], &options).unwrap();
    }
}

#[test]
fn garbage_makes_room_for_an_import() {
    let copy = exported(&source(1_000));
    let kv = limited(LIMIT);
    for number in 0..600_u64 {
        kv.set(("mine", number), vec![7; 1_000]).unwrap();
    }
    kv.delete_prefix("mine").unwrap();
    assert!(kv.stats().bytes > LIMIT / 2);
    let mut reader = Watching::new(&kv, &copy);
    kv.import(&mut reader, &renewed()).unwrap();
    assert_eq!(everything(&kv).len(), 1_000);
    assert_empties(&kv);
}

#[test]
fn what_is_overwritten_counts_until_it_is_freed() {
    let copy = exported(&source(500));
    let kv = limited(LIMIT);
    let overwrite = renewed().overwrite();
    for _ in 0..4 {
        let mut reader = Watching::new(&kv, &copy);
        kv.import(&mut reader, &overwrite).unwrap();
        assert!(kv.stats().bytes <= LIMIT);
        assert_eq!(everything(&kv).len(), 500);
    }
    // What a snapshot sees is not freed.
    let snapshot = kv.snapshot();
    kv.import(Watching::new(&kv, &copy), &overwrite).unwrap();
    let before = (everything(&kv), kv.versionstamp());
    refuse(&kv, Watching::new(&kv, &copy), &overwrite);
    assert_eq!((everything(&kv), kv.versionstamp()), before);
    drop(snapshot);
    kv.import(Watching::new(&kv, &copy), &overwrite).unwrap();
    assert_empties(&kv);
}

/// Ends the others, which go on until it is set, when this thread is done or fails.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn the_limit_holds_while_others_write() {
    let copy = exported(&source(600));
    let kv = Kv::builder().memory_limit(LIMIT).build();
    let is_done = AtomicBool::new(false);
    let counts = race(3, |thread| {
        let (mut done, mut refused) = (0, 0);
        if thread == 0 {
            let _ends = Ends(&is_done);
            for _ in 0..60 {
                let mut reader = Watching::new(&kv, &copy);
                // The others delete, which is not refused.
                reader.limit += LIMIT / 64;
                match kv.import(reader, &renewed().overwrite()) {
                    Ok(_) => done += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::MemoryLimit);
                        refused += 1;
                        kv.delete_range(Range::all()).unwrap();
                    }
                }
            }
        }
        let mut number = 0_u64;
        while !is_done.load(Ordering::Relaxed) {
            number += 1;
            let key = ("page", 2 * (number % 300));
            match kv.set(key, vec![7; 700]) {
                Ok(_) => done += 1,
                Err(error) => {
                    assert_eq!(error.kind(), ErrorKind::MemoryLimit);
                    refused += 1;
                }
            }
            // Deletions are not refused.
            assert!(kv.stats().bytes <= LIMIT + LIMIT / 64);
            if number.is_multiple_of(3) {
                kv.delete(("page", 2 * (number % 200))).unwrap();
            }
        }
        (done, refused)
    });
    assert!(counts.iter().all(|(done, _)| *done > 0), "{counts:?}");
    assert_empties(&kv);
}

#[test]
fn an_import_evicts_nothing_for_keys_that_are_there() {
    let kv = Kv::builder()
        .entry_limit(120)
        .on_limit(OnLimit::Evict)
        .background_sweep(false)
        .build();
    let copy = exported(&source(100));
    kv.import(&copy[..], &renewed()).unwrap();
    kv.set("other", 1_u64).unwrap();
    let overwriting = renewed().overwrite();
    let imported = kv.import(&copy[..], &overwriting).unwrap();
    let stats = kv.stats();
    assert_eq!((imported.entries, stats.entry_count), (100, 101));
    assert_eq!(stats.evicted_for_entries_count, 0, "{stats:?}");
    assert_empties(&kv);
}

#[test]
fn an_import_counts_its_entries_and_evicts_for_them() {
    let copy = exported(&source(60));
    let limited = || {
        Kv::builder()
            .entry_limit(100)
            .background_sweep(false)
            .writer_threads(1)
    };
    let fill = |kv: &Kv| {
        for number in 0..70_u64 {
            kv.set(("other", number), number).unwrap();
        }
    };
    let kv = limited().build();
    fill(&kv);
    let refused = kv.import(&copy[..], &renewed()).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::EntryLimit, "{refused}");
    assert_eq!(kv.stats().entry_count, 70);
    kv.delete_range(Range::all()).unwrap();
    let imported = kv.import(&copy[..], &renewed()).unwrap();
    // Overwriting makes none more.
    kv.import(&copy[..], &renewed().overwrite()).unwrap();
    assert_eq!(kv.stats().entry_count as u64, imported.entries);

    let kv = limited().on_limit(OnLimit::Evict).build();
    fill(&kv);
    kv.import(&copy[..], &renewed()).unwrap();
    let stats = kv.stats();
    assert!(stats.entry_count <= 100, "{stats:?}");
    assert!(stats.evicted_for_entries_count >= 30, "{stats:?}");
}
