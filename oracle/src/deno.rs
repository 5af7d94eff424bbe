//! `denokv_sqlite` in memory, as Deno opens it: with one worker.
//!
//! It takes ranges of bytes. That a prefix is such a range is the doing of the runtime, which is
//! stood in for by [`Select::interval`](crate::op::Select::interval).

use crate::op::{Change, Check, Expect, Mutation, Read, Request, Row, Write, Written};
use crate::ranks::Ranks;
use denokv_proto::{
    AtomicWrite, AtomicWriteOutcome, Consistency, KvEntry, KvValue, MutationKind, ReadRange,
    SnapshotReadOptions,
};
use denokv_sqlite::{Connection, Sqlite, SqliteConfig, SqliteNotifier};
use futures_lite::future::block_on;
use kvick::{NewValue, Value};
use rand::SeedableRng;
use rand::rngs::StdRng;

pub(crate) struct Deno {
    sqlite: Sqlite,
}

impl Deno {
    /// An empty database. The gaps between its versionstamps are drawn from `seed`.
    pub(crate) fn open(seed: u64) -> Self {
        let sqlite = Sqlite::new(
            || {
                let connection = Connection::open_in_memory().expect("SQLite opens");
                Ok((connection, Box::new(StdRng::seed_from_u64(seed))))
            },
            SqliteNotifier::default(),
            SqliteConfig {
                num_workers: 1,
                batch_timeout: None,
            },
        );
        let sqlite = sqlite.expect("SQLite opens");
        Self { sqlite }
    }

    pub(crate) fn write(&self, write: &Write, ranks: &Ranks) -> Written {
        let checks = write.checks.iter().map(|check| self::check(check, ranks));
        let write = AtomicWrite {
            checks: checks.collect(),
            mutations: write.mutations.iter().map(mutation).collect(),
            enqueues: Vec::new(),
        };
        match block_on(self.sqlite.atomic_write(write)) {
            Ok(AtomicWriteOutcome::Committed(commit)) => Written::Committed(commit.versionstamp),
            Ok(AtomicWriteOutcome::CheckFailed { failed_checks }) => {
                let indexes = failed_checks.iter().map(|index| *index as usize);
                Written::Conflict(indexes.collect())
            }
            Err(error) => Written::Refused(error.to_string()),
        }
    }

    pub(crate) fn read(&self, requests: &[Request]) -> Read {
        let ranges = requests.iter().map(|request| {
            let (start, end) = request.select.interval();
            ReadRange {
                start,
                end,
                limit: request.limit,
                reverse: request.reverse,
            }
        });
        self.read_ranges(ranges.collect())
    }

    /// Reads one range again, but ends it no later than at `end`.
    pub(crate) fn read_up_to(&self, request: &Request, end: Vec<u8>) -> Read {
        let (start, said) = request.select.interval();
        self.read_ranges(vec![ReadRange {
            start,
            end: end.min(said),
            limit: request.limit,
            reverse: request.reverse,
        }])
    }

    fn read_ranges(&self, ranges: Vec<ReadRange>) -> Read {
        let options = SnapshotReadOptions {
            consistency: Consistency::Strong,
        };
        let outputs = block_on(self.sqlite.snapshot_read(ranges, options));
        let outputs = outputs.map_err(|error| error.to_string())?;
        let rows = outputs
            .into_iter()
            .map(|output| output.entries.into_iter().map(row).collect());
        Ok(rows.collect())
    }
}

impl Drop for Deno {
    fn drop(&mut self) {
        self.sqlite.close();
    }
}

fn check(check: &Check, ranks: &Ranks) -> denokv_proto::Check {
    denokv_proto::Check {
        key: check.key.as_bytes().to_vec(),
        versionstamp: match check.expect {
            Expect::Absent => None,
            Expect::At(rank) => Some(ranks.stamp(rank)),
            Expect::Zeros => Some([0; 10]),
        },
    }
}

fn mutation(mutation: &Mutation) -> denokv_proto::Mutation {
    let kind = match &mutation.change {
        Change::Set(set) => MutationKind::Set(value(set)),
        Change::Delete => MutationKind::Delete,
        Change::Sum(operand) => MutationKind::Sum {
            value: KvValue::U64(*operand),
            min_v8: Vec::new(),
            max_v8: Vec::new(),
            clamp: false,
        },
        Change::SumOf(sum) => MutationKind::Sum {
            value: value(&sum.operand),
            min_v8: bytes(sum.min.as_ref()),
            max_v8: bytes(sum.max.as_ref()),
            clamp: sum.is_clamped,
        },
        Change::SetVersionstamped(set) => MutationKind::SetSuffixVersionstampedKey(value(set)),
        Change::Min(operand) => MutationKind::Min(KvValue::U64(*operand)),
        Change::Max(operand) => MutationKind::Max(KvValue::U64(*operand)),
    };
    denokv_proto::Mutation {
        key: mutation.key.as_bytes().to_vec(),
        kind,
        expire_at: None,
    }
}

fn value(value: &Value) -> KvValue {
    match value {
        Value::Bytes(bytes) => KvValue::Bytes(bytes.to_vec()),
        Value::V8(bytes) => KvValue::V8(bytes.to_vec()),
        Value::U64(number) => KvValue::U64(*number),
    }
}

/// A bound, which is none where it is empty.
fn bytes(bound: Option<&Value>) -> Vec<u8> {
    bound
        .and_then(Value::as_v8)
        .map_or_else(Vec::new, <[u8]>::to_vec)
}

/// A bigint as V8 writes it, in whole words, and NaN as the one that JavaScript knows. Deno's engine
/// cuts the leading zeros off, and writes whichever NaN the processor comes to; V8 reads all of it.
fn canonical(value: Value) -> Value {
    match (value.as_bigint(), value.as_number()) {
        (Some(bigint), _) => NewValue::bigint(bigint).into(),
        (None, Some(number)) if number.is_nan() => NewValue::number(f64::NAN).into(),
        _ => value,
    }
}

fn row(entry: KvEntry) -> Row {
    Row {
        key: entry.key,
        value: match entry.value {
            KvValue::Bytes(bytes) => Value::Bytes(bytes.into()),
            KvValue::V8(bytes) => canonical(Value::V8(bytes.into())),
            KvValue::U64(number) => Value::U64(number),
        },
        stamp: entry.versionstamp,
    }
}
