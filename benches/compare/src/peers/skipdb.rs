//! skipdb: read transactions, and optimistic write transactions.

use crate::keys::Encoded;
use crate::store::{Listed, Op, Pair, Store, balance, with_balance};
use foldhash::fast::RandomState;
use skipdb::optimistic::{OptimisticDb, OptimisticTransaction};
use std::ops::Bound;

type Key = Box<[u8]>;
type Value = Box<[u8]>;

pub(crate) struct Skipdb(OptimisticDb<Key, Value, RandomState>);

type Transaction = OptimisticTransaction<Key, Value, RandomState>;

impl Skipdb {
    /// Runs a transaction until it commits.
    fn transact(&self, mut run: impl FnMut(&mut Transaction)) {
        loop {
            let mut transaction = self.0.write();
            run(&mut transaction);
            // What can be wrong with a transaction that is open, and small, is a conflict.
            if transaction.commit().is_ok() {
                return;
            }
        }
    }
}

fn read(transaction: &mut Transaction, key: &Encoded) -> u64 {
    let read = transaction.get(&key[..]).expect("the transaction is open");
    read.map_or(0, |entry| balance(&entry.value()))
}

fn write(transaction: &mut Transaction, key: &Encoded, value: &[u8]) {
    transaction
        .insert(Key::from(&key[..]), Value::from(value))
        .expect("the transaction is open");
}

impl Store for Skipdb {
    const NAME: &'static str = "skipdb";
    const CAN: &'static [Op] = &[Op::Modify, Op::Transfer, Op::Count, Op::GetMany, Op::List];

    type Key = Encoded;

    fn open(_size: u32) -> Self {
        Self(OptimisticDb::with_hasher(RandomState::default()))
    }

    fn key(encoded: &Encoded) -> Encoded {
        *encoded
    }

    #[inline]
    fn look<R>(&self, key: &Encoded, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let transaction = self.0.read();
        let found = transaction.get(&key[..]);
        found.map(|entry| look(&entry.value()))
    }

    fn set(&self, key: &Encoded, value: &[u8]) {
        self.transact(|transaction| write(transaction, key, value));
    }

    fn delete(&self, key: &Encoded) {
        self.transact(|transaction| {
            transaction
                .remove(Key::from(&key[..]))
                .expect("the transaction is open");
        });
    }

    fn modify(&self, key: &Encoded, value: &mut [u8]) {
        self.transact(|transaction| {
            let balance = read(transaction, key);
            write(
                transaction,
                key,
                with_balance(value, balance.wrapping_add(1)),
            );
        });
    }

    fn transfer(&self, from: &Encoded, to: &Encoded, [less, more]: &mut Pair) {
        self.transact(|transaction| {
            let from_balance = read(transaction, from);
            let to_balance = read(transaction, to);
            let less = with_balance(less, from_balance.wrapping_sub(1));
            write(transaction, from, less);
            let more = with_balance(more, to_balance.wrapping_add(1));
            write(transaction, to, more);
        });
    }

    fn count(&self, key: &Encoded) {
        self.transact(|transaction| {
            let number = read(transaction, key).wrapping_add(1);
            write(transaction, key, &number.to_le_bytes());
        });
    }

    fn get_many(&self, keys: &[Encoded]) -> Listed {
        let transaction = self.0.read();
        let mut listed = Listed::default();
        for key in keys {
            if let Some(entry) = transaction.get(&key[..]) {
                listed.visit(&entry.value());
            }
        }
        listed
    }

    fn list(&self, start: &Encoded, limit: usize) -> Listed {
        let transaction = self.0.read();
        let mut listed = Listed::default();
        let range = (Bound::Included(&start[..]), Bound::Unbounded);
        for entry in transaction.range::<[u8], _>(range).take(limit) {
            listed.visit(&entry.value());
        }
        listed
    }
}
