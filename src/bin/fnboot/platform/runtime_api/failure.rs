//! Why a call has no result, before any platform's words for it.

use super::dialect::Ready;
use crate::function::Function;
use crate::process::SpawnError;
use crate::readiness::Doing;
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
    /// It listens and does not ask.
    Misfit(String),
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

/// What a program does that is not ready, and what to try.
pub(crate) fn misfit(doing: &Doing, ready: Ready, function: &Function) -> String {
    match (doing, ready) {
        (Doing::Listens(listeners), _) => {
            // SCF fixes the port of its web functions, so fnboot's programs look at their name first.
            let advice = if function.is_named("scf_bootstrap") {
                "; fnboot's own take its port by another name than scf_bootstrap"
            } else {
                ""
            };
            format!(
                "the program listens on {listeners} and has not connected to the runtime API; one \
                 that is called over HTTP needs --platform fc{advice}; if it is only slow, \
                 --start-timeout SECONDS waits for it"
            )
        }
        (Doing::Asks, Ready::Next) => {
            "the program has connected to the runtime API and not asked for an event".to_owned()
        }
        (Doing::Asks, Ready::Call) => {
            "the program has connected to the runtime API and not said that it is ready".to_owned()
        }
        (Doing::Neither, _) => {
            "the program has not connected to the runtime API and listens nowhere".to_owned()
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Spawn(failure) => write!(f, "{failure}"),
            Self::StartTimedOut(limit) => {
                write!(f, "not ready within {} seconds", limit.as_secs())
            }
            Self::Misfit(why) => write!(f, "{why}"),
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
