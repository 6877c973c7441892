//! `bootstrap command`: a process for each event, on every platform, as its documents promise it.
//!
//! The programs are those of any Linux: shells, and what POSIX has beside them. What one of them has to wait for
//! is a FIFO that the test opens.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal};

use crate::api::{Api, ID, Peer, Platform, Request, response};
use crate::arm64;
use crate::harness::{
    Case, Client, Folder, Program, Response, Server, assert_same, bootstrap, bootstrap_arm64,
    chunked, find, fixture, get, in_own_network, noise, post, wait_for,
};

pub const MIB: usize = 1024 * 1024;

/// A platform, and how it calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cloud {
    Fc,
    /// A web function, which is a server on port 9000: only in a network of its own.
    ScfWeb,
    Scf,
    Lambda,
    /// With `FNBOOT_STREAMING`.
    LambdaStreaming,
    /// Managed Instances, with eight calls at once.
    LambdaManaged,
}

const CLOUDS: [Cloud; 5] = [
    Cloud::Fc,
    Cloud::Scf,
    Cloud::Lambda,
    Cloud::LambdaStreaming,
    Cloud::LambdaManaged,
];

/// A program behind `bootstrap`, which serves calls of a platform.
pub struct Instance {
    cloud: Cloud,
    pub server: Server,
    api: Option<Api>,
    pub peers: Vec<Peer>,
    turn: usize,
}

/// What a call came to.
#[derive(Debug)]
pub struct Answer {
    pub is_success: bool,
    pub body: Vec<u8>,
}

/// The type of an answer that Lambda is sent in pieces.
const INTEGRATION: &str = "application/vnd.awslambda.http-integration-response";

/// How long a call may take, where a test does not say.
const LIMIT_MS: u64 = 30_000;

impl Cloud {
    pub fn api(self) -> Option<Api> {
        match self {
            Self::Fc | Self::ScfWeb => None,
            Self::Scf => Some(Api::new(Platform::Scf)),
            _ => Some(Api::new(Platform::Lambda)),
        }
    }

    /// The fields of a call that may take so long.
    pub fn fields(self, limit_ms: u64) -> String {
        match self {
            Self::Fc => format!(
                "X-Fc-Request-Id: {ID}\r\nX-Fc-Control-Path: /invoke\r\nX-Fc-Function-Timeout: {}\r\n",
                limit_ms / 1000
            ),
            Self::ScfWeb => format!("X-Scf-Request-Id: {ID}\r\n"),
            Self::Scf => format!(
                "Request_Id: {ID}\r\nMemory_Limit_In_Mb: 128\r\nTime_Limit_In_Ms: {limit_ms}\r\n"
            ),
            _ => {
                let now = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .expect("a time");
                format!(
                    "Lambda-Runtime-Aws-Request-Id: {ID}\r\nLambda-Runtime-Deadline-Ms: {}\r\n",
                    now.as_millis() as u64 + limit_ms
                )
            }
        }
    }

    pub fn start(self, program: Program) -> Instance {
        let program = match self {
            Self::LambdaStreaming => program.env("FNBOOT_STREAMING", "on"),
            Self::LambdaManaged => program.env("AWS_LAMBDA_MAX_CONCURRENCY", 8),
            _ => program,
        };
        let api = self.api();
        let mut server = match &api {
            Some(api) => api.start(program),
            None => program.start(),
        };
        let mut peers = Vec::new();
        match (self, &api) {
            (Self::LambdaManaged, Some(api)) => {
                peers.extend((0..8).map(|_| api.accept()));
                for peer in &mut peers {
                    peer.expect_next();
                }
            }
            (_, Some(api)) => peers.push(api.first()),
            (Self::ScfWeb, None) => server.port = 9000,
            (_, None) => {}
        }
        Instance {
            cloud: self,
            server,
            api,
            peers,
            turn: 0,
        }
    }
}

impl Instance {
    #[track_caller]
    pub fn call(&mut self, event: impl AsRef<[u8]>) -> Answer {
        self.call_within(LIMIT_MS, event)
    }

    /// The same, with a deadline.
    #[track_caller]
    pub fn call_within(&mut self, limit_ms: u64, event: impl AsRef<[u8]>) -> Answer {
        self.call_with(&self.cloud.fields(limit_ms), event)
    }

    /// The same, with these fields.
    #[track_caller]
    pub fn call_with(&mut self, fields: &str, event: impl AsRef<[u8]>) -> Answer {
        if self.api.is_none() {
            let mut client = self.server.connect();
            let response = client
                .send(post("/invoke", fields, event))
                .read_response("POST");
            return Answer::from(response.expect("a response"));
        }
        let index = self.turn % self.peers.len();
        self.turn += 1;
        let peer = &mut self.peers[index];
        peer.send(response("200 OK", fields, event));
        let request = peer.request();
        peer.accept().expect_next();
        Answer::of(request)
    }

    /// What was written to the log so far, as soon as that is enough.
    #[track_caller]
    pub fn log_with(&self, part: &str) -> String {
        self.server.stdout.wait_until(|log| log.contains(part))
    }

    pub fn children(&self) -> Vec<u32> {
        children(self.server.id())
    }

    /// Nothing may be left of the calls, as soon as there has been time for it.
    #[track_caller]
    fn expect_nothing_left(&self) {
        wait_for("the end of all processes", || {
            self.children().is_empty().then_some(())
        });
    }
}

impl Answer {
    pub fn from(response: Response) -> Self {
        let status = response.header("x-fc-status");
        Self {
            is_success: response.status == 200 && status.is_none_or(|status| status == "200"),
            body: response.body,
        }
    }

    pub fn of(request: Request) -> Self {
        let is_success = request.line.ends_with("/response");
        let is_stream = request.header("content-type") == Some(INTEGRATION);
        let mut body = request.body;
        // What streams is an HTTP response: what precedes its body is checked, and taken off.
        if is_success && is_stream {
            let end = find(&body, &[0; 8]).expect("an end");
            let prelude: serde_json::Value = serde_json::from_slice(&body[..end]).expect("JSON");
            assert_eq!(prelude["statusCode"], 200);
            assert_eq!(
                prelude["headers"]["Content-Type"],
                "application/octet-stream"
            );
            body.drain(..end + 8);
        }
        Self { is_success, body }
    }

    /// The answer must be a success with that body.
    #[track_caller]
    pub fn expect(self, body: impl AsRef<[u8]>) {
        let text = String::from_utf8_lossy(&self.body[..self.body.len().min(500)]);
        assert!(self.is_success, "{text}");
        assert_same(&self.body, body.as_ref());
    }

    /// A success as text.
    #[track_caller]
    pub fn text(self) -> String {
        let text = String::from_utf8(self.body).expect("text");
        assert!(self.is_success, "{text}");
        text
    }

    /// Type and message of a failure.
    #[track_caller]
    pub fn failure(self) -> (String, String) {
        assert!(!self.is_success, "a success: {:?}", self.body.len());
        let error: serde_json::Value = serde_json::from_slice(&self.body).expect("JSON");
        let text = |name: &str| error[name].as_str().expect("text").to_owned();
        (text("errorType"), text("errorMessage"))
    }

    #[track_caller]
    pub fn expect_failure(self, kind: &str, message: &str) {
        let (got_kind, got_message) = self.failure();
        assert_eq!((&*got_kind, &*got_message), (kind, message));
    }
}

/// Processes whose parent is that one.
pub fn children(id: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children"));
    let list = list.unwrap_or_default();
    list.split_whitespace()
        .map(|id| id.parse().expect("a number"))
        .collect()
}

/// What `/proc/PID/stat` says: the state, and the group.
pub fn state(id: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    let state = words.next()?.chars().next()?;
    Some((state, words.nth(1)?.parse().ok()?))
}

/// Whether a process is gone, or waits for somebody to look at its end.
pub fn has_ended(id: u32) -> bool {
    state(id).is_none_or(|(state, _)| matches!(state, 'Z' | 'X'))
}

pub fn open_descriptors(id: u32) -> usize {
    fs::read_dir(format!("/proc/{id}/fd"))
        .expect("a folder")
        .count()
}

fn command<const N: usize>(words: [&str; N]) -> Program {
    Program::bootstrap().arguments(["command"]).arguments(words)
}

/// How a program is started in namespaces of its own, also by a user who is not root.
fn unshare<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let is_root = rustix::process::geteuid().is_root();
    let as_user = ["--user", "--map-root-user"];
    let as_user = if is_root { &[][..] } else { &as_user };
    [&["unshare"], as_user, words].concat()
}

fn shell(script: &str) -> Program {
    command(["sh", "-c", script])
}

/// A FIFO at which programs wait for the test.
pub struct Gate(PathBuf);

impl Gate {
    pub fn new(folder: &Folder) -> Self {
        let path = folder.at("gate");
        let status = Command::new("mkfifo").arg(&path).status().expect("mkfifo");
        assert!(status.success());
        Self(path)
    }

    /// What a shell says to wait there.
    pub fn wait(&self) -> String {
        format!(": < {}", self.0.display())
    }

    /// Lets everybody through, as long as the file is kept.
    pub fn open(&self) -> File {
        let both_ends = File::options().read(true).write(true).open(&self.0);
        both_ends.expect("a FIFO")
    }
}

/// Runs a test for each platform.
fn each(program: impl Fn() -> Program, test: impl Fn(&mut Instance)) {
    for cloud in CLOUDS {
        let _case = Case(cloud);
        test(&mut cloud.start(program()));
    }
}

/// Runs a test for each platform, at once, because it waits.
fn each_at_once(program: impl Fn() -> Program + Sync, test: impl Fn(&mut Instance) + Sync) {
    thread::scope(|scope| {
        for cloud in CLOUDS {
            let (program, test) = (&program, &test);
            scope.spawn(move || {
                let _case = Case(cloud);
                test(&mut cloud.start(program()));
            });
        }
    });
}

mod streams {
    //! What goes in and what comes out.

    use super::*;

    #[test]
    fn an_event_comes_back_as_it_was() {
        let long = noise(6 * MIB);
        each(
            || command(["cat"]),
            |instance| {
                for event in [
                    &b""[..],
                    b"Hello World",
                    b"\0\0a\0\n\n",
                    b"\xff\xfe\r\n",
                    &long,
                    b"x",
                ] {
                    instance.call(event).expect(event);
                }
                instance.expect_nothing_left();
            },
        );
    }

