//! `bootstrap worker`: a program that asks a runtime API for events, on every platform, as its documents promise it.
//!
//! The worker is `tests/fixture/asker.rs`, which does what an event, or the path of a request, says. Where a test is about
//! what a worker is told, the test asks itself: [`Held`] is a process that does nothing, and has an API.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::api::{Api, ID, Platform, response};
use crate::command::{Answer, Cloud, Instance, MIB, children, has_ended, open_descriptors, state};
use crate::conform::rows;
use crate::cruel::Chance;
use crate::harness::{
    Case, Client, Folder, Program, Server, assert_same, bootstrap, chunked, find, fixture, get,
    in_own_network, narrow, noise, post, tool, wait_for,
};
use crate::http_events::{GET, Gateway, Sent};
use crate::web::{FC, Wire, at_once, call_on, pattern, pid, read};

const NEXT: &str = "/2018-06-01/runtime/invocation/next";
const INIT_ERROR: &str = "/2018-06-01/runtime/init/error";

/// Those whose calls are events and nothing else, one at a time.
const ONE_AT_A_TIME: [Cloud; 2] = [Cloud::Scf, Cloud::Lambda];

/// A worker that asks by Lambda's paths, and one by SCF's, on each of these.
const CLOUDS: [Cloud; 3] = [Cloud::Fc, Cloud::Scf, Cloud::Lambda];

/// What a platform's answer to an answer is, as the worker logs it.
const TAKEN: &str = "202 {\"status\":\"OK\"}\n";

const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

fn asker_path() -> String {
    fixture("asker").to_str().expect("text").to_owned()
}

fn asker(words: &[&str]) -> Program {
    let program = Program::bootstrap().arguments(["worker", &asker_path()]);
    program.arguments(words)
}

/// A shell that becomes the asker.
fn shell(script: &str) -> Program {
    let script = script.replace("ASKER", &asker_path());
    Program::bootstrap().arguments(["worker", "sh", "-c", &script])
}

/// What a worker says first, if it asks by SCF's paths.
const READY: [&str; 2] = ["scf", "ask,POST,/runtime/init/ready, "];

/// Both ways to ask.
const DIALECTS: [&[&str]; 2] = [&[], &READY];

/// Runs a test for each platform and each way to ask, at once, because many wait.
fn each(words: &[&str], test: impl Fn(&mut Instance, bool) + Sync) {
    let rows: Vec<_> = CLOUDS
        .into_iter()
        .flat_map(|cloud| DIALECTS.map(|dialect| (cloud, dialect)))
        .collect();
    at_once(&rows, |&(cloud, dialect)| {
        let words = [dialect, words].concat();
        let mut instance = cloud.start(asker(&words));
        test(&mut instance, !dialect.is_empty());
    });
}

/// fnboot may have said that a worker has ended so often, and nothing else.
#[track_caller]
fn expect_deaths(server: &Server, count: usize) {
    let shown = server.stderr.take();
    let told = |line: &&str| line.starts_with("fnboot: ");
    assert!(
        shown.lines().filter(told).count() == count && shown.lines().count() == count,
        "{shown}"
    );
}

/// fnboot must end with a failure, of which the last line is returned.
#[track_caller]
fn expect_failure(server: &mut Server) -> String {
    server.expect_exit(1);
    let shown = server.stderr.take();
    let last = shown.lines().last().unwrap_or_default().to_owned();
    assert!(last.starts_with("fnboot: "), "{shown}");
    last
}

/// A function on FC.
struct Fc(Server);

impl Fc {
    fn start(words: &[&str]) -> Self {
        Self(asker(words).start())
    }

    #[track_caller]
    fn call(&mut self, request: impl AsRef<[u8]>) -> Wire {
        call_on(&mut self.0.connect(), request)
    }

    /// A request whose body says what to do.
    #[track_caller]
    fn script(&mut self, script: &str) -> Wire {
        self.call(script_request(script))
    }

    #[track_caller]
    fn log_with(&self, part: &str) -> String {
        self.0.stdout.wait_until(|log| log.contains(part))
    }
}

/// A request whose body says what to do.
fn script_request(script: &str) -> Vec<u8> {
    let fields = format!("{FC}Content-Type: text/plain\r\n");
    post("/", &fields, script)
}

/// An event of FC's, of that name.
fn event(id: &str, body: impl AsRef<[u8]>) -> Vec<u8> {
    let fields = format!("X-Fc-Request-Id: {id}\r\nX-Fc-Control-Path: /invoke\r\n");
    post("/invoke", &fields, body)
}

/// A process that does nothing but to say where its API is.
const HOLD: &str = "echo \"port ${AWS_LAMBDA_RUNTIME_API#*:};\"; exec sleep 1000";

/// Where the APIs of so many such processes are.
#[track_caller]
fn ports(server: &Server, count: usize) -> Vec<u16> {
    let log = server
        .stdout
        .wait_until(|log| log.matches(';').count() == count);
    let ports = log.lines().filter_map(|line| line.strip_prefix("port "));
    let ports = ports.map(|port| port.trim_end_matches(';').parse().expect("a number"));
    ports.collect()
}

/// A connection to an API.
fn connect(port: u16) -> Client {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
    Client::new(stream.expect("the API"))
}

/// A worker that does nothing, so that the test can ask in its place.
struct Held {
    server: Server,
    port: u16,
}

impl Held {
    fn start() -> Self {
        Self::of(Program::start)
    }

    fn of(start: impl FnOnce(Program) -> Server) -> Self {
        let server = start(shell(HOLD));
        let port = ports(&server, 1)[0];
        server.stdout.take();
        Self { server, port }
    }

    fn connect(&self) -> Client {
        connect(self.port)
    }

    /// A connection that has asked for the next event.
    fn asking(&self) -> Client {
        let mut worker = self.connect();
        worker.send(get(NEXT, ""));
        worker
    }

    /// The process that has the API.
    fn pid(&self) -> u32 {
        children(self.server.id())[0]
    }
}

/// The event that was asked for.
#[track_caller]
fn next(worker: &mut Client) -> Wire {
    read(worker, "GET").expect(200)
}

fn id(event: &Wire) -> String {
    let id = event.field("lambda-runtime-aws-request-id");
    id.expect("an id").to_owned()
}

fn path(id: &str, what: &str) -> String {
    format!("/2018-06-01/runtime/invocation/{id}/{what}")
}

/// Answers, and must be told that it was taken.
#[track_caller]
fn answer(worker: &mut Client, id: &str, fields: &str, body: impl AsRef<[u8]>) {
    let taken = call_on(worker, post(&path(id, "response"), fields, body)).expect(202);
    assert_eq!(taken.text(), "{\"status\":\"OK\"}\n");
}

#[track_caller]
fn expect_refusal(refused: &Wire, status: u16, kind: &str) {
    assert_eq!(refused.status, status, "{}", refused.text());
    assert_eq!(refused.error().0, kind);
    assert_eq!(refused.field("content-type"), Some("application/json"));
}

mod the_asker {
    //! Nothing of `bootstrap`: that the program does what the other tests ask of it. The local tool plays the platforms.

    use super::*;

    /// How a call ends, what is answered, and what is in the log.
    #[track_caller]
    fn check(words: &[&str], event: &str, is_success: bool, want: &str, log: &str) {
        let _case = Case((words, event));
        let platform = if words.contains(&"scf") {
            "scf"
        } else {
            "lambda"
        };
        let event = json!({"path": format!("/{event}"), "body": "the body"}).to_string();
        let output = Command::new(tool())
            .args(["invoke", "--platform", platform, "--event", &event])
            .arg(fixture("asker"))
            .args(words)
            .output()
            .expect("the tool");
        let shown = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.success(), is_success, "{shown}");
        let got = String::from_utf8_lossy(&output.stdout);
        assert!(got.contains(want), "{got}");
        assert!(shown.contains(log), "{shown}");
    }

    #[test]
    fn does_what_it_is_told() {
        let taken = "202 {\"status\":\"OK\"}";
        let init_error =
            format!("ask,POST,{INIT_ERROR},{{\"errorMessage\":\"m\",\"errorType\":\"T\"}}");
        let rows: [(&[&str], &str, bool, &str, &str); 19] = [
            (&[], "answer,hi", true, "hi", taken),
            (&["fresh"], "body", true, "the body", taken),
            (&[], "echo", true, "\"path\":\"/echo\"", taken),
            (&[], "told", true, "Lambda-Runtime-Aws-Request-Id: ", ""),
            (
                &READY,
                "told",
                true,
                "Memory_limit_in_mb: ",
                "/runtime/init/ready: 200",
            ),
            (&READY, "error-body,why", false, "why", "200"),
            (&[], "error,T,m", false, "\"errorType\":\"T\"", taken),
            (&[], "next;answer,a;answer,b", true, "a", "403 {"),
            (&[], "id,nobody;answer,a;id;answer,b", true, "b", "400 {"),
            (
                &[],
                "stream,a/b;pieces,2,10;end",
                true,
                "piece 0\npiece 1\n",
                taken,
            ),
            (&[], "half,10;cut;sleep,500", false, "TruncatedResponse", ""),
            (
                &[],
                "half-chunked,10;complain,bye;exit,3",
                false,
                "ExitError",
                "bye",
            ),
            (&[], "kill", false, "ExitError", "SIGKILL"),
            (&[], "env,_HANDLER", true, "", taken),
            (
                &["read-input", "say,first"],
                "turn",
                true,
                "1",
                "input 0\nfirst\n",
            ),
            (
                &["2:exit,3", "1:say,one", "2+:say,two"],
                "lines,2;answer,x",
                true,
                "x",
                "err 1",
            ),
            (&["complain,why", "exit,3"], "answer,x", false, "", "why"),
            (&[&init_error, "exit,1"], "answer,x", false, "\"T\"", "202"),
            (
                &["hang,/2020-01-01/extension/event/next"],
                "answer,x",
                true,
                "x",
                taken,
            ),
        ];
        for (words, event, is_success, want, log) in rows {
            check(words, event, is_success, want, log);
        }
        for (event, len) in [
            ("sized,1000", 1000),
            ("chunked,20000", 20_000),
            ("bytes,500", 500),
        ] {
            let want = String::from_utf8_lossy(&pattern(len)).into_owned();
            check(&[], event, true, &want, taken);
        }
        let folder = Folder::new();
        let count = format!("count,{}", folder.at("count").display());
        for want in ["one", "more", "more"] {
            let words = [&*count, "1:say,one", "2+:say,more"];
            check(&words, "answer,x", true, "x", want);
        }
    }
}

mod the_api {
    //! What a worker asks, and what it is told.

    use super::*;

