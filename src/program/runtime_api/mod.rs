//! A program that asks for events as the function: `bootstrap worker` starts it, and serves it the runtime APIs of Lambda and
//! SCF, on whichever platform.
//!
//! ```text
//!   platform ── event, request ──▶ Api::begin ──▶ Desk ──▶ Connection ── event ──▶ worker
//!   platform ◀─ answer ─────────── Api::answer ◀───────── Connection ◀─ answer ───────┘
//!            ◀─ pieces ─────────── Api::piece  ◀────────────────┘
//! ```
//!
//! [`asks`] is what can be asked for, [`connection`] a connection of a worker, [`worker`] its process; [`desk`] pairs
//! them with calls. Here is what all of that comes to: what is asked for is done, and what the supervisor tells is dealt
//! with. Both sides wait: a call for its answer, a worker's question for an event.
//!
//! There is no call before the first worker has asked. One that has ended is started again, and calls wait for that.

mod asks;
mod connection;
mod desk;
mod worker;

use core::mem::{self, MaybeUninit};
use core::time::Duration;

use super::calls::{self, Call, Calls, State};
use super::failure::{self, Fault};
use super::kinds::Kinds;
use super::launch::Launch;
use super::server::{self, Program, Server};
use super::settings::Settings;
use super::supervisor::{Batch, Ready, Supervisor};
use crate::bytes::{self, Writer};
use crate::handler::{Context, Error, Flow, Platform, Report, Request, Response};
use crate::http::head;
use crate::http::{Kind, Parsed, Reject};
use crate::limits::{
    ERROR_BYTES_MAX as MESSAGE_BYTES_MAX, ERROR_KIND_BYTES_MAX, HEAD_BYTES_MAX, LOAD_MS_MAX,
    MARGIN_MS_MAX, PRELUDE_BYTES_MAX, SCRATCH_BYTES, WARM_IDLE_MS, WORKER_CONN_COUNT_MAX,
};
use crate::platform::gateway::url_event::{self, Origin};
use crate::platform::gateway::{Shape, event as gateway, url_answer};
use crate::platform::json;
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::Errno;
use crate::sys::memory::{List, Mapping, Reserved};
use crate::sys::wait::{self, Status};
use crate::sys::{process, signal};
use asks::{Ask, Asked, Dialect, Told};
use connection::{Connection, Mode, Phase, Piece, Step};
use desk::{Desk, Pair, Refused};

use worker::{Answer, NO_CONNECTION, Worker, Workers};

/// Workers, and what they are asked.
#[derive(Debug)]
pub struct Api {
    settings: Settings,
    workers: Workers,
    desk: Desk,
    connections: List<Option<Connection>>,
    supervisor: Supervisor,
    /// What the supervisor has told and nobody has looked at.
    batch: Batch,
    /// Whether a call may have something to tell, or a connection something to read.
    has_due: bool,
    /// Whether the platform takes the answer to an event in pieces, with a status and headers.
    is_streaming: bool,
    /// By which paths the workers ask.
    dialect: Dialect,
    /// Why the first worker cannot start, as it says.
    init_error: Option<Error>,
    /// Whether a worker has registered an extension: it wants to hear of `SIGTERM`, which Lambda sends to nobody else.
    pub has_extension: bool,
    /// The connection on which an answer came that is being taken: it is told once that is on its way.
    owed: Option<(usize, Dialect)>,
    /// Memory of a call that is over, and of a request, for the next.
    spare: Option<Mapping>,
    spare_input: Option<Mapping>,
    /// What the last answer was made of.
    answered: Option<Mapping>,
    unescaped: Option<Mapping>,
    shared: &'static mut [u8; SHARED_BYTES],
}

/// Where requests are read to at first.
const SHARED_BYTES: usize = 2 * SCRATCH_BYTES;

/// What there is once in a process: it costs memory where it is used.
#[repr(C)]
struct Memory {
    api: MaybeUninit<Api>,
    workers: worker::Places,
    desk: desk::Places,
    connections: [MaybeUninit<Option<Connection>>; desk::CONN_COUNT_MAX],
    calls: calls::Table,
    shared: [u8; SHARED_BYTES],
}

static MEMORY: Reserved<Memory> = Reserved::new(Memory {
    api: MaybeUninit::uninit(),
    workers: worker::NO_WORKERS,
    desk: desk::Places::EMPTY,
    connections: [const { MaybeUninit::uninit() }; desk::CONN_COUNT_MAX],
    calls: calls::EMPTY_TABLE,
    shared: [0; SHARED_BYTES],
});

/// How long the end of a process is waited for when its answer has broken off: one that dies closes its connections
/// first.
const BURIAL_MS: u64 = 20;

/// How often the end of workers that were killed is waited for so long.
const KILL_COUNT_MAX: usize = 5;

/// Processes that are taken away at once.
const REAP_COUNT_MAX: usize = 1024;

/// Requests, or pieces that nobody takes, in a row of one connection, before others get their turn.
const TURN_COUNT_MAX: usize = 64;

/// Memory that is longer is kept for the next call, or request, for a moment only.
const SPARE_BYTES_MAX: usize = 2 * HEAD_ROOM_BYTES;

/// What a worker is told of the deadline where nobody tells one.
const DEADLINE_MS: u64 = 24 * 60 * 60 * 1000;

/// What the body of an answer in pieces begins with when it has this type: status and headers, and eight NULs.
const PRELUDE_TYPE: &str = "application/vnd.awslambda.http-integration-response";

/// The status of the answer to an HTTP request whose worker has not answered it as it should.
const BAD_GATEWAY: u16 = 502;

