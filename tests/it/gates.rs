//! The promise is a number: counters of the file that ships, which do not depend on how busy the
//! machine is. A constant moves only in a commit of its own, with its date and its reason.

use std::fs;
use std::path::{Path, PathBuf};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::api::{Api, Peer, Platform};
use crate::harness::{
    Case, Client, Folder, Program, Server, assert_built, assert_same, bootstrap, fixture, noise,
    post, smallest, wait_for,
};
use crate::process;

/// One build of the program, and the most that it may be and need.
struct Build {
    name: &'static str,
    program: fn() -> PathBuf,
    file_bytes: u64,
    zip_bytes: u64,
    counters: Counters,
}

/// The most that a build may need.
#[derive(Clone, Copy)]
struct Counters {
    calls_to_wait: usize,
    calls_to_answer: usize,
    faults: u64,
    idle_kib: u64,
    instructions: u64,
}

/// What every build needs alike.
const COUNTERS: Counters = Counters {
    // 2026-11-27: mprotect, socket, setsockopt, bind, listen, three times rt_sigaction, ppoll,
    // accept4. One more than before: SIGINT is caught, too.
    calls_to_wait: 10,
    // 2026-11-27: clock_gettime, recvfrom, write, write, sendmsg on top, with the markers on.
    calls_to_answer: 15,
    // 2026-11-21: 9 or 10, by where the kernel puts the stack.
    faults: 10,
    // 2026-11-21: 60 to 68, with 64 promised: most of it are pages of the file, which the kernel maps around each
    // one that is touched.
    idle_kib: 72,
    // 2026-11-27: 13,593, of which httparse, built for speed, has more than half.
    instructions: 14_000,
};

/// What a build needs that can start programs, also where it serves the built-in function: but for memory, no more
/// than any other.
const WITH_PROGRAMS: Counters = Counters {
    // 2026-11-28: 84 to 92, of which 64 are the first block of the file, which is all that is mapped; 124 to 128
    // before what is about programs came last. Without programs the file is shorter than a block.
    idle_kib: 96,
    // 2026-11-28: 14,097; 13,900 before web servers: parts of the road are shared with their answers, and no longer
    // folded into it.
    instructions: 14_200,
    ..COUNTERS
};

/// Every build that ships: everything, and one platform alone; and between them what shows the price of a feature.
///
/// 70 KiB and 42 KiB of archive were promised for everything: it is more than twice that. Commands take 37 KiB, of which
/// what defers calls in the runtime has 7; functions in scripts 13, of which shims have 8; web servers and gateways 43;
/// CGI 2; workers 33, with 8 promised.
const BUILDS: [Build; 4] = [
    Build {
        name: "full",
        program: bootstrap,
        // 2026-11-28: 92,072 and 57,188 before web servers, gateways for them and CGI; with them 140,304 and 84,239.
        // 174,472 and 102,835 with workers.
        file_bytes: 174_700,
        zip_bytes: 103_000,
        counters: WITH_PROGRAMS,
    },
    Build {
        name: "without functions in scripts",
        program: || price("command"),
        // 2026-11-28: 80,888 and 47,164; 78,176 before answers that come later could go on and failures had a status,
        // and before a layout that leaves room for more kinds of programs. 81,048 and 47,236: 160 for what is shared with
        // programs that ask.
        file_bytes: 81_150,
        zip_bytes: 47_350,
        counters: WITH_PROGRAMS,
    },
    Build {
        name: "without programs",
        program: || price("clouds"),
        // 2026-11-27: FC, Lambda and SCF, at 42,248 and 25,368; 38 and 23 KiB were promised, and are missed by 3.3
        // and 1.8 KiB: for a client of runtime APIs that loses no answer in silence (a second connection, a
        // second try, early responses, bodies without a length, the log of what is lost: 3.3 KiB), and JSON
        // lines and X-Ray's cause (0.4 KiB).
        // 2026-11-28: 42,376 and 25,483. What a call that is put off needs is not in it. 136 bytes more tell Lambda the
        // category of a failure, use a short mapping again, and take `bootstrap` for the name of the function.
        // 42,720 and 25,680: PORT where there is no platform, and the layout.
        file_bytes: 42_850,
        zip_bytes: 25_800,
        counters: COUNTERS,
    },
    Build {
        name: "smallest",
        program: smallest,
        // 2026-11-27: FC alone, at 27,968 and 17,117, of 27.5 and 17 KiB that they may have.
        // 2026-11-28: 28,208 and 17,270, 48 bytes too many: PORT where there is no platform takes 200.
        file_bytes: 28_250,
        zip_bytes: 17_320,
        counters: Counters {
            idle_kib: 64,
            ..COUNTERS
        },
    },
];

