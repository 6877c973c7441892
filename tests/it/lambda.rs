//! AWS Lambda, request by request.

use rustix::process::Signal;
use serde_json::Value;

use crate::api::{Api, ID, Peer, Platform, response};
use crate::harness::{Program, Server, assert_lines, find, noise};

const NEXT: &str = "GET /2018-06-01/runtime/invocation/next";

fn api() -> Api {
    Api::new(Platform::Lambda)
}

/// The fields of an event, as Lambda sends them.
fn fields(id: &str, more: &str) -> String {
    format!("{}{more}", Platform::Lambda.fields(id))
}

#[test]
fn requests_have_nothing_that_is_not_needed() {
    let api = api();
    let _server = api.start(Program::bootstrap());
    let mut peer = api.accept();
    assert_eq!(peer.expect(NEXT).head, api.head(NEXT, ""));
    let answer = peer.event("Hello World").expect_response();
    let line = format!("POST /2018-06-01/runtime/invocation/{ID}/response");
    assert_eq!(answer.head, api.head(&line, "Content-Length: 11\r\n"));
    peer.accept().expect_next();
}

#[test]
fn a_failure_before_the_first_event_is_reported() {
    let api = api();
    let program = Program::fixture("fixture").env("_HANDLER", "not-ready");
    let mut server = api.start(program.env("FNBOOT_SIGTERM", "on"));
    let mut peer = api.accept();
    let report = peer.expect("POST /2018-06-01/runtime/init/error");
    let name = "lambda-runtime-function-error-type";
    assert_eq!(report.header(name), Some("Function.NotReady"));
    assert_eq!(report.json()["errorType"], "NotReady");
    assert_eq!(report.json()["errorMessage"], "asked to fail");
    // X-Ray has no segment for it.
    assert_eq!(report.header(CAUSE), None);
    peer.accept();
    server.expect_exit(1);
    let log = server.stdout.take();
    assert!(
        log.contains("[ERROR] NotReady: asked to fail (at "),
        "{log}"
    );
    api.expect_no_connection();
}

/// What the function's own setting names is not there: Lambda knows a type of its own for it.
#[test]
fn a_handler_that_is_not_there_is_reported() {
    let api = api();
    let mut server = api.start(Program::bootstrap().env("_HANDLER", "none.handler"));
    let mut peer = api.accept();
    let report = peer.expect("POST /2018-06-01/runtime/init/error");
    let name = "lambda-runtime-function-error-type";
    assert_eq!(report.header(name), Some("Runtime.NoSuchHandler"));
    assert_eq!(report.json()["errorType"], "Runtime.NoSuchHandler");
    let message = report.json()["errorMessage"].to_string();
    assert!(message.contains("/none.handler'"), "{message}");
    peer.accept();
    server.expect_exit(1);
    server.stdout.take();
    api.expect_no_connection();
}

/// Whatever the platform makes of the report.
#[test]
fn after_such_a_failure_the_process_ends_anyway() {
    for answer in [
        "HTTP/1.1 403 Forbidden\r\n\r\n",
        "",
        "HTTP/1.0 202 Accepted\r\n\r\n{}",
    ] {
        let api = api();
        let mut server = api.start(Program::fixture("fixture").env("_HANDLER", "not-ready"));
        let mut peer = api.accept();
        peer.expect("POST /2018-06-01/runtime/init/error");
        peer.send(answer);
        drop(peer);
        server.expect_exit(1);
        api.expect_no_connection();
    }
}

#[test]
fn a_snapshot_is_taken_before_the_first_event() {
    let api = api();
    let program = Program::fixture("fixture").env("AWS_LAMBDA_INITIALIZATION_TYPE", "snap-start");
    let server = api.start(program);
    let mut peer = api.accept();
    peer.expect("GET /2018-06-01/runtime/restore/next");
    server.stdout.wait_until(|log| log.contains("initializing"));
    peer.reply("200 OK", "");
    // What was a connection before the snapshot is none after it.
    peer.expect_close();
    let mut peer = api.accept();
    peer.expect_next();
    peer.expect_echo("echo");
    api.expect_no_connection();
}

#[test]
fn other_kinds_of_start_ask_for_an_event_at_once() {
    for kind in [
        "on-demand",
        "provisioned-concurrency",
        "lambda-managed-instances",
    ] {
        let api = api();
        let program = Program::bootstrap().env("AWS_LAMBDA_INITIALIZATION_TYPE", kind);
        let (_server, mut peer) = api.begin(program);
        peer.expect_echo("a");
    }
}

