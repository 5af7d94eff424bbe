//! Copies that are damaged, incomplete, foreign or hostile, and readers and writers that fail: all of
//! it is refused, with the place, before anything is applied.

use super::layout::{HEADER, Layout, Raw, frame_header, header};
use super::{contents, exported, kept, renewed, unswept};
use crate::support::client::{assert_is_ours, give_up};
use crate::support::{assert_refused, everything};
use kvick::{ErrorKind, ImportOptions, Key, Kv, Limits, NewValue};
use std::io::{self, Read, Write};
use std::panic::{self, AssertUnwindSafe};
use std::time::Duration;

/// A few entries of all kinds.
fn small() -> Vec<u8> {
    let kv = unswept();
    let put = |key: Key, value: NewValue<'_>| {
        kv.set(key, value).expect("it is within the limits");
    };
    put(("a", 1).into(), "one".into());
    put(("a", 2).into(), 2u64.into());
    put(("b", 1).into(), NewValue::v8(b"\xff\x0f0"));
    let minute = Duration::from_secs(60);
    put("c".into(), NewValue::from("").expire_in(minute));
    exported(&kv)
}

/// A database with something in it, for all that is to be refused.
struct Target {
    kv: Kv,
    before: (Vec<kvick::Entry>, kvick::Stats),
}

impl Target {
    fn new() -> Self {
        let kv = unswept();
        kv.set("mine", 1u64).expect("a key can be set");
        let before = (everything(&kv), kv.stats());
        Self { kv, before }
    }

    /// That it is refused, and nothing has changed; the error.
    #[track_caller]
    fn refuse(&self, copy: impl Read, options: &ImportOptions) -> kvick::Error {
        let error = self.kv.import(copy, options).expect_err("it is refused");
        assert_eq!((everything(&self.kv), self.kv.stats()), self.before);
        error
    }

    #[track_caller]
    fn assert_invalid(&self, copy: &[u8], text: &str) {
        let error = self.refuse(copy, &renewed());
        assert_eq!(error.kind(), ErrorKind::InvalidExport, "{error}");
        assert_eq!(error.to_string(), format!("invalid export: {text}"));
    }
}

#[test]
fn every_byte_that_has_changed_is_noticed() {
    let (copy, target) = (small(), Target::new());
    for at in 0..copy.len() {
        for flip in [0x01, 0x10, 0x80, 0xff] {
            let mut copy = copy.clone();
            copy[at] ^= flip;
            let error = target.refuse(&copy[..], &renewed());
            // A later version is told by these two bytes alone.
            let is_version = (8..10).contains(&at) && error.kind() == ErrorKind::ExportTooNew;
            let is_invalid = error.kind() == ErrorKind::InvalidExport;
            assert!(is_version || is_invalid, "byte {at}: {error}");
            assert!(error.to_string().contains(" at byte "), "{error}");
        }
    }
    target.kv.import(&copy[..], &renewed()).unwrap();
}

#[test]
fn every_copy_that_is_cut_off_is_noticed() {
    let (copy, target) = (small(), Target::new());
    for len in 0..copy.len() {
        let error = target.refuse(&copy[..len], &renewed());
        assert_eq!(error.kind(), ErrorKind::InvalidExport);
        let ends = len < 8 || error.to_string().contains("it ends with");
        assert!(ends, "{len} bytes: {error}");
    }
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let target = Target::new();
    let copy = small();
    target.assert_invalid(b"", "this is no export, at byte 0, frame 0");
    target.assert_invalid(
        b"SQLite format 3\0",
        "this is no export, at byte 0, frame 0",
    );
    let cut = &copy[..20];
    target.assert_invalid(cut, "it ends within its header, at byte 20, frame 0");
    let cut = &copy[..HEADER];
    target.assert_invalid(cut, "it ends without its trailer, at byte 36, frame 0");
    let cut = &copy[..HEADER + 30];
    target.assert_invalid(cut, "it ends within a frame, at byte 66, frame 0");
    let mut flipped = copy.clone();
    flipped[HEADER + 24] ^= 1;
    target.assert_invalid(
        &flipped,
        "the frame does not match its checksum, at byte 60, frame 0",
    );
    let mut newer = copy;
    newer[8] = 2;
    let error = target.refuse(&newer[..], &renewed());
    assert_eq!(error.kind(), ErrorKind::ExportTooNew);
    let text = "the export has format version 2, at byte 8; the newest that can be read is 1";
    assert_eq!(error.to_string(), text);
}