    #[test]
    fn an_event_as_it_came() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        for body in [&b"{\"a\":  1}\n"[..], b"", b"\0\xff\r\n\r\n", &noise(MIB)] {
            let fields = "X-Fc-Request-Id: an-id\r\nX-Fc-Control-Path: /invoke\r\nX-Fc-Function-Timeout: 30\r\n";
            client.send(post("/invoke", fields, body));
            let event = next(&mut worker);
            assert_same(&event.body, body);
            assert_eq!(id(&event), "an-id");
            assert_eq!(event.field("content-type"), Some("application/json"));
            let arn = event.field("lambda-runtime-invoked-function-arn");
            assert!(arn.is_some_and(|arn| !arn.is_empty()), "{event:?}");
            let deadline = event.field("lambda-runtime-deadline-ms").expect("one");
            let deadline: u128 = deadline.parse().expect("a number");
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let left = deadline.saturating_sub(now.expect("a time").as_millis());
            assert!((20_000..=30_000).contains(&left), "{left} ms are left");
            answer(&mut worker, "an-id", "", body);
            assert_same(&client.expect(200).body, body);
            worker.send(get(NEXT, ""));
        }
    }

    /// What Lambda says of an event reaches the worker, whatever it is called there.
    #[test]
    fn what_lambda_says() {
        let api = Api::new(Platform::Lambda);
        let held = Held::of(|program| api.start(program));
        let mut worker = held.asking();
        let mut peer = api.first();
        for turn in 0..2 {
            let told = [
                ("Lambda-Runtime-Aws-Request-Id", &*format!("id-{turn}")),
                ("Lambda-Runtime-Deadline-Ms", "4102444800000"),
                ("Lambda-Runtime-Invoked-Function-Arn", "arn:aws:lambda:x"),
                ("Lambda-Runtime-Trace-Id", "Root=1-2-3;Sampled=1"),
                ("Lambda-Runtime-Client-Context", "{\"a\":\"b\"}"),
                ("Lambda-Runtime-Cognito-Identity", "{\"c\":\"d\"}"),
                ("Lambda-Runtime-Aws-Tenant-Id", "tenant"),
            ];
            // The second event has none of those that may be missing.
            let told = if turn == 0 { &told[..] } else { &told[..3] };
            let lines = told
                .iter()
                .map(|(name, value)| format!("{name}: {value}\r\n"));
            peer.send(response("200 OK", &lines.collect::<String>(), "event"));
            let event = next(&mut worker);
            for (name, value) in told {
                assert_eq!(event.field(name), Some(*value), "{name}");
            }
            if turn == 1 {
                for name in ["Trace-Id", "Client-Context", "Cognito-Identity"] {
                    assert_eq!(event.field(&format!("Lambda-Runtime-{name}")), None);
                }
                assert_eq!(event.field("Lambda-Runtime-Aws-Tenant-Id"), None);
            }
            answer(&mut worker, &id(&event), "", "answer");
            let got = peer.expect(&Platform::Lambda.response(&format!("id-{turn}")));
            assert_eq!(got.text(), "answer");
            peer.accept().expect_next();
            worker.send(get(NEXT, ""));
        }
    }

    /// Without an id of the platform's there is one all the same, and no two are alike.
    #[test]
    fn an_event_without_an_id() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let mut ids = Vec::new();
        let mut client = server.connect();
        for _ in 0..3 {
            client.send(post("/invoke", "X-Fc-Control-Path: /invoke\r\n", "x"));
            let event = next(&mut worker);
            answer(&mut worker, &id(&event), "", "y");
            ids.push(id(&event));
            assert_eq!(client.expect(200).text(), "y");
            worker.send(get(NEXT, ""));
        }
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 3, "{ids:?}");
        assert!(ids.iter().all(|id| !id.is_empty()));
    }

    #[test]
    fn the_same_event_until_it_is_answered() {
        let held = Held::start();
        let (mut worker, mut other) = (held.asking(), held.connect());
        let mut server = held.server;
        let mut client = server.connect();
        for turn in 0..3 {
            let id = format!("id-{turn}");
            client.send(event(&id, "event"));
            let first = next(&mut worker);
            for worker in [&mut worker, &mut other] {
                let again = call_on(worker, get(NEXT, "")).expect(200);
                assert_eq!(super::id(&again), id);
                assert_eq!(again.body, first.body);
            }
            // Whichever connection it comes on.
            answer(&mut other, &id, "", "answer");
            assert_eq!(client.expect(200).text(), "answer");
            worker.send(get(NEXT, ""));
            thread::sleep(Duration::from_millis(20));
            worker.expect_silence();
        }
    }

    /// A client that has given up on one question, and has not closed its connection, has the event where it asked last.
    #[test]
    fn the_newest_question() {
        let held = Held::start();
        let mut older = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        let mut newer =
            Client::new(TcpStream::connect((Ipv4Addr::LOCALHOST, held.port)).expect("the API"));
        newer.send(get(NEXT, ""));
        thread::sleep(Duration::from_millis(50));
        client.send(event("one", "event"));
        assert_eq!(id(&next(&mut newer)), "one");
        answer(&mut newer, "one", "", "answer");
        client.expect(200);
        // The older one is not forgotten.
        client.send(event("two", "event"));
        assert_eq!(id(&next(&mut older)), "two");
    }

    #[test]
    fn answers_that_are_wrong() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        for what in ["response", "error"] {
            client.send(event("one", "event"));
            next(&mut worker);
            let refused = call_on(&mut worker, post(&path("nobody", what), "", "x"));
            expect_refusal(&refused, 400, "InvalidRequestID");
            // It was none of the answer.
            answer(&mut worker, "one", "", "answer");
            for what in ["response", "error"] {
                let refused = call_on(&mut worker, post(&path("one", what), "", "late"));
                expect_refusal(&refused, 403, "InvalidStateTransition");
            }
            assert_eq!(client.expect(200).text(), "answer");
            // Nor is a late one the answer to the next.
            worker.send(get(NEXT, ""));
            client.send(event("two", "event"));
            next(&mut worker);
            let refused = call_on(&mut worker, post(&path("one", what), "", "late"));
            assert!(matches!(refused.status, 400 | 403), "{refused:?}");
            answer(&mut worker, "two", "", "its own");
            assert_eq!(client.expect(200).text(), "its own");
            worker.send(get(NEXT, ""));
        }
    }

    #[test]
    fn how_answers_are_framed() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        let long = noise(2 * MIB);
        for (body, size) in [(&b""[..], 1), (b"answer", 1), (&long, 1000), (&long, MIB)] {
            let _case = Case((body.len(), size));
            client.send(event("id", "event"));
            next(&mut worker);
            let request = chunked(&path("id", "response"), "", body, size);
            let sender = worker.send_meanwhile(request);
            read(&mut worker, "POST").expect(202);
            assert!(sender.join().expect("a sender"));
            assert_same(&client.expect(200).body, body);
            worker.send(get(NEXT, ""));
        }
        // And whether the connection stays.
        client.send(event("id", "event"));
        next(&mut worker);
        worker.send(post(
            &path("id", "response"),
            "Connection: close\r\n",
            "last",
        ));
        let taken = read(&mut worker, "POST").expect(202);
        assert_eq!(taken.field("connection"), Some("close"));
        worker.expect_close();
        assert_eq!(client.expect(200).text(), "last");
    }

    #[test]
    fn expectations_are_met() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        next(&mut worker);
        let request = format!(
            "POST {} HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 6\r\n\r\n",
            path("id", "response")
        );
        worker.send(request).expect_continue();
        call_on(&mut worker, "answer");
        assert_eq!(client.expect(200).text(), "answer");
    }

    /// A whole request in single bytes, and several in one piece.
    #[test]
    fn however_requests_are_cut() {
        let held = Held::start();
        let mut worker = held.connect();
        for byte in get(NEXT, "").bytes() {
            worker.send([byte]);
        }
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        next(&mut worker);
        let requests = [
            post(&path("nobody", "response"), "", "x"),
            post(&path("id", "response"), "", "answer"),
            post(&path("id", "response"), "", "late"),
            get("/nowhere", "").into_bytes(),
            get(NEXT, "").into_bytes(),
        ];
        worker.send(requests.concat());
        for status in [400, 202, 403, 404] {
            read(&mut worker, "POST").expect(status);
        }
        assert_eq!(client.expect(200).text(), "answer");
        client.send(event("two", "event"));
        next(&mut worker);
        for byte in post(&path("two", "response"), "", "answer") {
            worker.send([byte]);
        }
        read(&mut worker, "POST").expect(202);
        assert_eq!(client.expect(200).text(), "answer");
    }

    /// Targets as proxies write them, and clients that know no HTTP/1.1.
    #[test]
    fn other_ways_to_ask() {
        let held = Held::start();
        let address = format!("127.0.0.1:{}", held.port);
        let mut worker = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        let own = |path: &str| format!("http://{address}{path}");
        for (number, (next_target, target)) in [
            (own(NEXT), own(&path("id-0", "response"))),
            (format!("{NEXT}?a=b"), path("id-1", "response") + "?a=b"),
            (NEXT.to_owned(), path("id-2", "response")),
        ]
        .into_iter()
        .enumerate()
        {
            let _case = Case(&target);
            client.send(event(&format!("id-{number}"), "event"));
            if number == 0 {
                next(&mut worker);
            }
            // The same one again.
            let request = format!("GET {next_target} HTTP/1.1\r\nHost: h\r\n\r\n");
            call_on(&mut worker, request).expect(200);
            call_on(&mut worker, post(&target, "", "answer")).expect(202);
            assert_eq!(client.expect(200).text(), "answer");
        }
        client.send(event("last", "event"));
        let port = held.port;
        let old = |request: String| {
            let mut worker = connect(port);
            worker.send(request);
            String::from_utf8_lossy(&worker.read_to_end()).into_owned()
        };
        let got = old(format!("GET {NEXT} HTTP/1.0\r\n\r\n"));
        assert!(
            got.contains(" 200 ") && got.ends_with("\r\n\r\nevent"),
            "{got}"
        );
        let path = path("last", "response");
        let got = old(format!(
            "POST {path} HTTP/1.0\r\nContent-Length: 3\r\n\r\nold"
        ));
        assert!(got.contains(" 202 "), "{got}");
        assert_eq!(client.expect(200).text(), "old");
    }

    /// An answer in pieces may have a length, and wait for leave to come.
    #[test]
    fn pieces_in_other_framings() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        let mode = "Lambda-Runtime-Function-Response-Mode: streaming\r\n";
        for (framing, first, second) in [
            ("Content-Length: 10\r\n", "01234", "56789"),
            ("Content-Length: 10\r\n", "", "0123456789"),
            (
                "Transfer-Encoding: chunked\r\n",
                "5\r\n01234\r\n5",
                ";a=b\r\n56789\r\n0\r\n\r\n",
            ),
            (
                "Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n",
                "",
                "a\r\n0123456789\r\n0\r\nX: y\r\n\r\n",
            ),
        ] {
            let _case = Case((framing, first));
            client.send(script_request("event"));
            let id = id(&next(&mut worker));
            let begin = format!(
                "POST {} HTTP/1.1\r\nHost: h\r\n{mode}{framing}Content-Type: a/b\r\n\r\n{first}",
                path(&id, "response")
            );
            worker.send(begin);
            if framing.starts_with("Expect") {
                worker.expect_continue();
            } else {
                thread::sleep(Duration::from_millis(20));
            }
            call_on(&mut worker, second);
            let got = read(&mut client, "POST").expect(200);
            assert_eq!(
                (got.field("content-type"), &*got.text()),
                (Some("a/b"), "0123456789")
            );
            worker.send(get(NEXT, ""));
        }
        // Pieces that break the rules break off the answer.
        client.send(script_request("event"));
        let id = id(&next(&mut worker));
        let path = path(&id, "response");
        worker.send(format!(
            "POST {path} HTTP/1.1\r\nHost: h\r\n{mode}Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n"
        ));
        client.read_until(|got| find(got, b"01234").is_some());
        worker.send("x\r\n");
        let got = client.read_to_end();
        assert!(!got.ends_with(b"0\r\n\r\n"), "{}", got.escape_ascii());
    }

    /// Who asks while an answer goes on gets the next event, after it.
    #[test]
    fn asking_while_an_answer_goes_on() {
        let held = Held::start();
        let (mut worker, mut other) = (held.asking(), held.connect());
        let mut server = held.server;
        let (mut client, mut second) = (server.connect(), server.connect());
        client.send(script_request("one"));
        let id = id(&next(&mut worker));
        worker.send(format!(
            "POST {} HTTP/1.1\r\nHost: h\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\
            Transfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n",
            path(&id, "response")
        ));
        client.read_until(|got| find(got, b"first").is_some());
        other.send(get(NEXT, ""));
        second.send(super::event("two", "two"));
        thread::sleep(Duration::from_millis(50));
        other.expect_silence();
        call_on(&mut worker, "6\r\nsecond\r\n0\r\n\r\n").expect(202);
        assert_eq!(read(&mut client, "POST").expect(200).text(), "firstsecond");
        assert_eq!(next(&mut other).text(), "two");
        answer(&mut other, "two", "", "answer");
        assert_eq!(second.expect(200).text(), "answer");
    }

    #[test]
    fn what_there_is_not() {
        let held = Held::start();
        let mut worker = held.connect();
        for (method, target) in [
            ("GET", "/"),
            ("GET", "/nowhere"),
            ("POST", NEXT),
            ("GET", INIT_ERROR),
            ("GET", "/2018-06-01/runtime/invocation/id/response"),
            ("POST", "/2018-06-01/runtime/invocation/id"),
            ("POST", "/2018-06-01/runtime/invocation/id/else"),
            ("POST", "/2018-06-01/runtime/invocation//"),
            ("PUT", "/runtime/init/ready"),
            ("GET", "/2018-06-01/runtime/invocation/nex"),
            ("GET", "/2018-06-01/runtime/invocation/next/"),
        ] {
            let _case = Case((method, target));
            let request = format!("{method} {target} HTTP/1.1\r\nHost: h\r\n\r\n");
            let refused = call_on(&mut worker, request);
            expect_refusal(&refused, 404, "NotFound");
        }
        worker.send(get(NEXT, ""));
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        next(&mut worker);
        answer(&mut worker, "id", "", "answer");
        client.expect(200);
    }

    #[test]
    fn snapshots_and_extensions() {
        let held = Held::of(|program| {
            let names = [
                ("AWS_LAMBDA_FUNCTION_NAME", "hello \"you\""),
                ("AWS_LAMBDA_FUNCTION_VERSION", "7"),
                ("_HANDLER", "index.handler"),
            ];
            program.envs(&names).start()
        });
        let mut worker = held.connect();
        call_on(&mut worker, get("/2018-06-01/runtime/restore/next", "")).expect(200);
        let fields = "Lambda-Extension-Name: an-extension\r\n";
        let body = "{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}";
        let register = post("/2020-01-01/extension/register", fields, body);
        let told = call_on(&mut worker, register).expect(200);
        let identifier = told.field("lambda-extension-identifier");
        assert!(identifier.is_some_and(|id| !id.is_empty()), "{told:?}");
        let told: Value = serde_json::from_slice(&told.body).expect("JSON");
        assert_eq!(
            told,
            json!({"functionName": "hello \"you\"", "functionVersion": "7", "handler": "index.handler"})
        );
        // An extension waits for ever, and keeps nobody from being served.
        let mut extension = held.connect();
        extension.send(get("/2020-01-01/extension/event/next", ""));
        worker.send(get(NEXT, ""));
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        next(&mut worker);
        answer(&mut worker, "id", "", "answer");
        client.expect(200);
        extension.expect_silence();
    }

    #[test]
    fn by_scfs_paths() {
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let mut instance = cloud.start(asker(&[
                "scf",
                "ask,POST,/runtime/invocation/response,nothing to answer",
                "ask,POST,/runtime/invocation/error,nothing to answer",
                "ask,POST,/runtime/init/ready, ",
                "ask,POST,/runtime/init/ready,",
            ]));
            let told = instance.call_within(3000, "told").text();
            let field = |name: &str| {
                let lines = told.lines().filter_map(|line| line.split_once(": "));
                let mut lines = lines.filter(|(other, _)| other.eq_ignore_ascii_case(name));
                lines.next().map(|(_, value)| value.to_owned())
            };
            assert_eq!(field("request_id").as_deref(), Some(ID), "{told}");
            assert_eq!(field("memory_limit_in_mb").as_deref(), Some("128"));
            let limit: u64 = field("time_limit_in_ms")
                .expect("one")
                .parse()
                .expect("a number");
            assert!((2000..=3000).contains(&limit), "{limit}");
            let log = instance.log_with("/runtime/init/ready: 200");
            for path in ["response", "error"] {
                assert!(
                    log.contains(&format!("POST /runtime/invocation/{path}: 400 ")),
                    "{log}"
                );
            }
            assert_eq!(log.matches("/runtime/init/ready: 200").count(), 2, "{log}");
            // The first one counts.
            let second = "answer,first;ask,POST,/runtime/invocation/response,second;ask,POST,/runtime/invocation/error,third";
            instance.call(second).expect("first");
            instance.call("answer,next").expect("next");
            let log = instance.log_with("/runtime/invocation/error: 200");
            assert!(log.contains("/runtime/invocation/response: 200"), "{log}");
            let failing = "error-body,no JSON";
            let (_, message) = instance.call(failing).failure();
            assert_eq!(message, "no JSON");
            let failing = "error-body,{\"errorMessage\":\"m\",\"errorType\":\"T\"}";
            instance.call(failing).expect_failure("T", "m");
            instance.call("next;answer,x").expect("x");
            instance.log_with(&format!("next {ID} next;answer,x"));
        }
    }
}

