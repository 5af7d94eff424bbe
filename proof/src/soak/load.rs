//! The load beside the histories.

use kvick::{Kv, Range, Snapshot, Transacted, Update};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use std::collections::VecDeque;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};

/// Entries that come and go.
const KEYS: u32 = 20_000;

/// Some of them do not lie inline.
const VALUE_BYTES_MAX: usize = 4_000;

const ACCOUNTS: u32 = 500;
const BALANCE: u64 = 1_000;

/// Snapshots that each of them holds, the oldest for as many operations as it takes to open the others.
const SNAPSHOTS: usize = 20;

/// What the load has done.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Loaded {
    pub(crate) operations: u64,
    pub(crate) audits: u64,
    /// Snapshots in which the accounts did not add up.
    pub(crate) violations: u64,
}

impl Loaded {
    pub(crate) fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.audits += other.audits;
        self.violations += other.violations;
    }
}

pub(crate) struct Load<'a> {
    kv: &'a Kv,
    random: SmallRng,
    snapshots: VecDeque<Snapshot>,
    loaded: Loaded,
}

/// Opens the accounts.
pub(crate) fn open_accounts(kv: &Kv) {
    let mut opening = kv.atomic();
    for account in 0..ACCOUNTS {
        opening.set(("account", account), BALANCE);
    }
    let opened = opening.commit().expect("so many are within the limits");
    assert!(opened.versionstamp().is_some(), "nothing is checked");
}

impl<'a> Load<'a> {
    pub(crate) fn new(kv: &'a Kv) -> Self {
        Self {
            kv,
            random: SmallRng::seed_from_u64(rand::random()),
            snapshots: VecDeque::new(),
            loaded: Loaded::default(),
        }
    }

    /// Goes on until it is over. Several may, so that snapshots are taken in the middle of transfers.
    pub(crate) fn run(mut self, is_over: &AtomicBool) -> Loaded {
        while !is_over.load(Ordering::Relaxed) {
            self.step().expect("nothing here is refused");
            self.loaded.operations += 1;
        }
        self.loaded
    }

    fn step(&mut self) -> kvick::Result<()> {
        let key = ("soak", self.random.random_range(0..KEYS));
        match self.random.random_range(0..1_000) {
            0..400 => {
                let length = self.random.random_range(0..VALUE_BYTES_MAX);
                self.kv.set(key, vec![b'v'; length])?;
            }
            400..600 => {
                self.kv.delete(key)?;
            }
            600..850 => self.transfer()?,
            850..950 => {
                let _ = self.kv.update(("counter", key.1 % 10), |entry| {
                    Update::set(entry.as_u64().unwrap_or(0) + 1)
                })?;
            }
            950..990 => {
                self.kv.list(("soak",)).limit(100).entries()?.for_each(drop);
            }
            990..998 => self.hold()?,
            998 => {
                let range = Range::new(("soak", key.1), ("soak", key.1 + 200));
                self.kv.delete_range(range)?;
            }
            _ => self.abandon()?,
        }
        Ok(())
    }

    fn transfer(&mut self) -> kvick::Result<()> {
        let mut draw = || ("account", self.random.random_range(0..ACCOUNTS));
        let (from, to) = (draw(), draw());
        let transacted = self.kv.transact(|tx| {
            let balance = tx.get(from)?.as_u64().unwrap_or(0);
            if from == to || balance == 0 {
                return tx.abort("nothing to transfer");
            }
            tx.set(from, balance - 1);
            tx.sum(to, 1);
            Ok(())
        })?;
        debug_assert!(!matches!(transacted, Transacted::Exhausted { .. }));
        Ok(())
    }

    /// Opens a snapshot, and lets go of the oldest of many.
    fn hold(&mut self) -> kvick::Result<()> {
        self.snapshots.push_back(self.kv.snapshot());
        if self.snapshots.len() > SNAPSHOTS
            && let Some(oldest) = self.snapshots.pop_front()
        {
            let mut total = 0;
            oldest.list(("account",)).for_each(|entry| {
                total += entry.as_u64().unwrap_or(0);
            })?;
            self.loaded.audits += 1;
            let is_whole = total == BALANCE * u64::from(ACCOUNTS);
            self.loaded.violations += u64::from(!is_whole);
        }
        Ok(())
    }

    /// A list that is not read to its end, and an iterator that is dropped half-way.
    fn abandon(&mut self) -> kvick::Result<()> {
        let flow = self.kv.list(("soak",)).try_for_each(|entry| {
            if entry.key_bytes().len() > 6 {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        })?;
        debug_assert!(flow.is_break() || flow.is_continue());
        let entries = self.kv.list(("soak",)).batch_size(10).entries()?;
        drop(entries.take(25).collect::<Vec<_>>());
        Ok(())
    }
}
