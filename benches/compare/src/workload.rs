//! What is measured: the workloads and their variants, by the names that they have everywhere.

use crate::store::{Op, Store};
use std::fmt;

/// Of a hundred operations, so many read, update, insert, scan, and read to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mix {
    pub(crate) name: &'static str,
    pub(crate) read: u32,
    pub(crate) update: u32,
    pub(crate) insert: u32,
    pub(crate) scan: u32,
    pub(crate) modify: u32,
}

const NONE: Mix = Mix {
    name: "",
    read: 0,
    update: 0,
    insert: 0,
    scan: 0,
    modify: 0,
};

/// The mixes of YCSB. D is not there: it asks for the newest, and nothing here has a newest.
const YCSB: [Mix; 5] = [
    Mix {
        name: "ycsb_a",
        read: 50,
        update: 50,
        ..NONE
    },
    Mix {
        name: "ycsb_b",
        read: 95,
        update: 5,
        ..NONE
    },
    Mix {
        name: "ycsb_c",
        read: 100,
        ..NONE
    },
    Mix {
        name: "ycsb_e",
        scan: 95,
        insert: 5,
        ..NONE
    },
    Mix {
        name: "ycsb_f",
        read: 50,
        modify: 50,
        ..NONE
    },
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Workload {
    InsertNew,
    GetHit,
    GetMiss,
    GetBuilt,
    SetExisting,
    Delete,
    ReadCheckSet,
    Transfer,
    HotCounter,
    GetMany10,
    List100,
    List10000,
    Ycsb(Mix),
    ReadThrough(Form),
}

/// How what is missing comes into a cache.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// By one call, which has one caller load for all.
    GetOrLoad,
    /// By a get, and a set where it has found nothing.
    GetThenSet,
}

/// In the order of measuring, but for reading through, which has stores of its own: insertions come first, while the stores are fresh.
pub(crate) const ALL: [Workload; 17] = [
    Workload::InsertNew,
    Workload::GetHit,
    Workload::GetMiss,
    Workload::GetBuilt,
    Workload::SetExisting,
    Workload::Delete,
    Workload::ReadCheckSet,
    Workload::Transfer,
    Workload::HotCounter,
    Workload::GetMany10,
    Workload::List100,
    Workload::List10000,
    Workload::Ycsb(YCSB[0]),
    Workload::Ycsb(YCSB[1]),
    Workload::Ycsb(YCSB[2]),
    Workload::Ycsb(YCSB[3]),
    Workload::Ycsb(YCSB[4]),
];

impl Workload {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::InsertNew => "insert_new",
            Self::GetHit => "get_hit",
            Self::GetMiss => "get_miss",
            Self::GetBuilt => "get_built",
            Self::SetExisting => "set_existing",
            Self::Delete => "delete",
            Self::ReadCheckSet => "read_check_set",
            Self::Transfer => "transfer",
            Self::HotCounter => "hot_counter",
            Self::GetMany10 => "get_many_10",
            Self::List100 => "list_100",
            Self::List10000 => "list_10000",
            Self::Ycsb(mix) => mix.name,
            Self::ReadThrough(Form::GetOrLoad) => "get_or_load",
            Self::ReadThrough(Form::GetThenSet) => "get_then_set",
        }
    }

    /// What a subject must be able to do.
    fn needs(self) -> Option<Op> {
        match self {
            Self::ReadCheckSet => Some(Op::Modify),
            Self::Transfer => Some(Op::Transfer),
            Self::HotCounter => Some(Op::Count),
            Self::GetMany10 => Some(Op::GetMany),
            Self::List100 | Self::List10000 => Some(Op::List),
            Self::Ycsb(mix) if mix.scan > 0 => Some(Op::List),
            Self::Ycsb(mix) if mix.modify > 0 => Some(Op::Modify),
            Self::ReadThrough(_) => Some(Op::Load),
            _ => None,
        }
    }

    pub(crate) fn can_be_asked_of<S: Store>(self) -> bool {
        self.needs().is_none_or(|op| S::CAN.contains(&op))
    }

    /// How many operations are timed at once: so many that reading the clock does not count, and so
    /// few that their keys stay in the first level of the cache.
    pub(crate) fn batch(self) -> u32 {
        match self {
            Self::GetMany10 | Self::List100 => 32,
            Self::Ycsb(mix) if mix.scan > 0 => 32,
            Self::List10000 => 4,
            _ => 256,
        }
    }

    /// Whether it makes a difference which entries are asked for how often. YCSB says it itself.
    fn has_distributions(self) -> bool {
        matches!(
            self,
            Self::GetHit
                | Self::SetExisting
                | Self::ReadCheckSet
                | Self::Transfer
                | Self::GetMany10
                | Self::List100
        )
    }

    pub(crate) fn is_ycsb(self) -> bool {
        matches!(self, Self::Ycsb(_))
    }
}

/// A workload, and how it is varied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Case {
    pub(crate) workload: Workload,
    pub(crate) zipf: bool,
    pub(crate) threads: u32,
    pub(crate) value_bytes: u32,
}

/// Values of the headline.
pub(crate) const SMALL: u32 = 100;

pub(crate) const LARGE: u32 = 1_024;

impl Case {
    pub(crate) fn plain(workload: Workload) -> Self {
        Self {
            workload,
            zipf: workload.is_ycsb(),
            threads: 1,
            value_bytes: SMALL,
        }
    }

    /// Every variant of every workload, the plain ones first among those of a length of values.
    pub(crate) fn all() -> Vec<Self> {
        let mut cases = Vec::new();
        for value_bytes in [SMALL, LARGE] {
            for threads in [1, 2] {
                for workload in ALL {
                    let case = Self {
                        threads,
                        value_bytes,
                        ..Self::plain(workload)
                    };
                    cases.push(case);
                    if workload.has_distributions() {
                        cases.push(Self { zipf: true, ..case });
                    }
                }
            }
        }
        cases
    }

    pub(crate) fn distribution(self) -> &'static str {
        if self.zipf { "zipf" } else { "uniform" }
    }
}

/// `get_hit`, `get_hit/zipf`, `get_hit/zipf/2t/1KiB`.
impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.workload.name())?;
        if self.zipf && !self.workload.is_ycsb() {
            f.write_str("/zipf")?;
        }
        if self.threads > 1 {
            write!(f, "/{}t", self.threads)?;
        }
        if self.value_bytes == LARGE {
            f.write_str("/1KiB")?;
        }
        Ok(())
    }
}