/// Registers the extension, and leaves its question open.
fn register(api: &Api) -> Peer {
    let mut peer = api.accept();
    let request = peer.expect("POST /2020-01-01/extension/register");
    assert_eq!(request.header("lambda-extension-name"), Some("fnboot"));
    assert_eq!(request.text(), "{\"events\":[]}");
    // Nothing may be asked for before the platform knows of the extension.
    peer.wait_until_read();
    api.expect_no_connection();
    peer.send(response(
        "200 OK",
        "Lambda-Extension-Identifier: a-b-c\r\n",
        "{}",
    ));
    let request = peer.expect("GET /2020-01-01/extension/event/next");
    assert_eq!(request.header("lambda-extension-identifier"), Some("a-b-c"));
    peer
}

#[test]
fn an_extension_brings_sigterm() {
    let api = api();
    let mut server = api.start(Program::fixture("fixture").env("FNBOOT_SIGTERM", "on"));
    let mut extension = register(&api);
    let mut peer = api.accept();
    peer.expect_next();
    peer.expect_echo("echo");
    // A connection that ends is opened again beside the one that stays.
    drop(peer);
    let mut peer = api.accept();
    peer.expect_next();
    peer.expect_echo("echo");
    assert!(extension.is_silent());
    server.signal(Signal::TERM);
    server.expect_exit(0);
    assert!(server.stdout.take().ends_with("[INFO] stopping\n"));
    extension.expect_close();
    peer.expect_close();
    api.expect_no_connection();
}

/// Its end is that of the process, which still hears what becomes of the last answer.
#[test]
fn an_extension_that_is_ended_ends_the_process() {
    let api = api();
    let mut server = api.start(Program::fixture("fixture").env("FNBOOT_SIGTERM", "on"));
    let mut extension = register(&api);
    let mut peer = api.accept();
    peer.expect_next();
    peer.event("echo").expect_response();
    extension.send(response("200 OK", "", "{\"eventType\":\"SHUTDOWN\"}"));
    extension.expect_close();
    assert!(peer.is_silent());
    peer.accept().expect_close();
    server.expect_exit(0);
    assert!(server.stdout.take().ends_with("[INFO] stopping\n"));
}

/// Without one the function serves all the same.
#[test]
fn an_extension_that_is_refused_is_done_without() {
    let api = api();
    let mut server = api.start(Program::fixture("fixture").env("FNBOOT_SIGTERM", "on"));
    let mut peer = api.accept();
    peer.expect("POST /2020-01-01/extension/register");
    peer.reply(
        "403 Forbidden",
        "{\"errorType\":\"Extension.InvalidExtensionState\"}",
    );
    let mut peer = api.accept();
    peer.expect_next();
    peer.expect_echo("echo");
    let line = "[ERROR] Extension: the platform refused it with status 403\n";
    server.stdout.wait_until(|log| log.contains(line));
    server.signal(Signal::TERM);
    server.expect_exit(0);
}

const INVOCATION: &str = "lambda-runtime-invocation-id";

#[test]
fn as_many_events_at_once_as_the_platform_says() {
    let api = api();
    let mut server = api.start(Program::fixture("fixture").env("AWS_LAMBDA_MAX_CONCURRENCY", 5));
    let mut peers: Vec<Peer> = (0..5).map(|_| api.accept()).collect();
    for peer in &mut peers {
        peer.expect_next();
    }
    for turn in 0..3 {
        for (index, peer) in peers.iter_mut().enumerate() {
            let id = format!("Lambda-Runtime-Invocation-Id: {turn}-{index}\r\n");
            let event = format!("echo {index}");
            peer.send(response(
                "200 OK",
                &fields(&format!("id-{index}"), &id),
                event,
            ));
        }
        for (index, peer) in peers.iter_mut().enumerate().rev() {
            let line = Platform::Lambda.response(&format!("id-{index}"));
            let answer = peer.expect(&line);
            assert_eq!(answer.text(), format!("echo {index}"));
            let invocation = format!("{turn}-{index}");
            assert_eq!(answer.header(INVOCATION), Some(invocation.as_str()));
            peer.accept().expect_next();
        }
    }
    // An error names it, too.
    let id = "Lambda-Runtime-Invocation-Id: x\r\n";
    peers[3].send(response("200 OK", &fields(ID, id), "fail"));
    assert_eq!(peers[3].expect_error().header(INVOCATION), Some("x"));
    peers[3].accept().expect_next();
    // One that ends is opened again, the others wait on.
    drop(peers.remove(2));
    let mut peer = api.accept();
    peer.expect_next();
    peer.expect_echo("echo");
    assert!(peers.iter_mut().all(Peer::is_silent));
    api.expect_no_connection();
    server.signal(Signal::TERM);
    server.expect_exit(0);
}

