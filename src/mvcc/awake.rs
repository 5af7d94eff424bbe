//! Whether somebody who sleeps while there is nothing to do knows that there is something.

use crate::sync::{AtomicBool, Ordering};

/// Whether whoever looks after something is awake: looks at it sooner or later by itself.
///
/// It [rests](Self::rest) first and looks then; the others leave something to be done first and
/// [wake](Self::wake) it then. One of the two sees the other only where what they leave and look at
/// orders them: a lock on both sides, or read-modify-writes of one word (E-DUE). The flag itself orders
/// nothing.
#[derive(Debug)]
pub(crate) struct Awake(AtomicBool);

impl Awake {
    pub(crate) fn new() -> Self {
        Self(AtomicBool::new(false))
    }

    /// There is something to do; `true` where the caller has to say so to whoever rests.
    #[inline]
    pub(crate) fn wake(&self) -> bool {
        // ORDERING: Relaxed. Whoever left something after the look has seen the rest before it, by what
        // the two are ordered by (E-DUE).
        !self.0.load(Ordering::Relaxed) && self.stay()
    }

    /// Before it looks whether there is something to do: whoever comes with something new wakes it.
    pub(crate) fn rest(&self) {
        // ORDERING: Relaxed, as in `wake`.
        self.0.store(false, Ordering::Relaxed);
    }

    /// It is going to look again; `false` where somebody has said so already.
    pub(crate) fn stay(&self) -> bool {
        // ORDERING: Relaxed, as in `wake`.
        !self.0.swap(true, Ordering::Relaxed)
    }
}
