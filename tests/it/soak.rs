//! Many events through the local tool that plays a platform on a bad day: its connections break
//! after answers and within events. Nothing may be lost, nothing answered twice.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::Value;

use crate::harness::{Client, assert_built, assert_same, bootstrap, noise, post, tool};

const EVENT_COUNT: usize = 2000;
const CLIENT_COUNT: usize = 4;
/// A connection breaks after so many answers, and within as many events.
const BREAK_EVERY: usize = 7;

/// The tool, playing a platform.
struct Gateway {
    child: Child,
    address: String,
}

impl Gateway {
    fn start(options: &[&str]) -> Self {
        assert_built(&tool());
        assert_built(&bootstrap());
        let every = BREAK_EVERY.to_string();
        let mut child = Command::new(tool())
            .args(["serve", "--port", "0", "--flaky", &every])
            .args(options)
            .arg(bootstrap())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tool");
        let mut lines = BufReader::new(child.stderr.take().expect("a pipe")).lines();
        let address = loop {
            let line = lines.next().expect("a line").expect("text");
            if let Some((_, address)) = line.split_once("Listening on http://") {
                break address.to_string();
            }
        };
        // Whatever else it says must not block it.
        thread::spawn(move || lines.for_each(drop));
        Self { child, address }
    }

    fn connect(&self) -> Client {
        Client::new(TcpStream::connect(&self.address).expect("connect"))
    }

    fn counters(&self) -> Value {
        let mut client = self.connect();
        client.send("GET /_fnboot/counters HTTP/1.1\r\nHost: h\r\n\r\n");
        serde_json::from_slice(&client.expect(200).body).expect("JSON")
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        // With `SIGTERM` it ends what it started.
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.child.wait();
    }
}

/// Every event comes back as it was, and the counters agree.
fn soak(options: &[&str], path: &str) {
    let gateway = Gateway::start(options);
    let noise = noise(64 * 1024);
    thread::scope(|scope| {
        for index in 0..CLIENT_COUNT {
            let (gateway, noise) = (&gateway, &noise);
            scope.spawn(move || {
                let mut client = gateway.connect();
                for turn in 0..EVENT_COUNT / CLIENT_COUNT {
                    let len = turn * 7919 % noise.len();
                    let event = [format!("{index} {turn} ").as_bytes(), &noise[..len]].concat();
                    let answer = client.send(post(path, "", &event)).expect(200);
                    assert_same(&answer.body, &event);
                }
            });
        }
    });
    let counters = gateway.counters();
    let count = |name: &str| counters[name].as_u64().expect("a count") as usize;
    for name in ["submitted", "delivered", "answered"] {
        assert_eq!(count(name), EVENT_COUNT, "{name} of {counters}");
    }
    for name in ["errors", "failed", "refused"] {
        assert_eq!(count(name), 0, "{name} of {counters}");
    }
    // It was a bad day.
    assert!(count("cut") >= EVENT_COUNT / BREAK_EVERY, "{counters}");
    assert!(
        count("replayed") > EVENT_COUNT / (2 * BREAK_EVERY),
        "{counters}"
    );
    assert!(count("connections") >= count("cut"), "{counters}");
}

const LAMBDA: &str = "/2015-03-31/functions/function/invocations";

#[test]
fn lambda() {
    soak(&["--platform", "lambda"], LAMBDA);
}

#[test]
fn lambda_with_many_at_once() {
    soak(&["--platform", "lambda", "--concurrency", "3"], LAMBDA);
}

#[test]
fn scf() {
    soak(&["--platform", "scf"], "/");
}
