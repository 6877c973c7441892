//! A server as the function: `bootstrap web` starts it once, and passes requests on to it.
//!
//! ```text
//!   client ── request ──▶ Web::begin ──▶ Upstream ──▶ the server, on 127.0.0.1
//!   client ◀─ answer ──── Web::answer ◀── its head ◀──────┘
//!          ◀─ pieces ──── Web::piece  ◀── its body ◀──────┘
//! ```
//!
//! [`request`] writes the head that a request is passed on with, [`upstream`] is a connection, [`framing`] finds the
//! end of a body, [`fault`] says what went wrong. Here is the process, its calls, and what the supervisor tells of both.
//!
//! Nothing waits for the server but the start: there can be no call before it accepts connections. One that has ended
//! is started again, and calls wait for that.

mod fault;
mod framing;
mod request;
mod settings;
mod upstream;

use core::mem::MaybeUninit;

use super::environment::Environment;
use super::failure;
use super::input;
use super::kinds::{self, Kinds};
use super::launch::Launch;
use super::orphans::Orphans;
use super::process::{Mark, Process};
use super::settings::Stay;
use super::supervisor::{Batch, Ready, Supervisor};
use crate::bytes::{self, Writer};
use crate::handler::{Context, Error, Flow, Platform, Request, Response};
use crate::http::{forward, head};
use crate::limits::{
    DEATH_COUNT_MAX, GRACE_MS_MIN, HEAD_BYTES_MAX, IDLE_MS_MAX, LOAD_MS_MAX, MARGIN_MS_MAX,
    RESTART_MS, SCRATCH_BYTES, UPSTREAM_COUNT_MAX,
};
use crate::log;
use crate::platform::Call as Kind;
use crate::platform::fc;
use crate::sys::child::Signal;
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::{Errno, Io};
use crate::sys::memory::{List, Mapping, Reserved};
use crate::sys::socket::Socket;
use crate::sys::wait::{self, Status};
use crate::sys::{process, signal};
use core::time::Duration;
use fault::Fault;
use framing::Framing;
pub use settings::{Settings, is_list, is_path};
use upstream::{Call, Piece, State, Step, Upstream};

/// A server, and what it is asked.
#[derive(Debug)]
pub struct Web {
    settings: Settings,
    launch: &'static mut Launch,
    environment: Environment,
    supervisor: Supervisor,
    orphans: Orphans,
    kinds: Kinds,
    upstreams: List<Option<Upstream>>,
    /// What the supervisor has told and nobody has looked at.
    batch: Batch,
    process: Option<Process>,
    phase: Phase,
    /// Ends in a row without an answer in between.
    death_count: usize,
    /// Whether a call may have something to tell.
    has_due: bool,
    /// Whether it was said that the path of events is not known.
    has_said_path: bool,
    /// What the last answer was made of: its own memory, and the report of a failure.
    answered: Option<Mapping>,
    report: Option<Mapping>,
    head: &'static mut [u8; HEAD_ROOM_BYTES],
    shared: &'static mut [u8; SHARED_BYTES],
}

/// How far the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It was started, and does not accept connections yet.
    Starting {
        since_ms: u64,
        said_ms: u64,
    },
    Ready,
    /// It has ended, and is started again.
    Down {
        until_ms: u64,
    },
}

/// Room for the head of a request: as it came, and what is added.
const HEAD_ROOM_BYTES: usize = HEAD_BYTES_MAX + 2048;

/// Where answers are read to at first.
const SHARED_BYTES: usize = 2 * SCRATCH_BYTES;

/// What there is once in a process: it costs memory where it is used.
#[repr(C)]
struct Memory {
    web: MaybeUninit<Web>,
    upstreams: [MaybeUninit<Option<Upstream>>; UPSTREAM_COUNT_MAX],
    kinds: kinds::Place,
    head: [u8; HEAD_ROOM_BYTES],
    shared: [u8; SHARED_BYTES],
}