mod limits {
    //! What is too much, and what is no HTTP.

    use super::*;

    #[test]
    fn answers_that_are_too_long() {
        for (cloud, bound, len) in [
            (Cloud::Fc, Some(1000), 2000),
            (Cloud::Fc, Some(1000), 1001),
            (Cloud::Fc, None, 32 * MIB + 1),
            (Cloud::Scf, Some(1000), 2000),
            (Cloud::Scf, None, 7_000_000),
            (Cloud::Lambda, None, 7_000_000),
            (Cloud::Lambda, None, 6 * MIB + 101),
        ] {
            for word in ["sized", "chunked"] {
                let _case = Case((cloud, bound, len, word));
                let program = asker(&[]);
                let program = match bound {
                    Some(bound) => program.env("FNBOOT_MAX_BODY", bound),
                    None => program,
                };
                let mut instance = cloud.start(program);
                let before = instance.call("pid").text();
                let (kind, _) = instance.call(format!("{word},{len}")).failure();
                assert_eq!(kind, "ResponseTooLong");
                let log = instance.log_with("\"errorType\":\"RequestEntityTooLarge\"");
                assert!(log.contains("413 {"), "{log}");
                // It has done nothing else wrong.
                assert_eq!(instance.call("pid").text(), before);
                instance.call("sized,1000").expect(pattern(1000));
            }
        }
    }

    #[test]
    fn answers_that_are_not() {
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let mut instance = cloud.start(asker(&[]));
            for (event, len) in [
                ("sized,6291556", 6 * MIB + 100),
                ("chunked,6000000", 6_000_000),
                ("bytes,60000", 60_000),
                ("sized,0", 0),
                ("chunked,0", 0),
            ] {
                let _case = Case(event);
                instance.call(event).expect(pattern(len));
            }
        }
        let mut instance = Cloud::Fc.start(asker(&[]));
        for event in ["sized,7000000", "chunked,7000000", "sized,33554432"] {
            let len = event.split_once(',').expect("a number").1;
            let len = len.parse().expect("a number");
            instance.call(event).expect(pattern(len));
        }
    }

    /// Sixteen connections, of which each is served, and one more is closed.
    #[test]
    fn sixteen_connections() {
        let held = Held::start();
        let mut workers: Vec<_> = (0..16).map(|_| held.connect()).collect();
        for worker in &mut workers {
            call_on(worker, get("/nowhere", "")).expect(404);
        }
        for _ in 0..3 {
            let more = held.connect();
            assert_eq!(more.read_to_end(), b"");
        }
        for worker in &mut workers {
            call_on(worker, get("/nowhere", "")).expect(404);
        }
        // One that goes makes room.
        workers.pop();
        let mut worker = wait_for("room", || {
            let mut worker = held.connect();
            let is_sent = worker.try_send(get("/nowhere", ""));
            let is_served = is_sent && worker.fill().is_ok_and(|count| count > 0);
            is_served.then_some(worker)
        });
        worker.take();
        // All of them may wait for an event; one of them gets it.
        for worker in &mut workers {
            worker.send(get(NEXT, ""));
        }
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        let index = wait_for("an event", || {
            workers.iter_mut().position(|worker| !worker.is_silent())
        });
        next(&mut workers[index]);
        answer(&mut workers[index], "id", "", "answer");
        client.expect(200);
    }

    /// Rows of the grammar that are to be refused, each with its status, and no call is harmed.
    #[test]
    fn what_is_no_request() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        next(&mut worker);
        let (port, before) = (held.port, open_descriptors(server.id()));
        let smuggled = post(&path("id", "response"), "", "smuggled");
        for row in [rows::rows(), rows::large()].concat() {
            let rows::Want::Refuse(status) = row.want else {
                continue;
            };
            let _case = Case((row.name, row.section));
            let mut other = connect(port);
            other.send(&row.bytes);
            let refused = read(&mut other, "GET").expect(status);
            assert_eq!(refused.field("connection"), Some("close"));
            assert!(!refused.body.is_empty(), "a refusal says why");
            other.try_send(&smuggled);
            other.expect_close();
            drop(other);
            wait_for("its end", || {
                (open_descriptors(server.id()) <= before).then_some(())
            });
        }
        answer(&mut worker, "id", "", "answer");
        assert_eq!(client.expect(200).text(), "answer");
    }

    /// What follows a refusal in the same segment is nobody's answer.
    #[test]
    fn nothing_behind_a_refusal_is_served() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        next(&mut worker);
        let smuggled = post(&path("id", "response"), "", "smuggled");
        for row in rows::rows() {
            let rows::Want::Refuse(status) = row.want else {
                continue;
            };
            let _case = Case((row.name, row.section));
            let mut other = connect(held.port);
            other.send([get("/nowhere", "").as_bytes(), &row.bytes, &smuggled].concat());
            read(&mut other, "GET").expect(404);
            read(&mut other, "GET").expect(status);
            other.expect_close();
        }
        answer(&mut worker, "id", "", "answer");
        assert_eq!(client.expect(200).text(), "answer");
    }

    /// Connections that come and go, and say little, harm no call.
    #[test]
    fn connections_that_break() {
        let held = Held::start();
        let mut worker = held.asking();
        let port = held.port;
        let mut server = held.server;
        let mut client = server.connect();
        for turn in 0..100 {
            let half = &get(NEXT, "")[..turn % get(NEXT, "").len()];
            let mut other = connect(port);
            other.send(half);
            if turn % 2 == 0 {
                other.reset();
            }
        }
        client.send(event("id", "event"));
        next(&mut worker);
        answer(&mut worker, "id", "", "answer");
        client.expect(200);
    }

    /// Who is on this machine alone, and by that address.
    #[test]
    fn nobody_else_reaches_it() {
        let held = Held::start();
        held.connect();
        let other = Ipv4Addr::new(127, 0, 0, 2);
        assert!(TcpStream::connect((other, held.port)).is_err());
    }

    /// What comes at once with an answer, behind it, is seen, too: its end, or another request.
    #[test]
    fn what_comes_with_an_answer() {
        let held = Held::start();
        let mut worker = held.asking();
        let connect =
            || Client::new(TcpStream::connect((Ipv4Addr::LOCALHOST, held.port)).expect("the API"));
        let mut server = held.server;
        let mut client = server.connect();
        let mut before = 0;
        for turn in 0..20 {
            let _case = Case(turn);
            client.send(event("id", "event"));
            next(&mut worker);
            worker.send(get(NEXT, ""));
            let fields = match turn % 2 {
                0 => "",
                _ => "Lambda-Runtime-Function-Response-Mode: streaming\r\n",
            };
            let mut request = post(&path("id", "response"), fields, noise(32 * 1024));
            let mut other = connect();
            call_on(&mut other, post(&path("?", "response"), "", "")).error();
            server.signal(Signal::STOP);
            if turn < 16 {
                other.send(request).finish();
            } else {
                request.extend(post("/nowhere", "", ""));
                other.send(request);
            }
            server.signal(Signal::CONT);
            read(&mut other, "POST").expect(202);
            if turn < 16 {
                other.expect_close();
            } else {
                read(&mut other, "POST").expect(404);
            }
            client.expect(200);
            if turn == 0 {
                before = open_descriptors(server.id());
            }
        }
        wait_for("the end of connections", || {
            (open_descriptors(server.id()) <= before).then_some(())
        });
    }

    /// The same while an event is being sent.
    #[test]
    fn what_comes_while_an_event_is_sent() {
        let held = Held::start();
        let mut workers = [held.asking(), held.connect()];
        let mut server = held.server;
        let long = noise(16 * MIB);
        let mut client = server.connect();
        let sender = client.send_meanwhile(event("id", &long));
        assert_same(&next(&mut workers[0]).body, &long);
        assert!(sender.join().expect("a sender"));
        workers[1]
            .send(get(NEXT, ""))
            .read_until(|got| !got.is_empty());
        workers[1].send(post(&path("id", "response"), "", "answer"));
        thread::sleep(Duration::from_millis(50));
        assert_same(&next(&mut workers[1]).body, &long);
        read(&mut workers[1], "POST").expect(202);
        client.expect(200);
        // It asks in vain, and goes.
        server.signal(Signal::STOP);
        workers[1].send(get(NEXT, "")).finish();
        server.signal(Signal::CONT);
        workers[1].expect_close();
    }

    /// Processor time of a process so far, in hundredths of a second.
    fn ticks(id: u32) -> u64 {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("a process");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let fields: Vec<_> = fields.split(' ').collect();
        let number = |index: usize| fields[index].parse::<u64>().expect("a number");
        number(11) + number(12)
    }

    /// Out of descriptors, nobody runs in circles; and it goes on once there are some.
    #[test]
    fn out_of_descriptors() {
        let limited = |program: Program| {
            let program = program.in_shell("ulimit -n 32; exec \"$0\" \"$@\"");
            program.start()
        };
        let held = Held::of(limited);
        let mut worker = held.asking();
        let port = held.port;
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        next(&mut worker);
        let id = server.id();
        let others: Vec<_> = (0..40).map(|_| server.connect()).collect();
        wait_for("the last descriptor", || {
            (open_descriptors(id) >= 32).then_some(())
        });
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("the API");
        let mut other = Client::new(stream);
        other.send(post(&path("id", "response"), "", "answer"));
        let before = ticks(id);
        thread::sleep(Duration::from_secs(1));
        let spent = ticks(id) - before;
        assert!(spent < 30, "{spent} hundredths of a second");
        drop(others);
        read(&mut other, "POST").expect(202);
        assert_eq!(client.expect(200).text(), "answer");
    }

    /// An event that nobody reads keeps nobody from anything.
    #[test]
    fn a_worker_that_does_not_read() {
        let held = Held::start();
        let mut worker = held.asking();
        let mut server = held.server;
        let long = noise(16 * MIB);
        let mut client = server.connect();
        let sender = client.send_meanwhile(event("id", &long));
        thread::sleep(Duration::from_millis(100));
        let got = next(&mut worker);
        assert_same(&got.body, &long);
        assert!(sender.join().expect("a sender"));
        answer(&mut worker, "id", "", "answer");
        client.expect(200);
    }
}

mod events {
    //! Calls that are no requests.

    use super::*;

    #[test]
    fn echoes() {
        let long = noise(4 * MIB);
        each(&[], |instance, _| {
            for event in [&b"event"[..], b"", b"{\"a\": 1}", &long, b"a\0\r\n\r\n"] {
                instance.call(event).expect(event);
            }
            instance.call("turn").expect("6");
        });
        each(&["fresh"], |instance, _| {
            for turn in 1..20 {
                instance.call("turn").expect(turn.to_string());
            }
        });
        for cloud in [Cloud::LambdaStreaming, Cloud::LambdaManaged] {
            let _case = Case(cloud);
            let mut instance = cloud.start(asker(&[]));
            for turn in 1..20 {
                instance.call("turn").expect(turn.to_string());
            }
        }
    }

    #[test]
    fn failures() {
        let whole = "{\"errorMessage\":\"m\",\"errorType\":\"T\",\"stackTrace\":[\"a\",\"b\"],\"more\":{\"x\":1}}";
        each(&[], |instance, is_scf| {
            let failed = instance.call("error,MyError,it broke");
            failed.expect_failure("MyError", "it broke");
            let failed = instance.call(format!("error-body,{whole}"));
            assert!(!failed.is_success);
            // As it is.
            let (got, want): (Value, Value) = (
                serde_json::from_slice(&failed.body).expect("JSON"),
                serde_json::from_str(whole).expect("JSON"),
            );
            assert_eq!(got, want);
            if !is_scf {
                let by_field = "field,Lambda-Runtime-Function-Error-Type: FromField;error-body,";
                let (kind, _) = instance.call(by_field).failure();
                assert_eq!(kind, "FromField");
                let log = instance.log_with(TAKEN);
                assert!(log.contains(TAKEN), "{log}");
            }
            instance.call("answer,fine").expect("fine");
            // What is no JSON is a message.
            let (_, message) = instance.call("error-body,some \"text\"").failure();
            assert!(message.contains("some \"text\""), "{message}");
            instance.call("answer,fine").expect("fine");
        });
    }

