//! A key in the making.

use super::bigint::BigInt;
use super::codec::{
    BIGINT_LONG_NEGATIVE, BIGINT_LONG_POSITIVE, BIGINT_SHORT_MAX, BIGINT_ZERO, BYTES, END, ESCAPE,
    FALSE, NUMBER, STRING, TRUE, ordered,
};
use super::part::{KeyPart, canonical};
use super::{INLINE_BYTES_MAX, Key};

const WORD_BYTES: usize = size_of::<u64>();

/// In the place of a length: the key is in `long`. With more bytes it is beyond what fits inline.
const LONG: usize = INLINE_BYTES_MAX + 1;

/// Collects the encoding of a key's parts: in words for as long as it will fit inline, so that a
/// short key needs no memory. What is written in words can be read back in words at once; bytes
/// that were written one by one could not, until they have left the processor's queue of stores.
pub(super) struct Encoder {
    /// The bytes so far, the first of each word lowest, and zeros. One word more than fits, into
    /// which only zeros go.
    words: [u64; INLINE_BYTES_MAX.div_ceil(WORD_BYTES) + 1],
    /// How many bytes are in the words, or [`LONG`].
    len: usize,
    /// All of the key, once it is longer than fits inline; empty until then.
    long: Vec<u8>,
}

impl Encoder {
    #[inline]
    pub(super) fn new() -> Self {
        Self {
            words: [0; _],
            len: 0,
            long: Vec::new(),
        }
    }

    #[inline]
    pub(super) fn finish(self) -> Key {
        if self.len == LONG {
            return Key::shared(&self.long);
        }
        let [first, second, third, last, _] = self.words;
        // The last byte of the last word is that of the length.
        let last = last | (self.len as u64) << (u64::BITS - u8::BITS);
        Key::inline([first, second, third, last])
    }

    /// Appends up to eight bytes, the first of them lowest, and the others zero.
    #[inline]
    fn push(&mut self, bytes: u64, len: usize) {
        debug_assert!(len <= WORD_BYTES);
        let end = self.len + len;
        if end > INLINE_BYTES_MAX {
            self.extend_long(&bytes.to_le_bytes()[..len]);
            return;
        }
        let (word, bits) = (self.len / WORD_BYTES, 8 * (self.len % WORD_BYTES));
        self.words[word] |= bytes << bits;
        // Two shifts, because one by 64 bits would be none.
        self.words[word + 1] |= bytes >> 1 >> (u64::BITS as usize - 1 - bits);
        self.len = end;
    }

    /// Appends bytes that are encoded already.
    #[inline]
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.len + bytes.len() > INLINE_BYTES_MAX {
            self.extend_long(bytes);
            return;
        }
        for chunk in bytes.chunks(WORD_BYTES) {
            self.push(word_of(chunk), chunk.len());
        }
    }

    #[cold]
    #[inline(never)]
    fn extend_long(&mut self, bytes: &[u8]) {
        if self.len < LONG {
            self.long.reserve(2 * INLINE_BYTES_MAX + bytes.len());
            let words = self.words.iter().flat_map(|word| word.to_le_bytes());
            self.long.extend(words.take(self.len));
            self.len = LONG;
        }
        self.long.extend_from_slice(bytes);
    }

    /// Appends one part.
    #[inline]
    pub(super) fn part(&mut self, part: &KeyPart<'_>) {
        match part {
            KeyPart::Bytes(bytes) => self.escaped(BYTES, bytes),
            KeyPart::String(string) => self.escaped(STRING, string.as_bytes()),
            KeyPart::BigInt(integer) => self.bigint(integer),
            KeyPart::Number(number) => self.number(*number),
            KeyPart::Bool(false) => self.push(FALSE.into(), 1),
            KeyPart::Bool(true) => self.push(TRUE.into(), 1),
        }
    }

    #[inline]
    fn escaped(&mut self, tag: u8, data: &[u8]) {
        if data.len() <= WORD_BYTES - 2 {
            let word = word_of(data);
            if !has_zero(word, data.len()) {
                // With the tag below it, and above it the end, which is zero.
                self.push(word << u8::BITS | u64::from(tag), data.len() + 2);
                return;
            }
        }
        self.escaped_long(tag, data);
    }

    fn escaped_long(&mut self, tag: u8, data: &[u8]) {
        self.push(tag.into(), 1);
        // A word at a time, up to one that has something to escape, where it fits inline.
        let mut done = 0;
        let is_short = self.len + data.len() < INLINE_BYTES_MAX;
        for chunk in data.chunks(WORD_BYTES).take_while(|_| is_short) {
            let word = word_of(chunk);
            if has_zero(word, chunk.len()) {
                break;
            }
            self.push(word, chunk.len());
            done += chunk.len();
        }
        for run in data[done..].split_inclusive(|&byte| byte == END) {
            self.extend(run);
            if run.ends_with(&[END]) {
                self.push(ESCAPE.into(), 1);
            }
        }
        self.push(END.into(), 1);
    }

    fn bigint(&mut self, integer: &BigInt) {
        let magnitude = integer.magnitude();
        // PANICS: never. No BigInt is longer than this.
        let len = u8::try_from(magnitude.len()).expect("a bigint has at most 255 bytes");
        match (integer.is_negative(), len <= BIGINT_SHORT_MAX - BIGINT_ZERO) {
            (false, true) => self.extend(&[BIGINT_ZERO + len]),
            (true, true) => self.extend(&[BIGINT_ZERO - len]),
            (false, false) => self.extend(&[BIGINT_LONG_POSITIVE, len]),
            (true, false) => self.extend(&[BIGINT_LONG_NEGATIVE, !len]),
        }
        if integer.is_negative() {
            for byte in magnitude {
                self.extend(&[!byte]);
            }
        } else {
            self.extend(magnitude);
        }
    }

    #[inline]
    fn number(&mut self, number: f64) {
        self.push(NUMBER.into(), 1);
        let ordered = ordered(canonical(number).to_bits());
        self.push(ordered.swap_bytes(), WORD_BYTES);
    }
}

/// Up to eight bytes, the first of them lowest.
#[inline]
fn word_of(bytes: &[u8]) -> u64 {
    /// Of bytes that are at least `LEN`, and less than twice as many: the first and the last, which
    /// may overlap.
    macro_rules! ends {
        ($word:ty, $len:literal) => {
            if let (Some(first), Some(last)) =
                (bytes.first_chunk::<$len>(), bytes.last_chunk::<$len>())
            {
                let [first, last] =
                    [first, last].map(|end| u64::from(<$word>::from_le_bytes(*end)));
                return first | last << (8 * (bytes.len() - $len));
            }
        };
    }
    if let Some(all) = bytes.first_chunk() {
        return u64::from_le_bytes(*all);
    }
    ends!(u32, 4);
    ends!(u16, 2);
    bytes.first().copied().map_or(0, u64::from)
}

/// Whether one of the lowest bytes of a word is zero.
#[inline]
fn has_zero(word: u64, len: usize) -> bool {
    const LOWEST: u64 = u64::from_ne_bytes([0x01; 8]);
    const HIGHEST: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest of these bits is that of the first byte that is zero.
    let zeros = word.wrapping_sub(LOWEST) & !word & HIGHEST;
    (zeros.trailing_zeros() as usize) < 8 * len
}
