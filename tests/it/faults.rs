//! What Lambda and SCF may do to a connection in the middle of things: no answer is lost in silence,
//! nothing is taken for an event that is none, and the next event is asked for.

use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;

use crate::api::{Api, ID, PLATFORMS, Peer, Platform, response};
use crate::fc::expect_sleep;
use crate::harness::{Case, Program, Server, assert_same, find, noise};
use crate::polled::each;

const MIB: usize = 1024 * 1024;

/// A refusal after which the API does not go on with the connection.
const TOO_LARGE: &str =
    "HTTP/1.1 413 Content Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";

/// What the log says of an answer of which nobody knows whether it was taken.
const NO_RESPONSE: &str = " [ERROR] Answer: the platform gave no valid response to it ";

/// How an API ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Close,
    Reset,
}

const ENDS: [End; 2] = [End::Close, End::Reset];

impl Peer {
    fn end(self, end: End) {
        match end {
            End::Close => drop(self),
            End::Reset => self.reset(),
        }
    }

    /// Sends its last bytes, and ends.
    #[track_caller]
    fn end_behind(mut self, bytes: impl AsRef<[u8]>, end: End) {
        self.send(bytes);
        self.end(end);
    }

    /// Gives an event, and reads the beginning of its answer.
    #[track_caller]
    fn expect_beginning(&mut self, event: &[u8]) {
        self.event(event);
        self.read_until(|bytes| bytes.len() > 100_000);
    }
}

/// For both platforms and both ways in which a connection ends.
fn each_end(program: impl Fn() -> Program, test: impl Fn(&Api, &mut Server, Peer, End)) {
    for end in ENDS {
        let _case = Case(end);
        each(&program, |api, server, peer| test(api, server, peer, end));
    }
}

fn fixture() -> Program {
    Program::fixture("fixture")
}

fn streaming() -> Program {
    fixture().env("FNBOOT_STREAMING", "on")
}

/// The next question, on a new connection, and an event that comes through.
#[track_caller]
fn expect_serving(api: &Api) {
    let mut peer = api.accept();
    peer.expect_next();
    peer.expect_echo("echo Hello World");
    api.expect_no_connection();
}

/// The answer, on a new connection: it is taken, and the next question comes.
#[track_caller]
fn expect_answer(api: &Api, body: &[u8]) {
    let mut peer = api.accept();
    assert_same(&peer.expect_response().body, body);
    peer.accept().expect_next();
    peer.expect_echo("echo Hello World");
    api.expect_no_connection();
}

/// There must be a line of the log that has all these words behind the event's id.
#[track_caller]
fn expect_line(server: &Server, words: &[&str]) {
    server.stdout.wait_until(|log| {
        let is_it = |line: &str| {
            let told = line.split_once(ID);
            told.is_some_and(|(_, told)| words.iter().all(|word| told.contains(word)))
        };
        log.lines().any(is_it)
    });
}

#[track_caller]
fn expect_no_error(server: &Server) {
    let log = server.stdout.text();
    assert!(!log.contains("[ERROR]"), "{log}");
}

/// The connection ends right behind the event: the process is stopped so that it surely has.
#[test]
fn an_answer_goes_over_a_new_connection() {
    each_end(Program::bootstrap, |api, server, mut peer, end| {
        server.signal(Signal::STOP);
        peer.event("Hello World");
        peer.end(end);
        server.signal(Signal::CONT);
        expect_answer(api, b"Hello World");
        expect_no_error(server);
    });
}

/// However long it is, if the connection has ended by then.
#[test]
fn a_long_answer_goes_over_a_new_connection() {
    each_end(fixture, |api, server, mut peer, end| {
        server.signal(Signal::STOP);
        peer.event("own 60000");
        peer.end(end);
        server.signal(Signal::CONT);
        let mut peer = api.accept();
        assert_eq!(peer.expect_response().body.len(), 60_000);
        peer.accept().expect_next();
        expect_no_error(server);
    });
}

/// A long one that breaks off is not kept for a second try: the log has it.
#[test]
fn a_long_answer_that_breaks_off_is_told() {
    each_end(Program::bootstrap, |api, server, mut peer, end| {
        peer.expect_beginning(&noise(3 * MIB));
        peer.end(end);
        expect_line(server, &[NO_RESPONSE, "(3145728 B)"]);
        expect_serving(api);
    });
}

