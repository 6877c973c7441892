//! A runtime API played by the test itself: the program under test is its client.
//!
//! An [`Api`] listens; a [`Peer`] is one connection that the program opened. What the program asks
//! is checked strictly, what it is told are the bytes that the test writes.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpListener};

use crate::harness::{Client, Program, Server, in_chunks, sized, sockets, wait_for};

/// Whose API it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    Lambda,
    Scf,
}

pub const PLATFORMS: [Platform; 2] = [Platform::Lambda, Platform::Scf];

/// The id of the event that a test does not name.
pub const ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// What `User-Agent` must say.
const AGENT: &str = concat!("fnboot/", env!("CARGO_PKG_VERSION"));

impl Platform {
    /// The line of the request for the next event.
    pub fn next(self) -> &'static str {
        match self {
            Self::Lambda => "GET /2018-06-01/runtime/invocation/next",
            Self::Scf => "GET /runtime/invocation/next",
        }
    }

    pub fn response(self, id: &str) -> String {
        self.answer(id, "response")
    }

    pub fn error(self, id: &str) -> String {
        self.answer(id, "error")
    }

    fn answer(self, id: &str, what: &str) -> String {
        match self {
            Self::Lambda => format!("POST /2018-06-01/runtime/invocation/{id}/{what}"),
            Self::Scf => format!("POST /runtime/invocation/{what}"),
        }
    }

    /// The fields of an event.
    pub fn fields(self, id: &str) -> String {
        match self {
            Self::Lambda => format!(
                "Content-Type: application/json\r\n\
                Lambda-Runtime-Aws-Request-Id: {id}\r\n\
                Lambda-Runtime-Deadline-Ms: 4102444800000\r\n"
            ),
            Self::Scf => {
                format!("Request_Id: {id}\r\nMemory_Limit_In_Mb: 128\r\nTime_Limit_In_Ms: 3000\r\n")
            }
        }
    }
}

/// The listener.
pub struct Api {
    listener: TcpListener,
    pub platform: Platform,
    /// What `Host` must say.
    host: String,
    /// What every path must begin with.
    base: String,
}

impl Api {
    pub fn new(platform: Platform) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        listener.set_nonblocking(true).expect("set_nonblocking");
        let address = listener.local_addr().expect("an address");
        Self {
            listener,
            platform,
            host: address.to_string(),
            base: String::new(),
        }
    }

    /// Known to the program by another name than its address, and below that path.
    pub fn known_as(mut self, name: &str, base: &str) -> Self {
        self.host = format!("{name}:{}", self.port());
        self.base = base.into();
        self
    }

    pub fn port(&self) -> u16 {
        self.listener.local_addr().expect("an address").port()
    }

    /// What `Host` must say.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The head of a request that has nothing but what all have, and these fields.
    pub fn head(&self, line: &str, fields: &str) -> String {
        let host = self.host();
        format!("{line} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {AGENT}\r\n{fields}\r\n")
    }

    /// The program, told where the API is.
    pub fn program(&self, program: Program) -> Program {
        let program = program.without_port();
        match self.platform {
            Platform::Lambda => {
                let address = format!("{}{}", self.host(), self.base);
                program.env("AWS_LAMBDA_RUNTIME_API", address)
            }
            Platform::Scf => {
                let (host, port) = self.host().split_once(':').expect("a port");
                program
                    .env("SCF_RUNTIME_API", host)
                    .env("SCF_RUNTIME_API_PORT", port)
            }
        }
    }

    /// Starts the program.
    pub fn start(&self, program: Program) -> Server {
        self.program(program).start()
    }

    /// Starts the program and lets it come to its first question for an event.
    #[track_caller]
    pub fn begin(&self, program: Program) -> (Server, Peer) {
        let server = self.start(program);
        let peer = self.first();
        (server, peer)
    }

    /// The first connection of a program that was started, at its first question for an event.
    #[track_caller]
    pub fn first(&self) -> Peer {
        let mut peer = self.accept();
        if self.platform == Platform::Scf {
            peer.expect("POST /runtime/init/ready");
            peer.accept();
        }
        peer.expect_next();
        peer
    }

    /// The next connection that the program opens.
    #[track_caller]
    pub fn accept(&self) -> Peer {
        wait_for("a connection", || self.try_accept())
    }

    /// The next connection, if there is one.
    pub fn try_accept(&self) -> Option<Peer> {
        let (stream, _) = self.listener.accept().ok()?;
        stream.set_nonblocking(false).expect("set_nonblocking");
        Some(Peer {
            client: Client::new(stream),
            host: self.host.clone(),
            base: self.base.clone(),
            platform: self.platform,
        })
    }

    /// No further connection may have been opened so far.
    #[track_caller]
    pub fn expect_no_connection(&self) {
        let got = self.listener.accept();
        assert!(
            got.is_err_and(|error| error.kind() == ErrorKind::WouldBlock),
            "a connection too many"
        );
    }
}

