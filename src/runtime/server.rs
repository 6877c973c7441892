//! The platforms that push: a server. What a tick is stands in [`Connections::tick`]; here is what comes on
//! top of it, accepting connections and draining them after `SIGTERM`.

use core::hint::black_box;
use core::mem::MaybeUninit;

use super::connection::{Connection, Want};
use super::connections::Connections;
use super::deferred;
use super::fatal::{self, kernel};
use super::side::Side;
use crate::handler::Handler;
use crate::limits::{ACCEPT_COUNT_MAX, DRAIN_MS_MAX, PAUSE_MS_MAX};
use crate::log;
use crate::net::reactor::{Reactor, Waiting};
use crate::sys::clock::{self, NEVER};
use crate::sys::epoll::Event;
use crate::sys::fd::Errno;
use crate::sys::signal;
use crate::sys::socket::Socket;

struct Server<'a, H> {
    reactor: Reactor,
    connections: &'a mut Connections<H>,
    /// When accepting is tried again, while it pauses. This moment and the next are milliseconds of
    /// the monotonic clock, or `NEVER`.
    resume_ms: u64,
    /// How many connections were open when it began to.
    paused_count: usize,
    /// When to wait no longer for what is in flight, once `SIGTERM` has come.
    drain_ms: u64,
}

/// Serves until `SIGTERM`, and then until what is in flight is answered.
#[inline(never)]
pub fn serve<H: Handler>(connections: &mut Connections<H>, events: &mut [Event], port: u16) {
    let waiting = Waiting::listen(port)
        .unwrap_or_else(|errno| fatal::port("cannot listen on port #: !", port, errno));
    kernel("cannot catch signals: !", signal::catch_terminate());
    // The platform needs a moment to connect: what the first call would otherwise wait for is done
    // in it.
    log::prepare();
    touch_stack();
    // The first connection is answered before anything is set up for those to come.
    // Only a handler that is woken already waits for more than connections.
    let is_woken = H::DEFERS && connections.service.caller.waker().is_some();
    let first = if is_woken { None } else { waiting.first() };
    let first = first.map(|socket| served(socket, connections));
    let reactor = kernel("cannot wait for connections: !", waiting.into_reactor());
    if let Some((connection, want)) = first {
        connections.keep(&reactor, connection, want);
    }
    let mut server = Server {
        reactor,
        connections,
        resume_ms: NEVER,
        paused_count: 0,
        drain_ms: NEVER,
    };
    // The one loop without a bound.
    while server.tick(events) == Tick::Next {}
    // What is still open after so long is given up.
    server.connections.close_all();
}

/// How deep the stack of a short call is.
const STACK_BYTES: usize = 7 * 1024;

/// Has the kernel map the pages of the stack that a call uses.
#[inline(never)]
fn touch_stack() {
    let mut place = [const { MaybeUninit::<u8>::uninit() }; STACK_BYTES];
    if let Some(lowest) = black_box(&mut place).first_mut() {
        lowest.write(0);
    }
    black_box(&mut place);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Queue {
    Empty,
    More,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tick {
    Next,
    Last,
}

/// A new connection, read from at once: its first request is nearly always there.
fn served<H: Handler>(socket: Socket, connections: &mut Connections<H>) -> (Connection, Want) {
    if H::DEFERS {
        deferred::serving(connections.slots.next_index());
    }
    let service = &mut connections.service;
    let mut connection = Connection::new(socket, Side::Server);
    let want = connection.serve(service);
    // After the first answer, which leaves at once anyway: Nagle's algorithm delays only later
    // segments. If this fails, they are merely late.
    let _ = connection.link.socket.set_nodelay();
    (connection, want)
}

impl<H: Handler> Server<'_, H> {
    /// A tick, and what a server does on top of it.
    fn tick(&mut self, events: &mut [Event]) -> Tick {
        let until_ms = self.resume_ms.min(self.drain_ms);
        if self.connections.tick(&self.reactor, events, until_ms) {
            // Whatever is left in the queue makes the listener ready again.
            self.accept();
        }
        let tick = if signal::terminating() {
            self.drain()
        } else {
            Tick::Next
        };
        self.resume();
        tick
    }

    /// Takes connections out of the kernel's queue. After a pause there may be more.
    fn accept(&mut self) -> Queue {
        for _ in 0..ACCEPT_COUNT_MAX {
            if !self.connections.slots.has_room() {
                self.pause();
                break;
            }
            match self.reactor.accept() {
                Ok(socket) => {
                    let (connection, want) = served(socket, self.connections);
                    self.connections.keep(&self.reactor, connection, want);
                }
                Err(Errno::AGAIN) => return Queue::Empty,
                Err(errno) if errno.is_exhaustion() => {
                    self.pause();
                    break;
                }
                // The next one was gone before it could be had (accept(2), "Error handling").
                Err(_) => {}
            }
        }
        Queue::More
    }

    /// Out of descriptors: waiting connections stay in the kernel's queue until one of ours ends,
    /// or for a moment. To go on trying would be a busy loop.
    fn pause(&mut self) {
        self.reactor.set_accepting(false);
        self.resume_ms = clock::monotonic_ms() + PAUSE_MS_MAX;
        self.paused_count = self.connections.slots.open();
    }

    /// Accepts again after a pause, if fewer connections are open than when it began, or it is time.
    fn resume(&mut self) {
        if self.resume_ms == NEVER {
            return;
        }
        let is_fewer = self.connections.slots.open() < self.paused_count;
        if is_fewer || self.resume_ms <= clock::monotonic_ms() {
            self.resume_ms = NEVER;
            self.reactor.set_accepting(true);
            if !self.reactor.is_accepting() {
                self.pause();
            }
        }
    }

    /// After `SIGTERM`: takes what already waits, then nothing new, and closes what is idle.
    /// Whoever is in the middle of a request is answered, and told that it was the last.
    fn drain(&mut self) -> Tick {
        let now_ms = clock::monotonic_ms();
        self.drain_ms = self.drain_ms.min(now_ms + DRAIN_MS_MAX);
        // What waits may be more than one tick takes, or than there are descriptors for.
        if self.reactor.is_accepting() && self.accept() == Queue::Empty {
            self.reactor.refuse();
        }
        for index in 0..self.connections.slots.used() {
            let Some(token) = self.connections.slots.token_at(index) else {
                continue;
            };
            // Its next request may already be in the kernel, and then counts as in flight.
            if self.connections.is_idle(token) {
                self.connections.serve(&self.reactor, token);
            }
            if self.connections.is_idle(token) {
                self.connections.close(token);
            }
            self.connections.hurry(token);
        }
        // A pause that began with none of ours open ends with nothing to take.
        let has_all = self.resume_ms == NEVER || self.paused_count == 0;
        let is_done = has_all && !self.reactor.is_accepting() && self.connections.slots.open() == 0;
        if is_done || self.drain_ms <= now_ms {
            Tick::Last
        } else {
            Tick::Next
        }
    }
}
