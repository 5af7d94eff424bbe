//! Whole numbers of any size, as far as the sum of two bigints needs them: an order and addition.
//!
//! A number borrows its digits from the value that it lies in, so to look at one copies nothing.
//! Digits are bytes, the least significant first, because that is how V8 writes them; the
//! arithmetic goes by words of eight.
//!
//! Invariant, TRIMMED: the most significant byte is not zero, and zero is not negative. So equal
//! numbers are held alike, and more bytes are a larger magnitude.

use std::cmp::Ordering;
use std::iter;

/// A whole number of any size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Integer<'a> {
    is_negative: bool,
    magnitude: &'a [u8],
}

pub(crate) const WORD_BYTES: usize = size_of::<u64>();

impl<'a> Integer<'a> {
    /// The number with this sign and this magnitude, least significant byte first.
    pub(crate) fn new(is_negative: bool, magnitude: &'a [u8]) -> Self {
        let zeros = magnitude.iter().rev().take_while(|&&byte| byte == 0);
        let magnitude = &magnitude[..magnitude.len() - zeros.count()];
        Self {
            is_negative: is_negative && !magnitude.is_empty(),
            magnitude,
        }
    }

    pub(crate) fn is_negative(self) -> bool {
        self.is_negative
    }

    /// The absolute value, least significant byte first, without zero bytes at its end.
    pub(crate) fn magnitude(self) -> &'a [u8] {
        self.magnitude
    }

    /// This number as a `u64`, if it is one.
    pub(crate) fn to_u64(self) -> Option<u64> {
        let fits = !self.is_negative && self.magnitude.len() <= WORD_BYTES;
        fits.then(|| word(self.magnitude))
    }

    /// The most bytes that the sum of two numbers takes.
    pub(crate) fn sum_bytes_max(self, other: Self) -> usize {
        (self.word_count().max(other.word_count()) + 1) * WORD_BYTES
    }

    /// The sum of two numbers. Its digits are written to the end of `digits`, at most
    /// [`sum_bytes_max`](Self::sum_bytes_max) of them.
    pub(crate) fn add(self, other: Self, digits: &mut Vec<u8>) -> Integer<'_> {
        let begin = digits.len();
        let is_negative = if self.is_negative == other.is_negative {
            self.add_magnitude(other, digits);
            self.is_negative
        } else if self.cmp_magnitude(other).is_ge() {
            self.subtract_magnitude(other, digits);
            self.is_negative
        } else {
            other.subtract_magnitude(self, digits);
            other.is_negative
        };
        Integer::new(is_negative, &digits[begin..])
    }

    fn add_magnitude(self, other: Self, digits: &mut Vec<u8>) {
        let mut carry = false;
        for (one, other) in self.words_beside(other) {
            let (sum, is_over) = one.overflowing_add(other);
            let (sum, is_over_by_one) = sum.overflowing_add(carry.into());
            carry = is_over || is_over_by_one;
            digits.extend_from_slice(&sum.to_le_bytes());
        }
        digits.extend_from_slice(&u64::from(carry).to_le_bytes());
    }

    /// The other magnitude is not larger.
    fn subtract_magnitude(self, other: Self, digits: &mut Vec<u8>) {
        let mut borrow = false;
        for (one, other) in self.words_beside(other) {
            let (difference, is_under) = one.overflowing_sub(other);
            let (difference, is_under_by_one) = difference.overflowing_sub(borrow.into());
            borrow = is_under || is_under_by_one;
            digits.extend_from_slice(&difference.to_le_bytes());
        }
        debug_assert!(!borrow, "the larger magnitude comes first");
    }

    fn word_count(self) -> usize {
        self.magnitude.len().div_ceil(WORD_BYTES)
    }

    /// The words of both, the shorter one filled up with zeros.
    fn words_beside(self, other: Self) -> impl Iterator<Item = (u64, u64)> {
        let count = self.word_count().max(other.word_count());
        self.words().zip(other.words()).take(count)
    }

    /// The words, and then zeros without end.
    fn words(self) -> impl Iterator<Item = u64> {
        let words = self.magnitude.chunks(WORD_BYTES).map(word);
        words.chain(iter::repeat(0))
    }

    fn cmp_magnitude(self, other: Self) -> Ordering {
        let (one, other) = (self.magnitude, other.magnitude);
        let by_length = one.len().cmp(&other.len());
        by_length.then_with(|| one.iter().rev().cmp(other.iter().rev()))
    }
}

/// The word of at most eight bytes.
fn word(bytes: &[u8]) -> u64 {
    let mut word = [0; WORD_BYTES];
    word[..bytes.len()].copy_from_slice(bytes);
    u64::from_le_bytes(word)
}

impl PartialOrd for Integer<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Integer<'_> {
    /// The order of the numbers.
    fn cmp(&self, other: &Self) -> Ordering {
        match (self.is_negative, other.is_negative) {
            (false, false) => self.cmp_magnitude(*other),
            (true, true) => other.cmp_magnitude(*self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests;
