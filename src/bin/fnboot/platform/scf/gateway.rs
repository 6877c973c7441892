//! Triggers of SCF's: what is posted to any path is an event, what comes back is the result. A web
//! function's requests pass through.

use super::error_body;
use crate::call::{Call, Payload};
use crate::gateway::Gateway;
use crate::http::{self, BodyError, Reply, drop_hop, set, whole};
use crate::platform::dialect::{Complaint, Reached, Refusal};
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use std::rc::Rc;

const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// Answers one request, whatever it is.
pub(crate) async fn answer(gateway: Rc<Gateway>, request: Request<Incoming>) -> Reply {
    let request_id = gateway.dialect.request_id();
    let is_web = matches!(gateway.dialect.facts().reached, Reached::Http { .. });
    let result = match read(request, is_web).await {
        Err(refusal) => {
            let body = error_body(refusal.status.as_u16(), &refusal.message, &request_id);
            Ok(refusal.reply(&body))
        }
        Ok(mut request) if is_web => {
            drop_hop(request.headers_mut());
            let reply = gateway.pass_through(&request_id, "", request, drop_hop);
            reply.await
        }
        Ok(request) => {
            let call = Call::new(request_id.clone(), Payload::Event(request.into_body()));
            let outcome = gateway.detached(call, "").outcome().await;
            match outcome.result {
                Ok(answer) => Ok(Response::new(whole(answer.body))),
                Err(_) => Err(outcome),
            }
        }
    };
    let mut reply = result.unwrap_or_else(|outcome| {
        let Complaint { status, body, .. } = gateway.explain(&request_id, &outcome);
        http::reply(status, "application/json", body)
    });
    set(reply.headers_mut(), "x-scf-request-id", &request_id);
    reply
}

async fn read(request: Request<Incoming>, is_web: bool) -> Result<Request<Bytes>, Refusal> {
    let (head, mut body) = request.into_parts();
    let body = http::read(&mut body, &head.headers, EVENT_BYTES_MAX).await;
    let (status, message) = match body {
        Ok(_) if !is_web && head.method != Method::POST => {
            (405, "an event is sent by POST".to_owned())
        }
        Ok(body) => return Ok(Request::from_parts(head, body)),
        // SCF's own status for an event that is too long.
        Err(BodyError::TooLarge { bytes_max }) => (406, format!("longer than {bytes_max} bytes")),
        Err(BodyError::Cut) => (400, "the request body ended too early".to_owned()),
    };
    let status = StatusCode::from_u16(status).unwrap_or_default();
    Err(Refusal::new(status, "", message))
}
