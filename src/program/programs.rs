//! Programs that serve calls: `bootstrap command` starts one for each event, `bootstrap function` has
//! interpreters that stay.
//!
//! Nothing waits for a program. What it writes is read, and its end is seen, when the supervisor says so; a call
//! that finds no free worker waits for one. The event of a command is a file that is there before it starts:
//! its standard input. An interpreter has that file, too, and is told over a socket when there is a new event.
//!
//! A program is told to end a moment before its call's deadline, or when nobody waits for the answer any more,
//! and killed a moment later. Its group is killed before it is reaped; what has left the group is killed once
//! no call runs.

use core::mem::MaybeUninit;

use super::calls::{self, Call, Calls, NO_WORKER, State, Task};
use super::environment::Environment;
use super::failure::{self, Fault};
use super::kinds::{self, Kinds};
use super::launch::Launch;
use super::orphans::Orphans;
use super::process::Mark;
use super::settings::{Reply, Settings, Stay};
use super::supervisor::{Ready, Supervisor};
use super::worker::{Channel, Stage, Worker};
use super::workers::{self, Workers};
use crate::handler::{Context, Error, Platform, Request};
use crate::limits::{DEATH_COUNT_MAX, PROCESS_COUNT_MAX};
use crate::log;
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::Errno;
use crate::sys::memory::Reserved;
use crate::sys::wait::{self, Status};
use crate::sys::{process, signal};

/// A program, and what it is asked for.
#[derive(Debug)]
pub struct Programs {
    settings: Settings,
    kinds: Kinds,
    orphans: Orphans,
    calls: Calls,
    workers: Workers,
    /// Interpreters that have ended in a row without a call that they had served.
    death_count: usize,
    /// Whether interpreters that are started now have to be initialized.
    is_initialized: bool,
    /// Whether there may be what calls have left behind.
    is_littered: bool,
}

/// What there is once in a process: it costs memory where it is used. What every call uses lies at the front, side
/// by side.
#[repr(C)]
struct Memory {
    programs: MaybeUninit<Programs>,
    workers: workers::Table,
    kinds: kinds::Place,
    calls: calls::Table,
}

static MEMORY: Reserved<Memory> = Reserved::new(Memory {
    programs: MaybeUninit::uninit(),
    workers: workers::EMPTY_TABLE,
    kinds: kinds::Place::EMPTY,
    calls: calls::EMPTY_TABLE,
});

