//! crossbeam's `SkipMap`, bare: what an ordered map without locks can do by itself.

#![expect(
    clippy::disallowed_methods,
    reason = "the defects that the engine avoids are part of what is measured here"
)]

use crate::keys;
use crate::store::{Listed, Op, Store};
use crossbeam_skiplist::SkipMap;
use std::ops::Bound;

pub(crate) struct Skipmap(SkipMap<[u8; keys::LEN], Box<[u8]>>);

impl Store for Skipmap {
    const NAME: &'static str = "skipmap";
    const CAN: &'static [Op] = &[Op::List];

    type Key = [u8; keys::LEN];

    fn open(_size: u32) -> Self {
        Self(SkipMap::new())
    }

    fn key(encoded: &[u8; keys::LEN]) -> [u8; keys::LEN] {
        *encoded
    }

    #[inline]
    fn look<R>(&self, key: &Self::Key, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.get(key).map(|entry| look(entry.value()))
    }

    #[inline]
    fn set(&self, key: &Self::Key, value: &[u8]) {
        self.0.insert(*key, Box::from(value));
    }

    #[inline]
    fn delete(&self, key: &Self::Key) {
        self.0.remove(key);
    }

    /// Not by `range`, which leaks.
    fn list(&self, start: &Self::Key, limit: usize) -> Listed {
        let mut listed = Listed::default();
        let mut entry = self.0.lower_bound(Bound::Included(start));
        while let Some(at) = &mut entry {
            listed.visit(at.value());
            if listed.entries == limit || !at.move_next() {
                break;
            }
        }
        listed
    }
}
