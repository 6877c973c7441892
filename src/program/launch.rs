//! What a program is started with that is the same for every call: its path, its arguments.

use core::ffi::CStr;

use crate::bytes;
use crate::limits::PATH_BYTES_MAX;
use crate::sys::env;
use crate::sys::fd::Errno;
use crate::sys::file::{self, File};
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
    /// There is none, or nobody can execute it: why, as of [`refusal`], and the arguments.
    pub fn find(arguments: Strings) -> Result<Self, (&'static str, Strings)> {
        let mut path = [0; PATH_BYTES_MAX];
        let found = search(arguments.get(0).unwrap_or_default(), &mut path);
        let launch = Self { path, arguments };
        let refused = match found {
            Ok(()) if has_interpreter(launch.path()) => return Ok(launch),
            Ok(()) => refusal(Errno::NOENT, Some(launch.path())),
            Err(errno) => refusal(errno, None),
        };
        Err((refused, launch.arguments))
    }

    pub fn path(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.path).unwrap_or_default()
    }
}

/// Why the program at `path`, or one that was found nowhere, is not executed, after the kernel has said
/// `errno`. `$` stands for its name.
pub fn refusal(errno: Errno, path: Option<&CStr>) -> &'static str {
    let mut place = [0; LINE_BYTES];
    let file = path.and_then(|path| first_line(path, &mut place));
    match (errno, file) {
        (Errno::ACCES, _) => "nobody may execute the program '$'",
        (Errno::NOEXEC, _) => {
            "'$' is neither a binary for this machine nor a script with #! in its first line"
        }
        (_, Some([.., b'\r'])) => {
            "the first line of '$' ends with CR LF, as on Windows, so that Linux does not find its interpreter"
        }
        (_, Some(_)) => "what '$' needs to be executed, its interpreter or loader, is not there",
        (_, None) => "there is no program '$'",
    }
}

/// So much of the first line of a file counts for the kernel (`BINPRM_BUF_SIZE`).
const LINE_BYTES: usize = 256;

/// The first line of the file at `path`, if there is such a file.
fn first_line<'a>(path: &CStr, place: &'a mut [u8; LINE_BYTES]) -> Option<&'a [u8]> {
    let count = File::open(path).and_then(|file| file.read(place)).ok()?;
    Some(bytes::before(bytes::slice(place, 0..count), b'\n'))
}

/// Whether the first line of a script names a program that is there. Binaries are not looked into.
fn has_interpreter(path: &CStr) -> bool {
    let mut place = [0; LINE_BYTES];
    let Some([b'#', b'!', line @ ..]) = first_line(path, &mut place) else {
        return true;
    };
    let mut place = [0; LINE_BYTES];
    let name = bytes::before(bytes::trim(line), b' ');
    let path = strings::path(&mut place, &[bytes::before(name, b'\t')]);
    line.last() != Some(&b'\r') && path.is_ok_and(|path| file::executable(path).is_ok())
}

fn search(name: &[u8], path: &mut [u8]) -> Result<(), Errno> {
    if name.is_empty() {
        return Err(Errno::NOENT);
    }
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
