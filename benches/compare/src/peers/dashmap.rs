//! dashmap: a map of locked shards, whose values are looked at under the lock.

use crate::keys::{self, HashedKey, Taken};
use crate::store::{Op, Store, balance, with_balance};

type Value = Box<[u8]>;

pub(crate) struct Dashmap(dashmap::DashMap<HashedKey, Value, Taken>);

impl Store for Dashmap {
    const NAME: &'static str = "dashmap";
    const CAN: &'static [Op] = &[Op::Modify, Op::Count];

    type Key = HashedKey;

    fn open(_size: u32) -> Self {
        Self(dashmap::DashMap::with_hasher(Taken::default()))
    }

    fn key(encoded: &[u8; keys::LEN]) -> HashedKey {
        HashedKey::new(encoded)
    }

    #[inline]
    fn look<R>(&self, key: &HashedKey, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.get(key).map(|value| look(&value))
    }

    #[inline]
    fn set(&self, key: &HashedKey, value: &[u8]) {
        self.0.insert(*key, Value::from(value));
    }

    #[inline]
    fn delete(&self, key: &HashedKey) {
        self.0.remove(key);
    }

    fn modify(&self, key: &HashedKey, value: &mut [u8]) {
        if let Some(mut entry) = self.0.get_mut(key) {
            let balance = balance(&entry);
            *entry = Value::from(with_balance(value, balance.wrapping_add(1)));
        }
    }

    fn count(&self, key: &HashedKey) {
        let mut entry = self.0.entry(*key).or_insert_with(|| Value::from([0; 8]));
        let number = balance(&entry).wrapping_add(1);
        with_balance(&mut entry, number);
        drop(entry);
    }
}
