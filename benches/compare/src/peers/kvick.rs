//! kvick itself: zero-copy reads, and atomic operations with checks.

use crate::keys::Encoded;
use crate::store::{Listed, Op, Pair, Store, balance, with_balance};
use kvick::{AtomicOp, Key, Kv, Loading, OnLimit, Range, Versionstamp};
use std::convert::Infallible;

pub(crate) struct Kvick(pub(crate) Kv);

impl Kvick {
    /// The version and the balance of a key, read without a copy.
    fn read(&self, key: &Key) -> (Versionstamp, u64) {
        let read = self.0.with_entry(key, |entry| {
            let entry = entry?;
            Some((entry.versionstamp(), balance(entry.as_bytes()?)))
        });
        read.expect("the engine is open")
            .expect("every key is set to bytes")
    }
}

fn is_committed(atomic: &AtomicOp<'_>) -> bool {
    let outcome = atomic.commit().expect("the engine takes the operation");
    outcome.is_committed()
}

impl Store for Kvick {
    const NAME: &'static str = "kvick";
    const CAN: &'static [Op] = &[
        Op::Modify,
        Op::Transfer,
        Op::Count,
        Op::GetMany,
        Op::List,
        Op::Load,
    ];

    type Key = Key;

    fn open(_size: u32) -> Self {
        Self(Kv::new())
    }

    fn open_limited(size: u32) -> Self {
        let builder = Kv::builder()
            .entry_limit(size as usize)
            .on_limit(OnLimit::Evict);
        Self(builder.build())
    }

    fn key(encoded: &Encoded) -> Key {
        Key::raw(encoded)
    }

    #[inline]
    fn look<R>(&self, key: &Key, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0
            .with_entry(key, |entry| Some(look(entry?.as_bytes()?)))
            .expect("the engine is open")
    }

    #[inline]
    fn look_built<R>(&self, number: f64, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.0
            .with_entry(("user-accounts", number), |entry| {
                Some(look(entry?.as_bytes()?))
            })
            .expect("the engine is open")
    }

    #[inline]
    fn set(&self, key: &Key, value: &[u8]) {
        self.0.set(key, value).expect("the engine takes the value");
    }

    #[inline]
    fn delete(&self, key: &Key) {
        self.0.delete(key).expect("the engine is open");
    }

    fn modify(&self, key: &Key, value: &mut [u8]) {
        loop {
            let (version, balance) = self.read(key);
            let value = with_balance(value, balance.wrapping_add(1));
            let mut atomic = self.0.atomic();
            if is_committed(atomic.check_versionstamp(key, version).set(key, value)) {
                return;
            }
        }
    }

    fn transfer(&self, from: &Key, to: &Key, [less, more]: &mut Pair) {
        loop {
            let (from_version, from_balance) = self.read(from);
            let (to_version, to_balance) = self.read(to);
            let mut atomic = self.0.atomic();
            atomic
                .check_versionstamp(from, from_version)
                .check_versionstamp(to, to_version)
                .set(from, with_balance(less, from_balance.wrapping_sub(1)))
                .set(to, with_balance(more, to_balance.wrapping_add(1)));
            if is_committed(&atomic) {
                return;
            }
        }
    }

    fn count(&self, key: &Key) {
        assert!(is_committed(self.0.atomic().sum(key, 1)));
    }

    fn counted(&self, key: &Key) -> u64 {
        let read = self.0.with_entry(key, |entry| entry?.as_u64());
        read.expect("the engine is open").unwrap_or(0)
    }

    fn get_many(&self, keys: &[Key]) -> Listed {
        let snapshot = self.0.snapshot();
        let mut listed = Listed::default();
        for key in keys {
            let look = |entry: Option<kvick::EntryRef<'_>>| {
                if let Some(value) = entry.and_then(kvick::EntryRef::as_bytes) {
                    listed.visit(value);
                }
            };
            snapshot.with_entry(key, look).expect("the engine is open");
        }
        listed
    }

    fn list(&self, start: &Key, limit: usize) -> Listed {
        let mut listed = Listed::default();
        self.0
            .list(Range::prefix("user-accounts").start(start))
            .limit(limit)
            .for_each(|entry| listed.visit(entry.as_bytes().unwrap_or_default()))
            .expect("the range is valid");
        listed
    }

    #[inline]
    fn get_or_load(&self, key: &Key, value: &[u8]) -> u8 {
        let load = || Ok::<_, Infallible>(value);
        let entry = self.0.get_or_load(key, Loading::default(), load);
        let entry = entry.expect("the engine takes the value");
        entry.as_bytes().expect("every key is set to bytes")[0]
    }

    fn settle(&self) {
        self.0.sweep();
    }
}
