//! Calls that are put off and answered later: `tests/fixture/deferred.rs`, whose events say when and how.

use std::fs;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::Value;

use crate::api::{Api, ID, PLATFORMS, Peer, Platform, response};
use crate::fc::expect_sleep;
use crate::harness::{
    self, Barrier, Case, Client, Program, Server, assert_same, chunked, example, narrow, noise,
    post, wait_for,
};

const MIB: usize = 1024 * 1024;

fn program() -> Program {
    Program::fixture("deferred")
}

fn server() -> Server {
    program().start()
}

fn event(text: impl AsRef<[u8]>) -> Vec<u8> {
    post("/invoke", "X-Fc-Request-Id: id\r\n", text)
}

/// The same with a time limit.
fn limited(seconds: u32, text: &str) -> Vec<u8> {
    let fields = format!("X-Fc-Request-Id: id\r\nX-Fc-Function-Timeout: {seconds}\r\n");
    post("/invoke", &fields, text)
}

fn get(path: &str) -> String {
    harness::get(path, "X-Fc-Request-Id: id\r\n")
}

const START: &str = "FC Invoke Start RequestId: id";
const END: &str = "FC Invoke End RequestId: id";
const FAILED: &str = "FC Invoke End RequestId: id, Error: Unhandled function error";

/// How many calls were put off, resumed and abandoned.
type Counts = (usize, usize, usize);

#[track_caller]
fn parsed(text: &str) -> Counts {
    let words = text.trim_matches(['(', ')']).split(", ");
    let counts: Vec<usize> = words.map(|word| word.parse().expect("a number")).collect();
    (counts[0], counts[1], counts[2])
}

#[track_caller]
fn counts(server: &mut Server) -> Counts {
    parsed(&server.call(event("counts"), 200).text())
}

/// Type and message of a failure.
#[track_caller]
fn failure(body: &[u8]) -> (String, String) {
    let json: Value = serde_json::from_slice(body).expect("JSON");
    let text = |name: &str| json[name].as_str().expect("text").to_owned();
    (text("errorType"), text("errorMessage"))
}

#[track_caller]
fn expect_timed_out(body: &[u8]) {
    let want = ("TimedOut", "no answer before the deadline");
    let (kind, message) = failure(body);
    assert_eq!((kind.as_str(), message.as_str()), want);
}

fn now_ms() -> u128 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.expect("now").as_millis()
}

/// An event of Lambda that ends in so many milliseconds.
fn ending_in(ms: u128, text: &str) -> Vec<u8> {
    let fields = Platform::Lambda.fields(ID);
    let fields = fields.replace("4102444800000", &(now_ms() + ms).to_string());
    response("200 OK", &fields, text)
}

/// What a resumed call logs, between its markers.
fn markers_and_lines(server: &Server, count: usize) -> Vec<String> {
    let lines = server.stdout.wait_lines(count);
    let shown = |line: &String| match line.split_once("[INFO] ") {
        Some((_, text)) => text.to_owned(),
        None => line.clone(),
    };
    lines.iter().map(shown).collect()
}

#[test]
fn an_answer_comes_later_and_others_before_it() {
    let mut server = server();
    let mut client = server.connect();
    let begin = Instant::now();
    client.send(event("after 200 late"));
    let mut other = server.connect();
    for _ in 0..10 {
        let text = other.send(event("direct 0 early")).expect(200).text();
        assert_eq!(text, "early");
    }
    client.expect_silence();
    let answer = client.expect(200);
    assert!(begin.elapsed() >= Duration::from_millis(200));
    assert_eq!(answer.text(), "late");
    assert_eq!(answer.header("x-fc-status"), Some("200"));
    let kind = answer.header("content-type");
    assert_eq!(kind, Some("application/octet-stream"));
    assert_eq!(counts(&mut server), (1, 1, 0));
    // And the next one on the same connection.
    assert_eq!(client.send(event("after 5 b")).expect(200).text(), "b");
    assert_eq!(client.send(event("direct 0 c")).expect(200).text(), "c");
    // What waits costs nothing.
    client.send(event("never"));
    other.send(event("direct")).expect(200);
    expect_sleep(&server);
}

/// It is served before there is anything to wait with.
#[test]
fn the_first_call_of_a_process_may_be_put_off() {
    for text in ["at-once 0 first", "after 0 first", "after 100 first"] {
        let _case = Case(text);
        let mut server = server();
        let mut client = server.connect();
        assert_eq!(client.send(event(text)).expect(200).text(), "first");
        assert_eq!(counts(&mut server), (1, 1, 0));
    }
    let mut server = server();
    let mut client = server.connect();
    client.send([limited(1, "never"), event("direct 0 b")].concat());
    expect_timed_out(&client.expect(404).body);
    assert_eq!(client.expect(200).text(), "b");
    // One whose client has gone by then.
    let mut server = server_with_a_vanished_first();
    wait_for("the first call to be abandoned", || {
        (counts(&mut server) == (1, 0, 1)).then_some(())
    });
}