#[test]
fn a_connection_may_end_while_the_function_works() {
    each_end(fixture, |api, _, mut peer, end| {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let deadline_ms = since.expect("a time").as_millis() + 200;
        let fields = api.platform.fields(ID);
        let fields = fields.replace("4102444800000", &deadline_ms.to_string());
        let fields = fields.replace(": 3000", ": 200");
        peer.send(response("200 OK", &fields, "wait-until-left-ms 0"));
        peer.wait_until_read();
        peer.end(end);
        expect_answer(api, b"waited");
    });
}

/// An answer of which the connection sees nothing before all of it is there.
#[test]
fn a_connection_may_end_while_pieces_are_collected() {
    for (script, len) in [
        ("stream more 3 10 5", 6 + 30),
        ("stream more 50 60000 1", 6 + 3_000_000),
    ] {
        each_end(fixture, |api, _, mut peer, end| {
            peer.event(script).wait_until_read();
            peer.end(end);
            let mut peer = api.accept();
            let answer = peer.expect_response().body;
            assert!(answer.starts_with(b"begin\n"), "{script}");
            assert_eq!(answer.len(), len, "{script}");
            peer.accept().expect_next();
            peer.expect_echo("echo Hello World");
            api.expect_no_connection();
        });
    }
}

#[test]
fn a_failure_goes_over_a_new_connection() {
    each_end(fixture, |api, server, mut peer, end| {
        server.signal(Signal::STOP);
        peer.event("fail");
        peer.end(end);
        server.signal(Signal::CONT);
        let mut peer = api.accept();
        assert_eq!(peer.expect_error().json()["errorType"], "Broken");
        peer.accept().expect_next();
        peer.expect_echo("echo Hello World");
    });
}

/// Nobody knows whether it was taken: it is posted once more, and no more than that.
#[test]
fn an_answer_without_a_response_is_posted_once_more() {
    for len in [0, 11, 9000] {
        each_end(Program::bootstrap, |api, _, mut peer, end| {
            let event = noise(len);
            peer.event(&event).expect_response();
            peer.end(end);
            expect_answer(api, &event);
        });
        each_end(Program::bootstrap, |api, server, mut peer, end| {
            let event = noise(len);
            peer.event(&event).expect_response();
            peer.end(end);
            let mut peer = api.accept();
            assert_same(&peer.expect_response().body, &event);
            peer.end(end);
            expect_line(server, &[NO_RESPONSE, &format!("({len} B)")]);
            expect_serving(api);
        });
    }
}

/// RFC 9112 §6.3: a 1xx and a 204 end with their head, whatever that says.
#[test]
fn responses_without_content_end_with_their_head() {
    let fields = [
        "",
        "Content-Length: 0\r\n",
        "Content-Length: 5\r\n",
        "Transfer-Encoding: chunked\r\n",
    ];
    for field in fields {
        let _case = Case(field);
        each(Program::bootstrap, |api, _, mut peer| {
            let taken = format!("HTTP/1.1 204 No Content\r\n{field}\r\n");
            for _ in 0..2 {
                peer.event("Hello World").expect_response();
                peer.send(&taken).expect_next();
            }
            let interim = format!(
                "HTTP/1.1 100 Continue\r\n{field}\r\nHTTP/1.1 103 Early Hints\r\nLink: <a>\r\n{field}\r\n"
            );
            for is_alone in [true, false] {
                peer.send(&interim);
                if is_alone {
                    peer.wait_until_read();
                }
                peer.event("Hello World").expect_response();
                peer.send(&interim);
                if is_alone {
                    peer.wait_until_read();
                }
                peer.accept().expect_next();
            }
            api.expect_no_connection();
        });
    }
}

/// RFC 9112 §9.2: what comes before the question is no answer to it.
#[test]
fn an_event_behind_an_acknowledgement_is_none() {
    for stray in ["event", "garbage", "acknowledgement"] {
        let _case = Case(stray);
        each(Program::bootstrap, |api, _, mut peer| {
            peer.event("Hello World").expect_response();
            let mut wire = response("202 Accepted", "", "{}");
            match stray {
                "event" => wire.extend(peer.rendered("never to be called")),
                "garbage" => wire.extend(b"\0\xffgarbage"),
                _ => wire.extend(response("202 Accepted", "", "{}")),
            }
            peer.send(wire);
            expect_serving(api);
        });
    }
}

