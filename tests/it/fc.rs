//! The contract with Function Compute: which call a request is, what the answer looks like, what
//! stands in the log when the answer can be read; how the process starts, ends and survives.

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::process::ExitStatus;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::OFlags;
use rustix::process::Signal;

use crate::harness::{
    Barrier, Case, Client, PATIENCE, PING, Program, Server, Socket, assert_same, bootstrap,
    chunked, get, in_own_network, narrow, noise, out_of_descriptors, own_network_and, post,
    sockets, wait_for,
};

const OCTETS: Option<&str> = Some("application/octet-stream");

/// The log of calls that went well, each with its kind and request id.
fn log_of(calls: &[(&str, &str)]) -> String {
    let lines = |(kind, id): &(&str, &str)| {
        format!("FC {kind} Start RequestId: {id}\nFC {kind} End RequestId: {id}\n")
    };
    calls.iter().map(lines).collect()
}

/// Method, target, control path; what kind of call it is.
const ROUTES: &[(&str, &str, Option<&str>, &str)] = &[
    ("POST", "/invoke", Some("/invoke"), "Event"),
    ("POST", "/invoke", None, "Event"),
    ("POST", "/invoke?a=b", None, "Event"),
    ("POST", "http://h/invoke", None, "Event"),
    ("POST", "/invoke", Some(""), "Event"),
    ("POST", "/invoke", Some("/unheard-of"), "Event"),
    ("GET", "/", Some("/invoke"), "Event"),
    ("POST", "/initialize", Some("/initialize"), "Initialize"),
    ("POST", "/initialize", None, "Initialize"),
    // What the local emulator of FC 2.0 does: the client's own method and path.
    ("GET", "/some/page?x=y", Some("/initialize"), "Initialize"),
    ("GET", "/pre-freeze", Some("/pre-freeze"), "PreFreeze"),
    ("GET", "/pre-freeze", None, "PreFreeze"),
    ("GET", "/pre-stop", Some("/pre-stop"), "PreStop"),
    ("GET", "/pre-stop", None, "PreStop"),
    // An HTTP function: any method, any path, also those that look like FC's own.
    ("GET", "/", Some("/http-invoke"), "Http"),
    ("POST", "/invoke", Some("/http-invoke"), "Http"),
    ("POST", "/initialize", Some("/http-invoke"), "Http"),
    ("GET", "/pre-stop", Some("/http-invoke"), "Http"),
    ("DELETE", "/a/b?c", None, "Http"),
    ("GET", "/invoke", None, "Http"),
    ("POST", "/http-invoke", None, "Http"),
    ("POST", "/invoke/", None, "Http"),
    ("POST", "/Invoke", None, "Http"),
    ("GET", "/initialize", None, "Http"),
    ("POST", "/pre-stop", None, "Http"),
];

#[test]
fn every_call_finds_its_way() {
    let mut server = Server::start();
    let mut client = server.connect();
    for (index, &(method, target, control, kind)) in ROUTES.iter().enumerate() {
        let control = control.map(|path| format!("X-Fc-Control-Path: {path}\r\n"));
        let control = control.unwrap_or_default();
        let request = format!(
            "{method} {target} HTTP/1.1\r\nHost: h\r\n{control}X-Fc-Request-Id: id-{index}\r\n\
             Content-Length: 4\r\n\r\nbody"
        );
        let answer = client.send(&request).expect(200);
        assert_eq!(answer.header("x-fc-status"), Some("200"));
        // The built-in function answers HTTP without a type, which so tells it from an event.
        let (mark, body, content_type) = match kind {
            "Event" => ("Invoke", "body", OCTETS),
            "Http" => ("Invoke", "body", None),
            hook => (hook, "", OCTETS),
        };
        assert_eq!(
            (answer.text().as_str(), answer.header("content-type")),
            (body, content_type)
        );
        let want = log_of(&[(mark, &format!("id-{index}"))]);
        assert_eq!(
            server.stdout.wait_until(|log| log.len() >= want.len()),
            want
        );
        server.stdout.take();
    }
}

#[test]
fn events_are_answered_as_events() {
    let mut server = Server::start();
    for event in [&b"Hello World"[..], b"", b"\0\xff\r\n\r\n"] {
        let answer = server.call(post("/invoke", "", event), 200);
        assert_eq!(answer.body, event);
        assert_eq!(answer.header("content-type"), OCTETS);
        assert_eq!(answer.header("x-fc-status"), Some("200"));
        assert_eq!(answer.header("connection"), None, "the connection is kept");
    }
}

/// The built-in function's answer to HTTP.
#[test]
fn http_requests_are_answered_with_their_body() {
    let mut server = Server::start();
    let answer = server.call("GET /any HTTP/1.1\r\nHost: h\r\n\r\n", 200);
    assert_eq!(answer.text(), "Hello World!\n");
    let answer = server.call(post("/any", "", "tea"), 200);
    assert_eq!(answer.text(), "tea");
    assert_eq!(answer.header("x-fc-status"), Some("200"));
}

