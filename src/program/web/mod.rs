//! A server as the function: `bootstrap web` starts it once, and passes requests on to it.
//!
//! ```text
//!   client ── request ──▶ Web::begin ──▶ Upstream ──▶ the server, on 127.0.0.1
//!   client ◀─ answer ──── Web::answer ◀── its head ◀──────┘
//!          ◀─ pieces ──── Web::piece  ◀── its body ◀──────┘
//! ```
//!
//! [`request`] writes the head that a request is passed on with, [`upstream`] is a connection, [`fault`] says what went
//! wrong. Here are its calls, and what the supervisor tells of them and of its process.
//!
//! Nothing waits for the server but the start: there can be no call before it accepts connections. One that has ended
//! is started again, and calls wait for that.

mod fault;
mod request;
mod settings;
mod table;
mod upstream;

use core::mem::{self, MaybeUninit};
use core::time::Duration;

use super::failure;
use super::framing::{Framing, Piece};
use super::launch::Launch;
use super::server::{Phase, Program, Server};
use super::supervisor::{Batch, Ready, Supervisor};
use crate::bytes::{self, Writer};
use crate::handler::{Context, Error, Flow, Platform, Report, Request, Response};
use crate::http::{forward, head};
use crate::limits::{GRACE_MS_MIN, HEAD_BYTES_MAX, LOAD_MS_MAX, MARGIN_MS_MAX, SCRATCH_BYTES};
use crate::log;
use crate::platform::{self, fc};
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::{Errno, Io};
use crate::sys::memory::{Mapping, Reserved};
use crate::sys::socket::{LOOPBACK, Socket};
use crate::sys::{process, signal, wait};
use fault::Fault;
pub use settings::{Settings, is_list, is_path};
use table::Upstreams;
use upstream::{Call, State, Step, Upstream};

