//! What callers of the local tool's gateways rely on, beside what they are answered. The function is
//! `tests/fixture/chaos.rs`.

use std::fs;
use std::time::{Duration, Instant};

use crate::chaos::chaos;
use crate::harness::{Folder, Program, Server, find, get, in_own_network, post, serving, tool};

/// The tool with a script that is the function.
struct Tool {
    server: Server,
    folder: Folder,
}

impl Tool {
    fn start(options: &str) -> Self {
        let (chaos, folder) = (chaos(), Folder::new());
        let lines = format!("#!/bin/sh\nexec {}\n", chaos.display());
        let program = Program::at(folder.file("function", 0o755, lines));
        // The log of each call.
        let nowhere = fs::File::create("/dev/null").expect("a file");
        let options: Vec<_> = options.split(' ').collect();
        let server = serving(program.stderr(nowhere), &options);
        Self { server, folder }
    }
}

/// The port of an instance that is replaced is free before the next one starts. A proxy's client names
/// the host in the target, too.
#[test]
fn a_web_function_of_scf() {
    in_own_network("gateway::a_web_function_of_scf", || {
        let mut tool = Tool::start("--platform scf --web");
        let head = tool.server.call(get("http://x.y/do-head", ""), 200).text();
        assert!(head.starts_with("get /do-head http/1.1"), "{head}");
        for text in ["#", "##"] {
            let script = fs::read_to_string(tool.folder.at("function")).expect("a script");
            tool.folder.file("function", 0o755, script + text);
            tool.server.call(get("/", ""), 200);
        }
    });
}

/// A client that leaves ends its call, while nothing of its answer comes, too.
#[test]
fn a_client_that_leaves_a_quiet_answer() {
    let mut tool = Tool::start("--platform fc --instances 1 --timeout 20");
    let head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n";
    let word: String = head.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut client = tool.server.connect();
    client.send(post("/", "", format!("do-raw-{word}")));
    client.read_until(|came| find(came, b"hi").is_some());
    drop(client);
    let start = Instant::now();
    tool.server.call(get("/", ""), 200);
    assert!(start.elapsed() < Duration::from_secs(10));
}

/// A refused request is read to its end, so that its sender sees why.
#[test]
fn a_refusal_comes_after_the_body() {
    let mut tool = Tool::start("--platform fc");
    let body = vec![b'x'; 20 << 20];
    for (path, fields) in [
        ("/", format!("X-Fill: {}\r\n", "y".repeat(9000))),
        (&*format!("/{}", "y".repeat(5000)), String::new()),
    ] {
        tool.server.call(post(path, &fields, &body), 400);
    }
}

/// A user who may have no more processes and threads is told so.
#[test]
fn there_are_no_more_threads() {
    let tool = tool();
    // Only root can become a user of whom nothing runs yet; for another the first thread is one too many.
    let is_root = rustix::process::geteuid().is_root();
    // With one, not even what the tool says could be written.
    for limit in 2..10 {
        let user = (60_000 + (std::process::id() + limit) % 5_000).to_string();
        let limit = format!("--nproc={limit}:{limit}");
        let as_user = ["setpriv", "--reuid", &user, "--clear-groups"];
        let mut words = if is_root {
            as_user.to_vec()
        } else {
            Vec::new()
        };
        words.extend(["prlimit", &limit]);
        words.extend([tool.to_str().expect("text"), "invoke", "--platform", "fc"]);
        words.extend(["--http", "/"]);
        let (status, _, shown) = Program::at(chaos()).under(&words).run();
        let is_orderly = matches!(status.code(), Some(0..=2)) && !shown.contains("main.rs");
        assert!(is_orderly, "{limit}: {status} {shown}");
    }
}
