//! Random transfers, for a while.

use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use crate::Failure;
use crate::args::Load;
use crate::bank::{Bank, How};
use crate::crew::{self, Results};
use crate::report::Bar;

/// Where the threads' random numbers begin. The same load makes the same choices each time, though
/// not in the same order.
const SEED: u64 = 0x1ed9;

/// What an account begins with, in cents. With this little, some run dry now and then.
const OPENING: u64 = 1_000_000;

/// What it begins with where nobody looks whether there is enough.
const OPENING_BY_SUM: u64 = 1_000_000_000_000;

/// The most that is moved at once, in cents.
const AMOUNT_MAX: u64 = 10_000;

pub(crate) fn run(load: &Load) -> Result<(Bank, Results), Failure> {
    let (how, opening) = if load.by_sum {
        (How::BySum, OPENING_BY_SUM)
    } else {
        (How::ByCheck, OPENING)
    };
    let mut bank = Bank::new(how);
    for number in 0..load.accounts {
        bank.open(("account", number), opening)?;
    }
    let bar = Bar::of_time(load.length);
    let results = crew::run(
        &bank,
        load.crew,
        Some(load.length),
        &bar,
        |thread, stop, tally| {
            let mut random = SmallRng::seed_from_u64(SEED + thread);
            while !stop.is_set() {
                let (from, to) = two(&mut random, load.hot as usize);
                let amount = random.random_range(1..=AMOUNT_MAX);
                tally.transfer(&bank, from, to, amount)?;
            }
            Ok(())
        },
    )?;
    Ok((bank, results))
}

/// Two different accounts of so many.
fn two(random: &mut SmallRng, accounts: usize) -> (usize, usize) {
    let from = random.random_range(0..accounts);
    let to = random.random_range(0..accounts - 1);
    (from, if to < from { to } else { to + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn two_accounts_are_any_two_and_never_one() {
        let mut random = SmallRng::seed_from_u64(SEED);
        let pairs: BTreeSet<_> = (0..1_000).map(|_| two(&mut random, 4)).collect();
        assert!(pairs.iter().all(|(from, to)| from != to));
        assert_eq!(pairs.len(), 12);
    }
}
