//! HTTP as Lambda's function URLs put it: a request is an event of payload version 2.0, an answer is JSON,
//! or a stream with a prelude of JSON.

use crate::invoke::Target;
use crate::platform::runtime_api::{Answer, Mode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::{Map, Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// Says that a stream begins with a prelude.
const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// What ends the prelude.
const DELIMITER: [u8; 8] = [0; 8];

/// The event that a request is to the function.
pub(crate) fn event(
    (method, uri): &Target,
    headers: &HeaderMap,
    body: &[u8],
    request_id: &str,
) -> Bytes {
    let text = |name| headers.get(name).map(text_of).unwrap_or_default();
    let domain = text(HOST);
    let (body, is_base64) = if is_text(&text(CONTENT_TYPE)) {
        (String::from_utf8_lossy(body).into_owned(), false)
    } else {
        (BASE64.encode(body), true)
    };
    let now_ms = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis());
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": uri.path(),
        "rawQueryString": uri.query().unwrap_or_default(),
        "headers": joined(headers),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "local",
            "domainName": domain,
            "domainPrefix": domain.split('.').next().unwrap_or_default(),
            "http": {
                "method": method.as_str(),
                "path": uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": "127.0.0.1",
                "userAgent": text(USER_AGENT),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "timeEpoch": u64::try_from(now_ms).unwrap_or(u64::MAX),
        },
        "isBase64Encoded": is_base64 && !body.is_empty(),
    });
    let cookies = cookies(headers);
    if !cookies.is_empty() {
        event["cookies"] = cookies.into();
    }
    if let Some(query) = uri.query().filter(|query| !query.is_empty()) {
        event["queryStringParameters"] = parameters(query);
    }
    if !body.is_empty() {
        event["body"] = body.into();
    }
    event.to_string().into()
}

/// What an HTTP client gets for an answer; none if Lambda could not make sense of it.
pub(crate) fn answer(answer: &Answer) -> Option<Response<Bytes>> {
    if answer.mode == Mode::Streamed {
        if !has_prelude(answer.content_type.as_ref()) {
            return Some(raw(answer.content_type.as_ref(), answer.body.clone()));
        }
        let (head, body) = split_prelude(&answer.body)?;
        return Some(head?.map(|()| body));
    }
    let value: Value = serde_json::from_slice(&answer.body).ok()?;
    if value.get("statusCode").is_none() {
        // Any JSON is an answer of its own.
        let json = HeaderValue::from_static("application/json");
        return Some(raw(Some(&json), answer.body.clone()));
    }
    let text = value["body"].as_str().unwrap_or_default();
    let body = if value["isBase64Encoded"] == true {
        BASE64.decode(text).ok()?.into()
    } else {
        text.to_owned().into()
    };
    Some(head(&value)?.map(|()| body))
}

/// Whether a streamed answer begins with a prelude.
pub(crate) fn has_prelude(content_type: Option<&HeaderValue>) -> bool {
    content_type.is_some_and(|name| name == INTEGRATION)
}

/// The head of a streamed answer without a prelude.
pub(crate) fn raw<T>(content_type: Option<&HeaderValue>, body: T) -> Response<T> {
    let octets = HeaderValue::from_static("application/octet-stream");
    let mut response = Response::new(body);
    let content_type = content_type.cloned().unwrap_or(octets);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The head that a prelude describes, none if it describes nothing, and what follows it; none while the
/// prelude is not complete.
pub(crate) fn split_prelude(stream: &Bytes) -> Option<(Option<Response<()>>, Bytes)> {
    let end = stream
        .windows(DELIMITER.len())
        .position(|window| window == DELIMITER)?;
    let value = serde_json::from_slice(&stream[..end]).ok();
    let rest = stream.slice(end + DELIMITER.len()..);
    Some((value.as_ref().and_then(head), rest))
}

fn head(value: &Value) -> Option<Response<()>> {
    let status = match &value["statusCode"] {
        Value::Null => 200,
        status => u16::try_from(status.as_u64()?).ok()?,
    };
    let mut response = Response::new(());
    *response.status_mut() = StatusCode::from_u16(status).ok()?;
    let headers = response.headers_mut();
    for (name, value) in value["headers"].as_object().into_iter().flatten() {
        let name: HeaderName = name.parse().ok()?;
        match value {
            Value::Array(values) => {
                for value in values {
                    headers.append(&name, header_value(value)?);
                }
            }
            value => {
                headers.insert(&name, header_value(value)?);
            }
        }
    }
    for cookie in value["cookies"].as_array().into_iter().flatten() {
        headers.append(SET_COOKIE, header_value(cookie)?);
    }
    Some(response)
}

fn header_value(value: &Value) -> Option<HeaderValue> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.to_string().parse().ok(),
    }
}

/// Types that Lambda does not wrap in base64.
fn is_text(content_type: &str) -> bool {
    const TEXTS: [&str; 3] = [
        "application/json",
        "application/javascript",
        "application/xml",
    ];
    let name = content_type.split(';').next().unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    name.starts_with("text/") || TEXTS.contains(&name.as_str())
}

