//! HTTP as Lambda's function URLs put it: a request is an event of payload format 2.0, an answer is JSON, or
//! a stream that begins with a prelude of JSON.
//!
//! AWS's guide ("Invoking Lambda function URLs") leaves details open. They are taken from what others recorded
//! of the real thing: the events in aws-lambda-go (`lambdaurl/testdata`) and the answers in `LocalStack`
//! (`test_lambda.snapshot.json`).

use crate::platform::contract::unix_ms;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, COOKIE, HOST, HeaderName, HeaderValue, SET_COOKIE, USER_AGENT};
use hyper::http::request::Parts;
use hyper::http::uri::Authority;
use hyper::{HeaderMap, Response, StatusCode};
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::task::Poll;
use std::time::SystemTime;

#[path = "../../../../calendar.rs"]
mod calendar;

/// Says that a stream begins with a prelude.
const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// What ends the prelude.
const DELIMITER: [u8; 8] = [0; 8];

/// Longest prelude of a streamed answer.
const PRELUDE_BYTES_MAX: usize = 1024 * 1024;

/// Most fields of an answer: the map that holds them ends the process at some 32,000.
const HEADER_COUNT_MAX: usize = 1_000;

/// Fields of one connection, which no gateway passes on (RFC 9110 §7.6.1).
const OF_CONNECTION: &str = "connection keep-alive proxy-connection te transfer-encoding";

/// Fields of an answer that reach the client as `x-amzn-remapped-NAME`, because AWS's gateways say these
/// themselves. The list is API Gateway's; `connection`, `content-length`, `date` and `www-authenticate` were seen
/// at function URLs.
const REMAPPED: &str = "authorization connection content-length content-md5 date expect host max-forwards \
    proxy-authenticate server trailer upgrade user-agent www-authenticate";

/// The event that a request is to the function.
pub(crate) fn event(
    request: &Parts,
    body: &[u8],
    request_id: &str,
    source: IpAddr,
    now: SystemTime,
) -> Bytes {
    let text = |name| request.headers.get(name).map(text_of).unwrap_or_default();
    let domain = text(HOST).parse::<Authority>();
    let domain = domain.map_or(String::new(), |host| host.host().to_owned());
    let prefix = domain.split('.').next();
    let source = source.to_canonical().to_string();
    let headers = headers(&request.headers, &source, &trace_id(request_id, now));
    let query = request.uri.query().unwrap_or_default();
    let is_text = body.is_empty() || is_text(&text(CONTENT_TYPE));
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": request.uri.path(),
        "rawQueryString": query,
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": prefix,
            "domainName": domain,
            "domainPrefix": prefix,
            "http": {
                "method": request.method.as_str(),
                "path": request.uri.path(),
                "protocol": "HTTP/1.1",
                "sourceIp": source,
                "userAgent": text(USER_AGENT),
            },
            "requestId": request_id,
            "routeKey": "$default",
            "stage": "$default",
            "time": date(unix_ms(now) / 1000),
            "timeEpoch": unix_ms(now),
        },
        "isBase64Encoded": !is_text,
    });
    if let Some(cookies) = headers.get("cookie") {
        // AWS leaves them among the headers, too.
        let cookies = cookies.split(';').map(str::trim);
        event["cookies"] = cookies.filter(|cookie| !cookie.is_empty()).collect();
    }
    if !query.is_empty() {
        let mut parameters = Fields::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            join(&mut parameters, &name, ",", &value);
        }
        event["queryStringParameters"] = json!(parameters);
    }
    if !body.is_empty() {
        event["body"] = if is_text {
            String::from_utf8_lossy(body).into()
        } else {
            BASE64.encode(body).into()
        };
    }
    event.to_string().into()
}

/// A trace's root: the time, and 96 bits, here of the request's own id.
pub(crate) fn trace_id(request_id: &str, now: SystemTime) -> String {
    let digits = request_id.chars().filter(char::is_ascii_hexdigit).take(24);
    let (seconds, digits) = (unix_ms(now) / 1000, digits.collect::<String>());
    format!("Root=1-{seconds:08x}-{digits:0<24}")
}

