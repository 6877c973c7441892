//! Answers that go on: piece by piece where the platform takes them so, else all together.

use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::api::{Api, PLATFORMS, Platform};
use crate::harness::{
    self, Barrier, Case, Client, PING, Program, Server, chunked, find, narrow, noise, post,
    wait_for,
};

fn server() -> Server {
    Program::fixture("fixture").start()
}

fn get(path: &str) -> String {
    harness::get(path, "X-Fc-Request-Id: id\r\n")
}

/// What pieces of that number and length look like after the beginning.
pub fn pieces(count: usize, len: usize) -> String {
    let letter = |index| char::from(b'a' + (index % 26) as u8).to_string();
    let piece = |index| letter(index).repeat(len - 1) + "\n";
    let all = (0..count).rev().map(piece).collect::<String>();
    format!("begin\n{all}")
}

/// An answer in chunks, read as it comes.
struct Chunks<'a>(&'a mut Client);

impl<'a> Chunks<'a> {
    /// Reads the head.
    #[track_caller]
    fn expect(client: &'a mut Client) -> Self {
        let head = client.read_bytes_until(b"\r\n\r\n");
        let head = String::from_utf8(head).expect("text");
        assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
        assert!(
            head.contains("\r\nTransfer-Encoding: chunked\r\n"),
            "{head}"
        );
        assert!(!head.contains("Content-Length"), "{head}");
        assert!(head.contains("\r\nContent-Type: text/plain\r\n"), "{head}");
        assert!(head.contains("\r\nDate: "), "{head}");
        Self(client)
    }

    /// The next chunk; nothing for the last.
    #[track_caller]
    fn next(&mut self) -> Option<String> {
        let chunk = self.0.read_chunk();
        if chunk.is_empty() {
            assert_eq!(self.0.read_bytes(2), b"\r\n");
            return None;
        }
        Some(String::from_utf8(chunk).expect("text"))
    }

    /// Everything up to the last chunk, behind which there may be nothing.
    #[track_caller]
    fn all(mut self) -> String {
        let mut text = String::new();
        while let Some(chunk) = self.next() {
            text.push_str(&chunk);
        }
        assert!(self.0.take().is_empty());
        text
    }
}

/// An answer that the handler ended itself is not given up again if nobody takes it.
#[test]
fn what_was_collected_for_nobody_has_ended() {
    let mut server = server();
    let mut client = server.connect();
    client.send(PING).expect(200);
    server.signal(Signal::STOP);
    let id = "X-Fc-Request-Id: id\r\n";
    client.send(post("/invoke", id, "stream more 40 10"));
    client.reset();
    server.signal(Signal::CONT);
    assert_eq!(markers(&server, 4)[2..], [START, END]);
    assert_eq!(abandoned(&mut server), 0);
    assert_eq!(markers(&server, 6).len(), 6);
}

/// A wait may come at any place, also where the loop gives other connections their turn.
#[test]
fn a_wait_may_be_the_last_of_many_in_a_row() {
    let mut server = server();
    for len in [10, 1] {
        let mut client = server.connect();
        client.send(get(&format!("/stream/eighth/16/{len}/5")));
        let text = Chunks::expect(&mut client).all();
        assert_eq!(text.len(), "begin\n".len() + 14 * len, "{text}");
        let event = format!("stream eighth 16 {len} 5");
        let answer = client.send(post("/invoke", "", &event)).expect(200);
        assert_eq!(answer.body.len(), "begin\n".len() + 14 * len);
    }
    for platform in PLATFORMS {
        let api = Api::new(platform);
        let (_server, mut peer) = api.begin(Program::fixture("fixture"));
        peer.event("stream eighth 16 10 5");
        assert_eq!(peer.expect_response().body.len(), "begin\n".len() + 140);
        peer.accept().expect_next();
        api.expect_no_connection();
    }
}

