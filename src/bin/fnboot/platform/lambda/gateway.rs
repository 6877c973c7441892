//! Who calls Lambda: `Invoke` of its own API, so that the AWS CLI and the SDKs work here; any other path is
//! the function's URL, whose answers are streamed if the function streams them.

use super::stream::{self, Reply, ReplyBody};
use super::{Lambda, contract, url};
use crate::log::TAIL_BYTES;
use crate::platform::runtime_api::{Call, Complaint, Dialect, Outcome, Player, Stage};
use crate::serve;
use crate::server::{self, BodyError};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::{Either, Full};
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;
use std::error::Error;
use std::rc::Rc;
use tokio::sync::mpsc;
use tokio::task::spawn_local;

/// A synchronous call's event, and an asynchronous one's.
const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;
const ASYNC_EVENT_BYTES_MAX: usize = 1024 * 1024;

pub(crate) struct Gateway {
    stage: Stage<Lambda>,
}

/// `X-Amz-Invocation-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    RequestResponse,
    Event,
    DryRun,
}

/// What the API refuses: status, type, message.
#[derive(Debug, PartialEq, Eq)]
struct Refusal(StatusCode, &'static str, String);

impl Gateway {
    pub(crate) fn new(player: Player<Lambda>) -> Self {
        Self {
            stage: player.stage(),
        }
    }

    async fn reply(self: &Rc<Self>, request: Request<Incoming>) -> Result<Reply, Refusal> {
        let (head, mut body) = request.into_parts();
        if head.uri.path() == serve::COUNTERS_PATH {
            return Ok(json_reply(StatusCode::OK, &self.stage.counters.json()));
        }
        if head.method != Method::POST || function_name(head.uri.path()).is_none() {
            return self.url(head, body).await;
        }
        let kind = kind(&head.headers)?;
        let bytes_max = match kind {
            Kind::Event => ASYNC_EVENT_BYTES_MAX,
            Kind::RequestResponse | Kind::DryRun => EVENT_BYTES_MAX,
        };
        let event = server::read_body(&mut body, &head.headers, bytes_max)
            .await
            .map_err(|error| refuse_body(error, kind))?;
        let mut call = Call::new(event);
        call.headers = pass_to_function(&head.headers)?;
        Ok(self.invoke(call, kind, is_tail_wanted(&head.headers)).await)
    }

    /// A request to the function's URL.
    async fn url(self: &Rc<Self>, head: Parts, mut body: Incoming) -> Result<Reply, Refusal> {
        let body = server::read_body(&mut body, &head.headers, EVENT_BYTES_MAX)
            .await
            .map_err(|error| refuse_body(error, Kind::RequestResponse))?;
        let mut call = Call::new(Bytes::new());
        let request_id = call.request_id.clone();
        let target = (head.method, head.uri);
        call.event = url::event(&target, &head.headers, &body, &request_id);
        let (tap, pieces) = mpsc::channel(1);
        call.tap = Some(tap);
        let gateway = Rc::clone(self);
        let outcome = spawn_local(async move { gateway.stage.call(call).await });
        let mut reply = stream::reply(pieces, outcome).await;
        set(reply.headers_mut(), "x-amzn-requestid", &request_id);
        Ok(reply)
    }

    async fn invoke(self: &Rc<Self>, call: Call, kind: Kind, with_tail: Tail) -> Reply {
        let request_id = call.request_id.clone();
        let mut reply = match kind {
            Kind::RequestResponse => result(self.stage.call(call).await, &request_id, with_tail),
            Kind::DryRun => empty(StatusCode::NO_CONTENT),
            Kind::Event => {
                let gateway = Rc::clone(self);
                // Nobody waits for the outcome, but its log is shown. Lambda would try twice more.
                spawn_local(async move { gateway.stage.call(call).await });
                empty(StatusCode::ACCEPTED)
            }
        };
        set(reply.headers_mut(), "x-amzn-requestid", &request_id);
        reply
    }
}

impl serve::Gateway for Gateway {
    type Body = ReplyBody;

    async fn warm_up(&self) -> Result<(), Box<dyn Error>> {
        self.stage.warm_up().await
    }

    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Reply {
        self.reply(request).await.unwrap_or_else(|refusal| {
            let Refusal(status, error_type, message) = refusal;
            let body = json!({ "Type": "User", "Message": message, "message": message });
            let mut reply = json_reply(status, &body);
            set(reply.headers_mut(), "x-amzn-errortype", error_type);
            reply
        })
    }

    async fn stop(&self) {
        self.stage.stop().await;
    }
}

/// `X-Amz-Log-Type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tail {
    Wanted,
    Unwanted,
}

/// The function's name in the path of an `Invoke`.
fn function_name(path: &str) -> Option<&str> {
    let name = path
        .strip_prefix("/2015-03-31/functions/")?
        .strip_suffix("/invocations")?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}

