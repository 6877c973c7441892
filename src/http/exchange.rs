//! One message of a connection, from its first byte to the answer's turn. On a server's side it is a
//! request, on a client's a response, and the road is the same.
//!
//! ```text
//!           head complete, length known          body complete
//!   Head ───────────────────────────────→ Sized ───────────────┐
//!    ▲ │                                            (end) ▲    ▼
//!    │ ├──────────── chunked ───────────→ Chunked ─────┼──→ Dispatch ─→ (finish) ─→ Head
//!    │ └──────── to the peer's end ─────→ ToEnd ───────┘                 │
//!    └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! An [`Exchange`] keeps positions, never bytes: the caller owns the buffer, in which the request
//! lies at the front, and gives all of it at each call. It never looks ahead, so how the network
//! cut the stream cannot matter.

use core::num::NonZeroU32;

use super::body::{self, Length};
use super::chunk::{self, Decoder};
use super::head::{self, Fields, Head};
use super::{Kind, Parsed, Persist, Reject};
use crate::bytes;
use crate::limits::HEAD_BYTES_MAX;

/// Where the current request of a connection stands.
///
/// One request as a connection reads it. All that has come of it lies in one buffer, and after each
/// read the exchange is asked what to do next. (With a chunked body there is one thing more to do:
/// [`Step::Decode`].)
///
/// ```
/// use fnboot::http::exchange::{Exchange, Need, Step};
/// use fnboot::http::{Kind, Persist, Reject, head};
///
/// const BODY_BYTES_MAX: usize = 1024;
/// let mut exchange = Exchange::new();
///
/// // The network cuts where it likes. Half a head is no error: there is more to read, into a buffer
/// // with room for the longest head that is accepted.
/// let mut buffer = b"POST /greet HTTP/1.1\r\nHost: exam".to_vec();
/// match exchange.advance(Kind::Request, &buffer, &mut head::fields(), BODY_BYTES_MAX)? {
///     Step::Read(Need { room, filled }) => assert!(filled == buffer.len() && filled < room),
///     other => panic!("{other:?}"),
/// }
///
/// // The rest of the head tells how long the body is. Now the room is that of the whole request.
/// buffer.extend_from_slice(b"ple.com\r\nContent-Length: 5\r\n\r\n");
/// match exchange.advance(Kind::Request, &buffer, &mut head::fields(), BODY_BYTES_MAX)? {
///     Step::Read(Need { room, .. }) => assert_eq!(room, buffer.len() + 5),
///     other => panic!("{other:?}"),
/// }
///
/// // The body comes, and with it the beginning of another request. What is dispatched is not copied:
/// // it lies in the buffer, and `fields` is the place for the list of where each field lies.
/// buffer.extend_from_slice(b"helloGET /next");
/// let mut fields = head::fields();
/// let len = match exchange.advance(Kind::Request, &buffer, &mut fields, BODY_BYTES_MAX)? {
///     Step::Dispatch(message) => {
///         assert_eq!((message.head.method, message.head.target), ("POST", "/greet"));
///         assert_eq!(message.head.headers.get("host"), Some(&b"example.com"[..]));
///         assert_eq!(message.body, b"hello");
///         assert_eq!(message.persist, Persist::Keep);
///         message.len // Here a handler would be called, and its answer sent.
///     }
///     other => panic!("{other:?}"),
/// };
///
/// // It is answered and leaves the buffer: what stays there is where the next one begins.
/// exchange.finish();
/// buffer.drain(..len);
/// assert_eq!(buffer, b"GET /next");
/// # Ok::<(), Reject>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The head is not complete; its first `tried` bytes have been parsed in vain.
    Head { tried: u32 },
    /// The request is `len` bytes long.
    Sized { len: u32 },
    /// The body is decoded to behind the head.
    Chunked(Chunked),
    /// The body goes on until the peer ends the connection, and may end at `most`.
    ToEnd { most: u32 },
    /// What is there is all that is taken of the message: nobody waits for more.
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Chunked {
    /// Length of the head.
    head: u32,
    /// Where the body decoded so far ends.
    decoded: u32,
    /// Once the body is complete: where the next request begins.
    end: Option<NonZeroU32>,
    decoder: Decoder,
}