/// What HTTP events cost a handler, in an example that is linked in the ordinary way. 2026-11-28: 17,600, of which
/// unwind tables have 3.9 KiB, which the `build.rs` of a user's crate leaves out: then it is 13,608. Of it 640 are for what is
/// wrong with a request, 560 for time (half of it for 1 MB of JSON), 400 for responses that are passed on.
const GATEWAY_BYTES_MAX: u64 = 17_700;

/// 2026-11-28: 9,280.
const GATEWAY_ZIP_BYTES_MAX: u64 = 9_350;

/// What `bootstrap cgi` costs beside `bootstrap command`: file and zip. 2026-11-28: 1,952 and 960.
const CGI_BYTES_MAX: [u64; 2] = [2_050, 1_060];

/// What its requests from gateways cost, where no other kind of program has them. 2026-11-28: 14,600 and 8,824; 14,936 and
/// 8,909 since JSON is read in one way by those who make events, too.
const CGI_GATEWAY_BYTES_MAX: [u64; 2] = [15_050, 8_990];

/// What `bootstrap web` costs beside `bootstrap command`, with gateways. 2026-11-28: 43,856 and 24,743, of which gateways
/// have 16 KiB, answers that go on 7. 44,616 and 25,122 since its process is one of several kinds that stay.
const WEB_BYTES_MAX: [u64; 2] = [44_800, 25_250];

/// What `bootstrap worker` costs beside `bootstrap command`. 2026-11-28: 48,144 and 26,687, where 8 KiB were promised: answers
/// that go on have 7 KiB of it, JSON 4, function URLs' events and answers 6. Beside everything else it is 33 KiB.
const WORKER_BYTES_MAX: [u64; 2] = [48_350, 26_850];

/// 2026-11-21: 43 or 44, by what is built.
const EMPTY_LINE_INSTRUCTIONS_MAX: u64 = 60;

/// What 1,000 idle connections add, in KiB. 2026-11-21: 96, about 100 bytes each.
const THOUSAND_IDLE_KIB_MAX: u64 = 112;

/// What 10,000 idle connections add, in KiB. 2026-11-21: as above, and as promised.
const TEN_THOUSAND_IDLE_KIB_MAX: u64 = 1024;

/// Highest resident memory of an echo of 32 MiB, in KiB: the body, once. 2026-11-21: 32,832.
const ECHO_KIB_MAX: u64 = 33 * 1024;

/// System calls for an event of Lambda: `epoll_pwait`, `recvfrom`, `clock_gettime`, `recvfrom`, `sendmsg` for
/// the event, `epoll_pwait`, `recvfrom`, `sendmsg` for the question after it. 2026-11-27: the second
/// `recvfrom` looks whether the connection is still there, in place of a second look at the clock.
const EVENT_CALLS: u64 = 8;

/// What a process holds after some events of Lambda, in KiB. 2026-11-28: 92 to 96; 72 to 76 without programs.
const POLLED_KIB_MAX: u64 = 104;

/// System calls of fnboot for a call of `bootstrap command`, without those of the program. 2026-11-27: 51, of which
/// 8 read a clock, 8 make pipes and files and 8 close them, 6 wait, 6 are about the end of the process.
const COMMAND_CALLS_MAX: u64 = 58;

