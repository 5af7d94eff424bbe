//! What an update makes of an entry.

use super::model::Op;
use kvick::{Change, Error, Result, Value};

/// What an update makes of an entry.
#[derive(Clone, Debug)]
pub(crate) enum Decision {
    Keep,
    Set(Value),
    Delete,
    Abort,
    Fail,
}

impl Decision {
    pub(crate) fn change(&self) -> Result<Change> {
        Ok(match self {
            Self::Keep => Change::keep(),
            Self::Set(value) => Change::set(value),
            Self::Delete => Change::delete(),
            Self::Abort => Change::abort("no"),
            Self::Fail => return Err(Error::other("broken")),
        })
    }

    pub(crate) fn op(&self) -> Option<Op> {
        match self {
            Self::Set(value) => Some(Op::Set(value.clone())),
            Self::Delete => Some(Op::Delete),
            Self::Keep | Self::Abort | Self::Fail => None,
        }
    }
}