fn server_with_a_vanished_first() -> Server {
    let mut server = server();
    let mut client = server.connect();
    client.send(event("never"));
    server.stdout.wait_until(|log| log.contains(START));
    client.reset();
    server
}

/// All that a handler does for a call, and the marker of its end, are in the log before the answer.
#[test]
fn the_log_is_out_before_the_answer() {
    let (mut reader, writer) = std::io::pipe().expect("pipe");
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).expect("fcntl");
    let mut server = program().stdout(writer).start();
    let mut client = server.connect();
    for (text, status, last) in [
        ("at-once 0 x", 200, END),
        ("after 5 x", 200, END),
        ("fail 5", 404, FAILED),
        ("failed", 404, FAILED),
    ] {
        for _ in 0..20 {
            client.send(event(text)).expect(status);
            let mut log = [0; 4096];
            let count = std::io::Read::read(&mut reader, &mut log).expect("it is there");
            let log = String::from_utf8_lossy(&log[..count]).into_owned();
            let is_whole = log.starts_with(&format!("{START}\n"))
                && log.contains(" id [INFO] resumed\n")
                && log.ends_with(&format!("{last}\n"));
            assert!(is_whole, "{text}: {log:?}");
        }
    }
}

#[test]
fn failures_in_the_end() {
    let mut server = server();
    let mut client = server.connect();
    for (text, kind, message) in [
        ("fail 5", "Broken", "in the end"),
        ("failed", "Failed", "by its sender"),
        ("panic 5", "Panic", "in the end"),
        (
            "defer 5",
            "NoDefer",
            "an answer that comes later cannot be put off again",
        ),
    ] {
        let _case = Case(text);
        let answer = client.send(event(text)).expect(404);
        let (got_kind, got_message) = failure(&answer.body);
        assert_eq!((got_kind.as_str(), got_message.as_str()), (kind, message));
        assert_eq!(answer.header("x-fc-status"), Some("404"));
        let log = server.stdout.wait_until(|log| log.contains(FAILED));
        assert!(log.contains(&format!("{kind}: {message}")), "{log}");
        assert_eq!(log.matches(END).count(), 1, "{log}");
        server.stdout.take();
        let answer = client
            .send(get(&format!("/{}", text.replace(' ', "/"))))
            .expect(500);
        assert_eq!(failure(&answer.body).0, kind);
        server.stdout.wait_until(|log| log.contains(FAILED));
        server.stdout.take();
    }
    assert_eq!(counts(&mut server), (8, 8, 0));
    let is_all = |text: &str| text.matches("in the end").count() == 2 && text.ends_with('\n');
    server.stderr.wait_until(is_all);
    server.stderr.take();
}

/// An event gets all pieces at once, a request each as it comes; the marker is at the end of either.
#[test]
fn an_answer_that_comes_later_goes_on() {
    const PIECES: &str = "piece\npiece\npiece\n";
    let mut server = server();
    let mut client = server.connect();
    let answer = client.send(event("stream 5")).expect(200);
    assert_eq!(answer.text(), PIECES);
    assert_eq!(answer.header("content-length"), Some("18"));
    let request = harness::get("/stream/5", "X-Fc-Request-Id: id\r\nConnection: close\r\n");
    let mut other = server.connect();
    other.send(request);
    let answer = other.read_to_end();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let chunks = "00000006\r\npiece\n\r\n".repeat(3) + "0\r\n\r\n";
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
    assert!(answer.ends_with(&chunks), "{answer}");
    let log = server
        .stdout
        .wait_until(|log| log.matches(END).count() == 2);
    assert_eq!(log.matches(START).count(), 2, "{log}");
    // The connection is used again.
    assert_eq!(client.send(event("5")).expect(200).status, 200);
    assert_eq!(counts(&mut server), (3, 3, 0));
}

/// An error ends the call at once: it is neither resumed nor abandoned.
#[test]
fn failures_before_the_call_returns() {
    const NEITHER: &str = "neither beside a stream, nor in a hook that nothing asked for";
    let mut server = server();
    let mut client = server.connect();
    for (text, kind, message) in [
        ("now-fail", "Broken", "after all"),
        ("now-panic", "Panic", "after all"),
        ("now-stream-then-defer", "NoDefer", NEITHER),
        ("now-defer-then-stream", "NoDefer", NEITHER),
    ] {
        let _case = Case(text);
        let answer = client.send(event(text)).expect(404);
        let (got_kind, got_message) = failure(&answer.body);
        assert_eq!((got_kind.as_str(), got_message.as_str()), (kind, message));
        client.send(get(&format!("/{text}"))).expect(500);
    }
    assert_eq!(client.send(event("now-twice 0 a")).expect(200).text(), "a");
    let (deferred, resumed, abandoned) = counts(&mut server);
    // The three that were given a number, by an event and by a request, and the last.
    assert_eq!((deferred, resumed, abandoned), (7, 1, 0));
    server
        .stderr
        .wait_until(|text| text.matches("after all").count() == 2 && text.ends_with('\n'));
    server.stderr.take();
}

