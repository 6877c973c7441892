//! The platforms that are polled: connections to the platform's API, each with one question open. What a
//! tick is stands in [`Connections::tick`]; here is what comes on top of it, opening connections.

use super::connection::Connection;
use super::connections::Connections;
use super::fatal::{self, kernel};
use super::poll::Client;
use super::settings::Switch;
use super::side::Side;
use crate::handler::{Error, Handler, Platform};
use crate::limits::{DRAIN_MS_MAX, RETRY_COUNT_MAX, RETRY_MS};
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
    /// Connections opened since there was a response, or since one of them had lasted.
    failed_count: usize,
    /// When the next attempt is made: on the monotonic clock, or `NEVER`.
    retry_ms: u64,
    /// How many responses there were when a connection was last opened.
    response_count: u64,
}

/// Asks for events and answers them until `SIGTERM`.
#[inline(never)]
pub fn poll<H: Handler>(connections: &mut Connections<H>, events: &mut [Event]) {
    kernel("cannot catch signals: !", signal::catch_terminate());
    let caller = &mut connections.service.caller;
    let config = caller.renderer.config;
    let is_lambda = config.platform() == Platform::Lambda;
    let initialized = caller.hook(Call::Initialize);
    if initialized.is_err() && !is_lambda {
        // There is no call to report it with: the line in the log has to do.
        fatal::value("the function could not be initialized", b"");
    }
    caller.progress.is_started = is_lambda && !config.is_snapshot;
    let mut poller = Poller {
        reactor: kernel("cannot wait for events: !", Reactor::new()),
        connections,
        registers: is_lambda && config.sigterm == Switch::On && initialized.is_ok(),
        initialized,
        failed_count: 0,
        retry_ms: NEVER,
        response_count: 0,
    };
    // The one loop without a bound.
    while !signal::terminating() && !poller.is_over() {
        poller.open();
        poller.tick(events, poller.retry_ms);
    }
    // Nothing more is asked for, but an event that has come, if only a part of it, is answered.
    if !poller.is_over() {
        poller.serve_idle();
    }
    let end_ms = clock::monotonic_ms() + DRAIN_MS_MAX;
    while poller.connections.is_busy() && !poller.is_over() && clock::monotonic_ms() < end_ms {
        poller.tick(events, end_ms);
    }
    // What still has no response is logged.
    poller.connections.close_all();
    if poller.is_over() {
        process::exit(fatal::STATUS);
    }
    // What it returns is logged, and of no more use.
    let _ = poller.connections.service.caller.hook(Call::PreStop);
}

impl<H: Handler> Poller<'_, H> {
    fn tick(&mut self, events: &mut [Event], until_ms: u64) {
        // There is no listener.
        self.connections.tick(&self.reactor, events, until_ms);
    }

    fn is_over(&self) -> bool {
        self.connections.service.caller.progress.is_over
    }

    /// Reads what has come on the connections that are between two messages.
    #[inline]
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
        let open = self.connections.slots.open();
        // The init error could not be reported (no connection, or no valid response). It is already in
        // the log.
        if self.initialized.is_err() && self.failed_count > 0 && open == 0 {
            process::exit(1);
        }
        if self.registers {
            self.registers = false;
            return self.connect(Ask::Register);
        }
        // The platform wants to know of an extension before the first event is asked for.
        if self.connections.asking(Ask::Register) > 0 {
            return;
        }
        let caller = &self.connections.service.caller;
        let config = &caller.renderer.config;
        let (ask, most) = match config.platform() {
            _ if self.initialized.is_err() => (Ask::InitError, 1),
            _ if caller.progress.is_started => (Ask::Next, config.conn_count),
            Platform::Lambda => (Ask::Restore, 1),
            _ => (Ask::Ready, 1),
        };
        // An extension's connection is one more.
        for _ in open..most + self.connections.asking(Ask::ExtensionNext) {
            self.connect(ask);
            if self.retry_ms != NEVER {
                break;
            }
        }
    }

    /// Opens a connection that asks for something. One that comes to nothing is tried again, after a
    /// moment and not for ever.
    fn connect(&mut self, ask: Ask) {
        let caller = &self.connections.service.caller;
        let config = caller.renderer.config;
        let (Address { ip, port, .. }, response_count) =
            (config.address, caller.progress.response_count);
        if response_count != self.response_count {
            (self.response_count, self.failed_count) = (response_count, 0);
        }
        let extensions = self.connections.asking(Ask::ExtensionNext);
        let is_alone = self.connections.slots.open() == extensions;
        // An API on the same host has refused by now, and then that is the reason to name.
        let made = Socket::connect(ip, port).and_then(|socket| socket.error().map(|()| socket));
        let refused = match made {
            Ok(socket) => {
                let client = Client::new(self.connections.slots.next_index());
                let receipts = &mut self.connections.service.caller.renderer.buffers.receipts;
                if let Some(receipt) = receipts.of(client.index) {
                    receipt.since_ms = NEVER;
                }
                let mut connection = Connection::new(socket, Side::Client(client));
                let failure = self.initialized.as_ref().err();
                let want = connection.ask(&mut self.connections.service, ask, failure);
                let before = self.connections.slots.open();
                self.connections.keep(&self.reactor, connection, want);
                let is_kept = self.connections.slots.open() > before;
                (!is_kept).then_some(Errno::CONNRESET)
            }
            Err(errno) => {
                self.registers |= ask == Ask::Register;
                Some(errno)
            }
        };
        // A connection counts as failed until it gets a response; up to `conn_count` may be waiting for
        // one.
        self.failed_count += 1;
        let is_failing = self.failed_count > config.conn_count;
        if refused.is_some() || is_failing {
            self.retry_ms = clock::monotonic_ms() + RETRY_MS;
        }
        // As long as another connection waits for events, the process goes on.
        if is_alone && self.failed_count > RETRY_COUNT_MAX {
            let errno = refused.unwrap_or(Errno::CONNRESET);
            self.connections.service.caller.progress.is_over = true;
            self.connections.close_all();
            let text = "cannot reach the platform's API on port #: !";
            fatal::port(text, port, errno);
        }
    }
}