/// Checksums that are right, and contents that are wrong.
#[test]
fn what_no_export_says_is_refused() {
    let target = Target::new();
    let one = |entry: Raw| Layout {
        stamp: 9,
        taken_at: 1,
        frames: vec![vec![entry]],
    };
    let good = || Raw::bytes(b"\x02a\0", b"value", 9);
    let wrong: [(Raw, &str); 8] = [
        (Raw { kind: 0, ..good() }, "no value is of this kind"),
        (Raw { kind: 4, ..good() }, "no value is of this kind"),
        (
            Raw { kind: 2, ..good() },
            "a number that is not eight bytes",
        ),
        (
            Raw {
                key: vec![],
                ..good()
            },
            "an empty key",
        ),
        (
            Raw { stamp: 0, ..good() },
            "a versionstamp that is not up to that of the export",
        ),
        (
            Raw {
                stamp: 10,
                ..good()
            },
            "a versionstamp that is not up to that of the export",
        ),
        (
            Raw {
                left: Some(0),
                ..good()
            },
            "an entry that had expired",
        ),
        (
            Raw {
                key: vec![7; 70_000],
                kind: 9,
                ..good()
            },
            "no value is of this kind",
        ),
    ];
    for (entry, text) in wrong {
        let copy = one(entry).write();
        target.assert_invalid(&copy, &format!("{text}, at byte 60, frame 0"));
    }
    let mut layout = one(good());
    for keys in [[b"b", b"a"], [b"a", b"a"]] {
        layout.frames = keys.map(|key| vec![Raw::bytes(key, b"", 1)]).to_vec();
        let text = "the keys are out of their order, at byte 102, frame 1";
        target.assert_invalid(&layout.write(), text);
    }
    layout.frames = vec![vec![]];
    let text = "a frame without entries, at byte 60, frame 0";
    target.assert_invalid(&layout.write(), text);
    layout.frames = vec![vec![good(), Raw::bytes(b"\x03", &[7; 65_536], 1)]];
    let text = "a long frame is not one entry, at byte 60, frame 0";
    target.assert_invalid(&layout.write(), text);
    let mut copy = header(1, u64::MAX, 1);
    copy.extend(&one(good()).write()[HEADER..]);
    let text = "a versionstamp that no commit can have, at byte 16, frame 0";
    target.assert_invalid(&copy, text);
    let copy = header(0, 1, 1);
    target.assert_invalid(&copy, "there is no version 0, at byte 8, frame 0");
}

/// Frames that are lost, doubled or exchanged, each of which is whole.
#[test]
fn frames_that_are_not_in_their_place_are_noticed() {
    let target = Target::new();
    let keys = [b"a", b"b", b"c"];
    let layout = Layout {
        stamp: 1,
        taken_at: 1,
        frames: keys.map(|key| vec![Raw::bytes(key, b"v", 1)]).to_vec(),
    };
    let copy = layout.write();
    let frame = 24 + 17 + 2;
    let frames: Vec<_> = (0..3)
        .map(|number| &copy[HEADER + number * frame..][..frame])
        .collect();
    let end = &copy[HEADER + 3 * frame..];
    for order in [&[0, 1][..], &[1, 0, 2], &[0, 0, 1, 2], &[0, 2, 1], &[]] {
        let mut copy = copy[..HEADER].to_vec();
        copy.extend(order.iter().flat_map(|number| frames[*number]));
        copy.extend(end);
        let error = target.refuse(&copy[..], &renewed());
        let text = "the frame is out of its order";
        assert!(error.to_string().contains(text), "{error}");
    }
    // The end of another copy, with as many frames.
    let mut other = layout;
    other.frames[1][0].value = b"w".to_vec();
    let mut copy = copy;
    let begin = HEADER + 3 * frame;
    copy.truncate(begin);
    copy.extend(&other.write()[begin..]);
    let text = "the trailer is not that of what is before it, at byte 189, frame 3";
    target.assert_invalid(&copy, text);
}

