//! One connection: read, answer, write what is left, end.
//!
//! ```text
//!              ┌────── everything sent ──────┐
//!              ▼                             │
//!   open ──→ Open ─── not all taken ────→ Sending
//!             │ ▲ └── goes on ──→ Streaming  │
//!             │ └─── last piece sent ──┘ │   │ that was the last answer
//!             │ last answer, refusal     ▼   ▼
//!             └───────────────────────→ Lingering ──→ closed
//! ```
//!
//! It is the same on the server's side, where requests come in and responses go out, and on the
//! client's, where responses come in and requests go out: every message has one answer. A client's
//! does not linger, and is opened again by its owner.
//!
//! A request that comes in one piece is served from the shared scratch buffer; only one that does
//! not owns a [`Mapping`], until it is answered. What the kernel does not take of an answer waits in
//! that mapping: where it lies, if it lies there, else copied once.

use core::time::Duration;

use super::caller::{Coding, Reply, Stream};
use super::config::{Config, Source};
use super::fatal;
use super::shared::Shared;
use crate::bytes::{self, Writer};
use crate::handler::{Error, Flow, Handler};
use crate::http::exchange::{Exchange, Need, Step};
use crate::http::{Kind, Persist, Reject, chunk, head, write};
use crate::limits::{LINGER_LAST_MS_MAX, LINGER_MS_MAX, PIECE_BYTES};
use crate::net::pool::Pool;
use crate::platform::Call;
use crate::platform::runtime_api::{Address, Ask};
use crate::sys::clock::{self, NEVER};
use crate::sys::epoll::Interest;
use crate::sys::fd::Io;
use crate::sys::memory::Mapping;
use crate::sys::socket::Socket;

/// What a connection waits for after it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Read,
    Write,
    /// Its deadline only.
    Nothing,
    Close,
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    pub socket: Socket,
    /// What the kernel was asked to tell about the socket, if it was asked at all.
    pub interest: Option<Interest>,
    phase: Phase,
    /// On a client's side: what was asked for last.
    pub ask: Ask,
    /// While `Streaming`: which answer it is.
    stream: Stream,
    /// While `Streaming`: whether its last piece is there.
    is_over: bool,
    /// What happens when everything is sent.
    persist: Persist,
    /// The peer has sent everything it will ever send.
    peer_is_done: bool,
    exchange: Exchange,
    /// Present while a request or an answer is incomplete.
    buffer: Option<Mapping>,
    /// Where in the buffer the input lies that was not yet taken: `input.from == 0` but for
    /// `Sending` and `Streaming`, in which it waits for the end of the answer where it is.
    input: Span,
    /// Where in the buffer the output lies that was not yet sent.
    output: Span,
    /// While `Open`: how far the buffer may be filled. While `Streaming`: how long the record is at
    /// the front of the buffer.
    room: u32,
    /// While `Lingering`: when to give up; while `Streaming`: when to go on. On the monotonic
    /// clock, or `NEVER`.
    deadline_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Sending,
    Streaming,
    Lingering,
}

/// Positions in a buffer, which are 32 bits wide to keep ten thousand idle connections small.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span {
    from: u32,
    to: u32,
}

impl Span {
    const EMPTY: Self = Self { from: 0, to: 0 };

    fn new(from: usize, to: usize) -> Option<Self> {
        Some(Self {
            from: u32::try_from(from).ok()?,
            to: u32::try_from(to).ok()?,
        })
    }

    fn range(self) -> core::ops::Range<usize> {
        self.from as usize..self.to as usize
    }

    fn is_empty(self) -> bool {
        self.from == self.to
    }

    /// Without the first `count` positions; none are left if there were fewer.
    fn skip(self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            from: self.from.saturating_add(count).min(self.to),
            to: self.to,
        }
    }

    /// With `count` more positions at the end.
    fn extend(self, count: usize) -> Self {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            from: self.from,
            to: self.to.saturating_add(count),
        }
    }
}

