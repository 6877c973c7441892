//! Files that are read.

use core::ffi::CStr;

use super::call::{call3, call6};
use super::fd::{Errno, Fd, restart};

/// An open file.
#[derive(Debug)]
pub struct File(Fd);

impl File {
    /// `openat(2)`: the file at `path`, to read it. Programs started later do not inherit it.
    ///
    /// # Errors
    /// What the kernel says: it is not there, or not allowed to this user.
    pub fn open(path: &CStr) -> Result<Self, Errno> {
        let (from, flags) = (libc::AT_FDCWD, libc::O_RDONLY | libc::O_CLOEXEC);
        let place = path.as_ptr().expose_provenance();
        let arguments = [from as usize, place, flags as usize, 0, 0, 0];
        // SAFETY: `path` ends with a NUL and lives through the call.
        Fd::own(unsafe { call6(libc::SYS_openat, arguments) }).map(Self)
    }

    /// `read(2)`: how many bytes were placed at the front of `into`; zero at the end of the file, and
    /// where there is no room.
    ///
    /// # Errors
    /// What the kernel says: it is a folder, the disk is broken …
    pub fn read(&self, into: &mut [u8]) -> Result<usize, Errno> {
        let (place, room) = (into.as_mut_ptr().expose_provenance(), into.len());
        // SAFETY: place and room are those of one exclusively borrowed slice.
        restart(|| unsafe { call3(libc::SYS_read, self.0.raw(), place, room) })
    }
}
