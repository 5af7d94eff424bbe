//! Writing a snapshot out.

use super::crc32c::{crc32c, extend};
use super::format::{
    EntryHeader, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameHeader, FrameKind, Header, Trailer,
};
use crate::engine::read::{Hit, ReadPoint};
use crate::engine::reserve;
use crate::engine::scan::Walk;
use crate::error::{Error, Result};
use crate::key::{BoundBytes, Bounds};
use crate::kv::{Kv, open};
use crate::snapshot::Snapshot;
use crate::value::ValueRef;
use crate::version::Versionstamp;
use std::io::Write;
use std::ops::ControlFlow;
use std::time::Duration;

/// How many entries are read before the epoch is pinned anew.
const BATCH: usize = 256;

/// The longest value that an export can have. With a key, it still has a length that a frame can
/// tell.
const VALUE_BYTES_MAX: usize = (u32::MAX - (1 << 25)) as usize;

/// What an export has written: [`Kv::export`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exported {
    /// How many entries there were.
    pub entries: u64,
    /// How many bytes were written.
    pub bytes: u64,
    /// That of the snapshot: whatever was committed up to this is in the export, and nothing else.
    pub versionstamp: Versionstamp,
}

impl Kv {
    /// Writes a consistent copy of the database: every entry as of one moment, while others go on
    /// writing. [`Kv::import`] brings it back; docs/export-format.md says what the bytes are.
    ///
    /// It reads a snapshot, as [`Snapshot::export`] does. Messages are not entries, and not exported.
    ///
    /// ```
    /// use kvick::{ImportOptions, Kv};
    ///
    /// let kv = Kv::new();
    /// kv.set(("account", "alice"), 100u64)?;
    /// let mut copy = Vec::new();
    /// let exported = kv.export(&mut copy)?;
    /// assert_eq!((exported.entries, exported.bytes), (1, copy.len() as u64));
    ///
    /// let other = Kv::new();
    /// other.import(&copy[..], &ImportOptions::default())?;
    /// assert_eq!(other.get(("account", "alice"))?.as_u64(), Some(100));
    /// # Ok::<(), kvick::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// Those of [`Snapshot::export`].
    pub fn export(&self, writer: impl Write) -> Result<Exported> {
        open(self.engine())?;
        self.snapshot().export(writer)
    }
}

impl Snapshot {
    /// Writes what it sees, in the order of the keys: versionstamps included, and of what expires how
    /// long it has.
    ///
    /// It writes some 64 KiB at a time, and the end of it is flushed. While `writer` works, nothing is
    /// locked or pinned. Takes time in proportion to the entries, and memory for one piece.
    ///
    /// # Errors
    ///
    /// `Io`, where `writer` fails: what it has then is refused by an import. `ValueTooLarge`, for a
    /// value of nearly 4 GiB or more; `OutOfMemory`; `Closed`.
    pub fn export(&self, writer: impl Write) -> Result<Exported> {
        let point = self.point();
        let engine = open(point.engine())?;
        let mut out = Output::new(writer);
        out.write(&header(point).encode())?;
        let mut frame = Frame::new()?;
        let mut walk = Walk::new(from(&[]), false);
        while !walk.is_done() {
            let flow = engine.scan(&mut walk, BATCH, Some(point), |key, hit| {
                match frame.push(key, hit) {
                    Ok(true) => ControlFlow::Continue(()),
                    Ok(false) => ControlFlow::Break(Ok(from(key))),
                    Err(refused) => ControlFlow::Break(Err(refused)),
                }
            });
            if let ControlFlow::Break(rest) = flow {
                walk = Walk::new(rest?, false);
                out.write_frame(&mut frame)?;
            }
        }
        if !frame.is_empty() {
            out.write_frame(&mut frame)?;
        }
        out.finish(&frame)?;
        Ok(Exported {
            entries: frame.totals.entry_count,
            bytes: out.written,
            versionstamp: self.versionstamp(),
        })
    }
}

/// Everything from a key on.
fn from(key: &[u8]) -> Bounds {
    Bounds {
        start: BoundBytes::from_slice(key),
        end: None,
    }
}

fn header(point: &ReadPoint) -> Header {
    let clock = point.engine().clock();
    // The snapshot may have been open for a while. It has a moment if anything expires.
    let taken = Duration::from_micros(point.now().as_micros());
    let age = if taken.is_zero() {
        Duration::ZERO
    } else {
        clock.now().saturating_sub(taken)
    };
    let taken_at = clock.wall_time().saturating_sub(age);
    Header {
        stamp: point.at().get(),
        taken_at: u64::try_from(taken_at.as_micros()).unwrap_or(u64::MAX),
    }
}