/// What a call returns that is put off is dropped, also where it could not be sent.
#[test]
fn a_response_beside_a_deferral_is_dropped() {
    let mut server = server();
    let mut client = server.connect();
    client.send(get("/now-refused"));
    Barrier::new_for(&mut server, event("direct"));
    client.expect_silence();
    client.reset();
    wait_for("the call to be abandoned", || {
        (counts(&mut server) == (1, 0, 1)).then_some(())
    });
}

#[test]
fn a_handler_that_says_it_does_not_put_off() {
    let mut server = program().env("PLAIN", 1).start();
    let answer = server.call(event("after 5 a"), 404);
    assert_eq!(
        failure(&answer.body),
        ("NoDefer".into(), "DEFERS is false".into())
    );
    server.call(get("/after/5/a"), 500);
    assert_eq!(server.call(event("direct 0 a"), 200).text(), "a");
    assert_eq!(counts(&mut server), (0, 0, 0));
}

/// Streams go on beside calls that wait.
#[test]
fn streams_and_deferrals_side_by_side() {
    let mut server = server();
    let mut client = server.connect();
    let late = event("after 30 late");
    let wire = [
        &late,
        get("/streamed").as_bytes(),
        &late,
        &event("streamed"),
        &late,
    ]
    .concat();
    client.send(wire);
    assert_eq!(client.expect(200).text(), "late");
    let streamed = client.read_bytes_until(b"\r\n0\r\n\r\n");
    assert!(harness::find(&streamed, b"piece\n").is_some());
    assert_eq!(client.expect(200).text(), "late");
    assert_eq!(client.expect(200).text(), "piece\n".repeat(3));
    assert_eq!(client.expect(200).text(), "late");
    assert_eq!(counts(&mut server), (3, 3, 0));
}

#[test]
fn http_functions_answer_later_too() {
    let mut server = server();
    let mut client = server.connect();
    let answer = client.send(get("/after/20/late")).expect(200);
    assert_eq!(answer.text(), "late");
    assert_eq!(answer.header("x-late"), Some("yes"));
    assert_eq!(
        client.send(get("/after/5/status/201")).expect(201).text(),
        "status 201"
    );
    client.send(get("/after/5/status/204")).expect(204);
    let answer = client.send(get("/after/5/status/600")).expect(500);
    assert_eq!(failure(&answer.body).0, "BadResponse");
    assert_eq!(counts(&mut server), (4, 4, 0));
}

#[test]
fn every_kind_of_request_may_wait() {
    let mut server = server();
    let mut client = server.connect();
    client.send(get("/after/20/late").replacen("GET", "HEAD", 1));
    let head = client.expect_head(200);
    assert_eq!(head.header("content-length"), Some("4"));
    assert_eq!(head.header("x-late"), Some("yes"));
    // A body that is waited for.
    let head =
        "POST /invoke HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 10\r\n\r\n";
    client.send(head).expect_continue();
    assert_eq!(client.send("after 20 a").expect(200).text(), "a");
    // In chunks.
    client.send(chunked("/invoke", "", b"after 20 chunked", 3));
    assert_eq!(client.expect(200).text(), "chunked");
    client.expect_silence();
    // HTTP/1.0, and the end of the connection.
    for (version, fields, is_open) in [
        ("1.0", "", false),
        ("1.0", "Connection: keep-alive\r\n", true),
        ("1.1", "Connection: close\r\n", false),
    ] {
        let mut client = server.connect();
        client.send(format!(
            "GET /after/20/late HTTP/{version}\r\nHost: h\r\n{fields}\r\n"
        ));
        let answer = client.expect(200);
        assert_eq!(answer.text(), "late");
        if is_open {
            assert_eq!(answer.header("connection"), Some("keep-alive"));
            assert_eq!(client.send(event("direct 0 a")).expect(200).text(), "a");
        } else {
            assert_eq!(answer.header("connection"), Some("close"));
            client.expect_close();
        }
    }
}

#[test]
fn long_events_and_answers() {
    let mut server = server();
    let body = noise(8 * MIB);
    let text = [b"after 50 ", &body[..]].concat();
    let mut client = server.connect();
    client.send(event(&text));
    let mut barrier = Barrier::new_for(&mut server, event("direct 0 a"));
    barrier.pass();
    // What waits is the record of the call, not its event; the fixture has its copy.
    assert_same(&client.expect(200).body, &body);
    client.send(chunked("/invoke", "", &text, 100_000));
    assert_same(&client.expect(200).body, &body);
    let want: Vec<u8> = (0..251).cycle().take(8 * MIB).collect();
    assert_same(&client.send(event("large 8")).expect(200).body, &want);
    // A slow reader, while the handler answers others from the same place.
    let mut slow = narrow(&server);
    slow.send(
        [
            event("large 8"),
            event("after 5 behind"),
            event("direct 0 last"),
        ]
        .concat(),
    );
    let mut other = server.connect();
    for _ in 0..20 {
        assert_eq!(other.send(event("after 1 b")).expect(200).text(), "b");
    }
    assert_same(&slow.expect(200).body, &want);
    assert_eq!(slow.expect(200).text(), "behind");
    assert_eq!(slow.expect(200).text(), "last");
    drop((client, other, slow));
    wait_for("the memory", || {
        counts(&mut server);
        (server.status_kib("RssAnon") < 64 * 1024).then_some(())
    });
}

