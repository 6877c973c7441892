//! The processes that ask for events: how they are started, what their ends lead to.

use core::mem::MaybeUninit;

use super::connection::Request;
use crate::bytes::{self, Writer};
use crate::handler::{Error, Platform};
use crate::limits::{
    BACKLOG_COUNT, DEATH_COUNT_MAX, LOAD_MS_MAX, PATH_BYTES_MAX, PROCESS_COUNT_MAX, RESTART_MS,
};
use crate::log;
use crate::program::environment::Environment;
use crate::program::failure::{self, Fault};
use crate::program::input;
use crate::program::kinds::{self, Kinds};
use crate::program::launch::Launch;
use crate::program::orphans::Orphans;
use crate::program::process::Process;
use crate::program::settings::{Settings, Stay};
use crate::program::supervisor::{Ready, Supervisor};
use crate::program::variables::Variables;
use crate::sys::child::{self, Signal};
use crate::sys::clock::{self, NEVER};
use crate::sys::env;
use crate::sys::fd::Errno;
use crate::sys::memory::{List, Mapping};
use crate::sys::process;
use crate::sys::signal;
use crate::sys::socket::{LOOPBACK, Listener};
use crate::sys::wait::Status;

/// All of them, and what they share.
#[derive(Debug)]
pub struct Workers {
    list: List<Worker>,
    pub launch: &'static mut Launch,
    environment: Environment,
    orphans: Orphans,
    pub kinds: Kinds,
    /// Ends in a row without a call that was served in between.
    pub death_count: usize,
    /// Whether one has asked: if not, its end is why there is no function.
    pub has_asked: bool,
    prefixes_log: bool,
}

/// A process, and the port on which it asks.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is so or not, whatever the others"
)]
#[derive(Debug)]
pub struct Worker {
    pub listener: Listener,
    port: u16,
    pub process: Option<Process>,
    pub phase: Phase,
    /// When it is killed, after it was told to end: on the monotonic clock, or `NEVER`.
    kill_ms: u64,
    /// Whether it was told to end, so that its end is nothing that it has done.
    is_told: bool,
    /// What it has answered that nobody has taken.
    pub answer: Option<Answer>,
    /// The connection on which more of its answer comes; whether status and headers are waited for, or whoever takes it
    /// waits for more.
    pub stream: Option<usize>,
    pub is_collecting: bool,
    pub is_waiting: bool,
    /// Whether whoever waits has to be told, without anything that has come.
    pub is_due: bool,
}

/// An answer, or its beginning, as it came.
#[derive(Debug)]
pub struct Answer {
    /// Where it lies, if not in the place that all connections share.
    pub memory: Option<Mapping>,
    pub request: Request,
}

/// How far a worker is. Moments are those of the monotonic clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// It was started, and has not asked yet.
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

/// How often it is said what is waited for.
const SAY_MS: u64 = 2000;

/// What a worker is told by variables of its own, so that those of the process do not count: where it asks, and that it
/// has one event at a time.
const REPLACED: &[u8] =
    b"AWS_LAMBDA_RUNTIME_API SCF_RUNTIME_API SCF_RUNTIME_API_PORT AWS_LAMBDA_MAX_CONCURRENCY";

/// What clients insist on, or functions expect, where the platform is another: a variable, and where its value is from if the
/// process has none of that name; the text behind `=`, or the working directory.
const DEFAULTS: &[u8] = b"_HANDLER FC_FUNCTION_HANDLER
LAMBDA_TASK_ROOT USER_CODE_ROOT FC_FUNC_CODE_PATH .
USER_CODE_ROOT LAMBDA_TASK_ROOT FC_FUNC_CODE_PATH .
AWS_LAMBDA_FUNCTION_NAME SCF_FUNCTIONNAME FC_FUNCTION_NAME =function
SCF_FUNCTIONNAME AWS_LAMBDA_FUNCTION_NAME FC_FUNCTION_NAME =function
AWS_LAMBDA_FUNCTION_VERSION SCF_FUNCTIONVERSION FC_QUALIFIER =$LATEST
SCF_FUNCTIONVERSION AWS_LAMBDA_FUNCTION_VERSION FC_QUALIFIER =$LATEST
AWS_LAMBDA_FUNCTION_MEMORY_SIZE FC_FUNCTION_MEMORY_SIZE =128
AWS_LAMBDA_LOG_GROUP_NAME =/aws/lambda/function
AWS_LAMBDA_LOG_STREAM_NAME FC_INSTANCE_ID =0
AWS_REGION AWS_DEFAULT_REGION FC_REGION TENCENTCLOUD_REGION
AWS_DEFAULT_REGION AWS_REGION FC_REGION TENCENTCLOUD_REGION
TENCENTCLOUD_REGION FC_REGION AWS_REGION";