/// The same for `bootstrap function` with a shell. 2026-11-28: 44; a command 48 to 52, by what comes together on a
/// busy machine.
const FUNCTION_CALLS_MAX: u64 = 48;

/// The same for `bootstrap worker`. 2026-11-28: 17 or 18, of which 7 read a clock; 28 if the worker asks late, which some
/// do on a busy machine. When each call had memory of its own, the gate saw 26.
const WORKER_CALLS_MAX: u64 = 28;

/// The same for an event of Lambda. 2026-11-28: 26 or 27; 29 when each call had memory of its own.
const WORKER_EVENT_CALLS_MAX: u64 = 28;

/// What a process holds after 1,000 events that programs have answered, in KiB. 2026-11-28: 144 to 156, with 128 promised, 92 of them the file; 192 to 212 since the file is 140,
/// of which no byte is this process's own; 228 to 248 since it is 170, and 276 with a worker.
const PROGRAMS_KIB_MAX: u64 = 288;

/// The most that it has held meanwhile, as the kernel says, which counts in steps of 32 pages for each processor.
const PROGRAMS_PEAK_KIB_MAX: u64 = 320;

/// How often a figure is taken of which the least counts: it can be disturbed, but not for the better.
const TRIES: usize = 5;

/// What FC sends with an event, about 1.3 KiB.
const FIELDS: &str = include_str!("fc_fields.txt");

/// Compares one figure with the most that it may be, and shows it.
#[track_caller]
fn check(what: &str, got: u64, most: u64) {
    println!("{what}: {got}, at most {most}");
    assert!(got <= most, "{what}: {got}, at most {most}");
}

/// The same for a figure of every build.
#[track_caller]
fn check_builds(what: &str, most: fn(&Build) -> u64, measure: fn(&Build) -> u64) {
    for build in &BUILDS {
        let name = build.name;
        check(&format!("{name}: {what}"), measure(build), most(build));
    }
}

/// The program with some of the features, which `make prices` builds.
fn price(name: &str) -> PathBuf {
    crate::harness::example(name)
}

fn event() -> Vec<u8> {
    post("/invoke", &FIELDS.replace('\n', "\r\n"), b"Hello World")
}

fn bytes(path: &Path) -> u64 {
    assert_built(path);
    fs::metadata(path).expect("a file").len()
}

/// A file that a tool writes for us.
fn scratch(name: &str) -> PathBuf {
    std::env::temp_dir().join(format!("fnboot-{name}-{}", std::process::id()))
}

#[test]
fn bytes_of_file_and_zip() {
    let file = |build: &Build| bytes(&(build.program)());
    check_builds("bytes of the file", |build| build.file_bytes, file);
    let zip = |build: &Build| bytes(&(build.program)().with_extension("zip"));
    check_builds("bytes of the zip", |build| build.zip_bytes, zip);
}

/// A handler of HTTP events pays for them, and no other: `pkg/gateway` is `examples/http.rs`, and `pkg/no-gateway` the
/// same without the feature.
#[test]
fn only_who_serves_gateways_pays_for_them() {
    let file = |name: &str| bytes(&price(name));
    let zip = |name: &str| bytes(&price(name).with_extension("zip"));
    let unused = file("unused-gateway").saturating_sub(file("clouds"));
    check("gateway, unused: bytes of the file", unused, 0);
    let used = file("gateway").saturating_sub(file("no-gateway"));
    check("gateway: bytes of the file", used, GATEWAY_BYTES_MAX);
    let used = zip("gateway").saturating_sub(zip("no-gateway"));
    check("gateway: bytes of the zip", used, GATEWAY_ZIP_BYTES_MAX);
}

