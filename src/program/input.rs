//! The event as a file, which a program has as its standard input: all of it is there before the program
//! starts, so nobody has to write while it reads, and it may open `/dev/stdin` or go back in it.

use crate::sys::fd::{Errno, Fd};
use crate::sys::file;

/// A file with the event in it, to be read from its beginning.
///
/// # Errors
/// Out of descriptors or memory; without files in memory, also a `/tmp` that cannot be written to.
pub fn file(event: &[u8]) -> Result<Fd, Errno> {
    let file = empty()?;
    file::write_at(&file, event, 0)?;
    Ok(file)
}

/// An empty file.
///
/// # Errors
/// As of [`file`].
pub fn empty() -> Result<Fd, Errno> {
    match file::memory_file(c"fnboot") {
        // A kernel older than 3.17, or a filter of system calls.
        Err(errno) if !errno.is_passing() => file::unlinked_file(b"/tmp"),
        made => made,
    }
}
