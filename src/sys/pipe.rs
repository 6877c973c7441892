//! Ways to talk with a child process. Only the end that stays here does not block: the other one is for a
//! program that knows nothing of it.

use libc::c_int;

use super::call::{call3, call6};
use super::fd::{Errno, Fd, check};

/// `pipe2(2)`: the end to read from, which does not block, and the end to write to.
///
/// # Errors
/// Out of descriptors or memory.
pub fn pipe() -> Result<[Fd; 2], Errno> {
    let mut numbers: [c_int; 2] = [0; 2];
    let (place, flags) = (
        (&raw mut numbers).expose_provenance(),
        libc::O_CLOEXEC as usize,
    );
    // SAFETY: `numbers` lives through the call, exclusively borrowed, and has room for two.
    check(unsafe { call3(libc::SYS_pipe2, place, flags, 0) })?;
    ends(numbers)
}

/// `socketpair(2)`: two connected stream sockets, of which the first does not block.
///
/// # Errors
/// Out of descriptors or memory.
pub fn socket_pair() -> Result<[Fd; 2], Errno> {
    let mut numbers: [c_int; 2] = [0; 2];
    let (domain, kind) = (libc::AF_UNIX, libc::SOCK_STREAM | libc::SOCK_CLOEXEC);
    let place = (&raw mut numbers).expose_provenance();
    let arguments = [domain as usize, kind as usize, 0, place, 0, 0];
    // SAFETY: as above.
    check(unsafe { call6(libc::SYS_socketpair, arguments) })?;
    ends(numbers)
}

fn ends([ours, theirs]: [c_int; 2]) -> Result<[Fd; 2], Errno> {
    let [ours, theirs] = [Fd::own(ours as isize)?, Fd::own(theirs as isize)?];
    ours.set_nonblocking()?;
    Ok([ours, theirs])
}

#[cfg(test)]
mod tests {
    use super::super::fd::Io;
    use super::*;

    fn flags(fd: &Fd) -> [c_int; 2] {
        // SAFETY: fcntl(2) with these commands takes no third argument.
        [libc::F_GETFL, libc::F_GETFD].map(|command| unsafe { libc::fcntl(fd.number(), command) })
    }

    #[test]
    fn only_our_end_never_blocks_and_neither_is_inherited() {
        for [ours, theirs] in [pipe().unwrap(), socket_pair().unwrap()] {
            let ([ours_status, ours_fd], [theirs_status, theirs_fd]) =
                (flags(&ours), flags(&theirs));
            assert_ne!(ours_status & libc::O_NONBLOCK, 0);
            assert_eq!(theirs_status & libc::O_NONBLOCK, 0);
            assert_eq!([ours_fd, theirs_fd], [libc::FD_CLOEXEC; 2]);
        }
    }

    #[test]
    fn what_is_written_is_read_until_the_other_end_is_closed() {
        for [ours, theirs] in [pipe().unwrap(), socket_pair().unwrap()] {
            let mut place = [0; 8];
            assert_eq!(ours.read(&mut place), Io::Blocked);
            assert_eq!(theirs.write(b"abc"), Io::Done(3));
            assert_eq!(ours.read(&mut place), Io::Done(3));
            assert_eq!(&place[..3], b"abc");
            drop(theirs);
            assert_eq!(ours.read(&mut place), Io::Done(0));
        }
        let [ours, theirs] = socket_pair().unwrap();
        assert_eq!(ours.write(b"line\n"), Io::Done(5));
        assert_eq!(theirs.read(&mut [0; 8]), Io::Done(5));
        drop(theirs);
        assert_eq!(ours.write(b"x"), Io::Closed(Errno(libc::EPIPE)));
    }
}
