//! Whom a commit wakes.

use crate::backlog::Signals;
use crate::mvcc::notify::Woken;

/// The watchers and listeners that a commit wakes. They are woken when this is dropped: after every
/// lock and every guard, because their wakers are the caller's code, and may take their time.
#[derive(Debug, Default)]
pub(super) struct Calls {
    pub(super) woken: Woken,
    /// None for most commits, which have no messages: to drop that is one comparison.
    signals: Option<Signals>,
}

impl Calls {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// For a commit with messages.
    pub(super) fn both(&mut self) -> (&mut Woken, &mut Signals) {
        (&mut self.woken, self.signals.get_or_insert_default())
    }
}
