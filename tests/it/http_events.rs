//! HTTP functions behind gateways: requests that come as events, and answers that are a gateway's JSON. What a
//! gateway does is played here, in its own words; `tests/fixture/http_events.rs` and `examples/http.rs` are the
//! functions.

use std::cell::RefCell;
use std::fs::File;
use std::time::Instant;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use rustix::process::Signal;
use serde_json::{Map, Value, json};

use crate::api::{Api, ID, PLATFORMS, Peer, Platform, base64, chunked};
use crate::harness::{Case, Program, Server, assert_same, example, get, post, serving};

/// Who makes an event of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gateway {
    Rest,
    Http,
    Url,
    Alb,
    AlbMulti,
    Scf,
    ScfUrl,
}

const GATEWAYS: [Gateway; 7] = [
    Gateway::Rest,
    Gateway::Http,
    Gateway::Url,
    Gateway::Alb,
    Gateway::AlbMulti,
    Gateway::Scf,
    Gateway::ScfUrl,
];

/// What a client sends. A query is in the order of its names, as maps are.
#[derive(Clone, Copy)]
pub struct Sent<'a> {
    pub method: &'a str,
    pub path: &'a str,
    /// Names and values, encoded.
    pub query: &'a [(&'a str, &'a str)],
    pub headers: &'a [(&'a str, &'a str)],
    pub body: &'a [u8],
}

pub const GET: Sent<'static> = Sent {
    method: "GET",
    path: "/",
    query: &[],
    headers: &[],
    body: b"",
};

/// What it gets.
#[derive(Debug, PartialEq)]
pub struct Got {
    pub status: u64,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Got {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn values(&self, name: &str) -> Vec<&str> {
        let named = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        let values = self.headers.iter().filter(named);
        values.map(|(_, value)| value.as_str()).collect()
    }
}

fn decoded(text: &str) -> String {
    let (mut bytes, mut rest) = (Vec::new(), text.bytes());
    while let Some(byte) = rest.next() {
        let mut digit = || {
            char::from(rest.next().expect("a digit"))
                .to_digit(16)
                .expect("hex") as u8
        };
        bytes.push(match byte {
            b'%' => digit() << 4 | digit(),
            b'+' => b' ',
            _ => byte,
        });
    }
    String::from_utf8(bytes).expect("text")
}

/// Of each name a list of values.
fn lists(pairs: impl Iterator<Item = (String, String)>) -> Map<String, Value> {
    let mut lists = Map::new();
    for (name, value) in pairs {
        let list = lists.entry(name).or_insert_with(|| json!([]));
        list.as_array_mut().expect("a list").push(value.into());
    }
    lists
}

/// Of each list its values as one text, or the last one.
fn flat(lists: &Map<String, Value>, separator: Option<&str>) -> Value {
    let texts = |list: &Value| -> Vec<String> {
        let list = list.as_array().expect("a list").iter();
        list.map(|value| value.as_str().expect("text").to_owned())
            .collect()
    };
    let one = |list: &Value| match separator {
        Some(separator) => texts(list).join(separator),
        None => texts(list).pop().expect("a value"),
    };
    lists
        .iter()
        .map(|(name, list)| (name.clone(), Value::from(one(list))))
        .collect()
}

impl Gateway {
    pub fn platform(self) -> Platform {
        match self {
            Self::Scf | Self::ScfUrl => Platform::Scf,
            _ => Platform::Lambda,
        }
    }

