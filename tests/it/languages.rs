//! The languages of `bootstrap function`: bash and a plain sh, PHP, Python and Node.js, with what a function in each
//! of them may do and is told.
//!
//! A row is a function, what must come of an event, and what must be in the log.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};

use crate::api::ID;
use crate::command::{Answer, Cloud, MIB};
use crate::function::{NODE, ONE_OF_EACH, PHP, PYTHON, function, json, program};
use crate::harness::{Case, Folder, noise};

/// What a function does, what comes of that, and a part of the log. A failure is type and message.
type Row = (
    &'static str,
    Result<&'static [u8], (&'static str, &'static str)>,
    &'static str,
);

/// Calls the function of each row twice, or, if it fails, once and then with the event `fine`, which has that answer.
#[track_caller]
fn check(file: &str, text: &str, rows: &[Row]) {
    for &(body, want, log) in rows {
        let _case = Case((file, body));
        // Python keeps what it has compiled, and looks at seconds and sizes only.
        let folder = Folder::new();
        let mut instance = Cloud::Fc.start(function(&folder, file, &text.replace("BODY", body)));
        expect(instance.call("ev"), want);
        match want {
            Ok(_) => expect(instance.call("ev"), want),
            Err(_) => instance.call("fine").expect("fine"),
        }
        instance.log_with(log);
    }
}

#[track_caller]
fn expect(answer: Answer, want: Result<&[u8], (&str, &str)>) {
    match want {
        Ok(want) => {
            assert!(answer.is_success, "{}", answer.body.escape_ascii());
            assert_eq!(
                answer.body.escape_ascii().to_string(),
                want.escape_ascii().to_string()
            );
        }
        // Some say more, by version.
        Err((kind, message)) => {
            let (got_kind, got) = answer.failure();
            assert!(
                got_kind == kind && got.starts_with(message),
                "{got_kind}: {got}"
            );
        }
    }
}

mod bash {
    use super::*;

