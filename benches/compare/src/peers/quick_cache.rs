//! `quick_cache`: a cache that shares its values. Large enough to forget nothing, unless that is asked
//! for.

use crate::keys::Encoded;
use crate::store::{Op, Store, balance, with_balance};
use foldhash::fast::RandomState;
use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle, EntryAction, EntryResult};
use std::convert::Infallible;
use std::sync::Arc;

/// What it makes of a slice by itself, where it must.
type Key = Vec<u8>;
type Value = Arc<[u8]>;

pub(crate) struct QuickCache(Cache<Key, Value, UnitWeighter, RandomState>);

impl QuickCache {
    /// Changes a value under its lock, or sets it.
    fn update(&self, key: &Encoded, mut update: impl FnMut(Option<&[u8]>) -> Value) {
        let change = |_: &Key, value: &mut Value| {
            *value = update(Some(value));
            EntryAction::Retain(())
        };
        let entry = self.0.entry(&key[..], None, change);
        if let EntryResult::Vacant(guard) = entry {
            // Nobody else has the guard, so nobody else sets the key.
            let _ = guard.insert(update(None));
        }
    }
}

impl Store for QuickCache {
    const NAME: &'static str = "quick_cache";
    const CAN: &'static [Op] = &[Op::Modify, Op::Count, Op::Load];

    type Key = Encoded;

    fn open(size: u32) -> Self {
        // Of its shards, some get more entries than others.
        let entries = size as usize + size as usize / 4;
        let capacity = u64::from(size) * 2 + 1_000;
        Self(Cache::with(
            entries,
            capacity,
            UnitWeighter,
            RandomState::default(),
            DefaultLifecycle::default(),
        ))
    }

    fn open_limited(size: u32) -> Self {
        Self(Cache::with(
            size as usize,
            u64::from(size),
            UnitWeighter,
            RandomState::default(),
            DefaultLifecycle::default(),
        ))
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
        self.update(key, |_| Value::from(value));
    }

    #[inline]
    fn insert(&self, key: &Encoded, value: &[u8]) {
        self.0.insert(key.to_vec(), Value::from(value));
    }

    #[inline]
    fn delete(&self, key: &Encoded) {
        self.0.remove(&key[..]);
    }

    fn modify(&self, key: &Encoded, value: &mut [u8]) {
        self.update(key, |old| {
            let balance = old.map_or(0, balance);
            Value::from(with_balance(value, balance.wrapping_add(1)))
        });
    }

    fn count(&self, key: &Encoded) {
        self.update(key, |old| {
            let number = old.map_or(0, balance);
            Value::from(number.wrapping_add(1).to_le_bytes())
        });
    }

    #[inline]
    fn get_or_load(&self, key: &Encoded, value: &[u8]) -> u8 {
        let load = || Ok::<_, Infallible>(Value::from(value));
        let Ok(value) = self.0.get_or_insert_with(&key[..], load);
        value[0]
    }
}
