//! The promise is a number: counters of the file that ships, which do not depend on how busy the
//! machine is. A constant moves only in a commit of its own, with its date and its reason.

use std::path::Path;
use std::process::Command;

use crate::harness::{Program, Server, assert_same, bootstrap, noise, post, wait_for};

/// Bytes of `pkg/bootstrap`. 2026-11-21: first measured.
const FILE_BYTES_MAX: u64 = 34_500;

/// Bytes of `pkg/bootstrap.zip`. 2026-11-21: first measured.
const ZIP_BYTES_MAX: u64 = 20_000;

/// System calls after `execve(2)`, up to and including the wait for the first connection.
/// 2026-11-21: mprotect, socket, setsockopt, bind, listen, rt_sigaction, accept4.
const CALLS_TO_WAIT_MAX: usize = 7;

/// The same up to and including the answer, markers on. 2026-11-21: recvfrom, clock_gettime,
/// rt_sigaction, ppoll, write, write, sendmsg come on top.
const CALLS_TO_ANSWER_MAX: usize = 15;

/// Minor page faults from `execve(2)` to the first answer, those of the kernel's own work on the
/// new process included. 2026-11-21: first measured.
const FAULTS_MAX: u64 = 40;

/// Resident memory of a process that has answered once, in KiB: two thirds of it are pages of the
/// file, which the kernel maps around each one that is touched.
const IDLE_KIB_MAX: u64 = 80;

/// What 1,000 idle connections add, in KiB: about 100 bytes each.
const THOUSAND_IDLE_KIB_MAX: u64 = 120;

/// Highest resident memory of an echo of 32 MiB, in KiB: the body, once.
const ECHO_KIB_MAX: u64 = 33 * 1024;

/// Instructions of the program itself for one event of 11 bytes with all of FC's headers.
/// 2026-11-21: first measured.
const INSTRUCTIONS_MAX: u64 = 12_000;

/// What FC sends with an event, about 1.3 KB.
const FIELDS: &str = include_str!("fc_fields.txt");

#[track_caller]
fn check(what: &str, got: u64, max: u64) {
    println!("{what}: {got} (at most {max})");
    assert!(got <= max, "{what}: {got} is more than {max}");
}

fn event() -> Vec<u8> {
    post("/invoke", &FIELDS.replace('\n', "\r\n"), b"Hello World")
}

fn bytes(path: &Path) -> u64 {
    std::fs::metadata(path)
        .expect("run `make package` first")
        .len()
}

#[test]
fn size() {
    let file = bootstrap();
    check("bytes of the file", bytes(&file), FILE_BYTES_MAX);
    check(
        "bytes of the zip",
        bytes(&file.with_extension("zip")),
        ZIP_BYTES_MAX,
    );
}

/// Segments are never writable and executable at once, the file is position-independent, and what
/// is relocated is read-only afterwards: as the kernel sees the running process.
#[test]
fn hardened() {
    let mut server = Server::start();
    server.call(event(), 200);
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", server.pid().as_raw_nonzero()));
    let maps = maps.expect("maps");
    let name = bootstrap();
    let name = name
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    let own: Vec<&str> = maps.lines().filter(|line| line.contains(name)).collect();
    assert!(own.len() >= 2, "{maps}");
    assert!(!maps.contains("wx"), "writable and executable: {maps}");
    assert!(
        !own[0].starts_with("00400000"),
        "at a fixed address: {maps}"
    );
    let file = std::fs::read(bootstrap()).expect("the program");
    let headers = Command::new("readelf")
        .arg("-lW")
        .arg(bootstrap())
        .output()
        .expect("readelf");
    let headers = String::from_utf8_lossy(&headers.stdout);
    assert_eq!(file[16], 3, "ET_DYN");
    let relro = headers
        .lines()
        .find(|line| line.contains("GNU_RELRO"))
        .expect("RELRO");
    let address = relro
        .split_whitespace()
        .nth(2)
        .and_then(|text| text.strip_prefix("0x"));
    let address = u64::from_str_radix(address.expect("an address"), 16).expect("hex");
    let base = u64::from_str_radix(own[0].split('-').next().expect("a start"), 16).expect("hex");
    let line = maps.lines().find(|line| {
        let (range, _) = line.split_once(' ').expect("a range");
        let (start, end) = range.split_once('-').expect("two ends");
        let [start, end] = [start, end].map(|text| u64::from_str_radix(text, 16).expect("hex"));
        (start..end).contains(&(base + address))
    });
    let line = line.expect("the relocated pages");
    assert!(
        line.contains(" r--p "),
        "still writable after relocation: {line}"
    );
}

