//! Calls whose events are HTTP requests, which a gateway has made JSON of: [`Handler::HTTP_EVENTS`].
//!
//! The event lies in the buffer of its message, which others read, too: what is kept of a call is its head, and the
//! buffer may be the one that all connections share. So what has to be changed of the event (escapes,
//! base64) is written to other memory, and everything else is borrowed.

use core::cell::Cell;

use super::answer::{Renderer, Reply};
use super::call::{Caller, context, export_trace_id, offered, put_off, render_event, respond};
use super::gateway::{self, Answer, Lent};
use super::poll::Client;
use super::side::Side;
use crate::bytes::Writer;
use crate::handler::{Context, Error, Handler, Platform, Request, Rest};
use crate::http::Reject;
use crate::http::exchange::Message;
use crate::http::head::Fields;
use crate::net::pool::Pool;
use crate::platform::Call;
use crate::platform::gateway::Shape;
use crate::platform::gateway::event::{Event, Refusal};
use crate::platform::runtime_api::{Ask, Verdict, verdict};

/// Answers a message of any kind, as [`Caller::answer`] does; if it is a request in JSON, by [`Handler::http`].
#[inline(never)]
pub fn answer<'a, H: Handler>(
    caller: &'a mut Caller<H>,
    side: &mut Side,
    message: &Message<'a>,
    pool: &mut Pool,
    lent: &'a mut Lent,
    rows: &'a mut Fields<'a>,
) -> Reply<'a> {
    let config = &caller.renderer.config;
    let (platform, is_streaming) = (config.platform(), config.is_streaming());
    let Some(client) = side.client() else {
        return caller.answer(side, message);
    };
    let event = event(*client, platform, message);
    let shape = event.as_ref().map(|event| event.shape);
    gateway::note(*client, shape.filter(|_| !is_streaming));
    match event {
        Some(event) => answer_http(caller, client, message, &event, pool, lent, rows),
        None => caller.answer(side, message),
    }
}

/// The request that a message is, if it is one.
fn event<'a>(client: Client, platform: Platform, message: &Message<'a>) -> Option<Event<'a>> {
    let is_event =
        client.ask == Ask::Next && verdict(Ask::Next, message.head.status) == Verdict::Taken;
    if !is_event {
        return None;
    }
    Event::read(message.body, platform)
}

#[allow(clippy::too_many_arguments, reason = "what a call needs")]
#[inline]
fn answer_http<'a, H: Handler>(
    caller: &'a mut Caller<H>,
    client: &mut Client,
    message: &Message<'a>,
    event: &Event<'a>,
    pool: &mut Pool,
    lent: &'a mut Lent,
    rows: &'a mut Fields<'a>,
) -> Reply<'a> {
    let Caller {
        handler,
        renderer,
        progress,
    } = caller;
    progress.note(client.ask);
    let now_ms = renderer.time.now_ms();
    let Renderer {
        config, buffers, ..
    } = renderer;
    let shape = (!config.is_streaming()).then_some(event.shape);
    let request = match gateway::lend(pool, &mut lent.request, event.room()) {
        Some(place) => event.request(place, rows),
        None => Err(Reject::OutOfMemory.into()),
    };
    let rest = Cell::new(offered::<H>());
    let cx = context(config, now_ms, &message.head, &rest);
    export_trace_id(config, &cx);
    let mut place = Writer::new(&mut buffers.prelude_or_failure);
    let made = match request {
        Ok(request) => perform(handler, &request, &cx, shape, &mut place),
        Err(Refusal { status, reason }) => {
            gateway::put_head(shape, status, REFUSAL, reason, &mut place)
        }
    };
    let (head, id) = (&message.head, cx.id());
    if let Some(receipt) = buffers.receipts.of(client.index) {
        receipt.begin(id);
    }
    let stream = match rest.get() {
        Rest::Later(number) if H::DEFERS && made.is_ok() => {
            return put_off(Call::Http, number, message.persist, &cx);
        }
        Rest::Stream(state) if H::STREAMS => Some(state),
        _ => None,
    };
    let lent = &mut lent.answer;
    render_event(
        renderer, client, head, id, made, shape, b"", stream, pool, lent,
    )
}

/// The fields of an answer to a request that is refused.
const REFUSAL: &[(&str, &[u8])] = &[("Content-Type", b"text/plain")];

/// Calls the function, and writes what its answer begins with.
#[inline]
fn perform<'a, H: Handler>(
    handler: &'a mut H,
    request: &Request<'a>,
    cx: &Context<'_>,
    shape: Option<Shape>,
    place: &mut Writer<'_>,
) -> Result<Answer<'a>, Error> {
    let given = respond(handler, request, cx)?;
    let (status, fields, body) = given.parts()?;
    gateway::put_head(shape, status, fields, body, place)
}