    /// What bash and a plain sh do alike.
    #[rustfmt::skip]
    const POSIX: [Row; 18] = [
        ("handler() { :; }", Ok(b""), ""),
        ("handler() { printf 'a\\000b\\377\\n\\n'; }", Ok(b"a\0b\xff\n\n"), ""),
        ("handler() { echo r; echo log >&2; }", Ok(b"r\n"), "log\n"),
        ("handler() { false; echo yes; }", Ok(b"yes\n"), ""),
        ("handler() { yes | head -n 1; }", Ok(b"y\n"), ""),
        ("handler() { echo a; exec 1>&- 2>&- 3>&- 4>&- <&-; }", Ok(b"a\n"), ""),
        ("handler() { ls /proc/self/fd | tr '\\n' ' '; }", Ok(b"0 1 2 3 "), ""),
        ("handler() { (sleep 100; echo late) & echo r; }", Ok(b"r\n"), ""),
        ("handler() { setsid sleep 100 & echo r; }", Ok(b"r\n"), ""),
        ("echo loading; handler() { echo r; }", Ok(b"r\n"), "loading\n"),
        ("a=\"$#$*\"; handler() { echo \"$a\"; }", Ok(b"0\n"), ""),
        ("IFS=0123456789evinok; handler() { printf %s \"$1\"; }", Ok(b"ev"), ""),
        (
            "x=1 here=$PWD; handler() { printf %s \"$x${y-}$IFS\"; [ \"$PWD\" = \"$here\" ] || echo moved
            x=2; export y=3; cd /; IFS=z; set -f; trap 'echo bye' EXIT; handler() { echo other; }; }",
            Ok(b"1 \t\nbye\n"),
            "",
        ),
        (
            "handler() { printf ok; }; read() { printf BAD; }; echo() { printf BAD; }
            kill() { printf BAD; }; wait() { printf BAD; }; cd() { printf BAD; }; cat() { printf BAD; }; mapfile() { printf BAD; }",
            Ok(b"ok"),
            "",
        ),
        ("handler() { [ \"$1\" != fine ] || { printf fine; exit; }; echo E: x >&2; echo 'BadError: m' >&2; return 7; }", Err(("BadError", "m")), "BadError: m\n"),
        ("handler() { [ \"$1\" != fine ] || { printf fine; exit; }; exit 9; }", Err(("ExitError", "exit status 9")), ""),
        ("set -e; handler() { if [ \"$1\" = fine ]; then printf fine; exit; fi; false; echo no; }", Err(("ExitError", "exit status 1")), ""),
        ("handler() { [ \"$1\" != fine ] || { printf fine; exit; }; sh -c 'kill -KILL $PPID'; sleep 9; }", Err(("ExitError", "exit status 137")), ""),
    ];

    #[rustfmt::skip]
    const BASH: [Row; 12] = [
        ("handler() { cat <(echo a) <(cat); }", Ok(b"a\nev"), ""),
        ("declare -A m=([a]=1); handler() { local x=(1 2 3); echo ${#x[@]}${m[a]}; }", Ok(b"31\n"), ""),
        ("handler() { echo r; }\n[[ \"${BASH_SOURCE[0]}\" == \"$0\" ]] && handler", Ok(b"r\n"), ""),
        ("trap 'echo bye >&2' EXIT; handler() { echo r; }", Ok(b"r\n"), ""),
        ("set -E; trap 'echo err >&2' ERR; handler() { false; echo r; }", Ok(b"r\n"), "err\n"),
        ("handler() { set -m; sleep 100 & echo r; }", Ok(b"r\n"), ""),
        ("handler() { (trap '' TERM HUP; sleep 0.05; echo late) & echo r; }", Ok(b"r\n"), ""),
        ("set -euo pipefail; handler() { echo \"$1\" | cat; }", Ok(b"ev\n"), ""),
        ("handler() { [ \"$1\" != fine ] || { printf fine; exit; }; kill -SEGV $BASHPID; }", Err(("ExitError", "exit status 139")), ""),
        ("handler() { [ \"$1\" != fine ] || { printf fine; exit; }; kill -STOP $BASHPID; }", Err(("ExitError", "exit status 147")), ""),
        (
            "handler() { printf %s \"$1\"; }; export() { printf BAD; }; set() { printf BAD; }; exec() { printf BAD; }
            unset() { printf BAD; }; trap() { printf BAD; }; eval() { printf BAD; }; exit() { printf BAD; }",
            Ok(b"ev"),
            "",
        ),
        ("set -a; handler() { env | grep -c ^_f_event || :; }", Ok(b"0\n"), ""),
    ];

    /// A folder of programs without a bash.
    fn without_bash(folder: &Folder) -> String {
        let programs = folder.at("bin");
        fs::create_dir_all(&programs).expect("a folder");
        for name in [
            "cat", "head", "ls", "printf", "setsid", "sleep", "tr", "yes",
        ] {
            symlink(format!("/usr/bin/{name}"), programs.join(name)).expect("a link");
        }
        symlink("/bin/dash", programs.join("sh")).expect("a link");
        programs.to_str().expect("text").into()
    }

    #[test]
    fn functions() {
        check("index.sh", "BODY\n", &POSIX);
        check("index.sh", "BODY\n", &BASH);
    }

    #[test]
    fn functions_without_bash() {
        let folder = Folder::new();
        let path = without_bash(&folder);
        for (text, want, log) in POSIX {
            let _case = Case(text);
            let mut instance =
                Cloud::Fc.start(function(&folder, "index.sh", text).env("PATH", &path));
            for _ in 0..2 {
                expect(instance.call("ev"), want);
            }
            instance.log_with(log);
        }
    }

    #[test]
    fn events() {
        let folder = Folder::new();
        let path = without_bash(&folder);
        let text = [&(1..=255).collect::<Vec<u8>>()[..], b"\n \n\n"].concat();
        let long = noise(6 * MIB);
        let lines = b"a line of a long event\n".repeat(6 * MIB / 23);
        for (body, event, want) in [
            ("printf %s \"$1\"", &text[..], &text[..]),
            ("cat", b"\0a\0\n\n", b"\0a\0\n\n"),
            ("printf '[%s]%s' \"$1\" $#", b"a\0b", b"[]1"),
            ("printf '[%s]%s' \"$1\" $#; cat", b"", b"[]1"),
            (
                "cat; cat; cat /dev/stdin; printf %s \"$1\"",
                b"ab\n",
                b"ab\nab\nab\n",
            ),
            ("read -r x; printf %s \"$x\"", b"ab\ncd\n", b"ab"),
            ("cat", &long, &long),
            ("printf %s \"$1\"", &lines, &lines),
        ] {
            let source = format!("handler() {{ {body}; }}\n");
            for (name, value) in [("LC_ALL", "C.UTF-8"), ("LC_ALL", "C"), ("PATH", &*path)] {
                let _case = Case((body, value));
                // Once is enough for what takes long.
                if event.len() > MIB && value != "C.UTF-8" {
                    continue;
                }
                let program = function(&folder, "index.sh", &source).env(name, value);
                let mut instance = Cloud::Fc.start(program);
                instance.call(event).expect(want);
                instance.call("").is_success.then_some(()).expect("success");
                instance.call(event).expect(want);
            }
        }
    }

    /// What a shell with job control says about the end of a child is not in the log.
    #[test]
    fn a_signal_is_told_once() {
        let folder = Folder::new();
        for (signal, status) in [
            ("SEGV", 139),
            ("KILL", 137),
            ("INT", 130),
            ("STOP", 147),
            ("TSTP", 148),
        ] {
            let _case = Case(signal);
            let text = format!("handler() {{ kill -{signal} $BASHPID; sleep 9; }}");
            let mut instance = Cloud::Fc.start(function(&folder, "index.sh", &text));
            for _ in 0..2 {
                let message = format!("exit status {status}");
                instance.call("").expect_failure("ExitError", &message);
            }
        }
    }

    #[test]
    fn a_file_is_sourced_once() {
        let folder = Folder::new();
        let count = folder.at("count");
        let text = format!(
            "echo loading; echo x >> {}\nn=0\nhandler() {{ n=$((n+1)); echo $n; }}\n",
            count.display()
        );
        let mut instance = Cloud::Fc.start(function(&folder, "index.sh", &text));
        // Before there is a call, and without one.
        instance.log_with("loading\n");
        for _ in 0..5 {
            instance.call("").expect("1\n");
        }
        assert_eq!(fs::read_to_string(count).expect("a file"), "x\n");
    }

    /// The functions of the platforms' own documents about custom runtimes.
    #[test]
    fn tutorials() {
        let text = "function handler () {
  EVENT_DATA=$1
  echo \"$EVENT_DATA\" 1>&2;
  RESPONSE=\"Echoing request: '$EVENT_DATA'\"

  echo $RESPONSE
}
";
        let folder = Folder::new();
        for (name, file) in [("handler", "function.sh"), ("main_handler", "index.sh")] {
            folder.file(file, 0o755, text.replace("handler", name));
            for cloud in [Cloud::Fc, Cloud::Lambda, Cloud::LambdaManaged, Cloud::Scf] {
                let _case = Case((name, cloud));
                let word = file.replace("sh", name);
                let mut instance = cloud.start(program(&folder, &word));
                for _ in 0..9 {
                    instance
                        .call("{\"a\":  1}")
                        .expect("Echoing request: '{\"a\": 1}'\n");
                }
                instance.log_with("{\"a\":  1}\n");
            }
        }
    }

    #[test]
    fn variables() {
        let folder = Folder::new();
        let text = "handler() { printf '%s\\n' \"${FC_REGION-none}\" \"$(printenv FC_REGION)\" \"${FNBOOT-none}\"; }";
        let mut instance =
            Cloud::Fc.start(function(&folder, "index.sh", text).env("FNBOOT", "echo"));
        for value in ["cn-x", " a=b  \"c\" \\ $x `y` 'z'", "()", "() { :; }"] {
            let value = value.trim();
            instance
                .call_with(&format!("X-Fc-Region: {value}\r\n"), "")
                .expect(format!("{value}\n{value}\nnone\n"));
        }
        instance.call_with("", "").expect("none\n\nnone\n");
        // A trace is of what the function does.
        let mut instance = Cloud::Fc.start(function(
            &folder,
            "index.sh",
            "set -x\nhandler() { echo r; }",
        ));
        instance.call_with(FC_FIELDS, "").expect("r\n");
        let log = instance.log_with("echo r\n");
        assert!(!log.contains("secret"), "{log}");
    }
}