    #[test]
    fn answers_that_are_wrong() {
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let mut instance = cloud.start(asker(&[]));
            instance.call("answer,one;answer,two").expect("one");
            let log = instance.log_with("403 {");
            assert!(log.contains("InvalidStateTransition"), "{log}");
            instance
                .call("id,nobody;answer,one;id;answer,two")
                .expect("two");
            let log = instance.log_with("400 {");
            assert!(log.contains("InvalidRequestID"), "{log}");
            instance
                .call("error,T,m;answer,two")
                .expect_failure("T", "m");
            instance.call("next;next;answer,x").expect("x");
            let line = format!("next {ID} next;next;answer,x\n");
            let log = &instance.server.stdout;
            log.wait_until(|log| log.matches(&line).count() == 2);
            instance.call("answer,fine").expect("fine");
        }
    }

    #[test]
    fn a_mode_that_there_is_not() {
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let mut instance = cloud.start(asker(&[]));
            let event = "field,Lambda-Runtime-Function-Response-Mode: bogus;answer,x";
            assert!(!instance.call(event).is_success);
            let log = instance.log_with("400 {");
            assert!(log.contains("InvalidFunctionResponseMode"), "{log}");
            instance.call("answer,fine").expect("fine");
        }
    }

    #[test]
    fn answers_that_break_off() {
        each(&[], |instance, _| {
            for half in ["half,10", "half-chunked,10", "half,100000"] {
                let _case = Case(half);
                let (kind, _) = instance.call(format!("{half};cut")).failure();
                assert_eq!(kind, "TruncatedResponse");
                instance.call("answer,fine").expect("fine");
            }
        });
    }

    /// Pieces of an answer to an event are one answer, where the platform takes no pieces.
    #[test]
    fn answers_in_pieces() {
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let mut instance = cloud.start(asker(&[]));
            let event = "stream,a/b;pieces,3,20;end";
            instance.call(event).expect("piece 0\npiece 1\npiece 2\n");
            // The raw bytes: what an HTTP answer begins with, too.
            let event = format!("stream,{INTEGRATION};prelude,{{}};piece,body;end");
            instance.call(event).expect("{}\0\0\0\0\0\0\0\0body");
            let event = "stream,a/b;pattern,1000000;pattern,1000000;end";
            let want = [pattern(1_000_000), pattern(1_000_000)].concat();
            instance.call(event).expect(want);
            instance.call("stream,a/b;end").expect("");
            assert!(instance.log_with(TAKEN).contains(TAKEN));
        }
    }

    /// A failure at the end of an answer, of which the body is `{"errorMessage":"m","errorType":"T"}` in base64.
    #[test]
    fn failures_at_the_end() {
        let event = "stream,a/b;piece,x;end,Lambda-Runtime-Function-Error-Type: T\\n\
            Lambda-Runtime-Function-Error-Body: eyJlcnJvck1lc3NhZ2UiOiJtIiwiZXJyb3JUeXBlIjoiVCJ9";
        let (kind, _) = event.split_once("\\n").expect("two trailers");
        for cloud in CLOUDS {
            let mut instance = cloud.start(asker(&[]));
            let not_base64 = format!("{kind}\\nLambda-Runtime-Function-Error-Body: ?");
            let rows = [event, kind, &*not_base64];
            for event in rows {
                let _case = Case((cloud, event));
                let (kind, _) = instance.call(event).failure();
                assert_eq!(kind, "T");
                instance.call("answer,fine").expect("fine");
            }
        }
    }

    /// What Lambda takes in pieces gets them as they come.
    #[test]
    fn pieces_for_lambda() {
        let mut instance = Cloud::LambdaStreaming.start(asker(&[]));
        let fields = Cloud::LambdaStreaming.fields(10_000);
        let peer = &mut instance.peers[0];
        let prelude = "{\"statusCode\":201,\"headers\":{\"X-A\":\"b\"}}";
        let event = Gateway::Url.event(&Sent {
            method: "POST",
            body: format!("stream,{INTEGRATION};prelude,{prelude};pieces,3,300;end").as_bytes(),
            headers: &[("Content-Type", "text/plain")],
            ..GET
        });
        let begin = Instant::now();
        peer.send(response("200 OK", &fields, event.to_string()));
        peer.read_until(|got| find(got, b"piece 0").is_some());
        assert!(begin.elapsed() < Duration::from_millis(500));
        let answer = peer.expect_response();
        assert_eq!(answer.header("content-type"), Some(INTEGRATION));
        let mode = answer.header("lambda-runtime-function-response-mode");
        assert_eq!(mode, Some("streaming"));
        let end = find(&answer.body, &[0; 8]).expect("a prelude");
        let got: Value = serde_json::from_slice(&answer.body[..end]).expect("JSON");
        let mut want: Value = serde_json::from_str(prelude).expect("JSON");
        want["headers"]["Content-Type"] = "application/octet-stream".into();
        assert_eq!(got, want);
        assert_eq!(&answer.body[end + 8..], b"piece 0\npiece 1\npiece 2\n");
        peer.accept().expect_next();
        // A failure at the end is one of the answer.
        let event = "stream,a/b;piece,x;end,Lambda-Runtime-Function-Error-Type: T\\n\
            Lambda-Runtime-Function-Error-Body: eyJlcnJvck1lc3NhZ2UiOiJtIiwiZXJyb3JUeXBlIjoiVCJ9";
        peer.send(response("200 OK", &fields, event));
        let answer = peer.request();
        let kind = match answer.trailer("lambda-runtime-function-error-type") {
            Some(kind) => kind.to_owned(),
            None => Answer::of(answer).failure().0,
        };
        assert_eq!(kind, "Function.T");
        peer.accept().expect_next();
    }

    /// A request that a gateway has made an event of is handed on as that event.
    #[test]
    fn requests_of_gateways() {
        for gateway in [Gateway::Rest, Gateway::Http, Gateway::Alb, Gateway::Scf] {
            let _case = Case(gateway);
            let event = gateway.event(&Sent {
                path: "/echo",
                ..GET
            });
            let cloud = match gateway.platform() {
                Platform::Scf => Cloud::Scf,
                Platform::Lambda => Cloud::Lambda,
            };
            let mut instance = cloud.start(asker(&[]));
            instance.call(event.to_string()).expect(event.to_string());
        }
    }

    /// Nobody waits for the rest of an answer that is too long already, nor does the next event.
    #[test]
    fn pieces_that_are_too_many() {
        let program = asker(&[]).env("FNBOOT_MAX_BODY", 100);
        let mut fc = Fc(program.start());
        let failed = fc.call(event("id", "stream,a/b;pieces,80,100;end"));
        assert_eq!(failed.error().0, "BadPiece");
        let begin = Instant::now();
        assert_eq!(fc.call(event("id", "answer,x")).expect(200).text(), "x");
        let elapsed = begin.elapsed();
        assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
        fc.0.stderr.take();
    }
}

mod requests {
    //! HTTP, which a worker sees as events, and answers as a gateway wants it.

    use super::*;

    /// The event that a request became.
    #[track_caller]
    fn seen(wire: &Wire) -> Value {
        assert_eq!(wire.status, 200, "{}", wire.text());
        assert_eq!(wire.field("content-type"), Some("application/json"));
        serde_json::from_slice(&wire.body).expect("JSON")
    }

    #[test]
    fn by_lambdas_paths() {
        let mut fc = Fc::start(&[]);
        let request = format!(
            "GET /echo?a=b&c=%20d&a=e HTTP/1.1\r\nHost: example.com\r\n{FC}X-Any: thing\r\nx-any: more\r\n\
            Cookie: a=1; b=2\r\nUser-Agent: u\r\n\r\n"
        );
        let event = seen(&fc.call(request));
        assert_eq!(event["version"], "2.0");
        assert_eq!(event["rawPath"], "/echo");
        assert_eq!(event["rawQueryString"], "a=b&c=%20d&a=e");
        assert_eq!(event["headers"]["host"], "example.com");
        assert_eq!(event["headers"]["user-agent"], "u");
        let any = event["headers"]["x-any"].as_str().expect("text");
        assert_eq!(any.replace(' ', ""), "thing,more");
        assert_eq!(event["cookies"], json!(["a=1", "b=2"]));
        let http = &event["requestContext"]["http"];
        assert_eq!(http["method"], "GET");
        assert_eq!(http["path"], "/echo");
        assert_eq!(event["isBase64Encoded"], false);
        let parameters = &event["queryStringParameters"];
        assert_eq!(parameters["c"], " d");
        assert!(event["requestContext"]["requestId"].is_string());
        for (kind, body, is_base64) in [
            ("text/plain", &b"a \"body\"\n"[..], false),
            ("application/json", b"{\"a\":1}", false),
            ("application/octet-stream", b"\0\xff", true),
        ] {
            let _case = Case(kind);
            let fields = format!("{FC}Content-Type: {kind}\r\n");
            let event = seen(&fc.call(post("/echo", &fields, body)));
            assert_eq!(event["isBase64Encoded"], is_base64);
            let got = event["body"].as_str().expect("text");
            let got = if is_base64 {
                crate::api::base64(got)
            } else {
                got.as_bytes().to_vec()
            };
            assert_eq!(got, body);
            assert_eq!(event["requestContext"]["http"]["method"], "POST");
            assert_eq!(event["headers"]["content-type"], kind);
        }
    }

    #[test]
    fn by_scfs_paths() {
        let mut fc = Fc::start(&READY);
        let request = format!(
            "GET /echo?a=b&c=%20d HTTP/1.1\r\nHost: example.com\r\n{FC}X-Any: thing\r\n\r\n"
        );
        let event = seen(&fc.call(request));
        assert_eq!(event["httpMethod"], "GET");
        assert_eq!(event["path"], "/echo");
        assert_eq!(event["headers"]["x-any"], "thing");
        let c = &event["queryString"]["c"];
        assert!(*c == " d" || *c == json!([" d"]), "{event}");
        let fields = format!("{FC}Content-Type: text/plain\r\n");
        let event = seen(&fc.call(post("/echo", &fields, "a body")));
        assert_eq!(event["httpMethod"], "POST");
        assert_eq!(event["body"], "a body");
    }

    /// What a worker answers, and what the client gets.
    #[test]
    fn answers() {
        for dialect in DIALECTS {
            let mut fc = Fc::start(dialect);
            let fields = format!("{FC}Content-Type: text/plain\r\n");
            let mut reply = |answer: &str| fc.call(post("/body", &fields, answer));
            let got = reply(
                "{\"statusCode\":201,\"headers\":{\"X-A\":\"b\",\"Content-Type\":\"a/b\"},\"body\":\"hello \\u00fc\"}",
            );
            assert_eq!(got.status, 201);
            assert_eq!(got.field("x-a"), Some("b"));
            assert_eq!(got.field("content-type"), Some("a/b"));
            assert_eq!(got.text(), "hello ü");
            let got = reply(
                "{\"statusCode\":\"404\",\"multiValueHeaders\":{\"X-A\":[\"b\",\"c\"]},\"cookies\":[\"d=e\",\"f=g\"],\"body\":\"AP8=\",\"isBase64Encoded\":true}",
            );
            assert_eq!(got.status, 404);
            assert_eq!(got.all("x-a"), ["b", "c"]);
            assert_eq!(got.all("set-cookie"), ["d=e", "f=g"]);
            assert_eq!(got.body, b"\0\xff");
            let got = reply("{\"statusCode\":204}");
            assert_eq!((got.status, &*got.text()), (204, ""));
            for whole in ["{\"a\":1}", "[1,2]", "\"text\"", "text", "null", "17"] {
                let got = reply(whole).expect(200);
                assert_eq!(got.text(), whole);
                assert_eq!(got.field("content-type"), Some("application/json"));
            }
            for bad in [
                "{\"statusCode\":99}",
                "{\"statusCode\":1000}",
                "{\"statusCode\":\"abc\"}",
                "{\"statusCode\":200,\"headers\":7}",
                "{\"statusCode\":200,\"headers\":{\"X A\":\"b\"}}",
                "{\"statusCode\":200,\"headers\":{\"X-A\":\"b\\r\\nX-B: c\"}}",
                "{\"statusCode\":200,\"body\":\"?\",\"isBase64Encoded\":true}",
            ] {
                let _case = Case(bad);
                let got = reply(bad);
                assert_eq!((got.status, &*got.error().0), (502, "BadReply"), "{got:?}");
            }
            assert_eq!(
                reply("{\"statusCode\":200,\"body\":\"fine\"}").text(),
                "fine"
            );
        }
    }

    #[test]
    fn failures() {
        for dialect in DIALECTS {
            let mut fc = Fc::start(dialect);
            let got = fc.script("error,MyError,it broke");
            assert!(got.status >= 500, "{got:?}");
            assert_eq!(got.error(), ("MyError".into(), "it broke".into()));
            let got = fc.script("half,100;cut");
            assert_eq!((got.status, &*got.error().0), (502, "TruncatedResponse"));
            assert_eq!(fc.script("answer,fine").expect(200).text(), "fine");
        }
    }

    #[test]
    fn in_pieces() {
        let mut fc = Fc::start(&[]);
        let mut client = fc.0.connect();
        let begin = Instant::now();
        client.send(script_request("stream,text/x;pieces,3,300;end"));
        client.read_until(|got| find(got, b"piece 0").is_some());
        assert!(begin.elapsed() < Duration::from_millis(500));
        let got = read(&mut client, "POST").expect(200);
        assert!(begin.elapsed() >= Duration::from_millis(600));
        assert_eq!(got.field("content-type"), Some("text/x"));
        assert_eq!(got.field("transfer-encoding"), Some("chunked"));
        assert_eq!(got.text(), "piece 0\npiece 1\npiece 2\n");
        let prelude = "{\"statusCode\":418,\"headers\":{\"X-A\":\"b\",\"Content-Type\":\"c/d\"},\"cookies\":[\"e=f\",\"g=h\"]}";
        let script = format!("stream,{INTEGRATION};prelude,{prelude};piece,hello;end");
        let got = call_on(&mut client, script_request(&script)).expect(418);
        assert_eq!(got.field("x-a"), Some("b"));
        assert_eq!(got.field("content-type"), Some("c/d"));
        assert_eq!(got.all("set-cookie"), ["e=f", "g=h"]);
        assert_eq!(got.text(), "hello");
        // However the prelude is cut.
        let (first, second) = prelude.split_at(20);
        let script = format!(
            "stream,{INTEGRATION};piece,{first};sleep,30;prelude,{second};sleep,30;piece,hello;end"
        );
        let got = call_on(&mut client, script_request(&script)).expect(418);
        assert_eq!(got.text(), "hello");
        // Nothing behind it.
        let script = format!("stream,{INTEGRATION};prelude,{{\"statusCode\":201}};end");
        let got = call_on(&mut client, script_request(&script)).expect(201);
        assert_eq!(got.text(), "");
        fc.0.stdout
            .wait_until(|log| log.matches(TAKEN).count() == 4);
    }

