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
        match self {
            Self::TargetTooLong => 414,
            Self::HeadTooLarge | Self::TooManyFields | Self::TrailerTooLarge => 431,
            Self::BodyTooLarge => 413,
            Self::Expectation => 417,
            Self::UnknownCoding | Self::Method => 501,
            Self::Version => 505,
            Self::OutOfMemory => 503,
            _ => 400,
        }
    }

    /// What is wrong, in words for the peer.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::RequestLine => "bad request line",
            Self::Target => "bad request target",
            Self::TargetTooLong => "request target too long",
            Self::Version => "HTTP version not supported",
            Self::Method => "method not supported",
            Self::LineEnd => "a line does not end with CR LF",
            Self::Field => "bad header field",
            Self::HeadTooLarge => "request head too large",
            Self::TooManyFields => "too many header fields",
            Self::Host => "missing, repeated or bad Host",
            Self::ContentLength => "bad Content-Length",
            Self::TransferEncoding => "bad Transfer-Encoding",
            Self::UnknownCoding => "transfer coding not supported",
            Self::LengthAndCoding => "both Content-Length and Transfer-Encoding",
            Self::Unframed => "a body without a length",
            Self::Expectation => "expectation not supported",
            Self::BodyTooLarge => "request body too large",
            Self::ChunkSize => "bad chunk size",
            Self::ChunkEnd => "a chunk does not end with CR LF",
            Self::ChunkExtension => "bad or endless chunk extension",
            Self::Trailer => "bad trailer",
            Self::TrailerTooLarge => "trailer section too large",
            Self::Incomplete => "the request ends too early",
            Self::OutOfMemory => "out of memory",
        }
    }
}