    /// The event that a request is.
    pub fn event(self, sent: &Sent<'_>) -> Value {
        let is_decoded = matches!(self, Self::Rest | Self::Scf | Self::ScfUrl);
        let part = |text: &str| {
            if is_decoded {
                decoded(text)
            } else {
                text.to_owned()
            }
        };
        let query = lists(
            sent.query
                .iter()
                .map(|(name, value)| (part(name), part(value))),
        );
        let lower = |name: &str| match self {
            Self::Rest | Self::Scf => name.to_owned(),
            _ => name.to_ascii_lowercase(),
        };
        let fields = sent.headers.iter();
        let headers = lists(fields.map(|(name, value)| (lower(name), (*value).to_owned())));
        let text = str::from_utf8(sent.body);
        let is_base64 = text.is_err();
        let body = text.map_or_else(|_| encoded(sent.body), str::to_owned);
        let mut event = json!({"httpMethod": sent.method, "path": sent.path, "body": body});
        match self {
            Self::Rest => {
                event["multiValueHeaders"] = headers.clone().into();
                event["headers"] = flat(&headers, None);
                event["multiValueQueryStringParameters"] = query.clone().into();
                event["queryStringParameters"] = flat(&query, None);
                event["requestContext"] =
                    json!({"stage": "s", "identity": {"sourceIp": "1.2.3.4"}, "httpMethod": "X"});
            }
            Self::Http | Self::Url => {
                let pairs: Vec<String> = sent
                    .query
                    .iter()
                    .map(|(name, value)| format!("{name}={value}"))
                    .collect();
                let http = json!({"method": sent.method, "path": sent.path, "sourceIp": "1.2.3.4"});
                event = json!({
                    "version": "2.0", "rawPath": sent.path, "rawQueryString": pairs.join("&"), "body": body,
                    "headers": flat(&headers, Some(",")), "requestContext": {"http": http, "stage": "$default"},
                });
                if let Some(cookies) = headers.get("cookie") {
                    let cookies = flat(
                        &lists([("c".into(), cookies[0].as_str().unwrap().into())].into_iter()),
                        None,
                    );
                    let cookies = cookies["c"].as_str().unwrap().split("; ");
                    event["cookies"] = cookies.collect();
                    if self == Self::Http {
                        event["headers"].as_object_mut().unwrap().remove("cookie");
                    }
                }
                if sent.body.is_empty() {
                    event.as_object_mut().unwrap().remove("body");
                }
            }
            Self::Alb | Self::AlbMulti => {
                event["requestContext"] =
                    json!({"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing"}});
                if self == Self::AlbMulti {
                    event["multiValueHeaders"] = headers.into();
                    event["multiValueQueryStringParameters"] = query.into();
                } else {
                    event["headers"] = flat(&headers, Some(", "));
                    event["queryStringParameters"] = flat(&query, None);
                }
            }
            Self::Scf | Self::ScfUrl => {
                event["headers"] = flat(&headers, Some(","));
                event["queryString"] = query.into();
                if self == Self::Scf {
                    event["requestContext"] = json!({"serviceId": "service-x", "stage": "release"});
                }
            }
        }
        if self != Self::ScfUrl || is_base64 {
            event["isBase64Encoded"] = is_base64.into();
        }
        event
    }

    /// What its client gets. It reads nothing but its own members, and none may be there that it does not know.
    #[track_caller]
    pub fn response(self, answer: &Value) -> Got {
        let answer = answer.as_object().expect("an object");
        let (many, known) = match self {
            Self::Rest => (true, "statusCode multiValueHeaders body isBase64Encoded"),
            Self::Http | Self::Url => (false, "statusCode headers cookies body isBase64Encoded"),
            Self::Alb => (
                false,
                "statusCode statusDescription headers body isBase64Encoded",
            ),
            Self::AlbMulti => (
                true,
                "statusCode statusDescription multiValueHeaders body isBase64Encoded",
            ),
            Self::Scf | Self::ScfUrl => (false, "statusCode headers body isBase64Encoded"),
        };
        for name in answer.keys() {
            assert!(
                known.split(' ').any(|known| known == name),
                "{name}: {answer:?}"
            );
        }
        let headers = &answer[if many { "multiValueHeaders" } else { "headers" }];
        let is_scf = matches!(self, Self::Scf | Self::ScfUrl);
        let mut got = Got {
            status: answer["statusCode"].as_u64().expect("a status"),
            headers: Vec::new(),
            body: answer["body"].as_str().expect("text").into(),
        };
        for (name, value) in headers.as_object().expect("headers") {
            let values = match value {
                Value::Array(values) if many || is_scf => values.clone(),
                Value::String(_) if !many => vec![value.clone()],
                _ => panic!("{name}: {value}"),
            };
            let values = values
                .into_iter()
                .map(|value| value.as_str().expect("text").to_owned());
            got.headers
                .extend(values.map(|value| (name.clone(), value)));
        }
        for cookie in answer
            .get("cookies")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
        {
            got.headers
                .push(("Set-Cookie".into(), cookie.as_str().expect("text").into()));
        }
        if answer.get("isBase64Encoded") == Some(&json!(true)) {
            got.body = base64(&got.text());
        }
        let (status, reason) = (got.status, answer.get("statusDescription"));
        let reason = reason.map(|reason| {
            reason
                .as_str()
                .expect("text")
                .starts_with(&format!("{status} "))
        });
        assert_ne!(reason, Some(false));
        got
    }
}

