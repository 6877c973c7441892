//! AWS Lambda: runtime API 2018-06-01, the extensions API as far as a program needs it; `Invoke`, and a
//! function URL.

mod event_stream;
pub(crate) mod gateway;
mod invoke_api;
mod url;

use super::contract::{self, Keys, Row, Told, Value};
use super::dialect::{Complaint, Dialect, Facts, Reached};
use crate::call::{Answer, Call, Mode, Outcome, Payload};
use crate::failure::{Failure, Reason, Reported};
use crate::figures::Figures;
use crate::function::Function;
use crate::http::{self, Reply, set};
use crate::id;
use crate::readiness::Ready;
use crate::runtime_api::asks::{Ask, Phase, Refused, Which};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use serde_json::json;
use std::net::Ipv4Addr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::task::Poll;
use std::time::{Duration, SystemTime};

/// Lambda's names, numbers and texts.
pub(crate) struct Lambda;

/// The version of everything that is run here.
const VERSION: &str = "$LATEST";

/// The documentation's own.
const ACCOUNT_ID: &str = "123456789012";

const INVOCATION_ID: &str = "lambda-runtime-invocation-id";

const KEYS: Keys = Keys {
    names: [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ],
    invented: [
        "AKIALOCALACCESSKEYID",
        "local-secret-access-key",
        "local-session-token",
    ],
};

const REGION: Value = Value::Made(|_| region());

const VARIABLES: &[Row] = &[
    ("AWS_LAMBDA_RUNTIME_API", Value::Address),
    ("AWS_LAMBDA_FUNCTION_NAME", Value::FunctionName),
    ("AWS_LAMBDA_FUNCTION_VERSION", Value::Text(VERSION)),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", Value::MemoryMb),
    ("AWS_LAMBDA_LOG_GROUP_NAME", Value::Made(log_group)),
    ("AWS_LAMBDA_LOG_STREAM_NAME", Value::InstanceId),
    ("AWS_LAMBDA_LOG_FORMAT", Value::Made(log_format)),
    ("AWS_LAMBDA_INITIALIZATION_TYPE", Value::Made(start_kind)),
    ("AWS_LAMBDA_MAX_CONCURRENCY", Value::Concurrency),
    ("AWS_REGION", REGION),
    ("AWS_DEFAULT_REGION", REGION),
    ("AWS_ACCESS_KEY_ID", Value::Key(0)),
    // The name that older SDKs know.
    ("AWS_ACCESS_KEY", Value::Key(0)),
    ("AWS_SECRET_ACCESS_KEY", Value::Key(1)),
    ("AWS_SESSION_TOKEN", Value::Key(2)),
    ("LAMBDA_TASK_ROOT", Value::CodePath),
    ("LAMBDA_RUNTIME_DIR", Value::Text("/var/runtime")),
    ("LANG", Value::Text("en_US.UTF-8")),
    ("TZ", Value::Text(":UTC")),
    ("_HANDLER", Value::Handler),
];

const HEADERS: &[Row] = &[
    ("content-type", Value::Text("application/json")),
    ("lambda-runtime-aws-request-id", Value::RequestId),
    ("lambda-runtime-deadline-ms", Value::DeadlineMs),
    ("lambda-runtime-invoked-function-arn", Value::Made(arn)),
    ("lambda-runtime-trace-id", Value::Made(trace_id)),
    // Only Managed Instances have it.
    (INVOCATION_ID, Value::ParallelId),
];

fn region() -> String {
    let region = contract::own("AWS_REGION").or_else(|| contract::own("AWS_DEFAULT_REGION"));
    region.unwrap_or_else(|| "us-east-1".to_owned())
}

fn log_group(told: &Told) -> String {
    format!("/aws/lambda/{}", told.function.name)
}

/// Managed Instances know no other than JSON.
fn log_format(told: &Told) -> String {
    match told.function.concurrency {
        Some(_) => "JSON".to_owned(),
        None => contract::own("AWS_LAMBDA_LOG_FORMAT").unwrap_or_else(|| "Text".to_owned()),
    }
}

fn start_kind(told: &Told) -> String {
    let kind = match (told.function.is_snapshot, told.function.concurrency) {
        (true, _) => "snap-start",
        (false, Some(_)) => "lambda-managed-instances",
        (false, None) => "on-demand",
    };
    kind.to_owned()
}

fn arn(told: &Told) -> String {
    let (region, name) = (region(), &told.function.name);
    format!("arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{name}")
}

/// A trace of this call's own, not sampled.
fn trace_id(told: &Told) -> String {
    let root = url::trace_id(told.request_id, SystemTime::now());
    format!("{root};Parent={:016x};Sampled=0", id::random())
}

