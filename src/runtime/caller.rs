//! One call, from a complete request to the answer's bytes: marker, handler, marker.

use super::config::Markers;
use super::guard;
use crate::bytes::Writer;
use crate::handler::{Context, Error, Handler, Platform, Request};
use crate::http::date::Date;
use crate::http::exchange::Message;
use crate::http::{Persist, Reject, Version, write};
use crate::limits::{ERROR_BYTES_MAX, RESPONSE_HEAD_BYTES_MAX};
use crate::log::{self, Level};
use crate::platform::fc::{self, Call, Edge};
use crate::sys::{clock, env, signal};

/// Room for a failure as JSON: every byte of it may need six.
const FAILURE_BYTES_MAX: usize = 6 * (ERROR_BYTES_MAX + 512);

/// Where the head of an answer is written to whose fields are all ours.
pub type ShortHead = [u8; 512];

/// Where other answers are written to, but for the bodies that handlers own.
pub struct Place {
    head: [u8; RESPONSE_HEAD_BYTES_MAX],
    failure: [u8; FAILURE_BYTES_MAX],
}

impl Place {
    pub const EMPTY: Self = Self {
        head: [0; RESPONSE_HEAD_BYTES_MAX],
        failure: [0; FAILURE_BYTES_MAX],
    };
}

/// The handler, and what every call of it needs.
pub struct Caller<H> {
    handler: H,
    markers: Markers,
    short_head: &'static mut ShortHead,
    place: &'static mut Place,
    date: Date,
    /// The time of this round of the loop, in milliseconds since the Unix epoch.
    now_ms: u64,
}

/// An answer, ready to be sent: head and body in this order.
pub struct Reply<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
    pub persist: Persist,
}

impl<H: Handler> Caller<H> {
    pub fn new(
        handler: H,
        markers: Markers,
        short_head: &'static mut ShortHead,
        place: &'static mut Place,
    ) -> Self {
        Self {
            handler,
            markers,
            short_head,
            place,
            date: Date::new(),
            now_ms: 0,
        }
    }

    /// Reads the clock, for all calls until it is read again.
    pub fn set_time(&mut self) {
        self.now_ms = clock::epoch_ms();
    }

    /// Calls the handler with a request and renders what it answers.
    ///
    /// `Date` says when the round began in which the call was made: it may be older than the
    /// answer by as long as the handler took.
    #[inline(never)]
    pub fn call<'a>(&'a mut self, message: &Message<'a>) -> Reply<'a> {
        let request = Request {
            head: message.head,
            body: message.body,
        };
        let call = fc::route(&request);
        let cx = Context {
            platform: Platform::Fc,
            headers: message.head.headers,
            arrived_ms: self.now_ms,
            now_ms: clock::epoch_ms,
            environment: env::var,
        };
        // As the handler's own lines name it.
        let request_id = cx.request_id().as_bytes();
        let markers = self.markers;
        mark(markers, call, Edge::Start, request_id);
        let handler = &mut self.handler;
        let mut head = Writer::new(match call {
            Call::Http => &mut self.place.head,
            _ => &mut self.short_head[..],
        });
        let outcome = guard::call(|| answer(handler, call, &request, &cx, &mut head));
        let (status, body) = match outcome {
            Ok(answer) => {
                mark(markers, call, Edge::End, request_id);
                answer
            }
            Err(error) => {
                log_failure(request_id, &error);
                mark(markers, call, Edge::Failed, request_id);
                head.clear();
                fc::failure_head(call, &mut head);
                let mut body = Writer::new(&mut self.place.failure);
                fc::failure_body(&error, &mut body);
                (404, body.finish())
            }
        };
        let persist = if signal::terminating() {
            Persist::Close
        } else {
            message.persist
        };
        let has_body = write::has_body(status);
        head.put(self.date.field(self.now_ms / 1000));
        // RFC 9110 §8.6: no length where there can be no body.
        if has_body {
            write::content_length(&mut head, body.len());
        }
        write::end(&mut head, persist, message.head.version);
        let is_bodiless = !has_body || message.head.method == "HEAD";
        Reply {
            head: head.finish(),
            body: if is_bodiless { b"" } else { body },
            persist,
        }
    }

    /// What a peer is told that broke a rule of the protocol.
    pub fn refuse(&mut self, reject: Reject) -> Reply<'_> {
        let body = reject.reason().as_bytes();
        let mut head = Writer::new(self.short_head);
        write::status(&mut head, reject.status());
        head.put(b"Content-Type: text/plain\r\n");
        head.put(self.date.field(self.now_ms / 1000));
        write::content_length(&mut head, body.len());
        write::end(&mut head, Persist::Close, Version::Http11);
        Reply {
            head: head.finish(),
            body,
            persist: Persist::Close,
        }
    }
}

/// Calls the method that the call is for. Writes status line and fields of a successful answer;
/// returns its status and body.
fn answer<'a, H: Handler>(
    handler: &'a mut H,
    call: Call,
    request: &Request<'a>,
    cx: &Context<'_>,
    head: &mut Writer<'_>,
) -> Result<(u16, &'a [u8]), Error> {
    let body = match call {
        Call::Http => return answer_http(handler, request, cx, head),
        Call::Invoke => handler.invoke(request.body(), cx)?,
        Call::Initialize => handler.initialize(cx).map(|()| &b""[..])?,
        Call::PreFreeze => handler.pre_freeze(cx).map(|()| &b""[..])?,
        Call::PreStop => handler.pre_stop(cx).map(|()| &b""[..])?,
    };
    fc::event_head(head);
    Ok((200, body))
}

/// A response takes a kilobyte: nothing that every event should find on its stack.
#[inline(never)]
fn answer_http<'a, H: Handler>(
    handler: &'a mut H,
    request: &Request<'a>,
    cx: &Context<'_>,
    head: &mut Writer<'_>,
) -> Result<(u16, &'a [u8]), Error> {
    let response = handler.http(request, cx)?;
    fc::http_head(&response, head)?;
    Ok((response.status, response.body))
}

fn mark(markers: Markers, call: Call, edge: Edge, request_id: &[u8]) {
    if markers == Markers::On {
        let mut place = [0; 256];
        let mut line = Writer::new(&mut place);
        fc::marker(call, edge, request_id, &mut line);
        log::write(line.written());
    }
}

/// What went wrong, before the line that ends the call.
#[inline(never)]
fn log_failure(request_id: &[u8], error: &Error) {
    let mut place = [0; 2048];
    let mut line = Writer::new(&mut place[..2047]);
    log::prefix(request_id, Level::Error, &mut line);
    line.put(error.kind().as_bytes());
    line.put(b": ");
    line.put(error.message_bytes());
    if !error.place_bytes().is_empty() {
        line.put(b" (at ");
        line.put(error.place_bytes());
        line.put(b")");
    }
    // A name may be so long that all of it does not fit.
    let len = line.written().len();
    place[len] = b'\n';
    log::write(&place[..=len]);
}
