//! Tencent SCF: the runtime API of a custom runtime's event function, and web functions, which are HTTP
//! servers on a port that is always the same.

pub(crate) mod gateway;

use super::contract::{Keys, Row, Value};
use super::dialect::{Complaint, Dialect, Facts, Reached};
use crate::call::Outcome;
use crate::failure::{Failure, Reason, Stage};
use crate::figures::Figures;
use crate::readiness::Ready;
use crate::runtime_api::asks::{Ask, Refused, Which};
use hyper::{Method, StatusCode};
use serde_json::json;
use std::time::Duration;

/// SCF's names, numbers and texts: of event functions, and of web functions where they differ.
pub(crate) struct Scf {
    pub(crate) is_web: bool,
}

const ANSWER_BYTES_MAX: usize = 6 * 1024 * 1024;

const KEYS: Keys = Keys {
    names: [
        "TENCENTCLOUD_SECRETID",
        "TENCENTCLOUD_SECRETKEY",
        "TENCENTCLOUD_SESSIONTOKEN",
    ],
    invented: ["local-secret-id", "local-secret-key", "local-session-token"],
};

const REGION: Value = Value::Own("TENCENTCLOUD_REGION", "ap-guangzhou");
const APP_ID: Value = Value::Own("TENCENTCLOUD_APPID", "1250000000");
const UIN: Value = Value::Own("TENCENTCLOUD_UIN", "100000000000");
const CODE_ROOT: Value = Value::Made(|told| format!("{}/", told.function.code_path().display()));

/// All but the first two, which a web function does not have.
const VARIABLES: &[Row] = &[
    ("SCF_RUNTIME_API", Value::Ip),
    ("SCF_RUNTIME_API_PORT", Value::Port),
    ("SCF_RUNTIME", Value::Text("CustomRuntime")),
    ("SCF_FUNCTIONNAME", Value::FunctionName),
    ("SCF_FUNCTIONVERSION", Value::Text("$LATEST")),
    ("SCF_NAMESPACE", Value::Text("default")),
    ("TENCENTCLOUD_REGION", REGION),
    ("TENCENTCLOUD_APPID", APP_ID),
    ("TENCENTCLOUD_UIN", UIN),
    ("TENCENTCLOUD_TZ", Value::Text("UTC")),
    ("TENCENTCLOUD_RUNENV", Value::Text("SCF")),
    ("TENCENTCLOUD_SECRETID", Value::Key(0)),
    ("TENCENTCLOUD_SECRETKEY", Value::Key(1)),
    ("TENCENTCLOUD_SESSIONTOKEN", Value::Key(2)),
    ("USER_CODE_ROOT", CODE_ROOT),
    ("TRIGGER_SRC", Value::Text("")),
    ("_SCF_SERVER_PORT", Value::Text("28902")),
    ("LANG", Value::Text("en_US.UTF8")),
    ("_HANDLER", Value::Handler),
];

/// The names have underscores, and the limit is a duration.
const HEADERS: &[Row] = &[
    ("request_id", Value::RequestId),
    ("memory_limit_in_mb", Value::MemoryMb),
    ("time_limit_in_ms", Value::TimeoutMs),
];

const FACTS: Facts = Facts {
    variables: VARIABLES,
    headers: HEADERS,
    keys: KEYS,
    start_timeout: Duration::from_secs(65),
    stop_timeout: None,
    reached: Reached::Api {
        ready: Ready::Call,
        answer_bytes_max: ANSWER_BYTES_MAX,
        stream_bytes_max: ANSWER_BYTES_MAX,
        echoed: None,
    },
    frame: None,
};

static EVENT_FACTS: Facts = FACTS;

static WEB_FACTS: Facts = Facts {
    variables: VARIABLES.split_at(2).1,
    headers: &[("x-scf-request-id", Value::RequestId)],
    reached: Reached::Http {
        fixed_port: Some(9000),
    },
    ..FACTS
};