/// The log's lines as JSON.
#[track_caller]
fn lines(server: &Server, count: usize) -> Vec<Value> {
    let text = server.stdout.wait_lines(count).join("\n");
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {line}"));
    text.lines().map(parse).collect()
}

#[test]
fn a_log_in_json() {
    for (name, value) in [
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_FORMAT", "json"),
        ("AWS_LAMBDA_MAX_CONCURRENCY", "1"),
    ] {
        let api = api();
        let program = Program::fixture("fixture").env("FNBOOT_MARKERS", "on");
        let (server, mut peer) = api.begin(program.env(name, value));
        let text = "a \"quoted\" \\ line\nand \t another \u{1} \u{7f} \u{e9}\u{1f600}";
        peer.event(format!("log {text}")).expect_response();
        peer.accept().expect_next();
        peer.event("fail").expect_error();
        peer.accept().expect_next();
        let long = "\"".repeat(40_000);
        peer.event(format!("log {long}")).expect_response();
        peer.accept().expect_next();
        let lines = lines(&server, 10);
        for line in &lines {
            let is_time = line["timestamp"].as_str().is_some_and(|time| {
                time.len() == 24 && time.ends_with('Z') && time.as_bytes()[10] == b'T'
            });
            assert!(is_time, "{line}");
        }
        let told = |line: &Value| (line["level"].clone(), line["message"].clone());
        assert_eq!(told(&lines[0]), ("INFO".into(), "initializing".into()));
        assert_eq!(lines[0]["requestId"], "");
        assert_eq!(lines[1]["requestId"], ID);
        assert_eq!(told(&lines[1]), ("DEBUG".into(), "a debug line".into()));
        assert_eq!(told(&lines[2]), ("INFO".into(), text.into()));
        assert_eq!(told(&lines[3]), ("WARN".into(), "1.5    42".into()));
        assert_eq!(told(&lines[4]), ("ERROR".into(), "the last".into()));
        assert_eq!(lines[5]["level"], "ERROR");
        let message = lines[5]["message"].as_str().expect("text");
        assert!(message.starts_with("Broken: it \"broke\"\n"), "{message}");
        assert!(long.starts_with(lines[7]["message"].as_str().expect("text").trim_end()));
        assert_eq!(lines.len(), 10);
    }
}

/// The one line of standard error as JSON: level and message.
#[track_caller]
fn complaint(text: &str) -> (String, String) {
    let line = text.strip_suffix('\n').expect("a whole line");
    let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("not JSON: {text}"));
    let time = entry["timestamp"].as_str().expect("a time");
    assert!(time.len() == 24 && time.ends_with('Z'), "{text}");
    let word = |name: &str| entry[name].as_str().expect("text").to_owned();
    (word("level"), word("message"))
}

fn fatal(message: &str) -> (String, String) {
    ("FATAL".into(), message.into())
}

/// A filter drops what is not JSON: so must be the line about a setting, whichever it is.
#[test]
fn a_bad_setting_is_told_in_json() {
    // Its first 200 bytes are shown, of which the last may be half a character.
    let long = format!("\"\\\n\t{}", "\u{e9}".repeat(150));
    let half = format!("x{}", "\u{e9}".repeat(150));
    for (name, value, want) in [
        (
            "AWS_LAMBDA_RUNTIME_API",
            "a\"b",
            "fnboot: AWS_LAMBDA_RUNTIME_API: 'a\"b' is not HOST:PORT/PATH",
        ),
        (
            "FNBOOT_MAX_BODY",
            "\n",
            "fnboot: FNBOOT_MAX_BODY: '\n' is not bytes",
        ),
        (
            "FNBOOT_STREAMING",
            &long,
            "fnboot: FNBOOT_STREAMING: '\"\\\n\t\u{e9}",
        ),
        ("FNBOOT_SIGTERM", &half, "fnboot: FNBOOT_SIGTERM: 'x"),
        (
            "AWS_LAMBDA_MAX_CONCURRENCY",
            "many",
            "fnboot: AWS_LAMBDA_MAX_CONCURRENCY: 'many'",
        ),
        (
            "FNBOOT",
            "command 'cat",
            "fnboot: FNBOOT: 'command 'cat' has a quote without its end",
        ),
    ] {
        let program = Program::bootstrap().without_port();
        let program = program.env("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:1");
        let program = program.env("AWS_LAMBDA_LOG_FORMAT", "JSON");
        let (status, _, line) = program.env(name, value).run();
        assert_eq!(status.code(), Some(1));
        let (level, message) = complaint(&line);
        assert_eq!(level, "FATAL");
        assert!(message.starts_with(want), "{message}");
    }
}

