//! `bootstrap function FILE.NAME`, and `_HANDLER`: which function it is, what is done before and behind its events,
//! and the interpreters that serve them. What they do is in `languages`.
//!
//! What is in the tables is a file of one of these languages, an event, and what must come of it. Most of it runs on
//! FC, because what is behind a platform is the same.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::api::{Api, ID, Platform, response};
use crate::command::{Answer, Cloud, Gate, Instance, MIB, children, has_ended, open_descriptors};
use crate::harness::{
    Case, Client, Folder, Program, assert_same, bootstrap, example, get, noise, post, wait_for,
};

pub const ONE_OF_EACH: [Cloud; 3] = [Cloud::Fc, Cloud::Lambda, Cloud::Scf];

/// The program with the code in that folder, which it is not in itself, as if it were in a layer.
pub fn program(folder: &Folder, word: &str) -> Program {
    let program = Program::bootstrap().arguments(["function", word]);
    program.env("FC_FUNC_CODE_PATH", folder.0.display())
}

/// The function `handler` of a file with that text.
pub fn function(folder: &Folder, file: &str, text: &str) -> Program {
    folder.file(file, 0o644, text);
    let (stem, _) = file.rsplit_once('.').expect("an extension");
    program(folder, &format!("{stem}.handler"))
}

pub fn json(answer: Answer) -> Value {
    serde_json::from_str(&answer.text()).expect("JSON")
}

pub const PHP: &str =
    "<?php function handler($event, $context) { if ($event === 'fine') return 'fine'; BODY }";
pub const PYTHON: &str =
    "def handler(event, context):\n if event == b'fine': return 'fine'\n BODY\n";
pub const NODE: &str = "exports.handler = async (event, context) => {
    if (String(event) === 'fine') return 'fine'; BODY };";

mod names {
    //! Which function it is.

    use super::*;

    /// A folder with functions that say which they are, and with fnboot itself.
    fn deployed() -> Folder {
        let folder = Folder::new();
        for name in ["one", "two", "three", "four", "deep/er/one", "exact"] {
            let text = format!("handler() {{ echo {name}; }}\n");
            folder.file(&format!("{name}.sh"), 0o644, text);
        }
        folder.file("exact.handler", 0o755, "#!/bin/sh\necho exact $#; cat\n");
        folder.file("run.sh", 0o755, "#!/bin/sh\necho run $#; cat\n");
        folder.file("run", 0o755, "#!/bin/sh\necho plain; cat\n");
        folder.file(
            "pack/age.py",
            0o644,
            "def f(event, context): return __name__\n",
        );
        folder.file(
            "whole.php",
            0o644,
            "<?php return fn($event) => 'whole ' . $event;",
        );
        folder.file(
            "nest.js",
            0o644,
            "exports.routes = { handler: async () => 'nested' }",
        );
        folder.file("both.sh", 0o644, "");
        folder.file("both.cjs", 0o644, "");
        fs::copy(bootstrap(), folder.at("bootstrap")).expect("a copy");
        symlink(folder.at("bootstrap"), folder.at("link")).expect("a link");
        folder
    }

    /// Arguments and variables, the more binding first; what the function answers to `ev`.
    #[rustfmt::skip]
    const PRECEDENCE: [(&[&str], &str, &str, &str, &str); 34] = [
        (&["function", "one.handler"], "function two.handler", "three.handler", "four.handler", "one\n"),
        (&[], "function two.handler", "three.handler", "four.handler", "two\n"),
        (&[], "", "three.handler", "four.handler", "three\n"),
        (&[], " ", "three.handler", "four.handler", "three\n"),
        (&[], "", "", "four.handler", "four\n"),
        (&[], "", "", "", "ev"),
        // FC always has a value there, which may mean nothing.
        (&[], "", "", "index.handler", "ev"),
        (&[], "", "", "../one.handler", "ev"),
        (&[], "", "", "both.handler", "ev"),
        (&["echo"], "function two.handler", "three.handler", "four.handler", "ev"),
        (&[], "echo", "three.handler", "four.handler", "ev"),
        (&[], "", "echo", "four.handler", "ev"),
        (&[], "", "", "echo", "ev"),
        // Templates name the file itself.
        (&["function", "bootstrap"], "", "", "", "ev"),
        (&["function", "./bootstrap"], "", "", "", "ev"),
        (&["function", "link"], "", "", "", "ev"),
        (&["function", "bootstrap.handler"], "", "", "", "ev"),
        (&[], "function bootstrap", "", "", "ev"),
        (&[], "", "bootstrap", "four.handler", "ev"),
        (&[], "", "", "bootstrap", "ev"),
        // The exact file comes first, and what can be executed is.
        (&["function", "exact.handler"], "", "", "", "exact 0\nev"),
        (&["function", "run.sh"], "", "", "", "run 0\nev"),
        (&["function", "run"], "", "", "", "plain\nev"),
        (&["function", "run.handler"], "function two.handler", "", "", ""),
        (&[], "command sh -c 'echo \"$0\"' two", "three.handler", "", "two\n"),
        (&[], "", "run", "", "plain\nev"),
        (&[], "", "", "run", "plain\nev"),
        (&["function", "deep/er/one.handler"], "", "", "", "deep/er/one\n"),
        (&["function", "./deep//er/one.handler"], "", "", "", "deep/er/one\n"),
        (&["function", "FOLDER/one.handler"], "", "", "", "one\n"),
        (&["function", "pack.age.f"], "", "", "", "pack.age"),
        (&["function", "pack/age.f"], "", "", "", "pack.age"),
        (&["function", "nest.routes.handler"], "", "", "", "nested"),
        (&["function", "whole.php"], "", "", "", "whole ev"),
    ];