/// The marker lines of a log.
fn markers(server: &Server, count: usize) -> Vec<String> {
    let is_marker = |line: &&str| line.starts_with("FC ");
    let text = server
        .stdout
        .wait_until(|text| text.lines().filter(is_marker).count() >= count && text.ends_with('\n'));
    text.lines().filter(is_marker).map(String::from).collect()
}

const START: &str = "FC Invoke Start RequestId: id";
const END: &str = "FC Invoke End RequestId: id";
const FAILED: &str = "FC Invoke End RequestId: id, Error: Unhandled function error";

/// Thousands of answers that go on and end at once, asked for in one piece: the stack of one is
/// enough for all, also where none of it had to wait for a read.
#[test]
fn pipelined_streams_take_no_stack() {
    const COUNT: usize = 3_000;
    let before = chunked("/echo", "", &noise(400_000), 100_000);
    for one in [
        get("/stream/more/1/5").into_bytes(),
        post("/invoke", "", "stream more 1 5"),
    ] {
        let mut server = Program::fixture("fixture")
            .in_shell("ulimit -s 1024 && exec \"$0\" > /dev/null")
            .start();
        let client = server.connect();
        let stream = client.stream().try_clone().expect("clone");
        let wire = [before.clone(), one.repeat(COUNT)].concat();
        let sender = thread::spawn(move || {
            let mut client = Client::new(stream);
            assert!(client.try_send(wire));
            client.finish();
        });
        let answers = client.read_to_end();
        let heads = answers.windows(12).filter(|part| part == b"HTTP/1.1 200");
        assert_eq!(heads.count(), 1 + COUNT);
        assert!(server.is_alive());
        sender.join().expect("a sender");
    }
}

#[test]
fn in_chunks() {
    let mut server = server();
    let mut client = server.connect();
    for (count, len) in [
        (0, 0),
        (1, 1),
        (3, 10),
        (1000, 20),
        (100, 60_000),
        (1, 60_000),
    ] {
        client.send(get(&format!("/stream/more/{count}/{len}")));
        let text = Chunks::expect(&mut client).all();
        assert!(
            text == pieces(count, len),
            "{count} of {len}: {}",
            text.len()
        );
        assert_eq!(markers(&server, 2), [START, END]);
        server.stdout.take();
        client.expect_open();
        markers(&server, 2);
        server.stdout.take();
    }
}

/// The markers stand around everything that the handler does for the call.
#[test]
fn the_end_is_logged_after_the_last_piece() {
    let mut server = server();
    let mut client = server.connect();
    client.send(get("/stream/info/3/10"));
    Chunks::expect(&mut client).all();
    let log = server.stdout.wait_until(|log| log.contains("End"));
    let what = |line: &str| {
        if line.contains("a piece") {
            assert!(line.contains(" id [INFO] "), "{line}");
            "piece"
        } else if line == START {
            "start"
        } else if line == END {
            "end"
        } else {
            panic!("{line}")
        }
    };
    let told: Vec<&str> = log.lines().map(what).collect();
    assert_eq!(told, ["start", "piece", "piece", "piece", "end"]);
}

