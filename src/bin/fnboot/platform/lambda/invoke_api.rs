//! Lambda's own API as far as it calls functions. What is wrong with a request is said as AWS says it, so that an
//! SDK raises the same error here.

use super::url::compact;
use crate::platform::dialect::Refusal;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use hyper::header::{HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Longest client context, in base64.
const CLIENT_CONTEXT_BYTES_MAX: usize = 3_583;

/// Who a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Invoke,
    InvokeWithResponseStream,
    /// Not the API's: the function's URL has all other paths.
    Url,
}

/// `X-Amz-Invocation-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

/// What the headers of a request to the API say.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) kind: Kind,
    /// `X-Amz-Log-Type: Tail`.
    pub(crate) wants_tail: bool,
    /// For the function, beside the event.
    pub(crate) headers: HeaderMap,
}

/// Tells who a request is for. No path that looks like one of the API's is taken for the function's.
pub(crate) fn route(method: &Method, path: &str) -> Result<Route, Refusal> {
    let parts: Vec<_> = path.splitn(5, '/').collect();
    let ["", version, "functions", rest @ ..] = &parts[..] else {
        return Ok(Route::Url);
    };
    let is_digit = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    if version.len() != "2015-03-31".len() || !version.bytes().all(is_digit) {
        return Ok(Route::Url);
    }
    let (name, route) = match (method.as_str(), *version, rest) {
        ("POST", "2015-03-31", [name, "invocations"]) => (name, Route::Invoke),
        ("POST", "2021-11-15", [name, "response-streaming-invocations"]) => {
            (name, Route::InvokeWithResponseStream)
        }
        _ => {
            let error_type = "UnknownOperationException";
            let message = format!("Only calls of a function are played here, not {method} {path}");
            return Err(Refusal::new(StatusCode::NOT_FOUND, error_type, message));
        }
    };
    // A name or an ARN, with a version or an alias or without; SDKs escape the colons.
    check_bytes("functionName", name.as_bytes(), b"-_.:$%").map(|()| route)
}

impl Kind {
    pub(crate) fn payload_bytes_max(self) -> usize {
        let mebibytes = if self == Self::Event { 1 } else { 6 };
        mebibytes * 1024 * 1024
    }
}

impl Request {
    pub(crate) fn parse(route: Route, headers: &HeaderMap) -> Result<Self, Refusal> {
        let kinds = ["Event", "RequestResponse", "DryRun"];
        let kinds = &kinds[usize::from(route == Route::InvokeWithResponseStream)..];
        let kind = match choice(headers, "x-amz-invocation-type", "invocationType", kinds)? {
            "Event" => Kind::Event,
            "DryRun" => Kind::DryRun,
            _ => Kind::RequestResponse,
        };
        let tail = choice(headers, "x-amz-log-type", "logType", &["None", "Tail"])?;
        let mut passed = HeaderMap::new();
        let mut pass = |name, value| passed.insert(HeaderName::from_static(name), value);
        if let Some(trace) = headers.get("x-amzn-trace-id") {
            pass("lambda-runtime-trace-id", trace.clone());
        }
        if let Some(tenant) = headers.get("x-amz-tenant-id") {
            check_bytes("tenantId", tenant.as_bytes(), b"._:/=+-@ ")?;
            pass("lambda-runtime-aws-tenant-id", tenant.clone());
        }
        if let Some(context) = headers.get("x-amz-client-context") {
            let context = client_context(context.as_bytes())?;
            // Asynchronous calls go without it (API_Invoke).
            if kind != Kind::Event {
                pass("lambda-runtime-client-context", context);
            }
        }
        Ok(Self {
            kind,
            wants_tail: tail == "Tail",
            headers: passed,
        })
    }
}

/// The event that a request's body is: `{}` if there is none.
pub(crate) fn payload(body: Bytes) -> Result<Bytes, Refusal> {
    if body.is_empty() {
        return Ok(Bytes::from_static(b"{}"));
    }
    let wrong = |error| {
        let what = "Could not parse request body into json: Could not parse payload into json";
        wrong_content(format!("{what}: {error}"))
    };
    serde_json::from_slice::<&RawValue>(&body).map_err(wrong)?;
    Ok(body)
}

/// The body, or a header, has the wrong form.
pub(crate) fn wrong_content(message: impl Into<String>) -> Refusal {
    Refusal::bad_request("InvalidRequestContentException", message)
}

/// The body is too long. AWS's type is not the one that its model names.
pub(crate) fn too_large(kind: Kind) -> Refusal {
    let limit = format!("{} bytes", kind.payload_bytes_max());
    let message = format!("Request must be smaller than {limit} for the InvokeFunction operation");
    let status = StatusCode::PAYLOAD_TOO_LARGE;
    Refusal::new(status, "RequestEntityTooLargeException", message)
}

fn invalid(member: &str, value: &[u8], what: &str) -> Refusal {
    let value = String::from_utf8_lossy(value);
    let which =
        format!("1 validation error detected: Value '{value}' at '{member}' failed to satisfy");
    let message = format!("{which} constraint: Member must satisfy {what}");
    Refusal::bad_request("ValidationException", message)
}