static MEMORY: Reserved<Memory> = Reserved::new(Memory {
    web: MaybeUninit::uninit(),
    upstreams: [const { MaybeUninit::uninit() }; UPSTREAM_COUNT_MAX],
    kinds: kinds::Place::EMPTY,
    head: [0; HEAD_ROOM_BYTES],
    shared: [0; SHARED_BYTES],
});

/// The number of the call that asks whether the server is ready.
const QUESTION: u64 = u64::MAX;

/// How long the end of the process is waited for when a connection has ended: one that dies closes its connections
/// first.
const BURIAL_MS: u64 = 20;

/// Between two tries whether the server is ready: so many parts of the time it has taken, within these.
const TRY_PARTS: u64 = 16;
const TRY_MS_MAX: u64 = 10;

/// How often it is said what is waited for.
const SAY_MS: u64 = 2000;

/// Processes that are taken away at once.
const REAP_COUNT_MAX: usize = 1024;

impl Web {
    /// Starts the server, and waits until it is ready.
    ///
    /// # Errors
    /// It cannot be started, ends, or is not ready in time.
    pub fn start(
        launch: &'static mut Launch,
        settings: Settings,
    ) -> Result<&'static mut Self, Error> {
        let web = Self::new(launch, settings).map_err(failure::start)?;
        let started = web.spawn().map_err(|errno| {
            let fault = failure::Fault::Start(errno);
            failure::error(&mut web.kinds, web.launch, Some(fault), None, b"")
        });
        started.and_then(|()| web.wait_until_ready())?;
        Ok(web)
    }

    /// Nothing is started yet.
    fn new(launch: &'static mut Launch, settings: Settings) -> Result<&'static mut Self, Errno> {
        let memory = MEMORY.take().ok_or(Errno::AGAIN)?;
        let environment = Environment::new(settings.platform, Stay::Server)?;
        let supervisor = Supervisor::new()?;
        let web = memory.web.write(Self {
            settings,
            launch,
            environment,
            supervisor,
            orphans: Orphans::NONE,
            kinds: Kinds::new(&mut memory.kinds),
            upstreams: List::new(&mut memory.upstreams),
            batch: Batch::EMPTY,
            process: None,
            phase: Phase::Ready,
            death_count: 0,
            has_due: false,
            has_said_path: false,
            answered: None,
            report: None,
            head: &mut memory.head,
            shared: &mut memory.shared,
        });
        web.environment.take_own()?;
        web.orphans.spare();
        Ok(web)
    }

    /// Starts the process.
    fn spawn(&mut self) -> Result<(), Errno> {
        let input = input::file(b"")?;
        let mut place = [0; 128];
        let mut ports = Writer::new(&mut place);
        for name in super::environment::PORTS {
            ports.put(name.as_bytes());
            ports.put(b"=");
            ports.put_decimal(self.settings.port.into());
            ports.put(b"\0");
        }
        let environment = self.environment.of_call(ports.written(), false);
        let process = Process::start_server(self.launch, environment, &input, &self.supervisor)?;
        self.process = Some(process);
        let now_ms = clock::monotonic_ms();
        self.phase = Phase::Starting {
            since_ms: now_ms,
            said_ms: now_ms,
        };
        self.supervisor.alarm(now_ms);
        Ok(())
    }

    /// Waits for the server at the start. There is nothing else to do.
    fn wait_until_ready(&mut self) -> Result<(), Error> {
        // As process 1, it would be ignored until then.
        let _ = signal::catch_terminate();
        while let Phase::Starting { since_ms, .. } = self.phase {
            let passed_ms = clock::monotonic_ms().saturating_sub(since_ms);
            if signal::terminating() {
                self.end();
                process::exit(0);
            }
            if passed_ms > LOAD_MS_MAX {
                self.end();
                return Err(Error::fixed("TimedOut", "the program does not listen"));
            }
            self.try_ready();
            if self.phase == Phase::Ready {
                break;
            }
            let pause_ms = (passed_ms / TRY_PARTS).clamp(1, TRY_MS_MAX);
            self.supervisor.wait(pause_ms);
            while let Some(ready) = self.batch.next(&self.supervisor) {
                self.handle(ready);
            }
            self.next_due();
        }
        if self.phase == Phase::Ready {
            return Ok(());
        }
        Err(self.death())
    }

    /// The failure of a call whose server has ended.
    fn death(&mut self) -> Error {
        let process = self.process.as_ref();
        let status = process.and_then(|process| process.status);
        let tail = process.map_or(&b""[..], Process::tail);
        failure::error(&mut self.kinds, self.launch, None, status, tail)
    }

    /// Looks whether the server accepts connections, and, if a path is set for that, asks it.
    fn try_ready(&mut self) {
        let Phase::Starting { since_ms, said_ms } = &mut self.phase else {
            return;
        };
        let now_ms = clock::monotonic_ms();
        if now_ms >= *said_ms + SAY_MS {
            *said_ms += SAY_MS;
            let (port, seconds) = (self.settings.port, (now_ms - *since_ms) / 1000);
            log::complain(b"INFO", |line| {
                line.put(b"waiting for the program on 127.0.0.1:");
                line.put_decimal(port.into());
                line.put(b" since ");
                line.put_decimal(seconds);
                line.put(b" s");
            });
        }
        if !accepts(self.settings.port) {
            return;
        }
        if self.settings.ready_path.is_empty() {
            self.set_ready();
        } else if self.position(QUESTION).is_none() {
            let Self { settings, head, .. } = self;
            let mut writer = Writer::new(&mut head[..]);
            request::put_question(settings, &mut writer);
            let head_len = writer.written().len();
            let call = Call::new(QUESTION, "POST", false, true, now_ms + SAY_MS);
            // It is tried again.
            let _ = self.send(call, head_len, b"");
        }
    }

    /// The server has answered whether it is ready.
    fn judge(&mut self, index: usize) {
        let call = self.call_at(index);
        let status = call.map_or(0, |call| if call.fault.is_some() { 0 } else { call.status });
        self.close(index);
        if settings::lists(self.settings.ready_statuses, status) {
            self.set_ready();
        }
    }

    /// The server is ready: what waits for it is sent.
    fn set_ready(&mut self) {
        self.phase = Phase::Ready;
        for index in 0..self.upstreams.len() {
            if self
                .call_at(index)
                .is_some_and(|call| call.state == State::Waits)
            {
                self.connect_again(index);
            }
        }
    }

    /// Passes a request on, or an event; its answer comes under that number.
    ///
    /// # Errors
    /// There is no connection to be had, or no memory.
    pub fn begin(
        &mut self,
        number: u64,
        request: Option<&Request<'_>>,
        event: &[u8],
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        let Self { settings, head, .. } = self;
        let is_fc = settings.platform == Platform::Fc;
        let is_event = request.is_none_or(|request| is_fc && fc::route(request) == Kind::Invoke);
        let method = request.map_or("POST", Request::method);
        let body = request.map_or(event, Request::body);
        let mut writer = Writer::new(&mut head[..]);
        match request {
            Some(request) => {
                request::put_request(settings, request, is_event, cx, body.len(), &mut writer);
            }
            None => request::put_event(settings, cx, body.len(), &mut writer),
        }
        if writer.is_cut() {
            return Err(Error::fixed("BadRequest", "the request's head is too long"));
        }
        let head_len = writer.written().len();
        let left_ms = cx.remaining_ms().map_or(settings.timeout_ms, |left_ms| {
            left_ms.saturating_sub(GRACE_MS_MIN)
        });
        let deadline_ms = clock::monotonic_ms().saturating_add(left_ms);
        let call = Call::new(number, method, is_event, request.is_none(), deadline_ms);
        self.supervisor.alarm(deadline_ms);
        let sent = self.send(call, head_len, body);
        sent.map_err(fault::error)
    }

    /// Sends a request, whose head lies where heads are written, or has it wait.
    fn send(&mut self, mut call: Call, head_len: usize, body: &[u8]) -> Result<(), Fault> {
        let is_question = call.number == QUESTION;
        let total = head_len + body.len();
        let index = loop {
            let (index, is_connected) = self.place().map_err(Fault::Start)?;
            let head = bytes::slice(&self.head[..], 0..head_len);
            if self.phase != Phase::Ready && !is_question {
                call.keep(head, body, 0).map_err(Fault::Start)?;
                break index;
            }
            if !is_connected {
                self.connect(index).map_err(Fault::Start)?;
            }
            let head = bytes::slice(&self.head[..], 0..head_len);
            let upstream = self.upstreams.get_mut(index).and_then(Option::as_mut);
            let Some(Upstream {
                socket: Some(socket),
                is_reused,
                ..
            }) = upstream
            else {
                return Err(Fault::Start(Errno::AGAIN));
            };
            let sent = match socket.send_parts(&[head, body, b""]) {
                Io::Done(count) => count,
                Io::Blocked => 0,
                // It was ended since it was last looked at: nothing of the request has arrived.
                Io::Closed(_) if *is_reused => {
                    self.close(index);
                    continue;
                }
                Io::Closed(errno) => {
                    self.close(index);
                    // It may have ended a moment ago.
                    self.reap();
                    if self.phase != Phase::Ready && !is_question {
                        continue;
                    }
                    return Err(Fault::Start(errno));
                }
            };
            if sent < total || *is_reused && call.is_idempotent {
                call.keep(head, body, sent).map_err(Fault::Start)?;
            } else {
                call.set_sent(total);
            }
            call.state = if sent < total {
                State::Sends
            } else {
                State::Head
            };
            break index;
        };
        if let Some(upstream) = self.at(index) {
            upstream.call = Some(call);
        }
        Ok(())
    }

    /// A place for a call: with a connection that is idle, or a free one.
    fn place(&mut self) -> Result<(usize, bool), Errno> {
        let now_ms = clock::monotonic_ms();
        // What was used last is the least likely to have ended.
        while let Some(index) = self.idle() {
            let is_fresh = self.at(index).is_some_and(|upstream| {
                now_ms <= upstream.idle_since_ms + IDLE_MS_MAX && upstream.is_usable()
            });
            if is_fresh {
                return Ok((index, true));
            }
            self.close(index);
        }
        let free = self.upstreams.iter().position(Option::is_none);
        let index = free.unwrap_or(self.upstreams.len());
        let place = match free {
            Some(index) => self.upstreams.get_mut(index),
            None => self.upstreams.push(None),
        };
        *place.ok_or(Errno::AGAIN)? = Some(Upstream::FREE);
        Ok((index, false))
    }

    /// The idle connection that was used last.
    fn idle(&self) -> Option<usize> {
        let upstreams = self.upstreams.iter().enumerate();
        let idle = upstreams.filter_map(|(index, place)| {
            let upstream = place.as_ref().filter(|upstream| upstream.call.is_none())?;
            Some((upstream.idle_since_ms, index))
        });
        idle.max().map(|(_, index)| index)
    }

    /// Opens a connection for the place at `index`.
    fn connect(&mut self, index: usize) -> Result<(), Errno> {
        let Self {
            supervisor,
            settings,
            upstreams,
            ..
        } = self;
        if let Some(upstream) = upstreams.get_mut(index).and_then(Option::as_mut) {
            let socket = Socket::connect(LOOPBACK, settings.port)?;
            supervisor.watch_edges(&socket, Ready::Upstream(index))?;
            (upstream.socket, upstream.is_reused) = (Some(socket), false);
        }
        Ok(())
    }

    /// Sends the request of a call on a new connection.
    fn connect_again(&mut self, index: usize) {
        if let Some(upstream) = self.at(index) {
            upstream.socket = None;
            if let Some(call) = &mut upstream.call {
                call.repeat();
            }
        }
        if let Err(errno) = self.connect(index) {
            self.fail(index, Fault::Start(errno), 0);
        }
        // The rest follows when the kernel tells that there is a connection.
    }

    fn at(&mut self, index: usize) -> Option<&mut Upstream> {
        self.upstreams.get_mut(index)?.as_mut()
    }

    fn call_at(&mut self, index: usize) -> Option<&mut Call> {
        self.at(index)?.call.as_mut()
    }

    /// Where the call of that number is.
    fn position(&self, number: u64) -> Option<usize> {
        let is_it = |call: &Call| call.number == number;
        let has_it = |place: &Option<Upstream>| {
            let upstream = place.as_ref();
            upstream.is_some_and(|upstream| upstream.call.as_ref().is_some_and(is_it))
        };
        self.upstreams.iter().position(has_it)
    }

    /// Frees the place at `index`, and closes its connection.
    fn close(&mut self, index: usize) {
        if let Some(place) = self.upstreams.get_mut(index) {
            *place = None;
        }
    }

    /// The call at `index` is over: its connection is kept, if another request may follow on it.
    fn finish(&mut self, index: usize) {
        let is_unproven = |place: &Option<Upstream>| {
            let upstream = place.as_ref();
            upstream.is_some_and(|upstream| {
                let call = upstream.call.as_ref();
                let waits = |call: &Call| matches!(call.state, State::Sends | State::Head);
                !upstream.is_reused && call.is_some_and(waits)
            })
        };
        // A server that serves one connection after the other does not see the next before this one has ended.
        let keeps = !self.upstreams.iter().any(is_unproven);
        if let Some(upstream) = self.at(index)
            && keeps
            && upstream.call.as_ref().is_some_and(Call::leaves_connection)
        {
            upstream.call = None;
            upstream.is_reused = true;
            upstream.idle_since_ms = clock::monotonic_ms();
        } else {
            self.close(index);
        }
    }

    /// The number of the descriptor that tells that something is to be done.
    pub fn waker(&self) -> i32 {
        self.supervisor.number()
    }

    /// A call that has an answer, or more of it.
    pub fn woken(&mut self) -> Option<u64> {
        loop {
            if self.has_due
                && let Some(number) = self.next_due()
            {
                return Some(number);
            }
            self.has_due = false;
            let Some(ready) = self.batch.next(&self.supervisor) else {
                break;
            };
            if let Some(number) = self.handle(ready) {
                return Some(number);
            }
        }
        if self.death_count >= DEATH_COUNT_MAX {
            log::complain(b"FATAL", |line| {
                line.put(b"the program has ended again and again");
            });
            process::exit(1);
        }
        None
    }

    /// The next call that has something to tell which no descriptor does.
    fn next_due(&mut self) -> Option<u64> {
        for index in 0..self.upstreams.len() {
            let Some(call) = self.call_at(index).filter(|call| call.is_due) else {
                continue;
            };
            call.is_due = false;
            let number = call.number;
            if number == QUESTION {
                self.judge(index);
            } else {
                return Some(number);
            }
        }
        None
    }

    /// Does what can be done. Returns the number of a call that has an answer: it lies where the next one is read to.
    fn handle(&mut self, ready: Ready) -> Option<u64> {
        match ready {
            Ready::Upstream(index) => return self.go_on(index),
            Ready::Log(_) => {
                let mark = self.mark();
                if let Some(process) = &mut self.process {
                    process.read_log(mark);
                }
            }
            Ready::Ends => self.reap(),
            Ready::Moment => self.tick(),
            Ready::Output(_) | Ready::Control(_) => {}
        }
        None
    }

    /// What lines of the log are marked with: they are of no one call.
    fn mark(&self) -> Mark<'static> {
        self.settings.prefixes_log.then_some(b"")
    }

    /// Goes on with the connection at `index`.
    fn go_on(&mut self, index: usize) -> Option<u64> {
        let Self {
            upstreams,
            shared,
            settings,
            ..
        } = self;
        let upstream = upstreams.get_mut(index)?.as_mut()?;
        let Some(call) = &upstream.call else {
            if !upstream.is_usable() {
                self.close(index);
            }
            return None;
        };
        if call.fault.is_some() {
            return None;
        }
        let number = call.number;
        let was_head = call.state != State::Body;
        let step = upstream.go_on(&mut shared[..], settings.body_bytes_max);
        match step {
            Step::Nothing => return None,
            Step::Broken(fault) => self.broke(index, fault),
            Step::Due if number == QUESTION => self.judge(index),
            Step::Due if was_head && self.must_collect(index) => return self.go_on(index),
            Step::Due => return Some(number),
        }
        None
    }

    /// Whether the answer at `index`, whose head has just come, is one that fails its call, so that all of it is
    /// collected: to a platform that is asked for events a failure is told with what the server has said.
    fn must_collect(&mut self, index: usize) -> bool {
        let is_fc = self.settings.platform == Platform::Fc;
        let statuses = self.settings.error_statuses;
        let Self {
            upstreams, shared, ..
        } = self;
        let upstream = upstreams.get_mut(index).and_then(Option::as_mut);
        let Some(call) = upstream.and_then(|upstream| upstream.call.as_mut()) else {
            return false;
        };
        if is_fc || call.collects || !settings::lists(statuses, call.status) {
            return false;
        }
        call.collects = true;
        if let Err(errno) = call.own(&shared[..]) {
            (call.fault, call.is_due) = (Some(Fault::Start(errno)), true);
            self.has_due = true;
        }
        true
    }

    /// The connection at `index` has ended, or what came on it is no answer.
    fn broke(&mut self, index: usize, fault: Fault) {
        let Some(upstream) = self.at(index) else {
            return;
        };
        let may_repeat = upstream.call.as_ref().is_some_and(Call::may_repeat);
        if fault == Fault::Unanswered && upstream.is_reused && may_repeat {
            return self.connect_again(index);
        }
        upstream.socket = None;
        let wait_ms = match fault {
            Fault::Unanswered | Fault::Malformed => BURIAL_MS,
            _ => 0,
        };
        self.fail(index, fault, wait_ms);
    }

    /// The call at `index` fails, after a moment in which the server may turn out to have ended.
    fn fail(&mut self, index: usize, fault: Fault, wait_ms: u64) {
        let has_ended = self.phase != Phase::Ready;
        let now_ms = clock::monotonic_ms();
        if let Some(call) = self.call_at(index) {
            call.fault.get_or_insert(fault);
            if has_ended || wait_ms == 0 {
                call.is_due = true;
                self.has_due = true;
            } else {
                call.fault_ms = now_ms + wait_ms;
                self.supervisor.alarm(now_ms + wait_ms);
            }
        }
        // A loop that looks for what is ready only once looks again.
        self.supervisor.alarm(now_ms);
    }

    /// Answers the call of that number: with what its server has answered, or why it failed.
    ///
    /// # Errors
    /// It failed.
    #[inline(never)]
    pub fn answer<'a>(
        &'a mut self,
        number: u64,
        response: &mut Response<'a>,
        report: &mut &'a [u8],
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        let Some(index) = self.position(number) else {
            return Err(fault::error(Fault::Unanswered));
        };
        let Some(call) = self.call_at(index) else {
            return Err(fault::error(Fault::Unanswered));
        };
        if let Some(fault) = call.fault {
            self.close(index);
            return Err(self.failure(fault));
        }
        let (status, is_event, collects) = (call.status, call.is_event, call.collects);
        let is_head = call.is_head;
        let (head_len, filled) = (call.head_len, call.filled);
        let (body_bytes, is_over) = (call.body_bytes, call.framing == Framing::Over);
        let input = call.input.take();
        if is_over || collects {
            self.finish(index);
        } else if let Some(call) = self.call_at(index) {
            (call.is_waiting, call.filled) = (false, 0);
            cx.stream(number);
        }
        self.death_count = 0;
        self.answered = input;
        let fails = self.fails(is_event, collects, status);
        if is_event && matches!(status, 404 | 405) && !fails {
            self.say_path(status);
        }
        let come = self.answered.as_deref().unwrap_or(&self.shared[..]);
        let head = bytes::slice(come, 0..head_len);
        let body = bytes::slice(come, head_len..filled);
        let says_failure = is_event && says_failure(head);
        if collects && (fails || says_failure) {
            return Err(failed(status, body, &mut self.report, report));
        }
        (response.status, response.passed, response.body) = (status, head, body);
        if !is_over || is_head {
            response.body_bytes = body_bytes;
        }
        if is_head && body_bytes.is_none() {
            // So no length is said, as none is known.
            cx.stream(number);
        }
        if fails && !says_failure {
            response.put("x-fc-status", b"404");
        }
        Ok(())
    }

    /// The failure of a call.
    fn failure(&mut self, fault: Fault) -> Error {
        if fault == Fault::Died {
            self.death()
        } else {
            fault::error(fault)
        }
    }

    /// Whether an answer of that status fails its call.
    fn fails(&self, is_event: bool, collects: bool, status: u16) -> bool {
        is_event && status >= 500
            || (is_event || collects) && settings::lists(self.settings.error_statuses, status)
    }

    /// Says that the server does not know the path of events.
    fn say_path(&mut self, status: u16) {
        if !core::mem::replace(&mut self.has_said_path, true) {
            log::complain(b"WARN", |line| {
                line.put(b"the program answered an event with ");
                line.put_decimal(status.into());
                line.put(b": FNBOOT_EVENT_PATH says where it takes them");
            });
        }
    }

    /// The next piece of the answer that goes on under that number.
    ///
    /// # Errors
    /// The server broke it off, or the time is over.
    pub fn piece(&mut self, number: u64, piece: &mut Writer<'_>) -> Result<Flow, Error> {
        let Some(index) = self.position(number) else {
            return Ok(Flow::End);
        };
        let fault = self.call_at(index).and_then(|call| call.fault);
        if let Some(fault) = fault {
            self.close(index);
            return Err(self.failure(fault));
        }
        match self
            .at(index)
            .map_or(Piece::End, |upstream| upstream.read_piece(piece))
        {
            Piece::More => Ok(Flow::More),
            Piece::Wait => Ok(Flow::Wait(Duration::MAX)),
            Piece::End => {
                self.finish(index);
                Ok(Flow::End)
            }
            Piece::Broken => {
                self.close(index);
                Err(fault::error(Fault::Malformed))
            }
        }
    }

    /// Nobody waits for the answer any more, or for the rest of it.
    pub fn abandon(&mut self, number: u64) {
        if let Some(index) = self.position(number) {
            self.close(index);
        }
    }

    /// Takes away what has ended.
    fn reap(&mut self) {
        self.supervisor.forget_ends();
        for _ in 0..REAP_COUNT_MAX {
            let Ok(Some(end)) = wait::ended(None) else {
                return;
            };
            let is_server =
                |process: &Process| process.pid == end.process && process.status.is_none();
            if self.process.as_ref().is_some_and(is_server) {
                self.bury(end.status);
            }
            // There is no way for it to fail.
            let _ = wait::reap(end.process);
        }
    }

    /// The server has ended: it is started again after a while, unless it ends again and again.
    fn bury(&mut self, status: Status) {
        let mark = self.mark();
        if let Some(process) = &mut self.process {
            // What it has started would hold its port.
            process.signal(Signal::Kill);
            process.drain_log(mark);
            process.status = Some(status);
        }
        self.orphans.find(true, |_| false);
        if !signal::terminating() {
            let error = self.death();
            log::complain(b"ERROR", |line| {
                line.put(b"the program has ended: ");
                log::quote(error.message_bytes(), line);
            });
        }
        self.death_count += 1;
        let is_last = self.death_count >= DEATH_COUNT_MAX;
        let pause_ms = RESTART_MS << self.death_count.saturating_sub(1).min(8);
        let until_ms = clock::monotonic_ms() + pause_ms;
        self.phase = Phase::Down { until_ms };
        self.supervisor.alarm(until_ms);
        for index in 0..self.upstreams.len() {
            let Some(upstream) = self.at(index) else {
                continue;
            };
            match &mut upstream.call {
                None => self.close(index),
                Some(call) => {
                    if call.fault.is_some() || is_last && call.state == State::Waits {
                        // Its connection ended because the process did.
                        (call.fault, call.is_due) = (Some(Fault::Died), true);
                        self.has_due = true;
                    }
                }
            }
        }
    }

    /// Does what is due by now, and sets when something is next.
    fn tick(&mut self) {
        let now_ms = clock::monotonic_ms();
        let phase = self.phase;
        match phase {
            Phase::Down { until_ms } if until_ms <= now_ms && self.spawn().is_err() => {
                self.phase = Phase::Down {
                    until_ms: now_ms + RESTART_MS,
                };
            }
            Phase::Starting { since_ms, .. } if now_ms > since_ms + LOAD_MS_MAX => {
                if let Some(process) = &self.process {
                    process.signal(Signal::Kill);
                }
            }
            Phase::Starting { .. } => self.try_ready(),
            _ => {}
        }
        let mut next_ms = match self.phase {
            Phase::Down { until_ms } => until_ms,
            Phase::Starting { .. } => now_ms + TRY_MS_MAX,
            Phase::Ready => NEVER,
        };
        for place in self.upstreams.iter_mut().flatten() {
            let Some(call) = &mut place.call else {
                continue;
            };
            let moment_ms = match call.fault {
                Some(_) => &mut call.fault_ms,
                None => &mut call.deadline_ms,
            };
            if *moment_ms <= now_ms {
                *moment_ms = NEVER;
                call.fault.get_or_insert(Fault::TimedOut);
                call.is_due = true;
                self.has_due = true;
            }
            next_ms = next_ms.min(*moment_ms);
        }
        self.supervisor.set(next_ms);
    }

    /// Ends the server: it is asked to, and a moment later it is killed.
    pub fn end(&mut self) {
        let end_ms = clock::monotonic_ms() + MARGIN_MS_MAX;
        if let Some(process) = &self.process {
            process.signal(Signal::Terminate);
        }
        loop {
            self.reap();
            let left_ms = end_ms.saturating_sub(clock::monotonic_ms());
            let Some(process) = self
                .process
                .as_mut()
                .filter(|process| process.status.is_none())
            else {
                return;
            };
            if left_ms == 0 {
                process.signal(Signal::Kill);
                return;
            }
            self.supervisor.wait(left_ms);
            while let Some(ready) = self.batch.next(&self.supervisor) {
                if let Ready::Log(_) = ready {
                    self.handle(ready);
                }
            }
        }
    }
}