fn kind(headers: &HeaderMap) -> Result<Kind, Refusal> {
    match headers
        .get("x-amz-invocation-type")
        .map(HeaderValue::as_bytes)
    {
        None | Some(b"RequestResponse") => Ok(Kind::RequestResponse),
        Some(b"Event") => Ok(Kind::Event),
        Some(b"DryRun") => Ok(Kind::DryRun),
        Some(kind) => Err(Refusal(
            StatusCode::BAD_REQUEST,
            "InvalidParameterValueException",
            format!(
                "There is no invocation type {}",
                String::from_utf8_lossy(kind)
            ),
        )),
    }
}

fn is_tail_wanted(headers: &HeaderMap) -> Tail {
    match headers.get("x-amz-log-type") {
        Some(kind) if kind == "Tail" => Tail::Wanted,
        _ => Tail::Unwanted,
    }
}

/// What a caller may tell the function beside the event.
fn pass_to_function(headers: &HeaderMap) -> Result<HeaderMap, Refusal> {
    const PASSED: [(&str, &str); 2] = [
        ("x-amzn-trace-id", "lambda-runtime-trace-id"),
        ("x-amz-tenant-id", "lambda-runtime-aws-tenant-id"),
    ];
    let mut passed = HeaderMap::new();
    for (from, to) in PASSED {
        if let Some(value) = headers.get(from) {
            passed.insert(HeaderName::from_static(to), value.clone());
        }
    }
    if let Some(context) = headers.get("x-amz-client-context") {
        let value = BASE64.decode(context).ok();
        let value = value.and_then(|text| HeaderValue::from_bytes(&text).ok());
        let value = value.ok_or_else(|| {
            let message = "Client context must be a valid Base64-encoded JSON object.";
            Refusal(
                StatusCode::BAD_REQUEST,
                "InvalidRequestContentException",
                message.to_owned(),
            )
        })?;
        let name = HeaderName::from_static("lambda-runtime-client-context");
        passed.insert(name, value);
    }
    Ok(passed)
}

fn refuse_body(error: BodyError, kind: Kind) -> Refusal {
    match error {
        BodyError::TooLarge { bytes_max } => Refusal(
            StatusCode::PAYLOAD_TOO_LARGE,
            "RequestTooLargeException",
            format!(
                "payload is too large for the {kind:?} invocation type (limit {bytes_max} bytes)"
            ),
        ),
        BodyError::Cut => Refusal(
            StatusCode::BAD_REQUEST,
            "InvalidRequestContentException",
            "the request body ended too early".to_owned(),
        ),
    }
}

/// A call's outcome: a failed one is a success of the API's.
fn result(outcome: Outcome, request_id: &str, tail: Tail) -> Reply {
    let (body, has_failed) = match outcome.result {
        Ok(answer) => (answer.body, answer.late_error.is_some()),
        Err(failure) => {
            let Complaint { body, .. } = Lambda::explain(&failure, request_id);
            (body, true)
        }
    };
    let mut reply = Response::new(Either::Left(Full::new(body)));
    let headers = reply.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    set(headers, "x-amz-executed-version", contract::VERSION);
    if has_failed {
        set(headers, "x-amz-function-error", "Unhandled");
    }
    if tail == Tail::Wanted {
        let log = &outcome.log[outcome.log.len().saturating_sub(TAIL_BYTES)..];
        set(headers, "x-amz-log-result", &BASE64.encode(log));
    }
    reply
}

fn empty(status: StatusCode) -> Reply {
    let mut reply = Response::new(Either::Left(Full::default()));
    *reply.status_mut() = status;
    reply
}

fn json_reply(status: StatusCode, body: &serde_json::Value) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body.to_string().into())));
    *reply.status_mut() = status;
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}

/// Sets a header to a value of the gateway's own making.
fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Ids, versions and base64 are always legal.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invoke_is_told_by_its_path() {
        let path = "/2015-03-31/functions/hello/invocations";
        assert_eq!(function_name(path), Some("hello"));
        assert_eq!(function_name("/2015-03-31/functions//invocations"), None);
        assert_eq!(function_name("/2015-03-31/functions/a/b/invocations"), None);
        assert_eq!(function_name("/"), None);
    }

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        let name = HeaderName::from_static(name);
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn kinds() {
        let check = |value, want: Option<Kind>| {
            assert_eq!(kind(&headers("x-amz-invocation-type", value)).ok(), want);
        };
        assert_eq!(kind(&HeaderMap::new()), Ok(Kind::RequestResponse));
        check("RequestResponse", Some(Kind::RequestResponse));
        check("Event", Some(Kind::Event));
        check("DryRun", Some(Kind::DryRun));
        check("event", None);
    }

    #[test]
    fn a_client_context_is_decoded() {
        let passed = pass_to_function(&headers("x-amz-client-context", "eyJhIjoxfQ==")).unwrap();
        assert_eq!(passed["lambda-runtime-client-context"], r#"{"a":1}"#);
        assert!(pass_to_function(&headers("x-amz-client-context", "?")).is_err());
    }
}
