//! What both engines are asked, and what they answer.

use crate::ranks::{Rank, Stamp};
use kvick::{Key, Value};
use std::num::NonZeroU32;

#[derive(Clone, Debug)]
pub(crate) enum Op {
    Write(Write),
    /// All of one moment.
    Read(Vec<Request>),
}

/// An atomic operation.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) checks: Vec<Check>,
    pub(crate) mutations: Vec<Mutation>,
}

#[derive(Clone, Debug)]
pub(crate) struct Check {
    pub(crate) key: Key,
    pub(crate) expect: Expect,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Expect {
    Absent,
    /// As that commit left it.
    At(Rank),
    /// The versionstamp of no commit: all zeros.
    Zeros,
}

#[derive(Clone, Debug)]
pub(crate) struct Mutation {
    pub(crate) key: Key,
    pub(crate) change: Change,
}

#[derive(Clone, Debug)]
pub(crate) enum Change {
    Set(Value),
    Delete,
    Sum(u64),
    Min(u64),
    Max(u64),
    SumOf(Sum),
    /// Sets the key that ends in the versionstamp of the commit, and begins like the one that is named.
    SetVersionstamped(Value),
}

/// A sum of V8 values.
#[derive(Clone, Debug)]
pub(crate) struct Sum {
    pub(crate) operand: Value,
    pub(crate) min: Option<Value>,
    pub(crate) max: Option<Value>,
    pub(crate) is_clamped: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) select: Select,
    pub(crate) limit: NonZeroU32,
    pub(crate) reverse: bool,
    /// How many entries kvick reads at a time, which nobody is to notice.
    pub(crate) batch: Option<usize>,
}

/// Which keys are read.
#[derive(Clone, Debug)]
pub(crate) enum Select {
    One(Key),
    /// From `start`, included, to `end`, excluded.
    Between {
        start: Vec<u8>,
        end: Vec<u8>,
    },
    Below {
        prefix: Key,
        cut: Cut,
    },
}

/// What is left out of the keys below a prefix.
#[derive(Clone, Debug)]
pub(crate) enum Cut {
    Nothing,
    Before(Key),
    From(Key),
}

/// What became of an atomic operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Written {
    Committed(Stamp),
    /// The checks that failed, by index.
    Conflict(Vec<usize>),
    /// The text says why.
    Refused(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) key: Vec<u8>,
    pub(crate) value: Value,
    pub(crate) stamp: Stamp,
}

/// The rows of each request, or why there are none.
pub(crate) type Read = Result<Vec<Vec<Row>>, String>;

impl Select {
    /// The keys from the first of these, included, to the second, excluded, as the runtime asks its
    /// engine for them.
    pub(crate) fn interval(&self) -> (Vec<u8>, Vec<u8>) {
        match self {
            Self::One(key) => (key.as_bytes().to_vec(), followed_by(key, 0x00)),
            Self::Between { start, end } => (start.clone(), end.clone()),
            Self::Below { prefix, cut } => {
                let (first, end) = (followed_by(prefix, 0x00), followed_by(prefix, 0xff));
                match cut {
                    Cut::Nothing => (first, end),
                    Cut::Before(start) => (start.as_bytes().to_vec(), end),
                    Cut::From(end) => (first, end.as_bytes().to_vec()),
                }
            }
        }
    }

    /// The bytes at which the keys below the prefix end, if there is one.
    pub(crate) fn end_of_prefix(&self) -> Option<Vec<u8>> {
        match self {
            Self::Below { prefix, .. } => Some(followed_by(prefix, 0xff)),
            Self::One(_) | Self::Between { .. } => None,
        }
    }
}

impl Request {
    /// Everything that there is.
    pub(crate) fn all() -> Self {
        Self {
            select: Select::Between {
                start: Vec::new(),
                end: vec![0xff; 4],
            },
            limit: NonZeroU32::MAX,
            reverse: false,
            batch: None,
        }
    }

    pub(crate) fn one(key: &Key) -> Self {
        Self {
            select: Select::One(key.clone()),
            limit: NonZeroU32::MIN,
            reverse: false,
            batch: None,
        }
    }
}

impl Write {
    pub(crate) fn has_versionstamped(&self) -> bool {
        let mut changes = self.mutations.iter().map(|mutation| &mutation.change);
        changes.any(|change| matches!(change, Change::SetVersionstamped(_)))
    }

    /// The keys that are mutated, each once.
    pub(crate) fn keys(&self) -> Vec<&Key> {
        let mut keys: Vec<_> = self
            .mutations
            .iter()
            .map(|mutation| &mutation.key)
            .collect();
        keys.sort_unstable();
        keys.dedup();
        keys
    }

    /// What reads everything that it may write: its keys, each once, and what is below those that
    /// begin others.
    pub(crate) fn written(&self) -> Vec<Request> {
        let mut requests: Vec<_> = self.keys().into_iter().map(Request::one).collect();
        for Mutation { key, change } in &self.mutations {
            if let Change::SetVersionstamped(_) = change {
                requests.push(Request {
                    select: Select::Below {
                        prefix: key.clone(),
                        cut: Cut::Nothing,
                    },
                    ..Request::all()
                });
            }
        }
        requests
    }

    /// The first of the mutations, unchecked.
    pub(crate) fn beginning(&self, count: usize) -> Self {
        Self {
            checks: Vec::new(),
            mutations: self.mutations[..count].to_vec(),
        }
    }
}

fn followed_by(key: &Key, last: u8) -> Vec<u8> {
    [key.as_bytes(), &[last]].concat()
}