const LOOPBACK: [u8; 4] = [127, 0, 0, 1];

/// Whether somebody listens on that port.
fn accepts(port: u16) -> bool {
    let Ok(socket) = Socket::connect(LOOPBACK, port) else {
        return false;
    };
    // Nothing is sent: the kernel says whether something could be. A connection may be one to itself.
    socket.send(b"") == Io::Done(0) && socket.local_port() != Some(port)
}

/// Whether a request asks for another protocol, which a gateway would have to know; `h2c`, which clients offer by the
/// way (RFC 9113 §3.1), is left out.
pub fn upgrades(request: &Request<'_>) -> bool {
    let headers = request.head.headers;
    let protocol = headers.get("upgrade");
    protocol.is_some_and(|protocol| !bytes::is_word_ignore_case(protocol, "h2c"))
        && forward::names(headers, "connection", "upgrade")
}

/// Whether an answer says itself that the call failed, as FC has it.
fn says_failure(head: &[u8]) -> bool {
    let mut rows = head::fields();
    forward::headers(head, &mut rows).get("x-fc-status") == Some(b"404")
}

/// The failure that an answer to an event is, and the same as JSON with the whole body.
fn failed<'a>(
    status: u16,
    body: &[u8],
    place: &'a mut Option<Mapping>,
    report: &mut &'a [u8],
) -> Error {
    let mut digits = [0; 20];
    let mut digits = Writer::new(&mut digits);
    digits.put_decimal(status.into());
    let message = [b"status ", digits.written(), b": ", body];
    let error = Error::of("HttpStatus", &message);
    // A byte takes six at most, and what is no text is replaced.
    *place = Mapping::new(6 * body.len() + 128).ok();
    if let Some(place) = place {
        let mut json = Writer::new(place);
        json.put(b"{\"errorMessage\":\"status ");
        json.put(digits.written());
        json.put(b": ");
        for part in body.utf8_chunks() {
            json.put_json(part.valid().as_bytes());
            if !part.invalid().is_empty() {
                json.put("\u{fffd}".as_bytes());
            }
        }
        json.put(b"\",\"errorType\":\"HttpStatus\"}");
        *report = json.finish();
    }
    error
}
