//! `denokv_sqlite` in memory: Deno KV itself, with one worker, as Deno opens it.

use crate::keys::{self, Encoded};
use crate::store::{Listed, Op, Pair, Store, balance, with_balance};
use denokv_proto::{
    AtomicWrite, AtomicWriteOutcome, Check, Consistency, KvEntry, KvValue, Mutation, MutationKind,
    ReadRange, ReadRangeOutput, SnapshotReadOptions,
};
use denokv_sqlite::{Connection, Sqlite, SqliteConfig, SqliteNotifier};
use futures_lite::future::block_on;
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::num::NonZeroU32;

/// How many keys are set at once to fill the store.
const FILL_BATCH: usize = 1_000;

pub(crate) struct DenokvSqlite {
    sqlite: Sqlite,
    end: Encoded,
}

impl DenokvSqlite {
    fn read(&self, requests: Vec<ReadRange>) -> Vec<ReadRangeOutput> {
        let options = SnapshotReadOptions {
            consistency: Consistency::Strong,
        };
        block_on(self.sqlite.snapshot_read(requests, options)).expect("SQLite reads")
    }

    /// Whether the checks held.
    fn write(&self, checks: Vec<Check>, mutations: Vec<Mutation>) -> bool {
        let write = AtomicWrite {
            checks,
            mutations,
            enqueues: Vec::new(),
        };
        let outcome = block_on(self.sqlite.atomic_write(write)).expect("SQLite writes");
        matches!(outcome, AtomicWriteOutcome::Committed(_))
    }
}

/// A range of one key.
fn one(key: &[u8]) -> ReadRange {
    ReadRange {
        start: key.to_vec(),
        end: [key, &[0]].concat(),
        limit: NonZeroU32::MIN,
        reverse: false,
    }
}

fn entries(outputs: &[ReadRangeOutput]) -> impl Iterator<Item = &KvEntry> {
    outputs.iter().flat_map(|output| &output.entries)
}

fn bytes(entry: &KvEntry) -> &[u8] {
    match &entry.value {
        KvValue::Bytes(bytes) | KvValue::V8(bytes) => bytes,
        KvValue::U64(_) => &[],
    }
}

fn listed(outputs: &[ReadRangeOutput]) -> Listed {
    let mut listed = Listed::default();
    entries(outputs).for_each(|entry| listed.visit(bytes(entry)));
    listed
}

fn check(entry: &KvEntry) -> Check {
    Check {
        key: entry.key.clone(),
        versionstamp: Some(entry.versionstamp),
    }
}

fn mutation(key: &[u8], kind: MutationKind) -> Mutation {
    Mutation {
        key: key.to_vec(),
        kind,
        expire_at: None,
    }
}

fn set(key: &[u8], value: &[u8]) -> Mutation {
    mutation(key, MutationKind::Set(KvValue::Bytes(value.to_vec())))
}

impl Store for DenokvSqlite {
    const NAME: &'static str = "denokv_sqlite";
    const CAN: &'static [Op] = &[Op::Modify, Op::Transfer, Op::Count, Op::GetMany, Op::List];

    /// `SQLite` is C.
    const IS_COUNTED: bool = false;

    type Key = Encoded;

    fn open(_size: u32) -> Self {
        let sqlite = Sqlite::new(
            || {
                let connection = Connection::open_in_memory().expect("SQLite opens");
                Ok((connection, Box::new(StdRng::from_entropy())))
            },
            SqliteNotifier::default(),
            SqliteConfig {
                num_workers: 1,
                batch_timeout: None,
            },
        );
        Self {
            sqlite: sqlite.expect("SQLite opens"),
            end: keys::end(),
        }
    }

    fn key(encoded: &Encoded) -> Encoded {
        *encoded
    }

    fn look<R>(&self, key: &Encoded, look: impl FnOnce(&[u8]) -> R) -> Option<R> {
        let read = self.read(vec![one(key)]);
        entries(&read).next().map(|entry| look(bytes(entry)))
    }

    fn set(&self, key: &Encoded, value: &[u8]) {
        self.write(Vec::new(), vec![set(key, value)]);
    }

    fn delete(&self, key: &Encoded) {
        self.write(Vec::new(), vec![mutation(key, MutationKind::Delete)]);
    }

    fn fill(&self, keys: impl Iterator<Item = Encoded>, value: &[u8]) {
        let mut keys = keys.peekable();
        while keys.peek().is_some() {
            let batch = keys.by_ref().take(FILL_BATCH);
            self.write(Vec::new(), batch.map(|key| set(&key, value)).collect());
        }
    }

    fn modify(&self, key: &Encoded, value: &mut [u8]) {
        loop {
            let read = self.read(vec![one(key)]);
            let entry = entries(&read).next().expect("every key is set");
            let value = with_balance(value, balance(bytes(entry)).wrapping_add(1));
            if self.write(vec![check(entry)], vec![set(key, value)]) {
                return;
            }
        }
    }

    fn transfer(&self, from: &Encoded, to: &Encoded, [less, more]: &mut Pair) {
        loop {
            let read = self.read(vec![one(from), one(to)]);
            let entries: Vec<_> = entries(&read).collect();
            let [from_entry, to_entry] = entries[..] else {
                unreachable!("every key is set");
            };
            let less = with_balance(less, balance(bytes(from_entry)).wrapping_sub(1));
            let more = with_balance(more, balance(bytes(to_entry)).wrapping_add(1));
            let checks = vec![check(from_entry), check(to_entry)];
            if self.write(checks, vec![set(from, less), set(to, more)]) {
                return;
            }
        }
    }

    fn count(&self, key: &Encoded) {
        let sum = MutationKind::Sum {
            value: KvValue::U64(1),
            min_v8: Vec::new(),
            max_v8: Vec::new(),
            clamp: false,
        };
        self.write(Vec::new(), vec![mutation(key, sum)]);
    }

    fn counted(&self, key: &Encoded) -> u64 {
        let read = self.read(vec![one(key)]);
        let number = entries(&read).find_map(|entry| match entry.value {
            KvValue::U64(number) => Some(number),
            _ => None,
        });
        number.unwrap_or(0)
    }

    fn get_many(&self, keys: &[Encoded]) -> Listed {
        listed(&self.read(keys.iter().map(|key| one(key)).collect()))
    }

    fn list(&self, start: &Encoded, limit: usize) -> Listed {
        let limit = u32::try_from(limit).ok().and_then(NonZeroU32::new);
        let range = ReadRange {
            start: start.to_vec(),
            end: self.end.to_vec(),
            limit: limit.expect("a list has a limit"),
            reverse: false,
        };
        listed(&self.read(vec![range]))
    }
}

impl Drop for DenokvSqlite {
    fn drop(&mut self) {
        self.sqlite.close();
    }
}
