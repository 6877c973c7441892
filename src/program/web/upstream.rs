//! A connection to the server beside fnboot, and the call that it serves.
//!
//! ```text
//!   Waits ──▶ Sends ──▶ Head ──▶ Body ──▶ (answered)
//!     │         │         └─ broken before it began, and may be asked again ──▶ Sends
//!     └─ the server is not ready
//! ```
//!
//! What comes of an answer at first is read to a place that all connections share, because the head of most answers
//! comes in one piece and is passed on at once. An answer whose head does not, and one that is collected, have memory
//! of their own.

use super::fault::Fault;
use crate::bytes::{self, Writer};
use crate::http::body;
use crate::http::head::{self, Head};
use crate::http::{Kind, Parsed, Persist, Reject};
use crate::limits::HEAD_BYTES_MAX;
use crate::program::framing::{self, Framing, Piece};
use crate::sys::clock::NEVER;
use crate::sys::fd::{Errno, Io};
use crate::sys::memory::Mapping;
use crate::sys::socket::Socket;

/// A place for a connection; one without either is free.
#[derive(Debug)]
pub struct Upstream {
    pub socket: Option<Socket>,
    /// Whether an answer has come on it before.
    pub is_reused: bool,
    /// Since when it is idle, or, if it was never, open: on the monotonic clock.
    pub since_ms: u64,
    pub call: Option<Call>,
    /// Memory of a request that was kept, for the next.
    pub spare: Option<Mapping>,
}

/// A request, and what has come of its answer.
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is so or not, whatever the others"
)]
#[derive(Debug)]
pub struct Call {
    pub number: u64,
    /// Whether it is an event, of a platform that sends it as such or of an API.
    pub is_event: bool,
    /// Whether the answer is collected, because it is no response to a client.
    pub collects: bool,
    /// Whether only the head of the answer is asked for.
    pub is_head: bool,
    /// Whether asking twice is asking once (RFC 9110 §9.2.2).
    pub is_idempotent: bool,
    pub state: State,
    /// Why it fails, if it does.
    pub fault: Option<Fault>,
    /// Whether there is something to tell of it: it fails, or what has come is all.
    pub is_due: bool,
    /// Whether something has come on the connection since it was asked, and how much of that only informed.
    is_heard: bool,
    interim_len: usize,
    /// Whether there is more to read than was read in one turn, and whether the next turn has come.
    pub is_unread: bool,
    pub is_again: bool,
    /// Whether whoever takes the answer waits for more of it.
    pub is_waiting: bool,
    /// When it fails at the latest, and when it is told what it fails with: on the monotonic clock, or `NEVER`.
    pub deadline_ms: u64,
    pub fault_ms: u64,
    /// The request, while some of it is not sent or it may be sent again.
    request: Option<Mapping>,
    request_len: usize,
    sent: usize,
    /// What has come of the answer that does not lie in the shared place.
    pub input: Option<Mapping>,
    /// Where in it, or in the shared place, what has come ends; of the body what is decoded.
    pub filled: usize,
    pub status: u16,
    pub head_len: usize,
    pub framing: Framing,
    /// How long the body is, if the head says so.
    pub body_bytes: Option<u64>,
    /// Whether another request may follow on the connection.
    persists: bool,
}

/// How far a call has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Waits,
    Sends,
    Head,
    Body,
}

/// What came of going on with a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Nothing,
    /// There is an answer, or more of it.
    Due,
    /// There is more to read, but others have their turn first.
    Again,
    /// Nothing more comes of it.
    Broken(Fault),
}

/// Methods that mean the same when they come twice (RFC 9110 §9.2.2).
const IDEMPOTENT: &[u8] = b"GET HEAD OPTIONS TRACE PUT DELETE";

/// Reads in a row for one call, before others get their turn.
const TURN_COUNT_MAX: usize = 64;

/// An idle connection holds no more memory than that.
const SPARE_BYTES_MAX: usize = 16 * 1024;

