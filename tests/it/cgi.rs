//! `bootstrap cgi`: programs that reply as CGI scripts do (RFC 3875), for requests from every source.

use std::fs::{self, File};
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::api::{Api, ID, Peer, Platform, response};
use crate::command::{Cloud, MIB};
use crate::harness::{
    Case, Folder, Program, Response, Server, assert_same, bootstrap, find, get, in_own_network,
    noise, post, serving, sized,
};
use crate::http_events::{GET, Gateway, Got, Sent};

/// Where requests come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Fc,
    /// A web function, on port 9000: only in a network of its own.
    ScfWeb,
    Gateway(Gateway),
    /// Lambda with `FNBOOT_STREAMING`.
    Streaming,
}

const SOURCES: [Source; 6] = [
    Source::Fc,
    Source::Gateway(Gateway::Url),
    Source::Gateway(Gateway::Rest),
    Source::Gateway(Gateway::AlbMulti),
    Source::Gateway(Gateway::ScfUrl),
    Source::Streaming,
];

/// Whoever asks for events that are no requests.
const CLOUDS: [Cloud; 4] = [Cloud::Fc, Cloud::Scf, Cloud::Lambda, Cloud::LambdaStreaming];

/// A call that failed.
#[derive(Debug, PartialEq)]
struct Failure {
    /// Where it is an HTTP response that tells so.
    status: Option<u16>,
    kind: String,
    message: String,
}

/// A program behind `bootstrap`, which serves requests of a source.
struct Site {
    source: Source,
    server: Server,
    peer: Option<Peer>,
}

fn cgi<const N: usize>(words: [&str; N]) -> Program {
    Program::bootstrap().arguments(["cgi"]).arguments(words)
}

fn shell(script: &str) -> Program {
    cgi(["sh", "-c", script])
}

impl Source {
    fn start(self, program: Program) -> Site {
        let api = match self {
            Self::Fc | Self::ScfWeb => None,
            Self::Gateway(gateway) => Some(Api::new(gateway.platform())),
            Self::Streaming => Some(Api::new(Platform::Lambda)),
        };
        let program = match self {
            Self::Streaming => program.env("FNBOOT_STREAMING", "on"),
            _ => program,
        };
        let (mut server, peer) = match api {
            Some(api) => {
                let (server, peer) = api.begin(program);
                (server, Some(peer))
            }
            None => (program.start(), None),
        };
        if self == Self::ScfWeb {
            server.port = 9000;
        }
        Site {
            source: self,
            server,
            peer,
        }
    }

    /// The fields of a call that may take so long.
    fn fields(self, limit_ms: u64) -> String {
        match self {
            Self::Fc => Cloud::Fc
                .fields(limit_ms)
                .replace("/invoke", "/http-invoke"),
            Self::ScfWeb => Cloud::ScfWeb.fields(limit_ms),
            Self::Gateway(Gateway::Scf | Gateway::ScfUrl) => Cloud::Scf.fields(limit_ms),
            _ => Cloud::Lambda.fields(limit_ms),
        }
    }

    fn gateway(self) -> Gateway {
        match self {
            Self::Gateway(gateway) => gateway,
            _ => Gateway::Url,
        }
    }
}

impl Site {
    #[track_caller]
    fn ask(&mut self, sent: &Sent<'_>) -> Result<Got, Failure> {
        self.ask_within(30_000, sent)
    }

    #[track_caller]
    fn ask_within(&mut self, limit_ms: u64, sent: &Sent<'_>) -> Result<Got, Failure> {
        let fields = self.source.fields(limit_ms);
        let Some(peer) = &mut self.peer else {
            let mut client = self.server.connect();
            client.send(request(sent, &fields));
            let response = client.read_response(sent.method).expect("a response");
            return answer(self.source, response);
        };
        let event = self.source.gateway().event(sent).to_string();
        peer.send(response("200 OK", &fields, event));
        let request = peer.request();
        peer.accept().expect_next();
        if request.line.ends_with("/error") {
            return Err(failure(None, &request.body));
        }
        Ok(match self.source {
            Source::Streaming => streamed(&request.body),
            source => source.gateway().response(&request.json()),
        })
    }

