//! From the event of a gateway to the request that it stands for.

use super::Shape;
use crate::bytes::{self, Writer, eq_ignore_case, is_token};
use crate::handler::{Platform, Request};
use crate::http::Reject;
use crate::http::head::{Fields, Head, Headers};
use crate::http::write;
use crate::limits::{HEAD_BYTES_MAX, TARGET_BYTES_MAX};
use crate::platform::json::{self, Place, Text, Value};

/// An event that stands for a request.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    pub shape: Shape,
    members: Members<'a>,
    /// Whether its JSON can be read: else it is only known that it is a request.
    is_sound: bool,
}

/// Why there is no request: the status of the answer to its client, and the reason in words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub reason: &'static [u8],
}

/// The members of an event that matter, in the order of [`Member`].
type Members<'a> = [Value<'a>; NAME_COUNT];

#[derive(Clone, Copy, Debug)]
enum Member {
    Method,
    Path,
    RawPath,
    RawQuery,
    Headers,
    MultiHeaders,
    Query,
    MultiQuery,
    ScfQuery,
    Cookies,
    Body,
    IsBase64,
    Context,
    MethodArn,
    RouteArn,
}

const NAMES: &[u8] = b"httpMethod path rawPath rawQueryString headers multiValueHeaders \
    queryStringParameters multiValueQueryStringParameters queryString cookies body isBase64Encoded \
    requestContext methodArn routeArn";

const NAME_COUNT: usize = Member::RouteArn as usize + 1;

/// Headers that no client may send, because on some platform they say who calls: fnboot, or a function that was
/// written for another platform, would believe them.
const IDENTITIES: &[u8] =
    b"x-fc-* lambda-runtime-* x-amzn-request-context x-amzn-lambda-context x-amz-tenant-id";

/// The same on Lambda alone: on SCF it is the platform that sends them.
const SCF_IDENTITIES: &[u8] = b"x-scf-*";

/// Room for the target, and for names and values that have escapes.
const HEAD_ROOM_BYTES: usize = TARGET_BYTES_MAX + HEAD_BYTES_MAX;

impl<'a> Event<'a> {
    /// The request that an event of that platform stands for; `None` if it is any other event, or no JSON.
    ///
    /// The events of an authorizer have all that a request has but its body: they name what is to be
    /// allowed. Those of VPC Lattice have a version like those of HTTP APIs, but no `requestContext.http`.
    #[inline(never)]
    pub fn read(text: &'a [u8], platform: Platform) -> Option<Self> {
        let mut event = Self {
            shape: Shape::Rest,
            members: [Value::default(); NAME_COUNT],
            is_sound: true,
        };
        let mut all = json::members(text)?;
        let is_object = all.pick(NAMES, &mut event.members);
        if !is_object || event.has(Member::MethodArn) || event.has(Member::RouteArn) {
            return None;
        }
        event.shape = event.shape(platform)?;
        event.is_sound = all.is_sound();
        Some(event)
    }

    fn shape(&self, platform: Platform) -> Option<Shape> {
        let context = self.get(Member::Context);
        let is_text = |value: Value<'_>| value.string().is_some();
        if platform == Platform::Lambda && is_text(self.method_of_http()) {
            return is_text(self.get(Member::RawPath)).then_some(Shape::Http);
        }
        if !is_text(self.get(Member::Method)) || !is_text(self.get(Member::Path)) {
            return None;
        }
        match (platform, context.is_object()) {
            (Platform::Scf, true) if self.has(Member::Headers) => Some(Shape::Scf),
            (Platform::Scf, false) if self.has(Member::Headers) && self.has(Member::ScfQuery) => {
                Some(Shape::ScfUrl)
            }
            (Platform::Scf, _) | (_, false) => None,
            _ if !context.member(b"elb").is_object() => Some(Shape::Rest),
            _ if self.has(Member::MultiHeaders) => Some(Shape::AlbMulti),
            _ => Some(Shape::Alb),
        }
    }

