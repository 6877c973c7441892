//! `bootstrap web`: an HTTP server as the function, on every platform, as its documents promise it.
//!
//! The server is `tests/fixture/site.rs`, which does what the path of a request says; that it does is tested here,
//! too. Where a test is about an answer, the test writes it: `/raw` sends the body of its request as it is.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::api::ID;
use crate::command::{Cloud, Instance, MIB, children, has_ended, open_descriptors, state};
use crate::harness::{
    Case, Client, Folder, Program, Server, assert_same, bootstrap, chunked, find, fixture, get,
    in_own_network, narrow, noise, post, wait_for,
};
use crate::http_events::{Function, GET, Gateway, Sent};
use crate::{port, process};

/// The fields that every call of FC has.
pub const FC: &str = "X-Fc-Request-Id: r\r\nX-Fc-Control-Path: /http-invoke\r\n";

/// An answer as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wire {
    pub status: u16,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Wire {
    fn of_head(head: &[u8]) -> Self {
        let text: String = head.iter().copied().map(char::from).collect();
        let text = text.strip_suffix("\r\n\r\n").expect("an end");
        let (line, rest) = text.split_once("\r\n").unwrap_or((text, ""));
        let status = line.strip_prefix("HTTP/1.1 ").expect("a version");
        let field = |line: &str| {
            let (name, value) = line
                .split_once(':')
                .unwrap_or_else(|| panic!("no field: {text}"));
            (name.to_owned(), value.trim().to_owned())
        };
        Self {
            status: status[..3].parse().expect("a status"),
            fields: rest.split_terminator("\r\n").map(field).collect(),
            body: Vec::new(),
        }
    }

    pub fn all(&self, name: &str) -> Vec<&str> {
        let named = |(other, _): &&(String, String)| other.eq_ignore_ascii_case(name);
        let values = self.fields.iter().filter(named);
        values.map(|(_, value)| value.as_str()).collect()
    }

    #[track_caller]
    pub fn field(&self, name: &str) -> Option<&str> {
        let values = self.all(name);
        assert!(values.len() <= 1, "{name} more than once: {self:?}");
        values.first().copied()
    }

    fn number(&self, name: &str) -> u64 {
        let value = self.field(name);
        let value = value.unwrap_or_else(|| panic!("no {name}: {} {}", self.status, self.text()));
        value.parse().expect("a number")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// What the program said: without what belongs to a connection, and what the server that sends it adds.
    fn said(&self) -> Self {
        let framing = [
            "connection",
            "content-length",
            "transfer-encoding",
            "date",
            "keep-alive",
        ];
        let mut said = self.clone();
        said.fields
            .retain(|(name, _)| !framing.contains(&&*name.to_ascii_lowercase()));
        // Which connection it was is another matter.
        for (name, value) in &mut said.fields {
            if ["X-Connection", "X-Turn"].contains(&&**name) {
                value.clear();
            }
        }
        said
    }

    /// A failure that fnboot tells.
    #[track_caller]
    pub fn error(&self) -> (String, String) {
        let error: serde_json::Value = serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("no error: {} {}", self.status, self.text()));
        let text = |name: &str| {
            let value = error[name].as_str();
            value
                .unwrap_or_else(|| panic!("no {name}: {}", self.text()))
                .to_owned()
        };
        (text("errorType"), text("errorMessage"))
    }

    #[track_caller]
    pub fn expect(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?} {}", self.fields, self.text());
        self
    }

    #[track_caller]
    fn expect_bad_gateway(&self) {
        assert_eq!(self.status, 502, "{:?} {}", self.fields, self.text());
        assert_eq!(self.error().0, "BadGateway");
    }
}

/// Reads one answer, whichever its framing.
#[track_caller]
pub fn read(client: &mut Client, method: &str) -> Wire {
    let mut wire = Wire::of_head(&client.read_bytes_until(b"\r\n\r\n"));
    let (length, coding) = (
        wire.field("content-length"),
        wire.field("transfer-encoding"),
    );
    assert!(length.is_none() || coding.is_none(), "{wire:?}");
    if method == "HEAD" || matches!(wire.status, 204 | 304) {
        return wire;
    }
    if let Some(length) = length {
        wire.body = client.read_bytes(length.parse().expect("a length"));
        return wire;
    }
    assert_eq!(coding, Some("chunked"), "{wire:?}");
    loop {
        match client.read_chunk() {
            chunk if chunk.is_empty() => break,
            chunk => wire.body.extend(chunk),
        }
    }
    // Trailers are dropped.
    assert_eq!(client.read_bytes(2), b"\r\n");
    wire
}

#[track_caller]
pub fn call_on(client: &mut Client, request: impl AsRef<[u8]>) -> Wire {
    let method = request.as_ref().split(|&byte| byte == b' ').next();
    let method = String::from_utf8_lossy(method.unwrap_or_default()).into_owned();
    client.send(request);
    read(client, &method)
}

/// Each byte is its place modulo 251.
pub fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn site_path() -> String {
    fixture("site").to_str().expect("text").to_owned()
}

/// fnboot with the site as its function, at that port.
fn site_at(port: u16, words: &[&str]) -> Program {
    let program = Program::bootstrap().arguments(["web", &site_path()]);
    program.arguments(words).env("FNBOOT_WEB_PORT", port)
}

/// fnboot with a shell that becomes the site.
fn shell_at(port: u16, script: &str) -> Program {
    let script = script.replace("SITE", &site_path());
    let program = Program::bootstrap().arguments(["web", "sh", "-c", &script]);
    program.env("FNBOOT_WEB_PORT", port)
}

fn a_port() -> u16 {
    port::free().expect("a port")
}

/// A web function on FC.
struct Web {
    server: Server,
    /// The program's own port.
    port: u16,
}

impl Web {
    fn start(words: &[&str]) -> Self {
        Self::with(words, |program| program)
    }

    fn with(words: &[&str], set: impl FnOnce(Program) -> Program) -> Self {
        let port = a_port();
        Self {
            server: set(site_at(port, words)).start(),
            port,
        }
    }

    /// The site itself, without fnboot.
    fn alone(words: &[&str]) -> Self {
        let program = Program::at(fixture("site")).arguments(words);
        let port = program.port();
        Self {
            server: program.env("PORT", port).start(),
            port,
        }
    }

    #[track_caller]
    fn call(&mut self, request: impl AsRef<[u8]>) -> Wire {
        call_on(&mut self.server.connect(), request)
    }

    #[track_caller]
    fn get(&mut self, target: &str) -> Wire {
        self.call(get(target, FC))
    }

    /// An answer that the test writes.
    #[track_caller]
    fn raw(&mut self, path: &str, answer: impl AsRef<[u8]>) -> Wire {
        self.call(post(path, FC, answer))
    }

    /// What the program says when it is asked on a connection of its own.
    #[track_caller]
    fn ask(&self, target: &str) -> String {
        ask(self.port, target)
    }

    /// Waits for it.
    #[track_caller]
    fn wait_for(&self, target: &str, want: &str) {
        wait_for(target, || (self.ask(target) == want).then_some(()));
    }

    /// A program's process id, as it says it.
    #[track_caller]
    fn pid(&mut self) -> u32 {
        self.get("/echo").number("x-pid") as u32
    }

    /// The program has died so often, and nothing else was worth a line.
    #[track_caller]
    fn expect_deaths(&self, count: usize) {
        expect_deaths(&self.server, count);
    }

    /// fnboot must end with a failure and one line, which is returned.
    #[track_caller]
    fn expect_failure(mut self) -> String {
        expect_failure(&mut self.server)
    }
}

#[track_caller]
fn expect_deaths(server: &Server, count: usize) {
    let shown = server.stderr.take();
    let told = |line: &str| line.starts_with(DEATH);
    assert!(
        shown.lines().all(told) && shown.lines().count() == count,
        "{shown}"
    );
}

/// What is said of the death of a program that served.
const DEATH: &str = "fnboot: the program has ended: ";

#[track_caller]
fn expect_failure(server: &mut Server) -> String {
    server.expect_exit(1);
    let shown = server.stderr.take();
    let last = shown.lines().last().unwrap_or_default().to_owned();
    let told = |line: &&str| !line.starts_with("fnboot: waiting for the program on ");
    assert_eq!(shown.lines().filter(told).count(), 1, "{shown}");
    assert!(
        last.starts_with("fnboot: ") && shown.ends_with('\n'),
        "{shown}"
    );
    last
}

#[track_caller]
fn ask(port: u16, target: &str) -> String {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the program");
    call_on(&mut Client::new(stream), get(target, "")).text()
}

/// Runs it for each row at once, because it waits.
pub fn at_once<T: Sync + std::fmt::Debug>(rows: &[T], test: impl Fn(&T) + Sync) {
    thread::scope(|scope| {
        for row in rows {
            let test = &test;
            scope.spawn(move || {
                let _case = Case(row);
                test(row);
            });
        }
    });
}