    #[test]
    fn an_event_is_a_file() {
        // To its end, from its beginning again, and again to the end.
        let script = "read -r line; echo \"$line\"; cat; cat; cat /dev/stdin; wc -c < /dev/stdin";
        each(
            || shell(script),
            |instance| instance.call("a\nb\n").expect("a\nb\na\nb\n4\n"),
        );
    }

    #[test]
    fn output_is_not_touched() {
        for (script, want) in [
            (":", &b""[..]),
            ("printf x", b"x"),
            ("printf '\\n\\n'", b"\n\n"),
            ("printf 'a\\0b\\0'", b"a\0b\0"),
            ("printf '\\377\\r\\n'", b"\xff\r\n"),
            ("printf 'Status: 404\\n\\nx'", b"Status: 404\n\nx"),
            // It may go on behind the end of its output, or have none at all.
            ("printf early; exec >&-; sleep 0.1; echo more >&2", b"early"),
            ("exec >&- 2>&- <&-; sleep 0.1", b""),
            // Nobody reads the event.
            ("exec <&-; echo y", b"y\n"),
        ] {
            let _case = Case(script);
            each(
                || shell(script),
                |instance| instance.call(noise(MIB)).expect(want),
            );
        }
    }

    #[test]
    fn nobody_has_to_read_the_event() {
        let event = noise(6 * MIB);
        each(
            || command(["true"]),
            |instance| instance.call(&event).expect(""),
        );
    }

    #[test]
    fn the_log_is_passed_on_as_it_comes() {
        let folder = Folder::new();
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let gate = Gate::new(&folder);
            let script = format!(
                "echo early >&2; {}; printf 'no\\tend' >&2; echo answer",
                gate.wait()
            );
            let mut instance = cloud.start(shell(&script));
            for count in 1..=2 {
                let log = instance.server.stdout.clone();
                thread::scope(|scope| {
                    let opened = scope.spawn(|| {
                        log.wait_until(|text| text.matches("early\n").count() == count);
                        gate.open()
                    });
                    instance.call("").expect("answer\n");
                    drop(opened.join());
                });
            }
            let log = instance.server.stdout.clone();
            let log = log.wait_until(|log| log.matches("no\tend").count() == 2);
            // Unprefixed, and each on lines of its own.
            let lines: Vec<_> = log
                .lines()
                .filter(|line| !line.starts_with("FC Invoke"))
                .collect();
            assert_eq!(lines, ["early", "no\tend", "early", "no\tend"], "{log}");
            fs::remove_file(&gate.0).expect("remove");
        }
    }

    #[test]
    fn lines_of_the_log_get_a_prefix_if_asked_for() {
        let script = "echo >&2; sleep 0.05; printf 'first\\nsec' >&2; sleep 0.05; printf 'ond\\n\\nthird' >&2";
        each(
            || shell(script).env("FNBOOT_LOG_PREFIX", "on"),
            |instance| {
                instance.call("").expect("");
                let log = instance.log_with("third");
                let is_json = instance.cloud == Cloud::LambdaManaged;
                let lines: Vec<_> = log
                    .lines()
                    .filter(|line| !line.starts_with("FC "))
                    .collect();
                for (line, text) in lines.iter().zip(["", "first", "second", "", "third"]) {
                    let end = if is_json {
                        format!(
                            "Z\",\"requestId\":\"{ID}\",\"level\":\"INFO\",\"message\":\"{text}\"}}"
                        )
                    } else {
                        format!("Z {ID} [INFO] {text}")
                    };
                    assert!(line.ends_with(&end), "{line:?} is not {end:?}");
                }
                assert_eq!(lines.len(), 5, "{log}");
            },
        );
    }

    #[test]
    fn lines_of_calls_beside_each_other_are_whole() {
        const CALLS: usize = 12;
        let script = "read -r name; i=0; while [ $i -lt 100 ]; do
            printf '<%s' $name $name $name >&2; printf ' %s>\\n' $i >&2; i=$((i + 1)); done";
        let mut server = shell(script).env("FNBOOT_MARKERS", "off").start();
        let mut clients: Vec<Client> = (0..CALLS).map(|_| server.connect()).collect();
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(post("/invoke", "", format!("name{index}\n")));
        }
        for client in &mut clients {
            client.expect(200);
        }
        let log = server
            .stdout
            .wait_until(|log| log.matches('\n').count() >= CALLS * 100);
        let mut counts = BTreeMap::new();
        for line in log.lines() {
            let (name, number) = line.rsplit_once(' ').expect(line);
            let count = counts.entry(name.to_owned()).or_insert(0);
            assert_eq!(number, format!("{count}>"), "{line}");
            *count += 1;
        }
        let wants: BTreeMap<_, _> = (0..CALLS)
            .map(|n| (format!("<name{n}<name{n}<name{n}"), 100))
            .collect();
        assert_eq!(counts, wants);
    }

    /// A line that is too long to be kept is passed on in pieces. A call that logs nothing does not part them.
    #[test]
    fn nothing_is_no_line_of_the_log() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let script = format!(
            "read -r what; [ \"$what\" = quiet ] && exit; head -c 5000 /dev/zero | tr '\\0' x >&2; {}; echo >&2",
            gate.wait()
        );
        let mut server = shell(&script).env("FNBOOT_MARKERS", "off").start();
        let mut client = server.connect();
        client.send(post("/invoke", "", "loud\n"));
        server.stdout.wait_until(|log| log.len() > 3000);
        server.call(post("/invoke", "", "quiet\n"), 200);
        let _open = gate.open();
        client.expect(200);
        let log = server.stdout.wait_until(|log| log.ends_with('\n'));
        assert_eq!(log, format!("{}\n", "x".repeat(5000)));
    }

    /// 10 MB on one line, without its end, and nothing of it is lost or kept in memory. The log is a file, because it
    /// does not wait for a reader that is slow.
    #[test]
    fn a_line_of_the_log_may_be_long() {
        let folder = Folder::new();
        for end in ["", "\\n"] {
            let script =
                format!("head -c 10000000 /dev/zero | tr '\\0' x >&2; printf '{end}' >&2; echo ok");
            let path = folder.at("log");
            let log = File::create(&path).expect("a file");
            let program = shell(&script).env("FNBOOT_MARKERS", "off");
            let mut instance = Cloud::Fc.start(program.stdout(log));
            instance.call("").expect("ok\n");
            let log = fs::read(&path).expect("a log");
            assert_same(
                log.strip_suffix(b"\n").unwrap_or(&log),
                &vec![b'x'; 10_000_000],
            );
            let peak_kib = instance.server.status_kib("VmHWM");
            assert!(peak_kib < 1024, "{peak_kib} KiB");
        }
    }

    /// The log of a call is with the kernel before the answer is.
    #[test]
    fn the_log_comes_before_the_answer() {
        let folder = Folder::new();
        for cloud in CLOUDS {
            let _case = Case(cloud);
            let path = folder.at("log");
            let log = File::create(&path).expect("a file");
            let program = shell("read -r n; echo line $n >&2; printf 'no end' >&2; echo $n");
            let mut instance = cloud.start(program.stdout(log));
            for turn in 0..50 {
                instance
                    .call(format!("{turn}\n"))
                    .expect(format!("{turn}\n"));
                let text = fs::read_to_string(&path).expect("text");
                assert!(text.contains(&format!("line {turn}\nno end")), "{text}");
            }
        }
    }

    /// A reader of the log that has gone, or has gone to sleep, costs no call.
    #[test]
    fn the_log_may_have_no_reader() {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let script = "head -c 1000000 /dev/zero >&2; echo ok";
        let mut instance = Cloud::Fc.start(shell(script).stdout(writer));
        instance.call("").expect("ok\n");
        let (_reader, writer) = std::io::pipe().expect("a pipe");
        let mut instance = Cloud::Fc.start(shell(script).stdout(writer));
        instance.call("").expect("ok\n");
        instance.call("").expect("ok\n");
    }
}

mod failures {
    //! What a call that fails is told as.

    use super::*;

    #[test]
    fn a_program_that_fails() {
        for (script, kind, message) in [
            ("exit 3", "ExitError", "exit status 3"),
            ("printf part; exit 255", "ExitError", "exit status 255"),
            (
                "echo a >&2; echo b >&2; exit 1",
                "ExitError",
                "exit status 1: a\nb",
            ),
            (
                "printf 'no end' >&2; exit 1",
                "ExitError",
                "exit status 1: no end",
            ),
            (
                "echo 'ValueError: bad \"thing\"' >&2; exit 1",
                "ValueError",
                "bad \"thing\"",
            ),
            (
                "echo a >&2; printf 'app.NotFound: x' >&2; exit 1",
                "app.NotFound",
                "x",
            ),
            (
                "echo 'KeyError: x' >&2; echo bye >&2; exit 1",
                "ExitError",
                "exit status 1: KeyError: x\nbye",
            ),
            ("kill -SEGV $$", "Signal", "signal 11"),
            (
                "printf part; echo last >&2; kill -KILL $$",
                "Signal",
                "signal 9: last",
            ),
            (
                "echo 'OutOfMemoryError: heap' >&2; kill -ABRT $$",
                "OutOfMemoryError",
                "heap",
            ),
        ] {
            let _case = Case(script);
            each(
                || shell(script),
                |instance| {
                    instance.call("event").expect_failure(kind, message);
                    instance.log_with(&format!("{kind}: "));
                    instance.expect_nothing_left();
                },
            );
        }
    }

    #[test]
    fn success_may_be_loud() {
        each(
            || shell("echo 'ValueError: not really' >&2; echo ok"),
            |instance| instance.call("").expect("ok\n"),
        );
    }

