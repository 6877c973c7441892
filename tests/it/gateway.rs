//! What callers of the local tool's gateways rely on, beside what they are answered. The function is
//! `tests/fixture/chaos.rs`.

use std::path::PathBuf;
use std::time::{Duration, Instant};
use std::{env, fs, os::unix::fs::PermissionsExt};

use crate::harness::{Program, Server, assert_built, find, get, in_own_network, post, tool};

fn chaos() -> PathBuf {
    let test = env::current_exe().expect("a path");
    let folder = test.ancestors().nth(2).expect("the target's folder");
    let chaos = folder.join("examples/chaos");
    assert_built(&chaos);
    chaos
}

/// The tool with a script that is the function.
struct Tool {
    server: Server,
    script: PathBuf,
}

impl Tool {
    fn start(name: &str, options: &str) -> Self {
        let chaos = chaos();
        let script = env::temp_dir().join(format!("fnboot-{name}-{}", std::process::id()));
        let lines = format!("#!/bin/sh\nexec {}\n", chaos.display());
        fs::write(&script, lines).expect("a script");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("a mode");
        let program = Program::at(script.clone());
        let (tool, port) = (tool(), program.port().to_string());
        let mut words = vec![tool.to_str().expect("text"), "serve", "--port", &port];
        words.extend(options.split(' '));
        // The log of each call.
        let nowhere = fs::File::create("/dev/null").expect("a file");
        let server = program.under(&words).stderr(nowhere).start();
        Self { server, script }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.script);
    }
}

/// The port of an instance that is replaced is free before the next one starts. A proxy's client names
/// the host in the target, too.
#[test]
fn a_web_function_of_scf() {
    in_own_network("gateway::a_web_function_of_scf", || {
        let mut tool = Tool::start("web", "--platform scf --web");
        let head = tool.server.call(get("http://x.y/do-head", ""), 200).text();
        assert!(head.starts_with("get /do-head http/1.1"), "{head}");
        for text in ["#", "##"] {
            let script = fs::read_to_string(&tool.script).expect("a script");
            fs::write(&tool.script, script + text).expect("a script");
            tool.server.call(get("/", ""), 200);
        }
    });
}

/// A client that leaves ends its call, while nothing of its answer comes, too.
#[test]
fn a_client_that_leaves_a_quiet_answer() {
    let mut tool = Tool::start("quiet", "--platform fc --instances 1 --timeout 20");
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
    let mut tool = Tool::start("refusal", "--platform fc");
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
    if !rustix::process::geteuid().is_root() {
        // Only root can become a user of whom nothing runs yet.
        return;
    }
    let tool = tool();
    // With one, not even what the tool says could be written.
    for limit in 2..10 {
        let user = (60_000 + (std::process::id() + limit) % 5_000).to_string();
        let limit = format!("--nproc={limit}:{limit}");
        let mut words = vec![
            "setpriv",
            "--reuid",
            &user,
            "--clear-groups",
            "prlimit",
            &limit,
        ];
        words.extend([tool.to_str().expect("text"), "invoke", "--platform", "fc"]);
        words.extend(["--http", "/"]);
        let (status, _, shown) = Program::at(chaos()).under(&words).run();
        let is_orderly = matches!(status.code(), Some(0..=2)) && !shown.contains("main.rs");
        assert!(is_orderly, "{limit}: {status} {shown}");
    }
}
