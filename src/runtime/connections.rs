//! All open connections, and what is done for one of them whoever opened it.

use super::answer::Time;
use super::connection::{Connection, Want};
use super::deferred;
use super::fatal::kernel;
use super::service::Service;
use super::slots::{self, Slots};
use crate::handler::Handler;
use crate::limits::{WAKE_COUNT_MAX, WARM_IDLE_MS};
use crate::net::reactor::{self, Reactor};
use crate::platform::runtime_api::Ask;
use crate::sys::clock::{self, NEVER};
use crate::sys::epoll::{Event, Interest};

/// The connections, and what they share.
pub struct Connections<H> {
    pub slots: Slots,
    pub service: Service<H>,
    /// When connections have to be looked through for those whose deadline has come: milliseconds
    /// of the monotonic clock, or `NEVER`.
    expire_ms: u64,
}

impl<H: Handler> Connections<H> {
    pub fn new(slots: Slots, service: Service<H>) -> Self {
        Self {
            slots,
            service,
            expire_ms: NEVER,
        }
    }

    /// One tick of the loop: waits until something is ready or due, but not longer than until `until_ms`,
    /// then serves what is ready and expires what is due. Returns whether there is a connection to accept.
    pub fn tick(&mut self, reactor: &Reactor, events: &mut [Event], until_ms: u64) -> bool {
        if H::DEFERS && !deferred::is_watched() {
            self.watch(reactor);
        }
        let timeout_ms = self.timeout_ms(until_ms);
        let ready = kernel("cannot wait: !", reactor.wait(events, timeout_ms));
        self.service.caller.renderer.time = Time::UNKNOWN;
        // Nothing has been for a while.
        if ready.is_empty() && timeout_ms == WARM_IDLE_MS {
            self.service.cool_down();
        }
        let mut may_accept = false;
        for event in ready {
            match event.token() {
                reactor::LISTENER => may_accept = true,
                reactor::WAKER if H::DEFERS => deferred::set_woken(true),
                // All of them were told before the first is served. An event for a connection that has been
                // closed since would reach nobody, because a token has the generation of its slot, which the
                // next connection in that slot does not share.
                token => self.serve(reactor, token),
            }
        }
        if H::DEFERS && deferred::is_woken() {
            self.wake(reactor);
        }
        self.expire(reactor);
        may_accept
    }

    /// Milliseconds until something has to be done that no event will tell, or until `until_ms`.
    fn timeout_ms(&self, until_ms: u64) -> u64 {
        if H::DEFERS && deferred::is_woken() {
            return 0;
        }
        let warm_ms = if self.service.is_warm() {
            WARM_IDLE_MS
        } else {
            NEVER
        };
        let first_ms = self.expire_ms.min(until_ms);
        if first_ms == NEVER {
            return warm_ms;
        }
        // Rounded up by one, or the kernel's clock could wake us a moment too early, and again.
        let left_ms = first_ms.saturating_sub(clock::monotonic_ms()) + 1;
        left_ms.min(warm_ms)
    }

    /// Registers a connection after its first read or question, unless it is finished: one that is answered
    /// and closed at once takes no slot and no epoll registration.
    pub fn keep(&mut self, reactor: &Reactor, mut connection: Connection, want: Want) {
        if want == Want::Close {
            return connection.release(&mut self.service);
        }
        // After the first answer or question. Without it a peer that has vanished is only found later.
        let _ = connection.link.socket.set_keepalive();
        if let Some(token) = self.slots.insert(connection) {
            self.settle(reactor, token, want);
        }
    }

    /// Does what can be done for a connection, unless it was closed in this tick.
    pub fn serve(&mut self, reactor: &Reactor, token: u64) {
        let Some(connection) = self.slots.get(token) else {
            return;
        };
        if H::DEFERS {
            deferred::serving(slots::index(token));
        }
        let want = connection.serve(&mut self.service);
        self.settle(reactor, token, want);
    }