/// The headers of a function of FC 3.0, as its users see them echoed (Higress, documentation of
/// the plugin key-rate-limit, February 2025), and of FC 2.0, as its documentation lists them.
const HEADERS_3: &str = "\
    Host: key-ratugin-pul-ccdnjmacrw.cn-hangzhou-vpc.fcapp.run\r\n\
    User-Agent: Go-http-client/1.1\r\n\
    Accept-Encoding: gzip\r\n\
    X-Fc-Access-Key-Id: \r\n\
    X-Fc-Access-Key-Secret: \r\n\
    X-Fc-Account-Id: 1419633767709936\r\n\
    X-Fc-Api-Server-Ip: \r\n\
    X-Fc-Base-Path: /get\r\n\
    X-Fc-Client-Ip: \r\n\
    X-Fc-Control-Path: /http-invoke\r\n\
    X-Fc-Eagleeye-Rpcid: \r\n\
    X-Fc-Eagleeye-Traceid: \r\n\
    X-Fc-Eagleeye-Userdata: \r\n\
    X-Fc-Function-Handler: index.handler\r\n\
    X-Fc-Function-Memory: 1024\r\n\
    X-Fc-Function-Name: key-rate-limit-plugin-1pul\r\n\
    X-Fc-Function-Timeout: 3\r\n\
    X-Fc-Qualifier: LATEST\r\n\
    X-Fc-Region: cn-hangzhou\r\n\
    X-Fc-Request-Id: 1-67a59f35-150c1267-f381ba1c085c\r\n\
    X-Fc-Retry-Count: 0\r\n\
    X-Fc-Security-Token: \r\n\
    X-Fc-Service-Logproject: \r\n\
    X-Fc-Service-Logstore: \r\n\
    X-Fc-Service-Name: \r\n\
    X-Fc-Tracing-Jaeger-Endpoint: \r\n\
    X-Fc-Tracing-Opentracing-Span-Baggages: \r\n\
    X-Fc-Tracing-Opentracing-Span-Context: \r\n\
    X-Fc-Version-Id: \r\n";

const SECRETS: [&str; 3] = [
    "STS.NUYexampleexample",
    "HqoT9secretsecret",
    "CAIS8gF1qTokenToken==",
];

fn headers_2(control: &str, id: &str) -> String {
    let [key_id, key_secret, token] = SECRETS;
    format!(
        "Host: 21.0.5.131:9000\r\nUser-Agent: Go-http-client/1.1\r\n\
         Content-Type: application/octet-stream\r\n\
         X-Fc-Access-Key-Id: {key_id}\r\nX-Fc-Access-Key-Secret: {key_secret}\r\n\
         X-Fc-Security-Token: {token}\r\nX-Fc-Account-Id: 188077086902\r\n\
         X-Fc-Control-Path: {control}\r\nX-Fc-Function-Handler: index.handler\r\n\
         X-Fc-Function-Initializer: index.initializer\r\nX-Fc-Function-Memory: 128\r\n\
         X-Fc-Function-Name: hello\r\nX-Fc-Function-Timeout: 60\r\n\
         X-Fc-Initialization-Timeout: 3\r\nX-Fc-Qualifier: prod\r\n\
         X-Fc-Region: cn-shanghai\r\nX-Fc-Request-Id: {id}\r\nX-Fc-Retry-Count: 2\r\n\
         X-Fc-Service-Logproject: project\r\nX-Fc-Service-Logstore: store\r\n\
         X-Fc-Service-Name: service\r\nX-Fc-Version-Id: 7\r\nAccept-Encoding: gzip\r\n"
    )
}

/// The life of an instance, as FC plays it: a probe, the initializer, calls, hooks.
#[test]
fn a_whole_life() {
    let mut server = Server::start();
    drop(server.connect());
    let mut client = server.connect();
    let initialize = headers_2("/initialize", "9f2c1e44-0001");
    client.send(format!(
        "POST /initialize HTTP/1.1\r\n{initialize}Content-Length: 0\r\n\r\n"
    ));
    assert_eq!(client.expect(200).text(), "");
    let invoke = headers_2("/invoke", "9f2c1e44-0002");
    let event =
        "{\"triggerTime\":\"2026-01-01T00:00:00Z\",\"triggerName\":\"t\",\"payload\":\"p\"}";
    let length = event.len();
    client.send(format!(
        "POST /invoke HTTP/1.1\r\n{invoke}Content-Length: {length}\r\n\r\n{event}"
    ));
    assert_eq!(client.expect(200).text(), event);
    client.send(format!("GET /get?apikey=1 HTTP/1.1\r\n{HEADERS_3}\r\n"));
    assert_eq!(client.expect(200).text(), "Hello World!\n");
    for (hook, id) in [
        ("/pre-freeze", "9f2c1e44-0003"),
        ("/pre-stop", "9f2c1e44-0004"),
    ] {
        client.send(format!(
            "GET {hook} HTTP/1.1\r\n{}\r\n",
            headers_2(hook, id)
        ));
        client.expect(200);
    }
    let want = log_of(&[
        ("Initialize", "9f2c1e44-0001"),
        ("Invoke", "9f2c1e44-0002"),
        ("Invoke", "1-67a59f35-150c1267-f381ba1c085c"),
        ("PreFreeze", "9f2c1e44-0003"),
        ("PreStop", "9f2c1e44-0004"),
    ]);
    assert_eq!(
        server.stdout.wait_until(|log| log.len() >= want.len()),
        want
    );
    server.signal(Signal::TERM);
    server.expect_exit(0);
    assert_eq!(server.stdout.text(), want, "nothing else was written");
}