/// A frame, as it is filled: room for its header, and its payload.
struct Frame {
    bytes: Vec<u8>,
    totals: Trailer,
}

impl Frame {
    fn new() -> Result<Self> {
        let mut bytes = Vec::new();
        reserve(&mut bytes, FRAME_HEADER_BYTES + FRAME_BYTES_MAX)?;
        bytes.resize(FRAME_HEADER_BYTES, 0);
        Ok(Self {
            bytes,
            totals: Trailer::default(),
        })
    }

    fn is_empty(&self) -> bool {
        self.bytes.len() == FRAME_HEADER_BYTES
    }

    /// Adds an entry; `false` where it is for the next frame.
    fn push(&mut self, key: &[u8], hit: Hit<'_>) -> Result<bool> {
        let number;
        let value = hit.view();
        let bytes = match value {
            ValueRef::U64(value) => {
                number = value.to_le_bytes();
                &number[..]
            }
            ValueRef::Bytes(bytes) | ValueRef::V8(bytes) => bytes,
        };
        let (Ok(key_bytes), Ok(value_bytes), true) = (
            u32::try_from(key.len()),
            u32::try_from(bytes.len()),
            bytes.len() <= VALUE_BYTES_MAX,
        ) else {
            return Err(Error::value_too_large(bytes.len(), VALUE_BYTES_MAX));
        };
        let left = hit.time_left().get();
        let header = EntryHeader {
            kind: value.kind(),
            key_bytes,
            value_bytes,
            stamp: hit.stamp().get(),
            left: left.map(|left| u64::try_from(left.as_micros()).unwrap_or(u64::MAX)),
        };
        let len = header.len() + key.len() + bytes.len();
        let used = self.bytes.len() - FRAME_HEADER_BYTES;
        if used > 0 && used + len > FRAME_BYTES_MAX {
            return Ok(false);
        }
        reserve(&mut self.bytes, len)?;
        header.encode(|header| self.bytes.extend_from_slice(header));
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(bytes);
        self.totals.entry_count += 1;
        self.totals.bytes += len as u64;
        self.totals.newest = self.totals.newest.max(header.stamp);
        Ok(true)
    }
}

/// Where it is written to.
struct Output<W> {
    writer: W,
    written: u64,
    frame_count: u64,
    /// Of the headers of the frames.
    checksum: u32,
}

impl<W: Write> Output<W> {
    fn new(writer: W) -> Self {
        Self {
            writer,
            written: 0,
            frame_count: 0,
            checksum: 0,
        }
    }

    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        let written = self.writer.write_all(bytes);
        written.map_err(|error| Error::export_unwritten(error, self.written))?;
        self.written += bytes.len() as u64;
        Ok(())
    }

    fn header(&mut self, kind: FrameKind, payload: &[u8]) -> [u8; FRAME_HEADER_BYTES] {
        let number = self.frame_count;
        self.frame_count += 1;
        let header = FrameHeader {
            kind,
            // No entry is so large that it would not fit, and more than one are smaller by far.
            len: u32::try_from(payload.len()).unwrap_or(u32::MAX),
            number,
            checksum: crc32c(payload),
        };
        header.encode()
    }

    /// Writes a frame, and begins the next.
    fn write_frame(&mut self, frame: &mut Frame) -> Result<()> {
        let (room, payload) = frame.bytes.split_at_mut(FRAME_HEADER_BYTES);
        let header = self.header(FrameKind::Entries, payload);
        self.checksum = extend(self.checksum, FrameHeader::unsealed(&header));
        room.copy_from_slice(&header);
        self.write(&frame.bytes)?;
        frame.bytes.truncate(FRAME_HEADER_BYTES);
        frame.bytes.shrink_to(FRAME_HEADER_BYTES + FRAME_BYTES_MAX);
        Ok(())
    }

    /// Writes the end.
    fn finish(&mut self, frame: &Frame) -> Result<()> {
        let trailer = Trailer {
            checksum: self.checksum,
            ..frame.totals
        };
        let payload = trailer.encode();
        let header = self.header(FrameKind::Trailer, &payload);
        self.write(&header)?;
        self.write(&payload)?;
        let flushed = self.writer.flush();
        flushed.map_err(|error| Error::export_unwritten(error, self.written))
    }
}
