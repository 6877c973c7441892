//! The local tool with functions that are programs: how they are named, and what is said of one that
//! cannot be served.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::harness::{Case, Folder, Program, assert_built, bootstrap, post, tool};

const PLATFORMS: [&str; 3] = ["fc", "lambda", "scf"];

const SCRIPT: &str = "handler() { echo \"of the function: $1\"; }\n";

/// A folder with the program and a function in it, as it is deployed.
fn deployed() -> Folder {
    assert_built(&tool());
    assert_built(&bootstrap());
    let folder = Folder::new();
    fs::create_dir_all(folder.at("code")).expect("a folder");
    fs::copy(bootstrap(), folder.at("code/bootstrap")).expect("a copy");
    folder.file("code/function.sh", 0o644, SCRIPT);
    folder
}

/// The tool in this folder, with an event that is JSON.
fn invoke(folder: PathBuf, words: &[&str]) -> Output {
    let mut command = Command::new(tool());
    let command = command.arg("invoke").args(words).current_dir(folder);
    command.output().expect("the tool")
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).expect("text")
}

#[test]
fn a_function_is_named_as_seen_from_here() {
    let folder = deployed();
    let program = "code/bootstrap";
    for platform in PLATFORMS {
        for (word, from) in [("code/function.handler", ""), ("function.handler", "code")] {
            let _case = Case((platform, word));
            let program = program.trim_start_matches(from).trim_start_matches('/');
            let program = format!("./{program}");
            let words = ["--platform", platform, "-e", "1", &program];
            let words = [&words[..], &["function", word]].concat();
            let output = invoke(folder.at(from), &words);
            assert_eq!(text(&output.stdout), "of the function: 1\n", "{output:?}");
        }
    }
}

/// What templates and consoles set, where nobody thought of it, and what a user sets.
#[test]
fn handlers_are_what_they_are_on_the_platform() {
    const ECHO: &str = "1";
    const FUNCTION: &str = "of the function: 1\n";
    let folder = deployed();
    let command = "FNBOOT=command sh -c 'echo of the command'";
    for (handler, variable, want) in [
        (None, None, ECHO),
        (Some("bootstrap"), None, ECHO),
        (Some("echo"), None, ECHO),
        (Some("function.handler"), None, FUNCTION),
        (Some("function.handler"), Some("FNBOOT=echo"), ECHO),
        (Some("hello.handler"), Some(command), "of the command\n"),
        (None, Some("FNBOOT=function function.handler"), FUNCTION),
    ] {
        for platform in PLATFORMS {
            let _case = Case((platform, handler, variable));
            let mut words = vec!["--platform", platform, "-e", "1", "--code", "code"];
            words.extend(handler.iter().flat_map(|handler| ["--handler", handler]));
            words.extend(variable.iter().flat_map(|variable| ["--env", variable]));
            let output = invoke(folder.at(""), &words);
            assert!(output.status.success(), "{output:?}");
            assert_eq!(text(&output.stdout), want, "{output:?}");
        }
    }
    // FC always has a handler, so one that names nothing is nothing there.
    for (platform, code) in [("fc", 0), ("lambda", 1), ("scf", 2)] {
        let words = ["--platform", platform, "-e", "1", "--code", "code"];
        let output = invoke(
            folder.at(""),
            &[&words[..], &["--handler", "hello.handler"]].concat(),
        );
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        let is_named = text(&output.stderr).contains("/hello.handler'");
        assert_eq!(is_named, code != 0, "{output:?}");
    }
}

/// A newcomer's first minute: what is wrong is said by its name, and fails the command.
#[test]
fn what_cannot_be_served_is_named() {
    let folder = deployed();
    folder.file("code/plain.sh", 0o644, "#!/bin/sh\necho\n");
    folder.file("code/crlf", 0o755, "#!/bin/sh\r\necho\r\n");
    folder.file("code/windows.sh", 0o644, "handler() {\r\n  echo\r\n}\r\n");
    folder.file("code/no-line", 0o755, "echo\n");
    folder.file("code/no-interpreter", 0o755, "#!/usr/bin/no-such\n");
    folder.file("code/broken.sh", 0o644, "handler() {\n");
    for (words, wants) in [
        ("none command cat", &["code/none", "No such file"][..]),
        ("bootstrap comand cat", &["'comand'", "--help"]),
        ("bootstrap command", &["command: of what?"]),
        ("bootstrap command no-such", &["no program", "'no-such'"]),
        ("bootstrap command ./none", &["no program", "'./none'"]),
        (
            "bootstrap command ./plain.sh",
            &["may execute", "'./plain.sh'"],
        ),
        ("bootstrap command ./crlf", &["CR", "./crlf"]),
        ("bootstrap command ./no-line", &["#!", "./no-line"]),
        (
            "bootstrap command ./no-interpreter",
            &["interpreter", "./no-interpreter"],
        ),
        ("bootstrap function", &["function: of what?"]),
        ("bootstrap function none.handler", &["/none.handler'"]),
        ("bootstrap function ../x.handler", &["'../x.handler'"]),
        (
            "bootstrap function function.other",
            &["function.sh", "other"],
        ),
        (
            "bootstrap function broken.handler",
            &["broken.sh", "syntax error"],
        ),
        ("bootstrap function windows.handler", &["windows.sh"]),
    ] {
        for platform in PLATFORMS {
            let _case = Case((platform, words));
            let (program, args) = words.split_once(' ').expect("words");
            let program = format!("./{program}");
            let mut line = vec!["--platform", platform, "-e", "1", "--code", ".", &program];
            line.extend(args.split(' '));
            let output = invoke(folder.at("code"), &line);
            assert!(matches!(output.status.code(), Some(1 | 2)), "{output:?}");
            let shown = text(&output.stderr);
            for want in wants {
                assert!(shown.contains(want), "no {want:?} in {shown}");
            }
        }
    }
}

#[test]
fn a_changed_function_is_a_new_instance() {
    let folder = deployed();
    let program = Program::at(folder.at("code/bootstrap"));
    let program = program.arguments(["function", "code/function.handler"]);
    let (port, tool, root) = (program.port().to_string(), tool(), folder.at(""));
    let [tool, root] = [&tool, &root].map(|path| path.to_str().expect("text"));
    let words = [
        "/usr/bin/env",
        "--chdir",
        root,
        tool,
        "serve",
        "--port",
        &port,
    ];
    let mut server = program.without_port().under(&words).start();
    let mut client = server.connect();
    let mut call = || client.send(post("/", "", "x")).expect(200).text();
    assert_eq!(call(), "of the function: x\n");
    folder.file(
        "code/function.sh",
        0o644,
        SCRIPT.replace("of the", "of another"),
    );
    assert_eq!(call(), "of another function: x\n");
    // What another function has is none of this one's.
    folder.file("code/functions.sh", 0o644, "");
    call();
    let shown = server.stderr.text();
    assert_eq!(shown.matches(" is replaced: ").count(), 1, "{shown}");
    server.signal(Signal::TERM);
    server.expect_exit(0);
    server.stderr.take();
}
