//! Owned descriptors, error numbers, and what a non-blocking call can come to.

use core::num::NonZeroI32;

use libc::c_int;

/// An error number of the kernel, as in `errno(3)`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Errno(pub i32);

impl Errno {
    pub const ACCES: Self = Self(libc::EACCES);
    pub const ADDRINUSE: Self = Self(libc::EADDRINUSE);
    pub const AGAIN: Self = Self(libc::EAGAIN);
    pub const INTR: Self = Self(libc::EINTR);

    /// The number that the last failed call of this thread left.
    pub(super) fn last() -> Self {
        // SAFETY: the C library returns a valid pointer to this thread's own number.
        Self(unsafe { *libc::__errno_location() })
    }

    /// Whether the kernel is out of descriptors or of memory for one more: a state that passes.
    #[must_use]
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
        let count = check(returned)?;
        let number = i32::try_from(count).map_err(|_| Errno(libc::EBADF))?;
        NonZeroI32::new(!number).map(Self).ok_or(Errno(libc::EBADF))
    }

    /// The descriptor's number.
    #[must_use]
    pub fn number(&self) -> c_int {
        !self.0.get()
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        // An error of close(2) is ignored: on Linux the descriptor is gone whatever it returns.
        // SAFETY: the number is owned, and this is the end of its owner.
        unsafe { libc::close(self.number()) };
    }
}

/// The count that a call returned, or the error number it left.
pub(super) fn check(returned: isize) -> Result<usize, Errno> {
    usize::try_from(returned).map_err(|_| Errno::last())
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