/// Lengths of gigabytes, and nothing behind them: no memory is taken for what is not there.
#[test]
fn lengths_that_lie_take_no_memory() {
    let target = Target::new();
    for (kind, len) in [(1, u32::MAX), (1, 70_000), (1, 65_536), (2, u32::MAX)] {
        let mut copy = header(1, 1, 1);
        copy.extend(frame_header(kind, len, 0, 0));
        let error = target.refuse(&copy[..], &renewed());
        assert_eq!(error.kind(), ErrorKind::InvalidExport, "{error}");
    }
    // An entry that says it is longer than its frame, and one that is as long as it says.
    let mut entry = Raw::bytes(b"key", &[7; 10], 1);
    entry.value = vec![7; 4];
    let layout = Layout {
        stamp: 1,
        taken_at: 1,
        frames: vec![vec![entry]],
    };
    let mut lying = layout.write()[HEADER + 24..][..24].to_vec();
    lying[5..9].copy_from_slice(&u32::MAX.to_le_bytes());
    let mut copy = header(1, 1, 1);
    let checksum = super::layout::crc32c(&lying);
    copy.extend(frame_header(1, 24, 0, checksum));
    copy.extend(&lying);
    target.assert_invalid(&copy, "the frame ends within an entry, at byte 60, frame 0");
}

#[test]
fn what_is_beyond_the_limits_is_refused_with_its_place() {
    let unlimited = Kv::builder().limits(Limits::unlimited()).build();
    unlimited.set("a", 1u64).unwrap();
    unlimited.set("b", vec![7; 65_537]).unwrap();
    let target = Target::new();
    let copy = exported(&unlimited);
    let error = target.refuse(&copy[..], &renewed());
    assert_eq!(error.kind(), ErrorKind::ValueTooLarge);
    assert_eq!(
        error.to_string(),
        "Value too large (max 65536 bytes): got 65537 bytes, in the export at byte 112, frame 1"
    );
    unlimited.delete("b").unwrap();
    unlimited.set(Key::raw(vec![7; 2_049]), 1u64).unwrap();
    let error = target.refuse(&exported(&unlimited)[..], &renewed());
    assert_eq!(error.kind(), ErrorKind::KeyTooLarge);
    assert_eq!(
        error.to_string(),
        "Key too large for write (max 2048 bytes): got 2049 bytes, in the export at byte 88, frame 0"
    );
    // Before all of it has been read.
    let mut read = 0;
    let endless = Layout {
        stamp: 1,
        taken_at: 1,
        frames: vec![vec![Raw::bytes(b"k", &vec![7; 40_000_000], 1)]],
    };
    let copy = endless.write();
    let counted = Counted(&copy[..], &mut read);
    let error = target.refuse(counted, &renewed());
    assert_eq!(error.kind(), ErrorKind::ValueTooLarge);
    assert!(read < 100_000, "{read}");

    let expiring = Layout {
        stamp: 1,
        taken_at: 1,
        frames: vec![vec![Raw {
            left: Some(u64::MAX),
            ..Raw::bytes(b"k", b"", 1)
        }]],
    };
    let error = target.refuse(&expiring.write()[..], &renewed());
    assert_eq!(error.kind(), ErrorKind::InvalidExpiry);
    // The stamps that can be kept leave others to follow.
    let mut late = endless;
    late.stamp = (1 << 61) + 1;
    late.frames = vec![vec![Raw::bytes(b"k", b"v", 1)]];
    let fresh = unswept();
    assert_refused(
        fresh.import(&late.write()[..], &kept()),
        ErrorKind::InvalidExport,
        "a versionstamp that leaves none to follow, at byte 16",
    );
    fresh.import(&late.write()[..], &renewed()).unwrap();
    late.stamp = 1 << 61;
    let fresh = unswept();
    fresh.import(&late.write()[..], &kept()).unwrap();
    assert!(
        fresh.set("k", 1u64).unwrap() > fresh.get(Key::raw("k")).unwrap().versionstamp().unwrap()
    );
}

