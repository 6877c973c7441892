//! Why a call has no result, and a text for it that a dialect may replace.

use crate::process::SpawnError;
use hyper::body::Bytes;
use std::error::Error;
use std::fmt;
use std::process::ExitStatus;
use std::time::Duration;

/// When it went wrong, and what.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) stage: Stage,
    pub(crate) reason: Reason,
}

/// What an instance does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It is not ready yet: there is nothing to be called.
    Start,
    /// It runs the function's own initialization: FC's initializer, a runtime API's init error.
    Initialize,
    Call,
}

#[derive(Debug)]
pub(crate) enum Reason {
    /// The program could not be started: no file, no permission, a taken port.
    Spawn(SpawnError),
    /// It will never get ready.
    Misfit(String),
    /// It ended.
    Exited(ExitStatus),
    TimedOut(Duration),
    /// Its caller left.
    Canceled,
    /// It said itself that it failed.
    Reported(Reported),
    /// It answered too much.
    TooLarge {
        bytes_max: usize,
    },
    /// The head of its answer is too long.
    HeadTooLarge {
        bytes_max: usize,
    },
    /// It lives, but its answer broke off or cannot be read.
    Broken(String),
    /// It wants to answer in a way that there is not.
    UnknownMode(String),
}

/// What the program says of its own failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) error_type: Option<String>,
    pub(crate) body: Bytes,
}

impl Stage {
    pub(crate) fn failed(self, reason: Reason) -> Failure {
        let stage = self;
        Failure { stage, reason }
    }
}

impl Failure {
    /// Whether the program had started: a failure before that means that there is nothing to call.
    pub(crate) fn has_started(&self) -> bool {
        self.stage != Stage::Start
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, self.stage) {
            (Reason::Spawn(error), _) => write!(f, "{error}"),
            (Reason::Misfit(why), _) => f.write_str(why),
            (Reason::Exited(status), Stage::Start) => {
                write!(f, "the program ended before it was ready: {status}")
            }
            (Reason::Exited(status), _) => write!(f, "the program ended: {status}"),
            (Reason::TimedOut(limit), Stage::Start) => {
                write!(f, "not ready within {} seconds", limit.as_secs())
            }
            (Reason::TimedOut(limit), _) => {
                let limit = limit.as_secs();
                write!(
                    f,
                    "no answer within {limit} seconds: the instance was killed"
                )
            }
            (Reason::Reported(Reported { body, .. }), Stage::Initialize) => {
                let body = String::from_utf8_lossy(body);
                write!(f, "the program reported that it cannot start: {body}")
            }
            (Reason::Canceled, _) => f.write_str("Invocation canceled by client"),
            (Reason::Reported(_), _) => f.write_str("the program reported an error"),
            (Reason::TooLarge { bytes_max }, _) => {
                write!(f, "the answer is longer than {bytes_max} bytes")
            }
            (Reason::HeadTooLarge { bytes_max: max }, _) => {
                write!(
                    f,
                    "response headers exceed maximum allowed size ({max} bytes)"
                )
            }
            (Reason::Broken(why), _) => write!(f, "the program lives, but {why}"),
            (Reason::UnknownMode(mode), _) => write!(f, "there is no response mode {mode:?}"),
        }
    }
}

impl Error for Failure {}
