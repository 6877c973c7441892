//! Requests to a platform that is asked for events: Lambda and SCF.
//!
//! A response of its API is followed by one request, as a request to a server is followed by one response:
//! the same connection does both. Nothing follows a response that only informs, nor one for which [`turn`]
//! says [`Turn::End`].

use super::answer::{Buffers, Coding, Outcome, Renderer, Reply, Stream, failure_body};
use super::config::Config;
use super::fatal;
use super::receipts::Receipts;
use crate::bytes::{self, Writer};
use crate::handler::{Error, Platform};
use crate::http::head::Head;
use crate::http::{chunk, write};
use crate::limits::STABLE_CONN_MS_MIN;
use crate::log;
use crate::platform::runtime_api::{self, Ask, Verdict, verdict};
use crate::platform::{Call, lambda, scf};
use crate::sys::clock::{self, NEVER};
use crate::sys::{process, signal};

/// The client's side of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Client {
    /// What was asked for last.
    pub ask: Ask,
    /// Whether the answer may not be sent again: it was, or the API has responded unreadably.
    pub is_last_try: bool,
    /// Which of the [`Receipts`] is its own.
    pub index: u16,
}

impl Client {
    /// The client of the connection at `index` of the table.
    pub fn new(index: usize) -> Self {
        Self {
            ask: Ask::Next,
            is_last_try: false,
            index: u16::try_from(index).unwrap_or(u16::MAX),
        }
    }

    /// Whether the API has yet to respond to the answer to an event.
    pub fn is_answering(self) -> bool {
        matches!(self.ask, Ask::Response | Ask::Error)
    }
}

/// How far all connections to the API have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Whether everything that comes before the first event is done.
    pub is_started: bool,
    /// Whether the process has to end: the log says why.
    pub is_over: bool,
    /// How many responses there were, and connections that lasted.
    pub response_count: u64,
}

impl Progress {
    pub const NONE: Self = Self {
        is_started: false,
        is_over: false,
        response_count: 0,
    };

    /// Notes that what was asked for was responded to.
    pub fn note(&mut self, ask: Ask) {
        self.response_count += 1;
        // An extension is no part of what events wait for.
        self.is_started |= ask != Ask::Register;
    }
}

/// What an event is to the function: an HTTP request where answers are sent in pieces, because Lambda then
/// expects an HTTP response.
pub fn call(config: &Config) -> Call {
    if config.is_streaming() {
        Call::Http
    } else {
        Call::Invoke
    }
}

/// What a response leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// It is an event: the function is called.
    Event,
    /// This is asked next.
    Ask(Ask),
    /// Nothing more is asked on this connection.
    End,
}

/// Takes a response that has this status, and says what follows.
pub fn turn(
    renderer: &mut Renderer,
    progress: &mut Progress,
    client: &mut Client,
    status: u16,
) -> Turn {
    let verdict = verdict(client.ask, status);
    // RFC 9110 §15.5.9: the API ends a connection that it has waited on for long. Whatever was asked
    // may be asked again on another.
    if verdict == Verdict::Expired {
        return Turn::End;
    }
    progress.note(client.ask);
    match (verdict, client.ask) {
        // The failure is reported; whatever the API answered, this instance is over.
        (_, Ask::InitError) => process::exit(1),
        (Verdict::Lost, ask) => {
            if client.is_answering() {
                log_lost(renderer, *client, status);
            }
            let text = if ask == Ask::Next {
                "the platform's API answered the question for an event with status #"
            } else {
                "the platform's API answered with status #"
            };
            fatal::tell_number(text, u64::from(status));
            progress.is_over = true;
        }
        (Verdict::Taken, Ask::Next) => return Turn::Event,
        (Verdict::Taken, Ask::Register) => return Turn::Ask(Ask::ExtensionNext),
        // A socket does not survive a snapshot, so this one is closed.
        (_, Ask::Restore) => return Turn::End,
        // The extension has subscribed to nothing, so this is the end, as after `SIGTERM`.
        (Verdict::Taken, Ask::ExtensionNext) => signal::terminate(),
        (Verdict::Refused, _) => log_lost(renderer, *client, status),
        (Verdict::Taken | Verdict::Expired, _) => {}
    }
    // The poller decides what follows a refused registration, because it depends on the other connections.
    // And after `SIGTERM` nothing is begun that could not be ended.
    let is_over = signal::terminating() || progress.is_over;
    let is_last = matches!(client.ask, Ask::Register | Ask::ExtensionNext) || is_over;
    client.ask = Ask::Next;
    if is_last {
        Turn::End
    } else {
        Turn::Ask(Ask::Next)
    }
}