/// What an HTTP client gets for a buffered answer. `None`: AWS could make nothing of it, see [`bad_gateway`].
pub(crate) fn answer(body: &[u8]) -> Option<Response<Bytes>> {
    const JSON: HeaderValue = HeaderValue::from_static("application/json");
    let whole: &RawValue = serde_json::from_slice(body).ok()?;
    let fields: Members = serde_json::from_slice(body).unwrap_or_default();
    let field = |name| fields.get(name).filter(|value| value.get() != "null");
    if field("statusCode").is_none() {
        // Any JSON is an answer of its own.
        let mut response = Response::new(content(whole));
        response.headers_mut().insert(CONTENT_TYPE, JSON);
        return Some(response);
    }
    let head = head(&fields, JSON)?;
    let body = field("body").map(|body| content(body)).unwrap_or_default();
    let body = match field("isBase64Encoded").map(|flag| flag.get()) {
        Some("true") => BASE64.decode(body).ok()?.into(),
        _ => body,
    };
    let has_content = !matches!(head.status().as_u16(), 204 | 205 | 304);
    Some(head.map(|()| if has_content { body } else { Bytes::new() }))
}

/// What an HTTP client gets if the call failed or [`answer`] found none.
pub(crate) fn bad_gateway() -> Response<Bytes> {
    let mut response = Response::new(Bytes::from_static(b"Internal Server Error"));
    *response.status_mut() = StatusCode::BAD_GATEWAY;
    response
}

/// The head of a streamed answer that has no [`Prelude`]; `None` if it has one.
pub(crate) fn raw(content_type: Option<&HeaderValue>) -> Option<Response<()>> {
    let content_type = content_type.cloned().unwrap_or(OCTETS);
    let mut response = Response::new(());
    let has_prelude = content_type == INTEGRATION;
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    (!has_prelude).then_some(response)
}

/// The prelude of a streamed answer, which may come in any number of pieces.
#[derive(Default)]
pub(crate) struct Prelude(Vec<u8>);

impl Prelude {
    /// The response's head and the first of its body, once they are there. `None`: the prelude is too long, or
    /// describes no response.
    pub(crate) fn take(&mut self, piece: &[u8]) -> Poll<Option<(Response<()>, Bytes)>> {
        // The delimiter may have begun in the piece before.
        let from = self.0.len().saturating_sub(DELIMITER.len() - 1);
        self.0.extend_from_slice(piece);
        let mut windows = self.0[from..].windows(DELIMITER.len());
        let end = windows.position(|window| window == DELIMITER);
        let end = end.map(|at| from + at);
        if end.unwrap_or(self.0.len()) > PRELUDE_BYTES_MAX {
            return Poll::Ready(None);
        }
        let Some(end) = end else {
            return Poll::Pending;
        };
        let members = serde_json::from_slice(&self.0[..end]).ok();
        let head = members.and_then(|members| head(&members, OCTETS));
        let first = self.0.split_off(end + DELIMITER.len());
        Poll::Ready(head.map(|head| (head, first.into())))
    }
}

/// JSON without the blanks between its parts: AWS passes a function's JSON on like that.
pub(crate) fn compact(json: &[u8]) -> Vec<u8> {
    let (mut is_text, mut is_escaped) = (false, false);
    let is_kept = |byte: &u8| {
        let is_quote = *byte == b'"' && !is_escaped;
        is_escaped = is_text && *byte == b'\\' && !is_escaped;
        is_text ^= is_quote;
        is_text || is_quote || !byte.is_ascii_whitespace()
    };
    json.iter().copied().filter(is_kept).collect()
}

const OCTETS: HeaderValue = HeaderValue::from_static("application/octet-stream");

/// An object of which only some members are looked into, so that any depth of the others will do.
type Members<'a> = BTreeMap<String, &'a RawValue>;

/// The head that an answer or a prelude describes. Nothing of it may come between the client and the server's
/// own framing, or end the server: what HTTP cannot say is `None`.
fn head(members: &Members, content_type: HeaderValue) -> Option<Response<()>> {
    let member = |name| members.get(name).map(|raw| raw.get());
    let status = member("statusCode").unwrap_or("200").trim_matches('"');
    let status = StatusCode::from_bytes(status.as_bytes()).ok()?;
    let mut response = Response::new(());
    *response.status_mut() = Some(status).filter(|status| !status.is_informational())?;
    let given = member("headers").unwrap_or("null");
    let given: Option<BTreeMap<String, Value>> = serde_json::from_str(given).ok()?;
    let cookies = member("cookies").unwrap_or("null");
    let cookies: Option<Vec<Value>> = serde_json::from_str(cookies).ok()?;
    let cookies = (SET_COOKIE.to_string(), cookies.unwrap_or_default().into());
    let headers = response.headers_mut();
    for (name, value) in given.unwrap_or_default().into_iter().chain([cookies]) {
        let mut name: HeaderName = name.parse().ok()?;
        if is_in(REMAPPED, name.as_str()) {
            name = format!("x-amzn-remapped-{name}").parse().ok()?;
        } else if is_in(OF_CONNECTION, name.as_str()) {
            continue;
        }
        if name != SET_COOKIE {
            // One that differs only in its case.
            headers.remove(&name);
        }
        let values = match value {
            Value::Array(values) => values,
            value => vec![value],
        };
        for value in values.iter().filter(|value| !value.is_null()) {
            headers.try_append(&name, header_value(value)?).ok()?;
        }
    }
    if !headers.contains_key(CONTENT_TYPE) {
        headers.try_append(CONTENT_TYPE, content_type).ok()?;
    }
    (headers.len() <= HEADER_COUNT_MAX).then_some(response)
}

