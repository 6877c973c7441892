//! All open connections, and what is done for one of them whoever opened it.

use super::connection::{Connection, Want};
use super::fatal::kernel;
use super::shared::Shared;
use super::slots::Slots;
use crate::handler::Handler;
use crate::limits::WARM_IDLE_MS;
use crate::net::reactor::Reactor;
use crate::sys::clock::{self, NEVER};
use crate::sys::epoll::{Event, Interest};

/// The connections, and what they share.
pub struct Connections<H> {
    pub slots: Slots,
    pub shared: Shared<H>,
    /// When connections have to be looked through for those whose deadline has come: milliseconds
    /// of the monotonic clock, or `NEVER`.
    expire_ms: u64,
}

impl<H: Handler> Connections<H> {
    pub fn new(slots: Slots, shared: Shared<H>) -> Self {
        Self {
            slots,
            shared,
            expire_ms: NEVER,
        }
    }

    /// Begins a round of the loop: waits until something is ready or due, but not longer than until
    /// `until_ms`. Returns what is ready.
    pub fn wait<'a>(
        &mut self,
        reactor: &Reactor,
        events: &'a mut [Event],
        until_ms: u64,
    ) -> &'a [Event] {
        let timeout_ms = self.timeout_ms(until_ms);
        let ready = kernel("cannot wait: !", reactor.wait(events, timeout_ms));
        self.shared.caller.set_time();
        // Nothing has been for a while.
        if ready.is_empty() && timeout_ms == WARM_IDLE_MS {
            self.shared.cool_down();
        }
        ready
    }

    /// Milliseconds until something has to be done that no event will tell, or until `until_ms`.
    fn timeout_ms(&self, until_ms: u64) -> u64 {
        let warm_ms = if self.shared.is_warm() {
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

    /// Keeps a connection that was served once, unless it is through already. One that was answered
    /// and closed at once never costs a place or a registration.
    pub fn keep(&mut self, reactor: &Reactor, mut connection: Connection, want: Want) {
        if want == Want::Close {
            return connection.release(&mut self.shared);
        }
        // After the first answer or question. Without it a peer that has vanished is only found later.
        let _ = connection.socket.set_keepalive();
        if let Some(token) = self.slots.insert(connection) {
            self.settle(reactor, token, want);
        }
    }

    /// Does what can be done for a connection. One that was closed in this round is gone.
    pub fn serve(&mut self, reactor: &Reactor, token: u64) {
        let Some(connection) = self.slots.get(token) else {
            return;
        };
        let want = connection.serve(&mut self.shared);
        self.settle(reactor, token, want);
    }

    /// Waits for what a connection wants.
    fn settle(&mut self, reactor: &Reactor, token: u64, want: Want) {
        let Some(connection) = self.slots.get(token) else {
            return;
        };
        let interest = match want {
            Want::Read => Interest::Read,
            Want::Write => Interest::Write,
            Want::Nothing => Interest::Nothing,
            Want::Close => return self.close(token),
        };
        let before = connection.interest.replace(interest);
        let done = match before {
            Some(before) if before == interest => Ok(()),
            Some(_) => reactor.modify(&connection.socket, token, interest),
            None => reactor.add(&connection.socket, token, interest),
        };
        self.expire_ms = self.expire_ms.min(connection.deadline_ms());
        if done.is_err() {
            self.close(token);
        }
    }

    /// Sees to it that a connection lingers no longer than a process may that is to end.
    pub fn hurry(&mut self, token: u64) {
        if let Some(connection) = self.slots.get(token)
            && connection.is_lingering()
        {
            connection.hurry(clock::monotonic_ms());
            self.expire_ms = self.expire_ms.min(connection.deadline_ms());
        }
    }

    pub fn close(&mut self, token: u64) {
        if let Some(connection) = self.slots.get(token) {
            connection.release(&mut self.shared);
            self.slots.close(token);
        }
    }

    /// Serves the connections whose deadline has come: it is the end of those that linger.
    pub fn expire(&mut self, reactor: &Reactor) {
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

    /// Whether nothing has come of a next message on that connection and nothing is left of an
    /// answer.
    pub fn is_idle(&mut self, token: u64) -> bool {
        self.slots
            .get(token)
            .is_some_and(|connection| connection.is_idle())
    }
}
