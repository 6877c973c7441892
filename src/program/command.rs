//! `bootstrap command`: one process for each event. It reads the event from its standard input, its standard
//! output is the answer, its standard error the log; exit status 0 is success.
//!
//! ```text
//!  call ──▶ waits ──▶ process ──▶ has ended ──▶ answer
//!             │          │ deadline: SIGTERM, then SIGKILL
//!             └──────────┴──────────────────▶ abandoned
//! ```
//!
//! Nothing waits for a program: the event is a file that is there before it starts, and what it writes is
//! read when the supervisor says so. A call that finds too many processes waits for the end of one.

use super::environment::Environment;
use super::failure::{self, Fault};
use super::kinds::Kinds;
use super::launch::Launch;
use super::orphans::Orphans;
use super::process::{Label, Process};
use super::supervisor::{Ready, Supervisor};
use super::variables::{self, CALL_BYTES_MAX, VARIABLE_BYTES_MAX, Variables};
use super::{Settings, cgi, input};
use crate::bytes;
use crate::handler::{Context, Error, Request};
use crate::limits::{
    CONN_COUNT_MAX, MARGIN_MS_MAX, MARGIN_MS_MIN, PROCESS_COUNT_MAX, REQUEST_ID_BYTES_MAX,
};
use crate::sys::child::{Pid, Signal};
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::{Errno, Fd};
use crate::sys::memory::{List, Mapping, Reserved};
use crate::sys::signal;
use crate::sys::wait::{self, Status};
use core::mem::MaybeUninit;

/// A program that is started for every event.
#[derive(Debug)]
pub struct Command {
    launch: Launch,
    settings: Settings,
    environment: Environment,
    kinds: Kinds,
    /// There from the first call on.
    supervisor: Option<Supervisor>,
    orphans: Option<Orphans>,
    /// The calls that were begun and are not answered.
    jobs: List<Option<Job>>,
    running_count: usize,
}

/// A call, at first without a process.
#[derive(Debug)]
struct Job {
    /// The number of the call; zero once nobody waits for its answer.
    call: u64,
    process: Option<Process>,
    fault: Option<Fault>,
    /// Whether the answer was taken.
    is_answered: bool,
    /// When its process is sent the next signal: on the monotonic clock, or `NEVER`.
    signal_ms: u64,
    /// How long the process has between the two signals.
    margin_ms: u64,
    /// The event, until the process has it.
    event: Option<Fd>,
    /// The request id, and behind it, until the process has them, the variables.
    memory: Mapping,
    id_len: usize,
    variables_len: usize,
}

type Jobs = [MaybeUninit<Option<Job>>; JOB_COUNT_MAX];

/// As many as there can be connections, and those that nobody waits for.
const JOB_COUNT_MAX: usize = CONN_COUNT_MAX + PROCESS_COUNT_MAX;

static JOBS: Reserved<Jobs> = Reserved::new([const { MaybeUninit::uninit() }; JOB_COUNT_MAX]);

