//! One connection: read, answer, send what is left, end.
//!
//! ```text
//!              ┌────── everything sent ──────┐
//!              ▼                             │
//!   open ──→ Open ─── not all taken ────→ Sending
//!             │ ▲ └── goes on ──→ Streaming  │
//!             │ └─── last piece sent ──┘ │   │ that was the last answer
//!             │ last answer, refusal     ▼   ▼
//!             └───────────────────────→ Lingering ──→ closed
//!
//!   Open ── put off ──→ Streaming, nothing ── answer there, time over ──→ sent: Open, Sending or Lingering
//!                       of it (Coding::Later)
//!                             └── peer gone, process ends: abandoned ──→ closed
//! ```
//!
//! An answer in pieces that is sent as a whole may go from `Streaming` to `Sending`. Whatever breaks closes
//! the connection at once.
//!
//! While a call is put off ([`later`]) its connection reads nothing: a request behind it waits in the kernel,
//! or in the buffer if it has come already. Of the peer it hears a reset only. A client that sends its end
//! may still read; a client that is gone for good looks the same until something is sent to it. An API
//! that ends the connection meanwhile ends no call: the answer goes out on a new one.
//!
//! It is the same on the server's side, where requests come in and responses go out, and on the
//! client's, where responses come in and requests go out: every message has one answer. A client does not
//! linger, and may replace its socket, because an answer must outlive a connection that the API ends: what
//! is different there is in [`client`] and [`link`].
//!
//! A message that comes in one piece is served from the shared scratch buffer. Any other owns a buffer, a
//! [`Mapping`], until it is answered. What the kernel does not take of an answer waits in that buffer: where
//! it lies, if it lies there, else copied once ([`send`]). An answer in pieces has a buffer to itself
//! ([`kept`], [`streaming`]).

mod client;
mod due;
mod kept;
mod later;
mod link;
mod send;
mod span;
mod streaming;

use super::answer::{Coding, Reply, Stream};
use super::call::Caller;
use super::fatal;
use super::gateway::{self, Lent};
use super::http_events;
use super::poll;
use super::push;
use super::service::Service;
use super::side::Side;
use crate::bytes;
use crate::handler::Handler;
use crate::http::exchange::{Exchange, Message, Need, Step};
use crate::http::{Kind, Persist, Reject, head, write};
use crate::limits::{BODY_BYTES_DEFAULT, LINGER_LAST_MS_MAX, LINGER_MS_MAX};
use crate::net::pool::Pool;
use crate::platform::runtime_api::Ask;
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::Io;
use crate::sys::memory::Mapping;
use crate::sys::socket::Socket;
use kept::{Kept, Record, Streaming};
use link::Link;
use send::{Ahead, Sent, send};
use span::Span;

/// What a connection waits for after it was served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Want {
    Read,
    Write,
    /// To write, and an API may say something before it is written.
    ReadOrWrite,
    /// Its deadline only.
    Nothing,
    Close,
}

/// What follows a step of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Wait(Want),
    /// The caller takes the next message, because [`Connection::take`] is a loop. If the end of an answer
    /// called it, the stack would grow with every message that a peer cares to send.
    NextMessage,
}

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    pub link: Link,
    phase: Phase,
    exchange: Exchange,
    /// Present while a message or an answer is incomplete.
    buffer: Option<Mapping>,
    /// Where in the buffer the input lies that was not yet taken. It begins at 0, unless an answer is being
    /// sent: then it waits where it is.
    input: Span,
    /// When the connection is served without an event: on the monotonic clock, or `NEVER`.
    deadline_ms: u64,
}

/// What a connection is doing, and what only that needs. Spans are places in its buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Reads. The buffer, if there is one, may be filled up to `room`.
    Open { room: u32 },
    /// Sends what is left of a whole answer.
    Sending { output: Span },
    /// Sends an answer in pieces.
    Streaming(Streaming),
    /// Waits for the peer's end, until the deadline at the latest.
    Lingering,
}

/// Reads, or pieces of an answer, in a row for one connection before the others get their turn.
const TURN_COUNT_MAX: usize = 8;

/// Bytes thrown away by one call while lingering.
const DISCARD_BYTES: usize = 1024 * 1024;

impl Connection {
    #[inline]
    pub fn new(socket: Socket, side: Side) -> Self {
        Self {
            link: Link::new(socket, side),
            phase: Phase::Open { room: 0 },
            exchange: Exchange::new(),
            buffer: None,
            input: Span::EMPTY,
            deadline_ms: NEVER,
        }
    }

