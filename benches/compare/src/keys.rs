//! The keys: the same bytes for every subject.
//!
//! They are encodings of `("user-accounts", number)`, 24 bytes each. An entry has a multiple of
//! [`STRIDE`] for its number, so that there is room between any two entries for keys that are
//! inserted, and for keys that are looked for and never found.

use foldhash::fast::FixedState;
use std::cmp::Ordering;
use std::hash::{BuildHasher, Hash, Hasher};

/// How long an encoded key is.
pub(crate) const LEN: usize = 24;

const STRIDE: u64 = 16;

/// Where between two entries the keys are that are never there.
const MISSING: u64 = 8;

type Encoded = [u8; LEN];

/// The key of an entry.
pub(crate) fn entry(index: u32) -> Encoded {
    encoded(u64::from(index) * STRIDE)
}

/// A key that is never there, beside that of an entry.
pub(crate) fn missing(index: u32) -> Encoded {
    encoded(u64::from(index) * STRIDE + MISSING)
}

/// The key of an insertion. Each of seven times as many insertions as there are entries has another,
/// and each is somewhere else among the entries.
pub(crate) fn inserted(number: u32, size: u32) -> Encoded {
    let offset = 1 + u64::from(number / size) % (MISSING - 1);
    let index = Permutation::new(size).of(number % size);
    encoded(u64::from(index) * STRIDE + offset)
}

/// A key behind those of all entries.
pub(crate) fn end() -> Encoded {
    encoded(1 << 52)
}

/// The key of the counter: not among the entries.
pub(crate) fn counter() -> Encoded {
    let mut key = end();
    key[1..6].copy_from_slice(b"total");
    key
}

/// A string part, and a number part: a positive number sorts as its bits, with the sign set.
fn encoded(number: u64) -> Encoded {
    #[expect(clippy::cast_precision_loss, reason = "numbers are at most 2^52")]
    let ordered = (number as f64).to_bits() | 1 << 63;
    let mut key = *b"\x02user-accounts\0\x21\0\0\0\0\0\0\0\0";
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

/// A key for maps that hash: with its hash, since kvick's keys have theirs, and of a length that the
/// compiler knows, which is more than a store of tuple keys can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HashedKey {
    hash: u64,
    bytes: Encoded,
}

impl HashedKey {
    pub(crate) fn new(bytes: &Encoded) -> Self {
        let hash = FixedState::default().hash_one(bytes);
        Self {
            hash,
            bytes: *bytes,
        }
    }
}

impl Ord for HashedKey {
    fn cmp(&self, other: &Self) -> Ordering {
        self.bytes.cmp(&other.bytes)
    }
}

impl PartialOrd for HashedKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Hash for HashedKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

/// Takes the hash that a [`HashedKey`] has.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Taken(u64);

impl BuildHasher for Taken {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl Hasher for Taken {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only a HashedKey is hashed");
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
