//! FC's gateway: HTTP triggers, and the invoke APIs of 2.0 and 3.0.
//!
//! ```text
//! answer: limits, body, route ─┬─ HTTP trigger:  request through, answer streamed back
//!                              └─ API invoke:    event to /invoke, the answer's body back
//! ```

use super::{HEADER_BYTES_MAX, error_body, header_bytes};
use crate::call::{Call, Outcome, Payload};
use crate::failure::{Failure, Reason, Stage};
use crate::gateway::Gateway;
use crate::http::{self, BodyError, Reply, drop_hop, set};
use crate::log::TAIL_BYTES;
use crate::platform::dialect::Refusal;
use crate::terminal::say;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::{Bytes, Incoming};
use hyper::header::{HeaderName, TRANSFER_ENCODING};
use hyper::http::request::Parts;
use hyper::http::uri::PathAndQuery;
use hyper::{HeaderMap, Method, Request, StatusCode};
use std::rc::Rc;

/// A synchronous call's body, and an asynchronous one's.
const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
const ASYNC_BODY_BYTES_MAX: usize = 128 * 1024;

/// Path and query.
const TARGET_BYTES_MAX: usize = 4 * 1024;

/// How much of a request's path and query is shown.
const SHOWN_CHARS: usize = 200;

const ERROR_TYPE: &str = "x-fc-error-type";
const OCTETS: &str = "application/octet-stream";

/// A call of the API's `InvokeFunction`: service, which exists until FC 2.0, and function. Anything else
/// is an HTTP trigger's.
type Invoked = Option<(String, String)>;

/// Answers one request, whatever it is.
pub(crate) async fn answer(gateway: Rc<Gateway>, request: Request<Incoming>) -> Reply {
    let (head, mut body) = request.into_parts();
    let request_id = gateway.dialect.request_id();
    let target = head.uri.path_and_query().map_or("*", PathAndQuery::as_str);
    let what = format!("{} {target:.SHOWN_CHARS$}", head.method);
    let invoked = invoked(&head.method, head.uri.path());
    let is_async = invoked.is_some() && is(&head.headers, "x-fc-invocation-type", "async");
    let mut reply = match (read(&head, &mut body, is_async).await, invoked) {
        (Ok(body), None) => {
            http(
                &gateway,
                &request_id,
                &what,
                Request::from_parts(head, body),
            )
            .await
        }
        (Ok(body), Some((service, function))) => {
            let mut call = Call::new(request_id.clone(), Payload::Event(body));
            set(&mut call.headers, "x-fc-service-name", &service);
            set(&mut call.headers, "x-fc-function-name", &function);
            if is_async {
                gateway.detached(call, &what);
                http::reply(StatusCode::ACCEPTED, OCTETS, Bytes::new())
            } else {
                let wants_tail = is(&head.headers, "x-fc-log-type", "tail");
                let outcome = gateway.calling(call, &what).outcome().await;
                result(&gateway, &request_id, &outcome, wants_tail)
            }
        }
        (Err(refusal), _) => {
            say(format_args!("--> {request_id} {what}"));
            say(format_args!("<-- {request_id} {}", refusal.message));
            refusal.reply(&error_body(refusal.code, &refusal.message, &request_id))
        }
    };
    set(reply.headers_mut(), "x-fc-request-id", &request_id);
    reply
}

/// Reads a request's body, and holds the request against the limits.
async fn read(head: &Parts, body: &mut Incoming, is_async: bool) -> Result<Bytes, Refusal> {
    let body_bytes_max = if is_async {
        ASYNC_BODY_BYTES_MAX
    } else {
        BODY_BYTES_MAX
    };
    // The body first, whatever is wrong: its sender sees no answer before.
    let body = http::read(body, &head.headers, body_bytes_max).await;
    let target_bytes = head
        .uri
        .path_and_query()
        .map_or(0, |target| target.as_str().len());
    let (code, what, bytes_max) = if target_bytes > TARGET_BYTES_MAX {
        ("InvalidArgument", "path and query exceed", TARGET_BYTES_MAX)
    } else if header_bytes(&head.headers) > HEADER_BYTES_MAX {
        (
            "InvalidArgument",
            "request headers exceed",
            HEADER_BYTES_MAX,
        )
    } else {
        match body {
            Ok(body) => return Ok(body),
            Err(BodyError::TooLarge { bytes_max }) => {
                ("EntityTooLarge", "payload size exceeds", bytes_max)
            }
            Err(BodyError::Cut) => {
                let message = "the request body ended too early";
                return Err(Refusal::bad_request("InvalidArgument", message));
            }
        }
    };
    let message = format!("{what} maximum allowed size ({bytes_max} bytes)");
    Err(Refusal::bad_request(code, message))
}

/// An HTTP trigger's request: the answer is passed on while it comes.
async fn http(
    gateway: &Gateway,
    request_id: &str,
    what: &str,
    mut request: Request<Bytes>,
) -> Reply {
    pass_to_function(request.headers_mut());
    let to_client = |headers: &mut HeaderMap| {
        let error_type = gateway.dialect.error_type(headers);
        drop_own(headers);
        if let Some(error_type) = error_type {
            set(headers, ERROR_TYPE, error_type);
        }
    };
    let reply = gateway
        .pass_through(request_id, what, request, to_client)
        .await;
    reply.unwrap_or_else(|outcome| failed(gateway, request_id, &outcome))
}