    #[track_caller]
    fn get(&mut self) -> Result<Got, Failure> {
        self.ask(&GET)
    }
}

/// A request as it is sent.
fn request(sent: &Sent<'_>, fields: &str) -> Vec<u8> {
    let query = sent.query.iter();
    let query: Vec<String> = query
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mark = if query.is_empty() { "" } else { "?" };
    let mut head = format!(
        "{} {}{mark}{} HTTP/1.1\r\n",
        sent.method,
        sent.path,
        query.join("&")
    );
    if sent.headers.iter().all(|(name, _)| *name != "Host") {
        head.push_str("Host: h\r\n");
    }
    for (name, value) in sent.headers {
        head.push_str(&format!("{name}: {value}\r\n"));
    }
    head.push_str(fields);
    if sent.body.is_empty() {
        return format!("{head}\r\n").into_bytes();
    }
    sized(&head, sent.body)
}

/// What a client of an HTTP function gets, without what the server adds.
#[track_caller]
fn answer(source: Source, response: Response) -> Result<Got, Failure> {
    if source == Source::Fc {
        let status = response.header("x-fc-status").expect("x-fc-status");
        if status != "200" {
            assert_eq!(status, "404");
            assert_eq!(response.header("content-type"), Some("application/json"));
            return Err(failure(Some(response.status), &response.body));
        }
    } else if response.text().contains("errorType") {
        return Err(failure(Some(response.status), &response.body));
    }
    let mut headers = response.headers;
    headers.retain(|(name, _)| !matches!(&**name, "date" | "content-length" | "x-fc-status"));
    Ok(Got {
        status: response.status.into(),
        headers,
        body: response.body,
    })
}

#[track_caller]
fn failure(status: Option<u16>, body: &[u8]) -> Failure {
    let error: Value = serde_json::from_slice(body).expect("JSON");
    let text = |name: &str| error[name].as_str().expect("text").to_owned();
    Failure {
        status,
        kind: text("errorType"),
        message: text("errorMessage"),
    }
}

/// What Lambda makes of an answer in pieces.
#[track_caller]
fn streamed(body: &[u8]) -> Got {
    let end = find(body, &[0; 8]).expect("an end");
    let prelude: Value = serde_json::from_slice(&body[..end]).expect("JSON");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    let headers = prelude["headers"].as_object().expect("headers").iter();
    let mut headers: Vec<_> = headers
        .map(|(name, value)| (name.clone(), text(value)))
        .collect();
    let cookies = prelude["cookies"].as_array().into_iter().flatten();
    headers.extend(cookies.map(|cookie| ("Set-Cookie".into(), text(cookie))));
    Got {
        status: prelude["statusCode"].as_u64().expect("a status"),
        headers,
        body: body[end + 8..].into(),
    }
}

/// Runs a test for each source of requests.
fn each(program: impl Fn() -> Program, test: impl Fn(&mut Site)) {
    for source in SOURCES {
        let _case = Case(source);
        test(&mut source.start(program()));
    }
}

/// Scripts, and what comes of them.
type Row = (
    &'static str,
    u64,
    &'static [(&'static str, &'static str)],
    &'static [u8],
);

