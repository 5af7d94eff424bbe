//! moka: a cache that shares its values. Unbounded, so that it forgets nothing.

use crate::keys::{self, HashedKey, Taken};
use crate::store::{Op, Store, balance, with_balance};
use moka::sync::Cache;
use std::sync::Arc;

type Value = Arc<[u8]>;

pub(crate) struct Moka(Cache<HashedKey, Value, Taken>);

impl Store for Moka {
    const NAME: &'static str = "moka";
    const CAN: &'static [Op] = &[Op::Modify, Op::Count];

    type Key = HashedKey;

    fn open(_size: u32) -> Self {
        Self(Cache::builder().build_with_hasher(Taken::default()))
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
        self.0.invalidate(key);
    }

    fn modify(&self, key: &HashedKey, value: &mut [u8]) {
        self.0.entry_by_ref(key).and_upsert_with(|entry| {
            let balance = entry.map_or(0, |entry| balance(entry.value()));
            Value::from(with_balance(value, balance.wrapping_add(1)))
        });
    }

    fn count(&self, key: &HashedKey) {
        self.0.entry_by_ref(key).and_upsert_with(|entry| {
            let number = entry.map_or(0, |entry| balance(entry.value()));
            Value::from(number.wrapping_add(1).to_le_bytes())
        });
    }

    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}
