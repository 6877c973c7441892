//! What the platform is told: the answer of a worker, or why there is none.

use super::asks;
use super::worker::Answer;
use super::{Api, at};
use crate::bytes;
use crate::handler::{Context, Error, Report, Response};
use crate::http::head;
use crate::http::{Kind, Parsed};
use crate::limits::{ERROR_BYTES_MAX as MESSAGE_BYTES_MAX, ERROR_KIND_BYTES_MAX};
use crate::platform::gateway::url_answer;
use crate::platform::json;
use crate::program::calls::State;
use crate::program::failure::{self, Fault};
use crate::program::kinds::Kinds;
use crate::sys::memory::Mapping;

/// What the body of an answer in pieces begins with when it has this type: status and headers, and eight NULs.
const PRELUDE_TYPE: &str = "application/vnd.awslambda.http-integration-response";

/// The status of the answer to an HTTP request whose worker has not answered it as it should.
const BAD_GATEWAY: u16 = 502;

impl Api {
    /// Answers the call of that number: with what its worker has answered, or why it failed.
    ///
    /// # Errors
    /// It failed.
    #[inline(never)]
    pub fn answer<'a>(
        &'a mut self,
        number: u64,
        is_http: bool,
        response: &mut Response<'a>,
        report: &mut Report<'a>,
        cx: &Context<'_>,
    ) -> Result<(), Error> {
        let Some(call) = self.desk.calls.numbered(number) else {
            return Err(failure::known(Fault::TimedOut));
        };
        let (worker, fault, is_request) = (call.worker, call.fault, call.is_request);
        let its = self.workers.at(worker).filter(|_| fault.is_none());
        let (answer, stream) = its.map_or((None, None), |its| (its.answer.take(), its.stream));
        // One that nobody has taken is that of an earlier call.
        let answer = answer.filter(|answer| answer.call == number);
        if answer.is_some() && stream.is_some() {
            call.state = State::Runs;
        } else {
            call.number = 0;
        }
        // What has waited for the end of this call goes on.
        self.has_due = true;
        if let Some(fault) = fault {
            self.end_stream(worker, false);
            if matches!(fault, Fault::Truncated | Fault::BadReply) {
                report.status = BAD_GATEWAY;
            }
            return Err(failure::known(fault));
        }
        let Some(Answer {
            memory,
            is_error,
            head_len,
            end,
            ..
        }) = answer
        else {
            report.status = BAD_GATEWAY;
            return Err(self.workers.death(worker));
        };
        self.workers.served(worker);
        self.answered = memory;
        let come = self.answered.as_deref().unwrap_or(&self.shared[..]);
        let body = bytes::slice(come, head_len..end);
        if is_error {
            let kind = field(come, asks::ERROR_TYPE).unwrap_or_default();
            if json::parse(body).is_some() {
                report.json = body;
            }
            return Err(reported(&mut self.workers.program.kinds, kind, body));
        }
        response.body = body;
        let has_head = is_request || stream.is_some();
        if is_http && has_head {
            // Whatever is wrong with it, the worker has made it so.
            report.status = BAD_GATEWAY;
            let place = &mut self.unescaped;
            let given = give(come, body, stream.is_some(), place, response);
            if let (Err(_), Some(index)) = (&given, stream) {
                // The rest is thrown away.
                if let Some(call) = self.desk.calls.numbered(number) {
                    call.number = 0;
                }
                if let Some(connection) = at(&mut self.connections, index) {
                    connection.is_unread = true;
                }
            }
            given?;
        } else if is_http {
            response.put("Content-Type", self.settings.content_type);
        }
        if stream.is_some() {
            cx.stream(number);
        }
        Ok(())
    }
}

/// Puts the response that an answer to an HTTP request is into `response`: the answer as it came, and its body, or the
/// beginning of it.
#[inline(never)]
fn give<'a>(
    come: &'a [u8],
    body: &'a [u8],
    is_in_pieces: bool,
    place: &'a mut Option<Mapping>,
    response: &mut Response<'a>,
) -> Result<(), Error> {
    if is_in_pieces {
        let content_type = field(come, "content-type").unwrap_or_default();
        if !is_prelude_type(content_type) {
            if !content_type.is_empty() {
                response.put("Content-Type", content_type);
            }
            return Ok(());
        }
    }
    let memory = Mapping::reuse(place, url_answer::answer_room(body));
    let place = place.insert(memory.map_err(failure::start)?);
    if is_in_pieces {
        url_answer::read_prelude(body, place, response)
    } else {
        url_answer::read_answer(body, place, response)
    }
}

/// Whether an answer in pieces of that type begins with status and headers.
pub(super) fn is_prelude_type(content_type: &[u8]) -> bool {
    let media_type = bytes::trim(bytes::before(content_type, b';'));
    bytes::is_word_ignore_case(media_type, PRELUDE_TYPE)
}

/// The value of a field of the request at the front of `come`.
pub(super) fn field<'a>(come: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut fields = head::fields();
    let Ok(Parsed::Done(head)) = head::parse(Kind::Request, come, &mut fields) else {
        return None;
    };
    let value = head.headers.get(name)?;
    let at = bytes::position(come, value)?;
    Some(bytes::slice(come, at..at + value.len()))
}

/// The failure that a worker tells of, in JSON as Lambda has it or in words, and by a type, if it says that beside it.
#[inline(never)]
pub(super) fn reported(kinds: &mut Kinds, kind: &[u8], body: &[u8]) -> Error {
    let value = json::parse(body).unwrap_or_default();
    let (mut kind_place, mut message_place) = ([0; ERROR_KIND_BYTES_MAX], [0; MESSAGE_BYTES_MAX]);
    let text = |name| value.member(name).string();
    let own = text(b"errorType").map(|text| text.unescaped(&mut kind_place));
    let message = text(b"errorMessage").map(|text| text.unescaped(&mut message_place));
    let kind = if kind.is_empty() {
        own.unwrap_or_default()
    } else {
        kind
    };
    Error::of(kinds.keep(kind), &[message.unwrap_or(body)])
}
