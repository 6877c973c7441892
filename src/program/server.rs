//! A program that stays beside fnboot, a server or one that asks for events: how its processes are started, and what
//! their ends lead to.

use core::mem::MaybeUninit;

use super::environment::Environment;
use super::failure::{self, Fault};
use super::input;
use super::kinds::{self, Kinds};
use super::launch::Launch;
use super::orphans::Orphans;
use super::process::{Mark, Process};
use super::settings::Stay;
use super::supervisor::Supervisor;
use crate::handler::{Error, Platform};
use crate::limits::{DEATH_COUNT_MAX, RESTART_MS};
use crate::log;
use crate::sys::child::{self, Pid, Signal};
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::Errno;
use crate::sys::memory::Reserved;
use crate::sys::process;
use crate::sys::signal;
use crate::sys::wait::Status;

/// The program: what all of its processes share.
#[derive(Debug)]
pub struct Program {
    launch: &'static mut Launch,
    environment: Environment,
    orphans: Orphans,
    pub kinds: Kinds,
    /// Ends in a row without a call that was served in between.
    pub death_count: usize,
    /// Whether a process was ready once: if not, its end is why there is no function.
    pub was_ready: bool,
    prefixes_log: bool,
}

/// What there is once in a process.
struct Memory {
    program: MaybeUninit<Program>,
    kinds: kinds::Place,
}

static MEMORY: Reserved<Memory> = Reserved::new(Memory {
    program: MaybeUninit::uninit(),
    kinds: kinds::Place::EMPTY,
});

/// A process of it.
#[derive(Debug)]
pub struct Server {
    process: Option<Process>,
    pub phase: Phase,
    /// When it is killed, after it was told to end: on the monotonic clock, or `NEVER`.
    pub kill_ms: u64,
    /// Whether it was told to end, so that its end is nothing that it has done.
    pub is_told: bool,
    /// Whether it has served a call.
    pub has_served: bool,
}

/// How far it is. Moments are those of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was started, and is not ready yet.
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

/// How often it is said what is waited for, and when it is tried again what could not be started.
const SAY_MS: u64 = 2000;

impl Program {
    /// Nothing is started yet: once in the life of a process. Variables of the process with the names that are `replaced`
    /// the program does not get.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(
        launch: &'static mut Launch,
        platform: Platform,
        replaced: &'static [u8],
        prefixes_log: bool,
    ) -> Result<&'static mut Self, Errno> {
        let memory = MEMORY.take().ok_or(Errno::AGAIN)?;
        launch.arguments.complete();
        let mut environment = Environment::new(platform, Stay::Server, replaced)?;
        environment.take_own()?;
        let program = memory.program.write(Self {
            launch,
            environment,
            orphans: Orphans::NONE,
            kinds: Kinds::new(&mut memory.kinds),
            death_count: 0,
            was_ready: false,
            prefixes_log,
        });
        program.orphans.spare();
        Ok(program)
    }

    /// Starts a process, known by `index`, with these variables, each of which ends with a NUL.
    ///
    /// # Errors
    /// As of `execve(2)`.
    pub fn start(
        &mut self,
        server: &mut Server,
        variables: &[u8],
        supervisor: &Supervisor,
        index: usize,
    ) -> Result<(), Errno> {
        let input = input::file(b"")?;
        let environment = self.environment.of_call(variables, false);
        let process = Process::start_server(self.launch, environment, &input, supervisor, index)?;
        let since_ms = clock::monotonic_ms();
        let say_ms = since_ms + SAY_MS;
        server.process = Some(process);
        server.phase = Phase::Starting { since_ms, say_ms };
        (server.kill_ms, server.is_told, server.has_served) = (NEVER, false, false);
        Ok(())
    }

    /// Why it could not be started.
    pub fn not_started(&mut self, errno: Errno) -> Error {
        let fault = Some(Fault::Start(errno));
        failure::error(&mut self.kinds, self.launch, fault, None, b"")
    }

    /// Says that a process could not be started again.
    pub fn say_not_started(&mut self, errno: Errno) {
        let error = self.not_started(errno);
        log::complain(b"ERROR", |line| {
            line.put(b"the program is not started again: ");
            log::quote(error.message_bytes(), line);
        });
    }

    /// How a process has ended, as a failure: with what it has written to its log last.
    pub fn death(&mut self, server: &Server) -> Error {
        let process = server.process.as_ref();
        let status = process.and_then(|process| process.status);
        let tail = process.map_or(&b""[..], Process::tail);
        failure::error(&mut self.kinds, self.launch, None, status, tail)
    }

    /// What lines of a log are marked with that were written during the call of that id.
    pub fn mark<'a>(&self, id: &'a [u8]) -> Mark<'a> {
        self.prefixes_log.then_some(id)
    }

    /// Counts an end in a row. Returns how long the next start waits, in milliseconds: so many ends are followed by one at
    /// once.
    pub fn count_end(&mut self, free_count: usize) -> u64 {
        self.death_count += 1;
        let doublings = self.death_count.checked_sub(free_count + 1);
        doublings.map_or(0, |doublings| RESTART_MS << doublings)
    }

    /// A process has served a call.
    #[cfg(feature = "worker")]
    pub fn served(&mut self, server: &mut Server) {
        (self.death_count, server.has_served) = (0, true);
    }

    /// Whether it has ended again and again.
    pub fn is_hopeless(&self) -> bool {
        self.death_count >= DEATH_COUNT_MAX
    }

    /// Ends fnboot, too, if the program has ended again and again.
    pub fn give_up(&self) {
        if self.is_hopeless() {
            log::complain(b"FATAL", |line| {
                line.put(b"the program has ended again and again");
            });
            process::exit(1);
        }
    }

    /// Kills what processes have left behind that has left their groups.
    pub fn kill_orphans(&self) {
        self.orphans.find(true, |_| false);
    }

    /// Says how a process has ended, unless that is why there is no function, or all ends.
    pub fn say_end(&mut self, server: &Server) {
        if self.was_ready && !signal::terminating() {
            let error = self.death(server);
            log::complain(b"ERROR", |line| {
                line.put(b"the program has ended: ");
                log::quote(error.message_bytes(), line);
            });
        }
    }
}