/// Notes that a request was sent whole: the connection is there since the first of them.
pub fn note_sent(renderer: &mut Renderer, client: Client) {
    let receipt = renderer.buffers.receipts.of(client.index);
    if let Some(receipt) = receipt.filter(|receipt| receipt.since_ms == NEVER) {
        receipt.since_ms = clock::monotonic_ms();
    }
}

/// The connection of a client is at its end: logs what is lost with it, and notes whether it was there for
/// long enough not to count as failed.
#[inline(never)]
pub fn release(renderer: &mut Renderer, progress: &mut Progress, client: Client) {
    let is_extension = matches!(client.ask, Ask::Register | Ask::ExtensionNext);
    let is_over = signal::terminating() || progress.is_over;
    if client.is_answering() || (is_extension && !is_over) {
        log_lost(renderer, client, 0);
    }
    let receipt = renderer.buffers.receipts.of(client.index);
    let since_ms = receipt.map_or(NEVER, |receipt| receipt.since_ms);
    if since_ms.saturating_add(STABLE_CONN_MS_MIN) < clock::monotonic_ms() {
        progress.response_count += 1;
    }
}

/// Logs that the API did not take what it was sent: it refused it with `status`, or, where that is zero,
/// ended the connection without a response that could be read.
#[cold]
#[inline(never)]
pub fn log_lost(renderer: &mut Renderer, client: Client, status: u16) {
    let mut place = [0; 96];
    let mut why = Writer::new(&mut place);
    if status == 0 {
        why.put(b"the platform gave no valid response to it");
    } else {
        why.put(b"the platform refused it with status ");
        why.put_decimal(u64::from(status));
    }
    let mut id = &b""[..];
    let what = match client.ask {
        Ask::Register | Ask::ExtensionNext => "Extension",
        Ask::Ready => "Ready",
        _ => {
            if let Some(receipt) = renderer.buffers.receipts.of(client.index) {
                id = receipt.id();
                if let Some(body_bytes) = receipt.body_bytes() {
                    why.put(b" (");
                    why.put_decimal(u64::from(body_bytes));
                    why.put(b" B)");
                }
            }
            "Answer"
        }
    };
    log::failure(id, what, why.written(), b"");
}

/// Asks for something that does not answer an event. `after` is the head of the response that this
/// follows: a registered extension is given its id back, and waits. It wants no events; for it the
/// platform sends `SIGTERM`.
pub fn ask<'a>(
    renderer: &'a mut Renderer,
    client: &mut Client,
    next: Ask,
    after: &Head<'_>,
) -> Reply<'a> {
    client.ask = next;
    let body = match next {
        Ask::Ready => scf::READY,
        Ask::Register => lambda::REGISTER,
        _ => b"",
    };
    render_whole(renderer, *client, after, Ok(body), b"")
}

/// Says that nothing could be initialized.
pub fn report<'a>(renderer: &'a mut Renderer, client: &mut Client, error: &Error) -> Reply<'a> {
    client.ask = Ask::InitError;
    render_whole(renderer, *client, &Head::default(), Err(error), b"")
}

/// The answer to an event: `event` is the head of the response that it came with, `stream` what the
/// handler knows the rest of the answer by, if there is more to come.
pub fn render<'a>(
    renderer: &'a mut Renderer,
    client: &mut Client,
    call: Call,
    event: &Head<'_>,
    result: Result<&Outcome<'a>, &Error>,
    report: &'a [u8],
    stream: Option<u64>,
) -> Reply<'a> {
    client.is_last_try = false;
    // Whatever request the buffer for heads holds, of any connection, can no longer be sent again.
    renderer.buffers.receipts.hold(client.index, 0);
    client.ask = if result.is_ok() {
        Ask::Response
    } else {
        Ask::Error
    };
    let coding = match result {
        Err(_) => Coding::Refused,
        Ok(_) if call != Call::Http => Coding::Collected,
        Ok(outcome) if !write::has_body(outcome.status) || write::is_empty_body(outcome.status) => {
            Coding::Dropped
        }
        Ok(_) => Coding::Chunked,
    };
    let rest = stream.map(|state| (Stream { call, coding }, state));
    let mut reply = match result {
        Ok(outcome) if call == Call::Http => {
            render_pieces(renderer, *client, event, outcome, coding, rest.is_some())
        }
        // The head is rendered after the last piece, because only then the length is known.
        Ok(outcome) if rest.is_some() => Reply {
            body: outcome.body,
            ..Reply::NOTHING
        },
        result => {
            let body = result.map(|outcome| outcome.body);
            render_whole(renderer, *client, event, body, report)
        }
    };
    reply.rest = rest;
    reply
}

