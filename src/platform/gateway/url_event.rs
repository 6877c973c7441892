//! From a request to the event that a function URL makes of it: what [`event`](super::event) reads.
//!
//! Lambda's events have payload format 2.0. AWS's guide leaves details open; they are taken from events that others
//! recorded. SCF's have what its guide shows, and beyond it `isBase64Encoded`, without which no function can
//! be sent bytes, and `requestContext`. Whatever is UTF-8 and not coded is text there, because functions were
//! written for the events of the guide.
//!
//! Headers and the query become objects in which each name is once. Both are lists first, in which a name is looked for.

use super::Shape;
use super::answer::{self, Form};
use crate::bytes::{self, Writer};
use crate::calendar::civil;
use crate::handler::Request;
use crate::http::head;
use crate::http::{date, forward, host};
use crate::limits::{HEAD_BYTES_MAX, PARAMETER_COUNT_MAX};

/// What is known of a request that does not stand in it.
#[derive(Clone, Copy, Debug)]
pub struct Origin<'a> {
    pub request_id: &'a [u8],
    pub source_ip: &'a [u8],
    /// When it came, in milliseconds since the Unix epoch.
    pub now_ms: u64,
}

/// Headers by which a platform hands out credentials: a function that logs its event must not log them.
const SECRETS: &[u8] = b"x-fc-access-key-* x-fc-security-token x-scf-secret-* x-scf-session-token";

/// Content types that stand as text in an event of AWS's, as seen at API Gateway; a form is not among them.
const TEXT_TYPES: &[u8] = b"text/* application/json* application/javascript* application/xml*";

/// The beginning of an event, up to its headers. A tilde and a letter stand for a value: see [`put_start`].
const HTTP_TEXT: &[u8] = br#"{"version":"2.0","routeKey":"$default","rawPath":"~a","rawQueryString":"~b","requestContext":{"accountId":"anonymous","apiId":"~c","domainName":"~d","domainPrefix":"~c","http":{"method":"~e","path":"~a","protocol":"HTTP/1.1","sourceIp":"~f","userAgent":"~g"},"requestId":"~h","routeKey":"$default","stage":"$default","time":"~i","timeEpoch":~j},"headers":{"#;
static HTTP: [u8; HTTP_TEXT.len()] = bytes::named(HTTP_TEXT);
const SCF: &[u8] = br#"{"httpMethod":"~e","path":"~a","requestContext":{"httpMethod":"~e","path":"~a","requestId":"~h","sourceIp":"~f"},"headers":{"#;

/// How often a text of the head is in an event at most (the host is), and how long JSON makes a byte.
const HEAD_FACTOR: usize = 4 * 6;

/// What JSON puts around a field.
const FIELD_BYTES_MAX: usize = 16;

/// What an event has for any request.
const FIXED_BYTES_MAX: usize = 1024;

/// How long the place for an event has to be at most.
#[must_use]
pub fn event_room(shape: Shape, request: &Request<'_>, origin: &Origin<'_>) -> usize {
    let mut texts = request.target().len() + origin.request_id.len() + origin.source_ip.len();
    let mut room = FIXED_BYTES_MAX + form(shape, request).len(request.body);
    for (name, value) in request.headers() {
        texts += name.len() + value.len();
        room += FIELD_BYTES_MAX;
    }
    room + HEAD_FACTOR * texts
}

/// Appends the event that a request is to a function URL: Lambda's ([`Shape::Http`]), or SCF's.
#[inline(never)]
pub fn put_event(shape: Shape, request: &Request<'_>, origin: &Origin<'_>, into: &mut Writer<'_>) {
    let (path, query) = head::split_target(request.head.target);
    let query = query.unwrap_or_default().as_bytes();
    put_start(shape, request, [path.as_bytes(), query], origin, into);
    let mut place = [0; HEAD_BYTES_MAX];
    let fields = list_fields(request, &mut place);
    put_object(fields, Kind::Fields, into);
    let is_scf = shape == Shape::ScfUrl;
    let (name, kind): (&[u8], Kind) = if is_scf {
        (b",\"queryString\":{", Kind::ScfQuery)
    } else {
        put_cookies(fields, into);
        (b",\"queryStringParameters\":{", Kind::Query)
    };
    // On AWS a query or a body that is empty is none.
    if is_scf || !query.is_empty() {
        into.put(name);
        put_object(list_query(query, &mut place), kind, into);
    }
    if is_scf || !request.body.is_empty() {
        let form = form(shape, request);
        form.put_name(Shape::Http, into);
        form.put(request.body, into);
        into.put(answer::END);
    } else {
        into.put(b",\"isBase64Encoded\":false}");
    }
}