/// Nor where the acknowledgement comes in two parts, or fills what is read at once, so that the bytes behind
/// it are left in the kernel.
#[test]
fn nor_is_one_behind_an_acknowledgement_that_is_cut() {
    for len in [2, 40_000] {
        each(Program::bootstrap, |api, _, mut peer| {
            peer.event("Hello World").expect_response();
            let wire = response("202 Accepted", "", "x".repeat(len));
            let (first, last) = wire.split_at(wire.len() - 1);
            peer.send(first).wait_until_read();
            peer.send([last, &peer.rendered("never to be called")].concat());
            expect_serving(api);
        });
    }
    each(Program::bootstrap, |api, _, mut peer| {
        peer.event("Hello World").expect_response();
        let head = response("202 Accepted", "", "").len() + 4;
        let wire = response("202 Accepted", "", "x".repeat(32 * 1024 - head));
        assert_eq!(wire.len(), 32 * 1024);
        peer.send([wire, peer.rendered("never to be called")].concat());
        expect_serving(api);
    });
}

#[test]
fn what_is_behind_an_event_is_no_response_to_its_answer() {
    for stray in ["event", "garbage", "refusal", "acknowledgement"] {
        let _case = Case(stray);
        each(Program::bootstrap, |api, server, mut peer| {
            let mut wire = peer.rendered("Hello World");
            match stray {
                "event" => wire.extend(peer.rendered("never to be called")),
                "garbage" => wire.extend(b"\0\xffgarbage"),
                "refusal" => wire.extend(response("413 Content Too Large", "", "{}")),
                _ => wire.extend(response("202 Accepted", "", "{}")),
            }
            peer.send(wire);
            expect_answer(api, b"Hello World");
            expect_no_error(server);
        });
    }
}

/// The refusal is there to be read, whatever becomes of the connection.
#[test]
fn a_refused_large_answer_is_named() {
    each_end(Program::bootstrap, |api, server, mut peer, end| {
        peer.expect_beginning(&noise(6 * MIB));
        peer.end_behind(TOO_LARGE, end);
        expect_line(server, &["[ERROR]", "413", "6291456"]);
        expect_serving(api);
    });
}

/// An API that has refused an answer, or says nothing, and reads no more, without ending the connection.
#[test]
fn an_api_that_reads_no_more_is_left() {
    for (refusal, status) in [(TOO_LARGE, "413"), ("", "")] {
        each(Program::bootstrap, |api, server, mut peer| {
            peer.expect_beginning(&noise(6 * MIB));
            peer.send(refusal).finish();
            expect_line(server, &["[ERROR]", status, "6291456"]);
            expect_serving(api);
        });
    }
}

/// However many they are, and however long.
#[test]
fn interim_responses_of_any_length_do_not_stop_an_answer() {
    let link = |len| {
        format!(
            "HTTP/1.1 103 Early Hints\r\nLink: <{}>\r\n\r\n",
            "a".repeat(len)
        )
    };
    let folded = "HTTP/1.1 103 Early Hints\r\nLink: <a>,\r\n <b>\r\n\r\n";
    let many = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000);
    let one = "HTTP/1.1 100 Continue\r\n\r\n";
    for interim in [&*link(3_000), &*link(12_000), folded, one, &*many] {
        let _case = Case(interim.get(..40));
        each(Program::bootstrap, |api, server, mut peer| {
            let event = noise(6 * MIB);
            peer.event(&event);
            let begun = peer.read_until(|bytes| bytes.len() > 100_000).len();
            for part in interim.as_bytes().chunks(700) {
                peer.send(part).wait_until_read();
            }
            assert!(begun < event.len());
            assert_same(&peer.expect_response().body, &event);
            peer.accept().expect_next();
            peer.expect_echo("Hello World");
            api.expect_no_connection();
            expect_no_error(server);
        });
        let api = Api::new(Platform::Lambda);
        let (_server, mut peer) = api.begin(streaming());
        peer.event("/stream/more/3/10/30");
        peer.read_until(|bytes| find(bytes, b"begin\n").is_some());
        for part in interim.as_bytes().chunks(700) {
            peer.send(part).wait_until_read();
        }
        peer.expect_response();
        peer.accept().expect_next();
        api.expect_no_connection();
    }
}

