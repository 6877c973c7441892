//! A connection of a worker to its runtime API: requests come in, one after the other, and replies go out.
//!
//! ```text
//!             ┌──────────────── replied ────────────────┐
//!             ▼                                         │
//!   open ─▶ Open ── asks for an event ─▶ Waits ─▶ Sends ┤
//!             ├──── an answer in pieces ─▶ Pieces ──────┘
//!             └──── refused, or the last ▶ Lingers ─▶ closed
//! ```
//!
//! A request that is there at once lies in a place that all connections share; any other has memory of its own. An answer
//! in pieces is read when somebody takes the next one, so that a client that does not read stops the worker.

use core::ops::Range;

use super::asks::{self, Ask, Asked, Dialect, Told};
use crate::bytes::{self, Writer};
use crate::http::body;
use crate::http::exchange::{self, Exchange};
use crate::http::head::{self, Head};
use crate::http::{Kind, Parsed, Persist, Reject, Version, write};
use crate::limits::{LINGER_MS_MAX, TRAILER_BYTES_MAX};
use crate::program::calls::Call;
use crate::program::framing::{self, Framing, Piece, Taken};
use crate::program::supervisor::{Ready, Supervisor};
use crate::sys::clock::{self, NEVER};
use crate::sys::fd::{Errno, Io};
use crate::sys::memory::Mapping;
use crate::sys::socket::Socket;

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    socket: Socket,
    /// Whose it is.
    pub worker: usize,
    pub phase: Phase,
    exchange: Exchange,
    /// What has come and was not taken, if it does not lie in the shared place.
    input: Option<Mapping>,
    filled: usize,
    /// What has come of the trailer section of an answer.
    trailers: Option<Mapping>,
    trailers_len: usize,
    /// The last request, and what the reply to it has to know.
    pub request: Request,
    persist: Persist,
    version: Version,
    /// When it is closed at the latest: on the monotonic clock, or `NEVER`.
    pub until_ms: u64,
    /// Whether there may be more to read that the kernel does not tell of again; whether the end has come, which it does not
    /// tell of again, either.
    pub is_unread: bool,
    pub has_end: bool,
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Reads a request.
    Open,
    /// Waits for an event.
    Waits,
    /// Sends the event of the call of its worker, of which so much is sent.
    Sends(usize),
    /// Has an answer in pieces, with so much to come.
    Pieces(Framing),
    /// Waits for the end of the worker's side.
    Lingers,
}

/// A request, or the beginning of one that is an answer in pieces. Positions are those of the place where it lies at the
/// front.
#[derive(Clone, Debug)]
pub struct Request {
    pub ask: Ask,
    pub dialect: Dialect,
    /// Where the id of the event lies that it is about, if it says so.
    pub id: Option<Range<usize>>,
    pub mode: Mode,
    pub head_len: usize,
    /// Where the body ends, as far as it has come.
    pub end: usize,
    /// Where what follows begins.
    pub len: usize,
}

/// How an answer comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Whole,
    Pieces,
    Unknown,
}

/// What came of reading.
#[derive(Debug)]
pub enum Step {
    Nothing,
    /// There is more to read, but others have their turn first.
    Again,
    /// There is a request.
    Request,
    Refused(Reject),
    /// The worker has ended the connection between two requests.
    Gone,
}

/// Reads in a row for one connection, before others get their turn.
const TURN_COUNT_MAX: usize = 64;

/// Bytes thrown away at once.
const DISCARD_BYTES: usize = 1024 * 1024;

impl Connection {
    /// A connection that was accepted, known by `index`.
    ///
    /// # Errors
    /// Out of memory or watches.
    pub fn new(
        socket: Socket,
        worker: usize,
        supervisor: &Supervisor,
        index: usize,
    ) -> Result<Self, Errno> {
        // Without it a reply may only be late.
        let _ = socket.set_nodelay();
        supervisor.watch_edges(&socket, Ready::Upstream(index))?;
        Ok(Self {
            socket,
            worker,
            phase: Phase::Open,
            exchange: Exchange::new(),
            input: None,
            filled: 0,
            trailers: None,
            trailers_len: 0,
            request: Request::NONE,
            persist: Persist::Keep,
            version: Version::Http11,
            until_ms: NEVER,
            is_unread: false,
            has_end: false,
        })
    }