    #[test]
    fn arguments_come_before_variables() {
        let folder = deployed();
        for row in PRECEDENCE {
            let _case = Case(row);
            let (words, fnboot, handler, hint, want) = row;
            let root = folder.0.to_str().expect("text");
            let words = words.iter().map(|word| word.replace("FOLDER", root));
            let program = Program::at(folder.at("bootstrap")).arguments(words);
            let program = program.env("FC_FUNC_CODE_PATH", root);
            let named = [
                ("FNBOOT", fnboot),
                ("_HANDLER", handler),
                ("FC_FUNCTION_HANDLER", hint),
            ];
            let program = program.envs(&named);
            if want.is_empty() {
                let (status, _, stderr) = program.run();
                let two = "fnboot: the function is in either of two files";
                assert_eq!(status.code(), Some(1));
                assert_eq!(stderr, format!("{two}: {root}/run.sh and {root}/run\n"));
                continue;
            }
            Cloud::Fc.start(program).call("ev").expect(want);
        }
    }

    /// Names that are of no function, and what is said about it.
    #[rustfmt::skip]
    const BAD: [(&str, &str); 10] = [
        ("nowhere.handler", "no file has the function 'FOLDER/nowhere.handler'"),
        ("one", "no file has the function 'FOLDER/one'"),
        ("one.", "no file has the function 'FOLDER/one.'"),
        ("deep", "no file has the function 'FOLDER/deep'"),
        ("../x/one.handler", "the path of the function '../x/one.handler' goes up"),
        ("deep/../one.handler", "the path of the function 'deep/../one.handler' goes up"),
        ("/etc/../one.handler", "the path of the function '/etc/../one.handler' goes up"),
        ("/etc/passwd", "'/etc/passwd' is a file: which function of it? FILE.NAME"),
        ("one.sh", "'one.sh' is a file: which function of it? FILE.NAME"),
        ("both.f", "the function is in either of two files: FOLDER/both.sh and FOLDER/both.cjs"),
    ];

    #[test]
    fn what_is_no_function_is_told_at_once() {
        let folder = deployed();
        for (word, message) in BAD {
            let message = message.replace("FOLDER", folder.0.to_str().expect("text"));
            for cloud in ONE_OF_EACH {
                let _case = Case((cloud, word));
                // By the name that this platform has for it.
                let program = match cloud {
                    Cloud::Fc => program(&folder, word),
                    Cloud::Scf => Program::bootstrap().env("FNBOOT", format!("function {word}")),
                    _ => Program::bootstrap().env("_HANDLER", word),
                };
                let program = program.env("LAMBDA_TASK_ROOT", folder.0.display());
                let Some(api) = cloud.api() else {
                    expect_end(program, &message);
                    continue;
                };
                if api.platform == Platform::Scf {
                    expect_end(api.program(program), &message);
                    continue;
                }
                expect_init_error(&api, program, "Runtime.NoSuchHandler", &message);
            }
        }
    }

    #[track_caller]
    fn expect_end(program: Program, message: &str) {
        let (status, stdout, stderr) = program.run();
        assert_eq!((status.code(), &*stdout), (Some(1), ""));
        assert_eq!(stderr, format!("fnboot: {message}\n"));
    }

    #[test]
    fn an_interpreter_that_is_nowhere() {
        for (file, name) in [
            ("a.sh", "bash"),
            ("a.php", "php"),
            ("a.py", "python3"),
            ("a.mjs", "node"),
        ] {
            let folder = Folder::new();
            let start = || function(&folder, file, "").env("PATH", "/nowhere");
            let message = format!("there is no program '{name}', which runs the function");
            expect_end(start(), &message);
            let api = Api::new(Platform::Lambda);
            expect_init_error(&api, start(), "Runtime.InvalidEntrypoint", &message);
        }
    }