/// Room for the variables of a worker.
const VARIABLES_BYTES: usize = 64 * 1024;

impl Workers {
    /// None yet.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(
        launch: &'static mut Launch,
        settings: &Settings,
        platform: Platform,
        list: &'static mut Places,
        place: &'static mut kinds::Place,
    ) -> Result<Self, Errno> {
        let mut environment = Environment::new(platform, Stay::Server, REPLACED)?;
        environment.take_own()?;
        let mut orphans = Orphans::NONE;
        orphans.spare();
        Ok(Self {
            list: List::new(list),
            launch,
            environment,
            orphans,
            kinds: Kinds::new(place),
            death_count: 0,
            has_asked: false,
            prefixes_log: settings.prefixes_log,
        })
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is a process.
    pub fn are_alive(&self) -> bool {
        self.list.iter().any(Worker::is_alive)
    }

    #[inline(never)]
    pub fn at(&mut self, index: usize) -> Option<&mut Worker> {
        self.list.get_mut(index)
    }

    /// One more, which is to be started: listens for it.
    ///
    /// # Errors
    /// Out of descriptors, memory or ports.
    pub fn add(&mut self, supervisor: &Supervisor) -> Result<(), Errno> {
        let listener = Listener::bind_to(LOOPBACK, 0, BACKLOG_COUNT)?;
        listener.set_nonblocking()?;
        supervisor.watch(&listener, Ready::Listener(self.list.len()))?;
        let worker = Worker {
            port: listener.port().ok_or(Errno::AGAIN)?,
            listener,
            process: None,
            phase: Phase::Down { until_ms: 0 },
            kill_ms: NEVER,
            is_told: false,
            answer: None,
            stream: None,
            is_collecting: false,
            is_waiting: false,
            is_due: false,
        };
        self.list.push(worker).map(drop).ok_or(Errno::AGAIN)
    }

    /// Starts the process of a worker.
    ///
    /// # Errors
    /// As of `execve(2)`.
    pub fn start(&mut self, index: usize, supervisor: &Supervisor) -> Result<(), Errno> {
        let worker = self.list.get_mut(index).ok_or(Errno::AGAIN)?;
        let input = input::file(b"")?;
        let mut place = Mapping::new(VARIABLES_BYTES)?;
        let mut variables = Variables::new(&mut place, 0);
        put_variables(worker.port, &mut variables);
        let environment = self.environment.of_call(variables.finish(), false);
        let process = Process::start_server(self.launch, environment, &input, supervisor, index)?;
        worker.process = Some(process);
        let since_ms = clock::monotonic_ms();
        let say_ms = since_ms + SAY_MS;
        worker.phase = Phase::Starting { since_ms, say_ms };
        (worker.kill_ms, worker.is_told) = (NEVER, false);
        Ok(())
    }

    /// Why it could not be started.
    pub fn not_started(&mut self, errno: Errno) -> Error {
        let fault = Some(Fault::Start(errno));
        failure::error(&mut self.kinds, self.launch, fault, None, b"")
    }

    /// How a worker has ended, as a failure: with what it has written to its log last.
    pub fn death(&mut self, index: usize) -> Error {
        let process = self
            .list
            .get(index)
            .and_then(|worker| worker.process.as_ref());
        let status = process.and_then(|process| process.status);
        let tail = process.map_or(&b""[..], Process::tail);
        failure::error(&mut self.kinds, self.launch, None, status, tail)
    }

    /// Passes on what a worker has written to its log while it had the call of that id.
    pub fn read_log(&mut self, index: usize, id: &[u8], is_last: bool) {
        let mark = self.prefixes_log.then_some(id);
        if let Some(process) = self.at(index).and_then(|worker| worker.process.as_mut()) {
            if is_last {
                process.drain_log(mark);
            } else {
                process.read_log(mark);
            }
        }
    }

    /// The worker whose process that is, if it lives.
    pub fn of_process(&self, pid: child::Pid) -> Option<usize> {
        let is_it = |worker: &Worker| {
            let process = worker.process.as_ref().filter(|_| worker.is_alive());
            process.is_some_and(|process| process.pid == pid)
        };
        self.list.iter().position(is_it)
    }

    /// A worker has ended. Its group is killed before it is reaped, because then its number may soon be another's.
    pub fn bury(&mut self, index: usize, status: Status) {
        let Some(worker) = self.list.get_mut(index) else {
            return;
        };
        if let Some(process) = &mut worker.process {
            process.signal(Signal::Kill);
            process.status = Some(status);
        }
        worker.kill_ms = NEVER;
        let is_told = worker.is_told;
        if !is_told {
            self.death_count += 1;
        }
        // At once after the first end.
        let doublings = self.death_count.min(DEATH_COUNT_MAX);
        let wait_ms = if self.death_count > 1 {
            RESTART_MS << (doublings - 2)
        } else {
            0
        };
        let until_ms = clock::monotonic_ms() + wait_ms;
        worker.phase = Phase::Down { until_ms };
        // What has left its group may be another's helper.
        if !self.are_alive() {
            self.orphans.find(true, |_| false);
        }
        // One that ends on purpose after each event is nothing to be said.
        let is_odd = status != Status::Exited(0) && !is_told;
        if self.has_asked && is_odd && !signal::terminating() {
            let error = self.death(index);
            log::complain(b"ERROR", |line| {
                line.put(b"the program has ended: ");
                log::quote(error.message_bytes(), line);
            });
        }
    }

    /// Does what is due for a worker by now. Returns when something is next.
    pub fn tick(&mut self, index: usize, now_ms: u64, supervisor: &Supervisor) -> u64 {
        // Not before it is known what comes of the end.
        let may_start = self.has_asked && self.death_count < DEATH_COUNT_MAX;
        let Some(worker) = self.list.get_mut(index) else {
            return NEVER;
        };
        if worker.kill_ms <= now_ms {
            worker.kill();
        }
        let next_ms = match &mut worker.phase {
            Phase::Down { until_ms } if *until_ms > now_ms => *until_ms,
            Phase::Down { .. } if !may_start || worker.stream.is_some() => NEVER,
            Phase::Down { until_ms } => {
                *until_ms = now_ms + RESTART_MS;
                // Else it is tried again.
                let _ = self.start(index, supervisor);
                now_ms + RESTART_MS
            }
            Phase::Starting { since_ms, say_ms } => {
                let since_ms = *since_ms;
                if now_ms >= *say_ms {
                    *say_ms += SAY_MS;
                    log::complain(b"INFO", |line| {
                        line.put(b"waiting for the program to ask for events since ");
                        line.put_decimal((now_ms - since_ms) / 1000);
                        line.put(b" s");
                    });
                }
                let next_ms = *say_ms;
                if now_ms > since_ms + LOAD_MS_MAX {
                    worker.kill();
                }
                next_ms
            }
            Phase::Ready => NEVER,
        };
        let kill_ms = self.list.get(index).map_or(NEVER, |worker| worker.kill_ms);
        next_ms.min(kill_ms)
    }
}

