//! Ordered reads, in batches.
//!
//! A walk over an interval pins the epoch for one batch at a time, so however long it is, it holds
//! back no memory but what its snapshot sees.

use super::Engine;
use super::payload::Large;
use super::read::{Hit, ReadPoint};
use crate::index;
use crate::key::{BoundBytes, Bounds, followed_by};
use crate::moment::Moment;
use crate::sync::epoch::{self, Guard};
use crate::version::Stamp;
use std::mem;
use std::ops::ControlFlow;
use std::sync::Arc;

/// How many records without an entry a batch may pass beyond its size: what is deleted or newer
/// than the snapshot takes time as well.
const PASSED_MAX: usize = 512;

/// The keys that are still to be walked, and which way.
#[derive(Clone, Debug)]
pub(crate) struct Walk {
    bounds: Bounds,
    reverse: bool,
}

impl Walk {
    pub(crate) fn new(bounds: Bounds, reverse: bool) -> Self {
        Self { bounds, reverse }
    }

    /// Goes on in these bounds, behind this key.
    fn go_on(&mut self, bounds: Bounds, key: &[u8]) {
        self.bounds = if self.reverse {
            Bounds {
                end: Some(BoundBytes::from_slice(key)),
                ..bounds
            }
        } else {
            Bounds {
                start: followed_by(key, 0),
                ..bounds
            }
        };
    }

    /// Whether nothing more will come.
    pub(crate) fn is_done(&self) -> bool {
        self.bounds.is_empty()
    }
}

impl Engine {
    /// Shows up to `batch` entries to `each`, at an open snapshot or at this moment, and moves the
    /// walk on behind them; or until `each` breaks off, which ends the walk.
    ///
    /// The epoch is pinned meanwhile. Finding the first entry takes logarithmic time, and each further
    /// one constant time; in reverse, logarithmic time for each few dozen of them.
    pub(crate) fn scan<B>(
        &self,
        walk: &mut Walk,
        batch: usize,
        point: Option<&ReadPoint>,
        each: impl FnMut(&[u8], Hit<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let guard = epoch::pin();
        let at = match point {
            Some(point) => (point.at(), point.now()),
            None => self.latest_point(),
        };
        self.scan_pinned(walk, batch, at, &guard, each)
    }

    /// Like [`scan`](Self::scan) at this moment, and opens a snapshot at the same stamp if the walk
    /// is not done, nor broken off.
    pub(crate) fn scan_opening<B>(
        self: &Arc<Self>,
        walk: &mut Walk,
        batch: usize,
        each: impl FnMut(&[u8], Hit<'_>) -> ControlFlow<B>,
    ) -> Option<ReadPoint> {
        let guard = epoch::pin();
        let at = self.latest_point();
        let flow = self.scan_pinned(walk, batch, at, &guard, each);
        let goes_on = flow.is_continue() && !walk.is_done();
        goes_on.then(|| self.read_point_at(at, &guard))
    }

    fn scan_pinned<B>(
        &self,
        walk: &mut Walk,
        batch: usize,
        at: (Stamp, Moment),
        guard: &Guard,
        each: impl FnMut(&[u8], Hit<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        // Whatever ends the walk, a panic of `each` included, leaves nothing to go on with.
        let bounds = mem::replace(&mut walk.bounds, Bounds::nothing());
        let (start, end) = (&bounds.start[..], bounds.end.as_deref());
        let (flow, last) = if walk.reverse {
            self.visit(batch, at, self.index.descend(start, end, guard), each)
        } else {
            self.visit(batch, at, self.index.ascend(start, end, guard), each)
        };
        if let Some(last) = last {
            walk.go_on(bounds, last);
        }
        flow
    }

    /// Shows up to `batch` entries to `each`; and the last key, where the walk is to go on behind
    /// it.
    fn visit<'g, B>(
        &self,
        batch: usize,
        (at, now): (Stamp, Moment),
        mut walk: impl index::Walk<'g, Large>,
        mut each: impl FnMut(&[u8], Hit<'_>) -> ControlFlow<B>,
    ) -> (ControlFlow<B>, Option<&'g [u8]>) {
        let (mut left, mut passes_left) = (batch, PASSED_MAX);
        while walk.next_group() {
            for record in walk.group().iter().flatten() {
                let found = record.at(at, &self.counter);
                if let Some(hit) = found.and_then(|found| Hit::new(found, now, &self.time)) {
                    let flow = each(record.key(), hit);
                    if flow.is_break() {
                        return (flow, None);
                    }
                    left -= 1;
                } else {
                    passes_left -= 1;
                }
                if left == 0 || passes_left == 0 {
                    return (ControlFlow::Continue(()), Some(record.key()));
                }
            }
        }
        (ControlFlow::Continue(()), None)
    }
}