    /// The variable that names the folder of the code, or else the working directory.
    /// Deployment tools call the function like the file. A build that has no other takes nothing else for its name.
    #[test]
    fn builds_without_functions() {
        for build in ["fc", "clouds", "command"] {
            for name in ["", "echo", "bootstrap"] {
                let _case = Case((build, name));
                let mut server = Program::at(example(build)).env("_HANDLER", name).start();
                let answer = server.call(post("/invoke", "", "x"), 200);
                assert_eq!(answer.text(), "x");
            }
            let program = Program::at(example(build)).env("_HANDLER", "index.handler");
            let (status, _, stderr) = program.run();
            assert_eq!(status.code(), Some(1));
            let want = "fnboot: _HANDLER: this build has echo only, not 'index.handler'\n";
            assert_eq!(stderr, want);
        }
    }

    #[test]
    fn roots() {
        let folder = Folder::new();
        for name in ["a", "b", "c", "d"] {
            let text = format!("handler() {{ echo {name}; pwd; }}");
            folder.file(&format!("{name}/index.sh"), 0o644, text);
        }
        let at = |name: &str| folder.at(name).to_str().expect("text").to_owned();
        let names = ["LAMBDA_TASK_ROOT", "USER_CODE_ROOT", "FC_FUNC_CODE_PATH"];
        for (values, want) in [
            (["a", "b", "c"], "a"),
            (["", "b", "c"], "b"),
            (["", "", "c"], "c"),
            (["", "", ""], "d"),
        ] {
            let _case = Case(values);
            let script = format!("cd {} && exec \"$0\" \"$@\"", at("d"));
            let mut program = Program::bootstrap().arguments(["function", "index.handler"]);
            for (name, value) in names
                .iter()
                .zip(values)
                .filter(|(_, value)| !value.is_empty())
            {
                program = program.env(name, at(value) + "/");
            }
            let mut instance = Cloud::Fc.start(program.in_shell(&script));
            instance.call("").expect(format!("{want}\n{}\n", at(want)));
        }
    }
}

/// Where the platform takes it as an init error, it is told so, and the process ends.
#[track_caller]
fn expect_init_error(api: &Api, program: Program, kind: &str, message: &str) {
    let mut server = api.start(program);
    let mut peer = api.accept();
    let report = peer.expect("POST /2018-06-01/runtime/init/error");
    let error = report.json();
    let got = error["errorMessage"].as_str().expect("a message");
    assert!(
        error["errorType"] == kind && got.contains(message),
        "{error}"
    );
    let header = report.header("lambda-runtime-function-error-type");
    let last = kind.rsplit('.').next().unwrap_or_default();
    let category = kind
        .strip_suffix(last)
        .filter(|&category| category == "Runtime.");
    let want = [category.unwrap_or("Function."), last].concat();
    assert_eq!(header, Some(&*want));
    peer.accept();
    server.expect_exit(1);
    server.stderr.take();
    api.expect_no_connection();
}

/// What is wrong with a file is found when it is loaded.
#[rustfmt::skip]
const LOADING: [(&str, &str, &str, &str); 18] = [
    ("index.sh", "x=1\n", "Runtime.NoSuchHandler", "/index.sh has no function handler"),
    ("index.sh", "handler() { :; }\nif then\n", "ExitError", "yntax error"),
    ("index.sh", "echo first >&2; echo oops >&2; exit 3", "ExitError", "exit status 3: first\noops"),
    ("index.sh", "set -u; echo $nope; handler() { :; }", "ExitError", "nope: unbound variable"),
    ("index.sh", "handler() { :; }\nno_such_command\n", "ExitError", "no_such_command: command not found"),
    ("index.php", "<?php $x = 1;", "Runtime.NoSuchHandler", "/index.php has no function handler"),
    ("index.php", "<?php function;", "ParseError", "syntax error"),
    ("index.php", "<?php throw new Exception('at load');", "Exception", "at load"),
    ("index.php", "<?php exit(5);", "ExitError", "The function called exit"),
    ("index.py", "x = 1", "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'index'"),
    ("index.py", "def handler(:", "Runtime.UserCodeSyntaxError", "Syntax error in module 'index'"),
    ("index.py", "import nope", "Runtime.ImportModuleError", "No module named 'nope'"),
    ("index.py", "1/0", "ZeroDivisionError", "division by zero"),
    ("index.js", "exports.x = 1", "Runtime.HandlerNotFound", "handler of "),
    ("index.js", "exports.handler = (=>", "Runtime.UserCodeSyntaxError", "Unexpected token"),
    ("index.mjs", "import 'nope'", "Runtime.ImportModuleError", "Cannot find package 'nope'"),
    ("index.js", "throw new RangeError('at load')", "RangeError", "at load"),
    ("index.js", "process.exit(5)", "Runtime.ExitError", "exit status 5"),
];

#[test]
fn a_file_that_cannot_be_loaded() {
    for row @ (file, text, kind, message) in LOADING {
        let _case = Case(row);
        let folder = Folder::new();
        let mut instance = Cloud::Fc.start(function(&folder, file, text));
        let (got_kind, got) = instance.call("").failure();
        assert!(
            got_kind == kind && got.contains(message),
            "{got_kind}: {got}"
        );
        let api = Api::new(Platform::Lambda);
        expect_init_error(&api, function(&folder, file, text), kind, message);
    }
}