    /// Reads up to the end of a request, or the head of an answer in pieces.
    pub fn read(
        &mut self,
        shared: &mut [u8],
        spare: &mut Option<Mapping>,
        body_bytes_max: usize,
    ) -> Step {
        for _ in 0..TURN_COUNT_MAX {
            match self.look(shared, spare, body_bytes_max) {
                Ok(false) => {}
                Ok(true) => return Step::Request,
                Err(reject) => return Step::Refused(reject),
            }
            let filled = self.filled;
            let place = match &mut self.input {
                Some(input) => &mut input[..],
                None => &mut *shared,
            };
            let end = place.len();
            let came = self.socket.recv(bytes::slice_mut(place, filled..end));
            // There may be more than there was room for.
            self.is_unread |= came == Io::Done(end - filled);
            match came {
                Io::Blocked => {
                    let owned = self.own(shared, spare, filled);
                    return owned.map_or_else(Step::Refused, |()| Step::Nothing);
                }
                Io::Done(0) | Io::Closed(_) if filled == 0 => return Step::Gone,
                Io::Done(0) | Io::Closed(_) => return Step::Refused(Reject::Incomplete),
                Io::Done(count) => self.filled += count,
            }
        }
        let owned = self.own(shared, spare, self.filled);
        owned.map_or_else(Step::Refused, |()| Step::Again)
    }

    /// Looks at what has come. Returns whether that is a request; if not, there is more to come, and room for it.
    ///
    /// # Errors
    /// It breaks a rule or a bound, or memory is out.
    fn look(
        &mut self,
        shared: &mut [u8],
        spare: &mut Option<Mapping>,
        body_bytes_max: usize,
    ) -> Result<bool, Reject> {
        loop {
            let place = match &mut self.input {
                Some(input) => &mut input[..],
                None => &mut *shared,
            };
            let come = bytes::slice(place, 0..self.filled);
            // RFC 9112 §2.2: an empty line between messages is none.
            if self.exchange.is_new() && come.starts_with(b"\r\n") {
                bytes::shift(place, 2..self.filled, 0);
                self.filled -= 2;
                continue;
            }
            if come.is_empty() {
                return Ok(false);
            }
            if may_have_mode(come) {
                let mut fields = head::fields();
                // Whatever is wrong with it is refused below.
                if let Ok(Parsed::Done(head)) = head::parse(Kind::Request, come, &mut fields) {
                    self.request = Request::of(come, &head);
                    if self.request.mode == Mode::Pieces
                        && let Ok(framing) = body::framing(Kind::Request, &head)
                    {
                        (self.persist, self.version) = (framing.persist, head.version);
                        self.begin_pieces(shared, framing)?;
                        return Ok(true);
                    }
                }
            }
            let mut fields = head::fields();
            let step = self
                .exchange
                .advance(Kind::Request, come, &mut fields, body_bytes_max)?;
            let need = match step {
                exchange::Step::Dispatch(message) => {
                    self.request = Request::of(come, &message.head);
                    self.request.end += message.body.len();
                    self.request.len = message.len;
                    (self.persist, self.version) = (message.persist, message.head.version);
                    return Ok(true);
                }
                exchange::Step::Decode => {
                    let come = bytes::slice_mut(place, 0..self.filled);
                    match self.exchange.decode(come, body_bytes_max)? {
                        Some(need) => need,
                        None => continue,
                    }
                }
                exchange::Step::Continue(need) => {
                    self.send_continue();
                    need
                }
                exchange::Step::Read(need) => need,
            };
            self.filled = need.filled;
            if self.input.is_some() || need.room > shared.len() {
                self.own(shared, spare, need.room)?;
            }
            return Ok(false);
        }
    }

    /// What has come lies in memory of its own from now on, with room for so much: others read to the shared place.
    ///
    /// # Errors
    /// Memory is out.
    fn own(
        &mut self,
        shared: &[u8],
        spare: &mut Option<Mapping>,
        room: usize,
    ) -> Result<(), Reject> {
        if self.filled == 0 {
            return Ok(());
        }
        let owned = framing::own(&mut self.input, spare, shared, self.filled, room);
        owned.map_err(|_| Reject::OutOfMemory)
    }

    /// Takes what has come of the body of an answer in pieces.
    fn begin_pieces(&mut self, shared: &mut [u8], how: body::Framing) -> Result<(), Reject> {
        let (head_len, filled) = (self.request.head_len, self.filled);
        if how.expects_continue && filled == head_len {
            self.send_continue();
        }
        let place = match &mut self.input {
            Some(input) => &mut input[..],
            None => shared,
        };
        let mut framing = Framing::new(how.length);
        let come = bytes::slice_mut(place, head_len..filled);
        let taken = framing.take(come)?;
        note(&mut self.trailers, &mut self.trailers_len, come, &taken);
        self.request.end += taken.len;
        self.request.len += taken.end;
        self.phase = Phase::Pieces(framing);
        Ok(())
    }

