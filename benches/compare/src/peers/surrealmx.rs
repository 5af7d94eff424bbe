//! surrealmx: its direct reads without a transaction, and its serializable transactions.

use crate::keys::{self, Encoded};
use crate::store::{Listed, Op, Pair, Store, balance, with_balance};
use surrealmx::{ByteSlice, Database, Error, Transaction};

pub(crate) struct Surrealmx {
    database: Database,
    end: ByteSlice,
}

impl Surrealmx {
    /// Runs a transaction until it commits.
    fn transact(&self, mut run: impl FnMut(&mut Transaction) -> Result<(), Error>) {
        loop {
            let transaction = self.database.transaction(true);
            let mut transaction = transaction.with_serializable_snapshot_isolation();
            run(&mut transaction).expect("the transaction is open");
            match transaction.commit() {
                Ok(()) => return,
                Err(Error::KeyReadConflict | Error::KeyWriteConflict) => {}
                Err(error) => panic!("surrealmx refuses a commit: {error}"),
            }
        }
    }
}

fn read(transaction: &Transaction, key: &ByteSlice) -> Result<u64, Error> {
    let read = transaction.with_value(key, balance)?;
    Ok(read.unwrap_or(0))
}

impl Store for Surrealmx {
    const NAME: &'static str = "surrealmx";
    const CAN: &'static [Op] = &[Op::Modify, Op::Transfer, Op::Count, Op::GetMany, Op::List];

    type Key = ByteSlice;

    fn open(_size: u32) -> Self {
        Self {
            database: Database::new(),
            end: Self::key(&keys::end()),
        }
    }

    fn key(encoded: &Encoded) -> ByteSlice {
        ByteSlice::from_slice(encoded)
    }

    #[inline]
    fn look<R>(&self, key: &ByteSlice, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.database
            .with_value(key, look)
            .expect("the database is open")
    }

    #[inline]
    fn look_built<R>(&self, number: f64, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        self.database
            .with_value(keys::encoded(number), look)
            .expect("the database is open")
    }

    #[inline]
    fn set(&self, key: &ByteSlice, value: &[u8]) {
        self.database
            .set(key, value)
            .expect("the database takes the value");
    }

    #[inline]
    fn delete(&self, key: &ByteSlice) {
        self.database.del(key).expect("the database is open");
    }

    fn modify(&self, key: &ByteSlice, value: &mut [u8]) {
        self.transact(|transaction| {
            let balance = read(transaction, key)?;
            transaction.set(key, with_balance(value, balance.wrapping_add(1)))
        });
    }

    fn transfer(&self, from: &ByteSlice, to: &ByteSlice, [less, more]: &mut Pair) {
        self.transact(|transaction| {
            let from_balance = read(transaction, from)?;
            let to_balance = read(transaction, to)?;
            transaction.set(from, with_balance(less, from_balance.wrapping_sub(1)))?;
            transaction.set(to, with_balance(more, to_balance.wrapping_add(1)))
        });
    }

    fn count(&self, key: &ByteSlice) {
        self.transact(|transaction| {
            let number = read(transaction, key)?;
            transaction.set(key, number.wrapping_add(1).to_le_bytes())
        });
    }

    fn get_many(&self, keys: &[ByteSlice]) -> Listed {
        let transaction = self.database.transaction(false);
        let mut listed = Listed::default();
        for key in keys {
            transaction
                .with_value(key, |value| listed.visit(value))
                .expect("the transaction is open");
        }
        listed
    }

    fn list(&self, start: &ByteSlice, limit: usize) -> Listed {
        let mut listed = Listed::default();
        self.database
            .scan_with(start..&self.end, None, Some(limit), |_, value| {
                listed.visit(value);
                true
            })
            .expect("the database is open");
        listed
    }

    fn settle(&self) {
        self.database.run_gc_tracked();
        self.database.run_cleanup();
    }
}
