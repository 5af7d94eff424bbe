//! `RwLock<BTreeMap>`: what one would write without a crate, with `parking_lot`'s lock.

use crate::keys;
use crate::store::{Listed, Op, Pair, Store, balance, with_balance};
use parking_lot::RwLock;
use std::collections::BTreeMap;

type Value = Box<[u8]>;

pub(crate) struct Btreemap(RwLock<BTreeMap<[u8; keys::LEN], Value>>);

impl Store for Btreemap {
    const NAME: &'static str = "btreemap";
    const CAN: &'static [Op] = &[Op::Modify, Op::Transfer, Op::Count, Op::GetMany, Op::List];

    type Key = [u8; keys::LEN];

    fn open(_size: u32) -> Self {
        Self(RwLock::default())
    }

    fn key(encoded: &[u8; keys::LEN]) -> [u8; keys::LEN] {
        *encoded
    }

    #[inline]
    fn look<R>(&self, key: &Self::Key, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.read().get(key).map(|value| look(value))
    }

    /// The value is allocated before the lock is taken, and freed after.
    #[inline]
    fn set(&self, key: &Self::Key, value: &[u8]) {
        let value = Value::from(value);
        let old = self.0.write().insert(*key, value);
        drop(old);
    }

    #[inline]
    fn delete(&self, key: &Self::Key) {
        let old = self.0.write().remove(key);
        drop(old);
    }

    fn modify(&self, key: &Self::Key, value: &mut [u8]) {
        if let Some(stored) = self.0.write().get_mut(key) {
            let balance = balance(stored).wrapping_add(1);
            *stored = Value::from(with_balance(value, balance));
        }
    }

    fn transfer(&self, from: &Self::Key, to: &Self::Key, [less, more]: &mut Pair) {
        let mut map = self.0.write();
        if let Some(stored) = map.get_mut(from) {
            let balance = balance(stored).wrapping_sub(1);
            *stored = Value::from(with_balance(less, balance));
        }
        if let Some(stored) = map.get_mut(to) {
            let balance = balance(stored).wrapping_add(1);
            *stored = Value::from(with_balance(more, balance));
        }
    }

    fn count(&self, key: &Self::Key) {
        let mut map = self.0.write();
        let stored = map.entry(*key).or_insert_with(|| Value::from([0; 8]));
        let number = balance(stored).wrapping_add(1);
        with_balance(stored, number);
        drop(map);
    }

    fn get_many(&self, keys: &[Self::Key]) -> Listed {
        let map = self.0.read();
        let mut listed = Listed::default();
        for key in keys {
            if let Some(value) = map.get(key) {
                listed.visit(value);
            }
        }
        listed
    }

    fn list(&self, start: &Self::Key, limit: usize) -> Listed {
        let mut listed = Listed::default();
        for (_, value) in self.0.read().range::<Self::Key, _>(start..).take(limit) {
            listed.visit(value);
        }
        listed
    }
}
