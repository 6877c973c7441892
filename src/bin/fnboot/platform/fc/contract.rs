//! What FC promises a program: its environment variables, and the headers of every request.

use super::id;
use crate::function::Function;
use crate::platform::keys::{self, Keys};
use hyper::HeaderMap;
use hyper::header::{HeaderName, HeaderValue};
use std::env;
use std::ffi::OsString;

/// Variables of this machine that would make a program believe that it runs elsewhere.
pub(crate) const FOREIGN_VARIABLES: &[&str] = &[
    "AWS_LAMBDA_RUNTIME_API",
    "SCF_RUNTIME_API",
    "SCF_RUNTIME_API_PORT",
    "FC_RUNTIME_API",
];

/// What an event is, to FC.
pub(crate) const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// FC's agent is written in Go.
pub(crate) const AGENT: HeaderValue = HeaderValue::from_static("Go-http-client/1.1");

/// `x-fc-control-path`: what a request is for. Also the path, except for an HTTP request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Control {
    Invoke,
    HttpInvoke,
    Initialize,
}

impl Control {
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Invoke => "/invoke",
            Self::HttpInvoke => "/http-invoke",
            Self::Initialize => "/initialize",
        }
    }
}

const KEY_NAMES: keys::Names = [
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
];

const INVENTED_KEYS: [&str; 3] = [
    "STS.local-access-key-id",
    "local-access-key-secret",
    "local-security-token",
];

/// Who runs the function. From the environment where it says, so that a function which calls a cloud
/// service can be tried with real credentials.
struct Identity {
    keys: Keys,
    account_id: String,
    region: String,
}

impl Identity {
    fn from_environment() -> Self {
        let or = |name: &str, default: &str| env::var(name).unwrap_or_else(|_| default.to_owned());
        Self {
            keys: keys::from_environment(KEY_NAMES, INVENTED_KEYS),
            account_id: or("FC_ACCOUNT_ID", "1234567890123456"),
            region: or("FC_REGION", "cn-hangzhou"),
        }
    }
}

/// A handler is configured for every function and means nothing to a custom runtime; deploy tools put
/// this word where a user gave none.
fn handler() -> String {
    env::var("FC_FUNCTION_HANDLER").unwrap_or_else(|_| "handler".to_owned())
}

/// The variables that FC sets for an instance listening on `port`.
pub(crate) fn variables(
    function: &Function,
    port: u16,
    instance_id: &str,
) -> Vec<(&'static str, OsString)> {
    let identity = Identity::from_environment();
    let mut variables = vec![
        ("FC_SERVER_PORT", port.to_string().into()),
        ("FC_CUSTOM_LISTEN_PORT", port.to_string().into()),
        ("FC_FUNC_CODE_PATH", function.code_path().into()),
        ("FC_FUNCTION_NAME", function.name.clone().into()),
        ("FC_FUNCTION_HANDLER", handler().into()),
        (
            "FC_FUNCTION_MEMORY_SIZE",
            function.memory_mb.to_string().into(),
        ),
        ("FC_INSTANCE_ID", instance_id.into()),
        ("FC_ACCOUNT_ID", identity.account_id.into()),
        ("FC_REGION", identity.region.into()),
        ("FC_QUALIFIER", "LATEST".into()),
    ];
    variables.extend(keys::variables(KEY_NAMES, identity.keys));
    variables
}

/// One request's identity.
pub(crate) struct Call {
    pub(crate) request_id: String,
    pub(crate) control: Control,
    /// The function and service that the caller named, where they are not the configured ones.
    pub(crate) function: Option<String>,
    pub(crate) service: String,
}

impl Call {
    pub(crate) fn new(control: Control) -> Self {
        Self {
            request_id: id::request(),
            control,
            function: None,
            service: String::new(),
        }
    }
}