/// They are answered in the order in which they came, whatever takes how long.
#[test]
fn requests_behind_a_deferral_wait_for_their_turn() {
    let mut server = server();
    let mut client = server.connect();
    let texts = [
        "after 60 a",
        "direct 0 b",
        "after 30 c",
        "at-once 0 d",
        "at-once 0 e",
        "direct 0 f",
        "direct 0 g",
        "after 1 h",
        "after 0 i",
    ];
    let wire: Vec<u8> = texts.iter().flat_map(event).collect();
    let last = |text: &str| text[text.len() - 1..].to_owned();
    // All at once, cut anywhere, and with pauses, in which what came before is looked at.
    for cut in [wire.len(), 1, 150, 155, 160, 400, wire.len() - 1] {
        client.send(&wire[..cut]);
        server.call(event("direct 0 x"), 200);
        client.send(&wire[cut..]);
        for text in texts {
            assert_eq!(client.expect(200).text(), last(text), "cut at {cut}");
        }
    }
    client.expect_silence();
}

/// While a call waits nothing is read: what a client sends stays in the kernel, up to what that takes.
#[test]
fn nothing_is_read_while_a_call_waits() {
    let mut server = server();
    let mut client = server.connect();
    client.send(event("held"));
    let mut barrier = Barrier::new_for(&mut server, event("direct 0 a"));
    barrier.pass();
    let memory = server.status_kib("RssAnon");
    let behind = event([&b"direct 0 "[..], &noise(100_000)].concat());
    let sender = client.send_meanwhile(behind.repeat(200));
    wait_for("the kernel to be full", || {
        let its = harness::peer_of(client.stream());
        (its.is_some_and(|its| its.unread_bytes > 100_000)).then_some(())
    });
    barrier.pass();
    expect_sleep(&server);
    assert!(server.status_kib("RssAnon") < memory + 512);
    client.expect_silence();
    server.call(event("release"), 200);
    assert_eq!(client.expect(200).text(), "");
    for _ in 0..200 {
        assert_same(&client.expect(200).body, &noise(100_000));
    }
    assert!(sender.join().expect("a sender"));
}

/// Thousands of calls that are put off and ready at once, behind each other in one piece: none waits for
/// a wake that has been, and the stack of one is enough.
#[test]
fn pipelined_deferrals_are_all_woken() {
    const COUNT: usize = 3_000;
    let before = chunked(
        "/invoke",
        "",
        &[b"direct 0 ", &noise(400_000)[..]].concat(),
        100_000,
    );
    let mut server = program()
        .in_shell("ulimit -s 1024 && exec \"$0\" > /dev/null")
        .start();
    let mut client = server.connect();
    let wire = [before, event("at-once 0 x").repeat(COUNT)].concat();
    let sender = client.send_meanwhile(wire);
    assert_eq!(client.expect(200).body.len(), 400_000);
    for _ in 0..COUNT {
        assert_eq!(client.expect(200).text(), "x");
    }
    assert!(sender.join().expect("a sender"));
    assert_eq!(counts(&mut server), (COUNT, COUNT, 0));
}

/// More than the loop answers in a row, also where the waker tells of them only once.
#[test]
fn two_hundred_at_once_in_reverse_order() {
    const COUNT: usize = 200;
    for waker in ["", "eager"] {
        let _case = Case(waker);
        let mut server = program().env("WAKER", waker).start();
        let mut clients: Vec<Client> = (0..COUNT).map(|_| server.connect()).collect();
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(event(format!("held 0 {index}")));
        }
        wait_for("all of them", || {
            (counts(&mut server).0 == COUNT).then_some(())
        });
        for client in &mut clients {
            client.expect_silence();
        }
        server.call(event("release"), 200);
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.expect(200).text(), index.to_string());
        }
        assert_eq!(counts(&mut server), (COUNT, COUNT, 0));
        expect_sleep(&server);
    }
}

/// A moment before the platform ends the call, and once.
#[test]
fn the_deadline_of_fc() {
    let mut server = server();
    let mut client = server.connect();
    let limit = "X-Fc-Function-Timeout: 1\r\nX-Fc";
    let page = get("/never").replacen("X-Fc", limit, 1);
    let times = [(limited(1, "never"), 404), (page.into_bytes(), 500)].map(|(request, status)| {
        let begin = Instant::now();
        client.send([request, event("direct 0 behind")].concat());
        expect_timed_out(&client.expect(status).body);
        let time = begin.elapsed();
        assert_eq!(client.expect(200).text(), "behind");
        time.as_millis()
    });
    // The machine may be busy at one of them.
    let least = times.into_iter().min().expect("two");
    assert!((900..1000).contains(&least), "{times:?}");
    assert_eq!(counts(&mut server), (2, 0, 2));
    let log = server.stdout.text();
    assert_eq!(log.matches("abandoned ").count(), 2);
    assert_eq!(log.matches(FAILED).count(), 2);
    let line = "id [ERROR] TimedOut: no answer before the deadline\n";
    assert_eq!(log.matches(line).count(), 2, "{log}");
    // What comes then is for nobody: not for the next call on the same connection.
    client.send(event("held 0 mine"));
    wait_for("it", || (counts(&mut server).0 == 3).then_some(()));
    server.call(event("answer-gone"), 200);
    server.call(event("release"), 200);
    assert_eq!(client.expect(200).text(), "mine");
    assert_eq!(counts(&mut server), (3, 1, 2));
}

