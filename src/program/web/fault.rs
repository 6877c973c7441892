//! Why a call of a server beside fnboot failed.

use crate::handler::Error;
use crate::program::failure::{self, Fault as Common};
use crate::sys::fd::Errno;

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no connection to be had.
    Start(Errno),
    /// The connection ended before an answer began.
    Unanswered,
    /// What came is no answer, or not a whole one.
    Malformed,
    /// The answer to an event was longer than a body may be.
    TooLong,
    TimedOut,
    /// The process has ended.
    Died,
}

impl Fault {
    /// The status that the client of an HTTP function gets: that of a gateway (RFC 9110 §15.6).
    pub fn status(self) -> u16 {
        match self {
            Self::Unanswered | Self::Malformed | Self::Died => 502,
            Self::Start(errno) if !errno.is_passing() => 502,
            Self::Start(_) => 503,
            Self::TooLong | Self::TimedOut => 500,
        }
    }
}

/// The failure that it is told as, but for [`Fault::Died`].
#[inline(never)]
pub fn error(fault: Fault) -> Error {
    let text = match fault {
        Fault::Start(errno) if errno.is_passing() => return failure::start(errno),
        Fault::TimedOut => return failure::known(Common::TimedOut),
        Fault::TooLong => return failure::known(Common::TooLong),
        Fault::Start(_) => "the program cannot be reached",
        Fault::Unanswered | Fault::Died => "the program closed the connection without an answer",
        Fault::Malformed => "what the program answered is no HTTP/1.1, or not all of it",
    };
    Error::fixed("BadGateway", text)
}