const REPLIES: &[Row] = &[
    (
        "printf 'Content-Type: text/plain\\n\\nHello\\n'",
        200,
        &[("content-type", "text/plain")],
        b"Hello\n",
    ),
    (
        "printf 'Status: 404 Not Found\\r\\nContent-Type: text/plain\\r\\n\\r\\nno\\r\\n'",
        404,
        &[("content-type", "text/plain")],
        b"no\r\n",
    ),
    (
        "printf 'Status: 503\\n\\n'; echo busy",
        503,
        &[("content-type", "application/octet-stream")],
        b"busy\n",
    ),
    (
        "printf 'Location: /other?a=b\\n\\n'",
        302,
        &[("location", "/other?a=b")],
        b"",
    ),
    (
        "printf 'Status: 301\\nLocation: https://example.com/\\nContent-Type: text/html\\n\\n<a>'",
        301,
        &[
            ("location", "https://example.com/"),
            ("content-type", "text/html"),
        ],
        b"<a>",
    ),
    (
        "printf 'Set-Cookie: a=b; Path=/\\nContent-Type: a/b\\nSet-Cookie: c=d, e\\n\\n'",
        200,
        &[
            ("content-type", "a/b"),
            ("set-cookie", "a=b; Path=/"),
            ("set-cookie", "c=d, e"),
        ],
        b"",
    ),
    ("printf 'Status: 204\\n\\n'", 204, &[], b""),
    // What a server says by itself is dropped, and what is for it alone.
    (
        "printf 'Content-Type: a/b\\nContent-Length: 7\\nX-CGI-A: b\\nConnection: close\\nX-Fc-Status: 404\\n\
         Transfer-Encoding: chunked\\nX-A: b\\n\\nx'",
        200,
        &[("content-type", "a/b"), ("x-a", "b")],
        b"x",
    ),
    // Anything may be in a body, and in pieces.
    (
        "printf 'Content-Type: a'; sleep 0.05; printf '/b\\r'; sleep 0.05; printf '\\n\\r\\n'; sleep 0.05
         printf '\\0\\377\\n\\nStatus: 404\\n\\n'",
        200,
        &[("content-type", "a/b")],
        b"\0\xff\n\nStatus: 404\n\n",
    ),
];

fn check_replies(source: Source, start: impl Fn(&str) -> Program) {
    for (script, status, headers, body) in REPLIES {
        let _case = Case((source, script));
        let mut got = source.start(start(script)).get().expect("a reply");
        for (name, _) in &mut got.headers {
            name.make_ascii_lowercase();
        }
        got.headers.sort();
        let own = |&(name, value): &(&str, &str)| (name.to_owned(), value.to_owned());
        let mut headers: Vec<_> = headers.iter().map(own).collect();
        headers.sort();
        assert_eq!((got.status, got.headers), (*status, headers));
        assert_same(&got.body, body);
    }
}

#[test]
fn replies_are_responses() {
    for source in SOURCES {
        check_replies(source, shell);
    }
}

/// The status of the answer, and so who is at fault, is that of a gateway. Where there is one, it says so itself.
const FAILURES: &[(&str, u16, &str, &str)] = &[
    (":", 502, "BadReply", "the program has written nothing"),
    (
        "printf 'Content-Type: text/plain\\n'",
        502,
        "BadReply",
        "no empty line behind the headers, 10 KiB at most",
    ),
    (
        "echo Hello World",
        502,
        "BadReply",
        "not a header: 'Hello World'",
    ),
    (
        "printf 'X-A: b\\n\\nx'",
        502,
        "BadReply",
        "neither Content-Type nor Location nor Status",
    ),
    (
        "printf 'Status: 200\\nStatus: 200\\n\\nx'",
        502,
        "BadReply",
        "once, and with a value: 'Status: 200'",
    ),
    (
        "printf 'Status: 101\\n\\n'",
        502,
        "BadReply",
        "not a status from 200 to 599: 'Status: 101'",
    ),
    (
        "printf 'Content-Type: a/b\\n b\\n\\n'",
        502,
        "BadReply",
        "not a header: ' b'",
    ),
    // A head that is longer where it is sent than where it was read.
    (
        "printf 'Status: 200\\nX: %010200d\\n\\n' 0",
        502,
        "BadResponse",
        "headers too large",
    ),
    // A program that fails has failed, whatever it has written before.
    (
        "printf 'Status: 200\\n\\n'; echo why >&2; exit 3",
        500,
        "ExitError",
        "exit status 3: why",
    ),
    (
        "echo 'ValueError: bad' >&2; exit 1",
        500,
        "ValueError",
        "bad",
    ),
    (
        "printf 'Status: 200\\n\\n'; kill -9 $$",
        500,
        "Signal",
        "signal 9",
    ),
];

fn check_failures(source: Source, start: impl Fn(&str) -> Program) {
    for (script, status, kind, message) in FAILURES {
        let _case = Case((source, script));
        let mut site = source.start(start(script));
        let is_http = matches!(source, Source::Fc | Source::ScfWeb);
        let want = Failure {
            status: is_http.then_some(*status),
            kind: (*kind).into(),
            message: (*message).into(),
        };
        assert_eq!(site.get().expect_err("a failure"), want);
        let log = site.server.stdout.wait_until(|log| log.contains(kind));
        assert!(log.contains(message), "{log}");
    }
}

