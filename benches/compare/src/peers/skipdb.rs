//! skipdb: read transactions, and optimistic write transactions.

use crate::keys::{self, HashedKey, Taken};
use crate::store::{Listed, Op, Pair, Store, balance, with_balance};
use skipdb::optimistic::{OptimisticDb, OptimisticTransaction};

type Value = Box<[u8]>;

pub(crate) struct Skipdb(OptimisticDb<HashedKey, Value, Taken>);

type Transaction = OptimisticTransaction<HashedKey, Value, Taken>;

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

fn read(transaction: &mut Transaction, key: &HashedKey) -> u64 {
    let read = transaction.get(key).expect("the transaction is open");
    read.map_or(0, |entry| balance(&entry.value()))
}

fn write(transaction: &mut Transaction, key: &HashedKey, value: &[u8]) {
    transaction
        .insert(*key, Value::from(value))
        .expect("the transaction is open");
}

impl Store for Skipdb {
    const NAME: &'static str = "skipdb";
    const CAN: &'static [Op] = &[Op::Modify, Op::Transfer, Op::Count, Op::GetMany, Op::List];

    type Key = HashedKey;

    fn open(_size: u32) -> Self {
        Self(OptimisticDb::with_hasher(Taken::default()))
    }

    fn key(encoded: &[u8; keys::LEN]) -> HashedKey {
        HashedKey::new(encoded)
    }

    #[inline]
    fn look<R>(&self, key: &HashedKey, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let transaction = self.0.read();
        let found = transaction.get(key);
        found.map(|entry| look(&entry.value()))
    }

    fn set(&self, key: &HashedKey, value: &[u8]) {
        self.transact(|transaction| write(transaction, key, value));
    }

    fn delete(&self, key: &HashedKey) {
        self.transact(|transaction| {
            transaction.remove(*key).expect("the transaction is open");
        });
    }

    fn modify(&self, key: &HashedKey, value: &mut [u8]) {
        self.transact(|transaction| {
            let balance = read(transaction, key);
            write(
                transaction,
                key,
                with_balance(value, balance.wrapping_add(1)),
            );
        });
    }

    fn transfer(&self, from: &HashedKey, to: &HashedKey, [less, more]: &mut Pair) {
        self.transact(|transaction| {
            let from_balance = read(transaction, from);
            let to_balance = read(transaction, to);
            let less = with_balance(less, from_balance.wrapping_sub(1));
            write(transaction, from, less);
            let more = with_balance(more, to_balance.wrapping_add(1));
            write(transaction, to, more);
        });
    }

    fn count(&self, key: &HashedKey) {
        self.transact(|transaction| {
            let number = read(transaction, key).wrapping_add(1);
            write(transaction, key, &number.to_le_bytes());
        });
    }

    fn get_many(&self, keys: &[HashedKey]) -> Listed {
        let transaction = self.0.read();
        let mut listed = Listed::default();
        for key in keys {
            if let Some(entry) = transaction.get(key) {
                listed.visit(&entry.value());
            }
        }
        listed
    }

    fn list(&self, start: &HashedKey, limit: usize) -> Listed {
        let transaction = self.0.read();
        let mut listed = Listed::default();
        for entry in transaction.range(start..).take(limit) {
            listed.visit(&entry.value());
        }
        listed
    }
}
