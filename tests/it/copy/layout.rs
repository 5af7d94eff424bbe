//! The format of exports, read and written by docs/export-format.md alone.

/// The bytes before the first frame.
pub(super) const HEADER: usize = 36;

/// An entry, as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Raw {
    pub(super) kind: u8,
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
    pub(super) stamp: u64,
    pub(super) left: Option<u64>,
}

impl Raw {
    pub(super) fn bytes(key: &[u8], value: &[u8], stamp: u64) -> Self {
        Self {
            kind: 1,
            key: key.to_vec(),
            value: value.to_vec(),
            stamp,
            left: None,
        }
    }

    fn encode(&self) -> Vec<u8> {
        let len = |bytes: &[u8]| u32::try_from(bytes.len()).expect("it is short");
        let mut bytes = vec![self.kind | if self.left.is_some() { 0x80 } else { 0 }];
        bytes.extend(len(&self.key).to_le_bytes());
        bytes.extend(len(&self.value).to_le_bytes());
        bytes.extend(self.stamp.to_le_bytes());
        bytes.extend(self.left.iter().flat_map(|left| left.to_le_bytes()));
        bytes.extend(&self.key);
        bytes.extend(&self.value);
        bytes
    }
}

/// An export, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) stamp: u64,
    pub(super) taken_at: u64,
    /// The entries of each frame.
    pub(super) frames: Vec<Vec<Raw>>,
}

/// Bit by bit, by the polynomial.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { 0x82f6_3b78 } else { 0 };
        }
    }
    !crc
}

/// A header, with the checksum behind it.
pub(super) fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.extend(crc32c(&bytes).to_le_bytes());
    bytes
}

pub(super) fn header(version: u16, stamp: u64, taken_at: u64) -> Vec<u8> {
    let mut bytes = b"\x89kvick\r\n".to_vec();
    bytes.extend(version.to_le_bytes());
    bytes.extend([0; 6]);
    bytes.extend(stamp.to_le_bytes());
    bytes.extend(taken_at.to_le_bytes());
    sealed(bytes)
}

pub(super) fn frame_header(kind: u8, len: u32, number: u64, checksum: u32) -> Vec<u8> {
    let mut bytes = vec![kind, 0, 0, 0];
    bytes.extend(len.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(checksum.to_le_bytes());
    sealed(bytes)
}

fn frame(kind: u8, number: u64, payload: &[u8]) -> Vec<u8> {
    let len = u32::try_from(payload.len()).expect("it is short");
    let mut bytes = frame_header(kind, len, number, crc32c(payload));
    bytes.extend(payload);
    bytes
}

impl Layout {
    /// Written as it is, whether or not that makes sense.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut bytes = header(1, self.stamp, self.taken_at);
        let mut headers = Vec::new();
        let (mut number, mut payload_bytes) = (0, 0);
        for entries in &self.frames {
            let payload: Vec<u8> = entries.iter().flat_map(Raw::encode).collect();
            payload_bytes += payload.len() as u64;
            let frame = frame(1, number, &payload);
            headers.extend(&frame[..20]);
            bytes.extend(frame);
            number += 1;
        }
        let entries = || self.frames.iter().flatten();
        let mut trailer = (entries().count() as u64).to_le_bytes().to_vec();
        trailer.extend(payload_bytes.to_le_bytes());
        let newest = entries().map(|entry| entry.stamp).max();
        trailer.extend(newest.unwrap_or(0).to_le_bytes());
        trailer.extend(crc32c(&headers).to_le_bytes());
        bytes.extend(frame(2, number, &trailer));
        bytes
    }

    /// Reads what is as it should be.
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut rest = bytes;
        let mut take = |count: usize| {
            let (taken, behind) = rest.split_at(count);
            rest = behind;
            taken
        };
        let number = |bytes: &[u8]| u64::from_le_bytes(bytes.try_into().expect("eight bytes"));
        let short = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().expect("four bytes"));
        let start = take(HEADER);
        let (stamp, taken_at) = (number(&start[16..24]), number(&start[24..32]));
        assert_eq!(start, header(1, stamp, taken_at));
        let mut frames = Vec::new();
        loop {
            let start = take(24);
            let len = short(&start[4..8]);
            let payload = take(len as usize);
            let count = frames.len() as u64;
            assert_eq!(start, frame_header(start[0], len, count, crc32c(payload)));
            if start[0] == 2 {
                break;
            }
            frames.push(entries(payload));
        }
        assert!(rest.is_empty());
        let layout = Self {
            stamp,
            taken_at,
            frames,
        };
        assert_eq!(layout.write(), bytes);
        layout
    }
}

fn entries(mut payload: &[u8]) -> Vec<Raw> {
    let mut entries = Vec::new();
    while !payload.is_empty() {
        let mut take = |count: usize| {
            let (taken, behind) = payload.split_at(count);
            payload = behind;
            taken.to_vec()
        };
        let kind = take(1)[0];
        let [key_len, value_len] =
            [take(4), take(4)].map(|len| u32::from_le_bytes(len.try_into().expect("four bytes")));
        let mut number = || u64::from_le_bytes(take(8).try_into().expect("eight bytes"));
        let stamp = number();
        let left = (kind & 0x80 != 0).then(number);
        entries.push(Raw {
            kind: kind & 0x7f,
            key: take(key_len as usize),
            value: take(value_len as usize),
            stamp,
            left,
        });
    }
    entries
}