/// Base64 (RFC 4648 §4).
fn encoded(bytes: &[u8]) -> String {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let group = |group: &[u8]| -> String {
        let byte = |at: usize| u32::from(group.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let digit = |at: usize| char::from(digits[(bits >> (18 - 6 * at) & 63) as usize]);
        (0..4)
            .map(|at| if at <= group.len() { digit(at) } else { '=' })
            .collect()
    };
    bytes.chunks(3).map(group).collect()
}

/// A function behind a gateway.
pub struct Function {
    pub gateway: Gateway,
    pub server: Server,
    pub peer: Peer,
}

impl Function {
    pub fn start(gateway: Gateway, program: Program) -> Self {
        let api = Api::new(gateway.platform());
        let (server, peer) = api.begin(program);
        Self {
            gateway,
            server,
            peer,
        }
    }

    /// The fixture.
    fn of(gateway: Gateway) -> Self {
        Self::start(gateway, Program::fixture("http_events"))
    }

    #[track_caller]
    pub fn call(&mut self, sent: &Sent<'_>) -> Got {
        let event = self.gateway.event(sent).to_string();
        let answer = self.peer.event(event).expect_response();
        self.peer.accept().expect_next();
        self.gateway.response(&answer.json())
    }

    #[track_caller]
    pub fn get(&mut self, path: &str) -> Got {
        self.call(&Sent { path, ..GET })
    }

    /// Type and message of a failure.
    #[track_caller]
    pub fn fail(&mut self, path: &str) -> (String, String) {
        let event = self.gateway.event(&Sent { path, ..GET }).to_string();
        let failure = self.peer.event(event).expect_error().json();
        self.peer.accept().expect_next();
        let text = |name: &str| failure[name].as_str().expect("text").to_owned();
        (text("errorType"), text("errorMessage"))
    }
}

/// The example is the same function on FC, on Lambda and on SCF.
#[test]
fn one_function_on_three_clouds() {
    let noise: Vec<u8> = (0..=255).collect();
    let get = |path, query| Sent { path, query, ..GET };
    let echo = |method, body| Sent {
        method,
        path: "/echo",
        headers: &[("Content-Type", "a/b")],
        body,
        ..GET
    };
    let sents = [
        (get("/hello", &[("name", "you")][..]), 200),
        (get("/hello", &[]), 200),
        (get("/nowhere", &[]), 404),
        (get("/visits", &[]), 200),
        (echo("POST", &noise[..]), 200),
        (echo("POST", "{\"é\": \"\\n\"}\n".as_bytes()), 200),
        (echo("PUT", b""), 405),
    ];
    let mut server = Program::at(example("http")).start();
    let mut want = Vec::new();
    for &(sent, status) in &sents {
        let query: Vec<String> = sent
            .query
            .iter()
            .map(|(name, value)| format!("?{name}={value}"))
            .collect();
        let fields: String = sent
            .headers
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        let target = format!("{}{}", sent.path, query.concat());
        let mut client = server.connect();
        let request = post(&target, &fields, sent.body);
        let line = request
            .iter()
            .position(|&byte| byte == b' ')
            .expect("a line");
        let request = [sent.method.as_bytes(), &request[line..]].concat();
        let got = client.send(request).expect(status);
        want.push((
            u64::from(got.status),
            got.header("content-type").map(str::to_owned),
            got.body,
        ));
    }
    for gateway in GATEWAYS {
        let _case = Case(gateway);
        let mut function = Function::start(gateway, Program::at(example("http")));
        for ((sent, _), want) in sents.iter().zip(&want) {
            let got = function.call(sent);
            let kind = got
                .values("content-type")
                .first()
                .map(|&kind| kind.to_owned());
            assert_eq!(&(got.status, kind, got.body), want);
        }
        // It takes no events.
        let failure = function.peer.event("\"event\"").expect_error().json();
        assert_eq!(failure["errorType"], "NoEvents");
    }
}

/// Request → event → request is the same.
#[test]
fn a_request_comes_through_as_it_was_sent() {
    let noise: Vec<u8> = (0..4000_u32).map(|at| (at * at / 8 % 256) as u8).collect();
    let long = "x".repeat(5000);
    for gateway in GATEWAYS {
        let _case = Case(gateway);
        let mut function = Function::of(gateway);
        let is_single = gateway == Gateway::Alb;
        for (path, query, body) in [
            ("/describe", &[][..], &b""[..]),
            (
                "/describe/a%20b/%2F/%C3%A9",
                &[("a", "1"), ("a", "2%26"), ("b", "")],
                b"text",
            ),
            (
                "/describe/~!$&'()*+,;=:@",
                &[("%C3%A9%20%3D", "%2B"), ("%C3%A9%20%3D", "%22%5C-._~")],
                "\"é\\\n\u{1}\u{7f}😀".as_bytes(),
            ),
            ("/describe/", &[("a", &long)], &noise),
        ] {
            // Of a repeated parameter, a load balancer keeps one.
            let query = if is_single {
                &query[query.len().min(1)..]
            } else {
                query
            };
            let sent = Sent {
                method: "PATCH",
                path,
                query,
                headers: &[
                    ("accept", "a/b, c"),
                    ("cookie", "a=1; b=\"2\""),
                    ("host", "h"),
                ],
                body,
            };
            let got = function.call(&sent);
            let query: Vec<String> = query
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let mark = if query.is_empty() { "" } else { "?" };
            let mut want = format!("PATCH {path}{mark}{}\n", query.join("&")).into_bytes();
            let (seen, _) = got.body.split_at(want.len());
            assert_eq!(
                String::from_utf8_lossy(seen),
                String::from_utf8_lossy(&want)
            );
            let mut headers = sent.headers.to_vec();
            // Cookies come behind the rest where the gateway parts them.
            if matches!(gateway, Gateway::Http | Gateway::Url) {
                headers.swap(1, 2);
            }
            for (name, value) in headers {
                want.extend(format!("{name}: {value}\n").bytes());
            }
            want.extend([b"\n", body].concat());
            assert_same(&got.body, &want);
        }
    }
}

/// The same for whatever a client may send.
#[test]
fn any_request_comes_through() {
    let encode = |text: &str| -> String {
        let one = |byte: u8| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                char::from(byte).into()
            }
            _ => format!("%{byte:02X}"),
        };
        text.bytes().map(one).collect()
    };
    let pairs = vec(("[a-z]{0,2}", any::<String>()), 0..4);
    let value = || "[ -~\u{e9}\u{20ac}]{0,20}".prop_map(|text| text.trim().to_owned());
    let body = prop_oneof![
        vec(any::<u8>(), 0..100),
        any::<String>().prop_map(String::into_bytes)
    ];
    let path = "(/([a-zA-Z0-9._~!$&'()*+,;=:@-]|%[0-9A-F]{2}){0,5}){0,3}";
    let strategy = (path, pairs, (value(), value()), body);
    let functions = RefCell::new(GATEWAYS.map(Function::of));
    let config = ProptestConfig::with_cases(100);
    let seen = TestRunner::new(config).run(&strategy, |(path, mut pairs, (a, b), body)| {
        pairs.sort_by(|(name, _), (other, _)| name.cmp(other));
        for function in functions.borrow_mut().iter_mut() {
            let mut pairs = pairs.clone();
            if function.gateway == Gateway::Alb {
                pairs.dedup_by(|(name, _), (other, _)| name == other);
            }
            let pairs = pairs
                .iter()
                .map(|(name, value)| (name.as_str(), encode(value)));
            let pairs: Vec<(&str, String)> = pairs.collect();
            let query: Vec<(&str, &str)> = pairs
                .iter()
                .map(|(name, value)| (*name, &**value))
                .collect();
            let path = format!("/describe{path}");
            let sent = Sent {
                method: "PATCH",
                path: &path,
                query: &query,
                headers: &[("x-a", &a), ("x-b", &b)],
                body: &body,
            };
            let got = function.call(&sent);
            let query: Vec<String> = query
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let mark = if query.is_empty() { "" } else { "?" };
            let head = format!(
                "PATCH {path}{mark}{}\nx-a: {a}\nx-b: {b}\n\n",
                query.join("&")
            );
            prop_assert_eq!(got.body, [head.as_bytes(), &body].concat());
        }
        Ok(())
    });
    seen.expect("the same");
}

