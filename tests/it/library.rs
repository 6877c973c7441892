//! What a handler can do, seen from outside: programs of `tests/fixture`, one without std and one
//! with, built like any user's.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{
    self, Case, Client, Program, Response, Server, assert_same, narrow, noise, post, wait_for,
};

/// Calls with an id, so that the log can be told apart.
fn event(text: impl AsRef<[u8]>) -> Vec<u8> {
    post("/invoke", "x-fc-request-id: rid\r\n", text)
}

fn get(target: &str) -> String {
    harness::get(target, "x-fc-request-id: rid\r\n")
}

const START: &str = "FC Invoke Start RequestId: rid";
const END: &str = "FC Invoke End RequestId: rid";
const FAILED: &str = "FC Invoke End RequestId: rid, Error: Unhandled function error";

/// `YYYY-MM-DDTHH:MM:SS.mmmZ <id> [LEVEL] message`: level and message.
#[track_caller]
fn entry<'a>(line: &'a str, id: &str) -> (&'a str, &'a str) {
    let (time, rest) = line.split_at_checked(24).unwrap_or_default();
    let form = "0000-00-00T00:00:00.000Z";
    let fits = |(form, c): (char, char)| {
        if form == '0' {
            c.is_ascii_digit()
        } else {
            form == c
        }
    };
    assert!(
        time.len() == 24 && form.chars().zip(time.chars()).all(fits),
        "{line:?}"
    );
    let rest = rest
        .strip_prefix(&format!(" {id} ["))
        .unwrap_or_else(|| panic!("{line:?}"));
    rest.split_once("] ").unwrap_or_else(|| panic!("{line:?}"))
}

/// The answer to a call that failed: what it says of the error.
#[track_caller]
fn failure(answer: &Response) -> (String, String, Value) {
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(answer.header("x-fc-status"), Some("404"));
    let json: Value = serde_json::from_slice(&answer.body).expect("JSON");
    let text = |name: &str| json[name].as_str().expect("text").to_owned();
    (
        text("errorType"),
        text("errorMessage"),
        json["stackTrace"].clone(),
    )
}

fn both() -> [Server; 2] {
    ["fixture", "fixture_std"].map(|name| Program::fixture(name).start())
}

#[test]
fn answers_come_from_anywhere() {
    for mut server in both() {
        let mut client = server.connect();
        let pattern = |len: usize| (0..len).map(|n| (n % 251) as u8).collect::<Vec<_>>();
        for (text, want) in [
            (&b"echo this"[..], &b"echo this"[..]),
            (b"rest of it", b"of it"),
            (b"middle abcdefgh", b"cdef"),
            (b"nothing at all", b""),
            (b"static", b"an answer that was always there"),
            (b"own 100000", &pattern(100_000)),
        ] {
            let answer = client.send(event(text)).expect(200);
            assert_same(&answer.body, want);
            assert_eq!(answer.header("x-fc-status"), Some("200"));
        }
        // What the handler keeps, it keeps.
        assert_eq!(
            client.send(event("count")).expect(200).text(),
            "calls=7\ninitialized=false\n"
        );
    }
}

/// More than the kernel takes at once, from each of the places an answer can lie in, to a reader
/// with a small window; more requests lie behind it.
#[test]
fn long_answers_come_from_anywhere() {
    let body = noise(3_000_000);
    for mut server in both() {
        server.connect().expect_silence();
        for (text, want) in [
            (
                [b"echo ", &body[..]].concat(),
                [b"echo ", &body[..]].concat(),
            ),
            ([b"rest ", &body[..]].concat(), body.clone()),
            (
                [b"middle ", &body[..]].concat(),
                body[750_000..2_250_000].to_vec(),
            ),
            // Within the shared buffer, which the next request will be read into.
            (
                [b"rest ", &body[..32_000]].concat(),
                body[..32_000].to_vec(),
            ),
            (
                b"own 262144".to_vec(),
                (0..262_144).map(|n| (n % 251) as u8).collect(),
            ),
        ] {
            let mut client = narrow(&server);
            let mut other = server.connect();
            client.send([event(&text), event("rest behind"), event("own 5")].concat());
            // Meanwhile the handler writes over its own memory, and others use the buffer.
            for _ in 0..20 {
                other.send(event("own 262144")).expect(200);
                other.send(event("rest ".repeat(6_000))).expect(200);
                other
                    .send("POST /status/204 HTTP/1.1\r\nHost: h\r\n\r\n")
                    .expect(204);
            }
            let _case = Case((text.len(), String::from_utf8_lossy(&text[..5]).into_owned()));
            assert_same(&client.expect(200).body, &want);
            assert_eq!(client.expect(200).text(), "behind");
            assert_eq!(client.expect(200).body, [0, 1, 2, 3, 4]);
        }
    }
}

