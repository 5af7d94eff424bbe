use super::*;

#[test]
fn headers_come_back() {
    let header = Header {
        stamp: 7,
        taken_at: u64::MAX,
    };
    assert_eq!(Header::decode(&header.encode()), Ok(header));
    assert_eq!(Header::version(&header.encode()), VERSION);
    for kind in [FrameKind::Entries, FrameKind::Trailer] {
        let frame = FrameHeader {
            kind,
            len: u32::MAX,
            number: 1 << 40,
            checksum: 9,
        };
        assert_eq!(FrameHeader::decode(&frame.encode()), Ok(frame));
    }
    let trailer = Trailer {
        entry_count: 1,
        bytes: 2,
        newest: 3,
        checksum: 4,
    };
    assert_eq!(Trailer::decode(&trailer.encode()), trailer);
}

#[test]
fn entries_come_back() {
    for kind in [ValueKind::Bytes, ValueKind::U64, ValueKind::V8] {
        for left in [None, Some(1), Some(u64::MAX)] {
            let entry = EntryHeader {
                kind,
                key_bytes: 3,
                value_bytes: u32::MAX,
                stamp: 1 << 61,
                left,
            };
            entry.encode(|bytes| {
                assert_eq!(bytes.len(), entry.len());
                assert_eq!(EntryHeader::decode(bytes), Ok(entry));
                let cut = bytes.split_last().map_or(bytes, |(_, cut)| cut);
                assert!(EntryHeader::decode(cut).is_err());
            });
        }
    }
}

/// What docs/export-format.md shows, byte by byte.
#[test]
fn the_layout_is_the_documented_one() {
    let header = Header {
        stamp: 0x0102_0304_0506_0708,
        taken_at: 1,
    };
    let bytes = header.encode();
    assert_eq!(bytes[..16], *b"\x89kvick\r\n\x01\0\0\0\0\0\0\0");
    assert_eq!(
        bytes[16..32],
        *b"\x08\x07\x06\x05\x04\x03\x02\x01\x01\0\0\0\0\0\0\0"
    );
    let frame = FrameHeader {
        kind: FrameKind::Entries,
        len: 0x0102_0304,
        number: 5,
        checksum: 6,
    };
    assert_eq!(
        frame.encode()[..20],
        *b"\x01\0\0\0\x04\x03\x02\x01\x05\0\0\0\0\0\0\0\x06\0\0\0"
    );
    let entry = EntryHeader {
        kind: ValueKind::U64,
        key_bytes: 3,
        value_bytes: 8,
        stamp: 9,
        left: Some(10),
    };
    entry.encode(|bytes| {
        assert_eq!(
            bytes,
            b"\x82\x03\0\0\0\x08\0\0\0\x09\0\0\0\0\0\0\0\x0a\0\0\0\0\0\0\0"
        );
    });
}

#[test]
fn what_should_be_zero_is() {
    let mut header = Header::default_for_tests().encode();
    header[12] = 1;
    seal(&mut header);
    assert!(Header::decode(&header).is_err());
    let frame = FrameHeader {
        kind: FrameKind::Entries,
        len: 1,
        number: 0,
        checksum: 0,
    };
    for (at, byte) in [(0, 0), (0, 3), (1, 1), (3, 1)] {
        let mut bytes = frame.encode();
        bytes[at] = byte;
        seal(&mut bytes);
        assert!(FrameHeader::decode(&bytes).is_err());
    }
}

impl Header {
    fn default_for_tests() -> Self {
        Self {
            stamp: 1,
            taken_at: 1,
        }
    }
}
