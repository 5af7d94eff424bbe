//! Whom a commit wakes.

use crate::backlog::Signals;
use crate::mvcc::notify::Woken;

/// The watchers and listeners that a commit wakes. They are woken when this is dropped: after every
/// lock and every guard, because their wakers are the caller's code, and may take their time.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) woken: Woken,
    pub(super) signals: Signals,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self::default()
    }
}