    /// Of a long log its end is told.
    #[test]
    fn the_last_lines_are_told() {
        let script =
            "i=0; while [ $i -lt 1000 ]; do echo \"line $i\" >&2; i=$((i + 1)); done; exit 1";
        each(
            || shell(script),
            |instance| {
                let (kind, message) = instance.call("").failure();
                assert_eq!(kind, "ExitError");
                let (first, last) = message.split_once('\n').expect("lines");
                assert!(first.starts_with("exit status 1: line 9"), "{message}");
                assert!(last.ends_with("\nline 998\nline 999"), "{message}");
                assert!(message.len() > 300 && message.len() < 500, "{message}");
            },
        );
    }

    /// What became of a file that could be executed when `bootstrap` was started.
    fn spoil(path: &Path, how: &str) {
        let write = |text: &str| fs::write(path, text).expect("write");
        match how {
            "deleted" => fs::remove_file(path).expect("remove"),
            "not executable" => {
                fs::set_permissions(path, fs::Permissions::from_mode(0o644)).expect("a mode");
            }
            "a folder" => {
                fs::remove_file(path).expect("remove");
                fs::create_dir(path).expect("a folder");
            }
            "crlf" => write("#!/bin/sh\r\necho ok\r\n"),
            "crlf behind an argument" => write("#! /bin/sh -e\r\necho ok\r\n"),
            "no interpreter" => write("#!/no/such/interpreter -x\necho ok\n"),
            "no format" => write("echo ok\n"),
            "empty" => write(""),
            other => panic!("{other}"),
        }
    }

    /// How it is spoiled, and what is said about it.
    const SPOILED: [(&str, &str); 7] = [
        ("deleted", "there is no program '$'"),
        ("not executable", "nobody may execute the program '$'"),
        ("a folder", "nobody may execute the program '$'"),
        (
            "crlf",
            "the first line of '$' ends with CR LF, as on Windows, so that Linux does not find its interpreter",
        ),
        (
            "no interpreter",
            "what '$' needs to be executed, its interpreter or loader, is not there",
        ),
        (
            "no format",
            "'$' is neither a binary for this machine nor a script with #! in its first line",
        ),
        (
            "empty",
            "'$' is neither a binary for this machine nor a script with #! in its first line",
        ),
    ];

    #[test]
    fn a_program_that_can_no_longer_be_executed() {
        let folder = Folder::new();
        for cloud in CLOUDS {
            for (how, message) in SPOILED {
                let _case = Case((cloud, how));
                let path = folder.file("program", 0o755, "#!/bin/sh\necho ok\n");
                let name = path.to_str().expect("text");
                let mut instance = cloud.start(command([name]));
                instance.call("").expect("ok\n");
                let descriptor_count = open_descriptors(instance.server.id());
                spoil(&path, how);
                let message = message.replace('$', name);
                instance.call("").expect_failure("NotExecutable", &message);
                let _ = fs::remove_dir(&path);
                folder.file("program", 0o755, "#!/bin/sh\necho again\n");
                instance.call("").expect("again\n");
                let id = instance.server.id();
                wait_for("the descriptors", || {
                    (open_descriptors(id) <= descriptor_count).then_some(())
                });
                instance.expect_nothing_left();
            }
        }
    }

    /// A start error names the program. On Lambda it is one of the initialization.
    #[test]
    fn a_program_that_cannot_be_started() {
        let folder = Folder::new();
        let crlf = SPOILED[3].1;
        let rows = SPOILED
            .into_iter()
            .chain([("crlf behind an argument", crlf)]);
        for (how, message) in rows {
            if how == "no format" || how == "empty" {
                // Nobody knows before it is tried.
                continue;
            }
            let path = folder.file("program", 0o755, "#!/bin/sh\necho ok\n");
            spoil(&path, how);
            let name = path.to_str().expect("text");
            let message = message.replace('$', name);
            for cloud in [Cloud::Fc, Cloud::Scf] {
                let _case = Case((cloud, how));
                let api = cloud.api();
                let program = command([name, "argument"]);
                let program = match &api {
                    Some(api) => api.program(program),
                    None => program,
                };
                let (status, stdout, stderr) = program.run();
                assert_eq!(status.code(), Some(1));
                assert_eq!(
                    (stdout, stderr),
                    (String::new(), format!("fnboot: {message}\n"))
                );
            }
            let _case = Case(how);
            let api = Api::new(Platform::Lambda);
            let mut server = api.start(command([name]));
            let mut peer = api.accept();
            let report = peer.expect("POST /2018-06-01/runtime/init/error");
            let error = report.json();
            assert_eq!(error["errorType"], "Runtime.InvalidEntrypoint");
            assert_eq!(error["errorMessage"], message);
            peer.accept();
            server.wait();
            server.stderr.take();
            let _ = fs::remove_dir(&path);
        }
    }

    /// Whoever may execute a file may not have to read it.
    #[test]
    fn a_program_that_cannot_be_read() {
        let folder = Folder::new();
        let fnboot = folder.at("bootstrap");
        fs::copy(bootstrap(), &fnboot).expect("a copy");
        let path = folder.file("cat", 0o111, fs::read("/bin/cat").expect("a program"));
        let is_root = rustix::process::geteuid().is_root();
        let nobody = "setpriv --reuid=54323 --regid=54323 --clear-groups --inh-caps=-all";
        let script = format!("exec {} \"$0\" \"$@\"", if is_root { nobody } else { "" });
        let program = Program::at(fnboot).arguments([OsString::from("command"), path.into()]);
        let mut instance = Cloud::Fc.start(program.in_shell(&script));
        instance.call("event").expect("event");
    }

    #[test]
    fn a_name_that_is_nowhere() {
        for (name, message) in [
            ("no-such-program", "there is no program 'no-such-program'"),
            (
                "./no-such-program",
                "there is no program './no-such-program'",
            ),
            ("", "there is no program ''"),
            ("/bin/sh/x", "there is no program '/bin/sh/x'"),
        ] {
            let (status, _, stderr) = command([name]).run();
            assert_eq!(status.code(), Some(1));
            assert_eq!(stderr, format!("fnboot: {message}\n"));
        }
        let (status, _, stderr) = command([]).run();
        assert_eq!(status.code(), Some(2));
        assert_eq!(stderr, "fnboot: command: of what? see --help\n");
    }

    /// A longer answer than allowed: its program is killed, and memory is bounded.
    #[test]
    fn a_gibibyte() {
        for script in [
            "head -c 1073741824 /dev/zero",
            "while :; do head -c 100000 /dev/zero || :; done",
        ] {
            each(
                || shell(script).env("FNBOOT_MAX_BODY", 1_000_000),
                |instance| {
                    let text = "the program answered with more than FNBOOT_MAX_BODY, or the platform, allows";
                    instance.call("").expect_failure("ResponseTooLong", text);
                    instance.expect_nothing_left();
                    let peak_kib = instance.server.status_kib("VmHWM");
                    assert!(peak_kib < 4096, "{peak_kib} KiB");
                },
            );
        }
        // As much as is allowed is.
        each(
            || shell("head -c 1000000 /dev/zero").env("FNBOOT_MAX_BODY", 1_000_000),
            |instance| instance.call("").expect(vec![0; 1_000_000]),
        );
    }
}

mod words {
    //! Which program it is, and with which arguments.

    use super::*;

    /// Shows each argument in brackets.
    const SHOW: &str = "printf '[%s]' \"$0\" \"$@\"";

    #[test]
    fn arguments_are_passed_as_they_are() {
        let words = [
            "sh", "-c", SHOW, "name", "a b", "", "'\"", "$HOME", "*", "--", "\\", "-n", "\n", "",
        ];
        each(
            || command(words).env("FNBOOT", "command false"),
            |instance| {
                let want = "[name][a b][]['\"][$HOME][*][--][\\][-n][\n][]";
                instance.call("").expect(want);
                instance.call("").expect(want);
            },
        );
    }

    /// Nobody asks for text.
    #[test]
    fn arguments_are_bytes() {
        use std::os::unix::ffi::OsStringExt;
        let word = OsString::from_vec(b"\xff\xfe".to_vec());
        let mut instance = Cloud::Fc.start(command(["printf", "[%s]"]).arguments([word]));
        instance.call("").expect(b"[\xff\xfe]");
    }

