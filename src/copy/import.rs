//! Bringing an export back.

use super::crc32c::{crc32c, extend};
use super::format::{
    ENTRY_BYTES, EntryHeader, FRAME_BYTES_MAX, FRAME_HEADER_BYTES, FrameHeader, FrameKind,
    HEADER_BYTES, Header, LEFT_BYTES, MAGIC, TRAILER_BYTES, Trailer, VERSION,
};
use crate::engine::import::{Stage, Staged};
use crate::engine::reserve;
use crate::error::{Error, ExportPlace, Result};
use crate::expiry::Expiry;
use crate::kv::Kv;
use crate::limits::Limits;
use crate::value::{NewValue, ValueKind};
use crate::version::{Stamp, Versionstamp};
use std::io::{self, Read};
use std::time::Duration;

/// So much of a long payload is read at a time: room is made for what has come and not for what is
/// said to come.
const READ_BYTES: usize = 1 << 16;

/// The largest stamp that can be kept: as many are left for the commits to come.
const KEPT_MAX: Stamp = Stamp::new(1 << 61);

/// What becomes of the expiry of what is imported: [`ImportOptions::expiry`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum ImportExpiry {
    /// An entry has as long from the import on as it had when the export was taken.
    #[default]
    TimeLeft,
    /// An entry expires when it would have: by the wall clocks of both, the time between export and
    /// import is taken off. What would have expired by now does not come.
    Dated,
    /// Nothing expires.
    Dropped,
}

/// How an export is brought back: for [`Kv::import`].
///
/// Without more, every entry is new: it has the versionstamp of the import, it expires as long after
/// that as it had left, and a key that is there already has the whole import refused.
///
/// ```
/// use kvick::{ImportExpiry, ImportOptions, Kv};
///
/// let kv = Kv::new();
/// let versionstamp = kv.set("counter", 1u64)?;
/// let mut copy = Vec::new();
/// kv.export(&mut copy)?;
///
/// let restored = Kv::new();
/// let as_it_was = ImportOptions::default().keep_versionstamps().expiry(ImportExpiry::Dated);
/// restored.import(&copy[..], &as_it_was)?;
/// assert_eq!(restored.get("counter")?.versionstamp(), Some(versionstamp));
/// assert!(restored.set("counter", 2u64)? > versionstamp);
/// # Ok::<(), kvick::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "it says how to import, and imports nothing"]
pub struct ImportOptions {
    keeps_versionstamps: bool,
    overwrites: bool,
    expiry: ImportExpiry,
}

impl ImportOptions {
    /// Every entry keeps the versionstamp that it had, so that checks of then hold, and the next
    /// commit has a larger one than the export. Only into a database in which nothing was ever
    /// committed. Default: all entries have the versionstamp of the import.
    pub fn keep_versionstamps(mut self) -> Self {
        self.keeps_versionstamps = true;
        self
    }

    /// A key that is there already is overwritten. Default: the import is refused.
    pub fn overwrite(mut self) -> Self {
        self.overwrites = true;
        self
    }

    /// When what is imported expires. Default: [`ImportExpiry::TimeLeft`].
    pub fn expiry(mut self, expiry: ImportExpiry) -> Self {
        self.expiry = expiry;
        self
    }
}

/// What an import has done: [`Kv::import`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Imported {
    /// How many entries have come.
    pub entries: u64,
    /// How many have not, because they would have expired by now.
    pub expired: u64,
    /// How many bytes were read.
    pub bytes: u64,
    /// That of the import. Where versionstamps are kept, that of the export.
    pub versionstamp: Versionstamp,
}