/// Several MiB that the handler owns and changes at the next call.
#[test]
fn long_answers_of_the_handler_are_kept() {
    let mut server = Program::fixture("fixture_std").start();
    let want: Vec<u8> = (0..8_u32 << 20).map(|n| (n % 251) as u8).collect();
    let mut slow = server.connect();
    slow.send(event("long"));
    let mut other = server.connect();
    assert_same(&other.send(event("long")).expect(200).body, &want);
    other.send(event("own 5")).expect(200);
    assert_same(&slow.expect(200).body, &want);
}

#[test]
fn failures_are_told_and_logged() {
    let mut server = Program::fixture("fixture").start();
    let answer = server.call(event("fail"), 404);
    let (kind, message, trace) = failure(&answer);
    assert_eq!(
        (kind.as_str(), message.as_str()),
        ("Broken", "it \"broke\"\n\\ \u{1} \u{e9}\u{1f600}")
    );
    let place = trace[0].as_str().expect("a place");
    assert!(place.starts_with("tests/fixture/handler.rs:"), "{place}");
    let log = server.stdout.wait_until(|log| log.contains(FAILED));
    assert!(log.starts_with(&format!("{START}\n")) && log.ends_with(&format!("{FAILED}\n")));
    let first = log.lines().nth(1).expect("an error");
    // A failure is one line, whatever it quotes: a message could else forge the marks of others.
    let (level, text) = entry(first, "rid");
    let want = "Broken: it \"broke\" \\   \u{e9}\u{1f600} (at tests/fixture/handler.rs:";
    assert!(level == "ERROR" && text.starts_with(want), "{first}");
    assert_eq!(log.lines().count(), 3);
    server.stdout.take();

    let (kind, message, _) = failure(&server.call(event("parse 12x"), 404));
    assert_eq!(kind, "core::num::error::ParseIntError");
    assert_eq!(message, "invalid digit found in string");
    server.call(event("parse 12"), 200);
    let (kind, ..) = failure(&server.call(event(b"parse \xff"), 404));
    assert_eq!(kind, "core::str::error::Utf8Error");
    let (kind, message, _) = failure(&server.call(get("/fail"), 500));
    assert_eq!(
        (kind.as_str(), message.as_str()),
        ("Broken", "an HTTP function")
    );
}

/// However long a message is, and wherever it is cut, what is answered is JSON, and the log is made
/// of lines.
#[test]
fn long_failures_are_cut_well() {
    let mut server = Program::fixture("fixture").start();
    for text in [
        "x".repeat(511),
        "x".repeat(512),
        "x".repeat(513),
        "\u{e9}".repeat(300),
        "\u{1f600}".repeat(200),
        format!("x{}", "\u{4f60}".repeat(300)),
        "\"\\\u{1}".repeat(300),
        "\u{7f}".repeat(600),
    ] {
        let _case = Case(&text);
        let answer = server.call(event(format!("fail-at-length {text}")), 404);
        let (_, message, _) = failure(&answer);
        assert!(text.starts_with(&message) && message.len() > 508.min(text.len() - 1));
        let log = server.stdout.wait_until(|log| log.contains(FAILED));
        assert!(log.ends_with(&format!("\n{FAILED}\n")), "{log:?}");
        server.stdout.take();
    }
    // An error's type is a name in the program, and may be a long one.
    let (kind, ..) = failure(&server.call(event("fail-by-name"), 404));
    assert!(kind.len() > 100 && kind.bytes().all(|byte| byte == b'N'));
    let log = server.stdout.wait_until(|log| log.contains(FAILED));
    assert!(log.ends_with(&format!("\n{FAILED}\n")), "{log:?}");
}

