//! TCP sockets (IPv4): FC connects from another address of the instance's own network.

use libc::{c_int, c_void};

use super::call::{call3, call6};
use super::fd::{Errno, Fd, Io, check, restart};

/// The address of the machine itself, for itself.
#[cfg(any(feature = "web", feature = "worker"))]
pub const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

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
        Self::bind_to([0; 4], port, backlog)
    }

    /// [`Listener::bind`] to one address alone. Port zero stands for one of the kernel's choice.
    ///
    /// # Errors
    /// As of [`Listener::bind`].
    pub fn bind_to(host: [u8; 4], port: u16, backlog: c_int) -> Result<Self, Errno> {
        let fd = tcp()?;
        set(&fd, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)?;
        let address = address(host, port);
        let (place, length) = (
            (&raw const address).expose_provenance(),
            size_of_val(&address),
        );
        // SAFETY: `address` lives through the call and `length` is its size.
        check(unsafe { call3(libc::SYS_bind, fd.raw(), place, length) })?;
        // SAFETY: listen(2) takes no pointers.
        check(unsafe { call3(libc::SYS_listen, fd.raw(), backlog as usize, 0) })?;
        Ok(Self(fd))
    }

    /// `getsockname(2)`: the port.
    #[cfg(feature = "worker")]
    pub fn port(&self) -> Option<u16> {
        local_port(&self.0)
    }

    /// `accept4(2)`: the next waiting connection, made non-blocking.
    ///
    /// # Errors
    /// `EAGAIN` when none waits (and the listener does not block), `EINTR` when a signal came.
    pub fn accept(&self) -> Result<Socket, Errno> {
        let flags = (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as usize;
        // SAFETY: both pointers may be null: nobody asks for the peer's address.
        let fd = unsafe { call6(libc::SYS_accept4, [self.0.raw(), 0, 0, flags, 0, 0]) };
        Fd::own(fd).map(Socket)
    }

    /// `shutdown(2)`: from now on connections are refused.
    ///
    /// # Errors
    /// `ENOTCONN` when it was shut down before.
    pub fn shutdown(&self) -> Result<(), Errno> {
        // SAFETY: shutdown(2) takes no pointers.
        let done = unsafe { call3(libc::SYS_shutdown, self.0.raw(), libc::SHUT_RD as usize, 0) };
        check(done).map(drop)
    }

    /// `fcntl(2)`: from now on [`Listener::accept`] returns `EAGAIN` instead of waiting.
    ///
    /// # Errors
    /// What the kernel says; none is known for an open socket.
    pub fn set_nonblocking(&self) -> Result<(), Errno> {
        self.0.set_nonblocking()
    }
}

impl Socket {
    /// `socket(2)`, `connect(2)`: a connection to an address of IPv4 that is being made, with
    /// `TCP_NODELAY`. Nothing blocks: what is sent before it is made comes to [`Io::Blocked`], and an
    /// error of making it to [`Io::Closed`], if [`Socket::error`] does not tell before.
    ///
    /// # Errors
    /// What the kernel says at once: no way leads there, or it is out of descriptors.
    pub fn connect(host: [u8; 4], port: u16) -> Result<Self, Errno> {
        let socket = Self(tcp()?);
        socket.0.set_nonblocking()?;
        let address = address(host, port);
        let place = (&raw const address).expose_provenance();
        let (fd, len) = (socket.0.raw(), size_of_val(&address));
        // SAFETY: `address` lives through the call, with its size behind it.
        match check(unsafe { call3(libc::SYS_connect, fd, place, len) }) {
            Ok(_) | Err(Errno::INPROGRESS) => {}
            Err(errno) => return Err(errno),
        }
        socket.set_nodelay()?;
        Ok(socket)
    }