static FACTS: Facts = Facts {
    variables: VARIABLES,
    headers: HEADERS,
    keys: KEYS,
    start_timeout: Duration::from_secs(10),
    // What Lambda leaves a program with an extension; to others it says nothing.
    stop_timeout: Some(Duration::from_millis(500)),
    reached: Reached::Api {
        ready: Ready::Next,
        answer_bytes_max: 6 * 1024 * 1024 + 100,
        stream_bytes_max: 200 * 1024 * 1024,
        echoed: Some(INVOCATION_ID),
    },
    frame: None,
};

impl Dialect for Lambda {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    fn instance_id(&self) -> String {
        format!("[{VERSION}]{:016x}", id::random())
    }

    fn call(
        &self,
        http: Option<(Method, Uri)>,
        mut headers: HeaderMap,
        body: Bytes,
    ) -> Result<Call, String> {
        let Some((method, uri)) = http else {
            let hint = "Lambda's events are JSON: a text has quotes, as in -e '\"text\"'";
            let event = invoke_api::payload(body);
            let event = event.map_err(|refusal| format!("{}\n{hint}", refusal.message))?;
            let mut call = Call::new(self.request_id(), Payload::Event(event));
            call.headers = headers;
            return Ok(call);
        };
        headers
            .entry(HOST)
            .or_insert(HeaderValue::from_static("localhost"));
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = uri;
        *request.headers_mut() = headers;
        let (head, request_id) = (request.into_parts().0, self.request_id());
        let source = Ipv4Addr::LOCALHOST.into();
        let event = url::event(&head, &body, &request_id, source, SystemTime::now());
        Ok(Call::new(request_id, Payload::Event(event)))
    }

    fn http_answer(&self, answer: &Answer) -> Option<Response<Bytes>> {
        if answer.mode == Mode::Buffered {
            return url::answer(&answer.body);
        }
        let content_type = answer.head.headers.get(CONTENT_TYPE);
        if let Some(head) = url::raw(content_type) {
            return Some(head.map(|()| answer.body.clone()));
        }
        match url::Prelude::default().take(&answer.body) {
            Poll::Ready(Some((head, body))) => Some(head.map(|()| body)),
            _ => None,
        }
    }

    fn explain(&self, failure: &Failure, request_id: &str, _: &Figures) -> Complaint {
        let (error_type, message) = match &failure.reason {
            Reason::Reported(Reported { error_type, body }) => {
                return Complaint {
                    status: StatusCode::OK,
                    error_type: error_type.clone().unwrap_or_else(|| "Unhandled".to_owned()),
                    body: body.clone(),
                };
            }
            Reason::TooLarge { bytes_max } => {
                let limit = format!("maximum allowed payload size ({bytes_max} bytes)");
                let message = format!("Response payload size exceeded {limit}.");
                return complaint("Function.ResponseSizeTooLarge", &message);
            }
            Reason::Spawn(spawn) => ("Runtime.InvalidEntrypoint", spawn.to_string()),
            Reason::Exited(status) => ("Runtime.ExitError", exit_text(*status)),
            Reason::TimedOut(limit) => ("Sandbox.Timedout", timeout_text(*limit)),
            // What Lambda says once its limit has passed.
            Reason::Misfit(why) => ("Sandbox.Timedout", why.clone()),
            Reason::UnknownMode(mode) => {
                let message = format!("Invalid response mode {mode:?}");
                ("Runtime.InvalidResponseModeHeader", message)
            }
            _ => ("Runtime.TruncatedResponse", "Response is truncated".into()),
        };
        let message = format!("RequestId: {request_id} Error: {message}");
        complaint(error_type, &message)
    }

    fn log_begin(&self, request_id: &str, _: &str) -> String {
        format!("START RequestId: {request_id} Version: {VERSION}")
    }

    fn log_end(&self, request_id: &str, outcome: &Outcome) -> String {
        let reason = outcome.result.as_ref().err().map(|failure| &failure.reason);
        let (before, status) = match reason {
            Some(Reason::TimedOut(limit)) => {
                let before = format!("{request_id} {}\n\n", timeout_text(*limit));
                (before, "\tStatus: timeout")
            }
            Some(Reason::Exited(status)) => {
                let text = exit_text(*status);
                let before = format!("RequestId: {request_id} Error: {text}\nRuntime.ExitError\n");
                (before, "\tStatus: error\tError Type: Runtime.ExitError")
            }
            _ => (String::new(), ""),
        };
        let init = outcome.init_duration.map(|init| init.as_secs_f64() * 1e3);
        let init = init.map_or_else(String::new, |ms| format!("\tInit Duration: {ms:.2} ms"));
        let figures = &outcome.figures;
        format!(
            "{before}END RequestId: {request_id}\nREPORT RequestId: {request_id}\t\
             Duration: {:.2} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t\
             Max Memory Used: {:.0} MB{init}{status}",
            figures.duration_ms(),
            figures.billed_ms(),
            figures.memory_mb,
            figures.memory_peak_mb().ceil(),
        )
    }