#[test]
fn log_lines_have_their_form() {
    let mut server = Program::fixture("fixture").start();
    let before = SystemTime::now();
    server.call(event("log hello  world"), 200);
    let lines = server.stdout.wait_lines(6);
    let entries: Vec<_> = lines[1..5].iter().map(|line| entry(line, "rid")).collect();
    assert_eq!(
        entries,
        [
            ("DEBUG", "a debug line"),
            ("INFO", "hello  world"),
            ("WARN", "1.5    42"),
            ("ERROR", "the last"),
        ]
    );
    assert_eq!((lines[0].as_str(), lines[5].as_str()), (START, END));
    // UTC, and now.
    let time = |line: &str| {
        line[..19]
            .replace(['-', 'T', ':'], "")
            .parse::<u64>()
            .expect("digits")
    };
    let date = std::process::Command::new("date")
        .args(["-u", "+%Y%m%d%H%M%S"])
        .output();
    let now = String::from_utf8(date.expect("date").stdout).expect("digits");
    let now: u64 = now.trim().parse().expect("digits");
    let took = before.elapsed().expect("time passes").as_secs();
    assert!(
        time(&lines[1]) <= now && now - time(&lines[1]) <= 4_100 + took,
        "{} {now}",
        lines[1]
    );
}

/// FC's own limit for an entry is 32 KiB.
#[test]
fn long_log_lines_are_cut_and_not_lost() {
    let mut server = Program::fixture("fixture").start();
    for len in [
        900, 960, 1_000, 1_024, 4_000, 4_096, 32_000, 32_700, 32_768, 40_000, 1_000_000,
    ] {
        let _case = Case(len);
        server.call(event(format!("log {}", "y".repeat(len))), 200);
        let lines = server.stdout.wait_lines(6);
        assert_eq!(lines.len(), 6, "one line each");
        let (level, message) = entry(&lines[2], "rid");
        assert_eq!(level, "INFO");
        assert!(message.bytes().all(|byte| byte == b'y'));
        let prefix = lines[2].len() - message.len();
        assert_eq!(
            message.len(),
            len.min(32 * 1024 - prefix - 1),
            "all that fits is there"
        );
        assert_eq!(entry(&lines[4], "rid").1, "the last");
        server.stdout.take();
    }
}

/// A long line that there is no room for is lost whole, or ends all the same: a mark must stand at
/// the beginning of a line, or FC does not see it.
#[test]
fn marks_stand_at_the_beginning_of_lines() {
    let (mut reader, writer) = std::io::pipe().expect("pipe");
    rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).expect("fcntl");
    let mut server = Program::fixture("fixture").stdout(writer).start();
    let mut client = server.connect();
    let mut log = Vec::new();
    for len in [20_000, 25_000, 30_000, 13_000, 9_000] {
        // Until the pipe is full, then as much as its reader wants.
        for _ in 0..8 {
            client
                .send(event(format!("log {}", "y".repeat(len))))
                .expect(200);
        }
        let end = std::io::Read::read_to_end(&mut reader, &mut log);
        assert!(end.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock));
    }
    let log = String::from_utf8(log).expect("text");
    assert!(log.matches(START).count() > 3, "the log came back");
    let stray = log
        .lines()
        .find(|line| line.find("FC Invoke").is_some_and(|at| at > 0));
    assert_eq!(stray.map(|line| &line[line.len() - 60..]), None);
}