#[test]
fn what_is_no_reply_is_a_bad_gateway() {
    for source in SOURCES {
        check_failures(source, shell);
    }
}

#[test]
fn web_functions_of_scf() {
    in_own_network("cgi::web_functions_of_scf", || {
        let folder = Folder::new();
        let path = folder.at("scf_bootstrap");
        fs::copy(bootstrap(), &path).expect("a copy");
        let program = |words: &[&str]| {
            let program = Program::at(path.clone())
                .arguments(["cgi"])
                .arguments(words);
            program.without_port().env("FNBOOT_TIMEOUT", "30")
        };
        let start = |script: &str| program(&["sh", "-c", script]);
        check_replies(Source::ScfWeb, start);
        check_failures(Source::ScfWeb, start);
        check_request(&mut Source::ScfWeb.start(start(TOLD)));
        check_methods(&mut Source::ScfWeb.start(start(METHOD)));
        check_form(&mut Source::ScfWeb.start(program(&[FORM])));
    });
}

/// What of a request is told in variables.
const TOLD: &str = "printf 'Content-Type: text/plain\\n\\n'
    for name in GATEWAY_INTERFACE REQUEST_METHOD REQUEST_URI PATH_INFO QUERY_STRING SERVER_PROTOCOL CONTENT_TYPE \
    CONTENT_LENGTH SERVER_NAME SERVER_PORT HTTPS REMOTE_ADDR HTTP_HOST HTTP_X_MANY HTTP_COOKIE HTTP_AUTHORIZATION; do
        eval \"echo \\\"$name=\\$$name\\\"\"
    done
    cat";

#[track_caller]
fn check_request(site: &mut Site) {
    let sent = Sent {
        method: "POST",
        path: "/a/b.cgi",
        query: &[("c", "d%20e"), ("f", "g")],
        headers: &[
            ("Host", "example.com"),
            ("Content-Type", "application/x-www-form-urlencoded"),
            ("X-Forwarded-For", "203.0.113.9, 10.0.0.1"),
            ("X-Forwarded-Proto", "https"),
            ("X-Many", "h"),
            ("Cookie", "i=j; k=l"),
            ("Authorization", "secret"),
        ],
        body: b"name=value",
    };
    let got = site.ask(&sent).expect("a reply");
    let want = "GATEWAY_INTERFACE=CGI/1.1
REQUEST_METHOD=POST
REQUEST_URI=/a/b.cgi?c=d%20e&f=g
PATH_INFO=/a/b.cgi
QUERY_STRING=c=d%20e&f=g
SERVER_PROTOCOL=HTTP/1.1
CONTENT_TYPE=application/x-www-form-urlencoded
CONTENT_LENGTH=10
SERVER_NAME=example.com
SERVER_PORT=443
HTTPS=on
REMOTE_ADDR=203.0.113.9
HTTP_HOST=example.com
HTTP_X_MANY=h
HTTP_COOKIE=i=j; k=l
HTTP_AUTHORIZATION=
name=value";
    assert_eq!(got.text(), want);
}

#[test]
fn a_request_is_told_in_variables() {
    each(|| shell(TOLD), check_request);
}

const METHOD: &str =
    "printf 'Content-Type: text/plain\\nX-Method: %s\\n\\n' $REQUEST_METHOD; echo body; cat >&2";

/// Every method reaches the program, and an answer to `HEAD` has no body: a gateway sees to that itself.
#[track_caller]
fn check_methods(site: &mut Site) {
    let is_http = site.peer.is_none();
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "PROPFIND",
    ] {
        let _case = Case(method);
        let got = site.ask(&Sent { method, ..GET }).expect("a reply");
        assert_eq!(got.values("x-method"), [method]);
        let body = if is_http && method == "HEAD" {
            ""
        } else {
            "body\n"
        };
        assert_eq!((got.status, &*got.text()), (200, body));
    }
}

#[test]
fn every_method_is_passed_on() {
    each(|| shell(METHOD), check_methods);
}