/// What became of an answer.
enum Sent {
    All,
    /// The rest lies in the connection's own buffer.
    Rest(Span),
    /// The rest, behind the input that was not yet taken, in a buffer of its own.
    Copied(Mapping, Span),
    /// Nothing can be sent any more.
    Lost,
}

const NO_STREAM: Stream = Stream {
    call: Call::Invoke,
    coding: Coding::Dropped,
};

/// Reads in a row from one connection, before the others get their turn.
const READ_COUNT_MAX: usize = 8;

/// Bytes thrown away by one call while lingering.
const DISCARD_BYTES: usize = 1024 * 1024;

impl Connection {
    #[inline(never)]
    pub fn new(socket: Socket) -> Self {
        Self {
            socket,
            interest: None,
            phase: Phase::Open,
            ask: Ask::Next,
            stream: NO_STREAM,
            is_over: false,
            persist: Persist::Keep,
            peer_is_done: false,
            exchange: Exchange::new(),
            buffer: None,
            input: Span::EMPTY,
            output: Span::EMPTY,
            room: 0,
            deadline_ms: NEVER,
        }
    }

    /// Does what the kernel says can be done.
    pub fn serve<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        let want = match self.phase {
            Phase::Open => Some(self.read(shared)),
            Phase::Sending => self.write(shared),
            // Nothing but the time was waited for: then the peer has gone.
            Phase::Streaming if !H::STREAMS || self.is_early() => Some(Want::Close),
            Phase::Streaming => self.go_on_streaming(shared),
            Phase::Lingering => Some(self.discard()),
        };
        want.unwrap_or_else(|| self.take(shared))
    }

    /// Whether nothing has come of a next request and nothing is left of an answer.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Open && self.buffer.is_none()
    }

    /// Whether the next piece is not yet due.
    fn is_early(&self) -> bool {
        self.interest == Some(Interest::Nothing) && clock::monotonic_ms() < self.deadline_ms
    }

    /// On a client's side: whether a part of an event is there, or an answer is on its way.
    pub fn is_busy(&self) -> bool {
        match self.phase {
            Phase::Open => self.buffer.is_some(),
            Phase::Sending => matches!(self.ask, Ask::Response | Ask::Error),
            Phase::Streaming => true,
            Phase::Lingering => false,
        }
    }

    /// Whether nothing but the peer's end is waited for.
    pub fn is_lingering(&self) -> bool {
        self.phase == Phase::Lingering
    }

    /// When something is to be done without an event; `NEVER` while it may take its time.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Lingers no longer than a process may that is to end.
    pub fn hurry(&mut self, now_ms: u64) {
        self.deadline_ms = self.deadline_ms.min(now_ms + LINGER_LAST_MS_MAX);
    }

    /// Gives back what the connection holds.
    pub fn release<H: Handler>(&mut self, shared: &mut Shared<H>) {
        if H::STREAMS && self.phase == Phase::Streaming && !self.is_over {
            let record = bytes::slice(self.bytes(), 0..self.room as usize);
            if let Some((state, _, head)) = recorded(record) {
                shared.caller.abandon(head, self.stream, state);
            }
        }
        self.give_back(shared);
    }

    /// Owns no buffer from now on.
    fn give_back<H>(&mut self, shared: &mut Shared<H>) {
        if let Some(mapping) = self.buffer.take() {
            shared.pool.put(mapping);
        }
    }

    fn read<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        for _ in 0..READ_COUNT_MAX {
            let filled = self.input.to as usize;
            let place = match &mut self.buffer {
                Some(mapping) => bytes::slice_mut(mapping, filled..self.room as usize),
                None => &mut shared.scratch[..],
            };
            let room = place.len();
            match self.socket.recv(place) {
                Io::Done(0) => return self.read_end(shared),
                Io::Done(count) => {
                    if self.buffer.is_none() {
                        shared.note_scratch(count);
                    }
                    self.input = self.input.extend(count);
                    let want = self.take(shared);
                    // A request is still incomplete, and the kernel may have more of it.
                    let goes_on = self.buffer.is_some() && count == room;
                    if want != Want::Read || self.phase != Phase::Open || !goes_on {
                        return want;
                    }
                }
                Io::Blocked => return Want::Read,
                Io::Closed(_) => return Want::Close,
            }
        }
        Want::Read
    }

    /// The peer has half-closed. It may still wait for an answer, but only a refusal is left to
    /// say, if anything.
    fn read_end<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        self.peer_is_done = true;
        if self.input.to == 0 || shared.caller.kind() == Kind::Response {
            return Want::Close;
        }
        self.refuse(shared, Reject::Incomplete)
    }

    /// Takes requests out of the input and answers them, as long as there are complete ones.
    fn take<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        let body_bytes_max = shared.caller.page.config.body_bytes_max;
        let kind = shared.caller.kind();
        while !self.input.is_empty() {
            let is_owned = self.buffer.is_some();
            let place = match &mut self.buffer {
                Some(mapping) => &mut mapping[..],
                None => &mut shared.scratch[..],
            };
            let input = bytes::slice(place, self.input.range());
            // RFC 9112 §2.2: an empty line between requests is none.
            if self.exchange.is_new() && matches!(input, [b'\r', b'\n', ..]) {
                self.exchange.finish();
                self.input = self.input.skip(2);
                continue;
            }
            let mut fields = head::fields();
            match self
                .exchange
                .advance(kind, input, &mut fields, body_bytes_max)
            {
                Ok(Step::Dispatch(message)) => {
                    self.exchange.finish();
                    self.input = self.input.skip(message.len);
                    // The answer to an event that came on a last response needs a connection.
                    if kind == Kind::Response && message.persist == Persist::Close {
                        let Some(socket) = reconnect(&shared.caller.page.config) else {
                            return Want::Close;
                        };
                        (self.socket, self.interest) = (socket, None);
                    }
                    let head_bytes = bytes::slice(input, 0..message.head.len);
                    let now_ms = shared.caller.now_ms();
                    let reply = shared.caller.call(&message, &mut self.ask);
                    self.persist = reply.persist;
                    let waiting = bytes::slice(place, self.input.range());
                    let rest = reply.rest.filter(|_| H::STREAMS);
                    if let Some((stream, state)) = rest
                        && stream.coding.goes_on()
                    {
                        let begun = begin(shared.pool, &reply, state, now_ms, head_bytes, waiting);
                        if begun.is_none() {
                            shared.caller.abandon(head_bytes, stream, state);
                        }
                        if let Some(want) = self.begun(shared, stream, begun) {
                            return want;
                        }
                        continue;
                    }
                    let owned = is_owned.then_some(&place[..]);
                    let sent = match rest {
                        None => send(&self.socket, shared.pool, &reply, owned, waiting),
                        // What the handler does about it, and the end of its log, come before the
                        // answer: that lies where they could change it.
                        Some((stream, state)) => {
                            let parts = [reply.head, reply.body, reply.tail];
                            let kept = copy(shared.pool, waiting, parts);
                            shared.caller.abandon(head_bytes, stream, state);
                            kept.unwrap_or(Sent::Lost)
                        }
                    };
                    if let Some(want) = self.sent(shared, sent) {
                        return want;
                    }
                }
                Ok(Step::Decode) => {
                    let input = bytes::slice_mut(place, self.input.range());
                    match self.exchange.decode(input, body_bytes_max) {
                        Ok(None) => {}
                        Ok(Some(need)) => return self.make_room(shared, need),
                        Err(reject) => return self.refuse(shared, reject),
                    }
                }
                Ok(Step::Read(need)) => return self.make_room(shared, need),
                Ok(Step::Continue(need)) => return self.go_on(shared, need),
                Err(reject) => return self.refuse(shared, reject),
            }
        }
        self.rest(shared)
    }

    /// Nothing is left of the input: an idle connection owns no buffer.
    fn rest<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        self.input = Span::EMPTY;
        self.give_back(shared);
        Want::Read
    }

    /// The peer waits for leave to send the body (RFC 9110 §10.1.1).
    fn go_on<H: Handler>(&mut self, shared: &mut Shared<H>, need: Need) -> Want {
        match self.socket.send(write::CONTINUE) {
            // A peer that does not read what it was sent before can do without: it must not wait
            // for ever.
            Io::Blocked => self.make_room(shared, need),
            Io::Done(count) if count == write::CONTINUE.len() => self.make_room(shared, need),
            Io::Done(_) | Io::Closed(_) => Want::Close,
        }
    }

    /// Sees to it that the input lies at the front of a buffer with enough room.
    fn make_room<H: Handler>(&mut self, shared: &mut Shared<H>, need: Need) -> Want {
        let from = self.input.from as usize;
        let kept = from..from + need.filled;
        let done = match &mut self.buffer {
            Some(mapping) => {
                bytes::shift(mapping, kept, 0);
                shared.pool.grow(mapping, need.room)
            }
            None => shared.pool.take(need.room).map(|mut mapping| {
                bytes::copy(&mut mapping, bytes::slice(shared.scratch, kept));
                self.buffer = Some(mapping);
            }),
        };
        let (Some(input), Ok(room), Ok(())) =
            (Span::new(0, need.filled), u32::try_from(need.room), done)
        else {
            return self.refuse(shared, Reject::OutOfMemory);
        };
        (self.input, self.room) = (input, room);
        Want::Read
    }

    /// Says what was wrong, and ends the connection: nothing that follows can be trusted.
    fn refuse<H: Handler>(&mut self, shared: &mut Shared<H>, reject: Reject) -> Want {
        if shared.caller.kind() == Kind::Response {
            // Of a response to an answer only the status matters, and not much; an event is lost
            // if nobody can read it.
            if self.ask == Ask::Next {
                fatal::value("the platform's API: $", reject.reason());
            }
            shared.caller.page.note_turn(self.ask);
            return Want::Close;
        }
        self.input = Span::EMPTY;
        self.persist = Persist::Close;
        let reply = shared.caller.page.refuse(reject);
        let sent = send(&self.socket, shared.pool, &reply, None, &[]);
        self.sent(shared, sent).unwrap_or(Want::Close)
    }

    /// What follows from how much was sent; nothing where the next request may be taken.
    fn sent<H: Handler>(&mut self, shared: &mut Shared<H>, sent: Sent) -> Option<Want> {
        match sent {
            Sent::All if self.persist == Persist::Keep => return None,
            Sent::All => return Some(self.last(shared)),
            Sent::Lost => return Some(Want::Close),
            Sent::Rest(output) => self.output = output,
            Sent::Copied(mapping, output) => {
                self.give_back(shared);
                self.buffer = Some(mapping);
                self.input = Span {
                    from: 0,
                    to: output.from,
                };
                self.output = output;
            }
        }
        self.phase = Phase::Sending;
        Some(Want::Write)
    }

    /// Sends what is left of an answer; nothing is read meanwhile. Nothing is wanted where the next
    /// message may be taken.
    fn write<H: Handler>(&mut self, shared: &mut Shared<H>) -> Option<Want> {
        let Some(buffer) = &mut self.buffer else {
            return Some(Want::Close);
        };
        match self.socket.send(bytes::slice(buffer, self.output.range())) {
            Io::Blocked => return Some(Want::Write),
            Io::Closed(_) => return Some(Want::Close),
            Io::Done(count) => self.output = self.output.skip(count),
        }
        if !self.output.is_empty() {
            return Some(Want::Write);
        }
        self.next(shared)
    }

    /// An answer is sent. The next message may be taken, if there may be one: by whoever called, as
    /// its answer may end here, too, and so on for as many as a peer cares to send.
    fn next<H: Handler>(&mut self, shared: &mut Shared<H>) -> Option<Want> {
        if self.persist == Persist::Close {
            return Some(self.last(shared));
        }
        if let Some(buffer) = &mut self.buffer {
            bytes::shift(buffer, self.input.range(), 0);
        }
        self.input = Span {
            from: 0,
            to: self.input.to - self.input.from,
        };
        self.phase = Phase::Open;
        None
    }

    /// The last answer is sent.
    fn last<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        match shared.caller.kind() {
            Kind::Request => self.linger(shared),
            Kind::Response => Want::Close,
        }
    }

    /// Asks the platform, on a client's side, for something that is not an answer.
    pub fn start<H: Handler>(
        &mut self,
        shared: &mut Shared<H>,
        ask: Ask,
        failure: Option<&Error>,
    ) -> Want {
        let reply = match failure {
            Some(error) => shared.caller.page.report(error, &mut self.ask),
            None => shared.caller.page.ask(ask, None, &mut self.ask),
        };
        let sent = send(&self.socket, shared.pool, &reply, None, &[]);
        self.sent(shared, sent).unwrap_or(Want::Read)
    }

    /// An answer that goes on has its buffer: sends the beginning.
    fn begun<H: Handler>(
        &mut self,
        shared: &mut Shared<H>,
        stream: Stream,
        begun: Option<Begun>,
    ) -> Option<Want> {
        let Some(begun) = begun else {
            return Some(Want::Close);
        };
        self.give_back(shared);
        self.buffer = Some(begun.buffer);
        (self.stream, self.is_over, self.phase) = (stream, false, Phase::Streaming);
        (self.room, self.input, self.output) = (begun.record, begun.input, begun.output);
        // Pieces are short and far between: none may wait for the last one's acknowledgement.
        // Without it they only come later.
        let _ = self.socket.set_nodelay();
        self.go_on_streaming(shared)
    }

    /// Sends what is there of an answer, and asks the handler for more, in turns. Nothing is wanted
    /// where the next message may be taken.
    fn go_on_streaming<H: Handler>(&mut self, shared: &mut Shared<H>) -> Option<Want> {
        let is_collected = self.stream.coding == Coding::Collected;
        // A moment that has come is none to wake up for, whatever the socket takes.
        if self.deadline_ms != NEVER && self.deadline_ms <= clock::monotonic_ms() {
            self.deadline_ms = NEVER;
        }
        for _ in 0..READ_COUNT_MAX {
            if !is_collected && !self.output.is_empty() {
                match self
                    .socket
                    .send(bytes::slice(self.bytes(), self.output.range()))
                {
                    Io::Blocked => return Some(Want::Write),
                    Io::Closed(_) => return Some(Want::Close),
                    Io::Done(count) => self.output = self.output.skip(count),
                }
                if !self.output.is_empty() {
                    return Some(Want::Write);
                }
            }
            if self.is_over {
                return self.next(shared);
            }
            if self.deadline_ms != NEVER {
                return Some(Want::Nothing);
            }
            let want = self.pull(shared);
            if want.is_some() {
                return want;
            }
        }
        Some(Want::Write)
    }

    /// Asks the handler for the next piece, and puts it into the form in which it is sent. Says
    /// what to wait for where that is not known from what is there to be sent.
    fn pull<H: Handler>(&mut self, shared: &mut Shared<H>) -> Option<Want> {
        let coding = self.stream.coding;
        let is_chunked = coding == Coding::Chunked;
        let start = match coding {
            Coding::Collected => self.output.to as usize,
            _ => self.input.to as usize,
        };
        let size_bytes = if is_chunked { chunk::SIZE_BYTES } else { 0 };
        let Some(buffer) = &mut self.buffer else {
            return Some(Want::Close);
        };
        let (front, back) = buffer.split_at_mut_checked(start + size_bytes)?;
        let (record, _) = front.split_at_mut_checked(self.room as usize)?;
        let mut room = back.len().saturating_sub(TRAILER_ROOM_BYTES);
        if coding == Coding::Collected {
            let collected = self.output.range().len();
            let body_bytes_max = shared.caller.page.config.body_bytes_max;
            room = room.min(body_bytes_max.saturating_sub(collected));
        }
        let mut piece = Writer::new(bytes::slice_mut(back, 0..room));
        let (mut state, arrived_ms, head_bytes) = recorded(record)?;
        let result =
            shared
                .caller
                .piece(head_bytes, arrived_ms, self.stream, &mut state, &mut piece);
        let len = piece.written().len();
        bytes::copy(record, &state.to_le_bytes());
        if coding == Coding::Collected {
            self.output = self.output.extend(len);
            return self.collect(shared, &result);
        }
        let mut end = start;
        if is_chunked && len > 0 {
            let mut size = Writer::new(bytes::slice_mut(buffer, start..start + size_bytes));
            chunk::put_size(len, &mut size);
            end += size_bytes + len;
        } else if !is_chunked {
            end += len;
        }
        let mut last = Writer::new(buffer.get_mut(end..).unwrap_or_default());
        last.put(if is_chunked && len > 0 {
            chunk::DATA_END
        } else {
            b""
        });
        match result {
            Ok(Flow::More) => {}
            Ok(Flow::Wait(time)) => self.deadline_ms = later(time),
            Ok(Flow::End) => {
                self.is_over = true;
                last.put(if is_chunked { chunk::LAST } else { b"" });
            }
            Err(error) => {
                self.is_over = true;
                if !shared.caller.broken(&error, &mut last) {
                    return Some(Want::Close);
                }
            }
        }
        end += last.written().len();
        match Span::new(start, end) {
            Some(output) => self.output = output,
            None => return Some(Want::Close),
        }
        None
    }

    /// A piece is added to those that are sent together.
    fn collect<H: Handler>(
        &mut self,
        shared: &mut Shared<H>,
        result: &Result<Flow, Error>,
    ) -> Option<Want> {
        if let Ok(flow @ (Flow::More | Flow::Wait(_))) = result {
            if let Flow::Wait(time) = flow {
                self.deadline_ms = later(*time);
            }
            let len = self.output.to as usize + PIECE_BYTES;
            let Some(buffer) = &mut self.buffer else {
                return Some(Want::Close);
            };
            let has_room = buffer.len() >= len + TRAILER_ROOM_BYTES;
            let has_room = has_room || shared.pool.grow(buffer, 2 * len).is_ok();
            return (!has_room).then_some(Want::Close);
        }
        self.is_over = true;
        let place = self.buffer.as_deref().unwrap_or_default();
        let (_, _, head_bytes) = recorded(bytes::slice(place, 0..self.room as usize))?;
        let body = bytes::slice(place, self.output.range());
        let waiting = bytes::slice(place, self.input.range());
        let result = result.as_ref().map(|_| body);
        let caller = &mut shared.caller;
        let reply = caller.collected(head_bytes, self.persist, result, &mut self.ask);
        let sent = send(&self.socket, shared.pool, &reply, Some(place), waiting);
        self.sent(shared, sent)
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.as_deref().unwrap_or_default()
    }

    /// Ends the connection so that the last answer arrives: closing at once, with input unread,
    /// would reset it and destroy the answer on its way (RFC 9112 §9.6).
    fn linger<H>(&mut self, shared: &mut Shared<H>) -> Want {
        self.give_back(shared);
        if self.peer_is_done || self.socket.shutdown_write().is_err() {
            return Want::Close;
        }
        self.phase = Phase::Lingering;
        self.deadline_ms = clock::monotonic_ms() + LINGER_MS_MAX;
        self.discard()
    }

    /// Throws away what still comes, until the peer has seen the end.
    fn discard(&mut self) -> Want {
        for _ in 0..READ_COUNT_MAX {
            match self.socket.discard(DISCARD_BYTES) {
                Io::Done(0) | Io::Closed(_) => return Want::Close,
                Io::Done(_) => {}
                Io::Blocked => break,
            }
        }
        Want::Read
    }
}

