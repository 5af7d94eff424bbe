//! moka: a cache that shares its values. Unbounded, so that it forgets nothing, unless that is asked for.

use crate::keys::Encoded;
use crate::store::{Op, Store, balance, with_balance};
use foldhash::fast::RandomState;
use moka::sync::Cache;
use std::sync::Arc;

/// What it makes of a slice by itself, where it must.
type Key = Vec<u8>;
type Value = Arc<[u8]>;

pub(crate) struct Moka(Cache<Key, Value, RandomState>);

impl Store for Moka {
    const NAME: &'static str = "moka";
    const CAN: &'static [Op] = &[Op::Modify, Op::Count, Op::Load];

    type Key = Encoded;

    fn open(_size: u32) -> Self {
        Self(Cache::builder().build_with_hasher(RandomState::default()))
    }

    fn open_limited(size: u32) -> Self {
        let builder = Cache::builder().max_capacity(u64::from(size));
        Self(builder.build_with_hasher(RandomState::default()))
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
        self.0.insert(key.to_vec(), Value::from(value));
    }

    #[inline]
    fn delete(&self, key: &Encoded) {
        self.0.invalidate(&key[..]);
    }

    fn modify(&self, key: &Encoded, value: &mut [u8]) {
        self.0.entry_by_ref(&key[..]).and_upsert_with(|entry| {
            let balance = entry.map_or(0, |entry| balance(entry.value()));
            Value::from(with_balance(value, balance.wrapping_add(1)))
        });
    }

    fn count(&self, key: &Encoded) {
        self.0.entry_by_ref(&key[..]).and_upsert_with(|entry| {
            let number = entry.map_or(0, |entry| balance(entry.value()));
            Value::from(number.wrapping_add(1).to_le_bytes())
        });
    }

    #[inline]
    fn get_or_load(&self, key: &Encoded, value: &[u8]) -> u8 {
        self.0.get_with_by_ref(&key[..], || Value::from(value))[0]
    }

    fn settle(&self) {
        self.0.run_pending_tasks();
    }
}