impl Command {
    /// Nothing is started yet.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(launch: Launch, settings: Settings, kinds: Kinds) -> Result<Self, Errno> {
        let place = JOBS.take().map(|place| &mut place[..]);
        Ok(Self {
            launch,
            settings,
            environment: Environment::new(settings.platform)?,
            kinds,
            supervisor: None,
            orphans: None,
            jobs: List::new(place.unwrap_or_default()),
            running_count: 0,
        })
    }

    /// Begins a call: its process is started, or it waits for the end of another.
    ///
    /// # Errors
    /// The process cannot be started, and there is no other whose end could be waited for.
    pub fn begin(
        &mut self,
        event: &[u8],
        request: Option<&Request<'_>>,
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        self.sweep();
        if self.supervisor.is_none() {
            self.supervisor = Some(Supervisor::new().map_err(failure::start)?);
            self.orphans = Some(Orphans::new());
        }
        let job = Job::new(event, request, cx)?;
        let Some(index) = self.insert(job) else {
            return Err(failure::start(Errno::AGAIN));
        };
        self.start_waiting();
        let job = self.jobs.get_mut(index).and_then(Option::as_mut);
        match job.and_then(|job| job.fault.filter(|_| job.process.is_none())) {
            Some(Fault::Start(errno)) => {
                if let Some(place) = self.jobs.get_mut(index) {
                    *place = None;
                }
                Err(failure::start(errno))
            }
            _ => Ok(()),
        }
    }

    /// What an answer to an HTTP request is.
    pub fn content_type(&self) -> &'static [u8] {
        self.settings.content_type
    }

    /// The number of the descriptor that tells that something is to be done.
    pub fn waker(&self) -> Option<i32> {
        self.supervisor.as_ref().map(Supervisor::number)
    }

    /// A call whose answer is there.
    pub fn woken(&mut self) -> Option<u64> {
        self.sweep();
        let found = self.finished();
        if found.is_some() {
            return found;
        }
        let ready = self.supervisor.as_mut()?.ready();
        for ready in ready.into_iter().flatten() {
            self.serve(ready);
        }
        self.start_waiting();
        self.finished()
    }

    /// The answer to a call whose process has ended.
    ///
    /// # Errors
    /// The program failed.
    pub fn answer(&mut self, call: u64) -> Result<&[u8], Error> {
        let job = self.jobs.iter_mut().flatten().find(|job| job.call == call);
        let Some(job) = job else {
            return Err(failure::start(Errno::SRCH));
        };
        job.is_answered = true;
        let (status, tail) = match &job.process {
            Some(process) => (process.status, process.tail()),
            None => (None, &b""[..]),
        };
        match (&job.process, status) {
            (Some(process), Some(Status::Exited(0))) if job.fault.is_none() => Ok(process.output()),
            _ => Err(failure::error(&mut self.kinds, job.fault, status, tail)),
        }
    }

    /// Nobody waits for the answer any more: the process is told to end, and made to if it was told before,
    /// or if fnboot itself ends.
    pub fn abandon(&mut self, call: u64) {
        let mut places = self.jobs.iter_mut();
        let Some(place) = places.find(|place| is_of(place, call)) else {
            return;
        };
        if let Some(job) = place
            && job.process.is_some()
        {
            job.call = 0;
            job.stop();
            self.set_alarm();
        } else {
            *place = None;
        }
    }

    /// Forgets the calls that are answered, and those of which nobody waits for the answer, once their
    /// processes have ended.
    fn sweep(&mut self) {
        for place in self.jobs.iter_mut() {
            if let Some(job) = place
                && (job.is_answered || (job.call == 0 && job.has_ended()))
            {
                *place = None;
            }
        }
    }

    fn insert(&mut self, job: Job) -> Option<usize> {
        let free = self.jobs.iter().position(Option::is_none);
        let index = free.unwrap_or(self.jobs.len());
        match self.jobs.get_mut(index) {
            Some(place) => *place = Some(job),
            None => {
                self.jobs.push(Some(job))?;
            }
        }
        Some(index)
    }

    fn job(&mut self, index: usize) -> Option<&mut Job> {
        self.jobs.get_mut(index)?.as_mut()
    }

    /// A call that can be answered.
    fn finished(&self) -> Option<u64> {
        let mut jobs = self.jobs.iter().flatten();
        let job = jobs.find(|job| job.call > 0 && !job.is_answered && job.has_ended());
        job.map(|job| job.call)
    }

    /// Starts the processes of calls that wait, the oldest first.
    fn start_waiting(&mut self) {
        while self.running_count < PROCESS_COUNT_MAX {
            let jobs = self.jobs.iter().enumerate();
            let waiting = jobs.filter_map(|(index, job)| {
                let job = job.as_ref().filter(|job| job.event.is_some())?;
                Some((job.call, index))
            });
            let Some((_, index)) = waiting.min() else {
                return;
            };
            if !self.start(index) {
                return;
            }
        }
    }

    /// Starts the process of a call. Returns false if there can be none before another has ended.
    fn start(&mut self, index: usize) -> bool {
        let (Some(supervisor), Some(Some(job))) = (&mut self.supervisor, self.jobs.get_mut(index))
        else {
            return false;
        };
        let Some(event) = job.event.take() else {
            return false;
        };
        let started = self
            .environment
            .of_call(job.variables())
            .and_then(|strings| {
                Process::start(&self.launch, strings, &event, &[], supervisor, index)
            });
        match started {
            Ok(process) => {
                job.process = Some(process);
                self.running_count += 1;
                supervisor.alarm(job.signal_ms);
            }
            Err(errno) if self.running_count > 0 && errno.is_passing() => {
                job.event = Some(event);
                return false;
            }
            Err(errno) => job.fault = Some(Fault::Start(errno)),
        }
        true
    }

    /// Does what the kernel says can be done.
    fn serve(&mut self, ready: Ready) {
        let settings = self.settings;
        match ready {
            Ready::Output(index) => {
                if let Some(job) = self.job(index) {
                    job.read_output(settings.body_bytes_max);
                }
            }
            Ready::Log(index) => {
                if let Some(job) = self.job(index) {
                    job.read_log(settings.prefixes_log);
                }
            }
            Ready::Control(_) => {}
            Ready::Ends => self.reap(),
            Ready::Moment => self.signal_due(),
        }
    }

    /// Takes away what has ended. A group is killed before its leader is reaped, because then its number may
    /// soon be another's.
    fn reap(&mut self) {
        // Whatever ends meanwhile is told of again.
        for _ in 0..JOB_COUNT_MAX {
            let end = match wait::ended(None) {
                Ok(Some(end)) => end,
                // What still lives has left its group, if no program runs.
                Ok(None) if self.running_count == 0 => return self.kill_orphans(),
                Ok(None) | Err(_) => return,
            };
            let is_it = |job: &&mut Job| job.is_running(end.process);
            if let Some(job) = self.jobs.iter_mut().flatten().find(is_it) {
                job.end(end.status, &self.settings);
                self.running_count -= 1;
            }
            // There is no way for it to fail.
            let _ = wait::reap(end.process);
        }
    }

    fn kill_orphans(&self) {
        if let Some(orphans) = &self.orphans {
            orphans.kill(|_| false);
        }
    }

    /// Sends the signals whose moment has come.
    fn signal_due(&mut self) {
        let now_ms = clock::monotonic_ms();
        for job in self.jobs.iter_mut().flatten() {
            if job.signal_ms <= now_ms {
                job.stop();
            }
        }
        self.set_alarm();
    }

    /// Sets the alarm to the next moment of all.
    fn set_alarm(&mut self) {
        let jobs = self.jobs.iter().flatten();
        let running = jobs.filter(|job| job.process.is_some());
        let moment_ms = running.map(|job| job.signal_ms).min();
        if let (Some(supervisor), Some(moment_ms)) = (&mut self.supervisor, moment_ms) {
            supervisor.alarm(moment_ms);
        }
    }
}

