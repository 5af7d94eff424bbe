//! CRC-32C, the checksum of exports: the polynomial of Castagnoli, as in iSCSI, ext4 and Snappy.
//!
//! It finds every damage of up to 32 bits in a row, so every byte that has changed. It is no
//! signature: who means to forge an export can. Eight tables, eight bytes a step, which is faster
//! than entries are read; the instruction that processors have for it would be `unsafe` here, and a
//! crate for it a dependency for these lines.

/// The polynomial, reflected.
const POLYNOMIAL: u32 = 0x82f6_3b78;

/// `TABLES[n][byte]` is what a byte does to the checksum, with n bytes of zero behind it.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::cast_possible_truncation, reason = "it is below 256")]
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ if crc & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        tables[0][byte] = crc;
        byte += 1;
    }
    let mut behind = 1;
    while behind < 8 {
        let mut byte = 0;
        while byte < 256 {
            let crc: u32 = tables[behind - 1][byte];
            tables[behind][byte] = (crc >> 8) ^ tables[0][(crc & 0xff) as usize];
            byte += 1;
        }
        behind += 1;
    }
    tables
}

/// The checksum of some bytes.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    extend(0, bytes)
}

/// The checksum of bytes that begin with those of this checksum, and go on with these.
pub(super) fn extend(crc: u32, bytes: &[u8]) -> u32 {
    let mut crc = !crc;
    let (words, rest) = bytes.as_chunks::<8>();
    for word in words {
        let mixed = u64::from_le_bytes(*word) ^ u64::from(crc);
        crc = 0;
        for (table, byte) in TABLES.iter().rev().zip(mixed.to_le_bytes()) {
            crc ^= table[usize::from(byte)];
        }
    }
    for byte in rest {
        let [low, ..] = crc.to_le_bytes();
        crc = (crc >> 8) ^ TABLES[0][usize::from(low ^ byte)];
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::{crc32c, extend};

    #[test]
    fn checksums_are_those_of_others() {
        // The examples of RFC 3720, B.4, and the check value of the catalogues.
        assert_eq!(crc32c(b""), 0);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        let ascending: Vec<u8> = (0..32).collect();
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
    }

    #[test]
    fn a_checksum_can_be_made_in_parts() {
        let bytes: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        for at in [0, 1, 7, 8, 9, 500, 1_000] {
            let (first, second) = bytes.split_at(at);
            assert_eq!(extend(crc32c(first), second), crc32c(&bytes));
        }
    }
}