/// Headers by name, repeated ones joined; cookies have a place of their own.
fn joined(headers: &HeaderMap) -> Value {
    let names = headers.keys().filter(|name| **name != COOKIE);
    let fields = names.map(|name| {
        let values: Vec<_> = headers.get_all(name).iter().map(text_of).collect();
        (name.as_str().to_owned(), values.join(",").into())
    });
    Value::Object(fields.collect())
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    headers
        .get_all(COOKIE)
        .iter()
        .map(text_of)
        .flat_map(|line| {
            line.split(';')
                .map(|c| c.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|cookie| !cookie.is_empty())
        .collect()
}

/// Query parameters, decoded, repeated ones joined.
fn parameters(query: &str) -> Value {
    let mut parameters = Map::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (name, value) = (decode(name), decode(value));
        match parameters.get_mut(&name) {
            Some(Value::String(found)) => {
                found.push(',');
                found.push_str(&value);
            }
            _ => {
                parameters.insert(name, value.into());
            }
        }
    }
    parameters.into()
}

/// Percent-decoding of a form; what is not well-formed stays as it is.
fn decode(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        let digits = after.get(..2).and_then(|d| std::str::from_utf8(d).ok());
        let decoded = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match (byte, decoded) {
            (b'%', Some(decoded)) => {
                bytes.push(decoded);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

fn text_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Method;

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            let name = HeaderName::from_static(name);
            headers.append(name, HeaderValue::from_static(value));
        }
        headers
    }

    #[test]
    fn a_request_is_an_event() {
        let target = (Method::PUT, "/a%20b?x=1&y=%2B+&x=2".parse().unwrap());
        let headers = headers(&[
            ("host", "h.example"),
            ("accept", "a"),
            ("accept", "b"),
            ("cookie", "c=1; d=2"),
            ("content-type", "text/plain; charset=utf-8"),
        ]);
        let event: Value = serde_json::from_slice(&event(&target, &headers, b"hi", "id")).unwrap();
        assert_eq!(event["rawPath"], "/a%20b");
        assert_eq!(event["rawQueryString"], "x=1&y=%2B+&x=2");
        assert_eq!(
            event["queryStringParameters"],
            json!({"x": "1,2", "y": "+ "})
        );
        assert_eq!(event["headers"]["accept"], "a,b");
        assert_eq!(event["headers"].get("cookie"), None);
        assert_eq!(event["cookies"], json!(["c=1", "d=2"]));
        assert_eq!(event["requestContext"]["http"]["method"], "PUT");
        assert_eq!(event["requestContext"]["domainPrefix"], "h");
        assert_eq!(event["body"], "hi");
        assert_eq!(event["isBase64Encoded"], false);
    }

    #[test]
    fn bytes_are_wrapped() {
        let target = (Method::POST, "/".parse().unwrap());
        let event = event(&target, &HeaderMap::new(), b"\xff", "id");
        let event: Value = serde_json::from_slice(&event).unwrap();
        assert_eq!(event["body"], "/w==");
        assert_eq!(event["isBase64Encoded"], true);
    }

    #[track_caller]
    fn check(body: &str, want: Option<(u16, &str, &str)>) {
        let given = Answer {
            mode: Mode::Buffered,
            content_type: None,
            body: body.to_owned().into(),
            late_error: None,
        };
        let got = answer(&given);
        let got = got.as_ref().map(|response| {
            let content_type = response.headers().get(CONTENT_TYPE);
            let content_type = content_type.map_or("", |name| name.to_str().unwrap());
            let body = std::str::from_utf8(response.body()).unwrap();
            (response.status().as_u16(), content_type, body)
        });
        assert_eq!(got, want, "{body}");
    }

    #[test]
    fn an_answer_is_a_response() {
        check(
            r#"{"statusCode":201,"headers":{"content-type":"text/a"},"body":"hi"}"#,
            Some((201, "text/a", "hi")),
        );
        check(
            r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#,
            Some((200, "", "hi")),
        );
        check(r#"{"a":1}"#, Some((200, "application/json", r#"{"a":1}"#)));
        check(r#""text""#, Some((200, "application/json", r#""text""#)));
        check("not JSON", None);
        check(r#"{"statusCode":"a"}"#, None);
    }

    #[test]
    fn a_prelude_is_a_head() {
        let stream =
            b"{\"statusCode\":404,\"headers\":{\"x\":[\"1\",\"2\"]},\"cookies\":[\"a=b\"]}";
        let mut stream = stream.to_vec();
        assert!(split_prelude(&stream.clone().into()).is_none());
        stream.extend_from_slice(&DELIMITER);
        stream.extend_from_slice(b"body");
        let (head, rest) = split_prelude(&stream.into()).unwrap();
        let head = head.unwrap();
        assert_eq!(head.status(), 404);
        assert_eq!(head.headers().get_all("x").iter().count(), 2);
        assert_eq!(head.headers()["set-cookie"], "a=b");
        assert_eq!(rest, "body");
    }
}
