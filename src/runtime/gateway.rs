//! Answers to events that are HTTP requests: the JSON that their gateways want.
//!
//! The beginning of the JSON, up to the body, is written where Lambda's prelude would be. A body whose text needs
//! no escapes is sent from where it is; any other is written in its new form behind the head, if it is short, or
//! into memory that is lent for as long as the answer is being sent.

use core::sync::atomic::{AtomicU8, Ordering};

use super::answer::{Buffers, Coding, Outcome, Renderer, Reply, Stream};
use super::poll::{self, Client};
use super::settings::{CONCURRENCY_MAX, POLLS};
use super::side::Side;
use crate::bytes::{self, Writer};
use crate::handler::{Error, Handler, Response};
use crate::http::head::{self, Head};
use crate::http::{forward, write};
use crate::limits::RESPONSE_HEAD_BYTES_MAX;
use crate::net::pool::Pool;
use crate::platform::Call;
use crate::platform::gateway::Shape;
use crate::platform::gateway::answer::{self, Form};
use crate::platform::runtime_api::Ask;
use crate::sys::memory::Mapping;

/// Whether the handler serves such events. It is asked for as a constant, so that the code for those who do is not even
/// compiled for others.
pub const fn serves<H: Handler>() -> bool {
    cfg!(feature = "gateway") && POLLS && H::HTTP_EVENTS
}

/// The shape of the event that each connection has, plus one; zero if its answer is no gateway's JSON. It is kept
/// here, because what is kept of a call that is answered later must not grow for handlers without gateways.
static SHAPES: [AtomicU8; CONCURRENCY_MAX + 1] = [const { AtomicU8::new(0) }; CONCURRENCY_MAX + 1];

/// Notes which shape the answer to the event of a connection has.
pub fn note(client: Client, shape: Option<Shape>) {
    if let Some(place) = SHAPES.get(usize::from(client.index)) {
        let shape = shape.map_or(0, |shape| shape as u8 + 1);
        place.store(shape, Ordering::Relaxed);
    }
}

/// The shape of the answer to the event of a connection, if it is a gateway's JSON.
pub fn asked(side: &mut Side) -> Option<(&mut Client, Shape)> {
    let client = side.client()?;
    let place = SHAPES.get(usize::from(client.index))?;
    let number = place.load(Ordering::Relaxed).checked_sub(1)?;
    let shape = Shape::ALL.get(usize::from(number))?;
    Some((client, *shape))
}

/// Memory of one call, until its answer is sent.
pub struct Lent {
    /// What of the request is not as it stands in the event.
    pub request: Option<Mapping>,
    /// What of the answer is not as the handler has made it.
    pub answer: Option<Mapping>,
}

impl Lent {
    pub const NOTHING: Self = Self {
        request: None,
        answer: None,
    };

    /// The answer is sent.
    pub fn give_back(self, pool: &mut Pool) {
        if let Some(mapping) = self.request {
            pool.put(mapping);
        }
        if let Some(mapping) = self.answer {
            pool.put(mapping);
        }
    }
}

/// Memory for `len` bytes, which `lent` holds; `None` if there is none.
pub fn lend<'a>(
    pool: &mut Pool,
    lent: &'a mut Option<Mapping>,
    len: usize,
) -> Option<&'a mut [u8]> {
    *lent = pool.take(len).ok();
    lent.as_deref_mut()?.get_mut(..len)
}

/// A response whose head has been written to the place for preludes.
pub struct Answer<'a> {
    pub status: u16,
    pub head_len: usize,
    /// Empty if there can be none.
    pub body: &'a [u8],
    pub has_content: bool,
    is_coded: bool,
}

/// Room for what stands between the head and the body.
const NAME_BYTES_MAX: usize = 64;

/// Writes the head of an answer: for the gateway whose events have that shape, else as Lambda's prelude.
///
/// # Errors
/// It does not fit.
#[inline(never)]
pub fn put_head<'a>(
    shape: Option<Shape>,
    status: u16,
    fields: &[(&str, &[u8])],
    body: &'a [u8],
    place: &mut Writer<'_>,
) -> Result<Answer<'a>, Error> {
    match shape {
        Some(shape) => answer::put_head(shape, status, fields, place),
        None => answer::prelude(status, fields, place),
    }
    if place.room() < NAME_BYTES_MAX {
        return Err(Error::fixed("BadResponse", "headers too large"));
    }
    let has_content = write::has_body(status) && !write::is_empty_body(status);
    Ok(Answer {
        status,
        head_len: place.written().len(),
        body: if has_content { body } else { b"" },
        has_content,
        is_coded: answer::is_coded(fields),
    })
}

/// Writes the head of an answer for the gateway whose events have that shape: that of another server's, if it is not
/// empty, or else of the handler's own.
///
/// # Errors
/// It does not fit, or is none that could be sent.
#[inline]
pub fn put_response<'a>(
    shape: Shape,
    passed: &[u8],
    response: &Response<'a>,
    place: &mut Writer<'_>,
) -> Result<Answer<'a>, Error> {
    if !passed.is_empty() {
        let mut rows = head::fields();
        let headers = forward::headers(passed, &mut rows);
        let mut pairs = forward::pairs();
        let fields = forward::end_to_end(headers, &mut pairs);
        return put_head(Some(shape), response.status, fields, response.body, place);
    }
    let (status, fields, body) = response.parts()?;
    put_head(Some(shape), status, fields, body, place)
}

/// An answer as it stands in the JSON.
pub struct Encoded<'a> {
    head_len: usize,
    form: Form,
    body: &'a [u8],
    /// In the JSON.
    body_len: usize,
    /// Whether it is put together with its head, and the body still has to be brought into its form.
    is_short: bool,
}

