//! What Lambda and SCF have in common: the program asks for events, whatever becomes of its
//! connection.

use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::thread::{self, sleep};
use std::time::Duration;

use rustix::process::Signal;

use crate::api::{Api, ID, PLATFORMS, Peer, Platform, chunked, response};
use crate::fc::{expect_nothing_inherited, expect_sleep, keepalive_seconds};
use crate::harness::{
    Case, Program, SYN_SENT, Server, Socket, assert_same, noise, own_network_and, sockets, wait_for,
};
use crate::port;

/// For both platforms: a program that has asked for its first event.
pub fn each(program: impl Fn() -> Program, test: impl Fn(&Api, &mut Server, Peer)) {
    for platform in PLATFORMS {
        let _case = Case(platform);
        let api = Api::new(platform);
        let (mut server, peer) = api.begin(program());
        test(&api, &mut server, peer);
    }
}

/// For both platforms at the same time, because the test waits for long.
fn at_once(test: impl Fn(Platform) + Sync) {
    thread::scope(|scope| {
        for platform in PLATFORMS {
            let test = &test;
            scope.spawn(move || test(platform));
        }
    });
}

const MIB: usize = 1024 * 1024;

#[test]
fn events_of_any_length_are_answered_on_one_connection() {
    each(Program::bootstrap, |api, _, mut peer| {
        for len in [
            0,
            11,
            1,
            4096,
            32 * 1024 - 1,
            32 * 1024,
            6 * MIB,
            2,
            20 * MIB,
            0,
            3,
        ] {
            peer.expect_echo(noise(len));
        }
        api.expect_no_connection();
    });
}

#[test]
fn events_come_in_chunks_too() {
    each(Program::bootstrap, |api, _, mut peer| {
        for (len, size) in [
            (0, 1),
            (1, 1),
            (11, 3),
            (100_000, 4096),
            (6 * MIB, 65_536),
            (500, 1),
        ] {
            let event = noise(len);
            peer.send(chunked(&api.platform.fields(ID), &event, size));
            assert_same(&peer.expect_response().body, &event);
            peer.accept().expect_next();
        }
        api.expect_no_connection();
    });
}

/// A second connection is the proof that the first part was read alone.
#[test]
fn where_the_network_cuts_does_not_matter() {
    let api = Api::new(Platform::Lambda);
    let _server = api.start(Program::bootstrap().env("AWS_LAMBDA_MAX_CONCURRENCY", 2));
    let (mut peer, mut other) = (api.accept(), api.accept());
    peer.expect_next();
    other.expect_next();
    let whole = peer.rendered("Hello World");
    let coded = chunked(&api.platform.fields(ID), b"Hello World", 4);
    for wire in [whole, coded] {
        for cut in 1..wire.len() {
            peer.send(&wire[..cut]);
            other.expect_echo("a");
            assert!(peer.is_silent());
            peer.send(&wire[cut..]);
            assert_eq!(peer.expect_response().text(), "Hello World", "cut at {cut}");
            peer.accept().expect_next();
        }
    }
    // And the response to an answer.
    let accepted = response("202 Accepted", "Content-Type: application/json\r\n", "{}\n");
    for cut in 1..accepted.len() {
        peer.event("a").expect_response();
        peer.send(&accepted[..cut]);
        other.expect_echo("a");
        peer.send(&accepted[cut..]).expect_next();
    }
    api.expect_no_connection();
}

#[test]
fn nor_whether_it_is_cut_in_time() {
    each(Program::bootstrap, |api, _, mut peer| {
        let whole = peer.rendered("Hello World");
        let coded = chunked(&api.platform.fields(ID), b"Hello World", 4);
        for wire in [whole, coded] {
            for cut in 1..wire.len() {
                peer.send(&wire[..cut]);
                peer.send(&wire[cut..]);
                assert_eq!(peer.expect_response().text(), "Hello World", "cut at {cut}");
                peer.accept().expect_next();
            }
        }
        api.expect_no_connection();
    });
}