/// Bodies of any size and kind, in both directions, and several calls of one instance.
#[test]
fn long_bodies() {
    let script = "printf 'Content-Type: application/octet-stream\\n\\n'; cat";
    let (text, binary) = ("x\n".repeat(MIB / 2), noise(MIB));
    each(
        || shell(script),
        |site| {
            for body in [text.as_bytes(), &binary, b"y"] {
                let method = "POST";
                let got = site
                    .ask(&Sent {
                        method,
                        body,
                        ..GET
                    })
                    .expect("a reply");
                assert_eq!(got.status, 200);
                assert_same(&got.body, body);
            }
        },
    );
}

/// A reply is looked at, not made anew: names keep their spelling, and fields their order.
#[test]
fn fields_are_sent_as_they_are() {
    let script = "printf 'x-FIRST: a\\nStatus: 201\\nset-cookie: b\\nCONTENT-type: c/d\\nSet-Cookie: e\\n\\n'";
    let mut server = shell(script).start();
    let mut client = server.connect();
    client.send(get("/", &format!("X-Fc-Request-Id: {ID}\r\n")));
    let head = client.read_bytes_until(b"\r\n\r\n");
    let head = String::from_utf8(head).expect("text");
    let want = "HTTP/1.1 201 Created\r\nx-fc-status: 200\r\nx-FIRST: a\r\nset-cookie: b\r\n\
        CONTENT-type: c/d\r\nSet-Cookie: e\r\nDate: ";
    assert!(head.starts_with(want), "{head}");
}

#[test]
fn a_body_without_a_type_has_the_one_that_is_set() {
    let program = || shell("printf 'Status: 200\\n\\nx'").env("FNBOOT_CONTENT_TYPE", "text/plain");
    each(program, |site| {
        let got = site.get().expect("a reply");
        assert_eq!(got.values("content-type"), ["text/plain"]);
    });
}

/// FC looks whether an instance is healthy; no program is started for it.
#[test]
fn a_probe_is_no_request() {
    let mut server = shell("exit 1").start();
    assert_eq!(server.call(get("/", ""), 200).body, b"");
    server.call(get("/", &format!("X-Fc-Request-Id: {ID}\r\n")), 500);
}

#[test]
fn a_deadline_ends_the_program() {
    let script = "trap '' TERM; printf 'Status: 200\\n\\n'; sleep 20; sleep 20";
    each(
        || shell(script),
        |site| {
            let since = Instant::now();
            let failure = site.ask_within(1000, &GET).expect_err("a failure");
            assert_eq!(failure.kind, "TimedOut");
            assert!(matches!(failure.status, None | Some(500)), "{failure:?}");
            assert!(since.elapsed() < Duration::from_secs(2));
        },
    );
}

/// An event that is no request is on standard input alone, and the body of the reply is its result.
#[test]
fn other_events() {
    let script =
        "printf 'Content-Type: text/plain\\nX-A: b\\n\\n%s ' \"$REQUEST_METHOD$PATH_INFO\"; cat";
    for cloud in CLOUDS {
        let _case = Case(cloud);
        let mut instance = cloud.start(shell(script));
        for event in ["", "Hello", "{\"Records\":[{\"eventSource\":\"aws:sqs\"}]}"] {
            instance.call(event).expect(format!(" {event}"));
        }
    }
}

#[test]
fn other_events_fail_by_their_status() {
    for (script, want) in [
        ("printf 'Status: 200\\n\\nx'", Ok("x")),
        ("printf 'Status: 404\\n\\nx'", Ok("x")),
        ("printf 'Status: 499\\n\\nx'", Ok("x")),
        ("printf 'Location: /\\n\\n'", Ok("")),
        (
            "printf 'Status: 500\\n\\nx'",
            Err(("HttpStatus", "status 500")),
        ),
        (
            "printf 'Status: 503 x\\n\\nx'",
            Err(("HttpStatus", "status 503")),
        ),
        ("printf x", Err(("BadReply", "not a header: 'x'"))),
        (":", Err(("BadReply", "the program has written nothing"))),
        (
            "echo why >&2; exit 7",
            Err(("ExitError", "exit status 7: why")),
        ),
    ] {
        for cloud in CLOUDS {
            let _case = Case((cloud, script));
            let answer = cloud.start(shell(script)).call("event");
            match want {
                Ok(body) => answer.expect(body),
                Err((kind, message)) => answer.expect_failure(kind, message),
            }
        }
    }
}