fn header_value(value: &Value) -> Option<HeaderValue> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    HeaderValue::try_from(text.into_bytes()).ok()
}

/// A value as a body: a string's text, or other JSON.
fn content(value: &RawValue) -> Bytes {
    let json = value.get();
    let text = serde_json::from_str::<String>(json);
    text.map_or_else(|_| compact(json.as_bytes()).into(), Bytes::from)
}

/// Fields by name, as an event has them: text, repeated ones joined.
type Fields = BTreeMap<String, String>;

fn join(fields: &mut Fields, name: &str, separator: &str, value: &str) {
    match fields.get_mut(name) {
        Some(before) => before.extend([separator, value]),
        None => drop(fields.insert(name.to_owned(), value.to_owned())),
    }
}

/// The headers of an event, with those that AWS adds.
fn headers(given: &HeaderMap, source: &str, trace_id: &str) -> Fields {
    let mut fields = Fields::new();
    let given = given.iter().map(|(name, value)| (name.as_str(), value));
    for (name, value) in given.filter(|(name, _)| !is_in(OF_CONNECTION, name)) {
        let separator = if name == COOKIE { "; " } else { "," };
        join(&mut fields, name, separator, &text_of(value));
    }
    join(&mut fields, "x-forwarded-for", ", ", source);
    // As on AWS, where there is nothing else: a function may refuse `http`, or lead away from it.
    for (name, value) in [("x-forwarded-proto", "https"), ("x-forwarded-port", "443")] {
        fields.insert(name.to_owned(), value.to_owned());
    }
    let trace = fields.entry("x-amzn-trace-id".to_owned());
    trace.or_insert_with(|| trace_id.to_owned());
    fields
}

/// Content types that are text in an event, as seen at API Gateway; a form is not among them.
fn is_text(content_type: &str) -> bool {
    let name = content_type.split(';').next().unwrap_or_default();
    let name = name.trim().to_ascii_lowercase();
    let texts = "application/json application/javascript application/xml";
    name.starts_with("text/") || is_in(texts, &name)
}

fn is_in(names: &str, name: &str) -> bool {
    names.split(' ').any(|listed| listed == name)
}

/// `12/Mar/2020:19:03:58 +0000`.
fn date(unix_seconds: u64) -> String {
    let at = calendar::civil(unix_seconds);
    let month = &"JanFebMarAprMayJunJulAugSepOctNovDec"[at.month as usize * 3 - 3..][..3];
    let (day, year, hour, minute, second) = (at.day, at.year, at.hour, at.minute, at.second);
    format!("{day:02}/{month}/{year}:{hour:02}:{minute:02}:{second:02} +0000")
}