/// The value of a header for which there is a list of them, empty if there is none.
fn choice(
    headers: &HeaderMap,
    header: &str,
    member: &str,
    choices: &[&'static str],
) -> Result<&'static str, Refusal> {
    let Some(value) = headers.get(header) else {
        return Ok("");
    };
    let chosen = choices.iter().find(|choice| value == **choice);
    let what = format!("enum value set: [{}]", choices.join(", "));
    chosen
        .copied()
        .ok_or_else(|| invalid(member, value.as_bytes(), &what))
}

/// Up to 256 letters and digits, and what is allowed beside them.
fn check_bytes(member: &str, value: &[u8], others: &[u8]) -> Result<(), Refusal> {
    let is_legal = |byte: &u8| byte.is_ascii_alphanumeric() || others.contains(byte);
    if (1..=256).contains(&value.len()) && value.iter().all(is_legal) {
        return Ok(());
    }
    let others = others.escape_ascii();
    let what = format!("regular expression pattern: [a-zA-Z0-9{others}]+");
    Err(invalid(member, value, &what))
}

/// The JSON object in base64 as the value of a header: without the line breaks that it may have.
fn client_context(base64: &[u8]) -> Result<HeaderValue, Refusal> {
    let base64 = Some(base64).filter(|base64| base64.len() <= CLIENT_CONTEXT_BYTES_MAX);
    let json = base64.and_then(|base64| BASE64.decode(base64).ok());
    let json = json.filter(|json| serde_json::from_slice::<Map<String, Value>>(json).is_ok());
    let value = json.and_then(|json| HeaderValue::try_from(compact(&json)).ok());
    let message = "Client context must be a valid Base64-encoded JSON object.";
    value.ok_or_else(|| wrong_content(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_has_paths_of_its_own() {
        const ROWS: &str = "
POST /2015-03-31/functions/my.fn-1_a:$LATEST/invocations => Invoke
POST /2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A123456789012%3Afunction%3Af%3Alive/invocations => Invoke
POST /2021-11-15/functions/123456789012:function:f/response-streaming-invocations => InvokeWithResponseStream
POST /2015-03-31/functions//invocations => ValidationException
POST /2015-03-31/functions/a*b/invocations => ValidationException
POST /2015-03-31/functions/a/b/invocations => UnknownOperationException
GET /2015-03-31/functions/f/invocations => UnknownOperationException
POST /2021-11-15/functions/f/invocations => UnknownOperationException
GET /2024-10-31/functions => UnknownOperationException
POST /2015-03-31/posts => Url
GET /2015-3-31/functions/f => Url";
        for row in ROWS.lines().skip(1) {
            let (method, path) = row.split_once(' ').unwrap();
            let (path, want) = path.split_once(" => ").unwrap();
            let got = match route(&method.parse().unwrap(), path) {
                Ok(route) => format!("{route:?}"),
                Err(refusal) => refusal.code.to_owned(),
            };
            assert_eq!(got, want, "{row}");
        }
    }

    #[test]
    fn headers_are_checked() {
        const ROWS: &str = r#"
accept: a => RequestResponse false {}
x-amz-invocation-type: DryRun => DryRun false {}
x-amz-invocation-type: Event => [RequestResponse, DryRun]
x-amz-invocation-type: dryrun => Value 'dryrun' at 'invocationType' failed to satisfy constraint: Member must
x-amz-log-type: Tail => RequestResponse true {}
x-amz-log-type: tail => Member must satisfy enum value set: [None, Tail]
x-amzn-trace-id: Root=1 => RequestResponse false {"lambda-runtime-trace-id": "Root=1"}
x-amz-tenant-id: a b@c => RequestResponse false {"lambda-runtime-aws-tenant-id": "a b@c"}
x-amz-tenant-id: a;b => Value 'a;b' at 'tenantId' failed
x-amz-client-context: eyJhIjoKICJiIGMifQ== => RequestResponse false {"lambda-runtime-client-context": "{\"a\":\"b c\"}"}
x-amz-client-context: eyJhIjoKICJiIGMifQ => Client context must be a valid Base64-encoded JSON object.
x-amz-client-context: IiI= => Client context must be a valid Base64-encoded JSON object."#;
        for row in ROWS.lines().skip(1) {
            let (field, want) = row.split_once(" => ").unwrap();
            let (name, value) = field.split_once(": ").unwrap();
            let name: HeaderName = name.parse().unwrap();
            let headers = HeaderMap::from_iter([(name, value.parse().unwrap())]);
            let got = match Request::parse(Route::InvokeWithResponseStream, &headers) {
                Ok(got) => format!("{:?} {} {:?}", got.kind, got.wants_tail, got.headers),
                Err(refusal) => refusal.message,
            };
            assert!(got.contains(want), "{field}: {got}");
        }
        let long = BASE64.encode(format!("{{\"a\":\"{}\"}}", "b".repeat(3_000)));
        assert!(client_context(long.as_bytes()).is_err());
    }

    #[test]
    fn an_event_is_json() {
        let check = |body: &'static [u8]| payload(Bytes::from_static(body));
        assert_eq!(check(b"").unwrap(), "{}");
        assert_eq!(check(b" {\"a\": 1e999} ").unwrap(), " {\"a\": 1e999} ");
        for wrong in [&b" "[..], b"{}{}", b"\"\x87\""] {
            assert!(check(wrong).is_err(), "{}", wrong.escape_ascii());
        }
        // Deeper than a parser that calls itself goes.
        let deep = [vec![b'['; 100_000], vec![b']'; 100_000]].concat();
        assert!(payload(deep.into()).is_ok());
    }
}