/// The price of CGI programs, that of gateways for them, that of web servers, and that of workers.
#[test]
fn what_kinds_of_programs_cost() {
    for (name, other, [file_most, zip_most]) in [
        ("cgi", "command", CGI_BYTES_MAX),
        ("cgi-gateway", "cgi", CGI_GATEWAY_BYTES_MAX),
        ("web", "command", WEB_BYTES_MAX),
        ("worker", "command", WORKER_BYTES_MAX),
    ] {
        let (build, other) = (price(name), price(other));
        let file = bytes(&build).saturating_sub(bytes(&other));
        check(&format!("{name}: bytes of the file"), file, file_most);
        let zip = |path: &Path| bytes(&path.with_extension("zip"));
        let zip = zip(&build).saturating_sub(zip(&other));
        check(&format!("{name}: bytes of the zip"), zip, zip_most);
    }
}

/// `Elf64_Phdr`, as far as it is of interest.
struct Segment {
    kind: u32,
    flags: u32,
    start: u64,
    bytes: u64,
}

const LOAD: u32 = 1;
const INTERPRETER: u32 = 3;
const STACK: u32 = 0x6474_e551;
const RELRO: u32 = 0x6474_e552;

/// The program's segments (elf(5)).
fn segments(file: &[u8]) -> Vec<Segment> {
    let word = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().expect("eight bytes"));
    let half = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().expect("four bytes"));
    let (table, count) = (word(32) as usize, usize::from(file[56]));
    let at = (0..count).map(|index| table + index * 56);
    at.map(|at| Segment {
        kind: half(at),
        flags: half(at + 4),
        start: word(at + 16),
        bytes: word(at + 40),
    })
    .collect()
}

/// The file is static and position-independent, no segment is writable and executable, nor is the
/// stack, and what is relocated is protected. Whatever the size of the kernel's pages (64 KiB at the
/// most, on arm64), no two segments share one: the second would be mapped over the first.
#[track_caller]
pub fn assert_hardened(path: &Path) {
    let _case = Case(path.to_owned());
    let file = fs::read(path).expect("the program");
    assert_eq!(file[16], 3, "ET_DYN: position-independent");
    let segments = segments(&file);
    let of = |kind: u32| segments.iter().filter(move |segment| segment.kind == kind);
    assert_eq!(of(INTERPRETER).count(), 0, "static");
    let is_both = |segment: &&Segment| segment.flags & 3 == 3;
    assert_eq!(
        of(LOAD).filter(is_both).count(),
        0,
        "writable and executable"
    );
    let is_executable = |segment: &&Segment| segment.flags & 1 == 1;
    assert_eq!(
        of(STACK).filter(is_executable).count(),
        0,
        "executable stack"
    );
    assert_eq!(of(STACK).count(), 1, "or the kernel makes it executable");
    let relro = of(RELRO).next().expect("RELRO");
    assert!(relro.bytes > 0, "nothing to protect");
    let is_arm64 = file[18] == 183;
    let page_bytes = if is_arm64 { 64 * 1024 } else { 4096 };
    let pages = |segment: &Segment| {
        let last = segment.start + segment.bytes - 1;
        (segment.start / page_bytes, last / page_bytes)
    };
    let loaded: Vec<(u64, u64)> = of(LOAD).map(pages).collect();
    let is_apart = |pair: &[(u64, u64)]| pair[0].1 < pair[1].0;
    assert!(
        loaded.windows(2).all(is_apart),
        "a page is shared: {loaded:?}"
    );
}

