//! What a program is started with that is the same for every call: its path, its arguments.

use core::ffi::CStr;
use core::mem::MaybeUninit;

use crate::bytes;
use crate::limits::PATH_BYTES_MAX;
use crate::sys::env;
use crate::sys::fd::Errno;
use crate::sys::file::{self, File};
use crate::sys::memory::Reserved;
use crate::sys::strings::{self, Strings};

/// A program that can be started.
#[derive(Debug)]
pub struct Launch {
    /// Its path, up to the NUL.
    path: &'static mut [u8],
    /// What it is started with, its own name first.
    pub arguments: Strings,
}

/// Where it is, and its path: most paths are short, so both lie on one page.
struct Place {
    launch: MaybeUninit<Launch>,
    path: [u8; PATH_BYTES_MAX],
}

static PLACE: Reserved<Place> = Reserved::new(Place {
    launch: MaybeUninit::uninit(),
    path: [0; PATH_BYTES_MAX],
});

/// Where programs are looked for if the environment has no `PATH`.
const PATH_DEFAULT: &[u8] = b"/usr/local/bin:/usr/bin:/bin";

impl Launch {
    /// What these arguments say, which is not found yet: once in the life of a process.
    pub fn new(arguments: Strings) -> Option<&'static mut Self> {
        let place = PLACE.take()?;
        let path = &mut place.path;
        Some(place.launch.write(Self { path, arguments }))
    }

    /// Looks for the program that the arguments begin with: as a shell would, in `PATH` unless there is a slash
    /// in its name.
    ///
    /// # Errors
    /// There is none, or nobody can execute it: why, where `$` stands for its name.
    pub fn find(&mut self) -> Result<(), &'static str> {
        let name = self.arguments.get(0).unwrap_or_default();
        let refused = match search(name, self.path) {
            Ok(()) => obstacle(self.path()),
            Err(Errno::ACCES) => Some(FORBIDDEN),
            Err(_) => Some(NOWHERE),
        };
        refused.map_or(Ok(()), Err)
    }

    /// Why it is not executed, after the kernel has said `errno`. `$` stands for its path.
    pub fn refused(&self, errno: Errno) -> &'static str {
        match errno {
            Errno::ACCES => FORBIDDEN,
            Errno::NOEXEC => {
                "'$' is neither a binary for this machine nor a script with #! in its first line"
            }
            _ => obstacle(self.path()).unwrap_or(INCOMPLETE),
        }
    }

    pub fn path(&self) -> &CStr {
        strings::until_nul(self.path)
    }
}

const NOWHERE: &str = "there is no program '$'";
const FORBIDDEN: &str = "nobody may execute the program '$'";
const INCOMPLETE: &str = "what '$' needs to be executed, its interpreter or loader, is not there";
const WINDOWS: &str = "the first line of '$' ends with CR LF, as on Windows, so that Linux does not find its interpreter";

/// So much of the first line of a file counts for the kernel (`BINPRM_BUF_SIZE`).
const LINE_BYTES: usize = 256;

/// What can be seen to be in the way of executing the file at `path`: it is not there, or what its first line names
/// is not. Binaries are not looked into.
fn obstacle(path: &CStr) -> Option<&'static str> {
    let mut place = [0; LINE_BYTES];
    let count = match File::open(path).and_then(|file| file.read(&mut place)) {
        Ok(count) => count,
        Err(Errno::NOENT) => return Some(NOWHERE),
        // Nobody has to read it.
        Err(_) => return None,
    };
    let line = bytes::before(bytes::slice(&place, 0..count), b'\n');
    let [b'#', b'!', name @ ..] = line else {
        return None;
    };
    if let [.., b'\r'] = name {
        return Some(WINDOWS);
    }
    let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let name = bytes::trim(name).split(is_blank).next()?;
    let mut place = [0; LINE_BYTES];
    let path = strings::path(&mut place, &[name]).ok()?;
    file::executable(path).err().map(|_| INCOMPLETE)
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
