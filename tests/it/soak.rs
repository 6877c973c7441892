//! Thousands of events through the local tool, over a network with a bad day: a proxy between the
//! program and the tool's runtime API cuts connections. Every event comes back as it was.
//!
//! `cruel` plays an API that is far worse. This is the one test in which the program and the tool
//! have to get over it together.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::harness::{
    Client, Program, Server, assert_built, assert_same, bootstrap, noise, post, tool,
};

const EVENT_COUNT: usize = 2000;
const CLIENT_COUNT: usize = 4;
/// A connection is cut after one of so many answers, and within one of so many events.
const CUT_EVERY: usize = 7;
/// Far from any usual length, so that the place of a cut moves through head and body of the events.
const STRIDE_BYTES: usize = 97;

/// Where the proxy cuts.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cuts {
    /// After answers that the API has taken: nothing is on its way then.
    BetweenMessages = 1,
    /// Within events, too: the program asks again, and the API gives it the same event again.
    Anywhere = 2,
}

/// Stands between programs and their runtime APIs.
struct Proxy {
    cuts: Cuts,
    event_count: AtomicUsize,
    answer_count: AtomicUsize,
    cut_count: AtomicUsize,
}

impl Proxy {
    /// Listens for programs that start: each says where its API is, and is told where it now is.
    fn start(cuts: Cuts) -> (Arc<Self>, u16) {
        let proxy = Arc::new(Self {
            cuts,
            event_count: AtomicUsize::new(0),
            answer_count: AtomicUsize::new(0),
            cut_count: AtomicUsize::new(0),
        });
        let own = Arc::clone(&proxy);
        let port = listen(move |mut program| {
            let mut api = String::new();
            BufReader::new(&program).read_line(&mut api)?;
            let own = Arc::clone(&own);
            let port = listen(move |program| own.relay(program, TcpStream::connect(api.trim())?));
            writeln!(program, "{port}")
        });
        (proxy, port)
    }

    /// Passes on one message after the other, until one side ends or the connection is cut.
    fn relay(&self, mut program: TcpStream, mut api: TcpStream) -> io::Result<()> {
        let mut requests = BufReader::new(program.try_clone()?);
        let mut responses = BufReader::new(api.try_clone()?);
        loop {
            let request = message(&mut requests)?;
            api.write_all(&request)?;
            let response = message(&mut responses)?;
            let place = self.cut(request.starts_with(b"GET "), response.len());
            program.write_all(&response[..place.unwrap_or(response.len())])?;
            if place.is_some() {
                self.cut_count.fetch_add(1, Ordering::Relaxed);
                return Ok(());
            }
        }
    }

    /// How much of a response the program still gets, if the connection is cut.
    fn cut(&self, is_event: bool, len: usize) -> Option<usize> {
        let counts = [&self.answer_count, &self.event_count];
        let count = 1 + counts[usize::from(is_event)].fetch_add(1, Ordering::Relaxed);
        match (is_event, self.cuts) {
            _ if !count.is_multiple_of(CUT_EVERY) => None,
            (false, _) => Some(len),
            (true, Cuts::Anywhere) => Some(count * STRIDE_BYTES % len),
            (true, Cuts::BetweenMessages) => None,
        }
    }
}

/// A port on which each connection is served by a thread of its own.
fn listen(serve: impl Fn(TcpStream) -> io::Result<()> + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            // An error is the end of one side, and both are left then.
            thread::spawn(move || serve(stream));
        }
    });
    port
}

/// The next message as it is: its head, and a body of the length that stands in it.
fn message(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut message = Vec::new();
    while !message.ends_with(b"\r\n\r\n") {
        if from.read_until(b'\n', &mut message)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    let head = String::from_utf8_lossy(&message).to_ascii_lowercase();
    let length = head.split_once("\r\ncontent-length: ");
    let length = length.and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    from.take(length.unwrap_or(0)).read_to_end(&mut message)?;
    Ok(message)
}

/// The tool, which plays a platform for a program that goes through the proxy.
fn gateway(options: &[&str], proxy: u16) -> (Server, String) {
    assert_built(&tool());
    let through_proxy = format!(
        "exec 3<> /dev/tcp/127.0.0.1/{proxy}
        echo \"${{AWS_LAMBDA_RUNTIME_API:-$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT}}\" >&3
        read -r port <&3
        exec 3>&-
        [ -z \"$AWS_LAMBDA_RUNTIME_API\" ] || export AWS_LAMBDA_RUNTIME_API=127.0.0.1:$port
        [ -z \"$SCF_RUNTIME_API\" ] || export SCF_RUNTIME_API=127.0.0.1 SCF_RUNTIME_API_PORT=$port
        exec \"$0\""
    );
    let tool = tool();
    let mut words = vec![tool.to_str().expect("text"), "serve", "--port", "0"];
    words.extend(options);
    words.extend(["/bin/bash", "-c", &through_proxy]);
    let server = Program::at(bootstrap())
        .without_port()
        .under(&words)
        .start();
    let listens = "Listening on http://";
    let shown = server.stderr.wait_until(|shown| {
        let address = shown.split_once(listens);
        address.is_some_and(|(_, rest)| rest.contains('\n'))
    });
    let (_, address) = shown.split_once(listens).expect("an address");
    let address = address.lines().next().expect("a line").to_owned();
    (server, address)
}

/// Every event comes back as it was, although it was a bad day.
fn soak(options: &[&str], path: &str, cuts: Cuts) {
    let (proxy, port) = Proxy::start(cuts);
    let (mut server, address) = gateway(options, port);
    let noise: String = noise(32 * 1024)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    thread::scope(|scope| {
        for index in 0..CLIENT_COUNT {
            let (address, noise) = (&address, &noise);
            scope.spawn(move || {
                let mut client = Client::new(TcpStream::connect(address).expect("connect"));
                for turn in 0..EVENT_COUNT / CLIENT_COUNT {
                    let noise = &noise[..turn * 7919 % noise.len()];
                    let event = format!("{{\"{index} {turn}\":\"{noise}\"}}");
                    let answer = client.send(post(path, "", &event)).expect(200);
                    assert_same(&answer.body, event.as_bytes());
                }
            });
        }
    });
    // The last ones may still be on their way through the proxy.
    let least = (EVENT_COUNT - CLIENT_COUNT) / CUT_EVERY * cuts as usize;
    let count = proxy.cut_count.load(Ordering::Relaxed);
    assert!(count >= least, "{count} cuts are no bad day");
    // With `SIGTERM` the tool ends what it started.
    server.signal(rustix::process::Signal::TERM);
    server.wait();
    server.stderr.take();
}

const LAMBDA: &str = "/2015-03-31/functions/function/invocations";

#[test]
fn lambda() {
    soak(&["--platform", "lambda"], LAMBDA, Cuts::Anywhere);
}

/// The API cannot know which of several events a new question is for.
#[test]
fn lambda_with_many_at_once() {
    let options = ["--platform", "lambda", "--concurrency", "3"];
    soak(&options, LAMBDA, Cuts::BetweenMessages);
}

#[test]
fn scf() {
    soak(&["--platform", "scf"], "/", Cuts::Anywhere);
}
