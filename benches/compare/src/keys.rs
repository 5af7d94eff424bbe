//! The keys: the same bytes for every subject.
//!
//! They are encodings of `("user-accounts", number)`, 24 bytes each. An entry has a multiple of
//! [`STRIDE`] for its number, so that there is room between any two entries for keys that are
//! inserted, and for keys that are looked for and never found.

/// How long an encoded key is.
pub(crate) const LEN: usize = 24;

const STRIDE: f64 = 16.0;

/// Where between two entries the keys are that are never there.
const MISSING: u8 = 8;

/// What a subject whose interface takes bytes is given, as a slice.
pub(crate) type Encoded = [u8; LEN];

/// The key of an entry.
pub(crate) fn entry(index: u32) -> Encoded {
    encoded(number(index))
}

/// The number in the key of an entry.
pub(crate) fn number(index: u32) -> f64 {
    f64::from(index) * STRIDE
}

/// A key that is never there, beside that of an entry.
pub(crate) fn missing(index: u32) -> Encoded {
    encoded(number(index) + f64::from(MISSING))
}

/// The key of an insertion. Each of seven times as many insertions as there are entries has another,
/// and each is somewhere else among the entries.
pub(crate) fn inserted(insertion: u32, size: u32) -> Encoded {
    let offset = 1 + insertion / size % u32::from(MISSING - 1);
    let index = Permutation::new(size).of(insertion % size);
    encoded(number(index) + f64::from(offset))
}

/// A key behind those of all entries.
pub(crate) fn end() -> Encoded {
    encoded(2_f64.powi(52))
}

/// The key of the counter: not among the entries.
pub(crate) fn counter() -> Encoded {
    let mut key = end();
    key[1..6].copy_from_slice(b"total");
    key
}

/// `("user-accounts", number)`, encoded: a string part, and a number part. A positive number sorts as
/// its bits, with the sign set.
#[inline]
pub(crate) fn encoded(number: f64) -> Encoded {
    let mut key = *b"\x02user-accounts\0\x21\0\0\0\0\0\0\0\0";
    let ordered = number.to_bits() | 1 << 63;
    key[LEN - 8..].copy_from_slice(&ordered.to_be_bytes());
    key
}

/// The numbers below `size`, each once, in an order that looks random and is always the same.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permutation {
    size: u32,
    bits: u32,
}

impl Permutation {
    pub(crate) fn new(size: u32) -> Self {
        let bits = size.next_power_of_two().trailing_zeros().max(2);
        Self { size, bits }
    }

    pub(crate) fn of(self, number: u32) -> u32 {
        let mask = (1 << self.bits) - 1;
        let mut number = number;
        loop {
            // Each step permutes the numbers of so many bits; what is too large goes round again.
            for factor in [0x9e37_79b1, 0x85eb_ca77, 0xc2b2_ae3d] {
                number = number.wrapping_mul(factor) & mask;
                number ^= number >> (self.bits / 2);
            }
            if number < self.size {
                return number;
            }
        }
    }

    pub(crate) fn iter(self) -> impl Iterator<Item = u32> {
        (0..self.size).map(move |number| self.of(number))
    }
}
