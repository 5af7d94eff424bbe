//! dashmap: a map of locked shards, whose values are looked at under the lock.

use crate::keys::Encoded;
use crate::store::{Op, Store, balance, with_balance};
use foldhash::fast::RandomState;

type Key = Box<[u8]>;
type Value = Box<[u8]>;

pub(crate) struct Dashmap(dashmap::DashMap<Key, Value, RandomState>);

impl Store for Dashmap {
    const NAME: &'static str = "dashmap";
    const CAN: &'static [Op] = &[Op::Modify, Op::Count];

    type Key = Encoded;

    fn open(_size: u32) -> Self {
        Self(dashmap::DashMap::with_hasher(RandomState::default()))
    }

    fn key(encoded: &Encoded) -> Encoded {
        *encoded
    }

    #[inline]
    fn look<R>(&self, key: &Encoded, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.get(&key[..]).map(|value| look(&value))
    }

    #[inline]
    fn set(&self, key: &Encoded, value: &[u8]) {
        let value = Value::from(value);
        let Some(mut stored) = self.0.get_mut(&key[..]) else {
            self.0.insert(Key::from(&key[..]), value);
            return;
        };
        let old = std::mem::replace(&mut *stored, value);
        drop(stored);
        drop(old);
    }

    #[inline]
    fn insert(&self, key: &Encoded, value: &[u8]) {
        self.0.insert(Key::from(&key[..]), Value::from(value));
    }

    #[inline]
    fn delete(&self, key: &Encoded) {
        self.0.remove(&key[..]);
    }

    fn modify(&self, key: &Encoded, value: &mut [u8]) {
        if let Some(mut entry) = self.0.get_mut(&key[..]) {
            let balance = balance(&entry);
            *entry = Value::from(with_balance(value, balance.wrapping_add(1)));
        }
    }

    fn count(&self, key: &Encoded) {
        let mut entry = self.0.get_mut(&key[..]).unwrap_or_else(|| {
            let entry = self.0.entry(Key::from(&key[..]));
            entry.or_insert_with(|| Value::from([0; 8]))
        });
        let number = balance(&entry).wrapping_add(1);
        with_balance(&mut entry, number);
        drop(entry);
    }
}
