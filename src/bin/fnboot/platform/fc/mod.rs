//! Alibaba Cloud Function Compute: pushes events to an HTTP server that the program runs.

pub(crate) mod gateway;

use super::contract::{self, Keys, Row, Value, unix_ms};
use super::dialect::{Complaint, Dialect, Facts, Reached};
use crate::call::{Answer, Outcome, Payload};
use crate::failure::{Failure, Reason, Reported, Stage};
use crate::figures::Figures;
use crate::http::set;
use crate::id::random;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, StatusCode, Uri};
use serde_json::{Value as Json, json};
use std::io;
use std::time::{Duration, SystemTime};

/// FC's names, numbers and texts.
pub(crate) struct Fc;

/// All names and values of a head, in either direction.
const HEADER_BYTES_MAX: usize = 8 * 1024;

const KEYS: Keys = Keys {
    names: [
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
        "ALIBABA_CLOUD_SECURITY_TOKEN",
    ],
    invented: [
        "STS.local-access-key-id",
        "local-access-key-secret",
        "local-security-token",
    ],
};

const ACCOUNT_ID: Value = Value::Own("FC_ACCOUNT_ID", "1234567890123456");
const REGION: Value = Value::Own("FC_REGION", "cn-hangzhou");

/// A handler is configured for every function and means nothing to a custom runtime; deploy tools put
/// this word where a user gave none.
const HANDLER: Value = Value::Made(|told| {
    let own = || contract::own("FC_FUNCTION_HANDLER");
    let handler = told.function.handler.clone().or_else(own);
    handler.unwrap_or_else(|| "handler".to_owned())
});

const VARIABLES: &[Row] = &[
    ("FC_SERVER_PORT", Value::Port),
    ("FC_CUSTOM_LISTEN_PORT", Value::Port),
    ("FC_FUNC_CODE_PATH", Value::CodePath),
    ("FC_FUNCTION_NAME", Value::FunctionName),
    ("FC_FUNCTION_HANDLER", HANDLER),
    ("FC_FUNCTION_MEMORY_SIZE", Value::MemoryMb),
    ("FC_INSTANCE_ID", Value::InstanceId),
    ("FC_ACCOUNT_ID", ACCOUNT_ID),
    ("FC_REGION", REGION),
    ("FC_QUALIFIER", Value::Text("LATEST")),
    ("ALIBABA_CLOUD_ACCESS_KEY_ID", Value::Key(0)),
    ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", Value::Key(1)),
    ("ALIBABA_CLOUD_SECURITY_TOKEN", Value::Key(2)),
];

/// Empty ones are what FC sends for what is not configured; of a token it has not it sends nothing.
const HEADERS: &[Row] = &[
    ("x-fc-request-id", Value::RequestId),
    ("x-fc-function-name", Value::FunctionName),
    ("x-fc-function-handler", HANDLER),
    ("x-fc-function-memory", Value::MemoryMb),
    ("x-fc-function-timeout", Value::TimeoutSeconds),
    ("x-fc-region", REGION),
    ("x-fc-account-id", ACCOUNT_ID),
    ("x-fc-qualifier", Value::Text("LATEST")),
    ("x-fc-version-id", Value::Text("")),
    ("x-fc-service-name", Value::Text("")),
    ("x-fc-service-logproject", Value::Text("")),
    ("x-fc-service-logstore", Value::Text("")),
    ("x-fc-retry-count", Value::Text("0")),
    ("x-fc-tracing-opentracing-span-context", Value::Text("")),
    ("x-fc-tracing-opentracing-span-baggages", Value::Text("")),
    ("x-fc-tracing-jaeger-endpoint", Value::Text("")),
    ("x-fc-client-ip", Value::Text("")),
    ("x-fc-api-server-ip", Value::Text("")),
    ("x-fc-access-key-id", Value::Key(0)),
    ("x-fc-access-key-secret", Value::Key(1)),
    ("x-fc-security-token", Value::Key(2)),
    // FC's agent is written in Go.
    ("user-agent", Value::Text("Go-http-client/1.1")),
];

static FACTS: Facts = Facts {
    variables: VARIABLES,
    headers: HEADERS,
    keys: KEYS,
    start_timeout: Duration::from_secs(120),
    stop_timeout: Some(Duration::from_secs(2)),
    reached: Reached::Http { fixed_port: None },
    frame: Some([
        "========= FC invoke Logs begin =========",
        "========= FC invoke Logs end =========",
    ]),
};

