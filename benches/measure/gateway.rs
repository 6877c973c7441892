//! A stand-in for AWS Lambda's runtime API behind a function URL: events that are HTTP requests, one after the
//! other.
//!
//! Unlike that of `lambda`, it has several connections, because an adapter that is an extension has one of its own
//! for that, and keeps a pool of others.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::lambda::{self, Request};
use crate::measure::Outcome;
use crate::measure::server::{PATIENCE, now_ns};

/// Header fields of a request as a function URL hands them on.
pub(crate) const FIELDS: [(&str, &str); 9] = [
    (
        "host",
        "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-central-1.on.aws",
    ),
    ("user-agent", "curl/8.14.1"),
    ("accept", "*/*"),
    ("x-amzn-tls-version", "TLSv1.3"),
    ("x-amzn-tls-cipher-suite", "TLS_AES_128_GCM_SHA256"),
    (
        "x-amzn-trace-id",
        "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
    ),
    ("x-forwarded-for", "203.0.113.7"),
    ("x-forwarded-port", "443"),
    ("x-forwarded-proto", "https"),
];

/// The API, and who asks it.
pub(crate) struct Gateway {
    listener: TcpListener,
    connections: Vec<Connection>,
    /// Which of them waits for an event.
    asked: usize,
    event_count: usize,
}

/// What came of an event, and when.
pub(crate) struct Answered {
    /// That of the answer to its request.
    pub(crate) body: String,
    pub(crate) from_ns: u64,
    pub(crate) body_ns: u64,
    /// When the next was asked for.
    pub(crate) next_ns: u64,
    /// Processor time of the API in between.
    pub(crate) own_ns: u64,
}

struct Connection {
    stream: TcpStream,
    /// What was received and not yet taken.
    bytes: Vec<u8>,
}

/// The event of a request; its body is sent as text.
pub(crate) fn event(method: &str, path: &str, body: &str) -> Vec<u8> {
    let mut headers: serde_json::Map<String, Value> = FIELDS
        .iter()
        .map(|&(name, value)| (name.to_owned(), value.into()))
        .collect();
    if !body.is_empty() {
        headers.insert("content-type".into(), "text/plain".into());
        headers.insert("content-length".into(), body.len().to_string().into());
    }
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": headers,
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghijklmnopqrstuvwxyz012345",
            "domainName": FIELDS[0].1,
            "domainPrefix": "abcdefghijklmnopqrstuvwxyz012345",
            "http": {
                "method": method,
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl/8.14.1",
            },
            "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "routeKey": "$default",
            "stage": "$default",
            "time": "21/Nov/2026:08:00:00 +0000",
            "timeEpoch": 1_795_248_000_000_u64,
        },
        "isBase64Encoded": false,
    });
    if !body.is_empty() {
        event["body"] = body.into();
    }
    event.to_string().into_bytes()
}

impl Gateway {
    /// Waits until somebody asks for an event.
    pub(crate) fn wait(listener: TcpListener) -> Outcome<Self> {
        let mut gateway = Self {
            listener,
            connections: Vec::new(),
            asked: 0,
            event_count: 0,
        };
        gateway.next_asked()?;
        Ok(gateway)
    }