impl Call {
    /// A call of which nothing is sent.
    pub fn new(
        number: u64,
        method: &str,
        is_event: bool,
        collects: bool,
        deadline_ms: u64,
    ) -> Self {
        Self {
            number,
            is_event,
            collects,
            is_head: method == "HEAD",
            is_idempotent: bytes::split(IDEMPOTENT, b' ').any(|other| other == method.as_bytes()),
            state: State::Waits,
            fault: None,
            is_due: false,
            is_heard: false,
            interim_len: 0,
            is_unread: false,
            is_again: false,
            is_waiting: false,
            deadline_ms,
            fault_ms: deadline_ms,
            request: None,
            request_len: 0,
            sent: 0,
            input: None,
            filled: 0,
            status: 0,
            head_len: 0,
            framing: Framing::Over,
            body_bytes: None,
            persists: false,
        }
    }

    /// Keeps the request, of which so much is sent: in memory that is there, if it is long enough.
    ///
    /// # Errors
    /// Out of memory.
    pub fn keep(
        &mut self,
        head: &[u8],
        body: &[u8],
        sent: usize,
        spare: &mut Option<Mapping>,
    ) -> Result<(), Errno> {
        let len = head.len() + body.len();
        let mut memory = Mapping::reuse(spare, len)?;
        let mut writer = Writer::new(&mut memory);
        writer.put(head);
        writer.put(body);
        (self.request, self.request_len, self.sent) = (Some(memory), len, sent);
        Ok(())
    }

    /// So much of a request is sent that is kept nowhere.
    pub fn set_sent(&mut self, len: usize) {
        (self.request_len, self.sent) = (len, len);
    }

    /// What has come of the answer lies in memory of its own from now on, and not in the shared place.
    ///
    /// # Errors
    /// Out of memory.
    pub fn own(&mut self, shared: &[u8]) -> Result<(), Errno> {
        framing::own(
            &mut self.input,
            &mut None,
            shared,
            self.filled,
            HEAD_BYTES_MAX,
        )
    }

    /// Whether it may be asked once more on another connection: nothing has come of the answer, and nothing went out,
    /// or what did may go out twice.
    pub fn may_repeat(&self) -> bool {
        !self.is_heard && self.request.is_some() && (self.sent == 0 || self.is_idempotent)
    }

    /// It is asked on a new connection.
    pub fn repeat(&mut self) {
        (self.state, self.sent, self.filled) = (State::Sends, 0, 0);
    }

    /// Whether it is over, and the connection of it may be used again.
    fn leaves_connection(&self) -> bool {
        self.framing == Framing::Over
            && self.persists
            && self.sent == self.request_len
            && self.fault.is_none()
    }

    /// Notes that something came behind the answer.
    fn set_surplus(&mut self, has_surplus: bool) {
        self.persists &= !has_surplus;
    }

    /// Takes the head of the answer.
    fn begin_answer(&mut self, answer: &Answer) {
        (self.status, self.head_len) = (answer.status, answer.head_len);
        self.persists = answer.framing.persist == Persist::Keep;
        self.framing = Framing::new(answer.framing.length);
        self.body_bytes = match self.framing {
            Framing::Sized(len) => Some(len),
            _ => None,
        };
        if self.is_head {
            // RFC 9110 §9.3.2: what it says is what the body of GET would be. Some servers send that, too, and later than
            // the head: it must not be taken for another answer.
            self.persists = false;
            (self.framing, self.body_bytes) = (Framing::Over, answer.content_length);
        }
        self.state = State::Body;
    }
}

/// What the head of an answer says.
#[derive(Debug)]
struct Answer {
    status: u16,
    head_len: usize,
    framing: body::Framing,
    content_length: Option<u64>,
}

impl Answer {
    fn new(head: &Head<'_>) -> Result<Self, Reject> {
        let content_length = head.headers.get("content-length");
        Ok(Self {
            status: head.status,
            head_len: head.len,
            framing: body::framing(Kind::Response, head)?,
            content_length: content_length.and_then(bytes::decimal),
        })
    }
}

impl Upstream {
    pub const FREE: Self = Self {
        socket: None,
        is_reused: false,
        since_ms: 0,
        call: None,
        spare: None,
    };

    /// Since when its first answer is still to come: on the monotonic clock; `NEVER` for one that has answered before.
    pub fn unheard_since_ms(&self) -> u64 {
        let waits = |call: &Call| matches!(call.state, State::Sends | State::Head);
        if !self.is_reused && self.call.as_ref().is_some_and(waits) {
            self.since_ms
        } else {
            NEVER
        }
    }

