//! Answers to a platform that sends requests: FC, and SCF's web functions.

use core::cell::Cell;

use super::caller::{
    Caller, Coding, Outcome, Page, Reply, Stream, context, fail, failure, mark, perform,
};
use crate::bytes::Writer;
use crate::handler::{Error, Handler, Platform, Request};
use crate::http::date::Date;
use crate::http::exchange::Message;
use crate::http::{Persist, Reject, Version, write};
use crate::platform::Call;
use crate::platform::fc::{self, Edge};
use crate::sys::signal;

impl<H: Handler> Caller<H> {
    /// Calls the handler with a request and renders what it answers.
    ///
    /// `Date` says when the round began in which the call was made: it may be older than the
    /// answer by as long as the handler took.
    pub(super) fn answer<'a>(&'a mut self, message: &Message<'a>) -> Reply<'a> {
        let Self { handler, page } = self;
        let config = &page.config;
        let request = Request {
            head: message.head,
            body: message.body,
        };
        let call = match config.platform() {
            Platform::Fc => fc::route(&request),
            Platform::Lambda | Platform::Scf => Call::Http,
        };
        let state = Cell::new(None);
        let cx = context(config, page.now_ms, &message.head, &state);
        let id = cx.id();
        mark(config, call, Edge::Start, id);
        let mut head = Writer::new(match call {
            Call::Http => &mut page.place.head,
            _ => &mut page.short_head[..],
        });
        let outcome = perform(handler, call, &request, &cx, &mut head);
        let state = state
            .get()
            .filter(|_| H::STREAMS && matches!(call, Call::Http | Call::Invoke));
        let (status, body) = match &outcome {
            Ok(Outcome { status, body }) => {
                if call != Call::Http {
                    fc::event_head(&mut head);
                }
                if state.is_none() {
                    mark(config, call, Edge::End, id);
                }
                (*status, *body)
            }
            Err(error) => {
                fail(config, call, error, id);
                head.clear();
                fc::failure_head(config.platform(), call, &mut head);
                (404, failure(error, &mut page.place.failure))
            }
        };
        let has_content = write::has_body(status)
            && !write::is_empty_body(status)
            && message.head.method != "HEAD";
        let version = message.head.version;
        let coding = match (call, version) {
            _ if outcome.is_err() => Coding::Refused,
            _ if !has_content => Coding::Dropped,
            (Call::Http, Version::Http11) => Coding::Chunked,
            (Call::Http, Version::Http10) => Coding::Plain,
            _ => Coding::Collected,
        };
        let rest = state.map(|state| (Stream { call, coding }, state));
        let len = match rest {
            _ if write::is_empty_body(status) => Some(0),
            Some(_) if coding != Coding::Refused => None,
            // RFC 9110 §8.6: no length where there can be no body.
            _ => write::has_body(status).then_some(body.len()),
        };
        if rest.is_some() && coding == Coding::Chunked {
            head.put(b"Transfer-Encoding: chunked\r\n");
        }
        let is_last = signal::terminating() || (rest.is_some() && coding == Coding::Plain);
        let persist = if is_last {
            Persist::Close
        } else {
            message.persist
        };
        ends(
            &mut head,
            &mut page.date,
            page.now_ms,
            len,
            persist,
            version,
        );
        Reply {
            head: head.finish(),
            body: if has_content { body } else { b"" },
            persist,
            rest,
            ..Reply::NOTHING
        }
    }
}

impl Page {
    /// The answer to an event whose pieces were collected.
    pub(super) fn whole<'a>(
        &'a mut self,
        version: Version,
        persist: Persist,
        result: Result<&'a [u8], &Error>,
    ) -> Reply<'a> {
        let mut head = Writer::new(&mut self.short_head[..]);
        let body = match result {
            Ok(body) => {
                fc::event_head(&mut head);
                body
            }
            Err(error) => {
                fc::failure_head(self.config.platform(), Call::Invoke, &mut head);
                failure(error, &mut self.place.failure)
            }
        };
        let len = Some(body.len());
        ends(
            &mut head,
            &mut self.date,
            self.now_ms,
            len,
            persist,
            version,
        );
        Reply {
            head: head.finish(),
            body,
            persist,
            ..Reply::NOTHING
        }
    }

    /// What a peer is told that broke a rule of the protocol.
    pub fn refuse(&mut self, reject: Reject) -> Reply<'_> {
        let body = reject.reason();
        let mut head = Writer::new(&mut self.short_head[..]);
        write::status(&mut head, reject.status());
        head.put(b"Content-Type: text/plain\r\n");
        let (len, persist) = (Some(body.len()), Persist::Close);
        ends(
            &mut head,
            &mut self.date,
            self.now_ms,
            len,
            persist,
            Version::Http11,
        );
        Reply {
            head: head.finish(),
            body,
            persist,
            ..Reply::NOTHING
        }
    }
}

/// `Date`, the length of the body if it is known, and the end of the head.
fn ends(
    head: &mut Writer<'_>,
    date: &mut Date,
    now_ms: u64,
    body_bytes: Option<usize>,
    persist: Persist,
    version: Version,
) {
    head.put(date.field(now_ms / 1000));
    if let Some(body_bytes) = body_bytes {
        write::content_length(head, body_bytes);
    }
    write::end(head, persist, version);
}