/// The beginning of the event: what a letter stands for is the value of that place, or the time, as text or as a number.
fn put_start(
    shape: Shape,
    request: &Request<'_>,
    [path, query]: [&[u8]; 2],
    origin: &Origin<'_>,
    into: &mut Writer<'_>,
) {
    let header = |name| request.header(name).unwrap_or_default();
    let domain = host::without_port(header("host"));
    let values = [
        path,
        query,
        bytes::before(domain, b'.'),
        domain,
        request.method().as_bytes(),
        origin.source_ip,
        header("user-agent"),
        origin.request_id,
    ];
    let mut rest = if shape == Shape::ScfUrl { SCF } else { &HTTP };
    while let Some(part) = bytes::take_part(&mut rest, b'~') {
        // Behind the last part there is no letter, and no value has the number that comes of it.
        let letter = rest.first().copied().unwrap_or_default();
        rest = rest.get(1..).unwrap_or_default();
        let value = values.get(usize::from(letter.wrapping_sub(b'a')));
        answer::put_value(part, value.copied().unwrap_or_default(), into);
        match letter {
            b'i' => put_time(origin.now_ms / 1000, into),
            b'j' => into.put_decimal(origin.now_ms),
            _ => {}
        }
    }
}

/// `18/Apr/2023:17:01:46 +0000`.
fn put_time(second: u64, into: &mut Writer<'_>) {
    let now = civil(second);
    into.put_numbers(b"2/", &[now.day]);
    into.put(date::month(now.month));
    let numbers = [now.year, now.hour, now.minute, now.second, 0];
    into.put_numbers(b"/4:2:2:2 +4", &numbers);
}

/// What ends a name and a value in a list of them. No UTF-8 has these bytes.
const NAME_END: u8 = 0xfe;
const VALUE_END: u8 = 0xff;

/// The headers as a list, their names in lower case. It is shorter than the head, in which more stands around them. The
/// body may have come in chunks, so its length is told anew.
fn list_fields<'p>(request: &Request<'_>, place: &'p mut [u8]) -> &'p [u8] {
    let mut list = Writer::new(place);
    for (name, value) in request.headers() {
        if bytes::is_listed(SECRETS, name) || forward::is_of_hop(request.head.headers, name) {
            continue;
        }
        for byte in name.bytes() {
            list.push(byte.to_ascii_lowercase());
        }
        list.push(NAME_END);
        for &byte in value {
            list.push(if byte < NAME_END { byte } else { b'?' });
        }
        list.push(VALUE_END);
    }
    if !request.body.is_empty() {
        list.put(b"content-length\xfe");
        list.put_decimal(request.body.len() as u64);
    }
    list.finish()
}

/// The parameters of a query as a list, decoded as those of a form. What is not the code of a byte, or that of a mark,
/// stands for itself. There is a bound, because each is compared with all others.
fn list_query<'p>(query: &[u8], place: &'p mut [u8]) -> &'p [u8] {
    let mut list = Writer::new(place);
    let (mut rest, mut is_name, mut count) = (query, true, 0);
    while let [byte, behind @ ..] = rest {
        rest = behind;
        let mut byte = match byte {
            b'&' => VALUE_END,
            b'=' if is_name => NAME_END,
            b'+' => b' ',
            byte => *byte,
        };
        is_name = byte == VALUE_END || is_name && byte != NAME_END;
        count += usize::from(byte == VALUE_END);
        if count == PARAMETER_COUNT_MAX {
            break;
        }
        if let (b'%', [high, low, behind @ ..]) = (byte, behind)
            && let (Some(high), Some(low)) = (bytes::hex_digit(*high), bytes::hex_digit(*low))
            && high << 4 | low < NAME_END
        {
            (byte, rest) = (high << 4 | low, behind);
        }
        list.push(byte);
    }
    list.finish()
}

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Fields,
    Query,
    /// Several values of a name make an array, because in an event of SCF's there is no other query to look at.
    ScfQuery,
}