    #[test]
    fn arguments_may_be_in_the_environment() {
        for (text, want) in [
            (
                r#"command sh -c 'printf "[%s]" "$@"' name 'a b' """#,
                "[a b][]",
            ),
            (
                "  command\tprintf [%s]  a\\ b 'c\"d' \"e'f\"\n",
                "[a b][c\"d][e'f]",
            ),
            (r#""command" printf [%s] "\$x\\""#, "[$x\\]"),
        ] {
            let _case = Case(text);
            each(
                || Program::bootstrap().env("FNBOOT", text),
                |instance| instance.call("").expect(want),
            );
        }
    }

    #[test]
    fn what_is_wrong_in_the_environment_is_told() {
        let long = "x".repeat(5000);
        for (text, status, want) in [
            (
                "command 'cat",
                1,
                "FNBOOT: 'command 'cat' has a quote without its end",
            ),
            (
                "command \"cat",
                1,
                "FNBOOT: 'command \"cat' has a quote without its end",
            ),
            (
                "command cat\\",
                1,
                "FNBOOT: 'command cat\\' has a backslash at its end",
            ),
            ("'", 1, "FNBOOT: ''' has a quote without its end"),
            ("command", 2, "command: of what? see --help"),
            ("commando cat", 2, "unknown argument 'commando'; see --help"),
            (
                "command no-such-program x",
                1,
                "there is no program 'no-such-program'",
            ),
            (
                &format!("command cat {long}"),
                1,
                "FNBOOT: a word of it is longer than 4096 bytes",
            ),
        ] {
            let _case = Case(text);
            let (code, _, stderr) = Program::bootstrap().env("FNBOOT", text).run();
            assert_eq!(stderr, format!("fnboot: {want}\n"));
            assert_eq!(code.code(), Some(status));
        }
    }

    #[test]
    fn bad_settings_are_told() {
        for (name, value, want) in [
            ("FNBOOT_LOG_PREFIX", "yes", "'yes' is not on or off"),
            (
                "FNBOOT_MAX_BODY",
                "1M",
                "'1M' is not bytes, up to 1073741824",
            ),
        ] {
            let (status, _, stderr) = command(["cat"]).env(name, value).run();
            assert_eq!(stderr, format!("fnboot: {name}: {want}\n"));
            assert_eq!(status.code(), Some(1));
        }
    }

    #[test]
    fn nothing_but_blanks_is_nothing() {
        for text in ["", " ", "\n\t "] {
            let mut server = Program::bootstrap().env("FNBOOT", text).start();
            server.connect().expect_open();
        }
    }

    #[test]
    fn programs_are_looked_for_in_the_path() {
        let folder = Folder::new();
        let script = |name: &str, mode| {
            let text = format!("#!/bin/sh\necho {name}\n");
            folder.file(name, mode, text)
        };
        script("a/hello", 0o755);
        script("b/hello", 0o755);
        script("c/hello", 0o644);
        script("c/only", 0o644);
        fs::create_dir_all(folder.at("d/hello")).expect("a folder");
        let at = |name: &str| folder.at(name).display().to_string();
        let (a, b, c, d) = (at("a"), at("b"), at("c"), at("d"));
        for (path, want) in [
            (format!("{a}:{b}"), "a/hello\n"),
            (format!("{b}:{a}"), "b/hello\n"),
            (format!("/nowhere:{c}:{d}:{b}/"), "b/hello\n"),
            (format!("{a}/../b"), "b/hello\n"),
        ] {
            let _case = Case(path.clone());
            let mut instance = Cloud::Fc.start(command(["hello"]).env("PATH", path));
            instance.call("").expect(want);
        }
        for (path, want) in [
            (c.clone(), "nobody may execute the program 'only'"),
            (a, "there is no program 'only'"),
        ] {
            let (_, _, stderr) = command(["only"]).env("PATH", path).run();
            assert_eq!(stderr, format!("fnboot: {want}\n"));
        }
        // Without one, or with an empty one, it is the usual folders.
        for program in [command(["true"]), command(["true"]).env("PATH", "")] {
            Cloud::Fc.start(program).call("").expect("");
        }
        // A part that is empty is the working folder, and a name with a slash is looked for nowhere else.
        let there = |script: &str| format!("cd {} && {script}", at("a"));
        for (name, path) in [("hello", ":/bin"), ("hello", "/bin:"), ("./hello", "/bin")] {
            let program = command([name]).env("PATH", path);
            let program = program.in_shell(&there("exec \"$0\" \"$@\""));
            Cloud::Fc.start(program).call("").expect("a/hello\n");
        }
    }
}

mod environment {
    //! What a program is told by variables, and what it is not.

    use super::*;

    type Variables = BTreeMap<String, String>;

    #[track_caller]
    fn variables(answer: Answer) -> Variables {
        let text = answer.text();
        let pair = |variable: &str| {
            let (name, value) = variable.split_once('=').expect("=");
            (name.to_owned(), value.to_owned())
        };
        let count = text.split_terminator('\0').count();
        let variables: Variables = text.split_terminator('\0').map(pair).collect();
        assert_eq!(variables.len(), count, "a variable twice: {text}");
        variables
    }

    /// What every process has, and what only a call may say.
    const PROCESS: [(&str, &str); 16] = [
        ("KEPT", "a=b c"),
        ("EMPTY", ""),
        ("LAMBDA_TASK_ROOT", "/var/task"),
        ("AWS_ACCESS_KEY_ID", "its own"),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "of the start"),
        ("FNBOOT", "command env -0"),
        ("FNBOOT_MARKERS", "off"),
        ("LAMBDA_RUNTIME_AWS_REQUEST_ID", "stale"),
        ("LAMBDA_RUNTIME_DEADLINE_MS", "stale"),
        ("LAMBDA_RUNTIME_CLIENT_CONTEXT", "stale"),
        ("_X_AMZN_TRACE_ID", "stale"),
        ("TRACEPARENT", "stale"),
        ("FC_CUSTOM_CONTAINER_EVENT", "stale"),
        ("FC_REQUEST_ID", "stale"),
        ("FC_RETRY_COUNT", "stale"),
        ("SCF_REQUEST_ID", "stale"),
    ];

    fn program() -> Program {
        Program::bootstrap().envs(&PROCESS)
    }

    #[track_caller]
    fn check(variables: &Variables, wants: &[(&str, Option<&str>)]) {
        for (name, want) in wants {
            assert_eq!(variables.get(*name).map(String::as_str), *want, "{name}");
        }
    }

    const ALWAYS: [(&str, Option<&str>); 7] = [
        ("KEPT", Some("a=b c")),
        ("EMPTY", Some("")),
        ("LAMBDA_TASK_ROOT", Some("/var/task")),
        ("AWS_ACCESS_KEY_ID", Some("its own")),
        ("FNBOOT", None),
        ("FNBOOT_MARKERS", Some("off")),
        ("LAMBDA_RUNTIME_CLIENT_CONTEXT", None),
    ];

    #[test]
    fn fc() {
        let mut server = program().start();
        let fields = "X-Fc-Request-Id: 1-2-3\r\nX-Fc-Control-Path: /invoke\r\nX-Fc-Access-Key-Id: key\r\n\
            X-Fc-Access-Key-Secret: secret\r\nX-Fc-Security-Token: token\r\nX-Fc-Function-Name: hello\r\n\
            X-Fc-Function-Handler: index.handler\r\nX-Fc-Function-Memory: 512\r\nX-Fc-Function-Timeout: 60\r\n\
            X-Fc-Region: cn-hangzhou\r\nX-Fc-Account-Id: 123\r\nX-Fc-Qualifier: LATEST\r\nX-Fc-Version-Id: \r\n\
            X-Fc-Service-Name: service\r\nX-Fc-Service-Logproject: project\r\nX-Fc-Service-Logstore: store\r\n\
            X-Fc-Retry-Count: 2\r\nTraceparent: 00-1-2-01\r\nAuthorization: Basic x\r\nProxy: evil\r\n";
        let before_ms = epoch_ms();
        let told = variables(Answer::from(
            server.call(post("/invoke", fields, "an\nevent"), 200),
        ));
        check(&told, &ALWAYS);
        check(
            &told,
            &[
                ("FC_REQUEST_ID", Some("1-2-3")),
                ("LAMBDA_RUNTIME_AWS_REQUEST_ID", Some("1-2-3")),
                ("AWS_LAMBDA_REQUEST_ID", Some("1-2-3")),
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", Some("key")),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", Some("secret")),
                ("ALIBABA_CLOUD_SECURITY_TOKEN", Some("token")),
                ("FC_FUNCTION_NAME", Some("hello")),
                ("FC_FUNCTION_HANDLER", Some("index.handler")),
                ("FC_FUNCTION_MEMORY_SIZE", Some("512")),
                ("FC_FUNCTION_TIMEOUT", Some("60")),
                ("FC_REGION", Some("cn-hangzhou")),
                ("FC_ACCOUNT_ID", Some("123")),
                ("FC_QUALIFIER", Some("LATEST")),
                ("FC_VERSION_ID", None),
                ("FC_SERVICE_NAME", Some("service")),
                ("FC_LOG_PROJECT", Some("project")),
                ("FC_LOG_STORE", Some("store")),
                ("FC_RETRY_COUNT", Some("2")),
                ("FC_CUSTOM_CONTAINER_EVENT", Some("an\nevent")),
                ("TRACEPARENT", Some("00-1-2-01")),
                ("_X_AMZN_TRACE_ID", None),
                ("HTTP_AUTHORIZATION", None),
                ("HTTP_PROXY", None),
                ("REQUEST_METHOD", None),
                // Another platform's name is the process's own.
                ("SCF_REQUEST_ID", Some("stale")),
            ],
        );
        let deadline_ms: u64 = told["LAMBDA_RUNTIME_DEADLINE_MS"]
            .parse()
            .expect("a number");
        assert!(
            (before_ms + 60_000..=epoch_ms() + 60_000).contains(&deadline_ms),
            "{deadline_ms}"
        );
        // What the next call does not say is not there.
        let told = variables(Answer::from(server.call(post("/invoke", "", "\0"), 200)));
        check(&told, &ALWAYS);
        check(
            &told,
            &[
                ("FC_REQUEST_ID", None),
                ("LAMBDA_RUNTIME_AWS_REQUEST_ID", None),
                ("LAMBDA_RUNTIME_DEADLINE_MS", None),
                ("ALIBABA_CLOUD_ACCESS_KEY_ID", Some("of the start")),
                ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", None),
                ("FC_FUNCTION_NAME", None),
                ("FC_RETRY_COUNT", None),
                ("FC_CUSTOM_CONTAINER_EVENT", None),
                ("TRACEPARENT", None),
            ],
        );
    }

    fn epoch_ms() -> u64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .expect("a time")
            .as_millis() as u64
    }

    #[test]
    fn lambda() {
        for cloud in [Cloud::Lambda, Cloud::LambdaStreaming, Cloud::LambdaManaged] {
            let _case = Case(cloud);
            let mut instance = cloud.start(program());
            let peer = &mut instance.peers[0];
            let fields = "Lambda-Runtime-Aws-Request-Id: id\r\nLambda-Runtime-Deadline-Ms: 4102444800000\r\n\
                Lambda-Runtime-Invoked-Function-Arn: arn:x\r\nLambda-Runtime-Trace-Id: Root=1\r\n\
                Lambda-Runtime-Client-Context: {\"a\": 1}\r\nLambda-Runtime-Cognito-Identity: {}\r\n";
            peer.send(response("200 OK", fields, "{}"));
            let told = variables(Answer::of(peer.request()));
            check(&told, &ALWAYS[..6]);
            check(
                &told,
                &[
                    ("LAMBDA_RUNTIME_AWS_REQUEST_ID", Some("id")),
                    ("AWS_LAMBDA_REQUEST_ID", Some("id")),
                    ("LAMBDA_RUNTIME_DEADLINE_MS", Some("4102444800000")),
                    ("LAMBDA_RUNTIME_INVOKED_FUNCTION_ARN", Some("arn:x")),
                    ("LAMBDA_RUNTIME_TRACE_ID", Some("Root=1")),
                    ("_X_AMZN_TRACE_ID", Some("Root=1")),
                    ("LAMBDA_RUNTIME_CLIENT_CONTEXT", Some("{\"a\": 1}")),
                    ("LAMBDA_RUNTIME_COGNITO_IDENTITY", Some("{}")),
                    ("FC_CUSTOM_CONTAINER_EVENT", Some("{}")),
                    ("TRACEPARENT", None),
                ],
            );
            peer.accept().expect_next();
            peer.event("");
            let told = variables(Answer::of(peer.request()));
            check(&told, &ALWAYS);
            check(
                &told,
                &[
                    ("LAMBDA_RUNTIME_INVOKED_FUNCTION_ARN", None),
                    ("_X_AMZN_TRACE_ID", None),
                    ("FC_CUSTOM_CONTAINER_EVENT", None),
                ],
            );
            peer.accept().expect_next();
        }
    }

    #[test]
    fn scf() {
        let mut instance = Cloud::Scf.start(program());
        let peer = &mut instance.peers[0];
        peer.event("event");
        let told = variables(Answer::of(peer.request()));
        check(&told, &ALWAYS);
        check(
            &told,
            &[
                ("SCF_REQUEST_ID", Some(ID)),
                ("LAMBDA_RUNTIME_AWS_REQUEST_ID", Some(ID)),
                ("SCF_MEMORY_LIMIT_IN_MB", Some("128")),
                ("SCF_TIME_LIMIT_IN_MS", Some("3000")),
                ("FC_CUSTOM_CONTAINER_EVENT", Some("event")),
                ("TRACEPARENT", None),
            ],
        );
        assert!(told.contains_key("LAMBDA_RUNTIME_DEADLINE_MS"));
        peer.accept().expect_next();
    }

    /// A variable may be 128 KiB long for the kernel, name and end included: the event is one only below.
    #[test]
    fn an_event_that_is_long_is_no_variable() {
        let least = "FC_CUSTOM_CONTAINER_EVENT=".len() + 1;
        let mut instance =
            Cloud::Fc.start(shell("printf %s \"$FC_CUSTOM_CONTAINER_EVENT\" | wc -c"));
        for (len, want) in [
            (1, 1),
            (128 * 1024 - least, 128 * 1024 - least),
            (128 * 1024 - least + 1, 0),
            (MIB, 0),
        ] {
            instance.call(vec![b'x'; len]).expect(format!("{want}\n"));
        }
        for event in [&b"a\0b"[..], b"\xff"] {
            instance.call(event).expect("0\n");
        }
    }

    /// An environment that is too large is one that the kernel refuses.
    #[test]
    fn too_much_of_it_is_told() {
        let mut program = command(["cat"]);
        for index in 0..20 {
            program = program.env(&format!("LONG_{index}"), "x".repeat(100_000));
        }
        let mut instance = Cloud::Fc.start(program);
        instance.call("a").expect("a");
        let (kind, _) = instance.call(vec![b'x'; 120_000]).failure();
        assert_eq!(kind, "EventTooLong");
        instance.call("a").expect("a");
    }

    /// What a process has of other descriptors, signals and groups than its own: nothing.
    #[test]
    fn nothing_else_is_inherited() {
        let folder = Folder::new();
        let path = folder.file("other", 0o644, "");
        // What started it left a descriptor open, and signals ignored.
        let script = format!(
            "exec 7< {} && trap '' PIPE INT CHLD && exec \"$0\" \"$@\"",
            path.display()
        );
        let shown = |words: [&str; 2]| {
            let mut instance = Cloud::Fc.start(command(words).in_shell(&script));
            (instance.call("").text(), instance.server.id())
        };
        // The last one is the folder that it reads.
        assert_eq!(shown(["ls", "/proc/self/fd"]).0, "0\n1\n2\n3\n");
        let (status, _) = shown(["cat", "/proc/self/status"]);
        for name in ["SigPnd", "SigBlk", "SigIgn", "SigCgt"] {
            assert!(
                status.contains(&format!("{name}:\t0000000000000000\n")),
                "{status}"
            );
        }
        let (stat, server) = shown(["cat", "/proc/self/stat"]);
        let words: Vec<_> = stat.split(' ').collect();
        assert_eq!((words[0], words[3]), (words[4], &*server.to_string()));
    }
}