mod php {
    use super::*;

    #[rustfmt::skip]
    const ROWS: [Row; 27] = [
        ("return 'hello';", Ok(b"hello"), ""),
        ("return \"a\\0\\xff\\n\\n\";", Ok(b"a\0\xff\n\n"), ""),
        ("", Ok(b"null"), ""),
        ("return ['a' => [1, null, 'é']];", Ok(b"{\"a\":[1,null,\"\\u00e9\"]}"), ""),
        ("return gettype($event) . $event;", Ok(b"stringev"), ""),
        ("echo 'out'; print(\"p\\n\"); var_dump(1); return 1;", Ok(b"1"), "outp\nint(1)\n"),
        ("fwrite(STDERR, \"e\\n\"); error_log('l'); return 1;", Ok(b"1"), "e\n"),
        ("ob_start(); echo \"buffered\\n\"; return 1;", Ok(b"1"), "buffered\n"),
        ("system('echo s'); passthru('echo t'); return 1;", Ok(b"1"), "s\nt\n"),
        ("file_put_contents('php://stdout', \"x\\n\"); return 1;", Ok(b"1"), "x\n"),
        ("echo $nope; return 1;", Ok(b"1"), "Undefined variable $nope"),
        ("$p = pcntl_fork(); if (!$p) return 'child'; pcntl_waitpid($p, $s); return 'parent';", Ok(b"parent"), ""),
        ("$p = pcntl_fork(); if (!$p) exit(3); pcntl_waitpid($p, $s); return 'parent';", Ok(b"parent"), ""),
        ("return [getenv('FC_REQUEST_ID') === $context['requestId'], trim(shell_exec('echo $FC_FUNCTION_TIMEOUT'))];", Ok(b"[true,\"30\"]"), ""),
        ("global $argv; return [count($argv), $argv[0] === __FILE__];", Ok(b"[1,true]"), ""),
        ("$GLOBALS['fcLogger']->info('hi'); return 1;", Ok(b"1"), " [INFO] hi\n"),
        ("@file_get_contents('/nope'); return 'ok';", Ok(b"ok"), ""),
        ("throw new DomainException(\"a\\nb\");", Err(("DomainException", "a\nb")), "DomainException: a\nb\n"),
        ("nope();", Err(("Error", "Call to undefined function nope()")), ""),
        ("return \"\\xff\" === '' ? 1 : [\"\\xff\"];", Err(("UnexpectedValueException", "The result is no JSON: Malformed UTF-8 characters, possibly incorrectly encoded")), ""),
        ("return [NAN];", Err(("UnexpectedValueException", "The result is no JSON: Inf and NaN cannot be JSON encoded")), ""),
        ("exit(0);", Err(("ExitError", "The function called exit")), ""),
        ("die('last words');", Err(("ExitError", "The function called exit")), "last words"),
        ("trigger_error('ue', E_USER_ERROR);", Err(("FatalError", "ue")), "ue"),
        ("ini_set('memory_limit', '16M'); str_repeat('x', 64000000);", Err(("FatalError", "Allowed memory size of 16777216 bytes exhausted")), ""),
        ("posix_kill(getmypid(), 9); sleep(9);", Err(("Signal", "signal 9")), ""),
        ("fclose(STDIN); fclose(STDERR); throw new DomainException('closed');", Err(("DomainException", "closed")), "DomainException: closed\n"),
    ];