/// In the running process nothing is writable and executable, either, and what was relocated is
/// read-only.
#[test]
fn hardened() {
    for build in &BUILDS {
        let _case = Case(build.name);
        let path = (build.program)();
        assert_hardened(&path);
        let mut server = Program::at(path.clone()).start();
        server.call(event(), 200);
        let maps = fs::read_to_string(format!("/proc/{}/maps", server.pid())).expect("maps");
        assert!(!maps.contains("wx"), "{maps}");
        let own = path.to_str().expect("text");
        let own: Vec<(u64, u64, &str)> = maps
            .lines()
            .filter(|line| line.ends_with(own))
            .map(|line| {
                let (range, rest) = line.split_once(' ').expect("a range");
                let (start, end) = range.split_once('-').expect("two ends");
                let number = |text| u64::from_str_radix(text, 16).expect("hex");
                (number(start), number(end), rest)
            })
            .collect();
        let base = own.first().expect("the program's own pages").0;
        assert!(base > 1 << 32, "not moved: {maps}");
        let segments = segments(&fs::read(&path).expect("the program"));
        let mut segments = segments.into_iter();
        let relro = segments
            .find(|segment| segment.kind == RELRO)
            .expect("RELRO");
        for at in [relro.start, relro.start + relro.bytes - 1] {
            let is_there =
                |(start, end, _): &&(u64, u64, &str)| (*start..*end).contains(&(base + at));
            let (.., mode) = own.iter().find(is_there).expect("the relocated pages");
            assert!(mode.starts_with("r--p"), "still writable: {maps}");
        }
    }
}

/// The names of the system calls from `execve(2)`, without it, until the program waits again after
/// its first answer.
fn system_calls(build: &Build) -> Vec<String> {
    let trace = scratch("trace");
    let path = trace.to_str().expect("text");
    let program = Program::at((build.program)());
    let mut server = program.under(&["strace", "-o", path]).start();
    server.call(event(), 200);
    let calls = wait_for("the whole trace", || {
        let text = fs::read_to_string(&trace).ok()?;
        text.contains("epoll_pwait").then_some(text)
    });
    fs::remove_file(&trace).expect("remove");
    let name = |line: &str| line.split('(').next().unwrap_or_default().to_owned();
    calls.lines().skip(1).map(name).collect()
}

/// The least of some tries, because a request may come later than its connection, and is waited for then.
#[test]
fn system_calls_to_wait_and_to_answer() {
    for build in &BUILDS {
        let tries: Vec<_> = (0..TRIES).map(|_| system_calls(build)).collect();
        for calls in &tries {
            println!("{}", calls.join(" "));
        }
        let count_to = |names: &[&str]| {
            let is_it = |call: &String| names.contains(&call.as_str());
            let counts = tries
                .iter()
                .filter_map(|calls| calls.iter().position(is_it));
            counts.min().expect("such a call") + 1
        };
        let to_wait = count_to(&["accept4", "epoll_pwait"]);
        let to_answer = count_to(&["sendmsg", "sendto"]);
        let what = |what: &str| format!("{}: system calls to the {what}", build.name);
        check(
            &what("first wait"),
            to_wait as u64,
            build.counters.calls_to_wait as u64,
        );
        check(
            &what("answer"),
            to_answer as u64,
            build.counters.calls_to_answer as u64,
        );
    }
}

/// Those of the kernel's own work on the new process included.
#[test]
fn page_faults() {
    check_builds(
        "minor faults to the first answer",
        |build| build.counters.faults,
        |build| {
            let faults = |_| {
                let mut server = Program::at((build.program)()).start();
                server.call(event(), 200);
                process::minor_faults(server.id()).expect("a count")
            };
            (0..TRIES).map(faults).min().expect("tries")
        },
    );
}

#[test]
fn memory_of_an_idle_process() {
    check_builds(
        "KiB of an idle process",
        |build| build.counters.idle_kib,
        |build| {
            let resident = |_| {
                let mut server = Program::at((build.program)()).start();
                server.call(event(), 200);
                server.status_kib("VmRSS")
            };
            (0..TRIES).map(resident).min().expect("tries")
        },
    );
}

/// A process that has answered that many events of Lambda.
fn polled(events: usize, program: Program) -> (Api, Server, Peer) {
    let api = Api::new(Platform::Lambda);
    let (server, mut peer) = api.begin(program);
    for _ in 0..events {
        peer.expect_echo("Hello World");
    }
    (api, server, peer)
}

