//! Readiness of many descriptors (`epoll(7)`), level-triggered.

use libc::c_int;

use super::call::{call3, call6};
use super::fd::{Errno, Fd, check};
use super::signal::Wake;
use super::socket::{self, Listener, Socket};

/// What to wait for on a descriptor. Errors and hang-ups are always told, to whoever waits for nothing only
/// once.
///
/// Each is the kernel's own bits, so that none has to be looked up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Interest {
    Nothing = 0,
    Read = libc::EPOLLIN as u8,
    Write = libc::EPOLLOUT as u8,
    ReadOrWrite = (libc::EPOLLIN | libc::EPOLLOUT) as u8,
}

impl Interest {
    fn events(self) -> c_int {
        match self {
            Self::Nothing => libc::EPOLLET,
            _ => c_int::from(self as u8),
        }
    }
}

/// One descriptor that is ready, under the token it was added with.
#[derive(Clone, Copy, Debug)]
#[repr(transparent)]
pub struct Event(libc::epoll_event);

impl Event {
    /// A place for the kernel to write to.
    pub const EMPTY: Self = Self(libc::epoll_event { events: 0, u64: 0 });

    /// The token that the descriptor was added with.
    pub fn token(&self) -> u64 {
        self.0.u64
    }

    /// Whether the peer sends no more, or the connection is broken.
    #[cfg(feature = "worker")]
    pub fn is_end(&self) -> bool {
        let end = libc::EPOLLRDHUP | libc::EPOLLHUP | libc::EPOLLERR;
        self.0.events & end.cast_unsigned() != 0
    }
}

/// Anything that can be waited for.
pub trait Source {
    /// The descriptor to wait on.
    fn fd(&self) -> &Fd;
}

impl Source for Socket {
    fn fd(&self) -> &Fd {
        &self.0
    }
}

impl Source for Listener {
    fn fd(&self) -> &Fd {
        &self.0
    }
}

impl Source for Wake {
    fn fd(&self) -> &Fd {
        &self.0
    }
}

impl Source for Fd {
    fn fd(&self) -> &Fd {
        self
    }
}

/// A set that is waited for in another one.
impl Source for Epoll {
    fn fd(&self) -> &Fd {
        &self.0
    }
}

/// A set of descriptors to wait for.
#[derive(Debug)]
pub struct Epoll(Fd);