    fn route(&self, method: &Method, path: &str) -> Ask {
        let which = |id: &str| Which::Id(id.to_owned());
        let segments: Vec<_> = path.split('/').skip(1).collect();
        match (method.as_str(), &segments[..]) {
            ("GET", ["2018-06-01", "runtime", "invocation", "next"]) => Ask::Next,
            ("GET", ["2018-06-01", "runtime", "restore", "next"]) => Ask::RestoreNext,
            ("POST", ["2018-06-01", "runtime", rest @ ..]) => match rest {
                ["invocation", id, "response"] => Ask::Answer(which(id)),
                ["invocation", id, "error"] => Ask::Error(which(id)),
                ["init", "error"] => Ask::InitError,
                ["restore", "error"] => Ask::RestoreError,
                _ => Ask::Unknown,
            },
            ("POST", ["2020-01-01", "extension", "register"]) => Ask::Register,
            ("GET", ["2020-01-01", "extension", "event", "next"]) => Ask::ExtensionNext,
            _ => Ask::Unknown,
        }
    }

    fn accepted(&self, ask: &Ask) -> (StatusCode, &'static str) {
        match ask {
            Ask::RestoreNext => (StatusCode::OK, ""),
            _ => (StatusCode::ACCEPTED, "{\"status\":\"OK\"}\n"),
        }
    }

    fn refused(&self, ask: &Ask, refusal: &Refused) -> Option<(StatusCode, &'static str, String)> {
        let not_allowed = |from| {
            let what = format!("State transition from {from} to {}", state_wanted(ask));
            format!("{what} failed for runtime. Error: State transition is not allowed")
        };
        let (status, error_type, message) = match refusal {
            Refused::NotFound => (404, "NotFound", "404 page not found".into()),
            Refused::WrongPhase(phase) => {
                let message = not_allowed(phase_name(*phase));
                (403, "InvalidStateTransition", message)
            }
            Refused::Answered => {
                let message = not_allowed("RuntimeResponseSentState");
                (403, "InvalidStateTransition", message)
            }
            Refused::UnknownId => (400, "InvalidRequestID", "Invalid request ID".into()),
            Refused::NotEchoed(name) => (400, "InvalidInvocationID", format!("Invalid {name}")),
            Refused::UnknownMode(_) => {
                let message = "Invalid function response mode".into();
                (400, "InvalidFunctionResponseMode", message)
            }
            Refused::TooLarge { bytes_max } => {
                let message = format!("Exceeded maximum allowed payload size ({bytes_max} bytes).");
                (413, "RequestEntityTooLarge", message)
            }
            Refused::Truncated => {
                let message = "HTTP request was truncated".into();
                (400, "TruncatedHTTPRequest", message)
            }
            Refused::EmptyBody => (400, "InvalidRequestFormat", "Body expected".into()),
            Refused::Extension(error_type, message) => (403, *error_type, message.clone()),
        };
        // All statuses here have three digits.
        let status = StatusCode::from_u16(status).unwrap_or_default();
        Some((status, error_type, message))
    }

    fn register(
        &self,
        function: &Function,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Reply, Refused> {
        const NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
        const ID: HeaderName = HeaderName::from_static("lambda-extension-identifier");
        let refuse =
            |error_type, message: &str| Err(Refused::Extension(error_type, message.to_owned()));
        if !headers.contains_key(NAME) {
            let message = "Lambda-Extension-Name is missing";
            return refuse("Extension.InvalidExtensionName", message);
        }
        let wanted: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
        let events = wanted["events"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(event) = events.iter().find(|event| **event != "INVOKE") {
            // Lambda tells only extensions outside the program of its end.
            let message = format!("{event}: ShutdownEventNotSupportedForInternalExtension");
            return refuse("Extension.InvalidEventType", &message);
        }
        let body = json!({
            "functionName": function.name,
            "functionVersion": VERSION,
            "handler": function.handler.as_deref().unwrap_or(""),
        });
        let mut reply = http::json(StatusCode::OK, &body);
        set(reply.headers_mut(), ID, &id::uuid());
        Ok(reply)
    }
}

fn state_wanted(ask: &Ask) -> &'static str {
    match ask {
        Ask::Answer(_) => "InvocationResponse",
        Ask::Error(_) => "InvocationErrorResponse",
        Ask::InitError => "InitError",
        Ask::RestoreNext => "RestoreReady",
        Ask::RestoreError => "RestoreError",
        Ask::Next | Ask::Ready | Ask::Register | Ask::ExtensionNext | Ask::Unknown => "Ready",
    }
}

fn phase_name(phase: Phase) -> &'static str {
    match phase {
        Phase::Starting => "Started",
        Phase::Restored => "Restored",
        Phase::Serving => "Ready",
        Phase::Failed => "InitError",
        Phase::Wedged => "InvocationResponse",
    }
}

