//! The pull platforms: connections to the platform's API, each with one question open.

use super::config::Switch;
use super::connection::{Connection, Want};
use super::connections::Connections;
use super::fatal::{self, kernel};
use crate::handler::{Error, Handler, Platform};
use crate::limits::{DRAIN_MS_MAX, FORGIVE_MS, RETRY_COUNT_MAX, RETRY_MS};
use crate::net::reactor::Reactor;
use crate::platform::Call;
use crate::platform::runtime_api::{Address, Ask};
use crate::sys::clock::{self, NEVER};
use crate::sys::epoll::Event;
use crate::sys::fd::Errno;
use crate::sys::socket::Socket;
use crate::sys::{process, signal};

struct Poller<'a, H> {
    reactor: Reactor,
    connections: &'a mut Connections<H>,
    /// Whether the handler could be initialized, or else why there will be no events.
    initialized: Result<(), Error>,
    /// Whether an extension is yet to be registered.
    registers: bool,
    /// How often in a row a connection came to nothing, and when the next one is tried.
    failed_count: usize,
    retry_ms: u64,
    /// How many responses there were when a connection was last opened, and when that was.
    turn_count: u64,
    connect_ms: u64,
}

/// Asks for events and answers them until `SIGTERM`.
#[inline(never)]
pub fn poll<H: Handler>(connections: &mut Connections<H>, events: &mut [Event]) {
    kernel("cannot catch signals: !", signal::catch_terminate());
    let caller = &mut connections.shared.caller;
    let config = caller.page.config;
    let is_lambda = config.platform() == Platform::Lambda;
    let initialized = caller.hook(Call::Initialize);
    if initialized.is_err() && !is_lambda {
        // There is no call to report it with: the line in the log has to do.
        fatal::value("the function could not be initialized", b"");
    }
    caller.page.is_started = is_lambda && !config.is_snapshot;
    let mut poller = Poller {
        reactor: kernel("cannot wait for events: !", Reactor::new()),
        connections,
        registers: is_lambda && config.sigterm == Switch::On && initialized.is_ok(),
        initialized,
        failed_count: 0,
        retry_ms: NEVER,
        turn_count: 0,
        connect_ms: 0,
    };
    // The one loop without a bound.
    while !signal::terminating() {
        poller.open();
        poller.round(events, poller.retry_ms);
    }
    // Nothing more is asked for, but an event that has come, if only a part of it, is answered.
    poller.serve_idle();
    let end_ms = clock::monotonic_ms() + DRAIN_MS_MAX;
    while poller.connections.slots.is_busy() && clock::monotonic_ms() < end_ms {
        poller.round(events, end_ms);
    }
    // What it returns is logged, and of no more use.
    let _ = poller.connections.shared.caller.hook(Call::PreStop);
}

impl<H: Handler> Poller<'_, H> {
    /// One round: wait, serve, expire.
    fn round(&mut self, events: &mut [Event], until_ms: u64) {
        let ready = self.connections.wait(&self.reactor, events, until_ms);
        for event in ready {
            self.connections.serve(&self.reactor, event.token());
        }
        self.connections.expire(&self.reactor);
    }

    /// Reads what has come on the connections on which nothing is going on.
    fn serve_idle(&mut self) {
        for index in 0..self.connections.slots.used() {
            if let Some(token) = self.connections.slots.token_at(index)
                && self.connections.is_idle(token)
            {
                self.connections.serve(&self.reactor, token);
            }
        }
    }

    /// Opens the connections that are missing.
    fn open(&mut self) {
        if self.retry_ms != NEVER && clock::monotonic_ms() < self.retry_ms {
            return;
        }
        self.retry_ms = NEVER;
        let slots = &self.connections.slots;
        // Nobody was there to be told, or to be understood: it stands in the log.
        if self.initialized.is_err() && self.failed_count > 0 && slots.open() == 0 {
            process::exit(1);
        }
        if self.registers {
            self.registers = false;
            return self.connect(Ask::Register);
        }
        // The platform wants to know of an extension before the first event is asked for.
        if slots.asking(Ask::Register) > 0 {
            return;
        }
        let page = &self.connections.shared.caller.page;
        let (ask, most) = match page.config.platform() {
            _ if self.initialized.is_err() => (Ask::InitError, 1),
            _ if page.is_started => (Ask::Next, page.config.conn_count),
            Platform::Lambda => (Ask::Restore, 1),
            _ => (Ask::Ready, 1),
        };
        // An extension's connection is one more.
        for _ in slots.open()..most + slots.asking(Ask::ExtensionNext) {
            self.connect(ask);
            if self.retry_ms != NEVER {
                break;
            }
        }
    }

    /// Opens a connection that asks for something. One that comes to nothing is tried again, after a
    /// moment and not for ever.
    fn connect(&mut self, ask: Ask) {
        let page = &self.connections.shared.caller.page;
        let (Address { ip, port, .. }, turn_count) = (page.config.address, page.turn_count);
        // A platform may well end a connection on which nothing happens for long.
        let now_ms = clock::monotonic_ms();
        if turn_count != self.turn_count || now_ms - self.connect_ms > FORGIVE_MS {
            (self.turn_count, self.failed_count) = (turn_count, 0);
        }
        self.connect_ms = now_ms;
        // An API on the same host has refused by now, and then that is the reason to name.
        let made = Socket::connect(ip, port).and_then(|socket| socket.error().map(|()| socket));
        let refused = match made {
            Ok(socket) => {
                let mut connection = Connection::new(socket);
                let failure = self.initialized.as_ref().err();
                let want = connection.start(&mut self.connections.shared, ask, failure);
                let lost = (want == Want::Close).then_some(Errno::CONNRESET);
                self.connections.keep(&self.reactor, connection, want);
                lost
            }
            Err(errno) => Some(errno),
        };
        // One that was taken comes to nothing if it ends before a response; as many as there are to
        // be may be open without one.
        self.failed_count += 1;
        let is_failing = self.failed_count > self.connections.shared.caller.page.config.conn_count;
        if refused.is_some() || is_failing {
            self.retry_ms = clock::monotonic_ms() + RETRY_MS;
        }
        let is_hopeless = self.failed_count > RETRY_COUNT_MAX + self.connections.slots.open();
        if is_hopeless {
            let errno = refused.unwrap_or(Errno::CONNRESET);
            let text = "cannot reach the platform's API on port #: !";
            fatal::port(text, port, errno);
        }
    }
}