    /// The request at the front is dealt with: what is behind it comes next. Returns the memory in which it lies, if that is
    /// not the shared place.
    pub fn finish(&mut self, shared: &[u8]) -> Option<Mapping> {
        let memory = self.input.take();
        let place = memory.as_deref().unwrap_or(shared);
        let rest = bytes::slice(place, self.request.len..self.filled);
        self.filled = 0;
        self.keep(rest);
        self.exchange.finish();
        memory
    }

    /// Keeps what has come of the next request.
    fn keep(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            return;
        }
        self.is_unread = true;
        if let Ok(mut input) = Mapping::new(rest.len()) {
            bytes::copy(&mut input, rest);
            (self.input, self.filled) = (Some(input), rest.len());
        } else {
            // What follows could not be told from what was lost.
            self.persist = Persist::Close;
        }
    }

    /// What has come and was not taken.
    pub fn front<'a>(&'a self, shared: &'a [u8]) -> &'a [u8] {
        let place = self.input.as_deref().unwrap_or(shared);
        bytes::slice(place, 0..self.filled)
    }

    /// The next reply is the last on this connection.
    pub fn set_last(&mut self) {
        self.persist = Persist::Close;
    }

    /// The next piece of an answer, read to where it is sent from.
    pub fn read_piece(&mut self, piece: &mut Writer<'_>) -> Piece {
        let Phase::Pieces(framing) = &mut self.phase else {
            return Piece::Broken;
        };
        if *framing == Framing::Over {
            return Piece::End;
        }
        let place = piece.rest();
        if place.is_empty() {
            // Whoever asked decides what that means.
            return Piece::More;
        }
        let count = match self.socket.recv(place) {
            Io::Done(0) | Io::Closed(_) => return Piece::Broken,
            Io::Blocked => return Piece::Wait,
            Io::Done(count) => count,
        };
        self.is_unread |= count == place.len();
        let come = bytes::slice_mut(place, 0..count);
        let Ok(taken) = framing.take(come) else {
            return Piece::Broken;
        };
        let is_over = *framing == Framing::Over;
        note(&mut self.trailers, &mut self.trailers_len, come, &taken);
        self.keep(bytes::slice(come, taken.end..count));
        piece.skip(taken.len);
        if is_over { Piece::End } else { Piece::More }
    }

    /// The value of a field in the trailer section of an answer.
    pub fn trailer(&self, name: &str) -> Option<&[u8]> {
        let trailers = self.trailers.as_deref().unwrap_or_default();
        let trailers = bytes::slice(trailers, 0..self.trailers_len);
        bytes::split(trailers, b'\n').find_map(|line| {
            let found = bytes::before(line, b':');
            let value = line.get(found.len() + 1..)?;
            bytes::is_word_ignore_case(found, name).then_some(value.trim_ascii())
        })
    }

    /// All of an answer in pieces has come, and is forgotten.
    pub fn end_pieces(&mut self) {
        (self.trailers, self.trailers_len) = (None, 0);
        self.phase = Phase::Open;
        self.exchange.finish();
    }

    /// A reply. Returns whether the connection goes on.
    pub fn reply(&mut self, told: Told, dialect: Dialect) -> bool {
        let mut place = [0; asks::REPLY_BYTES_MAX];
        let mut reply = Writer::new(&mut place);
        asks::put_reply(told, dialect, self.persist, self.version, &mut reply);
        self.send(reply.written())
    }

    /// The reply to a request that breaks a rule: the last on this connection.
    pub fn refuse(&mut self, reject: Reject) -> bool {
        let mut place = [0; asks::REPLY_BYTES_MAX];
        let mut reply = Writer::new(&mut place);
        asks::put_refusal(reject, &mut reply);
        self.persist = Persist::Close;
        self.send(reply.written())
    }

    fn send(&mut self, reply: &[u8]) -> bool {
        // Who does not read so much as this waits for none of it.
        self.socket.send(reply) == Io::Done(reply.len()) && self.replied()
    }

    /// A reply is sent. Returns whether the connection goes on.
    fn replied(&mut self) -> bool {
        self.phase = Phase::Open;
        if self.persist == Persist::Keep {
            return true;
        }
        (self.input, self.filled) = (None, 0);
        self.phase = Phase::Lingers;
        self.until_ms = clock::monotonic_ms() + LINGER_MS_MAX;
        self.is_unread = true;
        self.socket.shutdown_write().is_ok()
    }

    /// The client waits for leave to send the body (RFC 9110 §10.1.1). Without it, it sends the body a moment later.
    fn send_continue(&self) {
        let _ = self.socket.send(write::CONTINUE);
    }

    /// Sends the event of a call, or what is left of it. Returns whether the connection goes on.
    pub fn send_event(&mut self, call: &Call) -> bool {
        let sent = match self.phase {
            Phase::Sends(sent) => sent,
            _ => 0,
        };
        let mut end = [0; 64];
        let mut end = Writer::new(&mut end);
        write::end(&mut end, self.persist, self.version);
        let mut parts = [call.variables(), end.written(), call.event()];
        let total: usize = parts.iter().map(|part| part.len()).sum();
        let mut skipped = sent;
        for part in &mut parts {
            let count = skipped.min(part.len());
            *part = bytes::slice(part, count..part.len());
            skipped -= count;
        }
        let sent = match self.socket.send_parts(&parts) {
            Io::Done(count) => sent + count,
            Io::Blocked => sent,
            Io::Closed(_) => return false,
        };
        let has_waited = matches!(self.phase, Phase::Sends(_));
        self.phase = Phase::Sends(sent);
        if sent < total {
            return true;
        }
        // What came meanwhile, be it the end, is not told again.
        self.is_unread |= has_waited;
        self.replied()
    }

    /// While an event is waited for, nothing is to be read but the end. Returns whether it has come.
    pub fn has_ended(&mut self) -> bool {
        match self.socket.peek() {
            Io::Done(0) | Io::Closed(_) => true,
            Io::Done(_) => {
                self.is_unread = true;
                false
            }
            Io::Blocked => false,
        }
    }

    /// Throws away what comes behind the last reply. Returns whether there may be more.
    pub fn discard(&mut self) -> bool {
        match self.socket.discard(DISCARD_BYTES) {
            Io::Done(0) | Io::Closed(_) => return false,
            Io::Done(_) => self.is_unread = true,
            Io::Blocked => {}
        }
        clock::monotonic_ms() < self.until_ms
    }
}