#[test]
fn an_unknown_setting_is_told_in_json() {
    let api = api();
    let program = Program::bootstrap().env("AWS_LAMBDA_MAX_CONCURRENCY", 1);
    let (server, mut peer) = api.begin(program.env("FNBOOT_TYPO", "on"));
    let (level, message) = complaint(&server.stderr.wait_until(|text| text.ends_with('\n')));
    assert_eq!(level, "WARN");
    assert!(
        message.starts_with("fnboot: FNBOOT_TYPO: unknown variable"),
        "{message}"
    );
    peer.expect_echo("a");
    server.stderr.take();
}

#[test]
fn an_end_is_told_in_json() {
    let json = |name| Program::fixture(name).env("AWS_LAMBDA_LOG_FORMAT", "JSON");
    let api = api();
    let (mut server, mut peer) = api.begin(json("fixture"));
    peer.event("panic");
    server.expect_exit(101);
    let (level, message) = complaint(&server.stderr.take());
    assert_eq!(level, "FATAL");
    assert!(message.starts_with("fnboot: panic at "), "{message}");
    let (mut server, mut peer) = api.begin(json("fixture"));
    peer.event("echo").expect_response();
    peer.reply("500 Internal Server Error", "{}");
    server.expect_exit(1);
    let want = fatal("fnboot: the platform's API answered with status 500");
    assert_eq!(complaint(&server.stderr.take()), want);
    // With unwinding it is the end of the call alone.
    let (server, mut peer) = api.begin(json("fixture_std"));
    for (event, want) in [
        ("panic with text", "text: 15"),
        ("panic with anything", "panic"),
        (&*format!("panic {}", "x".repeat(5000)), "on purpose: 5000"),
    ] {
        peer.event(event).expect_error();
        peer.accept().expect_next();
        let (level, message) = complaint(&server.stderr.wait_until(|text| text.ends_with('\n')));
        assert_eq!(level, "ERROR");
        assert!(message.starts_with("fnboot: panic at "), "{message}");
        assert!(message.ends_with(&format!(": {want}")), "{message}");
        server.stderr.take();
    }
    peer.expect_echo("echo this");
}

/// Why a call failed stands in the log whole, whatever JSON makes of it.
#[test]
fn a_long_failure_is_told_in_json() {
    let api = api();
    let program = Program::fixture("fixture").env("AWS_LAMBDA_LOG_FORMAT", "JSON");
    let (server, mut peer) = api.begin(program);
    lines(&server, 1);
    for text in [
        "x".repeat(600),
        "\u{1}".repeat(600),
        "\"".repeat(600),
        "\u{7f}".repeat(600),
        "\u{e9}".repeat(300),
        format!("x{}", "\u{1f600}".repeat(150)),
    ] {
        server.stdout.take();
        let answer = peer
            .event(format!("fail-at-length {text}"))
            .expect_error()
            .json();
        peer.accept().expect_next();
        let kept = answer["errorMessage"].as_str().expect("text");
        assert!(text.starts_with(kept) && (509..=512).contains(&kept.len()));
        let entry = &lines(&server, 1)[0];
        let place = answer["stackTrace"][0].as_str().expect("a place");
        assert_eq!(entry["level"], "ERROR");
        assert_eq!(entry["message"], format!("Long: {kept} (at {place})"));
    }
    server.stdout.take();
    let answer = peer.event("fail-by-name").expect_error().json();
    let name = "N".repeat(320);
    assert_eq!(answer["errorType"], name.as_str());
    let message = lines(&server, 1)[0]["message"].to_string();
    let whole = format!("\"{name}: a name that is too long (at ");
    assert!(message.starts_with(&whole), "{message}");
}

