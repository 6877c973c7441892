//! The processes that ask for events: how they are started, what their ends lead to.

use core::mem::MaybeUninit;

use crate::bytes::{self, Writer};
use crate::handler::Error;
use crate::limits::{
    BACKLOG_COUNT, LOAD_MS_MAX, PATH_BYTES_MAX, PAUSE_MS_MAX, PROCESS_COUNT_MAX, RESTART_MS,
};
use crate::program::calls::Call;
use crate::program::framing;
use crate::program::server::{Phase, Program, Server};
use crate::program::supervisor::{Ready, Supervisor};
use crate::program::variables::Variables;
use crate::sys::child::Pid;
use crate::sys::clock::{self, NEVER};
use crate::sys::env;
use crate::sys::fd::Errno;
use crate::sys::memory::{List, Mapping};
use crate::sys::process;
use crate::sys::socket::{LOOPBACK, Listener, Socket};
use crate::sys::wait::Status;

/// All of them, and what they share.
#[derive(Debug)]
pub struct Workers {
    list: List<Worker>,
    pub program: &'static mut Program,
}

/// A process, and the port on which it asks.
#[derive(Debug)]
pub struct Worker {
    listener: Listener,
    /// When connections are accepted again, while that pauses: on the monotonic clock, or `NEVER`.
    accept_ms: u64,
    pub server: Server,
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

/// The connection of an answer in pieces that has broken off.
pub const NO_CONNECTION: usize = usize::MAX;

/// An answer, or its beginning, as it came.
#[derive(Debug)]
pub struct Answer {
    /// The number of the call that it answers.
    pub call: u64,
    /// Where it lies, if not in the place that all connections share.
    pub memory: Option<Mapping>,
    /// Whether it is a failure.
    pub is_error: bool,
    /// Where in it the head ends, and the body, as far as it has come.
    pub head_len: usize,
    pub end: usize,
}

/// What a worker is told by variables of its own, so that those of the process do not count: where it asks, and that it
/// has one event at a time.
pub const REPLACED: &[u8] =
    b"AWS_LAMBDA_RUNTIME_API SCF_RUNTIME_API SCF_RUNTIME_API_PORT AWS_LAMBDA_MAX_CONCURRENCY";

/// What clients insist on, or functions expect, where the platform is another: a variable, and where its value is from if the
/// process has none of that name; the text behind `=`, or the working directory.
const DEFAULTS_TEXT: &[u8] = b"_HANDLER FC_FUNCTION_HANDLER
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
static DEFAULTS: [u8; DEFAULTS_TEXT.len()] = bytes::named(DEFAULTS_TEXT);

/// Ends in a row that are followed by a start at once.
const FREE_COUNT: usize = 1;

/// Room for the variables of a worker.
const VARIABLES_BYTES: usize = 64 * 1024;

impl Workers {
    /// None yet.
    pub fn new(program: &'static mut Program, list: &'static mut Places) -> Self {
        let list = List::new(list);
        Self { list, program }
    }

    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is a process.
    pub fn are_alive(&self) -> bool {
        self.list.iter().any(|worker| worker.server.is_alive())
    }

    /// Does something with the process of each.
    pub fn each(&mut self, act: impl Fn(&mut Server)) {
        for worker in self.list.iter_mut() {
            act(&mut worker.server);
        }
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
            listener,
            accept_ms: NEVER,
            server: Server::NONE,
            answer: None,
            stream: None,
            is_collecting: false,
            is_waiting: false,
            is_due: false,
        };
        self.list.push(worker).map(drop).ok_or(Errno::AGAIN)
    }

    /// The next connection of a worker, if there is one. Out of descriptors, it waits in the kernel's queue for a moment.
    pub fn accept(&mut self, index: usize, supervisor: &mut Supervisor) -> Option<Socket> {
        let worker = self.list.get_mut(index)?;
        let accepted = worker.listener.accept();
        if accepted.as_ref().is_err_and(|errno| errno.is_exhaustion()) {
            supervisor.unwatch(&worker.listener);
            worker.accept_ms = clock::monotonic_ms() + PAUSE_MS_MAX;
            supervisor.alarm(worker.accept_ms);
        }
        accepted.ok()
    }

    /// Starts the process of a worker.
    ///
    /// # Errors
    /// As of `execve(2)`.
    pub fn start(&mut self, index: usize, supervisor: &Supervisor) -> Result<(), Errno> {
        let worker = self.list.get_mut(index).ok_or(Errno::AGAIN)?;
        let mut place = Mapping::new(VARIABLES_BYTES)?;
        let mut variables = Variables::new(&mut place, 0);
        let port = worker.listener.port().ok_or(Errno::AGAIN)?;
        put_variables(port, &mut variables);
        let (program, server) = (&mut self.program, &mut worker.server);
        program.start(server, variables.finish(), supervisor, index)
    }

    /// How a worker has ended, as a failure.
    pub fn death(&mut self, index: usize) -> Error {
        let server = self.list.get(index).map(|worker| &worker.server);
        self.program.death(server.unwrap_or(&Server::NONE))
    }

