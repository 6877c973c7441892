//! The push platforms: a server whose whole tick is in [`Server::tick`].

use super::Fatal;
use super::caller::{self, Caller};
use super::config::Config;
use super::connection::{Connection, Want};
use super::shared::Shared;
use super::slots::{self, Slots};
use crate::handler::Handler;
use crate::limits::{
    ACCEPT_COUNT_MAX, DRAIN_MS_MAX, EVENT_COUNT_MAX, PAUSE_MS_MAX, SCRATCH_BYTES, WARM_IDLE_MS,
};
use crate::net::pool::Pool;
use crate::net::reactor::{self, Reactor, Waiting};
use crate::sys::clock::{self, NEVER};
use crate::sys::epoll::{Event, Interest};
use crate::sys::fd::Errno;
use crate::sys::memory::Reserved;
use crate::sys::signal;
use crate::sys::socket::Socket;

/// All memory of the server. What a short event touches lies at the front, side by side: each page
/// that is touched costs as much as a dozen system calls.
#[repr(C)]
struct Memory {
    short_head: caller::ShortHead,
    scratch: [u8; SCRATCH_BYTES],
    pool: Pool,
    events: [Event; EVENT_COUNT_MAX],
    answer: caller::Place,
    table: slots::Table,
}

static MEMORY: Reserved<Memory> = Reserved::new(Memory {
    short_head: [0; size_of::<caller::ShortHead>()],
    scratch: [0; SCRATCH_BYTES],
    pool: Pool::new(),
    events: [Event::EMPTY; EVENT_COUNT_MAX],
    answer: caller::Place::EMPTY,
    table: slots::EMPTY_TABLE,
});

struct Server<H> {
    reactor: Reactor,
    slots: Slots,
    shared: Shared<H>,
    /// When lingering connections have to be looked through. This moment and those below are
    /// milliseconds of the monotonic clock, or `NEVER`.
    expire_ms: u64,
    /// When accepting is tried again, while it pauses.
    resume_ms: u64,
    /// When to wait no longer for what is in flight, once `SIGTERM` has come.
    drain_ms: u64,
}

/// Serves until `SIGTERM`, and then until what is in flight is answered.
///
/// # Errors
/// The port cannot be listened on, or the kernel refuses what it never should.
pub fn serve<H: Handler>(handler: H, config: &Config) -> Result<(), Fatal<'static>> {
    let memory = MEMORY.take().ok_or(Fatal::Twice)?;
    let (short_head, place) = (&mut memory.short_head, &mut memory.answer);
    let caller = Caller::new(handler, config.markers, short_head, place);
    let (scratch, pool) = (&mut memory.scratch, &mut memory.pool);
    let mut shared = Shared::new(caller, scratch, pool, config.body_bytes_max);
    let waiting = Waiting::listen(config.port).map_err(|errno| Fatal::Port {
        port: config.port,
        errno,
    })?;
    signal::catch_terminate().map_err(kernel("cannot catch SIGTERM"))?;
    // The first connection is answered before anything is set up for those to come.
    let first = waiting.first().map(|socket| {
        shared.caller.set_time();
        served(socket, &mut shared)
    });
    if signal::terminating() && first.is_none() {
        return Ok(());
    }
    let mut server = Server {
        reactor: waiting
            .into_reactor()
            .map_err(kernel("cannot wait for connections"))?,
        slots: Slots::new(&mut memory.table),
        shared,
        expire_ms: NEVER,
        resume_ms: NEVER,
        drain_ms: NEVER,
    };
    if let Some((connection, want)) = first {
        server.keep(connection, want);
    }
    // The one loop without a bound.
    while server
        .tick(&mut memory.events)
        .map_err(kernel("cannot wait"))?
        == Tick::Next
    {}
    Ok(())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    Next,
    Last,
}

/// A new connection, read from at once: its first request is nearly always there.
fn served<H: Handler>(socket: Socket, shared: &mut Shared<H>) -> (Connection, Want) {
    let mut connection = Connection::new(socket);
    let want = connection.serve(shared);
    (connection, want)
}