/// Brings the body of an answer into the form that it has in JSON.
///
/// # Errors
/// There is no memory.
#[inline(never)]
pub fn encode<'a>(
    answer: &Answer<'a>,
    pool: &mut Pool,
    lent: &'a mut Option<Mapping>,
) -> Result<Encoded<'a>, Error> {
    let form = Form::of(answer.is_coded, answer.body);
    let body_len = form.len(answer.body);
    // What is put together can be sent again.
    let is_short = answer.head_len + body_len + OWN_BYTES_MAX <= RESPONSE_HEAD_BYTES_MAX;
    let is_as_it_is = form == Form::Text && body_len == answer.body.len();
    let mut body = answer.body;
    if !is_short && !is_as_it_is {
        let mut writer = Writer::new(lend(pool, lent, body_len).ok_or_else(no_memory)?);
        form.put(body, &mut writer);
        body = writer.finish();
    }
    Ok(Encoded {
        head_len: answer.head_len,
        form,
        body,
        body_len,
        is_short,
    })
}

#[cold]
fn no_memory() -> Error {
    Error::fixed("OutOfMemory", "no memory for the answer")
}

/// An answer that can be sent.
pub enum Ready<'a> {
    /// In pieces, behind its prelude.
    Prelude(Outcome<'a>),
    /// As a gateway wants it.
    Whole(Shape, Encoded<'a>),
    /// Not yet: it is the beginning of one in pieces.
    Kept(Reply<'a>),
}

/// Brings an answer into the form in which it is sent: for the gateway whose events have that shape, else in pieces.
/// `stream` is what the handler knows the rest of the answer by.
///
/// # Errors
/// There is no memory.
#[inline]
pub fn ready<'a>(
    renderer: &mut Renderer,
    client: &mut Client,
    answer: &Answer<'a>,
    shape: Option<Shape>,
    stream: Option<u64>,
    pool: &mut Pool,
    lent: &'a mut Option<Mapping>,
) -> Result<Ready<'a>, Error> {
    match (shape, stream) {
        (None, _) => Ok(Ready::Prelude(Outcome::new(
            answer.status,
            answer.head_len,
            answer.body,
        ))),
        (_, Some(state)) if answer.has_content => {
            collect(renderer, client, answer, state, pool, lent).map(Ready::Kept)
        }
        (Some(shape), _) => encode(answer, pool, lent).map(|encoded| Ready::Whole(shape, encoded)),
    }
}

/// The request that answers an event: `event` is the head of the response that it came with.
#[inline(never)]
pub fn render<'a>(
    renderer: &'a mut Renderer,
    client: &mut Client,
    shape: Shape,
    event: &Head<'_>,
    answer: &Encoded<'a>,
) -> Reply<'a> {
    (client.is_last_try, client.ask) = (false, Ask::Response);
    let Buffers {
        receipts,
        head,
        prelude_or_failure,
    } = &mut *renderer.buffers;
    let mut start = Writer::new(prelude_or_failure);
    start.skip(answer.head_len);
    answer.form.put_name(shape, &mut start);
    let start = start.finish();
    let len = start.len() + answer.body_len + answer::END.len();
    let mut head = Writer::new(head);
    poll::put_request(&renderer.config, client.ask, event, &mut head);
    write::content_length(&mut head, len as u64);
    head.put(b"\r\n");
    head.put(start);
    if let Some(receipt) = receipts.of(client.index) {
        receipt.set_body_bytes(len);
    }
    let mut reply = Reply::NOTHING;
    let mut held_len = 0;
    if answer.is_short {
        answer.form.put(answer.body, &mut head);
        head.put(answer::END);
        held_len = head.written().len();
    } else {
        (reply.body, reply.tail) = (answer.body, answer::END);
    }
    receipts.hold(client.index, held_len);
    reply.head = head.finish();
    reply
}

/// Room for all of a request but the head and the body of its answer.
const OWN_BYTES_MAX: usize = 2 * 1024;

/// An answer in pieces, which are collected: they come behind its head, a mark, and what is there of its body.
/// No byte of the head is as small as a mark.
///
/// # Errors
/// There is no memory.
pub fn collect<'a>(
    renderer: &mut Renderer,
    client: &mut Client,
    answer: &Answer<'_>,
    state: u64,
    pool: &mut Pool,
    lent: &'a mut Option<Mapping>,
) -> Result<Reply<'a>, Error> {
    let buffers = &mut *renderer.buffers;
    let len = answer.head_len + 1 + answer.body.len();
    let mut kept = Writer::new(lend(pool, lent, len).ok_or_else(no_memory)?);
    kept.put(bytes::slice(
        &buffers.prelude_or_failure,
        0..answer.head_len,
    ));
    kept.put(&[u8::from(answer.is_coded)]);
    kept.put(answer.body);
    (client.is_last_try, client.ask) = (false, Ask::Response);
    buffers.receipts.hold(client.index, 0);
    let (call, coding) = (Call::Http, Coding::Collected);
    Ok(Reply {
        body: kept.finish(),
        rest: Some((Stream { call, coding }, state)),
        ..Reply::NOTHING
    })
}

/// The answer whose pieces were collected: its head is put back.
pub fn collected<'a>(renderer: &mut Renderer, kept: &'a [u8]) -> Answer<'a> {
    let head_len = kept.iter().position(|&byte| byte <= 1);
    let head_len = head_len.unwrap_or(kept.len());
    bytes::copy(
        &mut renderer.buffers.prelude_or_failure,
        bytes::slice(kept, 0..head_len),
    );
    Answer {
        status: 200,
        head_len,
        body: kept.get(head_len + 1..).unwrap_or_default(),
        has_content: true,
        is_coded: kept.get(head_len) == Some(&1),
    }
}
