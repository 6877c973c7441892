//! No answer, log, exit, file or signal ends the local tool, makes it hang, keeps others waiting, or
//! leaves a process behind. The function is `tests/fixture/chaos.rs`.
//!
//! All processes of a test have a variable that no other has: so those are found, too, that have left
//! the function's process group, and none outlives its test.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStderr, Command, ExitStatus, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};
use std::{env, thread};

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Folder, PATIENCE, assert_built, chunked, find, post, tool, wait_for};

/// Platform, and where it takes events.
type Platform = (&'static str, &'static str);
const FC: Platform = ("fc", "/2023-03-30/functions/function/invocations");
const LAMBDA: Platform = ("lambda", "/2015-03-31/functions/function/invocations");
const SCF: Platform = ("scf", "/");
const PLATFORMS: [Platform; 3] = [FC, LAMBDA, SCF];

/// Who calls at the same time in a storm.
const CLIENT_COUNT: u64 = 6;

/// The longest that a call may take: the calls of all clients one after the other, each with a start, a
/// timeout and a stop of at most two seconds, on a busy machine.
const CALL_LIMIT: Duration = Duration::from_secs(45);

/// What the tool started must be gone so soon after its end, even if nobody could ask it to.
const LEAVE_LIMIT: Duration = Duration::from_secs(5);

const CLOSE: &str = "Connection: close\r\n";

/// The function, beside this test.
pub fn chaos() -> PathBuf {
    let test = env::current_exe().expect("a path");
    let folder = test.ancestors().nth(2).expect("the target's folder");
    let path = folder.join("examples/chaos");
    assert_built(&path);
    path
}

/// A name that no other test has.
fn unique() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("fnboot-chaos-{}-{number}", std::process::id())
}

/// What all processes of a test have in common. Dropped, it kills them.
struct Mark(String);

impl Mark {
    /// The processes that have it: ids and names.
    fn processes(&self) -> Vec<(Pid, String)> {
        let entry = format!("CHAOS_MARK={}\0", self.0);
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        let marked = all.filter_map(|process| {
            let pid = process.file_name().to_str()?.parse().ok()?;
            let variables = fs::read(process.path().join("environ")).ok()?;
            find(&variables, entry.as_bytes())?;
            let name = fs::read_to_string(process.path().join("comm")).ok()?;
            Some((Pid::from_raw(pid)?, name.trim().to_owned()))
        });
        marked.collect()
    }

    fn count(&self, name: &str) -> usize {
        let all = self.processes();
        all.iter().filter(|(_, found)| found == name).count()
    }