/// A connection of the program's.
pub struct Peer {
    client: Client,
    host: String,
    base: String,
    platform: Platform,
}

/// What the program sent.
#[derive(Debug)]
pub struct Request {
    /// Method and target, of which what the API's own address ends with is gone.
    pub line: String,
    pub head: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// What follows the last chunk.
    pub trailers: Vec<(String, String)>,
}

impl Request {
    /// The value of a field that is there once, or not at all.
    #[track_caller]
    pub fn header(&self, name: &str) -> Option<&str> {
        value(&self.headers, name)
    }

    #[track_caller]
    pub fn trailer(&self, name: &str) -> Option<&str> {
        value(&self.trailers, name)
    }

    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

#[track_caller]
fn value<'a>(fields: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let mut values = fields.iter().filter(|(other, _)| other == name);
    let first = values.next().map(|(_, value)| value.as_str());
    assert!(values.next().is_none(), "{name} twice: {fields:?}");
    first
}

fn fields(text: &str) -> Vec<(String, String)> {
    let field = |line: &str| {
        let (name, value) = line.split_once(": ").expect("a field");
        (name.to_ascii_lowercase(), value.to_string())
    };
    text.split_terminator("\r\n").map(field).collect()
}

impl Peer {
    /// Reads a request: it must be that method and target.
    #[track_caller]
    pub fn expect(&mut self, line: &str) -> Request {
        let request = self.request();
        assert_eq!(request.line, line);
        request
    }

    #[track_caller]
    pub fn expect_next(&mut self) -> &mut Self {
        let request = self.expect(self.platform.next());
        assert_eq!(request.body, b"");
        self
    }

    /// Reads the answer to the event without a name.
    #[track_caller]
    pub fn expect_response(&mut self) -> Request {
        self.expect(&self.platform.response(ID))
    }

    #[track_caller]
    pub fn expect_error(&mut self) -> Request {
        self.expect(&self.platform.error(ID))
    }

    /// Gives an event, takes its answer, which is the same, and comes to the next question.
    #[track_caller]
    pub fn expect_echo(&mut self, event: impl AsRef<[u8]>) {
        self.event(&event);
        let answer = self.expect_response();
        crate::harness::assert_same(&answer.body, event.as_ref());
        self.accept();
        self.expect_next();
    }

    /// Gives an event.
    #[track_caller]
    pub fn event(&mut self, event: impl AsRef<[u8]>) -> &mut Self {
        self.send(self.rendered(event))
    }

    /// An event as it is sent.
    pub fn rendered(&self, event: impl AsRef<[u8]>) -> Vec<u8> {
        let fields = self.platform.fields(ID);
        response("200 OK", &fields, event)
    }

    /// Says that an answer is taken.
    #[track_caller]
    pub fn accept(&mut self) -> &mut Self {
        match self.platform {
            Platform::Lambda => self.reply("202 Accepted", "{\"status\":\"OK\"}\n"),
            Platform::Scf => self.reply("200 OK", ""),
        }
    }

