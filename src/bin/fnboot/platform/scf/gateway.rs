//! A trigger of SCF's: what is posted to any path is an event, what comes back is the result.

use super::Scf;
use crate::platform::runtime_api::{Call, Complaint, Dialect, Player, Stage};
use crate::serve;
use crate::server::{self, BodyError};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Method, Request, Response, StatusCode};
use serde_json::json;
use std::error::Error;
use std::rc::Rc;

const EVENT_BYTES_MAX: usize = 6 * 1024 * 1024;

/// SCF's own status for an event that is too long.
const TOO_LARGE: u16 = 406;

type Reply = Response<Full<Bytes>>;

pub(crate) struct Gateway {
    stage: Stage<Scf>,
}

impl Gateway {
    pub(crate) fn new(player: Player<Scf>) -> Self {
        Self {
            stage: player.stage(),
        }
    }

    async fn event(&self, headers: &HeaderMap, mut body: Incoming) -> Reply {
        let event = match server::read_body(&mut body, headers, EVENT_BYTES_MAX).await {
            Ok(event) => event,
            Err(BodyError::TooLarge { bytes_max }) => {
                return refuse(TOO_LARGE, &format!("longer than {bytes_max} bytes"));
            }
            Err(BodyError::Cut) => return refuse(400, "the request body ended too early"),
        };
        let call = Call::new(event);
        let request_id = call.request_id.clone();
        let mut reply = match self.stage.call(call).await.result {
            Ok(answer) => Response::new(Full::new(answer.body)),
            Err(failure) => {
                let Complaint { status, body, .. } = Scf::explain(&failure, &request_id);
                with_status(status, body)
            }
        };
        // An id is always legal.
        if let Ok(id) = HeaderValue::from_str(&request_id) {
            let name = HeaderName::from_static("x-scf-request-id");
            reply.headers_mut().insert(name, id);
        }
        reply
    }
}

impl serve::Gateway for Gateway {
    type Body = Full<Bytes>;

    async fn warm_up(&self) -> Result<(), Box<dyn Error>> {
        self.stage.warm_up().await
    }

    async fn answer(self: Rc<Self>, request: Request<Incoming>) -> Reply {
        let (head, body) = request.into_parts();
        if head.uri.path() == serve::COUNTERS_PATH {
            return with_status(200, self.stage.counters.json().to_string().into());
        }
        if head.method != Method::POST {
            return refuse(405, "an event is sent by POST");
        }
        self.event(&head.headers, body).await
    }

    async fn stop(&self) {
        self.stage.stop().await;
    }
}

fn refuse(status: u16, message: &str) -> Reply {
    let body = json!({ "errorCode": status, "errorMessage": message, "statusCode": status });
    with_status(status, body.to_string().into())
}

fn with_status(status: u16, body: Bytes) -> Reply {
    let mut reply = Response::new(Full::new(body));
    // All statuses here have three digits.
    *reply.status_mut() = StatusCode::from_u16(status).unwrap_or_default();
    let json = HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}