/// The members of an object, and its closing brace: each name once, its values joined.
#[inline(never)]
fn put_object(list: &[u8], kind: Kind, into: &mut Writer<'_>) {
    let mut before = &b"\""[..];
    let mut rest = list;
    while let Some(item) = bytes::take_part(&mut rest, VALUE_END) {
        let name = bytes::before(item, NAME_END);
        let mut later = list;
        let Some(mut value) = take_value(&mut later, name) else {
            continue;
        };
        // An earlier one of that name has been put with all others.
        if later.len() != rest.len() {
            continue;
        }
        answer::put_value(before, name, into);
        let mut next = take_value(&mut later, name);
        let is_array = kind == Kind::ScfQuery && next.is_some();
        into.put(if is_array { b"\":[" } else { b"\":" });
        // Cookies cannot be joined by a comma (RFC 6265 §4.2.1).
        let comma: &[u8] = match kind {
            Kind::ScfQuery => b"\",\"",
            Kind::Fields if name == b"cookie" => b"; ",
            _ => b",",
        };
        let mut between = &b"\""[..];
        loop {
            answer::put_value(between, value, into);
            let Some(behind) = next else {
                break;
            };
            between = comma;
            (value, next) = (behind, take_value(&mut later, name));
        }
        into.put(if is_array { b"\"]" } else { b"\"" });
        before = b",\"";
    }
    into.put(b"}");
}

/// The cookies, if there are any.
fn put_cookies(fields: &[u8], into: &mut Writer<'_>) {
    let (mut before, mut end): (&[u8], &[u8]) = (b",\"cookies\":[\"", b"");
    let mut fields = fields;
    while let Some(mut value) = take_value(&mut fields, b"cookie") {
        while let Some(cookie) = bytes::take_part(&mut value, b';') {
            let cookie = bytes::trim(cookie);
            if !cookie.is_empty() {
                answer::put_value(before, cookie, into);
                (before, end) = (b"\",\"", b"\"]");
            }
        }
    }
    into.put(end);
}

/// Takes the items of a list up to the next of that name, whose value is returned.
#[inline(never)]
fn take_value<'a>(list: &mut &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    while let Some(item) = bytes::take_part(list, VALUE_END) {
        let Some((start, behind)) = item.split_at_checked(name.len()) else {
            continue;
        };
        match behind.split_first() {
            Some((&NAME_END, value)) if start == name => return Some(value),
            None if start == name && !item.is_empty() => return Some(b""),
            _ => {}
        }
    }
    None
}