    #[track_caller]
    pub fn reply(&mut self, status: &str, body: &str) -> &mut Self {
        self.send(response(status, "Content-Type: application/json\r\n", body))
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> &mut Self {
        self.client.send(bytes);
        self
    }

    /// Says that nothing more will be sent; what comes can still be read.
    pub fn finish(&mut self) -> &mut Self {
        self.client.finish();
        self
    }

    /// The program's own port.
    pub fn port(&self) -> u16 {
        self.client.stream().peer_addr().expect("an address").port()
    }

    /// Ends the connection the rude way.
    pub fn reset(self) {
        self.client.reset();
    }

    /// Waits until the program has read everything that was sent: its socket's queue is empty.
    #[track_caller]
    pub fn wait_until_read(&self) {
        let port = self.port();
        wait_for("the program to read", || {
            let its = sockets().find(|socket| socket.local == port);
            its.is_none_or(|its| its.unread_bytes == 0).then_some(())
        });
    }

    /// The program must end the connection properly, with nothing more said.
    #[track_caller]
    pub fn expect_close(&mut self) {
        self.client.expect_close();
    }

    /// Whether the connection is open and nothing has come.
    pub fn is_silent(&mut self) -> bool {
        self.client.is_silent()
    }

    /// Reads until that much of an answer that goes on has come, and returns it as it is.
    #[track_caller]
    pub fn read_until(&mut self, is_enough: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        self.client.read_until(is_enough).to_vec()
    }

    /// Reads a request, about which everything is checked that holds for all of them.
    #[track_caller]
    pub fn request(&mut self) -> Request {
        let head = self.client.read_bytes_until(b"\r\n\r\n");
        let head = String::from_utf8(head).expect("text");
        let (line, rest) = head.split_once(" HTTP/1.1\r\n").expect("a line");
        let (method, target) = line.split_once(' ').expect("a target");
        let target = target.strip_prefix(self.base.as_str());
        let line = format!("{method} {}", target.expect("the base path"));
        let headers = fields(rest.strip_suffix("\r\n").expect("an end"));
        assert_eq!(value(&headers, "host"), Some(self.host.as_str()));
        assert_eq!(value(&headers, "user-agent"), Some(AGENT));
        let length = value(&headers, "content-length").map(|n| n.parse::<usize>().expect("n"));
        let coding = value(&headers, "transfer-encoding");
        let (body, trailers) = match (length, coding) {
            (Some(length), None) => (self.client.read_bytes(length), Vec::new()),
            (None, Some("chunked")) => self.chunks(),
            (None, None) => {
                assert!(line.starts_with("GET "), "a body without a length: {head}");
                (Vec::new(), Vec::new())
            }
            _ => panic!("both lengths: {head}"),
        };
        Request {
            line,
            headers,
            head: head.clone(),
            body,
            trailers,
        }
    }

    #[track_caller]
    fn chunks(&mut self) -> (Vec<u8>, Vec<(String, String)>) {
        let mut body = Vec::new();
        loop {
            match self.client.read_chunk() {
                chunk if chunk.is_empty() => break,
                chunk => body.extend(chunk),
            }
        }
        let mut trailers = String::new();
        loop {
            let line = self.client.read_bytes_until(b"\r\n");
            if line == b"\r\n" {
                return (body, fields(&trailers));
            }
            trailers.push_str(std::str::from_utf8(&line).expect("text"));
        }
    }
}

/// A response with a length.
pub fn response(status: &str, fields: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    sized(&format!("HTTP/1.1 {status}\r\n{fields}"), body)
}

/// An event in chunks of at most `size` bytes.
pub fn chunked(fields: &str, body: &[u8], size: usize) -> Vec<u8> {
    in_chunks(&format!("HTTP/1.1 200 OK\r\n{fields}"), body, size)
}

/// What base64 stands for (RFC 4648 §4).
#[track_caller]
pub fn base64(text: &str) -> Vec<u8> {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    assert!(text.len().is_multiple_of(4), "{text}");
    let text = text.trim_end_matches('=');
    let (mut bytes, mut bits, mut count) = (Vec::new(), 0_u32, 0);
    for digit in text.chars() {
        bits = bits << 6 | digits.find(digit).expect("a digit") as u32;
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    bytes
}
