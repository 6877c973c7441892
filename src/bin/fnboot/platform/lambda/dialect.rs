//! Lambda's runtime API: paths, answers, and what callers are told of a failure.

use super::{Lambda, contract, url};
use crate::function::Function;
use crate::id;
use crate::invoke::Target;
use crate::platform::runtime_api::{
    Answer, Ask, Complaint, Dialect, Failure, Phase, Ready, Refusal, Report, Which,
};
use http_body_util::Full;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Response, StatusCode};
use serde_json::{Value, json};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, SystemTime};

impl Dialect for Lambda {
    const START_TIMEOUT: Duration = Duration::from_secs(10);
    const READY: Ready = Ready::Next;
    const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024 + 100;
    const STREAM_BYTES_MAX: usize = 200 * 1024 * 1024;
    const ECHOED: Option<&'static str> = Some(contract::INVOCATION_ID_HEADER);
    const FOREIGN_VARIABLES: &'static [&'static str] = contract::FOREIGN_VARIABLES;

    fn instance_id() -> String {
        format!("[{}]{:016x}", contract::VERSION, id::random())
    }

    fn variables(
        function: &Function,
        api: SocketAddr,
        instance_id: &str,
    ) -> Vec<(&'static str, OsString)> {
        contract::variables(function, api, instance_id)
    }

    fn route(method: &Method, path: &str) -> Ask {
        let segments: Vec<_> = path.split('/').collect();
        match (method.as_str(), &segments[..]) {
            ("GET", ["", "2018-06-01", "runtime", "invocation", "next"]) => Ask::Next,
            ("POST", ["", "2018-06-01", "runtime", "invocation", id, "response"]) => {
                Ask::Answer(Which::Id((*id).to_owned()))
            }
            ("POST", ["", "2018-06-01", "runtime", "invocation", id, "error"]) => {
                Ask::Error(Which::Id((*id).to_owned()))
            }
            ("POST", ["", "2018-06-01", "runtime", "init", "error"]) => Ask::InitError,
            ("GET", ["", "2018-06-01", "runtime", "restore", "next"]) => Ask::RestoreNext,
            ("POST", ["", "2018-06-01", "runtime", "restore", "error"]) => Ask::RestoreError,
            ("POST", ["", "2020-01-01", "extension", "register"]) => Ask::Register,
            ("GET", ["", "2020-01-01", "extension", "event", "next"]) => Ask::ExtensionNext,
            _ => Ask::Unknown,
        }
    }

    fn headers(function: &Function, request_id: &str, deadline: SystemTime) -> HeaderMap {
        contract::headers(function, request_id, deadline)
    }

    fn accepted(ask: &Ask) -> (StatusCode, &'static str) {
        match ask {
            Ask::RestoreNext => (StatusCode::OK, ""),
            _ => (StatusCode::ACCEPTED, "{\"status\":\"OK\"}\n"),
        }
    }

    fn refused(ask: &Ask, refusal: &Refusal) -> Option<(StatusCode, &'static str, String)> {
        let invalid_state = |from: &str| {
            let message = format!(
                "State transition from {from} to {} failed for runtime. Error: State transition is not allowed",
                state_wanted(ask)
            );
            (StatusCode::FORBIDDEN, "InvalidStateTransition", message)
        };
        let bad =
            |error_type, message: &str| (StatusCode::BAD_REQUEST, error_type, message.to_owned());
        Some(match refusal {
            Refusal::NotFound => (
                StatusCode::NOT_FOUND,
                "NotFound",
                "404 page not found".to_owned(),
            ),
            Refusal::WrongPhase(phase) => invalid_state(phase_name(*phase)),
            Refusal::Answered => invalid_state("RuntimeResponseSentState"),
            Refusal::UnknownId => bad("InvalidRequestID", "Invalid request ID"),
            Refusal::NotEchoed(name) => bad("InvalidInvocationID", &format!("Invalid {name}")),
            Refusal::UnknownMode(_) => bad(
                "InvalidFunctionResponseMode",
                "Invalid function response mode",
            ),
            Refusal::TooLarge { bytes_max } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLarge",
                format!("Exceeded maximum allowed payload size ({bytes_max} bytes)."),
            ),
            Refusal::Truncated => bad("TruncatedHTTPRequest", "HTTP request was truncated"),
            Refusal::EmptyBody => bad("InvalidRequestFormat", "Body expected"),
            Refusal::Extension(error_type, message) => {
                (StatusCode::FORBIDDEN, error_type, message.clone())
            }
        })
    }

    fn register(
        function: &Function,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Response<Full<Bytes>>, Refusal> {
        const NAME: HeaderName = HeaderName::from_static("lambda-extension-name");
        const ID: HeaderName = HeaderName::from_static("lambda-extension-identifier");
        if !headers.contains_key(NAME) {
            let message = "Lambda-Extension-Name is missing".to_owned();
            return Err(Refusal::Extension(
                "Extension.InvalidExtensionName",
                message,
            ));
        }
        let wanted: Value = serde_json::from_slice(body).unwrap_or_default();
        let events = wanted["events"].as_array().map_or(&[][..], Vec::as_slice);
        if let Some(event) = events.iter().find(|event| **event != "INVOKE") {
            // Lambda tells only extensions outside the program of its end.
            let message = format!("{event}: ShutdownEventNotSupportedForInternalExtension");
            return Err(Refusal::Extension("Extension.InvalidEventType", message));
        }
        let body = json!({
            "functionName": function.name,
            "functionVersion": contract::VERSION,
            "handler": function.handler.as_deref().unwrap_or(""),
        });
        let mut reply = Response::new(Full::new(body.to_string().into()));
        let headers = reply.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Ok(id) = HeaderValue::from_str(&id::uuid()) {
            headers.insert(ID, id);
        }
        Ok(reply)
    }

    fn http_event(
        target: &Target,
        headers: &HeaderMap,
        body: &[u8],
        request_id: &str,
    ) -> Option<Bytes> {
        Some(url::event(target, headers, body, request_id))
    }

    fn http_answer(answer: &Answer) -> Option<Response<Bytes>> {
        url::answer(answer)
    }

    fn explain(failure: &Failure, request_id: &str) -> Complaint {
        let error = |error_type: &str, message: &str| {
            let message = format!("RequestId: {request_id} Error: {message}");
            complaint(error_type, &message)
        };
        match failure {
            Failure::StartReported(reported) | Failure::Reported(reported) => Complaint {
                status: 200,
                error_type: reported
                    .error_type
                    .clone()
                    .unwrap_or_else(|| "Unhandled".to_owned()),
                body: reported.body.clone(),
            },
            Failure::Spawn(spawn) => error("Runtime.InvalidEntrypoint", &spawn.to_string()),
            Failure::Exited(status) => error("Runtime.ExitError", &exit_text(*status)),
            Failure::StartTimedOut(limit) | Failure::TimedOut(limit) => {
                error("Sandbox.Timedout", &timeout_text(*limit))
            }
            // What Lambda says once its limit has passed.
            Failure::Misfit(why) => error("Sandbox.Timedout", why),
            Failure::TooLarge { bytes_max } => complaint(
                "Function.ResponseSizeTooLarge",
                &format!(
                    "Response payload size exceeded maximum allowed payload size ({bytes_max} bytes)."
                ),
            ),
            Failure::Truncated => error("Runtime.TruncatedResponse", "Response is truncated"),
            Failure::UnknownMode(mode) => error(
                "Runtime.InvalidResponseModeHeader",
                &format!("Invalid response mode {mode:?}"),
            ),
        }
    }

    fn log_begin(request_id: &str) -> String {
        format!(
            "START RequestId: {request_id} Version: {}",
            contract::VERSION
        )
    }

    fn log_end(report: &Report<'_>) -> String {
        let request_id = report.request_id;
        let (before, status) = match report.failure {
            Some(Failure::TimedOut(limit)) => (
                format!("{request_id} {}\n\n", timeout_text(*limit)),
                "\tStatus: timeout",
            ),
            Some(Failure::Exited(status)) => (
                format!(
                    "RequestId: {request_id} Error: {}\nRuntime.ExitError\n",
                    exit_text(*status)
                ),
                "\tStatus: error\tError Type: Runtime.ExitError",
            ),
            _ => (String::new(), ""),
        };
        let init = report.init_duration.map(|init| init.as_secs_f64() * 1e3);
        let init = init.map_or_else(String::new, |ms| format!("\tInit Duration: {ms:.2} ms"));
        let figures = &report.figures;
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
    Complaint {
        status: 200,
        error_type: error_type.to_owned(),
        body: json!({ "errorType": error_type, "errorMessage": message })
            .to_string()
            .into(),
    }
}

fn timeout_text(limit: Duration) -> String {
    format!("Task timed out after {:.2} seconds", limit.as_secs_f64())
}

/// An end as Lambda, written in Go, words it.
fn exit_text(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "Runtime exited without providing a reason".to_owned(),
        (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
        (None, Some(signal)) => format!("Runtime exited with error: signal: {}", name(signal)),
        (None, None) => "Runtime exited with error".to_owned(),
    }
}

fn name(signal: i32) -> String {
    let name = match signal {
        4 => "illegal instruction",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        11 => "segmentation fault",
        15 => "terminated",
        _ => return format!("signal {signal}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    #[allow(clippy::needless_pass_by_value, reason = "what is compared is given")]
    #[track_caller]
    fn check(method: &Method, path: &str, want: Ask) {
        assert_eq!(Lambda::route(method, path), want, "{method} {path}");
    }

    #[test]
    fn routes() {
        let id = || Which::Id("a-b".to_owned());
        check(
            &Method::GET,
            "/2018-06-01/runtime/invocation/next",
            Ask::Next,
        );
        check(
            &Method::POST,
            "/2018-06-01/runtime/invocation/a-b/response",
            Ask::Answer(id()),
        );
        check(
            &Method::POST,
            "/2018-06-01/runtime/invocation/a-b/error",
            Ask::Error(id()),
        );
        check(
            &Method::POST,
            "/2018-06-01/runtime/invocation/next",
            Ask::Unknown,
        );
        check(
            &Method::GET,
            "/2018-06-01/runtime/invocation/next/",
            Ask::Unknown,
        );
        check(
            &Method::GET,
            "//2018-06-01/runtime/invocation/next",
            Ask::Unknown,
        );
        check(&Method::GET, "/", Ask::Unknown);
        check(&Method::POST, "/runtime/init/ready", Ask::Unknown);
    }

    #[track_caller]
    fn check_exit(status: i32, want: &str) {
        assert_eq!(exit_text(ExitStatus::from_raw(status)), want, "{status}");
    }

    #[test]
    fn exits_in_lambdas_words() {
        check_exit(0, "Runtime exited without providing a reason");
        check_exit(3 << 8, "Runtime exited with error: exit status 3");
        check_exit(9, "Runtime exited with error: signal: killed");
        check_exit(11, "Runtime exited with error: signal: segmentation fault");
    }

    #[test]
    fn the_report_is_lambdas() {
        let report = Report {
            request_id: "i",
            figures: Figures {
                duration: Duration::from_micros(1_234),
                memory_mb: 128,
                memory_peak_bytes: 15 << 20,
            },
            init_duration: Some(Duration::from_micros(10_500)),
            failure: None,
        };
        assert_eq!(
            Lambda::log_end(&report),
            "END RequestId: i\nREPORT RequestId: i\tDuration: 1.23 ms\tBilled Duration: 2 ms\t\
             Memory Size: 128 MB\tMax Memory Used: 15 MB\tInit Duration: 10.50 ms"
        );
    }

    #[test]
    fn what_callers_are_told() {
        let complaint = Lambda::explain(&Failure::TimedOut(Duration::from_secs(3)), "i");
        assert_eq!(
            complaint.body,
            r#"{"errorMessage":"RequestId: i Error: Task timed out after 3.00 seconds","errorType":"Sandbox.Timedout"}"#
        );
    }

    #[track_caller]
    fn check_register(body: &str, want: bool) {
        let mut headers = HeaderMap::new();
        headers.insert("lambda-extension-name", HeaderValue::from_static("x"));
        let function = crate::function::tests::function(&[]);
        let reply = Lambda::register(&function, &headers, body.as_bytes());
        assert_eq!(reply.is_ok(), want, "{body}");
    }

    #[test]
    fn extensions_may_want_nothing_or_invocations() {
        check_register(r#"{"events":[]}"#, true);
        check_register(r#"{"events":["INVOKE"]}"#, true);
        check_register("", true);
        check_register(r#"{"events":["SHUTDOWN"]}"#, false);
    }
}