/// An API that has taken an answer by its beginning, and goes on reading it.
#[test]
fn an_early_acknowledgement_does_not_cut_an_answer() {
    each(Program::bootstrap, |api, _, mut peer| {
        let event = noise(6 * MIB);
        peer.event(&event);
        peer.read_until(|bytes| bytes.len() > 100_000);
        peer.accept().wait_until_read();
        assert_same(&peer.expect_response().body, &event);
        peer.expect_next();
        api.expect_no_connection();
    });
}

/// An empty line before it, and a body of which the rest does not come: the status is enough.
#[test]
fn an_early_refusal_need_not_be_whole() {
    for refusal in [
        "\r\nHTTP/1.1 413 Content Too Large\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 413 Content Too Large\r\nContent-Length: 10\r\n\r\nno",
        "HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 413 Content Too Large\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel",
    ] {
        each(Program::bootstrap, |api, server, mut peer| {
            peer.expect_beginning(&noise(6 * MIB));
            peer.send(refusal);
            expect_line(server, &["[ERROR]", "413", "6291456"]);
            expect_serving(api);
        });
    }
}

/// Unless the connection ends with it: nobody reads the rest.
#[test]
fn an_early_acknowledgement_may_be_the_last() {
    for head in [
        "HTTP/1.1 202 Accepted\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 204 No Content\r\nconnection: x, Close\r\n\r\n",
        "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\n\r\n{}",
    ] {
        each(Program::bootstrap, |api, server, mut peer| {
            peer.expect_beginning(&noise(6 * MIB));
            peer.send(head);
            expect_serving(api);
            expect_no_error(server);
        });
    }
}

/// However it ends then.
#[test]
fn an_early_acknowledgement_is_one() {
    each_end(Program::bootstrap, |api, server, mut peer, end| {
        peer.expect_beginning(&noise(6 * MIB));
        peer.accept().wait_until_read();
        peer.end(end);
        expect_serving(api);
        expect_no_error(server);
    });
}

/// Of a response to an answer the head is enough, also where its body is cut or longer than an event may be.
#[test]
fn a_response_to_an_answer_is_taken_by_its_head() {
    for coding in [
        "Content-Length: 5\r\n\r\nab",
        "Transfer-Encoding: chunked\r\n\r\n5\r\nab",
    ] {
        for end in ENDS {
            let _case = Case((coding, end));
            each(Program::bootstrap, |api, server, mut peer| {
                peer.event("Hello World").expect_response();
                peer.send(format!("HTTP/1.1 202 Accepted\r\n{coding}"));
                peer.wait_until_read();
                peer.end(end);
                let mut peer = api.accept();
                peer.expect_next();
                expect_no_error(server);
                peer.event("Hello World").expect_response();
                peer.send(format!("HTTP/1.1 413 Content Too Large\r\n{coding}"));
                peer.wait_until_read();
                peer.end(end);
                expect_line(server, &["[ERROR]", "413", "(11 B)"]);
                expect_serving(api);
            });
        }
    }
    let program = || Program::bootstrap().env("FNBOOT_MAX_BODY", 4);
    each(program, |api, server, mut peer| {
        peer.event("abc").expect_response();
        peer.reply("202 Accepted", "{\"status\":\"OK\"}")
            .expect_next();
        api.expect_no_connection();
        expect_no_error(server);
    });
}

/// What other connections wait for stands in the log, too, when the process ends.
#[test]
fn an_end_tells_of_all_that_is_lost() {
    let api = Api::new(Platform::Lambda);
    let program = fixture().env("AWS_LAMBDA_MAX_CONCURRENCY", 2);
    let mut server = api.start(program);
    let (mut peer, mut other) = (api.accept(), api.accept());
    peer.expect_next();
    other.expect_next();
    peer.event("echo Hello World").expect_response();
    other.reply("500 Internal Server Error", "{}");
    server.expect_exit(1);
    expect_line(&server, &["ERROR", "(16 B)"]);
    let last = server.stderr.take();
    assert!(last.contains("FATAL") && last.contains("500"), "{last}");
}

/// An extension that does not come to be is told.
#[test]
fn an_extension_that_is_not_registered_is_told() {
    let api = Api::new(Platform::Lambda);
    let server = api.start(fixture().env("FNBOOT_SIGTERM", "on"));
    let mut peer = api.accept();
    peer.expect("POST /2020-01-01/extension/register");
    drop(peer);
    expect_serving(&api);
    server
        .stdout
        .wait_until(|log| log.contains("[ERROR] Extension: "));
}