    #[test]
    fn functions() {
        check("index.php", PHP, &ROWS);
    }

    /// The channel is a socket, and PHP's sockets are read for a minute, or as its settings say.
    #[test]
    fn a_pause_is_no_end() {
        let folder = Folder::new();
        folder.file("php.ini", 0o644, "default_socket_timeout = 1\n");
        let text = PHP.replace("BODY", "return getmypid();");
        let program = function(&folder, "index.php", &text).env("PHPRC", folder.0.display());
        let mut instance = Cloud::Fc.start(program);
        let first = instance.call("").text();
        std::thread::sleep(std::time::Duration::from_millis(1500));
        instance.call("").expect(first);
    }

    #[test]
    fn context() {
        let folder = Folder::new();
        let text = PHP.replace("BODY", "return $context;");
        let mut instance = Cloud::Fc.start(function(&folder, "index.php", &text));
        let mut want = super::fc_context();
        want["service"]["versionId"] = json!("1");
        assert_eq!(json(instance.call_with(FC_FIELDS, "")), want);
    }

    #[test]
    fn a_file_may_return_its_function() {
        let folder = Folder::new();
        for text in [
            "<?php return function ($event, $context) { return 'c' . $event; };",
            "<?php class A { function __invoke($event, $context) { return 'c' . $event; } } return new A;",
        ] {
            folder.file("index.php", 0o644, text);
            Cloud::Fc
                .start(program(&folder, "index.php"))
                .call("ev")
                .expect("cev");
        }
    }
}

mod python {
    use super::*;