    #[track_caller]
    fn assert_gone(&self) {
        let deadline = Instant::now() + LEAVE_LIMIT;
        while let left @ [_, ..] = &self.processes()[..] {
            assert!(Instant::now() < deadline, "left behind: {left:?}");
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Mark {
    fn drop(&mut self) {
        // One look may miss what has just been started by a process that is just ending.
        let mut empty_count = 0;
        while empty_count < 2 {
            let left = self.processes();
            empty_count = if left.is_empty() { empty_count + 1 } else { 0 };
            for (pid, _) in left {
                // It may be over by now.
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }
}

/// The tool with these words and a program.
fn command(mark: &Mark, words: &str, program: impl AsRef<OsStr>) -> Command {
    assert_built(&tool());
    // Whatever ignores signals in front of the tests, as `nohup` does.
    let mut command = Command::new("env");
    command
        .arg("--default-signal")
        .arg(tool())
        .args(words.split(' '))
        .arg(program)
        .env("CHAOS_MARK", &mark.0);
    command.stdin(Stdio::null());
    command
}

/// The tool to its end, where nothing may be left.
#[track_caller]
fn run(words: &str, program: impl AsRef<OsStr>, set: impl FnOnce(&mut Command)) -> Output {
    let mark = Mark(unique());
    let mut command = command(&mark, words, program);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    set(&mut command);
    let child = command.spawn().expect("the tool");
    let (pid, (over, is_over)) = (Pid::from_child(&child), channel::<()>());
    thread::spawn(move || {
        // What does not end by itself fails the test below.
        let is_late = is_over.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout);
        is_late.then(|| kill_process(pid, Signal::KILL))
    });
    let output = child.wait_with_output().expect("its output");
    drop(over);
    let is_orderly = output.status.code().is_some() && find(&output.stderr, b"panicked").is_none();
    assert!(is_orderly, "{words}: {output:?}");
    mark.assert_gone();
    output
}

/// `fnboot serve`. Its mark is the last to be dropped.
struct Tool {
    child: Child,
    platform: Platform,
    address: String,
    log: Arc<Mutex<Vec<u8>>>,
    mark: Mark,
}

impl Tool {
    /// With the function, and a log that is read at once.
    fn start(platform: Platform) -> Self {
        let (tool, log) = Self::with(platform, "", chaos(), &[]);
        tool.read(log)
    }

    fn with(
        platform: Platform,
        options: &str,
        program: PathBuf,
        variables: &[(&str, &str)],
    ) -> (Self, BufReader<ChildStderr>) {
        let mark = Mark(unique());
        let words = format!(
            "serve --platform {} --port 0 --timeout 1 --start-timeout 2{options}",
            platform.0
        );
        let mut command = command(&mark, &words, program);
        command
            .envs(variables.iter().copied())
            .stdout(Stdio::null());
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the tool");
        let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
        let mut said = String::new();
        while !said.contains("Listening on http://") {
            let count = log.read_line(&mut said).expect("text");
            assert!(count > 0, "the tool ended: {said}");
        }
        let (_, address) = said.trim().rsplit_once('/').expect("an address");
        let (address, log_end) = (address.to_owned(), Arc::default());
        (
            Self {
                child,
                platform,
                address,
                log: log_end,
                mark,
            },
            log,
        )
    }

    /// Reads the log on a thread of its own, and keeps its end.
    fn read(self, mut log: impl Read + Send + 'static) -> Self {
        let end = Arc::clone(&self.log);
        thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = log.read(&mut piece) {
                let mut end = end.lock().expect("a lock");
                end.extend_from_slice(&piece[..count]);
                let excess = end.len().saturating_sub(4000);
                end.drain(..excess);
            }
        });
        self
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(&self.address).expect("connect");
        stream
            .set_read_timeout(Some(CALL_LIMIT))
            .expect("a timeout");
        stream
    }

    /// What comes back to a request until the connection ends, as it must.
    #[track_caller]
    fn call(&self, request: &[u8]) -> String {
        let (mut stream, start, mut reply) = (self.connect(), Instant::now(), Vec::new());
        // One that is refused need not be read to its end.
        let _ = stream.write_all(request);
        let (mut piece, mut came) = ([0; 64 * 1024], Ok(1));
        while let Ok(1..) = came
            && start.elapsed() < CALL_LIMIT
        {
            came = stream.read(&mut piece);
            reply.extend_from_slice(&piece[..*came.as_ref().unwrap_or(&0)]);
        }
        let asked = String::from_utf8_lossy(&request[..request.len().min(300)]);
        assert!(
            matches!(came, Ok(0)),
            "{came:?} after {} bytes: {asked}",
            reply.len()
        );
        assert_is_http(&reply);
        String::from_utf8_lossy(&reply).into_owned()
    }

    fn event_request(&self, fields: &str, word: &str) -> Vec<u8> {
        post(
            self.platform.1,
            &format!("{CLOSE}{fields}"),
            format!("\"{word}\""),
        )
    }

    #[track_caller]
    fn event(&self, word: &str) -> String {
        self.call(&self.event_request("", word))
    }

    /// What a function's URL or HTTP trigger makes of these bytes, as an answer.
    #[track_caller]
    fn pass_on(&self, answer: &str) -> String {
        let fields = format!("{CLOSE}Content-Type: text/plain\r\n");
        self.call(&post("/", &fields, raw(answer)))
    }

    /// Waits until a plain event has a plain answer: a call before may have left a broken instance.
    #[track_caller]
    fn assert_serves(&mut self) {
        wait_for("a plain answer", || {
            assert_eq!(self.child.try_wait().expect("wait"), None, "the tool ended");
            let reply = self.event("plain");
            (reply.starts_with("HTTP/1.1 200") && reply.contains("sane")).then_some(())
        });
    }

    /// It must serve, end when it is told to, and leave nothing.
    #[track_caller]
    fn end(mut self) {
        self.assert_serves();
        let status = end(&mut self.child, Signal::TERM);
        assert_eq!(status.code(), Some(0), "{status}");
        self.mark.assert_gone();
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        if thread::panicking() {
            let log = self.log.lock().expect("a lock");
            println!("the end of the log: {}", String::from_utf8_lossy(&log));
        }
    }
}

#[track_caller]
fn end(child: &mut Child, signal: Signal) -> ExitStatus {
    kill_process(Pid::from_child(child), signal).expect("kill");
    wait_for("the tool to end", || child.try_wait().expect("wait"))
}

/// Either nothing, or one response whose body has one length at most (RFC 9112 §6.3).
#[track_caller]
fn assert_is_http(reply: &[u8]) {
    let end = find(reply, b"\r\n\r\n").map_or(0, |at| at + 4);
    let head = String::from_utf8_lossy(&reply[..end]).to_ascii_lowercase();
    let values = |name: &str| {
        let lines = head.lines().filter_map(|line| line.strip_prefix(name));
        lines
            .map(|value| value.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let (lengths, codings) = (values("content-length:"), values("transfer-encoding:"));
    let length_max = match &lengths[..] {
        [] if codings.len() <= 1 => Some(usize::MAX),
        [length] if codings.is_empty() && !length.starts_with('+') => length.parse().ok(),
        _ => None,
    };
    let is_framed = length_max.is_some_and(|length| reply.len() - end <= length);
    let is_http = head.starts_with("http/1.1 ") && is_framed;
    let shown = String::from_utf8_lossy(&reply[..reply.len().min(2000)]);
    assert!(is_http || reply.is_empty(), "{shown:?}");
}

/// Runs a test for all rows at the same time, because each waits for something.
fn at_once<T: Send>(rows: impl IntoIterator<Item = T>, test: impl Fn(T) + Sync) {
    thread::scope(|scope| {
        for row in rows {
            scope.spawn(|| test(row));
        }
    });
}

/// The word that makes the function answer so.
fn raw(answer: &str) -> String {
    let hex = answer.bytes().map(|byte| format!("{byte:02x}"));
    format!("do-raw-{}", hex.collect::<String>())
}

fn number(variable: &str) -> Option<u64> {
    env::var(variable).ok()?.parse().ok()
}

/// The next of numbers that look random.
fn next(state: &mut u64) -> u64 {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    *state >> 16
}

/// A request that makes the function do what `number` stands for.
fn request(tool: &Tool, number: u64) -> Vec<u8> {
    let word = format!("do-chaos-{number:x}");
    let path = format!("/{word}");
    match number % 16 {
        0 => format!("GET {path} HTTP/1.1\r\nHost: h\r\n{CLOSE}\r\n").into(),
        1 => format!("HEAD {path} HTTP/1.1\r\nHost: h\r\n{CLOSE}\r\n").into(),
        2 => post(&path, CLOSE, "a body"),
        3 => chunked(&path, CLOSE, &[b'x'; 100_000], 999),
        4 => tool.event_request("X-Fc-Invocation-Type: Async\r\n", &word),
        5 => tool.event_request("X-Amz-Invocation-Type: Event\r\n", &word),
        6 => tool.event_request("X-Amz-Log-Type: Tail\r\nX-Fc-Log-Type: Tail\r\n", &word),
        7 => tool.event_request(&"X-Fill: y\r\n".repeat(10_000), &word),
        8 => post(
            "/2021-11-15/functions/function/response-streaming-invocations",
            CLOSE,
            &word,
        ),
        _ => tool.event_request("", &word),
    }
}

/// Calls, some of whose clients leave in the middle or read nothing of the answer; how many.
fn storm(tool: &Tool, mut state: u64, deadline: Instant) -> u64 {
    let mut count = 0;
    while Instant::now() < deadline {
        let request = request(tool, next(&mut state));
        let sent = next(&mut state) as usize % (10 * request.len());
        if sent < 2 * request.len() {
            let _ = tool
                .connect()
                .write_all(&request[..sent.min(request.len())]);
        } else {
            tool.call(&request);
            count += 1;
        }
    }
    count
}

/// Storms, after each of which a call must be answered.
fn storms(platform: Platform, options: &str) {
    let clock = SystemTime::UNIX_EPOCH.elapsed().expect("a clock");
    let seed = number("FNBOOT_SEED").unwrap_or(clock.subsec_nanos().into());
    println!("FNBOOT_SEED={seed}");
    let deadline =
        Instant::now() + Duration::from_secs(number("FNBOOT_CHAOS_SECONDS").unwrap_or(5));
    let folder = Folder::new();
    // The first start is a plain one.
    let gate = folder.0.join("gate");
    let variables = [
        ("FNBOOT_SEED", &*seed.to_string()),
        ("CHAOS_GATE", gate.to_str().expect("text")),
    ];
    let (tool, log) = Tool::with(platform, options, chaos(), &variables);
    let mut tool = tool.read(log);
    File::create(&gate).expect("a file");
    let mut seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let count = AtomicU64::new(0);
    while Instant::now() < deadline {
        let end = deadline.min(Instant::now() + Duration::from_secs(3));
        let seeds: Vec<_> = (0..CLIENT_COUNT).map(|_| next(&mut seed) | 1).collect();
        at_once(seeds, |seed| {
            count.fetch_add(storm(&tool, seed, end), Ordering::Relaxed);
        });
        tool.assert_serves();
    }
    println!("{count:?} calls");
    tool.end();
}

#[test]
fn fc() {
    storms(FC, "");
}

#[test]
fn lambda() {
    storms(LAMBDA, "");
}

#[test]
fn lambda_with_many_at_once() {
    storms(LAMBDA, " --concurrency 3");
}

#[test]
fn scf() {
    storms(SCF, "");
}

/// AWS sends the whole body, whatever length the function gives it, and renames that field.
#[test]
fn the_length_of_a_url_answer() {
    let mut tool = Tool::start(LAMBDA);
    for length in [
        "\"1\"",
        "\"99\"",
        "\"x\"",
        "\"5, 5\"",
        "-1",
        "5",
        "null",
        "[\"1\",\"2\"]",
        "{}",
    ] {
        let head = format!("\"statusCode\":200,\"headers\":{{\"content-length\":{length}}}");
        let reply = tool
            .pass_on(&format!("{{{head},\"body\":\"hello\"}}"))
            .to_ascii_lowercase();
        if length.starts_with('"') {
            let field = format!(
                "\r\nx-amzn-remapped-content-length: {}\r\n",
                length.trim_matches('"')
            );
            let is_whole = reply.ends_with("\r\n\r\nhello") && reply.contains(&field);
            assert!(is_whole, "{length}: {reply}");
        }
        tool.assert_serves();
    }
    tool.end();
}

/// RFC 9112 §6.3: who passes a message on removes a length that stands beside chunks, or refuses it.
#[test]
fn a_length_beside_chunks_is_not_passed_on() {
    let tool = Tool::start(FC);
    let (length, coding) = ("Content-Length: 3\r\n", "Transfer-Encoding: chunked\r\n");
    for both in [format!("{length}{coding}"), format!("{coding}{length}")] {
        let message = format!("{both}\r\n2\r\nhi\r\n0\r\n\r\n");
        let reply = tool
            .pass_on(&format!("HTTP/1.1 200 OK\r\n{message}"))
            .to_ascii_lowercase();
        assert!(
            reply.contains("hi") && !reply.contains("content-length: 3"),
            "{reply}"
        );
        let request = format!("POST /do-head HTTP/1.1\r\nHost: h\r\n{CLOSE}{message}");
        let reply = tool.call(request.as_bytes());
        let (_, seen) = reply.split_once("\r\n\r\n").expect("a head");
        let has_both = seen.contains("content-length:") && seen.contains("transfer-encoding:");
        assert!(!has_both, "{reply}");
    }
    tool.end();
}

/// As in the answer to a HEAD, whose body nobody waits for; `call` looks at every head.
#[test]
fn a_length_that_is_no_number_is_not_passed_on() {
    let tool = Tool::start(FC);
    for length in ["-1", "+5"] {
        let answer = raw(&format!(
            "HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n"
        ));
        tool.call(format!("HEAD /{answer} HTTP/1.1\r\nHost: h\r\n{CLOSE}\r\n").as_bytes());
    }
    tool.end();
}

/// The function logs on, and the pipe is full; or its reader has left.
#[test]
fn nobody_reads_the_log() {
    let rows = PLATFORMS
        .iter()
        .flat_map(|platform| [(*platform, true), (*platform, false)]);
    at_once(rows, |(platform, is_kept)| {
        let (tool, log) = Tool::with(platform, "", chaos(), &[]);
        let kept = is_kept.then_some(log);
        let reply = tool.event("do-flood");
        assert!(reply.starts_with("HTTP/1.1 "), "{reply}");
        tool.end();
        drop(kept);
    });
}

const SIGNALS: [Signal; 5] = [
    Signal::HUP,
    Signal::INT,
    Signal::QUIT,
    Signal::TERM,
    Signal::KILL,
];

/// What there is before a signal, and how often: the function alone, or those of its children that do
/// not change all the time. Alone, because the kernel ends a group that lost its parent if one of it is
/// stopped.
const ALONE: (&str, usize) = ("chaos", 1);
const PARENT: (&str, usize) = ("sleep", 6);

/// A signal to the tool ends it, and leaves nothing.
#[track_caller]
fn assert_ends(child: &mut Child, mark: &Mark, started: (&str, usize), signal: Signal, code: i32) {
    let (name, count) = started;
    wait_for(name, || (mark.count(name) >= count).then_some(()));
    let status = end(child, signal);
    let is_right = match signal {
        Signal::KILL => status.signal() == Some(9),
        _ => status.code() == Some(code),
    };
    assert!(is_right, "{signal:?}: {status}");
    mark.assert_gone();
}

#[test]
fn a_signal_to_invoke_leaves_nothing() {
    let rows = [("do-hang", ALONE), ("do-children-hang", PARENT)];
    let rows = rows
        .iter()
        .flat_map(|row| SIGNALS.map(|signal| (row, signal)));
    at_once(rows, |((event, started), signal)| {
        let mark = Mark(unique());
        let words = format!("invoke --timeout 60 --event {event}");
        let mut command = command(&mark, &words, chaos());
        let mut child = command.stderr(Stdio::null()).spawn().expect("the tool");
        assert_ends(&mut child, &mark, *started, signal, 128 + signal.as_raw());
    });
}

#[test]
fn a_signal_to_serve_leaves_nothing() {
    let rows = [("plain", ALONE), ("do-children", PARENT)];
    let rows = rows
        .iter()
        .flat_map(|row| SIGNALS.map(|signal| (row, signal)));
    at_once(rows, |((event, started), signal)| {
        let mut tool = Tool::start(FC);
        assert!(tool.event(event).contains("sane"));
        assert_ends(&mut tool.child, &tool.mark, *started, signal, 0);
    });
}

/// What an instance started ends with it, not only with the tool.
#[test]
fn an_instance_leaves_nothing() {
    let words = ["do-children-hang", "do-children-exit", "do-astray"];
    let rows = PLATFORMS
        .iter()
        .flat_map(|platform| words.map(|word| (*platform, word)));
    at_once(rows, |(platform, word)| {
        let tool = Tool::start(platform);
        tool.event(word);
        wait_for("the children's end", || {
            (tool.mark.count("sleep") == 0).then_some(())
        });
        tool.end();
    });
    for (platform, _) in PLATFORMS {
        let words = format!("invoke --platform {platform} --event \"do-children\"");
        let output = run(&words, chaos(), |_| {});
        assert!(
            output.status.success() && output.stdout == b"\"sane\"",
            "{output:?}"
        );
    }
}

/// The tool says so at once, with a status that is not zero.
#[test]
fn programs_that_are_none() {
    let folder = Folder::new();
    let rows = [
        "/bin/true".into(),
        "/bin/false".into(),
        folder.0.clone(),
        folder.0.join("missing"),
        folder.file("empty", 0o755, ""),
        folder.file("private", 0o644, "#!/bin/sh\n"),
        folder.file("interpreter", 0o755, "#!/no/such\n"),
        folder.file("noise", 0o755, "\x7fELF\0\0"),
    ];
    let verbs = ["invoke", "serve --port 0"];
    for (platform, verb) in PLATFORMS
        .iter()
        .flat_map(|platform| verbs.map(|verb| (platform.0, verb)))
    {
        at_once(&rows, |program| {
            let output = run(&format!("{verb} --platform {platform}"), program, |_| {});
            let is_told = find(&output.stderr, b"fnboot: ").is_some();
            assert!(is_told && !output.status.success(), "{output:?}");
        });
    }
}

/// A file that is gone or broken fails calls, and is used again when it is back.
#[test]
fn a_program_that_is_replaced() {
    at_once(PLATFORMS, |platform| {
        let folder = Folder::new();
        let path = folder.file("function", 0o755, fs::read(chaos()).expect("the function"));
        let (tool, log) = Tool::with(platform, "", path.clone(), &[]);
        let mut tool = tool.read(log);
        for text in ["", "#!/bin/sh\nexit 0\n", "\x7fELF"] {
            folder.file("function", 0o755, text);
            assert!(tool.event("plain").starts_with("HTTP/1.1 "), "{text:?}");
            fs::remove_file(&path).expect("a file");
            tool.event("do-exit");
            assert!(tool.event("plain").starts_with("HTTP/1.1 "), "{text:?}");
            folder.file("function", 0o755, fs::read(chaos()).expect("the function"));
            tool.assert_serves();
        }
        tool.end();
    });
}

/// An answer that could not be written is no success; a reader that has seen enough is no failure.
/// Nor is a function that prints nowhere, or a variable that is no text.
#[test]
fn odd_streams_and_variables() {
    let gone = || io::pipe().expect("a pipe").1;
    let full = || {
        File::options()
            .write(true)
            .open("/dev/full")
            .expect("a device")
    };
    let folder = Folder::new();
    let script = format!("#!/bin/sh\nexec >&- 2>&-; exec {}\n", chaos().display());
    let silent = folder.file("silent", 0o755, &script);
    let set = |what: &'static str, command: &mut Command| {
        match what {
            "stdout gone" => command.stdout(gone()),
            "stdout full" => command.stdout(full()),
            "stderr gone" => command.stderr(gone()),
            "stderr full" => command.stderr(full()),
            name => command.env(name, OsStr::from_bytes(b"\xfe\xff")),
        };
    };
    let rows = [
        "stdout gone",
        "stdout full",
        "stderr gone",
        "stderr full",
        "TZ",
        "\u{fc}",
    ];
    let keys = [
        "AWS_ACCESS_KEY_ID",
        "TENCENTCLOUD_SECRETID",
        "ALIBABA_CLOUD_ACCESS_KEY_ID",
    ];
    for (platform, _) in PLATFORMS {
        let words = format!("invoke --platform {platform} --event \"plain\"");
        assert!(run(&words, &silent, |_| {}).status.success());
        for what in rows {
            let output = run(&words, chaos(), |command| set(what, command));
            assert_eq!(
                output.status.success(),
                what != "stdout full",
                "{what}: {output:?}"
            );
        }
        // Keys that cannot stand in a field of HTTP may be refused.
        for name in keys {
            run(&words, chaos(), |command| set(name, command));
        }
    }
}

#[test]
fn ten_thousand_fields() {
    let many = "X-Fill: y\r\n".repeat(10_000);
    let members: String = (0..10_000)
        .map(|number| format!("\"x-{number}\":\"\","))
        .collect();
    at_once(PLATFORMS, |platform| {
        let tool = Tool::start(platform);
        tool.call(&tool.event_request(&many, "plain"));
        tool.pass_on(&format!("HTTP/1.1 200 OK\r\n{many}\r\n"));
        tool.pass_on(&format!(
            "{{\"statusCode\":200,\"headers\":{{{members}\"z\":\"\"}}}}"
        ));
        tool.end();
    });
}

/// They stay until the end, which they do not put off.
#[test]
fn clients_that_say_nothing_more() {
    at_once(PLATFORMS, |platform| {
        let mut tool = Tool::start(platform);
        let whole = tool.event_request("", "plain");
        let silent = [0, 1, whole.len() / 2, whole.len() - 1].map(|count| {
            let mut stream = tool.connect();
            stream.write_all(&whole[..count]).expect("send");
            stream
        });
        tool.assert_serves();
        tool.end();
        drop(silent);
    });
}