    #[test]
    fn a_prelude_that_is_none() {
        for script in [
            "prelude,no JSON;piece,hello;end",
            "prelude,{\"statusCode\":99};piece,hello;end",
            "prelude,{\"statusCode\":200,\"headers\":{\"X A\":\"b\"}};end",
            "piece,{\"statusCode\":200};end",
            "end",
        ] {
            let _case = Case(script);
            let mut fc = Fc::start(&[]);
            let got = fc.script(&format!("stream,{INTEGRATION};{script}"));
            assert_eq!((got.status, &*got.error().0), (502, "BadReply"), "{got:?}");
            assert_eq!(fc.script("answer,fine").expect(200).text(), "fine");
        }
    }

    #[test]
    fn pieces_that_end_in_failure() {
        let mut fc = Fc::start(&[]);
        for (end, deaths) in [
            (
                "end,Lambda-Runtime-Function-Error-Type: T\\n\
                Lambda-Runtime-Function-Error-Body: eyJlcnJvck1lc3NhZ2UiOiJtIiwiZXJyb3JUeXBlIjoiVCJ9",
                0,
            ),
            ("cut", 0),
            ("exit,3", 1),
            ("kill", 1),
        ] {
            let _case = Case(end);
            let mut client = fc.0.connect();
            client.send(script_request(&format!(
                "stream,text/x;piece,hello;sleep,50;{end}"
            )));
            let got = String::from_utf8_lossy(&client.read_to_end()).into_owned();
            assert!(got.starts_with("HTTP/1.1 200 "), "{got}");
            assert!(
                got.contains("5\r\nhello\r\n") && !got.ends_with("0\r\n\r\n"),
                "{got}"
            );
            assert_eq!(fc.script("answer,fine").expect(200).text(), "fine");
            expect_deaths(&fc.0, deaths);
        }
    }

    #[test]
    fn a_long_answer_in_pieces() {
        let mut fc = Fc::start(&[]);
        let pieces = ";pattern,1000000".repeat(40);
        let got = fc.script(&format!("stream,a/b{pieces};end")).expect(200);
        assert_same(&got.body, &pattern(1_000_000).repeat(40));
        assert!(fc.0.status_kib("VmHWM") < 8 * 1024, "it was kept");
    }

    /// A client that does not read stops the worker, and no memory fills.
    #[test]
    fn a_client_that_stops_reading() {
        let mut fc = Fc::start(&[]);
        fc.script("answer,first").expect(200);
        let mut client = narrow(&fc.0);
        let pieces = ";pattern,1000000".repeat(40);
        client.send(script_request(&format!("stream,a/b{pieces};end;say,all")));
        client.read_until(|got| !got.is_empty());
        thread::sleep(Duration::from_millis(300));
        assert!(!fc.0.stdout.text().contains("all\n"));
        assert!(fc.0.status_kib("VmHWM") < 8 * 1024);
        let got = read(&mut client, "POST").expect(200);
        assert_same(&got.body, &pattern(1_000_000).repeat(40));
        fc.log_with("all\n");
    }

    /// What is answered to a caller who has gone is taken, and is nobody else's.
    #[test]
    fn a_client_that_goes_away() {
        let scripts = [
            "say,begun;sleep,200;answer,late;say,over",
            "say,begun;sleep,200;sized,3000000;say,over",
            "stream,a/b;pieces,20,10;say,begun;pieces,20,10;end;say,over",
            "say,begun;sleep,200;error,T,m;say,over",
        ];
        // A call that dies has no answer, not even one that is left.
        let rows = scripts.map(|script| [(script, "pid"), (script, "exit,3")]);
        at_once(rows.as_flattened(), |&(script, then)| {
            let mut fc = Fc::start(&[]);
            let before = fc.script("pid").text();
            fc.0.stdout.take();
            let mut client = fc.0.connect();
            client.send(script_request(script));
            if script.starts_with("stream") {
                client.read_until(|got| find(got, b"piece 3").is_some());
            } else {
                fc.log_with("begun\n");
            }
            client.reset();
            let mut other = fc.0.connect();
            other.send(script_request(then));
            let got = read(&mut other, "POST");
            if then == "pid" {
                assert_eq!(got.expect(200).text(), before);
            } else {
                assert_eq!(got.error().0, "ExitError");
            }
            let log = fc.log_with("over\n");
            assert!(log.contains(TAKEN), "{log}");
            fc.0.stderr.take();
        });
    }

    /// Nor is it that of a later caller whose worker has died without an answer.
    #[test]
    fn an_answer_to_one_who_has_gone() {
        for late in ["answer,late", "sized,3000000", "error,T,late"] {
            let _case = Case(late);
            let mut fc = Fc::start(&[]);
            let mut client = fc.0.connect();
            client.send(script_request(&format!(
                "say,begun;sleep,200;{late};say,over"
            )));
            fc.log_with("begun\n");
            client.reset();
            fc.log_with("over\n");
            let failed = fc.script("exit,3");
            assert_eq!((failed.status, &*failed.error().0), (502, "ExitError"));
            expect_deaths(&fc.0, 1);
        }
    }

    /// It counts as one, too: whoever ends after each event has served it.
    #[test]
    fn ends_after_answers_to_those_who_have_gone() {
        let mut fc = Fc::start(&[]);
        for _ in 0..4 {
            let mut client = fc.0.connect();
            client.send(script_request("say,begun;sleep,100;answer,late;exit,0"));
            fc.log_with("begun\n");
            fc.0.stdout.take();
            let id = children(fc.0.id())[0];
            client.reset();
            wait_for("the end of the worker", || has_ended(id).then_some(()));
        }
        fc.script("answer,x").expect(200);
    }

    #[test]
    fn of_scf_as_a_web_function() {
        in_own_network("worker::requests::of_scf_as_a_web_function", || {
            let folder = Folder::new();
            let named = folder.at("scf_bootstrap");
            std::fs::copy(bootstrap(), &named).expect("a copy");
            for dialect in DIALECTS {
                let program = Program::at(named.clone()).without_port();
                let program = program.arguments(["worker", &asker_path()]);
                let mut server = program.arguments(dialect).start();
                server.port = 9000;
                let mut client = server.connect();
                let fields = "X-Scf-Request-Id: an-id\r\n";
                let got = call_on(&mut client, get("/echo?a=b", fields));
                let event = seen(&got);
                let is_scf = !dialect.is_empty();
                let path = if is_scf { "path" } else { "rawPath" };
                assert_eq!(event[path], "/echo");
                let text = format!("{fields}Content-Type: text/plain\r\n");
                let reply = "{\"statusCode\":201,\"headers\":{\"X-A\":\"b\"},\"body\":\"x\"}";
                let got = call_on(&mut client, post("/body", &text, reply)).expect(201);
                assert_eq!((got.field("x-a"), &*got.text()), (Some("b"), "x"));
                let got = call_on(&mut client, get("/exit,3", fields)).expect(502);
                assert_eq!(got.error().0, "ExitError");
                call_on(&mut client, get("/answer,x", fields)).expect(200);
                if !is_scf {
                    let script = "stream,text/x;pieces,3,10;end";
                    let got = call_on(&mut client, post("/", &text, script)).expect(200);
                    assert_eq!(got.text(), "piece 0\npiece 1\npiece 2\n");
                }
                server.signal(Signal::TERM);
                server.expect_exit(0);
                expect_deaths(&server, 1);
            }
        });
    }
}

mod many {
    //! Several workers.

    use super::*;

    fn with(count: usize, words: &[&str]) -> Program {
        asker(words).env("FNBOOT_WORKERS", count)
    }

    /// The others are started when the first has asked. Each of them is asked for by the test, in the order that it wants.
    #[test]
    fn the_one_that_has_waited_longest() {
        let mut server = shell(HOLD).env("FNBOOT_WORKERS", 3).start();
        let mut workers = vec![connect(ports(&server, 1)[0])];
        workers[0].send(get(NEXT, ""));
        let ports = ports(&server, 3);
        workers.extend(ports[1..].iter().map(|&port| connect(port)));
        let ask = |worker: &mut Client, port: u16| {
            worker.send(get(NEXT, ""));
            // Of two that come one after the other the second is not read first.
            call_on(&mut connect(port), get("/nowhere", "")).expect(404);
        };
        let mut client = server.connect();
        let mut has_asked = true;
        for order in [[0, 2, 1], [1, 0, 2], [2, 1, 0], [0, 1, 2]] {
            for index in order {
                if !std::mem::take(&mut has_asked) {
                    ask(&mut workers[index], ports[index]);
                }
            }
            for index in order {
                client.send(event("id", "event"));
                next(&mut workers[index]);
                answer(&mut workers[index], "id", "", "answer");
                client.expect(200);
            }
        }
    }

    /// The first is started alone, and the others once it has asked.
    #[test]
    fn the_first_is_waited_for() {
        let folder = Folder::new();
        let count = format!("count,{}", folder.at("count").display());
        let server = with(3, &[&count, "1:say,begun", "1:sleep,300"]).start();
        server.stdout.wait_until(|log| log.contains("begun"));
        thread::sleep(Duration::from_millis(150));
        assert_eq!(children(server.id()).len(), 1);
        server.wait_until_listening();
        wait_for("three workers", || {
            (children(server.id()).len() == 3).then_some(())
        });
    }

    #[test]
    fn as_many_calls_at_once() {
        let mut server = with(4, &[]).start();
        server.connect();
        wait_for("four workers", || {
            (children(server.id()).len() == 4).then_some(())
        });
        let begin = Instant::now();
        let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(script_request(&format!("sleep,300;answer,{index}")));
        }
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(read(client, "POST").expect(200).text(), index.to_string());
        }
        let elapsed = begin.elapsed().as_millis();
        assert!((600..1200).contains(&elapsed), "{elapsed} ms");
    }

    /// Where an API sends one event at a time there is one.
    #[test]
    fn one_is_enough() {
        for cloud in ONE_AT_A_TIME {
            let _case = Case(cloud);
            let mut instance = cloud.start(with(4, &[]));
            instance.call("answer,x").expect("x");
            thread::sleep(Duration::from_millis(100));
            assert_eq!(instance.children().len(), 1);
        }
        let mut instance = Cloud::LambdaManaged.start(with(4, &[]));
        for turn in 0..40 {
            let want = turn.to_string();
            instance.call(format!("answer,{want}")).expect(want);
        }
        assert_eq!(instance.children().len(), 4);
    }

    /// FC's hooks are no events.
    #[test]
    fn hooks() {
        let mut server = with(1, &[]).start();
        let mut client = server.connect();
        for path in ["/initialize", "/pre-freeze", "/pre-stop"] {
            let fields = format!("X-Fc-Request-Id: r\r\nX-Fc-Control-Path: {path}\r\n");
            call_on(&mut client, post(path, &fields, "")).expect(200);
        }
        let got = call_on(&mut client, event("id", "turn")).expect(200);
        assert_eq!(got.text(), "1");
    }

    #[test]
    fn settings_that_are_wrong() {
        for value in ["0", "x", "-1", "100000"] {
            let _case = Case(value);
            let mut server = asker(&[]).env("FNBOOT_WORKERS", value).start();
            let line = expect_failure(&mut server);
            assert!(
                line.contains("FNBOOT_WORKERS") && line.contains(value),
                "{line}"
            );
        }
    }

    /// Each of ten thousand events has its own number, and is answered once, with that.
    #[test]
    fn ten_thousand_events() {
        const CLIENTS: usize = 8;
        const CALLS: usize = 1250;
        let server = with(4, &[]).env("FNBOOT_MARKERS", "off");
        let mut server = server
            .stdout(std::fs::File::create("/dev/null").expect("a file"))
            .start();
        let mut clients: Vec<_> = (0..CLIENTS).map(|_| server.connect()).collect();
        thread::scope(|scope| {
            for (number, client) in clients.iter_mut().enumerate() {
                scope.spawn(move || {
                    for turn in 0..CALLS {
                        let want = format!("{number}-{turn}");
                        client.send(event(&want, format!("answer,{want}")));
                        assert_eq!(client.expect(200).text(), want);
                    }
                });
            }
        });
        for client in &mut clients {
            client.expect_silence();
        }
        assert_eq!(children(server.id()).len(), 4);
        let turns: usize = (0..4)
            .map(|_| {
                let got = call_on(&mut clients[0], event("turn", "turn"));
                got.text().parse::<usize>().expect("a number")
            })
            .sum();
        // Each of the four has served one more.
        assert_eq!(turns, CLIENTS * CALLS + 4);
    }

    /// One dies while the others serve: its call fails, no other does.
    #[test]
    fn deaths_among_many_calls() {
        let mut server = with(4, &[]).start();
        let mut clients: Vec<_> = (0..8).map(|_| server.connect()).collect();
        let failed: usize = thread::scope(|scope| {
            let threads: Vec<_> = clients
                .iter_mut()
                .enumerate()
                .map(|(number, client)| {
                    scope.spawn(move || {
                        let mut failed_count = 0;
                        for turn in 0..200 {
                            let (want, is_death) =
                                (format!("{number}-{turn}"), turn % 67 == 60 && number < 2);
                            let script = if is_death {
                                "exit,3".to_owned()
                            } else {
                                format!("answer,{want}")
                            };
                            let got = call_on(client, script_request(&script));
                            if is_death {
                                assert_eq!(got.error().0, "ExitError");
                                failed_count += 1;
                            } else {
                                assert_eq!(got.expect(200).text(), want);
                            }
                        }
                        failed_count
                    })
                })
                .collect();
            threads
                .into_iter()
                .map(|thread| thread.join().expect("a client"))
                .sum()
        });
        expect_deaths(&server, failed);
        wait_for("four workers", || {
            (children(server.id()).len() == 4).then_some(())
        });
    }
}

mod mixed {
    //! Workers that do now this, now that, while others are served: each call comes to what its own event says.
    //!
    //! A failure prints its seed. `FNBOOT_SEED` replays one, as far as the scheduler lets it.

    use super::*;

