//! Mistakes to make on purpose, all of which have to be found.
//!
//! Some are ways in which an engine could be wrong; two are Deno's own behaviour where it was decided
//! not to copy it, because a difference that should be there is as much a promise as an agreement.

use crate::op::{Change, Cut, Expect, Mutation, Request, Row, Select, Write, Written};
use crate::ranks::Ranks;
use kvick::{Key, Kv, Value};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Planted {
    SumSaturates,
    MinOfNothingIsZero,
    MaxKeepsVersion,
    EqualSetKeepsVersion,
    LastMutationOnly,
    EmptyCommitMintsNothing,
    AnyVersionPasses,
    AbsenceUnchecked,
    ZerosMeanAbsent,
    OneFailedCheckListed,
    StartExcluded,
    EndIncluded,
    ReverseIgnored,
    V8AsBytes,
    RefusedInPart,
    PrefixLeft,
    VersionstampLeftOut,
    VersionstampOfBefore,
}

impl Planted {
    pub(crate) const ALL: [Self; 18] = [
        Self::SumSaturates,
        Self::MinOfNothingIsZero,
        Self::MaxKeepsVersion,
        Self::EqualSetKeepsVersion,
        Self::LastMutationOnly,
        Self::EmptyCommitMintsNothing,
        Self::AnyVersionPasses,
        Self::AbsenceUnchecked,
        Self::ZerosMeanAbsent,
        Self::OneFailedCheckListed,
        Self::StartExcluded,
        Self::EndIncluded,
        Self::ReverseIgnored,
        Self::V8AsBytes,
        Self::RefusedInPart,
        Self::PrefixLeft,
        Self::VersionstampLeftOut,
        Self::VersionstampOfBefore,
    ];

    /// The mistake of this name.
    pub(crate) fn named(name: &str) -> Result<Self, String> {
        let mut all = Self::ALL.into_iter();
        all.find(|planted| format!("{planted:?}") == name)
            .ok_or_else(|| format!("no mistake is called {name}; there are {:?}", Self::ALL))
    }

    /// The operation that is done instead.
    pub(crate) fn write(self, kv: &Kv, write: &Write, ranks: &Ranks) -> Write {
        let mut write = write.clone();
        let now = |key: &Key| kv.get(key).ok();
        let number = |key: &Key| now(key)?.as_u64();
        match self {
            Self::SumSaturates => alter(&mut write, |key, change| match *change {
                Change::Sum(operand) if number(key)?.checked_add(operand).is_none() => {
                    Some(Change::Set(Value::U64(u64::MAX)))
                }
                _ => None,
            }),
            Self::MinOfNothingIsZero => alter(&mut write, |key, change| match change {
                Change::Min(_) if now(key)?.is_missing() => Some(Change::Set(Value::U64(0))),
                _ => None,
            }),
            Self::MaxKeepsVersion => leave_out(&mut write, |key, change| match *change {
                Change::Max(operand) => number(key).is_some_and(|now| now >= operand),
                _ => false,
            }),
            Self::EqualSetKeepsVersion => leave_out(&mut write, |key, change| match change {
                Change::Set(value) => now(key).is_some_and(|now| now.value() == Some(value)),
                _ => false,
            }),
            Self::VersionstampLeftOut => alter(&mut write, |_, change| match change {
                Change::SetVersionstamped(value) => Some(Change::Set(value.clone())),
                _ => None,
            }),
            Self::VersionstampOfBefore => {
                let before = kv.versionstamp();
                for Mutation { key, change } in &mut write.mutations {
                    if let Change::SetVersionstamped(value) = change {
                        (*key, *change) = (key.join(before), Change::Set(value.clone()));
                    }
                }
            }
            Self::LastMutationOnly => {
                let all = write.mutations.clone();
                let mut index = 0;
                write.mutations.retain(|mutation| {
                    index += 1;
                    all[index..].iter().all(|later| later.key != mutation.key)
                });
            }
            Self::AnyVersionPasses | Self::AbsenceUnchecked => {
                let passing = |key: &Key| match now(key)?.versionstamp() {
                    None => Some(Expect::Absent),
                    Some(stamp) => ranks.rank(stamp.to_bytes()).map(Expect::At),
                };
                for check in &mut write.checks {
                    check.expect = match (self, check.expect, passing(&check.key)) {
                        (Self::AnyVersionPasses, Expect::At(_), Some(at @ Expect::At(_)))
                        | (Self::AbsenceUnchecked, Expect::Absent, Some(at)) => at,
                        (_, expect, _) => expect,
                    };
                }
            }
            Self::ZerosMeanAbsent => {
                for check in &mut write.checks {
                    if matches!(check.expect, Expect::Zeros) {
                        check.expect = Expect::Absent;
                    }
                }
            }
            _ => {}
        }
        write
    }

    /// What is said of it instead. `commit` does more.
    pub(crate) fn written(
        self,
        write: &Write,
        written: Written,
        ranks: &Ranks,
        commit: impl Fn(&Write) -> Written,
    ) -> Written {
        match (self, written) {
            (Self::EmptyCommitMintsNothing, Written::Committed(_))
                if write.mutations.is_empty() =>
            {
                Written::Committed(ranks.latest())
            }
            (Self::OneFailedCheckListed, Written::Conflict(mut failed)) => {
                failed.truncate(1);
                Written::Conflict(failed)
            }
            (Self::RefusedInPart, Written::Refused(why)) => {
                let lengths = (0..write.mutations.len()).rev();
                let mut outcomes = lengths.map(|length| commit(&write.beginning(length)));
                outcomes.find(|outcome| matches!(outcome, Written::Committed(_)));
                Written::Refused(why)
            }
            (_, written) => written,
        }
    }

    /// What is read instead.
    pub(crate) fn request(self, request: &Request) -> Request {
        let mut request = request.clone();
        match (self, &mut request.select) {
            (Self::StartExcluded, Select::Between { start, .. }) => start.push(0),
            (Self::EndIncluded, Select::Between { end, .. }) => end.push(0),
            (Self::ReverseIgnored, _) => request.reverse = false,
            (
                Self::PrefixLeft,
                Select::Below {
                    cut: Cut::From(_), ..
                },
            ) => {
                let (start, end) = request.select.interval();
                request.select = Select::Between { start, end };
            }
            _ => {}
        }
        request
    }

    /// What is said of these rows instead.
    pub(crate) fn rows(self, rows: &mut [Row]) {
        if self != Self::V8AsBytes {
            return;
        }
        for row in rows {
            if let Value::V8(bytes) = &row.value {
                row.value = Value::Bytes(bytes.clone());
            }
        }
    }
}

/// Puts what `alter` gives in the place of changes, of those that are alone on their key.
fn alter(write: &mut Write, alter: impl Fn(&Key, &Change) -> Option<Change>) {
    let all = write.mutations.clone();
    for mutation in &mut write.mutations {
        if is_alone(mutation, &all)
            && let Some(change) = alter(&mutation.key, &mutation.change)
        {
            mutation.change = change;
        }
    }
}

/// Leaves changes out, of those that are alone on their key.
fn leave_out(write: &mut Write, leave_out: impl Fn(&Key, &Change) -> bool) {
    let all = write.mutations.clone();
    let mutations = &mut write.mutations;
    mutations.retain(|mutation| {
        !is_alone(mutation, &all) || !leave_out(&mutation.key, &mutation.change)
    });
}

fn is_alone(mutation: &Mutation, all: &[Mutation]) -> bool {
    all.iter().filter(|other| other.key == mutation.key).count() == 1
}