impl Api {
    /// Starts the first worker, and waits until it asks; then the others.
    ///
    /// # Errors
    /// It cannot be started, ends, says that it cannot start, or does not ask in time.
    pub fn start(
        launch: &'static mut Launch,
        settings: Settings,
        platform: Platform,
        is_streaming: bool,
    ) -> Result<&'static mut Self, Error> {
        let api = Self::new(launch, settings, platform, is_streaming).map_err(failure::start)?;
        // Process 1 would not hear of it otherwise.
        let _ = signal::catch_terminate();
        for index in 0..settings.worker_count_max {
            let started = api.start_worker(index);
            let started = started.map_err(|errno| api.workers.program.not_started(errno));
            if let Err(error) = started.and_then(|()| api.wait_until_asked()) {
                api.end();
                return Err(error);
            }
        }
        Ok(api)
    }

    /// Nothing is started yet.
    fn new(
        launch: &'static mut Launch,
        settings: Settings,
        platform: Platform,
        is_streaming: bool,
    ) -> Result<&'static mut Self, Errno> {
        let Memory {
            api,
            workers,
            desk,
            connections,
            calls,
            shared,
        } = MEMORY.take().ok_or(Errno::AGAIN)?;
        let prefixes_log = settings.prefixes_log;
        let program = Program::new(launch, platform, worker::REPLACED, prefixes_log)?;
        Ok(api.write(Self {
            settings,
            workers: Workers::new(program, workers),
            desk: Desk::new(Calls::new(calls), desk),
            connections: List::new(connections),
            supervisor: Supervisor::new()?,
            batch: Batch::EMPTY,
            has_due: false,
            is_streaming,
            dialect: Dialect::Lambda,
            init_error: None,
            has_extension: false,
            owed: None,
            spare: None,
            spare_input: None,
            answered: None,
            unescaped: None,
            shared,
        }))
    }

    fn start_worker(&mut self, index: usize) -> Result<(), Errno> {
        self.workers.add(&self.supervisor)?;
        self.desk.add_worker();
        self.supervisor.alarm(clock::monotonic_ms());
        self.workers.start(index, &self.supervisor)
    }

    /// Waits for the first question, when there is nothing else to do. Then it has come.
    fn wait_until_asked(&mut self) -> Result<(), Error> {
        let end_ms = clock::monotonic_ms() + LOAD_MS_MAX;
        while !self.workers.program.was_ready {
            let left_ms = end_ms.saturating_sub(clock::monotonic_ms());
            let is_alive = self.workers.are_alive();
            if signal::terminating() {
                self.end();
                process::exit(0);
            }
            if left_ms == 0 || !is_alive || self.init_error.is_some() {
                return Err(match self.init_error.take() {
                    Some(error) => error,
                    None if !is_alive => self.workers.death(0),
                    None => Error::fixed("TimedOut", "the program does not ask for events"),
                });
            }
            self.batch.wait(&self.supervisor, left_ms);
            while let Some(ready) = self.batch.next(&self.supervisor) {
                self.handle(ready);
            }
        }
        Ok(())
    }

    /// Hands an event to a worker, or the event that a request is; its answer comes under that number.
    ///
    /// # Errors
    /// There is no memory.
    pub fn begin(
        &mut self,
        number: u64,
        request: Option<&Request<'_>>,
        event: &[u8],
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        let begun = self.add_call(number, request, event, cx);
        begun.map_err(failure::start)
    }

    /// Adds the call of that number, with all that a worker is told of it.
    #[inline(never)]
    fn add_call(
        &mut self,
        number: u64,
        request: Option<&Request<'_>>,
        event: &[u8],
        cx: &Context<'_>,
    ) -> Result<(), Errno> {
        let now_ms = (cx.now_ms)();
        let mut place = [0; 36];
        let id = match cx.id() {
            id if is_segment(id) => id,
            // In the form that clients know.
            _ => {
                let mut own = Writer::new(&mut place);
                let part = |number| u32::try_from(number % 100_000_000).unwrap_or(0);
                let parts = [part(number / 100_000_000), 0, 4000, 8000, 0, part(number)];
                own.put_numbers(b"8-4-4-4-48", &parts);
                own.finish()
            }
        };
        let shape = match self.dialect {
            Dialect::Lambda => Shape::Http,
            Dialect::Scf => Shape::ScfUrl,
        };
        let origin = Origin {
            request_id: id,
            source_ip: cx.client_ip().unwrap_or("127.0.0.1").as_bytes(),
            now_ms,
        };
        let event_room = request.map_or(event.len(), |request| {
            url_event::event_room(shape, request, &origin)
        });
        let start = id.len() + HEAD_ROOM_BYTES;
        let room = start + event_room;
        // A short event may have to stay for long, and holds no memory of a long one.
        let room_max = SPARE_BYTES_MAX.max(2 * room);
        self.spare.take_if(|spare| spare.len() > room_max);
        let mut memory = Mapping::reuse(&mut self.spare, room)?;
        bytes::copy(&mut memory, id);
        let mut body = Writer::new(bytes::slice_mut(&mut memory, start..start + event_room));
        match request {
            None => body.put(event),
            Some(request) => url_event::put_event(shape, request, &origin, &mut body),
        }
        let body_len = body.written().len();
        let deadline_ms = cx.deadline_ms();
        let own_ms = self.settings.timeout_ms;
        let left_ms = deadline_ms.map_or(own_ms, |deadline_ms| deadline_ms.saturating_sub(now_ms));
        let deadline_ms = deadline_ms.unwrap_or(now_ms.saturating_add(own_ms.min(DEADLINE_MS)));
        let mut head = Writer::new(bytes::slice_mut(&mut memory, id.len()..start));
        asks::put_event_head(self.dialect, cx, id, deadline_ms, body_len, &mut head);
        let head_len = head.written().len();
        let parts = [id.len(), head_len, start, body_len];
        let is_request = request.is_some();
        let call = Call::asked_for(number, memory, parts, is_request, left_ms);
        self.supervisor.alarm(call.signal_ms);
        self.desk.calls.add(call)?;
        self.pair();
        Ok(())
    }

    /// Sends events to those who wait for them.
    fn pair(&mut self) {
        while let Some(pair) = self.desk.pair() {
            self.send_event(pair);
        }
    }

    /// Sends the event of a worker's call on a connection, or what is left of it. If the connection has ended, another on
    /// which the worker asks has the event.
    fn send_event(&mut self, mut pair: Pair) {
        loop {
            let Self {
                desk, connections, ..
            } = self;
            let call = desk.call_of(pair.worker);
            let connection = at(connections, pair.connection);
            let is_open = call
                .zip(connection)
                .is_some_and(|(call, connection)| connection.send_event(call));
            self.keep(pair.connection, is_open);
            if is_open {
                return;
            }
            let Some(other) = self.desk.ask_again(pair.worker) else {
                return;
            };
            pair = other;
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
        let memory = self.unescaped.take();
        keep(memory, &mut self.unescaped, &mut self.supervisor);
        let memory = self.answered.take();
        if let Some((index, dialect)) = self.owed.take() {
            keep(memory, &mut self.spare_input, &mut self.supervisor);
            self.reply(index, Told::Taken, dialect);
            self.look_again(index);
        }
        loop {
            if mem::take(&mut self.has_due)
                && let Some(number) = self.next_due()
            {
                self.has_due = true;
                return Some(number);
            }
            let Some(ready) = self.batch.next(&self.supervisor) else {
                break;
            };
            if let Some(number) = self.handle(ready) {
                return Some(number);
            }
        }
        self.workers.program.give_up();
        None
    }

    /// The next call that has something to tell which no descriptor does.
    fn next_due(&mut self) -> Option<u64> {
        let memory = self.desk.calls.forget();
        keep(memory, &mut self.spare, &mut self.supervisor);
        self.pair();
        let due = self.desk.calls.iter().find(|call| call.is_due());
        if let Some(call) = due {
            return Some(call.number);
        }
        for worker in 0..self.workers.len() {
            let its = self.workers.at(worker);
            if its.is_some_and(|its| mem::take(&mut its.is_due))
                && let Some(call) = self.desk.call_of(worker).filter(|call| call.number > 0)
            {
                return Some(call.number);
            }
        }
        for index in 0..self.connections.len() {
            let connection = at(&mut self.connections, index);
            if connection.is_some_and(|connection| mem::take(&mut connection.is_unread))
                && let Some(number) = self.serve(index)
            {
                return Some(number);
            }
        }
        None
    }

    /// Does what can be done. Returns the number of a call that has an answer: it may lie where the next request is read
    /// to.
    fn handle(&mut self, ready: Ready) -> Option<u64> {
        match ready {
            Ready::Listener(worker) => return self.accept(worker),
            Ready::Upstream(index) => {
                if let Some(connection) = at(&mut self.connections, index) {
                    connection.has_end |= self.batch.tells_end();
                }
                return self.serve(index);
            }
            Ready::Log(worker) => self.read_log(worker),
            Ready::Ends => self.reap(),
            Ready::Moment => self.tick(),
            Ready::Output(_) | Ready::Control(_) => {}
        }
        None
    }

    /// Takes the next connection of a worker. If there are more, that is told again.
    fn accept(&mut self, worker: usize) -> Option<u64> {
        let socket = self.workers.at(worker)?.listener.accept().ok()?;
        let connections = self.connections.iter().flatten();
        // One that only waits for the worker's end takes nobody's place.
        let count = connections
            .filter(|connection| connection.worker == worker && connection.phase != Phase::Lingers);
        if count.count() >= WORKER_CONN_COUNT_MAX {
            return None;
        }
        let (index, place) = self.connections.vacancy()?;
        *place = Some(Connection::new(socket, worker, &self.supervisor, index).ok()?);
        self.serve(index)
    }

    /// Goes on with the connection at `index`.
    fn serve(&mut self, index: usize) -> Option<u64> {
        let connection = at(&mut self.connections, index)?;
        let worker = connection.worker;
        match connection.phase {
            Phase::Open => return self.read(index),
            Phase::Waits => {
                if connection.has_ended() {
                    self.keep(index, false);
                }
            }
            Phase::Sends(_) => self.send_event(Pair {
                worker,
                connection: index,
            }),
            Phase::Pieces(_) => return self.go_on_pieces(index),
            Phase::Lingers => {
                let is_open = connection.discard();
                self.keep(index, is_open);
            }
        }
        None
    }

    /// Reads requests, and does what they ask for.
    fn read(&mut self, index: usize) -> Option<u64> {
        for _ in 0..TURN_COUNT_MAX {
            let connection = at(&mut self.connections, index)?;
            if connection.phase != Phase::Open {
                return None;
            }
            let body_bytes_max = self.settings.body_bytes_max;
            let spare = &mut self.spare_input;
            match connection.read(&mut self.shared[..], spare, body_bytes_max) {
                Step::Nothing => return None,
                Step::Again => {
                    self.set_unread(index);
                    return None;
                }
                Step::Gone => {
                    self.keep(index, false);
                    return None;
                }
                Step::Refused(reject) => {
                    self.refuse(index, reject);
                    return None;
                }
                Step::Request => {
                    if let Some(number) = self.take(index) {
                        return Some(number);
                    }
                }
            }
        }
        self.set_unread(index);
        None
    }

    /// There is more to be read on a connection, but others have their turn first.
    fn set_unread(&mut self, index: usize) {
        if let Some(connection) = at(&mut self.connections, index) {
            connection.is_unread = true;
            self.supervisor.alarm(clock::monotonic_ms());
        }
    }

    /// A connection goes on with its next request: if the end came behind the last one, it is not told again.
    fn look_again(&mut self, index: usize) {
        if let Some(connection) = at(&mut self.connections, index).filter(|open| open.has_end) {
            connection.is_unread = true;
            self.has_due = true;
        }
    }

    /// Closes the connection at `index`, unless it goes on. If there is more to read on it, that is looked at next.
    fn keep(&mut self, index: usize, is_open: bool) {
        let Some(place) = self.connections.get_mut(index) else {
            return;
        };
        if !is_open {
            *place = None;
            self.desk.leave(index);
        } else if let Some(connection) = place {
            let is_unread = connection.is_unread;
            self.supervisor.alarm(connection.until_ms);
            if is_unread {
                self.supervisor.alarm(clock::monotonic_ms());
            }
        }
    }

    fn reply(&mut self, index: usize, told: Told, dialect: Dialect) {
        let connection = at(&mut self.connections, index);
        let is_open = connection.is_some_and(|connection| connection.reply(told, dialect));
        self.keep(index, is_open);
    }

    /// A request breaks a rule or a bound. If it is an answer that is lost by that, its call fails.
    fn refuse(&mut self, index: usize, reject: Reject) {
        let Self {
            connections,
            shared,
            desk,
            ..
        } = self;
        let Some(connection) = at(connections, index) else {
            return;
        };
        let worker = connection.worker;
        let fault = match reject {
            Reject::BodyTooLarge => Some(Fault::TooLong),
            Reject::OutOfMemory => Some(Fault::Start(Errno::AGAIN)),
            Reject::Incomplete => Some(Fault::Truncated),
            _ => None,
        };
        let mut fields = head::fields();
        let come = connection.front(&shared[..]);
        let fault = match head::parse(Kind::Request, come, &mut fields) {
            Ok(Parsed::Done(head)) => {
                let Asked { ask, id, .. } = Asked::of(&head);
                let is_answer = matches!(ask, Ask::Answer | Ask::Error);
                fault.filter(|_| is_answer && desk.claim(worker, id).is_ok())
            }
            _ => None,
        };
        let is_open = connection.refuse(reject);
        self.keep(index, is_open);
        if let Some(fault) = fault {
            self.fail(worker, fault);
        }
    }

    /// The answer of a worker comes to nothing. If it has broken off, the worker may be about to end: then that is why.
    fn fail(&mut self, worker: usize, fault: Fault) {
        let Some(call) = self.desk.settle(worker) else {
            return;
        };
        call.fault.get_or_insert(fault);
        self.has_due = true;
        if fault == Fault::Truncated {
            call.state = State::Runs;
            call.signal_ms = clock::monotonic_ms() + BURIAL_MS;
        }
        self.supervisor.alarm(clock::monotonic_ms());
    }

    /// Does what a request asks for. Returns the number of a call that it is the answer to.
    fn take(&mut self, index: usize) -> Option<u64> {
        let connection = at(&mut self.connections, index)?;
        let connection::Request {
            ask,
            dialect,
            head_len,
            end,
            ..
        } = connection.request;
        if matches!(ask, Ask::Answer | Ask::Error) {
            return self.take_answer(index);
        }
        let worker = connection.worker;
        let memory = connection.finish(&self.shared[..]);
        let told = match ask {
            Ask::Next | Ask::ExtensionNext => {
                connection.phase = Phase::Waits;
                let has_end = connection.has_end;
                keep(memory, &mut self.spare_input, &mut self.supervisor);
                if ask == Ask::Next {
                    self.set_ready(worker, dialect);
                }
                if has_end {
                    // It has gone already.
                    self.keep(index, false);
                } else if ask == Ask::Next {
                    // One that was told to end would not live to answer.
                    let its = self.workers.at(worker);
                    if its.is_some_and(|its| its.server.is_alive() && !its.server.is_told)
                        && let Some(pair) = self.desk.ask(worker, index)
                    {
                        self.send_event(pair);
                    }
                    self.pair();
                }
                return None;
            }
            Ask::Ready => {
                self.set_ready(worker, dialect);
                Told::Taken
            }
            Ask::Register => {
                self.has_extension = true;
                Told::Registered
            }
            Ask::Restored => Told::Empty,
            Ask::InitError | Ask::RestoreError if !self.workers.program.was_ready => {
                let place = memory.as_deref().unwrap_or(&self.shared[..]);
                let body = bytes::slice(place, head_len..end);
                let kind = field(place, asks::ERROR_TYPE).unwrap_or_default();
                let error = reported(&mut self.workers.program.kinds, kind, body);
                self.init_error = Some(error);
                Told::Taken
            }
            Ask::InitError | Ask::RestoreError => Told::Again,
            _ => Told::NotFound,
        };
        self.reply(index, told, dialect);
        None
    }

    /// A worker has asked: it is there, in the words of that API.
    fn set_ready(&mut self, worker: usize, dialect: Dialect) {
        self.dialect = dialect;
        self.workers.program.was_ready = true;
        // What one that has ended has asked for is looked at after its end.
        if let Some(its) = self.workers.at(worker).filter(|its| its.server.is_alive()) {
            its.server.phase = server::Phase::Ready;
        }
    }

    /// Takes the answer to an event, its failure, or the beginning of an answer in pieces.
    fn take_answer(&mut self, index: usize) -> Option<u64> {
        let Self {
            connections,
            shared,
            desk,
            ..
        } = self;
        let connection = at(connections, index)?;
        let worker = connection.worker;
        let come = connection.front(&shared[..]);
        let request = &connection.request;
        let id = request.id.clone().map(|id| bytes::slice(come, id));
        let (mode, dialect) = (request.mode, request.dialect);
        let is_error = request.ask == Ask::Error;
        let (head_len, end) = (request.head_len, request.end);
        let claimed = desk.claim(worker, id);
        let is_in_pieces = matches!(connection.phase, Phase::Pieces(_));
        if is_in_pieces && claimed.is_err() {
            // The rest of it comes, whatever it is told.
            connection.set_last();
        }
        let memory = connection.finish(&shared[..]);
        let told = match claimed {
            Err(Refused::Again) if dialect == Dialect::Scf => Told::Taken,
            Err(Refused::Again) => Told::Again,
            Err(Refused::Unknown) => Told::UnknownId,
            Ok(()) if mode == Mode::Unknown => {
                self.fail(worker, Fault::BadMode);
                Told::BadMode
            }
            Ok(()) => {
                let number = self.desk.call_of(worker).map_or(0, |call| call.number);
                // An event is sent on another connection no more.
                self.close_sending(worker);
                if let Some(worker) = self.workers.at(worker) {
                    worker.stream = Some(index).filter(|_| is_in_pieces);
                    worker.answer = Some(Answer {
                        call: number,
                        memory,
                        is_error,
                        head_len,
                        end,
                    });
                }
                if is_in_pieces {
                    return self.begin_pieces(index, worker);
                }
                self.desk.settle(worker);
                if number > 0 {
                    self.owed = Some((index, dialect));
                    return Some(number);
                }
                // Nobody takes it: the caller has gone. The worker has served the call all the same.
                self.workers.served(worker);
                Told::Taken
            }
        };
        self.reply(index, told, dialect);
        None
    }

    /// An answer in pieces has begun. Nobody is told before there are status and headers, if it begins with them.
    fn begin_pieces(&mut self, index: usize, worker: usize) -> Option<u64> {
        let call = self.desk.call_of(worker)?;
        let (number, is_request) = (call.number, call.is_request);
        let Worker {
            answer,
            is_collecting,
            is_waiting,
            ..
        } = self.workers.at(worker)?;
        let answer = answer.as_mut()?;
        let come = answer.memory.as_deref().unwrap_or(&self.shared[..]);
        let content_type = field(come, "content-type").unwrap_or_default();
        let is_http = is_request || self.is_streaming;
        *is_collecting = number > 0 && is_http && is_prelude_type(content_type);
        *is_waiting = false;
        if number == 0 {
            return self.discard(index, worker);
        }
        if !*is_collecting {
            return Some(number);
        }
        let room = answer.head_len + COLLECTED_BYTES_MAX;
        let grown = answer.own(&self.shared[..], room);
        if grown.is_err() {
            self.keep(index, false);
            self.fail(worker, Fault::Start(Errno::AGAIN));
            return None;
        }
        self.collect(index, worker)
    }

    /// More has come of an answer in pieces.
    fn go_on_pieces(&mut self, index: usize) -> Option<u64> {
        let worker = at(&mut self.connections, index)?.worker;
        let call = self.desk.call_of(worker);
        let number = call.map_or(0, |call| call.number);
        let its = self.workers.at(worker)?;
        if number == 0 {
            return self.discard(index, worker);
        }
        if its.is_collecting {
            return self.collect(index, worker);
        }
        mem::take(&mut its.is_waiting).then_some(number)
    }

    /// Reads on up to the end of status and headers.
    fn collect(&mut self, index: usize, worker: usize) -> Option<u64> {
        let Self {
            connections,
            workers,
            desk,
            ..
        } = self;
        let its = workers.at(worker)?;
        let Answer {
            memory: Some(memory),
            head_len,
            end,
            ..
        } = its.answer.as_mut()?
        else {
            return None;
        };
        let connection = at(connections, index)?;
        let mut has_ended = false;
        let fault = loop {
            let body = bytes::slice(memory, *head_len..*end);
            match url_answer::prelude_len(body) {
                Ok(None) => {}
                Ok(Some(_)) => {
                    its.is_collecting = false;
                    return desk.call_of(worker).map(|call| call.number);
                }
                Err(_) => break Fault::BadReply,
            }
            let room = memory.len();
            let mut piece = Writer::new(bytes::slice_mut(memory, *end..room));
            if has_ended || piece.room() == 0 {
                break Fault::BadReply;
            }
            let came = connection.read_piece(&mut piece);
            *end += piece.written().len();
            match came {
                Piece::More => {}
                Piece::Wait => return None,
                Piece::End => has_ended = true,
                Piece::Broken => break Fault::Truncated,
            }
        };
        self.end_stream(worker, fault == Fault::BadReply && has_ended);
        self.fail(worker, fault);
        None
    }

    /// Throws away what comes of an answer in pieces that nobody takes.
    fn discard(&mut self, index: usize, worker: usize) -> Option<u64> {
        for _ in 0..TURN_COUNT_MAX {
            let connection = at(&mut self.connections, index);
            let mut place = Writer::new(&mut self.shared[..]);
            let came = connection.map_or(Piece::Broken, |connection| {
                connection.read_piece(&mut place)
            });
            match came {
                Piece::More => {}
                Piece::Wait => return None,
                came => {
                    self.end_stream(worker, came == Piece::End);
                    self.desk.settle(worker);
                    return None;
                }
            }
        }
        self.set_unread(index);
        None
    }

    /// Nothing more is taken of the answer in pieces of a worker. Its connection goes on if that was all.
    fn end_stream(&mut self, worker: usize, is_whole: bool) {
        let Some(its) = self.workers.at(worker) else {
            return;
        };
        let Some(index) = its.stream.take() else {
            return;
        };
        its.answer = None;
        // One that has ended is not started again before that.
        self.supervisor.alarm(clock::monotonic_ms());
        if !is_whole {
            return self.keep(index, false);
        }
        if let Some(connection) = at(&mut self.connections, index) {
            connection.end_pieces();
        }
        self.reply(index, Told::Taken, Dialect::Lambda);
        self.look_again(index);
    }

    /// Closes the connections on which the event of a worker is still being sent that it has answered already.
    fn close_sending(&mut self, worker: usize) {
        for place in self.connections.iter_mut() {
            let is_sending = |connection: &Connection| {
                connection.worker == worker && matches!(connection.phase, Phase::Sends(_))
            };
            if place.as_ref().is_some_and(is_sending) {
                *place = None;
            }
        }
    }

    /// Answers the call of that number: with what its worker has answered, or why it failed.
    ///
    /// # Errors
    /// It failed.
    #[inline(never)]
    pub fn answer<'a>(
        &'a mut self,
        number: u64,
        is_http: bool,
        response: &mut Response<'a>,
        report: &mut Report<'a>,
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        let Some(call) = self.desk.calls.numbered(number) else {
            return Err(failure::known(Fault::TimedOut));
        };
        let (worker, fault, is_request) = (call.worker, call.fault, call.is_request);
        let its = self.workers.at(worker).filter(|_| fault.is_none());
        let (answer, stream) = its.map_or((None, None), |its| (its.answer.take(), its.stream));
        // One that nobody has taken is that of an earlier call.
        let answer = answer.filter(|answer| answer.call == number);
        if answer.is_some() && stream.is_some() {
            call.state = State::Runs;
        } else {
            call.number = 0;
        }
        // What has waited for the end of this call goes on.
        self.has_due = true;
        if let Some(fault) = fault {
            self.end_stream(worker, false);
            if matches!(fault, Fault::Truncated | Fault::BadReply) {
                report.status = BAD_GATEWAY;
            }
            return Err(failure::known(fault));
        }
        let Some(Answer {
            memory,
            is_error,
            head_len,
            end,
            ..
        }) = answer
        else {
            report.status = BAD_GATEWAY;
            return Err(self.workers.death(worker));
        };
        self.workers.served(worker);
        self.answered = memory;
        let come = self.answered.as_deref().unwrap_or(&self.shared[..]);
        let body = bytes::slice(come, head_len..end);
        if is_error {
            let kind = field(come, asks::ERROR_TYPE).unwrap_or_default();
            if json::parse(body).is_some() {
                report.json = body;
            }
            return Err(reported(&mut self.workers.program.kinds, kind, body));
        }
        response.body = body;
        let has_head = is_request || stream.is_some();
        if is_http && has_head {
            // Whatever is wrong with it, the worker has made it so.
            report.status = BAD_GATEWAY;
            let place = &mut self.unescaped;
            let given = give(come, body, stream.is_some(), place, response);
            if let (Err(_), Some(index)) = (&given, stream) {
                // The rest is thrown away.
                if let Some(call) = self.desk.calls.numbered(number) {
                    call.number = 0;
                }
                if let Some(connection) = at(&mut self.connections, index) {
                    connection.is_unread = true;
                }
            }
            given?;
        } else if is_http {
            response.put("Content-Type", self.settings.content_type);
        }
        if stream.is_some() {
            cx.stream(number);
        }
        Ok(())
    }

    /// The next piece of the answer that goes on under that number.
    ///
    /// # Errors
    /// The worker broke it off, says that it has failed, or the time is over.
    pub fn piece(&mut self, number: u64, piece: &mut Writer<'_>) -> Result<Flow, Error> {
        let Some(call) = self.desk.calls.numbered(number) else {
            return Ok(Flow::End);
        };
        let (worker, fault) = (call.worker, call.fault);
        let its = self.workers.at(worker);
        let index = its.and_then(|its| its.stream).unwrap_or(usize::MAX);
        let connection = at(&mut self.connections, index).filter(|_| fault.is_none());
        let is_full = piece.room() == 0;
        let came = connection.map_or(Piece::Broken, |connection| connection.read_piece(piece));
        match came {
            // It is too long, as whoever asks will say: the worker is told so by the end of its connection.
            Piece::More if is_full => {}
            Piece::More => return Ok(Flow::More),
            Piece::Wait => {
                if let Some(its) = self.workers.at(worker) {
                    its.is_waiting = true;
                }
                return Ok(Flow::Wait(Duration::MAX));
            }
            Piece::Broken if fault.is_none() && self.breaks(worker, index) => {
                return Ok(Flow::Wait(Duration::from_millis(BURIAL_MS)));
            }
            Piece::End | Piece::Broken => {}
        }
        let is_alive = |its: &mut Worker| its.server.is_alive();
        let end = match (came, fault) {
            (Piece::End, _) => self.trailing_error(index),
            (Piece::More, _) => Ok(Flow::More),
            (_, Some(fault)) => Err(failure::known(fault)),
            _ if self.workers.at(worker).is_some_and(is_alive) => {
                Err(failure::known(Fault::Truncated))
            }
            _ => Err(self.workers.death(worker)),
        };
        self.end_stream(worker, came == Piece::End);
        self.desk.settle(worker);
        if let Some(call) = self.desk.calls.numbered(number) {
            (call.number, call.state) = (0, State::Ended);
        }
        end
    }

    /// An answer in pieces has broken off. Returns whether its worker may be about to end, so that this is why.
    fn breaks(&mut self, worker: usize, index: usize) -> bool {
        self.keep(index, false);
        let Some(its) = self.workers.at(worker) else {
            return false;
        };
        let is_first = its.stream.replace(NO_CONNECTION) != Some(NO_CONNECTION);
        is_first && its.server.is_alive()
    }

    /// All of an answer in pieces has come.
    ///
    /// # Errors
    /// It ends with a failure, which is in the trailer section.
    fn trailing_error(&mut self, index: usize) -> Result<Flow, Error> {
        let connection = at(&mut self.connections, index);
        let trailer = |name| connection.as_ref().and_then(|open| open.trailer(name));
        let Some(kind) = trailer(asks::ERROR_TYPE) else {
            return Ok(Flow::End);
        };
        let body = trailer(asks::ERROR_BODY).unwrap_or_default();
        let mut place = [0; ERROR_BYTES_MAX];
        let len = body.len().min(ERROR_BYTES_MAX / 4 * 4);
        bytes::copy(&mut place, bytes::slice(body, 0..len));
        let body = gateway::decode_base64(bytes::slice_mut(&mut place, 0..len));
        let kinds = &mut self.workers.program.kinds;
        Err(reported(kinds, kind, body.unwrap_or_default()))
    }

    /// Nobody waits for the answer any more, or for the rest of it: the worker goes on all the same.
    pub fn abandon(&mut self, number: u64) {
        let Some(call) = self.desk.calls.numbered(number) else {
            return;
        };
        call.number = 0;
        let (worker, state) = (call.worker, call.state);
        if worker == calls::NO_WORKER {
            call.state = State::Ended;
        }
        let its = self.workers.at(worker).filter(|_| state == State::Runs);
        if let Some(index) = its.and_then(|its| its.stream) {
            self.discard(index, worker);
        }
    }

    /// Takes away what has ended.
    fn reap(&mut self) {
        self.supervisor.forget_ends();
        for _ in 0..REAP_COUNT_MAX {
            let Ok(Some(end)) = wait::ended(None) else {
                break;
            };
            if let Some(worker) = self.workers.of_process(end.process) {
                self.bury(worker, end.status);
            }
            // There is no way for it to fail.
            let _ = wait::reap(end.process);
        }
    }

    /// The process of a worker has ended. What it has said before counts, even if its end was heard of first.
    fn bury(&mut self, worker: usize, status: Status) {
        let call = self.desk.call_of(worker);
        self.workers.bury(worker, status, call.as_deref());
        for _ in 0..WORKER_CONN_COUNT_MAX {
            self.accept(worker);
            self.save_answer(worker);
        }
        for index in 0..self.connections.len() {
            let connection = at(&mut self.connections, index);
            if connection.is_some_and(|connection| connection.worker == worker) {
                self.serve(index);
                self.save_answer(worker);
            }
        }
        let call = self.desk.call_of(worker);
        let mark = self
            .workers
            .program
            .mark(call.as_deref().map_or(b"", Call::id));
        if let Some(its) = self.workers.at(worker) {
            its.server.drain_log(mark);
        }
        self.desk.vacate(worker);
        // What it has sent of an answer in pieces is still there to be read.
        let its = self.workers.at(worker).filter(|its| !its.is_collecting);
        let (mut stream, mut is_begun) = (its.as_ref().and_then(|its| its.stream), false);
        if let Some(its) = its {
            is_begun = stream.is_some() && its.answer.is_none();
            // Whoever waits for more was not told of what has come by now.
            its.is_due |= is_begun;
        }
        match self.desk.call_of(worker) {
            Some(call) if call.state == State::Runs && !is_begun => {
                call.state = State::Ended;
                call.fault = call.fault.filter(|fault| *fault != Fault::Truncated);
            }
            Some(_) => {}
            None => stream = None,
        }
        if stream.is_none() {
            self.end_stream(worker, false);
        }
        for (index, place) in self.connections.iter_mut().enumerate() {
            let is_its = |connection: &Connection| connection.worker == worker;
            if place.as_ref().is_some_and(is_its) && stream != Some(index) {
                *place = None;
            }
        }
        if self.workers.program.is_hopeless() {
            for call in self.desk.calls.iter_mut() {
                if call.state == State::Waits {
                    (call.state, call.worker) = (State::Ended, worker);
                }
            }
        }
        self.has_due = true;
        self.supervisor.alarm(clock::monotonic_ms());
    }

    /// What a worker has answered lies in memory of its own from now on: others are about to be read to the shared place.
    fn save_answer(&mut self, worker: usize) {
        self.owed = None;
        let Some(its) = self.workers.at(worker) else {
            return;
        };
        let Some(answer) = &mut its.answer else {
            return;
        };
        if answer.memory.is_none() && answer.own(&self.shared[..], answer.end).is_err() {
            its.answer = None;
        }
    }

    fn read_log(&mut self, worker: usize) {
        let call = self.desk.call_of(worker);
        let id = call.as_deref().map_or(&b""[..], Call::id);
        self.workers.read_log(worker, id);
    }

    /// Does what is due by now, and sets when something is next.
    fn tick(&mut self) {
        let now_ms = clock::monotonic_ms();
        let mut next_ms = NEVER;
        self.has_due = true;
        let mut has_waited = false;
        for spare in [&mut self.spare, &mut self.spare_input, &mut self.unescaped] {
            spare.take_if(|memory| memory.len() > SPARE_BYTES_MAX);
        }
        for call in self.desk.calls.iter_mut() {
            if !matches!(call.state, State::Waits | State::Runs) {
                continue;
            }
            if call.signal_ms > now_ms {
                next_ms = next_ms.min(call.signal_ms);
                continue;
            }
            has_waited |= call.state == State::Waits;
            call.signal_ms = NEVER;
            let its = self.workers.at(call.worker);
            if let Some(its) = its.filter(|_| call.fault.is_none()) {
                its.server.terminate(now_ms + call.margin_ms / 2);
                let is_begun = its.stream.is_some() && its.answer.is_none();
                let is_due = is_begun && its.is_waiting && call.number > 0;
                (its.is_due, its.is_waiting) = (is_due, false);
                if is_begun {
                    // It fails when the next piece is asked for: that may be never, and its worker does not wait for it.
                    call.fault = Some(Fault::TimedOut);
                    if call.number == 0 {
                        call.state = State::Ended;
                    } else if !its.is_due {
                        call.worker = calls::NO_WORKER;
                    }
                    continue;
                }
            }
            call.fault.get_or_insert(Fault::TimedOut);
            call.state = State::Ended;
        }
        for worker in 0..self.workers.len() {
            if let Some(its) = self.workers.at(worker).filter(|its| its.server.is_told) {
                let has_stream = its.stream.is_some();
                self.desk.dismiss(worker);
                if has_stream && self.desk.call_of(worker).is_none() {
                    self.end_stream(worker, false);
                }
            }
            // One that has not asked again for so long does not.
            if has_waited
                && self.is_stuck(worker)
                && let Some(its) = self.workers.at(worker)
            {
                its.server.terminate(now_ms + MARGIN_MS_MAX / 2);
            }
            next_ms = next_ms.min(self.workers.tick(worker, now_ms, &self.supervisor));
        }
        for place in self.connections.iter_mut() {
            let Some(connection) = place else {
                continue;
            };
            if connection.until_ms <= now_ms {
                *place = None;
            } else {
                next_ms = next_ms.min(connection.until_ms);
            }
        }
        self.supervisor.set(next_ms);
    }

    /// Whether a worker neither has a call nor asks for one.
    fn is_stuck(&mut self, worker: usize) -> bool {
        let is_ready =
            |its: &mut Worker| its.server.phase == server::Phase::Ready && its.server.is_alive();
        self.workers.at(worker).is_some_and(is_ready)
            && !self.desk.waits(worker)
            && self.desk.call_of(worker).is_none_or(|call| call.is_over())
    }

    /// Ends the workers: they are asked to, and a moment later they are killed.
    pub fn end(&mut self) {
        let end_ms = clock::monotonic_ms() + MARGIN_MS_MAX;
        self.workers.each(|server| server.terminate(end_ms));
        let mut kill_count = 0;
        while kill_count <= KILL_COUNT_MAX && self.workers.are_alive() {
            let mut left_ms = end_ms.saturating_sub(clock::monotonic_ms());
            if left_ms == 0 {
                self.workers.each(Server::kill);
                left_ms = BURIAL_MS;
                kill_count += 1;
            }
            self.batch.wait(&self.supervisor, left_ms);
            for worker in 0..self.workers.len() {
                self.read_log(worker);
            }
            self.reap();
        }
    }
}