impl Epoll {
    /// `epoll_create1(2)`.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new() -> Result<Self, Errno> {
        let flags = libc::EPOLL_CLOEXEC as usize;
        // SAFETY: epoll_create1(2) takes no pointers.
        Fd::own(unsafe { call3(libc::SYS_epoll_create1, flags, 0, 0) }).map(Self)
    }

    /// [`Epoll::new`] where no socket was opened before: its number, too, is above the standard streams.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn above_standard() -> Result<Self, Errno> {
        let epoll = Self::new()?;
        if epoll.0.number() > libc::STDERR_FILENO {
            return Ok(epoll);
        }
        drop(epoll);
        // A socket leaves nothing below it free.
        drop(socket::tcp()?);
        Self::new()
    }

    /// `epoll_ctl(2)`, `EPOLL_CTL_ADD`. Closing the descriptor removes it again.
    ///
    /// # Errors
    /// Out of memory, or over the user's limit of watches.
    pub fn add(&self, source: &impl Source, token: u64, interest: Interest) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_ADD, source.fd(), token, interest.events())
    }

    /// The same, to read from a descriptor that somebody else owns, by its number. Whoever closes it
    /// removes it.
    ///
    /// # Errors
    /// As [`Epoll::add`]; `EBADF` when there is none of that number.
    pub fn add_number(&self, number: c_int, token: u64) -> Result<(), Errno> {
        let fd = number.cast_unsigned() as usize;
        self.control_number(libc::EPOLL_CTL_ADD, fd, token, libc::EPOLLIN)
    }

    /// The same, to read, and only once for each time that there is something.
    ///
    /// # Errors
    /// As [`Epoll::add`].
    pub fn add_once(&self, source: &impl Source, token: u64) -> Result<(), Errno> {
        let events = libc::EPOLLIN | libc::EPOLLET;
        self.control(libc::EPOLL_CTL_ADD, source.fd(), token, events)
    }

    /// The same, to read and to write, and only once for each time that something changes.
    ///
    /// # Errors
    /// As [`Epoll::add`].
    #[cfg(any(feature = "web", feature = "worker"))]
    pub fn add_edges(&self, source: &impl Source, token: u64) -> Result<(), Errno> {
        let events = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        self.control(libc::EPOLL_CTL_ADD, source.fd(), token, events)
    }

    /// `epoll_ctl(2)`, `EPOLL_CTL_MOD`: waits for something else from now on.
    ///
    /// # Errors
    /// Out of memory.
    pub fn modify(
        &self,
        source: &impl Source,
        token: u64,
        interest: Interest,
    ) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_MOD, source.fd(), token, interest.events())
    }

    /// `epoll_ctl(2)`, `EPOLL_CTL_DEL`: waits for it no more.
    ///
    /// # Errors
    /// The descriptor was never added.
    pub fn remove(&self, source: &impl Source) -> Result<(), Errno> {
        self.control(libc::EPOLL_CTL_DEL, source.fd(), 0, 0)
    }

    /// `epoll_pwait(2)`: the descriptors that are ready; none after `timeout_ms` milliseconds, or
    /// when a signal came. It waits for ever if that is more than a month.
    ///
    /// # Errors
    /// None that a correct program can meet.
    pub fn wait<'a>(&self, events: &'a mut [Event], timeout_ms: u64) -> Result<&'a [Event], Errno> {
        let timeout = i32::try_from(timeout_ms).unwrap_or(-1);
        let (place, room) = (events.as_mut_ptr().expose_provenance(), events.len());
        let arguments = [self.0.raw(), place, room, timeout as usize, 0, 0];
        // SAFETY: `Event` is transparent in memory for `epoll_event`, and the kernel writes at most
        // `room` of them into the exclusively borrowed slice; there is no signal mask.
        match check(unsafe { call6(libc::SYS_epoll_pwait, arguments) }) {
            Ok(count) => Ok(events.get(..count).unwrap_or_default()),
            Err(Errno::INTR) => Ok(&[]),
            Err(errno) => Err(errno),
        }
    }

    fn control(&self, operation: c_int, fd: &Fd, token: u64, events: c_int) -> Result<(), Errno> {
        self.control_number(operation, fd.raw(), token, events)
    }

    fn control_number(
        &self,
        operation: c_int,
        fd: usize,
        token: u64,
        events: c_int,
    ) -> Result<(), Errno> {
        let event = libc::epoll_event {
            events: events.cast_unsigned(),
            u64: token,
        };
        let place = (&raw const event).expose_provenance();
        let arguments = [self.0.raw(), operation as usize, fd, place, 0, 0];
        // SAFETY: `event` lives through the call.
        check(unsafe { call6(libc::SYS_epoll_ctl, arguments) }).map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::super::pipe::pipe;
    use super::*;

    #[test]
    fn a_set_in_a_set_and_a_number_are_waited_for() {
        let (outer, inner) = (Epoll::new().unwrap(), Epoll::new().unwrap());
        let [ours, theirs] = pipe().unwrap();
        outer.add(&inner, 1, Interest::Read).unwrap();
        inner.add_number(ours.number(), 2).unwrap();
        assert_eq!(inner.add_number(-1, 3), Err(Errno(libc::EBADF)));
        let mut events = [Event::EMPTY; 4];
        assert!(outer.wait(&mut events, 0).unwrap().is_empty());
        theirs.write(b"x");
        for (epoll, token) in [(&outer, 1), (&inner, 2)] {
            let events = epoll.wait(&mut events, 1000).unwrap();
            assert_eq!(events.len(), 1);
            assert_eq!(events[0].token(), token);
        }
        inner.remove(&ours).unwrap();
        assert!(outer.wait(&mut events, 0).unwrap().is_empty());
    }
}
