//! When which backlog is to be looked at.
//!
//! A backlog in which something becomes due notes when. So whoever looks after the time finds the
//! backlogs that are to be looked at, however many others there are.
//!
//! The lock of the agenda is the very last in the order of locks, after those of the backlogs.

use crate::moment::Moment;
use crate::sync::Mutex;
use std::collections::BTreeSet;
use std::sync::Arc;

/// When a backlog is to be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Visit {
    /// Whenever anybody looks: somebody was called, who may not come, and others wait.
    Always,
    /// When something becomes due.
    At(Moment),
}

/// The names of backlogs, by when they are to be looked at: each once at most.
#[derive(Debug)]
pub(crate) struct Agenda {
    visits: Mutex<BTreeSet<(Visit, Arc<str>)>>,
}

impl Agenda {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            visits: Mutex::new(BTreeSet::new()),
        })
    }

    /// Those that are to be looked at now. They stay noted until they are.
    pub(crate) fn due(&self, now: Moment) -> Vec<Arc<str>> {
        let mut due = Vec::new();
        for (visit, name) in &*self.visits.lock() {
            if *visit > Visit::At(now) {
                break;
            }
            due.push(Arc::clone(name));
        }
        due
    }

    /// When the next one is to be.
    pub(crate) fn next(&self) -> Option<Visit> {
        let visits = self.visits.lock();
        visits.first().map(|(visit, _)| *visit)
    }
}

/// What a backlog has noted.
#[derive(Debug)]
pub(super) struct Note {
    agenda: Arc<Agenda>,
    name: Arc<str>,
    visit: Option<Visit>,
}

impl Note {
    /// Nothing yet, for the backlog of this name.
    pub(super) fn new(agenda: Arc<Agenda>, name: Arc<str>) -> Self {
        Self {
            agenda,
            name,
            visit: None,
        }
    }

    #[cfg(test)]
    pub(super) fn visit(&self) -> Option<Visit> {
        self.visit
    }

    /// Notes that the backlog is to be looked at then, if ever, and not when it said before.
    pub(super) fn set(&mut self, visit: Option<Visit>) {
        if self.visit == visit {
            return;
        }
        let entry = |visit| (visit, Arc::clone(&self.name));
        let (before, after) = (self.visit.map(entry), visit.map(entry));
        self.visit = visit;
        let mut visits = self.agenda.visits.lock();
        if let Some(before) = before {
            visits.remove(&before);
        }
        visits.extend(after);
    }

    /// Notes that the backlog is to be looked at then, if ever, unless it is before; whether it was
    /// not. What was noted and is not needed any more costs a look.
    pub(super) fn advance(&mut self, visit: Option<Visit>) -> bool {
        let is_earlier = visit.is_some_and(|visit| self.visit.is_none_or(|before| visit < before));
        if is_earlier {
            self.set(visit);
        }
        is_earlier
    }
}

impl Drop for Note {
    /// There is no such backlog any more.
    fn drop(&mut self) {
        self.set(None);
    }
}