#[test]
fn secrets_stay_secret() {
    let mut server = Program::bootstrap()
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", SECRETS[0])
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", SECRETS[1])
        .env("ALIBABA_CLOUD_SECURITY_TOKEN", SECRETS[2])
        .start();
    let mut answers = String::new();
    for control in [
        "/invoke",
        "/http-invoke",
        "/initialize",
        "/pre-stop",
        "/other",
    ] {
        let request = format!("POST /x HTTP/1.1\r\n{}\r\n", headers_2(control, "id"));
        let answer = server.call(&request, 200);
        answers += &format!("{:?} {}", answer.headers, answer.text());
        // The same, broken: what is said of it must not quote it.
        let answer = server.call(request.replacen("Host:", "Host :", 1), 400);
        answers += &format!("{:?} {}", answer.headers, answer.text());
    }
    server.signal(Signal::TERM);
    server.expect_exit(0);
    let said = answers + &server.stdout.text() + &server.stderr.text();
    for secret in SECRETS {
        assert!(!said.contains(secret), "{secret} in {said:?}");
    }
}

/// When the answer can be read, both marks have been written: the instance may be frozen.
#[test]
fn marks_come_before_the_answer() {
    let (reader, writer) = std::io::pipe().expect("pipe");
    let mut server = Program::bootstrap().stdout(writer).start();
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).expect("fcntl");
    let mut log = File::from(std::os::fd::OwnedFd::from(reader));
    let mut client = server.connect();
    for n in 0..200 {
        let id = format!("id-{n}");
        let answer = client.send(post("/invoke", &format!("x-fc-request-id: {id}\r\n"), &id));
        assert_eq!(answer.expect(200).text(), id);
        let mut written = [0; 1024];
        let count = log.read(&mut written).expect("the marks are there");
        assert_eq!(
            String::from_utf8_lossy(&written[..count]),
            log_of(&[("Invoke", &id)])
        );
    }
}

#[test]
fn marks_can_be_switched_off() {
    for off in ["off", "OFF", "Off"] {
        let mut server = Program::bootstrap().env("FNBOOT_MARKERS", off).start();
        let mut client = server.connect();
        client.expect_open();
        client
            .send("POST /initialize HTTP/1.1\r\nHost: h\r\n\r\n")
            .expect(200);
        server.signal(Signal::TERM);
        server.expect_exit(0);
        assert_eq!(server.stdout.text(), "");
    }
    for on in ["on", "ON"] {
        let mut server = Program::bootstrap().env("FNBOOT_MARKERS", on).start();
        server.call(PING, 200);
        server.stdout.wait_lines(2);
    }
}

/// A name that is misspelt is said, and everything works as without it.
#[test]
fn unknown_variables_are_named() {
    for (name, value) in [
        ("MARKER", "off"),
        ("", "x"),
        ("MAX_BODY_BYTES", "1"),
        ("no", ""),
    ] {
        let program = Program::bootstrap().env(&format!("FNBOOT_{name}"), value);
        let mut server = program.env("FNBOOT_MAX_BODY", 1000).start();
        server.call(PING, 200);
        let want = format!("fnboot: FNBOOT_{name}: unknown variable\n");
        server.stderr.wait_until(|said| said == want);
        server.stderr.take();
        server.stdout.wait_lines(2);
    }
    // All that there are, and what only looks alike.
    let mut server = Program::bootstrap()
        .env("FNBOOT_SIGTERM", "on")
        .env("FNBOOT_STREAMING", "on")
        .env("XFNBOOT_A", "on")
        .env("FNBOOT", "echo")
        .start();
    server.call(PING, 200);
}

/// A request id is somebody's bytes. Line ends cannot arrive in a header at all; whatever can must
/// not be able to look like another line, or drive a terminal.
#[test]
fn ids_cannot_forge_the_log() {
    let mut server = Server::start();
    let long = "x".repeat(10_000);
    for (id, want) in [
        (&b""[..], ""),
        (
            b"1-67a59f35-150c1267-f381ba1c085c",
            "1-67a59f35-150c1267-f381ba1c085c",
        ),
        (b"a b\tc", "a"),
        ("a\u{85}b\u{2028}c".as_bytes(), "a"),
        ("\u{9b}31m".as_bytes(), ""),
        (b"\xff\x9b31m", ""),
        (b"%0aFC Invoke End", "%0aFC"),
        (long.as_bytes(), &long[..128]),
    ] {
        let head = b"POST /invoke HTTP/1.1\r\nHost: h\r\nx-fc-request-id: ";
        server.call([head, id, b"\r\n\r\n"].concat(), 200);
        let want = log_of(&[("Invoke", want)]);
        assert_eq!(
            server.stdout.wait_until(|log| log.len() >= want.len()),
            want
        );
        server.stdout.take();
    }
    for id in ["a\nb", "a\rb", "a\x1b[31mb", "a\0b", "a\x08b"] {
        let request = format!("POST /invoke HTTP/1.1\r\nHost: h\r\nx-fc-request-id: {id}\r\n\r\n");
        server.call(request, 400);
    }
    server.call(PING, 200);
    assert_eq!(server.stdout.wait_lines(2).concat(), {
        "FC Invoke Start RequestId: FC Invoke End RequestId: "
    });
}