    fn get(&self, member: Member) -> Value<'a> {
        self.members
            .get(member as usize)
            .copied()
            .unwrap_or_default()
    }

    fn has(&self, member: Member) -> bool {
        !self.get(member).is_none()
    }

    /// The first of them that is there.
    fn first(&self, members: &[Member]) -> Value<'a> {
        let found = members.iter().find(|&&member| self.has(member));
        found.map_or(Value::default(), |&member| self.get(member))
    }

    fn method_of_http(&self) -> Value<'a> {
        let http = self.get(Member::Context).member(b"http");
        http.member(b"method")
    }

    fn is_base64(&self) -> bool {
        self.get(Member::IsBase64).text() == b"true"
    }

    /// How long a place [`Event::request`] needs. The body is in it only if it is not what stands in the event.
    pub fn room(&self) -> usize {
        let body = self.get(Member::Body).string().unwrap_or_default();
        let is_changed = self.is_base64() || body.plain().is_none();
        HEAD_ROOM_BYTES + if is_changed { body.raw().len() } else { 0 }
    }

    /// The request: what can be is borrowed from the event, the rest is written to `place`.
    ///
    /// # Errors
    /// A request that fnboot would refuse from a client, too; JSON that is not sound; a body that is not base64.
    #[inline(never)]
    pub fn request(
        &self,
        place: &'a mut [u8],
        rows: &'a mut Fields<'a>,
    ) -> Result<Request<'a>, Refusal> {
        let mut draft = Draft {
            place: Place::new(place),
            rows,
            count: 0,
            head_bytes: 0,
            refusal: (!self.is_sound).then_some(bad(b"bad JSON")),
        };
        let method = draft.place.value(match self.shape {
            Shape::Http => self.method_of_http(),
            _ => self.get(Member::Method),
        });
        if method.is_empty() || !method.iter().all(|&byte| is_token(byte)) {
            draft.refuse(Reject::RequestLine);
        }
        // A tunnel is nothing that a function could offer.
        if method == b"CONNECT" {
            draft.refuse(Reject::Method);
        }
        let target = self.target(&mut draft);
        self.put_fields(&mut draft);
        if draft.head_bytes + method.len() + target.len() > HEAD_BYTES_MAX {
            draft.refuse(Reject::HeadTooLarge);
        }
        let body = self.body(&mut draft);
        // A text that was left out may have looked wrong.
        if draft.place.is_full() {
            return Err(Reject::HeadTooLarge.into());
        }
        if let Some(refusal) = draft.refusal {
            return Err(refusal);
        }
        let head = Head {
            method: bytes::text(method),
            target: bytes::text(target),
            headers: Headers::first(draft.rows, draft.count),
            ..Head::default()
        };
        Ok(Request { head, body })
    }

    /// Path and query. A gateway may have decoded the path, and then nothing tells what was encoded: only what can
    /// stand in no target is encoded.
    fn target(&self, draft: &mut Draft<'a>) -> &'a [u8] {
        let mut target = Writer::new(draft.place.take(TARGET_BYTES_MAX));
        let path = draft.place.value(match self.shape {
            Shape::Http => self.get(Member::RawPath),
            _ => self.get(Member::Path),
        });
        if path.first() != Some(&b'/') {
            draft.refuse(Reject::Target);
        }
        put_encoded(path, Keep::Path, &mut target);
        if self.shape == Shape::Http {
            let query = draft.place.value(self.get(Member::RawQuery));
            target.put(if query.is_empty() { b"" } else { b"?" });
            put_encoded(query, Keep::Query, &mut target);
        } else {
            self.put_query(draft, &mut target);
        }
        if target.is_cut() {
            draft.refuse(Reject::TargetTooLong);
        }
        target.finish()
    }

    /// The query of which there are only the parts. API Gateway and SCF have decoded them, a load balancer has not.
    fn put_query(&self, draft: &mut Draft<'a>, target: &mut Writer<'_>) {
        let keep = match self.shape {
            Shape::Alb | Shape::AlbMulti => Keep::Query,
            _ => Keep::Unreserved,
        };
        let query = self.first(&[Member::MultiQuery, Member::ScfQuery, Member::Query]);
        let mut before = &b"?"[..];
        for (name, values) in query.members() {
            let name = draft.place.text(name);
            for (_, value) in values.items() {
                target.put(before);
                put_encoded(name, keep, target);
                // A parameter without a value, in the words of one gateway or another.
                if !matches!(value.text(), b"true" | b"null") {
                    target.put(b"=");
                    put_encoded(draft.place.value(value), keep, target);
                }
                before = b"&";
            }
        }
    }

    fn put_fields(&self, draft: &mut Draft<'a>) {
        let is_scf = matches!(self.shape, Shape::Scf | Shape::ScfUrl);
        let cookies = match self.shape {
            Shape::Http => self.get(Member::Cookies).members(),
            _ => Value::default().members(),
        };
        let has_cookies = cookies.clone().next().is_some();
        let given = self.first(&[Member::MultiHeaders, Member::Headers]);
        for (name, values) in given.members() {
            let name = draft.place.text(name);
            let listed = bytes::text(name);
            // Function URLs have cookies there, too.
            let is_dropped = bytes::is_listed(IDENTITIES, listed)
                || !is_scf && bytes::is_listed(SCF_IDENTITIES, listed)
                || has_cookies && eq_ignore_case(name, b"cookie");
            if is_dropped {
                continue;
            }
            for (_, value) in values.items() {
                if !value.is_none() {
                    let value = draft.place.value(value);
                    draft.put(name, value);
                }
            }
        }
        if has_cookies {
            let mut joined = Writer::new(draft.place.take(self.get(Member::Cookies).text().len()));
            let mut before = &b""[..];
            for (_, cookie) in cookies {
                joined.put(before);
                cookie.string().unwrap_or_default().put(&mut joined);
                // RFC 6265 §4.2.1, and in JSON there are three bytes between two of them.
                before = b"; ";
            }
            draft.put(b"cookie", joined.finish());
        }
    }

    fn body(&self, draft: &mut Draft<'a>) -> &'a [u8] {
        let body = self.get(Member::Body);
        if body.is_none() {
            return b"";
        }
        if !self.is_base64() {
            return draft.place.value(body);
        }
        let text = body.string().unwrap_or_default();
        from_base64(text, &mut draft.place).unwrap_or_else(|| {
            draft.refusal.get_or_insert(bad(b"bad base64"));
            b""
        })
    }
}

fn bad(reason: &'static [u8]) -> Refusal {
    let status = 400;
    Refusal { status, reason }
}

impl From<Reject> for Refusal {
    #[cold]
    fn from(reject: Reject) -> Self {
        Self {
            status: reject.status(),
            reason: reject.reason(),
        }
    }
}

/// A request that is being made. What is wrong with it is noted, and the rest of it then does not matter.
struct Draft<'a> {
    place: Place<'a>,
    rows: &'a mut Fields<'a>,
    /// How many rows there are.
    count: usize,
    /// How long they would be in a head.
    head_bytes: usize,
    refusal: Option<Refusal>,
}