/// Requests whose answers are the same whoever asks.
fn plain_requests() -> Vec<Vec<u8>> {
    let long = noise(300_000);
    let targets = [
        "/status/200",
        "/status/201",
        "/status/299",
        "/status/404",
        "/status/405",
        "/status/418",
        "/status/500",
        "/status/503",
        "/status/599",
        "/sized/0",
        "/sized/1",
        "/sized/100000",
        "/chunked/0",
        "/chunked/1",
        "/chunked/100000",
        "/sse/3/1",
        "/trickle/20/1",
        "/slow/5",
        "/nowhere",
        "/",
        "/?a",
        "/env/NOTHING",
        "/initialize",
        "/pre-stop",
        "/pre-freeze",
        "/body?a=b&&c=%00%zz;d=<>\"'{}|\\^`",
        "/body/../x//y/./",
        "/say/3",
        "//",
    ];
    let mut requests: Vec<Vec<u8>> = targets
        .iter()
        .map(|target| get(target, FC).into())
        .collect();
    for (path, body) in [
        ("/body", &b""[..]),
        ("/body", b"\0\r\n\r\n"),
        ("/body", &long),
        ("/invoke", b"event"),
        ("/initialize", b""),
        ("/status/202", b"said"),
    ] {
        requests.push(post(path, FC, body));
    }
    requests.push(format!("OPTIONS * HTTP/1.1\r\nHost: h\r\n{FC}\r\n").into());
    for method in [
        "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PURGE", "M-SEARCH", "get", "HEAD",
    ] {
        let target = if method == "HEAD" {
            "/sized/77"
        } else {
            "/body"
        };
        requests.push(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n{FC}\r\n").into());
    }
    requests
}

mod the_site {
    //! Nothing of fnboot: that the program does what the other tests ask of it.

    use super::*;

    fn raw_bytes(web: &mut Web, request: impl AsRef<[u8]>) -> String {
        let mut client = web.server.connect();
        client.send(request);
        String::from_utf8_lossy(&client.read_to_end()).into_owned()
    }

    #[test]
    fn answers() {
        let mut web = Web::alone(&["stdout=out", "stderr=err", "say"]);
        let mut client = web.server.connect();
        let request =
            "POST /echo?x HTTP/1.1\r\nHost: h\r\nx-ODD:  1\r\nContent-Length: 3\r\n\r\nabc";
        for turn in 1..3 {
            let echo = call_on(&mut client, request);
            assert_eq!(echo.text(), request);
            assert_eq!(echo.number("x-turn"), turn);
            assert_eq!(echo.number("x-pid"), u64::from(web.server.id()));
        }
        assert_eq!(web.get("/echo").number("x-connection"), 2);
        assert_eq!(web.ask("/count?/echo?x"), "2");
        web.wait_for("/open", "1");
        assert_eq!(web.get("/status/503").expect(503).text(), "status 503");
        assert_eq!(
            web.call(post("/status/299", "", "x")).expect(299).text(),
            "x"
        );
        for path in ["/sized", "/chunked"] {
            assert_same(&web.get(&format!("{path}/200000")).body, &pattern(200_000));
            let head = web.call(format!("HEAD {path}/7 HTTP/1.1\r\nHost: h\r\n\r\n"));
            assert_eq!(
                head.field("content-length"),
                (path == "/sized").then_some("7")
            );
        }
        let eof = raw_bytes(&mut web, get("/eof/3", ""));
        assert_eq!(
            eof,
            "HTTP/1.1 200 OK\r\nContent-Type: a/b\r\n\r\n\0\u{1}\u{2}"
        );
        assert_eq!(raw_bytes(&mut web, get("/half/3", "")), eof);
        assert_eq!(
            raw_bytes(&mut web, post("/raw-close/1", "", "any\x01thing")),
            "anything"
        );
        assert!(
            raw_bytes(&mut web, get("/cut/3", ""))
                .ends_with("Content-Length: 103\r\n\r\n\0\u{1}\u{2}")
        );
        assert!(
            raw_bytes(&mut web, get("/cut-chunked/3", ""))
                .ends_with("\r\n\r\n3\r\n\0\u{1}\u{2}\r\n")
        );
        assert_eq!(raw_bytes(&mut web, get("/break", "")), "");
        assert!(raw_bytes(&mut web, get("/close", "")).ends_with("\r\n\r\nclose"));
        assert!(raw_bytes(&mut web, get("/close-idle/1", "")).ends_with("\r\n\r\nclose"));
        client = web.server.connect();
        assert_eq!(
            call_on(&mut client, get("/break-reused", "")).text(),
            "whole"
        );
        client.send(get("/break-reused", "")).expect_close();
        assert_eq!(web.get("/sse/2/1").text(), "data: 0\n\ndata: 1\n\n");
        assert_eq!(web.get("/trickle/3/1").body, [0, 1, 2]);
        let mut clients = [web.server.connect(), web.server.connect()];
        clients[0].send(get("/together/2", ""));
        clients[1].send(get("/together/2", ""));
        for client in &mut clients {
            assert_eq!(read(client, "GET").text(), "together");
        }
        client = web.server.connect();
        client.send("POST /early HTTP/1.1\r\nContent-Length: 100\r\n\r\n");
        assert_eq!(read(&mut client, "POST").text(), "early");
        client = web.server.connect();
        client.send(get("/endless", "")).read_bytes(1_000_000);
        client.reset();
        assert!(web.ask("/written").parse::<u32>().expect("a number") > 500_000);
        client = web.server.connect();
        client.send(get("/never", ""));
        thread::sleep(Duration::from_millis(20));
        client.expect_silence();
        client.reset();
        web.wait_for("/open", "2");
        let child = web.get("/fork").text().parse().expect("an id");
        assert!(!has_ended(child));
        rustix::process::kill_process(pid(child), Signal::KILL).expect("kill");
        assert_eq!(web.get("/env/PORT").text(), web.port.to_string());
        assert_eq!(web.get("/say/2").text(), "said");
        assert_eq!(web.server.stdout.take(), "out\nout 0\nout 1\n");
        let log = web.server.stderr.take();
        assert!(
            log.starts_with("err\nPOST /echo?x\nPOST /echo?x\nGET /echo\n"),
            "{log}"
        );
        assert!(log.ends_with("err 0\nerr 1\n"), "{log}");
        assert_eq!(raw_bytes(&mut web, get("/die/3", "")), "");
        web.server.expect_exit(3);
        web.server.stderr.take();
    }

    #[test]
    fn ends_and_starts() {
        for (path, sent, code) in [
            ("/die-mid/4", "\r\n\r\nhalf", Some(4)),
            ("/die-mid-chunked/4", "4\r\nhalf\r\n", Some(4)),
            ("/die-after/0", "last words", Some(0)),
            ("/kill", "", None),
        ] {
            let _case = Case(path);
            let mut web = Web::alone(&["accept=10"]);
            assert!(raw_bytes(&mut web, get(path, "")).ends_with(sent));
            assert_eq!(web.server.wait().code(), code);
        }
        let folder = Folder::new();
        let count = format!("count={}", folder.at("count").display());
        let words = [
            "1:stdout=one",
            &count,
            "2:stdout=two",
            "2+:stdout=more",
            "stdout=a:b",
            "exit=5",
        ];
        for want in ["one\na:b\n", "one\ntwo\nmore\na:b\n", "one\nmore\na:b\n"] {
            let program = Program::at(fixture("site")).arguments(words);
            let (status, stdout, _) = program.run();
            // What precedes the count is for the first start.
            assert_eq!((status.code(), &*stdout), (Some(5), want));
        }
    }

    /// One connection to its end, then the next.
    #[test]
    fn one_at_a_time() {
        let mut web = Web::alone(&["serial"]);
        let (mut first, mut second) = (web.server.connect(), web.server.connect());
        assert_eq!(call_on(&mut first, get("/body", "")).status, 200);
        second.send(get("/body", ""));
        thread::sleep(Duration::from_millis(50));
        second.expect_silence();
        drop(first);
        assert_eq!(read(&mut second, "GET").status, 200);
    }
}

pub fn pid(id: u32) -> rustix::process::Pid {
    rustix::process::Pid::from_raw(id.cast_signed()).expect("an id")
}

mod requests {
    //! What comes in reaches the program as it came.

    use super::*;

    /// What the program saw: the lines of the head, and the body.
    fn seen(echo: &Wire) -> (Vec<String>, Vec<u8>) {
        let end = find(&echo.body, b"\r\n\r\n").expect("a head");
        let head: String = echo.body[..end].iter().copied().map(char::from).collect();
        let lines = head.split("\r\n").map(str::to_owned).collect();
        (lines, echo.body[end + 4..].to_vec())
    }

    #[test]
    fn byte_for_byte() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        let fields = "Host: example.com:8080\r\nX-Fc-Request-Id: r\r\nX-Fc-Control-Path: /http-invoke\r\n\
            x-dup: 1\r\nX-Dup: 2\r\nX-EMPTY: \r\naCcEpT: a/b, c/d;q=0.5\r\nCookie: a=1; b=\"2\"\r\nx-dup: 3\r\n\
            X-Latin: \u{e9}\r\nAuthorization: Basic eA==\r\nX-Forwarded-For: 1.2.3.4\r\nVia: 1.1 x\r\n\
            Content-Type: text/plain;charset=\"x\"\r\nX-Tab: a\tb\r\n~!#$%&'*+-.^_`|: odd\r\nUser-Agent: u\r\n\
            Connections: no\r\nTEA: yes\r\nX-Last: z";
        for (line, body) in [
            ("GET /echo?a=b&&c=%00%zz;d HTTP/1.1", ""),
            ("POST /echo/../x//y?/? HTTP/1.1", "body"),
            ("DELETE /echo HTTP/1.1", "a\r\n\r\nb"),
            ("M-SEARCH /echo/;v=1?\"<>' HTTP/1.1", ""),
        ] {
            let _case = Case(line);
            let length = if body.is_empty() {
                String::new()
            } else {
                format!("\r\nContent-Length: {}", body.len())
            };
            let request = format!("{line}\r\n{fields}{length}\r\n\r\n{body}");
            let echo = call_on(&mut client, &request);
            assert_eq!(echo.text(), request);
        }
    }

    #[test]
    fn what_belongs_to_a_connection_is_not_passed() {
        let mut web = Web::start(&[]);
        for (what, fields, left) in [
            ("Connection", "Connection: keep-alive", ""),
            (
                "what it names",
                "X-A: 1\r\nConnection: x-a, X-B\r\nx-B: 2\r\nX-AB: 3",
                "X-AB: 3",
            ),
            (
                "two of it",
                "connection: x-a\r\nX-A: 1\r\nCONNECTION: x-b\r\nX-B: 2",
                "",
            ),
            (
                "names without blanks",
                "Connection: keep-alive,x-a,,x-b\r\nX-A: 1\r\nX-B: 1\r\nX-C: 1",
                "X-C: 1",
            ),
            ("Keep-Alive", "Keep-Alive: timeout=5\r\nX: 1", "X: 1"),
            ("Proxy-Connection", "Proxy-Connection: keep-alive", ""),
            ("TE", "te: trailers, deflate", ""),
            ("Trailer", "Trailer: X-T", ""),
            ("Upgrade that is only offered", "Upgrade: h2c", ""),
            (
                "Proxy-Authorization",
                "Proxy-Authorization: x",
                "Proxy-Authorization: x",
            ),
        ] {
            let _case = Case(what);
            let echo = web.call(format!("GET /echo HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n"));
            let (lines, _) = seen(&echo.expect(200));
            let want: Vec<&str> = ["GET /echo HTTP/1.1", "Host: h"]
                .into_iter()
                .chain((!left.is_empty()).then_some(left))
                .collect();
            assert_eq!(lines, want);
        }
    }

    /// Connection: close is between the client and fnboot.
    #[test]
    fn a_client_may_close() {
        let mut web = Web::start(&[]);
        let mut numbers = Vec::new();
        for _ in 0..3 {
            let mut client = web.server.connect();
            let echo = call_on(&mut client, get("/echo", "Connection: close\r\n"));
            client.expect_close();
            numbers.push(echo.number("x-connection"));
            assert!(!echo.text().contains("close"), "{}", echo.text());
        }
        numbers.dedup();
        assert_eq!(numbers.len(), 1);
    }

    /// However the body came, it goes on whole, with its length.
    #[test]
    fn bodies_have_a_length() {
        let mut web = Web::start(&[]);
        for (len, size) in [
            (1, 1),
            (1000, 7),
            (100_000, 1000),
            (5 * MIB, 64 * 1024),
            (0, 1),
        ] {
            let _case = Case((len, size));
            let body = noise(len);
            let echo = web
                .call(chunked("/echo", "X: 1\r\n", &body, size))
                .expect(200);
            let (mut lines, got) = seen(&echo);
            assert_same(&got, &body);
            lines.retain(|line| !line.eq_ignore_ascii_case(&format!("content-length: {len}")));
            assert_eq!(lines, ["POST /echo HTTP/1.1", "Host: h", "X: 1"]);
        }
        let trailers = "POST /echo HTTP/1.1\r\nHost: h\r\nTrailer: X-T\r\nTransfer-Encoding: chunked\r\n\r\n\
            3;a=b\r\nabc\r\n0\r\nX-T: 1\r\n\r\n";
        let (lines, got) = seen(&web.call(trailers));
        assert_eq!(got, b"abc");
        assert!(!lines.concat().contains("X-T"), "{lines:?}");
        // A program that is asked for nothing is told of no body.
        let (lines, _) = seen(&web.call(get("/echo", "")));
        assert_eq!(lines, ["GET /echo HTTP/1.1", "Host: h"]);
    }

    #[test]
    fn expectations_are_met_by_fnboot() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        let head =
            "POST /echo HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n";
        client.send(head).expect_continue();
        let (lines, body) = seen(&call_on(&mut client, "body"));
        assert_eq!(
            lines,
            ["POST /echo HTTP/1.1", "Host: h", "Content-Length: 4"]
        );
        assert_eq!(body, b"body");
    }

    #[test]
    fn an_older_client() {
        let mut web = Web::start(&[]);
        let mut server_says = |request: &str| {
            let mut client = web.server.connect();
            client.send(request);
            String::from_utf8_lossy(&client.read_to_end()).into_owned()
        };
        let got = server_says("GET /echo HTTP/1.0\r\nX: 1\r\n\r\n");
        let (head, body) = got.split_once("\r\n\r\n").expect("a head");
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let mut lines: Vec<&str> = body.trim_end().split("\r\n").collect();
        assert_eq!(lines.remove(0), "GET /echo HTTP/1.1");
        lines.sort_unstable();
        assert_eq!(lines, [&*format!("Host: 127.0.0.1:{}", web.port), "X: 1"]);
        let mut server_says = |request: &str| {
            let mut client = web.server.connect();
            client.send(request);
            client.read_to_end()
        };
        // It knows no chunks.
        for path in ["/chunked/100000", "/eof/100000", "/sized/100000"] {
            let _case = Case(path);
            let got = server_says(&format!("GET {path} HTTP/1.0\r\n\r\n"));
            let end = find(&got, b"\r\n\r\n").expect("a head");
            let head = String::from_utf8_lossy(&got[..end]).to_ascii_lowercase();
            assert!(!head.contains("transfer-encoding"), "{head}");
            assert_same(&got[end + 4..], &pattern(100_000));
        }
    }

    #[test]
    fn upgrades_are_refused() {
        let mut web = Web::start(&["say"]);
        let fields = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13\r\n";
        for fields in [fields, "Connection: keep-alive, upgrade\r\nUpgrade: x\r\n"] {
            let refused = web.call(get("/echo", fields)).expect(501);
            assert!(
                refused.text().to_ascii_lowercase().contains("upgrade"),
                "{}",
                refused.text()
            );
        }
        web.get("/body").expect(200);
        assert!(!web.server.stdout.text().contains("/echo"));
    }

    /// Several in one write.
    #[test]
    fn requests_may_follow_each_other() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        let mut wire = Vec::new();
        for turn in 0..20 {
            let target = format!("{}?{turn}", if turn % 3 == 0 { "/slow/5" } else { "/echo" });
            wire.extend(post(&target, "", format!("{turn}")));
        }
        client.send(wire);
        for turn in 0..20 {
            let echo = read(&mut client, "POST").expect(200);
            if turn % 3 != 0 {
                assert!(
                    echo.text().ends_with(&format!("\r\n\r\n{turn}")),
                    "{}",
                    echo.text()
                );
            }
        }
    }

    /// Whether fnboot is in between cannot be told from what is said.
    #[test]
    fn nobody_sees_fnboot() {
        let (mut web, mut alone) = (Web::start(&[]), Web::alone(&[]));
        for request in plain_requests() {
            let _case =
                Case(String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned());
            let (mut got, mut want) = (web.call(&request).said(), alone.call(&request).said());
            for wire in [&mut got, &mut want] {
                wire.fields.retain(|(name, _)| name != "X-Pid");
            }
            assert_same(&got.body, &want.body);
            // What fails on FC says so, which is another test's matter.
            assert_eq!((got.status, got.fields), (want.status, want.fields));
        }
        alone.server.stdout.take();
        alone.server.stderr.take();
    }

    #[test]
    fn a_long_request() {
        let mut web = Web::start(&[]);
        let body = noise(20 * MIB);
        assert_same(&web.call(post("/body", FC, &body)).expect(200).body, &body);
        // What is too long for fnboot never reaches the program.
        let refused =
            web.call("POST /body HTTP/1.1\r\nHost: h\r\nContent-Length: 99999999999\r\n\r\n");
        assert_eq!(refused.status, 413);
    }
}

mod answers {
    //! What the program says reaches the client as it was said.

    use super::*;

