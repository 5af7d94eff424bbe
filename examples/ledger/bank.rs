//! The accounts: transfers between them, and what must be true of all of them together.

use kvick::{Error, Key, Kv, Outcome, Result, Versionstamp};

/// The accounts of one database, each a balance in cents.
#[derive(Debug)]
pub(crate) struct Bank {
    kv: Kv,
    accounts: Vec<Account>,
    /// The sum of all balances: no transfer changes it.
    total: u64,
    how: How,
}

#[derive(Debug)]
struct Account {
    key: Key,
    opening: u64,
}

/// How a transfer is made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum How {
    /// Both balances are read, looked at, and set if they are still the same.
    ByCheck,
    /// An amount is subtracted here and added there, whatever the balances are.
    BySum,
}

/// What became of a transfer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Fate {
    /// It was made, at this many attempts.
    Made { attempts: u64 },
    /// It was not, because the account it was to come from had only this much.
    InsufficientFunds { balance: u64 },
}

impl Bank {
    pub(crate) fn new(how: How) -> Self {
        Self {
            kv: Kv::new(),
            accounts: Vec::new(),
            total: 0,
            how,
        }
    }

    pub(crate) fn kv(&self) -> &Kv {
        &self.kv
    }

    pub(crate) fn total(&self) -> u64 {
        self.total
    }

    /// How many accounts there are. They are numbered from 0.
    pub(crate) fn len(&self) -> usize {
        self.accounts.len()
    }

    /// Opens the next account; `false` where the total would be more than a balance can be.
    pub(crate) fn open(&mut self, name: impl Into<Key>, opening: u64) -> Result<bool> {
        let Some(total) = self.total.checked_add(opening) else {
            return Ok(false);
        };
        let key = name.into();
        self.kv.set(&key, opening)?;
        self.accounts.push(Account { key, opening });
        self.total = total;
        Ok(true)
    }

    pub(crate) fn transfer(&self, from: usize, to: usize, amount: u64) -> Result<Fate> {
        let (from, to) = (&self.accounts[from].key, &self.accounts[to].key);
        match self.how {
            How::ByCheck => transfer_by_check(&self.kv, from, to, amount),
            How::BySum => transfer_by_sum(&self.kv, from, to, amount),
        }
    }

    /// The balance of an account.
    pub(crate) fn balance(&self, account: usize) -> Result<u64> {
        balance(&self.kv.get(&self.accounts[account].key)?)
    }

    /// Sums all balances as they were at one moment.
    pub(crate) fn audit(&self) -> Result<Audit> {
        let snapshot = self.kv.snapshot();
        let mut audit = Audit {
            at: snapshot.versionstamp(),
            accounts: 0,
            sum: 0,
        };
        snapshot.list(()).for_each(|entry| {
            audit.accounts += 1;
            audit.sum += u128::from(entry.value().as_u64().unwrap_or(0));
        })?;
        Ok(audit)
    }

    /// What an audit found that cannot be.
    pub(crate) fn violation(&self, audit: &Audit) -> Option<String> {
        let is_total = match self.how {
            How::ByCheck => audit.sum == u128::from(self.total),
            // An account that went below nothing is one with a balance near 2^64.
            How::BySum => audit.sum % (1 << u64::BITS) == u128::from(self.total),
        };
        (!is_total || audit.accounts != self.len()).then(|| {
            format!(
                "at {}, {} accounts had {}; {} had {} in the beginning",
                audit.at,
                audit.accounts,
                audit.sum,
                self.len(),
                self.total
            )
        })
    }

    /// The accounts that do not hold what they held in the beginning and what has been moved
    /// since, by the books.
    pub(crate) fn discrepancies(&self, books: &Books) -> Result<Vec<String>> {
        let mut found = Vec::new();
        for (number, account) in self.accounts.iter().enumerate() {
            let expected = account.opening.wrapping_add(books.moved(number));
            let balance = self.balance(number)?;
            if balance != expected {
                let key = &account.key;
                found.push(format!("{key:?} has {balance}, by the books {expected}"));
            }
        }
        Ok(found)
    }
}

/// Reads two balances, checks that there is enough, and sets both, if neither has changed
/// meanwhile; otherwise, again.
///
/// [`Kv::update_many`] and [`Kv::transact`] do the same in fewer words, and back off under
/// contention. Here it is by hand.
fn transfer_by_check(kv: &Kv, from: &Key, to: &Key, amount: u64) -> Result<Fate> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let entries = kv.get_many([from, to])?;
        let [from, to] = &entries[..] else {
            return Err(Error::other("two keys were asked for"));
        };
        let (from_balance, to_balance) = (balance(from)?, balance(to)?);
        let Some(rest) = from_balance.checked_sub(amount) else {
            return Ok(Fate::InsufficientFunds {
                balance: from_balance,
            });
        };
        // No balance is more than the total, so this is not reached unless that is violated.
        let sum = to_balance
            .checked_add(amount)
            .ok_or_else(|| Error::other(format!("{:?} cannot take {amount} more", to.key())))?;
        let outcome = kv
            .atomic()
            .check(from)
            .check(to)
            .set(from.key(), rest)
            .set(to.key(), sum)
            .commit()?;
        if let Outcome::Committed { .. } = outcome {
            return Ok(Fate::Made { attempts });
        }
    }
}