mod http {
    //! Requests.

    use super::*;

    fn variables(response: &Response) -> BTreeMap<String, String> {
        let text = response.text();
        let variables = text
            .split_terminator('\0')
            .filter_map(|variable| variable.split_once('='));
        variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    const FIELDS: &str = "X-Fc-Request-Id: id\r\nX-Fc-Access-Key-Id: key\r\nX-Fc-Security-Token: token\r\n\
        Authorization: Bearer x\r\nProxy-Authorization: Basic x\r\nProxy: http://evil\r\nX_Real_Ip: forged\r\n\
        X-Real-Ip: 192.0.2.1\r\nCookie: a=1\r\nCookie: b=2\r\nAccept: a\r\nAccept: b\r\nContent-Type: text/plain\r\n\
        X-Forwarded-Proto: https\r\n";

    fn check(told: &BTreeMap<String, String>) {
        let software = concat!("fnboot/", env!("CARGO_PKG_VERSION"));
        for (name, want) in [
            ("GATEWAY_INTERFACE", Some("CGI/1.1")),
            ("SERVER_SOFTWARE", Some(software)),
            ("SERVER_PROTOCOL", Some("HTTP/1.1")),
            ("SERVER_NAME", Some("h")),
            ("SERVER_PORT", Some("443")),
            ("REQUEST_METHOD", Some("POST")),
            ("REQUEST_URI", Some("/a%20b/c?x=%20&y")),
            ("PATH_INFO", Some("/a b/c")),
            ("QUERY_STRING", Some("x=%20&y")),
            ("SCRIPT_NAME", Some("")),
            ("CONTENT_TYPE", Some("text/plain")),
            ("CONTENT_LENGTH", Some("4")),
            ("HTTPS", Some("on")),
            ("HTTP_HOST", Some("h")),
            ("HTTP_X_REAL_IP", Some("192.0.2.1")),
            ("HTTP_COOKIE", Some("a=1; b=2")),
            ("HTTP_ACCEPT", Some("a, b")),
            ("HTTP_AUTHORIZATION", None),
            ("HTTP_PROXY_AUTHORIZATION", None),
            ("HTTP_PROXY", None),
            ("HTTP_X_FC_ACCESS_KEY_ID", None),
            ("HTTP_X_FC_SECURITY_TOKEN", None),
            ("FC_CUSTOM_CONTAINER_EVENT", None),
        ] {
            assert_eq!(told.get(name).map(String::as_str), want, "{name}");
        }
        assert!(told.contains_key("REMOTE_ADDR"));
    }

    #[test]
    fn a_request_is_told_as_to_cgi() {
        // What another request may set is not of this one, although the process has it.
        let program = command(["env", "-0"])
            .env("HTTP_X_OTHER", "stale")
            .env("QUERY_STRING", "stale");
        let mut server = program.env("HTTP_PROXY", "http://own").start();
        for path in ["", "X-Fc-Control-Path: /http-invoke\r\n"] {
            let fields = format!("{FIELDS}{path}");
            let answer = server.call(post("/a%20b/c?x=%20&y", &fields, "body"), 200);
            assert_eq!(
                answer.header("content-type"),
                Some("application/octet-stream")
            );
            let mut told = variables(&answer);
            assert_eq!(told.remove("HTTP_PROXY").as_deref(), Some("http://own"));
            check(&told);
            assert_eq!(told.get("HTTP_X_OTHER"), None);
            assert_eq!(told["ALIBABA_CLOUD_ACCESS_KEY_ID"], "key");
        }
        let answer = server.call(
            chunked("/", "X-Fc-Request-Id: id\r\n", b"twelve bytes", 5),
            200,
        );
        assert_eq!(variables(&answer)["CONTENT_LENGTH"], "12");
        let told = variables(&server.call(get("/", "X-Fc-Request-Id: id\r\n"), 200));
        assert_eq!(told["QUERY_STRING"], "");
        assert_eq!(told.get("CONTENT_LENGTH"), None);
        assert_eq!(told.get("HTTP_X_OTHER"), None);
    }

    #[test]
    fn the_answer_has_the_type_that_was_set() {
        let text = "text/html; charset=utf-8";
        let mut server = command(["cat"]).env("FNBOOT_CONTENT_TYPE", text).start();
        let answer = server.call(post("/", "X-Fc-Request-Id: id\r\n", "<p>"), 200);
        assert_eq!(
            (answer.header("content-type"), answer.text()),
            (Some(text), "<p>".into())
        );
        for (value, shown) in [
            ("a\r\nSet-Cookie: x", "a  Set-Cookie: x"),
            ("a\u{7f}", "a "),
            ("a\u{1}b", "a b"),
        ] {
            let (status, _, stderr) = command(["cat"]).env("FNBOOT_CONTENT_TYPE", value).run();
            assert_eq!(status.code(), Some(1));
            assert_eq!(
                stderr,
                format!("fnboot: FNBOOT_CONTENT_TYPE: '{shown}' is not a type\n")
            );
        }
    }

    #[test]
    fn a_failure_is_an_error_of_the_server() {
        let mut server = shell("echo 'ValueError: bad' >&2; printf part; exit 1").start();
        let answer = server.call(post("/", "X-Fc-Request-Id: id\r\n", ""), 500);
        assert!(answer.text().contains("ValueError"), "{answer:?}");
        assert!(!answer.text().contains("part"));
    }

    #[test]
    fn only_calls_start_a_process() {
        let folder = Folder::new();
        let path = folder.at("started");
        let mut server = shell(&format!("echo x >> {}", path.display())).start();
        for request in [
            get("/", "").into_bytes(),
            get("/health", "User-Agent: x\r\n").into_bytes(),
            post(
                "/initialize",
                "X-Fc-Request-Id: id\r\nX-Fc-Control-Path: /initialize\r\n",
                "",
            ),
            get(
                "/pre-stop",
                "X-Fc-Request-Id: id\r\nX-Fc-Control-Path: /pre-stop\r\n",
            )
            .into_bytes(),
            get(
                "/pre-freeze",
                "X-Fc-Request-Id: id\r\nX-Fc-Control-Path: /pre-freeze\r\n",
            )
            .into_bytes(),
            post(
                "/unknown",
                "X-Fc-Request-Id: id\r\nX-Fc-Control-Path: /unknown\r\n",
                "x",
            ),
        ] {
            server.call(request, 200);
        }
        let answer = server
            .connect()
            .send("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n")
            .expect_head(200);
        assert_eq!(answer.body, b"");
        assert!(!path.exists());
        // A connection that only looks whether somebody listens.
        drop(server.connect());
        server.call(post("/", "X-Fc-Request-Id: id\r\n", ""), 200);
        assert_eq!(fs::read_to_string(&path).expect("text"), "x\n");
        assert!(!server.stdout.text().contains("ERROR"));
    }

    #[test]
    fn web_functions_of_scf() {
        in_own_network("command::http::web_functions_of_scf", || {
            let folder = Folder::new();
            let path = folder.at("scf_bootstrap");
            fs::copy(bootstrap(), &path).expect("a copy");
            let start = |words: &[&str]| {
                let program = Program::at(path.clone())
                    .arguments(["command"])
                    .arguments(words);
                Cloud::ScfWeb.start(program.without_port().env("FNBOOT_TIMEOUT", "1"))
            };
            let long = noise(6 * MIB);
            let mut instance = start(&["cat"]);
            for event in [&b""[..], b"a\0b\n", &long] {
                instance.call(event).expect(event);
            }
            // A probe has no id, but nobody knows of one on this platform: it is a request.
            instance.server.call(get("/", ""), 200);
            drop(instance);
            let mut instance = start(&["env", "-0"]);
            let fields = "X-Scf-Request-Id: id\r\nX-Scf-Secret-Id: key\r\nX-Scf-Secret-Key: secret\r\n\
                X-Scf-Session-Token: token\r\nX-Scf-Memory-Limit-In-Mb: 128\r\n";
            let answer = instance.server.call(
                post("/a%20b/c?x=%20&y", &format!("{FIELDS}{fields}"), "body"),
                200,
            );
            let told = variables(&answer);
            check(&told);
            for (name, want) in [
                ("SCF_REQUEST_ID", Some("id")),
                ("TENCENTCLOUD_SECRETID", Some("key")),
                ("TENCENTCLOUD_SECRETKEY", Some("secret")),
                ("TENCENTCLOUD_SESSIONTOKEN", Some("token")),
                ("HTTP_X_SCF_SECRET_KEY", None),
            ] {
                assert_eq!(told.get(name).map(String::as_str), want, "{name}");
            }
            drop(instance);
            for (script, kind, message) in [
                ("exit 3", "ExitError", "exit status 3"),
                ("echo 'ValueError: bad' >&2; exit 1", "ValueError", "bad"),
                (
                    "trap '' TERM; while :; do sleep 1; done",
                    "TimedOut",
                    "no answer before the deadline",
                ),
            ] {
                start(&["sh", "-c", script])
                    .call("")
                    .expect_failure(kind, message);
            }
        });
    }
}

mod side_by_side {
    //! Many calls at once.

