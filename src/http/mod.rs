//! HTTP/1.1 as bytes in and bytes out (RFC 9110, RFC 9112).
//!
//! Nothing here holds a descriptor, reads a clock or knows a platform, so that the whole protocol
//! runs in memory: under tests, under Miri, under a fuzzer.
//!
//! [`exchange`] is the state of one connection's current request. It asks [`head`] for the head,
//! [`body`] for how the body is framed, and lets [`chunk`] decode a chunked one in place. [`host`] says
//! what names a host.
//! [`mod@write`] makes the head of a response, [`date`] its `Date`.

pub mod body;
pub mod chunk;
pub mod date;
pub mod exchange;
pub mod forward;
pub mod head;
pub mod host;
pub mod write;

use crate::bytes;

/// Whether an incremental parser is through. Too few bytes are not an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parsed<T> {
    Done(T),
    More,
}

/// Whether the connection may carry another request after this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Persist {
    Keep,
    Close,
}

/// Which side of a connection is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A server's side: what comes are requests.
    Request,
    /// A client's side: what comes are responses.
    Response,
}

/// The version of a request; a response always says 1.1 (RFC 9110 §6.2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    Http10,
    #[default]
    Http11,
}

/// What a peer did wrong. Each has one answer, after which the connection is closed, because what
/// follows can no longer be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reject {
    /// The first line is not a method, a target and a version (RFC 9112 §3), or a version and a status (§4).
    RequestLine,
    /// The target has none of the forms that its method allows (RFC 9112 §3.2).
    Target,
    /// The target is longer than `limits::TARGET_BYTES_MAX`.
    TargetTooLong,
    /// The version is neither 1.0 nor 1.1 (RFC 9112 §2.3).
    Version,
    /// A method that no function can serve: `CONNECT`.
    Method,
    /// A line ends with a bare LF (RFC 9112 §2.2).
    LineEnd,
    /// A name or a value that is not the grammar's (RFC 9112 §5.1, §5.2).
    Field,
    /// The head is longer than `limits::HEAD_BYTES_MAX`.
    HeadTooLarge,
    /// More fields than `limits::FIELD_COUNT_MAX`.
    TooManyFields,
    /// No `Host`, more than one, or one that is not the grammar's (RFC 9112 §3.2).
    Host,
    /// A length that is no number, or several that differ (RFC 9112 §6.3).
    ContentLength,
    /// Codings without a final `chunked`, or any in HTTP/1.0 (RFC 9112 §6.1, §6.3).
    TransferEncoding,
    /// A coding before `chunked` (RFC 9112 §6.1).
    UnknownCoding,
    /// Both a length and a coding (RFC 9112 §6.3, request smuggling).
    LengthAndCoding,
    /// An expectation other than `100-continue` (RFC 9110 §10.1.1).
    Expectation,
    /// The body is longer than `FNBOOT_MAX_BODY`.
    BodyTooLarge,
    /// The size of a chunk is no number, or has too many digits (RFC 9112 §7.1).
    ChunkSize,
    /// A chunk is longer than its size says (RFC 9112 §7.1).
    ChunkEnd,
    /// Extensions that are not the grammar's, or too long (RFC 9112 §7.1.1).
    ChunkExtension,
    /// A trailer field that is not the grammar's (RFC 9112 §7.1.2).
    Trailer,
    /// The trailer section is longer than `limits::TRAILER_BYTES_MAX`.
    TrailerTooLarge,
    /// The client has half-closed in the middle of a request.
    Incomplete,
    /// There is no memory for the body.
    OutOfMemory,
}

impl Reject {
    /// The status that it is answered with.
    #[must_use]
    pub fn status(self) -> u16 {
        let code = bytes::decimal(bytes::slice(self.line(), 0..CODE_BYTES));
        code.and_then(|code| u16::try_from(code).ok())
            .unwrap_or(400)
    }

    /// What is wrong, in words for the peer.
    #[must_use]
    pub fn reason(self) -> &'static [u8] {
        self.line().get(CODE_BYTES..).unwrap_or_default()
    }

    fn line(self) -> &'static [u8] {
        bytes::line(REJECTS, self as usize)
    }
}

/// Bytes of a status.
const CODE_BYTES: usize = 3;

/// Status and reason of every [`Reject`], in their order. One text: each of its own would need an
/// address and a length.
const REJECTS: &[u8] = b"400bad request line
400bad request target
414request target too long
505HTTP version not supported
501method not supported
400a line does not end with CR LF
400bad header field
431request head too large
431too many header fields
400missing, repeated or bad Host
400bad Content-Length
400bad Transfer-Encoding
501transfer coding not supported
400both Content-Length and Transfer-Encoding
417expectation not supported
413request body too large
400bad chunk size
400a chunk does not end with CR LF
400bad or endless chunk extension
400bad trailer
431trailer section too large
400the request ends too early
503out of memory";

#[cfg(test)]
#[path = "../../tests/rows.rs"]
mod rows;

#[cfg(test)]
mod tests {
    use std::string::{String, ToString};
    use std::vec::Vec;

    use super::exchange::{Exchange, Step};
    use super::rows::{self, Want};
    use super::*;