impl Programs {
    /// Nothing is started yet.
    ///
    /// # Errors
    /// Out of descriptors or memory.
    pub fn new(
        launch: &'static mut Launch,
        settings: Settings,
        platform: Platform,
    ) -> Result<&'static mut Self, Errno> {
        let memory = MEMORY.take().ok_or(Errno::AGAIN)?;
        let environment = Environment::new(platform, settings.stay, b"")?;
        let supervisor = Supervisor::new()?;
        let programs = memory.programs.write(Self {
            settings,
            kinds: Kinds::new(&mut memory.kinds),
            orphans: Orphans::NONE,
            calls: Calls::new(&mut memory.calls),
            workers: Workers::new(&mut memory.workers, launch, environment, supervisor),
            death_count: 0,
            is_initialized: false,
            is_littered: false,
        });
        programs.workers.environment.take_own()?;
        programs.orphans.spare();
        Ok(programs)
    }

    /// Begins the call of that number: a worker gets it, or it waits for one. Nothing is there of its answer.
    ///
    /// # Errors
    /// None can be started, and there is no other that could be waited for.
    pub fn begin(
        &mut self,
        number: u64,
        task: Task,
        event: &[u8],
        request: Option<&Request<'_>>,
        cx: &Context<'_>,
    ) -> Result<&[u8], Error> {
        self.sweep();
        let call = Call::new(number, task, &self.settings, event, request, cx);
        match call.and_then(|call| self.calls.add(call)) {
            Ok(call) => self.workers.supervisor.alarm(call.signal_ms),
            Err(errno) => return Err(failure::start(errno)),
        }
        self.serve_waiting();
        let call = self.calls.numbered(number);
        if call.is_some_and(|call| call.state == State::Failed) {
            return self.answer(number, &mut &b""[..]);
        }
        Ok(b"")
    }

    /// Has an interpreter do what a hook is for. Where no request asks for it, it is waited for: there can be no
    /// event meanwhile.
    ///
    /// # Errors
    /// It failed, or took longer than `timeout_ms`.
    pub fn hook(&mut self, task: Task, timeout_ms: u64, cx: &Context<'_>) -> Result<&[u8], Error> {
        if !self.stays() {
            return Ok(b"");
        }
        if cx.may_defer() {
            return self.begin(cx.defer(), task, b"", None, cx);
        }
        let end_ms = clock::monotonic_ms().saturating_add(timeout_ms);
        self.begin(HOOK, task, b"", None, cx)?;
        while !self.calls.numbered(HOOK).is_some_and(|call| call.is_due()) {
            let left_ms = end_ms.saturating_sub(clock::monotonic_ms());
            // `SIGTERM` ends what comes before the first event, and begins what comes after the last.
            let is_over = task == Task::Initialize && signal::terminating();
            if left_ms == 0 || is_over {
                self.abandon(HOOK);
                return Err(failure::known(Fault::TimedOut));
            }
            self.workers.supervisor.wait(left_ms);
            self.look();
        }
        self.answer(HOOK, &mut &b""[..])
    }

    /// What an answer to an HTTP request is, where its program does not say so.
    pub fn content_type(&self) -> &'static [u8] {
        self.settings.content_type
    }

    /// Whether what its processes write is a reply of CGI. The build without CGI has no code for that.
    pub fn is_cgi(&self) -> bool {
        cfg!(feature = "cgi") && self.settings.reply == Reply::Cgi
    }

    /// Whether its processes serve many calls. The build without functions has no code for that.
    pub fn stays(&self) -> bool {
        cfg!(feature = "function") && self.settings.stay == Stay::Resident
    }

    /// The number of the descriptor that tells that something is to be done.
    pub fn waker(&self) -> i32 {
        self.workers.supervisor.number()
    }

    /// A call whose answer is there.
    pub fn woken(&mut self) -> Option<u64> {
        self.sweep();
        if !self.calls.iter().any(Call::is_due) {
            self.look();
        }
        let due = self.calls.iter().find(|call| call.is_due());
        if due.is_none() && self.death_count >= DEATH_COUNT_MAX {
            log::complain(b"FATAL", |line| {
                line.put(b"the function's interpreter has ended again and again");
            });
            process::exit(1);
        }
        due.map(|call| call.number)
    }

    /// What a call came to: its answer; or why it failed, and in `report` the same as JSON, if the program has
    /// written that.
    ///
    /// # Errors
    /// The program failed.
    #[inline(never)]
    pub fn answer<'a>(&'a mut self, number: u64, report: &mut &'a [u8]) -> Result<&'a [u8], Error> {
        let Some(call) = self.calls.numbered(number) else {
            return Err(failure::start(Errno::SRCH));
        };
        call.number = 0;
        let (mut status, mut tail) = (None, &b""[..]);
        if let Some(worker) = self.workers.get(call.worker) {
            let process = &worker.process;
            (status, tail) = (process.status, process.tail());
            let mut is_success = status == Some(Status::Exited(0));
            if let Some(channel) = &worker.channel {
                let reply = channel.status();
                // However an interpreter ends that has not said how it went: it has not served the call.
                is_success = reply == Some(0);
                let message = worker.message();
                if call.fault.is_none() && !message.is_empty() {
                    let (kind, text) = kinds::parts(message);
                    *report = process.output();
                    return Err(Error::of(self.kinds.keep(kind), &[text]));
                }
                status = reply.map(Status::Exited).or(status);
            }
            if is_success && call.fault.is_none() {
                return Ok(process.output());
            }
        }
        Err(failure::error(
            &mut self.kinds,
            self.workers.launch,
            call.fault,
            status,
            tail,
        ))
    }

    /// Nobody waits for the answer any more: the program is told to end, or, if it was told before, killed.
    pub fn abandon(&mut self, number: u64) {
        if let Some(call) = self.calls.numbered(number) {
            (call.number, call.signal_ms) = (0, 0);
            self.signal_due();
            // What it has written so far is out before the end of the call.
            self.look();
            // What was ready is not told of again: this has the loop ask for what it has led to.
            if self.calls.iter().any(Call::is_due) {
                self.workers.supervisor.alarm(clock::monotonic_ms());
            }
        }
    }

    /// Starts an interpreter before there is a call for it.
    ///
    /// # Errors
    /// As of `execve(2)`.
    pub fn prepare(&mut self) -> Result<(), Errno> {
        self.workers.start(None).map(drop)
    }

    /// Forgets the calls that are over, and has their workers do something else, or be forgotten, too.
    fn sweep(&mut self) {
        for call in self.calls.iter() {
            if call.is_over()
                && let Some(worker) = self.workers.at(call.worker)
            {
                if worker.process.status.is_none() {
                    worker.release(self.settings.event_count_max, call.task);
                    let until_ms = worker.until_ms;
                    self.workers.supervisor.alarm(until_ms);
                } else {
                    self.workers.forget(call.worker);
                }
            }
        }
        self.calls.forget();
    }

    /// Does what the kernel says can be done.
    fn look(&mut self) {
        let events = self.workers.supervisor.ready();
        for event in &events {
            match Ready::told(event) {
                Some(Ready::Output(index)) => self.read_output(index),
                Some(Ready::Log(index)) => self.read_log(index),
                Some(Ready::Control(index)) => self.hear(index),
                Some(Ready::Ends) => self.reap(),
                Some(Ready::Moment) => self.signal_due(),
                Some(Ready::Upstream(_) | Ready::Listener(_)) | None => {}
            }
        }
        self.serve_waiting();
    }

    /// Reads what a program has written to its log.
    fn read_log(&mut self, index: usize) {
        if let Some(worker) = self.workers.at(index) {
            let call = self.calls.of_worker(index);
            worker
                .process
                .read_log(mark(call.as_deref(), self.settings));
        }
    }

    /// Reads what a program has written of its answer.
    fn read_output(&mut self, index: usize) {
        if let Some(worker) = self.workers.at(index)
            && !worker.process.read_output(self.settings.body_bytes_max)
        {
            worker.kill();
            if let Some(call) = self.calls.of_worker(index) {
                call.fault.get_or_insert(Fault::TooLong);
            }
        }
    }

    /// Reads what an interpreter says.
    fn hear(&mut self, index: usize) {
        let Some(worker) = self.workers.at(index) else {
            return;
        };
        let reply = worker.reply();
        let Some(channel) = &mut worker.channel else {
            return;
        };
        let Some(status) = reply else {
            let until_ms = worker.until_ms;
            self.workers.supervisor.alarm(until_ms);
            return;
        };
        let (stage, has_group) = (channel.stage, channel.has_group());
        if stage == Stage::Loading && status == 0 && self.is_initialized {
            channel.stage = Stage::Initializing;
            let call = self.calls.next_waiting();
            let variables = call.as_deref().map_or(&b""[..], Call::variables);
            if channel
                .ask(Task::Initialize.line(), b"", variables)
                .is_err()
            {
                worker.kill();
            }
        } else if stage != Stage::Busy && status == 0 {
            channel.rest();
            worker.until_ms = NEVER;
            // What it has started for itself stays, if it can be told from what calls have left behind, or are about
            // to: while one runs, it cannot.
            if !self.is_littered && !self.runs() {
                self.orphans.spare();
            }
        } else {
            self.end(index);
        }
        if stage == Stage::Busy {
            self.death_count = 0;
            let task = self.calls.of_worker(index).map(|call| call.task);
            self.is_initialized |= task == Some(Task::Initialize) && status == 0;
            if has_group && self.kill_orphans() {
                // What is left behind may still write where the next answer would be, also if it was killed: it ends
                // when the kernel comes to it.
                if let Some(worker) = self.workers.at(index) {
                    worker.retire();
                }
            }
        } else if status != 0
            && let Some(worker) = self.workers.at(index)
        {
            worker.kill();
        }
    }

    /// The worker at `index` has done what it does for its call. If it could not even begin with one, it is the
    /// one that waits longest.
    fn end(&mut self, index: usize) {
        let Some(worker) = self.workers.at(index) else {
            return;
        };
        let mut call = self.calls.of_worker(index);
        worker
            .process
            .drain_log(mark(call.as_deref(), self.settings));
        let is_whole = worker.process.read_output(self.settings.body_bytes_max);
        if call.is_none() && worker.is_starting() {
            call = self.calls.next_waiting();
        }
        if let Some(call) = call {
            (call.state, call.worker) = (State::Ended, index);
            let fault = if is_whole {
                worker.fault
            } else {
                Some(Fault::TooLong)
            };
            call.fault = call.fault.or(fault);
        }
    }

    /// Takes away what has ended. A group is killed before its leader is reaped, because then its number may
    /// soon be another's.
    fn reap(&mut self) {
        self.workers.supervisor.forget_ends();
        for _ in 0..REAP_COUNT_MAX {
            let end = match wait::ended(None) {
                Ok(Some(end)) => end,
                // What still lives has left its group, if nothing has to live.
                Ok(None) => {
                    self.kill_orphans();
                    return;
                }
                Err(_) => return,
            };
            let is_it = |worker: &Worker| {
                worker.process.pid == end.process && worker.process.status.is_none()
            };
            let found = self.workers.iter().find(|(_, worker)| is_it(worker));
            if let Some((index, _)) = found {
                self.bury(index, end.status);
            }
            // There is no way for it to fail.
            let _ = wait::reap(end.process);
        }
    }

    /// The process of a worker has ended.
    fn bury(&mut self, index: usize, status: Status) {
        // What it has said before it ended counts, even if the end was heard of first.
        self.hear(index);
        let Some(worker) = self.workers.at(index) else {
            return;
        };
        worker.kill();
        worker.process.status = Some(status);
        let channel = worker.channel.as_ref();
        let has_failed = channel.is_some_and(Channel::is_failing);
        let is_unread = channel.is_some_and(|channel| channel.is_unread);
        if let Some(call) = self.calls.of_worker(index)
            && is_unread
            && call.fault.is_none()
            && call.state == State::Runs
        {
            // It has not begun with the call, so another one may.
            (call.state, call.worker) = (State::Waits, NO_WORKER);
        }
        let call = self.calls.of_worker(index);
        if has_failed && call.is_none_or(|call| call.fault.is_none()) {
            self.death_count += 1;
        }
        self.end(index);
        if self.calls.of_worker(index).is_none() {
            self.workers.forget(index);
        }
    }

    /// Whether a program runs for a call.
    fn runs(&self) -> bool {
        let mut calls = self.calls.iter();
        calls.any(|call| call.state == State::Runs)
    }

    /// Kills what programs have left behind, if none runs for a call: which is left behind, and which is another
    /// program's helper, could not be told. Returns whether there was something.
    fn kill_orphans(&mut self) -> bool {
        let runs = self.runs();
        let is_worker = |pid| {
            let mut workers = self.workers.iter();
            workers.any(|(_, worker)| worker.process.pid == pid)
        };
        let has_found = self.orphans.find(!runs, is_worker);
        self.is_littered = has_found && runs;
        has_found
    }

    /// Sends the signals whose moment has come.
    fn signal_due(&mut self) {
        let now_ms = clock::monotonic_ms();
        let mut next_ms = NEVER;
        for call in self.calls.iter_mut() {
            let is_due = call.signal_ms <= now_ms;
            if call.state != State::Runs {
                if is_due && call.state == State::Waits {
                    call.fail(Fault::TimedOut);
                } else if call.state == State::Waits {
                    next_ms = next_ms.min(call.signal_ms);
                }
                continue;
            }
            if is_due && let Some(worker) = self.workers.at(call.worker) {
                if call.fault == Some(Fault::TimedOut) || signal::terminating() {
                    worker.kill();
                    call.signal_ms = NEVER;
                } else {
                    worker.terminate();
                    call.signal_ms = now_ms + call.margin_ms / 2;
                }
                call.fault.get_or_insert(Fault::TimedOut);
            }
            next_ms = next_ms.min(call.signal_ms);
        }
        for worker in self.workers.iter_mut() {
            worker.end_due(now_ms);
            next_ms = next_ms.min(worker.until_ms);
        }
        self.workers.supervisor.set(next_ms);
    }

    /// Gives calls that wait, the oldest first, to workers that are free or can be started.
    fn serve_waiting(&mut self) {
        for _ in 0..PROCESS_COUNT_MAX {
            let waiting_count = self.calls.waiting_count();
            let Some(call) = self.calls.next_waiting() else {
                return;
            };
            let (mut idle, mut count, mut starting_count) = (None, 0, 0);
            for (index, worker) in self.workers.iter() {
                if worker.is_idle() {
                    idle = idle.or(Some(index));
                }
                count += usize::from(worker.counts());
                starting_count += usize::from(worker.is_starting());
            }
            if let Some(index) = idle {
                match give(call, &mut self.workers, index) {
                    // One that was idle has gone, so another one is asked.
                    Ok(()) | Err(Errno::PIPE) => {}
                    Err(errno) => call.fail(Fault::Start(errno)),
                }
                continue;
            }
            if starting_count >= waiting_count || count >= self.settings.worker_count_max {
                return;
            }
            match self.workers.start(Some(call)) {
                Ok(index) if self.settings.stay == Stay::OneEvent => {
                    (call.state, call.worker) = (State::Runs, index);
                }
                Ok(_) => {}
                // There is one that will have ended, or whose answer will be taken.
                Err(errno) if self.workers.iter().next().is_some() && errno.is_passing() => return,
                Err(errno) => call.fail(Fault::Start(errno)),
            }
        }
    }
}

/// Gives a call to the idle worker at `index`.
fn give(call: &mut Call, workers: &mut Workers, index: usize) -> Result<(), Errno> {
    let worker = workers.at(index).ok_or(Errno::PIPE)?;
    // What came since the last answer is none of this one's.
    worker.process.discard_output();
    worker.ask(call)?;
    (call.state, call.worker) = (State::Runs, index);
    Ok(())
}

/// The number of a call that no request asks for.
const HOOK: u64 = u64::MAX;

/// Processes that are taken away at once.
const REAP_COUNT_MAX: usize = 1024;

/// What the log of a program is marked with while it has that call.
fn mark(call: Option<&Call>, settings: Settings) -> Mark<'_> {
    let id = call.map_or(&b""[..], Call::id);
    settings.prefixes_log.then_some(id)
}