    /// `getsockopt(2)`, `SO_ERROR`: takes the error that the connection has come to, if there is one.
    ///
    /// # Errors
    /// That one: nobody listens there, for instance.
    pub fn error(&self) -> Result<(), Errno> {
        let mut error: c_int = 0;
        let mut len = size_of_val(&error) as libc::socklen_t;
        let arguments = [
            self.0.raw(),
            libc::SOL_SOCKET as usize,
            libc::SO_ERROR as usize,
            (&raw mut error).expose_provenance(),
            (&raw mut len).expose_provenance(),
            0,
        ];
        // SAFETY: `error` and `len` live through the call, exclusively borrowed, and `len` is the size
        // of `error`.
        check(unsafe { call6(libc::SYS_getsockopt, arguments) })?;
        if error == 0 {
            Ok(())
        } else {
            Err(Errno(error))
        }
    }

    /// `getsockname(2)`: the port at this end.
    #[cfg(feature = "web")]
    pub fn local_port(&self) -> Option<u16> {
        local_port(&self.0)
    }

    /// `recvfrom(2)`: bytes placed at the front of `into`; zero means that the peer sends no more.
    pub fn recv(&self, into: &mut [u8]) -> Io {
        let (place, room) = (into.as_mut_ptr().expose_provenance(), into.len());
        // SAFETY: place and room are those of one exclusively borrowed slice.
        unsafe { self.receive(place, room, 0) }
    }

    /// `recvfrom(2)` with `MSG_PEEK`: what a call to receive would come to; a byte stays where it is.
    pub fn peek(&self) -> Io {
        let mut byte = 0u8;
        let place = (&raw mut byte).expose_provenance();
        // SAFETY: place and room are those of one byte, exclusively borrowed.
        unsafe { self.receive(place, 1, libc::MSG_PEEK) }
    }

    /// `recvfrom(2)` with `MSG_TRUNC`: throws away up to `count` received bytes, without copying
    /// them (tcp(7)).
    pub fn discard(&self, count: usize) -> Io {
        // SAFETY: with this flag the kernel writes nothing to a TCP socket's caller.
        unsafe { self.receive(0, count, libc::MSG_TRUNC) }
    }

    /// `recvfrom(2)`, where nobody asks for the peer's address.
    ///
    /// # Safety
    /// The kernel may write up to `len` bytes at `place`, or the flags say that it writes nothing.
    unsafe fn receive(&self, place: usize, len: usize, flags: c_int) -> Io {
        let arguments = [self.0.raw(), place, len, flags as usize, 0, 0];
        // SAFETY: the caller's promise.
        Io::from(restart(|| unsafe { call6(libc::SYS_recvfrom, arguments) }))
    }

    /// `sendto(2)` without `SIGPIPE`: how much of `bytes` the kernel took.
    pub fn send(&self, bytes: &[u8]) -> Io {
        let (place, len) = (bytes.as_ptr().expose_provenance(), bytes.len());
        let arguments = [self.0.raw(), place, len, libc::MSG_NOSIGNAL as usize, 0, 0];
        // SAFETY: place and length are those of one live slice.
        Io::from(restart(|| unsafe { call6(libc::SYS_sendto, arguments) }))
    }

    /// `sendmsg(2)` without `SIGPIPE`, the socket's `writev(2)`: how much of `parts`, in their
    /// order, the kernel took in one call.
    pub fn send_parts(&self, parts: &[&[u8]; 3]) -> Io {
        let parts = parts.map(part);
        // On musl the struct has private padding, so it cannot be written out.
        let mut message = EMPTY_MESSAGE;
        message.msg_iov = parts.as_ptr().cast_mut();
        message.msg_iovlen = parts.len() as _;
        let (place, flags) = (
            (&raw const message).expose_provenance(),
            libc::MSG_NOSIGNAL as usize,
        );
        // SAFETY: the message names three live slices by place and length and nothing else, and the
        // kernel only reads through a message that it sends.
        Io::from(restart(|| unsafe {
            call3(libc::SYS_sendmsg, self.0.raw(), place, flags)
        }))
    }

