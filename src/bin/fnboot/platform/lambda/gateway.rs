//! Who calls Lambda: its own API, so that the AWS CLI and the SDKs work here; any other path is the
//! function's URL, whose answers are streamed if the function streams them.
//!
//! A caller that leaves does not end its call, as on Lambda.

use super::invoke_api::{self, Kind, Route};
use super::url::{self, Prelude};
use super::{VERSION, event_stream};
use crate::call::{Call, Outcome, Payload, Piece};
use crate::gateway::{Begun, Gateway, relay};
use crate::http::{self, BodyError, Reply, set, whole};
use crate::log::TAIL_BYTES;
use crate::platform::dialect::Refusal;
use crate::terminal::say;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use http_body_util::Either;
use http_body_util::channel::Channel;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Request, Response, StatusCode};
use serde_json::json;
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::task::Poll;
use std::time::SystemTime;
use tokio::task::spawn_local;

/// Answers one request, whatever it is.
pub(crate) async fn answer(gateway: Rc<Gateway>, request: Request<Incoming>) -> Reply {
    let request_id = gateway.dialect.request_id();
    let (head, body) = request.into_parts();
    let reply = match invoke_api::route(&head.method, head.uri.path()) {
        Ok(Route::Url) => url(&gateway, &request_id, &head, body).await,
        Ok(route) => api(gateway, &request_id, route, &head, body).await,
        Err(refusal) => Err(refusal),
    };
    let mut reply = reply.unwrap_or_else(|refusal| refuse(&refusal));
    let name = HeaderName::from_static("x-amzn-requestid");
    set(reply.headers_mut(), name, &request_id);
    reply
}

/// Some of AWS's errors have their message under one of both names, some under the other.
fn refuse(refusal: &Refusal) -> Reply {
    let message = &refusal.message;
    let body = json!({ "Type": "User", "Message": message, "message": message });
    let mut reply = refusal.reply(&body);
    let code = HeaderValue::from_static(refusal.code);
    reply.headers_mut().insert("x-amzn-errortype", code);
    reply
}

async fn read(head: &Parts, mut body: Incoming, kind: Kind) -> Result<Bytes, Refusal> {
    let body = http::read(&mut body, &head.headers, kind.payload_bytes_max()).await;
    body.map_err(|error| match error {
        BodyError::TooLarge { .. } => invoke_api::too_large(kind),
        BodyError::Cut => invoke_api::wrong_content("the request body ended too early"),
    })
}

/// A call of the API.
async fn api(
    gateway: Rc<Gateway>,
    request_id: &str,
    route: Route,
    head: &Parts,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let request = invoke_api::Request::parse(route, &head.headers)?;
    let event = invoke_api::payload(read(head, body, request.kind).await?)?;
    let mut call = Call::new(request_id.to_owned(), Payload::Event(event));
    call.headers = request.headers;
    let wants_tail = request.wants_tail;
    let mut reply = Response::new(whole(Bytes::new()));
    match request.kind {
        Kind::DryRun => *reply.status_mut() = StatusCode::NO_CONTENT,
        Kind::Event => {
            // Nobody waits for the outcome, but its log is shown. Lambda would try twice more.
            gateway.detached(call, "");
            *reply.status_mut() = StatusCode::ACCEPTED;
        }
        Kind::RequestResponse => {
            reply = if route == Route::InvokeWithResponseStream {
                streamed(gateway, call, wants_tail)
            } else {
                let outcome = gateway.detached(call, "").outcome().await;
                result(&gateway, request_id, &outcome, wants_tail)
            };
            let version = HeaderValue::from_static(VERSION);
            let headers = reply.headers_mut();
            headers.insert("x-amz-executed-version", version);
        }
    }
    Ok(reply)
}

/// A call's outcome: a failed one is a success of the API's.
fn result(gateway: &Gateway, request_id: &str, outcome: &Outcome, wants_tail: bool) -> Reply {
    let (body, has_failed) = match &outcome.result {
        Ok(answer) => (answer.body.clone(), answer.late_error.is_some()),
        Err(_) => (gateway.explain(request_id, outcome).body, true),
    };
    let mut reply = http::reply(StatusCode::OK, "application/json", body);
    let headers = reply.headers_mut();
    if has_failed {
        let kind = HeaderValue::from_static("Unhandled");
        headers.insert("x-amz-function-error", kind);
    }
    if wants_tail {
        let tail = tail(gateway, request_id, outcome);
        set(headers, HeaderName::from_static("x-amz-log-result"), &tail);
    }
    reply
}

