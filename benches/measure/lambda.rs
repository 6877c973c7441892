//! A stand-in for AWS Lambda's runtime API: one runtime, one event after the other.
//!
//! It answers what every runtime asks, as fast as it can, and takes the time where the runtime's
//! part begins and ends.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Instant;

use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::measure::peer::Peer;
use crate::measure::server::{PATIENCE, Server, now_ns};
use crate::measure::stats::{float, median};
use crate::measure::{Outcome, process, settings};

/// Events of one run that are not counted: the first ones fill caches and pools.
const WARM_COUNT: usize = 20;

/// Events of one run that are.
const EVENT_COUNT: usize = 200;

const EVENT: &[u8] = br#"{"key1":"value1","key2":"value2","key3":"value3"}"#;

/// What one run of a runtime came to.
pub(crate) struct Run {
    /// From `execve` to the first question for an event.
    pub(crate) to_next_us: f64,
    /// From an event to the next question, the answer between them: the median.
    pub(crate) event_us: f64,
    /// The runtime's processor time per event.
    pub(crate) processor_us: f64,
    pub(crate) rss_kib: f64,
}

/// Starts a runtime, gives it events and ends it.
pub(crate) fn run(launcher: &Path, peer: &Peer) -> Outcome<Run> {
    let (listener, address) = listen()?;
    let environment = environment(&address);
    let core = settings::cores()?.server;
    let mut runtime = Server::launch(launcher, peer, 0, core, &environment)?;
    let stream = spin_for(&listener)?;
    let mut api = Api::new(listener, stream);
    let asked_ns = api.next_asked()?;
    let to_next_us = float(asked_ns - runtime.started()?.at_ns) / 1e3;

    let mut events_us = Vec::new();
    let mut before_ns = 0;
    for index in 0..WARM_COUNT + EVENT_COUNT {
        if index == WARM_COUNT {
            before_ns = process::processor_ns(runtime.id())?;
            events_us.clear();
        }
        events_us.push(api.event(index)?);
    }
    let processor_ns = process::processor_ns(runtime.id())? - before_ns;
    Ok(Run {
        to_next_us,
        event_us: median(&events_us),
        processor_us: float(processor_ns) / 1e3 / float(u64::try_from(EVENT_COUNT)?),
        rss_kib: float(process::status(runtime.id(), "VmRSS")?),
    })
}

/// Where a runtime will ask: the listener, and its address.
pub(crate) fn listen() -> Outcome<(TcpListener, String)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?.to_string();
    Ok((listener, address))
}

