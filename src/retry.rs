//! Trying again.

use crate::engine::Engine;
use crate::engine::contention::{TURN_AFTER, back_off};
use crate::entry::Entry;
use crate::error::Result;
use crate::version::Versionstamp;
use std::error::Error as StdError;
use std::num::NonZeroU32;
use std::time::Duration;

/// How often and how long an operation that conflicts is tried again:
/// [`Kv::with_retry`](crate::Kv::with_retry).
///
/// The default is for as long as it takes, and it does not take for ever: whoever has lost eight
/// times is given its turn, for which other commits wait a bounded while.
///
/// ```
/// use kvick::{Kv, RetryPolicy};
/// use std::num::NonZeroU32;
///
/// let kv = Kv::new().with_retry(RetryPolicy::default().attempts_max(NonZeroU32::MIN));
/// # let _ = kv;
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryPolicy {
    pub(crate) attempts_max: Option<NonZeroU32>,
    pub(crate) deadline: Option<Duration>,
}

impl RetryPolicy {
    /// At most this many attempts, the first included.
    #[must_use]
    pub fn attempts_max(mut self, attempts: NonZeroU32) -> Self {
        self.attempts_max = Some(attempts);
        self
    }

    /// No attempt after this much time, by the engine's clock. The first is always made.
    #[must_use]
    pub fn deadline(mut self, after: Duration) -> Self {
        self.deadline = Some(after);
        self
    }
}

/// Why the caller's closure gave up: whatever it said.
pub type AbortReason = Box<dyn StdError + Send + Sync>;

/// What came of an operation that is tried again when it conflicts.
#[derive(Debug)]
#[must_use = "an operation that was aborted, or ran out of attempts, has changed nothing"]
#[non_exhaustive]
pub enum Transacted<T> {
    /// It has taken effect.
    #[non_exhaustive]
    Committed {
        /// What the closure returned.
        value: T,
        /// The version of what was written; `None` where the closure wrote nothing.
        versionstamp: Option<Versionstamp>,
        /// How often the closure was called.
        attempts: u32,
    },
    /// The closure gave up; nothing has changed.
    #[non_exhaustive]
    Aborted {
        /// Why.
        reason: AbortReason,
        /// What the closure had been shown, or had read by its key, in the order in which it first
        /// was.
        read: Vec<Entry>,
        /// How often the closure was called.
        attempts: u32,
    },
    /// It conflicted as often, or for as long, as the [`RetryPolicy`] allows; nothing has changed.
    #[non_exhaustive]
    Exhausted {
        /// How often the closure was called.
        attempts: u32,
    },
}

impl<T> Transacted<T> {
    /// Whether it has taken effect.
    pub fn is_committed(&self) -> bool {
        matches!(self, Self::Committed { .. })
    }

    /// What the closure returned, if it has taken effect.
    pub fn committed(self) -> Option<T> {
        match self {
            Self::Committed { value, .. } => Some(value),
            Self::Aborted { .. } | Self::Exhausted { .. } => None,
        }
    }

    /// How often the closure was called.
    pub fn attempts(&self) -> u32 {
        match self {
            Self::Committed { attempts, .. }
            | Self::Aborted { attempts, .. }
            | Self::Exhausted { attempts } => *attempts,
        }
    }
}

/// What one attempt came to.
pub(crate) enum Attempt<T> {
    Committed(T, Option<Versionstamp>),
    Aborted(AbortReason, Vec<Entry>),
    Conflict,
}

impl<T> Attempt<T> {
    /// What comes of it all, if that was the last attempt: it does not conflict.
    pub(crate) fn ended(self, attempts: u32) -> Option<Transacted<T>> {
        match self {
            Self::Committed(value, versionstamp) => Some(Transacted::Committed {
                value,
                versionstamp,
                attempts,
            }),
            Self::Aborted(reason, read) => Some(Transacted::Aborted {
                reason,
                read,
                attempts,
            }),
            Self::Conflict => None,
        }
    }
}

impl RetryPolicy {
    /// When it is too late for another attempt, if ever, by a clock that shows this now.
    pub(crate) fn deadline_from(&self, now: impl FnOnce() -> Duration) -> Option<Duration> {
        // Beyond all time is never.
        self.deadline.and_then(|after| now().checked_add(after))
    }

    /// Whether there may be no more attempts than these.
    pub(crate) fn is_last(&self, attempts: u32) -> bool {
        self.attempts_max.is_some_and(|max| attempts >= max.get())
    }
}

/// Tries until an attempt does not conflict, or the policy says that it is enough. The attempts are counted
/// from 1 on.
pub(crate) fn retry<T>(
    engine: &Engine,
    policy: &RetryPolicy,
    mut attempt: impl FnMut(u32) -> Result<Attempt<T>>,
) -> Result<Transacted<T>> {
    let deadline = policy.deadline_from(|| engine.clock().now());
    let is_late = || deadline.is_some_and(|deadline| engine.clock().now() >= deadline);
    let mut attempts = 0;
    loop {
        let turn = (attempts >= TURN_AFTER).then(|| engine.turn().take(attempts));
        if attempts > 0 && is_late() {
            // While it waited.
            return Ok(Transacted::Exhausted { attempts });
        }
        if attempts > 0 {
            engine.turn().count_retry();
        }
        attempts += 1;
        if let Some(ended) = attempt(attempts)?.ended(attempts) {
            return Ok(ended);
        }
        drop(turn);
        if policy.is_last(attempts) || is_late() {
            return Ok(Transacted::Exhausted { attempts });
        }
        if attempts < TURN_AFTER {
            back_off(attempts);
        }
    }
}