impl Dialect for Scf {
    fn facts(&self) -> &'static Facts {
        match self {
            Self { is_web: true } => &WEB_FACTS,
            Self { is_web: false } => &EVENT_FACTS,
        }
    }

    fn check_call(&self, is_http: bool) -> Result<(), &'static str> {
        match (self.is_web, is_http) {
            (false, true) => {
                Err("--http: SCF's event functions take no requests; its web functions do: --web")
            }
            (true, false) => Err("a web function takes HTTP requests: --http 'GET /path'"),
            _ => Ok(()),
        }
    }

    fn explain(&self, failure: &Failure, request_id: &str, _: &Figures) -> Complaint {
        let (status, error_type) = match (failure.stage, &failure.reason) {
            (Stage::Start | Stage::Initialize, _) | (_, Reason::Exited(_)) => {
                (405, "ContainerStateExited")
            }
            (_, Reason::TimedOut(_)) => (433, "TimeLimitReached"),
            (_, Reason::TooLarge { .. }) => (407, "ResponseBodyTooLarge"),
            _ => (430, "UserCodeError"),
        };
        let message = match (failure.stage, &failure.reason) {
            (Stage::Call, Reason::Reported(reported)) => {
                String::from_utf8_lossy(&reported.body).into_owned()
            }
            (Stage::Call, Reason::TimedOut(limit)) => {
                format!("Invoking task timed out after {} seconds", limit.as_secs())
            }
            _ => failure.to_string(),
        };
        Complaint {
            // All statuses here have three digits.
            status: StatusCode::from_u16(status).unwrap_or_default(),
            error_type: format!("{status} {error_type}"),
            body: error_body(status, &message, request_id).to_string().into(),
        }
    }

    fn log_begin(&self, request_id: &str, _: &str) -> String {
        format!("START RequestId:{request_id}")
    }

    fn log_end(&self, request_id: &str, outcome: &Outcome) -> String {
        let init = outcome.init_duration.map(|init| init.as_millis());
        let init = init.map_or_else(String::new, |ms| {
            format!(
                "Init Report RequestId:{request_id} Coldstart:{ms}ms \
                 (PullCode:0ms InitRuntime:0ms InitFunction:{ms}ms)\n"
            )
        });
        let figures = &outcome.figures;
        format!(
            "{init}END RequestId:{request_id}\nReport RequestId:{request_id} \
             Duration:{}ms Memory:{}MB MemUsage:{:.6}MB",
            figures.billed_ms(),
            figures.memory_mb,
            figures.memory_peak_mb(),
        )
    }

    fn route(&self, method: &Method, path: &str) -> Ask {
        match (method.as_str(), path) {
            ("POST", "/runtime/init/ready") => Ask::Ready,
            ("GET", "/runtime/invocation/next") => Ask::Next,
            ("POST", "/runtime/invocation/response") => Ask::Answer(Which::Current),
            ("POST", "/runtime/invocation/error") => Ask::Error(Which::Current),
            _ => Ask::Unknown,
        }
    }

    /// The statuses are guesses, SCF documents none; that the first answer is locked is documented.
    fn refused(&self, _: &Ask, refusal: &Refused) -> Option<(StatusCode, &'static str, String)> {
        let (status, error_type, message) = match refusal {
            Refused::Answered => return None,
            Refused::NotFound => (404, "NotFound", "no such path".to_owned()),
            Refused::WrongPhase(_) => {
                let message = "POST /runtime/init/ready comes first".to_owned();
                (403, "NotReady", message)
            }
            Refused::EmptyBody => (400, "EmptyBody", "the body must not be empty".to_owned()),
            Refused::TooLarge { bytes_max } => {
                (413, "TooLarge", format!("longer than {bytes_max} bytes"))
            }
            other => (400, "InvalidRequest", format!("{other:?}")),
        };
        let status = StatusCode::from_u16(status).unwrap_or_default();
        Some((status, error_type, message))
    }
}

fn error_body(status: u16, message: &str, request_id: &str) -> serde_json::Value {
    json!({
        "errorCode": status, "errorMessage": message, "requestId": request_id, "statusCode": status,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCF: Scf = Scf { is_web: false };

    #[test]
    fn a_second_answer_is_ignored() {
        assert!(SCF.refused(&Ask::Next, &Refused::Answered).is_none());
        assert!(SCF.refused(&Ask::Next, &Refused::EmptyBody).is_some());
    }

    #[test]
    fn the_report_is_scfs() {
        let outcome = Outcome {
            figures: Figures {
                duration: Duration::from_micros(1_234),
                memory_mb: 128,
                memory_peak_bytes: 3 << 19,
            },
            ..Outcome::not_started(Stage::Call.failed(Reason::Canceled))
        };
        let want =
            "END RequestId:i\nReport RequestId:i Duration:2ms Memory:128MB MemUsage:1.500000MB";
        assert_eq!(SCF.log_end("i", &outcome), want);
    }
}