#[test]
fn on_a_connection_that_closes() {
    let mut server = server();
    let mut client = server.connect();
    client.send("GET /stream/more/3/10 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    assert_eq!(Chunks::expect(&mut client).all(), pieces(3, 10));
    client.expect_close();
}

/// HTTP/1.0 knows no chunks: the end of the connection is the end of the answer.
#[test]
fn to_a_client_of_http_1_0() {
    let mut server = server();
    for connection in ["", "Connection: keep-alive\r\n"] {
        let mut client = server.connect();
        client.send(format!(
            "GET /stream/more/3/10 HTTP/1.0\r\n{connection}\r\n"
        ));
        let answer = String::from_utf8(client.read_to_end()).expect("text");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        assert!(!head.contains("Transfer-Encoding"), "{head}");
        assert!(!head.contains("Content-Length"), "{head}");
        assert!(!head.contains("keep-alive"), "{head}");
        assert_eq!(body, pieces(3, 10));
    }
}

/// An answer without a body: what would have come is abandoned.
#[test]
fn without_a_body_nothing_goes_on() {
    let mut server = server();
    let mut client = server.connect();
    client.send("HEAD /stream/more/3/10 HTTP/1.1\r\nHost: h\r\n\r\n");
    let head = String::from_utf8(client.read_bytes_until(b"\r\n\r\n")).expect("text");
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    assert!(!head.contains("Content-Length"), "{head}");
    for status in [204, 304] {
        client.send(get(&format!("/stream-status/{status}")));
        client.expect(status);
    }
    // RFC 9110 §15.3.6: a 205 has an empty body.
    let answer = client.send(get("/stream-status/205")).expect(205);
    assert_eq!(answer.header("content-length"), Some("0"));
    client.expect_open();
    assert_eq!(abandoned(&mut server), 4);
    assert_eq!(markers(&server, 12).len(), 12);
}

/// The end of the call is in the log before the answer is out: the instance may be frozen then.
#[test]
fn what_does_not_go_on_is_logged_before_the_answer() {
    let (mut reader, writer) = std::io::pipe().expect("pipe");
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).expect("fcntl");
    let mut server = Program::fixture("fixture").stdout(writer).start();
    let mut client = server.connect();
    for _ in 0..50 {
        client.send(get("/stream/more/3/10").replacen("GET", "HEAD", 1));
        client.read_bytes_until(b"\r\n\r\n");
        let mut log = [0; 1024];
        let count = std::io::Read::read(&mut reader, &mut log).expect("the marks are there");
        let log = String::from_utf8_lossy(&log[..count]).into_owned();
        assert!(log.ends_with(&format!("{END}\n")), "{log:?}");
    }
}

/// A response that fnboot refuses goes on no more than one that nobody takes.
#[test]
fn a_refused_response_is_abandoned() {
    let mut server = server();
    let mut client = server.connect();
    client.send(get("/stream-status/600")).expect(500);
    assert_eq!(markers(&server, 2), [START, FAILED]);
    client.expect_open();
    assert_eq!(abandoned(&mut server), 1);
    // A handler that fails has ended its answer itself.
    client.send(get("/stream-fail")).expect(500);
    assert_eq!(abandoned(&mut server), 1);
    let api = Api::new(Platform::Lambda);
    let (_server, mut peer) = api.begin(Program::fixture("fixture").env("FNBOOT_STREAMING", "on"));
    peer.event("/stream-status/600").expect_error();
    peer.accept().expect_next();
    peer.event("/abandoned");
    assert!(peer.expect_response().text().ends_with("abandoned=1\n"));
}

#[track_caller]
fn abandoned(server: &mut Server) -> u32 {
    let text = server.call(post("/invoke", "", "abandoned"), 200).text();
    let count = text.trim_end().strip_prefix("abandoned=");
    count.expect("a count").parse().expect("a number")
}

#[test]
fn for_an_event_all_together() {
    let mut server = server();
    let mut client = server.connect();
    for (count, len) in [(0, 0), (1, 1), (3, 10), (200, 60_000)] {
        let event = format!("stream more {count} {len}");
        let fields = "X-Fc-Request-Id: id\r\n";
        let answer = client.send(post("/invoke", fields, &event)).expect(200);
        assert!(answer.text() == pieces(count, len), "{event}");
        assert_eq!(answer.header("x-fc-status"), Some("200"));
        assert_eq!(markers(&server, 2), [START, END]);
        server.stdout.take();
    }
    // With waits in between, in which others are answered.
    client.send(post("/invoke", "", "stream more 4 10 10"));
    let begin = Instant::now();
    server.connect().expect_open();
    assert_eq!(client.expect(200).text(), pieces(4, 10));
    assert!(
        begin.elapsed() >= Duration::from_millis(390),
        "{:?}",
        begin.elapsed()
    );
    client.expect_open();
}