#[test]
fn system_calls() {
    let trace = std::env::temp_dir().join(format!("fnboot-trace-{}", std::process::id()));
    let path = trace.to_str().expect("a path in UTF-8");
    let mut server = Program::bootstrap().under(&["strace", "-o", path]).start();
    server.call(event(), 200);
    let calls: Vec<String> = wait_for("the whole trace", || {
        let text = std::fs::read_to_string(&trace).ok()?;
        let calls: Vec<String> = text.lines().skip(1).map(String::from).collect();
        calls
            .iter()
            .any(|call| call.contains("epoll_pwait"))
            .then_some(calls)
    });
    std::fs::remove_file(&trace).expect("remove");
    let position = |name: &str| calls.iter().position(|call| call.starts_with(name));
    let wait = position("accept4").expect("a first wait") + 1;
    check(
        "system calls to the first wait",
        wait as u64,
        CALLS_TO_WAIT_MAX as u64,
    );
    // The harness looks whether anybody listens before it calls: that connection came first.
    let answer = position("sendmsg")
        .or(position("sendto"))
        .expect("an answer");
    let received = calls[..answer]
        .iter()
        .rposition(|call| call.starts_with("recvfrom"));
    let to_answer = wait + answer + 1 - received.expect("a request");
    check(
        "system calls to the answer",
        to_answer as u64,
        CALLS_TO_ANSWER_MAX as u64,
    );
}

#[test]
fn page_faults() {
    let mut server = Server::start();
    server.call(event(), 200);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", server.pid().as_raw_nonzero()));
    let stat = stat.expect("stat");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let faults = fields
        .split_whitespace()
        .nth(7)
        .and_then(|text| text.parse().ok());
    check(
        "minor faults to the first answer",
        faults.expect("a count"),
        FAULTS_MAX,
    );
}

#[test]
fn memory() {
    let mut server = Server::start();
    server.call(event(), 200);
    let idle = server.status_kib("VmRSS");
    check("KiB of an idle process", idle, IDLE_KIB_MAX);
    let mut clients: Vec<_> = (0..1000).map(|_| server.connect()).collect();
    for client in &mut clients {
        client.send(event()).expect(200);
    }
    let more = server.status_kib("VmRSS") - idle;
    check("KiB of 1,000 idle connections", more, THOUSAND_IDLE_KIB_MAX);
}

#[test]
fn memory_of_a_long_body() {
    let mut server = Server::start();
    server.call(event(), 200);
    let idle = server.status_kib("VmRSS");
    let body = noise(32 << 20);
    let answer = server.call(post("/invoke", "", &body), 200);
    assert_same(&answer.body, &body);
    check(
        "KiB at most of an echo of 32 MiB",
        server.status_kib("VmHWM"),
        ECHO_KIB_MAX,
    );
    wait_for("the memory to be given back", || {
        (server.status_kib("VmRSS") <= idle + 32).then_some(())
    });
}

/// The difference of two runs, so that start and end do not count.
#[test]
fn instructions() {
    let few = instructions_of(100);
    let many = instructions_of(300);
    check(
        "instructions of a call",
        (many - few) / 200,
        INSTRUCTIONS_MAX,
    );
}

fn instructions_of(calls: usize) -> u64 {
    let name = format!("fnboot-callgrind-{}-{calls}", std::process::id());
    let file = std::env::temp_dir().join(name);
    let option = format!("--callgrind-out-file={}", file.display());
    let valgrind = ["valgrind", "-q", "--tool=callgrind", &option];
    let mut server = Program::bootstrap().under(&valgrind).start();
    let mut client = server.connect();
    for _ in 0..calls {
        client.send(event()).expect(200);
    }
    server.signal(rustix::process::Signal::TERM);
    server.expect_exit(0);
    let text = std::fs::read_to_string(&file).expect("valgrind's output");
    std::fs::remove_file(&file).expect("remove");
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    total
        .and_then(|total| total.trim().parse().ok())
        .expect("a total")
}