impl Worker {
    pub fn is_alive(&self) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.status.is_none())
    }

    /// Asks it to end, and what it has started; it is killed at `kill_ms`.
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

impl Answer {
    /// It lies in memory of its own from now on, with room for so much.
    ///
    /// # Errors
    /// Out of memory.
    pub fn own(&mut self, shared: &[u8], room: usize) -> Result<(), Errno> {
        if let Some(memory) = &mut self.memory {
            return memory.grow(room);
        }
        let mut memory = Mapping::new(room.max(self.request.end))?;
        bytes::copy(&mut memory, bytes::slice(shared, 0..self.request.end));
        self.memory = Some(memory);
        Ok(())
    }
}

/// Where workers are.
pub type Places = [MaybeUninit<Worker>; PROCESS_COUNT_MAX];
#[allow(clippy::large_const_arrays, reason = "the initial value of one static")]
pub const NO_WORKERS: Places = [const { MaybeUninit::uninit() }; PROCESS_COUNT_MAX];

/// Appends the variables of a worker that asks on that port.
fn put_variables(port: u16, into: &mut Variables<'_>) {
    let mut place = [0; 32];
    let mut address = Writer::new(&mut place);
    address.put(b"127.0.0.1:");
    address.put_decimal(port.into());
    let address = address.written();
    let host = bytes::before(address, b':');
    into.put(b"AWS_LAMBDA_RUNTIME_API", address);
    into.put(b"SCF_RUNTIME_API", host);
    let port = bytes::slice(address, host.len() + 1..address.len());
    into.put(b"SCF_RUNTIME_API_PORT", port);
    let mut folder = [0; PATH_BYTES_MAX];
    let folder = process::folder(&mut folder);
    for line in bytes::split(DEFAULTS, b'\n') {
        let name = bytes::before(line, b' ');
        if env::var(name).is_some() {
            continue;
        }
        let value = bytes::split(line, b' ')
            .skip(1)
            .find_map(|source| match source {
                b"." => Some(folder),
                [b'=', text @ ..] => Some(text),
                _ => env::var(source).filter(|value| !value.is_empty()),
            });
        if let Some(value) = value {
            into.put(name, value);
        }
    }
}
