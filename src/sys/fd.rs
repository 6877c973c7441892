//! Owned descriptors, error numbers, and what a non-blocking call can come to.

use core::num::NonZeroI32;

use libc::c_int;

use super::call::call3;

/// An error number of the kernel, as in `errno(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const ACCES: Self = Self(libc::EACCES);
    pub const ADDRINUSE: Self = Self(libc::EADDRINUSE);
    pub const AGAIN: Self = Self(libc::EAGAIN);
    pub const INTR: Self = Self(libc::EINTR);
    pub const INPROGRESS: Self = Self(libc::EINPROGRESS);
    pub const CONNRESET: Self = Self(libc::ECONNRESET);
    pub const CONNREFUSED: Self = Self(libc::ECONNREFUSED);
    pub const CHILD: Self = Self(libc::ECHILD);
    pub const EXIST: Self = Self(libc::EEXIST);
    pub const INVAL: Self = Self(libc::EINVAL);
    pub const NOENT: Self = Self(libc::ENOENT);
    pub const NOEXEC: Self = Self(libc::ENOEXEC);
    pub const NOSPC: Self = Self(libc::ENOSPC);
    pub const PIPE: Self = Self(libc::EPIPE);
    pub const SRCH: Self = Self(libc::ESRCH);
    pub const TOOBIG: Self = Self(libc::E2BIG);

    /// Whether it is a state that passes: also out of processes.
    pub fn is_passing(self) -> bool {
        self.is_exhaustion() || self == Self::AGAIN
    }

    /// Whether the kernel is out of descriptors or of memory for one more: a state that passes.
    pub fn is_exhaustion(self) -> bool {
        matches!(
            self.0,
            libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM
        )
    }
}

/// What a call on a non-blocking descriptor came to. "Not now" is not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Io {
    /// That many bytes were moved.
    Done(usize),
    /// The kernel says "not yet".
    Blocked,
    /// The descriptor is of no more use.
    Closed(Errno),
}

impl Io {
    pub(super) fn from(result: Result<usize, Errno>) -> Self {
        match result {
            Ok(count) => Self::Done(count),
            Err(Errno::AGAIN) => Self::Blocked,
            Err(errno) => Self::Closed(errno),
        }
    }
}

/// An open descriptor, closed when dropped.
///
/// Kept as its complement, which is never zero, so that `Option<Fd>` is one word and `None` is all
/// zeros: a table of closed slots costs no byte in the file and no page in memory.
#[derive(Debug)]
pub struct Fd(NonZeroI32);

impl Fd {
    /// Takes ownership of what a kernel call returned.
    pub(super) fn own(returned: isize) -> Result<Self, Errno> {
        let number = check(returned)? as i32;
        NonZeroI32::new(!number).map(Self).ok_or(Errno(libc::EBADF))
    }

    /// The descriptor's number.
    pub fn number(&self) -> c_int {
        !self.0.get()
    }

    /// `read(2)`: bytes placed at the front of `into`; zero means that no more will come, or that there
    /// is no room.
    pub fn read(&self, into: &mut [u8]) -> Io {
        let (place, room) = (into.as_mut_ptr().expose_provenance(), into.len());
        // SAFETY: place and room are those of one exclusively borrowed slice.
        Io::from(restart(|| unsafe {
            call3(libc::SYS_read, self.raw(), place, room)
        }))
    }

    /// `write(2)`: how much of `bytes` the kernel took. Where nobody will read it, it comes to
    /// [`Io::Closed`] only if `SIGPIPE` is ignored.
    pub fn write(&self, bytes: &[u8]) -> Io {
        let (place, len) = (bytes.as_ptr().expose_provenance(), bytes.len());
        // SAFETY: place and length are those of one live slice.
        Io::from(restart(|| unsafe {
            call3(libc::SYS_write, self.raw(), place, len)
        }))
    }

    /// `fcntl(2)`: from now on a call returns `EAGAIN` instead of waiting.
    pub(super) fn set_nonblocking(&self) -> Result<(), Errno> {
        let (command, flags) = (libc::F_SETFL as usize, libc::O_NONBLOCK as usize);
        // SAFETY: fcntl(2) with F_SETFL takes an integer, no pointer.
        check(unsafe { call3(libc::SYS_fcntl, self.raw(), command, flags) }).map(drop)
    }

    /// The number as the kernel is given it.
    pub(super) fn raw(&self) -> usize {
        self.number().cast_unsigned() as usize
    }
}

impl Drop for Fd {
    #[inline(never)]
    fn drop(&mut self) {
        // An error of close(2) is ignored: on Linux the descriptor is gone whatever it returns.
        // SAFETY: the number is owned, and this is the end of its owner.
        unsafe { call3(libc::SYS_close, self.raw(), 0, 0) };
    }
}

/// The count that a call returned, or its error number.
pub(super) fn check(returned: isize) -> Result<usize, Errno> {
    // The kernel's error numbers are from 1 to 4095, negated.
    if (-4095..0).contains(&returned) {
        return Err(Errno(-returned as i32));
    }
    Ok(returned.cast_unsigned())
}

/// Calls again while the call was interrupted by a signal.
pub(super) fn restart(mut call: impl FnMut() -> isize) -> Result<usize, Errno> {
    loop {
        match check(call()) {
            Err(Errno::INTR) => {}
            result => return result,
        }
    }
}