fn complaint(error_type: &str, message: &str) -> Complaint {
    let body = json!({ "errorType": error_type, "errorMessage": message });
    Complaint {
        status: StatusCode::OK,
        error_type: error_type.to_owned(),
        body: body.to_string().into(),
    }
}

fn timeout_text(limit: Duration) -> String {
    format!("Task timed out after {:.2} seconds", limit.as_secs_f64())
}

/// An end as Lambda, written in Go, words it.
fn exit_text(status: ExitStatus) -> String {
    let how = match (status.code(), status.signal()) {
        (Some(0), _) => return "Runtime exited without providing a reason".to_owned(),
        (Some(code), _) => format!("exit status {code}"),
        (None, signal) => match signal.unwrap_or_default() {
            4 => "signal: illegal instruction".to_owned(),
            6 => "signal: aborted".to_owned(),
            7 => "signal: bus error".to_owned(),
            8 => "signal: floating point exception".to_owned(),
            9 => "signal: killed".to_owned(),
            11 => "signal: segmentation fault".to_owned(),
            15 => "signal: terminated".to_owned(),
            signal => format!("signal: signal {signal}"),
        },
    };
    format!("Runtime exited with error: {how}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::Stage;

    #[test]
    fn routes() {
        const ROWS: &str = r#"
GET /2018-06-01/runtime/invocation/next => Next
POST /2018-06-01/runtime/invocation/a-b/response => Answer(Id("a-b"))
POST /2018-06-01/runtime/invocation/a-b/error => Error(Id("a-b"))
GET /2018-06-01/runtime/invocation/next/ => Unknown
GET //2018-06-01/runtime/invocation/next => Unknown
POST /runtime/init/ready => Unknown"#;
        for row in ROWS.lines().skip(1) {
            let (method, rest) = row.split_once(' ').unwrap();
            let (path, want) = rest.split_once(" => ").unwrap();
            let ask = Lambda.route(&method.parse().unwrap(), path);
            assert_eq!(format!("{ask:?}"), want, "{row}");
        }
    }

    #[test]
    fn exits_in_lambdas_words() {
        let check = |status, want| assert_eq!(exit_text(ExitStatus::from_raw(status)), want);
        check(0, "Runtime exited without providing a reason");
        check(3 << 8, "Runtime exited with error: exit status 3");
        check(9, "Runtime exited with error: signal: killed");
        check(11, "Runtime exited with error: signal: segmentation fault");
    }

    #[test]
    fn the_report_is_lambdas() {
        let mut outcome = Outcome::not_started(Stage::Call.failed(Reason::Canceled));
        outcome.figures = Figures {
            duration: Duration::from_micros(1_234),
            memory_mb: 128,
            memory_peak_bytes: 15 << 20,
        };
        outcome.init_duration = Some(Duration::from_micros(10_500));
        let want = "END RequestId: i\nREPORT RequestId: i\tDuration: 1.23 ms\tBilled Duration: 2 ms\t\
                    Memory Size: 128 MB\tMax Memory Used: 15 MB\tInit Duration: 10.50 ms";
        assert_eq!(Lambda.log_end("i", &outcome), want);
    }

    #[test]
    fn what_callers_are_told() {
        let failure = Stage::Call.failed(Reason::TimedOut(Duration::from_secs(3)));
        let complaint = Lambda.explain(&failure, "i", &Figures::default());
        let want = r#"{"errorMessage":"RequestId: i Error: Task timed out after 3.00 seconds","errorType":"Sandbox.Timedout"}"#;
        assert_eq!(complaint.body, want);
    }

    #[test]
    fn extensions_may_want_nothing_or_invocations() {
        let check = |body: &str, want| {
            let mut headers = HeaderMap::new();
            headers.insert("lambda-extension-name", HeaderValue::from_static("x"));
            let reply = Lambda.register(&Function::default(), &headers, body.as_bytes());
            assert_eq!(reply.is_ok(), want, "{body}");
        };
        check(r#"{"events":[]}"#, true);
        check(r#"{"events":["INVOKE"]}"#, true);
        check("", true);
        check(r#"{"events":["SHUTDOWN"]}"#, false);
    }
}
