//! The bodies of requests, and what is read of answers.

use denokv_proto::datapath::{
    AtomicWrite, AtomicWriteOutput, AtomicWriteStatus, Check, KvEntry, KvValue, Mutation,
    MutationType, ReadRange, SnapshotRead, SnapshotReadOutput, SnapshotReadStatus, ValueEncoding,
};
use prost::Message;

/// The bytes of a value: eight that say whose it is, eight that say which, and others.
pub(crate) const VALUE_BYTES: usize = 100;

const FILLER: u8 = b'k';

/// What keys begin with: one part of a tuple, a text. The number is a second one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Values,
    Accounts,
}

impl Family {
    fn prefix(self) -> &'static [u8] {
        match self {
            Self::Values => b"\x02values\0",
            Self::Accounts => b"\x02accounts\0",
        }
    }

    pub(crate) fn key(self, index: u32) -> Vec<u8> {
        let mut key = self.prefix().to_vec();
        key.extend(format!("\x02{index:06}\0").bytes());
        key
    }

    /// What asks for so many, from one on.
    pub(crate) fn list(self, from: u32, count: u32) -> Vec<u8> {
        let mut end = self.prefix().to_vec();
        end.push(0xff);
        read(vec![ReadRange {
            start: self.key(from),
            end,
            limit: i32::try_from(count).unwrap_or(i32::MAX),
            reverse: false,
        }])
    }
}

fn read(ranges: Vec<ReadRange>) -> Vec<u8> {
    SnapshotRead { ranges }.encode_to_vec()
}

/// What asks for some keys.
pub(crate) fn get(keys: impl IntoIterator<Item = Vec<u8>>) -> Vec<u8> {
    let range = |start: Vec<u8>| ReadRange {
        end: [&start[..], &[0]].concat(),
        start,
        limit: 1,
        reverse: false,
    };
    read(keys.into_iter().map(range).collect())
}

/// What sets keys, if those that were read are as they were then.
pub(crate) fn set(read: Vec<KvEntry>, to: impl IntoIterator<Item = (Vec<u8>, Vec<u8>)>) -> Vec<u8> {
    let check = |entry: KvEntry| Check {
        key: entry.key,
        versionstamp: entry.versionstamp,
    };
    let mutation = |(key, data)| Mutation {
        key,
        value: Some(KvValue {
            data,
            encoding: ValueEncoding::VeBytes.into(),
        }),
        mutation_type: MutationType::MSet.into(),
        ..Mutation::default()
    };
    let write = AtomicWrite {
        checks: read.into_iter().map(check).collect(),
        mutations: to.into_iter().map(mutation).collect(),
        enqueues: Vec::new(),
    };
    write.encode_to_vec()
}

/// The value of a key.
pub(crate) fn value(index: u32, which: u64) -> Vec<u8> {
    let mut value = u64::from(index).to_be_bytes().to_vec();
    value.extend(which.to_be_bytes());
    value.resize(VALUE_BYTES, FILLER);
    value
}

/// Whether it is one of this key.
pub(crate) fn is_value_of(index: u32, value: &[u8]) -> bool {
    let expected = self::value(index, 0);
    value.len() == VALUE_BYTES && value[..8] == expected[..8] && value[16..] == expected[16..]
}

/// The entries of each range of an answer.
pub(crate) fn entries(answer: &[u8]) -> Result<Vec<Vec<KvEntry>>, String> {
    let output = SnapshotReadOutput::decode(answer).map_err(|error| error.to_string())?;
    let is_fine = output.status == SnapshotReadStatus::SrSuccess as i32
        && output.read_is_strongly_consistent
        && !output.read_disabled;
    if !is_fine {
        return Err(format!("a read was answered by {output:?}"));
    }
    let ranges = output.ranges.into_iter();
    Ok(ranges.map(|range| range.values).collect())
}

/// Whether a write was done; otherwise its checks have failed.
pub(crate) fn is_committed(answer: &[u8]) -> Result<bool, String> {
    let output = AtomicWriteOutput::decode(answer).map_err(|error| error.to_string())?;
    match AtomicWriteStatus::try_from(output.status) {
        Ok(AtomicWriteStatus::AwSuccess) if output.versionstamp.len() == STAMP_BYTES => Ok(true),
        Ok(AtomicWriteStatus::AwCheckFailure) => Ok(false),
        _ => Err(format!("a write was answered by {output:?}")),
    }
}

pub(crate) const STAMP_BYTES: usize = 10;
