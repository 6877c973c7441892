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
    /// `ENOENT` if there is none, `EACCES` if there is, but nobody may execute it.
    pub fn find(arguments: Strings) -> Result<Self, Errno> {
        let mut launch = Self {
            path: [0; PATH_BYTES_MAX],
            arguments,
        };
        let mut path = [0; PATH_BYTES_MAX];
        let name = launch.arguments.get(0).unwrap_or_default();
        if bytes::has(name, b'/') {
            try_path(&mut path, &[name])?;
            launch.path = path;
            return Ok(launch);
        }
        let folders = env::var(b"PATH").filter(|folders| !folders.is_empty());
        let mut error = Errno::NOENT;
        for folder in bytes::split(folders.unwrap_or(PATH_DEFAULT), b':') {
            let folder = if folder.is_empty() { b"." } else { folder };
            match try_path(&mut path, &[folder, b"/", name]) {
                Ok(()) => {
                    launch.path = path;
                    return Ok(launch);
                }
                Err(Errno::ACCES) => error = Errno::ACCES,
                _ => {}
            }
        }
        Err(error)
    }

    pub fn path(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.path).unwrap_or_default()
    }
}

fn try_path(place: &mut [u8], parts: &[&[u8]]) -> Result<(), Errno> {
    file::executable(strings::path(place, parts)?)
}
