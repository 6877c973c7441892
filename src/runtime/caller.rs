//! One call, from a complete message to the answer's bytes: marker, handler, marker.
//!
//! What the answer is wrapped in depends on who calls: `push` for a platform that sends requests,
//! `pull` for one that is asked for events.

use core::cell::Cell;

use super::config::{Config, Source, Switch};
use super::guard;
use crate::bytes::Writer;
use crate::handler::{Context, Error, Flow, Handler, Platform, Request};
use crate::http::date::Date;
use crate::http::exchange::Message;
use crate::http::head::{self, Head};
use crate::http::{Kind, Parsed, Persist};
use crate::limits::{ERROR_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX};
use crate::log;
use crate::platform::fc::{self, Edge};
use crate::platform::runtime_api::Ask;
use crate::platform::{self, Call, lambda};
use crate::sys::{clock, env};

/// Room for a failure as JSON: every byte of it may need six.
const FAILURE_BYTES_MAX: usize = 6 * (ERROR_BYTES_MAX + 512);

/// Where the head of an answer is written to whose fields are all ours.
pub type ShortHead = [u8; 512];

/// Where other answers are written to, but for the bodies that handlers own.
pub struct Place {
    pub(super) head: [u8; RESPONSE_HEAD_BYTES_MAX],
    pub(super) failure: [u8; FAILURE_BYTES_MAX],
}

impl Place {
    pub const EMPTY: Self = Self {
        head: [0; RESPONSE_HEAD_BYTES_MAX],
        failure: [0; FAILURE_BYTES_MAX],
    };
}

/// The handler, and what every call of it needs.
pub struct Caller<H> {
    pub(super) handler: H,
    pub(super) page: Page,
}

/// What an answer is written with, and where.
pub struct Page {
    pub(super) config: Config,
    pub(super) short_head: &'static mut ShortHead,
    pub(super) place: &'static mut Place,
    pub(super) date: Date,
    /// The time of this round of the loop, in milliseconds since the Unix epoch.
    pub(super) now_ms: u64,
    /// On a client's side: whether everything that comes before the first event is done, and how
    /// many responses there were.
    pub(super) is_started: bool,
    pub(super) turn_count: u64,
}

/// An answer, ready to be sent: head, body and tail in this order.
pub struct Reply<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
    pub tail: &'a [u8],
    pub persist: Persist,
    /// What comes after the body.
    pub rest: Option<(Stream, u64)>,
}

impl Reply<'_> {
    /// Nothing to send.
    pub const NOTHING: Self = Self {
        head: b"",
        body: b"",
        tail: b"",
        persist: Persist::Keep,
        rest: None,
    };

    /// Nothing to send, and the end of the connection.
    pub const LAST: Self = Self {
        persist: Persist::Close,
        ..Self::NOTHING
    };
}

/// An answer that goes on: which one it is, but for the handler's own number.
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
    /// All together, once the last one is there.
    Collected,
    /// Not at all: an answer to `HEAD`, or one whose status has no content.
    Dropped,
    /// Not at all: fnboot refused the response, and that is logged.
    Refused,
}

impl Coding {
    /// Whether the handler is asked for pieces.
    pub fn goes_on(self) -> bool {
        !matches!(self, Self::Dropped | Self::Refused)
    }
}

/// What the handler made of a call.
pub(super) struct Outcome<'a> {
    pub status: u16,
    pub body: &'a [u8],
}

impl<H: Handler> Caller<H> {
    pub fn new(
        handler: H,
        config: Config,
        short_head: &'static mut ShortHead,
        place: &'static mut Place,
    ) -> Self {
        let page = Page {
            config,
            short_head,
            place,
            date: Date::new(),
            now_ms: 0,
            is_started: false,
            turn_count: 0,
        };
        Self { handler, page }
    }

    /// Reads the clock, for all calls until it is read again.
    pub fn set_time(&mut self) {
        self.page.now_ms = clock::epoch_ms();
    }