    /// The bodies that a connection sends for a stream delivered in `pieces`, or the status of a
    /// refusal, and whether it ends then.
    fn answers(pieces: &[&[u8]]) -> (Vec<String>, Persist) {
        let mut exchange = Exchange::new();
        let (mut answers, mut buffer) = (Vec::new(), Vec::new());
        for piece in pieces {
            buffer.extend_from_slice(piece);
            while !buffer.is_empty() {
                match answer(&mut exchange, &mut buffer) {
                    Ok(None) => break,
                    Ok(Some((body, Persist::Keep))) => answers.push(body),
                    Ok(Some((body, Persist::Close))) => {
                        answers.push(body);
                        return (answers, Persist::Close);
                    }
                    Err(reject) => {
                        answers.push(reject.status().to_string());
                        return (answers, Persist::Close);
                    }
                }
            }
        }
        (answers, Persist::Keep)
    }

    /// What the built-in function answers to the next request, once it has come.
    fn answer(
        exchange: &mut Exchange,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<(String, Persist)>, Reject> {
        const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
        loop {
            let mut fields = head::fields();
            let step = exchange.advance(Kind::Request, buffer, &mut fields, BODY_BYTES_MAX)?;
            let need = match step {
                Step::Dispatch(message) => {
                    let (path, _) = head::split_target(message.head.target);
                    let is_event = (message.head.method, path) == ("POST", "/invoke");
                    let body = match message.body {
                        [] if !is_event => b"Hello World!\n",
                        body => body,
                    };
                    let body = String::from_utf8(body.to_vec()).expect("text");
                    let (len, persist) = (message.len, message.persist);
                    exchange.finish();
                    buffer.drain(..len);
                    return Ok(Some((body, persist)));
                }
                Step::Decode => match exchange.decode(buffer, BODY_BYTES_MAX)? {
                    Some(need) => need,
                    None => continue,
                },
                Step::Continue(_) => continue,
                Step::Read(need) => need,
            };
            assert!(need.filled < need.room);
            buffer.truncate(need.filled);
            return Ok(None);
        }
    }

    #[track_caller]
    fn check(row: &rows::Row, pieces: &[&[u8]]) {
        let texts = |bodies: &[&str]| bodies.iter().map(ToString::to_string).collect();
        let want: (Vec<String>, Persist) = match row.want {
            Want::Open(bodies) => (texts(bodies), Persist::Keep),
            Want::Close(bodies) => (texts(bodies), Persist::Close),
            Want::Refuse(status) => ([status.to_string()].to_vec(), Persist::Close),
        };
        let (name, section) = (row.name, row.section);
        assert_eq!(answers(pieces), want, "{name}, RFC {section}");
    }

    /// Whole, in two pieces cut at every byte, and in single bytes: always the same.
    #[test]
    fn every_row_is_answered() {
        for row in rows::rows() {
            check(&row, &[&row.bytes]);
            for cut in 1..row.bytes.len() {
                let (first, second) = row.bytes.split_at(cut);
                check(&row, &[first, second]);
            }
            check(&row, &row.bytes.chunks(1).collect::<Vec<_>>());
        }
        for row in rows::large() {
            for len in [usize::MAX, 1, 100, 4096, 8193, 16_384] {
                check(&row, &row.bytes.chunks(len).collect::<Vec<_>>());
            }
        }
    }

    /// Status and reason are found by the order of the variants: each has its own line.
    #[test]
    fn rejects_have_their_lines() {
        for (reject, status, reason) in [
            (Reject::RequestLine, 400, "bad request line"),
            (Reject::Target, 400, "bad request target"),
            (Reject::TargetTooLong, 414, "request target too long"),
            (Reject::Version, 505, "HTTP version not supported"),
            (Reject::Method, 501, "method not supported"),
            (Reject::LineEnd, 400, "a line does not end with CR LF"),
            (Reject::Field, 400, "bad header field"),
            (Reject::HeadTooLarge, 431, "request head too large"),
            (Reject::TooManyFields, 431, "too many header fields"),
            (Reject::Host, 400, "missing, repeated or bad Host"),
            (Reject::ContentLength, 400, "bad Content-Length"),
            (Reject::TransferEncoding, 400, "bad Transfer-Encoding"),
            (Reject::UnknownCoding, 501, "transfer coding not supported"),
            (
                Reject::LengthAndCoding,
                400,
                "both Content-Length and Transfer-Encoding",
            ),
            (Reject::Expectation, 417, "expectation not supported"),
            (Reject::BodyTooLarge, 413, "request body too large"),
            (Reject::ChunkSize, 400, "bad chunk size"),
            (Reject::ChunkEnd, 400, "a chunk does not end with CR LF"),
            (
                Reject::ChunkExtension,
                400,
                "bad or endless chunk extension",
            ),
            (Reject::Trailer, 400, "bad trailer"),
            (Reject::TrailerTooLarge, 431, "trailer section too large"),
            (Reject::Incomplete, 400, "the request ends too early"),
            (Reject::OutOfMemory, 503, "out of memory"),
        ] {
            assert_eq!(reject.status(), status, "{reject:?}");
            assert_eq!(reject.reason(), reason.as_bytes(), "{reject:?}");
        }
    }
}