    #[rustfmt::skip]
    const ROWS: [Row; 30] = [
        ("return 'hello é'", Ok("hello é".as_bytes()), ""),
        ("return b'a\\0\\xff\\n\\n'", Ok(b"a\0\xff\n\n"), ""),
        ("return None", Ok(b"null"), ""),
        ("return {'a': [1, None, 'é']}", Ok(b"{\"a\": [1, null, \"\\u00e9\"]}"), ""),
        ("return event", Ok(b"ev"), ""),
        ("print('outé'); print('x', end='')\n return 1", Ok(b"1"), "outé\nx"),
        ("import os; os.system('echo child'); os.write(1, b'raw\\n')\n return 1", Ok(b"1"), "child\nraw\n"),
        ("import logging; logging.getLogger().info('hi %s', 1)\n return 1", Ok(b"1"), " [INFO] hi 1\n"),
        ("context.getLogger().warning('w')\n return 1", Ok(b"1"), " [WARNING] w\n"),
        ("import os\n p = os.fork()\n if p == 0: return 'child'\n os.waitpid(p, 0)\n return 'parent'", Ok(b"parent"), ""),
        ("import os\n for fd in range(5):\n  try: os.close(fd)\n  except OSError: pass\n return 'ok'", Ok(b"ok"), ""),
        ("import threading, time\n threading.Thread(target=time.sleep, args=(99)).start()\n return 1", Ok(b"1"), ""),
        ("import subprocess\n return subprocess.check_output(['ls', '/proc/self/fd'], close_fds=False)", Ok(b"0\n1\n2\n3\n"), ""),
        ("import subprocess\n return subprocess.check_output('echo $FC_FUNCTION_TIMEOUT', shell=True)", Ok(b"30\n"), ""),
        ("import sys\n return [len(sys.argv), __name__]", Ok(b"[1, \"index\"]"), ""),
        ("raise KeyError('a\\nb')", Err(("KeyError", "'a\\nb'")), "KeyError: 'a\\nb'\n"),
        ("raise ValueError('a\\nb é')", Err(("ValueError", "a\nb é")), "ValueError: a\nb é\n"),
        ("return {1, 2}", Err(("Runtime.MarshalError", "Unable to marshal response: set is not JSON serializable")), ""),
        ("return [float('nan')]", Err(("Runtime.MarshalError", "Unable to marshal response: Out of range float values are not JSON compliant")), ""),
        ("return -float('inf')", Err(("Runtime.MarshalError", "Unable to marshal response: Out of range float values are not JSON compliant")), ""),
        ("import decimal; return decimal.Decimal('NaN')", Err(("Runtime.MarshalError", "Unable to marshal response: cannot convert NaN to integer")), ""),
        ("import sys; sys.exit(3)", Err(("SystemExit", "3")), ""),
        ("return handler(event, context)", Err(("RecursionError", "maximum recursion depth exceeded")), ""),
        ("import os; print('bye'); os._exit(4)", Err(("ExitError", "exit status 4: bye")), "bye\n"),
        ("class Bad(Exception):\n  def __str__(self): return 1/0\n raise Bad()", Err(("Bad", "its text cannot be told")), ""),
        ("import os, time; os.close(8); time.sleep(9)", Err(("ChannelBroken", "the function has closed fnboot's channel, or written to it")), ""),
        ("import os; os._exit(0)", Err(("ExitError", "exit status 0")), ""),
        ("import os; os.kill(os.getpid(), 11)", Err(("Signal", "signal 11")), ""),
        ("import os; os.kill(os.getpid(), 15)", Err(("Signal", "signal 15")), ""),
        ("bytearray(1 << 46)", Err(("MemoryError", "")), ""),
    ];

    #[test]
    fn functions() {
        check("index.py", PYTHON, &ROWS);
    }

    #[test]
    fn few_descriptors() {
        let folder = Folder::new();
        let program = function(&folder, "index.py", &PYTHON.replace("BODY", ""));
        let script = "ulimit -n 32 && exec \"$0\" \"$@\"";
        let mut instance = Cloud::Fc.start(program.in_shell(script));
        instance.call("fine").expect("fine");
    }

