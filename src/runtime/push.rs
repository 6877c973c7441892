//! Answers to a platform that sends requests: FC, and SCF's web functions.

use super::answer::{Coding, Outcome, Renderer, Reply, Stream, failure_body};
use super::config::Config;
use crate::bytes::Writer;
use crate::handler::{Error, Platform, Report, Request};
use crate::http::date::Date;
use crate::http::head::Head;
use crate::http::{Persist, Reject, Version, write};
use crate::platform::{Call, fc};
use crate::sys::signal;

/// Which call a request is.
pub fn route(config: &Config, request: &Request<'_>) -> Call {
    match config.platform() {
        Platform::Fc => fc::route(request),
        Platform::Lambda | Platform::Scf => Call::Http,
    }
}

/// The answer to a call: `head` is that of its request, `stream` what the handler knows the rest of
/// the answer by, if there is more to come.
///
/// `Date` says when the tick began in which the call was made: it may be older than the answer by as
/// long as the handler took.
pub fn render<'a>(
    renderer: &'a mut Renderer,
    call: Call,
    request: &Head<'_>,
    persist: Persist,
    result: Result<&Outcome<'a>, &Error>,
    report: Report<'a>,
    stream: Option<u64>,
) -> Reply<'a> {
    let Renderer {
        config, buffers, ..
    } = renderer;
    let mut head = Writer::new(match call {
        Call::Http => &mut buffers.head,
        _ => &mut renderer.short_head[..],
    });
    let sized = report.body_bytes().filter(|_| result.is_ok());
    let (status, body) = match result {
        Ok(outcome) => {
            if call == Call::Http {
                head.skip(outcome.head_len);
            } else {
                fc::event_head(&mut head);
            }
            (outcome.status, outcome.body)
        }
        Err(error) => {
            fc::failure_head(config.platform(), call, report.status, &mut head);
            // Of a status only the rules for its body are asked from here on: its line is written.
            (
                404,
                failure_body(error, report.json, &mut buffers.prelude_or_failure),
            )
        }
    };
    let version = request.version;
    let has_content =
        write::has_body(status) && !write::is_empty_body(status) && request.method != "HEAD";
    let coding = match (call, version) {
        _ if result.is_err() => Coding::Refused,
        _ if !has_content => Coding::Dropped,
        _ if sized.is_some() => Coding::Sized,
        (Call::Http, Version::Http11) => Coding::Chunked,
        (Call::Http, Version::Http10) => Coding::Plain,
        _ => Coding::Collected,
    };
    let rest = stream.map(|state| (Stream { call, coding }, state));
    let len = match rest {
        _ if write::is_empty_body(status) => Some(0),
        // RFC 9110 §8.6: no length where there can be no body.
        _ if sized.is_some() => sized.filter(|_| write::has_body(status)),
        Some(_) if coding != Coding::Refused => None,
        _ => write::has_body(status).then_some(body.len() as u64),
    };
    if rest.is_some() && coding == Coding::Chunked {
        head.put(b"Transfer-Encoding: chunked\r\n");
    }
    let is_last = signal::terminating() || (rest.is_some() && coding == Coding::Plain);
    let persist = if is_last { Persist::Close } else { persist };
    let date = (&mut renderer.date, renderer.time.now_ms());
    end(
        &mut head,
        Some(date).filter(|_| !report.has_date()),
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

/// The answer to a client that broke a rule of the protocol.
pub fn refuse(renderer: &mut Renderer, reject: Reject) -> Reply<'_> {
    let body = reject.reason();
    let mut head = Writer::new(&mut renderer.short_head[..]);
    write::status(&mut head, reject.status());
    head.put(b"Content-Type: text/plain\r\n");
    let (len, persist) = (Some(body.len() as u64), Persist::Close);
    let date = (&mut renderer.date, renderer.time.now_ms());
    end(&mut head, Some(date), len, persist, Version::Http11);
    Reply {
        head: head.finish(),
        body,
        persist,
        ..Reply::NOTHING
    }
}

/// The end of a head: `Date`, unless there is one, the length of the body if it is known, whether the connection
/// persists.
fn end(
    head: &mut Writer<'_>,
    date: Option<(&mut Date, u64)>,
    body_bytes: Option<u64>,
    persist: Persist,
    version: Version,
) {
    if let Some((date, now_ms)) = date {
        head.put(date.field(now_ms / 1000));
    }
    if let Some(body_bytes) = body_bytes {
        write::content_length(head, body_bytes);
    }
    write::end(head, persist, version);
}
