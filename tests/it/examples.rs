//! The functions of `examples/`, each as the static `bootstrap` that a user would deploy.

use serde_json::{Value, json};

use crate::harness::{Program, Server, example, post};

fn start(name: &str) -> Server {
    Program::at(example(name)).start()
}

/// The answer to an event that failed.
#[track_caller]
fn failure(server: &mut Server, event: &[u8]) -> Value {
    let answer = server.call(post("/invoke", "", event), 404);
    serde_json::from_slice(&answer.body).expect("JSON")
}

#[test]
fn event() {
    let mut server = start("event");
    let request = post("/invoke", "x-fc-request-id: rid\r\n", "Hello World");
    let answer = server.call(request, 200);
    assert_eq!(answer.text(), "HELLO WORLD");
    let log = server.stdout.wait_lines(3);
    assert_eq!(log[0], "FC Invoke Start RequestId: rid");
    assert!(log[1].ends_with(" rid [INFO] 11 bytes"), "{log:?}");
    assert_eq!(log[2], "FC Invoke End RequestId: rid");
    let error = failure(&mut server, &[b'x'; 4097]);
    assert_eq!(error["errorType"], "EventTooLong");
    assert_eq!(error["errorMessage"], "4097 bytes, at most 4096");
}

#[test]
fn http() {
    let mut server = start("http");
    let mut client = server.connect();
    let mut get = |target: &str, status| {
        let request = format!("GET {target} HTTP/1.1\r\nHost: h\r\n\r\n");
        client.send(request).expect(status)
    };
    let hello = get("/hello?name=you", 200);
    assert_eq!(hello.text(), "Hello, you!\n");
    let kind = hello.header("content-type");
    assert_eq!(kind, Some("text/plain; charset=utf-8"));
    assert_eq!(get("/hello", 200).text(), "Hello, stranger!\n");
    assert_eq!(get("/visits", 200).text(), "3\n");
    assert_eq!(get("/nowhere", 404).text(), "No such page.\n");
    assert_eq!(get("/echo", 405).header("allow"), Some("POST"));
    let long = format!("/hello?name={}", "y".repeat(2000));
    let error: Value = serde_json::from_slice(&get(&long, 500).body).expect("JSON");
    assert_eq!(error["errorType"], "PageTooLong");
    let echo = server.call(post("/echo", "Content-Type: a/b\r\n", "as it came"), 200);
    assert_eq!(echo.text(), "as it came");
    assert_eq!(echo.header("content-type"), Some("a/b"));
    assert_eq!(failure(&mut server, b"")["errorType"], "NoEvents");
}

#[test]
fn json() {
    let mut server = start("json");
    let answer = server.call(post("/invoke", "", r#"{"name":"Ada"}"#), 200);
    let answer: Value = serde_json::from_slice(&answer.body).expect("JSON");
    assert_eq!(answer, json!({ "greeting": "Hello, Ada!" }));
    let error = failure(&mut server, b"{}");
    assert_eq!(error["errorType"], "MissingName");
    // What `?` made of serde_json's own error.
    let error = failure(&mut server, b"{");
    let message = error["errorMessage"].as_str().expect("text");
    assert!(message.starts_with("EOF while parsing"), "{message}");
}
