//! One connection: read, answer, write what is left, end.
//!
//! ```text
//!            ┌──── everything sent ────┐
//!            ▼                         │
//!   open → Open ── not all taken ──→ Sending
//!            │                         │ that was the last answer
//!            │ last answer, refusal    ▼
//!            └────────────────────→ Lingering ──→ closed
//! ```
//!
//! A request that comes in one piece is served from the shared scratch buffer; only one that does
//! not owns a [`Mapping`], until it is answered. What the kernel does not take of an answer waits in
//! that mapping: where it lies, if it lies there, else copied once.

use super::caller::Reply;
use super::shared::Shared;
use crate::bytes::{self, Writer};
use crate::handler::Handler;
use crate::http::exchange::{Exchange, Need, Step};
use crate::http::{Kind, Persist, Reject, head, write};
use crate::limits::{LINGER_LAST_MS_MAX, LINGER_MS_MAX};
use crate::net::pool::Pool;
use crate::sys::clock::{self, NEVER};
use crate::sys::epoll::Interest;
use crate::sys::fd::Io;
use crate::sys::memory::Mapping;
use crate::sys::signal;
use crate::sys::socket::Socket;

/// What a connection waits for after it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Read,
    Write,
    Close,
}

/// An accepted connection.
#[derive(Debug)]
pub struct Connection {
    pub socket: Socket,
    /// What the kernel was asked to tell about the socket.
    pub interest: Interest,
    phase: Phase,
    /// What happens when everything is sent.
    persist: Persist,
    /// The peer has sent everything it will ever send.
    peer_is_done: bool,
    exchange: Exchange,
    /// Present while a request or an answer is incomplete.
    buffer: Option<Mapping>,
    /// Where in the buffer the input lies that was not yet taken: `input.from == 0` but for
    /// `Sending`.
    input: Span,
    /// Where in the buffer the output lies that was not yet sent.
    output: Span,
    /// While `Open`: how far the buffer may be filled.
    room: u32,
    /// When to give up, on the monotonic clock: `NEVER`, but while `Lingering`.
    deadline_ms: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    Sending,
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

/// Reads in a row from one connection, before the others get their turn.
const READ_COUNT_MAX: usize = 8;

/// Bytes thrown away by one call while lingering.
const DISCARD_BYTES: usize = 1024 * 1024;

impl Connection {
    pub fn new(socket: Socket) -> Self {
        Self {
            socket,
            interest: Interest::Read,
            phase: Phase::Open,
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
        match self.phase {
            Phase::Open => self.read(shared),
            Phase::Sending => self.write(shared),
            Phase::Lingering => self.discard(),
        }
    }

    /// Whether nothing has come of a next request and nothing is left of an answer.
    pub fn is_idle(&self) -> bool {
        self.phase == Phase::Open && self.buffer.is_none()
    }

    /// When to give the connection up; `NEVER` while it may take its time.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Gives back what the connection holds.
    pub fn release<H>(mut self, shared: &mut Shared<H>) {
        if let Some(mapping) = self.buffer.take() {
            shared.pool.put(mapping);
        }
    }

    fn read<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        for _ in 0..READ_COUNT_MAX {
            let filled = self.input.to as usize;
            let place = match &mut self.buffer {
                Some(mapping) => bytes::slice_mut(mapping, filled..self.room as usize),
                None => &mut *shared.scratch,
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
        if self.input.to == 0 {
            return Want::Close;
        }
        self.refuse(shared, Reject::Incomplete)
    }

    /// Takes requests out of the input and answers them, as long as there are complete ones.
    fn take<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        let body_bytes_max = shared.body_bytes_max;
        while !self.input.is_empty() {
            let is_owned = self.buffer.is_some();
            let place = match &mut self.buffer {
                Some(mapping) => &mut mapping[..],
                None => &mut *shared.scratch,
            };
            let mut fields = head::fields();
            let input = bytes::slice(place, self.input.range());
            // RFC 9112 §2.2: an empty line between requests is none.
            if self.exchange.is_new() && input.starts_with(b"\r\n") {
                self.input = self.input.skip(2);
                continue;
            }
            match self
                .exchange
                .advance(Kind::Request, input, &mut fields, body_bytes_max)
            {
                Ok(Step::Dispatch(message)) => {
                    self.exchange.finish();
                    self.input = self.input.skip(message.len);
                    let reply = shared.caller.call(&message);
                    self.persist = reply.persist;
                    let owned = is_owned.then_some(&place[..]);
                    let waiting = bytes::slice(place, self.input.range());
                    let sent = send(&self.socket, shared.pool, &reply, owned, waiting);
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
        if let Some(mapping) = self.buffer.take() {
            shared.pool.put(mapping);
        }
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
        self.input = Span::EMPTY;
        self.persist = Persist::Close;
        let reply = shared.caller.refuse(reject);
        let sent = send(&self.socket, shared.pool, &reply, None, &[]);
        self.sent(shared, sent).unwrap_or(Want::Close)
    }

    /// What follows from how much was sent; nothing where the next request may be taken.
    fn sent<H: Handler>(&mut self, shared: &mut Shared<H>, sent: Sent) -> Option<Want> {
        match sent {
            Sent::All if self.persist == Persist::Keep => return None,
            Sent::All => return Some(self.linger(shared)),
            Sent::Lost => return Some(Want::Close),
            Sent::Rest(output) => self.output = output,
            Sent::Copied(mapping, output) => {
                if let Some(old) = self.buffer.replace(mapping) {
                    shared.pool.put(old);
                }
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

    /// Sends what is left of an answer; nothing is read meanwhile.
    fn write<H: Handler>(&mut self, shared: &mut Shared<H>) -> Want {
        let Some(buffer) = &mut self.buffer else {
            return Want::Close;
        };
        match self.socket.send(bytes::slice(buffer, self.output.range())) {
            Io::Blocked => return Want::Write,
            Io::Closed(_) => return Want::Close,
            Io::Done(count) => self.output = self.output.skip(count),
        }
        if !self.output.is_empty() {
            return Want::Write;
        }
        if self.persist == Persist::Close {
            return self.linger(shared);
        }
        bytes::shift(buffer, self.input.range(), 0);
        self.input = Span {
            from: 0,
            to: self.input.to - self.input.from,
        };
        self.phase = Phase::Open;
        self.take(shared)
    }

    /// Ends the connection so that the last answer arrives: closing at once, with input unread,
    /// would reset it and destroy the answer on its way (RFC 9112 §9.6).
    fn linger<H>(&mut self, shared: &mut Shared<H>) -> Want {
        if let Some(mapping) = self.buffer.take() {
            shared.pool.put(mapping);
        }
        if self.peer_is_done || self.socket.shutdown_write().is_err() {
            return Want::Close;
        }
        self.phase = Phase::Lingering;
        self.deadline_ms = clock::monotonic_ms() + linger_ms();
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

/// Nobody is waited for long by a process that is to end.
fn linger_ms() -> u64 {
    if signal::terminating() {
        LINGER_LAST_MS_MAX
    } else {
        LINGER_MS_MAX
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
    let count = match socket.send_both(reply.head, reply.body) {
        Io::Done(count) => count,
        Io::Blocked => 0,
        Io::Closed(_) => return Sent::Lost,
    };
    let head = reply.head.get(count..).unwrap_or_default();
    let sent = count.saturating_sub(reply.head.len());
    let body = reply.body.get(sent..).unwrap_or_default();
    if head.is_empty() && body.is_empty() {
        return Sent::All;
    }
    let at = owned
        .filter(|_| head.is_empty())
        .and_then(|owned| bytes::position(owned, body));
    let kept = match at {
        Some(at) => Span::new(at, at + body.len()).map(Sent::Rest),
        None => copy(pool, waiting, head, body),
    };
    // Out of memory, or over 4 GiB: half an answer is worse than none.
    kept.unwrap_or(Sent::Lost)
}

/// Copies the rest of an answer behind the input that was not yet taken.
fn copy(pool: &mut Pool, waiting: &[u8], head: &[u8], body: &[u8]) -> Option<Sent> {
    let len = waiting.len() + head.len() + body.len();
    let output = Span::new(waiting.len(), len)?;
    let mut mapping = pool.take(len).ok()?;
    let mut writer = Writer::new(&mut mapping);
    for part in [waiting, head, body] {
        writer.put(part);
    }
    Some(Sent::Copied(mapping, output))
}