impl Kv {
    /// Brings back what [`Kv::export`] has written, in one commit: nobody ever sees a part of it, and
    /// where it is refused, nothing has changed.
    ///
    /// Everything is read and verified before anything is applied. What `reader` has behind the
    /// export is not read. Other commits wait while the entries are linked, which takes some tenths of
    /// a second for a million of them; readers do not wait. The limits of atomic operations do not apply, those of keys
    /// and values do.
    ///
    /// It takes the memory that the entries will have in the database, and some 80 bytes more for
    /// each while it works. The former counts towards the [memory limit](crate::Builder::memory_limit)
    /// from when it is read, so that too large an import is refused before all of it has been; also
    /// one that would fit once what it is to overwrite is gone.
    ///
    /// # Errors
    ///
    /// `InvalidExport`, for what is damaged, incomplete or nothing of ours, and `ExportTooNew`: the
    /// text says where, and why. `KeyExists`, unless what is there is to be
    /// [overwritten](ImportOptions::overwrite); `NotEmpty`, for versionstamps that are to be
    /// [kept](ImportOptions::keep_versionstamps) where anything was ever committed. `KeyEmpty`,
    /// `KeyTooLarge`, `ValueTooLarge` and `InvalidExpiry`, by the limits of this database; `Io`, where
    /// `reader` fails; `MemoryLimit`; `OutOfMemory`; `ReadOnly`; `Closed`. Nothing has changed then.
    pub fn import(&self, reader: impl Read, options: &ImportOptions) -> Result<Imported> {
        let engine = self.writer()?;
        let mut input = Input::new(reader);
        let header = input.header()?;
        let kept = Stamp::new(header.stamp);
        if options.keeps_versionstamps && kept > KEPT_MAX {
            return Err(input.invalid(16, "a versionstamp that leaves none to follow"));
        }
        let mut staging = Staging {
            limits: engine.limits(),
            header,
            fate: Fate::new(options.expiry, header, engine.clock().wall_time()),
            stage: Stage::new(engine),
            last: Vec::new(),
            totals: Trailer::default(),
            expired_count: 0,
        };
        input.entries(&mut staging)?;
        let Staging {
            stage,
            totals,
            expired_count,
            ..
        } = staging;
        let engine = self.writer()?;
        let keeps = options.keeps_versionstamps.then_some(kept);
        let stamp = engine.import(stage, keeps, options.overwrites)?;
        Ok(Imported {
            entries: totals.entry_count - expired_count,
            expired: expired_count,
            bytes: input.at,
            versionstamp: stamp.into(),
        })
    }
}

/// What is read, and how far it has been.
struct Input<R> {
    reader: R,
    at: u64,
    /// The number of the frame that is being read.
    frame: u64,
    /// Of the headers of the frames.
    checksum: u32,
    payload: Vec<u8>,
}

impl<R: Read> Input<R> {
    fn new(reader: R) -> Self {
        Self {
            reader,
            at: 0,
            frame: 0,
            checksum: 0,
            payload: Vec::new(),
        }
    }

    /// An error about what is so many bytes from the beginning.
    fn invalid(&self, at: u64, what: &'static str) -> Error {
        Error::invalid_export(what, self.place(at))
    }

    fn place(&self, at: u64) -> ExportPlace {
        ExportPlace {
            at,
            frame: self.frame,
        }
    }