    #[test]
    fn context() {
        let folder = Folder::new();
        let text = "import json
def handler(event, context):
    known = json.loads(context.to_json())
    return [known[name] for name in ('request_id', 'region', 'account_id', 'credentials', 'function', 'service')]
";
        let mut instance = Cloud::Fc.start(function(&folder, "index.py", text));
        let got = json(instance.call_with(FC_FIELDS, ""));
        assert_eq!(got[0], ID);
        assert_eq!((&got[1], &got[2]), (&json!("cn-hangzhou"), &json!("123")));
        let keys = json!({"access_key_id": "key", "access_key_secret": "secret", "security_token": "token"});
        assert_eq!(got[3], keys);
        let name = json!([
            got[4]["name"],
            got[4]["handler"],
            got[4]["memory"],
            got[4]["timeout"]
        ]);
        assert_eq!(name, json!(["hello", "index.handler", 512, 60]));
        assert_eq!(got[5]["log_project"], "project");
        let text = "def handler(event, c):
    return [c.aws_request_id, c.function_name, c.memory_limit_in_mb, c.invoked_function_arn,
        c.client_context.custom['a'], c.identity.cognito_identity_id, 0 < c.get_remaining_time_in_millis()]
";
        let program = function(&folder, "index.py", text).envs(&LAMBDA_VARIABLES);
        let mut instance = Cloud::Lambda.start(program);
        let want = json!([ID, "hello", "256", "arn:x", 1, "cid", true]);
        assert_eq!(json(instance.call_with(&lambda_fields(), "{}")), want);
        let text = "def handler(event, c): return [c[name] for name in
    ('request_id', 'memory_limit_in_mb', 'time_limit_in_ms', 'function_name')]\n";
        let program = function(&folder, "index.py", text).env("SCF_FUNCTIONNAME", "hello");
        let mut instance = Cloud::Scf.start(program);
        assert_eq!(
            json(instance.call_within(3000, "{}")),
            json!([ID, 128, 3000, "hello"])
        );
    }
}

mod node {
    use super::*;

    #[rustfmt::skip]
    const ROWS: [Row; 22] = [
        ("return 'hello é'", Ok("hello é".as_bytes()), ""),
        ("return Buffer.from([97, 0, 255, 10, 10])", Ok(b"a\0\xff\n\n"), ""),
        ("", Ok(b"null"), ""),
        ("return {a: [1, null, 'é']}", Ok("{\"a\":[1,null,\"é\"]}".as_bytes()), ""),
        ("return [NaN, -Infinity]", Ok(b"[null,null]"), ""),
        ("return event", Ok(b"ev"), ""),
        ("console.log('outé'); console.error('e %d', 1); process.stdout.write('x'); return 1", Ok(b"1"), "outé\ne 1\nx"),
        ("require('child_process').spawnSync('echo', ['child'], {stdio: 'inherit'}); return 1", Ok(b"1"), "child\n"),
        ("require('fs').writeSync(1, 'raw\\n'); return 1", Ok(b"1"), "raw\n"),
        ("await new Promise(done => setTimeout(done, 5)); return 1", Ok(b"1"), ""),
        ("return new Promise(done => setImmediate(done, 'p'))", Ok(b"p"), ""),
        ("setTimeout(() => 0, 99000); return 1", Ok(b"1"), ""),
        ("context.logger.info('hi'); return 1", Ok(b"1"), " [info] hi\n"),
        ("return require('child_process').execSync('echo $FC_FUNCTION_TIMEOUT')", Ok(b"30\n"), ""),
        ("return [process.argv.length, require.main === module]", Ok(b"[2,false]"), ""),
        ("class Mine extends Error { constructor(text) { super(text); this.name = 'Mine' } } throw new Mine('a\\nb')", Err(("Mine", "a\nb")), "Mine: a\nb\n"),
        ("throw undefined", Err(("undefined", "undefined")), ""),
        ("await Promise.reject(new TypeError('t'))", Err(("TypeError", "t")), ""),
        ("setTimeout(() => { throw new RangeError('late') }, 1); await new Promise(() => 0)", Err(("RangeError", "late")), ""),
        ("Promise.reject(new Error('lost')); await new Promise(() => setTimeout(() => 0, 9000))", Err(("Runtime.UnhandledPromiseRejection", "lost")), ""),
        ("console.log('bye'); process.exit(3)", Err(("Runtime.ExitError", "exit status 3")), "bye\n"),
        ("process.kill(process.pid, 'SIGKILL'); await new Promise(() => setTimeout(() => 0, 9000))", Err(("Signal", "signal 9")), ""),
    ];

    #[test]
    fn functions() {
        check("index.js", NODE, &ROWS);
    }

