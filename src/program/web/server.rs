//! The process of a server: how it is started, when it is ready, and what its end leads to.

use super::settings::Settings;
use crate::bytes::{self, Writer};
use crate::handler::Error;
use crate::limits::{DEATH_COUNT_MAX, RESTART_MS};
use crate::log;
use crate::program::environment::Environment;
use crate::program::failure::{self, Fault};
use crate::program::input;
use crate::program::kinds::{self, Kinds};
use crate::program::launch::Launch;
use crate::program::orphans::Orphans;
use crate::program::process::Process;
use crate::program::settings::Stay;
use crate::program::supervisor::Supervisor;
use crate::sys::child::{self, Signal};
use crate::sys::clock;
use crate::sys::fd::{Errno, Io};
use crate::sys::signal;
use crate::sys::socket::{LOOPBACK, Socket};
use crate::sys::wait::{self, Status};

/// The process, if there is one, and whether it serves.
#[derive(Debug)]
pub struct Server {
    launch: &'static mut Launch,
    environment: Environment,
    orphans: Orphans,
    kinds: Kinds,
    process: Option<Process>,
    pub phase: Phase,
    /// Ends in a row without an answer in between.
    pub death_count: usize,
    /// Whether it was ready once: if not, its end is why there is no function.
    pub was_ready: bool,
    prefixes_log: bool,
    port: u16,
}

/// How far the server is. Moments are those of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was started, and does not accept connections yet.
    Starting {
        since_ms: u64,
        /// When it is said next what is waited for.
        say_ms: u64,
    },
    Ready,
    /// It has ended, and is started again.
    Down {
        until_ms: u64,
    },
}

/// By which variables a server is told its port.
const PORTS: &[u8] = b"PORT FC_SERVER_PORT FC_CUSTOM_LISTEN_PORT";

/// How often it is said what is waited for.
const SAY_MS: u64 = 2000;

/// Processes that are taken away at once.
const REAP_COUNT_MAX: usize = 1024;

impl Server {
    /// Nothing is started yet.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(
        launch: &'static mut Launch,
        settings: &Settings,
        place: &'static mut kinds::Place,
    ) -> Result<Self, Errno> {
        let mut environment = Environment::new(settings.platform, Stay::Server, PORTS)?;
        environment.take_own()?;
        let mut orphans = Orphans::NONE;
        orphans.spare();
        Ok(Self {
            launch,
            environment,
            orphans,
            kinds: Kinds::new(place),
            process: None,
            phase: Phase::Ready,
            death_count: 0,
            was_ready: false,
            prefixes_log: settings.prefixes_log,
            port: settings.port,
        })
    }

    /// Starts the process.
    ///
    /// # Errors
    /// As of `execve(2)`.
    pub fn start(&mut self, supervisor: &Supervisor) -> Result<(), Errno> {
        let input = input::file(b"")?;
        let mut place = [0; 128];
        let mut ports = Writer::new(&mut place);
        for name in bytes::split(PORTS, b' ') {
            ports.put(name);
            ports.put(b"=");
            ports.put_decimal(self.port.into());
            ports.put(b"\0");
        }
        let environment = self.environment.of_call(ports.written(), false);
        let process = Process::start_server(self.launch, environment, &input, supervisor, 0)?;
        self.process = Some(process);
        let since_ms = clock::monotonic_ms();
        let say_ms = since_ms + SAY_MS;
        self.phase = Phase::Starting { since_ms, say_ms };
        Ok(())
    }

    /// Why it could not be started.
    pub fn not_started(&mut self, errno: Errno) -> Error {
        let fault = Some(Fault::Start(errno));
        failure::error(&mut self.kinds, self.launch, fault, None, b"")
    }

    /// How it has ended, as a failure: with what it has written to its log last.
    pub fn death(&mut self) -> Error {
        let process = self.process.as_ref();
        let status = process.and_then(|process| process.status);
        let tail = process.map_or(&b""[..], Process::tail);
        failure::error(&mut self.kinds, self.launch, None, status, tail)
    }

    /// Whether it accepts connections by now. Says now and then that this is waited for.
    pub fn accepts(&mut self) -> bool {
        let now_ms = clock::monotonic_ms();
        if let Phase::Starting { since_ms, say_ms } = &mut self.phase
            && now_ms >= *say_ms
        {
            *say_ms += SAY_MS;
            let (port, seconds) = (self.port, (now_ms - *since_ms) / 1000);
            log::complain(b"INFO", |line| {
                line.put(b"waiting for the program on 127.0.0.1:");
                line.put_decimal(port.into());
                line.put(b" since ");
                line.put_decimal(seconds);
                line.put(b" s");
            });
        }
        // Nothing is sent: the kernel says whether something could be. A connection may be one to itself.
        Socket::connect(LOOPBACK, self.port).is_ok_and(|socket| {
            socket.send(b"") == Io::Done(0) && socket.local_port() != Some(self.port)
        })
    }

    /// Passes on what it has written to its log.
    pub fn read_log(&mut self) {
        let mark = self.prefixes_log.then_some(&b""[..]);
        if let Some(process) = &mut self.process {
            process.read_log(mark);
        }
    }

    /// Takes away the processes that have ended. Returns whether the server is one of them.
    pub fn reap(&mut self) -> bool {
        let mut has_ended = false;
        for _ in 0..REAP_COUNT_MAX {
            let Ok(Some(end)) = wait::ended(None) else {
                break;
            };
            let is_it = |process: &Process| process.pid == end.process;
            if self.is_alive() && self.process.as_ref().is_some_and(is_it) {
                self.bury(end.status);
                has_ended = true;
            }
            // There is no way for it to fail.
            let _ = wait::reap(end.process);
        }
        has_ended
    }

    /// It has ended: its group is killed before it is reaped, because then its number may soon be another's.
    fn bury(&mut self, status: Status) {
        let mark = self.prefixes_log.then_some(&b""[..]);
        if let Some(process) = &mut self.process {
            // What it has started would hold its port.
            process.signal(Signal::Kill);
            process.drain_log(mark);
            process.status = Some(status);
        }
        self.orphans.find(true, |_| false);
        self.death_count += 1;
        let doublings = self.death_count.saturating_sub(1).min(DEATH_COUNT_MAX);
        let until_ms = clock::monotonic_ms() + (RESTART_MS << doublings);
        self.phase = Phase::Down { until_ms };
        if self.was_ready && !signal::terminating() {
            let error = self.death();
            log::complain(b"ERROR", |line| {
                line.put(b"the program has ended: ");
                log::quote(error.message_bytes(), line);
            });
        }
    }

    pub fn is_alive(&self) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.status.is_none())
    }

    /// Asks it to end, and what it has started; once, because some servers take a second signal for impatience.
    pub fn terminate(&self) {
        if let Some(process) = self.process.as_ref().filter(|_| self.is_alive())
            && child::kill_group(process.pid, Signal::Terminate).is_err()
        {
            // It has left its group.
            let _ = child::kill(process.pid, Signal::Terminate);
        }
    }

    /// Ends it, and what it has started.
    pub fn kill(&self) {
        if let Some(process) = &self.process {
            process.signal(Signal::Kill);
        }
    }
}