    use super::*;

    fn connect(server: &mut Server, count: usize) -> Vec<Client> {
        (0..count).map(|_| server.connect()).collect()
    }

    fn send_all(clients: &mut [Client]) {
        for (index, client) in clients.iter_mut().enumerate() {
            client.send(post(
                "/invoke",
                "X-Fc-Function-Timeout: 60\r\n",
                format!("{index}"),
            ));
        }
    }

    fn expect_all(clients: &mut [Client]) {
        for (index, client) in clients.iter_mut().enumerate() {
            assert_eq!(client.expect(200).text(), format!("{index}"));
        }
    }

    #[test]
    fn two_hundred_calls() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let mut server = shell(&format!("{}; exec cat", gate.wait())).start();
        let mut clients = connect(&mut server, 200);
        send_all(&mut clients);
        wait_for("200 processes", || {
            (children(server.id()).len() == 200).then_some(())
        });
        let _open = gate.open();
        expect_all(&mut clients);
        assert_eq!(children(server.id()), [] as [u32; 0]);
    }

    #[test]
    fn more_than_256_wait() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let program = shell(&format!("echo started >&2; {}; exec cat", gate.wait()));
        let mut server = program.env("FNBOOT_MARKERS", "off").start();
        let mut clients = connect(&mut server, 300);
        send_all(&mut clients);
        let started = |text: &str| text.matches("started").count();
        server.stdout.wait_until(|log| started(log) == 256);
        // Another request is served meanwhile.
        server.call(get("/", ""), 200);
        assert_eq!(children(server.id()).len(), 256);
        assert_eq!(started(&server.stdout.text()), 256);
        // All of them end before fnboot sees the end of the first.
        server.signal(Signal::STOP);
        let _open = gate.open();
        let running = children(server.id());
        wait_for("the end of all", || {
            running.iter().all(|&id| has_ended(id)).then_some(())
        });
        server.signal(Signal::CONT);
        expect_all(&mut clients);
        assert_eq!(started(&server.stdout.text()), 300);
    }

    /// A call that waits for another's end has a deadline, too.
    #[test]
    fn a_call_that_waits_times_out() {
        let program = command(["sleep", "30"]).in_shell("ulimit -n 20 && exec \"$0\" \"$@\"");
        let mut server = program.start();
        let mut clients = connect(&mut server, 6);
        let begin = Instant::now();
        for client in &mut clients {
            client.send(post("/invoke", &Cloud::Fc.fields(1000), ""));
        }
        for client in &mut clients {
            let (kind, _) =
                Answer::from(client.read_response("POST").expect("a response")).failure();
            assert!(kind == "TimedOut" || kind == "OutOfResources", "{kind}");
        }
        assert!(
            begin.elapsed() < Duration::from_millis(1500),
            "{:?}",
            begin.elapsed()
        );
        wait_for("the end", || children(server.id()).is_empty().then_some(()));
    }

    #[test]
    fn on_managed_instances() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let mut instance = Cloud::LambdaManaged.start(shell(&format!("{}; exec cat", gate.wait())));
        for (index, peer) in instance.peers.iter_mut().enumerate() {
            peer.event(format!("{index}"));
        }
        wait_for("8 processes", || {
            (children(instance.server.id()).len() == 8).then_some(())
        });
        let _open = gate.open();
        for (index, peer) in instance.peers.iter_mut().enumerate() {
            assert_eq!(peer.request().text(), format!("{index}"));
            peer.accept().expect_next();
        }
    }

    /// Calls wait, or fail and say so, and all is well afterwards.
    #[test]
    fn out_of_descriptors() {
        for limit in [20, 24, 64] {
            let _case = Case(limit);
            let script = format!("ulimit -n {limit} && exec \"$0\" \"$@\"");
            let mut server = shell("sleep 0.05; exec cat").in_shell(&script).start();
            // What it needs to run is there.
            server.call(post("/invoke", "", "x"), 200);
            let descriptor_count = open_descriptors(server.id());
            let mut clients = connect(&mut server, 60);
            send_all(&mut clients);
            let mut served_count = 0;
            for (index, client) in clients.into_iter().enumerate() {
                let mut client = client;
                let answer = Answer::from(client.read_response("POST").expect("a response"));
                drop(client);
                if answer.is_success {
                    answer.expect(format!("{index}"));
                    served_count += 1;
                } else {
                    answer.expect_failure(
                        "OutOfResources",
                        "out of processes, descriptors or memory",
                    );
                }
            }
            assert!(served_count > 0);
            for turn in 0..10 {
                let answer = server.call(post("/invoke", "", format!("{turn}")), 200);
                assert_eq!(answer.text(), format!("{turn}"));
            }
            wait_for("the descriptors", || {
                (open_descriptors(server.id()) <= descriptor_count).then_some(())
            });
        }
    }

    #[test]
    fn out_of_processes() {
        let folder = Folder::new();
        let path = folder.at("bootstrap");
        fs::copy(bootstrap(), &path).expect("a copy");
        for (user, limit, is_enough) in [("54321", 3, true), ("54322", 1, false)] {
            let _case = Case(limit);
            // Whose processes are counted: another user's; or, as only root can be one, those of a namespace.
            let as_user = if rustix::process::geteuid().is_root() {
                format!("setpriv --reuid={user} --regid={user} --clear-groups --inh-caps=-all")
            } else {
                "unshare --user --".to_owned()
            };
            let script = format!(
                "exec {as_user} bash -c 'ulimit -u {limit} && exec \"$0\" \"$@\"' \"$0\" \"$@\""
            );
            let program = Program::at(path.clone()).arguments(["command", "perl", "-e"]);
            let program = program.arguments(["select(undef, undef, undef, 0.05); print <STDIN>"]);
            let mut server = program.in_shell(&script).start();
            let mut clients = connect(&mut server, 20);
            send_all(&mut clients);
            if is_enough {
                expect_all(&mut clients);
            } else {
                for client in &mut clients {
                    let answer = Answer::from(client.read_response("POST").expect("a response"));
                    answer.expect_failure(
                        "OutOfResources",
                        "out of processes, descriptors or memory",
                    );
                }
            }
            server.call(get("/", ""), 200);
        }
    }
}

mod ends {
    //! Deadlines, clients that go, signals.

    use super::*;

    /// What a program may do that is told to end.
    const STUBBORN: [(&str, &str); 9] = [
        ("it does nothing about it", "exec sleep 100"),
        ("it never reads", "exec sleep 100 <&-"),
        (
            "it ends well",
            "trap 'echo bye >&2; exit 0' TERM; echo answer; sleep 100 & wait",
        ),
        ("it ignores it", "trap '' TERM; while :; do sleep 1; done"),
        ("it stops itself", "kill -STOP $$; sleep 100"),
        ("it closes its streams", "exec >&- 2>&- <&-; sleep 100"),
        (
            "it never stops writing",
            "trap '' TERM; while :; do echo x; echo y >&2; sleep 0.01; done",
        ),
        (
            "it leaves its group",
            "exec perl -e 'setpgrp(0, getpgrp(getppid())) or die $!; sleep 100'",
        ),
        (
            "its child has a session",
            "trap '' TERM; setsid sh -c 'trap \"\" TERM; sleep 100'; sleep 100",
        ),
    ];