/// What a connection has to do next.
#[derive(Debug)]
pub enum Step<'a> {
    /// Read more.
    Read(Need),
    /// The same, and the client waits for `100 Continue` first.
    Continue(Need),
    /// Call [`Exchange::decode`]: the body is chunked.
    Decode,
    /// The request is complete: answer it, then call [`Exchange::finish`].
    Dispatch(Message<'a>),
}

/// What a request needs before it can go on: more bytes, in a buffer with room for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    /// Bytes of room, counted from where the request begins; more than `filled`.
    pub room: usize,
    /// How many of the bytes that were given still count, counted from there, too.
    pub filled: usize,
}

/// A complete request.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub head: Head<'a>,
    pub body: &'a [u8],
    pub persist: Persist,
    /// How many bytes of the buffer the request took; what follows belongs to the next one.
    pub len: usize,
}

/// Room that a body of unknown length is given at first; then it doubles.
const UNKNOWN_ROOM_BYTES: usize = 64 * 1024;

impl Default for Exchange {
    fn default() -> Self {
        Self::new()
    }
}

impl Exchange {
    /// No byte yet.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            state: State::Head { tried: 0 },
        }
    }

    /// Whether at most one byte was parsed; it may be the CR of an empty line before the message.
    #[must_use]
    pub fn is_new(&self) -> bool {
        matches!(self.state, State::Head { tried: 0 | 1 })
    }

    /// The answer is on its way: the next byte begins a new request.
    pub fn finish(&mut self) {
        *self = Self::new();
    }

    /// What to do, now that `bytes` are there: all of the request that has come, and whatever
    /// follows it.
    ///
    /// A request that does not come in one piece has its head parsed once more at its end, from
    /// where it still lies: cheaper than to keep what was found in it.
    ///
    /// # Errors
    /// The peer broke a rule or a limit: answer that and close.
    #[inline(never)]
    pub fn advance<'h, 'b: 'h>(
        &mut self,
        kind: Kind,
        bytes: &'b [u8],
        fields: &'h mut Fields<'b>,
        body_bytes_max: usize,
    ) -> Result<Step<'h>, Reject> {
        let filled = bytes.len();
        let need = |room| Need { room, filled };
        match self.state {
            State::Head { tried } if !is_worth_parsing(bytes, tried as usize) => {
                return Ok(Step::Read(need(HEAD_BYTES_MAX)));
            }
            State::Sized { len } if filled < len as usize => {
                return Ok(Step::Read(need(len as usize)));
            }
            State::Chunked(Chunked { end: None, .. }) => return Ok(Step::Decode),
            State::ToEnd { most } if kind == Kind::Response => {
                return read_to_end(filled, most as usize);
            }
            _ => {}
        }
        let Parsed::Done(head) = head::parse(kind, bytes, fields)? else {
            let tried = narrow(filled);
            self.state = State::Head { tried };
            return Ok(Step::Read(need(HEAD_BYTES_MAX)));
        };
        let framing = body::framing(kind, &head)?;
        // RFC 9110 §10.1.1: not when some of the body is already there.
        let waits = framing.expects_continue && filled == head.len;
        let (body_end, len) = match (self.state, framing.length) {
            (State::Ended, _) => (filled, filled),
            (
                State::Chunked(Chunked {
                    decoded,
                    end: Some(end),
                    ..
                }),
                _,
            ) => (decoded as usize, end.get() as usize),
            (_, Length::Sized(body)) if body > body_bytes_max as u64 => {
                return Err(Reject::BodyTooLarge);
            }
            (_, Length::Sized(body)) => {
                let len = head.len + narrow_64(body) as usize;
                self.state = State::Sized { len: narrow(len) };
                if filled < len {
                    let need = need(len);
                    return Ok(if waits {
                        Step::Continue(need)
                    } else {
                        Step::Read(need)
                    });
                }
                (len, len)
            }
            (_, Length::ToEnd) => {
                let most = head.len + body_bytes_max;
                self.state = State::ToEnd { most: narrow(most) };
                return read_to_end(filled, most);
            }
            (_, Length::Chunked) => {
                let (head, decoder) = (narrow(head.len), Decoder::new());
                self.state = State::Chunked(Chunked {
                    head,
                    decoded: head,
                    end: None,
                    decoder,
                });
                return Ok(if waits {
                    Step::Continue(need(UNKNOWN_ROOM_BYTES))
                } else {
                    Step::Decode
                });
            }
        };
        Ok(Step::Dispatch(Message {
            body: bytes::slice(bytes, head.len..body_end),
            head,
            persist: framing.persist,
            len,
        }))
    }

    /// The peer has ended the connection. Returns whether that completes the message, because its body goes
    /// on to the end: then [`Exchange::advance`] again.
    pub fn end(&mut self) -> bool {
        let is_complete = matches!(self.state, State::ToEnd { .. });
        if is_complete {
            self.state = State::Ended;
        }
        is_complete
    }

    /// Takes what is there for the whole message, for whoever needs nothing of it but its head. Returns
    /// whether the head is there: then [`Exchange::advance`] again.
    pub fn cut(&mut self) -> bool {
        let has_head = !matches!(self.state, State::Head { .. });
        if has_head {
            self.state = State::Ended;
        }
        has_head
    }

    /// Decodes what has come of a chunked body, in its place. Returns what to read, or nothing when
    /// the body is complete: then [`Exchange::advance`] again.
    ///
    /// # Errors
    /// As [`Exchange::advance`].
    pub fn decode(
        &mut self,
        bytes: &mut [u8],
        body_bytes_max: usize,
    ) -> Result<Option<Need>, Reject> {
        let State::Chunked(chunked) = &mut self.state else {
            return Ok(None);
        };
        let start = chunked.decoded as usize;
        let mut at = chunk::Progress {
            read: start,
            decoded: start,
        };
        let most = chunked.head as usize + body_bytes_max;
        let parsed = chunked.decoder.decode(bytes, &mut at, most)?;
        chunked.decoded = narrow(at.decoded);
        if parsed == Parsed::Done(()) {
            chunked.end = NonZeroU32::new(narrow(at.read));
            return Ok(None);
        }
        Ok(Some(Need {
            room: unknown_room(at.decoded, most),
            filled: at.decoded,
        }))
    }
}