#[test]
fn an_answer_comes_through_as_it_was_made() {
    for gateway in GATEWAYS {
        let _case = Case(gateway);
        let mut function = Function::of(gateway);
        let sent = Sent {
            path: "/echo",
            headers: &[("content-type", "a/b")],
            body: b"\x00\xff",
            ..GET
        };
        let got = function.call(&sent);
        assert_eq!((got.status, &*got.body), (201, &b"\x00\xff"[..]));
        assert_eq!(got.values("content-type"), ["a/b"]);
        assert_eq!(got.values("x-many").join(", "), "1, 2, \"3\"");
        let cookies = got.values("set-cookie");
        let want = ["a=1; Path=/", "b=2"];
        assert_eq!(cookies, want[..if gateway == Gateway::Alb { 1 } else { 2 }]);
        // Coded, and without a content.
        assert_eq!(function.get("/gzip").text(), "as if");
        for status in [200, 204, 205, 304, 404, 500, 599] {
            let got = function.get(&format!("/status/{status}"));
            let body = if [204, 205, 304].contains(&status) {
                ""
            } else {
                "the content"
            };
            assert_eq!((got.status, &*got.text()), (status, body));
        }
        for len in [1, 2047, 2048, 8000, 10_000, 20_000, 70_000, 3_000_000] {
            for kind in ["text", "plain", "bytes"] {
                let got = function.get(&format!("/{kind}/{len}"));
                assert_eq!((got.status, got.body.len()), (200, len), "{kind}");
                let line = b"A \"quoted\" line.\n".iter().cycle().take(len);
                let bytes = (128..=255).cycle().take(len);
                match kind {
                    "text" => assert!(got.body.iter().eq(line)),
                    "plain" => assert!(got.body.iter().all(|&byte| byte == b'p')),
                    _ => assert!(got.body.iter().copied().eq(bytes)),
                }
            }
        }
        // A base64 answer is said to be one, a text is not.
        let event = function
            .gateway
            .event(&Sent {
                path: "/gzip",
                ..GET
            })
            .to_string();
        let answer = function.peer.event(event).expect_response().json();
        assert_eq!(
            (&answer["isBase64Encoded"], &answer["body"]),
            (&json!(true), &json!("YXMgaWY="))
        );
    }
}