/// What the API's caller gets. Whatever the function's status, the caller's is 200: another one only of
/// what no function said, and `X-Fc-Error-Type` tells the rest.
fn result(gateway: &Gateway, request_id: &str, outcome: &Outcome, wants_tail: bool) -> Reply {
    let answer = match &outcome.result {
        Ok(answer) => answer,
        Err(failure) => {
            let mut reply = failed(gateway, request_id, outcome);
            let is_told_by_type = match failure.stage {
                Stage::Start => false,
                Stage::Initialize => true,
                Stage::Call => matches!(failure.reason, Reason::TimedOut(_)),
            };
            if is_told_by_type {
                *reply.status_mut() = StatusCode::OK;
            }
            return reply;
        }
    };
    let mut reply = http::reply(StatusCode::OK, OCTETS, answer.body.clone());
    let headers = reply.headers_mut();
    let figures = &outcome.figures;
    let memory = format!("{:.2}", figures.memory_peak_mb());
    set(headers, "x-fc-instance-id", &outcome.instance_id);
    set(
        headers,
        "x-fc-invocation-duration",
        &figures.billed_ms().to_string(),
    );
    set(headers, "x-fc-max-memory-usage", &memory);
    if let Some(error_type) = gateway.dialect.error_type(&answer.head.headers) {
        set(headers, ERROR_TYPE, error_type);
    }
    if wants_tail {
        set(headers, "x-fc-log-result", &tail(outcome));
    }
    reply
}

fn failed(gateway: &Gateway, request_id: &str, outcome: &Outcome) -> Reply {
    let complaint = gateway.explain(request_id, outcome);
    let mut reply = http::reply(complaint.status, "application/json", complaint.body);
    if outcome.result.as_ref().is_err_and(Failure::has_started) {
        set(reply.headers_mut(), ERROR_TYPE, &complaint.error_type);
    }
    reply
}

/// The log as FC hands it back: what the call printed, then its figures, at most 4 KiB from the end.
fn tail(outcome: &Outcome) -> String {
    let mut log = outcome.log.clone();
    log.extend_from_slice(format!("\n{}\n", outcome.figures).as_bytes());
    let skipped = log.len().saturating_sub(TAIL_BYTES);
    BASE64.encode(&log[skipped..])
}

fn invoked(method: &Method, path: &str) -> Invoked {
    let segments: Vec<_> = path.trim_start_matches('/').split('/').collect();
    let (service, function) = match segments[..] {
        _ if method != Method::POST => return None,
        ["2023-03-30", "functions", function, "invocations"] => ("", function),
        [
            "2016-08-15" | "2021-04-06",
            "services",
            service,
            "functions",
            function,
            "invocations",
        ] => (service, function),
        _ => return None,
    };
    // `service.qualifier` names a version or an alias.
    let (service, _) = service.split_once('.').unwrap_or((service, ""));
    Some((service.to_owned(), function.to_owned()))
}

fn is(headers: &HeaderMap, name: &str, value: &str) -> bool {
    let found = headers.get(name);
    found.is_some_and(|found| found.as_bytes().eq_ignore_ascii_case(value.as_bytes()))
}

/// The client's headers without the gateway's. Go sends one chunked body where the client did, so that
/// framing header stays.
fn pass_to_function(headers: &mut HeaderMap) {
    let is_chunked = headers.contains_key(TRANSFER_ENCODING);
    drop_own(headers);
    if is_chunked {
        set(headers, TRANSFER_ENCODING, "chunked");
    }
}

/// Drops the headers that are FC's own, in either direction.
fn drop_own(headers: &mut HeaderMap) {
    drop_hop(headers);
    let is_own = |name: &&HeaderName| {
        let name = name.as_str();
        name.starts_with("x-fc-") || name == "date" || name == "server"
    };
    for name in headers.keys().filter(is_own).cloned().collect::<Vec<_>>() {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_api_is_told_from_the_functions_own_paths() {
        let newest = "/2023-03-30/functions/hello/invocations";
        let legacy = "/2016-08-15/services/demo.LATEST/functions/hello/invocations";
        for (method, path, want) in [
            (Method::POST, newest, Some(("", "hello"))),
            (Method::POST, legacy, Some(("demo", "hello"))),
            (Method::GET, newest, None),
            (Method::POST, &format!("{newest}/1"), None),
            (Method::POST, "/2016-08-15/proxy/demo/hello/", None),
            (Method::POST, "/invoke", None),
        ] {
            let want = want.map(|(service, function)| (service.to_owned(), function.to_owned()));
            assert_eq!(invoked(&method, path), want, "{method} {path}");
        }
    }

    /// One field a word.
    fn headers(fields: &str) -> HeaderMap {
        let fields = fields.split_whitespace();
        let fields = fields.map(|field| field.split_once(':').unwrap());
        fields
            .map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn a_clients_headers_pass_but_for_the_gateways() {
        for (given, want) in [
            ("accept:a te:b", "accept:a te:b"),
            ("x-fc-request-id:forged host:h date:d", "host:h"),
            ("connection:close keep-alive:5", ""),
            (
                "transfer-encoding:chunked content-length:5",
                "transfer-encoding:chunked",
            ),
            ("content-length:5", "content-length:5"),
        ] {
            let mut passed = headers(given);
            pass_to_function(&mut passed);
            assert_eq!(passed, headers(want), "{given}");
        }
    }
}