/// RFC 9110 §15.2: the response proper comes after those that only inform, alone or with it.
#[test]
fn interim_responses_are_skipped() {
    const INTERIM: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n\
        HTTP/1.1 103 Early Hints\r\nLink: <a>\r\nConnection: close\r\n\r\n\
        HTTP/1.0 100 Continue\r\n\r\n";
    each(Program::bootstrap, |api, _, mut peer| {
        let event = peer.rendered("Hello World");
        let taken = response("202 Accepted", "", "");
        for is_alone in [true, false] {
            let give = |peer: &mut Peer, wire: &[u8]| {
                if is_alone {
                    peer.send(INTERIM).wait_until_read();
                    assert!(peer.is_silent());
                    peer.send(wire);
                } else {
                    peer.send([INTERIM, wire].concat());
                }
            };
            give(&mut peer, &event);
            assert_eq!(peer.expect_response().text(), "Hello World");
            give(&mut peer, &taken);
            peer.expect_next();
        }
        api.expect_no_connection();
    });
}

#[test]
fn names_of_headers_have_any_case() {
    for fields in [
        str::to_ascii_lowercase as fn(&str) -> String,
        str::to_ascii_uppercase,
    ] {
        each(Program::bootstrap, |api, _, mut peer| {
            let text = api.platform.fields("abc");
            peer.send(response("200 OK", &fields(&text), "event"));
            let id = fields("abc");
            peer.expect(&api.platform.response(&id));
        });
    }
}

#[test]
fn a_failed_call_is_reported_and_the_next_one_served() {
    each(
        || Program::fixture("fixture"),
        |api, server, mut peer| {
            peer.event("fail");
            let error = peer.expect_error();
            assert_eq!(error.header("content-type"), Some("application/json"));
            let name = "lambda-runtime-function-error-type";
            let is_lambda = api.platform == Platform::Lambda;
            assert_eq!(error.header(name), is_lambda.then_some("Function.Broken"));
            let told = error.json();
            assert_eq!(told["errorType"], "Broken");
            assert_eq!(
                told["errorMessage"],
                "it \"broke\"\n\\ \u{1} \u{e9}\u{1f600}"
            );
            let place = told["stackTrace"][0].as_str().expect("a place");
            assert!(place.contains("handler.rs:"), "{place}");
            let line = format!("{ID} [ERROR] Broken: it");
            server.stdout.wait_until(|log| log.contains(&line));
            peer.accept().expect_next();
            peer.expect_echo("echo this");
        },
    );
}

/// With unwinding a panic is a failed call, too.
#[test]
fn a_panic_fails_its_call_alone() {
    each(
        || Program::fixture("fixture_std"),
        |_, server, mut peer| {
            peer.event("panic with text");
            assert_eq!(peer.expect_error().json()["errorType"], "Panic");
            peer.accept().expect_next();
            peer.expect_echo("echo this");
            let is_all =
                |text: &str| text.contains("text: 15") && text.ends_with("display a backtrace\n");
            server.stderr.wait_until(is_all);
            server.stderr.take();
        },
    );
}

/// Without, it is the end of the process, and the platform sees its connection end.
#[test]
fn a_panic_without_unwinding_ends_the_process() {
    each(
        || Program::fixture("fixture"),
        |_, server, mut peer| {
            peer.event("panic");
            server.expect_exit(101);
            assert!(server.stderr.take().contains("panic at "));
            peer.expect_close();
        },
    );
}

/// A long event's memory is given back when no other one comes, and waiting costs nothing.
#[test]
fn a_program_that_waits_holds_little() {
    each(Program::bootstrap, |_, server, mut peer| {
        peer.expect_echo(noise(6 * MIB));
        wait_for("the memory", || {
            (server.status_kib("VmRSS") < 200).then_some(())
        });
        let cpu = server.cpu();
        peer.expect_echo("Hello World");
        assert!(server.cpu() - cpu <= Duration::from_millis(10));
    });
}

