//! Tencent SCF, request by request.

use crate::api::{Api, Platform, response};
use crate::harness::{Program, assert_lines};

fn api() -> Api {
    Api::new(Platform::Scf)
}

#[test]
fn requests_have_nothing_that_is_not_needed() {
    let api = api();
    let _server = api.start(Program::bootstrap());
    let mut peer = api.accept();
    // An empty body is not taken everywhere.
    let line = "POST /runtime/init/ready";
    let ready = peer.expect(line);
    assert_eq!(ready.head, api.head(line, "Content-Length: 1\r\n"));
    assert_eq!(ready.body, b" ");
    peer.accept();
    let line = "GET /runtime/invocation/next";
    assert_eq!(peer.expect(line).head, api.head(line, ""));
    let answer = peer.event("Hello World").expect_response();
    let line = "POST /runtime/invocation/response";
    assert_eq!(answer.head, api.head(line, "Content-Length: 11\r\n"));
    peer.accept().expect_next();
}

/// It asks for no event before the platform has taken that it is ready.
#[test]
fn readiness_comes_first() {
    let api = api();
    let server = api.start(Program::fixture("fixture"));
    // A connection that ends before the answer: again.
    let mut peer = api.accept();
    peer.expect("POST /runtime/init/ready");
    server.stdout.wait_until(|log| log.contains("initializing"));
    drop(peer);
    let mut peer = api.accept();
    peer.expect("POST /runtime/init/ready");
    // The first one counts, and this is a second: so be it.
    peer.reply("400 Bad Request", "{}").expect_next();
    peer.expect_echo("echo");
    api.expect_no_connection();
}

/// A server that tells by closing how long its answer is.
#[test]
fn readiness_without_a_length() {
    let api = api();
    let _server = api.start(Program::bootstrap());
    let mut peer = api.accept();
    peer.expect("POST /runtime/init/ready");
    peer.send("HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\nOK")
        .finish();
    let mut peer = api.accept();
    peer.expect_next();
    peer.expect_echo("a");
}

/// There is no call for it: a line, and the end.
#[test]
fn a_failure_before_the_first_event_is_the_end() {
    let api = api();
    let mut server = api.start(Program::fixture("fixture").env("_HANDLER", "not-ready"));
    server.expect_exit(1);
    let log = server.stdout.take();
    assert!(
        log.contains("[ERROR] NotReady: asked to fail (at "),
        "{log}"
    );
    let line = server.stderr.take();
    assert_eq!(line, "fnboot: the function could not be initialized\n");
    api.expect_no_connection();
}

#[test]
fn the_context_tells_everything() {
    let api = api();
    let program = Program::fixture("fixture").envs(&[
        ("_HANDLER", "index.main_handler"),
        ("SCF_FUNCTIONNAME", "hello"),
        ("SCF_FUNCTIONVERSION", "$LATEST"),
        ("TENCENTCLOUD_REGION", "ap-guangzhou"),
        ("TENCENTCLOUD_UIN", "100012345678"),
        ("TENCENTCLOUD_SECRETID", "key id"),
        ("TENCENTCLOUD_SECRETKEY", "key secret"),
        ("TENCENTCLOUD_SESSIONTOKEN", "key token"),
        ("AWS_REGION", "no"),
    ]);
    let (_server, mut peer) = api.begin(program);
    let now_ms = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("now").as_millis()
    };
    let before_ms = now_ms();
    peer.event("context");
    let told = peer.expect_response().text();
    let after_ms = now_ms();
    assert_lines(
        &told,
        &[
            "platform=Scf",
            "request_id=\"8476a536-e9f4-11e8-9739-2dfe598c3fcd\"",
            "function_name=Some(\"hello\")",
            "function_handler=Some(\"index.main_handler\")",
            "function_memory_mb=Some(128)",
            "function_timeout=Some(3s)",
            "region=Some(\"ap-guangzhou\")",
            "account_id=Some(\"100012345678\")",
            "version_id=Some(\"$LATEST\")",
            "function_arn=None",
            "trace_id=None",
            "access_key_id=Some(\"key id\")",
            "access_key_secret=Some(\"key secret\")",
            "security_token=Some(\"key token\")",
        ],
    );
    // The time limit is a duration: it begins when the event arrives.
    let deadline = told
        .lines()
        .find_map(|line| line.strip_prefix("deadline_ms=Some("));
    let deadline = deadline.and_then(|text| text.trim_end_matches(')').parse::<u128>().ok());
    let arrival_ms = deadline.expect("a deadline") - 3000;
    // The kernel's coarse clock may be a tick behind.
    assert!((before_ms - 20..=after_ms).contains(&arrival_ms), "{told}");
}