/// With many connections some end all the time, each after it was there for long enough.
#[test]
fn connections_that_lasted_do_not_count_as_failed() {
    let api = Api::new(Platform::Lambda);
    let _server = api.start(fixture().env("AWS_LAMBDA_MAX_CONCURRENCY", 70));
    let peers: Vec<Peer> = (0..70).map(|_| api.accept()).collect();
    thread::sleep(Duration::from_millis(2_200));
    for peer in peers {
        drop(peer);
        api.accept().expect_next();
    }
}

/// What cannot be read says that the answer has arrived, not how it was taken.
#[test]
fn an_unreadable_response_to_an_answer_is_told() {
    for response in [
        "SSH-2.0-OpenSSH_9.6\r\n",
        "HTTP/1.1 413 Content Too Large\r\nA B: c\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    ] {
        each(Program::bootstrap, |api, server, mut peer| {
            peer.event("Hello World").expect_response();
            peer.send(response);
            expect_line(server, &["[ERROR]", "11"]);
            expect_serving(api);
        });
    }
}

/// Nothing is done about it before the answer is whole.
#[test]
fn an_api_that_has_gone_costs_nothing() {
    for platform in PLATFORMS {
        let api = Api::new(platform);
        let (server, mut peer) = api.begin(fixture());
        peer.event("stream more 2 10 200").wait_until_read();
        drop(api);
        peer.reset();
        expect_sleep(&server);
    }
}

/// A part of an answer that goes on is with the API, and no longer with the program.
#[test]
fn a_streamed_answer_that_breaks_is_named() {
    for end in ENDS {
        for refusal in ["", TOO_LARGE] {
            let _case = Case((end, refusal));
            let api = Api::new(Platform::Lambda);
            let (server, mut peer) = api.begin(streaming());
            peer.event("/stream/more/200/60000/1");
            peer.read_until(|bytes| bytes.len() > 100_000);
            peer.end_behind(refusal, end);
            let status = if refusal.is_empty() { "" } else { "413" };
            expect_line(&server, &["[ERROR]", status]);
            expect_streaming(&api);
        }
    }
}

#[test]
fn a_streamed_answer_that_is_half_closed_is_named() {
    for (refusal, wait) in [("", 0), ("", 1), (TOO_LARGE, 0), (TOO_LARGE, 1)] {
        let _case = Case((refusal, wait));
        let api = Api::new(Platform::Lambda);
        let (server, mut peer) = api.begin(streaming());
        peer.event(format!("/stream/more/200/60000/{wait}"));
        peer.read_until(|bytes| bytes.len() > 100_000);
        peer.send(refusal).finish();
        let status = if refusal.is_empty() { "" } else { "413" };
        expect_line(&server, &["[ERROR]", status]);
        expect_streaming(&api);
    }
}

#[test]
fn an_interim_response_does_not_stop_a_streamed_answer() {
    let api = Api::new(Platform::Lambda);
    let (_server, mut peer) = api.begin(streaming());
    for wait in [0, 1] {
        peer.event(format!("/stream/more/50/60000/{wait}"));
        peer.read_until(|bytes| bytes.len() > 100_000);
        peer.send("HTTP/1.1 100 Continue\r\n\r\n");
        let answer = peer.expect_response();
        assert_eq!(answer.text().lines().count(), 51);
        peer.accept().expect_next();
    }
    api.expect_no_connection();
}

#[track_caller]
fn expect_streaming(api: &Api) {
    let mut peer = api.accept();
    peer.expect_next();
    peer.event("/echo");
    assert!(peer.expect_response().body.ends_with(b"/echo"));
    peer.accept().expect_next();
    api.expect_no_connection();
}

/// RFC 9112 §6.3, rule 8: without a length it is all up to the end of the connection.
#[test]
fn an_event_may_last_as_long_as_its_connection() {
    for version in ["1.0", "1.1"] {
        for len in [0, 11, 100_000, 3 * MIB] {
            let _case = Case((version, len));
            each(Program::bootstrap, |api, _, mut peer| {
                let event = noise(len);
                let fields = api.platform.fields(ID);
                peer.send(format!("HTTP/{version} 200 OK\r\n{fields}\r\n"));
                // In two pieces, between which nobody may take it for complete.
                peer.send(&event[..len / 2]).wait_until_read();
                api.expect_no_connection();
                peer.send(&event[len / 2..]).finish();
                expect_answer(api, &event);
            });
        }
    }
}

