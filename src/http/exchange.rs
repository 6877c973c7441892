//! One request of a connection, from its first byte to the answer's turn.
//!
//! ```text
//!           head complete, length known          body complete
//!   Head ───────────────────────────────→ Sized ───────────────┐
//!    ▲ │                                                       ▼
//!    │ └──────────── chunked ───────────→ Chunked ────────→ Dispatch ─→ (finish) ─→ Head
//!    │                                                                   │
//!    └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! An [`Exchange`] keeps positions, never bytes: the caller owns the buffer, in which the request
//! lies at the front, and gives all of it at each call. It never looks ahead, so how the network
//! cut the stream cannot matter.

use super::body::{self, Framing, Length};
use super::chunk::{self, Decoder};
use super::head::{self, Fields, Head};
use super::{Parsed, Persist, Reject};
use crate::limits::HEAD_BYTES_MAX;

/// Where the current request of a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exchange {
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The head is not complete; its first `tried` bytes have been parsed in vain.
    Head { tried: u32 },
    /// The head is `head` bytes long, the body `body`.
    Sized { head: u32, body: u32 },
    /// The body is decoded to behind the head.
    Chunked {
        head: u32,
        read: u32,
        decoded: u32,
        is_done: bool,
        decoder: Decoder,
    },
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

/// Room that a body of unknown length is given at first, and in steps.
const CHUNKED_ROOM_BYTES: usize = 64 * 1024;

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

    /// The answer is on its way: the next byte begins a new request.
    pub fn finish(&mut self) {
        *self = Self::new();
    }

    /// What to do, now that `bytes` are there: all of the request that has come, and whatever
    /// follows it.
    ///
    /// # Errors
    /// The peer broke a rule or a limit: answer that and close.
    pub fn advance<'h, 'b: 'h>(
        &mut self,
        bytes: &'b [u8],
        fields: &'h mut Fields<'b>,
        body_bytes_max: usize,
    ) -> Result<Step<'h>, Reject> {
        match self.state {
            State::Head { tried } => self.start(bytes, fields, tried as usize, body_bytes_max),
            State::Sized { head, body } => {
                let (head, len) = (head as usize, head as usize + body as usize);
                if bytes.len() < len {
                    return Ok(read(len, bytes));
                }
                dispatch(bytes, fields, head..len, len)
            }
            State::Chunked { is_done: false, .. } => Ok(Step::Decode),
            State::Chunked {
                head,
                decoded,
                read,
                ..
            } => dispatch(
                bytes,
                fields,
                head as usize..decoded as usize,
                read as usize,
            ),
        }
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
        let State::Chunked {
            head,
            read,
            decoded,
            is_done,
            decoder,
        } = &mut self.state
        else {
            return Ok(None);
        };
        let mut at = chunk::Progress {
            read: *read as usize,
            decoded: *decoded as usize,
        };
        let parsed = decoder.decode(bytes, &mut at, *head as usize + body_bytes_max)?;
        (*decoded, *is_done) = (narrow(at.decoded)?, parsed == Parsed::Done(()));
        *read = if *is_done { narrow(at.read)? } else { *decoded };
        if *is_done {
            return Ok(None);
        }
        let room = (at.decoded * 2).max(CHUNKED_ROOM_BYTES);
        let most = *head as usize + body_bytes_max + CHUNKED_ROOM_BYTES;
        Ok(Some(Need {
            room: room.min(most),
            filled: at.decoded,
        }))
    }

    fn start<'h, 'b: 'h>(
        &mut self,
        bytes: &'b [u8],
        fields: &'h mut Fields<'b>,
        tried: usize,
        body_bytes_max: usize,
    ) -> Result<Step<'h>, Reject> {
        // A head that trickles in is parsed again only when it has doubled or may be complete: a
        // client that sends single bytes costs what it sends, not its square.
        let worth = (2 * tried).min(HEAD_BYTES_MAX);
        if tried > 0 && bytes.len() < worth && !head::may_end(bytes, tried) {
            return Ok(read(HEAD_BYTES_MAX, bytes));
        }
        let Parsed::Done(head) = head::parse(bytes, fields)? else {
            self.state = State::Head {
                tried: narrow(bytes.len())?,
            };
            return Ok(read(HEAD_BYTES_MAX, bytes));
        };
        let framing = body::framing(&head)?;
        let has_body_bytes = bytes.len() > head.len;
        let step = match framing.length {
            Length::Sized(body) => {
                let body = usize::try_from(body)
                    .ok()
                    .filter(|&body| body <= body_bytes_max);
                let body = body.ok_or(Reject::BodyTooLarge)?;
                let len = head.len + body;
                if bytes.len() >= len {
                    return Ok(Step::Dispatch(message(
                        head,
                        &framing,
                        bytes,
                        head.len..len,
                        len,
                    )));
                }
                self.state = State::Sized {
                    head: narrow(head.len)?,
                    body: narrow(body)?,
                };
                read(len, bytes)
            }
            Length::Chunked => {
                let head = narrow(head.len)?;
                let decoder = Decoder::new();
                let is_done = false;
                self.state = State::Chunked {
                    head,
                    read: head,
                    decoded: head,
                    is_done,
                    decoder,
                };
                Step::Decode
            }
        };
        // RFC 9110 §10.1.1: not when some of the body is already there.
        if framing.expects_continue && !has_body_bytes {
            let room = match step {
                Step::Read(need) => need.room,
                _ => CHUNKED_ROOM_BYTES,
            };
            return Ok(Step::Continue(Need {
                room,
                filled: bytes.len(),
            }));
        }
        Ok(step)
    }
}

fn read<'h>(room: usize, bytes: &[u8]) -> Step<'h> {
    Step::Read(Need {
        room,
        filled: bytes.len(),
    })
}

/// A request that did not come in one piece: its head is parsed once more, from where it still
/// lies, which is cheaper than to keep what was found in it.
fn dispatch<'h, 'b: 'h>(
    bytes: &'b [u8],
    fields: &'h mut Fields<'b>,
    body: core::ops::Range<usize>,
    len: usize,
) -> Result<Step<'h>, Reject> {
    let Parsed::Done(head) = head::parse(&bytes[..body.start], fields)? else {
        return Err(Reject::RequestLine);
    };
    let framing = body::framing(&head)?;
    Ok(Step::Dispatch(message(head, &framing, bytes, body, len)))
}

fn message<'h>(
    head: Head<'h>,
    framing: &Framing,
    bytes: &'h [u8],
    body: core::ops::Range<usize>,
    len: usize,
) -> Message<'h> {
    Message {
        head,
        body: &bytes[body],
        persist: framing.persist,
        len,
    }
}

/// Positions are 32 bits wide: `limits::BODY_BYTES_MAX` keeps them there.
fn narrow(position: usize) -> Result<u32, Reject> {
    u32::try_from(position).map_err(|_| Reject::BodyTooLarge)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::format;
    use std::string::String;
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
        let len = match exchange.advance(buffer, &mut fields, BODY_BYTES_MAX)? {
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
            let (first, second) = endless[..HEAD_BYTES_MAX].as_bytes().split_at(first);
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