/// For an event, for the response to an answer, and for a platform that does not read on: also when
/// the process is to end.
#[test]
fn waits_cost_nothing() {
    each(Program::bootstrap, |_, server, mut peer| {
        expect_sleep(server);
        peer.event("Hello World").expect_response();
        expect_sleep(server);
        peer.accept().expect_next();
        let event = noise(16 * MIB);
        peer.event(&event);
        peer.read_until(|bytes| bytes.len() > 100_000);
        expect_sleep(server);
        server.signal(Signal::TERM);
        expect_sleep(server);
        assert_same(&peer.expect_response().body, &event);
        peer.accept();
        server.expect_exit(0);
    });
}

#[test]
fn a_refused_error_is_survived() {
    each(
        || Program::fixture("fixture"),
        |_, _, mut peer| {
            peer.event("fail").expect_error();
            peer.reply("403 Forbidden", "{}").expect_next();
            peer.expect_echo("echo");
        },
    );
}

/// The platform ends the instance, and expects the process to have ended by itself.
#[test]
fn a_failure_of_the_platform_is_the_end() {
    each(Program::bootstrap, |_, server, mut peer| {
        peer.event("a").expect_response();
        peer.reply("500 Internal Server Error", "{}");
        server.expect_exit(1);
        let line = server.stderr.take();
        assert_eq!(
            line,
            "fnboot: the platform's API answered with status 500\n"
        );
    });
    for status in [
        "403 Forbidden",
        "500 Internal Server Error",
        "404 Not Found",
        "302 Found",
        "202 Accepted",
    ] {
        each(Program::bootstrap, |_, server, mut peer| {
            peer.reply(status, "{}");
            server.expect_exit(1);
            let want = format!(
                "fnboot: the platform's API answered the question for an event with status {}\n",
                &status[..3]
            );
            assert_eq!(server.stderr.take(), want);
        });
    }
}

/// An event that nobody can read, or too long a one: one clear line.
#[test]
fn what_is_not_http_is_the_end() {
    for (wire, why) in [
        ("SSH-2.0-OpenSSH_9.6\r\n", "bad request line"),
        (
            &*format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(1001)),
            "request body too large",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nevent",
            "bad Content-Length",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1001\r\n\r\n",
            "request body too large",
        ),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
            "bad chunk size",
        ),
    ] {
        let _case = Case(wire);
        let program = || Program::bootstrap().env("FNBOOT_MAX_BODY", 1000);
        each(program, |_, server, mut peer| {
            peer.send(wire);
            server.expect_exit(1);
            let want = format!("fnboot: the platform's API: {why}\n");
            assert_eq!(server.stderr.take(), want);
        });
    }
}

/// A connection that ends while an event is waited for: the event comes again.
#[test]
fn a_connection_that_ends_is_opened_again() {
    each(Program::bootstrap, |api, _, peer| {
        let event = peer.rendered(noise(100_000));
        let mut peer = peer;
        for sent in [
            0,
            1,
            17,
            event.len() - 100_001,
            event.len() - 100_000,
            50_000,
            99_999,
        ] {
            for is_rude in [false, true] {
                let _case = Case((sent, is_rude));
                peer.send(&event[..sent]);
                peer.wait_until_read();
                if is_rude {
                    peer.reset();
                } else {
                    drop(peer);
                }
                peer = api.accept();
                peer.expect_next();
                peer.expect_echo("Hello World");
            }
        }
        api.expect_no_connection();
    });
}

