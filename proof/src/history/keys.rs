//! The keys of a round by their numbers.

use super::record::{GROUP_KEYS, id};
use kvick::Key;

/// The keys of a group are below its prefix, in ascending order.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) prefix: Key,
    pub(super) keys: [Key; GROUP_KEYS as usize],
}

/// Groups that a thread has had to do with lately. To encode a key takes longer than to read it.
#[derive(Debug)]
pub(super) struct Groups {
    round: u32,
    /// Each at the place that its number says, until another one comes there.
    known: Vec<Option<(u32, Group)>>,
}

const KNOWN_MAX: usize = 64;

impl Groups {
    pub(super) fn new(round: u32) -> Self {
        let mut known = Vec::new();
        known.resize_with(KNOWN_MAX, || None);
        Self { round, known }
    }

    pub(super) fn group(&mut self, number: u32) -> &Group {
        let round = self.round;
        let place = &mut self.known[number as usize % KNOWN_MAX];
        if place.as_ref().is_none_or(|(known, _)| *known != number) {
            *place = None;
        }
        let (_, group) = place.get_or_insert_with(|| {
            let key = |index| Key::from((round, number, id(index)));
            let prefix = Key::from((round, number));
            let keys = std::array::from_fn(key);
            (number, Group { prefix, keys })
        });
        group
    }

    pub(super) fn key(&mut self, number: u32) -> &Key {
        &self.group(number / GROUP_KEYS).keys[(number % GROUP_KEYS) as usize]
    }
}