impl Dialect for Fc {
    fn facts(&self) -> &'static Facts {
        &FACTS
    }

    /// `1-67a59f35-150c1267-f381ba1c085c`; the second field is the time in seconds.
    fn request_id(&self) -> String {
        format!("1-{}", unique())
    }

    /// `c-67a59f35-150c1267-f381ba1c085c`.
    fn instance_id(&self) -> String {
        format!("c-{}", unique())
    }

    fn http_request(&self, payload: Payload) -> Request<Bytes> {
        let (path, mut request) = match payload {
            Payload::Initialize => ("/initialize", Request::new(Bytes::new())),
            Payload::Event(event) => ("/invoke", Request::new(event)),
            Payload::Http(mut request) => {
                let base_path = base_path(request.uri().path()).to_owned();
                set(request.headers_mut(), "x-fc-base-path", &base_path);
                ("/http-invoke", request)
            }
        };
        set(request.headers_mut(), "x-fc-control-path", path);
        if path != "/http-invoke" {
            *request.method_mut() = Method::POST;
            *request.uri_mut() = Uri::from_static(path);
        }
        if path == "/invoke" {
            let octets = "application/octet-stream";
            set(request.headers_mut(), CONTENT_TYPE, octets);
        }
        request
    }

    fn check_answer_head(&self, headers: &HeaderMap) -> Result<(), Reason> {
        let bytes_max = HEADER_BYTES_MAX;
        if header_bytes(headers) > bytes_max {
            return Err(Reason::HeadTooLarge { bytes_max });
        }
        Ok(())
    }

    /// FC looks at nothing but `x-fc-status`.
    fn error_type(&self, headers: &HeaderMap) -> Option<&'static str> {
        let status = headers.get("x-fc-status")?;
        (status == "404").then_some("InvocationError")
    }

    fn explain(&self, failure: &Failure, request_id: &str, figures: &Figures) -> Complaint {
        let (status, error_type) = kind(failure);
        let message = match (failure.stage, &failure.reason) {
            (Stage::Initialize, Reason::Reported(Reported { body, .. })) => {
                format!("Initialize failed: {}", String::from_utf8_lossy(body))
            }
            (Stage::Initialize, _) => format!("Initialize failed: {failure}"),
            (Stage::Call, Reason::TimedOut(limit)) => {
                format!("Function time out after {} seconds", limit.as_secs())
            }
            // A connection that breaks is the same event to FC, whether the process lives or not.
            (Stage::Call, Reason::Exited(_) | Reason::Broken(_)) => format!(
                "Process exited unexpectedly before completing request (duration: {:.0}ms, \
                 maxMemoryUsage: {:.2}MB)",
                figures.duration_ms(),
                figures.memory_peak_mb()
            ),
            _ => failure.to_string(),
        };
        let body = if failure.stage == Stage::Start || error_type == BAD_RESPONSE {
            error_body(error_type, &message, request_id)
        } else {
            json!({ "errorMessage": message })
        };
        Complaint {
            status,
            error_type: error_type.to_owned(),
            body: body.to_string().into(),
        }
    }

    fn log_begin(&self, request_id: &str, what: &str) -> String {
        format!("--> {request_id} {what}")
    }

    fn log_end(&self, request_id: &str, outcome: &Outcome) -> String {
        let end = match &outcome.result {
            Ok(Answer { head, .. }) => {
                let error_type = self.error_type(&head.headers);
                error_type.unwrap_or(head.status.as_str()).to_owned()
            }
            Err(failure) => failure.to_string(),
        };
        format!("<-- {request_id} {end}, {}", outcome.figures)
    }
}

const BAD_RESPONSE: &str = "BadResponse";

/// Status for the client of an HTTP trigger, and FC's error code.
fn kind(failure: &Failure) -> (StatusCode, &'static str) {
    let error_type = match (failure.stage, &failure.reason) {
        (Stage::Start, Reason::Spawn(spawn)) => match spawn.error.kind() {
            io::ErrorKind::NotFound => "CAFileNotFound",
            io::ErrorKind::PermissionDenied => "CAFilePermission",
            _ => "CAExited",
        },
        (Stage::Start, Reason::Exited(_)) => "CAExited",
        (Stage::Start, _) => "FunctionNotStarted",
        (Stage::Initialize, _) => "InitializationError",
        (Stage::Call, Reason::HeadTooLarge { .. }) => BAD_RESPONSE,
        (Stage::Call, _) => "UnhandledInvocationError",
    };
    let status = match failure.stage {
        Stage::Start => StatusCode::PRECONDITION_FAILED,
        Stage::Initialize | Stage::Call => StatusCode::BAD_GATEWAY,
    };
    (status, error_type)
}

/// An error in FC's style; SDKs of FC 3.0 look for the short names, older ones for the long.
fn error_body(code: &str, message: &str, request_id: &str) -> Json {
    json!({
        "ErrorCode": code, "ErrorMessage": message,
        "Code": code, "Message": message, "RequestId": request_id,
    })
}

/// `x-fc-base-path` for a request's path: the prefix on the legacy address, else the path itself.
fn base_path(path: &str) -> &str {
    const PREFIX: &str = "/2016-08-15/proxy/";
    let rest = path.strip_prefix(PREFIX).unwrap_or_default();
    let end = rest.match_indices('/').nth(1);
    end.map_or(path, |(index, _)| &path[..=PREFIX.len() + index])
}

fn header_bytes(headers: &HeaderMap) -> usize {
    let bytes = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len();
    headers.iter().map(bytes).sum()
}

/// As FC 3.0 makes its identifiers.
fn unique() -> String {
    let seconds = (unix_ms(SystemTime::now()) / 1000) & 0xffff_ffff;
    let (middle, end) = (random() >> 32, random() >> 16);
    format!("{seconds:08x}-{middle:08x}-{end:012x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base_path_is_the_legacy_prefix_or_the_path() {
        let prefix = "/2016-08-15/proxy/s/f/";
        for (path, want) in [
            ("/2016-08-15/proxy/s/f/a/b", prefix),
            (prefix, prefix),
            ("/2016-08-15/proxy/s", "/2016-08-15/proxy/s"),
            ("/get", "/get"),
        ] {
            assert_eq!(base_path(path), want);
        }
    }

    #[test]
    fn ids_look_like_the_platforms() {
        let id = Fc.request_id();
        let lengths: Vec<_> = id.split('-').map(str::len).collect();
        assert_eq!(lengths, [1, 8, 8, 12], "{id}");
        assert_ne!(id, Fc.request_id());
    }
}