    #[test]
    fn as_they_came() {
        let mut web = Web::start(&[]);
        let many: String = (0..90).map(|n| format!("X-{n}: {n}\r\n")).collect();
        for (what, status, fields) in [
            ("nothing special", "200 OK", ""),
            ("no reason", "200 ", ""),
            ("an odd status", "299 Anything It Likes", ""),
            ("a teapot", "418 I'm a teapot", "Content-Type: tea/pot\r\n"),
            (
                "cookies",
                "200 OK",
                "Set-Cookie: a=1; Path=/\r\nX: y\r\nset-cookie: b=2\r\nSet-Cookie: c=3\r\n",
            ),
            (
                "its own date",
                "200 OK",
                "Date: Thu, 01 Jan 1970 00:00:00 GMT\r\n",
            ),
            (
                "its own server",
                "200 OK",
                "Server: Odd/1.0 (x)\r\nX-Powered-By: y\r\n",
            ),
            (
                "fields of FC",
                "200 OK",
                "X-Fc-Anything: 1\r\nx-fc-status: 200\r\n",
            ),
            (
                "spelling",
                "200 OK",
                "x-LOWER: 1\r\nX-UPPER:2\r\nX-Blanks:   3  \r\nX-Empty:\r\n~!#$%&'*+-.^_`|: 4\r\n",
            ),
            (
                "caches",
                "200 OK",
                "ETag: \"x\"\r\nVary: a, b\r\nLast-Modified: never\r\nAge: 1\r\nVia: 1.0 x\r\n",
            ),
            (
                "a redirect",
                "302 Found",
                "Location: http://127.0.0.1:1/?a=b#c\r\n",
            ),
            (
                "challenges",
                "401 No",
                "WWW-Authenticate: Basic\r\nWWW-Authenticate: Bearer realm=\"x, y\"\r\n",
            ),
            (
                "letters",
                "200 OK",
                "X-Latin: \u{e9}\u{20ac}\r\nX-Tab: a\tb\r\n",
            ),
            ("many", "200 OK", &many),
            (
                "a coding of its own",
                "200 OK",
                "Content-Encoding: gzip\r\nContent-Range: bytes 0-3/4\r\n",
            ),
            (
                "a long one",
                "200 OK",
                &format!("X-Long: {}\r\n", "x".repeat(8000)),
            ),
        ] {
            for is_chunked in [false, true] {
                let _case = Case((what, is_chunked));
                let framing = if is_chunked {
                    "Transfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n"
                } else {
                    "Content-Length: 4\r\n\r\nbody"
                };
                let got = web.raw("/raw", format!("HTTP/1.1 {status}\r\n{fields}{framing}"));
                let want = Wire::of_head(format!("HTTP/1.1 {status}\r\n{fields}\r\n").as_bytes());
                assert_eq!(got.text(), "body");
                assert_eq!(got.status, want.status);
                let date = want.field("date").or(got.field("date"));
                assert!(date.is_some() && got.field("date") == date, "{got:?}");
                assert_eq!(got.said().fields, want.said().fields);
            }
        }
    }

    #[test]
    fn what_belongs_to_a_connection_is_not_passed() {
        let mut web = Web::start(&[]);
        for (what, fields, left) in [
            ("Connection", "Connection: keep-alive", ""),
            ("an end", "Connection: close", ""),
            (
                "what it names",
                "X-A: 1\r\nConnection: x-a, X-B\r\nx-B: 2\r\nX-AB: 3",
                "X-AB: 3",
            ),
            ("Keep-Alive", "Keep-Alive: timeout=5, max=9", ""),
            ("Proxy-Connection", "Proxy-Connection: keep-alive", ""),
            ("TE", "TE: trailers", ""),
            ("Trailer", "Trailer: X-T", ""),
            ("Upgrade", "Upgrade: h2c", ""),
        ] {
            let _case = Case(what);
            let got = web.raw(
                "/raw",
                format!("HTTP/1.1 200 OK\r\n{fields}\r\nContent-Length: 2\r\n\r\nhi"),
            );
            assert_eq!(got.text(), "hi");
            let fields = got
                .fields
                .iter()
                .map(|(name, value)| format!("{name}: {value}"));
            let fields: Vec<_> = fields
                .filter(|field| !field.starts_with("Date: ") && field != "Content-Length: 2")
                .filter(|field| !field.eq_ignore_ascii_case("Connection: keep-alive"))
                .collect();
            let want: Vec<&str> = (!left.is_empty()).then_some(left).into_iter().collect();
            assert_eq!(fields, want);
            // The end of the program's connection is not that of the client's.
            let mut client = web.server.connect();
            call_on(
                &mut client,
                post(
                    "/raw-close",
                    "",
                    "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi",
                ),
            );
            assert_eq!(call_on(&mut client, get("/body", "")).status, 200);
        }
    }

    /// How long a body is.
    #[test]
    fn framings() {
        let mut web = Web::start(&[]);
        for len in [0, 1, 1000, 100_000, 3 * MIB] {
            for (path, want_length) in [
                ("sized", Some(true)),
                ("chunked", None),
                ("eof", None),
                ("half", None),
            ] {
                let _case = Case((path, len));
                let got = web.get(&format!("/{path}/{len}")).expect(200);
                assert_same(&got.body, &pattern(len));
                if want_length.is_some() {
                    assert_eq!(got.number("content-length"), len as u64);
                }
            }
        }
        for (what, answer, body) in [
            ("HTTP/1.0", "HTTP/1.0 200 OK\r\nX: 1\r\n\r\nold", "old"),
            (
                "HTTP/1.0 with a length",
                "HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold",
                "old",
            ),
            (
                "the same length twice",
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
                "abc",
            ),
            (
                "extensions",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: CHUNKED\r\n\r\n3;a=\"b\"\r\nabc\r\n0;x\r\n\r\n",
                "abc",
            ),
            (
                "trailers",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-T: 1\r\nY: 2\r\n\r\n",
                "a",
            ),
            (
                "pauses",
                "HTTP\x01/1.1 200 OK\r\n\x01Transfer-Encoding: chunked\r\n\r\n\x012\r\na\x01b\r\n0\x01\r\n\r\n",
                "ab",
            ),
            (
                "a length and pauses",
                "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\x01\nab\x01cd",
                "abcd",
            ),
        ] {
            let _case = Case(what);
            // One that says it goes on, and then ends, may cost the next request.
            let path = if answer.starts_with("HTTP/1.0") {
                "/raw-close/5"
            } else {
                "/raw/5"
            };
            assert_eq!(web.raw(path, answer).expect(200).text(), body);
        }
    }

    #[test]
    fn answers_without_a_body() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        let head = |target: &str| format!("HEAD {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        let got = call_on(&mut client, head("/sized/12345")).expect(200);
        assert_eq!(got.number("content-length"), 12345);
        call_on(&mut client, head("/chunked/12345")).expect(200);
        call_on(&mut client, head("/status/404")).expect(404);
        for (what, answer, status) in [
            ("204", "HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n", 204),
            (
                "304",
                "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\n\r\n",
                304,
            ),
            (
                "304 that tells a length",
                "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n",
                304,
            ),
            (
                "205",
                "HTTP/1.1 205 Reset\r\nContent-Length: 0\r\n\r\n",
                205,
            ),
        ] {
            let _case = Case(what);
            let got = call_on(&mut client, post("/raw", "", answer)).expect(status);
            assert!(got.body.is_empty());
            // The connection to the program is still in step.
            call_on(&mut client, get("/sized/10", "")).expect(200);
        }
        assert_eq!(call_on(&mut client, get("/body", "")).status, 200);
        client.expect_silence();
    }