    /// Passes on what a worker has written to its log while it had the call of that id.
    pub fn read_log(&mut self, index: usize, id: &[u8]) {
        if let Some(worker) = self.list.get_mut(index) {
            worker.server.read_log(self.program.mark(id));
        }
    }

    /// The worker whose process that is, if it lives.
    pub fn of_process(&self, pid: Pid) -> Option<usize> {
        let mut workers = self.list.iter();
        workers.position(|worker| worker.server.is(pid))
    }

    /// A worker has ended that had that call. It does not count if it has served one before, was told to end, or has asked for
    /// an event, and ends with 0 because there is none: many a client waits for so long and no longer.
    pub fn bury(&mut self, index: usize, status: Status, call: Option<&Call>) {
        let Self { list, program } = self;
        let Some(Worker { server, .. }) = list.get_mut(index) else {
            return;
        };
        let is_well = status == Status::Exited(0);
        let has_given_up = is_well && server.phase == Phase::Ready && call.is_none();
        server.bury(status);
        server.start_after(if server.has_served || server.is_told {
            0
        } else if has_given_up {
            RESTART_MS
        } else {
            program.count_end(FREE_COUNT)
        });
        // One that ends on purpose after each event is nothing to be said.
        if !is_well && !server.is_told {
            program.say_end(server);
        }
        // What has left its group may be another's helper.
        if !self.are_alive() {
            self.program.kill_orphans();
        }
    }

    /// A worker has served a call.
    pub fn served(&mut self, index: usize) {
        let Self { list, program } = self;
        if let Some(worker) = list.get_mut(index) {
            program.served(&mut worker.server);
        }
    }

    /// Does what is due for a worker by now. Returns when something is next.
    pub fn tick(&mut self, index: usize, now_ms: u64, supervisor: &Supervisor) -> u64 {
        // Not before it is known what comes of the end.
        let program = &self.program;
        let may_start = program.was_ready && !program.is_hopeless();
        let Some(Worker {
            listener,
            accept_ms,
            server,
            stream,
            ..
        }) = self.list.get_mut(index)
        else {
            return NEVER;
        };
        if *accept_ms <= now_ms {
            let watched = supervisor.watch(listener, Ready::Listener(index));
            *accept_ms = watched.map_or(now_ms + PAUSE_MS_MAX, |()| NEVER);
        }
        if server.kill_ms <= now_ms {
            server.kill();
        }
        server.say_waiting(now_ms, b"to ask for events");
        let next_ms = match server.phase {
            Phase::Down { until_ms } if until_ms > now_ms => until_ms,
            Phase::Down { .. } if !may_start || stream.is_some() => NEVER,
            Phase::Down { .. } => {
                let until_ms = server.try_again(now_ms);
                if let Err(errno) = self.start(index, supervisor) {
                    self.program.say_not_started(errno);
                }
                until_ms
            }
            Phase::Starting { since_ms, say_ms } => {
                if now_ms > since_ms + LOAD_MS_MAX {
                    server.kill();
                }
                say_ms
            }
            Phase::Ready => NEVER,
        };
        let worker = self.list.get(index);
        let moments_ms = worker.map(|worker| [worker.server.kill_ms, worker.accept_ms]);
        let [kill_ms, accept_ms] = moments_ms.unwrap_or([NEVER; 2]);
        next_ms.min(kill_ms).min(accept_ms)
    }
}

impl Answer {
    /// It lies in memory of its own from now on, with room for so much.
    ///
    /// # Errors
    /// Out of memory.
    pub fn own(&mut self, shared: &[u8], room: usize) -> Result<(), Errno> {
        framing::own(&mut self.memory, &mut None, shared, self.end, room)
    }
}

/// Where workers are.
pub type Places = [MaybeUninit<Worker>; PROCESS_COUNT_MAX];
#[allow(clippy::large_const_arrays, reason = "the initial value of one static")]
pub const NO_WORKERS: Places = [const { MaybeUninit::uninit() }; PROCESS_COUNT_MAX];

/// Appends the variables of a worker that asks on that port.
fn put_variables(port: u16, into: &mut Variables<'_>) {
    let mut place = [0; 20];
    let mut digits = Writer::new(&mut place);
    digits.put_decimal(port.into());
    into.put(b"SCF_RUNTIME_API", b"127.0.0.1");
    into.put(b"SCF_RUNTIME_API_PORT", digits.written());
    into.put_part(b"AWS_LAMBDA_RUNTIME_API=127.0.0.1:");
    into.put_part(digits.written());
    into.end();
    let mut folder = [0; PATH_BYTES_MAX];
    let folder = process::folder(&mut folder);
    let mut lines = &DEFAULTS[..];
    while let Some(mut line) = bytes::take_part(&mut lines, b'\n') {
        let name = bytes::take_part(&mut line, b' ').unwrap_or_default();
        if env::var(name).is_some() {
            continue;
        }
        while let Some(source) = bytes::take_part(&mut line, b' ') {
            let value = match source {
                b"." => folder,
                [b'=', text @ ..] => text,
                _ => env::var(source).unwrap_or_default(),
            };
            if !value.is_empty() {
                into.put(name, value);
                break;
            }
        }
    }
}
