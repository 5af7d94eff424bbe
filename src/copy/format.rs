//! How an export is laid out: docs/export-format.md, of which this is the code.
//!
//! Numbers are little-endian and of fixed width. A reader of them trusts no length: it compares each
//! with what is there.

use super::crc32c::crc32c;
use crate::value::ValueKind;

/// A byte that is no text, a name, and an end of line that the transfer as text would change.
pub(super) const MAGIC: [u8; 8] = *b"\x89kvick\r\n";

/// The version that is written, and the newest that is read.
pub(super) const VERSION: u16 = 1;

pub(super) const HEADER_BYTES: usize = 36;
pub(super) const FRAME_HEADER_BYTES: usize = 24;
pub(super) const TRAILER_BYTES: usize = 28;

/// The payload of a frame, unless it holds one entry that takes more.
pub(super) const FRAME_BYTES_MAX: usize = 1 << 16;

/// The bytes of an entry before its key, where it does not expire.
pub(super) const ENTRY_BYTES: usize = 17;

/// Those that tell when it expires.
pub(super) const LEFT_BYTES: usize = 8;

const EXPIRES: u8 = 0x80;

/// What an export begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The stamp of the snapshot.
    pub(super) stamp: u64,
    /// When that was, by the wall clock, in microseconds since the beginning of 1970.
    pub(super) taken_at: u64,
}

impl Header {
    pub(super) fn encode(self) -> [u8; HEADER_BYTES] {
        let mut bytes = [0; HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..10].copy_from_slice(&VERSION.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.stamp.to_le_bytes());
        bytes[24..32].copy_from_slice(&self.taken_at.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// What is behind the magic, of a version that is known.
    pub(super) fn decode(bytes: &[u8; HEADER_BYTES]) -> Result<Self, &'static str> {
        if !is_sealed(bytes) {
            return Err("the header does not match its checksum");
        }
        if bytes[10..16] != [0; 6] {
            return Err("the header has something where zeros should be");
        }
        Ok(Self {
            stamp: u64_at(bytes, 16),
            taken_at: u64_at(bytes, 24),
        })
    }

    /// The version, which is at the same place in all of them.
    pub(super) fn version(bytes: &[u8; HEADER_BYTES]) -> u16 {
        u16::from_le_bytes([bytes[8], bytes[9]])
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    Entries,
    Trailer,
}

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) kind: FrameKind,
    /// The bytes of the payload.
    pub(super) len: u32,
    /// How many frames are before it.
    pub(super) number: u64,
    /// The checksum of the payload.
    pub(super) checksum: u32,
}

impl FrameHeader {
    pub(super) fn encode(self) -> [u8; FRAME_HEADER_BYTES] {
        let mut bytes = [0; FRAME_HEADER_BYTES];
        bytes[0] = match self.kind {
            FrameKind::Entries => 1,
            FrameKind::Trailer => 2,
        };
        bytes[4..8].copy_from_slice(&self.len.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.number.to_le_bytes());
        bytes[16..20].copy_from_slice(&self.checksum.to_le_bytes());
        seal(&mut bytes);
        bytes
    }

    /// What the trailer's checksum is made of. Without the header's own: of whatever ends in its
    /// checksum, the checksum is always the same.
    pub(super) fn unsealed(bytes: &[u8; FRAME_HEADER_BYTES]) -> &[u8] {
        bytes
            .split_last_chunk::<4>()
            .map_or(&[], |(before, _)| before)
    }

    pub(super) fn decode(bytes: &[u8; FRAME_HEADER_BYTES]) -> Result<Self, &'static str> {
        if !is_sealed(bytes) {
            return Err("the header of the frame does not match its checksum");
        }
        let kind = match bytes[..4] {
            [1, 0, 0, 0] => FrameKind::Entries,
            [2, 0, 0, 0] => FrameKind::Trailer,
            _ => return Err("no frame is of this kind"),
        };
        Ok(Self {
            kind,
            len: u32_at(bytes, 4),
            number: u64_at(bytes, 8),
            checksum: u32_at(bytes, 16),
        })
    }
}