/// One that ends instead of the response to an answer: nobody knows whether it was taken, and the
/// platform gives the event again if it was not.
#[test]
fn an_answer_without_a_response_is_sent_again() {
    each(Program::bootstrap, |api, server, mut peer| {
        for _ in 0..3 {
            peer.event("Hello World").expect_response();
            drop(peer);
            peer = api.accept();
            assert_eq!(peer.expect_response().text(), "Hello World");
            peer.accept().expect_next();
        }
        // As one to which the response was cut.
        peer.event("Hello World").expect_response();
        peer.send("HTTP/1.1 202 Accepted\r\nContent-Le");
        drop(peer);
        peer = api.accept();
        assert_eq!(peer.expect_response().text(), "Hello World");
        peer.accept().expect_next();
        assert_eq!(server.stdout.take(), "");
    });
}

/// After the response to an answer.
#[test]
fn a_connection_may_end_between_two_events() {
    each(Program::bootstrap, |api, _, mut peer| {
        for _ in 0..20 {
            peer.event("Hello World").expect_response();
            peer.accept();
            drop(peer);
            peer = api.accept();
            peer.expect_next();
        }
        peer.expect_echo("Hello World");
    });
}

/// A server that closes after every response: the answer to an event goes over the next connection.
#[test]
fn servers_that_close_after_each_response() {
    for version in ["HTTP/1.1 200 OK\r\nConnection: close", "HTTP/1.0 200 OK"] {
        each(Program::bootstrap, |api, _, mut peer| {
            for len in [11, 0, 6 * MIB, 1] {
                let event = noise(len);
                let fields = api.platform.fields(ID);
                let head = format!("{version}\r\n{fields}Content-Length: {len}\r\n\r\n");
                peer.send([head.as_bytes(), &event].concat());
                peer.expect_close();
                peer = api.accept();
                assert_same(&peer.expect_response().body, &event);
                peer.send(format!("{version}\r\nContent-Length: 2\r\n\r\n{{}}"));
                peer.finish();
                // Either the connection or the next question is first seen to end.
                peer = api.accept();
                peer.expect_next();
            }
        });
    }
}

#[test]
fn sigterm_ends_a_program_that_waits() {
    each(
        || Program::fixture("fixture"),
        |_, server, mut peer| {
            peer.expect_echo("echo");
            server.signal(Signal::TERM);
            server.expect_exit(0);
            let log = server.stdout.take();
            assert!(log.ends_with(" [INFO] stopping\n"), "{log}");
            peer.expect_close();
        },
    );
}

/// In the middle of an event whose rest does not come, or before anything is answered at all.
#[test]
fn sigterm_ends_a_program_whatever_it_waits_for() {
    at_once(|platform| {
        let api = Api::new(platform);
        let (mut server, mut peer) = api.begin(Program::bootstrap());
        let event = peer.rendered(noise(100_000));
        peer.send(&event[..50_000]).wait_until_read();
        server.signal(Signal::TERM);
        server.expect_exit(0);
    });
    for platform in PLATFORMS {
        let api = Api::new(platform);
        let mut server = api.start(Program::bootstrap());
        api.accept().request();
        server.signal(Signal::TERM);
        server.expect_exit(0);
    }
}

/// An API that listens but does not take connections: opening one may take minutes, and `SIGTERM`
/// comes meanwhile, or before it is begun.
#[test]
fn sigterm_ends_a_program_that_connects() {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
    rustix::net::listen(&listener, 0).expect("listen");
    let address = listener.local_addr().expect("an address");
    // It fills the queue.
    let _first = TcpStream::connect(address).expect("connect");
    let program = || {
        let program = Program::bootstrap().without_port();
        program.env("AWS_LAMBDA_RUNTIME_API", address)
    };
    let mut server = program().start();
    wait_for("the program to connect", || {
        let is_it = |socket: Socket| socket.remote == address.port() && socket.state == SYN_SENT;
        sockets().any(is_it).then_some(())
    });
    server.signal(Signal::TERM);
    server.expect_exit(0);
    let before = [
        "strace",
        "--quiet=all",
        "--output=/dev/null",
        "--inject=socket:signal=TERM",
    ];
    let mut server = program().under(&before).start();
    server.expect_exit(0);
}