/// Room that the end of an answer needs behind its last piece.
const TRAILER_ROOM_BYTES: usize = 16 * 1024;

/// What an answer that goes on begins with, in a buffer of its own: a record of the call, the input
/// that was not yet taken, and what is to be sent.
struct Begun {
    buffer: Mapping,
    /// Length of the record: the handler's state, when the message came, and its head.
    record: u32,
    input: Span,
    output: Span,
}

fn begin(
    pool: &mut Pool,
    reply: &Reply<'_>,
    state: u64,
    arrived_ms: u64,
    head: &[u8],
    waiting: &[u8],
) -> Option<Begun> {
    let record = size_of_val(&state) + size_of_val(&arrived_ms) + head.len();
    let start = record + waiting.len();
    let chunk_bytes = chunk::SIZE_BYTES + chunk::DATA_END.len();
    let len = start + reply.head.len() + chunk_bytes + reply.body.len();
    let mut buffer = pool.take(len + PIECE_BYTES + TRAILER_ROOM_BYTES).ok()?;
    let mut writer = Writer::new(&mut buffer);
    let (state, arrived) = (state.to_le_bytes(), arrived_ms.to_le_bytes());
    for part in [&state, &arrived, head, waiting] {
        writer.put(part);
    }
    let coding = reply.rest.map(|(stream, _)| stream.coding);
    // What is collected gets its head at the end.
    if coding != Some(Coding::Collected) {
        writer.put(reply.head);
    }
    if coding == Some(Coding::Chunked) {
        chunk::put(reply.body, &mut writer);
    } else {
        writer.put(reply.body);
    }
    let end = writer.written().len();
    Some(Begun {
        buffer,
        record: u32::try_from(record).ok()?,
        input: Span::new(record, start)?,
        output: Span::new(start, end)?,
    })
}