/// The difference of two runs, so that start and end do not count.
fn system_calls_of_events(name: &str, program: fn() -> Program) -> u64 {
    let count = |events| {
        let trace = scratch(&format!("trace-{name}-{events}"));
        let path = trace.to_str().expect("text");
        let _polled = polled(events, program().under(&["strace", "-o", path]));
        // The last of them asks for the next event.
        let text = wait_for("the whole trace", || {
            let text = fs::read_to_string(&trace).ok()?;
            (text.matches("sendmsg(").count() > 2 * events).then_some(text)
        });
        fs::remove_file(&trace).expect("remove");
        text.lines().count() as u64
    };
    (count(30) - count(10)) / 20
}

#[test]
fn system_calls_of_an_event() {
    let calls = system_calls_of_events("event", Program::bootstrap);
    check("system calls of an event", calls, EVENT_CALLS);
    // What the API and the worker send may be seen at once or one after the other.
    let tries = (0..TRIES).map(|_| system_calls_of_events("worker", worker));
    let least = tries.min().expect("tries");
    check(
        "system calls of an event of a worker",
        least,
        WORKER_EVENT_CALLS_MAX,
    );
}

#[test]
fn memory_of_a_polled_process() {
    let resident = |_| polled(10, Program::bootstrap()).1.status_kib("VmRSS");
    let least = (0..TRIES).map(resident).min().expect("tries");
    check("KiB of a polled process", least, POLLED_KIB_MAX);
}

/// What programs are asked by: a command that is started for each event, a function that stays, a worker that asks.
const PROGRAMS: [(&str, [&str; 2], u64); 3] = [
    ("a command", ["command", "cat"], COMMAND_CALLS_MAX),
    (
        "a function",
        ["function", "index.handler"],
        FUNCTION_CALLS_MAX,
    ),
    ("a worker", ["worker", "echo"], WORKER_CALLS_MAX),
];

/// fnboot with a custom runtime that echoes.
fn worker() -> Program {
    Program::bootstrap().arguments(["worker".into(), fixture("worker")])
}

/// fnboot with one of them, and the folder of its function.
fn with_program(arguments: [&str; 2]) -> (Folder, Program) {
    let folder = Folder::new();
    folder.file("index.sh", 0o644, "handler() { printf %s \"$1\"; }\n");
    let program = match arguments {
        ["worker", _] => worker(),
        _ => Program::bootstrap().arguments(arguments),
    };
    let program = program.env("FC_FUNC_CODE_PATH", folder.0.display());
    (folder, program)
}

/// Calls of FC over one connection.
fn call_often(server: &mut Server, calls: usize) {
    let mut client = server.connect();
    for _ in 0..calls {
        let answer = client.send(event()).expect(200);
        assert_same(&answer.body, b"Hello World");
    }
}

/// The difference of two runs, so that start and end do not count; the least of some tries, because what a
/// program writes and that it ends may be seen at once or one after the other.
#[test]
fn system_calls_of_programs() {
    for (what, arguments, most) in PROGRAMS {
        let count = |calls| {
            let trace = scratch(&format!("trace-{}-{calls}", arguments[0]));
            let path = trace.to_str().expect("text");
            let (_folder, program) = with_program(arguments);
            let mut server = program.under(&["strace", "-o", path]).start();
            call_often(&mut server, calls);
            let text = wait_for("the whole trace", || {
                let text = fs::read_to_string(&trace).ok()?;
                (text.matches("sendmsg(").count() >= calls).then_some(text)
            });
            fs::remove_file(&trace).expect("remove");
            text.lines().count() as u64
        };
        let tries = (0..TRIES).map(|_| (count(30) - count(10)) / 20);
        let least = tries.min().expect("tries");
        check(&format!("system calls of {what}"), least, most);
    }
}