/// A server, and what it is asked.
#[derive(Debug)]
pub struct Web {
    settings: Settings,
    program: &'static mut Program,
    server: Server,
    supervisor: Supervisor,
    upstreams: Upstreams,
    /// What the supervisor has told and nobody has looked at.
    batch: Batch,
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

/// Room for the head of a request: as it came, and what is added.
const HEAD_ROOM_BYTES: usize = HEAD_BYTES_MAX + 2048;

/// Where answers are read to at first.
const SHARED_BYTES: usize = 2 * SCRATCH_BYTES;

/// What there is once in a process: it costs memory where it is used.
#[repr(C)]
struct Memory {
    web: MaybeUninit<Web>,
    upstreams: table::Table,
    head: [u8; HEAD_ROOM_BYTES],
    shared: [u8; SHARED_BYTES],
}

static MEMORY: Reserved<Memory> = Reserved::new(Memory {
    web: MaybeUninit::uninit(),
    upstreams: table::EMPTY_TABLE,
    head: [0; HEAD_ROOM_BYTES],
    shared: [0; SHARED_BYTES],
});

/// By which variables a server is told its port.
const PORTS: &[u8] = b"PORT FC_SERVER_PORT FC_CUSTOM_LISTEN_PORT";

/// Processes that are taken away at once.
const REAP_COUNT_MAX: usize = 1024;

/// The number of the call that asks whether the server is ready, and how long its answer may take.
const QUESTION: u64 = u64::MAX;
const QUESTION_MS: u64 = 2000;

/// How long the end of the process is waited for when a connection has ended: one that dies closes its connections
/// first.
const BURIAL_MS: u64 = 20;

/// How often the end of a server that was killed is waited for so long: with it, what it leaves behind is killed, too.
const KILL_COUNT_MAX: usize = 5;

/// Between two tries whether the server is ready: so many parts of the time it has taken, within these.
const TRY_PARTS: u64 = 16;
const TRY_MS_MAX: u64 = 10;

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
        if accepts(settings.port) {
            let text = "somebody else listens on its port, 127.0.0.1:$";
            let mut place = [0; 20];
            let mut port = Writer::new(&mut place);
            port.put_decimal(settings.port.into());
            return Err(failure::about("PortTaken", text, port.written()));
        }
        let started = web.start_server();
        started.map_err(|errno| web.program.not_started(errno))?;
        web.wait_until_ready()?;
        Ok(web)
    }

    /// Nothing is started yet.
    #[inline(never)]
    fn new(launch: &'static mut Launch, settings: Settings) -> Result<&'static mut Self, Errno> {
        let memory = MEMORY.take().ok_or(Errno::AGAIN)?;
        let (platform, prefixes_log) = (settings.platform, settings.prefixes_log);
        Ok(memory.web.write(Self {
            settings,
            program: Program::new(launch, platform, PORTS, prefixes_log)?,
            server: Server::NONE,
            supervisor: Supervisor::new()?,
            upstreams: Upstreams::new(&mut memory.upstreams, settings.port),
            batch: Batch::EMPTY,
            has_due: false,
            has_said_path: false,
            answered: None,
            report: None,
            head: &mut memory.head,
            shared: &mut memory.shared,
        }))
    }

    /// Starts the process.
    fn start_server(&mut self) -> Result<(), Errno> {
        let mut place = [0; 128];
        let mut ports = Writer::new(&mut place);
        for name in bytes::split(PORTS, b' ') {
            ports.put(name);
            ports.put(b"=");
            ports.put_decimal(self.settings.port.into());
            ports.put(b"\0");
        }
        let (server, supervisor) = (&mut self.server, &self.supervisor);
        self.program.start(server, ports.written(), supervisor, 0)
    }

    /// Waits for the server at the start, when there is nothing else to do.
    fn wait_until_ready(&mut self) -> Result<(), Error> {
        // Process 1 would not hear of it otherwise.
        let _ = signal::catch_terminate();
        while let Phase::Starting { since_ms, .. } = self.server.phase {
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
            if self.server.phase == Phase::Ready {
                break;
            }
            let pause_ms = (passed_ms / TRY_PARTS).clamp(1, TRY_MS_MAX);
            self.batch.wait(&self.supervisor, pause_ms);
            while let Some(ready) = self.batch.next(&self.supervisor) {
                self.handle(ready);
            }
            self.next_due();
        }
        if self.server.phase == Phase::Ready {
            return Ok(());
        }
        Err(self.program.death(&self.server))
    }

    /// Looks whether the server accepts connections, and, if a path is set for that, asks it.
    fn try_ready(&mut self) {
        let mut place = [0; 32];
        let mut address = Writer::new(&mut place);
        address.put(b"on 127.0.0.1:");
        address.put_decimal(self.settings.port.into());
        let now_ms = clock::monotonic_ms();
        self.server.say_waiting(now_ms, address.written());
        if !accepts(self.settings.port) {
            return;
        }
        if self.settings.ready_path.is_empty() {
            self.set_ready();
        } else if self.upstreams.position(QUESTION).is_none() {
            let mut writer = Writer::new(&mut self.head[..]);
            request::put_question(&self.settings, &mut writer);
            let head_len = writer.written().len();
            let end_ms = clock::monotonic_ms() + QUESTION_MS;
            let call = Call::new(QUESTION, "POST", false, false, end_ms);
            // It is asked again.
            let _ = self.send(call, head_len, b"");
        }
    }

    /// The server has answered whether it is ready, or has not.
    fn judge(&mut self, index: usize) {
        let call = self.upstreams.call(index);
        let answered = call.filter(|call| call.fault.is_none());
        let status = answered.map_or(0, |call| call.status);
        self.upstreams.close(index);
        if settings::lists(self.settings.ready_statuses, status) {
            self.set_ready();
        }
    }

    /// The server is ready: what waits for it is sent.
    fn set_ready(&mut self) {
        (self.server.phase, self.program.was_ready) = (Phase::Ready, true);
        // Those of one that has died had to end.
        self.upstreams.ends_idle = false;
        for index in 0..self.upstreams.len() {
            let call = self.upstreams.call(index);
            if call.is_some_and(|call| call.state == State::Waits) {
                self.send_again(index);
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
        let is_event =
            request.is_none_or(|request| is_fc && fc::route(request) == platform::Call::Invoke);
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
        match self.send(call, head_len, body) {
            // It is told as any other that is answered later.
            Err(fault) => {
                let index = self.upstreams.place(false).map_err(failure::start)?;
                if let Some(upstream) = self.upstreams.at(index) {
                    let failed = Call::new(number, method, is_event, request.is_none(), NEVER);
                    upstream.call = Some(failed);
                }
                self.fail(index, fault, 0);
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    /// Sends a request, whose head lies where heads are written, or has it wait for the server.
    fn send(&mut self, mut call: Call, head_len: usize, body: &[u8]) -> Result<(), Fault> {
        let is_question = call.number == QUESTION;
        let total = head_len + body.len();
        let index = loop {
            let index = self.upstreams.place(call.is_idempotent);
            let index = index.map_err(Fault::Start)?;
            let head = bytes::slice(&self.head[..], 0..head_len);
            if self.server.phase != Phase::Ready && !is_question {
                let kept = call.keep(head, body, 0, &mut None);
                kept.map_err(Fault::Start)?;
                break index;
            }
            if self
                .upstreams
                .at(index)
                .is_some_and(|upstream| upstream.socket.is_none())
            {
                let connected = self.upstreams.connect(index, &mut self.supervisor);
                connected.map_err(Fault::Start)?;
            }
            let Some(Upstream {
                socket: Some(socket),
                is_reused,
                spare,
                ..
            }) = self.upstreams.at(index)
            else {
                return Err(Fault::Start(Errno::AGAIN));
            };
            let sent = match socket.send_parts(&[head, body, b""]) {
                Io::Done(count) => count,
                Io::Blocked => 0,
                Io::Closed(errno) => {
                    // It was ended since it was last looked at, and nothing of the request has arrived; or nobody
                    // listens: then the server may have ended a moment ago.
                    let may_go_on = *is_reused;
                    self.upstreams.close(index);
                    self.reap();
                    if may_go_on || self.server.phase != Phase::Ready && !is_question {
                        continue;
                    }
                    return Err(Fault::Start(errno));
                }
            };
            if sent < total || *is_reused && call.is_idempotent {
                let kept = call.keep(head, body, sent, spare);
                kept.map_err(Fault::Start)?;
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
        if let Some(upstream) = self.upstreams.at(index) {
            upstream.call = Some(call);
        }
        Ok(())
    }

    /// Sends the request of a call on a new connection. The kernel tells when there is one.
    fn send_again(&mut self, index: usize) {
        if let Some(call) = self.upstreams.call(index) {
            call.repeat();
        }
        if let Err(errno) = self.upstreams.connect(index, &mut self.supervisor) {
            self.fail(index, Fault::Start(errno), 0);
        }
    }

    /// The number of the descriptor that tells that something is to be done.
    pub fn waker(&self) -> i32 {
        self.supervisor.number()
    }

    /// A call that has an answer, or more of it.
    #[inline(never)]
    pub fn woken(&mut self) -> Option<u64> {
        // The last answer is on its way.
        (self.answered, self.report) = (None, None);
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
        self.program.give_up();
        None
    }

    /// The next call that has something to tell which no descriptor does.
    fn next_due(&mut self) -> Option<u64> {
        for index in 0..self.upstreams.len() {
            let Some(call) = self.upstreams.call(index) else {
                continue;
            };
            if call.is_again {
                call.is_again = false;
                if let Some(number) = self.go_on(index) {
                    return Some(number);
                }
                continue;
            }
            if !call.is_due {
                continue;
            }
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
            Ready::Log(_) => self.server.read_log(self.program.mark(b"")),
            Ready::Ends => self.reap(),
            Ready::Moment => self.tick(),
            Ready::Output(_) | Ready::Control(_) | Ready::Listener(_) => {}
        }
        None
    }

    /// Goes on with the connection at `index`.
    fn go_on(&mut self, index: usize) -> Option<u64> {
        let Self {
            upstreams,
            shared,
            settings,
            ..
        } = self;
        let upstream = upstreams.at(index)?;
        let Some(call) = &upstream.call else {
            if !upstream.is_usable() {
                self.upstreams.ends_idle = true;
                self.upstreams.close(index);
            }
            return None;
        };
        if call.fault.is_some() {
            return None;
        }
        let number = call.number;
        let was_head = call.state != State::Body;
        let step = upstream.go_on(&mut shared[..], settings.body_bytes_max);
        if was_head && step == Step::Due {
            self.upstreams.note_answer(index);
        }
        match step {
            Step::Nothing => return None,
            Step::Again => {
                if let Some(call) = self.upstreams.call(index) {
                    call.is_unread = true;
                }
                self.supervisor.alarm(clock::monotonic_ms());
                return None;
            }
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
        let Some(call) = upstreams.call(index) else {
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
        let Some(upstream) = self.upstreams.at(index) else {
            return;
        };
        let may_repeat = upstream.call.as_ref().is_some_and(Call::may_repeat);
        if fault == Fault::Unanswered && upstream.is_reused {
            self.upstreams.ends_idle = true;
            if may_repeat {
                return self.send_again(index);
            }
        }
        if let Some(upstream) = self.upstreams.at(index) {
            upstream.socket = None;
        }
        let wait_ms = match fault {
            Fault::Unanswered | Fault::Malformed => BURIAL_MS,
            _ => 0,
        };
        self.fail(index, fault, wait_ms);
    }

    /// The call at `index` fails, after a moment in which the server may turn out to have ended.
    fn fail(&mut self, index: usize, fault: Fault, wait_ms: u64) {
        let has_ended = !self.server.is_alive();
        let now_ms = clock::monotonic_ms();
        if let Some(call) = self.upstreams.call(index) {
            let fault = if has_ended { Fault::Died } else { fault };
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
        report: &mut Report<'a>,
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        let index = self.upstreams.position(number).unwrap_or(usize::MAX);
        let Some(call) = self.upstreams.call(index) else {
            return Err(fault::error(Fault::Unanswered));
        };
        if let Some(fault) = call.fault {
            let is_fc = self.settings.platform == Platform::Fc;
            report.status = if is_fc && call.is_event {
                fc::FAILURE_STATUS
            } else {
                fault.status()
            };
            self.upstreams.close(index);
            return Err(self.failure(fault));
        }
        let (status, is_event, collects) = (call.status, call.is_event, call.collects);
        let is_head = call.is_head;
        let (head_len, filled) = (call.head_len, call.filled);
        let (body_bytes, is_over) = (call.body_bytes, call.framing == Framing::Over);
        let input = call.input.take();
        if is_over || collects {
            self.upstreams.finish(index, &mut self.supervisor);
        } else if let Some(call) = self.upstreams.call(index) {
            (call.is_waiting, call.filled) = (false, 0);
            cx.stream(number);
        }
        self.program.death_count = 0;
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
            return Err(failed(status, body, &mut self.report, &mut report.json));
        }
        (response.status, report.passed, response.body) = (status, head, body);
        if !is_over || is_head {
            report.set_body_bytes(body_bytes);
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
            self.program.death(&self.server)
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
        if !mem::replace(&mut self.has_said_path, true) {
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
        let Some(index) = self.upstreams.position(number) else {
            return Ok(Flow::End);
        };
        let fault = self.upstreams.call(index).and_then(|call| call.fault);
        if let Some(fault) = fault {
            self.upstreams.close(index);
            return Err(self.failure(fault));
        }
        match self
            .upstreams
            .at(index)
            .map_or(Piece::End, |upstream| upstream.read_piece(piece))
        {
            Piece::More => Ok(Flow::More),
            Piece::Wait => Ok(Flow::Wait(Duration::MAX)),
            Piece::End => {
                self.upstreams.finish(index, &mut self.supervisor);
                Ok(Flow::End)
            }
            Piece::Broken => {
                self.upstreams.close(index);
                Err(fault::error(Fault::Malformed))
            }
        }
    }

    /// Nobody waits for the answer any more, or for the rest of it.
    pub fn abandon(&mut self, number: u64) {
        if let Some(index) = self.upstreams.position(number) {
            self.upstreams.close(index);
        }
    }

    /// Takes away what has ended. If the server has, it is started again after a while, unless it ends again and
    /// again.
    fn reap(&mut self) {
        self.supervisor.forget_ends();
        if !self.bury() {
            return;
        }
        self.upstreams.close_idle(NEVER);
        let is_last = self.program.is_hopeless();
        for call in self.upstreams.calls() {
            // Its connection has ended because the process did.
            if call.fault.is_some() || is_last && call.state == State::Waits {
                (call.fault, call.is_due) = (Some(Fault::Died), true);
                self.has_due = true;
            }
        }
        self.supervisor.alarm(clock::monotonic_ms());
    }

    /// Takes away the processes that have ended. Returns whether the server is one of them.
    fn bury(&mut self) -> bool {
        let Self {
            program, server, ..
        } = self;
        let mut has_ended = false;
        for _ in 0..REAP_COUNT_MAX {
            let Ok(Some(end)) = wait::ended(None) else {
                break;
            };
            if server.is(end.process) {
                has_ended = true;
                server.bury(end.status);
                let wait_ms = program.count_end(0);
                server.start_after(wait_ms);
                server.drain_log(program.mark(b""));
                program.say_end(server);
                program.kill_orphans();
            }
            // There is no way for it to fail.
            let _ = wait::reap(end.process);
        }
        has_ended
    }

    /// Does what is due by now, and sets when something is next.
    fn tick(&mut self) {
        let now_ms = clock::monotonic_ms();
        let phase = self.server.phase;
        let mut next_ms = match phase {
            Phase::Down { until_ms } if until_ms <= now_ms => {
                let until_ms = self.server.try_again(now_ms);
                match self.start_server() {
                    Ok(()) => now_ms + TRY_MS_MAX,
                    Err(errno) => {
                        self.program.say_not_started(errno);
                        until_ms
                    }
                }
            }
            Phase::Down { until_ms } => until_ms,
            Phase::Starting { since_ms, .. } => {
                if now_ms > since_ms + LOAD_MS_MAX {
                    self.server.kill();
                }
                self.try_ready();
                now_ms + TRY_MS_MAX
            }
            Phase::Ready => self.upstreams.tidy(now_ms),
        };
        for call in self.upstreams.calls() {
            let moment_ms = match call.fault {
                Some(_) => &mut call.fault_ms,
                None => &mut call.deadline_ms,
            };
            // Whoever has more to be read has had to wait for this.
            call.is_again = mem::take(&mut call.is_unread);
            self.has_due |= call.is_again;
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
        self.server.terminate(end_ms);
        let mut kill_count = 0;
        while self.server.is_alive() {
            let mut left_ms = end_ms.saturating_sub(clock::monotonic_ms());
            if left_ms == 0 {
                self.server.kill();
                left_ms = BURIAL_MS;
                kill_count += 1;
            }
            if kill_count > KILL_COUNT_MAX {
                return;
            }
            self.batch.wait(&self.supervisor, left_ms);
            self.supervisor.forget_ends();
            self.server.read_log(self.program.mark(b""));
            self.bury();
        }
    }
}

/// Whether somebody accepts connections on a port. Nothing is sent: the kernel says whether something could be. A connection
/// may be one to itself.
fn accepts(port: u16) -> bool {
    Socket::connect(LOOPBACK, port)
        .is_ok_and(|socket| socket.send(b"") == Io::Done(0) && socket.local_port() != Some(port))
}

/// So much of an answer stands in the failure that it is told as: beyond 6 MB of JSON Lambda refuses it.
const REPORT_BYTES_MAX: usize = 900 * 1024;

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
    // A longer failure than that no platform takes.
    let body = body.get(..REPORT_BYTES_MAX).unwrap_or(body);
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