    #[test]
    fn interim_answers_are_skipped() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        let last = "HTTP/1.1 200 OK\r\nX-Last: 1\r\nContent-Length: 2\r\n\r\nhi";
        for first in [
            "HTTP/1.1 100 Continue\r\n\r\n",
            "HTTP/1.1 102 Processing\r\n\r\n\x01",
            "HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n",
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n\x01HTTP/1.1 103 Early\x01\r\n\r\n",
        ] {
            let _case = Case(first);
            let got =
                call_on(&mut client, post("/raw/5", "", format!("{first}{last}"))).expect(200);
            assert_eq!(got.text(), "hi");
            assert_eq!((got.field("link"), got.field("x-last")), (None, Some("1")));
        }
    }

    /// What is no answer is none of the client's business; and fnboot lives.
    #[test]
    fn what_is_no_answer() {
        let mut web = Web::start(&[]);
        let long = |count: usize| "x".repeat(count);
        for (what, answer) in [
            ("both framings", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".into()),
            ("the same turned", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n0\r\n\r\n".into()),
            ("garbage", "\0\x02\x03\x7f garbage\r\n\r\n\r\n".into()),
            ("a text", "hello world, this is no HTTP\r\n\r\n".into()),
            ("TLS", "\x15\x03\x03\0\x02\x02\x28".into()),
            ("a long head", format!("HTTP/1.1 200 OK\r\nX: {}\r\n\r\n", long(17_000))),
            ("an endless head", format!("HTTP/1.1 200 OK\r\nX: {}", long(100_000))),
            ("an endless line", format!("HTTP/1.1 200 {}", long(100_000))),
            ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nabc".into()),
            ("a length that is none", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n".into()),
            ("a signed length", "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\na".into()),
            ("an overflowing length", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\na".into()),
            ("no status", "HTTP/1.1 OK\r\nContent-Length: 0\r\n\r\n".into()),
            ("a status of two digits", "HTTP/1.1 20 OK\r\nContent-Length: 0\r\n\r\n".into()),
            ("another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n".into()),
            ("no name", "HTTP/1.1 200 OK\r\n: x\r\nContent-Length: 0\r\n\r\n".into()),
            ("no colon", "HTTP/1.1 200 OK\r\nwhat\r\nContent-Length: 0\r\n\r\n".into()),
            ("another protocol", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n".into()),
            ("a coding nobody asked for", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nx".into()),
            ("nothing", String::new()),
            ("half a line", "HTTP/1.1 20".into()),
            ("half a head", "HTTP/1.1 200 OK\r\nContent-Le".into()),
            ("an interim answer alone", "HTTP/1.1 103 Early\r\n\r\n".into()),
        ] {
            let _case = Case(what);
            let mut client = web.server.connect();
            call_on(&mut client, post("/raw-close", FC, &answer)).expect_bad_gateway();
            assert_eq!(call_on(&mut client, get("/body", "")).status, 200);
        }
        web.wait_for("/open", "1");
    }

    /// Never completed: the client is to see that.
    #[test]
    fn what_breaks_off() {
        let mut web = Web::start(&[]);
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        let rows = [
            ("a length", get("/cut/1000", FC).into_bytes()),
            ("a length, long", get("/cut/1000000", FC).into()),
            ("chunks", get("/cut-chunked/1000", FC).into()),
            ("chunks, long", get("/cut-chunked/1000000", FC).into()),
            (
                "within a chunk",
                post(
                    "/raw-close/50",
                    FC,
                    format!("{chunked}2\r\nab\r\n\x01ff\r\nabc"),
                ),
            ),
            (
                "a size that is none",
                post(
                    "/raw-close/50",
                    FC,
                    format!("{chunked}2\r\nab\r\n\x01xyz\r\nabc\r\n0\r\n\r\n"),
                ),
            ),
            (
                "no end of a chunk",
                post(
                    "/raw-close/50",
                    FC,
                    format!("{chunked}2\r\nab\r\n\x012\r\nabcdef\r\n0\r\n\r\n"),
                ),
            ),
            (
                "an overflowing size",
                post(
                    "/raw-close/50",
                    FC,
                    format!("{chunked}2\r\nab\r\n\x01fffffffffffffffff\r\nab"),
                ),
            ),
            (
                "no end",
                post(
                    "/raw-close/50",
                    FC,
                    format!("{chunked}2\r\nab\r\n\x010\r\n"),
                ),
            ),
        ];
        for (what, request) in &rows {
            let _case = Case(what);
            let mut client = web.server.connect();
            client.send(request);
            let got = client.read_to_end();
            let end = find(&got, b"\r\n\r\n").expect("a head");
            let (head, body) = (Wire::of_head(&got[..end + 4]), &got[end + 4..]);
            if head.status == 502 {
                // It was seen before anything was passed on.
                continue;
            }
            assert_eq!(head.status, 200);
            if let Some(length) = head.field("content-length") {
                assert!(body.len() < length.parse().expect("a length"));
            } else {
                assert!(!body.ends_with(b"\r\n0\r\n\r\n") && body != b"0\r\n\r\n");
            }
        }
        // Long ones cannot have been seen before.
        for path in ["/cut/1000000", "/cut-chunked/1000000"] {
            let mut client = web.server.connect();
            client.send(get(path, FC));
            assert!(client.read_to_end().len() >= 900_000);
        }
        web.wait_for("/open", "0");
        assert_eq!(web.get("/body").status, 200);
    }

    /// What is behind an answer is nobody's.
    #[test]
    fn surplus_ends_the_connection() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        for (what, answer) in [
            (
                "behind a length",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            ),
            (
                "behind chunks",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n\r\nevil",
            ),
            (
                "later",
                "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi\x01HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil",
            ),
        ] {
            let _case = Case(what);
            let got = call_on(&mut client, post("/raw/20", "", answer)).expect(200);
            assert_eq!(got.text(), "hi");
            thread::sleep(Duration::from_millis(40));
            let got = call_on(&mut client, get("/echo", "")).expect(200);
            assert!(got.text().starts_with("GET /echo "), "{}", got.text());
            assert_eq!(got.number("x-turn"), 1);
        }
        // Nor is a body where there is none.
        let got = call_on(&mut client, post("/raw", "", "HTTP/1.1 204 No\r\n\r\nevil"));
        assert_eq!(got.status, 204);
        assert!(
            call_on(&mut client, get("/echo", ""))
                .text()
                .starts_with("GET /echo ")
        );
        let request = "HEAD /raw HTTP/1.1\r\nHost: h\r\nContent-Length: 46\r\n\r\n";
        let answer = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil    ";
        let got = call_on(&mut client, format!("{request}{answer}"));
        assert_eq!((got.status, answer.len()), (200, 46));
        assert!(
            call_on(&mut client, get("/echo", ""))
                .text()
                .starts_with("GET /echo ")
        );
    }

    #[test]
    fn pieces_arrive_at_once() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        let begin = Instant::now();
        client.send(get("/sse/4/300", ""));
        let head = Wire::of_head(&client.read_bytes_until(b"\r\n\r\n"));
        assert_eq!(head.field("content-type"), Some("text/event-stream"));
        assert_eq!(head.field("transfer-encoding"), Some("chunked"));
        let mut came = Vec::new();
        for index in 0..4 {
            assert_eq!(client.read_chunk(), format!("data: {index}\n\n").as_bytes());
            came.push(begin.elapsed());
        }
        assert_eq!(client.read_chunk(), b"");
        let is_prompt = |(index, &at): (u32, &Duration)| {
            let due = Duration::from_millis(300) * index;
            at > due.saturating_sub(Duration::from_millis(20))
                && at < due + Duration::from_millis(200)
        };
        assert!((0..).zip(&came).all(is_prompt), "{came:?}");
        // And byte by byte.
        client.read_bytes(2);
        client.send(get("/trickle/100/2", ""));
        assert_eq!(read(&mut client, "GET").body, pattern(100));
    }

    /// An answer that begins before the server has the whole body, which it still gets.
    #[test]
    fn an_answer_while_the_body_is_read() {
        let mut web = Web::start(&[]);
        let body = noise(20 * MIB);
        for _ in 0..3 {
            let got = web.call(post("/mirror", FC, &body)).expect(200);
            assert_same(&got.body, &body);
        }
        web.wait_for("/open", "1");
    }

    /// Whoever has always more to say starves nobody, and is no answer.
    #[test]
    fn responses_that_only_inform_for_ever() {
        let mut web = Web::start(&[]);
        let mut other = web.server.connect();
        let begin = Instant::now();
        web.get("/interim").expect_bad_gateway();
        call_on(&mut other, get("/echo", FC)).expect(200);
        assert!(begin.elapsed() < Duration::from_secs(5), "{begin:?}");
        let port = a_port();
        let program = site_at(port, &[]).env("FNBOOT_READY_PATH", "/interim");
        let mut server = program.env("FNBOOT_READY_STATUS", "200").start();
        thread::sleep(Duration::from_millis(500));
        server.signal(Signal::TERM);
        server.expect_exit(0);
    }

    /// FC is told once how an event went.
    #[test]
    fn an_event_that_contradicts_itself() {
        let mut web = Web::start(&[]);
        let answer = "HTTP/1.1 500 Oops\r\nX-Fc-Status: 200\r\nContent-Length: 1\r\n\r\nx";
        let fields = "X-Fc-Request-Id: id\r\nX-Fc-Control-Path: /invoke\r\n";
        let got = web.call(post("/raw", fields, answer)).expect(500);
        assert_eq!(got.field("x-fc-status"), Some("404"));
    }

    /// An answer that does not wait for the body.
    #[test]
    fn an_early_answer() {
        let mut web = Web::start(&[]);
        let body = noise(20 * MIB);
        for turn in 0..3 {
            let begin = Instant::now();
            let got = web.call(post("/early", FC, &body)).expect(200);
            assert_eq!(got.text(), "early");
            assert!(
                begin.elapsed() < Duration::from_secs(10),
                "{:?}",
                begin.elapsed()
            );
            // Its connection is of no more use.
            let echo = web.get(&format!("/echo?{turn}")).expect(200);
            assert_eq!(echo.number("x-turn"), 1);
        }
        web.wait_for("/open", "1");
    }
}

mod connections {
    //! To the program: how many, for how long, and whose they are.

    use super::*;

    fn number(wire: &Wire) -> u64 {
        wire.number("x-connection")
    }

    #[test]
    fn they_are_used_again() {
        let mut web = Web::start(&[]);
        let first = number(&web.get("/echo"));
        for turn in 2..20 {
            // Whoever asks, and whatever.
            let echo = web.call(post("/echo", FC, noise(turn * 1000)));
            assert_eq!((number(&echo), echo.number("x-turn")), (first, turn as u64));
        }
        web.raw(
            "/raw",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n",
        );
        assert_eq!(number(&web.get("/echo")), first);
        for answer in [
            "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",
        ] {
            let before = number(&web.get("/echo"));
            web.raw("/raw", answer).expect(200);
            assert_ne!(number(&web.get("/echo")), before);
        }
        web.wait_for("/open", "1");
        // But not one that was idle for long.
        let before = number(&web.get("/echo"));
        thread::sleep(Duration::from_millis(300));
        assert_eq!(number(&web.get("/echo")), before);
        thread::sleep(Duration::from_millis(1200));
        assert_ne!(number(&web.get("/echo")), before);
    }

    /// Also of a program that is slower than what is taken for not accepting at all.
    #[test]
    fn many_at_once_need_no_more_of_them() {
        let mut web = Web::start(&[]);
        web.get("/echo").expect(200);
        let port = web.server.port;
        let clients: Vec<_> = (0..32)
            .map(|_| {
                thread::spawn(move || {
                    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("fnboot");
                    let mut client = Client::new(stream);
                    let calls = (0..30).map(|_| {
                        call_on(&mut client, get("/slow/40", FC)).expect(200);
                    });
                    calls.count()
                })
            })
            .collect();
        for client in clients {
            assert_eq!(client.join().expect("a client"), 30);
        }
        let count: u64 = web.ask("/connections").parse().expect("a number");
        assert!(count < 200, "{count} connections for 960 requests");
    }

    /// Some servers send a body to HEAD, too, which is nobody's answer.
    #[test]
    fn one_that_was_asked_for_a_head_is_not_used_again() {
        let mut web = Web::start(&[]);
        for _ in 0..50 {
            let mut client = web.server.connect();
            client.send("HEAD /head-body HTTP/1.1\r\nHost: h\r\n\r\n");
            client.expect_head(200);
            let got = web.get("/echo");
            assert!(got.text().starts_with("GET /echo"), "{}", got.text());
        }
    }

    /// A program that ends them without a word is sent no request on one that could not be sent again.
    #[test]
    fn what_is_learnt_of_a_program_that_ends_them() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        call_on(&mut client, get("/close-idle/20", "")).expect(200);
        wait_for("the end", || (web.ask("/open") == "0").then_some(()));
        for _ in 0..100 {
            call_on(&mut client, post("/close", "", "x")).expect(200);
        }
    }

    /// A program that dies ends all of them, which says nothing of the next.
    #[test]
    fn what_a_death_teaches_is_forgotten() {
        let mut web = Web::start(&[]);
        web.get("/echo").expect(200);
        web.get("/die/3");
        let first = number(&web.call(post("/echo", FC, "x")));
        for turn in 2..5 {
            let echo = web.call(post("/echo", FC, "x"));
            assert_eq!((number(&echo), echo.number("x-turn")), (first, turn));
        }
        web.expect_deaths(1);
    }

    /// One that the program closes is not taken for one that serves.
    #[test]
    fn they_may_be_closed_by_the_program() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        for turn in 0..50 {
            for target in ["/close", "/close-idle/1"] {
                let got = call_on(&mut client, post(target, "", "x")).expect(200);
                assert_eq!(got.text(), "close");
                call_on(&mut client, get(&format!("/echo?{turn}"), "")).expect(200);
            }
        }
        for _ in 0..5 {
            call_on(&mut client, get("/close-idle/10", "")).expect(200);
            // When its end has come, nothing can be lost with it.
            wait_for("the end", || (web.ask("/open") == "0").then_some(()));
            call_on(&mut client, post("/echo", "", "x")).expect(200);
        }
    }

    /// What breaks before an answer is asked for once more, if it had been used before, and if that does no harm.
    #[test]
    fn once_more_where_it_does_no_harm() {
        for (method, is_repeated) in [
            ("GET", true),
            ("HEAD", true),
            ("OPTIONS", true),
            ("TRACE", true),
            ("PUT", true),
            ("DELETE", true),
            ("POST", false),
            ("PATCH", false),
            ("PURGE", false),
        ] {
            let _case = Case(method);
            // A connection that was used, of a program that is not known to end them.
            let mut web = Web::start(&[]);
            web.get("/echo").expect(200);
            let target = format!("/break-reused?{method}");
            let got = web.call(format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n"));
            let count = web.ask(&format!("/count?{target}"));
            if is_repeated {
                assert_eq!((got.status, &*count), (200, "2"));
            } else {
                got.expect_bad_gateway();
                assert_eq!(count, "1");
            }
        }
        // Once, and not again.
        let mut web = Web::start(&[]);
        web.get("/echo").expect(200);
        web.get("/break?again").expect_bad_gateway();
        assert_eq!(web.ask("/count?/break?again"), "2");
        // And never on a new connection: it broke because of the request.
        web.get("/break?new").expect_bad_gateway();
        assert_eq!(web.ask("/count?/break?new"), "1");
        // Nor if an answer had begun.
        web.get("/echo").expect(200);
        web.call(b"GET /raw-close?begun HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nHTTP")
            .expect_bad_gateway();
        assert_eq!(web.ask("/count?/raw-close?begun"), "1");
    }

    #[test]
    fn two_hundred_at_once() {
        let mut web = Web::start(&[]);
        for turn in 0..3 {
            let target = format!("/together/200?{turn}");
            let mut clients: Vec<_> = (0..200).map(|_| web.server.connect()).collect();
            for client in &mut clients {
                client.send(get(&target, ""));
            }
            for client in &mut clients {
                assert_eq!(read(client, "GET").expect(200).text(), "together");
            }
        }
        let mut clients: Vec<_> = (0..500).map(|_| web.server.connect()).collect();
        for client in &mut clients {
            client.send(get("/together/500", ""));
        }
        for client in &mut clients {
            assert_eq!(read(client, "GET").expect(200).text(), "together");
        }
    }

    /// A program that serves one connection after the other, as the demos of some languages do.
    #[test]
    fn one_at_a_time_makes_progress() {
        let mut web = Web::start(&["serial"]);
        let begin = Instant::now();
        let mut clients: Vec<_> = (0..8).map(|_| web.server.connect()).collect();
        thread::scope(|scope| {
            for client in &mut clients {
                scope.spawn(move || {
                    for turn in 0..20 {
                        let target = if turn % 5 == 0 { "/slow/2" } else { "/echo" };
                        call_on(client, get(target, "")).expect(200);
                    }
                });
            }
        });
        assert!(
            begin.elapsed() < Duration::from_secs(5),
            "{:?}",
            begin.elapsed()
        );
    }

    #[test]
    fn one_that_is_slow_to_accept() {
        let mut web = Web::start(&["accept=20"]);
        let mut clients: Vec<_> = (0..20).map(|_| web.server.connect()).collect();
        for client in &mut clients {
            client.send(get("/echo", ""));
        }
        for client in &mut clients {
            read(client, "GET").expect(200);
        }
    }

    /// A client that stops reading stops the program, and nobody else.
    #[test]
    fn a_client_that_stops_reading() {
        let mut web = Web::start(&[]);
        web.server.wait_until_listening();
        let mut client = narrow(&web.server);
        client.send(get("/endless", "")).read_bytes(100_000);
        let mut before = web.ask("/written");
        wait_for("standstill", || {
            thread::sleep(Duration::from_millis(200));
            let now = web.ask("/written");
            let is_still = now == before;
            before = now;
            is_still.then_some(())
        });
        let written: u64 = before.parse().expect("a number");
        assert!(written < 16 * MIB as u64, "{written}");
        let cpu = web.server.cpu();
        for _ in 0..20 {
            web.get("/sized/100000").expect(200);
        }
        thread::sleep(Duration::from_millis(200));
        let cpu = web.server.cpu() - cpu;
        assert!(cpu < Duration::from_millis(150), "{cpu:?}");
        assert!(web.server.status_kib("VmHWM") <= 4096);
        // It goes on where it was.
        client.read_bytes(5 * MIB);
        wait_for("more", || (web.ask("/written") != before).then_some(()));
        client.reset();
        web.wait_for("/open", "1");
    }

    #[test]
    fn a_client_that_goes_away() {
        let mut web = Web::start(&[]);
        for target in ["/never", "/hang-head", "/endless", "/sse/10000/10"] {
            let _case = Case(target);
            let mut client = web.server.connect();
            client.send(get(target, ""));
            let asked = format!("/count?{target}");
            wait_for("the request", || (web.ask(&asked) == "1").then_some(()));
            client.reset();
            wait_for("the end", || (web.ask("/open") == "0").then_some(()));
        }
        // One that has said all it wants to say is still there.
        let mut client = web.server.connect();
        client.send(get("/slow/100", "")).finish();
        assert_eq!(read(&mut client, "GET").text(), "slow");
    }

    #[test]
    fn deadlines() {
        let mut web = Web::start(&[]);
        let pid = web.pid();
        let port = web.server.port;
        at_once(&["/never", "/hang-head", "/slow/3000"], |target| {
            let begin = Instant::now();
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connect");
            let fields = format!("{FC}X-Fc-Function-Timeout: 1\r\n");
            let got = call_on(&mut Client::new(stream), get(target, &fields));
            let elapsed = begin.elapsed();
            assert_eq!(
                got.error(),
                ("TimedOut".into(), "no answer before the deadline".into())
            );
            assert!(got.status >= 500, "{got:?}");
            let is_in_time =
                elapsed > Duration::from_millis(800) && elapsed < Duration::from_millis(1100);
            assert!(is_in_time, "{elapsed:?}");
        });
        // One that has begun is cut.
        let mut client = web.server.connect();
        let begin = Instant::now();
        client.send(get(
            "/sse/1000/20",
            &format!("{FC}X-Fc-Function-Timeout: 1\r\n"),
        ));
        let got = client.read_to_end();
        let elapsed = begin.elapsed();
        assert!(find(&got, b"data: 9\n").is_some() && !got.ends_with(b"\r\n0\r\n\r\n"));
        assert!(
            elapsed > Duration::from_millis(800) && elapsed < Duration::from_millis(1200),
            "{elapsed:?}"
        );
        assert_eq!(web.pid(), pid);
        // The connections are gone; but for one that may be idle, and those that the program has not looked at.
        web.wait_for("/count?/never", "1");
        wait_for("the end", || {
            web.ask("/open")
                .parse::<u32>()
                .is_ok_and(|count| count <= 2)
                .then_some(())
        });
    }

    /// Nobody waits for a program that takes no connection, but those who want to.
    #[test]
    fn one_that_accepts_nothing() {
        // What it listens with holds 128 connections.
        let mut web = Web::start(&["accept=1000000"]);
        let mut clients: Vec<_> = (0..300).map(|_| web.server.connect()).collect();
        let begin = Instant::now();
        for client in &mut clients {
            client.send(post(
                "/body",
                &format!("{FC}X-Fc-Function-Timeout: 2\r\n"),
                "x",
            ));
        }
        let sent = begin.elapsed();
        assert!(sent < Duration::from_secs(1), "{sent:?}");
        for client in &mut clients {
            assert_eq!(read(client, "POST").error().0, "TimedOut");
        }
        let elapsed = begin.elapsed();
        assert!(elapsed < Duration::from_millis(2500), "{elapsed:?}");
        assert!(web.server.is_alive());
    }

    /// More calls than there are descriptors for: they wait, or fail and say so, and all is well afterwards.
    #[test]
    fn out_of_descriptors() {
        at_once(&[20, 32, 64], |limit| {
            let script = format!("ulimit -S -n {limit} && exec \"$0\" \"$@\"");
            // The program has as many as it wants.
            let words = [
                "web",
                "sh",
                "-c",
                "ulimit -n 1000; exec \"$0\"",
                &site_path(),
            ];
            let program = Program::bootstrap().arguments(words);
            let mut server = program
                .env("FNBOOT_WEB_PORT", a_port())
                .in_shell(&script)
                .start();
            call_on(&mut server.connect(), get("/body", FC)).expect(200);
            let before = open_descriptors(server.id());
            let mut clients: Vec<_> = (0..100).map(|_| server.connect()).collect();
            for client in &mut clients {
                client.send(post("/slow/20", FC, "x"));
            }
            let mut served_count = 0;
            for client in clients {
                let mut client = client;
                let got = read(&mut client, "POST");
                if got.status == 200 {
                    served_count += 1;
                } else {
                    assert_eq!(got.error().0, "OutOfResources", "{}", got.text());
                }
            }
            assert!(served_count > 0);
            for _ in 0..5 {
                call_on(&mut server.connect(), get("/body", FC)).expect(200);
            }
            // What has been idle for long goes when the next call comes.
            thread::sleep(Duration::from_millis(1100));
            call_on(&mut server.connect(), get("/body", FC)).expect(200);
            wait_for("the descriptors", || {
                (open_descriptors(server.id()) <= before + 1).then_some(())
            });
        });
    }

    /// Little memory, however much goes through.
    #[test]
    fn a_gibibyte() {
        const LEN: usize = 1024 * MIB;
        let mut web = Web::start(&[]);
        let client = web.server.connect();
        let mut stream = client.stream();
        stream
            .write_all(get(&format!("/sized/{LEN}"), "").as_bytes())
            .expect("send");
        let (mut piece, mut head) = (vec![0; MIB], Vec::new());
        while find(&head, b"\r\n\r\n").is_none() {
            let mut byte = [0];
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let mut at = 0;
        while at < LEN {
            let count = stream.read(&mut piece).expect("read");
            assert!(count > 0, "the end after {at}");
            for place in [0, count / 2, count - 1] {
                assert_eq!(usize::from(piece[place]), (at + place) % 251);
            }
            at += count;
        }
        assert_eq!(at, LEN);
        let most_kib = web.server.status_kib("VmHWM");
        assert!(most_kib <= 4096, "{most_kib} KiB");
    }
}

mod starts {
    //! Before the first call.

    use super::*;

    #[test]
    fn the_environment() {
        let fields = ["PORT", "FC_SERVER_PORT", "FC_CUSTOM_LISTEN_PORT"];
        let mut web = Web::with(
            &["stdout=to the log", "stderr=to the log, too"],
            |program| program.env("ANY", "thing"),
        );
        for field in fields {
            assert_eq!(
                web.get(&format!("/env/{field}")).text(),
                web.port.to_string()
            );
        }
        assert_eq!(web.get("/env/ANY").text(), "thing");
        assert_eq!(web.get("/env/FNBOOT").text(), "none");
        web.server
            .stdout
            .wait_until(|log| log.contains("to the log\n") && log.contains("to the log, too\n"));
        // A group of its own.
        let pid = web.pid();
        assert_eq!(state(pid).map(|(_, group)| group), Some(pid));
        assert_eq!(children(web.server.id()), [pid]);
        assert_eq!(web.get("/say/5000").text(), "said");
        web.server
            .stdout
            .wait_until(|log| log.contains("out 4999\n") && log.contains("err 4999\n"));
    }

    /// `FNBOOT` may say it, as everywhere; and there is nothing to read for the program.
    #[test]
    fn ways_to_say_it() {
        let port = a_port();
        let program = Program::bootstrap().env("FNBOOT", format!("web {}", site_path()));
        let mut server = program.env("FNBOOT_WEB_PORT", port).start();
        call_on(&mut server.connect(), get("/body", FC)).expect(200);
        assert_eq!(ask(port, "/env/FNBOOT"), "none");
        let mut server = shell_at(a_port(), "cat; exec SITE").start();
        call_on(&mut server.connect(), get("/body", FC)).expect(200);
    }

    #[test]
    fn the_programs_port() {
        let start = |variables: &[(&str, u16)]| {
            let program = Program::bootstrap().arguments(["web", &site_path()]);
            let add = |program: Program, (name, port): &(&str, u16)| program.env(name, port);
            let program = variables.iter().fold(program, add);
            let mut server = program.start();
            let port = call_on(&mut server.connect(), get("/env/PORT", FC)).text();
            (server.port, port.parse::<u16>().expect("a port"))
        };
        let (one, two, three) = (a_port(), a_port(), a_port());
        for (variables, want) in [
            (
                &[
                    ("FNBOOT_WEB_PORT", one),
                    ("AWS_LWA_PORT", two),
                    ("PORT", three),
                ][..],
                one,
            ),
            (&[("AWS_LWA_PORT", two), ("PORT", three)], two),
            (&[("PORT", three)], three),
        ] {
            let _case = Case(want);
            assert_eq!(start(variables).1, want);
        }
        let (own, chosen) = start(&[]);
        assert_ne!(own, chosen);
        let range =
            std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").expect("a range");
        let mut range = range
            .split_whitespace()
            .map(|port| port.parse::<u16>().expect("a port"));
        let (first, last) = (range.next().expect("a port"), range.next().expect("a port"));
        assert!(
            chosen >= 1024 && !(first..=last).contains(&chosen),
            "{chosen}"
        );
        // One that is fnboot's own is not the program's.
        let program = Program::bootstrap().arguments(["web", &site_path()]);
        let own = program.port();
        let mut server = program.env("PORT", own).start();
        let port = call_on(&mut server.connect(), get("/env/PORT", FC)).text();
        assert_ne!(port, own.to_string());
    }

    #[test]
    fn a_port_that_is_fnboots_own() {
        for name in ["FNBOOT_WEB_PORT", "AWS_LWA_PORT"] {
            let _case = Case(name);
            let program = Program::bootstrap().arguments(["web", &site_path()]);
            let own = program.port();
            let line = expect_failure(&mut program.env(name, own).start());
            assert!(
                line.contains(&own.to_string()) && line.contains(name),
                "{line}"
            );
        }
    }

    /// Somebody else's answers are nobody's function.
    #[test]
    fn a_port_that_is_taken() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, a_port())).expect("a port");
        let port = taken.local_addr().expect("an address").port();
        let line = expect_failure(&mut site_at(port, &[]).start());
        assert!(line.contains(&port.to_string()), "{line}");
    }

    #[test]
    fn settings_that_are_wrong() {
        for (name, value) in [
            ("FNBOOT_WEB_PORT", "x"),
            ("FNBOOT_WEB_PORT", "0"),
            ("FNBOOT_WEB_PORT", "65536"),
            ("FNBOOT_READY_STATUS", "x"),
            ("FNBOOT_READY_STATUS", "300-200"),
            ("FNBOOT_READY_STATUS", "200,,300"),
            ("FNBOOT_ERROR_STATUS", "4xx"),
            ("FNBOOT_READY_PATH", "no-slash"),
        ] {
            let _case = Case((name, value));
            let program = Program::bootstrap().arguments(["web", &site_path()]);
            let line = expect_failure(&mut program.env(name, value).start());
            assert!(line.contains(name) && line.contains(value), "{line}");
        }
        let (status, _, stderr) = Program::bootstrap().arguments(["web"]).run();
        assert_eq!(status.code(), Some(2), "{stderr}");
    }

    /// fnboot does not listen before the program does, and sends nothing to find out.
    #[test]
    fn fc_waits_for_it() {
        let mut web = Web::start(&["sleep=2600", "say"]);
        let begin = Instant::now();
        let port = web.server.port;
        let listens = || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        while begin.elapsed() < Duration::from_millis(2200) {
            assert!(!listens());
            thread::sleep(Duration::from_millis(50));
        }
        let line = format!(
            "fnboot: waiting for the program on 127.0.0.1:{} since 2 s\n",
            web.port
        );
        let (stderr, stdout) = (web.server.stderr.clone(), web.server.stdout.clone());
        wait_for("a line", || {
            (stderr.text() + &stdout.text())
                .contains(&line)
                .then_some(())
        });
        web.get("/body?first").expect(200);
        assert!(
            begin.elapsed() < Duration::from_millis(3200),
            "{:?}",
            begin.elapsed()
        );
        let log = web.server.stdout.take();
        assert!(
            log.ends_with("GET /body?first\n") && log.matches("GET ").count() == 1,
            "{log}"
        );
        web.server.stderr.take();
    }

    /// Ready is what answers a request, where that is wanted.
    #[test]
    fn a_path_that_says_it() {
        // Whether it listens by then is the test's matter; it has asked at least once.
        let ask = |path: &str, statuses: Option<&str>| {
            let web = Web::with(&["say"], |program| {
                let program = program.env("FNBOOT_READY_PATH", path);
                statuses.into_iter().fold(program, |program, statuses| {
                    program.env("FNBOOT_READY_STATUS", statuses)
                })
            });
            let line = format!("GET {path}\n");
            web.server.stdout.wait_until(|log| log.contains(&line));
            web
        };
        for (status, statuses) in [
            ("200", None),
            ("404", None),
            ("499", None),
            ("302", Some("200-399,404")),
            ("404", Some("200-399,404")),
            ("503", Some("503")),
            ("503", Some("200, 500-599")),
        ] {
            let _case = Case((status, statuses));
            let mut web = ask(&format!("/status/{status}"), statuses);
            web.get("/body").expect(200);
            assert_eq!(web.ask(&format!("/count?/status/{status}")), "1");
        }
        at_once(
            &[
                ("500", None),
                ("200", Some("404")),
                ("404", Some("200-399")),
            ],
            |&(status, statuses)| {
                let web = ask(&format!("/status/{status}"), statuses);
                // It asks again, and does not listen.
                let line = format!("GET /status/{status}\n");
                web.server
                    .stdout
                    .wait_until(|log| log.matches(&line).count() >= 3);
                assert!(TcpStream::connect((Ipv4Addr::LOCALHOST, web.server.port)).is_err());
            },
        );
    }

    /// What the program answers is heard when it comes, whatever else is waited for.
    #[test]
    fn a_path_is_asked_once() {
        for turn in 0..40 {
            let _case = Case(turn);
            let begin = Instant::now();
            let mut web = Web::with(&[], |program| {
                program.env("FNBOOT_READY_PATH", "/status/200")
            });
            web.get("/body").expect(200);
            let elapsed = begin.elapsed();
            assert!(elapsed < Duration::from_secs(1), "{elapsed:?}");
            assert_eq!(web.ask("/count?/status/200"), "1");
        }
    }

    #[test]
    fn an_end_before_it_is_ready() {
        for words in [
            &["stderr=boom: no module", "exit=3"][..],
            &["stdout=boom: no module", "sleep=50", "exit=3"],
        ] {
            let line = Web::start(words).expect_failure();
            assert!(
                line.contains("boom: no module") && line.contains("exit status 3"),
                "{line}"
            );
        }
        let port = a_port();
        let line = expect_failure(&mut shell_at(port, "echo boom >&2; kill -9 $$").start());
        assert!(line.contains("signal 9") && line.contains("boom"), "{line}");
        let program = Program::bootstrap().arguments(["web", "/nowhere/at-all"]);
        let line = expect_failure(&mut program.start());
        assert!(line.contains("/nowhere/at-all"), "{line}");
    }

    #[test]
    fn an_end_before_it_is_ready_on_lambda() {
        for (words, kind, parts) in [
            (
                &["/nowhere/at-all"][..],
                "Runtime.InvalidEntrypoint",
                &["/nowhere/at-all"][..],
            ),
            (
                &["SITE", "stderr=boom", "exit=3"],
                "ExitError",
                &["exit status 3", "boom"],
            ),
            (
                &["sh", "-c", "echo boom >&2; kill -9 $$"],
                "Signal",
                &["signal 9", "boom"],
            ),
        ] {
            let _case = Case(kind);
            let site = site_path();
            let words: Vec<_> = words
                .iter()
                .map(|word| if *word == "SITE" { &site } else { *word })
                .collect();
            let api = Cloud::Lambda.api().expect("an API");
            let program = Program::bootstrap().arguments(["web"]).arguments(words);
            let mut server = api.start(program);
            let mut peer = api.accept();
            let report = peer.expect("POST /2018-06-01/runtime/init/error").json();
            peer.accept();
            assert_eq!(report["errorType"], kind);
            let message = report["errorMessage"].as_str().expect("text");
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
            server.wait();
            server.stderr.take();
        }
    }

    /// No event is asked for before the program can serve it.
    #[test]
    fn events_wait_for_it() {
        at_once(&[Cloud::Lambda, Cloud::Scf], |cloud| {
            let api = cloud.api().expect("an API");
            let port = a_port();
            let mut server = api.start(site_at(port, &["sleep=600", "say", "stderr=begun"]));
            let begin = Instant::now();
            let mut peer = api.first();
            assert!(
                begin.elapsed() > Duration::from_millis(500),
                "{:?}",
                begin.elapsed()
            );
            peer.expect_echo("event");
            server.signal(Signal::TERM);
            server.expect_exit(0);
        });
    }
}