#[test]
fn memory_after_a_thousand_events_of_programs() {
    for (what, arguments, _) in PROGRAMS {
        let (_folder, program) = with_program(arguments);
        let mut server = program.start();
        call_often(&mut server, 1000);
        for (figure, most) in [
            ("VmRSS", PROGRAMS_KIB_MAX),
            ("VmHWM", PROGRAMS_PEAK_KIB_MAX),
        ] {
            let what = format!("{figure} in KiB after 1,000 events of {what}");
            check(&what, server.status_kib(figure), most);
        }
    }
}

/// Connections that were used once and then stay open.
fn idle_connections(count: usize) -> u64 {
    let mut server = Server::start();
    server.call(event(), 200);
    let before = server.status_kib("VmRSS");
    let use_once = |_| {
        let mut client = server.connect();
        client.send(event()).expect(200);
        client
    };
    let clients: Vec<Client> = (0..count).map(use_once).collect();
    let after = server.status_kib("VmRSS");
    drop(clients);
    after - before
}

#[test]
fn memory_of_idle_connections() {
    let got = idle_connections(1000);
    check("KiB of 1,000 idle connections", got, THOUSAND_IDLE_KIB_MAX);
    // As many as there may be descriptors, if that is less; the harness itself needs a few.
    let most = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: most,
        maximum: most,
    };
    setrlimit(Resource::Nofile, raised).expect("up to its maximum");
    let descriptors = most.map_or(usize::MAX, |most| most as usize);
    let count = descriptors.saturating_sub(1000).min(10_000);
    let got = idle_connections(count);
    check(
        &format!("KiB of {count} idle connections"),
        got,
        TEN_THOUSAND_IDLE_KIB_MAX,
    );
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

/// What a worker's long events needed is given back.
#[test]
fn memory_of_long_events_of_a_worker() {
    let mut server = worker().start();
    call_often(&mut server, 10);
    let idle = server.status_kib("VmRSS");
    let mut client = server.connect();
    for bytes in [1 << 20, 100 << 10, 1 << 20] {
        let body = noise(bytes);
        let answer = client.send(post("/invoke", "", &body)).expect(200);
        assert_same(&answer.body, &body);
    }
    // Both places that connections share are touched to their end now.
    let most = idle + 128;
    wait_for("the memory to be given back", || {
        (server.status_kib("VmRSS") <= most).then_some(())
    });
}

/// The difference of two runs, so that start and end do not count.
#[test]
fn instructions() {
    check_builds(
        "instructions of a call",
        |build| build.counters.instructions,
        |build| {
            let [few, many] = [100, 300].map(|calls| instructions_of(build, calls, b""));
            (many - few) / 200
        },
    );
}

/// Empty lines before a request are none (RFC 9112 §2.2), and whoever sends nothing else must cost
/// no more than the bytes do.
#[test]
fn empty_lines() {
    check_builds(
        "instructions of an empty line",
        |_| EMPTY_LINE_INSTRUCTIONS_MAX,
        |build| {
            let lines = b"\r\n".repeat(4_000);
            let [none, some] = [b"", &lines[..]].map(|before| instructions_of(build, 1, before));
            (some - none) / 4_000
        },
    );
}

/// Those of the program itself, not the kernel's, as valgrind counts them, for that many calls with
/// those bytes in front of each.
fn instructions_of(build: &Build, calls: usize, before: &[u8]) -> u64 {
    let file = scratch(&format!("callgrind-{calls}-{}", before.len()));
    let option = format!("--callgrind-out-file={}", file.display());
    let valgrind = ["valgrind", "-q", "--tool=callgrind", &option];
    let mut server = Program::at((build.program)()).under(&valgrind).start();
    let mut client = server.connect();
    for _ in 0..calls {
        client.send([before, &event()].concat()).expect(200);
    }
    server.signal(Signal::TERM);
    server.expect_exit(0);
    let text = fs::read_to_string(&file).expect("valgrind's output");
    fs::remove_file(&file).expect("remove");
    let total = text.lines().find_map(|line| line.strip_prefix("totals: "));
    let total = total.and_then(|total| total.trim().parse().ok());
    total.expect("a total")
}