    /// With a callback, and as modules of either kind.
    #[test]
    fn forms() {
        let folder = Folder::new();
        folder.file("lib.js", 0o644, "exports.x = () => 'lib'");
        folder.file(
            "node_modules/dep/index.js",
            0o644,
            "exports.y = () => 'dep'",
        );
        folder.file("esm/package.json", 0o644, "{\"type\": \"module\"}");
        for (file, text) in [
            (
                "a.js",
                "exports.handler = (event, context, callback) => setTimeout(() => callback(null, 'ok'), 5)",
            ),
            (
                "b.cjs",
                "exports.handler = (event, context, callback) => callback(null, 'ok')",
            ),
            (
                "c.mjs",
                "const text = await Promise.resolve('ok'); export const handler = async () => text",
            ),
            ("esm/a.js", "export default { handler: async () => 'ok' }"),
            (
                "d.js",
                "const { x } = require('./lib'), { y } = require('dep'); exports.handler = async () => x() + y()",
            ),
        ] {
            let _case = Case(text);
            let want = if file == "d.js" { "libdep" } else { "ok" };
            let mut instance = Cloud::Fc.start(function(&folder, file, text));
            instance.call("").expect(want);
            instance.call("").expect(want);
        }
        let text = "exports.handler = (event, context) => event.k ? context.succeed('s') : context.fail(new Error('f'))";
        let mut instance = Cloud::Lambda.start(function(&folder, "e.js", text));
        instance.call("{\"k\": 1}").expect("s");
        instance.call("{}").expect_failure("Error", "f");
        let text = NODE.replace(
            "BODY",
            "const all = []; for (;;) all.push(new Array(1e4).fill(1.5))",
        );
        let program =
            function(&folder, "g.js", &text).env("NODE_OPTIONS", "--max-old-space-size=20");
        let mut instance = Cloud::Fc.start(program);
        let (kind, message) = instance.call("out of memory").failure();
        assert!(
            kind == "Signal" && message.starts_with("signal 6"),
            "{kind}: {message}"
        );
        instance.call("fine").expect("fine");
        let text = "exports.handler = async () => new Promise(() => 0)";
        let mut instance = Cloud::Lambda.start(function(&folder, "f.js", text));
        let message = "The promise of the function was never settled";
        instance
            .call("{}")
            .expect_failure("Runtime.NodeJsExit", message);
    }

    #[test]
    fn context() {
        let folder = Folder::new();
        let text = "exports.handler = async (event, context) => context";
        let mut instance = Cloud::Fc.start(function(&folder, "index.js", text));
        let mut want = super::fc_context();
        want["service"]["versionId"] = json!("1");
        want["logger"] = json!({});
        assert_eq!(json(instance.call_with(FC_FIELDS, "")), want);
        let text = "exports.handler = async (event, c) => [c.awsRequestId, c.functionName, c.memoryLimitInMB,
            c.invokedFunctionArn, c.clientContext.custom.a, c.identity.cognitoIdentityId, c.getRemainingTimeInMillis() > 0]";
        let program = function(&folder, "index.js", text).envs(&LAMBDA_VARIABLES);
        let mut instance = Cloud::Lambda.start(program);
        let want = json!([ID, "hello", "256", "arn:x", 1, "cid", true]);
        assert_eq!(json(instance.call_with(&lambda_fields(), "{}")), want);
        let text = "exports.handler = async (event, c) =>
            [c.request_id, c.memory_limit_in_mb, c.time_limit_in_ms, c.function_name]";
        let program = function(&folder, "index.js", text).env("SCF_FUNCTIONNAME", "hello");
        let mut instance = Cloud::Scf.start(program);
        assert_eq!(
            json(instance.call_within(3000, "{}")),
            json!([ID, 128, 3000, "hello"])
        );
    }
}

const FC_FIELDS: &str = concat!(
    "X-Fc-Request-Id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd\r\nX-Fc-Access-Key-Id: key\r\n",
    "X-Fc-Access-Key-Secret: secret\r\nX-Fc-Security-Token: token\r\nX-Fc-Function-Name: hello\r\n",
    "X-Fc-Function-Handler: index.handler\r\nX-Fc-Function-Memory: 512\r\nX-Fc-Function-Timeout: 60\r\n",
    "X-Fc-Region: cn-hangzhou\r\nX-Fc-Account-Id: 123\r\nX-Fc-Qualifier: LATEST\r\nX-Fc-Version-Id: 1\r\n",
    "X-Fc-Service-Name: service\r\nX-Fc-Service-Logproject: project\r\nX-Fc-Service-Logstore: store\r\n",
);

/// What FC's own runtimes of PHP and Node.js tell of that.
fn fc_context() -> Value {
    json!({
        "requestId": ID,
        "credentials": { "accessKeyId": "key", "accessKeySecret": "secret", "securityToken": "token" },
        "function": { "name": "hello", "handler": "index.handler", "memory": 512, "timeout": 60 },
        "service": { "name": "service", "logProject": "project", "logStore": "store", "qualifier": "LATEST" },
        "region": "cn-hangzhou",
        "accountId": "123",
    })
}

