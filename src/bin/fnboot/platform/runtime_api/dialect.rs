//! What one runtime API calls things that every runtime API has.

use super::answer::Answer;
use super::desk::Refusal;
use super::failure::Failure;
use crate::figures::Figures;
use crate::function::Function;
use crate::invoke::Target;
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

/// One platform's names, numbers and texts. Pure: no I/O, no state.
pub(crate) trait Dialect: 'static {
    /// How long the program may take until it is ready where nothing else is said.
    const START_TIMEOUT: Duration;
    const READY: Ready;
    /// Longest answer, in one piece and streamed.
    const ANSWER_BYTES_MAX: usize;
    const STREAM_BYTES_MAX: usize;
    /// A header of the event that must come back with its answer, on events that have it.
    const ECHOED: Option<&'static str>;
    /// Variables of this machine that would make a program believe that it runs elsewhere.
    const FOREIGN_VARIABLES: &'static [&'static str];

    fn instance_id() -> String;

    /// The variables that the platform sets for an instance with the runtime API at `api`.
    fn variables(
        function: &Function,
        api: SocketAddr,
        instance_id: &str,
    ) -> Vec<(&'static str, OsString)>;

    fn route(method: &Method, path: &str) -> Ask;

    /// The headers of an event that must be answered by `deadline`.
    fn headers(function: &Function, request_id: &str, deadline: SystemTime) -> HeaderMap;

    /// The API's yes to anything but an event.
    fn accepted(ask: &Ask) -> (StatusCode, &'static str);

    /// The API's no: status, type and message. None where the platform takes no notice.
    fn refused(ask: &Ask, refusal: &Refusal) -> Option<(StatusCode, &'static str, String)>;

    /// Registers an extension inside the program. Only for those whose `route` says `Register`.
    fn register(_: &Function, _: &HeaderMap, _: &[u8]) -> Result<Response<Full<Bytes>>, Refusal> {
        Err(Refusal::NotFound)
    }

    /// The event that an HTTP request is to the function, where the platform has such a thing.
    fn http_event(_: &Target, _: &HeaderMap, _: &[u8], _request_id: &str) -> Option<Bytes> {
        None
    }

    /// What an HTTP client gets for an answer, if it is meant for one.
    fn http_answer(_: &Answer) -> Option<Response<Bytes>> {
        None
    }

    /// What a caller is told of a call that failed.
    fn explain(failure: &Failure, request_id: &str) -> Complaint;

    /// The platform's own log line before a call's, and its lines after them.
    fn log_begin(request_id: &str) -> String;
    fn log_end(report: &Report<'_>) -> String;
}

/// The headers of an event. One whose value no header can carry, as a strange name of a function, is
/// left out.
pub(crate) fn header_map<const N: usize>(fields: [(&'static str, String); N]) -> HeaderMap {
    fields
        .into_iter()
        .filter_map(|(name, value)| {
            let value = HeaderValue::from_str(&value).ok()?;
            Some((HeaderName::from_static(name), value))
        })
        .collect()
}

/// What makes a starting program ready for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ready {
    /// Its first question for an event.
    Next,
    /// A call of its own.
    Call,
}

/// What the program asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ask {
    Ready,
    Next,
    Answer(Which),
    Error(Which),
    InitError,
    RestoreNext,
    RestoreError,
    Register,
    ExtensionNext,
    /// Something that the API does not have.
    Unknown,
}

/// Which event an answer is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one there is.
    Current,
    Id(String),
}

/// A failure in the platform's words.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// Where callers see one.
    pub(crate) status: u16,
    pub(crate) error_type: String,
    pub(crate) body: Bytes,
}

/// How a call went.
pub(crate) struct Report<'a> {
    pub(crate) request_id: &'a str,
    pub(crate) figures: Figures,
    /// Only for an instance's first call.
    pub(crate) init_duration: Option<Duration>,
    pub(crate) failure: Option<&'a Failure>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_header_can_carry_is_left_out() {
        let headers = header_map([("a", "1".to_owned()), ("b", "two\nlines".to_owned())]);
        assert_eq!(headers.len(), 1);
        assert_eq!(headers["a"], "1");
    }
}