impl Server {
    /// None is started.
    pub const NONE: Self = Self {
        process: None,
        phase: Phase::Down { until_ms: 0 },
        kill_ms: NEVER,
        is_told: false,
        has_served: false,
    };

    pub fn is_alive(&self) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.status.is_none())
    }

    /// Whether that is its process, which lives.
    pub fn is(&self, pid: Pid) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.pid == pid && process.status.is_none())
    }

    /// Passes on what it has written to its log.
    pub fn read_log(&mut self, mark: Mark<'_>) {
        if let Some(process) = &mut self.process {
            process.read_log(mark);
        }
    }

    /// The same once it has ended: nothing more comes.
    pub fn drain_log(&mut self, mark: Mark<'_>) {
        if let Some(process) = &mut self.process {
            process.drain_log(mark);
        }
    }

    /// It has ended. Its group is killed before it is reaped, because then its number may soon be another's.
    pub fn bury(&mut self, status: Status) {
        self.kill();
        if let Some(process) = &mut self.process {
            process.status = Some(status);
        }
    }

    /// It has ended, and is started again after so many milliseconds.
    pub fn start_after(&mut self, wait_ms: u64) {
        let until_ms = clock::monotonic_ms() + wait_ms;
        self.phase = Phase::Down { until_ms };
    }

    /// It is about to be started. If that fails it is tried again: returns when.
    pub fn try_again(&mut self, now_ms: u64) -> u64 {
        let until_ms = now_ms + SAY_MS;
        self.phase = Phase::Down { until_ms };
        until_ms
    }

    /// Says now and then that it is waited for; `what` it is to do.
    pub fn say_waiting(&mut self, now_ms: u64, what: &[u8]) {
        if let Phase::Starting { since_ms, say_ms } = &mut self.phase
            && now_ms >= *say_ms
        {
            *say_ms += SAY_MS;
            let seconds = (now_ms - *since_ms) / 1000;
            log::complain(b"INFO", |line| {
                line.put(b"waiting for the program ");
                line.put(what);
                line.put(b" since ");
                line.put_decimal(seconds);
                line.put(b" s");
            });
        }
    }

    /// Asks it to end, and what it has started; once, because some take a second signal for impatience. It is to be killed at
    /// `kill_ms`.
    pub fn terminate(&mut self, kill_ms: u64) {
        self.is_told = true;
        self.kill_ms = self.kill_ms.min(kill_ms);
        if let Some(process) = self.process.as_ref().filter(|_| self.is_alive())
            && child::kill_group(process.pid, Signal::Terminate).is_err()
        {
            // It has left its group.
            let _ = child::kill(process.pid, Signal::Terminate);
        }
    }

    /// Ends it, and what it has started.
    pub fn kill(&mut self) {
        self.kill_ms = NEVER;
        if let Some(process) = &self.process {
            process.signal(Signal::Kill);
        }
    }
}