    #[test]
    fn the_deadline_ends_a_program() {
        for (what, script) in STUBBORN {
            let _case = Case(what);
            each_at_once(
                || shell(script),
                |instance| {
                    let event = vec![b'x'; MIB];
                    let (begin, cpu) = (Instant::now(), instance.server.cpu());
                    let answer = instance.call_within(2000, event);
                    let elapsed = begin.elapsed();
                    answer.expect_failure("TimedOut", "no answer before the deadline");
                    let is_in_time =
                        elapsed > Duration::from_millis(1750) && elapsed < Duration::from_secs(2);
                    assert!(is_in_time, "after {elapsed:?}");
                    // It waits, and does not look again and again.
                    let cpu = instance.server.cpu() - cpu;
                    assert!(cpu < Duration::from_millis(200), "{cpu:?}");
                    instance.expect_nothing_left();
                },
            );
        }
    }

    #[test]
    fn the_margin_is_for_a_last_word() {
        // Told to end a tenth of the time before the deadline, killed half of that later.
        let script =
            "trap 'echo told >&2; sleep 0.02; echo last >&2; while :; do sleep 0.01; done' TERM
            echo begun >&2; while :; do sleep 0.01; done";
        each_at_once(
            || shell(script),
            |instance| {
                let begin = Instant::now();
                let log = instance.server.stdout.clone();
                thread::scope(|scope| {
                    let told = scope.spawn(move || {
                        log.wait_until(|log| log.contains("told"));
                        begin.elapsed()
                    });
                    instance
                        .call_within(3000, "")
                        .expect_failure("TimedOut", "no answer before the deadline");
                    let told = told.join().expect("a time");
                    let ended = begin.elapsed();
                    let is_it = |at: Duration, ms: u64| {
                        at > Duration::from_millis(ms - 20) && at < Duration::from_millis(ms + 120)
                    };
                    assert!(is_it(told, 2700), "told {told:?}");
                    assert!(is_it(ended, 2850), "ended {ended:?}");
                });
                assert!(instance.server.stdout.text().contains("last"));
            },
        );
    }

    #[test]
    fn a_limit_where_no_platform_tells_one() {
        let mut server = command(["sleep", "100"]).env("FNBOOT_TIMEOUT", "1").start();
        let begin = Instant::now();
        let answer = server
            .connect()
            .send(post("/invoke", "", ""))
            .read_response("POST");
        Answer::from(answer.expect("a response"))
            .expect_failure("TimedOut", "no answer before the deadline");
        let elapsed = begin.elapsed();
        assert!(
            elapsed > Duration::from_millis(850) && elapsed < Duration::from_secs(1),
            "{elapsed:?}"
        );
        // What the platform says counts more.
        let mut instance = Cloud::Fc.start(shell("sleep 1.2; echo ok").env("FNBOOT_TIMEOUT", "1"));
        instance.call_within(5000, "").expect("ok\n");
        for value in ["0", "1.5", "-1", "1s", "86401", "one", "+1"] {
            let (status, _, stderr) = command(["true"]).env("FNBOOT_TIMEOUT", value).run();
            assert_eq!(status.code(), Some(1));
            let want =
                format!("fnboot: FNBOOT_TIMEOUT: '{value}' is not seconds, from 1 to 86400\n");
            assert_eq!(stderr, want);
        }
    }

    /// What a program has started is no longer of use when it has ended.
    #[test]
    fn grandchildren_end_with_it() {
        let folder = Folder::new();
        for (what, script) in [
            ("in its group", "sleep 100 & echo $! > FILE; echo hi"),
            ("in a session", "setsid sleep 100 & echo $! > FILE; echo hi"),
            (
                "ignoring it",
                "(trap '' TERM HUP; exec sleep 100) & echo $! > FILE; echo hi",
            ),
            ("of nobody", "(sleep 100 & echo $! > FILE); echo hi"),
            (
                "a daemon",
                "setsid sh -c 'sleep 100 & echo $! > FILE; exec >&- 2>&-'; echo hi",
            ),
        ] {
            let _case = Case(what);
            each(
                || {
                    let path = folder.at("id");
                    shell(&script.replace("FILE", path.to_str().expect("text")))
                },
                |instance| {
                    let begin = Instant::now();
                    instance.call("").expect("hi\n");
                    assert!(
                        begin.elapsed() < Duration::from_secs(5),
                        "{:?}",
                        begin.elapsed()
                    );
                    let id = fs::read_to_string(folder.at("id")).expect("an id");
                    let id = id.trim().parse().expect("a number");
                    wait_for("its end", || has_ended(id).then_some(()));
                    instance.expect_nothing_left();
                },
            );
        }
    }

    /// Of what others write meanwhile no more is read than fits a pipe, or two.
    #[test]
    fn a_grandchild_may_go_on_writing() {
        // Not as fast as `yes`, which writes more than an answer may be while a busy machine sleeps for 20 ms.
        const WRITE: &str = "setsid sh -c 'while echo y; do :; done'";
        each(
            || {
                shell(
                    "printf hi; WRITE & WRITE >&2 & sleep 0.02"
                        .replace("WRITE", WRITE)
                        .as_str(),
                )
            },
            |instance| {
                let begin = Instant::now();
                let answer = instance.call("").text();
                assert!(answer.starts_with("hi"), "{}", answer.len());
                let elapsed = begin.elapsed();
                assert!(elapsed < Duration::from_secs(5), "{elapsed:?}");
                instance.expect_nothing_left();
            },
        );
    }

    /// What was there before fnboot was is none of its business.
    #[test]
    fn older_children_are_left_alone() {
        let folder = Folder::new();
        let path = folder.at("id");
        let script = format!(
            "sleep 100 & echo $! > {}; exec \"$0\" \"$@\"",
            path.display()
        );
        let program = shell("setsid sleep 100 & echo hi").in_shell(&script);
        let mut instance = Cloud::Fc.start(program);
        for _ in 0..3 {
            instance.call("").expect("hi\n");
        }
        let id: u32 = fs::read_to_string(&path)
            .expect("an id")
            .trim()
            .parse()
            .expect("a number");
        wait_for("only it", || (instance.children() == [id]).then_some(()));
        assert!(!has_ended(id));
    }

    #[test]
    fn a_client_that_goes_ends_its_call() {
        for (script, is_killed) in [
            (
                "trap 'echo told >&2; exit' TERM; echo begun >&2; sleep 100 & wait",
                false,
            ),
            (
                "trap 'echo told >&2' TERM; echo begun >&2; while :; do sleep 0.1; done",
                true,
            ),
        ] {
            let mut server = shell(script).env("FNBOOT_MARKERS", "off").start();
            let mut client = server.connect();
            client.send(post("/invoke", "X-Fc-Function-Timeout: 60\r\n", "x"));
            server.stdout.wait_until(|log| log.contains("begun"));
            let begin = Instant::now();
            client.reset();
            server.stdout.wait_until(|log| log.contains("told"));
            wait_for("its end", || children(server.id()).is_empty().then_some(()));
            let elapsed = begin.elapsed();
            assert_eq!(
                elapsed > Duration::from_millis(240),
                is_killed,
                "{elapsed:?}"
            );
            server.call(get("/", ""), 200);
        }
    }

    #[test]
    fn a_client_that_says_nothing_more_gets_its_answer() {
        let mut server = shell("sleep 0.2; exec cat").start();
        let mut client = server.connect();
        client.send(post("/invoke", "", "event")).finish();
        assert_eq!(client.expect(200).text(), "event");
    }

    #[test]
    fn sigterm_lets_a_call_end() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let script = format!(
            "echo begun >&2; setsid sleep 100 & {}; exec cat",
            gate.wait()
        );
        let mut server = shell(&script).start();
        let mut client = server.connect();
        client.send(post("/invoke", "X-Fc-Function-Timeout: 60\r\n", "event"));
        server.stdout.wait_until(|log| log.contains("begun"));
        server.signal(Signal::TERM);
        wait_for("a refusal", || {
            let refused = TcpStream::connect((Ipv4Addr::LOCALHOST, server.port));
            refused
                .is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
                .then_some(())
        });
        assert!(server.is_alive());
        let (id, left) = (server.id(), children(server.id()));
        let _open = gate.open();
        assert_eq!(client.expect(200).text(), "event");
        server.expect_exit(0);
        for id in left.into_iter().chain([id]) {
            wait_for("the end of all", || has_ended(id).then_some(()));
        }
    }

    /// Polled platforms: the event that is in flight is answered, and no other asked for.
    #[test]
    fn sigterm_lets_an_event_end() {
        let folder = Folder::new();
        for cloud in [Cloud::Scf, Cloud::Lambda, Cloud::LambdaStreaming] {
            let _case = Case(cloud);
            let gate = Gate::new(&folder);
            let mut instance =
                cloud.start(shell(&format!("echo begun >&2; {}; exec cat", gate.wait())));
            let fields = cloud.fields(LIMIT_MS);
            instance.peers[0].send(response("200 OK", &fields, "event"));
            instance.log_with("begun");
            instance.server.signal(Signal::TERM);
            let _open = gate.open();
            let answer = Answer::of(instance.peers[0].request());
            answer.expect("event");
            instance.peers[0].accept();
            instance.server.expect_exit(0);
            fs::remove_file(&gate.0).expect("remove");
        }
    }

    /// A call that does not end before fnboot has to is killed, with what it has started.
    #[test]
    fn sigterm_does_not_wait_for_ever() {
        let folder = Folder::new();
        let path = folder.at("ids");
        let script = format!(
            "trap '' TERM; sleep 100 & echo $$ $! > {}; echo begun >&2; wait; wait",
            path.display()
        );
        let mut server = shell(&script).start();
        let mut client = server.connect();
        client.send(post("/invoke", "X-Fc-Function-Timeout: 60\r\n", "event"));
        server.stdout.wait_until(|log| log.contains("begun"));
        server.signal(Signal::TERM);
        server.wait();
        for id in fs::read_to_string(path).expect("ids").split_whitespace() {
            let id = id.parse().expect("a number");
            wait_for("the end of all", || has_ended(id).then_some(()));
        }
    }

    #[test]
    fn programs_die_with_fnboot() {
        let mut server = command(["sleep", "100"]).start();
        let mut client = server.connect();
        client.send(post("/invoke", "", ""));
        let id = wait_for("a process", || children(server.id()).first().copied());
        server.signal(Signal::KILL);
        server.wait();
        wait_for("its end", || has_ended(id).then_some(()));
    }
}

