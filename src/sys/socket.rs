//! TCP sockets (IPv4): FC connects from another address of the instance's own network.

use core::ptr;

use libc::{c_int, c_void};

use super::fd::{Errno, Fd, Io, check, restart};

/// A socket that waits for connections.
#[derive(Debug)]
pub struct Listener(pub(super) Fd);

/// One connection; never blocks.
#[derive(Debug)]
pub struct Socket(pub(super) Fd);

impl Listener {
    /// `socket(2)`, `bind(2)`, `listen(2)`: waits on every address of `port`, with `TCP_NODELAY`
    /// left to each connection.
    ///
    /// # Errors
    /// What the kernel says: the port is taken, or not allowed to this user.
    pub fn bind(port: u16, backlog: c_int) -> Result<Self, Errno> {
        let fd = above_standard(tcp()?)?;
        set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR)?;
        let address = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: port.to_be(),
            sin_addr: libc::in_addr {
                s_addr: libc::INADDR_ANY,
            },
            sin_zero: [0; 8],
        };
        let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        // SAFETY: `address` lives through the call and `length` is its size.
        check(unsafe { libc::bind(fd.number(), (&raw const address).cast(), length) } as isize)?;
        // SAFETY: listen(2) takes no pointers.
        check(unsafe { libc::listen(fd.number(), backlog) } as isize)?;
        Ok(Self(fd))
    }

    /// `accept4(2)`: the next waiting connection, made non-blocking.
    ///
    /// # Errors
    /// `EAGAIN` when none waits (and the listener does not block), `EINTR` when a signal came.
    pub fn accept(&self) -> Result<Socket, Errno> {
        let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: both pointers may be null: nobody asks for the peer's address.
        let fd = unsafe {
            let none = ptr::null_mut::<c_void>();
            libc::syscall(libc::SYS_accept4, self.0.number(), none, none, flags)
        };
        Fd::own(fd as isize).map(Socket)
    }

    /// `fcntl(2)`: from now on [`Listener::accept`] returns `EAGAIN` instead of waiting.
    ///
    /// # Errors
    /// What the kernel says; none is known for an open socket.
    pub fn set_nonblocking(&self) -> Result<(), Errno> {
        // SAFETY: fcntl(2) with F_SETFL takes an integer, no pointer.
        let done = unsafe {
            libc::syscall(
                libc::SYS_fcntl,
                self.0.number(),
                libc::F_SETFL,
                libc::O_NONBLOCK,
            )
        };
        check(done as isize).map(drop)
    }
}

impl Socket {
    /// `recv(2)`: bytes placed at the front of `into`; zero means that the peer sends no more.
    pub fn recv(&self, into: &mut [u8]) -> Io {
        Io::from(restart(|| {
            // SAFETY: pointer and length come from one live, exclusively borrowed slice.
            unsafe { libc::recv(self.0.number(), into.as_mut_ptr().cast(), into.len(), 0) }
        }))
    }

    /// `recv(2)` with `MSG_TRUNC`: throws away up to `count` received bytes, without copying them.
    pub fn discard(&self, count: usize) -> Io {
        Io::from(restart(|| {
            // SAFETY: on a TCP socket MSG_TRUNC makes the kernel write nothing through the
            // pointer (tcp(7)), so null is allowed.
            unsafe { libc::recv(self.0.number(), ptr::null_mut(), count, libc::MSG_TRUNC) }
        }))
    }

    /// `send(2)` without `SIGPIPE`: how much of `bytes` the kernel took.
    pub fn send(&self, bytes: &[u8]) -> Io {
        Io::from(restart(|| {
            // SAFETY: pointer and length come from one live slice.
            unsafe {
                libc::send(
                    self.0.number(),
                    bytes.as_ptr().cast(),
                    bytes.len(),
                    libc::MSG_NOSIGNAL,
                )
            }
        }))
    }

    /// `sendmsg(2)` without `SIGPIPE`, the socket's `writev(2)`: how much of `head` followed by
    /// `body` the kernel took, in one call.
    pub fn send_both(&self, head: &[u8], body: &[u8]) -> Io {
        if body.is_empty() {
            return self.send(head);
        }
        let parts = [part(head), part(body)];
        // On musl the struct has private padding, so it cannot be written out.
        let mut message = EMPTY_MESSAGE;
        message.msg_iov = parts.as_ptr().cast_mut();
        message.msg_iovlen = parts.len() as _;
        Io::from(restart(|| {
            // SAFETY: the message names two live slices by pointer and length and nothing else,
            // and the kernel only reads through a message that it sends.
            let sent = unsafe {
                let message = &raw const message;
                libc::syscall(
                    libc::SYS_sendmsg,
                    self.0.number(),
                    message,
                    libc::MSG_NOSIGNAL,
                )
            };
            sent as isize
        }))
    }

    /// `setsockopt(2)`, `TCP_NODELAY`: a short last segment leaves without waiting for the peer.
    ///
    /// # Errors
    /// What the kernel says, e.g. when the peer has already reset the connection.
    pub fn set_nodelay(&self) -> Result<(), Errno> {
        set(&self.0, libc::IPPROTO_TCP, libc::TCP_NODELAY)
    }

    /// `shutdown(2)`: says to the peer that nothing more will be sent.
    ///
    /// # Errors
    /// `ENOTCONN` when the peer has already reset the connection.
    pub fn shutdown_write(&self) -> Result<(), Errno> {
        // SAFETY: shutdown(2) takes no pointers.
        check(unsafe { libc::shutdown(self.0.number(), libc::SHUT_WR) } as isize).map(drop)
    }
}

// SAFETY: msghdr is integers and pointers (and, on musl, padding), for all of which zero is valid.
const EMPTY_MESSAGE: libc::msghdr = unsafe { core::mem::zeroed() };

fn part(bytes: &[u8]) -> libc::iovec {
    libc::iovec {
        iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(),
        iov_len: bytes.len(),
    }
}

/// `socket(2)`: a TCP socket that programs started later do not inherit.
fn tcp() -> Result<Fd, Errno> {
    let kind = libc::SOCK_STREAM | libc::SOCK_CLOEXEC;
    // SAFETY: socket(2) takes no pointers.
    Fd::own(unsafe { libc::syscall(libc::SYS_socket, libc::AF_INET, kind, 0) } as isize)
}

/// The same socket under a number above the standard streams.
///
/// A process started with stdout closed would get number 1 for its first socket and print its log
/// into a connection. The low numbers stay taken by duplicates of the listener, into which a
/// `write(2)` fails.
fn above_standard(fd: Fd) -> Result<Fd, Errno> {
    let mut fd = fd;
    while fd.number() <= libc::STDERR_FILENO {
        // SAFETY: dup(2) takes no pointers.
        let above = Fd::own(unsafe { libc::dup(fd.number()) } as isize)?;
        core::mem::forget(core::mem::replace(&mut fd, above));
    }
    Ok(fd)
}

/// `setsockopt(2)`: switches a boolean option on.
fn set(fd: &Fd, level: c_int, option: c_int) -> Result<(), Errno> {
    let on: c_int = 1;
    let length = size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `on` lives through the call and `length` is its size.
    let done =
        unsafe { libc::setsockopt(fd.number(), level, option, (&raw const on).cast(), length) };
    check(done as isize).map(drop)
}