fn kernel(doing: &'static str) -> impl Fn(Errno) -> Fatal<'static> {
    move |errno| Fatal::Kernel { doing, errno }
}

impl<H: Handler> Server<H> {
    /// One round: wait, accept, serve, expire, end.
    fn tick(&mut self, events: &mut [Event]) -> Result<Tick, Errno> {
        let ready = self.reactor.wait(events, self.timeout_ms())?;
        self.shared.caller.set_time();
        if ready.is_empty() {
            self.shared.cool_down();
        }
        for event in ready {
            match event.token() {
                reactor::LISTENER => self.accept(),
                token => self.serve(token),
            }
        }
        self.resume();
        self.expire();
        if signal::terminating() {
            Ok(self.drain())
        } else {
            Ok(Tick::Next)
        }
    }

    /// Milliseconds until something has to be done that no event will tell.
    fn timeout_ms(&self) -> u64 {
        let warm_ms = if self.shared.is_warm() {
            WARM_IDLE_MS
        } else {
            NEVER
        };
        let first_ms = self.expire_ms.min(self.resume_ms).min(self.drain_ms);
        if first_ms == NEVER {
            return warm_ms;
        }
        // Rounded up by one, or the kernel's clock could wake us a moment too early, and again.
        let left_ms = first_ms.saturating_sub(clock::monotonic_ms()) + 1;
        left_ms.min(warm_ms)
    }

    /// Takes connections out of the kernel's queue.
    fn accept(&mut self) {
        for _ in 0..ACCEPT_COUNT_MAX {
            if !self.slots.has_room() {
                return self.pause();
            }
            match self.reactor.accept() {
                Ok(socket) => {
                    let (connection, want) = served(socket, &mut self.shared);
                    self.keep(connection, want);
                }
                // `SIGTERM` has shut the listener down.
                Err(Errno::AGAIN | Errno::INVAL) => return,
                Err(errno) if errno.is_exhaustion() => return self.pause(),
                // The next one was gone before it could be had (accept(2), "Error handling").
                Err(_) => {}
            }
        }
    }

    /// Out of descriptors: waiting connections stay in the kernel's queue until one of ours ends,
    /// or for a moment. To go on trying would be a busy loop.
    fn pause(&mut self) {
        self.reactor.set_accepting(false);
        self.resume_ms = clock::monotonic_ms() + PAUSE_MS_MAX;
    }

    fn resume(&mut self) {
        if self.resume_ms != NEVER && self.resume_ms <= clock::monotonic_ms() {
            self.accept_again();
        }
    }

    fn accept_again(&mut self) {
        self.resume_ms = NEVER;
        if self.drain_ms == NEVER {
            self.reactor.set_accepting(true);
            if !self.reactor.is_accepting() {
                self.pause();
            }
        }
    }

    /// Does what can be done for a connection. One that was closed in this round is gone.
    fn serve(&mut self, token: u64) {
        let Some(connection) = self.slots.get(token) else {
            return;
        };
        let want = connection.serve(&mut self.shared);
        self.settle(token, want);
    }

    /// Waits for a new connection from now on. One that was answered and closed at once never costs
    /// a place or a registration.
    fn keep(&mut self, connection: Connection, want: Want) {
        let Some(interest) = interest(want) else {
            return connection.release(&mut self.shared);
        };
        let Some(token) = self.slots.insert(connection) else {
            return;
        };
        let Some(connection) = self.slots.get(token) else {
            return;
        };
        // Only an answer behind one that is still on its way could be held back; so not before
        // the first. An error is ignored: the connection is then broken, which reading will tell.
        let _ = connection.socket.set_nodelay();
        connection.interest = interest;
        let added = self.reactor.add(&connection.socket, token, interest);
        self.settle(token, if added.is_ok() { want } else { Want::Close });
    }

    /// Waits for what a connection wants.
    fn settle(&mut self, token: u64, want: Want) {
        let Some(connection) = self.slots.get(token) else {
            return;
        };
        let Some(interest) = interest(want) else {
            return self.close(token);
        };
        if connection.interest != interest {
            connection.interest = interest;
            if self
                .reactor
                .modify(&connection.socket, token, interest)
                .is_err()
            {
                return self.close(token);
            }
        }
        self.expire_ms = self.expire_ms.min(connection.deadline_ms());
    }

    fn close(&mut self, token: u64) {
        if let Some(connection) = self.slots.remove(token) {
            connection.release(&mut self.shared);
        }
        if self.resume_ms != NEVER {
            self.accept_again();
        }
    }

    /// Closes the connections whose peers have had time enough to see the end.
    fn expire(&mut self) {
        if self.expire_ms == NEVER {
            return;
        }
        let now_ms = clock::monotonic_ms();
        if now_ms < self.expire_ms {
            return;
        }
        let mut next_ms = NEVER;
        for index in 0..self.slots.used() {
            let Some(token) = self.slots.token_at(index) else {
                continue;
            };
            let connection = self.slots.get(token);
            let deadline_ms = connection.map_or(NEVER, |connection| connection.deadline_ms());
            if deadline_ms <= now_ms {
                self.close(token);
            } else {
                next_ms = next_ms.min(deadline_ms);
            }
        }
        self.expire_ms = next_ms;
    }

    /// After `SIGTERM`: takes what already waits, then nothing new, and closes what is idle.
    /// Whoever is in the middle of a request is answered, and told that it was the last.
    fn drain(&mut self) -> Tick {
        let now_ms = clock::monotonic_ms();
        self.drain_ms = self.drain_ms.min(now_ms + DRAIN_MS_MAX);
        if self.reactor.is_accepting() {
            self.accept();
            self.reactor.refuse();
        }
        for index in 0..self.slots.used() {
            let Some(token) = self.slots.token_at(index) else {
                continue;
            };
            // Its next request may already be in the kernel, and then counts as in flight.
            if self.is_idle(token) {
                self.serve(token);
            }
            if self.is_idle(token) {
                self.close(token);
            }
        }
        if self.slots.open() == 0 || self.drain_ms <= now_ms {
            Tick::Last
        } else {
            Tick::Next
        }
    }

    fn is_idle(&mut self, token: u64) -> bool {
        self.slots
            .get(token)
            .is_some_and(|connection| connection.is_idle())
    }
}

fn interest(want: Want) -> Option<Interest> {
    match want {
        Want::Read => Some(Interest::Read),
        Want::Write => Some(Interest::Write),
        Want::Close => None,
    }
}
