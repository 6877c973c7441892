//! The local tool, on the program that ships.

use std::fs;
use std::io::{Read, pipe};
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use rustix::fs::{CWD, FileType, Mode, OFlags};
use serde_json::Value;

use crate::harness::{
    Case, Program, Server, assert_built, assert_same, bootstrap, example, fixture, noise,
    own_network_and, tool, wait_for,
};

/// The tool with these arguments and a program; nobody reads what it would ask.
fn command(arguments: &[&str], program: PathBuf) -> Command {
    assert_built(&tool());
    assert_built(&program);
    let mut command = Command::new(tool());
    command.args(arguments).arg(program).stdin(Stdio::null());
    command
}

fn run(arguments: &[&str], program: PathBuf) -> Output {
    command(arguments, program).output().expect("the tool")
}

/// Standard output and standard error through one pipe, as in `2>&1 | cat`.
fn run_into_one_pipe(arguments: &[&str], program: PathBuf) -> String {
    let (mut reader, writer) = pipe().expect("a pipe");
    let mut command = command(arguments, program);
    command.stdout(writer.try_clone().expect("a copy"));
    let mut child = command.stderr(writer).spawn().expect("the tool");
    drop(command); // And with it the writing ends.
    let mut text = String::new();
    reader.read_to_string(&mut text).expect("text");
    child.wait().expect("its end");
    text
}

/// The program called by the tool in a shell that runs `script`, in which `"$0"` is the program. The
/// environment has nothing but what the test says.
fn called_in_shell(program: Program, arguments: &[&str], script: &str) -> Program {
    assert_built(&tool());
    let tool = tool();
    let mut words = vec![tool.to_str().expect("text"), "invoke"];
    words.extend(arguments);
    words.extend(["/bin/bash", "-c", script]);
    program.under(&words)
}

/// The line of figures at the end of what is shown.
#[track_caller]
fn assert_is_summary(line: &str) {
    let mut words = line.split([':', ',']).map(str::trim);
    for (name, unit) in [
        ("Duration", " ms"),
        ("Billed Duration", " ms"),
        ("Memory Size", " MB"),
        ("Max Memory Used", " MB"),
    ] {
        assert_eq!(words.next(), Some(name), "{line:?}");
        let figure = words.next().and_then(|figure| figure.strip_suffix(unit));
        let figure = figure.and_then(|figure| figure.parse::<f64>().ok());
        assert!(figure.is_some_and(|figure| figure > 0.0), "{line:?}");
    }
    assert_eq!(words.next(), None, "{line:?}");
}

#[test]
fn standard_output_is_the_answer_and_nothing_else() {
    for event in ["Hello World", "two\nlines\n", "\n", ""] {
        let output = run(&["invoke", "--event", event], bootstrap());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), event);
        let shown = String::from_utf8(output.stderr).expect("text");
        assert!(shown.contains("FC Invoke Start RequestId: 1-"), "{shown}");
        assert!(!shown.contains("\n\n"), "an empty line: {shown:?}");
        assert_is_summary(shown.lines().last().expect("lines"));
    }
}

#[test]
fn what_follows_the_answer_begins_a_line() {
    for (event, answer) in [
        ("Hello World", "Hello World\n"),
        ("two\nlines\n", "two\nlines\n"),
        ("", ""),
    ] {
        let text = run_into_one_pipe(&["invoke", "--event", event], bootstrap());
        let (_, rest) = text.split_once("Invoke Result:\n").expect("a result");
        let rest = rest.strip_prefix(answer);
        let rest = rest.unwrap_or_else(|| panic!("{text:?}"));
        assert!(rest.starts_with(['D', 'R', 'F']), "{text:?}");
        assert_is_summary(text.lines().last().expect("lines"));
    }
}

#[test]
fn an_answer_of_any_bytes() {
    let event = noise(3_000_000);
    let file = std::env::temp_dir().join(format!("fnboot-event-{}", std::process::id()));
    fs::write(&file, &event).expect("a file");
    let path = file.to_str().expect("text");
    let output = run(&["invoke", "--event-file", path], bootstrap());
    fs::remove_file(&file).expect("remove");
    assert!(output.status.success(), "{output:?}");
    assert_same(&output.stdout, &event);
}

