//! A program that asks for events as the function: `bootstrap worker` starts it, and serves it the runtime APIs of Lambda and
//! SCF, on whichever platform.
//!
//! ```text
//!   platform ── event, request ──▶ Api::begin ──▶ Desk ──▶ Connection ── event ──▶ worker
//!   platform ◀─ answer ─────────── Api::answer ◀───────── Connection ◀─ answer ───────┘
//!            ◀─ pieces ─────────── Api::piece  ◀────────────────┘
//! ```
//!
//! [`asks`] is what can be asked for, [`connection`] a connection of a worker, [`worker`] its process; [`desk`] pairs them
//! with calls. What a request comes to is in [`requests`], what the platform is told in [`answers`] and [`pieces`], and what
//! comes of ends and deadlines in [`ends`]. Here is what connects them: calls come in, and what the supervisor tells is dealt
//! with. Both sides wait: a call for its answer, a worker's question for an event.
//!
//! There is no call before the first worker has asked. One that has ended is started again, and calls wait for that.

mod answers;
mod asks;
mod connection;
mod desk;
mod ends;
mod pieces;
mod requests;
mod worker;

use core::mem::{self, MaybeUninit};

use super::calls::{self, Call, Calls, Task};
use super::failure;
use super::launch::Launch;
use super::server::Program;
use super::settings::Settings;
use super::supervisor::{Batch, Ready, Supervisor};
use crate::bytes::{self, Writer};
use crate::handler::{Context, Error, Platform, Request};
use crate::limits::{
    HEAD_BYTES_MAX, LOAD_MS_MAX, SCRATCH_BYTES, WARM_IDLE_MS, WORKER_CONN_COUNT_MAX,
};
use crate::platform::gateway::Shape;
use crate::platform::gateway::url_event::{self, Origin};
use crate::sys::clock;
use crate::sys::fd::Errno;
use crate::sys::memory::{List, Mapping, Reserved};
use crate::sys::{process, signal};
use asks::{Dialect, Told};
use connection::{Connection, Phase, Step};
use desk::{Desk, Pair};
use worker::Workers;

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

/// Requests, or pieces that nobody takes, in a row of one connection, before others get their turn.
const TURN_COUNT_MAX: usize = 64;

/// Memory that is longer is kept for the next call, or request, for a moment only.
const SPARE_BYTES_MAX: usize = 2 * HEAD_ROOM_BYTES;

/// What a worker is told of the deadline where nobody tells one.
const DEADLINE_MS: u64 = 24 * 60 * 60 * 1000;

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
        let call = Call::with(number, Task::Invoke, memory, parts, is_request, left_ms);
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
        let socket = self.workers.accept(worker, &mut self.supervisor)?;
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

    fn read_log(&mut self, worker: usize) {
        let call = self.desk.call_of(worker);
        let id = call.as_deref().map_or(&b""[..], Call::id);
        self.workers.read_log(worker, id);
    }
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