/// Lambda ends an event at every LF, and its own runtimes write CR for it.
#[test]
fn an_entry_is_one_event() {
    for (platform, form, want) in [
        (Platform::Lambda, "Text", "a\rb\r\rc\r\u{e9}\t\n"),
        (Platform::Lambda, "", "a\rb\r\rc\r\u{e9}\t\n"),
        (Platform::Scf, "", "a\nb\r\nc\n\u{e9}\t\n"),
    ] {
        let api = Api::new(platform);
        let program = Program::fixture("fixture").env("AWS_LAMBDA_LOG_FORMAT", form);
        let (server, mut peer) = api.begin(program);
        peer.event("log a\nb\r\nc\n\u{e9}\t").expect_response();
        peer.accept().expect_next();
        let log = server.stdout.wait_until(|log| log.contains("the last\n"));
        assert!(log.contains(&format!("[INFO] {want}")), "{log:?}");
        let text = "x\n".repeat(2000);
        peer.event(format!("log {text}")).expect_response();
        let log = server
            .stdout
            .wait_until(|log| log.matches("the last\n").count() == 2);
        let want = match platform {
            Platform::Lambda => text.replace('\n', "\r"),
            Platform::Scf => text,
        };
        assert!(log.contains(&format!("[INFO] {want}\n")), "{log:?}");
    }
}

const CAUSE: &str = "lambda-runtime-function-xray-error-cause";

/// The form in which the API of AWS's own emulator reads it; that takes a stack of objects only.
#[test]
fn a_failure_tells_xray_its_cause() {
    let api = api();
    let (_server, mut peer) = api.begin(Program::fixture("fixture"));
    for text in [
        "plain".to_owned(),
        "\r\nX-Forged: yes \" \\ \u{1} \u{7f} \u{e9}\u{1f600}".to_owned(),
        "\u{1}".repeat(600),
        "\u{7f}".repeat(600),
    ] {
        let answer = peer.event(format!("fail-at-length {text}")).expect_error();
        peer.accept().expect_next();
        let cause = answer.header(CAUSE).expect("a cause");
        // RFC 9110 §5.5.
        assert!(!cause.contains(|c: char| c.is_ascii_control()), "{cause:?}");
        let cause: Value = serde_json::from_str(cause).expect("JSON");
        let body = answer.json();
        let place = body["stackTrace"][0].as_str().expect("a place");
        let (path, rest) = place.split_once(':').expect("a line");
        let (line, _) = rest.split_once(':').expect("a column");
        let line: u64 = line.parse().expect("a number");
        assert_eq!(path, "tests/fixture/handler.rs");
        let want = serde_json::json!({
            "working_directory": "/var/task",
            "exceptions": [{
                "type": "Long",
                "message": body["errorMessage"],
                "stack": [{ "path": path, "line": line }],
            }],
            "paths": [path],
        });
        assert_eq!(cause, want);
    }
    // A long type: nothing of the head is cut.
    let answer = peer.event("fail-by-name").expect_error();
    peer.accept().expect_next();
    let cause: Value = serde_json::from_str(answer.header(CAUSE).expect("a cause")).expect("JSON");
    assert_eq!(cause["exceptions"][0]["type"], answer.json()["errorType"]);
    // Only what failed has a cause.
    assert_eq!(peer.event("echo").expect_response().header(CAUSE), None);
}

#[test]
fn a_failure_without_a_place_has_a_cause() {
    let api = api();
    let (_server, mut peer) = api.begin(Program::fixture("fixture").env("FNBOOT_STREAMING", "on"));
    let answer = peer.event("/split").expect_error();
    let want = serde_json::json!({
        "working_directory": "/var/task",
        "exceptions": [{
            "type": "BadResponse",
            "message": "a header's name or value is not valid",
            "stack": [],
        }],
        "paths": [],
    });
    let cause: Value = serde_json::from_str(answer.header(CAUSE).expect("a cause")).expect("JSON");
    assert_eq!(cause, want);
}

/// Wherever the longest entry is cut, it is JSON and has its end.
#[test]
fn a_cut_log_in_json() {
    let api = api();
    let program = Program::fixture("fixture").env("AWS_LAMBDA_LOG_FORMAT", "JSON");
    let (server, mut peer) = api.begin(program);
    let mut whole_count = 0;
    // What else stands in an entry takes some hundred bytes.
    for (index, len) in (32_768 - 200..32_768).enumerate() {
        let text = format!("{}{}", "x".repeat(len - 60), "\u{e9}\u{1f600}".repeat(20));
        let text = if index % 2 == 0 {
            &text
        } else {
            &text[..len - 60]
        };
        peer.event(format!("log {text}")).expect_response();
        peer.accept().expect_next();
        let lines = server
            .stdout
            .wait_until(|log| log.ends_with("\"the last\"}\n"));
        for line in lines.lines() {
            let entry: Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}"));
            let message = entry["message"].as_str().expect("text");
            if entry["level"] != "INFO" || message == "initializing" {
                continue;
            }
            // A character takes up to four bytes, and the line its end.
            let is_full = (32_768 - 4..=32_768 - 1).contains(&line.len());
            assert!(text.starts_with(message) && (is_full || message == text));
            whole_count += usize::from(message == text);
        }
        server.stdout.take();
    }
    assert!(
        (1..200).contains(&whole_count),
        "{whole_count} of 200 whole"
    );
}