/// An event of which a part is there when the signal comes is received, and answered.
#[test]
fn sigterm_lets_an_event_through_that_comes() {
    each(Program::bootstrap, |_, server, mut peer| {
        let body = noise(100_000);
        let event = peer.rendered(&body);
        peer.send(&event[..50_000]).wait_until_read();
        server.signal(Signal::TERM);
        sleep(Duration::from_millis(100));
        assert!(server.is_alive());
        peer.send(&event[50_000..]);
        assert_same(&peer.expect_response().body, &body);
        peer.accept();
        server.expect_exit(0);
    });
}

/// An event that is there when the signal comes is answered, also one that came with the last
/// response of its connection. The process is stopped so that it is surely unread.
#[test]
fn sigterm_lets_an_event_through_that_has_come() {
    for is_last in [false, true] {
        each(Program::bootstrap, |api, server, mut peer| {
            let mut event = peer.rendered("hello");
            server.signal(Signal::STOP);
            if is_last {
                event.splice(..b"HTTP/1.1".len(), *b"HTTP/1.0");
                peer.send(event).finish();
            } else {
                peer.send(event);
            }
            server.signal(Signal::TERM);
            server.signal(Signal::CONT);
            let mut peer = if is_last { api.accept() } else { peer };
            assert_eq!(peer.expect_response().body, b"hello");
            peer.accept();
            server.expect_exit(0);
        });
    }
}

/// An answer that is on its way arrives.
#[test]
fn sigterm_lets_an_answer_through() {
    each(Program::bootstrap, |_, server, mut peer| {
        let event = noise(16 * MIB);
        peer.event(&event);
        peer.read_until(|bytes| bytes.len() > 100_000);
        server.signal(Signal::TERM);
        assert_same(&peer.expect_response().body, &event);
        peer.accept();
        server.expect_exit(0);
    });
}

#[test]
fn an_api_that_is_not_there_is_named() {
    at_once(|platform| {
        let api = Api::new(platform);
        let port = api.port();
        let program = api.program(Program::bootstrap());
        drop(api);
        let (status, _, line) = program.run();
        assert_eq!(status.code(), Some(1), "{platform:?}");
        let want =
            format!("fnboot: cannot reach the platform's API on port {port}: connection refused\n");
        assert_eq!(line, want);
    });
}

/// One that takes connections and ends them is not asked for ever, nor in haste.
#[test]
fn an_api_that_only_hangs_up_is_given_up() {
    let api = Api::new(Platform::Lambda);
    let mut server = api.start(Program::bootstrap());
    let mut count = 0;
    wait_for("the end", || {
        count += usize::from(api.try_accept().is_some());
        (!server.is_alive()).then_some(())
    });
    assert!((10..100).contains(&count), "{count} connections");
    server.expect_exit(1);
    let line = server.stderr.take();
    let start = "fnboot: cannot reach the platform's API on port ";
    assert!(line.starts_with(start), "{line}");
}

/// One that has a bad start is asked again: it ends connections before anything is sent, or right
/// after.
#[test]
fn an_api_that_hangs_up_at_first_is_asked_again() {
    let api = Api::new(Platform::Lambda);
    let fails = [
        "strace",
        "--quiet=all",
        "--output=/dev/null",
        "--inject=sendmsg:error=ECONNRESET:when=1..3",
    ];
    let _server = api.start(Program::bootstrap().under(&fails));
    for _ in 0..3 {
        api.accept().expect_close();
    }
    for _ in 0..3 {
        api.accept().reset();
    }
    let mut peer = api.accept();
    peer.expect_next();
    peer.expect_echo("Hello World");
    api.expect_no_connection();
}

