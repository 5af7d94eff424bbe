//! Writing the bytes: numbers, lengths, strings and binary data.

use super::fault::{Fault, Result};
use super::tag;

/// Integers up to it, of either sign, are numbers in JavaScript; beyond it are bigints.
const SAFE_MAX: u64 = 1 << 53;

/// The bytes that have been written.
pub(super) struct Output {
    pub(super) bytes: Vec<u8>,
}

impl Output {
    /// With the header.
    pub(super) fn new() -> Self {
        let bytes = vec![tag::VERSION, tag::VERSION_WRITTEN];
        Self { bytes }
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn push(&mut self, byte: u8) {
        self.bytes.push(byte);
    }

    pub(super) fn varint(&mut self, mut number: u64) {
        while let rest @ 1.. = number >> 7 {
            self.bytes.push(0x80 | low_bits(number));
            number = rest;
        }
        self.bytes.push(low_bits(number));
    }

    /// A length or count; what V8 reads has 32 bits.
    pub(super) fn length(&mut self, length: usize) -> Result<()> {
        let length = u32::try_from(length);
        let too_long = |_| Fault::unencodable("a length is above 32 bits");
        self.varint(length.map_err(too_long)?.into());
        Ok(())
    }

    pub(super) fn number(&mut self, tag: u8, number: f64) {
        self.bytes.push(tag);
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    /// An integer of up to 64 bits, as the smallest thing that holds it exactly.
    #[expect(
        clippy::cast_precision_loss,
        reason = "every integer up to SAFE_MAX is a number"
    )]
    pub(super) fn integer(&mut self, is_negative: bool, magnitude: u64) {
        let zigzag = magnitude.wrapping_mul(2).wrapping_sub(is_negative.into());
        if u32::try_from(zigzag).is_ok() && magnitude <= SAFE_MAX {
            self.bytes.push(tag::INT32);
            self.varint(zigzag);
        } else if magnitude <= SAFE_MAX {
            let number = magnitude as f64;
            self.number(tag::NUMBER, if is_negative { -number } else { number });
        } else {
            self.bigint(is_negative, magnitude.into());
        }
    }

    /// In whole words of 64 bits, as V8 has them.
    pub(super) fn bigint(&mut self, is_negative: bool, magnitude: u128) {
        let length: u8 = match magnitude {
            0 => 0,
            _ if magnitude >> 64 == 0 => 8,
            _ => 16,
        };
        let bytes = &magnitude.to_le_bytes()[..length.into()];
        self.bytes.push(tag::BIGINT);
        self.bytes.push(length << 1 | u8::from(is_negative));
        self.bytes.extend_from_slice(bytes);
    }

    /// One byte for a letter where all are Latin-1, else two for each unit of UTF-16, padded so that
    /// they begin at an even place.
    pub(super) fn text(&mut self, text: &str) -> Result<()> {
        if text.is_ascii() {
            self.bytes.push(tag::ONE_BYTE);
            self.length(text.len())?;
            self.bytes.extend_from_slice(text.as_bytes());
            return Ok(());
        }
        let latin1 = || text.chars().map(|letter| u8::try_from(letter).ok());
        if latin1().all(|letter| letter.is_some()) {
            self.bytes.push(tag::ONE_BYTE);
            self.length(text.chars().count())?;
            self.bytes.extend(latin1().flatten());
            return Ok(());
        }
        let length = 2 * text.encode_utf16().count();
        let start = self.bytes.len();
        self.bytes.push(tag::TWO_BYTE);
        self.length(length)?;
        if !self.bytes.len().is_multiple_of(2) {
            self.bytes.insert(start, tag::PADDING);
        }
        self.bytes
            .extend(text.encode_utf16().flat_map(u16::to_le_bytes));
        Ok(())
    }

    /// A `Uint8Array`.
    pub(super) fn binary(&mut self, bytes: &[u8]) -> Result<()> {
        self.push(tag::BUFFER);
        self.length(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        // All of it, from its beginning, without flags.
        self.bytes
            .extend_from_slice(&[tag::VIEW, tag::UINT8_ARRAY, 0]);
        self.length(bytes.len())?;
        self.push(0);
        Ok(())
    }
}

fn low_bits(number: u64) -> u8 {
    number.to_le_bytes()[0] & 0x7f
}