/// What an export ends with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trailer {
    pub(super) entry_count: u64,
    /// The bytes of the payloads of all frames before it.
    pub(super) bytes: u64,
    /// The largest stamp of an entry; 0 where there is none.
    pub(super) newest: u64,
    /// The checksum of the [headers](FrameHeader::unsealed) of all frames before it, one behind the
    /// other.
    pub(super) checksum: u32,
}

impl Trailer {
    pub(super) fn encode(self) -> [u8; TRAILER_BYTES] {
        let mut bytes = [0; TRAILER_BYTES];
        bytes[..8].copy_from_slice(&self.entry_count.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.bytes.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.newest.to_le_bytes());
        bytes[24..].copy_from_slice(&self.checksum.to_le_bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8; TRAILER_BYTES]) -> Self {
        Self {
            entry_count: u64_at(bytes, 0),
            bytes: u64_at(bytes, 8),
            newest: u64_at(bytes, 16),
            checksum: u32_at(bytes, 24),
        }
    }
}

/// What an entry begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EntryHeader {
    pub(super) kind: ValueKind,
    pub(super) key_bytes: u32,
    pub(super) value_bytes: u32,
    pub(super) stamp: u64,
    /// How long it has, in microseconds from when the snapshot was taken, if it expires.
    pub(super) left: Option<u64>,
}

impl EntryHeader {
    /// The bytes that it takes, without key and value.
    pub(super) fn len(self) -> usize {
        ENTRY_BYTES + self.left.map_or(0, |_| LEFT_BYTES)
    }

    /// The bytes that the entry takes.
    pub(super) fn entry_len(self) -> u64 {
        self.len() as u64 + u64::from(self.key_bytes) + u64::from(self.value_bytes)
    }

    pub(super) fn encode(self, each: impl FnOnce(&[u8])) {
        let mut bytes = [0; ENTRY_BYTES + LEFT_BYTES];
        let kind = match self.kind {
            ValueKind::Bytes => 1,
            ValueKind::U64 => 2,
            ValueKind::V8 => 3,
        };
        bytes[0] = kind | if self.left.is_some() { EXPIRES } else { 0 };
        bytes[1..5].copy_from_slice(&self.key_bytes.to_le_bytes());
        bytes[5..9].copy_from_slice(&self.value_bytes.to_le_bytes());
        bytes[9..17].copy_from_slice(&self.stamp.to_le_bytes());
        bytes[17..].copy_from_slice(&self.left.unwrap_or(0).to_le_bytes());
        each(&bytes[..self.len()]);
    }

    /// The header that some bytes begin with.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "the frame ends within an entry";
        let first = bytes.first_chunk::<ENTRY_BYTES>().ok_or(SHORT)?;
        let kind = match first[0] & !EXPIRES {
            1 => ValueKind::Bytes,
            2 => ValueKind::U64,
            3 => ValueKind::V8,
            _ => return Err("no value is of this kind"),
        };
        let left = if first[0] & EXPIRES == 0 {
            None
        } else {
            let left = bytes[ENTRY_BYTES..].first_chunk().ok_or(SHORT)?;
            Some(u64::from_le_bytes(*left))
        };
        Ok(Self {
            kind,
            key_bytes: u32_at(first, 1),
            value_bytes: u32_at(first, 5),
            stamp: u64_at(first, 9),
            left,
        })
    }
}

/// Ends a header with the checksum of what is before that.
fn seal(bytes: &mut [u8]) {
    if let Some((before, checksum)) = bytes.split_last_chunk_mut::<4>() {
        *checksum = crc32c(before).to_le_bytes();
    }
}

fn is_sealed(bytes: &[u8]) -> bool {
    let parts = bytes.split_last_chunk::<4>();
    parts.is_some_and(|(before, checksum)| crc32c(before).to_le_bytes() == *checksum)
}

/// The number at a place that is there.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let number = bytes[at..].first_chunk().copied();
    u32::from_le_bytes(number.unwrap_or_default())
}

/// The number at a place that is there.
fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let number = bytes[at..].first_chunk().copied();
    u64::from_le_bytes(number.unwrap_or_default())
}

#[cfg(test)]
mod tests;
