//! Why a call has no result, before any platform's words for it.

use crate::process::SpawnError;
use hyper::body::Bytes;
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

#[derive(Debug)]
pub(crate) enum Failure {
    /// There is no program.
    Spawn(SpawnError),
    /// It did not get ready.
    StartTimedOut(Duration),
    /// It said that it cannot start.
    StartReported(Reported),
    /// It ended, before it was ready or during a call.
    Exited(ExitStatus),
    /// It did not answer.
    TimedOut(Duration),
    /// It said that the call failed.
    Reported(Reported),
    /// It answered too much.
    TooLarge { bytes_max: usize },
    /// Its answer broke off.
    Truncated,
    /// It wants to answer in a way that there is not.
    UnknownMode(String),
}

/// What the program says of its own failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) error_type: Option<String>,
    pub(crate) body: Bytes,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(failure) => write!(f, "{failure}"),
            Self::StartTimedOut(limit) => {
                write!(f, "not ready within {} seconds", limit.as_secs())
            }
            Self::StartReported(_) => write!(f, "the program reported that it cannot start"),
            Self::Exited(status) => write!(f, "the program ended: {status}"),
            Self::TimedOut(limit) => write!(f, "no answer within {} seconds", limit.as_secs()),
            Self::Reported(_) => write!(f, "the program reported an error"),
            Self::TooLarge { bytes_max } => {
                write!(f, "the answer is longer than {bytes_max} bytes")
            }
            Self::Truncated => write!(f, "the answer broke off"),
            Self::UnknownMode(mode) => write!(f, "there is no response mode {mode:?}"),
        }
    }
}