#[test]
fn a_log_from_some_level_on() {
    for (level, want) in [
        ("TRACE", "DEBUG INFO WARN ERROR"),
        ("debug", "DEBUG INFO WARN ERROR"),
        ("INFO", "INFO WARN ERROR"),
        ("WARN", "WARN ERROR"),
        ("ERROR", "ERROR"),
        ("FATAL", "ERROR"),
    ] {
        let api = api();
        let (server, mut peer) =
            api.begin(Program::fixture("fixture").env("AWS_LAMBDA_LOG_LEVEL", level));
        peer.event("log text").expect_response();
        peer.accept().expect_next();
        // Why a call failed is told at every level.
        peer.event("fail").expect_error();
        let log = server
            .stdout
            .wait_until(|log| log.contains("[ERROR] Broken"));
        let told = log.lines().filter_map(|line| {
            let (_, rest) = line.split_once(&format!("Z {ID} ["))?;
            rest.split_once("] ")
        });
        // Of the text alone, because a time, such as 01:10:31.512, may look like a part of it.
        let is_of_handler = |text: &str| {
            let mut parts = [" line", "text", "1.5", "last"].into_iter();
            parts.any(|part| format!(" {text}").contains(part))
        };
        let levels = told.filter(|(_, text)| is_of_handler(text));
        let levels = levels.map(|(level, _)| level.to_string());
        assert_eq!(levels.collect::<Vec<_>>().join(" "), want);
    }
}

#[test]
fn the_trace_is_in_the_environment() {
    let api = api();
    let program = || Program::fixture("fixture_std").env("_X_AMZN_TRACE_ID", "Root=old");
    let (_server, mut peer) = api.begin(program().env("EXPORT_TRACE_ID", 1));
    for (trace, want) in [
        (
            "Lambda-Runtime-Trace-Id: Root=1-a;Parent=b;Sampled=1\r\n",
            "Root=1-a;Parent=b;Sampled=1",
        ),
        ("Lambda-Runtime-Trace-Id: Root=2\r\n", "Root=2"),
        // What another event was traced by is not this one's.
        ("", ""),
    ] {
        peer.send(response("200 OK", &fields(ID, trace), "trace"));
        assert_eq!(peer.expect_response().text(), want);
        peer.accept().expect_next();
    }
    // Other threads may read the environment: it is not changed unless the program says so.
    let (_server, mut peer) = api.begin(program());
    let trace = "Lambda-Runtime-Trace-Id: Root=1\r\n";
    peer.send(response("200 OK", &fields(ID, trace), "trace"));
    assert_eq!(peer.expect_response().text(), "Root=old");
}

/// With many events at once there is no one trace: it stays with the context.
#[test]
fn the_trace_of_one_of_many_is_not() {
    let api = api();
    let program = Program::fixture("fixture_std").env("EXPORT_TRACE_ID", 1);
    let program = program.env("AWS_LAMBDA_MAX_CONCURRENCY", 2);
    let _server = api.start(program);
    let (mut peer, mut other) = (api.accept(), api.accept());
    peer.expect_next();
    other.expect_next();
    let trace = "Lambda-Runtime-Trace-Id: Root=1\r\n";
    peer.send(response("200 OK", &fields(ID, trace), "trace"));
    assert_eq!(peer.expect_response().text(), "");
    peer.accept().expect_next();
    peer.send(response("200 OK", &fields(ID, trace), "context"));
    assert!(
        peer.expect_response()
            .text()
            .contains("trace_id=Some(\"Root=1\")")
    );
}