/// How the body stands in the event.
fn form(shape: Shape, request: &Request<'_>) -> Form {
    let header = |name| request.head.headers.text(name).unwrap_or_default();
    // No coding is as good as that one.
    let is_coded = !bytes::is_listed(b"identity ", header("content-encoding"));
    let is_other = shape == Shape::Http && !bytes::is_listed(TEXT_TYPES, header("content-type"));
    Form::of(is_coded || is_other, request.body)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::handler::Platform;
    use crate::http::head::{Head, Headers};
    use crate::platform::gateway::event::Event;
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::borrow::ToOwned;
    use std::format;
    use std::string::{String, ToString};
    use std::vec::Vec;

    const ORIGIN: Origin<'_> = Origin {
        request_id: b"5bbd0e3e-fe7a-4299-9076-32d4de45391b",
        source_ip: b"127.0.0.1",
        now_ms: 1_681_837_306_806,
    };

    /// The event of that request.
    fn event(
        shape: Shape,
        method: &str,
        target: &str,
        fields: &[(&str, &[u8])],
        body: &[u8],
    ) -> Vec<u8> {
        let mut rows = head::fields();
        for (row, (name, value)) in rows.iter_mut().zip(fields) {
            (row.name, row.value) = (name, value);
        }
        let head = Head {
            method,
            target,
            headers: Headers::first(&rows, fields.len()),
            ..Head::default()
        };
        let request = Request { head, body };
        let mut place = std::vec![0; event_room(shape, &request, &ORIGIN)];
        let mut into = Writer::new(&mut place);
        put_event(shape, &request, &ORIGIN, &mut into);
        assert!(!into.is_cut());
        into.finish().to_owned()
    }

    /// The event of `METHOD TARGET | NAME: VALUE | …`; what is posted is `body`.
    fn told(shape: Shape, request: &str, body: &[u8]) -> Value {
        let mut parts = request.split(" | ");
        let first = parts.next().and_then(|first| first.split_once(' '));
        let (method, target) = first.expect("a request");
        let field = |part: &str| {
            let (name, value) = part.split_once(':').expect("a field");
            (name.to_owned(), value.trim().to_owned())
        };
        let fields: Vec<(String, String)> = parts.map(field).collect();
        let fields: Vec<(&str, &[u8])> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_bytes()))
            .collect();
        let body = if method == "POST" { body } else { b"" };
        let event = event(shape, method, target, &fields, body);
        serde_json::from_slice(&event).expect("JSON")
    }

    const REQUEST: &str = "POST /hello?hello=world&foo=bar | Host: url-id.lambda-url.us-west-2.on.aws | \
        User-Agent: python-requests/2.28.2 | Accept: */* | Connection: keep-alive, x-hop | X-Hop: a | \
        Content-Length: 18 | Content-Type: application/json | Cookie: foo=bar; hello=hello | header2: h1 | \
        Transfer-Encoding: chunked | Header2: h2 | X-Fc-Access-Key-Id: no | x-fc-access-key-secret: no | \
        X-Fc-Security-Token: no | X-Scf-Secret-Id: no | X-Scf-Secret-Key: no | x-scf-session-token: no";

    /// An event that was recorded at AWS, without what only AWS adds, and what was sent; and the headers of FC and SCF that
    /// no event has.
    #[test]
    fn a_request_is_the_event_that_aws_sends() {
        let want = json!({
            "version": "2.0", "routeKey": "$default", "rawPath": "/hello",
            "rawQueryString": "hello=world&foo=bar", "cookies": ["foo=bar", "hello=hello"],
            "headers": {
                "accept": "*/*", "content-length": "18", "content-type": "application/json",
                "cookie": "foo=bar; hello=hello", "header2": "h1,h2", "host": "url-id.lambda-url.us-west-2.on.aws",
                "user-agent": "python-requests/2.28.2",
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
                "time": "18/Apr/2023:17:01:46 +0000", "timeEpoch": 1_681_837_306_806_u64,
            },
            "body": "{\"hello\": \"world\"}", "isBase64Encoded": false
        });
        let got = told(Shape::Http, REQUEST, b"{\"hello\": \"world\"}");
        assert_eq!(got, want);
    }

    #[test]
    fn a_request_is_the_event_that_scf_sends() {
        let want = json!({
            "httpMethod": "POST", "path": "/hello", "queryString": {"foo": "bar", "hello": "world"},
            "requestContext": {
                "httpMethod": "POST", "path": "/hello", "sourceIp": "127.0.0.1",
                "requestId": "5bbd0e3e-fe7a-4299-9076-32d4de45391b",
            },
            "headers": {
                "accept": "*/*", "content-length": "18", "content-type": "application/json",
                "cookie": "foo=bar; hello=hello", "header2": "h1,h2", "host": "url-id.lambda-url.us-west-2.on.aws",
                "user-agent": "python-requests/2.28.2",
            },
            "body": "{\"hello\": \"world\"}", "isBase64Encoded": false
        });
        let got = told(Shape::ScfUrl, REQUEST, b"{\"hello\": \"world\"}");
        assert_eq!(got, want);
    }

    #[track_caller]
    fn check(shape: Shape, body: &[u8], rows: &str) {
        for row in rows.lines().skip(1) {
            let (request, want) = row.split_once(" => ").expect("a row");
            let (pointer, want) = want.split_once(' ').expect("a pointer");
            let event = told(shape, request, body);
            let got = event
                .pointer(pointer)
                .map_or_else(|| "none".to_owned(), Value::to_string);
            assert_eq!(got, want, "{row}");
        }
    }

    #[test]
    fn parts_of_an_event() {
        check(
            Shape::Http,
            b"",
            r#"
GET /?a=%2B+&%+5&a=/b&&=&%61=%zz%C3%A9 => /queryStringParameters {"":"","% 5":"","a":"+ ,/b,%zzé"}
GET /?a=%e9%C3 => /queryStringParameters/a "éÃ"
GET /?a=b=c%3d&=d&%fe%FF=%fe => /queryStringParameters {"":"d","%fe%FF":"%fe","a":"b=c="}
GET / => /queryStringParameters none
GET /? => /queryStringParameters none
GET /?& => /queryStringParameters {}
GET /?a=%22%0a%00\ => /queryStringParameters/a "\"\n\u0000\\"
GET /%7e/%2F"\?a=%22 => /rawPath "/%7e/%2F\"\\"
GET /a%2Fb?c => /requestContext/http/path "/a%2Fb"
GET /?a="b => /rawQueryString "a=\"b"
GET http://h:80/a?b => /rawPath "/a"
OPTIONS * => /rawPath "*"
GET / | Cookie: a=1;b=2 | Cookie: ;c => /cookies ["a=1","b=2","c"]
GET / | Cookie: a=1;b=2 | Cookie: ;c => /headers/cookie "a=1;b=2; ;c"
GET / | Cookie: ; => /cookies none
GET / => /headers {}
GET / => /body none
GET / => /isBase64Encoded false
GET / | Host: [::1]:80 => /requestContext/domainName "[::1]"
GET / | Host: a.b:80 => /requestContext/domainPrefix "a"
GET / | Host: a.b:80 => /headers/host "a.b:80"
GET / => /requestContext/domainPrefix ""
GET / => /requestContext/http/userAgent ""
GET / | X-Fc-Request-Id: a | X-FC-Access-Key: b => /headers {"x-fc-access-key":"b","x-fc-request-id":"a"}"#,
        );
        check(
            Shape::ScfUrl,
            b"",
            r#"
GET /?a=1&b=%20&a=2&c&a => /queryString {"a":["1","2",""],"b":" ","c":""}
GET / => /queryString {}
GET / => /body ""
GET / | Cookie: a=1 => /cookies none
GET / | Cookie: a=1 | cookie: b=2 => /headers {"cookie":"a=1; b=2"}"#,
        );
    }

    #[test]
    fn bodies_are_text_or_base64() {
        check(
            Shape::Http,
            b"h\n\"",
            r#"
POST / | Content-Type: text/plain => /body "h\n\""
POST / | Content-Type: TEXT/html;charset=utf-8 => /body "h\n\""
POST / | Content-Type: application/json => /isBase64Encoded false
POST / | Content-Type: application/xml ; a=b => /isBase64Encoded false
POST / | Content-Type: application/ld+json => /isBase64Encoded true
POST / | Content-Type: application/x-www-form-urlencoded => /isBase64Encoded true
POST / | Content-Type: application/octet-stream => /body "aAoi"
POST / | Content-Type: text => /isBase64Encoded true
POST / => /body "aAoi"
POST / | Content-Type: text/plain | Content-Encoding: gzip => /body "aAoi"
POST / | Content-Type: text/plain | Content-Encoding: Identity => /isBase64Encoded false
POST / => /headers/content-length "3""#,
        );
        check(
            Shape::Http,
            b"\xff",
            r#"
POST / | Content-Type: application/json => /body "/w=="
POST / | Content-Type: application/json => /isBase64Encoded true"#,
        );
        check(
            Shape::ScfUrl,
            b"a=b",
            r#"
POST / => /body "a=b"
POST / => /isBase64Encoded false
POST / | Content-Type: application/octet-stream => /isBase64Encoded false
POST / | Content-Encoding: br => /body "YT1i""#,
        );
        check(Shape::ScfUrl, b"\xff", "\nPOST / => /isBase64Encoded true");
    }

    #[test]
    fn parameters_are_counted() {
        // Miri would take minutes, and the code is that of the short ones.
        if cfg!(miri) {
            return;
        }
        let query: Vec<String> = (0..PARAMETER_COUNT_MAX + 2)
            .map(|n| format!("{n}=a"))
            .collect();
        let event = event(
            Shape::Http,
            "GET",
            &format!("/?{}", query.join("&")),
            &[],
            b"",
        );
        let event: Value = serde_json::from_slice(&event).expect("JSON");
        let named = event["queryStringParameters"]
            .as_object()
            .expect("an object");
        assert_eq!(named.len(), PARAMETER_COUNT_MAX);
        assert_eq!(event["rawQueryString"], query.join("&"));
    }

    /// A header that is not UTF-8 is Latin-1.
    #[test]
    fn headers_are_text() {
        let event = event(Shape::Http, "GET", "/", &[("A", b"caf\xe9")], b"");
        let event: Value = serde_json::from_slice(&event).expect("JSON");
        assert_eq!(event["headers"]["a"], "café");
    }

    /// Each text of the head that is most often in an event, of bytes that are longest in JSON.
    #[test]
    fn no_event_is_longer_than_its_room() {
        let worst = "\u{7f}".repeat(200);
        let cookies = "a;".repeat(200);
        let fields: Vec<(&str, &[u8])> = ["host", "user-agent", "x"]
            .into_iter()
            .map(|name| (name, worst.as_bytes()))
            .chain([("cookie", cookies.as_bytes())])
            .collect();
        for target in [
            format!("/{worst}?{worst}"),
            format!("/?{}", "a&".repeat(200)),
        ] {
            for shape in [Shape::Http, Shape::ScfUrl] {
                event(shape, "GET", &target, &fields, worst.as_bytes());
            }
        }
    }

    /// A request as it comes back: headers that came often are joined, cookies stand behind all others.
    fn normal(shape: Shape, fields: &[(String, String)], body: &[u8]) -> Vec<(String, String)> {
        let mut normal: Vec<(String, String)> = Vec::new();
        for (name, value) in fields {
            let name = name.to_lowercase();
            let is_cookie = name == "cookie";
            match normal.iter_mut().find(|(other, _)| *other == name) {
                Some((_, values)) => {
                    let comma = if is_cookie { "; " } else { "," };
                    *values = format!("{values}{comma}{value}");
                }
                None => normal.push((name, value.clone())),
            }
        }
        if !body.is_empty() {
            normal.push(("content-length".into(), body.len().to_string()));
        }
        let is_cookie = |(name, _): &(String, String)| name == "cookie";
        if let Some(at) = normal
            .iter()
            .position(is_cookie)
            .filter(|_| shape == Shape::Http)
        {
            let (name, value) = normal.remove(at);
            let cookies: Vec<&str> = value.split(';').map(str::trim).collect();
            let cookies: Vec<&str> = cookies
                .into_iter()
                .filter(|cookie| !cookie.is_empty())
                .collect();
            if cookies.is_empty() {
                normal.insert(at, (name, value));
            } else {
                normal.push((name, cookies.join("; ")));
            }
        }
        for (_, value) in &mut normal {
            *value = value.trim_matches([' ', '\t']).to_owned();
        }
        normal
    }

    /// Names and values, those of a name together.
    fn parameters(query: &str) -> Vec<(String, String)> {
        let mut place = std::vec![0; query.len()];
        let list = list_query(query.as_bytes(), &mut place).to_owned();
        let items = list
            .split(|&byte| byte == VALUE_END)
            .filter(|item| !item.is_empty());
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_owned()).expect("text");
        let mut all: Vec<_> = items
            .map(|item| {
                let name = bytes::before(item, NAME_END);
                (
                    text(name),
                    text(item.get(name.len() + 1..).unwrap_or_default()),
                )
            })
            .collect();
        all.sort_by(|(name, _), (other, _)| name.cmp(other));
        all
    }

    proptest! {
        /// What reads a gateway's events makes the request again that an event was made of.
        // Miri takes a minute for the expressions.
        #[cfg(not(miri))]
        #[test]
        fn events_are_the_requests_that_were_sent(
            method in "[A-Z]{1,5}",
            path in "/([a-z/~+]|%2[0-9A-F]){0,8}",
            query in "([ab=&+/?]|%2[0-9a-f]|%c3%a9){0,16}",
            fields in proptest::collection::vec(
                ("A|b|B|Host|User-Agent|Cookie|cookie|Content-Type|Content-Encoding",
                    "[ -~\t\u{e9}\u{20ac}]{0,12}|[ab=; ]{0,9}|text/plain"),
                0..12,
            ),
            bytes in proptest::collection::vec(any::<u8>(), 0..40),
            text in "\\PC{0,20}",
            is_text: bool,
        ) {
            let body = if is_text { text.as_bytes() } else { &bytes };
            let target = format!("{path}?{query}");
            let fields: Vec<(String, String)> = fields
                .into_iter()
                .map(|(name, value)| (name, value.trim_matches([' ', '\t']).to_owned()))
                .collect();
            let pairs: Vec<(&str, &[u8])> = fields
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_bytes()))
                .collect();
            for (shape, platform) in [(Shape::Http, Platform::Lambda), (Shape::ScfUrl, Platform::Scf)] {
                let text = event(shape, &method, &target, &pairs, body);
                let json: Value = serde_json::from_slice(&text).expect("JSON");
                prop_assert!(json.is_object());
                let event = Event::read(&text, platform).expect("a request");
                let mut place = std::vec![0xaa; event.room()];
                let mut rows = head::fields();
                let got = event.request(&mut place, &mut rows).expect("well-formed");
                prop_assert_eq!((got.method(), got.path(), got.body()), (&method[..], &path[..], body));
                let got_query = got.query().unwrap_or_default();
                if shape == Shape::Http {
                    prop_assert_eq!(got_query, &query);
                }
                prop_assert_eq!(parameters(got_query), parameters(&query));
                let got_fields: Vec<(String, String)> = got
                    .headers()
                    .map(|(name, value)| (name.to_owned(), String::from_utf8_lossy(value).into_owned()))
                    .collect();
                prop_assert_eq!(got_fields, normal(shape, &fields, body));
            }
        }
    }
}
