//! Turns with a platform that is asked for events: Lambda and SCF.
//!
//! Every response of its API is followed by exactly one request, as every request to a server is
//! followed by exactly one response: the same connection does both.

use core::cell::Cell;

use super::caller::{
    Caller, Coding, Outcome, Page, Reply, Stream, context, fail, failure, perform,
};
use super::config::Config;
use super::fatal;
use crate::bytes::Writer;
use crate::handler::{Error, Handler, Platform, Request};
use crate::http::exchange::Message;
use crate::http::head::Head;
use crate::http::{chunk, write};
use crate::log;
use crate::platform::runtime_api::{self, Ask, Verdict, verdict};
use crate::platform::{Call, lambda, scf};
use crate::sys::{env, process, signal};

impl<H: Handler> Caller<H> {
    /// Takes a response, and says what follows.
    pub(super) fn turn<'a>(&'a mut self, message: &Message<'a>, ask: &mut Ask) -> Reply<'a> {
        let status = message.head.status;
        // RFC 9110 §15.2: the response proper is still to come.
        if (100..200).contains(&status) {
            return Reply::NOTHING;
        }
        self.page.note_turn(*ask);
        match (verdict(*ask, status), *ask) {
            // It is told, whatever the platform makes of it.
            (_, Ask::InitError) => process::exit(1),
            (Verdict::Lost, Ask::Next) => {
                let text = "the platform's API answered the question for an event with status #";
                fatal::number(text, u64::from(status))
            }
            (Verdict::Lost, _) => {
                let text = "the platform's API answered with status #";
                fatal::number(text, u64::from(status))
            }
            (Verdict::Taken, Ask::Next) => return self.event(message, ask),
            (Verdict::Taken, Ask::Register) => {
                let id = message.head.headers.get(lambda::EXTENSION_ID);
                return self.page.ask(Ask::ExtensionNext, id, ask);
            }
            // Sockets from before a snapshot are worth nothing after it.
            (_, Ask::Restore) => {
                *ask = Ask::Next;
                return Reply::LAST;
            }
            // Nothing was subscribed to, so this is the end.
            (_, Ask::ExtensionNext) => process::exit(0),
            (Verdict::Refused, asked) => {
                let mut place = [0; 64];
                let mut why = Writer::new(&mut place);
                why.put(b"the platform refused it with status ");
                why.put_decimal(u64::from(status));
                let what = match asked {
                    Ask::Register => "Extension",
                    Ask::Ready => "Ready",
                    _ => "Answer",
                };
                log::failure(b"", what, why.written(), b"");
                // What comes next depends on more than this.
                if asked == Ask::Register {
                    return Reply::LAST;
                }
            }
            (Verdict::Taken, _) => {}
        }
        // Nothing more is begun that could not be ended.
        if signal::terminating() {
            return Reply::LAST;
        }
        self.page.ask(Ask::Next, None, ask)
    }

    /// An event: its answer, or its failure.
    fn event<'a>(&'a mut self, message: &Message<'a>, ask: &mut Ask) -> Reply<'a> {
        let Self { handler, page } = self;
        let config = &page.config;
        let state = Cell::new(None);
        let cx = context(config, page.now_ms, &message.head, &state);
        // With many events at once there is no one trace.
        if config.platform() == Platform::Lambda && config.is_alone() {
            env::export("_X_AMZN_TRACE_ID", || cx.trace_id());
        }
        let call = if config.is_streaming() {
            Call::Http
        } else {
            Call::Invoke
        };
        let request = Request {
            head: Head {
                method: "POST",
                target: "/",
                ..message.head
            },
            body: message.body,
        };
        let mut prelude = Writer::new(&mut page.place.failure);
        let outcome = perform(handler, call, &request, &cx, &mut prelude);
        let (body, coding) = match &outcome {
            Ok(outcome) if call != Call::Http => (outcome.body, Coding::Collected),
            Ok(Outcome { status, .. })
                if !write::has_body(*status) || write::is_empty_body(*status) =>
            {
                (&b""[..], Coding::Dropped)
            }
            Ok(outcome) => (outcome.body, Coding::Chunked),
            Err(_) => (&b""[..], Coding::Refused),
        };
        let state = state.get().filter(|_| H::STREAMS);
        let rest = state.map(|state| (Stream { call, coding }, state));
        if let Err(error) = &outcome {
            fail(config, call, error, cx.id());
            let reply = page.result(&message.head, Err(error), ask);
            return Reply { rest, ..reply };
        }
        if call == Call::Http {
            let prelude = prelude.finish();
            *ask = Ask::Response;
            let mut head = Writer::new(&mut page.place.head);
            answers(config, &message.head, *ask, &mut head);
            head.put(lambda::STREAMING_FIELDS);
            chunk::put(prelude, &mut head);
            if rest.is_some() && coding == Coding::Chunked {
                return Reply {
                    head: head.finish(),
                    body,
                    rest,
                    ..Reply::NOTHING
                };
            }
            let tail = if body.is_empty() {
                chunk::LAST
            } else {
                chunk::put_size(body.len(), &mut head);
                chunk::DATA_END_AND_LAST
            };
            return Reply {
                head: head.finish(),
                body,
                tail,
                rest,
                ..Reply::NOTHING
            };
        }
        if rest.is_some() {
            return Reply {
                body,
                rest,
                ..Reply::NOTHING
            };
        }
        page.result(&message.head, Ok(body), ask)
    }
}

