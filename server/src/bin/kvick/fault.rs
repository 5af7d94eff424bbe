//! Why a command does not do what it was told, and what it ends with.

use std::fmt;
use std::process::ExitCode;

/// Why a command failed, or ends before its end.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It was told what it does not understand: 2.
    Usage(String),
    /// It could not be done: 1.
    Failed(String),
    /// What was checked did not hold, and nothing was written: 3.
    Conflict(String),
    /// What it was asked for is not there: 4.
    Missing(String),
    /// Nobody reads what it prints any more, which is no error.
    Unread,
    /// It was asked what it does, and this says it.
    Help(&'static str),
}

impl Fault {
    pub(crate) fn usage(what: impl Into<String>) -> Self {
        Self::Usage(what.into())
    }

    pub(crate) fn failed(what: impl fmt::Display) -> Self {
        Self::Failed(what.to_string())
    }

    /// With this in front of what it says.
    pub(crate) fn of(self, subject: impl fmt::Display) -> Self {
        match self {
            Self::Usage(what) => Self::Usage(format!("{subject}: {what}")),
            Self::Failed(what) => Self::Failed(format!("{subject}: {what}")),
            Self::Conflict(what) => Self::Conflict(format!("{subject}: {what}")),
            Self::Missing(what) => Self::Missing(format!("{subject}: {what}")),
            other => other,
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Usage(_) => ExitCode::from(2),
            Self::Failed(_) => ExitCode::FAILURE,
            Self::Conflict(_) => ExitCode::from(3),
            Self::Missing(_) => ExitCode::from(4),
            Self::Unread | Self::Help(_) => ExitCode::SUCCESS,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Usage(what) | Self::Failed(what) | Self::Conflict(what) | Self::Missing(what) => {
                f.write_str(what)
            }
            Self::Unread => f.write_str("nobody reads the output"),
            Self::Help(usage) => f.write_str(usage),
        }
    }
}

impl From<lexopt::Error> for Fault {
    fn from(error: lexopt::Error) -> Self {
        Self::Usage(error.to_string())
    }
}

impl From<kvick::Error> for Fault {
    fn from(error: kvick::Error) -> Self {
        Self::Failed(error.to_string())
    }
}
