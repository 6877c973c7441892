//! An answer as it is sent: its parts, how it goes on, and what it is written with.
//!
//! Which parts it has is decided by `push` for a platform that sends requests, by `poll` for one that
//! is asked for events.

use super::config::Config;
use super::receipts::Receipts;
use crate::bytes::Writer;
use crate::handler::Error;
use crate::http::Persist;
use crate::http::date::Date;
use crate::limits::{
    ERROR_BYTES_MAX, ERROR_KIND_BYTES_MAX, ERROR_PLACE_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX,
};
use crate::platform::{self, Call};
use crate::sys::clock;

/// Room for a failure as JSON, or for Lambda's prelude.
const FAILURE_BYTES_MAX: usize = 6 * 1024;
const _: () = assert!(
    6 * (ERROR_KIND_BYTES_MAX + ERROR_BYTES_MAX + ERROR_PLACE_BYTES_MAX) + 64 <= FAILURE_BYTES_MAX,
    "every byte of an error may need six"
);

/// Buffer for heads that contain only our own fields: no handler can make them longer.
pub type ShortHead = [u8; 512];

/// Buffers for heads that [`ShortHead`] cannot hold, and for failures.
pub struct Buffers {
    /// In front of the head, which a request to an API touches, too.
    pub(super) receipts: Receipts,
    pub(super) head: [u8; RESPONSE_HEAD_BYTES_MAX],
    /// A failure as JSON, or the prelude of an answer that Lambda is sent in pieces.
    pub(super) prelude_or_failure: [u8; FAILURE_BYTES_MAX],
}

impl Buffers {
    pub const EMPTY: Self = Self {
        receipts: Receipts::NONE,
        head: [0; RESPONSE_HEAD_BYTES_MAX],
        prelude_or_failure: [0; FAILURE_BYTES_MAX],
    };
}

/// What answers are rendered with.
pub struct Renderer {
    pub(super) config: Config,
    pub(super) short_head: &'static mut ShortHead,
    pub(super) buffers: &'static mut Buffers,
    pub(super) date: Date,
    pub(super) time: Time,
}

impl Renderer {
    pub fn new(
        config: Config,
        short_head: &'static mut ShortHead,
        buffers: &'static mut Buffers,
    ) -> Self {
        Self {
            config,
            short_head,
            buffers,
            date: Date::new(),
            time: Time::UNKNOWN,
        }
    }
}

/// The time of a tick of the loop, in milliseconds since the Unix epoch: the clock is read once, and only if
/// somebody asks.
pub struct Time(u64);

impl Time {
    pub const UNKNOWN: Self = Self(0);

    pub fn now_ms(&mut self) -> u64 {
        if self.0 == 0 {
            self.0 = clock::epoch_ms();
        }
        self.0
    }
}

/// An answer, ready to be sent: head, body and tail in this order.
#[derive(Clone, Copy)]
pub struct Reply<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
    pub tail: &'a [u8],
    pub persist: Persist,
    /// What comes after the body.
    pub rest: Option<(Stream, u64)>,
    /// How long a call that was put off may still take, if there is a limit.
    pub remaining_ms: Option<u64>,
}

impl Reply<'_> {
    /// Nothing to send.
    pub const NOTHING: Self = Self {
        head: b"",
        body: b"",
        tail: b"",
        persist: Persist::Keep,
        rest: None,
        remaining_ms: None,
    };

    /// Nothing to send, and the end of the connection.
    pub const LAST: Self = Self {
        persist: Persist::Close,
        ..Self::NOTHING
    };
}

/// Which call a streamed answer belongs to, and how it is sent. What the handler knows it by is kept beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    pub call: Call,
    pub coding: Coding,
}

/// How the pieces of an answer are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coding {
    /// As chunks (RFC 9112 §7.1).
    Chunked,
    /// As they are, until the connection ends: to a client of HTTP/1.0.
    Plain,
    /// As they are, because the head says how long all of them are.
    Sized,
    /// All together, once the last one is there.
    Collected,
    /// Not at all: an answer to `HEAD`, or one whose status has no content.
    Dropped,
    /// Not at all: fnboot refused the response, and that is logged.
    Refused,
    /// As a whole, because there is nothing of it yet: the call was put off.
    Later,
}

impl Coding {
    /// Whether the handler is asked for pieces.
    pub fn goes_on(self) -> bool {
        !matches!(self, Self::Dropped | Self::Refused)
    }
}

/// Why a call that was put off is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// The handler has the answer.
    Woken,
    /// The platform is about to end the call.
    TooLate,
}

/// What a call came to, if it did not fail.
pub struct Outcome<'a> {
    pub status: u16,
    /// How long the head of an HTTP response is that the call has written: status line and fields, or
    /// Lambda's prelude.
    pub head_len: usize,
    pub body: &'a [u8],
}

impl<'a> Outcome<'a> {
    pub fn new(status: u16, head_len: usize, body: &'a [u8]) -> Self {
        Self {
            status,
            head_len,
            body,
        }
    }
}

/// The failure of a call as JSON: the function's own `report`, if there is one.
pub fn failure_body<'a>(error: &Error, report: &'a [u8], place: &'a mut [u8]) -> &'a [u8] {
    if !report.is_empty() {
        return report;
    }
    let mut body = Writer::new(place);
    platform::failure_body(error, &mut body);
    body.finish()
}