/// `AWS_LAMBDA_RUNTIME_API` is what stands between `http://` and the API's own paths, or also that
/// with `http://`, however it ends.
#[test]
fn addresses_have_many_forms() {
    for (address, name, base) in [
        ("127.0.0.1:PORT", "127.0.0.1", ""),
        ("127.0.0.1:PORT/", "127.0.0.1", ""),
        ("http://127.0.0.1:PORT", "127.0.0.1", ""),
        ("HTTP://localhost:PORT//", "localhost", ""),
        ("localhost:PORT/MyFunction", "localhost", "/MyFunction"),
        ("http://LocalHost:PORT/a/b%20c/", "LocalHost", "/a/b%20c"),
    ] {
        let _case = Case(address);
        let api = Api::new(Platform::Lambda).known_as(name, base);
        let address = address.replace("PORT", &api.port().to_string());
        let program = Program::bootstrap().without_port();
        let _server = program.env("AWS_LAMBDA_RUNTIME_API", address).start();
        api.first().expect_echo("Hello World");
    }
}

/// Below a path of the API are the paths of Lambda's other API, too.
#[test]
fn a_path_is_in_front_of_every_path() {
    let api = Api::new(Platform::Lambda).known_as("127.0.0.1", "/MyFunction");
    let _server = api.start(Program::bootstrap().env("FNBOOT_SIGTERM", "on"));
    let mut extension = api.accept();
    extension.expect("POST /2020-01-01/extension/register");
    let id = "Lambda-Extension-Identifier: 1\r\n";
    extension.send(response("200 OK", id, "{}"));
    extension.expect("GET /2020-01-01/extension/event/next");
    api.first().expect_echo("Hello World");
}

/// The port is 80 where none is given. In a network of its own nobody can be reached there.
#[test]
fn the_default_port_is_80() {
    let network = own_network_and("env", &["--"]);
    let program = Program::bootstrap().without_port().under(&network);
    let program = program.env("AWS_LAMBDA_RUNTIME_API", "localhost/path");
    let (status, _, line) = program.run();
    assert_eq!(status.code(), Some(1));
    let start = "fnboot: cannot reach the platform's API on port 80: ";
    assert!(line.starts_with(start), "{line}");
}

/// The program sees that text for `/etc/hosts`, in a mount namespace of its own.
fn with_hosts(program: Program, name: &str, hosts: &[u8]) -> Program {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, hosts).expect("write");
    let path = path.to_str().expect("text");
    let script = format!("mount --bind '{path}' /etc/hosts && exec \"$0\"");
    let mut words = vec!["unshare", "--mount"];
    if !rustix::process::geteuid().is_root() {
        words.extend(["--user", "--map-root-user"]);
    }
    words.extend(["--", "/bin/sh", "-c", script.as_str()]);
    program.under(&words)
}

#[test]
fn names_are_found_in_etc_hosts() {
    let hosts = b"# 127.0.0.2 api\n::1 api\n10.0.0.1 api.example # api\n\n\
        127.0.0.1\t other  Api\t\r\n127.0.0.3 api";
    for platform in PLATFORMS {
        let api = Api::new(platform).known_as("api", "");
        let program = with_hosts(Program::bootstrap(), &format!("hosts-{platform:?}"), hosts);
        let (_server, mut peer) = api.begin(program);
        peer.expect_echo("Hello World");
    }
}

/// Of a long one the beginning counts, up to its last whole line.
#[test]
fn a_long_etc_hosts_is_read_in_part() {
    let line = b"10.0.0.1 of-no-interest\n";
    let mut hosts = [b"127.0.0.1 first\n", line.repeat(3000).as_slice()].concat();
    hosts.truncate(64 * 1024 - b"127.0.0.1 cut".len());
    let last = hosts
        .iter()
        .rposition(|&byte| byte == b'\n')
        .expect("a line");
    hosts[last + 1..].fill(b'#');
    *hosts.last_mut().expect("a byte") = b'\n';
    hosts.extend(b"127.0.0.1 cut-short\n127.0.0.1 beyond\n");
    let api = Api::new(Platform::Lambda).known_as("first", "");
    let program = with_hosts(Program::bootstrap(), "hosts-long", &hosts);
    let (_server, mut peer) = api.begin(program);
    peer.expect_echo("Hello World");
    for name in ["cut", "cut-short", "beyond"] {
        let program = Program::bootstrap().without_port();
        let program = program.env("AWS_LAMBDA_RUNTIME_API", name);
        let program = with_hosts(program, &format!("hosts-{name}"), &hosts);
        let (status, _, line) = program.run();
        assert_eq!(status.code(), Some(1), "{name}");
        let start = format!("fnboot: AWS_LAMBDA_RUNTIME_API: '{name}' is not ");
        assert!(line.starts_with(&start), "{line}");
    }
}

