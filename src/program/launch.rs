//! What a program is started with that is the same for every call: its path, its arguments.

use core::ffi::CStr;

use crate::bytes;
use crate::limits::PATH_BYTES_MAX;
use crate::sys::env;
use crate::sys::fd::Errno;
use crate::sys::file;
use crate::sys::strings::{self, Strings};

/// A program that can be started.
#[derive(Debug)]
pub struct Launch {
    /// Its path, up to the NUL.
    path: [u8; PATH_BYTES_MAX],
    /// What it is started with, its own name first.
    pub arguments: Strings,
}

/// Where programs are looked for if the environment has no `PATH`.
const PATH_DEFAULT: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

impl Launch {
    /// Looks for the program that the arguments begin with: as a shell would, in `PATH` unless there is a slash
    /// in its name.
    ///
    /// # Errors
    /// `ENOENT` if there is none, `EACCES` if there is, but nobody may execute it; and its name.
    pub fn find(arguments: Strings) -> Result<Self, (Errno, Strings)> {
        let mut path = [0; PATH_BYTES_MAX];
        match search(arguments.get(0).unwrap_or_default(), &mut path) {
            Ok(()) => Ok(Self { path, arguments }),
            Err(errno) => Err((errno, arguments)),
        }
    }

    pub fn path(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.path).unwrap_or_default()
    }
}

fn search(name: &[u8], path: &mut [u8]) -> Result<(), Errno> {
    if bytes::has(name, b'/') {
        return file::executable(strings::path(path, &[name])?);
    }
    let folders = env::var(b"PATH").filter(|folders| !folders.is_empty());
    let mut error = Errno::NOENT;
    for folder in bytes::split(folders.unwrap_or(PATH_DEFAULT), b':') {
        let folder = if folder.is_empty() { b"." } else { folder };
        let path = strings::path(path, &[folder, b"/", name])?;
        match file::executable(path) {
            Ok(()) => return Ok(()),
            Err(Errno::ACCES) => error = Errno::ACCES,
            Err(_) => {}
        }
    }
    Err(error)
}