#[rustfmt::skip]
const LAMBDA_VARIABLES: [(&str, &str); 2] = [
    ("AWS_LAMBDA_FUNCTION_NAME", "hello"),
    ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
];

fn lambda_fields() -> String {
    Cloud::Lambda.fields(30_000)
        + "Lambda-Runtime-Invoked-Function-Arn: arn:x\r\n\
        Lambda-Runtime-Client-Context: {\"custom\": {\"a\": 1}}\r\n\
        Lambda-Runtime-Cognito-Identity: {\"cognitoIdentityId\": \"cid\"}\r\n"
}

/// Bytes on FC, what JSON stands for elsewhere.
#[test]
fn what_an_event_is() {
    let php = PHP.replace("BODY", "return [gettype($event), $event];");
    let python = "def handler(event, context):
    return [type(event).__name__, event if type(event) is dict else event.decode()]\n";
    let node = "exports.handler = async event => [Buffer.isBuffer(event), Buffer.isBuffer(event) ? event + '' : event]";
    let text = "{\"k\": [1]}";
    let value = json!({ "k": [1] });
    for (file, source, fc, other) in [
        (
            "index.php",
            &*php,
            json!(["string", text]),
            json!(["string", text]),
        ),
        (
            "index.py",
            python,
            json!(["bytes", text]),
            json!(["dict", value]),
        ),
        ("index.js", node, json!([true, text]), json!([false, value])),
    ] {
        let folder = Folder::new();
        for cloud in ONE_OF_EACH {
            let _case = Case((file, cloud));
            let mut instance = cloud.start(function(&folder, file, source));
            let want = if cloud == Cloud::Fc { &fc } else { &other };
            assert_eq!(&json(instance.call(text)), want);
            if cloud != Cloud::Fc && file != "index.php" {
                assert_eq!(instance.call("{x").failure().0, "Runtime.UnmarshalError");
                assert_eq!(&json(instance.call(text)), want);
            }
        }
    }
}

/// The failure's own trace, and all of a long message.
#[test]
fn a_failure_is_told_with_its_trace() {
    for (file, text, body, place) in [
        (
            "index.php",
            PHP,
            "throw new Exception(str_repeat('x', 100000));",
            "index.php:1",
        ),
        (
            "index.py",
            PYTHON,
            "raise ValueError('x' * 100000)",
            "in handler",
        ),
        (
            "index.js",
            NODE,
            "throw new Error('x'.repeat(100000))",
            "index.js:2",
        ),
    ] {
        for cloud in ONE_OF_EACH {
            let _case = Case((file, cloud));
            let folder = Folder::new();
            let mut instance = cloud.start(function(&folder, file, &text.replace("BODY", body)));
            let answer = instance.call("{}");
            assert!(!answer.is_success);
            let error: Value = serde_json::from_slice(&answer.body).expect("JSON");
            assert_eq!(error["errorMessage"].as_str().map(str::len), Some(100_000));
            let trace = error["stackTrace"].as_array().expect("a list");
            assert!(
                trace
                    .iter()
                    .any(|line| line.as_str().expect("text").contains(place)),
                "{trace:?}"
            );
        }
    }
}

/// What comes in comes out, and the next call is none the worse.
#[test]
fn long_events_and_logs() {
    let long = noise(6 * MIB);
    for (file, text) in [
        (
            "index.php",
            "<?php function handler($event, $context) { for ($i = 0; $i < 500; $i++) echo str_repeat('z', 8000), \"\\n\"; return $event; }",
        ),
        (
            "index.py",
            "def handler(event, context):\n for i in range(500): print('z' * 8000)\n return event",
        ),
        (
            "index.js",
            "exports.handler = async event => { for (let i = 0; i < 500; i++) console.log('z'.repeat(8000)); return event }",
        ),
        (
            "other.sh",
            "handler() { head -c 4000000 /dev/zero >&2; cat; }",
        ),
    ] {
        let _case = Case(file);
        let folder = Folder::new();
        let mut instance = Cloud::Fc.start(function(&folder, file, text));
        for event in [&long[..], b"", &long, b"\0x\n"] {
            instance.call(event).expect(event);
        }
        // A reader that is too slow for so much of it loses some.
        instance.server.stdout.wait_until(|log| log.len() > MIB);
    }
}