/// Adds the amount on one side and its two's complement on the other. Nothing is read, so nothing
/// can have changed meanwhile.
fn transfer_by_sum(kv: &Kv, from: &Key, to: &Key, amount: u64) -> Result<Fate> {
    let outcome = kv
        .atomic()
        .sum(from, amount.wrapping_neg())
        .sum(to, amount)
        .commit()?;
    match outcome {
        Outcome::Committed { .. } => Ok(Fate::Made { attempts: 1 }),
        Outcome::Conflict { .. } => Err(Error::other("a conflict where nothing is checked")),
    }
}

fn balance(account: &kvick::Entry) -> Result<u64> {
    account
        .as_u64()
        .ok_or_else(|| Error::other(format!("{:?} has no balance", account.key())))
}

/// The sum of all balances at one moment.
#[derive(Debug)]
pub(crate) struct Audit {
    at: Versionstamp,
    accounts: usize,
    sum: u128,
}

/// What a thread has moved, account by account, modulo 2^64.
#[derive(Debug)]
pub(crate) struct Books(Vec<u64>);

impl Books {
    pub(crate) fn new(accounts: usize) -> Self {
        Self(vec![0; accounts])
    }

    pub(crate) fn enter(&mut self, from: usize, to: usize, amount: u64) {
        self.0[from] = self.0[from].wrapping_sub(amount);
        self.0[to] = self.0[to].wrapping_add(amount);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        for (moved, more) in self.0.iter_mut().zip(&other.0) {
            *moved = moved.wrapping_add(*more);
        }
    }

    fn moved(&self, account: usize) -> u64 {
        self.0[account]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bank(how: How, openings: &[u64]) -> Bank {
        let mut bank = Bank::new(how);
        for (name, opening) in (0u32..).zip(openings) {
            assert!(bank.open(name, *opening).unwrap());
        }
        bank
    }

    fn violation(bank: &Bank) -> Option<String> {
        bank.violation(&bank.audit().unwrap())
    }

    #[test]
    fn a_transfer_moves_what_it_says() {
        for how in [How::ByCheck, How::BySum] {
            let bank = bank(how, &[10, 20]);
            let mut books = Books::new(2);
            assert_eq!(bank.transfer(0, 1, 4).unwrap(), Fate::Made { attempts: 1 });
            books.enter(0, 1, 4);
            assert_eq!(
                (bank.balance(0).unwrap(), bank.balance(1).unwrap()),
                (6, 24)
            );
            assert_eq!(violation(&bank), None);
            assert!(bank.discrepancies(&books).unwrap().is_empty());
        }
    }

    #[test]
    fn insufficient_funds_change_nothing() {
        let bank = bank(How::ByCheck, &[10, 20]);
        let fate = bank.transfer(0, 1, 11).unwrap();
        assert_eq!(fate, Fate::InsufficientFunds { balance: 10 });
        let none = Books::new(2);
        assert!(bank.discrepancies(&none).unwrap().is_empty());
    }

    #[test]
    fn an_overdraft_conserves_the_total_of_sums_and_no_other() {
        let by_sum = bank(How::BySum, &[10, 20]);
        by_sum.transfer(0, 1, 11).unwrap();
        assert_eq!(violation(&by_sum), None);

        let by_check = bank(How::ByCheck, &[10, 20]);
        transfer_by_sum(&by_check.kv, &0u32.into(), &1u32.into(), 11).unwrap();
        assert!(violation(&by_check).is_some());
    }

    #[test]
    fn money_that_comes_or_goes_is_a_violation() {
        let bank = bank(How::ByCheck, &[10, 20]);
        bank.kv.set(0u32, 11u64).unwrap();
        assert!(violation(&bank).is_some());
        bank.kv.set(0u32, 10u64).unwrap();
        assert_eq!(violation(&bank), None);
        bank.kv.set(7u32, 0u64).unwrap();
        assert!(violation(&bank).is_some(), "an account too many");
    }

    #[test]
    fn a_transfer_that_was_lost_or_made_twice_is_a_discrepancy() {
        let bank = bank(How::ByCheck, &[10, 20]);
        bank.transfer(0, 1, 4).unwrap();
        let mut books = Books::new(2);
        assert_eq!(bank.discrepancies(&books).unwrap().len(), 2);
        books.enter(0, 1, 4);
        books.enter(0, 1, 4);
        assert_eq!(bank.discrepancies(&books).unwrap().len(), 2);
    }

    #[test]
    fn an_account_that_would_take_the_total_beyond_a_balance_is_not_opened() {
        let mut bank = bank(How::ByCheck, &[u64::MAX]);
        assert!(!bank.open(1u32, 1).unwrap());
        assert_eq!((bank.len(), bank.total()), (1, u64::MAX));
        assert_eq!(violation(&bank), None);
    }
}