#[test]
fn the_deadline_of_lambda_and_scf() {
    for platform in PLATFORMS {
        let _case = Case(platform);
        let api = Api::new(platform);
        let (_server, mut peer) = api.begin(program());
        let begin = Instant::now();
        let wire = match platform {
            Platform::Lambda => ending_in(3000, "never"),
            Platform::Scf => peer.rendered("never"),
        };
        peer.send(wire);
        expect_timed_out(&peer.expect_error().body);
        let time = begin.elapsed().as_millis();
        assert!((2800..3000).contains(&time), "{time}");
        peer.accept().expect_next();
        peer.event("counts");
        assert_eq!(parsed(&peer.expect_response().text()), (1, 0, 1));
        peer.accept().expect_next();
        peer.event("answer-gone").expect_response();
        peer.accept().expect_next();
        peer.event("after 20 b");
        assert_eq!(peer.expect_response().text(), "b");
        peer.accept().expect_next();
        api.expect_no_connection();
    }
}

/// One that has passed before the call came is no different.
#[test]
fn a_deadline_that_has_passed() {
    let api = Api::new(Platform::Lambda);
    let (_server, mut peer) = api.begin(program());
    for text in ["never", "after 2000 a"] {
        let fields = Platform::Lambda.fields(ID).replace("4102444800000", "1000");
        peer.send(response("200 OK", &fields, text));
        expect_timed_out(&peer.expect_error().body);
        peer.accept().expect_next();
    }
}

#[test]
fn a_client_that_vanishes_ends_its_call_once() {
    let mut server = server();
    for (round, text) in ["never", "after 100 a", "held"].into_iter().enumerate() {
        let mut client = server.connect();
        client.send([event(text), event("direct 0 b")].concat());
        wait_for("it", || (counts(&mut server).0 == round + 1).then_some(()));
        server.stdout.take();
        client.reset();
        wait_for("the call to be abandoned", || {
            (counts(&mut server) == (round + 1, 0, round + 1)).then_some(())
        });
        let log = server.stdout.wait_until(|log| log.contains(FAILED));
        assert_eq!(log.matches("abandoned ").count(), 1);
        let line = "id [ERROR] Abandoned: nobody waits for the answer any more\n";
        assert!(log.contains(line), "{log}");
    }
    // What comes for them later reaches nobody, also whoever has their place now.
    let mut client = server.connect();
    client.send(event("held 0 mine"));
    wait_for("it", || (counts(&mut server).0 == 4).then_some(()));
    server.call(event("answer-gone"), 200);
    client.expect_silence();
    server.call(event("release"), 200);
    assert_eq!(client.expect(200).text(), "mine");
    assert_eq!(counts(&mut server), (4, 1, 3));
}

/// Its answer and its reset are seen in the same moment.
#[test]
fn an_answer_and_a_reset_at_once() {
    let mut server = server();
    server.call(event("direct 0 a"), 200);
    for round in 1..=20 {
        let mut client = server.connect();
        client.send(event("held"));
        wait_for("it", || (counts(&mut server).0 == round).then_some(()));
        let mut other = server.connect();
        server.signal(Signal::STOP);
        if round % 2 == 0 {
            other.send(event("release"));
            client.reset();
        } else {
            client.reset();
            other.send(event("release"));
        }
        server.signal(Signal::CONT);
        other.expect(200);
        wait_for("its end", || {
            let (_, resumed, abandoned) = counts(&mut server);
            (resumed + abandoned == round).then_some(())
        });
    }
}

/// It has said all it had to say, and waits.
#[test]
fn a_half_closed_client_gets_its_answer() {
    let mut server = server();
    for text in ["after 100 late", "large 8"] {
        let mut client = server.connect();
        client
            .send([event(text), event("after 20 b")].concat())
            .finish();
        let answer = client.expect(200);
        assert!(answer.text() == "late" || answer.body.len() == 8 * MIB);
        assert_eq!(client.expect(200).text(), "b");
        client.expect_close();
    }
    assert_eq!(counts(&mut server), (4, 4, 0));
}

/// A peer that says nothing is looked for, also while its call waits.
#[test]
fn a_waiting_connection_is_kept_alive() {
    let mut server = server();
    for text in ["never", "never"] {
        let mut client = server.connect();
        client.send(event(text));
        wait_for("TCP keep-alive", || {
            harness::peer_of(client.stream())?.keepalive_seconds
        });
    }
}