/// What to do for a message that goes on to the end of the connection.
fn read_to_end<'a>(filled: usize, most: usize) -> Result<Step<'a>, Reject> {
    if filled > most {
        return Err(Reject::BodyTooLarge);
    }
    let room = unknown_room(filled, most);
    Ok(Step::Read(Need { room, filled }))
}

/// Room for a message of which `filled` bytes are there and nobody knows how many come, up to `most`.
fn unknown_room(filled: usize, most: usize) -> usize {
    (filled * 2)
        .max(UNKNOWN_ROOM_BYTES)
        .min(most + UNKNOWN_ROOM_BYTES)
}

/// A head that trickles in is parsed again only when it has doubled or may be complete: a client
/// that sends single bytes costs what it sends, not its square.
fn is_worth_parsing(bytes: &[u8], tried: usize) -> bool {
    let is_much_more = bytes.len() >= (2 * tried).min(HEAD_BYTES_MAX);
    is_much_more || head::may_end(bytes, tried)
}

/// Positions are 32 bits wide: `limits::BODY_BYTES_MAX` keeps them there.
fn narrow(position: usize) -> u32 {
    narrow_64(position as u64)
}

#[allow(
    clippy::cast_possible_truncation,
    reason = "lengths were checked against their limit"
)]
fn narrow_64(position: u64) -> u32 {
    debug_assert!(u32::try_from(position).is_ok(), "a position over its limit");
    position as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
    use std::vec;
    use std::vec::Vec;

    const BODY_BYTES_MAX: usize = 100;

    /// What a connection sees of a stream delivered in `pieces`: a line per request, and the
    /// status of the refusal that ends it.
    fn run(pieces: &[&[u8]]) -> Vec<String> {
        let mut exchange = Exchange::new();
        let (mut seen, mut buffer) = (Vec::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while !buffer.is_empty() {
                match serve(&mut exchange, &mut buffer, &mut seen) {
                    Ok(true) => {}
                    Ok(false) => break,
                    Err(reject) => {
                        seen.push(format!("{}", reject.status()));
                        return seen;
                    }
                }
            }
        }
        seen
    }

    /// One step; whether there may be another without reading.
    fn serve(
        exchange: &mut Exchange,
        buffer: &mut Vec<u8>,
        seen: &mut Vec<String>,
    ) -> Result<bool, Reject> {
        let mut fields = head::fields();
        let len = match exchange.advance(Kind::Request, buffer, &mut fields, BODY_BYTES_MAX)? {
            Step::Dispatch(message) => {
                let (method, body) = (message.head.method, String::from_utf8_lossy(message.body));
                seen.push(format!("{method} {} {body}", message.head.target));
                message.len
            }
            Step::Continue(Need { room, filled }) => {
                assert!(room > filled && filled == buffer.len());
                seen.push(String::from("continue"));
                return Ok(true);
            }
            Step::Read(Need { room, filled }) => {
                assert!(room > filled && filled == buffer.len());
                return Ok(false);
            }
            Step::Decode => {
                if let Some(Need { room, filled }) = exchange.decode(buffer, BODY_BYTES_MAX)? {
                    assert!(room > filled);
                    buffer.truncate(filled);
                    return Ok(false);
                }
                return Ok(true);
            }
        };
        exchange.finish();
        buffer.drain(..len);
        Ok(true)
    }

    /// In one piece, in two cut at every byte, and in single bytes: always the same.
    #[track_caller]
    fn check(wire: &str, want: &[&str]) {
        let wire = wire.as_bytes();
        assert_eq!(run(&[wire]), want);
        for cut in 0..=wire.len() {
            let (first, second) = wire.split_at(cut);
            assert_eq!(run(&[first, second]), want, "cut at {cut}");
        }
        let bytes: Vec<&[u8]> = wire.chunks(1).collect();
        assert_eq!(run(&bytes), want, "in single bytes");
    }

    #[test]
    fn requests_follow_each_other() {
        let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
        let post = "POST /b HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello";
        let chunked =
            "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
        check(get, &["GET /a "]);
        check(post, &["POST /b hello"]);
        check(chunked, &["PUT /c abc"]);
        let all = format!("{get}{post}{chunked}{get}\r\n{chunked}{post}");
        let want = [
            "GET /a ",
            "POST /b hello",
            "PUT /c abc",
            "GET /a ",
            "PUT /c abc",
            "POST /b hello",
        ];
        check(&all, &want);
    }

    /// However a head that never ends is cut, it is refused before its buffer is full.
    #[test]
    fn endless_heads_are_refused() {
        let endless = format!("GET / HTTP/1.1\r\na: {}", "x".repeat(HEAD_BYTES_MAX));
        for first in [1, 100, 9_000, 16_000] {
            let (first, second) = endless.as_bytes()[..HEAD_BYTES_MAX].split_at(first);
            assert_eq!(run(&[first, second]), ["431"]);
        }
    }

    #[test]
    fn nothing_after_a_refusal_is_a_request() {
        let get = "GET /a HTTP/1.1\r\nHost: h\r\n\r\n";
        check(
            &format!("{get}GET /b HTTP/1.1\r\n\r\n{get}"),
            &["GET /a ", "400"],
        );
        let chunked = "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabcd";
        check(&format!("{chunked}{get}"), &["400"]);
    }

    #[test]
    fn bodies_over_the_limit_are_refused_at_the_head() {
        let head =
            |length| format!("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: {length}\r\n\r\n");
        check(&head("101"), &["413"]);
        check(&head("18446744073709551615"), &["413"]);
        check(
            &format!("{}{}", head("100"), "x".repeat(100)),
            &[&format!("POST / {}", "x".repeat(100))],
        );
        let chunked = "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(
            &format!("{chunked}64\r\n{}\r\n1\r\n", "x".repeat(100)),
            &["413"],
        );
    }

    /// RFC 9112 §6.3 rule 8: only the end of the connection tells that the body is complete.
    #[test]
    fn a_response_may_go_on_to_the_end() {
        let head = b"HTTP/1.0 200 OK\r\n\r\n";
        for len in [0, 1, BODY_BYTES_MAX, BODY_BYTES_MAX + 1] {
            let wire = [&head[..], &vec![b'x'; len][..]].concat();
            let (mut exchange, mut fields) = (Exchange::new(), head::fields());
            assert!(!exchange.end() && !exchange.cut());
            for filled in head.len()..=wire.len() {
                let mut fields = head::fields();
                let step =
                    exchange.advance(Kind::Response, &wire[..filled], &mut fields, BODY_BYTES_MAX);
                if filled > head.len() + BODY_BYTES_MAX {
                    assert_eq!(step.map(drop), Err(Reject::BodyTooLarge));
                    return;
                }
                let Ok(Step::Read(need)) = step else {
                    panic!("{step:?}")
                };
                assert!(need.filled == filled && need.room > filled);
            }
            assert!(exchange.end());
            let step = exchange.advance(Kind::Response, &wire, &mut fields, BODY_BYTES_MAX);
            let Ok(Step::Dispatch(message)) = step else {
                panic!("{step:?}")
            };
            assert_eq!((message.body.len(), message.len), (len, wire.len()));
            assert_eq!(message.persist, super::super::Persist::Close);
        }
    }

    #[test]
    fn a_response_may_be_taken_by_its_head() {
        let wire = b"HTTP/1.1 413 No\r\nContent-Length: 10\r\n\r\nabc";
        let (mut exchange, mut fields) = (Exchange::new(), head::fields());
        let step = exchange.advance(Kind::Response, wire, &mut fields, BODY_BYTES_MAX);
        assert!(matches!(step, Ok(Step::Read(_))), "{step:?}");
        assert!(!exchange.end() && exchange.cut());
        let mut fields = head::fields();
        let step = exchange.advance(Kind::Response, wire, &mut fields, BODY_BYTES_MAX);
        let Ok(Step::Dispatch(message)) = step else {
            panic!("{step:?}")
        };
        assert_eq!((message.body, message.len), (&b"abc"[..], wire.len()));
        let wire = b"HTTP/1.1 413 No\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (mut exchange, mut fields) = (Exchange::new(), head::fields());
        let step = exchange.advance(Kind::Response, wire, &mut fields, BODY_BYTES_MAX);
        assert!(matches!(step, Ok(Step::Decode)) && exchange.cut());
        let mut fields = head::fields();
        let step = exchange.advance(Kind::Response, wire, &mut fields, BODY_BYTES_MAX);
        assert!(matches!(step, Ok(Step::Dispatch(_))), "{step:?}");
    }

    #[test]
    fn continue_is_said_only_where_it_is_waited_for() {
        let head = |length| {
            format!("POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n{length}\r\n\r\n")
        };
        let sized = head("Content-Length: 2");
        let chunked = head("Transfer-Encoding: chunked");
        assert_eq!(run(&[sized.as_bytes(), b"hi"]), ["continue", "POST / hi"]);
        assert_eq!(run(&[format!("{sized}hi").as_bytes()]), ["POST / hi"]);
        assert_eq!(run(&[format!("{sized}h").as_bytes(), b"i"]), ["POST / hi"]);
        assert_eq!(
            run(&[chunked.as_bytes(), b"2\r\nhi\r\n0\r\n\r\n"]),
            ["continue", "POST / hi"]
        );
        assert_eq!(run(&[head("Content-Length: 0").as_bytes()]), ["POST / "]);
        assert_eq!(run(&[head("Content-Length: 101").as_bytes()]), ["413"]);
    }
}