    /// When this round of the loop began, in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> u64 {
        self.page.now_ms
    }

    /// Which side of a connection is read.
    pub fn kind(&self) -> Kind {
        match self.page.config.source() {
            Source::Port(_) => Kind::Request,
            Source::Api => Kind::Response,
        }
    }

    /// Answers a message. `ask` is what the connection asked for last, if it is its side to ask.
    #[inline(never)]
    pub fn call<'a>(&'a mut self, message: &Message<'a>, ask: &mut Ask) -> Reply<'a> {
        match self.page.config.source() {
            Source::Port(_) => self.answer(message),
            Source::Api => self.turn(message, ask),
        }
    }

    /// Asks the handler for the next piece of an answer, which it writes to `piece`. `head` is the
    /// head of the message that is answered, which came at `arrived_ms`.
    ///
    /// # Errors
    /// The handler failed, and that is logged.
    pub fn piece(
        &mut self,
        head: &[u8],
        arrived_ms: u64,
        stream: Stream,
        state: &mut u64,
        piece: &mut Writer<'_>,
    ) -> Result<Flow, Error> {
        let room = piece.room();
        let mut fields = head::fields();
        let head = kept(self.kind(), head, &mut fields);
        let again = Cell::new(None);
        let cx = context(&self.page.config, arrived_ms, &head, &again);
        let handler = &mut self.handler;
        let result = guard::call(|| handler.stream(state, piece, &cx)).and_then(|flow| {
            let fault = if piece.is_cut() {
                "a piece longer than its room"
            } else if room == 0 && flow != Flow::End {
                "an answer longer than a body may be"
            } else {
                return Ok(flow);
            };
            // A handler that said that this was the end has ended the answer itself.
            if flow != Flow::End {
                give_up(handler, *state);
            }
            Err(Error::fixed("BadPiece", fault))
        });
        match &result {
            Ok(Flow::End) => mark(&self.page.config, stream.call, Edge::End, cx.id()),
            Ok(_) => {}
            Err(error) => fail(&self.page.config, stream.call, error, cx.id()),
        }
        result
    }

    /// Nobody takes the rest of an answer.
    pub fn abandon(&mut self, head: &[u8], stream: Stream, state: u64) {
        give_up(&mut self.handler, state);
        if stream.coding == Coding::Refused {
            return;
        }
        let mut fields = head::fields();
        let head = kept(self.kind(), head, &mut fields);
        let again = Cell::new(None);
        let request_id = context(&self.page.config, self.page.now_ms, &head, &again).id();
        mark(&self.page.config, stream.call, Edge::End, request_id);
    }

    /// Calls a method of the handler that no message asked for.
    ///
    /// # Errors
    /// The handler failed, and that is logged.
    pub fn hook(&mut self, call: Call) -> Result<(), Error> {
        let state = Cell::new(None);
        let cx = context(
            &self.page.config,
            self.page.now_ms,
            &Head::default(),
            &state,
        );
        let request = Request::default();
        let handler = &mut self.handler;
        let done = perform(handler, call, &request, &cx, &mut Writer::new(&mut []));
        if let Err(error) = &done {
            fail(&self.page.config, call, error, b"");
        }
        done.map(drop)
    }

    /// Ends an answer whose handler failed over its pieces, where the platform has words for that.
    pub fn broken(&mut self, error: &Error, end: &mut Writer<'_>) -> bool {
        let has_words = self.page.config.platform() == Platform::Lambda;
        if has_words {
            let body = failure(error, &mut self.page.place.failure);
            lambda::error_trailers(error, body, end);
        }
        has_words
    }

    /// The answer whose pieces were collected, or whose handler failed over them: `head` is that of
    /// the message that is answered.
    pub fn collected<'a>(
        &'a mut self,
        head: &[u8],
        persist: Persist,
        result: Result<&'a [u8], &Error>,
        ask: &mut Ask,
    ) -> Reply<'a> {
        let mut fields = head::fields();
        let head = kept(self.kind(), head, &mut fields);
        match self.page.config.source() {
            Source::Port(_) => self.page.whole(head.version, persist, result),
            Source::Api => self.page.result(&head, result, ask),
        }
    }
}