#[test]
fn a_failed_call_fails_the_command() {
    let output = run(&["invoke", "--event", "fail"], fixture("fixture"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let error: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(error["errorType"], "Broken");
    let output = run(&["invoke", "--event", "panic"], fixture("fixture"));
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains("handler.rs"), "where it was: {shown}");
    // Refused before it is a call.
    let refused = [
        "invoke",
        "--event",
        "long",
        "/usr/bin/env",
        "FNBOOT_MAX_BODY=3",
    ];
    let output = run(&refused, bootstrap());
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let shown = String::from_utf8_lossy(&output.stderr);
    assert!(shown.contains("413"), "its status: {shown}");
}

#[test]
fn the_initializer_comes_first() {
    let event = ["invoke", "--event", "count"];
    let without = run(&event, fixture("fixture"));
    assert!(String::from_utf8_lossy(&without.stdout).contains("initialized=false"));
    let with = run(
        &["invoke", "--init", "--event", "count"],
        fixture("fixture"),
    );
    assert!(String::from_utf8_lossy(&with.stdout).contains("initialized=true"));
}

#[test]
fn an_http_function() {
    let request = ["invoke", "--http", "GET /hello?name=you"];
    let output = run(&request, example("http"));
    assert!(output.status.success(), "{output:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "Hello, you!\n");
}

/// The variables of a platform's keys: id, secret, session token.
const KEYS: [(&str, [&str; 3]); 3] = [
    (
        "fc",
        [
            "ALIBABA_CLOUD_ACCESS_KEY_ID",
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
            "ALIBABA_CLOUD_SECURITY_TOKEN",
        ],
    ),
    (
        "lambda",
        [
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
        ],
    ),
    (
        "scf",
        [
            "TENCENTCLOUD_SECRETID",
            "TENCENTCLOUD_SECRETKEY",
            "TENCENTCLOUD_SESSIONTOKEN",
        ],
    ),
];

/// What the tool tells a program of its keys: the variables, and what the handler is given.
fn keys_told(platform: &str, names: [&str; 3], given: [Option<&str>; 3]) -> [Option<String>; 3] {
    let _case = Case((platform, given));
    let call = |event: &str| {
        let arguments = ["--platform", platform, "--event", event];
        let script = "/usr/bin/env; exec \"$0\"";
        let mut program = called_in_shell(Program::fixture("fixture"), &arguments, script);
        for (name, value) in names.into_iter().zip(given) {
            program = match value {
                Some(value) => program.env(name, value),
                None => program,
            };
        }
        let (status, answer, shown) = program.run();
        assert!(status.success(), "{shown}");
        (answer, shown)
    };
    let (answer, shown) = call("\"context\"");
    let variable = |name| {
        let mut lines = shown.lines().filter_map(|line| line.split_once('='));
        lines.find_map(|(found, value)| (found == name).then(|| value.to_owned()))
    };
    let told = names.map(variable);
    for (name, value) in ["access_key_id", "access_key_secret", "security_token"]
        .into_iter()
        .zip(&told)
    {
        let value = value.as_deref().unwrap_or_default();
        let want = format!("{name}=Some({value:?})\n");
        assert!(answer.contains(&want), "no {want:?} in {answer}");
    }
    match platform {
        "fc" => {
            let (header, _) = call("header x-fc-security-token");
            let sent = told[2].as_deref().filter(|token| !token.is_empty());
            assert_eq!(header, sent.unwrap_or("(none)"));
        }
        // The name that older SDKs know.
        "lambda" => assert_eq!(variable("AWS_ACCESS_KEY"), told[0]),
        _ => {}
    }
    told
}

#[test]
fn keys_are_the_environments_own_or_invented_and_never_mixed() {
    for (platform, names) in KEYS {
        let (id, secret, token) = (Some("an id"), Some("a secret"), Some("a token"));
        for own in [
            [id, secret, token],
            [id, secret, None],
            [id, secret, Some("")],
        ] {
            let told = keys_told(platform, names, own);
            assert_eq!(told, own.map(|value| value.map(str::to_owned)));
        }
        let invented = keys_told(platform, names, [None; 3]);
        assert!(invented.iter().all(Option::is_some), "{invented:?}");
        // A token alone opens nothing, and an empty variable is not set.
        for no_keys in [[None, None, token], [Some(""); 3]] {
            assert_eq!(keys_told(platform, names, no_keys), invented);
        }
    }
}

/// Long before the platform's limit, on SCF 65 s and on FC 120 s, which no test would wait for.
#[test]
fn a_program_that_listens_elsewhere_is_told_apart_early() {
    let rows = [
        (
            "scf",
            "unset SCF_RUNTIME_API; FC_SERVER_PORT=PORT exec \"$0\"",
            [
                "fnboot: 405 ContainerStateExited: ",
                "not connected",
                "--platform fc",
            ],
        ),
        (
            "lambda",
            "unset AWS_LAMBDA_RUNTIME_API; FC_SERVER_PORT=PORT exec \"$0\"",
            [
                "fnboot: Sandbox.Timedout: ",
                "not connected",
                "--platform fc",
            ],
        ),
        (
            "fc",
            "FC_SERVER_PORT=PORT exec \"$0\"",
            [
                "fnboot: FunctionNotStarted: ",
                "not on 0.0.0.0:",
                "FC_SERVER_PORT",
            ],
        ),
        // The shell listens nowhere, its child does.
        (
            "fc",
            "FC_SERVER_PORT=PORT \"$0\" & wait",
            [
                "fnboot: FunctionNotStarted: ",
                "not on 0.0.0.0:",
                "FC_SERVER_PORT",
            ],
        ),
    ];
    // All at once, because each waits for a few seconds.
    let started = rows.map(|(platform, script, parts)| {
        let program = Program::bootstrap();
        let port = program.port().to_string();
        let script = script.replace("PORT=PORT", &format!("PORT={port}"));
        let server = called_in_shell(program, &["--platform", platform], &script).start();
        (server, port, parts)
    });
    for (mut server, port, parts) in started {
        assert_is_told(&mut server, &format!("listens on 0.0.0.0:{port}"), &parts);
    }
}

/// The name of a program that only SCF's web functions have, in a network of its own because of its
/// fixed port.
#[test]
fn a_web_function_of_scf_is_told_apart_by_its_name() {
    let folder = std::env::temp_dir().join(format!("fnboot-web-tool-{}", std::process::id()));
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("scf_bootstrap");
    symlink(bootstrap(), &path).expect("a link");
    let started = ["scf", "fc"].map(|platform| {
        let tool = tool();
        let mut words = vec![tool.to_str().expect("text"), "invoke"];
        words.extend(["--platform", platform]);
        let network = own_network_and("/usr/bin/env", &[]);
        words.extend(network);
        Program::at(path.clone()).under(&words).start()
    });
    for mut server in started {
        let parts = ["another name than scf_bootstrap"];
        assert_is_told(&mut server, "listens on 0.0.0.0:9000", &parts);
    }
    fs::remove_dir_all(&folder).expect("remove");
}

/// The tool gives up, and its last line says why.
#[track_caller]
fn assert_is_told(server: &mut Server, what: &str, parts: &[&str]) {
    let status = server.wait();
    let shown = server.stderr.take();
    assert_eq!(status.code(), Some(2), "{shown}");
    let line = shown.lines().last().expect("a line");
    for part in parts.iter().chain([&what]) {
        assert!(line.contains(part), "no {part:?} in {line:?}");
    }
}

/// A program that listens nowhere may be slow: that is said once, and it is waited for. So is one
/// that listens elsewhere meanwhile, where the command line says how long it may take.
#[test]
fn a_slow_program_is_waited_for() {
    let nowhere = "listens nowhere";
    let rows = [
        ("fc", None, "", nowhere),
        ("scf", None, "", nowhere),
        // Lambda's own limit is too short for a machine that is busy with other tests.
        ("lambda", Some("60"), "", nowhere),
        (
            "fc",
            Some("60"),
            "FC_SERVER_PORT=PORT \"$0\" &",
            "listens on",
        ),
        // It has connected, so it is of the right kind, whatever else listens.
        (
            "scf",
            None,
            "exec 3<> \"/dev/tcp/$SCF_RUNTIME_API/$SCF_RUNTIME_API_PORT\"; \
             (unset SCF_RUNTIME_API; FC_SERVER_PORT=PORT exec \"$0\") &",
            "not said that it is ready",
        ),
    ];
    let mut index = 0;
    let started = rows.map(|(platform, limit, meanwhile, want)| {
        index += 1;
        // Opening it to read lasts until the test opens it to write.
        let gate = format!("fnboot-gate-{}-{index}", std::process::id());
        let gate = std::env::temp_dir().join(gate);
        let (kind, mode) = (FileType::Fifo, Mode::RWXU);
        rustix::fs::mknodat(CWD, &gate, kind, mode, 0).expect("a pipe");
        let program = Program::bootstrap();
        let meanwhile = meanwhile.replace("=PORT", &format!("={}", program.port()));
        let script = format!("{meanwhile} read go < {}; exec \"$0\"", gate.display());
        let mut arguments = vec!["--platform", platform, "--event", "\"in the end\""];
        arguments.extend(limit.iter().flat_map(|limit| ["--start-timeout", *limit]));
        let server = called_in_shell(program, &arguments, &script).start();
        (server, gate, want)
    });
    for (mut server, gate, want) in started {
        let shown = server.stderr.wait_until(|shown| shown.contains(want));
        let line = shown.lines().find(|line| line.contains(want));
        let line = line.expect("a line");
        assert!(line.starts_with("fnboot: still waiting"), "{line}");
        // Without a wait for somebody who reads it, which would have no end.
        let flags = OFlags::WRONLY | OFlags::NONBLOCK;
        wait_for("a reader", || {
            rustix::fs::open(&gate, flags, Mode::empty()).ok()
        });
        server.expect_exit(0);
        assert_eq!(server.stdout.text(), "\"in the end\"");
        let shown = server.stderr.take();
        assert_eq!(shown.matches(want).count(), 1, "{shown}");
        fs::remove_file(gate).expect("remove");
    }
}

/// The stock program's help names every variable that a bad value of is refused.
#[test]
fn the_help_names_all_variables() {
    let help = Command::new(bootstrap()).arg("--help").output();
    let help = String::from_utf8(help.expect("the program").stdout).expect("text");
    let settings = include_str!("../../src/runtime/config.rs");
    let names = settings.split('"').filter_map(|text| {
        let (name, _) = text.split_once(": '$' ")?;
        // Lambda itself sets it, for instances of its own.
        let is_users = name != "AWS_LAMBDA_MAX_CONCURRENCY" && !name.starts_with('{');
        is_users.then_some(name)
    });
    let names: Vec<_> = names.collect();
    assert!(names.contains(&"FNBOOT_SIGTERM"), "{names:?}");
    for name in names {
        let mut words = help.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        assert!(words.any(|word| word == name), "no {name} in {help}");
    }
}