    /// Fills a buffer, unless the reader ends before; how much it has.
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            let room = rest.len();
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(count) if count <= room => {
                    filled += count;
                    self.at += count as u64;
                }
                Ok(_) => {
                    let error = io::Error::other("the reader has read more than it was to");
                    return Err(Error::export_unread(error, self.at));
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::export_unread(error, self.at)),
            }
        }
        Ok(filled)
    }

    fn header(&mut self) -> Result<Header> {
        let mut bytes = [0; HEADER_BYTES];
        let count = self.read(&mut bytes)?;
        if bytes[..MAGIC.len()] != MAGIC {
            return Err(self.invalid(0, "this is no export"));
        }
        if count < HEADER_BYTES {
            return Err(self.invalid(self.at, "it ends within its header"));
        }
        // Before the checksum, which a later version may have elsewhere.
        let version = Header::version(&bytes);
        if version > VERSION {
            return Err(Error::export_too_new(version, VERSION));
        }
        if version == 0 {
            return Err(self.invalid(8, "there is no version 0"));
        }
        let header = Header::decode(&bytes).map_err(|what| self.invalid(0, what))?;
        if header.stamp > Stamp::MAX.get() {
            return Err(self.invalid(16, "a versionstamp that no commit can have"));
        }
        Ok(header)
    }

    /// Reads all frames up to the trailer, and that.
    fn entries(&mut self, staging: &mut Staging<'_>) -> Result<()> {
        loop {
            let at = self.at;
            let header = self.frame_header()?;
            match header.kind {
                FrameKind::Entries => {
                    self.payload(header, staging.limits)?;
                    staging.stage_all(self)?;
                }
                FrameKind::Trailer => return self.trailer(at, header, &staging.totals),
            }
            self.checksum = extend(self.checksum, FrameHeader::unsealed(&header.encode()));
            self.frame += 1;
        }
    }

    fn frame_header(&mut self) -> Result<FrameHeader> {
        let at = self.at;
        let mut bytes = [0; FRAME_HEADER_BYTES];
        match self.read(&mut bytes)? {
            FRAME_HEADER_BYTES => {}
            0 => return Err(self.invalid(at, "it ends without its trailer")),
            _ => return Err(self.invalid(self.at, "it ends within the header of a frame")),
        }
        let header = FrameHeader::decode(&bytes).map_err(|what| self.invalid(at, what))?;
        if header.number != self.frame {
            return Err(self.invalid(at + 8, "the frame is out of its order"));
        }
        Ok(header)
    }

    /// Reads the payload of a frame, and no more than an entry may take here.
    fn payload(&mut self, header: FrameHeader, limits: &Limits) -> Result<()> {
        let at = self.at;
        let len = header.len as usize;
        self.payload.clear();
        self.payload.shrink_to(FRAME_BYTES_MAX);
        while self.payload.len() < len {
            let filled = self.payload.len();
            let end = len.min(filled + READ_BYTES);
            reserve(&mut self.payload, end - filled)?;
            let mut payload = std::mem::take(&mut self.payload);
            payload.resize(end, 0);
            let count = self.read(&mut payload[filled..])?;
            self.payload = payload;
            if filled + count < end {
                return Err(self.invalid(self.at, "it ends within a frame"));
            }
            if filled == 0 && len > FRAME_BYTES_MAX {
                self.check_long(at, header, limits)?;
            }
        }
        if crc32c(&self.payload) != header.checksum {
            return Err(self.invalid(at, "the frame does not match its checksum"));
        }
        Ok(())
    }

    /// Refuses a long frame that is not one entry, or one that may not be here, by how it begins.
    fn check_long(&self, at: u64, header: FrameHeader, limits: &Limits) -> Result<()> {
        let entry = EntryHeader::decode(&self.payload).map_err(|what| self.invalid(at, what))?;
        if entry.entry_len() != u64::from(header.len) {
            return Err(self.invalid(at, "a long frame is not one entry"));
        }
        check_sizes(entry, limits).map_err(|refused| refused.in_export(self.place(at)))
    }

    fn trailer(&mut self, at: u64, header: FrameHeader, totals: &Trailer) -> Result<()> {
        if header.len as usize != TRAILER_BYTES {
            return Err(self.invalid(at + 4, "the trailer has another length"));
        }
        let mut bytes = [0; TRAILER_BYTES];
        if self.read(&mut bytes)? < TRAILER_BYTES {
            return Err(self.invalid(self.at, "it ends within its trailer"));
        }
        let begin = at + FRAME_HEADER_BYTES as u64;
        if crc32c(&bytes) != header.checksum {
            return Err(self.invalid(begin, "the trailer does not match its checksum"));
        }
        let expected = Trailer {
            checksum: self.checksum,
            ..*totals
        };
        if Trailer::decode(&bytes) != expected {
            return Err(self.invalid(begin, "the trailer is not that of what is before it"));
        }
        Ok(())
    }
}

fn check_sizes(entry: EntryHeader, limits: &Limits) -> Result<()> {
    limits.check_key_write(entry.key_bytes as usize)?;
    limits.check_value(entry.value_bytes as usize)
}

/// When what is imported expires.
#[derive(Clone, Copy)]
enum Fate {
    /// So many microseconds earlier than it has left.
    After(u64),
    Never,
}

impl Fate {
    fn new(expiry: ImportExpiry, header: Header, now: Duration) -> Self {
        match expiry {
            ImportExpiry::TimeLeft => Self::After(0),
            ImportExpiry::Dated => {
                let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
                Self::After(now.saturating_sub(header.taken_at))
            }
            ImportExpiry::Dropped => Self::Never,
        }
    }
}

