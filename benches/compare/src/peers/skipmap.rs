//! crossbeam's `SkipMap`, bare: what an ordered map without locks can do by itself.

#![expect(
    clippy::disallowed_methods,
    reason = "the defects that the engine avoids are part of what is measured here"
)]

use crate::keys::Encoded;
use crate::store::{Listed, Op, Store};
use crossbeam_skiplist::SkipMap;
use std::ops::Bound;

pub(crate) struct Skipmap(SkipMap<Box<[u8]>, Box<[u8]>>);

impl Store for Skipmap {
    const NAME: &'static str = "skipmap";
    const CAN: &'static [Op] = &[Op::List];

    type Key = Encoded;

    fn open(_size: u32) -> Self {
        Self(SkipMap::new())
    }

    fn key(encoded: &Encoded) -> Encoded {
        *encoded
    }

    #[inline]
    fn look<R>(&self, key: &Encoded, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.get(&key[..]).map(|entry| look(entry.value()))
    }

    #[inline]
    fn set(&self, key: &Encoded, value: &[u8]) {
        self.0.insert(Box::from(&key[..]), Box::from(value));
    }

    #[inline]
    fn delete(&self, key: &Encoded) {
        self.0.remove(&key[..]);
    }

    /// Not by `range`, which leaks.
    fn list(&self, start: &Encoded, limit: usize) -> Listed {
        let mut listed = Listed::default();
        let mut entry = self.0.lower_bound(Bound::Included(&start[..]));
        while let Some(at) = &mut entry {
            listed.visit(at.value());
            if listed.entries == limit || !at.move_next() {
                break;
            }
        }
        listed
    }
}