/// What the platform tells a runtime.
pub(crate) fn environment(address: &str) -> [(&'static str, &str); 9] {
    [
        ("AWS_LAMBDA_RUNTIME_API", address),
        ("AWS_LAMBDA_FUNCTION_NAME", "hello"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "512"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/hello"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "2026/11/21/[$LATEST]0"),
        ("AWS_REGION", "eu-central-1"),
        ("_HANDLER", "echo"),
    ]
}

/// The API while a runtime asks it.
pub(crate) struct Api {
    listener: TcpListener,
    stream: TcpStream,
    /// What was received and not yet taken.
    bytes: Vec<u8>,
}

impl Api {
    /// Waits for the runtime.
    pub(crate) fn wait(listener: TcpListener) -> Outcome<Self> {
        let stream = wait_for(&listener)?;
        Ok(Self::new(listener, stream))
    }

    fn new(listener: TcpListener, stream: TcpStream) -> Self {
        Self {
            listener,
            stream,
            bytes: Vec::new(),
        }
    }

    /// Gives out an event, which was asked for, and takes the answer; how long it was until the
    /// next one was asked for. The answer is the event, maybe with a newline.
    pub(crate) fn event(&mut self, index: usize) -> Outcome<f64> {
        let head = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\
             Lambda-Runtime-Aws-Request-Id: 8476a536-e9f4-11e8-9739-{index:012}\r\n\
             Lambda-Runtime-Deadline-Ms: 1999999999999\r\n\
             Lambda-Runtime-Invoked-Function-Arn: \
             arn:aws:lambda:eu-central-1:123456789012:function:hello\r\n\
             Lambda-Runtime-Trace-Id: Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700;Sampled=1\r\n\
             Date: Sat, 21 Nov 2026 08:00:00 GMT\r\nContent-Length: {}\r\n\r\n",
            EVENT.len()
        );
        let message = [head.as_bytes(), EVENT].concat();
        let given_ns = now_ns()?;
        self.stream.write_all(&message)?;
        let answer = self.request()?;
        if !answer.line.starts_with("POST ") || !answer.line.contains("/response ") {
            return Err(format!("not an answer: {}", answer.line).into());
        }
        if answer.body.trim_ascii_end() != EVENT {
            return Err("the answer is not the event".into());
        }
        self.stream.write_all(
            b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n\
              Date: Sat, 21 Nov 2026 08:00:00 GMT\r\nContent-Length: 16\r\n\r\n\
              {\"status\":\"OK\"}\n",
        )?;
        Ok(float(self.next_asked()? - given_ns) / 1e3)
    }

    /// Waits for the question for an event; when it was there.
    pub(crate) fn next_asked(&mut self) -> Outcome<u64> {
        let question = self.request()?;
        let asked_ns = now_ns()?;
        if question.line.contains("/invocation/next ") {
            Ok(asked_ns)
        } else {
            Err(format!("not a question for an event: {}", question.line).into())
        }
    }

    fn request(&mut self) -> Outcome<Request> {
        let mut piece = [0; 4096];
        loop {
            if let Some((request, request_bytes)) = parse(&self.bytes)? {
                self.bytes.drain(..request_bytes);
                return Ok(request);
            }
            match self.stream.read(&mut piece)? {
                0 => self.stream = wait_for(&self.listener)?,
                got => self.bytes.extend_from_slice(&piece[..got]),
            }
        }
    }
}

pub(crate) struct Request {
    /// Method and target, with a space behind each.
    pub(crate) line: String,
    pub(crate) body: Vec<u8>,
}

/// The request at the front of `bytes`, once it is whole, and how long it is.
pub(crate) fn parse(bytes: &[u8]) -> Outcome<Option<(Request, usize)>> {
    let mut fields = [httparse::EMPTY_HEADER; 32];
    let mut head = httparse::Request::new(&mut fields);
    let httparse::Status::Complete(head_bytes) =
        head.parse(bytes).map_err(|error| error.to_string())?
    else {
        return Ok(None);
    };
    let length = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let body_bytes: usize = match length {
        Some(length) => std::str::from_utf8(length.value)?.parse()?,
        None => 0,
    };
    let end = head_bytes + body_bytes;
    let line = format!(
        "{} {} ",
        head.method.unwrap_or_default(),
        head.path.unwrap_or_default()
    );
    let body = bytes.get(head_bytes..end).map(<[u8]>::to_vec);
    Ok(body.map(|body| (Request { line, body }, end)))
}

/// The first connection. Nothing is as fast as asking for it again and again, from a core of its own.
fn spin_for(listener: &TcpListener) -> Outcome<TcpStream> {
    listener.set_nonblocking(true)?;
    let give_up = Instant::now() + PATIENCE;
    loop {
        match listener.accept() {
            Ok((stream, _)) => return prepare(stream),
            Err(error) if Instant::now() > give_up => {
                return Err(format!("nobody connects: {error}").into());
            }
            Err(_) => std::hint::spin_loop(),
        }
    }
}

/// The next connection, for which the core is left to others.
fn wait_for(listener: &TcpListener) -> Outcome<TcpStream> {
    listener.set_nonblocking(false)?;
    set_socket_timeout(listener, Timeout::Recv, Some(PATIENCE))?;
    let (stream, _) = listener
        .accept()
        .map_err(|error| format!("nobody connects: {error}"))?;
    prepare(stream)
}

fn prepare(stream: TcpStream) -> Outcome<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    Ok(stream)
}
