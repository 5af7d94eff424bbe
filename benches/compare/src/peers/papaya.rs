//! papaya: a map that is read without locks.

use crate::keys::Encoded;
use crate::store::{Op, Store, balance, with_balance};
use foldhash::fast::RandomState;

type Key = Box<[u8]>;
type Value = Box<[u8]>;

pub(crate) struct Papaya(papaya::HashMap<Key, Value, RandomState>);

impl Store for Papaya {
    const NAME: &'static str = "papaya";
    const CAN: &'static [Op] = &[Op::Modify, Op::Count];

    type Key = Encoded;

    fn open(_size: u32) -> Self {
        Self(papaya::HashMap::with_hasher(RandomState::default()))
    }

    fn key(encoded: &Encoded) -> Encoded {
        *encoded
    }

    #[inline]
    fn look<R>(&self, key: &Encoded, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0.pin().get(&key[..]).map(|value| look(value))
    }

    #[inline]
    fn set(&self, key: &Encoded, value: &[u8]) {
        self.0.pin().insert(Key::from(&key[..]), Value::from(value));
    }

    #[inline]
    fn delete(&self, key: &Encoded) {
        self.0.pin().remove(&key[..]);
    }

    fn modify(&self, key: &Encoded, value: &mut [u8]) {
        // The closure cannot change what it captures, as it may be called several times.
        let value = std::cell::RefCell::new(value);
        self.0.pin().update(Key::from(&key[..]), |old| {
            let mut value = value.borrow_mut();
            Value::from(with_balance(&mut value, balance(old).wrapping_add(1)))
        });
    }

    fn count(&self, key: &Encoded) {
        self.0.pin().update_or_insert_with(
            Key::from(&key[..]),
            |old| Value::from(balance(old).wrapping_add(1).to_le_bytes()),
            || Value::from(1_u64.to_le_bytes()),
        );
    }

    /// To iterate, it ends a resize of the table, which writers would go on with piece by piece.
    fn settle(&self) {
        let _ = self.0.pin().iter();
    }
}