/// The API takes an answer slowly, or not at all.
#[test]
fn long_answers_wait_for_the_api() {
    let mut function = Function::of(Gateway::Rest);
    for path in ["/text/4000000", "/plain/4000000", "/bytes/4000000"] {
        let event = function.gateway.event(&Sent { path, ..GET }).to_string();
        function.peer.event(event);
        // The kernel's buffers are full by then.
        function.peer.read_until(|came| came.len() > 100_000);
        let answer = function.peer.expect_response();
        function.peer.accept().expect_next();
        assert_eq!(
            function.gateway.response(&answer.json()).body.len(),
            4_000_000
        );
    }
    // A short one is sent again on a new connection.
    let api = Api::new(Platform::Lambda);
    let (_server, mut peer) = api.begin(Program::fixture("http_events"));
    peer.event(
        Gateway::Url
            .event(&Sent {
                path: "/text/100",
                ..GET
            })
            .to_string(),
    );
    let first = peer.expect_response();
    drop(peer);
    let mut peer = api.accept();
    assert_eq!(peer.expect_response().body, first.body);
    peer.accept().expect_next();
}

#[test]
fn answers_may_come_later() {
    for gateway in [Gateway::Rest, Gateway::Url, Gateway::Scf] {
        let _case = Case(gateway);
        let mut function = Function::of(gateway);
        for path in ["/later/0", "/later/50/%22"] {
            let got = function.get(path);
            assert_eq!((got.status, got.text()), (202, path.to_owned()));
            assert_eq!(got.values("x-late"), ["yes"]);
        }
        let long = format!("/later/5/{}", "l".repeat(8000));
        assert_eq!(function.get(&long).text(), long);
        let late = ("Late".to_owned(), "in the end".to_owned());
        assert_eq!(function.fail("/late-fail/5"), late);
        // And events beside them.
        function.peer.expect_echo("{\"Records\":[]}");
    }
}

