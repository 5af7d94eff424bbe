//! Values that tell whose they are, and whether they are whole.
//!
//! A value begins with the number of its key, its [`Ticket`] and a hash of the two, and what follows is a
//! piece of one long noise, which the hash says. So whoever reads it finds out whether it is of this key,
//! of one commit, and as long as it was; and to make or to check one takes as long as to copy it.

use kvick::Key;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

pub(super) const VALUE_BYTES_MIN: usize = HEAD_BYTES;
pub(super) const VALUE_BYTES_MAX: usize = 1 << 16;

/// Keys that are only ever written together.
pub(super) const GROUP_KEYS: usize = 4;

/// The number of the key; the ticket, and the hash.
const HEAD_BYTES: usize = 16;

/// Places at which a piece of the noise may begin.
const PIECES: u16 = 4_096;

/// The lowest bits of a ticket: the length of the value. Then the number, and in a value the hash.
const LENGTH_BITS: u32 = 17;
const TICKET_BITS: u32 = 48;

/// Of the numbers of keys: which are of a group.
const GROUPED: u64 = 1 << 63;

/// A key that values are stored at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place(u64);

impl Place {
    /// A key by itself.
    pub(super) fn single(number: u64) -> Self {
        Self(number)
    }

    /// The keys of a group.
    pub(super) fn group(number: u64) -> [Self; GROUP_KEYS] {
        let first = GROUPED | (number * GROUP_KEYS as u64);
        std::array::from_fn(|member| Self(first + member as u64))
    }

    pub(super) fn key(self) -> Key {
        if self.0 & GROUPED == 0 {
            return Key::from(("single", self.0));
        }
        let number = self.0 & !GROUPED;
        let size = GROUP_KEYS as u64;
        Key::from(("group", number / size, number % size))
    }
}

/// What a value was made of: a number that all values of one commit have, and the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ticket(u64);

impl Ticket {
    /// `length` is of 16 bytes to 64 KiB.
    pub(super) fn new(commit: u64, length: usize) -> Self {
        debug_assert!((VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(&length));
        Self((commit << LENGTH_BITS | length as u64) & ((1 << TICKET_BITS) - 1))
    }

    /// The number of the commit, but for its highest bits.
    pub(super) fn commit(self) -> u64 {
        self.0 >> LENGTH_BITS
    }

    /// Any change of a bit of these makes another.
    fn hash(self, place: Place) -> u16 {
        let hash = (place.0.rotate_left(24) ^ self.0).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let [.., low, high] = hash.to_le_bytes();
        u16::from_le_bytes([low, high])
    }

    fn length(self) -> Option<usize> {
        let length = usize::try_from(self.0 & ((1 << LENGTH_BITS) - 1)).ok()?;
        (VALUE_BYTES_MIN..=VALUE_BYTES_MAX)
            .contains(&length)
            .then_some(length)
    }
}

/// A length from 16 bytes to 64 KiB, of which each doubling is as frequent.
pub(super) fn draw_length(random: &mut SmallRng) -> usize {
    let least = VALUE_BYTES_MIN << random.random_range(0..12);
    random.random_range(least..=2 * least)
}

/// What values are made of.
#[derive(Debug)]
pub(super) struct Noise(Vec<u8>);

impl Noise {
    pub(super) fn new() -> Self {
        let mut noise = vec![0; VALUE_BYTES_MAX + usize::from(PIECES)];
        SmallRng::seed_from_u64(0).fill(&mut noise[..]);
        Self(noise)
    }

    /// Makes the value of this key and ticket.
    pub(super) fn write(&self, place: Place, ticket: Ticket, value: &mut Vec<u8>) {
        value.clear();
        value.extend_from_slice(&place.0.to_le_bytes());
        let hash = u64::from(ticket.hash(place));
        value.extend_from_slice(&(hash << TICKET_BITS | ticket.0).to_le_bytes());
        let length = ticket.length().unwrap_or(VALUE_BYTES_MIN);
        value.extend_from_slice(self.body(place, ticket, length));
    }