#[test]
fn probes_are_silent() {
    let mut server = Server::start();
    for _ in 0..50 {
        drop(server.connect());
        server.connect().finish().expect_close();
        server.connect().reset();
    }
    server.call(PING, 200);
    assert_eq!(server.stdout.wait_lines(2).len(), 2);
}

/// FC never expects a connection to be closed, and an instance may sleep for hours in between.
#[test]
fn connections_are_kept() {
    let mut server = Server::start();
    let mut client = server.connect();
    for _ in 0..1_000 {
        client.expect_open();
    }
    let mut other = server.connect();
    client
        .send("POST /invoke HTTP/1.1\r\nHost: h\r\nContent-Length: x\r\n\r\n")
        .expect(400);
    client.expect_close();
    other.expect_open();
}

#[test]
fn the_port_comes_from_variables() {
    let start = |variables: &[(&str, &str)]| {
        let program = Program::bootstrap();
        let port = program.port().to_string();
        let set = |program: Program, (name, value): &(&str, &str)| {
            program.env(name, value.replace("PORT", &port))
        };
        variables.iter().fold(program.without_port(), set).start()
    };
    for variables in [
        &[("FC_SERVER_PORT", "PORT")][..],
        &[("FC_CUSTOM_LISTEN_PORT", "PORT")],
        &[("FC_CUSTOM_LISTEN_PORT", "1"), ("FC_SERVER_PORT", "PORT")],
        &[("FC_SERVER_PORT", ""), ("FC_CUSTOM_LISTEN_PORT", "PORT")],
        &[("FC_SERVER_PORT", "0PORT"), ("PORT", "1")],
    ] {
        start(variables).call(PING, 200);
    }
}

/// The default, in a network of its own: this machine's port 9000 may well be taken.
#[test]
fn the_default_port_is_9000() {
    in_own_network("fc::the_default_port_is_9000", || {
        let mut server = Program::bootstrap().without_port().start();
        server.port = 9000;
        server.call(PING, 200);
    });
}

/// It cannot start: one line on standard error that says why, and a status that is not zero.
#[track_caller]
fn assert_explains((status, stdout, stderr): (ExitStatus, String, String), parts: &[&str]) {
    assert_eq!(status.code(), Some(1), "{status}: {stderr:?}");
    assert_eq!(stdout, "");
    let is_line = stderr.ends_with('\n') && stderr.matches('\n').count() == 1;
    assert!(is_line && stderr.len() <= 1024, "not one line: {stderr:?}");
    for part in parts {
        assert!(stderr.contains(part), "{part:?} is not in {stderr:?}");
    }
}

#[test]
fn bad_variables_are_named() {
    for (name, value) in [
        ("FC_SERVER_PORT", "0"),
        ("FC_SERVER_PORT", "65536"),
        ("FC_SERVER_PORT", "+9000"),
        ("FC_SERVER_PORT", " 9000"),
        ("FC_SERVER_PORT", "-1"),
        ("FC_SERVER_PORT", "0x2328"),
        ("FC_SERVER_PORT", "tcp://1.2.3.4:9000"),
        ("FC_CUSTOM_LISTEN_PORT", "http"),
        ("FC_CUSTOM_LISTEN_PORT", "99999999999999999999"),
        ("FNBOOT_MAX_BODY", "32M"),
        ("FNBOOT_MAX_BODY", "-1"),
        ("FNBOOT_MAX_BODY", "1073741825"),
        ("FNBOOT_MARKERS", "yes"),
        ("FNBOOT_MARKERS", "no"),
    ] {
        let program = Program::bootstrap();
        let program = if name.starts_with("FC_") {
            program.without_port()
        } else {
            program
        };
        assert_explains(
            program.env(name, value).run(),
            &[name, &format!("'{value}'")],
        );
    }
}

/// Whatever is in a variable, it is one line that says which one.
#[test]
fn the_worst_variables_are_named_in_one_line() {
    for value in [
        "90\n00",
        "9000\r\nFC Invoke End",
        &"9".repeat(2_000),
        "\u{1b}[31m",
    ] {
        let program = Program::bootstrap()
            .without_port()
            .env("FC_SERVER_PORT", value);
        let (status, stdout, stderr) = program.run();
        assert!(
            !stderr.contains('\u{1b}') && !stderr.contains('\r'),
            "{stderr:?}"
        );
        assert_explains(
            (status, stdout, stderr),
            &["FC_SERVER_PORT", "is not a port"],
        );
    }
}

#[test]
fn an_occupied_port_is_named() {
    let program = Program::bootstrap();
    let port = program.port();
    let taken = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).expect("bind");
    assert_explains(program.run(), &[&port.to_string(), "in use"]);
    // Even with nobody to be told.
    let quiet = Program::bootstrap()
        .without_port()
        .env("FC_SERVER_PORT", port);
    let (status, ..) = quiet.in_shell("exec \"$0\" <&- >&- 2>&-").run();
    assert_eq!(status.code(), Some(1), "{status}");
    drop(taken);
}

