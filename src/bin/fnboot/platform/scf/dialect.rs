//! SCF's runtime API: paths, answers, and what callers are told of a failure.

use super::{Scf, contract};
use crate::function::Function;
use crate::id;
use crate::platform::runtime_api::{
    Ask, Complaint, Dialect, Failure, Ready, Refusal, Report, Which,
};
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::json;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

impl Dialect for Scf {
    const START_TIMEOUT: Duration = Duration::from_secs(65);
    const READY: Ready = Ready::Call;
    const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;
    const STREAM_BYTES_MAX: usize = Self::ANSWER_BYTES_MAX;
    const ECHOED: Option<&'static str> = None;
    const FOREIGN_VARIABLES: &'static [&'static str] = contract::FOREIGN_VARIABLES;

    fn instance_id() -> String {
        format!("{:016x}", id::random())
    }

    fn variables(function: &Function, api: SocketAddr, _: &str) -> Vec<(&'static str, OsString)> {
        contract::variables(function, api)
    }

    fn route(method: &Method, path: &str) -> Ask {
        match (method.as_str(), path) {
            ("POST", "/runtime/init/ready") => Ask::Ready,
            ("GET", "/runtime/invocation/next") => Ask::Next,
            ("POST", "/runtime/invocation/response") => Ask::Answer(Which::Current),
            ("POST", "/runtime/invocation/error") => Ask::Error(Which::Current),
            _ => Ask::Unknown,
        }
    }

    fn headers(function: &Function, request_id: &str, _: SystemTime) -> HeaderMap {
        contract::headers(function, request_id)
    }

    fn accepted(_: &Ask) -> (StatusCode, &'static str) {
        (StatusCode::OK, "")
    }

    /// The statuses are guesses, SCF documents none; that the first answer is locked is documented.
    fn refused(_: &Ask, refusal: &Refusal) -> Option<(StatusCode, &'static str, String)> {
        Some(match refusal {
            Refusal::Answered => return None,
            Refusal::NotFound => (StatusCode::NOT_FOUND, "NotFound", "no such path".to_owned()),
            Refusal::WrongPhase(_) => (
                StatusCode::FORBIDDEN,
                "NotReady",
                "POST /runtime/init/ready comes first".to_owned(),
            ),
            Refusal::EmptyBody => (
                StatusCode::BAD_REQUEST,
                "EmptyBody",
                "the body must not be empty".to_owned(),
            ),
            Refusal::TooLarge { bytes_max } => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "TooLarge",
                format!("longer than {bytes_max} bytes"),
            ),
            other => (
                StatusCode::BAD_REQUEST,
                "InvalidRequest",
                format!("{other:?}"),
            ),
        })
    }

    fn explain(failure: &Failure, request_id: &str) -> Complaint {
        let (status, error_type) = match failure {
            Failure::Spawn(_)
            | Failure::StartReported(_)
            | Failure::StartTimedOut(_)
            | Failure::Misfit(_)
            | Failure::Exited(_) => (405, "ContainerStateExited"),
            Failure::Reported(_) | Failure::Truncated | Failure::UnknownMode(_) => {
                (430, "UserCodeError")
            }
            Failure::TimedOut(_) => (433, "TimeLimitReached"),
            Failure::TooLarge { .. } => (407, "ResponseBodyTooLarge"),
        };
        let message = match failure {
            Failure::Reported(reported) => String::from_utf8_lossy(&reported.body).into_owned(),
            Failure::TimedOut(limit) => {
                format!("Invoking task timed out after {} seconds", limit.as_secs())
            }
            other => other.to_string(),
        };
        let body = json!({
            "errorCode": status, "errorMessage": message, "requestId": request_id,
            "statusCode": status,
        });
        Complaint {
            status,
            error_type: format!("{status} {error_type}"),
            body: body.to_string().into(),
        }
    }

    fn log_begin(request_id: &str) -> String {
        format!("START RequestId:{request_id}")
    }

    fn log_end(report: &Report<'_>) -> String {
        let request_id = report.request_id;
        let init = report.init_duration.map(|init| init.as_millis());
        let init = init.map_or_else(String::new, |ms| {
            format!(
                "Init Report RequestId:{request_id} Coldstart:{ms}ms \
                 (PullCode:0ms InitRuntime:0ms InitFunction:{ms}ms)\n"
            )
        });
        let figures = &report.figures;
        format!(
            "{init}END RequestId:{request_id}\nReport RequestId:{request_id} \
             Duration:{}ms Memory:{}MB MemUsage:{:.6}MB",
            figures.billed_ms(),
            figures.memory_mb,
            figures.memory_peak_mb(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Figures;

    #[allow(clippy::needless_pass_by_value, reason = "what is compared is given")]
    #[track_caller]
    fn check(method: &Method, path: &str, want: Ask) {
        assert_eq!(Scf::route(method, path), want, "{method} {path}");
    }

    #[test]
    fn routes() {
        check(&Method::POST, "/runtime/init/ready", Ask::Ready);
        check(&Method::GET, "/runtime/invocation/next", Ask::Next);
        let answer = Ask::Answer(Which::Current);
        check(&Method::POST, "/runtime/invocation/response", answer);
        let error = Ask::Error(Which::Current);
        check(&Method::POST, "/runtime/invocation/error", error);
        check(&Method::GET, "/runtime/init/ready", Ask::Unknown);
        check(
            &Method::GET,
            "/2018-06-01/runtime/invocation/next",
            Ask::Unknown,
        );
    }

    #[test]
    fn a_second_answer_is_ignored() {
        assert!(Scf::refused(&Ask::Next, &Refusal::Answered).is_none());
        assert!(Scf::refused(&Ask::Next, &Refusal::EmptyBody).is_some());
    }

    #[test]
    fn the_report_is_scfs() {
        let report = Report {
            request_id: "i",
            figures: Figures {
                duration: Duration::from_micros(1_234),
                memory_mb: 128,
                memory_peak_bytes: 3 << 19,
            },
            init_duration: None,
            failure: None,
        };
        assert_eq!(
            Scf::log_end(&report),
            "END RequestId:i\nReport RequestId:i Duration:2ms Memory:128MB MemUsage:1.500000MB"
        );
    }
}
