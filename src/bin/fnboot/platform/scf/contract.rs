//! What SCF promises a program: its environment variables, and the headers of every event.

use crate::function::Function;
use crate::platform::keys;
use crate::platform::runtime_api::header_map;
use hyper::HeaderMap;
use std::env;
use std::ffi::OsString;
use std::net::SocketAddr;

/// Variables of this machine that would make a program believe that it runs elsewhere.
pub(crate) const FOREIGN_VARIABLES: &[&str] = &[
    "AWS_LAMBDA_RUNTIME_API",
    "FC_CUSTOM_LISTEN_PORT",
    "FC_RUNTIME_API",
    "FC_SERVER_PORT",
    "_HANDLER",
];

const KEY_NAMES: keys::Names = [
    "TENCENTCLOUD_SECRETID",
    "TENCENTCLOUD_SECRETKEY",
    "TENCENTCLOUD_SESSIONTOKEN",
];

const INVENTED_KEYS: [&str; 3] = ["local-secret-id", "local-secret-key", "local-session-token"];

/// The variables that SCF sets for an instance with the runtime API at `api`.
pub(crate) fn variables(function: &Function, api: SocketAddr) -> Vec<(&'static str, OsString)> {
    // From the environment where it says, so that a function which calls a cloud service can be tried.
    let or = |name: &str, default: &str| -> OsString {
        env::var_os(name).unwrap_or_else(|| default.into())
    };
    let mut code_path = function.code_path().into_os_string();
    code_path.push("/");
    let mut variables = vec![
        ("SCF_RUNTIME_API", api.ip().to_string().into()),
        ("SCF_RUNTIME_API_PORT", api.port().to_string().into()),
        ("SCF_RUNTIME", "CustomRuntime".into()),
        ("SCF_FUNCTIONNAME", function.name.clone().into()),
        ("SCF_FUNCTIONVERSION", "$LATEST".into()),
        ("SCF_NAMESPACE", "default".into()),
        (
            "TENCENTCLOUD_REGION",
            or("TENCENTCLOUD_REGION", "ap-guangzhou"),
        ),
        ("TENCENTCLOUD_APPID", or("TENCENTCLOUD_APPID", "1250000000")),
        ("TENCENTCLOUD_UIN", or("TENCENTCLOUD_UIN", "100000000000")),
        ("TENCENTCLOUD_TZ", "UTC".into()),
        ("TENCENTCLOUD_RUNENV", "SCF".into()),
        ("USER_CODE_ROOT", code_path),
        ("TRIGGER_SRC", "".into()),
        ("_SCF_SERVER_PORT", "28902".into()),
        ("LANG", "en_US.UTF8".into()),
    ];
    let keys = keys::from_environment(KEY_NAMES, INVENTED_KEYS);
    variables.extend(keys::variables(KEY_NAMES, keys));
    if let Some(handler) = &function.handler {
        variables.push(("_HANDLER", handler.into()));
    }
    variables
}

/// The headers of an event; the names have underscores, and the limit is a duration.
pub(crate) fn headers(function: &Function, request_id: &str) -> HeaderMap {
    header_map([
        ("request_id", request_id.to_owned()),
        ("memory_limit_in_mb", function.memory_mb.to_string()),
        ("time_limit_in_ms", function.timeout.as_millis().to_string()),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::tests::function;

    #[test]
    fn headers_carry_the_call_and_the_limits() {
        let function = function(&["--memory", "128", "--timeout", "3"]);
        let headers = headers(&function, "an-id");
        assert_eq!(headers["request_id"], "an-id");
        assert_eq!(headers["memory_limit_in_mb"], "128");
        assert_eq!(headers["time_limit_in_ms"], "3000");
    }
}
