//! Pairs: kvick and a peer, in rounds.
//!
//! In each round the one runs right after the other, and who begins takes turns, so that a machine
//! that gets slower or faster does so for both. For each pair and size there are two fresh stores,
//! of the same age throughout, and no others.

use crate::cell::{Cell, Round};
use crate::draw::{Distribution, Zipf};
use crate::peers::{Kvick, Visit};
use crate::session::Session;
use crate::slice::{self, Task};
use crate::store::Store;
use crate::subject::{Subject, value};
use crate::workload::{Case, Workload};
use std::io;
use std::sync::Arc;

/// Of a small store, a quarter of its size is inserted before there is a time to be taken: each
/// batch goes into a fresh one.
const FRESH_BELOW: u32 = 20_000;

/// A pair that is to be measured. The cases have values of the same length.
pub(crate) struct Pair<'a> {
    pub(crate) session: &'a mut Session,
    pub(crate) cases: &'a [Case],
    pub(crate) value_bytes: u32,
    pub(crate) keys: u32,
    pub(crate) zipf: &'a Arc<Zipf>,
}

impl Visit<io::Result<()>> for Pair<'_> {
    fn visit<S: Store>(self) -> io::Result<()> {
        let (keys, session) = (self.keys, self.session);
        session.doing(&format!("{keys} keys in {}", S::NAME));
        let kvick = Subject::<Kvick>::filled(keys, value(self.value_bytes));
        let peer = Subject::<S>::filled(keys, value(self.value_bytes));
        for case in self.cases {
            if is_measured::<S>(*case, keys) {
                session.doing(&format!("{case} of {keys} in {}", S::NAME));
                let task = task(*case, keys, session, self.zipf);
                let rounds = rounds(&kvick, &peer, &task, session.plan.rounds);
                session.report(Cell {
                    value_bytes: case.value_bytes,
                    distribution: case.distribution().to_owned(),
                    threads: case.threads,
                    ..Cell::new(&case.to_string(), keys, S::NAME, &rounds)
                })?;
            }
            session.done();
        }
        Ok(())
    }
}

/// Two threads have no fresh store in common.
fn is_measured<S: Store>(case: Case, keys: u32) -> bool {
    let is_fresh = case.workload == Workload::InsertNew && keys < FRESH_BELOW;
    case.workload.can_be_asked_of::<S>() && !(is_fresh && case.threads > 1)
}

fn task(case: Case, keys: u32, session: &Session, zipf: &Arc<Zipf>) -> Task {
    let distribution = if case.zipf {
        Distribution::Zipf(Arc::clone(zipf))
    } else {
        Distribution::Uniform(keys)
    };
    let insert_max = match case.workload {
        Workload::InsertNew if keys < FRESH_BELOW => 0,
        // One slice before the first round, too.
        Workload::InsertNew => keys / 4 / (session.plan.rounds + 1),
        _ => keys / 4,
    };
    Task {
        workload: case.workload,
        distribution,
        threads: case.threads,
        time: session.plan.slice,
        insert_max,
    }
}

pub(crate) fn rounds<S: Store>(
    kvick: &Subject<Kvick>,
    peer: &Subject<S>,
    task: &Task,
    count: u32,
) -> Vec<Round> {
    let warm_up = Task {
        time: task.time / 4,
        ..task.clone()
    };
    slice::run(kvick, &warm_up);
    slice::run(peer, &warm_up);
    let rounds = (0..count).map(|round| {
        let is_kvick_first = round % 2 == 0;
        let first = is_kvick_first.then(|| slice::run(kvick, task));
        let theirs = slice::run(peer, task);
        (first.unwrap_or_else(|| slice::run(kvick, task)), theirs)
    });
    let rounds = rounds.collect();
    kvick.forget_inserted();
    peer.forget_inserted();
    rounds
}