#[test]
fn the_context_tells_everything() {
    let api = api();
    let program = Program::fixture("fixture").envs(&[
        ("_HANDLER", "index.handler"),
        ("AWS_LAMBDA_FUNCTION_NAME", "hello"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "key id"),
        ("AWS_SECRET_ACCESS_KEY", "key secret"),
        ("AWS_SESSION_TOKEN", "key token"),
        // Another platform's.
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "no"),
        ("SCF_FUNCTIONNAME", "no"),
    ]);
    let (_server, mut peer) = api.begin(program);
    let more = "Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:123456789012:function:hello:live\r\n\
        Lambda-Runtime-Trace-Id: Root=1-a;Parent=b;Sampled=1\r\n\
        Lambda-Runtime-Client-Context: {\"client\":{}}\r\n\
        Lambda-Runtime-Cognito-Identity: {\"cognitoIdentityId\":\"i\"}\r\n\
        Lambda-Runtime-Aws-Tenant-Id: blue\r\n\
        x-fc-request-id: no\r\nx-fc-access-key-id: no\r\nx-fc-access-key-secret: no\r\nrequest_id: no\r\n";
    peer.send(response("200 OK", &fields(ID, more), "context"));
    let told = peer.expect_response().text();
    assert_lines(
        &told,
        &[
            "platform=Lambda",
            &format!("request_id=\"{ID}\""),
            "function_name=Some(\"hello\")",
            "function_handler=Some(\"index.handler\")",
            "function_memory_mb=Some(128)",
            "function_timeout=None",
            "region=Some(\"eu-west-1\")",
            "account_id=Some(\"123456789012\")",
            "version_id=Some(\"$LATEST\")",
            "function_arn=Some(\"arn:aws:lambda:eu-west-1:123456789012:function:hello:live\")",
            "trace_id=Some(\"Root=1-a;Parent=b;Sampled=1\")",
            "client_context=Some(\"{\\\"client\\\":{}}\")",
            "cognito_identity=Some(\"{\\\"cognitoIdentityId\\\":\\\"i\\\"}\")",
            "tenant_id=Some(\"blue\")",
            "access_key_id=Some(\"key id\")",
            "access_key_secret=Some(\"key secret\")",
            "security_token=Some(\"key token\")",
            "deadline_ms=Some(4102444800000)",
        ],
    );
    // What another platform would tell is absent, and absent is what is empty or not sent.
    peer.accept().expect_next();
    let bare = "Lambda-Runtime-Aws-Request-Id: x\r\nLambda-Runtime-Trace-Id:\r\n";
    peer.send(response("200 OK", bare, "context"));
    let told = peer
        .expect("POST /2018-06-01/runtime/invocation/x/response")
        .text();
    for name in [
        "deadline_ms",
        "remaining_ms",
        "trace_id",
        "tenant_id",
        "function_arn",
    ] {
        assert!(
            told.contains(&format!("\n{name}=None\n")),
            "{name} in {told}"
        );
    }
    for name in [
        "client_ip",
        "qualifier",
        "service_name",
        "account_id",
        "cognito_identity",
    ] {
        assert!(
            told.contains(&format!("\n{name}=None\n")),
            "{name} in {told}"
        );
    }
}

#[test]
fn a_deadline_is_kept_by_the_clock() {
    let api = api();
    let (_server, mut peer) = api.begin(Program::fixture("fixture"));
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let deadline_ms = now.expect("now").as_millis() + 60_000;
    let fields = format!(
        "Lambda-Runtime-Aws-Request-Id: {ID}\r\nLambda-Runtime-Deadline-Ms: {deadline_ms}\r\n"
    );
    peer.send(response("200 OK", &fields, "wait-until-left-ms 59900"));
    assert_eq!(peer.expect_response().text(), "waited");
}

/// An answer to an event as an HTTP response, in pieces.
mod streaming {
    use super::*;

    const HTTP: &str = "application/vnd.awslambda.http-integration-response";

    fn begin() -> (Api, Server, Peer) {
        let api = api();
        let (server, peer) = api.begin(Program::fixture("fixture").env("FNBOOT_STREAMING", "on"));
        (api, server, peer)
    }

    /// Prelude and body of an answer that is a stream.
    #[track_caller]
    fn expect_stream(peer: &mut Peer) -> (Value, crate::api::Request) {
        let mut answer = peer.expect_response();
        let mode = "lambda-runtime-function-response-mode";
        assert_eq!(answer.header(mode), Some("streaming"));
        assert_eq!(answer.header("content-type"), Some(HTTP));
        let trailers = "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body";
        assert_eq!(answer.header("trailer"), Some(trailers));
        let end = find(&answer.body, &[0; 8]).expect("eight NULs");
        let body = answer.body.split_off(end + 8);
        let prelude = serde_json::from_slice(&answer.body[..end]).expect("JSON");
        answer.body = body;
        (prelude, answer)
    }

