//! The local tool with a function that is a folder, with calls side by side, and with a web function.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use crate::harness::{
    Case, Folder, Program, Server, assert_built, bootstrap, example, get, in_own_network, post,
    serving, tool,
};

/// Shows what it was started with, then is the program that REAL names.
const FUNCTION: &str = r#"#!/bin/bash
echo "words: $(printf '<%s>' "$@")"
echo "folder: $PWD ${FC_FUNC_CODE_PATH-${LAMBDA_TASK_ROOT-$USER_CODE_ROOT}}"
echo "handler: ${FC_FUNCTION_HANDLER-$_HANDLER}"
echo "variables: $ONE $TWO $AWS_REGION"
[ ! -e version ] || echo "version: $(<version)"
exec "$REAL"
"#;

/// A folder with that function, and the file of variables that it needs, which is not in it.
fn function() -> (Folder, PathBuf) {
    assert_built(&bootstrap());
    let folder = Folder::new();
    folder.file("code/bootstrap", 0o755, FUNCTION);
    let real = bootstrap();
    let variables = format!("# Where it is\nREAL='{}'\nexport ONE=1\n", real.display());
    let variables = folder.file("variables", 0o644, variables);
    (folder, variables)
}

#[test]
fn a_function_may_be_a_folder() {
    let (folder, variables) = function();
    let code = folder.at("code").canonicalize().expect("a folder");
    for platform in ["fc", "lambda", "scf"] {
        let _case = Case(platform);
        assert_built(&tool());
        let output = Command::new(tool())
            .args(["invoke", "--platform", platform, "--event", "\"hello\""])
            .args(["--handler", "echo", "--env", "TWO=2 = two"])
            .args(["--env", "AWS_REGION=here", "--env-file"])
            .arg(&variables)
            .args(["--code", "code", "--", "a", "b c", "--timeout"])
            .current_dir(&folder.0)
            .output()
            .expect("the tool");
        let shown = String::from_utf8(output.stderr).expect("text");
        assert_eq!(output.stdout, b"\"hello\"", "{shown}");
        let root = code.to_str().expect("text");
        let end = if platform == "scf" { "/" } else { "" };
        for want in [
            "words: <a><b c><--timeout>".to_owned(),
            format!("folder: {root} {root}{end}"),
            "handler: echo".to_owned(),
            "variables: 1 2 = two here".to_owned(),
        ] {
            assert!(
                shown.lines().any(|line| line == want),
                "no {want:?} in {shown}"
            );
        }
    }
}

/// How many instances were started, and how many replaced, by what the tool has shown.
fn instances(shown: &str) -> (usize, usize) {
    let lines = shown.lines().filter(|line| line.starts_with("Instance "));
    let count = |what| lines.clone().filter(|line| line.contains(what)).count();
    (count(" started in "), count(" is replaced: "))
}

/// Waits until the tool says so, because it does about when it answers, not before.
#[track_caller]
fn expect_instances(server: &Server, started: usize, replaced: usize) {
    let shown = server.stderr.wait_until(|shown| {
        let (have, gone) = instances(shown);
        have >= started && gone >= replaced
    });
    assert_eq!(instances(&shown), (started, replaced), "{shown}");
}

#[test]
fn a_changed_file_of_the_folder_is_a_new_instance() {
    let (folder, variables) = function();
    let code = folder.at("code");
    let variables = variables.to_str().expect("text");
    let program = Program::at(code.join("bootstrap"));
    let mut server = serving(
        program,
        &[
            "--code",
            code.to_str().expect("text"),
            "--env-file",
            variables,
        ],
    );
    let mut client = server.connect();
    let mut call = || client.send(post("/", "", "x")).expect(200).text();
    // One after the other, so that one instance is enough.
    for _ in 0..50 {
        assert_eq!(call(), "x");
    }
    expect_instances(&server, 1, 0);
    for (name, count) in [("version", 1), ("lib/deep/new", 2)] {
        folder.file(&format!("code/{name}"), 0o644, "newest");
        call();
        expect_instances(&server, 1 + count, count);
        let said = format!("/code/{name} changed");
        server.stderr.wait_until(|shown| shown.contains(&said));
    }
    let version = "version: newest";
    server.stderr.wait_until(|shown| shown.contains(version));
    // A file that is gone is a change, too; an interpreter's waste is none.
    fs::remove_file(folder.at("code/lib/deep/new")).expect("remove");
    call();
    expect_instances(&server, 4, 3);
    folder.file("code/__pycache__/x", 0o644, "");
    call();
    expect_instances(&server, 4, 3);
    server.signal(rustix::process::Signal::TERM);
    server.expect_exit(0);
    server.stderr.take();
}

