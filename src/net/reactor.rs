//! What the server waits on: the listener, and every connection that the kernel said "not yet" to.
//!
//! The very first wait is `accept4(2)` itself, on a listener that still blocks: nothing is set up
//! before it that the first call would have to wait for. After it there is an `epoll(7)`.

use crate::limits::BACKLOG_COUNT;
use crate::sys::epoll::{Epoll, Event, Interest};
use crate::sys::fd::Errno;
use crate::sys::signal::{self, Wake};
use crate::sys::socket::{Listener, Socket};

/// The token of the listener; connections have others.
pub const LISTENER: u64 = u64::MAX;

/// The token of what `SIGTERM` wakes the wait by, which no connection has, either.
const WAKE: u64 = u64::MAX - 1;

/// The token of what a handler says that calls can be answered by.
pub const WAKER: u64 = u64::MAX - 2;

/// The listener before the first connection.
#[derive(Debug)]
pub struct Waiting {
    listener: Listener,
}

/// All connections, and the listener if there is one.
#[derive(Debug)]
pub struct Reactor {
    listener: Option<Listener>,
    epoll: Epoll,
    is_accepting: bool,
}

impl Waiting {
    /// Listens on `port`; from here on the kernel answers connections.
    ///
    /// # Errors
    /// The port is taken, or not allowed to this user.
    pub fn listen(port: u16) -> Result<Self, Errno> {
        Listener::bind(port, BACKLOG_COUNT).map(|listener| Self { listener })
    }

    /// Waits for the first connection; `None` if `SIGTERM` came first, or the connection was gone
    /// before it could be had.
    pub fn first(&self) -> Option<Socket> {
        if signal::wake_listener(&self.listener) {
            return None;
        }
        self.listener.accept().ok()
    }

    /// From now on waits for many.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    #[inline]
    pub fn into_reactor(self) -> Result<Reactor, Errno> {
        self.listener.set_nonblocking()?;
        let epoll = Epoll::new()?;
        epoll.add(&self.listener, LISTENER, Interest::Read)?;
        Reactor::with_wake(Some(self.listener), epoll)
    }
}

impl Reactor {
    /// Waits for connections that this side opens; there is no listener.
    ///
    /// # Errors
    /// Out of descriptors.
    pub fn new() -> Result<Self, Errno> {
        Self::with_wake(None, Epoll::above_standard()?)
    }

    fn with_wake(listener: Option<Listener>, epoll: Epoll) -> Result<Self, Errno> {
        epoll.add_once(&Wake::new()?, WAKE)?;
        Ok(Self {
            is_accepting: listener.is_some(),
            listener,
            epoll,
        })
    }

    /// Waits for events, at most `timeout_ms` milliseconds, and not at all while there may be
    /// connections to accept after `SIGTERM`.
    ///
    /// The signal ends the wait, once, by an event for nobody.
    ///
    /// # Errors
    /// None that a correct program can meet.
    pub fn wait<'a>(&self, events: &'a mut [Event], timeout_ms: u64) -> Result<&'a [Event], Errno> {
        let is_over = self.is_accepting && signal::terminating();
        self.epoll
            .wait(events, if is_over { 0 } else { timeout_ms })
    }

    /// The next waiting connection.
    ///
    /// # Errors
    /// `EAGAIN` when none waits.
    pub fn accept(&self) -> Result<Socket, Errno> {
        self.listener.as_ref().ok_or(Errno::AGAIN)?.accept()
    }

    /// Whether new connections are waited for.
    pub fn is_accepting(&self) -> bool {
        self.is_accepting
    }

    /// Waits for new connections no more, or again. They stay in the kernel's queue meanwhile.
    pub fn set_accepting(&mut self, is_accepting: bool) {
        let Some(listener) = self
            .listener
            .as_ref()
            .filter(|_| self.is_accepting != is_accepting)
        else {
            return;
        };
        let done = if is_accepting {
            self.epoll.add(listener, LISTENER, Interest::Read)
        } else {
            self.epoll.remove(listener)
        };
        // Out of memory: the state stays as it is, and is tried again at the next occasion.
        if done.is_ok() {
            self.is_accepting = is_accepting;
        }
    }

    /// Refuses new connections, for ever.
    pub fn refuse(&mut self) {
        self.set_accepting(false);
        // An error would mean that it is shut down already.
        let _ = self.listener.as_ref().map(Listener::shutdown);
    }

    /// Waits for a handler's waker from now on.
    ///
    /// # Errors
    /// It is no descriptor that can be waited for, or as of [`Reactor::add`].
    pub fn watch(&self, waker: i32) -> Result<(), Errno> {
        self.epoll.add_number(waker, WAKER)
    }

    /// Waits for a connection from now on.
    ///
    /// # Errors
    /// Out of memory or watches.
    pub fn add(&self, socket: &Socket, token: u64, interest: Interest) -> Result<(), Errno> {
        self.epoll.add(socket, token, interest)
    }

    /// Waits for something else of a connection from now on.
    ///
    /// # Errors
    /// Out of memory.
    pub fn modify(&self, socket: &Socket, token: u64, interest: Interest) -> Result<(), Errno> {
        self.epoll.modify(socket, token, interest)
    }
}
