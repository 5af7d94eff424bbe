//! What an update makes of an entry.

use super::model::Op;
use kvick::{Error, Result, Update, Value};

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
    pub(crate) fn change(&self) -> Result<Update> {
        Ok(match self {
            Self::Keep => Update::keep(),
            Self::Set(value) => Update::set(value),
            Self::Delete => Update::delete(),
            Self::Abort => Update::abort("no"),
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