/// Where no name is to be looked up, no file is opened.
#[test]
fn an_address_needs_no_etc_hosts() {
    for name in ["127.0.0.1", "localhost"] {
        let trace = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("opened-{name}"));
        let output = format!("--output={}", trace.display());
        let strace = ["strace", "--trace=open,openat,openat2,connect", &output];
        let api = Api::new(Platform::Lambda).known_as(name, "");
        let _peer = api.begin(Program::bootstrap().under(&strace));
        let calls = wait_for("the trace", || {
            let text = std::fs::read_to_string(&trace).ok()?;
            text.contains("connect(").then_some(text)
        });
        assert!(!calls.contains("open"), "{calls}");
    }
}

#[test]
fn bad_addresses_are_named() {
    for (name, value) in [
        ("AWS_LAMBDA_RUNTIME_API", "nobody.invalid:80"),
        ("AWS_LAMBDA_RUNTIME_API", "https://127.0.0.1:80"),
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:0"),
        ("AWS_LAMBDA_RUNTIME_API", "[::1]:80"),
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:80/path?query"),
        ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:80/a path"),
        ("SCF_RUNTIME_API", "nobody.invalid"),
        ("SCF_RUNTIME_API", "127.0.0.1:80"),
    ] {
        let port = port::free().expect("a port");
        let program = Program::bootstrap().without_port().env(name, value);
        let (status, _, line) = program.env("SCF_RUNTIME_API_PORT", port).run();
        assert_eq!(status.code(), Some(1));
        let start = format!("fnboot: {name}: '{value}' is not ");
        assert!(line.starts_with(&start), "{line}");
        assert_eq!(line.matches('\n').count(), 1, "{line}");
    }
    let program = Program::bootstrap().without_port();
    let (status, _, line) = program.env("SCF_RUNTIME_API", "127.0.0.1").run();
    assert_eq!(status.code(), Some(1));
    assert!(
        line.starts_with("fnboot: SCF_RUNTIME_API_PORT: '' is not a port"),
        "{line}"
    );
}

/// Where standard streams are closed, a connection must not get the number of one, nor be kept by
/// whatever takes it instead: it ends when it ends.
#[test]
fn connections_end_without_standard_streams() {
    for closed in ["<&-", ">&- 2>&-", "<&- >&- 2>&-"] {
        let program = || Program::bootstrap().in_shell(&format!("exec \"$0\" {closed}"));
        each(program, |api, server, mut peer| {
            for _ in 0..3 {
                peer.expect_echo("an event");
                peer.finish().expect_close();
                peer = api.accept();
                peer.expect_next();
            }
            expect_nothing_inherited(server);
        });
    }
}

/// An API that has vanished without a word is found by the kernel, too.
#[test]
fn a_vanished_api_is_looked_for() {
    each(Program::bootstrap, |api, _, mut peer| {
        let port = peer.port();
        let seconds = wait_for("the timer", || keepalive_seconds(port, api.port()));
        assert!(seconds <= 60, "in {seconds} s");
        peer.expect_echo("an event");
        // On a connection that takes the place of another, too.
        peer.event("an event").finish();
        let mut peer = api.accept();
        peer.expect_response();
        let port = peer.port();
        wait_for("the timer", || keepalive_seconds(port, api.port()));
        peer.accept().expect_next();
    });
}