/// Ends an answer whose handler failed over its pieces, if the platform has words for that.
pub fn end_failed(renderer: &mut Renderer, error: &Error, end: &mut Writer<'_>) -> bool {
    let has_words = renderer.config.platform() == Platform::Lambda;
    if has_words {
        let body = failure_body(error, b"", &mut renderer.buffers.prelude_or_failure);
        lambda::error_trailers(error, body, end);
    }
    has_words
}

/// A request that is whole: the answer to an event, its failure, or a question. `after` is the head of the
/// response that it follows.
#[inline(never)]
fn render_whole<'a>(
    renderer: &'a mut Renderer,
    client: Client,
    after: &Head<'_>,
    body: Result<&'a [u8], &Error>,
    report: &'a [u8],
) -> Reply<'a> {
    let Buffers {
        receipts,
        head,
        prelude_or_failure,
    } = &mut *renderer.buffers;
    let mut head = Writer::new(head);
    put_request(&renderer.config, client.ask, after, &mut head);
    let body = match body {
        Ok(body) => body,
        Err(error) => {
            if renderer.config.platform() == Platform::Lambda {
                lambda::error_type(error, &mut head);
                if client.ask == Ask::Error {
                    lambda::error_cause(error, &mut head);
                }
            }
            head.put(b"Content-Type: application/json\r\n");
            failure_body(error, report, prelude_or_failure)
        }
    };
    if client.ask.has_body() {
        write::content_length(&mut head, body.len() as u64);
    }
    head.put(b"\r\n");
    if let Some(receipt) = receipts.of(client.index) {
        receipt.set_body_bytes(body.len());
    }
    gather(receipts, client, head, body, b"")
}

/// An answer of a function that Lambda is sent in pieces: its prelude, and as much as is there.
fn render_pieces<'a>(
    renderer: &'a mut Renderer,
    client: Client,
    event: &Head<'_>,
    outcome: &Outcome<'a>,
    coding: Coding,
    is_stream: bool,
) -> Reply<'a> {
    let buffers = &mut *renderer.buffers;
    let mut head = Writer::new(&mut buffers.head);
    put_request(&renderer.config, client.ask, event, &mut head);
    head.put(lambda::STREAMING_FIELDS);
    chunk::put(
        bytes::slice(&buffers.prelude_or_failure, 0..outcome.head_len),
        &mut head,
    );
    let body = if coding == Coding::Dropped {
        b""
    } else {
        outcome.body
    };
    if let Some(receipt) = buffers.receipts.of(client.index).filter(|_| !is_stream) {
        receipt.set_body_bytes(body.len());
    }
    if is_stream && coding == Coding::Chunked {
        return Reply {
            head: head.finish(),
            body,
            ..Reply::NOTHING
        };
    }
    let tail = if body.is_empty() {
        chunk::LAST
    } else {
        chunk::put_size(body.len(), &mut head);
        chunk::DATA_END_AND_LAST
    };
    gather(&mut buffers.receipts, client, head, body, tail)
}

/// Puts a request that is short enough together in one place, where it stays until the next one of any
/// connection is made: until then it can be sent again.
fn gather<'a>(
    receipts: &mut Receipts,
    client: Client,
    mut head: Writer<'a>,
    body: &'a [u8],
    tail: &'a [u8],
) -> Reply<'a> {
    let mut reply = Reply::NOTHING;
    if head.room() < body.len() + tail.len() {
        (reply.body, reply.tail) = (body, tail);
    } else {
        head.put(body);
        head.put(tail);
        receipts.hold(client.index, head.written().len());
    }
    reply.head = head.finish();
    reply
}

/// The answer to an event that a connection has sent last, if it can be sent again.
pub fn again(renderer: &Renderer, client: Client) -> Option<&[u8]> {
    let is_due = client.is_answering() && !client.is_last_try;
    let len = renderer.buffers.receipts.held(client.index);
    let len = len.filter(|_| is_due)?;
    Some(bytes::slice(&renderer.buffers.head, 0..len))
}

/// The beginning of a request, up to the fields that depend on its body. It carries on what the head of
/// the response before it says: which event is answered, or which extension waits.
#[inline(never)]
pub fn put_request(config: &Config, ask: Ask, after: &Head<'_>, head: &mut Writer<'_>) {
    let id = after.headers.get(lambda::REQUEST_ID).unwrap_or_default();
    runtime_api::request(config.platform(), &config.address, ask, id, head);
    let name = match ask {
        Ask::Response | Ask::Error => lambda::INVOCATION_ID,
        Ask::ExtensionNext => lambda::EXTENSION_ID,
        Ask::Register => return head.put(lambda::REGISTER_FIELDS),
        _ => return,
    };
    if let Some(id) = after.headers.get(name) {
        write::field(head, name.as_bytes(), id);
    }
}
