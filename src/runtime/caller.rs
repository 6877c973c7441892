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

/// The place that answers are written to, but for the bodies that handlers own.
pub type Place = [u8; PLACE_BYTES];
pub const PLACE_BYTES: usize = RESPONSE_HEAD_BYTES_MAX + FAILURE_BYTES_MAX;

/// The handler, and what every call of it needs.
pub struct Caller<H> {
    handler: H,
    markers: Markers,
    place: &'static mut Place,
    date: Date,
}

/// An answer, ready to be sent: head and body in this order.
pub struct Reply<'a> {
    pub head: &'a [u8],
    pub body: &'a [u8],
    pub persist: Persist,
}

/// What a handler answered.
enum Answer<'a> {
    Event(&'a [u8]),
    Http(crate::handler::Response<'a>),
    Done,
}

impl<H: Handler> Caller<H> {
    pub fn new(handler: H, markers: Markers, place: &'static mut Place) -> Self {
        Self {
            handler,
            markers,
            place,
            date: Date::new(),
        }
    }

    /// Calls the handler with a request and renders what it answers.
    #[inline(never)]
    pub fn call<'a>(&'a mut self, message: &Message<'a>) -> Reply<'a> {
        let request = Request {
            head: message.head,
            body: message.body,
        };
        let call = fc::route(&request);
        let request_id = request.header("x-fc-request-id").unwrap_or(b"");
        let cx = Context {
            platform: Platform::Fc,
            headers: message.head.headers,
            arrived_ms: clock::epoch_ms(),
            now_ms: clock::epoch_ms,
            environment: env::var,
        };
        mark(self.markers, call, Edge::Start, request_id);
        let handler = &mut self.handler;
        let outcome = guard::call(|| match call {
            Call::Invoke => handler.invoke(request.body(), &cx).map(Answer::Event),
            Call::Http => handler.http(&request, &cx).map(Answer::Http),
            Call::Initialize => handler.initialize(&cx).map(|()| Answer::Done),
            Call::PreFreeze => handler.pre_freeze(&cx).map(|()| Answer::Done),
            Call::PreStop => handler.pre_stop(&cx).map(|()| Answer::Done),
        });
        let (head_place, body_place) = self.place.split_at_mut(RESPONSE_HEAD_BYTES_MAX);
        let mut head = Writer::new(head_place);
        let rendered = outcome.and_then(|answer| render(answer, &mut head));
        let (status, body) = match rendered {
            Ok(answer) => {
                mark(self.markers, call, Edge::End, request_id);
                answer
            }
            Err(error) => {
                log_failure(request_id, &error);
                mark(self.markers, call, Edge::Failed, request_id);
                head.clear();
                (404, fail(call, &error, &mut head, body_place))
            }
        };
        let persist = if signal::terminating() {
            Persist::Close
        } else {
            message.persist
        };
        head.put(self.date.field(clock::epoch_ms() / 1000));
        // RFC 9110 §8.6: no length where there can be no body.
        if write::has_body(status) {
            write::content_length(&mut head, body.len());
        }
        write::end(&mut head, persist, message.head.version == Version::Http10);
        let is_bodiless = message.head.method == "HEAD" || !write::has_body(status);
        Reply {
            head: head.finish(),
            body: if is_bodiless { b"" } else { body },
            persist,
        }
    }

    /// What a peer is told that broke a rule of the protocol.
    pub fn refuse(&mut self, reject: Reject) -> Reply<'_> {
        let mut head = Writer::new(&mut self.place[..]);
        write::status(&mut head, reject.status());
        head.put(b"Content-Type: text/plain\r\n");
        head.put(self.date.field(clock::epoch_ms() / 1000));
        write::content_length(&mut head, reject.reason().len());
        write::end(&mut head, Persist::Close, false);
        let body = reject.reason().as_bytes();
        Reply {
            head: head.finish(),
            body,
            persist: Persist::Close,
        }
    }
}

/// Status line and fields of a successful answer; its status and body.
fn render<'a>(answer: Answer<'a>, head: &mut Writer<'_>) -> Result<(u16, &'a [u8]), Error> {
    match answer {
        Answer::Event(body) => {
            fc::event_head(head);
            Ok((200, body))
        }
        Answer::Http(response) => {
            fc::http_head(&response, head)?;
            Ok((response.status, response.body))
        }
        Answer::Done => {
            fc::event_head(head);
            Ok((200, b""))
        }
    }
}

/// Status line, fields and body of a failure.
fn fail<'a>(call: Call, error: &Error, head: &mut Writer<'_>, place: &'a mut [u8]) -> &'a [u8] {
    fc::failure_head(call, head);
    let mut body = Writer::new(place);
    fc::failure_body(error, &mut body);
    body.finish()
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
    let mut line = Writer::new(&mut place);
    log::prefix(request_id, Level::Error, &mut line);
    line.put(error.kind().as_bytes());
    line.put(b": ");
    line.put(error.message_bytes());
    if !error.place_bytes().is_empty() {
        line.put(b" (at ");
        line.put(error.place_bytes());
        line.put(b")");
    }
    line.put(b"\n");
    log::write(line.written());
}