    /// Whether an answer has begun on it, now or before.
    pub fn is_heard(&self) -> bool {
        let is_answered = |call: &Call| call.state == State::Body;
        self.is_reused || self.call.as_ref().is_some_and(is_answered)
    }

    /// Whether another request may follow on it, once its call is over. If the server ends connections, those stay that
    /// can be used for such requests as its own.
    pub fn may_stay(&self, ends_idle: bool) -> bool {
        let leaves = |call: &Call| call.leaves_connection() && (call.is_idempotent || !ends_idle);
        self.call.as_ref().is_some_and(leaves)
    }

    /// Its call is over, and another may follow.
    pub fn stay(&mut self, now_ms: u64) {
        let memory = self.call.take().and_then(|call| call.request);
        if let Some(memory) = memory.filter(|memory| memory.len() <= SPARE_BYTES_MAX) {
            self.spare = Some(memory);
        }
        (self.is_reused, self.since_ms) = (true, now_ms);
    }

    /// Whether it can be used again: nothing has come on it, not even its end.
    pub fn is_usable(&self) -> bool {
        let peeked = self.socket.as_ref().map(Socket::peek);
        peeked == Some(Io::Blocked)
    }

    /// Goes on with what it is doing. `shared` is where answers are read to at first.
    pub fn go_on(&mut self, shared: &mut [u8], body_bytes_max: usize) -> Step {
        let (Some(socket), Some(call)) = (&self.socket, &mut self.call) else {
            return Step::Nothing;
        };
        // A server may answer before it has the whole request, and still want the rest.
        if call.state != State::Waits && call.sent < call.request_len {
            send(socket, call);
        }
        match call.state {
            State::Waits => Step::Nothing,
            // An answer may come before the request is sent, and then it is the answer.
            State::Sends | State::Head => receive_head(socket, call, shared, body_bytes_max),
            State::Body if call.collects => collect(socket, call, body_bytes_max),
            State::Body if call.is_waiting => {
                call.is_waiting = false;
                Step::Due
            }
            State::Body => Step::Nothing,
        }
    }

    /// Reads the next piece of an answer to where it is sent from.
    pub fn read_piece(&mut self, piece: &mut Writer<'_>) -> Piece {
        let (Some(socket), Some(call)) = (&self.socket, &mut self.call) else {
            return Piece::Broken;
        };
        if call.framing == Framing::Over {
            return Piece::End;
        }
        let place = piece.rest();
        if place.is_empty() {
            // Whoever asked decides what that means.
            return Piece::More;
        }
        match socket.recv(place) {
            Io::Done(0) if call.framing == Framing::ToEnd => Piece::End,
            Io::Done(0) | Io::Closed(_) => Piece::Broken,
            Io::Blocked => {
                call.is_waiting = true;
                Piece::Wait
            }
            Io::Done(count) => {
                let Ok(taken) = call.framing.take(bytes::slice_mut(place, 0..count)) else {
                    return Piece::Broken;
                };
                call.set_surplus(taken.end < count);
                piece.skip(taken.len);
                if call.framing == Framing::Over {
                    Piece::End
                } else {
                    Piece::More
                }
            }
        }
    }
}

/// Sends what is left of a request. An error is heard of by reading: there may be an answer before it.
fn send(socket: &Socket, call: &mut Call) {
    let request = call.request.as_deref().unwrap_or_default();
    let rest = bytes::slice(request, call.sent..call.request_len);
    if let Io::Done(count) = socket.send(rest) {
        call.sent += count;
    }
    if call.sent == call.request_len && call.state == State::Sends {
        call.state = State::Head;
    }
}