#[test]
fn sigterm_lets_calls_end() {
    let mut server = server();
    let mut client = server.connect();
    let mut half = server.connect();
    client.send([event("after 300 late"), event("direct 0 never")].concat());
    half.send(event("after 300 half")).finish();
    wait_for("them", || (counts(&mut server).0 == 2).then_some(()));
    server.signal(Signal::TERM);
    let answer = client.expect(200);
    assert_eq!(answer.text(), "late");
    assert_eq!(answer.header("connection"), Some("close"));
    client.expect_close();
    assert_eq!(half.expect(200).text(), "half");
    server.expect_exit(0);
    for platform in PLATFORMS {
        let _case = Case(platform);
        let api = Api::new(platform);
        let (mut server, mut peer) = api.begin(program());
        peer.event("after 300 late").wait_until_read();
        server.signal(Signal::TERM);
        assert_eq!(peer.expect_response().text(), "late");
        peer.accept().expect_close();
        server.expect_exit(0);
    }
}

/// What has no answer after ten seconds is given up, once.
#[test]
fn sigterm_gives_up_after_a_while() {
    let mut server = server();
    let mut clients: Vec<Client> = (0..3).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(event("never"));
    }
    wait_for("them", || (counts(&mut server).0 == 3).then_some(()));
    let polled = PLATFORMS.map(|platform| {
        let api = Api::new(platform);
        let (server, mut peer) = api.begin(program());
        // SCF's own limit, and a long one of Lambda's.
        let fields = platform.fields(ID).replace("3000", "60000");
        peer.send(response("200 OK", &fields, "never"))
            .wait_until_read();
        (api, server, peer)
    });
    let begin = Instant::now();
    server.signal(Signal::TERM);
    for (_, server, _) in &polled {
        server.signal(Signal::TERM);
    }
    server.expect_exit(0);
    let time = begin.elapsed();
    assert!((9_900..12_000).contains(&time.as_millis()), "{time:?}");
    for client in &mut clients {
        client.expect_close();
    }
    let log = server.stdout.take();
    assert_eq!(log.matches("abandoned ").count(), 3, "{log}");
    assert_eq!(log.matches(FAILED).count(), 3, "{log}");
    for (_, mut server, _) in polled {
        server.expect_exit(0);
        let log = server.stdout.take();
        assert_eq!(log.matches("abandoned ").count(), 1, "{log}");
    }
}

#[test]
fn polled_events_are_answered_later() {
    for platform in PLATFORMS {
        let _case = Case(platform);
        let api = Api::new(platform);
        let (server, mut peer) = api.begin(program());
        for (text, want) in [
            ("at-once 0 a", "a"),
            ("after 50 b", "b"),
            ("direct 0 c", "c"),
            ("after 0 d", "d"),
        ] {
            peer.event(text);
            assert_eq!(peer.expect_response().text(), want);
            peer.accept().expect_next();
        }
        let body = noise(6 * MIB);
        peer.event([b"after 50 ", &body[..]].concat());
        assert_same(&peer.expect_response().body, &body);
        peer.accept().expect_next();
        peer.event("large 8");
        assert_eq!(peer.expect_response().body.len(), 8 * MIB);
        peer.accept().expect_next();
        for text in ["fail 5", "now-fail", "failed"] {
            peer.event(text).expect_error();
            peer.accept().expect_next();
        }
        // It waits at no cost.
        peer.event("held").wait_until_read();
        expect_sleep(&server);
        api.expect_no_connection();
    }
}

/// With `Connection: close`, by its end, and by a reset: an answer that comes later goes out on a new one.
#[test]
fn an_api_that_ends_the_connection_meanwhile() {
    type End = fn(&Api, Peer) -> Option<Peer>;
    const ENDS: [(&str, End); 4] = [
        ("fin", |_, mut peer| {
            peer.event("after 500 late").wait_until_read();
            peer.finish();
            Some(peer)
        }),
        ("end", |_, mut peer| {
            peer.event("after 500 late").wait_until_read();
            drop(peer);
            None
        }),
        ("reset", |_, mut peer| {
            peer.event("after 500 late").wait_until_read();
            peer.reset();
            None
        }),
        ("said", |api, mut peer| {
            let fields = format!("{}Connection: close\r\n", api.platform.fields(ID));
            peer.send(response("200 OK", &fields, "after 500 late"));
            Some(peer)
        }),
    ];
    for platform in PLATFORMS {
        for (name, end) in ENDS {
            let _case = Case((platform, name));
            let api = Api::new(platform);
            let (server, peer) = api.begin(program());
            let kept = end(&api, peer);
            expect_sleep(&server);
            let mut peer = api.accept();
            assert_eq!(peer.expect_response().text(), "late");
            peer.accept().expect_next();
            peer.event("counts");
            assert_eq!(parsed(&peer.expect_response().text()), (1, 1, 0));
            peer.accept().expect_next();
            api.expect_no_connection();
            drop(kept);
        }
    }
}

/// Bytes that nobody asked for are not taken for the response to an answer.
#[test]
fn an_api_that_says_something_meanwhile() {
    for platform in PLATFORMS {
        let _case = Case(platform);
        let api = Api::new(platform);
        let (_server, mut peer) = api.begin(program());
        peer.event("after 1000 late").wait_until_read();
        peer.reply("202 Accepted", "{}");
        let mut peer = api.accept();
        assert_eq!(peer.expect_response().text(), "late");
        peer.accept().expect_next();
    }
}