/// The end of the call's log, the platform's lines included.
fn tail(gateway: &Gateway, request_id: &str, outcome: &Outcome) -> String {
    let begin = gateway.dialect.log_begin(request_id, "") + "\n";
    let end = gateway.dialect.log_end(request_id, outcome) + "\n";
    let mut log = [begin.as_bytes(), &outcome.log].concat();
    if !log.ends_with(b"\n") {
        log.push(b'\n');
    }
    log.extend_from_slice(end.as_bytes());
    BASE64.encode(&log[log.len().saturating_sub(TAIL_BYTES)..])
}

/// The answer as a stream of messages; one that is not streamed is one message.
fn streamed(gateway: Rc<Gateway>, mut call: Call, wants_tail: bool) -> Reply {
    let request_id = call.request_id.clone();
    let mut pieces = call.tap();
    let calling = gateway.detached(call, "");
    let (mut sender, channel) = Channel::new(1);
    spawn_local(async move {
        while let Some(piece) = pieces.recv().await {
            let Piece::Body(frame) = piece else { continue };
            let piece = frame.into_data().unwrap_or_default();
            let message = event_stream::payload_chunk(&piece);
            if sender.send_data(message).await.is_err() {
                return;
            }
        }
        let outcome = calling.outcome().await;
        for message in last_messages(&gateway, &request_id, &outcome, wants_tail) {
            // A caller that left is the end of it.
            let _ = sender.send_data(message).await;
        }
    });
    let mut reply = Response::new(Either::Right(channel));
    let content_type = HeaderValue::from_static(event_stream::CONTENT_TYPE);
    reply.headers_mut().insert(CONTENT_TYPE, content_type);
    reply
}

/// What is left to say when a call is over: an answer that was not streamed, and how it ended.
fn last_messages(
    gateway: &Gateway,
    request_id: &str,
    outcome: &Outcome,
    wants_tail: bool,
) -> Vec<Bytes> {
    let (mut messages, mut end) = (Vec::new(), json!({}));
    let error = if let Ok(answer) = &outcome.result {
        if !answer.body.is_empty() {
            messages.push(event_stream::payload_chunk(&answer.body));
        }
        let error = answer.late_error.clone();
        error.map(|error| (error.error_type.unwrap_or_default(), error.body))
    } else {
        let complaint = gateway.explain(request_id, outcome);
        Some((complaint.error_type, complaint.body))
    };
    if let Some((code, details)) = error {
        end["ErrorCode"] = code.into();
        end["ErrorDetails"] = String::from_utf8_lossy(&details).into();
    }
    if wants_tail {
        end["LogResult"] = tail(gateway, request_id, outcome).into();
    }
    messages.push(event_stream::complete(&end));
    messages
}

/// A request to the function's URL.
async fn url(
    gateway: &Gateway,
    request_id: &str,
    head: &Parts,
    body: Incoming,
) -> Result<Reply, Refusal> {
    let body = read(head, body, Kind::RequestResponse).await?;
    let source = head.extensions.get::<IpAddr>().copied();
    let source = source.unwrap_or(Ipv4Addr::LOCALHOST.into());
    let event = url::event(head, &body, request_id, source, SystemTime::now());
    let mut call = Call::new(request_id.to_owned(), Payload::Event(event));
    if let Some(trace) = head.headers.get("x-amzn-trace-id") {
        let headers = &mut call.headers;
        headers.insert("lambda-runtime-trace-id", trace.clone());
    }
    let mut pieces = call.tap();
    let mut calling = gateway.detached(call, "");
    let bad_gateway = || {
        say(format_args!(
            "fnboot: {request_id}: not an answer to an HTTP request: its caller gets 502"
        ));
        url::bad_gateway().map(whole)
    };
    let head = match calling.begin(&mut pieces).await {
        Begun::Head(head) => head,
        Begun::Over(outcome) => {
            let Ok(answer) = outcome.result else {
                // The platform's own lines say why.
                return Ok(url::bad_gateway().map(whole));
            };
            let answer = gateway.dialect.http_answer(&answer);
            return Ok(answer.map_or_else(bad_gateway, |answer| answer.map(whole)));
        }
    };
    let content_type = head.headers.get(CONTENT_TYPE);
    if let Some(head) = url::raw(content_type) {
        return Ok(relay(head, Bytes::new(), pieces, calling));
    }
    let mut prelude = Prelude::default();
    while let Some(Piece::Body(frame)) = pieces.recv().await {
        match prelude.take(&frame.into_data().unwrap_or_default()) {
            Poll::Pending => {}
            Poll::Ready(Some((head, first))) => return Ok(relay(head, first, pieces, calling)),
            Poll::Ready(None) => break,
        }
    }
    Ok(bad_gateway())
}