/// Without a proper end it is not complete, and asked for again.
#[test]
fn an_event_that_is_reset_has_no_end() {
    each(Program::bootstrap, |api, _, mut peer| {
        let fields = api.platform.fields(ID);
        peer.send(format!("HTTP/1.0 200 OK\r\n{fields}\r\nHello"));
        peer.wait_until_read();
        peer.reset();
        expect_serving(api);
    });
}

#[test]
fn an_acknowledgement_needs_no_length() {
    for head in [
        "HTTP/1.0 202 Accepted\r\n",
        "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\n",
        "HTTP/1.1 202 Accepted\r\n",
        "HTTP/1.1 202 Accepted\r\nConnection: close\r\n",
    ] {
        let _case = Case(head);
        each(Program::bootstrap, |api, server, mut peer| {
            for is_half_closed in [true, false, true] {
                peer.event("Hello World").expect_response();
                peer.send(format!("{head}\r\n{{\"status\":\"OK\"}}"));
                peer.finish();
                if !is_half_closed {
                    drop(peer);
                }
                peer = api.accept();
                peer.expect_next();
            }
            expect_no_error(server);
        });
    }
}

/// RFC 9112 §5.2: a fold stands for blanks.
#[test]
fn folded_fields_are_read() {
    for (folded, words) in [
        ("X-Folded: one\r\n two\r\n", &["one", "two"][..]),
        ("X-Folded: one \r\n\t two\r\n", &["one", "two"]),
        ("X-Folded:\r\n one\r\n", &["one"]),
        (
            "X-Folded: one,\r\n  two,\r\n  three\r\n",
            &["one,", "two,", "three"],
        ),
    ] {
        let _case = Case(folded);
        each(fixture, |api, _, mut peer| {
            let fields = api.platform.fields(ID);
            for fields in [format!("{folded}{fields}"), format!("{fields}{folded}")] {
                peer.send(response("200 OK", &fields, "header x-folded"));
                let value = peer.expect_response().text();
                assert!(!value.contains(['\r', '\n']), "{value:?}");
                let got: Vec<&str> = value.split_whitespace().collect();
                assert_eq!(got, words, "{value:?}");
                assert_eq!(value, value.trim());
                let taken = format!("X-A: b\r\n{folded}");
                peer.send(response("202 Accepted", &taken, "{}"));
                peer.expect_next();
            }
            api.expect_no_connection();
        });
    }
}

/// Also where a field tells the program something.
#[test]
fn a_folded_id_is_read() {
    each(Program::bootstrap, |api, _, mut peer| {
        let fields = api.platform.fields(ID);
        let fields = fields.replace(&format!(": {ID}"), &format!(":\r\n\t{ID}"));
        peer.send(response("200 OK", &fields, "Hello World"));
        assert_eq!(peer.expect_response().text(), "Hello World");
        peer.accept().expect_next();
        api.expect_no_connection();
    });
}

/// RFC 9110 §15.5.9: the API has waited long enough for a question, or lets none wait longer.
#[test]
fn a_408_is_the_end_of_its_connection_only() {
    for length in ["", "Content-Length: 0\r\n"] {
        for end in ENDS {
            let _case = Case((length, end));
            each(Program::bootstrap, |api, _, peer| {
                let mut peer = peer;
                for _ in 0..3 {
                    let head = "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n";
                    peer.end_behind(format!("{head}{length}\r\n"), end);
                    peer = api.accept();
                    peer.expect_next();
                    peer.expect_echo("Hello World");
                }
            });
        }
    }
}

/// The answer is lost and nothing else: above all there is no `/error` after a `/response`.
#[test]
fn a_refused_answer_is_named() {
    each(Program::bootstrap, |_, server, mut peer| {
        for status in ["413 Content Too Large", "400 Bad Request", "403 Forbidden"] {
            for len in [0, 1, 1234, 3 * MIB] {
                let _case = Case((status, len));
                peer.event(noise(len)).expect_response();
                let body = "{\"errorMessage\":\"no\",\"errorType\":\"No\"}\n";
                peer.reply(status, body).expect_next();
                let told = format!("refused it with status {} ({len} B)", &status[..3]);
                expect_line(server, &[&format!(" [ERROR] Answer: the platform {told}")]);
            }
        }
        peer.expect_echo("b");
    });
}
