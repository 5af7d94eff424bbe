//! Ordered reads, in batches.
//!
//! A walk over an interval pins the epoch for one batch at a time, so however long it is, it holds
//! back no memory but what its snapshot sees.

use super::Engine;
use super::payload::Large;
use super::read::{Hit, ReadPoint};
use crate::index::Met;
use crate::key::Bounds;
use crate::sync::epoch::{self, Guard};
use crate::version::Stamp;
use bytes::Bytes;
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

    /// Goes on behind this key.
    fn pass(&mut self, key: &[u8]) {
        if self.reverse {
            self.bounds.end = Some(Bytes::copy_from_slice(key));
        } else {
            self.bounds.start = [key, &[0]].concat().into();
        }
    }

    fn finish(&mut self) {
        self.bounds.end = Some(Bytes::new());
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
    /// The epoch is pinned meanwhile. Finding the first entry takes logarithmic time, each further
    /// one constant time forward and logarithmic time in reverse.
    pub(crate) fn scan<B>(
        &self,
        walk: &mut Walk,
        batch: usize,
        point: Option<&ReadPoint>,
        each: impl FnMut(&[u8], Hit<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let guard = epoch::pin();
        let at = point.map_or_else(|| self.counter.latest(), ReadPoint::at);
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
        let at = self.counter.latest();
        let flow = self.scan_pinned(walk, batch, at, &guard, each);
        let goes_on = flow.is_continue() && !walk.is_done();
        goes_on.then(|| self.read_point_at(at, &guard))
    }

    fn scan_pinned<B>(
        &self,
        walk: &mut Walk,
        batch: usize,
        at: Stamp,
        guard: &Guard,
        each: impl FnMut(&[u8], Hit<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let Bounds { start, end } = walk.bounds.clone();
        if walk.reverse {
            let records = self.index.descend(&start, end.as_deref(), guard);
            self.visit(walk, batch, at, records, each)
        } else {
            let records = self.index.ascend(&start, end.as_deref(), guard);
            self.visit(walk, batch, at, records, each)
        }
    }

    fn visit<'g, B>(
        &self,
        walk: &mut Walk,
        batch: usize,
        at: Stamp,
        records: impl Iterator<Item = Met<'g, Large>>,
        mut each: impl FnMut(&[u8], Hit<'_>) -> ControlFlow<B>,
    ) -> ControlFlow<B> {
        let (mut left, mut passes_left) = (batch, PASSED_MAX);
        for (key, record) in records {
            let mut flow = ControlFlow::Continue(());
            if let Some(hit) = record.at(at, &self.counter).and_then(Hit::new) {
                flow = each(key, hit);
                left -= 1;
            } else {
                passes_left -= 1;
            }
            if flow.is_break() {
                walk.finish();
                return flow;
            }
            if left == 0 || passes_left == 0 {
                walk.pass(key);
                return flow;
            }
        }
        walk.finish();
        ControlFlow::Continue(())
    }
}
