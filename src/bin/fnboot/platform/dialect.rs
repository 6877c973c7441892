//! What differs between platforms: names, numbers and texts. No state. A table may read the tool's environment and the clock.

use super::contract::{Keys, Row};
use crate::call::{Answer, Call, Outcome, Payload};
use crate::failure::{Failure, Reason};
use crate::figures::Figures;
use crate::function::Function;
use crate::http::{Reply, json};
use crate::id;
use crate::readiness::Ready;
use crate::runtime_api::asks::{Ask, Refused};
use hyper::body::Bytes;
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use std::time::Duration;

/// Variables of this machine that would make a program believe that it runs elsewhere.
pub(crate) const FOREIGN_VARIABLES: &[&str] = &[
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "AWS_LAMBDA_RUNTIME_API",
    "FC_CUSTOM_LISTEN_PORT",
    "FC_RUNTIME_API",
    "FC_SERVER_PORT",
    "SCF_RUNTIME_API",
    "SCF_RUNTIME_API_PORT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

/// What a platform is, in numbers and tables.
pub(crate) struct Facts {
    /// The variables of a program, and the headers of a call.
    pub(crate) variables: &'static [Row],
    pub(crate) headers: &'static [Row],
    pub(crate) keys: Keys,
    /// How long the program may take until it is ready where nothing else is said.
    pub(crate) start_timeout: Duration,
    /// What the platform leaves a program from `SIGTERM` until `SIGKILL`; none: it says nothing.
    pub(crate) stop_timeout: Option<Duration>,
    pub(crate) reached: Reached,
    /// The lines that the platform's own tool draws around the log of a call, in place of the platform's.
    pub(crate) frame: Option<[&'static str; 2]>,
}

/// How calls reach the program.
pub(crate) enum Reached {
    /// The platform calls it over HTTP, on a port that may be always the same.
    Http { fixed_port: Option<u16> },
    /// It polls a runtime API.
    Api {
        ready: Ready,
        /// Longest answer, in one piece and streamed.
        answer_bytes_max: usize,
        stream_bytes_max: usize,
        /// A header of the event that must come back with its answer, on events that have it.
        echoed: Option<&'static str>,
    },
}

/// What the other modules ask of a platform.
pub(crate) trait Dialect: Sync {
    fn facts(&self) -> &'static Facts;

    fn request_id(&self) -> String {
        id::uuid()
    }

    fn instance_id(&self) -> String {
        format!("{:016x}", id::random())
    }

    /// Refuses calls that the platform does not have, and says what to do instead.
    fn check_call(&self, _is_http: bool) -> Result<(), &'static str> {
        Ok(())
    }

    /// The call that `fnboot invoke` makes; an error if the event is none that the platform takes.
    fn call(
        &self,
        http: Option<(Method, Uri)>,
        headers: HeaderMap,
        body: Bytes,
    ) -> Result<Call, String> {
        let mut call = Call::new(self.request_id(), Payload::Event(Bytes::new()));
        call.payload = match http {
            None => {
                call.headers = headers;
                Payload::Event(body)
            }
            Some((method, uri)) => {
                let mut request = Request::new(body);
                *request.method_mut() = method;
                *request.uri_mut() = uri;
                *request.headers_mut() = headers;
                Payload::Http(request)
            }
        };
        Ok(call)
    }

    /// A call as a program that is called over HTTP gets it, without the platform's headers.
    fn http_request(&self, payload: Payload) -> Request<Bytes> {
        match payload {
            Payload::Http(request) => request,
            Payload::Event(body) => Request::new(body),
            Payload::Initialize => Request::new(Bytes::new()),
        }
    }

    /// Refuses the head of an answer over HTTP that no client would get.
    fn check_answer_head(&self, _: &HeaderMap) -> Result<(), Reason> {
        Ok(())
    }

    /// What a request to the runtime API asks.
    fn route(&self, _: &Method, _path: &str) -> Ask {
        Ask::Unknown
    }

    /// The API's yes to anything but an event.
    fn accepted(&self, _: &Ask) -> (StatusCode, &'static str) {
        (StatusCode::OK, "")
    }

    /// The API's no: status, type and message. None where the platform takes no notice.
    fn refused(&self, _: &Ask, _: &Refused) -> Option<(StatusCode, &'static str, String)> {
        None
    }

    /// Registers an extension inside the program, if the platform has such. Only for those whose `route`
    /// says `Register`.
    fn register(&self, _: &Function, _: &HeaderMap, _body: &[u8]) -> Result<Reply, Refused> {
        Err(Refused::NotFound)
    }

    /// What an HTTP client gets for an answer of a runtime API, if it is meant for one.
    fn http_answer(&self, _: &Answer) -> Option<Response<Bytes>> {
        None
    }

    /// The platform's error type, if the answer's headers say that it failed.
    fn error_type(&self, _: &HeaderMap) -> Option<&'static str> {
        None
    }

    /// What a caller is told of a call that failed.
    fn explain(&self, failure: &Failure, request_id: &str, figures: &Figures) -> Complaint;

    /// The platform's own log line before a call's, and its lines after them.
    fn log_begin(&self, request_id: &str, what: &str) -> String;
    fn log_end(&self, request_id: &str, outcome: &Outcome) -> String;
}

/// A failure in the platform's words.
#[derive(Debug)]
pub(crate) struct Complaint {
    pub(crate) status: StatusCode,
    pub(crate) error_type: String,
    pub(crate) body: Bytes,
}

/// What a gateway refuses before there is a call.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Refusal {
    pub(crate) fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        let message = message.into();
        Self {
            status,
            code,
            message,
        }
    }

    pub(crate) fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn reply(&self, body: &serde_json::Value) -> Reply {
        json(self.status, body)
    }
}
