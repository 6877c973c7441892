//! What Lambda promises a program: its environment variables, and the headers of every event.

use crate::function::{Function, Snapshot};
use crate::id;
use crate::platform::keys;
use crate::platform::runtime_api::header_map;
use hyper::HeaderMap;
use hyper::header::CONTENT_TYPE;
use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The version of everything that is run here.
pub(crate) const VERSION: &str = "$LATEST";

/// Variables that Lambda never sets for a runtime of its users', or sets only now and then.
pub(crate) const FOREIGN_VARIABLES: &[&str] = &[
    "AWS_EXECUTION_ENV",
    "AWS_LAMBDA_MAX_CONCURRENCY",
    "FC_CUSTOM_LISTEN_PORT",
    "FC_RUNTIME_API",
    "FC_SERVER_PORT",
    "SCF_RUNTIME_API",
    "SCF_RUNTIME_API_PORT",
    "_HANDLER",
    "_X_AMZN_TRACE_ID",
];

pub(crate) const INVOCATION_ID_HEADER: &str = "lambda-runtime-invocation-id";

/// The documentation's own.
const ACCOUNT_ID: &str = "123456789012";

const KEY_NAMES: keys::Names = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
];

const INVENTED_KEYS: [&str; 3] = [
    "AKIALOCALACCESSKEYID",
    "local-secret-access-key",
    "local-session-token",
];

/// From the environment where it says, so that a function which calls a cloud service can be tried.
fn or(name: &str, default: &str) -> String {
    env::var(name).unwrap_or_else(|_| default.to_owned())
}

fn region() -> String {
    let default = or("AWS_DEFAULT_REGION", "us-east-1");
    or("AWS_REGION", &default)
}

/// The variables that Lambda sets for an instance with the runtime API at `api`.
pub(crate) fn variables(
    function: &Function,
    api: SocketAddr,
    instance_id: &str,
) -> Vec<(&'static str, OsString)> {
    let keys = keys::from_environment(KEY_NAMES, INVENTED_KEYS);
    let mut variables: Vec<(&str, OsString)> = vec![
        ("AWS_LAMBDA_RUNTIME_API", api.to_string().into()),
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone().into()),
        ("AWS_LAMBDA_FUNCTION_VERSION", VERSION.into()),
        (
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
            function.memory_mb.to_string().into(),
        ),
        (
            "AWS_LAMBDA_LOG_GROUP_NAME",
            format!("/aws/lambda/{}", function.name).into(),
        ),
        ("AWS_LAMBDA_LOG_STREAM_NAME", instance_id.into()),
        (
            "AWS_LAMBDA_INITIALIZATION_TYPE",
            initialization(function).into(),
        ),
        ("AWS_REGION", region().into()),
        ("AWS_DEFAULT_REGION", region().into()),
        ("LAMBDA_TASK_ROOT", function.code_path().into()),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime".into()),
        ("LANG", "en_US.UTF-8".into()),
        ("TZ", ":UTC".into()),
    ];
    if let [Some(id), ..] = &keys {
        // The name that older SDKs know.
        variables.push(("AWS_ACCESS_KEY", id.into()));
    }
    variables.extend(keys::variables(KEY_NAMES, keys));
    let log_format = match function.concurrency {
        Some(concurrency) => {
            variables.push(("AWS_LAMBDA_MAX_CONCURRENCY", concurrency.to_string().into()));
            // Managed Instances know no other.
            "JSON".to_owned()
        }
        None => or("AWS_LAMBDA_LOG_FORMAT", "Text"),
    };
    variables.push(("AWS_LAMBDA_LOG_FORMAT", log_format.into()));
    if let Some(handler) = &function.handler {
        variables.push(("_HANDLER", handler.into()));
    }
    variables
}

fn initialization(function: &Function) -> &'static str {
    match function.snapshot {
        Snapshot::Restored => "snap-start",
        Snapshot::None if function.concurrency.is_some() => "lambda-managed-instances",
        Snapshot::None => "on-demand",
    }
}

/// The headers of an event that must be answered by `deadline`.
pub(crate) fn headers(function: &Function, request_id: &str, deadline: SystemTime) -> HeaderMap {
    let region = region();
    let arn = format!(
        "arn:aws:lambda:{region}:{ACCOUNT_ID}:function:{}",
        function.name
    );
    let mut headers = header_map([
        (CONTENT_TYPE.as_str(), "application/json".to_owned()),
        ("lambda-runtime-aws-request-id", request_id.to_owned()),
        ("lambda-runtime-deadline-ms", unix_ms(deadline).to_string()),
        ("lambda-runtime-invoked-function-arn", arn),
        ("lambda-runtime-trace-id", trace_id()),
    ]);
    if function.concurrency.is_some() {
        headers.extend(header_map([(INVOCATION_ID_HEADER, id::uuid())]));
    }
    headers
}

/// A trace of this call's own, not sampled.
fn trace_id() -> String {
    format!(
        "Root=1-{:08x}-{:016x}{:08x};Parent={:016x};Sampled=0",
        unix_ms(SystemTime::now()) / 1000,
        id::random(),
        id::random() >> 32,
        id::random(),
    )
}

fn unix_ms(time: SystemTime) -> u128 {
    // A clock before 1970 still gives a number.
    time.duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::tests::function;
    use std::time::Duration;

    #[test]
    fn headers_carry_the_call() {
        let deadline = UNIX_EPOCH + Duration::from_millis(1_700_000_000_123);
        let headers = headers(&function(&[]), "an-id", deadline);
        assert_eq!(headers["lambda-runtime-aws-request-id"], "an-id");
        assert_eq!(headers["lambda-runtime-deadline-ms"], "1700000000123");
        let arn = headers["lambda-runtime-invoked-function-arn"].to_str();
        assert!(arn.unwrap().ends_with(":123456789012:function:function"));
        assert!(!headers.contains_key(INVOCATION_ID_HEADER));
    }

    #[test]
    fn managed_instances_have_their_own_headers_and_variables() {
        let function = function(&["--concurrency", "4"]);
        let headers = headers(&function, "an-id", UNIX_EPOCH);
        assert!(headers.contains_key(INVOCATION_ID_HEADER));
        let variables = variables(&function, ([127, 0, 0, 1], 9001).into(), "instance");
        let value = |name| {
            let found = variables.iter().find(|(found, _)| *found == name);
            found.and_then(|(_, value)| value.to_str())
        };
        assert_eq!(value("AWS_LAMBDA_RUNTIME_API"), Some("127.0.0.1:9001"));
        assert_eq!(value("AWS_LAMBDA_MAX_CONCURRENCY"), Some("4"));
        assert_eq!(value("AWS_LAMBDA_LOG_FORMAT"), Some("JSON"));
        assert_eq!(
            value("AWS_LAMBDA_INITIALIZATION_TYPE"),
            Some("lambda-managed-instances")
        );
        assert_eq!(value("_HANDLER"), None);
    }

    #[test]
    fn traces_have_their_form() {
        let trace = trace_id();
        let lengths: Vec<_> = trace.split([';', '-', '=']).map(str::len).collect();
        assert_eq!(lengths, [4, 1, 8, 24, 6, 16, 7, 1], "{trace}");
    }
}
