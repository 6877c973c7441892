//! HTTP/1.1 as bytes in and bytes out (RFC 9110, RFC 9112).
//!
//! Nothing here holds a descriptor, reads a clock or knows a platform, so that the whole protocol
//! runs in memory: under tests, under Miri, under a fuzzer.
//!
//! [`exchange`] is the state of one connection's current request. It asks [`head`] for the head,
//! [`body`] for how the body is framed, and lets [`chunk`] decode a chunked one in place.
//! [`mod@write`] makes the head of a response, [`date`] its `Date`.

pub mod body;
pub mod chunk;
pub mod date;
pub mod exchange;
pub mod head;
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
    RequestLine,
    Target,
    TargetTooLong,
    Version,
    Method,
    LineEnd,
    Field,
    HeadTooLarge,
    TooManyFields,
    Host,
    ContentLength,
    TransferEncoding,
    UnknownCoding,
    LengthAndCoding,
    Unframed,
    Expectation,
    BodyTooLarge,
    ChunkSize,
    ChunkEnd,
    ChunkExtension,
    Trailer,
    TrailerTooLarge,
    Incomplete,
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
        let mut lines = bytes::split(REJECTS, b'\n');
        lines.nth(self as usize).unwrap_or_default()
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
400a body without a length
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
mod tests {
    use super::*;

    #[test]
    fn rejects_have_their_lines() {
        for (reject, status, reason) in [
            (Reject::RequestLine, 400, "bad request line"),
            (Reject::TargetTooLong, 414, "request target too long"),
            (Reject::Method, 501, "method not supported"),
            (Reject::TooManyFields, 431, "too many header fields"),
            (Reject::Expectation, 417, "expectation not supported"),
            (Reject::TrailerTooLarge, 431, "trailer section too large"),
            (Reject::OutOfMemory, 503, "out of memory"),
        ] {
            assert_eq!(reject.status(), status, "{reject:?}");
            assert_eq!(reject.reason(), reason.as_bytes(), "{reject:?}");
        }
    }
}
