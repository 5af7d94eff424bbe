//! A map from keys that remembers in which order they came.

use super::Key;
use std::collections::HashMap;
use std::mem;
use std::slice;
use std::vec;

/// From this many keys on they are found by a table, and up to there one by one: comparing the
/// hashes that the keys carry is faster than anything that has to be kept.
const TABLE_FROM: usize = 16;

/// Room for the few keys that a transaction nearly always has.
const CAPACITY_MIN: usize = 4;

/// Keys, each once, with a value each, in the order in which they were first put in.
#[derive(Debug)]
pub(crate) struct KeyMap<V> {
    entries: Vec<(Key, V)>,
    /// Where each key is, once there are many.
    places: HashMap<Key, usize>,
}

impl<V> KeyMap<V> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Vec::new(),
            places: HashMap::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Expected constant time.
    pub(crate) fn get(&self, key: &Key) -> Option<&V> {
        let place = self.place(key)?;
        Some(&self.entries[place].1)
    }

    /// Puts in a key, or replaces what it has.
    pub(crate) fn insert(&mut self, key: Key, value: V) {
        match self.place(&key) {
            Some(place) => self.entries[place].1 = value,
            None => _ = self.push(key, value),
        }
    }

    /// What a key has; the default, put in now, where it has nothing.
    pub(crate) fn entry(&mut self, key: Key) -> &mut V
    where
        V: Default,
    {
        match self.place(&key) {
            Some(place) => &mut self.entries[place].1,
            None => self.push(key, V::default()),
        }
    }

    pub(crate) fn iter(&self) -> slice::Iter<'_, (Key, V)> {
        self.entries.iter()
    }

    fn place(&self, key: &Key) -> Option<usize> {
        if self.entries.len() < TABLE_FROM {
            self.entries.iter().position(|(known, _)| known == key)
        } else {
            self.places.get(key).copied()
        }
    }

    /// Adds a key that is not there.
    fn push(&mut self, key: Key, value: V) -> &mut V {
        let place = self.entries.len();
        if place == 0 {
            self.entries.reserve(CAPACITY_MIN);
        }
        if place + 1 == TABLE_FROM {
            let known = self.entries.iter().map(|(key, _)| key.clone());
            self.places = known.zip(0..).collect();
        }
        if place + 1 >= TABLE_FROM {
            self.places.insert(key.clone(), place);
        }
        self.entries.push((key, value));
        &mut self.entries[place].1
    }
}

impl<V> IntoIterator for KeyMap<V> {
    type Item = (Key, V);
    type IntoIter = vec::IntoIter<(Key, V)>;

    fn into_iter(mut self) -> Self::IntoIter {
        mem::take(&mut self.entries).into_iter()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::{KeyMap, TABLE_FROM};
    use crate::key::Key;
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};
    use std::collections::BTreeMap;

    #[test]
    fn is_a_map_in_the_order_of_first_insertion() {
        let mut random = StdRng::seed_from_u64(13);
        for len in [1, 3, TABLE_FROM, 3 * TABLE_FROM] {
            let mut map = KeyMap::new();
            let mut model = BTreeMap::new();
            let mut order = Vec::new();
            for turn in 0..200_u32 {
                let key = Key::from(random.random_range(0..len as u64));
                assert_eq!(map.get(&key), model.get(&key));
                if !model.contains_key(&key) {
                    order.push(key.clone());
                }
                if turn % 2 == 0 {
                    map.insert(key.clone(), turn);
                    model.insert(key, turn);
                } else {
                    *map.entry(key.clone()) += turn;
                    *model.entry(key).or_default() += turn;
                }
                assert_eq!(map.len(), model.len());
            }
            assert!(!map.is_empty());
            assert!(map.iter().map(|(key, _)| key).eq(&order));
            assert!(map.into_iter().collect::<BTreeMap<_, _>>() == model);
        }
    }
}