/// Room for what an answer in pieces begins with up to the end of status and headers.
const COLLECTED_BYTES_MAX: usize = 2 * PRELUDE_BYTES_MAX;

/// Room for the failure that an answer in pieces ends with; more is cut.
const ERROR_BYTES_MAX: usize = 8 * 1024;

/// Puts the response that an answer to an HTTP request is into `response`: the answer as it came, and its body, or the
/// beginning of it.
#[inline(never)]
fn give<'a>(
    come: &'a [u8],
    body: &'a [u8],
    is_in_pieces: bool,
    place: &'a mut Option<Mapping>,
    response: &mut Response<'a>,
) -> Result<(), Error> {
    if is_in_pieces {
        let content_type = field(come, "content-type").unwrap_or_default();
        if !is_prelude_type(content_type) {
            if !content_type.is_empty() {
                response.put("Content-Type", content_type);
            }
            return Ok(());
        }
    }
    let memory = Mapping::reuse(place, url_answer::answer_room(body));
    let place = place.insert(memory.map_err(failure::start)?);
    if is_in_pieces {
        url_answer::read_prelude(body, place, response)
    } else {
        url_answer::read_answer(body, place, response)
    }
}

/// Whether an answer in pieces of that type begins with status and headers.
fn is_prelude_type(content_type: &[u8]) -> bool {
    let media_type = bytes::trim(bytes::before(content_type, b';'));
    bytes::is_word_ignore_case(media_type, PRELUDE_TYPE)
}