/// Calls side by side do not wait for each other, nor take each other's replies.
#[test]
fn requests_side_by_side() {
    let script = "sleep 0.2; printf 'Status: 200\\nX-Path: %s\\n\\n%s' $PATH_INFO $PATH_INFO";
    let mut server = shell(script).start();
    let since = Instant::now();
    let mut clients: Vec<_> = (0..20).map(|_| server.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let fields = format!("X-Fc-Request-Id: {number}\r\n");
        client.send(get(&format!("/{number}"), &fields));
    }
    for (number, client) in clients.iter_mut().enumerate() {
        let response = client.expect(200);
        let want = format!("/{number}");
        assert_eq!(response.header("x-path"), Some(&*want));
        assert_eq!(response.text(), want);
    }
    assert!(since.elapsed() < Duration::from_secs(3));
    server.signal(Signal::TERM);
    server.expect_exit(0);
}

/// `examples/cgi`: a form is shown, sent, and remembered.
#[track_caller]
fn check_form(site: &mut Site) {
    let page = site.get().expect("a page");
    assert_eq!(page.values("content-type"), ["text/html; charset=utf-8"]);
    assert!(page.text().contains("<h1>Hello, stranger!</h1>"));
    let body = b"other=&name=A%26+%3Cb%3E%E4%BD%A0;\r\nX: y";
    let method = "POST";
    let got = site
        .ask(&Sent {
            method,
            body,
            ..GET
        })
        .expect("a reply");
    assert_eq!((got.status, got.values("location")), (303, vec!["/"]));
    let cookies = got.values("set-cookie");
    let cookie = "name=A%26+%3Cb%3E%E4%BD%A0";
    assert!(cookies[0].starts_with(cookie), "{cookies:?}");
    assert!(cookies[1].starts_with("last="), "{cookies:?}");
    let headers = [("Cookie", &*format!("a=b; {cookie}"))];
    let page = site
        .ask(&Sent {
            headers: &headers,
            ..GET
        })
        .expect("a page");
    assert!(
        page.text()
            .contains("<h1>Hello, A&amp; &lt;b&gt;\u{4f60}!</h1>"),
        "{}",
        page.text()
    );
    let got = site
        .ask(&Sent {
            path: "/none",
            ..GET
        })
        .expect("a page");
    assert_eq!((got.status, &*got.text()), (404, "No such page.\n"));
}

const FORM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/cgi/index.cgi");

#[test]
fn the_example() {
    each(|| cgi([FORM]), check_form);
    let manifest = fs::read_to_string(FORM.replace("index.cgi", "s.yaml")).expect("s.yaml");
    assert!(manifest.contains("args: [cgi, ./index.cgi]"));
}

/// The same as a deployed folder, called through the local tool. SCF's event functions it calls by the event.
#[test]
fn the_example_behind_the_local_tool() {
    let folder = FORM.replace("/index.cgi", "");
    for platform in ["fc", "lambda", "scf"] {
        let _case = Case(platform);
        let is_scf = platform == "scf";
        let nowhere = File::create("/dev/null").expect("a file");
        let program = cgi(["./index.cgi"]).stderr(nowhere);
        let mut server = serving(program, &["--platform", platform, "--code", &folder]);
        let mut ask = |sent: &Sent<'_>| {
            let mut client = server.connect();
            if !is_scf {
                client.send(request(sent, ""));
                let response = client.read_response(sent.method).expect("a response");
                return (response.status.into(), response.text());
            }
            let event = Gateway::ScfUrl.event(sent).to_string();
            client.send(post("/", "", event));
            let answer: Value = serde_json::from_slice(&client.expect(200).body).expect("JSON");
            let got = Gateway::ScfUrl.response(&answer);
            (got.status, got.text())
        };
        let (status, page) = ask(&GET);
        assert!(status == 200 && page.contains("Hello, stranger!"), "{page}");
        let (method, body) = ("POST", &b"name=x"[..]);
        assert_eq!(
            ask(&Sent {
                method,
                body,
                ..GET
            }),
            (303, String::new())
        );
        let headers = [("Cookie", "name=x")];
        let (_, page) = ask(&Sent {
            headers: &headers,
            ..GET
        });
        assert!(page.contains("Hello, x!"), "{page}");
        assert_eq!(
            ask(&Sent {
                path: "/none",
                ..GET
            })
            .0,
            404
        );
    }
}