    /// Goes on with what the connection is doing: because it is new, the kernel has told something, or its
    /// deadline has come.
    pub fn serve<H: Handler>(&mut self, service: &mut Service<H>) -> Want {
        let after = match self.phase {
            Phase::Open { room } => After::Wait(self.read(service, room)),
            Phase::Sending { output } => self.write(service, output),
            Phase::Streaming(streaming)
                if H::DEFERS && streaming.stream.coding == Coding::Later =>
            {
                self.go_on_waiting(service, streaming)
            }
            Phase::Streaming(streaming) if H::STREAMS => self.go_on_streaming(service, streaming),
            Phase::Streaming(_) => After::Wait(Want::Close),
            Phase::Lingering => After::Wait(self.discard()),
        };
        let want = match after {
            After::Wait(want) => want,
            After::NextMessage => self.take(service),
        };
        if want == Want::Close && self.link.side.is_client() {
            return self.send_again(service);
        }
        want
    }

    /// Whether the connection is between two messages: nothing of the next received, nothing of the last
    /// answer unsent.
    pub fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Open { .. }) && self.buffer.is_none()
    }

    /// Whether nothing but the peer's end is waited for.
    pub fn is_lingering(&self) -> bool {
        self.phase == Phase::Lingering
    }

    /// When something is to be done without an event: on the monotonic clock, or `NEVER`.
    pub fn deadline_ms(&self) -> u64 {
        self.deadline_ms
    }

    /// Shortens the time to linger, as the process is shutting down.
    pub fn hurry(&mut self, now_ms: u64) {
        self.deadline_ms = self.deadline_ms.min(now_ms + LINGER_LAST_MS_MAX);
    }

    /// Gives back what the connection holds, and says what is lost with it.
    pub fn release<H: Handler>(&mut self, service: &mut Service<H>) {
        self.abandon(service);
        if let Some(client) = self.link.side.client() {
            let caller = &mut service.caller;
            poll::release(&mut caller.renderer, &mut caller.progress, *client);
        }
        self.give_back(service);
    }

    /// Tells the handler that nobody takes the rest of an answer, if there is more to come.
    fn abandon<H: Handler>(&mut self, service: &mut Service<H>) {
        if (H::STREAMS || H::DEFERS)
            && let Phase::Streaming(streaming) = self.phase
            && !streaming.is_over
            && let Some(record) = Record::read(self.bytes(), streaming.record_len)
        {
            let kind = self.link.side.kind();
            let caller = &mut service.caller;
            caller.abandon(kind, record.head, streaming.stream, record.state);
        }
    }

    /// Owns no buffer from now on.
    fn give_back<H>(&mut self, service: &mut Service<H>) {
        if let Some(buffer) = self.buffer.take() {
            service.pool.put(buffer);
        }
    }

    fn bytes(&self) -> &[u8] {
        self.buffer.as_deref().unwrap_or_default()
    }

    fn read<H: Handler>(&mut self, service: &mut Service<H>, room: u32) -> Want {
        let mut end = room as usize;
        for _ in 0..TURN_COUNT_MAX {
            let filled = self.input.to as usize;
            let place = match &mut self.buffer {
                Some(buffer) => bytes::slice_mut(buffer, filled..end),
                None => &mut service.scratch[..],
            };
            let room = place.len();
            match self.link.socket.recv(place) {
                Io::Done(0) => return self.read_end(service),
                // What has come may be enough.
                Io::Closed(_) if self.needs_head_only() && self.exchange.cut() => {
                    return self.take(service);
                }
                Io::Done(count) => {
                    if self.buffer.is_none() {
                        service.note_scratch(count);
                    }
                    self.input = self.input.extend(count);
                    let want = self.take(service);
                    // A message is still incomplete, and the kernel may have more of it.
                    let goes_on = self.buffer.is_some() && count == room;
                    match self.phase {
                        Phase::Open { room } if want == Want::Read && goes_on => {
                            end = room as usize;
                        }
                        _ => return want,
                    }
                }
                Io::Blocked => return Want::Read,
                Io::Closed(_) => return Want::Close,
            }
        }
        Want::Read
    }

    /// The peer sends no more. On a server's side half a request is refused; on a client's the end may
    /// complete a response.
    fn read_end<H: Handler>(&mut self, service: &mut Service<H>) -> Want {
        if self.link.side.is_client() {
            let is_enough = self.needs_head_only() && self.exchange.cut();
            return if is_enough || self.exchange.end() {
                self.take(service)
            } else {
                Want::Close
            };
        }
        self.link.is_spent = true;
        if self.input.to == 0 {
            return Want::Close;
        }
        self.refuse(service, Reject::Incomplete)
    }

    /// Takes messages out of the input and answers them, as long as there are complete ones.
    fn take<H: Handler>(&mut self, service: &mut Service<H>) -> Want {
        let kind = self.link.side.kind();
        while !self.input.is_empty() {
            let is_owned = self.buffer.is_some();
            let place = match &mut self.buffer {
                Some(buffer) => &mut buffer[..],
                None => &mut service.scratch[..],
            };
            let input = bytes::slice(place, self.input.range());
            // RFC 9112 §2.2: an empty line between messages is none.
            if self.exchange.is_new() && matches!(input, [b'\r', b'\n', ..]) {
                self.exchange.finish();
                self.input = self.input.skip(2);
                continue;
            }
            // Of any response of an API but an event only the head matters: its body may be longer than an
            // event may.
            let client = self.link.side.client();
            let needs_head_only = client.is_some_and(|client| client.ask != Ask::Next);
            let body_bytes_max = if needs_head_only {
                BODY_BYTES_DEFAULT
            } else {
                service.caller.renderer.config.body_bytes_max
            };
            let mut fields = head::fields();
            match self
                .exchange
                .advance(kind, input, &mut fields, body_bytes_max)
            {
                Ok(Step::Dispatch(message)) => {
                    self.exchange.finish();
                    // RFC 9110 §15.2: the response proper is still to come.
                    if kind == Kind::Response && is_interim(message.head.status) {
                        self.input = self.input.skip(message.len);
                        continue;
                    }
                    let (link, input) = (&mut self.link, &mut self.input);
                    let (caller, pool) = (&mut service.caller, &mut *service.pool);
                    let after = match answer(link, input, caller, pool, &message, place, is_owned) {
                        Ok(kept) => self.begin_streaming(service, kept),
                        Err(sent) => self.sent(service, sent),
                    };
                    if let After::Wait(want) = after {
                        return want;
                    }
                }
                // The rest of a response that came early is not waited for.
                Ok(Step::Decode | Step::Read(_))
                    if needs_head_only && self.link.is_spent && self.exchange.cut() => {}
                // Nor is the end of the connection.
                Ok(Step::Read(_)) if needs_head_only && self.exchange.end() => {
                    self.link.is_spent = true;
                }
                Ok(Step::Decode) => {
                    let input = bytes::slice_mut(place, self.input.range());
                    match self.exchange.decode(input, body_bytes_max) {
                        Ok(None) => {}
                        Ok(Some(need)) => return self.make_room(service, need),
                        Err(reject) => return self.refuse(service, reject),
                    }
                }
                Ok(Step::Read(need)) => return self.make_room(service, need),
                Ok(Step::Continue(need)) => return self.send_continue(service, need),
                Err(reject) => {
                    let input = bytes::slice_mut(place, self.input.range());
                    let may_fold = kind == Kind::Response && reject == Reject::Field;
                    if !may_fold || !head::unfold(input) {
                        return self.refuse(service, reject);
                    }
                }
            }
        }
        self.idle(service)
    }

    /// Nothing is left of the input: an idle connection owns no buffer.
    fn idle<H: Handler>(&mut self, service: &mut Service<H>) -> Want {
        self.input = Span::EMPTY;
        self.give_back(service);
        Want::Read
    }

    /// The client waits for leave to send the body (RFC 9110 §10.1.1).
    fn send_continue<H: Handler>(&mut self, service: &mut Service<H>, need: Need) -> Want {
        match self.link.socket.send(write::CONTINUE) {
            // The 100 is left out where the socket is full, because a client that reads nothing does not
            // wait for it.
            Io::Blocked => self.make_room(service, need),
            Io::Done(count) if count == write::CONTINUE.len() => self.make_room(service, need),
            Io::Done(_) | Io::Closed(_) => Want::Close,
        }
    }

    /// Moves the input to the front of a buffer with enough room for the rest of its message.
    fn make_room<H: Handler>(&mut self, service: &mut Service<H>, need: Need) -> Want {
        let from = self.input.from as usize;
        let filled = from..from + need.filled;
        let done = match &mut self.buffer {
            Some(buffer) => {
                bytes::shift(buffer, filled, 0);
                service.pool.grow(buffer, need.room)
            }
            None => service.pool.take(need.room).map(|mut buffer| {
                bytes::copy(&mut buffer, bytes::slice(service.scratch, filled));
                self.buffer = Some(buffer);
            }),
        };
        let (Some(input), Ok(room), Ok(())) =
            (Span::new(0, need.filled), u32::try_from(need.room), done)
        else {
            return self.refuse(service, Reject::OutOfMemory);
        };
        (self.input, self.phase) = (input, Phase::Open { room });
        Want::Read
    }

    /// Says what was wrong, and ends the connection: nothing that follows can be trusted.
    fn refuse<H: Handler>(&mut self, service: &mut Service<H>, reject: Reject) -> Want {
        if let Some(client) = self.link.side.client() {
            // An unreadable event can be neither served nor refused: the process ends. An unreadable
            // response to an answer says that the answer has arrived, not how it was taken: it is not sent
            // again, and the log has it.
            let progress = &mut service.caller.progress;
            progress.note(client.ask);
            client.is_last_try = true;
            if client.ask == Ask::Next {
                fatal::tell_value("the platform's API: $", reject.reason());
                progress.is_over = true;
            }
            return Want::Close;
        }
        self.input = Span::EMPTY;
        self.link.persist = Persist::Close;
        let reply = push::refuse(&mut service.caller.renderer, reject);
        let ahead = Ahead {
            input: b"",
            room: 0,
        };
        let sent = send(&self.link.socket, service.pool, &reply, None, ahead);
        match self.sent(service, sent) {
            After::Wait(want) => want,
            After::NextMessage => Want::Close,
        }
    }

    /// What follows from how much was sent.
    fn sent<H: Handler>(&mut self, service: &mut Service<H>, sent: Sent) -> After {
        let output = match sent {
            Sent::All if self.link.persist == Persist::Keep => {
                self.note_sent(service);
                return After::NextMessage;
            }
            Sent::All => return After::Wait(self.end(service)),
            Sent::Nothing => return After::Wait(Want::Close),
            Sent::Rest(output) => {
                // The bytes before it are no longer needed, so an early response may be put there.
                if self.link.side.is_client() {
                    self.input = Span::EMPTY;
                }
                output
            }
            Sent::Copied(buffer, output) => {
                self.give_back(service);
                self.buffer = Some(buffer);
                let room = self.link.early_room();
                self.input = Span {
                    from: 0,
                    to: output.from - room,
                };
                output
            }
        };
        self.phase = Phase::Sending { output };
        After::Wait(self.want_to_write())
    }

    /// Sends what is left of an answer; on a server's side nothing is read meanwhile.
    fn write<H: Handler>(&mut self, service: &mut Service<H>, output: Span) -> After {
        let bytes = bytes::slice(self.bytes(), output.range());
        let sent = self.link.socket.send(bytes);
        if let Io::Done(count) = sent {
            let output = output.skip(count);
            self.phase = Phase::Sending { output };
            return if output.is_empty() {
                self.finish(service)
            } else {
                After::Wait(self.want_to_write())
            };
        }
        self.unsent(service, sent, output.from)
    }

    /// The answer is sent: the next message may be taken, if there may be one.
    fn finish<H: Handler>(&mut self, service: &mut Service<H>) -> After {
        if self.link.persist == Persist::Close {
            return After::Wait(self.end(service));
        }
        if let Some(buffer) = &mut self.buffer {
            bytes::shift(buffer, self.input.range(), 0);
        }
        self.input = Span {
            from: 0,
            to: self.input.to - self.input.from,
        };
        (self.phase, self.deadline_ms) = (Phase::Open { room: 0 }, NEVER);
        self.note_sent(service);
        After::NextMessage
    }

    /// The last answer is sent: ends the connection.
    fn end<H: Handler>(&mut self, service: &mut Service<H>) -> Want {
        if self.link.side.is_client() {
            Want::Close
        } else {
            self.linger(service)
        }
    }

    /// Ends the connection so that the last answer arrives: closing at once, with input unread,
    /// would reset it and destroy the answer on its way (RFC 9112 §9.6).
    fn linger<H>(&mut self, service: &mut Service<H>) -> Want {
        self.phase = Phase::Lingering;
        self.give_back(service);
        if self.link.is_spent || self.link.socket.shutdown_write().is_err() {
            return Want::Close;
        }
        self.deadline_ms = clock::monotonic_ms() + LINGER_MS_MAX;
        self.discard()
    }

    /// Throws away what still comes, until the peer has seen the end.
    fn discard(&mut self) -> Want {
        for _ in 0..TURN_COUNT_MAX {
            match self.link.socket.discard(DISCARD_BYTES) {
                Io::Done(0) | Io::Closed(_) => return Want::Close,
                Io::Done(_) => {}
                Io::Blocked => break,
            }
        }
        Want::Read
    }
}