#[test]
fn streamed_answers_of_lambda_may_come_later() {
    let api = Api::new(Platform::Lambda);
    let (_server, mut peer) = api.begin(program().env("FNBOOT_STREAMING", "on"));
    let answer = {
        peer.event("after 50 late");
        peer.expect_response()
    };
    let mode = answer.header("lambda-runtime-function-response-mode");
    assert_eq!(mode, Some("streaming"));
    let text = answer.text();
    assert!(
        text.starts_with("{\"statusCode\":200") && text.ends_with("late"),
        "{text}"
    );
    assert!(text.contains("X-Late"), "{text}");
    peer.accept().expect_next();
    peer.event("fail 5").expect_error();
    peer.accept().expect_next();
    peer.send(ending_in(500, "never"));
    expect_timed_out(&peer.expect_error().body);
    peer.accept().expect_next();
    peer.event("streamed");
    assert!(peer.expect_response().text().ends_with("piece\n"));
    peer.accept().expect_next();
}

/// Managed Instances: as many calls wait as there are connections.
#[test]
fn many_events_at_once() {
    let api = Api::new(Platform::Lambda);
    let program = program().env("AWS_LAMBDA_MAX_CONCURRENCY", 8);
    let _server = api.start(program);
    let mut peers: Vec<Peer> = (0..8).map(|_| api.accept()).collect();
    for round in 0..3 {
        for (index, peer) in peers.iter_mut().enumerate() {
            peer.expect_next();
            let text = format!("held 0 {round} {index}");
            let fields = Platform::Lambda.fields(&format!("{round}-{index}"));
            let text = if index == 7 { "after 300 last" } else { &text };
            peer.send(response("200 OK", &fields, text));
            peer.wait_until_read();
        }
        for (index, peer) in peers.iter_mut().enumerate().rev() {
            let request = peer.expect(&Platform::Lambda.response(&format!("{round}-{index}")));
            if index == 7 {
                assert_eq!(request.text(), "last");
                peer.accept().expect_next();
                peer.event("release").expect_response();
            } else {
                assert_eq!(request.text(), format!("{round} {index}"));
            }
            peer.accept();
        }
    }
    api.expect_no_connection();
}

#[test]
fn an_initialization_may_be_put_off_where_it_is_asked_for() {
    let mut server = program().env("INITIALIZE", 1).start();
    let mut client = server.connect();
    let begin = Instant::now();
    client
        .send(post("/initialize", "X-Fc-Request-Id: id\r\n", ""))
        .expect(200);
    assert!(begin.elapsed() >= Duration::from_millis(50));
    let log = markers_and_lines(&server, 3);
    let initialize = |line: &str| line.replace("Invoke", "Initialize");
    assert_eq!(log, [&*initialize(START), "resumed", &*initialize(END)]);
    assert_eq!(counts(&mut server), (1, 1, 0));
    // Nobody asks for it: there is nothing that could come later.
    let want = "[ERROR] NoDefer: neither beside a stream, nor in a hook that nothing asked for";
    let api = Api::new(Platform::Lambda);
    let mut server = api.start(program().env("INITIALIZE", 1));
    let mut peer = api.accept();
    let error = peer.expect("POST /2018-06-01/runtime/init/error");
    assert_eq!(failure(&error.body).0, "NoDefer");
    peer.accept();
    server.expect_exit(1);
    assert!(server.stdout.take().contains(want));
    let api = Api::new(Platform::Scf);
    let mut server = api.start(program().env("INITIALIZE", 1));
    server.expect_exit(1);
    assert!(server.stdout.take().contains(want));
    server.stderr.take();
}

#[test]
fn a_waker_may_come_late() {
    let mut server = program().env("WAKER", "late").start();
    let mut client = server.connect();
    client.send(event("at-once 0 a"));
    let mut other = server.connect();
    other.send(event("direct 0 b")).expect(200);
    client.expect_silence();
    // The third call; the fixture has a waker from now on.
    other.send(event("direct 0 c")).expect(200);
    assert_eq!(client.expect(200).text(), "a");
}

#[test]
fn a_bad_waker_is_named() {
    for (waker, why) in [("none", "EBADF"), ("file", "EPERM")] {
        let (status, _, line) = program().env("WAKER", waker).run();
        assert_eq!(status.code(), Some(1), "{line}");
        let want = "fnboot: cannot wait for the handler's waker: ";
        assert!(line.starts_with(want), "{why}: {line}");
    }
}

/// A number that is told twice names no call the second time.
#[test]
fn a_number_is_used_once() {
    let mut server = server();
    let mut client = server.connect();
    client.send(event("twice 20 a"));
    assert_eq!(client.expect(200).text(), "a");
    client.send(event("after 20 b"));
    assert_eq!(client.expect(200).text(), "b");
    assert_eq!(counts(&mut server), (2, 2, 0));
}

/// Chance that a seed decides: xorshift64*.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % most
    }
}

