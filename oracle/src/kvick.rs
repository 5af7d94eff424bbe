//! kvick, with or without a mistake made on purpose.

use crate::op::{self, Change, Cut, Expect, Mutation, Read, Request, Row, Select, Write, Written};
use crate::plant::Planted;
use crate::ranks::{Ranks, Stamp};
use ::kvick::{Entry, Key, Kv, List, Outcome, Range, Result, Snapshot, Sum, Versionstamp};
use std::borrow::Cow;

pub(crate) struct Kvick {
    kv: Kv,
    planted: Option<Planted>,
}

impl Kvick {
    /// An empty database that makes the planted mistake.
    pub(crate) fn open(planted: Option<Planted>) -> Self {
        let kv = Kv::builder().background_sweep(false).build();
        Self { kv, planted }
    }

    pub(crate) fn sweep(&self) {
        self.kv.sweep();
    }

    /// What is there now, to be compared with what is there later.
    pub(crate) fn snapshot(&self) -> Snapshot {
        self.kv.snapshot()
    }

    pub(crate) fn write(&self, write: &Write, ranks: &Ranks) -> Written {
        let Some(planted) = self.planted else {
            return commit(&self.kv, write, ranks);
        };
        let altered = planted.write(&self.kv, write, ranks);
        let written = commit(&self.kv, &altered, ranks);
        planted.written(&altered, written, ranks, |write| {
            commit(&self.kv, write, ranks)
        })
    }

    /// Reads in the way that suits: several keys as such, one range from the database, and anything
    /// else from a snapshot.
    pub(crate) fn read(&self, requests: &[Request]) -> Read {
        let requests: Cow<'_, [Request]> = match self.planted {
            Some(planted) => requests
                .iter()
                .map(|request| planted.request(request))
                .collect(),
            None => requests.into(),
        };
        let rows = match (keys(&requests), &requests[..]) {
            (Some(keys), _) => self.kv.get_many(keys).map(|entries| {
                let rows = entries
                    .into_iter()
                    .map(|entry| row(entry).into_iter().collect());
                rows.collect()
            }),
            (None, [request]) => {
                range_rows(request, |range| self.kv.list(range)).map(|rows| vec![rows])
            }
            (None, requests) => rows(&self.kv.snapshot(), requests),
        };
        let mut rows: Vec<Vec<Row>> = rows.map_err(|error| error.to_string())?;
        if let Some(planted) = self.planted {
            for rows in &mut rows {
                planted.rows(rows);
            }
        }
        Ok(rows)
    }
}

/// The keys of requests that are for one key each.
fn keys(requests: &[Request]) -> Option<Vec<&Key>> {
    let keys = requests.iter().map(|request| match &request.select {
        Select::One(key) => Some(key),
        Select::Between { .. } | Select::Below { .. } => None,
    });
    keys.collect()
}

/// What a snapshot holds of each request.
pub(crate) fn rows(snapshot: &Snapshot, requests: &[Request]) -> Result<Vec<Vec<Row>>> {
    let rows = requests.iter().map(|request| match &request.select {
        Select::One(key) => Ok(row(snapshot.get(key)?).into_iter().collect()),
        _ => range_rows(request, |range| snapshot.list(range)),
    });
    rows.collect()
}

fn range_rows<'a>(request: &Request, list: impl Fn(Range) -> List<'a>) -> Result<Vec<Row>> {
    let list = list(match &request.select {
        Select::One(key) => Range::raw(key.as_bytes().to_vec(), [key.as_bytes(), &[0]].concat()),
        Select::Between { start, end } => Range::raw(start.clone(), end.clone()),
        Select::Below { prefix, cut } => match cut {
            Cut::Nothing => Range::prefix(prefix),
            Cut::Before(start) => Range::prefix(prefix).start(start),
            Cut::From(end) => Range::prefix(prefix).end(end),
        },
    });
    let limit = usize::try_from(request.limit.get()).unwrap_or(usize::MAX);
    let mut list = list.limit(limit);
    if request.reverse {
        list = list.reverse();
    }
    if let Some(batch) = request.batch {
        list = list.batch_size(batch);
    }
    Ok(list.entries()?.filter_map(row).collect())
}

fn row(entry: Entry) -> Option<Row> {
    Some(Row {
        key: entry.key().as_bytes().to_vec(),
        stamp: entry.versionstamp()?.to_bytes(),
        value: entry.into_value()?,
    })
}

fn as_user(sum: &op::Sum) -> Sum<'static> {
    let mut said = Sum::encoded(sum.operand.clone());
    if let Some(min) = &sum.min {
        said = said.at_least(min.clone());
    }
    if let Some(max) = &sum.max {
        said = said.at_most(max.clone());
    }
    if sum.is_clamped { said.clamped() } else { said }
}

/// Commits it; a change alone, without a check, in the way that is there for it.
fn commit(kv: &Kv, write: &Write, ranks: &Ranks) -> Written {
    if let (true, [Mutation { key, change }]) = (write.checks.is_empty(), &write.mutations[..]) {
        let committed = match change {
            Change::Set(value) => Some(kv.set(key, value)),
            Change::Delete => Some(kv.delete(key)),
            Change::SetVersionstamped(value) => Some(kv.set_versionstamped(key, value)),
            Change::Sum(_) | Change::Min(_) | Change::Max(_) | Change::SumOf(_) => None,
        };
        match committed {
            Some(Ok(versionstamp)) => return Written::Committed(versionstamp.to_bytes()),
            Some(Err(error)) => return Written::Refused(error.to_string()),
            None => {}
        }
    }
    let mut operation = kv.atomic();
    for check in &write.checks {
        let key = &check.key;
        let stamp = |stamp: Stamp| Versionstamp::from_bytes(stamp);
        match check.expect {
            Expect::Absent => operation.check_absent(key),
            Expect::At(rank) => operation.check_versionstamp(key, stamp(ranks.stamp(rank))),
            Expect::Zeros => operation.check_versionstamp(key, stamp([0; 10])),
        };
    }
    for mutation in &write.mutations {
        let key = &mutation.key;
        match &mutation.change {
            Change::Set(value) => operation.set(key, value),
            Change::Delete => operation.delete(key),
            Change::Sum(operand) => operation.sum(key, *operand),
            Change::Min(operand) => operation.min(key, *operand),
            Change::Max(operand) => operation.max(key, *operand),
            Change::SumOf(sum) => operation.sum_with(key, as_user(sum)),
            Change::SetVersionstamped(value) => operation.set_versionstamped(key, value),
        };
    }
    match operation.commit() {
        Ok(Outcome::Committed { versionstamp }) => Written::Committed(versionstamp.to_bytes()),
        Ok(Outcome::Conflict { failed_checks }) => Written::Conflict(failed_checks),
        Err(error) => Written::Refused(error.to_string()),
    }
}
