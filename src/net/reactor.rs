//! What the server waits on: the listener, and every connection that the kernel said "not yet" to.
//!
//! The very first wait is `accept4(2)` itself, on a listener that still blocks: nothing is set up
//! before it that the first call would have to wait for. After it there is an `epoll(7)`.

use crate::limits::BACKLOG_COUNT;
use crate::sys::epoll::{Epoll, Event, Interest};
use crate::sys::fd::Errno;
use crate::sys::signal;
use crate::sys::socket::{Listener, Socket};

/// The token of the listener; connections have others.
pub const LISTENER: u64 = u64::MAX;

/// The listener before the first connection.
#[derive(Debug)]
pub struct Waiting {
    listener: Listener,
}

/// The listener and all connections.
#[derive(Debug)]
pub struct Reactor {
    listener: Listener,
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
    #[must_use]
    pub fn first(&self) -> Option<Socket> {
        signal::wait_on(&self.listener, |is_terminating| {
            if is_terminating {
                None
            } else {
                self.listener.accept().ok()
            }
        })
    }

    /// From now on waits for many.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn into_reactor(self) -> Result<Reactor, Errno> {
        self.listener.set_nonblocking()?;
        let epoll = Epoll::new()?;
        epoll.add(&self.listener, LISTENER, Interest::Read)?;
        Ok(Reactor {
            listener: self.listener,
            epoll,
            is_accepting: true,
        })
    }
}

impl Reactor {
    /// Waits for events, at most `timeout_ms` milliseconds, and not at all if `SIGTERM` is yet to
    /// be dealt with.
    ///
    /// # Errors
    /// None that a correct program can meet.
    pub fn wait<'a>(&self, events: &'a mut [Event], timeout_ms: u64) -> Result<&'a [Event], Errno> {
        if !self.is_accepting {
            return self.epoll.wait(events, timeout_ms);
        }
        signal::wait_on(&self.listener, |is_terminating| {
            self.epoll
                .wait(events, if is_terminating { 0 } else { timeout_ms })
        })
    }

    /// The next waiting connection.
    ///
    /// # Errors
    /// `EAGAIN` when none waits.
    pub fn accept(&self) -> Result<Socket, Errno> {
        self.listener.accept()
    }

    /// Whether new connections are waited for.
    #[must_use]
    pub fn is_accepting(&self) -> bool {
        self.is_accepting
    }

    /// Waits for new connections no more, or again. They stay in the kernel's queue meanwhile.
    pub fn set_accepting(&mut self, is_accepting: bool) {
        if self.is_accepting == is_accepting {
            return;
        }
        let done = if is_accepting {
            self.epoll.add(&self.listener, LISTENER, Interest::Read)
        } else {
            self.epoll.remove(&self.listener)
        };
        // Out of memory: the state stays as it is, and is tried again at the next occasion.
        if done.is_ok() {
            self.is_accepting = is_accepting;
        }
    }

    /// Refuses new connections, for ever.
    pub fn refuse(&mut self) {
        self.set_accepting(false);
        // Has the signal already shut it down, that is an error, and as good.
        let _ = self.listener.shutdown();
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