#[test]
fn for_an_event_that_is_polled_all_together() {
    for platform in PLATFORMS {
        let _case = Case(platform);
        let api = Api::new(platform);
        let (server, mut peer) = api.begin(Program::fixture("fixture"));
        for (count, len) in [(0, 0), (3, 10), (100, 60_000)] {
            peer.event(format!("stream more {count} {len}"));
            let answer = peer.expect_response();
            assert!(answer.text() == pieces(count, len), "{count} of {len}");
            peer.accept().expect_next();
        }
        // One that waits is waited for, and one that fails is an error.
        peer.event("stream more 3 10 5");
        assert_eq!(peer.expect_response().text(), pieces(3, 10));
        peer.accept().expect_next();
        for kind in ["fail", "long"] {
            peer.event(format!("stream {kind} 3 10"));
            let error = peer.expect_error().json();
            let want = if kind == "fail" { "Broken" } else { "BadPiece" };
            assert_eq!(error["errorType"], want);
            peer.accept().expect_next();
        }
        let want = "[ERROR] BadPiece: a piece longer than its room\n";
        server.stdout.wait_until(|log| log.ends_with(want));
        peer.expect_echo("echo");
    }
}

/// The limit of a body holds for an answer that is collected, too.
#[test]
fn more_than_a_body_may_be() {
    let limit = 100_000;
    let program = || Program::fixture("fixture").env("FNBOOT_MAX_BODY", limit);
    let mut server = program().start();
    let mut client = server.connect();
    let stream = |count: usize| post("/invoke", "", format!("stream more {count} 10"));
    let most = (limit - "begin\n".len()) / 10;
    client.send(stream(most)).expect(200);
    let error = client.send(stream(most + 1)).expect(404).text();
    assert!(error.contains("\"errorType\":\"BadPiece\""), "{error}");
    client.expect_open();
    for platform in PLATFORMS {
        let api = Api::new(platform);
        let (_server, mut peer) = api.begin(program());
        peer.event(format!("stream more {} 10", most + 1))
            .expect_error();
        peer.accept().expect_next();
        peer.expect_echo("echo");
    }
}

/// Server-sent events: each piece leaves when it is there, and others are served meanwhile.
#[test]
fn pieces_that_wait_come_in_time() {
    let mut server = server();
    let mut client = server.connect();
    let begin = Instant::now();
    client.send(get("/stream/more/5/10/10"));
    let mut chunks = Chunks::expect(&mut client);
    assert_eq!(chunks.next().as_deref(), Some("begin\n"));
    let mut other = server.connect();
    for count in 0..5_u32 {
        let piece = chunks.next().expect("a piece");
        assert_eq!(piece.len(), 10);
        let due = Duration::from_millis(100) * count;
        let at = begin.elapsed();
        assert!(at + Duration::from_millis(2) >= due, "{count} at {at:?}");
        assert!(at < due + Duration::from_secs(2), "{count} at {at:?}");
        other.expect_open();
    }
    assert_eq!(chunks.next(), None);
    assert!(begin.elapsed() >= Duration::from_millis(498));
    // Waiting is not looking at the clock all the time.
    assert!(
        server.cpu() < Duration::from_millis(100),
        "{:?}",
        server.cpu()
    );
    client.expect_open();
}

/// A client that does not read stops the pulling: memory is bounded, and others are served.
#[test]
fn a_client_that_does_not_read() {
    let mut server = server();
    server.connect().expect_open();
    let mut client = narrow(&server);
    client.send(get("/stream/info/16000000/60000"));
    // It has begun, and then comes to rest.
    server.stdout.wait_until(|log| log.contains("a piece"));
    let mut before = 0;
    wait_for("the pulling to stop", || {
        for _ in 0..20 {
            server.connect().expect_open();
        }
        let count = server.stdout.text().matches("a piece").count();
        (std::mem::replace(&mut before, count) == count).then_some(())
    });
    assert!(before < 200, "{before} pieces");
    let memory = server.status_kib("VmHWM");
    assert!(memory < 1024, "{memory} KiB");
    let cpu = server.cpu();
    let mut barrier = Barrier::new(&mut server);
    for _ in 0..100 {
        barrier.pass();
    }
    assert!(server.cpu() - cpu < Duration::from_millis(100));
    // It may well read on.
    wait_for("the pulling to go on", || {
        for _ in 0..50 {
            client.fill().expect("more");
            client.take();
        }
        let count = server.stdout.text().matches("a piece").count();
        (count > before).then_some(())
    });
    drop(client);
    wait_for("the stream to be abandoned", || {
        (abandoned(&mut server) == 1).then_some(())
    });
}