/// The handler's state, when the message came, and its head.
fn recorded(record: &[u8]) -> Option<(u64, u64, &[u8])> {
    let (state, rest) = record.split_first_chunk()?;
    let (arrived, head) = rest.split_first_chunk()?;
    Some((
        u64::from_le_bytes(*state),
        u64::from_le_bytes(*arrived),
        head,
    ))
}

fn later(time: Duration) -> u64 {
    let time_ms = u64::try_from(time.as_millis()).unwrap_or(NEVER);
    // Rounded up by one: the clock is one that ticks.
    clock::monotonic_ms()
        .saturating_add(time_ms)
        .saturating_add(1)
        .min(NEVER - 1)
}

/// Another connection to the API, for whoever asks one.
fn reconnect(config: &Config) -> Option<Socket> {
    match config.source() {
        // An event that is there is answered, even after `SIGTERM`.
        Source::Api => {
            let Address { ip, port, .. } = config.address;
            Socket::connect(ip, port).ok()
        }
        Source::Port(_) => None,
    }
}

/// Sends an answer, and keeps what the kernel does not take.
///
/// `owned` is the connection's own buffer, if it has one; `waiting` the input behind the request.
fn send(
    socket: &Socket,
    pool: &mut Pool,
    reply: &Reply<'_>,
    owned: Option<&[u8]>,
    waiting: &[u8],
) -> Sent {
    let mut parts = [reply.head, reply.body, reply.tail];
    let mut count = match socket.send_parts(&parts) {
        Io::Done(count) => count,
        Io::Blocked => 0,
        Io::Closed(_) => return Sent::Lost,
    };
    for part in &mut parts {
        let sent = count.min(part.len());
        *part = part.get(sent..).unwrap_or_default();
        count -= sent;
    }
    let [head, body, tail] = parts;
    let is_body_only = head.is_empty() && tail.is_empty();
    if is_body_only && body.is_empty() {
        return Sent::All;
    }
    let at = owned
        .filter(|_| is_body_only)
        .and_then(|owned| bytes::position(owned, body));
    let kept = match at {
        Some(at) => Span::new(at, at + body.len()).map(Sent::Rest),
        None => copy(pool, waiting, parts),
    };
    // Out of memory, or over 4 GiB: half an answer is worse than none.
    kept.unwrap_or(Sent::Lost)
}

/// Copies the rest of an answer behind the input that was not yet taken.
fn copy(pool: &mut Pool, waiting: &[u8], rest: [&[u8]; 3]) -> Option<Sent> {
    let rest_bytes: usize = rest.iter().map(|part| part.len()).sum();
    let len = waiting.len() + rest_bytes;
    let output = Span::new(waiting.len(), len)?;
    let mut mapping = pool.take(len).ok()?;
    let mut writer = Writer::new(&mut mapping);
    writer.put(waiting);
    for part in rest {
        writer.put(part);
    }
    Some(Sent::Copied(mapping, output))
}