/// Tells the handler that nobody asks for the rest of an answer.
fn give_up<H: Handler>(handler: &mut H, state: u64) {
    // A panic in it has no call that it could fail: it is printed by its hook.
    let _ = guard::call(|| {
        handler.abandon(state);
        Ok(())
    });
}

/// A head that was kept: it was parsed before, and so can be parsed again.
fn kept<'h, 'b: 'h>(kind: Kind, bytes: &'b [u8], fields: &'h mut head::Fields<'b>) -> Head<'h> {
    match head::parse(kind, bytes, fields) {
        Ok(Parsed::Done(head)) => head,
        _ => Head::default(),
    }
}

/// What the handler is told about the call that has this head.
#[inline(never)]
pub(super) fn context<'a>(
    config: &Config,
    arrived_ms: u64,
    head: &Head<'a>,
    stream: &'a Cell<Option<u64>>,
) -> Context<'a> {
    Context {
        platform: config.platform(),
        headers: head.headers,
        arrived_ms,
        now_ms: clock::epoch_ms,
        environment: env::var,
        stream,
    }
}

/// Logs one end of a call, for a platform that does not do so itself.
pub(super) fn mark(config: &Config, call: Call, edge: Edge, request_id: &[u8]) {
    if config.platform() == Platform::Fc && config.markers == Switch::On {
        let mut place = [0; 256];
        let mut line = Writer::new(&mut place);
        fc::marker(call, edge, request_id, &mut line);
        log::write(line.written());
    }
}

/// Logs what went wrong, before the line that ends the call.
pub(super) fn fail(config: &Config, call: Call, error: &Error, request_id: &[u8]) {
    log::failure(
        request_id,
        error.kind(),
        error.message_bytes(),
        error.place_bytes(),
    );
    mark(config, call, Edge::Failed, request_id);
}

/// Calls the method that the call is for. A panic in it is an error, where there is unwinding.
/// `head` takes what an HTTP function's response begins with.
#[inline(never)]
pub(super) fn perform<'a, H: Handler>(
    handler: &'a mut H,
    call: Call,
    request: &Request<'a>,
    cx: &Context<'_>,
    head: &mut Writer<'_>,
) -> Result<Outcome<'a>, Error> {
    if call == Call::Http {
        return perform_http(handler, request, cx, head);
    }
    let body = ended(cx, || match call {
        Call::Invoke | Call::Http => handler.invoke(request.body(), cx),
        Call::Initialize => handler.initialize(cx).map(|()| &b""[..]),
        Call::PreFreeze => handler.pre_freeze(cx).map(|()| &b""[..]),
        Call::PreStop => handler.pre_stop(cx).map(|()| &b""[..]),
    })?;
    check_stream::<H>(cx)?;
    Ok(Outcome { status: 200, body })
}

/// Calls the handler. One that fails has ended its answer itself, so that nothing of it goes on.
fn ended<T>(cx: &Context<'_>, handler: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
    guard::call(handler).inspect_err(|_| cx.stream.set(None))
}

/// A response takes a KiB: nothing that every event should find on its stack.
#[inline(never)]
fn perform_http<'a, H: Handler>(
    handler: &'a mut H,
    request: &Request<'a>,
    cx: &Context<'_>,
    head: &mut Writer<'_>,
) -> Result<Outcome<'a>, Error> {
    let response = ended(cx, || handler.http(request, cx))?;
    check_stream::<H>(cx)?;
    platform::response_head(cx.platform(), &response, head)?;
    Ok(Outcome {
        status: response.status,
        body: response.body,
    })
}

fn check_stream<H: Handler>(cx: &Context<'_>) -> Result<(), Error> {
    match cx.stream.get() {
        Some(_) if !H::STREAMS => Err(Error::fixed("NoStream", "Handler::STREAMS is false")),
        _ => Ok(()),
    }
}

/// The failure of a call as JSON.
pub(super) fn failure<'a>(error: &Error, place: &'a mut [u8]) -> &'a [u8] {
    let mut body = Writer::new(place);
    platform::failure_body(error, &mut body);
    body.finish()
}