mod ends {
    //! Of the program, and of fnboot.

    use super::*;

    /// A call that was not answered fails as one of any other program does, and the next one is served.
    /// Whether fnboot has taken it away: before, one of its threads may still hold its connections.
    fn is_gone(pid: u32) -> bool {
        !Path::new(&format!("/proc/{pid}")).exists()
    }

    #[test]
    fn the_program_dies() {
        let mut web = Web::start(&[]);
        for (target, kind, message) in [
            ("/die/3", "ExitError", "exit status 3"),
            ("/die/0", "ExitError", "exit status 0"),
            ("/kill", "Signal", "signal 9"),
        ] {
            let _case = Case(target);
            let before = web.pid();
            web.call(post("/say/1", FC, "")).expect(200);
            let got = web.get(target);
            let (got_kind, got_message) = got.error();
            assert!(got.status >= 500, "{got:?}");
            assert_eq!(got_kind, kind);
            assert!(
                got_message.starts_with(message) && got_message.contains("err 0"),
                "{got_message}"
            );
            assert_ne!(web.pid(), before);
            assert!(has_ended(before));
        }
        for (target, is_chunked) in [("/die-mid/3", false), ("/die-mid-chunked/3", true)] {
            let _case = Case(target);
            let before = web.pid();
            let mut client = web.server.connect();
            client.send(get(target, FC));
            let got = String::from_utf8_lossy(&client.read_to_end()).into_owned();
            assert!(
                got.starts_with("HTTP/1.1 200 ") && got.contains("half"),
                "{got}"
            );
            assert!(!is_chunked || !got.ends_with("0\r\n\r\n"), "{got}");
            // A call that comes right before the end is in flight.
            wait_for("its end", || is_gone(before).then_some(()));
            assert_ne!(web.pid(), before);
        }
        let before = web.pid();
        assert_eq!(web.get("/die-after/0").expect(200).text(), "last words");
        wait_for("its end", || is_gone(before).then_some(()));
        assert_ne!(web.pid(), before);
        // All of those that are in flight.
        let mut clients: Vec<_> = (0..20).map(|_| web.server.connect()).collect();
        for client in &mut clients {
            client.send(get("/never", FC));
        }
        web.wait_for("/count?/never", "20");
        let killed = web.pid();
        rustix::process::kill_process(pid(killed), Signal::KILL).expect("kill");
        for client in &mut clients {
            assert_eq!(read(client, "GET").error().0, "Signal");
        }
        // Nobody asks, and there is a new one all the same.
        wait_for("a new one", || {
            let now = children(web.server.id());
            (now.len() == 1 && now[0] != killed).then_some(())
        });
        web.get("/body").expect(200);
        web.expect_deaths(7);
    }