/// One id for a call, in every line of it, also if it is not text.
#[test]
fn ids_are_the_same_in_every_line() {
    let mut server = Program::fixture("fixture").start();
    for (id, want) in [
        (&b"a b"[..], "a"),
        ("caf\u{e9}".as_bytes(), "caf"),
        (b"a\xffb", "a"),
    ] {
        let request = post("/invoke", "x-fc-request-id: ID\r\n", "log text");
        let at = crate::harness::find(&request, b"ID").expect("it is there");
        server.call([&request[..at], id, &request[at + 2..]].concat(), 200);
        let lines = server.stdout.wait_lines(6);
        assert_eq!(lines[0], format!("FC Invoke Start RequestId: {want}"));
        assert_eq!(entry(&lines[2], want), ("INFO", "text"));
        server.stdout.take();
    }
}

const FIELDS: &str = "\
    X-Fc-Request-Id: rid\r\n\
    X-Fc-Function-Name: hello\r\n\
    X-Fc-Function-Handler: index.handler\r\n\
    X-Fc-Function-Memory: 512\r\n\
    X-Fc-Function-Timeout: 60\r\n\
    X-Fc-Function-Initializer: index.initializer\r\n\
    X-Fc-Initialization-Timeout: 3\r\n\
    X-Fc-Region: cn-hangzhou\r\n\
    X-Fc-Account-Id: 1419633767709936\r\n\
    X-Fc-Qualifier: LATEST\r\n\
    X-Fc-Version-Id: 7\r\n\
    X-Fc-Service-Name: service\r\n\
    X-Fc-Service-Logproject: project\r\n\
    X-Fc-Service-Logstore: store\r\n\
    X-Fc-Retry-Count: 2\r\n\
    X-Fc-Tracing-Opentracing-Span-Context: span\r\n\
    X-Fc-Tracing-Opentracing-Span-Baggages: e30=\r\n\
    X-Fc-Tracing-Jaeger-Endpoint: http://jaeger\r\n\
    X-Fc-Base-Path: /base\r\n\
    X-Fc-Client-Ip: 192.0.2.1\r\n";

const KEYS: &str = "\
    X-Fc-Access-Key-Id: id of the call\r\n\
    X-Fc-Access-Key-Secret: secret of the call\r\n\
    X-Fc-Security-Token: token of the call\r\n";

/// What the handler's context says: names and values.
#[track_caller]
fn context(server: &mut Server, fields: &str) -> Vec<(String, String)> {
    let text = server.call(post("/invoke", fields, "context"), 200).text();
    let pair = |line: &str| {
        line.split_once('=')
            .map(|(name, value)| (name.into(), value.into()))
    };
    text.lines().filter_map(pair).collect()
}

#[track_caller]
fn value<'a>(context: &'a [(String, String)], name: &str) -> &'a str {
    let found = context.iter().find(|(other, _)| other == name);
    found.map_or_else(|| panic!("no {name} in {context:?}"), |(_, value)| value)
}

#[test]
fn the_context_tells_everything() {
    let mut server = Program::fixture("fixture").start();
    let told = context(&mut server, &format!("{FIELDS}{KEYS}"));
    for (name, want) in [
        ("platform", "Fc"),
        ("request_id", "\"rid\""),
        ("function_name", "Some(\"hello\")"),
        ("function_handler", "Some(\"index.handler\")"),
        ("function_memory_mb", "Some(512)"),
        ("function_timeout", "Some(60s)"),
        ("function_initializer", "Some(\"index.initializer\")"),
        ("initialization_timeout", "Some(3s)"),
        ("region", "Some(\"cn-hangzhou\")"),
        ("account_id", "Some(\"1419633767709936\")"),
        ("qualifier", "Some(\"LATEST\")"),
        ("version_id", "Some(\"7\")"),
        ("service_name", "Some(\"service\")"),
        ("log_project", "Some(\"project\")"),
        ("log_store", "Some(\"store\")"),
        ("retry_count", "Some(2)"),
        ("tracing_span_context", "Some(\"span\")"),
        ("tracing_span_baggages", "Some(\"e30=\")"),
        ("tracing_jaeger_endpoint", "Some(\"http://jaeger\")"),
        ("base_path", "Some(\"/base\")"),
        ("client_ip", "Some(\"192.0.2.1\")"),
        ("access_key_id", "Some(\"id of the call\")"),
        ("access_key_secret", "Some(\"secret of the call\")"),
        ("security_token", "Some(\"token of the call\")"),
    ] {
        assert_eq!(value(&told, name), want, "{name}");
    }
    // What is printed by accident holds no secret.
    for name in ["cx", "credentials"] {
        assert!(
            !value(&told, name).contains("the call"),
            "{}",
            value(&told, name)
        );
    }
}