/// A program that others wrote for CGI: a repository is cloned, pushed to and cloned again.
#[test]
fn git_serves_a_repository() {
    let git = |folder: &Folder, words: &[&str]| {
        let mut command = Command::new("git");
        let command = command.arg("-C").arg(folder.at("")).args(words);
        for (name, value) in [
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
        ] {
            command.env(name, value);
        }
        let output = command.output().expect("git");
        let log = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {words:?}: {log}");
        String::from_utf8(output.stdout).expect("text")
    };
    for platform in ["fc", "lambda"] {
        let _case = Case(platform);
        let folder = Folder::new();
        git(&folder, &["init", "--quiet", "--bare", "there.git"]);
        git(
            &folder,
            &["-C", "there.git", "config", "http.receivepack", "true"],
        );
        let backend = [git(&folder, &["--exec-path"]).trim(), "/git-http-backend"].concat();
        let root = format!("GIT_PROJECT_ROOT={}", folder.at("").display());
        let nowhere = File::create("/dev/null").expect("a file");
        let options = [
            "--platform",
            platform,
            "--env",
            &root,
            "--env",
            "GIT_HTTP_EXPORT_ALL=1",
        ];
        let server = serving(cgi([&*backend]).stderr(nowhere), &options);
        server.wait_until_listening();
        let url = format!("http://127.0.0.1:{}/there.git", server.port);
        git(&folder, &["clone", "--quiet", &url, "here"]);
        let content = noise(MIB / 2);
        folder.file("here/noise", 0o644, &content);
        git(&folder, &["-C", "here", "add", "noise"]);
        let author = ["-c", "user.name=a", "-c", "user.email=a@b"];
        let commit = ["-C", "here", "commit", "--quiet", "-m", "noise"];
        git(&folder, &[&author[..], &commit[..]].concat());
        git(
            &folder,
            &[
                "-C",
                "here",
                "push",
                "--quiet",
                "origin",
                "HEAD:refs/heads/other",
            ],
        );
        git(
            &folder,
            &["clone", "--quiet", "--branch", "other", &url, "again"],
        );
        assert_same(
            &fs::read(folder.at("again/noise")).expect("a file"),
            &content,
        );
    }
}

/// Where there is no platform, nobody sends the id of a call, and each request is one all the same (Knative, Cloud Run).
#[test]
fn without_a_platform() {
    let program = cgi(["sh", "-c", "printf 'Content-Type: a/b\\n\\nhello'"]).without_port();
    let port = program.port();
    let mut server = program.env("PORT", port).start();
    server.port = port;
    for method in ["GET", "POST"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: h\r\n\r\n");
        assert_eq!(server.call(request, 200).text(), "hello", "{method}");
    }
}

/// The words are those of `command`, wherever they stand.
#[test]
fn how_it_is_named() {
    let environment =
        Program::bootstrap().env("FNBOOT", "cgi sh -c \"printf 'Status: 204\\n\\n'\"");
    let got = Source::Fc.start(environment).get().expect("a reply");
    assert_eq!(got.status, 204);
    let (status, _, stderr) = Program::bootstrap().arguments(["cgi"]).run();
    assert_eq!(status.code(), Some(2));
    assert_eq!(stderr, "fnboot: cgi: of what? see --help\n");
    let (status, _, stderr) = cgi(["/no/such"]).run();
    assert_eq!(status.code(), Some(1));
    assert_eq!(stderr, "fnboot: there is no program '/no/such'\n");
    let (_, help, _) = Program::bootstrap().arguments(["--help"]).run();
    assert!(help.contains("bootstrap cgi CMD"), "{help}");
}