    /// A request that may be sent twice is no reason to tell less of the death of which it is the reason.
    #[test]
    fn the_program_dies_of_what_may_be_repeated() {
        let mut web = Web::start(&[]);
        for turn in 0..10 {
            let target = if turn % 2 == 0 { "/kill" } else { "/die/3" };
            let _case = Case((turn, target));
            // Leaves a connection that is used again.
            web.get("/body").expect(200);
            let want = if turn % 2 == 0 { "Signal" } else { "ExitError" };
            assert_eq!(web.get(target).error().0, want);
        }
        web.expect_deaths(10);
    }

    /// An event fails in the same way, wherever it comes from.
    #[test]
    fn the_program_dies_of_an_event() {
        at_once(&[Cloud::Scf, Cloud::Lambda], |&cloud| {
            for path in ["/die/3", "/die-mid/3"] {
                let program = site_at(a_port(), &["stderr=a tail"]).env("FNBOOT_EVENT_PATH", path);
                let mut instance = cloud.start(program);
                for _ in 0..2 {
                    let failed = instance.call("");
                    failed.expect_failure("ExitError", "exit status 3: a tail");
                }
                expect_deaths(&instance.server, 2);
            }
        });
    }

    /// The same on FC, where it is a request.
    #[test]
    fn the_program_dies_of_an_event_of_fc() {
        let mut web = Web::start(&["stderr=a tail"]);
        let fields = "X-Fc-Request-Id: r\r\nX-Fc-Control-Path: /invoke\r\n";
        let got = web.call(post("/die/3", fields, "")).expect(404);
        assert_eq!(got.field("x-fc-status"), Some("404"));
        let want = ("ExitError".into(), "exit status 3: a tail".into());
        assert_eq!(got.error(), want);
        web.expect_deaths(1);
    }

    /// Calls wait for the next start, which comes later each time.
    #[test]
    fn calls_wait_for_the_next_start() {
        let folder = Folder::new();
        let count = |name: &str| format!("count={}", folder.at(name).display());
        let rows: [(&str, &[&str], usize, std::ops::Range<u64>); 3] = [
            ("at once", &[], 1, 50..600),
            ("a second try", &["2:exit=9"], 2, 280..1200),
            ("one that takes long", &["2+:sleep=700"], 1, 750..2000),
        ];
        at_once(&rows, |(name, words, deaths, range)| {
            let count = count(name);
            let words = [&[&*count], *words].concat();
            let mut web = Web::start(&words);
            let first = web.pid();
            let begin = Instant::now();
            web.get("/die/3").error();
            let mut clients: Vec<_> = (0..8).map(|_| web.server.connect()).collect();
            for client in &mut clients {
                client.send(post("/echo", FC, "x"));
            }
            for client in &mut clients {
                assert_ne!(
                    read(client, "POST").expect(200).number("x-pid"),
                    u64::from(first)
                );
            }
            let elapsed = begin.elapsed().as_millis() as u64;
            assert!(range.contains(&elapsed), "{elapsed} ms");
            web.expect_deaths(*deaths);
        });
        // Up to their deadline.
        let words = [&*count("never"), "2+:sleep=100000"];
        let mut web = Web::start(&words);
        web.get("/die/3").error();
        let begin = Instant::now();
        let got = web.call(get("/body", &format!("{FC}X-Fc-Function-Timeout: 1\r\n")));
        assert_eq!(got.error().0, "TimedOut");
        let elapsed = begin.elapsed();
        assert!(
            elapsed > Duration::from_millis(800) && elapsed < Duration::from_millis(1100),
            "{elapsed:?}"
        );
        web.expect_deaths(1);
    }

    /// A call whose client does not wait for the next start never reaches the program.
    #[test]
    fn nobody_waits_for_the_next_start() {
        let folder = Folder::new();
        let count = format!("count={}", folder.at("count").display());
        let mut web = Web::start(&[&count, "say", "2+:sleep=500"]);
        web.get("/die/3").error();
        let mut client = web.server.connect();
        client.send(post("/body?gone", FC, "x"));
        thread::sleep(Duration::from_millis(100));
        client.reset();
        web.get("/body?here").expect(200);
        assert_eq!(web.ask("/count?/body?gone"), "0");
        web.expect_deaths(1);
    }

    /// Some die while many are served: each call is answered, and by whom it was asked of.
    #[test]
    fn deaths_among_many_calls() {
        const DEATH_COUNT: usize = 4;
        let mut web = Web::start(&[]);
        let mut clients: Vec<_> = (0..8).map(|_| web.server.connect()).collect();
        let begin = Instant::now();
        thread::scope(|scope| {
            for (number, client) in clients.iter_mut().enumerate() {
                scope.spawn(move || {
                    let (mut turn, mut failed_count) = (0, 0);
                    while begin.elapsed() < Duration::from_millis(1500) {
                        let said = format!("{number} {turn}");
                        let got = call_on(client, post("/body", FC, &said));
                        if got.status == 200 {
                            assert_eq!(got.text(), said);
                        } else {
                            let (kind, _) = got.error();
                            assert!(["ExitError", "BadGateway"].contains(&&*kind), "{kind}");
                            failed_count += 1;
                        }
                        turn += 1;
                    }
                    assert!(
                        failed_count <= DEATH_COUNT && turn > 100,
                        "{failed_count} of {turn}"
                    );
                });
            }
            for _ in 0..DEATH_COUNT {
                thread::sleep(Duration::from_millis(150));
                assert_eq!(web.get("/die/3").error().0, "ExitError");
                web.get("/body").expect(200);
            }
        });
        web.expect_deaths(DEATH_COUNT);
    }

    #[test]
    fn three_ends_are_the_end() {
        let folder = Folder::new();
        let count = format!("count={}", folder.at("count").display());
        let mut web = Web::start(&[&count, "2+:stderr=no more", "2+:exit=9"]);
        web.get("/body").expect(200);
        web.get("/die/3").error();
        expect_last_death(web, 3);
        assert_eq!(
            std::fs::read_to_string(folder.at("count")).expect("a count"),
            "3"
        );
        // A call that is served in between makes it begin anew.
        let mut web = Web::start(&[]);
        for _ in 0..5 {
            web.get("/die/3").error();
            web.get("/body").expect(200);
        }
        // And calls that each kill it are no served ones.
        let mut client = web.server.connect();
        for _ in 0..2 {
            call_on(&mut client, get("/die/3", FC)).error();
        }
        client.send(get("/die/3", FC));
        client.read_to_end();
        expect_last_death(web, 8);
    }

    /// fnboot must end after so many deaths, with a line about each and one about that.
    #[track_caller]
    fn expect_last_death(mut web: Web, count: usize) {
        web.server.expect_exit(1);
        let shown = web.server.stderr.take();
        let deaths = shown.lines().filter(|line| line.starts_with(DEATH));
        let has_all = deaths.count() >= count && shown.lines().count() == count + 1;
        assert!(has_all && shown.contains("exit status "), "{shown}");
    }

    #[test]
    fn sigterm() {
        let script = "trap 'echo told >&2; kill $!; exit 0' TERM; SITE & wait";
        let port = a_port();
        let mut server = shell_at(port, script).start();
        let mut client = server.connect();
        client.send(get("/slow/400", FC));
        wait_for("the request", || {
            (ask(port, "/count?/slow/400") == "1").then_some(())
        });
        let group = children(server.id());
        server.signal(Signal::TERM);
        assert_eq!(read(&mut client, "GET").expect(200).text(), "slow");
        server.expect_exit(0);
        assert!(server.stdout.take().contains("told\n"));
        assert!(group.into_iter().all(has_ended));
        wait_for("the end of the program itself", || {
            let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
            connected.is_err().then_some(())
        });
    }

    #[test]
    fn whatever_the_program_does_about_it() {
        for (what, script) in [
            ("it ends", "exec SITE"),
            ("it ignores it", "trap '' TERM; exec SITE"),
            (
                "it has children",
                "sleep 1000 & sh -c 'sleep 1000; true' & exec SITE",
            ),
            (
                "it has children that ignore it",
                "trap '' TERM; (sleep 1000; true) & exec SITE",
            ),
            ("it stands still", "(sleep 0.3; kill -STOP $$) & exec SITE"),
        ] {
            for signal in [Signal::TERM, Signal::KILL] {
                let _case = Case((what, signal));
                let port = a_port();
                let mut server = shell_at(port, script).start();
                let pid = call_on(&mut server.connect(), get("/echo", FC)).number("x-pid") as u32;
                let child: u32 = ask(port, "/fork").parse().expect("an id");
                let begin = Instant::now();
                server.signal(signal);
                server.wait();
                let elapsed = begin.elapsed();
                assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
                wait_for("the program's end", || has_ended(pid).then_some(()));
                // Who is killed can kill nobody but the one that the kernel kills for it.
                if signal == Signal::TERM {
                    wait_for("its child's end", || has_ended(child).then_some(()));
                } else {
                    let _ = rustix::process::kill_process_group(super::pid(pid), Signal::KILL);
                }
            }
        }
    }

    /// A program that dies leaves nobody behind either, or they would become more and more.
    #[test]
    fn children_of_the_dead() {
        let mut web = Web::start(&[]);
        for path in ["/fork", "/fork/setsid"] {
            let child = web.get(path).text().parse().expect("an id");
            web.get("/die/3").error();
            web.get("/body").expect(200);
            if path == "/fork" {
                wait_for("its end", || has_ended(child).then_some(()));
            } else {
                let _ = rustix::process::kill_process(pid(child), Signal::KILL);
            }
        }
        web.expect_deaths(2);
    }
}

mod events {
    //! Calls that are no requests, and requests that come as events.

    use super::*;

    type Variables = &'static [(&'static str, &'static str)];

    const POLLED: [Cloud; 4] = [
        Cloud::Scf,
        Cloud::Lambda,
        Cloud::LambdaStreaming,
        Cloud::LambdaManaged,
    ];

    fn with(cloud: Cloud, variables: &[(&str, &str)]) -> Instance {
        cloud.start(site_at(a_port(), &[]).envs(variables))
    }

    #[test]
    fn on_every_platform() {
        let long = noise(4 * MIB);
        for cloud in [Cloud::Fc].into_iter().chain(POLLED) {
            let _case = Case(cloud);
            let mut instance = with(cloud, &[]);
            for event in [&b"event"[..], b"", b"{\"a\": 1}", &long, b"a\0\r\n\r\n"] {
                // What is streamed has a prelude of its own, of any type.
                if cloud == Cloud::LambdaStreaming {
                    let fields = cloud.fields(10_000);
                    let peer = &mut instance.peers[0];
                    peer.send(crate::api::response("200 OK", &fields, event));
                    let answer = peer.expect_response();
                    assert!(answer.body.ends_with(event));
                    peer.accept().expect_next();
                } else {
                    instance.call(event).expect(event);
                }
            }
        }
    }