/// What has been read, and what it is held to.
struct Staging<'e> {
    limits: &'e Limits,
    header: Header,
    fate: Fate,
    stage: Stage<'e>,
    /// The last key.
    last: Vec<u8>,
    totals: Trailer,
    expired_count: u64,
}

impl Staging<'_> {
    /// Takes over all entries of a frame.
    fn stage_all<R: Read>(&mut self, input: &Input<R>) -> Result<()> {
        let mut rest = &input.payload[..];
        let mut at = input.at - rest.len() as u64;
        if rest.is_empty() {
            return Err(input.invalid(at, "a frame without entries"));
        }
        while !rest.is_empty() {
            let entry = EntryHeader::decode(rest).map_err(|what| input.invalid(at, what))?;
            let (_, body) = rest.split_at(entry.len());
            let key_and_value = body.split_at_checked(entry.key_bytes as usize);
            let parts = key_and_value.and_then(|(key, body)| {
                let value_and_rest = body.split_at_checked(entry.value_bytes as usize);
                value_and_rest.map(|(value, rest)| (key, value, rest))
            });
            let Some((key, value, next)) = parts else {
                return Err(input.invalid(at, "the frame ends within an entry"));
            };
            let is_alone = rest.len() == input.payload.len() && next.is_empty();
            if input.payload.len() > FRAME_BYTES_MAX && !is_alone {
                return Err(input.invalid(at, "a long frame is not one entry"));
            }
            self.check(entry, key)
                .map_err(|what| input.invalid(at, what))?;
            self.stage(entry, key, value)
                .map_err(|refused| refused.in_export(input.place(at)))?;
            rest = next;
            at += entry.entry_len();
        }
        self.totals.bytes += input.payload.len() as u64;
        Ok(())
    }

    /// What is wrong with an entry, if anything is, whatever the database.
    fn check(&self, entry: EntryHeader, key: &[u8]) -> Result<(), &'static str> {
        if key <= &self.last[..] {
            return Err(if key.is_empty() {
                "an empty key"
            } else {
                "the keys are out of their order"
            });
        }
        if entry.stamp == 0 || entry.stamp > self.header.stamp {
            return Err("a versionstamp that is not up to that of the export");
        }
        if entry.left == Some(0) {
            return Err("an entry that had expired");
        }
        if entry.kind == ValueKind::U64 && entry.value_bytes as usize != size_of::<u64>() {
            return Err("a number that is not eight bytes");
        }
        Ok(())
    }

    fn stage(&mut self, entry: EntryHeader, key: &[u8], value: &[u8]) -> Result<()> {
        check_sizes(entry, self.limits)?;
        let left = entry.left.map(Duration::from_micros);
        if let Some(left) = left.filter(|left| *left > Expiry::MAX) {
            return Err(Error::expiry_too_large(left, Expiry::MAX));
        }
        self.last.clear();
        reserve(&mut self.last, key.len())?;
        self.last.extend_from_slice(key);
        self.totals.entry_count += 1;
        self.totals.newest = self.totals.newest.max(entry.stamp);
        let expire_in = match (entry.left, self.fate) {
            (None, _) | (_, Fate::Never) => None,
            (Some(left), Fate::After(elapsed)) if left <= elapsed => {
                self.expired_count += 1;
                return Ok(());
            }
            (Some(left), Fate::After(elapsed)) => Some(Duration::from_micros(left - elapsed)),
        };
        let value = match entry.kind {
            ValueKind::Bytes => NewValue::from(value),
            ValueKind::V8 => NewValue::v8(value),
            ValueKind::U64 => {
                let number = value.first_chunk().copied().unwrap_or_default();
                NewValue::from(u64::from_le_bytes(number))
            }
        };
        self.stage.push(&Staged {
            key,
            value: &value,
            stamp: Stamp::new(entry.stamp),
            expire_in,
        })
    }
}

const _: () = assert!(ENTRY_BYTES + LEFT_BYTES < FRAME_BYTES_MAX);