    /// What comes of an event.
    enum Want {
        Body(Vec<u8>),
        Failure(&'static str),
        /// It breaks off in the midst of an answer to a request; an event fails in that way.
        Cut(&'static str),
        /// Nobody waits for it.
        Nothing,
    }

    /// What an event of that number says, and what comes of it. Workers that die are one client's, who then waits for one that is
    /// served: three deaths in a row would be the end.
    fn choice(chance: &mut Chance, number: &str, may_die: bool) -> (String, Want) {
        let body = || Want::Body(number.into());
        let scripts = 15 + if may_die { 5 } else { 0 };
        match chance.below(scripts) {
            0 => (format!("next;answer,{number}"), body()),
            1 => (format!("answer,{number};answer,late"), body()),
            2 => (format!("id,nobody;answer,other;id;answer,{number}"), body()),
            3 => (format!("reconnect;answer,{number}"), body()),
            4 => ("chunked,50000".into(), Want::Body(pattern(50_000))),
            5 => ("bytes,50".into(), Want::Body(pattern(50))),
            6 => ("sized,300000".into(), Want::Body(pattern(300_000))),
            7 => (format!("error,T,{number}"), Want::Failure("T")),
            8 => ("half,10;cut".into(), Want::Failure("TruncatedResponse")),
            9 => (
                "half-chunked,9;cut".into(),
                Want::Failure("TruncatedResponse"),
            ),
            10 => (
                format!("stream,a/b;piece,{number};pieces,2,1;end"),
                Want::Body(format!("{number}piece 0\npiece 1\n").into()),
            ),
            11 => (
                "stream,a/b;piece,x;sleep,2;cut".into(),
                Want::Cut("TruncatedResponse"),
            ),
            12 => ("sleep,3;answer,late".into(), Want::Nothing),
            13 => ("stream,a/b;pieces,9,1;end".into(), Want::Nothing),
            15 => ("exit,3".into(), Want::Failure("ExitError")),
            16 => ("kill".into(), Want::Failure("Signal")),
            17 => ("half,10;sleep,5;exit,3".into(), Want::Failure("ExitError")),
            18 => (format!("post,{number};exit,3"), body()),
            19 => (
                "stream,a/b;piece,x;sleep,2;exit,3".into(),
                Want::Cut("ExitError"),
            ),
            _ => (format!("answer,{number}"), body()),
        }
    }

    /// One client's calls.
    fn calls(server: u16, seed: u64, index: u32, is_over: impl Fn() -> bool) {
        let connect = || {
            let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, server));
            Client::new(stream.expect("fnboot"))
        };
        let (mut chance, mut client) = (Chance::new(seed, 0, index), connect());
        let mut has_died = false;
        for turn in 0.. {
            let number = format!("{index}-{turn}");
            let may_die = index == 0 && !has_died;
            let (script, want) = choice(&mut chance, &number, may_die);
            let _case = Case((seed, number.clone(), script.clone()));
            has_died = script.contains("exit") || script.contains("kill");
            // Every second client asks by HTTP.
            let is_request = index % 2 == 1;
            client.send(if is_request {
                script_request(&script)
            } else {
                event(&number, &script)
            });
            match want {
                Want::Body(body) => {
                    let got = read(&mut client, "POST").expect(200);
                    assert_same(&got.body, &body);
                }
                Want::Cut(_) if is_request => {
                    let got = std::mem::replace(&mut client, connect()).read_to_end();
                    let has_begun =
                        got.starts_with(b"HTTP/1.1 200 ") && got.ends_with(b"1\r\nx\r\n");
                    assert!(has_begun, "{}", got.escape_ascii());
                }
                Want::Failure(kind) | Want::Cut(kind) => {
                    let (got, message) = read(&mut client, "POST").error();
                    assert_eq!(got, kind, "{message}");
                }
                Want::Nothing => {
                    thread::sleep(Duration::from_millis(chance.below(4) as u64));
                    std::mem::replace(&mut client, connect()).reset();
                }
            }
            if is_over() {
                break;
            }
        }
    }

    fn number(name: &str) -> Option<u64> {
        std::env::var(name).ok()?.parse().ok()
    }

    fn seed() -> u64 {
        let seed = number("FNBOOT_SEED").unwrap_or_else(|| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            now.expect("a time").subsec_nanos().into()
        });
        println!("FNBOOT_SEED={seed}");
        seed
    }

    /// The same one after the other, where an API is asked.
    #[test]
    fn one_at_a_time() {
        let seed = seed();
        at_once(
            &[Cloud::Scf, Cloud::Lambda, Cloud::LambdaManaged],
            |&cloud| {
                let mut instance = cloud.start(asker(&[]).env("FNBOOT_WORKERS", 3));
                let (mut chance, mut has_died) = (Chance::new(seed, 1, cloud as u32), false);
                for turn in 0..200 {
                    let (script, want) = choice(&mut chance, &turn.to_string(), !has_died);
                    let _case = Case((seed, turn, script.clone()));
                    has_died = script.contains("exit") || script.contains("kill");
                    let got = instance.call(&script);
                    match want {
                        Want::Body(body) => got.expect(body),
                        Want::Failure(kind) | Want::Cut(kind) => assert_eq!(got.failure().0, kind),
                        Want::Nothing => assert!(got.is_success),
                    }
                }
                instance.server.stderr.take();
            },
        );
    }

    #[test]
    fn each_call_has_its_own_answer() {
        let seed = seed();
        let time = Duration::from_secs(number("FNBOOT_WORKER_SECONDS").unwrap_or(2));
        for words in [&[][..], &["fresh"]] {
            let _case = Case(words);
            let program = asker(words).env("FNBOOT_WORKERS", 4);
            let nowhere = std::fs::File::create("/dev/null").expect("a file");
            let mut server = program.stdout(nowhere).start();
            server.connect();
            let begin = Instant::now();
            thread::scope(|scope| {
                for index in 0..6 {
                    let port = server.port;
                    scope.spawn(move || calls(port, seed, index, || begin.elapsed() > time));
                }
            });
            let told = server.stderr.take();
            let is_death = |line: &str| line.starts_with("fnboot: the program has ended: ");
            assert!(told.lines().all(is_death), "{told}");
            wait_for("four workers", || {
                (children(server.id()).len() == 4).then_some(())
            });
            server.signal(Signal::TERM);
            server.expect_exit(0);
        }
    }
}

mod starts {
    //! Before the first call.

    use super::*;

    /// A variable of a worker's environment, where the process has these. FC's own port is among them.
    #[track_caller]
    fn environment(
        cloud: Cloud,
        variables: &[(&str, &str)],
    ) -> impl Fn(&str) -> Option<String> + use<> {
        let mut instance = cloud.start(asker(&[]).envs(variables));
        let lines = instance.call("env").text();
        let own = instance.server.id();
        let here = std::fs::read_link(format!("/proc/{own}/cwd")).expect("a folder");
        assert_eq!(here, std::env::current_dir().expect("a folder"));
        move |name| {
            let mut lines = lines.lines().filter_map(|line| line.split_once('='));
            let line = lines.find(|(other, _)| *other == name);
            line.map(|(_, value)| value.to_owned())
        }
    }

    #[test]
    fn where_the_api_is() {
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let variable = environment(cloud, &[("ANY", "thing"), ("FNBOOT_LOG_PREFIX", "on")]);
            let address = variable("AWS_LAMBDA_RUNTIME_API").expect("an address");
            let port = address.strip_prefix("127.0.0.1:").expect("a port");
            assert_eq!(variable("SCF_RUNTIME_API").as_deref(), Some("127.0.0.1"));
            assert_eq!(variable("SCF_RUNTIME_API_PORT").as_deref(), Some(port));
            assert_eq!(variable("ANY").as_deref(), Some("thing"));
            assert_eq!(variable("FNBOOT"), None);
        }
        let variable = environment(Cloud::LambdaManaged, &[]);
        assert_eq!(variable("AWS_LAMBDA_MAX_CONCURRENCY"), None);
    }

    #[test]
    fn what_the_process_does_not_have() {
        let here = std::env::current_dir().expect("a folder");
        let here = here.to_str().expect("text");
        let names = [
            ("LAMBDA_TASK_ROOT", here),
            ("USER_CODE_ROOT", here),
            ("AWS_LAMBDA_FUNCTION_NAME", "function"),
            ("SCF_FUNCTIONNAME", "function"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            ("SCF_FUNCTIONVERSION", "$LATEST"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ];
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let variable = environment(cloud, &[]);
            for (name, want) in names {
                let got = variable(name).unwrap_or_default();
                assert_eq!(got.trim_end_matches('/'), want, "{name}");
            }
        }
        // From each other.
        for (given, value, wanted) in [
            ("FC_FUNCTION_HANDLER", "index.go", &["_HANDLER"][..]),
            (
                "FC_FUNC_CODE_PATH",
                "/code",
                &["LAMBDA_TASK_ROOT", "USER_CODE_ROOT"],
            ),
            ("LAMBDA_TASK_ROOT", "/task", &["USER_CODE_ROOT"]),
            ("USER_CODE_ROOT", "/user", &["LAMBDA_TASK_ROOT"]),
            (
                "FC_FUNCTION_NAME",
                "hello",
                &["AWS_LAMBDA_FUNCTION_NAME", "SCF_FUNCTIONNAME"],
            ),
            ("SCF_FUNCTIONNAME", "scf", &["AWS_LAMBDA_FUNCTION_NAME"]),
            ("AWS_LAMBDA_FUNCTION_NAME", "aws", &["SCF_FUNCTIONNAME"]),
            (
                "FC_QUALIFIER",
                "live",
                &["AWS_LAMBDA_FUNCTION_VERSION", "SCF_FUNCTIONVERSION"],
            ),
            (
                "FC_FUNCTION_MEMORY_SIZE",
                "512",
                &["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"],
            ),
            (
                "FC_REGION",
                "cn-x",
                &["AWS_REGION", "AWS_DEFAULT_REGION", "TENCENTCLOUD_REGION"],
            ),
            (
                "AWS_REGION",
                "eu-1",
                &["AWS_DEFAULT_REGION", "TENCENTCLOUD_REGION"],
            ),
            (
                "TENCENTCLOUD_REGION",
                "ap-x",
                &["AWS_REGION", "AWS_DEFAULT_REGION"],
            ),
        ] {
            let _case = Case(given);
            let variable = environment(Cloud::Fc, &[(given, value)]);
            for name in wanted.iter().chain([&given]) {
                assert_eq!(variable(name).as_deref(), Some(value), "{name}");
            }
        }
        // What it has stays.
        let own = [
            ("_HANDLER", "own.handler"),
            ("LAMBDA_TASK_ROOT", "/own"),
            ("USER_CODE_ROOT", "/own-user"),
            ("AWS_LAMBDA_FUNCTION_NAME", "own"),
            ("SCF_FUNCTIONNAME", "own-scf"),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_REGION", "own-1"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "group"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "stream"),
            ("FC_FUNCTION_HANDLER", "other"),
            ("FC_FUNCTION_NAME", "other"),
            ("FC_REGION", "other"),
        ];
        let variable = environment(Cloud::Fc, &own);
        for (name, value) in own {
            assert_eq!(variable(name).as_deref(), Some(value), "{name}");
        }
    }

    /// Clients that are older insist on these.
    #[test]
    fn where_the_log_would_be() {
        for cloud in CLOUDS {
            let variable = environment(cloud, &[]);
            for name in ["AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"] {
                let _case = Case((cloud, name));
                assert!(variable(name).is_some_and(|value| !value.is_empty()));
            }
        }
    }

    /// Empty standard input, the log, and a group of its own.
    #[test]
    fn what_a_process_has() {
        for words in DIALECTS {
            let words = [&["read-input", "say,out", "complain,err"], words].concat();
            let mut instance = Cloud::Fc.start(asker(&words));
            let id: u32 = instance.call("pid").text().parse().expect("an id");
            let log = instance.log_with("input 0\n");
            assert!(log.contains("out\n") && log.contains("err\n"), "{log}");
            assert_eq!(state(id).map(|(_, group)| group), Some(id));
            assert_eq!(instance.children(), [id]);
            instance.call("lines,3000;answer,x").expect("x");
            let log = instance.server.stdout.clone();
            log.wait_until(|log| log.contains("out 2999\n") && log.contains("err 2999\n"));
        }
    }

    /// Nothing of fnboot's is open in it, also after the first has ended.
    #[test]
    fn what_is_open_in_it() {
        let mut fc = Fc(asker(&[]).env("FNBOOT_WORKERS", 2).start());
        for turn in 0..3 {
            let id: u32 = fc.script("pid").text().parse().expect("an id");
            // Its connection to the API is its own.
            let open = std::fs::read_dir(format!("/proc/{id}/fd")).expect("a folder");
            assert!(open.count() <= 4, "{turn}");
            fc.script("exit,3").error();
        }
        fc.0.stderr.take();
    }

    #[test]
    fn ways_to_say_it() {
        let program = Program::bootstrap().env("FNBOOT", format!("worker {}", asker_path()));
        let mut instance = Cloud::Fc.start(program);
        instance.call("env,FNBOOT").expect("none");
        let (status, _, stderr) = Program::bootstrap().arguments(["worker"]).run();
        assert_eq!(status.code(), Some(2), "{stderr}");
        let program = Program::bootstrap().arguments(["worker", "/nowhere/at-all"]);
        let line = expect_failure(&mut program.start());
        assert!(line.contains("/nowhere/at-all"), "{line}");
    }

    /// fnboot does not listen before the worker has asked, and says what it waits for.
    #[test]
    fn fc_waits_for_it() {
        at_once(&DIALECTS, |dialect| {
            let words = [&["sleep,2600"], *dialect].concat();
            let mut fc = Fc::start(&words);
            let begin = Instant::now();
            let port = fc.0.port;
            while begin.elapsed() < Duration::from_millis(2300) {
                let connected = TcpStream::connect((Ipv4Addr::LOCALHOST, port));
                assert!(connected.is_err());
                thread::sleep(Duration::from_millis(50));
            }
            let told = fc.0.stderr.text() + &fc.0.stdout.text();
            assert!(told.contains("waiting for"), "{told:?}");
            fc.script("answer,x").expect(200);
            let elapsed = begin.elapsed();
            assert!(elapsed < Duration::from_millis(3300), "{elapsed:?}");
            fc.0.stderr.take();
        });
    }

    #[test]
    fn events_wait_for_it() {
        at_once(&ONE_AT_A_TIME, |cloud| {
            for dialect in DIALECTS {
                let words = [&["sleep,600"], dialect].concat();
                let api = cloud.api().expect("an API");
                let mut server = api.start(asker(&words));
                let begin = Instant::now();
                let mut peer = api.first();
                let elapsed = begin.elapsed();
                assert!(elapsed > Duration::from_millis(500), "{elapsed:?}");
                peer.expect_echo("event");
                server.signal(Signal::TERM);
                server.expect_exit(0);
            }
        });
    }

    #[test]
    fn an_end_before_it_asks() {
        for (words, parts) in [
            (
                &["complain,boom: no module", "exit,3"][..],
                &["exit status 3", "boom: no module"][..],
            ),
            (
                &["say,boom", "sleep,50", "exit,0"],
                &["exit status 0", "boom"],
            ),
            (&["complain,boom", "kill"], &["signal 9", "boom"]),
            // A worker that only tells its extension's name has not asked.
            (
                &[
                    "ask,GET,/nowhere",
                    "hang,/2020-01-01/extension/event/next",
                    "complain,boom",
                    "exit,3",
                ],
                &["exit status 3", "boom"],
            ),
        ] {
            let _case = Case(words);
            let mut fc = asker(words).start();
            let api = Cloud::Scf.api().expect("an API");
            let mut scf = api.start(asker(words));
            for server in [&mut fc, &mut scf] {
                let line = expect_failure(server);
                let want = "fnboot: the program does not start: ";
                assert!(line.starts_with(want), "{line}");
                assert!(parts.iter().all(|part| line.contains(part)), "{line}");
            }
            let kind = if parts[0].starts_with("signal") {
                "Signal"
            } else {
                "ExitError"
            };
            expect_init_error(words, kind, parts);
        }
    }

    /// Lambda must be told why.
    #[track_caller]
    fn expect_init_error(words: &[&str], kind: &str, parts: &[&str]) {
        let api = Cloud::Lambda.api().expect("an API");
        let mut server = api.start(asker(words));
        let mut peer = api.accept();
        let report = peer.expect("POST /2018-06-01/runtime/init/error");
        let (said, field) = (
            report.json(),
            report.header("lambda-runtime-function-error-type"),
        );
        assert_eq!(said["errorType"], kind);
        assert_eq!(field, Some(&*format!("Function.{kind}")));
        peer.accept();
        let message = said["errorMessage"].as_str().expect("text");
        assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        server.wait();
        server.stderr.take();
    }

    #[test]
    fn init_errors() {
        for path in [INIT_ERROR, "/2018-06-01/runtime/restore/error"] {
            let json =
                "{\"errorMessage\":\"no module\",\"errorType\":\"MyInit\",\"stackTrace\":[]}";
            let ask = format!("ask,POST,{path},{json}");
            for end in ["exit,1", "never"] {
                let _case = Case((path, end));
                expect_init_error(&[&ask, end], "MyInit", &["no module"]);
                let mut fc = asker(&[&ask, end]).start();
                let api = Cloud::Scf.api().expect("an API");
                let mut scf = api.start(asker(&[&ask, end]));
                for server in [&mut fc, &mut scf] {
                    let line = expect_failure(server);
                    assert!(line.contains("no module"), "{line}");
                }
            }
        }
        // By the field alone.
        let field = "field,Lambda-Runtime-Function-Error-Type: FromField";
        let ask = format!("ask,POST,{INIT_ERROR},");
        expect_init_error(&[field, &ask, "never"], "FromField", &[]);
        // Later it is too late.
        let mut instance = Cloud::Fc.start(asker(&[]));
        let event = format!("ask,POST,{INIT_ERROR},{{}};answer,x");
        instance.call(event).expect("x");
        let log = instance.log_with(&format!("POST {INIT_ERROR}: "));
        assert!(log.contains(&format!("{INIT_ERROR}: 403 ")), "{log}");
        assert!(log.contains("InvalidStateTransition"), "{log}");
        instance.call("answer,fine").expect("fine");
    }

    /// A worker that never asks is waited for no longer than that. `make slow` has two minutes for it.
    #[test]
    fn one_that_never_asks() {
        let is_patient = std::env::var_os("FNBOOT_WORKER_PATIENCE").is_some();
        let begin = Instant::now();
        let mut server = asker(&["say,begun", "never"]).start();
        server.stdout.wait_until(|log| log.contains("begun"));
        let group = children(server.id());
        if is_patient {
            while server.is_alive() {
                assert!(begin.elapsed() < Duration::from_secs(140));
                thread::sleep(Duration::from_millis(100));
            }
            assert!(begin.elapsed() > Duration::from_secs(119));
            let line = expect_failure(&mut server);
            assert!(line.contains("the program does not start: "), "{line}");
        } else {
            server.signal(Signal::TERM);
            server.wait();
            server.stderr.take();
        }
        wait_for("its end", || {
            group.iter().all(|&id| has_ended(id)).then_some(())
        });
    }
}