    /// The ticket of a value that was found at this key, if it is whole.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(super) fn read(&self, place: Place, value: &[u8]) -> Result<Ticket, String> {
        let wrong = |what: &str| Err(format!("{what}, in {} bytes at {place:?}", value.len()));
        let head = |at| Some(u64::from_le_bytes(*value.get(at..)?.first_chunk()?));
        let (Some(owner), Some(rest)) = (head(0), head(8)) else {
            return wrong("a value without a head");
        };
        let ticket = Ticket(rest & ((1 << TICKET_BITS) - 1));
        if owner != place.0 {
            return wrong(&format!("the value of another key, {owner:#x}"));
        }
        let Some(length) = ticket.length().filter(|length| *length == value.len()) else {
            return wrong(&format!("a value that was as long as {ticket:x?} says"));
        };
        let is_hash = rest >> TICKET_BITS == u64::from(ticket.hash(place));
        if !is_hash || value[HEAD_BYTES..] != *self.body(place, ticket, length) {
            return wrong(&format!("a torn value of {ticket:x?}"));
        }
        Ok(ticket)
    }

    /// The same, at an encoded key.
    pub(super) fn read_at(&self, key: &[u8], value: &[u8]) -> Result<Ticket, String> {
        let owner = value.first_chunk().copied().map(u64::from_le_bytes);
        let place = owner
            .map(Place)
            .filter(|place| place.key().as_bytes() == key);
        let place = place.ok_or_else(|| format!("a value of another key at {key:02x?}"))?;
        self.read(place, value)
    }

    fn body(&self, place: Place, ticket: Ticket, length: usize) -> &[u8] {
        let begin = usize::from(ticket.hash(place) % PIECES);
        &self.0[begin..][..length - HEAD_BYTES]
    }
}

#[cfg(test)]
mod tests {
    use super::{Noise, Place, Ticket, VALUE_BYTES_MAX, VALUE_BYTES_MIN, draw_length};
    use rand::SeedableRng;
    use rand::rngs::SmallRng;

    fn value(noise: &Noise, place: Place, ticket: Ticket) -> Vec<u8> {
        let mut value = Vec::new();
        noise.write(place, ticket, &mut value);
        value
    }

    #[test]
    fn a_value_is_read_as_it_was_written_and_as_nothing_else() {
        let noise = Noise::new();
        let place = Place::single(7);
        for length in [VALUE_BYTES_MIN, 17, 1_024, VALUE_BYTES_MAX] {
            let ticket = Ticket::new(99, length);
            let whole = value(&noise, place, ticket);
            assert_eq!(whole.len(), length);
            assert_eq!(noise.read(place, &whole), Ok(ticket));
            assert!(noise.read(Place::single(8), &whole).is_err());
            let read_at = |place: Place| noise.read_at(place.key().as_bytes(), &whole);
            assert_eq!(read_at(place), Ok(ticket));
            assert!(read_at(Place::single(8)).is_err());
            assert!(noise.read(place, &whole[..length - 1]).is_err());
            for at in (0..16).chain([length / 2, length - 1]) {
                let mut torn = whole.clone();
                torn[at] ^= 1;
                assert!(noise.read(place, &torn).is_err(), "{at} of {length}");
            }
        }
        assert!(noise.read(place, &[]).is_err());
    }

    #[test]
    fn a_value_of_two_commits_is_noticed() {
        let noise = Noise::new();
        let place = Place::group(3)[2];
        let [mut one, other] = [1, 2].map(|commit| value(&noise, place, Ticket::new(commit, 600)));
        one[300..].copy_from_slice(&other[300..]);
        assert!(noise.read(place, &one).is_err());
    }

    #[test]
    fn lengths_are_of_every_size() {
        let mut random = SmallRng::seed_from_u64(1);
        let lengths: Vec<_> = (0..100_000).map(|_| draw_length(&mut random)).collect();
        assert!(
            lengths
                .iter()
                .all(|length| (VALUE_BYTES_MIN..=VALUE_BYTES_MAX).contains(length))
        );
        for doubling in 4..16 {
            let inside = 1 << doubling..1 << (doubling + 1);
            let count = lengths.iter().filter(|length| inside.contains(*length));
            let count = count.count();
            assert!((7_000..10_000).contains(&count), "{inside:?}: {count}");
        }
    }

    #[test]
    fn places_have_keys_of_their_own() {
        let mut keys: Vec<_> = (0..100).map(|number| Place::single(number).key()).collect();
        keys.extend((0..25).flat_map(Place::group).map(Place::key));
        keys.sort_by(|one, other| one.as_bytes().cmp(other.as_bytes()));
        keys.dedup();
        assert_eq!(keys.len(), 200);
    }
}