mod hooks {
    //! What is done once before the first call, and once behind the last.

    use super::*;

    #[rustfmt::skip]
    const FUNCTIONS: [(&str, &str); 4] = [
        ("index.php", "<?php $n = []; function initialize($context) { global $n; $n[] = $context['requestId']; }
            function preStop($context) { echo \"stopping\\n\"; } function handler($event, $context) { global $n; return [getmypid(), $n]; }"),
        ("index.py", "import os\nn = []\ndef initialize(context): n.append(context.request_id)\n\
            def pre_stop(context): print('stopping')\ndef handler(event, context): return [os.getpid(), n]\n"),
        ("index.js", "const n = []; exports.initialize = (context, callback) => { n.push(context.requestId); setTimeout(callback, 1, null, 'x') };
            exports.preStop = async () => console.log('stopping'); exports.handler = async () => [process.pid, n]"),
        ("index.mjs", "const n = []; export async function initializer(context) { n.push(context.requestId) }
            export function preStop() { console.log('stopping') } export const handler = async () => [process.pid, n]"),
    ];

    fn initialize(instance: &mut Instance) -> Answer {
        let fields = format!("X-Fc-Request-Id: {ID}\r\nX-Fc-Control-Path: /initialize\r\n");
        let mut client = instance.server.connect();
        let response = client
            .send(post("/initialize", &fields, ""))
            .read_response("POST");
        Answer::from(response.expect("a response"))
    }

    #[test]
    fn hooks_of_fc() {
        for (file, text) in FUNCTIONS {
            let _case = Case(file);
            let folder = Folder::new();
            let program = function(&folder, file, text).env("FNBOOT_WORKER_EVENTS", "2");
            let mut instance = Cloud::Fc.start(program);
            initialize(&mut instance).expect("");
            // A worker that is started later is initialized, too.
            let mut workers = Vec::new();
            for _ in 0..5 {
                let got = json(instance.call(""));
                assert_eq!(got[1].as_array().expect("a list").len(), 1, "{got}");
                workers.push(got[0].as_u64());
            }
            // A hook is no event.
            workers.dedup();
            assert_eq!(workers.len(), 3, "{workers:?}");
            let fields = "X-Fc-Control-Path: /pre-stop\r\n";
            instance.server.call(get("/pre-stop", fields), 200);
            instance.log_with("stopping\n");
            instance.server.signal(Signal::TERM);
            instance.server.expect_exit(0);
        }
    }

    #[test]
    fn an_initializer_that_fails() {
        for (file, text) in [
            (
                "index.php",
                "<?php function initializer($context) { throw new DomainException('no'); } function handler() { return 1; }",
            ),
            (
                "index.py",
                "class DomainException(Exception): pass\ndef initializer(c): raise DomainException('no')\ndef handler(e, c): return 1\n",
            ),
            (
                "index.js",
                "exports.initializer = (c, callback) => callback({ name: 'DomainException', message: 'no' }); exports.handler = async () => 1",
            ),
        ] {
            let _case = Case(file);
            let folder = Folder::new();
            let mut instance = Cloud::Fc.start(function(&folder, file, text));
            initialize(&mut instance).expect_failure("DomainException", "no");
            let api = Api::new(Platform::Lambda);
            expect_init_error(&api, function(&folder, file, text), "DomainException", "no");
        }
    }

    /// Polled platforms ask for nothing: it is done before the first event, and behind the last.
    #[test]
    fn hooks_of_others() {
        for cloud in [Cloud::Lambda, Cloud::LambdaManaged, Cloud::Scf] {
            let folder = Folder::new();
            let text = "n = []\ndef initialize(context): n.append(1)\ndef pre_stop(context): print('stopping')\n\
                def handler(event, context): return n\n";
            let mut instance = cloud.start(function(&folder, "index.py", text));
            for _ in 0..9 {
                instance.call("1").expect("[1]");
            }
            instance.server.signal(Signal::TERM);
            instance.server.expect_exit(0);
            assert!(instance.server.stdout.text().contains("stopping\n"));
        }
    }
}

mod workers {
    //! Interpreters: how many there are, how they end, and what becomes of their calls.

    use super::*;

    /// Says which interpreter it is; does with it what the event says.
    const SHELL: &str = "handler() { eval \"$1\"; echo $$; }";

    fn id(answer: Answer) -> u32 {
        answer.text().trim().parse().expect("a number")
    }

    fn send(instance: &mut Instance, event: &str) -> Client {
        let mut client = instance.server.connect();
        client.send(post("/invoke", &Cloud::Fc.fields(60_000), event));
        client
    }

    fn answer(client: &mut Client) -> Answer {
        Answer::from(client.read_response("POST").expect("a response"))
    }

    #[test]
    fn calls_side_by_side() {
        let (folder, count) = (Folder::new(), |text: &str| text.matches("begun").count());
        let gate = Gate::new(&folder);
        for (limit, want) in [("", 16), ("3", 3), ("1", 1)] {
            let _case = Case(limit);
            let program = function(&folder, "index.sh", SHELL).env("FNBOOT_WORKERS", limit);
            let mut instance = Cloud::Fc.start(program);
            let event = format!("echo begun >&2; {}", gate.wait());
            let mut clients: Vec<_> = (0..20).map(|_| send(&mut instance, &event)).collect();
            instance.server.stdout.wait_until(|log| count(log) == want);
            // Another request is served meanwhile.
            instance.server.call(get("/", ""), 200);
            assert_eq!(instance.children().len(), want);
            assert_eq!(count(&instance.server.stdout.text()), want);
            let opened = gate.open();
            let workers: BTreeSet<_> = clients
                .iter_mut()
                .map(|client| id(answer(client)))
                .collect();
            drop(opened);
            assert!(workers.len() <= want, "{workers:?}");
            instance.server.stdout.wait_until(|log| count(log) == 20);
            // One after the other needs no more of them.
            let one = id(instance.call(":"));
            assert_eq!(id(instance.call(":")), one);
        }
    }

    #[test]
    fn events_of_managed_instances_are_side_by_side() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let mut instance = Cloud::LambdaManaged.start(function(&folder, "index.sh", SHELL));
        let fields = Cloud::LambdaManaged.fields(30_000);
        for peer in &mut instance.peers {
            let event = format!("echo begun >&2; {}", gate.wait());
            peer.send(response("200 OK", &fields, event));
        }
        instance
            .server
            .stdout
            .wait_until(|log| log.matches("begun").count() == 8);
        let _open = gate.open();
        let ids = instance
            .peers
            .iter_mut()
            .map(|peer| id(Answer::of(peer.request())));
        assert_eq!(ids.collect::<BTreeSet<_>>().len(), 8);
    }

    #[test]
    fn events_one_at_a_time_need_one_worker() {
        let folder = Folder::new();
        for cloud in [Cloud::Lambda, Cloud::Scf] {
            let program = function(&folder, "index.sh", SHELL).env("FNBOOT_WORKERS", "9");
            let mut instance = cloud.start(program);
            let ids: BTreeSet<_> = (0..5).map(|_| id(instance.call(":"))).collect();
            assert_eq!(ids, BTreeSet::from_iter(instance.children()));
            // One that dies is replaced there, too.
            instance
                .call("kill -KILL $$; sleep 9")
                .expect_failure("Signal", "signal 9");
            assert!(!ids.contains(&id(instance.call(":"))));
        }
    }

    #[test]
    fn workers_are_renewed() {
        let folder = Folder::new();
        let program = function(&folder, "index.sh", SHELL).env("FNBOOT_WORKER_EVENTS", "3");
        let mut instance = Cloud::Fc.start(program);
        let ids: Vec<_> = (0..9).map(|_| id(instance.call(":"))).collect();
        for of_one in ids.chunks(3) {
            assert_eq!(of_one, [of_one[0]; 3], "{ids:?}");
        }
        assert_eq!(BTreeSet::from_iter(&ids).len(), 3, "{ids:?}");
        for id in &ids[..6] {
            wait_for("its end", || has_ended(*id).then_some(()));
        }
    }

    const DIE: &str = "kill -KILL $$; sleep 9";

    #[test]
    fn three_deaths_in_a_row() {
        let folder = Folder::new();
        let mut instance = Cloud::Fc.start(function(&folder, "index.sh", SHELL));
        let mut ids = BTreeSet::new();
        for _ in 0..2 {
            ids.insert(id(instance.call(":")));
            for _ in 0..2 {
                instance.call(DIE).expect_failure("Signal", "signal 9");
            }
        }
        ids.insert(id(instance.call(":")));
        assert_eq!(ids.len(), 3);
        for _ in 0..3 {
            instance.call(DIE).expect_failure("Signal", "signal 9");
        }
        expect_death(&mut instance);
        // Side by side, too, each is answered first.
        let gate = Gate::new(&folder);
        let mut instance = Cloud::Fc.start(function(&folder, "index.sh", SHELL));
        let event = format!("echo begun >&2; {}; {DIE}", gate.wait());
        let mut clients: Vec<_> = (0..3).map(|_| send(&mut instance, &event)).collect();
        let log = &instance.server.stdout;
        log.wait_until(|log| log.matches("begun").count() == 3);
        let _open = gate.open();
        for client in &mut clients {
            answer(client).expect_failure("Signal", "signal 9: begun");
        }
        expect_death(&mut instance);
    }

    #[track_caller]
    fn expect_death(instance: &mut Instance) {
        instance.server.expect_exit(1);
        let want = "fnboot: the function's interpreter has ended again and again\n";
        assert_eq!(instance.server.stderr.take(), want);
    }

    /// Functions that end their interpreters, and say so, are no deaths, even where they are side by side.
    #[test]
    fn ends_side_by_side() {
        for (file, text) in [
            ("index.php", "<?php function handler($event) { if (!$event) return 'fine'; echo \"begun\\n\"; fopen($event, 'r'); exit; }"),
            ("index.js", "exports.handler = async event => { if (!event.length) return 'fine'; console.log('begun');
                require('fs').openSync(event, 'r'); process.exit(1) }"),
        ] {
            let _case = Case(file);
            let folder = Folder::new();
            let gate = Gate::new(&folder);
            let path = folder.at("gate");
            let mut instance = Cloud::Fc.start(function(&folder, file, text));
            let path = path.to_str().expect("text");
            let mut clients: Vec<_> = (0..4).map(|_| send(&mut instance, path)).collect();
            let log = &instance.server.stdout;
            log.wait_until(|log| log.matches("begun").count() == 4);
            let _open = gate.open();
            for client in &mut clients {
                assert!(answer(client).failure().0.ends_with("ExitError"));
            }
            for _ in 0..9 {
                instance.call("").expect("fine");
            }
        }
    }

    /// What has left the group of an event, and cannot be told from a helper of another one's, may still write.
    #[test]
    fn what_is_left_behind_is_not_in_the_next_answer() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let mut instance = Cloud::Fc.start(function(&folder, "index.sh", SHELL));
        let mut other = send(&mut instance, &format!("echo begun >&2; {}", gate.wait()));
        instance.log_with("begun\n");
        let (out, late) = (folder.at("out"), folder.at("late"));
        let event = format!(
            "setsid sh -c 'trap \"\" PIPE; echo x > {0}; sleep 0.05; echo late; echo x > {1}; exec sleep 99' &
            until [ -e {0} ]; do sleep 0.01; done",
            out.display(),
            late.display()
        );
        let mut last = 0;
        for _ in 0..5 {
            let next = id(instance.call(&event));
            assert_ne!(next, last);
            last = next;
            wait_for("the file", || late.exists().then_some(()));
            for file in [&out, &late] {
                fs::remove_file(file).expect("a file");
            }
        }
        let _open = gate.open();
        id(answer(&mut other));
        id(instance.call(":"));
        wait_for("the workers only", || {
            (instance.children().len() <= 2).then_some(())
        });
    }

    /// It is left behind before its event ends, and an interpreter gets ready meanwhile: it is no helper of that one.
    #[test]
    fn what_an_event_is_about_to_leave_behind_is_no_helper() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let mut instance = Cloud::Fc.start(function(&folder, "index.sh", SHELL));
        let event = format!(
            "(setsid sh -c 'trap \"\" PIPE; echo x > {0}; while :; do echo late; sleep 0.01; done' &)
            until [ -e {0} ]; do sleep 0.01; done; echo begun >&2; {1}",
            folder.at("out").display(),
            gate.wait()
        );
        let mut first = send(&mut instance, &event);
        instance.log_with("begun\n");
        id(instance.call(":"));
        let _open = gate.open();
        answer(&mut first).text();
        for _ in 0..10 {
            id(instance.call("sleep 0.02"));
        }
    }