impl Page {
    /// Notes that something that was asked for was responded to.
    pub fn note_turn(&mut self, ask: Ask) {
        self.turn_count += 1;
        // An extension is no part of what events wait for.
        self.is_started |= ask != Ask::Register;
    }

    /// Asks for something that does not answer an event: an extension gives its `id`, and waits. It
    /// wants no events; for it the platform sends `SIGTERM`.
    pub fn ask(&mut self, next: Ask, id: Option<&[u8]>, ask: &mut Ask) -> Reply<'_> {
        *ask = next;
        let mut head = Writer::new(&mut self.place.head);
        runtime_api::request(
            self.config.platform(),
            &self.config.address,
            next,
            b"",
            &mut head,
        );
        let body = match next {
            Ask::Ready => scf::READY,
            Ask::Register => lambda::REGISTER,
            _ => b"",
        };
        if next == Ask::Register {
            head.put(lambda::REGISTER_FIELDS);
        }
        if let Some(id) = id {
            write::field(&mut head, lambda::EXTENSION_ID.as_bytes(), id);
        }
        if body.is_empty() {
            head.put(b"\r\n");
        } else {
            runtime_api::end(&mut head, body.len());
        }
        Reply {
            head: head.finish(),
            body,
            ..Reply::NOTHING
        }
    }

    /// Says that nothing could be initialized.
    pub fn report(&mut self, error: &Error, ask: &mut Ask) -> Reply<'_> {
        self.put(Ask::InitError, &Head::default(), Err(error), ask)
    }

    /// The answer to an event, or its failure.
    pub(super) fn result<'a>(
        &'a mut self,
        event: &Head<'_>,
        result: Result<&'a [u8], &Error>,
        ask: &mut Ask,
    ) -> Reply<'a> {
        let next = if result.is_ok() {
            Ask::Response
        } else {
            Ask::Error
        };
        self.put(next, event, result, ask)
    }

    fn put<'a>(
        &'a mut self,
        next: Ask,
        event: &Head<'_>,
        result: Result<&'a [u8], &Error>,
        ask: &mut Ask,
    ) -> Reply<'a> {
        *ask = next;
        let mut head = Writer::new(&mut self.place.head);
        answers(&self.config, event, next, &mut head);
        let body = match result {
            Ok(body) => body,
            Err(error) => {
                if self.config.platform() == Platform::Lambda {
                    lambda::error_type(error, &mut head);
                    if next == Ask::Error {
                        lambda::error_cause(error, &mut head);
                    }
                }
                head.put(b"Content-Type: application/json\r\n");
                failure(error, &mut self.place.failure)
            }
        };
        runtime_api::end(&mut head, body.len());
        Reply {
            head: head.finish(),
            body,
            ..Reply::NOTHING
        }
    }
}

/// The request that answers an event, up to the fields that depend on how.
fn answers(config: &Config, event: &Head<'_>, ask: Ask, head: &mut Writer<'_>) {
    let id = event.headers.get(lambda::REQUEST_ID).unwrap_or_default();
    runtime_api::request(config.platform(), &config.address, ask, id, head);
    if let Some(id) = event.headers.get(lambda::INVOCATION_ID) {
        write::field(head, lambda::INVOCATION_ID.as_bytes(), id);
    }
}