/// In a network of its own ports below 1024 are privileged, whatever this machine is set to; root
/// gives up what makes it root.
#[test]
fn a_privileged_port_is_named() {
    let program = Program::bootstrap()
        .without_port()
        .env("FC_SERVER_PORT", 80);
    // A file that nobody may run would be another error.
    let copy = std::env::temp_dir().join(format!("fnboot-privileged-{}", std::process::id()));
    std::fs::copy(bootstrap(), &copy).expect("copy");
    let copy_path = copy.to_str().expect("a path in UTF-8");
    let drop_root = [
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
        "--bounding-set=-all",
    ];
    let no_root = [&drop_root[..], &["--inh-caps=-all", copy_path]].concat();
    let words = if rustix::process::geteuid().is_root() {
        own_network_and("setpriv", &no_root)
    } else {
        // Without a map of users nobody is root in there.
        vec!["unshare", "--user", "--net", "--", copy_path]
    };
    // Without the argument that would follow: the program's usual place.
    let result = program.in_shell(&format!("exec {}", words.join(" "))).run();
    std::fs::remove_file(&copy).expect("remove");
    assert_explains(result, &["80", "permission denied"]);
}

/// Ctrl-C is `SIGINT`.
#[test]
fn terminates_when_idle() {
    for signal in [Signal::TERM, Signal::INT] {
        terminates_by(signal);
    }
}

fn terminates_by(signal: Signal) {
    // Before any connection, after one that is gone, and with some that are kept.
    let mut server = Server::start();
    server.wait_until_listening();
    wait_for("the handler of SIGTERM", || {
        let path = format!("/proc/{}/status", server.pid());
        let status = std::fs::read_to_string(path).expect("/proc");
        let caught = status
            .lines()
            .find_map(|line| line.strip_prefix("SigCgt:"))?
            .trim();
        let caught = u64::from_str_radix(caught, 16).expect("a mask");
        (caught & 1 << (signal.as_raw() - 1) != 0).then_some(())
    });
    server.signal(signal);
    server.expect_exit(0);
    let mut server = Server::start();
    let mut clients: Vec<Client> = (0..10).map(|_| server.connect()).collect();
    clients[3].expect_open();
    clients[5].expect_open();
    let began = Instant::now();
    server.signal(signal);
    server.expect_exit(0);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "at once: {:?}",
        began.elapsed()
    );
    clients[3].expect_close();
}

#[test]
fn termination_finishes_half_received_requests() {
    let body = noise(1_000_000);
    for request in [
        post("/invoke", "", &body),
        chunked("/invoke", "", &body, 10_000),
    ] {
        let mut server = Server::start();
        let mut idle = server.connect();
        let mut in_head = server.connect();
        in_head.send(&PING[..20]);
        let mut in_body = server.connect();
        in_body.send(&request[..500_000]);
        idle.expect_open();
        server.signal(Signal::TERM);
        idle.expect_close();
        let answer = in_body.send(&request[500_000..]).expect(200);
        assert_same(&answer.body, &body);
        assert_eq!(answer.header("connection"), Some("close"));
        in_body.expect_close();
        in_head.send(&PING[20..]).expect(200);
        in_head.expect_close();
        drop((in_body, in_head));
        server.expect_exit(0);
    }
}

#[test]
fn termination_finishes_a_half_sent_answer() {
    let mut server = Server::start();
    let mut barrier = Barrier::new(&mut server);
    let body = noise(16 << 20);
    let mut client = server.connect();
    client.send(post("/invoke", "", &body));
    barrier.pass();
    server.signal(Signal::TERM);
    let answer = client.expect(200);
    assert_same(&answer.body, &body);
    client.expect_close();
    drop(client);
    server.expect_exit(0);
}

/// What the kernel has taken for the process when the signal comes is in flight, too: requests on
/// connections that were idle until now. The process is stopped so that they are surely unread.
#[test]
fn termination_finishes_what_was_not_yet_read() {
    let mut server = Server::start();
    let mut clients: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.expect_open();
    }
    server.signal(Signal::STOP);
    for client in &mut clients {
        client.send(PING);
    }
    server.signal(Signal::TERM);
    server.signal(Signal::CONT);
    let answered = clients
        .iter_mut()
        .filter_map(|client| client.read_response("GET").ok())
        .count();
    server.expect_exit(0);
    assert_eq!(answered, 100, "of 100 requests");
}

/// As are connections that wait in the kernel's queue, also where there was none before them.
#[test]
fn termination_takes_what_waits_to_be_accepted() {
    for is_first in [true, false] {
        let mut server = Server::start();
        if is_first {
            server.wait_until_listening();
        } else {
            server.connect().send(PING).expect(200);
        }
        server.signal(Signal::STOP);
        let mut clients: Vec<Client> = (0..30).map(|_| server.connect()).collect();
        for client in &mut clients {
            client.send(PING);
        }
        server.signal(Signal::TERM);
        server.signal(Signal::CONT);
        for client in &mut clients {
            client.expect(200);
        }
        server.expect_exit(0);
    }
}

/// Nor is what waits in the kernel's queue forgotten while there are no descriptors for it.
#[test]
fn termination_takes_what_waits_for_descriptors() {
    // Clients that say nothing stand before those that wait.
    let (mut server, mut clients, silent) = out_of_descriptors(300);
    server.signal(Signal::TERM);
    let began = Instant::now();
    for client in &mut clients[..10] {
        client.expect_close();
    }
    for client in clients.split_off(10) {
        let answer = client.read_to_end();
        assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n"), "{answer:?}");
    }
    server.expect_exit(0);
    let elapsed = began.elapsed();
    // A pause each time that the descriptors are used up would take four.
    assert!(elapsed < Duration::from_secs(3), "in time: {elapsed:?}");
    drop(silent);
}