#[test]
fn a_call_that_is_never_answered_times_out() {
    let begin = Instant::now();
    let mut function = Function::of(Gateway::ScfUrl);
    let (kind, _) = function.fail("/never");
    assert_eq!(kind, "TimedOut");
    assert!(begin.elapsed().as_millis() >= 2500);
    let count = function.peer.event("\"abandoned\"").expect_response();
    assert_eq!(count.text(), "1");
}

/// A gateway takes an answer as a whole.
#[test]
fn pieces_are_collected() {
    for gateway in GATEWAYS {
        let _case = Case(gateway);
        let mut function = Function::of(gateway);
        let got = function.get("/stream/3");
        assert_eq!(got.text(), format!("first\n{}", "\"piece\"\n".repeat(3)));
        assert_eq!(got.values("set-cookie"), ["s=1"]);
        assert_eq!(
            function.get("/stream-bytes/500").body,
            b"\xff\x00\x01".repeat(500)
        );
        assert_eq!(function.get("/stream-status/204").body, b"");
        assert_eq!(function.fail("/stream-fail").0, "Broken");
        // Those of an event are its own.
        let answer = function.peer.event("\"stream\"").expect_response();
        assert_eq!(answer.text(), "\"piece\"\n\"piece\"\n");
        function.peer.accept().expect_next();
        let count = function.peer.event("\"abandoned\"").expect_response();
        assert_eq!(count.text(), "1", "the one without a content");
    }
}

/// What is not answered by the function fails the call, and a gateway makes a 502 of it.
#[test]
fn failures_are_failures_of_the_call() {
    for gateway in [Gateway::AlbMulti, Gateway::Scf] {
        let mut function = Function::of(gateway);
        let asked = ("Broken".to_owned(), "as asked".to_owned());
        assert_eq!(function.fail("/fail"), asked);
        assert_eq!(function.fail("/panic").0, "Panic");
        let message = "status not between 200 and 599".to_owned();
        assert_eq!(
            function.fail("/status/100"),
            ("BadResponse".into(), message)
        );
        let message = "headers too large".to_owned();
        assert_eq!(
            function.fail("/headers/7000"),
            ("BadResponse".into(), message)
        );
        assert_eq!(function.get("/headers/4000").status, 200);
        let log = function.server.stdout.take();
        assert!(
            log.contains(&format!("{ID} [ERROR] Broken: as asked")),
            "{log}"
        );
        let panic = function.server.stderr.take();
        assert!(panic.contains("as asked"), "{panic}");
    }
}

/// What a server would refuse from its client, a gateway's client is refused, too: the function does not see it.
#[test]
fn bad_requests_are_answered() {
    for gateway in GATEWAYS {
        let _case = Case(gateway);
        let mut function = Function::of(gateway);
        let long = format!("/{}", "a".repeat(8192));
        let big = "b".repeat(16_384);
        for (method, path, headers, status) in [
            ("G T", "/", &[][..], 400),
            ("GET", "describe", &[], 400),
            ("GET", &long, &[], 414),
            ("GET", "/", &[("a b", "c")], 400),
            ("GET", "/", &[("a", "b\r\nx-injected: c")], 400),
            ("GET", "/", &[("a", &big)], 431),
            ("CONNECT", "/", &[], 501),
        ] {
            let got = function.call(&Sent {
                method,
                path,
                headers,
                ..GET
            });
            assert_eq!(
                (got.status, got.values("content-type")),
                (status, vec!["text/plain"])
            );
            assert!(!got.body.is_empty());
        }
        // It is a request, whatever cannot be read of it.
        let headers = &[("x-half", "1")];
        let event = gateway.event(&Sent { headers, ..GET }).to_string();
        assert!(event.contains("x-half"));
        let deep = ["{\"deep\":", &"[".repeat(99), &"]".repeat(99), ","].concat();
        for event in [
            event.replace("x-half", "\\ud800"),
            event.replacen('{', &deep, 1),
        ] {
            let answer = function.peer.event(event);
            let answer = answer.expect_response();
            function.peer.accept().expect_next();
            let got = gateway.response(&answer.json());
            assert_eq!((got.status, got.text()), (400, "bad JSON".into()));
        }
        assert_eq!(function.get("/status/200").status, 200);
    }
}

