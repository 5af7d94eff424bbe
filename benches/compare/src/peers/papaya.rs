//! papaya: a map that is read without locks.

use crate::keys::{self, HashedKey, Taken};
use crate::store::{Op, Store, balance, with_balance};

type Value = Box<[u8]>;

pub(crate) struct Papaya(papaya::HashMap<HashedKey, Value, Taken>);

impl Store for Papaya {
    const NAME: &'static str = "papaya";
    const CAN: &'static [Op] = &[Op::Modify, Op::Count];

    type Key = HashedKey;

    fn open(_size: u32) -> Self {
        Self(papaya::HashMap::with_hasher(Taken::default()))
    }

    fn key(encoded: &[u8; keys::LEN]) -> HashedKey {
        HashedKey::new(encoded)
    }

    #[inline]
    fn look<R>(&self, key: &HashedKey, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.pin().get(key).map(|value| look(value))
    }

    #[inline]
    fn set(&self, key: &HashedKey, value: &[u8]) {
        self.0.pin().insert(*key, Value::from(value));
    }

    #[inline]
    fn delete(&self, key: &HashedKey) {
        self.0.pin().remove(key);
    }

    fn modify(&self, key: &HashedKey, value: &mut [u8]) {
        // The closure cannot change what it captures, as it may be called several times.
        let value = std::cell::RefCell::new(value);
        self.0.pin().update(*key, |old| {
            let mut value = value.borrow_mut();
            Value::from(with_balance(&mut value, balance(old).wrapping_add(1)))
        });
    }

    fn count(&self, key: &HashedKey) {
        self.0.pin().update_or_insert_with(
            *key,
            |old| Value::from(balance(old).wrapping_add(1).to_le_bytes()),
            || Value::from(1_u64.to_le_bytes()),
        );
    }
}