fn is_of(place: &Option<Job>, call: u64) -> bool {
    place.as_ref().is_some_and(|job| job.call == call)
}

impl Job {
    /// A call that is put off, without a process.
    fn new(event: &[u8], request: Option<&Request<'_>>, cx: &Context<'_>) -> Result<Self, Error> {
        let mut memory =
            Mapping::new(REQUEST_ID_BYTES_MAX + VARIABLES_BYTES_MAX).map_err(failure::start)?;
        let id_len = cx.id().len();
        bytes::copy(&mut memory, cx.id());
        let place = bytes::slice_mut(&mut memory, id_len..id_len + VARIABLES_BYTES_MAX);
        let mut variables = Variables::new(place, 0);
        variables::put_call(cx, &mut variables);
        match request {
            Some(request) => cgi::put_request(request, cx, &mut variables),
            None => variables::put_event(event, &mut variables),
        }
        if variables.is_cut() {
            return Err(failure::start(Errno::TOOBIG));
        }
        let variables_len = variables.finish().len();
        let (signal_ms, margin_ms) = moments(cx);
        Ok(Self {
            call: cx.defer(),
            process: None,
            fault: None,
            is_answered: false,
            signal_ms,
            margin_ms,
            event: Some(input::file(event).map_err(failure::start)?),
            memory,
            id_len,
            variables_len,
        })
    }

    fn variables(&self) -> &[u8] {
        bytes::slice(&self.memory, self.id_len..self.id_len + self.variables_len)
    }

    /// Whether there is nothing more to come of it.
    fn has_ended(&self) -> bool {
        match &self.process {
            Some(process) => process.status.is_some(),
            None => self.fault.is_some(),
        }
    }

    fn is_running(&self, pid: Pid) -> bool {
        let process = self.process.as_ref();
        process.is_some_and(|process| process.pid == pid && process.status.is_none())
    }

    fn read_output(&mut self, bytes_max: usize) {
        if let Some(process) = &mut self.process
            && !process.read_output(bytes_max)
        {
            process.signal(Signal::Kill);
            self.fault.get_or_insert(Fault::TooLong);
        }
    }

    fn read_log(&mut self, is_prefixed: bool) {
        let request_id = bytes::slice(&self.memory, 0..self.id_len);
        if let Some(process) = &mut self.process {
            process.read_log(Label {
                is_prefixed,
                request_id,
            });
        }
    }

    /// The process has ended. What it has written is read, what is left of its group is killed.
    fn end(&mut self, status: Status, settings: &Settings) {
        let request_id = bytes::slice(&self.memory, 0..self.id_len);
        let Some(process) = &mut self.process else {
            return;
        };
        process.signal(Signal::Kill);
        process.status = Some(status);
        self.signal_ms = NEVER;
        if !process.drain_output(settings.body_bytes_max) {
            self.fault.get_or_insert(Fault::TooLong);
        }
        let is_prefixed = settings.prefixes_log;
        process.drain_log(Label {
            is_prefixed,
            request_id,
        });
    }

    /// Tells the process to end; if it was told before, or if fnboot itself ends, makes it.
    fn stop(&mut self) {
        let Some(process) = &self.process else {
            return;
        };
        if self.fault == Some(Fault::TimedOut) || signal::terminating() {
            process.signal(Signal::Kill);
            self.signal_ms = NEVER;
        } else {
            process.signal(Signal::Terminate);
            self.signal_ms = clock::monotonic_ms() + self.margin_ms / 2;
        }
        self.fault.get_or_insert(Fault::TimedOut);
    }
}

/// Room for the variables of a call.
const VARIABLES_BYTES_MAX: usize = CALL_BYTES_MAX + VARIABLE_BYTES_MAX;

/// When a process is told to end, and how long it then has: a tenth of the time before the deadline, within
/// bounds, and the half of that.
fn moments(cx: &Context<'_>) -> (u64, u64) {
    let Some(left) = cx.remaining() else {
        return (NEVER, MARGIN_MS_MAX);
    };
    let left_ms = u64::try_from(left.as_millis()).unwrap_or(NEVER);
    let margin_ms = (left_ms / 10).clamp(MARGIN_MS_MIN, MARGIN_MS_MAX);
    let end_ms = clock::monotonic_ms().saturating_add(left_ms.saturating_sub(margin_ms));
    (end_ms, margin_ms)
}