/// Absent, empty, or not what it should be: then it is not there, and nothing fails.
#[test]
fn the_context_takes_whatever_comes() {
    let mut server = Program::fixture("fixture").start();
    let names = FIELDS
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, _)| name);
    let names: Vec<&str> = names.collect();
    let with = |value: &str| -> String {
        names
            .iter()
            .map(|name| format!("{name}: {value}\r\n"))
            .collect()
    };
    for fields in [String::new(), with("")] {
        for (name, value) in context(&mut server, &fields) {
            let want = match name.as_str() {
                "platform" => "Fc",
                "request_id" => "\"\"",
                "cx" => continue,
                _ => "None",
            };
            assert_eq!(value, want, "{name}");
        }
    }
    for odd in ["-1", "3.5", "x", "99999999999999999999", "+3"] {
        let told = context(&mut server, &with(odd));
        for name in [
            "function_memory_mb",
            "function_timeout",
            "retry_count",
            "deadline_ms",
        ] {
            assert_eq!(value(&told, name), "None", "{name} of {odd:?}");
        }
    }
}

/// A number that is one, but beyond all reason, must not end the process.
#[test]
fn the_longest_timeout_ends_nothing() {
    let mut server = Program::fixture("fixture").start();
    for seconds in [u64::MAX, u64::MAX - 1, u64::MAX / 1000, u64::from(u32::MAX)] {
        let told = context(
            &mut server,
            &format!("x-fc-function-timeout: {seconds}\r\n"),
        );
        assert_eq!(
            value(&told, "function_timeout"),
            format!("Some({seconds}s)")
        );
    }
}

#[test]
fn deadlines_count_from_the_arrival() {
    let mut server = Program::fixture("fixture").start();
    let now_ms = || {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("now")
            .as_millis()
    };
    let number = |text: &str| -> u128 {
        text.trim_start_matches("Some(")
            .trim_end_matches(')')
            .parse()
            .expect("a number")
    };
    let before_ms = now_ms();
    let told = context(&mut server, "x-fc-function-timeout: 60\r\n");
    let after_ms = now_ms();
    let deadline_ms = number(value(&told, "deadline_ms"));
    // The kernel's clock of ticks may be one behind.
    let tick_ms = 10;
    assert!((before_ms + 60_000 - tick_ms..=after_ms + 60_000).contains(&deadline_ms));
    let remaining_ms = number(value(&told, "remaining_ms"));
    assert!(remaining_ms <= 60_000 && remaining_ms + (after_ms - before_ms) >= 59_999);
    // And they pass, down to nothing left.
    let began = Instant::now();
    let request = post(
        "/invoke",
        "x-fc-function-timeout: 1\r\n",
        "wait-until-left-ms 0",
    );
    assert_eq!(server.call(request, 200).text(), "waited");
    assert!(began.elapsed() >= Duration::from_millis(990));
}