/// Reads the head of an answer, and as much of its body as comes with it.
fn receive_head(
    socket: &Socket,
    call: &mut Call,
    shared: &mut [u8],
    body_bytes_max: usize,
) -> Step {
    for turn in 0..=TURN_COUNT_MAX {
        if turn == TURN_COUNT_MAX {
            return Step::Again;
        }
        let Call {
            input,
            filled,
            is_heard,
            interim_len,
            ..
        } = &mut *call;
        let place = match input {
            Some(input) => &mut input[..],
            None => &mut *shared,
        };
        let end = place.len();
        match socket.recv(bytes::slice_mut(place, *filled..end)) {
            Io::Done(0) | Io::Closed(_) if *filled == 0 => return Step::Broken(Fault::Unanswered),
            Io::Done(0) | Io::Closed(_) => return Step::Broken(Fault::Malformed),
            Io::Blocked => return Step::Nothing,
            Io::Done(count) => *filled += count,
        }
        *is_heard = true;
        match read_head(place, filled, interim_len) {
            Err(_) => return Step::Broken(Fault::Malformed),
            Ok(Parsed::Done(answer)) => {
                call.begin_answer(&answer);
                break;
            }
            Ok(Parsed::More) if call.input.is_none() => {
                if let Err(errno) = call.own(shared) {
                    return Step::Broken(Fault::Start(errno));
                }
            }
            Ok(Parsed::More) => {}
        }
    }
    let head_len = call.head_len;
    let place = match &mut call.input {
        Some(input) => &mut input[..],
        None => &mut *shared,
    };
    let Ok(taken) = call
        .framing
        .take(bytes::slice_mut(place, head_len..call.filled))
    else {
        return Step::Broken(Fault::Malformed);
    };
    call.set_surplus(head_len + taken.end < call.filled);
    call.filled = head_len + taken.len;
    if !call.collects {
        return Step::Due;
    }
    if let Err(errno) = call.own(shared) {
        return Step::Broken(Fault::Start(errno));
    }
    collect(socket, call, body_bytes_max)
}

/// Reads the head of an answer at the front of what has come, which is `filled` bytes. What comes before it and only
/// informs (RFC 9110 §15.2) is left out; it was `interim_len` bytes so far.
fn read_head(
    place: &mut [u8],
    filled: &mut usize,
    interim_len: &mut usize,
) -> Result<Parsed<Answer>, Reject> {
    let (mut start, end) = (0, *filled);
    let read = loop {
        let mut fields = head::fields();
        let come = bytes::slice(place, start..end);
        let read = match head::parse(Kind::Response, come, &mut fields) {
            Ok(Parsed::Done(head)) => Answer::new(&head).map(Parsed::Done),
            Ok(Parsed::More) => Ok(Parsed::More),
            Err(reject) => Err(reject),
        };
        match read {
            Ok(Parsed::Done(Answer {
                status: 100 | 102..=199,
                head_len,
                ..
            })) => {
                start += head_len;
                *interim_len += head_len;
                if *interim_len > HEAD_BYTES_MAX {
                    break Err(Reject::HeadTooLarge);
                }
            }
            // No protocol was asked for that it could change to.
            Ok(Parsed::Done(answer)) if answer.status == 101 || answer.status > 599 => {
                break Err(Reject::RequestLine);
            }
            // RFC 9112 §5.2: the obsolete folding of a field is undone.
            Err(Reject::Field) if head::unfold(bytes::slice_mut(place, start..end)) => {}
            read => break read,
        }
    };
    bytes::shift(place, start..end, 0);
    *filled = end - start;
    read
}

/// Reads the rest of an answer that is collected.
fn collect(socket: &Socket, call: &mut Call, body_bytes_max: usize) -> Step {
    for turn in 0..=TURN_COUNT_MAX {
        if call.framing == Framing::Over {
            break;
        }
        if turn == TURN_COUNT_MAX {
            return Step::Again;
        }
        let (start, head_len) = (call.filled, call.head_len);
        if start - head_len > body_bytes_max {
            return Step::Broken(Fault::TooLong);
        }
        let Some(input) = &mut call.input else {
            return Step::Nothing;
        };
        if start == input.len() && input.grow(2 * start).is_err() {
            return Step::Broken(Fault::Start(Errno::AGAIN));
        }
        let end = input.len();
        let place = bytes::slice_mut(input, start..end);
        match socket.recv(place) {
            Io::Done(0) if call.framing == Framing::ToEnd => break,
            Io::Done(0) | Io::Closed(_) => return Step::Broken(Fault::Malformed),
            Io::Blocked => return Step::Nothing,
            Io::Done(count) => match call.framing.take(bytes::slice_mut(place, 0..count)) {
                Ok(taken) => {
                    call.filled += taken.len;
                    call.set_surplus(taken.end < count);
                }
                Err(_) => return Step::Broken(Fault::Malformed),
            },
        }
    }
    if call.filled - call.head_len > body_bytes_max {
        return Step::Broken(Fault::TooLong);
    }
    Step::Due
}