mod ends {
    //! Of workers, and of fnboot.

    use super::*;

    /// The worker dies at each moment of a call: the call fails, and the next one is served by another.
    #[test]
    fn at_each_moment() {
        let moments = [
            ("after the event", "", true),
            ("with half an answer", "half,10;sleep,50;", true),
            ("with half in chunks", "half-chunked,10;sleep,50;", true),
            ("with much of one", "half,100000;sleep,50;", true),
            ("with a piece", "stream,a/b;piece,x;sleep,50;", true),
            ("asking again", "ask-next;sleep,50;", true),
            ("before it hears of it", "post,whole;", false),
            ("after its answer", "answer,whole;", false),
        ];
        each(&[], |instance, _| {
            let mut deaths = 0;
            for (moment, steps, is_failed) in moments {
                for (end, kind, message) in [
                    ("complain,last words;exit,3", "ExitError", "exit status 3"),
                    ("complain,last words;kill", "Signal", "signal 9"),
                ] {
                    let _case = Case((moment, end));
                    let before = instance.call("pid").text();
                    let got = instance.call(format!("{steps}{end}"));
                    if is_failed {
                        let (got_kind, got) = got.failure();
                        assert_eq!(got_kind, kind);
                        let is_whole = got.starts_with(message) && got.ends_with("last words");
                        assert!(is_whole, "{got}");
                    } else {
                        got.expect("whole");
                    }
                    wait_for("the end of the worker", || {
                        let id = before.parse().expect("an id");
                        has_ended(id).then_some(())
                    });
                    assert_ne!(instance.call("pid").text(), before);
                    deaths += 1;
                }
            }
            expect_deaths(&instance.server, deaths);
        });
    }

    /// Its end may be heard of before its last questions are.
    #[test]
    fn before_it_was_heard() {
        for last in [
            "ask-next",
            "reconnect;ask-next",
            "reconnect;ask-next;reconnect;ask-next",
        ] {
            let _case = Case(last);
            let mut fc = Fc::start(&[]);
            let mut client = fc.0.connect();
            client.send(script_request(&format!(
                "say,begun;sleep,200;reconnect;post,x;{last};exit,3"
            )));
            fc.log_with("begun\n");
            fc.0.signal(Signal::STOP);
            thread::sleep(Duration::from_millis(400));
            fc.0.signal(Signal::CONT);
            assert_eq!(read(&mut client, "POST").expect(200).text(), "x");
            fc.script("answer,y").expect(200);
            expect_deaths(&fc.0, 1);
        }
    }

    /// One that dies while it waits for an event is started again, and nobody notices.
    #[test]
    fn while_it_waits() {
        let folder = Folder::new();
        for (index, end) in ["exit,3", "kill", "half-next"].into_iter().enumerate() {
            let count = format!("count,{}", folder.at(&index.to_string()).display());
            let first = [&*count, "1:ask-next", "1:sleep,100", &*format!("1:{end}")];
            let mut words = first.to_vec();
            if end == "half-next" {
                words = vec![
                    &*count,
                    "1:reconnect",
                    "1:half-next",
                    "1:sleep,50",
                    "1:exit,3",
                ];
            }
            let _case = Case(&words);
            if end == "half-next" {
                // It has asked for nothing.
                let line = expect_failure(&mut asker(&words).start());
                assert!(line.contains("exit status 3"), "{line}");
                continue;
            }
            for cloud in CLOUDS {
                let _case = Case(cloud);
                let _ = std::fs::remove_file(folder.at(&index.to_string()));
                let mut instance = cloud.start(asker(&words));
                let count = folder.at(&index.to_string());
                wait_for("the second start", || {
                    (std::fs::read_to_string(&count).unwrap_or_default() == "2").then_some(())
                });
                for turn in 1..4 {
                    instance.call("turn").expect(turn.to_string());
                }
                expect_deaths(&instance.server, 1);
            }
        }
    }

    #[test]
    fn calls_wait_for_the_next_start() {
        let folder = Folder::new();
        let rows: [(&str, &[&str], usize, std::ops::Range<u64>); 4] = [
            ("at once", &[], 1, 0..500),
            ("at once again", &["2:exit,9"], 2, 0..500),
            ("a third try", &["2:exit,9", "3:exit,9"], 3, 90..1000),
            ("one that takes long", &["2+:sleep,700"], 1, 650..2000),
        ];
        at_once(&rows, |(name, words, deaths, range)| {
            let count = format!("count,{}", folder.at(name).display());
            let words = [&[&*count], *words].concat();
            let mut fc = Fc::start(&words);
            let before = fc.script("pid").text();
            let begin = Instant::now();
            assert_eq!(fc.script("exit,3").error().0, "ExitError");
            let mut clients: Vec<_> = (0..8).map(|_| fc.0.connect()).collect();
            for client in &mut clients {
                client.send(script_request("pid"));
            }
            for client in &mut clients {
                assert_ne!(read(client, "POST").expect(200).text(), before);
            }
            let elapsed = begin.elapsed().as_millis() as u64;
            assert!(range.contains(&elapsed), "{elapsed} ms");
            expect_deaths(&fc.0, *deaths);
        });
    }

    /// One that cannot be started again is said to be so, and is tried again.
    #[test]
    fn one_that_is_missing() {
        let folder = Folder::new();
        let text = format!("#!/bin/sh\nexec {}\n", asker_path());
        let path = folder.file("worker", 0o755, &text);
        let program = Program::bootstrap().arguments(["worker", path.to_str().expect("text")]);
        let mut fc = Fc(program.start());
        fc.script("answer,x").expect(200);
        std::fs::remove_file(&path).expect("a file");
        fc.script("exit,3").error();
        let told =
            fc.0.stderr
                .wait_until(|told| told.contains("not started again"));
        assert!(
            told.contains("the program is not started again: "),
            "{told}"
        );
        folder.file("worker", 0o755, &text);
        fc.script("answer,x").expect(200);
        fc.0.stderr.take();
    }

    #[test]
    fn three_ends_are_the_end() {
        let folder = Folder::new();
        let count = format!("count,{}", folder.at("count").display());
        let mut fc = Fc::start(&[&count, "2+:exit,9"]);
        fc.script("answer,x").expect(200);
        fc.script("exit,3").error();
        fc.0.expect_exit(1);
        let told = fc.0.stderr.take() + &fc.0.stdout.take();
        assert!(
            told.contains("the program has ended again and again"),
            "{told}"
        );
        assert_eq!(
            std::fs::read_to_string(folder.at("count")).expect("a count"),
            "4",
            "the first has served a call"
        );
        // A call that is served in between makes it begin anew.
        let mut fc = Fc::start(&[]);
        for _ in 0..5 {
            fc.script("exit,3").error();
            fc.script("answer,x").expect(200);
        }
        // Calls that each end it are none.
        let mut client = fc.0.connect();
        for _ in 0..3 {
            call_on(&mut client, script_request("exit,3")).error();
        }
        client.send(script_request("exit,3"));
        client.read_to_end();
        fc.0.expect_exit(1);
        let told = fc.0.stderr.take() + &fc.0.stdout.take();
        assert!(
            told.contains("the program has ended again and again"),
            "{told}"
        );
    }

    /// Many a client waits for an event for so long and no longer.
    #[test]
    fn one_that_ends_because_there_is_nothing_to_do() {
        let folder = Folder::new();
        let starts = folder.at("starts");
        let script = format!(
            "echo >>{}; exec 3<>/dev/tcp/127.0.0.1/$SCF_RUNTIME_API_PORT
            printf 'GET /runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n' >&3; sleep 0.05",
            starts.display()
        );
        let program = Program::bootstrap().arguments(["worker", "bash", "-c", &script]);
        let server = program.start();
        wait_for("ten starts", || {
            let count = std::fs::read(&starts).map_or(0, |lines| lines.len());
            (count >= 10).then_some(())
        });
        assert_eq!(server.stderr.take(), "");
    }

    /// Who takes too long is told so by SIGTERM, and killed half a margin later.
    #[test]
    fn deadlines() {
        let workers = [
            (
                "told",
                "trap 'echo told >&2; kill $!; exit 0' TERM; ASKER & wait",
            ),
            ("deaf", "trap '' TERM; exec ASKER"),
            ("plain", "exec ASKER"),
        ];
        let rows = CLOUDS.map(|cloud| workers.map(|(what, script)| (cloud, what, script)));
        at_once(rows.as_flattened(), |&(cloud, what, script)| {
            let mut instance = cloud.start(shell(script));
            let before: u32 = instance.call("pid").text().parse().expect("an id");
            for late in ["never", "half,10;never", "sleep,1200;answer,late;never"] {
                let _case = Case(late);
                let begin = Instant::now();
                let (kind, _) = instance.call_within(1000, late).failure();
                let elapsed = begin.elapsed();
                assert_eq!(kind, "TimedOut");
                let range = Duration::from_millis(800)..Duration::from_millis(1100);
                assert!(range.contains(&elapsed), "{elapsed:?}");
                instance.call("answer,fine").expect("fine");
            }
            assert_ne!(instance.call("pid").text(), before.to_string());
            wait_for("its end", || has_ended(before).then_some(()));
            if what == "told" {
                instance.log_with("told\n");
            }
            instance.server.stderr.take();
        });
    }