#[test]
fn keys_fall_back_to_the_environment() {
    let mut server = Program::fixture("fixture")
        .env("ALIBABA_CLOUD_ACCESS_KEY_ID", "id of the process")
        .env("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "secret of the process")
        .env("ALIBABA_CLOUD_SECURITY_TOKEN", "token of the process")
        .start();
    let empty: String = KEYS
        .lines()
        .filter_map(|line| Some(format!("{}:\r\n", line.split_once(':')?.0)))
        .collect();
    let without_token: String = KEYS.split_inclusive('\n').take(2).collect();
    let only_id: String = KEYS.split_inclusive('\n').take(1).collect();
    for (fields, [id, secret, token]) in [
        ("", ["process"; 3]),
        (&empty, ["process"; 3]),
        (KEYS, ["call"; 3]),
        // Half a pair is none: keys of two kinds do not fit each other.
        (&only_id, ["process"; 3]),
        (&without_token, ["call", "call", "process"]),
    ] {
        let told = context(&mut server, fields);
        for (name, what, of) in [
            ("access_key_id", "id", id),
            ("access_key_secret", "secret", secret),
            ("security_token", "token", token),
        ] {
            assert_eq!(
                value(&told, name),
                format!("Some(\"{what} of the {of}\")"),
                "{fields:?}"
            );
        }
    }
    assert!(!server.stdout.text().contains("secret"));
}

#[test]
fn any_header_can_be_asked_for() {
    let mut server = Program::fixture("fixture").start();
    let ask = |server: &mut Server, name: &str| {
        let fields = "X-One: 1\r\nx-one: 2\r\nX-Empty:\r\ntraceparent: 00-ab-cd-01\r\n";
        server
            .call(post("/invoke", fields, format!("header {name}")), 200)
            .text()
    };
    for (name, want) in [
        ("x-one", "1"),
        ("X-ONE", "1"),
        ("x-empty", ""),
        ("x-on", "(none)"),
        ("traceparent", "00-ab-cd-01"),
        ("host", "h"),
    ] {
        assert_eq!(ask(&mut server, name), want, "{name}");
    }
}

#[test]
fn hooks_are_called() {
    let mut server = Program::fixture("fixture").start();
    let mut client = server.connect();
    let hook = |method: &str, path: &str, fields: &str| {
        format!("{method} {path} HTTP/1.1\r\nHost: h\r\nx-fc-request-id: rid\r\n{fields}\r\n")
    };
    let fail = "x-fixture: fail\r\n";
    let answer = client.send(hook("POST", "/initialize", fail)).expect(404);
    let (kind, message, _) = failure(&answer);
    assert_eq!(
        (kind.as_str(), message.as_str()),
        ("NotReady", "asked to fail")
    );
    let log = server.stdout.wait_lines(4);
    assert_eq!(log[0], "FC Initialize Start RequestId: rid");
    assert_eq!(entry(&log[1], "rid"), ("INFO", "initializing"));
    assert_eq!(entry(&log[2], "rid").0, "ERROR");
    assert_eq!(
        log[3],
        "FC Initialize End RequestId: rid, Error: Unhandled function error"
    );
    server.stdout.take();
    assert_eq!(
        client.send(event("count")).expect(200).text(),
        "calls=1\ninitialized=false\n"
    );
    assert_eq!(
        client
            .send(hook("POST", "/initialize", ""))
            .expect(200)
            .text(),
        ""
    );
    assert_eq!(
        client.send(event("count")).expect(200).text(),
        "calls=2\ninitialized=true\n"
    );
    server.stdout.wait_lines(7);
    server.stdout.take();
    client.send(hook("GET", "/pre-freeze", "")).expect(200);
    let log = server.stdout.wait_lines(3);
    assert_eq!(log[0], "FC PreFreeze Start RequestId: rid");
    assert_eq!(entry(&log[1], "rid"), ("INFO", "freezing"));
    assert_eq!(log[2], "FC PreFreeze End RequestId: rid");
    client.send(hook("GET", "/pre-stop", "")).expect(200);
    client.send(hook("GET", "/pre-stop", fail)).expect(404);
    client.send(event("count")).expect(200);
}

#[test]
fn requests_are_passed_on() {
    let mut server = Program::fixture("fixture").start();
    let request = "PATCH /request/a%20b?c=d&e?f HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-one: 2\r\n\
                   Content-Length: 4\r\n\r\nbody";
    let want = "method=\"PATCH\"\ntarget=\"/request/a%20b?c=d&e?f\"\npath=\"/request/a%20b\"\n\
                query=Some(\"c=d&e?f\")\nbody=Ok(\"body\")\nx-one=Some(Ok(\"1\"))\n\
                Host=Ok(\"h\")\nX-One=Ok(\"1\")\nx-one=Ok(\"2\")\nContent-Length=Ok(\"4\")\n";
    assert_eq!(server.call(request, 200).text(), want);
    // RFC 9112 §3.2.2: the host of the target is the one, and what `Host` says is not told.
    for request in [
        "GET http://h:1/request HTTP/1.1\r\nHost: other\r\n\r\n",
        "GET http://h:1/request HTTP/1.0\r\n\r\n",
    ] {
        let text = server.call(request, 200).text();
        let want = "\npath=\"/request\"\nquery=None\nbody=Ok(\"\")\nx-one=None\nHost=Ok(\"h:1\")\n";
        assert!(text.ends_with(want), "{text}");
    }
}

#[test]
fn responses_are_passed_on() {
    let mut server = Program::fixture("fixture").start();
    let mut client = server.connect();
    for status in [
        200, 201, 202, 299, 302, 400, 403, 404, 418, 451, 500, 502, 599,
    ] {
        let answer = client
            .send(get(&format!("/status/{status}")))
            .expect(status);
        assert_eq!(
            (answer.text().as_str(), answer.header("x-a")),
            ("a body", Some("b"))
        );
        assert_eq!(
            answer.header("x-fc-status"),
            Some("200"),
            "the call itself went well"
        );
    }
    for status in [204, 205, 304] {
        let answer = client
            .send(get(&format!("/status/{status}")))
            .expect(status);
        assert_eq!(
            (answer.text().as_str(), answer.header("x-a")),
            ("", Some("b"))
        );
    }
    for status in [0, 99, 100, 101, 103, 199, 600, 999, 65_535] {
        let (kind, ..) = failure(&client.send(get(&format!("/status/{status}"))).expect(500));
        assert_eq!(kind, "BadResponse");
    }
    assert_eq!(
        client.send(get("/redirect")).expect(302).header("location"),
        Some("/a?b=c")
    );
    assert_eq!(
        client.send(get("/cookies")).expect(200).all("set-cookie"),
        ["a=1", "b=2"]
    );
    let bytes = client.send(get("/bytes")).expect(200);
    assert_eq!(
        bytes.header("x-a"),
        Some("caf\u{e9}\u{ff}\t."),
        "byte by byte"
    );
    client.send(get("/nothing/like/it")).expect(404);
}

#[test]
fn head_is_answered_without_a_body() {
    let mut server = Program::fixture("fixture").start();
    let mut client = server.connect();
    for (status, length) in [
        (200, Some("6")),
        (404, Some("6")),
        (204, None),
        (205, Some("0")),
        (304, None),
    ] {
        let request = get(&format!("/status/{status}")).replacen("GET", "HEAD", 1);
        let answer = client.send(request).expect_head(status);
        assert_eq!(answer.header("content-length"), length);
    }
    let answer = client
        .send(get("/fail").replacen("GET", "HEAD", 1))
        .expect_head(500);
    assert_ne!(answer.header("content-length"), Some("0"));
    client.send(get("/many/1")).expect(200);
}

/// Nothing that a handler puts into a response can break out of it.
#[test]
fn responses_cannot_be_split() {
    let mut server = Program::fixture("fixture").start();
    let mut client = server.connect();
    for target in ["/split", "/split-name"] {
        let answer = client.send(get(target)).expect(500);
        assert_eq!(failure(&answer).0, "BadResponse");
        assert_eq!(answer.header("x-smuggled"), None);
    }
    let answer = client.send(get("/owned")).expect(200);
    let mut names: Vec<&str> = answer
        .headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["content-length", "date", "x-fc-status"]);
    assert_eq!(answer.header("content-length"), Some("0"));
    let log = server.stdout.wait_lines(8).join("\n");
    assert_eq!(log.matches(FAILED).count(), 2, "{log}");
}