    /// A function may find the descriptors of its channel, and write what its event says to each that is a socket.
    #[rustfmt::skip]
    const SCRIBBLERS: [(&str, &str, &str); 3] = [
        ("index.php", PHP, "foreach (glob('/proc/self/fd/*') as $path) if (strpos(@readlink($path), 'socket') === 0)
            fwrite(fopen('php://fd/' . basename($path), 'w'), $event); usleep(50000); return 'own';"),
        ("index.py", PYTHON, "import os, stat, time
 for fd in range(3, 20):
  try:
   if stat.S_ISSOCK(os.fstat(fd).st_mode): os.write(fd, event)
  except OSError: pass
 time.sleep(0.05)
 return 'own'"),
        ("index.js", NODE, "require('fs').writeSync(3, event); await new Promise(done => setTimeout(done, 50)); return 'own'"),
    ];

    const BROKEN: (&str, &str) = (
        "ChannelBroken",
        "the function has closed fnboot's channel, or written to it",
    );

    #[test]
    fn what_a_function_writes_to_its_channel_is_no_reply() {
        for (file, text, body) in SCRIBBLERS {
            let folder = Folder::new();
            let program = function(&folder, file, &text.replace("BODY", body));
            let mut instance = Cloud::Fc.start(program);
            for junk in [
                "junk\n",
                "\n",
                " 0\n",
                "-1\n",
                "junk\njunk\n",
                "junk",
                &"1".repeat(2000),
            ] {
                let _case = Case((file, junk));
                let (kind, message) = BROKEN;
                instance.call(junk).expect_failure(kind, message);
                for _ in 0..3 {
                    instance.call("fine").expect("fine");
                }
            }
        }
    }

    /// Nor is it the next event's that comes when nothing was asked for.
    #[test]
    fn what_is_written_to_the_channel_between_events() {
        let folder = Folder::new();
        let text = "import os, stat, threading
def write(text):
 for fd in range(3, 20):
  try:
   if stat.S_ISSOCK(os.fstat(fd).st_mode): os.write(fd, text)
  except OSError: pass
def handler(event, context):
 if event: threading.Timer(0.05, write, [event]).start()
 return str(os.getpid())
";
        let mut instance = Cloud::Fc.start(function(&folder, "index.py", text));
        for junk in ["0\n", "1 Kind: message\n", "junk", "0\n0\n"] {
            let _case = Case(junk);
            let first = id(instance.call(junk));
            wait_for("its end", || has_ended(first).then_some(()));
            assert_ne!(id(instance.call("")), first);
        }
    }

    /// A long message is cut, whatever its letters are, and nothing of it is the next reply.
    #[test]
    fn long_messages() {
        let long = "é".repeat(3000);
        for (file, text, body) in [
            (
                "index.php",
                PHP,
                "throw new DomainException($event . getmypid());",
            ),
            (
                "index.py",
                PYTHON,
                "import os; raise ValueError(event.decode() + str(os.getpid()))",
            ),
            (
                "index.js",
                NODE,
                "throw new RangeError(event + process.pid)",
            ),
        ] {
            let _case = Case(file);
            let folder = Folder::new();
            let program = function(&folder, file, &text.replace("BODY", body));
            let mut instance = Cloud::Fc.start(program);
            instance.call("fine").expect("fine");
            let before = instance.children();
            for _ in 0..3 {
                let (kind, message) = instance.call(&long).failure();
                assert!(
                    kind.ends_with("Error") || kind == "DomainException",
                    "{kind}"
                );
                assert!(message.starts_with(&long[..900]), "{message}");
                instance.call("fine").expect("fine");
            }
            assert_eq!(instance.children(), before);
        }
    }

    /// A worker that dies between two calls is no failure of the next.
    #[test]
    fn a_death_between_calls() {
        let folder = Folder::new();
        let mut instance = Cloud::Fc.start(function(&folder, "index.sh", SHELL));
        for _ in 0..5 {
            let first = id(instance.call(":"));
            let pid = rustix::process::Pid::from_raw(first.cast_signed()).expect("an id");
            rustix::process::kill_process(pid, Signal::KILL).expect("kill");
            wait_for("its end", || has_ended(first).then_some(()));
            assert_ne!(id(instance.call(":")), first);
        }
    }

    /// What does not end by itself, in any language, and whether its worker can go on.
    #[rustfmt::skip]
    const ENDLESS: [(&str, &str, &str); 8] = [
        ("index.sh", "handler() { [ \"$1\" = fine ] || BODY; printf fine; }", "sleep 100"),
        ("index.sh", "handler() { [ \"$1\" = fine ] || BODY; printf fine; }", "{ trap '' TERM; sleep 100; sleep 100; }"),
        ("index.php", PHP, "sleep(100);"),
        ("index.php", PHP, "while (true);"),
        ("index.py", PYTHON, "import time; time.sleep(100)"),
        ("index.py", PYTHON, "import signal; signal.signal(15, signal.SIG_IGN)\n while True: pass"),
        ("index.js", NODE, "await new Promise(done => setTimeout(done, 99000))"),
        ("index.js", NODE, "for (;;);"),
    ];

    #[test]
    fn a_deadline_ends_the_call_alone() {
        thread::scope(|scope| {
            for row @ (file, text, body) in ENDLESS {
                scope.spawn(move || {
                    let _case = Case(row);
                    let folder = Folder::new();
                    let program = function(&folder, file, &text.replace("BODY", body));
                    let mut instance = Cloud::Fc.start(program);
                    instance.call("fine").expect("fine");
                    for _ in 0..2 {
                        let begin = Instant::now();
                        let answer = instance.call_within(2000, "ev");
                        let elapsed = begin.elapsed();
                        answer.expect_failure("TimedOut", "no answer before the deadline");
                        let is_in_time = elapsed > Duration::from_millis(1750)
                            && elapsed < Duration::from_secs(2);
                        assert!(is_in_time, "after {elapsed:?}");
                        instance.call("fine").expect("fine");
                    }
                });
            }
        });
    }

    #[test]
    fn a_client_that_goes() {
        let folder = Folder::new();
        let start = || function(&folder, "index.sh", SHELL).env("FNBOOT_WORKERS", "1");
        let mut instance = Cloud::Fc.start(start());
        let first = id(instance.call(":"));
        let client = send(
            &mut instance,
            "trap 'echo told >&2; exit' TERM; echo begun >&2; sleep 100 & wait",
        );
        instance.log_with("begun\n");
        client.reset();
        instance.log_with("told\n");
        // Only the function was told to end.
        assert_eq!(id(instance.call(":")), first);
        assert_eq!(instance.children(), [first]);
        // One that waits for a worker is not even begun.
        let gate = Gate::new(&folder);
        let mut instance = Cloud::Fc.start(start());
        let mut first = send(&mut instance, &format!("echo begun >&2; {}", gate.wait()));
        instance.log_with("begun\n");
        send(&mut instance, "echo second >&2").reset();
        instance.server.call(get("/", ""), 200);
        let _open = gate.open();
        id(answer(&mut first));
        id(instance.call("echo third >&2"));
        assert!(!instance.log_with("third").contains("second"));
    }

    #[test]
    fn sigterm_lets_calls_end() {
        for (file, text) in [
            (
                "index.sh",
                "handler() { echo begun >&2; : < GATE; echo \"$1\"; }",
            ),
            (
                "index.php",
                "<?php function handler($event) { echo \"begun\\n\"; fopen('GATE', 'r'); return \"$event\\n\"; }",
            ),
            (
                "index.py",
                "def handler(event, context):\n print('begun')\n open('GATE')\n return event + b'\\n'\n",
            ),
            (
                "index.js",
                "exports.handler = async event => { console.log('begun'); require('fs').openSync('GATE', 'r'); return event + '\\n' }",
            ),
        ] {
            let _case = Case(file);
            let folder = Folder::new();
            let gate = Gate::new(&folder);
            let path = folder.at("gate");
            let text = text.replace("GATE", path.to_str().expect("text"));
            let mut instance = Cloud::Fc.start(function(&folder, file, &text));
            let mut clients = [send(&mut instance, "a"), send(&mut instance, "b")];
            instance
                .server
                .stdout
                .wait_until(|log| log.matches("begun").count() == 2);
            instance.server.signal(Signal::TERM);
            let left = instance.children();
            let _open = gate.open();
            let [a, b] = clients.each_mut().map(|client| client.expect(200).text());
            assert_eq!((&*a, &*b), ("a\n", "b\n"));
            instance.server.expect_exit(0);
            for id in left {
                wait_for("the end of all", || has_ended(id).then_some(()));
            }
        }
    }
}

mod marks {
    //! What many calls leave behind: nothing.

    use super::*;

    /// How many calls there are; `make slow` has more.
    fn event_count() -> usize {
        let count = std::env::var("FNBOOT_FUNCTION_EVENTS").ok();
        count.map_or(1000, |count| count.parse().expect("a number"))
    }

    #[test]
    fn nothing_is_left_of_many_calls() {
        let php = PHP.replace("BODY", "return $event;");
        let python = PYTHON.replace("BODY", "return event");
        let node = NODE.replace("BODY", "return event");
        // Each is called often before, because memory is taken as it is needed first.
        for (file, text, grown_kib_max) in [
            ("index.sh", "handler() { cat; }", 128),
            ("index.php", &*php, 512),
            ("index.py", &*python, 512),
            ("index.js", &*node, 32 * 1024),
        ] {
            let _case = Case(file);
            let folder = Folder::new();
            let program = function(&folder, file, text).env("FNBOOT_MARKERS", "off");
            let mut instance = Cloud::Fc.start(program);
            let mut client = instance.server.connect();
            let long = noise(MIB);
            let mut call = |turn: usize| {
                let event = &long[..if turn.is_multiple_of(100) {
                    MIB
                } else {
                    turn % 500
                }];
                let fields = format!("X-Fc-Request-Id: id-{turn}\r\nX-Fc-Function-Timeout: 60\r\n");
                let answer = client.send(post("/invoke", &fields, event)).expect(200);
                assert_same(&answer.body, event);
            };
            (0..200).for_each(&mut call);
            let fnboot = instance.server.id();
            let [worker] = instance.children()[..] else {
                panic!("{:?}", instance.children());
            };
            let resident = || crate::process::status(worker, "VmRSS").expect("a figure");
            let before = (
                open_descriptors(fnboot),
                open_descriptors(worker),
                resident(),
            );
            for turn in 0..event_count() {
                call(turn);
                let zombies = children(fnboot)
                    .into_iter()
                    .filter(|&id| has_ended(id))
                    .count();
                assert_eq!(zombies, 0, "after {turn} calls");
            }
            assert_eq!(instance.children(), [worker]);
            assert_eq!(open_descriptors(fnboot), before.0);
            // A shell has more of them while it comes back from an event.
            wait_for("as few descriptors", || {
                (open_descriptors(worker) <= before.1).then_some(())
            });
            let grown_kib = resident().saturating_sub(before.2);
            assert!(grown_kib <= grown_kib_max, "{grown_kib} KiB");
            wait_for("little memory", || {
                (instance.server.status_kib("RssAnon") <= 128).then_some(())
            });
        }
    }
}
