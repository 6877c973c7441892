//! The process itself: its standard output, and its end.

use libc::c_int;

use super::call::{call3, call6};
#[cfg(any(feature = "function", feature = "worker"))]
use super::fd::check;
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
        let (stream, place, len) = (
            self.number(),
            bytes.as_ptr().expose_provenance(),
            bytes.len(),
        );
        // SAFETY: place and length are those of one live slice.
        restart(|| unsafe { call3(libc::SYS_write, stream as usize, place, len) })
    }

    /// `ppoll(2)`: whether a write of up to a page (`PIPE_BUF`) would be taken at once, now or
    /// within `patience_ms` milliseconds. Not if the reader is gone.
    pub fn is_writable(self, patience_ms: u32) -> bool {
        let mut stream = libc::pollfd {
            fd: self.number(),
            events: libc::POLLOUT,
            revents: 0,
        };
        let tv_nsec = libc::c_long::from(patience_ms.min(999)) * 1_000_000;
        let mut patience = libc::timespec { tv_sec: 0, tv_nsec };
        let places = [
            (&raw mut stream).expose_provenance(),
            1,
            (&raw mut patience).expose_provenance(),
            0,
            0,
            0,
        ];
        // SAFETY: one live, exclusively borrowed `pollfd`, its count, and a live, exclusively
        // borrowed `timespec`, in which the kernel leaves what remains; there is no signal mask.
        let ready = restart(|| unsafe { call6(libc::SYS_ppoll, places) });
        ready == Ok(1) && stream.revents == libc::POLLOUT
    }
}

/// `getpid(2)`: the number of this process.
pub fn id() -> c_int {
    // SAFETY: getpid(2) takes no arguments.
    (unsafe { call3(libc::SYS_getpid, 0, 0, 0) }) as c_int
}

/// `getcwd(2)`: the folder in which the process is, at the front of `place`; empty where it has none that can
/// be named.
#[cfg(any(feature = "function", feature = "worker"))]
pub fn folder(place: &mut [u8]) -> &[u8] {
    let (start, room) = (place.as_mut_ptr().expose_provenance(), place.len());
    // SAFETY: place and room are those of one exclusively borrowed slice.
    let len = check(unsafe { call3(libc::SYS_getcwd, start, room, 0) });
    // It ends with a NUL, and begins with a slash unless it cannot be reached.
    match place.get(..len.unwrap_or(0)) {
        Some([b'/', .., 0]) => place.get(..len.unwrap_or(1) - 1).unwrap_or_default(),
        _ => b"",
    }
}

/// `exit_group(2)`: the end, without anything that `atexit(3)` would run.
pub fn exit(code: c_int) -> ! {
    loop {
        // SAFETY: takes no pointers and does not return.
        unsafe { call3(libc::SYS_exit_group, code as usize, 0, 0) };
    }
}