    /// Gives out an event, which was asked for, and takes the answer and the next question.
    pub(crate) fn event(&mut self, event: &[u8]) -> Outcome<Answered> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
             Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{:012}\r\n\
             Lambda-Runtime-Deadline-Ms: 1999999999999\r\n\
             Lambda-Runtime-Invoked-Function-Arn: \
             arn:aws:lambda:eu-central-1:123456789012:function:hello\r\n\
             Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1\r\n\
             Date: Sat, 21 Nov 2026 08:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
            self.event_count,
            event.len()
        );
        self.event_count += 1;
        let message = [head.as_bytes(), event].concat();
        let own_before_ns = own_ns()?;
        let given_ns = now_ns()?;
        self.send(self.asked, &message)?;
        let (index, answer) = self.request()?;
        let answered_ns = now_ns()?;
        if !answer.line.starts_with("POST ") || !answer.line.contains("/response ") {
            let body = String::from_utf8_lossy(&answer.body);
            return Err(format!("not an answer: {}: {body}", answer.line).into());
        }
        self.send(
            index,
            b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n\
              Date: Sat, 21 Nov 2026 08:00:00 GMT\r\nContent-Length: 16\r\n\r\n\
              {\"status\":\"OK\"}\n",
        )?;
        let asked_ns = self.next_asked()?;
        let own_ns = own_ns()? - own_before_ns;
        let answer: Value = serde_json::from_slice(&answer.body)?;
        let body = answer["body"].as_str();
        let (Some(body), Some(200), Some(false)) = (
            body,
            answer["statusCode"].as_u64(),
            answer["isBase64Encoded"].as_bool(),
        ) else {
            return Err(format!("not the answer of the server: {answer}").into());
        };
        Ok(Answered {
            body: body.to_owned(),
            from_ns: given_ns,
            body_ns: answered_ns,
            next_ns: asked_ns,
            own_ns,
        })
    }

    /// Waits for the question for an event; when it was there.
    fn next_asked(&mut self) -> Outcome<u64> {
        let (index, question) = self.request()?;
        let asked_ns = now_ns()?;
        if !question.line.contains("/runtime/invocation/next ") {
            let body = String::from_utf8_lossy(&question.body);
            return Err(format!("not a question for an event: {}: {body}", question.line).into());
        }
        self.asked = index;
        Ok(asked_ns)
    }

    /// The next request that is a runtime's, and the connection it came on.
    fn request(&mut self) -> Outcome<(usize, Request)> {
        loop {
            for index in 0..self.connections.len() {
                let bytes = &mut self.connections[index].bytes;
                if bytes.is_empty() {
                    continue;
                }
                if let Some((request, request_bytes)) = lambda::parse(bytes)? {
                    bytes.drain(..request_bytes);
                    if !request.line.contains("/extension/") {
                        return Ok((index, request));
                    }
                    self.extension(index, &request)?;
                }
            }
            self.receive()?;
        }
    }

    /// An extension registers, and waits for an event that never comes.
    fn extension(&mut self, index: usize, request: &Request) -> Outcome<()> {
        if request.line.contains("/register ") {
            self.send(
                index,
                b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 1\r\nContent-Length: 2\r\n\r\n{}",
            )?;
        }
        Ok(())
    }

    /// Waits until something comes, and takes it.
    fn receive(&mut self) -> Outcome<()> {
        let streams = self.connections.iter().map(|one| &one.stream);
        let mut waits: Vec<PollFd> = streams
            .map(|stream| PollFd::new(stream, PollFlags::IN))
            .collect();
        waits.push(PollFd::new(&self.listener, PollFlags::IN));
        let patience = Timespec {
            tv_sec: i64::try_from(PATIENCE.as_secs())?,
            tv_nsec: 0,
        };
        if poll(&mut waits, Some(&patience))? == 0 {
            return Err("nobody asks the API".into());
        }
        let ready: Vec<bool> = waits.iter().map(|one| !one.revents().is_empty()).collect();
        // From the last on, so that one that is closed does not change the numbers of those before it.
        for index in (0..self.connections.len())
            .rev()
            .filter(|&index| ready[index])
        {
            let mut piece = [0; 16 * 1024];
            let connection = &mut self.connections[index];
            let got = connection.stream.read(&mut piece)?;
            connection.bytes.extend_from_slice(&piece[..got]);
            if got == 0 {
                self.connections.remove(index);
                self.asked -= usize::from(index < self.asked);
            }
        }
        if ready.last() == Some(&true) {
            let (stream, _) = self.listener.accept()?;
            stream.set_nodelay(true)?;
            self.connections.push(Connection {
                stream,
                bytes: Vec::new(),
            });
        }
        Ok(())
    }

    fn send(&mut self, index: usize, message: &[u8]) -> Outcome<()> {
        Ok(self.connections[index].stream.write_all(message)?)
    }
}

/// Processor time of this thread.
fn own_ns() -> Outcome<u64> {
    let own = clock_gettime(ClockId::ThreadCPUTime);
    Ok(u64::try_from(own.tv_sec)? * 1_000_000_000 + u64::try_from(own.tv_nsec)?)
}