#[test]
fn a_request_behind_a_stream_waits_for_its_end() {
    let mut server = server();
    let mut client = server.connect();
    let long = "x".repeat(5000);
    client.send(
        [
            get("/stream/more/3/10/2").as_bytes(),
            &post("/echo", "", &long),
            PING,
            get("/stream/more/2/10").as_bytes(),
            PING,
        ]
        .concat(),
    );
    let answer = client.read_bytes_until(b"\r\n0\r\n\r\n");
    let answer = String::from_utf8(answer).expect("text");
    assert!(
        answer.contains("\r\n0000000a\r\naaaaaaaaa\n\r\n0\r\n\r\n"),
        "{answer}"
    );
    assert_eq!(client.expect(200).text(), long);
    assert_eq!(client.expect(200).text(), "ping");
    let answer = client.read_bytes_until(b"\r\n0\r\n\r\n");
    assert!(find(&answer, b"aaaaaaaaa\n").is_some());
    assert_eq!(client.expect(200).text(), "ping");
    client.expect_open();
}

/// Many at once, and each gets its own.
#[test]
fn streams_beside_each_other() {
    let mut server = server();
    let mut clients: Vec<Client> = (0..20).map(|_| server.connect()).collect();
    for (index, client) in clients.iter_mut().enumerate() {
        client.send(get(&format!(
            "/stream/more/{}/{}/1",
            index + 1,
            1000 + index
        )));
    }
    for (index, client) in clients.iter_mut().enumerate() {
        let text = Chunks::expect(client).all();
        assert!(text == pieces(index + 1, 1000 + index), "{index}");
    }
}

/// The client has gone, one way or the other, while pieces are sent or waited for.
#[test]
fn a_client_that_vanishes() {
    for (path, is_rude) in [
        ("/stream/more/16000000/60000", true),
        ("/stream/more/16000000/60000", false),
        ("/stream/more/1000/10/1", true),
        ("/stream/more/1000/10/1", false),
    ] {
        let _case = Case((path, is_rude));
        let mut server = server();
        let mut client = server.connect();
        client.send(get(path));
        client.fill().expect("a beginning");
        if is_rude {
            client.reset();
        } else {
            drop(client);
        }
        wait_for("the stream to be abandoned", || {
            (abandoned(&mut server) > 0).then_some(())
        });
        assert_eq!(abandoned(&mut server), 1);
        let log = server.stdout.wait_until(|log| log.contains(END));
        assert_eq!(log.matches(END).count(), 1);
        assert_eq!(log.matches(START).count(), 1);
    }
}

/// One that is gone while nothing is due for long is noticed by its reset, at no cost.
#[test]
fn a_client_that_vanishes_in_a_long_wait() {
    let mut server = server();
    let mut client = server.connect();
    client.send(get("/stream/more/1000/10/250"));
    let mut chunks = Chunks::expect(&mut client);
    chunks.next();
    chunks.next();
    let begin = Instant::now();
    client.reset();
    wait_for("the stream to be abandoned", || {
        (abandoned(&mut server) == 1).then_some(())
    });
    assert!(
        begin.elapsed() < Duration::from_secs(2),
        "not before the next piece"
    );
    server.stdout.wait_until(|log| log.contains(END));
}