    /// Waits from now on for what tells that calls can be answered which were put off, if the handler has it.
    fn watch(&mut self, reactor: &Reactor) {
        if let Some(waker) = self.service.caller.waker() {
            kernel(
                "cannot wait for the handler's waker: !",
                reactor.watch(waker),
            );
            deferred::set_watched();
        }
    }

    /// Answers calls that were put off and can be answered now. If there are too many for one tick, the next
    /// one goes on with them: that the waker is still readable then is not required.
    fn wake(&mut self, reactor: &Reactor) {
        for _ in 0..WAKE_COUNT_MAX {
            let Some(call) = self.service.caller.woken() else {
                return deferred::set_woken(false);
            };
            let Some(token) = self.slots.token_at(deferred::index(call)) else {
                continue;
            };
            let Some(connection) = self.slots.get(token) else {
                continue;
            };
            deferred::serving(deferred::index(call));
            if let Some(want) = connection.resume(&mut self.service, call) {
                self.settle(reactor, token, want);
            }
        }
    }

    /// Asks the kernel for what a connection waits for.
    fn settle(&mut self, reactor: &Reactor, token: u64, want: Want) {
        let Some(connection) = self.slots.get(token) else {
            return;
        };
        let interest = match want {
            Want::Read => Interest::Read,
            Want::Write => Interest::Write,
            Want::ReadOrWrite => Interest::ReadOrWrite,
            Want::Nothing => Interest::Nothing,
            Want::Close => return self.close(token),
        };
        let link = &mut connection.link;
        let done = match link.interest.replace(interest) {
            Some(before) if before == interest => Ok(()),
            Some(_) => reactor.modify(&link.socket, token, interest),
            None => reactor.add(&link.socket, token, interest),
        };
        self.expire_ms = self.expire_ms.min(connection.deadline_ms());
        if done.is_err() {
            self.close(token);
        }
    }

    /// Shortens the linger time while the process shuts down.
    pub fn hurry(&mut self, token: u64) {
        if let Some(connection) = self.slots.get(token)
            && connection.is_lingering()
        {
            connection.hurry(clock::monotonic_ms());
            self.expire_ms = self.expire_ms.min(connection.deadline_ms());
        }
    }

    /// How many connections wait for the response to that question.
    pub fn asking(&mut self, ask: Ask) -> usize {
        self.slots
            .iter_mut()
            .filter_map(|connection| connection.asks(ask).then_some(()))
            .count()
    }

    /// Whether an event is being received, or its answer has no response yet.
    pub fn is_busy(&mut self) -> bool {
        self.slots.iter_mut().any(Connection::is_busy::<H>)
    }

    /// Closes the connection of that token.
    pub fn close(&mut self, token: u64) {
        if let Some(connection) = self.slots.get(token) {
            connection.release(&mut self.service);
            self.slots.close(token);
        }
    }

    /// Closes every connection.
    pub fn close_all(&mut self) {
        for index in 0..self.slots.used() {
            if let Some(token) = self.slots.token_at(index) {
                self.close(token);
            }
        }
    }

    /// Handles passed deadlines: closes the connections that linger, serves the others.
    fn expire(&mut self, reactor: &Reactor) {
        if self.expire_ms == NEVER {
            return;
        }
        let now_ms = clock::monotonic_ms();
        if now_ms < self.expire_ms {
            return;
        }
        self.expire_ms = NEVER;
        for index in 0..self.slots.used() {
            let Some(token) = self.slots.token_at(index) else {
                continue;
            };
            let Some(connection) = self.slots.get(token) else {
                continue;
            };
            let deadline_ms = connection.deadline_ms();
            if deadline_ms > now_ms {
                self.expire_ms = self.expire_ms.min(deadline_ms);
            } else if connection.is_lingering() {
                self.close(token);
            } else {
                self.serve(reactor, token);
            }
        }
    }

    /// Whether the connection of that token is between two messages.
    pub fn is_idle(&mut self, token: u64) -> bool {
        self.slots
            .get(token)
            .is_some_and(|connection| connection.is_idle())
    }
}
