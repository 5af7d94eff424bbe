//! When which backlog is to be looked at.
//!
//! A backlog in which something becomes due notes when. So whoever looks after the time finds the
//! backlogs that are to be looked at, however many others there are.
//!
//! The lock of the agenda is the very last in the order of locks, after those of the backlogs.

use crate::moment::Moment;
use crate::sync::Mutex;
use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

/// When a backlog is to be looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Visits {
    /// Whenever anybody looks: somebody was called, who may not come, and others wait.
    pub(crate) is_always: bool,
    /// When something becomes due.
    pub(crate) due: Option<Moment>,
}

/// The names of backlogs, by when they are to be looked at.
#[derive(Debug)]
pub(crate) struct Agenda {
    noted: Mutex<Noted>,
}

#[derive(Debug, Default)]
struct Noted {
    always: BTreeSet<Arc<str>>,
    by_due: BTreeSet<(Moment, Arc<str>)>,
}

impl Agenda {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            noted: Mutex::new(Noted::default()),
        })
    }

    /// Those that are to be looked at now, each once. They stay noted until they are.
    pub(crate) fn due(&self, now: Moment) -> Vec<Arc<str>> {
        let noted = self.noted.lock();
        let mut all: Vec<_> = noted.always.iter().cloned().collect();
        for (due, name) in &noted.by_due {
            if *due > now {
                break;
            }
            if !noted.always.contains(name) {
                all.push(Arc::clone(name));
            }
        }
        all
    }

    /// When the next ones are to be.
    pub(crate) fn next(&self) -> Visits {
        let noted = self.noted.lock();
        Visits {
            is_always: !noted.always.is_empty(),
            due: noted.by_due.first().map(|(due, _)| *due),
        }
    }
}

/// What a backlog has noted.
#[derive(Debug)]
pub(super) struct Note {
    agenda: Arc<Agenda>,
    name: Arc<str>,
    visits: Visits,
}

impl Note {
    /// Nothing yet, for the backlog of this name.
    pub(super) fn new(agenda: Arc<Agenda>, name: Arc<str>) -> Self {
        Self {
            agenda,
            name,
            visits: Visits::default(),
        }
    }

    #[cfg(test)]
    pub(super) fn visits(&self) -> Visits {
        self.visits
    }

    /// Notes that the backlog is to be looked at then, if ever, and not when it said before.
    pub(super) fn set(&mut self, visits: Visits) {
        let before = mem::replace(&mut self.visits, visits);
        if before == visits {
            return;
        }
        let mut noted = self.agenda.noted.lock();
        if before.is_always && !visits.is_always {
            noted.always.remove(&self.name);
        } else if visits.is_always && !before.is_always {
            noted.always.insert(Arc::clone(&self.name));
        }
        if before.due != visits.due {
            let entry = |due| (due, Arc::clone(&self.name));
            if let Some(before) = before.due.map(entry) {
                noted.by_due.remove(&before);
            }
            noted.by_due.extend(visits.due.map(entry));
        }
    }

    /// Notes that the backlog is to be looked at then as well, if ever; whether that is sooner than
    /// what it said before. What was noted and is not needed any more costs a look.
    pub(super) fn advance(&mut self, visits: Visits) -> bool {
        let both = Visits {
            is_always: self.visits.is_always || visits.is_always,
            due: self.visits.due.into_iter().chain(visits.due).min(),
        };
        let is_sooner = both != self.visits;
        self.set(both);
        is_sooner
    }
}

impl Drop for Note {
    /// There is no such backlog any more.
    fn drop(&mut self) {
        self.set(Visits::default());
    }
}