/// Who presses Ctrl-C again does not want to wait.
#[test]
fn a_second_interrupt_ends_at_once() {
    let mut server = Server::start();
    let mut barrier = Barrier::new(&mut server);
    let mut client = server.connect();
    client.send(&PING[..30]);
    barrier.pass();
    server.signal(Signal::INT);
    // The signal has come when the idle connection is closed.
    barrier.expect_close();
    server.signal(Signal::INT);
    server.expect_exit(130);
}

/// A client that never finishes cannot keep the process for ever.
#[test]
fn termination_does_not_wait_for_ever() {
    let mut server = Server::start();
    let mut barrier = Barrier::new(&mut server);
    let mut client = server.connect();
    client.send(&PING[..30]);
    barrier.pass();
    server.signal(Signal::TERM);
    server.expect_exit(0);
}

/// Nor can clients that have their last answer and just stay: they had it before the signal, or their
/// request came after it, or was not yet read.
#[test]
fn termination_lingers_for_a_moment_only() {
    for case in ["before", "after", "unread"] {
        let _case = Case(case);
        let mut server = Server::start();
        let mut barrier = Barrier::new(&mut server);
        let mut client = server.connect();
        match case {
            "before" => {
                client.send("x\r\n\r\n").expect(400);
                server.signal(Signal::TERM);
            }
            "after" => {
                client.send(&PING[..30]);
                barrier.pass();
                server.signal(Signal::TERM);
                client.send(&PING[30..]).expect(200);
            }
            _ => {
                client.expect_open();
                server.signal(Signal::STOP);
                client.send(PING);
                server.signal(Signal::TERM);
                server.signal(Signal::CONT);
                client.expect(200);
            }
        }
        let began = Instant::now();
        client.expect_close();
        server.expect_exit(0);
        let elapsed = began.elapsed();
        assert!(elapsed < Duration::from_secs(3), "in time: {elapsed:?}");
    }
}

/// For a while nothing may happen in the program, neither work nor a wait that ends for nothing.
#[track_caller]
pub fn expect_sleep(server: &Server) {
    let wakes = || {
        let path = format!("/proc/{}/status", server.pid());
        let status = std::fs::read_to_string(path).expect("the process lives");
        let name = "\nvoluntary_ctxt_switches:\t";
        let (_, rest) = status.split_once(name).expect("a figure");
        let count = rest.lines().next().and_then(|line| line.parse().ok());
        count.unwrap_or_else(|| panic!("no number: {rest:?}"))
    };
    let before: (Duration, u64) = (server.cpu(), wakes());
    thread::sleep(Duration::from_millis(300));
    let (cpu, count) = (server.cpu() - before.0, wakes() - before.1);
    // A tick of the clock may be counted that was another's, memory is given back once, and the
    // kernel may just have come to take more of an answer. A wait of a millisecond is far from that.
    let is_asleep = cpu <= Duration::from_millis(20) && count <= 50;
    assert!(is_asleep, "{cpu:?} of work, {count} waits");
}

#[test]
fn waits_cost_nothing() {
    let mut server = Program::fixture("fixture").start();
    // For the next piece of an answer, also if the client has said all it had to say.
    let mut client = server.connect();
    client.send(get("/stream/more/2/10/250", ""));
    client.read_bytes_until(b"bbbbbbbbb\n\r\n");
    expect_sleep(&server);
    client.finish();
    expect_sleep(&server);
    drop(client);
    // For a client that does not read, when a piece is due.
    let mut client = narrow(&server);
    client.send(get("/stream/info/1000/60000/1", ""));
    wait_for("the pieces to stop", || {
        let before = server.stdout.text().len();
        thread::sleep(Duration::from_millis(100));
        (before == server.stdout.text().len()).then_some(())
    });
    expect_sleep(&server);
    drop(client);
    // For a client that was refused to go, and for one in the middle of a request.
    let mut refused = server.connect();
    refused.send("x\r\n\r\n").expect(400);
    refused.expect_close();
    let mut client = server.connect();
    client.send(&PING[..30]);
    let mut idle = server.connect();
    idle.expect_open();
    expect_sleep(&server);
    // For the same when the process is to end.
    server.signal(Signal::TERM);
    idle.expect_close();
    expect_sleep(&server);
    client.send(&PING[30..]).expect(200);
    drop((refused, client));
    server.expect_exit(0);
}

/// As process 1 nothing happens by default: not even SIGTERM ends it unless it is caught, nor Ctrl-C.
#[test]
fn works_as_process_1() {
    for signal in [Signal::TERM, Signal::INT] {
        ends_as_process_1(signal);
    }
}

