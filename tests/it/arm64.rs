//! The arm64 program that ships, run by qemu's user mode as a user without privileges: it starts, and
//! it serves every platform.

use std::fs;
use std::path::Path;

use rustix::process::Signal;

use crate::api::{Api, PLATFORMS};
use crate::gates::assert_hardened;
use crate::harness::{Case, Folder, Program, assert_same, bootstrap_arm64, chunked, noise, post};

/// The program at `path`, run by qemu as nobody: a program that only root can start is of no use.
///
/// The shell opens the file, as nobody may not be allowed to look into the folder that it lies in.
pub fn program(path: &Path) -> Program {
    let nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all";
    let is_root = rustix::process::geteuid().is_root();
    let nobody = if is_root { nobody } else { "" };
    let script = format!("exec 3<\"$0\" && exec {nobody} qemu-aarch64 /proc/self/fd/3 \"$@\"");
    Program::at(path.to_owned()).in_shell(&script)
}

#[test]
fn hardened() {
    assert_hardened(&bootstrap_arm64());
}

#[test]
fn serves_fc() {
    let mut server = program(&bootstrap_arm64()).start();
    let answer = server.call(post("/invoke", "x-fc-request-id: rid\r\n", "hello"), 200);
    assert_eq!(answer.text(), "hello");
    let log = server.stdout.wait_lines(2);
    assert_eq!(
        log,
        [
            "FC Invoke Start RequestId: rid",
            "FC Invoke End RequestId: rid"
        ]
    );
    let body = noise(3 << 20);
    let mut client = server.connect();
    for request in [
        post("/invoke", "", &body),
        chunked("/invoke", "", &body, 10_000),
    ] {
        assert_same(&client.send(request).expect(200).body, &body);
    }
    client
        .send("GET / HTTP/1.1\r\nHost: a b\r\n\r\n")
        .expect(400);
    server.signal(Signal::TERM);
    server.expect_exit(0);
}

#[test]
fn serves_polled_platforms() {
    for platform in PLATFORMS {
        let _case = Case(platform);
        let api = Api::new(platform);
        let (mut server, mut peer) = api.begin(program(&bootstrap_arm64()));
        peer.expect_echo("an event");
        peer.expect_echo(noise(1 << 20));
        server.signal(Signal::TERM);
        server.expect_exit(0);
    }
}

/// Their interpreters are those of this machine.
#[test]
fn serves_functions_in_files() {
    let folder = Folder::new();
    for (file, text) in [
        ("index.sh", "handler() { printf %s \"$1\"; }\n"),
        (
            "index.php",
            "<?php function handler($event) { return $event; }",
        ),
        ("index.py", "def handler(event, context): return event\n"),
        ("index.js", "exports.handler = async (event) => event"),
    ] {
        let _case = Case(file);
        let path = folder.file(file, 0o644, text);
        let word = path.with_extension("handler");
        let words = ["function", word.to_str().expect("text")];
        let mut server = program(&bootstrap_arm64()).arguments(words).start();
        for body in [&b"an event"[..], &noise(1 << 20)] {
            // A shell takes no NUL in its arguments.
            let body: Vec<_> = body.iter().copied().filter(|&byte| byte != 0).collect();
            assert_same(&server.call(post("/invoke", "", &body), 200).body, &body);
        }
        server.signal(Signal::TERM);
        server.expect_exit(0);
        fs::remove_file(path).expect("remove");
    }
}

/// What cannot start says so here, too.
#[test]
fn bad_variables_are_named() {
    let program = program(&bootstrap_arm64()).without_port();
    let (status, _, stderr) = program.env("FC_SERVER_PORT", "http").run();
    assert_eq!(status.code(), Some(1));
    let want = "fnboot: FC_SERVER_PORT: 'http' is not a port from 1 to 65535\n";
    assert_eq!(stderr, want);
}