impl Request {
    /// Nothing was asked for yet.
    const NONE: Self = Self {
        ask: Ask::Unknown,
        dialect: Dialect::Lambda,
        id: None,
        mode: Mode::Whole,
        head_len: 0,
        end: 0,
        len: 0,
    };

    /// What the head at the front of `come` asks for.
    fn of(come: &[u8], head: &Head<'_>) -> Self {
        let asked = Asked::of(head);
        let id = asked.id.and_then(|id| {
            let at = bytes::position(come, id)?;
            Some(at..at + id.len())
        });
        let mode = match head.headers.get(asks::MODE) {
            _ if asked.ask != Ask::Answer => Mode::Whole,
            None => Mode::Whole,
            Some(mode) if bytes::is_word_ignore_case(mode, "streaming") => Mode::Pieces,
            Some(mode) if bytes::is_word_ignore_case(mode, "buffered") => Mode::Whole,
            Some(_) => Mode::Unknown,
        };
        Self {
            ask: asked.ask,
            dialect: asked.dialect,
            id,
            mode,
            head_len: head.len,
            end: head.len,
            len: head.len,
        }
    }
}

/// Whether the head at the front may say how an answer comes. Most say nothing, and are parsed once.
fn may_have_mode(come: &[u8]) -> bool {
    let mut lines = bytes::split(come, b'\n').take_while(|line| *line != b"\r");
    lines.any(|line| {
        let name = line.get(..asks::MODE.len()).unwrap_or_default();
        bytes::is_word_ignore_case(name, asks::MODE)
    })
}

/// Keeps what has come of a trailer section, which the decoder bounds.
fn note(place: &mut Option<Mapping>, len: &mut usize, come: &[u8], taken: &Taken) {
    let part = bytes::slice(come, taken.trailer.clone());
    if part.is_empty() {
        return;
    }
    if place.is_none() {
        // Without it the answer ends as if it had none.
        *place = Mapping::new(TRAILER_BYTES_MAX as usize).ok();
    }
    if let Some(place) = place {
        let end = place.len();
        bytes::copy(bytes::slice_mut(place, *len..end), part);
        *len += part.len();
    }
}