    /// `setsockopt(2)`, `TCP_NODELAY`: a short last segment leaves without waiting for the peer.
    ///
    /// # Errors
    /// What the kernel says, e.g. when the peer has already reset the connection.
    pub fn set_nodelay(&self) -> Result<(), Errno> {
        set(&self.0, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)
    }

    /// `setsockopt(2)`, `SO_KEEPALIVE`: a peer that is silent for a minute is asked by the kernel
    /// whether it is still there, and the connection of one that has vanished without a word breaks
    /// a minute later (tcp(7)).
    ///
    /// # Errors
    /// What the kernel says; none is known for an open socket.
    #[inline(never)]
    pub fn set_keepalive(&self) -> Result<(), Errno> {
        for (level, option, value) in KEEPALIVE {
            set(&self.0, level.into(), option.into(), value.into())?;
        }
        Ok(())
    }

    /// `shutdown(2)`: says to the peer that nothing more will be sent.
    ///
    /// # Errors
    /// `ENOTCONN` when the peer has already reset the connection.
    pub fn shutdown_write(&self) -> Result<(), Errno> {
        // SAFETY: shutdown(2) takes no pointers.
        let done = unsafe { call3(libc::SYS_shutdown, self.0.raw(), libc::SHUT_WR as usize, 0) };
        check(done).map(drop)
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

#[cfg(any(feature = "web", feature = "worker"))]
fn local_port(fd: &Fd) -> Option<u16> {
    let mut address = address([0; 4], 0);
    let mut len = size_of_val(&address) as libc::socklen_t;
    let (place, room) = (
        (&raw mut address).expose_provenance(),
        (&raw mut len).expose_provenance(),
    );
    // SAFETY: `address` and `len` live through the call, exclusively borrowed, and `len` is the size of `address`.
    check(unsafe { call3(libc::SYS_getsockname, fd.raw(), place, room) }).ok()?;
    Some(u16::from_be(address.sin_port))
}

fn address(host: [u8; 4], port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr {
            s_addr: u32::from_ne_bytes(host),
        },
        sin_zero: [0; 8],
    }
}

/// `socket(2)`: a TCP socket that programs started later do not inherit.
///
/// Its number is above the standard streams: a process started with stdout closed would get number 1
/// for its first socket, and print its log into a connection. The low numbers then stay taken by
/// sockets that are connected to nobody, so that a `write(2)` into them fails.
pub(super) fn tcp() -> Result<Fd, Errno> {
    let kind = (libc::SOCK_STREAM | libc::SOCK_CLOEXEC) as usize;
    loop {
        // SAFETY: socket(2) takes no pointers.
        let fd = Fd::own(unsafe { call3(libc::SYS_socket, libc::AF_INET as usize, kind, 0) })?;
        if fd.number() > libc::STDERR_FILENO {
            return Ok(fd);
        }
        core::mem::forget(fd);
    }
}

/// Level, option, value: after 60 s of silence the kernel asks for the peer, every 10 s, six times. Bytes,
/// because a table of larger numbers is larger.
const KEEPALIVE: [(u8, u8, u8); 4] = [
    (libc::IPPROTO_TCP as u8, libc::TCP_KEEPIDLE as u8, 60),
    (libc::IPPROTO_TCP as u8, libc::TCP_KEEPINTVL as u8, 10),
    (libc::IPPROTO_TCP as u8, libc::TCP_KEEPCNT as u8, 6),
    (libc::SOL_SOCKET as u8, libc::SO_KEEPALIVE as u8, 1),
];

/// `setsockopt(2)`: gives an option a value.
fn set(fd: &Fd, level: c_int, option: c_int, value: c_int) -> Result<(), Errno> {
    let (level, option, place) = (
        level as usize,
        option as usize,
        (&raw const value).expose_provenance(),
    );
    let arguments = [fd.raw(), level, option, place, size_of_val(&value), 0];
    // SAFETY: `value` lives through the call, with its size behind it.
    check(unsafe { call6(libc::SYS_setsockopt, arguments) }).map(drop)
}