/// Answers the message at the front of the input, which lies in `place`: in the connection's own buffer if
/// `is_owned`. Returns the call that goes on, or else what became of its answer.
#[inline]
fn answer<H: Handler>(
    link: &mut Link,
    input: &mut Span,
    caller: &mut Caller<H>,
    pool: &mut Pool,
    message: &Message<'_>,
    place: &[u8],
    is_owned: bool,
) -> Result<Kept, Sent> {
    let start = input.from as usize;
    let head = bytes::slice(place, start..start + message.head.len);
    // The read may have ended where the buffer does, so that the kernel holds more.
    let may_have_more = is_owned || input.to as usize == place.len();
    *input = input.skip(message.len);
    let (kind, address) = (link.side.kind(), caller.renderer.config.address);
    let client = link.side.client();
    let is_call = client.is_none_or(|client| client.ask == Ask::Next);
    let arrived_ms = if (H::STREAMS || H::DEFERS) && is_call {
        caller.renderer.time.now_ms()
    } else {
        0
    };
    let (mut lent, mut rows) = (Lent::NOTHING, None);
    let is_client = kind == Kind::Response;
    let reply = if const { gateway::serves::<H>() } && is_client && caller.takes_events() {
        let rows = rows.insert(head::fields());
        http_events::answer(caller, &mut link.side, message, pool, &mut lent, rows)
    } else {
        caller.answer(&mut link.side, message)
    };
    link.persist = reply.persist;
    let rest = reply.rest.filter(|_| H::STREAMS || H::DEFERS);
    let is_later = H::DEFERS && rest.is_some_and(|(stream, _)| is_put_off::<H>(stream));
    if is_later && kind == Kind::Response {
        link.is_spent |= message.persist == Persist::Close;
        link.persist = Persist::Keep;
    } else if kind == Kind::Response && reply.persist == Persist::Keep {
        link.is_spent |= message.persist == Persist::Close;
        if !link.prepare(input, &address, may_have_more) {
            if let Some((stream, state)) = rest {
                caller.abandon(kind, head, stream, state);
            }
            return Err(Sent::Nothing);
        }
    }
    let ahead = Ahead {
        input: bytes::slice(place, input.range()),
        room: link.early_room(),
    };
    let answer = match rest {
        None => {
            let owned = is_owned.then_some(place);
            Err(send(&link.socket, pool, &reply, owned, ahead))
        }
        Some((stream, state)) => {
            let record = Record {
                state,
                arrived_ms,
                head,
            };
            keep::<H>(pool, stream, &reply, &record, ahead)
        }
    };
    if const { gateway::serves::<H>() } {
        lent.give_back(pool);
    }
    // What the handler does about it, and the end of its log, come before the answer.
    if let Some((stream, state)) = rest
        && answer.is_err()
    {
        caller.abandon(kind, head, stream, state);
    }
    answer
}

/// Keeps a call whose answer is not complete yet, or else says what became of the answer. Out of line, because most
/// answers are complete.
#[inline(never)]
fn keep<H: Handler>(
    pool: &mut Pool,
    stream: Stream,
    reply: &Reply<'_>,
    record: &Record<'_>,
    ahead: Ahead<'_>,
) -> Result<Kept, Sent> {
    if H::DEFERS && is_put_off::<H>(stream) {
        let deadline_ms = due::deadline_ms(reply.remaining_ms);
        kept::keep(pool, stream, record, ahead, 0, deadline_ms).ok_or(Sent::Nothing)
    } else {
        kept::begin(pool, stream, reply, record, ahead)
    }
}

/// Whether a call that goes on was put off: where nothing else can go on it always was.
fn is_put_off<H: Handler>(stream: Stream) -> bool {
    !H::STREAMS || stream.coding == Coding::Later
}

/// Whether a response only informs (RFC 9110 §15.2).
fn is_interim(status: u16) -> bool {
    (100..200).contains(&status)
}