fn ends_as_process_1(signal: Signal) {
    let unshare = ["unshare", "--pid", "--fork", "--kill-child", "--"];
    let as_user = [
        "unshare",
        "--user",
        "--map-root-user",
        "--pid",
        "--fork",
        "--kill-child",
        "--",
    ];
    let is_root = rustix::process::geteuid().is_root();
    let wrapper = if is_root { &unshare[..] } else { &as_user };
    let mut server = Program::bootstrap().under(wrapper).start();
    let mut client = server.connect();
    client.expect_open();
    // The child of `unshare`, as this machine numbers it.
    let children = format!("/proc/{0}/task/{0}/children", server.pid());
    let child = std::fs::read_to_string(children).expect("/proc");
    let child = child
        .trim()
        .parse()
        .ok()
        .and_then(rustix::process::Pid::from_raw);
    rustix::process::kill_process(child.expect("one child"), signal).expect("kill");
    server.expect_exit(0);
    client.expect_close();
}

#[test]
fn works_without_standard_streams() {
    for closed in ["<&-", ">&-", "2>&-", "<&- >&-", "<&- >&- 2>&-", ">&- 2>&-"] {
        let program = Program::bootstrap().in_shell(&format!("exec \"$0\" {closed}"));
        let mut server = program.start();
        let mut client = server.connect();
        let request = post("/invoke", "x-fc-request-id: stray\r\n", "ping");
        for _ in 0..3 {
            // The log must not end up in a connection that got the number of a stream.
            assert_eq!(client.send(&request).expect(200).text(), "ping");
            server.call(&request, 200);
        }
        expect_nothing_inherited(&server);
        client.send(PING).finish();
        client.expect(200);
        client.expect_close();
        server.signal(Signal::TERM);
        server.expect_exit(0);
    }
}

/// Every descriptor but the standard streams is closed in a program that a handler starts.
#[track_caller]
pub fn expect_nothing_inherited(server: &Server) {
    let folder = format!("/proc/{}/fdinfo", server.pid());
    let mut count = 0;
    for entry in std::fs::read_dir(folder).expect("/proc") {
        let path = entry.expect("an entry").path();
        let link = path.to_str().expect("text").replace("fdinfo", "fd");
        // A connection may just be closed that the test has left.
        let (Ok(target), Ok(text)) = (std::fs::read_link(link), std::fs::read_to_string(&path))
        else {
            continue;
        };
        let is_standard = ["0", "1", "2"].iter().any(|number| path.ends_with(number));
        // What takes the number of a closed stream is a socket: a log finds out at once that it is none.
        assert!(
            !is_standard || !target.starts_with("anon_inode:"),
            "{}",
            target.display()
        );
        if target.starts_with("/") || target.to_str().is_some_and(|to| to.starts_with("pipe:")) {
            continue;
        }
        let flags = text.lines().find_map(|line| line.strip_prefix("flags:"));
        let flags = u32::from_str_radix(flags.expect("flags").trim(), 8).expect("octal");
        assert!(flags & 0o2_000_000 != 0, "{}: {text}", target.display());
        count += 1;
    }
    assert!(count >= 2, "a listener and an epoll at least");
}

/// In how many seconds the connection of `port` to `peer_port` looks whether its peer is still there.
#[track_caller]
pub fn keepalive_seconds(port: u16, peer_port: u16) -> Option<u64> {
    let is_it = |socket: &Socket| socket.local == port && socket.remote == peer_port;
    let socket = sockets().find(is_it).expect("the connection");
    socket.keepalive_seconds
}

/// A client that has vanished without a word is found by the kernel, in a minute or two: else it would
/// hold its descriptor for ever.
#[test]
fn vanished_clients_are_looked_for() {
    let mut server = Server::start();
    let mut clients = vec![server.connect()];
    // Those that wait in the kernel's queue while the first one is served.
    server.signal(Signal::STOP);
    clients.extend((0..3).map(|_| server.connect()));
    server.signal(Signal::CONT);
    for client in &mut clients {
        client.expect_open();
    }
    // What was never asked anything is one as well.
    clients.push(server.connect());
    Barrier::new(&mut server).pass();
    for client in &clients {
        let peer_port = client.stream().local_addr().expect("an address").port();
        let seconds = wait_for("the timer", || keepalive_seconds(server.port, peer_port));
        assert!(seconds <= 60, "in {seconds} s");
    }
}

#[test]
fn works_with_an_empty_environment_elsewhere() {
    let script = "cd / && umask 777 && exec \"$0\"";
    Program::bootstrap()
        .in_shell(script)
        .start()
        .call(PING, 200);
}

#[test]
fn a_log_nobody_reads_any_more_costs_nothing() {
    let (reader, writer) = std::io::pipe().expect("pipe");
    let mut server = Program::bootstrap().stdout(writer).start();
    let mut client = server.connect();
    client.expect_open();
    drop(reader);
    let began = Instant::now();
    for _ in 0..100 {
        client.expect_open();
    }
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    server.signal(Signal::TERM);
    server.expect_exit(0);
}

#[test]
fn a_full_disk_costs_nothing() {
    let full = File::options()
        .write(true)
        .open("/dev/full")
        .expect("/dev/full");
    let mut server = Program::bootstrap().stdout(full).start();
    let mut client = server.connect();
    for _ in 0..10 {
        client.expect_open();
    }
}

/// A pipe that is full.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().expect("pipe");
    rustix::fs::fcntl_setfl(&writer, OFlags::NONBLOCK).expect("fcntl");
    while writer.write(&[b'.'; 4096]).is_ok() {}
    rustix::fs::fcntl_setfl(&writer, OFlags::empty()).expect("fcntl");
    (reader, writer)
}