/// Counts what was read.
struct Counted<'a>(&'a [u8], &'a mut usize);

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.0.read(buffer)?;
        *self.1 += count;
        Ok(count)
    }
}

/// Gives, or takes, so many bytes, a few at a time, with interruptions, and then fails.
struct Failing<'a> {
    bytes: &'a [u8],
    left: usize,
    calls: usize,
}

impl Failing<'_> {
    fn room(&mut self, wanted: usize) -> io::Result<usize> {
        self.calls += 1;
        if self.calls.is_multiple_of(3) {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let room = wanted.min(self.left).min(7);
        self.left -= room;
        if room == 0 && wanted > 0 {
            return Err(io::Error::other("unplugged"));
        }
        Ok(room)
    }
}

impl Read for Failing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let room = self.room(buffer.len())?;
        self.bytes.read(&mut buffer[..room])
    }
}

impl Write for Failing<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.room(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.room(1).map(drop)
    }
}

#[test]
fn readers_may_fail_at_every_byte() {
    let (copy, target) = (small(), Target::new());
    for left in 0..copy.len() {
        let failing = Failing {
            bytes: &copy,
            left,
            calls: 0,
        };
        let error = target.refuse(failing, &renewed());
        assert_eq!(error.kind(), ErrorKind::Io);
        let text = format!("the export could not be read, at byte {left}: unplugged");
        assert_eq!(error.to_string(), text);
        let own: io::Error = error.downcast().unwrap();
        assert_eq!(own.to_string(), "unplugged");
    }
    let slow = Failing {
        bytes: &copy,
        left: copy.len(),
        calls: 0,
    };
    target.kv.import(slow, &renewed()).unwrap();
    assert_eq!(target.kv.stats().entry_count, 5);
}

#[test]
fn a_reader_that_says_it_has_read_more_is_an_error() {
    struct Boasting;

    impl Read for Boasting {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            Ok(buffer.len() + 1)
        }
    }

    let error = Target::new().refuse(Boasting, &renewed());
    assert_eq!(error.kind(), ErrorKind::Io);
}

#[test]
fn a_reader_that_panics_leaves_nothing() {
    struct Panicking<'a>(&'a [u8]);

    impl Read for Panicking<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            if self.0.is_empty() {
                give_up::<()>();
            }
            self.0.read(buffer)
        }
    }

    let (copy, target) = (small(), Target::new());
    for len in 0..copy.len() {
        let import = || target.kv.import(Panicking(&copy[..len]), &renewed());
        let panic = panic::catch_unwind(AssertUnwindSafe(import));
        assert_is_ours(panic.expect_err("it panics"));
        assert_eq!((everything(&target.kv), target.kv.stats()), target.before);
    }
}

#[test]
fn writers_may_fail_at_every_byte() {
    let source = unswept();
    source.import(&small()[..], &kept()).unwrap();
    let before = (contents(&source).len(), source.stats());
    let len = exported(&source).len();
    for left in 0..=len {
        let failing = Failing {
            bytes: &[],
            left,
            calls: 0,
        };
        let error = source.export(failing).expect_err("it fails");
        assert_eq!(error.kind(), ErrorKind::Io);
        let text = error.to_string();
        let has_place = text.starts_with("the export could not be written, at byte ");
        assert!(
            has_place && error.downcast_ref::<io::Error>().is_some(),
            "{text}"
        );
    }
    assert_eq!((contents(&source).len(), source.stats()), before);
    // One more, for the flush.
    let slow = Failing {
        bytes: &[],
        left: len + 1,
        calls: 1,
    };
    let told = source.export(slow);
    assert!(told.is_ok() || told.is_err_and(|error| error.to_string().contains("interrupted")));
}