#[test]
fn fields_with_underscores_in_any_case() {
    let api = api();
    let (_server, mut peer) = api.begin(Program::fixture("fixture"));
    for fields in [
        "request_id: a\r\nmemory_limit_in_mb: 64\r\ntime_limit_in_ms: 900000\r\n",
        "REQUEST_ID: a\r\nMEMORY_LIMIT_IN_MB: 64\r\nTIME_LIMIT_IN_MS: 900000\r\n",
    ] {
        peer.send(response("200 OK", fields, "context"));
        let told = peer.expect_response().text();
        assert_lines(
            &told,
            &[
                "request_id=\"a\"",
                "function_memory_mb=Some(64)",
                "function_timeout=Some(900s)",
            ],
        );
        peer.accept().expect_next();
    }
}

/// A web function: the program's name says so, and its port is fixed.
mod web {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::harness::{fixture, get, in_own_network, post};

    /// The fixture under the name that a web function must have.
    fn program() -> PathBuf {
        let folder = std::env::temp_dir().join(format!("fnboot-web-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("scf_bootstrap");
        fs::copy(fixture("fixture"), &path).expect("a copy");
        path
    }

    /// In a network of its own, because this machine's port 9000 may well be taken.
    #[test]
    fn is_a_server_on_port_9000() {
        in_own_network("scf::web::is_a_server_on_port_9000", serves_on_port_9000);
    }

    fn serves_on_port_9000() {
        let path = program();
        // Neither another platform's port counts, nor an API that may be there as well.
        let program = Program::at(path.clone());
        let other_port = program.port();
        let mut server = program
            .env("SCF_RUNTIME_API", "127.0.0.1")
            .env("SCF_RUNTIME_API_PORT", other_port)
            .env("SCF_FUNCTIONNAME", "hello")
            .start();
        server.port = 9000;
        let mut client = server.connect();
        let fields = "X-Scf-Request-Id: an-id\r\n";
        client.send(post("/echo", fields, "a body"));
        let answer = client.expect(200);
        assert_eq!(answer.text(), "a body");
        assert!(
            answer
                .headers
                .iter()
                .all(|(name, _)| !name.starts_with("x-fc-"))
        );
        // No path belongs to the platform.
        assert_eq!(
            client
                .send(post("/invoke", fields, "echo"))
                .expect(404)
                .text(),
            "no such page"
        );
        assert_eq!(
            client
                .send(post("/initialize", fields, ""))
                .expect(404)
                .text(),
            "no such page"
        );
        let error = client.send(post("/fail", fields, "")).expect(500);
        assert!(error.text().contains("\"errorType\":\"Broken\""));
        assert_eq!(error.header("x-fc-status"), None);
        let log = server.stdout.wait_until(|log| log.contains("Broken"));
        assert!(
            log.contains(" an-id [ERROR] Broken: an HTTP function"),
            "{log}"
        );
        assert!(!log.contains("FC Invoke"), "{log}");
        client.send(get("/stream/more/2/10", ""));
        let stream = client.read_bytes_until(b"\r\n0\r\n\r\n");
        let stream = String::from_utf8(stream).expect("text");
        assert!(
            stream.contains("\r\nTransfer-Encoding: chunked\r\n"),
            "{stream}"
        );
        server.signal(rustix::process::Signal::TERM);
        server.expect_exit(0);
        fs::remove_dir_all(path.parent().expect("a folder")).expect("remove");
    }
}