/// Nobody reads what is wrong: the process ends all the same.
#[test]
fn a_complaint_that_nobody_reads_delays_nothing() {
    let (reader, writer) = full_pipe();
    let program = Program::bootstrap()
        .without_port()
        .env("FC_SERVER_PORT", "http");
    let began = Instant::now();
    let (status, ..) = program.stderr(writer).run();
    assert_eq!(status.code(), Some(1), "{status}");
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    drop(reader);
}

/// A pipe that is full before the first call, and that nobody reads.
#[test]
fn a_log_that_is_full_delays_nothing() {
    let (mut reader, writer) = full_pipe();
    let mut server = Program::bootstrap().stdout(writer).start();
    let mut client = server.connect();
    let began = Instant::now();
    for _ in 0..100 {
        client.expect_open();
    }
    let took = began.elapsed();
    assert!(took < Duration::from_secs(2), "100 calls took {took:?}");
    // Its reader wakes up: from then on calls are logged again, in whole lines.
    rustix::fs::fcntl_setfl(&reader, OFlags::NONBLOCK).expect("fcntl");
    let mut sink = vec![0; 1 << 20];
    while reader.read(&mut sink).is_ok() {}
    client
        .send(post("/invoke", "x-fc-request-id: again\r\n", ""))
        .expect(200);
    let count = reader.read(&mut sink).expect("a log");
    assert_eq!(
        String::from_utf8_lossy(&sink[..count]),
        log_of(&[("Invoke", "again")])
    );
}

/// It fills up while calls run: whatever arrives are whole lines.
#[test]
fn a_log_that_fills_up_loses_whole_lines() {
    let (mut reader, writer) = std::io::pipe().expect("pipe");
    let mut server = Program::bootstrap().stdout(writer).start();
    let mut client = server.connect();
    let request = post(
        "/invoke",
        &format!("x-fc-request-id: {}\r\n", "i".repeat(100)),
        "",
    );
    let began = Instant::now();
    for _ in 0..1_000 {
        client.send(&request).expect(200);
    }
    assert!(began.elapsed() < PATIENCE / 2, "{:?}", began.elapsed());
    server.signal(Signal::TERM);
    server.expect_exit(0);
    let mut log = String::new();
    reader.read_to_string(&mut log).expect("read");
    let lines = log_of(&[("Invoke", &"i".repeat(100))]);
    let wrong = log
        .split_inclusive('\n')
        .find(|line| !lines.contains(line) || line.len() < 100);
    assert_eq!(wrong, None);
}

#[test]
fn the_body_limit_is_a_setting() {
    let mut server = Program::bootstrap().env("FNBOOT_MAX_BODY", 1000).start();
    for request in [
        |len| post("/invoke", "", "x".repeat(len)),
        |len| chunked("/invoke", "", "x".repeat(len).as_bytes(), 64),
        |len| chunked("/invoke", "", "x".repeat(len).as_bytes(), 1_000_000),
    ] {
        assert_eq!(server.call(request(1000), 200).body.len(), 1000);
        let mut client = server.connect();
        client.try_send(request(1001));
        client.expect(413);
        client.expect_close();
    }
    let mut server = Program::bootstrap().env("FNBOOT_MAX_BODY", 0).start();
    server.call(post("/invoke", "", ""), 200);
    server.call(post("/invoke", "", "x"), 413);
}

/// What an instance of the least memory is for: one event as long as FC sends at most.
fn echo_32_mib(request: impl Fn(&[u8]) -> Vec<u8>) {
    let mut server = Server::start();
    server.connect().expect_open();
    let idle_kib = server.status_kib("VmRSS");
    let body = noise(32 << 20);
    let mut client = server.connect();
    // The answer begins only when everything is sent, so nobody waits for the other.
    client.send(request(&body));
    assert_same(&client.expect(200).body, &body);
    let peak_kib = server.status_kib("VmHWM");
    assert!(peak_kib <= 33 * 1024, "peak {peak_kib} KiB");
    wait_for("the memory to be given back", || {
        (server.status_kib("VmRSS") <= idle_kib + 64).then_some(())
    });
    client.expect_open();
}

#[test]
fn echoes_32_mib() {
    echo_32_mib(|body| post("/invoke", "", body));
}

#[test]
fn echoes_32_mib_in_one_chunk() {
    echo_32_mib(|body| chunked("/invoke", "", body, usize::MAX));
}

#[test]
fn echoes_32_mib_in_chunks() {
    echo_32_mib(|body| chunked("/invoke", "", body, 32 * 1024));
}

/// FC's instances are reused: the second of two long events must not cost the memory of both.
#[test]
fn two_long_events_cost_as_much_as_one() {
    let mut server = Server::start();
    let mut client = server.connect();
    let body = noise(32 << 20);
    for request in [
        post("/invoke", "", &body),
        chunked("/invoke", "", &body, 1 << 20),
        post("/invoke", "", &body),
    ] {
        assert_same(&client.send(request).expect(200).body, &body);
    }
    let peak_kib = server.status_kib("VmHWM");
    assert!(peak_kib <= 33 * 1024, "peak {peak_kib} KiB");
}