/// What was sent cannot be taken back: the answer breaks off, and that can be seen.
#[test]
fn a_failure_in_the_middle() {
    for kind in ["fail", "long", "over"] {
        let mut server = server();
        let mut client = server.connect();
        client.send(get(&format!("/stream/{kind}/2/10")));
        let answer = String::from_utf8(client.read_to_end()).expect("text");
        assert!(answer.contains("begin\n"), "{answer}");
        assert!(!answer.contains("\r\n0\r\n"), "{answer}");
        assert_eq!(markers(&server, 2), [START, FAILED]);
        let log = server.stdout.text();
        let why = if kind == "fail" {
            "Broken: in the middle"
        } else {
            "BadPiece: a piece longer"
        };
        assert!(log.contains(why), "{log}");
        // A handler that ends it, well or by an error, has nothing to be told.
        assert_eq!(abandoned(&mut server), u32::from(kind == "over"));
    }
}

/// With unwinding, a panic is such a failure; and where the answer was ended already, it is only
/// printed.
#[test]
fn a_panic_in_the_middle() {
    for (kind, printed, logged, abandoned_count) in [
        ("panic", "in the middle", "Panic: in the middle", 0),
        (
            "drop",
            "over what is abandoned",
            "BadPiece: a piece longer",
            1,
        ),
    ] {
        let mut server = Program::fixture("fixture_std").start();
        let mut client = server.connect();
        client.send(get(&format!("/stream/{kind}/2/10")));
        let answer = String::from_utf8(client.read_to_end()).expect("text");
        let is_cut = answer.contains("begin\n") && !answer.contains("\r\n0\r\n");
        assert!(is_cut, "{answer}");
        assert_eq!(markers(&server, 2), [START, FAILED]);
        let log = server.stdout.text();
        assert!(log.contains(logged), "{log}");
        let is_all = |text: &str| text.contains(printed) && text.ends_with("display a backtrace\n");
        server.stderr.wait_until(is_all);
        server.stderr.take();
        assert_eq!(abandoned(&mut server), abandoned_count);
    }
}

/// For an event nothing is sent before its end, so a failure is one like any other.
#[test]
fn a_failure_in_the_middle_of_what_is_collected() {
    let mut server = server();
    let mut client = server.connect();
    for (kind, name) in [
        ("fail", "Broken"),
        ("long", "BadPiece"),
        ("over", "BadPiece"),
    ] {
        let event = post(
            "/invoke",
            "X-Fc-Request-Id: id\r\n",
            format!("stream {kind} 2 10"),
        );
        let error = client.send(event).expect(404);
        assert_eq!(error.header("x-fc-status"), Some("404"));
        assert!(error.text().contains(&format!("\"errorType\":\"{name}\"")));
        assert_eq!(markers(&server, 2), [START, FAILED]);
        server.stdout.take();
    }
    client.expect_open();
}

/// What is in flight when `SIGTERM` comes is finished.
#[test]
fn sigterm_lets_a_stream_end() {
    let mut server = server();
    let mut client = server.connect();
    client.send(get("/stream/more/5/10/5"));
    let mut chunks = Chunks::expect(&mut client);
    chunks.next();
    server.signal(Signal::TERM);
    let begin = "begin\n".to_string();
    assert_eq!(begin + &chunks.all(), pieces(5, 10));
    server.expect_exit(0);
    let api = Api::new(Platform::Lambda);
    let (mut server, mut peer) =
        api.begin(Program::fixture("fixture").env("FNBOOT_STREAMING", "on"));
    peer.event("/stream/more/5/10/5");
    peer.read_until(|bytes| find(bytes, b"begin").is_some());
    server.signal(Signal::TERM);
    let answer = peer.expect_response().text();
    assert!(answer.ends_with(&pieces(5, 10)), "{answer}");
    peer.accept();
    server.expect_exit(0);
}

/// It has said all it had to say, and reads on.
#[test]
fn a_half_closed_client_gets_all_of_it() {
    let mut server = server();
    let mut client = server.connect();
    client.send(get("/stream/more/5/10/2")).finish();
    let answer = String::from_utf8(client.read_to_end()).expect("text");
    assert!(answer.ends_with("aaaaaaaaa\n\r\n0\r\n\r\n"), "{answer}");
    assert_eq!(abandoned(&mut server), 0);
}
