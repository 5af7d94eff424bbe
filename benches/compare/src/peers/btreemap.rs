//! `RwLock<BTreeMap>`: what one would write without a crate, with `parking_lot`'s lock.

use crate::keys::Encoded;
use crate::store::{Listed, Op, Pair, Store, balance, with_balance};
use parking_lot::RwLock;
use std::collections::BTreeMap;
use std::ops::Bound;

type Key = Box<[u8]>;
type Value = Box<[u8]>;

pub(crate) struct Btreemap(RwLock<BTreeMap<Key, Value>>);

impl Store for Btreemap {
    const NAME: &'static str = "btreemap";
    const CAN: &'static [Op] = &[Op::Modify, Op::Transfer, Op::Count, Op::GetMany, Op::List];

    type Key = Encoded;

    fn open(_size: u32) -> Self {
        Self(RwLock::default())
    }

    fn key(encoded: &Encoded) -> Encoded {
        *encoded
    }

    #[inline]
    fn look<R>(&self, key: &Encoded, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.read().get(&key[..]).map(|value| look(value))
    }

    /// A value is allocated before the lock is taken, and freed after.
    #[inline]
    fn set(&self, key: &Encoded, value: &[u8]) {
        let mut value = Value::from(value);
        let mut map = self.0.write();
        if let Some(stored) = map.get_mut(&key[..]) {
            std::mem::swap(stored, &mut value);
            drop(map);
        } else {
            map.insert(Key::from(&key[..]), value);
        }
    }

    #[inline]
    fn insert(&self, key: &Encoded, value: &[u8]) {
        let (key, value) = (Key::from(&key[..]), Value::from(value));
        let old = self.0.write().insert(key, value);
        drop(old);
    }

    #[inline]
    fn delete(&self, key: &Encoded) {
        let old = self.0.write().remove(&key[..]);
        drop(old);
    }

    fn modify(&self, key: &Encoded, value: &mut [u8]) {
        if let Some(stored) = self.0.write().get_mut(&key[..]) {
            let balance = balance(stored).wrapping_add(1);
            *stored = Value::from(with_balance(value, balance));
        }
    }

    fn transfer(&self, from: &Encoded, to: &Encoded, [less, more]: &mut Pair) {
        let mut map = self.0.write();
        if let Some(stored) = map.get_mut(&from[..]) {
            let balance = balance(stored).wrapping_sub(1);
            *stored = Value::from(with_balance(less, balance));
        }
        if let Some(stored) = map.get_mut(&to[..]) {
            let balance = balance(stored).wrapping_add(1);
            *stored = Value::from(with_balance(more, balance));
        }
    }

    fn count(&self, key: &Encoded) {
        let mut map = self.0.write();
        if let Some(stored) = map.get_mut(&key[..]) {
            let number = balance(stored).wrapping_add(1);
            with_balance(stored, number);
        } else {
            let first = 1_u64.to_le_bytes();
            map.insert(Key::from(&key[..]), Value::from(first));
        }
    }

    fn get_many(&self, keys: &[Encoded]) -> Listed {
        let map = self.0.read();
        let mut listed = Listed::default();
        for key in keys {
            if let Some(value) = map.get(&key[..]) {
                listed.visit(value);
            }
        }
        listed
    }

    fn list(&self, start: &Encoded, limit: usize) -> Listed {
        let mut listed = Listed::default();
        let range = (Bound::Included(&start[..]), Bound::Unbounded);
        for (_, value) in self.0.read().range::<[u8], _>(range).take(limit) {
            listed.visit(value);
        }
        listed
    }
}