/// The value of a field of the request at the front of `come`.
fn field<'a>(come: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut fields = head::fields();
    let Ok(Parsed::Done(head)) = head::parse(Kind::Request, come, &mut fields) else {
        return None;
    };
    let value = head.headers.get(name)?;
    let at = bytes::position(come, value)?;
    Some(bytes::slice(come, at..at + value.len()))
}

/// The failure that a worker tells of, in JSON as Lambda has it or in words, and by a type, if it says that beside it.
#[inline(never)]
fn reported(kinds: &mut Kinds, kind: &[u8], body: &[u8]) -> Error {
    let value = json::parse(body).unwrap_or_default();
    let (mut kind_place, mut message_place) = ([0; ERROR_KIND_BYTES_MAX], [0; MESSAGE_BYTES_MAX]);
    let text = |name| value.member(name).string();
    let own = text(b"errorType").map(|text| text.unescaped(&mut kind_place));
    let message = text(b"errorMessage").map(|text| text.unescaped(&mut message_place));
    let kind = if kind.is_empty() {
        own.unwrap_or_default()
    } else {
        kind
    };
    Error::of(kinds.keep(kind), &[message.unwrap_or(body)])
}

/// Keeps memory for what comes next. If it is long, [`Api::tick`] gives it back a moment later.
#[inline(never)]
fn keep(memory: Option<Mapping>, spare: &mut Option<Mapping>, supervisor: &mut Supervisor) {
    if let Some(memory) = memory {
        if memory.len() > SPARE_BYTES_MAX {
            supervisor.alarm(clock::monotonic_ms() + WARM_IDLE_MS);
        }
        *spare = Some(memory);
    }
}

/// The connection at `index`, if there is one.
#[inline(never)]
fn at(connections: &mut List<Option<Connection>>, index: usize) -> Option<&mut Connection> {
    connections.get_mut(index)?.as_mut()
}

/// Room for the head of an event.
const HEAD_ROOM_BYTES: usize = HEAD_BYTES_MAX + 2048;

/// Whether an id can stand in a path as it is.
fn is_segment(id: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || bytes::has(b"-_.~", *byte);
    !id.is_empty() && id.iter().all(is_plain)
}