/// The `x-fc-*` headers of a request. Empty ones are what FC sends for what is not configured.
pub(crate) fn headers(function: &Function, call: &Call) -> HeaderMap {
    let identity = Identity::from_environment();
    let timeout_s = function.timeout.as_secs().to_string();
    let memory_mb = function.memory_mb.to_string();
    let handler = handler();
    let name = call.function.as_deref().unwrap_or(&function.name);
    let fields = [
        ("x-fc-request-id", call.request_id.as_str()),
        ("x-fc-control-path", call.control.path()),
        ("x-fc-function-name", name),
        ("x-fc-function-handler", &handler),
        ("x-fc-function-memory", &memory_mb),
        ("x-fc-function-timeout", &timeout_s),
        ("x-fc-region", &identity.region),
        ("x-fc-account-id", &identity.account_id),
        ("x-fc-qualifier", "LATEST"),
        ("x-fc-version-id", ""),
        ("x-fc-service-name", &call.service),
        ("x-fc-service-logproject", ""),
        ("x-fc-service-logstore", ""),
        ("x-fc-retry-count", "0"),
        ("x-fc-tracing-opentracing-span-context", ""),
        ("x-fc-tracing-opentracing-span-baggages", ""),
        ("x-fc-tracing-jaeger-endpoint", ""),
        ("x-fc-client-ip", ""),
        ("x-fc-api-server-ip", ""),
    ];
    let key_fields = [
        "x-fc-access-key-id",
        "x-fc-access-key-secret",
        "x-fc-security-token",
    ];
    // FC sends no token where it has none to send.
    let keys = key_fields.into_iter().zip(&identity.keys);
    let keys = keys.filter_map(|(name, value)| Some((name, value.as_deref()?)));
    fields
        .into_iter()
        .chain(keys)
        // A variable or a name that no header can carry is left out.
        .filter_map(|(name, value)| {
            Some((
                HeaderName::from_static(name),
                HeaderValue::from_str(value).ok()?,
            ))
        })
        .collect()
}

/// `x-fc-base-path` for a request's path: the prefix on the legacy address, else the path itself.
pub(crate) fn base_path(path: &str) -> &str {
    const PREFIX: &str = "/2016-08-15/proxy/";
    let Some(rest) = path.strip_prefix(PREFIX) else {
        return path;
    };
    match rest.match_indices('/').nth(1) {
        Some((index, _)) => &path[..=PREFIX.len() + index],
        None => path,
    }
}

/// Whether a caller's header stops at the gateway: FC's own, and those that belong to one hop.
pub(crate) fn is_dropped_from_request(name: &HeaderName) -> bool {
    is_dropped_from_response(name) || *name == "expect"
}

/// Whether a function's header stops at the gateway. `content-length` does not: it is the body's, and
/// all that is known of it in the answer to a HEAD.
pub(crate) fn is_dropped_from_response(name: &HeaderName) -> bool {
    const OWNED: [&str; 6] = [
        "connection",
        "date",
        "keep-alive",
        "proxy-connection",
        "server",
        "upgrade",
    ];
    name.as_str().starts_with("x-fc-") || OWNED.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::function::tests::function;

    #[test]
    fn headers_carry_the_call_and_the_function() {
        let call = Call::new(Control::HttpInvoke);
        let headers = headers(&function(&["--memory", "128", "--timeout", "3"]), &call);
        assert_eq!(headers["x-fc-request-id"], *call.request_id);
        assert_eq!(headers["x-fc-control-path"], "/http-invoke");
        assert_eq!(headers["x-fc-function-memory"], "128");
        assert_eq!(headers["x-fc-function-timeout"], "3");
        assert_eq!(headers["x-fc-service-name"], "");
    }

    #[test]
    fn base_path_is_the_legacy_prefix_or_the_path() {
        assert_eq!(
            base_path("/2016-08-15/proxy/s/f/a/b"),
            "/2016-08-15/proxy/s/f/"
        );
        assert_eq!(
            base_path("/2016-08-15/proxy/s/f/"),
            "/2016-08-15/proxy/s/f/"
        );
        assert_eq!(base_path("/2016-08-15/proxy/s"), "/2016-08-15/proxy/s");
        assert_eq!(base_path("/get"), "/get");
    }

    #[track_caller]
    fn check(name: &str, from_request: bool, from_response: bool) {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        assert_eq!(
            is_dropped_from_request(&name),
            from_request,
            "{name} in a request"
        );
        assert_eq!(
            is_dropped_from_response(&name),
            from_response,
            "{name} in a response"
        );
    }

    #[test]
    fn the_gateway_keeps_its_own_headers() {
        check("X-Fc-Request-Id", true, true);
        check("x-fc-status", true, true);
        check("Connection", true, true);
        check("Keep-Alive", true, true);
        check("Expect", true, false);
        check("Content-Length", false, false);
        check("Content-Type", false, false);
        check("X-Forwarded-For", false, false);
        check("Accept-Encoding", false, false);
    }
}