    #[test]
    fn a_whole_answer() {
        let (api, _server, mut peer) = begin();
        peer.event("/cookies");
        let (prelude, answer) = expect_stream(&mut peer);
        assert_eq!(prelude["statusCode"], 200);
        assert_eq!(prelude["cookies"], serde_json::json!(["a=1", "b=2"]));
        assert_eq!(answer.text(), "c");
        assert!(answer.trailers.is_empty());
        peer.accept().expect_next();
        peer.event("/redirect");
        let (prelude, answer) = expect_stream(&mut peer);
        assert_eq!(prelude["statusCode"], 302);
        assert_eq!(prelude["headers"]["Location"], "/a?b=c");
        assert_eq!(answer.text(), "");
        peer.accept().expect_next();
        api.expect_no_connection();
    }

    /// Without a method for HTTP the answer to the event is the body.
    #[test]
    fn an_event_is_echoed() {
        let api = api();
        let (_server, mut peer) = api.begin(Program::bootstrap().env("FNBOOT_STREAMING", "on"));
        for len in [1, 11, 100_000, 20 * 1024 * 1024] {
            let event = noise(len);
            peer.event(&event);
            let (prelude, answer) = expect_stream(&mut peer);
            assert_eq!(prelude["statusCode"], 200);
            crate::harness::assert_same(&answer.body, &event);
            peer.accept().expect_next();
        }
    }

    #[test]
    fn pieces() {
        let (_api, _server, mut peer) = begin();
        for (count, len) in [(1, 1), (3, 10), (100, 1000), (100, 60_000)] {
            peer.event(format!("/stream/more/{count}/{len}"));
            let (prelude, answer) = expect_stream(&mut peer);
            assert_eq!(prelude["headers"]["Content-Type"], "text/plain");
            assert_eq!(answer.body.len(), "begin\n".len() + count * len);
            assert!(answer.trailers.is_empty());
            peer.accept().expect_next();
        }
    }

    /// RFC 9110 §6.4.1, §15.3.6: what has no content sends none, and what would have come is
    /// abandoned.
    #[test]
    fn without_content_nothing_goes_on() {
        let (api, _server, mut peer) = begin();
        for status in [204, 205, 304] {
            for path in ["status", "stream-status"] {
                peer.event(format!("/{path}/{status}"));
                let (prelude, answer) = expect_stream(&mut peer);
                assert_eq!(prelude["statusCode"], status);
                assert_eq!((answer.text().as_str(), answer.trailers.len()), ("", 0));
                peer.accept().expect_next();
            }
        }
        api.expect_no_connection();
    }

    #[test]
    fn an_error_after_the_beginning_is_in_the_trailers() {
        let (_api, server, mut peer) = begin();
        peer.event("/stream/fail/2/5");
        let (_, answer) = expect_stream(&mut peer);
        assert_eq!(answer.text(), "begin\nbbbb\naaaa\n");
        let name = "lambda-runtime-function-error-type";
        assert_eq!(answer.trailer(name), Some("Function.Broken"));
        let body = answer.trailer("lambda-runtime-function-error-body");
        let body = crate::api::base64(body.expect("a body"));
        let error: Value = serde_json::from_slice(&body).expect("JSON");
        assert_eq!(error["errorType"], "Broken");
        assert_eq!(error["errorMessage"], "in the middle");
        server
            .stdout
            .wait_until(|log| log.contains("[ERROR] Broken: in the middle"));
        peer.accept().expect_next();
        peer.event("/status/201");
        assert_eq!(expect_stream(&mut peer).0["statusCode"], 201);
    }

    #[test]
    fn an_error_before_it_is_an_error() {
        let (_api, _server, mut peer) = begin();
        for (event, kind) in [
            ("/fail", "Function.Broken"),
            ("/split", "Function.BadResponse"),
        ] {
            peer.event(event);
            let error = peer.expect_error();
            let name = "lambda-runtime-function-error-type";
            assert_eq!(error.header(name), Some(kind));
            peer.accept().expect_next();
        }
    }

    /// A platform that takes no more: the connection ends, and with it the stream.
    #[test]
    fn a_stream_that_breaks_off_is_abandoned() {
        let (api, _server, mut peer) = begin();
        peer.event("/stream/more/16000000/60000");
        peer.read_until(|bytes| bytes.len() > 1_000_000);
        peer.reset();
        let mut peer = api.accept();
        peer.expect_next();
        peer.event("/status/200");
        assert_eq!(expect_stream(&mut peer).0["statusCode"], 200);
    }
}
