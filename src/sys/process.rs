//! The process itself: its standard output, and its end.

use libc::c_int;

use super::fd::{Errno, restart};

/// A standard stream of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn number(self) -> c_int {
        match self {
            Self::Stdout => libc::STDOUT_FILENO,
            Self::Stderr => libc::STDERR_FILENO,
        }
    }

    /// `write(2)`: how many of `bytes` were taken.
    ///
    /// # Errors
    /// The reader is gone, the stream is closed, the disk is full …
    pub fn write(self, bytes: &[u8]) -> Result<usize, Errno> {
        restart(|| {
            // SAFETY: pointer and length come from one live slice.
            unsafe { libc::write(self.number(), bytes.as_ptr().cast(), bytes.len()) }
        })
    }

    /// `poll(2)`: whether a write of up to a page (`PIPE_BUF`) would be taken at once, now or within
    /// `patience_ms` milliseconds. Not if the reader is gone.
    #[must_use]
    pub fn is_writable(self, patience_ms: c_int) -> bool {
        let mut stream = libc::pollfd {
            fd: self.number(),
            events: libc::POLLOUT,
            revents: 0,
        };
        let ready = restart(|| {
            // SAFETY: one live, exclusively borrowed `pollfd`, and its count.
            unsafe { libc::poll(&raw mut stream, 1, patience_ms) as isize }
        });
        ready == Ok(1) && stream.revents == libc::POLLOUT
    }
}

/// `_exit(2)`: the end, without anything that `atexit(3)` would run.
pub fn exit(code: c_int) -> ! {
    // SAFETY: takes no pointers and does not return.
    unsafe { libc::_exit(code) }
}