    /// What an event is unpacked to is used again: a new mapping would be a fault of its own for each.
    #[test]
    fn a_request_of_a_gateway_takes_no_new_memory() {
        const COUNT: u64 = 200;
        let mut function = Function::start(Gateway::Http, site_at(a_port(), &[]));
        let mut faults = |count| {
            (0..count).for_each(|_| _ = function.get("/hello"));
            process::minor_faults(function.server.id()).expect("a count")
        };
        let before = faults(20);
        let after = faults(COUNT);
        assert!(after - before < COUNT / 2, "{} faults", after - before);
    }

    #[test]
    fn what_the_program_is_told() {
        for cloud in [Cloud::Scf, Cloud::Lambda] {
            let _case = Case(cloud);
            let port = a_port();
            let program = site_at(port, &[]).envs(&[
                ("FNBOOT_EVENT_PATH", "/echo"),
                ("AWS_LAMBDA_FUNCTION_NAME", "hello"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
                ("SCF_FUNCTIONNAME", "hello"),
            ]);
            let mut instance = cloud.start(program);
            let mut fields = cloud.fields(20_000);
            if cloud == Cloud::Lambda {
                fields += "Lambda-Runtime-Trace-Id: Root=1-2-3;Sampled=1\r\n";
            }
            let told = instance.call_with(&fields, "an event").text();
            let (head, body) = told.split_once("\r\n\r\n").expect("a head");
            assert_eq!(body, "an event");
            let (line, fields) = head.split_once("\r\n").expect("fields");
            assert_eq!(line, "POST /echo HTTP/1.1");
            let fields = Wire::of_head(format!("HTTP/1.1 200 OK\r\n{fields}\r\n\r\n").as_bytes());
            let mut wants = vec![
                ("Host", format!("127.0.0.1:{port}")),
                ("Content-Type", "application/octet-stream".into()),
                ("Content-Length", "8".into()),
                ("X-Fc-Request-Id", ID.into()),
                ("X-Fc-Control-Path", "/invoke".into()),
                ("X-Fc-Function-Name", "hello".into()),
                ("X-Fc-Function-Memory", "128".into()),
            ];
            if cloud == Cloud::Lambda {
                wants.push(("X-Amzn-Trace-Id", "Root=1-2-3;Sampled=1".into()));
            } else {
                wants.push(("X-Fc-Function-Timeout", "20".into()));
            }
            for (name, want) in wants {
                assert_eq!(fields.field(name), Some(&*want), "{name}");
            }
        }
    }

    #[test]
    fn paths() {
        for (variables, path) in [
            (&[][..], "/invoke"),
            (&[("AWS_LWA_PASS_THROUGH_PATH", "/echo?a")], "/echo?a"),
            (&[("FNBOOT_EVENT_PATH", "/echo?b")], "/echo?b"),
            (
                &[
                    ("AWS_LWA_PASS_THROUGH_PATH", "/echo?a"),
                    ("FNBOOT_EVENT_PATH", "/echo?b"),
                ],
                "/echo?b",
            ),
        ] {
            let _case = Case(path);
            let port = a_port();
            let mut instance = Cloud::Lambda.start(site_at(port, &[]).envs(variables));
            instance.call("event").text();
            assert_eq!(ask(port, &format!("/count?{path}")), "1");
        }
    }

    /// Which answers are failures.
    #[test]
    fn statuses() {
        let rows: [(Variables, &[u16], &[u16]); 4] = [
            (
                &[],
                &[200, 204, 302, 400, 404, 405, 422, 499],
                &[500, 502, 503, 599],
            ),
            (
                &[("FNBOOT_ERROR_STATUS", "400-402,418")],
                &[200, 399, 403, 417, 419],
                &[400, 401, 402, 418, 503],
            ),
            (
                &[("AWS_LWA_ERROR_STATUS_CODES", "404, 410-411")],
                &[403, 409],
                &[404, 410, 411, 500],
            ),
            (
                &[
                    ("AWS_LWA_ERROR_STATUS_CODES", "400"),
                    ("FNBOOT_ERROR_STATUS", "401"),
                ],
                &[400],
                &[401],
            ),
        ];
        for (variables, good, bad) in rows {
            for cloud in [Cloud::Scf, Cloud::Lambda] {
                let _case = Case((variables, cloud));
                let mut instance = with(
                    cloud,
                    &[&[("FNBOOT_EVENT_PATH", "/raw")], variables].concat(),
                );
                let answer = |status: u16| {
                    let framing = if status == 204 {
                        "\r\n"
                    } else {
                        "Content-Length: 8\r\n\r\n\"ü\"\n\\/\0"
                    };
                    format!("HTTP/1.1 {status} Said\r\n{framing}")
                };
                for &status in good {
                    let want = if status == 204 { "" } else { "\"ü\"\n\\/\0" };
                    instance.call(answer(status)).expect(want);
                }
                for &status in bad {
                    let message = format!("status {status}: \"ü\"\n\\/\0");
                    instance
                        .call(answer(status))
                        .expect_failure("HttpStatus", &message);
                }
                // The field that FC's own programs use.
                let failed = "HTTP/1.1 200 OK\r\nX-FC-Status: 404\r\nContent-Length: 3\r\n\r\nwhy";
                let (kind, message) = instance.call(failed).failure();
                assert_eq!(kind, "HttpStatus");
                assert!(message.ends_with(": why"), "{message}");
                let fine = "HTTP/1.1 200 OK\r\nX-Fc-Status: 200\r\nContent-Length: 3\r\n\r\nyes";
                instance.call(fine).expect("yes");
                // Another test's matter.
                instance.server.stderr.take();
            }
        }
    }

    /// All of what the program said, even if that is long.
    #[test]
    fn a_long_failure() {
        for cloud in [Cloud::Scf, Cloud::Lambda] {
            let _case = Case(cloud);
            let mut instance = with(cloud, &[("FNBOOT_EVENT_PATH", "/status/500")]);
            let event = "\"x\\y\n".repeat(20_000);
            let (kind, message) = instance.call(&event).failure();
            assert_eq!(kind, "HttpStatus");
            assert_same(
                message.as_bytes(),
                format!("status 500: {event}").as_bytes(),
            );
        }
    }

    #[test]
    fn failures_on_fc() {
        let mut web = Web::start(&[]);
        let mut call = |control: &str, target: &str, answer: &str| {
            let fields = format!("X-Fc-Request-Id: r\r\nX-Fc-Control-Path: {control}\r\n");
            web.call(post(target, &fields, answer))
        };
        let answer = |status: u16, more: &str| {
            format!("HTTP/1.1 {status} Said\r\n{more}X-Mine: 1\r\nContent-Length: 4\r\n\r\nbody")
        };
        // The path is the program's; the field says what it is for.
        for (status, more, want) in [
            (200, "", None),
            (404, "", None),
            (499, "", None),
            (500, "", Some("404")),
            (503, "", Some("404")),
            (200, "x-fc-status: 404\r\n", Some("404")),
            (500, "X-Fc-Status: 404\r\n", Some("404")),
        ] {
            let _case = Case((status, more));
            let got = call("/invoke", "/raw", &answer(status, more)).expect(status);
            assert_eq!((&*got.text(), got.field("x-mine")), ("body", Some("1")));
            let said = got.field("x-fc-status").filter(|said| *said != "200");
            assert_eq!(said, want);
            if more.is_empty() {
                let got = call("/http-invoke", "/raw", &answer(status, more)).expect(status);
                assert_eq!(got.field("x-fc-status").filter(|said| *said != "200"), None);
            }
        }
        let shown = web.server.stderr.take();
        assert_eq!(shown.matches("FNBOOT_EVENT_PATH").count(), 1, "{shown}");
        assert_eq!(shown.lines().count(), 1, "{shown}");
    }

    /// A program that serves no events is told once how to say where they are to go.
    #[test]
    fn a_path_that_is_not_there() {
        for status in ["404", "405"] {
            for cloud in [Cloud::Scf, Cloud::Lambda] {
                let _case = Case((status, cloud));
                let path = format!("/status/{status}");
                let mut instance = with(cloud, &[("FNBOOT_EVENT_PATH", &path)]);
                for _ in 0..3 {
                    instance.call("said").expect("said");
                }
                let shown = instance.server.stdout.text() + &instance.server.stderr.take();
                assert_eq!(shown.matches("FNBOOT_EVENT_PATH").count(), 1, "{shown}");
                assert_eq!(
                    shown.lines().filter(|line| line.contains(status)).count(),
                    1,
                    "{shown}"
                );
            }
        }
        let mut instance = with(Cloud::Lambda, &[]);
        instance.call("fine").expect("fine");
        assert!(!instance.server.stdout.text().contains("FNBOOT_EVENT_PATH"));
    }

    #[test]
    fn deadlines() {
        let rows = [
            (Cloud::Fc, "/never"),
            (Cloud::Scf, "/never"),
            (Cloud::Lambda, "/never"),
            (Cloud::Lambda, "/sse/1000/20"),
        ];
        at_once(&rows, |&(cloud, path)| {
            let port = a_port();
            let mut instance = cloud.start(site_at(port, &[]).env("FNBOOT_EVENT_PATH", path));
            if cloud == Cloud::Fc {
                return;
            }
            let begin = Instant::now();
            let answer = instance.call_within(1000, "");
            let elapsed = begin.elapsed();
            answer.expect_failure("TimedOut", "no answer before the deadline");
            assert!(
                elapsed > Duration::from_millis(800) && elapsed < Duration::from_millis(1050),
                "{elapsed:?}"
            );
            wait_for("the connection's end", || {
                (ask(port, "/open") == "0").then_some(())
            });
        });
    }

    #[test]
    fn what_is_no_answer() {
        for cloud in [Cloud::Scf, Cloud::Lambda] {
            let _case = Case(cloud);
            let mut instance = with(cloud, &[("FNBOOT_EVENT_PATH", "/raw-close")]);
            for answer in [
                "",
                "garbage\r\n\r\n",
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\ncut",
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ncut\r\n",
            ] {
                let _case = Case(answer);
                let (kind, _) = instance.call(answer).failure();
                assert_eq!(kind, "BadGateway");
            }
            instance.call("HTTP/1.1 200 OK\r\n\r\nfine").expect("fine");
        }
    }

    /// An answer that no platform would take.
    #[test]
    fn what_is_too_long() {
        for cloud in [Cloud::Scf, Cloud::Lambda] {
            for path in [
                "/sized/3000000",
                "/chunked/3000000",
                "/endless",
                "/eof/3000000",
            ] {
                let _case = Case((cloud, path));
                // Also as a request of a gateway.
                let gateway = if cloud == Cloud::Scf {
                    Gateway::Scf
                } else {
                    Gateway::Http
                };
                let program = site_at(a_port(), &[]).env("FNBOOT_MAX_BODY", "1000000");
                let kind = Function::start(gateway, program).fail(path).0;
                assert!(kind == "BadPiece", "{kind}");
                let variables = [("FNBOOT_EVENT_PATH", path), ("FNBOOT_MAX_BODY", "1000000")];
                let port = a_port();
                let mut instance = cloud.start(site_at(port, &[]).envs(&variables));
                for _ in 0..2 {
                    assert_eq!(instance.call("").failure().0, "ResponseTooLong");
                }
                wait_for("the connections' end", || {
                    (ask(port, "/open") == "0").then_some(())
                });
            }
            let variables = [
                ("FNBOOT_EVENT_PATH", "/chunked/1000000"),
                ("FNBOOT_MAX_BODY", "1000000"),
            ];
            with(cloud, &variables).call("").expect(pattern(1_000_000));
        }
    }

    /// Eight at once.
    #[test]
    fn many_at_once() {
        let mut instance = with(
            Cloud::LambdaManaged,
            &[("FNBOOT_EVENT_PATH", "/together/8")],
        );
        let fields = Cloud::LambdaManaged.fields(20_000);
        for peer in &mut instance.peers {
            peer.send(crate::api::response("200 OK", &fields, "x"));
        }
        for peer in &mut instance.peers {
            assert_eq!(peer.expect_response().text(), "together");
            peer.accept().expect_next();
        }
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

    #[test]
    fn requests_of_gateways() {
        for gateway in GATEWAYS {
            let _case = Case(gateway);
            let mut function = Function::start(gateway, site_at(a_port(), &[]));
            let headers = [
                ("Content-Type", "a/b"),
                ("X-Fc-Request-Id", "forged"),
                ("x-fc-anything", "forged"),
                ("X-Any", "thing"),
            ];
            let sent = Sent {
                method: "PUT",
                path: "/echo",
                query: &[("a", "b%20c"), ("d", "")],
                headers: &headers,
                body: b"\0\xff",
            };
            let got = function.call(&sent);
            assert_eq!(got.status, 200);
            let end = find(&got.body, b"\r\n\r\n").expect("a head");
            assert_eq!(&got.body[end + 4..], b"\0\xff");
            let head = String::from_utf8_lossy(&got.body[..end]).into_owned();
            assert!(
                head.starts_with("PUT /echo?a=b%20c&d= HTTP/1.1\r\n"),
                "{head}"
            );
            assert!(!head.contains("forged"), "{head}");
            let lower = head.to_ascii_lowercase();
            for want in [
                "content-type: a/b",
                "x-any: thing",
                &format!("x-fc-request-id: {ID}"),
                "x-fc-control-path: /http-invoke",
                "content-length: 2",
            ] {
                assert_eq!(lower.matches(want).count(), 1, "{want} in {head}");
            }
            assert_eq!(got.values("x-turn").len(), 1);
            for status in [200, 404, 500, 503] {
                let got = function.get(&format!("/status/{status}"));
                assert_eq!(
                    (got.status, got.text()),
                    (status, format!("status {status}"))
                );
            }
            for path in ["/chunked/100000", "/sized/100000", "/eof/100000"] {
                assert_same(&function.get(path).body, &pattern(100_000));
            }
            // A gateway that is told of a failure answers with 502 itself.
            assert_eq!(function.fail("/break").0, "BadGateway");
        }
    }

    #[test]
    fn statuses_of_requests() {
        let program = site_at(a_port(), &[]).env("FNBOOT_ERROR_STATUS", "500,503-504");
        let mut function = Function::start(Gateway::Url, program);
        assert_eq!(function.get("/status/502").status, 502);
        for status in ["500", "503", "504"] {
            let (kind, message) = function.fail(&format!("/status/{status}"));
            assert_eq!(
                (&*kind, message),
                ("HttpStatus", format!("status {status}: status {status}"))
            );
        }
    }

    #[test]
    fn a_base_path() {
        for name in ["AWS_LWA_REMOVE_BASE_PATH", "FNBOOT_BASE_PATH"] {
            for base in ["/echo", "/echo/"] {
                let port = a_port();
                let mut function =
                    Function::start(Gateway::Url, site_at(port, &[]).env(name, base));
                for (path, want) in [
                    ("/echo/echo", "/echo"),
                    ("/echo", "/"),
                    ("/echo/", "/"),
                    ("/echoX", "/echoX"),
                    ("/echo/echo/echo", "/echo/echo"),
                    ("/body/echo/x", "/body/echo/x"),
                    ("/", "/"),
                ] {
                    let _case = Case((name, base, path));
                    let count = || {
                        ask(port, &format!("/count?{want}"))
                            .parse::<u32>()
                            .expect("a number")
                    };
                    let before = count();
                    function.get(path);
                    assert_eq!(count(), before + 1);
                }
                let query = Sent {
                    path: "/echo",
                    query: &[("x", "1")],
                    ..GET
                };
                function.call(&query);
                assert_eq!(ask(port, "/count?/?x=1"), "1");
            }
        }
        let mut web = Web::with(&[], |program| program.env("FNBOOT_BASE_PATH", "/orders"));
        assert!(
            web.get("/orders/echo?x")
                .text()
                .starts_with("GET /echo?x HTTP/1.1\r\n")
        );
        assert!(
            web.get("/echo")
                .text()
                .starts_with("GET /echo HTTP/1.1\r\n")
        );
    }

    /// Prelude and pieces, as soon as they are there.
    #[test]
    fn streamed() {
        let program = site_at(a_port(), &[]).env("FNBOOT_STREAMING", "on");
        let mut function = Function::start(Gateway::Url, program);
        let event = Gateway::Url
            .event(&Sent {
                path: "/sse/3/300",
                ..GET
            })
            .to_string();
        function.peer.event(event);
        let begin = Instant::now();
        let first = function
            .peer
            .read_until(|came| find(came, b"data: 0\n\n").is_some());
        assert!(find(&first, b"data: 1").is_none() && begin.elapsed() < Duration::from_millis(250));
        let answer = function.peer.expect_response();
        function.peer.accept().expect_next();
        assert_eq!(
            answer.header("lambda-runtime-function-response-mode"),
            Some("streaming")
        );
        let end = find(&answer.body, &[0; 8]).expect("a prelude");
        let prelude: serde_json::Value = serde_json::from_slice(&answer.body[..end]).expect("JSON");
        assert_eq!(prelude["statusCode"], 200);
        assert_eq!(prelude["headers"]["Content-Type"], "text/event-stream");
        assert_eq!(
            &answer.body[end + 8..],
            b"data: 0\n\ndata: 1\n\ndata: 2\n\n"
        );
        // One that breaks off says so.
        let event = Gateway::Url
            .event(&Sent {
                path: "/cut-chunked/100000",
                ..GET
            })
            .to_string();
        function.peer.event(event);
        let answer = function.peer.request();
        let kind = answer.trailer("lambda-runtime-function-error-type");
        assert!(
            kind.is_some() || answer.line.ends_with("/error"),
            "{}",
            answer.head
        );
    }

    /// FC's lines around a call are the platform's matter there, unless they are wanted.
    #[test]
    fn markers() {
        for (value, is_there) in [(None, false), (Some("on"), true), (Some("off"), false)] {
            let mut web = Web::with(&["say"], |program| {
                value.into_iter().fold(program, |program, value| {
                    program.env("FNBOOT_MARKERS", value)
                })
            });
            web.get("/body").expect(200);
            web.call(post(
                "/invoke",
                "X-Fc-Request-Id: r\r\nX-Fc-Control-Path: /invoke\r\n",
                "x",
            ))
            .expect(200);
            let log = web
                .server
                .stdout
                .wait_until(|log| log.contains("POST /invoke"));
            assert_eq!(log.contains("FC Invoke Start"), is_there, "{log}");
        }
    }
}

mod ports {
    //! Which port is fnboot's own, whatever the function is.

    use super::*;

    /// Variables, and where fnboot listens then.
    const ROWS: [(&[(&str, &str)], u16); 8] = [
        (&[], 9000),
        (&[("PORT", "7001")], 7001),
        (&[("PORT", "7001"), ("FC_ACCOUNT_ID", "1")], 9000),
        (&[("PORT", "7001"), ("AWS_LAMBDA_FUNCTION_NAME", "f")], 9000),
        (&[("PORT", "7001"), ("SCF_FUNCTIONNAME", "f")], 9000),
        (&[("PORT", "7001"), ("FC_SERVER_PORT", "7002")], 7002),
        (&[("PORT", "7001"), ("FC_CUSTOM_LISTEN_PORT", "7003")], 7003),
        (
            &[
                ("FC_CUSTOM_LISTEN_PORT", "7003"),
                ("FC_SERVER_PORT", "7002"),
            ],
            7002,
        ),
    ];

    #[test]
    fn of_the_stock_program() {
        in_own_network("web::ports::of_the_stock_program", || {
            for (variables, port) in ROWS {
                let _case = Case(variables);
                let mut server = Program::bootstrap().without_port().envs(variables).start();
                server.port = port;
                let got = server.call(post("/invoke", "", "ping"), 200);
                assert_eq!(got.text(), "ping");
            }
            let folder = Folder::new();
            let path = folder.at("scf_bootstrap");
            std::fs::copy(bootstrap(), &path).expect("a copy");
            let mut server = Program::at(path).without_port().env("PORT", 7001).start();
            server.port = 9000;
            server.connect();
            for value in ["x", "0", "65536", "-1"] {
                let (status, _, stderr) =
                    Program::bootstrap().without_port().env("PORT", value).run();
                assert_eq!(status.code(), Some(1));
                assert!(
                    stderr.contains("PORT") && stderr.contains(value),
                    "{stderr}"
                );
            }
        });
    }

    #[test]
    fn of_a_web_function() {
        in_own_network("web::ports::of_a_web_function", || {
            for (variables, port) in ROWS {
                let _case = Case(variables);
                let program = Program::bootstrap().without_port().envs(variables);
                let mut server = program.arguments(["web", &site_path()]).start();
                server.port = port;
                let its = call_on(&mut server.connect(), get("/env/PORT", FC)).text();
                server.signal(Signal::TERM);
                server.expect_exit(0);
                let its: u16 = its.parse().expect("a port");
                let wants_7001 = port != 7001 && variables.iter().any(|(name, _)| *name == "PORT");
                assert!(its != port && (its == 7001) == wants_7001, "{its}");
            }
        });
    }
}

mod scf_web {
    //! A web function of SCF: the program's name says so.

    use super::*;

    #[test]
    fn everything_passes() {
        in_own_network("web::scf_web::everything_passes", passes);
    }

    fn start(path: &Path, words: &[&str]) -> Server {
        let program = Program::at(path.into()).without_port();
        let program = program.arguments(["web", &site_path()]).arguments(words);
        let program = program.env("SCF_FUNCTIONNAME", "f").env("PORT", 9100);
        let mut server = program.start();
        server.port = 9000;
        server
    }

    /// fnboot under the name that makes it one.
    fn named(folder: &Folder) -> PathBuf {
        let path = folder.at("scf_bootstrap");
        std::fs::copy(bootstrap(), &path).expect("a copy");
        path
    }

    /// A server for FC runs here, too, because it is told of the call as FC tells it.
    #[test]
    fn what_fc_says_is_added() {
        in_own_network("web::scf_web::what_fc_says_is_added", || {
            let folder = Folder::new();
            let mut server = start(&named(&folder), &[]);
            let request = "POST /echo HTTP/1.1\r\nHost: h\r\nX-Scf-Request-Id: an-id\r\nContent-Length: 4\r\n\r\nbody";
            let told = call_on(&mut server.connect(), request).text();
            let added = "X-Fc-Request-Id: an-id\r\nX-Fc-Control-Path: /http-invoke\r\n";
            assert!(told.contains(added), "{told}");
            let (line, rest) = request.split_once("Content-Length").expect("a length");
            assert!(told.starts_with(line) && told.ends_with(rest), "{told}");
        });
    }

    fn passes() {
        let folder = Folder::new();
        let path = named(&folder);
        let mut server = start(&path, &["sleep=200"]);
        let request = "POST /echo?a HTTP/1.1\r\nHost: h\r\nX-Scf-Request-Id: an-id\r\nx-Any: 1\r\nContent-Length: 4\r\n\r\nbody";
        let mut client = server.connect();
        let told = call_on(&mut client, request).text();
        let (line, rest) = request.split_once("Content-Length").expect("a length");
        assert!(told.starts_with(line) && told.ends_with(rest), "{told}");
        for request in plain_requests() {
            let _case =
                Case(String::from_utf8_lossy(&request[..request.len().min(60)]).into_owned());
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, 9100)).expect("the program");
            let (got, want) = (
                call_on(&mut client, &request),
                call_on(&mut Client::new(stream), &request),
            );
            assert_same(&got.body, &want.body);
            assert_eq!(
                (got.status, got.said().fields),
                (want.status, want.said().fields)
            );
        }
        // An event is a request, and no failure is told by fields of FC.
        let got = call_on(
            &mut client,
            post("/status/503", "X-Fc-Control-Path: /invoke\r\n", "x"),
        )
        .expect(503);
        assert_eq!(got.field("x-fc-status"), None);
        call_on(&mut client, get("/break", "")).expect_bad_gateway();
        let before = call_on(&mut client, get("/echo", "")).number("x-pid");
        let got = call_on(&mut client, get("/die/3", ""));
        assert_eq!(got.error().0, "ExitError");
        assert_eq!(got.field("x-fc-status"), None);
        assert_ne!(
            call_on(&mut client, get("/echo", "")).number("x-pid"),
            before
        );
        server.signal(Signal::TERM);
        server.expect_exit(0);
        expect_deaths(&server, 1);
        let line = expect_failure(&mut start(&path, &["stderr=boom", "exit=3"]));
        assert!(
            line.contains("boom") && line.contains("exit status 3"),
            "{line}"
        );
    }
}

