//! Why the call of a program failed, as the platform is told.

use super::kinds::{self, Kinds};
use super::launch::Launch;
use crate::bytes::{self, Writer};
use crate::handler::Error;
use crate::sys::fd::Errno;
use crate::sys::wait::Status;

/// What went wrong, other than that the program says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It could not be started.
    Start(Errno),
    /// It was told to end, because the deadline was near.
    TimedOut,
    /// It wrote more than a body may be long.
    TooLong,
    /// It has closed the channel of its interpreter, or written to it.
    Channel,
    /// It was not loaded in time.
    NotLoaded,
    /// Its answer has broken off.
    #[cfg(feature = "worker")]
    Truncated,
    /// It answers in a way that there is not.
    #[cfg(feature = "worker")]
    BadMode,
    /// Its answer to an HTTP request is none.
    #[cfg(feature = "worker")]
    BadReply,
}

/// So much of what a program wrote last is part of the message.
const LAST_BYTES_MAX: usize = 400;

/// What a call came to whose program did not serve it: `tail` is what the program has written to its log last.
pub fn error(
    kinds: &mut Kinds,
    launch: &Launch,
    fault: Option<Fault>,
    status: Option<Status>,
    tail: &[u8],
) -> Error {
    match fault {
        Some(Fault::Start(errno @ (Errno::NOENT | Errno::ACCES | Errno::NOEXEC))) => {
            let text = launch.refused(errno);
            return about("NotExecutable", text, launch.path().to_bytes());
        }
        Some(fault) => return known(fault),
        None => {}
    }
    if let Some((kind, message)) = kinds::failure_line(tail) {
        return Error::of(kinds.keep(kind), &[message]);
    }
    let (kind, what, number) = match status {
        Some(Status::Exited(number)) => ("ExitError", &b"exit status "[..], number),
        Some(Status::Killed(number)) => ("Signal", &b"signal "[..], number),
        None => ("ExitError", &b"it is gone"[..], 0),
    };
    let mut place = [0; 20];
    let mut digits = Writer::new(&mut place);
    digits.put_decimal(u64::from(number.unsigned_abs()));
    let last = last_lines(tail);
    let mark: &[u8] = if last.is_empty() { b"" } else { b": " };
    Error::of(kind, &[what, digits.finish(), mark, last])
}

/// An error whose message is `text`, in which `$` stands for `value`.
pub fn about(kind: &'static str, text: &'static str, value: &[u8]) -> Error {
    let text = text.as_bytes();
    let before = bytes::before(text, b'$');
    let after = bytes::slice(text, (before.len() + 1).min(text.len())..text.len());
    Error::of(kind, &[before, value, after])
}

/// A program that could not be started, whichever it is.
pub fn start(errno: Errno) -> Error {
    known(Fault::Start(errno))
}

/// What went wrong has a text of its own, whichever program it was.
pub fn known(fault: Fault) -> Error {
    let (kind, text) = match fault {
        Fault::TimedOut => ("TimedOut", "no answer before the deadline"),
        Fault::TooLong => {
            let text =
                "the program answered with more than FNBOOT_MAX_BODY, or the platform, allows";
            ("ResponseTooLong", text)
        }
        Fault::Channel => {
            let text = "the function has closed fnboot's channel, or written to it";
            ("ChannelBroken", text)
        }
        Fault::NotLoaded => ("TimedOut", "the function was not loaded in time"),
        #[cfg(feature = "worker")]
        Fault::Truncated => ("TruncatedResponse", "the program's answer broke off"),
        #[cfg(feature = "worker")]
        Fault::BadMode => {
            let text = "Lambda-Runtime-Function-Response-Mode is neither streaming nor buffered";
            ("InvalidResponseMode", text)
        }
        #[cfg(feature = "worker")]
        Fault::BadReply => {
            let text = "the program's answer does not begin with status and headers";
            ("BadReply", text)
        }
        Fault::Start(Errno::TOOBIG) => ("EventTooLong", "the event's variables are too long"),
        Fault::Start(Errno::NOSPC) => ("NoSpace", "there is no room for the event"),
        Fault::Start(errno) if errno.is_passing() => {
            ("OutOfResources", "out of processes, descriptors or memory")
        }
        Fault::Start(_) => ("NotStarted", "the program cannot be started"),
    };
    Error::fixed(kind, text)
}

/// The last lines of a log, without the end of the last one.
fn last_lines(tail: &[u8]) -> &[u8] {
    let tail = tail.trim_ascii();
    let from = tail.len().saturating_sub(LAST_BYTES_MAX);
    let last = bytes::slice(tail, from..tail.len());
    match last.iter().position(|&byte| byte == b'\n') {
        Some(end) if from > 0 => bytes::slice(last, end + 1..last.len()),
        _ => last,
    }
}