#[test]
fn headers_have_a_bound_in_number() {
    let mut server = Program::fixture("fixture").start();
    let mut client = server.connect();
    for count in [0, 1, 31, 32] {
        let answer = client.send(get(&format!("/many/{count}"))).expect(200);
        assert_eq!(answer.all("x-many").len(), count);
    }
    for count in [33, 34, 1_000] {
        let answer = client.send(get(&format!("/many/{count}"))).expect(500);
        assert_eq!(failure(&answer).0, "BadResponse");
    }
}

/// Up to the byte: the head is whole, or the call has failed.
#[test]
fn headers_have_a_bound_in_length() {
    let mut server = Program::fixture("fixture").start();
    let mut client = server.connect();
    let lens = (8_000..11_000).step_by(500).chain(10_000..10_300);
    let mut largest = 0;
    for len in lens {
        let _case = Case(len);
        client.send(get(&format!("/large/{len}")));
        let answer = client.read_response("GET").expect("a whole response");
        if answer.status == 200 {
            assert_eq!(answer.text(), "still well-formed");
            assert_eq!(answer.header("x-large").map(str::len), Some(len));
            largest = largest.max(len);
        } else {
            assert_eq!(
                (answer.status, failure(&answer).0.as_str()),
                (500, "BadResponse")
            );
        }
    }
    assert!(
        largest >= 8 * 1024,
        "FC's own limit must be reachable: {largest}"
    );
}