/// One client that pipelines some calls, of which some are put off, and then reads all answers, or goes
/// without them. How many were put off, at the most.
fn pipeline(client: &mut Client, chance: &mut Chance, round: usize) {
    let calls: Vec<(Vec<u8>, String)> = (0..=chance.below(8))
        .map(|index| {
            let text = format!("{round}-{index} {}", "x".repeat(chance.below(3) * 20_000));
            let how = ["direct", "after", "after", "at-once"][chance.below(4)];
            let wire = event(format!("{how} {} {text}", chance.below(5)));
            (wire, text)
        })
        .collect();
    let wire = calls.iter().map(|(wire, _)| &wire[..]);
    let wire = wire.collect::<Vec<_>>().concat();
    let cut = chance.below(wire.len());
    let sender = client.send_meanwhile(wire[..cut].to_vec());
    assert!(sender.join().expect("a sender"));
    let sender = client.send_meanwhile(wire[cut..].to_vec());
    for (_, text) in calls {
        assert_eq!(client.expect(200).text(), text);
    }
    assert!(sender.join().expect("a sender"));
}

/// Whatever clients do, in any order: each call ends once, and each answer reaches who asked.
#[test]
fn many_clients_by_chance() {
    let mut server = program().in_shell("exec \"$0\" > /dev/null").start();
    server.call(event("direct"), 200);
    let end = Instant::now() + Duration::from_secs(3);
    let server_port = server.port;
    std::thread::scope(|scope| {
        for seed in 1..=12_u64 {
            scope.spawn(move || {
                let connect = || {
                    let stream = std::net::TcpStream::connect(("127.0.0.1", server_port));
                    Client::new(stream.expect("a connection"))
                };
                let mut chance = Chance(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
                let mut client = connect();
                for round in 0.. {
                    if Instant::now() > end {
                        return;
                    }
                    match chance.below(10) {
                        0 => {
                            client.send(event("after 3 a").repeat(3));
                            std::thread::sleep(Duration::from_micros(chance.below(5000) as u64));
                            client.reset();
                            client = connect();
                        }
                        1 => {
                            client.send(event("after 2 a").repeat(3)).finish();
                            for _ in 0..3 {
                                assert_eq!(client.expect(200).text(), "a");
                            }
                            client.expect_close();
                            client = connect();
                        }
                        2 => {
                            client.send(event("never"));
                            drop(std::mem::replace(&mut client, connect()));
                        }
                        _ => pipeline(&mut client, &mut chance, round),
                    }
                }
            });
        }
    });
    // What a plain end has left waiting is given up with the process.
    let (deferred, resumed, abandoned) = counts(&mut server);
    assert!(resumed > 500 && abandoned > 10, "{resumed}, {abandoned}");
    assert!(deferred >= resumed + abandoned);
}

/// Neither a descriptor nor memory is left of them.
#[test]
fn ten_thousand_deferred_calls_leave_nothing() {
    let mut server = program().in_shell("exec \"$0\" > /dev/null").start();
    let open = |server: &Server| {
        let path = format!("/proc/{}/fd", server.id());
        fs::read_dir(path).expect("descriptors").count()
    };
    let mut clients: Vec<Client> = (0..50).map(|_| server.connect()).collect();
    let mut round = |count: usize| {
        for index in 0..count {
            for client in &mut clients {
                let text = format!("after {} {index}", index % 3);
                client.send(event(text));
            }
            for client in &mut clients {
                assert_eq!(client.expect(200).text(), index.to_string());
            }
        }
    };
    round(20);
    let before = (open(&server), server.status_kib("VmRSS"));
    round(180);
    assert_eq!(open(&server), before.0);
    let memory = server.status_kib("VmRSS");
    assert!(
        memory <= before.1 + 200,
        "{memory} KiB, {} before",
        before.1
    );
    drop(clients);
    // And those that nobody waits for.
    for _ in 0..200 {
        let mut client = server.connect();
        client.send(event("never"));
        client.reset();
    }
    wait_for("all of them to be abandoned", || {
        let (deferred, resumed, abandoned) = counts(&mut server);
        (deferred == resumed + abandoned).then_some(())
    });
    wait_for("their descriptors", || {
        (open(&server) <= before.0 - 49).then_some(())
    });
}

/// `examples/concurrent.rs`: a call that waits for a slow service does not delay others.
#[test]
fn a_hundred_slow_calls_at_once() {
    let mut server = Program::at(example("concurrent")).start();
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    let mut round = || {
        let begin = Instant::now();
        for (index, client) in clients.iter_mut().enumerate() {
            // Every other one is an HTTP request.
            let path = ["/invoke", "/"][index % 2];
            client.send(post(path, "", format!("call {index}")));
        }
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.expect(200).text(), format!("CALL {index}"));
        }
        begin.elapsed().as_millis()
    };
    // The machine may be busy at one of them.
    let times = [round(), round(), round()];
    let least = times.into_iter().min().expect("three");
    assert!((100..300).contains(&least), "{times:?}");
    let error = server.call(post("/invoke", "", ""), 404);
    assert_eq!(failure(&error.body).0, "EmptyEvent");
}