mod marks {
    //! What many calls leave behind: nothing.

    use super::*;

    /// How many calls there are; `make slow` has more.
    fn call_count() -> usize {
        let count = std::env::var("FNBOOT_WEB_CALLS").ok();
        count.map_or(1000, |count| count.parse().expect("a number"))
    }

    /// Descriptors, children, mappings.
    fn held(web: &Web) -> (usize, usize, usize) {
        let id = web.server.id();
        let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).expect("maps");
        (
            open_descriptors(id),
            children(id).len(),
            maps.lines().count(),
        )
    }

    /// Nothing may have become more, and memory of long bodies is given back.
    #[track_caller]
    fn expect_nothing_left(web: &Web, before: (usize, usize, usize), rss_kib: u64) {
        wait_for("what was there before", || {
            let now = held(web);
            let is_little = web.server.status_kib("RssAnon") <= rss_kib + 64;
            (now.0 <= before.0 && now.1 == before.1 && now.2 <= before.2 + 2 && is_little)
                .then_some(())
        });
    }

    #[test]
    fn nothing_is_left_of_many_calls() {
        let mut web = Web::start(&[]);
        let mut client = web.server.connect();
        let long = noise(MIB);
        let mut call = |turn: usize| {
            let body = &long[..if turn.is_multiple_of(100) {
                MIB
            } else {
                turn % 500
            }];
            match turn % 10 {
                0..=4 => {
                    let got = call_on(&mut client, post("/body", FC, body)).expect(200);
                    assert_same(&got.body, body);
                }
                5 => drop(call_on(&mut client, get("/chunked/70000", FC)).expect(200)),
                6 => drop(call_on(&mut client, get("/close", FC)).expect(200)),
                7 => call_on(&mut client, get("/break", FC)).expect_bad_gateway(),
                8 => drop(call_on(&mut client, get("/eof/100", FC)).expect(200)),
                _ => {
                    let stream = client.stream().peer_addr().expect("an address");
                    let mut other = Client::new(TcpStream::connect(stream).expect("connect"));
                    other.send(get("/cut/1000", FC));
                    other.read_to_end();
                }
            }
        };
        (0..100).for_each(&mut call);
        web_idle();
        let (before, rss_kib) = (held(&web), web.server.status_kib("RssAnon"));
        (0..call_count()).for_each(&mut call);
        expect_nothing_left(&web, before, rss_kib);
        wait_for("closed connections", || {
            let count = web.ask("/open").parse::<u32>();
            count.is_ok_and(|count| count <= 1).then_some(())
        });
    }

    /// Warm memory and idle connections have an end.
    fn web_idle() {
        thread::sleep(Duration::from_millis(1500));
    }

    #[test]
    fn nothing_is_left_of_restarts() {
        let mut web = Web::start(&[]);
        let cycle = |web: &mut Web| {
            web.get("/die/3").error();
            web.get("/body").expect(200);
        };
        cycle(&mut web);
        web_idle();
        let (before, rss_kib) = (held(&web), web.server.status_kib("RssAnon"));
        for _ in 0..call_count() / 100 {
            cycle(&mut web);
        }
        expect_nothing_left(&web, before, rss_kib);
        web.expect_deaths(1 + call_count() / 100);
    }
}