/// Without unwinding a panic is the end: one line that says where.
#[test]
fn panics_end_a_program_without_std() {
    for text in ["panic now", "index 1000000"] {
        let mut server = Program::fixture("fixture").start();
        let mut client = server.connect();
        client.send(event("echo")).expect(200);
        client.send(event(text));
        let status = server.wait();
        assert_eq!(status.code(), Some(101), "{status}");
        let complaint = server.stderr.take();
        let line = complaint.strip_suffix('\n').expect("a line");
        let place = line.strip_prefix("fnboot: panic at tests/fixture/handler.rs:");
        let place = place.and_then(|number| number.parse::<u32>().ok());
        assert!(place.is_some() && !line.contains('\n'), "{complaint:?}");
        assert_eq!(client.read_to_end(), b"");
    }
}

/// With unwinding that call fails, and the process lives.
#[test]
fn panics_end_a_call_with_std() {
    let mut server = Program::fixture("fixture_std").start();
    let mut client = server.connect();
    let mut other = server.connect();
    for (text, want) in [
        ("panic now", "on purpose: 3"),
        ("panic with text", "text: 15"),
        ("panic with anything", "panic"),
        (
            "index 1000000",
            "range end index 1000000 out of range for slice of length 13",
        ),
    ] {
        let answer = client.send(event(text)).expect(404);
        let (kind, message, trace) = failure(&answer);
        assert_eq!((kind.as_str(), message.as_str()), ("Panic", want));
        let place = trace[0].as_str().expect("a place");
        assert!(place.starts_with("tests/fixture/"), "{place}");
        other.send(event("echo")).expect(200);
        let log = server.stdout.wait_lines(5);
        assert_eq!(entry(&log[1], "rid").0, "ERROR");
        assert_eq!(log[2], FAILED);
        server.stdout.take();
    }
    let (kind, ..) = failure(&client.send(event("json")).expect(404));
    assert_eq!(kind, "std::io::error::Error");
    // The hook of std has its say.
    server
        .stderr
        .wait_until(|text| text.matches("panicked at").count() == 4);
    server.stderr.take();
}

/// The signal comes while the handler works: that call is answered, and nobody new is let in.
#[test]
fn termination_during_a_call() {
    let mut server = Program::fixture("fixture").start();
    let mut busy = server.connect();
    busy.send(post(
        "/invoke",
        "x-fc-function-timeout: 1\r\n",
        "wait-until-left-ms 500",
    ));
    server.stdout.wait_until(|log| log.contains("Start"));
    // These have come before the signal, and are in flight, too.
    let mut waiting: Vec<Client> = (0..100).map(|_| server.connect()).collect();
    for client in &mut waiting {
        client.send(event("echo"));
    }
    server.signal(Signal::TERM);
    assert_eq!(busy.expect(200).header("connection"), Some("close"));
    for client in &mut waiting {
        assert_eq!(client.expect(200).header("connection"), Some("close"));
        client.expect_close();
    }
    // A client that neither reads nor leaves keeps the process for a moment; new ones are refused.
    wait_for("the listener to close", || {
        std::net::TcpStream::connect((std::net::Ipv4Addr::LOCALHOST, server.port)).err()
    });
    drop((busy, waiting));
    server.expect_exit(0);
}
