//! Files: those that are read, and those that have no name.

use core::array;
use core::ffi::CStr;

use super::call::{call3, call6};
use super::fd::{Errno, Fd, check, restart};
use super::strings;

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

    /// The descriptor alone.
    pub fn into_descriptor(self) -> Fd {
        self.0
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

/// `newfstatat(2)`: whether there is a file at `path`, and no folder.
#[cfg(feature = "function")]
pub fn is_file(path: &CStr) -> bool {
    matches!(kind(path), Ok(libc::S_IFREG))
}

/// `newfstatat(2)` and `faccessat(2)`: whether this user may execute the file at `path`.
///
/// # Errors
/// As `execve(2)` would say: `EACCES` if not, also for a folder; `ENOENT` or `ENOTDIR` when there is none.
pub fn executable(path: &CStr) -> Result<(), Errno> {
    if kind(path)? != libc::S_IFREG {
        return Err(Errno::ACCES);
    }
    let (from, path) = (libc::AT_FDCWD as usize, path.as_ptr().expose_provenance());
    // SAFETY: `path` ends with a NUL.
    check(unsafe { call3(libc::SYS_faccessat, from, path, libc::X_OK as usize) }).map(drop)
}

/// `newfstatat(2)`: whether two paths lead to one file.
#[cfg(feature = "function")]
pub fn is_same(path: &CStr, other: &CStr) -> bool {
    match (stat(path), stat(other)) {
        (Ok(one), Ok(other)) => (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino),
        _ => false,
    }
}

/// What is at `path`.
fn kind(path: &CStr) -> Result<libc::mode_t, Errno> {
    stat(path).map(|found| found.st_mode & libc::S_IFMT)
}

/// `stat(2)`.
fn stat(path: &CStr) -> Result<libc::stat, Errno> {
    // SAFETY: the struct is integers (and, on musl, padding), for all of which zero is valid.
    let mut found: libc::stat = unsafe { core::mem::zeroed() };
    let (from, path) = (libc::AT_FDCWD as usize, path.as_ptr().expose_provenance());
    let place = (&raw mut found).expose_provenance();
    // SAFETY: `path` ends with a NUL; on these architectures `found` has the kernel's layout, and it lives
    // through the call, exclusively borrowed.
    check(unsafe { call6(libc::SYS_newfstatat, [from, path, place, 0, 0, 0]) })?;
    Ok(found)
}

/// `memfd_create(2)`: an empty file in memory, to read and to write. `name` is for whoever looks into
/// `/proc`.
///
/// # Errors
/// `ENOSYS` on a kernel older than 3.17; out of descriptors or memory.
pub fn memory_file(name: &CStr) -> Result<Fd, Errno> {
    let (name, flags) = (
        name.as_ptr().expose_provenance(),
        libc::MFD_CLOEXEC as usize,
    );
    // SAFETY: `name` ends with a NUL and lives through the call.
    Fd::own(unsafe { call3(libc::SYS_memfd_create, name, flags, 0) })
}

/// `openat(2)` and `unlinkat(2)`: an empty file in `folder` that has no name any more, to read and to
/// write.
///
/// (`O_TMPFILE` would be one call, but not all kernels and file systems have it.)
///
/// # Errors
/// What the kernel says: the folder is not there, or not writable to this user; `EEXIST` when somebody has
/// made files of all names that are tried.
pub fn unlinked_file(folder: &[u8]) -> Result<Fd, Errno> {
    // SAFETY: getpid(2) takes no arguments.
    let process = unsafe { call3(libc::SYS_getpid, 0, 0, 0) };
    for attempt in 0..ATTEMPT_COUNT {
        // The number of the process and of the attempt, four bits to a letter.
        let bits = process << 4 | attempt;
        let name: [u8; 9] = array::from_fn(|index| b'a' + (bits >> (4 * index) & 15) as u8);
        let mut place = [0; 256];
        let path = strings::path(&mut place, &[folder, b"/fnboot-", &name])?;
        let made = create(path);
        if !matches!(made, Err(Errno::EXIST)) {
            let file = made?;
            unlink(path)?;
            return Ok(file);
        }
    }
    Err(Errno::EXIST)
}

/// As many as four bits tell apart.
const ATTEMPT_COUNT: isize = 16;

/// `openat(2)`: a new file that only this user may open.
fn create(path: &CStr) -> Result<Fd, Errno> {
    let flags = libc::O_RDWR | libc::O_CREAT | libc::O_EXCL | libc::O_CLOEXEC;
    let (from, place) = (libc::AT_FDCWD, path.as_ptr().expose_provenance());
    let arguments = [from as usize, place, flags as usize, 0o600, 0, 0];
    // SAFETY: `path` ends with a NUL and lives through the call.
    Fd::own(unsafe { call6(libc::SYS_openat, arguments) })
}

/// `unlinkat(2)`.
fn unlink(path: &CStr) -> Result<(), Errno> {
    let (from, place) = (libc::AT_FDCWD, path.as_ptr().expose_provenance());
    // SAFETY: `path` ends with a NUL and lives through the call.
    check(unsafe { call3(libc::SYS_unlinkat, from as usize, place, 0) }).map(drop)
}

/// `pwrite64(2)`, again until all of it is written: `bytes`, from `position` on. The offset stays.
///
/// # Errors
/// What the kernel says: the disk or the memory is full.
pub fn write_at(file: &Fd, bytes: &[u8], position: usize) -> Result<(), Errno> {
    let mut done = 0;
    while let Some(rest @ [_, ..]) = bytes.get(done..) {
        let (place, len) = (rest.as_ptr().expose_provenance(), rest.len());
        let arguments = [file.raw(), place, len, position + done, 0, 0];
        // SAFETY: place and length are those of one live slice.
        match restart(|| unsafe { call6(libc::SYS_pwrite64, arguments) })? {
            0 => return Err(Errno::NOSPC),
            count => done += count,
        }
    }
    Ok(())
}

/// `pread64(2)`: how many bytes from `position` on were placed at the front of `into`. The offset stays.
///
/// # Errors
/// What the kernel says; none is known for one of these files.
pub fn read_at(file: &Fd, into: &mut [u8], position: usize) -> Result<usize, Errno> {
    let (place, room) = (into.as_mut_ptr().expose_provenance(), into.len());
    let arguments = [file.raw(), place, room, position, 0, 0];
    // SAFETY: place and room are those of one exclusively borrowed slice.
    restart(|| unsafe { call6(libc::SYS_pread64, arguments) })
}

/// `ftruncate(2)`: makes the file that long.
///
/// # Errors
/// What the kernel says; none is known for one of these files that becomes shorter.
pub fn set_len(file: &Fd, len: usize) -> Result<(), Errno> {
    // SAFETY: ftruncate(2) takes no pointers.
    restart(|| unsafe { call3(libc::SYS_ftruncate, file.raw(), len, 0) }).map(drop)
}

/// `lseek(2)`: whoever shares this open file reads from its start next.
///
/// # Errors
/// None that a correct program can meet.
pub fn rewind(file: &Fd) -> Result<(), Errno> {
    // SAFETY: lseek(2) takes no pointers.
    check(unsafe { call3(libc::SYS_lseek, file.raw(), 0, libc::SEEK_SET as usize) }).map(drop)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read as _, Seek as _};
    use std::os::fd::BorrowedFd;
    use std::string::String;

    use super::*;

    fn unnamed() -> [Fd; 2] {
        [
            memory_file(c"event").unwrap(),
            unlinked_file(b"/tmp").unwrap(),
        ]
    }

    /// The file as the standard library has it: the same open file, not a second one.
    fn shared(file: &Fd) -> fs::File {
        // SAFETY: it is open as long as `file` is borrowed.
        let file = unsafe { BorrowedFd::borrow_raw(file.number()) };
        file.try_clone_to_owned().unwrap().into()
    }

    #[test]
    fn a_file_without_a_name_gets_one_content_after_the_other() {
        for file in unnamed() {
            let mut reader = shared(&file);
            for content in ["a long event", "", "short"] {
                set_len(&file, 0).unwrap();
                let (first, rest) = content.split_at(content.len() / 2);
                write_at(&file, first.as_bytes(), 0).unwrap();
                write_at(&file, rest.as_bytes(), first.len()).unwrap();
                rewind(&file).unwrap();
                let mut found = String::new();
                reader.read_to_string(&mut found).unwrap();
                assert_eq!(found, content);
                assert_eq!(reader.stream_position().unwrap(), content.len() as u64);
            }
        }
    }

    #[test]
    fn a_file_without_a_name_has_none_and_is_not_inherited() {
        for file in unnamed() {
            // SAFETY: fcntl(2) with this command takes no third argument.
            let flags = unsafe { libc::fcntl(file.number(), libc::F_GETFD) };
            assert_eq!(flags, libc::FD_CLOEXEC);
            let link = std::format!("/proc/self/fd/{}", file.number());
            let name = fs::read_link(link).unwrap();
            assert!(name.to_str().unwrap().ends_with(" (deleted)"), "{name:?}");
        }
        assert_eq!(unlinked_file(b"/nowhere").unwrap_err(), Errno::NOENT);
        assert_eq!(unlinked_file(&[b'x'; 256]).unwrap_err(), Errno::TOOBIG);
    }

    #[test]
    fn names_that_are_taken_are_passed_over() {
        let folder = std::env::temp_dir().join(std::format!("fnboot-{}", std::process::id()));
        fs::create_dir(&folder).unwrap();
        let bytes = folder.as_os_str().as_encoded_bytes();
        let letters = |attempt: u32| {
            let bits = std::process::id() << 4 | attempt;
            let name: [u8; 9] =
                array::from_fn(|at| b'a' + (u64::from(bits) >> (4 * at) & 15) as u8);
            folder.join(std::format!("fnboot-{}", str::from_utf8(&name).unwrap()))
        };
        for attempt in 0..15 {
            fs::write(letters(attempt), "other").unwrap();
        }
        drop(unlinked_file(bytes).unwrap());
        fs::write(letters(15), "other").unwrap();
        assert_eq!(unlinked_file(bytes).unwrap_err(), Errno::EXIST);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 16);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_may_be_executed() {
        assert_eq!(executable(c"/bin/sh"), Ok(()));
        assert_eq!(executable(c"/bin"), Err(Errno::ACCES), "a folder");
        assert_eq!(executable(c"/etc/passwd"), Err(Errno::ACCES));
        assert_eq!(executable(c"/dev/null"), Err(Errno::ACCES));
        assert_eq!(executable(c"/bin/nothing-of-that-name"), Err(Errno::NOENT));
        assert_eq!(executable(c"/bin/sh/cat"), Err(Errno(libc::ENOTDIR)));
        assert_eq!(executable(c""), Err(Errno::NOENT));
    }
}