/// What a client says of who calls is not believed.
#[test]
fn identities_are_the_platforms() {
    for gateway in GATEWAYS {
        let _case = Case(gateway);
        let mut function = Function::of(gateway);
        let headers = [
            ("X-Fc-Request-Id", "forged"),
            ("x-fc-access-key-id", "forged"),
            ("X-Amzn-Request-Context", "{}"),
            ("x-amz-tenant-id", "forged"),
            ("Lambda-Runtime-Aws-Request-Id", "forged"),
            ("x-amzn-trace-id", "Root=1"),
            ("X-Scf-Request-Id", "the platform's on SCF alone"),
        ];
        let got = function
            .call(&Sent {
                path: "/describe",
                headers: &headers,
                ..GET
            })
            .text();
        assert!(!got.contains("forged") && !got.contains("{}"), "{got}");
        assert!(
            got.to_ascii_lowercase().contains("x-amzn-trace-id: root=1"),
            "{got}"
        );
        let is_scf = gateway.platform() == Platform::Scf;
        assert_eq!(got.contains("on SCF alone"), is_scf, "{got}");
    }
}

/// Events that are no requests are events, whatever is in them.
#[test]
fn other_events_are_events() {
    let request = Gateway::Rest.event(&GET);
    let mut authorizer = request.clone();
    authorizer["methodArn"] = "arn:aws:execute-api:eu-west-1:1:a/s/GET/".into();
    for platform in PLATFORMS {
        let api = Api::new(platform);
        let (_server, mut peer) = api.begin(Program::fixture("http_events"));
        for event in [
            json!({"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": request.to_string()}]}),
            json!({"version": "2.0", "path": "/", "method": "GET", "requestContext": {"serviceArn": "a"}}),
            json!({"Type": "Timer", "TriggerName": "t", "Message": ""}),
            json!("\u{e9}\"\n"),
            authorizer.clone(),
        ] {
            peer.expect_echo(event.to_string());
        }
        for event in [
            &b"not JSON"[..],
            b"",
            b"\xff\xfe",
            b"{\"httpMethod\":\"GET\"",
            &[b'['; 100_000],
        ] {
            peer.expect_echo(event);
        }
    }
    // The stock program's functions get the request as the event that it is.
    for program in [
        Program::bootstrap(),
        Program::bootstrap().arguments(["command", "cat"]),
    ] {
        let (_server, mut peer) = Api::new(Platform::Lambda).begin(program);
        peer.expect_echo(request.to_string());
    }
}

/// An event comes in pieces, and in chunks; one is as long as may be.
#[test]
fn long_requests() {
    let body: Vec<u8> = b"{\"a\":\"\\\\ \xc3\xa9\"}\n".repeat(300_000);
    let bytes: Vec<u8> = (0..=255).cycle().take(3_000_000).collect();
    for gateway in [Gateway::Rest, Gateway::Url, Gateway::ScfUrl] {
        let mut function = Function::of(gateway);
        for body in [&body, &bytes] {
            let sent = Sent {
                method: "POST",
                path: "/echo",
                body,
                ..GET
            };
            let got = function.call(&sent);
            assert_same(&got.body, body);
            let event = gateway.event(&sent).to_string();
            let fields = gateway.platform().fields(ID);
            function
                .peer
                .send(chunked(&fields, event.as_bytes(), 50_000));
            let answer = function.peer.expect_response();
            assert_same(&gateway.response(&answer.json()).body, body);
            function.peer.accept().expect_next();
        }
        // What was lent is given back.
        function.get("/status/200");
    }
}

