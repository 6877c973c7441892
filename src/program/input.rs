//! The event as a file, which a program has as its standard input: all of it is there before the program
//! starts, so nobody has to write while it reads, and it may open `/dev/stdin` or go back in it.

use crate::bytes::Writer;
use crate::sys::fd::{Errno, Fd};
use crate::sys::file::{self, File};
use crate::sys::strings;

/// A file with the event in it, to be read from its beginning.
///
/// # Errors
/// Out of descriptors or memory. `ENOSPC` without files in memory, and with a `/tmp` that cannot be written to.
pub fn file(event: &[u8]) -> Result<Fd, Errno> {
    let file = file::memory_file(c"fnboot").or_else(|errno| {
        if errno.is_passing() {
            return Err(errno);
        }
        // A kernel older than 3.17, or a filter of system calls. What `/tmp` lacks must not be taken for something
        // that the program lacks.
        file::unlinked_file(b"/tmp").map_err(|errno| {
            if errno.is_passing() {
                errno
            } else {
                Errno::NOSPC
            }
        })
    })?;
    file::write_at(&file, event, 0)?;
    Ok(file)
}

/// The same file, to be read alone, with an offset of its own.
///
/// # Errors
/// There is no `/proc`; or out of descriptors.
pub fn again(file: &Fd) -> Result<Fd, Errno> {
    let mut path = [0; 32];
    let mut writer = Writer::new(&mut path);
    writer.put(b"/proc/self/fd/");
    writer.put_decimal(u64::from(file.number().cast_unsigned()));
    File::open(strings::until_nul(&path)).map(File::into_descriptor)
}