    /// Where no platform tells one.
    #[test]
    fn a_deadline_of_its_own() {
        let program = asker(&[]).env("FNBOOT_TIMEOUT", 1);
        let mut fc = Fc(program.start());
        let begin = Instant::now();
        let got = fc.script("never");
        assert!(got.status >= 500, "{got:?}");
        assert_eq!(got.error().0, "TimedOut");
        let elapsed = begin.elapsed();
        let range = Duration::from_millis(800)..Duration::from_millis(1300);
        assert!(range.contains(&elapsed), "{elapsed:?}");
        fc.script("answer,fine").expect(200);
        fc.0.stderr.take();
    }

    /// An answer that has begun breaks off when the time is over.
    #[test]
    fn a_deadline_in_the_midst() {
        let mut fc = Fc::start(&[]);
        let before = fc.script("pid").text();
        let mut client = fc.0.connect();
        let fields = format!("{FC}X-Fc-Function-Timeout: 1\r\nContent-Type: text/plain\r\n");
        let begin = Instant::now();
        client.send(post("/", &fields, "stream,text/x;piece,hello;never"));
        let got = String::from_utf8_lossy(&client.read_to_end()).into_owned();
        let elapsed = begin.elapsed();
        let range = Duration::from_millis(800)..Duration::from_millis(1300);
        assert!(range.contains(&elapsed), "{elapsed:?}");
        assert!(
            got.contains("5\r\nhello\r\n") && !got.ends_with("0\r\n\r\n"),
            "{got}"
        );
        assert_ne!(fc.script("pid").text(), before);
        fc.0.stderr.take();
    }

    /// One that does not ask again is as late as one that does not answer.
    #[test]
    fn one_that_does_not_ask_again() {
        each(&[], |instance, _| {
            let before = instance.call("pid").text();
            instance.call("answer,x;never").expect("x");
            let (kind, _) = instance.call_within(1000, "answer,y").failure();
            assert_eq!(kind, "TimedOut");
            assert_ne!(instance.call("pid").text(), before);
            instance.server.stderr.take();
        });
    }

    /// Whoever was told to end has no other event, because it would be killed with it.
    #[test]
    fn one_that_asks_again_when_it_was_told_to_end() {
        let mut fc = Fc(shell("trap '' TERM; exec ASKER").start());
        fc.script("answer,x;sleep,1000").expect(200);
        let [mut late, mut next] = [fc.0.connect(), fc.0.connect()];
        let fields = format!("{FC}X-Fc-Function-Timeout: 1\r\nContent-Type: text/plain\r\n");
        late.send(post("/", &fields, "answer,y"));
        next.send(script_request("sleep,500;answer,z"));
        assert_eq!(read(&mut late, "POST").error().0, "TimedOut");
        assert_eq!(read(&mut next, "POST").expect(200).text(), "z");
    }

    /// A client that reads nothing of an answer keeps no worker beyond the time of its call.
    #[test]
    fn a_deadline_of_a_client_that_stops_reading() {
        let pieces = ";pattern,1000000".repeat(40);
        for end in ["", "exit,3"] {
            let _case = Case(end);
            let mut fc = Fc::start(&[]);
            let before = fc.script("pid").text();
            let mut client = narrow(&fc.0);
            let fields = format!("{FC}X-Fc-Function-Timeout: 1\r\nContent-Type: text/plain\r\n");
            let script = match end {
                "" => format!("stream,a/b{pieces};end"),
                _ => format!("stream,a/b;pattern,5000000;{end}"),
            };
            client.send(post("/", &fields, script));
            client.read_until(|got| !got.is_empty());
            let fields = format!("{FC}X-Fc-Function-Timeout: 5\r\nContent-Type: text/plain\r\n");
            let after = fc.call(post("/", &fields, "pid")).expect(200).text();
            assert_ne!(after, before);
            let got = client.read_to_end();
            assert!(!got.ends_with(b"0\r\n\r\n"));
            fc.log_with("TimedOut");
            assert_eq!(fc.script("pid").expect(200).text(), after);
            fc.0.stderr.take();
        }
    }

    #[test]
    fn sigterm() {
        let script = "trap 'echo told >&2; kill $!; exit 0' TERM; ASKER & wait";
        for dialect in [script, "exec ASKER", "trap '' TERM; exec ASKER"] {
            let _case = Case(dialect);
            let mut server = shell(dialect).start();
            let mut client = server.connect();
            client.send(script_request("leave;say,begun;sleep,400;answer,done"));
            let log = server.stdout.wait_until(|log| log.contains("begun\n"));
            let (_, child) = log.split_once("child ").expect("a child");
            let child = child.lines().next().expect("an id").parse().expect("an id");
            let group = children(server.id());
            server.signal(Signal::TERM);
            let begin = Instant::now();
            assert_eq!(read(&mut client, "POST").expect(200).text(), "done");
            server.expect_exit(0);
            let elapsed = begin.elapsed();
            assert!(elapsed < Duration::from_millis(1500), "{elapsed:?}");
            assert!(group.into_iter().all(has_ended));
            wait_for("the end of its child", || has_ended(child).then_some(()));
            assert_eq!(server.stdout.take().contains("told\n"), dialect == script);
        }
    }

    /// What is being answered is answered to its end.
    #[test]
    fn sigterm_in_the_midst() {
        let mut fc = Fc::start(&[]);
        let mut client = fc.0.connect();
        client.send(script_request("stream,text/x;pieces,4,100;end"));
        client.read_until(|got| find(got, b"piece 0").is_some());
        let group = children(fc.0.id());
        fc.0.signal(Signal::TERM);
        let got = read(&mut client, "POST").expect(200);
        assert_eq!(got.text(), "piece 0\npiece 1\npiece 2\npiece 3\n");
        fc.0.expect_exit(0);
        assert!(group.into_iter().all(has_ended));
    }

    /// The same for one that waits, on each platform.
    #[test]
    fn sigterm_while_it_waits() {
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let program = shell("trap 'echo told >&2; kill $!; exit 0' TERM; ASKER & wait");
            let mut instance = cloud.start(program.env("FNBOOT_WORKERS", 3));
            instance.call("answer,x").expect("x");
            let group = instance.children();
            let begin = Instant::now();
            instance.server.signal(Signal::TERM);
            // An API that is asked is asked to its end, or to the end of patience.
            drop(instance.peers.drain(..));
            instance.server.expect_exit(0);
            let elapsed = begin.elapsed();
            assert!(elapsed < Duration::from_millis(1500), "{elapsed:?}");
            assert!(group.into_iter().all(has_ended));
            instance.log_with("told\n");
        }
    }

    /// Nobody of a worker's group stays when it has died, or fnboot has.
    #[test]
    fn children_of_the_dead() {
        let mut fc = Fc::start(&[]);
        let child = |fc: &Fc| -> u32 {
            let log = fc.0.stdout.wait_until(|log| log.contains("child "));
            fc.0.stdout.take();
            let (_, child) = log.split_once("child ").expect("a child");
            child.lines().next().expect("an id").parse().expect("an id")
        };
        for end in ["exit,3", "kill"] {
            fc.script(&format!("leave;{end}")).error();
            let child = child(&fc);
            fc.script("answer,x").expect(200);
            wait_for("its end", || has_ended(child).then_some(()));
            expect_deaths(&fc.0, 1);
        }
        // One that has left the group is not fnboot's, and is in nobody's way.
        fc.script("leave,setsid;exit,3").error();
        let free = child(&fc);
        fc.script("answer,x").expect(200);
        let _ = rustix::process::kill_process(pid(free), Signal::KILL);
        expect_deaths(&fc.0, 1);
        let worker: u32 = fc.script("pid").text().parse().expect("an id");
        fc.0.signal(Signal::KILL);
        fc.0.wait();
        wait_for("the end of the worker", || has_ended(worker).then_some(()));
    }

    #[test]
    fn a_held_worker_that_is_killed() {
        let held = Held::start();
        let mut worker = held.asking();
        let id = held.pid();
        let mut server = held.server;
        let mut client = server.connect();
        client.send(event("id", "event"));
        next(&mut worker);
        rustix::process::kill_process(pid(id), Signal::KILL).expect("kill");
        let failed = Answer::from(client.read_response("POST").expect("a response"));
        assert_eq!(failed.failure().0, "Signal");
        // Its connections ended with it.
        worker.expect_close();
        wait_for("the next start", || {
            let now = children(server.id());
            (now.len() == 1 && now[0] != id).then_some(())
        });
        expect_deaths(&server, 1);
    }

    /// The end of an answer in pieces comes with that of its connection, which may be later: another process has it, too.
    #[test]
    fn a_held_worker_that_is_killed_in_the_midst() {
        let held = Held::start();
        let mut worker = held.asking();
        let id = held.pid();
        let mut server = held.server;
        let mut client = server.connect();
        client.send(script_request("event"));
        let event = next(&mut worker);
        let fields =
            "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n";
        let path = path(&super::id(&event), "response");
        worker.send(format!(
            "POST {path} HTTP/1.1\r\nHost: x\r\n{fields}\r\n5\r\nhello\r\n"
        ));
        client.read_until(|got| find(got, b"hello").is_some());
        rustix::process::kill_process(pid(id), Signal::KILL).expect("kill");
        wait_for("its end", || has_ended(id).then_some(()));
        thread::sleep(Duration::from_millis(50));
        drop(worker);
        let begin = Instant::now();
        client.read_to_end();
        let elapsed = begin.elapsed();
        assert!(elapsed < Duration::from_secs(3), "{elapsed:?}");
        wait_for("the next start", || {
            (children(server.id()) != [id]).then_some(())
        });
        expect_deaths(&server, 1);
    }
}

mod marks {
    //! What many restarts leave behind: nothing.

    use super::*;

    /// How many there are; `make slow` has more.
    fn restart_count() -> usize {
        let count = std::env::var("FNBOOT_WORKER_RESTARTS").ok();
        count.map_or(100, |count| count.parse().expect("a number"))
    }

    /// Descriptors, children, mappings.
    fn held(server: &Server) -> (usize, usize, usize) {
        let id = server.id();
        let maps = std::fs::read_to_string(format!("/proc/{id}/maps")).expect("maps");
        (
            open_descriptors(id),
            children(id).len(),
            maps.lines().count(),
        )
    }

    #[test]
    fn nothing_is_left_of_restarts() {
        let mut fc = Fc::start(&[]);
        let mut client = fc.0.connect();
        let moments = [
            "exit,3",
            "half,10;exit,3",
            "half,100000;kill",
            "stream,a/b;piece,x;exit,3",
            "post,x;exit,3",
            "leave;exit,3",
            "hang,/2020-01-01/extension/event/next;exit,3",
        ];
        let mut cycle = |turn: usize| {
            let moment = moments[turn % moments.len()];
            let _case = Case((turn, moment));
            if moment.starts_with("stream") {
                let stream = client.stream().peer_addr().expect("an address");
                let mut other = Client::new(TcpStream::connect(stream).expect("connect"));
                other.send(script_request(moment));
                other.read_to_end();
            } else {
                call_on(&mut client, script_request(moment));
            }
            let got = call_on(&mut client, script_request("turn")).expect(200);
            assert_eq!(got.text(), "1");
        };
        (0..7).for_each(&mut cycle);
        // Warm memory and connections that linger have an end.
        thread::sleep(Duration::from_millis(1500));
        let (before, rss_kib) = (held(&fc.0), fc.0.status_kib("RssAnon"));
        (0..restart_count()).for_each(&mut cycle);
        wait_for("what was there before", || {
            let now = held(&fc.0);
            let is_little = fc.0.status_kib("RssAnon") <= rss_kib + 64;
            (now.0 <= before.0 && now.1 == before.1 && now.2 <= before.2 + 2 && is_little)
                .then_some(())
        });
        expect_deaths(&fc.0, 7 + restart_count());
    }

    /// Many calls on new connections leave nothing either.
    #[test]
    fn nothing_is_left_of_connections() {
        let mut fc = Fc::start(&["fresh"]);
        let mut client = fc.0.connect();
        let mut call = |turn: usize| {
            let script = if turn.is_multiple_of(10) {
                "sized,300000".to_owned()
            } else {
                format!("answer,{turn}")
            };
            call_on(&mut client, script_request(&script)).expect(200);
        };
        (0..200).for_each(&mut call);
        thread::sleep(Duration::from_millis(1500));
        let (before, rss_kib) = (held(&fc.0), fc.0.status_kib("RssAnon"));
        (0..1000).for_each(&mut call);
        wait_for("what was there before", || {
            let now = held(&fc.0);
            let is_little = fc.0.status_kib("RssAnon") <= rss_kib + 64;
            (now.0 <= before.0 && now.1 == before.1 && now.2 <= before.2 + 2 && is_little)
                .then_some(())
        });
    }
}

/// fnboot is a program that asks a runtime API, too: its own echo, as its own worker.
#[test]
fn fnboot_as_a_worker() {
    let own = bootstrap();
    for cloud in CLOUDS {
        let _case = Case(cloud);
        let program = Program::bootstrap().arguments(["worker".as_ref(), own.as_os_str()]);
        let mut instance = cloud.start(program);
        let long = noise(MIB);
        for event in [&b"{\"a\":1}"[..], b"", &long] {
            instance.call(event).expect(event);
        }
        let worker = instance.children();
        instance.server.signal(Signal::TERM);
        drop(instance.peers.drain(..));
        instance.server.expect_exit(0);
        assert!(worker.into_iter().all(has_ended));
        assert!(Path::new(&own).is_file());
    }
}
