//! What the gateway says in its own name, and the limits at which it does.

use super::contract::Control;
use super::failure;
use crate::server::BodyError;
use http_body_util::channel::Channel;
use http_body_util::{Either, Full};
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use hyper::{HeaderMap, Response, StatusCode, Uri};
use serde_json::json;

/// A synchronous call's body, and an asynchronous one's.
pub(crate) const BODY_BYTES_MAX: usize = 32 * 1024 * 1024;
pub(crate) const ASYNC_BODY_BYTES_MAX: usize = 128 * 1024;

/// All names and values of a head, in either direction.
const HEADER_BYTES_MAX: usize = 8 * 1024;

/// Path and query.
const TARGET_BYTES_MAX: usize = 4 * 1024;

/// A whole body, or one that is still being written.
pub(crate) type ReplyBody = Either<Full<Bytes>, Channel<Bytes, failure::Call>>;
pub(crate) type Reply = Response<ReplyBody>;

/// What the gateway refuses or cannot do.
#[derive(Debug)]
pub(crate) enum Refusal {
    HeadersTooLarge,
    TargetTooLong,
    EntityTooLarge {
        bytes_max: usize,
    },
    BodyCut,
    ResponseHeadersTooLarge,
    NotStarted {
        failure: failure::Start,
        control: Control,
    },
}

impl From<BodyError> for Refusal {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::TooLarge { bytes_max } => Self::EntityTooLarge { bytes_max },
            BodyError::Cut => Self::BodyCut,
        }
    }
}

impl Refusal {
    fn status(&self) -> StatusCode {
        match self {
            Self::ResponseHeadersTooLarge => StatusCode::BAD_GATEWAY,
            Self::NotStarted {
                failure: failure::Start::Initialize(_),
                control,
            } => match control {
                Control::HttpInvoke => StatusCode::BAD_GATEWAY,
                // The API's caller is told by `X-Fc-Error-Type`.
                Control::Invoke | Control::Initialize => StatusCode::OK,
            },
            Self::NotStarted { .. } => StatusCode::PRECONDITION_FAILED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::HeadersTooLarge | Self::TargetTooLong | Self::BodyCut => "InvalidArgument",
            Self::EntityTooLarge { .. } => "EntityTooLarge",
            Self::ResponseHeadersTooLarge => "BadResponse",
            Self::NotStarted { failure, .. } => failure.code(),
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::HeadersTooLarge => {
                format!("request headers exceed maximum allowed size ({HEADER_BYTES_MAX} bytes)")
            }
            Self::TargetTooLong => {
                format!("path and query exceed maximum allowed size ({TARGET_BYTES_MAX} bytes)")
            }
            Self::EntityTooLarge { bytes_max } => {
                format!("payload size exceeds maximum allowed size ({bytes_max} bytes)")
            }
            Self::BodyCut => "the request body ended too early".to_owned(),
            Self::ResponseHeadersTooLarge => {
                format!("response headers exceed maximum allowed size ({HEADER_BYTES_MAX} bytes)")
            }
            Self::NotStarted { failure, .. } => failure.to_string(),
        }
    }

    /// An error in FC's style; SDKs of FC 3.0 look for the short names, older ones for the long.
    pub(crate) fn reply(&self, request_id: &str) -> Reply {
        let (code, message) = (self.code(), self.message());
        if let Self::NotStarted {
            failure: failure::Start::Initialize(_),
            ..
        } = self
        {
            return failed(self.status(), request_id, code, &message);
        }
        let body = json!({
            "ErrorCode": code, "ErrorMessage": message,
            "Code": code, "Message": message, "RequestId": request_id,
        });
        json(self.status(), request_id, &body)
    }
}

/// A call that failed without an answer of the function's own.
pub(crate) fn failed(
    status: StatusCode,
    request_id: &str,
    error_type: &'static str,
    message: &str,
) -> Reply {
    let mut reply = json(status, request_id, &json!({ "errorMessage": message }));
    set(reply.headers_mut(), "x-fc-error-type", error_type);
    reply
}

/// A reply with a whole body and the header that every reply has.
pub(crate) fn whole(status: StatusCode, request_id: &str, body: Bytes) -> Reply {
    let mut reply = Response::new(Either::Left(Full::new(body)));
    *reply.status_mut() = status;
    set(reply.headers_mut(), "x-fc-request-id", request_id);
    reply
}

/// Sets a header to a value of the gateway's own making.
pub(crate) fn set(headers: &mut HeaderMap, name: &'static str, value: &str) {
    // Ids, numbers and base64 are always legal.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

fn json(status: StatusCode, request_id: &str, body: &serde_json::Value) -> Reply {
    let mut reply = whole(status, request_id, body.to_string().into());
    reply
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    reply
}

/// Holds a request's head against the limits.
pub(crate) fn check_head(uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    if uri
        .path_and_query()
        .is_some_and(|target| target.as_str().len() > TARGET_BYTES_MAX)
    {
        return Err(Refusal::TargetTooLong);
    }
    if header_bytes(headers) > HEADER_BYTES_MAX {
        return Err(Refusal::HeadersTooLarge);
    }
    Ok(())
}

/// Holds an answer's head against the limit.
pub(crate) fn check_response_head(headers: &HeaderMap) -> Result<(), Refusal> {
    if header_bytes(headers) > HEADER_BYTES_MAX {
        return Err(Refusal::ResponseHeadersTooLarge);
    }
    Ok(())
}

fn header_bytes(headers: &HeaderMap) -> usize {
    headers
        .iter()
        .map(|(name, value)| name.as_str().len() + value.len())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(target_bytes: usize, header_bytes: usize, want: Option<&str>) {
        let uri = format!("/{}", "a".repeat(target_bytes - 1))
            .parse()
            .unwrap();
        let mut headers = HeaderMap::new();
        headers.insert("x", "a".repeat(header_bytes - 1).parse().unwrap());
        let refusal = check_head(&uri, &headers).err();
        assert_eq!(refusal.map(|refusal| refusal.message()).as_deref(), want);
    }

    #[test]
    fn heads_have_limits() {
        check(4096, 8192, None);
        check(
            4097,
            8192,
            Some("path and query exceed maximum allowed size (4096 bytes)"),
        );
        check(
            4096,
            8193,
            Some("request headers exceed maximum allowed size (8192 bytes)"),
        );
    }
}