fn text_of(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    /// The event of `METHOD TARGET | NAME: VALUE | ...`; what is posted is `body`.
    fn told(request: &str, body: &[u8]) -> Value {
        let mut parts = request.split(" | ");
        let (method, target) = parts.next().unwrap().split_once(' ').unwrap();
        let mut builder = Request::builder().method(method).uri(target);
        for field in parts {
            let (name, value) = field.split_once(':').unwrap();
            builder = builder.header(name, value.trim());
        }
        let (parts, ()) = builder.body(()).unwrap().into_parts();
        let now = SystemTime::UNIX_EPOCH + std::time::Duration::from_millis(1_681_837_306_806);
        let id = "5bbd0e3e-fe7a-4299-9076-32d4de45391b";
        let body = if method == "POST" { body } else { b"" };
        let source = "::ffff:127.0.0.1".parse().unwrap();
        serde_json::from_slice(&event(&parts, body, id, source, now)).unwrap()
    }

    /// An event that was recorded at AWS, without its fields of TLS and signatures, and what was sent.
    #[test]
    fn a_request_is_the_event_that_aws_sends() {
        let request = "POST /hello?hello=world&foo=bar | Host: url-id.lambda-url.us-west-2.on.aws | \
            User-Agent: python-requests/2.28.2 | Accept: */* | Connection: keep-alive | Content-Length: 18 | \
            Content-Type: application/json | Cookie: foo=bar; hello=hello | header2: h1 | header2: h2";
        let want = r#"{
            "version": "2.0", "routeKey": "$default", "rawPath": "/hello",
            "rawQueryString": "hello=world&foo=bar", "cookies": ["foo=bar", "hello=hello"],
            "headers": {
                "accept": "*/*", "content-length": "18", "content-type": "application/json",
                "cookie": "foo=bar; hello=hello", "header2": "h1,h2", "host": "url-id.lambda-url.us-west-2.on.aws",
                "user-agent": "python-requests/2.28.2", "x-amzn-trace-id": "Root=1-643eccfa-5bbd0e3efe7a4299907632d4",
                "x-forwarded-for": "127.0.0.1", "x-forwarded-port": "443", "x-forwarded-proto": "https"
            },
            "queryStringParameters": {"foo": "bar", "hello": "world"},
            "requestContext": {
                "accountId": "anonymous", "apiId": "url-id",
                "domainName": "url-id.lambda-url.us-west-2.on.aws", "domainPrefix": "url-id",
                "http": {
                    "method": "POST", "path": "/hello", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                    "userAgent": "python-requests/2.28.2"
                },
                "requestId": "5bbd0e3e-fe7a-4299-9076-32d4de45391b", "routeKey": "$default", "stage": "$default",
                "time": "18/Apr/2023:17:01:46 +0000", "timeEpoch": 1681837306806
            },
            "body": "{\"hello\": \"world\"}", "isBase64Encoded": false
        }"#;
        let want: Value = serde_json::from_str(want).unwrap();
        assert_eq!(told(request, b"{\"hello\": \"world\"}"), want);
    }

    #[test]
    fn parts_of_an_event() {
        const ROWS: &str = r#"
GET /?a=%2B+&%+5&a=/b => /queryStringParameters {"a":"+ ,/b","% 5":""}
GET / | Cookie: a=1;b=2 | Cookie: ;c => /cookies ["a=1","b=2","c"]
GET / | Cookie: a=1;b=2 | Cookie: ;c => /headers/cookie "a=1;b=2; ;c"
GET / | Host: [::1]:80 => /headers/host "[::1]:80"
GET / => /requestContext/domainPrefix ""
GET / | X-Forwarded-For: 1.1.1.1 | X-Forwarded-For: b => /headers/x-forwarded-for "1.1.1.1,b, 127.0.0.1"
GET / | X-Forwarded-Proto: http => /headers/x-forwarded-proto "https"
GET / | X-Amzn-Trace-Id: Root=1 => /headers/x-amzn-trace-id "Root=1"
POST / | Content-Type: TEXT/a;b => /body "�idk"
POST / | Content-Type: application/xml => /isBase64Encoded false
POST / | Content-Type: application/a+json => /isBase64Encoded true
POST / | Content-Type: application/x-www-form-urlencoded => /body "/2lkaw=="
POST / => /body "/2lkaw=="
"#;
        for row in ROWS.trim().lines() {
            let (request, want) = row.split_once(" => ").unwrap();
            let (pointer, want) = want.split_once(' ').unwrap();
            let want: Value = serde_json::from_str(want).unwrap();
            let event = told(request, b"\xffidk");
            let got = event.pointer(pointer).unwrap_or(&Value::Null);
            assert_eq!(*got, want, "{row}");
        }
    }

    /// A response as text; AWS's own type goes without saying.
    fn shown<T>(response: &Response<T>, body: &[u8]) -> String {
        let fields = response.headers().iter();
        let fields = fields.map(|(name, value)| format!("{name}: {} | ", text_of(value)));
        let body = String::from_utf8_lossy(body);
        let status = response.status().as_u16();
        let shown = format!("{status} | {}{body}", fields.collect::<String>());
        shown.replace("content-type: application/json | ", "")
    }

    /// Seen at AWS: a string's text, JSON without blanks, a status that is a string, the default type, renamed
    /// fields.
    #[test]
    fn an_answer_is_a_response() {
        const ROWS: &str = r#"
 3.10  => 200 | 3.10
null => 200 | null
["a \" b\\", 3, true] => 200 | ["a \" b\\",3,true]
{"b": {"a": 1}} => 200 | {"b":{"a":1}}
{"statusCode": null} => 200 | {"statusCode":null}
{"statusCode":200} => 200 | 
{"statusCode":200,"body":"{\"a\": 1}"} => 200 | {"a": 1}
{"statusCode":200,"body":{"b": 1,"a":2},"headers":null,"cookies":null} => 200 | {"b":1,"a":2}
{"statusCode":200,"body":null,"headers":{"Content-Type":null}} => 200 | 
{"statusCode":200,"body":"aGk=","isBase64Encoded":true} => 200 | hi
{"statusCode":200,"body":"?","isBase64Encoded":true} => none
{"statusCode":"418","headers":{"content-type":"a/b"},"body":"hi"} => 418 | content-type: a/b | hi
{"statusCode":205,"body":"hi"} => 205 | 
{"statusCode":"a"} => none
{"statusCode":200,"headers":[]} => none
{"statusCode":200,"cookies":{}} => none
{"statusCode":200,"cookies":["a\nb"]} => none
{"statusCode":200,"headers":{"Set-Cookie":"c"},"cookies":["a=1; Path=/","b"]} => 200 | set-cookie: c | set-cookie: a=1; Path=/ | set-cookie: b | 
{"statusCode":200,"headers":{"X":"1","n":2,"t":true,"z":null,"l":["a",null,"b"]}} => 200 | x: 1 | l: a | l: b | n: 2 | t: true | 
{"statusCode":200,"headers":{"A":"1","a":"2","c":"ä"}} => 200 | a: 2 | c: ä | 
{"statusCode":200,"headers":{"Connection":"a","Transfer-Encoding":"b","TE":"c"}} => 200 | x-amzn-remapped-connection: a | 
{"statusCode":200,"headers":{"Upgrade":"h2c","Date":"d"}} => 200 | x-amzn-remapped-date: d | x-amzn-remapped-upgrade: h2c | 
{"statusCode":200,"headers":{"":"c"}} => none
{"statusCode":200,"headers":{"a":{}}} => none
 => none"#;
        for row in ROWS.lines().skip(1) {
            let (given, want) = row.split_once(" => ").unwrap();
            let got = answer(given.as_bytes());
            let got = got.map_or("none".to_owned(), |got| shown(&got, got.body()));
            assert_eq!(got, want, "{given}");
        }
        let many: Vec<_> = (0..40_000).map(|name| format!("\"{name}\":0")).collect();
        let many = format!("{{\"statusCode\":200,\"headers\":{{{}}}}}", many.join(","));
        assert!(answer(many.as_bytes()).is_none());
    }

    /// Streams that come in two pieces, cut anywhere; `~` is the prelude's end.
    #[test]
    fn a_prelude_is_a_head() {
        const ROWS: &str = r#"
{"statusCode":404,"headers":{"x":["1","2"],"Date":"d"},"cookies":["a=b"]}~0body => 404 | x-amzn-remapped-date: d | x: 1 | x: 2 | set-cookie: a=b | OCTETS0body
{}~ => 200 | OCTETS
{} => more
[]~ => none"#;
        for row in ROWS.replace('~', &"\0".repeat(8)).lines().skip(1) {
            let (stream, want) = row.split_once(" => ").unwrap();
            for cut in 0..=stream.len() {
                let (first, second) = stream.as_bytes().split_at(cut);
                let mut prelude = Prelude::default();
                let (begun, later) = match prelude.take(first) {
                    Poll::Pending => (prelude.take(second), &b""[..]),
                    begun @ Poll::Ready(_) => (begun, second),
                };
                let got = match begun {
                    Poll::Ready(Some((head, body))) => shown(&head, &[&body, later].concat()),
                    Poll::Ready(None) => "none".to_owned(),
                    Poll::Pending => "more".to_owned(),
                };
                let want = want.replace("OCTETS", "content-type: application/octet-stream | ");
                assert_eq!(got, want, "cut at {cut}");
            }
        }
        let mut prelude = Prelude::default();
        assert!(prelude.take(&vec![b' '; PRELUDE_BYTES_MAX]).is_pending());
        assert!(prelude.take(b" ").is_ready());
    }
}