/// Where Lambda takes answers in pieces, those of requests have their prelude, and events are whole as ever.
#[test]
fn streamed() {
    let program = Program::fixture("http_events").env("FNBOOT_STREAMING", "on");
    let mut function = Function::start(Gateway::Url, program);
    let mut prelude = |path: &str| {
        let event = function.gateway.event(&Sent { path, ..GET }).to_string();
        let answer = function.peer.event(event).expect_response();
        let mode = answer.header("lambda-runtime-function-response-mode");
        assert_eq!(mode, Some("streaming"));
        function.peer.accept().expect_next();
        let end = answer
            .body
            .windows(8)
            .position(|eight| eight == [0; 8])
            .expect("a prelude");
        let head: Value = serde_json::from_slice(&answer.body[..end]).expect("JSON");
        (head["statusCode"].as_u64(), answer.body[end + 8..].to_vec())
    };
    assert_eq!(prelude("/status/404"), (Some(404), b"the content".to_vec()));
    assert_eq!(prelude("/status/204"), (Some(204), Vec::new()));
    let pieces = b"first\n\"piece\"\n\"piece\"\n".to_vec();
    assert_eq!(prelude("/stream/2"), (Some(200), pieces));
    assert_eq!(prelude("/later/5"), (Some(202), b"/later/5".to_vec()));
    assert_eq!(
        prelude("nowhere"),
        (Some(400), b"bad request target".to_vec())
    );
    assert_eq!(function.fail("/fail").0, "Broken");
    let answer = function.peer.event("{\"Records\":[]}").expect_response();
    assert_eq!(answer.header("lambda-runtime-function-response-mode"), None);
    assert_eq!(answer.text(), "{\"Records\":[]}");
}

/// FC and SCF's web functions send the requests themselves, and what looks like an event there is a body.
#[test]
fn requests_of_their_own() {
    let event = Gateway::Url
        .event(&Sent {
            path: "/status/404",
            ..GET
        })
        .to_string();
    let mut server = Program::fixture("http_events").start();
    let got = server.call(post("/echo", "", &event), 201);
    assert_eq!(got.text(), event);
    assert_eq!(server.call(post("/invoke", "", &event), 200).text(), event);
    let got = server
        .call(get("/describe?a=1", "X-Fc-Request-Id: r\r\n"), 200)
        .text();
    assert!(
        got.starts_with("GET /describe?a=1\n") && got.contains("X-Fc-Request-Id: r"),
        "{got}"
    );
    server.signal(Signal::TERM);
    server.expect_exit(0);
}

/// The local tool's function URL makes events and reads answers in its own way, by what AWS was seen to do.
#[test]
fn behind_the_local_tool() {
    let noise: Vec<u8> = (0..=255).collect();
    for streaming in ["off", "on"] {
        let nowhere = File::create("/dev/null").expect("a file");
        let program = Program::fixture("http_events").env("FNBOOT_STREAMING", streaming);
        let mut server = serving(program.stderr(nowhere), &["--platform", "lambda"]);
        let mut call = |request: Vec<u8>, status: &str| {
            let mut client = server.connect();
            client.send(request);
            let head = String::from_utf8(client.read_bytes_until(b"\r\n\r\n")).expect("text");
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            let mut body = Vec::new();
            match head.split("Content-Length: ").nth(1) {
                Some(rest) => {
                    let len = rest.split("\r\n").next().expect("a length");
                    body = client.read_bytes(len.parse().expect("a number"));
                }
                None => loop {
                    match client.read_chunk() {
                        chunk if chunk.is_empty() => break,
                        chunk => body.extend(chunk),
                    }
                },
            }
            (head, body)
        };
        let fields = "Cookie: a=1; b=2\r\nX-Fc-A: b\r\n";
        let (_, seen) = call(get("/describe?a=%20+&a", fields).into(), "200");
        let seen = String::from_utf8(seen).expect("text");
        assert!(seen.starts_with("GET /describe?a=%20+&a\n"), "{seen}");
        assert!(seen.contains("\ncookie: a=1; b=2\n"), "{seen}");
        assert!(!seen.contains("x-fc-a"), "{seen}");
        let (head, echo) = call(post("/echo", "Content-Type: a/b\r\n", &noise), "201");
        assert_same(&echo, &noise);
        for field in [
            "Content-Type: a/b",
            "X-Many: 1, 2, \"3\"",
            "Set-Cookie: a=1; Path=/",
        ] {
            assert!(head.contains(field), "{head}");
        }
        let (_, pieces) = call(get("/stream/2", "").into(), "200");
        assert_eq!(pieces, b"first\n\"piece\"\n\"piece\"\n");
        assert_eq!(call(get("/later/10", "").into(), "202").1, b"/later/10");
    }
}
