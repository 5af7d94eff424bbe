//! Telling whoever wants to know what was evicted.
//!
//! Each listener has a [`Report`] with room for so many, in which the latest stand; how many were lost
//! before them it is told. Whoever evicts adds to it, and calls those who wait when it holds no lock
//! and is not pinned.

use super::eviction::EvictionReason;
use crate::error::Result;
use crate::key::Key;
use crate::mvcc::notify::wake;
use crate::sync::{AtomicBool, Mutex, Ordering, is_failing, reserve};
use crate::version::Stamp;
use std::collections::VecDeque;
use std::mem;
use std::sync::{Arc, Weak};
use std::task::{Poll, Waker};

/// An entry that was evicted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) key: Key,
    pub(crate) reason: EvictionReason,
    pub(crate) stamp: Stamp,
}

/// What there is to tell.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Told {
    Gone(Gone),
    /// So many were not kept.
    Lost(u64),
}

/// What one listener has not been told yet.
#[derive(Debug)]
pub(crate) struct Report {
    room: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    gone: VecDeque<Gone>,
    lost: u64,
    waker: Option<Waker>,
    is_ended: bool,
}

impl Report {
    fn new(room: usize) -> Result<Arc<Self>> {
        let mut gone = VecDeque::new();
        reserve(&mut gone, room)?;
        Ok(Arc::new(Self {
            room,
            state: Mutex::new(State {
                gone,
                lost: 0,
                waker: None,
                is_ended: false,
            }),
        }))
    }

    /// Adds to it; who is to be called for that.
    fn push(&self, gone: Gone) -> Option<Waker> {
        let mut state = self.state.lock();
        if state.gone.len() == self.room {
            state.gone.pop_front();
            state.lost += 1;
        }
        state.gone.push_back(gone);
        state.waker.take()
    }

    fn end(&self) -> Option<Waker> {
        let mut state = self.state.lock();
        state.is_ended = true;
        state.waker.take()
    }

    /// What comes next; `None` where nothing will. Where nothing is there yet, `waker` is called
    /// once there is.
    pub(crate) fn poll(&self, waker: &Waker) -> Poll<Option<Told>> {
        // To clone and to drop it is the caller's code.
        let waker = waker.clone();
        let mut state = self.state.lock();
        if state.lost > 0 {
            return Poll::Ready(Some(Told::Lost(mem::take(&mut state.lost))));
        }
        if let Some(gone) = state.gone.pop_front() {
            return Poll::Ready(Some(Told::Gone(gone)));
        }
        if state.is_ended {
            return Poll::Ready(None);
        }
        let before = state.waker.replace(waker);
        drop(state);
        drop(before);
        Poll::Pending
    }

    pub(crate) fn is_ended(&self) -> bool {
        let state = self.state.lock();
        state.is_ended && state.gone.is_empty() && state.lost == 0
    }
}

/// Who is to be told.
#[derive(Debug)]
pub(super) struct Reports {
    is_wanted: AtomicBool,
    all: Mutex<Vec<Weak<Report>>>,
}

impl Reports {
    pub(super) fn new() -> Self {
        Self {
            is_wanted: AtomicBool::new(false),
            all: Mutex::new(Vec::new()),
        }
    }

    /// One more, with room for so many. Whether everything is closed is asked once it is in the list:
    /// who closes it later ends what is there.
    pub(super) fn open(
        &self,
        room: usize,
        is_closed: impl FnOnce() -> bool,
    ) -> Result<Arc<Report>> {
        let report = Report::new(room)?;
        let mut all = self.all.lock();
        all.retain(|other| other.strong_count() > 0);
        reserve(&mut *all, 1)?;
        all.push(Arc::downgrade(&report));
        // ORDERING: Relaxed. What is evicted at the same time may be before it or after it. Changed
        // behind the lock, so that it is true while there is one.
        self.is_wanted.store(true, Ordering::Relaxed);
        drop(all);
        if is_closed() {
            self.end();
        }
        Ok(report)
    }

    /// Whether anybody wants to know.
    pub(super) fn is_wanted(&self) -> bool {
        // ORDERING: Relaxed, as above.
        self.is_wanted.load(Ordering::Relaxed)
    }

    /// Tells of what has gone. The caller holds no lock and is not pinned.
    fn tell(&self, gone: &[Gone]) {
        let reports = self.live();
        for report in &reports {
            for gone in gone {
                if let Some(waker) = report.push(gone.clone()) {
                    wake(waker);
                }
            }
        }
        if reports.is_empty() {
            let mut all = self.all.lock();
            all.retain(|report| report.strong_count() > 0);
            // ORDERING: Relaxed, as above.
            self.is_wanted.store(!all.is_empty(), Ordering::Relaxed);
        }
    }

    /// Nothing more comes.
    pub(super) fn end(&self) {
        for report in self.live() {
            if let Some(waker) = report.end() {
                wake(waker);
            }
        }
    }

    fn live(&self) -> Vec<Arc<Report>> {
        self.all.lock().iter().filter_map(Weak::upgrade).collect()
    }
}

/// What has gone and is to be told. That is when it is dropped: also where what a value does when it is
/// dropped panics. Whoever has it holds no lock then, and is not pinned.
pub(super) struct Telling<'e> {
    reports: &'e Reports,
    gone: Vec<Gone>,
}

impl<'e> Telling<'e> {
    pub(super) fn new(reports: &'e Reports) -> Self {
        Self {
            reports,
            gone: Vec::new(),
        }
    }

    pub(super) fn push(&mut self, gone: Gone) {
        self.gone.push(gone);
    }
}

impl Drop for Telling<'_> {
    fn drop(&mut self) {
        if !self.gone.is_empty() && !is_failing() {
            self.reports.tell(&self.gone);
        }
    }
}