mod places {
    //! Where it runs.

    use super::*;

    #[test]
    fn as_the_first_process() {
        // Orphans that end by themselves, that are killed, and that are there for long.
        let script =
            "setsid sh -c 'sleep 0.02; exit 3' & (setsid true &) ; setsid sleep 100 & echo hi";
        let words = ["--pid", "--fork", "--mount-proc", "--kill-child"];
        let mut server = shell(script).under(&unshare(&words)).start();
        server.wait_until_listening();
        for _ in 0..20 {
            assert_eq!(server.call(post("/invoke", "", ""), 200).text(), "hi\n");
        }
        let first = children(server.id())[0];
        wait_for("the end of all", || {
            children(first).is_empty().then_some(())
        });
        // `unshare` passes no signal on.
        let first = Pid::from_raw(first.cast_signed()).expect("a process");
        rustix::process::kill_process(first, Signal::TERM).expect("kill");
        server.expect_exit(0);
    }

    /// An orphan that ends while calls are served is reaped then.
    #[test]
    fn orphans_are_reaped_while_calls_go_on() {
        let folder = Folder::new();
        let gate = Gate::new(&folder);
        let script = format!(
            "read -r what; if [ \"$what\" = wait ]; then {}; else setsid sleep 0.05 & fi; echo hi",
            gate.wait()
        );
        let mut server = shell(&script).start();
        let mut client = server.connect();
        client.send(post("/invoke", "", "wait\n"));
        wait_for("a process", || children(server.id()).first().copied());
        for _ in 0..5 {
            server.call(post("/invoke", "", "\n"), 200);
        }
        wait_for("the first only", || {
            (children(server.id()).len() == 1).then_some(())
        });
        let _open = gate.open();
        client.expect(200);
    }

    #[test]
    fn without_memory_files() {
        let wrapper = fixture("without_memfd");
        let wrapper = [wrapper.to_str().expect("text")];
        for cloud in CLOUDS {
            let mut instance = cloud.start(command(["cat"]).under(&wrapper));
            let long = noise(6 * MIB);
            for event in [&b""[..], b"a\0b", &long] {
                instance.call(event).expect(event);
            }
        }
        // And with nowhere to write: a clear failure, and fnboot lives.
        let script = format!(
            "mount --bind /tmp /tmp && mount -o remount,bind,ro /tmp && exec {} \"$0\" \"$@\"",
            wrapper[0]
        );
        let wrapper = unshare(&["--mount", "sh", "-c", &script]);
        let mut instance = Cloud::Fc.start(command(["cat"]).under(&wrapper));
        let (kind, _) = instance.call("x").failure();
        assert_eq!(kind, "NoSpace");
        assert_eq!(instance.call("x").failure().0, "NoSpace");
        instance.server.call(get("/", ""), 200);
    }

    /// Started without the three streams that every process has: their numbers are then others'.
    #[test]
    fn without_standard_streams() {
        let script = "exec <&- >&- 2>&- && exec \"$0\" \"$@\"";
        let program = shell("echo log >&2; cat; echo more >&2");
        let mut server = program.in_shell(script).start();
        for _ in 0..3 {
            let mut clients: Vec<_> = (0..10).map(|_| server.connect()).collect();
            for client in &mut clients {
                client.send(post("/invoke", "", "event"));
            }
            for client in &mut clients {
                assert_eq!(client.expect(200).text(), "event");
            }
        }
    }

    /// A root that nobody can write to, and no folder for temporary files.
    #[test]
    fn a_root_that_is_read_only() {
        let folder = Folder::new();
        let root = folder.0.display();
        // The folders that programs need, and fnboot.
        let script = format!(
            "set -e; r={root}; mount -t tmpfs none $r; for d in bin lib lib64 usr proc dev; do
            [ -d /$d ] || continue; mkdir $r/$d; mount --rbind /$d $r/$d; done
            cp \"$0\" $r/bootstrap; mount -o remount,bind,ro $r; exec chroot $r /bootstrap \"$@\""
        );
        let wrapper = unshare(&["--mount", "sh", "-c", &script]);
        let program = command(["cat"]).under(&wrapper);
        let mut instance = Cloud::Fc.start(program);
        let long = noise(MIB);
        instance.call(&long).expect(&long);
        instance.expect_nothing_left();
    }

    #[test]
    fn on_arm64() {
        let start = |cloud: Cloud, words: &[&str]| {
            let program = arm64::program(&bootstrap_arm64());
            cloud.start(program.arguments(["command"]).arguments(words))
        };
        let event = noise(MIB);
        for cloud in [Cloud::Fc, Cloud::Lambda, Cloud::Scf] {
            let _case = Case(cloud);
            let mut instance = start(cloud, &["cat"]);
            for _ in 0..3 {
                instance.call(&event).expect(&event);
            }
            drop(instance);
            let mut instance = start(cloud, &["sh", "-c", "echo 'ValueError: x' >&2; exit 3"]);
            instance.call("").expect_failure("ValueError", "x");
            let mut instance = start(cloud, &["sleep", "100"]);
            instance
                .call_within(1000, "")
                .expect_failure("TimedOut", "no answer before the deadline");
            let mut instance = start(cloud, &["printf", "[%s]", "a b", ""]);
            instance.call("").expect("[a b][]");
        }
    }
}

mod marks {
    //! What many calls leave behind: nothing.

    use super::*;

    /// How many calls there are; `make slow` has more.
    fn event_count() -> usize {
        let count = std::env::var("FNBOOT_COMMAND_EVENTS").ok();
        count.map_or(1000, |count| count.parse().expect("a number"))
    }

    fn files() -> usize {
        let names = fs::read_dir("/tmp").expect("a folder");
        let is_ours = |name: &str| name.len() == "fnboot-".len() + 9 && name.starts_with("fnboot-");
        names
            .filter(|entry| {
                is_ours(
                    &entry
                        .as_ref()
                        .expect("an entry")
                        .file_name()
                        .to_string_lossy(),
                )
            })
            .count()
    }

    /// No zombie may be seen behind an answer, and nothing may become more.
    #[test]
    fn nothing_is_left_of_many_calls() {
        let mut instance = Cloud::Fc.start(command(["cat"]).env("FNBOOT_MARKERS", "off"));
        let mut client = instance.server.connect();
        let (long, id) = (noise(MIB), instance.server.id());
        let mut call = |turn: usize| {
            let event = &long[..if turn.is_multiple_of(100) {
                MIB
            } else {
                turn % 500
            }];
            let answer = client
                .send(post("/invoke", &Cloud::Fc.fields(60_000), event))
                .expect(200);
            assert_same(&answer.body, event);
        };
        (0..10).for_each(&mut call);
        let before = (open_descriptors(id), files());
        let mappings = || {
            fs::read_to_string(format!("/proc/{id}/maps"))
                .expect("maps")
                .lines()
                .count()
        };
        for turn in 0..event_count() {
            call(turn);
            let zombies = children(id).into_iter().filter(|&id| has_ended(id)).count();
            assert_eq!(zombies, 0, "after {turn} calls");
        }
        assert_eq!((open_descriptors(id), files()), before);
        assert_eq!(instance.children(), [] as [u32; 0]);
        assert!(mappings() < 30, "{}", mappings());
        // The memory of a long answer is given back soon.
        let limit_kib = 128;
        wait_for("little memory", || {
            (instance.server.status_kib("RssAnon") <= limit_kib).then_some(())
        });
    }

    /// Added time against a bare loop in C that starts the same program: of each the best of several medians, because
    /// whatever else this machine does only adds to them. 1.15 is the aim, which `make programs` shows; here other
    /// tests run at the same time, so only what is grossly slower is found.
    #[test]
    fn starting_a_program_is_cheap() {
        const COUNT: usize = 200;
        const ROUNDS: usize = 12;
        let quiet = |program: Program| program.env("FNBOOT_MARKERS", "off").start();
        let mut clients =
            [quiet(command(["/bin/cat"])), quiet(Program::bootstrap())].map(|mut server| {
                let client = server.connect();
                (server, client)
            });
        let (mut loops, mut calls, mut echoes) = (Vec::new(), Vec::new(), Vec::new());
        for round in 0..ROUNDS {
            let output = Command::new(fixture("spawn"))
                .args([&COUNT.to_string(), "/bin/cat"])
                .output();
            let text = String::from_utf8(output.expect("spawn").stdout).expect("text");
            loops.push(text.trim().parse::<u64>().expect("a number"));
            for ((_, client), times) in clients.iter_mut().zip([&mut calls, &mut echoes]) {
                times.push(median_ns(client, COUNT));
            }
            let best = |times: &[u64]| *times.iter().min().expect("a time");
            let added = best(&calls).saturating_sub(best(&echoes));
            let percent = added * 100 / best(&loops);
            println!("added {added} ns, loop {} ns: {percent} %", best(&loops));
            if round >= 3 && percent <= 200 {
                return;
            }
        }
        panic!("more than twice a bare loop");
    }

    fn median_ns(client: &mut Client, count: usize) -> u64 {
        let request = post("/invoke", &Cloud::Fc.fields(60_000), "event");
        let mut time = || {
            let begin = Instant::now();
            assert_eq!(client.send(&request).expect(200).body, b"event");
            begin.elapsed().as_nanos() as u64
        };
        let mut times: Vec<u64> = (0..count).map(|_| time()).collect();
        times.sort_unstable();
        times[count / 2]
    }

    #[test]
    fn nothing_is_left_of_failures() {
        let mut instance =
            Cloud::Fc.start(shell("echo x >&2; exit 1").env("FNBOOT_MARKERS", "off"));
        let id = instance.server.id();
        instance.call("").failure();
        let before = open_descriptors(id);
        for _ in 0..event_count() / 10 {
            instance.call("").failure();
        }
        wait_for("the descriptors", || {
            (open_descriptors(id) <= before).then_some(())
        });
        assert_eq!(instance.children(), [] as [u32; 0]);
    }
}