/// Its log, say. It has a new instance for each call, and they are answered.
#[test]
fn a_function_that_writes_into_its_folder_when_it_starts() {
    let (folder, variables) = function();
    let script = format!(
        "{}\n",
        FUNCTION.replacen("exec", "echo started >>log\nexec", 1)
    );
    let program = Program::at(folder.file("code/bootstrap", 0o755, script));
    let code = folder.at("code");
    let [code, variables] = [&code, &variables].map(|path| path.to_str().expect("text"));
    let mut server = serving(program, &["--code", code, "--env-file", variables]);
    let mut client = server.connect();
    for count in 1..4 {
        assert_eq!(client.send(post("/", "", "x")).expect(200).text(), "x");
        let shown = server.stderr.text();
        assert!(instances(&shown).0 <= count + 1, "{shown}");
    }
    server.signal(rustix::process::Signal::TERM);
    server.expect_exit(0);
    server.stderr.take();
}

/// As under `nohup`, so that the tool outlives its terminal.
#[test]
fn a_signal_that_is_ignored_ends_nothing() {
    let program = Program::bootstrap();
    let (port, tool) = (program.port().to_string(), tool());
    let tool = tool.to_str().expect("text");
    let words = ["env", "--ignore-signal=HUP", tool, "serve", "--port", &port];
    let mut server = program.under(&words).start();
    server.call(post("/", "", "x"), 200);
    server.signal(rustix::process::Signal::HUP);
    server.call(post("/", "", "x"), 200);
    server.signal(rustix::process::Signal::TERM);
    server.expect_exit(0);
    server.stderr.take();
}

/// It has left the group, and has nothing of the program's environment.
#[test]
fn a_process_that_hides_ends_with_the_tool() {
    let folder = Folder::new();
    let script = "#!/bin/bash\n(env -i setsid sleep 60 & echo $! >hidden)\nexec \"$REAL\"\n";
    folder.file("bootstrap", 0o755, script);
    let real = format!("REAL={}", bootstrap().display());
    let output = Command::new(tool())
        .args(["invoke", "--event", "x", "--env", &real, "--code"])
        .arg(&folder.0)
        .output()
        .expect("the tool");
    assert_eq!(output.stdout, b"x");
    let pid = fs::read_to_string(folder.at("hidden")).expect("a number");
    // A zombie, which its new parent has not reaped yet, has no command line.
    let command_line = fs::read(format!("/proc/{}/cmdline", pid.trim()));
    assert_eq!(command_line.unwrap_or_default(), b"");
}

/// Two calls at the same time, of which each takes a while.
#[test]
fn calls_side_by_side_have_an_instance_each_up_to_a_bound() {
    for (options, count) in [
        (&[][..], 2),
        (&["--instances", "1"], 1),
        // Both go to the one, which takes them in turn.
        (&["--concurrency", "2"], 1),
        (&["--concurrency", "1", "--instances", "2"], 2),
    ] {
        let _case = Case(options);
        let options = [&["--timeout", "5"], options].concat();
        let mut server = serving(Program::fixture("fixture"), &options);
        let mut clients = [server.connect(), server.connect()];
        for client in &mut clients {
            client.send(post(
                "/2023-03-30/functions/f/invocations",
                "",
                "wait-until-left-ms 4600",
            ));
        }
        for client in &mut clients {
            assert_eq!(client.expect(200).text(), "waited");
        }
        expect_instances(&server, count, 0);
        server.signal(rustix::process::Signal::TERM);
        server.expect_exit(0);
        server.stderr.take();
    }
}

/// In a network of its own, because this machine's port 9000 may well be taken.
#[test]
fn web_functions_of_scf() {
    in_own_network("serve::web_functions_of_scf", || {
        let folder = Folder::new();
        let path = folder.at("scf_bootstrap");
        assert_built(&example("http"));
        symlink(example("http"), &path).expect("a link");
        let mut server = serving(Program::at(path), &["--platform", "scf", "--web"]);
        let answer = server
            .connect()
            .send(get("/hello?name=you", ""))
            .expect(200);
        assert_eq!(answer.text(), "Hello, you!\n");
        assert!(answer.header("x-scf-request-id").is_some());
        // The port is taken now.
        let second = Command::new(tool())
            .args(["invoke", "--platform", "scf", "--web", "--http", "/hello"])
            .arg(example("http"))
            .output()
            .expect("the tool");
        let shown = String::from_utf8_lossy(&second.stderr);
        assert!(
            shown.contains("port 9000: Address already in use"),
            "{shown}"
        );
        server.signal(rustix::process::Signal::TERM);
        server.expect_exit(0);
        server.stderr.take();
    });
}