impl<'a> Draft<'a> {
    #[cold]
    #[inline(never)]
    fn refuse(&mut self, reject: Reject) {
        self.refusal.get_or_insert(reject.into());
    }

    /// Another header.
    #[inline(never)]
    fn put(&mut self, name: &'a [u8], value: &'a [u8]) {
        let name = bytes::text(name);
        let value = bytes::trim(value);
        if !write::is_field(name, value) {
            return self.refuse(Reject::Field);
        }
        let Some(row) = self.rows.get_mut(self.count) else {
            return self.refuse(Reject::TooManyFields);
        };
        (row.name, row.value) = (name, value);
        self.count += 1;
        self.head_bytes += name.len() + value.len() + 4;
    }
}

/// What of a part of a target stays as it is; anything else is percent-encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Keep {
    /// What can stand in a path (RFC 9112 §3.2, RFC 3986 §3.3, and what browsers leave); a percent sign if it is
    /// that of an encoded byte.
    Path,
    /// The same of a query, which is the client's own, percent signs and all.
    Query,
    /// What needs no encoding anywhere (RFC 3986 §2.3).
    Unreserved,
}

#[inline(never)]
fn put_encoded(part: &[u8], keep: Keep, target: &mut Writer<'_>) {
    let is_hex = |at: usize| {
        let digit = part.get(at).copied().and_then(bytes::hex_digit);
        digit.is_some()
    };
    for (at, &byte) in part.iter().enumerate() {
        let is_visible = (b'!'..=b'~').contains(&byte) && !bytes::has(b"\"<>#", byte);
        let is_kept = match (keep, byte) {
            (Keep::Unreserved, _) => byte.is_ascii_alphanumeric() || bytes::has(b"-._~", byte),
            (Keep::Path, b'?') => false,
            (Keep::Path, b'%') => is_hex(at + 1) && is_hex(at + 2),
            _ => is_visible,
        };
        if is_kept {
            target.put(&[byte]);
        } else {
            let digit = |value: u8| value + if value < 10 { b'0' } else { b'A' - 10 };
            target.put(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// The bytes that a text is in base64.
pub(super) fn from_base64<'a>(text: Text<'a>, place: &mut Place<'a>) -> Option<&'a [u8]> {
    let place = place.take(text.raw().len());
    let mut writer = Writer::new(place);
    text.put(&mut writer);
    let len = writer.written().len();
    decode_base64(bytes::slice_mut(place, 0..len))
}

/// Decodes base64 (RFC 4648 §4) where it lies: padded, and without bits that mean nothing.
#[inline(never)]
pub fn decode_base64(text: &mut [u8]) -> Option<&[u8]> {
    let padding = text.iter().rev().take_while(|&&byte| byte == b'=').count();
    let digit_count = text.len() - padding;
    if !text.len().is_multiple_of(4) || padding > 2 {
        return None;
    }
    let (mut bits, mut len) = (0u32, 0);
    for at in 0..digit_count {
        bits = bits << 6 | u32::from(base64_value(*text.get(at)?)?);
        // Behind the second, third and fourth digit of a group another byte is complete.
        if at % 4 > 0 {
            let left = 6 - 2 * (at % 4);
            *text.get_mut(len)? = (bits >> left & 255) as u8;
            len += 1;
        }
    }
    let spare = (1u32 << (2 * padding)) - 1;
    (bits & spare == 0).then_some(bytes::slice(text, 0..len))
}

/// What is more than any digit.
const NO_DIGIT: u8 = 64;

/// The values of the digits from the first on in ASCII, `+`, to the last.
const VALUES: [u8; 80] = {
    let digits = bytes::BASE64_DIGITS;
    let mut values = [NO_DIGIT; 80];
    let mut value = 0;
    while value < NO_DIGIT {
        values[(digits[value as usize] - b'+') as usize] = value;
        value += 1;
    }
    values
};

fn base64_value(digit: u8) -> Option<u8> {
    let value = VALUES.get(usize::from(digit.wrapping_sub(b'+')));
    value.copied().filter(|&value| value < NO_DIGIT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::head;
    use serde_json::{Value as Json, json};
    use std::borrow::ToOwned;
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    /// Miri is slow, and one in so many cases shows it as much.
    const STEP: usize = if cfg!(miri) { 83 } else { 1 };

    /// What a function sees: `METHOD TARGET`, a line for each header, an empty line, the body.
    fn seen(event: &str, platform: Platform) -> Option<(Shape, Result<String, Refusal>)> {
        let event = Event::read(event.as_bytes(), platform)?;
        let mut place = std::vec![0xaa; event.room()];
        let mut rows = head::fields();
        let request = event.request(&mut place, &mut rows).map(|request| {
            let mut text = format!("{} {}\n", request.method(), request.target());
            for (name, value) in request.headers() {
                text = text + name + ": " + &String::from_utf8_lossy(value) + "\n";
            }
            text + "\n" + &String::from_utf8_lossy(request.body())
        });
        Some((event.shape, request))
    }

    #[track_caller]
    fn check(event: &Json, platform: Platform, shape: Shape, want: &str) {
        let (seen_shape, seen) = seen(&event.to_string(), platform).expect("a request");
        assert_eq!(seen_shape, shape);
        assert_eq!(seen.as_deref(), Ok(want));
    }

    #[track_caller]
    fn check_refused(event: &Json, reject: Reject) {
        let (_, seen) = seen(&event.to_string(), Platform::Lambda).expect("a request");
        assert_eq!(seen, Err(reject.into()));
    }

    /// As API Gateway sends it, with all that does not matter.
    fn rest() -> Json {
        json!({
            "resource": "/{proxy+}", "path": "/a/b%20c", "httpMethod": "POST",
            "headers": {"Accept": "last", "Host": "h"},
            "multiValueHeaders": {"Accept": ["a/b", "last"], "Host": ["h"]},
            "queryStringParameters": {"n": "2", "é &": "x y"},
            "multiValueQueryStringParameters": {"n": ["1", "2"], "é &": ["x y"], "empty": [""]},
            "pathParameters": {"proxy": "a"}, "stageVariables": null,
            "requestContext": {
                "accountId": "1", "apiId": "x", "stage": "prod", "path": "/prod/a", "protocol": "HTTP/1.1",
                "requestId": "r", "identity": {"sourceIp": "1.2.3.4", "userAgent": null}, "httpMethod": "POST",
            },
            "body": "{\r\n\t\"a\": 1\r\n}", "isBase64Encoded": false,
        })
    }

    fn http() -> Json {
        json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/my path/é?#%zz%2F",
            "rawQueryString": "a=1&a=2&b=%20+c?", "cookies": ["x=1", "y=\"2\""],
            "headers": {"cookie": "old=1", "host": "h", "accept": "a,b", "x-fc-request-id": "forged"},
            "queryStringParameters": {"a": "1,2", "b": "  c"},
            "requestContext": {
                "accountId": "1", "http": {"method": "GET", "path": "/my", "protocol": "HTTP/1.1"},
                "requestId": "r", "stage": "$default", "timeEpoch": 1_673_437_534_837_u64,
            },
            "isBase64Encoded": false,
        })
    }

    fn alb(is_multi: bool) -> Json {
        let context = json!({"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-west-1:1:targetgroup/a/b"}});
        let mut event = json!({
            "requestContext": context, "httpMethod": "GET", "path": "/a", "isBase64Encoded": false, "body": "",
        });
        if is_multi {
            event["multiValueHeaders"] =
                json!({"cookie": ["a=1", "b=2"], "x-scf-request-id": ["forged"]});
            event["multiValueQueryStringParameters"] = json!({"k": ["%3Fa%3D", "+"], "": [""]});
        } else {
            event["headers"] = json!({"cookie": "a=1"});
            event["queryStringParameters"] = json!({"k": "%3Fa%3D+"});
        }
        event
    }

    fn scf() -> Json {
        json!({
            "requestContext": {"serviceId": "service-1", "path": "/test", "httpMethod": "POST", "requestId": "r",
                "identity": {"secretId": "a"}, "sourceIp": "1.2.3.4", "stage": "release"},
            "headers": {"Host": "h", "X-Many": ["1", "2"], "x-scf-remote-addr": "1.2.3.4"}, "headerParameters": {},
            "pathParameters": {}, "path": "/test/value", "queryString": {"foo": "bar baz", "b": ["1", "2"], "c": true},
            "queryStringParameters": {"unused": "1"}, "httpMethod": "POST", "body": "aGk=",
            "stageVariables": {"stage": "release"}, "isBase64Encoded": true,
        })
    }

    #[test]
    fn requests_are_what_their_clients_sent() {
        let lambda = |event: &Json, shape, want| check(event, Platform::Lambda, shape, want);
        lambda(
            &rest(),
            Shape::Rest,
            "POST /a/b%20c?empty=&n=1&n=2&%C3%A9%20%26=x%20y\nAccept: a/b\nAccept: last\nHost: h\n\n\
            {\r\n\t\"a\": 1\r\n}",
        );
        lambda(
            &http(),
            Shape::Http,
            "GET /my%20path/%C3%A9%3F%23%25zz%2F?a=1&a=2&b=%20+c?\naccept: a,b\nhost: h\n\
            cookie: x=1; y=\"2\"\n\n",
        );
        lambda(
            &alb(false),
            Shape::Alb,
            "GET /a?k=%3Fa%3D+\ncookie: a=1\n\n",
        );
        lambda(
            &alb(true),
            Shape::AlbMulti,
            "GET /a?=&k=%3Fa%3D&k=+\ncookie: a=1\ncookie: b=2\n\n",
        );
        let scf = |event: &Json, shape, want| check(event, Platform::Scf, shape, want);
        let want = "POST /test/value?b=1&b=2&c&foo=bar%20baz\nHost: h\nX-Many: 1\nX-Many: 2\n\
            x-scf-remote-addr: 1.2.3.4\n\nhi";
        scf(&super::tests::scf(), Shape::Scf, want);
        let url = json!({
            "body": "{\"test\":1}", "headers": {"accept": "*/*"}, "httpMethod": "PUT", "path": "/",
            "queryString": {},
        });
        scf(&url, Shape::ScfUrl, "PUT /\naccept: */*\n\n{\"test\":1}");
    }

    /// Whatever is null or not there is as if there were none.
    #[test]
    fn what_is_missing_is_none() {
        let mut event = rest();
        for name in [
            "multiValueHeaders",
            "multiValueQueryStringParameters",
            "queryStringParameters",
            "body",
        ] {
            event[name] = Json::Null;
        }
        event["path"] = "/".into();
        let want = "POST /\nAccept: last\nHost: h\n\n";
        check(&event, Platform::Lambda, Shape::Rest, want);
        let mut event = http();
        for name in ["cookies", "rawQueryString", "headers"] {
            event.as_object_mut().expect("an object").remove(name);
        }
        event["rawPath"] = "/".into();
        check(&event, Platform::Lambda, Shape::Http, "GET /\n\n");
        event["cookies"] = json!([]);
        event["headers"] = json!({"Cookie": "a=1"});
        check(
            &event,
            Platform::Lambda,
            Shape::Http,
            "GET /\nCookie: a=1\n\n",
        );
    }

    /// Events that are no requests, though some look like one.
    #[test]
    fn other_events_are_left_alone() {
        let lattice = json!({
            "version": "2.0", "path": "/", "method": "GET", "headers": {"host": ["h"]},
            "queryStringParameters": {"a": "b"}, "body": "", "isBase64Encoded": false,
            "requestContext": {"serviceNetworkArn": "a", "serviceArn": "b", "targetGroupArn": "c",
                "identity": {"type": "AWS_IAM"}, "region": "r", "timeEpoch": "1"},
        });
        let mut authorizer = rest();
        authorizer["type"] = "REQUEST".into();
        authorizer["methodArn"] = "arn:aws:execute-api:a:1:x/test/GET/".into();
        let mut authorizer_v2 = http();
        authorizer_v2["routeArn"] = "arn:aws:execute-api:a:1:x/$default/GET/".into();
        let socket = json!({
            "headers": {"Host": "h"}, "multiValueHeaders": {"Host": ["h"]}, "isBase64Encoded": false,
            "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "c", "stage": "s"},
        });
        for event in [
            lattice,
            authorizer,
            authorizer_v2,
            socket,
            json!({"raw_path": "/", "method": "GET", "headers": {}, "body": "", "is_base64_encoded": false}),
            json!({"Records": [{"messageId": "1", "body": "{\"httpMethod\":\"GET\",\"path\":\"/\"}",
                "eventSource": "aws:sqs"}]}),
            json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "m"}}]}),
            json!({"Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"name": "b"}}}]}),
            json!({"version": "0", "detail-type": "Scheduled Event", "source": "aws.events", "detail": {}}),
            json!({"Type": "Timer", "TriggerName": "t", "Time": "2026-01-01T00:00:00Z", "Message": "m"}),
            json!({"httpMethod": "GET", "path": "/"}),
            json!({"httpMethod": "GET", "path": "/", "requestContext": "x"}),
            json!({"httpMethod": 1, "path": "/", "requestContext": {}}),
            json!({"rawPath": "/", "requestContext": {"http": {"path": "/"}}}),
            json!({"requestContext": {"http": {"method": "GET"}}}),
            json!([{"httpMethod": "GET", "path": "/", "requestContext": {}}]),
            json!("httpMethod"),
            json!({}),
        ] {
            for platform in [Platform::Lambda, Platform::Scf] {
                assert_eq!(seen(&event.to_string(), platform), None, "{event}");
            }
        }
        // A function URL's event of SCF is none on Lambda.
        let url = json!({"headers": {}, "httpMethod": "GET", "path": "/", "queryString": {}});
        assert_eq!(seen(&url.to_string(), Platform::Lambda), None);
        assert!(seen(&url.to_string(), Platform::Scf).is_some());
        for text in ["", "{", "null", "{\"httpMethod\":\"GET\"", "\u{feff}{}"] {
            assert_eq!(seen(text, Platform::Lambda), None, "{text}");
        }
        let cut = rest().to_string();
        let ends = (0..cut.len()).step_by(STEP);
        for end in ends.filter(|&end| cut.is_char_boundary(end)) {
            assert_eq!(seen(&cut[..end], Platform::Lambda), None, "{end}");
        }
        assert_eq!(seen(&(cut + "x"), Platform::Lambda), None);
    }

    #[test]
    fn what_no_client_may_send_is_refused() {
        for (name, value, reject) in [
            ("httpMethod", json!("G T"), Reject::RequestLine),
            ("httpMethod", json!(""), Reject::RequestLine),
            ("httpMethod", json!("CONNECT"), Reject::Method),
            ("path", json!("a"), Reject::Target),
            ("path", json!(""), Reject::Target),
            ("path", json!("/".repeat(8193)), Reject::TargetTooLong),
            (
                "path",
                json!(format!("/{}", "é".repeat(1366))),
                Reject::TargetTooLong,
            ),
            ("multiValueHeaders", json!({"a b": ["c"]}), Reject::Field),
            (
                "multiValueHeaders",
                json!({"a": ["b\r\nc: d"]}),
                Reject::Field,
            ),
            ("multiValueHeaders", json!({"a": ["b\u{0}"]}), Reject::Field),
            (
                "multiValueHeaders",
                json!({"a": std::vec!["b"; 101]}),
                Reject::TooManyFields,
            ),
            (
                "multiValueHeaders",
                json!({"a": ["b".repeat(16_384)]}),
                Reject::HeadTooLarge,
            ),
            (
                "multiValueHeaders",
                json!({"a": ["\t".repeat(16_384)]}),
                Reject::HeadTooLarge,
            ),
        ] {
            let mut event = rest();
            event[name] = value;
            // Miri takes a minute for these, and the code is that of the short ones.
            if cfg!(miri) && event.to_string().len() > 2048 {
                continue;
            }
            check_refused(&event, reject);
        }
        let mut event = rest();
        event["isBase64Encoded"] = true.into();
        for bad in [
            "a", "ab", "abc", "ab=c", "a===", "====", "ab==cdef", "ab*=", "aGl=", "aG\n=", "YQ",
        ] {
            event["body"] = bad.into();
            let (_, seen) = seen(&event.to_string(), Platform::Lambda).expect("a request");
            assert_eq!(seen.map_err(|refusal| refusal.status), Err(400), "{bad}");
        }
    }

    /// What is a request is refused if it can be no text, or is nested too deep; what is no JSON is none.
    #[test]
    fn requests_in_json_that_is_not_read() {
        let refused = Some((
            Shape::Rest,
            Err(Refusal {
                status: 400,
                reason: b"bad JSON",
            }),
        ));
        let deep = |depth: usize| "[".repeat(depth) + "\"]\"" + &"]".repeat(depth);
        let request = rest().to_string();
        for (from, to) in [
            ("b%20c", "\\ud800".to_owned()),
            ("last", "\\udc00".to_owned()),
            ("x y", "\\ud83d\\ud83d\\ude00".to_owned()),
            ("1.2.3.4", "\\uD800\\u0041".to_owned()),
            ("Host", "\\ud800 \\udc00".to_owned()),
            ("null", deep(65)),
            ("null", deep(3000)),
        ] {
            let text = request.replace(from, &to);
            assert_eq!(seen(&text, Platform::Lambda), refused, "{text}");
            assert_eq!(seen(&(text.clone() + "x"), Platform::Lambda), None);
            let other = text.replace("httpMethod", "method");
            assert_eq!(seen(&other, Platform::Lambda), None);
        }
        for (from, to) in [
            ("b%20c", "\\ud800\\x"),
            ("b%20c", "\\ud8"),
            ("b%20c", "\\ud800\\ud8"),
            ("null", &deep(65)[1..]),
            ("null", &deep(65)[..70]),
        ] {
            let text = request.replace(from, to);
            assert_eq!(seen(&text, Platform::Lambda), None, "{text}");
        }
        let fits = request.replace("null", &deep(60));
        assert!(matches!(seen(&fits, Platform::Lambda), Some((_, Ok(_)))));
    }

    /// However the names of members are spelt, the event is the same.
    #[test]
    fn names_may_have_escapes() {
        for (event, platform) in [
            (rest(), Platform::Lambda),
            (http(), Platform::Lambda),
            (alb(true), Platform::Lambda),
            (scf(), Platform::Scf),
        ] {
            let plain = event.to_string();
            let want = seen(&plain, platform);
            assert!(matches!(want, Some((_, Ok(_)))));
            let names = bytes::split(NAMES, b' ').map(|name| String::from_utf8_lossy(name));
            let more = ["http", "method", "elb"].map(Into::into);
            // Each of them somewhere.
            for name in names.chain(more).step_by(if cfg!(miri) { 5 } else { 1 }) {
                let (first, rest) = name.split_at(1);
                let spelt = format!("\\u{:04x}{rest}", first.as_bytes()[0]);
                let spelt = plain.replace(&format!("\"{name}\":"), &format!("\"{spelt}\":"));
                assert_eq!(seen(&spelt, platform), want, "{spelt}");
            }
        }
        let authorizer = rest()
            .to_string()
            .replace("\"stageVariables\":null", "\"method\\u0041rn\":\"a\"");
        assert_eq!(seen(&authorizer, Platform::Lambda), None);
    }

    #[test]
    fn base64_is_decoded_in_place() {
        use crate::bytes::Writer;
        for len in (0..=255).step_by(STEP) {
            let bytes: Vec<u8> = (len..=255)
                .chain(0..=len)
                .cycle()
                .take(len.into())
                .collect();
            let mut place = [0; 400];
            let mut writer = Writer::new(&mut place);
            writer.put_base64(&bytes);
            let text = writer.finish().to_owned();
            assert_eq!(decode_base64(&mut text.clone()), Some(&bytes[..]));
            // Some encoders escape slashes.
            let mut event = rest();
            event["isBase64Encoded"] = true.into();
            event["path"] = "/".into();
            event["body"] = "%".into();
            let text = String::from_utf8(text).expect("text").replace('/', "\\/");
            let event = event.to_string().replace("\"%\"", &format!("\"{text}\""));
            let (_, seen) = seen(&event, Platform::Lambda).expect("a request");
            let want = String::from_utf8_lossy(&bytes).into_owned();
            assert!(seen.expect("well-formed").ends_with(&want));
        }
    }

    #[test]
    fn digits_of_base64() {
        for byte in 0..=255_u8 {
            let digits = bytes::BASE64_DIGITS;
            let value = digits.iter().position(|&digit| digit == byte);
            assert_eq!(base64_value(byte).map(usize::from), value, "{byte}");
        }
    }

    /// A body is borrowed where it stands in the event as it is.
    #[test]
    fn a_plain_body_is_not_copied() {
        let mut event = rest();
        event["body"] = "é plain".into();
        let text = event.to_string();
        let event = Event::read(text.as_bytes(), Platform::Lambda).expect("a request");
        assert_eq!(event.room(), HEAD_ROOM_BYTES);
        let (mut place, mut rows) = (std::vec![0; event.room()], head::fields());
        let request = event.request(&mut place, &mut rows).expect("well-formed");
        assert!(bytes::position(text.as_bytes(), request.body()).is_some());
    }
}
